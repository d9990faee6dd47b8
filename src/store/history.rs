//! What became of calls, recordings and transcripts, in the order it happened. Rows are added and never changed.

use super::{Conn, Error, Row, args};
use crate::model::call::CallId;

/// A step forward.
#[derive(Debug, Clone)]
pub struct Event {
    /// `call`, `recording` or `transcript`.
    pub kind: String,
    /// Our id of the call, the recording's SID, our id of the transcript.
    pub subject: String,
    /// The state that was reached.
    pub state: String,
    /// Its rank.
    pub rank: i64,
    /// The round of a transcript; 1 of everything else.
    pub round: i64,
    /// Why, for a person.
    pub reason: Option<String>,
    /// In milliseconds since 1970.
    pub at: i64,
}

impl Conn {
    /// Adds an event to the history of a call, or of a transcript that belongs to none.
    pub(super) async fn note(&mut self, call: Option<&CallId>, event: Event) -> Result<(), Error> {
        let Event { kind, subject, state, rank, round, reason, at } = event;
        self.execute(
            "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                call.map(CallId::as_str),
                kind.as_str(),
                subject.as_str(),
                state.as_str(),
                rank,
                round,
                reason.as_deref(),
                at
            ],
        )
        .await
        .map(drop)
    }

    /// What became of a call and all that belongs to it, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(&mut self, call: &CallId) -> Result<Vec<Event>, Error> {
        let rows = self
            .fetch(
                "SELECT kind, subject, state, rank, round, reason, at FROM history WHERE call_id = $1 ORDER BY number",
                args![call.as_str()],
            )
            .await?;
        rows.iter().map(event).collect()
    }
}

fn event(row: &Row) -> Result<Event, Error> {
    Ok(Event {
        kind: row.text("kind")?,
        subject: row.text("subject")?,
        state: row.text("state")?,
        rank: row.int("rank")?,
        round: row.int("round")?,
        reason: row.text_if_set("reason")?,
        at: row.int("at")?,
    })
}
