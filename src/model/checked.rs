//! Which stretches of a transcript people have checked by ear.
//!
//! Each check is a fact: somebody marked a stretch of time as checked, or took that back. What is checked now follows from
//! all of them.

use super::blind::Window;
use super::word::SpokenWord;

/// The end of a stretch that goes on to the end of the transcript, however long that becomes.
pub const OPEN_END: i64 = i64::MAX;

/// Somebody marked a stretch of a transcript as checked by ear, or took that back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub is_checked: bool,
    pub stretch: Stretch,
}

/// A stretch of a transcript, and who checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// In milliseconds from the start of the audio.
    pub from: i64,
    /// The end, which is not part of it, or [`OPEN_END`].
    pub to: i64,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Who it was, for people.
    pub by: String,
}

/// The stretches that are checked now, by time. None overlaps another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    stretches: Vec<Stretch>,
}

impl Check {
    /// Whether it says of this word alone that it is right.
    pub fn accepts(&self, word: &SpokenWord) -> bool {
        let Stretch { from, to, .. } = self.stretch;
        // The page gives a word without a length one millisecond.
        self.is_checked && from >= word.start && to <= word.end.max(word.start + 1)
    }
}

impl Stretch {
    pub fn window(&self) -> Window {
        Window { from: self.from, to: self.to }
    }
}

impl Checked {
    /// What follows from these checks, oldest first.
    pub fn of(checks: &[Check]) -> Self {
        let mut checked = Self::default();
        checks.iter().for_each(|check| checked.apply(check));
        checked
    }

    /// The stretches of a transcript with these words that somebody listened to. Who accepts a single word that is marked as
    /// unsure has not: only such words are accepted, and wrong ones never, so a reference of them would flatter.
    pub fn listened(checks: &[Check], words: &[SpokenWord]) -> Self {
        let mut listened = Self::default();
        let accepts = |check: &&Check| !words.iter().any(|word| check.accepts(word));
        checks.iter().filter(accepts).for_each(|check| listened.apply(check));
        listened
    }

    /// Applies the next check. Where it overlaps earlier ones, it takes their place.
    pub fn apply(&mut self, Check { is_checked, stretch }: &Check) {
        let mut stretches = Vec::new();
        for before in self.stretches.drain(..) {
            let left = Stretch { to: before.to.min(stretch.from), ..before.clone() };
            let right = Stretch { from: before.from.max(stretch.to), ..before };
            stretches.extend([left, right].into_iter().filter(|rest| rest.from < rest.to));
        }
        if *is_checked {
            stretches.push(stretch.clone());
        }
        stretches.sort_by_key(|stretch| stretch.from);
        self.stretches = stretches;
    }

    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The stretch that was checked last.
    pub fn newest(&self) -> Option<&Stretch> {
        self.stretches.iter().max_by_key(|stretch| stretch.at)
    }

    /// Whether all of a word is checked, by one person or by several.
    pub fn covers(&self, word: &SpokenWord) -> bool {
        let mut reached = word.start;
        let mut is_begun = false;
        for stretch in self.stretches.iter().filter(|stretch| stretch.from <= word.end && stretch.to >= word.start) {
            if stretch.from > reached {
                return false;
            }
            (reached, is_begun) = (stretch.to, true);
        }
        is_begun && reached >= word.end
    }

    /// Whether all words are checked. Of a transcript without words, some of its time must be.
    pub fn covers_all<'w>(&self, words: impl IntoIterator<Item = &'w SpokenWord>) -> bool {
        !self.stretches.is_empty() && words.into_iter().all(|word| self.covers(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_checked: bool, from: i64, to: i64, at: i64) -> Check {
        Check { is_checked, stretch: Stretch { from, to, at, by: format!("person {at}") } }
    }

    /// From, to and time of each stretch.
    fn checked(checks: &[Check]) -> Vec<(i64, i64, i64)> {
        Checked::of(checks).stretches().iter().map(|stretch| (stretch.from, stretch.to, stretch.at)).collect()
    }

    fn word(start: i64, end: i64) -> SpokenWord {
        SpokenWord { text: "word".to_owned(), start, end, confidence: None, speaker: None, channel: None, begins: None }
    }

    #[test]
    fn a_later_check_takes_the_place_of_earlier_ones_where_it_overlaps_them() {
        let whole = check(true, 0, OPEN_END, 1);
        assert_eq!(checked(&[]), []);
        assert_eq!(checked(std::slice::from_ref(&whole)), [(0, OPEN_END, 1)]);
        assert_eq!(checked(&[whole.clone(), check(false, 20, 30, 2)]), [(0, 20, 1), (30, OPEN_END, 1)]);
        assert_eq!(checked(&[whole.clone(), check(false, 0, OPEN_END, 2)]), []);
        assert_eq!(
            checked(&[whole.clone(), check(true, 20, 30, 2)]),
            [(0, 20, 1), (20, 30, 2), (30, OPEN_END, 1)],
            "who checked it last"
        );
        assert_eq!(checked(&[check(true, 20, 30, 1), check(true, 0, 10, 2)]), [(0, 10, 2), (20, 30, 1)]);
        let several = [check(true, 0, 10, 1), check(true, 20, 30, 2), check(false, 5, 25, 3)];
        assert_eq!(checked(&several), [(0, 5, 1), (25, 30, 2)]);
        assert_eq!(checked(&[check(false, 0, 10, 1), check(true, 5, 15, 2)]), [(5, 15, 2)]);
        assert_eq!(Checked::of(&[whole.clone(), check(true, 0, 10, 2)]).newest().map(|newest| newest.at), Some(2));
        assert_eq!(Checked::of(&[check(true, 0, 10, 1)]).stretches()[0].by, "person 1");
    }

    #[test]
    fn a_word_is_checked_if_stretches_cover_all_of_it() {
        let covers = |checks: &[Check], start, end| Checked::of(checks).covers(&word(start, end));
        let two = [check(true, 100, 200, 1), check(true, 200, 300, 2), check(true, 400, 500, 3)];
        for (start, end, expected) in [
            (100, 200, true),
            (150, 250, true),
            (100, 300, true),
            (300, 300, true),
            (90, 110, false),
            (290, 310, false),
            (290, 410, false),
            (310, 390, false),
            (0, 50, false),
            (500, 501, false),
        ] {
            assert_eq!(covers(&two, start, end), expected, "{start} to {end}");
        }
        assert!(!covers(&[], 0, 0));
        assert!(covers(&[check(true, 0, OPEN_END, 1)], 5_000, 6_000));
    }

    #[test]
    fn a_transcript_is_checked_if_all_its_words_are() {
        let words = [word(100, 200), word(900, 1_000)];
        let covers_all = |checks: &[Check]| Checked::of(checks).covers_all(&words);
        assert!(covers_all(&[check(true, 0, OPEN_END, 1)]));
        // Nothing is said in between.
        assert!(covers_all(&[check(true, 100, 300, 1), check(true, 800, 1_000, 2)]));
        assert!(!covers_all(&[check(true, 0, 950, 1)]));
        assert!(!covers_all(&[check(true, 0, OPEN_END, 1), check(false, 150, 160, 2)]));
        assert!(covers_all(&[check(true, 0, OPEN_END, 1), check(false, 300, 400, 2)]));
        assert!(Checked::of(&[check(true, 0, 10, 1)]).covers_all(&[]) && !Checked::default().covers_all(&[]));
    }
}
