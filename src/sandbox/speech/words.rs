//! The speech of one voice as text: the words with their times, as a transcript has them.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    /// With its punctuation.
    pub text: String,
    /// In milliseconds.
    pub start: u64,
    /// In milliseconds.
    pub end: u64,
    /// From 0 to 1.
    pub confidence: f64,
}

impl Word {
    /// Returns the word this many milliseconds later.
    pub(super) fn later(&'static self, by: u64) -> Cow<'static, Self> {
        if by == 0 {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { start: self.start + by, end: self.end + by, ..self.clone() })
    }
}

/// Returns the words in the order they are spoken.
pub fn words() -> &'static [Word] {
    &TRANSCRIPT.words
}

/// Returns the whole text.
pub fn text() -> &'static str {
    &TRANSCRIPT.text
}

#[derive(Deserialize)]
struct Transcript {
    text: String,
    words: Vec<Word>,
}

static TRANSCRIPT: LazyLock<Transcript> =
    LazyLock::new(|| serde_json::from_str(include_str!("speech.json")).expect("speech.json is a part of this program"));

#[cfg(test)]
mod tests {
    use super::super::audio::duration;
    use super::*;

    #[test]
    fn the_words_make_up_the_text_and_follow_each_other_within_the_speech() {
        let spoken: Vec<&str> = words().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(spoken.join(" "), text());
        let mut times: Vec<u64> = words().iter().flat_map(|word| [word.start, word.end]).collect();
        times.push(duration().as_millis().try_into().unwrap());
        assert!(times.is_sorted(), "{times:?}");
    }
}
