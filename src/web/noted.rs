//! What requests for TwiML tell about a call, stored in the background: Twilio must not wait for the database. If too much
//! waits for it already, it is stored later, except of calls that were dialed here: polls tell that.

use std::sync::Arc;

use tracing::Instrument;

use crate::context::Shared;
use crate::model::BadId;
use crate::pipeline::ingest::{self, Update};

/// Stores what a request tells, unless its ids are none of Twilio's.
pub(super) fn note(context: &Shared, update: Result<Update, BadId>) {
    let Ok(update) = update else { return };
    let Ok(slot) = Arc::clone(&context.answered_slots).try_acquire_owned() else {
        return update.missed().into_iter().for_each(|missed| context.remember(missed));
    };
    let shared = Arc::clone(context);
    let store = async move {
        let _slot = slot;
        if let Err(error) = ingest::update(&shared, update).await {
            tracing::warn!("cannot store what a request for TwiML tells: {error}");
        }
    };
    context.tasks.spawn(store.in_current_span());
}
