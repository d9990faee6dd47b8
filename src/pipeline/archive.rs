//! The job that copies the audio of a recording to the archive. The key under which it is written is committed first, so that
//! whatever is in the archive can be deleted. Another job, which the start of the program opens, finds the recordings that were
//! made while there was no archive.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Error;
use super::job::{self, JobError, Next, jittered, ms};
use super::request::AudioForm;
use super::right::Right;
use super::upload::{self, Source};
use crate::clients::archive::{Archive, Kept, NotKept};
use crate::clients::twilio::MediaFormat;
use crate::context::{Context, Shared};
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::{Call, CallName};
use crate::model::job::{JobKind, NOT_ARCHIVED};
use crate::model::recording::{Recording, RecordingSid};
use crate::store::{self, Archived, Conn, Job, KeptAudio};

/// How many jobs may be open before those of earlier recordings are opened: few, because others must not wait for them.
const FEW: i64 = 8;

/// The pause before the next look whether there are few.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The pause of a job that finds others copying: many may wait.
const BUSY: Duration = Duration::from_secs(10);

/// The first pause after the archive has failed, and the longest. A job never gives up because of that: a full disk, or a bucket that
/// does not answer, may take days to mend.
const PAUSE: Duration = Duration::from_secs(30);
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
    drop(conn);
    let (Some(recording), Some(call)) = (recording, call) else { return job::close(context, job).await };
    if call.deletion.is_some() {
        return end(context, job, &call, None).await;
    }
    let failing_for = context.archive_fails_until.load(Ordering::Relaxed) - context.clock.now_ms();
    if let Ok(left @ 1..) = u64::try_from(failing_for) {
        let error = Error::Pending("the archive has failed a moment ago");
        return Err(JobError { error, next: Next::Wait(Duration::from_millis(left) + BUSY) });
    }
    // Without a turn, the job makes room for others at once.
    let Ok(_permit) = context.archiving.try_acquire() else {
        let error = Error::Pending("callscribe is copying other recordings to the archive first");
        return Err(JobError { error, next: Next::Wait(BUSY) });
    };
    let form = AudioForm { format: MediaFormat::Wav, channels: None };
    let Source::AtTwilio { wanted, may_mix, is_listed } = upload::source(context, job, &sid, form).await? else {
        return Err(JobError::fail(Error::InOwnStorage));
    };
    let Some(key) = intend(context, job, archive, &recording, &call).await? else {
        return end(context, job, &call, None).await;
    };
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
            NotKept::Archive(error) => {
                let pause = pause(job);
                context.archive_fails_until.store(context.clock.now_ms() + ms(PAUSE), Ordering::Relaxed);
                JobError::poll_again(error.into(), pause)
            }
        })
    };
    let copied = tokio::select! {
        copied = copied => copied,
        // It starts over after the next start.
        () = context.stopping.cancelled() => Err(JobError { error: Error::Stopping, next: Next::Release }),
    };
    let stored = match copied {
        Ok(kept) => store_kept(context, job, archive, &call, &recording, &key, kept).await,
        Err(error) => Err(error),
    };
    // Another instance may have taken the job over, and have deleted the call with what was in the archive by then.
    if stored.is_err() && context.store.read().await?.is_deletion_wanted(&call.id).await? {
        archive.remove(&key).await?;
    }
    stored
}

/// Stores that the archive has all of a recording, and ends the job.
async fn store_kept(
    context: &Shared,
    job: &Job,
    archive: &Archive,
    call: &Call,
    recording: &Recording,
    key: &str,
    Kept { bytes, sha256 }: Kept,
) -> Result<(), JobError> {
    failpoint::reach(Moment::RecordingKept, &job.subject)?;
    let kept =
        KeptAudio { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), sha256, archived_at: context.clock.now_ms() };
    let (recording, archive) = (recording.sid.clone(), archive.name().to_owned());
    let archived = Archived { recording, archive, key: key.to_owned(), kept: Some(kept) };
    end(context, job, call, Some(&archived)).await
}

/// Commits under which key the recording will be in the archive. Returns `None` if it is there.
async fn intend(
    context: &Shared,
    job: &Job,
    archive: &Archive,
    recording: &Recording,
    call: &Call,
) -> Result<Option<String>, JobError> {
    let key = &key(call, &recording.sid);
    let intended = context.store.write(Commit::IntendToArchive, &job.subject, |mut tx| async move {
        if !tx.renew_job(job, job::lease(context)).await? {
            return Err(store::Error::LeaseLost);
        }
        let is_intended = tx.intend_to_archive(&recording.sid, archive.name(), key).await?;
        Ok((tx, is_intended))
    });
    Ok(intended.await?.then(|| key.clone()))
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

/// Opens the jobs of recordings that the archive does not have, few at a time. It starts over with each start of the program.
async fn find_missing(context: &Shared, job: &Job, archive: &Archive) -> Result<(), JobError> {
    let after = context.archive_looked_up_to.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut conn = context.store.read().await?;
    // Itself is open, too.
    let room = FEW + 1 - conn.count_open_jobs(JobKind::Archive).await?;
    let missing = if room > 0 { conn.not_archived(archive.name(), &after, room).await? } else { Vec::new() };
    drop(conn);
    let looked_up_to = missing.last().map_or(after, ToString::to_string);
    if missing.is_empty() && room > 0 {
        return job::close(context, job).await;
    }
    let missing = &missing;
    if !missing.is_empty() {
        let opened = context.store.write(Commit::FindNotArchived, &looked_up_to, |mut tx| async move {
            let now = context.clock.now_ms();
            for sid in missing {
                tx.open_job(JobKind::Archive, sid.as_str(), now, now).await?;
            }
            Ok((tx, ()))
        });
        opened.await?;
    }
    *context.archive_looked_up_to.lock().unwrap_or_else(PoisonError::into_inner) = looked_up_to;
    context.job_ready.notify_one();
    Err(JobError {
        error: Error::Pending("callscribe copies earlier recordings to the archive"),
        next: Next::Wait(LOOK_AGAIN),
    })
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

/// Deletes the copies of a call's recordings that are in the archive of now.
pub(super) async fn delete(context: &Shared, job: &Job, copies: &[Archived]) -> Result<(), JobError> {
    let Some(archive) = &context.archive else { return Ok(()) };
    for copy in copies.iter().filter(|copy| copy.archive == archive.name()) {
        if Right::of_claim(context, job).is_over() {
            return Err(store::Error::LeaseLost.into());
        }
        archive.remove(&copy.key).await.map_err(|error| JobError { error: error.into(), next: Next::Retry(None) })?;
        let subject = copy.recording.as_str();
        let forgotten = context.store.write_unsynced(Commit::ForgetArchived, subject, |mut tx| async move {
            tx.forget_archived(copy).await?;
            Ok((tx, ()))
        });
        forgotten.await?;
    }
    Ok(())
}

/// Returns the first of these copies that is in another archive than that of now.
pub(super) fn elsewhere<'c>(context: &Shared, copies: &'c [Archived]) -> Option<&'c Archived> {
    let now = context.archive.as_ref().map(Archive::name);
    copies.iter().find(|copy| copy.kept.is_some() && Some(copy.archive.as_str()) != now)
}

/// The pause after another failure of the archive.
fn pause(job: &Job) -> Duration {
    let doubled = PAUSE.saturating_mul(1 << job.polls.clamp(0, 10));
    jittered(doubled.min(LONGEST_PAUSE))
}
