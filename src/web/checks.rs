//! `POST /transcript/<id>/checked`: marks a transcript, or a stretch of it, as checked by ear, or takes that back.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, of_object, read_body, wants_page};
use super::response::see_other;
use super::who::{Who, by};
use super::words::PartView;
use crate::context::Shared;
use crate::model::checked::OPEN_END;
use crate::model::transcript::TranscriptId;
use crate::pipeline::checks::{self, Standing, Wanted};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    checked: bool,
    /// In milliseconds from the start of the audio. `None` is the start.
    from_ms: Option<i64>,
    /// `None` is the end of the transcript.
    to_ms: Option<i64>,
}

/// What of a transcript is checked now.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckedView {
    /// Whether all of it is.
    checked: bool,
    parts: Vec<PartView>,
}

/// Answers with what is checked. A form leads back to the page.
pub(super) async fn check(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let fields = fields(Fields::read(&headers, &read_body(body, LARGEST).await?)?)?;
    let CheckBody { checked, from_ms, to_ms } = of_object(fields)?;
    let (from, to) = (from_ms.unwrap_or_default(), to_ms.unwrap_or(OPEN_END));
    if from < 0 {
        return Err(ApiError::BadRequest("from_ms: expected 0 or more milliseconds".to_owned()));
    }
    if to <= from {
        return Err(ApiError::BadRequest("to_ms: expected more milliseconds than from_ms".to_owned()));
    }
    let wanted = Wanted { is_checked: checked, from, to, by: by(&context, &who, &headers) };
    let Standing { is_all, checked, words } = checks::check(&context, &id, wanted).await?;
    if wants_page(&headers) {
        let location = format!("/transcript/{id}?format=html");
        return Ok(see_other(&location));
    }
    Ok(Json(CheckedView { checked: is_all, parts: PartView::all(&checked, &words) }).into_response())
}

/// Returns the fields without empty ones. A form has all as text.
fn fields(fields: Fields) -> Result<Map<String, Value>, ApiError> {
    let is_form = matches!(fields, Fields::Form(_));
    let mut fields = fields.into_object()?;
    if is_form {
        for (name, value) in &mut fields {
            let text = value.as_str().unwrap_or_default().trim();
            let read = match name.as_str() {
                "checked" => text.parse().ok().map(Value::Bool),
                _ if text.is_empty() => Some(Value::Null),
                _ => text.parse::<i64>().ok().map(Value::from),
            };
            if let Some(read) = read {
                *value = read;
            }
        }
    }
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}
