//! Runs one claimed job and schedules what follows. [`run`] and [`fail`] are the only places that know the jobs by name.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use tracing::field::Empty;

use super::job::{Claimed, JobError, Next, claim_again, jittered, ms};
use super::{Error, archive, charge, delete, follow, import, learn, replace, spooled, submit, trial, unreported};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Commit, Moment};
use crate::model::job::JobKind;
use crate::store::{self, Conn, Job};

/// Pauses after the first, second, … consecutive failure, about an hour in all. After the last one the job has failed.
const PAUSES: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1_800),
];

/// A job that was lost this often in a row has failed: it may be what ends the program.
const MOST_LOSSES: i64 = 8;

/// The longest `Retry-After` of a vendor that a retry waits for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Runs a job for a client that waits for it, and returns why the job did not finish.
pub(super) async fn run_here(context: &Shared, job: Job) -> Result<(), Error> {
    let mut job = job;
    loop {
        let (kind, subject) = (job.kind, job.subject.clone());
        match run(Claimed::new(context, job)).await {
            // A failpoint released the job. A client waits, so claim it again at once.
            Err(Error::Store(store::Error::Aborted(_))) => match claim_again(context, kind, &subject).await? {
                Some(again) => job = again,
                None => return Ok(()),
            },
            ended => return ended,
        }
    }
}

/// Runs a claimed job. If it does not finish, schedules what follows and returns the reason.
pub(super) async fn run(claimed: Claimed) -> Result<(), Error> {
    let (context, job) = (&claimed.context, &claimed.job);
    let span = tracing::info_span!("job", call = Empty, transcript = Empty);
    match job.kind {
        JobKind::Call | JobKind::Deletion | JobKind::Price => span.record("call", &job.subject),
        JobKind::Transcript | JobKind::Learning | JobKind::Counting => span.record("transcript", &job.subject),
        JobKind::Unreported
        | JobKind::Replacement
        | JobKind::Trial
        | JobKind::Import
        | JobKind::File
        | JobKind::Archive => &span,
    };
    if job.losses >= MOST_LOSSES {
        let failure = JobError::fail(Error::LostEachTime(job.losses));
        schedule(context, job, &failure).instrument(span).await;
        return Err(failure.error);
    }
    if job.losses > 0 {
        span.in_scope(|| tracing::warn!(times = job.losses, "resuming a job that was not given back"));
    }
    let task = {
        let (context, job) = (Arc::clone(context), job.clone());
        let task = async move {
            failpoint::reach(Moment::JobStarts, &job.subject)?;
            match job.kind {
                JobKind::Call => follow::run(&context, &job).await,
                JobKind::Transcript => submit::run(&context, &job).await,
                JobKind::Deletion => delete::run(&context, &job).await,
                JobKind::Unreported => unreported::run(&context, &job).await,
                JobKind::Replacement => replace::run(&context, &job).await,
                JobKind::Learning | JobKind::Counting => learn::run(&context, &job).await,
                JobKind::Trial => trial::run(&context, &job).await,
                JobKind::Import => import::run(&context, &job).await,
                JobKind::File => spooled::run(&context, &job).await,
                JobKind::Price => charge::run(&context, &job).await,
                JobKind::Archive => archive::run(&context, &job).await,
            }
        };
        // In a task of its own, so that a panic ends this job only.
        tokio::spawn(task.instrument(span.clone()))
    };
    let failure = match task.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(failure)) => failure,
        Err(panic) => {
            span.in_scope(|| tracing::error!("a job panicked: {panic}"));
            JobError { error: Error::Panicked, next: Next::Retry(None) }
        }
    };
    schedule(context, job, &failure).instrument(span).await;
    Err(failure.error)
}

/// Stores what follows a job that did not finish.
async fn schedule(context: &Shared, job: &Job, JobError { error, next }: &JobError) {
    let reason = error.explanation();
    let reason = reason.as_str();
    let stored = match *next {
        Next::Leave => return,
        Next::Release => put_back(context, job.clone(), Duration::ZERO, None).await,
        Next::Wait(pause) => put_back(context, job.clone(), jittered(pause), Some(reason)).await,
        Next::Poll(pause) => {
            // Nothing failed, so the count of consecutive failures starts over.
            let job = Job { polls: job.polls + 1, failures: 0, ..job.clone() };
            put_back(context, job, pause, Some(reason)).await
        }
        Next::Retry(retry_after) => match usize::try_from(job.failures).ok().and_then(|failed| PAUSES.get(failed)) {
            Some(pause) => {
                let pause = jittered(*pause).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
                tracing::warn!(failures = job.failures + 1, pause = pause.as_secs(), "retrying later: {error}");
                put_back(context, Job { failures: job.failures + 1, ..job.clone() }, pause, Some(reason)).await
            }
            None => give_up(context, job, reason).await,
        },
        Next::Fail => {
            tracing::warn!("failed: {error}");
            give_up(context, job, reason).await
        }
    };
    match stored {
        Ok(()) | Err(store::Error::LeaseLost) => {}
        // The lease runs out, and an instance claims the job again.
        Err(error) => tracing::warn!("cannot store the outcome of a job: {error}"),
    }
}

async fn put_back(context: &Shared, job: Job, after: Duration, reason: Option<&str>) -> Result<(), store::Error> {
    let job = &job;
    // On SQLite, a power cut may undo an unsynced commit. The job is then claimed again when its lease has run out.
    context
        .store
        .write_unsynced(Commit::PutBackJob, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            match tx.reschedule_job(job, now + ms(after), now, reason).await {
                Ok(()) | Err(store::Error::LeaseLost) => Ok((tx, ())),
                Err(error) => Err(error),
            }
        })
        .await?;
    if after.is_zero() {
        context.job_ready.notify_one();
    }
    Ok(())
}

/// Marks a job as failed, with its call or order.
async fn give_up(context: &Shared, job: &Job, reason: &str) -> Result<(), store::Error> {
    context
        .store
        .write(Commit::FailJob, &format!("{} {}", job.subject, job.claim), |mut tx| async move {
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
        // The file waits for somebody who tries it again.
        JobKind::File => Ok(()),
        // The deletion stays requested; its job holds the reason for the failure.
        JobKind::Deletion => Ok(()),
        // The next start, correction, transcript, or change of the vocabulary opens it again.
        JobKind::Unreported | JobKind::Learning | JobKind::Counting | JobKind::Trial => Ok(()),
        // The page of the call says why. The next start of the program tries again.
        JobKind::Archive => Ok(()),
        // What the call costs stays unknown.
        JobKind::Price => Ok(()),
        JobKind::Import => import::give_up(tx, job, reason, now).await,
        JobKind::Replacement => tx.end_replacement(&job.subject, Some(reason)).await,
    }
}
