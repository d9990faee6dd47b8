//! `/record/`: what Twilio is to do with a call, dialled or inbound. Asks nothing of anybody, so it always answers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::extract::{FromTwilio, Query};
use super::hooks::About;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::Shared;
use crate::model::call::{CallId, CallState, Direction};
use crate::pipeline::progress::{self, CallNews};
use crate::twiml::{self, Record, Verb};

/// Seconds of silence after which a recording ends.
const SILENCE: u32 = 5;

/// Says the greeting, records, and goes on at `/record/done/`. That somebody answered is taken in on the side: Twilio does
/// not wait for the database. Where too much of that waits already it is left out, for the call's status tells it as well.
pub(super) async fn greet(
    State(context): State<Shared>,
    Query(about): Query<About>,
    FromTwilio(call): FromTwilio<VoiceRequest>,
) -> Response {
    let token = about.token();
    tracing::info!(
        call = token.as_ref().map(CallId::as_str),
        sid = call.call_sid,
        direction = call.direction,
        "answered, recording"
    );
    let document = twiml::response(&[
        Verb::Say(context.call.greeting.clone()),
        Verb::Record(Record {
            action: context.urls.record_done(token.as_ref()),
            recording_status_callback: context.urls.recording_progress(token.as_ref()),
            max_length: context.call.max_seconds,
            timeout: SILENCE,
        }),
        Verb::Hangup,
    ]);
    if let (Ok(sid), Ok(place)) = (call.call_sid.parse(), Arc::clone(&context.asides).try_acquire_owned()) {
        let news = CallNews {
            token,
            sid,
            status: CallState::InProgress.as_str().to_owned(),
            direction: Direction::of_twilio(&call.direction),
            to: call.to,
            from: call.from,
        };
        let shared = Arc::clone(&context);
        let taking_in = async move {
            let _place = place;
            if let Err(error) = progress::call_told(&shared, news).await {
                tracing::warn!("that a call was answered could not be stored: {error}");
            }
        };
        context.under_way.spawn(taking_in.in_current_span());
    }
    xml(document)
}

/// Hangs up.
pub(super) async fn done(Query(about): Query<About>, FromTwilio(call): FromTwilio<VoiceRequest>) -> Response {
    tracing::info!(call = about.token().as_ref().map(CallId::as_str), sid = call.call_sid, "recorded, hanging up");
    xml(twiml::response(&[Verb::Hangup]))
}

fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], document).into_response()
}
