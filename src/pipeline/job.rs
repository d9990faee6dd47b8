//! The vocabulary of jobs: how one is claimed, leased, polled again, and what follows when it does not finish. It knows
//! no job by name.

use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::Error;
use crate::clients::{self, Kind, Service};
use crate::context::{Context, Shared};
use crate::failpoint::{Aborted, Step};
use crate::store::{self, Job, JobKind, Lease};

/// A job whose owner has died is taken over after this.
const LEASE: Duration = Duration::from_secs(4);

/// Looks at something that is under way: the first comes after this, the next ones ever later.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(10);

/// And at the latest after this.
pub(super) const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(60);

/// Refused credentials are tried again after this: somebody has to mend the settings, and no attempt is used up.
pub(super) const CREDENTIALS_PAUSE: Duration = Duration::from_secs(60);

/// Why a job did not come to its end, and what follows.
#[derive(Debug)]
pub(super) struct JobError {
    pub(super) error: Error,
    pub(super) next: Next,
}

/// What follows on a job that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is taken up again after this time, as was to be expected.
    Poll(Duration),
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

impl JobError {
    pub(super) fn poll_again(error: Error, after: Duration) -> Self {
        Self { error, next: Next::Poll(after) }
    }

    pub(super) fn fail(error: impl Into<Error>) -> Self {
        Self { error: error.into(), next: Next::Fail }
    }
}

/// A vendor's error as what follows from it, where nothing special does.
impl From<clients::Error> for JobError {
    fn from(error: clients::Error) -> Self {
        let next = match &error.kind {
            Kind::Unauthorized(_) if error.service == Service::Twilio => Next::Poll(CREDENTIALS_PAUSE),
            Kind::Unauthorized(_) | Kind::NotFound(_) | Kind::Rejected(_) => Next::Fail,
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

/// A job that is being run here. Its lease is renewed as long as this lives.
pub(super) struct Claimed {
    pub(super) context: Shared,
    pub(super) job: Job,
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
            && held.get().claim == self.job.claim
        {
            held.remove();
        }
    }
}

/// A lease from now on.
pub(super) fn lease(context: &Context) -> Lease<'_> {
    Lease { owner: &context.owner, until: context.clock.now_ms() + ms(LEASE) }
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
pub(super) async fn close(context: &Shared, job: &Job) -> Result<(), JobError> {
    context
        .store
        .write(Step::CloseJob, &job.subject, |mut tx| async move {
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

/// A fifth more or less, so that what failed together is not tried again together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = Uuid::new_v4().as_u128() as u16;
    pause.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u16::MAX))
}

/// Milliseconds, as times are stored.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
