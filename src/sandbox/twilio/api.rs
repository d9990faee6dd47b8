//! Requests: who may, what for, and the answer. `create` reads the one that begins a call.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::media::{self, Format};
use super::page::page;
use super::refusal::Refusal;
use super::state::{Call, Recording, sid};
use super::wire::account_path;
use super::{ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, Twilio, create};
use crate::clients::twilio::signature::Param;
use crate::sandbox::control::steer;

/// The longest form that is read.
const MAX_FORM: usize = 1 << 20;

/// What a path names. Recordings are there twice: all of the account's, and under their call.
#[derive(Debug, PartialEq, Eq)]
enum Resource<'a> {
    Calls,
    Call(&'a str),
    Recordings(Option<&'a str>),
    Recording(Option<&'a str>, &'a str),
    Media(Option<&'a str>, &'a str, Format),
}

/// The whole API. Faults come before everything except Twilio's own headers, which its refusals have too.
pub(super) fn router(twilio: &Twilio) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(twilio.clone())
        .layer(from_fn_with_state(twilio.control.clone(), steer))
        .layer(map_response(add_headers))
}

async fn add_headers(mut response: Response) -> Response {
    let id = HeaderValue::try_from(sid("RQ")).expect("letters and digits are a header value");
    response.headers_mut().insert("twilio-request-id", id);
    response.headers_mut().insert("twilio-concurrent-requests", HeaderValue::from_static("1"));
    response
}

async fn answer(State(twilio): State<Twilio>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
    let body = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    // hyper leaves the body out of the answer to HEAD.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let result = match authorized(&parts.headers) {
        false => Err(Refusal::of(StatusCode::UNAUTHORIZED)),
        true => match resource(path) {
            None => Err(Refusal::not_found(path)),
            Some(resource) => twilio.answer(&method, path, &resource, &query, &parts.headers, &body),
        },
    };
    result.unwrap_or_else(|refusal| refusal.answer(path))
}

impl Twilio {
    fn answer(
        &self,
        method: &Method,
        path: &str,
        resource: &Resource<'_>,
        query: &[Param],
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, Refusal> {
        let missing = || Refusal::not_found(path);
        let host = self.url();
        match (method.as_str(), resource) {
            ("POST", Resource::Calls) => {
                let call = self.begin_call(&create::read(&pairs(body))?);
                Ok((StatusCode::CREATED, json(&call)).into_response())
            }
            ("GET", Resource::Calls) => {
                let state = self.state();
                let asked = |name: &str, actual: &str| {
                    query.iter().find(|(key, _)| key == name).is_none_or(|(_, value)| value == actual)
                };
                let calls = state.calls.iter().rev();
                let calls = calls.filter(|(_, call)| {
                    asked("To", &call.to) && asked("From", &call.from) && asked("Status", call.status)
                });
                Ok(json(&page("calls", path, query, &calls.collect::<Vec<_>>(), Call::json)?))
            }
            ("GET", Resource::Call(sid)) => Ok(json(&self.state().call(sid).ok_or_else(missing)?.json())),
            ("POST", Resource::Call(sid)) => self.update_call(sid, path, &pairs(body)),
            ("DELETE", Resource::Call(sid)) => self.change(|state| {
                if !state.call(sid).ok_or_else(missing)?.is_over() {
                    return Err(Refusal::bad_request(20009, "Cannot delete a call that is in progress"));
                }
                state.calls.remove(sid);
                Ok(StatusCode::NO_CONTENT.into_response())
            }),
            ("GET", Resource::Recordings(call)) => {
                let state = self.state();
                if call.is_some_and(|sid| state.call(sid).is_none()) {
                    return Err(missing());
                }
                let asked = query.iter().find(|(name, _)| name == "CallSid").map(|(_, value)| value.as_str());
                let mut recordings = state.recordings(call.or(asked));
                recordings.reverse();
                let write = |one: &Recording| one.json(host, call.is_some());
                Ok(json(&page("recordings", path, query, &recordings, write)?))
            }
            ("GET", Resource::Recording(call, sid)) => {
                let state = self.state();
                Ok(json(&state.recording(*call, sid).ok_or_else(missing)?.json(host, call.is_some())))
            }
            ("DELETE", Resource::Recording(call, sid)) => self.change(|state| {
                state.recording(*call, sid).ok_or_else(missing)?;
                state.remove_recording(sid);
                Ok(StatusCode::NO_CONTENT.into_response())
            }),
            ("GET", Resource::Media(call, sid, format)) => {
                let recording = self.state().recording(*call, sid).cloned().ok_or_else(missing)?;
                if recording.status != "completed" {
                    return Err(missing());
                }
                media::serve(&recording, *format, query, headers)
            }
            _ => Err(Refusal::of(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }

    /// Hangs a live call up. A call that did not get through is `canceled` then, whatever word was used.
    fn update_call(&self, sid: &str, path: &str, params: &[Param]) -> Result<Response, Refusal> {
        let asked = params.iter().find(|(name, _)| name == "Status").map(|(_, value)| value.as_str());
        if !matches!(asked, Some("completed" | "canceled")) {
            return Err(Refusal::bad_request(20001, "The sandbox updates nothing but Status to completed or canceled"));
        }
        self.change(|state| {
            let call = state.call_mut(sid).ok_or_else(|| Refusal::not_found(path))?;
            match (call.status, asked) {
                ("queued" | "ringing", _) => call.enter("canceled"),
                ("in-progress", Some("completed")) => call.enter("completed"),
                _ => return Err(Refusal::bad_request(21220, "Call is not in-progress. Cannot redirect.")),
            }
            Ok(json(&call.json()))
        })
    }
}

fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A form, or a query, decoded.
fn pairs(text: &[u8]) -> Vec<Param> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn authorized(headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|value| {
        let (scheme, credentials) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()).ok())?
    });
    let Some(given) = given else { return false };
    [(ACCOUNT_SID, AUTH_TOKEN), (API_KEY_SID, API_KEY_SECRET)]
        .iter()
        .any(|(user, password)| given == format!("{user}:{password}").into_bytes())
}

fn resource(path: &str) -> Option<Resource<'_>> {
    let rest = path.strip_prefix(&account_path())?.strip_prefix('/')?;
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["Calls.json"] => Some(Resource::Calls),
        ["Calls", file] => file.strip_suffix(".json").map(Resource::Call),
        ["Recordings.json"] => Some(Resource::Recordings(None)),
        ["Recordings", file] => Some(recording(None, file)),
        ["Calls", call, "Recordings.json"] => Some(Resource::Recordings(Some(call))),
        ["Calls", call, "Recordings", file] => Some(recording(Some(call), file)),
        _ => None,
    }
}

fn recording<'a>(call: Option<&'a str>, file: &'a str) -> Resource<'a> {
    match file.rsplit_once('.') {
        Some((sid, "json")) => Resource::Recording(call, sid),
        Some((sid, "mp3")) => Resource::Media(call, sid, Format::Mp3),
        Some((sid, "wav")) => Resource::Media(call, sid, Format::Wav),
        _ => Resource::Media(call, file, Format::Wav),
    }
}
