//! The vocabulary of jobs: claiming, leasing, polling again, and what follows an error. It knows no job by name.

use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use crate::clients::{self, Kind, Service};
use crate::context::{Context, Shared};
use crate::failpoint::{Aborted, Commit};
use crate::model::job::JobKind;
use crate::store::{self, Job, Lease};

/// The lease of a job. If its instance dies, another one takes the job over after this time.
const LEASE: Duration = Duration::from_secs(4);

/// The pause before the first poll of something pending. Later pauses grow.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(10);

/// The longest pause between two polls.
pub(super) const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(60);

/// The pause after a vendor has refused our credentials. It uses up no retry: the operator has to correct the settings.
pub(super) const CREDENTIALS_PAUSE: Duration = Duration::from_secs(60);

/// Why a job did not finish, and what follows.
#[derive(Debug)]
pub(super) struct JobError {
    pub(super) error: Error,
    pub(super) next: Next,
}

/// What follows when a job did not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// What the job waits for is pending, as expected. Poll again after this time.
    Poll(Duration),
    /// The job could not start. Run it after this time; this counts neither as a poll nor as a failure.
    Wait(Duration),
    /// The job failed. Retry it, no sooner than the vendor asked for.
    Retry(Option<Duration>),
    /// A retry would fail as well.
    Fail,
    /// Any instance may run the job at once.
    Release,
    /// Another instance has claimed the job.
    Leave,
}

impl JobError {
    pub(super) fn poll_again(error: Error, after: Duration) -> Self {
        Self { error, next: Next::Poll(after) }
    }

    pub(super) fn fail(error: impl Into<Error>) -> Self {
        Self { error: error.into(), next: Next::Fail }
    }
}

/// What follows a vendor's error, unless a job knows better.
impl From<clients::Error> for JobError {
    fn from(error: clients::Error) -> Self {
        let next = match &error.kind {
            Kind::Unauthorized(_) if error.service == Service::Twilio => Next::Poll(CREDENTIALS_PAUSE),
            Kind::Unauthorized(_) | Kind::NotFound(_) | Kind::Rejected(_) | Kind::TooLarge(_) => Next::Fail,
            kind => Next::Retry(kind.retry_after()),
        };
        Self { error: error.into(), next }
    }
}

impl From<store::Error> for JobError {
    fn from(error: store::Error) -> Self {
        let next = match &error {
            store::Error::LeaseLost => Next::Leave,
            store::Error::Aborted(_) => Next::Release,
            _ => Next::Retry(None),
        };
        Self { error: error.into(), next }
    }
}

impl From<Aborted> for JobError {
    fn from(aborted: Aborted) -> Self {
        store::Error::from(aborted).into()
    }
}

/// A job that this process runs. Its lease is renewed as long as this value lives.
pub(super) struct Claimed {
    pub(super) context: Shared,
    pub(super) job: Job,
}

impl Claimed {
    pub(super) fn new(context: &Shared, job: Job) -> Self {
        let mut leased = context.leased.lock().unwrap_or_else(PoisonError::into_inner);
        leased.insert((job.kind, job.subject.clone()), job.clone());
        drop(leased);
        Self { context: Arc::clone(context), job }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut leased = self.context.leased.lock().unwrap_or_else(PoisonError::into_inner);
        // A later claim of the same job may have replaced this one.
        if let Entry::Occupied(entry) = leased.entry((self.job.kind, self.job.subject.clone()))
            && entry.get().claim == self.job.claim
        {
            entry.remove();
        }
    }
}

/// A lease that starts now.
pub(super) fn lease(context: &Context) -> Lease<'_> {
    Lease { owner: &context.instance, until: context.clock.now_ms() + ms(LEASE) }
}

/// Claims a job again that was just released. Returns `None` if another instance has it, or if it has ended.
pub(super) async fn claim_again(context: &Shared, kind: JobKind, subject: &str) -> Result<Option<Job>, store::Error> {
    // On SQLite, a power cut may undo an unsynced claim. The job is then still open and is claimed again.
    context
        .store
        .write_unsynced(Commit::ClaimJobs, subject, |mut tx| async move {
            let job = tx.claim_job(kind, subject, lease(context), context.clock.now_ms()).await?;
            Ok((tx, job))
        })
        .await
}

/// Returns a time of our clock by the clock of a vendor whose answer has this `Date`: an earlier time if ours is ahead. A
/// vendor's list that was cut off by a clock that is ahead would lack what the vendor has just accepted.
pub(super) fn at_vendor(context: &Context, time: i64, date: Option<Timestamp>) -> Timestamp {
    let ahead = date.map_or(0, |date| context.clock.now_ms() - date.as_millisecond()).max(0);
    Timestamp::from_millisecond(time - ahead).unwrap_or(Timestamp::MIN)
}

/// Ends a job whose work is done.
pub(super) async fn close(context: &Shared, job: &Job) -> Result<(), JobError> {
    context
        .store
        .write(Commit::CloseJob, &job.subject, |mut tx| async move {
            tx.end_job(job, None, context.clock.now_ms()).await?;
            Ok((tx, ()))
        })
        .await?;
    Ok(())
}

/// The pause before the next poll of something pending, after this many polls.
pub(super) fn poll_pause(polls: i64) -> Duration {
    let factor = 1.5f64.powi(i32::try_from(polls.clamp(0, 20)).unwrap_or(20));
    jittered(FIRST_POLL.mul_f64(factor).min(LONGEST_POLL_PAUSE))
}

/// The pause, up to a fifth longer or shorter, so that jobs that failed together are not retried together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = Uuid::new_v4().as_u128() as u16;
    pause.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u16::MAX))
}

/// Milliseconds, as times are stored.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
