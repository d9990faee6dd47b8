//! `/transcribe`: requests the transcript of a recording or of a file, by JSON, by form, or on a page.

use std::fmt::Write;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error::ApiError;
use super::extract::{Fields, media_type, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::response::{json, page, see_other};
use super::upload;
use super::who::Asker;
use crate::clients::assemblyai::parameters;
use crate::context::Shared;
use crate::model::keyterms::Keyterms;
use crate::model::name::{BadName, Name};
use crate::model::recording::RecordingSid;
use crate::model::transcript::TranscriptId;
use crate::pipeline;
use crate::pipeline::asked::Asked;
use crate::pipeline::ordering::{self, Audio, Source};
use crate::pipeline::transcription;

/// Room for several times a thousand key terms, which is the maximum.
pub(super) const LARGEST_BODY: usize = 1 << 20;

/// Fields that name the audio. A request has one of them, or a file.
const SOURCES: [&str; 4] = ["recording_url", "audio_url", "recording_sid", "call_sid"];

/// Our own name for key terms, and AssemblyAI's.
const KEYTERMS: &str = "keyterms";
const KEYTERMS_PROMPT: &str = "keyterms_prompt";

/// What an upload is called, and what it is filed under.
const TITLE: &str = "title";
const TAG: &str = "tag";

/// Files in one form of a browser without a script.
const MOST_FILES: usize = 100;

pub(super) async fn form(State(context): State<Shared>) -> Response {
    let notices = Notices::of(&context);
    page(TranscribePage { notices, typed: Typed::default(), refused: None, is_kept: false }.render())
}

/// Answers with AssemblyAI's JSON unchanged. A browser is redirected to the transcript's page, so that a reload does not
/// order another transcript, or gets its form back with the reason.
pub(super) async fn transcribe(
    State(context): State<Shared>,
    Asker(asked): Asker,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let mut typed = Typed::default();
    match order(&context, &parts, body, &mut typed, asked).await {
        Err(error) if wants_page(&parts.headers) => Ok(refused(&context, typed, error)),
        answer => answer,
    }
}

async fn order(
    context: &Shared,
    parts: &Parts,
    body: Body,
    typed: &mut Typed,
    asked: Asked,
) -> Result<Response, ApiError> {
    let query = || form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
    let is_page = wants_page(&parts.headers);
    let request = match media_type(&parts.headers).as_deref() {
        Some("multipart/form-data") => {
            let read = |fields: &[(String, String)]| {
                read_form(context, from_form(query().chain(fields.iter().cloned()).collect()))
            };
            let check = |fields: &[(String, String)]| read(fields)?.check_for_file(context);
            let mut fields = Vec::new();
            let most = if is_page { MOST_FILES } else { 1 };
            let files = upload::read(context, &parts.headers, body, &mut fields, most, check).await;
            *typed = Typed::of(&from_form(fields.clone()), true);
            let mut files: Vec<Source> = files?.into_iter().map(Source::File).collect();
            let last = files.pop();
            let has_several = !files.is_empty();
            for (at, file) in files.into_iter().enumerate() {
                // Each of them is ordered once for the key.
                let key = asked.key.as_ref().map(|key| format!("{key} {at}"));
                let request = read(&fields)?.into_request(Some(file), Asked { key, ..asked.clone() })?;
                transcription::transcribe(context, ordering::Request { title: None, ..request }).await?;
            }
            let request = read(&fields)?.into_request(last, asked)?;
            if has_several {
                transcription::transcribe(context, ordering::Request { title: None, ..request }).await?;
                return Ok(see_other("/items?kind=upload"));
            }
            request
        }
        _ => {
            let fields = read_fields(&parts.headers, &read_body(body, LARGEST_BODY).await?, query().collect())?;
            *typed = Typed::of(&fields, false);
            read_form(context, fields)?.into_request(None, asked)?
        }
    };
    let reply = transcription::transcribe(context, request).await?;
    let id = reply.transcript.id.parse::<TranscriptId>();
    if let (true, Ok(id)) = (is_page, id) {
        let location = format!("/transcript/{id}?format=html");
        return Ok(see_other(&location));
    }
    Ok(json(&reply.json))
}

/// What was typed in one of the page's forms, or in that of a recording on its call's page.
#[derive(Debug, Clone, Default)]
struct Typed {
    url: String,
    sid: String,
    keyterms: String,
    title: String,
    tag: String,
    is_for_file: bool,
}

impl Typed {
    fn of(fields: &Map<String, Value>, is_for_file: bool) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            url: text("recording_url"),
            sid: text("recording_sid"),
            keyterms: text("keyterms"),
            title: text(TITLE),
            tag: text(TAG),
            is_for_file,
        }
    }
}

#[derive(Template)]
#[template(path = "transcribe.html", config = "src/web/pages/askama.toml")]
struct TranscribePage {
    notices: Notices,
    typed: Typed,
    refused: Option<Refused>,
    /// Whether a form was sent before its browser was logged in.
    is_kept: bool,
}

impl TranscribePage {
    /// Why the form for a URL came back, if it did.
    fn of_url(&self) -> Option<&Refused> {
        self.refused.as_ref().filter(|_| !self.typed.is_for_file)
    }

    /// Why the form for a file came back, if it did.
    fn of_file(&self) -> Option<&Refused> {
        self.refused.as_ref().filter(|_| self.typed.is_for_file)
    }

    /// What was typed as key terms in the form for a file, or in the other one.
    fn keyterms(&self, is_for_file: bool) -> &str {
        if self.typed.is_for_file == is_for_file { &self.typed.keyterms } else { "" }
    }
}

/// Shows a form that was sent before its browser was logged in.
pub(super) fn show_again(context: &Shared, form: &[u8]) -> Response {
    let typed = Typed::of(&from_form(form_urlencoded::parse(form).into_owned().collect()), false);
    page(TranscribePage { notices: Notices::of(context), typed, refused: None, is_kept: true }.render())
}

/// Shows the form again with what was typed, and why it was refused.
fn refused(context: &Shared, typed: Typed, error: ApiError) -> Response {
    use pipeline::Error::{Keyterms, NotOurRecording};
    let field = match &error {
        ApiError::Pipeline(Keyterms(_)) => "keyterms",
        ApiError::Pipeline(NotOurRecording(_)) | ApiError::BadRequest(_) if !typed.url.is_empty() => "recording_url",
        _ => "",
    };
    let context = Shared::clone(context);
    forms::again(error, move |problem| {
        let (typed, refused) = (typed.clone(), Some(Refused { field, problem }));
        page(TranscribePage { notices: Notices::of(&context), typed, refused, is_kept: false }.render())
    })
}

/// Reads a JSON object, or a form as the JSON object that it stands for. The parameters of the query are fields, too.
fn read_fields(
    headers: &HeaderMap,
    body: &[u8],
    mut query: Vec<(String, String)>,
) -> Result<Map<String, Value>, ApiError> {
    match Fields::read(headers, body)? {
        Fields::Json(fields) => with_query(fields, query),
        Fields::Form(pairs) => {
            query.extend(pairs);
            Ok(from_form(query))
        }
    }
}

/// Adds the parameters of a query to the fields of a JSON object.
fn with_query(mut fields: Map<String, Value>, query: Vec<(String, String)>) -> Result<Map<String, Value>, ApiError> {
    for (name, value) in from_form(query) {
        if fields.contains_key(&name) {
            return Err(ApiError::BadRequest(format!("{name}: expected in the body or in the query, not in both")));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

/// A form has only text, so it is read by the type that AssemblyAI gives to the field: one value of a list is a list of one.
/// Of fields of other types, and of newer ones, numbers, `true`, `false`, lists and objects are parsed
/// (`speaker_labels=true`), and a repeated one is a list. A blank field is ignored.
fn from_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in pairs.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
        let name_is_in = |names: &[&str]| names.contains(&name.as_str());
        let is_text_list = name_is_in(&parameters::TEXT_LISTS);
        let is_list = is_text_list || name_is_in(&parameters::OBJECT_LISTS);
        let is_text =
            name_is_in(&parameters::TEXTS) || name_is_in(&SOURCES) || [KEYTERMS, TITLE, TAG].contains(&&*name);
        let value = match serde_json::from_str(&text) {
            Ok(list @ Value::Array(_)) if !is_text => list,
            Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) if !is_text && !is_text_list => value,
            _ => Value::String(text),
        };
        let value = match value {
            // As in `keyterms`, commas part the terms.
            Value::String(text) if name == KEYTERMS_PROMPT => text.split(',').map(Value::from).collect(),
            value @ Value::Array(_) => value,
            value if is_list => Value::Array(vec![value]),
            value => value,
        };
        match (fields.get_mut(&name), value) {
            (None, value) => _ = fields.insert(name, value),
            (Some(Value::String(first)), Value::String(more)) if name == KEYTERMS => _ = write!(first, ",{more}"),
            (Some(Value::Array(list)), Value::Array(more)) if is_list => list.extend(more),
            (Some(Value::Array(list)), value) => list.push(value),
            (Some(first), value) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

/// The fields of a request for a transcript. The audio may come as a file beside them.
pub(super) struct TranscribeForm {
    source: Option<Source>,
    pub(super) keyterms: Keyterms,
    pub(super) parameters: Map<String, Value>,
    pub(super) again: bool,
    pub(super) title: Option<Name>,
    pub(super) tag: Option<Name>,
}

/// Reads the fields of a file that is sent apart from them.
pub(super) fn form_of_file(context: &Shared, fields: Vec<(String, String)>) -> Result<TranscribeForm, ApiError> {
    let form = read_form(context, from_form(fields))?;
    form.check_for_file(context)?;
    Ok(form)
}

impl TranscribeForm {
    /// Checks the fields before a file is uploaded for them.
    fn check_for_file(&self, context: &Shared) -> Result<(), ApiError> {
        if self.source.is_some() {
            return Err(not_one_source());
        }
        Ok(ordering::check(context, &self.parameters, &self.keyterms)?)
    }

    fn into_request(self, file: Option<Source>, asked: Asked) -> Result<ordering::Request, ApiError> {
        let Self { source, keyterms, parameters, again, title, tag } = self;
        match (source, file) {
            (Some(source), None) | (None, Some(source)) => {
                Ok(ordering::Request { source, keyterms, parameters, again, title, tag, asked })
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
    for name in [KEYTERMS, KEYTERMS_PROMPT] {
        keyterms = keyterms.and(&read_keyterms(name, fields.shift_remove(name))?);
    }
    let again = match fields.shift_remove("again") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(again)) => again,
        Some(_) => return Err(ApiError::BadRequest("again: expected true or false".to_owned())),
    };
    let mut name = |field: &str| match fields.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => {
            name.parse().map(Some).map_err(|wrong: BadName| ApiError::BadRequest(format!("{field}: {wrong}")))
        }
        Some(_) => Err(ApiError::BadRequest(format!("{field}: expected text"))),
    };
    let (title, tag) = (name(TITLE)?, name(TAG)?);
    Ok(TranscribeForm { source, keyterms, parameters: fields, again, title, tag })
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

/// Reads a list, or text separated by commas. A number is a term, such as 911.
fn read_keyterms(name: &str, value: Option<Value>) -> Result<Keyterms, ApiError> {
    let wrong =
        || ApiError::BadRequest(format!("{name}: expected a list of words and phrases, or text separated by commas"));
    match value {
        None | Some(Value::Null) => Ok(Keyterms::default()),
        Some(Value::String(text)) => Ok(Keyterms::from_list(&text)),
        Some(number @ Value::Number(_)) => Ok(Keyterms::from_terms([number.to_string()])),
        Some(Value::Array(terms)) => {
            let term = |term: Value| match term {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let terms: Option<Vec<String>> = terms.into_iter().map(term).collect();
            Ok(Keyterms::from_terms(terms.ok_or_else(wrong)?))
        }
        Some(_) => Err(wrong()),
    }
}
