//! What went wrong, in a sentence for the person whose call it is. It keeps the vendor's own words, which the log must
//! not have.

use super::Error;
use crate::clients::{self, Kind};

/// Why a step failed.
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::Vendor(error) => of_vendor(error),
        error => error.to_string(),
    }
}

/// What a vendor said or did.
pub(super) fn of_vendor(clients::Error { service, kind }: &clients::Error) -> String {
    match kind {
        Kind::Unauthorized(refusal) => format!("{service} refused this program's credentials: {}", refusal.message),
        Kind::NotFound(refusal) | Kind::Rejected(refusal) => match refusal.code {
            Some(code) => format!("{service} refused: {} (code {code})", refusal.message),
            None => format!("{service} refused: {}", refusal.message),
        },
        Kind::RateLimited { .. } => format!("{service} is asked too much"),
        Kind::Unavailable { refusal, .. } => format!("{service} failed: {}", refusal.message),
        Kind::Unreachable(_) => format!("{service} could not be reached"),
        Kind::Broken(_) => format!("the connection to {service} broke"),
        Kind::Timeout => format!("{service} did not answer in time"),
        Kind::BadBody { path } => format!("{service} answered with something that could not be read: {path}"),
        Kind::Ambiguous(cause) => {
            let cause = of_vendor(&clients::Error { service: *service, kind: (**cause).clone() });
            format!("{cause}; nobody knows whether it was done")
        }
    }
}

/// The vendor's own error code, if it gave one.
pub(super) fn code(error: &clients::Error) -> Option<i64> {
    match &error.kind {
        Kind::Unauthorized(refusal) | Kind::NotFound(refusal) | Kind::Rejected(refusal) => refusal.code,
        Kind::RateLimited { refusal, .. } | Kind::Unavailable { refusal, .. } => refusal.code,
        _ => None,
    }
}
