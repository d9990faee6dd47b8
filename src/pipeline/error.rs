//! Why a request or a job of the pipeline fails.

use std::time::Duration;

use super::allowed;
use super::task::Panicked;
use crate::clients;
use crate::model::call::{CallId, CallSid};
use crate::model::keyterms::BadKeyterms;
use crate::model::standing::{NotDeletable, NothingToRetry};
use crate::store;

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Key terms that no speech model takes.
    #[error(transparent)]
    Keyterms(#[from] BadKeyterms),
    /// A number that is not dialled.
    #[error(transparent)]
    NotAllowed(#[from] allowed::NotAllowed),
    /// An address of Twilio that is not one of our account's recordings.
    #[error("{0}")]
    NotOurRecording(&'static str),
    /// A call that this program and Twilio do not know.
    #[error("call {0} is not known here")]
    NoSuchCall(String),
    /// A call without a finished recording.
    #[error("call {call} is {state}; {recording}")]
    NoRecording {
        /// The call.
        call: CallSid,
        /// Its state, in Twilio's words.
        state: String,
        /// What there is instead.
        recording: String,
        /// Whether there may be one later.
        later: bool,
    },
    /// A call with several finished recordings, of which one must be chosen.
    #[error("call {call} has {} recordings; choose one by recording_sid: {}", .recordings.len(), .recordings.join(", "))]
    SeveralRecordings {
        /// The call.
        call: CallSid,
        /// Their SIDs, oldest first.
        recordings: Vec<String>,
    },
    /// A recording without audio.
    #[error("{recording}")]
    NotRecorded {
        /// Which one, and what there is instead.
        recording: String,
        /// Whether there may be audio later.
        later: bool,
    },
    /// A call that has no SID yet, although it has been waited for.
    #[error(
        "Twilio has not said whether it has taken the call; callscribe goes on by itself and shows it at /calls/{call}"
    )]
    Unsettled {
        /// The call.
        call: CallId,
    },
    /// More calls than a setting allows.
    #[error(
        "{calls} calls were dialled within the last {window}, and more are not: {setting} rules this; nothing was dialled"
    )]
    TooManyCalls {
        /// How many it allows.
        calls: u32,
        /// In what time.
        window: &'static str,
        /// The setting.
        setting: &'static str,
        /// When the next one may be dialled.
        retry_after: Duration,
    },
    /// A call that somebody else asked for at the same time, and that came to nothing.
    #[error("the call was not placed: {0}")]
    NotPlaced(String),
    /// A transcript that came to nothing.
    #[error("the transcript failed: {0}")]
    TranscriptFailed(String),
    /// Something that is on its way, and is looked at again later.
    #[error("{0}")]
    UnderWay(&'static str),
    #[error(transparent)]
    NotDeletable(NotDeletable),
    /// A call that was deleted, or something of it.
    #[error("the call was deleted, with its recordings and transcripts")]
    Deleted,
    #[error(transparent)]
    NothingToRetry(NothingToRetry),
    /// The program stops.
    #[error("the program is being stopped; nothing was ordered")]
    Stopping,
    /// The database refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A vendor refused or failed.
    #[error(transparent)]
    Vendor(#[from] clients::Error),
    /// A bug, which the log tells of.
    #[error("the step broke down")]
    Panicked,
}

impl Error {
    /// A sentence for the person whose call it is. It keeps the vendor's own words, which must not be in the log.
    pub(super) fn explanation(&self) -> String {
        match self {
            Self::Vendor(error) => error.explanation(),
            error => error.to_string(),
        }
    }
}

impl From<Panicked> for Error {
    fn from(_: Panicked) -> Self {
        Self::Panicked
    }
}

impl From<NotDeletable> for Error {
    fn from(refusal: NotDeletable) -> Self {
        match refusal {
            NotDeletable::Deleted => Self::Deleted,
            refusal => Self::NotDeletable(refusal),
        }
    }
}

impl From<NothingToRetry> for Error {
    fn from(refusal: NothingToRetry) -> Self {
        match refusal {
            NothingToRetry::Deleted => Self::Deleted,
            refusal => Self::NothingToRetry(refusal),
        }
    }
}
