//! Polling AssemblyAI for a submitted order, and storing what it answers.

use tokio::sync::mpsc;

use super::job::{CREDENTIALS_PAUSE, JobError, Next};
use super::{Error, price, refused, request};
use crate::clients::Kind;
use crate::clients::assemblyai::{self, Reply, TranscriptStatus};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::job::JobKind;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{Submission, Transcript, TranscriptId, TranscriptState};
use crate::model::word::SpokenWord;
use crate::store::Finished;

/// The number of attempts at an order whose upload AssemblyAI has lost: uploads expire after a day or two.
const MAX_ATTEMPTS: i64 = 2;

/// How many words of a large transcript one statement stores, if they are not so long that it stores fewer.
const WORDS_AT_ONCE: usize = 1_000;

/// The total length of words from which on no more are stored by the same statement.
const BYTES_AT_ONCE: usize = 64 << 10;

/// Polls AssemblyAI for a transcript and stores the answer. If the transcript is final, closes its job, too.
pub(super) async fn poll(context: &Shared, transcript: &Transcript, id: &TranscriptId) -> Result<Reply, JobError> {
    let reply = context.assemblyai.transcript(id.as_str()).await.map_err(|error| match error.kind {
        // The order exists: polling works again once the operator has corrected the settings.
        Kind::Unauthorized(_) => JobError::poll_again(error.into(), CREDENTIALS_PAUSE),
        Kind::NotFound(_) | Kind::Rejected(_) => JobError { error: error.into(), next: Next::Retry(None) },
        _ => error.into(),
    })?;
    let seen = &reply.transcript;
    let (subject, json) = (transcript.id.as_str(), reply.json.stored());
    // A thread reads the words of a large one while the transaction stores what it has read before: all of them take much memory.
    let few = (seen.status == TranscriptStatus::Completed && !reply.json.is_large()).then(|| few_words(&reply));
    let words = || few.as_ref().map_or_else(|| spoken(&reply), |few| at_hand(few.clone()));
    let lost_audio = seen.status == TranscriptStatus::Error
        && request::form(transcript).is_some()
        && transcript.attempt < MAX_ATTEMPTS + ended_of(transcript)
        && seen.error.as_deref().is_some_and(is_lost_audio);
    let next = if lost_audio { None } else { after_refusal(context, transcript, &reply) };
    let (next, submission) = (next.as_ref(), transcript.submission.as_ref());
    let refused_models = &submission.map(|sent| refused::note(context, sent, next)).unwrap_or_default();
    let step = if seen.is_final() { Commit::FinishTranscript } else { Commit::PollTranscript };
    // On SQLite, a power cut may undo an unsynced commit. The job is then still open and polls again.
    context
        .store
        .write_unsynced(step, subject, |mut tx| async move {
            let now = context.clock.now_ms();
            let kind = JobKind::Transcript;
            match seen.status {
                _ if seen.is_deleted() => {
                    let reason = Error::TranscriptDeleted.to_string();
                    if tx.mark_failed(transcript, Some(json), &reason, false, now).await? {
                        tx.close_job(kind, subject, now).await?;
                    }
                }
                TranscriptStatus::Queued => tx.store_json(transcript, json).await?,
                TranscriptStatus::Processing => {
                    tx.advance_transcript(transcript, TranscriptState::Processing, None, now).await?;
                    tx.store_json(transcript, json).await?;
                }
                TranscriptStatus::Completed => {
                    let text = seen.text.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or_default();
                    let model = seen.speech_model_used.clone().map(printable);
                    let speech_model = model.as_deref();
                    let cost = price::of_finished(context, transcript, speech_model, seen.seconds);
                    let finished = Finished { json, text, speech_model, cost };
                    // A later attempt keeps the job open.
                    if tx.mark_completed(transcript, &finished, words(), now).await? {
                        tx.close_job(kind, subject, now).await?;
                        if let (Some(recording), Some(seconds)) = (&transcript.recording, seen.seconds)
                            && request::form(transcript).is_none()
                        {
                            tx.set_length(recording, seconds).await?;
                        }
                        if let Some(part) = &transcript.trial {
                            tx.open_job(JobKind::Trial, part.trial.as_str(), now, now).await?;
                        }
                    }
                }
                TranscriptStatus::Error if lost_audio => {
                    let reason = "AssemblyAI had lost the audio; uploading it again";
                    if tx.begin_attempt(transcript, true, reason, now).await? {
                        tx.close_job(kind, subject, now).await?;
                        tx.open_job(kind, subject, now, now).await?;
                    }
                }
                TranscriptStatus::Error if let Some(next) = next => {
                    let reason = "AssemblyAI refused the speech model; submitting the order with another";
                    if tx.resubmit(transcript, next, reason, now).await? {
                        for model in refused_models {
                            tx.note_refused_model(model, now).await?;
                        }
                        tx.close_job(kind, subject, now).await?;
                        tx.open_job(kind, subject, now, now).await?;
                    }
                }
                TranscriptStatus::Error => {
                    let error = seen.error.as_deref().unwrap_or("no reason given");
                    let is_external = request::form(transcript).is_some()
                        && transcript.audio_url.as_deref().is_some_and(|url| !context.assemblyai.is_upload(url));
                    let is_upload = request::form(transcript).is_none()
                        && transcript.audio_url.as_deref().is_some_and(|url| context.assemblyai.is_upload(url));
                    let reason = if is_upload && is_lost_audio(error) {
                        format!(
                            "AssemblyAI: {}; it keeps an uploaded file for a day or two, so send the file again",
                            error.trim_end_matches('.')
                        )
                    } else if is_external && is_lost_audio(error) {
                        format!(
                            "AssemblyAI: {}; the recording is in the Twilio account's own storage, whose files AssemblyAI must \
                             be able to read without credentials",
                            error.trim_end_matches('.')
                        )
                    } else {
                        format!("AssemblyAI: {error}")
                    };
                    if tx.mark_failed(transcript, Some(json), &reason, true, now).await? {
                        tx.close_job(kind, subject, now).await?;
                    }
                }
            }
            Ok((tx, ()))
        })
        .await?;
    let recording = transcript.recording.as_ref().map(RecordingSid::as_str);
    tracing::info!(recording, %id, status = ?seen.status, "polled a transcript");
    let sent = transcript.submission.as_ref().map(|submission| &submission.speech_models);
    if let (Some(used), Some(sent)) = (&seen.speech_model_used, sent)
        && !sent.is_empty()
        && !sent.contains(used)
        && let Some(times) = context.repeats.count(format!("used {used}"), context.clock.now_ms())
    {
        tracing::warn!(times, used, "AssemblyAI used a speech model that was not asked for");
    }
    if seen.is_final() {
        context.events.changed(subject);
        context.job_ready.notify_one();
    }
    Ok(Reply { json: reply.json.without_turn(), ..reply })
}

/// What to submit instead of an order that AssemblyAI had accepted and has ended because of its model.
fn after_refusal(context: &Shared, transcript: &Transcript, reply: &Reply) -> Option<Submission> {
    let submission = transcript.submission.as_ref().filter(|_| refused::may_continue(context, transcript))?;
    let words = reply.transcript.error.as_deref().filter(|_| reply.transcript.status == TranscriptStatus::Error)?;
    let parameters = serde_json::from_str(&transcript.parameters).ok()?;
    let next = refused::next(context, words, submission, &parameters)?;
    let ended = submission.ended.iter().cloned().chain([reply.transcript.id.clone()]).collect();
    Some(Submission { ended, ..next })
}

/// How often AssemblyAI has ended the order because of its model.
fn ended_of(transcript: &Transcript) -> i64 {
    transcript.submission.as_ref().map_or(0, |submission| submission.ended.len() as i64)
}

/// Whether AssemblyAI's error says that it cannot get the audio.
fn is_lost_audio(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    error.contains("download error") || error.contains("unable to download") || error.contains("cannot access uploaded")
}

/// All words of a transcript that is not large.
fn few_words(reply: &Reply) -> Vec<SpokenWord> {
    let mut words = Vec::new();
    reply.each_word(|word| words.extend(spoken_word(word)));
    words
}

/// Passes on words that have been read, as [`spoken`] does.
fn at_hand(words: Vec<SpokenWord>) -> mpsc::Receiver<Vec<SpokenWord>> {
    let (sender, receiver) = mpsc::channel(2);
    // There is room for both.
    if !words.is_empty() {
        _ = sender.try_send(words);
    }
    _ = sender.try_send(Vec::new());
    receiver
}

/// Reads the words of a transcript and passes them on, some at a time, as they are stored. An empty list is the end. The
/// thread that reads them is never far ahead.
fn spoken(reply: &Reply) -> mpsc::Receiver<Vec<SpokenWord>> {
    let (sender, receiver) = mpsc::channel(1);
    let reply = reply.clone();
    tokio::task::spawn_blocking(move || {
        let (mut some, mut bytes) = (Vec::new(), 0);
        reply.each_word(|word| {
            // A word without a text says nothing.
            let Some(word) = spoken_word(word) else { return };
            bytes += word.text.len();
            some.push(word);
            if some.len() == WORDS_AT_ONCE || bytes > BYTES_AT_ONCE {
                bytes = 0;
                // Nobody receives what a failed transaction no longer stores.
                _ = sender.blocking_send(std::mem::take(&mut some));
            }
        });
        if !some.is_empty() {
            _ = sender.blocking_send(some);
        }
        _ = sender.blocking_send(Vec::new());
    });
    receiver
}

/// Removes NUL, which PostgreSQL stores in no text.
fn printable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// Returns a word as it is stored. One without a text is not.
pub(crate) fn spoken_word(word: assemblyai::Word) -> Option<SpokenWord> {
    let text = printable(word.text);
    (!text.is_empty()).then(|| SpokenWord {
        text,
        start: i64::try_from(word.start).unwrap_or(i64::MAX),
        end: i64::try_from(word.end).unwrap_or(i64::MAX),
        confidence: Some(word.confidence),
        speaker: word.speaker.map(printable),
        channel: word.channel.map(printable),
        begins: None,
    })
}
