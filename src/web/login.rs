//! `/login` and `/logout`: opens a browser's session for the operator's token or the printed log-in link, and ends it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Named, read_body, read_form, wants_page};
use super::login_page::{self, Way};
use super::response::see_other;
use super::{access, blind_checks, contacts, correct_page, dial, session, speakers, transcribe, vocabulary};
use crate::context::Shared;
use crate::pipeline;

/// Room for a long token, and for a form that is kept meanwhile: encoding it again makes it up to three times as long.
const LARGEST_FORM: usize = 512 << 10;

/// The query.
#[derive(Deserialize)]
pub(super) struct Link {
    /// The nonce of the printed link, which is not the operator token.
    token: Option<String>,
    /// Where to go on to.
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Form {
    token: String,
    #[serde(flatten)]
    way: Way,
}

/// Shows the form, or opens a session for the link's nonce.
pub(super) async fn show(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, ApiError> {
    let link = Named::<Link>::of_query(request.uri())?.named;
    let way = Way::to(link.next);
    if let Some(token) = link.token {
        let is_link = context.auth.link.redeem(&token);
        return if is_link { logged_in(&context, request.headers(), &way).await } else { Err(ApiError::UsedLink) };
    }
    let looks_local = access::looks_local(peer, &request);
    let sessions = session::signed(&context, request.headers());
    drop(request);
    let is_logged_in = session::is_any_open(&context, &sessions).await?;
    if !is_logged_in && looks_local && access::is_trusted(&context).await {
        return Ok(see_other(way.next()));
    }
    Ok(login_page::show(&context, way, is_logged_in, None))
}

/// Opens a session for the token, and goes on to where the browser wanted to go.
pub(super) async fn log_in(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Form { token, way } = read_form(&read_body(body, LARGEST_FORM).await?)?;
    let refusal = match access::is_token(&context, peer, &parts.headers, token.trim().as_bytes()) {
        Ok(true) => return logged_in(&context, &parts.headers, &way).await,
        Ok(false) => ApiError::WrongToken,
        Err(too_many) => too_many.into(),
    };
    if wants_page(&parts.headers) { Ok(login_page::ask(&context, way, "token", refusal)) } else { Err(refusal) }
}

/// axum would answer HEAD with the handler of GET, which uses up the link.
pub(super) async fn not_head() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET, POST"))
}

/// Ends this browser's session, so that a copy of the cookie opens nothing either.
pub(super) async fn log_out(State(context): State<Shared>, headers: HeaderMap) -> Result<Response, ApiError> {
    let sessions = session::signed(&context, &headers);
    if !sessions.is_empty() {
        pipeline::log_out::log_out(&context, sessions.into_iter().map(|session| session.id).collect()).await?;
        tracing::info!("an operator logged out");
    }
    let cookie = session::removed(&headers);
    Ok((StatusCode::SEE_OTHER, [(LOCATION, "/login".to_owned()), (SET_COOKIE, cookie)]).into_response())
}

async fn logged_in(context: &Shared, headers: &HeaderMap, way: &Way) -> Result<Response, ApiError> {
    tracing::info!("an operator logged in");
    // Who has the token is logged in, even if the form that was sent before cannot be shown.
    let mut response = way_back(context, way).await.unwrap_or_else(IntoResponse::into_response);
    let cookie = session::opened(context, headers).parse().map_err(|_| ApiError::Internal)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Returns what the browser asked for before it was logged in: a form with what was typed, or the way to a page.
async fn way_back(context: &Shared, way: &Way) -> Result<Response, ApiError> {
    let (form, next) = (way.form.as_bytes(), way.next());
    let path: Vec<&str> = next.split('/').filter(|part| !part.is_empty()).collect();
    Ok(match path[..] {
        _ if form.is_empty() => see_other(next),
        ["calls"] => dial::show_again(context, form)?,
        ["calls", call] => speakers::show_again(context, call.parse()?, form).await?,
        ["transcribe"] => transcribe::show_again(context, form),
        ["transcript", id, "corrections"] => correct_page::show_again(context, &id.parse()?, form).await?,
        ["transcript", id, "blind-check"] => blind_checks::show_again(context, &id.parse()?, form).await?,
        // Nothing is replaced before its places are shown once more.
        ["replace"] => see_other(&format!("/replace?{}", way.form)),
        ["contacts"] => contacts::show_again(context, None, form).await?,
        ["contacts", number] => contacts::show_again(context, Some(number), form).await?,
        ["vocabulary"] => vocabulary::show_again(context, form)?,
        ["vocabulary", ..] => see_other("/vocabulary"),
        ["webhooks", ..] => see_other("/webhooks"),
        _ => see_other(next),
    })
}
