//! Parses variables into settings and collects all problems.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::env::{self, Env, Found};
use super::value::{api_url, hosts, secret};
use super::{
    Accounts, AssemblyAiConfig, CallConfig, Cap, Config, DialConfig, KeytermSources, Learns, LogConfig, LogFormat,
    Problem, ServerConfig, TranscriptConfig, TwilioConfig, Vendors, WorkConfig, read_archive::read_archive,
    read_call::read_call, read_webhooks::read_webhooks, speech_models,
};
use crate::auth::SAFE_TOKEN;
use crate::clients::{self, Deadlines, twilio};
use crate::model::dollars::Dollars;
use crate::model::keyterms::Keyterms;
use crate::model::phone::PhoneNumber;
use crate::store::Location;
use crate::urls::Urls;

/// Maximum of `REDIAL_AFTER`, which is for reloads and open tabs.
const MAX_REDIAL_AFTER: Duration = Duration::from_hours(7 * 24);

impl Config {
    /// Reads the settings from the environment and a `.env` file. Returns all problems, those of the file first.
    /// A file that is not read is a problem only beside others, which may follow from that.
    pub fn from_environment(sandbox: bool) -> Result<Self, Vec<Problem>> {
        let Found { variables, problems, ignored, warnings } = env::environment();
        let read = Self::read(variables, sandbox);
        match read {
            Ok(mut config) if problems.is_empty() => {
                let ignored = ignored.iter().map(Problem::to_string);
                config.warnings.splice(0..0, ignored.chain(warnings));
                Ok(config)
            }
            read => Err([ignored, problems, read.err().unwrap_or_default()].concat()),
        }
    }

    /// Reads the settings from `variables`. Returns all problems, in the order of `--help`, after the variables that
    /// resemble a setting, which are a problem only beside others.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>, sandbox: bool) -> Result<Self, Vec<Problem>> {
        let mut env = Env::new(variables);
        let vendors = if sandbox { read_sandbox(&mut env) } else { read_accounts(&mut env) };
        let transcript = read_transcript(&mut env);
        let own = match &vendors {
            Some(Vendors::Accounts(accounts)) => Some(&accounts.twilio.phone_number),
            _ => None,
        };
        let call = read_call(&mut env, own, sandbox);
        let dial = read_dial(&mut env);
        if let (Some(call), Some(dial)) = (&call, &dial) {
            warn_of_low_caps(&mut env, call, dial);
        }
        let database = env.read("DATABASE_URL", Location::parse);
        let uploads = env.read_if_set("UPLOADS_FOLDER", |text| Ok(PathBuf::from(text)));
        let archive = read_archive(&mut env);
        let webhooks = read_webhooks(&mut env, sandbox);
        let server = read_server(&mut env);
        let log = read_log(&mut env);
        let misspelled = env.misspelled();
        match (vendors, call, dial, transcript, database, archive, webhooks, server, log) {
            (
                Some(vendors),
                Some(call),
                Some(dial),
                Some(transcript),
                Some(database),
                Some(archive),
                Some(webhooks),
                Some(server),
                Some(log),
            ) if !env.has_problems() => Ok(Self {
                vendors,
                call,
                dial,
                transcript,
                database,
                uploads: uploads.flatten(),
                archive,
                webhooks,
                server,
                log,
                deadlines: Deadlines::default(),
                work: WorkConfig::default(),
                warnings: misspelled.iter().map(Problem::to_string).chain(env.into_warnings()).collect(),
            }),
            _ => Err([misspelled, env.into_problems()].concat()),
        }
    }
}

fn read_accounts(env: &mut Env) -> Option<Vendors> {
    let twilio = read_twilio(env);
    let urls = env.read("BASE_URL", |text| Urls::parse(text).map_err(|error| error.to_string()));
    let key = env.read("ASSEMBLYAI_KEY", secret);
    let api_url = env.read("ASSEMBLYAI_API_URL", api_url);
    let plain_hosts = env.read_if_set("PLAIN_HTTP_HOSTS", hosts).flatten().unwrap_or_default();
    let twilio_url = twilio.as_ref().map(|twilio| &twilio.api_url);
    for (name, url) in [("TWILIO_API_URL", twilio_url), ("ASSEMBLYAI_API_URL", api_url.as_ref())] {
        let is_plain = |url: &&Url| url.scheme() == "http" && !clients::is_local(url);
        let is_named = |url: &&Url| plain_hosts.iter().any(|host| Some(host.as_str()) == url.host_str());
        if url.filter(is_plain).is_some_and(|url| !is_named(&url)) {
            env.refuse(name, "expected https, or else the host's name in PLAIN_HTTP_HOSTS: others can read plain http");
        }
    }
    if urls.as_ref().is_some_and(Urls::is_local)
        && !twilio.as_ref().is_some_and(|twilio| clients::is_local(&twilio.api_url))
    {
        env.warn("BASE_URL points to this computer, which Twilio cannot reach there: calls will have no greeting");
    } else if urls.as_ref().is_some_and(|urls| urls.is_plain_http() && !urls.is_local()) {
        env.warn("BASE_URL is plain http: others on the network can read and change what the vendors send");
    }
    let assemblyai = AssemblyAiConfig { key: key?, api_url: api_url? };
    Some(Vendors::Accounts(Box::new(Accounts { twilio: twilio?, assemblyai, urls: urls? })))
}

fn read_twilio(env: &mut Env) -> Option<TwilioConfig> {
    let is_other_api = env.is_set("TWILIO_API_URL");
    let account_sid = env.read("TWILIO_ACCOUNT_SID", |text| {
        if is_other_api && crate::model::is_vendors_id("AC", text) { Ok(text.to_owned()) } else { sid("AC", text) }
    });
    let auth_token = env.read("TWILIO_AUTH_TOKEN", secret);
    let secondary = env.read_if_set("TWILIO_SECONDARY_AUTH_TOKEN", secret);
    let shared_keys = env.read_if_set("TWILIO_SHARED_KEYS", shared_keys);
    let recording_keys = env.read_if_set("TWILIO_RECORDING_KEYS", recording_keys);
    let phone_number = env.read("TWILIO_PHONE_NUMBER", |text| match text.parse() {
        Ok(number) if text.starts_with('+') => Ok(number),
        _ => Err("expected + and 8 to 15 digits with the country code, such as +14155551234".to_owned()),
    });
    let has_country = phone_number.as_ref().is_none_or(|number: &PhoneNumber| number.country().is_some());
    if !has_country && !env.is_set("DIAL_COUNTRIES") {
        let expected = "missing; TWILIO_PHONE_NUMBER has no known country, so expected ISO codes of countries";
        env.refuse("DIAL_COUNTRIES", expected);
    }
    let api_key = env.read_if_set("TWILIO_API_KEY", |text| sid("SK", text));
    let api_secret = env.read_if_set("TWILIO_API_SECRET", secret);
    for (half, other) in [("TWILIO_API_KEY", "TWILIO_API_SECRET"), ("TWILIO_API_SECRET", "TWILIO_API_KEY")] {
        if env.is_set(half) && !env.is_set(other) {
            env.refuse(other, &format!("missing; {half} is set, and each needs the other"));
        }
    }
    let region = env.read_if_set("TWILIO_REGION", label);
    let edge = env.read_if_set("TWILIO_EDGE", label);
    let other_url = env.read_if_set("TWILIO_API_URL", api_url);
    if env.is_set("TWILIO_API_URL") && (env.is_set("TWILIO_REGION") || env.is_set("TWILIO_EDGE")) {
        env.warn("TWILIO_API_URL is set, so TWILIO_REGION and TWILIO_EDGE are ignored");
    }

    let (account_sid, auth_token) = (account_sid?, auth_token?);
    let credentials = match (api_key?, api_secret?) {
        (Some(user), Some(password)) => twilio::Credentials { user, password },
        _ => twilio::Credentials { user: account_sid.clone(), password: auth_token.clone() },
    };
    Some(TwilioConfig {
        credentials,
        account_sid,
        auth_tokens: [Some(auth_token), secondary?].into_iter().flatten().collect(),
        shared_keys: shared_keys?.unwrap_or_default(),
        recording_keys: recording_keys?.unwrap_or_default(),
        phone_number: phone_number?,
        api_url: other_url?.unwrap_or(twilio_url(region?.as_deref(), edge?.as_deref())?),
    })
}

/// Returns `api[.edge][.region].twilio.com`. An edge without a region means `us1`, as in Twilio's own libraries.
fn twilio_url(region: Option<&str>, edge: Option<&str>) -> Option<Url> {
    let host = match (edge, region) {
        (None, None) => return Url::parse(twilio::API_URL).ok(),
        (None, Some(region)) => format!("api.{region}.twilio.com"),
        (Some(edge), region) => format!("api.{edge}.{}.twilio.com", region.unwrap_or("us1")),
    };
    Url::parse(&format!("https://{host}")).ok()
}

fn read_sandbox(env: &mut Env) -> Option<Vendors> {
    let twilio = env.read("SANDBOX_TWILIO_ADDR", address);
    let assemblyai = env.read("SANDBOX_ASSEMBLYAI_ADDR", address);
    Some(Vendors::Sandbox { twilio: twilio?, assemblyai: assemblyai? })
}

fn read_dial(env: &mut Env) -> Option<DialConfig> {
    let mut cap = |setting, window_name, seconds| {
        let calls = env.read(setting, |text| text.parse().map_err(|_| "expected a whole number of calls".to_owned()));
        calls.map(|calls| Cap { setting, calls, window: Duration::from_secs(seconds), window_name })
    };
    let caps = [
        cap("DIAL_PER_MINUTE", "minute", 60),
        cap("DIAL_PER_HOUR", "hour", 60 * 60),
        cap("DIAL_PER_DAY", "day", 24 * 60 * 60),
    ];
    let redial_after = env.read("REDIAL_AFTER", |text| {
        let duration = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
        let duration = duration.filter(|duration| *duration <= MAX_REDIAL_AFTER);
        duration.ok_or("expected a time with its unit, such as 90s, 10m or 1h, of at most 7 days".to_owned())
    });
    let [Some(per_minute), Some(per_hour), Some(per_day)] = caps else { return None };
    Some(DialConfig { caps: [per_minute, per_hour, per_day], redial_after: redial_after? })
}

/// Warns of caps that no conversation fits in.
fn warn_of_low_caps(env: &mut Env, call: &CallConfig, dial: &DialConfig) {
    for Cap { setting, calls, .. } in dial.caps.iter().filter(|cap| cap.calls < 2) {
        if !call.operator_phones.is_empty() {
            env.warn(&format!("{setting} is {calls}, and a conversation counts as two calls: none can be dialed"));
        }
    }
}

fn read_transcript(env: &mut Env) -> Option<TranscriptConfig> {
    let listed_models = env.read("ASSEMBLYAI_SPEECH_MODELS", |text| {
        let models: Vec<String> = text.split(',').map(|model| model.trim().to_owned()).collect();
        let named = models.iter().all(|model| !model.is_empty());
        if named { Ok(models) } else { Err("expected names of speech models, separated by commas".to_owned()) }
    });
    let options = env.read("TRANSCRIPT_OPTIONS", |text| {
        let expected = "expected a JSON object of AssemblyAI parameters, such as {\"speaker_labels\": true}; in .env, put \
                        it between single quotes";
        let mut options: Map<String, Value> = serde_json::from_str(text).map_err(|_| expected.to_owned())?;
        if options.contains_key("audio_url") {
            return Err("audio_url belongs in each request, not in a setting".to_owned());
        }
        if let Some(Value::Array(terms)) = options.get_mut("keyterms_prompt") {
            for term in terms.iter_mut().filter(|term| term.is_number()) {
                // Such as 911.
                *term = Value::String(term.to_string());
            }
        }
        let terms = take_texts(&mut options, "keyterms_prompt")?.map(Keyterms::from_terms);
        let models = take_texts(&mut options, "speech_models")?;
        Ok((options, terms.unwrap_or_default(), models))
    });
    let (options, optional, optional_models) =
        options.map_or((None, Keyterms::default(), None), |(options, terms, models)| (Some(options), terms, models));
    if optional_models.is_some() && env.is_set("ASSEMBLYAI_SPEECH_MODELS") {
        env.warn("TRANSCRIPT_OPTIONS has speech_models, so ASSEMBLYAI_SPEECH_MODELS is ignored");
    }
    let models = optional_models.or(listed_models);
    let per_day = env.read("TRANSCRIBE_PER_DAY", |text| match text {
        "*" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| "expected a whole number of transcripts, or * for no limit".to_owned()),
    });

    let prices = env.read("ASSEMBLYAI_PRICES", prices);
    let budget = env.read_if_set("BUDGET_PER_DAY", |text| {
        let dollars = text.trim_start_matches('$').parse::<f64>().ok();
        let dollars = dollars.filter(|dollars| (0.0..=MOST_DOLLARS).contains(dollars)).map(Dollars::of);
        dollars.ok_or_else(|| "expected an amount of US dollars, such as 5 or 2.50".to_owned())
    });
    let learns = read_learns(env);
    let has_models = models.is_some();
    let speech_models = models.unwrap_or_default();
    let listed = env.read_if_set("KEYTERMS", |text| checked(Keyterms::from_list(text), &speech_models));
    let filed = env.read_if_set("KEYTERMS_FILE", |path| Ok((path.to_owned(), read_keyterms(path, &speech_models)?)));
    if let Err(error) = checked(optional.clone(), &speech_models) {
        env.refuse("TRANSCRIPT_OPTIONS", &error);
        return None;
    }
    let (file, filed) = filed?.unzip();
    let sources = KeytermSources { listed: listed?.unwrap_or_default(), file, optional };
    let keyterms = sources.together(&filed.unwrap_or_default(), &speech_models);
    let keyterms = keyterms.unwrap_or_else(|error| {
        env.refuse("KEYTERMS", &error);
        Keyterms::default()
    });
    let (options, per_day, learns, prices, budget) = (options?, per_day?, learns?, prices?, budget?);
    if budget.is_some()
        && let Some(model) = speech_models.iter().find(|model| !prices.contains_key(*model))
    {
        env.refuse(
            "BUDGET_PER_DAY",
            &format!("expected a price of {model} in ASSEMBLYAI_PRICES, or else nobody knows what fits"),
        );
        return None;
    }
    has_models.then_some(TranscriptConfig {
        speech_models,
        keyterms,
        sources,
        options,
        per_day,
        learns,
        prices,
        budget,
    })
}

/// Larger budgets are mistaken.
const MOST_DOLLARS: f64 = 1e9;

/// Reads `model=0.21,other=0.15`.
fn prices(text: &str) -> Result<HashMap<String, f64>, String> {
    let price = |pair: &str| {
        let (model, price) = pair.split_once('=')?;
        let (model, price) = (model.trim(), price.trim().parse::<f64>().ok()?);
        (!model.is_empty() && price.is_finite() && price >= 0.0).then(|| (model.to_owned(), price))
    };
    let expected =
        "expected US dollars for an hour of audio by speech model, such as universal-2=0.15, separated by commas";
    text.split(',').map(|pair| price(pair).ok_or_else(|| expected.to_owned())).collect()
}

fn read_learns(env: &mut Env) -> Option<Learns> {
    let after = env.read("VOCABULARY_LEARNS_AFTER", |text| {
        let after = text.parse().ok().filter(|after| (1..=1_000).contains(after));
        after.ok_or_else(|| "expected a whole number of corrections from 1 to 1000".to_owned())
    })?;
    env.read("VOCABULARY_LEARNS", |text| match text {
        "propose" => Ok(Learns::Proposals),
        "auto" => Ok(Learns::Terms { after }),
        "off" => Ok(Learns::Nothing),
        _ => Err("expected propose, auto or off".to_owned()),
    })
}

impl TranscriptConfig {
    /// When `KEYTERMS_FILE` was last changed, in seconds and nanoseconds since 1970, and its length in bytes. Returns `None`
    /// if it is not set, or no file is there.
    pub fn stamp_of_file(&self) -> Option<(i64, i64, u64)> {
        let metadata = std::fs::metadata(self.sources.file.as_ref()?).ok()?;
        Some((metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    }

    /// Reads the key terms again, with those of the file as it is now. Returns `None` if `KEYTERMS_FILE` is not set.
    pub fn read_keyterms_again(&self) -> Option<Result<Keyterms, Problem>> {
        let file = self.sources.file.as_ref()?;
        let read = read_keyterms(file, &self.speech_models);
        let keyterms = read.and_then(|filed| self.sources.together(&filed, &self.speech_models));
        Some(keyterms.map_err(|error| Problem::new("KEYTERMS_FILE", error)))
    }
}

impl KeytermSources {
    /// The key terms of the settings other than the file.
    pub fn others(&self) -> Keyterms {
        self.listed.and(&self.optional)
    }

    /// Returns the key terms of all three settings, if the speech models accept that many.
    fn together(&self, filed: &Keyterms, models: &[String]) -> Result<Keyterms, String> {
        let keyterms = checked(self.listed.and(filed).and(&self.optional), models);
        keyterms.map_err(|error| format!("together with KEYTERMS_FILE and TRANSCRIPT_OPTIONS, {error}"))
    }
}

/// Reads the key terms of a file.
fn read_keyterms(file: &str, models: &[String]) -> Result<Keyterms, String> {
    checked(Keyterms::from_lines(&text_of_file(file)?), models)
}

/// Returns these key terms if the speech models accept them.
fn checked(keyterms: Keyterms, models: &[String]) -> Result<Keyterms, String> {
    speech_models::check(models, &keyterms).map(|()| keyterms).map_err(|error| error.to_string())
}

/// Removes a list of strings from the options.
fn take_texts(options: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let texts = options.shift_remove(name).map(serde_json::from_value).transpose();
    texts.map_err(|_| format!("expected {name} to be a list of strings"))
}

fn read_server(env: &mut Env) -> Option<ServerConfig> {
    let bind =
        env.read("BIND_ADDR", |text| text.split(',').map(|part| address(part.trim())).collect::<Result<Vec<_>, _>>());
    let operator_token = env.read_if_set("OPERATOR_TOKEN", secret);
    let (bind, operator_token) = (bind?, operator_token?);
    if operator_token.as_ref().is_some_and(|token| token.expose_secret().len() < SAFE_TOKEN) {
        env.warn("OPERATOR_TOKEN is short: anyone who guesses it can make calls at your expense");
    }
    if operator_token.is_none() && bind.iter().any(|address| !address.ip().to_canonical().is_loopback()) {
        env.refuse("BIND_ADDR", "an address that other computers can reach requires OPERATOR_TOKEN");
    }
    Some(ServerConfig { bind, bind_is_set: env.is_set("BIND_ADDR"), operator_token })
}

fn read_log(env: &mut Env) -> Option<LogConfig> {
    let format = env.read("LOG_FORMAT", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json".to_owned()),
    });
    let targets = env.read("RUST_LOG", |text| {
        // `Targets` takes a misspelled level for the name of a target.
        let is_valid =
            |part: &str| part.contains(['=', ':']) || part == "callscribe" || LevelFilter::from_str(part).is_ok();
        let targets = Targets::from_str(text).ok().filter(|_| text.split(',').map(str::trim).all(is_valid));
        targets.ok_or_else(|| "expected levels and targets, such as info,callscribe=debug".to_owned())
    });
    Some(LogConfig { format: format?, targets: targets? })
}

fn sid(prefix: &str, text: &str) -> Result<String, String> {
    let fits = crate::model::is_sid(prefix, text);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected {prefix} and 32 hex digits")) }
}

/// Parses shared keys. A secret may contain `=`.
fn shared_keys(text: &str) -> Result<HashMap<String, SecretString>, String> {
    let mut keys = HashMap::new();
    for part in text.split(',') {
        let (id, key) = part.split_once('=').map(|(id, key)| (id.trim(), key.trim())).unwrap_or_default();
        if id.is_empty() || key.is_empty() {
            return Err("expected keys as id=secret, separated by commas".to_owned());
        }
        if keys.insert(id.to_owned(), secret(key)?).is_some() {
            return Err("expected each id once".to_owned());
        }
    }
    Ok(keys)
}

/// Reads the private keys of recordings from their files.
fn recording_keys(text: &str) -> Result<twilio::RecordingKeys, String> {
    let mut keys = twilio::RecordingKeys::default();
    for part in text.split(',') {
        let expected = || "expected keys as CR…=file.pem, separated by commas".to_owned();
        let (sid, path) = part.split_once('=').ok_or_else(expected)?;
        let (sid, path) = (sid.trim(), path.trim());
        if !crate::model::is_sid("CR", sid) || path.is_empty() {
            return Err(expected());
        }
        if keys.has(sid) {
            return Err("expected each SID once".to_owned());
        }
        let pem = SecretString::from(text_of_file(path).map_err(|problem| format!("{sid}: {problem}"))?);
        if !keys.add(sid, pem.expose_secret()) {
            return Err(format!("{sid}: expected an RSA private key in PEM, without a password"));
        }
    }
    Ok(keys)
}

/// Reads a file of text. The error does not name it.
fn text_of_file(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::InvalidData => "the file is not UTF-8".to_owned(),
        kind => format!("the file cannot be read: {kind}"),
    })
}

/// Parses a label of a host name.
fn label(text: &str) -> Result<String, String> {
    let is_ascii = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // `xn--` and others consist of allowed characters but are not valid labels.
    let fits = is_ascii && !text.starts_with('-') && Url::parse(&format!("https://{text}.twilio.com")).is_ok();
    if fits { Ok(text.to_owned()) } else { Err("expected a name of letters, digits and hyphens".to_owned()) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP address and port, such as 127.0.0.1:8000".to_owned())
}
