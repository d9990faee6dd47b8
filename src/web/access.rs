//! Who may do what. Everything but the vendors' callbacks is for the operator: at this computer, with `OPERATOR_TOKEN`, or
//! with a session opened by it (`login`). A named token has some of the operator's rights (`rights`).
//!
//! A tunnel leads to the same port that dials phones. So a request counts as local only if nothing about it suggests
//! otherwise, and while it is known that no tunnel makes strangers look local (`exposure`). Until that is known, the request
//! waits. Headers that a proxy adds can remove trust and never give it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;
use super::extract::{only_header, wants_page};
use super::revocable::{is_valid, while_valid};
use super::rights::right_of;
use super::who::Who;
use super::{login_page, session};
use crate::auth::{TooManyGuesses, hash_of_named};
use crate::context::{Context, Shared};
use crate::exposure::OWN_NAMES;
use crate::model::named_token::NamedToken;
use crate::pipeline::tokens;
use crate::server::Slot;

/// Headers that only proxies add.
const PROXY_HEADERS: &[&str] = &[
    "cdn-loop",
    "client-ip",
    "forwarded",
    "forwarded-for",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-rewrite-url",
];

/// Prefixes of other headers that only proxies add.
const PROXY_PREFIXES: &[&str] = &[
    "cf-",
    "fastly-",
    "fly-",
    "ngrok-",
    "tailscale-",
    "x-akamai-",
    "x-amzn-",
    "x-arr-",
    "x-azure-",
    "x-envoy-",
    "x-forwarded",
    "x-original-",
    "x-vercel-",
];

/// A response that takes longer may come after its token was revoked.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The headers that responses depend on, for caches that ignore `no-store`.
const VARY: HeaderValue = HeaderValue::from_static(
    "accept, accept-encoding, authorization, cookie, origin, purpose, referer, sec-fetch-dest, sec-fetch-mode, sec-fetch-site, \
     sec-fetch-user, sec-purpose, user-agent, x-moz, x-purpose",
);

/// Marks the response to a request that was not let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnedAway;

/// Lets only the operator through, and the bearer of a named token with the right for the route. Adds [`Who`] to the request.
pub(super) async fn operator_only(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let response = match admit(&context, peer, &request).await {
        Ok(who) => {
            if let Who::Named(token) = &who {
                if let Err(error) = check_right(token, &request) {
                    return varying(error.into_response());
                }
                request = request.map(|body| while_valid(&context, token.id, body));
            }
            if let Some(slot) = request.extensions().get::<Slot>() {
                slot.keep();
            }
            request.extensions_mut().insert(who.clone());
            // What is done is done, and its answer says so.
            let (is_read, began) = (request.method() == Method::GET, Instant::now());
            let mut response = next.run(request).await;
            if let Who::Named(token) = &who {
                if is_read && began.elapsed() > AT_ONCE && !is_valid(&context, token.id).await {
                    return varying(ApiError::UnknownToken.into_response());
                }
                // What is in memory is sent at once.
                if response.body().size_hint().exact().is_none() {
                    response = response.map(|body| while_valid(&context, token.id, body));
                }
            }
            response.extensions_mut().insert(who);
            response
        }
        Err(error) => {
            let mut response = turn_away(&context, request, error).await;
            response.extensions_mut().insert(TurnedAway);
            response
        }
    };
    varying(response)
}

/// Fails if a named token lacks the right that this request needs. There is nothing to do at an address without a route.
fn check_right(token: &NamedToken, request: &Request) -> Result<(), ApiError> {
    let Some(route) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    let right = right_of(request.method(), route.as_str());
    if token.rights.include(right) {
        return Ok(());
    }
    Err(ApiError::NotPermitted { name: token.name.to_string(), right })
}

/// Leads a browser to the log-in page. Anyone else is asked for a token, which would make a browser ask for a user name.
async fn turn_away(context: &Shared, request: Request, error: ApiError) -> Response {
    let headers = request.headers();
    let is_page = wants_page(headers);
    let is_browser = is_page || has_fetch_metadata(headers) || is_named_like_a_browser(headers);
    let mut response = match error {
        ApiError::TokenNeeded if is_page => login_page::lead(context, request).await,
        error => error.into_response(),
    };
    if is_browser {
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
    }
    response
}

/// Lets everyone through to the log-in page if there is a way to log in. If not, it is refused like any other address, but
/// not to what looks local, for which there is a log-in link when it is needed.
pub(super) async fn door(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = match is_meant(&request) {
        Ok(()) if looks_local(peer, &request) || can_log_in(&context) => Ok(()),
        Ok(()) => Err(refusal(&context)),
        Err(error) => Err(error),
    };
    varying(match admitted {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    })
}

/// Whether there is any way in apart from being at this computer.
fn can_log_in(context: &Context) -> bool {
    context.auth.token.is_set() || context.exposure.is_exposed()
}

fn varying(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, VARY);
    response
}

/// Who has a token or a session never waits for a look. Not `async`, because a future that borrows the request cannot be
/// sent to another thread.
fn admit<'a>(
    context: &'a Shared,
    peer: SocketAddr,
    request: &Request,
) -> impl Future<Output = Result<Who, ApiError>> + use<'a> {
    let meant = is_meant(request);
    let looks_local = looks_local(peer, request);
    let is_here = looks_local && context.exposure.trust(context.clock.now()) == Some(true);
    let headers = request.headers();
    let sessions = if is_here { Vec::new() } else { session::signed(context, headers) };
    let (given, from) = (given_token(headers), origin(peer, headers));
    // Who sends one wants its rights, and not those of this computer.
    let named = given.as_deref().and_then(hash_of_named);
    async move {
        meant?;
        if is_here && named.is_none() {
            return Ok(Who::Here);
        }
        if let Some(hash) = &named
            && let Some(token) = tokens::recognize(context, hash).await?
        {
            return Ok(Who::Named(Arc::new(token)));
        }
        let is_token = given.map(|given| context.auth.token.matches(&given, from, context.clock.now_ms()));
        let is_token = is_token.unwrap_or(Ok(false));
        if is_token == Ok(true) {
            return Ok(Who::Token);
        }
        if named.is_some() {
            is_token?;
            return Err(ApiError::UnknownToken);
        }
        // Without the store, a token or being here is still enough.
        let is_session = session::is_any_open(context, &sessions).await;
        if let Ok(true) = is_session {
            return Ok(Who::Session);
        }
        if looks_local && is_trusted(context).await {
            return Ok(Who::Here);
        }
        is_session?;
        match is_token {
            Err(error) => Err(error.into()),
            Ok(_) if looks_local && !context.exposure.is_exposed() => {
                Err(ApiError::Unchecked { has_token: context.auth.token.is_set() })
            }
            Ok(_) => Err(refusal(context)),
        }
    }
}

/// Returns whether a client sends the operator token. Fails if there were too many wrong ones.
pub(super) fn is_token(
    context: &Context,
    peer: SocketAddr,
    headers: &HeaderMap,
    given: &[u8],
) -> Result<bool, TooManyGuesses> {
    context.auth.token.matches(given, origin(peer, headers), context.clock.now_ms())
}

/// Returns the address that a request comes from: the one that the nearest proxy added last, if the peer may be a proxy of
/// ours. A client behind a tunnel that adds none can invent it.
fn origin(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.ip().to_canonical();
    let is_near = match peer {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    };
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back().filter(|_| is_near);
    let last = forwarded.and_then(|list| list.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.unwrap_or(peer)
}

/// The refusal for any unauthorized request, whatever its address.
pub(super) fn refusal(context: &Context) -> ApiError {
    match (context.auth.token.is_set(), context.exposure.is_exposed()) {
        (true, _) => ApiError::TokenNeeded,
        (false, true) => ApiError::Forbidden(
            "the tunnel makes visitors look local, so everyone must log in: open the log-in link in callscribe's output, or set OPERATOR_TOKEN",
        ),
        (false, false) => ApiError::Forbidden(
            "callscribe answers only on the computer it runs on, at localhost; set OPERATOR_TOKEN to log in from elsewhere",
        ),
    }
}

/// Refuses prefetches and requests that another site triggers.
fn is_meant(request: &Request) -> Result<(), ApiError> {
    if is_speculative(request.headers()) {
        return Err(ApiError::Speculative);
    }
    if is_from_another_site(request.method(), request.headers()) {
        return Err(ApiError::Forbidden("requests from other websites are not allowed"));
    }
    Ok(())
}

/// Whether a request that looks local can be trusted, because no tunnel makes strangers look local. Waits until that is
/// known.
pub(super) async fn is_trusted(context: &Context) -> bool {
    let (exposure, now) = (&context.exposure, context.clock.now());
    match exposure.trust(now) {
        Some(true) => true,
        Some(false) => {
            // Perhaps the tunnel is no longer there, which the next request then finds.
            exposure.want();
            false
        }
        None => tokio::select! {
            is_trusted = exposure.is_trusted(now) => is_trusted,
            () = context.stopping.cancelled() => false,
        },
    }
}

/// Whether nothing about the request suggests that it comes from another computer.
pub(super) fn looks_local(peer: SocketAddr, request: &Request) -> bool {
    peer.ip().to_canonical().is_loopback() && names_this_computer(request)
}

/// Whether a request shows that its user means to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialIntent {
    /// A browser at this computer whose user typed the address, or a program such as curl.
    Meant,
    /// A browser that does not show whether its user means to, or that is not trusted to.
    Unsaid,
    /// A subresource of a page, such as an image.
    NotMeant,
}

pub(super) fn dial_intent(headers: &HeaderMap, who: &Who) -> DialIntent {
    let has_metadata = has_fetch_metadata(headers);
    let intent = if has_metadata {
        navigation(headers)
    } else if headers.contains_key(header::ORIGIN) || is_named_like_a_browser(headers) {
        // Old browsers send no fetch metadata, nor does any browser over plain HTTP from another computer.
        DialIntent::Unsaid
    } else {
        // Programs send none either, and may dial.
        DialIntent::Meant
    };
    match who {
        // A browser sends cookie and password automatically, even when its user follows a link in a message. A program that
        // sends the token means to, and is treated as if it ran on this computer.
        Who::Session if intent == DialIntent::Meant => DialIntent::Unsaid,
        Who::Token | Who::Named(_) if intent == DialIntent::Meant && has_metadata => DialIntent::Unsaid,
        _ => intent,
    }
}

fn has_fetch_metadata(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// Reads the fetch metadata. Safari leaves out `Sec-Fetch-User`.
fn navigation(headers: &HeaderMap) -> DialIntent {
    let says = |name: &str, wanted: &str| only_header(headers, name) == Some(wanted);
    let is_navigation = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    if is_navigation && says("sec-fetch-user", "?1") {
        DialIntent::Meant
    } else if is_navigation && says("sec-fetch-site", "none") && !headers.contains_key("sec-fetch-user") {
        DialIntent::Unsaid
    } else {
        DialIntent::NotMeant
    }
}

/// Whether a browser sent this, or a program that acts like one.
pub(super) fn is_from_a_browser(headers: &HeaderMap) -> bool {
    let says_so = |name: &HeaderName| {
        name.as_str().starts_with("sec-fetch-") || [header::ORIGIN, header::REFERER, header::COOKIE].contains(name)
    };
    headers.keys().any(says_so) || is_named_like_a_browser(headers)
}

fn is_named_like_a_browser(headers: &HeaderMap) -> bool {
    headers.get_all(header::USER_AGENT).iter().any(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

/// Whether a browser prefetches the address: while its user types, on hover, or because a page asks for it.
fn is_speculative(headers: &HeaderMap) -> bool {
    let prefetch = headers.get("x-moz").is_some_and(|value| value == "prefetch");
    prefetch || ["sec-purpose", "purpose", "x-purpose"].iter().any(|name| headers.contains_key(*name))
}

/// Whether a page of another site triggers the request. Other ports of localhost are other sites.
fn is_from_another_site(method: &Method, headers: &HeaderMap) -> bool {
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match only_header(headers, "sec-fetch-site") {
        Some("same-origin") => false,
        Some("none") => !is_read,
        // No browser sends it twice.
        _ if headers.contains_key("sec-fetch-site") => true,
        _ => {
            let Some(origin) = headers.get(header::ORIGIN) else { return false };
            let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
            let own = [b"http://".as_slice(), b"https://"].map(|scheme| [scheme, host].concat());
            !own.iter().any(|own| own == origin.as_bytes())
        }
    }
}

/// Whether this is HTTP/1.1 to a name of this computer, with no sign of a proxy.
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

/// One of [`OWN_NAMES`], with or without a port.
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
    OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Returns the token of the only `Authorization` header, as Bearer or as Basic password with any user name.
fn given_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, value) = only_header(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().as_bytes().to_vec()),
        "basic" => {
            let pair = STANDARD.decode(value.trim()).ok()?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(pair[colon + 1..].to_vec())
        }
        _ => None,
    }
}
