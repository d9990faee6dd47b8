//! Phone numbers as they are dialled.

use std::fmt;
use std::str::FromStr;

/// An E.164 number: country code and subscriber number, 8 to 15 digits, the first not 0. `Display` writes it with its
/// `+`; `Debug` and [`PhoneNumber::masked`] show the last four digits alone, for logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    digits: String,
}

/// Why a text is no number that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPhoneNumber {
    /// Spaces, hyphens, letters, other scripts' digits, a second plus.
    #[error("a number is written in the digits 0 to 9 alone, with at most one + before them, such as 14155551234")]
    NotDigits,
    /// Country codes never begin with 0; what does is a national or an international prefix.
    #[error("a number begins with its country code, such as 1 or 44, without a leading 0 or 00")]
    LeadingZero,
    /// Outside 8 to 15.
    #[error("a number with its country code has 8 to 15 digits, this has {0}")]
    Length(usize),
}

impl PhoneNumber {
    /// The digits, without `+`.
    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// The last four digits behind dots.
    pub fn masked(&self) -> String {
        format!("+•••{}", &self.digits[self.digits.len() - 4..])
    }
}

impl FromStr for PhoneNumber {
    type Err = BadPhoneNumber;

    fn from_str(text: &str) -> Result<Self, BadPhoneNumber> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadPhoneNumber::NotDigits);
        }
        if digits.starts_with('0') {
            return Err(BadPhoneNumber::LeadingZero);
        }
        if !(8..=15).contains(&digits.len()) {
            return Err(BadPhoneNumber::Length(digits.len()));
        }
        Ok(Self { digits: digits.to_owned() })
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
