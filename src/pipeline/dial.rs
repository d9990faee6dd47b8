//! Placing a call. The intent commits first, then `POST Calls` is sent once. If its answer is lost, the call is found and
//! adopted: by the call id in the URL of a callback, or in Twilio's list of calls (`pipeline::follow`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::asked::Asked;
use super::job::{self, Claimed, ms, poll_pause};
use super::right::{RIGHT_TO_CALL, Right};
use super::task::run_to_end;
use super::{Error, allowed, runner};
use crate::clients::twilio::CreateCall;
use crate::clients::{self, Kind, Service};
use crate::config::Cap;
use crate::config::speech_models;
use crate::context::{Context, Shared};
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::{self, Call, CallId, CallName, CallSid, CallState, FormNonce};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::name::Name;
use crate::model::phone::PhoneNumber;
use crate::store::{self, Conn, Done, Job, Transition};

/// How often a rate-limited `POST Calls` is repeated. Twilio has not placed the call then.
const REPEATS: u32 = 5;

/// The pause before the first repetition of a rate-limited `POST Calls`; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause before a rate-limited `POST Calls` is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The interval at which a waiting client reads the store if no event comes.
const READ_AGAIN: Duration = Duration::from_millis(250);

/// Grace on top of the client's timeout, so that the task's own error comes first.
const GRACE: Duration = Duration::from_secs(1);

/// The answer if the database was too slow to commit the intent.
const NOT_STORED: &str = "the database is busy; nothing was dialed";

#[derive(Debug, Clone)]
pub struct Request {
    pub number: PhoneNumber,
    /// The operator's phone, for a conversation: it rings first.
    pub operator: Option<PhoneNumber>,
    /// Key terms in addition to those of the settings.
    pub keyterms: Keyterms,
    /// What the operator files the call under.
    pub tag: Option<Name>,
    /// Whether to dial even if the number was dialed recently. A browser may open a URL again without its user: when it
    /// restores a session or duplicates a tab.
    pub again: bool,
    /// The nonce of the form, if the request comes from one.
    pub nonce: Option<FormNonce>,
    pub asked: Asked,
}

/// The call that answers a request to dial.
#[derive(Debug, Clone)]
pub struct Dialed {
    /// With its SID.
    pub call: Call,
    /// Whether the call existed before the request.
    pub was_there: bool,
}

enum Intent {
    /// The intent is committed, with the job that follows the call.
    Committed(Job),
    /// An existing call answers the request.
    Other(Box<Call>),
    /// The key was sent before, with another number.
    OtherRequest,
    /// The call that the key was sent for is deleted.
    Deleted,
    /// The cap is reached for this many milliseconds.
    TooMany(Cap, i64),
    /// The database was so slow that the client has been told that nothing was dialed.
    TooLate,
}

/// Dials a number once. While a call uses one of the phones that would ring, that call is the answer.
///
/// After [`Error::NotAllowed`] and [`Error::TooManyCalls`], nothing was sent to Twilio. [`Kind::Ambiguous`] means that it is
/// unknown whether the phone rings, [`Error::Unsettled`] that Twilio has not confirmed the call yet; in both cases the
/// pipeline keeps checking.
pub async fn dial(context: &Shared, request: Request) -> Result<Dialed, Error> {
    let Request { number, operator, keyterms, tag, .. } = &request;
    match operator {
        Some(operator) if operator == number => return Err(Error::SameNumber),
        Some(operator) => allowed::check_both(context, number, operator)?,
        None => allowed::check(context, number)?,
    }
    speech_models::check(&context.transcript.speech_models, &context.keyterms().and(keyterms))?;
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let now = context.clock.now_ms();
    let call = Call::to_be_placed(number, &context.phone_number, operator.as_ref(), keyterms.clone(), now);
    let tag = match tag {
        Some(tag) => Some(context.store.read().await?.known_tag(tag).await?),
        None => None,
    };
    let call = Call { tag, ..call };
    let id = call.id.clone();
    let until = Instant::now() + context.dial_timeout;
    let is_intended = Arc::new(AtomicBool::new(false));
    let placing = run_to_end(context, place(Arc::clone(context), request, call, until, Arc::clone(&is_intended)));
    match tokio::time::timeout_at(until + GRACE, placing).await {
        Ok(placed) => placed,
        Err(_) if is_intended.load(Ordering::Relaxed) => Err(Error::Unsettled { call: id }),
        Err(_) => Err(Error::Pending(NOT_STORED)),
    }
}

async fn place(
    context: Shared,
    request: Request,
    call: Call,
    until: Instant,
    is_intended: Arc<AtomicBool>,
) -> Result<Dialed, Error> {
    let to = request.number.masked();
    match intend(&context, &request, &call, &is_intended).await? {
        Intent::Committed(job) => {
            let sid = place_call(&context, &call, Claimed::new(&context, job), until).await?;
            Ok(Dialed { call: Call { sid: Some(sid), ..call }, was_there: false })
        }
        Intent::Other(other) => {
            tracing::info!(call = %other.id, to, "not dialed: a call with one of its numbers exists");
            let placed = tokio::time::timeout_at(until, wait_for_sid(&context, &other.id)).await;
            let sid = placed.unwrap_or_else(|_| Err(Error::Unsettled { call: other.id.clone() }))?;
            Ok(Dialed { call: Call { sid: Some(sid), ..*other }, was_there: true })
        }
        Intent::TooMany(Cap { setting, calls, .. }, _) if calls < 2 && request.operator.is_some() => {
            tracing::warn!(to, setting, "not dialed: the limit allows no conversation");
            Err(Error::NoConversations { calls, setting })
        }
        Intent::TooMany(Cap { setting, calls, window_name: window, .. }, left) => {
            tracing::warn!(to, setting, "not dialed: the limit is reached");
            let retry_after = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            Err(Error::TooManyCalls { calls, window, setting, retry_after })
        }
        Intent::OtherRequest => Err(Error::OtherRequest),
        Intent::Deleted => Err(Error::Deleted),
        Intent::TooLate => {
            tracing::warn!(to, "not dialed: the database took too long");
            Err(Error::Pending(NOT_STORED))
        }
    }
}

/// Commits the intent to place this call, with the job that follows it, unless an existing call answers the request or a
/// cap is reached. `is_intended` is `true` from the moment at which the intent may be committed.
async fn intend(
    context: &Shared,
    request: &Request,
    call: &Call,
    is_intended: &AtomicBool,
) -> Result<Intent, store::Error> {
    context
        .store
        .write(Commit::IntendToDial, call.id.as_str(), |mut tx| async move {
            tx.lock_dialing(context.clock.now_ms()).await?;
            tx.act_for(&request.asked.by);
            // The lock may have taken long, and the caps count from now.
            let now = context.clock.now_ms();
            tx.redate_calls(now).await?;
            // If the outcome of a commit is unknown, this runs again and may find the intent committed.
            let known =
                if is_intended.load(Ordering::Relaxed) { tx.call(&call.id.clone().into()).await? } else { None };
            if let Some(other) = known.as_ref().filter(|known| known.state != CallState::Dialing) {
                // Another instance already searches for this call.
                return Ok((tx, Intent::Other(Box::new(other.clone()))));
            }
            if known.is_none() {
                is_intended.store(false, Ordering::Relaxed);
                if now - call.created_at > ms(context.dial_timeout) {
                    return Ok((tx, Intent::TooLate));
                }
                if let Some(other) = dialed_for_key(&mut tx, request, now).await? {
                    let is_same = other.to.as_deref() == Some(&*request.number.to_string())
                        && other.operator.as_deref() == request.operator.as_ref().map(ToString::to_string).as_deref();
                    let intent = match other.deletion {
                        Some(_) => Intent::Deleted,
                        None if is_same => Intent::Other(Box::new(other)),
                        None => Intent::OtherRequest,
                    };
                    return Ok((tx, intent));
                }
                if let Some(other) = asked_before(&mut tx, context, request, now).await? {
                    return Ok((tx, Intent::Other(Box::new(other))));
                }
                let legs = if request.operator.is_some() { 2 } else { 1 };
                if let Some((cap, left)) = reached_cap(&mut tx, context.dial.caps, legs, now).await? {
                    let intent = match call_in_the_way(&mut tx, request).await? {
                        Some(other) => Intent::Other(Box::new(other)),
                        None => Intent::TooMany(cap, left),
                    };
                    return Ok((tx, intent));
                }
                let call = Call { created_at: now, ..call.clone() };
                is_intended.store(true, Ordering::Relaxed);
                while !tx.add_call(&call, context.urls.base(), request.nonce.as_ref()).await? {
                    // If there is none, the other call has ended meanwhile: insert again.
                    if let Some(other) = call_in_the_way(&mut tx, request).await? {
                        is_intended.store(false, Ordering::Relaxed);
                        return Ok((tx, Intent::Other(Box::new(other))));
                    }
                }
                if let Some(key) = &request.asked.key {
                    let done = Done { subject: call.id.to_string(), request: String::new() };
                    tx.keep_key(key, &done, now).await?;
                }
            }
            // The first poll is due while the phone rings. If the program dies, the lease runs out before that.
            let (lease, due) = (job::lease(context), now + ms(poll_pause(0)));
            let job = tx.insert_claimed_job(JobKind::Call, call.id.as_str(), lease, due, now).await?;
            Ok((tx, Intent::Committed(job)))
        })
        .await
}

/// The call that a request with the same key has dialed, unless Twilio has refused that.
async fn dialed_for_key(tx: &mut Conn, request: &Request, now: i64) -> Result<Option<Call>, store::Error> {
    let Some(key) = request.asked.key.as_deref() else { return Ok(None) };
    let Some(Done { subject, .. }) = tx.done_for_key(Some(key), now).await? else { return Ok(None) };
    let dialed = tx.call_not_refused(&subject).await?;
    if dialed.is_none() {
        tx.forget_key(key).await?;
    }
    Ok(dialed)
}

/// The call that this request has dialed before, or one so recent that it answers the request.
async fn asked_before(
    tx: &mut Conn,
    context: &Context,
    request: &Request,
    now: i64,
) -> Result<Option<Call>, store::Error> {
    if let Some(nonce) = &request.nonce
        && let Some(other) = tx.call_of_nonce(nonce, &request.number, request.operator.as_ref()).await?
    {
        return Ok(Some(other));
    }
    if request.again {
        return Ok(None);
    }
    let since = now - ms(context.dial.redial_after);
    let Some(recent) = tx.newest_dialed_since(&request.number, request.operator.as_ref(), since, now).await? else {
        return Ok(None);
    };
    Ok(Some(call_in_the_way(tx, request).await?.unwrap_or(recent)))
}

/// The call that uses a phone of this request, so that none rings a second time.
async fn call_in_the_way(tx: &mut Conn, request: &Request) -> Result<Option<Call>, store::Error> {
    for phone in [Some(&request.number), request.operator.as_ref()].into_iter().flatten() {
        if let Some(other) = tx.call_at(phone).await? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Returns the first cap that keeps this many phones from ringing, and for how many milliseconds.
async fn reached_cap(tx: &mut Conn, caps: [Cap; 3], phones: i64, now: i64) -> Result<Option<(Cap, i64)>, store::Error> {
    // Usually fewer calls are dialed within the longest window than the lowest cap allows: one query is enough.
    let longest = caps.iter().map(|cap| ms(cap.window)).max().unwrap_or_default();
    let fewest = caps.iter().map(|cap| i64::from(cap.calls)).min().unwrap_or_default();
    if tx.count_dialed_since(now - longest, now).await? <= fewest - phones {
        return Ok(None);
    }
    for cap in caps {
        if let Some(left) = reached_for(tx, cap, phones, now).await? {
            return Ok(Some((cap, left)));
        }
    }
    Ok(None)
}

/// Returns for how many milliseconds this cap is reached.
async fn reached_for(tx: &mut Conn, cap: Cap, phones: i64, now: i64) -> Result<Option<i64>, store::Error> {
    let window = ms(cap.window);
    let newer = i64::from(cap.calls) - phones;
    if newer < 0 {
        return Ok(Some(window));
    }
    let oldest = tx.dialed_before_newest(newer, now - window, now).await?;
    Ok(oldest.map(|oldest| (oldest + window - now).clamp(0, window)))
}

/// Sends `POST Calls` and stores the answer.
async fn place_call(context: &Shared, call: &Call, claimed: Claimed, until: Instant) -> Result<CallSid, Error> {
    let (id, to) = (&call.id, call.first_number().unwrap_or_default());
    let url = match call.kind {
        call::Kind::Message | call::Kind::Upload => context.urls.record(Some(id)),
        call::Kind::Conversation => context.urls.conversation(id),
    };
    let request = CreateCall {
        to,
        from: call.from.as_deref().unwrap_or_default(),
        url: &url,
        status_callback: &context.urls.call_progress(Some(id)),
        time_limit: context.call.max_seconds,
    };
    let right = Right::of_intent(context, call.created_at, RIGHT_TO_CALL);
    let masked = to.parse::<PhoneNumber>().map(|to| to.masked()).unwrap_or_default();
    let mut repeats = 0;
    let error = loop {
        let still = right.clone();
        match context.twilio.create_call(&request, move || !still.is_over()).await {
            Ok(_) if failpoint::reach(Moment::CallPlaced, id.as_str()).is_err() => {
                return search_now(context, call, claimed, None, until).await;
            }
            Ok(created) => match created.sid.parse::<CallSid>() {
                Ok(sid) => {
                    context.accept_twilio_settings();
                    let state = CallState::of_twilio(&created.status).unwrap_or(CallState::Queued);
                    tracing::info!(call = %id, %sid, to = masked, "dialed");
                    if let Err(error) = store_sid(context, call, &sid, state, claimed).await {
                        // The phone rings all the same. The next callback, or the search, finds the call.
                        tracing::error!(call = %id, %sid, "cannot store the call SID: {error}");
                    }
                    return Ok(sid);
                }
                Err(_) => break unreadable(),
            },
            Err(rate_limited)
                if matches!(rate_limited.kind, Kind::RateLimited { .. })
                    && repeats < REPEATS
                    && !context.stopping.is_cancelled() =>
            {
                let retry_after = rate_limited.kind.retry_after();
                let pause = job::jittered(FIRST_PAUSE * 2u32.pow(repeats)).max(retry_after.unwrap_or_default());
                repeats += 1;
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => {}
                    () = context.stopping.cancelled() => break rate_limited,
                }
                if right.is_over() || !may_repeat(context, call, &claimed.job).await? {
                    break rate_limited;
                }
            }
            Err(error) => break error,
        }
    };
    tracing::warn!(call = %id, to = masked, "dialing failed: {error}");
    if matches!(error.kind, Kind::Ambiguous(_)) {
        return search_now(context, call, claimed, Some(error), until).await;
    }
    let (reason, code) = (error.explanation(), error.code());
    let job = &claimed.job;
    context
        .store
        .write(Commit::StoreRefusal, id.as_str(), |mut tx| {
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

/// Whether this task holds the lease, and so may repeat the request.
async fn may_repeat(context: &Shared, call: &Call, job: &Job) -> Result<bool, store::Error> {
    context
        .store
        .write(Commit::RepeatDial, &format!("{} {}", call.id, job.claim), |mut tx| async move {
            let is_ours = tx.renew_job(job, job::lease(context)).await?;
            Ok((tx, is_ours))
        })
        .await
}

/// Stores the SID of a placed call. If a power cut undoes this unsynced commit, a callback finds the call by its id.
async fn store_sid(
    context: &Shared,
    call: &Call,
    sid: &CallSid,
    state: CallState,
    claimed: Claimed,
) -> Result<(), store::Error> {
    let job = &claimed.job;
    let taken = context
        .store
        .write_unsynced(Commit::StoreCallSid, call.id.as_str(), |mut tx| async move {
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
                // The instance that has claimed the job will read the SID.
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

/// It is unknown whether the phone rings. Searches for the call, and returns its SID if it is found in time.
async fn search_now(
    context: &Shared,
    call: &Call,
    claimed: Claimed,
    error: Option<clients::Error>,
    until: Instant,
) -> Result<CallSid, Error> {
    let reason = error.as_ref().map(clients::Error::explanation);
    let reason = reason.as_deref().unwrap_or("callscribe asked Twilio to place the call, and the response was lost");
    let job = &claimed.job;
    context
        .store
        .write(Commit::StoreUnknown, call.id.as_str(), |mut tx| async move {
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
    // The client waits, so the first search runs here. The worker runs any later ones.
    if let Some(job) = job::claim_again(context, JobKind::Call, call.id.as_str()).await? {
        let _ = runner::run_here(context, job).await;
    }
    context.job_ready.notify_one();
    let found = tokio::time::timeout_at(until, wait_for_sid(context, &call.id)).await;
    match (found, error) {
        (Ok(found), _) => found,
        (Err(_), Some(error)) => Err(error.into()),
        (Err(_), None) => Err(Error::Unsettled { call: call.id.clone() }),
    }
}

/// Waits for the SID of a call that is being placed.
async fn wait_for_sid(context: &Shared, id: &CallId) -> Result<CallSid, Error> {
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
            () = tokio::time::sleep(READ_AGAIN) => {}
            () = context.stopping.cancelled() => return Err(Error::Unsettled { call: id.clone() }),
        }
    }
}

fn unreadable() -> clients::Error {
    let kind = Kind::Ambiguous(Box::new(Kind::BadBody { path: "sid".to_owned() }));
    clients::Error { service: Service::Twilio, kind }
}
