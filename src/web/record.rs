//! `/record/`: the voice webhook. Answers what Twilio is to do with a call, dialed or inbound. It waits for nothing, so it
//! always answers.

use std::sync::Arc;

use axum::response::Response;

use super::callback::Callback;
use super::forward;
use super::greeter::Greeter;
use super::noted::note;
use super::response::xml;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::Shared;
use crate::model::call::{CallId, CallSid, Direction};
use crate::twiml::{self, Verb};

/// Greets and records, or forwards an inbound call if `INBOUND` says so.
pub(super) async fn greet(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    let Callback { token, body } = &callback;
    if body.call_sid.parse::<CallSid>().is_ok_and(|sid| !greeter.may_greet(&sid)) {
        tracing::warn!(sid = body.call_sid, "Twilio requested the greeting too often; hanging up");
        return xml(twiml::response(&[Verb::Hangup]));
    }
    tracing::info!(
        call = token.as_ref().map(CallId::as_str),
        sid = body.call_sid,
        direction = body.direction,
        "answered, recording"
    );
    let is_inbound = token.is_none() && Direction::of_twilio(&body.direction) == Direction::Inbound;
    let forwarded = if is_inbound { forward::ring(&context, &greeter, body) } else { None };
    let document = forwarded.unwrap_or_else(|| xml(greeter.document(token.as_ref())));
    if token.is_none() || greeter.may_note() {
        note(&context, callback.answered());
    }
    document
}

pub(super) async fn done(Callback { token, body }: Callback<VoiceRequest>) -> Response {
    tracing::info!(call = token.as_ref().map(CallId::as_str), sid = body.call_sid, "recorded, hanging up");
    xml(twiml::response(&[Verb::Hangup]))
}
