//! The worker: claims jobs that are due, runs them, renews their leases, and plans them anew when they fail.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::job::{Claimed, lease};
use super::runner::run;
use crate::context::{ASIDES, Shared};
use crate::failpoint::Step;
use crate::store::{self, Job};

/// Leases are renewed this often.
const RENEWAL: Duration = Duration::from_secs(1);

/// The database is looked into this often even if nothing is told: another instance may have left work.
const TICK: Duration = Duration::from_secs(1);

/// A tick that took longer was a sleep of the computer, in which callbacks were missed.
const SLEPT: Duration = Duration::from_secs(10);

/// Jobs that run at once.
const AT_ONCE: usize = 24;

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
