//! Splits words into turns: what each voice says without interruption. Knows nothing of lines and captions.

use super::word::{Naming, Word, clean};

/// A silence of this length, in milliseconds, ends a turn.
const SILENCE: u64 = 2_000;

/// Tolerance, in milliseconds, for times at which one voice follows another.
const TOLERANCE: u64 = 50;

/// Latest time that is believed. Up to here, hours have two digits.
const LATEST: u64 = 99 * 3_600_000;

/// Words that end with a full stop but do not end a sentence.
const ABBREVIATIONS: [&str; 8] = ["Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.", "No.", "vs."];

/// What one voice says without interruption.
pub(super) struct TimedTurn {
    /// Counted from 0, in the order of channels and speakers.
    pub(super) voice: usize,
    pub(super) name: Option<String>,
    /// At least one. Each ends before the next begins.
    pub(super) words: Vec<TimedWord>,
}

/// A word with visible characters and plausible times.
#[derive(Debug, Clone)]
pub(super) struct TimedWord {
    /// Index of the word in the input.
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl TimedTurn {
    pub(super) fn start(&self) -> u64 {
        self.words[0].start
    }
}

/// Returns the turns in the order they begin. A turn ends at a long silence or where another voice speaks. Voices that speak
/// at the same time interrupt each other in pauses, and at the end of a sentence during which, or before which, another has
/// begun to speak. So turns are in the order of time, and no sentence is torn.
pub(super) fn turns(words: &[Word], naming: Naming) -> Vec<TimedTurn> {
    let voices = voices(words, naming);
    // The words of a voice, ordered by start and end, so that the next word of another voice is found by bisection.
    let times: Vec<Vec<(u64, u64)>> =
        voices.iter().map(|voice| voice.words.iter().map(|word| (word.start, word.end)).collect()).collect();
    // Whether another voice says a word that begins here at the earliest, and fits.
    let speaks_another = |voice: usize, from: u64, fits: &dyn Fn((u64, u64)) -> bool| {
        times.iter().enumerate().any(|(other, times)| {
            let next = times.partition_point(|(start, _)| *start < from);
            other != voice && times.get(next).is_some_and(|word| fits(*word))
        })
    };

    let mut turns = Vec::new();
    for (index, whole) in voices.into_iter().enumerate() {
        let ends_turn = |turn: &[TimedWord], after: &TimedWord| {
            let (Some(first), Some(before)) = (turn.first(), turn.last()) else { return false };
            let in_pause = |(start, end): (u64, u64)| start <= after.start && end <= after.start + TOLERANCE;
            after.start - before.end >= SILENCE
                || speaks_another(index, before.end.saturating_sub(TOLERANCE), &in_pause)
                || (ends_sentence(&before.text, Some(&after.text))
                    && speaks_another(index, first.start + 1, &|(start, _)| start <= after.start))
        };
        split(whole, ends_turn, &mut turns);
    }
    turns.sort_by_key(TimedTurn::start);
    turns
}

/// Whether two voices or more have names.
pub(super) fn is_dialog(turns: &[TimedTurn]) -> bool {
    let mut named = turns.iter().filter(|turn| turn.name.is_some()).map(|turn| turn.voice);
    let first = named.next();
    named.any(|voice| Some(voice) != first)
}

/// Splits all words of a voice where `ends` says that a turn ends before a word.
fn split(whole: TimedTurn, ends: impl Fn(&[TimedWord], &TimedWord) -> bool, turns: &mut Vec<TimedTurn>) {
    let TimedTurn { voice, name, words } = whole;
    let mut turn: Vec<TimedWord> = Vec::new();
    for word in words {
        if ends(&turn, &word) {
            turns.push(TimedTurn { voice, name: name.clone(), words: std::mem::take(&mut turn) });
        }
        turn.push(word);
    }
    if !turn.is_empty() {
        turns.push(TimedTurn { voice, name, words: turn });
    }
}

/// Returns all words of each voice as one turn. Times that contradict the order of the words are corrected.
fn voices(words: &[Word], naming: Naming) -> Vec<TimedTurn> {
    // Channel and speaker of each voice.
    let mut known: Vec<(Option<&str>, Option<&str>)> = Vec::new();
    let mut voices: Vec<TimedTurn> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let text = clean(word.text);
        if text.is_empty() {
            continue;
        }
        let key = (word.channel, word.speaker);
        let voice = known.iter().position(|one| *one == key).unwrap_or_else(|| {
            known.push(key);
            voices.push(TimedTurn { voice: 0, name: naming(word), words: Vec::new() });
            voices.len() - 1
        });
        let spoken = &mut voices[voice].words;
        let start = word.start.min(LATEST).max(spoken.last().map_or(0, |before| before.start));
        if let Some(before) = spoken.last_mut() {
            before.end = before.end.min(start);
        }
        spoken.push(TimedWord { index, text, start, end: word.end.min(LATEST).max(start) });
    }
    let mut sorted = known.clone();
    sorted.sort_unstable();
    for (voice, key) in voices.iter_mut().zip(known) {
        voice.voice = sorted.partition_point(|other| *other < key);
    }
    voices
}

/// Returns whether a sentence ends between these words.
pub fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let bare = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']);
    let is_initial = || matches!(bare.as_bytes(), [b'A'..=b'H' | b'J'..=b'Z', b'.']);
    bare.ends_with(['.', '!', '?', '…', '。', '！', '？', '।', '؟'])
        && !ABBREVIATIONS.contains(&bare)
        && !is_initial()
        && !next.is_some_and(|next| next.starts_with(char::is_lowercase))
}

/// Returns whether a clause ends with this word.
pub(super) fn ends_clause(word: &str) -> bool {
    word.ends_with([',', ';', ':', '–', '—', '、', '，', '；', '：', '،', '!', '?', '…'])
}
