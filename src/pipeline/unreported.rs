//! The job that searches for inbound calls that Twilio has not reported to us: their callbacks came while the program was
//! down, or in a long lock of the database that it did not survive. Nothing follows an inbound call before its first callback
//! is stored, so Twilio's list is the only trace of it.

use std::time::Duration;

use jiff::Timestamp;

use super::job::{JobError, ms};
use crate::clients::{self, twilio};
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::call::{Call, CallId, CallName, CallSid, Direction};
use crate::model::job::{JobKind, UNREPORTED};
use crate::store::{self, Conn, Job};

/// The pause between two searches: callbacks may be lost on their way while the program runs, too.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// How far a search reaches back before the last one: Twilio lists a call some seconds after it has come in.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// How far back a search reaches at most. The operator may name older calls to `/transcribe`.
const FURTHEST: Duration = Duration::from_hours(30 * 24);

/// Opens the job, which is never done: each run schedules the next.
pub(super) async fn open(tx: &mut Conn, context: &Context, now: i64) -> Result<(), store::Error> {
    tx.open_unreported(&context.phone_number.to_string(), now).await?;
    tx.open_job(JobKind::Unreported, UNREPORTED, now, now).await
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let number = &context.phone_number.to_string();
    let now = context.clock.now_ms();
    let Some(begun) = context.store.read().await?.unreported(number).await? else {
        // An instance with another number has opened the job.
        return again(context, job, number, &[], None).await;
    };
    // The first search knows only our own clock.
    let since = move |date: Option<Timestamp>| {
        let theirs = date.map_or(now, Timestamp::as_millisecond);
        // Twilio's dates are whole seconds: rounded up, this would leave out the calls of the second in which it was opened.
        let opened_at = || (begun.opened_at + (theirs - now)) / 1_000 * 1_000;
        begun.since.unwrap_or_else(opened_at).max(theirs - ms(FURTHEST))
    };
    let since_then = |date| Timestamp::from_millisecond(since(date)).unwrap_or(Timestamp::MIN);
    let (listed, date, is_cut) = context.twilio.newest_calls_to(number, since_then).await.map_err(later)?;
    if is_cut {
        tracing::warn!(calls = listed.len(), "Twilio lists more new calls than are read; older ones are left out");
    }
    let mut unknown = Vec::new();
    for call in listed {
        if let Ok(sid) = call.sid.parse::<CallSid>()
            && Direction::of_twilio(call.direction.as_deref().unwrap_or_default()) == Direction::Inbound
            && !context.store.read().await?.is_sid_known(sid.as_str()).await?
        {
            unknown.push((sid, call));
        }
    }
    if !unknown.is_empty() && !is_ours(context, number).await? {
        tracing::debug!(calls = unknown.len(), "calls to TWILIO_PHONE_NUMBER are answered by another program");
        unknown.clear();
    }
    let next = (date.map_or(now, Timestamp::as_millisecond) - ms(OVERLAP)).max(since(date));
    // Oldest first, as they came in.
    unknown.reverse();
    again(context, job, number, &unknown, Some(next)).await
}

/// Whether calls to the number are answered here. A call that callscribe answers has no other mark at Twilio: another
/// program of the account may record calls as well. So the number's voice webhook decides, which Twilio keeps. Where Twilio
/// does not say what it is, `TWILIO_PHONE_NUMBER` counts as ours.
async fn is_ours(context: &Shared, number: &str) -> Result<bool, JobError> {
    let voice_url = context.twilio.voice_url(number).await.map_err(later)?;
    Ok(voice_url.is_none_or(|url| context.urls.is_voice_webhook(&url)))
}

/// Stores these calls, each with the job that follows it, and schedules the next search, which begins at `since`.
async fn again(
    context: &Shared,
    job: &Job,
    number: &str,
    found: &[(CallSid, twilio::Call)],
    since: Option<i64>,
) -> Result<(), JobError> {
    let stored = context
        .store
        .write(Commit::FindUnreported, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            let mut stored = Vec::new();
            for (sid, call) in found {
                // A callback may have come in meanwhile. Of a deleted call the SID stays.
                if tx.call(&CallName::Sid(sid.clone())).await?.is_some() {
                    continue;
                }
                let created_at = call.created().map_or(now, Timestamp::as_millisecond).min(now);
                let new = Call {
                    direction: Direction::Inbound,
                    to: call.to.clone(),
                    from: call.from.clone(),
                    ..Call::unknown(CallId::new(created_at), Some(sid.clone()), created_at)
                };
                let new = tx.find_or_insert_call(&new).await?;
                tx.open_job(JobKind::Call, new.id.as_str(), now, now).await?;
                stored.push(new.id);
            }
            if let Some(since) = since {
                tx.advance_unreported(number, since).await?;
            }
            let job = &Job { failures: 0, ..job.clone() };
            tx.reschedule_job(job, now + ms(PAUSE), now, None).await?;
            Ok((tx, stored))
        })
        .await?;
    for call in &stored {
        tracing::info!(%call, "found a call that no callback has reported");
        context.events.changed(call.as_str());
    }
    if !stored.is_empty() {
        context.job_ready.notify_one();
    }
    Ok(())
}

/// A search that fails is repeated: nothing else would open the job before the next start.
fn later(error: clients::Error) -> JobError {
    JobError::poll_again(error.into(), PAUSE)
}
