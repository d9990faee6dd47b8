//! Calls and recordings that tests put there ready-made, in any state.

use std::time::Duration;

use super::state::{self, Call, Recording};
use super::{Audio, PHONE_NUMBER, Twilio};
use crate::sandbox::speech;

/// A call for [`Twilio::add_call`].
#[derive(Debug, Clone)]
pub struct SeededCall {
    /// The number called.
    pub to: String,
    /// Twilio's word.
    pub status: &'static str,
    /// How long it took, if it took place.
    pub duration: Option<Duration>,
}

/// A recording for [`Twilio::add_recording`].
#[derive(Debug, Clone)]
pub struct SeededRecording {
    /// The call, which need not exist.
    pub call_sid: String,
    /// Twilio's word.
    pub status: &'static str,
    /// One or two.
    pub channels: u8,
    /// Twilio's word for what made it.
    pub source: &'static str,
    /// How long the resource says it is.
    pub duration: Duration,
    /// What it sounds like.
    pub audio: Audio,
    /// Why it is absent.
    pub error_code: Option<u32>,
}

impl Default for SeededCall {
    fn default() -> Self {
        Self { to: "+14155551234".to_owned(), status: "completed", duration: Some(Duration::from_secs(8)) }
    }
}

impl Default for SeededRecording {
    fn default() -> Self {
        Self {
            call_sid: state::sid("CA"),
            status: "completed",
            channels: 1,
            source: "RecordVerb",
            duration: speech::duration(),
            audio: Audio::Speech,
            error_code: None,
        }
    }
}

impl Twilio {
    /// Puts a call there, with no life of its own; returns its SID.
    pub fn add_call(&self, seeded: SeededCall) -> String {
        self.change(|state| {
            let mut call = Call::new(&seeded.to, PHONE_NUMBER);
            if seeded.duration.is_some() {
                call.enter("in-progress");
            }
            call.enter(seeded.status);
            call.talked = seeded.duration.unwrap_or_default();
            let sid = call.sid.clone();
            state.add_call(call);
            sid
        })
    }

    /// Puts a recording there; returns its SID.
    pub fn add_recording(&self, seeded: SeededRecording) -> String {
        let SeededRecording { call_sid, status, channels, source, duration, audio, error_code } = seeded;
        let new = Recording::new(&call_sid);
        let recording = Recording { status, channels, source, duration, audio, error_code, ..new };
        self.change(|state| state.add_recording(recording)).sid
    }

    /// Tells an address how this recording stands, in the words in which Twilio itself would; returns the status of the
    /// answer. It is sent once, whatever becomes of other callbacks.
    ///
    /// # Panics
    /// If there is no such recording.
    pub async fn send_recording_callback(&self, sid: &str, url: &str) -> Option<u16> {
        let params = self.state().recording(None, sid).expect("a recording that is there").params(self.url());
        self.send_callback(url, &params).await
    }
}
