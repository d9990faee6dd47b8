//! Random numbers that a seed alone determines, so that a run can be repeated: SplitMix64.

/// The generator's increment.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The generator. Its state is the last number before the mixing.
#[derive(Debug, Default)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts the sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, reduced to less than `end`. The slight bias of the remainder does not matter here.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0) % end
    }

    /// Puts the items into an order that the next numbers determine.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..=items.len()).rev() {
            // Less than `end`, so it fits.
            items.swap(end - 1, self.below(end as u64) as usize);
        }
    }
}

/// Returns the number at this index of the sequence with seed 0.
pub fn nth(index: u64) -> u64 {
    mix(index.wrapping_add(1).wrapping_mul(STEP))
}

fn mix(mut word: u64) -> u64 {
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
            let mut random = SplitMix64::new(seed);
            std::array::from_fn::<u64, 8, _>(|_| random.below(1_000))
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert!(numbers(7).iter().all(|number| *number < 1_000));
    }

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        assert_eq!([nth(0), nth(1)], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn a_shuffle_produces_every_order() {
        let mut random = SplitMix64::new(1);
        let orders: std::collections::BTreeSet<[u8; 4]> = (0..1_000)
            .map(|_| {
                let mut order = [1, 2, 3, 4];
                random.shuffle(&mut order);
                order
            })
            .collect();
        assert_eq!(orders.len(), 24);
    }
}
