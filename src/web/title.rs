//! `POST /items/<id>`: changes the title of an upload.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, read_body, wants_page};
use super::response::see_other;
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::name::Name;
use crate::pipeline::uploads;

/// Room for the longest title in a form.
const LARGEST: usize = 8 << 10;

/// Answers with the title as it is stored. A browser is redirected to the upload's page.
pub(super) async fn set(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?;
    let title = match (fields.shift_remove("title"), fields.keys().next()) {
        (_, Some(other)) => return Err(ApiError::BadRequest(format!("{other}: there is no such field here"))),
        (Some(Value::String(title)), None) => title,
        (Some(Value::Null), None) => String::new(),
        _ => return Err(ApiError::BadRequest("title: expected text, or nothing to take the title away".to_owned())),
    };
    let title = match title.trim() {
        "" => None,
        title => Some(title.parse::<Name>().map_err(|wrong| ApiError::BadRequest(format!("title: {wrong}")))?),
    };
    uploads::set_title(&context, name.clone(), title.clone()).await?;
    if wants_page(&headers) {
        return Ok(see_other(&format!("/items/{}", name.as_str())));
    }
    Ok(Json(json!({ "id": name.as_str(), "title": title.as_ref().map(Name::as_str) })).into_response())
}
