//! What handlers answer with: a page, text, TwiML, or JSON.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::ApiError;
use crate::clients::json::Json;

/// Maximum number of bytes of a contact, title or number in the name of a file: file systems take 255 in all.
const LONGEST_IN_FILE_NAME: usize = 120;

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

/// Sends a browser to another page, with GET.
pub(super) fn see_other(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location.to_owned())]).into_response()
}

/// Plain text that ends with a line feed, so that a shell's prompt starts on a line of its own.
pub(super) fn text(text: &str) -> Response {
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}{line_end}")).into_response()
}

/// `Content-Disposition` of a response that a browser shows, and saves under this name, or only saves if it `is_attached`. Any
/// text that [`in_file_name`] has let through.
pub(super) fn file_name(name: &str, is_attached: bool) -> HeaderValue {
    let shown = if is_attached { "attachment" } else { "inline" };
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut text = format!("{shown}; filename=\"{ascii}\"");
    // What reads no `filename*` takes the plain name.
    if ascii != name || ascii.contains('%') {
        text += &format!("; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    }
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(shown))
}

/// Returns a name without what file systems refuse, and short enough for them.
pub(super) fn in_file_name(name: &str) -> String {
    let allowed = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let name: String = name.trim_start_matches(['.', ' ']).chars().map(allowed).collect();
    name[..name.floor_char_boundary(LONGEST_IN_FILE_NAME)].trim_end().to_owned()
}

/// TwiML.
pub(super) fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], document).into_response()
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
