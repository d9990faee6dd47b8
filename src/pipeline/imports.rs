//! Imports: bringing the recordings that the Twilio account already has here. First somebody learns how many there are and what
//! they cost; once confirmed, a job (`pipeline::import`) carries it out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::asked::Asked;
use super::job::ms;
use super::task::run_to_end;
use super::{Error, importable, price, request};
use crate::clients;
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::import::{ImportFilter, ImportId, ImportState, ItemState};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::standing::NothingToRetry;
use crate::store::{Conn, Done, Import, ImportCounts, LeftOut};

/// Recordings that are read at once to count them: the largest page of Twilio's.
const PAGE: usize = 1_000;

/// How long a look may take. A client that waits for it sees nothing meanwhile, and a proxy in between gives up after a
/// minute.
const LOOK_WITHIN: Duration = Duration::from_secs(30);

/// The speed is that of this last stretch of time.
const LATELY: Duration = Duration::from_secs(5 * 60);

/// Maximum number of recordings that are listed as failed or skipped.
pub(super) const MOST_LEFT_OUT: i64 = 100;

/// What an import would bring.
#[derive(Debug, Default, Clone)]
pub struct Look {
    /// Recordings that would be transcribed, and their length.
    pub recordings: i64,
    pub seconds: i64,
    /// Those that have a transcript here.
    pub already: i64,
    /// Those that would be skipped for another reason.
    pub skipped: i64,
    /// Why, and how many for each reason.
    pub skipped_because: BTreeMap<String, i64>,
    /// US dollars, if the price of the model is known.
    pub cost: Option<f64>,
}

/// What somebody does with an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    Pause,
    Resume,
    Cancel,
    /// What failed is ordered once more.
    Retry,
}

/// How far an import is.
#[derive(Debug)]
pub struct ImportProgress {
    pub import: Import,
    pub counts: ImportCounts,
    /// Why recordings were skipped, and how many for each reason.
    pub skipped_because: Vec<(String, i64)>,
    /// US dollars for all that is not skipped, if the price of the model is known; for what is done; and for what failed, which is
    /// paid only if it is retried and done.
    pub cost: Option<f64>,
    pub cost_so_far: Option<f64>,
    pub cost_of_failed: Option<f64>,
    /// Recordings that came to their end in a minute, in the last minutes. `None` while nothing is ordered.
    pub per_minute: Option<f64>,
    /// How long the rest takes at that speed.
    pub left_seconds: Option<i64>,
}

/// Reads Twilio's list, and says what an import would bring. Orders nothing. A list that takes too long is an error that says how
/// far it was read.
pub async fn look(context: &Shared, filter: &ImportFilter) -> Result<Look, Error> {
    let began = context.clock.now_ms();
    let calls = importable::calls_of_number(context, filter).await?;
    let (mut look, mut next, mut pages, mut oldest) = (Look::default(), None::<String>, 0, None);
    loop {
        let page = importable::page(context, filter, calls.as_ref(), PAGE, next.as_deref()).await?;
        for item in page.items {
            oldest = Some(item.made_at);
            match (item.state, item.reason) {
                (ItemState::Skipped, Some(reason)) if reason == importable::ALREADY => look.already += 1,
                (ItemState::Skipped, reason) => {
                    look.skipped += 1;
                    *look.skipped_because.entry(reason.unwrap_or_default()).or_default() += 1;
                }
                _ => {
                    look.recordings += 1;
                    look.seconds += item.seconds;
                }
            }
        }
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
        if pages * PAGE >= importable::MOST {
            return Err(Error::TooManyListed(importable::MOST));
        }
        if context.clock.now_ms() - began > ms(LOOK_WITHIN) {
            let since = oldest.and_then(|oldest| Timestamp::from_millisecond(oldest).ok());
            return Err(Error::TooLongToCount { read: pages * PAGE, since });
        }
        if context.stopping.is_cancelled() {
            return Err(Error::Stopping);
        }
    }
    look.cost = cost(context, look.seconds);
    Ok(look)
}

/// US dollars for this much audio, by the first model that is asked for.
fn cost(context: &Context, seconds: i64) -> Option<f64> {
    let parameters = request::parameters(context, Map::new(), &Keyterms::default());
    let model = request::models_of(&parameters)?.into_iter().next()?;
    price::rate(context, &model, &parameters).map(|price| price * seconds as f64 / 3_600.0)
}

/// The id of the import that this key begins.
pub fn id_of(key: &str) -> ImportId {
    let digest = Sha256::digest(format!("import {key}"));
    let half = digest.first_chunk().copied().unwrap_or_default();
    ImportId::of(u128::from_be_bytes(half))
}

/// A new id.
pub fn new_id() -> ImportId {
    ImportId::of(Uuid::new_v4().as_u128())
}

/// Begins an import. With the same id it begins once. It ends with the recordings that there are now. `asked` is what was asked
/// for, in some form that is the same for the same.
pub async fn begin(
    context: &Shared,
    id: ImportId,
    filter: &ImportFilter,
    asked: &str,
    by: String,
) -> Result<Import, Error> {
    let (asked, now) = (clients::hex(&Sha256::digest(asked)), context.clock.now_ms());
    let new = Import {
        id,
        asked: asked.clone(),
        filter: ImportFilter { until: filter.until.min(now), ..filter.clone() },
        state: ImportState::Listing,
        reason: None,
        pages: 0,
        next_page: None,
        is_listed: false,
        running_since: None,
        made_at: now,
        made_by: by,
    };
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let import = &new;
        let begun = shared.store.write(Commit::BeginImport, import.id.as_str(), |mut tx| async move {
            if tx.add_import(import).await? {
                tx.open_job(JobKind::Import, import.id.as_str(), now, now).await?;
            }
            Ok((tx, ()))
        });
        begun.await?;
        shared.job_ready.notify_one();
        let known = get(&mut shared.store.read().await?, &import.id).await?;
        if known.asked == asked { Ok(known) } else { Err(Error::OtherImport(known.id.to_string())) }
    })
    .await
}

async fn get(conn: &mut Conn, id: &ImportId) -> Result<Import, Error> {
    conn.import(id).await?.ok_or_else(|| Error::NoSuchImport(id.to_string()))
}

/// Pauses, resumes or cancels an import, or orders once more what failed. What is ordered comes to its end. Repeated, it changes nothing.
pub async fn steer(context: &Shared, id: &ImportId, steering: Steering) -> Result<(), Error> {
    steer_once(context, id, steering, None).await
}

/// Orders once more what has failed in an import.
pub async fn retry(context: &Shared, id: &ImportId, asked: Asked) -> Result<(), Error> {
    steer_once(context, id, Steering::Retry, asked.key).await
}

/// The same key steers once.
async fn steer_once(context: &Shared, id: &ImportId, steering: Steering, key: Option<String>) -> Result<(), Error> {
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move {
        let (id, key, subject) = (&id, &key, Uuid::new_v4().to_string());
        let steered = shared.store.write(Commit::SteerImport, &subject, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                tx.lock_import(id).await?;
                let Some(import) = tx.import(id).await? else { return Ok((tx, None)) };
                if tx.done_for_key(key.as_deref(), now).await?.is_some() {
                    return Ok((tx, Some((import.state, Some(true)))));
                }
                let to = match steering {
                    Steering::Pause => ImportState::Paused,
                    Steering::Retry => ImportState::Running,
                    Steering::Resume if import.is_listed => ImportState::Running,
                    Steering::Resume => ImportState::Listing,
                    Steering::Cancel => ImportState::Canceled,
                };
                let mut is_so = import.state == to || steering == Steering::Resume && import.state.is_active();
                let is_allowed = match steering {
                    Steering::Retry => matches!(import.state, ImportState::Running | ImportState::Done),
                    Steering::Pause => import.state.is_active(),
                    Steering::Resume => import.state == ImportState::Paused,
                    Steering::Cancel => !import.state.is_over(),
                };
                if steering == Steering::Retry && is_allowed {
                    if tx.retry_import_items(id).await? {
                        if let Some(key) = key {
                            let done = Done { subject: id.to_string(), request: String::new() };
                            tx.keep_key(key, &done, now).await?;
                        }
                        tx.open_job(JobKind::Import, id.as_str(), now, now).await?;
                    } else if !is_so {
                        return Ok((tx, Some((import.state, None))));
                    }
                }
                if !is_so && is_allowed {
                    tx.move_import(id, import.state, to, None, now).await?;
                    // Also to find that somebody has paused it.
                    tx.open_job(JobKind::Import, id.as_str(), now, now).await?;
                }
                is_so |= is_allowed;
                Ok((tx, Some((import.state, Some(is_so)))))
            }
        });
        let (state, is_allowed) = steered.await?.ok_or_else(|| Error::NoSuchImport(id.to_string()))?;
        let Some(is_allowed) = is_allowed else {
            return Err(NothingToRetry::NothingFailedInImport.into());
        };
        if !is_allowed {
            let wanted = match steering {
                Steering::Pause => "paused",
                Steering::Resume => "resumed",
                Steering::Cancel => "canceled",
                Steering::Retry => "retried",
            };
            return Err(Error::ImportIs { state: state.as_str(), wanted });
        }
        shared.job_ready.notify_one();
        shared.events.changed(id.as_str());
        Ok(())
    })
    .await
}

/// How far an import is.
pub async fn progress(context: &Shared, id: &ImportId) -> Result<ImportProgress, Error> {
    let mut conn = context.store.read().await?;
    let import = get(&mut conn, id).await?;
    progress_of(context, &mut conn, import).await
}

/// The newest imports of those that were begun before this one, and how far each is.
pub async fn newest(context: &Shared, before: Option<&ImportId>, limit: i64) -> Result<Vec<ImportProgress>, Error> {
    let mut conn = context.store.read().await?;
    let mut all = Vec::new();
    let before = match before {
        Some(id) => Some(conn.import(id).await?.ok_or_else(|| Error::NoSuchImport(id.to_string()))?),
        None => None,
    };
    for import in conn.imports(before.as_ref(), limit).await? {
        all.push(progress_of(context, &mut conn, import).await?);
    }
    Ok(all)
}

async fn progress_of(context: &Shared, conn: &mut Conn, import: Import) -> Result<ImportProgress, Error> {
    let now = context.clock.now_ms();
    let since = import.running_since.map(|since| since.max(now - ms(LATELY)));
    let counts = conn.import_counts(&import.id, since.unwrap_or(i64::MAX)).await?;
    let skipped_because = conn.skipped_because(&import.id).await?;
    let cost_of = |seconds| cost(context, seconds);
    let (cost, cost_so_far) = (cost_of(counts.seconds), cost_of(counts.done_seconds));
    let cost_of_failed = cost_of(counts.failed_seconds);
    let is_running = import.state == ImportState::Running;
    let passed = since.map(|since| now - since).filter(|passed| is_running && *passed > 0 && counts.ended > 0);
    let per_minute = passed.map(|passed| counts.ended as f64 * 60_000.0 / passed as f64);
    let left = counts.waiting + counts.ordered;
    let left_seconds = match import.state {
        ImportState::Done => Some(0),
        _ => per_minute.map(|speed| (left as f64 / speed * 60.0).ceil() as i64),
    };
    Ok(ImportProgress { import, counts, skipped_because, cost, cost_so_far, cost_of_failed, per_minute, left_seconds })
}

/// The newest recordings that failed or were skipped, apart from those that have a transcript here already.
pub async fn left_out(context: &Shared, id: &ImportId) -> Result<Vec<LeftOut>, Error> {
    Ok(context.store.read().await?.left_out(id, importable::ALREADY, MOST_LEFT_OUT).await?)
}

/// Whether a recording was left out for this reason because it has a transcript here already.
pub fn is_already(reason: &str) -> bool {
    reason == importable::ALREADY
}
