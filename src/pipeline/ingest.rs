//! Stores what the vendors report. Each report moves a state forward or changes nothing, however often and in whatever
//! order it comes. Callbacks and polls end in the same functions.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Error;
use super::job::{ms, poll_pause};
use super::task::run_to_end;
use super::{charge, request};
use crate::clients::twilio;
use crate::context::{Context, Missed, Shared};
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::{Call, CallId, CallName, CallSid, CallState, ConferenceSid, Direction, Kind};
use crate::model::import::ImportId;
use crate::model::job::JobKind;
use crate::model::leg::{Leg, LegUpdate};
use crate::model::price::Price;
use crate::model::recording::{Recording, RecordingSid, RecordingState};
use crate::model::transcript::{OrderId, Transcript, TranscriptId};
use crate::store::{self, Conn};

/// The deadline for answering a callback. The vendors themselves give up after ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// What Twilio reports about a call.
#[derive(Debug, Clone)]
pub struct CallUpdate {
    /// The call id in the URL of the callback.
    pub token: Option<CallId>,
    pub sid: CallSid,
    /// Twilio's word for the state.
    pub status: String,
    pub direction: Direction,
    pub to: Option<String>,
    pub from: Option<String>,
    /// Whether it is a leg that another call has dialed, and no call of its own.
    pub is_child: bool,
}

/// In what a recording was made.
#[derive(Debug, Clone)]
pub enum Recorded {
    Call(CallSid),
    Conference(ConferenceSid),
}

/// What Twilio reports about a recording.
#[derive(Debug, Clone)]
pub struct RecordingUpdate {
    /// The call id in the URL of the callback.
    pub token: Option<CallId>,
    pub of: Recorded,
    pub sid: RecordingSid,
    /// Twilio's word for the state.
    pub status: String,
    pub duration_seconds: Option<i64>,
    pub channels: Option<i64>,
    /// What made the recording, such as `RecordVerb`.
    pub source: Option<String>,
    /// Why the recording has no audio.
    pub error_code: Option<i64>,
}

/// What Twilio reports.
#[derive(Debug, Clone)]
pub enum Update {
    Call(CallUpdate),
    Leg(LegUpdate),
    Recording(RecordingUpdate),
}

impl Update {
    /// What to remember if it cannot be stored: nothing follows a call that is not stored, unless it was dialed here.
    pub fn missed(&self) -> Option<Missed> {
        match self {
            Self::Leg(update) if update.is_bridged.is_some() => Some(Missed::Leg(update.clone())),
            Self::Leg(LegUpdate { token: None, parent: call, .. })
            | Self::Call(CallUpdate { token: None, sid: call, is_child: false, .. })
            | Self::Recording(RecordingUpdate { token: None, of: Recorded::Call(call), .. }) => {
                Some(Missed::Call(call.clone()))
            }
            Self::Call(_) | Self::Leg(_) | Self::Recording(_) => None,
        }
    }
}

/// Stores what Twilio reports. A finished recording commits together with the job that transcribes it. After an error, the
/// report must not be acknowledged.
pub async fn update(context: &Shared, update: Update) -> Result<(), Error> {
    let (shared, missed) = (Arc::clone(context), update.missed());
    let ingest = async move {
        match update {
            Update::Call(update) => ingest_call(&shared, &update).await,
            Update::Leg(update) => ingest_leg(&shared, &update).await,
            Update::Recording(update) => ingest_recording(&shared, &update).await,
        }
    };
    let stored = within_deadline(run_to_end(context, ingest)).await;
    if let (Err(_), Some(missed)) = (&stored, missed) {
        context.remember(missed);
    }
    stored
}

/// Stores the reports that could not be stored when they came: calls with the job that polls Twilio. Stops at the first that
/// still cannot be stored.
pub(super) async fn take_in_missed(context: &Shared) {
    loop {
        let Some(missed) = context.missed().front().cloned() else { return };
        let (sid, stored) = match &missed {
            Missed::Call(sid) => (sid, ingest_call(context, &only(None, sid)).await),
            Missed::Leg(update) => (&update.sid, ingest_leg(context, update).await),
        };
        match stored {
            Ok(()) => {
                context.missed().pop_front();
                tracing::info!(%sid, "stored what could not be stored when it was reported");
            }
            Err(Error::Store(store::Error::Aborted(_))) => {}
            Err(_) => return,
        }
    }
}

/// Returns an error before the vendor gives up waiting. The task goes on and may still store the report.
async fn within_deadline(ingest: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::time::timeout(ANSWER_WITHIN, ingest).await.unwrap_or(Err(Error::Pending("the database is busy")))
}

/// Handles AssemblyAI's webhook: makes the job that fetches the transcript due. Adopts an order that is missing here; its
/// webhook has proved to carry our secret.
pub async fn transcript_ready(context: &Shared, order: OrderId, id: Option<TranscriptId>) -> Result<(), Error> {
    let shared = Arc::clone(context);
    let ingest = async move {
        let context = &shared;
        let (order, id) = (&order, id.as_ref());
        let subject = order.as_str();
        // There is nothing to abort yet: only a kill is worth testing.
        _ = failpoint::reach(Moment::WebhookArrived, subject);
        let known = context.store.read().await?.transcript_by_id(order).await?;
        let is_stored = |known: &Transcript| id.is_some() && known.transcript_id.as_ref() == id;
        let call = match known.filter(|known| is_stored(known) && !context.stopping.is_cancelled()) {
            // All that a commit could do is have it polled sooner.
            Some(known) => {
                if !known.state.is_final() {
                    context.poll_soon(order);
                }
                known.call
            }
            None => take_in_webhook(context, order, id).await?,
        };
        let (call, id) = (call.as_ref().map(CallId::as_str), id.map(TranscriptId::as_str));
        tracing::info!(call, transcript = subject, id, "transcript finished");
        context.job_ready.notify_one();
        context.events.changed(subject);
        Ok(())
    };
    within_deadline(run_to_end(context, ingest)).await
}

/// Stores the transcript id that a webhook brings, or adopts an order that is missing here. Returns the call.
async fn take_in_webhook(
    context: &Shared,
    order: &OrderId,
    id: Option<&TranscriptId>,
) -> Result<Option<CallId>, store::Error> {
    let subject = order.as_str();
    context
        .store
        .write(Commit::IngestWebhook, subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let known = tx.transcript_by_id(order).await?;
            let call = known.as_ref().and_then(|known| known.call.clone());
            match (known, id) {
                (Some(known), _) if known.state.is_final() => {}
                // Late: the order has been submitted again since, with another model.
                (Some(Transcript { submission: Some(submission), .. }), Some(id))
                    if submission.ended.iter().any(|ended| ended == id.as_str()) => {}
                // The answer to the submission was lost; the webhook has the transcript id.
                (Some(known), Some(id)) if known.transcript_id.is_none() && known.asked_at.is_some() => {
                    tx.mark_submitted(&known, id.as_str(), None, now).await?;
                    tx.nudge_job(JobKind::Transcript, subject, now).await?;
                }
                (Some(_), _) => _ = tx.nudge_job(JobKind::Transcript, subject, now).await?,
                (None, Some(id)) => request::adopt_order(&mut tx, order, id, now).await?,
                // A webhook without an id, for redacted audio, of an unknown order.
                (None, None) => {}
            }
            Ok((tx, call))
        })
        .await
}

async fn ingest_call(context: &Shared, update: &CallUpdate) -> Result<(), Error> {
    if update.is_child {
        tracing::info!(sid = %update.sid, status = update.status, "received the status of a leg that another call dialed");
        return Ok(());
    }
    let state = CallState::of_twilio(&update.status);
    let subject = format!("{} {}", update.sid, update.status);
    let call = context
        .store
        .write(Commit::IngestCall, &subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let (call, _) = find_call(&mut tx, update, now + ms(poll_pause(0)), now).await?;
            tx.fill_in_call(&call.id, update.direction, update.to.as_deref(), update.from.as_deref()).await?;
            let moved = match state {
                Some(state) => tx.advance_call(&call.id, state.into(), now).await?,
                None => false,
            };
            if moved && state.is_some_and(CallState::is_over) {
                // Poll at once for the recording and for what callbacks missed.
                tx.open_job(JobKind::Call, call.id.as_str(), now, now).await?;
            }
            Ok((tx, call))
        })
        .await?;
    tracing::info!(call = %call.id, sid = %update.sid, status = update.status, "received a call status");
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

/// A leg never becomes a call of its own: its call is found, or inserted, by the SID of the call.
async fn ingest_leg(context: &Shared, update: &LegUpdate) -> Result<(), Error> {
    let LegUpdate { parent, sid, status, is_bridged, .. } = update;
    let Some(state) = leg_state(status) else {
        tracing::info!(%sid, status, "Twilio reported an unknown status of a leg");
        return Ok(());
    };
    let about = &only(update.token.clone(), parent);
    let call = context
        .store
        .write(Commit::IngestLeg, &format!("{sid} {status}"), |mut tx| async move {
            let now = context.clock.now_ms();
            let (call, _) = find_call(&mut tx, about, now + ms(poll_pause(0)), now).await?;
            let leg = leg(&call, sid, state, update.number.clone(), *is_bridged);
            put_leg(&mut tx, &leg, now).await?;
            Ok((tx, call))
        })
        .await?;
    tracing::info!(call = %call.id, leg = %sid, status, is_bridged, "received the status of a leg");
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

/// Parses the status of a leg, or that of the `<Dial>` that made it.
fn leg_state(status: &str) -> Option<CallState> {
    if status == "answered" { Some(CallState::Completed) } else { CallState::of_twilio(status) }
}

fn leg(call: &Call, sid: &CallSid, state: CallState, number: Option<String>, is_bridged: Option<bool>) -> Leg {
    Leg {
        sid: sid.clone(),
        call: call.id.clone(),
        number: if call.deletion.is_some() { None } else { number },
        state,
        is_bridged,
        answered_at: None,
        ended_at: None,
    }
}

/// Inserts a leg or moves it forward. A leg of a deleted call must be deleted at Twilio, too.
pub(super) async fn put_leg(tx: &mut Conn, leg: &Leg, now: i64) -> Result<(), store::Error> {
    if tx.put_leg(leg, now).await? && tx.is_deletion_wanted(&leg.call).await? {
        tx.open_job(JobKind::Deletion, leg.call.as_str(), now, now).await?;
    }
    Ok(())
}

/// Returns `None` if the SID or the state is not one of Twilio's.
pub(super) fn to_leg(call: &Call, leg: &twilio::Call) -> Option<Leg> {
    let (sid, state) = (leg.sid.parse().ok()?, CallState::of_twilio(&leg.status)?);
    let answered = leg.answered().filter(|_| state == CallState::Completed);
    Some(Leg {
        answered_at: answered.map(Timestamp::as_millisecond),
        ended_at: leg.ended().map(Timestamp::as_millisecond),
        ..self::leg(call, &sid, state, leg.to.clone(), None)
    })
}

async fn ingest_recording(context: &Shared, update: &RecordingUpdate) -> Result<(), Error> {
    let RecordingUpdate { sid, status, error_code, .. } = update;
    let Some(state) = RecordingState::named(status) else {
        tracing::info!(recording = %sid, status, "Twilio reported an unknown recording status");
        return Ok(());
    };
    let subject = format!("{sid} {status}");
    let step = if state.is_coming() { Commit::IngestRecordingStart } else { Commit::IngestRecording };
    let (call, moved) = context
        .store
        .write(step, &subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let poll_at = if state.is_coming() { now + ms(poll_pause(0)) } else { now };
            let (call, is_followed) = match &update.of {
                Recorded::Call(sid) => find_call(&mut tx, &only(update.token.clone(), sid), poll_at, now).await?,
                Recorded::Conference(conference) => {
                    let call = find_conference(&mut tx, update, conference, now).await?;
                    // Twilio lists the recording for no call, so an unfinished one must be polled for.
                    if state.is_coming() {
                        tx.open_job(JobKind::Call, call.id.as_str(), poll_at, now).await?;
                    }
                    (call, false)
                }
            };
            let recording = Recording {
                sid: sid.clone(),
                call: call.id.clone(),
                state,
                duration_seconds: update.duration_seconds,
                channels: update.channels,
                source: update.source.clone(),
                error_code: *error_code,
                audio: None,
                over_budget: None,
            };
            let moved = put_recording(&mut tx, context, &recording, now).await?;
            if moved && !state.is_coming() && !is_followed {
                tx.open_job(JobKind::Call, call.id.as_str(), poll_at, now).await?;
            }
            Ok((tx, (call, moved)))
        })
        .await?;
    tracing::info!(call = %call.id, recording = %sid, status, error_code, moved, "received a recording status");
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

/// What is known of the call of a recording.
fn only(token: Option<CallId>, sid: &CallSid) -> CallUpdate {
    let (status, direction) = (String::new(), Direction::Unknown);
    CallUpdate { token, sid: sid.clone(), status, direction, to: None, from: None, is_child: false }
}

/// Finds the call of a recording of a conference: that of the recording, that in the URL, or one of the conference's own.
/// Inserts that one if there is none. Twilio has no such call, so only its recordings can be polled.
async fn find_conference(
    tx: &mut Conn,
    update: &RecordingUpdate,
    conference: &ConferenceSid,
    now: i64,
) -> Result<Call, store::Error> {
    let known = tx.recording(&update.sid).await?.map(|recording| recording.call);
    let own = CallId::from(conference);
    for id in [known.as_ref(), update.token.as_ref(), Some(&own)].into_iter().flatten() {
        if let Some(call) = tx.call(&CallName::Id(id.clone())).await? {
            return Ok(call);
        }
    }
    let state = CallState::Completed;
    tx.find_or_insert_call(&Call { state, ..Call::unknown(own, None, now) }).await
}

/// Finds the call of a report by the call id in the URL, which also gives it its SID, or by its SID. Inserts an unknown
/// call with the job that follows it, due at `poll_at`. Returns the call, and whether it is new.
async fn find_call(tx: &mut Conn, update: &CallUpdate, poll_at: i64, now: i64) -> Result<(Call, bool), store::Error> {
    if let Some(token) = &update.token
        && let Some(mut call) = tx.call(&CallName::Id(token.clone())).await?
    {
        match &call.sid {
            Some(sid) if *sid == update.sid => return Ok((call, false)),
            // The id belongs to another call: ignore it.
            Some(_) => {}
            None if tx.call(&CallName::Sid(update.sid.clone())).await?.is_some() => {}
            None => {
                tx.set_call_sid(&call.id, &update.sid, now).await?;
                // A call that was lost is followed again; a deleted one must be deleted at Twilio, too.
                let kind = if call.deletion.is_some() { JobKind::Deletion } else { JobKind::Call };
                tx.open_job(kind, call.id.as_str(), now + ms(poll_pause(0)), now).await?;
                call.sid = Some(update.sid.clone());
                return Ok((call, false));
            }
        }
    }
    if let Some(call) = tx.call(&CallName::Sid(update.sid.clone())).await? {
        return Ok((call, false));
    }
    let new = Call {
        direction: update.direction,
        to: update.to.clone(),
        from: update.from.clone(),
        ..Call::unknown(CallId::new(now), Some(update.sid.clone()), now)
    };
    let call = tx.find_or_insert_call(&new).await?;
    tx.open_job(JobKind::Call, call.id.as_str(), poll_at, now).await?;
    Ok((call, true))
}

/// Inserts a recording or moves it forward. Opens the job that transcribes a finished recording, within
/// `TRANSCRIBE_PER_DAY`, or deletes a recording of a deleted call. Returns whether anything changed.
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
        // The transcript was indexed before its call was known, and may have been checked.
        tx.reindex_call(&recording.call).await?;
        tx.count_checked(&recording.sid).await?;
    }
    if tx.is_deletion_wanted(&recording.call).await? {
        tx.open_job(JobKind::Deletion, recording.call.as_str(), now, now).await?;
    } else if recording.state == RecordingState::Completed {
        if !is_transcribed {
            request::open_unasked(tx, context, recording, now).await?;
        }
        open_archiving(tx, context, recording, now).await?;
    }
    Ok(true)
}

/// Opens the job that copies a finished recording to the archive, if there is one.
async fn open_archiving(tx: &mut Conn, context: &Context, recording: &Recording, now: i64) -> Result<(), store::Error> {
    if context.archive.is_none() {
        return Ok(());
    }
    tx.open_job(JobKind::Archive, recording.sid.as_str(), now, now).await
}

/// Stores a recording, and its call, that a client requests a transcript of before any callback has reported it. `call` is
/// what Twilio knows of the call.
pub(super) async fn unknown_recording(
    context: &Shared,
    sid: &CallSid,
    call: Option<&twilio::Call>,
    recording: &twilio::Recording,
) -> Result<(), store::Error> {
    context
        .store
        .write(Commit::IngestUnknownRecording, &recording.sid, |mut tx| async move {
            let now = context.clock.now_ms();
            let call = match tx.call(&CallName::Sid(sid.clone())).await? {
                Some(known) => known,
                None => {
                    let new = tx.find_or_insert_call(&earlier(sid, call, recording, now)).await?;
                    tx.open_job(JobKind::Call, new.id.as_str(), now + ms(poll_pause(0)), now).await?;
                    new
                }
            };
            if let Some(recording) = to_model(&call, recording) {
                put_recording(&mut tx, context, &recording, now).await?;
            }
            Ok((tx, ()))
        })
        .await
}

/// Stores a finished recording that an import brings here, and its call, under Twilio's dates. `call` is what Twilio knows of the
/// call, which is over. Opens no job but that of the archive. Returns the id of its call, or `None` if that is deleted, or if Twilio names none.
pub(super) async fn imported(
    tx: &mut Conn,
    context: &Context,
    import: &ImportId,
    call: Option<&twilio::Call>,
    recording: &twilio::Recording,
    now: i64,
) -> Result<Option<CallId>, store::Error> {
    let made_at = recording.created().map_or(now, Timestamp::as_millisecond).min(now);
    let sid = recording.call_sid.as_deref().and_then(|sid| sid.parse::<CallSid>().ok());
    let conference = recording.conference_sid.as_deref().and_then(|sid| sid.parse::<ConferenceSid>().ok());
    let new = match (sid, conference) {
        (Some(sid), _) => Call { kind: kind_of(recording), ..earlier(&sid, call, recording, now) },
        (None, Some(conference)) => Call::unknown(CallId::from(&conference), None, made_at),
        (None, None) => return Ok(None),
    };
    let known = match recording.sid.parse() {
        Ok(sid) => tx.recording(&sid).await?.map(|known| CallName::Id(known.call)),
        Err(_) => None,
    };
    let name = known.unwrap_or_else(|| new.sid.clone().map_or(CallName::Id(new.id.clone()), CallName::Sid));
    let call_here = match tx.call(&name).await? {
        Some(known) => known,
        None => {
            let added = tx.find_or_insert_call(&new).await?;
            tx.mark_imported(&added.id, import).await?;
            let state = call.and_then(|call| CallState::of_twilio(&call.status)).unwrap_or(CallState::Completed);
            let ended = call.and_then(twilio::Call::ended).map(Timestamp::as_millisecond);
            tx.advance_call(&added.id, state.into(), ended.unwrap_or(made_at).min(now)).await?;
            added
        }
    };
    if call_here.deletion.is_some() {
        return Ok(None);
    }
    if let Some(new) = to_model(&call_here, recording)
        && tx.upsert_recording(&new, made_at).await?
    {
        open_archiving(tx, context, &new, now).await?;
        if !tx.is_imported(&call_here.id).await? {
            return Ok(Some(call_here.id));
        }
        // Nobody follows the call, so the first recording brings its price, and each one its own.
        let call = call.filter(|_| call_here.price.is_none());
        let known =
            call_here.price.into_iter().chain(call.and_then(charge::of_call)).chain(charge::of_recording(recording));
        if let Some(price) = Price::sum(known) {
            tx.set_price(&call_here.id, &price).await?;
        }
    }
    Ok(Some(call_here.id))
}

/// What a call was that other software has made. With a side of it on each of two channels, two people have talked.
fn kind_of(recording: &twilio::Recording) -> Kind {
    if recording.channels == Some(2) { Kind::Conversation } else { Kind::Message }
}

/// A call that is found by its recording, under the time at which it began. `call` is what Twilio knows of it.
fn earlier(sid: &CallSid, call: Option<&twilio::Call>, recording: &twilio::Recording, now: i64) -> Call {
    let began = call.and_then(twilio::Call::started).or_else(|| recording.created());
    let at = began.map_or(now, Timestamp::as_millisecond).min(now);
    let word = call.and_then(|call| call.direction.as_deref()).unwrap_or_default();
    Call {
        direction: Direction::of_twilio(word),
        to: call.and_then(|call| call.to.clone()),
        from: call.and_then(|call| call.from.clone()),
        ..Call::unknown(CallId::new(at), Some(sid.clone()), at)
    }
}

/// Returns `None` if the SID or the state is not one of Twilio's.
pub(super) fn to_model(call: &Call, recording: &twilio::Recording) -> Option<Recording> {
    Some(Recording {
        sid: recording.sid.parse().ok()?,
        call: call.id.clone(),
        state: RecordingState::named(&recording.status)?,
        duration_seconds: recording.seconds().and_then(|seconds| seconds.try_into().ok()),
        channels: recording.channels.map(i64::from),
        source: recording.source.clone(),
        error_code: recording.error_code,
        audio: None,
        over_budget: None,
    })
}
