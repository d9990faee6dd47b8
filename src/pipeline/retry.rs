//! Retrying, at the operator's request, what has failed for a call or in a trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::asked::Asked;
use super::request::{self, TranscriptRequest};
use super::task::run_to_end;
use super::trials::{self, MOST_ORDERS};
use super::{Error, facts};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{CallId, CallName};
use crate::model::job::JobKind;
use crate::model::standing::NothingToRetry;
use crate::model::trial::TrialId;
use crate::store::{self, Conn, Done};

/// What the history says of a new attempt.
pub(super) const RETRIED: &str = "retried by the operator";

/// Starts a new attempt at each failed transcript, requests the missing ones, follows a call again that was given up, or
/// resumes a failed deletion. Rings no phone.
///
/// Returns [`Error::NothingToRetry`] if nothing has failed, or if it cannot be retried.
pub async fn retry(context: &Shared, id: CallId, asked: Asked) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { restart(&shared, &CallName::Id(id), &asked).await }).await
}

async fn restart(context: &Shared, name: &CallName, asked: &Asked) -> Result<(), Error> {
    // If the outcome of a commit is unknown, the transaction runs again and finds that its work is done.
    let has_started = &AtomicBool::new(false);
    let refusal = context
        .store
        .write(Commit::Retry, &uuid::Uuid::new_v4().to_string(), |mut tx| async move {
            let now = context.clock.now_ms();
            tx.act_for(&asked.by);
            if tx.done_for_key(asked.key.as_deref(), now).await?.is_some() {
                return Ok((tx, None));
            }
            let Some(call) = tx.call(name).await? else { return Ok((tx, None)) };
            let facts = facts::of(&mut tx, call).await?;
            if let Err(refusal) = facts.may_retry() {
                return Ok((tx, Some(refusal)));
            }
            if !keep_key(&mut tx, asked, name.as_str(), now).await? {
                return Ok((tx, None));
            }
            let id = &facts.call.id;
            if facts.call.deletion.is_some() {
                tx.open_job(JobKind::Deletion, id.as_str(), now, now).await?;
                has_started.store(true, Ordering::Relaxed);
                return Ok((tx, None));
            }
            for transcript in facts.transcripts.iter().filter(|one| facts.may_retry_transcript(one)) {
                tx.begin_attempt(transcript, request::is_void(transcript), RETRIED, now).await?;
                tx.open_job(JobKind::Transcript, transcript.id.as_str(), now, now).await?;
            }
            for recording in facts.recordings.iter().filter(|one| facts.may_transcribe(one)) {
                request::open(&mut tx, &TranscriptRequest::of_recording(context, &recording.sid), now).await?;
            }
            if facts.may_follow_again() {
                tx.stop_following(id, None).await?;
                tx.open_job(JobKind::Call, id.as_str(), now, now).await?;
            }
            has_started.store(true, Ordering::Relaxed);
            Ok((tx, None))
        })
        .await?;
    if let Some(refusal) = refusal.filter(|_| !has_started.load(Ordering::Relaxed)) {
        return Err(refusal.into());
    }
    tracing::info!(call = name.as_str(), "retrying");
    context.job_ready.notify_one();
    context.events.changed(name.as_str());
    Ok(())
}

/// Stores the key of a retry, if it has one. Returns `false` if another transaction has done what it asks for.
async fn keep_key(tx: &mut Conn, asked: &Asked, subject: &str, now: i64) -> Result<bool, store::Error> {
    let Some(key) = &asked.key else { return Ok(true) };
    let done = Done { subject: subject.to_owned(), request: String::new() };
    tx.keep_key(key, &done, now).await
}

/// Starts a new attempt at each failed transcript of a trial. When it is finished, the trial measures it.
///
/// Returns [`Error::NothingToRetry`] if none has failed, or if the trial was stopped.
pub async fn retry_trial(context: &Shared, id: &TrialId, asked: Asked) -> Result<(), Error> {
    trials::get(context, id).await?;
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move { restart_trial(&shared, &id, &asked).await }).await
}

async fn restart_trial(context: &Shared, id: &TrialId, asked: &Asked) -> Result<(), Error> {
    // As above.
    let has_started = &AtomicBool::new(false);
    let refusal = context
        .store
        .write(Commit::Retry, &uuid::Uuid::new_v4().to_string(), |mut tx| async move {
            let now = context.clock.now_ms();
            tx.act_for(&asked.by);
            if tx.is_trial_stopped(id).await? {
                return Ok((tx, Some(NothingToRetry::TrialStopped)));
            }
            if !keep_key(&mut tx, asked, id.as_str(), now).await? {
                return Ok((tx, None));
            }
            let mut position = 0;
            for order in tx.failed_orders(id, MOST_ORDERS as i64).await? {
                let Some(failed) = tx.transcript_by_id(&order).await? else { continue };
                if tx.begin_attempt(&failed, request::is_void(&failed), RETRIED, now).await? {
                    let due = trials::due_at(position, now);
                    tx.open_job(JobKind::Transcript, order.as_str(), due, now).await?;
                    position += 1;
                }
            }
            if let (0, Some(key)) = (position, &asked.key) {
                tx.forget_key(key).await?;
            }
            has_started.fetch_or(position > 0, Ordering::Relaxed);
            Ok((tx, (position == 0).then_some(NothingToRetry::NothingFailedInTrial)))
        })
        .await?;
    if let Some(refusal) = refusal.filter(|_| !has_started.load(Ordering::Relaxed)) {
        return Err(refusal.into());
    }
    tracing::info!(trial = %id, "retrying");
    context.job_ready.notify_one();
    context.events.changed(id.as_str());
    Ok(())
}
