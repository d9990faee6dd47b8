//! A request for a transcript: of which audio, with which parameters and key terms. Opens the job that makes it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::job::ms;
use super::uploads::Upload;
use super::{Error, price};
use crate::clients;
use crate::clients::assemblyai::{Reply, TranscriptStatus, models};
use crate::clients::twilio::MediaFormat;
use crate::config::speech_models;
use crate::context::Context;
use crate::model::dollars::Dollars;
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::recording::{Recording, RecordingSid};
use crate::model::transcript::{OrderId, Transcript, TranscriptId};
use crate::store::{self, Conn, NewTranscript};

/// The window of `TRANSCRIBE_PER_DAY` and `BUDGET_PER_DAY`.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// The language of a transcript whose order names none.
const LANGUAGE: &str = "en";

#[derive(Debug, Clone)]
pub(super) struct TranscriptRequest {
    /// The recording. That of an upload is known once it is stored.
    pub(super) recording: Option<RecordingSid>,
    /// The form of the audio at Twilio, or its URL elsewhere.
    pub(super) audio: String,
    /// The SHA-256 of an uploaded file. AssemblyAI gives each upload of it another URL.
    pub(super) checksum: Option<String>,
    /// AssemblyAI's parameters, without audio and webhook.
    pub(super) parameters: Map<String, Value>,
    /// Whether the two channels of an uploaded file differ.
    pub(super) channels_differ: Option<bool>,
    /// Whether nobody has chosen the speech models: they are the default.
    pub(super) has_default_models: bool,
}

/// The form in which a recording's audio is requested from Twilio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioForm {
    pub format: MediaFormat,
    /// The `RequestedChannels` of the request. `None`: as recorded.
    pub channels: Option<u32>,
}

impl TranscriptRequest {
    /// Requests a finished recording with the parameters of the settings.
    pub(super) fn of_recording(context: &Context, recording: &RecordingSid) -> Self {
        let form = AudioForm { format: MediaFormat::Wav, channels: None };
        let has_default_models = has_default_models(context, &Map::new());
        let parameters = parameters(context, Map::new(), &Keyterms::default());
        let (recording, audio) = (Some(recording.clone()), form.to_string());
        Self { recording, audio, checksum: None, parameters, channels_differ: None, has_default_models }
    }

    /// Identifies requests with the same audio and the same parameters, in any order. The first key is that of a new order.
    /// Earlier versions have stored the same request under the others: with their own default models, and under another key
    /// for a recording's mp3 file, which has the same sound.
    pub(super) fn keys(&self) -> Vec<String> {
        let sids_and_forms = match (&self.checksum, &self.recording, self.audio.parse::<AudioForm>()) {
            (Some(checksum), ..) => vec![["sha256".to_owned(), checksum.clone()]],
            (None, Some(sid), Ok(form)) => [MediaFormat::Wav, MediaFormat::Mp3]
                .map(|format| [sid.to_string(), AudioForm { format, ..form }.to_string()])
                .to_vec(),
            (None, ..) => vec![["".to_owned(), self.audio.clone()]],
        };
        let mut parameters = vec![self.parameters.clone()];
        if self.has_default_models {
            let earlier = json!(models::listed(models::EARLIER_DEFAULT));
            parameters.push(parameters[0].clone());
            parameters[1].insert("speech_models".to_owned(), earlier);
        }
        let key = |audio: &[String; 2], parameters: &Map<String, Value>| {
            let request = json!([audio, sorted(&Value::Object(parameters.clone()))]);
            clients::hex(&Sha256::digest(request.to_string()))
        };
        let of = |parameters| sids_and_forms.iter().map(move |audio| key(audio, parameters));
        parameters.iter().flat_map(of).collect()
    }

    pub(super) fn new_transcript(&self, now: i64) -> NewTranscript {
        NewTranscript {
            id: OrderId::new(now),
            recording: self.recording.clone(),
            audio: self.audio.clone(),
            parameters: Value::Object(self.parameters.clone()).to_string(),
            channels_differ: self.channels_differ,
            request_key: Some(self.keys().swap_remove(0)),
            trial: None,
            is_unasked: false,
            automatic: None,
            created_at: now,
        }
    }
}

/// The form in which the audio of a transcript is requested from Twilio. `None` if Twilio does not have it.
pub(super) fn form(transcript: &Transcript) -> Option<AudioForm> {
    transcript.audio.parse().ok()
}

/// Whether neither this request nor the settings choose the speech models.
pub(super) fn has_default_models(context: &Context, of_request: &Map<String, Value>) -> bool {
    let is_default = context.transcript.speech_models == models::listed(models::DEFAULT);
    is_default && !of_request.contains_key("speech_models")
}

/// Merges the parameters of a request over those of the settings, and the key terms of both.
pub(super) fn parameters(context: &Context, of_request: Map<String, Value>, keyterms: &Keyterms) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("speech_models".to_owned(), json!(context.transcript.speech_models));
    parameters.extend(context.transcript.options.clone());
    parameters.extend(of_request);
    let keyterms = context.keyterms().and(keyterms);
    if !keyterms.is_empty() {
        parameters.insert("keyterms_prompt".to_owned(), json!(keyterms.as_slice()));
    }
    parameters
}

/// Checks that the speech models accept these key terms. The error names the first that they do not.
pub(super) fn check_keyterms(
    context: &Context,
    parameters: &Map<String, Value>,
    keyterms: &Keyterms,
) -> Result<(), Error> {
    let models = models_of(parameters);
    Ok(speech_models::check(models.as_ref().unwrap_or(&context.transcript.speech_models), keyterms)?)
}

/// The speech models that a request asks for, if they are a list of names.
pub(super) fn models_of(parameters: &Map<String, Value>) -> Option<Vec<String>> {
    Vec::deserialize(parameters.get("speech_models")?).ok()
}

pub(super) fn keyterms_of(parameters: &Map<String, Value>) -> Keyterms {
    let listed = parameters.get("keyterms_prompt").and_then(|terms| Vec::<String>::deserialize(terms).ok());
    Keyterms::from_terms(listed.unwrap_or_default())
}

/// What an order with these parameters costs at most. `None` if the price of a model is not known.
pub(super) fn estimate(context: &Context, parameters: &Map<String, Value>, seconds: Option<i64>) -> Option<Dollars> {
    price::estimate(context, &models_of(parameters)?, parameters, seconds)
}

/// The language of an order with these parameters.
pub(super) fn language_of(parameters: &str) -> String {
    let parameters: Value = serde_json::from_str(parameters).unwrap_or_default();
    parameters["language_code"].as_str().unwrap_or(LANGUAGE).to_owned()
}

/// Opens the job that makes a transcript, unless the same request has one.
pub(super) async fn open(tx: &mut Conn, request: &TranscriptRequest, now: i64) -> Result<(), store::Error> {
    insert(tx, &request.new_transcript(now), now).await
}

/// Opens the job that transcribes a recording without being asked to. Unless its call was dialed here, their number is limited:
/// strangers can call as often as they like. What all of them cost is limited by the budget of the day. Beyond either limit,
/// the recording has no transcript until somebody asks for it.
pub(super) async fn open_unasked(
    tx: &mut Conn,
    context: &Context,
    recording: &Recording,
    now: i64,
) -> Result<(), store::Error> {
    let is_unasked = !tx.is_dialed_here(&recording.call).await?;
    let (per_day, budget) = (context.transcript.per_day.filter(|_| is_unasked), context.transcript.budget);
    if per_day.is_some() || budget.is_some() {
        tx.lock_unasked(now).await?;
    }
    if let Some(most) = per_day
        && tx.count_unasked_since(now - ms(DAY), now, most.into()).await? >= most.into()
    {
        tracing::info!(recording = %recording.sid, "not transcribed: TRANSCRIBE_PER_DAY is reached");
        return Ok(());
    }
    let request = TranscriptRequest::of_recording(context, &recording.sid);
    let estimate = estimate(context, &request.parameters, recording.duration_seconds);
    if let Some(budget) = budget
        && !is_allowed(tx, budget, estimate, now).await?
    {
        tx.note_over_budget(&recording.sid, budget, now).await?;
        tracing::info!(recording = %recording.sid, "not transcribed: BUDGET_PER_DAY is reached");
        return Ok(());
    }
    let automatic = Some(estimate.unwrap_or_default());
    insert(tx, &NewTranscript { is_unasked, automatic, ..request.new_transcript(now) }, now).await
}

/// Whether the budget allows another transcript. Holds until the transaction ends, which keeps others from being ordered.
async fn is_allowed(tx: &mut Conn, budget: Dollars, estimate: Option<Dollars>, now: i64) -> Result<bool, store::Error> {
    let Some(estimate) = estimate else { return Ok(false) };
    tx.redate_automatic(now).await?;
    Ok(tx.automatic_cost_since(now - ms(DAY), now).await? + estimate <= budget)
}

async fn insert(tx: &mut Conn, new: &NewTranscript, now: i64) -> Result<(), store::Error> {
    if tx.add_transcript(new).await? {
        tx.open_job(JobKind::Transcript, new.id.as_str(), now, now).await?;
    }
    Ok(())
}

/// Stores an order that is missing here although the secret of its webhook proves that it was submitted from here.
pub(super) async fn adopt_order(
    tx: &mut Conn,
    order: &OrderId,
    id: &TranscriptId,
    now: i64,
) -> Result<(), store::Error> {
    if tx.transcript_by_transcript_id(id).await?.is_some() {
        return Ok(());
    }
    // Nothing else is known of its audio.
    let upload = Upload::of_unknown_audio();
    let new = NewTranscript {
        id: order.clone(),
        recording: upload.find_or_insert(tx, now).await?,
        audio: String::new(),
        parameters: "{}".to_owned(),
        channels_differ: None,
        request_key: Some(order.to_string()),
        trial: None,
        is_unasked: false,
        automatic: None,
        created_at: now,
    };
    tx.add_transcript(&new).await?;
    if let Some(transcript) = tx.transcript_by_id(order).await? {
        tx.mark_submitted(&transcript, id.as_str(), None, now).await?;
    }
    tx.open_job(JobKind::Transcript, order.as_str(), now, now).await
}

/// Whether AssemblyAI will never have a result for this attempt: it reported an error, the result was deleted there, or
/// nothing was submitted.
pub(super) fn is_void(transcript: &Transcript) -> bool {
    let reply = transcript.json.clone().and_then(Reply::read).map(|reply| reply.transcript);
    let is_lost = reply.is_some_and(|reply| reply.status == TranscriptStatus::Error || reply.is_deleted());
    transcript.asked_at.is_none() || is_lost
}

/// The value with the keys of its objects sorted.
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
    fn the_order_of_parameters_does_not_tell_requests_apart() {
        let key = |parameters: &str| {
            let parameters = serde_json::from_str(parameters).unwrap();
            let audio = "https://example.com/a.mp3".to_owned();
            let (recording, checksum, channels_differ, has_default_models) = (None, None, None, false);
            TranscriptRequest { recording, audio, checksum, parameters, channels_differ, has_default_models }.keys()
        };
        assert_eq!(key(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#), key(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#));
        assert_ne!(key(r#"{"a": [1, 2]}"#), key(r#"{"a": [2, 1]}"#));
    }

    #[test]
    fn the_form_of_audio_survives_a_round_trip() {
        for form in [
            AudioForm { format: MediaFormat::Wav, channels: None },
            AudioForm { format: MediaFormat::Wav, channels: Some(2) },
            AudioForm { format: MediaFormat::Mp3, channels: Some(1) },
        ] {
            assert_eq!(form.to_string().parse(), Ok(form));
        }
    }
}
