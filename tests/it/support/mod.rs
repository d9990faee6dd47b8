//! The harness: the program and both emulated vendors in this process, on free ports, without any delays.

pub(crate) mod browser;
pub(crate) mod callbacks;
pub(crate) mod command;
pub(crate) mod front;
pub(crate) mod log;
#[cfg(target_os = "linux")]
pub(crate) mod measured;
pub(crate) mod navigation;
pub(crate) mod openapi;
mod panics;
pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod stream;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use callscribe::app::App;
use callscribe::config::{Config, WorkConfig};
use callscribe::internals::{Clock, Deadlines, now};
use callscribe::sandbox::control::{Control, Fault};
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::{assemblyai, twilio};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a dial request waits for the call SID, unless the test sets shorter deadlines. Long, for a loaded machine.
const DIAL_TIMEOUT: Duration = Duration::from_secs(60);

/// The program with its vendors. Nothing happens automatically: tests run due jobs and move the clock.
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) twilio: twilio::Twilio,
    pub(crate) assemblyai: assemblyai::AssemblyAi,
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) store: store::Database,
    _panics: panics::Watch,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl World {
    /// With default settings.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings that override the defaults. `BASE_URL` replaces the program's own address.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_deadlines(settings, Deadlines::default()).await
    }

    /// With deadlines for the vendors' answers. If they are short, dial requests do not wait long either.
    pub(crate) async fn with_deadlines(settings: &[(&str, &str)], deadlines: Deadlines) -> Self {
        let is_impatient = deadlines.answer < Deadlines::default().answer;
        let dial_timeout = if is_impatient { 2 * deadlines.answer } else { DIAL_TIMEOUT };
        Self::with_clock(settings, deadlines, Clock::manual(now()), dial_timeout).await
    }

    /// With a clock, which may differ from the vendors'. Dial requests wait for the call SID for `dial_timeout`, which must
    /// be longer than placing the calls takes.
    pub(crate) async fn with_clock(
        settings: &[(&str, &str)],
        deadlines: Deadlines,
        clock: Clock,
        dial_timeout: Duration,
    ) -> Self {
        log::start();
        #[cfg(feature = "failpoints")]
        if let Some(plan) = callscribe::config::failpoints() {
            callscribe::failpoint::arm(&plan);
        }
        let twilio = twilio::Twilio::start(listen().await, Pace::instant());
        let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("a bound listener"));

        let store = store::Database::new();
        let mut variables = variables(&base, twilio.url(), assemblyai.url());
        variables.push(("DATABASE_URL".to_owned(), store.url.clone()));
        variables.push(("UPLOADS_FOLDER".to_owned(), store.uploads()));
        variables.extend(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let mut config = Config::read(variables, false).expect("settings that fit");
        config.deadlines = deadlines;
        config.work = WorkConfig {
            automatic: false,
            checks_settings: false,
            clock: clock.clone(),
            dial_timeout,
            ..WorkConfig::default()
        };
        let app = App::start(config, vec![listener]).await.expect("a program that starts");
        Self { base, http: client(), twilio, assemblyai, app, clock, store, _panics: panics::Watch::start() }
    }

    /// Starts another instance with the same store, vendors and clock.
    pub(crate) async fn another_app(&self) -> App {
        self.another_app_with(&[], false).await
    }

    /// The same with settings that override the defaults. `automatic` makes it run due jobs automatically.
    pub(crate) async fn another_app_with(&self, settings: &[(&str, &str)], automatic: bool) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        self.another_app_at(listener, settings, automatic).await
    }

    /// The same, on this listener.
    pub(crate) async fn another_app_at(
        &self,
        listener: TcpListener,
        settings: &[(&str, &str)],
        automatic: bool,
    ) -> App {
        let WorkConfig { patience, .. } = WorkConfig::default();
        self.another_app_with_patience(listener, settings, automatic, patience).await
    }

    /// The same. Requests from this computer wait this long for a look at `BASE_URL`.
    pub(crate) async fn another_app_with_patience(
        &self,
        listener: TcpListener,
        settings: &[(&str, &str)],
        automatic: bool,
        patience: Duration,
    ) -> App {
        let mut variables = variables(&self.base, self.twilio.url(), self.assemblyai.url());
        variables.push(("DATABASE_URL".to_owned(), self.store.url.clone()));
        variables.push(("UPLOADS_FOLDER".to_owned(), self.store.uploads()));
        variables.extend(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let mut config = Config::read(variables, false).expect("settings that fit");
        config.work = WorkConfig {
            automatic,
            checks_settings: false,
            clock: self.clock.clone(),
            dial_timeout: DIAL_TIMEOUT,
            patience,
        };
        App::start(config, vec![listener]).await.expect("a program that starts")
    }

    /// Another program at the same store, listening at a free port. Returns its address, too.
    pub(crate) async fn another_app_with_url(&self, settings: &[(&str, &str)]) -> (App, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
        (self.another_app_at(listener, settings, false).await, url)
    }

    /// Runs all due jobs, and waits for what follows from them at both vendors.
    pub(crate) async fn settle(&self) {
        loop {
            self.twilio.settled().await;
            self.assemblyai.settled().await;
            if self.app.run_due_jobs().await == 0 {
                break;
            }
        }
        // A database that a test has broken tells nothing.
        if let Ok(misplaced) = self.app.misplaced_calls().await {
            assert_eq!(misplaced, Vec::<String>::new(), "a change of these calls is in no list");
        }
    }

    /// Moves the clock, then runs all due jobs.
    pub(crate) async fn after(&self, time: Duration) {
        self.clock.advance(time);
        self.settle().await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// GET with headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await
    }

    /// POST of a form that is already encoded.
    pub(crate) async fn post_form(&self, path: &str, form: &str) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/x-www-form-urlencoded")], form).await
    }

    /// POST of JSON.
    pub(crate) async fn post_json(&self, path: &str, json: &Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], &json.to_string()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        });
        let request = self.http.request(method, format!("{}{path}", self.base)).headers(headers.collect());
        let answer = Answer::of(request.body(body.to_owned()).send().await.expect("an answer")).await;
        assert_ne!(answer.status, 500, "{path}: {}", answer.text());
        answer
    }

    /// Sends the bytes as they are. Returns what comes back until the connection is closed.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let address = self.base.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("bytes are taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the connection ends");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Like [`World::raw`], but parses the one response. The request must ask to close the connection.
    pub(crate) async fn raw_answer(&self, request: &str) -> Answer {
        let answer = self.raw(request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer, not {answer:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.parse::<HeaderName>().expect("a header's name"), value.parse().expect("a header's value"))
        });
        Answer { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
    }

    /// Dials. Returns the call SID.
    pub(crate) async fn dial(&self, number: &str) -> String {
        let answer = self.get(&format!("/dial/{number}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.call_sid()
    }

    /// Dials and lets the call end. Returns the call SID and the recording SID.
    pub(crate) async fn recorded_call(&self) -> (String, String) {
        let call = self.dial("14155551234").await;
        self.twilio.settled().await;
        let recordings = self.twilio.recordings_of(&call);
        assert_eq!(recordings.len(), 1);
        (call, recordings[0].clone())
    }

    /// The URL of a recording's audio at the emulated Twilio.
    pub(crate) fn media_url(&self, recording: &str) -> String {
        format!("{}/2010-04-01/Accounts/{}/Recordings/{recording}", self.twilio.url(), twilio::ACCOUNT_SID)
    }

    /// A call as JSON, from `/calls/<sid>`.
    pub(crate) async fn call(&self, sid: &str) -> Value {
        let answer = self.get(&format!("/calls/{sid}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The number of requests to place a call.
    pub(crate) fn calls_placed(&self) -> usize {
        usize::try_from(self.twilio.control.request_count(Method::POST, "/Calls.json")).expect("a number of calls")
    }

    /// How many requests of the program both vendors have received. Callbacks of other tests do not count: the port may have been
    /// that of their program, which has ended.
    pub(crate) fn vendor_requests(&self) -> usize {
        let count = |control: &Control, api: &str| {
            control.requests().iter().filter(|request| request.target.starts_with(api)).count()
        };
        count(&self.twilio.control, "/2010-04-01/") + count(&self.assemblyai.control, "/v2/")
    }

    /// The bodies of all transcript requests, oldest first.
    pub(crate) fn transcript_requests(&self) -> Vec<Value> {
        let seen = self.assemblyai.control.requests_to(Method::POST, "/v2/transcript");
        seen.iter().map(|seen| serde_json::from_slice(&seen.body).expect("JSON")).collect()
    }
}

impl Answer {
    /// Reads the whole response.
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("a whole body").to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON, not {}", self.text()))
    }

    /// The call SID at the end of `dialing +14155551234. call SID is: CA…`.
    pub(crate) fn call_sid(&self) -> String {
        self.text().trim().rsplit(' ').next().expect("a last word").to_owned()
    }

    /// The header's value, or an empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a printable header"))
    }

    /// Asserts a problem of this status and type. Returns its detail.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:callscribe:problem:{kind}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        problem["detail"].as_str().expect("a detail").to_owned()
    }
}

/// A vendor's refusal without a `Retry-After`.
pub(crate) fn refuse(status: u16) -> Fault {
    Fault::Refuse { status, retry_after: None }
}

/// Whether every step aborts once at every failpoint and is repeated: then requests that may be repeated are.
pub(crate) fn steps_repeat() -> bool {
    cfg!(feature = "failpoints") && std::env::var_os("FAIL").is_some()
}

/// Asserts how often something happened that may be repeated: at least this often if steps repeat.
pub(crate) fn assert_happened(times: usize, expected: usize) {
    let fits = if steps_repeat() { times >= expected } else { times == expected };
    assert!(fits, "{times} times, expected {expected}");
}

/// Plans a fault for the next request that may be repeated, and for its repetitions if steps repeat.
pub(crate) fn fail_step(control: &Control, method: &Method, path: &str, fault: &Fault) {
    for _ in 0..if steps_repeat() { 20 } else { 1 } {
        control.fail_next(method.clone(), path, fault.clone());
    }
}

/// The settings of an instance that uses these vendors.
pub(crate) fn variables(base: &str, twilio_url: &str, assemblyai_url: &str) -> Vec<(String, String)> {
    [
        ("TWILIO_ACCOUNT_SID", twilio::ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", twilio::AUTH_TOKEN),
        ("TWILIO_PHONE_NUMBER", twilio::PHONE_NUMBER),
        ("TWILIO_API_URL", twilio_url),
        ("BASE_URL", base),
        ("ASSEMBLYAI_KEY", assemblyai::API_KEY),
        ("ASSEMBLYAI_API_URL", assemblyai_url),
        // Tests dial more often than people.
        ("DIAL_PER_MINUTE", "1000000"),
        ("DIAL_PER_HOUR", "1000000"),
        ("DIAL_PER_DAY", "1000000"),
        ("TRANSCRIBE_PER_DAY", "*"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A client that follows no redirects, trusts no certificate authority and keeps no connection: on a slow machine, the
/// program may close an idle one at the moment that a request is sent over it.
pub(crate) fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().pool_max_idle_per_host(0);
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// A free port of this computer.
pub(crate) async fn listen() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// Serves these routes on a free port. Returns the address.
pub(crate) async fn serve(router: axum::Router) -> String {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
