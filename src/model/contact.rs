//! A contact: a name that people gave to a number, and the key terms of the calls with it.

use std::fmt;
use std::str::FromStr;

use super::folding::is_invisible;
use super::keyterms::Keyterms;
use super::phone::PhoneNumber;

/// Maximum number of characters in a name.
const LONGEST_NAME: usize = 200;

/// Maximum number of characters in notes.
const LONGEST_NOTES: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub number: PhoneNumber,
    pub name: ContactName,
    /// What its calls are about. Its name is a key term of them, too.
    pub keyterms: Keyterms,
    pub notes: Notes,
}

/// A name of 1 to 200 characters on one line, with something to see in it. Any text otherwise: what shows it escapes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactName(String);

/// Up to 10,000 characters of any text, on several lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadContact {
    #[error("name: expected a name, which may be any text of up to {LONGEST_NAME} characters")]
    NoName,
    #[error("name: expected at most {LONGEST_NAME} characters; this one has {0}")]
    LongName(usize),
    #[error("notes: expected at most {LONGEST_NOTES} characters; these have {0}")]
    LongNotes(usize),
}

impl Contact {
    /// The key terms that its calls add to their orders.
    pub fn keyterms_of_calls(&self) -> Keyterms {
        Keyterms::from_terms([self.name.as_str()]).and(&self.keyterms)
    }
}

impl ContactName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContactName {
    type Err = BadContact;

    fn from_str(text: &str) -> Result<Self, BadContact> {
        // Characters that turn the direction of what follows a name would turn the page's own text.
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let text: String = text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            _ if name.chars().all(|c| c == ' ' || is_invisible(c)) => Err(BadContact::NoName),
            length if length > LONGEST_NAME => Err(BadContact::LongName(length)),
            _ => Ok(Self(name)),
        }
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
    fn a_name_is_any_text_on_one_line() {
        for (text, expected) in [
            (" Dana \u{a0}\n Lee ", "Dana Lee"),
            ("<b>\"O'Brien\"</b> & sons", "<b>\"O'Brien\"</b> & sons"),
            ("محمد \u{202e}evil", "محمد evil"),
            ("a\0b", "a b"),
            ("😀", "😀"),
        ] {
            assert_eq!(text.parse::<ContactName>().expect(text).as_str(), expected);
        }
        for text in ["", " \n", "\u{200b}\u{ad}", "\u{202e}", "\0"] {
            assert_eq!(text.parse::<ContactName>(), Err(BadContact::NoName), "{text:?}");
        }
        assert!("ü".repeat(200).parse::<ContactName>().is_ok());
        assert_eq!("ü".repeat(201).parse::<ContactName>(), Err(BadContact::LongName(201)));
        assert_eq!("a\r\nb\0 \n".parse::<Notes>().map(|notes| notes.0), Ok("a\nb".to_owned()));
        assert_eq!("x".repeat(10_001).parse::<Notes>(), Err(BadContact::LongNotes(10_001)));
    }
}
