//! Lists in pages, as Twilio cuts them: newest first, with relative URIs of the neighboring pages.

use serde_json::{Value, json};

use super::form::{self, Param};
use super::rest_exception::{RestException, bad_request};

/// Number of entries on a page if the request names none.
const DEFAULT_SIZE: usize = 50;

/// Maximum number of entries on a page.
const MAX_SIZE: usize = 1_000;

/// Where a page begins or ends, as its `PageToken` says. It names an entry, not an offset, so that entries created or
/// deleted meanwhile shift nothing.
#[derive(Debug, PartialEq, Eq)]
enum Cursor {
    Newest,
    OlderThan(u64),
    NewerThan(u64),
}

/// Returns the page of `entries` that `query` asks for, with the entries in the property `name`. `entries` are newest first,
/// each with its serial number. `write` is called only for those on the page.
pub(super) fn page<T>(
    name: &str,
    path: &str,
    query: &[Param],
    entries: &[(u64, &T)],
    write: impl Fn(&T) -> Value,
) -> Result<Value, RestException> {
    let number = |name, default| form::value(query, name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(size), Some(page)) = (number("PageSize", DEFAULT_SIZE), number("Page", 0)) else {
        return Err(bad_request(20001, "PageSize and Page must be numbers"));
    };
    let size = size.clamp(1, MAX_SIZE);
    let cursor = match form::value(query, "PageToken") {
        None => Cursor::Newest,
        Some(token) => parse(token).ok_or_else(|| bad_request(20001, "PageToken is not valid"))?,
    };

    let start = match cursor {
        Cursor::Newest => 0,
        Cursor::OlderThan(serial) => entries.partition_point(|(entry, _)| *entry >= serial),
        Cursor::NewerThan(serial) => entries.partition_point(|(entry, _)| *entry > serial).saturating_sub(size),
    };
    let end = entries.len().min(start + size);
    let shown = &entries[start..end];
    let next = shown.last().filter(|_| end < entries.len()).map(|entry| Cursor::OlderThan(entry.0));
    let previous = shown.first().filter(|_| start > 0).map(|entry| Cursor::NewerThan(entry.0));

    let uri = |page: usize, cursor: Option<&Cursor>| {
        let mut uri = url::form_urlencoded::Serializer::new(String::new());
        uri.extend_pairs(query.iter().filter(|(name, _)| !name.starts_with("Page")));
        uri.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        if let Some(token) = cursor.and_then(token) {
            uri.append_pair("PageToken", &token);
        }
        format!("{path}?{}", uri.finish())
    };
    let mut list = json!({
        "first_page_uri": uri(0, None),
        "next_page_uri": next.map(|cursor| uri(page + 1, Some(&cursor))),
        "previous_page_uri": previous.map(|cursor| uri(page.saturating_sub(1), Some(&cursor))),
        "uri": uri(page, Some(&cursor)),
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + shown.len().saturating_sub(1),
    });
    list[name] = shown.iter().map(|(_, entry)| write(entry)).collect();
    Ok(list)
}

fn token(cursor: &Cursor) -> Option<String> {
    match cursor {
        Cursor::Newest => None,
        Cursor::OlderThan(serial) => Some(format!("PA{serial:032x}")),
        Cursor::NewerThan(serial) => Some(format!("PB{serial:032x}")),
    }
}

fn parse(token: &str) -> Option<Cursor> {
    let (kind, serial) = token.split_at_checked(2)?;
    let serial = u64::from_str_radix(serial, 16).ok()?;
    match kind {
        "PA" => Some(Cursor::OlderThan(serial)),
        "PB" => Some(Cursor::NewerThan(serial)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(serials: impl DoubleEndedIterator<Item = u64>, uri: &str) -> Value {
        let things: Vec<u64> = serials.rev().collect();
        let entries: Vec<(u64, &u64)> = things.iter().map(|thing| (*thing, thing)).collect();
        let query = form::parse(uri.split_once('?').map_or("", |(_, query)| query).as_bytes());
        page("things", "/Things.json", &query, &entries, |thing| json!(thing)).unwrap()
    }

    #[test]
    fn pages_lead_to_the_end_and_back() {
        let first = list(1..=5, "/Things.json?To=%2B1&PageSize=2");
        assert_eq!((&first["things"], &first["previous_page_uri"]), (&json!([5, 4]), &Value::Null));
        let second = list(1..=5, first["next_page_uri"].as_str().unwrap());
        assert!(second["uri"].as_str().unwrap().starts_with("/Things.json?To=%2B1&PageSize=2&Page=1&PageToken=PA0"));
        assert_eq!((&second["things"], &second["start"], &second["end"]), (&json!([3, 2]), &json!(2), &json!(3)));
        let third = list(1..=5, second["next_page_uri"].as_str().unwrap());
        assert_eq!((&third["things"], &third["next_page_uri"]), (&json!([1]), &Value::Null));
        let back = list(1..=5, third["previous_page_uri"].as_str().unwrap());
        assert_eq!((&back["things"], &back["page"]), (&json!([3, 2]), &json!(1)));
    }

    #[test]
    fn entries_created_or_deleted_meanwhile_move_no_page() {
        let next = list(1..=5, "/Things.json?PageSize=2")["next_page_uri"].as_str().unwrap().to_owned();
        assert_eq!(list(1..=9, &next)["things"], json!([3, 2]));
        assert_eq!(list(1..=3, &next)["things"], json!([3, 2]));
    }

    #[test]
    fn an_empty_list_has_no_neighboring_pages() {
        let empty = list(0..0, "/Things.json");
        assert_eq!((&empty["things"], &empty["page_size"]), (&json!([]), &json!(50)));
        assert_eq!((&empty["next_page_uri"], &empty["previous_page_uri"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_made_up_token_is_refused() {
        for token in ["x", "PAzz", "PC01", "é€"] {
            assert_eq!(parse(token), None, "{token}");
        }
    }
}
