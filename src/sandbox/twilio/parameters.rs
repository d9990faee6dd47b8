//! The parameters that the sandbox does what is asked with. It refuses all others, so that no client takes what was ignored
//! for done.

use axum::http::Method;

use super::form::Param;
use super::resource::Resource;
use super::rest_exception::{RestException, bad_request};

/// Refuses a request with a parameter that the sandbox has no use for. An empty one asks for nothing.
pub(super) fn check(
    method: &Method,
    resource: &Resource<'_>,
    query: &[Param],
    form: &[Param],
) -> Result<(), RestException> {
    let (of_query, of_form) = match (method.as_str(), resource) {
        ("GET", Resource::Calls) => (CALLS, NONE),
        ("GET", Resource::Recordings(None)) => (RECORDINGS, NONE),
        ("GET", Resource::Recordings(Some(_))) => (RECORDINGS_OF_CALL, NONE),
        ("GET", Resource::Recording(None, _)) => (RECORDING, NONE),
        ("GET", Resource::Media(..)) => (MEDIA, NONE),
        ("POST", Resource::Calls) => (NONE, NEW_CALL),
        ("POST", Resource::Call(_)) => (NONE, LIVE_CALL),
        _ => (NONE, NONE),
    };
    let is_unknown = |known: &[&str], (name, value): &Param| !value.is_empty() && !known.contains(&name.as_str());
    let of_query = query.iter().find(|param| is_unknown(of_query, param));
    match of_query.or_else(|| form.iter().find(|param| is_unknown(of_form, param))) {
        Some((name, _)) => Err(bad_request(20001, format!("The sandbox does not support the parameter {name} here"))),
        None => Ok(()),
    }
}

const NONE: &[&str] = &[];

#[rustfmt::skip]
const CALLS: &[&str] = &[
    "To", "From", "ParentCallSid", "Status", "StartTime", "StartTime<", "StartTime>", "EndTime", "EndTime<", "EndTime>",
    "PageSize", "Page", "PageToken",
];

#[rustfmt::skip]
const RECORDINGS: &[&str] = &[
    "DateCreated", "DateCreated<", "DateCreated>", "CallSid", "ConferenceSid", "IncludeSoftDeleted", "PageSize", "Page",
    "PageToken",
];

const RECORDINGS_OF_CALL: &[&str] = &["DateCreated", "DateCreated<", "DateCreated>", "PageSize", "Page", "PageToken"];

const RECORDING: &[&str] = &["IncludeSoftDeleted"];

const MEDIA: &[&str] = &["RequestedChannels"];

#[rustfmt::skip]
const NEW_CALL: &[&str] = &[
    "To", "From", "Url", "Method", "Twiml", "Timeout", "TimeLimit", "StatusCallback", "StatusCallbackMethod",
    "StatusCallbackEvent", "Record", "RecordingChannels", "RecordingStatusCallback", "RecordingStatusCallbackMethod",
    "RecordingStatusCallbackEvent", "Trim", "RecordingTrack",
];

const LIVE_CALL: &[&str] = &["Status", "Url", "Method", "Twiml", "StatusCallback", "StatusCallbackMethod"];
