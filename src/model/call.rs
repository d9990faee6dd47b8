//! A call: its ids, its direction, and the states it moves through.

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

    /// The 32 hex digits as a number.
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

/// Our id of a call: 32 hex digits that nobody can guess. It exists before Twilio assigns a SID, is the token in the
/// callback URLs, and marks every log line about the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId(String);

impl CallId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
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
        if text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("a call id", "32 hex digits"))
        }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The nonce of a form that dials, which makes two clicks one call: 32 random hex digits.
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

/// What a person may name a call by: its SID or its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallName {
    /// `CA…`.
    Sid(CallSid),
    /// 32 hex digits.
    Id(CallId),
}

impl CallName {
    /// The SID or the id.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// callscribe dialed it.
    Outbound,
    /// Somebody called our number.
    Inbound,
    /// A call of our account that only its recording's callback has reported yet. A poll of Twilio tells the direction.
    Unknown,
}

impl Direction {
    /// Parses Twilio's word, such as `outbound-api`.
    pub fn of_twilio(word: &str) -> Self {
        match word {
            "inbound" => Self::Inbound,
            word if word.starts_with("outbound") => Self::Outbound,
            _ => Self::Unknown,
        }
    }

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
    /// The intent is committed; the request to Twilio is being sent.
    Dialing,
    /// The answer was lost; it is unknown whether Twilio placed the call.
    Unknown,
    /// The search found no such call at Twilio, so it was not placed.
    Lost,
    /// Twilio has accepted the call.
    Queued,
    Ringing,
    InProgress,
    /// Answered, and over.
    Completed,
    Busy,
    NoAnswer,
    /// The call could not be placed, or Twilio refused it.
    Failed,
    /// Ended before anyone answered.
    Canceled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Requested: the call is deleted at the vendors first, then here.
    Wanted,
    /// Only what identifies late callbacks is left.
    Done,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub id: CallId,
    /// `None` until Twilio's answer, or a callback, has told the SID.
    pub sid: Option<CallSid>,
    pub direction: Direction,
    /// The called number: E.164, or what else Twilio writes, such as a SIP address.
    pub to: Option<String>,
    pub from: Option<String>,
    /// Key terms in addition to those of the settings.
    pub keyterms: Keyterms,
    pub state: CallState,
    /// Why the call is in this state, for a person.
    pub reason: Option<String>,
    /// Twilio's error code, if it gave one.
    pub code: Option<i64>,
    pub deletion: Option<Deletion>,
    /// When callscribe first knew of the call, in milliseconds since 1970.
    pub created_at: i64,
    pub ended_at: Option<i64>,
}

impl CallState {
    /// All states, in the order in which a call passes through them.
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

    /// The word for the state in the database and in JSON; from [`Queued`](Self::Queued) on, Twilio's.
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

    /// Returns `None` for an unknown word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Parses Twilio's word. Returns `None` for a new one.
    pub fn of_twilio(word: &str) -> Option<Self> {
        match word {
            "initiated" => Some(Self::Queued),
            word => Self::named(word).filter(|state| state.rank() >= Self::Queued.rank()),
        }
    }

    /// A call moves only to a state of higher rank. All final states have the same rank: a call ends once.
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

    pub fn is_over(self) -> bool {
        self.rank() == Self::Completed.rank()
    }

    /// Whether the call ended before anyone answered.
    pub fn is_unanswered(self) -> bool {
        matches!(self, Self::Busy | Self::NoAnswer | Self::Canceled)
    }

    /// Whether the call occupies its number, so that no second call to it is placed.
    pub fn holds_number(self) -> bool {
        !self.is_over() && self != Self::Lost
    }
}

impl Deletion {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Done => "done",
        }
    }
}

impl Call {
    /// The intent to place a call.
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
