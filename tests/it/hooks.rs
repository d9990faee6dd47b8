//! What the vendors tell: proved, taken as a hint, and never in the log with a number.

use callscribe::internals::SECRET_HEADER;
use callscribe::sandbox::assemblyai;
use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::support::callbacks::{encode, sign};
use crate::support::{Answer, World, log};

const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";

/// A call's status callback, as Twilio's documentation has it.
fn call_progress<'p>(call: &'p str, status: &'p str) -> Vec<(&'p str, &'p str)> {
    vec![
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", call),
        ("CallStatus", status),
        ("CallbackSource", "call-progress-events"),
        ("CallerName", ""),
        ("Direction", "outbound-api"),
        ("From", "+15005550006"),
        ("SequenceNumber", "2"),
        ("Timestamp", "Mon, 23 Nov 2026 02:00:00 +0000"),
        ("To", "+14155559271"),
    ]
}

/// A recording's status callback, as Twilio's documentation has it.
fn recording_progress<'p>(call: &'p str, status: &'p str) -> Vec<(&'p str, &'p str)> {
    vec![
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", call),
        ("RecordingChannels", "1"),
        ("RecordingDuration", "12"),
        ("RecordingSid", RECORDING),
        ("RecordingSource", "RecordVerb"),
        ("RecordingStartTime", "Mon, 23 Nov 2026 02:00:00 +0000"),
        ("RecordingStatus", status),
        ("RecordingTrack", "both"),
        ("RecordingUrl", "https://169.254.169.254/latest/meta-data/"),
    ]
}

fn assert_taken(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (204, b"".as_slice()), "{}", answer.text());
}

#[tokio::test]
async fn every_state_of_a_call_is_taken() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000001";
    let states = ["initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled", "new"];
    for status in states {
        assert_taken(&world.callback("/hooks/twilio/call", &call_progress(call, status)).await);
        assert_taken(&world.callback("/hooks/twilio/call/", &call_progress(call, status)).await);
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn every_state_of_a_recording_is_taken() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000002";
    for status in ["in-progress", "completed", "failed", "new"] {
        assert_taken(&world.callback("/hooks/twilio/recording", &recording_progress(call, status)).await);
        assert_taken(&world.callback("/hooks/twilio/recording/", &recording_progress(call, status)).await);
    }
    let mut absent = recording_progress(call, "absent");
    absent.push(("ErrorCode", "16101"));
    assert_taken(&world.callback("/hooks/twilio/recording", &absent).await);
    assert_eq!(world.vendor_requests(), 0, "nobody fetches the address that a callback names");
}

#[tokio::test]
async fn the_log_has_a_callbacks_call_and_no_number() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000003";
    for status in ["initiated", "completed"] {
        world.callback("/hooks/twilio/call", &call_progress(call, status)).await;
    }
    world.callback("/hooks/twilio/recording", &recording_progress(call, "completed")).await;
    let mut voice = call_progress(call, "in-progress");
    voice.extend([("Called", "+14155559271"), ("Caller", "+15005550006")]);
    world.callback("/record/", &voice).await;
    world.callback("/record/done/", &voice).await;
    // Refused and unreadable ones are no exception.
    world.signed(Method::POST, "/hooks/twilio/call?To=%2B14155559271", "x", "To=%2B14155559271").await;
    world.callback("/hooks/twilio/call", &[("AccountSid", ACCOUNT_SID), ("To", "+14155559271")]).await;

    world.settle().await;
    assert!(log::lines_with(call).len() >= 5, "{:?}", log::lines_with(call));
    assert_eq!(log::lines_with("4155559271"), Vec::<String>::new());
    assert_eq!(log::lines_with("169.254.169.254"), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_is_one_line_in_the_log_by_its_route() {
    let world = World::new().await;
    for (path, route) in [
        ("/dial/14155559272", "/dial/{number}"),
        ("/dial/1415555927x", "/dial/{number}"),
        ("/record/", "/record/"),
        ("/no/such/14155559272", "(none)"),
    ] {
        let answer = world.get(path).await;
        let lines = log::lines_with(answer.header("x-request-id"));
        let answered: Vec<&String> = lines.iter().filter(|line| line.contains(": answered ")).collect();
        assert_eq!(answered.len(), 1, "{answered:?}");
        assert!(answered[0].contains(&format!("route=\"{route}\"")), "{answered:?}");
        assert!(answered[0].contains(&format!("status={}", answer.status.as_u16())), "{answered:?}");
    }
    assert_eq!(log::lines_with("4155559272"), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_callback_says_cannot_begin_a_line_of_the_log() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000004";
    let forged = "completed\r\n2026-11-23T00:00:00Z ERROR forged-line\u{1b}[31m\u{85}\u{2028}";
    world.callback("/hooks/twilio/call", &call_progress(call, forged)).await;
    world.callback("/hooks/twilio/recording", &recording_progress(call, forged)).await;
    let lines = log::lines_with("forged-line");
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.contains("request{id="), "{line}");
        assert!(!line.contains(['\r', '\u{1b}', '\u{85}', '\u{2028}']), "{line:?}");
    }
}

#[tokio::test]
async fn a_callback_that_is_not_signed_is_refused() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000005";
    for (path, params) in [
        ("/hooks/twilio/call", call_progress(call, "completed")),
        ("/hooks/twilio/recording", recording_progress(call, "completed")),
        ("/record/", call_progress(call, "in-progress")),
        ("/record/done/", call_progress(call, "in-progress")),
    ] {
        let form = encode(&params);
        world.post_form(path, &form).await.problem(403, "forbidden");
        let elsewhere = sign("https://elsewhere.example/", &params);
        world.signed(Method::POST, path, &elsewhere, &form).await.problem(403, "forbidden");
    }
    assert_eq!(log::lines_with(call), Vec::<String>::new());
}

#[tokio::test]
async fn a_callback_may_come_again() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000006";
    for _ in 0..20 {
        assert_taken(&world.callback("/hooks/twilio/call", &call_progress(call, "completed")).await);
        assert_taken(&world.callback("/hooks/twilio/recording", &recording_progress(call, "completed")).await);
        assert_taken(&world.callback("/hooks/twilio/call", &call_progress(call, "ringing")).await);
    }
    let (call, progress) = ("CA00000000000000000000000000000007", "/hooks/twilio/call");
    let params = call_progress(call, "completed");
    let again = (0..20).map(|_| world.callback(progress, &params));
    for answer in futures_util::future::join_all(again).await {
        assert_taken(&answer);
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_callback_may_say_more_than_is_known() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000008";
    let new = [("StirVerstat", "TN-Validation-Passed-A"), ("New", ""), ("New", "2"), ("New", "3"), ("é ☎", "日本 ")];
    let with = |mut params: Vec<(&'static str, &'static str)>| {
        params.extend(new);
        params
    };
    assert_taken(&world.callback("/hooks/twilio/call", &with(call_progress(call, "completed"))).await);
    assert_taken(&world.callback("/hooks/twilio/recording", &with(recording_progress(call, "completed"))).await);
}

#[tokio::test]
async fn a_callback_names_its_call_once() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000009";
    for (path, params, needed) in [
        ("/hooks/twilio/call", call_progress(call, "completed"), &["CallSid", "CallStatus"][..]),
        (
            "/hooks/twilio/recording",
            recording_progress(call, "completed"),
            &["CallSid", "RecordingSid", "RecordingStatus"],
        ),
    ] {
        for name in needed {
            let without: Vec<_> = params.iter().copied().filter(|(other, _)| other != name).collect();
            let detail = world.callback(path, &without).await.problem(400, "bad-request");
            assert_eq!(detail, format!("missing field `{name}`"));
            let mut twice = params.clone();
            twice.push((name, "another"));
            let detail = world.callback(path, &twice).await.problem(400, "bad-request");
            assert_eq!(detail, format!("{name}: expected once, and not in the address"));
        }
    }
    assert_eq!(log::lines_with(call), Vec::<String>::new());
}

#[tokio::test]
async fn a_callback_does_not_say_the_same_twice_or_in_its_address() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000010";
    let cases = [
        ("/record/", call_progress(call, "in-progress"), &["CallSid", "Direction", "To", "From"][..]),
        ("/record/done/", call_progress(call, "in-progress"), &["CallSid", "AccountSid"]),
        ("/hooks/twilio/call", call_progress(call, "completed"), &["CallSid", "CallStatus", "Direction", "To"]),
        (
            "/hooks/twilio/recording",
            recording_progress(call, "completed"),
            &["CallSid", "RecordingSid", "RecordingStatus", "RecordingDuration", "RecordingChannels"],
        ),
    ];
    for (path, params, names) in &cases {
        for name in *names {
            let value = params.iter().find(|(other, _)| other == name).expect("a parameter of this name").1;
            // The same value or another: who reads the first and who reads the last must not differ.
            for second in [value, "another"] {
                let mut twice = params.clone();
                twice.push((name, second));
                world.callback(path, &twice).await.problem(400, "bad-request");
                let beside = format!("{path}?{}", encode(&[(name, second)]));
                world.callback(&beside, params).await.problem(400, "bad-request");
                // Who has not signed hears nothing of it.
                let words = world.signed(Method::POST, &beside, "x", &encode(params)).await.problem(403, "forbidden");
                assert!(words.contains("X-Twilio-Signature"), "{words}");
            }
        }
        let twice = format!("{path}?t=a&t=b");
        world.callback(&twice, params).await.problem(400, "bad-request");
        world.signed(Method::POST, &twice, "x", &encode(params)).await.problem(403, "forbidden");
    }
    world.post_json("/hooks/assemblyai?job=1&job=2", &json!({})).await.problem(401, "bad-webhook-secret");
    let listed = world.get("/calls").await.json();
    assert_eq!(listed["calls"], json!([]), "nothing was taken in");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn no_callback_writes_a_line_of_its_own_into_the_log() {
    let world = World::new().await;
    let forged = "CA1\r\n2026-01-01T00:00:00Z  INFO forged-line-7315 \u{1b}[31m\u{2028}\u{9b}2J\0";
    let agent = [("user-agent", "forged-line-7315\u{9b}")];
    for path in ["/record/", "/record/done/", "/hooks/twilio/call"] {
        let mut params = call_progress(forged, forged);
        params.push(("UserAgent", forged));
        world.callback(path, &params).await;
        world.get_with(path, &agent).await;
    }
    let lines = log::lines_with("forged-line-7315");
    assert!(!lines.is_empty(), "the log has the SID, or the test sees nothing");
    for line in lines {
        assert!(!line.starts_with("2026-01-01") && line.contains("callscribe"), "{line:?}");
        assert!(!line.contains(|char: char| char.is_control() || char == '\u{2028}'), "{line:?}");
    }
}

#[tokio::test]
async fn what_a_caller_is_called_stays_text_on_every_page() {
    let world = World::new().await;
    let markup = "\"'></script><img src=x onerror=alert(1)>";
    let call = "CA00000000000000000000000000000011";
    let mut params = call_progress(call, "in-progress");
    params.retain(|(name, _)| !["From", "Direction"].contains(name));
    params.extend([("From", markup), ("Direction", "inbound"), ("CallerName", markup)]);
    assert_taken(&world.callback("/hooks/twilio/call", &params).await);
    for path in ["/calls".to_owned(), format!("/calls/{call}")] {
        let page = world.get_with(&path, &[("accept", "text/html")]).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(call) || page.text().contains("inbound"), "{}", page.text());
        assert!(!page.text().contains("<img") && page.text().matches("<script").count() == 1, "{}", page.text());
        assert!(page.text().matches("</script>").count() == 1, "{}", page.text());
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; connect-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn no_address_that_a_callback_names_is_ever_asked() {
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let (call, recording) = world.recorded_call().await;
    let inside = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    inside.set_nonblocking(true).expect("a listener that does not wait");
    let port = inside.local_addr().expect("a bound listener").port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "user:password@127.0.0.1",
        "127.0.0.1.nip.io",
        "api.twilio.com@127.0.0.1",
    ];
    let schemes = ["http", "https"];
    let urls = hosts.iter().flat_map(|host| schemes.map(|scheme| format!("{scheme}://{host}:{port}/audio.wav")));
    let others =
        ["file:///etc/passwd", "gopher://127.0.0.1/", "//127.0.0.1/", "", "\0", "http://169.254.169.254/latest"];
    for url in urls.chain(others.map(str::to_owned)) {
        let mut params = recording_progress(&call, "completed");
        params.retain(|(name, _)| !["RecordingUrl", "RecordingSid"].contains(name));
        params.extend([("RecordingUrl", url.as_str()), ("RecordingSid", &recording)]);
        assert_taken(&world.callback("/hooks/twilio/recording", &params).await);
        world.settle().await;
    }
    assert!(inside.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "nobody came");
    let own = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/");
    assert!(world.twilio.control.requests().iter().all(|seen| seen.target.starts_with(&own)));
    assert_eq!(world.transcript_requests().len(), 1, "and it is transcribed, once");
}

/// A transcript that AssemblyAI works on until it is released.
struct Ordered {
    world: World,
    id: String,
    /// Path and query of its webhook.
    path: String,
    secret: String,
}

impl Ordered {
    async fn new() -> Self {
        let world = World::new().await;
        let (call, _) = world.recorded_call().await;
        world.assemblyai.hold();
        Self::another(world, &call).await
    }

    /// The newest transcript of this call.
    async fn another(world: World, call: &str) -> Self {
        let answer = world.post_json("/transcribe", &json!({ "call_sid": call, "again": true })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let request = world.transcript_requests().pop().expect("a request");
        let text = |name: &str| request[name].as_str().expect("text").to_owned();
        let url = Url::parse(&text("webhook_url")).expect("a URL");
        assert!(text("webhook_auth_header_name").eq_ignore_ascii_case(SECRET_HEADER));
        let path = format!("{}?{}", url.path(), url.query().expect("a query"));
        Self { secret: text("webhook_auth_header_value"), world, id, path }
    }

    /// Posts this body under this transcript's secret.
    async fn hook(&self, body: &str) -> Answer {
        self.hook_with(&[(SECRET_HEADER, &self.secret)], body).await
    }

    async fn hook_with(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.world.send(Method::POST, &self.path, &headers, body).await
    }

    /// What AssemblyAI posts when the transcript is completed.
    fn completed(&self) -> String {
        json!({ "transcript_id": self.id, "status": "completed" }).to_string()
    }

    /// How often AssemblyAI was asked for the transcript.
    fn looks(&self) -> usize {
        self.world.assemblyai.control.requests_to(Method::GET, &self.id).len()
    }
}

#[tokio::test]
async fn a_webhook_with_its_secret_is_taken() {
    let ordered = Ordered::new().await;
    for _ in 0..3 {
        assert_taken(&ordered.hook(&ordered.completed()).await);
    }
    assert_taken(&ordered.hook(&json!({ "transcript_id": ordered.id, "status": "error" }).to_string()).await);
    let slashed = ordered.path.replacen('?', "/?", 1);
    let secret = [(SECRET_HEADER, ordered.secret.as_str())];
    assert_taken(&ordered.world.send(Method::POST, &slashed, &secret, &ordered.completed()).await);
    let unknown = r#"{"transcript_id":"00000000-0000-0000-0000-000000000000","status":"completed","new":[1]}"#;
    assert_taken(&ordered.hook(unknown).await);
}

#[tokio::test]
async fn a_webhook_without_its_secret_is_refused() {
    let ordered = Ordered::new().await;
    let secret = ordered.secret.as_str();
    let flipped = format!("{}{}", if secret.starts_with('0') { '1' } else { '0' }, &secret[1..]);
    let wrong =
        [&secret[1..], &secret[..1], &flipped, "", "0", &secret.to_uppercase(), &format!("{secret}0"), &"0".repeat(64)];
    for wrong in wrong {
        let answer = ordered.hook_with(&[(SECRET_HEADER, wrong)], &ordered.completed()).await;
        assert_eq!(answer.problem(401, "bad-webhook-secret"), "the webhook's secret is missing or wrong", "{wrong}");
    }
    let answer = ordered.hook_with(&[], &ordered.completed()).await;
    assert_eq!(answer.problem(401, "bad-webhook-secret"), "the webhook's secret is missing or wrong");
    for named in ["authorization", "x-webhook-secret2", "x-twilio-signature"] {
        ordered.hook_with(&[(named, secret)], &ordered.completed()).await.problem(401, "bad-webhook-secret");
    }
    // Before its body is read.
    ordered.hook_with(&[(SECRET_HEADER, "0")], "no JSON").await.problem(401, "bad-webhook-secret");
}

#[tokio::test]
async fn two_secrets_are_none() {
    let ordered = Ordered::new().await;
    for pair in [[ordered.secret.as_str(), ordered.secret.as_str()], [&ordered.secret, "0"], ["0", &ordered.secret]] {
        let url = format!("{}{}", ordered.world.base, ordered.path);
        let request = ordered.world.http.post(url).header(SECRET_HEADER, pair[0]).header(SECRET_HEADER, pair[1]);
        assert_eq!(request.body(ordered.completed()).send().await.expect("an answer").status(), 401, "{pair:?}");
    }
}

#[tokio::test]
async fn the_secret_of_one_webhook_opens_no_other() {
    let first = Ordered::new().await;
    let (path, secret) = (first.path.clone(), first.secret.clone());
    let (call, _) = first.world.recorded_call().await;
    let second = Ordered::another(first.world, &call).await;
    assert_ne!((&second.path, &second.secret), (&path, &secret));
    second.hook_with(&[(SECRET_HEADER, &secret)], &second.completed()).await.problem(401, "bad-webhook-secret");
    for job in ["", "?job=", "?job=1", "?Job=1"] {
        let path = format!("/hooks/assemblyai{job}");
        let answer = second.world.send(Method::POST, &path, &[(SECRET_HEADER, &second.secret)], "{}").await;
        answer.problem(401, "bad-webhook-secret");
    }
    assert_taken(&second.hook(&second.completed()).await);
    // The first one's own still does.
    let answer = second.world.send(Method::POST, &path, &[(SECRET_HEADER, &secret)], &second.completed()).await;
    assert_taken(&answer);
}

#[tokio::test]
async fn a_webhook_holds_64_kib_and_no_more() {
    let ordered = Ordered::new().await;
    let padded = |length: usize| ordered.completed() + &" ".repeat(length - ordered.completed().len());
    assert_taken(&ordered.hook(&padded(64 << 10)).await);
    ordered.hook(&padded((64 << 10) + 1)).await.problem(413, "too-large");
    assert_taken(&ordered.hook(&ordered.completed()).await);
}

#[tokio::test]
async fn a_webhook_without_an_id_is_taken() {
    let ordered = Ordered::new().await;
    let before = ordered.looks();
    let redacted = r#"{"status":"redacted_audio_ready","redacted_audio_url":"https://example.com/a.mp3"}"#;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [redacted, "{}", r#"{"transcript_id":null}"#, &deep] {
        assert_taken(&ordered.hook(body).await);
    }
    assert_eq!(ordered.looks(), before);
}

#[tokio::test]
async fn a_webhook_is_a_hint_and_changes_nothing() {
    let ordered = Ordered::new().await;
    let (world, path) = (&ordered.world, format!("/transcript/{}", ordered.id));
    for status in ["completed", "error"] {
        let hint = json!({ "transcript_id": ordered.id, "status": status, "text": "forged", "error": "forged" });
        assert_taken(&ordered.hook(&hint.to_string()).await);
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["status"], "processing", "{}", answer.text());
        assert_eq!(answer.json()["text"], Value::Null);
        assert_eq!(world.get(&format!("{path}?format=text")).await.status, 202);
        assert_eq!(world.get(&format!("{path}?format=srt")).await.status, 202);
    }
    world.assemblyai.release();
    let answer = world.get(&format!("{path}?wait=60")).await;
    assert_eq!(answer.json()["status"], "completed");
    assert!(!answer.text().contains("forged"));
}

/// More looks than a request that waits a minute takes on its own, which is one every 3 seconds.
const MANY_LOOKS: usize = 30;

#[tokio::test]
async fn whoever_waits_looks_at_each_webhook_and_is_answered_at_the_last() {
    let ordered = Ordered::new().await;
    let world = &ordered.world;
    let path = format!("/transcript/{}?wait=60", ordered.id);
    let hints = async {
        for looks in 1..=MANY_LOOKS {
            world.assemblyai.control.until(|| (ordered.looks() >= looks).then_some(())).await;
            assert_taken(&ordered.hook(&ordered.completed()).await);
        }
        world.assemblyai.release();
    };
    let waiting = world.get(&path);
    tokio::pin!(waiting);
    tokio::select! {
        answer = &mut waiting => panic!("answered before it was finished: {}", answer.text()),
        () = hints => {}
    }
    let answer = waiting.await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    let transcript = &world.assemblyai.transcripts()[0];
    assert_eq!(answer.json()["text"], transcript["text"]);
}

#[tokio::test]
async fn assemblyais_own_webhook_is_taken() {
    let ordered = Ordered::new().await;
    let world = &ordered.world;
    let path = format!("/transcript/{}?wait=60", ordered.id);
    let first_look = async {
        world.assemblyai.control.until(|| (ordered.looks() > 0).then_some(())).await;
        world.assemblyai.release();
    };
    let (answer, ()) = tokio::join!(world.get(&path), first_look);
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    let told = || {
        let transcripts = world.assemblyai.transcripts();
        transcripts[0]["webhook_status_code"].as_u64()
    };
    assert_eq!(world.assemblyai.control.until(told).await, 204);
}

#[tokio::test]
async fn the_log_has_no_key_no_signature_and_no_secret() {
    let ordered = Ordered::new().await;
    ordered.hook(&ordered.completed()).await;
    ordered.hook_with(&[(SECRET_HEADER, &ordered.secret[1..])], "{}").await;
    let call = "CA00000000000000000000000000000010";
    let params = call_progress(call, "completed");
    ordered.world.callback("/hooks/twilio/call", &params).await;
    let signature = sign(&format!("{}/hooks/twilio/call", ordered.world.base), &params);
    ordered.world.signed(Method::POST, "/record/", &signature, "").await;

    assert!(!log::lines_with(&ordered.id).is_empty() && !log::lines_with(call).is_empty());
    for secret in [&ordered.secret[1..], &signature, AUTH_TOKEN, assemblyai::API_KEY] {
        assert_eq!(log::lines_with(secret), Vec::<String>::new());
    }
}
