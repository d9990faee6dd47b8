//! The handle with which a test controls one emulated vendor.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use tokio::sync::watch;

use super::faults::{Fault, Faults, RandomFaults};
use super::request_log::{LoggedRequest, RequestLog, path};
use crate::sandbox::lock::lock;
use crate::splitmix::SplitMix64;

/// How a request with [`Fault::Late`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateEnd {
    /// The client waited and got its response.
    Answered,
    /// The client disconnected first.
    Abandoned,
}

/// How callbacks that only report progress are delivered. Requests whose response the vendor needs, such as Twilio's
/// for TwiML, are always sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Callbacks {
    /// Sends each callback once, in order.
    #[default]
    Deliver,
    /// Sends none.
    Drop,
    /// Sends each callback twice, concurrently.
    Twice,
    /// Sends them in an impossible order. Twilio holds back the status callbacks of a call until it ends and then sends
    /// them shuffled. AssemblyAI sends the webhook before it responds to the request for the transcript, so that a held
    /// transcript delays that response.
    Shuffled,
}

/// Controls one emulated vendor. Clones share it.
#[derive(Clone)]
pub struct Control {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    pub(super) error_body: fn(StatusCode) -> serde_json::Value,
    pub(super) streamed_path: &'static str,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) log: RequestLog,
    pub(super) latency: Duration,
    pub(super) answers_late_requests: bool,
    pub(super) late_ends: Vec<LateEnd>,
    callbacks: Callbacks,
    /// Decides the order of shuffled callbacks.
    order: SplitMix64,
}

impl Control {
    /// `error_body` writes the vendor's own error for a status. Bodies sent to `streamed_path` are passed on unread.
    pub(in crate::sandbox) fn new(
        error_body: fn(StatusCode) -> serde_json::Value,
        streamed_path: &'static str,
    ) -> Self {
        let (state, changes) = (Mutex::default(), watch::Sender::default());
        Self { inner: Arc::new(Inner { state, changes, error_body, streamed_path }) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    /// Plans a fault for the next request with this method whose path contains this text. Several plans for the same
    /// requests apply one after the other, in the order they were made.
    pub fn fail_next(&self, method: Method, path_contains: &str, fault: Fault) {
        self.state().faults.plan(method, path_contains, fault);
    }

    /// Lets requests of every kind fail at random from now on. Planned faults come first.
    pub fn fail_at_random(&self, faults: RandomFaults) {
        self.state().faults.fail_at_random(Some(faults));
    }

    /// Ends [`fail_at_random`](Self::fail_at_random). Requests that hang already stay so.
    pub fn stop_random_faults(&self) {
        self.state().faults.fail_at_random(None);
    }

    /// Returns how many requests have failed at random.
    pub fn random_fault_count(&self) -> u64 {
        self.state().faults.random_count()
    }

    /// Delays every response by this much. The request itself is carried out at once.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Sets how callbacks are delivered from now on.
    pub fn set_callbacks(&self, callbacks: Callbacks) {
        self.state().callbacks = callbacks;
    }

    pub(in crate::sandbox) fn callbacks(&self) -> Callbacks {
        self.state().callbacks
    }

    pub(in crate::sandbox) fn shuffle<T>(&self, callbacks: &mut [T]) {
        self.state().order.shuffle(callbacks);
    }

    /// Responds to all requests with [`Fault::Late`], those that wait and those to come.
    pub fn answer_late_requests(&self) {
        self.state().answers_late_requests = true;
        self.changed();
    }

    /// Returns how the requests with [`Fault::Late`] have ended.
    pub fn late_ends(&self) -> Vec<LateEnd> {
        self.state().late_ends.clone()
    }

    /// Returns the newest 1,000 requests, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state().log.find(|_| true)
    }

    /// Returns the requests with this method whose path contains this text, oldest first (of the newest 1,000).
    pub fn requests_to(&self, method: Method, path_contains: &str) -> Vec<LoggedRequest> {
        self.state().log.find(|request| request.method == method && path(&request.target).contains(path_contains))
    }

    /// Counts all requests with this method whose route ends with this text. A route is a path with `{id}` in the place
    /// of each id: `/Calls.json`, `/Recordings/{id}.wav`, `/v2/transcript/{id}`.
    pub fn request_count(&self, method: Method, route: &str) -> u64 {
        self.state().log.count(&method, route)
    }

    /// Waits until `fact` returns a value. `fact` is called again after every change at this vendor.
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

    /// Wakes [`until`](Self::until). Call it after every change of the vendor's state.
    pub(in crate::sandbox) fn changed(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }
}
