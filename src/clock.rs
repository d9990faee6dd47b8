//! The only place that reads the time of day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// How far the system's clock may be ahead of this one before this one follows it: then it was set, or the computer slept.
const MAX_LAG: SignedDuration = SignedDuration::from_secs(1);

/// Returns the system's time, which may go back. For dates in what the sandbox sends.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time by which work is scheduled. It never goes back: if the system's clock is set back, this one advances with the
/// monotonic clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
enum Inner {
    System(Mutex<(Timestamp, SignedDuration)>),
    Manual(watch::Sender<Timestamp>),
}

impl Clock {
    /// Returns a clock that follows the computer's own.
    pub fn system() -> Self {
        Self { inner: Arc::new(Inner::System(Mutex::new((Timestamp::now(), monotonic())))) }
    }

    /// Returns a clock that only [`Clock::advance`] moves, for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self { inner: Arc::new(Inner::Manual(watch::Sender::new(start))) }
    }

    /// Returns the time, never an earlier one than before.
    pub fn now(&self) -> Timestamp {
        match &*self.inner {
            Inner::Manual(now) => *now.borrow(),
            Inner::System(anchor) => {
                let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
                let passed = monotonic();
                let time = anchor.0.checked_add(passed - anchor.1).unwrap_or(anchor.0);
                let system = Timestamp::now();
                if system.duration_since(time) > MAX_LAG {
                    *anchor = (system, passed);
                    return system;
                }
                time
            }
        }
    }

    /// Returns milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Advances a clock of [`Clock::manual`].
    ///
    /// # Panics
    /// If it is the system's clock.
    pub fn advance(&self, by: Duration) {
        let Inner::Manual(now) = &*self.inner else { panic!("the system's clock cannot be advanced") };
        now.send_modify(|now| *now = now.checked_add(by).expect("a time within the calendar"));
    }
}

/// Returns the time since a fixed moment, with the time that the computer has slept.
#[cfg(target_os = "linux")]
fn monotonic() -> SignedDuration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    SignedDuration::new(time.tv_sec, i32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Returns the time since a fixed moment. It may stand still while the computer sleeps.
#[cfg(not(target_os = "linux"))]
fn monotonic() -> SignedDuration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    SignedDuration::try_from(START.elapsed()).unwrap_or(SignedDuration::MAX)
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
    fn a_manual_clock_stands_still_until_it_is_advanced() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let same = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(same.now_ms(), 90_000);
    }
}
