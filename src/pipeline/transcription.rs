//! From audio to transcript: Twilio's audio streams into AssemblyAI's upload, then a transcript is asked for.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{Error, call, seen_through};
use crate::clients::assemblyai::callbacks::SECRET_HEADER;
use crate::clients::assemblyai::{Reply, SubtitleFormat};
use crate::clients::twilio::{Media, MediaFormat, MediaRequest};
use crate::clients::{self, Kind, Service};
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::keyterms::{Keyterms, Limit};
use crate::model::recording::RecordingSid;
use crate::model::transcript::TranscriptId;

/// A transcript that is waited for is looked at this often even if AssemblyAI's webhook is lost.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What is to be transcribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Audio that AssemblyAI fetches itself. This program never does.
    Url(String),
    /// A recording at Twilio, which asks for our credentials.
    Recording(Audio),
    /// The one recording of a call.
    Call(CallSid),
}

/// The audio of a recording at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Which.
    pub sid: RecordingSid,
    /// WAV unless MP3 was named.
    pub format: MediaFormat,
    /// The `RequestedChannels` that was named; as recorded if none was.
    pub channels: Option<u32>,
}

impl From<RecordingSid> for Audio {
    fn from(sid: RecordingSid) -> Self {
        Self { sid, format: MediaFormat::Wav, channels: None }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The audio.
    pub source: Source,
    /// Terms beyond those of the settings and of the call.
    pub keyterms: Keyterms,
    /// AssemblyAI's parameters beyond those of the settings.
    pub parameters: Map<String, Value>,
}

impl Source {
    /// Reads an audio URL: a recording of ours is told from everything else by its path at Twilio.
    ///
    /// # Errors
    /// If it is at Twilio, but not a recording of our account.
    pub fn from_url(context: &Shared, text: &str) -> Result<Self, Error> {
        let elsewhere = || Ok(Self::Url(text.to_owned()));
        let Ok(url) = Url::parse(text) else { return elsewhere() };
        let Some(path) = context.twilio.path_at_api(&url) else { return elsewhere() };
        let not_ours = |why| Err(Error::NotOurRecording(why));

        // …/Accounts/AC…/Recordings/RE… or …/Accounts/AC…/Calls/CA…/Recordings/RE…, with or without an extension.
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (account, file) = match segments[..] {
            ["2010-04-01", "Accounts", account, "Recordings", file] => (account, file),
            ["2010-04-01", "Accounts", account, "Calls", _, "Recordings", file] => (account, file),
            _ => return not_ours("this address at Twilio is not that of a recording"),
        };
        if account != context.account_sid {
            return not_ours("this recording is of another Twilio account than TWILIO_ACCOUNT_SID");
        }
        let (sid, format) = match file.split_once('.') {
            Some((sid, "mp3")) => (sid, MediaFormat::Mp3),
            // The JSON of a recording is what the address is often copied from.
            Some((sid, "wav" | "json")) => (sid, MediaFormat::Wav),
            None => (file, MediaFormat::Wav),
            Some(_) => return not_ours("Twilio has recordings as .wav and .mp3"),
        };
        let channels = url.query_pairs().find(|(name, _)| name == "RequestedChannels");
        let channels = channels.and_then(|(_, value)| value.parse().ok());
        match sid.parse() {
            Ok(sid) => Ok(Self::Recording(Audio { sid, format, channels })),
            Err(_) => not_ours("this address at Twilio is not that of a recording"),
        }
    }
}

/// Asks AssemblyAI for a transcript, once.
///
/// # Errors
/// [`Kind::Ambiguous`] if nobody knows whether AssemblyAI accepted it.
pub async fn transcribe(context: &Shared, request: Request) -> Result<Reply, Error> {
    let Request { source, keyterms, parameters } = request;
    let mut body = Map::new();
    body.insert("speech_models".to_owned(), json!(context.transcript.speech_models));
    body.extend(context.transcript.options.clone());
    body.extend(parameters);

    let models = body.get("speech_models").and_then(|models| Vec::<String>::deserialize(models).ok());
    let limit = context.transcript.keyterm_limit(models.as_deref());
    let mut keyterms = context.transcript.keyterms.and(&keyterms);
    keyterms.check(&limit)?;

    let (audio_url, recording) = match source {
        Source::Url(url) => (url, None),
        Source::Recording(audio) => bring(context, audio, &mut keyterms, &limit).await?,
        Source::Call(call) => bring(context, only_recording(context, &call).await?, &mut keyterms, &limit).await?,
    };

    body.insert("audio_url".to_owned(), json!(audio_url));
    if !keyterms.is_empty() {
        body.insert("keyterms_prompt".to_owned(), json!(keyterms.as_slice()));
    }
    // A webhook that was asked for by name is somebody else's, and so is its secret.
    if !body.contains_key("webhook_url") {
        let job = Uuid::new_v4().simple().to_string();
        body.insert("webhook_url".to_owned(), json!(context.urls.transcript_ready(&job)));
        body.insert("webhook_auth_header_name".to_owned(), json!(SECRET_HEADER));
        body.insert("webhook_auth_header_value".to_owned(), json!(context.assemblyai.webhook_secret(&job)));
    }

    let shared = Arc::clone(context);
    let asking = async move {
        let reply = shared.assemblyai.create_transcript(&body).await;
        match &reply {
            Ok(Reply { transcript, .. }) => {
                tracing::info!(transcript = transcript.id, recording, "transcript asked for");
            }
            Err(error) => tracing::warn!(recording, "asking for a transcript failed: {error}"),
        }
        reply
    };
    seen_through(context, asking).await
}

/// The audio of a call that has one finished recording.
async fn only_recording(context: &Shared, call: &CallSid) -> Result<Audio, Error> {
    let complete = call::complete_recordings(context, call).await?;
    match &complete[..] {
        [only] => only.sid.parse::<RecordingSid>().map(Audio::from).map_err(|_| unreadable("recordings.sid")),
        several => Err(Error::SeveralRecordings {
            call: call.clone(),
            recordings: several.iter().map(|recording| recording.sid.clone()).collect(),
        }),
    }
}

/// Makes a recording's audio available to AssemblyAI. Gives its URL there, and the SID for the log. The call's own key
/// terms join the others.
async fn bring(
    context: &Shared,
    audio: Audio,
    keyterms: &mut Keyterms,
    limit: &Limit,
) -> Result<(String, Option<String>), Error> {
    let Audio { sid, format, channels } = audio;
    let mut wanted = MediaRequest { format, channels, ..Default::default() };
    match context.twilio.recording(sid.as_str()).await {
        Ok(details) => {
            *keyterms = keyterms.and(&context.call_keyterms.of(details.call_sid.as_deref().unwrap_or_default()));
            keyterms.check(limit)?;
            // As recorded: a stereo recording has a side of the call on each channel.
            wanted.channels = channels.or(details.channels.filter(|channels| *channels > 1));
            wanted.seconds = details.seconds();
            let recorded = call::recorded(context, details);
            if !recorded.is_complete() {
                return Err(Error::NotRecorded { recording: recorded.lack(), later: recorded.is_coming() });
            }
            if recorded.is_elsewhere {
                return Ok((recorded.url, Some(recorded.sid)));
            }
        }
        // The audio itself is the better witness of whether it is there.
        Err(clients::Error { kind: Kind::NotFound(_) | Kind::Rejected(_), .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let media = context.twilio.media(sid.as_str(), &wanted).await?;
    let url = context.assemblyai.upload(media.bytes, media.length).await?;
    Ok((url, Some(sid.to_string())))
}

/// How a transcript stands, or, within `wait`, how it ended.
///
/// # Errors
/// As AssemblyAI refuses, or fails to answer.
pub async fn transcript(context: &Shared, id: &TranscriptId, wait: Duration) -> Result<Reply, Error> {
    let mut listener = context.events.listen();
    let mut reply = context.assemblyai.transcript(id.as_str()).await?;
    let waiting = async {
        while !reply.transcript.is_final() {
            tokio::select! {
                () = listener.finished(id) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            reply = context.assemblyai.transcript(id.as_str()).await?;
        }
        Ok::<(), Error>(())
    };
    // Out of time, or the program stops: what was seen last is the answer.
    tokio::select! {
        result = tokio::time::timeout(wait, waiting) => result.unwrap_or(Ok(()))?,
        () = context.stopping.cancelled() => {}
    }
    Ok(reply)
}

/// The captions of a completed transcript.
///
/// # Errors
/// As AssemblyAI refuses, or fails to answer.
pub async fn captions(context: &Shared, id: &TranscriptId, format: SubtitleFormat) -> Result<String, Error> {
    Ok(context.assemblyai.subtitles(id.as_str(), format).await?)
}

/// A recording's audio for a player here, or the range of it that is asked for.
///
/// # Errors
/// As Twilio refuses, or fails to answer.
pub async fn listen(context: &Shared, sid: &RecordingSid, wanted: &MediaRequest) -> Result<Media, Error> {
    Ok(context.twilio.media(sid.as_str(), wanted).await?)
}

fn unreadable(path: &str) -> Error {
    clients::Error { service: Service::Twilio, kind: Kind::BadBody { path: path.to_owned() } }.into()
}
