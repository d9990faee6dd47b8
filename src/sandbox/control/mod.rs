//! How tests steer an emulated vendor: what goes wrong, what it was asked, and waiting for something to be true.
//!
//! Reading order: `faults` is what can go wrong and when, `log` what the vendor was asked, `steer` is the layer in front
//! of the vendor that lets both happen. Knows nothing of either vendor. In `--sandbox` mode nobody steers, and what is
//! remembered is bounded.

mod faults;
mod log;
mod steer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use tokio::sync::watch;

pub use faults::{Fault, RandomFaults};
pub use log::LoggedRequest;
pub(super) use steer::steer;

use self::faults::Faults;
use self::log::Log;
use super::splitmix::SplitMix64;

/// How a request with [`Fault::Late`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateEnd {
    /// The client waited and was answered.
    Answered,
    /// The client went away before.
    Abandoned,
}

/// What becomes of the callbacks that tell the program how things get on. What a vendor asks because it needs the answer,
/// such as Twilio its TwiML, is asked all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Callbacks {
    /// Each is sent once, and in order.
    #[default]
    Deliver,
    /// None is ever sent.
    Drop,
    /// Each is sent twice at the same time.
    Twice,
    /// They come in an order that they cannot have happened in. Twilio keeps the reports of a call until it is over and
    /// sends them shuffled; AssemblyAI tells that a transcript is finished before it answers the order for it, so that a
    /// held transcript keeps its order waiting.
    Shuffled,
}

/// The switchboard of one emulated vendor. Clones share it.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    faults: Mutex<Faults>,
    log: Mutex<Log>,
    callbacks: Mutex<Callbacks>,
    /// Drawn for the order of callbacks.
    lots: Mutex<SplitMix64>,
    latency: Mutex<Duration>,
    changes: watch::Sender<u64>,
    late_is_over: Mutex<bool>,
    late_ends: Mutex<Vec<LateEnd>>,
    error_body: fn(StatusCode) -> serde_json::Value,
    streamed_path: &'static str,
}

impl Control {
    /// `error_body` writes the vendor's own error for a status. Bodies sent to `streamed_path` are passed on unread.
    pub(super) fn new(error_body: fn(StatusCode) -> serde_json::Value, streamed_path: &'static str) -> Self {
        let inner = Inner {
            faults: Mutex::default(),
            log: Mutex::default(),
            callbacks: Mutex::default(),
            lots: Mutex::new(SplitMix64::new(0)),
            latency: Mutex::default(),
            changes: watch::Sender::new(0),
            late_is_over: Mutex::default(),
            late_ends: Mutex::default(),
            error_body,
            streamed_path,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Plans a fault for the next request of this method whose path contains this text. Several plans for the same
    /// requests happen one after the other, in the order they were made.
    pub fn fail_next(&self, method: Method, path_contains: &str, fault: Fault) {
        lock(&self.inner.faults).plan(method, path_contains, fault);
    }

    /// From now on requests fail at random: those that are read and those that cost money, whatever they ask for. Planned
    /// faults come first.
    pub fn fail_at_random(&self, disturbance: RandomFaults) {
        lock(&self.inner.faults).fail_at_random(Some(disturbance));
    }

    /// Ends [`fail_at_random`](Self::fail_at_random). What hangs goes on hanging.
    pub fn stop_random_faults(&self) {
        lock(&self.inner.faults).fail_at_random(None);
    }

    /// How many requests failed at random so far.
    pub fn random_fault_count(&self) -> u64 {
        lock(&self.inner.faults).random_count()
    }

    /// Lets every answer come this much later. What is asked for is done at once.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.inner.latency) = latency;
    }

    /// What becomes of the callbacks that are due from now on.
    pub fn set_callbacks(&self, callbacks: Callbacks) {
        *lock(&self.inner.callbacks) = callbacks;
    }

    /// What becomes of a callback that is due now.
    pub(super) fn callbacks(&self) -> Callbacks {
        *lock(&self.inner.callbacks)
    }

    /// Puts callbacks into an order that nobody planned.
    pub(super) fn shuffle<T>(&self, callbacks: &mut [T]) {
        lock(&self.inner.lots).shuffle(callbacks);
    }

    /// Answers every request with [`Fault::Late`], those that wait and those to come.
    pub fn answer_late_requests(&self) {
        *lock(&self.inner.late_is_over) = true;
        self.changed();
    }

    /// How the requests with [`Fault::Late`] ended so far.
    pub fn late_ends(&self) -> Vec<LateEnd> {
        lock(&self.inner.late_ends).clone()
    }

    /// What the vendor was asked, oldest first (the newest 1,000).
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.inner.log).seen(|_| true)
    }

    /// What the vendor was asked by this method at paths that contain this text, oldest first (of the newest 1,000).
    pub fn requests_to(&self, method: Method, path_contains: &str) -> Vec<LoggedRequest> {
        lock(&self.inner.log).seen(|seen| seen.method == method && path(&seen.target).contains(path_contains))
    }

    /// How often the vendor was asked by this method at the routes that end with this text; no request is forgotten. A
    /// route is a path in which each id is `{id}`: `/Calls.json`, `/Recordings/{id}.wav`, `/v2/transcript/{id}`.
    pub fn request_count(&self, method: Method, route: &str) -> u64 {
        lock(&self.inner.log).request_count(&method, route)
    }

    /// Waits until `fact` returns something. It is asked again whenever anything changes at this vendor.
    pub async fn until<T>(&self, mut fact: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(value) = fact() {
                return value;
            }
            changes.changed().await.expect("the sender lives as long as self");
        }
    }

    /// To be called after every change of the vendor's state.
    pub(super) fn changed(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A test that panicked while holding the lock has already failed; the others go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
