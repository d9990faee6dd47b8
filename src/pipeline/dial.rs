//! Placing a call. The intent is committed before Twilio is asked; the question is sent once, and where its answer does
//! not come, the call is looked for and adopted: by the token in the addresses that Twilio calls back to, or in
//! Twilio's list of calls (`pipeline::follow`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::job::{self, Claimed, ms, poll_pause};
use super::task::run_to_end;
use super::{Error, allowed, runner};
use crate::clients::twilio::CreateCall;
use crate::clients::{self, Kind, Service};
use crate::config::Cap;
use crate::context::{Context, Shared};
use crate::failpoint::{self, Moment, Step};
use crate::model::call::{Call, CallId, CallName, CallSid, CallState, FormNonce};
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::store::{self, Conn, Job, JobKind, Transition};

/// How often Twilio is asked again that said it was asked too much: then nothing was done.
const REPEATS: u32 = 5;

/// First pause before that; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A call is not placed this long after its intent.
const TOO_LATE: Duration = Duration::from_secs(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whoever waits for a call's SID looks this often even if nothing is told.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What went wrong is told by the step itself, which ends in time; this much later, that it goes on.
const GRACE: Duration = Duration::from_secs(1);

/// What whoever dials is told if nothing came of it because of the database.
const NOT_STORED: &str = "the database is busy; nothing was dialled";

/// What is to be dialled.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who is called.
    pub number: PhoneNumber,
    /// Terms for the transcript beyond those of the settings.
    pub keyterms: Keyterms,
    /// Whether the number is dialled once more although it was not long ago. An address that a browser opens may have
    /// been opened by itself: a session that is restored, a tab that is doubled.
    pub again: bool,
    /// The nonce of the form that asks for it, if a form does.
    pub nonce: Option<FormNonce>,
}

/// A call that was asked for.
#[derive(Debug, Clone)]
pub struct Dialed {
    /// Twilio's name of it.
    pub sid: CallSid,
    /// Whether it was there before.
    pub was_there: bool,
}

/// What becomes of an intent.
enum Intent {
    /// It is committed, with the job that follows the call.
    Committed(Job),
    /// Another call is the answer.
    Other(Call),
    /// It would be one too many; the next may be dialled in so many milliseconds.
    TooMany(Cap, i64),
    /// The database had it wait for so long that whoever asked was told that nothing is dialled.
    TooLate,
}

/// Dials a number, once. While a call to it is up, that call is the answer. The key terms are kept for the transcript.
///
/// # Errors
/// [`Error::NotAllowed`] and [`Error::TooManyCalls`] if the number, or one more call, is not allowed: then nothing was
/// asked. [`Kind::Ambiguous`] if nobody knows whether the phone rings, [`Error::Unsettled`] if Twilio has not taken the
/// call yet; both are gone on with.
pub async fn dial(context: &Shared, request: Request) -> Result<Dialed, Error> {
    let Request { number, keyterms, .. } = &request;
    allowed::check(context, number)?;
    context.transcript.keyterms.and(keyterms).check(&context.transcript.keyterm_limit(None))?;
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let call = Call::to_be_placed(number, &context.phone_number, keyterms.clone(), context.clock.now_ms());
    let id = call.id.clone();
    let until = Instant::now() + context.dial_timeout;
    let is_meant = Arc::new(AtomicBool::new(false));
    let placing = run_to_end(context, place(Arc::clone(context), request, call, until, Arc::clone(&is_meant)));
    match tokio::time::timeout_at(until + GRACE, placing).await {
        Ok(placed) => placed,
        Err(_) if is_meant.load(Ordering::Relaxed) => Err(Error::Unsettled { call: id }),
        Err(_) => Err(Error::Pending(NOT_STORED)),
    }
}

async fn place(
    context: Shared,
    request: Request,
    call: Call,
    until: Instant,
    is_meant: Arc<AtomicBool>,
) -> Result<Dialed, Error> {
    let to = request.number.masked();
    match intend(&context, &request, &call, &is_meant).await? {
        Intent::Committed(job) => {
            let sid = ask(&context, &call, Claimed::new(&context, job), until).await?;
            Ok(Dialed { sid, was_there: false })
        }
        Intent::Other(other) => {
            tracing::info!(call = %other.id, to, "not dialled: there is a call to this number");
            let placed = tokio::time::timeout_at(until, placed(&context, &other.id)).await;
            let sid = placed.unwrap_or(Err(Error::Unsettled { call: other.id }))?;
            Ok(Dialed { sid, was_there: true })
        }
        Intent::TooMany(Cap { setting, calls, window_name: window, .. }, left) => {
            tracing::warn!(to, setting, "not dialled: the cap is reached");
            let retry_after = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            Err(Error::TooManyCalls { calls, window, setting, retry_after })
        }
        Intent::TooLate => {
            tracing::warn!(to, "not dialled: the database took too long");
            Err(Error::Pending(NOT_STORED))
        }
    }
}

/// Commits that this call is to be placed, with the job that follows it, unless another is the answer or it is one too
/// many. From the moment on at which it may be committed, `is_meant` is true.
async fn intend(
    context: &Shared,
    request: &Request,
    call: &Call,
    is_meant: &AtomicBool,
) -> Result<Intent, store::Error> {
    context
        .store
        .write(Step::IntendToDial, call.id.as_str(), |mut tx| async move {
            tx.lock_dialing(context.clock.now_ms()).await?;
            // That may have taken its time, and caps are of the time at which is dialled.
            let now = context.clock.now_ms();
            // It may be there if this is a second try, because nobody saw how the first one ended.
            let known = match is_meant.load(Ordering::Relaxed) {
                true => tx.call(&call.id.clone().into()).await?,
                false => None,
            };
            if let Some(other) = known.as_ref().filter(|known| known.state != CallState::Dialing) {
                // By now somebody else looks for it.
                return Ok((tx, Intent::Other(other.clone())));
            }
            if known.is_none() {
                is_meant.store(false, Ordering::Relaxed);
                if now - call.created_at > ms(context.dial_timeout) {
                    return Ok((tx, Intent::TooLate));
                }
                if let Some(other) = asked_before(&mut tx, context, request, now).await? {
                    return Ok((tx, Intent::Other(other)));
                }
                if let Some((cap, left)) = full(&mut tx, context.dial.caps, now).await? {
                    let other = tx.call_to(&request.number).await?;
                    return Ok((tx, other.map_or(Intent::TooMany(cap, left), Intent::Other)));
                }
                let call = Call { created_at: now, ..call.clone() };
                is_meant.store(true, Ordering::Relaxed);
                while !tx.add_call(&call, context.urls.base(), request.nonce.as_ref()).await? {
                    // Of a call that has ended in this moment, the number is in use no longer.
                    if let Some(other) = tx.call_to(&request.number).await? {
                        is_meant.store(false, Ordering::Relaxed);
                        return Ok((tx, Intent::Other(other)));
                    }
                }
            }
            // It is looked at while it rings. So it is if this program dies meanwhile: then the lease has run out before.
            let (lease, due) = (job::lease(context), now + ms(poll_pause(0)));
            let job = tx.insert_claimed_job(JobKind::Call, call.id.as_str(), lease, due, now).await?;
            Ok((tx, Intent::Committed(job)))
        })
        .await
}

/// The call that this very request has dialled before, or that counts as such.
async fn asked_before(
    tx: &mut Conn,
    context: &Context,
    request: &Request,
    now: i64,
) -> Result<Option<Call>, store::Error> {
    if let Some(nonce) = &request.nonce
        && let Some(other) = tx.call_of_nonce(nonce, &request.number).await?
    {
        return Ok(Some(other));
    }
    if tx.has_other_writers()
        && let Some(other) = tx.call_to(&request.number).await?
    {
        // To add a call to its number would wait for whoever writes of it just now.
        return Ok(Some(other));
    }
    match request.again {
        true => Ok(None),
        false => tx.newest_dialed_since(&request.number, now - ms(context.dial.redial_after)).await,
    }
}

/// The first cap that is reached, and how many milliseconds it stays so.
async fn full(tx: &mut Conn, caps: [Cap; 3], now: i64) -> Result<Option<(Cap, i64)>, store::Error> {
    // Mostly fewer are dialled in the longest time than may be in the shortest.
    let longest = caps.iter().map(|cap| ms(cap.window)).max().unwrap_or_default();
    let fewest = caps.iter().map(|cap| i64::from(cap.calls)).min().unwrap_or_default();
    if tx.count_dialed_since(now - longest).await? < fewest {
        return Ok(None);
    }
    for cap in caps {
        if let Some(left) = full_for(tx, cap, now).await? {
            return Ok(Some((cap, left)));
        }
    }
    Ok(None)
}

/// How many milliseconds a cap stays reached, if it is.
async fn full_for(tx: &mut Conn, cap: Cap, now: i64) -> Result<Option<i64>, store::Error> {
    let window = ms(cap.window);
    let Some(newer) = i64::from(cap.calls).checked_sub(1).filter(|newer| *newer >= 0) else { return Ok(Some(window)) };
    let oldest = tx.dialed_before_newest(newer, now - window).await?;
    Ok(oldest.map(|oldest| (oldest + window - now).clamp(0, window)))
}

/// Asks Twilio to place the call, and writes down what it says.
async fn ask(context: &Shared, call: &Call, claimed: Claimed, until: Instant) -> Result<CallSid, Error> {
    let (id, to) = (&call.id, call.to.as_deref().unwrap_or_default());
    let request = CreateCall {
        to,
        from: call.from.as_deref().unwrap_or_default(),
        url: &context.urls.record(Some(id)),
        status_callback: &context.urls.call_progress(Some(id)),
        time_limit: context.call.max_seconds,
    };
    let masked = to.parse::<PhoneNumber>().map(|to| to.masked()).unwrap_or_default();
    let mut repeats = 0;
    let error = loop {
        // Of a computer that slept between the intent and now.
        if is_old(context, call) {
            break too_late();
        }
        match context.twilio.create_call(&request).await {
            Ok(_) if failpoint::reach(Moment::CallPlaced, id.as_str()).is_err() => {
                return lost_sight(context, call, claimed, None, until).await;
            }
            Ok(created) => match created.sid.parse::<CallSid>() {
                Ok(sid) => {
                    let state = CallState::of_twilio(&created.status).unwrap_or(CallState::Queued);
                    tracing::info!(call = %id, %sid, to = masked, "dialled");
                    if let Err(error) = took(context, call, &sid, state, claimed).await {
                        // The phone rings all the same; the call is found again as one that nobody knows of.
                        tracing::error!(call = %id, %sid, "the call's SID could not be stored: {error}");
                    }
                    return Ok(sid);
                }
                Err(_) => break unreadable(),
            },
            Err(too_much)
                if matches!(too_much.kind, Kind::RateLimited { .. })
                    && repeats < REPEATS
                    && !context.stopping.is_cancelled() =>
            {
                let retry_after = too_much.kind.retry_after();
                let pause = job::jittered(FIRST_PAUSE * 2u32.pow(repeats)).max(retry_after.unwrap_or_default());
                repeats += 1;
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => {}
                    () = context.stopping.cancelled() => break too_much,
                }
                if !may_ask_again(context, call, claimed.job()).await? {
                    break too_much;
                }
            }
            Err(error) => break error,
        }
    };
    tracing::warn!(call = %id, to = masked, "dialling failed: {error}");
    if matches!(error.kind, Kind::Ambiguous(_)) {
        return lost_sight(context, call, claimed, Some(error), until).await;
    }
    let (reason, code) = (error.explanation(), error.code());
    let job = claimed.job();
    context
        .store
        .write(Step::StoreRefusal, id.as_str(), |mut tx| {
            let reached = Transition { state: CallState::Failed, reason: Some(&reason), code };
            async move {
                let now = context.clock.now_ms();
                tx.advance_call(id, reached, now).await?;
                tx.close_job(JobKind::Call, job.subject.as_str(), now).await?;
                Ok((tx, ()))
            }
        })
        .await?;
    context.events.changed(id.as_str());
    Err(error.into())
}

/// Whether the call is still this one's to place: nobody else has begun to look for it, and it is young.
async fn may_ask_again(context: &Shared, call: &Call, job: &Job) -> Result<bool, store::Error> {
    context
        .store
        .write(Step::RepeatDial, &format!("{} {}", call.id, job.claim), |mut tx| async move {
            let is_ours = tx.renew_job(job, job::lease(context)).await?;
            Ok((tx, is_ours && !is_old(context, call)))
        })
        .await
}

/// Twilio has taken the call. If a power cut undoes that, the call is found again by its token.
async fn took(
    context: &Shared,
    call: &Call,
    sid: &CallSid,
    state: CallState,
    claimed: Claimed,
) -> Result<(), store::Error> {
    let job = claimed.job();
    let taken = context
        .store
        .write_unsynced(Step::StoreCallSid, call.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            if !tx.mark_placed(&call.id, sid, state, now).await? {
                tx.set_call_sid(&call.id, sid, now).await?;
                tx.advance_call(&call.id, state.into(), now).await?;
            }
            if tx.release_until_due(job, now).await? {
                return Ok((tx, ()));
            }
            match tx.reschedule_job(job, now + ms(poll_pause(0)), now, None).await {
                Ok(()) => {}
                // Whoever has the job by now finds the SID.
                Err(store::Error::LeaseLost) => {
                    tx.open_job(JobKind::Call, call.id.as_str(), now + ms(poll_pause(0)), now).await?;
                }
                Err(error) => return Err(error),
            }
            Ok((tx, ()))
        })
        .await;
    context.events.changed(call.id.as_str());
    taken
}

/// Nobody knows whether the phone rings. The call is looked for from now on; if it is found soon, that is the answer.
async fn lost_sight(
    context: &Shared,
    call: &Call,
    claimed: Claimed,
    error: Option<clients::Error>,
    until: Instant,
) -> Result<CallSid, Error> {
    let reason = error.as_ref().map(clients::Error::explanation);
    let reason = reason.as_deref().unwrap_or("Twilio was asked, and its answer was not seen");
    let job = claimed.job();
    context
        .store
        .write(Step::StoreUnknown, call.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            let unknown = Transition { state: CallState::Unknown, reason: Some(reason), code: None };
            tx.advance_call(&call.id, unknown, now).await?;
            match tx.reschedule_job(job, now, now, Some(reason)).await {
                Ok(()) | Err(store::Error::LeaseLost) => Ok((tx, ())),
                Err(error) => Err(error),
            }
        })
        .await?;
    drop(claimed);
    // The first look needs no worker. If it finds nothing yet, the next ones come by themselves.
    if let Some(job) = job::claim_again(context, JobKind::Call, call.id.as_str()).await? {
        let _ = runner::run_here(context, job).await;
    }
    context.job_ready.notify_one();
    let found = tokio::time::timeout_at(until, placed(context, &call.id)).await;
    match (found, error) {
        (Ok(found), _) => found,
        (Err(_), Some(error)) => Err(error.into()),
        (Err(_), None) => Err(Error::Unsettled { call: call.id.clone() }),
    }
}

/// Waits for the SID of a call that is being placed.
async fn placed(context: &Shared, id: &CallId) -> Result<CallSid, Error> {
    let mut listener = context.events.listen();
    loop {
        let call = context.store.read().await?.call(&CallName::Id(id.clone())).await?;
        match call {
            Some(Call { sid: Some(sid), .. }) => return Ok(sid),
            Some(Call { state, reason, .. }) if !state.holds_number() => {
                return Err(Error::NotPlaced(reason.unwrap_or_else(|| state.as_str().to_owned())));
            }
            _ => {}
        }
        tokio::select! {
            () = listener.changed(id.as_str()) => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = context.stopping.cancelled() => return Err(Error::Unsettled { call: id.clone() }),
        }
    }
}

/// A phone does not ring when whoever dialled has long given up.
fn is_old(context: &Context, call: &Call) -> bool {
    context.clock.now_ms() - call.created_at >= ms(TOO_LATE)
}

/// Twilio was not asked.
fn too_late() -> clients::Error {
    let kind = Kind::Unreachable("it is too late".to_owned());
    clients::Error { service: Service::Twilio, kind }
}

fn unreadable() -> clients::Error {
    let kind = Kind::Ambiguous(Box::new(Kind::BadBody { path: "sid".to_owned() }));
    clients::Error { service: Service::Twilio, kind }
}
