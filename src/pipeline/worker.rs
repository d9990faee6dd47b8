//! The worker: claims jobs that are due, runs them, renews their leases, and plans them anew when they fail.

use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use super::{Error, delete, follow, ms, order, words};
use crate::clients::{self, Kind, Service};
use crate::context::{ASIDES, Context, Shared};
use crate::failpoint::{self, Aborted, Moment, Step};
use crate::model::call::{CallId, CallName, CallState};
use crate::store::{self, Job, JobKind, Lease, Reached};

/// A job whose owner has died is taken over after this.
const LEASE: Duration = Duration::from_secs(4);

/// Leases are renewed this often.
const RENEWAL: Duration = Duration::from_secs(1);

/// The database is looked into this often even if nothing is told: another instance may have left work.
const TICK: Duration = Duration::from_secs(1);

/// A tick that took longer was a sleep of the computer, in which callbacks were missed.
const SLEPT: Duration = Duration::from_secs(10);

/// Jobs that run at once.
const AT_ONCE: usize = 24;

/// Looks at something that is under way: the first comes after this, the next ones ever later.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// And at the latest after this.
const LAST_LOOK: Duration = Duration::from_secs(60);

/// Pauses after the first, second, … failure in a row: about an hour in all. Then the job has failed.
const PAUSES: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1_800),
];

/// A vendor's `Retry-After` is followed up to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Refused credentials are tried again after this: somebody has to mend the settings, and no attempt is used up.
pub(super) const CREDENTIALS: Duration = Duration::from_secs(60);

/// Why a job did not come to its end, and what follows.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) error: Error,
    pub(super) then: Then,
}

/// What follows on a job that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is taken up again after this time, as was to be expected.
    Later(Duration),
    /// It is taken up again after this time; it has not been looked at.
    Wait(Duration),
    /// It failed, and is tried again; the vendor may have said when.
    Retry(Option<Duration>),
    /// Trying again would change nothing.
    Fail,
    /// It is taken up again at once, by whoever comes.
    Release,
    /// Somebody else has it.
    Leave,
}

impl Unfinished {
    pub(super) fn later(error: Error, after: Duration) -> Self {
        Self { error, then: Then::Later(after) }
    }

    pub(super) fn failed(error: impl Into<Error>) -> Self {
        Self { error: error.into(), then: Then::Fail }
    }
}

/// A vendor's error as what follows from it, where nothing special does.
impl From<clients::Error> for Unfinished {
    fn from(error: clients::Error) -> Self {
        let then = match &error.kind {
            Kind::Unauthorized(_) if error.service == Service::Twilio => Then::Later(CREDENTIALS),
            Kind::Unauthorized(_) | Kind::NotFound(_) | Kind::Rejected(_) => Then::Fail,
            kind => Then::Retry(kind.retry_after()),
        };
        Self { error: error.into(), then }
    }
}

impl From<store::Error> for Unfinished {
    fn from(error: store::Error) -> Self {
        let then = match &error {
            store::Error::LeaseLost => Then::Leave,
            store::Error::Aborted(_) => Then::Release,
            _ => Then::Retry(None),
        };
        Self { error: error.into(), then }
    }
}

impl From<Aborted> for Unfinished {
    fn from(aborted: Aborted) -> Self {
        store::Error::from(aborted).into()
    }
}

/// A job that is being run here. Its lease is renewed as long as this lives.
pub(super) struct Claimed {
    context: Shared,
    job: Job,
}

impl Claimed {
    pub(super) fn new(context: &Shared, job: Job) -> Self {
        let mut in_hand = context.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.insert((job.kind, job.subject.clone()), job.clone());
        drop(in_hand);
        Self { context: Arc::clone(context), job }
    }

    pub(super) fn job(&self) -> &Job {
        &self.job
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut in_hand = self.context.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        // A later claim of the same job may have taken this one's place.
        if let Entry::Occupied(held) = in_hand.entry((self.job.kind, self.job.subject.clone()))
            && held.get().attempt == self.job.attempt
        {
            held.remove();
        }
    }
}

/// A lease from now on.
pub(super) fn lease(context: &Context) -> Lease<'_> {
    Lease { owner: &context.owner, until: context.clock.now_ms() + ms(LEASE) }
}

/// Runs a job for somebody who waits for it.
///
/// # Errors
/// Why it did not come to its end.
pub(super) async fn run_here(context: &Shared, job: Job) -> Result<(), Error> {
    let mut job = job;
    loop {
        let (kind, subject) = (job.kind, job.subject.clone());
        match run(Claimed::new(context, job)).await {
            // Given back at once: it is taken up again at once.
            Err(Error::Store(store::Error::Aborted(_))) => match claim_again(context, kind, &subject).await? {
                Some(again) => job = again,
                None => return Ok(()),
            },
            ran => return ran,
        }
    }
}

/// Claims a job whose last run has just given it back.
pub(super) async fn claim_again(context: &Shared, kind: JobKind, subject: &str) -> Result<Option<Job>, store::Error> {
    context
        .store
        .write_unsynced(Step::ClaimJobs, subject, |mut tx| async move {
            let job = tx.claim_job(kind, subject, lease(context), context.clock.now_ms()).await?;
            Ok((tx, job))
        })
        .await
}

/// Ends a job whose work is done.
pub(super) async fn close(context: &Shared, job: &Job) -> Result<(), Unfinished> {
    context
        .store
        .write(Step::CloseJob, &job.subject, |mut tx| async move {
            tx.end_job(job, None, context.clock.now_ms()).await?;
            Ok((tx, ()))
        })
        .await?;
    Ok(())
}

/// When something that is under way is looked at again, after so many looks that found no end.
pub(super) fn next_look(now: i64, looks: i64) -> i64 {
    let factor = 1.5f64.powi(i32::try_from(looks.clamp(0, 20)).unwrap_or(20));
    now + ms(jittered(FIRST_LOOK.mul_f64(factor).min(LAST_LOOK)))
}

/// A fifth more or less, so that what failed together is not tried again together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = Uuid::new_v4().as_u128() as u16;
    pause.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u16::MAX))
}

/// Runs jobs as they become due, until the program stops. A worker that breaks down is started again.
pub(crate) async fn work(context: Shared) {
    let renewing = tokio::spawn(renew(Arc::clone(&context)));
    // What was missed while the program was not there is looked for at once.
    catch_up(&context).await;
    keep_up(&context.stopping, || claim_and_run(Arc::clone(&context))).await;
    // Leases of what is still being seen to its end must last: until the last of it is over.
    context.under_way.wait().await;
    renewing.abort();
}

/// Starts this again whenever it ends, until the program stops.
async fn keep_up<F>(stopping: &CancellationToken, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while !stopping.is_cancelled() {
        if let Err(broken) = tokio::spawn(task()).await {
            tracing::error!("the worker broke down and is started again: {broken}");
        }
    }
}

/// Gives back what could not be brought to its end in time, so that the next start takes it up at once.
pub(crate) async fn release(context: &Shared) {
    let released = context
        .store
        .write_unsynced(Step::ReleaseJobs, &context.owner, |mut tx| async move {
            let released = tx.release_jobs(&context.owner).await?;
            Ok((tx, released))
        })
        .await;
    match released {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "gave back what was not finished"),
        Err(error) => tracing::warn!("what was not finished could not be given back: {error}"),
    }
}

/// Runs every job that is due by the clock, and those that become due by it, one after the other. For tests: nothing
/// happens by itself then.
pub(crate) async fn drain(context: &Shared) -> usize {
    // A transaction that is still open would hide its job.
    drop(context.asides.acquire_many(ASIDES).await);
    let mut ran = 0;
    loop {
        let jobs = match claim(context, 1).await {
            Ok(jobs) if jobs.is_empty() => return ran,
            Ok(jobs) => jobs,
            Err(error) => panic!("jobs can be claimed: {error}"),
        };
        for job in jobs {
            ran += 1;
            let _ = run(Claimed::new(context, job)).await;
        }
    }
}

async fn claim_and_run(context: Shared) {
    let mut running = JoinSet::new();
    let mut awake = context.clock.now();
    loop {
        while running.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(running.len());
        let claimed = if free > 0 && is_due(&context).await { claim(&context, free).await } else { Ok(Vec::new()) };
        let claimed = claimed.unwrap_or_else(|error| {
            tracing::warn!("no job could be claimed: {error}");
            Vec::new()
        });
        let took_all = claimed.len() == free;
        for job in claimed {
            let claimed = Claimed::new(&context, job);
            running.spawn(context.under_way.track_future(async move {
                let _ = run(claimed).await;
            }));
        }
        tokio::select! {
            () = context.stopping.cancelled() => break,
            () = context.due.notified() => {}
            Some(_) = running.join_next(), if took_all || running.len() == AT_ONCE => {}
            () = tokio::time::sleep(TICK) => {}
        }
        let passed = context.clock.now().duration_since(awake);
        awake = context.clock.now();
        if passed.unsigned_abs() > SLEPT {
            catch_up(&context).await;
        }
    }
    while running.join_next().await.is_some() {}
}

/// Whether there may be anything to claim. Asked without the lock that writing takes.
async fn is_due(context: &Shared) -> bool {
    let asked = async { context.store.read().await?.is_job_due(context.clock.now_ms()).await };
    asked.await.unwrap_or(true)
}

async fn claim(context: &Shared, at_most: usize) -> Result<Vec<Job>, store::Error> {
    context
        .store
        .write_unsynced(Step::ClaimJobs, "", |mut tx| async move {
            let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
            let jobs = tx.claim_jobs(lease(context), context.clock.now_ms(), at_most).await?;
            Ok((tx, jobs))
        })
        .await
}

/// Makes everything that is open due.
async fn catch_up(context: &Shared) {
    let nudged = context
        .store
        .write_unsynced(Step::CatchUp, "", |mut tx| async move {
            let nudged = tx.nudge_all_jobs(context.clock.now_ms()).await?;
            Ok((tx, nudged))
        })
        .await;
    match nudged {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "catching up with what may have been missed"),
        Err(error) => tracing::warn!("could not catch up with what may have been missed: {error}"),
    }
}

/// Renews the leases of what is in hand, and watches over the database's file.
async fn renew(context: Shared) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        context.store.watch_file();
        let in_hand: Vec<Job> =
            context.in_hand.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if in_hand.is_empty() {
            continue;
        }
        let (shared, jobs) = (&context, &in_hand);
        let renewed = context
            .store
            .write_unsynced(Step::RenewLeases, "", |mut tx| async move {
                for job in jobs {
                    tx.renew_job(job, lease(shared)).await?;
                }
                Ok((tx, ()))
            })
            .await;
        if let Err(error) = renewed {
            tracing::warn!("leases could not be renewed: {error}");
        }
    }
}

/// Runs a job that was claimed, and plans it anew if it did not come to its end.
///
/// # Errors
/// Why it did not.
pub(super) async fn run(claimed: Claimed) -> Result<(), Error> {
    let (context, job) = (&claimed.context, &claimed.job);
    let span = tracing::info_span!("job", call = Empty, transcript = Empty);
    match job.kind {
        JobKind::Call | JobKind::Deletion => span.record("call", &job.subject),
        JobKind::Transcript => span.record("transcript", &job.subject),
    };
    let step = {
        let (context, job) = (Arc::clone(context), job.clone());
        let step = async move {
            failpoint::reach(Moment::JobStarts, &job.subject)?;
            match job.kind {
                JobKind::Call => follow::follow(&context, &job).await,
                JobKind::Transcript => order::order(&context, &job).await,
                JobKind::Deletion => delete::delete_everywhere(&context, &job).await,
            }
        };
        tokio::spawn(step.instrument(span.clone()))
    };
    let ended = match step.await {
        Ok(ended) => ended,
        Err(broken) => {
            span.in_scope(|| tracing::error!("a step broke down: {broken}"));
            Err(Unfinished { error: Error::Panicked, then: Then::Retry(None) })
        }
    };
    match ended {
        Ok(()) => Ok(()),
        Err(unfinished) => {
            plan(context, job, &unfinished).instrument(span).await;
            Err(unfinished.error)
        }
    }
}

/// Writes down what follows on a job that did not come to its end.
async fn plan(context: &Shared, job: &Job, Unfinished { error, then }: &Unfinished) {
    let reason = words::of(error);
    let reason = reason.as_str();
    let written = match *then {
        Then::Leave => return,
        Then::Release => put_back(context, job.clone(), Duration::ZERO, None).await,
        Then::Wait(time) => put_back(context, job.clone(), jittered(time), Some(reason)).await,
        Then::Later(after) => {
            // Nothing failed, so failures are counted anew.
            let job = Job { looks: job.looks + 1, failures: 0, ..job.clone() };
            put_back(context, job, after, Some(reason)).await
        }
        Then::Retry(retry_after) => match usize::try_from(job.failures).ok().and_then(|failed| PAUSES.get(failed)) {
            Some(pause) => {
                let pause = jittered(*pause).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
                tracing::warn!(failures = job.failures + 1, pause = pause.as_secs(), "trying again later: {error}");
                put_back(context, Job { failures: job.failures + 1, ..job.clone() }, pause, Some(reason)).await
            }
            None => give_up(context, job, reason).await,
        },
        Then::Fail => {
            tracing::warn!("failed: {error}");
            give_up(context, job, reason).await
        }
    };
    match written {
        Ok(()) | Err(store::Error::LeaseLost) => {}
        // The lease runs out, and the job is taken up again.
        Err(error) => tracing::warn!("what follows could not be stored: {error}"),
    }
}

async fn put_back(context: &Shared, job: Job, after: Duration, reason: Option<&str>) -> Result<(), store::Error> {
    let job = &job;
    context
        .store
        .write_unsynced(Step::PutBackJob, &format!("{} {}", job.subject, job.attempt), |mut tx| async move {
            let now = context.clock.now_ms();
            match tx.put_back(job, now + ms(after), now, reason).await {
                Ok(()) | Err(store::Error::LeaseLost) => Ok((tx, ())),
                Err(error) => Err(error),
            }
        })
        .await?;
    if after.is_zero() {
        context.due.notify_one();
    }
    Ok(())
}

/// The job has failed for good, and with it what it was about.
async fn give_up(context: &Shared, job: &Job, reason: &str) -> Result<(), store::Error> {
    context
        .store
        .write(Step::FailJob, &format!("{} {}", job.subject, job.attempt), |mut tx| async move {
            let now = context.clock.now_ms();
            let longest_call = ms(Duration::from_secs(context.call.max_seconds.into()) + FIRST_LOOK * 60);
            match tx.end_job(job, Some(reason), now).await {
                Ok(()) => {}
                Err(store::Error::LeaseLost) => return Ok((tx, ())),
                Err(error) => return Err(error),
            }
            match job.kind {
                JobKind::Transcript => {
                    if let Some(transcript) = tx.transcript(&job.subject).await? {
                        tx.failed(&transcript, None, reason, now).await?;
                    }
                }
                JobKind::Call => {
                    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
                    match tx.call(&CallName::Id(id.clone())).await? {
                        Some(call) if call.sid.is_none() => {
                            let lost = Reached { state: CallState::Lost, reason: Some(reason), code: None };
                            tx.advance_call(&id, lost, now).await?;
                        }
                        Some(call) if call.state.holds_number() && now - call.created_at < longest_call => {
                            // Somebody may be on the phone: its number is not free.
                            tx.open_job(job.kind, &job.subject, now + ms(LAST_LOOK), now).await?;
                        }
                        Some(_) => tx.leave_call(&id, Some(reason)).await?,
                        None => {}
                    }
                }
                // Still wanted: what fails is what the job says.
                JobKind::Deletion => {}
            }
            Ok((tx, ()))
        })
        .await?;
    context.events.changed(&job.subject);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_breaks_down_is_started_again() {
        let (stopping, started) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
        let work = || {
            let (stopping, started) = (stopping.clone(), Arc::clone(&started));
            async move {
                if started.fetch_add(1, Ordering::Relaxed) < 2 {
                    panic!("a bug");
                }
                stopping.cancel();
            }
        };
        keep_up(&stopping, work).await;
        assert_eq!(started.load(Ordering::Relaxed), 3);
    }
}
