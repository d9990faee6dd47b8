//! Tokens by name, with which programs may do some of what the operator may.

use std::fmt;
use std::str::FromStr;

use super::BadId;
use super::name::Name;

/// The most tokens that there may be.
pub const MOST_TOKENS: usize = 100;

/// Our id of a named token: a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId(i64);

impl TokenId {
    pub fn number(self) -> i64 {
        self.0
    }
}

impl From<i64> for TokenId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TokenId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Self).map_err(|_| BadId::new("the id of a token", "a number"))
    }
}

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read everything but tokens and receivers, and play recordings.
    Read,
    /// Correct, check, name and file.
    Edit,
    /// Whatever costs money or rings a phone.
    Dial,
    /// Delete calls, and manage tokens and receivers. Implies the others.
    Admin,
}

words! {
    Right:
    Read = "read",
    Edit = "edit",
    Dial = "dial",
    Admin = "admin",
}

/// A set of rights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    pub fn of(rights: impl IntoIterator<Item = Right>) -> Self {
        Self(rights.into_iter().fold(0, |all, right| all | 1 << right as u8))
    }

    /// Whether the set has this right, or implies it.
    pub fn include(self, right: Right) -> bool {
        self.has(right) || self.has(Right::Admin)
    }

    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The rights that the set names, in the order of [`Right::ALL`].
    pub fn named(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }
}

/// As they are stored: words with spaces between them.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named().map(Right::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// A token that was not revoked. The token itself is stored nowhere, only its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedToken {
    pub id: TokenId,
    pub name: Name,
    pub rights: Rights,
    /// In milliseconds since 1970.
    pub made_at: i64,
    /// Who made it, for people.
    pub made_by: String,
    /// When it was last used, to within a minute.
    pub used_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_implies_the_other_rights_and_no_other_right_does() {
        let rights = Rights::of([Right::Dial, Right::Read]);
        assert_eq!(rights.to_string(), "read dial");
        let included = |rights: Rights| Right::ALL.map(|right| rights.include(right));
        assert_eq!(included(rights), [true, false, true, false]);
        assert_eq!(included(Rights::of([Right::Admin])), [true; 4]);
        assert!(Rights::of([]).is_empty() && !rights.is_empty());
    }
}
