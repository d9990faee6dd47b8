//! The list of all settings: what `--help` prints and `.env.example` holds. A variable that is not here cannot be read.

/// One environment variable.
#[derive(Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is not set.
    pub default: Unset,
    /// What it means, in lines of help.
    pub meaning: &'static str,
}

/// What holds where a variable is not set.
#[derive(Debug, PartialEq, Eq)]
pub enum Unset {
    /// The program does not start, except with `--sandbox`.
    Required,
    /// Nothing.
    Nothing,
    /// This value.
    Value(&'static str),
    /// What other settings say.
    Derived(&'static str),
}

use Unset::{Derived, Nothing, Required, Value};

/// Every setting, by area.
pub const SETTINGS: &[Setting] = &[
    Setting { name: "TWILIO_ACCOUNT_SID", default: Required, meaning: "AC and 32 hex digits, from Twilio's console" },
    Setting {
        name: "TWILIO_AUTH_TOKEN",
        default: Required,
        meaning: "the account's auth token: password of the API, and the key that Twilio's callbacks are signed with",
    },
    Setting {
        name: "TWILIO_PHONE_NUMBER",
        default: Required,
        meaning: "caller id: a number of the account with + and country code, such as +14155551234",
    },
    Setting {
        name: "BASE_URL",
        default: Required,
        meaning: "public address that Twilio and AssemblyAI call back to, such as https://example.ngrok.app",
    },
    Setting { name: "ASSEMBLYAI_KEY", default: Required, meaning: "AssemblyAI API key" },
    Setting {
        name: "TWILIO_API_KEY",
        default: Nothing,
        meaning: "API key (SK…) for the API instead of SID and auth token; goes with TWILIO_API_SECRET",
    },
    Setting { name: "TWILIO_API_SECRET", default: Nothing, meaning: "the secret of TWILIO_API_KEY" },
    Setting {
        name: "TWILIO_SECONDARY_AUTH_TOKEN",
        default: Nothing,
        meaning: "also accepted for callback signatures, while the auth token is being rotated",
    },
    Setting { name: "TWILIO_REGION", default: Nothing, meaning: "Twilio region, such as ie1: api.ie1.twilio.com" },
    Setting {
        name: "TWILIO_EDGE",
        default: Nothing,
        meaning: "Twilio edge, such as dublin: api.dublin.ie1.twilio.com (region us1 if none is set)",
    },
    Setting {
        name: "TWILIO_API_URL",
        default: Derived("from region and edge"),
        meaning: "another Twilio-compatible API, such as http://127.0.0.1:8001",
    },
    Setting {
        name: "ASSEMBLYAI_API_URL",
        default: Value(crate::clients::assemblyai::API_URL),
        meaning: "AssemblyAI's address; https://api.eu.assemblyai.com keeps data in the EU",
    },
    Setting {
        name: "ASSEMBLYAI_SPEECH_MODELS",
        default: Value(crate::clients::assemblyai::SPEECH_MODELS),
        meaning: "speech models in order of preference, comma separated",
    },
    Setting {
        name: "KEYTERMS",
        default: Nothing,
        meaning: "words and phrases of your field that transcripts must get right, comma separated",
    },
    Setting { name: "KEYTERMS_FILE", default: Nothing, meaning: "a file with more of them, one a line" },
    Setting {
        name: "TRANSCRIPT_OPTIONS",
        default: Value("{}"),
        meaning: "JSON object of AssemblyAI parameters for every transcript, such as '{\"speaker_labels\": true}'",
    },
    Setting {
        name: "GREETING",
        default: Value("Ahoy! Call recording starts now."),
        meaning: "what is said before the recording starts",
    },
    Setting {
        name: "DIAL_COUNTRIES",
        default: Derived("the country of TWILIO_PHONE_NUMBER"),
        meaning: "countries that may be dialled, as ISO codes, comma separated, such as US,CA; * for all",
    },
    Setting {
        name: "MAX_CALL_SECONDS",
        default: Value("3600"),
        meaning: "the longest that a call, and so its recording, may last: 1 to 14400",
    },
    Setting {
        name: "DIAL_PER_MINUTE",
        default: Value("5"),
        meaning: "the most calls that are dialled within a minute",
    },
    Setting { name: "DIAL_PER_HOUR", default: Value("30"), meaning: "the most calls that are dialled within an hour" },
    Setting { name: "DIAL_PER_DAY", default: Value("100"), meaning: "the most calls that are dialled within 24 hours" },
    Setting {
        name: "REDIAL_AFTER",
        default: Value("10m"),
        meaning: "a browser that opens the same /dial/ again within this time is shown the call there is; such as 90s, 1h or 0s",
    },
    Setting {
        name: "DATABASE_URL",
        default: Value("sqlite://callscribe.db"),
        meaning: "where calls and transcripts are kept: sqlite://<file>, made if it is not there, or postgres://…",
    },
    Setting {
        name: "BIND_ADDR",
        default: Value("127.0.0.1:8000,[::1]:8000"),
        meaning: "addresses to listen at, comma separated; any but this computer's own needs OPERATOR_TOKEN",
    },
    Setting {
        name: "OPERATOR_TOKEN",
        default: Nothing,
        meaning: "lets an operator in from elsewhere than this computer (Bearer, Basic password, or the log-in page)",
    },
    Setting { name: "LOG_FORMAT", default: Value("text"), meaning: "text, or json for one JSON object a line" },
    Setting { name: "RUST_LOG", default: Value("info"), meaning: "what is logged, such as info,callscribe=debug" },
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

/// The setting of this name.
///
/// # Panics
/// If the list lacks it, so that nothing can be read that `--help` does not name.
pub(super) fn named(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).expect("every variable that is read is listed")
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = String::from(concat!(
        "callscribe ",
        env!("CARGO_PKG_VERSION"),
        "\n\nDials phone calls through Twilio, records them, and turns the recordings into transcripts through AssemblyAI.\n\n",
        "Usage: callscribe [--sandbox]\n\n",
        "Options:\n",
        "      --sandbox  run against built-in emulators of both vendors: no accounts, no settings, no phone rings\n",
        "  -h, --help     print this\n",
        "  -V, --version  print the version\n\n",
        "Settings come from the environment; a file .env in this folder, or in one above it, fills in what the\n",
        "environment lacks. With --sandbox, those of the vendors, BASE_URL and DATABASE_URL are not needed and not used.\n",
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
        "# Settings of callscribe. Copy this file to .env and fill in the first five.\n\
         # A value with spaces, quotes or # goes between single quotes.\n",
    );
    for Setting { name, default, meaning } in SETTINGS {
        let line = match default {
            Required => format!("{name}="),
            Nothing | Derived(_) => format!("# {name}="),
            Value(value) => match value.contains([' ', '{', '#']) {
                true => format!("# {name}='{value}'"),
                false => format!("# {name}={value}"),
            },
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
