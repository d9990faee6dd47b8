//! The words that pages use for states, progress, steps and events.

use crate::model::call::{CallState, Direction, Kind};
use crate::model::dollars::Dollars;
use crate::model::history::Happened;
use crate::model::leg::Role;
use crate::model::recording::RecordingState;
use crate::model::standing::{Mark, Progress, Stage, Step, Unconnected, WaitsFor};
use crate::model::transcript::TranscriptState;

/// The class of a progress in the style sheet.
pub(super) fn progress_class(progress: Progress) -> &'static str {
    match progress {
        Progress::Calling | Progress::Recording | Progress::Transcribing | Progress::Deleting => "now",
        Progress::Done => "past",
        Progress::NotRecorded | Progress::NotTranscribed => "never",
        Progress::Failed => "failed",
    }
}

/// The class of a mark in the style sheet.
pub(super) fn mark_class(mark: Mark) -> &'static str {
    match mark {
        Mark::Past => "past",
        Mark::Now => "now",
        Mark::Failed => "failed",
        Mark::Ahead => "ahead",
        Mark::Never => "never",
    }
}

/// A mark in words, for screen readers.
pub(super) fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Past => "done",
        Mark::Now => "now",
        Mark::Failed => "failed",
        Mark::Ahead => "to come",
        Mark::Never => "not reached",
    }
}

/// The name of a step of a call in this state.
pub(super) fn step(step: &Step, is_outbound: bool, state: Option<CallState>) -> &'static str {
    if step.mark == Mark::Failed
        && let Some(end) = state.and_then(unanswered)
    {
        return end;
    }
    match step.stage {
        Stage::Dialed if is_outbound => "Dialed",
        Stage::Dialed => "Called",
        Stage::Ringing => "Ringing",
        Stage::Answered => "Answered",
        Stage::Recording => "Recording",
        Stage::Uploading => "Uploading",
        Stage::Transcribing => "Transcribing",
        Stage::Done => "Done",
    }
}

fn unanswered(state: CallState) -> Option<&'static str> {
    match state {
        CallState::Busy => Some("Busy"),
        CallState::NoAnswer => Some("No answer"),
        CallState::Canceled => Some("Canceled"),
        _ => None,
    }
}

/// The progress of a call in a word or two.
pub(super) fn headline(state: Option<CallState>, progress: Progress) -> &'static str {
    match progress {
        Progress::Calling => match state {
            Some(CallState::Ringing) => "Ringing",
            Some(CallState::InProgress) => "On the phone",
            Some(CallState::Unknown) => "Checking with Twilio",
            _ => "Dialing",
        },
        Progress::Recording => "Recording",
        Progress::Transcribing => "Transcribing",
        Progress::Done => "Done",
        Progress::Deleting => "Deleting",
        Progress::NotRecorded => "Not recorded",
        Progress::NotTranscribed => "Not transcribed",
        Progress::Failed => match state {
            Some(CallState::Lost | CallState::Failed) => "Not placed",
            Some(CallState::Completed) => "No transcript",
            state => state.and_then(unanswered).unwrap_or("Failed"),
        },
    }
}

/// What a call may have come to, as a filter.
pub(super) fn progress(word: &str) -> &'static str {
    match Progress::named(word) {
        Some(Progress::Calling) => "Calling",
        Some(Progress::Recording) => "Recording",
        Some(Progress::Transcribing) => "Transcribing",
        Some(Progress::Done) => "Done",
        Some(Progress::NotRecorded) => "Not recorded",
        Some(Progress::NotTranscribed) => "Not transcribed",
        Some(Progress::Deleting) => "Deleting",
        Some(Progress::Failed) | None => "Failed",
    }
}

/// The kinds of calls as a filter.
pub(super) const KINDS: [(&str, &str); 4] =
    [("call", "Calls"), ("message", "Messages"), ("conversation", "Conversations"), ("upload", "Uploads")];

/// What a row of the list is, unless it is a call that was dialed for a message.
pub(super) fn sort(kind: Kind, direction: Direction, is_imported: bool) -> Option<&'static str> {
    match (kind, direction) {
        (Kind::Upload, _) => Some("Upload"),
        _ if is_imported => Some("Imported"),
        (Kind::Conversation, Direction::Inbound) => Some("Inbound conversation"),
        (Kind::Conversation, _) => Some("Conversation"),
        (Kind::Message, Direction::Inbound) => Some("Inbound"),
        (Kind::Message, _) => None,
    }
}

/// How far a conversation is in which nobody talks yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingUp {
    OperatorRings,
    /// The operator is asked for a key.
    Key,
    PartyRings,
}

/// The same in a word or two, and in a sentence.
pub(super) fn setting_up(setting_up: SettingUp) -> (&'static str, &'static str) {
    match setting_up {
        SettingUp::OperatorRings => ("Ringing you", "Pick up your phone and press a key."),
        SettingUp::Key => ("Press a key", "Press any key on your phone to be connected."),
        SettingUp::PartyRings => ("Ringing", "Waiting for an answer on the other side."),
    }
}

/// A state of a call, as the filter of the list names it.
pub(super) fn state(state: CallState) -> &'static str {
    match state {
        CallState::Dialing => "Dialing",
        CallState::Unknown => "Unknown",
        CallState::Lost => "Not found at Twilio",
        CallState::Queued => "Queued",
        CallState::Ringing => "Ringing",
        CallState::InProgress => "On the phone",
        CallState::Completed => "Completed",
        CallState::Busy => "Busy",
        CallState::NoAnswer => "No answer",
        CallState::Failed => "Not placed",
        CallState::Canceled => "Canceled",
    }
}

/// What a call waits for.
pub(super) fn waits_for(waits_for: WaitsFor) -> &'static str {
    match waits_for {
        WaitsFor::Acceptance => "Waiting for Twilio to accept the call.",
        WaitsFor::Search => "Twilio did not respond; checking whether the call was placed.",
        WaitsFor::Ringing => "Waiting for the phone to ring.",
        WaitsFor::Answer => "Waiting for an answer.",
        WaitsFor::HangUp => "Waiting for the call to end.",
        WaitsFor::EndOfRecording => "Recording in progress.",
        WaitsFor::RecordingFile => "Waiting for Twilio to finish the recording.",
        WaitsFor::Upload => "Uploading the recording to AssemblyAI.",
        WaitsFor::Submission => "Sending the request to AssemblyAI.",
        WaitsFor::Transcript => "Waiting for AssemblyAI to finish the transcript.",
        WaitsFor::Deletion => "Deleting the call here, at Twilio and at AssemblyAI.",
    }
}

/// How a call ended that waits for nothing.
pub(super) fn outcome(state: Option<CallState>, progress: Progress) -> &'static str {
    match progress {
        Progress::Done => "Listen and read below.",
        Progress::NotRecorded => "The call is over and has no recording.",
        Progress::NotTranscribed => {
            "Not transcribed automatically, because TRANSCRIBE_PER_DAY limits the transcripts of calls that you did not dial."
        }
        Progress::Deleting => "Not everything could be deleted.",
        _ => match state {
            Some(CallState::Busy) => "The line was busy.",
            Some(CallState::NoAnswer) => "Nobody answered.",
            Some(CallState::Canceled) => "The call was canceled before anyone answered.",
            Some(CallState::Lost | CallState::Failed) => "The call could not be placed.",
            Some(CallState::Completed) => "The call is over, but it could not be transcribed.",
            _ => "callscribe could not find out how the call ended.",
        },
    }
}

/// Why a call was not transcribed that the budget of the day did not allow.
pub(super) fn over_budget(budget: Dollars) -> String {
    format!("BUDGET_PER_DAY of {budget} was reached.")
}

/// What became of an upload.
pub(super) fn outcome_of_upload(progress: Progress) -> &'static str {
    match progress {
        Progress::Done => "Read below.",
        Progress::Deleting => "Not everything could be deleted.",
        _ => "It could not be transcribed.",
    }
}

/// Why a conversation did not come about, in a word or two.
pub(super) fn unconnected_headline(unconnected: Unconnected) -> &'static str {
    match unconnected {
        Unconnected::Party(state) => unanswered(state).unwrap_or("Not connected"),
        Unconnected::Operator(_) | Unconnected::NoKey | Unconnected::HungUp => "Not connected",
    }
}

/// Why a conversation did not come about.
pub(super) fn unconnected(unconnected: Unconnected) -> &'static str {
    match unconnected {
        Unconnected::Operator(CallState::Busy) => "Your phone was busy, so the other number was not called.",
        Unconnected::Operator(CallState::NoAnswer) => {
            "Your phone was not answered, so the other number was not called."
        }
        Unconnected::Operator(CallState::Canceled) => "The call was canceled before your phone was answered.",
        Unconnected::Operator(_) => "Your phone could not be called, so the other number was not called.",
        Unconnected::NoKey => {
            "Nobody pressed a key at your phone, which a voicemail box may have answered, so the other number was not called."
        }
        Unconnected::Party(CallState::Busy) => "The line of the other number was busy.",
        Unconnected::Party(CallState::NoAnswer) => "Nobody answered at the other number.",
        Unconnected::Party(CallState::Canceled) => "Your phone hung up before the other number answered.",
        Unconnected::Party(_) => "The other number could not be reached.",
        Unconnected::HungUp => "The call ended before the other side was connected.",
    }
}

/// The state of a leg.
pub(super) fn leg(state: CallState) -> &'static str {
    match state {
        CallState::Completed => "hung up",
        CallState::InProgress => "on the phone",
        CallState::Ringing => "ringing",
        CallState::Busy => "busy",
        CallState::NoAnswer => "no answer",
        CallState::Canceled => "stopped ringing",
        CallState::Failed | CallState::Lost => "not reached",
        CallState::Dialing | CallState::Unknown | CallState::Queued => "dialing",
    }
}

/// Who is at the phone of a leg.
pub(super) fn role(role: &str) -> &'static str {
    if role == Role::Operator.as_str() { "Your phone" } else { "Other side" }
}

/// An event of the history.
pub(super) fn event(what: &Happened) -> &'static str {
    match what {
        Happened::Call(state) => match state {
            CallState::Dialing => "Call requested from Twilio",
            CallState::Unknown => "Twilio did not respond",
            CallState::Lost => "Call not found at Twilio",
            CallState::Queued => "Twilio accepted the call",
            CallState::Ringing => "Ringing",
            CallState::InProgress => "Answered",
            CallState::Completed => "Call ended",
            CallState::Busy => "Line busy",
            CallState::NoAnswer => "No answer",
            CallState::Failed => "Call could not be placed",
            CallState::Canceled => "Call canceled",
        },
        Happened::Leg(_, state) => match state {
            CallState::Ringing => "Second phone ringing",
            CallState::InProgress => "Second phone answered",
            CallState::Completed => "Second phone hung up",
            CallState::Busy => "Second phone busy",
            CallState::NoAnswer => "Second phone not answered",
            CallState::Canceled => "Second phone no longer rung",
            CallState::Failed => "Second phone not reached",
            _ => "Second phone dialed",
        },
        Happened::Recording(_, state) => match state {
            RecordingState::InProgress => "Recording started",
            RecordingState::Paused => "Recording paused",
            RecordingState::Stopped => "Recording stopped",
            RecordingState::Processing => "Twilio is processing the recording",
            RecordingState::Completed => "Recording ready",
            RecordingState::Absent => "No recording",
            RecordingState::Failed => "Recording failed",
            RecordingState::Deleted => "Recording deleted at Twilio",
        },
        Happened::Transcript { state, .. } => match state {
            TranscriptState::Waiting => "Transcript requested",
            TranscriptState::Uploaded => "Recording uploaded",
            TranscriptState::Queued => "AssemblyAI accepted the request",
            TranscriptState::Processing => "Transcribing",
            TranscriptState::Completed => "Transcript ready",
            TranscriptState::Failed => "Transcript failed",
        },
        Happened::SpeakersNamed => "Speakers named",
        Happened::DeletionWanted => "Deletion requested",
        Happened::Deleted => "Deleted",
    }
}

/// What a recording without audio waits for.
pub(super) fn recording(state: &str) -> &'static str {
    match RecordingState::named(state) {
        Some(RecordingState::InProgress | RecordingState::Paused) => "Recording in progress.",
        _ => "Waiting for Twilio to finish the recording.",
    }
}

/// What a transcript without text waits for.
pub(super) fn transcript(state: TranscriptState) -> &'static str {
    if state == TranscriptState::Failed { "The transcript failed." } else { waits_for(WaitsFor::of_transcript(state)) }
}
