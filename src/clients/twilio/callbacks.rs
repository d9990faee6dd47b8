//! What Twilio posts to us: form bodies, as far as they are used here. New parameters may come at any time.
//!
//! Source: <https://www.twilio.com/docs/voice/twiml#request-parameters>,
//! <https://www.twilio.com/docs/voice/api/call-resource#statuscallback>,
//! <https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>.

use std::borrow::Cow;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use url::form_urlencoded;

/// A call wants its TwiML.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VoiceRequest {
    /// `AC…`.
    pub account_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `inbound`, or one that begins with `outbound`.
    #[serde(default)]
    pub direction: String,
    /// Who was called.
    #[serde(default)]
    pub to: Option<String>,
    /// Who called.
    #[serde(default)]
    pub from: Option<String>,
}

/// A call got on.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallProgress {
    /// `AC…`.
    pub account_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `initiated`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`.
    pub call_status: String,
    /// `inbound`, or one that begins with `outbound`.
    #[serde(default)]
    pub direction: String,
    /// Who was called.
    #[serde(default)]
    pub to: Option<String>,
    /// Who called.
    #[serde(default)]
    pub from: Option<String>,
}

/// A recording got on.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordingProgress {
    /// `AC…`.
    pub account_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `RE…`.
    pub recording_sid: String,
    /// `in-progress`, `completed`, `absent` or `failed`.
    pub recording_status: String,
    /// Whole seconds, once it is completed.
    #[serde(default)]
    pub recording_duration: Option<String>,
    /// `1` or `2`.
    #[serde(default)]
    pub recording_channels: Option<String>,
    /// What makes it, such as `RecordVerb`.
    #[serde(default)]
    pub recording_source: Option<String>,
    /// Why it is absent.
    #[serde(default)]
    pub error_code: Option<String>,
}

/// A name and a value of a form or query, decoded.
pub type Pair<'e> = (Cow<'e, str>, Cow<'e, str>);

/// All pairs of a form or query, in the order they came.
pub fn pairs(encoded: &[u8]) -> Vec<Pair<'_>> {
    form_urlencoded::parse(encoded).collect()
}

/// A struct from the pairs of a form or query, which are there already because they are signed.
///
/// # Errors
/// Names what is missing, or comes twice.
pub fn read<T: DeserializeOwned>(pairs: &[Pair<'_>]) -> Result<T, Error> {
    T::deserialize(MapDeserializer::new(pairs.iter().map(|(name, value)| (&**name, Text(value)))))
}

/// A value of a pair: a text, also where it may be missing.
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
