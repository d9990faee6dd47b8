//! Key terms: words and phrases of a field that a transcript must get right.

use std::collections::HashSet;

/// Key terms in their given order, without duplicates, with single spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyterms(Vec<String>);

/// The key terms that a speech model accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Maximum number of terms in a request.
    pub terms: usize,
    /// Maximum number of words in a term.
    pub words: usize,
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

    /// Checks the terms against a model's limit. The error names the first term beyond it.
    pub fn check(&self, limit: &Limit) -> Result<(), BadKeyterms> {
        for term in &self.0 {
            let words = term.split(' ').count();
            if words > limit.words {
                return Err(BadKeyterms::TooManyWords { term: term.clone(), words, limit: limit.words });
            }
        }
        match self.0.get(limit.terms) {
            None => Ok(()),
            Some(term) => Err(BadKeyterms::TooMany {
                count: self.0.len(),
                limit: limit.terms,
                model: limit.model.clone(),
                term: term.clone(),
            }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}
