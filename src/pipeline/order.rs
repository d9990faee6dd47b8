//! Making a transcript: the audio streams from Twilio into AssemblyAI's upload, then the transcript is ordered, once, and
//! fetched when it is finished. Each step is committed before the next one begins; an order whose answer did not come is
//! looked for in AssemblyAI's list by the address of its audio, which nothing else has.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::worker::{self, Unfinished};
use super::{Error, call, ms, progress};
use crate::clients::assemblyai::callbacks::SECRET_HEADER;
use crate::clients::assemblyai::{self, Reply, TranscriptStatus};
use crate::clients::twilio::{self, MediaFormat, MediaRequest};
use crate::clients::{self, Kind};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Moment, Step};
use crate::model::call::{CallName, CallSid};
use crate::model::keyterms::Keyterms;
use crate::model::new_id;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{Transcript, TranscriptId, TranscriptState};
use crate::store::{self, Conn, Job, JobKind, NewTranscript, SpokenWord};

/// Audio that Twilio does not have ready is asked for again after 1, 2, 4, … seconds, at most this long apart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// And no longer than this.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);

/// An order whose answer did not come is looked for at these times after it was sent; then it was not carried out.
const SEARCHES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// So often it was looked for in vain before it is ordered again.
const MISSES: i64 = 2;

/// AssemblyAI's clock may be behind ours by this much. Generous: the address of the audio tells orders apart.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// A job waits this long for its turn to bring audio, and then this long for the next try.
const TURN: Duration = Duration::from_secs(3);

/// A transcript is given up on this long after it was wanted.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

/// Audio that AssemblyAI could not find is brought again so often: uploads vanish after a day or two.
const ROUNDS: i64 = 2;

/// Audio as it arrives from Twilio.
type Chunks = BoxStream<'static, Result<Bytes, clients::Error>>;

/// What a transcript is wanted of, and how.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
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

impl Wanted {
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
            id: new_id(now),
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
pub(super) async fn want(tx: &mut Conn, wanted: &Wanted, now: i64) -> Result<(), store::Error> {
    let new = wanted.new_transcript(now);
    if tx.add_transcript(&new).await? {
        tx.open_job(JobKind::Transcript, &new.id, now, now).await?;
    }
    Ok(())
}

/// A transcript that was ordered from here, as its webhook's secret proves, and that the store knows nothing of.
pub(super) async fn take_in(tx: &mut Conn, order: &str, id: &TranscriptId, now: i64) -> Result<(), store::Error> {
    if tx.transcript_named(id).await?.is_some() {
        return Ok(());
    }
    let new = NewTranscript {
        id: order.to_owned(),
        recording: None,
        audio: String::new(),
        parameters: "{}".to_owned(),
        request_key: order.to_owned(),
        created_at: now,
    };
    tx.add_transcript(&new).await?;
    if let Some(transcript) = tx.transcript(order).await? {
        tx.ordered(&transcript, id.as_str(), None, now).await?;
    }
    tx.open_job(JobKind::Transcript, order, now, now).await
}

/// Runs the job of a transcript, as far as it comes without waiting.
pub(super) async fn order(context: &Shared, job: &Job) -> Result<(), Unfinished> {
    let mut is_named = false;
    loop {
        let transcript = context.store.read().await?.transcript(&job.subject).await?;
        let Some(transcript) = transcript.filter(|transcript| !transcript.state.is_final()) else {
            return worker::close(context, job).await;
        };
        if let Some(call) = transcript.call.as_ref().filter(|_| !std::mem::replace(&mut is_named, true)) {
            tracing::Span::current().record("call", call.as_str());
        }
        match (&transcript.transcript_id, &transcript.audio_url, transcript.asked_at) {
            (Some(id), ..) => return look_for_job(context, job, &transcript, id).await,
            (None, None, _) => bring(context, job, &transcript).await?,
            (None, Some(audio_url), None) => {
                if ask(context, job, &transcript, audio_url).await? {
                    return Ok(());
                }
            }
            (None, Some(audio_url), Some(asked_at)) => search(context, job, &transcript, audio_url, asked_at).await?,
        }
    }
}

/// Makes the audio available to AssemblyAI.
async fn bring(context: &Shared, job: &Job, transcript: &Transcript) -> Result<(), Unfinished> {
    let audio_url = match &transcript.recording {
        // AssemblyAI fetches it itself; this program never does.
        None => transcript.audio.clone(),
        Some(recording) => upload(context, job, recording, &transcript.audio).await?,
    };
    failpoint::reach(Moment::UploadAnswered, &job.subject)?;
    let audio_url = audio_url.as_str();
    context
        .store
        .write(Step::StoreUpload, &job.subject, |mut tx| async move {
            tx.uploaded(transcript, audio_url, context.clock.now_ms()).await?;
            Ok((tx, ()))
        })
        .await?;
    tracing::info!(recording = transcript.recording.as_ref().map(RecordingSid::as_str), "uploaded");
    context.events.changed(&transcript.id);
    Ok(())
}

/// Streams a recording's audio into AssemblyAI's upload. Gives its URL there.
async fn upload(context: &Shared, job: &Job, sid: &RecordingSid, audio: &str) -> Result<String, Unfinished> {
    let AudioForm { format, channels } =
        audio.parse().unwrap_or(AudioForm { format: MediaFormat::Wav, channels: None });
    let mut wanted = MediaRequest { format, channels, ..MediaRequest::default() };
    match context.twilio.recording(sid.as_str()).await {
        Ok(details) => {
            // As recorded: a stereo recording has a side of the call on each channel.
            wanted.channels = channels.or(details.channels.filter(|channels| *channels > 1));
            wanted.seconds = details.seconds();
            note(context, sid, &details).await?;
            let recorded = call::recorded(context, details);
            if !recorded.is_complete() {
                let error = Error::NotRecorded { recording: recorded.lack(), later: recorded.is_coming() };
                return Err(match recorded.is_coming() {
                    true => not_ready(context, job, error),
                    false => Unfinished::failed(error),
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
            return Err(Unfinished { error, then: worker::Then::Wait(TURN) });
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
        context.assemblyai.upload::<_, Unfinished>(chunks, media.length).await
    };
    tokio::select! {
        uploaded = transfer => uploaded,
        // Nothing is lost but what was sent so far.
        () = context.stopping.cancelled() => Err(Unfinished { error: Error::Stopping, then: worker::Then::Release }),
    }
}

/// The chunks of audio, passing the failpoints of a transfer.
fn with_failpoints(
    chunks: Chunks,
    length: Option<u64>,
    subject: String,
) -> impl Stream<Item = Result<Bytes, Unfinished>> + Send + 'static {
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
fn not_ready(context: &Context, job: &Job, error: Error) -> Unfinished {
    if context.clock.now_ms() - job.created_at > ms(READY_WITHIN) {
        return Unfinished::failed(error);
    }
    let doubled = Duration::from_secs(1 << job.looks.clamp(0, 6));
    Unfinished::later(error, worker::jittered(doubled.min(LONGEST_PAUSE)))
}

/// Notes a recording that the store has not heard of.
async fn note(context: &Shared, sid: &RecordingSid, details: &twilio::Recording) -> Result<(), Unfinished> {
    let call = details.call_sid.as_deref().and_then(|call| call.parse::<CallSid>().ok());
    let Some(call) = call else { return Ok(()) };
    if context.store.read().await?.recording(sid).await?.is_some() {
        return Ok(());
    }
    progress::put_unheard_of(context, &call, details).await?;
    Ok(())
}

/// Asks AssemblyAI for the transcript, once. That it is about to be asked is committed before. Says whether the job was
/// given back, to look at the transcript later.
async fn ask(context: &Shared, job: &Job, transcript: &Transcript, audio_url: &str) -> Result<bool, Unfinished> {
    if context.stopping.is_cancelled() {
        return Err(Unfinished { error: Error::Stopping, then: worker::Then::Release });
    }
    let body = body(context, transcript).await?;
    context
        .store
        .write(Step::IntendToSubmit, &format!("{} {}", job.subject, transcript.round), |mut tx| async move {
            // Whoever has lost the job must not ask.
            if !tx.renew_job(job, worker::lease(context)).await? {
                return Err(store::Error::LeaseLost);
            }
            tx.asking(transcript, Some(context.clock.now_ms())).await?;
            Ok((tx, ()))
        })
        .await?;
    match context.assemblyai.create_transcript(&body).await {
        Ok(Reply { json, transcript: taken }) => {
            failpoint::reach(Moment::OrderSubmitted, &job.subject)?;
            let (json, id) = (json.as_slice(), taken.id.as_str());
            context
                .store
                .write(Step::StoreTranscriptId, &format!("{} {id}", job.subject), |mut tx| async move {
                    let now = context.clock.now_ms();
                    tx.ordered(transcript, id, Some(json), now).await?;
                    match tx.put_back(job, worker::next_look(now, 0), now, None).await {
                        Ok(()) | Err(store::Error::LeaseLost) => Ok((tx, ())),
                        Err(error) => Err(error),
                    }
                })
                .await?;
            let recording = transcript.recording.as_ref().map(RecordingSid::as_str);
            tracing::info!(id, recording, "transcript ordered");
            context.events.changed(&transcript.id);
            Ok(true)
        }
        Err(error) if matches!(error.kind, Kind::Ambiguous(_)) => {
            tracing::warn!("nobody knows whether a transcript was ordered: {error}");
            let sought = search(context, job, transcript, audio_url, context.clock.now_ms()).await;
            sought.map(|()| false).map_err(|sought| Unfinished { error: error.into(), ..sought })
        }
        Err(error) => {
            context
                .store
                .write(Step::WithdrawIntent, &job.subject, |mut tx| async move {
                    tx.asking(transcript, None).await?;
                    Ok((tx, ()))
                })
                .await?;
            Err(error.into())
        }
    }
}

/// What AssemblyAI is sent.
async fn body(context: &Shared, transcript: &Transcript) -> Result<Map<String, Value>, Unfinished> {
    let parameters = serde_json::from_str::<Map<String, Value>>(&transcript.parameters);
    let mut body = parameters.map_err(|_| store::Error::Unreadable("transcripts.parameters"))?;
    let mut conn = context.store.read().await?;
    let recording = match &transcript.recording {
        Some(sid) => conn.recording(sid).await?,
        None => None,
    };
    let of_call = match recording {
        Some(recording) => conn.call(&CallName::Id(recording.call)).await?.map(|call| call.keyterms),
        None => None,
    };
    drop(conn);
    let keyterms = keyterms_of(&body).and(&of_call.unwrap_or_default());
    check_keyterms(context, &body, &keyterms).map_err(Unfinished::failed)?;
    if !keyterms.is_empty() {
        body.insert("keyterms_prompt".to_owned(), json!(keyterms.as_slice()));
    }
    body.insert("audio_url".to_owned(), json!(transcript.audio_url));
    // A webhook that was asked for by name is somebody else's, and so is its secret.
    if !body.contains_key("webhook_url") {
        body.insert("webhook_url".to_owned(), json!(context.urls.transcript_ready(&transcript.id)));
        body.insert("webhook_auth_header_name".to_owned(), json!(SECRET_HEADER));
        body.insert("webhook_auth_header_value".to_owned(), json!(context.assemblyai.webhook_secret(&transcript.id)));
    }
    Ok(body)
}

/// Looks for an order whose answer did not come. One that is not there after a while was not carried out.
async fn search(
    context: &Shared,
    job: &Job,
    transcript: &Transcript,
    audio_url: &str,
    asked_at: i64,
) -> Result<(), Unfinished> {
    let mut found = None;
    for id in listed_with(context, audio_url, asked_at).await? {
        let Ok(id) = id.parse::<TranscriptId>() else { continue };
        match context.store.read().await?.transcript_named(&id).await? {
            None => found = Some(id),
            // Its webhook was faster.
            Some(named) if named.id == transcript.id => return Ok(()),
            Some(_) => {}
        }
    }
    let now = context.clock.now_ms();
    // A clock that was set back makes it young, not unborn.
    let age = (now - asked_at).max(0);
    let next = SEARCHES.iter().map(|search| ms(*search)).find(|search| *search > age);
    // After a sleep, the question may be on its way still: one look does not make sure.
    let next = next.or((job.looks < MISSES).then_some(age + ms(SEARCHES[0])));
    tracing::info!(found = found.is_some(), age_ms = age, "looked for an order");
    let found = found.as_ref();
    match (found, next) {
        (None, Some(next)) => {
            let open = Error::UnderWay("nobody knows yet whether AssemblyAI has taken the order");
            let left = u64::try_from(next - age).unwrap_or_default();
            Err(Unfinished::later(open, Duration::from_millis(left)))
        }
        _ => {
            context
                .store
                .write(Step::SearchForOrder, &format!("{} {asked_at}", job.subject), |mut tx| async move {
                    match found {
                        Some(id) => tx.ordered(transcript, id.as_str(), None, now).await?,
                        None => tx.asking(transcript, None).await?,
                    }
                    Ok((tx, ()))
                })
                .await?;
            Ok(())
        }
    }
}

/// The orders since then that AssemblyAI lists with this address of their audio.
pub(super) async fn listed_with(
    context: &Context,
    audio_url: &str,
    asked_at: i64,
) -> Result<Vec<String>, clients::Error> {
    let since = jiff::Timestamp::from_millisecond(asked_at - ms(SKEW)).unwrap_or_default();
    let listed = context.assemblyai.transcripts_since(since).await?;
    let of_audio = listed.into_iter().filter(|one| one.audio_url.as_deref() == Some(audio_url));
    Ok(of_audio.map(|one| one.id).collect())
}

async fn look_for_job(
    context: &Shared,
    job: &Job,
    transcript: &Transcript,
    id: &TranscriptId,
) -> Result<(), Unfinished> {
    let reply = look(context, transcript, id).await?;
    if reply.transcript.is_final() {
        return Ok(());
    }
    let error = Error::UnderWay("AssemblyAI has not finished it");
    if context.clock.now_ms() - job.created_at > ms(DEADLINE) {
        return Err(Unfinished::failed(error));
    }
    let pause = u64::try_from(worker::next_look(0, job.looks)).unwrap_or_default();
    Err(Unfinished::later(error, Duration::from_millis(pause)))
}

/// Asks AssemblyAI how a transcript stands, and stores what is new. Its end ends the job, too.
pub(super) async fn look(context: &Shared, transcript: &Transcript, id: &TranscriptId) -> Result<Reply, Unfinished> {
    let reply = context.assemblyai.transcript(id.as_str()).await.map_err(|error| match error.kind {
        // What was ordered is there: asking may work again once somebody has mended the settings.
        Kind::Unauthorized(_) => Unfinished::later(error.into(), worker::CREDENTIALS),
        Kind::NotFound(_) | Kind::Rejected(_) => Unfinished { error: error.into(), then: worker::Then::Retry(None) },
        _ => error.into(),
    })?;
    let seen = &reply.transcript;
    let (subject, json) = (transcript.id.as_str(), reply.json.as_slice());
    let spoken = &spoken(&seen.words);
    let lost_audio = seen.status == TranscriptStatus::Error
        && transcript.recording.is_some()
        && transcript.round < ROUNDS
        && seen.error.as_deref().is_some_and(is_lost_audio);
    let step = if seen.is_final() { Step::FinishTranscript } else { Step::PollTranscript };
    context
        .store
        .write(step, subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let kind = JobKind::Transcript;
            match seen.status {
                TranscriptStatus::Queued => tx.keep_json(transcript, json).await?,
                TranscriptStatus::Processing => {
                    tx.advance_transcript(transcript, TranscriptState::Processing, None, now).await?;
                    tx.keep_json(transcript, json).await?;
                }
                TranscriptStatus::Completed => {
                    let text = seen.text.as_deref().unwrap_or_default();
                    // A later round has a job of its own.
                    if tx.completed(transcript, json, text, spoken, now).await? {
                        tx.close_job(kind, subject, now).await?;
                    }
                }
                TranscriptStatus::Error if lost_audio => {
                    let reason = "AssemblyAI had lost the audio; it is brought again";
                    if tx.begin_round(transcript, true, reason, now).await? {
                        tx.close_job(kind, subject, now).await?;
                        tx.open_job(kind, subject, now, now).await?;
                    }
                }
                TranscriptStatus::Error => {
                    let reason = format!("AssemblyAI: {}", seen.error.as_deref().unwrap_or("it does not say why"));
                    if tx.failed(transcript, Some(json), &reason, now).await? {
                        tx.close_job(kind, subject, now).await?;
                    }
                }
            }
            Ok((tx, ()))
        })
        .await?;
    let recording = transcript.recording.as_ref().map(RecordingSid::as_str);
    tracing::info!(recording, %id, status = ?seen.status, "looked at a transcript");
    if seen.is_final() {
        context.events.changed(subject);
        context.due.notify_one();
    }
    Ok(reply)
}

/// Whether AssemblyAI has nothing to give for what was ordered: it said that it failed, or nothing was ordered.
pub(super) fn is_void(transcript: &Transcript) -> bool {
    let said = transcript.json.clone().and_then(Reply::read).map(|reply| reply.transcript.status);
    transcript.asked_at.is_none() || said == Some(TranscriptStatus::Error)
}

/// AssemblyAI's words for audio that it cannot get.
fn is_lost_audio(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    error.contains("download error") || error.contains("unable to download") || error.contains("cannot access uploaded")
}

fn spoken(words: &[assemblyai::Word]) -> Vec<SpokenWord> {
    let word = |word: &assemblyai::Word| SpokenWord {
        text: printable(&word.text),
        start: i64::try_from(word.start).unwrap_or(i64::MAX),
        end: i64::try_from(word.end).unwrap_or(i64::MAX),
        confidence: word.confidence,
        speaker: word.speaker.as_deref().map(printable),
        channel: word.channel.as_deref().map(printable),
    };
    // No database keeps a NUL in a text.
    fn printable(text: &str) -> String {
        text.replace('\0', "")
    }
    words.iter().map(word).collect()
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
            Wanted { recording: None, audio, checksum: None, parameters }.key()
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
