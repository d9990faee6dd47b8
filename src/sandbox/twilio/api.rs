//! The REST API: authentication, routes and responses. `create` parses the request that places a call.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;

use super::account::{Call, Recording, sid};
use super::credentials::{ACCOUNT_SID, ACCOUNT_UUID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN};
use super::emulator::Twilio;
use super::form::{self, Param};
use super::list::{Filters, check_soft_deleted};
use super::other_api::{heard_path, spoken_response};
use super::page::page;
use super::parameters;
use super::resource::{Resource, resource};
use super::rest_exception::{RestException, bad_request};
use super::update::{self, Change};
use super::{console, create, media, numbers};
use crate::sandbox::control::intercept;
use crate::sandbox::pace::Pace;

/// Maximum length of a form.
const MAX_FORM: usize = 1 << 20;

impl Twilio {
    /// Starts an emulated Twilio that serves on this listener until the runtime ends.
    pub fn start(listener: TcpListener, pace: Pace) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let twilio = Self::new(format!("http://{address}"), pace);
        let router = router(&twilio);
        tokio::spawn(async move { axum::serve(listener, router).await });
        twilio
    }
}

/// Injected faults have Twilio's own headers too, so those are added last.
fn router(twilio: &Twilio) -> Router {
    Router::new()
        .route("/", get(console::show))
        .route("/console/inbound", post(console::call_in))
        .route("/console/recordings", post(console::make_past))
        .fallback(respond)
        .with_state(twilio.clone())
        .layer(from_fn_with_state(twilio.control.clone(), intercept))
        .layer(map_response(add_headers))
}

async fn add_headers(mut response: Response) -> Response {
    let id = HeaderValue::try_from(sid("RQ")).expect("letters and digits are a header value");
    response.headers_mut().insert("twilio-request-id", id);
    response.headers_mut().insert("twilio-concurrent-requests", HeaderValue::from_static("1"));
    response
}

async fn respond(State(twilio): State<Twilio>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_another_api = twilio.account().is_another_api;
    let heard = is_another_api.then(|| heard_path(parts.uri.path()).unwrap_or_default());
    let path = heard.as_deref().unwrap_or(parts.uri.path());
    let query = form::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let body = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    // hyper omits the body of a response to HEAD.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let result = if !is_authorized(&parts.headers) {
        Err(RestException::of(StatusCode::UNAUTHORIZED))
    } else if let Some(numbers) = numbers::respond(&twilio, &method, path, &query) {
        numbers
    } else if let Some(resource) = resource(path) {
        twilio.respond(&method, path, &resource, &query, &parts.headers, &body)
    } else {
        Err(RestException::not_found(path))
    };
    let response = result.unwrap_or_else(|error| error.response(path));
    if is_another_api { spoken_response(response, twilio.url()).await } else { response }
}

impl Twilio {
    fn respond(
        &self,
        method: &Method,
        path: &str,
        resource: &Resource<'_>,
        query: &[Param],
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, RestException> {
        let not_found = || RestException::not_found(path);
        let is_call = *method == Method::POST && *resource == Resource::Calls;
        if let Some((code, message)) = self.account().refusal.filter(|_| !is_call) {
            return Err(RestException { status: StatusCode::FORBIDDEN, code, message: message.to_owned() });
        }
        let form = if *method == Method::POST { form::parse(body) } else { Vec::new() };
        parameters::check(method, resource, query, &form)?;
        match (method.as_str(), resource) {
            ("POST", Resource::Calls) => {
                let call = self.create_call(create::parse(&form)?);
                Ok((StatusCode::CREATED, json(&call)).into_response())
            }
            ("GET", Resource::Calls) => {
                let filters = Filters::parse(query)?;
                let account = self.account();
                let calls = account.calls.iter().rev().filter(|(_, call)| filters.let_call(call));
                let write = |call: &Call| call.json(account.prices_in);
                Ok(json(&page("calls", path, query, &calls.collect::<Vec<_>>(), write)?))
            }
            ("GET", Resource::Call(sid)) => {
                let account = self.account();
                Ok(json(&account.call(sid).ok_or_else(not_found)?.json(account.prices_in)))
            }
            ("POST", Resource::Call(sid)) => self.update_call(sid, path, &form),
            ("DELETE", Resource::Call(sid)) => self.change(|account| {
                if !account.call(sid).ok_or_else(not_found)?.has_ended() {
                    return Err(bad_request(20009, "Cannot delete a call that is in progress"));
                }
                account.calls.remove(sid);
                Ok(StatusCode::NO_CONTENT.into_response())
            }),
            ("GET", Resource::Recordings(call)) => {
                let filters = Filters::parse(query)?;
                let account = self.account();
                if call.is_some_and(|sid| account.call(sid).is_none()) {
                    return Err(not_found());
                }
                let mut recordings =
                    account.recordings(call.or(form::value(query, "CallSid").filter(|sid| !sid.is_empty())));
                recordings.retain(|(_, recording)| filters.let_recording(recording));
                recordings.reverse();
                let write = |recording: &Recording| recording.json(self.url(), call.is_some(), account.prices_in);
                Ok(json(&page("recordings", path, query, &recordings, write)?))
            }
            ("GET", Resource::Recording(call, sid)) => {
                check_soft_deleted(query)?;
                let account = self.account();
                let recording = account.recording(*call, sid).ok_or_else(not_found)?;
                Ok(json(&recording.json(self.url(), call.is_some(), account.prices_in)))
            }
            ("DELETE", Resource::Recording(call, sid)) => self.change(|account| {
                account.recording(*call, sid).ok_or_else(not_found)?;
                account.remove_recording(sid);
                Ok(StatusCode::NO_CONTENT.into_response())
            }),
            ("GET", Resource::Media(call, sid, format)) => {
                let recording = self.account().recording(*call, sid).cloned().ok_or_else(not_found)?;
                if recording.status != "completed" {
                    return Err(not_found());
                }
                media::serve(&recording, *format, query, headers)
            }
            _ => Err(RestException::of(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }

    /// Hangs up a live call, or redirects it to another document. A call that was not answered becomes `canceled` with
    /// either value of `Status`.
    fn update_call(&self, sid: &str, path: &str, params: &[Param]) -> Result<Response, RestException> {
        let update = update::parse(params)?;
        self.change(|account| {
            let prices_in = account.prices_in;
            let call = account.call_mut(sid).ok_or_else(|| RestException::not_found(path))?;
            match (call.status, &update.change) {
                (_, None) => {}
                ("queued" | "ringing", Some(Change::End(_))) => call.set_status("canceled"),
                ("in-progress", Some(Change::End("completed"))) => call.set_status("completed"),
                (_, Some(Change::Redirect(_))) if call.parent.is_some() => {
                    return Err(bad_request(20001, "The sandbox does not redirect a call that <Dial> made"));
                }
                ("in-progress", Some(Change::Redirect(document))) => {
                    call.redirect.send_replace(document.clone());
                }
                _ => return Err(bad_request(21220, "Call is not in-progress. Cannot redirect.")),
            }
            if let Some(status_callback) = &update.status_callback {
                call.options.status_callback = Some(status_callback.clone());
            }
            Ok(json(&call.json(prices_in)))
        })
    }
}

fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn is_authorized(headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|value| {
        let (scheme, credentials) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()).ok())?
    });
    let Some(given) = given else { return false };
    [(ACCOUNT_SID, AUTH_TOKEN), (ACCOUNT_UUID, AUTH_TOKEN), (API_KEY_SID, API_KEY_SECRET)]
        .iter()
        .any(|(user, password)| given == format!("{user}:{password}").into_bytes())
}
