//! What handlers take out of requests: ids parsed at the door, bodies under a limit, callbacks that are proved.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::qvalue::weighted;
use crate::clients::twilio::callbacks::{self, Pair, pairs};
use crate::clients::twilio::signature::{self, Algorithm};
use crate::context::{Context, Shared};
use crate::model::call::CallId;

/// Callbacks are small.
pub(super) const LARGEST_CALLBACK: usize = 64 << 10;

/// A body this small is there at once, or somebody holds the connection open on purpose.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// The one parameter of the path, parsed.
pub(super) struct Id<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| ApiError::BadRequest("the address is not valid UTF-8".to_owned()))?;
        text.parse().map(Self).map_err(|error: T::Err| ApiError::BadRequest(error.to_string()))
    }
}

/// The query, read as the struct that names its parameters.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read_form(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// What a callback says once, and in its form: not in the address, which is ours.
const SAID_ONCE: [&str; 12] = [
    "AccountSid",
    "CallSid",
    "CallStatus",
    "Direction",
    "From",
    "To",
    "RecordingSid",
    "RecordingStatus",
    "RecordingDuration",
    "RecordingChannels",
    "RecordingSource",
    "ErrorCode",
];

/// What the address that Twilio was given says of the call: the token of a call that was dialled here.
#[derive(Deserialize)]
pub(super) struct About {
    #[serde(default)]
    t: String,
}

impl About {
    /// The token. One that is none was not given out here, and says nothing.
    pub(super) fn token(&self) -> Option<CallId> {
        self.t.parse().ok()
    }
}

/// A callback of our Twilio account: its signature is right and its account ours. Nothing of it is read before.
pub(super) struct FromTwilio<T> {
    /// What its address says.
    pub(super) about: About,
    /// What Twilio says.
    pub(super) told: T,
}

impl<T: DeserializeOwned> FromRequest<Shared> for FromTwilio<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Shared) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // Before the body is read: whoever cannot sign does not get to send one.
        let signature = only_header(&parts.headers, signature::HEADER).ok_or(NOT_SIGNED)?;
        if parts.headers.contains_key(signature::SETTINGS_HEADER) {
            tracing::warn!("a callback is signed with a webhook shared key; this program knows the auth token alone");
            return Err(NOT_SIGNED);
        }
        let body = read_body(body, LARGEST_CALLBACK).await?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let url = context.urls.requested(target);
        let promised = signature::promised_body_hash(&url);
        let (is_post, is_form) = (parts.method == Method::POST, is_form(&parts.headers));
        if is_post && !is_form && promised.is_none() {
            return Err(NOT_SIGNED);
        }
        let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let form = if parts.method == Method::GET { Vec::new() } else { pairs(&body) };
        // Those of a body that is signed by its hash are not signed once more.
        let signed = if is_post && is_form && promised.is_none() { &form[..] } else { &[] };
        let is_body = promised.is_none_or(|promised| signature::body_matches(&promised, &body));
        if !is_body || !is_signed(context, &url, signed, signature) {
            return Err(NOT_SIGNED);
        }

        let (fields, beside) =
            if parts.method == Method::GET { (&query[..], &[][..]) } else { (&form[..], &query[..]) };
        let mut accounts = fields.iter().filter(|(name, _)| name == "AccountSid");
        match (accounts.next(), accounts.next()) {
            (Some((_, account)), None) if *account == context.account_sid => {}
            (Some(_), None) => return Err(ApiError::Forbidden("this callback is of another Twilio account")),
            _ => return Err(ApiError::BadRequest("AccountSid: expected once".to_owned())),
        }
        if let Some(name) = said_wrongly(fields, beside) {
            return Err(ApiError::BadRequest(format!("{name}: expected once, and not in the address")));
        }
        let unreadable = |error: serde::de::value::Error| ApiError::BadRequest(error.to_string());
        let about = callbacks::read(&query).map_err(unreadable)?;
        Ok(Self { about, told: callbacks::read(fields).map_err(unreadable)? })
    }
}

/// What is said twice, or in the address of a form, and may not be.
fn said_wrongly<'p>(fields: &'p [Pair<'_>], beside: &'p [Pair<'_>]) -> Option<&'p str> {
    let is_said_once = |name: &str| SAID_ONCE.contains(&name);
    let comes_again = |at: usize, name: &str| fields[at + 1..].iter().any(|(other, _)| other == name);
    let mut twice = fields.iter().enumerate().filter(|(at, (name, _))| is_said_once(name) && comes_again(*at, name));
    let mut elsewhere = beside.iter().filter(|(name, _)| is_said_once(name));
    twice.next().map(|(_, pair)| pair).or_else(|| elsewhere.next()).map(|(name, _)| &**name)
}

/// The same words for a missing and for a wrong one.
const NOT_SIGNED: ApiError = ApiError::Forbidden("the request does not carry a valid X-Twilio-Signature");

/// Under any of our auth tokens. Who cannot sign has them all tried.
fn is_signed(context: &Context, url: &str, params: &[Pair<'_>], signature: &str) -> bool {
    let is_of =
        |token: &SecretString| signature::verify(Algorithm::HmacSha1, token.expose_secret(), url, params, signature);
    context.auth_tokens.iter().any(is_of)
}

/// A header's value, if it is there once.
pub(super) fn only_header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The whole body, if it is no longer than this and comes in time.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(ApiError::TooLarge(limit));
    }
    let read = tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, limit)).await;
    read.map_err(|_| ApiError::TooSlow)?.map_err(|error| {
        let is_long =
            std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        if is_long { ApiError::TooLarge(limit) } else { ApiError::BadRequest("the body broke off".to_owned()) }
    })
}

/// Whether the body says that it is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    written_type(headers).is_some_and(|written| written.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The `Content-Type` without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    written_type(headers).map(str::to_ascii_lowercase)
}

fn written_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// A struct from a form or query. What it names may come once.
pub(super) fn read_form<T: DeserializeOwned>(encoded: &[u8]) -> Result<T, ApiError> {
    serde_urlencoded::from_bytes(encoded).map_err(|error| ApiError::BadRequest(error.to_string()))
}

/// Whether the client is a browser that wants a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    preferred(headers, &["text/html", "application/json", "application/problem+json"]) == Some("text/html")
}

/// The one of these media types that `Accept` names with the highest weight, the first of those of the same weight.
/// Wildcards name none.
pub(super) fn preferred<'t>(headers: &HeaderMap, media_types: &[&'t str]) -> Option<&'t str> {
    let mut best = (0.0, None);
    for (name, weight) in weighted(headers, &header::ACCEPT) {
        let named = media_types.iter().copied().find(|media_type| media_type.eq_ignore_ascii_case(name));
        if named.is_some() && weight > best.0 {
            best = (weight, named);
        }
    }
    best.1
}
