//! Jobs: what runs next, when, and which instance runs it. An instance claims a job with a lease and renews the lease while
//! the job runs. When the instance dies, the lease expires and another one claims the job. Claims are numbered, and a write
//! for an earlier claim fails. Claims that are lost in a row are counted: the job may be what kills the program.

use super::conn::{Conn, args};
use super::engine::{Row, pause_after_losses};
use super::error::Error;
use crate::model::job::{JobKind, JobState, JobStatus};

/// A job that is due later than this, in milliseconds from now, counts as due: its time came from a clock that has been set
/// back since.
const FURTHEST_DUE: i64 = 2 * 60 * 60 * 1_000;

/// A lease that expires later than a new one by more than this, in milliseconds, counts as expired: its time came from a
/// clock that has been set back since.
const LEASE_SKEW: i64 = 60_000;

/// The longest lease, in milliseconds, where the length of a new one is unknown. Leases last seconds.
const LONGEST_LEASE: i64 = 30_000;

/// A job that was claimed.
#[derive(Debug, Clone)]
pub struct Job {
    pub kind: JobKind,
    /// The call id or order id.
    pub subject: String,
    pub claim: i64,
    /// Consecutive failures.
    pub failures: i64,
    /// Checks in a row that found something pending.
    pub polls: i64,
    /// How many claims before this one were lost in a row: another instance did not give the job back.
    pub losses: i64,
    /// When it was opened, in milliseconds since 1970. If a clock that was ahead has opened it, when it was first claimed
    /// after that.
    pub created_at: i64,
    /// When its lease runs out unless it is renewed, in milliseconds since 1970.
    pub leased_until: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease<'a> {
    /// The instance.
    pub(crate) owner: &'a str,
    /// In milliseconds since 1970.
    pub(crate) until: i64,
}

impl Conn {
    /// Opens a job, or reopens one that has ended. One that is open stays so, and is due at `due` at the latest.
    pub(crate) async fn open_job(&mut self, kind: JobKind, subject: &str, due: i64, now: i64) -> Result<(), Error> {
        self.touch_followed(kind, subject).await?;
        self.execute(
            "INSERT INTO jobs (kind, subject, state, due_at, nudged, attempt, failures, looks, created_at)
             VALUES ($1, $2, 'open', $3, 0, 0, 0, 0, $4) ON CONFLICT (kind, subject) DO UPDATE SET
             nudged = 1, reason = NULL,
             due_at = CASE WHEN jobs.state = 'open' AND jobs.due_at < excluded.due_at THEN jobs.due_at
             ELSE excluded.due_at END,
             failures = CASE WHEN jobs.state = 'open' THEN jobs.failures ELSE 0 END,
             looks = CASE WHEN jobs.state = 'open' THEN jobs.looks ELSE 0 END,
             losses = CASE WHEN jobs.state = 'open' THEN jobs.losses ELSE 0 END,
             created_at = CASE WHEN jobs.state = 'open' THEN jobs.created_at ELSE excluded.created_at END,
             state = 'open'",
            args![kind.as_str(), subject, due, now],
        )
        .await
        .map(drop)
    }

    /// Opens a job that this instance has claimed. If the claim is lost, the job is due at `due`. When a transaction is
    /// retried, the job may exist already, and is claimed again.
    pub(crate) async fn insert_claimed_job(
        &mut self,
        kind: JobKind,
        subject: &str,
        lease: Lease<'_>,
        due: i64,
        now: i64,
    ) -> Result<Job, Error> {
        self.touch_followed(kind, subject).await?;
        let sql = "INSERT INTO jobs (kind, subject, state, due_at, nudged, owner, lease_until, attempt, failures, looks,
                   created_at) VALUES ($1, $2, 'open', $5, 0, $3, $4, 1, 0, 0, $6) ON CONFLICT (kind, subject) DO NOTHING";
        let args = args![kind.as_str(), subject, lease.owner, lease.until, due, now];
        // It rarely exists, and a statement with RETURNING costs more than one without.
        if self.execute(sql, args).await? > 0 {
            let (subject, leased_until) = (subject.to_owned(), lease.until);
            return Ok(Job {
                kind,
                subject,
                claim: 1,
                failures: 0,
                polls: 0,
                losses: 0,
                created_at: now,
                leased_until,
            });
        }
        let sql = "UPDATE jobs SET state = 'open', nudged = 0, owner = $3, lease_until = $4, attempt = attempt + 1
                   WHERE kind = $1 AND subject = $2 RETURNING kind, subject, attempt, failures, looks, losses, created_at, lease_until";
        let again = self.fetch_one(sql, args![kind.as_str(), subject, lease.owner, lease.until]).await?;
        again.as_ref().map_or(Err(Error::LeaseLost), job)
    }

    /// Makes an open job due at once: what it waits for has happened. Returns `false` if it is not open.
    pub(crate) async fn nudge_job(&mut self, kind: JobKind, subject: &str, now: i64) -> Result<bool, Error> {
        let sql = "UPDATE jobs SET due_at = CASE WHEN due_at < $3 THEN due_at ELSE $3 END, nudged = 1
                   WHERE kind = $1 AND subject = $2 AND state = 'open'";
        Ok(self.execute(sql, args![kind.as_str(), subject, now]).await? > 0)
    }

    /// Makes every open job due at once, as after a suspend during which callbacks were missed.
    pub(crate) async fn nudge_all_jobs(&mut self, now: i64) -> Result<u64, Error> {
        self.execute("UPDATE jobs SET due_at = $1 WHERE state = 'open' AND due_at > $1", args![now]).await
    }

    /// Claims due jobs, those due longest first. A claim after one that another
    /// instance lost counts the loss; an instance that finds its own expired claim was held up, and has not ended. Of those
    /// that were lost more than once, claims one at most.
    pub(crate) async fn claim_jobs(&mut self, lease: Lease<'_>, now: i64, limit: i64) -> Result<Vec<Job>, Error> {
        let args = args![lease.owner, lease.until, now, now + FURTHEST_DUE, limit, lease.until + LEASE_SKEW];
        let rows = self.fetch(self.dialect().claim_jobs(), args).await?;
        rows.iter().map(job).collect()
    }

    /// Claims this job, due or not. Returns `None` if another instance has it, if it is not open, or if it was lost more than
    /// once: then only [`claim_jobs`](Self::claim_jobs) claims it.
    pub(crate) async fn claim_job(
        &mut self,
        kind: JobKind,
        subject: &str,
        lease: Lease<'_>,
        now: i64,
    ) -> Result<Option<Job>, Error> {
        let sql = "UPDATE jobs SET owner = $3, lease_until = $4, attempt = attempt + 1, nudged = 0,
                   losses = CASE WHEN owner IS NULL OR owner = $3 THEN losses ELSE losses + 1 END,
                   created_at = CASE WHEN created_at > $5 THEN $5 ELSE created_at END
                   WHERE kind = $1 AND subject = $2 AND state = 'open'
                   AND (lease_until IS NULL OR (lease_until <= $5 AND losses = 0) OR lease_until > $6)
                   RETURNING kind, subject, attempt, failures, looks, losses, created_at, lease_until";
        let args = args![kind.as_str(), subject, lease.owner, lease.until, now, lease.until + LEASE_SKEW];
        self.fetch_one(sql, args).await?.as_ref().map(job).transpose()
    }

    /// Renews the lease of a claimed job. Returns `false` if the claim was lost.
    pub(crate) async fn renew_job(&mut self, job: &Job, lease: Lease<'_>) -> Result<bool, Error> {
        let sql = "UPDATE jobs SET lease_until = $3 WHERE kind = $1 AND subject = $2 AND owner = $4 AND attempt = $5";
        let args = args![job.kind.as_str(), job.subject.as_str(), lease.until, lease.owner, job.claim];
        Ok(self.execute(sql, args).await? > 0)
    }

    /// Ends a claim; the job is next due at `due`, or at once if it was nudged meanwhile. Fails with [`Error::LeaseLost`] if
    /// the claim was lost.
    pub(crate) async fn reschedule_job(
        &mut self,
        job: &Job,
        due: i64,
        now: i64,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "UPDATE jobs SET due_at = CASE WHEN nudged = 1 THEN $4 ELSE $5 END, failures = $6, looks = $7,
                   reason = $8, losses = 0, owner = NULL, lease_until = NULL WHERE kind = $1 AND subject = $2 AND attempt = $3";
        let Job { kind, subject, claim, failures, polls, .. } = job;
        let args = args![kind.as_str(), subject.as_str(), *claim, now, due, *failures, *polls, reason];
        if self.execute(sql, args).await? == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Ends the claim of a job that is due later, and leaves its due time. Returns `false` and changes nothing if it is due
    /// by now, was nudged meanwhile, or the claim was lost.
    pub(crate) async fn release_until_due(&mut self, job: &Job, now: i64) -> Result<bool, Error> {
        let sql = "UPDATE jobs SET losses = 0, owner = NULL, lease_until = NULL
                   WHERE kind = $1 AND subject = $2 AND attempt = $3 AND nudged = 0 AND due_at > $4";
        let args = args![job.kind.as_str(), job.subject.as_str(), job.claim, now];
        Ok(self.execute(sql, args).await? > 0)
    }

    /// Ends a job as done, or as failed for a reason. One that is done but was nudged meanwhile stays open. Fails with
    /// [`Error::LeaseLost`] if the claim was lost.
    pub(crate) async fn end_job(&mut self, job: &Job, failure: Option<&str>, now: i64) -> Result<(), Error> {
        self.touch_followed(job.kind, &job.subject).await?;
        let sql = "UPDATE jobs SET state = CASE WHEN $4 = 'done' AND nudged = 1 THEN 'open' ELSE $4 END, due_at = $5,
                   reason = $6, losses = 0, owner = NULL, lease_until = NULL WHERE kind = $1 AND subject = $2 AND attempt = $3";
        let end = if failure.is_some() { JobStatus::Failed } else { JobStatus::Done };
        let args = args![job.kind.as_str(), job.subject.as_str(), job.claim, end.as_str(), now, failure];
        if self.execute(sql, args).await? == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Ends a job as done, whether it is claimed or not.
    pub(crate) async fn close_job(&mut self, kind: JobKind, subject: &str, now: i64) -> Result<(), Error> {
        self.touch_followed(kind, subject).await?;
        let sql =
            "UPDATE jobs SET state = 'done', due_at = $3, reason = NULL, losses = 0, owner = NULL, lease_until = NULL
                   WHERE kind = $1 AND subject = $2 AND state = 'open'";
        self.execute(sql, args![kind.as_str(), subject, now]).await.map(drop)
    }

    /// Has the summary of a call stored whose following begins or ends. The call is locked before the job, as callbacks do.
    async fn touch_followed(&mut self, kind: JobKind, subject: &str) -> Result<(), Error> {
        if kind != JobKind::Call {
            return Ok(());
        }
        self.touch(subject);
        self.lock_touched(std::iter::once(subject)).await
    }

    /// Ends all claims of this instance.
    pub(crate) async fn release_jobs(&mut self, owner: &str) -> Result<u64, Error> {
        // A leased job is open; saying so makes the index of open jobs usable.
        let sql = "UPDATE jobs SET owner = NULL, lease_until = NULL WHERE owner = $1 AND state = 'open'";
        self.execute(sql, args![owner]).await
    }

    /// Whether a job can be claimed, by a read that takes no lock, as a claim does.
    pub(crate) async fn is_job_due(&mut self, now: i64) -> Result<bool, Error> {
        // Two conditions, so that both use the index by due time: most open jobs are due later.
        macro_rules! is_there {
            ($due:literal) => {
                concat!(
                    "EXISTS (SELECT 1 FROM jobs WHERE state = 'open' AND ",
                    $due,
                    " AND (lease_until IS NULL OR (lease_until <= $1 AND losses = 0) OR lease_until > $3))"
                )
            };
        }
        let sql = concat!(
            "SELECT CAST(CASE WHEN ",
            is_there!("due_at <= $1"),
            " OR ",
            is_there!("due_at > $2"),
            " OR EXISTS (SELECT 1 FROM jobs WHERE losses > 0 AND state = 'open' AND due_at <= $1 AND lease_until <= $1 - ",
            pause_after_losses!(),
            ") THEN 1 ELSE 0 END AS BIGINT) AS is_due"
        );
        let row = self.fetch_one(sql, args![now, now + FURTHEST_DUE, now + LONGEST_LEASE + LEASE_SKEW]).await?;
        row.map_or(Ok(false), |row| Ok(row.int("is_due")? == 1))
    }

    /// Counts the open jobs of a kind.
    pub(crate) async fn count_open_jobs(&mut self, kind: JobKind) -> Result<i64, Error> {
        let sql = "SELECT count(*) AS jobs FROM jobs WHERE state = 'open' AND kind = $1";
        self.fetch_one(sql, args![kind.as_str()]).await?.map_or(Ok(0), |row| row.int("jobs"))
    }

    /// Counts the jobs of a kind that have failed.
    pub(crate) async fn count_failed_jobs(&mut self, kind: JobKind) -> Result<i64, Error> {
        let sql = "SELECT count(*) AS jobs FROM jobs WHERE state = 'failed' AND kind = $1";
        self.fetch_one(sql, args![kind.as_str()]).await?.map_or(Ok(0), |row| row.int("jobs"))
    }

    /// How a job stands; `None` if there never was one.
    pub(crate) async fn job_state(&mut self, kind: JobKind, subject: &str) -> Result<Option<JobState>, Error> {
        let sql = "SELECT state, reason FROM jobs WHERE kind = $1 AND subject = $2";
        let row = self.fetch_one(sql, args![kind.as_str(), subject]).await?;
        row.map(|row| Ok(JobState { status: status(&row.text("state")?)?, reason: row.text_if_set("reason")? }))
            .transpose()
    }
}

/// The status that is stored as this word.
pub(super) fn status(word: &str) -> Result<JobStatus, Error> {
    JobStatus::named(word).ok_or(Error::Unreadable("jobs.state"))
}

fn job(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        kind: JobKind::named(&row.text("kind")?).ok_or(Error::Unreadable("jobs.kind"))?,
        subject: row.text("subject")?,
        claim: row.int("attempt")?,
        failures: row.int("failures")?,
        polls: row.int("looks")?,
        losses: row.int("losses")?,
        created_at: row.int("created_at")?,
        leased_until: row.int("lease_until")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failpoint::Commit;
    use crate::store::{Location, Store};

    #[tokio::test]
    async fn a_claimed_job_that_is_inserted_again_is_claimed_again() {
        let path = std::env::temp_dir().join(format!("callscribe-jobs-{}.db", std::process::id()));
        let store = Store::open(&Location::file(&path)).await.unwrap();
        for (claim, owner, now) in [(1, "one", 1_000), (2, "other", 2_000)] {
            let job = store
                .write(Commit::BuildIndex, "", |mut tx| async move {
                    let lease = Lease { owner, until: now + 500 };
                    let job = tx.insert_claimed_job(JobKind::Call, "id", lease, now + 100, now).await?;
                    Ok((tx, job))
                })
                .await
                .unwrap();
            assert_eq!((job.claim, job.failures, job.polls, job.created_at), (claim, 0, 0, 1_000));
            let sql = "SELECT owner, lease_until, due_at, attempt FROM jobs WHERE subject = 'id' AND kind = 'call'";
            let row = store.read().await.unwrap().fetch_one(sql, vec![]).await.unwrap().unwrap();
            assert_eq!((row.text("owner").unwrap().as_str(), row.int("lease_until").unwrap()), (owner, now + 500));
            assert_eq!((row.int("due_at").unwrap(), row.int("attempt").unwrap()), (1_100, claim));
        }
        store.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn an_instance_that_finds_its_own_claim_expired_has_not_ended() {
        let path = std::env::temp_dir().join(format!("callscribe-own-jobs-{}.db", std::process::id()));
        let store = Store::open(&Location::file(&path)).await.unwrap();
        let open = |mut tx: Conn| async move {
            Ok((tx.open_job(JobKind::Call, "id", 0, 0).await?, tx)).map(|((), tx)| (tx, ()))
        };
        store.write(Commit::BuildIndex, "", open).await.unwrap();
        for (owner, now, losses) in [("one", 1_000, 0), ("one", 2_000, 0), ("one", 3_000, 0), ("two", 4_000, 1)] {
            let claim = |mut tx: Conn| async move {
                let lease = Lease { owner, until: now + 500 };
                let all = tx.claim_jobs(lease, now, 10).await?;
                let again = tx.claim_job(JobKind::Call, "id", Lease { until: now + 900, ..lease }, now + 600).await?;
                Ok((tx, (all, again)))
            };
            let (all, again) = store.write(Commit::BuildIndex, "", claim).await.unwrap();
            assert_eq!(all.iter().map(|job| job.losses).collect::<Vec<_>>(), [losses], "{owner} at {now}");
            // A job that was lost is not claimed by name.
            assert_eq!(again.map(|job| job.losses), (losses == 0).then_some(0), "{owner} at {now}");
        }
        store.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn jobs_that_are_lost_together_run_one_at_a_time_after_their_second_loss() {
        let path = std::env::temp_dir().join(format!("callscribe-lost-jobs-{}.db", std::process::id()));
        let store = Store::open(&Location::file(&path)).await.unwrap();
        let open = |mut tx: Conn| async move {
            for subject in ["a", "b", "c"] {
                tx.open_job(JobKind::Call, subject, 0, 0).await?;
            }
            Ok((tx, ()))
        };
        store.write(Commit::BuildIndex, "", open).await.unwrap();
        // Each claim is another instance's.
        let claim = async |now: i64| {
            let owner = &now.to_string();
            let claim = |mut tx: Conn| async move {
                let jobs = tx.claim_jobs(Lease { owner, until: now + 4_000 }, now, 10).await?;
                Ok((tx, jobs))
            };
            let jobs = store.write(Commit::BuildIndex, "", claim).await.unwrap();
            let mut found: Vec<_> = jobs.iter().map(|job| format!("{} {}", job.subject, job.losses)).collect();
            found.sort();
            let is_due = store.read().await.unwrap().is_job_due(now).await.unwrap();
            (found.join(", "), is_due, jobs)
        };
        let release =
            |mut tx: Conn| async move { Ok((tx.release_jobs("1000").await?, tx)).map(|(count, tx)| (tx, count)) };

        assert_eq!(claim(1_000).await.0, "a 0, b 0, c 0");
        assert_eq!(claim(4_999).await.0, "", "they are leased");
        store.write(Commit::BuildIndex, "", release).await.unwrap();
        assert_eq!(claim(4_999).await.0, "a 0, b 0, c 0", "what is given back is not lost");
        assert_eq!(claim(8_999).await.0, "a 1, b 1, c 1", "the first loss costs no time");
        assert_eq!(claim(13_998).await.0, "", "the second one a second");
        let (found, is_due, _) = claim(13_999).await;
        assert_eq!((found.as_str(), is_due), ("a 2", true));
        assert_eq!(claim(17_998).await.0, "", "while one runs, no other does");
        let (found, _, jobs) = claim(17_999).await;
        assert_eq!(found, "b 2", "a pauses");
        let done = |mut tx: Conn| {
            let jobs = &jobs;
            async move { tx.end_job(&jobs[0], None, 18_000).await.map(|()| (tx, ())) }
        };
        store.write(Commit::BuildIndex, "", done).await.unwrap();
        assert_eq!(claim(18_000).await.0, "c 2");
        let (found, is_due, _) = claim(30_000).await;
        assert_eq!((found.as_str(), is_due), ("a 3", true));
        let (found, is_due, _) = claim(30_001).await;
        assert_eq!((found.as_str(), is_due), ("", true), "c waits for a");
        store.close().await;
        std::fs::remove_file(path).unwrap();
    }
}
