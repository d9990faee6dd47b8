//! The history: what happened to calls, recordings and transcripts, in order. Rows are added and never changed.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::history::{Event, Happened};
use crate::model::transcript::Transcript;
use crate::model::trial::TrialId;

/// How many numbers before the newest known one are read again on PostgreSQL, where a row may be committed after one with a
/// higher number.
const LATE: i64 = 100;

/// How many changes are returned one by one. After more, anything may have changed.
const MOST_CHANGES: i64 = 1_000;

/// The kinds of rows that say only that a transcript has another version, or that another stretch of it is checked.
const CORRECTION: &str = "correction";
const CHECK: &str = "check";

/// What was added after a number.
#[derive(Debug, Default)]
pub struct Changes {
    pub newest: i64,
    /// The number of each row and what it is about: the call id, or the row's subject if it belongs to no call. A transcript
    /// of a trial is about the trial, too.
    pub rows: Vec<(i64, String)>,
    /// Whether there are too many, or the number is not of this history.
    pub is_lost: bool,
}

impl Conn {
    /// The number of the newest row, or 0.
    pub async fn newest_change(&mut self) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(number), 0) AS number FROM history";
        self.fetch_one(sql, args![]).await?.map_or(Ok(0), |row| row.int("number"))
    }

    /// The rows that were added after this number, oldest first. On PostgreSQL they include some earlier ones.
    pub async fn changes_after(&mut self, number: i64) -> Result<Changes, Error> {
        let newest = self.newest_change().await?;
        if number > newest {
            return Ok(Changes { newest, rows: Vec::new(), is_lost: true });
        }
        let late = if self.has_other_writers() { LATE } else { 0 };
        let sql = "SELECT number, coalesce(call_id, subject) AS about, CASE WHEN kind = 'transcript' THEN
                       (SELECT trial FROM transcripts WHERE transcripts.id = subject) END AS trial
                   FROM history WHERE number > $1 ORDER BY number LIMIT $2";
        let found = self.fetch(sql, args![number - late, MOST_CHANGES + 1]).await?;
        if found.len() > MOST_CHANGES as usize {
            let newest = found.last().map_or(Ok(newest), |last| last.int("number"))?.max(newest);
            return Ok(Changes { newest, rows: Vec::new(), is_lost: true });
        }
        let mut rows = Vec::new();
        for row in &found {
            let number = row.int("number")?;
            rows.push((number, row.text("about")?));
            rows.extend(row.text_if_set("trial")?.map(|trial| (number, trial)));
        }
        let newest = rows.last().map_or(newest, |(last, _)| newest.max(*last));
        Ok(Changes { newest, rows, is_lost: false })
    }

    /// Adds an event to the history of a call.
    pub(super) async fn note(
        &mut self,
        call: &CallId,
        what: Happened,
        reason: Option<&str>,
        at: i64,
    ) -> Result<(), Error> {
        self.touch(call.as_str());
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at, made_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (kind, subject, attempt) = (what.kind(), what.subject(call), what.attempt());
        let by = self.asked_by();
        let args = args![call.as_str(), kind, subject, what.state(), what.rank(), attempt, reason, at, by];
        self.execute(sql, args).await?;
        self.count_event(what.kind(), what.state());
        self.announce(call, &what, at).await
    }

    /// Notes that the contacts or the vocabulary have changed, for the open pages of all instances.
    pub(super) async fn note_changed(&mut self, what: &str, at: i64) -> Result<(), Error> {
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at)
                   VALUES (NULL, $1, $1, 'changed', 0, 0, NULL, $2)";
        self.execute(sql, args![what, at]).await.map(drop)
    }

    /// Notes that what a trial shows has changed, for the open pages of all instances. Its transcripts have rows of their own.
    pub(super) async fn note_trial(&mut self, trial: &TrialId, at: i64) -> Result<(), Error> {
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at)
                   VALUES (NULL, 'trial', $1, 'changed', 0, 0, NULL, $2)";
        self.execute(sql, args![trial.as_str(), at]).await.map(drop)
    }

    /// Notes that what the page of an import shows has changed, for the open pages of all instances.
    pub(super) async fn note_import(&mut self, import: &str, at: i64) -> Result<(), Error> {
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at)
                   VALUES (NULL, 'import', $1, 'changed', 0, 0, NULL, $2)";
        self.execute(sql, args![import, at]).await.map(drop)
    }

    /// Notes that a transcript was corrected, for the open pages of all instances.
    pub(super) async fn note_correction(&mut self, of: &Transcript, at: i64) -> Result<(), Error> {
        self.note_edit(of, CORRECTION, "corrected", at).await
    }

    /// Notes that what is checked of a transcript has changed, for the open pages of all instances.
    pub(super) async fn note_check(&mut self, of: &Transcript, at: i64) -> Result<(), Error> {
        self.note_edit(of, CHECK, "changed", at).await
    }

    async fn note_edit(&mut self, of: &Transcript, kind: &str, state: &str, at: i64) -> Result<(), Error> {
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at)
                   VALUES ($1, $2, $3, $4, 0, 0, NULL, $5)";
        let call = of.call.as_ref().map(CallId::as_str);
        self.execute(sql, args![call, kind, of.id.as_str(), state, at]).await.map(drop)
    }

    /// The history of a call with its recordings and transcripts, oldest first. Corrections and checks have tables of their
    /// own.
    pub async fn history(&mut self, call: &CallId) -> Result<Vec<Event>, Error> {
        let sql =
            "SELECT kind, subject, state, round, reason, at, made_by FROM history WHERE call_id = $1 AND kind NOT IN ($2, $3)
                   ORDER BY number";
        self.fetch(sql, args![call.as_str(), CORRECTION, CHECK]).await?.iter().map(event).collect()
    }
}

fn event(row: &Row) -> Result<Event, Error> {
    let what = Happened::named(&row.text("kind")?, &row.text("subject")?, &row.text("state")?, row.int("round")?);
    Ok(Event {
        at: row.int("at")?,
        what: what.ok_or(Error::Unreadable("history.state"))?,
        reason: row.text_if_set("reason")?,
        by: row.text_if_set("made_by")?,
    })
}
