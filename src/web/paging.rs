//! `limit` and `cursor`, which all lists that can grow take alike.

use serde::{Deserialize, Deserializer};
use url::form_urlencoded;

use super::error::ApiError;

/// Maximum number of entries on a page.
pub(super) const MOST: i64 = 200;

/// Reads where a page begins: the `next` of the page before, which some lists write as a cursor and others as the address of the
/// page.
pub(super) fn cursor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let query = text.split_once('?').filter(|(path, _)| path.starts_with('/')).map(|(_, query)| query);
    let is_cursor = |name: &str| matches!(name, "cursor" | "after");
    let found = query.and_then(|query| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| is_cursor(name)));
    Ok(found.map(|(_, cursor)| cursor.into_owned()).unwrap_or(text))
}

/// Returns how many entries are on a page. A blank text is as good as none.
pub(super) fn limit(text: &str, default: i64) -> Result<i64, ApiError> {
    match text.trim() {
        "" => Ok(default),
        text => {
            let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
            limit.ok_or_else(|| ApiError::BadRequest(format!("limit: expected 1 to {MOST}")))
        }
    }
}

/// Cuts what was read, which is one more than the page has, if there is as much. Returns whether there is more.
pub(super) fn cut<T>(read: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = read.len() > limit;
    read.truncate(limit);
    is_more
}

/// Returns the address of the page after the one that ends at a cursor.
pub(super) fn next(list: &str, others: &[(&str, &str)], cursor: &str) -> String {
    let start = format!("{list}?");
    let length = start.len();
    let others = others.iter().filter(|(_, value)| !value.trim().is_empty());
    form_urlencoded::Serializer::for_suffix(start, length).extend_pairs(others).append_pair("after", cursor).finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cursor_may_be_the_address_of_the_next_page() {
        for (next, expected) in [
            ("", ""),
            ("oldest.1.2", "oldest.1.2"),
            ("/contacts?after=%2B14155551234", "+14155551234"),
            ("/calls?q=a&limit=2&after=5", "5"),
            ("/items?cursor=7", "7"),
            ("/items", "/items"),
        ] {
            assert_eq!(cursor(json!(next)).expect("a text"), expected);
        }
    }
}
