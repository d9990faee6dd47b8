//! Counts what happens again and again, so that the log says it once, and from then on at most once a minute with a count:
//! strangers can cause it at any rate. What was counted since the last line is said only when it happens again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// Milliseconds between two lines of the log about the same thing.
const PAUSE: i64 = 60_000;

/// What has happened, by what the log would say of it. That must be one of a limited number of texts.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    said_at: i64,
    unsaid: u64,
}

impl Repeats {
    /// Counts this. Returns `None` if the log is not to say it now, or how often it has happened since the log last said it.
    pub fn count(&self, what: String, now_ms: i64) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.entry(what) {
            Entry::Vacant(new) => {
                new.insert(Seen { said_at: now_ms, unsaid: 0 });
                Some(1)
            }
            Entry::Occupied(mut seen) => {
                let seen = seen.get_mut();
                seen.unsaid += 1;
                if now_ms - seen.said_at < PAUSE {
                    return None;
                }
                seen.said_at = now_ms;
                Some(std::mem::take(&mut seen.unsaid))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_said_once_and_then_counted_for_a_minute() {
        let repeats = Repeats::default();
        let count = |what: &str, now_ms| repeats.count(what.to_owned(), now_ms);
        assert_eq!(count("one", 5), Some(1));
        for now_ms in [5, 6, 60_004] {
            assert_eq!(count("one", now_ms), None);
        }
        assert_eq!(count("other", 60_004), Some(1));
        assert_eq!(count("one", 60_005), Some(4));
        assert_eq!(count("one", 60_006), None);
        assert_eq!(count("one", 200_000), Some(2));
        assert_eq!(count("one", 300_000), Some(1), "what is rare is said each time");
    }
}
