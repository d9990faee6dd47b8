//! The cookie that holds a browser's session.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST, ORIGIN};

use super::error::ApiError;
use super::extract::only_header;
use crate::auth::{SESSION_SECONDS, Session};
use crate::context::Context;

/// Returns the sessions in the cookies of a request that were opened here and whose time is not over. There are none in a
/// stranger's request, so that only an operator's costs a look into the store, by [`is_any_open`].
pub(super) fn signed(context: &Context, headers: &HeaderMap) -> Vec<Session> {
    let (name, now) = (cookie_name(headers), context.clock.now());
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.filter(|(other, _)| *other == name).filter_map(|(_, text)| context.auth.sessions.read(text, now)).collect()
}

/// Whether one of these sessions was not logged out.
pub(super) async fn is_any_open(context: &Context, sessions: &[Session]) -> Result<bool, ApiError> {
    for session in sessions {
        if !context.store.read().await?.is_session_ended(&session.id).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns a `Set-Cookie` with a new session.
pub(super) fn opened(context: &Context, headers: &HeaderMap) -> String {
    let (name, session) = (cookie_name(headers), context.auth.sessions.open(context.clock.now()));
    let secure = if is_https(context, headers) { "; Secure" } else { "" };
    format!("{name}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={SESSION_SECONDS}{secure}")
}

/// Returns a `Set-Cookie` that removes the session from this browser.
pub(super) fn removed(headers: &HeaderMap) -> String {
    format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", cookie_name(headers))
}

/// Returns a name that holds the port: all ports of a host share their cookies, so other programs at localhost receive
/// this one too.
fn cookie_name(headers: &HeaderMap) -> String {
    let port = only_header(headers, HOST.as_str()).and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("callscribe-{port}"),
        None => "callscribe".to_owned(),
    }
}

/// Whether the browser is known to use HTTPS. TLS ends before this program, so it is known from `Host` and `Origin` alone.
/// A browser drops a `Secure` cookie that it received over plain HTTP, so in doubt this is `false`.
fn is_https(context: &Context, headers: &HeaderMap) -> bool {
    let is_public = only_header(headers, HOST.as_str()) == Some(context.urls.authority());
    let says_so = only_header(headers, ORIGIN.as_str()).is_some_and(|origin| origin.starts_with("https://"));
    says_so || (is_public && !context.urls.is_plain_http())
}
