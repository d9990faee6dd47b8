//! `/export`: all calls and uploads that match, as CSV, JSON Lines or a ZIP of documents. It is written while it is sent, so
//! that its size is in nobody's memory.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use url::form_urlencoded;
use utoipa::IntoParams;

use super::error::ApiError;
use super::exported::{Reader, header};
use super::extract::{Named, read_form, wants_page};
use super::filter::{Search, day};
use super::items::Pages;
use super::response::file_name;
use super::zone::Zone;
use crate::context::Shared;
use crate::export::{Zip, docx, markdown};

/// Exports at the same time. Each has a thread, and transcripts in memory.
const MOST: usize = 2;

/// Bytes that are sent at once, at least.
const CHUNK: usize = 64 << 10;

/// Chunks that may wait for the client.
const WAITING: usize = 4;

/// The parameters that are none of a filter.
const OWN: [&str; 2] = ["format", "zone"];

/// One permit for each export.
#[derive(Clone)]
pub(super) struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    #[param(value_type = String, pattern = "^(zip|jsonl|csv)$", example = "csv")]
    format: Option<String>,
    /// The time zone of dates, UTC if there is none.
    #[serde(default)]
    zone: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Jsonl,
    Zip,
}

impl Format {
    /// Its name, which is the extension of its files, too, and its media type.
    const ALL: [(Self, &str, &str); 3] = [
        (Self::Zip, "zip", "application/zip"),
        (Self::Jsonl, "jsonl", "application/jsonl"),
        (Self::Csv, "csv", "text/csv; charset=utf-8; header=present"),
    ];
}

/// An export that was asked for.
struct Asked {
    search: Search,
    zone: Zone,
    format: Format,
    extension: &'static str,
    media_type: &'static str,
}

pub(super) async fn export(
    State(context): State<Shared>,
    Extension(seats): Extension<Seats>,
    request: Parts,
) -> Result<Response, ApiError> {
    if request.version < Version::HTTP_11 {
        return Err(ApiError::OldHttp);
    }
    let Asked { search, zone, format, extension, media_type } = asked(&request.headers, &request.uri)?;
    let pages = || Pages::of(&context, &search);
    let pages = [pages().await?, pages().await?];
    let name = format!("{}.{extension}", named(&search, &zone, context.clock.now()));
    let file = (header::CONTENT_DISPOSITION, file_name(&name, true));
    let media_type = (header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    if request.method == Method::HEAD {
        // As little as the export does it have a length.
        let nothing = Body::from_stream(stream::empty::<io::Result<Bytes>>());
        return Ok(([media_type, file], nothing).into_response());
    }
    let seat = seats.0.try_acquire_owned().map_err(|_| ApiError::TooManyExports)?;
    let (to, mut pieces) = mpsc::channel(WAITING);
    let (handle, span) = (Handle::current(), tracing::Span::current());
    tokio::task::spawn_blocking(move || {
        let _span = span.entered();
        let out = Out { to, waiting: Rc::default() };
        let reader = Reader { handle, context, after_each_read: &|| out.send_if_full() };
        let written = write(&reader, pages, &zone, format, out.clone());
        // Before the client sees the end, so that it may ask for another one.
        drop(seat);
        match written.and_then(|()| out.finish()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                tracing::debug!("the client of an export has gone")
            }
            Err(error) => tracing::error!("an export was cut off: {error}"),
        }
    });
    let body = stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Piece::End) => None,
            // The connection breaks, so that the client knows that the rest is missing.
            None => Some(Err(io::Error::other("the export was cut off"))),
        })
    });
    Ok(([media_type, file], Body::from_stream(body)).into_response())
}

/// Reads the query: the filter of `/items`, and what the export is.
fn asked(headers: &HeaderMap, uri: &Uri) -> Result<Asked, ApiError> {
    let all = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let (own, filter): (Vec<_>, Vec<_>) = all.partition(|(name, _)| OWN.contains(&name.as_ref()));
    let written = |pairs: Vec<_>| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let Options { format, zone } = read_form(written(own).as_bytes())?;
    // Also of a browser: a misspelled filter would export everything.
    let search = read_form::<Named<Search>>(written(filter).as_bytes())?.alone()?;
    for (name, value) in [("limit", &search.limit), ("cursor", &search.cursor)] {
        if !value.is_empty() {
            return Err(ApiError::BadRequest(format!("{name}: an export has all that match; leave it out")));
        }
    }
    search.sort()?;
    if !search.is_by_time() {
        let why = "sort: an export is newest or oldest first: costs and lengths change while it runs";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    let format = format.unwrap_or_default();
    let Some((format, extension, media_type)) = Format::ALL.into_iter().find(|(_, name, _)| *name == format) else {
        return Err(ApiError::BadRequest("format: expected zip, jsonl or csv".to_owned()));
    };
    Ok(Asked { search, zone: Zone::named(&zone, wants_page(headers))?, format, extension, media_type })
}

/// Returns the name of the file without its extension: `calls`, the days of the filter as they were written, and the day of the
/// export.
fn named(search: &Search, zone: &Zone, now: Timestamp) -> String {
    let [since, until] = [("since", &search.since), ("until", &search.until)].map(|(word, text)| match day(text) {
        "" => String::new(),
        day => format!(" {word} {day}"),
    });
    format!("calls{since}{until}, exported {}", zone.day(now))
}

fn write(reader: &Reader, pages: [Pages; 2], zone: &Zone, format: Format, mut out: Out) -> io::Result<()> {
    let [pages, again] = pages;
    match format {
        Format::Csv => {
            out.write_all(header("text").as_bytes())?;
            reader.each(pages, true, &mut |one| out.write_all(one.csv(zone, &one.text()).as_bytes()))
        }
        Format::Jsonl => reader.each(pages, true, &mut |one| out.write_all(one.json().as_bytes())),
        Format::Zip => {
            let mut zip = Zip::new(out);
            zip.add("calls.csv", None, |to| {
                to.write_all(header("files").as_bytes())?;
                reader.each(pages, false, &mut |one| to.write_all(one.csv(zone, &one.paths(zone)).as_bytes()))
            })?;
            // A ZIP has one file after the other, so all calls are read once more.
            reader.each(again, true, &mut |one| {
                let at = one.at();
                for (path, document) in one.documents(zone) {
                    let (docx, markdown) = (docx(&document), markdown(&document));
                    zip.store(&format!("{path}.docx"), at, &docx)?;
                    zip.add(&format!("{path}.md"), at, |to| to.write_all(markdown.as_bytes()))?;
                }
                Ok(())
            })?;
            zip.finish().map(drop)
        }
    }
}

/// What goes to the client.
enum Piece {
    Chunk(Bytes),
    /// All of it was sent.
    End,
}

/// Collects what is written. Clones share it.
#[derive(Clone)]
struct Out {
    to: mpsc::Sender<Piece>,
    /// What is not sent yet.
    waiting: Rc<RefCell<Vec<u8>>>,
}

impl Out {
    /// Sends what was written, if that is enough, and waits until there is room for it. Fails if the client has gone.
    fn send_if_full(&self) -> io::Result<()> {
        if self.to.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.waiting.borrow().len() < CHUNK { Ok(()) } else { self.send() }
    }

    fn finish(self) -> io::Result<()> {
        self.send()?;
        self.to.blocking_send(Piece::End).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn send(&self) -> io::Result<()> {
        let chunk = self.waiting.take();
        self.to.blocking_send(Piece::Chunk(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Out {
    /// Only takes it into memory: the writer may hold what others wait for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Asked for only where nothing is held.
    fn flush(&mut self) -> io::Result<()> {
        self.send_if_full()
    }
}
