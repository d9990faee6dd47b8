//! What corrections teach: the names and rare words that somebody put in the place of what was heard.

use std::collections::HashSet;
use std::ops::Range;

use super::correction::Corrected;
use super::vocabulary::TermText;
use super::word::{SpokenWord, join};

/// A term of an order may have this many words. A correction with more words is a text, not a term.
const MOST_WORDS: usize = 6;

/// A phrase of at most this many words keeps the common words in its middle, as "writ of mandamus" does.
const WHOLE_PHRASE: usize = 4;

/// A name may have this many words.
const MOST_IN_NAME: usize = 3;

/// A name or rare word that somebody put in the place of what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    pub term: TermText,
    pub heard: String,
    /// In milliseconds from the start of the audio.
    pub at_ms: i64,
}

/// Words that are no terms, in lower case: the common ones of a language, and those of one's own calls.
#[derive(Debug)]
pub struct CommonWords {
    of_language: HashSet<&'static str>,
    own: HashSet<String>,
}

impl CommonWords {
    /// Those of a language by its code, such as `en_us`; none for a language that is not known.
    pub fn of(language: &str) -> Self {
        let code = language.split(['_', '-']).next().unwrap_or_default().to_lowercase();
        Self {
            of_language: stop_words::lookup(&code).unwrap_or_default().iter().copied().collect(),
            own: HashSet::new(),
        }
    }

    /// Adds a word of one's own calls if it is common there: it was heard right in several, and needed no correction in most.
    pub fn add_own(&mut self, word: &str, heard_in: i64, corrected_in: i64) {
        const SEVERAL: i64 = 3;
        if heard_in >= SEVERAL && heard_in >= corrected_in * SEVERAL {
            self.own.insert(word.to_lowercase());
        }
    }

    /// Whether this is a single word that is common in the language.
    pub fn has(&self, word: &str) -> bool {
        let is_one = word.split_whitespace().nth(1).is_none();
        is_one && !self.is_rare(bare(word))
    }

    /// Whether a word may be a term: a name, or a word that is not common.
    fn is_hard(&self, word: &str) -> bool {
        self.is_rare(word) && !self.own.contains(&word.to_lowercase())
    }

    /// Whether a word has letters and is not common in the language.
    fn is_rare(&self, word: &str) -> bool {
        let lower = word.to_lowercase().replace('’', "'");
        // Numbers are none, but `C3` and `B12` are.
        let has_letters = word.chars().any(char::is_alphabetic) && word.chars().count() > 1;
        // "we've", "doctor's"
        let (stem, ending) = lower.rsplit_once('\'').unwrap_or((&lower, ""));
        let stem = if matches!(ending, "s" | "t" | "d" | "m" | "re" | "ve" | "ll") { stem } else { &lower };
        has_letters && !self.of_language.contains(lower.as_str()) && !self.of_language.contains(stem)
    }

    /// Whether a word is a name, or a part of one, as far as its capital tells. Some names are common in one's own calls.
    fn is_name(&self, word: &str) -> bool {
        self.is_rare(word) && word.starts_with(char::is_uppercase)
    }
}

/// Returns those of these words that may be terms, in lower case.
pub fn rare_words<'w>(words: impl IntoIterator<Item = &'w SpokenWord>, common: &CommonWords) -> HashSet<String> {
    let words = words.into_iter().map(|word| bare(&word.text));
    words.filter(|word| common.is_hard(word)).map(str::to_lowercase).collect()
}

/// Returns the names and rare words among those that somebody accepted as right, given for each word of the transcript whether
/// it is one of them.
pub fn accepted(words: &[SpokenWord], are_accepted: &[bool], common: &CommonWords) -> Vec<TermText> {
    let are_one = |(one, is_one): &(&SpokenWord, &bool), (other, is_other): &(&SpokenWord, &bool)| {
        is_one == is_other && one.has_voice_of(other) && one.text.ends_with(char::is_alphanumeric)
    };
    let words: Vec<(&SpokenWord, &bool)> = words.iter().zip(are_accepted).collect();
    let mut terms = Vec::new();
    for run in words.chunk_by(are_one).filter(|run| *run[0].1) {
        let run: Vec<&str> = run.iter().map(|(word, _)| bare(&word.text)).collect();
        terms.extend(phrases(&run, common).into_iter().filter_map(|range| run[range].join(" ").parse().ok()));
    }
    terms
}

/// Returns the lessons of a transcript in the order of its words, given what AssemblyAI heard and where people corrected it.
pub fn lessons(heard: &[SpokenWord], corrected: &[Corrected], common: &CommonWords) -> Vec<Lesson> {
    corrected.iter().flat_map(|stretch| lessons_of(heard, stretch, common)).collect()
}

fn lessons_of(heard: &[SpokenWord], stretch: &Corrected, common: &CommonWords) -> Vec<Lesson> {
    let before = heard.get(stretch.heard.clone()).unwrap_or_default();
    let words: Vec<&str> = stretch.words.iter().map(|word| bare(&word.text)).collect();
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    // If only case or punctuation was put right, the words were heard.
    let is_same = before.len() == words.len() && letters(&join(before)) == letters(&words.concat());
    if before.is_empty() || is_same {
        return Vec::new();
    }
    let (all_before, all_after) = heard.split_at(stretch.heard.start);
    let all_after = &all_after[before.len()..];
    let lesson = |range: Range<usize>| {
        // Of a name, one part may have been heard right, and stands beside the correction.
        let room = MOST_IN_NAME.saturating_sub(range.len());
        let left =
            if range.start == 0 && common.is_name(words[0]) { names_before(all_before, common, room) } else { 0 };
        let is_last = range.end == words.len() && stretch.words[range.end - 1].text.ends_with(char::is_alphanumeric);
        let right = if is_last && common.is_name(words[range.end - 1]) {
            names_after(all_after, common, room - left)
        } else {
            0
        };
        let (left, right) = (&all_before[all_before.len() - left..], &all_after[..right]);
        let texts = |words: &[SpokenWord]| words.iter().map(|word| bare(&word.text).to_owned()).collect::<Vec<_>>();
        let term = [texts(left), words[range].iter().map(|word| (*word).to_owned()).collect(), texts(right)].concat();
        let heard: Vec<SpokenWord> = [left, before, right].concat();
        let at_ms = heard[0].start;
        Some(Lesson { term: term.join(" ").parse().ok()?, heard: bare(&join(&heard)).to_owned(), at_ms })
    };
    phrases(&words, common).into_iter().filter_map(lesson).collect()
}

/// Counts the words of a name at the end of these, at most `room`.
fn names_before(words: &[SpokenWord], common: &CommonWords, room: usize) -> usize {
    let is_name = |word: &&SpokenWord| word.text.ends_with(char::is_alphanumeric) && common.is_name(&word.text);
    words.iter().rev().take(room).take_while(is_name).count()
}

/// Counts the words of a name at the beginning of these, at most `room`.
fn names_after(words: &[SpokenWord], common: &CommonWords, room: usize) -> usize {
    let names = words.iter().take(room).take_while(|word| common.is_name(bare(&word.text))).count();
    // A name ends where its sentence does.
    let ends = words.iter().take(names).position(|word| !word.text.ends_with(char::is_alphanumeric));
    ends.map_or(names, |end| end + 1)
}

/// Finds the phrases of hard words.
fn phrases(words: &[&str], common: &CommonWords) -> Vec<Range<usize>> {
    let is_hard = |word: &&str| common.is_hard(word);
    let ends_hard = words.first().is_some_and(is_hard) && words.last().is_some_and(is_hard);
    if ends_hard && words.len() <= WHOLE_PHRASE {
        let whole = 0..words.len();
        return Vec::from([whole]);
    }
    let (mut found, mut begin) = (Vec::new(), None);
    for (at, word) in words.iter().map(Some).chain([None]).enumerate() {
        match (word.is_some_and(is_hard), begin) {
            (true, None) => begin = Some(at),
            (false, Some(first)) => {
                found.push(first..at);
                begin = None;
            }
            _ => {}
        }
    }
    found.retain(|range| range.len() <= MOST_WORDS);
    found
}

/// Returns a word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<SpokenWord> {
        let word = |(at, text): (usize, &str)| SpokenWord {
            text: text.to_owned(),
            start: at as i64 * 500,
            end: at as i64 * 500 + 400,
            confidence: Some(0.5),
            speaker: None,
            channel: None,
            begins: None,
        };
        text.split_whitespace().enumerate().map(word).collect()
    }

    fn learned(heard: &str, at: Range<usize>, typed: &str) -> Vec<(String, String, i64)> {
        let corrected = Corrected { heard: at, words: words(typed) };
        let lessons = lessons(&words(heard), &[corrected], &CommonWords::of("en_us"));
        lessons.into_iter().map(|lesson| (lesson.term.to_string(), lesson.heard, lesson.at_ms)).collect()
    }

    #[test]
    fn a_name_or_a_rare_word_is_learned_with_what_was_heard() {
        for (heard, at, typed, expected) in [
            (
                "takes sparing the lactone, daily",
                1..4,
                "spironolactone,",
                vec![("spironolactone", "sparing the lactone", 500)],
            ),
            ("a rid of man dame us.", 1..6, "writ of mandamus.", vec![("writ of mandamus", "rid of man dame us", 500)]),
            (
                "met a prolol suck sinate",
                0..5,
                "metoprolol succinate",
                vec![("metoprolol succinate", "met a prolol suck sinate", 0)],
            ),
            ("of the cause of it", 1..4, "because of", vec![]),
            ("was done in see three", 3..5, "C3", vec![("C3", "see three", 1_500)]),
            ("the x ray", 1..3, "X-ray", vec![("X-ray", "x ray", 500)]),
            ("a x-ray", 1..2, "X-ray,", vec![]),
            ("call Oh shaughnessy", 1..3, "O'Shaughnessy", vec![("O'Shaughnessy", "Oh shaughnessy", 500)]),
            (
                "this is Shove on Kowalczyk. Hello",
                2..4,
                "Siobhan",
                vec![("Siobhan Kowalczyk", "Shove on Kowalczyk", 1_000)],
            ),
            (
                "is Guillermo at chevy. Hello",
                2..4,
                "Echeverria.",
                vec![("Guillermo Echeverria", "Guillermo at chevy", 500)],
            ),
            ("is Anna, at chevy", 2..4, "Echeverria", vec![("Echeverria", "at chevy", 1_000)]),
            ("forty two", 0..2, "42", vec![]),
            ("and dana", 1..2, "Dana", vec![]),
            (
                "River Exhibin and it again",
                0..5,
                "rivaroxaban and then also the angioplasty",
                vec![
                    ("rivaroxaban", "River Exhibin and it again", 0),
                    ("angioplasty", "River Exhibin and it again", 0),
                ],
            ),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(term, heard, at)| (term.to_owned(), heard.to_owned(), at)).collect();
            assert_eq!(learned(heard, at, typed), expected, "{heard} -> {typed}");
        }
        // What is common in one's own calls is no term, and a rare word that needs correction in most of them is.
        let mut common = CommonWords::of("en");
        common.add_own("Logs", 9, 3);
        common.add_own("tacrolimus", 9, 8);
        let corrected = Corrected { heard: 0..3, words: words("tacrolimus logs") };
        assert_eq!(rare_words(&corrected.words, &common), HashSet::from(["tacrolimus".to_owned()]));
        let lessons = lessons(&words("tackle a box"), &[corrected], &common);
        assert_eq!(lessons.iter().map(|lesson| lesson.term.as_str()).collect::<Vec<_>>(), ["tacrolimus"]);
        // Of what somebody accepted, neighbors are one term; a sentence ends it.
        let words = words("with Siobhan Kowalczyk. Metoprolol and then it");
        let terms = accepted(&words, &[false, true, true, true, true, true, true], &CommonWords::of("en"));
        let terms: Vec<&str> = terms.iter().map(TermText::as_str).collect();
        assert_eq!(terms, ["Siobhan Kowalczyk", "Metoprolol"]);
        // What was inserted was heard as nothing.
        assert_eq!(learned("a b", 1..1, "spironolactone"), []);
    }
}
