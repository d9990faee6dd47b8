//! `/record/`: the voice webhook. Answers what Twilio is to do with a call, dialed or inbound. It waits for nothing, so it
//! always answers.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::callback::Callback;
use super::conversation;
use super::greeter::Greeter;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::Shared;
use crate::model::call::{CallId, CallSid, Direction};
use crate::pipeline::ingest::{self, CallUpdate};
use crate::twiml::{self, Verb};

const XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");

/// Greets and records, or forwards an inbound call if `INBOUND` says so. That the call was answered is stored in the background, because Twilio must not wait for the
/// database. If too much waits for the database already it is not stored at all: the call's status callback or its
/// recording reports it too.
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
    let forwarded = if is_inbound { conversation::forwarded(&context, body) } else { None };
    let document = forwarded.unwrap_or_else(|| xml(greeter.document(token.as_ref())));
    if token.is_none() || greeter.may_note() {
        note_answered(&context, callback);
    }
    document
}

pub(super) fn note_answered(context: &Shared, callback: Callback<VoiceRequest>) {
    let Ok(update) = CallUpdate::try_from(callback) else { return };
    let Ok(slot) = Arc::clone(&context.answered_slots).try_acquire_owned() else { return };
    let shared = Arc::clone(context);
    let store = async move {
        let _slot = slot;
        if let Err(error) = ingest::call_update(&shared, update).await {
            tracing::warn!("cannot store that a call was answered: {error}");
        }
    };
    context.tasks.spawn(store.in_current_span());
}

pub(super) async fn done(Callback { token, body }: Callback<VoiceRequest>) -> Response {
    tracing::info!(call = token.as_ref().map(CallId::as_str), sid = body.call_sid, "recorded, hanging up");
    xml(twiml::response(&[Verb::Hangup]))
}

pub(super) fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, XML)], document).into_response()
}
