//! `/dial/<number>`: rings a phone.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access;
use super::error::ApiError;
use super::extract::{Id, Query, wants_page};
use super::text;
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::pipeline;

/// What may follow the `?`.
#[derive(Deserialize)]
pub(super) struct Options {
    /// Terms for this call's transcript, comma separated.
    #[serde(default)]
    keyterms: String,
}

/// Dials, and says so in the tutorial's words. A browser is sent on to the call's page, so that a reload dials nothing.
pub(super) async fn dial(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(number): Id<PhoneNumber>,
    Query(options): Query<Options>,
) -> Result<Response, ApiError> {
    if !access::is_meant(&headers) {
        return Err(ApiError::Forbidden("a page may not dial: type the address into the browser's address bar"));
    }
    let call = pipeline::dial::dial(&context, number.clone(), Keyterms::from_list(&options.keyterms)).await?;
    let said = text(&sentence(&number.to_string(), &call));
    match wants_page(&headers) {
        true => Ok((StatusCode::SEE_OTHER, [(header::LOCATION, format!("/calls/{call}"))], said).into_response()),
        false => Ok(said),
    }
}

/// Every other method. axum answers HEAD with the handler of GET, which here would ring a phone.
pub(super) async fn not_get() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET"))
}

/// The tutorial's words.
pub(super) fn sentence(to: &str, call: &CallSid) -> String {
    format!("dialing {to}. call SID is: {call}")
}
