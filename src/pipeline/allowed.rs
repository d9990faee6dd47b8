//! Which numbers may be dialled: not the own one, none that is barred everywhere, and of the others those of the
//! countries that are set. Looks at the number alone: neither the store nor Twilio is asked.

use crate::context::Context;
use crate::model::numbering::{Barred, Countries, Country};
use crate::model::phone::PhoneNumber;

/// Why a number is not dialled, and which setting rules it.
#[derive(Debug, thiserror::Error)]
pub enum NotAllowed {
    /// It would be busy.
    #[error("this is TWILIO_PHONE_NUMBER, the number that calls are made from: it is never dialled")]
    OwnNumber,
    /// Expensive, or not a person's.
    #[error("this is {0}: such numbers are never dialled, whatever DIAL_COUNTRIES says")]
    Barred(Barred),
    /// Of another country than may be dialled.
    #[error("this is a number of {country}, and DIAL_COUNTRIES allows {allowed}")]
    Country {
        /// The number's.
        country: Country,
        /// Those that may be dialled, in words.
        allowed: String,
    },
    /// Of nobody's, as far as is known here.
    #[error(
        "no country known here has numbers that begin like this one, and DIAL_COUNTRIES allows {0}; * would allow it"
    )]
    NoCountry(String),
}

/// Whether this number may be dialled.
///
/// # Errors
/// Says why not.
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
            (Countries::Own, Some(own)) => format!("{own} alone, the country of TWILIO_PHONE_NUMBER, as it is not set"),
            _ => format!("{allowed} alone"),
        };
        match country {
            Some(country) => NotAllowed::Country { country, allowed },
            None => NotAllowed::NoCountry(allowed),
        }
    };
    tracing::info!(to = number.masked(), "not dialled: {refused}");
    Err(refused)
}
