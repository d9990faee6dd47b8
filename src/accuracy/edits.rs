//! The steps that turn one sequence of words into another, and how many of each kind there are.

use std::iter::Sum;
use std::ops::AddAssign;

/// One step of an alignment, with the indices of its words in the reference and in the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Both have the same word.
    Hit {
        /// Index in the reference.
        reference: usize,
        /// Index in the hypothesis.
        hypothesis: usize,
    },
    /// The hypothesis has another word.
    Substitution {
        /// Index in the reference.
        reference: usize,
        /// Index in the hypothesis.
        hypothesis: usize,
    },
    /// The hypothesis lacks the word.
    Deletion {
        /// Index in the reference.
        reference: usize,
    },
    /// The reference lacks the word.
    Insertion {
        /// Index in the hypothesis.
        hypothesis: usize,
    },
}

/// How many steps of each kind an alignment has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edits {
    /// Words that are right.
    pub hits: u64,
    /// Words of the reference with another word in their place.
    pub substitutions: u64,
    /// Words of the reference with nothing in their place.
    pub deletions: u64,
    /// Words of the hypothesis that stand for none of the reference.
    pub insertions: u64,
}

impl Step {
    /// The index in the reference. `None` for an insertion.
    pub fn reference(self) -> Option<usize> {
        match self {
            Self::Hit { reference, .. } | Self::Substitution { reference, .. } | Self::Deletion { reference } => {
                Some(reference)
            }
            Self::Insertion { .. } => None,
        }
    }

    /// The index in the hypothesis. `None` for a deletion.
    pub fn hypothesis(self) -> Option<usize> {
        match self {
            Self::Hit { hypothesis, .. } | Self::Substitution { hypothesis, .. } | Self::Insertion { hypothesis } => {
                Some(hypothesis)
            }
            Self::Deletion { .. } => None,
        }
    }

    /// Whether both have the same word.
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit { .. })
    }
}

impl Edits {
    /// Counts the steps of an alignment.
    pub fn of(steps: &[Step]) -> Self {
        let mut edits = Self::default();
        for step in steps {
            *match step {
                Step::Hit { .. } => &mut edits.hits,
                Step::Substitution { .. } => &mut edits.substitutions,
                Step::Deletion { .. } => &mut edits.deletions,
                Step::Insertion { .. } => &mut edits.insertions,
            } += 1;
        }
        edits
    }

    /// The words of the reference.
    pub fn words(&self) -> u64 {
        self.hits + self.substitutions + self.deletions
    }

    /// Substitutions, deletions and insertions.
    pub fn errors(&self) -> u64 {
        self.substitutions + self.deletions + self.insertions
    }

    /// Errors per word of the reference: the word error rate if these are words. It is greater than 1 where there are more
    /// errors than words. `None`, because undefined, if the reference has no words.
    pub fn rate(&self) -> Option<f64> {
        ratio(self.errors(), self.words())
    }
}

/// A share of counts. `None` of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl AddAssign for Edits {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
    }
}

impl Sum for Edits {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|edits| sum += edits);
        sum
    }
}
