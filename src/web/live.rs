//! `/events`: notifies open pages of calls and transcripts that changed, by server-sent events. Changes by other instances
//! are found in the newest rows of the shared history. A page that reconnects sends the number of the last row it knows, and
//! is notified of everything after it. An event says that something changed, not what: the page then reloads its parts.

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
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{Query, only_header};
use super::session;
use super::who::Who;
use crate::auth::Session;
use crate::context::Shared;
use crate::events::Listener;
use crate::store;

/// Maximum number of open streams.
const STREAMS: usize = 64;

/// Interval at which the history is polled for changes by other instances.
const LOOK: Duration = Duration::from_secs(1);

/// Pause before each event, so that a burst of changes becomes one event.
const PAUSE: Duration = Duration::from_millis(100);

/// Pause after which browsers reconnect: soon enough that a page does not miss two signs of life meanwhile.
const RECONNECT: Duration = Duration::from_secs(1);

/// Maximum life of a stream. Browsers reconnect at once, and are authorized again.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Interval of events that show that the stream is alive. An open page says that there is no connection if two are missing,
/// and clients that are gone are noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Permits for further streams.
#[derive(Debug, Clone)]
pub(super) struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// The query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// The newest row of the history when the page was written.
    since: Option<String>,
}

/// The call ids, the order ids of transcripts without a call, and the ids of trials and imports that changed; `contacts`, if a
/// name did; and `vocabulary`, if a term did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Changes {
    changed: BTreeSet<String>,
    /// Whether anything else may have changed too.
    all: bool,
}

/// The state of one page's stream.
struct PageStream {
    context: Shared,
    who: Who,
    /// The sessions in the request. At least one of them was open.
    sessions: Vec<Session>,
    listener: Listener,
    /// The newest row that the page was notified of.
    newest: i64,
    /// The rows that the page was notified of, as far back as a row may still become visible.
    sent: BTreeSet<i64>,
    /// Whether the row number that the page sent is invalid.
    is_lost: bool,
    /// Whether the history was not read yet.
    is_new: bool,
    ends: Instant,
    _seat: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Counts a stream while it is open.
struct Counted(Shared);

impl Counted {
    fn new(context: &Shared) -> Self {
        context.metrics.streams.inc();
        Self(Arc::clone(context))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.streams.dec();
    }
}

pub(super) async fn events(
    State(context): State<Shared>,
    Extension(seats): Extension<Seats>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Query(Options { since }): Query<Options>,
) -> Result<Response, ApiError> {
    let seat = seats.0.try_acquire_owned().map_err(|_| ApiError::TooManyPages)?;
    // Before the newest row is read, so that no change is missed.
    let listener = context.events.listen();
    let known = only_header(&headers, "last-event-id").map(str::to_owned).or(since);
    let number = known.as_deref().map(str::parse::<i64>);
    let newest = match number {
        Some(Ok(number)) if number >= 0 => number,
        _ => context.store.read().await?.newest_change().await?,
    };
    let is_lost = known.is_some() && !matches!(number, Some(Ok(0..)));
    let ends = Instant::now() + LONGEST;
    let (sent, is_new) = (BTreeSet::new(), true);
    let sessions = if who == Who::Session { session::signed(&context, &headers) } else { Vec::new() };
    let counted = Counted::new(&context);
    let page = PageStream {
        context,
        who,
        sessions,
        listener,
        newest,
        sent,
        is_lost,
        is_new,
        ends,
        _seat: seat,
        _counted: counted,
    };
    let events = stream::unfold(page, |mut page| async {
        let event = page.next().await?;
        Some((Ok::<_, Infallible>(event), page))
    });
    let alive = Event::default().event("alive").data("{}").retry(RECONNECT);
    let alive = KeepAlive::new().interval(SIGN_OF_LIFE).event(alive);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Or nginx would buffer the events until it has a page of them.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

impl PageStream {
    /// Waits for the next event. Returns `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        let (context, ends) = (Arc::clone(&self.context), self.ends);
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => None,
            () = tokio::time::sleep_until(ends) => None,
            event = self.change() => event,
        }
    }

    /// Waits until something changed. Returns `None` if the client may no longer know.
    async fn change(&mut self) -> Option<Event> {
        let mut changes = Changes::default();
        loop {
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
                        changes.note(id);
                    }
                }
            }
            changes.all |= std::mem::take(&mut self.is_lost);
            match self.read(&mut changes).await {
                Ok(()) => {}
                // The next poll finds what was missed.
                Err(error) => tracing::debug!("reading changes for an open page: {error}"),
            }
            let is_allowed = match self.who {
                Who::Here => Ok(self.context.exposure.may_stay(self.context.clock.now())),
                Who::Session => session::is_any_open(&self.context, &self.sessions).await,
                // That of a named token ends with the token (`revocable`).
                Who::Token | Who::Named(_) => Ok(true),
            };
            match is_allowed {
                Ok(true) => {}
                Ok(false) => return None,
                // Nothing is sent until it is known.
                Err(error) => {
                    tracing::debug!("reading the sessions of an open page: {error}");
                    continue;
                }
            }
            if changes != Changes::default() {
                let json = serde_json::to_string(&changes).unwrap_or_default();
                return Some(Event::default().id(self.newest.to_string()).data(json));
            }
        }
    }

    /// Reads what is new in the history.
    async fn read(&mut self, changes: &mut Changes) -> Result<(), store::Error> {
        let new = self.context.store.read().await?.changes_after(self.newest).await?;
        changes.all |= new.is_lost;
        let mut seen = BTreeSet::new();
        for (number, about) in new.rows {
            if !self.sent.contains(&number) {
                changes.note(Some(about));
            }
            seen.insert(number);
        }
        if !seen.is_empty() {
            self.sent = seen;
        }
        self.newest = new.newest;
        Ok(())
    }
}

impl Changes {
    fn note(&mut self, id: Option<String>) {
        match id {
            Some(id) => _ = self.changed.insert(id),
            None => self.all = true,
        }
    }
}
