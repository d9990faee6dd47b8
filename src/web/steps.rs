//! How far a call has come, in people's words: the seven steps from dialling to the text, what is waited for, and what
//! went wrong. It knows nothing of HTTP.

use jiff::Timestamp;

use super::progress::Progress;
use super::view::EventView;
use crate::model::call::CallState;
use crate::model::history::Happened;
use crate::model::recording::RecordingState;
use crate::model::transcript::TranscriptState;

/// One of the seven.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// When it began.
    pub(super) at: Option<Timestamp>,
    pub(super) mark: Mark,
}

/// Where the call is, seen from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Past it.
    Past,
    /// At it.
    Now,
    /// It ended here, and not well.
    Failed,
    /// Not there yet.
    Ahead,
    /// It will not come there.
    Never,
}

impl Mark {
    /// Its name in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Now => "now",
            Self::Failed => "failed",
            Self::Ahead => "ahead",
            Self::Never => "never",
        }
    }

    /// What is said of it to who cannot see the mark.
    pub(super) fn said(self) -> &'static str {
        match self {
            Self::Past => "done",
            Self::Now => "now",
            Self::Failed => "failed",
            Self::Ahead => "to come",
            Self::Never => "not reached",
        }
    }
}

const ANSWERED: usize = 2;
const RECORDING: usize = 3;
const UPLOADING: usize = 4;
const TRANSCRIBING: usize = 5;
const DONE: usize = 6;

/// The steps of a call in this state, by its history, oldest first.
pub(super) fn steps(direction: &str, state: &str, progress: Progress, history: &[EventView]) -> Vec<Step> {
    let first = if direction == "outbound" { "Dialled" } else { "Called" };
    let names = [first, "Ringing", "Answered", "Recording", "Uploading", "Transcribing", "Done"];
    let times = times(history, progress);
    let reached = times.iter().rposition(Option::is_some).unwrap_or_default();
    let (end, mark) = match progress {
        Progress::Calling => (reached.min(RECORDING), Mark::Now),
        Progress::Recording => (RECORDING, Mark::Now),
        Progress::Transcribing => (reached.clamp(UPLOADING, TRANSCRIBING), Mark::Now),
        Progress::Done => (DONE, Mark::Past),
        Progress::NotRecorded => (RECORDING, Mark::Failed),
        Progress::Failed if unanswered(state).is_some() => (ANSWERED, Mark::Failed),
        // It has gone all its way before it could be deleted.
        Progress::Deleting => (reached, Mark::Past),
        Progress::Failed => (reached, Mark::Failed),
    };
    let beyond = if mark == Mark::Failed || progress == Progress::Deleting { Mark::Never } else { Mark::Ahead };
    let step = |(index, (name, at)): (usize, (&'static str, Option<Timestamp>))| Step {
        name: if index == end && mark == Mark::Failed { unanswered(state).unwrap_or(name) } else { name },
        at: at.filter(|_| index <= end),
        mark: match index {
            _ if index < end => Mark::Past,
            _ if index == end => mark,
            _ => beyond,
        },
    };
    names.into_iter().zip(times).enumerate().map(step).collect()
}

/// When each step began. A transcript that is made again begins its steps anew.
fn times(history: &[EventView], progress: Progress) -> [Option<Timestamp>; 7] {
    let mut times = [None; 7];
    for EventView { what, at, .. } in history {
        let index = match what {
            Happened::Call(CallState::Ringing) => 1,
            Happened::Call(CallState::InProgress | CallState::Busy | CallState::NoAnswer | CallState::Canceled) => {
                ANSWERED
            }
            Happened::Call(_) | Happened::DeletionWanted | Happened::Deleted => 0,
            Happened::Recording(..) => RECORDING,
            Happened::Transcript { state, .. } => match state {
                TranscriptState::Waiting => UPLOADING,
                TranscriptState::Uploaded | TranscriptState::Queued | TranscriptState::Processing => TRANSCRIBING,
                TranscriptState::Completed if matches!(progress, Progress::Done | Progress::Deleting) => DONE,
                TranscriptState::Completed | TranscriptState::Failed => continue,
            },
        };
        if index == UPLOADING {
            times[TRANSCRIBING] = None;
        }
        if times[index].is_none() || matches!(index, UPLOADING | DONE) {
            times[index] = *at;
        }
    }
    times
}

/// How a call ended that nobody answered.
fn unanswered(state: &str) -> Option<&'static str> {
    match state {
        "busy" => Some("Busy"),
        "no-answer" => Some("No answer"),
        "canceled" => Some("Canceled"),
        _ => None,
    }
}

/// Where a call is, in a word or two.
pub(super) fn headline(state: &str, progress: Progress) -> &'static str {
    match progress {
        Progress::Calling => match state {
            "ringing" => "Ringing",
            "in-progress" => "On the phone",
            "unknown" => "Looking for the call",
            _ => "Dialling",
        },
        Progress::Recording => "Recording",
        Progress::Transcribing => "Transcribing",
        Progress::Done => "Done",
        Progress::Deleting => "Deleting",
        Progress::NotRecorded => "Not recorded",
        Progress::Failed => match (unanswered(state), state) {
            (Some(end), _) => end,
            (None, "lost" | "failed") => "Not placed",
            (None, "completed") => "No transcript",
            (None, _) => "Failed",
        },
    }
}

/// What a state of a call means.
pub(super) fn meaning(state: CallState) -> &'static str {
    match state {
        CallState::Dialing => "being placed",
        CallState::Unknown => "looked for at Twilio",
        CallState::Lost => "not found at Twilio",
        CallState::Queued => "taken by Twilio",
        CallState::Ringing => "ringing",
        CallState::InProgress => "on the phone",
        CallState::Completed => "answered and over",
        CallState::Busy => "the line was busy",
        CallState::NoAnswer => "nobody answered",
        CallState::Failed => "could not be placed",
        CallState::Canceled => "given up before an answer",
    }
}

/// What is waited for, or what it means that nothing is.
pub(super) fn waits_for(state: &str, progress: Progress, transcript: Option<&str>) -> &'static str {
    match progress {
        Progress::Calling => match state {
            "ringing" => "Waiting for somebody to pick up.",
            "in-progress" => "Waiting for the call to end.",
            "unknown" => "Twilio gave no answer; the call is looked for there.",
            "queued" => "Waiting for the phone to ring.",
            _ => "Waiting for Twilio to take the call.",
        },
        Progress::Recording => match state {
            "completed" => "Waiting for Twilio to finish the recording.",
            _ => "What is said is being recorded.",
        },
        Progress::Transcribing => self::transcript(transcript.unwrap_or_default()),
        Progress::Done => "Listen and read below.",
        Progress::Deleting => "It is being deleted here, at Twilio and at AssemblyAI.",
        Progress::NotRecorded => "The call is over, and there is no recording of it.",
        Progress::Failed => match state {
            "busy" => "The line was busy.",
            "no-answer" => "Nobody answered.",
            "canceled" => "Given up before anybody answered.",
            "lost" | "failed" => "The call could not be placed.",
            "completed" => "The call is over; its transcript could not be made.",
            _ => "The call is not followed any more.",
        },
    }
}

/// What it means that a call, a recording or a transcript came to a state.
pub(super) fn happened(what: &Happened) -> String {
    let words = match what {
        Happened::Call(CallState::Dialing) => "Twilio was asked to call",
        Happened::Call(CallState::Unknown) => "Twilio gave no answer",
        Happened::Call(CallState::Lost) => "The call was not found at Twilio",
        Happened::Call(CallState::Queued) => "Twilio took the call",
        Happened::Call(CallState::Ringing) => "The phone rang",
        Happened::Call(CallState::InProgress) => "Somebody answered",
        Happened::Call(CallState::Completed) => "The call ended",
        Happened::Call(CallState::Busy) => "The line was busy",
        Happened::Call(CallState::NoAnswer) => "Nobody answered",
        Happened::Call(CallState::Failed) => "The call could not be placed",
        Happened::Call(CallState::Canceled) => "The call was given up",
        Happened::Recording(_, RecordingState::InProgress) => "The recording began",
        Happened::Recording(_, RecordingState::Completed) => "The recording was there",
        Happened::Recording(_, RecordingState::Absent) => "There was no recording",
        Happened::Transcript { state: TranscriptState::Waiting, .. } => "A transcript was wanted",
        Happened::Transcript { state: TranscriptState::Uploaded, .. } => "AssemblyAI had the recording",
        Happened::Transcript { state: TranscriptState::Queued, .. } => "AssemblyAI took the order",
        Happened::Transcript { state: TranscriptState::Processing, .. } => "AssemblyAI was at work",
        Happened::Transcript { state: TranscriptState::Completed, .. } => "The transcript was there",
        Happened::Transcript { state: TranscriptState::Failed, .. } => "The transcript failed",
        _ => return format!("{}: {}", what.kind(), what.state()),
    };
    words.to_owned()
}

/// What is waited for of a recording in this state.
pub(super) fn recording(state: &str) -> &'static str {
    match state {
        "in-progress" | "paused" => "It is being made.",
        _ => "Waiting for Twilio to finish it.",
    }
}

/// What is waited for of a transcript in this state.
pub(super) fn transcript(state: &str) -> &'static str {
    match state {
        "waiting" => "The recording is on its way to AssemblyAI.",
        "uploaded" => "Waiting for AssemblyAI to take the order.",
        "failed" => "It could not be made.",
        _ => "Waiting for AssemblyAI to finish the transcript.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(state: &str, progress: Progress, history: &[Happened]) -> Vec<(&'static str, &'static str, bool)> {
        let history: Vec<EventView> = (1..)
            .zip(history)
            .map(|(second, what)| EventView {
                at: Timestamp::from_second(second).ok(),
                kind: what.kind(),
                subject: String::new(),
                state: what.state(),
                reason: None,
                what: what.clone(),
            })
            .collect();
        let steps = steps("outbound", state, progress, &history);
        steps.iter().map(|step| (step.name, step.mark.class(), step.at.is_some())).collect()
    }

    #[test]
    fn a_call_that_was_not_answered_ends_where_it_would_have_been() {
        let found = marks(
            "busy",
            Progress::Failed,
            &[Happened::Call(CallState::Dialing), Happened::Call(CallState::Ringing), Happened::Call(CallState::Busy)],
        );
        assert_eq!(
            found[..4],
            [
                ("Dialled", "past", true),
                ("Ringing", "past", true),
                ("Busy", "failed", true),
                ("Recording", "never", false)
            ]
        );
    }

    #[test]
    fn a_step_that_nobody_told_of_is_past_all_the_same() {
        let found = marks(
            "completed",
            Progress::Recording,
            &[Happened::Call(CallState::Dialing), Happened::Call(CallState::Completed)],
        );
        assert_eq!(
            found[1..5],
            [
                ("Ringing", "past", false),
                ("Answered", "past", false),
                ("Recording", "now", false),
                ("Uploading", "ahead", false)
            ]
        );
    }

    #[test]
    fn a_transcript_that_is_made_again_is_uploaded_again() {
        let recording = format!("RE{}", "0".repeat(32)).parse().unwrap();
        let transcript = |state| Happened::Transcript { order: String::new(), attempt: 1, state };
        let history = [
            Happened::Call(CallState::Dialing),
            Happened::Recording(recording, RecordingState::Completed),
            transcript(TranscriptState::Waiting),
            transcript(TranscriptState::Queued),
            transcript(TranscriptState::Failed),
            transcript(TranscriptState::Waiting),
        ];
        let found = marks("completed", Progress::Transcribing, &history);
        assert_eq!(
            found[4..],
            [("Uploading", "now", true), ("Transcribing", "ahead", false), ("Done", "ahead", false)]
        );
        let found = marks("completed", Progress::Failed, &history[..5]);
        assert_eq!(found[5..], [("Transcribing", "failed", true), ("Done", "never", false)]);
    }
}
