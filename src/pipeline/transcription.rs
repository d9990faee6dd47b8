//! Transcripts that clients wait for: the answer to a request, and the state of one. `pipeline::submit` makes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ordering::{Again, Claims, Request, begin, prepare};
use super::request::TranscriptRequest;
use super::task::run_to_end;
use super::uploads::Upload;
use super::{Error, lookup, runner, settle};
use crate::clients::Kind;
use crate::clients::assemblyai::Reply;
use crate::clients::json::Json;
use crate::clients::twilio::{self, Location, MediaFormat, MediaRequest, Playable};
use crate::context::Shared;
use crate::model::recording::{Recording, RecordingSid};
use crate::model::transcript::{TranscriptId, TranscriptState};
use crate::store;

/// The interval at which AssemblyAI is polled while a client waits, in case the webhook is lost.
const POLL_AGAIN: Duration = Duration::from_secs(3);

/// The interval at which a waiting client reads the store if no event comes.
const READ_AGAIN: Duration = Duration::from_millis(250);

/// Requests a transcript. The same audio with the same parameters returns the existing transcript, unless `again` is set.
/// Returns as soon as AssemblyAI has accepted the order.
///
/// [`Kind::Ambiguous`] means that it is unknown whether AssemblyAI accepted the order; the job searches for it. Temporary
/// errors are retried automatically.
pub async fn transcribe(context: &Shared, request: Request) -> Result<Reply, Error> {
    let (request, upload, again) = prepare(context, request).await?;
    let shared = Arc::clone(context);
    run_to_end(context, async move { submitted(&shared, &request, upload.as_ref(), &again).await }).await
}

/// Runs the job of this request, or waits for the instance that runs it.
async fn submitted(
    context: &Shared,
    request: &TranscriptRequest,
    upload: Option<&Upload>,
    again: &Again,
) -> Result<Reply, Error> {
    let (new, keys) = (&request.new_transcript(context.clock.now_ms()), &request.keys());
    let mut listener = context.events.listen();
    let (id, job) = begin(context, new, keys, upload, again, Claims::Here).await?;
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
    if known.as_ref().is_some_and(Recording::is_upload) {
        return Err(Error::NotKept);
    }
    if let Some(archive) = &context.archive
        && wanted.format == MediaFormat::Wav
        && let Some(copy) = context.store.read().await?.archived(sid, archive.name()).await?
        && copy.kept.is_some()
    {
        match archive.play(&copy.key, wanted.range.as_deref()).await {
            // Twilio may have it all the same.
            Err(error) if !matches!(error.kind, Kind::BeyondEnd { .. }) => {
                tracing::warn!(recording = %sid, "playing it from Twilio, because the archive failed");
            }
            played => return Ok(played?),
        }
    }
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
