//! Transcripts. Source: <https://www.assemblyai.com/docs/api-reference/transcripts>.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::AssemblyAi;
use super::words::{Word, words};
use crate::clients::{Error, Kind};

/// Where the audio of a wiped transcript is said to be.
const WIPED: &str = "http://deleted_by_user";

/// How a transcript stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptStatus {
    /// Waiting its turn.
    Queued,
    /// Done.
    Completed,
    /// Failed; `error` says why.
    Error,
    /// At work. A status that is not known here counts as this: it is not one of the two ends.
    #[serde(other)]
    Processing,
}

impl TranscriptStatus {
    /// AssemblyAI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }
}

/// A transcript, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Transcript {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub status: TranscriptStatus,
    /// The audio: for a recording of ours an upload that no other transcript has.
    #[serde(default)]
    pub audio_url: Option<String>,
    /// What was said, once it is completed.
    #[serde(default)]
    pub text: Option<String>,
    /// The same word for word.
    #[serde(default, deserialize_with = "words")]
    pub words: Vec<Word>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
}

impl Transcript {
    /// Whether nothing more will happen to it.
    pub fn is_final(&self) -> bool {
        matches!(self.status, TranscriptStatus::Completed | TranscriptStatus::Error)
    }
}

/// A transcript with AssemblyAI's JSON, as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The body.
    pub json: Vec<u8>,
    /// What of it is used here.
    pub transcript: Transcript,
}

impl Reply {
    /// A transcript from AssemblyAI's JSON, as it was kept.
    pub fn read(json: Vec<u8>) -> Option<Self> {
        let transcript = serde_json::from_slice(&json).ok()?;
        Some(Self { json, transcript })
    }
}

impl AssemblyAi {
    /// Asks for a transcript, which costs money, so it is sent once, whatever happens. `parameters` are
    /// `TranscriptParams` of the API.
    ///
    /// # Errors
    /// [`Kind::Ambiguous`] if nobody knows whether it was accepted.
    pub async fn create_transcript(&self, parameters: &impl Serialize) -> Result<Reply, Error> {
        let request = self.request(Method::POST, self.url(&["transcript"])).json(parameters);
        let (answer, transcript) = self.sender.once_json(request).await?;
        Ok(Reply { json: answer.body, transcript })
    }

    /// How a transcript stands, with all of it once it is completed.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for an id that AssemblyAI does not know.
    pub async fn transcript(&self, id: &str) -> Result<Reply, Error> {
        let asked = self.sender.get_json(|| self.request(Method::GET, self.url(&["transcript", id]))).await;
        let (answer, transcript) = asked.map_err(unknown_id)?;
        Ok(Reply { json: answer.body, transcript })
    }

    /// Wipes a transcript, with the audio if it was uploaded: a stub without words is left. May be asked for again.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for an id that AssemblyAI does not know.
    pub async fn delete_transcript(&self, id: &str) -> Result<(), Error> {
        let asked = self.sender.delete(|| self.request(Method::DELETE, self.url(&["transcript", id]))).await;
        match asked.map_err(unknown_id) {
            // It is not documented that a stub can be wiped once more.
            Err(error) if matches!(error.kind, Kind::Rejected(_)) => match self.transcript(id).await {
                Ok(Reply { transcript, .. }) if transcript.audio_url.as_deref() == Some(WIPED) => Ok(()),
                _ => Err(error),
            },
            asked => asked,
        }
    }
}

/// An unknown id is answered with 400 and these words as often as with 404.
fn unknown_id(error: Error) -> Error {
    match error.kind {
        Kind::Rejected(refusal) if refusal.message.contains("not found") => {
            Error { kind: Kind::NotFound(refusal), ..error }
        }
        kind => Error { kind, ..error },
    }
}
