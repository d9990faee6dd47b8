//! The vendors' callbacks: authenticated, treated as hints, and logged without phone numbers.

use std::time::Duration;

use callscribe::internals::{SECRET_HEADER, signature};
use callscribe::sandbox::assemblyai;
use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::support::callbacks::{encode, sign};
use crate::support::{Answer, World, log};

const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";

/// The parameters of a call's status callback, as Twilio documents them.
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

/// The parameters of a recording's status callback, as Twilio documents them.
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

fn assert_acknowledged(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (204, b"".as_slice()), "{}", answer.text());
}

#[tokio::test]
async fn the_status_of_a_leg_that_another_call_dialed_makes_no_call_and_gives_none_a_sid() {
    let world = World::new().await;
    let parent = world.dial("14155551234").await;
    world.settle().await;
    let before = world.call(&parent).await;
    let id = before["id"].as_str().expect("an id").to_owned();
    for path in ["/hooks/twilio/call".to_owned(), format!("/hooks/twilio/call?t={id}")] {
        for status in ["initiated", "completed"] {
            let mut params = call_progress("CA00000000000000000000000000000002", status);
            params.push(("ParentCallSid", &parent));
            assert_acknowledged(&world.callback(&path, &params).await);
            params.push(("ParentCallSid", &parent));
            world.callback(&path, &params).await.problem(400, "bad-request");
        }
    }
    world.settle().await;
    assert_eq!(world.call(&parent).await, before);
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 1);

    world.store.execute("UPDATE calls SET sid = NULL").await.expect("a call whose SID has not arrived");
    let mut params = call_progress("CA00000000000000000000000000000002", "ringing");
    params.push(("ParentCallSid", &parent));
    assert_acknowledged(&world.callback(&format!("/hooks/twilio/call?t={id}"), &params).await);
    assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE sid IS NOT NULL").await, 0);

    let mut params = call_progress("CA00000000000000000000000000000003", "ringing");
    params.push(("ParentCallSid", ""));
    assert_acknowledged(&world.callback("/hooks/twilio/call", &params).await);
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 2, "an empty name is none");
}

#[tokio::test]
async fn a_recording_of_a_conference_whose_last_callback_is_lost_is_polled_for() {
    let world = World::new().await;
    let (dialed, _) = world.recorded_call().await;
    world.settle().await;
    let token = world.call(&dialed).await["id"].as_str().expect("an id").to_owned();
    let conference = "0123456789abcdef0123456789abcdef";
    for (path, call) in [
        ("/hooks/twilio/recording".to_owned(), conference.to_owned()),
        (format!("/hooks/twilio/recording?t={token}"), token),
    ] {
        let recording = world.twilio.add_recording(Default::default());
        let params = [
            ("AccountSid", ACCOUNT_SID),
            ("ConferenceSid", &format!("CF{conference}")),
            ("RecordingSid", &recording),
            ("RecordingStatus", "in-progress"),
            ("RecordingSource", "Conference"),
        ];
        assert_acknowledged(&world.callback(&path, &params).await);
        assert!(world.call(&call).await["recordings"].to_string().contains("in-progress"));
        for _ in 0..3 {
            world.after(Duration::from_secs(60)).await;
        }
        let seen = world.call(&call).await;
        assert_eq!(seen["progress"], "done", "{seen:#}");
        assert!(seen["transcripts"].to_string().contains(&recording), "{seen:#}");
    }
}

#[tokio::test]
async fn recordings_of_a_conference_are_taken_in_without_a_call_sid() {
    const CONFERENCE: &str = "CF0123456789ABCDEF0123456789abcdef";
    let world = World::new().await;
    let (dialed, _) = world.recorded_call().await;
    world.settle().await;
    let token = world.call(&dialed).await["id"].as_str().expect("an id").to_owned();
    let of = |recording, status| {
        let mut params = recording_progress(CONFERENCE, status);
        params.iter_mut().for_each(|param| match param.0 {
            "CallSid" => param.0 = "ConferenceSid",
            "RecordingSid" => param.1 = recording,
            "RecordingSource" => param.1 = "Conference",
            _ => {}
        });
        params
    };
    let recordings = [(); 3].map(|()| world.twilio.add_recording(Default::default()));
    for status in ["in-progress", "completed", "completed"] {
        assert_acknowledged(&world.callback("/hooks/twilio/recording", &of(&recordings[0], status)).await);
    }
    assert_acknowledged(&world.callback("/hooks/twilio/recording", &of(&recordings[1], "completed")).await);
    let with_token = format!("/hooks/twilio/recording?t={token}");
    assert_acknowledged(&world.callback(&with_token, &of(&recordings[2], "completed")).await);
    world.settle().await;

    let of_call = |call: &Value| -> Vec<String> {
        let all = call["recordings"].as_array().expect("a list").iter();
        all.map(|one| one["sid"].as_str().expect("a SID").to_owned()).collect()
    };
    let conference = world.call("0123456789abcdef0123456789abcdef").await;
    assert_eq!((&conference["progress"], &conference["sid"]), (&json!("done"), &Value::Null));
    let mut found = of_call(&conference);
    found.sort();
    let mut expected = recordings[..2].to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(conference["transcripts"].as_array().map(Vec::len), Some(2));
    assert!(of_call(&world.call(&dialed).await).contains(&recordings[2]));
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 2);

    let mut params = of(&recordings[0], "completed");
    params.retain(|(name, _)| *name != "ConferenceSid");
    world.callback("/hooks/twilio/recording", &params).await.problem(400, "bad-request");
    params.push(("ConferenceSid", "CF1"));
    world.callback("/hooks/twilio/recording", &params).await.problem(400, "bad-request");

    assert_eq!(world.post_form("/calls/0123456789abcdef0123456789abcdef/delete", "").await.status, 202);
    world.settle().await;
    world.get("/calls/0123456789abcdef0123456789abcdef").await.problem(410, "deleted");
    assert_acknowledged(&world.callback("/hooks/twilio/recording", &of(&recordings[0], "completed")).await);
    world.settle().await;
    world.get("/calls/0123456789abcdef0123456789abcdef").await.problem(410, "deleted");
}

#[tokio::test]
async fn every_state_of_a_call_is_acknowledged() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000001";
    let states = ["initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled", "new"];
    for status in states {
        assert_acknowledged(&world.callback("/hooks/twilio/call", &call_progress(call, status)).await);
        assert_acknowledged(&world.callback("/hooks/twilio/call/", &call_progress(call, status)).await);
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn every_state_of_a_recording_is_acknowledged() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000002";
    for status in ["in-progress", "completed", "failed", "new"] {
        assert_acknowledged(&world.callback("/hooks/twilio/recording", &recording_progress(call, status)).await);
        assert_acknowledged(&world.callback("/hooks/twilio/recording/", &recording_progress(call, status)).await);
    }
    let mut absent = recording_progress(call, "absent");
    absent.push(("ErrorCode", "16101"));
    assert_acknowledged(&world.callback("/hooks/twilio/recording", &absent).await);
    assert_eq!(world.vendor_requests(), 0, "the program fetched the address in a callback");
}

#[tokio::test]
async fn the_log_has_the_call_of_a_callback_and_no_phone_number() {
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
    // This also holds for refused and unreadable callbacks.
    world.signed(Method::POST, "/hooks/twilio/call?To=%2B14155559271", "x", "To=%2B14155559271").await;
    world.callback("/hooks/twilio/call", &[("AccountSid", ACCOUNT_SID), ("To", "+14155559271")]).await;

    world.settle().await;
    assert!(log::lines_with(call).len() >= 5, "{:?}", log::lines_with(call));
    assert_eq!(log::lines_with("4155559271"), Vec::<String>::new());
    assert_eq!(log::lines_with("169.254.169.254"), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_is_one_line_in_the_log_with_its_route() {
    let world = World::new().await;
    for (path, route) in [
        ("/dial/14155559272", "/dial/{number}"),
        ("/dial/1415555927x", "/dial/{number}"),
        ("/record/", "/record/"),
        ("/no/such/14155559272", "(none)"),
    ] {
        let answer = world.get(path).await;
        let lines = log::lines_with(answer.header("x-request-id"));
        let responses: Vec<&String> = lines.iter().filter(|line| line.contains(": responded ")).collect();
        assert_eq!(responses.len(), 1, "{responses:?}");
        assert!(responses[0].contains(&format!("route=\"{route}\"")), "{responses:?}");
        assert!(responses[0].contains(&format!("status={}", answer.status.as_u16())), "{responses:?}");
    }
    assert_eq!(log::lines_with("4155559272"), Vec::<String>::new());
}

#[tokio::test]
async fn what_strangers_repeat_is_logged_once_and_then_counted_for_each_minute() {
    let world = World::new().await;
    /// The lines about this request at the program's level.
    fn lines_of(answer: &Answer) -> Vec<String> {
        let lines = log::lines_with(answer.header("x-request-id"));
        lines.into_iter().filter(|line| !line.contains("DEBUG") && !line.contains("TRACE")).collect()
    }
    let shared_key = [(signature::HEADER, "x"), (signature::SETTINGS_HEADER, "x")];
    for (path, headers, warnings) in [
        ("/hooks/twilio/call", &[][..], 0),
        ("/record/", &shared_key, 1),
        ("/calls", &[("x-forwarded-for", "203.0.113.7")], 0),
        ("/healthz", &[], 0),
    ] {
        let ask = async || world.send(Method::POST, path, headers, "").await;
        let first = ask().await;
        assert_eq!(lines_of(&first).len(), 1 + warnings, "{path}: {:?}", lines_of(&first));
        for _ in 0..50 {
            assert_eq!(lines_of(&ask().await), Vec::<String>::new(), "{path}");
        }
        world.clock.advance(Duration::from_secs(60));
        let lines = lines_of(&ask().await);
        assert_eq!(lines.iter().filter(|line| line.contains("times=51")).count(), 1 + warnings, "{path}: {lines:?}");
        let status = format!("status={}", first.status.as_u16());
        assert!(lines.iter().any(|line| line.contains(&status)), "{path}: {lines:?}");
        assert_eq!(lines_of(&ask().await), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn request_ids_do_not_count_requests() {
    let world = World::new().await;
    let mut halves = Vec::new();
    for _ in 0..10 {
        let answer = world.get("/healthz").await;
        let (one, two) = answer.header("x-request-id").split_at(16);
        halves.extend([one, two].map(|half| u64::from_str_radix(half, 16).expect("hex digits")));
    }
    for (at, half) in halves.iter().enumerate() {
        let is_near = |other: &u64| half.abs_diff(*other) < 1 << 32;
        assert!(!halves[..at].iter().any(is_near), "{halves:x?}");
    }
}

#[tokio::test]
async fn a_callbacks_values_cannot_begin_a_line_of_the_log() {
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
async fn an_unsigned_callback_is_refused() {
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
async fn a_callback_may_be_repeated() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000006";
    for _ in 0..20 {
        assert_acknowledged(&world.callback("/hooks/twilio/call", &call_progress(call, "completed")).await);
        assert_acknowledged(&world.callback("/hooks/twilio/recording", &recording_progress(call, "completed")).await);
        assert_acknowledged(&world.callback("/hooks/twilio/call", &call_progress(call, "ringing")).await);
    }
    let (call, progress) = ("CA00000000000000000000000000000007", "/hooks/twilio/call");
    let params = call_progress(call, "completed");
    let repeated = (0..20).map(|_| world.callback(progress, &params));
    for answer in futures_util::future::join_all(repeated).await {
        assert_acknowledged(&answer);
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_callback_may_have_unknown_parameters() {
    let world = World::new().await;
    let call = "CA00000000000000000000000000000008";
    let unknown =
        [("StirVerstat", "TN-Validation-Passed-A"), ("New", ""), ("New", "2"), ("New", "3"), ("é ☎", "日本 ")];
    let with = |mut params: Vec<(&'static str, &'static str)>| {
        params.extend(unknown);
        params
    };
    assert_acknowledged(&world.callback("/hooks/twilio/call", &with(call_progress(call, "completed"))).await);
    assert_acknowledged(&world.callback("/hooks/twilio/recording", &with(recording_progress(call, "completed"))).await);
}

#[tokio::test]
async fn a_callback_with_a_missing_or_repeated_id_is_refused() {
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
            assert_eq!(detail, format!("{name}: expected once, and not in the URL"));
        }
    }
    assert_eq!(log::lines_with(call), Vec::<String>::new());
}

#[tokio::test]
async fn a_parameter_that_is_repeated_or_in_the_query_is_refused() {
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
            // Readers of the first and of the last value must not differ, so even an equal value is refused.
            for second in [value, "another"] {
                let mut twice = params.clone();
                twice.push((name, second));
                world.callback(path, &twice).await.problem(400, "bad-request");
                let in_query = format!("{path}?{}", encode(&[(name, second)]));
                world.callback(&in_query, params).await.problem(400, "bad-request");
                // A sender without a valid signature learns nothing about it.
                let detail = world.signed(Method::POST, &in_query, "x", &encode(params)).await;
                let detail = detail.problem(403, "forbidden");
                assert!(detail.contains("X-Twilio-Signature"), "{detail}");
            }
        }
        let twice = format!("{path}?t=a&t=b");
        world.callback(&twice, params).await.problem(400, "bad-request");
        world.signed(Method::POST, &twice, "x", &encode(params)).await.problem(403, "forbidden");
    }
    world.post_json("/hooks/assemblyai?job=1&job=2", &json!({})).await.problem(401, "bad-webhook-secret");
    let listed = world.get("/calls").await.json();
    assert_eq!(listed["calls"], json!([]), "a refused callback was stored");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn no_callback_can_forge_a_line_of_the_log() {
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
    assert!(!lines.is_empty(), "without the SID in the log, this test checks nothing");
    for line in lines {
        assert!(!line.starts_with("2026-01-01") && line.contains("callscribe"), "{line:?}");
        assert!(!line.contains(|char: char| char.is_control() || char == '\u{2028}'), "{line:?}");
    }
}

#[tokio::test]
async fn markup_in_a_callers_name_or_number_stays_text_on_every_page() {
    let world = World::new().await;
    let markup = "\"'></script><img src=x onerror=alert(1)>";
    let call = "CA00000000000000000000000000000011";
    let mut params = call_progress(call, "in-progress");
    params.retain(|(name, _)| !["From", "Direction"].contains(name));
    params.extend([("From", markup), ("Direction", "inbound"), ("CallerName", markup)]);
    assert_acknowledged(&world.callback("/hooks/twilio/call", &params).await);
    for path in ["/calls".to_owned(), format!("/calls/{call}")] {
        let page = world.get_with(&path, &[("accept", "text/html")]).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(call) || page.text().contains("inbound"), "{}", page.text());
        let (text, count) = (page.text(), |part: &str| page.text().matches(part).count());
        let scripts = count("<script src=\"/assets/");
        assert!(!text.contains("<img") && scripts > 0 && count("<script") == scripts, "{text}");
        assert_eq!(count("</script>"), scripts, "{text}");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; connect-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn no_address_in_a_callback_is_ever_requested() {
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let (call, recording) = world.recorded_call().await;
    let internal = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    internal.set_nonblocking(true).expect("a nonblocking listener");
    let port = internal.local_addr().expect("a bound listener").port();
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
        assert_acknowledged(&world.callback("/hooks/twilio/recording", &params).await);
        world.settle().await;
    }
    let connection = internal.accept();
    assert!(connection.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "the program connected");
    let own = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/");
    assert!(world.twilio.control.requests().iter().all(|request| request.target.starts_with(&own)));
    assert_eq!(world.transcript_requests().len(), 1, "the recording must be transcribed once");
}

/// A submitted transcript, which AssemblyAI processes until the test releases it.
struct Submitted {
    world: World,
    id: String,
    /// Path and query of its webhook.
    path: String,
    secret: String,
}

impl Submitted {
    async fn new() -> Self {
        let world = World::new().await;
        let (call, _) = world.recorded_call().await;
        world.assemblyai.hold();
        Self::another(world, &call).await
    }

    /// Submits another transcript of this call.
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

    /// Posts this body to the webhook, with its secret.
    async fn hook(&self, body: &str) -> Answer {
        self.hook_with(&[(SECRET_HEADER, &self.secret)], body).await
    }

    async fn hook_with(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.world.send(Method::POST, &self.path, &headers, body).await
    }

    /// The webhook's body when the transcript is completed.
    fn completed(&self) -> String {
        json!({ "transcript_id": self.id, "status": "completed" }).to_string()
    }

    /// The number of times that the program has polled AssemblyAI for the transcript.
    fn polls(&self) -> usize {
        self.world.assemblyai.control.requests_to(Method::GET, &self.id).len()
    }
}

#[tokio::test]
async fn a_webhook_with_its_secret_is_acknowledged() {
    let submitted = Submitted::new().await;
    for _ in 0..3 {
        assert_acknowledged(&submitted.hook(&submitted.completed()).await);
    }
    assert_acknowledged(
        &submitted.hook(&json!({ "transcript_id": submitted.id, "status": "error" }).to_string()).await,
    );
    let slashed = submitted.path.replacen('?', "/?", 1);
    let secret = [(SECRET_HEADER, submitted.secret.as_str())];
    assert_acknowledged(&submitted.world.send(Method::POST, &slashed, &secret, &submitted.completed()).await);
    let unknown = r#"{"transcript_id":"00000000-0000-0000-0000-000000000000","status":"completed","new":[1]}"#;
    assert_acknowledged(&submitted.hook(unknown).await);
}

#[tokio::test]
async fn a_webhook_without_its_secret_is_refused() {
    let submitted = Submitted::new().await;
    let secret = submitted.secret.as_str();
    let flipped = format!("{}{}", if secret.starts_with('0') { '1' } else { '0' }, &secret[1..]);
    let wrong =
        [&secret[1..], &secret[..1], &flipped, "", "0", &secret.to_uppercase(), &format!("{secret}0"), &"0".repeat(64)];
    for wrong in wrong {
        let answer = submitted.hook_with(&[(SECRET_HEADER, wrong)], &submitted.completed()).await;
        assert_eq!(answer.problem(401, "bad-webhook-secret"), "the webhook's secret is missing or wrong", "{wrong}");
    }
    let answer = submitted.hook_with(&[], &submitted.completed()).await;
    assert_eq!(answer.problem(401, "bad-webhook-secret"), "the webhook's secret is missing or wrong");
    for named in ["authorization", "x-webhook-secret2", "x-twilio-signature"] {
        submitted.hook_with(&[(named, secret)], &submitted.completed()).await.problem(401, "bad-webhook-secret");
    }
    // The secret is checked before the body is read.
    submitted.hook_with(&[(SECRET_HEADER, "0")], "no JSON").await.problem(401, "bad-webhook-secret");
}

#[tokio::test]
async fn two_secrets_count_as_none() {
    let submitted = Submitted::new().await;
    for pair in
        [[submitted.secret.as_str(), submitted.secret.as_str()], [&submitted.secret, "0"], ["0", &submitted.secret]]
    {
        let url = format!("{}{}", submitted.world.base, submitted.path);
        let request = submitted.world.http.post(url).header(SECRET_HEADER, pair[0]).header(SECRET_HEADER, pair[1]);
        assert_eq!(request.body(submitted.completed()).send().await.expect("an answer").status(), 401, "{pair:?}");
    }
}

#[tokio::test]
async fn the_secret_of_one_webhook_opens_no_other() {
    let first = Submitted::new().await;
    let (path, secret) = (first.path.clone(), first.secret.clone());
    let (call, _) = first.world.recorded_call().await;
    let second = Submitted::another(first.world, &call).await;
    assert_ne!((&second.path, &second.secret), (&path, &secret));
    second.hook_with(&[(SECRET_HEADER, &secret)], &second.completed()).await.problem(401, "bad-webhook-secret");
    for job in ["", "?job=", "?job=1", "?Job=1"] {
        let path = format!("/hooks/assemblyai{job}");
        let answer = second.world.send(Method::POST, &path, &[(SECRET_HEADER, &second.secret)], "{}").await;
        answer.problem(401, "bad-webhook-secret");
    }
    assert_acknowledged(&second.hook(&second.completed()).await);
    // The first webhook still accepts its own secret.
    let answer = second.world.send(Method::POST, &path, &[(SECRET_HEADER, &secret)], &second.completed()).await;
    assert_acknowledged(&answer);
}

#[tokio::test]
async fn a_webhook_holds_64_kib_and_no_more() {
    let submitted = Submitted::new().await;
    let padded = |length: usize| submitted.completed() + &" ".repeat(length - submitted.completed().len());
    assert_acknowledged(&submitted.hook(&padded(64 << 10)).await);
    submitted.hook(&padded((64 << 10) + 1)).await.problem(413, "too-large");
    assert_acknowledged(&submitted.hook(&submitted.completed()).await);
}

#[tokio::test]
async fn a_webhook_without_an_id_is_acknowledged() {
    let submitted = Submitted::new().await;
    let before = submitted.polls();
    let redacted = r#"{"status":"redacted_audio_ready","redacted_audio_url":"https://example.com/a.mp3"}"#;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [redacted, "{}", r#"{"transcript_id":null}"#, &deep] {
        assert_acknowledged(&submitted.hook(body).await);
    }
    assert_eq!(submitted.polls(), before);
}

#[tokio::test]
async fn a_webhook_is_a_hint_and_changes_nothing() {
    let submitted = Submitted::new().await;
    let (world, path) = (&submitted.world, format!("/transcript/{}", submitted.id));
    for status in ["completed", "error"] {
        let hint = json!({ "transcript_id": submitted.id, "status": status, "text": "forged", "error": "forged" });
        assert_acknowledged(&submitted.hook(&hint.to_string()).await);
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

/// More polls than a waiting request makes on its own: 20, one every 3 seconds for a minute.
const MANY_POLLS: usize = 30;

#[tokio::test]
async fn a_waiting_request_polls_at_each_webhook_and_is_answered_at_the_last() {
    let submitted = Submitted::new().await;
    let world = &submitted.world;
    let path = format!("/transcript/{}?wait=60", submitted.id);
    let hints = async {
        for polls in 1..=MANY_POLLS {
            world.assemblyai.control.until(|| (submitted.polls() >= polls).then_some(())).await;
            assert_acknowledged(&submitted.hook(&submitted.completed()).await);
        }
        world.assemblyai.release();
    };
    let waiting = world.get(&path);
    tokio::pin!(waiting);
    tokio::select! {
        answer = &mut waiting => panic!("answered before the transcript was completed: {}", answer.text()),
        () = hints => {}
    }
    let answer = waiting.await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    let transcript = &world.assemblyai.transcripts()[0];
    assert_eq!(answer.json()["text"], transcript["text"]);
}

#[tokio::test]
async fn assemblyais_own_webhook_is_acknowledged() {
    let submitted = Submitted::new().await;
    let world = &submitted.world;
    let path = format!("/transcript/{}?wait=60", submitted.id);
    let release_after_a_poll = async {
        world.assemblyai.control.until(|| (submitted.polls() > 0).then_some(())).await;
        world.assemblyai.release();
    };
    let (answer, ()) = tokio::join!(world.get(&path), release_after_a_poll);
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    let webhook_status = || {
        let transcripts = world.assemblyai.transcripts();
        transcripts[0]["webhook_status_code"].as_u64()
    };
    assert_eq!(world.assemblyai.control.until(webhook_status).await, 204);
}

#[tokio::test]
async fn the_log_has_no_key_no_signature_and_no_secret() {
    let submitted = Submitted::new().await;
    submitted.hook(&submitted.completed()).await;
    submitted.hook_with(&[(SECRET_HEADER, &submitted.secret[1..])], "{}").await;
    let call = "CA00000000000000000000000000000010";
    let params = call_progress(call, "completed");
    submitted.world.callback("/hooks/twilio/call", &params).await;
    let signature = sign(&format!("{}/hooks/twilio/call", submitted.world.base), &params);
    submitted.world.signed(Method::POST, "/record/", &signature, "").await;

    assert!(!log::lines_with(&submitted.id).is_empty() && !log::lines_with(call).is_empty());
    for secret in [&submitted.secret[1..], &signature, AUTH_TOKEN, assemblyai::API_KEY] {
        assert_eq!(log::lines_with(secret), Vec::<String>::new());
    }
}
