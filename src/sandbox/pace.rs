//! How long things take at the emulated vendors.

use std::time::Duration;

/// The delays of the emulated vendors.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a transcript stays queued.
    pub transcript_queued: Duration,
    /// How long a transcript is being processed.
    pub transcript_processing: Duration,
}

impl Pace {
    /// Slow enough for a person to watch.
    pub fn live() -> Self {
        Self { transcript_queued: Duration::from_millis(500), transcript_processing: Duration::from_secs(2) }
    }

    /// No delay anywhere, for tests.
    pub fn instant() -> Self {
        Self { transcript_queued: Duration::ZERO, transcript_processing: Duration::ZERO }
    }
}
