//! What happens to a call: it is dialled, recorded, transcribed. Knows the vendors' clients and nothing of HTTP in.

pub mod call;
pub mod dial;
pub mod transcription;

use tracing::Instrument;

use crate::clients;
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::keyterms::BadKeyterms;

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Key terms that no speech model takes.
    #[error(transparent)]
    Keyterms(#[from] BadKeyterms),
    /// An address of Twilio that is not one of our account's recordings.
    #[error("{0}")]
    NotOurRecording(&'static str),
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
    /// The program stops.
    #[error("the program is being stopped; nothing was ordered")]
    Stopping,
    /// A vendor refused or failed.
    #[error(transparent)]
    Vendor(#[from] clients::Error),
}

/// Runs a request that costs money in a task of its own, which ends with the answer even if whoever asked has gone: a
/// browser tab that is closed must not leave a call that nobody knows of. A stop of the program waits for those that
/// have begun, and lets none begin.
async fn seen_through<T, F>(context: &Shared, request: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, clients::Error>> + Send + 'static,
{
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let ended = context.paid.spawn(request.in_current_span()).await;
    // The task is never aborted, so what can be joined here is its own panic.
    Ok(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?)
}
