//! What corrections teach: the names and rare words that somebody put in the place of what was heard.

use std::collections::HashSet;
use std::ops::Range;

use super::correction::Corrected;
use super::vocabulary::TermText;
use super::word::{SpokenWord, join};

/// A term of an order may have this many words. A correction with more words is a text, not a term.
const MOST_WORDS: usize = 6;

/// A phrase of at most this many words keeps the common words in its middle, as "bill of lading" does.
const WHOLE_PHRASE: usize = 4;

/// A name or rare word that somebody put in the place of what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    pub term: TermText,
    pub heard: String,
    /// In milliseconds from the start of the audio.
    pub at_ms: i64,
}

/// The common words of a language, in lower case.
#[derive(Debug)]
pub struct CommonWords(HashSet<&'static str>);

impl CommonWords {
    /// Those of a language by its code, such as `en_us`; none for a language that is not known.
    pub fn of(language: &str) -> Self {
        let code = language.split(['_', '-']).next().unwrap_or_default().to_lowercase();
        Self(stop_words::lookup(&code).unwrap_or_default().iter().copied().collect())
    }

    /// Whether a word may be a term: a name, or a word that is not common.
    fn is_hard(&self, word: &str) -> bool {
        let lower = word.to_lowercase();
        // Numbers are none, but `C3` and `B12` are.
        let has_letters = word.chars().any(char::is_alphabetic) && word.chars().count() > 1;
        // "we've", "doctor's"
        let stem = lower.split(['\'', '’']).next().unwrap_or_default();
        has_letters && !self.0.contains(lower.as_str()) && !self.0.contains(stem)
    }
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
    // Only case, spaces or punctuation were put right: the words were heard.
    if before.is_empty() || letters(&join(before)) == letters(&words.concat()) {
        return Vec::new();
    }
    let at_ms = before[0].start;
    let lesson = |range: Range<usize>| {
        let term = words[range].join(" ").parse().ok()?;
        Some(Lesson { term, heard: bare(&join(before)).to_owned(), at_ms })
    };
    phrases(&words, common).into_iter().filter_map(lesson).collect()
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
            ("a build of lady.", 1..4, "bill of lading.", vec![("bill of lading", "build of lady", 500)]),
            (
                "met a prolol suck sinate",
                0..5,
                "metoprolol succinate",
                vec![("metoprolol succinate", "met a prolol suck sinate", 0)],
            ),
            ("of the cause of it", 1..4, "because of", vec![]),
            ("was done in see three", 3..5, "C3", vec![("C3", "see three", 1_500)]),
            ("x ray", 0..2, "X-ray", vec![]),
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
        // What was inserted was heard as nothing.
        assert_eq!(learned("a b", 1..1, "spironolactone"), []);
    }
}
