//! Twilio's Voice API, emulated: a REST API that Twilio's own client libraries accept, calls that live as real ones do
//! (status callbacks, TwiML, recordings), and callbacks signed like Twilio's.
//!
//! Reading order: `api` answers requests, of which `create` is the most demanding one; `life` is what happens to a call
//! and `conversation` what is said in it, as `twiml` tells; `callback` speaks to the program. `state` is what the
//! account holds and `wire` how that looks outside; `page`, `media` and `refusal` are forms of answers. `seed` is for tests.
//!
//! Emulated is what a program needs that calls somebody, has that recorded and fetches the recording. Left out are,
//! among others: `Twiml`, `ApplicationSid` and `FallbackUrl` of a call, redirecting a live call, answering machine
//! detection, and the verbs that `twiml` does not know. Lists are filtered by `To`, `From` and `Status`, or by `CallSid`;
//! any other filter, such as `StartTime>=` or `DateCreated`, changes nothing.

mod api;
mod callback;
mod conversation;
mod create;
mod life;
mod media;
mod page;
mod refusal;
mod seed;
mod state;
#[cfg(test)]
mod tests;
mod twiml;
mod wire;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::Method;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use media::Audio;
pub use seed::{SeededCall, SeededRecording};

use self::refusal::Refusal;
use self::state::{Call, Plan, State};
use super::control::{Control, lock};
use super::outgoing;
use super::pace::Pace;

/// The account. Like all credentials here it is fixed, public, and opens the sandbox only.
pub const ACCOUNT_SID: &str = "AC5a9db0c05a9db0c05a9db0c05a9db0c0";
/// The password of the account, and the key that callbacks are signed with.
pub const AUTH_TOKEN: &str = "sandbox-twilio-auth-token";
/// An API key, which is accepted in place of the account as the user of Basic authentication.
pub const API_KEY_SID: &str = "SK5a9db0c05a9db0c05a9db0c05a9db0c0";
/// The password of the API key.
pub const API_KEY_SECRET: &str = "sandbox-twilio-api-secret";
/// The only number of the account; also the only caller of Twilio's test credentials.
pub const PHONE_NUMBER: &str = "+15005550006";

const PHONE_NUMBER_SID: &str = "PN5a9db0c05a9db0c05a9db0c05a9db0c0";
const API_VERSION: &str = "2010-04-01";

/// An emulated Twilio. Clones share everything.
#[derive(Clone)]
pub struct Twilio {
    /// Faults, the log of requests, and waiting.
    pub control: Control,
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    pace: Pace,
    http: reqwest::Client,
    state: Mutex<State>,
    /// Where calls have to wait.
    held: watch::Sender<BTreeSet<Stage>>,
}

/// What happens when a call rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Somebody answers, speaks when a recording begins, and presses `#`.
    #[default]
    Answered,
    /// Somebody answers, speaks, and hangs up.
    HangsUp,
    /// Somebody answers and makes no sound, so that `<Record>` has nothing to record.
    Silent,
    /// Somebody answers and presses `#` at once; the recording becomes `absent` with error 16101.
    TooShort,
    /// The line is busy.
    Busy,
    /// It rings, and nobody answers.
    NoAnswer,
    /// The number cannot be reached.
    Failed,
}

/// A place where calls can be made to wait, see [`Twilio::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before a queued call starts to ring.
    Ringing,
    /// Before a ringing call is answered, or found busy and the like.
    InProgress,
    /// Before an answered call ends on its own. Hanging up through the API does not wait.
    Completed,
    /// While a recording is in progress, before it ends.
    RecordingProcessing,
    /// Before a recording that is being processed becomes `completed` or `absent`.
    RecordingCompleted,
}

/// A callback that was sent, and what came of it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The address, with its query.
    pub url: String,
    /// The parameters, as form or in the query.
    pub params: Vec<(String, String)>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
}

impl Twilio {
    /// Serves on this listener until the runtime ends. Calls live at the pace given.
    pub fn start(listener: TcpListener, pace: Pace) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Inner {
            url: format!("http://{address}"),
            pace,
            http: outgoing::client(),
            state: Mutex::default(),
            held: watch::Sender::default(),
        };
        let control = Control::new(|status| Refusal::of(status).json(), "");
        let twilio = Self { control, inner: Arc::new(inner) };
        let router = api::router(&twilio);
        tokio::spawn(async move { axum::serve(listener, router).await });
        twilio
    }

    /// Where it serves, such as `http://127.0.0.1:8001`.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Somebody rings our number: Twilio posts to `voice_url` and obeys. Returns the call's SID.
    pub fn inbound_call(&self, voice_url: &str, from: &str) -> String {
        let sid = self.change(|state| {
            let mut call = Call::new(PHONE_NUMBER, from);
            call.inbound = true;
            call.outcome = std::mem::take(&mut state.next_outcome);
            call.plan = Plan { url: voice_url.to_owned(), method: Method::POST, ..Plan::default() };
            call.enter("ringing");
            let sid = call.sid.clone();
            state.add_call(call);
            sid
        });
        self.spawn(life::live(self.clone(), sid.clone()));
        sid
    }

    /// What happens to the next call. The ones after it are answered again.
    pub fn set_next_outcome(&self, outcome: Outcome) {
        self.change(|state| state.next_outcome = outcome);
    }

    /// Makes every call and recording that comes to this place wait there.
    pub fn hold(&self, stage: Stage) {
        self.inner.held.send_modify(|held| {
            held.insert(stage);
        });
    }

    /// Lets those that wait there go on, and those that come later pass.
    pub fn release(&self, stage: Stage) {
        self.inner.held.send_modify(|held| {
            held.remove(&stage);
        });
    }

    /// Twilio's word for the state of a call.
    pub fn call_status(&self, sid: &str) -> Option<String> {
        self.state().call(sid).map(|call| call.status.to_owned())
    }

    /// Twilio's word for the state of a recording.
    pub fn recording_status(&self, sid: &str) -> Option<String> {
        self.state().recording(None, sid).map(|recording| recording.status.to_owned())
    }

    /// The recordings of a call, oldest first.
    pub fn recordings_of(&self, call_sid: &str) -> Vec<String> {
        self.state().recordings(Some(call_sid)).into_iter().map(|(_, recording)| recording.sid.clone()).collect()
    }

    /// From now on every recording of the speech also says in its file which recording it is: [`Audio::Marked`]. The
    /// emulated AssemblyAI says it at the end of the transcript.
    pub fn mark_recordings(&self) {
        self.change(|state| state.marking = true);
    }

    /// SHA-256 of the audio as `.wav` answers with it when no channels are asked for, in lower-case hex.
    pub fn recording_sha256(&self, sid: &str) -> Option<String> {
        let recording = self.state().recording(None, sid).cloned()?;
        Some(recording.audio.sha256_of(sid, recording.channels))
    }

    /// The calls that were created through the API, whatever became of the answer, by the `t` in the query of their
    /// `Url`. Those without it are counted under the empty text. None is forgotten.
    pub fn placed_per_token(&self) -> HashMap<String, u64> {
        self.state().placed.clone()
    }

    /// The callbacks that were answered, or could not be sent, oldest first (the newest 1,000).
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.iter().cloned().collect()
    }

    /// Waits until every call is over, every recording processed and every callback answered.
    pub async fn settled(&self) {
        self.control.until(|| (self.state().busy == 0).then_some(())).await;
    }

    /// Sends a signed callback of the test's own making by POST; returns the status of the answer.
    pub async fn send_callback(&self, url: &str, params: &[(String, String)]) -> Option<u16> {
        self.deliver(&Method::POST, url, params).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    /// Changes the state and lets everybody know who waits for something to become true.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.control.changed();
        result
    }

    /// Runs something in the background that [`Twilio::settled`] waits for.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.change(|state| state.busy += 1);
        let done = Done(self.clone());
        tokio::spawn(async move {
            let _done = done;
            task.await;
        });
    }
}

/// Counts a background task off, also when it panics.
struct Done(Twilio);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.change(|state| state.busy -= 1);
    }
}
