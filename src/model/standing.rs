//! What the state of a call means: how far the call has come, what it waits for, and what an operator may do with it.
//! Pure, so that the pipeline asks here before it acts, and JSON and pages print the same answer.

use super::call::{Call, CallState, Deletion, Kind};
use super::dollars::Dollars;
use super::history::{Event, Happened};
use super::job::JobStatus;
use super::leg::Leg;
use super::recording::{Recording, RecordingState};
use super::transcript::{Transcript, TranscriptState};

/// All that the standing of a call depends on.
#[derive(Debug)]
pub struct Facts {
    pub call: Call,
    /// The legs that it dialed.
    pub legs: Vec<Leg>,
    pub recordings: Vec<Recording>,
    pub transcripts: Vec<Transcript>,
    /// The status of the job that follows the call.
    pub following: Option<JobStatus>,
    /// The status of the job that deletes the call.
    pub deleting: Option<JobStatus>,
}

/// The same in short, as the list of calls reads it for many calls at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// The state of the leg of a conversation that got furthest.
    pub furthest_leg: Option<CallState>,
    /// Whether a leg was connected with the call, if that is known.
    pub is_bridged: Option<bool>,
    /// The status of the job that follows the call.
    pub following: Option<JobStatus>,
    pub is_recording_coming: bool,
    pub has_transcripts: bool,
    pub has_unfinished: bool,
    /// Whether a transcript [failed](Facts::may_retry_transcript).
    pub has_failed: bool,
    /// Whether a finished recording has no transcript, because a limit was reached.
    pub has_untranscribed: bool,
    /// The budget of the day that did not allow it, if that was the limit.
    pub over_budget: Option<Dollars>,
}

/// How far a call has come on its way to a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// The call is being placed, is ringing, or is up and not yet recorded.
    Calling,
    /// The recording is being made or awaited.
    Recording,
    /// A transcript is being made.
    Transcribing,
    /// There is a transcript, and no other is missing.
    Done,
    /// The call is over and was not recorded.
    NotRecorded,
    /// A recording is ready, and nobody has asked for a transcript.
    NotTranscribed,
    /// The call was not placed or not answered, or a transcript failed.
    Failed,
    Deleting,
}

words! {
    Progress:
    Calling = "calling",
    Recording = "recording",
    Transcribing = "transcribing",
    Done = "done",
    NotRecorded = "not-recorded",
    NotTranscribed = "not-transcribed",
    Failed = "failed",
    Deleting = "deleting",
}

/// Why a conversation that was dialed here did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconnected {
    /// The operator's phone was not answered: the call ended in this state.
    Operator(CallState),
    /// It was answered, and nobody pressed a key: a voicemail box, or somebody who hung up first.
    NoKey,
    /// The leg to the other number ended in this state.
    Party(CallState),
    /// The other side answered, and one of the two hung up during the greeting.
    HungUp,
}

/// The next thing that must happen before a call gets further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// Twilio accepts the call.
    Acceptance,
    /// The search at Twilio shows whether the call was placed.
    Search,
    Ringing,
    Answer,
    HangUp,
    EndOfRecording,
    /// Twilio finishes the recording of a call that is over.
    RecordingFile,
    Upload,
    /// AssemblyAI accepts the order.
    Submission,
    Transcript,
    Deletion,
}

/// Why there is nothing to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NothingToRetry {
    #[error("callscribe is still checking with Twilio whether the call was placed")]
    Searching,
    #[error("the call was not placed; to call, dial the number again")]
    NotPlaced,
    #[error("nothing that failed in this call can be retried")]
    NothingFailed,
    #[error("nothing of this trial has failed")]
    NothingFailedInTrial,
    #[error("nothing of this import has failed")]
    NothingFailedInImport,
    #[error("the trial was stopped; what is still wanted needs another one")]
    TrialStopped,
    #[error("the call is being deleted")]
    Deleting,
    #[error("the call was deleted, with its recordings and transcripts")]
    Deleted,
}

/// Why a call cannot be deleted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDeletable {
    #[error("the call is not over; delete it when it is")]
    NotOver,
    #[error(
        "callscribe is still asking Twilio about the end of the call and its recording; delete the call after that"
    )]
    Followed,
    #[error("a transcript of the call is being made; delete the call when it is finished")]
    Transcribing,
    #[error("the call is already being deleted")]
    Deleting,
    #[error("the call was deleted, with its recordings and transcripts")]
    Deleted,
}

impl Facts {
    pub fn summary(&self) -> Summary {
        let states = || self.transcripts.iter().filter(|one| one.is_current).map(|one| one.state);
        Summary {
            furthest_leg: self.furthest_leg(),
            is_bridged: self.legs.iter().filter_map(|leg| leg.is_bridged).max(),
            following: self.following,
            is_recording_coming: self.recordings.iter().any(|recording| recording.state.is_coming()),
            has_transcripts: !self.transcripts.is_empty(),
            has_unfinished: states().any(|state| !state.is_final()),
            has_failed: self.transcripts.iter().any(|one| self.may_retry_transcript(one)),
            has_untranscribed: self.recordings.iter().any(|recording| self.may_transcribe(recording)),
            over_budget: self
                .recordings
                .iter()
                .filter(|recording| self.may_transcribe(recording))
                .filter_map(|recording| recording.over_budget)
                .max(),
        }
    }

    /// What its transcripts cost together, if that of any is known.
    pub fn transcripts_cost(&self) -> Option<Dollars> {
        let known = || self.transcripts.iter().filter_map(|one| one.cost);
        known().next().map(|_| known().sum())
    }

    pub fn progress(&self) -> Progress {
        Progress::of(&self.call, &self.summary())
    }

    /// The length of the recordings together, if that of any is known.
    pub fn seconds(&self) -> Option<i64> {
        let known: Vec<i64> = self.recordings.iter().filter_map(|recording| recording.duration_seconds).collect();
        (!known.is_empty()).then(|| known.into_iter().sum())
    }

    fn furthest_leg(&self) -> Option<CallState> {
        let states = self.legs.iter().filter(|_| self.call.kind == Kind::Conversation).map(|leg| leg.state);
        states.max_by_key(|state| (state.rank(), *state == CallState::Completed))
    }

    /// Whether this transcript failed, so that a retry starts a new attempt at it. It is not missed if its recording has
    /// another one, or if a later order of the same request has replaced it.
    pub fn may_retry_transcript(&self, transcript: &Transcript) -> bool {
        let is_made =
            |one: &Transcript| one.state == TranscriptState::Completed && one.recording == transcript.recording;
        transcript.is_current && transcript.state == TranscriptState::Failed && !self.transcripts.iter().any(is_made)
    }

    /// Whether a retry requests a transcript of this recording.
    pub fn may_transcribe(&self, recording: &Recording) -> bool {
        recording.state == RecordingState::Completed
            && self.transcripts.iter().all(|one| one.recording.as_ref() != Some(&recording.sid))
    }

    /// Whether a retry polls Twilio again for the end of the call: the job gave up, or it is done although the call has not
    /// ended, or was answered and has no recording.
    pub fn may_follow_again(&self) -> bool {
        self.call.sid.is_some()
            && match self.following {
                Some(JobStatus::Failed) => true,
                Some(JobStatus::Done) => {
                    self.recordings.is_empty()
                        && Unconnected::of(&self.call, &self.summary()).is_none()
                        && (self.call.state == CallState::Completed || self.call.state.holds_number())
                }
                Some(JobStatus::Open) | None => false,
            }
    }

    /// Whether `POST /calls/<sid>/retry` starts anything.
    pub fn may_retry(&self) -> Result<(), NothingToRetry> {
        match self.call.deletion {
            Some(Deletion::Done) => return Err(NothingToRetry::Deleted),
            Some(Deletion::Wanted) if self.deleting == Some(JobStatus::Failed) => return Ok(()),
            Some(Deletion::Wanted) => return Err(NothingToRetry::Deleting),
            None => {}
        }
        if self.transcripts.iter().any(|one| self.may_retry_transcript(one))
            || self.recordings.iter().any(|recording| self.may_transcribe(recording))
            || self.may_follow_again()
        {
            Ok(())
        } else if self.call.sid.is_some() || self.call.kind == Kind::Upload {
            Err(NothingToRetry::NothingFailed)
        } else if self.call.state.holds_number() {
            Err(NothingToRetry::Searching)
        } else {
            Err(NothingToRetry::NotPlaced)
        }
    }

    /// Whether `POST /calls/<sid>/delete` starts the deletion.
    pub fn may_delete(&self) -> Result<(), NotDeletable> {
        match self.call.deletion {
            Some(Deletion::Done) => Err(NotDeletable::Deleted),
            Some(Deletion::Wanted) => Err(NotDeletable::Deleting),
            None if self.following == Some(JobStatus::Open) && self.call.state.holds_number() => {
                Err(NotDeletable::NotOver)
            }
            None if self.following == Some(JobStatus::Open) => Err(NotDeletable::Followed),
            None if self.transcripts.iter().any(|one| !one.state.is_final()) => Err(NotDeletable::Transcribing),
            None => Ok(()),
        }
    }

    /// What a call of this progress waits for; `None` if nothing more happens automatically.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        let mut current = self.transcripts.iter().filter(|one| one.is_current && !one.state.is_final());
        match self.progress() {
            Progress::Transcribing => current.next_back().map(|one| WaitsFor::of_transcript(one.state)),
            Progress::Deleting if self.deleting == Some(JobStatus::Failed) => None,
            progress => WaitsFor::of_call(self.call.state, progress),
        }
    }
}

impl Unconnected {
    /// Returns `None` for every other call, and as long as it is not known.
    pub fn of(call: &Call, summary: &Summary) -> Option<Self> {
        let is_recorded = summary.is_recording_coming || summary.has_transcripts || summary.has_untranscribed;
        if call.operator.is_none() || is_recorded {
            return None;
        }
        match (call.state, summary.furthest_leg) {
            (CallState::Completed, Some(CallState::Completed)) => {
                (summary.is_bridged == Some(false)).then_some(Self::HungUp)
            }
            (CallState::Completed, Some(state)) => state.is_over().then_some(Self::Party(state)),
            // The reports of a leg may be late, or lost: the end of following tells that there was none.
            (CallState::Completed, None) => (summary.following == Some(JobStatus::Done)).then_some(Self::NoKey),
            (state, _) => state.is_over().then_some(Self::Operator(state)),
        }
    }
}

impl Progress {
    pub fn of(call: &Call, summary: &Summary) -> Self {
        if call.deletion.is_some() {
            Self::Deleting
        } else if summary.following == Some(JobStatus::Failed) {
            Self::Failed
        } else if summary.is_recording_coming {
            Self::Recording
        } else if call.state.holds_number() {
            Self::Calling
        } else if summary.has_unfinished {
            Self::Transcribing
        } else if summary.has_failed {
            Self::Failed
        } else if summary.has_untranscribed {
            Self::NotTranscribed
        } else if summary.has_transcripts {
            Self::Done
        } else if call.state != CallState::Completed || Unconnected::of(call, summary).is_some() {
            Self::Failed
        } else if summary.following == Some(JobStatus::Open) {
            Self::Recording
        } else {
            Self::NotRecorded
        }
    }
}

impl WaitsFor {
    /// What a call in this state waits for, its transcripts aside.
    pub fn of_call(state: CallState, progress: Progress) -> Option<Self> {
        match progress {
            Progress::Calling => Some(match state {
                CallState::Ringing => Self::Answer,
                CallState::InProgress => Self::HangUp,
                CallState::Unknown => Self::Search,
                CallState::Queued => Self::Ringing,
                _ => Self::Acceptance,
            }),
            Progress::Recording if state == CallState::Completed => Some(Self::RecordingFile),
            Progress::Recording => Some(Self::EndOfRecording),
            Progress::Transcribing => Some(Self::Transcript),
            Progress::Deleting => Some(Self::Deletion),
            Progress::Done | Progress::NotRecorded | Progress::NotTranscribed | Progress::Failed => None,
        }
    }

    pub fn of_transcript(state: TranscriptState) -> Self {
        match state {
            TranscriptState::Waiting => Self::Upload,
            TranscriptState::Uploaded => Self::Submission,
            _ => Self::Transcript,
        }
    }
}

/// The stages of a call, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Dialed,
    Ringing,
    Answered,
    Recording,
    Uploading,
    Transcribing,
    Done,
}

/// A stage of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub stage: Stage,
    /// When it began, in milliseconds since 1970.
    pub at: Option<i64>,
    pub mark: Mark,
}

/// Where the call is, seen from a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Past,
    Now,
    /// The call ended here, without a transcript.
    Failed,
    Ahead,
    /// The call will not get there.
    Never,
}

impl Stage {
    const ALL: [Self; 7] =
        [Self::Dialed, Self::Ringing, Self::Answered, Self::Recording, Self::Uploading, Self::Transcribing, Self::Done];

    /// The stage that an event begins.
    fn of(what: &Happened, progress: Progress) -> Option<Self> {
        match what {
            Happened::Call(CallState::Ringing) => Some(Self::Ringing),
            Happened::Call(CallState::InProgress | CallState::Busy | CallState::NoAnswer | CallState::Canceled) => {
                Some(Self::Answered)
            }
            Happened::Call(_) | Happened::DeletionWanted | Happened::Deleted => Some(Self::Dialed),
            // Names move nothing on.
            Happened::SpeakersNamed => None,
            Happened::Leg(..) => None,
            Happened::Recording(..) => Some(Self::Recording),
            Happened::Transcript { state, .. } => match state {
                TranscriptState::Waiting => Some(Self::Uploading),
                TranscriptState::Uploaded | TranscriptState::Queued | TranscriptState::Processing => {
                    Some(Self::Transcribing)
                }
                TranscriptState::Completed if matches!(progress, Progress::Done | Progress::Deleting) => {
                    Some(Self::Done)
                }
                TranscriptState::Completed | TranscriptState::Failed => None,
            },
        }
    }
}

/// The steps of a call, from its history, oldest event first.
pub fn steps(state: CallState, progress: Progress, history: &[Event]) -> [Step; 7] {
    let times = times(history, progress);
    let reached = Stage::ALL[times.iter().rposition(Option::is_some).unwrap_or_default()];
    let (end, mark) = match progress {
        Progress::Calling => (reached.min(Stage::Recording), Mark::Now),
        Progress::Recording => (Stage::Recording, Mark::Now),
        Progress::Transcribing => (reached.clamp(Stage::Uploading, Stage::Transcribing), Mark::Now),
        Progress::Done => (Stage::Done, Mark::Past),
        Progress::NotRecorded => (Stage::Recording, Mark::Failed),
        Progress::NotTranscribed => (Stage::Recording, Mark::Past),
        Progress::Failed if state.is_unanswered() => (Stage::Answered, Mark::Failed),
        Progress::Failed => (reached, Mark::Failed),
        // Only a call that has come to its end can be deleted.
        Progress::Deleting => (reached, Mark::Past),
    };
    let beyond = if mark == Mark::Failed || progress == Progress::Deleting { Mark::Never } else { Mark::Ahead };
    Stage::ALL.map(|stage| Step {
        stage,
        at: times[stage as usize].filter(|_| stage <= end),
        mark: match stage.cmp(&end) {
            std::cmp::Ordering::Less => Mark::Past,
            std::cmp::Ordering::Equal => mark,
            std::cmp::Ordering::Greater => beyond,
        },
    })
}

/// When each stage began. A new attempt at a transcript begins its stages again, unless the call is done without it.
fn times(history: &[Event], progress: Progress) -> [Option<i64>; 7] {
    let made: Vec<_> = history
        .iter()
        .filter_map(|event| match &event.what {
            Happened::Transcript { order, state: TranscriptState::Completed, .. } => Some(order),
            _ => None,
        })
        .collect();
    let is_needless = |event: &&Event| match &event.what {
        Happened::Transcript { order, .. } => progress == Progress::Done && !made.contains(&order),
        _ => false,
    };
    let mut times = [None; 7];
    for event in history.iter().filter(|event| !is_needless(event)) {
        let Some(stage) = Stage::of(&event.what, progress) else { continue };
        if stage == Stage::Uploading {
            times[Stage::Transcribing as usize] = None;
        }
        let time = &mut times[stage as usize];
        if time.is_none() || matches!(stage, Stage::Uploading | Stage::Done) {
            *time = Some(event.at);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keyterms::Keyterms;
    use crate::model::transcript::OrderId;

    fn marks(state: CallState, progress: Progress, history: &[Happened]) -> Vec<(Stage, Mark, bool)> {
        let history: Vec<Event> =
            (1..).zip(history).map(|(at, what)| Event { at, what: what.clone(), reason: None, by: None }).collect();
        steps(state, progress, &history).iter().map(|step| (step.stage, step.mark, step.at.is_some())).collect()
    }

    fn facts(state: CallState, following: JobStatus) -> Facts {
        let (to, from) = ("+14155551234".parse().unwrap(), "+14155550000".parse().unwrap());
        let sid = format!("CA{}", "0".repeat(32)).parse().ok();
        let call = Call { sid, state, ..Call::to_be_placed(&to, &from, None, Keyterms::default(), 0) };
        Facts {
            call,
            legs: Vec::new(),
            recordings: Vec::new(),
            transcripts: Vec::new(),
            following: Some(following),
            deleting: None,
        }
    }

    #[test]
    fn a_call_that_nobody_answered_ends_where_the_answer_would_have_been() {
        let found = marks(
            CallState::Busy,
            Progress::Failed,
            &[Happened::Call(CallState::Dialing), Happened::Call(CallState::Ringing), Happened::Call(CallState::Busy)],
        );
        assert_eq!(
            found[..4],
            [
                (Stage::Dialed, Mark::Past, true),
                (Stage::Ringing, Mark::Past, true),
                (Stage::Answered, Mark::Failed, true),
                (Stage::Recording, Mark::Never, false)
            ]
        );
    }

    #[test]
    fn a_stage_without_an_event_is_past_when_a_later_one_is_reached() {
        let found = marks(
            CallState::Completed,
            Progress::Recording,
            &[Happened::Call(CallState::Dialing), Happened::Call(CallState::Completed)],
        );
        assert_eq!(
            found[1..5],
            [
                (Stage::Ringing, Mark::Past, false),
                (Stage::Answered, Mark::Past, false),
                (Stage::Recording, Mark::Now, false),
                (Stage::Uploading, Mark::Ahead, false)
            ]
        );
    }

    #[test]
    fn a_new_attempt_at_a_transcript_is_uploaded_again() {
        let recording = format!("RE{}", "0".repeat(32)).parse().unwrap();
        let transcript = |state| Happened::Transcript { order: OrderId::new(0), attempt: 1, state };
        let history = [
            Happened::Call(CallState::Dialing),
            Happened::Recording(recording, RecordingState::Completed),
            transcript(TranscriptState::Waiting),
            transcript(TranscriptState::Queued),
            transcript(TranscriptState::Failed),
            transcript(TranscriptState::Waiting),
        ];
        let found = marks(CallState::Completed, Progress::Transcribing, &history);
        assert_eq!(
            found[4..],
            [
                (Stage::Uploading, Mark::Now, true),
                (Stage::Transcribing, Mark::Ahead, false),
                (Stage::Done, Mark::Ahead, false)
            ]
        );
        let found = marks(CallState::Completed, Progress::Failed, &history[..5]);
        assert_eq!(found[5..], [(Stage::Transcribing, Mark::Failed, true), (Stage::Done, Mark::Never, false)]);
    }

    #[test]
    fn a_call_that_is_done_has_the_times_of_the_transcript_it_has() {
        let (made, failed) = (OrderId::new(0), OrderId::new(1));
        let transcript = |order: &OrderId, state| Happened::Transcript { order: order.clone(), attempt: 1, state };
        let history = [
            transcript(&made, TranscriptState::Waiting),
            transcript(&made, TranscriptState::Queued),
            transcript(&made, TranscriptState::Completed),
            transcript(&failed, TranscriptState::Waiting),
            transcript(&failed, TranscriptState::Failed),
        ];
        let history =
            (1..).zip(history).map(|(at, what)| Event { at, what, reason: None, by: None }).collect::<Vec<_>>();
        let times = steps(CallState::Completed, Progress::Done, &history).map(|step| step.at);
        assert_eq!(times[4..], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_retry_follows_a_call_again_that_was_given_up_or_answered_and_not_recorded() {
        use CallState::{Busy, Completed, Failed, InProgress, NoAnswer};
        for (state, following, may_retry) in [
            (Completed, JobStatus::Done, true),
            (InProgress, JobStatus::Failed, true),
            (InProgress, JobStatus::Done, true),
            (Completed, JobStatus::Open, false),
            (Busy, JobStatus::Done, false),
            (NoAnswer, JobStatus::Done, false),
            (Failed, JobStatus::Done, false),
        ] {
            assert_eq!(facts(state, following).may_retry().is_ok(), may_retry, "{state:?} {following:?}");
        }
    }

    #[test]
    fn a_call_is_deletable_once_nobody_follows_it() {
        let refusal = |state, following| facts(state, following).may_delete().err();
        assert_eq!(refusal(CallState::InProgress, JobStatus::Open), Some(NotDeletable::NotOver));
        assert_eq!(refusal(CallState::Completed, JobStatus::Open), Some(NotDeletable::Followed));
        assert_eq!(refusal(CallState::Completed, JobStatus::Done), None);
    }
}
