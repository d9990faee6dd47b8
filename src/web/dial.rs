//! `/dial/<number>`: rings a phone.

use askama::Template;
use axum::extract::{self, Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::{self, DialIntent, Who};
use super::error::ApiError;
use super::extract::{Id, Query, read_body, read_form, wants_page};
use super::pages::Notices;
use super::response::{page, text};
use super::view::sentence;
use crate::context::Shared;
use crate::model::call::FormNonce;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::model::typed_number::{BadTypedNumber, TypedNumber};
use crate::pipeline;
use crate::pipeline::dial::{Dialed, Request};

/// Room for a number and a thousand key terms.
const LARGEST_FORM: usize = 64 << 10;

/// The query.
#[derive(Deserialize)]
pub(super) struct Options {
    /// Terms for this call's transcript, comma separated.
    #[serde(default)]
    keyterms: String,
}

/// The form of a page that dials.
#[derive(Deserialize)]
pub(super) struct Confirmed {
    number: String,
    #[serde(default)]
    keyterms: String,
    /// Makes a second click on the same form dial nothing.
    #[serde(rename = "press")]
    nonce: Option<String>,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/web/pages/askama.toml")]
struct ConfirmPage {
    notices: Notices,
    /// The numbers that the user may mean.
    numbers: Vec<PhoneNumber>,
    keyterms: String,
    nonce: FormNonce,
}

/// Dials if the request shows that its user means to, and the digits leave no doubt. Otherwise a browser gets a page with a
/// button for each number that its user may mean.
pub(super) async fn dial(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(typed): Id<TypedNumber>,
    Query(Options { keyterms }): Query<Options>,
) -> Result<Response, ApiError> {
    let read = typed.with_country_code(&context.phone_number);
    match (access::dial_intent(&headers, who), read) {
        (DialIntent::NotMeant, _) => {
            Err(ApiError::Forbidden("a web page cannot dial: type the URL into the browser's address bar"))
        }
        (_, Err(BadTypedNumber::Unclear(numbers))) if wants_page(&headers) => Ok(confirm(&context, numbers, keyterms)),
        (_, Err(bad)) => Err(bad.into()),
        (DialIntent::Meant, Ok(number)) => {
            let keyterms = Keyterms::from_list(&keyterms);
            let again = !is_browser(&headers);
            ring(&context, &headers, Request { number, keyterms, again, nonce: None }).await
        }
        (DialIntent::Unsaid, Ok(number)) => Ok(confirm(&context, vec![number], keyterms)),
    }
}

fn confirm(context: &Shared, numbers: Vec<PhoneNumber>, keyterms: String) -> Response {
    page(ConfirmPage { notices: Notices::of(context), numbers, keyterms, nonce: FormNonce::random() }.render())
}

/// Dials the number of a form. A number without `+` is shown with its country code before it rings.
pub(super) async fn confirmed(State(context): State<Shared>, request: extract::Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Confirmed { number, keyterms, nonce } = read_form(&read_body(body, LARGEST_FORM).await?)?;
    let (typed, own) = (TypedNumber::pasted(&number)?, &context.phone_number);
    let nonce = nonce.as_deref().map(str::parse).transpose()?;
    let number = if !wants_page(&parts.headers) {
        typed.with_country_code(own)?
    } else if typed.is_international() {
        typed.in_country_of(own)?
    } else {
        return Ok(confirm(&context, vec![typed.in_country_of(own)?], keyterms));
    };
    let keyterms = Keyterms::from_list(&keyterms);
    ring(&context, &parts.headers, Request { number, keyterms, again: true, nonce }).await
}

/// Whether the client is a browser. A browser may repeat a request on its own: it restores and duplicates tabs.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode") || wants_page(headers)
}

/// Dials, and answers with the tutorial's sentence. A browser is redirected to the call's page, so that a reload dials
/// nothing.
async fn ring(context: &Shared, headers: &HeaderMap, request: Request) -> Result<Response, ApiError> {
    let number = request.number.to_string();
    let Dialed { sid, was_there } = pipeline::dial::dial(context, request).await?;
    let said = text(&sentence(&number, sid.as_str()));
    if !wants_page(headers) {
        return Ok(said);
    }
    let location = if was_there { format!("/calls/{sid}?dialled=before") } else { format!("/calls/{sid}") };
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)], said).into_response())
}

/// For every other method. axum would answer HEAD with the handler of GET, which rings a phone.
pub(super) async fn not_get() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET"))
}
