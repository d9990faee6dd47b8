//! The forms that Twilio posts to us, with the parameters used here. Twilio may add parameters at any time.
//!
//! Source: <https://www.twilio.com/docs/voice/twiml#request-parameters>,
//! <https://www.twilio.com/docs/voice/api/call-resource#statuscallback>,
//! <https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>.

use std::borrow::Cow;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use url::form_urlencoded;

/// A request for TwiML.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VoiceRequest {
    pub account_sid: String,
    pub call_sid: String,
    /// `inbound`, or `outbound-…`.
    #[serde(default)]
    pub direction: String,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    /// Set for the leg that the call with this SID has dialed.
    #[serde(default)]
    pub parent_call_sid: Option<String>,
    /// The keys that a `<Gather>` has collected.
    #[serde(default)]
    pub digits: Option<String>,
    /// The leg that a `<Dial>` has made.
    #[serde(default)]
    pub dial_call_sid: Option<String>,
    /// How the `<Dial>` ended: `completed`, `busy`, `no-answer`, `failed` or `canceled`.
    #[serde(default)]
    pub dial_call_status: Option<String>,
    /// `true` if the leg was ever connected with the call.
    #[serde(default)]
    pub dial_bridged: Option<String>,
}

impl VoiceRequest {
    /// Whether a key was pressed.
    pub fn has_key(&self) -> bool {
        let is_key = |digit: char| digit.is_ascii_digit() || matches!(digit, '#' | '*');
        self.digits.as_deref().is_some_and(|digits| !digits.is_empty() && digits.chars().all(is_key))
    }

    /// Whether a `<Dial>` connected the call with somebody. An API that does not say so says at least that the leg was
    /// answered.
    pub fn is_bridged(&self) -> bool {
        match self.dial_bridged.as_deref() {
            Some(bridged) => bridged == "true",
            None => matches!(self.dial_call_status.as_deref(), Some("completed" | "answered")),
        }
    }
}

/// A status callback of a call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallProgress {
    pub account_sid: String,
    pub call_sid: String,
    /// `initiated`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`.
    pub call_status: String,
    /// `inbound`, or `outbound-…`.
    #[serde(default)]
    pub direction: String,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    /// Set for the leg that the call with this SID has dialed.
    #[serde(default)]
    pub parent_call_sid: Option<String>,
}

/// A status callback of a recording.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordingProgress {
    pub account_sid: String,
    /// Missing if a conference was recorded.
    #[serde(default)]
    pub call_sid: Option<String>,
    #[serde(default)]
    pub conference_sid: Option<String>,
    pub recording_sid: String,
    /// `in-progress`, `completed`, `absent` or `failed`.
    pub recording_status: String,
    /// Whole seconds; set when the recording is completed.
    #[serde(default)]
    pub recording_duration: Option<String>,
    /// `1` or `2`.
    #[serde(default)]
    pub recording_channels: Option<String>,
    /// Such as `RecordVerb`.
    #[serde(default)]
    pub recording_source: Option<String>,
    /// Why the recording is absent.
    #[serde(default)]
    pub error_code: Option<String>,
}

/// A decoded name and value.
pub type Pair<'e> = (Cow<'e, str>, Cow<'e, str>);

/// Decodes a form or query, in its order.
pub fn pairs(encoded: &[u8]) -> Vec<Pair<'_>> {
    form_urlencoded::parse(encoded).collect()
}

/// Reads a struct from pairs, which the signature check has decoded already. The error names a missing or repeated
/// parameter.
pub fn read<T: DeserializeOwned>(pairs: &[Pair<'_>]) -> Result<T, Error> {
    T::deserialize(MapDeserializer::new(pairs.iter().map(|(name, value)| (&**name, Text(value)))))
}

/// Deserializes a value as a string, also into an `Option`.
struct Text<'t>(&'t str);

impl<'de> IntoDeserializer<'de> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map enum struct identifier ignored_any
    }
}
