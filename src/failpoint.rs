//! The points at which a crash hurts most, so that tests can abort or kill the program there. Without the feature
//! `failpoints` they do nothing.
//!
//! A [`Commit`] is one transaction, with a point before and a point after its commit. A [`Moment`] lies between two
//! requests to a vendor. `CRASH_POINTS` lists those that the crash test kills the program at.

/// A transaction of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Commit {
    /// The intent to place a call.
    IntendToDial,
    /// The call SID from the answer to `POST Calls`.
    StoreCallSid,
    /// Twilio refused to place the call.
    StoreRefusal,
    /// The lease is checked before a rate-limited `POST Calls` is repeated.
    RepeatDial,
    /// The answer to `POST Calls` was lost.
    StoreUnknown,
    /// A status callback of a call.
    IngestCall,
    /// A report about a leg that a call has dialed.
    IngestLeg,
    /// A callback of a recording that has started.
    IngestRecordingStart,
    /// A callback of a recording that has ended.
    IngestRecording,
    /// A recording that a client named before any callback.
    IngestUnknownRecording,
    /// AssemblyAI's webhook, which brings a transcript id.
    IngestWebhook,
    /// The result of a search for a call whose SID is unknown.
    SearchForCall,
    /// Twilio's answer to a poll of a call.
    PollCall,
    /// What Twilio charges for a call.
    StorePrice,
    /// The result of a search for calls that Twilio has not reported.
    FindUnreported,
    /// A client's request for a transcript.
    RequestTranscript,
    /// A file that a client has sent in pieces is complete.
    ReceiveFile,
    /// The intent to submit an order, with the URL of its audio.
    IntendToSubmit,
    /// The transcript id from the answer to `POST transcript`.
    StoreTranscriptId,
    /// AssemblyAI refused the order, which continues with other speech models if it refused one of those.
    WithdrawIntent,
    /// The result of a search for an order whose transcript id is unknown.
    SearchForOrder,
    /// AssemblyAI's answer to a poll of an unfinished transcript.
    PollTranscript,
    /// AssemblyAI's answer to a poll of a finished transcript.
    FinishTranscript,
    /// An operator's request to delete a call.
    RequestDeletion,
    /// The private data of a call is deleted here.
    WipeCall,
    /// An operator names a number, or changes a contact.
    StoreContact,
    /// An operator deletes a contact.
    DeleteContact,
    /// An operator adds terms to the vocabulary, or changes one; or the settings have others.
    StoreTerms,
    /// An operator deletes a term.
    DeleteTerm,
    /// What the corrections of a transcript say of terms is stored.
    Learn,
    /// An operator's request to retry what failed.
    Retry,
    /// An operator names speakers, or swaps them.
    NameSpeakers,
    /// An operator changes the title of an upload, or the tag of a call or an upload.
    FileItem,
    /// An operator corrects a transcript, or undoes a correction.
    Correct,
    /// An operator makes a transcript the current one of its recording.
    Choose,
    /// An operator wants a text replaced in many transcripts.
    BeginReplacement,
    /// Some of these transcripts were looked at.
    AdvanceReplacement,
    /// An operator confirms a trial: its orders are stored.
    BeginTrial,
    /// The figures of a recording in a trial are stored.
    MeasureTrial,
    /// An operator wants the transcripts of a trial to become the current ones.
    BeginChoosing,
    /// One of them is.
    AdvanceChoosing,
    /// An operator stops a trial.
    StopTrial,
    /// An operator confirms an import.
    BeginImport,
    /// A page of Twilio's list is stored for an import, and where the next one is.
    StoreImportPage,
    /// The transcript of an import's recording is ordered, or it is stored why not.
    OrderImported,
    /// All transcripts of an import are made.
    EndImport,
    /// An operator pauses, resumes or cancels an import.
    SteerImport,
    /// An operator marks a stretch of a transcript as checked by ear, or takes that back.
    Check,
    /// An operator has typed a stretch of a transcript from the audio alone.
    BlindCheck,
    /// An operator logs out.
    EndSession,
    /// Jobs are claimed. A claim whose commit is not seen is no claim: its lease runs out.
    ClaimJobs,
    /// Leases are renewed.
    RenewLeases,
    /// A job is scheduled for a later time.
    PutBackJob,
    /// A job has succeeded.
    CloseJob,
    /// A job has failed for good.
    FailJob,
    /// All jobs of this instance are released.
    ReleaseJobs,
    /// All open jobs become due.
    CatchUp,
    /// A receiver of webhooks is added, changed or removed.
    StoreReceiver,
    /// An operator makes a token.
    StoreToken,
    /// An operator revokes a token.
    RevokeToken,
    /// When a token was last used.
    UseToken,
    /// An operator sends a delivery again.
    Resend,
    /// Deliveries are claimed. A claim whose commit is not seen is no claim: its lease runs out.
    ClaimDeliveries,
    /// What receivers have answered.
    StoreAnswers,
    /// The intent to write a recording to the archive.
    IntendToArchive,
    /// The archive has all of a recording.
    StoreArchived,
    /// The archive has no copy of a recording any more.
    ForgetArchived,
    /// Jobs are opened for recordings that the archive does not have.
    FindNotArchived,
    /// Old deliveries are deleted.
    PurgeDeliveries,
    /// A check whether the database can be written.
    CheckReadiness,
    /// The search index is rebuilt after an update.
    BuildIndex,
}

/// A moment between two requests to a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// A job is claimed and about to run.
    JobStarts,
    /// The answer to `POST Calls` has arrived.
    CallPlaced,
    /// Twilio has answered the request for audio.
    DownloadStarts,
    /// The last chunk of audio has arrived.
    DownloadEnds,
    /// The first chunk of audio is about to be sent to AssemblyAI.
    UploadStarts,
    /// The last chunk of audio is about to be sent.
    UploadEnds,
    /// The URL of the upload has arrived.
    UploadAnswered,
    /// The transcript of a file that came in pieces is ordered.
    FileOrdered,
    /// The answer to `POST transcript` has arrived.
    OrderSubmitted,
    /// AssemblyAI's webhook has arrived.
    WebhookArrived,
    /// Twilio has deleted the recordings.
    RecordingsDeleted,
    /// AssemblyAI has deleted the transcripts.
    TranscriptsDeleted,
    /// Twilio has deleted the call.
    CallDeleted,
    /// The archive has a recording, and nothing here says so yet.
    RecordingKept,
    /// The archive has no copies of the call's recordings any more.
    CopiesDeleted,
    /// A delivery is claimed and about to be sent.
    DeliveryStarts,
    /// A receiver has answered.
    DeliveryAnswered,
}

/// A point at which a test can abort a step or kill the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The step is about to commit.
    Before(Commit),
    /// The step has committed.
    After(Commit),
    /// Between two requests.
    At(Moment),
}

impl Commit {
    /// Passes the point before the commit.
    pub(crate) fn before(self, subject: &str) -> Result<(), Aborted> {
        if self == Self::BuildIndex { Ok(()) } else { pass(Point::Before(self), subject) }
    }

    /// Passes the point after the commit. A claim, and a request whose client waits for its claim, have none: nobody
    /// would run the job until the lease runs out.
    pub(crate) fn after(self, subject: &str) -> Result<(), Aborted> {
        match self {
            Self::BuildIndex | Self::ClaimJobs | Self::ClaimDeliveries | Self::RequestTranscript => Ok(()),
            step => pass(Point::After(step), subject),
        }
    }
}

/// The step ends at a failpoint, as if the program had died. It is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("aborted at a failpoint")]
pub struct Aborted;

/// Passes a moment in the work on this subject, or aborts if a test asked for that.
pub(crate) fn reach(moment: Moment, subject: &str) -> Result<(), Aborted> {
    pass(Point::At(moment), subject)
}

#[cfg(not(feature = "failpoints"))]
#[inline]
fn pass(_: Point, _: &str) -> Result<(), Aborted> {
    Ok(())
}

#[cfg(feature = "failpoints")]
use armed::pass;
#[cfg(feature = "failpoints")]
pub use armed::{CRASH_POINTS, Hold, arm, hold};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashSet;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use super::Point::{After, At, Before};
    use super::{Aborted, Commit, Moment, Point};

    /// The points of the crash test, by the names that `FAIL` and `--points` take.
    pub const CRASH_POINTS: [(&str, Point); 61] = [
        ("C1", Before(Commit::IntendToDial)),
        ("C2", After(Commit::IntendToDial)),
        ("C3", At(Moment::CallPlaced)),
        ("C4", Before(Commit::StoreCallSid)),
        ("C5", After(Commit::StoreCallSid)),
        ("C6", Before(Commit::IngestRecording)),
        ("C7", After(Commit::IngestRecording)),
        ("C8", At(Moment::JobStarts)),
        ("C9", At(Moment::DownloadStarts)),
        ("C10", At(Moment::DownloadEnds)),
        ("C11", At(Moment::UploadStarts)),
        ("C12", At(Moment::UploadEnds)),
        ("C13", At(Moment::UploadAnswered)),
        ("C14", After(Commit::IntendToSubmit)),
        ("C15", At(Moment::OrderSubmitted)),
        ("C16", Before(Commit::StoreTranscriptId)),
        ("C17", At(Moment::WebhookArrived)),
        ("C18", Before(Commit::FinishTranscript)),
        ("C19", After(Commit::RequestDeletion)),
        ("C20", Before(Commit::WithdrawIntent)),
        ("C21", After(Commit::WithdrawIntent)),
        ("C22", Before(Commit::FindUnreported)),
        ("C23", After(Commit::FindUnreported)),
        ("C24", Before(Commit::IngestLeg)),
        ("C25", After(Commit::IngestLeg)),
        ("C26", Before(Commit::Correct)),
        ("C27", After(Commit::Correct)),
        ("C28", After(Commit::BeginReplacement)),
        ("C29", Before(Commit::AdvanceReplacement)),
        ("C30", Before(Commit::Check)),
        ("C31", After(Commit::Check)),
        ("C32", Before(Commit::StoreTerms)),
        ("C33", After(Commit::StoreTerms)),
        ("C34", Before(Commit::Learn)),
        ("C35", Before(Commit::BeginTrial)),
        ("C36", After(Commit::BeginTrial)),
        ("C37", Before(Commit::MeasureTrial)),
        ("C38", Before(Commit::BlindCheck)),
        ("C39", After(Commit::BlindCheck)),
        ("C40", After(Commit::BeginChoosing)),
        ("C41", Before(Commit::AdvanceChoosing)),
        ("C42", Before(Commit::StopTrial)),
        ("C43", After(Commit::StopTrial)),
        ("C44", Before(Commit::BeginImport)),
        ("C45", After(Commit::BeginImport)),
        ("C46", Before(Commit::StoreImportPage)),
        ("C47", After(Commit::StoreImportPage)),
        ("C48", Before(Commit::OrderImported)),
        ("C49", After(Commit::OrderImported)),
        ("C50", Before(Commit::EndImport)),
        ("C51", Before(Commit::ReceiveFile)),
        ("C52", After(Commit::ReceiveFile)),
        ("C53", At(Moment::FileOrdered)),
        ("C54", At(Moment::DeliveryStarts)),
        ("C55", At(Moment::DeliveryAnswered)),
        ("C56", Before(Commit::StoreAnswers)),
        ("C57", After(Commit::StoreAnswers)),
        ("C58", After(Commit::IntendToArchive)),
        ("C59", At(Moment::RecordingKept)),
        ("C60", Before(Commit::StoreArchived)),
        ("C61", At(Moment::CopiesDeleted)),
    ];

    enum Plan {
        /// At this point, the n-th time, the thread reports on standard error and waits to be killed.
        Stop { name: &'static str, point: Point, left: Mutex<u32> },
        /// At this point, the first time, the process reports on standard error and stops until it gets SIGCONT.
        Freeze { name: &'static str, point: Point, left: Mutex<bool> },
        /// Every step aborts once at each point, for each subject, and passes the next time.
        AbortOnce(Mutex<HashSet<(Point, String)>>),
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();

    /// Takes `C4:stop`, `C4:stop:3` for the third time, `C4:freeze`, or `all:abort-once`.
    ///
    /// # Panics
    /// If it is none of these.
    pub fn arm(plan: &str) {
        let named = |wanted: &str| {
            let known = CRASH_POINTS.into_iter().find(|(name, _)| *name == wanted);
            known.unwrap_or_else(|| panic!("FAIL: there is no crash point {wanted}"))
        };
        let stop = |wanted: &str, left: u32| {
            let (name, point) = named(wanted);
            Plan::Stop { name, point, left: Mutex::new(left) }
        };
        let parts: Vec<&str> = plan.split(':').collect();
        let plan = match parts[..] {
            ["all", "abort-once"] => Plan::AbortOnce(Mutex::default()),
            [point, "stop"] => stop(point, 1),
            [point, "stop", times] => stop(point, times.parse().expect("FAIL=<point>:stop:<number>")),
            [point, "freeze"] => {
                let (name, point) = named(point);
                Plan::Freeze { name, point, left: Mutex::new(true) }
            }
            _ => panic!("expected FAIL=<point>:stop[:<number>], FAIL=<point>:freeze or FAIL=all:abort-once"),
        };
        // The first call decides for the life of the process; every later call asks for the same.
        let _ = PLAN.set(plan);
    }

    /// Stops the process that starts this shell script. A signal stops one thread after the other, and the one that waits
    /// for the script must be stopped before it goes on: so the script ends once it has seen all of them stopped.
    const STOP_PARENT: &str = "kill -STOP $PPID
        while grep -sL '^State:.T' /proc/$PPID/task/*/status | grep -q .; do :; done";

    static HOLDS: Mutex<Vec<Held>> = Mutex::new(Vec::new());

    struct Held {
        point: Point,
        subject: String,
        reached: Sender<()>,
        released: Receiver<()>,
    }

    /// A step that is held up. It goes on when this is dropped.
    #[derive(Debug)]
    pub struct Hold {
        reached: Receiver<()>,
        _released: Sender<()>,
    }

    impl Hold {
        /// Waits until the step is at the point.
        ///
        /// # Panics
        /// If it passed before.
        pub fn reached(&self) {
            self.reached.recv().expect("the step is held up once");
        }
    }

    /// Holds the next step at this point whose subject starts with this text, with its thread, as if its process was
    /// stopped.
    pub fn hold(point: Point, subject: &str) -> Hold {
        let ((reached, waiting), (releasing, released)) = (channel(), channel());
        let held = Held { point, subject: subject.to_owned(), reached, released };
        HOLDS.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        Hold { reached: waiting, _released: releasing }
    }

    fn wait_if_held(point: Point, subject: &str) {
        let mut holds = HOLDS.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |held: &Held| held.point == point && subject.starts_with(&held.subject);
        let Some(held) = holds.iter().position(fits).map(|at| holds.swap_remove(at)) else { return };
        drop(holds);
        _ = held.reached.send(());
        // Ends with an error when the `Hold` is dropped.
        _ = held.released.recv();
    }

    pub(super) fn pass(point: Point, subject: &str) -> Result<(), Aborted> {
        wait_if_held(point, subject);
        match PLAN.get() {
            None => Ok(()),
            Some(Plan::AbortOnce(seen)) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.insert((point, subject.to_owned())) { Err(Aborted) } else { Ok(()) }
            }
            Some(Plan::Stop { name, point: planned, left }) if *planned == point => {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                *left = left.saturating_sub(1);
                if *left > 0 {
                    return Ok(());
                }
                // The lock stays held, so any other thread that comes here stops as well.
                eprintln!("failpoint {name}");
                loop {
                    std::thread::sleep(Duration::from_secs(3_600));
                }
            }
            Some(Plan::Freeze { name, point: planned, left }) if *planned == point => {
                if std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner)) {
                    eprintln!("failpoint {name}");
                    _ = std::process::Command::new("sh").args(["-c", STOP_PARENT]).status();
                }
                Ok(())
            }
            Some(Plan::Stop { .. } | Plan::Freeze { .. }) => Ok(()),
        }
    }
}
