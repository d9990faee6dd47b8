//! `/transcript/<id>`: how a transcript stands, or what was said.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Query, preferred, wants_page};
use super::{json, text};
use crate::clients::assemblyai::{Reply, Transcript, TranscriptStatus, Word};
use crate::context::Shared;
use crate::export;
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
        return Ok(as_file(json(body), &id, "json"));
    }
    match transcript.status {
        TranscriptStatus::Queued | TranscriptStatus::Processing => Ok(unfinished(&transcript, wants_page(&headers))),
        TranscriptStatus::Error => {
            let words = transcript.error.unwrap_or_else(|| "AssemblyAI does not say why".to_owned());
            Err(ApiError::TranscriptFailed(format!("transcript {id} failed: {words}")))
        }
        TranscriptStatus::Completed => {
            let words: Vec<export::Word> = transcript.words.iter().map(heard).collect();
            Ok(match format {
                Format::Srt => captions(export::srt(&words), &id, "srt", "application/x-subrip; charset=utf-8"),
                Format::Vtt => captions(export::vtt(&words), &id, "vtt", "text/vtt; charset=utf-8"),
                Format::Json | Format::Text => {
                    as_file(text(transcript.text.as_deref().unwrap_or_default()), &id, "txt")
                }
            })
        }
    }
}

fn captions(captions: String, id: &TranscriptId, extension: &str, media_type: &'static str) -> Response {
    as_file(([(CONTENT_TYPE, media_type)], captions).into_response(), id, extension)
}

/// Shown where it can be shown, and saved under a name that says what it is.
fn as_file(mut response: Response, id: &TranscriptId, extension: &str) -> Response {
    let disposition = HeaderValue::from_str(&format!("inline; filename=\"transcript-{id}.{extension}\""));
    response.headers_mut().extend(disposition.ok().map(|disposition| (CONTENT_DISPOSITION, disposition)));
    response
}

fn heard(word: &Word) -> export::Word<'_> {
    let Word { text, start, end, speaker, channel, .. } = word;
    export::Word { text, start: *start, end: *end, speaker: speaker.as_deref(), channel: channel.as_deref() }
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
