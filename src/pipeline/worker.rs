//! The worker: claims due jobs, runs them at most [`AT_ONCE`] at a time, and renews their leases.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::job::{Claimed, lease};
use super::runner::run;
use super::{archive, ingest, unreported};
use crate::context::{ANSWERED_SLOTS, Shared};
use crate::failpoint::Commit;
use crate::model::job::JobKind;
use crate::model::transcript::OrderId;
use crate::store::{self, Job};

/// The interval between two renewals of a lease.
const RENEWAL: Duration = Duration::from_secs(1);

/// The interval between two looks for due jobs if no notification comes: another instance may have opened one.
const TICK: Duration = Duration::from_secs(1);

/// A tick longer than this means that the computer slept, and that callbacks were missed.
const SLEPT: Duration = Duration::from_secs(10);

/// The most jobs that run at the same time.
const AT_ONCE: usize = 24;

/// Runs jobs as they become due, until the program stops. If the worker panics, it is started again.
pub(crate) async fn work(context: Shared) {
    let renewing = tokio::spawn(renew(Arc::clone(&context)));
    // Callbacks were missed while the program was not running.
    catch_up(&context).await;
    restart_until_stopped(&context.stopping, || claim_and_run(Arc::clone(&context))).await;
    // Tasks that still run hold leases. They must last until the last task has ended.
    context.tasks.wait().await;
    renewing.abort();
}

/// Starts the task again whenever it ends, until the program stops.
pub(super) async fn restart_until_stopped<F>(stopping: &CancellationToken, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while !stopping.is_cancelled() {
        if let Err(panic) = tokio::spawn(task()).await {
            tracing::error!("the worker panicked; restarting it: {panic}");
        }
    }
}

/// Releases the jobs that could not finish before the stop, so that any instance can run them at once.
pub(crate) async fn release(context: &Shared) {
    let released = context
        .store
        .write_unsynced(Commit::ReleaseJobs, &context.instance, |mut tx| async move {
            // Another instance may run them.
            let finished: Vec<OrderId> = context.finished().iter().cloned().collect();
            for order in &finished {
                tx.nudge_job(JobKind::Transcript, order.as_str(), context.clock.now_ms()).await?;
            }
            let released = tx.release_jobs(&context.instance).await?;
            Ok((tx, released))
        })
        .await;
    match released {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "released unfinished jobs"),
        Err(error) => tracing::warn!("cannot release unfinished jobs: {error}"),
    }
}

/// Runs every job that is due, and those that become due meanwhile, one after the other. Returns how many ran. For tests,
/// which run no worker.
pub(crate) async fn drain(context: &Shared) -> usize {
    // An open transaction would hide the job that it is about to commit.
    drop(context.answered_slots.acquire_many(ANSWERED_SLOTS).await);
    let mut ran = 0;
    loop {
        ingest::take_in_missed(context).await;
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
        ingest::take_in_missed(&context).await;
        let free = AT_ONCE.saturating_sub(running.len());
        let claimed = if free > 0 && is_due(&context).await { claim(&context, free).await } else { Ok(Vec::new()) };
        let claimed = claimed.unwrap_or_else(|error| {
            tracing::warn!("cannot claim jobs: {error}");
            Vec::new()
        });
        let took_all = claimed.len() == free;
        for job in claimed {
            let claimed = Claimed::new(&context, job);
            running.spawn(context.tasks.track_future(async move {
                let _ = run(claimed).await;
            }));
        }
        tokio::select! {
            () = context.stopping.cancelled() => break,
            () = context.job_ready.notified() => {}
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

/// Whether any job may be claimed. Reads without the write lock that claiming takes.
async fn is_due(context: &Shared) -> bool {
    if !context.finished().is_empty() {
        return true;
    }
    let read = async { context.store.read().await?.is_job_due(context.clock.now_ms()).await };
    read.await.unwrap_or(true)
}

/// Claims jobs that are due. Those whose orders AssemblyAI has finished are due now.
async fn claim(context: &Shared, limit: usize) -> Result<Vec<Job>, store::Error> {
    let mut ended: Vec<OrderId> = context.finished().drain().collect();
    // In one order, so that two instances do not wait for each other.
    ended.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let orders = &ended;
    let claimed = context.store.write_unsynced(Commit::ClaimJobs, "", |mut tx| async move {
        let (limit, now) = (i64::try_from(limit).unwrap_or(i64::MAX), context.clock.now_ms());
        for order in orders {
            tx.nudge_job(JobKind::Transcript, order.as_str(), now).await?;
        }
        let jobs = tx.claim_jobs(lease(context), now, limit).await?;
        Ok((tx, jobs))
    });
    let claimed = claimed.await;
    if claimed.is_err() {
        context.finished().extend(ended);
    }
    claimed
}

/// Makes every open job due, also the one that searches for unreported calls.
pub(crate) async fn catch_up(context: &Shared) {
    let nudged = context
        .store
        .write_unsynced(Commit::CatchUp, "", |mut tx| async move {
            let now = context.clock.now_ms();
            unreported::open(&mut tx, context, now).await?;
            archive::open_missing(&mut tx, context, now).await?;
            let nudged = tx.nudge_all_jobs(now).await?;
            Ok((tx, nudged))
        })
        .await;
    match nudged {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "polling the vendors, because callbacks may have been missed"),
        Err(error) => tracing::warn!("cannot make open jobs due: {error}"),
    }
}

/// Renews the leases of the jobs that run here, and checks that the database file is still in place.
async fn renew(context: Shared) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        context.store.watch_file();
        let leased: Vec<Job> =
            context.leased.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if leased.is_empty() {
            continue;
        }
        let (shared, jobs) = (&context, &leased);
        let renewed = context
            .store
            .write_unsynced(Commit::RenewLeases, "", |mut tx| async move {
                let lease = lease(shared);
                let mut renewed = Vec::new();
                for job in jobs {
                    let leased_until = if tx.renew_job(job, lease).await? { lease.until } else { 0 };
                    renewed.push(Job { leased_until, ..job.clone() });
                }
                Ok((tx, renewed))
            })
            .await;
        match renewed {
            Ok(renewed) => renewed.into_iter().for_each(|job| note_renewal(&context, job)),
            Err(error) => tracing::warn!("cannot renew leases: {error}"),
        }
    }
}

/// Notes until when a job is leased, unless it has ended or was claimed again meanwhile.
fn note_renewal(context: &Shared, job: Job) {
    let mut leased = context.leased.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = leased.get_mut(&(job.kind, job.subject.clone())).filter(|entry| entry.claim == job.claim) {
        *entry = job;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_started_again() {
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
        restart_until_stopped(&stopping, work).await;
        assert_eq!(started.load(Ordering::Relaxed), 3);
    }
}
