//! `POST /calls/<sid>/speakers`: names the speakers of a call, or swaps its sides.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::calls::speakers_of;
use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, read_body, wants_page};
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::name::Name;
use crate::pipeline::speakers::{self, Naming};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

/// The field that swaps the sides. No speaker has this label.
const SWAP: &str = "swap";

/// The field that tells whether the sides were swapped where the client saw them. With it, the same request sent twice swaps
/// once.
const SEEN_SWAPPED: &str = "swapped";

/// Answers with the speakers as they are now. A browser goes back to the call's page.
pub(super) async fn name(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(call): Id<CallName>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let naming = read_naming(&headers, &read_body(body, LARGEST).await?)?;
    speakers::name(&context, &call, naming).await?;
    if wants_page(&headers) {
        let location = format!("/calls/{}#speakers", call.as_str());
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response());
    }
    let named = speakers_of(&context, &call).await?;
    Ok(Json(serde_json::json!({ "speakers": named })).into_response())
}

fn read_naming(headers: &HeaderMap, body: &[u8]) -> Result<Naming, ApiError> {
    let mut naming = Naming::default();
    for (field, value) in Fields::read(headers, body)?.into_object()? {
        let wrong = |why: &str| ApiError::BadRequest(format!("{field}: {why}"));
        match value {
            _ if field == SWAP || field == SEEN_SWAPPED => {
                let is_it = is_true(&value).ok_or_else(|| wrong("expected true or false"))?;
                if field == SWAP { naming.swap = is_it } else { naming.seen_swapped = Some(is_it) }
            }
            Value::String(text) => {
                let name = Some(text.trim()).filter(|name| !name.is_empty()).map(str::parse::<Name>).transpose();
                let name = name.map_err(|bad| wrong(&bad.to_string()))?;
                naming.names.push((field, name));
            }
            _ => return Err(wrong("expected a name")),
        }
    }
    Ok(naming)
}

/// Reads `true` or `false`, which a form has as text.
fn is_true(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}
