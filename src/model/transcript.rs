//! A transcript: its ids and the states it moves through.

use std::fmt;
use std::str::FromStr;

use super::call::CallId;
use super::recording::RecordingSid;
use super::{BadId, new_id};

/// What AssemblyAI calls `id`: today a UUID, in older accounts nearly one, so only its alphabet is held to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TranscriptId(String);

impl TranscriptId {
    /// The id as AssemblyAI writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TranscriptId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits =
            (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new(
                "a transcript id",
                "8 to 64 letters, digits and hyphens, such as 9ea68fd3-f953-42c1-9742-976c447fb463",
            ))
        }
    }
}

impl fmt::Display for TranscriptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our id of an order: 32 hex digits, also the `job` in the URL of its webhook. Orders of early versions have UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderId(String);

impl OrderId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for OrderId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of a transcript. It moves forward only, by rank, within an attempt: an order whose audio was lost, or which a
/// person wants tried again, begins a new attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptState {
    /// Wanted: the audio is to be brought to AssemblyAI.
    Waiting,
    /// AssemblyAI has the audio, and is being asked.
    Uploaded,
    /// AssemblyAI has taken the order.
    Queued,
    /// AssemblyAI is at work.
    Processing,
    /// The text is there.
    Completed,
    /// There will be none, unless somebody has it tried again.
    Failed,
}

impl TranscriptState {
    const ALL: [Self; 6] =
        [Self::Waiting, Self::Uploaded, Self::Queued, Self::Processing, Self::Completed, Self::Failed];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Uploaded => "uploaded",
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// States follow each other by rank. Both ends have the same.
    pub fn rank(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Uploaded => 1,
            Self::Queued => 2,
            Self::Processing => 3,
            Self::Completed | Self::Failed => 4,
        }
    }

    /// Whether nothing more will happen to it by itself.
    pub fn is_final(self) -> bool {
        self.rank() == Self::Completed.rank()
    }
}

/// A transcript as it is stored.
#[derive(Debug, Clone)]
pub struct Transcript {
    pub id: OrderId,
    /// AssemblyAI's, once it has taken the order.
    pub transcript_id: Option<TranscriptId>,
    /// The recording at Twilio, unless the audio is elsewhere.
    pub recording: Option<RecordingSid>,
    /// The call that was recorded, if it is known.
    pub call: Option<CallId>,
    /// Whether no later order for the same has taken its place.
    pub is_current: bool,
    /// What the audio is asked for with: extension, channels; or the address of audio elsewhere.
    pub audio: String,
    /// AssemblyAI's parameters, as a JSON object, without audio and webhook.
    pub parameters: String,
    /// Where AssemblyAI has the audio from, in this attempt.
    pub audio_url: Option<String>,
    /// When AssemblyAI was asked for it in this attempt, in milliseconds since 1970. Set before the question is sent, so
    /// that an answer that never came is looked for and the question not repeated.
    pub asked_at: Option<i64>,
    /// Where it is.
    pub state: TranscriptState,
    /// Counts from 1.
    pub attempt: i64,
    /// Why it is there, for a person.
    pub reason: Option<String>,
    /// AssemblyAI's JSON as it came last.
    pub json: Option<Vec<u8>>,
    /// What was said.
    pub text: Option<String>,
    /// When it was asked for here, in milliseconds since 1970.
    pub created_at: i64,
}
