//! The log-in page: the operator's token, or the one link that the start prints, for a cookie by which a browser is let
//! in. The cookie is all there is to a session: nothing is stored.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Query, only_header, read_body, read_form};
use super::pages::Notices;
use super::{access, page};
use crate::context::{Context, Shared};
use crate::operator::SESSION;

/// A token, which may be long.
const LARGEST_FORM: usize = 8 << 10;

/// What may follow the `?`.
#[derive(Deserialize)]
pub(super) struct Link {
    /// What the printed link holds: no operator's token.
    token: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Form {
    token: String,
}

#[derive(Template)]
#[template(path = "login.html", config = "src/web/pages/askama.toml")]
struct LoginPage {
    notices: Notices,
    /// Whether there is a token to be typed.
    has_token: bool,
    is_logged_in: bool,
}

/// The form, or with the link's nonce, a session.
pub(super) async fn show(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(link): Query<Link>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    if let Some(token) = link.token {
        return match context.operator.use_link(&token) {
            true => Ok(opened(&context, headers)),
            false => Err(ApiError::UsedLink),
        };
    }
    let is_logged_in = has_session(&context, headers);
    if access::is_from_here(&context, peer, &request) && !is_logged_in {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response());
    }
    let (notices, has_token) = (Notices::for_strangers(&context), context.operator.has_token());
    Ok(page(LoginPage { notices, has_token, is_logged_in }.render()))
}

/// Opens a session for the token.
pub(super) async fn log_in(State(context): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Form { token } = read_form(&read_body(body, LARGEST_FORM).await?)?;
    match context.operator.is_token(token.trim().as_bytes(), context.clock.now_ms())? {
        true => Ok(opened(&context, &parts.headers)),
        false => Err(ApiError::WrongToken),
    }
}

/// axum answers HEAD with the handler of GET, which here would use up the link.
pub(super) async fn not_head() -> ApiError {
    ApiError::MethodNotAllowed(Some("GET, POST"))
}

/// Takes the cookie away. Sessions of other browsers end when their week is over, or the token is changed.
pub(super) async fn log_out(headers: HeaderMap) -> Response {
    let cookie = format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", cookie_name(&headers));
    (StatusCode::SEE_OTHER, [(LOCATION, "/login".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

/// Whether a cookie of this request is a session.
pub(super) fn has_session(context: &Context, headers: &HeaderMap) -> bool {
    let name = cookie_name(headers);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).any(|cookie| match cookie.trim().split_once('=') {
        Some((other, session)) => other == name && context.operator.is_session(session, context.clock.now()),
        None => false,
    })
}

fn opened(context: &Context, headers: &HeaderMap) -> Response {
    tracing::info!("an operator logged in");
    let (name, session) = (cookie_name(headers), context.operator.session(context.clock.now()));
    let secure = if is_https(context, headers) { "; Secure" } else { "" };
    let cookie = format!("{name}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={SESSION}{secure}");
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

/// Cookies are shared by all ports of a host, so that other programs at localhost have them, too: each has a name of
/// its own.
fn cookie_name(headers: &HeaderMap) -> String {
    let port = only_header(headers, HOST.as_str()).and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("callscribe-{port}"),
        None => "callscribe".to_owned(),
    }
}

/// Whether the browser came by HTTPS, as far as it can be known: TLS ends before this program. A cookie that is wrongly
/// called secure would not be kept, so what is not known is not claimed.
fn is_https(context: &Context, headers: &HeaderMap) -> bool {
    let is_public = only_header(headers, HOST.as_str()) == Some(context.urls.authority());
    let says_so = only_header(headers, ORIGIN.as_str()).is_some_and(|origin| origin.starts_with("https://"));
    says_so || (is_public && !context.urls.is_plain_http())
}
