//! The job that copies the audio of a recording to the archive. The key under which it is written is committed first, so that
//! whatever is in the archive can be deleted. Another job, which the start of the program opens, finds the recordings that were
//! made while there was no archive.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Error;
use super::job::{self, JobError, Next, jittered};
use super::request::AudioForm;
use super::right::Right;
use super::upload::{self, Source, TURN};
use crate::clients::archive::{Archive, Kept, NotKept};
use crate::clients::twilio::MediaFormat;
use crate::context::{Context, Shared};
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::{Call, CallName};
use crate::model::job::{JobKind, NOT_ARCHIVED};
use crate::model::recording::{Recording, RecordingSid};
use crate::store::{self, Archived, Conn, Job, KeptAudio};

/// Recordings whose jobs are opened with one commit.
const AT_ONCE: i64 = 200;

/// The first pause after the archive has failed, and the longest. A job never gives up because of that: a full disk, or a bucket that
/// does not answer, may take days to mend.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Opens the job that finds what is not archived, if there is an archive.
pub(super) async fn open_missing(tx: &mut Conn, context: &Context, now: i64) -> Result<(), store::Error> {
    if context.archive.is_none() {
        return Ok(());
    }
    tx.open_job(JobKind::Archive, NOT_ARCHIVED, now, now).await
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let Some(archive) = &context.archive else { return job::close(context, job).await };
    if job.subject == NOT_ARCHIVED {
        return find_missing(context, job, archive).await;
    }
    let sid: RecordingSid = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let mut conn = context.store.read().await?;
    let recording = conn.recording(&sid).await?;
    let call = match &recording {
        Some(recording) => conn.call(&CallName::Id(recording.call.clone())).await?,
        None => None,
    };
    let known = conn.archived(&sid, archive.url()).await?;
    drop(conn);
    let (Some(recording), Some(call)) = (recording, call) else { return job::close(context, job).await };
    if call.deletion.is_some() || known.is_some_and(|known| known.kept.is_some()) {
        return end(context, job, &call, None).await;
    }

    let form = AudioForm { format: MediaFormat::Wav, channels: None };
    let Source::AtTwilio { wanted, may_mix, is_listed } = upload::source(context, job, &sid, form).await? else {
        return Err(JobError::fail(Error::InOwnStorage));
    };
    let Ok(Ok(_permit)) = tokio::time::timeout(TURN, context.archiving.acquire()).await else {
        let error = Error::Pending("callscribe is copying other recordings to the archive first");
        return Err(JobError { error, next: Next::Wait(TURN) });
    };
    let key = intend(context, job, archive, &recording, &call).await?;
    let copied = async {
        let media = upload::open(context, job, &sid, &wanted, may_mix, is_listed).await?;
        // An instance that was held up writes nothing any more: the call may have been deleted meanwhile.
        let still_ours = async {
            let is_over = Right::of_claim(context, job).is_over();
            if is_over { Err(store::Error::LeaseLost.into()) } else { Ok(Bytes::new()) }
        };
        let audio = media.bytes.map_err(JobError::from).chain(stream::once(still_ours));
        archive.keep(&key, audio).await.map_err(|error| match error {
            NotKept::Source(error) => error,
            NotKept::Archive(error) => JobError::poll_again(error.into(), pause(job)),
        })
    };
    let kept = tokio::select! {
        kept = copied => kept?,
        // It starts over after the next start.
        () = context.stopping.cancelled() => return Err(JobError { error: Error::Stopping, next: Next::Release }),
    };
    failpoint::reach(Moment::RecordingKept, &job.subject)?;
    let Kept { bytes, sha256 } = kept;
    let kept =
        KeptAudio { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), sha256, archived_at: context.clock.now_ms() };
    let archived = Archived { recording: sid, archive: archive.url().to_owned(), key, kept: Some(kept) };
    match end(context, job, &call, Some(&archived)).await {
        Err(JobError { next: Next::Leave, error }) => {
            // Another instance has taken the job over, and by then the call may have been deleted with what was archived.
            if context.store.read().await?.archived(&archived.recording, archive.url()).await?.is_none() {
                archive.remove(&archived.key).await?;
            }
            Err(JobError { next: Next::Leave, error })
        }
        ended => ended,
    }
}

/// Commits under which key the recording will be in the archive.
async fn intend(
    context: &Shared,
    job: &Job,
    archive: &Archive,
    recording: &Recording,
    call: &Call,
) -> Result<String, JobError> {
    let key = &key(call, &recording.sid);
    let intended = context.store.write(Commit::IntendToArchive, &job.subject, |mut tx| async move {
        if !tx.renew_job(job, job::lease(context)).await? {
            return Err(store::Error::LeaseLost);
        }
        tx.intend_to_archive(&recording.sid, archive.url(), key).await?;
        Ok((tx, ()))
    });
    intended.await?;
    Ok(key.clone())
}

/// Such as `2026/11/29/RE….wav`, by the day of the call in UTC.
fn key(call: &Call, sid: &RecordingSid) -> String {
    let at = Timestamp::from_millisecond(call.created_at).unwrap_or_default().to_zoned(TimeZone::UTC);
    format!("{}/{sid}.wav", at.strftime("%Y/%m/%d"))
}

/// Ends the job, and stores what was archived. A deletion of the call that has waited for that goes on.
async fn end(context: &Shared, job: &Job, call: &Call, archived: Option<&Archived>) -> Result<(), JobError> {
    let stored = context.store.write(Commit::StoreArchived, &job.subject, |mut tx| async move {
        let now = context.clock.now_ms();
        if let Some(archived) = archived {
            tx.mark_archived(archived).await?;
        }
        tx.end_job(job, None, now).await?;
        tx.nudge_job(JobKind::Deletion, call.id.as_str(), now).await?;
        Ok((tx, ()))
    });
    stored.await?;
    if let Some(Archived { recording, kept: Some(kept), .. }) = archived {
        tracing::info!(%recording, bytes = kept.bytes, "archived");
    }
    context.job_ready.notify_one();
    context.events.changed(call.id.as_str());
    Ok(())
}

/// Opens the jobs of recordings that the archive does not have.
async fn find_missing(context: &Shared, job: &Job, archive: &Archive) -> Result<(), JobError> {
    let mut after = String::new();
    loop {
        let missing = context.store.read().await?.not_archived(archive.url(), &after, AT_ONCE).await?;
        let Some(last) = missing.last() else { return job::close(context, job).await };
        after = last.to_string();
        if context.stopping.is_cancelled() {
            return Err(JobError { error: Error::Stopping, next: Next::Release });
        }
        let missing = &missing;
        let opened = context.store.write(Commit::FindNotArchived, &after, |mut tx| async move {
            let now = context.clock.now_ms();
            for sid in missing {
                tx.open_job(JobKind::Archive, sid.as_str(), now, now).await?;
            }
            Ok((tx, ()))
        });
        opened.await?;
        context.job_ready.notify_one();
    }
}

/// Has those jobs of these recordings end that copy them to the archive, because their call is deleted. Returns `true` if
/// none runs any more. The last one to end makes the deletion due.
pub(super) async fn ended(context: &Shared, recordings: &[Recording]) -> Result<bool, store::Error> {
    let (mut conn, mut open) = (context.store.read().await?, Vec::new());
    for Recording { sid, .. } in recordings {
        if conn.job_state(JobKind::Archive, sid.as_str()).await?.is_some_and(|state| state.is_open()) {
            open.push(sid);
        }
    }
    drop(conn);
    let Some(first) = open.first() else { return Ok(true) };
    let open = &open;
    let nudged = context.store.write_unsynced(Commit::PutBackJob, first.as_str(), |mut tx| async move {
        for sid in open {
            tx.nudge_job(JobKind::Archive, sid.as_str(), context.clock.now_ms()).await?;
        }
        Ok((tx, ()))
    });
    nudged.await?;
    context.job_ready.notify_one();
    Ok(false)
}

/// Deletes the copies of a call's recordings.
pub(super) async fn delete(context: &Shared, copies: &[Archived]) -> Result<(), JobError> {
    for copy in copies {
        let Some(archive) = context.archive.as_ref().filter(|archive| archive.url() == copy.archive) else {
            return Err(JobError { error: Error::OtherArchive(copy.archive.clone()), next: Next::Retry(None) });
        };
        archive.remove(&copy.key).await.map_err(|error| JobError { error: error.into(), next: Next::Retry(None) })?;
        // There may be others in an archive that is not named now.
        let subject = copy.recording.as_str();
        let forgotten = context.store.write_unsynced(Commit::ForgetArchived, subject, |mut tx| async move {
            tx.forget_archived(copy).await?;
            Ok((tx, ()))
        });
        forgotten.await?;
    }
    Ok(())
}

/// The pause after another failure of the archive.
fn pause(job: &Job) -> Duration {
    let doubled = PAUSE.saturating_mul(1 << job.polls.clamp(0, 10));
    jittered(doubled.min(LONGEST_PAUSE))
}
