//! The phone book: numbers at which somebody answers who always says the same. At any other number it is the person of
//! [`Script::Order`].

use crate::sandbox::speech::Script;

/// Numbers, who answers, and what they say.
pub const PHONE_BOOK: [(&str, &str, Script); 3] = [
    ("+14155550131", "a nurse of a transplant clinic", Script::Clinic),
    ("+14155550132", "an engineer on call", Script::Engineer),
    ("+14155550133", "a lawyer", Script::Law),
];

/// Returns what is said at a number.
pub(super) fn script(number: &str) -> Script {
    PHONE_BOOK.iter().find(|(known, ..)| *known == number).map_or(Script::Order, |(_, _, script)| *script)
}
