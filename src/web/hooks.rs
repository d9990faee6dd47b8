//! What the vendors tell: hints, each proved to be theirs. The vendors' APIs are asked for the truth.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{FromTwilio, LARGEST_CALLBACK, Query, only_header, read_body};
use crate::clients::assemblyai::callbacks::{SECRET_HEADER, TranscriptReady};
use crate::clients::twilio::callbacks::{CallProgress, RecordingProgress};
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::recording::RecordingSid;

/// A call got on.
pub(super) async fn call_progress(FromTwilio(progress): FromTwilio<CallProgress>) -> Result<StatusCode, ApiError> {
    let call: CallSid = progress.call_sid.parse()?;
    tracing::info!(%call, status = progress.call_status, "call");
    Ok(StatusCode::NO_CONTENT)
}

/// A recording got on.
pub(super) async fn recording_progress(
    FromTwilio(progress): FromTwilio<RecordingProgress>,
) -> Result<StatusCode, ApiError> {
    let (call, recording): (CallSid, RecordingSid) = (progress.call_sid.parse()?, progress.recording_sid.parse()?);
    tracing::info!(%call, %recording, status = progress.recording_status, error_code = progress.error_code, "recording");
    Ok(StatusCode::NO_CONTENT)
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
    // A list would be read as the struct's fields in their order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let ready = serde_json::from_slice::<TranscriptReady>(&body).ok().filter(|_| is_object);
    let ready = ready.ok_or_else(|| ApiError::BadRequest("expected a JSON object with a transcript_id".to_owned()))?;
    // The webhook for redacted audio comes to the same address without an id; nobody waits for that.
    if let Some(id) = ready.transcript_id {
        let id = id.parse()?;
        tracing::info!(transcript = %id, "transcript finished");
        context.events.transcript_finished(id);
    }
    Ok(StatusCode::NO_CONTENT)
}
