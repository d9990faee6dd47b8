//! The vendors' own Python libraries, with only their base URL changed, against the sandbox and the program.
//!
//! The libraries are not part of the build, so these tests run only where `CALLSCRIBE_TEST_PYTHON` names a Python that has
//! them:
//!
//! ```sh
//! python3 -m venv target/vendors && target/vendors/bin/pip install -r tests/it/requirements.txt
//! CALLSCRIBE_TEST_PYTHON=$PWD/target/vendors/bin/python cargo test --test it vendor_clients
//! ```

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use callscribe::sandbox::twilio::{self, Audio, Outcome, SeededRecording, Stage};
use callscribe::sandbox::{assemblyai, speech};
use serde_json::{Value, json};

use crate::support::{World, client, listen};

/// Returns the Python that has the libraries, or `None` if it is not set. Then panics if `REQUIRE_VENDOR_CLIENTS=1`.
pub(crate) fn test_python() -> Option<OsString> {
    let python = std::env::var_os("CALLSCRIBE_TEST_PYTHON");
    if python.is_none() {
        let reason = "CALLSCRIBE_TEST_PYTHON names no Python with tests/it/requirements.txt installed";
        assert!(std::env::var_os("REQUIRE_VENDOR_CLIENTS").is_none_or(|value| value != "1"), "{reason}");
        println!("skipped: {reason}");
    }
    python
}

/// Runs a function of `vendor_clients.py` in this world. Returns its result, or `None` if there is no Python to run it.
async fn python(world: &World, function: &str, more: &[(&str, &str)], input: Value) -> Option<Value> {
    let mut command = Command::new(test_python()?);
    command
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/vendor_clients.py"), function])
        .env_clear()
        .envs([("NO_PROXY", "*"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")])
        .envs([("TWILIO_API_URL", world.twilio.url()), ("TWILIO_ACCOUNT_SID", twilio::ACCOUNT_SID)])
        .envs([("TWILIO_AUTH_TOKEN", twilio::AUTH_TOKEN), ("TWILIO_PHONE_NUMBER", twilio::PHONE_NUMBER)])
        .envs([("TWILIO_API_KEY", twilio::API_KEY_SID), ("TWILIO_API_SECRET", twilio::API_KEY_SECRET)])
        .envs([("ASSEMBLYAI_API_URL", world.assemblyai.url()), ("ASSEMBLYAI_KEY", assemblyai::API_KEY)])
        .env("SPEECH", concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/speech/speech.wav"))
        .env("BASE_URL", &world.base)
        .envs(more.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("CALLSCRIBE_TEST_PYTHON starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A function that reads no input may exit before all of it is written.
        let _ = stdin.write_all(input.to_string().as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the process ends")
    });
    let output = running.await.expect("a thread that does not panic");
    assert!(output.status.success(), "{function}: {}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[tokio::test]
async fn twilios_library_places_follows_and_deletes_a_call() {
    let world = World::new().await;
    let Some(call) = python(&world, "places_and_follows_a_call", &[], Value::Null).await else { return };
    world.twilio.settled().await;
    assert_eq!(world.twilio.call_status(call.as_str().expect("a SID")), None);
    assert!(world.twilio.deliveries().iter().all(|delivery| delivery.status.is_some_and(|status| status < 300)));
}

#[tokio::test]
async fn twilios_library_hangs_up_a_live_call() {
    let world = World::new().await;
    world.twilio.hold(Stage::Completed);
    world.twilio.hold(Stage::RecordingProcessing);
    let Some(call) = python(&world, "hangs_up_a_live_call", &[], Value::Null).await else { return };
    assert_eq!(world.twilio.call_status(call.as_str().expect("a SID")).as_deref(), Some("completed"));
}

#[tokio::test]
async fn twilios_library_lists_only_what_is_asked_for() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    python(&world, "lists_only_what_is_asked_for", &[("CALL", &call)], Value::Null).await;
}

#[tokio::test]
async fn twilios_library_places_a_call_with_twiml_and_redirects_it() {
    let world = World::new().await;
    world.twilio.hold(Stage::Completed);
    let Some(done) = python(&world, "redirects_a_live_call", &[], Value::Null).await else { return };
    assert!(done[1].as_str().is_some_and(|words| words.contains("The sandbox does not support")), "{done}");
    world.twilio.release(Stage::Completed);
    world.twilio.settled().await;
    assert_eq!(world.twilio.call_status(done[0].as_str().expect("a SID")).as_deref(), Some("completed"));
}

#[tokio::test]
async fn twilios_library_connects_two_calls_and_downloads_both_channels() {
    let world = World::new().await;
    let Some(done) = python(&world, "connects_two_calls", &[], Value::Null).await else { return };
    let call = done["call"].as_str().expect("a SID");
    assert_eq!(done["recording"], json!(world.twilio.recordings_of(call)[0]));
    assert_eq!(done["sha256"], Audio::Bytes(speech::stereo()).sha256());
}

#[tokio::test]
async fn twilios_library_lists_fetches_and_deletes_recordings() {
    let world = World::new().await;
    let (call, first) = world.recorded_call().await;
    let second = world.twilio.add_recording(SeededRecording { call_sid: call.clone(), ..Default::default() });
    let others: Vec<String> = (0..5).map(|_| world.twilio.add_recording(SeededRecording::default())).collect();
    let done = python(&world, "lists_fetches_and_deletes_recordings", &[("CALL", &call)], Value::Null).await;
    let Some(done) = done else { return };
    assert_eq!(done["of_call"], json!([second, first]));
    let newest_first: Vec<&String> = others.iter().rev().chain([&second, &first]).collect();
    assert_eq!(done["of_account"], json!(newest_first));
    assert_eq!(done["sha256"], Audio::Speech.sha256());
    assert_eq!(world.twilio.recording_status(&others[4]), None);
}

#[tokio::test]
async fn twilios_library_raises_its_own_exception_with_twilios_code() {
    let world = World::new().await;
    let Some(codes) = python(&world, "is_refused_with_twilios_codes", &[], Value::Null).await else { return };
    let expected = json!({
        "an invalid number": [400, 21217],
        "a country": [400, 21215],
        "no number": [400, 21211],
        "a caller": [400, 21210],
        "an unknown call": [404, 20404],
        "a wrong token": [401, 20003],
    });
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn twilios_library_logs_in_with_an_api_key() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    python(&world, "logs_in_with_an_api_key", &[("CALL", &call)], Value::Null).await;
}

#[tokio::test]
async fn assemblyais_library_transcribes_a_file() {
    let world = World::new().await;
    let Some(done) = python(&world, "transcribes_a_file", &[], Value::Null).await else { return };
    assert_eq!(done["text"], speech::text());
    assert!(world.assemblyai.uploads()[0].is_speech);
    assert_eq!(world.assemblyai.transcripts()[0]["text"], "Deleted by user.");
    assert_eq!(world.assemblyai.transcripts()[0]["id"], done["id"]);
}

#[tokio::test]
async fn assemblyais_library_gets_what_it_asks_for_or_a_refusal() {
    let world = World::new().await;
    let Some(texts) = python(&world, "writes_what_is_asked_for", &[], Value::Null).await else { return };
    assert_eq!(texts[0], "Please Shipp order forty two to #### ######");
    for (index, lacking) in [(1, "sentiment_analysis"), (2, "language"), (3, "redact_pii_audio")] {
        let words = texts[index].as_str().expect("text");
        assert!(words.contains("The sandbox does not support") && words.contains(lacking), "{words}");
    }
}

#[tokio::test]
async fn assemblyais_library_raises_its_own_exception_with_assemblyais_words() {
    let world = World::new().await;
    let Some(words) = python(&world, "is_refused_in_assemblyais_words", &[], Value::Null).await else { return };
    let words = words.as_str().expect("text");
    assert!(words.contains("Authentication error, API token missing/invalid"), "{words}");
}

/// A callback in the form that `vendor_clients.py` expects.
type Callback = Value;

/// Starts a proxy in front of the program that records each of Twilio's callbacks and passes it on. Returns its address
/// and the record.
async fn recording_proxy(program: Arc<OnceLock<String>>) -> (String, Arc<Mutex<Vec<Callback>>>) {
    let listener = listen().await;
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let callbacks: Arc<Mutex<Vec<Callback>>> = Arc::default();
    let (own, record) = (base.clone(), Arc::clone(&callbacks));
    let pass_on = move |request: Request| {
        let (own, record, program) = (own.clone(), Arc::clone(&record), Arc::clone(&program));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
            let target = parts.uri.to_string();
            if let Some(signature) = parts.headers.get("x-twilio-signature") {
                let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
                let signature = signature.to_str().expect("base64");
                let callback = json!({ "url": format!("{own}{target}"), "form": form, "signature": signature });
                record.lock().expect("an unpoisoned lock").push(callback);
            }
            let program = program.get().expect("the program runs");
            let passed = client().request(parts.method, format!("{program}{target}")).headers(parts.headers);
            let answer = passed.body(body).send().await.expect("an answer");
            let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            let mut response: Response = (status, answer.bytes().await.expect("a body")).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
            response
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass_on)).await });
    (base, callbacks)
}

#[tokio::test]
async fn twilios_library_and_the_program_accept_the_signature_of_every_sandbox_callback() {
    let program = Arc::new(OnceLock::new());
    let (base, callbacks) = recording_proxy(Arc::clone(&program)).await;
    let world = World::with(&[("BASE_URL", &base)]).await;
    program.set(world.base.clone()).expect("the first value");

    for outcome in [Outcome::Answered, Outcome::HangsUp, Outcome::Silent, Outcome::TooShort, Outcome::Busy] {
        world.twilio.set_next_outcome(outcome);
        world.dial("14155551234").await;
        world.twilio.settled().await;
    }
    world.twilio.inbound_call(&format!("{base}/record/?a=b%20c&d=%C3%AB"), "+14155550000");
    let by_get = [
        ("To", "+14155551234"),
        ("From", twilio::PHONE_NUMBER),
        ("Url", &format!("{base}/record?x=1+2&y=")),
        ("Method", "GET"),
    ];
    let calls = format!("{}/2010-04-01/Accounts/{}/Calls.json", world.twilio.url(), twilio::ACCOUNT_SID);
    let request = world.http.post(calls).basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN)).form(&by_get);
    assert_eq!(request.send().await.expect("an answer").status(), 201);
    let unusual = [
        ("AccountSid", twilio::ACCOUNT_SID),
        ("CallSid", "CA00000000000000000000000000000000"),
        ("CallStatus", "ringing"),
        ("Empty", ""),
        ("Colors", "2"),
        ("Colors", "1"),
        ("Colors", "1"),
        ("Caller Name", "Zoë & Jörg + 1"),
    ];
    let unusual = unusual.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.twilio.send_callback(&format!("{base}/hooks/twilio/call?q=%2B1"), &unusual).await;
    world.twilio.settled().await;

    let deliveries = world.twilio.deliveries();
    for delivery in &deliveries {
        assert!(delivery.status.is_some_and(|status| status < 300), "{delivery:?}");
    }
    let callbacks = callbacks.lock().expect("an unpoisoned lock").clone();
    assert_eq!(callbacks.len(), deliveries.len());
    for path in ["/record/", "/record?", "/record/done/", "/hooks/twilio/call", "/hooks/twilio/recording"] {
        let matches = |callback: &Callback| callback["url"].as_str().is_some_and(|url| url.contains(path));
        assert!(callbacks.iter().any(matches), "{path}");
    }
    let checked = python(&world, "checks_the_signatures_of_callbacks", &[], json!(callbacks)).await;
    assert!(checked.is_none_or(|checked| checked == callbacks.len()));
}

#[tokio::test]
async fn the_program_accepts_only_requests_that_twilios_library_signed() {
    let world = World::new().await;
    let Some(answers) = python(&world, "signs_callbacks", &[], Value::Null).await else { return };
    let expected = json!({
        "a form": 204,
        "unusual values": 204,
        "a query beside the form": 204,
        "a query alone": 200,
        "an address without its port": 200,
        // The signature is valid, but the route expects a form.
        "JSON by its hash": 400,
        "another token": 403,
        "another parameter": 403,
        "another path": 403,
        "another body": 403,
    });
    assert_eq!(answers, expected);
}
