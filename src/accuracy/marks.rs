//! Whether the marks of unsure words stand at the wrong ones, and from which confidence on words need none.

use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;

use super::edits::ratio;

/// Words are counted by their confidence in steps of this part of 1.
const STEPS: usize = 20;

/// The threshold as long as nothing is known of a model.
pub const UNKNOWN: f64 = 0.7;

/// The fewest wrong words that a threshold follows from.
const FEWEST_WRONG: u64 = 30;

/// What marks of words below a threshold of confidence catch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marks {
    /// Words are marked whose confidence is below it.
    pub threshold: f64,
    /// Wrong words that are marked.
    pub caught: u64,
    /// All words that are marked.
    pub marked: u64,
    /// All words that are wrong.
    pub wrong: u64,
}

/// Words by the confidence with which they were heard, and how many of them are wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confidences {
    words: [u64; STEPS],
    wrong: [u64; STEPS],
}

impl Marks {
    /// The share of the wrong words that are marked. `None`, because undefined, if no word is wrong.
    pub fn catch_rate(&self) -> Option<f64> {
        ratio(self.caught, self.wrong)
    }

    /// The share of the marked words that are wrong. `None`, because undefined, if no word is marked.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.caught, self.marked)
    }

    /// The harmonic mean of both. `None`, because undefined, if no word is wrong or marked.
    fn f1(&self) -> Option<f64> {
        ratio(2 * self.caught, self.wrong + self.marked)
    }
}

impl Confidences {
    /// Counts a word of the hypothesis, which is [wrong](super::Comparison::wrong) or not.
    pub fn add(&mut self, confidence: f64, is_wrong: bool) {
        // Not negative and less than the number of steps.
        let step = (confidence.clamp(0.0, 1.0) * STEPS as f64) as usize;
        self.words[step.min(STEPS - 1)] += 1;
        self.wrong[step.min(STEPS - 1)] += u64::from(is_wrong);
    }

    /// Returns what marks would catch at each threshold, in steps of 0.05 from 0 to 1.
    pub fn curve(&self) -> impl Iterator<Item = Marks> {
        let wrong = self.wrong.iter().sum();
        (0..=STEPS).map(move |below| Marks {
            threshold: below as f64 / STEPS as f64,
            caught: self.wrong[..below].iter().sum(),
            marked: self.words[..below].iter().sum(),
            wrong,
        })
    }

    /// Returns what marks at this threshold catch, or at the step below it.
    pub fn at(&self, threshold: f64) -> Marks {
        let marks = self.curve().take_while(|marks| marks.threshold <= threshold).last();
        marks.unwrap_or(Marks { threshold, caught: 0, marked: 0, wrong: self.wrong.iter().sum() })
    }

    /// Returns the threshold whose marks go best with the wrong words: with the highest F1, the lowest of several. It is
    /// [`UNKNOWN`] if too few words are wrong.
    pub fn threshold(&self) -> f64 {
        if self.wrong.iter().sum::<u64>() < FEWEST_WRONG {
            return UNKNOWN;
        }
        let better = |best: Marks, marks: Marks| if marks.f1() > best.f1() { marks } else { best };
        self.curve().reduce(better).map_or(UNKNOWN, |best| best.threshold)
    }
}

impl AddAssign for Confidences {
    fn add_assign(&mut self, other: Self) {
        for step in 0..STEPS {
            self.words[step] += other.words[step];
            self.wrong[step] += other.wrong[step];
        }
    }
}

impl SubAssign for Confidences {
    fn sub_assign(&mut self, other: Self) {
        for step in 0..STEPS {
            self.words[step] = self.words[step].saturating_sub(other.words[step]);
            self.wrong[step] = self.wrong[step].saturating_sub(other.wrong[step]);
        }
    }
}

/// As it is stored: step, words and wrong words of each step that has any.
impl fmt::Display for Confidences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for step in (0..STEPS).filter(|step| self.words[*step] > 0) {
            write!(f, "{space}{step} {} {}", self.words[step], self.wrong[step])?;
            space = " ";
        }
        Ok(())
    }
}

/// A text that is none of stored confidences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no confidences")]
pub struct NoConfidences;

impl FromStr for Confidences {
    type Err = NoConfidences;

    fn from_str(text: &str) -> Result<Self, NoConfidences> {
        let mut confidences = Self::default();
        let mut numbers = text.split_ascii_whitespace();
        while let Some(step) = numbers.next() {
            let mut number = || numbers.next()?.parse::<u64>().ok();
            let step = step.parse::<usize>().ok().filter(|step| *step < STEPS).ok_or(NoConfidences)?;
            confidences.words[step] = number().ok_or(NoConfidences)?;
            confidences.wrong[step] = number().ok_or(NoConfidences)?;
        }
        Ok(confidences)
    }
}
