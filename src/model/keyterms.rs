//! Words and phrases of a field that a transcript must get right.

use std::collections::HashSet;

/// Key terms in the order they were given, each once, white space folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyterms(Vec<String>);

/// What a speech model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The most terms in one request.
    pub terms: usize,
    /// The most words in one term.
    pub words: usize,
    /// The model that sets it, for the message.
    pub model: String,
}

/// Why key terms cannot be sent. Each names the term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyterms {
    /// A phrase is too long.
    #[error("the key term \"{term}\" has {words} words, a term may have {limit} at most")]
    TooManyWords {
        /// The term.
        term: String,
        /// How many words it has.
        words: usize,
        /// How many it may have.
        limit: usize,
    },
    /// There are too many.
    #[error("there are {count} key terms, {model} takes {limit} at most; the first one too many is \"{term}\"")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
        /// The model that takes no more.
        model: String,
        /// The first beyond the limit.
        term: String,
    },
}

impl Keyterms {
    /// From a comma separated list.
    pub fn from_list(text: &str) -> Self {
        Self::from_terms(text.split(','))
    }

    /// From a text with a term a line.
    pub fn from_lines(text: &str) -> Self {
        Self::from_terms(text.trim_start_matches('\u{feff}').lines())
    }

    /// From terms, some of which may be blank or alike.
    pub fn from_terms<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> Self {
        let mut seen = HashSet::new();
        let folded = terms.into_iter().map(|term| term.as_ref().split_whitespace().collect::<Vec<_>>().join(" "));
        Self(folded.filter(|term| !term.is_empty() && seen.insert(term.clone())).collect())
    }

    /// These and the others, each once.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self::from_terms(self.0.iter().chain(&others.0))
    }

    /// Whether a model with this limit takes them.
    ///
    /// # Errors
    /// Names the first term that it does not take.
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The terms.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}
