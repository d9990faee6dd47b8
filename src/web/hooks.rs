//! What the vendors tell: hints, each proved to be theirs, and acknowledged once they are committed. The vendors' APIs
//! are asked for the truth.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{FromTwilio, LARGEST_CALLBACK, only_header, read_body, read_form};
use crate::clients::assemblyai::callbacks::TranscriptReady;
use crate::clients::twilio::callbacks::{CallProgress, RecordingProgress};
use crate::context::Shared;
use crate::model::call::Direction;
use crate::model::transcript::{OrderId, TranscriptId};
use crate::pipeline::intake::{self, CallUpdate, RecordingUpdate};
use crate::webhook_secret::SECRET_HEADER;

/// A call got on.
pub(super) async fn call_progress(
    State(context): State<Shared>,
    FromTwilio { about, told }: FromTwilio<CallProgress>,
) -> Result<StatusCode, ApiError> {
    let update = CallUpdate {
        token: about.token(),
        sid: told.call_sid.parse()?,
        status: told.call_status,
        direction: Direction::of_twilio(&told.direction),
        to: told.to,
        from: told.from,
    };
    intake::call_update(&context, update).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A recording got on.
pub(super) async fn recording_progress(
    State(context): State<Shared>,
    FromTwilio { about, told }: FromTwilio<RecordingProgress>,
) -> Result<StatusCode, ApiError> {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok()).filter(|number| *number >= 0);
    let update = RecordingUpdate {
        token: about.token(),
        call: told.call_sid.parse()?,
        sid: told.recording_sid.parse()?,
        status: told.recording_status,
        duration_seconds: number(told.recording_duration),
        channels: number(told.recording_channels),
        source: told.recording_source,
        error_code: number(told.error_code),
    };
    intake::recording_update(&context, update).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the webhook's own address says.
#[derive(Deserialize)]
pub(super) struct Job {
    #[serde(default)]
    job: String,
}

/// A transcript is finished: it is looked at now.
pub(super) async fn transcript_ready(State(context): State<Shared>, request: Request) -> Result<StatusCode, ApiError> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let Job { job } = read_form(query).map_err(|_| ApiError::BadWebhookSecret)?;
    let order = OrderId::from(job);
    let secret = only_header(request.headers(), SECRET_HEADER).ok_or(ApiError::BadWebhookSecret)?;
    if !context.webhook_secrets.verify(&order, secret.as_bytes()) {
        return Err(ApiError::BadWebhookSecret);
    }
    let body = read_body(request.into_body(), LARGEST_CALLBACK).await?;
    // A list would be read as the struct's fields in their order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let ready = serde_json::from_slice::<TranscriptReady>(&body).ok().filter(|_| is_object);
    let ready = ready.ok_or_else(|| ApiError::BadRequest("expected a JSON object with a transcript_id".to_owned()))?;
    // The webhook for redacted audio comes to the same address without an id.
    let id = ready.transcript_id.map(|id| id.parse::<TranscriptId>()).transpose()?;
    intake::transcript_ready(&context, order, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
