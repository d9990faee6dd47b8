//! What went wrong, in a sentence for the person whose call it is. It keeps the vendor's own words, which the log must
//! not have.

use super::Error;

/// Why a step failed.
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::Vendor(error) => error.explanation(),
        error => error.to_string(),
    }
}
