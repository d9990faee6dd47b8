//! `/dial/<number>`: rings a phone.

use askama::Template;
use axum::Json;
use axum::extract::{self, Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{self, DialIntent};
use super::calls;
use super::error::ApiError;
use super::extract::{Fields, Id, Named, NoParameters, Query, media_type, of_object, read_body, read_form, wants_page};
use super::forms::{self, DialForm, Refused};
use super::pages::Notices;
use super::response::{page, text};
use super::view::CallView;
use super::who::{Asker, Who};
use crate::context::Shared;
use crate::model::call::{CallName, FormNonce};
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::model::typed_number::{BadTypedNumber, TypedNumber};
use crate::pipeline;
use crate::pipeline::asked::Asked;
use crate::pipeline::dial::{Dialed, Request};

/// Room for a number and a thousand key terms.
const LARGEST_FORM: usize = 64 << 10;

/// The query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// Terms for this call's transcript, comma separated.
    #[serde(default)]
    keyterms: String,
    /// The operator's phone for a conversation, or `me`.
    with: Option<String>,
    /// What the operator files the call under.
    #[serde(default)]
    tag: String,
}

/// The form of a page that dials.
#[derive(Deserialize, ToSchema)]
pub(super) struct Confirmed {
    number: String,
    #[serde(default)]
    keyterms: String,
    #[serde(default)]
    with: String,
    #[serde(default)]
    tag: String,
    /// Makes a second click on the same form dial nothing.
    #[serde(rename = "press")]
    nonce: Option<String>,
}

/// What a client's JSON asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CallBody)]
pub(super) struct Wanted {
    /// The number to call, with its country code.
    to: String,
    /// The operator's phone for a conversation, or `me`.
    with: Option<String>,
    #[serde(default)]
    keyterms: Terms,
    tag: Option<String>,
}

/// Terms for a call's transcript.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = CallTerms)]
#[serde(untagged, expecting = "keyterms: expected a list of words and phrases, or text separated by commas")]
enum Terms {
    List(Vec<String>),
    Text(String),
}

impl Default for Terms {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Terms {
    fn read(self) -> Keyterms {
        match self {
            Self::List(terms) => Keyterms::from_terms(terms),
            Self::Text(text) => Keyterms::from_list(&text),
        }
    }
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/web/pages/askama.toml")]
struct ConfirmPage {
    notices: Notices,
    /// The numbers that the user may mean.
    numbers: Vec<PhoneNumber>,
    with: String,
    keyterms: String,
    tag: String,
    nonce: FormNonce,
}

/// The form of the home page alone, when it comes back.
#[derive(Template)]
#[template(path = "dial.html", config = "src/web/pages/askama.toml")]
struct DialPage {
    notices: Notices,
    form: DialForm,
    refused: Option<Refused>,
    /// Whether the form was sent before its browser was logged in.
    is_kept: bool,
}

/// Dials if the request shows that its user means to, and the digits leave no doubt. Otherwise a browser gets a page with a
/// button for each number that its user may mean.
pub(super) async fn dial(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(typed): Id<String>,
    Query(Options { keyterms, with, tag }): Query<Options>,
) -> Result<Response, ApiError> {
    let intent = access::dial_intent(&headers, &who);
    if intent == DialIntent::NotMeant {
        return Err(ApiError::Forbidden("a web page cannot dial: type the URL into the browser's address bar"));
    }
    // An empty variable of a script must not turn a conversation into a message.
    if with.as_ref().is_some_and(|with| with.trim().is_empty()) {
        return Err(ApiError::BadRequest(
            "with: expected me, or one of OPERATOR_PHONES; leave it out for a message".to_owned(),
        ));
    }
    let with = with.unwrap_or_default();
    let form = DialForm { number: typed, with, keyterms, tag, ..DialForm::new(&context) };
    match dial_typed(&context, &headers, intent, &form, asked).await {
        Err(error) if wants_page(&headers) => Ok(refused(&context, form, error)),
        answer => answer,
    }
}

async fn dial_typed(
    context: &Shared,
    headers: &HeaderMap,
    intent: DialIntent,
    form: &DialForm,
    asked: Asked,
) -> Result<Response, ApiError> {
    let operator = form.phone()?.cloned();
    let number = match form.number.parse::<TypedNumber>()?.with_country_code(&context.phone_number) {
        Err(BadTypedNumber::Unclear(numbers)) if wants_page(headers) => {
            return Ok(confirm(context, numbers, form));
        }
        number => number?,
    };
    if intent == DialIntent::Unsaid {
        return Ok(confirm(context, vec![number], form));
    }
    let (keyterms, again) = (Keyterms::from_list(&form.keyterms), !is_browser(headers));
    let request = Request { number, operator, keyterms, tag: form.tag()?, again, nonce: None, asked };
    ring(context, headers, request).await
}

fn confirm(context: &Shared, numbers: Vec<PhoneNumber>, form: &DialForm) -> Response {
    let (notices, nonce) = (Notices::of(context), FormNonce::random());
    let with = form.chosen().map(PhoneNumber::to_string).unwrap_or_default();
    let (keyterms, tag) = (form.keyterms.clone(), form.tag.clone());
    page(ConfirmPage { notices, numbers, with, keyterms, tag, nonce }.render())
}

/// Dials the number of a JSON object, or that of a form. A page shows a number without `+` with its country code before it
/// rings.
pub(super) async fn confirmed(
    State(context): State<Shared>,
    Asker(asked): Asker,
    _: Query<NoParameters>,
    request: extract::Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, LARGEST_FORM).await?;
    if body.trim_ascii_start().starts_with(b"{") || media_type(&parts.headers).as_deref() == Some("application/json") {
        let fields = Fields::read(&parts.headers, &body)?.into_object()?;
        return wanted(&context, &parts.headers, of_object(fields)?, asked).await;
    }
    let form: Named<Confirmed> = read_form(&body)?;
    if !wants_page(&parts.headers) {
        let Confirmed { number, with, keyterms, tag, nonce } = form.alone()?;
        let form = DialForm { with, tag, ..DialForm::new(&context) };
        let (operator, tag) = (form.phone()?.cloned(), form.tag()?);
        let number = TypedNumber::pasted(&number)?.with_country_code(&context.phone_number)?;
        let (keyterms, nonce) = (Keyterms::from_list(&keyterms), nonce.as_deref().map(str::parse).transpose()?);
        let request = Request { number, operator, keyterms, tag, again: true, nonce, asked };
        return ring(&context, &parts.headers, request).await;
    }
    let form = typed(&context, form.named)?;
    match submit(&context, &parts.headers, &form, asked).await {
        Err(error) => Ok(refused(&context, form, error)),
        answer => answer,
    }
}

/// Dials what a JSON object asks for. Answers with the call, as `/calls/<id>` has it.
async fn wanted(context: &Shared, headers: &HeaderMap, wanted: Wanted, asked: Asked) -> Result<Response, ApiError> {
    let Wanted { to, with, keyterms, tag } = wanted;
    let form = DialForm { with: with.unwrap_or_default(), tag: tag.unwrap_or_default(), ..DialForm::new(context) };
    let (operator, tag) = (form.phone()?.cloned(), form.tag()?);
    let number = TypedNumber::pasted(&to)?.with_country_code(&context.phone_number)?;
    let request = Request { number, operator, keyterms: keyterms.read(), tag, again: true, nonce: None, asked };
    let Dialed { call, was_there } = pipeline::dial::dial(context, request).await?;
    let location = format!("/calls/{}", CallView::of(&call).name());
    let status = if was_there { StatusCode::OK } else { StatusCode::CREATED };
    let shown = calls::as_json(context, headers, &CallName::Id(call.id)).await?;
    Ok((status, [(header::LOCATION, location)], Json(shown)).into_response())
}

async fn submit(context: &Shared, headers: &HeaderMap, form: &DialForm, asked: Asked) -> Result<Response, ApiError> {
    let operator = form.phone()?.cloned();
    let (typed, own) = (TypedNumber::pasted(&form.number)?, &context.phone_number);
    let number = typed.in_country_of(own)?;
    if !typed.is_international() {
        return Ok(confirm(context, vec![number], form));
    }
    let (keyterms, nonce) = (Keyterms::from_list(&form.keyterms), Some(form.nonce.clone()));
    let request = Request { number, operator, keyterms, tag: form.tag()?, again: true, nonce, asked };
    ring(context, headers, request).await
}

fn typed(context: &Shared, form: Confirmed) -> Result<DialForm, ApiError> {
    let Confirmed { number, with, keyterms, tag, nonce } = form;
    let nonce = nonce.map_or_else(|| Ok(FormNonce::random()), |nonce| nonce.parse())?;
    Ok(DialForm { number, with, keyterms, tag, nonce, ..DialForm::new(context) })
}

/// Shows a form that was sent before its browser was logged in.
pub(super) fn show_again(context: &Shared, form: &[u8]) -> Result<Response, ApiError> {
    let (notices, form) = (Notices::of(context), typed(context, read_form(form)?)?);
    Ok(page(DialPage { notices, form, refused: None, is_kept: true }.render()))
}

/// Shows the form again with what was typed, and why it was refused.
fn refused(context: &Shared, form: DialForm, error: ApiError) -> Response {
    use pipeline::Error::{Keyterms, NoConversations, NotAllowed, SameNumber};
    let field = match &error {
        ApiError::Pipeline(
            SameNumber | NoConversations { .. } | NotAllowed(pipeline::allowed::NotAllowed::Operator(_)),
        ) => "with",
        ApiError::BadRequest(why) if why.starts_with("with: ") => "with",
        ApiError::BadRequest(why) if why.starts_with("tag: ") => "tag",
        ApiError::BadRequest(_) | ApiError::Pipeline(NotAllowed(_)) => "number",
        ApiError::Pipeline(Keyterms(_)) => "keyterms",
        _ => "",
    };
    let context = Shared::clone(context);
    forms::again(error, move |problem| {
        let (form, refused) = (form.clone(), Some(Refused { field, problem }));
        page(DialPage { notices: Notices::of(&context), form, refused, is_kept: false }.render())
    })
}

/// Whether the client is a browser. A browser may repeat a request on its own: it restores and duplicates tabs.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode") || wants_page(headers)
}

/// Dials, and answers with the tutorial's sentence. A browser is redirected to the call's page, so that a reload dials
/// nothing.
async fn ring(context: &Shared, headers: &HeaderMap, request: Request) -> Result<Response, ApiError> {
    let Dialed { call, was_there } = pipeline::dial::dial(context, request).await?;
    let call = CallView::of(&call);
    let said = text(&call.sentence());
    if !wants_page(headers) {
        return Ok(said);
    }
    let arrival = if was_there { "?dialled=before" } else { "" };
    let location = format!("/calls/{}{arrival}", call.name());
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)], said).into_response())
}

/// For every other method. axum would answer HEAD with the handler of GET, which rings a phone.
pub(super) async fn not_get() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET"))
}
