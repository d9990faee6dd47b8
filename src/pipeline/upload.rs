//! Uploading audio: it streams from Twilio into AssemblyAI's upload, never whole in memory and never on disk.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};

use super::job::{JobError, Next, jittered, ms};
use super::request::AudioForm;
use super::{Error, intake, lookup};
use crate::clients::twilio::{self, MediaFormat, MediaRequest};
use crate::clients::{self, Kind};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Moment, Step};
use crate::model::call::CallSid;
use crate::model::recording::RecordingSid;
use crate::model::transcript::Transcript;
use crate::store::Job;

/// Audio that Twilio does not have ready is asked for again after 1, 2, 4, … seconds, at most this long apart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// And no longer than this.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);

/// A job waits this long for its turn to bring audio, and then this long for the next try.
const TURN: Duration = Duration::from_secs(3);

/// Audio as it arrives from Twilio.
type Chunks = BoxStream<'static, Result<Bytes, clients::Error>>;

/// Makes the audio available to AssemblyAI.
pub(super) async fn run(context: &Shared, job: &Job, transcript: &Transcript) -> Result<(), JobError> {
    let audio_url = match &transcript.recording {
        // AssemblyAI fetches it itself; this program never does.
        None => transcript.audio.clone(),
        Some(recording) => stream_audio(context, job, recording, &transcript.audio).await?,
    };
    failpoint::reach(Moment::UploadAnswered, &job.subject)?;
    let audio_url = audio_url.as_str();
    context
        .store
        .write(Step::StoreUpload, &job.subject, |mut tx| async move {
            tx.mark_uploaded(transcript, audio_url, context.clock.now_ms()).await?;
            Ok((tx, ()))
        })
        .await?;
    tracing::info!(recording = transcript.recording.as_ref().map(RecordingSid::as_str), "uploaded");
    context.events.changed(transcript.id.as_str());
    Ok(())
}

/// Streams a recording's audio into AssemblyAI's upload. Gives its URL there.
async fn stream_audio(context: &Shared, job: &Job, sid: &RecordingSid, audio: &str) -> Result<String, JobError> {
    let AudioForm { format, channels } =
        audio.parse().unwrap_or(AudioForm { format: MediaFormat::Wav, channels: None });
    let mut wanted = MediaRequest { format, channels, ..MediaRequest::default() };
    match context.twilio.recording(sid.as_str()).await {
        Ok(details) => {
            // As recorded: a stereo recording has a side of the call on each channel.
            wanted.channels = channels.or(details.channels.filter(|channels| *channels > 1));
            wanted.seconds = details.seconds();
            note(context, sid, &details).await?;
            let recorded = lookup::recorded(context, details);
            if !recorded.is_complete() {
                let error = Error::NotRecorded { recording: recorded.lack(), later: recorded.is_coming() };
                return Err(match recorded.is_coming() {
                    true => not_ready(context, job, error),
                    false => JobError::fail(error),
                });
            }
            if recorded.is_elsewhere {
                return Ok(recorded.url);
            }
        }
        // The audio itself is the better witness of whether it is there.
        Err(clients::Error { kind: Kind::NotFound(_) | Kind::Rejected(_), .. }) => {}
        Err(error) => return Err(error.into()),
    }

    let transfer = async {
        // Whoever waits long makes room for jobs that need no turn.
        let Ok(_turn) = tokio::time::timeout(TURN, context.transfers.acquire()).await else {
            let error = Error::UnderWay("other recordings are being brought to AssemblyAI first");
            return Err(JobError { error, next: Next::Wait(TURN) });
        };
        let media = match context.twilio.media(sid.as_str(), &wanted).await {
            // A recording that was made on one channel after all.
            Err(clients::Error { kind: Kind::Rejected(_), .. }) if channels.is_none() && wanted.channels.is_some() => {
                let wanted = MediaRequest { channels: None, ..wanted };
                context.twilio.media(sid.as_str(), &wanted).await
            }
            media => media,
        };
        let media = media.map_err(|error| match error.kind {
            Kind::NotFound(_) => not_ready(context, job, error.into()),
            _ => error.into(),
        })?;
        failpoint::reach(Moment::DownloadStarts, &job.subject)?;
        let subject = job.subject.clone();
        let chunks = with_failpoints(media.bytes, media.length, subject);
        context.assemblyai.upload::<_, JobError>(chunks, media.length).await
    };
    tokio::select! {
        uploaded = transfer => uploaded,
        // Nothing is lost but what was sent so far.
        () = context.stopping.cancelled() => Err(JobError { error: Error::Stopping, next: Next::Release }),
    }
}

/// The chunks of audio, passing the failpoints of a transfer.
fn with_failpoints(
    chunks: Chunks,
    length: Option<u64>,
    subject: String,
) -> impl Stream<Item = Result<Bytes, JobError>> + Send + 'static {
    let mut received = 0;
    chunks.map(move |chunk| {
        let chunk = chunk?;
        if received == 0 {
            failpoint::reach(Moment::UploadStarts, &subject)?;
        }
        received += chunk.len() as u64;
        // AssemblyAI, which knows the length, reads no further than that.
        if Some(received) == length {
            failpoint::reach(Moment::DownloadEnds, &subject)?;
            failpoint::reach(Moment::UploadEnds, &subject)?;
        }
        Ok(chunk)
    })
}

/// Audio that may come: it is asked for again, ever later, for a while.
fn not_ready(context: &Context, job: &Job, error: Error) -> JobError {
    if context.clock.now_ms() - job.created_at > ms(READY_WITHIN) {
        return JobError::fail(error);
    }
    let doubled = Duration::from_secs(1 << job.polls.clamp(0, 6));
    JobError::poll_again(error, jittered(doubled.min(LONGEST_PAUSE)))
}

/// Notes a recording that the store has not heard of.
async fn note(context: &Shared, sid: &RecordingSid, details: &twilio::Recording) -> Result<(), JobError> {
    let call = details.call_sid.as_deref().and_then(|call| call.parse::<CallSid>().ok());
    let Some(call) = call else { return Ok(()) };
    if context.store.read().await?.recording(sid).await?.is_some() {
        return Ok(());
    }
    intake::put_unheard_of(context, &call, details).await?;
    Ok(())
}
