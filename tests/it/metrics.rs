//! `/metrics`: what has happened and what waits, as Prometheus reads it.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use callscribe::internals::Deadlines;
use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, World, assert_happened, fail_step, refuse, serve};
use crate::vendor_clients::test_python;

/// The samples of a scrape, by their names and labels as they are written.
struct Scrape(HashMap<String, f64>);

impl Scrape {
    async fn of(world: &World) -> Self {
        Self::read(&world.get("/metrics").await)
    }

    fn read(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            (sample.to_owned(), value.parse().expect("a number"))
        });
        Self(samples.collect())
    }

    /// The value of a sample; 0 if there is none.
    fn value(&self, sample: &str) -> f64 {
        self.0.get(sample).copied().unwrap_or_default()
    }

    fn count(&self, sample: &str) -> usize {
        self.value(sample) as usize
    }
}

fn event(subject: &str, state: &str) -> String {
    format!("callscribe_events_total{{subject=\"{subject}\",state=\"{state}\"}}")
}

fn requests(service: &str, operation: &str, outcome: &str) -> String {
    let labels = format!("service=\"{service}\",operation=\"{operation}\",outcome=\"{outcome}\"");
    format!("callscribe_vendor_request_duration_seconds_count{{{labels}}}")
}

fn responses(method: &str, route: &str, status: u16) -> String {
    let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
    format!("callscribe_http_request_duration_seconds_count{{{labels}}}")
}

#[tokio::test]
async fn prometheus_reads_all_of_it() {
    let world = World::with(&[("BUDGET_PER_DAY", "5")]).await;
    world.recorded_call().await;
    world.settle().await;
    let answer = world.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let Some(python) = test_python() else { return };
    let script = "import json, sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read; \
                  print(json.dumps({f.name: [f.type, f.unit, len(f.samples)] for f in read(sys.stdin.read())}))";
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("CALLSCRIBE_TEST_PYTHON starts");
    child.stdin.take().expect("a pipe").write_all(&answer.body).expect("the text is read");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the parser refuses it");
    let families: HashMap<String, (String, String, usize)> = serde_json::from_slice(&output.stdout).expect("JSON");
    for (name, kind, unit) in [
        ("callscribe_build", "info", ""),
        ("callscribe_http_request_duration_seconds", "histogram", "seconds"),
        ("callscribe_events", "counter", ""),
        ("callscribe_jobs", "gauge", ""),
        ("callscribe_jobs_oldest_due_age_seconds", "gauge", "seconds"),
        ("callscribe_budget_ordered_dollars", "gauge", "dollars"),
    ] {
        let (found_kind, found_unit, samples) = families.get(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((found_kind.as_str(), found_unit.as_str()), (kind, unit), "{name}");
        assert!(*samples > 0, "{name}");
    }
}

#[tokio::test]
async fn what_becomes_of_a_call_is_counted() {
    let world = World::new().await;
    let before = Scrape::of(&world).await;
    assert_eq!(before.value(&event("call", "dialing")), 0.0);
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let answer = world.get("/metrics").await;
    let after = Scrape::read(&answer);
    for (subject, state) in
        [("call", "dialing"), ("call", "completed"), ("recording", "completed"), ("transcript", "completed")]
    {
        assert_eq!(after.value(&event(subject, state)), 1.0, "{subject} {state}");
    }
    for (service, operation) in [
        ("twilio", "create_call"),
        ("twilio", "fetch_media"),
        ("assemblyai", "upload"),
        ("assemblyai", "create_transcript"),
        ("assemblyai", "fetch_transcript"),
    ] {
        assert!(after.count(&requests(service, operation, "ok")) >= 1, "{service} {operation}");
    }
    assert_eq!(after.count(&responses("GET", "/dial/{number}", 200)), 1);
    assert!(after.count(&responses("POST", "/hooks/twilio/call", 204)) >= 1);
    assert!(after.count("callscribe_database_transaction_duration_seconds_count{outcome=\"committed\"}") >= 4);
    assert!(after.count("callscribe_connections{slots=\"general\"}") >= 1, "that of the scrape");
    assert_eq!(after.value("callscribe_calls{progress=\"transcribing\"}"), 0.0);
    for secret in ["4155551234", &call, &recording] {
        assert!(!answer.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_vendor_that_fails_is_seen() {
    let world = World::new().await;
    let refused = "callscribe_vendor_credentials_refused{service=\"assemblyai\"}";
    assert_eq!(Scrape::of(&world).await.value(refused), 0.0);
    fail_step(&world.assemblyai.control, &Method::POST, "/v2/transcript", &refuse(401));
    world.recorded_call().await;
    world.settle().await;
    let scrape = Scrape::of(&world).await;
    assert!(scrape.count(&requests("assemblyai", "create_transcript", "unauthorized")) >= 1);
    assert_eq!(scrape.value(refused), 1.0);

    fail_step(&world.assemblyai.control, &Method::POST, "/v2/upload", &refuse(503));
    world.recorded_call().await;
    world.settle().await;
    assert!(Scrape::of(&world).await.count(&requests("assemblyai", "upload", "unavailable")) >= 1);
}

#[tokio::test]
async fn a_vendor_that_hangs_is_seen_as_a_timeout() {
    let short = Deadlines { answer: Duration::from_millis(300), repeated: Duration::ZERO, ..Deadlines::default() };
    let world = World::with_deadlines(&[], short).await;
    let (call, _) = world.recorded_call().await;
    fail_step(&world.twilio.control, &Method::GET, &format!("/Calls/{call}.json"), &Fault::Hang);
    world.after(Duration::from_secs(3_600)).await;
    assert!(Scrape::of(&world).await.count(&requests("twilio", "fetch_call", "timeout")) >= 1);
}

#[tokio::test]
async fn jobs_are_counted_by_state_and_a_late_one_is_seen_by_its_age() {
    let world = World::new().await;
    world.recorded_call().await;
    let due = "callscribe_jobs{kind=\"transcript\",state=\"due\"}";
    let age = "callscribe_jobs_oldest_due_age_seconds{kind=\"transcript\"}";
    let at_once = Scrape::of(&world).await;
    assert_eq!((at_once.value(due), at_once.value(age)), (1.0, 0.0));
    assert_eq!(at_once.value("callscribe_calls{progress=\"transcribing\"}"), 1.0);
    world.clock.advance(Duration::from_secs(600));
    let late = Scrape::of(&world).await;
    assert_eq!((late.value(due), late.value(age)), (1.0, 600.0));

    // AssemblyAI rejects what is wrong with the order.
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refuse(400));
    world.settle().await;
    let failed = Scrape::of(&world).await;
    assert_eq!((failed.value(due), failed.value(age)), (0.0, 0.0));
    assert_eq!(failed.value("callscribe_jobs{kind=\"transcript\",state=\"failed\"}"), 1.0);
    assert_eq!(failed.value(&event("transcript", "failed")), 1.0);
}

#[tokio::test]
async fn webhooks_that_wait_are_counted_with_the_age_of_the_oldest() {
    let world = World::with(&[("WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")]).await;
    let gone = serve(axum::Router::new().fallback(|| async { axum::http::StatusCode::SERVICE_UNAVAILABLE })).await;
    assert_eq!(world.post_json("/webhooks", &json!({"url": gone})).await.status, 201);
    world.recorded_call().await;
    world.settle().await;
    world.clock.advance(Duration::from_secs(900));
    let scrape = Scrape::of(&world).await;
    assert!(scrape.count("callscribe_deliveries_waiting{receivers=\"enabled\"}") >= 3);
    assert!(scrape.value("callscribe_deliveries_oldest_age_seconds{receivers=\"enabled\"}") >= 900.0);
    assert_happened(scrape.count(&requests("receiver", "deliver", "unavailable")), 1);
}

#[tokio::test]
async fn strangers_add_no_series() {
    let world = World::with(&[("OPERATOR_TOKEN", "a-long-operator-token-for-tests")]).await;
    let stranger = [("x-forwarded-for", "203.0.113.7")];
    for path in ["/calls", "/contacts/+14155551234", "/no/such/path", "/metrics"] {
        assert_eq!(world.get_with(path, &stranger).await.status, 401, "{path}");
        let method = Method::from_bytes(b"PROPFIND").expect("a method");
        assert_eq!(world.send(method, path, &stranger, "").await.status, 401, "{path}");
    }
    let token = [("authorization", "Bearer a-long-operator-token-for-tests"), ("x-forwarded-for", "203.0.113.7")];
    let scrape = Scrape::read(&world.get_with("/metrics", &token).await);
    assert_eq!(scrape.count(&responses("GET", "(none)", 401)), 4);
    assert_eq!(scrape.count(&responses("other", "(none)", 401)), 4);
    let of_responses =
        scrape.0.keys().filter(|sample| sample.starts_with("callscribe_http_request_duration_seconds_count"));
    assert_eq!(of_responses.count(), 2);
}

#[tokio::test]
async fn every_metric_of_the_manual_is_there() {
    let world = World::with(&[("BUDGET_PER_DAY", "5")]).await;
    world.recorded_call().await;
    world.settle().await;
    let manual = world.get("/help/metrics").await.text();
    let text = world.get("/metrics").await.text();
    let is_part = |char: char| char.is_ascii_lowercase() || char == '_';
    let mut names = 0;
    for part in manual.split(|char| !is_part(char)).filter(|name| name.starts_with("callscribe_")) {
        let is_there = text.lines().any(|line| line.split(['{', ' ']).next() == Some(part));
        let is_family = text.contains(&format!("# TYPE {part} "));
        assert!(is_there || is_family, "{part}");
        names += 1;
    }
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(manual.contains(family), "{family} is not in the manual");
    }
    assert!(names > 20, "{names}");
}
