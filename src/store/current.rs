//! The current transcripts of many calls at once, with all that is said in them, for exports.

use std::collections::HashMap;

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use super::transcripts::{corrected, word};
use crate::model::call::CallId;
use crate::model::speakers::Names;
use crate::model::transcript::{OrderId, TranscriptId};
use crate::model::word::SpokenWord;

/// The current transcript of a recording, without its words. It has a text.
#[derive(Debug, Clone)]
pub struct Current {
    pub order: OrderId,
    /// AssemblyAI's id.
    pub id: TranscriptId,
    pub call: CallId,
    /// The length of the recording.
    pub seconds: Option<i64>,
    /// How many characters its text has.
    pub length: i64,
    pub speech_model: Option<String>,
    /// AssemblyAI's parameters, as a JSON object.
    pub parameters: String,
}

/// What is said in a transcript, with all corrections.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    pub text: String,
    pub words: Vec<SpokenWord>,
    /// How often it was corrected.
    pub version: i64,
    pub is_checked: bool,
}

impl Conn {
    /// The current transcripts of these calls in which something is said, by call, and then the oldest first. A call that
    /// somebody deletes has none.
    pub async fn current_transcripts(&mut self, calls: &[&str]) -> Result<Vec<Current>, Error> {
        let ids = serde_json::to_string(calls).unwrap_or_default();
        let rows = self.fetch(self.dialect().current_transcripts(), args![ids.as_str()]).await?;
        rows.iter().map(current).collect()
    }

    /// What is said in these transcripts, by order id, but for those of calls that somebody deletes. All of it is in memory at
    /// once.
    pub async fn spoken_in(&mut self, all: &[Current]) -> Result<HashMap<String, Spoken>, Error> {
        let ids: Vec<&str> = all.iter().map(|one| one.order.as_str()).collect();
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        let mut spoken: HashMap<String, Spoken> = HashMap::new();
        for row in self.fetch(self.dialect().texts_of_orders(), args![ids.as_str()]).await? {
            let (version, is_checked) = (row.int("version")?, row.int_if_set("checked_at")?.is_some());
            spoken.insert(row.text("id")?, Spoken { text: row.text("text")?, words: Vec::new(), version, is_checked });
        }
        if let [only] = all {
            // A long one is read some words at a time.
            let words = self.words_of(&only.order).await?;
            spoken.entry(only.order.to_string()).and_modify(|spoken| spoken.words = words);
            return Ok(spoken);
        }
        for row in self.fetch(self.dialect().words_of_orders(), args![ids.as_str()]).await? {
            if let Some(spoken) = spoken.get_mut(&row.text("transcript")?) {
                spoken.words.push(word(&row)?);
            }
        }
        for one in all {
            if let Some(Spoken { words, version: 1.., .. }) = spoken.get_mut(one.order.as_str()) {
                *words = corrected(std::mem::take(words), &self.corrections_of(&one.order).await?)?;
            }
        }
        Ok(spoken)
    }

    /// The names that people gave to the speakers of these calls, by call id. A call without is left out.
    pub async fn names_of_calls(&mut self, calls: &[&str]) -> Result<HashMap<String, Names>, Error> {
        let ids = serde_json::to_string(calls).unwrap_or_default();
        let mut names: HashMap<String, Names> = HashMap::new();
        for row in self.fetch(self.dialect().names_of_calls(), args![ids.as_str()]).await? {
            let of_call = names.entry(row.text("call_id")?).or_default();
            match row.text_if_set("label")? {
                None => of_call.is_swapped = true,
                Some(label) => of_call.given.extend(row.text("name")?.parse().ok().map(|name| (label, name))),
            }
        }
        Ok(names)
    }
}

fn current(row: &Row) -> Result<Current, Error> {
    Ok(Current {
        order: row.text("id")?.into(),
        id: row.text("transcript_id")?.parse().map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
        call: row.text("call_id")?.parse().map_err(|_| Error::Unreadable("recordings.call_id"))?,
        seconds: row.int_if_set("duration_seconds")?,
        length: row.int("length")?,
        speech_model: row.text_if_set("speech_model_used")?,
        parameters: row.text("parameters")?,
    })
}
