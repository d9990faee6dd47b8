//! Transcripts as people ask for them: of what, whether there is one already, and how it stands. How one is made stands
//! in `pipeline::order`.

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
use crate::clients::twilio::{Media, MediaFormat, MediaRequest};
use crate::clients::{self, Kind, Service};
use crate::context::Shared;
use crate::failpoint::Step;
use crate::model::call::CallSid;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Transcript, TranscriptId, TranscriptState};
use crate::store::{self, Job, JobKind, NewTranscript};

/// A transcript that is waited for is looked at this often even if AssemblyAI's webhook is lost.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Whoever waits for an order that another works at looks this often even if nothing is told.
const LOOK_INTO_STORE: Duration = Duration::from_millis(250);

/// What is to be transcribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Audio that AssemblyAI fetches itself. This program never does.
    Url(String),
    /// A recording at Twilio, which asks for our credentials.
    Recording(Audio),
    /// The one recording of a call.
    Call(CallSid),
    /// A file that was sent here.
    File(Uploaded),
}

/// A file that AssemblyAI has, and that no order names yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Where AssemblyAI has it.
    url: String,
    /// SHA-256, in hex: the same file sent twice is the same request.
    checksum: String,
}

/// The audio of a recording at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Which.
    pub sid: RecordingSid,
    /// How it is asked for.
    pub form: AudioForm,
}

impl From<RecordingSid> for Audio {
    fn from(sid: RecordingSid) -> Self {
        Self { sid, form: AudioForm { format: MediaFormat::Wav, channels: None } }
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
    /// Whether another transcript is wanted where the same request has one.
    pub again: bool,
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
            Ok(sid) => Ok(Self::Recording(Audio { sid, form: AudioForm { format, channels } })),
            Err(_) => not_ours("this address at Twilio is not that of a recording"),
        }
    }
}

/// Whether a request with these wishes can be sent, before its audio is brought anywhere.
///
/// # Errors
/// Names the first key term that the models do not take.
pub fn check(context: &Shared, parameters: &Map<String, Value>, keyterms: &Keyterms) -> Result<(), Error> {
    let parameters = request::parameters(context, parameters.clone(), keyterms);
    request::check_keyterms(context, &parameters, &request::keyterms_of(&parameters))
}

/// Streams a file into AssemblyAI's upload. Nothing of it is kept here, and nothing is ordered: until it is whole it
/// belongs to the request that brings it, and ends with it.
///
/// # Errors
/// The file's own error if it is the file that breaks off.
pub async fn upload<S, E>(context: &Shared, file: S) -> Result<Uploaded, E>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: From<Error> + From<clients::Error> + Send + 'static,
{
    let ended = Arc::new(OnceLock::new());
    let begun = (file.boxed(), Sha256::new(), Arc::clone(&ended));
    let hashed = stream::try_unfold(begun, |(mut file, mut hash, ended)| async move {
        match file.next().await.transpose()? {
            Some(bytes) => {
                hash.update(&bytes);
                Ok(Some((bytes, (file, hash, ended))))
            }
            None => {
                _ = ended.set(clients::hex(&hash.finalize()));
                Ok(None)
            }
        }
    });
    let url = tokio::select! {
        sent = context.assemblyai.upload::<_, E>(hashed, None) => sent?,
        () = context.stopping.cancelled() => return Err(Error::Stopping.into()),
    };
    // AssemblyAI may have said yes to a part of it.
    let checksum = ended.get().cloned().ok_or_else(|| {
        let kind = Kind::BadBody { path: "an answer before the end of the audio".to_owned() };
        clients::Error { service: Service::AssemblyAi, kind }
    })?;
    tracing::info!("a file was uploaded");
    Ok(Uploaded { url, checksum })
}

/// Has a transcript made, once: the same audio with the same parameters has the transcript that there is, unless another
/// is wanted. Answers as soon as AssemblyAI has taken the order.
///
/// # Errors
/// [`Kind::Ambiguous`] if nobody knows whether AssemblyAI accepted it; it is looked for. Whatever may pass is tried again
/// without being asked.
pub async fn transcribe(context: &Shared, request: Request) -> Result<Reply, Error> {
    let Request { source, keyterms, parameters, again } = request;
    let parameters = request::parameters(context, parameters, &keyterms);
    request::check_keyterms(context, &parameters, &request::keyterms_of(&parameters))?;
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let (recording, audio, checksum) = match source {
        Source::Url(url) => (None, url, None),
        Source::Recording(audio) => (Some(audio.sid), audio.form.to_string(), None),
        Source::Call(call) => {
            let audio = only_recording(context, &call).await?;
            (Some(audio.sid), audio.form.to_string(), None)
        }
        Source::File(file) => (None, file.url, Some(file.checksum)),
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
    let wanted = TranscriptRequest { recording, audio, checksum, parameters };
    let shared = Arc::clone(context);
    run_to_end(context, async move { ordered(&shared, &wanted, again).await }).await
}

/// The order of this request: begun here, or seen to its answer.
async fn ordered(context: &Shared, wanted: &TranscriptRequest, again: bool) -> Result<Reply, Error> {
    let new = &wanted.new_transcript(context.clock.now_ms());
    let mut listener = context.events.listen();
    let (id, job) = match begin(context, new, again).await {
        // Somebody else asked for the same by a moment sooner.
        Err(store::Error::Taken) => begin(context, new, false).await?,
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
        if let Some(reply) = transcript.json.and_then(Reply::read) {
            return Ok(reply);
        }
        if let Some(error) = failed.take() {
            return Err(error);
        }
        if transcript.state == TranscriptState::Failed {
            return Err(Error::TranscriptFailed(transcript.reason.unwrap_or_default()));
        }
        tokio::select! {
            () = listener.changed(id.as_str()) => {}
            () = tokio::time::sleep(LOOK_INTO_STORE) => {}
            () = tokio::time::sleep_until(until) => return Err(Error::Pending("the transcript is being made; ask again")),
            () = context.stopping.cancelled() => return Err(Error::Stopping),
        }
    }
}

/// Finds the transcript of the same request, or adds this one. The job is claimed if nobody has it, so that whoever asks
/// does not wait for a worker, and is told what goes wrong.
async fn begin(context: &Shared, new: &NewTranscript, again: bool) -> Result<(OrderId, Option<Job>), store::Error> {
    context
        .store
        .write(Step::RequestTranscript, new.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            let kind = JobKind::Transcript;
            let known = tx.transcript_by_request(&new.request_key).await?;
            let known = match known {
                // Added by this very request, in a try whose end was not seen.
                Some(known) if known.id == new.id => None,
                Some(known) if !again && known.state != TranscriptState::Failed => Some(known),
                // It failed although AssemblyAI has taken the order, or may have: that is gone on with.
                Some(known) if !again && known.asked_at.is_some() && !request::is_void(&known) => {
                    tx.begin_attempt(&known, false, "asked for again", now).await?;
                    tx.open_job(kind, known.id.as_str(), now, now).await?;
                    // As the round left it.
                    Some(Transcript { json: None, ..known })
                }
                other => {
                    // That one alone: what another request has added since is not to be ordered once more.
                    if let Some(other) = other {
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

/// The audio of a call that has one finished recording.
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

/// How a transcript stands, or, within `wait`, how it ended. One that has ended is answered from the store; one that is
/// not of this store is asked for at AssemblyAI each time.
///
/// # Errors
/// As AssemblyAI refuses, or fails to answer.
pub async fn transcript(context: &Shared, id: &TranscriptId, wait: Duration) -> Result<Reply, Error> {
    let mut listener = context.events.listen();
    let mut reply = seen(context, id).await?;
    let known = context.store.read().await?.transcript_by_transcript_id(id).await?;
    let subject = known.map_or_else(|| id.to_string(), |transcript| transcript.id.to_string());
    let waiting = async {
        while !reply.transcript.is_final() {
            tokio::select! {
                () = listener.changed(&subject) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            reply = seen(context, id).await?;
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

/// A transcript as it stands.
async fn seen(context: &Shared, id: &TranscriptId) -> Result<Reply, Error> {
    let mut conn = context.store.read().await?;
    let known = conn.transcript_by_transcript_id(id).await?;
    if let Some(call) = known.as_ref().and_then(|known| known.call.as_ref())
        && conn.is_deletion_wanted(call).await?
    {
        return Err(Error::Deleted);
    }
    drop(conn);
    let Some(known) = known else { return Ok(context.assemblyai.transcript(id.as_str()).await?) };
    if known.state.is_final()
        && let Some(reply) = known.json.clone().and_then(Reply::read)
        && reply.transcript.is_final()
    {
        return Ok(reply);
    }
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move { settle::poll(&shared, &known, &id).await.map_err(|failed| failed.error) }).await
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
