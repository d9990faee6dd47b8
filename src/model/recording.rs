//! A recording: its id and the states it moves through.

use super::call::CallId;
use super::dollars::Dollars;
use super::{BadId, is_vendors_id, new_id};

/// `RE` and 32 hex digits, or another API's UUID. Source: <https://www.twilio.com/docs/voice/api/recording>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordingSid(String);

impl RecordingSid {
    /// A new id for the audio of an upload, of the same form.
    pub fn new(at: i64) -> Self {
        Self(format!("RE{}", new_id(at)))
    }
}

text_of!(RecordingSid, |text| is_vendors_id("RE", text), "a recording SID", "RE and 32 hex digits");

/// The state of a recording, in Twilio's words. It moves forward only, by [`rank`](Self::rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingState {
    InProgress,
    Paused,
    /// The recording is over; Twilio has not yet made the file.
    Stopped,
    /// Twilio is making the file.
    Processing,
    /// The audio is available.
    Completed,
    /// The recording has no audio.
    Absent,
    /// Twilio could not make the file.
    Failed,
    /// The audio was deleted at Twilio.
    Deleted,
}

words! {
    RecordingState:
    InProgress = "in-progress",
    Paused = "paused",
    Stopped = "stopped",
    Processing = "processing",
    Completed = "completed",
    Absent = "absent",
    Failed = "failed",
    Deleted = "deleted",
}

/// The [source](Recording::source) of the recording of an upload, which Twilio does not have.
pub const UPLOAD: &str = "upload";

impl RecordingState {
    /// A recording moves only to a state of higher rank.
    pub fn rank(self) -> i64 {
        match self {
            Self::InProgress | Self::Paused => 0,
            Self::Stopped | Self::Processing => 1,
            Self::Completed | Self::Absent | Self::Failed => 2,
            Self::Deleted => 3,
        }
    }

    /// Whether the audio may still become available.
    pub fn is_coming(self) -> bool {
        self.rank() < Self::Completed.rank()
    }
}

#[derive(Debug, Clone)]
pub struct Recording {
    pub sid: RecordingSid,
    pub call: CallId,
    pub state: RecordingState,
    pub duration_seconds: Option<i64>,
    pub channels: Option<i64>,
    /// What made the recording, such as `RecordVerb`.
    pub source: Option<String>,
    /// Why the recording has no audio: a code of Twilio.
    pub error_code: Option<i64>,
    /// What the audio of an upload is found by if it is sent again: a URL, or `sha256` and the checksum of a file.
    pub audio: Option<String>,
    /// The budget of the day that did not allow its transcript.
    pub over_budget: Option<Dollars>,
}

impl Recording {
    /// Whether its audio was uploaded, so that Twilio does not have it.
    pub fn is_upload(&self) -> bool {
        self.source.as_deref() == Some(UPLOAD)
    }

    /// The URL of an upload that was no file. AssemblyAI fetches it there.
    pub fn url(&self) -> Option<&str> {
        self.audio.as_deref().filter(|audio| checksum_in(audio).is_none())
    }

    /// The SHA-256 of an uploaded file, in hex.
    pub fn checksum(&self) -> Option<&str> {
        self.audio.as_deref().and_then(checksum_in)
    }
}

/// Names an uploaded file by its SHA-256.
pub fn audio_of_file(checksum: &str) -> String {
    format!("{FILE}{checksum}")
}

const FILE: &str = "sha256 ";

fn checksum_in(audio: &str) -> Option<&str> {
    audio.strip_prefix(FILE)
}
