//! How many phones forwarded calls have rung. A caller must not wait for the database, so each instance counts for itself,
//! from its start on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::context::Context;
use crate::model::call::CallSid;

/// The calls within the longest window of the caps, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rung {
    calls: Mutex<VecDeque<Call>>,
}

#[derive(Debug)]
struct Call {
    /// [`CallSid::number`].
    sid: u128,
    /// When its phones were rung, in milliseconds since 1970.
    at: i64,
    phones: usize,
}

impl Rung {
    /// Returns how many of this many phones may ring now for a call within `DIAL_PER_MINUTE` and the other caps, and counts
    /// those. A call that asks again rings as many as before.
    pub(super) fn ring(&self, sid: &CallSid, phones: usize, context: &Context) -> usize {
        let (now, caps, sid) = (context.clock.now_ms(), &context.dial.caps, sid.number());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was ahead would keep phones from ringing until that time comes.
        for call in calls.iter_mut().rev().take_while(|call| call.at > now) {
            call.at = now;
        }
        if let Some(before) = calls.iter().rev().find(|call| call.sid == sid) {
            return before.phones;
        }
        let is_within =
            |call: &Call, window: Duration| now - call.at < i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let rung = |window| calls.iter().filter(|call| is_within(call, window)).map(|call| call.phones).sum::<usize>();
        let left = caps.iter().map(|cap| (cap.calls as usize).saturating_sub(rung(cap.window)));
        let may_ring = left.min().unwrap_or_default().min(phones);
        let longest = caps.iter().map(|cap| cap.window).max().unwrap_or_default();
        calls.retain(|call| is_within(call, longest));
        if may_ring > 0 {
            calls.push_back(Call { sid, at: now, phones: may_ring });
        }
        may_ring
    }
}
