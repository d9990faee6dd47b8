//! How many phones forwarded calls have rung. A caller must not wait for the database, so each instance counts for itself,
//! from its start on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::context::Context;

/// When phones were rung, in milliseconds since 1970, oldest first: those within the longest window of the caps.
#[derive(Debug, Default)]
pub(super) struct Rung {
    at: Mutex<VecDeque<i64>>,
}

impl Rung {
    /// Returns how many of this many phones may ring now within `DIAL_PER_MINUTE` and the other caps, and counts those.
    pub(super) fn ring(&self, phones: usize, context: &Context) -> usize {
        let (now, caps) = (context.clock.now_ms(), &context.dial.caps);
        let mut rung = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was ahead would keep phones from ringing until that time comes.
        for at in rung.iter_mut().rev().take_while(|at| **at > now) {
            *at = now;
        }
        let before = |window: Duration| {
            let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
            rung.partition_point(|at| now - at >= window)
        };
        let left = caps.iter().map(|cap| (cap.calls as usize).saturating_sub(rung.len() - before(cap.window)));
        let may_ring = left.min().unwrap_or_default().min(phones);
        let outdated = caps.iter().map(|cap| before(cap.window)).min().unwrap_or_default();
        rung.drain(..outdated);
        rung.extend(std::iter::repeat_n(now, may_ring));
        may_ring
    }
}
