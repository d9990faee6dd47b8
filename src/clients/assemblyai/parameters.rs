//! The types of the parameters of `POST transcript` that cannot be told from a form's text.
//! Source: `TranscriptParams` in <https://www.assemblyai.com/docs/api-reference/transcripts/submit>.

/// Lists of texts.
pub const TEXT_LISTS: [&str; 5] =
    ["keyterms_prompt", "language_codes", "redact_pii_policies", "speech_models", "topics"];

/// Lists of objects.
pub const OBJECT_LISTS: [&str; 1] = ["custom_spelling"];

/// Texts, also those that look like a number or like JSON.
pub const TEXTS: [&str; 13] = [
    "domain",
    "language_code",
    "prompt",
    "redact_pii_audio_quality",
    "redact_pii_sub",
    "remove_audio_tags",
    "speech_model",
    "summary_model",
    "summary_type",
    "webhook_auth_header_name",
    "webhook_auth_header_value",
    "webhook_url",
    "audio_url",
];
