//! The only place that reads the time of day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// How far ahead the system's clock may be of what has passed here before it is believed: it was set, or the computer
/// slept.
const AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// The time of day, for what has to be right to the second in itself: dates in what the sandbox sends.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time by which work is planned. It never goes back: where the system's clock is set back, this one goes on with
/// what has passed. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
enum Inner {
    System(Mutex<(Timestamp, Instant)>),
    ByHand(watch::Sender<Timestamp>),
}

impl Clock {
    /// That of the computer.
    pub fn system() -> Self {
        Self { inner: Arc::new(Inner::System(Mutex::new((Timestamp::now(), Instant::now())))) }
    }

    /// One that a test moves.
    pub fn by_hand(start: Timestamp) -> Self {
        Self { inner: Arc::new(Inner::ByHand(watch::Sender::new(start))) }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &*self.inner {
            Inner::ByHand(now) => *now.borrow(),
            Inner::System(anchor) => {
                let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
                let passed = SignedDuration::try_from(anchor.1.elapsed()).unwrap_or(SignedDuration::MAX);
                let here = anchor.0.checked_add(passed).unwrap_or(anchor.0);
                let system = Timestamp::now();
                if system.duration_since(here) > AHEAD {
                    *anchor = (system, Instant::now());
                    return system;
                }
                here
            }
        }
    }

    /// The time in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Moves a clock that goes by hand.
    ///
    /// # Panics
    /// If it is the computer's.
    pub fn advance(&self, by: Duration) {
        let Inner::ByHand(now) = &*self.inner else { panic!("only a clock that goes by hand can be moved") };
        now.send_modify(|now| *now = now.checked_add(by).expect("a time within the calendar"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_computers_clock_goes_forward() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(Timestamp::now().duration_since(first).abs() < SignedDuration::from_mins(1));
    }

    #[test]
    fn a_clock_by_hand_stands_still_until_it_is_moved() {
        let clock = Clock::by_hand(Timestamp::UNIX_EPOCH);
        let same = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(same.now_ms(), 90_000);
    }
}
