//! Placing a call.

use std::sync::Arc;

use tracing::Instrument;

use super::Error;
use crate::clients::twilio::CreateCall;
use crate::clients::{self, Kind, Service};
use crate::config::keyterm_limit;
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;

/// Dials a number, once. The key terms are kept for the call's transcript.
///
/// # Errors
/// [`Kind::Ambiguous`] if nobody knows whether the phone rings.
pub async fn dial(context: &Shared, number: PhoneNumber, keyterms: Keyterms) -> Result<CallSid, Error> {
    context.transcript.keyterms.and(&keyterms).check(&keyterm_limit(&context.transcript.speech_models))?;

    // A task of its own: a browser tab that is closed now must not leave a call that nobody knows of.
    let context = Arc::clone(context);
    let placing = async move {
        let call = CreateCall {
            to: &number.to_string(),
            from: &context.phone_number.to_string(),
            url: &context.urls.record(),
            status_callback: &context.urls.call_progress(),
            time_limit: context.call.max_seconds,
        };
        let created = context.twilio.create_call(&call).await;
        let created = created.and_then(|call| {
            let unreadable = Kind::Ambiguous(Box::new(Kind::BadBody { path: "sid".to_owned() }));
            call.sid.parse::<CallSid>().map_err(|_| clients::Error { service: Service::Twilio, kind: unreadable })
        });
        match created {
            Ok(call) => {
                tracing::info!(%call, to = number.masked(), "dialled");
                context.call_keyterms.keep(call.clone(), keyterms);
                Ok(call)
            }
            Err(error) => {
                tracing::warn!(to = number.masked(), "not dialled: {error}");
                Err(error)
            }
        }
    };
    let placed = tokio::spawn(placing.in_current_span()).await;
    // The task is never aborted, so what can be joined here is its own panic.
    placed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(Error::from)
}
