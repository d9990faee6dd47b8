//! What the emulated account holds: calls and recordings, as plain data. How they look outside, `wire` knows.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;

use super::media::Audio;
use super::{Delivery, Outcome, Stage};
use crate::clock;

/// All of it. Lists are oldest first.
#[derive(Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) recordings: Vec<Recording>,
    pub(super) deliveries: VecDeque<Delivery>,
    /// What happens to the next call; answered if nothing is said.
    pub(super) next_outcome: Outcome,
    /// Where calls have to wait.
    pub(super) held: BTreeSet<Stage>,
    /// Lives of calls and deliveries that are under way.
    pub(super) busy: usize,
    last_serial: u64,
}

impl State {
    /// The next place in the order of creation.
    pub(super) fn serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    pub(super) fn call(&self, sid: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.sid == sid)
    }

    pub(super) fn call_mut(&mut self, sid: &str) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.sid == sid)
    }

    /// The recording, if it is there and, where a call is named, of that call.
    pub(super) fn recording(&self, call: Option<&str>, sid: &str) -> Option<&Recording> {
        self.recordings.iter().find(|one| one.sid == sid && call.is_none_or(|call| one.call_sid == call))
    }

    pub(super) fn recording_mut(&mut self, sid: &str) -> Option<&mut Recording> {
        self.recordings.iter_mut().find(|recording| recording.sid == sid)
    }
}

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) serial: u64,
    pub(super) sid: String,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) status: &'static str,
    pub(super) inbound: bool,
    pub(super) outcome: Outcome,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) answered: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// How long everything that was said would have taken, also when no time passes here.
    pub(super) talked: Duration,
    /// Status callbacks sent so far.
    pub(super) reports: u32,
    pub(super) plan: Plan,
}

/// What the request for the call asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) url: String,
    pub(super) method: Method,
    pub(super) status: Option<Hook>,
    pub(super) time_limit: Option<Duration>,
    /// `Record=true`: channels, and whom to tell.
    pub(super) record: Option<(u8, Option<Hook>)>,
}

/// Whom to tell what.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) url: String,
    pub(super) method: Method,
    pub(super) events: Vec<String>,
}

impl Call {
    /// A call that nobody has begun yet.
    pub(super) fn new(serial: u64, to: &str, from: &str) -> Self {
        let now = clock::now();
        Self {
            serial,
            sid: sid("CA"),
            to: to.to_owned(),
            from: from.to_owned(),
            status: "queued",
            inbound: false,
            outcome: Outcome::default(),
            created: now,
            updated: now,
            answered: None,
            ended: None,
            talked: Duration::ZERO,
            reports: 0,
            plan: Plan::default(),
        }
    }

    /// Moves the call on. A call that is over stays as it ended.
    pub(super) fn enter(&mut self, status: &'static str) {
        if self.is_over() {
            return;
        }
        self.status = status;
        self.updated = clock::now();
        if status == "in-progress" {
            self.answered = Some(self.updated);
        }
        if self.is_over() {
            self.ended = Some(self.updated);
        }
    }

    /// Whether nothing more will happen to it.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.status, "queued" | "ringing" | "in-progress")
    }

    /// The length of a call that took place, in whole seconds begun.
    pub(super) fn seconds(&self) -> Option<u64> {
        let passed = self.ended?.duration_since(self.answered?).unsigned_abs();
        Some(passed.max(self.talked).as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
    }
}

/// A recording.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) serial: u64,
    pub(super) sid: String,
    pub(super) call_sid: String,
    pub(super) status: &'static str,
    pub(super) channels: u8,
    pub(super) source: &'static str,
    pub(super) duration: Duration,
    pub(super) error_code: Option<u32>,
    pub(super) audio: Audio,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) hook: Option<Hook>,
}

impl Recording {
    /// A recording of this call that begins now: mono, and of the sandbox's speech.
    pub(super) fn new(serial: u64, call_sid: &str) -> Self {
        let now = clock::now();
        Self {
            serial,
            sid: sid("RE"),
            call_sid: call_sid.to_owned(),
            status: "in-progress",
            channels: 1,
            source: "RecordVerb",
            duration: Duration::ZERO,
            error_code: None,
            audio: Audio::Speech,
            created: now,
            updated: now,
            hook: None,
        }
    }

    /// Moves the recording on.
    pub(super) fn enter(&mut self, status: &'static str) {
        self.status = status;
        self.updated = clock::now();
    }
}

/// A new SID.
pub(super) fn sid(kind: &str) -> String {
    format!("{kind}{}", uuid::Uuid::new_v4().simple())
}
