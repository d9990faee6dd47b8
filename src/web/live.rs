//! `/events`: tells open pages which calls and transcripts changed, as server-sent events. What changed on another
//! instance is found by looking at the newest rows of the history, which both share; whoever was away is told what he
//! missed by the number of the last row that he knows. It says that something changed and never what: the page asks.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::access::Who;
use super::error::ApiError;
use super::extract::{Query, only_header};
use crate::context::Shared;
use crate::events::Listener;
use crate::store;

/// So many pages are told at once.
const STREAMS: usize = 64;

/// How often the history is looked at for what other instances did.
const LOOK: Duration = Duration::from_secs(1);

/// Between one event and the next there is this pause, so that a burst of changes is told as one.
const PAUSE: Duration = Duration::from_millis(100);

/// A stream ends by itself after this. Browsers come again at once, and are let in anew or not.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// A line without meaning is sent this often: whoever is gone is noticed, and nothing between takes the silence for an end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// How many more pages may be told.
#[derive(Debug, Clone)]
pub(super) struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// What may follow the `?`.
#[derive(Deserialize)]
pub(super) struct Options {
    /// The newest row of the history when the page was written.
    since: Option<String>,
}

/// What changed, by our ids of calls, or of transcripts that belong to none.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Told {
    changed: BTreeSet<String>,
    /// Whether anything else may have changed, too.
    all: bool,
}

/// One page's stream.
struct Page {
    context: Shared,
    who: Who,
    listener: Listener,
    /// The newest row that was told.
    newest: i64,
    /// The rows that were told, as far back as one may still come to be seen.
    told: BTreeSet<i64>,
    /// Whether the number that the page came with means nothing here.
    is_lost: bool,
    /// Whether nothing was looked at yet.
    is_new: bool,
    ends: Instant,
    _seat: OwnedSemaphorePermit,
}

/// Opens a stream.
pub(super) async fn events(
    State(context): State<Shared>,
    Extension(seats): Extension<Seats>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Query(Options { since }): Query<Options>,
) -> Result<Response, ApiError> {
    let seat = seats.0.try_acquire_owned().map_err(|_| ApiError::TooManyPages)?;
    // Before the newest row is looked for, so that nothing falls between.
    let listener = context.events.listen();
    let known = only_header(&headers, "last-event-id").map(str::to_owned).or(since);
    let number = known.as_deref().map(str::parse::<i64>);
    let newest = match number {
        Some(Ok(number)) if number >= 0 => number,
        _ => context.store.read().await?.newest_change().await?,
    };
    let is_lost = known.is_some() && !matches!(number, Some(Ok(0..)));
    let ends = Instant::now() + LONGEST;
    let (told, is_new) = (BTreeSet::new(), true);
    let page = Page { context, who, listener, newest, told, is_lost, is_new, ends, _seat: seat };
    let events = stream::unfold(page, |mut page| async {
        let event = page.next().await?;
        Some((Ok::<_, Infallible>(event), page))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep the events to itself until it has a page full of them.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

impl Page {
    /// Waits for the next event. None once the stream is to end.
    async fn next(&mut self) -> Option<Event> {
        let (context, ends) = (Arc::clone(&self.context), self.ends);
        let is_here = self.who == Who::Here;
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => None,
            // To be at this computer lets nobody in any more.
            () = context.exposure.exposed(), if is_here => None,
            () = tokio::time::sleep_until(ends) => None,
            event = self.change() => Some(event),
        }
    }

    /// Waits until something changed.
    async fn change(&mut self) -> Event {
        loop {
            let mut told = Told::default();
            if self.is_new {
                self.is_new = false;
            } else {
                let heard = tokio::select! {
                    heard = self.listener.next() => Some(heard),
                    () = tokio::time::sleep(LOOK) => None,
                };
                if let Some(heard) = heard {
                    tokio::time::sleep(PAUSE).await;
                    for id in std::iter::once(heard).chain(self.listener.unread()) {
                        told.note(id);
                    }
                }
            }
            told.all |= std::mem::take(&mut self.is_lost);
            match self.look(&mut told).await {
                Ok(()) => {}
                // It may come back; what it holds by then is told by the next look.
                Err(error) => tracing::debug!("open pages are not told what changed: {error}"),
            }
            if told != Told::default() {
                let json = serde_json::to_string(&told).unwrap_or_default();
                return Event::default().id(self.newest.to_string()).data(json);
            }
        }
    }

    /// Looks for what is new in the history.
    async fn look(&mut self, told: &mut Told) -> Result<(), store::Error> {
        let changes = self.context.store.read().await?.changes_after(self.newest).await?;
        told.all |= changes.is_lost;
        let mut seen = BTreeSet::new();
        for (number, about) in changes.rows {
            if !self.told.contains(&number) {
                told.note(Some(about));
            }
            seen.insert(number);
        }
        if !seen.is_empty() {
            self.told = seen;
        }
        self.newest = changes.newest;
        Ok(())
    }
}

impl Told {
    fn note(&mut self, id: Option<String>) {
        match id {
            Some(id) => _ = self.changed.insert(id),
            None => self.all = true,
        }
    }
}
