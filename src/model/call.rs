//! A call: its ids, its direction, and the states it moves through.

use std::str::FromStr;

use uuid::Uuid;

use super::import::ImportId;
use super::keyterms::Keyterms;
use super::name::Name;
use super::phone::PhoneNumber;
use super::price::Price;
use super::{BadId, is_vendors_id, new_id};

/// `CA` and 32 hex digits, or another API's UUID. Source: <https://www.twilio.com/docs/voice/api/call-resource>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSid(String);

impl CallSid {
    /// The 32 hex digits as a number.
    pub(crate) fn number(&self) -> u128 {
        number("CA", &self.0)
    }
}

text_of!(CallSid, |text| is_vendors_id("CA", text), "a call SID", "CA and 32 hex digits");

/// Our id of a call: 32 hex digits that nobody can guess. It exists before Twilio assigns a SID, is the token in the
/// callback URLs, and marks every log line about the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId(String);

impl CallId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }
}

text_of!(CallId, is_hex, "a call id", "32 hex digits");

/// `CF` and 32 hex digits, or another API's UUID. Source: <https://www.twilio.com/docs/voice/api/conference-resource>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceSid(String);

text_of!(ConferenceSid, |text| is_vendors_id("CF", text), "a conference SID", "CF and 32 hex digits");

/// The id of the call that has the recordings of a conference in which no single call was recorded.
impl From<&ConferenceSid> for CallId {
    fn from(sid: &ConferenceSid) -> Self {
        Self(format!("{:032x}", number("CF", &sid.0)))
    }
}

/// The 32 hex digits of a vendor's id as a number.
fn number(prefix: &str, id: &str) -> u128 {
    let digits = id.strip_prefix(prefix).filter(|digits| digits.len() == 32).unwrap_or(id);
    digits.bytes().filter_map(|digit| char::from(digit).to_digit(16)).fold(0, |n, d| n << 4 | u128::from(d))
}

/// The nonce of a form that dials, which makes two clicks one call: 32 random hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormNonce(String);

impl FormNonce {
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }
}

text_of!(FormNonce, is_hex, "a form's nonce", "32 hex digits");

/// Whether this is a text of 32 lower-case hex digits.
pub(super) fn is_hex(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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
            Err(_) => text.parse().map(Self::Sid).map_err(|_| {
                BadId::new(
                    "the name of a call or upload",
                    "its id of 32 hex digits, or a call SID: CA and 32 hex digits",
                )
            }),
        }
    }
}

impl From<CallId> for CallName {
    fn from(id: CallId) -> Self {
        Self::Id(id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// callscribe dialed it.
    Outbound,
    /// Somebody called our number.
    Inbound,
    /// A call of our account that only its recording's callback has reported yet. A poll of Twilio tells the direction.
    Unknown,
}

words! {
    Direction:
    Outbound = "outbound",
    Inbound = "inbound",
    Unknown = "unknown",
}

impl Direction {
    /// Returns what belongs to the other end of a call: that of the called number, or that of the caller.
    pub fn party<T>(self, to: T, from: T) -> T {
        if self == Self::Outbound { to } else { from }
    }

    /// Parses Twilio's word, such as `outbound-api`.
    pub fn of_twilio(word: &str) -> Self {
        match word {
            "inbound" => Self::Inbound,
            word if word.starts_with("outbound") => Self::Outbound,
            _ => Self::Unknown,
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

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One person speaks after the greeting.
    Message,
    /// The operator talks with somebody.
    Conversation,
    /// No call: audio that a client sent as a file or as a URL. It is over from the start, and has one recording.
    Upload,
}

words! {
    Kind:
    Message = "message",
    Conversation = "conversation",
    Upload = "upload",
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
    /// A message, until it is known that somebody at an operator's phone took an inbound call.
    pub kind: Kind,
    /// The called number: E.164, or what else Twilio writes, such as a SIP address. That of the callee, also if the
    /// operator's phone rings first.
    pub to: Option<String>,
    pub from: Option<String>,
    /// The operator's phone in a conversation that was dialed here: it rings first.
    pub operator: Option<String>,
    /// The name of the contact at the other end. It is read with the call, and never stored with it.
    pub contact: Option<Name>,
    /// Key terms in addition to those of the settings.
    pub keyterms: Keyterms,
    /// What the operator files the call under.
    pub tag: Option<Name>,
    /// What an upload is called.
    pub title: Option<Name>,
    /// The name of the file that was uploaded.
    pub file_name: Option<Name>,
    /// The import that has brought it here.
    pub import: Option<ImportId>,
    pub state: CallState,
    /// Why the call is in this state, for a person.
    pub reason: Option<String>,
    /// Twilio's error code, if it gave one.
    pub code: Option<i64>,
    pub deletion: Option<Deletion>,
    /// When callscribe first knew of the call, in milliseconds since 1970.
    pub created_at: i64,
    pub ended_at: Option<i64>,
    /// When the last of its current transcripts was checked by ear, in milliseconds since 1970, if all of them are.
    pub checked_at: Option<i64>,
    /// What Twilio charges for it with its legs and recordings, as far as Twilio has said so.
    pub price: Option<Price>,
}

// From `Queued` on, the words are Twilio's.
words! {
    CallState:
    Dialing = "dialing",
    Unknown = "unknown",
    Lost = "lost",
    Queued = "queued",
    Ringing = "ringing",
    InProgress = "in-progress",
    Completed = "completed",
    Busy = "busy",
    NoAnswer = "no-answer",
    Failed = "failed",
    Canceled = "canceled",
}

impl CallState {
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

words! {
    Deletion:
    Wanted = "wanted",
    Done = "done",
}

impl Call {
    /// The number of the other end, or its address. `None` while it is not known, or if it was withheld.
    pub fn party(&self) -> Option<&str> {
        self.direction.party(self.to.as_deref(), self.from.as_deref())
    }

    /// A call that another program placed. Only its id and SID are known.
    pub fn unknown(id: CallId, sid: Option<CallSid>, now: i64) -> Self {
        Self {
            id,
            sid,
            direction: Direction::Unknown,
            kind: Kind::Message,
            to: None,
            from: None,
            operator: None,
            contact: None,
            keyterms: Keyterms::default(),
            tag: None,
            title: None,
            file_name: None,
            import: None,
            state: CallState::Queued,
            reason: None,
            code: None,
            deletion: None,
            created_at: now,
            ended_at: None,
            checked_at: None,
            price: None,
        }
    }

    /// Audio that a client sent at this time.
    pub fn upload(title: Option<Name>, file_name: Option<Name>, now: i64) -> Self {
        Self {
            kind: Kind::Upload,
            title,
            file_name,
            state: CallState::Completed,
            ended_at: Some(now),
            ..Self::unknown(CallId::new(now), None, now)
        }
    }

    /// The number that Twilio is asked to ring. In a conversation, Twilio's own `To` of the call is the operator's phone.
    pub fn first_number(&self) -> Option<&str> {
        self.operator.as_deref().or(self.to.as_deref())
    }

    /// Returns `false` if the call dials no leg, whatever happens.
    pub fn may_have_legs(&self) -> bool {
        match self.kind {
            Kind::Conversation => true,
            Kind::Message => self.direction != Direction::Outbound,
            Kind::Upload => false,
        }
    }

    /// The intent to place a call, with the operator's phone for a conversation.
    pub fn to_be_placed(
        to: &PhoneNumber,
        from: &PhoneNumber,
        operator: Option<&PhoneNumber>,
        keyterms: Keyterms,
        now: i64,
    ) -> Self {
        Self {
            id: CallId::new(now),
            sid: None,
            direction: Direction::Outbound,
            kind: if operator.is_some() { Kind::Conversation } else { Kind::Message },
            to: Some(to.to_string()),
            from: Some(from.to_string()),
            operator: operator.map(PhoneNumber::to_string),
            contact: None,
            keyterms,
            tag: None,
            title: None,
            file_name: None,
            import: None,
            state: CallState::Dialing,
            reason: None,
            code: None,
            deletion: None,
            created_at: now,
            ended_at: None,
            checked_at: None,
            price: None,
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
