//! What the emulated account holds: calls and recordings, as data and as Twilio's JSON. No I/O.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::media::Audio;
use super::{ACCOUNT_SID, API_VERSION, Delivery, Outcome, PHONE_NUMBER, PHONE_NUMBER_SID, Stage};
use crate::clients::twilio::signature::Param;

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
        let now = Timestamp::now();
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
        self.updated = Timestamp::now();
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

    fn direction(&self) -> &'static str {
        if self.inbound { "inbound" } else { "outbound-api" }
    }

    /// The parameters that every callback about this call has.
    pub(super) fn params(&self) -> Vec<Param> {
        let pairs = [
            ("CallSid", self.sid.as_str()),
            ("AccountSid", ACCOUNT_SID),
            ("From", &self.from),
            ("To", &self.to),
            ("Caller", &self.from),
            ("Called", &self.to),
            ("CallStatus", self.status),
            ("ApiVersion", API_VERSION),
            ("Direction", self.direction()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The resource.
    pub(super) fn json(&self) -> Value {
        let seconds = self.seconds();
        let uri = format!("{}/Calls/{}", account_path(), self.sid);
        let subresources = [
            ("notifications", "Notifications"),
            ("recordings", "Recordings"),
            ("payments", "Payments"),
            ("events", "Events"),
            ("siprec", "Siprec"),
            ("streams", "Streams"),
            ("transcriptions", "Transcriptions"),
            ("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
            ("user_defined_messages", "UserDefinedMessages"),
        ];
        let subresources: Map<String, Value> =
            subresources.iter().map(|(key, name)| ((*key).to_owned(), json!(format!("{uri}/{name}.json")))).collect();
        json!({
            "sid": self.sid,
            "date_created": date(self.created),
            "date_updated": date(self.updated),
            "parent_call_sid": null,
            "account_sid": ACCOUNT_SID,
            "to": self.to,
            "to_formatted": formatted(&self.to),
            "from": self.from,
            "from_formatted": formatted(&self.from),
            "phone_number_sid": (self.inbound || self.from == PHONE_NUMBER).then_some(PHONE_NUMBER_SID),
            "status": self.status,
            "start_time": self.answered.map(date),
            "end_time": self.ended.map(date),
            "duration": seconds.map(|seconds| seconds.to_string()),
            // 1.4 cents for each minute begun, in thousandths of a cent.
            "price": seconds.map(|seconds| format!("-0.{:05}", 1_400 * seconds.div_ceil(60).min(70))),
            "price_unit": "USD",
            "direction": self.direction(),
            "answered_by": null,
            "api_version": API_VERSION,
            "forwarded_from": null,
            "group_sid": null,
            "caller_name": null,
            "queue_time": "0",
            "trunk_sid": null,
            "uri": format!("{uri}.json"),
            "subresource_uris": subresources,
        })
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
    /// Seconds as Twilio writes them.
    pub(super) fn seconds(&self) -> String {
        match self.status {
            "in-progress" | "absent" => "-1".to_owned(),
            _ => self.duration.as_secs_f64().round().to_string(),
        }
    }

    /// Where the audio is, with no extension: the form in which callbacks and resources name it.
    pub(super) fn media_url(&self, host: &str) -> String {
        format!("{host}{}/Recordings/{}", account_path(), self.sid)
    }

    /// The parameters of a recording status callback.
    pub(super) fn params(&self, host: &str) -> Vec<Param> {
        let mut pairs = vec![
            ("AccountSid", ACCOUNT_SID.to_owned()),
            ("CallSid", self.call_sid.clone()),
            ("RecordingSid", self.sid.clone()),
            ("RecordingUrl", self.media_url(host)),
            ("RecordingStatus", self.status.to_owned()),
            ("RecordingChannels", self.channels.to_string()),
            ("RecordingStartTime", date(self.created)),
            ("RecordingSource", self.source.to_owned()),
            ("RecordingTrack", "both".to_owned()),
        ];
        if self.status == "completed" {
            pairs.push(("RecordingDuration", self.seconds()));
        }
        if let Some(code) = self.error_code {
            pairs.push(("ErrorCode", code.to_string()));
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The resource. The one under a call has a track, but neither media URL nor subresources.
    pub(super) fn json(&self, host: &str, under_call: bool) -> Value {
        let done = self.status == "completed";
        let mut json = json!({
            "account_sid": ACCOUNT_SID,
            "api_version": API_VERSION,
            "call_sid": self.call_sid,
            "conference_sid": null,
            "date_created": date(self.created),
            "date_updated": date(self.updated),
            "start_time": date(self.created),
            "duration": self.seconds(),
            "sid": self.sid,
            "price": done.then_some("-0.00250"),
            "price_unit": done.then_some("USD"),
            "status": self.status,
            "channels": self.channels,
            "source": self.source,
            "error_code": self.error_code,
            "encryption_details": null,
        });
        let path = account_path();
        if under_call {
            json["track"] = json!("both");
            json["uri"] = json!(format!("{path}/Calls/{}/Recordings/{}.json", self.call_sid, self.sid));
        } else {
            let uri = format!("{path}/Recordings/{}", self.sid);
            json["uri"] = json!(format!("{uri}.json"));
            json["media_url"] = json!(self.media_url(host));
            json["subresource_uris"] = json!({
                "add_on_results": format!("{uri}/AddOnResults.json"),
                "transcriptions": format!("{uri}/Transcriptions.json"),
            });
        }
        json
    }
}

/// The path under which everything of the account is.
pub(super) fn account_path() -> String {
    format!("/{API_VERSION}/Accounts/{ACCOUNT_SID}")
}

/// A new SID.
pub(super) fn sid(kind: &str) -> String {
    format!("{kind}{}", uuid::Uuid::new_v4().simple())
}

/// A date as Twilio writes it.
pub(super) fn date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A number of North America as `(415) 555-1234`; any other as it is.
fn formatted(number: &str) -> String {
    match number.strip_prefix("+1") {
        Some(local) if local.len() == 10 && local.is_ascii() => {
            format!("({}) {}-{}", &local[..3], &local[3..6], &local[6..])
        }
        _ => number.to_owned(),
    }
}
