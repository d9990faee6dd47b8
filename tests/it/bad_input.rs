//! What nobody should send, and what becomes of it: rows of the files in `fixtures/bad_input`, over real HTTP. Whatever
//! comes, the status is the one that the row says, no vendor is asked for anything, and the program goes on answering.
//!
//! How the files are written is told in `support/rows.rs`.
//!
//! What needs more than a row has a test of its own: single bits of every published signature in `signature`, files of
//! audio in `media`, greetings in `record`, settings that depend on files and ports in `cli`.

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

/// Sends these bytes; a header may come more than once.
async fn send(world: &World, method: Method, path: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Answer {
    let mut request = world.http.request(method, format!("{}{path}", world.base)).body(body);
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header's name");
        request = request.header(name, HeaderValue::from_bytes(value).expect("a header's value"));
    }
    Answer::of(request.send().await.expect("an answer")).await
}

/// A fault of this row, with what came back.
fn fault(row: &Row<'_>, what: &str, answer: &Answer) -> String {
    format!("{}: {what}: {} {:.300}", row.shown(), answer.status, answer.text())
}

/// What does not hold, although it should whatever was sent. `before` is how often vendors had been asked.
async fn faults_of(world: &World, row: &Row<'_>, answer: &Answer, before: usize) -> Vec<String> {
    let is_problem = answer.header("content-type") == "application/problem+json";
    let is_error = answer.status.is_client_error();
    let faults = [
        (answer.status != row.number::<u16>(1), "status"),
        (world.vendor_requests() != before, "a vendor was asked"),
        (is_error && !(is_problem && answer.body.len() < 500), "more is told than must be"),
        (world.get("/healthz").await.text() != "ok\n", "the program does not answer"),
    ];
    faults.into_iter().filter(|(is_fault, _)| *is_fault).map(|(_, what)| fault(row, what, answer)).collect()
}

/// All of them at once, for whoever changes the file.
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What is near to the signature of this request, by name, and it itself.
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
        // Where there is neither, the padding goes.
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
async fn whatever_is_nearly_signed_is_refused_and_leaves_nothing_behind() {
    let world = World::with(&[("BASE_URL", "https://example.com"), ("TWILIO_AUTH_TOKEN", "12345")]).await;
    let plain = names(&[]);
    let file = include_str!("fixtures/bad_input/signatures.tsv");
    // What is refused comes first: whatever is stored then has come through.
    let (refused, taken): (Vec<_>, Vec<_>) = rows(file, 7, &plain).partition(|row| row.number::<u16>(1) == 403);
    assert!(refused.len() >= 50 && taken.len() >= 10, "{} and {}", refused.len(), taken.len());
    let mut faults = Vec::new();
    for (row, is_refused) in refused.iter().map(|row| (row, true)).chain(taken.iter().map(|row| (row, false))) {
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
            faults.push(fault(row, "other words", &answer));
        }
        if is_refused && world.get("/calls").await.json()["calls"] != json!([]) {
            faults.push(fault(row, "something is stored", &answer));
        }
    }
    assert_none(&faults);
    assert_eq!(world.get("/calls").await.json()["calls"][0]["sid"], CALL);
}

#[tokio::test]
async fn no_form_brings_a_callback_down() {
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
    // What came through is whole.
    assert_eq!(world.call(CALL).await["sid"], CALL);
}

#[tokio::test]
async fn no_json_brings_a_webhook_down_or_changes_a_transcript() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.assemblyai.hold();
    let id = world.post_json("/transcribe", &json!({ "call_sid": call })).await.json()["id"].clone();
    let id = id.as_str().expect("an id");
    let order = world.transcript_requests().pop().expect("a request");
    let text = |name: &str| order[name].as_str().expect("text").to_owned();
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

/// What a vendor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Twilio, to place a call.
    Dial,
    /// Twilio, for the recordings of a call.
    Recordings,
    /// Twilio, for the audio of one.
    Audio,
    /// AssemblyAI, to take audio in.
    Upload,
    /// AssemblyAI, for a transcript of audio that is elsewhere.
    Order,
    /// AssemblyAI, how a transcript stands.
    Transcript,
}

impl Step {
    fn named(name: &str) -> Self {
        match name {
            "dial" => Self::Dial,
            "recordings" => Self::Recordings,
            "audio" => Self::Audio,
            "upload" => Self::Upload,
            "order" => Self::Order,
            "transcript" => Self::Transcript,
            other => panic!("no step is called {other}"),
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Dial | Self::Recordings | Self::Audio => "TWILIO_API_URL",
            Self::Upload | Self::Order | Self::Transcript => "ASSEMBLYAI_API_URL",
        }
    }

    /// Whether this is the request in question, by its first line.
    fn is(self, line: &str) -> bool {
        match self {
            Self::Dial | Self::Upload | Self::Order => line.starts_with("POST "),
            Self::Audio => !line.contains(".json "),
            Self::Recordings | Self::Transcript => true,
        }
    }

    /// What is answered to every other request: nothing was placed or ordered, and the recording is there.
    fn otherwise(self) -> String {
        let body = match self {
            Self::Dial => json!({ "calls": [] }),
            Self::Audio => json!({ "sid": RECORDING, "status": "completed" }),
            _ => json!({ "page_details": {}, "transcripts": [] }),
        };
        let body = body.to_string();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Has the program ask for it.
    async fn ask(self, world: &World) -> Answer {
        match self {
            Self::Dial => world.get("/dial/14155551234").await,
            Self::Recordings => world.get(&format!("/get-recording-url/{CALL}")).await,
            Self::Audio => world.get(&format!("/recordings/{RECORDING}.wav")).await,
            Self::Upload => {
                let recording = world.twilio.add_recording(SeededRecording::default());
                world.post_json("/transcribe", &json!({ "recording_sid": recording })).await
            }
            Self::Order => world.post_json("/transcribe", &json!({ "audio_url": "https://example.com/a.wav" })).await,
            Self::Transcript => world.get(&format!("/transcript/{TRANSCRIPT}")).await,
        }
    }
}

const TRANSCRIPT: &str = "9ea68fd3-f953-42c1-9742-976c447fb463";

/// What a vendor of the test's own making sends.
#[derive(Clone)]
enum Reply {
    Bytes(Arc<Vec<u8>>),
    Close,
    Silence,
}

impl Reply {
    /// From status, headers and body.
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

/// A vendor that sends this reply to each request for `step`; gives its address and how often that was.
async fn vendor(step: Step, reply: Reply) -> (String, Arc<AtomicUsize>) {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, step, reply.clone(), Arc::clone(&count)));
        }
    });
    (url, asked)
}

/// Whoever asks may go away at any time.
async fn answer(mut connection: TcpStream, step: Step, reply: Reply, count: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or_default();
    tokio::io::copy(&mut (&mut connection).take(length), &mut tokio::io::sink()).await?;
    let is_asked = step.is(head.lines().next().unwrap_or_default().replacen("post", "POST", 1).as_str());
    match reply {
        _ if !is_asked => connection.write_all(step.otherwise().as_bytes()).await?,
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

/// Worlds at a time.
const AT_ONCE: usize = 32;

#[tokio::test]
async fn whatever_a_vendor_answers_is_told_and_what_costs_is_asked_for_once() {
    let names = names(&[("id", TRANSCRIPT)]);
    let rows: Vec<Row<'_>> = rows(include_str!("fixtures/bad_input/replies.tsv"), 8, &names).collect();
    assert!(rows.len() >= 60, "{} cases", rows.len());
    let cases = stream::iter(rows).map(async |row| {
        let step = Step::named(row.cells[1]);
        let (url, asked) = vendor(step, Reply::of(&row)).await;
        // Whoever dials waits for a call that may be found yet, and whoever is met with silence for its end.
        let is_waited_for = step == Step::Dial || row.cells[5] == "silence";
        let answer = if is_waited_for { Duration::from_secs(2) } else { Deadlines::default().answer };
        let deadlines = Deadlines { answer, ..Deadlines::default() };
        let world = World::with_deadlines(&[(step.setting(), &url)], deadlines).await;
        let answer = step.ask(&world).await;
        let (kind, asked) = (format!("\"urn:callscribe:problem:{}\"", row.cells[3]), asked.load(Ordering::Relaxed));
        let is_told = row.cells[3] == "-" || answer.text().contains(&kind);
        let is_plain = answer.status.is_success() || (answer.body.len() < 700 && !answer.text().contains('<'));
        // Where steps end and are taken up again, an answer may go unread, and what costs nothing is asked for again.
        let is_lost = steps_repeat() && answer.text().contains("unsettled");
        let may_repeat = steps_repeat() && !matches!(step, Step::Dial | Step::Order);
        let faults = [
            (answer.status != row.number::<u16>(2) && !is_lost, "status".to_owned()),
            (!is_told && !is_lost, "problem".to_owned()),
            (!is_plain, "the vendor's own body is passed on".to_owned()),
            (asked != row.number::<usize>(4) && !may_repeat, format!("asked {asked} times")),
            (world.get("/healthz").await.text() != "ok\n", "the program does not answer".to_owned()),
        ];
        let faults = faults.into_iter().filter(|(is_fault, _)| *is_fault);
        faults.map(|(_, what)| fault(&row, &what, &answer)).collect::<Vec<String>>()
    });
    assert_none(&cases.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat());
}

#[test]
fn a_setting_is_right_or_named() {
    let names = names(&[]);
    let folder = Folder::new();
    let mut faults = Vec::new();
    for row in rows(include_str!("fixtures/bad_input/settings.tsv"), 3, &names) {
        let (name, value) = (row.cells[0], row.text(1));
        let ended = Program::start(folder.path(), &[], &with(&ENOUGH, &[(name, &value)])).listens_or_ends();
        let is_right = match (row.cells[2], &ended) {
            ("starts", ended) => ended.is_none(),
            (_, None) => false,
            (expected, Some(ended)) => {
                let said = ended.stderr[0].strip_prefix(name).and_then(|said| said.strip_prefix(": "));
                let fits = said.is_some_and(|said| said.starts_with(expected));
                ended.code == Some(2) && ended.stderr.len() == 2 && fits && !ended.all().contains("canary")
            }
        };
        if !is_right {
            faults.push(format!("{}: {ended:?}", row.shown()));
        }
    }
    assert_none(&faults);
}
