//! Phone numbers as they are dialed.

use std::fmt;
use std::str::FromStr;

/// An E.164 number: 8 to 15 digits, or 7 where there are such numbers, the first not 0. `Display` writes it with its `+`;
/// `Debug` and [`PhoneNumber::masked`], for logs, show only the last four digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    digits: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPhoneNumber {
    #[error("a number consists of the digits 0 to 9, with an optional + before them, such as 14155551234")]
    NotDigits,
    /// No country code starts with 0: it is a national or international prefix.
    #[error("a number starts with its country code, such as 1 or 44, without a leading 0 or 00")]
    LeadingZero,
    #[error("a number with its country code has 8 to 15 digits; this one has {0}")]
    Length(usize),
}

impl PhoneNumber {
    /// Returns the digits without `+`.
    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// Returns the last four digits after dots.
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
        let number = Self { digits: digits.to_owned() };
        // Niue, Tokelau and Saint Helena have numbers of seven digits.
        match digits.len() {
            8..=15 => Ok(number),
            7 if number.country().is_some() && number.is_possible() => Ok(number),
            length => Err(BadPhoneNumber::Length(length)),
        }
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
