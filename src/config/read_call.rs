//! Reads the settings of calls: who is greeted how, what ends a message, which phones ring.

use super::env::Env;
use super::{CallConfig, MOST_FORWARDED};
use crate::model::numbering::{BadCountries, Countries};
use crate::model::phone::PhoneNumber;

/// Reads how calls are made and greeted. `own` is the number that calls, if it is known here.
pub(super) fn read_call(env: &mut Env, own: Option<&PhoneNumber>, is_sandbox: bool) -> Option<CallConfig> {
    let greeting = env.read("GREETING", |text| Ok(text.to_owned()));
    let operator_phones = env.read_if_set("OPERATOR_PHONES", operator_phones);
    let is_forwarded = env.read("INBOUND", |text| match text {
        "record" => Ok(false),
        "forward" => Ok(true),
        _ => Err("expected record or forward".to_owned()),
    });
    let forward_seconds = env.read("FORWARD_SECONDS", |text| {
        let seconds = text.parse::<u32>().ok().filter(|seconds| (5..=600).contains(seconds));
        seconds.ok_or("expected a whole number of seconds from 5 to 600".to_owned())
    });
    let countries =
        env.read_if_set("DIAL_COUNTRIES", |text| text.parse().map_err(|error: BadCountries| error.to_string()));
    let max_seconds = env.read("MAX_CALL_SECONDS", |text| {
        let seconds = text.parse().ok().filter(|seconds| (1..=14_400).contains(seconds));
        seconds.ok_or("expected a whole number of seconds from 1 to 14400".to_owned())
    });
    let language = env.read_if_set("GREETING_LANGUAGE", language);
    let voice = env.read_if_set("GREETING_VOICE", voice);
    let silence_seconds = env.read("SILENCE_SECONDS", |text| {
        let seconds = text.parse().ok().filter(|seconds| (0..=600).contains(seconds));
        seconds.ok_or("expected a whole number of seconds from 0 to 600".to_owned())
    });
    let finish_on_key = env.read("FINISH_ON_KEY", |text| match text.as_bytes() {
        b"none" => Ok(None),
        [key @ (b'0'..=b'9' | b'#' | b'*')] => Ok(Some(char::from(*key))),
        _ => Err("expected one key, that is a digit, # or *, or none".to_owned()),
    });
    let countries = countries?.unwrap_or(Countries::Own);
    let operator_phones = operator_phones?.unwrap_or_default();
    for (phone, place) in operator_phones.iter().zip(1..) {
        if let Some(why) = unfit_phone(phone, &countries, own) {
            env.refuse("OPERATOR_PHONES", &format!("phone {place} is {why}"));
        }
    }
    // The sandbox has a phone for its operator.
    if is_forwarded == Some(true) && operator_phones.is_empty() && !is_sandbox {
        env.refuse("INBOUND", "forward needs phones to ring: OPERATOR_PHONES is missing");
    }
    if is_forwarded == Some(true) && operator_phones.len() > MOST_FORWARDED {
        env.warn(&format!("INBOUND=forward rings only the first {MOST_FORWARDED} of OPERATOR_PHONES"));
    }
    if is_forwarded == Some(false) && env.is_set("FORWARD_SECONDS") {
        env.warn("FORWARD_SECONDS has no effect without INBOUND=forward");
    }
    let forward_seconds = forward_seconds?;
    Some(CallConfig {
        greeting: greeting?,
        language: language?,
        voice: voice?,
        silence_seconds: silence_seconds?,
        finish_on_key: finish_on_key?,
        operator_phones,
        forward_seconds: is_forwarded?.then_some(forward_seconds),
        countries,
        max_seconds: max_seconds?,
    })
}

/// Parses a tag such as `de-DE`, `cmn-Hans-CN` or `es-419`. Which of them Twilio speaks only Twilio knows.
fn language(text: &str) -> Result<String, String> {
    let mut parts = text.split('-');
    let is_letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_language = parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && is_letters(part));
    let is_tag =
        parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_language && is_tag { Ok(text.to_owned()) } else { Err("expected a language tag, such as de-DE".to_owned()) }
}

/// Longest name of a voice. Twilio's have some 30 characters.
const LONGEST_VOICE: usize = 100;

/// Parses a name such as `alice` or `Polly.Vicki-Neural`. Which of them there are only Twilio knows.
fn voice(text: &str) -> Result<String, String> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let expected = "expected the name of one of Twilio's voices, such as Polly.Vicki-Neural";
    if is_name && text.len() <= LONGEST_VOICE { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

/// Parses the operator's phones, each once.
fn operator_phones(text: &str) -> Result<Vec<PhoneNumber>, String> {
    let mut phones = Vec::new();
    for part in text.split(',').map(str::trim) {
        let phone = part.parse::<PhoneNumber>().ok().filter(|_| part.starts_with('+'));
        let phone =
            phone.ok_or("expected numbers with + and country code, such as +14155551234, separated by commas")?;
        if !phones.contains(&phone) {
            phones.push(phone);
        }
    }
    Ok(phones)
}

/// Why this phone must not be rung, if so. The pipeline checks both numbers of a call again before it dials.
fn unfit_phone(phone: &PhoneNumber, countries: &Countries, own: Option<&PhoneNumber>) -> Option<String> {
    if Some(phone) == own {
        return Some("TWILIO_PHONE_NUMBER itself".to_owned());
    }
    if let Some(barred) = phone.barred() {
        return Some(barred.to_string());
    }
    let is_allowed = own.is_none_or(|own| countries.allow(phone.country(), own));
    (!is_allowed).then(|| "in a country that DIAL_COUNTRIES does not allow".to_owned())
}
