//! Which calls to list: by state, number and time, and whether they are checked by ear.

use crate::model::call::CallState;

/// Characters at the end of a number that an index covers.
const NUMBER_END: usize = 4;

/// Which calls to list. By default all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub state: Option<CallState>,
    /// Of either party.
    pub number: Option<Number>,
    /// Whether the transcripts are checked by ear. A call without one is not.
    pub is_checked: Option<bool>,
    /// Inclusive, in milliseconds since 1970.
    pub since: i64,
    /// Exclusive, in milliseconds since 1970.
    pub before: i64,
}

/// A number to search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// A complete number, or an address such as a SIP URI.
    Whole(String),
    /// The last digits of a number.
    Ending(String),
}

impl Default for Filter {
    fn default() -> Self {
        Self { state: None, number: None, is_checked: None, since: 0, before: i64::MAX }
    }
}

impl Number {
    /// Digits, with the punctuation that people put between them, are the last ones of a number; after a `+` they are all
    /// of it. Returns `None` for a blank text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-./()\u{a0}".contains(c)) && !digits.is_empty();
        if text.is_empty() {
            None
        } else if !is_number {
            Some(Self::Whole(text.to_owned()))
        } else if text.starts_with('+') {
            Some(Self::Whole(format!("+{digits}")))
        } else {
            Some(Self::Ending(digits))
        }
    }

    /// The pattern for `LIKE`.
    fn pattern(&self) -> String {
        match self {
            Self::Whole(text) => text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"),
            Self::Ending(digits) => format!("%{digits}"),
        }
    }
}

impl Filter {
    pub(super) fn state_word(&self) -> Option<&'static str> {
        self.state.map(CallState::as_str)
    }

    /// The last characters of the number, if there are enough for the index.
    pub(super) fn number_end(&self) -> Option<String> {
        let text = match self.number.as_ref()? {
            Number::Whole(text) => text,
            Number::Ending(digits) if digits.len() >= NUMBER_END => digits,
            Number::Ending(_) => return None,
        };
        let mut end: Vec<char> = text.chars().rev().take(NUMBER_END).collect();
        end.reverse();
        Some(end.into_iter().collect())
    }

    /// The pattern of the number for `LIKE`.
    pub(super) fn number_pattern(&self) -> Option<String> {
        self.number.as_ref().map(Number::pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_parsed_as_people_write_it() {
        let whole = |text: &str| Some(Number::Whole(text.to_owned()));
        let ending = |text: &str| Some(Number::Ending(text.to_owned()));
        for (text, expected) in [
            ("", None),
            ("  ", None),
            ("+1 (415) 555-1234", whole("+14155551234")),
            ("1234", ending("1234")),
            (" 555.12 34", ending("5551234")),
            ("sip:alice@example.com", whole("sip:alice@example.com")),
            ("+", whole("+")),
            ("%", whole("%")),
        ] {
            assert_eq!(Number::parse(text), expected, "{text}");
        }
        assert_eq!(Number::Whole("a_b%\\".to_owned()).pattern(), "a\\_b\\%\\\\");
    }
}
