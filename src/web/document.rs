//! A transcript as a document: its title, what is known of it, and the name of its file.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::reading::length;
use super::response::in_file_name;
use super::view::CallView;
use super::zone::Zone;
use crate::export;

/// What a document says beside the words.
pub(super) struct Heading<'h> {
    /// `None` if it is not known.
    pub(super) call: Option<&'h CallView>,
    /// When the call was made.
    pub(super) at: Option<Timestamp>,
    /// The length of the recording.
    pub(super) seconds: Option<i64>,
    pub(super) model: Option<&'h str>,
    pub(super) is_checked: bool,
    /// AssemblyAI's parameters of the order, as JSON.
    pub(super) parameters: &'h str,
}

impl Heading<'_> {
    pub(super) fn document(&self, zone: &Zone, paragraphs: Vec<export::Paragraph>) -> export::Document {
        let whom = self.call.map_or("Recording without a call", CallView::whom);
        let date = self.at.map(|at| zone.minute(at, ':'));
        let facts = [
            self.call.map(sort),
            self.at.map(|at| zone.written(at)),
            self.seconds.map(|seconds| format!("Length {}", length(&seconds))),
            self.model.map(|model| format!("Speech model {model}")),
            Some(if self.is_checked { "Checked by ear" } else { "Not checked" }.to_owned()),
        ];
        export::Document {
            title: [Some(whom.to_owned()), date].into_iter().flatten().collect::<Vec<_>>().join(", "),
            facts: facts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            created: self.at.map(|at| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            language: language(self.parameters),
            paragraphs,
        }
    }
}

/// What it is, and with whom.
fn sort(call: &CallView) -> String {
    match (call.is_upload(), call.is_outbound()) {
        (true, _) => call.sentence(),
        (false, true) => format!("Call to {}", call.party()),
        (false, false) => format!("Call from {}", call.party()),
    }
}

/// The language that AssemblyAI expected, such as `en-US`, as word processors name it. Its own default is American English,
/// unless it was to find out.
fn language(parameters: &str) -> Option<String> {
    let parameters: Value = serde_json::from_str(parameters).unwrap_or_default();
    let Some(code) = parameters["language_code"].as_str() else {
        let is_found_out = parameters["language_detection"] == true || !parameters["language_codes"].is_null();
        return (!is_found_out).then(|| "en-US".to_owned());
    };
    let (language, region) = code.split_once('_').unwrap_or((code, ""));
    let is_plain = |text: &str| text.len() <= 8 && text.chars().all(|c| c.is_ascii_alphanumeric());
    match region {
        _ if !is_plain(language) || !is_plain(region) || language.is_empty() => None,
        "" => Some(language.to_owned()),
        // AssemblyAI's name of British English. The code of the region is another one.
        "uk" if language == "en" => Some("en-GB".to_owned()),
        region => Some(format!("{language}-{}", region.to_uppercase())),
    }
}

/// Returns what the file of a call is called, without an extension: when it was, and with whom.
pub(super) fn stem(call: &CallView, zone: &Zone) -> String {
    let date = call.created_at.map(|at| zone.minute(at, '.') + " ").unwrap_or_default();
    date + &in_file_name(call.whom())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_named_as_word_processors_do() {
        for (parameters, expected) in [
            ("{}", Some("en-US")),
            (r#"{"language_code":"en_uk"}"#, Some("en-GB")),
            (r#"{"language_code":"de"}"#, Some("de")),
            (r#"{"language_detection":true}"#, None),
            (r#"{"language_code":"<b>"}"#, None),
            (r#"{"language_code":""}"#, None),
        ] {
            assert_eq!(language(parameters).as_deref(), expected, "{parameters}");
        }
    }
}
