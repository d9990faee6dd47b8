//! Calls and recordings that tests add ready-made, in any state.

use std::time::Duration;

use jiff::Timestamp;

use super::account::{self, Call, Recording};
use super::audio::Audio;
use super::credentials::PHONE_NUMBER;
use super::emulator::Twilio;
use crate::sandbox::speech;

/// A call for [`Twilio::add_call`].
#[derive(Debug, Clone)]
pub struct SeededCall {
    pub to: String,
    pub from: String,
    pub inbound: bool,
    pub status: &'static str,
    /// `None` for a call that was not answered.
    pub duration: Option<Duration>,
    /// When it began, if that is not now.
    pub began: Option<Timestamp>,
}

/// A recording for [`Twilio::add_recording`].
#[derive(Debug, Clone)]
pub struct SeededRecording {
    /// The call need not exist.
    pub call_sid: String,
    pub status: &'static str,
    pub channels: u8,
    pub source: &'static str,
    /// As the resource states it; the audio may differ.
    pub duration: Duration,
    pub audio: Audio,
    pub error_code: Option<u32>,
    /// When it was made, if that is not now.
    pub made: Option<Timestamp>,
}

impl Default for SeededCall {
    fn default() -> Self {
        Self {
            to: "+14155551234".to_owned(),
            from: PHONE_NUMBER.to_owned(),
            inbound: false,
            status: "completed",
            duration: Some(Duration::from_secs(8)),
            began: None,
        }
    }
}

impl Default for SeededRecording {
    fn default() -> Self {
        Self {
            call_sid: account::sid("CA"),
            status: "completed",
            channels: 1,
            source: "RecordVerb",
            duration: speech::duration(),
            audio: Audio::Speech,
            error_code: None,
            made: None,
        }
    }
}

impl Twilio {
    /// Adds a call to which nothing will happen; returns its SID.
    pub fn add_call(&self, seeded: SeededCall) -> String {
        self.change(|account| {
            let mut call = Call::new(&seeded.to, &seeded.from);
            call.inbound = seeded.inbound;
            if seeded.duration.is_some() {
                call.set_status("in-progress");
            }
            call.set_status(seeded.status);
            call.talk_time = seeded.duration.unwrap_or_default();
            if let Some(began) = seeded.began {
                call.created = began;
                call.started = call.started.map(|_| began);
                call.answered = call.answered.map(|_| began);
                call.ended = call.ended.map(|_| began + call.talk_time);
            }
            let sid = call.sid.clone();
            account.add_call(call);
            sid
        })
    }

    /// Adds a recording; returns its SID.
    pub fn add_recording(&self, seeded: SeededRecording) -> String {
        let SeededRecording { call_sid, status, channels, source, duration, audio, error_code, made } = seeded;
        let new = Recording::new(&call_sid);
        let created = made.unwrap_or(new.created);
        let recording = Recording { status, channels, source, duration, audio, error_code, created, ..new };
        self.change(|account| account.add_recording(recording)).sid
    }

    /// Sends a recording status callback about this recording, once, however other callbacks are delivered. Returns the
    /// status of the response.
    ///
    /// # Panics
    /// If there is no such recording.
    pub async fn send_recording_callback(&self, sid: &str, url: &str) -> Option<u16> {
        let params = self.account().recording(None, sid).expect("the recording exists").params(self.url());
        self.send_callback(url, &params).await
    }
}
