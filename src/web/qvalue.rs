//! The weights in `Accept` and `Accept-Encoding`: `text/html;q=0.8`.

use axum::http::{HeaderMap, HeaderName};

/// Returns the values that a header lists, each with its weight: 1 if it names none, 0 if that cannot be read.
pub(super) fn weighted<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, f32)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|value| {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let q = parts.find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
        (name, q.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
    })
}
