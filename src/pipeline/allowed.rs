//! Which numbers may be dialed: not our own, no barred one, and only those of the allowed countries. Decides by the number
//! alone, without store or Twilio.

use crate::context::Context;
use crate::model::numbering::{Barred, Countries, Country};
use crate::model::phone::PhoneNumber;

/// Why a number is not dialed.
#[derive(Debug, thiserror::Error)]
pub enum NotAllowed {
    #[error("this is your own Twilio number (TWILIO_PHONE_NUMBER), which is never dialed")]
    OwnNumber,
    #[error("this is {0}; such numbers are never dialed, whatever DIAL_COUNTRIES says")]
    Barred(Barred),
    #[error("this number belongs to {country}, but DIAL_COUNTRIES allows {allowed}")]
    Country { country: Country, allowed: String },
    #[error("the country of this number is unknown, and DIAL_COUNTRIES allows {0}; * would allow it")]
    NoCountry(String),
    #[error("your own phone cannot be called: {0}")]
    Operator(Box<NotAllowed>),
}

/// Returns why a conversation between these numbers may not be dialed, if so: the operator's phone rings, too.
pub(super) fn check_both(context: &Context, number: &PhoneNumber, operator: &PhoneNumber) -> Result<(), NotAllowed> {
    check(context, number)?;
    check(context, operator).map_err(|why| NotAllowed::Operator(Box::new(why)))
}

/// Returns why this number may not be dialed, if so.
pub(super) fn check(context: &Context, number: &PhoneNumber) -> Result<(), NotAllowed> {
    let (own, allowed) = (&context.phone_number, &context.call.countries);
    let refused = if number == own {
        NotAllowed::OwnNumber
    } else if let Some(barred) = number.barred() {
        NotAllowed::Barred(barred)
    } else {
        let country = number.country();
        if allowed.allow(country, own) {
            return Ok(());
        }
        let allowed = match (allowed, own.country()) {
            (Countries::Own, Some(own)) => format!("only {own} by default, the country of your Twilio number"),
            _ => format!("only {allowed}"),
        };
        match country {
            Some(country) => NotAllowed::Country { country, allowed },
            None => NotAllowed::NoCountry(allowed),
        }
    };
    tracing::info!(to = number.masked(), "not dialed: {refused}");
    Err(refused)
}
