//! The program as a child process: flags, settings, output, and how it ends.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use callscribe::sandbox::{assemblyai, twilio};
use reqwest::Method;
use serde_json::Value;

use crate::support::command::{ENOUGH, Ended, Folder, Program, request, with};
use crate::support::listen;
use crate::support::store::Database;

const HINT: &str = "try it without accounts: cargo run -- --sandbox";

/// Starts the program in an empty folder and asserts that it refuses to run.
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let folder = Folder::new();
    let ended = Program::start(folder.path(), arguments, environment).refused();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    ended
}

/// Starts the program in this folder, waits until it listens, and ends it.
fn accepted(folder: &Folder, environment: &[(&str, &str)]) {
    Program::start(folder.path(), &[], environment).address();
}

fn env_file(variables: &[(&str, &str)]) -> String {
    variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn without_settings_each_missing_one_is_named_and_the_sandbox_hinted_at() {
    let ended = refused(&[], &[]);
    assert_eq!(
        ended.stderr,
        [
            "TWILIO_ACCOUNT_SID: missing; expected the account SID from Twilio's console: AC and 32 hex digits",
            "TWILIO_AUTH_TOKEN: missing; expected the account's auth token from Twilio's console, used as API password and to check callback signatures",
            "TWILIO_PHONE_NUMBER: missing; expected your Twilio number, from which calls are placed, with + and country code, such as +14155551234",
            "BASE_URL: missing; expected the public URL of this program, to which Twilio and AssemblyAI send callbacks, such as https://example.ngrok.app",
            "ASSEMBLYAI_KEY: missing; expected your AssemblyAI API key",
            HINT,
        ]
    );
}

#[test]
fn the_version_is_printed() {
    for flag in ["--version", "-V"] {
        let ended = Program::start(Folder::new().path(), &[flag], &[]).end();
        assert_eq!(ended.code, Some(0));
        assert_eq!(ended.stdout, [format!("callscribe {}", env!("CARGO_PKG_VERSION"))]);
        assert!(ended.stderr.is_empty());
    }
}

#[test]
fn an_unknown_option_is_named() {
    for option in ["--sandbx", "sandbox", "--port=8000", "--twilio-auth-token=canary=canary"] {
        let ended = refused(&["--sandbox", option], &[]);
        let name = option.split('=').next().expect("a name");
        assert_eq!(ended.stderr, [format!("{name}: unknown option; callscribe --help lists all options")]);
    }
}

#[test]
fn each_wrong_setting_ends_in_one_line_that_names_it_and_says_what_is_expected() {
    let folder = Folder::new();
    let many_terms = (1..=501).map(|number| format!("term {number}")).collect::<Vec<_>>().join(",");
    let long_file = folder.write("terms.txt", "short\none two three four five six seven\n");
    let no_file = folder.path().join("none.txt");
    let no_file = no_file.to_str().expect("a path in UTF-8");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let in_use = listener.local_addr().expect("a bound listener").to_string();

    const SID: &str = "expected AC and 32 hex digits";
    const TOKEN: &str = "expected printable ASCII characters without spaces";
    const NUMBER: &str = "expected + and 8 to 15 digits with the country code, such as +14155551234";
    const LABEL: &str = "expected a name of letters, digits and hyphens";
    const API: &str = "expected an http(s) URL without credentials, query or fragment";
    const SECONDS: &str = "expected a whole number of seconds from 1 to 14400";
    const COUNTRIES: &str = "expected ISO codes of countries, separated by commas, such as US,CA, or * for all";
    const OBJECT: &str = "expected a JSON object of AssemblyAI parameters, such as {\"speaker_labels\": true}";
    const LEVELS: &str = "expected levels and targets, such as info,callscribe=debug";
    const ADDRESS: &str = "expected IP address and port, such as 127.0.0.1:8000";
    const BASE: &str = "expected the public http(s) URL of this program, such as https://example.ngrok.app: ";
    let base = |what: &str| format!("{BASE}{what}");

    let cases: &[(&str, &str, &str)] = &[
        ("BASE_URL", "", "missing; expected the public URL"),
        ("BASE_URL", " \t ", "missing; expected the public URL"),
        ("BASE_URL", "https://example.com/my app", &base("it has spaces or non-ASCII characters")),
        ("BASE_URL", "https://bücher.example", &base("it has spaces or non-ASCII characters")),
        ("BASE_URL", "example.ngrok.app", &base("it is not a URL")),
        ("BASE_URL", "https://", &base("it is not a URL")),
        ("BASE_URL", "https://example.com:99999", &base("it is not a URL")),
        ("BASE_URL", "localhost:8000", &base("it starts with neither https:// nor http://")),
        ("BASE_URL", "ftp://example.com", &base("it starts with neither https:// nor http://")),
        ("BASE_URL", "https:/example.com", &base("it starts with neither https:// nor http://")),
        ("BASE_URL", "https://me@example.com", &base("it contains a user name or password")),
        ("BASE_URL", "https://me:word@example.com", &base("it contains a user name or password")),
        ("BASE_URL", "https://@example.com", &base("it contains a user name or password")),
        ("BASE_URL", "https://example.com?a=b", &base("it has a query or a fragment")),
        ("BASE_URL", "https://example.com/#top", &base("it has a query or a fragment")),
        ("BASE_URL", "https://my_host.example.com", &base("Twilio rejects host names with an underscore")),
        ("TWILIO_ACCOUNT_SID", "SK5a9db0c05a9db0c05a9db0c05a9db0c0", SID),
        ("TWILIO_ACCOUNT_SID", "AC5a9db0c05a9db0c05a9db0c05a9db0c", SID),
        ("TWILIO_ACCOUNT_SID", "AC5a9db0c05a9db0c05a9db0c05a9db0cg", SID),
        ("TWILIO_AUTH_TOKEN", "two words", TOKEN),
        ("TWILIO_AUTH_TOKEN", "two\nlines", TOKEN),
        ("TWILIO_SECONDARY_AUTH_TOKEN", "tökén", TOKEN),
        ("ASSEMBLYAI_KEY", "two words", TOKEN),
        ("OPERATOR_TOKEN", "two words", TOKEN),
        ("TWILIO_PHONE_NUMBER", "15005550006", NUMBER),
        ("TWILIO_PHONE_NUMBER", "+1500555", NUMBER),
        ("TWILIO_PHONE_NUMBER", "+05005550006", NUMBER),
        ("TWILIO_PHONE_NUMBER", "+1 (500) 555-0006", NUMBER),
        ("TWILIO_REGION", "ie1.example.com", LABEL),
        ("TWILIO_REGION", "xn--", LABEL),
        ("TWILIO_EDGE", "dublin/", LABEL),
        ("TWILIO_EDGE", "-", LABEL),
        ("TWILIO_API_URL", "nonsense", API),
        ("TWILIO_API_URL", "https://me:word@api.example.com", API),
        ("ASSEMBLYAI_API_URL", "ftp://api.example.com", API),
        ("ASSEMBLYAI_SPEECH_MODELS", "universal-2,,", "expected names of speech models, separated by commas"),
        ("DIAL_COUNTRIES", "US;CA", COUNTRIES),
        ("DIAL_COUNTRIES", "US,", COUNTRIES),
        ("DIAL_COUNTRIES", "US,*", COUNTRIES),
        ("DIAL_COUNTRIES", "001", COUNTRIES),
        (
            "DIAL_COUNTRIES",
            "US,uk",
            "UK is not the ISO code of a country with phone numbers; expected codes such as US,CA",
        ),
        ("DIAL_COUNTRIES", "SHORTEST", COUNTRIES),
        ("MAX_CALL_SECONDS", "0", SECONDS),
        ("MAX_CALL_SECONDS", "-1", SECONDS),
        ("MAX_CALL_SECONDS", "14401", SECONDS),
        ("MAX_CALL_SECONDS", "abc", SECONDS),
        (
            "KEYTERMS",
            "fine,one two three four five six seven",
            "the key term \"one two three four five six seven\" has 7 words; the maximum is 6",
        ),
        (
            "KEYTERMS",
            &many_terms,
            "the key terms have 1002 words, but assemblyai-stt-3-7 accepts at most 1000; the first one over the limit is \"term 501\"",
        ),
        ("KEYTERMS_FILE", no_file, "no such file"),
        (
            "KEYTERMS_FILE",
            &long_file,
            "the key term \"one two three four five six seven\" has 7 words; the maximum is 6",
        ),
        ("TRANSCRIPT_OPTIONS", "{speaker_labels: true}", OBJECT),
        ("TRANSCRIPT_OPTIONS", "[true]", OBJECT),
        ("TRANSCRIPT_OPTIONS", "{\"audio_url\": \"a\"}", "audio_url belongs in each request, not in a setting"),
        ("TRANSCRIPT_OPTIONS", "{\"keyterms_prompt\": [true]}", "expected keyterms_prompt to be a list of strings"),
        ("LOG_FORMAT", "xml", "expected text or json"),
        ("RUST_LOG", "callscribe=loud", LEVELS),
        ("RUST_LOG", "inof", LEVELS),
        ("BIND_ADDR", "nonsense", ADDRESS),
        ("BIND_ADDR", "localhost:8000", ADDRESS),
        ("BIND_ADDR", "127.0.0.1:0,", ADDRESS),
        ("BIND_ADDR", "0.0.0.0:0", "an address that other computers can reach requires OPERATOR_TOKEN"),
        ("BIND_ADDR", "127.0.0.1:0,[::]:0", "an address that other computers can reach requires OPERATOR_TOKEN"),
        ("BIND_ADDR", &in_use, &format!("{in_use} is in use by another program")),
    ];
    for (name, value, expected) in cases {
        println!("{name}={value}");
        let ended = refused(&[], &with(&ENOUGH, &[(name, value)]));
        let [line, HINT] = &ended.stderr.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
            panic!("{name}={value}: expected one line and the hint, not {:#?}", ended.stderr);
        };
        let message = line.strip_prefix(&format!("{name}: "));
        assert!(message.is_some_and(|message| message.starts_with(expected)), "{name}={value}: {line}");
    }

    for name in ["SANDBOX_TWILIO_ADDR", "SANDBOX_ASSEMBLYAI_ADDR"] {
        for (value, expected) in [("8001", ADDRESS), (&in_use, &format!("{in_use} is in use by another program"))] {
            let ended = Program::sandbox(folder.path(), &[(name, value)]).refused();
            assert_eq!((ended.code, &ended.stderr[..]), (Some(2), &[format!("{name}: {expected}")][..]));
        }
    }
}

#[test]
fn odd_but_valid_settings_are_accepted() {
    let folder = Folder::new();
    let terms = (1..=201).map(|number| format!("term {number}")).collect::<Vec<_>>().join(",");
    let file = folder.write("terms.txt", "\u{feff}Ahoy Street\r\n\r\n  order   forty two \n");
    let cases: &[&[(&str, &str)]] = &[
        &[("BASE_URL", "https://example.ngrok.app/")],
        &[("BASE_URL", "http://203.0.113.7:8080/phones")],
        &[("TWILIO_AUTH_TOKEN", " token-with-space-around-it ")],
        &[("TWILIO_REGION", ""), ("KEYTERMS_FILE", "  ")],
        &[("KEYTERMS", &terms)],
        &[("KEYTERMS_FILE", &file)],
        &[("MAX_CALL_SECONDS", "14400")],
        &[("BIND_ADDR", "0.0.0.0:0"), ("OPERATOR_TOKEN", "open-sesame")],
        &[("BIND_ADDR", "127.0.0.1:0, 127.0.0.1:0")],
    ];
    for settings in cases {
        accepted(&folder, &with(&ENOUGH, settings));
    }
}

#[test]
fn an_api_key_begins_with_sk_and_needs_its_secret() {
    let account = [("TWILIO_API_KEY", twilio::ACCOUNT_SID), ("TWILIO_API_SECRET", twilio::API_KEY_SECRET)];
    let ended = refused(&[], &with(&ENOUGH, &account));
    assert_eq!(ended.stderr, ["TWILIO_API_KEY: expected SK and 32 hex digits", HINT]);

    let halves = [
        ("TWILIO_API_KEY", twilio::API_KEY_SID, "TWILIO_API_SECRET"),
        ("TWILIO_API_SECRET", twilio::API_KEY_SECRET, "TWILIO_API_KEY"),
    ];
    for (half, value, other) in halves {
        let ended = refused(&[], &with(&ENOUGH, &[(half, value)]));
        assert_eq!(ended.stderr, [&format!("{other}: missing; {half} is set, and each needs the other"), HINT]);
    }
}

#[test]
fn one_run_reports_all_problems_in_the_order_of_the_help() {
    let wrong = [
        ("RUST_LOG", "callscribe=loud"),
        ("MAX_CALL_SECONDS", "0"),
        ("TWILIO_API_SECRET", "secret"),
        ("BASE_URL", "ftp://example.com"),
        ("TWILIO_ACCOUNT_SID", ""),
        ("BIND_ADDR", "0.0.0.0:0"),
    ];
    let ended = refused(&[], &with(&ENOUGH, &wrong));
    let named: Vec<&str> = ended.stderr.iter().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    let expected = ["TWILIO_ACCOUNT_SID", "BASE_URL", "TWILIO_API_KEY", "MAX_CALL_SECONDS", "BIND_ADDR", "RUST_LOG"];
    assert_eq!(named[..6], expected);
    assert_eq!(ended.stderr.len(), 7);
}

#[test]
fn the_value_of_a_wrong_setting_is_never_printed() {
    let mut cases: Vec<(&str, String)> = Vec::new();
    for name in ["AUTH_TOKEN", "SECONDARY_AUTH_TOKEN", "API_SECRET"].map(|name| format!("TWILIO_{name}")) {
        cases.push((name.leak(), "canary with spaces".to_owned()));
    }
    cases.extend(["ASSEMBLYAI_KEY", "OPERATOR_TOKEN"].map(|name| (name, "canary with spaces".to_owned())));
    // Secrets that were pasted into the wrong variable, or are part of another value.
    let not_secret = [
        "TWILIO_ACCOUNT_SID",
        "TWILIO_API_KEY",
        "TWILIO_PHONE_NUMBER",
        "MAX_CALL_SECONDS",
        "BIND_ADDR",
        "KEYTERMS_FILE",
        "LOG_FORMAT",
        "TWILIO_API_URL",
        "ASSEMBLYAI_API_URL",
    ];
    cases.extend(not_secret.map(|name| (name, "canary".to_owned())));
    cases.push(("TWILIO_REGION", "canary.".to_owned()));
    cases.push(("BASE_URL", "https://me:canary@example.com".to_owned()));
    cases.push(("RUST_LOG", "canary=canary".to_owned()));
    cases.push(("TRANSCRIPT_OPTIONS", "{\"webhook_auth_header_value\": canary}".to_owned()));

    let all: Vec<(&str, &str)> = cases.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ended = refused(&[], &all);
    assert!(!ended.all().contains("canary"), "{ended:#?}");
    for (name, _) in &cases {
        assert!(ended.stderr.iter().any(|line| line.starts_with(&format!("{name}: "))), "{name}: {ended:#?}");
    }
}

#[test]
fn the_env_file_fills_in_what_the_environment_lacks_and_the_environment_wins() {
    let folder = Folder::new();
    folder.write(".env", &env_file(&ENOUGH));
    accepted(&folder, &[]);
    // A blank variable counts as not set, so the file's value applies.
    accepted(&folder, &[("TWILIO_AUTH_TOKEN", ""), ("BASE_URL", "  ")]);

    folder.write(".env", &env_file(&with(&ENOUGH, &[("MAX_CALL_SECONDS", "0"), ("LOG_FORMAT", "xml")])));
    accepted(&folder, &[("MAX_CALL_SECONDS", "60"), ("LOG_FORMAT", "json")]);

    folder.write(".env", &env_file(&ENOUGH));
    let ended = Program::start(folder.path(), &[], &[("BASE_URL", "ftp://example.com")]).refused();
    assert!(ended.stderr[0].starts_with("BASE_URL: "), "{ended:?}");
}

/// Gives a file or link to another user. Returns `false` if only root could do that, who does not run this test.
fn give_away(path: &Path) -> bool {
    let given = std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).is_ok();
    if !given {
        println!("skipped: only root can give files to another user");
    }
    given
}

#[test]
fn an_env_file_that_another_user_can_change_is_not_read() {
    let (above, mine) = (Folder::new(), env_file(&with(&ENOUGH, &[("LOG_FORMAT", "json")])));
    let folder = above.path().join("below");
    fs::create_dir(&folder).expect("a folder");
    let stolen = env_file(&with(&ENOUGH, &[("ASSEMBLYAI_API_URL", "https://thief.example")]));
    let theirs = PathBuf::from(above.write(".env", &stolen));
    let not_read = |ignored: &Path, why: &str| {
        let ended = Program::start(&folder, &[], &[]).refused();
        let warning = format!("{}: {why}", ignored.display());
        assert_eq!((ended.code, &ended.stderr[0]), (Some(2), &warning), "{ended:#?}");
        assert!(ended.stderr[1].starts_with("TWILIO_ACCOUNT_SID: missing"), "{ended:#?}");
        // With settings of its own, the program starts, and says the same.
        Program::start(&folder, &[], &ENOUGH).wait_for_log(&warning);
    };
    fs::set_permissions(&theirs, Permissions::from_mode(0o666)).expect("permissions");
    not_read(&theirs, "can be changed by every user, so it is not read; chmod 600 it");
    fs::set_permissions(&theirs, Permissions::from_mode(0o664)).expect("permissions");
    if std::os::unix::fs::chown(&theirs, None, Some(65_534)).is_ok() {
        not_read(&theirs, "can be changed by other users of its group, so it is not read; chmod 600 it");
    }
    fs::set_permissions(&theirs, Permissions::from_mode(0o644)).expect("permissions");
    if give_away(&theirs) {
        const OTHERS: &str = "belongs to another user, so it is not read";
        not_read(&theirs, OTHERS);
        // A link of another user to a file of this one.
        fs::remove_file(&theirs).expect("it is gone");
        std::os::unix::fs::symlink(above.write("other.env", &stolen), &theirs).expect("a link");
        assert!(give_away(&theirs));
        not_read(&theirs, OTHERS);
        // A link of this user to a file of another one.
        fs::remove_file(&theirs).expect("it is gone");
        std::os::unix::fs::symlink(above.path().join("other.env"), &theirs).expect("a link");
        assert!(give_away(&above.path().join("other.env")));
        not_read(&theirs, OTHERS);
    }
    // One's own file further up is read, also if a group of one's own can change it.
    fs::remove_file(&theirs).expect("it is gone");
    above.write(".env", &mine);
    let user = fs::metadata(&theirs).expect("a file").uid();
    if std::os::unix::fs::chown(&theirs, None, Some(user)).is_ok() {
        fs::set_permissions(&theirs, Permissions::from_mode(0o664)).expect("permissions");
    }
    Program::start(&folder, &[], &[ENOUGH[5]]).address();
}

#[test]
fn an_env_file_that_others_can_read_is_warned_of() {
    let folder = Folder::new();
    let path = folder.write(".env", &env_file(&ENOUGH));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("permissions");
    let warning = format!("other users can read the settings: chmod 600 {path}");
    Program::start(folder.path(), &[], &[]).wait_for_log(&warning);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
    let mut program = Program::start(folder.path(), &[], &[]);
    program.address();
    program.signal("TERM");
    let ended = program.end();
    assert!(!ended.all().contains("chmod"), "{ended:#?}");
}

#[test]
fn credentials_go_by_plain_http_only_to_this_computer_or_to_a_host_that_a_setting_names() {
    for name in ["TWILIO_API_URL", "ASSEMBLYAI_API_URL"] {
        let expected =
            format!("{name}: expected https, or else the host's name in PLAIN_HTTP_HOSTS: others can read plain http");
        for url in ["http://vendor.example", "http://203.0.113.7:8001", "http://localhost.vendor.example"] {
            let ended = refused(&[], &with(&ENOUGH, &[(name, url)]));
            assert_eq!(ended.stderr, [expected.as_str(), HINT], "{url}");
        }
        for hosts in ["other.example", "example", "vendor.example.com"] {
            let ended = refused(&[], &with(&ENOUGH, &[(name, "http://vendor.example"), ("PLAIN_HTTP_HOSTS", hosts)]));
            assert_eq!(ended.stderr, [expected.as_str(), HINT], "{hosts}");
        }
        let folder = Folder::new();
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://vendor.example"] {
            accepted(&folder, &with(&ENOUGH, &[(name, url)]));
        }
        let named = [(name, "http://Vendor.example:80"), ("PLAIN_HTTP_HOSTS", "other.example, VENDOR.example")];
        accepted(&folder, &with(&ENOUGH, &named));
    }
}

#[test]
fn a_broken_line_in_the_env_file_is_reported_without_quoting_it() {
    let folder = Folder::new();
    let quotes = ".env: OPERATOR_TOKEN: expected single quotes around its value";
    let form = ".env: expected lines of the form NAME=value";
    for (line, expected) in [
        ("OPERATOR_TOKEN=canary and more", quotes),
        ("OPERATOR_TOKEN='canary", quotes),
        ("export OPERATOR_TOKEN=canary and more\nKEYTERMS='canary and more or less'", quotes),
        ("OTHER=canary and more", form),
        ("canary", form),
        ("a canary=b", form),
    ] {
        // The byte order mark must not affect the broken line.
        folder.write(".env", &format!("\u{feff}# a comment\n\n{}{line}\n", env_file(&ENOUGH)));
        let ended = Program::start(folder.path(), &[], &[]).refused();
        assert_eq!(ended.code, Some(2), "{line}");
        assert_eq!(ended.stderr, [expected, HINT], "{line}");

        // Problems of the file and of the environment are reported together.
        let ended = Program::start(folder.path(), &[], &[("LOG_FORMAT", "xml")]).refused();
        assert_eq!(ended.stderr, [expected, "LOG_FORMAT: expected text or json", HINT], "{line}");
    }
}

#[test]
fn the_sandbox_starts_without_settings_prints_its_credentials_and_stops_on_a_signal() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[]);
    let address = program.address();
    let healthy = request(&address, "GET", "/healthz", "");
    assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n") && healthy.ends_with("\r\n\r\nok\n"), "{healthy}");
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");

    let stdout = ended.stdout.join("\n");
    let (_, port) = address.rsplit_once(':').expect("a port");
    let credentials =
        [twilio::ACCOUNT_SID, twilio::AUTH_TOKEN, twilio::PHONE_NUMBER, assemblyai::API_KEY, "http://127.0.0.1:"];
    for text in credentials.into_iter().chain([format!("curl localhost:{port}/dial/14155551234").as_str()]) {
        assert!(stdout.contains(text), "{text} is not in {stdout}");
    }
    assert_eq!(ended.stdout.last(), Some(&format!("listening at http://{address}")));
    assert!(!ended.stderr.join("\n").contains(twilio::AUTH_TOKEN), "the log contains credentials");
}

#[test]
fn an_interrupt_stops_the_program_too() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[]);
    program.address();
    program.signal("INT");
    assert_eq!(program.end().code, Some(0));
}

/// Opens a connection, sends half a request, and waits until the program has accepted the connection.
fn half_a_request(address: &str) -> TcpStream {
    let mut half = TcpStream::connect(address).expect("a connection");
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost: loc").expect("a write that succeeds");
    // The program accepts connections in order, so this answer proves that it accepted the first one.
    request(address, "GET", "/healthz", "");
    half
}

#[test]
fn half_a_request_does_not_block_a_stop_forever() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[]);
    let mut half = half_a_request(&program.address());
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // The connection is closed or reset; either way the read returns.
    _ = half.read(&mut [0]);
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[]);
    let _half = half_a_request(&program.address());
    program.signal("TERM");
    program.wait_for_log("a second signal stops at once");
    program.signal("TERM");
    assert_eq!(program.end().code, Some(1), "the program waited for the half request");
}

#[test]
fn the_json_log_has_one_object_per_line_and_one_line_per_answer() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[("LOG_FORMAT", "json")]);
    let address = program.address();
    request(&address, "GET", "/healthz", "");
    request(&address, "GET", "/dial/123", "");
    program.signal("TERM");
    let ended = program.end();
    let lines: Vec<Value> = ended
        .stderr
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let responses: Vec<&Value> = lines.iter().filter(|line| line["message"] == "responded").collect();
    assert_eq!(responses.len(), 2, "{responses:#?}");
    assert_eq!((&responses[0]["status"], &responses[1]["status"]), (&200.into(), &400.into()));
    assert!(responses.iter().all(|line| line["ms"].is_u64()));
    assert_eq!(responses[1]["route"], "/dial/{number}");
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
}

/// The values of a field in all lines of a JSON log with this message.
fn logged<'l>(lines: &'l [Value], message: &str, name: &str) -> Vec<&'l str> {
    let with_message = lines.iter().filter(|line| line["message"] == message);
    // A field is either on the line itself or on its span.
    let value = |line: &'l Value| line[name].as_str().or_else(|| line["span"][name].as_str()).unwrap_or("(none)");
    with_message.map(value).collect()
}

#[test]
fn one_id_runs_through_all_lines_of_a_call() {
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), &[("LOG_FORMAT", "json")]);
    request(&program.address(), "GET", "/dial/14155551234", "");
    program.wait_for_log("\"Completed\"");
    program.signal("TERM");
    let ended = program.end();
    let lines: Vec<Value> = ended.stderr.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let id = logged(&lines, "dialed", "call")[0];
    assert_eq!(id.len(), 32, "{id}");
    for message in [
        "dialed",
        "received a call status",
        "received a recording status",
        "uploaded",
        "submitted to AssemblyAI",
        "transcript finished",
        "polled a call",
        "polled a transcript",
    ] {
        let calls = logged(&lines, message, "call");
        assert!(!calls.is_empty() && calls.iter().all(|call| *call == id), "{message}: {calls:?} in {lines:#?}");
    }
}

#[test]
fn the_sandbox_leaves_no_file_behind() {
    let folder = Folder::new();
    let temporary = folder.path().to_str().expect("a path in UTF-8");
    let mut program = Program::sandbox(folder.path(), &[("TMPDIR", temporary)]);
    request(&program.address(), "GET", "/dial/14155551234", "");
    assert!(!folder.files().is_empty(), "the store is in another folder");
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

#[test]
fn the_sandboxs_store_is_in_a_folder_that_others_cannot_enter_and_that_the_next_start_removes_after_a_kill() {
    let folder = Folder::new();
    let temporary = folder.path().to_str().expect("a path in UTF-8");
    // What was there before is neither used nor removed, whatever its name.
    let theirs = folder.path().join("callscribe-sandbox-theirs");
    std::os::unix::fs::symlink("/nowhere", &theirs).expect("a link");
    let of_file = folder.write("callscribe-sandbox-1.db", "not a database");
    let new = |known: &[PathBuf]| {
        let mut files = folder.files();
        files.retain(|file| *file != theirs && *file != Path::new(&of_file) && !known.contains(file));
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    };

    let mut killed = Program::sandbox(folder.path(), &[("TMPDIR", temporary)]);
    killed.address();
    let first = new(&[]);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&first), mode(&first.join("callscribe.db"))), (0o700, 0o600));
    killed.signal("KILL");
    killed.end();
    assert!(first.exists());

    let mut second = Program::sandbox(folder.path(), &[("TMPDIR", temporary)]);
    second.address();
    let second_store = new(&[]);
    let mut third = Program::sandbox(folder.path(), &[("TMPDIR", temporary)]);
    third.address();
    assert!(!first.exists() && second_store.exists(), "one is dead, and the other runs");
    assert_ne!(new(&[second_store]), first);
    assert!(theirs.is_symlink() && Path::new(&of_file).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_an_upload_and_the_next_start_completes_it() {
    let twilio = twilio::Twilio::start(listen().await, Pace::instant());
    let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
    let (folder, store) = (Folder::new(), Database::sqlite());
    let environment = [
        ("TWILIO_API_URL", twilio.url()),
        ("ASSEMBLYAI_API_URL", assemblyai.url()),
        ("DATABASE_URL", store.url.as_str()),
    ];
    let environment = with(&ENOUGH, &environment);
    let call_sid = twilio.add_call(SeededCall::default());
    twilio.mark_recordings();
    let recording = twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() });
    assemblyai.control.fail_next(Method::POST, "/v2/upload", Fault::Hang);

    let mut program = Program::start(folder.path(), &[], &environment);
    // A client requests the transcript, because Twilio's callback would go to the public address.
    let address = program.address();
    let client = thread::spawn({
        let body = format!("{{\"recording_sid\": \"{recording}\"}}");
        move || request(&address, "POST", "/transcribe", &body)
    });
    let is_uploading = || (!assemblyai.control.requests_to(Method::POST, "/v2/upload").is_empty()).then_some(());
    assemblyai.control.until(is_uploading).await;
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.all().contains("stopped before all requests"), "{ended:#?}");
    let answer = client.join().expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");

    let mut program = Program::start(folder.path(), &[], &environment);
    let address = program.address();
    let is_completed = || assemblyai.transcripts().iter().any(|one| one["status"] == "completed").then_some(());
    assemblyai.control.until(is_completed).await;
    program.wait_for_log("status=Completed");
    let shown = request(&address, "GET", &format!("/calls/{call_sid}"), "");
    assert!(shown.contains("\"progress\":\"done\"") && shown.contains(&recording), "{shown}");
    assert_eq!(assemblyai.accepted_per_recording().into_values().collect::<Vec<_>>(), [1]);
}
