//! The list of all settings, from which `--help` and `.env.example` are made. A variable that is not listed cannot be read.

/// One environment variable.
#[derive(Debug)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What applies while it is not set.
    pub default: Unset,
    /// One line of help. It also completes "missing; expected …".
    pub meaning: &'static str,
}

/// What applies while a variable is not set.
#[derive(Debug, PartialEq, Eq)]
pub enum Unset {
    /// The program does not start, except with `--sandbox`.
    Required,
    /// No value.
    Nothing,
    /// This value.
    Value(&'static str),
    /// A value that follows from other settings: says from which.
    Derived(&'static str),
}

use Unset::{Derived, Nothing, Required, Value};

/// Every setting, by area.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "TWILIO_ACCOUNT_SID",
        default: Required,
        meaning: "the account SID from Twilio's console: AC and 32 hex digits",
    },
    Setting {
        name: "TWILIO_AUTH_TOKEN",
        default: Required,
        meaning: "the account's auth token from Twilio's console, used as API password and to check callback signatures",
    },
    Setting {
        name: "TWILIO_PHONE_NUMBER",
        default: Required,
        meaning: "your Twilio number, from which calls are placed, with + and country code, such as +14155551234",
    },
    Setting {
        name: "BASE_URL",
        default: Required,
        meaning: "the public URL of this program, to which Twilio and AssemblyAI send callbacks, such as https://example.ngrok.app",
    },
    Setting { name: "ASSEMBLYAI_KEY", default: Required, meaning: "your AssemblyAI API key" },
    Setting {
        name: "TWILIO_API_KEY",
        default: Nothing,
        meaning: "API key (SK…) for Twilio's API, used instead of SID and auth token; needs TWILIO_API_SECRET",
    },
    Setting { name: "TWILIO_API_SECRET", default: Nothing, meaning: "the secret that belongs to TWILIO_API_KEY" },
    Setting {
        name: "TWILIO_SECONDARY_AUTH_TOKEN",
        default: Nothing,
        meaning: "a second auth token accepted in callback signatures while you rotate the first",
    },
    Setting {
        name: "TWILIO_SHARED_KEYS",
        default: Nothing,
        meaning: "webhook shared keys that Twilio signs callbacks with, as id=secret, separated by commas; other callbacks are signed with the auth token",
    },
    Setting {
        name: "TWILIO_RECORDING_KEYS",
        default: Nothing,
        meaning: "private keys for recordings that Twilio encrypts, as CR…=file.pem, separated by commas; CR… is the SID of the public key",
    },
    Setting { name: "TWILIO_REGION", default: Nothing, meaning: "Twilio region, such as ie1 for api.ie1.twilio.com" },
    Setting {
        name: "TWILIO_EDGE",
        default: Nothing,
        meaning: "Twilio edge, such as dublin for api.dublin.ie1.twilio.com (region us1 unless TWILIO_REGION is set)",
    },
    Setting {
        name: "TWILIO_API_URL",
        default: Derived("from region and edge"),
        meaning: "URL of another Twilio-compatible API, such as http://127.0.0.1:8001",
    },
    Setting {
        name: "ASSEMBLYAI_API_URL",
        default: Value(crate::clients::assemblyai::API_URL),
        meaning: "URL of AssemblyAI's API; https://api.eu.assemblyai.com keeps data in the EU",
    },
    Setting {
        name: "PLAIN_HTTP_HOSTS",
        default: Nothing,
        meaning: "hosts of TWILIO_API_URL, ASSEMBLYAI_API_URL and AWS_ENDPOINT_URL that may be reached by plain http, separated by commas; others need https, except this computer",
    },
    Setting {
        name: "ASSEMBLYAI_SPEECH_MODELS",
        default: Value(crate::clients::assemblyai::models::DEFAULT),
        meaning: "speech models in order of preference, separated by commas",
    },
    Setting {
        name: "ASSEMBLYAI_PRICES",
        default: Value(crate::clients::assemblyai::models::PRICES),
        meaning: "US dollars for an hour of audio by speech model, and on top of that by parameters that are true, separated by commas: what transcripts are said to cost; see your contract for what they do",
    },
    Setting {
        name: "KEYTERMS",
        default: Nothing,
        meaning: "names and terms that transcripts must get right, separated by commas",
    },
    Setting { name: "KEYTERMS_FILE", default: Nothing, meaning: "path of a file with more key terms, one per line" },
    Setting {
        name: "VOCABULARY_LEARNS",
        default: Value("propose"),
        meaning: "what becomes of names and rare words that you correct something to: propose them for the vocabulary, add them (auto), or nothing (off)",
    },
    Setting {
        name: "VOCABULARY_LEARNS_AFTER",
        default: Value("3"),
        meaning: "corrections to the same term after which VOCABULARY_LEARNS=auto adds it: 1 to 1000",
    },
    Setting {
        name: "TRANSCRIPT_OPTIONS",
        default: Value("{}"),
        meaning: "JSON object of AssemblyAI parameters for every transcript, such as '{\"speaker_labels\": true}'",
    },
    Setting {
        name: "TRANSCRIBE_PER_DAY",
        default: Value("100"),
        meaning: "maximum number of transcripts made automatically within 24 hours of calls that you did not dial, which strangers can cause; * for no limit",
    },
    Setting {
        name: "BUDGET_PER_DAY",
        default: Nothing,
        meaning: "US dollars that transcripts made automatically within 24 hours may cost by ASSEMBLYAI_PRICES, such as 5 or 2.50; not set: no limit",
    },
    Setting {
        name: "GREETING",
        default: Value("Ahoy! Call recording starts now."),
        meaning: "what the person on the phone hears before the recording starts",
    },
    Setting {
        name: "GREETING_LANGUAGE",
        default: Nothing,
        meaning: "language in which Twilio speaks, such as de-DE; not set: that of the voice",
    },
    Setting {
        name: "GREETING_VOICE",
        default: Nothing,
        meaning: "one of Twilio's voices, such as Polly.Vicki-Neural; not set: Twilio's default",
    },
    Setting {
        name: "SILENCE_SECONDS",
        default: Value("5"),
        meaning: "seconds of silence that end the recording of a message: 1 to 600; 0 if silence never ends it",
    },
    Setting {
        name: "FINISH_ON_KEY",
        default: Value("#"),
        meaning: "the key that ends the recording of a message: a digit, # or *; none if no key ends it",
    },
    Setting {
        name: "OPERATOR_PHONES",
        default: Nothing,
        meaning: "phones at which you talk yourself, with + and country code, separated by commas; the first one is \"me\" in /dial/…?with=me",
    },
    Setting {
        name: "INBOUND",
        default: Value("record"),
        meaning: "what happens to calls to your Twilio number: record lets the caller leave a message; forward rings OPERATOR_PHONES first, ten at most, and records both sides",
    },
    Setting {
        name: "FORWARD_SECONDS",
        default: Value("25"),
        meaning: "how long a forwarded call rings at OPERATOR_PHONES before the caller can leave a message, in seconds: 5 to 600",
    },
    Setting {
        name: "DIAL_COUNTRIES",
        default: Derived("the country of TWILIO_PHONE_NUMBER"),
        meaning: "countries that may be called, as ISO codes separated by commas, such as US,CA; * for all",
    },
    Setting {
        name: "MAX_CALL_SECONDS",
        default: Value("3600"),
        meaning: "maximum length of a call, and thus of its recording, in seconds: 1 to 14400",
    },
    Setting {
        name: "DIAL_PER_MINUTE",
        default: Value("5"),
        meaning: "maximum number of calls placed within a minute, where a conversation counts as two, and of calls forwarded",
    },
    Setting { name: "DIAL_PER_HOUR", default: Value("30"), meaning: "the same within an hour" },
    Setting { name: "DIAL_PER_DAY", default: Value("100"), meaning: "the same within 24 hours" },
    Setting {
        name: "REDIAL_AFTER",
        default: Value("10m"),
        meaning: "a browser that reopens a /dial/ URL within this time sees the existing call and places no new one; such as 90s, 1h or 0s",
    },
    Setting {
        name: "DATABASE_URL",
        default: Value("sqlite://callscribe.db"),
        meaning: "where calls and transcripts are stored: sqlite://PATH, created if missing, or postgres://…",
    },
    Setting {
        name: "UPLOADS_FOLDER",
        default: Derived("beside the SQLite file, or in the temporary folder"),
        meaning: "folder for files that clients are sending, which are private, until AssemblyAI has them; created if missing",
    },
    Setting {
        name: "ARCHIVE_URL",
        default: Nothing,
        meaning: "where recordings are kept, too: a folder as file:///folder, or an S3 bucket as s3://bucket/prefix, which needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    },
    Setting { name: "AWS_ACCESS_KEY_ID", default: Nothing, meaning: "access key of the bucket in ARCHIVE_URL" },
    Setting {
        name: "AWS_SECRET_ACCESS_KEY",
        default: Nothing,
        meaning: "the secret that belongs to AWS_ACCESS_KEY_ID",
    },
    Setting { name: "AWS_REGION", default: Value("us-east-1"), meaning: "region of the bucket in ARCHIVE_URL" },
    Setting {
        name: "AWS_ENDPOINT_URL",
        default: Nothing,
        meaning: "URL of another S3-compatible server that has the bucket in ARCHIVE_URL, such as https://minio.example.com",
    },
    Setting {
        name: "WEBHOOKS",
        default: Nothing,
        meaning: "receivers of webhooks, which are notified of calls and transcripts, as https://…=whsec_…, separated by commas: the URL, = and the secret that signs; /webhooks adds more",
    },
    Setting {
        name: "WEBHOOKS_TO_PRIVATE_ADDRESSES",
        default: Value("false"),
        meaning: "true: receivers of webhooks may be on this computer and in private networks, and have http URLs",
    },
    Setting {
        name: "BIND_ADDR",
        default: Value("127.0.0.1:8000,[::1]:8000"),
        meaning: "addresses to listen on, separated by commas; those that other computers can reach require OPERATOR_TOKEN",
    },
    Setting {
        name: "OPERATOR_TOKEN",
        default: Nothing,
        meaning: "secret that lets an operator in from another computer (Bearer token, Basic password, or log-in page)",
    },
    Setting { name: "LOG_FORMAT", default: Value("text"), meaning: "text, or json for one JSON object per line" },
    Setting { name: "RUST_LOG", default: Value("info"), meaning: "log levels, such as info,callscribe=debug" },
    Setting {
        name: "SANDBOX_TWILIO_ADDR",
        default: Value("127.0.0.1:8001"),
        meaning: "where --sandbox serves the emulated Twilio",
    },
    Setting {
        name: "SANDBOX_ASSEMBLYAI_ADDR",
        default: Value("127.0.0.1:8002"),
        meaning: "where --sandbox serves the emulated AssemblyAI",
    },
];

/// # Panics
/// If the list has no such setting, so that nothing can be read that `--help` does not name.
pub(super) fn named(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).expect("every variable that is read is listed")
}

/// Letters that may be wrong, missing or too many in the name of a variable that is taken for a misspelled setting, as in
/// `BIND_ADDRESS`. `TEST_DATABASE_URL` has more.
const WRONG_LETTERS: usize = 3;

/// Names with fewer letters than this resemble too many others: one letter may be wrong.
const SHORT_NAME: usize = 8;

/// Longer names are not compared with settings, which takes time.
const LONGEST_NAME: usize = 64;

/// Returns the setting that this name resembles most. Returns `None` for the name of a setting.
pub(super) fn resembling(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_NAME || SETTINGS.iter().any(|setting| setting.name == name) {
        return None;
    }
    let letters = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_uppercase()).collect()
    };
    let given = letters(name);
    let given = given.strip_prefix("CALLSCRIBE").unwrap_or(&given);
    let measured = SETTINGS.iter().filter_map(|setting| {
        let letters = letters(setting.name);
        let wrong = strsim::damerau_levenshtein(given, &letters);
        let allowed = if given.len().min(letters.len()) < SHORT_NAME { 1 } else { WRONG_LETTERS };
        (wrong <= allowed).then_some((wrong, setting.name))
    });
    measured.min_by_key(|(wrong, _)| *wrong).map(|(_, setting)| setting)
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = String::from(concat!(
        "callscribe ",
        env!("CARGO_PKG_VERSION"),
        "\n\nCalls phone numbers through Twilio, records the calls, and transcribes the recordings with AssemblyAI.\n\n",
        "Usage: callscribe [check | --sandbox]\n",
        "       callscribe wer --reference FILE --hypothesis FILE [--normalize NAME] [--keyterms FILE]\n",
        "       callscribe upload FILE… [OPTIONS], see callscribe upload --help\n\n",
        "Options:\n",
        "      check      check the settings and end: ask both vendors about credentials and caller id, and look at\n",
        "                 BASE_URL; exit code 0 if nothing is wrong, 1 if something is, 2 for settings that cannot be read\n",
        "      wer        measure a transcript against what was said, and end: prints the word error rate and, of a file\n",
        "                 with one key term per line, how these came out, as JSON; exit code 2 if it cannot. Files are text or\n",
        "                 JSON of AssemblyAI; NAME is whisper-basic (default), assemblyai or none\n",
        "      upload     send files to a callscribe that runs, which transcribes them\n",
        "      --sandbox  run against built-in emulators of both vendors: no account, no settings, no real call\n",
        "  -h, --help     print this help\n",
        "  -V, --version  print the version\n\n",
        "While callscribe runs, it serves the manual at /help, such as http://localhost:8000/help.\n\n",
        "Settings are environment variables. A file .env in this folder, or in one above it, provides those that\n",
        "the environment does not set, unless another user can change it. --sandbox ignores the vendors' settings,\n",
        "BASE_URL and DATABASE_URL.\n",
    ));
    for Setting { name, default, meaning } in SETTINGS {
        let default = match default {
            Required => "required".to_owned(),
            Nothing => "not set".to_owned(),
            Value(value) => format!("default {value}"),
            Derived(source) => format!("default {source}"),
        };
        text += &format!("\n  {name} ({default})\n      {meaning}\n");
    }
    text
}

/// What `.env.example` holds.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of callscribe. Copy this file to .env and fill in the first five settings.\n\
         # Put single quotes around values with spaces, quotes or #.\n",
    );
    for Setting { name, default, meaning } in SETTINGS {
        let line = match default {
            Required => format!("{name}="),
            Nothing | Derived(_) => format!("# {name}="),
            Value(value) if value.contains([' ', '{', '#']) => format!("# {name}='{value}'"),
            Value(value) => format!("# {name}={value}"),
        };
        let default = match default {
            Required => " (required)".to_owned(),
            Derived(source) => format!(" (default {source})"),
            Nothing | Value(_) => String::new(),
        };
        text += &format!("\n# {meaning}{default}\n{line}\n");
    }
    text
}
