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

/// The state of a recording, in Twilio's words. It moves forward only, by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingState {
    /// Somebody is being recorded.
    InProgress,
    /// Recording will go on.
    Paused,
    /// Recording is over.
    Stopped,
    /// The file is being made.
    Processing,
    /// The audio is there.
    Completed,
    /// There is no audio.
    Absent,
    /// Making the file failed.
    Failed,
    /// The audio was removed at Twilio.
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

    /// Twilio's word.
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

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// States follow each other by rank.
    pub fn rank(self) -> i64 {
        match self {
            Self::InProgress | Self::Paused => 0,
            Self::Stopped | Self::Processing => 1,
            Self::Completed | Self::Absent | Self::Failed => 2,
            Self::Deleted => 3,
        }
    }

    /// Whether the audio may come.
    pub fn is_coming(self) -> bool {
        self.rank() < Self::Completed.rank()
    }
}

/// A recording as it is stored.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Twilio's.
    pub sid: RecordingSid,
    /// The call it was made in.
    pub call: CallId,
    /// Where it is.
    pub state: RecordingState,
    /// Whole seconds, once it is known.
    pub duration_seconds: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
    /// What made it, such as `RecordVerb`.
    pub source: Option<String>,
    /// Why there is no audio.
    pub error_code: Option<i64>,
}
