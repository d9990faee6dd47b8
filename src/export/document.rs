//! A transcript for people: a heading, and who says what when. Knows no file format.

use super::word::clean;
use crate::model::name::turns_direction;

/// A transcript with its heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// One line.
    pub title: String,
    /// What else is known of it, on one line.
    pub facts: String,
    /// When the call was made, as RFC 3339 writes it in UTC.
    pub created: Option<String>,
    /// The language of its words, such as `en-US`, if it is known.
    pub language: Option<String>,
    /// In the order of their times.
    pub paragraphs: Vec<Paragraph>,
}

/// What one speaker says, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    pub(super) speaker: Option<String>,
    pub(super) start: Option<u64>,
    pub(super) text: String,
}

impl Paragraph {
    /// `start` is in milliseconds from the start of the audio. Control characters are left out, and those that no XML may have.
    pub fn new(speaker: Option<&str>, start: Option<u64>, text: &str) -> Self {
        Self { speaker: speaker.map(line).filter(|name| !name.is_empty()), start, text: line(text) }
    }

    /// When it begins, such as `[0:01:05]`.
    pub(super) fn clock(&self) -> Option<String> {
        let seconds = self.start? / 1_000;
        Some(format!("[{}:{:02}:{:02}]", seconds / 3_600, seconds / 60 % 60, seconds % 60))
    }
}

/// Returns a text as one line of what every format can hold.
pub(super) fn line(text: &str) -> String {
    // What turns the direction would turn all text after it.
    let is_allowed = |c: &char| !turns_direction(*c) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    clean(&text.chars().filter(is_allowed).collect::<String>())
}
