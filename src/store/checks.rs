//! Which stretches of transcripts are checked by ear. Rows are added and never changed.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::checked::{Check, Checked, OPEN_END, Stretch};
use crate::model::receiver::EventType;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Transcript};
use crate::model::word::SpokenWord;

impl Conn {
    /// The checks of a transcript, oldest first.
    pub async fn checks_of(&mut self, order: &OrderId) -> Result<Vec<Check>, Error> {
        let sql =
            "SELECT from_ms, to_ms, is_checked, made_at, made_by FROM checks WHERE transcript = $1 ORDER BY number";
        self.fetch(sql, args![order.as_str()]).await?.iter().map(check).collect()
    }

    /// Stores a check of a completed transcript with these words, and indexes whether all of it is checked. Returns what is
    /// checked now, and whether that is all of it, or `None` if the transcript is deleted. A check that changes nothing is not
    /// stored, nor is one a second time.
    pub(crate) async fn add_check(
        &mut self,
        of: &Transcript,
        words: &[SpokenWord],
        check: &Check,
    ) -> Result<Option<(Checked, bool)>, Error> {
        let Check { is_checked, stretch: Stretch { from, to, at, by } } = check;
        if let Some(call) = &of.call
            && !self.lock_call(call, *at).await?
        {
            return Ok(None);
        }
        let order = of.id.as_str();
        // Also keeps others from it until this transaction ends.
        let sql = "UPDATE transcripts SET updated_at = $2 WHERE id = $1 AND text IS NOT NULL RETURNING checked_at";
        let Some(row) = self.fetch_one(sql, args![order, *at]).await? else { return Ok(None) };
        let checks = self.checks_of(&of.id).await?;
        let before = Checked::of(&checks);
        let mut after = before.clone();
        after.apply(check);
        let was_all = row.int_if_set("checked_at")?.is_some();
        if checks.last() == Some(check) || before == after {
            return Ok(Some((before, was_all)));
        }
        let sql = "INSERT INTO checks (transcript, number, from_ms, to_ms, is_checked, made_at, made_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let (number, to) = (checks.len() as i64 + 1, Some(*to).filter(|to| *to != OPEN_END));
        self.execute(sql, args![order, number, *from, to, i64::from(*is_checked), *at, by.as_str()]).await?;
        let last = after.newest().filter(|_| after.covers_all(words));
        if was_all != last.is_some() {
            self.unindex_transcript(order).await?;
        }
        let sql = "UPDATE transcripts SET checked_at = $2, checked_by = $3 WHERE id = $1";
        self.execute(sql, args![order, last.map(|last| last.at), last.map(|last| last.by.as_str())]).await?;
        if was_all != last.is_some() {
            self.index_transcript(order).await?;
        }
        if let Some(recording) = &of.recording {
            self.count_checked(recording).await?;
        }
        self.note_check(of, *at).await?;
        let is_all = last.is_some();
        if was_all != is_all {
            self.announce_transcript(&of.id, EventType::TranscriptChecked, None, *at).await?;
        }
        Ok(Some((after, is_all)))
    }

    /// Counts the call of a recording as checked if the current transcript of each of its recordings is. Where nothing was
    /// said, that is the newest one.
    pub(crate) async fn count_checked(&mut self, recording: &RecordingSid) -> Result<(), Error> {
        let sql = "UPDATE calls SET checked_at = listed.last FROM (
                       SELECT call_id, CASE WHEN count(checked_at) = count(*) THEN max(checked_at) END AS last FROM (
                           SELECT call_id, (SELECT checked_at FROM transcripts
                               WHERE recording_sid = recordings.sid AND state = 'completed'
                               AND (trial IS NULL OR chosen_at IS NOT NULL)
                               ORDER BY CASE WHEN text <> '' THEN 0 ELSE 1 END, coalesce(chosen_at, 0) DESC,
                               created_at DESC, id DESC LIMIT 1) AS checked_at
                           FROM recordings WHERE call_id = (SELECT call_id FROM recordings WHERE sid = $1)
                           AND EXISTS (SELECT 1 FROM transcripts
                               WHERE recording_sid = recordings.sid AND state = 'completed')
                       ) AS each GROUP BY call_id
                   ) AS listed WHERE calls.id = listed.call_id AND calls.checked_at IS DISTINCT FROM listed.last";
        self.execute(sql, args![recording.as_str()]).await.map(drop)
    }

    pub(super) async fn wipe_checks(&mut self, order: &OrderId) -> Result<(), Error> {
        self.execute("DELETE FROM checks WHERE transcript = $1", args![order.as_str()]).await.map(drop)
    }
}

fn check(row: &Row) -> Result<Check, Error> {
    Ok(Check {
        is_checked: row.int("is_checked")? == 1,
        stretch: Stretch {
            from: row.int("from_ms")?,
            to: row.int_if_set("to_ms")?.unwrap_or(OPEN_END),
            at: row.int("made_at")?,
            by: row.text("made_by")?,
        },
    })
}
