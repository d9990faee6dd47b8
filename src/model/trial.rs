//! A trial: recordings that have a transcript, transcribed again in one way or in several, to compare them or to replace what
//! there is.

use serde::{Deserialize, Serialize};

use super::BadId;

/// Our id of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrialId(String);

text_of!(
    TrialId,
    |text: &str| text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
    "the id of a trial",
    "32 hex digits in lower case"
);

impl TrialId {
    /// The id that is made of a number.
    pub fn of(number: u128) -> Self {
        Self(format!("{number:032x}"))
    }
}

/// What a trial is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialKind {
    /// To compare figures. Only calls with a reference take part.
    Trial,
    /// To replace transcripts that were made without today's settings and vocabulary.
    Again,
}

words! {
    TrialKind:
    Trial = "trial",
    Again = "again",
}

/// One way in which a trial transcribes each of its recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The models that are asked for, the first one first.
    pub speech_models: Vec<String>,
    /// Only these key terms. `None` for those that every order gets: of the settings, the call, its contact and the vocabulary.
    pub keyterms: Option<Vec<String>>,
    pub prompt: Option<String>,
    /// US dollars for an hour of audio, by the first model, as they were when the trial was confirmed. `None` if it is not known.
    pub price: Option<f64>,
}

/// How many calls, or recordings of calls, a trial leaves out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// Calls that are deleted, or being deleted.
    pub deleted: u64,
    /// Calls without a finished recording.
    pub no_recording: u64,
    /// Recordings without a finished transcript.
    pub no_transcript: u64,
    /// Recordings whose transcript nobody has corrected or checked. Counted only where a reference is needed.
    pub no_reference: u64,
}

/// The part of a transcript in a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTrial {
    pub trial: TrialId,
    /// The position of its arm.
    pub arm: usize,
}

impl Arm {
    /// US dollars for this much audio.
    pub fn cost(&self, seconds: i64) -> Option<f64> {
        self.price.map(|price| price * seconds as f64 / 3_600.0)
    }
}
