//! `/transcript/<id>`: how a transcript stands, or what was said.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Query, preferred, wants_page};
use super::{json, text};
use crate::clients::assemblyai::{Reply, SubtitleFormat, Transcript, TranscriptStatus};
use crate::context::Shared;
use crate::model::transcript::TranscriptId;
use crate::pipeline::transcription;

/// The longest that an answer is held, in seconds.
const LONGEST_WAIT: u64 = 120;

/// What may follow the `?`.
#[derive(Deserialize)]
pub(super) struct Options {
    format: Option<Format>,
    wait: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Text,
    Srt,
    Vtt,
}

/// AssemblyAI's JSON as it came, or the text or captions of a finished transcript.
pub(super) async fn transcript(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    Query(options): Query<Options>,
) -> Result<Response, ApiError> {
    let wait = match options.wait.as_deref().map(str::parse::<u64>) {
        None => 0,
        Some(Ok(seconds)) => seconds.min(LONGEST_WAIT),
        Some(Err(_)) => return Err(ApiError::BadRequest("wait: expected whole seconds, 120 at most".to_owned())),
    };
    let format = options.format.unwrap_or(match preferred(&headers, &["application/json", "text/plain"]) {
        Some("text/plain") => Format::Text,
        _ => Format::Json,
    });
    let Reply { json: body, transcript } = transcription::transcript(&context, &id, Duration::from_secs(wait)).await?;
    if format == Format::Json {
        return Ok(json(body));
    }
    match transcript.status {
        TranscriptStatus::Queued | TranscriptStatus::Processing => Ok(unfinished(&transcript, wants_page(&headers))),
        TranscriptStatus::Error => {
            let words = transcript.error.unwrap_or_else(|| "AssemblyAI does not say why".to_owned());
            Err(ApiError::TranscriptFailed(format!("transcript {id} failed: {words}")))
        }
        TranscriptStatus::Completed => match format {
            Format::Srt => captions(&context, &id, SubtitleFormat::Srt, "application/x-subrip; charset=utf-8").await,
            Format::Vtt => captions(&context, &id, SubtitleFormat::Vtt, "text/vtt; charset=utf-8").await,
            Format::Json | Format::Text => Ok(text(&transcript.text.unwrap_or_default())),
        },
    }
}

async fn captions(
    context: &Shared,
    id: &TranscriptId,
    format: SubtitleFormat,
    media_type: &'static str,
) -> Result<Response, ApiError> {
    let captions = transcription::captions(context, id, format).await?;
    Ok(([(CONTENT_TYPE, media_type)], captions).into_response())
}

/// 202: come again. A browser does so by itself.
fn unfinished(transcript: &Transcript, is_browser: bool) -> Response {
    let status = match transcript.status {
        TranscriptStatus::Queued => "queued",
        _ => "processing",
    };
    let mut response =
        (StatusCode::ACCEPTED, text(&format!("transcript {} is {status}", transcript.id))).into_response();
    let seconds = HeaderValue::from(LOOK_AGAIN.as_secs());
    if is_browser {
        response.headers_mut().insert(HeaderName::from_static("refresh"), seconds.clone());
    }
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}
