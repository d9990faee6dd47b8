//! Another API that is compatible with Twilio's, such as SignalWire's: the same account with UUIDs in the place of SIDs,
//! numbers where Twilio has texts and the other way round, empty texts where it has `null`, and audio at a path of its own.

use axum::body::{Body, to_bytes};
use axum::http::header;
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::credentials::account_path;
use super::emulator::Twilio;
use super::form::Param;

/// Where the audio is.
const AUDIO: &str = "/api/v1/recordings/";

/// Maximum length of a response with JSON.
const MAX_JSON: usize = 16 << 20;

/// Number of hex digits of an id.
const DIGITS: usize = 32;

impl Twilio {
    /// Speaks as another API from now on.
    pub fn speak_as_another_api(&self) {
        self.change(|account| account.is_another_api = true);
    }

    /// Returns the parameters of a callback as this API writes them.
    pub(super) fn spoken(&self, params: &[Param]) -> Vec<Param> {
        let is_another = self.account().is_another_api;
        let spoken = |value: &String| if is_another { with_uuids(value) } else { value.clone() };
        params.iter().map(|(name, value)| (name.clone(), spoken(value))).collect()
    }
}

/// Returns the path at Twilio's API, or `None` if the other API has nothing there.
pub(super) fn heard_path(path: &str) -> Option<String> {
    if let Some(file) = path.strip_prefix(AUDIO) {
        return Some(format!("{}/Recordings/{}", account_path(), heard_id("RE", file)));
    }
    let mut before = "";
    let heard = path.split('/').map(|segment| {
        let prefix = match std::mem::replace(&mut before, segment) {
            "Accounts" => "AC",
            "Calls" => "CA",
            "Recordings" => "RE",
            _ => return segment.to_owned(),
        };
        heard_id(prefix, segment)
    });
    let heard = heard.collect::<Vec<_>>().join("/");
    let is_audio = heard.contains("/Recordings/RE") && !heard.ends_with(".json");
    (!is_audio).then_some(heard)
}

/// Returns the SID of a UUID with or without a file extension, and any other text unchanged.
fn heard_id(prefix: &str, segment: &str) -> String {
    let (stem, extension) = segment.split_at(segment.find('.').unwrap_or(segment.len()));
    match Uuid::try_parse(stem) {
        Ok(id) => format!("{prefix}{}{extension}", id.simple()),
        Err(_) => segment.to_owned(),
    }
}

/// Replaces each SID by its UUID.
pub(super) fn with_uuids(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['A', 'C', 'R']) {
        let (before, after) = rest.split_at(at);
        spoken.push_str(before);
        let is_prefix = ["AC", "CA", "RE"].iter().any(|prefix| after.starts_with(prefix));
        let id = after.get(2..2 + DIGITS).filter(|_| is_prefix).and_then(|digits| Uuid::try_parse(digits).ok());
        let read = match id {
            Some(id) => {
                spoken.push_str(&id.to_string());
                2 + DIGITS
            }
            None => {
                spoken.push_str(&after[..1]);
                1
            }
        };
        rest = &after[read..];
    }
    spoken + rest
}

/// Rewrites a response with JSON.
pub(super) async fn spoken_response(response: Response, base_url: &str) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_JSON).await.unwrap_or_default();
    let text = with_uuids(&String::from_utf8_lossy(&body));
    let mut json = serde_json::from_str(&text).unwrap_or_default();
    rewrite(&mut json, base_url);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(json.to_string()))
}

fn rewrite(json: &mut Value, base_url: &str) {
    match json {
        Value::Array(entries) => entries.iter_mut().for_each(|entry| rewrite(entry, base_url)),
        Value::Object(fields) => {
            let id = fields.get("sid").and_then(Value::as_str).filter(|_| fields.contains_key("channels"));
            if let Some(url) = id.map(|id| format!("{base_url}{AUDIO}{id}.wav")) {
                fields.insert("media_url".to_owned(), url.into());
            }
            for (name, value) in fields {
                match (name.as_str(), &*value) {
                    ("duration", Value::String(text)) => *value = text.parse::<i64>().map_or(Value::Null, Value::from),
                    ("channels" | "code", Value::Number(number)) => *value = number.to_string().into(),
                    ("date_created" | "end_time", Value::String(text)) => {
                        let date = jiff::fmt::rfc2822::parse(text).map(|date| date.timestamp().to_string());
                        *value = date.map_or(Value::Null, Value::from);
                    }
                    ("error_code" | "next_page_uri" | "end_time" | "encryption_details", Value::Null) => {
                        *value = "".into()
                    }
                    _ => rewrite(value, base_url),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_become_uuids_and_uuids_sids() {
        let sid = "CA0123456789abcdef0123456789abcdef";
        let uuid = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(with_uuids(&format!("A /Calls/{sid}.json CARE")), format!("A /Calls/{uuid}.json CARE"));
        assert_eq!(heard_path(&format!("/Calls/{uuid}.json")).as_deref(), Some(&*format!("/Calls/{sid}.json")));
        assert_eq!(heard_path(&format!("/Recordings/{uuid}.wav")), None);
    }
}
