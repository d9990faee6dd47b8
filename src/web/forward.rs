//! `/record/take/…`, and what `/record/` answers if `INBOUND` forwards calls: what Twilio is to do so that a caller talks
//! with the operator.
//!
//! The operator's phones ring at once, and the one at which a key is pressed takes the call: a voicemail box presses none.

use std::sync::Arc;

use axum::response::Response;

use super::callback::Callback;
use super::greeter::{self, Greeter};
use super::noted::note;
use super::response::xml;
use super::spoken::{digits, gather, hang_up};
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::{Context, Shared};
use crate::twiml::{self, Dial, Phone, Verb};

/// What `/record/` answers for a call that `INBOUND` forwards. Returns `None` if it is not, or if no phone may ring.
pub(super) fn ring(context: &Context, greeter: &Greeter, body: &VoiceRequest) -> Option<Response> {
    let (timeout, sid) = (context.call.forward_seconds?, body.call_sid.parse().ok()?);
    let phone = |number: &String| Phone {
        number: number.clone(),
        url: context.urls.take(),
        status_callback: context.urls.leg_progress(None),
    };
    // An operator who calls is not at that phone's other end.
    let numbers = context.call.forwarded_phones().iter().map(ToString::to_string);
    let numbers: Vec<String> = numbers.filter(|number| body.from.as_ref() != Some(number)).collect();
    if numbers.is_empty() {
        return None;
    }
    if !greeter.rung.may_ring(&sid, context) {
        let what =
            "a call was not forwarded: DIAL_PER_MINUTE, DIAL_PER_HOUR and DIAL_PER_DAY hold for forwarded calls, too";
        if let Some(times) = context.repeats.count(what.to_owned(), context.clock.now_ms()) {
            tracing::warn!(times, "{what}");
        }
        return None;
    }
    Some(xml(twiml::response(&[
        Verb::Say(greeter::said(context)),
        Verb::Dial(Dial {
            caller_id: None,
            action: context.urls.take_done(),
            recording_status_callback: context.urls.recording_progress(None),
            timeout: Some(timeout),
            time_limit: context.call.max_seconds,
            phones: numbers.iter().map(phone).collect(),
        }),
    ])))
}

/// Asks the person who picked up an operator's phone to take a forwarded call.
pub(super) async fn take(context: Shared, _: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    let from = callback.body.from.as_deref().filter(|from| from.starts_with('+'));
    let from = from.map_or_else(|| "an unknown number".to_owned(), digits);
    gather(context.urls.take_key(), format!("Call from {from}. Press any key to take it."))
}

/// With a key, connects the two.
pub(super) async fn key(context: Shared, _: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    if !callback.body.has_key() {
        return hang_up();
    }
    tracing::info!(leg = callback.body.call_sid, "a forwarded call was taken");
    note(&context, callback.taken());
    xml(twiml::response(&[]))
}

/// No phone rings any more. If nobody took the call, the caller can leave a message.
pub(super) async fn done(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    let (sid, is_bridged) = (callback.body.call_sid.clone(), callback.body.is_bridged());
    tracing::info!(
        sid,
        status = callback.body.dial_call_status,
        is_bridged,
        "a forwarded call has ended or was not taken"
    );
    note(&context, callback.leg_ended());
    if is_bridged { hang_up() } else { xml(greeter.message_after_forward()) }
}
