//! What the vendors tell, taken in: each hint moves things forward or changes nothing, however often and in whatever
//! order it comes. What Twilio answers when it is asked ends in the same functions.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::job::{ms, poll_pause};
use super::request::{self, TranscriptRequest};
use super::task::run_to_end;
use crate::clients::twilio;
use crate::context::{Context, Shared};
use crate::failpoint::Step;
use crate::model::call::{Call, CallId, CallName, CallSid, CallState, Direction};
use crate::model::recording::{Recording, RecordingSid, RecordingState};
use crate::model::transcript::{OrderId, TranscriptId};
use crate::store::{self, Conn, JobKind};

/// Whoever tells something is answered within this.
const VENDORS_WAIT: Duration = Duration::from_secs(6);

/// What Twilio says of a call.
#[derive(Debug, Clone)]
pub struct CallUpdate {
    /// The token in the address that it was told to.
    pub token: Option<CallId>,
    /// Which call.
    pub sid: CallSid,
    /// Twilio's word.
    pub status: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Who was called.
    pub to: Option<String>,
    /// Who called.
    pub from: Option<String>,
}

/// What Twilio says of a recording.
#[derive(Debug, Clone)]
pub struct RecordingUpdate {
    /// The token in the address that it was told to.
    pub token: Option<CallId>,
    /// The call it is made in.
    pub call: CallSid,
    /// Which recording.
    pub sid: RecordingSid,
    /// Twilio's word.
    pub status: String,
    /// Whole seconds.
    pub duration_seconds: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
    /// What makes it.
    pub source: Option<String>,
    /// Why there is no audio.
    pub error_code: Option<i64>,
}

/// A call got on.
///
/// # Errors
/// If it could not be stored: whoever tells it must not be told that it was.
pub async fn call_told(context: &Shared, news: CallUpdate) -> Result<(), Error> {
    let shared = Arc::clone(context);
    in_time(run_to_end(context, async move { take_in_call(&shared, &news).await })).await
}

/// A recording got on. Once it is finished, the job that transcribes it is committed together with it.
///
/// # Errors
/// If it could not be stored.
pub async fn recording_told(context: &Shared, news: RecordingUpdate) -> Result<(), Error> {
    let shared = Arc::clone(context);
    in_time(run_to_end(context, async move { take_in_recording(&shared, &news).await })).await
}

/// A vendor waits ten seconds, and is told the truth before: that nothing is stored yet. The task goes on.
async fn in_time(taking_in: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let taken_in = tokio::time::timeout(VENDORS_WAIT, taking_in).await;
    taken_in.unwrap_or(Err(Error::Pending("the database is busy")))
}

/// A transcript is said to be finished: the job that fetches it is due. An order that this store knows nothing of, but
/// whose webhook carries our secret, is taken in.
///
/// # Errors
/// If it could not be stored.
pub async fn transcript_told(context: &Shared, order: OrderId, id: Option<TranscriptId>) -> Result<(), Error> {
    let shared = Arc::clone(context);
    let taking_in = async move {
        let context = &shared;
        let (order, id) = (&order, id.as_ref());
        let subject = order.as_str();
        let call = context
            .store
            .write(Step::IngestWebhook, subject, |mut tx| async move {
                let now = context.clock.now_ms();
                let known = tx.transcript_by_id(order).await?;
                let call = known.as_ref().and_then(|known| known.call.clone());
                match (known, id) {
                    (Some(known), _) if known.state.is_final() => {}
                    // The answer to the order was not seen: this is its id.
                    (Some(known), Some(id)) if known.transcript_id.is_none() && known.asked_at.is_some() => {
                        tx.mark_submitted(&known, id.as_str(), None, now).await?;
                        tx.nudge_job(JobKind::Transcript, subject, now).await?;
                    }
                    (Some(_), _) => _ = tx.nudge_job(JobKind::Transcript, subject, now).await?,
                    (None, Some(id)) => request::adopt_order(&mut tx, order, id, now).await?,
                    // Of something else about an order that is not known here.
                    (None, None) => {}
                }
                Ok((tx, call))
            })
            .await?;
        let (call, id) = (call.as_ref().map(CallId::as_str), id.map(TranscriptId::as_str));
        tracing::info!(call, transcript = subject, id, "transcript finished");
        context.job_ready.notify_one();
        context.events.changed(subject);
        Ok(())
    };
    in_time(run_to_end(context, taking_in)).await
}

async fn take_in_call(context: &Shared, news: &CallUpdate) -> Result<(), Error> {
    let state = CallState::of_twilio(&news.status);
    let subject = format!("{} {}", news.sid, news.status);
    let call = context
        .store
        .write(Step::IngestCall, &subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let (call, _) = find_call(&mut tx, news, now + ms(poll_pause(0)), now).await?;
            tx.fill_in_call(&call.id, news.direction, news.to.as_deref(), news.from.as_deref()).await?;
            let moved = match state {
                Some(state) => tx.advance_call(&call.id, state.into(), now).await?,
                None => false,
            };
            if moved && state.is_some_and(CallState::is_over) {
                // Twilio is asked at once what there is to know of it.
                tx.open_job(JobKind::Call, call.id.as_str(), now, now).await?;
            }
            Ok((tx, call))
        })
        .await?;
    tracing::info!(call = %call.id, sid = %news.sid, status = news.status, "call");
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

async fn take_in_recording(context: &Shared, news: &RecordingUpdate) -> Result<(), Error> {
    let RecordingUpdate { sid, status, error_code, .. } = news;
    let Some(state) = RecordingState::named(status) else {
        tracing::info!(recording = %sid, status, "a state of a recording that is not known here");
        return Ok(());
    };
    let about = &CallUpdate {
        token: news.token.clone(),
        sid: news.call.clone(),
        status: CallState::InProgress.as_str().to_owned(),
        direction: Direction::Unknown,
        to: None,
        from: None,
    };
    let subject = format!("{sid} {status}");
    let step = match state.is_coming() {
        true => Step::IngestRecordingStart,
        false => Step::IngestRecording,
    };
    let (call, moved) = context
        .store
        .write(step, &subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let look_at = if state.is_coming() { now + ms(poll_pause(0)) } else { now };
            let (call, is_new) = find_call(&mut tx, about, look_at, now).await?;
            let recording = Recording {
                sid: sid.clone(),
                call: call.id.clone(),
                state,
                duration_seconds: news.duration_seconds,
                channels: news.channels,
                source: news.source.clone(),
                error_code: *error_code,
            };
            let moved = put_recording(&mut tx, context, &recording, now).await?;
            if moved && !state.is_coming() && !is_new {
                tx.open_job(JobKind::Call, call.id.as_str(), look_at, now).await?;
            }
            Ok((tx, (call, moved)))
        })
        .await?;
    tracing::info!(call = %call.id, recording = %sid, status, error_code, moved, "recording");
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

/// The call that is told of: by its token, which also gives it its SID, or by its SID. One that nobody knows is taken
/// in, with the job that follows it, which is due at `look_at`. Says whether it is new.
async fn find_call(tx: &mut Conn, news: &CallUpdate, look_at: i64, now: i64) -> Result<(Call, bool), store::Error> {
    if let Some(token) = &news.token
        && let Some(mut call) = tx.call(&CallName::Id(token.clone())).await?
    {
        match &call.sid {
            Some(sid) if *sid == news.sid => return Ok((call, false)),
            // The token of another call says nothing.
            Some(_) => {}
            None if tx.call(&CallName::Sid(news.sid.clone())).await?.is_some() => {}
            None => {
                tx.set_call_sid(&call.id, &news.sid, now).await?;
                // One that was given up as lost is followed again; one that is deleted is deleted at Twilio, too.
                let kind = if call.deletion.is_some() { JobKind::Deletion } else { JobKind::Call };
                tx.open_job(kind, call.id.as_str(), now + ms(poll_pause(0)), now).await?;
                call.sid = Some(news.sid.clone());
                return Ok((call, false));
            }
        }
    }
    if let Some(call) = tx.call(&CallName::Sid(news.sid.clone())).await? {
        return Ok((call, false));
    }
    let new = Call {
        id: CallId::new(now),
        sid: Some(news.sid.clone()),
        direction: news.direction,
        to: news.to.clone(),
        from: news.from.clone(),
        keyterms: Default::default(),
        state: CallState::Queued,
        reason: None,
        code: None,
        deletion: None,
        created_at: now,
        ended_at: None,
    };
    let call = tx.find_or_insert_call(&new).await?;
    tx.open_job(JobKind::Call, call.id.as_str(), look_at, now).await?;
    Ok((call, true))
}

/// Adds a recording or moves it forward, and opens the job that transcribes it once it is finished. One of a call that is
/// deleted is deleted, too.
pub(super) async fn put_recording(
    tx: &mut Conn,
    context: &Context,
    recording: &Recording,
    now: i64,
) -> Result<bool, store::Error> {
    let moved = tx.upsert_recording(recording, now).await?;
    if !moved {
        return Ok(false);
    }
    let is_transcribed = tx.has_transcript(&recording.sid).await?;
    if is_transcribed {
        // Before anything was known of its call.
        tx.reindex_call(&recording.call).await?;
    }
    if tx.is_deletion_wanted(&recording.call).await? {
        tx.open_job(JobKind::Deletion, recording.call.as_str(), now, now).await?;
    } else if !is_transcribed && recording.state == RecordingState::Completed {
        request::open(tx, &TranscriptRequest::of_recording(context, &recording.sid), now).await?;
    }
    Ok(true)
}

/// A recording that somebody wants transcribed before any callback has told of it, with its call.
pub(super) async fn unknown_recording(
    context: &Shared,
    call: &CallSid,
    recording: &twilio::Recording,
) -> Result<(), store::Error> {
    let about = &CallUpdate {
        token: None,
        sid: call.clone(),
        status: String::new(),
        direction: Direction::Unknown,
        to: None,
        from: None,
    };
    context
        .store
        .write(Step::IngestUnknownRecording, &recording.sid, |mut tx| async move {
            let now = context.clock.now_ms();
            let (call, _) = find_call(&mut tx, about, now + ms(poll_pause(0)), now).await?;
            if let Some(recording) = seen(&call, recording) {
                put_recording(&mut tx, context, &recording, now).await?;
            }
            Ok((tx, ()))
        })
        .await
}

/// A recording in our words, if it is one.
pub(super) fn seen(call: &Call, recording: &twilio::Recording) -> Option<Recording> {
    let duration = recording.duration.as_deref().and_then(|seconds| seconds.parse().ok());
    Some(Recording {
        sid: recording.sid.parse().ok()?,
        call: call.id.clone(),
        state: RecordingState::named(&recording.status)?,
        duration_seconds: duration.filter(|seconds: &i64| *seconds >= 0),
        channels: recording.channels.map(i64::from),
        source: recording.source.clone(),
        error_code: recording.error_code,
    })
}
