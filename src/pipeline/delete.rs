//! Deleting a call everywhere: the recordings at Twilio and in the archive, the transcripts at AssemblyAI, the call and
//! its legs at Twilio, then the rows here. The request commits first. Each deletion may be repeated; what a vendor does
//! not find counts as deleted. An instance whose lease has run out begins no further deletion.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::job::{self, JobError, Next, poll_pause};
use super::right::Right;
use super::task::run_to_end;
use super::{Error, archive, facts, listing};
use crate::clients::{self, Kind};
use crate::context::Shared;
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::{self, Call, CallId, CallName};
use crate::model::job::JobKind;
use crate::model::standing::{Facts, NotDeletable};
use crate::model::transcript::Transcript;
use crate::store::{self, Conn, Filter, Job};

/// The pause before the WAL is truncated again, if a reader prevented it.
const TRUNCATE_AGAIN: Duration = Duration::from_secs(10);

/// The number of failures after which a deletion does without AssemblyAI's list, if it knows the transcript.
const LISTED_WITHIN: i64 = 3;

/// What a deletion would delete, for the page that asks for confirmation.
#[derive(Debug)]
pub struct Extent {
    pub call: Call,
    pub recordings: usize,
    pub transcripts: usize,
}

impl From<Facts> for Extent {
    fn from(facts: Facts) -> Self {
        Self { recordings: facts.recordings.len(), transcripts: facts.transcripts.len(), call: facts.call }
    }
}

/// Returns what would be deleted, or why the call cannot be deleted now.
pub async fn extent(context: &Shared, name: &CallName) -> Result<Extent, Error> {
    let mut conn = context.store.read().await?;
    let call = conn.call(name).await?.ok_or_else(|| unknown(name))?;
    let facts = facts::without_words(&mut conn, call).await?;
    facts.may_delete()?;
    Ok(facts.into())
}

/// Commits the deletion of the call, with the job that deletes it. Repeated while the deletion is pending, it makes
/// the job due at once; a failed job starts over.
pub async fn delete(context: &Shared, name: CallName, asked: Asked) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { request(&shared, &name, &asked.by).await }).await
}

async fn request(context: &Shared, name: &CallName, by: &str) -> Result<(), Error> {
    let requested = context
        .store
        .write(Commit::RequestDeletion, name.as_str(), |mut tx| async move {
            tx.act_for(by);
            let requested = mark(&mut tx, name, None, context.clock.now_ms()).await?;
            Ok((tx, requested))
        })
        .await?;
    match requested.ok_or_else(|| unknown(name))? {
        (_, Some(refusal)) => Err(refusal.into()),
        (extent, None) => {
            begin(context, &extent);
            Ok(())
        }
    }
}

/// Commits the deletion of several calls at once that still match a filter. Returns what is known of each, and why it cannot be
/// deleted, if it cannot.
pub(super) async fn request_some(
    context: &Shared,
    names: &[CallName],
    filter: &Filter,
    by: &str,
) -> Result<Vec<(Extent, Option<NotDeletable>)>, Error> {
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    let requested = context
        .store
        .write(Commit::RequestDeletion, first.as_str(), |mut tx| async move {
            tx.act_for(by);
            let (now, mut requested) = (context.clock.now_ms(), Vec::new());
            for name in names {
                requested.extend(mark(&mut tx, name, Some(filter), now).await?);
            }
            Ok((tx, requested))
        })
        .await?;
    for (extent, _) in requested.iter().filter(|(_, refusal)| refusal.is_none()) {
        begin(context, extent);
    }
    Ok(requested)
}

/// Marks a call for deletion and opens the job that deletes it, unless it cannot be deleted now, or matches the filter no more.
async fn mark(
    tx: &mut Conn,
    name: &CallName,
    filter: Option<&Filter>,
    now: i64,
) -> Result<Option<(Extent, Option<NotDeletable>)>, store::Error> {
    let Some(call) = tx.call(name).await? else { return Ok(None) };
    let facts = facts::without_words(tx, call).await?;
    // It may have become another one since somebody has seen it, such as a failed call whose retry went well.
    if let Some(filter) = filter
        && facts.call.deletion.is_none()
        && !filter.still_takes(&facts.call, facts.progress(), facts.seconds())
    {
        return Ok(None);
    }
    match facts.may_delete() {
        Ok(()) | Err(NotDeletable::Deleting) => {
            let id = &facts.call.id;
            tx.request_deletion(id, now).await?;
            tx.open_job(JobKind::Deletion, id.as_str(), now, now).await?;
            Ok(Some((facts.into(), None)))
        }
        Err(refusal) => Ok(Some((facts.into(), Some(refusal)))),
    }
}

/// Makes the workers and the open pages notice the deletion.
fn begin(context: &Shared, extent: &Extent) {
    let id = &extent.call.id;
    tracing::info!(call = %id, "deletion requested");
    context.job_ready.notify_one();
    context.events.changed(id.as_str());
}

fn unknown(name: &CallName) -> Error {
    Error::NoSuchCall(name.as_str().to_owned())
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let mut conn = context.store.read().await?;
    let call = conn.call(&CallName::Id(id.clone())).await?;
    let Some(call) = call.filter(|call| call.deletion.is_some()) else {
        drop(conn);
        return job::close(context, job).await;
    };
    let recordings = conn.recordings_of(&id).await?;
    let transcripts = conn.orders_of(&id).await?;
    let legs = conn.legs_of(&id).await?;
    drop(conn);
    if is_being_made(&transcripts) {
        return Err(pending(job));
    }
    if !archive::ended(context, &recordings).await? {
        let error = Error::Pending("a recording of the call is still being copied to the archive");
        return Err(JobError::poll_again(error, poll_pause(job.polls)));
    }

    // The audio first, so that no other transcript of it can be made.
    let at_twilio = recordings.iter().filter(|_| call.kind != call::Kind::Upload);
    let mut audio: BTreeSet<String> = at_twilio.map(|recording| recording.sid.to_string()).collect();
    if let Some(sid) = &call.sid {
        match context.twilio.recordings_of_call(sid.as_str()).await {
            Ok(listed) => audio.extend(listed.into_iter().map(|recording| recording.sid)),
            Err(error) => gone(Err(error)).map_err(retried)?,
        }
    }
    for sid in &audio {
        still_ours(context, job)?;
        gone(context.twilio.delete_recording(sid).await).map_err(retried)?;
    }
    failpoint::reach(Moment::RecordingsDeleted, &job.subject)?;
    // Read now, when no job adds another one.
    let copies = context.store.read().await?.archived_of(&id).await?;
    archive::delete(context, job, &copies).await?;
    failpoint::reach(Moment::CopiesDeleted, &job.subject)?;
    for transcript in &transcripts {
        for id in at_assemblyai(context, job, transcript).await? {
            still_ours(context, job)?;
            gone(context.assemblyai.delete_transcript(&id).await).map_err(retried)?;
        }
    }
    failpoint::reach(Moment::TranscriptsDeleted, &job.subject)?;
    for sid in legs.iter().map(|leg| &leg.sid).chain(&call.sid) {
        still_ours(context, job)?;
        gone(context.twilio.delete_call(sid.as_str()).await).map_err(retried)?;
    }
    failpoint::reach(Moment::CallDeleted, &job.subject)?;
    let copies = context.store.read().await?.archived_of(&id).await?;
    if let Some(copy) = archive::elsewhere(context, &copies) {
        return Err(JobError { error: Error::OtherArchive(copy.archive.clone()), next: Next::Retry(None) });
    }

    let id = &id;
    let is_wiped = context
        .store
        .write(Commit::WipeCall, &job.subject, |mut tx| async move {
            let now = context.clock.now_ms();
            // An instance that has lost the lease may have missed a new recording or transcript.
            if !tx.renew_job(job, job::lease(context)).await? {
                return Err(store::Error::LeaseLost);
            }
            let may_wipe = !is_being_made(&tx.orders_of(id).await?);
            if may_wipe {
                tx.close_job(JobKind::Price, id.as_str(), now).await?;
                tx.wipe_call(id, now).await?;
            }
            Ok((tx, may_wipe))
        })
        .await?;
    if !is_wiped {
        return Err(pending(job));
    }
    if !context.store.truncate_wal().await? {
        let error = Error::Pending(
            "everything is deleted, but another reader of the database still keeps its WAL from being truncated",
        );
        return Err(JobError::poll_again(error, TRUNCATE_AGAIN));
    }
    tracing::info!(recordings = audio.len(), transcripts = transcripts.len(), "deleted");
    job::close(context, job).await?;
    context.events.changed(&job.subject);
    Ok(())
}

/// Fails if the lease has run out: another instance may be deleting the same.
fn still_ours(context: &Shared, job: &Job) -> Result<(), store::Error> {
    if Right::of_claim(context, job).is_over() { Err(store::Error::LeaseLost) } else { Ok(()) }
}

/// Returns the ids that AssemblyAI has of an order: the known one, and every other that is listed with its audio URL,
/// such as one whose answer was lost. A URL that is no upload may be that of other people's transcripts, so only the known one
/// counts there; if the answer was lost, the listed ones that no other order here has.
async fn at_assemblyai(context: &Shared, job: &Job, transcript: &Transcript) -> Result<BTreeSet<String>, JobError> {
    let ended = transcript.submission.iter().flat_map(|submission| submission.ended.iter().cloned());
    let known = transcript.transcript_id.as_ref().map(ToString::to_string);
    let is_own = transcript.audio_url.as_deref().is_some_and(|url| context.assemblyai.is_upload(url));
    let listed = match (&transcript.audio_url, transcript.asked_at) {
        (Some(audio_url), Some(asked_at)) if is_own || known.is_none() => {
            // Since the deletion was requested, nothing is ordered.
            listing::around(context, audio_url, asked_at, job.created_at).await
        }
        _ => Ok(Vec::new()),
    };
    let listed = match listed {
        // A list that cannot be read to its end, such as a very long one, must not keep what is known from being deleted.
        Err(_) if known.is_some() && job.failures >= LISTED_WITHIN => Vec::new(),
        listed => listed.map_err(retried)?,
    };
    let (mut conn, mut ours) = (context.store.read().await?, Vec::new());
    for id in listed {
        let of = match id.parse() {
            Ok(id) => conn.order_by_transcript_id(&id).await?,
            Err(_) => None,
        };
        if of.is_none_or(|of| of.id == transcript.id) {
            ours.push(id);
        }
    }
    Ok(ours.into_iter().chain(known).chain(ended).collect())
}

fn is_being_made(transcripts: &[Transcript]) -> bool {
    transcripts.iter().any(|transcript| !transcript.state.is_final())
}

/// Takes the vendor's own "not found" as deleted. That of a proxy in between says nothing about the vendor.
fn gone(answer: Result<(), clients::Error>) -> Result<(), clients::Error> {
    match answer {
        Err(clients::Error { kind: Kind::NotFound(refusal), .. }) if refusal.is_vendors => Ok(()),
        answer => answer,
    }
}

/// A vendor may do later what it refuses now: when the settings are corrected, or when the call is over there, too.
fn retried(error: clients::Error) -> JobError {
    let retry_after = error.kind.retry_after();
    JobError { error: error.into(), next: Next::Retry(retry_after) }
}

fn pending(job: &Job) -> JobError {
    let error = Error::Pending("a transcript of the call is still being made");
    JobError::poll_again(error, poll_pause(job.polls))
}
