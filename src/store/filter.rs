//! Which calls to list.

use crate::model::call::{Call, CallState, Direction, Kind};
use crate::model::dollars::Dollars;
use crate::model::import::ImportId;
use crate::model::name::Name;
use crate::model::standing::Progress;

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
    /// Calls of one kind, or all but uploads.
    pub kind: Option<KindFilter>,
    pub direction: Option<Direction>,
    pub tag: Option<Name>,
    /// The import that has brought them here.
    pub import: Option<ImportId>,
    /// The numbers at the other end.
    pub parties: Option<Vec<String>>,
    pub progress: Option<Progress>,
    /// Of the recordings together, inclusive. A call without a length has neither.
    pub min_seconds: Option<i64>,
    pub max_seconds: Option<i64>,
    /// Of the call with its transcripts, inclusive. A call of which it is not known has neither.
    pub min_cost: Option<Dollars>,
    pub max_cost: Option<Dollars>,
    /// Inclusive, in milliseconds since 1970.
    pub since: i64,
    /// Exclusive, in milliseconds since 1970.
    pub before: i64,
}

/// Which kinds of calls to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindFilter {
    Only(Kind),
    /// Calls that are none.
    NoUploads,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Newest,
    Oldest,
    /// Those without a length come last.
    Longest,
    /// Those without a length come first.
    Shortest,
    /// Those of which the cost is not known come last.
    Costliest,
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
        Self {
            state: None,
            number: None,
            is_checked: None,
            kind: None,
            direction: None,
            tag: None,
            import: None,
            parties: None,
            progress: None,
            min_seconds: None,
            max_seconds: None,
            min_cost: None,
            max_cost: None,
            since: 0,
            before: i64::MAX,
        }
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

    /// Whether this is the number, or ends in its digits.
    pub(crate) fn is_of(&self, number: &str) -> bool {
        match self {
            Self::Whole(whole) => number == whole,
            Self::Ending(digits) => number.ends_with(digits.as_str()),
        }
    }

    /// As [`parse`](Self::parse) reads it again.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Ending(text) => text,
        }
    }

    /// Its last characters, if there are enough for the index.
    pub(super) fn end(&self) -> Option<String> {
        match self {
            Self::Ending(digits) if digits.len() < NUMBER_END => None,
            Self::Whole(text) | Self::Ending(text) => Some(end_of(text)),
        }
    }

    /// The pattern for `LIKE`.
    pub(super) fn pattern(&self) -> String {
        match self {
            Self::Whole(text) => text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"),
            Self::Ending(digits) => format!("%{digits}"),
        }
    }
}

/// The last characters of a number, which an index covers.
pub(super) fn end_of(number: &str) -> String {
    let start = number.char_indices().rev().take(NUMBER_END).last().map_or(0, |(start, _)| start);
    number[start..].to_owned()
}

impl Sort {
    pub(super) fn is_by_time(self) -> bool {
        matches!(self, Self::Newest | Self::Oldest)
    }

    pub(super) fn is_descending(self) -> bool {
        matches!(self, Self::Newest | Self::Longest | Self::Costliest)
    }

    /// The column of a call.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Newest | Self::Oldest => "created_at",
            Self::Longest | Self::Shortest => "recorded_seconds",
            Self::Costliest => "cost_microusd",
        }
    }

    /// The index that has all calls in this order.
    pub(super) fn index(self) -> &'static str {
        match self {
            Self::Newest | Self::Oldest => "calls_listed",
            Self::Longest | Self::Shortest => "calls_by_length",
            Self::Costliest => "calls_by_cost",
        }
    }
}

impl KindFilter {
    /// Whether a call of this kind is listed.
    pub fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Only(only) => kind == only,
            Self::NoUploads => kind != Kind::Upload,
        }
    }
}

impl Filter {
    /// Whether the search index knows all that the filter asks for, so that [`takes`](Self::takes) takes each hit.
    pub fn is_indexed(&self) -> bool {
        let Self { state, number, is_checked, since, before, .. } = self.clone();
        *self == Self { state, number, is_checked, since, before, ..Self::default() }
    }

    /// Whether a call has what the search index does not know. The length is that of its recordings in seconds, and the cost with
    /// its transcripts.
    pub fn takes(&self, call: &Call, progress: Progress, seconds: Option<i64>, cost: Option<Dollars>) -> bool {
        self.kind.is_none_or(|kind| kind.takes(call.kind))
            && self.direction.is_none_or(|direction| call.direction == direction)
            && (self.tag.is_none() || self.tag == call.tag)
            && (self.import.is_none() || self.import == call.import)
            && self
                .parties
                .as_ref()
                .is_none_or(|parties| call.party().is_some_and(|party| parties.iter().any(|one| one == party)))
            && self.progress.is_none_or(|wanted| progress == wanted)
            && self.min_seconds.is_none_or(|min| seconds.is_some_and(|seconds| seconds >= min))
            && self.max_seconds.is_none_or(|max| seconds.is_some_and(|seconds| seconds <= max))
            && self.min_cost.is_none_or(|min| cost.is_some_and(|cost| cost >= min))
            && self.max_cost.is_none_or(|max| cost.is_some_and(|cost| cost <= max))
    }

    /// Whether a call that the filter has found still has what may change since, but for its cost.
    pub fn still_takes(&self, call: &Call, progress: Progress, seconds: Option<i64>) -> bool {
        let without_cost = Self { min_cost: None, max_cost: None, ..self.clone() };
        without_cost.takes(call, progress, seconds, None)
            && self.state.is_none_or(|state| call.state == state)
            && self.is_checked.is_none_or(|is_checked| call.checked_at.is_some() == is_checked)
    }

    pub(super) fn state_word(&self) -> Option<&'static str> {
        self.state.map(CallState::as_str)
    }

    /// Whether every call whose other end is one of the parties has this number.
    pub(super) fn is_of_party(&self, number: &Number) -> bool {
        self.parties.as_ref().is_some_and(|parties| parties.iter().all(|party| number.is_of(party)))
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
