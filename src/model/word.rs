//! A word of a transcript, as AssemblyAI heard it or as somebody typed it since.

use serde::{Deserialize, Serialize};

/// A word of a transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpokenWord {
    /// With its punctuation.
    pub text: String,
    /// In milliseconds from the start of the audio.
    pub start: i64,
    /// In milliseconds from the start of the audio.
    pub end: i64,
    /// AssemblyAI's, from 0 to 1. `None` if a person typed the word.
    pub confidence: Option<f64>,
    /// `None` unless speakers were told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// `None` unless the channels were transcribed separately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whether a paragraph begins with the word. `None` if nobody decided that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<bool>,
}

impl SpokenWord {
    /// Whether a person typed the word.
    pub fn is_corrected(&self) -> bool {
        self.confidence.is_none()
    }

    /// Whether the same voice says both words.
    pub fn has_voice_of(&self, other: &Self) -> bool {
        (&self.speaker, &self.channel) == (&other.speaker, &other.channel)
    }
}

/// Returns whether a space belongs between these two parts of a text: not between two characters of scripts that are written
/// without.
pub fn is_spaced(before: &str, after: &str) -> bool {
    !(before.ends_with(is_unspaced) && after.starts_with(is_unspaced))
}

/// Whether the script of this character is written without spaces.
pub fn is_unspaced(character: char) -> bool {
    // Thai and Lao, Myanmar, Khmer.
    is_ideograph_or_kana(character)
        || matches!(character, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

/// Includes the punctuation of these scripts.
pub fn is_ideograph_or_kana(character: char) -> bool {
    matches!(character, '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{312F}' | '\u{3190}'..='\u{A4CF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FF60}' | '\u{20000}'..='\u{3FFFD}')
}

/// Joins words to a text.
pub fn join<'w>(words: impl IntoIterator<Item = &'w SpokenWord>) -> String {
    let mut text = String::new();
    for SpokenWord { text: word, .. } in words {
        text += if text.is_empty() || !is_spaced(&text, word) { "" } else { " " };
        text += word;
    }
    text
}
