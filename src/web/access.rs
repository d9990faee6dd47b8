//! Who may. Everything but the vendors' callbacks is for the operator: from this computer, or with `OPERATOR_TOKEN`.
//!
//! The port that a tunnel leads to is the port that dials phones, so a request counts as from this computer only if
//! nothing about it speaks against that. What a proxy adds can take trust away and never give it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::extract::only_header;
use crate::context::Shared;

/// Headers that say that somebody stands between.
const PROXY_HEADERS: &[&str] = &["forwarded", "via", "x-real-ip", "x-original-host", "true-client-ip"];

/// And how the names of others begin.
const PROXY_PREFIXES: &[&str] =
    &["x-forwarded-", "cf-", "ngrok-", "x-envoy-", "x-amzn-", "fly-", "tailscale-", "x-arr-", "x-azure-"];

/// Lets the operator through.
pub(super) async fn operator_only(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    if is_speculative(headers) {
        return Err(ApiError::Speculative);
    }
    if is_from_another_site(request.method(), headers) {
        return Err(ApiError::Forbidden("another web site may not use this program"));
    }
    let from_here = peer.ip().to_canonical().is_loopback() && names_this_computer(&request);
    match &context.operator_token {
        _ if from_here => {}
        Some(token) if carries(headers, token.expose_secret()) => {}
        Some(_) => return Err(ApiError::TokenNeeded),
        None => {
            return Err(ApiError::Forbidden(
                "this is answered only on the computer that callscribe runs on, at localhost; set OPERATOR_TOKEN to let an operator in from elsewhere",
            ));
        }
    }
    Ok(next.run(request).await)
}

/// What a request says of whether somebody means to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A browser whose user typed the address, or a client without fetch metadata, as curl is.
    Meant,
    /// A browser that navigates here without saying whether its user meant to: Safari, which leaves that out.
    Unsaid,
    /// A part of a page.
    NotMeant,
}

/// What this request says.
pub(super) fn wish(headers: &HeaderMap) -> Wish {
    if !headers.keys().any(|name| name.as_str().starts_with("sec-fetch-")) {
        return Wish::Meant;
    }
    let says = |name: &str, wanted: &str| only_header(headers, name) == Some(wanted);
    match says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document") {
        true if says("sec-fetch-user", "?1") => Wish::Meant,
        true if says("sec-fetch-site", "none") && !headers.contains_key("sec-fetch-user") => Wish::Unsaid,
        _ => Wish::NotMeant,
    }
}

/// Browsers load addresses ahead of their users: while one types, on hover, because a page asks them to.
fn is_speculative(headers: &HeaderMap) -> bool {
    let prefetch = headers.get("x-moz").is_some_and(|value| value == "prefetch");
    prefetch || ["sec-purpose", "purpose", "x-purpose"].iter().any(|name| headers.contains_key(*name))
}

/// Whether a page of another site, which includes other ports of localhost, sends the browser here.
fn is_from_another_site(method: &Method, headers: &HeaderMap) -> bool {
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match only_header(headers, "sec-fetch-site") {
        Some("same-origin") => false,
        Some("none") => !is_read,
        // What comes twice comes from no browser.
        _ if headers.contains_key("sec-fetch-site") => true,
        _ => {
            let Some(origin) = headers.get(header::ORIGIN) else { return false };
            let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
            let own = [b"http://".as_slice(), b"https://"].map(|scheme| [scheme, host].concat());
            !own.iter().any(|own| own == origin.as_bytes())
        }
    }
}

/// HTTP/1.1, straight to a name of this computer, with no sign of anybody in between.
fn names_this_computer(request: &Request) -> bool {
    let headers = request.headers();
    let is_proxied = headers.keys().any(|name| {
        let name = name.as_str();
        PROXY_HEADERS.contains(&name) || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let same_target = request.uri().authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    request.version() == Version::HTTP_11 && !is_proxied && same_target && is_local_name(host)
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            if port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            name
        }
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether exactly one `Authorization` brings the token, as Bearer or as Basic password with any name.
fn carries(headers: &HeaderMap, token: &str) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return false };
    let Some((scheme, value)) = given.to_str().ok().and_then(|given| given.split_once(' ')) else { return false };
    let password = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => value.trim().as_bytes().to_vec(),
        "basic" => match STANDARD.decode(value.trim()) {
            Ok(pair) => match pair.iter().position(|byte| *byte == b':') {
                Some(colon) => pair[colon + 1..].to_vec(),
                None => return false,
            },
            Err(_) => return false,
        },
        _ => return false,
    };
    // Of hashes, so that the time taken does not tell the token's length either.
    Sha256::digest(&password).ct_eq(&Sha256::digest(token.as_bytes())).into()
}
