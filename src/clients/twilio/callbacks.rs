//! What Twilio posts to us: form bodies, as far as they are used here. New parameters may come at any time.
//!
//! Source: <https://www.twilio.com/docs/voice/twiml#request-parameters>,
//! <https://www.twilio.com/docs/voice/api/call-resource#statuscallback>,
//! <https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>.

use serde::Deserialize;

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
