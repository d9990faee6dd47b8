//! A call: its ids, which way it goes, and the states it moves through.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::keyterms::Keyterms;
use super::phone::PhoneNumber;
use super::{BadId, is_sid, new_id};

/// `CA` and 32 hex digits. Source: <https://www.twilio.com/docs/voice/api/call-resource>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSid(String);

impl CallSid {
    /// The SID as Twilio writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number that its digits are.
    pub(crate) fn number(&self) -> u128 {
        self.0.bytes().skip(2).filter_map(|digit| char::from(digit).to_digit(16)).fold(0, |n, d| n << 4 | u128::from(d))
    }
}

impl FromStr for CallSid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if is_sid("CA", text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("a call SID", "CA and 32 hex digits"))
        }
    }
}

impl fmt::Display for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// This program's own id of a call: 32 hex digits, random. It is there before Twilio has given a SID, it is the token
/// in the addresses that Twilio calls back to, and it runs through every line of the log about the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId(String);

impl CallId {
    /// That of a call that begins at this time, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadId::new("a call's id", "32 hex digits")),
        }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The nonce of a form that dials, by which two clicks are one call: 32 random hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormNonce(String);

impl FormNonce {
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FormNonce {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.parse::<CallId>() {
            Ok(CallId(digits)) => Ok(Self(digits)),
            Err(_) => Err(BadId::new("a form's nonce", "32 hex digits")),
        }
    }
}

impl fmt::Display for FormNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person names a call by: Twilio's SID, or this program's own id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallName {
    /// `CA…`.
    Sid(CallSid),
    /// 32 hex digits.
    Id(CallId),
}

impl CallName {
    /// The SID or the id, as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sid(sid) => sid.as_str(),
            Self::Id(id) => id.as_str(),
        }
    }
}

impl FromStr for CallName {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => text.parse().map(Self::Sid),
        }
    }
}

impl From<CallId> for CallName {
    fn from(id: CallId) -> Self {
        Self::Id(id)
    }
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// This program dialled it.
    Outbound,
    /// Somebody called our number.
    Inbound,
    /// A call of our account that this program hears of by its recording; Twilio is asked which way it goes.
    Unknown,
}

impl Direction {
    /// In the words of Twilio, where everything outbound begins alike.
    pub fn of_twilio(word: &str) -> Self {
        match word {
            "inbound" => Self::Inbound,
            word if word.starts_with("outbound") => Self::Outbound,
            _ => Self::Unknown,
        }
    }

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Unknown => "unknown",
        }
    }
}

/// The state of a call. It moves forward only: a state of a lower or equal [`rank`](Self::rank) changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Meant to be placed: Twilio is being asked.
    Dialing,
    /// Twilio was asked and nobody knows whether it placed the call.
    Unknown,
    /// Looked for long enough and not found: it was never placed, as far as anybody can tell.
    Lost,
    /// Twilio has taken it.
    Queued,
    /// The phone rings.
    Ringing,
    /// Somebody answered.
    InProgress,
    /// Answered, and over.
    Completed,
    /// The line was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It could not be placed, or Twilio refused it.
    Failed,
    /// Given up before anybody answered.
    Canceled,
}

/// How far the deletion of a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is wanted: the vendors are asked to delete what they have, and then it is deleted here.
    Wanted,
    /// Nothing of it is left but what late news is known by.
    Done,
}

/// A call as it is stored.
#[derive(Debug, Clone)]
pub struct Call {
    /// Ours.
    pub id: CallId,
    /// Twilio's, once it is known.
    pub sid: Option<CallSid>,
    /// Which way.
    pub direction: Direction,
    /// Who was called, as far as it is known: E.164, or what else Twilio writes, such as a SIP address.
    pub to: Option<String>,
    /// Who called.
    pub from: Option<String>,
    /// Terms for its transcript beyond those of the settings.
    pub keyterms: Keyterms,
    /// Where it is.
    pub state: CallState,
    /// Why it is there, for a person.
    pub reason: Option<String>,
    /// Twilio's error code, if it gave one.
    pub code: Option<i64>,
    /// Whether it is to be deleted, or is.
    pub deletion: Option<Deletion>,
    /// When this program first knew of it, in milliseconds since 1970.
    pub created_at: i64,
    /// When it was over.
    pub ended_at: Option<i64>,
}

impl CallState {
    /// All of them, in the order in which a call comes through them.
    pub const ALL: [Self; 11] = [
        Self::Dialing,
        Self::Unknown,
        Self::Lost,
        Self::Queued,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::NoAnswer,
        Self::Failed,
        Self::Canceled,
    ];

    /// As it is stored and shown; from [`Queued`](Self::Queued) on, Twilio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dialing => "dialing",
            Self::Unknown => "unknown",
            Self::Lost => "lost",
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// What Twilio's word means; none for a word that is not known.
    pub fn of_twilio(word: &str) -> Option<Self> {
        match word {
            "initiated" => Some(Self::Queued),
            word => Self::named(word).filter(|state| state.rank() >= Self::Queued.rank()),
        }
    }

    /// States follow each other by rank. All ends have the same: a call ends once.
    pub fn rank(self) -> i64 {
        match self {
            Self::Dialing => 0,
            Self::Unknown => 1,
            Self::Lost => 2,
            Self::Queued => 3,
            Self::Ringing => 4,
            Self::InProgress => 5,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => 6,
        }
    }

    /// Whether nothing more will happen on the phone.
    pub fn is_over(self) -> bool {
        self.rank() == Self::Completed.rank()
    }

    /// Whether the call ended before anyone answered.
    pub fn is_unanswered(self) -> bool {
        matches!(self, Self::Busy | Self::NoAnswer | Self::Canceled)
    }

    /// Whether the number is in use by this call: no second one is placed to it.
    pub fn holds_number(self) -> bool {
        !self.is_over() && self != Self::Lost
    }
}

impl Deletion {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Done => "done",
        }
    }
}

impl Call {
    /// A call that is about to be placed.
    pub fn to_be_placed(to: &PhoneNumber, from: &PhoneNumber, keyterms: Keyterms, now: i64) -> Self {
        Self {
            id: CallId::new(now),
            sid: None,
            direction: Direction::Outbound,
            to: Some(to.to_string()),
            from: Some(from.to_string()),
            keyterms,
            state: CallState::Dialing,
            reason: None,
            code: None,
            deletion: None,
            created_at: now,
            ended_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_name_back() {
        for state in CallState::ALL {
            assert_eq!(CallState::named(state.as_str()), Some(state));
        }
        assert_eq!(CallState::of_twilio("initiated"), Some(CallState::Queued));
        assert_eq!(CallState::of_twilio("lost"), None, "that is our own word");
        assert_eq!(CallState::of_twilio("new"), None);
    }
}
