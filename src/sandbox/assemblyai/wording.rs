//! What the parameters of a transcript make of the words that were spoken.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::{ErrorResponse, bad_request};
use super::hearing::{self, bare};
use crate::sandbox::speech::Word;

/// The parameters that change the words.
pub(super) struct Wording {
    /// Milliseconds: nothing before the first and after the last is transcribed.
    audible: (u64, u64),
    is_punctuated: bool,
    is_formatted: bool,
    spellings: Vec<Spelling>,
    redaction: Option<Redaction>,
}

/// An entry of `custom_spelling`.
struct Spelling {
    /// Phrases, as their words in lower case.
    from: Vec<Vec<String>>,
    to: String,
}

struct Redaction {
    policies: Vec<String>,
    /// Whether a word is replaced by the name of its policy instead of by `#` for each of its letters.
    by_name: bool,
}

/// What there is to redact beside hard words, by policy.
const PRIVATE: [(&str, &[&str]); 3] = [
    ("number_sequence", &["forty", "two"]),
    ("location", &["ahoy", "street", "county"]),
    ("date", &["friday", "june"]),
];

#[rustfmt::skip]
const POLICIES: &[&str] = &[
    "account_number", "banking_information", "blood_type", "credit_card_cvv", "credit_card_expiration",
    "credit_card_number", "date", "date_interval", "date_of_birth", "drivers_license", "drug", "duration",
    "email_address", "event", "filename", "gender_sexuality", "healthcare_number", "injury", "ip_address", "language",
    "location", "marital_status", "medical_condition", "medical_process", "money_amount", "nationality",
    "number_sequence", "occupation", "organization", "passport_number", "password", "person_age", "person_name",
    "phone_number", "physical_attribute", "political_affiliation", "religion", "statistics", "time", "url",
    "us_social_security_number", "username", "vehicle_id", "zodiac_sign",
];

impl Wording {
    /// Reads parameters whose types are checked.
    pub(super) fn parse(params: &Map<String, Value>) -> Result<Self, ErrorResponse> {
        let is_on = |name: &str, default| params.get(name).and_then(Value::as_bool).unwrap_or(default);
        let audible = (time(params, "audio_start_from", 0)?, time(params, "audio_end_at", u64::MAX)?);
        if audible.0 >= audible.1 {
            return Err(bad_request("\"audio_end_at\" should be greater than \"audio_start_from\""));
        }
        let redaction = Redaction::parse(params)?;
        Ok(Self {
            audible,
            is_punctuated: is_on("punctuate", true),
            is_formatted: is_on("format_text", true),
            spellings: spellings(params)?,
            redaction: is_on("redact_pii", false).then_some(redaction),
        })
    }

    pub(super) fn write<'a>(&self, spoken: impl Iterator<Item = Cow<'a, Word>>) -> Vec<Cow<'a, Word>> {
        let audible = spoken.filter(|word| word.start >= self.audible.0 && word.end <= self.audible.1);
        // Each with the policy that it falls under, which no later change hides.
        let mut words: Vec<(Cow<'a, Word>, Option<&'static str>)> =
            audible.map(|word| (self.plain(word.clone()), policy(&word.text))).collect();
        for Spelling { from, to } in &self.spellings {
            from.iter().for_each(|phrase| spell(&mut words, phrase, to));
        }
        let Some(redaction) = &self.redaction else { return words.into_iter().map(|(word, _)| word).collect() };
        words.into_iter().map(|(word, policy)| redaction.apply(word, policy)).collect()
    }

    /// Returns the word without punctuation and capitals if they are not wanted.
    fn plain<'a>(&self, mut word: Cow<'a, Word>) -> Cow<'a, Word> {
        if !self.is_punctuated && bare(&word.text) != word.text {
            word.to_mut().text = bare(&word.text).to_owned();
        }
        if !self.is_formatted {
            word.to_mut().text = word.text.to_lowercase();
        }
        word
    }
}

impl Redaction {
    /// Without policies, everything is redacted.
    fn parse(params: &Map<String, Value>) -> Result<Self, ErrorResponse> {
        let policies = params.get("redact_pii_policies").and_then(Value::as_array);
        let policies: Vec<String> = match policies {
            Some(named) => named.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => POLICIES.iter().map(|policy| (*policy).to_owned()).collect(),
        };
        if let Some(unknown) = policies.iter().find(|policy| !POLICIES.contains(&policy.as_str())) {
            return Err(bad_request(format!("\"redact_pii_policies\" has no policy \"{unknown}\"")));
        }
        let by_name = match params.get("redact_pii_sub").and_then(Value::as_str) {
            None | Some("hash") => false,
            Some("entity_name") => true,
            Some(_) => return Err(bad_request("\"redact_pii_sub\" should be one of: entity_name, hash")),
        };
        Ok(Self { policies, by_name })
    }

    fn apply<'a>(&self, mut word: Cow<'a, Word>, policy: Option<&str>) -> Cow<'a, Word> {
        let Some(policy) = policy.filter(|policy| self.policies.iter().any(|one| one == policy)) else { return word };
        let letters = bare(&word.text);
        let substitute =
            if self.by_name { format!("[{}]", policy.to_uppercase()) } else { "#".repeat(letters.chars().count()) };
        word.to_mut().text = word.text.replacen(letters, &substitute, 1);
        word
    }
}

fn time(params: &Map<String, Value>, name: &str, default: u64) -> Result<u64, ErrorResponse> {
    match params.get(name) {
        None => Ok(default),
        Some(value) => {
            value.as_u64().ok_or_else(|| bad_request(format!("\"{name}\" should be a number of milliseconds")))
        }
    }
}

fn spellings(params: &Map<String, Value>) -> Result<Vec<Spelling>, ErrorResponse> {
    let wrong =
        || bad_request("\"custom_spelling\" should be a list of objects with a list \"from\" and a string \"to\"");
    let entries = params.get("custom_spelling").and_then(Value::as_array).into_iter().flatten();
    let spelling = |entry: &Value| {
        let to = entry["to"].as_str().filter(|to| !to.is_empty())?.to_owned();
        let from = entry["from"].as_array()?.iter().map(|phrase| {
            let words: Vec<String> =
                phrase.as_str()?.split_whitespace().map(|word| bare(word).to_lowercase()).collect();
            (!words.is_empty()).then_some(words)
        });
        Some(Spelling { from: from.collect::<Option<_>>()?, to })
    };
    entries.map(|entry| spelling(entry).ok_or_else(wrong)).collect()
}

/// Replaces each occurrence of the phrase by one word, with the punctuation that followed the phrase.
fn spell(words: &mut Vec<(Cow<'_, Word>, Option<&'static str>)>, phrase: &[String], to: &str) {
    let mut at = 0;
    while let Some(found) = words.get(at..at + phrase.len()) {
        if !found.iter().zip(phrase).all(|((word, _), wanted)| bare(&word.text).to_lowercase() == *wanted) {
            at += 1;
            continue;
        }
        let last = &found[phrase.len() - 1].0;
        let after = last.text.rfind(bare(&last.text)).map_or(0, |start| start + bare(&last.text).len());
        let sum: f64 = found.iter().map(|(word, _)| word.confidence).sum();
        let spelled = Word {
            text: format!("{to}{}", &last.text[after..]),
            start: found[0].0.start,
            end: last.end,
            confidence: (sum / phrase.len() as f64 * 100_000.0).round() / 100_000.0,
        };
        let policy = found.iter().find_map(|(_, policy)| *policy);
        words.splice(at..at + phrase.len(), [(Cow::Owned(spelled), policy)]);
        at += 1;
    }
}

fn policy(word: &str) -> Option<&'static str> {
    let word = bare(word).to_lowercase();
    let known = PRIVATE.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(policy, _)| *policy);
    known.or_else(|| hearing::policy(&word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::speech;

    fn text(params: Value) -> String {
        let wording = Wording::parse(params.as_object().unwrap()).unwrap();
        let words = wording.write(speech::words().iter().map(Cow::Borrowed));
        words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_parameter_changes_the_words() {
        let whole = speech::text();
        for (params, expected) in [
            (json!({ "audio_end_at": 1_730 }), "Hello, this is a test call."),
            (json!({ "audio_start_from": 4_000, "audio_end_at": 9_000 }), "before Friday."),
            (json!({ "audio_start_from": 9_000 }), ""),
            (json!({ "punctuate": false, "audio_end_at": 1_730 }), "Hello this is a test call"),
            (json!({ "punctuate": false, "format_text": false, "audio_end_at": 900 }), "hello this"),
            (json!({ "custom_spelling": [{ "from": ["HELLO"], "to": "Ahoi" }], "audio_end_at": 900 }), "Ahoi, this"),
            (
                json!({ "custom_spelling": [{ "from": ["test call", "nothing"], "to": "TestCall" }], "audio_end_at": 1_730 }),
                "Hello, this is a TestCall.",
            ),
            (json!({ "redact_pii_policies": ["date"], "redact_pii": false }), whole),
            (json!({ "redact_pii_policies": ["person_name"], "redact_pii": true }), whole),
            (
                json!({ "redact_pii": true, "redact_pii_policies": ["date", "location"] }),
                "Hello, this is a test call. Please ship order forty two to #### ###### before ######.",
            ),
            (
                json!({ "redact_pii": true, "redact_pii_sub": "entity_name", "audio_start_from": 4_000 }),
                "before [DATE].",
            ),
            (
                json!({
                    "redact_pii": true, "redact_pii_policies": ["location"], "punctuate": false, "format_text": false,
                    "custom_spelling": [{ "from": ["ahoy street"], "to": "Ahoi" }],
                }),
                "hello this is a test call please ship order forty two to #### before friday",
            ),
        ] {
            assert_eq!(text(params.clone()), expected, "{params}");
        }
    }
}
