//! `/login` and `/logout`: opens a browser's session for the operator's token or the printed log-in link, and ends it.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Query, read_body, read_form};
use super::pages::Notices;
use super::response::page;
use super::{access, session};
use crate::context::{Context, Shared};
use crate::pipeline;

/// Room for a long token.
const LARGEST_FORM: usize = 8 << 10;

/// The query.
#[derive(Deserialize)]
pub(super) struct Link {
    /// The nonce of the printed link, which is not the operator token.
    token: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Form {
    token: String,
}

#[derive(Template)]
#[template(path = "login.html", config = "src/web/pages/askama.toml")]
struct LoginPage {
    notices: Notices,
    has_token: bool,
    is_logged_in: bool,
}

/// Shows the form, or opens a session for the link's nonce.
pub(super) async fn show(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(link): Query<Link>,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(token) = link.token {
        let is_link = context.auth.link.redeem(&token);
        return if is_link { Ok(logged_in(&context, request.headers())) } else { Err(ApiError::UsedLink) };
    }
    let looks_local = access::looks_local(peer, &request);
    let sessions = session::signed(&context, request.headers());
    drop(request);
    let is_logged_in = session::is_any_open(&context, &sessions).await?;
    if !is_logged_in && looks_local && access::is_trusted(&context).await {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response());
    }
    let (notices, has_token) = (Notices::for_strangers(&context), context.auth.token.is_set());
    Ok(page(LoginPage { notices, has_token, is_logged_in }.render()))
}

/// Opens a session for the token.
pub(super) async fn log_in(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Form { token } = read_form(&read_body(body, LARGEST_FORM).await?)?;
    let is_token = access::is_token(&context, peer, &parts.headers, token.trim().as_bytes())?;
    if is_token { Ok(logged_in(&context, &parts.headers)) } else { Err(ApiError::WrongToken) }
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

fn logged_in(context: &Context, headers: &HeaderMap) -> Response {
    tracing::info!("an operator logged in");
    let cookie = session::opened(context, headers);
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
