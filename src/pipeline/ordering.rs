//! Orders: finds out which audio a request means and whether it has a transcript, and stores an order if it has none.
//! `pipeline::submit` makes the transcript.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use super::asked::Asked;
use super::request::{self, AudioForm, TranscriptRequest};
use super::task::run_to_end;
use super::uploads::Upload;
use super::{Error, job, lookup};
use crate::clients::twilio::{Channels, MediaFormat};
use crate::clients::{self, Kind, Service};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{CallId, CallSid};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::name::Name;
use crate::model::recording::{Recording, RecordingSid};
use crate::model::transcript::{OrderId, Transcript, TranscriptState};
use crate::store::{self, Done, Job, NewTranscript};

/// Why audio is not transcribed again whose upload goes.
const IN_DELETION: Error = Error::Pending("the same audio is being deleted; send it again after that");

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A URL that AssemblyAI fetches itself. callscribe never does.
    Url(String),
    /// A recording at Twilio, which requires our credentials, or that of an upload.
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
    name: Option<Name>,
}

impl Uploaded {
    /// The same with the name that the client gave the file.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        // Old browsers send a path.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        // Browsers write a quote so.
        Self { name: Name::beginning(&name.replace("%22", "\"")), ..self }
    }
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
    /// What the upload is called, if it is one, and what it is filed under.
    pub title: Option<Name>,
    pub tag: Option<Name>,
    pub asked: Asked,
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
    Ok(Uploaded { url, checksum, channels_differ, name: None })
}

/// Checks a request and finds what names its audio.
pub(super) async fn prepare(
    context: &Shared,
    request: Request,
) -> Result<(TranscriptRequest, Option<Upload>, Again), Error> {
    let Request { source, keyterms, parameters, again, title, tag, asked } = request;
    let has_default_models = request::has_default_models(context, &parameters);
    let parameters = request::parameters(context, parameters, &keyterms);
    request::check_keyterms(context, &parameters, &request::keyterms_of(&parameters))?;
    if context.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    let tag = match tag {
        Some(tag) => Some(context.store.read().await?.known_tag(&tag).await?),
        None => None,
    };
    let mut upload = None;
    let (recording, audio, checksum, channels_differ) = match source {
        Source::Url(url) => {
            upload = Some(Upload::of_url(&url, title, tag));
            (None, url, None, None)
        }
        Source::Recording(audio) => heard_before(context, audio).await?,
        Source::Call(call) => {
            let audio = only_recording(context, &call).await?;
            (Some(audio.sid), audio.form.to_string(), None, None)
        }
        Source::File(file) => {
            let channels = file.channels_differ.map(|_| 2);
            upload = Some(Upload::of_file(&file.checksum, file.name, title, tag, channels));
            (None, file.url, Some(file.checksum), file.channels_differ)
        }
    };
    let mut conn = context.store.read().await?;
    let known = match (&recording, &upload) {
        (Some(recording), _) => conn.recording(recording).await?,
        (None, Some(Upload { audio: Some(audio), .. })) => conn.uploaded(audio).await?,
        (None, _) => None,
    };
    if let Some(known) = known
        && conn.is_deletion_wanted(&known.call).await?
    {
        return Err(if upload.is_some() { IN_DELETION } else { Error::Deleted });
    }
    drop(conn);
    let request = TranscriptRequest { recording, audio, checksum, parameters, channels_differ, has_default_models };
    Ok((request, upload, Again { is_wanted: again, asked }))
}

/// Whether another transcript of the same is wanted, and who asks for it.
#[derive(Debug, Clone)]
pub(super) struct Again {
    is_wanted: bool,
    asked: Asked,
}

/// An order that is stored.
#[derive(Debug)]
pub struct Ordered {
    /// The call or upload.
    pub call: CallId,
    /// In milliseconds since 1970. An order that was there before is older than its request.
    pub created_at: i64,
}

/// Stores the order of a transcript, unless there is one. A worker continues with it. With the same id a second time, the order
/// is the one that the first time has stored, also if another transcript is wanted again.
pub(super) async fn order(context: &Shared, request: Request, id: OrderId) -> Result<Ordered, Error> {
    let (request, upload, again) = prepare(context, request).await?;
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let context = &shared;
        let new = NewTranscript { id, ..request.new_transcript(context.clock.now_ms()) };
        let (id, _) = begin(context, &new, &request.keys(), upload.as_ref(), &again, Claims::Nothing).await?;
        context.job_ready.notify_one();
        let order = context.store.read().await?.transcript_by_id(&id).await?;
        let order = order.ok_or(store::Error::Unreadable("transcripts.id"))?;
        let call = order.call.ok_or(store::Error::Unreadable("transcripts.call_id"))?;
        context.events.changed(id.as_str());
        Ok(Ordered { call, created_at: order.created_at })
    })
    .await
}

/// Whether a request claims the job of its order, to run it while its client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claims {
    Here,
    Nothing,
}

/// Finds the transcript of the same request or inserts this one, with its job. Returns the job if it is claimed.
pub(super) async fn begin(
    context: &Shared,
    new: &NewTranscript,
    keys: &[String],
    upload: Option<&Upload>,
    again: &Again,
    claims: Claims,
) -> Result<(OrderId, Option<Job>), Error> {
    let begun = match find_or_insert(context, new, keys, upload, again, claims).await {
        // Another request for the same was faster.
        Err(store::Error::Taken) => {
            let again = Again { is_wanted: false, ..again.clone() };
            find_or_insert(context, new, keys, upload, &again, claims).await?
        }
        begun => begun?,
    };
    match begun {
        Begun::Order(id, job) => Ok((id, job)),
        Begun::InDeletion => Err(IN_DELETION),
        Begun::Deleted => Err(Error::Deleted),
        Begun::OtherRequest => Err(Error::OtherRequest),
    }
}

enum Begun {
    /// The order, and its job if it is claimed.
    Order(OrderId, Option<Job>),
    /// The same upload is being deleted.
    InDeletion,
    /// What the key was sent for is deleted.
    Deleted,
    /// The key was sent before, for another transcript.
    OtherRequest,
}

/// Finds the transcript of the same request, which has one of these keys, or inserts this one. Claims its job if no instance
/// has it and a client waits, so that it does not wait for a worker and receives any error.
async fn find_or_insert(
    context: &Shared,
    new: &NewTranscript,
    keys: &[String],
    upload: Option<&Upload>,
    again: &Again,
    claims: Claims,
) -> Result<Begun, store::Error> {
    context
        .store
        .write(Commit::RequestTranscript, new.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            let kind = JobKind::Transcript;
            tx.act_for(&again.asked.by);
            let done = tx.done_for_key(again.asked.key.as_deref(), now).await?;
            if done.as_ref().is_some_and(|done| !keys.contains(&done.request)) {
                return Ok((tx, Begun::OtherRequest));
            }
            // The second time, another one is no longer wanted.
            let is_again = again.is_wanted && done.is_none();
            let mut all = Vec::new();
            for key in keys {
                all.extend(tx.transcript_by_request(key).await?);
            }
            // A good one rather than a failed one.
            all.sort_by_key(|known| known.state == TranscriptState::Failed);
            if let Some(done) = &done
                && let Some(ordered) = tx.transcript_by_id(&OrderId::from(done.subject.clone())).await?
            {
                if let Some(call) = &ordered.call
                    && tx.is_deletion_wanted(call).await?
                {
                    return Ok((tx, Begun::Deleted));
                }
                // Also if there is a newer one of the same.
                all.retain(|known| known.id != ordered.id);
                all.insert(0, ordered);
            }
            let known = match all.first().cloned() {
                // Inserted by this request, in a commit whose outcome was unknown.
                Some(known) if known.id == new.id => None,
                Some(known) if !is_again && known.state != TranscriptState::Failed => Some(known),
                // It failed, but AssemblyAI has accepted the order, or may have: resume it.
                Some(known) if !is_again && known.asked_at.is_some() && !request::is_void(&known) => {
                    tx.begin_attempt(&known, false, "requested again", now).await?;
                    tx.open_job(kind, known.id.as_str(), now, now).await?;
                    // begin_attempt has cleared it.
                    Some(Transcript { json: None, ..known })
                }
                _ => {
                    // That of the orders that it takes the place of, where an earlier version has not stored the audio.
                    let earlier = all.iter().find_map(|other| other.recording.clone().zip(other.call.clone()));
                    let recording = match (upload, earlier) {
                        (None, _) => new.recording.clone(),
                        (Some(_), Some((recording, call))) => tx.lock_call(&call, now).await?.then_some(recording),
                        (Some(upload), None) => upload.find_or_insert(&mut tx, now).await?,
                    };
                    if upload.is_some() && recording.is_none() {
                        return Ok((tx, Begun::InDeletion));
                    }
                    // Only these: another request may have inserted a newer one since.
                    for other in &all {
                        tx.supersede_transcript(&other.id).await?;
                    }
                    if !tx.add_transcript(&NewTranscript { recording, ..new.clone() }).await? {
                        return Err(store::Error::Taken);
                    }
                    if let Some(key) = &again.asked.key {
                        if done.is_some() {
                            tx.forget_key(key).await?;
                        }
                        let request = keys.first().cloned().unwrap_or_default();
                        if !tx.keep_key(key, &Done { subject: new.id.to_string(), request }, now).await? {
                            return Err(store::Error::Taken);
                        }
                    }
                    None
                }
            };
            if let (Some(upload), Some(Transcript { call: Some(call), .. })) = (upload, &known) {
                upload.fill_in(&mut tx, call, now).await?;
            }
            let (id, job) = match known {
                None if claims == Claims::Nothing => {
                    tx.open_job(kind, new.id.as_str(), now, now).await?;
                    (new.id.clone(), None)
                }
                None => (
                    new.id.clone(),
                    Some(tx.insert_claimed_job(kind, new.id.as_str(), job::lease(context), now, now).await?),
                ),
                Some(known) if known.json.is_some() => (known.id, None),
                Some(known) => {
                    tx.open_job(kind, known.id.as_str(), now, now).await?;
                    let job = match claims {
                        Claims::Here => tx.claim_job(kind, known.id.as_str(), job::lease(context), now).await?,
                        Claims::Nothing => None,
                    };
                    (known.id, job)
                }
            };
            Ok((tx, Begun::Order(id, job)))
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

/// What names the audio of a recording: itself, its form or URL, the checksum of its file, and whether its channels differ.
type Heard = (Option<RecordingSid>, String, Option<String>, Option<bool>);

/// Returns what names the audio of a recording. That of an upload is where AssemblyAI had it for its newest transcript.
async fn heard_before(context: &Shared, audio: Audio) -> Result<Heard, Error> {
    let Audio { sid, form } = audio;
    let mut conn = context.store.read().await?;
    let uploaded = conn.recording(&sid).await?.filter(Recording::is_upload);
    let Some(recording) = uploaded else { return Ok((Some(sid), form.to_string(), None, None)) };
    let newest = conn.orders_of(&recording.call).await?.pop().ok_or(store::Error::Unreadable("recordings.sid"))?;
    let checksum = recording.checksum().map(str::to_owned);
    Ok((Some(sid), newest.audio, checksum, newest.channels_differ))
}

fn unreadable(path: &str) -> Error {
    clients::Error { service: Service::Twilio, kind: Kind::BadBody { path: path.to_owned() } }.into()
}
