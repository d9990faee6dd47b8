//! How much is left to do, for metrics. Each statement reads what is open by an index, and no more of it than is counted.

use super::conn::{Conn, args};
use super::error::Error;
use crate::metrics::{DUE, Deliveries, Jobs, MOST_COUNTED, Waiting};
use crate::model::job::JobKind;
use crate::model::receiver::ReceiverState;
use crate::model::standing::Progress;

/// The states of a job in metrics.
const JOB_STATES: [&str; 4] = [DUE, "waiting", "running", "failed"];

/// How far a call is that something is still done for.
const OPEN: [Progress; 4] = [Progress::Calling, Progress::Recording, Progress::Transcribing, Progress::Deleting];

/// The states of a receiver that deliveries may wait for.
const RECEIVERS: [ReceiverState; 3] = [ReceiverState::Enabled, ReceiverState::Paused, ReceiverState::Disabled];

impl Conn {
    /// Counts what waits, of each sort [`MOST_COUNTED`] at most: of jobs the first that are due, of deliveries the oldest.
    pub async fn waiting(&mut self, now: i64) -> Result<Waiting, Error> {
        let mut waiting = Waiting::default();
        let mut found = self.open_jobs(now).await?;
        found.extend(self.failed_jobs().await?);
        for kind in JobKind::ALL.map(JobKind::as_str) {
            for state in JOB_STATES {
                let of = found.iter().find(|(found, standing, ..)| found == kind && standing == state);
                let (count, oldest) = of.map_or((0, None), |(_, _, count, due)| (*count, *due));
                let oldest = oldest.map_or(0.0, |due| seconds(now - due));
                waiting.jobs.push(Jobs { kind, state, count, oldest });
            }
        }
        for progress in OPEN.map(Progress::as_str) {
            waiting.calls.push((progress, self.calls_of_progress(progress).await?));
        }
        let found = self.waiting_deliveries().await?;
        for receivers in RECEIVERS.map(ReceiverState::as_str) {
            let of = found.iter().find(|(state, ..)| state == receivers);
            let (count, oldest) = of.map_or((0, 0.0), |(_, count, at)| (*count, seconds(now - at)));
            waiting.deliveries.push(Deliveries { receivers, count, oldest });
        }
        Ok(waiting)
    }

    /// The open jobs by their kind and state, with the time at which the first of them was due.
    async fn open_jobs(&mut self, now: i64) -> Result<Vec<(String, String, i64, Option<i64>)>, Error> {
        let sql = "SELECT kind, CASE WHEN lease_until > $1 THEN 'running' WHEN due_at <= $1 THEN 'due' ELSE 'waiting' END
                       AS standing, count(*) AS jobs, min(due_at) AS first
                   FROM (SELECT kind, due_at, lease_until FROM jobs WHERE state = 'open' ORDER BY due_at LIMIT $2) AS open
                   GROUP BY 1, 2";
        let rows = self.fetch(sql, args![now, MOST_COUNTED]).await?;
        let read = rows
            .iter()
            .map(|row| Ok((row.text("kind")?, row.text("standing")?, row.int("jobs")?, Some(row.int("first")?))));
        read.collect()
    }

    async fn failed_jobs(&mut self) -> Result<Vec<(String, String, i64, Option<i64>)>, Error> {
        let sql = "SELECT kind, count(*) AS jobs
                   FROM (SELECT kind FROM jobs WHERE state = 'failed' LIMIT $1) AS failed GROUP BY kind";
        let rows = self.fetch(sql, args![MOST_COUNTED]).await?;
        rows.iter().map(|row| Ok((row.text("kind")?, "failed".to_owned(), row.int("jobs")?, None))).collect()
    }

    async fn calls_of_progress(&mut self, progress: &str) -> Result<i64, Error> {
        let sql = "SELECT count(*) AS calls FROM (SELECT 1 AS one FROM calls
                   WHERE progress = $1 AND (deletion IS NULL OR deletion <> 'done') LIMIT $2) AS counted";
        self.fetch_one(sql, args![progress, MOST_COUNTED]).await?.map_or(Ok(0), |row| row.int("calls"))
    }

    /// The waiting deliveries by the state of their receivers, with the time of the oldest.
    async fn waiting_deliveries(&mut self) -> Result<Vec<(String, i64, i64)>, Error> {
        let sql = "SELECT receivers.state AS state, count(*) AS deliveries, min(waiting.happened_at) AS oldest
                   FROM (SELECT receiver, happened_at FROM deliveries WHERE state = 'waiting' ORDER BY number LIMIT $1)
                       AS waiting
                   JOIN receivers ON receivers.number = waiting.receiver GROUP BY receivers.state";
        let rows = self.fetch(sql, args![MOST_COUNTED]).await?;
        rows.iter().map(|row| Ok((row.text("state")?, row.int("deliveries")?, row.int("oldest")?))).collect()
    }
}

/// A duration in milliseconds as seconds. One that a clock has turned around is 0.
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1_000.0
}
