//! Who sends a request: how the operator was recognized, or which named token came with it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::error::ApiError;
use super::extract::only_header;
use super::session;
use crate::clients;
use crate::context::Shared;
use crate::model::named_token::NamedToken;
use crate::pipeline::asked::Asked;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// By being at this computer.
    Here,
    /// By the operator token in the request.
    Token,
    /// By the cookie of a browser that logged in.
    Session,
    /// By a named token in the request, which has some of the operator's rights.
    Named(Arc<NamedToken>),
}

/// Maximum length of `Idempotency-Key` in bytes.
const LONGEST_KEY: usize = 255;

/// What a handler passes on whose work costs money or is in the history.
pub(super) struct Asker(pub(super) Asked);

impl FromRequestParts<Shared> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let who = parts.extensions.get::<Who>().ok_or(ApiError::Internal)?;
        let by = by(context, who, &parts.headers);
        // One program may choose the same key for two purposes. There are two ways to dial.
        let purpose = match parts.uri.path().trim_end_matches('/') {
            "/calls" => "dial",
            path if path.starts_with("/dial/") => "dial",
            path => path,
        };
        let key = own_key(who, &parts.headers)?;
        let key = key.map(|key| clients::hex(&Sha256::digest(format!("{purpose} {key}"))));
        Ok(Self(Asked { by, key }))
    }
}

/// Returns `Idempotency-Key` as a text that no other bearer's key has: two programs may choose the same key.
pub(super) fn own_key(who: &Who, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    Ok(key(headers)?.map(|key| match who {
        Who::Named(token) => format!("token {} {key}", token.id),
        _ => key.to_owned(),
    }))
}

/// Returns `Idempotency-Key`: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let wrong =
        || ApiError::BadRequest(format!("Idempotency-Key: expected once, with 1 to {LONGEST_KEY} ASCII characters"));
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let key = only_header(headers, IDEMPOTENCY_KEY).map(str::trim);
    key.filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY).ok_or_else(wrong).map(Some)
}

/// Says for people who sends a request.
pub(super) fn by(context: &Shared, who: &Who, headers: &HeaderMap) -> String {
    match who {
        Who::Here => "this computer".to_owned(),
        Who::Token => "operator token".to_owned(),
        Who::Session => match session::signed(context, headers).first() {
            // The id ends with random digits, which open nothing without the signature.
            Some(session) => format!("browser {}", &session.id[session.id.len().saturating_sub(6)..]),
            None => "browser".to_owned(),
        },
        Who::Named(token) => format!("token {}", token.name),
    }
}
