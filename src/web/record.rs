//! `/record/`: what Twilio is to do with a call, dialled or inbound. Asks nothing of anybody, so it always answers.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::extract::FromTwilio;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::Shared;
use crate::twiml::{self, Record, Verb};

/// Seconds of silence after which a recording ends.
const SILENCE: u32 = 5;

/// Says the greeting, records, and goes on at `/record/done/`.
pub(super) async fn greet(State(context): State<Shared>, FromTwilio(call): FromTwilio<VoiceRequest>) -> Response {
    tracing::info!(call = call.call_sid, direction = call.direction, "answered, recording");
    xml(twiml::response(&[
        Verb::Say(context.call.greeting.clone()),
        Verb::Record(Record {
            action: context.urls.record_done(),
            recording_status_callback: context.urls.recording_progress(),
            max_length: context.call.max_seconds,
            timeout: SILENCE,
        }),
        Verb::Hangup,
    ]))
}

/// Hangs up.
pub(super) async fn done(FromTwilio(call): FromTwilio<VoiceRequest>) -> Response {
    tracing::info!(call = call.call_sid, "recorded, hanging up");
    xml(twiml::response(&[Verb::Hangup]))
}

fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], document).into_response()
}
