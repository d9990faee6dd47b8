//! The long-lived things that handlers and workers share. Built once in `app`; nothing in it changes but what says so.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::Service;
use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::Twilio;
use crate::clock::Clock;
use crate::config::{CallConfig, DialConfig, TranscriptConfig};
use crate::events::Events;
use crate::model::phone::PhoneNumber;
use crate::operator::Operator;
use crate::store::{Job, JobKind, Store};
use crate::urls::Urls;
use crate::webhook_secret::WebhookSecrets;

/// So many calls are noted as answered at once: a flood of them must not pile up before the database.
pub const ASIDES: u32 = 64;

/// The context, shared.
pub type Shared = Arc<Context>;

/// Clients, settings and what they share.
#[derive(Debug)]
pub struct Context {
    /// Calls, recordings, transcripts, jobs.
    pub store: Store,
    /// The time by which work is planned.
    pub clock: Clock,
    /// The client of our account.
    pub twilio: Twilio,
    /// The client of our project.
    pub assemblyai: AssemblyAi,
    pub webhook_secrets: WebhookSecrets,
    /// Our account: callbacks of any other are refused.
    pub account_sid: String,
    /// Keys of callback signatures.
    pub auth_tokens: Vec<SecretString>,
    /// Caller id.
    pub phone_number: PhoneNumber,
    /// What every call is like.
    pub call: CallConfig,
    /// How much is dialled.
    pub dial: DialConfig,
    /// What every transcript is asked for with.
    pub transcript: TranscriptConfig,
    /// Where the vendors call back to.
    pub urls: Urls,
    /// What lets an operator in.
    pub operator: Operator,
    /// How long whoever dials is kept waiting for the call's SID.
    pub patience: Duration,
    /// What this running program claims jobs as.
    pub owner: String,
    /// The jobs that are being run here; their leases are renewed.
    pub in_hand: Mutex<HashMap<(JobKind, String), Job>>,
    /// Told when a job may have become due.
    pub due: Notify,
    /// So many recordings are brought from Twilio to AssemblyAI at once.
    pub transfers: Semaphore,
    /// [`ASIDES`] calls at once are noted as answered while nobody waits for that.
    pub asides: Arc<Semaphore>,
    /// What has begun and must be seen to its end, whoever asked for it: a stop waits for it.
    pub under_way: TaskTracker,
    /// Told when the program is to stop: nobody is kept waiting from then on.
    pub stopping: CancellationToken,
    /// What changed.
    pub events: Events,
    /// Whether `BASE_URL` did not lead here when that was last tried. Changes as it is tried again.
    pub is_unreachable: AtomicBool,
    /// A sentence that every page shows, such as that no phone rings here.
    pub notice: Option<&'static str>,
}

impl Context {
    /// The vendors that refused our credentials when they were last asked.
    pub fn refusing(&self) -> impl Iterator<Item = Service> {
        let vendors =
            [(Service::Twilio, self.twilio.is_refused()), (Service::AssemblyAi, self.assemblyai.is_refused())];
        vendors.into_iter().filter(|(_, is_refused)| *is_refused).map(|(service, _)| service)
    }
}
