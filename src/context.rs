//! The long-lived values that handlers and workers share. `app` builds them once.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accuracy::resample::Memo;
use crate::auth::Auth;
use crate::clients::archive::Archive;
use crate::clients::assemblyai::{AssemblyAi, models};
use crate::clients::json::{self, Json};
use crate::clients::twilio::{Recording, Twilio};
use crate::clients::webhook::Webhooks;
use crate::clients::{Refusal, Service};
use crate::clock::Clock;
use crate::config::{CallConfig, DialConfig, TranscriptConfig};
use crate::events::Events;
use crate::exposure::Exposure;
use crate::metrics::Metrics;
use crate::model::call::CallSid;
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::leg::LegUpdate;
use crate::model::phone::PhoneNumber;
use crate::model::recording::RecordingSid;
use crate::model::transcript::OrderId;
use crate::repeats::Repeats;
use crate::spool::Spool;
use crate::store::{Job, Store};
use crate::urls::Urls;
use crate::webhook_secret::WebhookSecrets;

/// Calls that may be stored as answered at the same time, so that a flood of requests cannot pile up at the database.
pub const ANSWERED_SLOTS: u32 = 64;

/// Reports that are [remembered](Missed) at most: what more come in is a flood.
const MOST_MISSED: usize = 1_000;

/// How long the pages say that a callback was refused because of its shared key, in milliseconds: a day, within which
/// somebody looks. A stranger can cause it, too, so it does not stay forever.
const SHARED_KEY_NOTICE: i64 = 24 * 60 * 60 * 1_000;

pub type Shared = Arc<Context>;

/// The transcripts of a day that AssemblyAI has listed.
#[derive(Debug)]
pub struct ListedDay {
    /// When reading it began and ended, in milliseconds since 1970.
    pub begun_at: i64,
    pub ended_at: i64,
    /// Their ids, by the URL of their audio.
    pub ids: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
pub struct Context {
    pub store: Store,
    /// Files that clients send in pieces.
    pub spool: Spool,
    pub clock: Clock,
    pub twilio: Twilio,
    pub webhooks: Webhooks,
    /// Where recordings are kept, too.
    pub archive: Option<Archive>,
    /// Until when the archive is left alone because it has failed, in milliseconds since 1970.
    pub archive_fails_until: AtomicI64,
    /// The last recording that was looked at for the archive since the start.
    pub archive_looked_up_to: Mutex<String>,
    pub assemblyai: AssemblyAi,
    /// The transcripts that AssemblyAI has listed of some days, a moment ago.
    pub assemblyai_days: tokio::sync::Mutex<HashMap<Date, ListedDay>>,
    pub webhook_secrets: WebhookSecrets,
    /// Our Twilio account. Callbacks that name any other are refused.
    pub account_sid: String,
    /// The keys that Twilio may have signed a callback with.
    pub auth_tokens: Vec<SecretString>,
    /// Webhook shared keys by their ids: what Twilio signs with instead if its configuration of webhooks says so.
    pub shared_keys: HashMap<String, SecretString>,
    /// When a callback was last refused because of its shared key, in milliseconds since 1970; 0 for never.
    pub shared_key_refused_at: AtomicI64,
    /// The caller id.
    pub phone_number: PhoneNumber,
    pub call: CallConfig,
    pub dial: DialConfig,
    pub transcript: TranscriptConfig,
    /// The key terms of all settings, as last read.
    pub keyterms: Mutex<Keyterms>,
    pub models: Models,
    pub urls: Urls,
    pub auth: Auth,
    pub exposure: Exposure,
    /// How long a client that dials waits for the call SID.
    pub dial_timeout: Duration,
    /// The name under which this process claims jobs.
    pub instance: String,
    /// The jobs that this process runs, whose leases it renews.
    pub leased: Mutex<HashMap<(JobKind, String), Job>>,
    /// Reports that could not be stored.
    pub missed: Mutex<VecDeque<Missed>>,
    /// Notified when a job may have become due.
    pub job_ready: Notify,
    /// Orders that AssemblyAI says it has finished. Their jobs become due when the next jobs are claimed, and are due anyway
    /// later if this is lost.
    pub finished: Mutex<HashSet<OrderId>>,
    /// What Twilio has just said of recordings whose audio is about to be fetched, and when, in milliseconds since 1970.
    pub described: Mutex<HashMap<RecordingSid, (i64, Recording)>>,
    /// Permits to stream a recording from Twilio to AssemblyAI.
    pub transfers: Semaphore,
    /// Permits of imports to take one of these: fewer, so that calls which are recorded meanwhile find one.
    pub imported_transfers: Semaphore,
    /// Permits to copy a recording to the archive.
    pub archiving: Semaphore,
    /// The turn to read a stored transcript that is large: its words take several times the memory of its text.
    pub reading: Semaphore,
    /// [`ANSWERED_SLOTS`] permits to store a call as answered while no client waits for it.
    pub answered_slots: Arc<Semaphore>,
    /// Tasks that must come to their end whether or not a client still waits. A graceful stop waits for them.
    pub tasks: TaskTracker,
    /// Canceled when the program stops: from then on no client is kept waiting.
    pub stopping: CancellationToken,
    pub events: Events,
    /// What strangers cause, for the log.
    pub repeats: Repeats,
    /// What was wrong with the settings when both vendors were asked at the start, for the pages.
    pub wrong_settings: Mutex<Vec<(Service, String)>>,
    /// Confidence intervals of `/accuracy`.
    pub intervals: Memo,
    /// A sentence that every page shows, such as that no phone rings in the sandbox.
    pub notice: Option<&'static str>,
    pub metrics: Metrics,
}

/// What is remembered of a report of Twilio that could not be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// The call that it is about, and that Twilio is asked about.
    Call(CallSid),
    /// Whether a leg was connected with its call, which Twilio tells once.
    Leg(LegUpdate),
}

/// How long orders go around a list of speech models that AssemblyAI has refused. Then one order asks for it again.
const DETOUR: i64 = 6 * 60 * 60 * 1_000;

/// After this many refusals in a row, orders go around a list of speech models. One refusal may have been about something
/// else.
const REFUSALS: u32 = 2;

/// The most lists of speech models that have a detour: clients may ask for any.
const MOST_DETOURS: usize = 100;

/// The speech models of the settings, and which of them AssemblyAI refused when they were last ordered.
#[derive(Debug)]
pub struct Models {
    listed: Vec<String>,
    refused: Mutex<BTreeSet<String>>,
    /// By the list that was ordered.
    detours: Mutex<HashMap<Vec<String>, Detour>>,
}

/// What an order continues with whose list of speech models AssemblyAI refuses.
#[derive(Debug, Clone)]
pub struct Detour {
    /// Those of the list that were refused.
    pub refused: Vec<String>,
    /// The list to order with instead.
    pub instead: Vec<String>,
    /// How often it was refused in a row.
    times: u32,
    /// When it was last refused, in milliseconds since 1970.
    refused_at: i64,
}

impl Models {
    /// `refused` are those that an earlier run of the program has noted.
    pub fn new(listed: Vec<String>, refused: Vec<String>) -> Self {
        let refused = refused.into_iter().filter(|model| listed.contains(model)).collect();
        Self { refused: Mutex::new(refused), listed, detours: Mutex::default() }
    }

    /// Those of these models that the settings list.
    pub fn listed_of(&self, models: &[String]) -> Vec<String> {
        models.iter().filter(|model| self.listed.contains(model)).cloned().collect()
    }

    /// Those of these models that were refused.
    pub fn refused_of(&self, models: &[String]) -> Vec<String> {
        let refused = self.refused();
        models.iter().filter(|model| refused.contains(*model)).cloned().collect()
    }

    /// Notes that AssemblyAI refused some models of an order with this list, and what it is ordered with instead.
    pub fn refuse(&self, sent: &[String], refused: &[String], instead: &[String], now: i64) {
        self.refused().extend(self.listed_of(refused));
        let mut detours = self.detours();
        if detours.len() >= MOST_DETOURS {
            detours.clear();
        }
        let times = detours.get(sent).map_or(0, |detour| detour.times).saturating_add(1);
        let detour = Detour { refused: refused.to_vec(), instead: instead.to_vec(), times, refused_at: now };
        detours.insert(sent.to_vec(), detour);
    }

    /// Notes that AssemblyAI accepted an order with this list.
    pub fn accept(&self, sent: &[String]) {
        self.refused().retain(|model| !sent.contains(model));
        self.detours().remove(sent);
    }

    /// Returns what to order with instead of this list, unless it is time to ask for it again.
    pub fn detour(&self, wanted: &[String], now: i64) -> Option<Detour> {
        let is_fresh = |at: i64| (0..DETOUR).contains(&(now - at));
        let detours = self.detours();
        detours.get(wanted).filter(|detour| detour.times >= REFUSALS && is_fresh(detour.refused_at)).cloned()
    }

    /// A sentence about each model of the settings that AssemblyAI refuses or is about to.
    pub fn warnings(&self) -> Vec<String> {
        const CHANGE: &str = "change ASSEMBLYAI_SPEECH_MODELS, or the speech_models of TRANSCRIPT_OPTIONS.";
        let refused = self.refused();
        let warning = |model: &String| {
            if refused.contains(model) {
                Some(format!("AssemblyAI refuses the speech model {model}, and orders continue with others: {CHANGE}"))
            } else if models::is_outdated(model) {
                Some(format!("AssemblyAI has deprecated the speech model {model}: {CHANGE}"))
            } else {
                None
            }
        };
        self.listed.iter().filter_map(warning).collect()
    }

    fn detours(&self) -> MutexGuard<'_, HashMap<Vec<String>, Detour>> {
        self.detours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Waits for the turn to read a transcript whose JSON is large. Any other needs none.
    pub async fn turn_to_read(&self, json: &Json) -> Option<SemaphorePermit<'_>> {
        self.turn_if(json.is_large()).await
    }

    /// Waits for the turn to show the words of transcripts with this many bytes of JSON in all. Few words need none.
    pub async fn turn_to_show(&self, json: usize) -> Option<SemaphorePermit<'_>> {
        self.turn_if(json > json::SMALL).await
    }

    async fn turn_if(&self, is_large: bool) -> Option<SemaphorePermit<'_>> {
        // Nobody closes the semaphore.
        if is_large { self.reading.acquire().await.ok() } else { None }
    }

    /// Remembers a report until it can be stored: Twilio does not repeat all that it reports.
    pub fn remember(&self, missed: Missed) {
        let mut all = self.missed();
        if all.len() < MOST_MISSED && !all.contains(&missed) {
            all.push_back(missed);
        }
    }

    /// Locks what Twilio has just said of recordings.
    pub fn described(&self) -> MutexGuard<'_, HashMap<RecordingSid, (i64, Recording)>> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the orders that AssemblyAI says it has finished.
    pub fn finished(&self) -> MutexGuard<'_, HashSet<OrderId>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the job of an order poll at once.
    pub fn poll_soon(&self, order: &OrderId) {
        self.finished().insert(order.clone());
        self.job_ready.notify_one();
    }

    /// Locks the reports that could not be stored.
    pub fn missed(&self) -> MutexGuard<'_, VecDeque<Missed>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key terms of the settings.
    pub fn keyterms(&self) -> Keyterms {
        self.keyterms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the key terms of the settings: those of `KEYTERMS_FILE` alone, after all others.
    pub fn keyterms_by_setting(&self) -> (Keyterms, Keyterms) {
        let (all, others) = (self.keyterms(), self.transcript.sources.others());
        let filed = all.without(&others);
        (others, filed)
    }

    /// Reads the file of key terms again. If it cannot be read or has too many, the key terms stay as they were.
    pub async fn read_keyterms_again(&self) {
        let config = self.transcript.clone();
        // Of a file that waits for a writer, such as a pipe, nothing else may wait.
        let read = tokio::task::spawn_blocking(move || config.read_keyterms_again());
        match read.await {
            Ok(Some(Ok(keyterms))) => {
                let count = keyterms.as_slice().len();
                *self.keyterms.lock().unwrap_or_else(PoisonError::into_inner) = keyterms;
                tracing::info!(keyterms = count, "read KEYTERMS_FILE again");
            }
            Ok(Some(Err(problem))) => tracing::warn!("the key terms stay as they were: {problem}"),
            Ok(None) => tracing::info!("received SIGHUP; KEYTERMS_FILE is not set, and no other setting is read again"),
            Err(error) => tracing::error!("reading KEYTERMS_FILE again panicked: {error}"),
        }
    }

    /// Returns `true` if a callback was refused within a day because of its shared key.
    pub fn refused_shared_key(&self) -> bool {
        let refused_at = self.shared_key_refused_at.load(Ordering::Relaxed);
        refused_at != 0 && self.clock.now_ms() - refused_at < SHARED_KEY_NOTICE
    }

    /// Sentences about what was wrong with the settings at the start, except credentials.
    pub fn wrong_settings(&self) -> Vec<String> {
        let wrong = self.wrong_settings.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.iter().map(|(_, sentence)| sentence.clone()).collect()
    }

    /// Notes that Twilio has accepted a call, so that nothing is wrong with its settings any more.
    pub fn accept_twilio_settings(&self) {
        let mut wrong = self.wrong_settings.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|(service, _)| *service != Service::Twilio);
    }

    /// The vendors that refused our credentials in answer to the last request, with what they said.
    pub fn refusing(&self) -> impl Iterator<Item = (Service, Refusal)> {
        let vendors = [(Service::Twilio, self.twilio.refused()), (Service::AssemblyAi, self.assemblyai.refused())];
        vendors.into_iter().filter_map(|(service, refusal)| Some((service, refusal?)))
    }
}
