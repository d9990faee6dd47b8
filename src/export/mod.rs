//! Captions to take away: SRT and WebVTT, made of words with times; and who says what, for whoever shows the words. Pure:
//! where words come from and where the files go is not known here.
//!
//! Captions have two lines of 42 characters at most. They are cut where sentences, clauses or pauses end, stay up for
//! one to seven seconds, and never overlap. Another voice is another caption.

mod cues;
mod runs;
mod width;

use std::fmt::Write as _;

use cues::Cue;
pub use width::is_spaced;

/// A word as it was heard. Nothing is expected of it: not of its characters, and not of its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// With its punctuation.
    pub text: &'a str,
    /// Its begin, in milliseconds.
    pub start: u64,
    /// Its end, in milliseconds.
    pub end: u64,
    /// Who says it, where speakers were told apart.
    pub speaker: Option<&'a str>,
    /// The channel it was heard on, where channels were told apart.
    pub channel: Option<&'a str>,
}

impl Word<'_> {
    /// A name for the voice that says it.
    fn voice(&self) -> Option<String> {
        let clean = |name: &str| runs::clean(name);
        let speaker = self.speaker.map(clean).filter(|name| !name.is_empty());
        let channel = self.channel.map(clean).filter(|name| !name.is_empty());
        match (speaker, channel) {
            // Where each channel is taken for a speaker, both have the same name.
            (Some(speaker), Some(channel)) if speaker == channel => Some(format!("Channel {channel}")),
            // `A`, `1A` or `12`; anything longer is somebody's name.
            (Some(speaker), _) if speaker.chars().count() <= 3 => Some(format!("Speaker {speaker}")),
            (Some(speaker), _) => Some(speaker),
            (None, channel) => channel.map(|channel| format!("Channel {channel}")),
        }
    }
}

/// What one voice says without being interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The voice's name, if voices were told apart.
    pub voice: Option<String>,
    /// Which of the words, one after the other.
    pub words: Vec<usize>,
}

/// Who says what, in the order they begin. Words without a character that can be shown are in none.
pub fn turns(words: &[Word]) -> Vec<Turn> {
    let turn = |run: runs::Run| Turn { voice: run.voice, words: run.words.iter().map(|word| word.index).collect() };
    runs::runs(words).into_iter().map(turn).collect()
}

/// SubRip captions. The format has no place for who speaks.
pub fn srt(words: &[Word]) -> String {
    let mut srt = String::new();
    for (index, Cue { start, end, lines, .. }) in cues::cues(words).iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let (start, end) = (clock(*start, ','), clock(*end, ','));
        // The format has no escapes, and programs look for times by their arrow.
        let text = lines.join("\n").replace("-->", "→");
        let _ = writeln!(srt, "{gap}{}\n{start} --> {end}\n{text}", index + 1);
    }
    srt
}

/// WebVTT captions. Source: <https://www.w3.org/TR/webvtt1/>.
pub fn vtt(words: &[Word]) -> String {
    let mut vtt = "WEBVTT\n".to_owned();
    for Cue { start, end, voice, lines } in cues::cues(words) {
        let voice = voice.map(|voice| format!("<v {}>", escaped(&voice))).unwrap_or_default();
        let (start, end) = (clock(start, '.'), clock(end, '.'));
        let _ = writeln!(vtt, "\n{start} --> {end}\n{voice}{}", escaped(&lines.join("\n")));
    }
    vtt
}

/// `00:00:01,250`. Hours have more digits when they need them.
fn clock(ms: u64, point: char) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}{point}{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000)
}

/// Without `>` there is no `-->` either.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
