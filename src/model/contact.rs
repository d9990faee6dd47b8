//! A contact: a name that people gave to a number, and the key terms of the calls with it.

use std::str::FromStr;

use super::keyterms::Keyterms;
use super::name::{BadName, Name};
use super::phone::PhoneNumber;

/// Maximum number of characters in notes.
const LONGEST_NOTES: usize = 10_000;

/// What a change of any contact is about, for the pages that show names. No number, because the history is never deleted.
pub const CONTACTS: &str = "contacts";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub number: PhoneNumber,
    pub name: Name,
    /// What its calls are about. Its name is a key term of them, too.
    pub keyterms: Keyterms,
    pub notes: Notes,
}

/// Up to 10,000 characters of any text, on several lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadContact {
    #[error("name: {0}")]
    Name(#[from] BadName),
    #[error("notes: expected at most {LONGEST_NOTES} characters; these have {0}")]
    LongNotes(usize),
}

impl Contact {
    /// The key terms that its calls add to their orders.
    pub fn keyterms_of_calls(&self) -> Keyterms {
        Keyterms::from_terms([self.name.as_str()]).and(&self.keyterms)
    }
}

impl Notes {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Notes {
    type Err = BadContact;

    fn from_str(text: &str) -> Result<Self, BadContact> {
        // Forms end lines with CR and LF. No database stores every control character.
        let text = text.replace("\r\n", "\n");
        let notes: String = text.trim().chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        match notes.chars().count() {
            length if length > LONGEST_NOTES => Err(BadContact::LongNotes(length)),
            _ => Ok(Self(notes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_any_text_on_several_lines() {
        assert_eq!("a\r\nb\0 \n".parse::<Notes>().map(|notes| notes.0), Ok("a\nb".to_owned()));
        assert_eq!("x".repeat(10_001).parse::<Notes>(), Err(BadContact::LongNotes(10_001)));
    }
}
