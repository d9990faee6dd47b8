//! The account's numbers: the one that it has, and the caller ids of others that it has verified, which are none.

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::credentials::{ACCOUNT_SID, API_VERSION, PHONE_NUMBER, PHONE_NUMBER_SID, account_path};
use super::emulator::Twilio;
use super::form::Param;
use super::page::page;
use super::rest_exception::{RestException, bad_request};

const PARAMETERS: [&str; 4] = ["PhoneNumber", "PageSize", "Page", "PageToken"];

/// Responds to a request to one of the two lists; `None` for any other path.
pub(super) fn respond(
    twilio: &Twilio,
    method: &Method,
    path: &str,
    query: &[Param],
) -> Option<Result<Response, RestException>> {
    let name = match path.strip_prefix(&account_path())? {
        "/IncomingPhoneNumbers.json" => "incoming_phone_numbers",
        "/OutgoingCallerIds.json" => "outgoing_caller_ids",
        _ => return None,
    };
    let refusal = twilio.account().refusal;
    Some(match refusal {
        Some((code, message)) => {
            Err(RestException { status: StatusCode::FORBIDDEN, code, message: message.to_owned() })
        }
        None => list(method, path, name, query, &twilio.account().voice_url),
    })
}

fn list(method: &Method, path: &str, name: &str, query: &[Param], voice_url: &str) -> Result<Response, RestException> {
    if method != Method::GET {
        return Err(RestException::of(StatusCode::METHOD_NOT_ALLOWED));
    }
    let is_unknown = |(name, value): &&Param| !value.is_empty() && !PARAMETERS.contains(&name.as_str());
    if let Some((name, _)) = query.iter().find(is_unknown) {
        return Err(bad_request(20001, format!("The sandbox does not support the parameter {name} here")));
    }
    let is_asked_for = query.iter().all(|(name, value)| name != "PhoneNumber" || fits(PHONE_NUMBER, value));
    let numbers = [(1, &PHONE_NUMBER)];
    let numbers = if name == "incoming_phone_numbers" && is_asked_for { &numbers[..] } else { &[] };
    let list = page(name, path, query, numbers, |_| number(voice_url))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response())
}

/// Whether a filter lets the number through: a part of it, in which `*` stands for any character.
fn fits(number: &str, filter: &str) -> bool {
    let filter = filter.as_bytes();
    let is_equal = |part: &[u8]| part.iter().zip(filter).all(|(digit, asked)| *asked == b'*' || digit == asked);
    filter.is_empty() || number.as_bytes().windows(filter.len()).any(is_equal)
}

fn number(voice_url: &str) -> Value {
    json!({
        "sid": PHONE_NUMBER_SID,
        "account_sid": ACCOUNT_SID,
        "friendly_name": "(500) 555-0006",
        "phone_number": PHONE_NUMBER,
        "api_version": API_VERSION,
        "capabilities": {"voice": true, "sms": false, "mms": false, "fax": false},
        "beta": false,
        "origin": "twilio",
        "voice_url": voice_url,
        "voice_method": "POST",
        "voice_application_sid": "",
        "status": "in-use",
        "uri": format!("{}/IncomingPhoneNumbers/{PHONE_NUMBER_SID}.json", account_path()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_part_of_the_number_with_stars_for_any_digit() {
        for (filter, is_let_through) in
            [(PHONE_NUMBER, true), ("", true), ("555", true), ("5*5", true), ("+15005550007", false), ("556", false)]
        {
            assert_eq!(fits(PHONE_NUMBER, filter), is_let_through, "{filter}");
        }
    }
}
