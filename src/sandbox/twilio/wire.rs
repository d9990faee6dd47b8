//! Calls and recordings as Twilio writes them: as JSON resources, and as the parameters of callbacks.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::{Call, Recording};
use super::credentials::{ACCOUNT_SID, API_VERSION, PHONE_NUMBER, PHONE_NUMBER_SID, account_path};
use super::form::Param;
use crate::clock;

/// The currency of the account, unless a test sets another one.
const DOLLARS: &str = "USD";

/// How long after its end a call has no price.
const PRICED_AFTER: Duration = Duration::from_mins(2);

impl Call {
    pub(super) fn direction(&self) -> &'static str {
        match &self.parent {
            Some(_) => "outbound-dial",
            None if self.inbound => "inbound",
            None => "outbound-api",
        }
    }

    /// Returns the parameters that every callback about this call has.
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
        let parent = self.parent.as_deref().map(|sid| ("ParentCallSid", sid));
        pairs.into_iter().chain(parent).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Returns the resource. The price comes late, unless prices are due.
    pub(super) fn json(&self, prices_in: Option<&'static str>) -> Value {
        let seconds = self.seconds();
        let has_price = self.ended.is_some_and(|ended| prices_in.is_some() || is_priced(ended));
        let uri = format!("{}/Calls/{}", account_path(), self.sid);
        let subresource = |name: &str| format!("{uri}/{name}.json");
        json!({
            "sid": self.sid,
            "date_created": date(self.created),
            "date_updated": date(self.updated),
            "parent_call_sid": self.parent,
            "account_sid": ACCOUNT_SID,
            "to": self.to,
            "to_formatted": formatted(&self.to),
            "from": self.from,
            "from_formatted": formatted(&self.from),
            "phone_number_sid": (self.inbound || self.from == PHONE_NUMBER).then_some(PHONE_NUMBER_SID),
            "status": self.status,
            "start_time": self.started.map(date),
            "end_time": self.ended.map(date),
            "duration": seconds.map(|seconds| seconds.to_string()),
            // 1.4 cents per minute, rounded up, in thousandths of a cent.
            "price": seconds.filter(|_| has_price).map(|seconds| format!("-0.{:05}", 1_400 * seconds.div_ceil(60).min(70))),
            "price_unit": prices_in.unwrap_or(DOLLARS),
            "direction": self.direction(),
            "answered_by": null,
            "api_version": API_VERSION,
            "forwarded_from": null,
            "group_sid": null,
            "caller_name": null,
            "queue_time": "0",
            "trunk_sid": null,
            "uri": format!("{uri}.json"),
            "subresource_uris": {
                "notifications": subresource("Notifications"),
                "recordings": subresource("Recordings"),
                "payments": subresource("Payments"),
                "events": subresource("Events"),
                "siprec": subresource("Siprec"),
                "streams": subresource("Streams"),
                "transcriptions": subresource("Transcriptions"),
                "user_defined_message_subscriptions": subresource("UserDefinedMessageSubscriptions"),
                "user_defined_messages": subresource("UserDefinedMessages"),
            },
        })
    }
}

impl Recording {
    /// Returns the duration as Twilio writes it: rounded, or -1 if there is none.
    pub(super) fn seconds(&self) -> String {
        match self.status {
            "in-progress" | "absent" => "-1".to_owned(),
            _ => self.duration.as_secs_f64().round().to_string(),
        }
    }

    /// Returns the URL of the audio without a file extension, as callbacks and resources give it.
    pub(super) fn media_url(&self, base_url: &str) -> String {
        format!("{base_url}{}/Recordings/{}", account_path(), self.sid)
    }

    /// Returns the parameters of a recording status callback.
    pub(super) fn params(&self, base_url: &str) -> Vec<Param> {
        let mut pairs = vec![
            ("AccountSid", ACCOUNT_SID.to_owned()),
            ("CallSid", self.call_sid.clone()),
            ("RecordingSid", self.sid.clone()),
            ("RecordingUrl", self.media_url(base_url)),
            ("RecordingStatus", self.status.to_owned()),
            ("RecordingChannels", self.channels.to_string()),
            ("RecordingStartTime", date(self.created)),
            ("RecordingSource", self.source.to_owned()),
            ("RecordingTrack", "both".to_owned()),
        ];
        if self.status == "completed" {
            pairs.push(("RecordingDuration", self.seconds()));
        }
        if let Some(encryption) = &self.encryption {
            let details = json!({
                "public_key_sid": encryption.public_key_sid,
                "encrypted_cek": encryption.encrypted_cek,
                "iv": encryption.iv,
            });
            pairs.push(("EncryptionDetails", details.to_string()));
        }
        if let Some(code) = self.error_code {
            pairs.push(("ErrorCode", code.to_string()));
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the resource. Under its call it has a track, but neither a media URL nor subresources.
    pub(super) fn json(&self, base_url: &str, under_call: bool, prices_in: Option<&'static str>) -> Value {
        let has_price = self.status == "completed" && (prices_in.is_some() || is_priced(self.created));
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
            "price": has_price.then_some("-0.00250"),
            "price_unit": has_price.then_some(prices_in.unwrap_or(DOLLARS)),
            "status": self.status,
            "channels": self.channels,
            "source": self.source,
            "error_code": self.error_code,
            "encryption_details": self.encryption.as_ref().map(|encryption| json!({
                "encryption_public_key_sid": encryption.public_key_sid,
                "encryption_cek": encryption.encrypted_cek,
                "encryption_iv": encryption.iv,
            })),
        });
        let path = account_path();
        if under_call {
            json["track"] = json!("both");
            json["uri"] = json!(format!("{path}/Calls/{}/Recordings/{}.json", self.call_sid, self.sid));
        } else {
            let uri = format!("{path}/Recordings/{}", self.sid);
            json["uri"] = json!(format!("{uri}.json"));
            json["media_url"] = json!(self.media_url(base_url));
            json["subresource_uris"] = json!({
                "add_on_results": format!("{uri}/AddOnResults.json"),
                "transcriptions": format!("{uri}/Transcriptions.json"),
            });
        }
        json
    }
}

/// Whether what ended at this time has a price by now.
fn is_priced(ended: Timestamp) -> bool {
    clock::now().duration_since(ended).unsigned_abs() >= PRICED_AFTER
}

/// Formats a time as RFC 2822, as Twilio does.
pub(super) fn date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Formats a North American number as `(415) 555-1234`; returns any other unchanged.
fn formatted(number: &str) -> String {
    match number.strip_prefix("+1") {
        Some(local) if local.len() == 10 && local.is_ascii() => {
            format!("({}) {}-{}", &local[..3], &local[3..6], &local[6..])
        }
        _ => number.to_owned(),
    }
}
