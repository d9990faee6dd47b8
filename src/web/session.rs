//! The cookie that holds a browser's session. The cookie is all there is to it: nothing is stored.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST, ORIGIN};

use super::extract::only_header;
use crate::auth::SESSION_SECONDS;
use crate::context::Context;

/// Whether a cookie of this request holds a session that has not ended.
pub(super) fn has_session(context: &Context, headers: &HeaderMap) -> bool {
    let name = cookie_name(headers);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).any(|cookie| match cookie.trim().split_once('=') {
        Some((other, session)) => other == name && context.auth.sessions.is_open(session, context.clock.now()),
        None => false,
    })
}

/// Returns a `Set-Cookie` with a new session.
pub(super) fn opened(context: &Context, headers: &HeaderMap) -> String {
    let (name, session) = (cookie_name(headers), context.auth.sessions.open(context.clock.now()));
    let secure = if is_https(context, headers) { "; Secure" } else { "" };
    format!("{name}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={SESSION_SECONDS}{secure}")
}

/// Returns a `Set-Cookie` that removes the session from this browser. Sessions of other browsers last until their week is
/// over or the token is changed.
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
