//! Parses `POST Calls/{Sid}.json`, which changes a live call.

use super::account::{Document, StatusCallback};
use super::create::{inline, method, one, parse_url, status_callback};
use super::form::Param;
use super::rest_exception::{RestException, bad_request};

pub(super) struct Update {
    pub(super) change: Option<Change>,
    pub(super) status_callback: Option<StatusCallback>,
}

pub(super) enum Change {
    /// With the `Status` that was asked for.
    End(&'static str),
    Redirect(Document),
}

pub(super) fn parse(params: &[Param]) -> Result<Update, RestException> {
    let change = match (one(params, "Status"), one(params, "Url"), one(params, "Twiml")) {
        (None, None, None) => None,
        (Some("completed"), None, None) => Some(Change::End("completed")),
        (Some("canceled"), None, None) => Some(Change::End("canceled")),
        (Some(_), None, None) => return Err(bad_request(20001, "Status must be completed or canceled")),
        (None, Some(url), None) => {
            Some(Change::Redirect(Document::At(method(one(params, "Method"))?, parse_url(url)?)))
        }
        (None, None, Some(twiml)) => Some(Change::Redirect(inline(twiml)?)),
        _ => return Err(bad_request(20001, "Status, Url and Twiml are mutually exclusive")),
    };
    Ok(Update { change, status_callback: status_callback(params, "StatusCallback")? })
}
