//! How often calls asked for the same TwiML, so that one that asks in a circle is hung up. Each instance has its own memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::model::call::CallSid;

/// Calls that are remembered: those of an hour in which one begins each second.
const REMEMBERED: usize = 3_600;

/// How many times each call asked; the oldest call is forgotten first.
#[derive(Debug)]
pub(super) struct Greeted {
    /// How often a call may ask.
    most: u8,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: HashMap<u128, u8>,
    order: VecDeque<u128>,
}

impl Greeted {
    pub(super) fn new(most: u8) -> Self {
        Self { most, inner: Mutex::default() }
    }

    /// Counts a request. Returns `false` if the call has asked often enough before.
    pub(super) fn count(&self, call: &CallSid) -> bool {
        let call = call.number();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { counts, order } = &mut *inner;
        if let Some(count) = counts.get_mut(&call) {
            *count = count.saturating_add(1);
            return *count <= self.most;
        }
        if order.len() == REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            counts.remove(&oldest);
        }
        counts.insert(call, 1);
        order.push_back(call);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_greeted_twice_at_most_and_others_all_the_same() {
        let greeted = Greeted::new(2);
        let sid = |number: usize| format!("CA{number:032x}").parse::<CallSid>().expect("a SID");
        let asked: Vec<bool> = (0..4).map(|_| greeted.count(&sid(0))).collect();
        assert_eq!(asked, [true, true, false, false]);
        for other in 1..2 * REMEMBERED {
            assert!(greeted.count(&sid(other)));
        }
        assert_eq!(greeted.inner.lock().expect("no panic").counts.len(), REMEMBERED, "and memory ends somewhere");
    }
}
