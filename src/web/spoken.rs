//! What is said on the phone, as TwiML.

use axum::response::Response;

use super::response::xml;
use crate::twiml::{self, Gather, Verb};

/// Seconds to wait for a key.
const KEY_WITHIN: u32 = 8;

/// Says this and asks for a key. Hangs up if the answer to the key is lost.
pub(super) fn gather(action: String, say: String) -> Response {
    xml(twiml::response(&[Verb::Gather(Gather { action, say: say.into(), timeout: KEY_WITHIN }), Verb::Hangup]))
}

/// Says this and hangs up.
pub(super) fn say(sentence: &str) -> Response {
    xml(twiml::response(&[Verb::Say(sentence.into()), Verb::Hangup]))
}

pub(super) fn hang_up() -> Response {
    xml(twiml::response(&[Verb::Hangup]))
}

/// The digits of a number one by one, as they are said.
pub(super) fn digits(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit);
    digits.map(String::from).collect::<Vec<_>>().join(" ")
}
