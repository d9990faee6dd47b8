//! What the emulated account holds: calls and recordings, as plain data. How they look outside, `wire` knows.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::media::Audio;
use super::{Delivery, Outcome};
use crate::clock;
use crate::sandbox::register::Register;

/// All of it.
#[derive(Default)]
pub(super) struct State {
    pub(super) calls: Register<Call>,
    recordings: Register<Recording>,
    /// Where the recordings of a call stand among all.
    recordings_of: HashMap<String, Vec<u64>>,
    pub(super) deliveries: VecDeque<Delivery>,
    /// Calls created so far by the token in their address; see [`Twilio::placed_per_token`](super::Twilio::placed_per_token).
    pub(super) placed: HashMap<String, u64>,
    /// What happens to the next call; answered if nothing is said.
    pub(super) next_outcome: Outcome,
    /// Whether new recordings of the speech are marked.
    pub(super) marking: bool,
    /// Lives of calls and deliveries that are under way.
    pub(super) busy: usize,
}

impl State {
    pub(super) fn add_call(&mut self, call: Call) {
        self.calls.push(&call.sid.clone(), call);
    }

    pub(super) fn call(&self, sid: &str) -> Option<&Call> {
        self.calls.get(sid)
    }

    pub(super) fn call_mut(&mut self, sid: &str) -> Option<&mut Call> {
        self.calls.get_mut(sid)
    }

    /// Notes that a call was created which asks for its first document here.
    pub(super) fn count_placed(&mut self, url: &str) {
        let url = Url::parse(url).ok();
        let token = url.and_then(|url| Some(url.query_pairs().find(|(name, _)| name == "t")?.1.into_owned()));
        *self.placed.entry(token.unwrap_or_default()).or_default() += 1;
    }

    /// Adds a recording, marked if it is to be; returns it as it is now.
    pub(super) fn add_recording(&mut self, mut recording: Recording) -> Recording {
        if self.marking && recording.audio == Audio::Speech {
            recording.audio = Audio::Marked { bytes: 0 };
        }
        let place = self.recordings.push(&recording.sid, recording.clone());
        self.recordings_of.entry(recording.call_sid.clone()).or_default().push(place);
        recording
    }

    /// The recording, if it is there and, where a call is named, of that call.
    pub(super) fn recording(&self, call: Option<&str>, sid: &str) -> Option<&Recording> {
        self.recordings.get(sid).filter(|one| call.is_none_or(|call| one.call_sid == call))
    }

    pub(super) fn recording_mut(&mut self, sid: &str) -> Option<&mut Recording> {
        self.recordings.get_mut(sid)
    }

    pub(super) fn remove_recording(&mut self, sid: &str) {
        let place = self.recordings.place(sid);
        let Some(recording) = self.recordings.remove(sid) else { return };
        if let Some(places) = self.recordings_of.get_mut(&recording.call_sid) {
            places.retain(|one| Some(*one) != place);
        }
    }

    /// The recordings of a call with their places, or all, oldest first.
    pub(super) fn recordings(&self, call: Option<&str>) -> Vec<(u64, &Recording)> {
        let Some(call) = call else { return self.recordings.iter().collect() };
        let places = self.recordings_of.get(call).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| Some((*place, self.recordings.at(*place)?))).collect()
    }
}

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call {
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
    /// Tells that the call is over to whoever waits for that alone.
    pub(super) over: CancellationToken,
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
    pub(super) fn new(to: &str, from: &str) -> Self {
        let now = clock::now();
        Self {
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
            over: CancellationToken::new(),
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
            self.over.cancel();
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
    pub(super) fn new(call_sid: &str) -> Self {
        let now = clock::now();
        Self {
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
