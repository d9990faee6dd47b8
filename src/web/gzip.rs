//! Compresses pages and assets for clients that accept it: a long transcript is mostly markup. Nothing else is compressed:
//! audio is compressed already, events must not wait for each other, and responses to vendors have a few bytes.

use std::io::Write as _;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::qvalue::weighted;

/// Shorter bodies fit into one packet anyway.
const SHORTEST: u64 = 1_000;

/// Larger bodies are compressed on another thread, so that other requests need not wait.
const LONG: usize = 256 << 10;

/// The media types of pages and assets.
const MEDIA_TYPES: [&str; 4] = ["text/html", "text/css", "text/javascript", "image/svg+xml"];

pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    weighted(headers, &header::ACCEPT_ENCODING).any(|(coding, q)| coding.eq_ignore_ascii_case("gzip") && q > 0.0)
}

/// Returns whether the response is worth compressing. Adds `Vary` to all responses of its media type.
pub(super) fn is_compressible(response: &mut Response) -> bool {
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if !MEDIA_TYPES.contains(&media_type) {
        return false;
    }
    // Where the access layer has not added it, as in problems for vendors.
    response.headers_mut().entry(header::VARY).or_insert(HeaderValue::from_static("accept-encoding"));
    // A stream has no length yet, and a response to HEAD has no body.
    response.body().size_hint().exact().is_some_and(|length| length >= SHORTEST)
}

pub(super) async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The body is in memory already.
    let plain = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let is_short = plain.len() < LONG;
    let pack = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::default());
        encoder.write_all(&plain).and_then(|()| encoder.finish()).expect("a Vec takes every byte")
    };
    let packed = if is_short {
        pack()
    } else {
        tokio::task::spawn_blocking(pack).await.expect("compressing into memory does not panic")
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(packed.len()));
    Response::from_parts(parts, Body::from(packed))
}
