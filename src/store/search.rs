//! The index of what was said, and what is found in it. How texts become terms is the model's; how a database looks for
//! them is in `dialect`.

use super::{BadDatabase, Conn, Error, Row, Store, args, calls, facts};
use crate::failpoint::Step;
use crate::model::call::{Call, CallId, CallState};
use crate::model::recording::RecordingSid;
use crate::model::search::{Passage, Piece, Query, folded};
use crate::model::transcript::TranscriptId;

/// Transcripts that are taken into the index in one transaction, where it is made anew.
const AT_ONCE: i64 = 200;

/// Places that are tried for a transcript. Calls of the same millisecond are few.
const PLACES: i64 = 64;

/// Characters at the end of a number that are indexed.
const NUMBER_END: usize = 4;

/// Which calls are wanted. By default all are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<CallState>,
    /// To or from this number.
    pub number: Option<Number>,
    /// From this time on, in milliseconds since 1970.
    pub since: i64,
    /// Before this time.
    pub before: i64,
}

/// A number as somebody looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// This one, or an address of another kind that a call can have.
    Whole(String),
    /// One that ends with these digits.
    Ending(String),
}

/// What was found.
#[derive(Debug)]
pub struct Hit {
    /// Where it is among the others, newest first: what [`Conn::hits`] goes on after.
    pub rank: i64,
    /// The call in which it was said, if it was one.
    pub call: Option<Call>,
    /// The recording, if it is one of Twilio's.
    pub recording: Option<RecordingSid>,
    /// AssemblyAI's id of the transcript.
    pub transcript: Option<TranscriptId>,
    /// What was said, and what around it.
    pub passage: Vec<Piece>,
    /// When the first hit of the passage is said, in milliseconds from the start of the audio.
    pub moment: Option<i64>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { state: None, number: None, since: 0, before: i64::MAX }
    }
}

impl Number {
    /// Digits, with what people write between them, are the end of a number; behind a `+`, they are all of it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-./()\u{a0}".contains(c)) && !digits.is_empty();
        match (text.is_empty(), is_number) {
            (true, _) => None,
            (_, true) if text.starts_with('+') => Some(Self::Whole(format!("+{digits}"))),
            (_, true) => Some(Self::Ending(digits)),
            (_, false) => Some(Self::Whole(text.to_owned())),
        }
    }

    /// For `LIKE`.
    fn pattern(&self) -> String {
        match self {
            Self::Whole(text) => text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"),
            Self::Ending(digits) => format!("%{digits}"),
        }
    }
}

impl Filter {
    pub(super) fn state(&self) -> Option<&'static str> {
        self.state.map(CallState::as_str)
    }

    /// How the number ends that is looked for, if enough is known of it for the index.
    pub(super) fn number_end(&self) -> Option<String> {
        let text = match self.number.as_ref()? {
            Number::Whole(text) => text,
            Number::Ending(digits) if digits.len() >= NUMBER_END => digits,
            Number::Ending(_) => return None,
        };
        let mut end: Vec<char> = text.chars().rev().take(NUMBER_END).collect();
        end.reverse();
        Some(end.into_iter().collect())
    }

    pub(super) fn number(&self) -> Option<String> {
        self.number.as_ref().map(Number::pattern)
    }
}

/// Of a place, the bits that tell transcripts of the same millisecond apart.
const LOW_BITS: u32 = 16;

/// The last time that has a place of its own, in the year 4199; whatever is later has that one.
const MOST_MS: i64 = (1 << 46) - 1;

/// The first place of a time. Places fall as time goes on: FTS5 goes through rows forwards at little cost, and backwards past
/// many at a cost that is their square. They are 2^62 at least, which those of older programs, which rise, never are: the
/// table refuses them.
fn first_place(ms: i64) -> i64 {
    ((i64::MAX >> LOW_BITS) - ms.clamp(0, MOST_MS)) << LOW_BITS
}

/// The last place of a time.
fn last_place(ms: i64) -> i64 {
    first_place(ms) | ((1 << LOW_BITS) - 1)
}

impl Store {
    /// Takes into the index what was there before there was one.
    pub(super) async fn index_unindexed(&self) -> Result<(), BadDatabase> {
        let index = async {
            let is_left = "SELECT transcript FROM unsearched LIMIT 1";
            let is_any_left = async || Ok::<_, Error>(self.read().await?.fetch_one(is_left, vec![]).await?.is_some());
            if !is_any_left().await? {
                return Ok(());
            }
            tracing::info!("taking the transcripts that are there into the search index; this takes a while once");
            while is_any_left().await? {
                let some = |mut tx: Conn| async move {
                    let sql = "DELETE FROM unsearched WHERE transcript IN \
                               (SELECT transcript FROM unsearched ORDER BY transcript DESC LIMIT $1) RETURNING transcript";
                    let rows = tx.fetch(sql, args![AT_ONCE]).await?;
                    let mut ids = rows.iter().map(|row| row.text("transcript")).collect::<Result<Vec<_>, _>>()?;
                    // The newest first, like the places: FTS5 writes out all that it has whenever a row comes before the last.
                    ids.sort_unstable_by(|one, other| other.cmp(one));
                    for id in &ids {
                        tx.index_transcript(id).await?;
                    }
                    Ok((tx, ()))
                };
                self.write(Step::BuildIndex, "", some).await?;
            }
            let sql = self.read().await?.session.look_over_spoken();
            let look_over = |mut tx: Conn| async move { tx.execute(sql, vec![]).await.map(|_| (tx, ())) };
            self.write(Step::BuildIndex, "", look_over).await?;
            Ok(())
        };
        index.await.map_err(|error: Error| match error {
            Error::Database(error) => BadDatabase::Unusable(error),
            other => BadDatabase::Unusable(sqlx::Error::Protocol(other.to_string())),
        })
    }
}

impl Conn {
    /// Has a finished transcript found from now on, in the place of an older one of the same recording.
    pub(super) async fn index_transcript(&mut self, id: &str) -> Result<(), Error> {
        let sql = "SELECT text, coalesce(recording_sid, audio) AS source, created_at FROM transcripts WHERE id = $1";
        let Some(row) = self.fetch_one(sql, args![id]).await? else { return Ok(()) };
        let Some(text) = row.text_if_set("text")? else { return Ok(()) };
        let (source, asked_for_at) = (row.text("source")?, row.int("created_at")?);
        let (at, facts) = match self.fetch_one(self.session.hold_call(), args![source.as_str()]).await? {
            Some(call) if call.text_if_set("deletion")?.is_some() => return Ok(()),
            Some(call) => {
                let (to, from) = (call.text_if_set("to_number")?, call.text_if_set("from_number")?);
                (call.int("created_at")?, facts::of_call(&call.text("state")?, [to.as_deref(), from.as_deref()]))
            }
            None => (asked_for_at, String::new()),
        };
        let other = "SELECT transcript, created_at FROM spoken JOIN transcripts ON id = transcript WHERE source = $1";
        if let Some(other) = self.fetch_one(other, args![source.as_str()]).await? {
            if other.int("created_at")? > asked_for_at {
                return Ok(());
            }
            self.unindex_transcript(&other.text("transcript")?).await?;
        }
        // The end of an id is random.
        let low =
            id.len().checked_sub(4).and_then(|end| i64::from_str_radix(id.get(end..)?, 16).ok()).unwrap_or_default();
        let first = first_place(at) + low.min((1 << LOW_BITS) - PLACES);
        for place in first..first + PLACES {
            let sql = "INSERT INTO spoken (place, transcript, source, facts) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT DO NOTHING";
            if self.execute(sql, args![place, id, source.as_str(), facts.as_str()]).await? > 0 {
                let sql = "INSERT INTO spoken_text (rowid, words) VALUES ($1, $2)";
                return self.execute(sql, args![place, (folded(&text) + &facts).as_str()]).await.map(drop);
            }
        }
        Err(Error::Taken)
    }

    /// Has a transcript found no more. Its text must be there still.
    pub(super) async fn unindex_transcript(&mut self, id: &str) -> Result<(), Error> {
        let sql = "SELECT place, facts, text FROM spoken JOIN transcripts ON id = transcript WHERE transcript = $1";
        let Some(row) = self.fetch_one(sql, args![id]).await? else { return Ok(()) };
        let (place, text) = (row.int("place")?, row.text_if_set("text")?.ok_or(Error::Unreadable("transcripts.text"))?);
        let words = folded(&text) + &row.text("facts")?;
        self.execute(self.session.delete_spoken_text(), args![place, words.as_str()]).await?;
        self.execute("DELETE FROM spoken WHERE place = $1", args![place]).await.map(drop)
    }

    /// Has what was said in a call found by what is known of the call by now, if any of it is in the index already.
    pub(crate) async fn reindex_call(&mut self, call: &CallId) -> Result<(), Error> {
        let sql = "SELECT transcript FROM spoken JOIN recordings ON recordings.sid = spoken.source WHERE call_id = $1";
        for row in self.fetch(sql, args![call.as_str()]).await? {
            let transcript = row.text("transcript")?;
            self.unindex_transcript(&transcript).await?;
            self.index_transcript(&transcript).await?;
        }
        Ok(())
    }

    /// The newest transcripts in which all is found that is looked for, or those that come after a place. A transcript that
    /// belongs to no call is there as long as nothing is asked of the call.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hits(
        &mut self,
        query: &Query,
        filter: &Filter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Hit>, Error> {
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let (sql, sought) = (self.session.find_spoken(), self.session.sought(query, filter));
        let newest = first_place(filter.before.saturating_sub(1));
        let after = after.unwrap_or_default().max(newest - 1);
        let (until, number) = (last_place(filter.since), filter.number());
        let args = args![sought.as_str(), after, until, filter.state(), number.as_deref(), limit];
        let rows = self.session.fetch_planned_anew(sql, args).await?;
        let found = rows.iter().map(|row| {
            let passage = query.passage(&row.text_if_set("text")?.unwrap_or_default());
            Ok((row.text("transcript")?, passage, hit(row)?))
        });
        let found: Vec<(String, Option<Passage>, Hit)> = found.collect::<Result<_, Error>>()?;
        let moments = self.moments(query, &found).await?;
        let with_moment = |((_, passage, hit), moment): ((_, Option<Passage>, Hit), _)| Hit {
            passage: passage.map(|passage| passage.pieces).unwrap_or_default(),
            moment,
            ..hit
        };
        Ok(found.into_iter().zip(moments).map(with_moment).collect())
    }

    /// When each passage's first hit is said. Its place in the text is nearly always its place among the words, and all
    /// those words are asked for at once; where it is not, the transcript's words are gone through.
    async fn moments(
        &mut self,
        query: &Query,
        found: &[(String, Option<Passage>, Hit)],
    ) -> Result<Vec<Option<i64>>, Error> {
        let places: Vec<_> = found
            .iter()
            .filter_map(|(transcript, passage, _)| passage.as_ref().map(|passage| (transcript, passage.word)))
            .collect();
        let places = serde_json::to_string(&places).unwrap_or_default();
        let rows = self.fetch(self.session.words_at(), args![places.as_str()]).await?;
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
        let sql = "SELECT word, start_ms FROM words WHERE transcript = $1 ORDER BY position";
        let (mut text, mut starts) = (String::new(), Vec::new());
        for row in self.fetch(sql, args![transcript]).await? {
            for word in row.text("word")?.split_whitespace() {
                text.push_str(word);
                text.push(' ');
                starts.push(row.int("start_ms")?);
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
        call: row.text_if_set("id")?.map(|_| calls::call(row)).transpose()?,
        recording: recording.map_err(|_| Error::Unreadable("transcripts.recording_sid"))?,
        transcript: transcript.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
        passage: Vec::new(),
        moment: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fall_as_time_goes_on_and_are_none_of_an_older_program() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, 1_700_000_000_001, MOST_MS, MOST_MS + 1, i64::MAX];
        for pair in times.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(|ms| ms.clamp(0, MOST_MS));
            assert_eq!(last_place(pair[1]) < first_place(pair[0]), earlier < later, "{pair:?}");
            assert_eq!(first_place(pair[0]), first_place(earlier));
        }
        assert_eq!((first_place(i64::MAX), last_place(0)), (1 << 62, i64::MAX));
        assert_eq!(last_place(7) - first_place(7), 0xffff);
    }

    #[test]
    fn a_number_is_looked_for_as_people_write_it() {
        let whole = |text: &str| Some(Number::Whole(text.to_owned()));
        let ending = |text: &str| Some(Number::Ending(text.to_owned()));
        for (text, expected) in [
            ("", None),
            ("  ", None),
            ("+1 (415) 555-1234", whole("+14155551234")),
            ("1234", ending("1234")),
            (" 555.12 34", ending("5551234")),
            ("sip:alice@example.com", whole("sip:alice@example.com")),
            ("+", whole("+")),
            ("%", whole("%")),
        ] {
            assert_eq!(Number::parse(text), expected, "{text}");
        }
        assert_eq!(Number::Whole("a_b%\\".to_owned()).pattern(), "a\\_b\\%\\\\");
    }
}
