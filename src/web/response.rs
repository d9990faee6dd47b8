//! What handlers answer with: a page, text, or JSON.

use axum::body::Body;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use futures_util::stream;

use super::error::ApiError;
use crate::clients::json::Json;

/// A page rendered by a template.
pub(super) fn page(rendered: askama::Result<String>) -> Response {
    match rendered {
        // Posts of this page's forms must be distinguishable from those of other sites even where browsers send no fetch
        // metadata, which is over plain HTTP from another computer. Under `no-referrer` their origin would be `null`.
        Ok(html) => ([(header::REFERRER_POLICY, "same-origin")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!("cannot render a page: {error}");
            ApiError::Internal.into_response()
        }
    }
}

/// Plain text that ends with a line feed, so that a shell's prompt starts on a line of its own.
pub(super) fn text(text: &str) -> Response {
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}{line_end}")).into_response()
}

/// A vendor's JSON as it came. A large one is sent piece by piece.
pub(super) fn json(json: &Json) -> Response {
    let body = if json.is_large() {
        Body::from_stream(stream::iter(json.pieces()))
    } else {
        Body::from(json.stored().clone())
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
