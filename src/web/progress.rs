//! How far a call has come on its way to a transcript. Knows nothing of HTTP.

use serde::Serialize;

use crate::model::call::{Call, CallState};
use crate::model::recording::Recording;
use crate::model::transcript::{Transcript, TranscriptState};
use crate::store::CallSummary;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Progress {
    /// The call is being placed, is ringing, or is up and not yet recorded.
    Calling,
    /// The recording is being made or awaited.
    Recording,
    /// A transcript is being made.
    Transcribing,
    /// Every recording has its transcript.
    Done,
    /// The call is over and was not recorded.
    NotRecorded,
    /// The call was not placed, or a transcript failed.
    Failed,
    Deleting,
}

impl Progress {
    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Calling | Self::Recording | Self::Transcribing | Self::Deleting => "now",
            Self::Done => "past",
            Self::NotRecorded => "never",
            Self::Failed => "failed",
        }
    }
}

/// Returns the summary of a call whose recordings and transcripts have been read in full.
pub(super) fn digest(recordings: &[Recording], transcripts: &[Transcript]) -> CallSummary {
    let states = || transcripts.iter().filter(|transcript| transcript.is_current).map(|transcript| transcript.state);
    CallSummary {
        is_recording_coming: recordings.iter().any(|recording| recording.state.is_coming()),
        has_transcripts: !transcripts.is_empty(),
        has_unfinished: states().any(|state| !state.is_final()),
        has_failed: states().any(|state| state == TranscriptState::Failed),
        ..CallSummary::default()
    }
}

pub(super) fn progress(call: &Call, is_followed: bool, digest: &CallSummary) -> Progress {
    if digest.is_recording_coming {
        Progress::Recording
    } else if call.state.holds_number() {
        Progress::Calling
    } else if digest.has_unfinished {
        Progress::Transcribing
    } else if digest.has_failed {
        Progress::Failed
    } else if digest.has_transcripts {
        Progress::Done
    } else if call.state == CallState::Completed && is_followed {
        Progress::Recording
    } else if call.state == CallState::Completed {
        Progress::NotRecorded
    } else {
        Progress::Failed
    }
}
