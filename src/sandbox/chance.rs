//! Chance that can be had again: numbers that follow from a seed alone (SplitMix64).

/// What each number is away from the one before, until it is mixed.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of numbers.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number that is less than `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(STEP);
        // The remainder is less than `end`, so it fits. What it favours, nobody can tell.
        (mixed(self.0) % end as u64) as usize
    }

    /// Puts these into any order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..=things.len()).rev() {
            things.swap(end - 1, self.below(end));
        }
    }
}

/// The number at this place of the sequence of seed 0.
pub(super) fn number(place: u64) -> u64 {
    mixed(place.wrapping_add(1).wrapping_mul(STEP))
}

fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_each_time() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            std::array::from_fn::<usize, 8, _>(|_| chance.below(1_000))
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert!(numbers(7).iter().all(|number| *number < 1_000));
    }

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        assert_eq!([number(0), number(1)], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn every_order_comes_up_in_the_end() {
        let mut chance = Chance::new(1);
        let orders: std::collections::BTreeSet<[u8; 4]> = (0..1_000)
            .map(|_| {
                let mut order = [1, 2, 3, 4];
                chance.shuffle(&mut order);
                order
            })
            .collect();
        assert_eq!(orders.len(), 24);
    }
}
