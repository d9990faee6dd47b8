//! The words of a transcript. A missing or odd field of a word stays empty and does not make the transcript unreadable.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Word {
    /// With its punctuation.
    #[serde(deserialize_with = "text")]
    pub text: String,
    /// Milliseconds.
    #[serde(deserialize_with = "milliseconds")]
    pub start: u64,
    /// Milliseconds.
    #[serde(deserialize_with = "milliseconds")]
    pub end: u64,
    /// From 0 to 1.
    #[serde(deserialize_with = "number")]
    pub confidence: f64,
    /// `A`, `B` and so on, or with the channel before it, such as `1A`.
    #[serde(deserialize_with = "name")]
    pub speaker: Option<String>,
    /// `1`, `2` and so on, if channels were transcribed separately.
    #[serde(deserialize_with = "name")]
    pub channel: Option<String>,
}

/// Reads a list of words. `null` for the list or for a word counts as none.
pub(super) fn words<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Word>, D::Error> {
    struct Words;

    impl<'de> Visitor<'de> for Words {
        type Value = Vec<Word>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("words or null")
        }

        fn visit_unit<E>(self) -> Result<Vec<Word>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Word>, A::Error> {
            let mut words = Vec::new();
            while let Some(word) = list.next_element::<Option<Word>>()? {
                words.extend(word);
            }
            Ok(words)
        }
    }

    source.deserialize_any(Words)
}

fn text<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    name(source).map(Option::unwrap_or_default)
}

/// Reads a speaker or channel, which is a string or a number.
fn name<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn number<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(Value::deserialize(source)?.as_f64().unwrap_or_default())
}

fn milliseconds<'de, D: Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
    // The cast saturates, so a negative number becomes 0.
    number(source).map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::assemblyai::{Transcript, TranscriptStatus};

    fn read(json: &str) -> Transcript {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
    }

    #[test]
    fn a_word_has_its_text_its_times_and_who_said_it_where() {
        let json = r#"{"id": "1", "status": "completed", "audio_url": "https://example.com/a", "words": [
            {"text": "Ahoy!", "start": 250, "end": 650, "confidence": 0.97, "speaker": "1A", "channel": "1"},
            {"text": "Yes.", "start": 700, "end": 900, "confidence": 1, "speaker": null, "channel": 2, "new": [{}]}]}"#;
        let transcript = read(json);
        assert_eq!(transcript.audio_url.as_deref(), Some("https://example.com/a"));
        let ahoy = Word {
            text: "Ahoy!".to_owned(),
            start: 250,
            end: 650,
            confidence: 0.97,
            speaker: Some("1A".to_owned()),
            channel: Some("1".to_owned()),
        };
        let yes = Word {
            text: "Yes.".to_owned(),
            start: 700,
            end: 900,
            confidence: 1.0,
            speaker: None,
            channel: Some("2".to_owned()),
        };
        assert_eq!(transcript.words, [ahoy, yes]);
    }

    #[test]
    fn what_a_transcript_lacks_makes_nothing_else_of_it_unreadable() {
        let empty = Word::default();
        let nameless = |text: &str, start| Word { text: text.to_owned(), start, ..Word::default() };
        for (words, expected) in [
            ("null", vec![]),
            ("[]", vec![]),
            ("[null]", vec![]),
            ("[{}]", vec![empty.clone()]),
            (
                r#"[{"text": null, "start": null, "end": null, "confidence": null, "speaker": null, "channel": null}]"#,
                vec![empty.clone()],
            ),
            (
                r#"[{"text": {}, "start": "x", "end": [], "confidence": true, "speaker": {}, "channel": []}]"#,
                vec![empty],
            ),
            (
                r#"[{"text": "a", "start": 7.5}, null, {"text": "b", "start": -1}, {"text": "c", "start": 1e300}]"#,
                vec![nameless("a", 7), nameless("b", 0), nameless("c", u64::MAX)],
            ),
        ] {
            let transcript = read(&format!(r#"{{"id": "1", "status": "completed", "words": {words}}}"#));
            assert_eq!(transcript.words, expected, "{words}");
        }
        let bare = read(r#"{"id": "1", "status": "reticulating", "throttled": true, "utterances": [[null]]}"#);
        assert_eq!((bare.status, bare.is_final()), (TranscriptStatus::Processing, false));
        assert_eq!((bare.text, bare.words, bare.audio_url, bare.error), (None, vec![], None, None));
    }
}
