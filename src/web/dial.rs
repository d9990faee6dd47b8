//! `/dial/<number>`: rings a phone.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::{self, Wish};
use super::error::ApiError;
use super::extract::{Id, Query, read_body, read_form, wants_page};
use super::pages::Notices;
use super::{page, text};
use crate::context::Shared;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::pipeline;

/// A number and a thousand key terms.
const LARGEST_FORM: usize = 64 << 10;

/// What may follow the `?`.
#[derive(Deserialize)]
pub(super) struct Options {
    /// Terms for this call's transcript, comma separated.
    #[serde(default)]
    keyterms: String,
}

/// What the button of the confirmation page sends.
#[derive(Deserialize)]
pub(super) struct Confirmed {
    number: String,
    #[serde(default)]
    keyterms: String,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/web/pages/askama.toml")]
struct ConfirmPage {
    notices: Notices,
    number: PhoneNumber,
    keyterms: String,
}

/// Dials if that is meant; asks a browser that leaves it open.
pub(super) async fn dial(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(number): Id<PhoneNumber>,
    Query(Options { keyterms }): Query<Options>,
) -> Result<Response, ApiError> {
    match access::wish(&headers) {
        Wish::Meant => ring(&context, &headers, number, &keyterms).await,
        Wish::Unsaid => Ok(page(ConfirmPage { notices: Notices::of(&context), number, keyterms }.render())),
        Wish::NotMeant => {
            Err(ApiError::Forbidden("a page may not dial: type the address into the browser's address bar"))
        }
    }
}

/// Dials what the confirmation page's button says.
pub(super) async fn confirmed(State(context): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Confirmed { number, keyterms } = read_form(&read_body(body, LARGEST_FORM).await?)?;
    ring(&context, &parts.headers, number.parse()?, &keyterms).await
}

/// Dials, and says so in the tutorial's words. A browser is sent on to the call's page, so that a reload dials nothing.
async fn ring(
    context: &Shared,
    headers: &HeaderMap,
    number: PhoneNumber,
    keyterms: &str,
) -> Result<Response, ApiError> {
    let call = pipeline::dial::dial(context, number.clone(), Keyterms::from_list(keyterms)).await?;
    let said = text(&sentence(&number.to_string(), call.as_str()));
    match wants_page(headers) {
        true => Ok((StatusCode::SEE_OTHER, [(header::LOCATION, format!("/calls/{call}"))], said).into_response()),
        false => Ok(said),
    }
}

/// Every other method. axum answers HEAD with the handler of GET, which here would ring a phone.
pub(super) async fn not_get() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET"))
}

/// The tutorial's words.
pub(super) fn sentence(to: &str, call: &str) -> String {
    format!("dialing {to}. call SID is: {call}")
}
