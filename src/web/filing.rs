//! `POST /items/<id>`: changes the title of an upload, and the tag of a call or an upload.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, read_body, wants_page};
use super::response::see_other;
use super::view::CallView;
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::name::Name;
use crate::pipeline::filing::{self, Change};

/// Room for the longest title and tag in a form.
const LARGEST: usize = 16 << 10;

/// What a client may change. `null` takes away what is stored.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilingBody {
    /// Of an upload.
    title: Option<String>,
    tag: Option<String>,
}

/// Title and tag as they are stored.
#[derive(Serialize, ToSchema)]
pub(super) struct FiledView {
    id: Option<String>,
    title: Option<String>,
    tag: Option<String>,
}

/// Answers with title and tag as they are stored. A browser is redirected to the page of the call or upload.
pub(super) async fn change(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?;
    let change = Change { title: taken(&mut fields, "title")?, tag: taken(&mut fields, "tag")? };
    if let Some(other) = fields.keys().next() {
        return Err(ApiError::BadRequest(format!("{other}: there is no such field here")));
    }
    if change.title.is_none() && change.tag.is_none() {
        return Err(ApiError::BadRequest("expected a title or a tag".to_owned()));
    }
    let call = CallView::of(&filing::change(&context, &name, change).await?);
    if wants_page(&headers) {
        return Ok(see_other(&call.path()));
    }
    Ok(Json(FiledView { id: call.id, title: call.title, tag: call.tag }).into_response())
}

/// Takes the new value of a field. A blank text or `null` takes away what is stored.
fn taken(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Option<Name>>, ApiError> {
    let text = match fields.shift_remove(name) {
        None => return Ok(None),
        Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(_) => return Err(ApiError::BadRequest(format!("{name}: expected text, or nothing to take it away"))),
    };
    match text.trim() {
        "" => Ok(Some(None)),
        text => {
            let parsed = text.parse().map_err(|wrong| ApiError::BadRequest(format!("{name}: {wrong}")))?;
            Ok(Some(Some(parsed)))
        }
    }
}
