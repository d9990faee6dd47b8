//! Whether the marks of unsure words stand at the wrong ones.

use super::edits::ratio;

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

impl Marks {
    /// The share of the wrong words that are marked. `None`, because undefined, if no word is wrong.
    pub fn catch_rate(&self) -> Option<f64> {
        ratio(self.caught, self.wrong)
    }

    /// The share of the marked words that are wrong. `None`, because undefined, if no word is marked.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.caught, self.marked)
    }
}

/// Returns what marks at each threshold would catch, given the confidence of each word of the hypothesis and whether it is
/// [wrong](super::Comparison::wrong).
pub fn marks(words: &[(f64, bool)], thresholds: &[f64]) -> Vec<Marks> {
    let wrong = words.iter().filter(|(_, is_wrong)| *is_wrong).count() as u64;
    let at = |threshold: &f64| {
        let marked = words.iter().filter(|(confidence, _)| confidence < threshold);
        let (mut caught, mut count) = (0, 0);
        for (_, is_wrong) in marked {
            count += 1;
            caught += u64::from(*is_wrong);
        }
        Marks { threshold: *threshold, caught, marked: count, wrong }
    };
    thresholds.iter().map(at).collect()
}
