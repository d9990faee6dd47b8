//! Files that clients send in pieces, which the [`crate::spool`] holds. The job of one that is complete sends it on to
//! AssemblyAI as one stream, orders its transcript and removes it.

use std::fs::File;
use std::io::Read as _;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::asked::Asked;
use super::job::{self, JobError, Next};
use super::ordering::{self, Source};
use super::task::Panicked;
use super::upload::TURN;
use super::{Error, task};
use crate::context::Shared;
use crate::failpoint::{self, Commit, Moment};
use crate::model::call::CallId;
use crate::model::job::{JobKind, JobStatus};
use crate::model::keyterms::Keyterms;
use crate::model::name::Name;
use crate::model::spooled::{FileId, SpooledState};
use crate::model::transcript::OrderId;
use crate::spool::{self, Note, Spool};
use crate::store::{self, Job};

/// Pieces of a body that wait for the disk.
const WAITING_PIECES: usize = 8;

/// Bytes that are read of a file at once.
const PIECE: usize = 256 << 10;

/// What a file is for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Transcript(Order),
    Ordered { call: String, was_there: bool },
}

/// What to order for a file, as its note has it.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    file_name: String,
    title: Option<String>,
    tag: Option<String>,
    keyterms: Vec<String>,
    parameters: Map<String, Value>,
    again: bool,
    /// Missing in the notes of earlier versions.
    #[serde(default)]
    by: String,
    #[serde(default)]
    key: Option<String>,
}

/// A file that is sent in pieces, and what is wanted of it.
#[derive(Debug)]
pub struct Wanted {
    pub length: u64,
    pub file_name: String,
    pub title: Option<Name>,
    pub tag: Option<Name>,
    pub keyterms: Keyterms,
    pub parameters: Map<String, Value>,
    pub again: bool,
    pub asked: Asked,
}

/// How far a file is.
#[derive(Debug)]
pub struct Spooled {
    pub length: u64,
    /// How many bytes of it were received.
    pub offset: u64,
    pub state: SpooledState,
    /// Why it has failed, or what it waits for.
    pub reason: Option<String>,
    /// What it has become, once its transcript is ordered.
    pub call: Option<CallId>,
    /// Whether the same file was there before.
    pub was_there: bool,
    /// When it is removed, in milliseconds since 1970.
    pub expires_at: i64,
}

/// Begins a file. Its bytes come later.
pub async fn begin(context: &Shared, wanted: Wanted) -> Result<FileId, Error> {
    let Wanted { length, file_name, title, tag, keyterms, parameters, again, asked } = wanted;
    let text = |name: Name| name.to_string();
    let order = Order {
        file_name,
        title: title.map(text),
        tag: tag.map(text),
        keyterms: keyterms.as_slice().to_vec(),
        parameters,
        again,
        by: asked.by,
        key: asked.key,
    };
    let now = context.clock.now_ms();
    let (id, note) = (FileId::new(now), Note { length, created_at: now, purpose: Purpose::Transcript(order) });
    on_disk(context, move |spool| {
        spool.purge(now)?;
        spool.begin(&id, &note)?;
        Ok(id)
    })
    .await
}

/// Appends bytes to a file. Returns how many it has then. If the stream breaks, the file keeps what has arrived. The last bytes
/// begin the job. If that fails, an empty stream begins it later.
pub async fn append<S, E>(context: &Shared, id: &FileId, offset: u64, bytes: S) -> Result<u64, E>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: From<Error>,
{
    let of = id.clone();
    let mut file = on_disk(context, move |spool| spool.append(&of, offset)).await?;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(WAITING_PIECES);
    let writing = spawn_blocking(move || {
        let mut written = Ok(());
        while let Some(bytes) = receiver.blocking_recv()
            && written.is_ok()
        {
            written = file.write(&bytes);
        }
        // What is there is kept in any case.
        let finished = file.finish();
        written.and(finished)
    });
    let mut bytes = std::pin::pin!(bytes);
    let broken = loop {
        let next = tokio::select! {
            next = bytes.next() => next,
            () = context.stopping.cancelled() => break Some(Error::Stopping.into()),
        };
        match next {
            Some(Ok(piece)) => {
                // The disk takes no more.
                if sender.send(piece).await.is_err() {
                    break None;
                }
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    drop(sender);
    let written = writing.await.map_err(|_| Error::from(Panicked))?.map_err(Error::from);
    if let Some(broken) = broken {
        return Err(broken);
    }
    let (received, is_whole) = written?;
    if is_whole {
        open_job(context, id).await?;
    }
    Ok(received)
}

async fn open_job(context: &Shared, id: &FileId) -> Result<(), Error> {
    let subject = subject(&context.spool, id);
    let (shared, id) = (Shared::clone(context), id.clone());
    task::run_to_end(context, async move {
        let (context, subject) = (&shared, subject.as_str());
        let opened = context.store.write(Commit::ReceiveFile, subject, |mut tx| async move {
            let now = context.clock.now_ms();
            tx.open_job(JobKind::File, subject, now, now).await?;
            Ok((tx, ()))
        });
        opened.await?;
        context.job_ready.notify_one();
        context.events.changed(id.as_str());
        Ok(())
    })
    .await
}

/// Returns how far a file is.
pub async fn state(context: &Shared, id: &FileId) -> Result<Spooled, Error> {
    let of = id.clone();
    let (note, received) =
        on_disk(context, move |spool| Ok((spool.note::<Purpose>(&of)?, spool.received(&of)?))).await?;
    let Some(Note { length, created_at, purpose }) = note else { return Err(spool::Error::NoSuchFile.into()) };
    let mut spooled = Spooled {
        length,
        offset: received.unwrap_or(length),
        state: SpooledState::Receiving,
        reason: None,
        call: None,
        was_there: false,
        expires_at: created_at + job::ms(spool::KEPT_FOR),
    };
    match purpose {
        Purpose::Ordered { call, was_there } => {
            spooled.state = SpooledState::Ordered;
            (spooled.call, spooled.was_there) = (call.parse().ok(), was_there);
        }
        Purpose::Transcript(_) if spooled.offset == length => {
            let subject = subject(&context.spool, id);
            let job = context.store.read().await?.job_state(JobKind::File, &subject).await?;
            (spooled.state, spooled.reason) = match job.map(|job| (job.status, job.reason)) {
                Some((JobStatus::Open, reason)) => (SpooledState::Sending, reason),
                Some((JobStatus::Failed, reason)) => (SpooledState::Failed, reason),
                // Its end was not stored.
                Some((JobStatus::Done, _)) => (SpooledState::Receiving, None),
                None => {
                    // The connection broke, or the program was killed, after the last byte was stored.
                    open_job(context, id).await?;
                    (SpooledState::Sending, None)
                }
            };
        }
        Purpose::Transcript(_) => {}
    }
    Ok(spooled)
}

/// Removes a file with its note. What is ordered already stays so.
pub async fn cancel(context: &Shared, id: &FileId) -> Result<(), Error> {
    let of = id.clone();
    on_disk(context, move |spool| {
        if spool.note::<Purpose>(&of)?.is_some() { spool.remove(&of) } else { Err(spool::Error::NoSuchFile) }
    })
    .await?;
    context.events.changed(id.as_str());
    Ok(())
}

/// Removes files that nobody has finished in time, and begins the jobs that complete ones lack, because the connection broke, or
/// the program was killed, after the last byte was stored.
pub async fn clean_up(context: &Shared) -> Result<(), Error> {
    let now = context.clock.now_ms();
    let whole = on_disk(context, move |spool| {
        spool.purge(now)?;
        spool.whole()
    });
    for id in whole.await? {
        let subject = subject(&context.spool, &id);
        if context.store.read().await?.job_state(JobKind::File, &subject).await?.is_none() {
            open_job(context, &id).await?;
        }
    }
    Ok(())
}

/// Sends a complete file on and orders its transcript.
pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let (spool, id) = job.subject.split_once('.').ok_or(store::Error::Unreadable("jobs.subject"))?;
    let id: FileId = id.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    if spool != context.spool.id().as_str() {
        if context.clock.now_ms() - job.created_at > job::ms(spool::KEPT_FOR) {
            return job::close(context, job).await;
        }
        let error = Error::Pending("another instance of callscribe has the file");
        return Err(JobError { error, next: Next::Wait(TURN) });
    }
    let ended = tokio::select! {
        ended = send_on(context, job, &id) => ended,
        // It starts over after the next start.
        () = context.stopping.cancelled() => Err(JobError { error: Error::Stopping, next: Next::Release }),
    };
    ended?;
    context.events.changed(id.as_str());
    job::close(context, job).await
}

async fn send_on(context: &Shared, job: &Job, id: &FileId) -> Result<(), JobError> {
    // Nobody wants it any more, or its transcript is ordered.
    let Some((note, order)) = order_of(context, id).await? else { return Ok(()) };
    let Ok(_permit) = tokio::time::timeout(TURN, context.transfers.acquire()).await else {
        let error = Error::Pending("callscribe is uploading other recordings to AssemblyAI first");
        return Err(JobError { error, next: Next::Wait(TURN) });
    };
    failpoint::reach(Moment::UploadStarts, &job.subject)?;
    let of = id.clone();
    let file = on_disk(context, move |spool| spool.read(&of)).await.map_err(job_error)?;
    let uploaded =
        ordering::upload::<_, Error>(context, pieces(file)).await.map_err(job_error)?.named(&order.file_name);
    failpoint::reach(Moment::UploadAnswered, &job.subject)?;
    // Somebody may have canceled it meanwhile.
    if order_of(context, id).await?.is_none() {
        return Ok(());
    }
    let name = |text: Option<String>| text.and_then(|text| Name::beginning(&text));
    let request = ordering::Request {
        source: Source::File(uploaded),
        keyterms: Keyterms::from_terms(order.keyterms),
        parameters: order.parameters,
        again: order.again,
        title: name(order.title),
        tag: name(order.tag),
        asked: Asked { by: order.by, key: order.key },
    };
    // If the program is killed before the end is noted, this runs again, and must not order another one.
    let order_id = OrderId::from(id.to_string());
    let ordered = ordering::order(context, request, order_id).await.map_err(job_error)?;
    failpoint::reach(Moment::FileOrdered, &job.subject)?;
    let was_there = ordered.created_at < note.created_at;
    let purpose = Purpose::Ordered { call: ordered.call.to_string(), was_there };
    let (of, note) = (id.clone(), Note { length: note.length, created_at: note.created_at, purpose });
    on_disk(context, move |spool| spool.end(&of, &note)).await.map_err(job_error)
}

/// Returns what to order for a file. `None` if it is gone, or ordered.
async fn order_of(context: &Shared, id: &FileId) -> Result<Option<(Note<()>, Order)>, JobError> {
    let of = id.clone();
    let note = on_disk(context, move |spool| spool.note::<Purpose>(&of)).await.map_err(job_error)?;
    Ok(note.and_then(|Note { length, created_at, purpose }| match purpose {
        Purpose::Transcript(order) => Some((Note { length, created_at, purpose: () }, order)),
        Purpose::Ordered { .. } => None,
    }))
}

/// The bytes of a file, in pieces.
fn pieces(file: File) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let read = spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(|_| Error::from(Panicked))?.map_err(spool::Error::from)?;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    })
}

/// What follows an error of a file's job.
fn job_error(error: Error) -> JobError {
    match error {
        Error::Vendor(error) => error.into(),
        Error::Store(error) => error.into(),
        Error::Stopping => JobError { error, next: Next::Release },
        Error::Pending(_) | Error::Spool(_) | Error::Panicked => JobError { error, next: Next::Retry(None) },
        error => JobError::fail(error),
    }
}

/// Names a file's job, which only the instance that has the file can run.
fn subject(spool: &Spool, id: &FileId) -> String {
    format!("{}.{id}", spool.id())
}

/// Uses the spool, which may wait for the disk.
async fn on_disk<T: Send + 'static>(
    context: &Shared,
    task: impl FnOnce(&Spool) -> Result<T, spool::Error> + Send + 'static,
) -> Result<T, Error> {
    let spool = context.spool.clone();
    Ok(spawn_blocking(move || task(&spool)).await.map_err(|_| Error::from(Panicked))??)
}
