//! Words with times as SRT and WebVTT captions, and as speaker turns. Pure: knows neither where the words come from nor
//! where the files go.
//!
//! A caption has at most two lines of 42 characters and one voice. Captions break at sentences, clauses or pauses, are
//! shown for one to seven seconds, and never overlap.

mod cues;
mod turns;
mod width;
mod word;

use std::fmt::Write as _;

use cues::Cue;
pub use width::is_spaced;
pub use word::Word;

/// What one voice says without interruption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Name of the voice, if voices were told apart.
    pub voice: Option<String>,
    /// Indexes of its words.
    pub words: Vec<usize>,
}

/// Returns the turns in the order they begin. A word without visible characters belongs to no turn.
pub fn turns(words: &[Word]) -> Vec<Turn> {
    let turn =
        |turn: turns::TimedTurn| Turn { voice: turn.voice, words: turn.words.iter().map(|word| word.index).collect() };
    turns::turns(words).into_iter().map(turn).collect()
}

/// Writes SubRip captions. The format cannot name the voice.
pub fn srt(words: &[Word]) -> String {
    let mut srt = String::new();
    for (index, Cue { start, end, lines, .. }) in cues::cues(words).iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let (start, end) = (timestamp(*start, ','), timestamp(*end, ','));
        // The format has no escapes, and parsers recognize the line with the times by its arrow.
        let text = lines.join("\n").replace("-->", "→");
        let _ = writeln!(srt, "{gap}{}\n{start} --> {end}\n{text}", index + 1);
    }
    srt
}

/// Writes WebVTT captions. Source: <https://www.w3.org/TR/webvtt1/>.
pub fn vtt(words: &[Word]) -> String {
    let mut vtt = "WEBVTT\n".to_owned();
    for Cue { start, end, voice, lines } in cues::cues(words) {
        let voice = voice.map(|voice| format!("<v {}>", escape(&voice))).unwrap_or_default();
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
