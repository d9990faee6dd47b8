//! The job that makes a transcript: upload the audio, submit the order once, poll for the result. Each step commits before
//! the next one begins, except an upload, which costs nothing: its URL commits with the intent to submit. If the answer to
//! the submission is lost, the job searches for the order in AssemblyAI's list.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::job::{self, JobError, Next, ms, poll_pause};
use super::request::{keyterms_of, models_of};
use super::right::Right;
use super::vocabulary::{self, Offered};
use super::{Error, listing, refused, settle, upload};
use crate::clients::assemblyai::Reply;
use crate::clients::{self, Kind, Service};
use crate::config::speech_models;
use crate::context::Shared;
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::CallName;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Submission, Transcript, TranscriptId, TranscriptState};
use crate::store::{self, Conn, Job};
use crate::webhook_secret::SECRET_HEADER;

/// How long an intent gives the right to submit its order: time for a slow commit and for connecting. After that, the
/// instance that holds the job searches instead.
const RIGHT: Duration = Duration::from_secs(15);

/// When an order whose answer was lost is searched for, counted from its intent. If the last search finds nothing,
/// AssemblyAI has not accepted it: a request that was sent at the end of its [`RIGHT`] has arrived or failed half a minute
/// before that, which leaves room for clocks of other instances that differ.
const SEARCHES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// The number of searches without a result before the order is submitted again.
const MISSES: i64 = 2;

/// The number of polls after which an order that AssemblyAI has not accepted is not submitted again: about an hour of
/// answers that prove nothing.
const MOST_POLLS: i64 = 100;

/// Why an order of a trial that somebody has stopped is not submitted.
pub(super) const STOPPED: &str = "the trial was stopped before this was ordered";

/// The job gives up this long after the transcript was requested.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

/// Runs the job until it has to wait.
pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let mut is_in_span = false;
    loop {
        let transcript = context.store.read().await?.transcript_by_id(&OrderId::from(job.subject.clone())).await?;
        let Some(transcript) = transcript.filter(|transcript| !transcript.state.is_final()) else {
            return job::close(context, job).await;
        };
        if let Some(call) = transcript.call.as_ref().filter(|_| !std::mem::replace(&mut is_in_span, true)) {
            tracing::Span::current().record("call", call.as_str());
        }
        match (&transcript.transcript_id, &transcript.audio_url, transcript.asked_at) {
            (Some(id), ..) => return poll(context, job, &transcript, id).await,
            (None, Some(_), Some(asked_at)) => search(context, job, &transcript, asked_at).await?,
            (None, audio_url, _) => {
                let transcript = match audio_url {
                    Some(_) => transcript,
                    None => upload::run(context, job, transcript).await?,
                };
                if submit(context, job, &transcript).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Commits the intent, with the URL of the audio, and sends `POST transcript` once. Returns `true` if the job was put back
/// to poll later, `false` if it can go on at once.
async fn submit(context: &Shared, job: &Job, transcript: &Transcript) -> Result<bool, JobError> {
    if context.stopping.is_cancelled() {
        return Err(JobError { error: Error::Stopping, next: Next::Release });
    }
    let intended = context
        .store
        .write(Commit::IntendToSubmit, &format!("{} {}", job.subject, transcript.attempt), |mut tx| async move {
            let asked_at = context.clock.now_ms();
            if transcript.state.rank() < TranscriptState::Uploaded.rank() {
                tx.mark_uploaded(transcript, asked_at).await?;
            }
            keep_lease(&mut tx, context, job).await?;
            if let Some(part) = &transcript.trial
                && tx.is_trial_stopped(&part.trial).await?
            {
                tx.mark_failed(transcript, None, STOPPED, true, asked_at).await?;
                return Ok((tx, None));
            }
            let (body, submission) = order(&mut tx, context, transcript).await?;
            let is_open = tx.intend_to_submit(transcript, &submission, asked_at).await?;
            Ok((tx, is_open.then_some((asked_at, body, submission))))
        })
        .await?;
    let Some((asked_at, body, submission)) = intended else { return Ok(false) };
    let submission = &submission;
    let right = Right::of_intent(context, asked_at, RIGHT);
    let created = match context.assemblyai.create_transcript(&body, move || !right.is_over()).await {
        Ok(reply) if reply.transcript.id.parse::<TranscriptId>().is_err() => Err(unreadable()),
        created => created,
    };
    match created {
        Ok(Reply { json, transcript: accepted }) => {
            failpoint::reach(Moment::OrderSubmitted, &job.subject)?;
            let (json, id) = (json.stored(), accepted.id.as_str());
            let accepted = &context.models.refused_of(&submission.speech_models);
            context
                .store
                .write(Commit::StoreTranscriptId, &format!("{} {id}", job.subject), |mut tx| async move {
                    let now = context.clock.now_ms();
                    tx.mark_submitted(transcript, id, Some(json), now).await?;
                    for model in accepted {
                        tx.forget_refused_model(model).await?;
                    }
                    match tx.reschedule_job(job, now + ms(poll_pause(0)), now, None).await {
                        Ok(()) | Err(store::Error::LeaseLost) => Ok((tx, ())),
                        Err(error) => Err(error),
                    }
                })
                .await?;
            context.models.accept(&submission.speech_models);
            let recording = transcript.recording.as_ref().map(RecordingSid::as_str);
            tracing::info!(id, recording, "submitted to AssemblyAI");
            context.events.changed(transcript.id.as_str());
            Ok(true)
        }
        Err(error) if matches!(error.kind, Kind::Ambiguous(_)) => {
            tracing::warn!("it is unknown whether AssemblyAI accepted the request: {error}");
            let searched = search(context, job, transcript, asked_at).await;
            searched.map(|()| false).map_err(|pending| JobError { error: error.into(), ..pending })
        }
        Err(error) => {
            let next = &match &error.kind {
                Kind::Rejected(refusal) if refused::may_continue(context, transcript) => {
                    refused::next(context, &refusal.message, submission, &body)
                }
                _ => None,
            };
            let refused = &refused::note(context, submission, next.as_ref());
            let subject = format!("{} {}", job.subject, submission.refused.len());
            context
                .store
                .write(Commit::WithdrawIntent, &subject, |mut tx| async move {
                    let now = context.clock.now_ms();
                    keep_lease(&mut tx, context, job).await?;
                    tx.withdraw_intent(transcript, asked_at).await?;
                    if let Some(next) = next {
                        tx.replace_submission(transcript, next).await?;
                    }
                    for model in refused {
                        tx.note_refused_model(model, now).await?;
                    }
                    Ok((tx, ()))
                })
                .await?;
            if next.is_none() {
                return Err(error.into());
            }
            context.events.changed(transcript.id.as_str());
            Ok(false)
        }
    }
}

/// Renews the lease. An instance that has lost it neither submits nor decides what became of a submission.
async fn keep_lease(tx: &mut Conn, context: &Shared, job: &Job) -> Result<(), store::Error> {
    if tx.renew_job(job, job::lease(context)).await? { Ok(()) } else { Err(store::Error::LeaseLost) }
}

/// The body of `POST transcript`, and what of it the parameters of the order do not say.
async fn order(
    conn: &mut Conn,
    context: &Shared,
    transcript: &Transcript,
) -> Result<(Map<String, Value>, Submission), store::Error> {
    let parameters = serde_json::from_str::<Map<String, Value>>(&transcript.parameters);
    let mut body = parameters.map_err(|_| store::Error::Unreadable("transcripts.parameters"))?;
    let recording = match &transcript.recording {
        Some(sid) => conn.recording(sid).await?,
        None => None,
    };
    let trial = match &transcript.trial {
        Some(part) => conn.trial(&part.trial).await?,
        None => None,
    };
    let own = trial.zip(transcript.trial.as_ref()).and_then(|(trial, part)| trial.arms.get(part.arm)?.keyterms.clone());
    let (mut keyterms, mut of_contact, mut offered) = (keyterms_of(&body), Keyterms::default(), Offered::default());
    let mut spellings = Vec::new();
    // A trial with terms of its own is about these.
    if own.is_none() {
        keyterms = keyterms.without(&conn.unwanted_settings().await?);
        let call = match recording {
            Some(recording) => conn.call(&CallName::Id(recording.call)).await?,
            None => None,
        };
        if let Some(call) = &call {
            keyterms = keyterms.and(&call.keyterms);
            if let Some(contact) = conn.contact_of(call).await? {
                of_contact = contact.keyterms_of_calls();
            }
        }
        offered = vocabulary::offered(conn, call.as_ref()).await?;
        spellings = vocabulary::spellings(conn, call.as_ref()).await?;
    }
    let Offered { terms, others } = offered;
    let asked = models_of(&body);
    let refused = transcript.submission.as_ref().map_or(&[][..], |submission| &submission.refused);
    let wanted = match &transcript.submission {
        Some(submission) if !refused.is_empty() => Some(&submission.speech_models),
        _ => asked.as_ref(),
    };
    let ended = transcript.submission.as_ref().map(|submission| submission.ended.clone()).unwrap_or_default();
    // To name a number, or to accept a term, must not take a model from calls, so these choose none. A contact's do not even
    // where they are among the others.
    let choosing = keyterms.without(&of_contact);
    let mut able = speech_models::able(wanted.unwrap_or(&context.transcript.speech_models), &choosing);
    let mut refused = refused.to_vec();
    // What AssemblyAI refuses again and again is not asked for with each order.
    while wanted.is_some()
        && refused::may_continue(context, transcript)
        && let Some(detour) = context.models.detour(&able, context.clock.now_ms())
    {
        let instead = detour.instead.into_iter().filter(|model| !refused.contains(model)).collect::<Vec<_>>();
        if instead.is_empty() || refused.len() + detour.refused.len() > refused::MOST {
            break;
        }
        refused.extend(detour.refused);
        able = speech_models::able(&instead, &choosing);
    }
    // Where there are too many, the last are left out first.
    let (sent, left_out) = keyterms.and(&of_contact).and(&terms).fit(&speech_models::limit(&able));
    if wanted.is_some() {
        body.insert("speech_models".to_owned(), json!(able));
    }
    body.shift_remove("keyterms_prompt");
    if !sent.is_empty() {
        body.insert("keyterms_prompt".to_owned(), json!(sent.as_slice()));
    }
    let submission = Submission {
        speech_models: if wanted.is_some() { able } else { Vec::new() },
        refused,
        ended,
        keyterms: sent.as_slice().to_vec(),
        keyterms_left_out: left_out.as_slice().to_vec(),
        custom_spelling: add_spellings(&mut body, spellings),
        others_left_out: others,
    };
    // Each voice has a channel of its own. If both channels are the same, this would double the text. A choice in
    // the request or in the settings is obeyed.
    if transcript.channels_differ == Some(true) && !body.contains_key("multichannel") {
        body.insert("multichannel".to_owned(), json!(true));
    }
    body.insert("audio_url".to_owned(), json!(transcript.audio_url));
    // A webhook URL in the request belongs to another program, which has a secret of its own.
    if !body.contains_key("webhook_url") {
        body.insert("webhook_url".to_owned(), json!(context.urls.transcript_ready(&transcript.id)));
        body.insert("webhook_auth_header_name".to_owned(), json!(SECRET_HEADER));
        body.insert("webhook_auth_header_value".to_owned(), json!(context.webhook_secrets.secret(&transcript.id)));
    }
    Ok((body, submission))
}

/// Adds what AssemblyAI must spell as terms to those entries of an order that its request has, which come first. Returns what
/// was added.
fn add_spellings(body: &mut Map<String, Value>, mut spellings: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut entries = match body.get("custom_spelling") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        // AssemblyAI says what is wrong with it.
        Some(_) => return Vec::new(),
    };
    let known = entries.iter().filter_map(|entry| entry["from"].as_array()).flatten();
    let known: Vec<String> = known.filter_map(|from| Some(from.as_str()?.to_lowercase())).collect();
    spellings.retain(|(from, _)| !known.contains(&from.to_lowercase()));
    entries.extend(spellings.iter().map(|(from, to)| json!({ "from": [from], "to": to })));
    if !spellings.is_empty() {
        body.insert("custom_spelling".to_owned(), json!(entries));
    }
    spellings
}

/// Searches for an order whose answer was lost, and adopts it. After the last search without a result, withdraws the intent.
async fn search(context: &Shared, job: &Job, transcript: &Transcript, asked_at: i64) -> Result<(), JobError> {
    let audio_url = transcript.audio_url.as_deref().unwrap_or_default();
    let mut found = None;
    for id in listing::with_audio(context, audio_url, asked_at).await? {
        // Its model was refused when AssemblyAI had accepted it.
        if transcript.submission.as_ref().is_some_and(|submission| submission.ended.contains(&id)) {
            continue;
        }
        // AssemblyAI has accepted the order, but it cannot be asked for, and must not be sent again.
        let id = id.parse::<TranscriptId>().map_err(|_| JobError::fail(unreadable()))?;
        match context.store.read().await?.transcript_by_transcript_id(&id).await? {
            None => found = Some(id),
            // Its webhook came first.
            Some(known) if known.id == transcript.id => return Ok(()),
            Some(_) => {}
        }
    }
    let now = context.clock.now_ms();
    let age = match now - asked_at {
        age @ 0.. => age,
        // A clock that was ahead has dated the order. It may be older than it seems, so each search has a minute.
        _ if job.polls < MISSES => ms(SEARCHES[0]),
        _ => ms(SEARCHES[1]),
    };
    let next = SEARCHES.iter().map(|search| ms(*search)).find(|search| *search > age);
    // After the computer has slept, the request may still be on its way, and by the clock of another instance it may be
    // younger than it seems. So the last of these searches comes a minute after the first, whatever the age.
    let more = usize::try_from(job.polls).ok().and_then(|polls| SEARCHES.get(polls));
    let next = next.or(more.map(|pause| age + ms(*pause)));
    tracing::info!(found = found.is_some(), age_ms = age, "searched AssemblyAI for a transcript");
    let found = found.as_ref();
    match (found, next) {
        (None, Some(next)) => {
            let pending = Error::Pending("checking whether AssemblyAI has accepted the request");
            let left = u64::try_from(next - age).unwrap_or_default();
            Err(JobError::poll_again(pending, Duration::from_millis(left)))
        }
        _ => {
            context
                .store
                .write(Commit::SearchForOrder, &format!("{} {asked_at}", job.subject), |mut tx| async move {
                    keep_lease(&mut tx, context, job).await?;
                    match found {
                        Some(id) => tx.mark_submitted(transcript, id.as_str(), None, now).await?,
                        None => tx.withdraw_intent(transcript, asked_at).await?,
                    }
                    Ok((tx, ()))
                })
                .await?;
            if found.is_none() && job.polls >= MOST_POLLS {
                return Err(JobError::fail(Error::Pending("AssemblyAI has not accepted the request within an hour")));
            }
            Ok(())
        }
    }
}

fn unreadable() -> clients::Error {
    let kind = Kind::Ambiguous(Box::new(Kind::BadBody { path: "id".to_owned() }));
    clients::Error { service: Service::AssemblyAi, kind }
}

async fn poll(context: &Shared, job: &Job, transcript: &Transcript, id: &TranscriptId) -> Result<(), JobError> {
    let reply = settle::poll(context, transcript, id).await?;
    if reply.transcript.is_final() {
        return Ok(());
    }
    let error = Error::Pending("AssemblyAI has not finished the transcript");
    if context.clock.now_ms() - job.created_at > ms(DEADLINE) {
        return Err(JobError::fail(error));
    }
    Err(JobError::poll_again(error, poll_pause(job.polls)))
}

/// Marks the transcript as failed when its job has failed for good.
pub(super) async fn give_up(tx: &mut Conn, job: &Job, reason: &str, now: i64) -> Result<(), store::Error> {
    match tx.transcript_by_id(&OrderId::from(job.subject.clone())).await? {
        Some(transcript) => {
            // AssemblyAI may go on with what it has accepted.
            let is_free = transcript.asked_at.is_none();
            tx.mark_failed(&transcript, None, reason, is_free, now).await.map(drop)
        }
        None => Ok(()),
    }
}
