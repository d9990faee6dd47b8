//! The page of the emulated Twilio, at `/`: its phone book, its calls, a form that starts a call to the account's number, and one that
//! makes recordings of other software.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use quick_xml::escape::escape;

use super::create::is_number;
use super::credentials::PHONE_NUMBER;
use super::emulator::Twilio;
use super::form;
use super::phone_book::PHONE_BOOK;

/// Maximum number of calls that a form makes, and of days over which they are spread.
const MOST_MADE: u32 = 10_000;
const MOST_DAYS: u32 = 365;

/// How many calls the page shows.
const MAX_CALLS: usize = 20;

/// The page has its style in itself and loads nothing.
const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'");

/// Responds to `GET /`.
pub(super) async fn show(State(twilio): State<Twilio>) -> Response {
    let mut numbers = String::new();
    for entry in &PHONE_BOOK {
        let _ = write!(numbers, "<tr><td>{}<td>{}", entry.number, entry.who);
    }
    let mut calls = String::new();
    for (_, call) in twilio.account().calls.iter().rev().take(MAX_CALLS) {
        let [sid, from, to, direction, status] =
            [&call.sid, &call.from, &call.to, call.direction(), call.status].map(escape);
        let parent = call.parent.as_deref().unwrap_or_default();
        let _ = write!(calls, "<tr><td>{sid}<td>{direction}<td>{from}<td>{to}<td>{status}<td>{parent}");
    }
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>The sandbox's Twilio</title>\
         <style>body{{font:1rem/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}\
         table{{border-collapse:collapse}}td,th{{padding:.2rem 1rem .2rem 0;text-align:left}}</style>\
         <h1>The sandbox's Twilio</h1><p>No phone rings, and nothing is billed.\
         <h2>Call {PHONE_NUMBER}</h2><form method=post action=/console/inbound>\
         <label>from <input name=From value=+14155551234 required pattern=\"\\+[0-9]{{7,15}}\" list=numbers></label> \
         <button>Call</button><datalist id=numbers>{options}</datalist></form>\
         <h2>Recordings of other software</h2><form method=post action=/console/recordings>\
         <label>calls <input name=Calls type=number min=1 max={MOST_MADE} value=500></label> \
         <label>over the last days <input name=Days type=number min=1 max={MOST_DAYS} value=60></label> \
         <button>Make</button></form>\
         <h2>Phone book</h2><p>The same always happens at these numbers. At any other number, somebody answers \
         and leaves a message.<table><tr><th>number<th>who is there{numbers}</table>\
         <h2>Newest calls</h2><table><tr><th>SID<th>direction<th>from<th>to<th>status<th>made by <code>&lt;Dial&gt;</code> of\
         {calls}</table>",
        options = PHONE_BOOK.iter().map(|entry| format!("<option>{}", entry.number)).collect::<String>(),
    );
    ([(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)], Html(page)).into_response()
}

/// Responds to `POST /console/inbound`, which starts a call to the account's number. Pages of other sites cannot.
pub(super) async fn call_in(State(twilio): State<Twilio>, headers: HeaderMap, body: Bytes) -> Response {
    if is_of_another_site(&headers) {
        return refuse(StatusCode::FORBIDDEN, OTHER_SITE);
    }
    let form = form::parse(&body);
    let Some(from) = form::value(&form, "From").filter(|from| is_number(from) && *from != PHONE_NUMBER) else {
        return refuse(StatusCode::BAD_REQUEST, "From must be a phone number such as +14155551234\n");
    };
    let voice_url = twilio.account().voice_url.clone();
    if voice_url.is_empty() {
        return refuse(StatusCode::CONFLICT, "no address is set for calls to this number\n");
    }
    twilio.inbound_call(&voice_url, from);
    Redirect::to("/").into_response()
}

/// Responds to `POST /console/recordings`, which makes calls of the past with their recordings, to be imported. Pages of other
/// sites cannot.
pub(super) async fn make_past(State(twilio): State<Twilio>, headers: HeaderMap, body: Bytes) -> Response {
    if is_of_another_site(&headers) {
        return refuse(StatusCode::FORBIDDEN, OTHER_SITE);
    }
    let form = form::parse(&body);
    let number = |name, default: u32, most: u32| match form::value(&form, name) {
        None | Some("") => Some(default),
        Some(text) => text.parse().ok().filter(|number| (1..=most).contains(number)),
    };
    let calls = number("Calls", 500, MOST_MADE);
    let (Some(calls), Some(days)) = (calls, number("Days", 60, MOST_DAYS)) else {
        return refuse(StatusCode::BAD_REQUEST, "Calls must be from 1 to 10000, and Days from 1 to 365\n");
    };
    let past = twilio.add_past(calls as usize, days);
    format!("Made {calls} calls over the last {days} days. {past}\n").into_response()
}

const OTHER_SITE: &str = "this form is only for the sandbox's own page\n";

fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn refuse(status: StatusCode, why: &'static str) -> Response {
    (status, why).into_response()
}
