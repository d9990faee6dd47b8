//! Parses `POST Calls.json`. A wrong parameter is refused with Twilio's own error code.

use std::time::Duration;

use axum::http::Method;
use url::Url;

use super::account::{CallOptions, Document, StatusCallback};
use super::credentials::PHONE_NUMBER;
use super::form::Param;
use super::rest_exception::{RestException, bad_request};

/// Maximum number of characters in `Twiml`.
const MAX_TWIML: usize = 4_000;

pub(super) struct CallRequest {
    pub(super) to: String,
    pub(super) from: String,
    pub(super) options: CallOptions,
}

pub(super) fn parse(params: &[Param]) -> Result<CallRequest, RestException> {
    let to = one(params, "To").ok_or_else(|| bad_request(21201, "No 'To' number is specified"))?;
    let from = one(params, "From").ok_or_else(|| bad_request(21213, "No 'From' number is specified"))?;
    // Twilio ignores `Twiml` beside `Url`.
    let document = match (one(params, "Url"), one(params, "Twiml")) {
        (Some(url), _) => Document::At(method(one(params, "Method"))?, parse_url(url)?),
        (None, Some(twiml)) => inline(twiml)?,
        (None, None) => return Err(bad_request(21205, "Url parameter is required.")),
    };
    check_from(from)?;
    check_to(to)?;
    // Nobody rings here for as long as the seconds that Twilio adds to the shortest one.
    seconds(params, "Timeout", 600)?;
    let channels = match one(params, "RecordingChannels") {
        None | Some("mono") => 1,
        Some("dual") => 2,
        Some(_) => return Err(bad_request(20001, "RecordingChannels must be mono or dual")),
    };
    let record = match one(params, "Record") {
        None | Some("false") => None,
        Some("true") => Some((channels, status_callback(params, "RecordingStatusCallback")?)),
        Some(_) => return Err(bad_request(20001, "Record must be true or false")),
    };
    for (name, only) in [("Trim", "do-not-trim"), ("RecordingTrack", "both")] {
        if let Some(value) = one(params, name).filter(|value| *value != only) {
            return Err(bad_request(20001, format!("The sandbox does not support {name}={value}")));
        }
    }
    let options = CallOptions {
        document,
        status_callback: status_callback(params, "StatusCallback")?,
        time_limit: seconds(params, "TimeLimit", 86_400)?,
        record,
    };
    Ok(CallRequest { to: to.to_owned(), from: from.to_owned(), options })
}

/// Parses a status callback: `name`, `{name}Method` and `{name}Event`, which may be repeated.
pub(super) fn status_callback(params: &[Param], name: &str) -> Result<Option<StatusCallback>, RestException> {
    let Some(url) = one(params, name) else { return Ok(None) };
    if !is_url(url) {
        return Err(bad_request(21200, format!("{name} is not a valid URL: {url}")));
    }
    let event = format!("{name}Event");
    let values = params.iter().filter(|(key, _)| *key == event).map(|(_, value)| value.as_str());
    Ok(Some(StatusCallback::new(url, method(one(params, &format!("{name}Method")))?, values)))
}

/// Returns the first value of this name that is not empty.
pub(super) fn one<'a>(params: &'a [Param], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

pub(super) fn method(text: Option<&str>) -> Result<Method, RestException> {
    match text.map(str::to_ascii_uppercase).as_deref() {
        None | Some("POST") => Ok(Method::POST),
        Some("GET") => Ok(Method::GET),
        Some(_) => Err(bad_request(21200, "Only GET and POST are methods of a callback")),
    }
}

fn seconds(params: &[Param], name: &str, max: u64) -> Result<Option<Duration>, RestException> {
    let Some(text) = one(params, name) else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if (1..=max).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(bad_request(21200, format!("{name} must be a number of seconds from 1 to {max}"))),
    }
}

pub(super) fn parse_url(url: &str) -> Result<Url, RestException> {
    Url::parse(url)
        .ok()
        .filter(|_| is_url(url))
        .ok_or_else(|| bad_request(21205, format!("Url is not a valid URL: {url}")))
}

/// Returns TwiML that came in a request. Whether it can be performed shows when it is.
pub(super) fn inline(twiml: &str) -> Result<Document, RestException> {
    if twiml.chars().count() > MAX_TWIML {
        return Err(bad_request(20001, format!("Twiml must have at most {MAX_TWIML} characters")));
    }
    Ok(Document::Inline(twiml.to_owned()))
}

/// Returns whether this is an absolute URL whose host Twilio accepts: one without an underscore.
fn is_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('_'))
}

/// The magic numbers here and below are those of Twilio's test credentials.
fn check_from(from: &str) -> Result<(), RestException> {
    match from {
        PHONE_NUMBER => Ok(()),
        "+15005550001" => Err(bad_request(21212, format!("The 'From' number {from} is not valid."))),
        _ => {
            let message = format!("The source phone number provided, {from}, is not yet verified for your account.");
            Err(bad_request(21210, message))
        }
    }
}

pub(super) fn check_to(to: &str) -> Result<(), RestException> {
    let refuse = |code, message| Err(bad_request(code, message));
    match to {
        "+15005550001" => refuse(21217, format!("Phone number {to} does not appear to be valid.")),
        "+15005550002" => refuse(21214, format!("The 'To' phone number {to} cannot be reached.")),
        "+15005550003" => refuse(21215, format!("Account not authorized to call {to}.")),
        "+15005550004" => refuse(21216, format!("Account not allowed to call {to}.")),
        _ if is_number(to) => Ok(()),
        _ => refuse(21211, format!("The phone number you are attempting to call, {to}, is not valid.")),
    }
}

/// Returns whether this is E.164; North American numbers must have ten digits after the 1.
pub(super) fn is_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && (7..=15).contains(&digits.len())
        && (!digits.starts_with('1') || digits.len() == 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> Vec<Param> {
        let good = [("To", "+14155551234"), ("From", PHONE_NUMBER), ("Url", "https://example.com/record/")];
        let kept = good.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        kept.chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_wrong_parameter_has_its_code() {
        for (name, value, code) in [
            ("To", "", 21201),
            ("From", "", 21213),
            ("Url", "", 21205),
            ("Url", "/record/", 21205),
            ("Url", "ftp://example.com/", 21205),
            ("To", "14155551234", 21211),
            ("To", "+1415555123", 21211),
            ("To", "+15005550001", 21217),
            ("To", "+15005550002", 21214),
            ("To", "+15005550003", 21215),
            ("To", "+15005550004", 21216),
            ("From", "+15005550001", 21212),
            ("From", "+14155551234", 21210),
            ("Timeout", "601", 21200),
            ("TimeLimit", "0", 21200),
            ("Method", "PUT", 21200),
            ("StatusCallback", "https://a_b.example.com/", 21200),
        ] {
            assert_eq!(parse(&with(&[(name, value)])).err().map(|error| error.code), Some(code), "{name}={value}");
        }
    }

    #[test]
    fn events_are_repeated_or_separated_by_spaces() {
        let callback = ("StatusCallback", "http://127.0.0.1/");
        let events = |more: &[(&str, &str)]| {
            let mut params = vec![callback];
            params.extend(more);
            parse(&with(&params)).ok().unwrap().options.status_callback.unwrap().events
        };
        assert_eq!(events(&[]), ["completed"]);
        let repeated = [("StatusCallbackEvent", "ringing"), ("StatusCallbackEvent", "answered")];
        assert_eq!(events(&repeated), ["ringing", "answered"]);
        assert_eq!(events(&[("StatusCallbackEvent", "ringing answered")]), ["ringing", "answered"]);
    }
}
