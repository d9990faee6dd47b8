//! How long each stage of a call or transcript takes: real time for `--sandbox`, no time at all for tests.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// From the request to the first ring.
    pub call_queued: Duration,
    /// From the first ring to the answer.
    pub call_ringing: Duration,
    /// How long `<Say>` takes for one character.
    pub say_per_character: Duration,
    /// Whether speech, silence and pauses take real time, and limits on a call's length apply.
    pub speech: bool,
    /// From the end of a recording until its audio can be fetched.
    pub recording_processing: Duration,
    pub transcript_queued: Duration,
    pub transcript_processing: Duration,
}

impl Pace {
    /// Slow enough to watch. A message takes about ten seconds, a conversation of half a minute less than forty.
    pub fn live() -> Self {
        Self {
            call_queued: Duration::from_millis(500),
            call_ringing: Duration::from_millis(700),
            say_per_character: Duration::from_millis(20),
            speech: true,
            recording_processing: Duration::from_millis(500),
            transcript_queued: Duration::from_millis(300),
            transcript_processing: Duration::from_secs(1),
        }
    }

    /// No stage waits.
    pub fn instant() -> Self {
        Self::default()
    }
}

/// Waits for the length of a stage. Zero returns at once, without the timer's usual minimum of a millisecond.
pub(super) async fn wait(stage: Duration) {
    if !stage.is_zero() {
        tokio::time::sleep(stage).await;
    }
}
