//! `/uploads`: files that are sent in pieces, so that one whose connection breaks continues where it was. The protocol is tus 1.0.0
//! with creation, termination and expiration: <https://tus.io/protocols/resumable-upload>.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, media_type, only_header, read_body};
use super::transcribe::{LARGEST_BODY, TranscribeForm, form_of_file};
use super::upload::pieces_in_time;
use super::who::Asker;
use crate::clients::assemblyai::limits::LARGEST_UPLOAD;
use crate::context::Shared;
use crate::model::spooled::{FileId, SpooledState};
use crate::pipeline::spooled::{self, Spooled, Wanted};

const SUPPORTED: HeaderName = HeaderName::from_static("tus-version");
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const METADATA: &str = "upload-metadata";

/// The version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");

/// The media type of a piece.
const PIECE: &str = "application/offset+octet-stream";

/// The name of the file in the metadata.
const FILE_NAME: &str = "filename";

/// The longest that a client may wait for a change, in seconds.
const LONGEST_WAIT: u64 = 60;

/// How far a file is, as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub(super) struct SpooledView {
    id: String,
    length: u64,
    /// How many bytes of it were received.
    offset: u64,
    state: SpooledState,
    /// Why it has failed, or what it waits for.
    reason: Option<String>,
    /// The address of its page, once its transcript is ordered.
    item: Option<String>,
    /// What it is called there.
    title: Option<String>,
    /// Whether the same file was there before.
    was_there: bool,
}

/// The query of a file's state.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// How many seconds to wait until the file is sent on.
    #[param(value_type = Option<u64>, maximum = 60)]
    wait: Option<String>,
}

/// Refuses requests of another version of the protocol, and of none. `GET` is no part of it.
pub(super) async fn speak(request: Request, next: Next) -> Response {
    let asks = [Method::POST, Method::HEAD, Method::PATCH, Method::DELETE].contains(request.method());
    let is_known = only_header(request.headers(), RESUMABLE.as_str()).is_some_and(|version| version == VERSION);
    let mut response = if asks && !is_known {
        ([(SUPPORTED, VERSION)], ApiError::OtherVersion).into_response()
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(RESUMABLE, VERSION);
    response
}

/// Tells what the server understands.
pub(super) async fn describe(_: Query<NoParameters>) -> Response {
    let described = [
        (SUPPORTED, VERSION),
        (HeaderName::from_static("tus-extension"), HeaderValue::from_static("creation,termination,expiration")),
        (HeaderName::from_static("tus-max-size"), HeaderValue::from(LARGEST_UPLOAD)),
    ];
    (StatusCode::NO_CONTENT, described).into_response()
}

/// Begins a file. Its metadata are its name, `title`, `tag`, `keyterms` and `again`. All fields of `/transcribe` may come as a
/// form: a head has no room for many key terms.
pub(super) async fn begin(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let length = number(&headers, &LENGTH)?;
    match length {
        0 => return Err(ApiError::BadRequest("the file is empty".to_owned())),
        1..=LARGEST_UPLOAD => {}
        _ => return Err(ApiError::TooLarge(usize::try_from(LARGEST_UPLOAD).unwrap_or(usize::MAX))),
    }
    let (mut fields, mut file_name) = (Vec::new(), String::new());
    for (name, value) in metadata(&headers)? {
        match &*name {
            FILE_NAME => file_name = value,
            "title" | "tag" | "keyterms" | "again" => fields.push((name, value)),
            // Clients add what they like, such as the type of the file.
            _ => {}
        }
    }
    let body = read_body(body, LARGEST_BODY).await?;
    if !body.is_empty() {
        let Fields::Form(more) = Fields::read(&headers, &body)? else {
            return Err(ApiError::UnsupportedMediaType("expected a form, or no body"));
        };
        fields.extend(more);
    }
    let TranscribeForm { keyterms, parameters, again, title, tag, .. } = form_of_file(&context, fields)?;
    let wanted = Wanted { length, file_name, title, tag, keyterms, parameters, again, asked };
    let id = spooled::begin(&context, wanted).await?;
    let file = spooled::state(&context, &id).await?;
    let location = HeaderValue::try_from(format!("/uploads/{id}")).expect("hex digits are a header value");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], progress(&file)).into_response())
}

/// Tells how much of a file was received.
pub(super) async fn offset(
    State(context): State<Shared>,
    Id(id): Id<FileId>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let file = spooled::state(&context, &id).await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, [(LENGTH, HeaderValue::from(file.length))], progress(&file)).into_response())
}

/// Appends a piece.
pub(super) async fn append(
    State(context): State<Shared>,
    Id(id): Id<FileId>,
    _: Query<NoParameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if media_type(&headers).as_deref() != Some(PIECE) {
        return Err(ApiError::UnsupportedMediaType("expected Content-Type: application/offset+octet-stream"));
    }
    let offset = number(&headers, &OFFSET)?;
    spooled::append(&context, &id, offset, pieces_in_time(body, context.assemblyai.stall())).await?;
    Ok((StatusCode::NO_CONTENT, progress(&spooled::state(&context, &id).await?)).into_response())
}

/// Tells how far a file is. With `wait`, answers once it is sent on, or has failed.
pub(super) async fn show(
    State(context): State<Shared>,
    Id(id): Id<FileId>,
    Query(Waiting { wait }): Query<Waiting>,
) -> Result<Response, ApiError> {
    let wait: u64 = match wait.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(wait)) => wait,
        Some(Err(_)) => return Err(ApiError::BadRequest("wait: expected whole seconds, 60 at most".to_owned())),
    };
    let mut listener = context.events.listen();
    let waiting = async {
        loop {
            let file = spooled::state(&context, &id).await?;
            if matches!(file.state, SpooledState::Ordered | SpooledState::Failed) {
                return Ok::<_, ApiError>(file);
            }
            listener.changed(id.as_str()).await;
        }
    };
    let wait = Duration::from_secs(wait.min(LONGEST_WAIT));
    let file = tokio::select! {
        file = tokio::time::timeout(wait, waiting) => match file {
            Ok(file) => file?,
            Err(_) => spooled::state(&context, &id).await?,
        },
        () = context.stopping.cancelled() => spooled::state(&context, &id).await?,
    };
    let title = match &file.call {
        Some(call) => context.store.read().await?.call(&call.clone().into()).await?.and_then(|call| call.title),
        None => None,
    };
    let view = SpooledView {
        id: id.to_string(),
        length: file.length,
        offset: file.offset,
        state: file.state,
        item: file.call.as_ref().map(|call| format!("/items/{call}")),
        title: title.map(|title| title.to_string()),
        was_there: file.was_there,
        reason: file.reason,
    };
    Ok(Json(view).into_response())
}

/// Removes a file that is not wanted any more.
pub(super) async fn cancel(
    State(context): State<Shared>,
    Id(id): Id<FileId>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    spooled::cancel(&context, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The headers that tell how far a file is.
fn progress(file: &Spooled) -> [(HeaderName, HeaderValue); 2] {
    let expires = Timestamp::from_millisecond(file.expires_at).unwrap_or_default();
    let expires = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&expires).unwrap_or_default();
    let expires = HeaderValue::try_from(expires).expect("a date is a header value");
    [(OFFSET, HeaderValue::from(file.offset)), (EXPIRES, expires)]
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, ApiError> {
    let number = only_header(headers, name.as_str()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| ApiError::BadRequest(format!("{name}: expected a number of bytes")))
}

/// Reads names and values of `Upload-Metadata`: `filename dGFsay53YXY=,tag c3ByaW5n`.
fn metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, ApiError> {
    let wrong = || ApiError::BadRequest(format!("{METADATA}: expected names, each with a value in Base64"));
    let all = match only_header(headers, METADATA) {
        Some(all) => all,
        None if headers.contains_key(METADATA) => return Err(wrong()),
        None => return Ok(Vec::new()),
    };
    let read = |pair: &str| {
        let (name, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = STANDARD.decode(value.trim()).ok().and_then(|value| String::from_utf8(value).ok());
        value.map(|value| (name.to_owned(), value)).filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)
    };
    all.split(',').filter(|pair| !pair.trim().is_empty()).map(read).collect()
}
