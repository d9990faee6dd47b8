//! What each voice says without being interrupted. Knows nothing of lines and captions.

use super::Word;

/// After such a silence something else begins.
pub(super) const SILENCE: u64 = 2_000;

/// So much may times be wrong where one voice follows another.
const INEXACT: u64 = 50;

/// Whatever claims to begin later than this has no time that could be right. Hours have two digits up to there.
const LATEST: u64 = 99 * 3_600_000;

/// Ends of words that end no sentence.
const ABBREVIATIONS: [&str; 8] = ["Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.", "No.", "vs."];

/// What one voice says.
pub(super) struct Run {
    pub(super) voice: Option<String>,
    /// At least one; each ends before the next begins.
    pub(super) words: Vec<Spoken>,
}

/// A word whose characters and times can be relied on.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    /// Which of the words it is.
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Run {
    pub(super) fn start(&self) -> u64 {
        self.words[0].start
    }
}

/// Without control characters, with one space where there was any.
pub(super) fn clean(text: &str) -> String {
    let printable: String = text.chars().filter(|c| c.is_whitespace() || !c.is_control()).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Who says what, voice by voice, each time as far as the next who speaks, or the next long silence. Two who speak at once
/// interrupt each other only where one of them pauses.
pub(super) fn runs(words: &[Word]) -> Vec<Run> {
    let voices = voices(words);
    // When another voice next says a whole word. Those of one voice begin and end one after the other.
    let times: Vec<Vec<(u64, u64)>> =
        voices.iter().map(|voice| voice.words.iter().map(|word| (word.start, word.end)).collect()).collect();
    let is_interrupted = |voice: usize, from: u64, to: u64| {
        times.iter().enumerate().any(|(other, times)| {
            let next = times.partition_point(|(start, _)| start + INEXACT < from);
            other != voice && times.get(next).is_some_and(|(start, end)| *start <= to && *end <= to + INEXACT)
        })
    };

    let mut runs = Vec::new();
    for (index, Run { voice, words }) in voices.into_iter().enumerate() {
        let ends_run = |before: &Spoken, after: &Spoken| {
            after.start - before.end >= SILENCE || is_interrupted(index, before.end, after.start)
        };
        split(voice, words, ends_run, &mut runs);
    }
    runs.sort_by_key(Run::start);
    runs
}

fn split(voice: Option<String>, words: Vec<Spoken>, ends: impl Fn(&Spoken, &Spoken) -> bool, runs: &mut Vec<Run>) {
    let mut run: Vec<Spoken> = Vec::new();
    for word in words {
        if run.last().is_some_and(|before| ends(before, &word)) {
            runs.push(Run { voice: voice.clone(), words: std::mem::take(&mut run) });
        }
        run.push(word);
    }
    if !run.is_empty() {
        runs.push(Run { voice, words: run });
    }
}

/// All that each voice says. The order of the words is right, whatever their times say: those are made to follow it.
fn voices(words: &[Word]) -> Vec<Run> {
    // Speaker and channel of each.
    let mut known: Vec<(Option<&str>, Option<&str>)> = Vec::new();
    let mut voices: Vec<Run> = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let text = clean(word.text);
        if text.is_empty() {
            continue;
        }
        let whose = (word.speaker, word.channel);
        let index = known.iter().position(|voice| *voice == whose).unwrap_or_else(|| {
            known.push(whose);
            voices.push(Run { voice: word.voice(), words: Vec::new() });
            voices.len() - 1
        });
        let spoken = &mut voices[index].words;
        let start = word.start.min(LATEST).max(spoken.last().map_or(0, |before| before.start));
        if let Some(before) = spoken.last_mut() {
            before.end = before.end.min(start);
        }
        spoken.push(Spoken { index: place, text, start, end: word.end.min(LATEST).max(start) });
    }
    voices
}

/// Whether a sentence ends between these words.
pub(super) fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let bare = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']);
    let is_initial = || matches!(bare.as_bytes(), [b'A'..=b'H' | b'J'..=b'Z', b'.']);
    bare.ends_with(['.', '!', '?', '…', '。', '！', '？', '।', '؟'])
        && !ABBREVIATIONS.contains(&bare)
        && !is_initial()
        && !next.is_some_and(|next| next.starts_with(char::is_lowercase))
}

/// Whether a clause ends with this word.
pub(super) fn ends_clause(word: &str) -> bool {
    word.ends_with([',', ';', ':', '–', '—', '、', '，', '；', '：', '،', '!', '?', '…'])
}
