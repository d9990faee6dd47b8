//! Words with times as SRT and WebVTT captions, and as speaker turns; documents as Markdown and DOCX; CSV and ZIP. Pure: knows neither where
//! the words come from nor where the files go.
//!
//! A caption has at most two lines of 42 characters and one voice. Captions break at sentences, clauses or pauses, are
//! shown for one to seven seconds, and never overlap.

mod csv;
mod cues;
mod document;
mod docx;
mod markdown;
mod turns;
mod width;
mod word;
mod zip;

use std::fmt::Write as _;

pub use csv::{Cell, csv_row};
use cues::Cue;
pub use document::{Document, Paragraph};
pub use docx::docx;
pub use markdown::markdown;
use turns::TimedTurn;
pub use turns::ends_sentence;
pub use word::{Naming, Word};
pub use zip::Zip;

use crate::model::word::is_spaced;

/// What one voice says without interruption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which of the voices, counted from 0 in the order of their channels and speakers.
    pub voice: usize,
    /// Its name, if voices were told apart.
    pub name: Option<String>,
    /// Indexes of its words.
    pub words: Vec<usize>,
}

/// Returns the turns in the order they begin. A word without visible characters belongs to no turn.
pub fn turns(words: &[Word], naming: Naming) -> Vec<Turn> {
    let turn = |TimedTurn { voice, name, words }: TimedTurn| {
        let words = words.iter().map(|word| word.index).collect();
        Turn { voice, name, words }
    };
    turns::turns(words, naming).into_iter().map(turn).collect()
}

/// Writes who says what, if two voices with names or more speak: a line begins, with the name, where another voice speaks.
pub fn text(words: &[Word], naming: Naming) -> Option<String> {
    let turns = turns::turns(words, naming);
    if !turns::is_dialog(&turns) {
        return None;
    }
    let mut text = String::new();
    let mut before: Option<&TimedTurn> = None;
    for turn in &turns {
        if before.is_none_or(|before| before.voice != turn.voice) {
            text += if before.is_some() { "\n" } else { "" };
            text += &turn.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            before = None;
        }
        let mut last = before.and_then(|before| before.words.last());
        for word in &turn.words {
            text += if last.is_some_and(|last| is_spaced(&last.text, &word.text)) { " " } else { "" };
            text += &word.text;
            last = Some(word);
        }
        before = Some(turn);
    }
    Some(text)
}

/// Writes SubRip captions. The format cannot name the voice, so where two or more speak, a caption of another voice than the
/// one before begins with its name.
pub fn srt(words: &[Word], naming: Naming) -> String {
    let mut srt = String::new();
    let mut before = None;
    for (index, Cue { start, end, voice, prefix, lines, .. }) in cues::cues(words, naming, true).iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let (start, end) = (timestamp(*start, ','), timestamp(*end, ','));
        let is_other = before.replace(*voice) != Some(*voice);
        let name = prefix.as_deref().filter(|_| is_other).unwrap_or_default();
        // The format has no escapes, and parsers recognize the line with the times by its arrow.
        let text = format!("{name}{}", lines.join("\n")).replace("-->", "→");
        let _ = writeln!(srt, "{gap}{}\n{start} --> {end}\n{text}", index + 1);
    }
    srt
}

/// Writes WebVTT captions. Source: <https://www.w3.org/TR/webvtt1/>.
pub fn vtt(words: &[Word], naming: Naming) -> String {
    let mut vtt = "WEBVTT\n".to_owned();
    for Cue { start, end, name, lines, .. } in cues::cues(words, naming, false) {
        let voice = name.map(|name| format!("<v {}>", escape(&name))).unwrap_or_default();
        let (start, end) = (timestamp(start, '.'), timestamp(end, '.'));
        let _ = writeln!(vtt, "\n{start} --> {end}\n{voice}{}", escape(&lines.join("\n")));
    }
    vtt
}

/// Formats a time as `00:00:01,250`, with more digits for the hours if needed.
fn timestamp(ms: u64, point: char) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}{point}{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000)
}

/// Escapes `&`, `<` and `>`, and with that `-->`.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
