//! A job: one unit of background work, such as following a call. It has one row, by its kind and its subject.

/// What kind of work a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Follow a call until it and its recordings have ended. The subject is the call id.
    Call,
    /// Upload audio to AssemblyAI, submit it, and fetch the transcript. The subject is the order id.
    Transcript,
    /// Delete a call everywhere. The subject is the call id.
    Deletion,
    /// Search for calls that Twilio has not reported to us. The subject is [`UNREPORTED`].
    Unreported,
    /// Replace a text in many transcripts. The subject is the id of the replacement.
    Replacement,
    /// Learn from the corrections of a transcript. The subject is the order id.
    Learning,
    /// Measure the transcripts of a trial, and make those current that somebody chose. The subject is the id of the trial.
    Trial,
    /// List the recordings of an import, and order their transcripts some at a time. The subject is the id of the import.
    Import,
    /// Send a file on to AssemblyAI that a client has sent in pieces, and order its transcript. The subject is the id of the
    /// spool that has it, a dot and the id of the file.
    File,
    /// Ask Twilio what a call has cost. The subject is the call id.
    Price,
    /// Count the terms of a changed vocabulary in a transcript. The subject is the order id.
    Counting,
    /// Copy the audio of a recording to the archive. The subject is the recording SID, or [`NOT_ARCHIVED`].
    Archive,
}

/// The subject of the one job of the kind [`JobKind::Unreported`], so that all instances share it.
pub const UNREPORTED: &str = "calls";

/// The subject of the job of the kind [`JobKind::Archive`] that opens those of recordings which have none.
pub const NOT_ARCHIVED: &str = "recordings";

/// Whether a job has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It runs, or will run when it is due.
    Open,
    Done,
    /// It runs again only if a person retries it.
    Failed,
}

/// How a job stands.
#[derive(Debug, Clone)]
pub struct JobState {
    pub status: JobStatus,
    /// Why it failed, or why it will run again.
    pub reason: Option<String>,
}

words! {
    JobKind:
    Call = "call",
    Transcript = "transcript",
    Deletion = "deletion",
    Unreported = "unreported",
    Replacement = "replacement",
    Learning = "learning",
    Trial = "trial",
    Import = "import",
    File = "file",
    Price = "price",
    Counting = "counting",
    Archive = "archive",
}

words! {
    JobStatus:
    Open = "open",
    Done = "done",
    Failed = "failed",
}

impl JobState {
    pub fn is_open(&self) -> bool {
        self.status == JobStatus::Open
    }
}
