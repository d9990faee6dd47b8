//! The slots: how many connections are open, and which one is closed for a new one. Knows nothing of HTTP.
//!
//! Anyone can open connections and send nothing. So once the general slots are taken, a new connection gets the slot of
//! the one that has waited longest for its client: for a whole request, or for the client to read a response. What runs
//! for a whole request is never interrupted, nor is anything after [`Slot::keep`]. If no connection waits, the new one
//! gets a reserved slot, where only privileged requests are served.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::metrics::Connections;

/// All slots.
#[derive(Debug)]
pub(super) struct Slots {
    general: usize,
    reserved: usize,
    taken: Mutex<Taken>,
    connections: Connections,
}

#[derive(Debug, Default)]
struct Taken {
    general: Vec<Slot>,
    reserved: Vec<Slot>,
}

/// A connection's slot, as its request sees it. Clones are the same slot.
#[derive(Debug, Clone)]
pub struct Slot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_reserved: bool,
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the connection began to wait for its client, as a number of the order in which connections did.
    waiting_since: Option<u64>,
    /// The same for a client that does not read its response, which may also be one that still sends its request.
    stalled_since: Option<u64>,
    /// It is kept while it waits, until its response is sent.
    is_kept: bool,
    /// The response is complete, but not sent yet.
    is_answered: bool,
    is_evicted: bool,
    /// The connection ends with this request, of whose body a part was not read.
    lingers: bool,
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    slot: Slot,
    slots: Arc<Slots>,
    has_evicted: bool,
}

impl Slots {
    pub(super) fn new(general: usize, reserved: usize, connections: Connections) -> Arc<Self> {
        connections.limit(false, general);
        connections.limit(true, reserved);
        Arc::new(Self { general, reserved, taken: Mutex::default(), connections })
    }

    /// Takes a slot for a new connection. Returns `None` if all are taken and no connection waits for its client.
    pub(super) fn take(self: &Arc<Self>) -> Option<Held> {
        let mut taken = lock(&self.taken);
        let Taken { general, reserved } = &mut *taken;
        for (taken, limit, is_reserved) in [(general, self.general, false), (reserved, self.reserved, true)] {
            let is_full = taken.len() >= limit;
            if !is_full || evict(taken) {
                if is_full {
                    self.connections.evicted.inc();
                }
                let slot = Slot::new(is_reserved);
                taken.push(slot.clone());
                self.connections.open(is_reserved).inc();
                return Some(Held { slot, slots: Arc::clone(self), has_evicted: is_full });
            }
        }
        self.connections.refused.inc();
        None
    }
}

/// Evicts the connection that has waited longest. Returns `false` if none waits.
fn evict(taken: &mut Vec<Slot>) -> bool {
    loop {
        let waiting = taken.iter().enumerate().filter_map(|(index, slot)| Some((slot.state().since()?, index)));
        let Some((since, index)) = waiting.min() else { return false };
        // Its request may have become whole in the meantime.
        if taken[index].evict(since) {
            taken.swap_remove(index);
            return true;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the next number in the order in which connections begin to wait.
fn next() -> Option<u64> {
    static ORDER: AtomicU64 = AtomicU64::new(0);
    Some(ORDER.fetch_add(1, Ordering::Relaxed))
}

impl State {
    /// When the connection began to wait for its client, or `None` if it does not.
    fn since(&self) -> Option<u64> {
        [self.waiting_since, self.stalled_since].into_iter().flatten().min()
    }
}

impl Slot {
    fn new(is_reserved: bool) -> Self {
        let state = State { waiting_since: next(), ..State::default() };
        Self(Arc::new(Inner { is_reserved, state: Mutex::new(state), evicted: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Whether only privileged requests may be served.
    pub(super) fn is_reserved(&self) -> bool {
        self.0.is_reserved
    }

    /// Keeps the connection until its response is sent, even while it waits for its client, as during a long upload. For
    /// requests of the operator.
    pub fn keep(&self) {
        let mut state = self.state();
        (state.is_kept, state.waiting_since, state.stalled_since) = (true, None, None);
    }

    /// A request's head has arrived; `is_whole` if it has no body. Returns `false` if the connection is evicted: then the
    /// request must not run.
    pub(super) fn head_arrived(&self, is_whole: bool) -> bool {
        let mut state = self.state();
        (state.is_kept, state.is_answered) = (false, false);
        state.waiting_since = if is_whole { None } else { next() };
        !state.is_evicted
    }

    /// The request's body has arrived. Returns `false` if the connection is evicted: then the request must not run.
    pub(super) fn body_arrived(&self) -> bool {
        let mut state = self.state();
        state.waiting_since = None;
        !state.is_evicted
    }

    /// The connection ends with this request, of whose body a part was not read.
    pub(super) fn linger(&self) {
        self.state().lingers = true;
    }

    /// Whether [`linger`](Self::linger) was called.
    pub(super) fn lingers(&self) -> bool {
        self.state().lingers
    }

    /// The response is complete.
    pub(super) fn answered(&self) {
        self.state().is_answered = true;
    }

    /// Everything written is sent. If it was a whole response, the connection waits for the next request.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        if state.is_answered {
            (state.is_answered, state.is_kept, state.waiting_since) = (false, false, next());
        }
    }

    /// The client does not read its response.
    pub(super) fn stalled(&self) {
        let mut state = self.state();
        if !state.is_kept {
            state.stalled_since = next();
        }
    }

    /// The client reads again.
    pub(super) fn resumed(&self) {
        self.state().stalled_since = None;
    }

    /// Evicts the connection if it still waits since then.
    fn evict(&self, since: u64) -> bool {
        let mut state = self.state();
        let is_evicted = state.since() == Some(since);
        if is_evicted {
            state.is_evicted = true;
            self.0.evicted.notify_one();
        }
        is_evicted
    }

    /// Waits until the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.0.evicted.notified().await;
    }
}

impl Held {
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Whether another connection was evicted for this one.
    pub(super) fn has_evicted(&self) -> bool {
        self.has_evicted
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.slots.connections.open(self.slot.is_reserved()).dec();
        let mut taken = lock(&self.slots.taken);
        let taken = if self.slot.is_reserved() { &mut taken.reserved } else { &mut taken.general };
        // An evicted one is no longer there.
        if let Some(index) = taken.iter().position(|slot| Arc::ptr_eq(&slot.0, &self.slot.0)) {
            taken.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these connections are evicted.
    fn evicted<const N: usize>(held: [&Held; N]) -> [bool; N] {
        held.map(|held| held.slot.state().is_evicted)
    }

    #[test]
    fn the_connection_that_has_waited_longest_is_evicted() {
        let slots = Slots::new(3, 0, Connections::default());
        let [one, two, three] = [(); 3].map(|()| slots.take().expect("a free slot"));
        // The first one is served and then waits again.
        assert!(one.slot.head_arrived(true));
        one.slot.answered();
        one.slot.sent();
        let four = slots.take().expect("a slot");
        assert_eq!(evicted([&one, &two, &three, &four]), [false, true, false, false]);
        assert!(!two.slot.head_arrived(true), "an evicted connection serves nothing");
        let five = slots.take().expect("a slot");
        assert_eq!(evicted([&one, &three, &four, &five]), [false, true, false, false]);
        drop((two, three));
        assert!(slots.take().is_some());
        assert_eq!(evicted([&one, &four, &five]), [true, false, false], "the dropped ones were not counted twice");
    }

    #[test]
    fn a_connection_is_evicted_only_while_it_waits_for_its_client() {
        let slots = Slots::new(1, 0, Connections::default());
        let held = slots.take().expect("a free slot");
        let is_evictable = || {
            let state = held.slot.state();
            state.since().is_some()
        };
        assert!(is_evictable(), "no head");
        held.slot.head_arrived(false);
        assert!(is_evictable(), "no body");
        held.slot.stalled();
        held.slot.resumed();
        assert!(is_evictable(), "still no body, although the client has read an early response");
        held.slot.body_arrived();
        assert!(!is_evictable() && slots.take().is_none(), "it runs");
        held.slot.sent();
        assert!(!is_evictable(), "a part of the response was sent");
        held.slot.stalled();
        assert!(is_evictable(), "the client does not read");
        held.slot.resumed();
        held.slot.answered();
        assert!(!is_evictable(), "the response is on its way");
        held.slot.sent();
        assert!(is_evictable(), "it is idle");
    }

    #[test]
    fn a_kept_connection_is_evicted_only_after_its_response() {
        let slots = Slots::new(1, 0, Connections::default());
        let held = slots.take().expect("a free slot");
        held.slot.head_arrived(false);
        held.slot.keep();
        held.slot.stalled();
        assert!(slots.take().is_none());
        held.slot.answered();
        held.slot.sent();
        assert!(slots.take().is_some());
    }

    #[test]
    fn reserved_slots_are_for_when_no_connection_waits() {
        let slots = Slots::new(1, 1, Connections::default());
        let general = slots.take().expect("a free slot");
        assert!(general.slot.head_arrived(true));
        let reserved = slots.take().expect("a reserved slot");
        assert!(!general.slot.is_reserved() && reserved.slot.is_reserved());
        assert!(slots.take().is_some_and(|held| held.slot.is_reserved()));
        assert_eq!(evicted([&general, &reserved]), [false, true]);
    }
}
