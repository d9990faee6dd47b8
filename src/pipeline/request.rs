//! What is asked for when a transcript is requested: of which audio, with which parameters and key terms, and whether the
//! same request has a transcript already. Opens the job that makes one.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Error;
use crate::clients;
use crate::clients::assemblyai::{Reply, TranscriptStatus};
use crate::clients::twilio::MediaFormat;
use crate::context::Context;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Transcript, TranscriptId};
use crate::store::{self, Conn, JobKind, NewTranscript};

/// What a transcript is wanted of, and how.
#[derive(Debug, Clone)]
pub(super) struct TranscriptRequest {
    /// The recording, unless the audio is elsewhere.
    pub(super) recording: Option<RecordingSid>,
    /// How the audio is asked for, or where it is elsewhere.
    pub(super) audio: String,
    /// The SHA-256 of a file that was sent here. AssemblyAI has it already, each time at another address.
    pub(super) checksum: Option<String>,
    /// AssemblyAI's parameters.
    pub(super) parameters: Map<String, Value>,
}

/// A recording's audio, as it is asked for at Twilio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioForm {
    /// WAV unless MP3 was named.
    pub format: MediaFormat,
    /// The `RequestedChannels` that was named; as recorded if none was.
    pub channels: Option<u32>,
}

impl TranscriptRequest {
    /// A finished recording, as the settings have it.
    pub(super) fn of_recording(context: &Context, recording: &RecordingSid) -> Self {
        let form = AudioForm { format: MediaFormat::Wav, channels: None };
        let parameters = parameters(context, Map::new(), &Keyterms::default());
        Self { recording: Some(recording.clone()), audio: form.to_string(), checksum: None, parameters }
    }

    /// What the same request is known by: it has the same audio and the same parameters, in whatever order.
    pub(super) fn key(&self) -> String {
        let audio = match &self.checksum {
            Some(checksum) => ["sha256", checksum],
            None => [self.recording.as_ref().map_or("", RecordingSid::as_str), &self.audio],
        };
        let request = json!([audio, sorted(&Value::Object(self.parameters.clone()))]);
        clients::hex(&Sha256::digest(request.to_string()))
    }

    /// As it is stored.
    pub(super) fn new_transcript(&self, now: i64) -> NewTranscript {
        NewTranscript {
            id: OrderId::new(now),
            recording: self.recording.clone(),
            audio: self.audio.clone(),
            parameters: Value::Object(self.parameters.clone()).to_string(),
            request_key: self.key(),
            created_at: now,
        }
    }
}

/// The settings' parameters with those of a request over them, and the key terms of both.
pub(super) fn parameters(context: &Context, of_request: Map<String, Value>, keyterms: &Keyterms) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("speech_models".to_owned(), json!(context.transcript.speech_models));
    parameters.extend(context.transcript.options.clone());
    parameters.extend(of_request);
    let keyterms = context.transcript.keyterms.and(keyterms);
    if !keyterms.is_empty() {
        parameters.insert("keyterms_prompt".to_owned(), json!(keyterms.as_slice()));
    }
    parameters
}

/// Whether the models take these key terms.
///
/// # Errors
/// Names the first that they do not take.
pub(super) fn check_keyterms(
    context: &Context,
    parameters: &Map<String, Value>,
    keyterms: &Keyterms,
) -> Result<(), Error> {
    let models = parameters.get("speech_models").and_then(|models| Vec::<String>::deserialize(models).ok());
    Ok(keyterms.check(&context.transcript.keyterm_limit(models.as_deref()))?)
}

/// The key terms among parameters.
pub(super) fn keyterms_of(parameters: &Map<String, Value>) -> Keyterms {
    let listed = parameters.get("keyterms_prompt").and_then(|terms| Vec::<String>::deserialize(terms).ok());
    Keyterms::from_terms(listed.unwrap_or_default())
}

/// Opens the job that makes a transcript.
pub(super) async fn open(tx: &mut Conn, wanted: &TranscriptRequest, now: i64) -> Result<(), store::Error> {
    let new = wanted.new_transcript(now);
    if tx.add_transcript(&new).await? {
        tx.open_job(JobKind::Transcript, new.id.as_str(), now, now).await?;
    }
    Ok(())
}

/// A transcript that was ordered from here, as its webhook's secret proves, and that the store knows nothing of.
pub(super) async fn adopt_order(
    tx: &mut Conn,
    order: &OrderId,
    id: &TranscriptId,
    now: i64,
) -> Result<(), store::Error> {
    if tx.transcript_by_transcript_id(id).await?.is_some() {
        return Ok(());
    }
    let new = NewTranscript {
        id: order.clone(),
        recording: None,
        audio: String::new(),
        parameters: "{}".to_owned(),
        request_key: order.to_string(),
        created_at: now,
    };
    tx.add_transcript(&new).await?;
    if let Some(transcript) = tx.transcript_by_id(order).await? {
        tx.mark_submitted(&transcript, id.as_str(), None, now).await?;
    }
    tx.open_job(JobKind::Transcript, order.as_str(), now, now).await
}

/// Whether AssemblyAI has nothing to give for what was ordered: it said that it failed, or nothing was ordered.
pub(super) fn is_void(transcript: &Transcript) -> bool {
    let said = transcript.json.clone().and_then(Reply::read).map(|reply| reply.transcript.status);
    transcript.asked_at.is_none() || said == Some(TranscriptStatus::Error)
}

/// With the keys of objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(fields) => {
            let mut fields: Vec<(&String, Value)> = fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        value => value.clone(),
    }
}

impl std::fmt::Display for AudioForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.format {
            MediaFormat::Wav => "wav",
            MediaFormat::Mp3 => "mp3",
        })?;
        match self.channels {
            Some(channels) => write!(f, " {channels}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for AudioForm {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (format, channels) = text.split_once(' ').unwrap_or((text, ""));
        let format = match format {
            "wav" => MediaFormat::Wav,
            "mp3" => MediaFormat::Mp3,
            _ => return Err(()),
        };
        Ok(Self { format, channels: channels.parse().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_same_whatever_the_order_of_their_parameters() {
        let wanted = |parameters: &str| {
            let parameters = serde_json::from_str(parameters).unwrap();
            let audio = "https://example.com/a.mp3".to_owned();
            TranscriptRequest { recording: None, audio, checksum: None, parameters }.key()
        };
        assert_eq!(wanted(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#), wanted(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#));
        assert_ne!(wanted(r#"{"a": [1, 2]}"#), wanted(r#"{"a": [2, 1]}"#));
    }

    #[test]
    fn how_audio_is_asked_for_is_read_back() {
        for form in [
            AudioForm { format: MediaFormat::Wav, channels: None },
            AudioForm { format: MediaFormat::Wav, channels: Some(2) },
            AudioForm { format: MediaFormat::Mp3, channels: Some(1) },
        ] {
            assert_eq!(form.to_string().parse(), Ok(form));
        }
    }
}
