//! The emulated account: calls and recordings, as plain data. `wire` writes them as Twilio does.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::audio::Audio;
use super::encryption::{Encryption, PublicKey};
use super::form::Param;
use crate::clients::twilio::signature::Algorithm;
use crate::clock;
use crate::sandbox::ordered_map::OrderedMap;

/// Maximum number of deliveries kept.
const MAX_DELIVERIES: usize = 1_000;

#[derive(Default)]
pub(super) struct Account {
    pub(super) calls: OrderedMap<Call>,
    recordings: OrderedMap<Recording>,
    /// Serial numbers of recordings by call SID.
    recordings_of: HashMap<String, Vec<u64>>,
    pub(super) deliveries: VecDeque<Delivery>,
    /// See [`Twilio::placed_per_token`](super::Twilio::placed_per_token).
    pub(super) placed: HashMap<String, u64>,
    pub(super) next_outcome: Option<Outcome>,
    /// The voice webhook of the number; empty until a call comes in.
    pub(super) voice_url: String,
    /// See [`Twilio::speak_as_another_api`](super::Twilio::speak_as_another_api).
    pub(super) is_another_api: bool,
    /// Refuses every request but `POST Calls`, with this code and sentence.
    pub(super) refusal: Option<(u32, &'static str)>,
    /// What new recordings are encrypted with.
    pub(super) public_key: Option<PublicKey>,
    /// What callbacks are signed with instead of the auth token.
    pub(super) shared_key: Option<SharedKey>,
    /// Whether new recordings of the speech are marked with their SID.
    pub(super) marks_recordings: bool,
    /// See [`Twilio::price_calls`](super::Twilio::price_calls).
    pub(super) prices_in: Option<&'static str>,
    /// Background tasks: running calls, recordings being processed and callbacks being sent.
    pub(super) busy: usize,
}

/// A key of the webhook configuration, with the algorithm it is used with.
#[derive(Debug, Clone)]
pub struct SharedKey {
    pub id: String,
    pub secret: String,
    pub algorithm: Algorithm,
}

/// What happens when a call rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// The callee answers, speaks when a recording begins, and presses `#`.
    #[default]
    Answered,
    /// The callee answers, speaks, and hangs up, also on whom `<Dial>` has connected.
    HangsUp,
    /// The callee answers and makes no sound, so that `<Record>` has nothing to record.
    Silent,
    /// The callee answers and presses `#` at once; the recording becomes `absent` with error 16101.
    TooShort,
    /// A voicemail box answers. It speaks, and presses no key.
    Voicemail,
    Busy,
    NoAnswer,
    /// The number cannot be reached.
    Failed,
}

impl Outcome {
    /// Whether somebody is there who presses a key where a verb asks for one.
    pub(super) fn presses_keys(self) -> bool {
        matches!(self, Self::Answered | Self::HangsUp | Self::TooShort)
    }
}

/// A callback that was sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// With its query.
    pub url: String,
    /// From the form or, for GET, the query.
    pub params: Vec<Param>,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
}

impl Account {
    pub(super) fn add_call(&mut self, call: Call) {
        self.calls.push(&call.sid.clone(), call);
    }

    pub(super) fn call(&self, sid: &str) -> Option<&Call> {
        self.calls.get(sid)
    }

    pub(super) fn call_mut(&mut self, sid: &str) -> Option<&mut Call> {
        self.calls.get_mut(sid)
    }

    /// Counts a call created through the API, by the `t` in the query of its `Url`.
    pub(super) fn count_placed(&mut self, document: &Document) {
        let token = match document {
            Document::At(_, url) => {
                url.query_pairs().find(|(name, _)| name == "t").map(|(_, token)| token.into_owned())
            }
            Document::Inline(_) => None,
        };
        *self.placed.entry(token.unwrap_or_default()).or_default() += 1;
    }

    /// Adds a recording and returns it, marked if new recordings are.
    pub(super) fn add_recording(&mut self, mut recording: Recording) -> Recording {
        recording.encryption = self.public_key.as_ref().map(PublicKey::encrypt_new);
        if self.marks_recordings {
            recording.audio = recording.audio.marked();
        }
        let serial = self.recordings.push(&recording.sid, recording.clone());
        self.recordings_of.entry(recording.call_sid.clone()).or_default().push(serial);
        recording
    }

    /// Returns the recording with this SID; if a call is given, only if it is of that call.
    pub(super) fn recording(&self, call_sid: Option<&str>, sid: &str) -> Option<&Recording> {
        self.recordings.get(sid).filter(|recording| call_sid.is_none_or(|call_sid| recording.call_sid == call_sid))
    }

    /// Returns the recording that the last status callback of a call reports: the one that a request asked for with the
    /// call, or that `<Dial>` makes of it.
    pub(super) fn recording_reported_with(&self, call_sid: &str) -> Option<&Recording> {
        if let Some(sid) = &self.call(call_sid)?.dial_recording {
            return self.recordings.get(sid);
        }
        let mut recordings = self.recordings(Some(call_sid)).into_iter().map(|(_, recording)| recording);
        recordings.find(|recording| recording.source == "OutboundAPI")
    }

    pub(super) fn recording_mut(&mut self, sid: &str) -> Option<&mut Recording> {
        self.recordings.get_mut(sid)
    }

    pub(super) fn remove_recording(&mut self, sid: &str) {
        let serial = self.recordings.serial(sid);
        let Some(recording) = self.recordings.remove(sid) else { return };
        if let Some(serials) = self.recordings_of.get_mut(&recording.call_sid) {
            serials.retain(|one| Some(*one) != serial);
        }
    }

    /// Returns the recordings of a call, or all, with their serial numbers, oldest first.
    pub(super) fn recordings(&self, call_sid: Option<&str>) -> Vec<(u64, &Recording)> {
        let Some(call_sid) = call_sid else { return self.recordings.iter().collect() };
        let serials = self.recordings_of.get(call_sid).map(Vec::as_slice).unwrap_or_default();
        serials.iter().filter_map(|serial| Some((*serial, self.recordings.by_serial(*serial)?))).collect()
    }

    pub(super) fn add_delivery(&mut self, delivery: Delivery) {
        if self.deliveries.len() == MAX_DELIVERIES {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) sid: String,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) status: &'static str,
    pub(super) inbound: bool,
    /// The call whose `<Dial>` made this one.
    pub(super) parent: Option<String>,
    /// Whether the person who picked up has heard the whisper of `<Dial>` and can be connected.
    pub(super) is_ready: bool,
    /// The recording that `<Dial>` makes of this call and its parent.
    pub(super) dial_recording: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// When the call was dialed, or came in.
    pub(super) started: Option<Timestamp>,
    pub(super) answered: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// How long the conversation takes at a live pace, also if no time passes here.
    pub(super) talk_time: Duration,
    /// `SequenceNumber` of the next status callback.
    pub(super) sequence_number: u32,
    pub(super) options: CallOptions,
    /// The document that a request has last redirected the call to.
    pub(super) redirect: watch::Sender<Document>,
    /// Canceled when the call ends.
    pub(super) end: CancellationToken,
}

/// The parameters of `POST Calls.json` beside the numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct CallOptions {
    /// The first document.
    pub(super) document: Document,
    pub(super) status_callback: Option<StatusCallback>,
    pub(super) time_limit: Option<Duration>,
    /// `Record=true`: the number of channels, and the recording status callback.
    pub(super) record: Option<(u8, Option<StatusCallback>)>,
}

/// A TwiML document.
#[derive(Debug, Clone)]
pub(super) enum Document {
    /// Fetched from the program.
    At(Method, Url),
    /// Given in the request.
    Inline(String),
}

impl Default for Document {
    fn default() -> Self {
        Self::Inline("<Response/>".to_owned())
    }
}

/// Where to send status callbacks, and for which events.
#[derive(Debug, Clone)]
pub(super) struct StatusCallback {
    pub(super) url: String,
    pub(super) method: Method,
    pub(super) events: Vec<String>,
}

impl StatusCallback {
    /// Events may be separated by spaces. Without any, the event is `completed`.
    pub(super) fn new<'a>(url: &str, method: Method, events: impl Iterator<Item = &'a str>) -> Self {
        let mut events: Vec<String> = events.flat_map(str::split_whitespace).map(str::to_owned).collect();
        if events.is_empty() {
            events.push("completed".to_owned());
        }
        Self { url: url.to_owned(), method, events }
    }

    pub(super) fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|one| one == event)
    }
}

impl Call {
    /// Returns a queued outbound call.
    pub(super) fn new(to: &str, from: &str) -> Self {
        let now = clock::now();
        Self {
            sid: sid("CA"),
            to: to.to_owned(),
            from: from.to_owned(),
            status: "queued",
            inbound: false,
            parent: None,
            is_ready: false,
            dial_recording: None,
            outcome: Outcome::default(),
            created: now,
            updated: now,
            started: None,
            answered: None,
            ended: None,
            talk_time: Duration::ZERO,
            sequence_number: 0,
            options: CallOptions::default(),
            redirect: watch::Sender::default(),
            end: CancellationToken::new(),
        }
    }

    /// Returns the number at the other end, which is not the account's.
    pub(super) fn other_number(&self) -> &str {
        if self.inbound { &self.from } else { &self.to }
    }

    /// Changes the status, unless the call has ended.
    pub(super) fn set_status(&mut self, status: &'static str) {
        if self.has_ended() {
            return;
        }
        let was_queued = std::mem::replace(&mut self.status, status) == "queued";
        self.updated = clock::now();
        if was_queued && !matches!(status, "queued" | "canceled") {
            self.started = Some(self.updated);
        }
        if status == "in-progress" {
            self.answered = Some(self.updated);
        }
        if self.has_ended() {
            self.ended = Some(self.updated);
            self.end.cancel();
        }
    }

    /// Ends the call as somebody ends it who hangs up, unless it has ended.
    pub(super) fn hang_up(&mut self) {
        self.set_status(if self.status == "in-progress" { "completed" } else { "canceled" });
    }

    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.status, "queued" | "ringing" | "in-progress")
    }

    /// Returns the length of the call in seconds, rounded up, or `None` if it was not answered or has not ended.
    pub(super) fn seconds(&self) -> Option<u64> {
        let passed = self.ended?.duration_since(self.answered?).unsigned_abs();
        Some(passed.max(self.talk_time).as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
    }
}

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
    pub(super) encryption: Option<Encryption>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) status_callback: Option<StatusCallback>,
}

impl Recording {
    /// Returns a recording in progress, mono, of the sandbox's speech.
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
            encryption: None,
            created: now,
            updated: now,
            status_callback: None,
        }
    }

    pub(super) fn set_status(&mut self, status: &'static str) {
        self.status = status;
        self.updated = clock::now();
    }
}

/// Returns a new SID with this prefix.
pub(super) fn sid(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}
