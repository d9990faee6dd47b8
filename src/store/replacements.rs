//! Replacements of a text in many transcripts, with how far each is.

use serde::{Deserialize, Serialize};

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use super::filter::{Filter, Number};
use super::search::{first_rank, last_rank};
use crate::model::call::CallState;
use crate::model::replace::Replacing;
use crate::model::search::Query;
use crate::model::transcript::{OrderId, TranscriptId};

/// What an operator wants to be replaced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    pub replacing: Replacing,
    /// The ids of the places that are left out.
    pub except: Vec<String>,
    /// What else was said in the calls, as a query.
    #[serde(default)]
    said: String,
    state: Option<String>,
    number: Option<String>,
    is_whole_number: bool,
    #[serde(default)]
    is_checked: Option<bool>,
    since: i64,
    before: i64,
}

/// A replacement in many transcripts, or the undoing of one.
#[derive(Debug, Clone)]
pub struct Replacement {
    pub id: String,
    /// The replacement that this one undoes.
    pub undoes: Option<String>,
    /// `None` once it has ended: what people look for may be private.
    pub asked: Option<Asked>,
    /// In milliseconds since 1970.
    pub made_at: i64,
    pub made_by: String,
    /// The transcripts that may have such a place, when it began.
    pub total: i64,
    /// Those that were looked at.
    pub looked_at: i64,
    /// Those that were corrected, and the places in them.
    pub transcripts: i64,
    pub places: i64,
    /// The last one that was looked at: by its rank, or of those to be undone by its order.
    pub after_rank: Option<i64>,
    pub after_order: Option<OrderId>,
    pub is_done: bool,
    /// Why it ended before its end.
    pub reason: Option<String>,
}

/// A transcript in the search index.
#[derive(Debug, Clone)]
pub struct Indexed {
    pub rank: i64,
    pub transcript: TranscriptId,
}

/// A correction that is part of a replacement.
#[derive(Debug, Clone)]
pub struct Replaced {
    pub order: OrderId,
    pub transcript: TranscriptId,
    pub correction: String,
}

impl Asked {
    /// `said` is a query for transcripts to look in, besides the filter.
    pub fn new(replacing: Replacing, except: Vec<String>, said: String, filter: &Filter) -> Self {
        let Filter { state, number, since, before, is_checked, .. } = filter;
        let (number, is_whole_number) = match number {
            Some(Number::Whole(text)) => (Some(text.clone()), true),
            Some(Number::Ending(digits)) => (Some(digits.clone()), false),
            None => (None, false),
        };
        let state = state.map(|state| state.as_str().to_owned());
        let (since, before, is_checked) = (*since, *before, *is_checked);
        Self { replacing, except, said, state, number, is_whole_number, is_checked, since, before }
    }

    fn filter(&self) -> Filter {
        let number = self.number.clone();
        let number = number.map(if self.is_whole_number { Number::Whole } else { Number::Ending });
        let state = self.state.as_deref().and_then(CallState::named);
        Filter {
            state,
            number,
            is_checked: self.is_checked,
            since: self.since,
            before: self.before,
            ..Filter::default()
        }
    }

    /// The query that finds all transcripts with such a place. Parts of words are in no index.
    fn query(&self) -> Query {
        let is_indexed = self.replacing.whole_words;
        let place = if is_indexed { Query::phrase(&self.replacing.find) } else { Query::default() };
        Query::parse(&self.said).and(place)
    }
}

impl Conn {
    /// Transcripts in the search index that may have such a place, newest first; with `after`, those that follow this rank.
    pub(crate) async fn indexed(
        &mut self,
        asked: &Asked,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Indexed>, Error> {
        let (query, filter) = (asked.query(), asked.filter());
        let newest = first_rank(filter.before.saturating_sub(1));
        let after = after.unwrap_or_default().max(newest - 1);
        let (until, number) = (last_rank(filter.since), filter.number_pattern());
        let rows = if query.is_empty() {
            let sql = r"SELECT place, transcript, transcript_id FROM spoken
                        JOIN transcripts ON transcripts.id = spoken.transcript
                        LEFT JOIN recordings ON recordings.sid = spoken.source
                        LEFT JOIN calls ON calls.id = recordings.call_id
                        WHERE place > $1 AND place <= $2 AND coalesce(calls.state = $3, CAST($3 AS TEXT) IS NULL)
                        AND coalesce(to_number LIKE $4 ESCAPE '\' OR from_number LIKE $4 ESCAPE '\', CAST($4 AS TEXT) IS NULL)
                        AND coalesce((transcripts.checked_at IS NOT NULL) = ($6 = 1), CAST($6 AS BIGINT) IS NULL)
                        ORDER BY place LIMIT $5";
            let is_checked = filter.is_checked.map(i64::from);
            let args = args![after, until, filter.state_word(), number.as_deref(), limit, is_checked];
            self.fetch(sql, args).await?
        } else {
            let terms = self.terms_of(asked, &query, &filter).await?;
            let args = args![terms.as_str(), after, until, filter.state_word(), number.as_deref(), limit];
            self.fetch_with_fresh_plan(self.dialect().search(), args).await?
        };
        let indexed = |row: &Row| {
            let transcript = row.text("transcript_id")?.parse();
            Ok(Indexed {
                rank: row.int("place")?,
                transcript: transcript.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
            })
        };
        rows.iter().map(indexed).collect()
    }

    /// What the index is asked for. The text to replace must be said, and everything else may be a name.
    async fn terms_of(&mut self, asked: &Asked, query: &Query, filter: &Filter) -> Result<String, Error> {
        let named = self.named(&Query::parse(&asked.said)).await?;
        Ok(self.search_terms(query, &named, filter))
    }

    /// The number of transcripts that [`indexed`](Self::indexed) finds.
    pub(crate) async fn count_indexed(&mut self, asked: &Asked) -> Result<i64, Error> {
        let (query, filter) = (asked.query(), asked.filter());
        let newest = first_rank(filter.before.saturating_sub(1));
        let (until, number) = (last_rank(filter.since), filter.number_pattern());
        let rows = if query.is_empty() {
            let sql = r"SELECT count(*) AS transcripts FROM spoken
                        JOIN transcripts ON transcripts.id = spoken.transcript
                        LEFT JOIN recordings ON recordings.sid = spoken.source
                        LEFT JOIN calls ON calls.id = recordings.call_id
                        WHERE place > $1 AND place <= $2 AND coalesce(calls.state = $3, CAST($3 AS TEXT) IS NULL)
                        AND coalesce(to_number LIKE $4 ESCAPE '\' OR from_number LIKE $4 ESCAPE '\', CAST($4 AS TEXT) IS NULL)
                        AND coalesce((transcripts.checked_at IS NOT NULL) = ($5 = 1), CAST($5 AS BIGINT) IS NULL)";
            let is_checked = filter.is_checked.map(i64::from);
            let args = args![newest - 1, until, filter.state_word(), number.as_deref(), is_checked];
            self.fetch(sql, args).await?
        } else {
            let terms = self.terms_of(asked, &query, &filter).await?;
            let args = args![terms.as_str(), newest - 1, until, filter.state_word(), number.as_deref(), i64::MAX];
            self.fetch_with_fresh_plan(self.dialect().count_found(), args).await?
        };
        rows.first().map_or(Ok(0), |row| row.int("transcripts"))
    }

    /// The corrections that a replacement has made, by their orders; with `after`, those that follow this one. Each is in a
    /// transcript of its own.
    pub(crate) async fn replaced_by(
        &mut self,
        replacement: &str,
        after: Option<&OrderId>,
        limit: i64,
    ) -> Result<Vec<Replaced>, Error> {
        let sql = "SELECT transcript, transcript_id, corrections.id FROM corrections
                   JOIN transcripts ON transcripts.id = corrections.transcript
                   WHERE replacement = $1 AND transcript > $2 ORDER BY transcript LIMIT $3";
        let read = |row: &Row| {
            let transcript = row.text("transcript_id")?.parse();
            Ok(Replaced {
                order: row.text("transcript")?.into(),
                transcript: transcript.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
                correction: row.text("id")?,
            })
        };
        let after = after.map_or("", OrderId::as_str);
        self.fetch(sql, args![replacement, after, limit]).await?.iter().map(read).collect()
    }

    pub(crate) async fn add_replacement(&mut self, new: &Replacement) -> Result<bool, Error> {
        let Replacement { id, undoes, asked, made_at, made_by, total, .. } = new;
        let asked = asked.as_ref().map(|asked| serde_json::to_string(asked).unwrap_or_default());
        let sql = "INSERT INTO replacements (id, undoes, asked, made_at, made_by, total)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let args = args![id.as_str(), undoes.as_deref(), asked.as_deref(), *made_at, made_by.as_str(), *total];
        Ok(self.execute(sql, args).await? > 0)
    }

    pub async fn replacement(&mut self, id: &str) -> Result<Option<Replacement>, Error> {
        let sql = "SELECT id, undoes, asked, made_at, made_by, total, looked_at, transcripts, places, after_place,
                   after_transcript, is_done, reason FROM replacements WHERE id = $1";
        self.fetch_one(sql, args![id]).await?.as_ref().map(replacement).transpose()
    }

    /// Stores how far a replacement is.
    pub(crate) async fn advance_replacement(&mut self, advanced: &Replacement) -> Result<(), Error> {
        let Replacement { id, looked_at, after_rank, after_order, .. } = advanced;
        let sql = "UPDATE replacements SET looked_at = $2, after_place = $3, after_transcript = $4 WHERE id = $1";
        let after_order = after_order.as_ref().map(OrderId::as_str);
        self.execute(sql, args![id.as_str(), *looked_at, *after_rank, after_order]).await.map(drop)
    }

    /// Counts the places of a correction that is part of a replacement.
    pub(super) async fn count_replaced(&mut self, id: &str, places: i64) -> Result<(), Error> {
        let sql = "UPDATE replacements SET transcripts = transcripts + 1, places = places + $2 WHERE id = $1";
        self.execute(sql, args![id, places]).await.map(drop)
    }

    /// Stores the end of a replacement, and forgets what was looked for.
    pub(crate) async fn end_replacement(&mut self, id: &str, reason: Option<&str>) -> Result<(), Error> {
        let sql = "UPDATE replacements SET is_done = 1, asked = NULL, reason = $2 WHERE id = $1";
        self.execute(sql, args![id, reason]).await.map(drop)
    }
}

fn replacement(row: &Row) -> Result<Replacement, Error> {
    let asked = row.text_if_set("asked")?.map(|json| serde_json::from_str(&json)).transpose();
    Ok(Replacement {
        id: row.text("id")?,
        undoes: row.text_if_set("undoes")?,
        asked: asked.map_err(|_| Error::Unreadable("replacements.asked"))?,
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
        total: row.int("total")?,
        looked_at: row.int("looked_at")?,
        transcripts: row.int("transcripts")?,
        places: row.int("places")?,
        after_rank: row.int_if_set("after_place")?,
        after_order: row.text_if_set("after_transcript")?.map(OrderId::from),
        is_done: row.int("is_done")? == 1,
        reason: row.text_if_set("reason")?,
    })
}
