//! The name that people give to a number, or to somebody who speaks in a call.

use std::fmt;
use std::str::FromStr;

use super::folding::is_invisible;

/// Maximum length of a name, in characters.
pub const LONGEST: usize = 200;

/// A name of 1 to 200 characters on one line, with something to see in it. Any text otherwise: what shows it escapes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("expected a name, which may be any text of up to {LONGEST} characters")]
    Empty,
    #[error("expected at most {LONGEST} characters; this one has {0}")]
    Long(usize),
}

impl Name {
    /// The beginning of a text, if there is something to see in it.
    pub fn beginning(text: &str) -> Option<Self> {
        text.chars().take(LONGEST).collect::<String>().parse().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        // Text on the page after a name must not be reversed by it.
        let upright = text.chars().filter(|c| !turns_direction(*c));
        let text: String = upright.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            _ if name.chars().all(|c| c == ' ' || is_invisible(c)) => Err(BadName::Empty),
            length if length > LONGEST => Err(BadName::Long(length)),
            _ => Ok(Self(name)),
        }
    }
}

/// Returns `true` for the marks that turn the direction of all text after them.
pub fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
            ("a\0b\u{2028}c", "a b c"),
            ("😀", "😀"),
        ] {
            assert_eq!(text.parse::<Name>().expect(text).as_str(), expected);
        }
        for text in ["", " \n", "\u{200b}\u{ad}", "\u{202e}", "\0"] {
            assert_eq!(text.parse::<Name>(), Err(BadName::Empty), "{text:?}");
        }
        assert!("ü".repeat(LONGEST).parse::<Name>().is_ok());
        assert_eq!("ü".repeat(LONGEST + 1).parse::<Name>(), Err(BadName::Long(LONGEST + 1)));
    }
}
