//! How fast recordings become transcripts, and how much memory that takes: the program itself as a child process, between
//! vendors that are emulated here and answer after 50 ms. Beside it stands what the same requests take without it.
//!
//! `cargo bench --bench pipeline -- --recordings 1000 --database sqlite`; `--database postgres` wants
//! `TEST_DATABASE_URL`, as `.ci/postgres` sets it. It knows the program by its addresses, its store's URL and its log.

// Shared with the tests, which use more of them.
#[path = "../it/support/command.rs"]
#[expect(dead_code)]
mod command;
#[path = "../it/support/store.rs"]
#[expect(dead_code)]
mod store;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording};
use callscribe::sandbox::{assemblyai, twilio};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use command::{ENOUGH, Folder, Program, with};
use store::Database;

/// How late both vendors answer.
const LATENCY: Duration = Duration::from_millis(50);

/// The size of a recording's audio.
const AUDIO_BYTES: u64 = 100_000;

/// Callbacks that Twilio sends at once.
const CALLBACKS: usize = 32;

/// Recordings that the program has under way between the vendors at once, and so the yardstick, too.
const TRANSFERS: usize = 4;

/// What the program says of each transcript once it is stored.
const STORED: &str = "status=Completed";

/// What to measure.
struct Options {
    recordings: usize,
    database: Database,
    /// Its kind, as it was asked for.
    kind: String,
}

#[tokio::main]
async fn main() {
    let Options { recordings, database, kind } = options();
    let program = program(recordings, &database).await;
    let yardstick = yardstick(recordings).await;

    let seconds = program.time.as_secs_f64();
    println!("{recordings} recordings of {AUDIO_BYTES} bytes, vendors that answer after {LATENCY:?}, {kind}");
    println!("program      {seconds:7.2} s   {:7.1} transcripts/s", recordings as f64 / seconds);
    if let Some(bytes) = program.peak_memory {
        println!("peak memory  {:7.1} MB", bytes as f64 / 1e6);
    }
    println!(
        "yardstick    {:7.2} s   the same four requests, {TRANSFERS} recordings at a time",
        yardstick.as_secs_f64()
    );
    println!("ratio        {:7.2}", seconds / yardstick.as_secs_f64());
}

/// Reads the arguments. `cargo bench` adds `--bench`; without it, as in `cargo test --benches`, nothing is measured, and a
/// few recordings show that all this works.
fn options() -> Options {
    let mut recordings = if std::env::args().any(|argument| argument == "--bench") { 1_000 } else { 20 };
    let mut kind = "sqlite".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--recordings" => {
                recordings = arguments.next().and_then(|number| number.parse().ok()).expect("--recordings NUMBER");
            }
            "--database" => kind = arguments.next().expect("--database sqlite or postgres"),
            other => panic!("--recordings NUMBER and --database sqlite|postgres, not {other}"),
        }
    }
    let database = match kind.as_str() {
        "sqlite" => Database::sqlite(),
        "postgres" => Database::postgres(&store::server().expect("an address of PostgreSQL")),
        other => panic!("sqlite or postgres, not {other}"),
    };
    Options { recordings, database, kind }
}

/// Both vendors, with recordings that are finished.
struct Vendors {
    twilio: twilio::Twilio,
    assemblyai: assemblyai::AssemblyAi,
    recordings: Vec<String>,
}

impl Vendors {
    async fn start(recordings: usize) -> Self {
        let twilio = twilio::Twilio::start(listen().await, Pace::instant());
        let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
        for control in [&twilio.control, &assemblyai.control] {
            control.answer_after(LATENCY);
        }
        let seed = |_| {
            let call_sid = twilio.add_call(SeededCall::default());
            let audio = Audio::Marked { bytes: AUDIO_BYTES };
            twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() })
        };
        let recordings = (0..recordings).map(seed).collect();
        Self { twilio, assemblyai, recordings }
    }

    /// Each recording was paid for, once.
    fn check(&self) {
        let accepted = self.assemblyai.accepted_per_recording();
        let is_once = |recording: &String| accepted.get(recording) == Some(&1);
        assert!(accepted.len() == self.recordings.len() && self.recordings.iter().all(is_once), "each once");
    }
}

/// What the program needed.
struct Needed {
    time: Duration,
    /// In bytes, where the system tells.
    peak_memory: Option<u64>,
}

/// From the first callback to the last transcript that is stored.
async fn program(recordings: usize, database: &Database) -> Needed {
    let vendors = Vendors::start(recordings).await;
    // Nobody else looks for a port here between now and the program's start.
    let address = listen().await.local_addr().expect("a bound listener");
    let (base, address) = (format!("http://{address}"), address.to_string());
    let own = [
        ("BASE_URL", base.as_str()),
        ("BIND_ADDR", &address),
        ("DATABASE_URL", &database.url),
        ("TWILIO_API_URL", vendors.twilio.url()),
        ("ASSEMBLYAI_API_URL", vendors.assemblyai.url()),
    ];
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
    program.address();

    let begun = Instant::now();
    // The log is read in a thread of its own: it must not fill up while callbacks go out.
    let storing = tokio::task::spawn_blocking(move || {
        let mut stored = HashSet::new();
        while stored.len() < recordings {
            let line = program.wait_for_log(STORED);
            let id = line.split_whitespace().find(|word| word.starts_with("id=")).expect("an id").to_owned();
            stored.insert(id);
        }
        program
    });
    let (twilio, hook) = (&vendors.twilio, &format!("{base}/hooks/twilio/recording"));
    let tell = |recording: &String| {
        let recording = recording.clone();
        async move { assert_eq!(twilio.send_recording_callback(&recording, hook).await, Some(204)) }
    };
    stream::iter(&vendors.recordings).map(tell).for_each_concurrent(CALLBACKS, |told| told).await;
    let program = storing.await.expect("transcripts");
    let time = begun.elapsed();
    vendors.check();
    Needed { time, peak_memory: peak_memory(&program) }
}

#[cfg(target_os = "linux")]
fn peak_memory(program: &Program) -> Option<u64> {
    Some(program.peak_memory())
}

#[cfg(not(target_os = "linux"))]
fn peak_memory(_: &Program) -> Option<u64> {
    None
}

/// The requests that a transcript cannot be had without, and nothing else.
async fn yardstick(recordings: usize) -> Duration {
    let vendors = Vendors::start(recordings).await;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls()).no_proxy().build().expect("a client");
    let begun = Instant::now();
    let transcribe = |recording: &String| transcribe(&client, &vendors, recording.clone());
    stream::iter(&vendors.recordings).map(transcribe).for_each_concurrent(TRANSFERS, |done| done).await;
    let time = begun.elapsed();
    vendors.check();
    time
}

async fn transcribe(http: &reqwest::Client, vendors: &Vendors, recording: String) {
    let (twilio, assemblyai) = (vendors.twilio.url(), vendors.assemblyai.url());
    let account = twilio::ACCOUNT_SID;
    let media = http
        .get(format!("{twilio}/2010-04-01/Accounts/{account}/Recordings/{recording}.wav"))
        .basic_auth(account, Some(twilio::AUTH_TOKEN));
    let media = answer(media).await;
    let length = media.content_length().expect("a length");
    let audio = reqwest::Body::wrap_stream(media.bytes_stream());
    let asked = |request: reqwest::RequestBuilder| request.header("authorization", assemblyai::KEY);
    let upload = asked(http.post(format!("{assemblyai}/v2/upload"))).header("content-length", length).body(audio);
    let uploaded: Value = answer(upload).await.json().await.expect("JSON");
    let order = json!({ "audio_url": uploaded["upload_url"], "speech_models": ["universal-3-5-pro"] });
    let ordered = asked(http.post(format!("{assemblyai}/v2/transcript"))).json(&order);
    let ordered: Value = answer(ordered).await.json().await.expect("JSON");
    let id = ordered["id"].as_str().expect("an id");
    let look = asked(http.get(format!("{assemblyai}/v2/transcript/{id}")));
    let transcript: Value = answer(look).await.json().await.expect("JSON");
    assert_eq!(transcript["status"], "completed");
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Response {
    request.send().await.expect("an answer").error_for_status().expect("a good one")
}

/// Trusts nobody: it talks to this computer alone, without TLS.
fn tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let roots = rustls::RootCertStore::empty();
    versions.expect("default versions").with_root_certificates(roots).with_no_client_auth()
}

/// A free port of this computer.
async fn listen() -> TcpListener {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port")
}
