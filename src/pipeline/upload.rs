//! Uploading audio: it streams from Twilio into AssemblyAI's upload, never whole in memory and never on disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::job::{JobError, Next, jittered, ms};
use super::request::{self, AudioForm};
use super::{Error, ingest, lookup};
use crate::clients::twilio::{self, Channels, Location, Media, MediaFormat, MediaRequest};
use crate::clients::{self, Kind, Service};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Aborted, Moment};
use crate::model::call::{CallName, CallSid};
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Transcript};
use crate::store::Job;

/// The longest pause between two requests for audio that Twilio does not have ready. The pauses are 1, 2, 4, … seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The job gives up on audio that Twilio does not have ready this long after the transcript was requested.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long a job waits for a transfer permit before it makes room for other jobs, and the pause before it tries again.
pub(super) const TURN: Duration = Duration::from_secs(3);

/// How many times an upload is tried before the job pauses. It costs nothing, and an upload that no order names is never
/// used.
const TRIES: u32 = 6;

/// Audio as it arrives from Twilio.
type Chunks = BoxStream<'static, Result<Bytes, clients::Error>>;

/// Makes the audio available to AssemblyAI. Returns the transcript with its URL there, which is stored with the intent to
/// submit the order: an upload that no order names costs nothing.
pub(super) async fn run(context: &Shared, job: &Job, transcript: Transcript) -> Result<Transcript, JobError> {
    let (audio_url, channels_differ) = match (&transcript.recording, request::form(&transcript)) {
        (Some(recording), Some(form)) => stream_audio(context, job, &transcript.id, recording, form).await?,
        // AssemblyAI fetches any other URL itself; callscribe never does.
        _ => (transcript.audio.clone(), transcript.channels_differ),
    };
    failpoint::reach(Moment::UploadAnswered, &job.subject)?;
    tracing::info!(recording = transcript.recording.as_ref().map(RecordingSid::as_str), "uploaded");
    Ok(Transcript { audio_url: Some(audio_url), channels_differ, ..transcript })
}

/// Where the audio of a recording is.
pub(super) enum Source {
    AtTwilio {
        wanted: MediaRequest,
        /// Whether Twilio may mix its channels, if it has only one.
        may_mix: bool,
        /// Whether Twilio says that the recording is finished.
        is_listed: bool,
    },
    /// In storage of the account, at this URL.
    Elsewhere { url: String, has_two_channels: bool },
}

/// Finds out where the audio of a recording is. Stores a recording that no callback has reported.
pub(super) async fn source(
    context: &Shared,
    job: &Job,
    sid: &RecordingSid,
    AudioForm { format, channels }: AudioForm,
) -> Result<Source, JobError> {
    let mut wanted = MediaRequest { format, channels, ..MediaRequest::default() };
    let mut is_listed = false;
    match lookup::recording(context, sid).await {
        Ok(details) => {
            // A recording with two channels has one side of the call on each; by default Twilio mixes them. In an MP3 file
            // they cannot be compared.
            let has_two = details.channels == Some(2);
            if has_two && channels != Some(1) {
                wanted.format = MediaFormat::Wav;
            }
            wanted.channels = channels.or(details.channels.filter(|channels| *channels > 1));
            wanted.seconds = details.seconds();
            store_if_unknown(context, sid, &details).await?;
            if !details.is_complete() {
                let (recording, later) =
                    (lookup::lack(&details.sid, &details.status, details.error_code), details.is_coming());
                let error = Error::NotRecorded { recording, later };
                return Err(if later { not_ready(context, job, error) } else { JobError::fail(error) });
            }
            wanted.decryption = lookup::decryption(context, &details).map_err(JobError::fail)?;
            match context.twilio.location(&details) {
                Location::Usual => {}
                Location::OwnUrl(url) => wanted.own_url = Some(url),
                Location::External(url) => return Ok(Source::Elsewhere { url, has_two_channels: has_two }),
            }
            is_listed = true;
        }
        // The request for the audio itself decides.
        Err(clients::Error { kind: Kind::NotFound(_) | Kind::Rejected(_), .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Source::AtTwilio { wanted, may_mix: channels.is_none(), is_listed })
}

/// Streams a recording's audio into AssemblyAI's upload. Returns its URL there, and whether its two channels differ.
async fn stream_audio(
    context: &Shared,
    job: &Job,
    order: &OrderId,
    sid: &RecordingSid,
    form: AudioForm,
) -> Result<(String, Option<bool>), JobError> {
    let (wanted, may_mix, is_listed) = match source(context, job, sid, form).await? {
        Source::AtTwilio { wanted, may_mix, is_listed } => (wanted, may_mix, is_listed),
        Source::Elsewhere { url, has_two_channels } => {
            tracing::info!(recording = %sid, "the audio is in storage of the account; AssemblyAI fetches it there");
            // Nobody here hears it. That two channels differ is what they are for.
            return Ok((url, has_two_channels.then_some(true)));
        }
    };

    let transferred = async {
        let is_imported = context.store.read().await?.is_of_import(order).await?;
        let permits = async {
            let of_import = if is_imported { Some(context.imported_transfers.acquire().await) } else { None };
            (of_import, context.transfers.acquire().await)
        };
        let Ok(_permits) = tokio::time::timeout(TURN, permits).await else {
            let error = Error::Pending("callscribe is uploading other recordings to AssemblyAI first");
            return Err(JobError { error, next: Next::Wait(TURN) });
        };
        let mut tries = 1;
        loop {
            let media = open(context, job, sid, &wanted, may_mix, is_listed).await?;
            failpoint::reach(Moment::DownloadStarts, &job.subject)?;
            let compared = Arc::new(Mutex::new(Channels::default()));
            let comparing = Arc::clone(&compared);
            let compared = || compared.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = media.bytes.inspect_ok(move |chunk| {
                comparing.lock().unwrap_or_else(PoisonError::into_inner).read(chunk);
            });
            let chunks = with_failpoints(bytes.boxed(), media.length, job.subject.clone());
            match context.assemblyai.upload::<_, JobError>(chunks, media.length).await {
                Ok(url) => return Ok((url, compared().differ())),
                Err(JobError { error: Error::Vendor(error), .. }) if tries < TRIES && is_passing(&error) => {
                    tries += 1;
                    tracing::debug!("uploading again: {error}");
                }
                Err(error) => return Err(error),
            }
        }
    };
    tokio::select! {
        uploaded = transferred => uploaded,
        // The upload starts over after the next start.
        () = context.stopping.cancelled() => Err(JobError { error: Error::Stopping, next: Next::Release }),
    }
}

/// Opens a recording's audio at Twilio.
pub(super) async fn open(
    context: &Shared,
    job: &Job,
    sid: &RecordingSid,
    wanted: &MediaRequest,
    may_mix: bool,
    is_listed: bool,
) -> Result<Media, JobError> {
    let opened = match context.twilio.media(sid.as_str(), wanted).await {
        // The recording has only one channel.
        Err(clients::Error { kind: Kind::Rejected(_), .. }) if may_mix && wanted.channels.is_some() => {
            let wanted = MediaRequest { channels: None, ..wanted.clone() };
            context.twilio.media(sid.as_str(), &wanted).await
        }
        media => media,
    };
    opened.map_err(|error| match error.kind {
        Kind::NotFound(_) if is_listed => {
            let recording = format!("recording {sid} is completed, but Twilio does not have its audio ready");
            not_ready(context, job, Error::NotRecorded { recording, later: true })
        }
        Kind::NotFound(_) => not_ready(context, job, error.into()),
        _ => error.into(),
    })
}

/// Whether a vendor or a connection failed in passing, while audio was transferred. A vendor that asks for a pause gets it.
fn is_passing(error: &clients::Error) -> bool {
    match &error.kind {
        Kind::Broken(_) => true,
        // Damaged audio stays damaged.
        Kind::BadBody { .. } => error.service == Service::AssemblyAi,
        Kind::Unavailable { retry_after, .. } => retry_after.is_none_or(|pause| pause.is_zero()),
        Kind::RateLimited { retry_after, .. } => retry_after.is_some_and(|pause| pause.is_zero()),
        _ => false,
    }
}

/// The chunks of audio, passing the failpoints of a transfer.
fn with_failpoints(
    chunks: Chunks,
    length: Option<u64>,
    subject: String,
) -> impl Stream<Item = Result<Bytes, JobError>> + Send + 'static {
    let mut received = 0;
    let mut pass = move |chunk: &Bytes| {
        if received == 0 {
            failpoint::reach(Moment::UploadStarts, &subject)?;
        }
        received += chunk.len() as u64;
        // AssemblyAI, which knows the length, reads no further than that.
        if Some(received) == length {
            failpoint::reach(Moment::DownloadEnds, &subject)?;
            failpoint::reach(Moment::UploadEnds, &subject)?;
        }
        Ok::<(), Aborted>(())
    };
    chunks.err_into().and_then(move |chunk| ready(pass(&chunk).map(|()| chunk).map_err(JobError::from)))
}

/// What follows when Twilio does not have the audio ready: a later try, or failure after [`READY_WITHIN`].
fn not_ready(context: &Context, job: &Job, error: Error) -> JobError {
    if context.clock.now_ms() - job.created_at > ms(READY_WITHIN) {
        return JobError::fail(error);
    }
    let doubled = Duration::from_secs(1 << job.polls.clamp(0, 6));
    JobError::poll_again(error, jittered(doubled.min(LONGEST_PAUSE)))
}

/// Stores a recording that no callback has reported.
async fn store_if_unknown(context: &Shared, sid: &RecordingSid, details: &twilio::Recording) -> Result<(), JobError> {
    let call = details.call_sid.as_deref().and_then(|call| call.parse::<CallSid>().ok());
    let Some(call) = call else { return Ok(()) };
    let mut conn = context.store.read().await?;
    if conn.recording(sid).await?.is_some() {
        return Ok(());
    }
    let is_known = conn.call(&CallName::Sid(call.clone())).await?.is_some();
    drop(conn);
    let found = if is_known { None } else { lookup::call_if_kept(context, &call).await? };
    ingest::unknown_recording(context, &call, found.as_ref(), details).await?;
    Ok(())
}
