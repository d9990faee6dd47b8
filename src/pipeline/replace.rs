//! Finds and replaces a text in one transcript, or in many. In many, a job does it: each transcript is one step, whose id
//! follows from those of the replacement and of the transcript, so that it is taken once however often the job begins again.

use std::collections::HashSet;

use super::Error;
use super::corrections::{Corrected, Step, Text, id_of, new_id, take};
use super::job::{JobError, Next};
use super::task::{Panicked, run_to_end};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::correction::{Edit, Span, Transcribed, correct};
use crate::model::job::JobKind;
use crate::model::recording::RecordingSid;
use crate::model::replace::{Place, Replacing};
use crate::model::transcript::TranscriptId;
use crate::store::{self, Asked, Filter, Indexed, Job, Replaced, Replacement};

/// How many places are listed. More are replaced all the same.
pub const MOST_PLACES: usize = 1_000;

/// How many places are counted that are like a corrected one.
const MOST_ALIKE: usize = 100;

/// Transcripts after which the progress is stored.
const BATCH: i64 = 100;

/// A place in a transcript, with an id that stays while its words do.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: String,
    pub transcript: TranscriptId,
    /// The recording in which it is said, if it is one of Twilio's.
    pub recording: Option<RecordingSid>,
    pub place: Place,
}

/// Lists the places in a transcript.
pub async fn places_in(context: &Shared, id: &TranscriptId, replacing: &Replacing) -> Result<Vec<Found>, Error> {
    let text = Text::read(&mut context.store.read().await?, id).await?;
    let (id, replacing) = (id.clone(), replacing.clone());
    let found = tokio::task::spawn_blocking(move || {
        let transcribed = text.transcribed()?;
        Ok::<_, Error>(found(&id, &text, &transcribed, &replacing))
    });
    found.await.map_err(|_| Panicked)?
}

fn found(id: &TranscriptId, text: &Text, transcribed: &Transcribed, replacing: &Replacing) -> Vec<Found> {
    let found = |place: Place| {
        let first = transcribed.id(place.from).unwrap_or_default();
        let name = format!("{id}.{first}.{}", place.to - place.from);
        Found { id: name, transcript: id.clone(), recording: text.transcript.playable().cloned(), place }
    };
    replacing.places(&transcribed.words(&text.heard)).into_iter().map(found).collect()
}

/// Lists places in all transcripts that search finds, in the newest calls first, and whether there are more than `most`.
pub async fn places(context: &Shared, asked: &Asked, most: usize) -> Result<(Vec<Found>, bool), Error> {
    let (mut places, mut cursor) = (Vec::new(), None);
    loop {
        let some = indexed(context, asked, cursor).await?;
        if some.is_empty() {
            return Ok((places, false));
        }
        for Indexed { rank, transcript, .. } in some {
            cursor = Some(rank);
            match places_in(context, &transcript, &asked.replacing).await {
                Ok(found) => places.extend(found),
                Err(Error::Deleted | Error::NoSuchTranscript(_)) => {}
                Err(error) => return Err(error),
            }
            if places.len() > most {
                places.truncate(most);
                return Ok((places, true));
            }
        }
    }
}

/// What corrects the places where the same was heard as in one that somebody has corrected, and how many these are.
#[derive(Debug)]
pub struct Alike {
    pub replacing: Replacing,
    /// In the same transcript.
    pub here: usize,
    /// In all transcripts.
    pub everywhere: usize,
    /// Whether there are more.
    pub is_more: bool,
}

/// Finds the places where the same was heard as in those that a correction has changed. `None` if there is nothing that
/// could be corrected alike.
pub async fn alike(context: &Shared, id: &TranscriptId, correction: &str) -> Result<Option<Alike>, Error> {
    let text = Text::read(&mut context.store.read().await?, id).await?;
    let Some(replacing) = text.alike(correction)? else { return Ok(None) };
    let here = places_in(context, id, &replacing).await?.len();
    let asked = Asked::new(replacing.clone(), Vec::new(), String::new(), &Filter::default());
    let (found, is_more) = places(context, &asked, MOST_ALIKE.max(here)).await?;
    Ok(Some(Alike { replacing, here, everywhere: found.len(), is_more }))
}

async fn indexed(context: &Shared, asked: &Asked, after: Option<i64>) -> Result<Vec<Indexed>, store::Error> {
    context.store.read().await?.indexed(asked, after, BATCH).await
}

/// Replaces in one transcript, as one step.
pub async fn replace_in(
    context: &Shared,
    id: &TranscriptId,
    replacing: Replacing,
    except: Vec<String>,
    by: String,
    key: Option<String>,
) -> Result<Corrected, Error> {
    let step = match key {
        Some(key) => Step::with_key(id, &key, by),
        None => Step { id: new_id(), by, replacement: None },
    };
    let (shared, id) = (context.clone(), id.clone());
    run_to_end(context, async move { replace(&shared, &id, step, replacing, except.into_iter().collect()).await }).await
}

async fn replace(
    context: &Shared,
    id: &TranscriptId,
    step: Step,
    replacing: Replacing,
    except: HashSet<String>,
) -> Result<Corrected, Error> {
    let named = id.clone();
    let find = move |text: &Text| -> Result<Vec<Span>, Error> {
        let transcribed = text.transcribed()?;
        let places = found(&named, text, &transcribed, &replacing);
        let wanted = places.into_iter().filter(|found| !except.contains(&found.id)).map(|Found { place, .. }| {
            let Place { from, to, text: new, .. } = place;
            let edit = Edit { from, to, text: Some(new), ..Edit::default() };
            Ok(correct(&transcribed, &text.heard, &edit)?)
        });
        wanted.collect()
    };
    take(context, id, step, find).await
}

/// Begins to replace in many transcripts. With the same key, it begins once.
pub async fn begin(context: &Shared, asked: Asked, by: String, key: Option<String>) -> Result<Replacement, Error> {
    let total = context.store.read().await?.count_indexed(&asked).await?;
    start(context, None, Some(asked), total, by, key).await
}

/// Begins to undo a replacement, as far as its words have not changed since.
pub async fn undo(context: &Shared, id: &str, by: String) -> Result<Replacement, Error> {
    let undone = get(context, id).await?;
    if !undone.is_done {
        return Err(Error::Pending("the replacement still runs; undo it when it has ended"));
    }
    start(context, Some(undone.id), None, undone.transcripts, by, None).await
}

async fn start(
    context: &Shared,
    undoes: Option<String>,
    asked: Option<Asked>,
    total: i64,
    made_by: String,
    key: Option<String>,
) -> Result<Replacement, Error> {
    let id = key.map_or_else(new_id, |key| id_of(&format!("replacement {key}")));
    let made_at = context.clock.now_ms();
    let new = Replacement {
        id,
        undoes,
        asked,
        made_at,
        made_by,
        total,
        looked_at: 0,
        transcripts: 0,
        places: 0,
        after_rank: None,
        after_order: None,
        is_done: false,
        reason: None,
    };
    let (shared, begun) = (context.clone(), new.clone());
    run_to_end(context, async move {
        let begun = &begun;
        shared
            .store
            .write(Commit::BeginReplacement, &begun.id, |mut tx| async move {
                if tx.add_replacement(begun).await? {
                    tx.open_job(JobKind::Replacement, &begun.id, made_at, made_at).await?;
                }
                Ok((tx, ()))
            })
            .await?;
        shared.job_ready.notify_one();
        Ok::<_, Error>(())
    })
    .await?;
    get(context, &new.id).await
}

/// Reads how far a replacement is.
pub async fn get(context: &Shared, id: &str) -> Result<Replacement, Error> {
    let found = context.store.read().await?.replacement(id).await?;
    found.ok_or_else(|| Error::NoSuchReplacement(id.to_owned()))
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let Some(mut replacement) = context.store.read().await?.replacement(&job.subject).await? else {
        return end(context, job).await;
    };
    loop {
        let looked_at = step(context, &mut replacement).await?;
        if looked_at == 0 {
            return end(context, job).await;
        }
        replacement.looked_at += looked_at;
        let (id, advanced) = (&replacement.id, &replacement);
        context
            .store
            .write_unsynced(Commit::AdvanceReplacement, id, |mut tx| async move {
                tx.advance_replacement(advanced).await?;
                Ok((tx, ()))
            })
            .await?;
        context.events.changed(id);
        if context.stopping.is_cancelled() {
            return Err(JobError { error: Error::Stopping, next: Next::Release });
        }
    }
}

/// Corrects the next transcripts. Returns how many it looked at.
async fn step(context: &Shared, replacement: &mut Replacement) -> Result<i64, Error> {
    let id = replacement.id.clone();
    let step = |transcript: &TranscriptId| Step {
        replacement: Some(id.clone()),
        ..Step::with_key(transcript, &format!("replacement {id}"), replacement.made_by.clone())
    };
    let mut looked_at = 0;
    if let Some(undone) = &replacement.undoes {
        let some = context.store.read().await?.replaced_by(undone, replacement.after_order.as_ref(), BATCH).await?;
        for Replaced { order, transcript, correction } in some {
            looked_at += 1;
            let find = move |text: &Text| text.undone_where_unchanged(&correction);
            there(take(context, &transcript, step(&transcript), find).await)?;
            replacement.after_order = Some(order);
        }
        return Ok(looked_at);
    }
    let Some(asked) = replacement.asked.clone() else { return Ok(0) };
    for Indexed { rank, transcript, .. } in indexed(context, &asked, replacement.after_rank).await? {
        looked_at += 1;
        let except = asked.except.iter().cloned().collect();
        there(replace(context, &transcript, step(&transcript), asked.replacing.clone(), except).await)?;
        replacement.after_rank = Some(rank);
    }
    Ok(looked_at)
}

/// A transcript that was deleted meanwhile is left out.
fn there(taken: Result<Corrected, Error>) -> Result<(), Error> {
    match taken {
        Ok(_) | Err(Error::Deleted | Error::NoSuchTranscript(_) | Error::NotCompleted { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn end(context: &Shared, job: &Job) -> Result<(), JobError> {
    context
        .store
        .write(Commit::CloseJob, &job.subject, |mut tx| async move {
            tx.end_replacement(&job.subject, None).await?;
            tx.end_job(job, None, context.clock.now_ms()).await?;
            Ok((tx, ()))
        })
        .await?;
    context.events.changed(&job.subject);
    Ok(())
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error => Self { error, next: Next::Retry(None) },
        }
    }
}
