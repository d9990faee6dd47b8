//! A transcript: its ids and the states it moves through.

use serde::{Deserialize, Serialize};

use super::call::CallId;
use super::dollars::Dollars;
use super::recording::RecordingSid;
use super::trial::InTrial;
use super::{BadId, new_id};

/// AssemblyAI's id of a transcript: a UUID today, something similar in older accounts, so only length and alphabet are
/// checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TranscriptId(String);

text_of!(
    TranscriptId,
    |text: &str| {
        (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    },
    "a transcript id",
    "8 to 64 letters, digits and hyphens, such as 9ea68fd3-f953-42c1-9742-976c447fb463"
);

/// Our id of an order: 32 hex digits, also the `job` in the URL of its webhook. Orders of early versions have UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderId(String);

impl OrderId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }
}

impl From<String> for OrderId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

text_of!(OrderId);

/// The state of a transcript. It moves forward only, by [`rank`](Self::rank), within one attempt. A new attempt begins when
/// AssemblyAI has lost the audio, or when the operator retries a failed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptState {
    /// Requested; the audio is not uploaded yet.
    Waiting,
    /// AssemblyAI has the audio, but has not accepted the order yet.
    Uploaded,
    /// AssemblyAI has accepted the order.
    Queued,
    Processing,
    Completed,
    /// Final, unless the operator retries it.
    Failed,
}

words! {
    TranscriptState:
    Waiting = "waiting",
    Uploaded = "uploaded",
    Queued = "queued",
    Processing = "processing",
    Completed = "completed",
    Failed = "failed",
}

impl TranscriptState {
    /// A transcript moves only to a state of higher rank. Both final states have the same.
    pub fn rank(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Uploaded => 1,
            Self::Queued => 2,
            Self::Processing => 3,
            Self::Completed | Self::Failed => 4,
        }
    }

    /// Whether nothing more happens automatically.
    pub fn is_final(self) -> bool {
        self.rank() == Self::Completed.rank()
    }
}

/// What an order was last submitted with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Submission {
    /// Empty if the parameters of the order have no list of models.
    pub speech_models: Vec<String>,
    /// The models that AssemblyAI refused for this order. If there are any, the others take the place of those asked for.
    pub refused: Vec<String>,
    /// AssemblyAI's ids of the same order that it had accepted when it refused a model.
    pub ended: Vec<String>,
    pub keyterms: Vec<String>,
    /// The key terms that the models would have refused or ignored.
    pub keyterms_left_out: Vec<String>,
    /// What AssemblyAI had to spell as terms of the vocabulary, each with its term.
    pub custom_spelling: Vec<(String, String)>,
    /// How many more terms of the vocabulary there was no room for.
    pub others_left_out: i64,
}

/// Says why the models of a transcript are not those that were asked for. Returns `None` if they are.
pub fn other_models(asked: &[String], submission: Option<&Submission>, used: Option<&str>) -> Option<String> {
    let mut reasons = Vec::new();
    let sent = submission.map_or(asked, |submission| &submission.speech_models);
    if let Some(Submission { refused, .. }) = submission.filter(|submission| !submission.refused.is_empty()) {
        reasons.push(format!(
            "AssemblyAI refused {}, so the order continued with {}",
            refused.join(", "),
            sent.join(", ")
        ));
    } else if let Some(out) = asked.iter().find(|model| !sent.contains(model)) {
        reasons.push(format!("{out} was left out, because it would not take these key terms"));
    }
    if let Some(used) = used.filter(|used| !asked.is_empty() && !sent.iter().any(|model| model == used)) {
        reasons.push(format!("AssemblyAI used {used} instead of {}", sent.join(", ")));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

impl Transcript {
    /// The recording, if Twilio has its audio, so that it can be played.
    pub fn playable(&self) -> Option<&RecordingSid> {
        self.recording.as_ref().filter(|_| !self.audio.contains("://"))
    }
}

/// A transcript, which begins as an order.
#[derive(Debug, Clone)]
pub struct Transcript {
    pub id: OrderId,
    /// `None` until AssemblyAI has accepted the order.
    pub transcript_id: Option<TranscriptId>,
    /// `None` if nothing is known of the audio.
    pub recording: Option<RecordingSid>,
    pub call: Option<CallId>,
    /// Whether no later order of the same request has replaced this one.
    pub is_current: bool,
    /// The trial that it is part of, unless somebody has made it the current transcript of its recording since.
    pub trial: Option<InTrial>,
    /// The form in which the audio is requested from Twilio, such as `wav 2`, or the URL of other audio.
    pub audio: String,
    /// AssemblyAI's parameters, as a JSON object, without audio and webhook.
    pub parameters: String,
    /// The URL from which AssemblyAI reads the audio in this attempt.
    pub audio_url: Option<String>,
    /// Whether the two channels of the audio differ, as far as it was seen here and has two.
    pub channels_differ: Option<bool>,
    /// When the order was submitted in this attempt, in milliseconds since 1970. Committed before the request is sent: if
    /// its answer is lost, the order is searched for and not submitted again.
    pub asked_at: Option<i64>,
    pub state: TranscriptState,
    /// Counts from 1.
    pub attempt: i64,
    /// Why the transcript is in this state, for a person.
    pub reason: Option<String>,
    /// AssemblyAI's latest JSON, unchanged.
    pub json: Option<Vec<u8>>,
    /// With all corrections.
    pub text: Option<String>,
    /// How often it was corrected.
    pub version: i64,
    /// When the last stretch of it was checked by ear, in milliseconds since 1970, if all of it is checked.
    pub checked_at: Option<i64>,
    /// Who that was, for people.
    pub checked_by: Option<String>,
    /// `None` until the order is submitted, and for orders of early versions.
    pub submission: Option<Submission>,
    /// The speech model that AssemblyAI says it used. `None` until the transcript is completed, and in early versions.
    pub speech_model_used: Option<String>,
    /// What it costs. `None` if that is not known, as of those on their way and of early versions.
    pub cost: Option<Dollars>,
    /// When the transcript was requested, in milliseconds since 1970.
    pub created_at: i64,
}
