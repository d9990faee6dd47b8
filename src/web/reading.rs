//! A transcript for reading: paragraphs of one speaker each, with unsure words marked. Knows nothing of HTTP.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use crate::export;
use crate::model::checked::Checked;
use crate::model::name::turns_direction;
use crate::model::search::{Found, Query};
use crate::model::speakers::{Speakers, label};
use crate::model::word::{SpokenWord, is_spaced, join};

/// Minimum silence between two sentences that begins a new paragraph, in milliseconds.
const PAUSE: i64 = 1_500;

/// Number of words after which the next sentence begins a new paragraph.
const LONG: usize = 80;

#[derive(Debug)]
pub(super) struct Paragraph {
    /// Which of the voices, as in captions.
    pub(super) voice: usize,
    /// What its speaker is called, if AssemblyAI told speakers apart.
    pub(super) speaker: Option<String>,
    pub(super) words: Vec<SpokenWord>,
    /// Their positions in the transcript.
    pub(super) positions: Vec<usize>,
    /// Which of the words a search has found.
    found: Vec<Found>,
    /// How many paragraphs before this one begin at the same time.
    place: usize,
    /// Words with a lower confidence are marked.
    threshold: f64,
}

/// A word as the page has it.
pub(super) struct ShownWord {
    /// What is before it.
    pub(super) space: &'static str,
    pub(super) text: String,
    pub(super) class: &'static str,
    /// The confidence in percent, if it is marked, and how long it is spoken, in milliseconds.
    pub(super) doubt: Option<i64>,
    pub(super) lasts: i64,
    /// Whether it needs no element: a long page with one for each word comes slowly. A script makes them where it is read.
    pub(super) is_bare: bool,
}

/// Returns the words in paragraphs, with the same speakers and names as in captions. A speaker who is interrupted continues
/// in the same paragraph to the end of the sentence, so the next paragraph may begin earlier than this one ends. Words with
/// a confidence below the threshold are marked.
pub(super) fn paragraphs(words: Vec<SpokenWord>, query: &Query, speakers: &Speakers, threshold: f64) -> Vec<Paragraph> {
    let found = query.found(words.iter().map(|word| &*word.text));
    let turns = export::turns(&words.iter().map(heard).collect::<Vec<_>>(), &|word| called(speakers, word));
    let mut words: Vec<Option<SpokenWord>> = words.into_iter().map(Some).collect();
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    for turn in turns {
        for (index, word) in turn.words.into_iter().filter_map(|index| Some((index, words[index].take()?))) {
            if !paragraphs.last().is_some_and(|last| last.voice == turn.voice && last.goes_on(&word)) {
                let (voice, speaker) = (turn.voice, turn.name.clone());
                paragraphs.push(Paragraph {
                    voice,
                    speaker,
                    words: Vec::new(),
                    positions: Vec::new(),
                    found: Vec::new(),
                    place: 0,
                    threshold,
                });
            }
            if let Some(last) = paragraphs.last_mut() {
                last.words.push(word);
                last.positions.push(index);
                last.found.push(found[index]);
            }
        }
    }
    let mut begun: HashMap<i64, usize> = HashMap::new();
    for paragraph in &mut paragraphs {
        let here = begun.entry(paragraph.start()).or_default();
        paragraph.place = *here;
        *here += 1;
    }
    paragraphs
}

/// Writes who says what, if two speakers or more are told apart.
pub(super) fn dialog(words: &[SpokenWord], speakers: &Speakers) -> Option<String> {
    export::text(&words.iter().map(heard).collect::<Vec<_>>(), &|word| called(speakers, word))
}

/// Returns what the speaker of a word is called: by name, by side of the call, or as AssemblyAI calls it.
pub(super) fn called(speakers: &Speakers, word: &export::Word<'_>) -> Option<String> {
    speakers.name(word.speaker, word.channel).or_else(|| word.voice())
}

pub(super) fn heard(word: &SpokenWord) -> export::Word<'_> {
    let SpokenWord { text, speaker, channel, .. } = word;
    let [start, end] = [word.start, word.end].map(|ms| ms.try_into().unwrap_or_default());
    export::Word { text, start, end, speaker: speaker.as_deref(), channel: channel.as_deref() }
}

impl Paragraph {
    /// Returns what its id on the page ends with: its start, and its place among those that begin at the same time. The first one
    /// has none.
    pub(super) fn part(&self) -> String {
        if self.place == 0 { self.start().to_string() } else { format!("{}.{}", self.start(), self.place) }
    }

    /// Returns the last of its positions that is not after this one.
    pub(super) fn reaches(&self, position: usize) -> Option<usize> {
        self.positions.iter().copied().filter(|own| *own <= position).max()
    }

    /// Returns the label of its speaker, if AssemblyAI told speakers apart.
    pub(super) fn label(&self) -> Option<&str> {
        self.words.first().and_then(|word| label(word.speaker.as_deref(), word.channel.as_deref()))
    }

    /// Returns the positions of its words in the transcript, such as `3-9 12-14`: where two people talk at once, the words
    /// of one are not neighbors.
    pub(super) fn runs(&self) -> String {
        let runs = self.positions.chunk_by(|one, next| *next == one + 1);
        let run = |run: &[usize]| Some(format!("{}-{}", run.first()?, run.last()? + 1));
        runs.filter_map(run).collect::<Vec<_>>().join(" ")
    }

    /// Returns a key that is another one if the paragraph looks different.
    pub(super) fn key(&self) -> String {
        let mut hash = DefaultHasher::new();
        (self.voice, &self.speaker, self.label()).hash(&mut hash);
        for (word, found) in self.words.iter().zip(&self.found) {
            (&word.text, word.start, self.doubt(word), word.is_corrected(), *found as u8).hash(&mut hash);
        }
        // Half of it: a long page has many, and they cannot be compressed.
        format!("{:x}", hash.finish() as u32)
    }

    /// Returns the confidence of a word in percent, if it must be marked.
    fn doubt(&self, word: &SpokenWord) -> Option<i64> {
        let unsure = word.confidence.filter(|confidence| *confidence < self.threshold);
        unsure.map(|confidence| (confidence * 100.0).round() as i64)
    }

    /// Whether a word is marked.
    pub(super) fn has_doubts(&self) -> bool {
        self.words.iter().any(|word| self.doubt(word).is_some())
    }

    /// Whether there is a space before the word at this index.
    fn is_spaced(&self, index: usize) -> bool {
        index == 0 || is_spaced(&self.words[index - 1].text, &self.words[index].text)
    }

    fn goes_on(&self, next: &SpokenWord) -> bool {
        let Some(last) = self.words.last() else { return true };
        if let Some(begins) = next.begins {
            return !begins;
        }
        let is_due = next.start - last.end >= PAUSE || self.words.len() >= LONG;
        // Where a turn may end, or before a word in lower case, if AssemblyAI writes no other.
        let may_end = export::ends_sentence(&last.text, Some(&next.text)) || export::ends_sentence(&last.text, None);
        !(is_due && may_end)
    }

    /// Returns its words for the page.
    pub(super) fn shown(&self) -> impl Iterator<Item = ShownWord> {
        let has_plain_words = self.has_plain_words();
        self.words.iter().zip(&self.found).enumerate().map(move |(index, (word, found))| {
            let (class, doubt) = (class(*found, word.is_corrected()), self.doubt(word));
            ShownWord {
                space: if index > 0 && self.is_spaced(index) { " " } else { "" },
                text: upright(word),
                is_bare: has_plain_words && class.is_empty(),
                lasts: word.end - word.start,
                doubt,
                class,
            }
        })
    }

    /// Whether its words are what is between its spaces, so that a script can tell them apart.
    fn has_plain_words(&self) -> bool {
        let is_plain = |word: &SpokenWord| {
            let mut visible = word.text.chars().filter(|c| !turns_direction(*c)).peekable();
            visible.peek().is_some() && !visible.any(char::is_whitespace)
        };
        self.words.iter().all(is_plain) && (1..self.words.len()).all(|index| self.is_spaced(index))
    }

    /// Returns what it says, for files.
    pub(super) fn exported(&self, is_named: bool) -> export::Paragraph {
        let speaker = self.speaker.as_deref().filter(|_| is_named);
        export::Paragraph::new(speaker, u64::try_from(self.start()).ok(), &join(&self.words))
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "speaker": self.speaker,
            "start_ms": self.start(),
            "end_ms": self.words.last().map(|word| word.end),
            "text": join(&self.words),
        })
    }

    /// Returns the number of hits that begin here.
    pub(super) fn hits(&self) -> usize {
        self.found.iter().filter(|found| **found == Found::First).count()
    }

    /// Returns for each word the milliseconds from the start of the previous one to its start. A long page is mostly times,
    /// and differences are short and alike.
    pub(super) fn times(&self) -> String {
        let mut times = String::new();
        for (index, word) in self.words.iter().enumerate() {
            let before = index.checked_sub(1).map_or(word, |before| &self.words[before]);
            _ = write!(times, "{}{}", if index == 0 { "" } else { " " }, word.start - before.start);
        }
        times
    }

    /// Returns the class that colors its speaker. A fifth one has the color of the first.
    pub(super) fn voice_class(&self) -> String {
        format!("voice-{}", self.voice % 4)
    }

    /// Returns its start in milliseconds.
    pub(super) fn start(&self) -> i64 {
        self.words.first().map_or(0, |word| word.start)
    }

    /// Returns its start for people.
    pub(super) fn clock(&self) -> String {
        length(&(self.start() / 1_000))
    }

    /// Returns its start in seconds, for the fragment of an audio URL.
    pub(super) fn start_seconds(&self) -> String {
        format!("{}.{:03}", self.start() / 1_000, self.start() % 1_000)
    }
}

/// Returns the class of a word, as an attribute, if a search has found it, or somebody typed it.
fn class(found: Found, is_typed: bool) -> &'static str {
    match (found, is_typed) {
        (Found::No, false) => "",
        (Found::No, true) => " class=\"typed\"",
        (Found::Further, false) => " class=\"found\"",
        (Found::Further, true) => " class=\"found typed\"",
        (Found::First, false) => " class=\"found first\"",
        (Found::First, true) => " class=\"found first typed\"",
    }
}

/// Makes words certain that are checked by ear.
pub(super) fn accept(words: &mut [SpokenWord], checked: &Checked) {
    for word in words.iter_mut().filter(|word| checked.covers(word)) {
        word.confidence = word.confidence.map(|_| 1.0);
    }
}

/// Returns a word without bidirectional control characters, which would reverse the text after it.
fn upright(word: &SpokenWord) -> String {
    word.text.chars().filter(|c| !turns_direction(*c)).collect()
}

/// Formats seconds as `m:ss` or `h:mm:ss`.
pub(super) fn length(seconds: &i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: i64, speaker: Option<&str>, channel: Option<&str>) -> SpokenWord {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (speaker, channel) = (own(speaker), own(channel));
        SpokenWord {
            text: text.to_owned(),
            start,
            end: start + 100,
            confidence: Some(0.5),
            speaker,
            channel,
            begins: None,
        }
    }

    fn read(words: Vec<SpokenWord>) -> Vec<(Option<String>, String)> {
        let text = |words: &[SpokenWord]| words.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        paragraphs(words, &Query::default(), &Speakers::default(), 0.7)
            .into_iter()
            .map(|paragraph| (paragraph.speaker, text(&paragraph.words)))
            .collect()
    }

    #[test]
    fn a_paragraph_ends_with_its_speaker_and_at_a_long_pause_after_a_sentence() {
        let words = vec![
            word("One.", 0, Some("A"), None),
            word("Two.", 500, Some("A"), None),
            word("Well", 3_000, Some("A"), None),
            word("three.", 6_000, Some("A"), None),
            word("Four.", 6_200, Some("B"), None),
        ];
        let a = Some("Speaker A".to_owned());
        let expected = [
            (a.clone(), "One. Two.".to_owned()),
            (a, "Well three.".to_owned()),
            (Some("Speaker B".to_owned()), "Four.".to_owned()),
        ];
        assert_eq!(read(words), expected);
        assert_eq!(read(vec![word("Hi", 0, None, Some("2"))])[0].0.as_deref(), Some("Channel 2"));
    }

    #[test]
    fn who_speaks_into_anothers_sentence_does_not_tear_it() {
        let mut words: Vec<SpokenWord> = Vec::new();
        for (n, (own, other)) in
            "We will send you another one.".split(' ').zip("Yes that is fine by me.".split(' ')).enumerate()
        {
            let start = 400 * n as i64;
            words.push(SpokenWord { end: start + 390, ..word(own, start, Some("1"), Some("1")) });
            words.push(SpokenWord { end: start + 590, ..word(other, start + 200, Some("2"), Some("2")) });
        }
        let expected = [("Channel 1", "We will send you another one."), ("Channel 2", "Yes that is fine by me.")];
        assert_eq!(read(words), expected.map(|(voice, text)| (Some(voice.to_owned()), text.to_owned())));
    }

    #[test]
    fn a_speaker_has_the_name_that_captions_give() {
        let named = |speaker, channel| read(vec![word("Hi", 0, speaker, channel)])[0].0.clone();
        assert_eq!(named(Some("Eve Smith"), None).as_deref(), Some("Eve Smith"));
        assert_eq!(named(Some("1"), Some("1")).as_deref(), Some("Channel 1"));
    }

    #[test]
    fn a_long_speech_is_broken_at_a_sentence() {
        for [last, other] in [["End.", "Word"], ["end.", "word"]] {
            let words = (0..200).map(|n| word(if n % 10 == 9 { last } else { other }, n * 100, None, None)).collect();
            let lengths: Vec<usize> = paragraphs(words, &Query::default(), &Speakers::default(), 0.7)
                .iter()
                .map(|paragraph| paragraph.words.len())
                .collect();
            assert_eq!(lengths, [80, 80, 40]);
        }
    }

    #[test]
    fn lengths_and_doubts_are_written_for_people() {
        assert_eq!([5, 65, 3_600 + 61].map(|seconds| length(&seconds)), ["0:05", "1:05", "1:01:01"]);
        for (threshold, expected) in [(0.51, Some(50)), (0.5, None)] {
            let read = paragraphs(vec![word("x", 0, None, None)], &Query::default(), &Speakers::default(), threshold);
            assert_eq!((read[0].shown().next().unwrap().doubt, read[0].has_doubts()), (expected, expected.is_some()));
        }
    }
}
