//! `POST /calls/<sid>/speakers`: names the speakers of a call, or swaps its sides.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::calls::speakers_of;
use super::error::ApiError;
use super::extract::{Id, NoParameters, Query, is_form, media_type, read_body, wants_page};
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::speakers::parse_name;
use crate::pipeline::speakers::{self, Naming};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

/// The field that swaps the sides. No speaker has this label.
const SWAP: &str = "swap";

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

/// Reads a JSON object or a form.
fn read_naming(headers: &HeaderMap, body: &[u8]) -> Result<Naming, ApiError> {
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    let fields = match media_type(headers).as_deref() {
        Some("application/json") => read_json(body)?,
        // `curl -d '{…}'` says that it is a form, which cannot begin so.
        Some(_) if is_form(headers) && looks_like_json => read_json(body)?,
        Some(_) if is_form(headers) => read_form(body)?,
        Some(_) => return Err(ApiError::UnsupportedMediaType("the body is neither JSON nor a form")),
        None => return Err(ApiError::UnsupportedMediaType("the body has no Content-Type")),
    };
    let mut naming = Naming::default();
    for (field, value) in fields {
        let wrong = |why: &str| ApiError::BadRequest(format!("{field}: {why}"));
        match value {
            Value::Bool(swap) if field == SWAP => naming.swap = swap,
            _ if field == SWAP => return Err(wrong("expected true or false")),
            Value::String(name) => {
                let name = parse_name(&name).map_err(|why| wrong(&why))?;
                naming.names.push((field, name));
            }
            _ => return Err(wrong("expected a name")),
        }
    }
    Ok(naming)
}

fn read_json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::BadRequest(format!("expected a JSON object; line {}, column {}", error.line(), error.column()))
    })
}

fn read_form(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for (name, text) in form_urlencoded::parse(body).into_owned() {
        let value = match &*text {
            "true" | "false" if name == SWAP => Value::Bool(text == "true"),
            _ => Value::String(text),
        };
        if fields.insert(name.clone(), value).is_some() {
            return Err(ApiError::BadRequest(format!("{name}: expected once")));
        }
    }
    Ok(fields)
}
