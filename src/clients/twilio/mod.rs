//! Twilio's REST API, `2010-04-01`: form-encoded in, JSON out, HTTP Basic.
//!
//! Source: <https://www.twilio.com/docs/voice/api>.

pub mod callbacks;
mod calls;
mod channels;
mod encryption;
mod lenient;
mod media;
mod numbers;
mod pages;
mod player;
mod recordings;
mod redirect;
pub mod signature;
mod size;
mod wav;

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

pub use crate::clients::range::lacks_head;
pub use calls::{Call, CreateCall, Side};
pub use channels::Channels;
pub use encryption::{Decryption, NotDecryptable, RecordingKeys};
pub use media::{Media, MediaFormat, MediaRequest};
pub use numbers::CallerId;
pub use player::Playable;
pub use recordings::{Location, Recording};
pub use size::AudioType;

use super::{Deadlines, Refusal, Sender, Service, json};
use crate::metrics::Requests;

/// Base URL unless `TWILIO_REGION`, `TWILIO_EDGE` or `TWILIO_API_URL` is set.
pub const API_URL: &str = "https://api.twilio.com";

/// An API key and its secret, or the account's SID and auth token.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `AC…` or `SK…`.
    pub user: String,
    pub password: SecretString,
}

/// A client for one account.
#[derive(Debug, Clone)]
pub struct Twilio {
    sender: Sender,
    base: Url,
    account_sid: String,
    credentials: Credentials,
    recording_keys: RecordingKeys,
}

impl Twilio {
    /// `base` is a URL such as [`API_URL`].
    pub fn new(base: Url, account_sid: String, credentials: Credentials, deadlines: Deadlines) -> Self {
        let sender = Sender::new(Service::Twilio, &base, deadlines, refusal);
        Self { sender, base, account_sid, credentials, recording_keys: RecordingKeys::default() }
    }

    /// With private keys for encrypted recordings.
    pub fn with_recording_keys(self, recording_keys: RecordingKeys) -> Self {
        Self { recording_keys, ..self }
    }

    /// Counts its requests here.
    pub fn counted_in(mut self, requests: &Requests) -> Self {
        self.sender.requests = requests.clone();
        self
    }

    pub fn has_recording_keys(&self) -> bool {
        !self.recording_keys.is_empty()
    }

    /// Returns Twilio's refusal of the credentials at the last request.
    pub fn refused(&self) -> Option<Refusal> {
        self.sender.refused()
    }

    /// Returns a URL below this account's. Escapes each segment.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["2010-04-01", "Accounts", &self.account_sid]).extend(segments);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let Credentials { user, password } = &self.credentials;
        self.sender.http.request(method, url).basic_auth(user, Some(password.expose_secret()))
    }
}

/// Parses a date in RFC 2822, as Twilio writes it in JSON, or in RFC 3339, as another API may.
fn date(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp()).or_else(|| text.parse().ok())
}

/// Twilio's error body: JSON, or XML if the path does not end in `.json`.
#[derive(Debug, Default)]
struct ErrorBody {
    code: Option<i64>,
    message: Option<String>,
    more_info: Option<String>,
    /// It has Twilio's shape.
    is_twilios: bool,
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let xml = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.contains("xml")));
    let read = if xml { error_from_xml(body) } else { error_from_json(status, body) };
    let reason = || status.canonical_reason().unwrap_or("no reason given").to_owned();
    Refusal {
        status: status.as_u16(),
        code: read.code,
        message: read.message.unwrap_or_else(reason),
        more_info: read.more_info,
        is_vendors: read.is_twilios,
    }
}

/// Reads `{"code": 20404, "message": "…", "more_info": "https://…", "status": 404}`, as much of it as can be read. The
/// code may be missing. Without a message and one of the two, it is no error of Twilio: a gateway on the way speaks JSON,
/// too.
fn error_from_json(status: StatusCode, body: &[u8]) -> ErrorBody {
    let Ok(fields) = json::read::<Map<String, Value>>(body) else { return ErrorBody::default() };
    let text = |name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    // A smaller number is a status, which a gateway may call so.
    let code = fields.get("code").and_then(lenient::integer);
    let has_code = fields.get("code").is_some_and(|_| code.is_none_or(|code| code >= 10_000));
    let has_message = fields.contains_key("message");
    ErrorBody {
        code,
        message: text("message"),
        more_info: text("more_info"),
        is_twilios: has_message && (has_code || fields.get("status") == Some(&status.as_u16().into())),
    }
}

/// Reads `<TwilioResponse><RestException><Code>20404</Code><Message>…`, as much of it as can be read.
fn error_from_xml(body: &[u8]) -> ErrorBody {
    let mut read = ErrorBody::default();
    let body = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(&body);
    let mut element = String::new();
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                element = start.name().as_ref().to_owned();
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part.xml10_content()),
            Ok(Event::GeneralRef(entity)) => {
                let named = quick_xml::escape::resolve_predefined_entity(&entity.xml10_content()).map(str::to_owned);
                let numbered = || entity.resolve_char_ref().ok().flatten().map(String::from);
                text.push_str(&named.or_else(numbered).unwrap_or_default());
            }
            Ok(Event::End(_)) => {
                read.is_twilios |= element == "Code";
                match element.as_str() {
                    "Code" => read.code = text.parse().ok(),
                    "Message" => read.message = Some(text.clone()),
                    "MoreInfo" => read.more_info = Some(text.clone()),
                    _ => {}
                }
                element.clear();
            }
            Ok(Event::Eof) | Err(_) => return read,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_xml_keeps_its_code_words_and_page() {
        let body = b"<?xml version='1.0'?><TwilioResponse><RestException><Code>20404</Code>\
            <Message>Not found: R&amp;D &#x26; more</Message><MoreInfo>https://www.twilio.com/docs/errors/20404</MoreInfo>\
            <Status>404</Status></RestException></TwilioResponse>";
        let read = error_from_xml(body);
        assert_eq!(read.code, Some(20404));
        assert_eq!(read.message.as_deref(), Some("Not found: R&D & more"));
        assert_eq!(read.more_info.as_deref(), Some("https://www.twilio.com/docs/errors/20404"));
    }

    #[test]
    fn an_error_that_is_no_xml_at_all_still_ends() {
        assert_eq!(error_from_xml(b"<a><b").code, None);
    }
}
