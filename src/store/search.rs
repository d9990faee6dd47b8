//! The search index of what was said in calls, and its hits. The model cuts texts and queries into terms; how each database
//! matches them is the dialect's.

use super::conn::{Conn, args};
use super::contacts::MOST_NAMED;
use super::engine::Row;
use super::error::Error;
use super::filter::Filter;
use super::{facets, rows};
use crate::model::call::{Call, CallId};
use crate::model::recording::RecordingSid;
use crate::model::search::{self, Passage, Piece, Query, folded};
use crate::model::transcript::{OrderId, TranscriptId};

/// Transcripts that one transaction indexes while the index is built.
const BATCH: i64 = 200;

/// Bytes of words among which the moment of a hit is looked for: twice what is indexed, to have room for punctuation.
const MOST_TEXT: usize = 2 << 20;

/// Ranks that are tried for a transcript. Few calls are of the same millisecond.
const RANKS_TRIED: i64 = 64;

/// What a phrase of a query finds by a name as it is now.
#[derive(Debug, Default)]
pub struct Named {
    /// Numbers and names of contacts.
    pub contacts: Vec<(String, String)>,
    /// Ids of calls in which somebody with the name speaks, and of uploads whose title or file has it.
    pub calls: Vec<String>,
}

impl Named {
    /// Whether there may be contacts with this name beside those that were found.
    pub fn may_miss_contacts(&self) -> bool {
        self.contacts.len() as i64 >= MOST_NAMED
    }
}

#[derive(Debug)]
pub struct Hit {
    /// Its position among all hits, newest first; [`Conn::hits`] continues after it.
    pub rank: i64,
    /// The call in which it was said, if it was one.
    pub call: Option<Call>,
    /// The recording, if it is one of Twilio's.
    pub recording: Option<RecordingSid>,
    pub transcript: Option<TranscriptId>,
    /// What was said, and what around it.
    pub passage: Vec<Piece>,
    /// When the first match in the passage is said, in milliseconds from the start of the audio.
    pub moment: Option<i64>,
    /// Whether all of the transcript is checked by ear.
    pub is_checked: bool,
}

/// The low bits of a rank, which tell transcripts of the same millisecond apart.
const LOW_BITS: u32 = 16;

/// The last time that has ranks of its own, in the year 4199; later times share them.
const MAX_MS: i64 = (1 << 46) - 1;

/// The first rank of a time. Ranks fall as time rises: FTS5 reads rows forward cheaply, and backward over many rows at a
/// quadratic cost. All are at least 2^62. Older programs used rising ranks, which are smaller; the table refuses those.
pub(super) fn first_rank(ms: i64) -> i64 {
    ((i64::MAX >> LOW_BITS) - ms.clamp(0, MAX_MS)) << LOW_BITS
}

pub(super) fn last_rank(ms: i64) -> i64 {
    first_rank(ms) | ((1 << LOW_BITS) - 1)
}

impl Conn {
    /// Whether transcripts, or names of speakers, wait to be indexed that are older than the index.
    pub(super) async fn has_unindexed(&mut self) -> Result<bool, Error> {
        let transcript = self.fetch_one("SELECT transcript FROM unsearched LIMIT 1", args![]).await?;
        Ok(transcript.is_some() || self.has_unindexed_speakers().await?)
    }

    /// Indexes some of them.
    pub(super) async fn index_some_unindexed(&mut self) -> Result<(), Error> {
        self.index_speakers().await?;
        let sql = "DELETE FROM unsearched WHERE transcript IN
                   (SELECT transcript FROM unsearched ORDER BY transcript DESC LIMIT $1) RETURNING transcript";
        let rows = self.fetch(sql, args![BATCH]).await?;
        let mut ids = rows.iter().map(|row| row.text("transcript")).collect::<Result<Vec<_>, _>>()?;
        // Newest first, as the ranks: FTS5 flushes its buffer whenever a row comes before the last one.
        ids.sort_unstable_by(|one, other| other.cmp(one));
        for id in &ids {
            self.index_transcript(id).await?;
        }
        Ok(())
    }

    /// Adds a finished transcript to the search index. It replaces an older one of the same recording, unless somebody chose
    /// or corrected that one, or the text is empty: then the older one still says what was said. One of a trial is not added
    /// until somebody chooses it.
    pub(super) async fn index_transcript(&mut self, id: &str) -> Result<(), Error> {
        let sql = "SELECT text, coalesce(recording_sid, audio) AS source, created_at, checked_at,
                   coalesce(chosen_at, 0) AS chosen_at FROM transcripts
                   WHERE id = $1 AND (trial IS NULL OR chosen_at IS NOT NULL)";
        let Some(row) = self.fetch_one(sql, args![id]).await? else { return Ok(()) };
        let Some(text) = row.text_if_set("text")?.filter(|text| !text.is_empty()) else { return Ok(()) };
        let (source, requested_at, chosen_at) = (row.text("source")?, row.int("created_at")?, row.int("chosen_at")?);
        let (at, mut facets) =
            match self.fetch_one(self.dialect().lock_call_of_recording(), args![source.as_str()]).await? {
                Some(call) if call.text_if_set("deletion")?.is_some() => return Ok(()),
                Some(call) => {
                    let (to, from) = (call.text_if_set("to_number")?, call.text_if_set("from_number")?);
                    let facets =
                        facets::of_call(&call.text("state")?, [to.as_deref(), from.as_deref()], &call.text("id")?);
                    (call.int("created_at")?, facets)
                }
                None => (requested_at, String::new()),
            };
        if row.int_if_set("checked_at")?.is_some() {
            facets += &(facets::of_checked() + " ");
        }
        // Older programs have indexed empty texts.
        let other = "SELECT transcript, created_at, coalesce(chosen_at, 0) AS chosen_at,
                     CAST(CASE WHEN text <> '' THEN 1 ELSE 0 END AS BIGINT) AS is_spoken
                     FROM spoken JOIN transcripts ON id = transcript WHERE source = $1";
        if let Some(other) = self.fetch_one(other, args![source.as_str()]).await? {
            let other_id = other.text("transcript")?;
            let others = (other.int("chosen_at")?, other.int("created_at")?, other_id.as_str());
            if other.int("is_spoken")? == 1 && others > (chosen_at, requested_at, id) {
                return Ok(());
            }
            self.unindex_transcript(&other_id).await?;
        }
        // The end of an id is random.
        let low =
            id.len().checked_sub(4).and_then(|end| i64::from_str_radix(id.get(end..)?, 16).ok()).unwrap_or_default();
        let first = first_rank(at) + low.min((1 << LOW_BITS) - RANKS_TRIED);
        for rank in first..first + RANKS_TRIED {
            let sql = "INSERT INTO spoken (place, transcript, source, facts) VALUES ($1, $2, $3, $4)
                       ON CONFLICT DO NOTHING";
            if self.execute(sql, args![rank, id, source.as_str(), facets.as_str()]).await? > 0 {
                let sql = "INSERT INTO spoken_text (rowid, said) VALUES ($1, $2)";
                return self.execute(sql, args![rank, (folded(&text) + &facets).as_str()]).await.map(drop);
            }
        }
        Err(Error::Taken)
    }

    /// Removes a transcript from the search index. Call it before the text is deleted.
    pub(super) async fn unindex_transcript(&mut self, id: &str) -> Result<(), Error> {
        let sql = "SELECT place, facts, text FROM spoken JOIN transcripts ON id = transcript WHERE transcript = $1";
        let Some(row) = self.fetch_one(sql, args![id]).await? else { return Ok(()) };
        let (rank, text) = (row.int("place")?, row.text_if_set("text")?.ok_or(Error::Unreadable("transcripts.text"))?);
        let words = folded(&text) + &row.text("facts")?;
        self.execute(self.dialect().delete_from_search_index(), args![rank, words.as_str()]).await?;
        self.execute("DELETE FROM spoken WHERE place = $1", args![rank]).await.map(drop)
    }

    /// The transcripts of a call that are in the search index.
    pub(super) async fn indexed_of(&mut self, call: &CallId) -> Result<Vec<String>, Error> {
        let sql = "SELECT transcript FROM spoken JOIN recordings ON recordings.sid = spoken.source WHERE call_id = $1";
        self.fetch(sql, args![call.as_str()]).await?.iter().map(|row| row.text("transcript")).collect()
    }

    /// Updates the facets of a call in the search index, if a transcript of the call is in it.
    pub(crate) async fn reindex_call(&mut self, call: &CallId) -> Result<(), Error> {
        for transcript in self.indexed_of(call).await? {
            self.unindex_transcript(&transcript).await?;
            self.index_transcript(&transcript).await?;
        }
        Ok(())
    }

    /// What each phrase of a query finds by a name. Names are in no index of words, so that they may change at any time.
    pub async fn named(&mut self, query: &Query) -> Result<Vec<Named>, Error> {
        let mut named = Vec::new();
        for phrase in query.phrases() {
            // Terms hold only letters and digits, so nothing needs escaping.
            let pattern = format!("% {}{}%", phrase.terms.join(" "), if phrase.is_prefix { "" } else { " " });
            let contacts = self.contacts_named(&pattern).await?;
            let mut calls = self.calls_of_speakers_named(&pattern).await?;
            calls.extend(self.uploads_titled(&pattern).await?);
            named.push(Named { contacts, calls });
        }
        Ok(named)
    }

    /// The newest transcripts that match the query and whose calls match the filter; with `after`, those that follow this
    /// rank. A phrase matches what was said, and what it finds by a name. A transcript of no call matches a filter that has
    /// no state and no number.
    pub async fn hits(
        &mut self,
        query: &Query,
        named: &[Named],
        filter: &Filter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Hit>, Error> {
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let terms = self.search_terms(query, named, filter);
        let newest = first_rank(filter.before.saturating_sub(1));
        let after = after.unwrap_or_default().max(newest - 1);
        let (until, number) = (last_rank(filter.since), filter.number_pattern());
        let args = args![terms.as_str(), after, until, filter.state_word(), number.as_deref(), limit];
        let rows = self.fetch_with_fresh_plan(self.dialect().search(), args).await?;
        let found = rows.iter().map(|row| {
            let text = row.text_if_set("text")?.unwrap_or_default();
            let (passage, mut hit) = (query.passage(&text), hit(row)?);
            if passage.is_none() {
                // A name was found, so it begins to tell what the call is about.
                hit.passage = search::beginning(&text);
            }
            Ok((row.text("transcript")?, passage, hit))
        });
        let found: Vec<(String, Option<Passage>, Hit)> = found.collect::<Result<_, Error>>()?;
        let moments = self.moments(query, &found).await?;
        let with_moment = |((_, passage, hit), moment): ((_, Option<Passage>, Hit), _)| Hit {
            passage: passage.map_or(hit.passage, |passage| passage.pieces),
            moment,
            ..hit
        };
        Ok(found.into_iter().zip(moments).map(with_moment).collect())
    }

    /// What the index is asked for.
    pub(super) fn search_terms(&self, query: &Query, named: &[Named], filter: &Filter) -> String {
        let named: Vec<Vec<String>> = named
            .iter()
            .map(|Named { contacts, calls }| {
                let numbers = contacts.iter().filter_map(|(number, _)| facets::of_whole(number));
                numbers.chain(calls.iter().map(|id| facets::of_id(id))).collect()
            })
            .collect();
        let (mut others, mut excluded) = (Vec::from_iter(facets::of_number(filter)), None);
        match filter.is_checked {
            Some(true) => others.push(facets::of_checked()),
            Some(false) => excluded = Some(facets::of_checked()),
            None => {}
        }
        self.dialect().terms(query, &named, facets::of_state(filter), &others, excluded)
    }

    /// When the first match in each passage is said. Its position in the text is nearly always that among the words, so one
    /// statement fetches all those words. Where it is not, all words of the transcript are read.
    async fn moments(
        &mut self,
        query: &Query,
        found: &[(String, Option<Passage>, Hit)],
    ) -> Result<Vec<Option<i64>>, Error> {
        let positions: Vec<_> = found
            .iter()
            .filter_map(|(transcript, passage, _)| passage.as_ref().map(|passage| (transcript, passage.word)))
            .collect();
        let positions = serde_json::to_string(&positions).unwrap_or_default();
        let rows = self.fetch(self.dialect().words_at(), args![positions.as_str()]).await?;
        let mut moments = Vec::new();
        for (transcript, passage, _) in found {
            let Some(passage) = passage else {
                moments.push(None);
                continue;
            };
            let mut moment = None;
            for row in &rows {
                let is_it = row.text("transcript")? == *transcript
                    && folded(&row.text("word")?).contains(&format!(" {} ", passage.term));
                if is_it {
                    moment = Some(row.int("start_ms")?);
                }
            }
            if moment.is_none() {
                moment = self.moment_among_words(query, transcript).await?;
            }
            moments.push(moment);
        }
        Ok(moments)
    }

    async fn moment_among_words(&mut self, query: &Query, transcript: &str) -> Result<Option<i64>, Error> {
        let order = OrderId::from(transcript.to_owned());
        let (mut text, mut starts) = (String::new(), Vec::new());
        for spoken in self.words_of(&order).await? {
            for word in spoken.text.split_whitespace() {
                text.push_str(word);
                text.push(' ');
                starts.push(spoken.start);
            }
            if text.len() > MOST_TEXT {
                break;
            }
        }
        Ok(query.passage(&text).and_then(|passage| starts.get(passage.word).copied()))
    }
}

fn hit(row: &Row) -> Result<Hit, Error> {
    let recording = row.text_if_set("recording_sid")?.map(|sid| sid.parse()).transpose();
    let transcript = row.text_if_set("transcript_id")?.map(|id| id.parse()).transpose();
    Ok(Hit {
        rank: row.int("place")?,
        call: row.text_if_set("id")?.map(|_| rows::call(row)).transpose()?,
        recording: recording.map_err(|_| Error::Unreadable("transcripts.recording_sid"))?,
        transcript: transcript.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
        passage: Vec::new(),
        moment: None,
        is_checked: row.int_if_set("transcript_checked_at")?.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_fall_as_time_rises_and_are_none_of_an_older_program() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, 1_700_000_000_001, MAX_MS, MAX_MS + 1, i64::MAX];
        for pair in times.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(|ms| ms.clamp(0, MAX_MS));
            assert_eq!(last_rank(pair[1]) < first_rank(pair[0]), earlier < later, "{pair:?}");
            assert_eq!(first_rank(pair[0]), first_rank(earlier));
        }
        assert_eq!((first_rank(i64::MAX), last_rank(0)), (1 << 62, i64::MAX));
        assert_eq!(last_rank(7) - first_rank(7), 0xffff);
    }
}
