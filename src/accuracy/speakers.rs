//! The word error rate where words count as right only if the right person says them.

use super::align::{align, distance};
use super::assignment;
use super::edits::Edits;
use super::normalization::{Token, texts};

/// How the speakers of a hypothesis go with those of its reference, and the edits within each pair. Their rate is the cpWER:
/// that of the words of each speaker in one row, with the speakers matched so that the errors are fewest. What it is
/// greater than the word error rate of the whole is what wrong speakers cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// Indices of a speaker in the reference and in the hypothesis. Where one has more speakers, some go with nobody.
    pub pairs: Vec<(Option<usize>, Option<usize>)>,
    /// Over all pairs.
    pub edits: Edits,
}

/// Matches speakers, given the tokens of each.
pub fn attribute(reference: &[Vec<Token>], hypothesis: &[Vec<Token>]) -> Attribution {
    // Who goes with nobody is compared with no words.
    let size = reference.len().max(hypothesis.len());
    let (reference_texts, hypothesis_texts) = (padded(reference, size), padded(hypothesis, size));
    // The number of errors fits: it is at most the number of words.
    let costs = |one: &Vec<&str>| hypothesis_texts.iter().map(|other| distance(one, other) as i64).collect();
    let costs: Vec<Vec<i64>> = reference_texts.iter().map(costs).collect();
    let partners = assignment::cheapest(&costs);

    let edits = |(one, other): (usize, &usize)| Edits::of(&align(&reference_texts[one], &hypothesis_texts[*other]));
    let edits = partners.iter().enumerate().map(edits).sum();
    let there = |at: usize, speakers: &[Vec<Token>]| (at < speakers.len()).then_some(at);
    let pair = |(one, other): (usize, &usize)| (there(one, reference), there(*other, hypothesis));
    Attribution { pairs: partners.iter().enumerate().map(pair).collect(), edits }
}

/// The texts of speakers, and of as many others without words as are missing.
fn padded(speakers: &[Vec<Token>], size: usize) -> Vec<Vec<&str>> {
    let texts = |at: usize| speakers.get(at).map(|tokens| texts(tokens)).unwrap_or_default();
    (0..size).map(texts).collect()
}
