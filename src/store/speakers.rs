//! The speakers of calls: who was heard, and the names that people gave them.

use std::collections::BTreeMap;

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::{Call, CallId, CallName};
use crate::model::history::Happened;
use crate::model::name::Name;
use crate::model::search::folded;
use crate::model::speakers::Names;
use crate::model::transcript::TranscriptId;

/// Calls that a search finds by the name of a speaker. Of a name that is given in more calls, the newest are found.
const MOST_NAMED: i64 = 100;

/// Names that one transaction indexes.
const BATCH: i64 = 200;

/// A voice that AssemblyAI told apart, by its speaker and its channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voice {
    pub channel: Option<String>,
    pub speaker: Option<String>,
}

impl Conn {
    /// The names that people gave to the speakers of a call.
    pub async fn names_of(&mut self, call: &CallId) -> Result<Names, Error> {
        let swapped = "SELECT call_id FROM swapped_calls WHERE call_id = $1";
        let is_swapped = self.fetch_one(swapped, args![call.as_str()]).await?.is_some();
        let rows = self.fetch("SELECT label, name FROM speakers WHERE call_id = $1", args![call.as_str()]).await?;
        let mut given = BTreeMap::new();
        for row in rows {
            // An earlier version has stored names with nothing to see in them, which name nobody.
            if let Ok(name) = row.text("name")?.parse() {
                given.insert(row.text("label")?, name);
            }
        }
        Ok(Names { given, is_swapped })
    }

    /// The voices in all transcripts of a call that AssemblyAI told apart, by channel.
    pub async fn voices_of(&mut self, call: &CallId) -> Result<Vec<Voice>, Error> {
        let sql = "SELECT DISTINCT speaker, channel FROM words WHERE (speaker IS NOT NULL OR channel IS NOT NULL)
                   AND transcript IN (SELECT transcripts.id FROM transcripts JOIN recordings
                   ON recordings.sid = transcripts.recording_sid WHERE recordings.call_id = $1
                   AND (trial IS NULL OR chosen_at IS NOT NULL))";
        let voice =
            |row: &Row| Ok(Voice { channel: row.text_if_set("channel")?, speaker: row.text_if_set("speaker")? });
        let voices: Result<Vec<Voice>, Error> =
            self.fetch(sql, args![call.as_str()]).await?.iter().map(voice).collect();
        let mut voices = voices?;
        voices.sort();
        Ok(voices)
    }

    /// The newest calls in which somebody speaks whose name matches this pattern of terms.
    pub(super) async fn calls_of_speakers_named(&mut self, pattern: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT call_id FROM speakers WHERE folded_name LIKE $1 ORDER BY call_id DESC LIMIT $2";
        self.fetch(sql, args![pattern, MOST_NAMED]).await?.iter().map(|row| row.text("call_id")).collect()
    }

    /// Whether there are names that search does not find yet, because they were given to an earlier version.
    pub(super) async fn has_unindexed_speakers(&mut self) -> Result<bool, Error> {
        let sql = "SELECT call_id FROM speakers WHERE folded_name IS NULL LIMIT 1";
        Ok(self.fetch_one(sql, args![]).await?.is_some())
    }

    /// Lets search find them.
    pub(super) async fn index_speakers(&mut self) -> Result<(), Error> {
        let sql = "SELECT call_id, label, name FROM speakers WHERE folded_name IS NULL LIMIT $1";
        for row in self.fetch(sql, args![BATCH]).await? {
            let sql = "UPDATE speakers SET folded_name = $3 WHERE call_id = $1 AND label = $2";
            let (call, label, folded_name) = (row.text("call_id")?, row.text("label")?, folded(&row.text("name")?));
            self.execute(sql, args![call.as_str(), label.as_str(), folded_name.as_str()]).await?;
        }
        Ok(())
    }

    /// The call to which a transcript belongs.
    pub async fn call_of_transcript(&mut self, id: &TranscriptId) -> Result<Option<Call>, Error> {
        let sql = "SELECT recordings.call_id FROM transcripts JOIN recordings
                   ON recordings.sid = transcripts.recording_sid WHERE transcripts.transcript_id = $1";
        let Some(row) = self.fetch_one(sql, args![id.as_str()]).await? else { return Ok(None) };
        let call = row.text("call_id")?.parse().map_err(|_| Error::Unreadable("recordings.call_id"))?;
        self.call(&CallName::Id(call)).await
    }

    /// Stores the name of a speaker by the stored label. `None` takes the name away.
    pub(crate) async fn name_speaker(&mut self, call: &CallId, label: &str, name: Option<&Name>) -> Result<(), Error> {
        let call = call.as_str();
        let Some(name) = name else {
            let sql = "DELETE FROM speakers WHERE call_id = $1 AND label = $2";
            return self.execute(sql, args![call, label]).await.map(drop);
        };
        let sql = "INSERT INTO speakers (call_id, label, name, folded_name) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (call_id, label) DO UPDATE SET name = $3, folded_name = $4";
        self.execute(sql, args![call, label, name.as_str(), folded(name.as_str()).as_str()]).await.map(drop)
    }

    /// Stores which way round the sides are.
    pub(crate) async fn swap_sides(&mut self, call: &CallId, are_swapped: bool) -> Result<(), Error> {
        let sql = if are_swapped {
            "INSERT INTO swapped_calls (call_id) VALUES ($1) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM swapped_calls WHERE call_id = $1"
        };
        self.execute(sql, args![call.as_str()]).await.map(drop)
    }

    pub(crate) async fn note_naming(&mut self, call: &CallId, now: i64) -> Result<(), Error> {
        self.note(call, Happened::SpeakersNamed, None, now).await
    }

    /// Deletes the names of a call's speakers.
    pub(super) async fn wipe_speakers(&mut self, call: &CallId) -> Result<(), Error> {
        self.execute("DELETE FROM speakers WHERE call_id = $1", args![call.as_str()]).await?;
        self.execute("DELETE FROM swapped_calls WHERE call_id = $1", args![call.as_str()]).await.map(drop)
    }
}
