//! Runs one claimed job and schedules what follows. Which file handles which kind of job stands in [`start`] and
//! [`fail`], and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use tracing::field::Empty;

use super::job::{Claimed, JobError, Next, claim_again, jittered, ms};
use super::{Error, delete, follow, submit};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Moment, Step};
use crate::store::{self, Conn, Job, JobKind};

/// Pauses after the first, second, … failure in a row: about an hour in all. Next the job has failed.
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
                JobKind::Call => follow::run(&context, &job).await,
                JobKind::Transcript => submit::run(&context, &job).await,
                JobKind::Deletion => delete::run(&context, &job).await,
            }
        };
        tokio::spawn(step.instrument(span.clone()))
    };
    let ended = match step.await {
        Ok(ended) => ended,
        Err(broken) => {
            span.in_scope(|| tracing::error!("a step broke down: {broken}"));
            Err(JobError { error: Error::Panicked, next: Next::Retry(None) })
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
async fn plan(context: &Shared, job: &Job, JobError { error, next }: &JobError) {
    let reason = error.explanation();
    let reason = reason.as_str();
    let written = match *next {
        Next::Leave => return,
        Next::Release => put_back(context, job.clone(), Duration::ZERO, None).await,
        Next::Wait(time) => put_back(context, job.clone(), jittered(time), Some(reason)).await,
        Next::Poll(after) => {
            // Nothing failed, so failures are counted anew.
            let job = Job { polls: job.polls + 1, failures: 0, ..job.clone() };
            put_back(context, job, after, Some(reason)).await
        }
        Next::Retry(retry_after) => match usize::try_from(job.failures).ok().and_then(|failed| PAUSES.get(failed)) {
            Some(pause) => {
                let pause = jittered(*pause).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
                tracing::warn!(failures = job.failures + 1, pause = pause.as_secs(), "trying again later: {error}");
                put_back(context, Job { failures: job.failures + 1, ..job.clone() }, pause, Some(reason)).await
            }
            None => give_up(context, job, reason).await,
        },
        Next::Fail => {
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
        .write_unsynced(Step::PutBackJob, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            match tx.reschedule_job(job, now + ms(after), now, reason).await {
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
        .write(Step::FailJob, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            match tx.end_job(job, Some(reason), now).await {
                Ok(()) => {}
                Err(store::Error::LeaseLost) => return Ok((tx, ())),
                Err(error) => return Err(error),
            }
            fail(&mut tx, context, job, reason, now).await?;
            Ok((tx, ()))
        })
        .await?;
    context.events.changed(&job.subject);
    Ok(())
}

/// What the failure of this job means for its call or order.
async fn fail(tx: &mut Conn, context: &Context, job: &Job, reason: &str, now: i64) -> Result<(), store::Error> {
    match job.kind {
        JobKind::Call => follow::give_up(tx, context, job, reason, now).await,
        JobKind::Transcript => submit::give_up(tx, job, reason, now).await,
        // The deletion stays requested; its job holds the reason for the failure.
        JobKind::Deletion => Ok(()),
    }
}
