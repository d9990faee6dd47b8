//! Imports, and the recordings of each.

use std::collections::HashMap;

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::{Call, CallId, CallName};
use crate::model::import::{ImportFilter, ImportId, ImportState, ItemState, OpenOrders};
use crate::model::job::JobKind;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, TranscriptState};

/// An import as somebody confirmed it, and how far it is.
#[derive(Debug, Clone)]
pub struct Import {
    pub id: ImportId,
    /// A checksum of what was asked for.
    pub asked: String,
    pub filter: ImportFilter,
    pub state: ImportState,
    /// Why it is paused, if nobody did that.
    pub reason: Option<String>,
    /// Pages of Twilio's list that were read, and where the next one is.
    pub pages: i64,
    pub next_page: Option<String>,
    /// Whether there is no other page.
    pub is_listed: bool,
    /// Since when it orders transcripts without a pause, in milliseconds since 1970.
    pub running_since: Option<i64>,
    pub made_at: i64,
    pub made_by: String,
}

/// A recording of an import, as it is listed.
#[derive(Debug, Clone)]
pub struct ImportItem {
    pub recording: RecordingSid,
    /// In milliseconds since 1970.
    pub made_at: i64,
    pub seconds: i64,
    pub state: ItemState,
    /// Why it is skipped, or has failed.
    pub reason: Option<String>,
    /// The number at the other end of its call, where that is not here.
    pub number: Option<String>,
    /// Of its transcript, once that was ordered.
    pub order: Option<OrderId>,
}

/// A recording that failed or was skipped, with its call if that is here.
#[derive(Debug)]
pub struct LeftOut {
    pub item: ImportItem,
    pub call: Option<Call>,
}

/// How many recordings of an import are in each state.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportCounts {
    pub waiting: i64,
    pub ordered: i64,
    pub done: i64,
    pub failed: i64,
    pub skipped: i64,
    /// The length of those that are not skipped, of those that are done, and of those that failed.
    pub seconds: i64,
    pub done_seconds: i64,
    pub failed_seconds: i64,
    /// Those that came to their end since a time.
    pub ended: i64,
}

/// What is here of a recording.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Here {
    /// Its call is deleted, or being deleted.
    pub(crate) is_deleted: bool,
    /// It has a transcript, or one is being made.
    pub(crate) has_transcript: bool,
    /// Its transcript has failed.
    pub(crate) has_failed: bool,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, asked, since, until, number, min_seconds, max_seconds, channels, state, reason, pages, next_page, is_listed,
             running_since, made_at, made_by FROM imports ",
            $rest
        )
    };
}

impl Conn {
    /// Inserts an import. Returns `false` if there is one with its id.
    pub(crate) async fn add_import(&mut self, new: &Import) -> Result<bool, Error> {
        let sql =
            "INSERT INTO imports (id, asked, since, until, number, min_seconds, max_seconds, state, made_at, made_by, channels)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let ImportFilter { since, until, number, min_seconds, max_seconds, channels } = &new.filter;
        let args = args![
            new.id.as_str(),
            new.asked.as_str(),
            *since,
            *until,
            number.as_deref(),
            *min_seconds,
            *max_seconds,
            new.state.as_str(),
            new.made_at,
            new.made_by.as_str(),
            *channels
        ];
        Ok(self.execute(sql, args).await? > 0)
    }

    pub async fn import(&mut self, id: &ImportId) -> Result<Option<Import>, Error> {
        self.fetch_one(select!("WHERE id = $1"), args![id.as_str()]).await?.as_ref().map(import).transpose()
    }

    /// The newest imports of those that were made before this one.
    pub async fn imports(&mut self, before: Option<&Import>, limit: i64) -> Result<Vec<Import>, Error> {
        let (at, id) = before.map_or((i64::MAX, ""), |before| (before.made_at, before.id.as_str()));
        let sql = select!("WHERE (made_at, id) < ($2, $3) ORDER BY made_at DESC, id DESC LIMIT $1");
        let rows = self.fetch(sql, args![limit, at, id]).await?;
        rows.iter().map(import).collect()
    }

    /// Stores a page of Twilio's list, and where the next one is. Returns `false` if the page was stored before, or if the import
    /// is not listed any more.
    pub(crate) async fn add_import_page(
        &mut self,
        import: &Import,
        items: &[ImportItem],
        next_page: Option<&str>,
        now: i64,
    ) -> Result<bool, Error> {
        let sql =
            "UPDATE imports SET pages = pages + 1, next_page = $3, is_listed = CASE WHEN $3 IS NULL THEN 1 ELSE 0 END,
                   state = CASE WHEN $3 IS NULL THEN 'running' ELSE state END,
                   running_since = CASE WHEN $3 IS NULL THEN $4 ELSE running_since END
                   WHERE id = $1 AND pages = $2 AND is_listed = 0 AND state = 'listing'";
        let args = args![import.id.as_str(), import.pages, next_page, now];
        if self.execute(sql, args).await? == 0 {
            return Ok(false);
        }
        for ImportItem { recording, made_at, seconds, state, reason, number, .. } in items {
            // Where a list is read from its beginning again, they are here.
            let sql = "INSERT INTO import_recordings (import, recording_sid, made_at, seconds, state, reason, number)
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
            let args = args![
                import.id.as_str(),
                recording.as_str(),
                *made_at,
                *seconds,
                state.as_str(),
                reason.as_deref(),
                number.as_deref()
            ];
            self.execute(sql, args).await?;
        }
        self.note_import(import.id.as_str(), now).await?;
        Ok(true)
    }

    /// Begins to read Twilio's list again: it refuses to go on where it was left.
    pub(crate) async fn list_import_again(&mut self, id: &ImportId) -> Result<(), Error> {
        let sql = "UPDATE imports SET next_page = NULL WHERE id = $1 AND is_listed = 0";
        self.execute(sql, args![id.as_str()]).await.map(drop)
    }

    /// Keeps other transactions on PostgreSQL from steering or ending an import until this one ends.
    pub(crate) async fn lock_import(&mut self, id: &ImportId) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        self.fetch("SELECT id FROM imports WHERE id = $1 FOR NO KEY UPDATE", args![id.as_str()]).await.map(drop)
    }

    /// Moves an import from one state to another. Returns `false` if it is not in the first.
    pub(crate) async fn move_import(
        &mut self,
        id: &ImportId,
        from: ImportState,
        to: ImportState,
        reason: Option<&str>,
        now: i64,
    ) -> Result<bool, Error> {
        let sql = "UPDATE imports SET state = $3, reason = $4, running_since = CASE WHEN $3 = 'running' THEN $5 END
                   WHERE id = $1 AND state = $2";
        let args = args![id.as_str(), from.as_str(), to.as_str(), reason, now];
        let is_moved = self.execute(sql, args).await? > 0;
        if is_moved {
            self.note_import(id.as_str(), now).await?;
        }
        Ok(is_moved)
    }

    /// How many recordings are in each state, and how many came to their end since `ended_since`.
    pub async fn import_counts(&mut self, id: &ImportId, ended_since: i64) -> Result<ImportCounts, Error> {
        let sql = "SELECT state, count(*) AS recordings, CAST(sum(seconds) AS BIGINT) AS seconds,
                   count(CASE WHEN ended_at >= $2 THEN 1 END) AS ended
                   FROM import_recordings WHERE import = $1 GROUP BY state";
        let mut counts = ImportCounts::default();
        for row in self.fetch(sql, args![id.as_str(), ended_since]).await? {
            let recordings = row.int("recordings")?;
            let state = item_state(&row)?;
            match state {
                ItemState::Waiting => counts.waiting = recordings,
                ItemState::Ordered => counts.ordered = recordings,
                ItemState::Done => (counts.done, counts.done_seconds) = (recordings, row.int("seconds")?),
                ItemState::Failed => (counts.failed, counts.failed_seconds) = (recordings, row.int("seconds")?),
                ItemState::Skipped => counts.skipped = recordings,
            }
            if state != ItemState::Skipped {
                counts.seconds += row.int("seconds")?;
                counts.ended += row.int("ended")?;
            }
        }
        Ok(counts)
    }

    /// How many orders of an import are not finished.
    pub(crate) async fn open_import_orders(&mut self, id: &ImportId) -> Result<OpenOrders, Error> {
        // Every time is one, but SQLite then finds those few by their state, and does not look at the whole import.
        let sql = "SELECT count(*) AS orders, count(*) - count(transcript_id) AS unsent FROM import_recordings
                   JOIN transcripts ON transcripts.id = order_id
                   WHERE import = $1 AND import_recordings.state = 'ordered' AND made_at >= $2";
        let Some(row) = self.fetch_one(sql, args![id.as_str(), i64::MIN]).await? else {
            return Ok(OpenOrders::default());
        };
        Ok(OpenOrders { all: row.int("orders")?, unsent: row.int("unsent")? })
    }

    /// The recordings of an import in this state, the newest first.
    pub async fn import_items(
        &mut self,
        id: &ImportId,
        state: ItemState,
        limit: i64,
    ) -> Result<Vec<ImportItem>, Error> {
        let sql = "SELECT recording_sid, made_at, seconds, state, reason, number, order_id FROM import_recordings
                   WHERE import = $1 AND state = $2 ORDER BY made_at DESC, recording_sid DESC LIMIT $3";
        self.fetch(sql, args![id.as_str(), state.as_str(), limit]).await?.iter().map(item).collect()
    }

    /// The newest recordings of an import that failed, and then those that were skipped for another reason than this one, each
    /// with its call if that is here.
    pub async fn left_out(&mut self, id: &ImportId, but: &str, limit: i64) -> Result<Vec<LeftOut>, Error> {
        let sql = "SELECT recording_sid, made_at, seconds, state, reason, number, order_id,
                   (SELECT call_id FROM recordings WHERE sid = recording_sid) AS call FROM import_recordings
                   WHERE import = $1 AND state IN ('failed', 'skipped') AND (reason IS NULL OR reason <> $2)
                   ORDER BY state, made_at DESC, recording_sid LIMIT $3";
        let rows = self.fetch(sql, args![id.as_str(), but, limit]).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let call = match row.text_if_set("call")?.and_then(|call| call.parse().ok()) {
                Some(call) => self.call(&CallName::Id(call)).await?.filter(|call| call.deletion.is_none()),
                None => None,
            };
            all.push(LeftOut { item: item(row)?, call });
        }
        Ok(all)
    }

    /// How many recordings of an import have a number.
    pub(crate) async fn count_numbered(&mut self, id: &ImportId) -> Result<i64, Error> {
        let sql = "SELECT count(*) AS numbered FROM import_recordings WHERE import = $1 AND number IS NOT NULL";
        self.fetch_one(sql, args![id.as_str()]).await?.map_or(Ok(0), |row| row.int("numbered"))
    }

    /// Deletes what imports know of a call that is being deleted: why its transcripts failed, and its numbers.
    pub(super) async fn wipe_import_items(&mut self, call: &CallId) -> Result<(), Error> {
        let reasons = "UPDATE import_recordings SET reason = NULL WHERE state = 'failed' AND order_id IN
                       (SELECT transcripts.id FROM transcripts JOIN recordings ON recordings.sid = transcripts.recording_sid
                       WHERE recordings.call_id = $1)";
        self.execute(reasons, args![call.as_str()]).await?;
        let numbers = "UPDATE import_recordings SET number = NULL WHERE number IN
                       (SELECT to_number FROM calls WHERE id = $1 UNION ALL SELECT from_number FROM calls WHERE id = $1)";
        self.execute(numbers, args![call.as_str()]).await.map(drop)
    }

    /// How many recordings of an import were skipped for which reason, the most frequent first.
    pub async fn skipped_because(&mut self, id: &ImportId) -> Result<Vec<(String, i64)>, Error> {
        let sql = "SELECT coalesce(reason, '') AS why, count(*) AS recordings FROM import_recordings
                   WHERE import = $1 AND state = 'skipped' GROUP BY 1 ORDER BY recordings DESC, why";
        let reason = |row: &Row| Ok((row.text("why")?, row.int("recordings")?));
        self.fetch(sql, args![id.as_str()]).await?.iter().map(reason).collect()
    }

    /// Lets what failed wait to be ordered again. Returns whether anything had failed.
    pub(crate) async fn retry_import_items(&mut self, id: &ImportId) -> Result<bool, Error> {
        let sql = "UPDATE import_recordings SET state = 'waiting', reason = NULL, ended_at = NULL
                   WHERE import = $1 AND state = 'failed'";
        Ok(self.execute(sql, args![id.as_str()]).await? > 0)
    }

    /// Stores that a recording's transcript is ordered. Returns `false` if it does not wait for that.
    pub(crate) async fn order_import_item(
        &mut self,
        id: &ImportId,
        recording: &RecordingSid,
        order: &OrderId,
    ) -> Result<bool, Error> {
        let sql = "UPDATE import_recordings SET state = 'ordered', order_id = $3
                   WHERE import = $1 AND recording_sid = $2 AND state = 'waiting'";
        Ok(self.execute(sql, args![id.as_str(), recording.as_str(), order.as_str()]).await? > 0)
    }

    /// Stores that no transcript of a recording is ordered, and why; with the number at the other end of its call, if that is not
    /// here.
    pub(crate) async fn leave_import_item(
        &mut self,
        id: &ImportId,
        recording: &RecordingSid,
        state: ItemState,
        (reason, number): (&str, Option<&str>),
        now: i64,
    ) -> Result<(), Error> {
        let sql = "UPDATE import_recordings SET state = $3, reason = $4, ended_at = $5, order_id = CASE WHEN $3 = 'failed' THEN order_id END,
                   number = $6
                   WHERE import = $1 AND recording_sid = $2 AND state IN ('waiting', 'ordered')";
        let args = args![id.as_str(), recording.as_str(), state.as_str(), reason, now, number];
        self.execute(sql, args).await?;
        self.note_import(id.as_str(), now).await
    }

    /// Stores how the order of an import's recording has ended, if it is one, and makes the import's job due if there is room for
    /// several others.
    pub(super) async fn end_import_item(
        &mut self,
        order: &OrderId,
        state: TranscriptState,
        reason: Option<&str>,
        now: i64,
    ) -> Result<(), Error> {
        let state = if state == TranscriptState::Completed { ItemState::Done } else { ItemState::Failed };
        let sql = "UPDATE import_recordings SET state = $2, reason = $3, ended_at = $4 WHERE order_id = $1
                   RETURNING import";
        let ended = self.fetch_one(sql, args![order.as_str(), state.as_str(), reason, now]).await?;
        if let Some(row) = ended {
            let import: ImportId = row.text("import")?.parse().map_err(|_| Error::Unreadable("imports.id"))?;
            if self.open_import_orders(&import).await?.has_room_for_several() {
                self.nudge_job(JobKind::Import, import.as_str(), now).await?;
            }
            self.note_import(import.as_str(), now).await?;
        }
        Ok(())
    }

    /// Whether an import has made this order.
    pub(crate) async fn is_of_import(&mut self, order: &OrderId) -> Result<bool, Error> {
        let sql = "SELECT import FROM import_recordings WHERE order_id = $1";
        Ok(self.fetch_one(sql, args![order.as_str()]).await?.is_some())
    }

    /// What is here of these recordings, by SID.
    pub(crate) async fn recordings_here(&mut self, sids: &[&str]) -> Result<HashMap<String, Here>, Error> {
        let sids = serde_json::to_string(sids).unwrap_or_default();
        let here = |row: &Row| {
            let here = Here {
                is_deleted: row.text_if_set("deletion")?.is_some(),
                has_transcript: row.int("made")? > 0,
                has_failed: row.int("failed")? > 0,
            };
            Ok((row.text("sid")?, here))
        };
        self.fetch(self.dialect().recordings_here(), args![sids.as_str()]).await?.iter().map(here).collect()
    }

    /// Whether an import has brought this call.
    pub(crate) async fn is_imported(&mut self, id: &CallId) -> Result<bool, Error> {
        let sql = "SELECT id FROM calls WHERE id = $1 AND import IS NOT NULL";
        Ok(self.fetch_one(sql, args![id.as_str()]).await?.is_some())
    }

    /// Stores which import has brought a call here.
    pub(crate) async fn mark_imported(&mut self, call: &CallId, import: &ImportId) -> Result<(), Error> {
        let sql = "UPDATE calls SET import = $2 WHERE id = $1";
        self.execute(sql, args![call.as_str(), import.as_str()]).await.map(drop)
    }
}

fn item(row: &Row) -> Result<ImportItem, Error> {
    let recording = row.text("recording_sid")?.parse();
    Ok(ImportItem {
        recording: recording.map_err(|_| Error::Unreadable("import_recordings.recording_sid"))?,
        made_at: row.int("made_at")?,
        seconds: row.int("seconds")?,
        state: item_state(row)?,
        reason: row.text_if_set("reason")?,
        number: row.text_if_set("number")?,
        order: row.text_if_set("order_id")?.map(Into::into),
    })
}

fn item_state(row: &Row) -> Result<ItemState, Error> {
    ItemState::named(&row.text("state")?).ok_or(Error::Unreadable("import_recordings.state"))
}

fn import(row: &Row) -> Result<Import, Error> {
    Ok(Import {
        id: row.text("id")?.parse().map_err(|_| Error::Unreadable("imports.id"))?,
        asked: row.text("asked")?,
        filter: ImportFilter {
            since: row.int("since")?,
            until: row.int("until")?,
            number: row.text_if_set("number")?,
            min_seconds: row.int_if_set("min_seconds")?,
            max_seconds: row.int_if_set("max_seconds")?,
            channels: row.int_if_set("channels")?,
        },
        state: ImportState::named(&row.text("state")?).ok_or(Error::Unreadable("imports.state"))?,
        reason: row.text_if_set("reason")?,
        pages: row.int("pages")?,
        next_page: row.text_if_set("next_page")?,
        is_listed: row.int("is_listed")? == 1,
        running_since: row.int_if_set("running_since")?,
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
    })
}
