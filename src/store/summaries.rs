//! What lists show, filter and sort by: the progress of a call, the length of its recordings and what it costs. They follow from
//! several tables, and are stored with the call by each transaction that changes one of them.

use std::collections::HashMap;

use super::conn::{Changed, Conn, args};
use super::costs::dollars;
use super::engine::Row;
use super::error::Error;
use super::{jobs, legs, rows};
use crate::model::call::{Call, CallId};
use crate::model::dollars::Dollars;
use crate::model::price::Price;
use crate::model::recording::RecordingState;
use crate::model::standing::{Progress, Summary};
use crate::model::transcript::TranscriptState;

/// Calls whose summaries are stored at once when the program starts.
const BATCH: i64 = 500;

/// What a row of the list of calls shows beside the call itself.
#[derive(Debug, Clone, Default)]
pub struct CallSummary {
    pub summary: Summary,
    /// The total length of its recordings in seconds.
    pub seconds: Option<i64>,
    /// The beginning of its newest text that is not empty.
    pub words: Option<String>,
    /// What its transcripts cost together, if that of any is known.
    pub transcripts_cost: Option<Dollars>,
}

/// What is stored of a summary.
struct Sums {
    id: CallId,
    progress: Progress,
    seconds: i64,
    /// In millionths of a dollar.
    cost: i64,
}

impl Conn {
    /// The summaries of these calls, by call id.
    pub async fn call_summaries(&mut self, calls: &[Call]) -> Result<HashMap<String, CallSummary>, Error> {
        let ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        let (ready, ended) = (RecordingState::Completed.rank(), TranscriptState::Completed.rank());
        let sql = self.dialect().select_call_summaries();
        let rows = self.fetch(sql, args![ids.as_str(), ready, ended]).await?;
        let read = |row: &Row| {
            let (seconds, words) = (row.int_if_set("total_seconds")?, row.text_if_set("words")?);
            let (summary, transcripts_cost) = (summary(row)?, dollars(row, "cost")?);
            Ok((row.text("id")?, CallSummary { summary, seconds, words, transcripts_cost }))
        };
        rows.iter().map(read).collect()
    }

    /// Stores the summaries of all calls that this transaction has changed.
    pub(super) async fn store_summaries(&mut self) -> Result<(), Error> {
        let Changed { mut calls, orders } = self.take_changed();
        if !orders.is_empty() {
            let orders = serde_json::to_string(&orders).unwrap_or_default();
            for row in self.fetch(self.dialect().calls_of_orders(), args![orders.as_str()]).await? {
                calls.insert(row.text("call_id")?);
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        self.lock_touched(calls.iter().map(String::as_str)).await?;
        let ids = serde_json::to_string(&calls).unwrap_or_default();
        for Sums { id, progress, seconds, cost } in self.not_stored(&ids).await? {
            let sql = "UPDATE calls SET progress = $2, recorded_seconds = $3, cost_microusd = $4 WHERE id = $1";
            self.execute(sql, args![id.as_str(), progress.as_str(), seconds, cost]).await?;
        }
        Ok(())
    }

    /// Of the calls whose ids are in a JSON array, those whose summary is not what is stored.
    async fn not_stored(&mut self, ids: &str) -> Result<Vec<Sums>, Error> {
        let (ready, ended) = (RecordingState::Completed.rank(), TranscriptState::Completed.rank());
        let (sql, mut found) = (self.dialect().select_changed_calls(), Vec::new());
        for row in self.fetch(sql, args![ids, ready, ended]).await? {
            let call = rows::call(&row)?;
            let progress = Progress::of(&call, &summary(&row)?);
            // Comparisons find no NULL.
            let seconds = row.int_if_set("total_seconds")?.unwrap_or(-1);
            let cost = Price::with(dollars(&row, "cost")?, call.price.as_ref()).map_or(-1, Dollars::millionths);
            let stored = (row.text_if_set("stored_progress")?, row.int("stored_seconds")?, row.int("stored_cost")?);
            if stored != (Some(progress.as_str().to_owned()), seconds, cost) {
                found.push(Sums { id: call.id, progress, seconds, cost });
            }
        }
        Ok(found)
    }

    /// The calls whose stored summary is not what it follows from. There are none unless a transaction lacks a
    /// [`touch`](Conn::touch).
    pub async fn misplaced_calls(&mut self) -> Result<Vec<String>, Error> {
        let ids: Vec<String> = self
            .fetch("SELECT id FROM calls", args![])
            .await?
            .iter()
            .map(|row| row.text("id"))
            .collect::<Result<_, _>>()?;
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        Ok(self.not_stored(&ids).await?.into_iter().map(|sums| sums.id.to_string()).collect())
    }

    /// Keeps other transactions on PostgreSQL from changing these calls, or what their summaries follow from, until this one
    /// ends.
    pub(super) async fn lock_touched(&mut self, calls: impl Iterator<Item = &str>) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        let ids = serde_json::to_string(&calls.collect::<Vec<_>>()).unwrap_or_default();
        self.fetch(self.dialect().lock_calls(), args![ids.as_str()]).await.map(drop)
    }

    /// Whether there are calls of a version that stored no summaries.
    pub(super) async fn has_unsummarized(&mut self) -> Result<bool, Error> {
        let sql = "SELECT id FROM calls WHERE progress IS NULL LIMIT 1";
        Ok(self.fetch_one(sql, args![]).await?.is_some())
    }

    /// Has the summaries of some of them stored at the end of the transaction.
    pub(super) async fn touch_some_unsummarized(&mut self) -> Result<(), Error> {
        let sql = "SELECT id FROM calls WHERE progress IS NULL LIMIT $1";
        for row in self.fetch(sql, args![BATCH]).await? {
            self.touch(&row.text("id")?);
        }
        Ok(())
    }
}

fn summary(row: &Row) -> Result<Summary, Error> {
    let is_some = |column| Ok::<bool, Error>(row.int(column)? > 0);
    Ok(Summary {
        furthest_leg: row.text_if_set("leg")?.map(|word| legs::state(&word)).transpose()?,
        is_bridged: row.int_if_set("bridged")?.map(|bridged| bridged != 0),
        following: row.text_if_set("job")?.map(|word| jobs::status(&word)).transpose()?,
        is_recording_coming: is_some("coming")?,
        has_transcripts: is_some("transcripts")?,
        has_unfinished: is_some("unfinished")?,
        has_failed: is_some("failed")?,
        has_untranscribed: is_some("untranscribed")?,
        over_budget: dollars(row, "over_budget")?,
    })
}
