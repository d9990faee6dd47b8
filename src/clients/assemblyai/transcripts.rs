//! Transcripts. Source: <https://www.assemblyai.com/docs/api-reference/transcripts>.

use std::fmt;

use reqwest::Method;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::AssemblyAi;
use super::words::{Name, Word, Words, cut};
use crate::clients::json::Json;
use crate::clients::{Error, Kind};

/// `audio_url` of a deleted transcript.
const DELETED: &str = "http://deleted_by_user";

/// A transcript with more words is not read. Ten hours of fast speech, the longest audio that AssemblyAI accepts, have
/// 120,000.
const MOST_WORDS: usize = 250_000;

/// In the error of audio in which nothing is said, if AssemblyAI was to find out its language.
const SILENT: &str = "no spoken audio";

/// The longest error that is kept, in bytes.
const LONGEST_ERROR: usize = 4 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptStatus {
    Queued,
    Completed,
    /// Failed; the transcript's `error` says why.
    Error,
    /// An unknown status counts as this, because it is not one of the two final ones.
    #[serde(other)]
    Processing,
}

impl TranscriptStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }
}

/// The fields of a transcript that are used here, without its words.
#[derive(Debug, Clone)]
pub struct Transcript {
    pub id: String,
    pub status: TranscriptStatus,
    /// For a recording of ours an upload that no other transcript has.
    pub audio_url: Option<String>,
    /// The length of the audio in whole seconds. Set once the transcript is completed.
    pub seconds: Option<i64>,
    /// Set once the transcript is completed, unless nothing was said.
    pub text: Option<String>,
    /// Not empty.
    pub error: Option<String>,
    /// How many lists of words there are: of fields of the same name the last one counts.
    word_lists: usize,
    /// Set once the transcript is completed.
    pub speech_model_used: Option<String>,
}

impl Transcript {
    pub fn is_final(&self) -> bool {
        matches!(self.status, TranscriptStatus::Completed | TranscriptStatus::Error) || self.is_deleted()
    }

    /// Whether this is what AssemblyAI keeps of a deleted transcript: it is completed, and its text says that it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.audio_url.as_deref() == Some(DELETED)
    }
}

impl<'de> Deserialize<'de> for Transcript {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Fields { superseded: 0, heard: &mut drop }.deserialize(source)
    }
}

/// Reads a transcript, and hands over each of its words as it comes, so that they are nowhere in memory as a whole. Of fields
/// of the same name the last one counts.
struct Fields<'w> {
    /// How many lists of words come before the one that counts.
    superseded: usize,
    heard: &'w mut dyn FnMut(Word),
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Id,
    Status,
    AudioUrl,
    AudioDuration,
    Text,
    Words,
    Error,
    SpeechModelUsed,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Transcript;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Transcript, D::Error> {
        source.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Transcript;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transcript")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Transcript, A::Error> {
        let (mut id, mut status, mut word_lists) = (None, None, 0);
        let (mut audio_url, mut seconds, mut text, mut error) = (None, None, None, None::<String>);
        let mut speech_model_used = None;
        while let Some(field) = fields.next_key()? {
            match field {
                Field::Id => id = Some(fields.next_value()?),
                Field::Status => status = Some(fields.next_value()?),
                Field::AudioUrl => audio_url = fields.next_value()?,
                Field::AudioDuration => {
                    seconds = fields.next_value::<Value>()?.as_f64().map(|seconds| seconds.round() as i64);
                }
                Field::Text => text = fields.next_value()?,
                Field::Error => error = fields.next_value()?,
                Field::SpeechModelUsed => speech_model_used = fields.next_value::<Name>()?.0,
                Field::Words if word_lists >= self.superseded => {
                    word_lists += 1;
                    fields.next_value_seed(Words(&mut *self.heard))?;
                }
                Field::Words => {
                    word_lists += 1;
                    fields.next_value::<IgnoredAny>()?;
                }
                Field::Other => _ = fields.next_value::<IgnoredAny>()?,
            }
        }
        let error = error.filter(|error| !error.trim().is_empty()).map(|error| cut(error, LONGEST_ERROR));
        let status = status.ok_or_else(|| A::Error::missing_field("status"))?;
        // Without the search for a language, the same audio has an empty transcript.
        let is_silent = status == TranscriptStatus::Error
            && error.as_ref().is_some_and(|error| error.to_ascii_lowercase().contains(SILENT));
        Ok(Transcript {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            status: if is_silent { TranscriptStatus::Completed } else { status },
            audio_url,
            seconds,
            text,
            error: error.filter(|_| !is_silent),
            word_lists,
            speech_model_used,
        })
    }
}

/// A transcript with the JSON it was read from.
#[derive(Debug, Clone)]
pub struct Reply {
    pub json: Json,
    pub transcript: Transcript,
}

impl Reply {
    /// Returns `None` if the JSON is not a transcript.
    pub fn read(json: impl Into<Json>) -> Option<Self> {
        Self::parse(json.into()).ok()
    }

    /// Reads a JSON text. A large one takes up to a second, during which other tasks have the thread.
    pub async fn of(json: Json) -> Result<Self, Kind> {
        if !json.is_large() {
            return Self::parse(json);
        }
        let parsed = tokio::task::spawn_blocking(|| Self::parse(json)).await;
        parsed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn parse(json: Json) -> Result<Self, Kind> {
        let mut words = 0;
        let transcript = json.read(Fields { superseded: 0, heard: &mut |_| words += 1 })?;
        if words > MOST_WORDS {
            return Err(Kind::TooLarge("more than 250,000 words"));
        }
        Ok(Self { json, transcript })
    }

    /// Hands over each word.
    pub fn each_word(&self, mut heard: impl FnMut(Word)) {
        let superseded = self.transcript.word_lists.saturating_sub(1);
        // It was read before.
        _ = self.json.read(Fields { superseded, heard: &mut heard });
    }
}

impl AssemblyAi {
    /// Orders a transcript. It costs money, so the request is sent once; [`Kind::Ambiguous`] if it is unknown whether
    /// AssemblyAI accepted it. `parameters` are the API's `TranscriptParams`. `may_send` is asked when the request is about
    /// to be written; if it returns `false`, nothing is sent.
    pub async fn create_transcript(
        &self,
        parameters: &impl Serialize,
        may_send: impl Fn() -> bool + Send + 'static,
    ) -> Result<Reply, Error> {
        let request = self.request(Method::POST, self.url(&["transcript"])).json(parameters);
        let (answer, transcript) = self.sender.once_json("create_transcript", request, may_send).await?;
        Ok(Reply { json: answer.body.into(), transcript })
    }

    /// Fetches a transcript. A large one has a turn, which ends with the last clone of its JSON.
    pub async fn transcript(&self, id: &str) -> Result<Reply, Error> {
        let request = || self.request(Method::GET, self.url(&["transcript", id]));
        let json = self.sender.get_large("fetch_transcript", &self.large, request).await.map_err(unknown_id)?;
        Reply::of(json).await.map_err(|kind| self.sender.error(kind))
    }

    /// Deletes a transcript's text and uploaded audio; AssemblyAI keeps a stub. May be repeated.
    pub async fn delete_transcript(&self, id: &str) -> Result<(), Error> {
        let deleted = self
            .sender
            .delete("delete_transcript", || self.request(Method::DELETE, self.url(&["transcript", id])))
            .await;
        match deleted.map_err(unknown_id) {
            // AssemblyAI does not document that a stub can be deleted again.
            Err(error) if matches!(error.kind, Kind::Rejected(_)) => match self.transcript(id).await {
                Ok(Reply { transcript, .. }) if transcript.is_deleted() => Ok(()),
                _ => Err(error),
            },
            deleted => deleted,
        }
    }
}

/// AssemblyAI answers an unknown id either with 404 or with 400 and these words.
fn unknown_id(error: Error) -> Error {
    match error.kind {
        Kind::Rejected(refusal) if refusal.message.contains("not found") => {
            Error { kind: Kind::NotFound(refusal), ..error }
        }
        kind => Error { kind, ..error },
    }
}
