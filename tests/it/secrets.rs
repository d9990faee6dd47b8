//! Private data must not leak. The program runs as its own process through a whole call and through failures, and logs
//! everything, including its dependencies' traces. The log must hold no secret, no phone number, no word of a transcript
//! and no address of audio; nor must responses to strangers.

use std::net::TcpListener;

use callscribe::internals::SECRET_HEADER;
use callscribe::internals::signature::{self, Algorithm};
use callscribe::sandbox::assemblyai::{self, AssemblyAi};
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{self, Outcome, SeededRecording, Twilio};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::callbacks::{CALL, FORM, encode, sign};
use crate::support::command::{ENOUGH, Ended, Folder, Program, tunnel, with};
use crate::support::store::Database;
use crate::support::{Answer, client, listen, variables};

const OPERATOR_TOKEN: &str = "canary-operator-token-0123456789";
const NEXT_AUTH_TOKEN: &str = "canary-secondary-auth-token";
const SHARED_KEY: &str = "canary-shared-key";
const KEYTERM: &str = "Canaryvale";
const CALLER: &str = "Carlotta Canary";
/// Audio on another host.
const AUDIO: &str = "https://canary-media.example/canary-audio.wav?signature=canary-audio-secret";

/// Parts common to all dialed numbers; masked numbers show only the last digits.
const NUMBERS: [&str; 3] = ["4155559", "555927", "+1415"];

/// Texts to look for, each with a description.
#[derive(Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn add(&mut self, what: &'static str, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 4, "{what} is too short to look for: {text}");
        self.0.push((what, text));
    }

    /// Returns the lines that contain one of the texts.
    fn found_in(&self, text: &str) -> Vec<String> {
        let lines = text.lines().flat_map(|line| self.0.iter().map(move |canary| (line, canary)));
        let found = lines.filter(|(line, (_, text))| line.contains(text.as_str()));
        found.map(|(line, (what, text))| format!("{what} ({text}): {line:.400}")).collect()
    }
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} times:\n{}", found.len(), found.join("\n"));
}

/// The program, both vendors, and a tunnel as its public address.
struct Running {
    program: Program,
    twilio: Twilio,
    assemblyai: AssemblyAi,
    /// The public address, for vendors and strangers.
    public: String,
    /// The address at which the program listens.
    local: String,
    http: reqwest::Client,
    _store: Database,
    _folder: Folder,
}

impl Running {
    async fn start(log_format: &str) -> Self {
        let twilio = Twilio::start(listen().await, Pace::instant());
        let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
        let entrance = listen().await;
        let public = format!("http://{}", entrance.local_addr().expect("a bound listener"));
        let (folder, store) = (Folder::new(), Database::new());
        let own = variables(&public, twilio.url(), assemblyai.url());
        let mut own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        own.extend([
            ("DATABASE_URL", store.url.as_str()),
            ("TWILIO_API_KEY", twilio::API_KEY_SID),
            ("TWILIO_API_SECRET", twilio::API_KEY_SECRET),
            ("TWILIO_SECONDARY_AUTH_TOKEN", NEXT_AUTH_TOKEN),
            ("TWILIO_SHARED_KEYS", "webhooks_sharedkey_1=canary-shared-key"),
            ("OPERATOR_TOKEN", OPERATOR_TOKEN),
            ("KEYTERMS", KEYTERM),
            ("RUST_LOG", "trace"),
            ("LOG_FORMAT", log_format),
        ]);
        let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
        let address = program.address();
        tokio::spawn(tunnel(entrance, address.clone()));
        let local = format!("http://{address}");
        Self { program, twilio, assemblyai, public, local, http: client(), _store: store, _folder: folder }
    }

    async fn send(&self, method: Method, url: String, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.http.request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    async fn operator(&self, method: Method, path: &str, kind: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {OPERATOR_TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        self.send(method, format!("{}{path}", self.local), &headers, body).await
    }

    async fn dial(&self, number: &str) -> Answer {
        let form = encode(&[("number", number), ("keyterms", KEYTERM)]);
        self.operator(Method::POST, "/calls", FORM.1, &form).await
    }

    async fn transcribe(&self, request: serde_json::Value) -> Answer {
        self.operator(Method::POST, "/transcribe", "application/json", &request.to_string()).await
    }

    async fn stranger(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[("host", "canary.example"), ("x-forwarded-for", "203.0.113.7")], headers].concat();
        self.send(method, format!("{}{path}", self.public), &headers, body).await
    }

    /// Sends bytes that no HTTP library would send.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream =
            tokio::net::TcpStream::connect(self.local.trim_start_matches("http://")).await.expect("a port");
        stream.write_all(bytes).await.expect("a write");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the connection ends");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// All secrets that exist so far.
    fn secrets(&self) -> Canaries {
        let mut secrets = Canaries::default();
        for (what, secret) in [
            ("the auth token", twilio::AUTH_TOKEN),
            ("the secondary auth token", NEXT_AUTH_TOKEN),
            ("the shared key", SHARED_KEY),
            ("the API key's secret", twilio::API_KEY_SECRET),
            ("AssemblyAI's key", assemblyai::API_KEY),
            ("the operator's token", OPERATOR_TOKEN),
        ] {
            secrets.add(what, secret);
        }
        for seen in self.twilio.control.requests() {
            let basic = seen.headers["authorization"].to_str().expect("printable").trim_start_matches("Basic ");
            secrets.add("Basic credentials", basic);
        }
        for delivery in self.twilio.deliveries() {
            let signed = signature::sign(Algorithm::HmacSha1, twilio::AUTH_TOKEN, &delivery.url, &delivery.params);
            secrets.add("a signature", signed);
        }
        for request in self.transcript_requests() {
            secrets.add("a webhook's secret", request["webhook_auth_header_value"].as_str().expect("a secret"));
        }
        secrets.0.dedup();
        secrets
    }

    /// The secrets, and what only the operator may see.
    fn private(&self) -> Canaries {
        let mut private = self.secrets();
        for number in NUMBERS {
            private.add("a number", number);
        }
        for (what, text) in [
            ("our number", "5005550"),
            ("a caller's number", "9295550"),
            ("a caller's name", "Carlotta"),
            ("a word", "Friday"),
            ("a word", "Hello,"),
            ("words", "forty two"),
            ("a key term", KEYTERM),
            ("an address of audio", "canary-media"),
            ("an address of audio", ".wav"),
            ("an address of audio", ".mp3"),
            ("an address of audio", "/2010-04-01"),
            ("an address of audio", "/Recordings"),
            ("an address of audio", "/upload"),
        ] {
            private.add(what, text);
        }
        private
    }

    fn transcript_requests(&self) -> Vec<serde_json::Value> {
        let seen = self.assemblyai.control.requests_to(Method::POST, "/v2/transcript");
        seen.iter().map(|seen| serde_json::from_slice(&seen.body).expect("JSON")).collect()
    }

    fn end(self) -> Ended {
        self.program.signal("TERM");
        self.program.end()
    }
}

/// Runs a call from dialing to its transcript. Returns the operator's responses, which do show the number and the words.
async fn run_a_call(running: &Running) -> Vec<Answer> {
    let dialed = running.dial("14155559271").await;
    assert_eq!(dialed.status, 200, "{}", dialed.text());
    let call = dialed.text().trim().rsplit(' ').next().expect("a SID").to_owned();
    let submitted =
        || running.assemblyai.transcripts().first().map(|one| one["id"].as_str().expect("an id").to_owned());
    let id = running.assemblyai.control.until(submitted).await;
    let get = async |path: String| running.operator(Method::GET, &path, "text/plain", "").await;
    let transcript = get(format!("/transcript/{id}?wait=60")).await;
    assert!(transcript.text().contains("Friday"), "{}", transcript.text());
    let page = get(format!("/calls/{call}")).await;
    assert!(page.text().contains("+14155559271"), "{}", page.text());
    let urls = get(format!("/get-recording-url/{call}")).await;
    assert!(urls.text().contains("/Recordings/RE"), "{}", urls.text());
    let recording = urls.text().trim().rsplit('/').next().expect("a SID").to_owned();
    let mut answers = vec![transcript, page, urls];
    for path in ["/".to_owned(), "/calls".to_owned(), format!("/transcript/{id}?format=srt")] {
        answers.push(get(path).await);
    }
    assert_eq!(get(format!("/recordings/{recording}.wav")).await.status, 200);
    answers.push(running.transcribe(json!({ "audio_url": AUDIO, "keyterms": KEYTERM })).await);
    answers
}

/// Runs through vendor failures and bad requests. Returns the operator's responses.
async fn run_failures(running: &Running) -> Vec<Answer> {
    let fail =
        |vendor: &callscribe::sandbox::control::Control, method, path, fault| vendor.fail_next(method, path, fault);
    let refuse = |status| Fault::Refuse { status, retry_after: None };
    let (twilio, assemblyai) = (&running.twilio.control, &running.assemblyai.control);
    let mut answers = Vec::new();

    fail(twilio, Method::POST, "/Calls.json", refuse(400));
    answers.push(running.dial("14155559272").await);
    fail(twilio, Method::POST, "/Calls.json", refuse(401));
    answers.push(running.dial("14155559272").await);
    running.twilio.set_next_outcome(Outcome::Busy);
    fail(twilio, Method::POST, "/Calls.json", Fault::DropAfter);
    answers.push(running.dial("14155559273").await);
    for number in ["1415555927x", "", "+14155559274;ext=1", "%2B14155559274"] {
        answers.push(running.dial(number).await);
    }

    for fault in [refuse(401), refuse(500), Fault::wrong_body("{\"text\": \"Friday\"")] {
        fail(assemblyai, Method::POST, "/v2/transcript", fault);
        answers.push(running.transcribe(json!({ "audio_url": AUDIO, "again": true })).await);
    }
    let recording = running.twilio.add_recording(SeededRecording::default());
    fail(twilio, Method::GET, ".wav", Fault::CutBody);
    answers.push(running.transcribe(json!({ "recording_sid": recording })).await);
    for body in ["{\"audio_url\": \"https://canary-media.example", "[\"+14155559271\"]", "audio_url=canary-media"] {
        answers.push(running.operator(Method::POST, "/transcribe", "application/json", body).await);
    }
    for path in
        ["/dial/1415555927x", "/transcript/canary-media.example", "/recordings/14155559271.wav", "/+14155559271"]
    {
        answers.push(running.operator(Method::GET, path, "text/plain", "").await);
    }
    answers
}

/// Sends requests as a stranger, and callbacks whose signature or secret is missing, wrong or right. Returns the
/// responses.
async fn run_strangers(running: &Running) -> Vec<Answer> {
    let mut answers = Vec::new();
    let wrong = [("authorization", "Bearer canary-operator-token-012345678"), ("cookie", OPERATOR_TOKEN)];
    for path in [
        "/",
        "/calls",
        "/dial/14155559271?keyterms=Canaryvale",
        "/recordings/14155559271.wav",
        "/transcribe",
        "/nothing",
    ] {
        answers.push(running.stranger(Method::GET, path, &[], "").await);
        answers.push(running.stranger(Method::GET, path, &wrong, "").await);
        let mut page = running.stranger(Method::GET, path, &[("accept", "text/html")], "").await;
        // A browser is to come back to the address that it asked for.
        let back = format!("/login?{}", encode(&[("next", path)]));
        if page.headers.get("location").is_some_and(|location| location == &*back) {
            page.headers.remove("location");
        }
        answers.push(page);
    }
    for sid in running.twilio.recordings_of(CALL).iter().map(String::as_str).chain([CALL]) {
        answers.push(running.stranger(Method::GET, &format!("/calls/{sid}"), &[], "").await);
    }
    answers.push(running.stranger(Method::POST, "/transcribe", &[FORM], &encode(&[("audio_url", AUDIO)])).await);

    let params = [
        ("AccountSid", twilio::ACCOUNT_SID),
        ("CallSid", CALL),
        ("CallStatus", "in-progress"),
        ("CallerName", CALLER),
        ("Direction", "inbound"),
        ("From", "+19295550123"),
        ("To", twilio::PHONE_NUMBER),
        ("RecordingUrl", AUDIO),
    ];
    let form = encode(&params);
    for path in ["/record/", "/record/done/", "/hooks/twilio/call", "/hooks/twilio/recording"] {
        let right = sign(&format!("{}{path}", running.public), &params);
        let next =
            signature::sign(Algorithm::HmacSha1, NEXT_AUTH_TOKEN, &format!("{}{path}", running.public), &params[..0]);
        for signature in [&right[..], &next, &right[1..], ""] {
            answers.push(running.stranger(Method::POST, path, &[FORM, (signature::HEADER, signature)], &form).await);
        }
        let by_shared_key = (signature::SETTINGS_HEADER, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256");
        let headers = [FORM, (signature::HEADER, &*right), by_shared_key];
        answers.push(running.stranger(Method::POST, path, &headers, &form).await);
        answers.push(running.stranger(Method::POST, path, &[FORM], &form).await);
        let in_query = format!("{path}?{form}");
        answers.push(running.stranger(Method::GET, &in_query, &[(signature::HEADER, &right)], "").await);
    }
    for request in running.transcript_requests() {
        let url = request["webhook_url"].as_str().expect("a URL");
        let path = url.strip_prefix(&running.public).expect("our own address");
        let secret = request["webhook_auth_header_value"].as_str().expect("a secret");
        for secret in [secret, &secret[1..], OPERATOR_TOKEN] {
            for body in ["{\"text\": \"Friday\"}", "{\"transcript_id\": \"+14155559271\"}", "Friday"] {
                answers.push(running.stranger(Method::POST, path, &[(SECRET_HEADER, secret)], body).await);
            }
        }
    }
    answers
}

async fn assert_nothing_private_leaks(log_format: &str) {
    let running = Running::start(log_format).await;
    let command_line = running.program.command_line();
    let mut to_operator = run_a_call(&running).await;
    to_operator.extend(run_failures(&running).await);
    let to_strangers = run_strangers(&running).await;
    assert!([401, 403].iter().all(|status| to_strangers.iter().any(|answer| answer.status == *status)));
    let signed = to_strangers.iter().filter(|answer| matches!(answer.status.as_u16(), 200 | 204)).count();
    assert!(signed >= 3, "{signed} callbacks were accepted");
    for bytes in [
        &b"GET /dial/14155559271 HTTP/9.9\r\nAuthorization: canary-operator-token-0123456789\r\n\r\n"[..],
        b"GET /dial/14155559271\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"+14155559271 canary-operator-token-0123456789\r\n\r\n",
    ] {
        let answer = running.raw(bytes).await;
        assert_none(&running.private().found_in(&answer));
    }
    running.twilio.settled().await;
    running.assemblyai.settled().await;

    let (secrets, private) = (running.secrets(), running.private());
    assert!(secrets.0.len() >= 12, "{} secrets", secrets.0.len());
    assert_none(&secrets.found_in(&command_line));
    for answer in &to_operator {
        assert_none(&secrets.found_in(&format!("{:?}\n{}", answer.headers, answer.text())));
    }
    let base = &running.public.clone();
    for answer in &to_strangers {
        assert_none(&private.found_in(&format!("{:?}\n{}", answer.headers, answer.text()).replace(base, "")));
    }
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.all());
    assert!(
        ended.stderr.iter().any(|line| line.contains("transcript finished")),
        "the log has the program's own lines"
    );
    assert!(ended.stderr.iter().filter(|line| line.contains("TRACE")).count() > 10, "and traces");
    println!("{} lines, {} canaries", ended.stderr.len(), private.0.len());
    assert_none(&private.found_in(&ended.all()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_private_is_in_the_text_log_or_in_responses_to_strangers() {
    assert_nothing_private_leaks("text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_private_is_in_the_json_log_or_in_responses_to_strangers() {
    assert_nothing_private_leaks("json").await;
}

#[test]
fn the_password_of_an_unreachable_database_is_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    // A server that closes each connection. If nothing listened, the program would wait.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let url = format!("postgres://canary-user:canary-password@{address}/callscribe");
    let settings = with(&ENOUGH, &[("DATABASE_URL", &url), ("RUST_LOG", "trace")]);
    let ended = Program::start(Folder::new().path(), &[], &settings).refused();
    assert_eq!(ended.code, Some(2), "{}", ended.all());
    assert!(!ended.all().contains("canary-password"), "{}", ended.all());
}
