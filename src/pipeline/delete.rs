//! Deleting a call everywhere: the audio at Twilio, the transcripts at AssemblyAI, Twilio's entry of the call, and then what
//! is stored here. That it is wanted is committed first; each deletion may be asked for again, and what a vendor does not
//! have any more is deleted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::job::{self, JobError, Next, poll_pause};
use super::task::run_to_end;
use super::{Error, facts, listing};
use crate::clients::{self, Kind};
use crate::context::Shared;
use crate::failpoint::{self, Moment, Step};
use crate::model::call::{Call, CallId, CallName};
use crate::model::standing::NotDeletable;
use crate::model::transcript::Transcript;
use crate::store::{self, Job, JobKind};

/// What keeps the database's log from being emptied is over soon.
const EMPTY_AGAIN: Duration = Duration::from_secs(10);

/// What is deleted with a call, for whoever is asked whether that is meant.
#[derive(Debug)]
pub struct Extent {
    /// The call.
    pub call: Call,
    /// How many recordings of it are known here.
    pub recordings: usize,
    /// How many transcripts of them.
    pub transcripts: usize,
}

/// Returns what would be deleted, or why the call cannot be deleted now.
pub async fn extent(context: &Shared, name: &CallName) -> Result<Extent, Error> {
    let mut conn = context.store.read().await?;
    let facts = facts::read(&mut conn, name).await?.ok_or_else(|| unknown(name))?;
    facts.may_delete()?;
    Ok(Extent { recordings: facts.recordings.len(), transcripts: facts.transcripts.len(), call: facts.call })
}

/// Commits that the call is to be deleted, with the job that deletes it. Repeated while the deletion is pending, it makes
/// the job due at once; a failed job starts over.
pub async fn delete(context: &Shared, name: CallName) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { request(&shared, &name).await }).await
}

async fn request(context: &Shared, name: &CallName) -> Result<(), Error> {
    let requested = context
        .store
        .write(Step::RequestDeletion, name.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            let Some(facts) = facts::read(&mut tx, name).await? else { return Ok((tx, Err(unknown(name)))) };
            match facts.may_delete() {
                Ok(()) | Err(NotDeletable::Deleting) => {}
                Err(refusal) => return Ok((tx, Err(refusal.into()))),
            }
            let id = facts.call.id;
            tx.request_deletion(&id, now).await?;
            tx.open_job(JobKind::Deletion, id.as_str(), now, now).await?;
            Ok((tx, Ok(id)))
        })
        .await?;
    let id = requested?;
    tracing::info!(call = %id, "deletion requested");
    context.job_ready.notify_one();
    context.events.changed(id.as_str());
    Ok(())
}

fn unknown(name: &CallName) -> Error {
    Error::NoSuchCall(name.as_str().to_owned())
}

/// Runs the job of a deletion.
pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let mut conn = context.store.read().await?;
    let call = conn.call(&CallName::Id(id.clone())).await?;
    let Some(call) = call.filter(|call| call.deletion.is_some()) else {
        drop(conn);
        return job::close(context, job).await;
    };
    let recordings = conn.recordings_of(&id).await?;
    let transcripts = conn.transcripts_of(&id).await?;
    drop(conn);
    if is_being_made(&transcripts) {
        return Err(under_way(job));
    }

    // The audio first: nobody can make another transcript of it then.
    let mut audio: BTreeSet<String> = recordings.iter().map(|recording| recording.sid.to_string()).collect();
    if let Some(sid) = &call.sid {
        match context.twilio.recordings_of_call(sid.as_str()).await {
            Ok(listed) => audio.extend(listed.into_iter().map(|recording| recording.sid)),
            Err(error) => gone(Err(error)).map_err(passing)?,
        }
    }
    for sid in &audio {
        gone(context.twilio.delete_recording(sid).await).map_err(passing)?;
    }
    failpoint::reach(Moment::RecordingsDeleted, &job.subject)?;
    for transcript in &transcripts {
        for id in at_assemblyai(context, transcript).await? {
            gone(context.assemblyai.delete_transcript(&id).await).map_err(passing)?;
        }
    }
    failpoint::reach(Moment::TranscriptsDeleted, &job.subject)?;
    if let Some(sid) = &call.sid {
        gone(context.twilio.delete_call(sid.as_str()).await).map_err(passing)?;
    }
    failpoint::reach(Moment::CallDeleted, &job.subject)?;

    let id = &id;
    let is_wiped = context
        .store
        .write(Step::WipeCall, &job.subject, |mut tx| async move {
            let now = context.clock.now_ms();
            // Whoever has lost the job has not seen what was added since.
            if !tx.renew_job(job, job::lease(context)).await? {
                return Err(store::Error::LeaseLost);
            }
            let is_ready = !is_being_made(&tx.transcripts_of(id).await?);
            if is_ready {
                tx.wipe_call(id, now).await?;
            }
            Ok((tx, is_ready))
        })
        .await?;
    if !is_wiped {
        return Err(under_way(job));
    }
    if !context.store.truncate_wal().await? {
        let error = Error::Pending("all is deleted but the database's log, which somebody still reads");
        return Err(JobError::poll_again(error, EMPTY_AGAIN));
    }
    tracing::info!(recordings = audio.len(), transcripts = transcripts.len(), "deleted");
    job::close(context, job).await?;
    context.events.changed(&job.subject);
    Ok(())
}

/// What AssemblyAI has of a transcript: by its id; where that was never seen, by the address of its audio.
async fn at_assemblyai(context: &Shared, transcript: &Transcript) -> Result<Vec<String>, JobError> {
    match (&transcript.transcript_id, &transcript.audio_url, transcript.asked_at) {
        (Some(id), ..) => Ok(vec![id.to_string()]),
        (None, Some(audio_url), Some(asked_at)) => {
            Ok(listing::with_audio(context, audio_url, asked_at).await.map_err(passing)?)
        }
        _ => Ok(Vec::new()),
    }
}

fn is_being_made(transcripts: &[Transcript]) -> bool {
    transcripts.iter().any(|transcript| !transcript.state.is_final())
}

/// What a vendor does not know is deleted.
fn gone(asked: Result<(), clients::Error>) -> Result<(), clients::Error> {
    match asked {
        Err(clients::Error { kind: Kind::NotFound(_), .. }) => Ok(()),
        asked => asked,
    }
}

/// What a vendor refuses now it may do later, when somebody has mended the settings or the call is over there, too.
fn passing(error: clients::Error) -> JobError {
    let retry_after = error.kind.retry_after();
    JobError { error: error.into(), next: Next::Retry(retry_after) }
}

fn under_way(job: &Job) -> JobError {
    let error = Error::Pending("a transcript of the call that was asked for before is being made");
    JobError::poll_again(error, poll_pause(job.polls))
}
