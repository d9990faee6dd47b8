//! `POST /calls/<sid>/speakers`: names the speakers of a call, or swaps its sides.

use askama::Template;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::calls::speakers_of;
use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::response::{page, see_other};
use super::view::SpeakerView;
use super::who::Asker;
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

#[derive(Serialize, ToSchema)]
pub(super) struct SpeakerList {
    speakers: Vec<SpeakerView>,
}

/// The form for the names, when it comes back to be sent again.
#[derive(Template)]
#[template(path = "speakers.html", config = "src/web/pages/askama.toml")]
struct SpeakersPage {
    notices: Notices,
    /// The call's name in addresses.
    call: String,
    /// Whether the sides were swapped where the reader saw them.
    seen_swapped: bool,
    /// With the names that were typed.
    speakers: Vec<SpeakerView>,
    refused: Option<Refused>,
    is_kept: bool,
}

/// Answers with the speakers as they are now. A browser goes back to the call's page.
pub(super) async fn name(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(call): Id<CallName>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?;
    let named = async { Ok(speakers::name(&context, &call, naming(&fields)?, asked).await?) };
    match named.await {
        Ok(()) if wants_page(&headers) => {
            let location = format!("/calls/{}#speakers", call.as_str());
            Ok(see_other(&location))
        }
        Ok(()) => {
            let speakers = speakers_of(&context, &call).await?;
            Ok(Json(SpeakerList { speakers }).into_response())
        }
        Err(error @ ApiError::BadRequest(_)) if wants_page(&headers) => {
            let (speakers, seen_swapped) = typed(&context, &call, &fields).await?;
            Ok(forms::again(error, move |problem| {
                let (notices, call, speakers) = (Notices::of(&context), call.as_str().to_owned(), speakers.clone());
                let refused = Some(Refused { field: "", problem });
                page(SpeakersPage { notices, call, seen_swapped, speakers, refused, is_kept: false }.render())
            }))
        }
        Err(error) => Err(error),
    }
}

/// Shows a form that was sent before its browser was logged in. One without names leads back to the call's page.
pub(super) async fn show_again(context: &Shared, call: CallName, form: &[u8]) -> Result<Response, ApiError> {
    let fields = Fields::of_form(form).into_object()?;
    if fields.contains_key(SWAP) {
        let location = format!("/calls/{}#speakers", call.as_str());
        return Ok(see_other(&location));
    }
    let (speakers, seen_swapped) = typed(context, &call, &fields).await?;
    let (notices, call) = (Notices::of(context), call.as_str().to_owned());
    Ok(page(SpeakersPage { notices, call, seen_swapped, speakers, refused: None, is_kept: true }.render()))
}

/// Returns the speakers of a call with the names that were typed, and which way round the reader saw them.
async fn typed(
    context: &Shared,
    call: &CallName,
    fields: &Map<String, Value>,
) -> Result<(Vec<SpeakerView>, bool), ApiError> {
    let mut speakers = speakers_of(context, call).await?;
    for speaker in &mut speakers {
        let typed = fields.get(&speaker.label).and_then(Value::as_str).unwrap_or_default();
        typed.clone_into(&mut speaker.given);
    }
    Ok((speakers, fields.get(SEEN_SWAPPED).and_then(is_true).unwrap_or_default()))
}

fn naming(fields: &Map<String, Value>) -> Result<Naming, ApiError> {
    let mut naming = Naming::default();
    for (field, value) in fields {
        let wrong = |why: &str| ApiError::BadRequest(format!("{field}: {why}"));
        match value {
            _ if field == SWAP || field == SEEN_SWAPPED => {
                let is_it = is_true(value).ok_or_else(|| wrong("expected true or false"))?;
                if field == SWAP { naming.swap = is_it } else { naming.seen_swapped = Some(is_it) }
            }
            Value::String(text) => {
                let name = Some(text.trim()).filter(|name| !name.is_empty()).map(str::parse::<Name>).transpose();
                let name = name.map_err(|bad| wrong(&bad.to_string()))?;
                naming.names.push((field.clone(), name));
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
