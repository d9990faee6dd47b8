//! How fast the program turns recordings into transcripts, and with how much memory, between sandbox vendors: those that Twilio
//! reports, and those of an import. The yardstick is the time of the same requests without the program.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording};
use callscribe::sandbox::{assemblyai, twilio};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::callbacks::listen;
use crate::command::{ENOUGH, Folder, Program, with};
use crate::store::Database;

/// The size of each recording's audio, in bytes.
pub(crate) const AUDIO_BYTES: u64 = 100_000;

/// Number of callbacks that Twilio sends concurrently.
const CALLBACKS: usize = 32;

/// Concurrent deletions of the program, and so of the yardstick.
const DELETIONS: usize = 24;

/// Concurrent transfers of the program, and so of the yardstick.
const TRANSFERS: usize = 4;

/// Recordings on a page of the list that an import reads.
const LISTED: usize = 50;

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

    /// What Twilio answers at this path.
    async fn twilio_says(&self, http: &reqwest::Client, path: &str) -> Value {
        let request = http.get(format!("{}{path}", self.twilio.url()));
        let request = request.basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN));
        answer(request).await.json().await.expect("JSON")
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

/// Starts the program between these vendors. Returns its address, too.
async fn start(vendors: &Vendors, folder: &Folder, database: &Database) -> (Program, String) {
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
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
    program.address();
    (program, base)
}

/// Waits until the log has this many stored transcripts. A thread of its own reads it, so that the pipe does not fill up while
/// something else is sent.
fn stored(mut program: Program, recordings: usize) -> JoinHandle<Program> {
    tokio::task::spawn_blocking(move || {
        let mut stored = HashSet::new();
        while stored.len() < recordings {
            let line = program.wait_for_log(STORED);
            let id = line.split_whitespace().find(|word| word.starts_with("id=")).expect("an id").to_owned();
            stored.insert(id);
        }
        program
    })
}

/// Measures the program from the first callback to the last stored transcript.
pub(crate) async fn program(recordings: usize, latency: Duration, database: &Database) -> Usage {
    let transcribed = Transcribed::start(recordings, latency, database).await;
    Usage { time: transcribed.time, peak_memory: peak_memory(&transcribed.program) }
}

/// Measures the deletion of that many calls, each with its recording and its transcript, by a filter: from the request until
/// the last one is gone at both vendors and here.
pub(crate) async fn deletion(calls: usize, latency: Duration, database: &Database) -> Duration {
    let Transcribed { vendors, program: _program, base, .. } = Transcribed::start(calls, latency, database).await;
    let http = crate::http::client();
    let begun = Instant::now();
    answer(http.post(format!("{base}/items/delete?progress=done"))).await;
    loop {
        let left: Value = answer(http.get(format!("{base}/items?limit=1"))).await.json().await.expect("JSON");
        if left["items"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let time = begun.elapsed();
    // The emulator keeps only the newest requests, and counts all. A deletion may be repeated.
    let deleted = vendors.assemblyai.control.request_count(Method::DELETE, "/v2/transcript/{id}");
    assert!(deleted >= calls as u64, "{deleted} of {calls}");
    time
}

/// Measures only the requests that each deletion needs: three that delete, and one that looks for more recordings.
pub(crate) async fn yardstick_of_deletion(calls: usize, latency: Duration) -> Duration {
    let vendors = Vendors::start(calls, latency).await;
    let http = crate::http::client();
    let begun = Instant::now();
    let delete = |recording: &String| delete(&http, &vendors, recording.clone());
    stream::iter(&vendors.recordings).map(delete).for_each_concurrent(DELETIONS, |done| done).await;
    begun.elapsed()
}

async fn delete(http: &reqwest::Client, vendors: &Vendors, recording: String) {
    let (twilio, assemblyai) = (vendors.twilio.url(), vendors.assemblyai.url());
    let account = format!("{twilio}/2010-04-01/Accounts/{}", twilio::ACCOUNT_SID);
    let at_twilio =
        |request: reqwest::RequestBuilder| request.basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN));
    // The vendors answer as fast to what they do not know.
    let call = recording.replace("RE", "CA");
    for request in [
        at_twilio(http.get(format!("{account}/Calls/{call}/Recordings.json"))),
        at_twilio(http.delete(format!("{account}/Recordings/{recording}.json"))),
        http.delete(format!("{assemblyai}/v2/transcript/{recording}")).header("authorization", assemblyai::API_KEY),
        at_twilio(http.delete(format!("{account}/Calls/{call}.json"))),
    ] {
        request.send().await.expect("an answer").bytes().await.expect("a whole body");
    }
}

/// The program with the transcripts of many recordings.
struct Transcribed {
    vendors: Vendors,
    program: Program,
    base: String,
    /// From the first callback to the last stored transcript.
    time: Duration,
    _folder: Folder,
}

impl Transcribed {
    async fn start(recordings: usize, latency: Duration, database: &Database) -> Self {
        let vendors = Vendors::start(recordings, latency).await;
        let folder = Folder::new();
        let (program, base) = start(&vendors, &folder, database).await;
        let begun = Instant::now();
        let storing = stored(program, recordings);
        let (twilio, hook) = (&vendors.twilio, &format!("{base}/hooks/twilio/recording"));
        let send = |recording: &String| {
            let recording = recording.clone();
            async move { assert_eq!(twilio.send_recording_callback(&recording, hook).await, Some(204)) }
        };
        stream::iter(&vendors.recordings).map(send).for_each_concurrent(CALLBACKS, |sent| sent).await;
        let program = storing.await.expect("transcripts");
        let time = begun.elapsed();
        vendors.check();
        Self { vendors, program, base, time, _folder: folder }
    }
}

/// Measures the program from the confirmation of an import to the last stored transcript.
pub(crate) async fn import(recordings: usize, latency: Duration, database: &Database) -> Usage {
    let vendors = Vendors::start(recordings, latency).await;
    let folder = Folder::new();
    let (program, base) = start(&vendors, &folder, database).await;
    let wanted = json!({ "since": "2020-01-01", "confirm": true });
    let begun = Instant::now();
    let storing = stored(program, recordings);
    answer(crate::http::client().post(format!("{base}/imports")).json(&wanted)).await;
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

/// Measures only the requests that an import needs: the list, and of each recording what Twilio says of it and of its call, and
/// those of its transcript.
pub(crate) async fn yardstick_of_import(recordings: usize, latency: Duration) -> Duration {
    let vendors = Vendors::start(recordings, latency).await;
    let (client, vendors) = (&crate::http::client(), &vendors);
    let begun = Instant::now();
    let account = format!("/2010-04-01/Accounts/{}", twilio::ACCOUNT_SID);
    let mut next = Some(format!("{account}/Recordings.json?PageSize={LISTED}"));
    while let Some(path) = next {
        let page = vendors.twilio_says(client, &path).await;
        let known = page["recordings"].as_array().expect("a list").iter().map(|listed| {
            let (sid, call) = (listed["sid"].as_str().expect("a SID"), listed["call_sid"].as_str().expect("a call"));
            let (account, sid, call) = (account.clone(), sid.to_owned(), call.to_owned());
            async move {
                vendors.twilio_says(client, &format!("{account}/Recordings/{sid}.json")).await;
                vendors.twilio_says(client, &format!("{account}/Calls/{call}.json")).await;
                transcribe(client, vendors, sid).await;
            }
        });
        stream::iter(known).for_each_concurrent(TRANSFERS, |done| done).await;
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
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
