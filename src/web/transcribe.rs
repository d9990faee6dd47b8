//! `/transcribe`: requests the transcript of a recording or of a file, by JSON, by form, or on a page.

use std::fmt::Write;

use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error::ApiError;
use super::extract::{is_form, media_type, read_body, wants_page};
use super::response::json;
use super::{pages, upload};
use crate::context::Shared;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::TranscriptId;
use crate::pipeline::transcription::{self, Audio, Source};

/// Room for several times a thousand key terms, which is the maximum.
const LARGEST_BODY: usize = 1 << 20;

/// Fields that name the audio. A request has one of them, or a file.
const SOURCES: [&str; 4] = ["recording_url", "audio_url", "recording_sid", "call_sid"];

/// Fields that are text even if they look like a number or like JSON.
const TEXTS: [&str; 2] = ["keyterms", "prompt"];

pub(super) async fn form(State(context): State<Shared>) -> Response {
    pages::transcribe(&context)
}

/// Answers with AssemblyAI's JSON unchanged. A browser is redirected to the transcript's page, so that a reload does not
/// order another transcript.
pub(super) async fn transcribe(State(context): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let request = match media_type(&parts.headers).as_deref() {
        Some("multipart/form-data") => {
            let check =
                |fields: &[(String, String)]| read_form(&context, from_form(fields.to_vec()))?.check_for_file(&context);
            let form = upload::read(&context, &parts.headers, body, check).await?;
            read_form(&context, from_form(form.fields))?.into_request(form.file.map(Source::File))?
        }
        _ => {
            let fields = read_fields(&parts.headers, &read_body(body, LARGEST_BODY).await?)?;
            read_form(&context, fields)?.into_request(None)?
        }
    };
    let reply = transcription::transcribe(&context, request).await?;
    let id = reply.transcript.id.parse::<TranscriptId>();
    if let (true, Ok(id)) = (wants_page(&parts.headers), id) {
        let location = format!("/transcript/{id}?format=html");
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response());
    }
    Ok(json(&reply.json))
}

/// Reads a JSON object, or a form as the JSON object that it stands for.
fn read_fields(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    match media_type(headers).as_deref() {
        // `curl -d '{…}'` says that it is a form, which cannot begin so.
        Some("application/json") => read_json(body),
        Some(_) if is_form(headers) && looks_like_json => read_json(body),
        Some(_) if is_form(headers) => Ok(from_form(form_urlencoded::parse(body).into_owned().collect())),
        Some(_) => Err(ApiError::UnsupportedMediaType("the body is neither JSON nor a form")),
        None => Err(ApiError::UnsupportedMediaType("the body has no Content-Type")),
    }
}

fn read_json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::BadRequest(format!("expected a JSON object; line {}, column {}", error.line(), error.column()))
    })
}

/// A form has only text, so numbers, `true`, `false`, lists and objects are parsed (`speaker_labels=true`), a repeated field
/// is a list, and a blank one is ignored.
fn from_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in pairs.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
        let is_text = SOURCES.contains(&name.as_str()) || TEXTS.contains(&name.as_str());
        let value = match serde_json::from_str(&text) {
            Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) if !is_text => value,
            _ => Value::String(text),
        };
        match fields.get_mut(&name) {
            None => _ = fields.insert(name, value),
            Some(Value::String(first)) if name == "keyterms" => {
                _ = write!(first, ",{}", value.as_str().unwrap_or_default())
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

/// The fields of a request for a transcript. The audio may come as a file beside them.
struct TranscribeForm {
    source: Option<Source>,
    keyterms: Keyterms,
    parameters: Map<String, Value>,
    again: bool,
}

impl TranscribeForm {
    /// Checks the fields before a file is uploaded for them.
    fn check_for_file(&self, context: &Shared) -> Result<(), ApiError> {
        if self.source.is_some() {
            return Err(not_one_source());
        }
        Ok(transcription::check(context, &self.parameters, &self.keyterms)?)
    }

    fn into_request(self, file: Option<Source>) -> Result<transcription::Request, ApiError> {
        let Self { source, keyterms, parameters, again } = self;
        match (source, file) {
            (Some(source), None) | (None, Some(source)) => {
                Ok(transcription::Request { source, keyterms, parameters, again })
            }
            _ => Err(not_one_source()),
        }
    }
}

fn not_one_source() -> ApiError {
    ApiError::BadRequest("expected exactly one of recording_url, recording_sid, call_sid and a file".to_owned())
}

fn read_form(context: &Shared, mut fields: Map<String, Value>) -> Result<TranscribeForm, ApiError> {
    let mut named = Vec::new();
    for name in SOURCES {
        match fields.shift_remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => named.push((name, text.trim().to_owned())),
            Some(_) => return Err(ApiError::BadRequest(format!("{name}: expected text, once"))),
        }
    }
    let source = match &named[..] {
        [] => None,
        [(name, text)] => Some(read_source(context, name, text)?),
        _ => return Err(not_one_source()),
    };

    let mut keyterms = Keyterms::default();
    for name in ["keyterms", "keyterms_prompt"] {
        keyterms = keyterms.and(&read_keyterms(name, fields.shift_remove(name))?);
    }
    let again = match fields.shift_remove("again") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(again)) => again,
        Some(_) => return Err(ApiError::BadRequest("again: expected true or false".to_owned())),
    };
    Ok(TranscribeForm { source, keyterms, parameters: fields, again })
}

fn read_source(context: &Shared, name: &str, text: &str) -> Result<Source, ApiError> {
    match name {
        "call_sid" => Ok(Source::Call(text.parse()?)),
        "recording_sid" => Ok(Source::Recording(Audio::from(text.parse::<RecordingSid>()?))),
        name => match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Source::from_url(context, text)?)
            }
            _ => Err(ApiError::BadRequest(format!("{name}: expected a URL that begins with https:// or http://"))),
        },
    }
}

/// Reads a list, or text separated by commas.
fn read_keyterms(name: &str, value: Option<Value>) -> Result<Keyterms, ApiError> {
    let wrong =
        || ApiError::BadRequest(format!("{name}: expected a list of words and phrases, or text separated by commas"));
    match value {
        None | Some(Value::Null) => Ok(Keyterms::default()),
        Some(Value::String(text)) => Ok(Keyterms::from_list(&text)),
        Some(Value::Array(terms)) => {
            let terms: Option<Vec<&str>> = terms.iter().map(Value::as_str).collect();
            Ok(Keyterms::from_terms(terms.ok_or_else(wrong)?))
        }
        Some(_) => Err(wrong()),
    }
}
