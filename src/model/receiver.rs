//! Receivers of webhooks, and what is delivered to them.

use std::fmt;
use std::str::FromStr;

use super::BadId;

/// The most receivers that there may be.
pub const MOST_RECEIVERS: usize = 20;

/// Our id of a receiver: a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiverId(i64);

impl ReceiverId {
    pub fn number(self) -> i64 {
        self.0
    }
}

impl From<i64> for ReceiverId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ReceiverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReceiverId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Self).map_err(|_| BadId::new("the id of a receiver", "a number"))
    }
}

/// What a receiver is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// A call has ended, in whatever way.
    CallCompleted,
    RecordingCompleted,
    TranscriptCompleted,
    TranscriptFailed,
    TranscriptCorrected,
    /// All of it is checked by ear, or is no longer.
    TranscriptChecked,
    CallDeleted,
}

words! {
    EventType:
    CallCompleted = "call.completed",
    RecordingCompleted = "recording.completed",
    TranscriptCompleted = "transcript.completed",
    TranscriptFailed = "transcript.failed",
    TranscriptCorrected = "transcript.corrected",
    TranscriptChecked = "transcript.checked",
    CallDeleted = "call.deleted",
}

impl EventType {
    /// Whether it is about a transcript.
    pub fn is_of_transcript(self) -> bool {
        matches!(
            self,
            Self::TranscriptCompleted | Self::TranscriptFailed | Self::TranscriptCorrected | Self::TranscriptChecked
        )
    }
}

/// Where a receiver is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverSource {
    /// In `WEBHOOKS`.
    Setting,
    /// On the page, or by a client.
    Page,
}

words! {
    ReceiverSource:
    Setting = "setting",
    Page = "page",
}

/// Whether a receiver gets deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverState {
    Enabled,
    /// What happens waits until it is enabled again.
    Paused,
    /// What happens is not kept for it.
    Disabled,
    Removed,
}

words! {
    ReceiverState:
    Enabled = "enabled",
    Paused = "paused",
    Disabled = "disabled",
    Removed = "removed",
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is sent, or sent again, when it is due.
    Waiting,
    Delivered,
    /// It is not sent again automatically.
    Failed,
}

words! {
    DeliveryState:
    Waiting = "waiting",
    Delivered = "delivered",
    Failed = "failed",
}
