//! `/record/conversation/…` and `/record/greeting/`: what Twilio is to do so that the operator talks with a callee.
//!
//! The operator's phone rings first. It is asked for a key, because a voicemail box would otherwise be connected with the
//! callee. Then the callee's phone rings, whose number comes from the stored call alone.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;

use super::callback::Callback;
use super::forward;
use super::greeter::{self, Greeter};
use super::noted::note;
use super::response::xml;
use super::spoken::{digits, gather, hang_up, say};
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::{Context, Shared};
use crate::model::call::{Call, CallId, CallName, CallSid, CallState, Kind};
use crate::twiml::{self, Dial, Phone, Verb};

/// How long the operator who has just picked up waits for the number to be named. Without it, the question is the same.
const NAMED_WITHIN: Duration = Duration::from_millis(500);

/// How long Twilio waits for the number to ring. Then it asks again.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);

/// Asks the person who picked up the operator's phone for a key.
pub(super) async fn begin(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    let Callback { token: Some(token), body } = &callback else { return hang_up() };
    tracing::info!(call = %token, sid = body.call_sid, "the operator's phone was answered");
    let call = tokio::time::timeout(NAMED_WITHIN, stored(&context, token)).await.ok().flatten();
    let number = call.and_then(|call| call.to).map_or_else(|| "the other side".to_owned(), |number| digits(&number));
    let document = gather(context.urls.conversation_key(token), format!("Press any key to call {number}."));
    if greeter.may_note() {
        note(&context, callback.answered());
    }
    document
}

/// With a key, rings the other number. Without one, nobody may be at the phone.
pub(super) async fn key(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    if callback.body.has_key() {
        return connect(context, greeter, callback).await;
    }
    tracing::info!(call = callback.token.as_ref().map(CallId::as_str), "nobody pressed a key; hanging up");
    say("No key was pressed. Goodbye.")
}

/// Rings the other number, once. If the database does not answer in time, Twilio asks again.
pub(super) async fn connect(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    let Callback { token: Some(token), body } = &callback else { return hang_up() };
    let Ok(sid) = body.call_sid.parse::<CallSid>() else { return hang_up() };
    let found = tokio::time::timeout(CONNECTED_WITHIN, callee(&context, token, &sid)).await;
    match found {
        Ok(Ok(Some(number))) => {
            tracing::info!(call = %token, "a key was pressed; ringing the other number");
            xml(twiml::response(&[Verb::Dial(Dial {
                caller_id: Some(context.phone_number.to_string()),
                action: context.urls.conversation_done(token),
                recording_status_callback: context.urls.recording_progress(Some(token)),
                timeout: None,
                time_limit: context.call.max_seconds,
                phones: vec![Phone {
                    number,
                    url: context.urls.whisper(token),
                    status_callback: context.urls.leg_progress(Some(token)),
                }],
            })]))
        }
        Ok(Ok(None)) => {
            tracing::warn!(call = %token, "asked to ring for a call that has no number to ring, or has rung it");
            say("This call cannot be connected. Goodbye.")
        }
        Ok(Err(_)) | Err(_) if greeter.may_wait(&sid) => {
            tracing::warn!(call = %token, "the database does not answer; the operator waits");
            let again = context.urls.conversation_connect(token);
            let moment = Verb::Say("One moment, please.".into());
            xml(twiml::response(&[moment, Verb::Pause(2), Verb::Redirect(again)]))
        }
        Ok(Err(_)) | Err(_) => say("This call cannot be connected now. Please try again later."),
    }
}

/// The number to ring in this conversation: that of the committed call, unless it has rung already or is deleted.
async fn callee(context: &Context, token: &CallId, sid: &CallSid) -> Result<Option<String>, crate::store::Error> {
    let mut conn = context.store.read().await?;
    let call = conn.call(&CallName::Id(token.clone())).await?;
    let is_it = |call: &Call| {
        let is_asked = call.sid.as_ref().is_none_or(|known| known == sid);
        call.kind == Kind::Conversation && call.operator.is_some() && is_asked && call.deletion.is_none()
    };
    let Some(call) = call.filter(is_it) else { return Ok(None) };
    let has_rung = !conn.legs_of(&call.id).await?.is_empty();
    Ok(call.to.filter(|_| !has_rung))
}

/// What the callee hears before the two are connected.
pub(super) async fn whisper(context: Shared, _: Arc<Greeter>, _: Callback<VoiceRequest>) -> Response {
    xml(twiml::response(&[Verb::Say(greeter::said(&context))]))
}

/// The other leg has ended. Tells the operator, who is still on the line, why nobody talked.
pub(super) async fn done(context: Shared, greeter: Arc<Greeter>, callback: Callback<VoiceRequest>) -> Response {
    // A forwarded call that was ringing while callscribe was updated has this address, too.
    if callback.token.is_none() {
        return forward::done(context, greeter, callback).await;
    }
    let (status, is_bridged) = (callback.body.dial_call_status.clone(), callback.body.is_bridged());
    let call = callback.token.as_ref().map(CallId::as_str);
    tracing::info!(call, status, is_bridged, "the other leg has ended");
    note(&context, callback.leg_ended());
    if is_bridged {
        return hang_up();
    }
    say(match status.as_deref().and_then(CallState::of_twilio) {
        Some(CallState::Busy) => "The line is busy. Goodbye.",
        Some(CallState::NoAnswer) => "Nobody answered. Goodbye.",
        Some(CallState::Completed) => "The other side has hung up. Goodbye.",
        _ => "This call could not be connected. Goodbye.",
    })
}

async fn stored(context: &Context, token: &CallId) -> Option<Call> {
    let mut conn = context.store.read().await.ok()?;
    conn.call(&CallName::Id(token.clone())).await.ok()?
}
