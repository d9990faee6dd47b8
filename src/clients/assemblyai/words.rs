//! The words of a transcript. A missing or odd field of a word stays empty and does not make the transcript unreadable.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// The longest text of a word that is kept, in bytes. Where words are not told apart, one may be a sentence.
const LONGEST_WORD: usize = 4 << 10;

/// The longest name of a speaker, a channel or a model that is kept, in bytes.
const LONGEST_NAME: usize = 256;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    /// With its punctuation.
    pub text: String,
    /// Milliseconds.
    pub start: u64,
    /// Milliseconds.
    pub end: u64,
    /// From 0 to 1.
    pub confidence: f64,
    /// `A`, `B` and so on, or with the channel before it, such as `1A`.
    pub speaker: Option<String>,
    /// `1`, `2` and so on, if channels were transcribed separately.
    pub channel: Option<String>,
}

/// What a visitor of a list or of an object makes of anything that is neither.
macro_rules! scalars_are {
    ($nothing:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

/// A name, such as that of a model. Anything else counts as none.
pub(super) struct Name(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Ok(Self(Scalar::deserialize(source)?.text(LONGEST_NAME)))
    }
}

/// Reads a list of words and hands over each. Whatever else is in place of the list or of a word counts as none.
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
        f.write_str("words")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(word) = list.next_element::<MaybeWord>()? {
            word.0.into_iter().for_each(&mut *self.0);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        IgnoredAny.visit_map(fields).map(drop)
    }

    scalars_are!(());
}

struct MaybeWord(Option<Word>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Text,
    Start,
    End,
    Confidence,
    Speaker,
    Channel,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for MaybeWord {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = MaybeWord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<MaybeWord, A::Error> {
                let mut word = Word::default();
                while let Some(field) = fields.next_key()? {
                    match field {
                        Field::Text => {
                            word.text = fields.next_value::<Scalar>()?.text(LONGEST_WORD).unwrap_or_default()
                        }
                        Field::Start => word.start = fields.next_value::<Scalar>()?.milliseconds(),
                        Field::End => word.end = fields.next_value::<Scalar>()?.milliseconds(),
                        Field::Confidence => word.confidence = fields.next_value::<Scalar>()?.number(),
                        Field::Speaker => word.speaker = fields.next_value::<Scalar>()?.text(LONGEST_NAME),
                        Field::Channel => word.channel = fields.next_value::<Scalar>()?.text(LONGEST_NAME),
                        Field::Other => _ = fields.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(MaybeWord(Some(word)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<MaybeWord, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| MaybeWord(None))
            }

            scalars_are!(MaybeWord(None));
        }

        source.deserialize_any(Fields)
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

            fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(text))
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

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Scalar::Nothing)
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Scalar, A::Error> {
                IgnoredAny.visit_map(fields).map(|_| Scalar::Nothing)
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

impl Scalar {
    /// The beginning of the text, of at most this many bytes.
    fn text(self, longest: usize) -> Option<String> {
        match self {
            Self::Text(text) => Some(cut(text, longest)),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing => None,
        }
    }

    fn number(self) -> f64 {
        match self {
            Self::Number(number) => number.as_f64().unwrap_or_default(),
            Self::Text(_) | Self::Nothing => 0.0,
        }
    }

    fn milliseconds(self) -> u64 {
        // The cast saturates, so a negative number becomes 0.
        self.number() as u64
    }
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
            ("{\"text\": [1]}", vec![]),
            ("\"none\"", vec![]),
            ("[]", vec![]),
            ("[null, 7, \"none\", [{}], true]", vec![]),
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
    fn of_what_is_there_twice_the_last_counts() {
        let (transcript, words) = read(
            r#"{"id": "0", "status": "queued", "text": "no", "error": "no", "audio_url": "no", "words": [{"text": "no"}],
            "id": "1", "status": "completed", "text": "yes", "error": null, "audio_url": "yes", "words": null,
            "words": [{"text": "no", "start": 1, "text": "yes", "start": 2}, {"text": "too"}]}"#,
        );
        assert_eq!((transcript.id.as_str(), transcript.status), ("1", TranscriptStatus::Completed));
        assert_eq!((transcript.text.as_deref(), transcript.audio_url.as_deref()), (Some("yes"), Some("yes")));
        assert_eq!(transcript.error, None);
        assert_eq!(
            words.iter().map(|word| (word.text.as_str(), word.start)).collect::<Vec<_>>(),
            [("yes", 2), ("too", 0)]
        );
        let none = r#"{"id": "1", "status": "completed", "words": [{"text": "no"}], "words": null}"#;
        assert_eq!(read(none).1, []);
    }

    #[test]
    fn what_is_no_strict_json_is_read_as_browsers_and_python_read_it() {
        let (transcript, words) = read(concat!(
            "\u{feff}",
            r#"{"id": "1", "status": "completed", "text": "hi \ud83d", "language_confidence": NaN, "words": [
            {"text": "\ude00hi", "start": 1e999, "end": -Infinity, "confidence": NaN}]}"#
        ));
        assert_eq!(transcript.text.as_deref(), Some("hi \u{fffd}"));
        assert_eq!((words[0].text.as_str(), words[0].confidence), ("\u{fffd}hi", 0.0));
        assert_eq!((words[0].start, words[0].end), (u64::MAX, 0));
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_is_too_much_is_refused() {
        let long = "ä".repeat(5_000);
        let word = format!(r#"{{"text": "{long}", "speaker": "{long}", "start": {{"{long}": [1, {{}}]}}}}"#);
        let (transcript, words) =
            read(&format!(r#"{{"id": "1", "status": "error", "error": "{long}", "words": [{word}]}}"#));
        let word = &words[0];
        assert_eq!((word.text.len(), word.speaker.as_ref().unwrap().len(), word.start), (4_096, 256, 0));
        assert_eq!(transcript.error.map(|error| error.len()), Some(4_096));
        let many = format!(r#"{{"id": "1", "status": "completed", "words": [{}{{}}]}}"#, "{},".repeat(1_000_000));
        assert!(Reply::read(many.into_bytes()).is_none());
    }
}
