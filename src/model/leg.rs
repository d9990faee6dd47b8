//! A leg that a call has dialed, so that two people talk. The call's own leg is the call itself.

use super::call::{CallId, CallSid, CallState, Direction};

/// Who is at the phone of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person who uses callscribe.
    Operator,
    /// The callee, or the caller.
    Party,
}

#[derive(Debug, Clone)]
pub struct Leg {
    pub sid: CallSid,
    /// The call that has dialed it.
    pub call: CallId,
    /// E.164; `None` until a report tells it.
    pub number: Option<String>,
    /// In Twilio's words, from [`CallState::Queued`] on. It moves forward only.
    pub state: CallState,
    /// Whether it was ever connected with the call, if that is known.
    pub is_bridged: Option<bool>,
    /// When it was answered, in milliseconds since 1970: when that was stored or, if no report told it in time, as Twilio
    /// says afterwards.
    pub answered_at: Option<i64>,
    /// When it ended, likewise.
    pub ended_at: Option<i64>,
}

/// What Twilio reports about a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegUpdate {
    /// The call id in the URL of the request.
    pub token: Option<CallId>,
    /// The SID of the call.
    pub parent: CallSid,
    pub sid: CallSid,
    /// Twilio's word for the state.
    pub status: String,
    pub number: Option<String>,
    /// Whether it was ever connected with the call, if the report tells.
    pub is_bridged: Option<bool>,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Party => "party",
        }
    }

    /// Who is at the phones that a call dials: the callee of an outbound call, and the operator of any other. The
    /// direction of a call that its leg has reported first is not known at once.
    pub fn of_dialed(direction: Direction) -> Self {
        if direction == Direction::Outbound { Self::Party } else { Self::Operator }
    }
}

impl Leg {
    /// Why nobody talked on this leg, although it was answered.
    pub fn reason(&self) -> Option<&'static str> {
        let was_answered = self.state == CallState::Completed;
        (was_answered && self.is_bridged == Some(false)).then_some("answered, but not connected")
    }
}
