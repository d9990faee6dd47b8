//! Finds what changes when a text takes the place of words. Words that stay as they are keep their times and all that is
//! known of them. If only its case or punctuation changes, a word keeps its time. All others share the time of those that
//! they replace, by their lengths.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use super::{Change, Corrected, Place, Span, Transcribed, WordId};
use crate::model::name::turns_direction;
use crate::model::word::{SpokenWord, is_unspaced, join};

/// Maximum length of a word, in characters.
const LONGEST_WORD: usize = 1_000;

/// The most time that an inserted word takes for each of its characters, in milliseconds: as slow speech does.
const TIME_OF_CHARACTER: i64 = 100;

/// After this time the rest of two texts is not compared word by word any more. Only large texts with little in common take
/// longer.
const LONGEST_COMPARISON: Duration = Duration::from_secs(1);

/// Maximum number of neighboring typed words, and of those that they replace, that are compared to find out what one of them
/// replaces.
const MOST_COMPARED: usize = 200;

/// Who says words, as AssemblyAI tells voices apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    pub speaker: Option<String>,
    pub channel: Option<String>,
}

/// What somebody wants of a stretch of words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Position in the transcript of the first word.
    pub from: usize,
    /// Position after the last word. If it is that of the first one, the text is inserted there.
    pub to: usize,
    /// What stands there from now on. A line break begins a paragraph. `None` leaves the words.
    pub text: Option<String>,
    /// Who says it.
    pub voice: Option<Voice>,
    /// Only the words of this voice change it.
    pub of: Option<Voice>,
    /// Whether a paragraph begins there.
    pub begins: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    #[error("to: expected at most {0}, the number of words in this version")]
    OutOfRange(usize),
    #[error("from: expected at most `to`")]
    Backward,
    #[error("break: expected a position at which there is a word")]
    NoWord,
    #[error("text: expected words of at most {LONGEST_WORD} characters; one has {0}")]
    LongWord(usize),
    #[error("text: expected no control characters and no marks that turn the direction of text; there is U+{0:04X}")]
    Control(u32),
    #[error("the corrections overlap: each word may be in one of them")]
    Overlapping,
    #[error("expected text, speaker or break")]
    Nothing,
}

/// A word that somebody typed.
struct Token {
    text: String,
    /// Whether a line begins with it.
    begins_line: bool,
}

/// Words of the transcript and those that take their place, by index in the span.
struct Hunk {
    old: Range<usize>,
    new: Range<usize>,
    /// Whether they are the same word, apart from case and punctuation.
    is_same: bool,
}

/// Returns what changes in the transcript by an edit, given the words that AssemblyAI heard. Nothing may change.
pub fn correct(transcribed: &Transcribed, heard: &[SpokenWord], edit: &Edit) -> Result<Span, BadEdit> {
    let Edit { from, text, voice, of, begins, .. } = edit;
    let mut to = edit.to;
    let count = transcribed.len();
    if *from > to {
        return Err(BadEdit::Backward);
    }
    if text.is_none() && voice.is_none() && begins.is_none() {
        return Err(BadEdit::Nothing);
    }
    if text.is_none() && *from == to {
        to += 1;
        if to > count {
            return Err(BadEdit::NoWord);
        }
    }
    if to > count {
        return Err(BadEdit::OutOfRange(count));
    }
    let at = |position: usize| transcribed.word(position, heard);
    let old: Vec<&SpokenWord> = (*from..to).filter_map(at).collect();
    let tokens = match text {
        Some(text) => tokens(text, &old)?,
        None => old.iter().map(|word| Token { text: word.text.clone(), begins_line: false }).collect(),
    };
    let hunks = match text {
        Some(_) => hunks(old.iter().map(|word| &*word.text), tokens.iter().map(|token| &*token.text)),
        None => (0..old.len()).map(|at| Hunk { old: at..at + 1, new: at..at + 1, is_same: true }).collect(),
    };
    let around = Around { before: from.checked_sub(1).and_then(at), after: at(to) };
    let mut changes: Vec<Change> = Vec::new();
    let mut after: Vec<SpokenWord> = Vec::new();
    for Hunk { old: range, new, is_same } in hunks {
        let is_first = new.start == 0;
        let mut words = if is_same {
            let (word, token) = (old[range.start], &tokens[new.start]);
            let confidence = word.confidence.filter(|_| word.text == token.text);
            vec![SpokenWord { text: token.text.clone(), confidence, ..word.clone() }]
        } else {
            typed(&old, range.clone(), &tokens[new.clone()], &around)
        };
        if let (Some(first), Some(replaced)) = (words.first_mut(), old.get(range.start).filter(|_| !range.is_empty())) {
            // Words that are inserted before it may begin the paragraph instead.
            let is_passed = *begins == Some(true) && range.start == 0 && !is_first;
            first.begins = replaced.begins.filter(|_| !is_passed);
        }
        for (word, token) in words.iter_mut().zip(&tokens[new]) {
            if token.begins_line {
                word.begins = Some(true);
            }
            let is_meant = of.as_ref().is_none_or(|of| of.says(word));
            if let Some(voice) = voice.as_ref().filter(|_| is_meant) {
                word.speaker.clone_from(&voice.speaker);
                word.channel.clone_from(&voice.channel);
            }
        }
        if let (true, Some(_), Some(first)) = (is_first, begins, words.first_mut()) {
            first.begins = *begins;
        }
        let before: Vec<SpokenWord> = old[range.clone()].iter().map(|word| (*word).clone()).collect();
        after.extend(words.iter().cloned());
        if before == words {
            continue;
        }
        let (begin, end) = (from + range.start, from + range.end);
        changes.push(Change {
            hidden: transcribed.ids[begin..end].to_vec(),
            place: Place::Typed { next: transcribed.next_of(end, begin < end) },
            from: begin,
            to: end,
            before,
            after: words,
        });
    }
    Ok(Span { from: *from, to, before: join(old), after: join(&after), changes })
}

/// Words of a transcript, and what another one of the same recording has in their place, by positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub words: Range<usize>,
    pub other: Range<usize>,
}

/// Compares two transcripts word by word. Case and punctuation make no difference. Returns also how many words are the same.
pub fn compared(words: &[SpokenWord], other: &[SpokenWord]) -> (Vec<Difference>, usize) {
    let hunks = hunks(words.iter().map(|word| &*word.text), other.iter().map(|word| &*word.text));
    let same = hunks.iter().filter(|hunk| hunk.is_same).count();
    let differences = hunks.into_iter().filter(|hunk| !hunk.is_same);
    (differences.map(|Hunk { old, new, .. }| Difference { words: old, other: new }).collect(), same)
}

/// Returns the edits that make the corrections of a transcript in another one of the same recording, wherever the corrected
/// words were heard the same there; and the number of the other corrections.
pub fn carried(heard: &[SpokenWord], corrected: &[Corrected], other: &[SpokenWord]) -> (Vec<Edit>, usize) {
    let hunks = hunks(heard.iter().map(|word| &*word.text), other.iter().map(|word| &*word.text));
    let mut same = vec![None; heard.len()];
    for hunk in hunks.iter().filter(|hunk| hunk.is_same) {
        same[hunk.old.start] = Some(hunk.new.start);
    }
    let place = |range: &Range<usize>| {
        if range.is_empty() {
            let before = range.start.checked_sub(1).map_or(Some(0), |before| Some(same[before]? + 1))?;
            let after = same.get(range.start).copied().unwrap_or(Some(other.len()))?;
            return (before == after).then_some(before..after);
        }
        let begin = same[range.start]?;
        let is_there = range.clone().enumerate().all(|(at, word)| same[word] == Some(begin + at));
        is_there.then(|| begin..begin + range.len())
    };
    let mut edits = Vec::new();
    for Corrected { heard: range, words } in corrected {
        let Some(Range { start: from, end: to }) = place(range) else { continue };
        let voice =
            words.first().map(Voice::of).filter(|voice| !heard[range.clone()].iter().all(|word| voice.says(word)));
        edits.push(Edit { from, to, text: Some(join(words)), voice, ..Edit::default() });
    }
    let left = corrected.len() - edits.len();
    (edits, left)
}

/// Returns what was heard where a word stands that somebody typed, and what stands there now: the words around it that
/// differ. `None` if the word is not in the transcript, or was heard so, or if more than [`MOST_COMPARED`] are around it.
pub fn replaced(transcribed: &Transcribed, heard: &[SpokenWord], word: WordId) -> Option<(String, String)> {
    let position = *transcribed.positions.get(word as usize)?;
    if transcribed.id(position) != Some(word) {
        return None;
    }
    let heard_id = |position: usize| transcribed.id(position).map(|id| id as usize).filter(|id| *id < heard.len());
    let from = (0..=position).rev().take_while(|at| heard_id(*at).is_none()).last()?;
    let to = (position..transcribed.len()).find(|at| heard_id(*at).is_some()).unwrap_or(transcribed.len());
    let begin = from.checked_sub(1).and_then(heard_id).map_or(0, |before| before + 1);
    let end = heard_id(to).unwrap_or(heard.len());
    if to - from > MOST_COMPARED || end - begin > MOST_COMPARED {
        return None;
    }
    let now: Vec<SpokenWord> = (from..to).filter_map(|at| transcribed.word(at, heard)).cloned().collect();
    let replaced = &heard[begin..end];
    let (differences, _) = compared(replaced, &now);
    let Difference { words, other } = differences.into_iter().find(|one| one.other.contains(&(position - from)))?;
    Some((join(&replaced[words]), join(&now[other])))
}

/// The words beside a span.
struct Around<'w> {
    before: Option<&'w SpokenWord>,
    after: Option<&'w SpokenWord>,
}

impl Voice {
    fn of(word: &SpokenWord) -> Self {
        Self { speaker: word.speaker.clone(), channel: word.channel.clone() }
    }

    /// Whether it is the voice of this word.
    pub fn says(&self, word: &SpokenWord) -> bool {
        (&self.speaker, &self.channel) == (&word.speaker, &word.channel)
    }
}

/// Returns the words of a text that somebody typed.
pub fn typed_words(text: &str) -> Result<Vec<String>, BadEdit> {
    Ok(tokens(text, &[])?.into_iter().map(|token| token.text).collect())
}

/// Splits a text at its spaces. What is written without spaces is split where words of the transcript begin and end in it.
fn tokens(text: &str, old: &[&SpokenWord]) -> Result<Vec<Token>, BadEdit> {
    let bad = |c: &char| turns_direction(*c) || (c.is_control() && !c.is_whitespace());
    if let Some(bad) = text.chars().find(bad) {
        return Err(BadEdit::Control(bad.into()));
    }
    let mut known: Vec<&str> =
        old.iter().map(|word| &*word.text).filter(|word| word.starts_with(is_unspaced)).collect();
    known.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut tokens = Vec::new();
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let mut begins_line = !tokens.is_empty();
        for word in line.split_whitespace() {
            for part in split(word, &known) {
                let length = part.chars().count();
                if length > LONGEST_WORD {
                    return Err(BadEdit::LongWord(length));
                }
                tokens.push(Token { text: part.to_owned(), begins_line: std::mem::take(&mut begins_line) });
            }
        }
    }
    if let (true, Some(first)) = (text.starts_with('\n'), tokens.first_mut()) {
        first.begins_line = true;
    }
    Ok(tokens)
}

/// Splits a text without spaces into known words and what is between them.
fn split<'t>(text: &'t str, known: &[&str]) -> Vec<&'t str> {
    if known.is_empty() || !text.contains(is_unspaced) {
        return vec![text];
    }
    let may_split = |at: usize| text[..at].ends_with(is_unspaced) && text[at..].starts_with(is_unspaced);
    let ends_well = |end: usize| end == text.len() || may_split(end);
    let (mut parts, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        let begins_well = at == 0 || may_split(at);
        let word =
            known.iter().find(|word| begins_well && text[at..].starts_with(**word) && ends_well(at + word.len()));
        match word {
            Some(word) => {
                parts.extend((begin < at).then(|| &text[begin..at]));
                parts.push(&text[at..at + word.len()]);
                at += word.len();
                begin = at;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.extend((begin < at).then(|| &text[begin..at]));
    parts
}

/// Compares words with a text. Words that differ only in case and punctuation count as the same.
fn hunks<'t>(old: impl Iterator<Item = &'t str>, new: impl Iterator<Item = &'t str>) -> Vec<Hunk> {
    let (old, new): (Vec<String>, Vec<String>) = (old.map(bare).collect(), new.map(bare).collect());
    let deadline = Instant::now().checked_add(LONGEST_COMPARISON);
    let mut hunks: Vec<Hunk> = Vec::new();
    // An insertion of `similar` does not always say where it goes, so its steps are counted.
    let (mut old_at, mut new_at) = (0, 0);
    for op in capture_diff_slices_deadline(Algorithm::Patience, &old, &new, deadline) {
        let (old, new) = (old_at..old_at + op.old_range().len(), new_at..new_at + op.new_range().len());
        (old_at, new_at) = (old.end, new.end);
        if matches!(op, DiffOp::Equal { .. }) {
            let pairs = old.zip(new);
            hunks.extend(pairs.map(|(old, new)| Hunk { old: old..old + 1, new: new..new + 1, is_same: true }));
            continue;
        }
        match hunks.last_mut().filter(|last| !last.is_same) {
            Some(last) => {
                last.old.end = old.end;
                last.new.end = new.end;
            }
            None => hunks.push(Hunk { old, new, is_same: false }),
        }
    }
    hunks
}

/// Returns a word without case and punctuation, unless nothing else is in it.
fn bare(word: &str) -> String {
    let bare: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if bare.is_empty() { word.to_owned() } else { bare }
}

/// Returns typed words with their times and voices. They take the place of the words of a span in `range`.
fn typed(old: &[&SpokenWord], range: Range<usize>, tokens: &[Token], around: &Around<'_>) -> Vec<SpokenWord> {
    let replaced = &old[range.clone()];
    let before = range.start.checked_sub(1).map_or(around.before, |at| Some(old[at]));
    let after = old.get(range.end).copied().or(around.after);
    let lengths: Vec<i64> = tokens.iter().map(|token| token.text.chars().count() as i64).collect();
    let whole: i64 = lengths.iter().sum();
    let (start, end) = match (replaced.first(), replaced.last()) {
        (Some(first), Some(last)) => {
            let end = last.end.max(first.start);
            // A voice that interrupts cuts no word short.
            let next = after.filter(|next| Voice::of(last).says(next) && next.start >= first.start);
            (first.start, next.map_or(end, |next| end.min(next.start)))
        }
        _ => gap(before, after, whole * TIME_OF_CHARACTER),
    };
    // No word begins after the next one, unless the replaced ones did.
    let latest = after.map(|next| next.start).filter(|next| *next >= start).map_or(end, |next| end.min(next));
    let mut length_before = 0;
    tokens
        .iter()
        .zip(lengths)
        .map(|(token, length)| {
            let at = |length: i64| start + (latest - start) * length / whole.max(1);
            let from = at(length_before);
            length_before += length;
            let to = if length_before == whole { end } else { at(length_before) };
            let beside = || match (before, after) {
                // Beside which it is inserted.
                (before, Some(after)) if before.is_none() || range.start == 0 && !old.is_empty() => Some(after),
                (before, after) => before.or(after),
            };
            let voice = speaking(replaced, from + (to - from) / 2).or_else(beside).map(Voice::of);
            let (speaker, channel) = voice.map_or((None, None), |voice| (voice.speaker, voice.channel));
            SpokenWord {
                text: token.text.clone(),
                start: from,
                end: to,
                confidence: None,
                speaker,
                channel,
                begins: None,
            }
        })
        .collect()
}

/// Returns the time between two words, at most so much of it. Without a word on either side there is none.
fn gap(before: Option<&SpokenWord>, after: Option<&SpokenWord>, most: i64) -> (i64, i64) {
    match (before, after) {
        (Some(before), Some(after)) if before.start <= after.start => {
            let start = before.end.clamp(before.start, after.start);
            // If another voice has begun by then, the rest of the word before is shared.
            let rest = if Voice::of(before).says(after) { start } else { before.end };
            (start, after.start.min(start + most).max(rest))
        }
        (Some(before), Some(_)) => (before.start, before.start),
        (Some(before), None) => (before.end.max(before.start), before.end.max(before.start)),
        (None, Some(after)) => (after.start, after.start),
        (None, None) => (0, 0),
    }
}

/// Returns the word that is said at this time, or nearest to it.
fn speaking<'w>(words: &[&'w SpokenWord], time: i64) -> Option<&'w SpokenWord> {
    words.iter().copied().min_by_key(|word| (word.start - time).max(time - word.end).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::correction::{Correction, Sequence};

    fn heard(text: &str) -> Vec<SpokenWord> {
        let word = |(at, text): (usize, &str)| SpokenWord {
            text: text.to_owned(),
            start: at as i64 * 1_000,
            end: at as i64 * 1_000 + 900,
            confidence: Some(0.5),
            speaker: None,
            channel: None,
            begins: None,
        };
        text.split(' ').enumerate().map(word).collect()
    }

    fn corrected(heard: &[SpokenWord], edit: &Edit) -> (Span, Vec<SpokenWord>) {
        let sequence = Sequence::of_heard(heard.len());
        let span = correct(&sequence.clone().transcribed(), heard, edit).expect("an edit");
        let mut sequence = sequence;
        let step = Correction {
            id: "a".to_owned(),
            version: 1,
            at: 0,
            by: String::new(),
            replacement: None,
            spans: vec![span.clone()],
        };
        sequence.apply(&step).expect("it fits");
        (span, sequence.words(heard.to_vec()))
    }

    fn edit(from: usize, to: usize, text: &str) -> Edit {
        Edit { from, to, text: Some(text.to_owned()), ..Edit::default() }
    }

    fn times(words: &[SpokenWord]) -> Vec<(&str, i64, i64)> {
        words.iter().map(|word| (&*word.text, word.start, word.end)).collect()
    }

    #[test]
    fn new_words_share_the_time_of_those_they_replace_and_others_keep_theirs() {
        let words = heard("take metro pollen sucks in eight today");
        let (span, after) = corrected(&words, &edit(1, 6, "metoprolol succinate"));
        assert_eq!((&*span.before, &*span.after), ("metro pollen sucks in eight", "metoprolol succinate"));
        let expected =
            [("take", 0, 900), ("metoprolol", 1_000, 3_578), ("succinate", 3_578, 5_900), ("today", 6_000, 6_900)];
        assert_eq!(times(&after), expected);
        assert_eq!(after.iter().map(SpokenWord::is_corrected).collect::<Vec<_>>(), [false, true, true, false]);
    }

    #[test]
    fn a_word_of_which_only_case_or_punctuation_changes_keeps_its_time() {
        let (span, after) = corrected(&heard("hello dana how are you"), &edit(0, 5, "Hello, Dana. How are you?"));
        assert_eq!(after.iter().map(|word| word.start).collect::<Vec<_>>(), [0, 1_000, 2_000, 3_000, 4_000]);
        assert_eq!(after.iter().map(SpokenWord::is_corrected).collect::<Vec<_>>(), [true, true, true, false, true]);
        assert_eq!(span.changes.len(), 4);
    }

    #[test]
    fn inserted_words_take_the_time_between_their_neighbors() {
        let (_, after) = corrected(&heard("one three"), &edit(1, 1, "two"));
        assert_eq!(times(&after), [("one", 0, 900), ("two", 900, 1_000), ("three", 1_000, 1_900)]);
        let (_, after) = corrected(&heard("one"), &edit(1, 1, "two"));
        assert_eq!(times(&after), [("one", 0, 900), ("two", 900, 900)]);
        let (_, after) = corrected(&heard("one"), &edit(0, 0, "zero"));
        assert_eq!(times(&after), [("zero", 0, 0), ("one", 0, 900)]);
    }

    #[test]
    fn a_word_during_which_another_voice_begins_keeps_its_end() {
        let mut words = heard("undancy tran All for");
        (words[2].start, words[2].end, words[2].speaker) = (1_700, 1_750, Some("B".to_owned()));
        let (_, after) = corrected(&words, &edit(0, 2, "ondansetron"));
        assert_eq!(times(&after)[..2], [("ondansetron", 0, 1_900), ("All", 1_700, 1_750)]);
        let (_, after) = corrected(&words, &edit(0, 2, "on dan"));
        assert_eq!(times(&after)[..2], [("on", 0, 680), ("dan", 680, 1_900)]);
        let (_, after) = corrected(&words, &edit(2, 2, "again"));
        assert_eq!(times(&after)[1..3], [("tran", 1_000, 1_900), ("again", 1_700, 1_900)]);
    }

    #[test]
    fn a_text_without_spaces_is_split_where_words_of_the_transcript_are() {
        let words = heard("今日 は 天気 が いい");
        let (span, after) = corrected(&words, &edit(0, 5, "今日は電気がいい"));
        assert_eq!(after.iter().map(|word| &*word.text).collect::<Vec<_>>(), ["今日", "は", "電気", "が", "いい"]);
        assert_eq!((span.changes.len(), span.changes[0].from, after[2].start), (1, 2, 2_000));
        assert_eq!(join(&after), "今日は電気がいい");
    }

    #[test]
    fn a_line_break_begins_a_paragraph_and_keeps_the_word() {
        let (_, after) = corrected(&heard("one two three"), &edit(0, 3, "one\n\ntwo three"));
        assert_eq!(after.iter().map(|word| word.begins).collect::<Vec<_>>(), [None, Some(true), None]);
        assert!(after.iter().all(|word| !word.is_corrected()));
        let joined = Edit { from: 1, to: 1, begins: Some(false), ..Edit::default() };
        assert_eq!(corrected(&after, &joined).1[1].begins, Some(false));
        let begun = Edit { begins: Some(true), ..edit(1, 2, "so two") };
        let (_, begun) = corrected(&after, &begun);
        assert_eq!(begun.iter().map(|word| word.begins).collect::<Vec<_>>(), [None, Some(true), None, None]);
    }

    #[test]
    fn typed_words_are_said_by_whom_they_replace() {
        let mut words = heard("yes no fine thanks");
        for (at, word) in words.iter_mut().enumerate() {
            word.speaker = Some(if at < 2 { "A" } else { "B" }.to_owned());
        }
        let speakers = |edit: &Edit| {
            let (_, after) = corrected(&words, edit);
            after.iter().map(|word| word.speaker.clone().expect("a speaker")).collect::<String>()
        };
        assert_eq!(speakers(&edit(0, 4, "yep nope good thx")), "AABB");
        assert_eq!(speakers(&edit(2, 2, "well")), "AAABB");
        assert_eq!(speakers(&edit(2, 3, "well fine")), "AABBB");
        let voice = Some(Voice { speaker: Some("C".to_owned()), channel: None });
        let of = Some(Voice { speaker: Some("B".to_owned()), channel: None });
        assert_eq!(speakers(&Edit { from: 1, to: 4, voice: voice.clone(), of, ..Edit::default() }), "AACC");
        assert_eq!(speakers(&Edit { from: 1, to: 2, voice, ..Edit::default() }), "ACBB");
    }

    #[test]
    fn corrections_are_carried_over_where_the_same_was_heard() {
        let words = heard("Ring clerk Ridge and ask four metro today");
        let mut sequence = Sequence::of_heard(words.len());
        for (version, edit) in
            [edit(1, 2, "Clara"), edit(5, 7, "for metoprolol"), edit(8, 8, "please.")].iter().enumerate()
        {
            let span = correct(&sequence.clone().transcribed(), &words, edit).expect("an edit");
            let version = version as i64 + 1;
            let step = Correction {
                id: String::new(),
                version,
                at: 0,
                by: String::new(),
                replacement: None,
                spans: vec![span],
            };
            sequence.apply(&step).expect("it fits");
        }
        let corrected = sequence.corrected();
        assert_eq!(corrected.iter().map(|one| one.heard.clone()).collect::<Vec<_>>(), [1..2, 5..7, 8..8]);
        let (edits, left) = carried(&words, &corrected, &heard("Please ring Clerk Ridge, and ask for metro today"));
        let expected = [edit(2, 3, "Clara"), edit(9, 9, "please.")];
        assert_eq!((edits.as_slice(), left), (&expected[..], 1));
        let (differences, same) = compared(&words, &heard("ring clerk Bridge and ask four metro today now"));
        assert_eq!(
            (differences, same),
            (vec![Difference { words: 2..3, other: 2..3 }, Difference { words: 8..8, other: 8..9 }], 7)
        );
    }

    #[test]
    fn what_is_no_edit_is_refused() {
        let words = heard("one two");
        let transcribed = Sequence::of_heard(2).transcribed();
        for (bad, expected) in [
            (edit(0, 3, "x"), BadEdit::OutOfRange(2)),
            (edit(2, 1, "x"), BadEdit::Backward),
            (edit(0, 1, "a\u{7}"), BadEdit::Control(7)),
            (edit(0, 1, "\u{202e}a"), BadEdit::Control(0x202e)),
            (edit(0, 1, &"x".repeat(1_001)), BadEdit::LongWord(1_001)),
            (Edit { from: 2, to: 2, begins: Some(true), ..Edit::default() }, BadEdit::NoWord),
            (Edit::default(), BadEdit::Nothing),
        ] {
            assert_eq!(correct(&transcribed, &words, &bad), Err(expected), "{bad:?}");
        }
        let same = correct(&transcribed, &words, &edit(0, 2, " one  two ")).expect("an edit");
        assert_eq!(same.changes, []);
    }
}
