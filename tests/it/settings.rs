//! One list of settings: `--help`, `.env.example` and the manual match what the program reads.

use std::fs;

use callscribe::config::settings::{SETTINGS, Setting, Unset, env_example, help};
use callscribe::config::{Accounts, Config, Vendors};
use callscribe::internals::{Countries, Credentials};
use callscribe::sandbox::{assemblyai, twilio};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::command::{ENOUGH, Folder, Program, request, with};

/// A file of the repository.
fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a file of the repository")
}

fn config(settings: &[(&str, &str)]) -> Config {
    let variables = with(&ENOUGH[..6], settings).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::read(variables, false).expect("valid settings")
}

fn accounts(settings: &[(&str, &str)]) -> Accounts {
    match config(settings).vendors {
        Vendors::Accounts(accounts) => *accounts,
        Vendors::Sandbox { .. } => panic!("the sandbox was not requested"),
    }
}

#[test]
fn help_prints_the_list_of_settings() {
    for flag in ["--help", "-h"] {
        let ended = Program::start(Folder::new().path(), &[flag], &[]).end();
        assert_eq!(ended.code, Some(0));
        assert_eq!(ended.stdout.join("\n") + "\n", help());
        assert!(ended.stderr.is_empty());
    }
    insta::assert_snapshot!("help", help().replace(env!("CARGO_PKG_VERSION"), "<version>"));
}

#[test]
fn the_example_file_matches_the_list_of_settings() {
    assert_eq!(file(".env.example"), env_example());
}

#[test]
fn the_example_file_works_once_its_first_five_settings_are_filled_in() {
    let folder = Folder::new();
    let mut filled = file(".env.example");
    for (name, value) in &ENOUGH[..5] {
        filled = filled.replacen(&format!("\n{name}=\n"), &format!("\n{name}={value}\n"), 1);
    }
    let free_port = &ENOUGH[5..];
    folder.write(".env", &filled);
    Program::start(folder.path(), &[], free_port).address();

    // The same with every default uncommented.
    for Setting { name, .. } in SETTINGS {
        filled = filled.replace(&format!("\n# {name}="), &format!("\n{name}="));
    }
    folder.write(".env", &filled);
    Program::start(folder.path(), &[], free_port).address();
}

#[test]
fn the_manual_has_every_setting_with_its_default() {
    let manual = file("src/manual/settings.md");
    let rows = SETTINGS.iter().map(|Setting { name, default, meaning }| {
        let default = match default {
            Unset::Required => "required".to_owned(),
            Unset::Nothing => "–".to_owned(),
            Unset::Value(value) => format!("`{value}`"),
            Unset::Derived(source) => (*source).to_owned(),
        };
        format!("| `{name}` | {default} | {meaning} |\n")
    });
    let table = format!("| variable | default | meaning |\n|---|---|---|\n{}\n", rows.collect::<String>());
    assert!(manual.contains(&table), "src/manual/settings.md must hold this table:\n{table}");
}

#[test]
fn the_readme_and_the_manual_name_no_setting_that_is_not_read() {
    let pages = crate::manual::pages().into_iter().map(|name| format!("src/manual/{name}.md"));
    for name in pages.chain(["README.md".to_owned()]) {
        let text = file(&name);
        let is_part = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
        let words = text.split(|char| !is_part(char)).filter(|word| word.trim_matches('_').contains('_'));
        for word in words {
            assert!(SETTINGS.iter().any(|setting| setting.name == word), "{name} names {word}, which is not read");
        }
    }
}

#[test]
fn json_in_single_quotes_is_read_from_the_file_unchanged() {
    let options = r#"{"speaker_labels": true, "custom_spelling": [{"from": ["C#", "$HOME"], "to": "a \"b\""}]}"#;
    let folder = Folder::new();
    folder.write(".env", &format!("TRANSCRIPT_OPTIONS='{options}'\n"));
    let mut program = Program::sandbox(folder.path(), &[]);
    let body = json!({ "audio_url": "https://example.com/call.wav" }).to_string();
    let answer = request(&program.address(), "POST", "/transcribe", &body);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    let transcript: Value = serde_json::from_str(body).expect("JSON");
    let expected: Value = serde_json::from_str(options).expect("JSON");
    assert_eq!(transcript["speaker_labels"], expected["speaker_labels"]);
    assert_eq!(transcript["custom_spelling"], expected["custom_spelling"]);
}

#[test]
fn the_manuals_examples_of_options_can_be_pasted() {
    let manual = file("src/manual/transcripts.md");
    let lines: Vec<&str> =
        manual.lines().map(str::trim).filter(|line| line.starts_with("TRANSCRIPT_OPTIONS=")).collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let folder = Folder::new();
        folder.write(".env", line);
        Program::sandbox(folder.path(), &[]).address();
    }
}

#[test]
fn twilios_host_follows_from_edge_and_region() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "https://api.twilio.com/"),
        (&[("TWILIO_REGION", "ie1")], "https://api.ie1.twilio.com/"),
        (&[("TWILIO_EDGE", "dublin")], "https://api.dublin.us1.twilio.com/"),
        (&[("TWILIO_REGION", "ie1"), ("TWILIO_EDGE", "dublin")], "https://api.dublin.ie1.twilio.com/"),
        (&[("TWILIO_REGION", "us1")], "https://api.us1.twilio.com/"),
        (&[("TWILIO_API_URL", "http://127.0.0.1:8001"), ("TWILIO_REGION", "ie1")], "http://127.0.0.1:8001/"),
    ];
    for (settings, expected) in cases {
        assert_eq!(accounts(settings).twilio.api_url.as_str(), *expected);
    }
    let conflicting = config(&[("TWILIO_API_URL", "http://127.0.0.1:8001"), ("TWILIO_REGION", "ie1")]);
    assert_eq!(conflicting.warnings, ["TWILIO_API_URL is set, so TWILIO_REGION and TWILIO_EDGE are ignored"]);
}

#[test]
fn an_api_key_is_used_for_the_api_and_the_auth_token_for_signatures() {
    let exposed = |Credentials { user, password }: Credentials| (user, password.expose_secret().to_owned());
    let plain = accounts(&[]).twilio;
    assert_eq!(plain.auth_tokens.len(), 1);
    assert_eq!(exposed(plain.credentials), (twilio::ACCOUNT_SID.to_owned(), twilio::AUTH_TOKEN.to_owned()));

    let keyed = accounts(&[
        ("TWILIO_API_KEY", twilio::API_KEY_SID),
        ("TWILIO_API_SECRET", twilio::API_KEY_SECRET),
        ("TWILIO_SECONDARY_AUTH_TOKEN", "the-next-token"),
    ])
    .twilio;
    assert_eq!(keyed.account_sid, twilio::ACCOUNT_SID);
    assert_eq!(exposed(keyed.credentials), (twilio::API_KEY_SID.to_owned(), twilio::API_KEY_SECRET.to_owned()));
    let tokens: Vec<&str> = keyed.auth_tokens.iter().map(|token| token.expose_secret()).collect();
    assert_eq!(tokens, [twilio::AUTH_TOKEN, "the-next-token"]);
}

#[test]
fn assemblyais_eu_host_is_used_where_it_is_set() {
    assert_eq!(accounts(&[]).assemblyai.api_url.as_str(), "https://api.assemblyai.com/");
    let eu = accounts(&[("ASSEMBLYAI_API_URL", "https://api.eu.assemblyai.com")]);
    assert_eq!(eu.assemblyai.api_url.as_str(), "https://api.eu.assemblyai.com/");
    assert_eq!(eu.assemblyai.key.expose_secret(), assemblyai::API_KEY);
}

#[test]
fn callback_urls_start_with_base_url_without_a_double_slash() {
    for base in ["https://example.com/phones", "https://example.com/phones/"] {
        let urls = accounts(&[("BASE_URL", base)]).urls;
        assert_eq!(urls.record(None), "https://example.com/phones/record/");
        assert!(!urls.is_plain_http());
    }
    let plain = config(&[("BASE_URL", "http://example.com")]);
    assert_eq!(
        plain.warnings,
        ["BASE_URL is plain http: others on the network can read and change what the vendors send"]
    );
}

#[test]
fn key_terms_of_all_three_settings_are_merged_without_duplicates() {
    let folder = Folder::new();
    let path = folder.write("terms.txt", "\u{feff}Ahoy Street\r\n\r\n  order   forty two \n");
    let transcript = config(&[
        ("KEYTERMS", "Ahoy Street, Friday,"),
        ("KEYTERMS_FILE", &path),
        ("TRANSCRIPT_OPTIONS", r#"{"keyterms_prompt": ["Friday", "test call"], "multichannel": true}"#),
    ])
    .transcript;
    assert_eq!(transcript.keyterms.as_slice(), ["Ahoy Street", "Friday", "order forty two", "test call"]);
    assert_eq!(Value::Object(transcript.options), json!({ "multichannel": true }));
}

#[test]
fn settings_of_calls_that_have_no_effect_are_warned_of() {
    let phones = (0..11).map(|n| format!("+141555501{n:02}")).collect::<Vec<_>>();
    let (ten, eleven) = (phones[..10].join(","), phones.join(","));
    let warnings = |settings: &[(&str, &str)]| config(settings).warnings;
    assert_eq!(warnings(&[("OPERATOR_PHONES", &ten), ("INBOUND", "forward"), ("FORWARD_SECONDS", "9")]), [""; 0]);
    assert_eq!(
        warnings(&[("OPERATOR_PHONES", &eleven), ("INBOUND", "forward")]),
        ["INBOUND=forward rings only the first 10 of OPERATOR_PHONES"]
    );
    assert_eq!(warnings(&[("OPERATOR_PHONES", &eleven)]), [""; 0]);
    assert_eq!(warnings(&[("FORWARD_SECONDS", "25")]), ["FORWARD_SECONDS has no effect without INBOUND=forward"]);
    for (setting, calls) in [("DIAL_PER_MINUTE", "1"), ("DIAL_PER_HOUR", "1"), ("DIAL_PER_DAY", "0")] {
        let warning = format!("{setting} is {calls}, and a conversation counts as two calls: none can be dialed");
        assert_eq!(warnings(&[("OPERATOR_PHONES", &ten), (setting, calls)]), [warning]);
        assert_eq!(warnings(&[(setting, calls)]), [""; 0]);
        assert_eq!(warnings(&[("OPERATOR_PHONES", &ten), (setting, "2")]), [""; 0]);
    }
}

#[test]
fn a_variable_whose_name_resembles_a_settings_is_named_with_that_setting() {
    let warnings = |name: &str| config(&[(name, "canary")]).warnings;
    for (name, setting) in [
        ("OPERATER_TOKEN", "OPERATOR_TOKEN"),
        ("OPERATOR_TOKENS", "OPERATOR_TOKEN"),
        ("operator_token", "OPERATOR_TOKEN"),
        ("CALLSCRIBE_OPERATOR_TOKEN", "OPERATOR_TOKEN"),
        ("DAIL_COUNTRIES", "DIAL_COUNTRIES"),
        ("DIAL_COUNTRY", "DIAL_COUNTRIES"),
        ("KEY_TERMS", "KEYTERMS"),
        ("KEYTERM_FILE", "KEYTERMS_FILE"),
        ("TRANSCRIPTION_OPTIONS", "TRANSCRIPT_OPTIONS"),
        ("TRANSCRIBE_PER_DAYS", "TRANSCRIBE_PER_DAY"),
        ("BIND_ADDRESS", "BIND_ADDR"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("BASE_URI", "BASE_URL"),
        ("RUSTLOG", "RUST_LOG"),
        ("MAX_CALL_SECS", "MAX_CALL_SECONDS"),
        ("DIAL_PER_MIN", "DIAL_PER_MINUTE"),
        ("TWILIO_SECONDARY_AUTHTOKEN", "TWILIO_SECONDARY_AUTH_TOKEN"),
        ("ASSEMBLYAI_API_KEY", "ASSEMBLYAI_KEY"),
        ("TWILIO_API_KEY_SID", "TWILIO_API_KEY"),
    ] {
        assert_eq!(warnings(name), [format!("{name}: not a setting, so it is ignored; did you mean {setting}?")]);
    }
    for name in [
        "TEST_DATABASE_URL",
        "HOME",
        "PATH",
        "LANG",
        "RUST_BACKTRACE",
        "RUSTFLAGS",
        "RUST_LOG_STYLE",
        "BASE_DIR",
        "PGDATABASE",
        "TERM",
        "USER",
        "TWILIO_PROFILE",
        "TWILIO_LOG_LEVEL",
        "POSTGRES_URL",
        "GREP_OPTIONS",
        "NO_COLOR",
        "SSL_CERT_FILE",
        &"OPERATER_TOKEN".repeat(10_000),
    ] {
        assert_eq!(warnings(name), [""; 0], "{name}");
    }
    assert_eq!(config(&[("OPERATER_TOKEN", " ")]).warnings, [""; 0], "a blank variable counts as not set");
}

#[test]
fn a_misspelled_variable_is_named_in_the_log_and_beside_what_is_missing() {
    let misspelled = "OPERATER_TOKEN: not a setting, so it is ignored; did you mean OPERATOR_TOKEN?";
    let folder = Folder::new();
    folder.write(".env", "OPERATER_TOKEN=canary\n");
    let mut program = Program::start(folder.path(), &[], &ENOUGH);
    program.wait_for_log(misspelled);
    program.address();
    program.signal("TERM");
    assert!(!program.end().all().contains("canary"));

    let without_key = [&ENOUGH[..4], &[("ASSEMBLYAI_API_KEY", "canary")]].concat();
    let ended = Program::start(folder.path(), &[], &without_key).refused();
    assert_eq!(
        ended.stderr[..3],
        [
            "ASSEMBLYAI_API_KEY: not a setting, so it is ignored; did you mean ASSEMBLYAI_KEY?",
            misspelled,
            "ASSEMBLYAI_KEY: missing; expected your AssemblyAI API key",
        ]
    );
}

#[test]
fn a_setting_that_is_not_utf_8_is_refused_and_not_replaced_by_its_default() {
    let folder = Folder::new();
    let ended = Program::start_with_bytes(folder.path(), &ENOUGH, "GREETING", b"caf\xe9").refused();
    assert_eq!(ended.stderr[0], "GREETING: expected UTF-8");
}

#[test]
fn a_hangup_signal_reads_the_key_terms_of_the_file_again_and_says_so() {
    let folder = Folder::new();
    let path = folder.write("terms.txt", "Ahoy Street\n");
    let mut program = Program::sandbox(folder.path(), &[("KEYTERMS", "Friday"), ("KEYTERMS_FILE", &path)]);
    let address = program.address();
    let mut number = 0;
    let mut terms = || {
        number += 1;
        let body = json!({ "audio_url": format!("https://example.com/{number}.wav") }).to_string();
        let answer = request(&address, "POST", "/transcribe", &body);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str::<Value>(body).expect("JSON")["keyterms_prompt"].clone()
    };
    assert_eq!(terms(), json!(["Friday", "Ahoy Street"]));

    // Without a signal, within seconds.
    folder.write("terms.txt", "order forty-two\ntest call\n");
    program.wait_for_log("read KEYTERMS_FILE again");
    assert_eq!(terms(), json!(["Friday", "order forty-two", "test call"]));

    // What cannot be used changes nothing.
    folder.write("terms.txt", "one two three four five six seven\n");
    program.signal("HUP");
    program.wait_for_log(
        "the key terms stay as they were: KEYTERMS_FILE: the key term \"one two three four five six seven\" has 7 words",
    );
    fs::remove_file(&path).expect("it is gone");
    program.signal("HUP");
    program.wait_for_log("the key terms stay as they were: KEYTERMS_FILE: no such file");
    assert_eq!(terms(), json!(["Friday", "order forty-two", "test call"]));

    let mut without = Program::sandbox(folder.path(), &[]);
    without.address();
    without.signal("HUP");
    without.wait_for_log("KEYTERMS_FILE is not set, and no other setting is read again");
    without.signal("TERM");
    assert_eq!(without.end().code, Some(0));
}

#[test]
fn debug_shows_no_secret_and_no_whole_phone_number() {
    let config = config(&[
        ("TWILIO_AUTH_TOKEN", "canary-1"),
        ("TWILIO_SECONDARY_AUTH_TOKEN", "canary-2"),
        ("TWILIO_API_KEY", twilio::API_KEY_SID),
        ("TWILIO_API_SECRET", "canary-3"),
        ("ASSEMBLYAI_KEY", "canary-4"),
        ("OPERATOR_TOKEN", "canary-5"),
        ("DATABASE_URL", "postgres://callscribe:canary-6@database.example/callscribe"),
    ]);
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("canary") && !shown.contains("5005550006"), "{shown}");
    assert!(shown.contains("•••0006"));
}

#[test]
fn countries_are_read_in_any_case_and_are_required_if_our_own_number_has_none() {
    let countries = |settings: &[(&str, &str)]| config(settings).call.countries;
    assert_eq!(countries(&[]), Countries::Own);
    assert_eq!(countries(&[("DIAL_COUNTRIES", " * ")]), Countries::Any);
    assert_eq!(countries(&[("DIAL_COUNTRIES", "us, Ca,DO")]).to_string(), "US,CA,DO");

    let placeless = [("TWILIO_PHONE_NUMBER", "+15555550006")];
    let variables = |settings: &[(&'static str, &'static str)]| {
        with(&ENOUGH, settings).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let problems = Config::read(variables(&placeless), false).expect_err("no country");
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected =
        "DIAL_COUNTRIES: missing; TWILIO_PHONE_NUMBER has no known country, so expected ISO codes of countries";
    assert_eq!(problems, [expected]);
    let named = [placeless[0], ("DIAL_COUNTRIES", "US")];
    Config::read(variables(&named), false).expect("valid settings");
}
