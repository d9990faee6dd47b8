//! The handle of an emulated AssemblyAI: what tests set and read, and how the other files share the account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;

use super::account::Account;
use super::error::{ErrorResponse, bad_request, error_body};
use super::transcript::Transcript;
use super::upload::{self, Upload};
use crate::sandbox::control::Control;
use crate::sandbox::lock::lock;
use crate::sandbox::outgoing;
use crate::sandbox::pace::Pace;

/// An emulated AssemblyAI. Clones share everything.
#[derive(Clone)]
pub struct AssemblyAi {
    pub control: Control,
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    url: String,
    pub(super) pace: Pace,
    pub(super) http: reqwest::Client,
    account: Mutex<Account>,
    held: watch::Sender<bool>,
}

impl AssemblyAi {
    pub(super) fn new(url: String, pace: Pace) -> Self {
        let inner =
            Inner { url, pace, http: outgoing::client(), account: Mutex::default(), held: watch::Sender::new(false) };
        Self { control: Control::new(error_body, upload::PATH), inner: Arc::new(inner) }
    }

    /// Returns the base URL, such as `http://127.0.0.1:8002`.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Returns all uploads, oldest first.
    pub fn uploads(&self) -> Vec<Upload> {
        self.account().uploads.iter().map(|(_, upload)| upload.clone()).collect()
    }

    /// Loses the audio of every upload, as AssemblyAI does after a day or two: their transcripts end in a download error,
    /// those not completed yet and those still to come.
    pub fn forget_uploads(&self) {
        self.change(|account| account.uploads.values_mut().for_each(|upload| upload.is_lost = true));
    }

    /// Counts the transcripts accepted, also if the response was lost, by the recording SID in the audio, see
    /// [`Upload::recording`]. Unmarked audio does not count; deleted transcripts do.
    pub fn accepted_per_recording(&self) -> HashMap<String, u64> {
        self.account().accepted_per_recording.clone()
    }

    /// Counts the transcripts accepted, also if the response was lost, by `audio_url`. Deleted transcripts count too.
    pub fn accepted_per_audio_url(&self) -> HashMap<String, u64> {
        self.account().accepted_per_audio_url.clone()
    }

    /// Returns all transcripts as `GET /v2/transcript/{id}` does, oldest first.
    pub fn transcripts(&self) -> Vec<Value> {
        self.account().transcripts.iter().map(|(_, transcript)| transcript.json()).collect()
    }

    /// Holds every transcript at `processing`.
    pub fn hold(&self) {
        self.inner.held.send_replace(true);
        self.control.changed();
    }

    /// Ends [`hold`](Self::hold).
    pub fn release(&self) {
        self.inner.held.send_replace(false);
    }

    /// Waits until every transcript has its final status and its webhook is done, or until all are held.
    pub async fn settled(&self) {
        let is_held = || *self.inner.held.borrow();
        self.control.until(|| (is_held() || self.account().busy == 0).then_some(())).await;
    }

    /// Lets the next transcript fail with this error. Further calls apply to the transcripts after it.
    pub fn fail_next_transcript(&self, error: &str) {
        self.account().planned_errors.push_back(error.to_owned());
    }

    /// Refuses every later transcript that asks for this speech model.
    pub fn retire_model(&self, model: &str) {
        self.account().retired_models.push(model.to_owned());
    }

    pub(super) async fn wait_while_held(&self) {
        // This cannot fail: `self` keeps the sender.
        let _ = self.inner.held.subscribe().wait_for(|held| !held).await;
    }

    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.inner.account)
    }

    /// Changes the account and wakes [`Control::until`].
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let result = change(&mut self.account());
        self.control.changed();
        result
    }

    /// Reads or changes the transcript with this id, without waking [`Control::until`].
    pub(super) fn with_transcript<T>(
        &self,
        id: &str,
        act: impl FnOnce(&mut Transcript) -> T,
    ) -> Result<T, ErrorResponse> {
        let unknown = || bad_request("Transcript lookup error, transcript id not found");
        self.account().transcripts.get_mut(id).map(act).ok_or_else(unknown)
    }
}
