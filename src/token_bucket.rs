//! A token bucket: a limit by rate that allows bursts. Time is passed in as milliseconds, from whichever clock the caller
//! uses.

#[derive(Debug)]
pub struct TokenBucket {
    capacity: i64,
    /// Milliseconds after which one token is added.
    refill_ms: i64,
    tokens: i64,
    refilled_at_ms: i64,
}

impl TokenBucket {
    /// Returns a full bucket.
    pub const fn new(capacity: i64, refill_ms: i64) -> Self {
        Self { capacity, refill_ms, tokens: capacity, refilled_at_ms: i64::MIN }
    }

    /// Adds the tokens due by `now_ms` and returns `true` if the bucket is empty all the same. The part of a refill interval
    /// that has passed is lost.
    pub fn is_empty(&mut self, now_ms: i64) -> bool {
        let due = now_ms.saturating_sub(self.refilled_at_ms) / self.refill_ms;
        if due > 0 {
            self.tokens = self.tokens.saturating_add(due).min(self.capacity);
            self.refilled_at_ms = now_ms;
        }
        self.tokens == 0
    }

    /// Takes a token, if there is one. Returns `false` if the bucket was empty.
    pub fn take(&mut self, now_ms: i64) -> bool {
        let is_empty = self.is_empty(now_ms);
        self.tokens -= i64::from(!is_empty);
        !is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_empties_the_bucket_and_time_refills_it_to_its_capacity() {
        let mut bucket = TokenBucket::new(2, 10);
        let at = |bucket: &mut TokenBucket, now| [bucket.take(now), bucket.take(now), bucket.take(now)];
        assert_eq!(at(&mut bucket, 0), [true, true, false]);
        assert_eq!(at(&mut bucket, 9), [false; 3]);
        assert_eq!(at(&mut bucket, 10), [true, false, false]);
        assert_eq!(at(&mut bucket, i64::MAX), [true, true, false]);
    }

    #[test]
    fn a_clock_that_goes_back_adds_nothing() {
        let mut bucket = TokenBucket::new(1, 10);
        assert!(bucket.take(100));
        assert!(bucket.is_empty(50));
    }
}
