//! Malformed and hostile input over real HTTP, one case per row of the files in `fixtures/bad_input`. For each row, the
//! response has the status that the row names, no vendor receives a request, and the program keeps answering.
//!
//! `support/rows.rs` describes the format of the files.
//!
//! Cases that need more than a row have tests elsewhere: flipped bits of every published signature in `signature`, audio
//! files in `media`, greetings in `record`, settings that depend on files and ports in `cli`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callscribe::internals::signature::{self, Algorithm, Param};
use callscribe::internals::{Deadlines, SECRET_HEADER};
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, SeededRecording};
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

use crate::support::callbacks::{CALL, FORM};
use crate::support::command::{ENOUGH, Folder, Program, with};
use crate::support::rows::{Names, Row, decode, rows};
use crate::support::{Answer, World, listen, steps_repeat};

const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";

fn names<'n>(more: &[(&'n str, &str)]) -> Names<'n> {
    let account = format!("AccountSid={ACCOUNT_SID}");
    let call = format!("CallSid={CALL}");
    let mut names = Names::from([
        ("form", format!("{account}&{call}&CallStatus=ringing")),
        ("recording", format!("RecordingSid={RECORDING}")),
        ("account", account),
        ("call", call),
    ]);
    names.extend(more.iter().map(|(name, meant)| (*name, (*meant).to_owned())));
    names
}

fn pairs(form: &[u8]) -> Vec<Param> {
    form_urlencoded::parse(form).into_owned().collect()
}

/// Sends a request with exactly these header values and this body. `headers` may repeat a name.
async fn send(world: &World, method: Method, path: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Answer {
    let mut request = world.http.request(method, format!("{}{path}", world.base)).body(body);
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header name");
        request = request.header(name, HeaderValue::from_bytes(value).expect("a header value"));
    }
    Answer::of(request.send().await.expect("an answer")).await
}

/// Describes a fault of this row, with the answer.
fn fault(row: &Row<'_>, what: &str, answer: &Answer) -> String {
    format!("{}: {what}: {} {:.300}", row.shown(), answer.status, answer.text())
}

/// Checks what must hold for every row and returns the faults. `before` is the number of vendor requests before this row.
async fn faults_of(world: &World, row: &Row<'_>, answer: &Answer, before: usize) -> Vec<String> {
    let is_problem = answer.header("content-type") == "application/problem+json";
    let is_error = answer.status.is_client_error();
    let faults = [
        (answer.status != row.number::<u16>(1), "status"),
        (world.vendor_requests() != before, "a vendor received a request"),
        (is_error && !(is_problem && answer.body.len() < 500), "the error is not a short problem document"),
        (world.get("/healthz").await.text() != "ok\n", "the program does not answer"),
    ];
    faults.into_iter().filter(|(is_fault, _)| *is_fault).map(|(_, what)| fault(row, what, answer)).collect()
}

/// Fails with all faults of a file at once.
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The valid signature of this request and similar invalid ones, each with its name in the file.
fn signatures_near(url: &str, params: &[Param]) -> Vec<(&'static str, String)> {
    let of = |token| signature::sign(Algorithm::HmacSha1, token, url, params);
    let right = of("12345");
    let flipped = |at: usize| {
        let mut bytes = right.clone().into_bytes();
        // Stays within printable ASCII.
        bytes[at] ^= 1;
        String::from_utf8(bytes).expect("ASCII")
    };
    let swapped = |character| match character {
        '+' => '-',
        '/' => '_',
        // Changes the padding, for signatures with neither of the two.
        '=' => '.',
        other => other,
    };
    vec![
        ("first bit flipped", flipped(0)),
        ("middle bit flipped", flipped(right.len() / 2)),
        ("last bit flipped", flipped(right.len() - 2)),
        ("first half", right[..right.len() / 2].to_owned()),
        ("unpadded", right.trim_end_matches('=').to_owned()),
        ("base64url", right.chars().map(swapped).collect()),
        ("hex", right.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ("lower case", right.to_lowercase()),
        ("backwards", right.chars().rev().collect()),
        ("by SHA-256", signature::sign(Algorithm::HmacSha256, "12345", url, params)),
        ("of token 12346", of("12346")),
        ("of token ", of("")),
        ("of token sandbox-twilio-auth-token", of(AUTH_TOKEN)),
        ("signature", right),
    ]
}

#[tokio::test]
async fn a_nearly_valid_signature_is_refused_and_nothing_is_stored() {
    let world = World::with(&[("BASE_URL", "https://example.com"), ("TWILIO_AUTH_TOKEN", "12345")]).await;
    let plain = names(&[]);
    let file = include_str!("fixtures/bad_input/signatures.tsv");
    // Rows to be refused come first: a call that is stored by then comes from a request that should have been refused.
    let (refused, accepted): (Vec<_>, Vec<_>) = rows(file, 7, &plain).partition(|row| row.number::<u16>(1) == 403);
    assert!(refused.len() >= 50 && accepted.len() >= 10, "{} and {}", refused.len(), accepted.len());
    let mut faults = Vec::new();
    for (row, is_refused) in refused.iter().map(|row| (row, true)).chain(accepted.iter().map(|row| (row, false))) {
        let (url, signed) = (row.text(3), row.bytes(4));
        let mut near = plain.clone();
        near.extend(signatures_near(&url, &pairs(&signed)));
        let (method, path) = row.cells[5].split_once(' ').expect("a method and an address");
        let path = String::from_utf8(decode(path, &plain)).expect("a path");
        let sent = if row.cells[6] == "=" { signed } else { row.bytes(6) };
        let headers: Vec<Vec<u8>> = match row.cells[2] {
            "none" => Vec::new(),
            cell => cell.split('|').map(|cell| decode(cell, &near)).collect(),
        };
        let mut headers: Vec<(&str, &[u8])> = headers.iter().map(|value| (signature::HEADER, &value[..])).collect();
        if method == "POST" {
            headers.push((FORM.0, FORM.1.as_bytes()));
        }
        let before = world.vendor_requests();
        let answer = send(&world, method.parse().expect("a method"), &path, &headers, sent).await;
        faults.extend(faults_of(&world, row, &answer, before).await);
        if is_refused && !answer.text().contains("the request does not carry a valid X-Twilio-Signature") {
            faults.push(fault(row, "another message", &answer));
        }
        if is_refused && world.get("/calls").await.json()["calls"] != json!([]) {
            faults.push(fault(row, "a call was stored", &answer));
        }
    }
    assert_none(&faults);
    assert_eq!(world.get("/calls").await.json()["calls"][0]["sid"], CALL);
}

#[tokio::test]
async fn no_form_breaks_a_callback() {
    let world = World::new().await;
    let names = names(&[]);
    let mut faults = Vec::new();
    for row in rows(include_str!("fixtures/bad_input/forms.tsv"), 5, &names) {
        let (path, form) = (row.text(2), row.bytes(4));
        let url = format!("{}{path}", world.base);
        let signature = signature::sign(Algorithm::HmacSha1, AUTH_TOKEN, &url, &pairs(&form));
        let kind = row.bytes(3);
        let mut headers = vec![(signature::HEADER, signature.as_bytes())];
        if !kind.is_empty() {
            headers.push((FORM.0, &kind));
        }
        let before = world.vendor_requests();
        let answer = send(&world, Method::POST, &path, &headers, form).await;
        faults.extend(faults_of(&world, &row, &answer, before).await);
    }
    assert_none(&faults);
    // The accepted rows stored the call.
    assert_eq!(world.call(CALL).await["sid"], CALL);
}

#[tokio::test]
async fn no_json_breaks_a_webhook_or_changes_a_transcript() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.assemblyai.hold();
    let id = world.post_json("/transcribe", &json!({ "call_sid": call })).await.json()["id"].clone();
    let id = id.as_str().expect("an id");
    let submitted = world.transcript_requests().pop().expect("a submitted transcript");
    let text = |name: &str| submitted[name].as_str().expect("text").to_owned();
    let url: Url = text("webhook_url").parse().expect("a URL");
    let path = format!("{}?{}", url.path(), url.query().expect("a query"));
    let secret = text("webhook_auth_header_value");

    let names = names(&[("id", id)]);
    let mut faults = Vec::new();
    for row in rows(include_str!("fixtures/bad_input/webhooks.tsv"), 3, &names) {
        let headers = [(SECRET_HEADER, secret.as_bytes()), ("content-type", b"application/json")];
        let before = world.vendor_requests();
        let answer = send(&world, Method::POST, &path, &headers, row.bytes(2)).await;
        faults.extend(faults_of(&world, &row, &answer, before).await);
    }
    assert_none(&faults);
    let transcript = world.get(&format!("/transcript/{id}")).await.json();
    assert_eq!((&transcript["status"], &transcript["text"]), (&json!("processing"), &Value::Null));
}

/// A request of the program to a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Places a call at Twilio.
    Dial,
    /// Lists the recordings of a call at Twilio.
    Recordings,
    /// Fetches the audio of a recording from Twilio.
    Audio,
    /// Uploads audio to AssemblyAI.
    Upload,
    /// Submits a transcript of audio at another host to AssemblyAI.
    Submit,
    /// Polls AssemblyAI for a transcript.
    Transcript,
}

impl Step {
    fn named(name: &str) -> Self {
        match name {
            "dial" => Self::Dial,
            "recordings" => Self::Recordings,
            "audio" => Self::Audio,
            "upload" => Self::Upload,
            "submit" => Self::Submit,
            "transcript" => Self::Transcript,
            other => panic!("unknown step {other}"),
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Dial | Self::Recordings | Self::Audio => "TWILIO_API_URL",
            Self::Upload | Self::Submit | Self::Transcript => "ASSEMBLYAI_API_URL",
        }
    }

    /// Returns `true` if the request with this first line is this step.
    fn is(self, line: &str) -> bool {
        match self {
            Self::Dial | Self::Upload | Self::Submit => line.starts_with("POST "),
            Self::Audio => !line.contains(".json "),
            Self::Recordings | Self::Transcript => true,
        }
    }

    /// The response to every request that is not this step: lists of calls and transcripts are empty, recordings completed.
    fn other_response(self) -> String {
        let body = match self {
            Self::Dial => json!({ "calls": [] }),
            Self::Audio => json!({ "sid": RECORDING, "status": "completed" }),
            _ => json!({ "page_details": {}, "transcripts": [] }),
        };
        let body = body.to_string();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Makes the program take this step.
    async fn trigger(self, world: &World) -> Answer {
        match self {
            Self::Dial => world.get("/dial/14155551234").await,
            Self::Recordings => world.get(&format!("/get-recording-url/{CALL}")).await,
            Self::Audio => world.get(&format!("/recordings/{RECORDING}.wav")).await,
            Self::Upload => {
                let recording = world.twilio.add_recording(SeededRecording::default());
                world.post_json("/transcribe", &json!({ "recording_sid": recording })).await
            }
            Self::Submit => world.post_json("/transcribe", &json!({ "audio_url": "https://example.com/a.wav" })).await,
            Self::Transcript => world.get(&format!("/transcript/{TRANSCRIPT}")).await,
        }
    }
}

const TRANSCRIPT: &str = "9ea68fd3-f953-42c1-9742-976c447fb463";

/// The response of a fake vendor.
#[derive(Clone)]
enum Reply {
    Bytes(Arc<Vec<u8>>),
    Close,
    Silence,
}

impl Reply {
    /// Reads status, headers and body of a row.
    fn of(row: &Row<'_>) -> Self {
        let status = row.text(5);
        match status.as_str() {
            "close" => return Self::Close,
            "silence" => return Self::Silence,
            _ => {}
        }
        let (headers, body) = (row.text(6), row.bytes(7));
        let start = if status.starts_with("SSH") { status } else { format!("HTTP/1.1 {status}") };
        let mut head = format!("{start}\r\nConnection: close\r\n");
        for header in headers.split('|').filter(|header| !header.is_empty()) {
            head += &format!("{header}\r\n");
        }
        if !headers.contains("Content-Length") && !headers.contains("Transfer-Encoding") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        Self::Bytes(Arc::new([head.as_bytes(), b"\r\n", &body].concat()))
    }
}

/// Starts a fake vendor that replies like this to `step`. Returns its address and the count of such requests.
async fn vendor(step: Step, reply: Reply) -> (String, Arc<AtomicUsize>) {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, step, reply.clone(), Arc::clone(&count)));
        }
    });
    (url, requests)
}

/// Answers one request. Fails if the program closes the connection first, which it may.
async fn answer(mut connection: TcpStream, step: Step, reply: Reply, count: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or_default();
    tokio::io::copy(&mut (&mut connection).take(length), &mut tokio::io::sink()).await?;
    let is_step = step.is(head.lines().next().unwrap_or_default().replacen("post", "POST", 1).as_str());
    match reply {
        _ if !is_step => connection.write_all(step.other_response().as_bytes()).await?,
        Reply::Bytes(bytes) => {
            count.fetch_add(1, Ordering::Relaxed);
            connection.write_all(&bytes).await?;
        }
        Reply::Close => _ = count.fetch_add(1, Ordering::Relaxed),
        Reply::Silence => {
            count.fetch_add(1, Ordering::Relaxed);
            connection.read_u8().await?;
        }
    }
    connection.shutdown().await
}

/// Number of rows tested at the same time, each with a program of its own. With many more, a loaded machine misses the
/// short deadlines.
const CONCURRENT_ROWS: usize = 8;

#[tokio::test]
async fn every_vendor_response_maps_to_an_answer_and_paid_requests_are_sent_once() {
    let names = names(&[("id", TRANSCRIPT)]);
    let rows: Vec<Row<'_>> = rows(include_str!("fixtures/bad_input/replies.tsv"), 8, &names).collect();
    assert!(rows.len() >= 60, "{} cases", rows.len());
    let cases = stream::iter(rows).map(async |row| {
        let step = Step::named(row.cells[1]);
        let (url, requests) = vendor(step, Reply::of(&row)).await;
        // After a silent vendor, and after an ambiguous dial whose call may yet turn up, the program waits out the
        // deadline, so it must be short.
        let waits = step == Step::Dial || row.cells[5] == "silence";
        let answer = if waits { Duration::from_secs(2) } else { Deadlines::default().answer };
        let deadlines = Deadlines { answer, ..Deadlines::default() };
        let world = World::with_deadlines(&[(step.setting(), &url)], deadlines).await;
        let answer = step.trigger(&world).await;
        let kind = format!("\"urn:callscribe:problem:{}\"", row.cells[3]);
        let requests = requests.load(Ordering::Relaxed);
        let has_problem = row.cells[3] == "-" || answer.text().contains(&kind);
        let is_plain = answer.status.is_success() || (answer.body.len() < 700 && !answer.text().contains('<'));
        // When failpoints abort and repeat each step, an answer may be lost, and requests that cost nothing repeat.
        let is_lost = steps_repeat() && answer.text().contains("unsettled");
        let may_repeat = steps_repeat() && !matches!(step, Step::Dial | Step::Submit);
        let faults = [
            (answer.status != row.number::<u16>(2) && !is_lost, "status".to_owned()),
            (!has_problem && !is_lost, "problem".to_owned()),
            (!is_plain, "the vendor's own body is passed on".to_owned()),
            (requests != row.number::<usize>(4) && !may_repeat, format!("the vendor received {requests} requests")),
            (world.get("/healthz").await.text() != "ok\n", "the program does not answer".to_owned()),
        ];
        let faults = faults.into_iter().filter(|(is_fault, _)| *is_fault);
        faults.map(|(_, what)| fault(&row, &what, &answer)).collect::<Vec<String>>()
    });
    assert_none(&cases.buffer_unordered(CONCURRENT_ROWS).collect::<Vec<_>>().await.concat());
}

#[test]
fn a_setting_is_accepted_or_named_as_wrong() {
    let names = names(&[]);
    let folder = Folder::new();
    let mut faults = Vec::new();
    for row in rows(include_str!("fixtures/bad_input/settings.tsv"), 3, &names) {
        let (name, value) = (row.cells[0], row.text(1));
        let ended = Program::start(folder.path(), &[], &with(&ENOUGH, &[(name, &value)])).listens_or_ends();
        let as_expected = match (row.cells[2], &ended) {
            ("starts", ended) => ended.is_none(),
            (_, None) => false,
            (expected, Some(ended)) => {
                let message = ended.stderr[0].strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
                let fits = message.is_some_and(|message| message.starts_with(expected));
                ended.code == Some(2) && ended.stderr.len() == 2 && fits && !ended.all().contains("canary")
            }
        };
        if !as_expected {
            faults.push(format!("{}: {ended:?}", row.shown()));
        }
    }
    assert_none(&faults);
}
