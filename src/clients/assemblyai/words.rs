//! The words of a transcript. A missing or odd field of a word stays empty and does not make the transcript unreadable.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// The longest text of a word that is kept, in bytes. Where words are not told apart, one may be a sentence.
const LONGEST_WORD: usize = 4 << 10;

/// The longest name of a speaker or channel that is kept, in bytes.
const LONGEST_NAME: usize = 256;

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

/// Reads a list of words and hands over each. `null` for the list or for a word counts as none.
pub(super) struct Words<'w>(pub(super) &'w mut dyn FnMut(Word));

impl<'de> DeserializeSeed<'de> for Words<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Words<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("words or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(word) = list.next_element::<Option<Word>>()? {
            word.into_iter().for_each(&mut *self.0);
        }
        Ok(())
    }
}

/// A string or a number. Anything else counts as nothing, however much of it there is.
enum Scalar {
    Text(String),
    Number(Number),
    Nothing,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Number::from_f64(number).map_or(Scalar::Nothing, Scalar::Number))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
        }

        source.deserialize_any(Any)
    }
}

/// Returns the beginning of a text, of at most this many bytes.
pub(super) fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

fn text<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    Ok(match Scalar::deserialize(source)? {
        Scalar::Text(text) => cut(text, LONGEST_WORD),
        Scalar::Number(number) => number.to_string(),
        Scalar::Nothing => String::new(),
    })
}

/// Reads a speaker or channel, which is a string or a number.
fn name<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(source)? {
        Scalar::Text(text) => Some(cut(text, LONGEST_NAME)),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Nothing => None,
    })
}

fn number<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(match Scalar::deserialize(source)? {
        Scalar::Number(number) => number.as_f64().unwrap_or_default(),
        Scalar::Text(_) | Scalar::Nothing => 0.0,
    })
}

fn milliseconds<'de, D: Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
    // The cast saturates, so a negative number becomes 0.
    number(source).map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::assemblyai::{Reply, Transcript, TranscriptStatus};

    fn read(json: &str) -> (Transcript, Vec<Word>) {
        let reply = Reply::read(json.as_bytes().to_vec()).unwrap_or_else(|| panic!("{json} is no transcript"));
        let mut words = Vec::new();
        reply.each_word(|word| words.push(word));
        (reply.transcript, words)
    }

    #[test]
    fn a_word_has_its_text_its_times_and_who_said_it_where() {
        let json = r#"{"id": "1", "status": "completed", "audio_url": "https://example.com/a", "words": [
            {"text": "Ahoy!", "start": 250, "end": 650, "confidence": 0.97, "speaker": "1A", "channel": "1"},
            {"text": "Yes.", "start": 700, "end": 900, "confidence": 1, "speaker": null, "channel": 2, "new": [{}]}]}"#;
        let (transcript, words) = read(json);
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
        assert_eq!(words, [ahoy, yes]);
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
            let found = read(&format!(r#"{{"id": "1", "status": "completed", "words": {words}}}"#)).1;
            assert_eq!(found, expected, "{words}");
        }
        let (bare, words) = read(r#"{"id": "1", "status": "reticulating", "throttled": true, "utterances": [[null]]}"#);
        assert_eq!((bare.status, bare.is_final()), (TranscriptStatus::Processing, false));
        assert_eq!((bare.text, words, bare.audio_url, bare.error), (None, vec![], None, None));
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_is_too_much_or_there_twice_is_refused() {
        let long = "ä".repeat(5_000);
        let word = format!(r#"{{"text": "{long}", "speaker": "{long}", "start": {{"{long}": [1, {{}}]}}}}"#);
        let (transcript, words) =
            read(&format!(r#"{{"id": "1", "status": "error", "error": "{long}", "words": [{word}]}}"#));
        let word = &words[0];
        assert_eq!((word.text.len(), word.speaker.as_ref().unwrap().len(), word.start), (4_096, 256, 0));
        assert_eq!(transcript.error.map(|error| error.len()), Some(4_096));
        let twice = r#"{"id": "1", "status": "completed", "words": [], "words": []}"#;
        assert!(Reply::read(twice.as_bytes().to_vec()).is_none());
        let many = format!(r#"{{"id": "1", "status": "completed", "words": [{}{{}}]}}"#, "{},".repeat(1_000_000));
        assert!(Reply::read(many.into_bytes()).is_none());
    }
}
