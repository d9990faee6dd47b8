//! The handle of an emulated Twilio: what tests set and read, and how the other files share the account.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use url::Url;

use super::account::{Account, Delivery, Outcome, SharedKey};
use super::encryption::PublicKey;
use super::rest_exception::RestException;
use crate::sandbox::control::Control;
use crate::sandbox::lock::lock;
use crate::sandbox::outgoing;
use crate::sandbox::pace::Pace;

/// An emulated Twilio. Clones share everything.
#[derive(Clone)]
pub struct Twilio {
    pub control: Control,
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    url: String,
    pub(super) pace: Pace,
    pub(super) http: reqwest::Client,
    account: Mutex<Account>,
    held: watch::Sender<BTreeSet<Stage>>,
}

/// A point at which calls and recordings can be held, see [`Twilio::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before a queued call rings.
    Ringing,
    /// Before a ringing call is answered, or found busy and the like.
    InProgress,
    /// Before an answered call ends on its own. Hanging up through the API does not wait.
    Completed,
    /// Before a recording in progress ends.
    RecordingProcessing,
    /// Before a recording that is being processed becomes `completed` or `absent`.
    RecordingCompleted,
}

impl Twilio {
    pub(super) fn new(url: String, pace: Pace) -> Self {
        let inner =
            Inner { url, pace, http: outgoing::client(), account: Mutex::default(), held: watch::Sender::default() };
        let control = Control::new(|status| RestException::of(status).json(), "");
        Self { control, inner: Arc::new(inner) }
    }

    /// Returns the base URL, such as `http://127.0.0.1:8001`.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Sets what happens to the next call, also if `<Dial>` makes it. Calls after it go as the phone book says.
    pub fn set_next_outcome(&self, outcome: Outcome) {
        self.change(|account| account.next_outcome = Some(outcome));
    }

    /// Sets the voice webhook of the account's number, which answers calls that are started from its page.
    ///
    /// # Panics
    /// If it is no URL.
    pub fn set_voice_url(&self, url: &str) {
        let url = Url::parse(url).expect("the address of a voice webhook");
        self.change(|account| account.voice_url = url.into());
    }

    /// Prices whatever has ended in this currency, now and from now on: without it, prices come two minutes after the end.
    pub fn price_calls(&self, currency: &'static str) {
        self.change(|account| account.prices_in = Some(currency));
    }

    /// Answers every request but `POST Calls` with 403 from now on, as for test credentials, with this code and sentence.
    pub fn refuse_all_but_calls(&self, refusal: Option<(u32, &'static str)>) {
        self.change(|account| account.refusal = refusal);
    }

    /// Encrypts new recordings from now on, with this public key in PEM.
    ///
    /// # Panics
    /// If it is no RSA key.
    pub fn encrypt_recordings(&self, public_key_sid: &str, pem: &str) {
        let key = PublicKey::new(public_key_sid, pem);
        self.change(|account| account.public_key = Some(key));
    }

    /// Signs requests from now on with this key, or with the auth token if there is none.
    pub fn sign_with(&self, key: Option<SharedKey>) {
        self.change(|account| account.shared_key = key);
    }

    /// Holds every call and recording that arrives at this stage.
    pub fn hold(&self, stage: Stage) {
        self.inner.held.send_modify(|held| {
            held.insert(stage);
        });
    }

    /// Ends [`hold`](Self::hold) for this stage.
    pub fn release(&self, stage: Stage) {
        self.inner.held.send_modify(|held| {
            held.remove(&stage);
        });
    }

    pub fn call_status(&self, sid: &str) -> Option<String> {
        self.account().call(sid).map(|call| call.status.to_owned())
    }

    pub fn recording_status(&self, sid: &str) -> Option<String> {
        self.account().recording(None, sid).map(|recording| recording.status.to_owned())
    }

    /// Returns the SIDs of a call's recordings, oldest first.
    pub fn recordings_of(&self, call_sid: &str) -> Vec<String> {
        self.account().recordings(Some(call_sid)).into_iter().map(|(_, recording)| recording.sid.clone()).collect()
    }

    /// Marks every new recording of the speech with its SID, see [`Audio::Marked`](super::Audio::Marked). The emulated
    /// AssemblyAI puts that SID at the end of the transcript.
    pub fn mark_recordings(&self) {
        self.change(|account| account.marks_recordings = true);
    }

    /// Counts the calls created through the API, also if the response was lost, by the `t` in the query of their `Url`
    /// (empty if there is none). Deleted calls count too.
    pub fn placed_per_token(&self) -> HashMap<String, u64> {
        self.account().placed.clone()
    }

    /// Returns the newest 1,000 callbacks that got a response or failed, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.account().deliveries.iter().cloned().collect()
    }

    /// Waits until every call has ended, every recording is processed and every callback has its response.
    pub async fn settled(&self) {
        self.control.until(|| (self.account().busy == 0).then_some(())).await;
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

    pub(super) fn set_call_status(&self, sid: &str, status: &'static str) {
        self.change(|account| account.call_mut(sid).map(|call| call.set_status(status)));
    }

    pub(super) async fn wait_while_held(&self, stage: Stage) {
        // This cannot fail: `self` keeps the sender.
        let _ = self.inner.held.subscribe().wait_for(|held| !held.contains(&stage)).await;
    }

    /// Runs a background task that [`Twilio::settled`] waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.change(|account| account.busy += 1);
        let busy = Busy(self.clone());
        tokio::spawn(async move {
            let _busy = busy;
            task.await;
        });
    }
}

/// Counts a background task until it ends, also if it panics.
struct Busy(Twilio);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|account| account.busy -= 1);
    }
}
