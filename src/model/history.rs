//! The history of a call: what happened to it, to its recordings and to its transcripts.

use super::call::{CallId, CallSid, CallState};
use super::recording::{RecordingSid, RecordingState};
use super::transcript::{OrderId, TranscriptState};

/// One row of the history.
#[derive(Debug, Clone)]
pub struct Event {
    /// In milliseconds since 1970.
    pub at: i64,
    pub what: Happened,
    /// Why, for a person.
    pub reason: Option<String>,
    /// Who asked for it, for people, if somebody did.
    pub by: Option<String>,
}

/// What a call, a leg, a recording or a transcript came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    Call(CallState),
    /// A leg that the call dialed, by its SID.
    Leg(CallSid, CallState),
    Recording(RecordingSid, RecordingState),
    /// `attempt` counts from 1.
    Transcript {
        order: OrderId,
        attempt: i64,
        state: TranscriptState,
    },
    /// Somebody named the speakers, or swapped them.
    SpeakersNamed,
    /// Somebody wants the call deleted.
    DeletionWanted,
    Deleted,
}

impl Happened {
    /// What is stored as these words and numbers.
    pub fn named(kind: &str, subject: &str, state: &str, attempt: i64) -> Option<Self> {
        match (kind, state) {
            ("call", "speakers-named") => Some(Self::SpeakersNamed),
            ("call", "deleting") => Some(Self::DeletionWanted),
            ("call", "deleted") => Some(Self::Deleted),
            ("call", state) => CallState::named(state).map(Self::Call),
            ("leg", state) => Some(Self::Leg(subject.parse().ok()?, CallState::named(state)?)),
            ("recording", state) => Some(Self::Recording(subject.parse().ok()?, RecordingState::named(state)?)),
            ("transcript", state) => {
                let state = TranscriptState::named(state)?;
                Some(Self::Transcript { order: OrderId::from(subject.to_owned()), attempt, state })
            }
            _ => None,
        }
    }

    /// What it happened to, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) | Self::SpeakersNamed | Self::DeletionWanted | Self::Deleted => "call",
            Self::Leg(..) => "leg",
            Self::Recording(..) => "recording",
            Self::Transcript { .. } => "transcript",
        }
    }

    /// The id of what it happened to, in the history of `call`.
    pub fn subject<'a>(&'a self, call: &'a CallId) -> &'a str {
        match self {
            Self::Call(_) | Self::SpeakersNamed | Self::DeletionWanted | Self::Deleted => call.as_str(),
            Self::Leg(sid, _) => sid.as_str(),
            Self::Recording(sid, _) => sid.as_str(),
            Self::Transcript { order, .. } => order.as_str(),
        }
    }

    /// As it is stored and shown.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Call(state) | Self::Leg(_, state) => state.as_str(),
            Self::Recording(_, state) => state.as_str(),
            Self::Transcript { state, .. } => state.as_str(),
            Self::SpeakersNamed => "speakers-named",
            Self::DeletionWanted => "deleting",
            Self::Deleted => "deleted",
        }
    }

    /// The rank of the state. A deletion comes after every end of a call. Names change no state.
    pub fn rank(&self) -> i64 {
        match self {
            Self::Call(state) | Self::Leg(_, state) => state.rank(),
            Self::Recording(_, state) => state.rank(),
            Self::Transcript { state, .. } => state.rank(),
            Self::SpeakersNamed => 0,
            Self::DeletionWanted => CallState::Completed.rank() + 1,
            Self::Deleted => CallState::Completed.rank() + 2,
        }
    }

    /// The attempt of a transcript; 1 for anything else.
    pub fn attempt(&self) -> i64 {
        match self {
            Self::Transcript { attempt, .. } => *attempt,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_read_back_as_it_was_stored() {
        let call = CallId::new(0);
        let recording: RecordingSid = format!("RE{}", "0".repeat(32)).parse().unwrap();
        let transcript = Happened::Transcript { order: OrderId::new(0), attempt: 2, state: TranscriptState::Queued };
        let leg: CallSid = format!("CA{}", "0".repeat(32)).parse().unwrap();
        let others = [
            Happened::Leg(leg, CallState::Ringing),
            Happened::Recording(recording, RecordingState::Paused),
            transcript,
            Happened::SpeakersNamed,
            Happened::DeletionWanted,
            Happened::Deleted,
        ];
        for what in CallState::ALL.map(Happened::Call).into_iter().chain(others) {
            let read = Happened::named(what.kind(), what.subject(&call), what.state(), what.attempt());
            assert_eq!(read, Some(what));
        }
        assert_eq!((Happened::DeletionWanted.rank(), Happened::Deleted.rank()), (7, 8));
        assert_eq!(Happened::named("call", "", "new", 1), None);
    }
}
