//! The long-lived things that handlers share. Built once in `app`; nothing in it changes but what says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::Twilio;
use crate::config::{CallConfig, TranscriptConfig};
use crate::events::Events;
use crate::model::call::CallSid;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::urls::Urls;

/// The context, shared.
pub type Shared = Arc<Context>;

/// Clients, settings and what they share.
#[derive(Debug)]
pub struct Context {
    /// The client of our account.
    pub twilio: Twilio,
    /// The client of our project.
    pub assemblyai: AssemblyAi,
    /// Our account: callbacks of any other are refused.
    pub account_sid: String,
    /// Keys of callback signatures.
    pub auth_tokens: Vec<SecretString>,
    /// Caller id.
    pub phone_number: PhoneNumber,
    /// What every call is like.
    pub call: CallConfig,
    /// What every transcript is asked for with.
    pub transcript: TranscriptConfig,
    /// Where the vendors call back to.
    pub urls: Urls,
    /// What lets an operator in from elsewhere.
    pub operator_token: Option<SecretString>,
    /// Key terms that were given with a call.
    pub call_keyterms: CallKeyterms,
    /// Requests that cost money and are under way: a stop waits for their answers.
    pub paid: TaskTracker,
    /// Told when the program is to stop: nobody is kept waiting from then on.
    pub stopping: CancellationToken,
    /// What changed.
    pub events: Events,
    /// A sentence that every page shows, such as that no phone rings here.
    pub notice: Option<&'static str>,
}

/// Key terms that were given with a call, for its transcript later. In memory, for the newest calls.
#[derive(Debug, Default)]
pub struct CallKeyterms {
    newest_last: Mutex<VecDeque<(CallSid, Keyterms)>>,
}

impl CallKeyterms {
    /// So many calls are remembered.
    const CALLS: usize = 1_000;

    /// Keeps the key terms of a call.
    pub fn keep(&self, call: CallSid, keyterms: Keyterms) {
        if keyterms.is_empty() {
            return;
        }
        let mut calls = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == Self::CALLS {
            calls.pop_front();
        }
        calls.push_back((call, keyterms));
    }

    /// The key terms that were given with this call.
    pub fn of(&self, call_sid: &str) -> Keyterms {
        let calls = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        let found = calls.iter().rev().find(|(call, _)| call.as_str() == call_sid);
        found.map(|(_, keyterms)| keyterms.clone()).unwrap_or_default()
    }
}
