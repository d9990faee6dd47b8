//! What the vendors tell: hints, each proved to be theirs. The vendors' APIs are asked for the truth.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{FromTwilio, LARGEST_CALLBACK, Query, only_header, read_body};
use crate::clients::assemblyai::callbacks::{SECRET_HEADER, TranscriptReady};
use crate::clients::twilio::callbacks::{CallProgress, RecordingProgress};
use crate::context::Shared;

/// A call got on.
pub(super) async fn call_progress(FromTwilio(call): FromTwilio<CallProgress>) -> Response {
    tracing::info!(call = call.call_sid, status = call.call_status, "call");
    StatusCode::NO_CONTENT.into_response()
}

/// A recording got on.
pub(super) async fn recording_progress(FromTwilio(progress): FromTwilio<RecordingProgress>) -> Response {
    let RecordingProgress { call_sid, recording_sid, recording_status, error_code, .. } = progress;
    tracing::info!(call = call_sid, recording = recording_sid, status = recording_status, error_code, "recording");
    StatusCode::NO_CONTENT.into_response()
}

/// What the webhook's own address says.
#[derive(Deserialize)]
pub(super) struct Job {
    #[serde(default)]
    job: String,
}

/// A transcript is finished: those who wait for it look now.
pub(super) async fn transcript_ready(
    State(context): State<Shared>,
    Query(Job { job }): Query<Job>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let secret = only_header(request.headers(), SECRET_HEADER).ok_or(ApiError::BadWebhookSecret)?;
    if !context.assemblyai.is_webhook_secret(&job, secret.as_bytes()) {
        return Err(ApiError::BadWebhookSecret);
    }
    let body = read_body(request.into_body(), LARGEST_CALLBACK).await?;
    let ready: TranscriptReady = serde_json::from_slice(&body)
        .map_err(|_| ApiError::BadRequest("expected JSON with a transcript_id".to_owned()))?;
    // The webhook for redacted audio comes to the same address without an id; nobody waits for that.
    if let Some(id) = ready.transcript_id {
        let id = id.parse()?;
        tracing::info!(transcript = %id, "transcript finished");
        context.events.transcript_finished(id);
    }
    Ok(StatusCode::NO_CONTENT)
}
