//! Reading a request for a call: each parameter checked, and refused with Twilio's own code.

use std::time::Duration;

use axum::http::Method;
use url::Url;

use super::PHONE_NUMBER;
use super::refusal::Refusal;
use super::state::{Hook, Plan};
use crate::clients::twilio::signature::Param;

/// A call that may be begun.
pub(super) struct Asked {
    pub(super) to: String,
    pub(super) from: String,
    pub(super) plan: Plan,
}

/// Reads the form of `POST Calls.json`.
pub(super) fn read(params: &[Param]) -> Result<Asked, Refusal> {
    let to = one(params, "To").ok_or_else(|| Refusal::bad_request(21201, "No 'To' number is specified"))?;
    let from = one(params, "From").ok_or_else(|| Refusal::bad_request(21213, "No 'From' number is specified"))?;
    let url = one(params, "Url").ok_or_else(|| Refusal::bad_request(21205, "Url parameter is required."))?;
    check_from(from)?;
    check_to(to)?;
    if !is_address(url) {
        return Err(Refusal::bad_request(21205, format!("Url is not a valid URL: {url}")));
    }
    seconds(params, "Timeout", 600)?;
    let record = match one(params, "Record") {
        Some("true") => {
            let channels = if one(params, "RecordingChannels") == Some("dual") { 2 } else { 1 };
            Some((channels, hook(params, "RecordingStatusCallback")?))
        }
        _ => None,
    };
    let plan = Plan {
        url: url.to_owned(),
        method: method(one(params, "Method"))?,
        status: hook(params, "StatusCallback")?,
        time_limit: seconds(params, "TimeLimit", 86_400)?,
        record,
    };
    Ok(Asked { to: to.to_owned(), from: from.to_owned(), plan })
}

/// An address to tell something to, with the parameters named after it. Events are repeated, or separated by spaces.
fn hook(params: &[Param], name: &str) -> Result<Option<Hook>, Refusal> {
    let Some(url) = one(params, name) else { return Ok(None) };
    if !is_address(url) {
        return Err(Refusal::bad_request(21200, format!("{name} is not a valid URL: {url}")));
    }
    let event = format!("{name}Event");
    let values = params.iter().filter(|(key, _)| *key == event).map(|(_, value)| value.as_str());
    let hook = Hook::new(url, method(one(params, &format!("{name}Method")))?, values);
    Ok(Some(hook))
}

impl Hook {
    /// Completion is what is told when nothing else is asked for.
    pub(super) fn new<'a>(url: &str, method: Method, events: impl Iterator<Item = &'a str>) -> Self {
        let mut events: Vec<String> = events.flat_map(str::split_whitespace).map(str::to_owned).collect();
        if events.is_empty() {
            events.push("completed".to_owned());
        }
        Self { url: url.to_owned(), method, events }
    }
}

fn one<'a>(params: &'a [Param], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

fn method(text: Option<&str>) -> Result<Method, Refusal> {
    match text.map(str::to_ascii_uppercase).as_deref() {
        None | Some("POST") => Ok(Method::POST),
        Some("GET") => Ok(Method::GET),
        Some(_) => Err(Refusal::bad_request(21200, "Only GET and POST are methods of a callback")),
    }
}

fn seconds(params: &[Param], name: &str, max: u64) -> Result<Option<Duration>, Refusal> {
    let Some(text) = one(params, name) else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if (1..=max).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Refusal::bad_request(21200, format!("{name} must be a number of seconds from 1 to {max}"))),
    }
}

/// Absolute, and with a host name that Twilio accepts: no underscore.
fn is_address(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('_'))
}

/// The numbers with a meaning are those of Twilio's test credentials.
fn check_from(from: &str) -> Result<(), Refusal> {
    match from {
        PHONE_NUMBER => Ok(()),
        "+15005550001" => Err(Refusal::bad_request(21212, format!("The 'From' number {from} is not valid."))),
        _ => {
            let message = format!("The source phone number provided, {from}, is not yet verified for your account.");
            Err(Refusal::bad_request(21210, message))
        }
    }
}

fn check_to(to: &str) -> Result<(), Refusal> {
    let refuse = |code, message| Err(Refusal::bad_request(code, message));
    match to {
        "+15005550001" => refuse(21217, format!("Phone number {to} does not appear to be valid.")),
        "+15005550002" => refuse(21214, format!("The 'To' phone number {to} cannot be reached.")),
        "+15005550003" => refuse(21215, format!("Account not authorized to call {to}.")),
        "+15005550004" => refuse(21216, format!("Account not allowed to call {to}.")),
        _ if is_number(to) => Ok(()),
        _ => refuse(21211, format!("The phone number you are attempting to call, {to}, is not valid.")),
    }
}

/// E.164; numbers of North America have ten digits after the 1.
fn is_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && (8..=15).contains(&digits.len())
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
            assert_eq!(read(&with(&[(name, value)])).err().map(|refusal| refusal.code), Some(code), "{name}={value}");
        }
    }

    #[test]
    fn events_are_repeated_or_separated_by_spaces() {
        let hook = ("StatusCallback", "http://127.0.0.1/");
        let events = |more: &[(&str, &str)]| {
            let mut params = vec![hook];
            params.extend(more);
            read(&with(&params)).ok().unwrap().plan.status.unwrap().events
        };
        assert_eq!(events(&[]), ["completed"]);
        let repeated = [("StatusCallbackEvent", "ringing"), ("StatusCallbackEvent", "answered")];
        assert_eq!(events(&repeated), ["ringing", "answered"]);
        assert_eq!(events(&[("StatusCallbackEvent", "ringing answered")]), ["ringing", "answered"]);
    }
}
