//! Every setting, read once at start, one struct per area. All problems are reported at once, and none with a value:
//! it may be a secret.
//!
//! What there is to set stands here, the words of `--help` in `settings`; `read` makes the one from the variables that
//! `env` finds.

mod env;
mod read;
pub mod settings;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tracing_subscriber::filter::Targets;
use url::Url;

use crate::clients::{Deadlines, assemblyai, twilio};
use crate::clock::Clock;
use crate::model::keyterms::{Keyterms, Limit};
use crate::model::numbering::Countries;
use crate::model::phone::PhoneNumber;
use crate::store::Location;
use crate::urls::Urls;
pub use env::Problem;

/// All settings.
#[derive(Debug)]
pub struct Config {
    /// Who is called through and who transcribes.
    pub vendors: Vendors,
    /// What every call is like.
    pub call: CallConfig,
    /// How much is dialled.
    pub dial: DialConfig,
    /// What every transcript is asked for with.
    pub transcript: TranscriptConfig,
    /// `DATABASE_URL`, by default `sqlite://callscribe.db`. The sandbox has a file of its own.
    pub database: Location,
    /// Where is listened, and who may come from elsewhere.
    pub server: ServerConfig,
    /// What is logged and how.
    pub log: LogConfig,
    /// How long the vendors may take. No variable: tests alone set others.
    pub deadlines: Deadlines,
    /// How work goes on. No variable: tests alone set others.
    pub work: WorkConfig,
    /// Settings that fight each other, in words for the operator.
    pub warnings: Vec<String>,
}

/// Where the program is to die: `FAIL`, read for the crash tests alone.
#[cfg(feature = "failpoints")]
pub fn failpoints() -> Option<String> {
    std::env::var("FAIL").ok()
}

/// How jobs are run.
#[derive(Debug, Clone)]
pub struct WorkConfig {
    /// Whether the worker runs jobs as they become due. Tests run them by hand instead.
    pub automatic: bool,
    pub clock: Clock,
    /// How long a client that dials waits for the call SID.
    pub dial_timeout: Duration,
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self { automatic: true, clock: Clock::system(), dial_timeout: Duration::from_secs(10) }
    }
}

/// The real vendors, or the built-in ones.
#[derive(Debug)]
pub enum Vendors {
    /// Accounts at Twilio and AssemblyAI, or at anything that speaks as they do.
    Accounts(Box<Accounts>),
    /// Emulators in this process.
    Sandbox {
        /// `SANDBOX_TWILIO_ADDR`, by default `127.0.0.1:8001`.
        twilio: SocketAddr,
        /// `SANDBOX_ASSEMBLYAI_ADDR`, by default `127.0.0.1:8002`.
        assemblyai: SocketAddr,
    },
}

/// Accounts at both vendors, and where they call back to.
#[derive(Debug)]
pub struct Accounts {
    /// The account at Twilio.
    pub twilio: TwilioConfig,
    /// The project at AssemblyAI.
    pub assemblyai: AssemblyAiConfig,
    /// `BASE_URL`, required.
    pub urls: Urls,
}

/// The account at Twilio.
#[derive(Debug)]
pub struct TwilioConfig {
    /// `TWILIO_ACCOUNT_SID`, required.
    pub account_sid: String,
    /// `TWILIO_AUTH_TOKEN`, required, and `TWILIO_SECONDARY_AUTH_TOKEN`: keys of callback signatures.
    pub auth_tokens: Vec<SecretString>,
    /// `TWILIO_API_KEY` and `TWILIO_API_SECRET`, or else the account's SID and token.
    pub credentials: twilio::Credentials,
    /// `TWILIO_PHONE_NUMBER`, required.
    pub phone_number: PhoneNumber,
    /// `TWILIO_API_URL`, by default from `TWILIO_REGION` and `TWILIO_EDGE`.
    pub api_url: Url,
}

/// The project at AssemblyAI.
#[derive(Debug)]
pub struct AssemblyAiConfig {
    /// `ASSEMBLYAI_KEY`, required.
    pub key: SecretString,
    /// `ASSEMBLYAI_API_URL`, by default `https://api.assemblyai.com`.
    pub api_url: Url,
}

/// What every call is like.
#[derive(Debug, Clone)]
pub struct CallConfig {
    /// `GREETING`, by default `Ahoy! Call recording starts now.`
    pub greeting: String,
    /// `DIAL_COUNTRIES`, by default the country of `TWILIO_PHONE_NUMBER`.
    pub countries: Countries,
    /// `MAX_CALL_SECONDS`, by default 3600.
    pub max_seconds: u32,
}

/// How much is dialled.
#[derive(Debug, Clone)]
pub struct DialConfig {
    /// `DIAL_PER_MINUTE`, `DIAL_PER_HOUR` and `DIAL_PER_DAY`, by default 5, 30 and 100.
    pub caps: [Cap; 3],
    /// `REDIAL_AFTER`, by default ten minutes.
    pub redial_after: Duration,
}

/// The most calls that are dialled in any such time. Counted in the database, so it holds across restarts and instances.
#[derive(Debug, Clone, Copy)]
pub struct Cap {
    /// The variable that says so.
    pub setting: &'static str,
    /// How many.
    pub calls: u32,
    /// The time.
    pub window: Duration,
    /// Its name.
    pub window_name: &'static str,
}

/// What every transcript is asked for with.
#[derive(Clone)]
pub struct TranscriptConfig {
    /// The `speech_models` of `TRANSCRIPT_OPTIONS`, or `ASSEMBLYAI_SPEECH_MODELS`, by default
    /// `universal-3-5-pro,universal-2`.
    pub speech_models: Vec<String>,
    /// `KEYTERMS`, `KEYTERMS_FILE` and the `keyterms_prompt` of `TRANSCRIPT_OPTIONS`, by default none.
    pub keyterms: Keyterms,
    /// The rest of `TRANSCRIPT_OPTIONS`, by default `{}`.
    pub options: Map<String, Value>,
}

impl TranscriptConfig {
    /// What key terms a request may have: for these models if it names some, for those of the settings if not.
    pub fn keyterm_limit(&self, speech_models: Option<&[String]>) -> Limit {
        keyterm_limit(speech_models.unwrap_or(&self.speech_models))
    }
}

fn keyterm_limit(speech_models: &[String]) -> Limit {
    let (terms, model) = assemblyai::limits::keyterms(speech_models);
    Limit { terms, words: assemblyai::limits::KEYTERM_WORDS, model: model.to_owned() }
}

/// The options may hold a secret, such as that of a webhook.
impl fmt::Debug for TranscriptConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { speech_models, keyterms, options } = self;
        let options: Vec<&String> = options.keys().collect();
        f.debug_struct("TranscriptConfig")
            .field("speech_models", speech_models)
            .field("keyterms", &keyterms.as_slice().len())
            .field("options", &options)
            .finish()
    }
}

/// Where is listened, and who may come from elsewhere.
#[derive(Debug)]
pub struct ServerConfig {
    /// `BIND_ADDR`, by default port 8000 of both loopback addresses.
    pub bind: Vec<SocketAddr>,
    /// Whether `BIND_ADDR` was set: then every address of it must be had.
    pub bind_is_set: bool,
    /// `OPERATOR_TOKEN`, by default none.
    pub operator_token: Option<SecretString>,
}

/// What is logged and how.
#[derive(Debug)]
pub struct LogConfig {
    /// `LOG_FORMAT`, by default `text`.
    pub format: LogFormat,
    /// `RUST_LOG`, by default `info`.
    pub targets: Targets,
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
