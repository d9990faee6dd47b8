//! How fast the program turns recordings into transcripts, and with how much memory, between sandbox vendors. The yardstick
//! is the time of the same requests without the program.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording};
use callscribe::sandbox::{assemblyai, twilio};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::callbacks::listen;
use crate::command::{ENOUGH, Folder, Program, with};
use crate::store::Database;

/// The size of each recording's audio, in bytes.
pub(crate) const AUDIO_BYTES: u64 = 100_000;

/// Number of callbacks that Twilio sends concurrently.
const CALLBACKS: usize = 32;

/// Concurrent transfers of the program, and so of the yardstick.
const TRANSFERS: usize = 4;

/// Part of the log line for each stored transcript.
const STORED: &str = "status=Completed";

/// Both vendors, with completed recordings.
struct Vendors {
    twilio: twilio::Twilio,
    assemblyai: assemblyai::AssemblyAi,
    recordings: Vec<String>,
}

impl Vendors {
    async fn start(recordings: usize, latency: Duration) -> Self {
        let twilio = twilio::Twilio::start(listen().await, Pace::instant());
        let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
        for control in [&twilio.control, &assemblyai.control] {
            control.set_latency(latency);
        }
        let seed = |_| {
            let call_sid = twilio.add_call(SeededCall::default());
            let audio = Audio::Marked { bytes: AUDIO_BYTES };
            twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() })
        };
        let recordings = (0..recordings).map(seed).collect();
        Self { twilio, assemblyai, recordings }
    }

    /// Asserts that AssemblyAI accepted each recording exactly once.
    fn check(&self) {
        let accepted = self.assemblyai.accepted_per_recording();
        let is_once = |recording: &String| accepted.get(recording) == Some(&1);
        assert!(
            accepted.len() == self.recordings.len() && self.recordings.iter().all(is_once),
            "not each recording was submitted once"
        );
    }
}

/// Time and memory of a run.
pub(crate) struct Usage {
    pub(crate) time: Duration,
    /// In bytes; `None` where the system does not report it.
    pub(crate) peak_memory: Option<u64>,
}

/// Measures the program from the first callback to the last stored transcript.
pub(crate) async fn program(recordings: usize, latency: Duration, database: &Database) -> Usage {
    let vendors = Vendors::start(recordings, latency).await;
    // Nothing else binds a port between now and the program's start.
    let address = listen().await.local_addr().expect("a bound listener");
    let (base, address) = (format!("http://{address}"), address.to_string());
    let own = [
        ("BASE_URL", base.as_str()),
        ("BIND_ADDR", &address),
        ("DATABASE_URL", &database.url),
        ("TRANSCRIBE_PER_DAY", "*"),
        ("TWILIO_API_URL", vendors.twilio.url()),
        ("ASSEMBLYAI_API_URL", vendors.assemblyai.url()),
    ];
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
    program.address();

    let begun = Instant::now();
    // A thread of its own reads the log, so that the pipe does not fill up while callbacks are sent.
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
    let send = |recording: &String| {
        let recording = recording.clone();
        async move { assert_eq!(twilio.send_recording_callback(&recording, hook).await, Some(204)) }
    };
    stream::iter(&vendors.recordings).map(send).for_each_concurrent(CALLBACKS, |sent| sent).await;
    let program = storing.await.expect("transcripts");
    let time = begun.elapsed();
    vendors.check();
    Usage { time, peak_memory: peak_memory(&program) }
}

#[cfg(target_os = "linux")]
fn peak_memory(program: &Program) -> Option<u64> {
    Some(program.peak_memory())
}

#[cfg(not(target_os = "linux"))]
fn peak_memory(_: &Program) -> Option<u64> {
    None
}

/// Measures only the requests that each transcript needs.
pub(crate) async fn yardstick(recordings: usize, latency: Duration) -> Duration {
    let vendors = Vendors::start(recordings, latency).await;
    let client = crate::http::client();
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
    let with_key = |request: reqwest::RequestBuilder| request.header("authorization", assemblyai::API_KEY);
    let upload = with_key(http.post(format!("{assemblyai}/v2/upload"))).header("content-length", length).body(audio);
    let uploaded: Value = answer(upload).await.json().await.expect("JSON");
    let body = json!({ "audio_url": uploaded["upload_url"], "speech_models": ["assemblyai-stt-3-7"] });
    let submit = with_key(http.post(format!("{assemblyai}/v2/transcript"))).json(&body);
    let submitted: Value = answer(submit).await.json().await.expect("JSON");
    let id = submitted["id"].as_str().expect("an id");
    loop {
        let poll = with_key(http.get(format!("{assemblyai}/v2/transcript/{id}")));
        let transcript: Value = answer(poll).await.json().await.expect("JSON");
        if transcript["status"] == "completed" {
            return;
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Response {
    request.send().await.expect("an answer").error_for_status().expect("a success")
}
