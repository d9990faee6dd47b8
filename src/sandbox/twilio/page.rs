//! Lists, cut into pages the way Twilio's are: newest first, with relative addresses of the neighbours.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::clients::twilio::signature::Param;

/// Entries of a page when nothing is said.
const DEFAULT_SIZE: usize = 50;

/// Entries of a page at most.
const MAX_SIZE: usize = 1_000;

/// The place of a page. It names an entry, not an offset, so that what is created or deleted meanwhile moves nothing.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Top,
    OlderThan(u64),
    NewerThan(u64),
}

/// The page of `entries` that `query` asks for; `name` is the property that holds them. The entries are newest first, each
/// with its place in the order of creation, by which it is found again. Only those shown are written.
pub(super) fn page<T>(
    name: &str,
    path: &str,
    query: &[Param],
    entries: &[(u64, &T)],
    write: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let asked = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number = |name, default| asked(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(size), Some(page)) = (number("PageSize", DEFAULT_SIZE), number("Page", 0)) else {
        return Err(Refusal::bad_request(20001, "PageSize and Page must be numbers"));
    };
    let size = size.clamp(1, MAX_SIZE);
    let place = match asked("PageToken") {
        None => Place::Top,
        Some(token) => read(token).ok_or_else(|| Refusal::bad_request(20001, "PageToken is not valid"))?,
    };

    let older = |place| entries.partition_point(|(entry, _)| *entry >= place);
    let newer = |place| entries.partition_point(|(entry, _)| *entry > place);
    let start = match place {
        Place::Top => 0,
        Place::OlderThan(entry) => older(entry),
        Place::NewerThan(entry) => newer(entry).saturating_sub(size),
    };
    let end = entries.len().min(start + size);
    let shown = &entries[start..end];
    let last = shown.last().filter(|_| end < entries.len()).map(|entry| Place::OlderThan(entry.0));
    let first = shown.first().filter(|_| start > 0).map(|entry| Place::NewerThan(entry.0));

    let address = |page: usize, place: Option<&Place>| {
        let mut address = url::form_urlencoded::Serializer::new(String::new());
        address.extend_pairs(query.iter().filter(|(name, _)| !name.starts_with("Page")));
        address.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        if let Some(token) = place.and_then(token) {
            address.append_pair("PageToken", &token);
        }
        format!("{path}?{}", address.finish())
    };
    let mut envelope = Map::new();
    envelope.insert("first_page_uri".to_owned(), json!(address(0, None)));
    envelope.insert("next_page_uri".to_owned(), json!(last.map(|place| address(page + 1, Some(&place)))));
    envelope.insert(
        "previous_page_uri".to_owned(),
        json!(first.map(|place| address(page.saturating_sub(1), Some(&place)))),
    );
    envelope.insert("uri".to_owned(), json!(address(page, Some(&place))));
    envelope.insert("page".to_owned(), json!(page));
    envelope.insert("page_size".to_owned(), json!(size));
    envelope.insert("start".to_owned(), json!(page * size));
    envelope.insert("end".to_owned(), json!(page * size + shown.len().saturating_sub(1)));
    envelope.insert(name.to_owned(), shown.iter().map(|(_, entry)| write(entry)).collect());
    Ok(Value::Object(envelope))
}

fn token(place: &Place) -> Option<String> {
    match place {
        Place::Top => None,
        Place::OlderThan(entry) => Some(format!("PA{entry:032x}")),
        Place::NewerThan(entry) => Some(format!("PB{entry:032x}")),
    }
}

fn read(token: &str) -> Option<Place> {
    let (kind, entry) = token.split_at_checked(2)?;
    let entry = u64::from_str_radix(entry, 16).ok()?;
    match kind {
        "PA" => Some(Place::OlderThan(entry)),
        "PB" => Some(Place::NewerThan(entry)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(places: impl DoubleEndedIterator<Item = u64>, address: &str) -> Value {
        let things: Vec<u64> = places.rev().collect();
        let entries: Vec<(u64, &u64)> = things.iter().map(|thing| (*thing, thing)).collect();
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let query: Vec<Param> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
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
    fn what_is_created_or_deleted_meanwhile_moves_no_page() {
        let next = list(1..=5, "/Things.json?PageSize=2")["next_page_uri"].as_str().unwrap().to_owned();
        assert_eq!(list(1..=9, &next)["things"], json!([3, 2]));
        assert_eq!(list(1..=3, &next)["things"], json!([3, 2]));
    }

    #[test]
    fn an_empty_list_has_no_neighbours() {
        let empty = list(0..0, "/Things.json");
        assert_eq!((&empty["things"], &empty["page_size"]), (&json!([]), &json!(50)));
        assert_eq!((&empty["next_page_uri"], &empty["previous_page_uri"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_token_of_ones_own_making_is_refused() {
        for token in ["x", "PAzz", "PC01", "é€"] {
            assert_eq!(read(token), None, "{token}");
        }
    }
}
