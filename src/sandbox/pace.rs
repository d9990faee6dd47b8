//! How fast the emulated vendors live: at a person's pace for `--sandbox`, without any waiting for tests.

use std::time::Duration;

/// How long each stage takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the request to the first ring.
    pub call_queued: Duration,
    /// From the first ring to the answer.
    pub call_ringing: Duration,
    /// How long Twilio's voice needs for one character.
    pub say_per_character: Duration,
    /// Whether speech, silence and pauses take their real time, and limits on a call's length hold.
    pub speech: bool,
    /// From the end of a recording to its file.
    pub recording_processing: Duration,
    /// How long a transcript waits for its turn.
    pub transcript_queued: Duration,
    /// How long a transcript is worked on.
    pub transcript_processing: Duration,
}

impl Pace {
    /// Slow enough to watch: a whole call takes about ten seconds.
    pub const fn live() -> Self {
        Self {
            call_queued: Duration::from_millis(500),
            call_ringing: Duration::from_secs(2),
            say_per_character: Duration::from_millis(60),
            speech: true,
            recording_processing: Duration::from_secs(1),
            transcript_queued: Duration::from_millis(500),
            transcript_processing: Duration::from_secs(2),
        }
    }

    /// Nothing waits for time to pass.
    pub const fn instant() -> Self {
        Self {
            call_queued: Duration::ZERO,
            call_ringing: Duration::ZERO,
            say_per_character: Duration::ZERO,
            speech: false,
            recording_processing: Duration::ZERO,
            transcript_queued: Duration::ZERO,
            transcript_processing: Duration::ZERO,
        }
    }
}

/// Lets a stage take its time. No time at all does not even visit the timer.
pub(super) async fn wait(stage: Duration) {
    if !stage.is_zero() {
        tokio::time::sleep(stage).await;
    }
}
