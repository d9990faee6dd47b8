//! What became of calls, recordings and transcripts, in the order it happened. Rows are added and never changed.

use super::{Conn, Error, Row, args};
use crate::model::call::CallId;
use crate::model::history::{Event, Happened};

/// How far to look back behind the newest number on PostgreSQL, where a number may be committed after a higher one.
const LATE: i64 = 100;

/// So many changes are told one by one. Who missed more is told that anything may have changed.
const TOLD: i64 = 1_000;

/// What changed after a number.
#[derive(Debug, Default)]
pub struct Changes {
    /// The newest number there is.
    pub newest: i64,
    /// The numbers of the rows, each with what it is about: our id of the call, or else the row's own subject.
    pub rows: Vec<(i64, String)>,
    /// Whether there are more than these, or the number is not of this history.
    pub is_lost: bool,
}

impl Conn {
    /// The number of the newest row; 0 if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_change(&mut self) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(number), 0) AS number FROM history";
        self.fetch_one(sql, args![]).await?.map_or(Ok(0), |row| row.int("number"))
    }

    /// What was added after this number, oldest first; with it rows before, where they may have been added later.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn changes_after(&mut self, number: i64) -> Result<Changes, Error> {
        let newest = self.newest_change().await?;
        if number > newest {
            return Ok(Changes { newest, rows: Vec::new(), is_lost: true });
        }
        let late = if self.session.has_other_writers() { LATE } else { 0 };
        let sql = "SELECT number, coalesce(call_id, subject) AS about FROM history \
                   WHERE number > $1 ORDER BY number LIMIT $2";
        let rows = self.fetch(sql, args![number - late, TOLD + 1]).await?;
        let mut rows: Vec<(i64, String)> =
            rows.iter().map(|row| Ok((row.int("number")?, row.text("about")?))).collect::<Result<_, Error>>()?;
        let is_lost = rows.len() > TOLD as usize;
        if is_lost {
            rows.clear();
        }
        let newest = rows.last().map_or(newest, |(last, _)| newest.max(*last));
        Ok(Changes { newest, rows, is_lost })
    }

    /// Adds an event to the history of a call.
    pub(super) async fn note(
        &mut self,
        call: &CallId,
        what: Happened,
        reason: Option<&str>,
        at: i64,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (subject, attempt) = (what.subject(call), what.attempt());
        let args = args![call.as_str(), what.kind(), subject, what.state(), what.rank(), attempt, reason, at];
        self.execute(sql, args).await.map(drop)
    }

    /// What became of a call and all that belongs to it, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(&mut self, call: &CallId) -> Result<Vec<Event>, Error> {
        let sql = "SELECT kind, subject, state, round, reason, at FROM history WHERE call_id = $1 ORDER BY number";
        self.fetch(sql, args![call.as_str()]).await?.iter().map(event).collect()
    }
}

fn event(row: &Row) -> Result<Event, Error> {
    let what = Happened::named(&row.text("kind")?, &row.text("subject")?, &row.text("state")?, row.int("round")?);
    Ok(Event {
        at: row.int("at")?,
        what: what.ok_or(Error::Unreadable("history.state"))?,
        reason: row.text_if_set("reason")?,
    })
}
