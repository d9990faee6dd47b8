//! What happens to a call: it is dialled, recorded, transcribed. Knows the store and the vendors' clients, and nothing
//! of HTTP in.
//!
//! Every step may run twice, on any instance, after any crash. What costs money is written down before it is asked for,
//! and when nobody knows what became of it, it is looked for and never asked for again.
//!
//! [`dial`] places a call, if [`allowed`] has nothing against the number; [`progress`] takes in what the vendors tell,
//! `follow` what they are asked; `order` makes a transcript of a recording; [`worker`] runs the jobs of the latter two,
//! again when they fail, and [`retry`] has that done once more. [`delete`] deletes a call, here and at both vendors.
//! [`call`] and [`transcription`] answer people.

pub mod allowed;
pub mod call;
pub mod delete;
pub mod dial;
mod follow;
mod order;
pub mod progress;
pub mod retry;
pub mod transcription;
mod words;
pub mod worker;

use std::time::Duration;

use tracing::Instrument;

use crate::clients;
use crate::context::Shared;
use crate::model::call::{CallId, CallSid};
use crate::model::keyterms::BadKeyterms;
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
    /// A call that cannot be deleted now.
    #[error("{0}")]
    NotDeletable(&'static str),
    /// A call that was deleted, or something of it.
    #[error("the call was deleted, with its recordings and transcripts")]
    Deleted,
    /// A call of which nothing can be tried again.
    #[error("{0}")]
    NothingToRetry(&'static str),
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

/// Runs something in a task of its own, from now on, which comes to its end even if whoever asked has gone: a browser tab
/// that is closed must not leave a call that nobody knows of, nor a transaction half way. A stop of the program waits for it.
///
/// # Errors
/// Those of the task.
fn seen_through<T, E, F>(context: &Shared, task: F) -> impl Future<Output = Result<T, E>> + use<T, E, F>
where
    T: Send + 'static,
    E: From<Panicked> + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let ended = context.under_way.spawn(task.in_current_span());
    // The task is never aborted, so what cannot be joined has panicked.
    async { ended.await.unwrap_or_else(|_| Err(Panicked.into())) }
}

/// A task that panicked. The panic's own words are in the log.
struct Panicked;

impl From<Panicked> for Error {
    fn from(_: Panicked) -> Self {
        Self::Panicked
    }
}

/// Milliseconds, as times are stored.
fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
