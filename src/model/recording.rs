//! A recording: its id and the states it moves through.

use std::fmt;
use std::str::FromStr;

use super::call::CallId;
use super::{BadId, is_sid};

/// `RE` and 32 hex digits. Source: <https://www.twilio.com/docs/voice/api/recording>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordingSid(String);

impl RecordingSid {
    /// The SID as Twilio writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordingSid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if is_sid("RE", text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("a recording SID", "RE and 32 hex digits"))
        }
    }
}

impl fmt::Display for RecordingSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

impl RecordingState {
    const ALL: [Self; 8] = [
        Self::InProgress,
        Self::Paused,
        Self::Stopped,
        Self::Processing,
        Self::Completed,
        Self::Absent,
        Self::Failed,
        Self::Deleted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Absent => "absent",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }

    /// Returns `None` for an unknown word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

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
}
