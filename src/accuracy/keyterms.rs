//! Whether key terms come out right: how often each was said, how often it was heard there, and how often where it was not
//! said.
//!
//! The definition follows that of argmaxinc's OpenBench (`keyword_boosting_metrics`). The manual says where it differs.

use std::collections::{BTreeSet, HashMap};
use std::iter::Sum;
use std::ops::{AddAssign, Range};

use super::comparison::Comparison;
use super::edits::{Step, ratio};
use super::normalization::{Normalization, Token};

/// Key terms to search for.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// As they were given.
    terms: Vec<String>,
    /// The index of each by its words, which single spaces separate.
    by_words: HashMap<String, usize>,
    /// How many words a term may have.
    lengths: BTreeSet<usize>,
}

/// A place where a term was said or heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The term was said.
    Said {
        /// Index of the term.
        term: usize,
        /// Tokens of the reference.
        reference: Range<usize>,
        /// Whether all of it came out right.
        is_heard: bool,
    },
    /// The term was heard, but not said.
    False {
        /// Index of the term.
        term: usize,
        /// Tokens of the hypothesis.
        hypothesis: Range<usize>,
    },
}

/// The numbers of the places of a term, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TermCounts {
    /// Places where it was said.
    pub said: u64,
    /// Those of them where it was heard.
    pub heard: u64,
    /// Places where it was heard, but not said.
    pub wrongly_heard: u64,
}

impl Terms {
    /// Terms are normalized first. Of those that are the same then, only the first counts.
    pub fn new<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> Self {
        let mut all = Self::default();
        for term in terms {
            let words = Self::NORMALIZATION.tokens_of(term.as_ref());
            let mut key = String::new();
            append(&mut key, &words);
            if words.is_empty() || all.by_words.contains_key(&key) {
                continue;
            }
            all.by_words.insert(key, all.terms.len());
            all.lengths.insert(words.len());
            all.terms.push(term.as_ref().to_owned());
        }
        all
    }

    /// How key terms and the texts in which they are searched for are normalized.
    pub const NORMALIZATION: Normalization = Normalization::WhisperBasic;

    /// The terms as they were given. One is left out if normalization leaves nothing of it, or makes it the same as an
    /// earlier one.
    pub fn as_slice(&self) -> &[String] {
        &self.terms
    }

    /// Returns all places of all terms in texts that were normalized by [`Self::NORMALIZATION`]. A term that is a part of
    /// another has its own places there.
    pub fn places(&self, comparison: &Comparison) -> Vec<Place> {
        let Comparison { reference, hypothesis, steps } = comparison;
        // The word of the reference that each word was heard as, and the other way round.
        let (mut heard, mut said) = (vec![false; reference.len()], vec![None; hypothesis.len()]);
        for step in steps {
            if let Step::Hit { reference, hypothesis } = *step {
                heard[reference] = true;
                said[hypothesis] = Some(reference);
            }
        }
        let of_reference = self.occurrences(reference).into_iter().map(|(term, reference)| {
            let is_heard = reference.clone().all(|word| heard[word]);
            Place::Said { term, reference, is_heard }
        });
        let is_said = |words: &Range<usize>| {
            let first = said[words.start];
            first.is_some_and(|first| words.clone().zip(first..).all(|(word, reference)| said[word] == Some(reference)))
        };
        let of_hypothesis = self.occurrences(hypothesis).into_iter().filter(|(_, words)| !is_said(words));
        of_reference.chain(of_hypothesis.map(|(term, hypothesis)| Place::False { term, hypothesis })).collect()
    }

    /// Returns the counts of each term, by its index.
    pub fn count(&self, places: &[Place]) -> Vec<TermCounts> {
        let mut all = vec![TermCounts::default(); self.terms.len()];
        for place in places {
            match *place {
                Place::Said { term, is_heard, .. } => {
                    all[term].said += 1;
                    all[term].heard += u64::from(is_heard);
                }
                Place::False { term, .. } => all[term].wrongly_heard += 1,
            }
        }
        all
    }

    /// Returns where each term stands in a text.
    fn occurrences(&self, words: &[Token]) -> Vec<(usize, Range<usize>)> {
        let (mut found, mut key) = (Vec::new(), String::new());
        for length in &self.lengths {
            for (start, window) in words.windows(*length).enumerate() {
                append(&mut key, window);
                found.extend(self.by_words.get(&key).map(|term| (*term, start..start + length)));
            }
        }
        found
    }
}

/// Writes words with single spaces between them.
fn append(key: &mut String, words: &[Token]) {
    key.clear();
    for word in words {
        if !key.is_empty() {
            key.push(' ');
        }
        key.push_str(&word.text);
    }
}

impl TermCounts {
    /// The share of the places said that were heard. `None`, because undefined, if none was said.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.heard, self.said)
    }

    /// The share of the places heard that were said. `None`, because undefined, if none was heard.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.heard, self.heard + self.wrongly_heard)
    }

    /// The harmonic mean of recall and precision. `None`, because undefined, if the terms were neither said nor heard.
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.heard, self.said + self.heard + self.wrongly_heard)
    }
}

impl AddAssign for TermCounts {
    fn add_assign(&mut self, other: Self) {
        self.said += other.said;
        self.heard += other.heard;
        self.wrongly_heard += other.wrongly_heard;
    }
}

impl Sum for TermCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|counts| sum += counts);
        sum
    }
}
