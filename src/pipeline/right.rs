//! The right to take a step that costs money or cannot be undone. It ends by the clock: an instance that was held up or
//! stopped finds its right over, because by then another instance may have taken the job over and looked for the step's
//! effect.

use std::sync::PoisonError;
use std::time::Duration;

use super::job::ms;
use crate::clock::Clock;
use crate::context::Context;
use crate::store::Job;

/// How long an intent gives the right to place its call: long enough to repeat a rate-limited request.
pub(super) const RIGHT_TO_CALL: Duration = Duration::from_secs(100);

/// The clock goes on while the process is stopped and, on Linux, while the computer sleeps, and never goes back.
#[derive(Debug, Clone)]
pub(super) struct Right {
    clock: Clock,
    until: i64,
}

impl Right {
    /// The right that an intent gives, for this long after the time that is stored with it. That time was read before the
    /// commit began, so a slow commit uses the right up.
    pub(super) fn of_intent(context: &Context, intended_at: i64, lasts: Duration) -> Self {
        Self { clock: context.clock.clone(), until: intended_at + ms(lasts) }
    }

    /// The right that a claim gives until its lease, as last renewed, runs out.
    pub(super) fn of_claim(context: &Context, job: &Job) -> Self {
        let leased = context.leased.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = leased.get(&(job.kind, job.subject.clone())).filter(|renewed| renewed.claim == job.claim);
        Self { clock: context.clock.clone(), until: renewed.map_or(0, |renewed| renewed.leased_until) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clock.now_ms() >= self.until
    }
}
