//! Transcripts as clients request them: of which audio, whether one exists, and its state. `pipeline::submit` makes them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::request::{self, AudioForm, TranscriptRequest};
use super::task::run_to_end;
use super::{Error, job, lookup, runner, settle};
use crate::clients::assemblyai::Reply;
use crate::clients::json::Json;
use crate::clients::twilio::{self, Channels, Location, MediaFormat, MediaRequest, Playable};
use crate::clients::{self, Kind, Service};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::CallSid;
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Transcript, TranscriptId, TranscriptState};
use crate::store::{self, Job, NewTranscript};

/// The interval at which AssemblyAI is polled while a client waits, in case the webhook is lost.
const POLL_AGAIN: Duration = Duration::from_secs(3);

/// The interval at which a waiting client reads the store if no event comes.
const READ_AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A URL that AssemblyAI fetches itself. callscribe never does.
    Url(String),
    /// A recording at Twilio, which requires our credentials.
    Recording(Audio),
    /// The one recording of a call.
    Call(CallSid),
    /// A file that a client uploaded.
    File(Uploaded),
}

/// A file that AssemblyAI has, and that no order refers to yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its URL at AssemblyAI.
    url: String,
    /// SHA-256 in hex. The same file uploaded twice is the same request.
    checksum: String,
    /// Whether its two channels differ, if it is a WAV file with two.
    channels_differ: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    pub sid: RecordingSid,
    pub form: AudioForm,
}

impl From<RecordingSid> for Audio {
    fn from(sid: RecordingSid) -> Self {
        Self { sid, form: AudioForm { format: MediaFormat::Wav, channels: None } }
    }
}

#[derive(Debug, Clone)]
pub struct Request {
    pub source: Source,
    /// Key terms in addition to those of the settings and of the call.
    pub keyterms: Keyterms,
    /// AssemblyAI's parameters in addition to those of the settings.
    pub parameters: Map<String, Value>,
    /// Whether to make another transcript even if the same request has one.
    pub again: bool,
}

impl Source {
    /// Parses an audio URL. Recognizes a recording of our account by its path at Twilio; returns an error for any other URL
    /// at Twilio.
    pub fn from_url(context: &Shared, text: &str) -> Result<Self, Error> {
        let elsewhere = || Ok(Self::Url(text.to_owned()));
        let Ok(url) = Url::parse(text) else { return elsewhere() };
        let Some(path) = context.twilio.path_at_api(&url) else { return elsewhere() };
        // Twilio's API serves the same recordings under both.
        const VERSION: &str = "2010-04-01";
        const OLD_VERSION: &str = "2008-08-01";
        let not_ours = |why| Err(Error::NotOurRecording(why));

        // …/Accounts/AC…/Recordings/RE… or …/Accounts/AC…/Calls/CA…/Recordings/RE…, with or without an extension.
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (account, file) = match segments[..] {
            [VERSION | OLD_VERSION, "Accounts", account, "Recordings", file] => (account, file),
            [VERSION | OLD_VERSION, "Accounts", account, "Calls", _, "Recordings", file] => (account, file),
            // Another API than Twilio's may have the audio at another path.
            [version, .., folder, file]
                if version != VERSION
                    && folder.eq_ignore_ascii_case("recordings")
                    && context.twilio.is_own_host(&url) =>
            {
                (&*context.account_sid, file)
            }
            _ => return not_ours("this Twilio URL does not belong to a recording"),
        };
        if account != context.account_sid {
            return not_ours("this recording belongs to a Twilio account other than TWILIO_ACCOUNT_SID");
        }
        let (sid, format) = match file.split_once('.') {
            Some((sid, "mp3")) => (sid, MediaFormat::Mp3),
            // The URL is often copied from the JSON of a recording.
            Some((sid, "wav" | "json")) => (sid, MediaFormat::Wav),
            None => (file, MediaFormat::Wav),
            Some(_) => return not_ours("Twilio serves recordings only as .wav and .mp3"),
        };
        let channels = url.query_pairs().find(|(name, _)| name == "RequestedChannels");
        let channels = channels.and_then(|(_, value)| value.parse().ok());
        match sid.parse() {
            Ok(sid) => Ok(Self::Recording(Audio { sid, form: AudioForm { format, channels } })),
            Err(_) => not_ours("this Twilio URL does not belong to a recording"),
        }
    }
}

/// Checks the parameters of a request before its audio is uploaded. The error names the first key term that the speech
/// models do not accept.
pub fn check(context: &Shared, parameters: &Map<String, Value>, keyterms: &Keyterms) -> Result<(), Error> {
    let parameters = request::parameters(context, parameters.clone(), keyterms);
    request::check_keyterms(context, &parameters, &request::keyterms_of(&parameters))
}

/// Streams a file into AssemblyAI's upload. Stores and submits nothing: an incomplete upload ends with its request. If the
/// client's stream breaks, returns the stream's own error.
pub async fn upload<S, E>(context: &Shared, file: S) -> Result<Uploaded, E>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: From<Error> + From<clients::Error> + Send + 'static,
{
    let ended = Arc::new(OnceLock::new());
    let start = (file.boxed(), Sha256::new(), Channels::default(), Arc::clone(&ended));
    let hashed = stream::try_unfold(start, |(mut file, mut hash, mut channels, ended)| async move {
        match file.next().await.transpose()? {
            Some(bytes) => {
                hash.update(&bytes);
                channels.read(&bytes);
                Ok(Some((bytes, (file, hash, channels, ended))))
            }
            None => {
                _ = ended.set((clients::hex(&hash.finalize()), channels.differ()));
                Ok(None)
            }
        }
    });
    let url = tokio::select! {
        sent = context.assemblyai.upload::<_, E>(hashed, None) => sent?,
        () = context.stopping.cancelled() => return Err(Error::Stopping.into()),
    };
    // AssemblyAI may have answered before the end of the file.
    let (checksum, channels_differ) = ended.get().cloned().ok_or_else(|| {
        let kind = Kind::BadBody { path: "an answer before the end of the audio".to_owned() };
        clients::Error { service: Service::AssemblyAi, kind }
    })?;
    tracing::info!("uploaded a file");
    Ok(Uploaded { url, checksum, channels_differ })
}

/// Requests a transcript. The same audio with the same parameters returns the existing transcript, unless `again` is set.
/// Returns as soon as AssemblyAI has accepted the order.
///
/// [`Kind::Ambiguous`] means that it is unknown whether AssemblyAI accepted the order; the job searches for it. Temporary
/// errors are retried automatically.
pub async fn transcribe(context: &Shared, request: Request) -> Result<Reply, Error> {
    let Request { source, keyterms, parameters, again } = request;
    let has_default_models = request::has_default_models(context, &parameters);
    let parameters = request::parameters(context, parameters, &keyterms);
    request::check_keyterms(context, &parameters, &request::keyterms_of(&parameters))?;
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let mut channels_differ = None;
    let (recording, audio, checksum) = match source {
        Source::Url(url) => (None, url, None),
        Source::Recording(audio) => (Some(audio.sid), audio.form.to_string(), None),
        Source::Call(call) => {
            let audio = only_recording(context, &call).await?;
            (Some(audio.sid), audio.form.to_string(), None)
        }
        Source::File(file) => {
            channels_differ = file.channels_differ;
            (None, file.url, Some(file.checksum))
        }
    };
    if let Some(recording) = &recording {
        let mut conn = context.store.read().await?;
        let recording = conn.recording(recording).await?;
        if let Some(recording) = recording
            && conn.is_deletion_wanted(&recording.call).await?
        {
            return Err(Error::Deleted);
        }
    }
    let request = TranscriptRequest { recording, audio, checksum, parameters, channels_differ, has_default_models };
    let shared = Arc::clone(context);
    run_to_end(context, async move { submitted(&shared, &request, again).await }).await
}

/// Runs the job of this request, or waits for the instance that runs it.
async fn submitted(context: &Shared, request: &TranscriptRequest, again: bool) -> Result<Reply, Error> {
    let (new, keys) = (&request.new_transcript(context.clock.now_ms()), &request.keys());
    let mut listener = context.events.listen();
    let (id, job) = match begin(context, new, keys, again).await {
        // Another request for the same was faster.
        Err(store::Error::Taken) => begin(context, new, keys, false).await?,
        begun => begun?,
    };
    let until = Instant::now() + context.dial_timeout;
    let mut failed = match job {
        Some(job) => runner::run_here(context, job).await.err(),
        None => None,
    };
    loop {
        let transcript = context.store.read().await?.transcript_by_id(&id).await?;
        let transcript = transcript.ok_or(store::Error::Unreadable("transcripts.id"))?;
        if let Some(json) = transcript.json
            && let Some(reply) = stored(context, json).await
        {
            return there(reply);
        }
        if let Some(error) = failed.take() {
            return Err(error);
        }
        if transcript.state == TranscriptState::Failed {
            return Err(Error::TranscriptFailed(transcript.reason.unwrap_or_default()));
        }
        tokio::select! {
            () = listener.changed(id.as_str()) => {}
            () = tokio::time::sleep(READ_AGAIN) => {}
            () = tokio::time::sleep_until(until) => {
                return Err(Error::Pending("the transcript is being made; try again later"));
            }
            () = context.stopping.cancelled() => return Err(Error::Stopping),
        }
    }
}

/// Finds the transcript of the same request, which has one of these keys, or inserts this one. Claims its job if no instance
/// has it, so that the client does not wait for a worker and receives any error.
async fn begin(
    context: &Shared,
    new: &NewTranscript,
    keys: &[String],
    again: bool,
) -> Result<(OrderId, Option<Job>), store::Error> {
    context
        .store
        .write(Commit::RequestTranscript, new.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            let kind = JobKind::Transcript;
            let mut all = Vec::new();
            for key in keys {
                all.extend(tx.transcript_by_request(key).await?);
            }
            // A good one rather than a failed one.
            all.sort_by_key(|known| known.state == TranscriptState::Failed);
            let known = match all.first().cloned() {
                // Inserted by this request, in a commit whose outcome was unknown.
                Some(known) if known.id == new.id => None,
                Some(known) if !again && known.state != TranscriptState::Failed => Some(known),
                // It failed, but AssemblyAI has accepted the order, or may have: resume it.
                Some(known) if !again && known.asked_at.is_some() && !request::is_void(&known) => {
                    tx.begin_attempt(&known, false, "requested again", now).await?;
                    tx.open_job(kind, known.id.as_str(), now, now).await?;
                    // begin_attempt has cleared it.
                    Some(Transcript { json: None, ..known })
                }
                _ => {
                    // Only these: another request may have inserted a newer one since.
                    for other in all {
                        tx.supersede_transcript(&other.id).await?;
                    }
                    if !tx.add_transcript(new).await? {
                        return Err(store::Error::Taken);
                    }
                    None
                }
            };
            let (id, job) = match known {
                None => (
                    new.id.clone(),
                    Some(tx.insert_claimed_job(kind, new.id.as_str(), job::lease(context), now, now).await?),
                ),
                Some(known) if known.json.is_some() => (known.id, None),
                Some(known) => {
                    tx.open_job(kind, known.id.as_str(), now, now).await?;
                    let job = tx.claim_job(kind, known.id.as_str(), job::lease(context), now).await?;
                    (known.id, job)
                }
            };
            Ok((tx, (id, job)))
        })
        .await
}

/// The finished recording of a call, if there is exactly one.
async fn only_recording(context: &Shared, call: &CallSid) -> Result<Audio, Error> {
    let complete = lookup::complete_recordings(context, call).await?;
    match &complete[..] {
        [only] => only.sid.parse::<RecordingSid>().map(Audio::from).map_err(|_| unreadable("recordings.sid")),
        several => Err(Error::SeveralRecordings {
            call: call.clone(),
            recordings: several.iter().map(|recording| recording.sid.clone()).collect(),
        }),
    }
}

/// Returns a transcript once it is final, or after `wait` as it is. A final one comes from the store; one that is not in
/// this store is requested from AssemblyAI each time.
pub async fn transcript(context: &Shared, id: &TranscriptId, wait: Duration) -> Result<Reply, Error> {
    let mut listener = context.events.listen();
    let mut reply = current(context, id).await?;
    if reply.transcript.is_final() {
        return Ok(reply);
    }
    let known = context.store.read().await?.transcript_by_transcript_id(id).await?;
    let subject = known.map_or_else(|| id.to_string(), |transcript| transcript.id.to_string());
    let waiting = async {
        while !reply.transcript.is_final() {
            tokio::select! {
                () = listener.changed(&subject) => {}
                () = tokio::time::sleep(POLL_AGAIN) => {}
            }
            reply = current(context, id).await?;
        }
        Ok::<(), Error>(())
    };
    // After the wait, or when the program stops, the latest reply is the answer.
    tokio::select! {
        result = tokio::time::timeout(wait, waiting) => result.unwrap_or(Ok(()))?,
        () = context.stopping.cancelled() => {}
    }
    Ok(reply)
}

/// Returns a transcript as it is now.
async fn current(context: &Shared, id: &TranscriptId) -> Result<Reply, Error> {
    let mut conn = context.store.read().await?;
    let known = conn.transcript_by_transcript_id(id).await?;
    if let Some(call) = known.as_ref().and_then(|known| known.call.as_ref())
        && conn.is_deletion_wanted(call).await?
    {
        return Err(Error::Deleted);
    }
    drop(conn);
    let Some(mut known) = known else {
        let reply = context.assemblyai.transcript(id.as_str()).await?;
        return there(Reply { json: reply.json.without_turn(), ..reply });
    };
    if known.state.is_final()
        && let Some(json) = known.json.take()
        && let Some(reply) = stored(context, json).await
        && reply.transcript.is_final()
    {
        return there(reply);
    }
    let (shared, id) = (Arc::clone(context), id.clone());
    let polled = async move { settle::poll(&shared, &known, &id).await.map_err(|failed| failed.error) };
    run_to_end(context, polled).await.and_then(there)
}

/// Returns the reply, unless the transcript was deleted at AssemblyAI.
fn there(reply: Reply) -> Result<Reply, Error> {
    if reply.transcript.is_deleted() { Err(Error::TranscriptDeleted) } else { Ok(reply) }
}

/// Reads AssemblyAI's JSON as it was stored. Returns `None` if it is not a transcript.
async fn stored(context: &Shared, json: Vec<u8>) -> Option<Reply> {
    let json = Json::from(json);
    let _turn = context.turn_to_read(&json).await;
    Reply::of(json).await.ok()
}

/// A recording's audio for a player, or the requested range of it.
pub async fn listen(context: &Shared, sid: &RecordingSid, wanted: &MediaRequest) -> Result<Playable, Error> {
    let known = context.store.read().await?.recording(sid).await?;
    let seconds = known.and_then(|recording| u64::try_from(recording.duration_seconds?).ok());
    let mut wanted = MediaRequest { seconds, ..wanted.clone() };
    let client = &context.twilio;
    // The first bytes of audio tell whether it is encrypted; those in its middle look like any others.
    let has_head = wanted.range.as_deref().is_none_or(|range| !twilio::lacks_head(range));
    if !client.has_recording_keys() && has_head {
        let error = match client.play(sid.as_str(), &wanted).await {
            Err(error) if matches!(error.kind, Kind::NotFound(_) | Kind::BadBody { .. }) => error,
            played => {
                let played = played?;
                // Some ciphertext begins like MP3.
                if wanted.format == MediaFormat::Wav
                    && played.audio_type.media_type() == "audio/mpeg"
                    && let Ok(recording) = client.recording(sid.as_str()).await
                {
                    lookup::decryption(context, &recording)?;
                }
                return Ok(played);
            }
        };
        // It may be encrypted, or another API than Twilio's has it at another path.
        let Ok(recording) = client.recording(sid.as_str()).await else { return Err(error.into()) };
        wanted.decryption = lookup::decryption(context, &recording)?;
        let Location::OwnUrl(url) = client.location(&recording) else { return Err(error.into()) };
        wanted.own_url = Some(url);
    } else {
        let recording = client.recording(sid.as_str()).await?;
        wanted.decryption = lookup::decryption(context, &recording)?;
        if let Location::OwnUrl(url) = client.location(&recording) {
            wanted.own_url = Some(url);
        }
    }
    Ok(client.play(sid.as_str(), &wanted).await?)
}

fn unreadable(path: &str) -> Error {
    clients::Error { service: Service::Twilio, kind: Kind::BadBody { path: path.to_owned() } }.into()
}
