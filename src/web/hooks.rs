//! `/hooks/…`: the vendors' status callbacks and webhooks. Each is authenticated, and acknowledged only once what it
//! reports is committed. A callback is a hint; the vendor's API has the truth.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::callback::{Callback, LARGEST_CALLBACK};
use super::error::ApiError;
use super::extract::{only_header, read_body, read_form};
use crate::clients::assemblyai::callbacks::TranscriptReady;
use crate::clients::twilio::callbacks::{CallProgress, RecordingProgress};
use crate::context::Shared;
use crate::model::transcript::{OrderId, TranscriptId};
use crate::pipeline::ingest::{self, Update};
use crate::webhook_secret::SECRET_HEADER;

pub(super) async fn call_progress(
    State(context): State<Shared>,
    callback: Callback<CallProgress>,
) -> Result<StatusCode, ApiError> {
    ingest::update(&context, Update::Call(callback.try_into()?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn leg_progress(
    State(context): State<Shared>,
    callback: Callback<CallProgress>,
) -> Result<StatusCode, ApiError> {
    ingest::update(&context, Update::Leg(callback.try_into()?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn recording_progress(
    State(context): State<Shared>,
    callback: Callback<RecordingProgress>,
) -> Result<StatusCode, ApiError> {
    ingest::update(&context, Update::Recording(callback.try_into()?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query of the webhook's URL.
#[derive(Deserialize)]
pub(super) struct Job {
    #[serde(default)]
    job: String,
}

/// A transcript is finished. The pipeline fetches it at once.
pub(super) async fn transcript_ready(State(context): State<Shared>, request: Request) -> Result<StatusCode, ApiError> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let Job { job } = read_form(query).map_err(|_| ApiError::BadWebhookSecret)?;
    let order = OrderId::from(job);
    let secret = only_header(request.headers(), SECRET_HEADER).ok_or(ApiError::BadWebhookSecret)?;
    if !context.webhook_secrets.verify(&order, secret.as_bytes()) {
        return Err(ApiError::BadWebhookSecret);
    }
    let body = read_body(request.into_body(), LARGEST_CALLBACK).await?;
    // serde would read a list as the struct's fields in their order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let ready = serde_json::from_slice::<TranscriptReady>(&body).ok().filter(|_| is_object);
    let ready = ready.ok_or_else(|| ApiError::BadRequest("expected a JSON object with a transcript_id".to_owned()))?;
    // The webhook for redacted audio comes to the same URL without an id.
    let id = ready.transcript_id.map(|id| id.parse::<TranscriptId>()).transpose()?;
    ingest::transcript_ready(&context, order, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
