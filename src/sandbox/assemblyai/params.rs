//! Parses `POST /v2/transcript`. A wrong parameter is refused in AssemblyAI's words.

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::error::{ErrorResponse, bad_request};
use super::wording::Wording;

pub(super) struct TranscriptParams {
    pub(super) audio_url: String,
    pub(super) webhook: Option<Webhook>,
    /// The first model in the request, by its current name.
    pub(super) model: String,
    pub(super) wording: Wording,
    /// The supported parameters but the webhook's secret. Each response repeats them.
    pub(super) echoed: Map<String, Value>,
}

pub(super) struct Webhook {
    pub(super) url: Url,
    pub(super) auth: Option<(HeaderName, HeaderValue)>,
}

/// The model for a request that names none.
const DEFAULT_MODEL: &str = "assemblyai-stt-3-7";
const MODELS: [&str; 5] = [DEFAULT_MODEL, "universal-2", "universal-3-5-pro", "universal-3-pro", "universal"];

/// In all terms together, for every model but universal-2.
const MAX_WORDS_IN_KEYTERMS: usize = 1_000;
const MAX_KEYTERMS_UNIVERSAL_2: usize = 200;
const MAX_WORDS_IN_KEYTERM: usize = 6;

/// `retired` are models that are refused, and no longer named.
pub(super) fn parse(body: &[u8], retired: &[String]) -> Result<TranscriptParams, ErrorResponse> {
    let Ok(Value::Object(mut params)) = serde_json::from_slice(body) else {
        return Err(bad_request("Invalid endpoint schema, please refer to documentation for examples."));
    };
    let audio_url = match params.get("audio_url") {
        Some(Value::String(url)) if is_http(url) => url.clone(),
        Some(Value::String(_)) => return Err(creation_error("audio_url should start with http")),
        Some(_) => return Err(creation_error("audio_url should be a string")),
        None => return Err(creation_error("audio_url is required")),
    };
    if let Some(old) = ["word_boost", "boost_param"].iter().find(|old| params.contains_key(**old)) {
        return Err(bad_request(format!("\"{old}\" is no longer supported. Use \"keyterms_prompt\" instead.")));
    }
    check_types(&params)?;
    check_support(&params)?;
    params.retain(|name, _| SUPPORTED.contains(&name.as_str()));
    let wording = Wording::parse(&params)?;
    let models = check_models(&params, retired)?;
    check_keyterms(&params, &models)?;
    let webhook = check_webhook(&mut params)?;
    let model = match models.first().map_or(DEFAULT_MODEL, String::as_str) {
        "universal" => DEFAULT_MODEL.to_owned(),
        first => first.to_owned(),
    };
    Ok(TranscriptParams { audio_url, webhook, model, wording, echoed: params })
}

fn check_models(params: &Map<String, Value>, retired: &[String]) -> Result<Vec<String>, ErrorResponse> {
    let models: Vec<String> = match (params.get("speech_models"), params.get("speech_model")) {
        (None, None | Some(Value::Null)) => return Ok(Vec::new()),
        (None, Some(model)) => model.as_str().map(str::to_owned).into_iter().collect(),
        (Some(models), _) => serde_json::from_value(models.clone()).unwrap_or_default(),
    };
    if let Some(old) = models.iter().find(|model| retired.contains(model)) {
        let left = MODELS.into_iter().find(|model| !retired.iter().any(|old| old == model)).unwrap_or_default();
        return Err(bad_request(format!("\"{old}\" is deprecated. Use \"{left}\" instead.")));
    }
    if models.is_empty() || models.iter().any(|model| !MODELS.contains(&model.as_str())) {
        let known = MODELS.iter().filter(|model| !retired.iter().any(|old| old == *model));
        let known = known.map(|model| format!("\"{model}\"")).collect::<Vec<_>>().join(", ");
        let words = format!("\"speech_models\" must be a non-empty list containing one or more of: {known}");
        return Err(bad_request(words));
    }
    if models == ["universal-3-pro"] {
        let words = "\"universal-3-pro\" is no longer available on its own. Use \"assemblyai-stt-3-7\" instead.";
        return Err(bad_request(words));
    }
    Ok(models)
}

fn check_keyterms(params: &Map<String, Value>, models: &[String]) -> Result<(), ErrorResponse> {
    let Some(Value::Array(terms)) = params.get("keyterms_prompt") else { return Ok(()) };
    let words = |term: &Value| term.as_str().unwrap_or_default().split_whitespace().count();
    let is_universal_2 = models == ["universal-2"];
    if is_universal_2 && terms.len() > MAX_KEYTERMS_UNIVERSAL_2 {
        let words = format!("\"keyterms_prompt\" must have at most {MAX_KEYTERMS_UNIVERSAL_2} terms");
        return Err(bad_request(words));
    }
    if !is_universal_2 && terms.iter().map(words).sum::<usize>() > MAX_WORDS_IN_KEYTERMS {
        let words = format!("\"keyterms_prompt\" must have at most {MAX_WORDS_IN_KEYTERMS} words");
        return Err(bad_request(words));
    }
    if terms.iter().any(|term| words(term) > MAX_WORDS_IN_KEYTERM) {
        let words = format!("each term of \"keyterms_prompt\" must have at most {MAX_WORDS_IN_KEYTERM} words");
        return Err(bad_request(words));
    }
    Ok(())
}

/// Parses the webhook and removes its secret from the parameters.
fn check_webhook(params: &mut Map<String, Value>) -> Result<Option<Webhook>, ErrorResponse> {
    let secret = params.remove("webhook_auth_header_value");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let auth = match (text(params.get("webhook_auth_header_name")), text(secret.as_ref())) {
        (None, None) => None,
        (Some(name), Some(value)) => match (name.parse(), value.parse()) {
            (Ok(name), Ok(value)) => Some((name, value)),
            _ => return Err(creation_error("the webhook_auth_header is not a valid HTTP header")),
        },
        _ => {
            let words = "webhook_auth_header_name and webhook_auth_header_value must be given together";
            return Err(creation_error(words));
        }
    };
    match text(params.get("webhook_url")) {
        None => Ok(None),
        Some(url) if is_http(&url) => match Url::parse(&url) {
            Ok(url) => Ok(Some(Webhook { url, auth })),
            Err(_) => Err(creation_error("webhook_url should be a valid url")),
        },
        Some(_) => Err(creation_error("webhook_url should start with http")),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Integer,
    Number,
    Text,
    Texts,
    Object,
    Objects,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Flag => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Text => value.is_string(),
            Self::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
            Self::Objects => value.as_array().is_some_and(|all| all.iter().all(Value::is_object)),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Flag => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Texts => "a list of strings",
            Self::Object => "an object",
            Self::Objects => "a list of objects",
        }
    }
}

/// The parameters whose type AssemblyAI documents.
#[rustfmt::skip]
const TYPES: &[(Kind, &[&str])] = &[
    (Kind::Flag, &[
        "auto_chapters", "auto_highlights", "content_safety", "custom_topics", "disfluencies", "entity_detection",
        "filter_profanity", "format_text", "iab_categories", "language_detection", "multichannel", "punctuate",
        "redact_pii", "redact_pii_audio", "redact_pii_return_unredacted", "sentiment_analysis", "speaker_labels",
        "summarization",
    ]),
    (Kind::Integer, &["audio_end_at", "audio_start_from", "content_safety_confidence", "speakers_expected"]),
    (Kind::Number, &["language_confidence_threshold", "speech_threshold", "temperature"]),
    (Kind::Text, &[
        "domain", "language_code", "prompt", "redact_pii_audio_quality", "redact_pii_sub", "remove_audio_tags",
        "speech_model", "summary_model", "summary_type", "webhook_auth_header_name", "webhook_auth_header_value",
        "webhook_url",
    ]),
    (Kind::Texts, &["keyterms_prompt", "language_codes", "redact_pii_policies", "speech_models", "topics"]),
    (Kind::Object, &[
        "keyterms_prompt_options", "language_detection_options", "redact_pii_audio_options", "speaker_options",
        "speech_understanding",
    ]),
    (Kind::Objects, &["custom_spelling"]),
];

/// The documented parameters that may be null.
const NULLABLE: [&str; 9] = [
    "language_code",
    "language_codes",
    "redact_pii_sub",
    "remove_audio_tags",
    "speakers_expected",
    "speech_model",
    "speech_threshold",
    "webhook_auth_header_name",
    "webhook_auth_header_value",
];

/// The parameters that the sandbox does what is asked with.
#[rustfmt::skip]
const SUPPORTED: &[&str] = &[
    "audio_url", "audio_start_from", "audio_end_at", "custom_spelling", "format_text", "language_code",
    "language_detection", "multichannel", "punctuate", "redact_pii", "redact_pii_policies", "redact_pii_sub",
    "keyterms_prompt", "speaker_labels", "speech_model", "speech_models", "webhook_auth_header_name",
    "webhook_auth_header_value", "webhook_url",
    // These help to recognize words and speakers. Here all speakers are known, and hard words need key terms.
    "keyterms_prompt_options", "prompt", "speaker_options", "speakers_expected", "temperature",
    // The speech has none of what these keep or remove.
    "disfluencies", "filter_profanity", "remove_audio_tags",
];

/// The language of the speech.
const ENGLISH: [&str; 4] = ["en", "en_us", "en_uk", "en_au"];

/// Refuses parameters that would be ignored, so that no client takes what was ignored for done.
fn check_support(params: &Map<String, Value>) -> Result<(), ErrorResponse> {
    let asks_for_nothing = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
    let is_unsupported = |name: &str, value| !SUPPORTED.contains(&name) && !asks_for_nothing(value);
    if let Some((name, _)) = params.iter().find(|(name, value)| is_unsupported(name, value)) {
        return Err(bad_request(format!("The sandbox does not support the parameter \"{name}\"")));
    }
    match params.get("language_code").and_then(Value::as_str) {
        Some(code) if !ENGLISH.contains(&code) => {
            Err(bad_request(format!("The sandbox does not support the language \"{code}\"")))
        }
        _ => Ok(()),
    }
}

fn check_types(params: &Map<String, Value>) -> Result<(), ErrorResponse> {
    for (name, value) in params {
        let Some((kind, _)) = TYPES.iter().find(|(_, names)| names.contains(&name.as_str())) else { continue };
        let may_be_null = value.is_null() && NULLABLE.contains(&name.as_str());
        if !kind.fits(value) && !may_be_null {
            return Err(bad_request(format!("\"{name}\" should be {}", kind.words())));
        }
    }
    Ok(())
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

fn creation_error(words: &str) -> ErrorResponse {
    bad_request(format!("Transcript creation error, {words}"))
}
