//! The job that follows a call by polling Twilio, whose answer counts even if callbacks are lost. It first searches for a
//! call that Twilio may or may not have placed.

use std::time::Duration;

use super::charge::Charged;
use super::job::{self, FIRST_POLL, JobError, LONGEST_POLL_PAUSE, Next, ms, poll_pause};
use super::right::RIGHT_TO_CALL;
use super::{Error, charge, ingest, lookup};
use crate::clients::twilio::{self, Recording};
use crate::clients::{self, Kind};
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::call::{self, Call, CallId, CallName, CallSid, CallState, Direction};
use crate::model::leg::Leg;
use crate::store::{self, Conn, Job, Transition};

/// When a call that may have been placed is searched for, counted from its intent.
const SEARCHES: [Duration; 4] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(45), LAST_SEARCH];

/// After the last search, a call that was not found is lost. A request that was sent at the end of its right is on its way
/// for some seconds, and Twilio lists its call within seconds more; the rest is for clocks of other instances that differ.
const LAST_SEARCH: Duration = RIGHT_TO_CALL.saturating_add(Duration::from_secs(50));

/// How far back a call is searched for that a clock which was ahead has dated in the future.
const UNDATED: Duration = Duration::from_hours(24);

/// How far Twilio's dates may be behind ours, beyond what the `Date` of its answer shows.
const SKEW: Duration = Duration::from_secs(5);

/// The job gives up after this time. The longest calls take four hours.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

/// How long a call that Twilio does not find is polled again.
const UNKNOWN_FOR: Duration = Duration::from_secs(15 * 60);

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let call = context.store.read().await?.call(&CallName::Id(id)).await?;
    match call {
        None => job::close(context, job).await,
        // Nothing more of a deleted call is stored.
        Some(Call { deletion: Some(_), .. }) => job::close(context, job).await,
        Some(Call { sid: Some(ref sid), .. }) => {
            let sid = sid.clone();
            poll(context, job, &call.expect("it was just matched"), &sid).await
        }
        Some(call) if call.state.holds_number() => search(context, job, &call).await,
        Some(call) if call.state.is_over() => poll_recordings(context, job, &call).await,
        Some(_) => job::close(context, job).await,
    }
}

/// Searches Twilio's list for a call that may have been placed: to this number, later than the intent, and unknown here.
async fn search(context: &Shared, job: &Job, call: &Call) -> Result<(), JobError> {
    let now = context.clock.now_ms();
    let is_undated = call.created_at > now + ms(SKEW);
    let since = if is_undated { now - ms(UNDATED) } else { call.created_at - ms(SKEW) };
    let (to, from) = (call.first_number().unwrap_or_default(), call.from.as_deref().unwrap_or_default());
    let placed =
        context.twilio.calls_between(to, from, |date| job::at_vendor(context, since, date)).await.map_err(retried)?;
    let mut candidates = Vec::new();
    for found in placed {
        if let Ok(sid) = found.sid.parse::<CallSid>()
            && !context.store.read().await?.is_sid_known(sid.as_str()).await?
        {
            candidates.push((sid, found.status));
        }
    }
    let found = match &candidates[..] {
        [(sid, status)] => Some((sid, CallState::of_twilio(status).unwrap_or(CallState::Queued))),
        _ => None,
    };
    let several = candidates.len() > 1;

    let now = context.clock.now_ms();
    // By another clock, the age could be negative.
    let age = (now - call.created_at).max(0);
    let next = if is_undated {
        let search = usize::try_from(job.polls).ok().and_then(|polls| SEARCHES.get(polls));
        search.map(|search| now + ms(*search))
    } else {
        SEARCHES.iter().map(|search| ms(*search)).find(|search| *search > age).map(|search| now + search - age)
    };
    // After the computer has slept, the request may still be on its way, and by the clock of another instance it may be
    // younger than it seems, so one search is not enough.
    let next = next.or((job.polls == 0).then_some(now + ms(LAST_SEARCH)));
    let again = &Job { polls: job.polls + 1, ..job.clone() };
    context
        .store
        .write(Commit::SearchForCall, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            // A callback may have stored the SID meanwhile.
            if tx.call(&CallName::Id(call.id.clone())).await?.is_some_and(|call| call.sid.is_some()) {
                tx.reschedule_job(job, now, now, None).await?;
                return Ok((tx, ()));
            }
            match (found, next) {
                (Some((sid, state)), _) => {
                    tx.set_call_sid(&call.id, sid, now).await?;
                    tx.advance_call(&call.id, state.into(), now).await?;
                    tx.reschedule_job(job, now, now, None).await?;
                }
                (None, Some(next)) => {
                    let reason =
                        Some("callscribe asked Twilio to place the call, and is checking whether that happened");
                    tx.advance_call(&call.id, Transition { state: CallState::Unknown, reason, code: None }, now)
                        .await?;
                    tx.reschedule_job(again, next, now, reason).await?;
                }
                (None, None) => {
                    let reason = if several {
                        "several calls to this number were placed at that time, and it is unknown which of them this is"
                    } else {
                        "Twilio has no such call, so it was not placed"
                    };
                    let lost = Transition { state: CallState::Lost, reason: Some(reason), code: None };
                    tx.advance_call(&call.id, lost, now).await?;
                    tx.end_job(job, None, now).await?;
                }
            }
            Ok((tx, ()))
        })
        .await?;
    match found {
        Some((sid, _)) => tracing::info!(%sid, "found a call whose response was lost"),
        None => tracing::info!(age_ms = age, given_up = next.is_none(), "searched Twilio for a call and found none"),
    }
    context.events.changed(call.id.as_str());
    context.job_ready.notify_one();
    Ok(())
}

/// Polls Twilio for the call and its recordings.
async fn poll(context: &Shared, job: &Job, call: &Call, sid: &CallSid) -> Result<(), JobError> {
    // A clock that was ahead may have dated the call in the future, but no longer the job.
    let age = context.clock.now_ms() - call.created_at.min(job.created_at);
    let found = match context.twilio.call(sid.as_str()).await {
        Err(error) if matches!(error.kind, Kind::NotFound(_)) && age < ms(UNKNOWN_FOR) => {
            return Err(JobError::poll_again(error.into(), poll_pause(job.polls)));
        }
        found => found.map_err(retried)?,
    };
    let mut recordings = context.twilio.recordings_of_call(sid.as_str()).await.map_err(retried)?;
    let (unlisted, _) = unlisted(context, call, &recordings).await?;
    recordings.extend(unlisted);
    let known = if call.may_have_legs() { context.store.read().await?.legs_of(&call.id).await? } else { Vec::new() };
    let legs = legs(context, call, sid, &known).await?;
    let direction = Direction::of_twilio(found.direction.as_deref().unwrap_or_default());
    let state = CallState::of_twilio(&found.status);

    let now = context.clock.now_ms();
    // By our clock, from the moment the end was stored.
    let just_ended = call.ended_at.is_none_or(|ended| (now - ended).abs() < ms(lookup::LISTED_WITHIN));
    // Of a conversation that nobody but the operator answered, there is no recording.
    let was_answered = |leg: &twilio::Call| leg.status == CallState::Completed.as_str();
    let is_answered = call.operator.is_none()
        || legs.iter().any(was_answered)
        || known.iter().any(|leg| leg.state == CallState::Completed);
    let is_unlisted = found.status == CallState::Completed.as_str() && is_answered && recordings.is_empty();
    let is_up = found.is_up() || legs.iter().any(twilio::Call::is_up);
    let is_awaited = is_up || recordings.iter().any(Recording::is_coming) || (is_unlisted && just_ended);
    // A call that nobody has answered costs nothing.
    let charged = &(state == Some(CallState::Completed)).then(|| Charged::of(&found, &legs, &recordings));
    let (found, recordings, legs) = (&found, &recordings, &legs);
    let settled = context
        .store
        .write(Commit::PollCall, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            tx.fill_in_call(&call.id, direction, found.to.as_deref(), found.from.as_deref()).await?;
            if let Some(state) = state {
                tx.advance_call(&call.id, state.into(), now).await?;
            }
            for leg in legs {
                if let Some(leg) = ingest::to_leg(call, leg) {
                    ingest::put_leg(&mut tx, &leg, now).await?;
                }
            }
            put_recordings(&mut tx, context, call, recordings, now).await?;
            if !is_awaited {
                tx.end_job(job, None, now).await?;
                if let Some(charged) = charged {
                    charge::settle(&mut tx, &call.id, charged, now).await?;
                }
            }
            Ok((tx, !is_awaited))
        })
        .await?;
    let (recorded, dialed) = (recordings.len(), legs.len());
    tracing::info!(%sid, status = found.status, recordings = recorded, legs = dialed, settled, "polled a call");
    context.events.changed(call.id.as_str());
    context.job_ready.notify_one();
    if settled {
        return Ok(());
    }
    let error = Error::Pending("the call or its recording is not finished");
    // A call that was not reported may have been over for long when it was found.
    let followed_for = context.clock.now_ms() - job.created_at;
    Err(if followed_for > ms(DEADLINE) {
        JobError::fail(error)
    } else {
        JobError::poll_again(error, poll_pause(job.polls))
    })
}

/// Polls Twilio for the recordings of a call that Twilio does not know, such as that of a conference.
async fn poll_recordings(context: &Shared, job: &Job, call: &Call) -> Result<(), JobError> {
    let age = context.clock.now_ms() - job.created_at;
    let (recordings, is_missing) = &unlisted(context, call, &[]).await?;
    let is_awaited = recordings.iter().any(Recording::is_coming) || (*is_missing && age < ms(UNKNOWN_FOR));
    context
        .store
        .write(Commit::PollCall, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            put_recordings(&mut tx, context, call, recordings, now).await?;
            if !is_awaited {
                tx.end_job(job, None, now).await?;
            }
            Ok((tx, ()))
        })
        .await?;
    tracing::info!(recordings = recordings.len(), settled = !is_awaited, "polled the recordings of a conference");
    context.events.changed(call.id.as_str());
    context.job_ready.notify_one();
    if !is_awaited {
        return Ok(());
    }
    let error = Error::Pending("the recording is not finished");
    Err(if age > ms(DEADLINE) { JobError::fail(error) } else { JobError::poll_again(error, poll_pause(job.polls)) })
}

/// Fetches the unfinished recordings of a call that Twilio does not list for it: a recording of a conference belongs to none
/// of its calls. Returns whether Twilio does not find one, too.
async fn unlisted(context: &Shared, call: &Call, listed: &[Recording]) -> Result<(Vec<Recording>, bool), JobError> {
    let known = context.store.read().await?.recordings_of(&call.id).await?;
    let (mut found, mut is_missing) = (Vec::new(), false);
    for known in known.iter().filter(|known| known.state.is_coming()) {
        let sid = known.sid.as_str();
        if listed.iter().any(|listed| listed.sid == sid) {
            continue;
        }
        match context.twilio.recording(sid).await {
            Err(error) if matches!(error.kind, Kind::NotFound(_)) => is_missing = true,
            recording => found.push(recording.map_err(retried)?),
        }
    }
    Ok((found, is_missing))
}

/// Fetches the legs of a call: those that Twilio lists for it, and of those that are known here the unfinished ones that it
/// does not list.
async fn legs(context: &Shared, call: &Call, sid: &CallSid, known: &[Leg]) -> Result<Vec<twilio::Call>, JobError> {
    // Other programs may use the account, too.
    let is_forwarded = call.may_have_legs() && context.call.forward_seconds.is_some();
    if call.kind != call::Kind::Conversation && !is_forwarded && known.is_empty() {
        return Ok(Vec::new());
    }
    let mut legs = context.twilio.legs_of(sid.as_str()).await.map_err(retried)?;
    for Leg { sid, .. } in known.iter().filter(|leg| !leg.state.is_over()) {
        if legs.iter().any(|listed| listed.sid == sid.as_str()) {
            continue;
        }
        match context.twilio.call(sid.as_str()).await {
            Err(error) if matches!(error.kind, Kind::NotFound(_)) => {}
            leg => legs.push(leg.map_err(retried)?),
        }
    }
    Ok(legs)
}

async fn put_recordings(
    tx: &mut Conn,
    context: &Context,
    call: &Call,
    recordings: &[Recording],
    now: i64,
) -> Result<(), store::Error> {
    for recording in recordings {
        if let Some(recording) = ingest::to_model(call, recording) {
            ingest::put_recording(tx, context, &recording, now).await?;
        }
    }
    Ok(())
}

/// Twilio may answer later what it refuses now, and the call goes on meanwhile: retry.
fn retried(error: clients::Error) -> JobError {
    match error.kind {
        Kind::NotFound(_) | Kind::Rejected(_) => JobError { error: error.into(), next: Next::Retry(None) },
        _ => error.into(),
    }
}

/// Marks a call without a SID as lost, and any other as no longer followed, when the job has failed for good.
pub(super) async fn give_up(
    tx: &mut Conn,
    context: &Context,
    job: &Job,
    reason: &str,
    now: i64,
) -> Result<(), store::Error> {
    let longest_call = ms(Duration::from_secs(context.call.max_seconds.into()) + FIRST_POLL * 60);
    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    match tx.call(&CallName::Id(id.clone())).await? {
        Some(call) if call.sid.is_none() => {
            let lost = Transition { state: CallState::Lost, reason: Some(reason), code: None };
            tx.advance_call(&id, lost, now).await.map(drop)
        }
        // Somebody may still be on the phone, so the number stays in use, unless a clock that was ahead has dated the call.
        Some(call) if call.state.holds_number() && (now - call.created_at).abs() < longest_call => {
            tx.open_job(job.kind, &job.subject, now + ms(LONGEST_POLL_PAUSE), now).await
        }
        Some(_) => tx.stop_following(&id, Some(reason)).await,
        None => Ok(()),
    }
}
