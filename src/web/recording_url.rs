//! `/get-recording-url/<call sid>`: the URLs of a call's recordings.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Id, Named, NoParameters, preferred};
use super::recordings;
use super::response::text;
use crate::clients::twilio::Recording;
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::pipeline::lookup;

#[derive(Serialize, ToSchema)]
pub(super) struct RecordingLine {
    sid: String,
    status: String,
    duration_seconds: Option<u64>,
    channels: Option<u32>,
    source: Option<String>,
    url: String,
    audio: String,
    error_code: Option<i64>,
}

/// Answers with one media URL a line, oldest first, or with JSON that has all details, of recordings without audio too.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(call): Id<CallSid>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Named::<NoParameters>::of_query(&uri)?.alone()?;
    if preferred(&headers, &["application/json", "text/plain"]) != Some("application/json") {
        let complete = lookup::complete_recordings(&context, &call).await?;
        let urls: Vec<String> = complete.iter().map(|recording| context.twilio.audio_url(recording)).collect();
        return Ok(text(&urls.join("\n")));
    }
    let (call, all) = lookup::recorded(&context, &call).await?;
    if all.is_empty() {
        return Err(lookup::none_yet(&context, &call, &all).await.into());
    }
    let listed = |recorded: Recording| RecordingLine {
        audio: recordings::address(&context, &headers, &recorded.sid),
        url: context.twilio.audio_url(&recorded),
        duration_seconds: recorded.seconds(),
        sid: recorded.sid,
        status: recorded.status,
        channels: recorded.channels,
        source: recorded.source,
        error_code: recorded.error_code,
    };
    Ok(Json(all.into_iter().map(listed).collect::<Vec<_>>()).into_response())
}
