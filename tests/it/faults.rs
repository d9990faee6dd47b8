//! Vendors that refuse, fail, stall or talk nonsense: what the caller is told, and what is asked again and what never.

use std::borrow::Cow;
use std::time::Duration;

use callscribe::internals::Deadlines;
use callscribe::sandbox::control::{Callbacks, Fault};
use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{World, fail_step, listen, steps_repeat};

/// A vendor that stalls is given up after a moment, so that the tests need not wait as long as people do.
fn impatient() -> Deadlines {
    let moment = Duration::from_secs(1);
    Deadlines { answer: moment, stall: moment, ..Deadlines::default() }
}

fn refuse(status: u16) -> Fault {
    Fault::Refuse { status, retry_after: None }
}

/// What leaves open whether a request was carried out, and it was.
const DONE: [Fault; 5] = [
    Fault::HangAfter,
    Fault::DropAfter,
    Fault::CutBody,
    Fault::WrongBody(Cow::Borrowed("{}")),
    Fault::WrongBody(Cow::Borrowed("<html>")),
];

/// What leaves it open, and it was not.
fn not_done() -> [(Fault, u16); 3] {
    [(refuse(500), 502), (refuse(503), 502), (Fault::Hang, 504)]
}

/// A program that nobody can call back: what it knows, it has asked for.
async fn unreachable() -> World {
    let nowhere = format!("http://{}", listen().await.local_addr().unwrap());
    World::with_deadlines(&[("BASE_URL", &nowhere)], impatient()).await
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_found_in_twilios_list_and_asked_for_once() {
    join_all(DONE.map(async |fault| {
        let world = unreachable().await;
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault.clone());
        let sid = world.dial("14155551234").await;
        assert!(world.twilio.call_status(&sid).is_some(), "{fault:?}: {sid} is at Twilio");
        assert_eq!(world.calls_placed(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_call_that_was_not_placed_is_asked_for_once_and_lost_after_two_minutes() {
    join_all(not_done().map(async |(fault, status)| {
        let world = unreachable().await;
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault.clone());
        let detail = world.get("/dial/14155551234").await.problem(status, "vendor-ambiguous");
        assert!(detail.contains("the call may have been placed all the same"), "{fault:?}: {detail}");
        for state in ["unknown", "unknown", "unknown", "lost"] {
            let calls = world.get("/calls").await.json();
            assert_eq!(calls["calls"][0]["state"], state, "{fault:?}");
            world.after(Duration::from_secs(40)).await;
        }
        assert_eq!(world.calls_placed(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_call_that_twilio_has_no_time_for_is_asked_for_again_until_it_has() {
    let world = World::new().await;
    let too_much = Fault::Refuse { status: 429, retry_after: Some(0) };
    world.twilio.control.fail_next(Method::POST, "/Calls.json", too_much);
    world.dial("14155551234").await;
    assert_eq!((world.calls_placed(), world.twilio.placed_per_token().len()), (2, 1));
}

#[tokio::test]
async fn a_transcript_whose_answer_is_lost_is_found_in_assemblyais_list_and_asked_for_once() {
    join_all(DONE.map(async |fault| {
        let world = unreachable().await;
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let order = json!({"audio_url": "https://example.com/a.wav"});
        let answer = world.post_json("/transcribe", &order).await;
        assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
        assert_eq!(answer.json()["id"], world.assemblyai.transcripts()[0]["id"], "{fault:?}");
        assert_eq!(world.transcript_requests().len(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_transcript_that_was_not_ordered_is_ordered_again_once_that_is_sure() {
    join_all(not_done().map(async |(fault, status)| {
        let world = unreachable().await;
        world.assemblyai.hold();
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let order = json!({"audio_url": "https://example.com/a.wav"});
        let detail = world.post_json("/transcribe", &order).await.problem(status, "vendor-ambiguous");
        assert!(detail.contains("the transcript may have been ordered all the same"), "{fault:?}: {detail}");
        world.after(Duration::from_secs(30)).await;
        assert_eq!(world.transcript_requests().len(), 1, "{fault:?}: it may turn up in the list yet");
        world.after(Duration::from_secs(60)).await;
        assert_eq!(world.transcript_requests().len(), 2, "{fault:?}");
        assert_eq!(world.assemblyai.transcripts().len(), 1, "{fault:?}");
        let again = world.post_json("/transcribe", &order).await;
        assert_eq!(again.status, 200, "{fault:?}: {}", again.text());
        assert_eq!(world.assemblyai.transcripts().len(), 1, "{fault:?}: the same request has the same transcript");
    }))
    .await;
}

#[tokio::test]
async fn what_a_vendor_refuses_is_asked_for_once() {
    let world = World::new().await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(401));
    world.get("/dial/14155551234").await.problem(502, "vendor-credentials");
    world.settle().await;
    assert_eq!(world.calls_placed(), 1);
    let order = json!({"audio_url": "https://example.com/a.wav"});
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refuse(401));
    world.post_json("/transcribe", &order).await.problem(502, "vendor-credentials");
    world.after(Duration::from_secs(3_600)).await;
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn what_is_only_read_is_asked_for_again() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() });
    let path = format!("/get-recording-url/{call_sid}");
    for fault in [
        refuse(429),
        Fault::Refuse { status: 429, retry_after: Some(0) },
        refuse(500),
        refuse(503),
        Fault::DropAfter,
        Fault::CutBody,
    ] {
        let before = world.twilio.control.requests().len();
        world.twilio.control.fail_next(Method::GET, "/Recordings.json", fault.clone());
        assert_eq!(world.get(&path).await.status, 200, "{fault:?}");
        assert_eq!(world.twilio.control.requests().len() - before, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_get_is_given_up_after_three_repetitions() {
    let world = World::new().await;
    for _ in 0..4 {
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(503));
    }
    let answer = world.get("/transcript/9ea68fd3-f953-42c1-9742-976c447fb463").await;
    answer.problem(502, "vendor-unavailable");
    assert_eq!(world.vendor_requests(), 4);
}

#[tokio::test]
async fn a_retry_after_longer_than_a_caller_waits_is_passed_on_at_once() {
    let world = World::new().await;
    let busy = Fault::Refuse { status: 429, retry_after: Some(300) };
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", busy);
    let answer = world.get("/transcript/9ea68fd3-f953-42c1-9742-976c447fb463").await;
    answer.problem(429, "vendor-rate-limited");
    assert_eq!(answer.header("retry-after"), "300");
    assert_eq!(world.vendor_requests(), 1);
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_not_waited_for() {
    let deadlines = Deadlines { repeated: Duration::from_secs(1), ..Deadlines::default() };
    let world = World::with_deadlines(&[], deadlines).await;
    let path = "/transcript/9ea68fd3-f953-42c1-9742-976c447fb463";
    for (status, code, kind) in [(429, 429, "vendor-rate-limited"), (503, 502, "vendor-unavailable")] {
        let before = world.vendor_requests();
        // Without a word on when, it would be asked again at once, and be answered.
        let busy = Fault::Refuse { status, retry_after: Some(1) };
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", busy);
        let answer = world.get(path).await;
        answer.problem(code, kind);
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(world.vendor_requests() - before, 1);
    }
}

#[tokio::test]
async fn a_post_to_where_nothing_is_blames_the_settings() {
    let world = World::with(&[]).await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(404));
    let detail = world.get("/dial/14155551234").await.problem(502, "vendor-rejected");
    assert!(detail.contains("TWILIO_ACCOUNT_SID"), "{detail}");
    for path in ["/v2/upload", "/v2/transcript"] {
        fail_step(&world.assemblyai.control, &Method::POST, path, &refuse(404));
        let recording = world.twilio.add_recording(SeededRecording::default());
        let detail =
            world.post_json("/transcribe", &json!({"recording_sid": recording})).await.problem(502, "vendor-rejected");
        assert!(detail.contains("ASSEMBLYAI_API_URL"), "{detail}");
    }
}

#[tokio::test]
async fn a_get_that_is_not_answered_is_504_and_one_that_is_nonsense_502() {
    let world = World::with_deadlines(&[], impatient()).await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let path = format!("/get-recording-url/{call_sid}");
    world.twilio.control.fail_next(Method::GET, "/Recordings.json", Fault::Hang);
    world.get(&path).await.problem(504, "vendor-timeout");
    for (nonsense, place) in [
        ("<html>", "at the top level"),
        ("{}", "at the top level"),
        (r#"{"recordings": [{"sid": 7}]}"#, "at recordings[0].sid"),
    ] {
        world.twilio.control.fail_next(Method::GET, "/Recordings.json", Fault::wrong_body(nonsense));
        let detail = world.get(&path).await.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with(place), "{detail}");
    }
    let same_page = format!(
        r#"{{"recordings": [], "next_page_uri": "/2010-04-01/Accounts/{}/Calls/{call_sid}/Recordings.json"}}"#,
        callscribe::sandbox::twilio::ACCOUNT_SID
    );
    // To follow the last one would be to ask for the same page for ever.
    for elsewhere in [
        r#"{"recordings": [], "next_page_uri": "https://example.com/2010-04-01/"}"#,
        r#"{"recordings": [], "next_page_uri": "//example.com/2010-04-01/"}"#,
        &same_page,
    ] {
        world.twilio.control.fail_next(Method::GET, "/Recordings.json", Fault::wrong_body(elsewhere.to_owned()));
        let detail = world.get(&path).await.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with("at next_page_uri"), "{detail}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_502_and_nothing_was_done() {
    let nowhere = [("TWILIO_API_URL", "http://127.0.0.1:1"), ("ASSEMBLYAI_API_URL", "http://127.0.0.1:1")];
    let world = World::with(&nowhere).await;
    let detail = world.get("/dial/14155551234").await.problem(502, "vendor-unreachable");
    assert_eq!(detail, "Twilio could not be reached; nothing was done");
    world.get("/get-recording-url/CA00000000000000000000000000000000").await.problem(502, "vendor-unreachable");
    world.get("/transcript/9ea68fd3-f953-42c1-9742-976c447fb463").await.problem(502, "vendor-unreachable");
    let order = json!({"audio_url": "https://example.com/a.wav"});
    world.post_json("/transcribe", &order).await.problem(502, "vendor-unreachable");
}

#[tokio::test]
async fn wrong_credentials_are_502_and_name_the_settings_to_look_at() {
    let world = World::with(&[("TWILIO_AUTH_TOKEN", "wrong"), ("ASSEMBLYAI_KEY", "wrong")]).await;
    let answer = world.get("/dial/14155551234").await;
    let detail = answer.problem(502, "vendor-credentials");
    assert!(detail.contains("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"), "{detail}");
    assert_eq!(answer.json()["code"], 20003);
    assert_eq!(answer.json()["more_info"], "https://www.twilio.com/docs/errors/20003");
    let detail = world.get("/transcript/9ea68fd3-f953-42c1-9742-976c447fb463").await.problem(502, "vendor-credentials");
    assert!(detail.contains("ASSEMBLYAI_KEY"), "{detail}");
}

#[tokio::test]
async fn an_api_key_opens_twilio_in_place_of_the_auth_token() {
    let key = [
        ("TWILIO_API_KEY", callscribe::sandbox::twilio::API_KEY_SID),
        ("TWILIO_API_SECRET", callscribe::sandbox::twilio::API_KEY_SECRET),
    ];
    let world = World::with(&key).await;
    let (call, _) = world.recorded_call().await;
    assert_eq!(world.get(&format!("/get-recording-url/{call}")).await.status, 200);
    let seen = world.twilio.control.requests_to(Method::POST, "/Calls.json");
    use base64::Engine as _;
    let pair = format!("{}:{}", key[0].1, key[1].1);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    assert_eq!(seen[0].headers["authorization"], basic);
    assert!(seen[0].target.contains(callscribe::sandbox::twilio::ACCOUNT_SID), "the path keeps the account");
}

#[tokio::test]
async fn twilios_refusals_keep_code_and_words_under_a_fitting_status() {
    let world = World::new().await;
    for (number, status, code) in [
        ("15005550001", 400, 21217),
        ("15005550002", 400, 21214),
        ("15005550003", 403, 21215),
        ("15005550004", 400, 21216),
    ] {
        let answer = world.get(&format!("/dial/{number}")).await;
        answer.problem(status, "vendor-rejected");
        assert_eq!(answer.json()["code"], code);
        assert!(answer.json()["more_info"].as_str().unwrap().ends_with(&code.to_string()));
    }
    let not_ours = World::with(&[("TWILIO_PHONE_NUMBER", "+14155550000")]).await;
    let answer = not_ours.get("/dial/14155551234").await;
    assert!(answer.problem(502, "vendor-rejected").ends_with("look at TWILIO_PHONE_NUMBER"));
    assert_eq!(answer.json()["code"], 21210);
}

#[tokio::test]
async fn a_browser_gets_a_page_that_says_the_same() {
    let world = World::new().await;
    let answer = world.get_with("/dial/15005550003", &[("accept", "text/html")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (403, "text/html; charset=utf-8"));
    for part in [
        "Twilio rejected the request",
        "21215",
        "https://www.twilio.com/docs/errors/21215",
        answer.header("x-request-id"),
    ] {
        assert!(answer.text().contains(part), "{part} in {}", answer.text());
    }
}

#[tokio::test]
async fn wrong_numbers_are_400_and_nobody_is_called() {
    let world = World::new().await;
    for number in [
        "+",
        "++14155551234",
        "%2B%2B14155551234",
        "1",
        "1415555",
        "1234567890123456",
        "04155551234",
        "0014155551234",
        "01114155551234",
        "911",
        "1415555123a",
        "1415%20555%201234",
        "1-415-555-1234",
        "(415)5551234",
        "1.4155551234",
        "14155551234%00",
        "14155551234%0d%0a",
        "1415%2F..%2F5551234",
        "%D9%A1%D9%A4%D9%A1%D9%A5%D9%A5%D9%A5%D9%A1%D9%A2",
        "%EF%BC%91%EF%BC%94%EF%BC%91%EF%BC%95%EF%BC%95%EF%BC%95%EF%BC%91%EF%BC%92",
        "1e10000000",
        "0x1415555",
        "-14155551234",
        "%ff",
        "sip:a@b.example",
        "client:x",
        "14155551234;ext=1",
        "14155551234,,1",
        "14155551234+",
        "1".repeat(10_000).as_str(),
    ] {
        world.get(&format!("/dial/{number}")).await.problem(400, "bad-request");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn while_a_vendor_refuses_the_credentials_every_page_says_so_and_which_settings_to_look_at() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let pages = ["/", "/calls", &format!("/calls/{sid}"), "/transcribe", "/dial/14155551234"];
    let browser = [
        ("accept", "text/html"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let alerts = async || {
        let mut alerts = Vec::new();
        for page in pages {
            let page = world.get_with(page, &browser).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let text = page.text();
            alerts.push(
                text.split("role=\"alert\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect(),
            );
        }
        let first: Vec<String> = alerts.pop().expect("a page");
        assert!(alerts.iter().all(|others| *others == first), "{alerts:?}");
        first
    };
    assert_eq!(alerts().await, [""; 0]);

    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(401));
    world.get("/dial/14155551234").await.problem(502, "vendor-credentials");
    let twilio = "Twilio refuses the credentials: look at TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY \
                  and TWILIO_API_SECRET.";
    assert_eq!(alerts().await, [twilio]);
    let transcript = "/transcript/9ea68fd3-f953-42c1-9742-976c447fb463";
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(401));
    world.get(transcript).await.problem(502, "vendor-credentials");
    let assemblyai = "AssemblyAI refuses the credentials: look at ASSEMBLYAI_KEY.";
    assert_eq!(alerts().await, [twilio, assemblyai]);
    let page = world.get_with("/nowhere", &[("accept", "text/html")]).await;
    assert!(page.status == 404 && !page.text().contains("refuses"), "a problem's page may be a stranger's");
    assert_eq!(world.get(&format!("/get-recording-url/{sid}")).await.status, 200);
    assert_eq!(alerts().await, [assemblyai]);
    world.assemblyai.hold();
    let order = json!({"audio_url": "https://example.com/a.wav"});
    assert_eq!(world.post_json("/transcribe", &order).await.status, 200);
    assert_eq!(alerts().await, [""; 0]);
}

#[tokio::test]
async fn no_attempt_is_used_up_while_twilio_refuses_the_credentials() {
    if steps_repeat() {
        // A look that was refused is taken once more then, and answered.
        return;
    }
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let sid = world.dial("14155551234").await;
    for refused in 0..12 {
        world.twilio.control.fail_next(Method::GET, "/Calls/", refuse(401));
        world.after(Duration::from_secs(61)).await;
        let page = world.get_with("/", &[("accept", "text/html")]).await;
        assert!(page.text().contains("Twilio refuses the credentials"), "{refused}");
    }
    assert_eq!(world.store.number("SELECT failures FROM jobs WHERE kind = 'call'").await, 0);
    world.after(Duration::from_secs(61)).await;
    assert_eq!(world.call(&sid).await["progress"], "done");
    assert!(!world.get_with("/", &[("accept", "text/html")]).await.text().contains("refuses"));
}
