//! How many forwarded calls have rung phones. A caller must not wait for the database, so each instance counts for itself,
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
    /// When it rang the phones, in milliseconds since 1970.
    at: i64,
}

impl Rung {
    /// Returns whether this call may ring phones within `DIAL_PER_MINUTE` and the other caps, and counts it if so. A call
    /// that asks again gets the same answer.
    pub(super) fn may_ring(&self, sid: &CallSid, context: &Context) -> bool {
        let (now, caps, sid) = (context.clock.now_ms(), &context.dial.caps, sid.number());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was ahead would keep phones from ringing until that time comes.
        for call in calls.iter_mut().rev().take_while(|call| call.at > now) {
            call.at = now;
        }
        if calls.iter().any(|call| call.sid == sid) {
            return true;
        }
        let is_within =
            |call: &Call, window: Duration| now - call.at < i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let rung = |window| calls.iter().filter(|call| is_within(call, window)).count();
        let may_ring = caps.iter().all(|cap| rung(cap.window) < usize::try_from(cap.calls).unwrap_or_default());
        let longest = caps.iter().map(|cap| cap.window).max().unwrap_or_default();
        calls.retain(|call| is_within(call, longest));
        if may_ring {
            calls.push_back(Call { sid, at: now });
        }
        may_ring
    }
}
