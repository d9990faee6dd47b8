//! All settings, read once at start (the key terms' file also later), one struct per area. All problems are reported at
//! once, and none with a value, which may be a secret.
//!
//! `settings` lists the variables with their texts for `--help`, `env` finds their values, and `read` parses them, with
//! `read_call` for those of calls, `read_webhooks` for those of receivers and `read_archive` for those of the archive.

#![allow(missing_docs, reason = "the doc of a field names its variable; a struct of such fields needs none")]

mod env;
mod read;
mod read_archive;
mod read_call;
mod read_webhooks;
pub mod settings;
pub mod speech_models;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tracing_subscriber::filter::Targets;
use url::Url;

use crate::clients::webhook::Reach;
use crate::clients::{Deadlines, archive, twilio};
use crate::clock::Clock;
use crate::model::dollars::Dollars;
use crate::model::keyterms::Keyterms;
use crate::model::numbering::Countries;
use crate::model::phone::PhoneNumber;
use crate::model::signing_secret::SigningSecret;
use crate::store::Location;
use crate::urls::Urls;
pub use env::{Problem, operator_token};

#[derive(Debug)]
pub struct Config {
    pub vendors: Vendors,
    pub call: CallConfig,
    pub dial: DialConfig,
    pub transcript: TranscriptConfig,
    /// `DATABASE_URL`, by default `sqlite://callscribe.db`. The sandbox uses a temporary file.
    pub database: Location,
    /// `UPLOADS_FOLDER`, by default beside the SQLite file, or in the temporary folder. That of the sandbox is beside its
    /// file.
    pub uploads: Option<PathBuf>,
    /// `ARCHIVE_URL`, by default none, and for a bucket `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and
    /// `AWS_ENDPOINT_URL`.
    pub archive: Option<archive::Place>,
    pub webhooks: WebhookConfig,
    pub server: ServerConfig,
    pub log: LogConfig,
    /// No variable; only tests change it.
    pub deadlines: Deadlines,
    /// No variable; only tests change it.
    pub work: WorkConfig,
    /// Settings that contradict each other.
    pub warnings: Vec<String>,
}

/// Returns `FAIL`, the failpoint at which a test stops the program.
#[cfg(feature = "failpoints")]
pub fn failpoints() -> Option<String> {
    std::env::var("FAIL").ok()
}

#[derive(Debug, Clone)]
pub struct WorkConfig {
    /// Jobs run when they are due, and looks at `BASE_URL` are taken. Otherwise only
    /// [`App::run_due_jobs`](crate::app::App::run_due_jobs) and [`App::probe`](crate::app::App::probe) do so.
    pub automatic: bool,
    /// Both vendors are asked at the start whether the settings are right. Otherwise only
    /// [`App::check_settings`](crate::app::App::check_settings) does so.
    pub checks_settings: bool,
    pub clock: Clock,
    /// Maximum time that a dial request waits for the call SID.
    pub dial_timeout: Duration,
    /// Maximum time that a request from this computer waits for a look at `BASE_URL`.
    pub patience: Duration,
}

impl Default for WorkConfig {
    fn default() -> Self {
        let (dial_timeout, patience) = (Duration::from_secs(10), Duration::from_secs(4));
        Self { automatic: true, checks_settings: true, clock: Clock::system(), dial_timeout, patience }
    }
}

#[derive(Debug)]
pub enum Vendors {
    /// Accounts at Twilio and AssemblyAI, or at compatible services.
    Accounts(Box<Accounts>),
    /// The emulators in this process.
    Sandbox {
        /// `SANDBOX_TWILIO_ADDR`, by default `127.0.0.1:8001`.
        twilio: SocketAddr,
        /// `SANDBOX_ASSEMBLYAI_ADDR`, by default `127.0.0.1:8002`.
        assemblyai: SocketAddr,
    },
}

#[derive(Debug)]
pub struct Accounts {
    pub twilio: TwilioConfig,
    pub assemblyai: AssemblyAiConfig,
    /// `BASE_URL`, required.
    pub urls: Urls,
}

#[derive(Debug)]
pub struct TwilioConfig {
    /// `TWILIO_ACCOUNT_SID`, required.
    pub account_sid: String,
    /// `TWILIO_AUTH_TOKEN`, required, and `TWILIO_SECONDARY_AUTH_TOKEN`: keys of callback signatures.
    pub auth_tokens: Vec<SecretString>,
    /// `TWILIO_SHARED_KEYS`, by default none: webhook shared keys by their ids.
    pub shared_keys: HashMap<String, SecretString>,
    /// `TWILIO_RECORDING_KEYS`, by default none.
    pub recording_keys: twilio::RecordingKeys,
    /// `TWILIO_API_KEY` and `TWILIO_API_SECRET`, or else the account's SID and token.
    pub credentials: twilio::Credentials,
    /// `TWILIO_PHONE_NUMBER`, required.
    pub phone_number: PhoneNumber,
    /// `TWILIO_API_URL`, by default from `TWILIO_REGION` and `TWILIO_EDGE`.
    pub api_url: Url,
}

#[derive(Debug)]
pub struct AssemblyAiConfig {
    /// `ASSEMBLYAI_KEY`, required.
    pub key: SecretString,
    /// `ASSEMBLYAI_API_URL`, by default `https://api.assemblyai.com`.
    pub api_url: Url,
}

#[derive(Debug, Clone)]
pub struct CallConfig {
    /// `GREETING`, by default `Ahoy! Call recording starts now.`
    pub greeting: String,
    /// `GREETING_LANGUAGE`, by default none: Twilio decides.
    pub language: Option<String>,
    /// `GREETING_VOICE`, by default none: Twilio decides.
    pub voice: Option<String>,
    /// `SILENCE_SECONDS`, by default 5; 0 if silence never ends a recording.
    pub silence_seconds: u32,
    /// `FINISH_ON_KEY`, by default `#`; `None` if no key ends a recording.
    pub finish_on_key: Option<char>,
    /// `OPERATOR_PHONES`, by default none: where the operator talks. No number is in it twice.
    pub operator_phones: Vec<PhoneNumber>,
    /// `INBOUND` and `FORWARD_SECONDS`: how many seconds an inbound call rings at the operator's phones; by default it
    /// does not.
    pub forward_seconds: Option<u32>,
    /// `DIAL_COUNTRIES`, by default the country of `TWILIO_PHONE_NUMBER`.
    pub countries: Countries,
    /// `MAX_CALL_SECONDS`, by default 3600.
    pub max_seconds: u32,
}

/// The most phones that Twilio rings at once.
const MOST_FORWARDED: usize = 10;

impl CallConfig {
    /// The operator's phones that a forwarded call rings.
    pub fn forwarded_phones(&self) -> &[PhoneNumber] {
        &self.operator_phones[..self.operator_phones.len().min(MOST_FORWARDED)]
    }
}

#[derive(Debug, Clone)]
pub struct DialConfig {
    /// `DIAL_PER_MINUTE`, `DIAL_PER_HOUR` and `DIAL_PER_DAY`, by default 5, 30 and 100.
    pub caps: [Cap; 3],
    /// `REDIAL_AFTER`, by default ten minutes.
    pub redial_after: Duration,
}

/// A limit on the calls dialed in any window of this length. The count is in the database, so that the cap holds across
/// restarts and instances.
#[derive(Debug, Clone, Copy)]
pub struct Cap {
    /// Name of the variable.
    pub setting: &'static str,
    pub calls: u32,
    pub window: Duration,
    /// Such as `hour`.
    pub window_name: &'static str,
}

#[derive(Clone)]
pub struct TranscriptConfig {
    /// The `speech_models` of `TRANSCRIPT_OPTIONS`, or `ASSEMBLYAI_SPEECH_MODELS`, by default
    /// `assemblyai-stt-3-7,universal-2`.
    pub speech_models: Vec<String>,
    /// `KEYTERMS`, `KEYTERMS_FILE` and the `keyterms_prompt` of `TRANSCRIPT_OPTIONS`, by default none. As read at the
    /// start: the file may have been read again since.
    pub keyterms: Keyterms,
    /// Where they come from.
    pub sources: KeytermSources,
    /// The rest of `TRANSCRIPT_OPTIONS`, by default `{}`.
    pub options: Map<String, Value>,
    /// `TRANSCRIBE_PER_DAY`, by default 100; `None` for no limit.
    pub per_day: Option<u32>,
    /// `VOCABULARY_LEARNS` and `VOCABULARY_LEARNS_AFTER`.
    pub learns: Learns,
    /// `ASSEMBLYAI_PRICES`: US dollars for an hour of audio, by the speech model, and by the parameters that cost more.
    pub prices: HashMap<String, f64>,
    /// `BUDGET_PER_DAY`, by default none.
    pub budget: Option<Dollars>,
}

/// What becomes of names and rare words that people correct something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learns {
    Nothing,
    /// They are proposed for the vocabulary.
    Proposals,
    /// Those that were corrected this often become part of it.
    Terms {
        after: u32,
    },
}

/// What the key terms are put together from when their file is read again.
#[derive(Debug, Clone)]
pub struct KeytermSources {
    listed: Keyterms,
    file: Option<String>,
    optional: Keyterms,
}

/// Leaves out the values of the options, which may be secrets.
impl fmt::Debug for TranscriptConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { speech_models, keyterms, sources: _, options, per_day, learns, prices, budget } = self;
        let options: Vec<&String> = options.keys().collect();
        f.debug_struct("TranscriptConfig")
            .field("speech_models", speech_models)
            .field("keyterms", &keyterms.as_slice().len())
            .field("options", &options)
            .field("per_day", per_day)
            .field("learns", learns)
            .field("prices", prices)
            .field("budget", budget)
            .finish()
    }
}

#[derive(Debug)]
pub struct WebhookConfig {
    /// `WEBHOOKS`, by default none: URLs of receivers with their secrets.
    pub receivers: Vec<(String, SigningSecret)>,
    /// `WEBHOOKS_TO_PRIVATE_ADDRESSES`, by default false. In the sandbox, receivers may be on this computer.
    pub reach: Reach,
}

#[derive(Debug)]
pub struct ServerConfig {
    /// `BIND_ADDR`, by default port 8000 of both loopback addresses.
    pub bind: Vec<SocketAddr>,
    /// `BIND_ADDR` is set, so every address must be bound.
    pub bind_is_set: bool,
    /// `OPERATOR_TOKEN`, by default none.
    pub operator_token: Option<SecretString>,
}

#[derive(Debug)]
pub struct LogConfig {
    /// `LOG_FORMAT`, by default `text`.
    pub format: LogFormat,
    /// `RUST_LOG`, by default `info`.
    pub targets: Targets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}
