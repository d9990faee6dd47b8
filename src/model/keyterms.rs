//! Key terms: words and phrases of a field that a transcript must get right.

use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Key terms in their given order, without duplicates, with single spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyterms(Vec<String>);

/// The key terms that a speech model accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Maximum number of terms in a request.
    pub terms: usize,
    /// Maximum number of words in all terms together.
    pub words: usize,
    /// Maximum number of words in a term.
    pub words_in_term: usize,
    /// The lengths of a term in characters. The model ignores any other term.
    pub characters: RangeInclusive<usize>,
    /// The model with this limit, for error messages.
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyterms {
    #[error("the key term \"{term}\" has {words} words; the maximum is {limit}")]
    TooManyWords { term: String, words: usize, limit: usize },
    #[error(
        "there are {count} key terms, but {model} accepts at most {limit}; the first one over the limit is \"{term}\""
    )]
    TooMany {
        count: usize,
        limit: usize,
        model: String,
        /// The first term beyond the limit.
        term: String,
    },
    #[error(
        "the key terms have {count} words, but {model} accepts at most {limit}; the first one over the limit is \"{term}\""
    )]
    WordsBeyondLimit {
        count: usize,
        limit: usize,
        model: String,
        /// The first term beyond the limit.
        term: String,
    },
}

impl Keyterms {
    /// Splits at commas.
    pub fn from_list(text: &str) -> Self {
        Self::from_terms(text.split(','))
    }

    /// Reads one term per line.
    pub fn from_lines(text: &str) -> Self {
        Self::from_terms(text.trim_start_matches('\u{feff}').lines())
    }

    /// Drops blank and duplicate terms.
    pub fn from_terms<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> Self {
        let mut seen = HashSet::new();
        let trimmed = terms.into_iter().map(|term| term.as_ref().split_whitespace().collect::<Vec<_>>().join(" "));
        Self(trimmed.filter(|term| !term.is_empty() && seen.insert(term.clone())).collect())
    }

    /// Returns these terms and the others, without duplicates.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self::from_terms(self.0.iter().chain(&others.0))
    }

    /// Returns these terms except the others.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.iter().filter(|term| !others.0.contains(term)).cloned().collect())
    }

    /// Checks the terms against a model's limit. The error names the first term beyond it.
    pub fn check(&self, limit: &Limit) -> Result<(), BadKeyterms> {
        let mut all_words = 0;
        let mut over = None;
        for (term, words) in self.0.iter().map(|term| (term, words_in(term))) {
            if words > limit.words_in_term {
                return Err(BadKeyterms::TooManyWords { term: term.clone(), words, limit: limit.words_in_term });
            }
            all_words += words;
            if all_words > limit.words {
                over = over.or(Some(term.clone()));
            }
        }
        let model = limit.model.clone();
        match (self.0.get(limit.terms), over) {
            (Some(term), _) => {
                Err(BadKeyterms::TooMany { count: self.0.len(), limit: limit.terms, model, term: term.clone() })
            }
            (None, Some(term)) => {
                Err(BadKeyterms::WordsBeyondLimit { count: all_words, limit: limit.words, model, term })
            }
            (None, None) => Ok(()),
        }
    }

    /// Parts the terms into those that a model takes and those that it refuses or ignores, each in their order.
    pub fn fit(&self, limit: &Limit) -> (Self, Self) {
        let (mut terms, mut all_words) = (0, 0);
        let (fitting, others) = self.0.iter().cloned().partition(|term| {
            let words = words_in(term);
            let fits = words <= limit.words_in_term
                && limit.characters.contains(&term.chars().count())
                && terms < limit.terms
                && all_words + words <= limit.words;
            if fits {
                terms += 1;
                all_words += words;
            }
            fits
        });
        (Self(fitting), Self(others))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Counts words as AssemblyAI does: each one of a phrase.
fn words_in(term: &str) -> usize {
    term.split(' ').count()
}
