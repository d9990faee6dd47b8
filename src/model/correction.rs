//! Corrections of a transcript: which words somebody replaced by which, and the transcript that results.
//!
//! What AssemblyAI heard is never changed. A correction hides some of the words and shows others in their place, so that
//! undoing it is a correction, too, which hides and shows the other way round. Every word that was ever in a transcript keeps
//! its id and its place among the others. So it is known of each word whether it has changed since an older version, and an
//! edit that was made there finds its place in the current one.

mod align;

use serde::{Deserialize, Serialize};

use super::word::SpokenWord;
pub use align::{BadEdit, Difference, Edit, Voice, carried, compared, correct, replaced, typed_words};

/// The id of a word in its transcript. Heard words count from 0 in the order of time; words that somebody typed continue in
/// the order of the corrections.
pub type WordId = u32;

/// A step by which somebody corrected a transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    /// Letters and digits. Those of its parts begin with it.
    pub id: String,
    /// The version that it made. AssemblyAI's words are version 0.
    pub version: i64,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Who made it, for people.
    pub by: String,
    /// The id of the replacement in many transcripts that it is part of.
    pub replacement: Option<String>,
    /// In the order of the words. None overlaps another.
    pub spans: Vec<Span>,
}

/// A stretch of words that somebody corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Positions of the words in the version before. `to` is not among them.
    pub from: usize,
    pub to: usize,
    /// What stood there, and what stands there since.
    pub before: String,
    pub after: String,
    /// What changed in it, in the order of the words.
    pub changes: Vec<Change>,
}

/// Neighboring words that others took the place of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Positions in the version before.
    pub from: usize,
    pub to: usize,
    pub before: Vec<SpokenWord>,
    pub after: Vec<SpokenWord>,
    /// The ids of the words in `before`.
    hidden: Vec<WordId>,
    place: Place,
}

/// Where the words come from that a change shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// Somebody typed them. They stand before this word, or at the end.
    Typed { next: Option<WordId> },
    /// Another change had hidden them: the one with this id.
    Undone { change: String, shown: Vec<WordId> },
}

/// Words that cannot be corrected as somebody wants, because they have changed since. These positions of the current version
/// are where they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub from: usize,
    pub to: usize,
}

impl Correction {
    /// The changes with their ids, in the order of the words.
    pub fn changes(&self) -> impl Iterator<Item = (String, &Change)> {
        self.spans.iter().enumerate().flat_map(move |(span, Span { changes, .. })| {
            let id = self.span_id(span);
            changes.iter().enumerate().map(move |(change, one)| (format!("{id}.{}", change + 1), one))
        })
    }

    /// The id of the span at this index: that of the whole, if there is no other.
    pub fn span_id(&self, index: usize) -> String {
        if self.spans.len() == 1 { self.id.clone() } else { format!("{}-{}", self.id, index + 1) }
    }
}

impl Change {
    /// The id of the change that this one undoes.
    pub fn undoes(&self) -> Option<&str> {
        match &self.place {
            Place::Typed { .. } => None,
            Place::Undone { change, .. } => Some(change),
        }
    }

    /// The ids of the words in `before`.
    pub fn hidden(&self) -> &[WordId] {
        &self.hidden
    }

    /// Whether only the voices or the paragraphs of its words changed.
    pub fn keeps_texts(&self) -> bool {
        self.before.iter().map(|word| &word.text).eq(self.after.iter().map(|word| &word.text))
    }
}

/// All words that were ever in a transcript, in their order, and which of them are in it now.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// The word after each, and the one before; the first entry stands for both ends. Entries are ids plus one.
    next: Vec<u32>,
    previous: Vec<u32>,
    is_shown: Vec<bool>,
    heard: usize,
    typed: Vec<SpokenWord>,
}

/// A sequence with the place of each word in the transcript.
#[derive(Debug)]
pub struct Transcribed {
    sequence: Sequence,
    /// The ids of the words in the transcript.
    ids: Vec<WordId>,
    /// For each id, the position of the word, or that of the next one in the transcript.
    positions: Vec<usize>,
}

impl Sequence {
    /// The words of a transcript that nobody has corrected, by their number.
    pub fn of_heard(count: usize) -> Self {
        let entries = u32::try_from(count + 1).unwrap_or(u32::MAX);
        let next = (1..entries).chain([0]).collect();
        let previous = std::iter::once(entries - 1).chain(0..entries - 1).collect();
        Self { next, previous, is_shown: vec![true; count], heard: count, typed: Vec::new() }
    }

    /// Applies the next correction. Returns `None` if it does not fit this transcript.
    pub fn apply(&mut self, correction: &Correction) -> Option<()> {
        correction.changes().try_for_each(|(_, change)| self.change(change))
    }

    fn change(&mut self, change: &Change) -> Option<()> {
        for id in &change.hidden {
            *self.is_shown.get_mut(*id as usize)? = false;
        }
        match &change.place {
            Place::Undone { shown, .. } => {
                for id in shown {
                    *self.is_shown.get_mut(*id as usize)? = true;
                }
            }
            Place::Typed { next } => {
                let next = next.map_or(0, |id| id + 1);
                for word in &change.after {
                    let entry = u32::try_from(self.next.len()).ok()?;
                    let previous = std::mem::replace(self.previous.get_mut(next as usize)?, entry);
                    *self.next.get_mut(previous as usize)? = entry;
                    self.next.push(next);
                    self.previous.push(previous);
                    self.is_shown.push(true);
                    self.typed.push(word.clone());
                }
            }
        }
        Some(())
    }

    /// Returns the words of the transcript, given those that AssemblyAI heard.
    pub fn words(self, heard: Vec<SpokenWord>) -> Vec<SpokenWord> {
        let mut words: Vec<Option<SpokenWord>> = heard.into_iter().chain(self.typed).map(Some).collect();
        let mut shown = Vec::with_capacity(words.len());
        let mut entry = self.next[0];
        while entry != 0 {
            let id = (entry - 1) as usize;
            if self.is_shown[id] {
                shown.extend(words.get_mut(id).and_then(Option::take));
            }
            entry = self.next[entry as usize];
        }
        shown
    }

    /// Returns where the words differ from those that AssemblyAI heard.
    pub fn corrected(&self) -> Vec<Corrected> {
        let (mut corrected, mut words, mut begin) = (Vec::new(), Vec::new(), 0);
        let mut entry = self.next[0];
        while entry != 0 {
            let id = (entry - 1) as usize;
            entry = self.next[entry as usize];
            match (id.checked_sub(self.heard), self.is_shown[id]) {
                (Some(typed), true) => words.extend(self.typed.get(typed).cloned()),
                (None, true) => {
                    if begin < id || !words.is_empty() {
                        corrected.push(Corrected { heard: begin..id, words: std::mem::take(&mut words) });
                    }
                    begin = id + 1;
                }
                (_, false) => {}
            }
        }
        if begin < self.heard || !words.is_empty() {
            corrected.push(Corrected { heard: begin..self.heard, words });
        }
        corrected
    }

    /// Finds the place of each word.
    pub fn transcribed(self) -> Transcribed {
        let (mut ids, mut positions) = (Vec::new(), vec![0; self.is_shown.len()]);
        let mut entry = self.next[0];
        while entry != 0 {
            let id = entry - 1;
            positions[id as usize] = ids.len();
            if self.is_shown[id as usize] {
                ids.push(id);
            }
            entry = self.next[entry as usize];
        }
        Transcribed { sequence: self, ids, positions }
    }
}

impl Transcribed {
    /// The number of words in the transcript.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the id of the word at a position.
    pub fn id(&self, position: usize) -> Option<WordId> {
        self.ids.get(position).copied()
    }

    /// Returns the words, given those that AssemblyAI heard.
    pub fn words<'w>(&'w self, heard: &'w [SpokenWord]) -> Vec<&'w SpokenWord> {
        (0..self.len()).filter_map(|position| self.word(position, heard)).collect()
    }

    /// Returns the word at a position, given those that AssemblyAI heard.
    pub fn word<'w>(&'w self, position: usize, heard: &'w [SpokenWord]) -> Option<&'w SpokenWord> {
        let id = *self.ids.get(position)? as usize;
        heard.get(id).or_else(|| self.sequence.typed.get(id.checked_sub(self.sequence.heard)?))
    }

    /// Finds words of an older version of the transcript in this one. They must be there still, with no others between them.
    pub fn find(&self, older: &Self, from: usize, to: usize) -> Result<usize, Conflict> {
        let ids = &older.ids[from..to];
        let position = |id: WordId| self.positions[id as usize];
        let Some((first, last)) = ids.first().zip(ids.last()) else {
            // Where an insertion goes: before the same word, or what stands in its place.
            return Ok(older.ids.get(from).map_or(self.len(), |id| position(*id)));
        };
        let begin = position(*first);
        let is_same = ids.iter().enumerate().all(|(at, id)| self.ids.get(begin + at).is_some_and(|here| here == id));
        if is_same { Ok(begin) } else { Err(Conflict { from: begin, to: self.end_of(*last).max(begin) }) }
    }

    /// The word that typed words stand before which take the place of the word before this position, or are inserted there.
    fn next_of(&self, position: usize, has_words: bool) -> Option<WordId> {
        let entry = match position.checked_sub(1).filter(|_| has_words) {
            Some(before) => self.sequence.next[self.ids[before] as usize + 1],
            None => return self.ids.get(position).copied(),
        };
        entry.checked_sub(1)
    }

    /// The position after a word, which may be hidden, and after all hidden or typed ones that took its place.
    fn end_of(&self, id: WordId) -> usize {
        if self.sequence.is_shown[id as usize] {
            return self.positions[id as usize] + 1;
        }
        // What was typed in its place follows it, after all others that it replaced.
        let mut entry = self.sequence.next[id as usize + 1];
        while entry != 0 && (entry as usize > self.sequence.heard || !self.sequence.is_shown[entry as usize - 1]) {
            entry = self.sequence.next[entry as usize];
        }
        if entry == 0 { self.len() } else { self.positions[entry as usize - 1] }
    }

    /// Undoes changes of a correction: all of those that `is_wanted`. Fails if their words have changed since.
    pub fn undo<'c>(
        &self,
        changes: impl IntoIterator<Item = (String, &'c Change, Vec<WordId>)>,
    ) -> Result<Vec<Span>, Conflict> {
        changes.into_iter().map(|(id, change, after)| self.undo_one(id, change, &after)).collect()
    }

    fn undo_one(&self, id: String, change: &Change, after: &[WordId]) -> Result<Span, Conflict> {
        let begin = after.first().or(change.hidden.first()).map_or(0, |id| self.positions[*id as usize]);
        let is_same = after.iter().enumerate().all(|(at, id)| self.ids.get(begin + at) == Some(id));
        if !is_same {
            let end = after.last().map_or(begin, |last| self.end_of(*last));
            return Err(Conflict { from: begin, to: end.max(begin) });
        }
        let (from, to) = (begin, begin + after.len());
        let text = |words: &[SpokenWord]| super::word::join(words);
        Ok(Span {
            from,
            to,
            before: text(&change.after),
            after: text(&change.before),
            changes: vec![Change {
                from,
                to,
                before: change.after.clone(),
                after: change.before.clone(),
                hidden: after.to_vec(),
                place: Place::Undone { change: id, shown: change.hidden.clone() },
            }],
        })
    }
}

/// Returns the id of the correction that a change, or a span, is part of.
pub fn step_of(id: &str) -> &str {
    id.split(['-', '.']).next().unwrap_or_default()
}

/// Heard words that others stand in place of now.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    /// Their positions among all that AssemblyAI heard.
    pub heard: std::ops::Range<usize>,
    pub words: Vec<SpokenWord>,
}

/// A change that was made, with what became of it.
#[derive(Debug)]
pub struct Made<'c> {
    pub id: String,
    pub change: &'c Change,
    /// The ids of the words in `after`.
    pub after: Vec<WordId>,
    /// The id of the correction that undid it, unless that was undone.
    pub undone_by: Option<String>,
}

/// Lists the changes of all corrections of a transcript, oldest first, given the number of words that AssemblyAI heard.
pub fn made(heard: usize, corrections: &[Correction]) -> Vec<Made<'_>> {
    let mut made: Vec<Made<'_>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut free = WordId::try_from(heard).unwrap_or(WordId::MAX);
    for correction in corrections {
        for (id, change) in correction.changes() {
            let after = match &change.place {
                Place::Typed { .. } => {
                    let begin = free;
                    free += change.after.len() as WordId;
                    (begin..free).collect()
                }
                Place::Undone { shown, .. } => shown.clone(),
            };
            // Undoing an undo makes the first change again, and so on.
            let (mut undone, mut by) = (change.undoes(), Some(correction.id.clone()));
            while let Some(at) = undone.and_then(|id| index.get(id).copied()) {
                let one: &mut Made<'_> = &mut made[at];
                let is_undone = by.is_some();
                one.undone_by = by;
                undone = one.change.undoes();
                by = (!is_undone).then(|| step_of(&one.id).to_owned());
            }
            index.insert(id.clone(), made.len());
            made.push(Made { id, change, after, undone_by: None });
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random numbers, the same in each run with the same seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end.max(1)
        }

        fn words(&mut self, most: usize) -> Vec<String> {
            let word = |random: &mut Self| {
                ["a", "B", "c,", "D.", "天気", "は", "שלום", "e-f", "<g>", "😀"][random.below(10)].to_owned()
            };
            (0..self.below(most + 1)).map(|_| word(self)).collect()
        }
    }

    fn heard(random: &mut Random, count: usize) -> Vec<SpokenWord> {
        let mut start = 0;
        let word = |at: usize| {
            start += random.below(700) as i64;
            let speaker = (at % 9 < 5).then(|| ["A", "B"][at / 20 % 2].to_owned());
            let (text, confidence) = (format!("w{}", random.below(5)), Some(random.below(100) as f64 / 100.0));
            let end = start + random.below(900) as i64;
            SpokenWord { text, start, end, confidence, speaker, channel: None, begins: None }
        };
        (0..count).map(word).collect()
    }

    fn after(heard: &[SpokenWord], corrections: &[Correction]) -> Sequence {
        let mut sequence = Sequence::of_heard(heard.len());
        corrections.iter().try_for_each(|correction| sequence.apply(correction)).expect("they fit");
        sequence
    }

    fn step(corrections: &mut Vec<Correction>, spans: Vec<Span>) {
        let version = corrections.len() as i64 + 1;
        let id = format!("{version:x}");
        corrections.push(Correction { id, version, at: 0, by: String::new(), replacement: None, spans });
    }

    /// As the program reads it from its row.
    fn stored(span: &Span) -> Span {
        serde_json::from_str(&serde_json::to_string(span).expect("JSON")).expect("a span")
    }

    #[test]
    fn any_edits_are_those_of_the_plain_text_and_touch_no_other_words() {
        for seed in 0..200 {
            let random = &mut Random(seed);
            let heard = heard(random, 40);
            let mut plain: Vec<String> = heard.iter().map(|word| word.text.clone()).collect();
            let mut corrections = Vec::new();
            for _ in 0..20 {
                let words = after(&heard, &corrections).words(heard.clone());
                let from = random.below(plain.len() + 1);
                let to = (from + random.below(6)).min(plain.len());
                let typed = random.words(5);
                let edit = Edit { from, to, text: Some(typed.join(" ")), ..Edit::default() };
                let transcribed = after(&heard, &corrections).transcribed();
                let span = correct(&transcribed, &heard, &edit).expect("an edit");
                plain.splice(from..to, typed);
                step(&mut corrections, vec![stored(&span)]);
                let now = after(&heard, &corrections).words(heard.clone());
                let spaceless = |texts: Vec<&str>| texts.concat();
                assert_eq!(
                    spaceless(now.iter().map(|word| &*word.text).collect()),
                    spaceless(plain.iter().map(|text| &**text).collect()),
                    "seed {seed}"
                );
                // What is written without spaces may be split elsewhere.
                plain = now.iter().map(|word| word.text.clone()).collect();
                assert_eq!((&now[..from], &now[now.len() - (words.len() - to)..]), (&words[..from], &words[to..]));
                assert!(now.windows(2).all(|pair| pair[0].start <= pair[1].start), "seed {seed}: {now:?}");
                assert!(now.iter().all(|word| word.is_corrected() || heard.contains(word)), "seed {seed}");
            }
        }
    }

    #[test]
    fn undoing_everything_gives_what_was_heard_and_undoing_that_all_corrections() {
        for seed in 0..100 {
            let random = &mut Random(seed);
            let heard = heard(random, 30);
            let mut corrections = Vec::new();
            for _ in 0..10 {
                let transcribed = after(&heard, &corrections).transcribed();
                let from = random.below(transcribed.len() + 1);
                let to = (from + random.below(6)).min(transcribed.len());
                let edit = Edit { from, to, text: Some(random.words(5).join(" ")), ..Edit::default() };
                step(&mut corrections, vec![correct(&transcribed, &heard, &edit).expect("an edit")]);
            }
            let corrected = after(&heard, &corrections).words(heard.clone());
            let undo = |corrections: &mut Vec<Correction>, id: &str| {
                let made = made(heard.len(), corrections);
                let meant = made.iter().filter(|one| step_of(&one.id) == id && one.undone_by.is_none());
                let meant: Vec<_> = meant.map(|one| (one.id.clone(), one.change.clone(), one.after.clone())).collect();
                let current = after(&heard, corrections).transcribed();
                let changes = meant.iter().map(|(id, change, after)| (id.clone(), change, after.clone()));
                let spans = current.undo(changes).expect("no conflict");
                step(corrections, spans.iter().map(stored).collect());
            };
            for version in (1..=10).rev() {
                undo(&mut corrections, &format!("{version:x}"));
            }
            assert_eq!(after(&heard, &corrections).words(heard.clone()), heard, "seed {seed}");
            for version in (11..=20).rev() {
                undo(&mut corrections, &format!("{version:x}"));
            }
            let redone = after(&heard, &corrections).words(heard.clone());
            assert_eq!(redone, corrected, "seed {seed}");
            let made = made(heard.len(), &corrections);
            let is_first =
                |one: &&Made<'_>| i64::from_str_radix(step_of(&one.id), 16).is_ok_and(|version| version <= 10);
            assert!(made.iter().filter(is_first).all(|one| one.undone_by.is_none()), "seed {seed}");
        }
    }

    #[test]
    fn edits_of_an_older_version_find_their_words_or_say_that_they_changed() {
        for seed in 0..200 {
            let random = &mut Random(seed);
            let heard = heard(random, 30);
            let older = Sequence::of_heard(30).transcribed();
            let first = random.below(25);
            let edit = Edit { from: first, to: first + 5, text: Some(random.words(7).join(" ")), ..Edit::default() };
            let mut corrections = Vec::new();
            step(&mut corrections, vec![correct(&older, &heard, &edit).expect("an edit")]);
            let current = after(&heard, &corrections).transcribed();
            let now = after(&heard, &corrections).words(heard.clone());
            for from in 0..28 {
                let words = &heard[from..from + 2];
                let is_apart = from + 2 <= first || from >= first + 5;
                match current.find(&older, from, from + 2) {
                    Ok(begin) => assert_eq!(&now[begin..begin + 2], words, "seed {seed}"),
                    Err(Conflict { from: begin, to }) => {
                        assert!(!is_apart && begin <= to && to <= now.len(), "seed {seed}: {from}");
                    }
                }
            }
        }
    }
}
