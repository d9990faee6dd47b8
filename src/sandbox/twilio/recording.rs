//! Recording a call: from the first sample to the last recording status callback.

use std::time::Duration;

use super::account::Recording;
use super::callback::Callback;
use super::emulator::{Stage, Twilio};
use crate::clock;
use crate::sandbox::pace::wait;

/// Twilio's error code for a recording that is too short.
pub(super) const TOO_SHORT: u32 = 16101;

impl Twilio {
    /// Starts a recording; returns its SID.
    pub(super) fn start_recording(&self, new: Recording) -> String {
        let recording = self.change(|account| account.add_recording(new));
        self.report_recording(&recording);
        recording.sid
    }

    /// Ends a recording. After processing it is `completed`, or `absent` if it is empty.
    pub(super) fn end_recording(&self, sid: &str, duration: Duration) {
        self.change(|account| {
            if let Some(recording) = account.recording_mut(sid) {
                recording.duration = duration;
                recording.set_status("processing");
            }
        });
        let (twilio, sid) = (self.clone(), sid.to_owned());
        self.spawn(async move {
            wait(twilio.inner.pace.recording_processing).await;
            twilio.wait_while_held(Stage::RecordingCompleted).await;
            let recording = twilio.change(|account| {
                let recording = account.recording_mut(&sid)?;
                recording.error_code = duration.is_zero().then_some(TOO_SHORT);
                recording.set_status(if duration.is_zero() { "absent" } else { "completed" });
                Some(recording.clone())
            });
            // A request may have deleted it meanwhile.
            if let Some(recording) = recording {
                twilio.report_recording(&recording);
            }
        });
    }

    /// Ends the recordings of a call that are still in progress and that `matches` names.
    pub(super) fn end_recordings(&self, call_sid: &str, matches: impl Fn(&Recording) -> bool) {
        let is_open = |recording: &Recording| recording.status == "in-progress" && matches(recording);
        let recordings: Vec<Recording> =
            self.account().recordings(Some(call_sid)).into_iter().map(|(_, recording)| recording.clone()).collect();
        for recording in recordings.into_iter().filter(is_open) {
            self.end_recording(&recording.sid, self.length_so_far(&recording));
        }
    }

    /// Returns how long a recording in progress would be if it ended now.
    pub(super) fn length_so_far(&self, recording: &Recording) -> Duration {
        let passed = clock::now().duration_since(recording.created).unsigned_abs();
        let length = recording.audio.duration();
        if self.inner.pace.speech { passed.min(length) } else { length }
    }

    /// Sends the recording status callback for the current status, if the program wants it.
    fn report_recording(&self, recording: &Recording) {
        let Some(hook) = recording.status_callback.clone().filter(|hook| hook.wants(recording.status)) else { return };
        let callback = Callback { method: hook.method, url: hook.url, params: recording.params(self.url()) };
        let twilio = self.clone();
        self.spawn(async move { twilio.report(&callback).await });
    }
}
