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
}

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

impl JobKind {
    const ALL: [Self; 3] = [Self::Call, Self::Transcript, Self::Deletion];

    /// As it is stored and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Transcript => "transcript",
            Self::Deletion => "deletion",
        }
    }

    /// The kind that is stored as this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl JobStatus {
    const ALL: [Self; 3] = [Self::Open, Self::Done, Self::Failed];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The status that is stored as this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl JobState {
    pub fn is_open(&self) -> bool {
        self.status == JobStatus::Open
    }
}
