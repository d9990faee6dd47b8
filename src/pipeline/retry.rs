//! Trying again what has failed of a call, because a person says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Error;
use super::request::{self, TranscriptRequest};
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Step;
use crate::model::call::{CallId, Deletion};
use crate::model::recording::RecordingState;
use crate::model::transcript::TranscriptState;
use crate::store::JobKind;

/// What was found when it was tried again.
enum Tried {
    Call { has_sid: bool, is_sought: bool },
    Deletion(Deletion),
}

/// Begins anew every transcript of the call that failed, and asks Twilio again how the call stands, or goes on with deleting
/// the call if that has failed. Rings no phone.
///
/// # Errors
/// [`Error::NothingToRetry`] if nothing has failed that could be done again.
pub async fn retry(context: &Shared, id: CallId) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { begin_anew(&shared, &id).await }).await
}

async fn begin_anew(context: &Shared, id: &CallId) -> Result<(), Error> {
    let name = &id.clone().into();
    // Of a try whose commit was not seen, the next one finds nothing left to begin.
    let most = &AtomicUsize::new(0);
    let tried = context
        .store
        .write(Step::Retry, &uuid::Uuid::new_v4().to_string(), |mut tx| async move {
            let now = context.clock.now_ms();
            let call = tx.call(name).await?;
            if let Some(deletion) = call.as_ref().and_then(|call| call.deletion) {
                let job = tx.job_state(JobKind::Deletion, id.as_str()).await?;
                if deletion == Deletion::Wanted && job.is_some_and(|job| job.has_failed()) {
                    tx.open_job(JobKind::Deletion, id.as_str(), now, now).await?;
                    most.fetch_max(1, Ordering::Relaxed);
                }
                return Ok((tx, Tried::Deletion(deletion)));
            }
            let is_sought = call.as_ref().is_some_and(|call| call.sid.is_none() && call.state.holds_number());
            let sid = call.and_then(|call| call.sid);
            let mut begun = 0;
            for transcript in tx.transcripts_of(id).await? {
                if transcript.state == TranscriptState::Failed && transcript.is_current {
                    let is_void = request::is_void(&transcript);
                    tx.begin_attempt(&transcript, is_void, "tried again because somebody asked for it", now).await?;
                    tx.open_job(JobKind::Transcript, &transcript.id, now, now).await?;
                    begun += 1;
                }
            }
            let recordings = tx.recordings_of(id).await?;
            let has_recording = !recordings.is_empty();
            for recording in recordings {
                if recording.state == RecordingState::Completed && !tx.has_transcript(&recording.sid).await? {
                    request::open(&mut tx, &TranscriptRequest::of_recording(context, &recording.sid), now).await?;
                    begun += 1;
                }
            }
            let job = tx.job_state(JobKind::Call, id.as_str()).await?;
            if sid.is_some() && job.is_some_and(|job| job.has_failed() || (!job.is_open() && !has_recording)) {
                tx.stop_following(id, None).await?;
                tx.open_job(JobKind::Call, id.as_str(), now, now).await?;
                begun += 1;
            }
            most.fetch_max(begun, Ordering::Relaxed);
            Ok((tx, Tried::Call { has_sid: sid.is_some(), is_sought }))
        })
        .await?;
    let begun = most.load(Ordering::Relaxed);
    tracing::info!(call = %id, begun, "trying again");
    context.due.notify_one();
    context.events.changed(id.as_str());
    match (begun, tried) {
        (0, Tried::Deletion(Deletion::Done)) => Err(Error::Deleted),
        (0, Tried::Deletion(Deletion::Wanted)) => Err(Error::NothingToRetry("the call is being deleted")),
        (0, Tried::Call { has_sid: false, is_sought: true }) => {
            Err(Error::NothingToRetry("the call is still being looked for at Twilio"))
        }
        (0, Tried::Call { has_sid: false, is_sought: false }) => {
            Err(Error::NothingToRetry("the call was not placed; to call, dial the number again"))
        }
        (0, Tried::Call { has_sid: true, .. }) => {
            Err(Error::NothingToRetry("nothing of this call has failed that could be tried again"))
        }
        _ => Ok(()),
    }
}
