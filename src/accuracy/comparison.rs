//! A hypothesis against its reference.

use std::ops::Range;

use super::align::align;
use super::edits::{Edits, Step};
use super::normalization::{Normalization, Token, texts};
use crate::model::word::is_unspaced;

/// Two texts, aligned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What was said.
    pub reference: Vec<Token>,
    /// What was heard.
    pub hypothesis: Vec<Token>,
    /// The indices are those of the tokens.
    pub steps: Vec<Step>,
}

impl Comparison {
    /// Compares texts by their words.
    pub fn new<'w>(
        normalization: Normalization,
        reference: impl IntoIterator<Item = &'w str>,
        hypothesis: impl IntoIterator<Item = &'w str>,
    ) -> Self {
        Self::of(normalization.tokens(reference), normalization.tokens(hypothesis))
    }

    /// Compares texts that are normalized the same way.
    pub fn of(reference: Vec<Token>, hypothesis: Vec<Token>) -> Self {
        let steps = align(&texts(&reference), &texts(&hypothesis));
        Self { reference, hypothesis, steps }
    }

    /// Counts words.
    pub fn edits(&self) -> Edits {
        Edits::of(&self.steps)
    }

    /// Counts characters instead of words, without white space: the character error rate. For scripts without spaces, whose
    /// sentences would count as single words.
    pub fn character_edits(&self) -> Edits {
        Edits::of(&align(&characters(&self.reference), &characters(&self.hypothesis)))
    }

    /// Whether most characters of the reference are of scripts without spaces.
    pub fn is_unspaced(&self) -> bool {
        let characters = characters(&self.reference);
        characters.iter().filter(|c| is_unspaced(**c)).count() * 2 > characters.len()
    }

    /// Returns the tokens of the hypothesis that stand in the place of these of the reference: all between the nearest hits
    /// around them. What an engine mishears often becomes several words, and the words beside it may be wrong, too.
    pub fn heard_for(&self, reference: Range<usize>) -> Range<usize> {
        let mut hits = self.steps.iter().filter_map(|step| match *step {
            Step::Hit { reference, hypothesis } => Some((reference, hypothesis)),
            _ => None,
        });
        let before = hits.clone().rev().find(|(hit, _)| *hit < reference.start).map(|(_, hypothesis)| hypothesis);
        let after = hits.find(|(hit, _)| *hit >= reference.end).map(|(_, hypothesis)| hypothesis);
        before.map_or(0, |before| before + 1)..after.unwrap_or(self.hypothesis.len())
    }

    /// Returns where both differ: neighboring tokens of the reference, and those of the hypothesis in their place.
    pub fn differences(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let (mut differences, mut done) = (Vec::new(), (0, 0));
        let ends = (self.reference.len(), self.hypothesis.len());
        let hits = self.steps.iter().filter_map(|step| match *step {
            Step::Hit { reference, hypothesis } => Some((reference, hypothesis)),
            _ => None,
        });
        for (reference, hypothesis) in hits.chain([ends]) {
            if (reference, hypothesis) != done {
                differences.push((done.0..reference, done.1..hypothesis));
            }
            done = (reference + 1, hypothesis + 1);
        }
        differences
    }

    /// Returns the indices of the wrong words of the hypothesis. A token of such a word stands for another token of the
    /// reference, or for none.
    pub fn wrong(&self) -> impl Iterator<Item = usize> {
        let wrong = self.steps.iter().filter(|step| !step.is_hit()).filter_map(|step| step.hypothesis());
        let mut words: Vec<usize> = wrong.map(|token| self.hypothesis[token].word).collect();
        words.dedup();
        words.into_iter()
    }
}

fn characters(tokens: &[Token]) -> Vec<char> {
    tokens.iter().flat_map(|token| token.text.chars()).collect()
}
