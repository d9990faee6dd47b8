//! Blind checks: stretches of a transcript that somebody types from the audio alone. What is typed tells how right the
//! transcript is without the help of its text.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::measure::Reference;
use super::transcript::OrderId;
use super::word::SpokenWord;
use crate::splitmix::SplitMix64;

/// The longest stretch, in milliseconds: two minutes.
pub const LONGEST: i64 = 120_000;

/// Of what nobody has typed yet, less than this is not worth a stretch of its own, in milliseconds.
const SHORTEST: i64 = 5_000;

/// This far a stretch may be moved, or shortened, so that it begins and ends in a pause, in milliseconds.
const REACH: i64 = 15_000;

/// A stretch that begins or ends in a pause leaves this much of it to the word beside it, in milliseconds.
const MARGIN: i64 = 100;

/// A stretch of time in a recording, in milliseconds from the start of the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: i64,
    /// Greater than `from`, and not part of it.
    pub to: i64,
}

/// A stretch that somebody has typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindCheck {
    /// Counts the stretches of a transcript from 1.
    pub stretch: i64,
    /// Counts how often it was typed, from 1.
    pub version: i64,
    pub window: Window,
    /// What was typed, by channel; by an empty text where all are one.
    pub texts: BTreeMap<String, String>,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Who typed it, for people.
    pub by: String,
}

impl BlindCheck {
    /// What it is as a reference. Who types a stretch again knows the text.
    pub fn reference(&self) -> Reference {
        if self.version == 1 { Reference::Blind } else { Reference::Checked }
    }
}

impl Window {
    pub fn length(self) -> i64 {
        self.to - self.from
    }

    /// Whether most of a word is in it.
    pub fn has(self, word: &SpokenWord) -> bool {
        (self.from..self.to).contains(&i64::midpoint(word.start, word.end))
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// Returns the channels that are typed apart: those of the words, or one that is empty where nobody told any apart.
pub fn channels(words: &[SpokenWord], has_two: bool) -> Vec<String> {
    let mut channels: Vec<String> = words.iter().filter_map(|word| word.channel.clone()).collect();
    // On one of them, nobody may have said a word.
    if has_two && !channels.is_empty() {
        channels.extend(["1".to_owned(), "2".to_owned()]);
    }
    channels.sort_unstable();
    channels.dedup();
    if channels.is_empty() { vec![String::new()] } else { channels }
}

/// Returns a random stretch of audio of this length that is in none of the stretches which were typed before, or `None` if too
/// little is left. It is the same one each time, until it was typed.
pub fn next(order: &OrderId, words: &[SpokenWord], length: i64, typed: &[Window]) -> Option<Window> {
    let left = left(length, typed);
    if left.is_empty() {
        return None;
    }
    let seed = Sha256::digest(format!("{order} {}", typed.len()));
    let mut random = SplitMix64::new(u64::from_be_bytes(std::array::from_fn(|at| seed[at])));
    let total: i64 = left.iter().map(|part| part.length()).sum();
    let mut at = below(&mut random, total);
    let mut parts = left.into_iter();
    let part = parts.find(|part| {
        let is_it = at < part.length();
        at -= if is_it { 0 } else { part.length() };
        is_it
    })?;
    if part.length() <= LONGEST {
        return Some(part);
    }
    let pauses = pauses(words, length);
    let wanted = part.from + below(&mut random, part.length() - LONGEST + 1);
    let from = nearest(&pauses, wanted, wanted, (wanted + REACH).min(part.to - SHORTEST));
    let end = (from + LONGEST).min(part.to);
    let to = if end == part.to { end } else { nearest(&pauses, end, end - REACH, end) };
    Some(Window { from, to })
}

/// Returns a number from 0 to before `end`, which is positive.
fn below(random: &mut SplitMix64, end: i64) -> i64 {
    random.below(end.unsigned_abs()).try_into().unwrap_or_default()
}

/// Returns the parts of the audio that nobody has typed yet, by time.
fn left(length: i64, typed: &[Window]) -> Vec<Window> {
    let mut typed = typed.to_vec();
    typed.sort_unstable_by_key(|window| window.from);
    let (mut left, mut from) = (Vec::new(), 0);
    for window in typed.into_iter().chain([Window { from: length, to: length }]) {
        left.push(Window { from, to: window.from });
        from = from.max(window.to);
    }
    // A short recording is one stretch, however short.
    let is_whole = |part: &Window| *part == (Window { from: 0, to: length }) && length > 0;
    left.retain(|part| part.length() >= SHORTEST || is_whole(part));
    left
}

/// Returns the pauses in which nobody speaks, by time.
fn pauses(words: &[SpokenWord], length: i64) -> Vec<Window> {
    let mut words: Vec<(i64, i64)> = words.iter().map(|word| (word.start, word.end)).collect();
    words.sort_unstable();
    let (mut pauses, mut end) = (Vec::new(), 0);
    for (start, word_end) in words.into_iter().chain([(length, length)]) {
        if start > end {
            pauses.push(Window { from: end, to: start });
        }
        end = end.max(word_end);
    }
    pauses
}

/// Returns the moment in a pause that is nearest to the wanted one, within these limits; or the wanted one, if no pause is.
fn nearest(pauses: &[Window], wanted: i64, earliest: i64, latest: i64) -> i64 {
    let moment = |pause: &Window| {
        let margin = MARGIN.min(pause.length() / 2);
        let moment = wanted.clamp(pause.from + margin, pause.to - margin);
        (earliest..=latest).contains(&moment).then_some(moment)
    };
    pauses.iter().filter_map(moment).min_by_key(|moment| (moment - wanted).abs()).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str) -> OrderId {
        OrderId::from(name.to_owned())
    }

    fn word(start: i64, end: i64) -> SpokenWord {
        SpokenWord { text: "word".to_owned(), start, end, confidence: None, speaker: None, channel: None, begins: None }
    }

    /// Words of 400 ms without a pause between, apart from one of a second after each tenth.
    fn sentences(length: i64) -> Vec<SpokenWord> {
        let starts = (0..).map(|word| word * 400 + word / 10 * 1_000).take_while(|start| start + 400 <= length);
        starts.map(|start| word(start, start + 400)).collect()
    }

    #[test]
    fn a_short_recording_is_one_stretch() {
        for length in [1, 4_000, LONGEST] {
            let whole = Window { from: 0, to: length };
            assert_eq!(next(&order("a"), &[word(0, 1)], length, &[]), Some(whole));
            assert_eq!(next(&order("a"), &[word(0, 1)], length, &[whole]), None);
        }
        assert_eq!(next(&order("a"), &[], 0, &[]), None);
    }

    #[test]
    fn each_stretch_is_within_two_minutes_begins_and_ends_in_a_pause_and_is_typed_once() {
        let length = 3_600_000;
        let words = sentences(length);
        let mut first = Vec::new();
        for order in ["a", "b", "c"].map(order) {
            let mut typed = Vec::new();
            while let Some(window) = next(&order, &words, length, &typed) {
                assert_eq!(Some(window), next(&order, &words, length, &typed), "loaded again");
                assert!(window.from >= 0 && window.to <= length, "{window:?}");
                assert!((1..=LONGEST).contains(&window.length()), "{window:?}");
                assert!(typed.iter().all(|other| !window.overlaps(*other)), "{window:?} in {typed:?}");
                for end in [window.from, window.to] {
                    assert!(words.iter().all(|word| end <= word.start || end >= word.end), "{window:?}");
                }
                first.extend(typed.is_empty().then_some(window));
                typed.push(window);
            }
            let sum: i64 = typed.iter().map(|window| window.length()).sum();
            assert!(sum > length * 9 / 10, "{sum} of {length}");
        }
        assert!(first[0] != first[1] && first[1] != first[2], "{first:?}");
    }

    #[test]
    fn where_nobody_pauses_a_stretch_takes_two_minutes() {
        let words = [word(0, 600_000)];
        let window = next(&order("a"), &words, 600_000, &[]).expect("a stretch");
        assert_eq!(window.length(), LONGEST);
    }

    #[test]
    fn a_word_is_in_the_stretch_that_has_most_of_it() {
        let window = Window { from: 1_000, to: 2_000 };
        for (start, end, expected) in
            [(900, 1_101, true), (800, 1_190, false), (1_900, 2_050, true), (2_000, 2_100, false)]
        {
            assert_eq!(window.has(&word(start, end)), expected, "{start} to {end}");
        }
    }

    #[test]
    fn sides_are_typed_apart_where_channels_are_told_apart() {
        let on = |channel: Option<&str>| SpokenWord { channel: channel.map(str::to_owned), ..word(0, 1) };
        assert_eq!(channels(&[on(None)], true), [""]);
        assert_eq!(channels(&[on(Some("2")), on(Some("1")), on(Some("2"))], false), ["1", "2"]);
        assert_eq!(channels(&[on(Some("2"))], true), ["1", "2"]);
        assert_eq!(channels(&[], true), [""]);
    }
}
