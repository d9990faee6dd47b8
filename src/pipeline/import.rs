//! The job of an import: it lists the recordings that the Twilio account has, and then orders their transcripts, some at a time,
//! so that calls that are recorded meanwhile do not wait for them. The orders have jobs of their own.

use std::time::Duration;

use futures_util::future::join_all;

use super::importable::{self, Page, lack_at_twilio};
use super::job::{self, JobError, Next};
use super::request::{self, TranscriptRequest};
use super::{Error, imports, ingest, lookup, retry};
use crate::clients::{self, Kind};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::import::{ImportId, ImportState, ItemState};
use crate::model::job::JobKind;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, TranscriptState};
use crate::store::{self, Conn, Here, Import, ImportItem, Job};

/// Recordings on a page of Twilio's list. They are stored with one commit, and others wait for it.
const PAGE: usize = 50;

/// The pause before the job looks whether there is room again: nothing makes it due when AssemblyAI takes an order, although
/// that makes room.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The pause when all is ordered. The end of an order makes the job due.
const LOOK_AT_ENDS: Duration = Duration::from_secs(60);

/// Runs the job until it has to wait.
pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: ImportId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    loop {
        if context.stopping.is_cancelled() {
            return Err(JobError { error: Error::Stopping, next: Next::Release });
        }
        let import = context.store.read().await?.import(&id).await?;
        let Some(import) = import.filter(|import| import.state.is_active()) else {
            return job::close(context, job).await;
        };
        if import.is_listed {
            order(context, &id).await?;
        } else {
            list(context, &import).await?;
        }
    }
}

/// Stores the pages of Twilio's list, until the last one or until somebody pauses the import.
async fn list(context: &Shared, import: &Import) -> Result<(), JobError> {
    let mut import = import.clone();
    let calls = importable::calls_of_number(context, &import.filter).await.map_err(retried)?;
    loop {
        if import.pages.unsigned_abs() as usize * PAGE >= importable::MOST {
            return Err(JobError::fail(Error::TooManyListed(importable::MOST)));
        }
        let next = import.next_page.as_deref();
        let page = match importable::page(context, &import.filter, calls.as_ref(), PAGE, next).await {
            // Twilio does not know the page any more.
            Err(Error::Vendor(error)) if next.is_some() && is_refused(&error) => {
                let again = context.store.write(Commit::StoreImportPage, import.id.as_str(), |mut tx| {
                    let id = &import.id;
                    async move {
                        tx.list_import_again(id).await?;
                        Ok((tx, ()))
                    }
                });
                again.await?;
                return Err(JobError { error: error.into(), next: Next::Retry(None) });
            }
            page => page.map_err(retried)?,
        };
        let page = with_numbers(context, &import.id, page).await?;
        let subject = format!("{} {}", import.id, import.pages);
        let (of, items, next) = (&import, &page.items, page.next.as_deref());
        let stored = context.store.write(Commit::StoreImportPage, &subject, |mut tx| async move {
            let is_stored = tx.add_import_page(of, items, next, context.clock.now_ms()).await?;
            Ok((tx, is_stored))
        });
        let is_stored = stored.await?;
        context.events.changed(import.id.as_str());
        if !is_stored || page.next.is_none() || context.stopping.is_cancelled() {
            return Ok(());
        }
        import.pages += 1;
        import.next_page = page.next;
    }
}

/// Adds the numbers of recordings that are left out, as many as a page shows.
async fn with_numbers(context: &Shared, id: &ImportId, mut page: Page) -> Result<Page, JobError> {
    if page.unusable.is_empty() {
        return Ok(page);
    }
    let known = context.store.read().await?.count_numbered(id).await?;
    let missing = usize::try_from(imports::MOST_LEFT_OUT - known).unwrap_or_default();
    for (at, call) in page.unusable.iter().take(missing) {
        page.items[*at].number = importable::party_of(context, Some(call)).await;
    }
    Ok(page)
}

/// Orders the transcripts of the next recordings, or finds that all are made.
async fn order(context: &Shared, id: &ImportId) -> Result<(), JobError> {
    let mut conn = context.store.read().await?;
    let open = conn.open_import_orders(id).await?;
    let waiting = conn.import_items(id, ItemState::Waiting, open.room()).await?;
    drop(conn);
    if waiting.is_empty() && open.all == 0 {
        let ended = context.store.write(Commit::EndImport, id.as_str(), |mut tx| async move {
            tx.lock_import(id).await?;
            // Somebody may have begun to retry what failed.
            if tx.import_items(id, ItemState::Waiting, 1).await?.is_empty() && tx.open_import_orders(id).await?.all == 0
            {
                tx.move_import(id, ImportState::Running, ImportState::Done, None, context.clock.now_ms()).await?;
            }
            Ok((tx, ()))
        });
        ended.await?;
        context.events.changed(id.as_str());
        return Ok(());
    }
    if waiting.is_empty() {
        // Where there is room and nothing waits, all are ordered.
        let pause = if open.room() > 0 { LOOK_AT_ENDS } else { LOOK_AGAIN };
        return Err(JobError::poll_again(Error::Pending("transcripts of the import are being made"), pause));
    }
    // At the same time, so that they share the waits for Twilio and for the disk. Each comes to its end, whatever becomes of the
    // others.
    let ordering = waiting.iter().map(|item| async move {
        match &item.order {
            Some(order) => retry_one(context, id, &item.recording, order).await,
            None => order_one(context, id, item).await,
        }
    });
    let ordered = join_all(ordering).await.into_iter().collect();
    context.events.changed(id.as_str());
    ordered
}

/// Orders the transcript of a recording, under Twilio's dates, or stores why it has none.
async fn order_one(context: &Shared, id: &ImportId, item: &ImportItem) -> Result<(), JobError> {
    let sid = &item.recording;
    let found = match context.twilio.recording(sid.as_str()).await {
        Ok(found) => found,
        Err(error) if matches!(error.kind, Kind::NotFound(_)) => {
            return leave(context, id, sid, ItemState::Skipped, (importable::DELETED, None)).await;
        }
        Err(error) if is_refused(&error) => {
            return leave(context, id, sid, ItemState::Failed, (&Error::from(error).explanation(), None)).await;
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(why) = lack_at_twilio(context, &found) {
        let number = importable::party_of(context, importable::call_sid(&found).as_ref()).await;
        return leave(context, id, sid, ItemState::Skipped, (&why, number.as_deref())).await;
    }
    let call = match importable::call_sid(&found) {
        Some(call) => lookup::call_if_kept(context, &call).await?,
        None => None,
    };
    // To follow the call would transcribe what else is recorded in it, which nobody has confirmed.
    if let Some(call) = call.as_ref().filter(|call| call.is_up()) {
        let number = importable::party(call);
        return leave(context, id, sid, ItemState::Skipped, ("its call is not over", number.as_deref())).await;
    }
    let request = TranscriptRequest::of_recording(context, sid);
    let (new, found, call) = (&request.new_transcript(context.clock.now_ms()), &found, call.as_ref());
    lookup::keep(context, sid, found);
    let subject = format!("{id} {sid}");
    let ordered = context.store.write(Commit::OrderImported, &subject, |mut tx| async move {
        let now = context.clock.now_ms();
        // Somebody may have paused it, and another instance may have the job.
        let import = tx.import(id).await?;
        if !import.is_some_and(|import| import.state == ImportState::Running)
            || !tx.order_import_item(id, sid, &new.id).await?
        {
            return Ok((tx, None));
        }
        let here = tx.recordings_here(&[sid.as_str()]).await?.remove(sid.as_str()).unwrap_or_default();
        let mut why = importable::lack_here(here);
        let mut call_of_it = None;
        if why.is_none() {
            match ingest::imported(&mut tx, context, id, call, found, now).await? {
                None => why = Some("its call is deleted here"),
                Some(_) if !tx.add_transcript(new).await? => why = Some(importable::ALREADY),
                Some(known) => {
                    tx.open_job(JobKind::Transcript, new.id.as_str(), now, now).await?;
                    call_of_it = Some(known);
                }
            }
        }
        if let Some(why) = why {
            tx.leave_import_item(id, sid, ItemState::Skipped, (why, None), now).await?;
        }
        Ok((tx, call_of_it))
    });
    let ordered = ordered.await?;
    if let Some(call) = ordered {
        tracing::info!(call = %call, recording = %sid, import = %id, "ordered the transcript of an imported recording");
        context.job_ready.notify_one();
        context.events.changed(call.as_str());
    }
    Ok(())
}

/// Begins a new attempt at a transcript that failed, unless somebody has got one of its recording, or deleted its call.
async fn retry_one(context: &Shared, id: &ImportId, sid: &RecordingSid, order: &OrderId) -> Result<(), JobError> {
    let subject = format!("{id} {sid}");
    let retried = context.store.write(Commit::OrderImported, &subject, |mut tx| async move {
        let now = context.clock.now_ms();
        let import = tx.import(id).await?;
        if !import.is_some_and(|import| import.state == ImportState::Running)
            || !tx.order_import_item(id, sid, order).await?
        {
            return Ok((tx, ()));
        }
        let here = tx.recordings_here(&[sid.as_str()]).await?.remove(sid.as_str()).unwrap_or_default();
        let lack = importable::lack_here(Here { has_failed: false, ..here });
        match tx.transcript_by_id(order).await? {
            Some(failed) if lack.is_none() && failed.state == TranscriptState::Failed => {
                tx.begin_attempt(&failed, request::is_void(&failed), retry::RETRIED, now).await?;
                tx.open_job(JobKind::Transcript, order.as_str(), now, now).await?;
            }
            // Somebody retries it on the page of its call.
            Some(open) if !here.is_deleted && !open.state.is_final() => {}
            _ => {
                let why = lack.unwrap_or(importable::ALREADY);
                tx.leave_import_item(id, sid, ItemState::Skipped, (why, None), now).await?;
            }
        }
        Ok((tx, ()))
    });
    retried.await?;
    context.job_ready.notify_one();
    context.events.changed(id.as_str());
    Ok(())
}

async fn leave(
    context: &Shared,
    id: &ImportId,
    sid: &RecordingSid,
    state: ItemState,
    why: (&str, Option<&str>),
) -> Result<(), JobError> {
    let subject = format!("{id} {sid}");
    let left = context.store.write(Commit::OrderImported, &subject, |mut tx| async move {
        tx.leave_import_item(id, sid, state, why, context.clock.now_ms()).await?;
        Ok((tx, ()))
    });
    Ok(left.await?)
}

fn is_refused(error: &clients::Error) -> bool {
    matches!(error.kind, Kind::NotFound(_) | Kind::Rejected(_) | Kind::BadBody { .. })
}

/// Twilio may answer later what it refuses now, and nothing is lost meanwhile.
fn retried(error: Error) -> JobError {
    match error {
        Error::Vendor(error) if is_refused(&error) => JobError { error: error.into(), next: Next::Retry(None) },
        Error::Vendor(error) => error.into(),
        Error::Store(error) => error.into(),
        error => JobError::fail(error),
    }
}

/// Pauses the import when its job has failed for good, so that somebody can resume it.
pub(super) async fn give_up(tx: &mut Conn, job: &Job, reason: &str, now: i64) -> Result<(), store::Error> {
    let id: ImportId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    for active in [ImportState::Listing, ImportState::Running] {
        tx.move_import(&id, active, ImportState::Paused, Some(reason), now).await?;
    }
    Ok(())
}
