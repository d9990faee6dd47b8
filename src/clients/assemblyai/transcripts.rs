//! Transcripts. Source: <https://www.assemblyai.com/docs/api-reference/transcripts>.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::AssemblyAi;
use super::words::{Word, words};
use crate::clients::{Error, Kind};

/// `audio_url` of a deleted transcript.
const DELETED: &str = "http://deleted_by_user";

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

/// The fields of a transcript that are used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Transcript {
    pub id: String,
    pub status: TranscriptStatus,
    /// For a recording of ours an upload that no other transcript has.
    #[serde(default)]
    pub audio_url: Option<String>,
    /// Set once the transcript is completed.
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub words: Vec<Word>,
    #[serde(default)]
    pub error: Option<String>,
}

impl Transcript {
    pub fn is_final(&self) -> bool {
        matches!(self.status, TranscriptStatus::Completed | TranscriptStatus::Error)
    }
}

/// A transcript with the JSON it was read from.
#[derive(Debug, Clone)]
pub struct Reply {
    pub json: Vec<u8>,
    pub transcript: Transcript,
}

impl Reply {
    /// Returns `None` if the JSON is not a transcript.
    pub fn read(json: Vec<u8>) -> Option<Self> {
        let transcript = serde_json::from_slice(&json).ok()?;
        Some(Self { json, transcript })
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
        let (answer, transcript) = self.sender.once_json(request, may_send).await?;
        Ok(Reply { json: answer.body, transcript })
    }

    /// Fetches a transcript.
    pub async fn transcript(&self, id: &str) -> Result<Reply, Error> {
        let fetched = self.sender.get_json(|| self.request(Method::GET, self.url(&["transcript", id]))).await;
        let (answer, transcript) = fetched.map_err(unknown_id)?;
        Ok(Reply { json: answer.body, transcript })
    }

    /// Deletes a transcript's text and uploaded audio; AssemblyAI keeps a stub. May be repeated.
    pub async fn delete_transcript(&self, id: &str) -> Result<(), Error> {
        let deleted = self.sender.delete(|| self.request(Method::DELETE, self.url(&["transcript", id]))).await;
        match deleted.map_err(unknown_id) {
            // AssemblyAI does not document that a stub can be deleted again.
            Err(error) if matches!(error.kind, Kind::Rejected(_)) => match self.transcript(id).await {
                Ok(Reply { transcript, .. }) if transcript.audio_url.as_deref() == Some(DELETED) => Ok(()),
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
