//! What requests for TwiML tell about a call, stored in the background: Twilio must not wait for the database. If too much
//! waits for it already, it is not stored; callbacks and polls tell it, too.

use std::sync::Arc;

use tracing::Instrument;

use super::callback::Callback;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::Shared;
use crate::model::call::CallId;
use crate::pipeline::ingest::{self, CallUpdate, LegUpdate};

/// Stores that a call was answered.
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

/// Stores the state of a leg.
pub(super) fn note_leg(
    context: &Shared,
    token: Option<CallId>,
    parent: &str,
    leg: &str,
    status: String,
    number: Option<String>,
    is_bridged: Option<bool>,
) {
    let (Ok(parent), Ok(sid)) = (parent.parse(), leg.parse()) else { return };
    let Ok(slot) = Arc::clone(&context.answered_slots).try_acquire_owned() else { return };
    let update = LegUpdate { token, parent, sid, status, number, is_bridged };
    let shared = Arc::clone(context);
    let store = async move {
        let _slot = slot;
        if let Err(error) = ingest::leg_update(&shared, update).await {
            tracing::warn!("cannot store the state of a leg: {error}");
        }
    };
    context.tasks.spawn(store.in_current_span());
}
