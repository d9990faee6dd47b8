//! Placing a call.

use std::sync::Arc;

use super::{Error, seen_through};
use crate::clients::twilio::CreateCall;
use crate::clients::{self, Kind, Service};
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;

/// Dials a number, once. The key terms are kept for the call's transcript.
///
/// # Errors
/// [`Kind::Ambiguous`] if nobody knows whether the phone rings.
pub async fn dial(context: &Shared, number: PhoneNumber, keyterms: Keyterms) -> Result<CallSid, Error> {
    context.transcript.keyterms.and(&keyterms).check(&context.transcript.keyterm_limit(None))?;

    let shared = Arc::clone(context);
    let placing = async move {
        let call = CreateCall {
            to: &number.to_string(),
            from: &shared.phone_number.to_string(),
            url: &shared.urls.record(),
            status_callback: &shared.urls.call_progress(),
            time_limit: shared.call.max_seconds,
        };
        let created = shared.twilio.create_call(&call).await;
        let created = created.and_then(|call| {
            let unreadable = Kind::Ambiguous(Box::new(Kind::BadBody { path: "sid".to_owned() }));
            call.sid.parse::<CallSid>().map_err(|_| clients::Error { service: Service::Twilio, kind: unreadable })
        });
        match created {
            Ok(call) => {
                tracing::info!(%call, to = number.masked(), "dialled");
                shared.call_keyterms.keep(call.clone(), keyterms);
                Ok(call)
            }
            Err(error) => {
                tracing::warn!(to = number.masked(), "dialling failed: {error}");
                Err(error)
            }
        }
    };
    seen_through(context, placing).await
}
