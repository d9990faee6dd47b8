//! Vendors that refuse, fail, stall or send nonsense: the answer to the client, which requests are retried, and which never
//! are.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Json, Router};
use callscribe::internals::Deadlines;
use callscribe::sandbox::control::{Callbacks, Fault};
use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::navigation::OPENED;
use crate::support::{World, client, fail_step, listen, refuse, serve, steps_repeat};

const TRANSCRIPT: &str = "/transcript/9ea68fd3-f953-42c1-9742-976c447fb463";

/// Short deadlines, so that tests with a stalling vendor are fast.
fn short_deadlines() -> Deadlines {
    let moment = Duration::from_secs(1);
    Deadlines { answer: moment, stall: moment, ..Deadlines::default() }
}

/// Ambiguous faults after which the vendor has carried out the request.
const CARRIED_OUT: [Fault; 5] = [
    Fault::HangAfter,
    Fault::DropAfter,
    Fault::CutBody,
    Fault::WrongBody(Cow::Borrowed("{}")),
    Fault::WrongBody(Cow::Borrowed("<html>")),
];

/// Ambiguous faults after which the vendor has not carried out the request, with the status of our answer.
fn not_carried_out() -> [(Fault, u16); 3] {
    [(refuse(500), 502), (refuse(503), 502), (Fault::Hang, 504)]
}

/// Statuses of a proxy that has passed the request on, or has not.
const OF_PROXIES: [u16; 22] =
    [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 407, 408, 409, 410, 418, 425, 499, 502, 504, 520, 999];

/// Statuses that prove nothing, even in the vendor's own form of error.
const PROVING_NOTHING: [u16; 9] = [301, 302, 307, 308, 408, 409, 425, 499, 504];

/// The address of a listener that answers nothing.
async fn nowhere() -> String {
    format!("http://{}", listen().await.local_addr().unwrap())
}

/// A program that no callback reaches, so it knows only what it polls.
async fn without_callbacks() -> World {
    World::with_deadlines(&[("BASE_URL", &nowhere().await)], short_deadlines()).await
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_found_in_twilios_list_and_requested_once() {
    join_all(CARRIED_OUT.map(async |fault| {
        let world = without_callbacks().await;
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault.clone());
        let sid = world.dial("14155551234").await;
        assert!(world.twilio.call_status(&sid).is_some(), "{fault:?}: Twilio has no call {sid}");
        assert_eq!(world.calls_placed(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_call_that_was_not_placed_is_requested_once_and_lost_after_two_and_a_half_minutes() {
    join_all(not_carried_out().map(async |(fault, status)| {
        let world = without_callbacks().await;
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault.clone());
        let detail = world.get("/dial/14155551234").await.problem(status, "vendor-ambiguous");
        assert!(detail.contains("Twilio may have placed the call"), "{fault:?}: {detail}");
        for state in ["unknown", "unknown", "unknown", "unknown", "lost"] {
            let calls = world.get("/calls").await.json();
            assert_eq!(calls["calls"][0]["state"], state, "{fault:?}");
            world.after(Duration::from_secs(40)).await;
        }
        assert_eq!(world.calls_placed(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_call_that_a_proxy_answers_for_is_found_in_twilios_list_whatever_the_status() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    for (before, status) in OF_PROXIES.into_iter().enumerate() {
        let fault = Fault::Proxy { status, is_carried_out: true };
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault);
        let answer = world.get(&format!("/dial/1415555{:04}", 1_000 + before)).await;
        assert_eq!(answer.status, 200, "{status}: {}", answer.text());
        assert!(world.twilio.call_status(&answer.call_sid()).is_some(), "{status}");
        assert_eq!(world.calls_placed(), before + 1, "{status}");
    }
}

#[tokio::test]
async fn a_status_that_may_not_be_twilios_is_no_proof_that_no_phone_rings() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    let by_a_proxy = OF_PROXIES.map(|status| Fault::Proxy { status, is_carried_out: false });
    let faults = by_a_proxy.into_iter().chain(PROVING_NOTHING.map(refuse));
    for (before, fault) in faults.enumerate() {
        let number = format!("1415555{:04}", 1_000 + before);
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault.clone());
        let page = format!("/dial/{number}");
        let mut dial = std::pin::pin!(world.get(&page));
        let is_asked = world.twilio.control.until(|| (world.calls_placed() > before).then_some(()));
        tokio::select! {
            answer = &mut dial => panic!("{fault:?}: answered {} before Twilio was", answer.text()),
            () = is_asked => {}
        }
        // The client waits until the last search has shown that there is no such call.
        let answer = loop {
            tokio::select! {
                answer = &mut dial => break answer,
                () = world.after(Duration::from_secs(40)) => {}
            }
        };
        let detail = answer.problem(502, "not-placed");
        assert!(detail.ends_with("Twilio has no such call, so it was not placed"), "{fault:?}: {detail}");
        let call = &world.get("/calls").await.json()["calls"][0];
        assert_eq!((&call["to"], &call["state"]), (&json!(format!("+{number}")), &json!("lost")), "{fault:?}");
        assert_eq!(world.calls_placed(), before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn the_answer_to_a_dial_that_may_have_rung_blames_nobody_for_a_bad_request() {
    for status in [302, 404, 409] {
        let world = without_callbacks().await;
        let fault = Fault::Proxy { status, is_carried_out: false };
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault);
        let detail = world.get("/dial/14155551234").await.problem(502, "vendor-ambiguous");
        assert!(detail.contains("Twilio may have placed the call"), "{status}: {detail}");
    }
}

#[tokio::test]
async fn a_call_that_twilio_rate_limits_is_retried_until_it_is_placed() {
    let world = World::new().await;
    let rate_limit = Fault::Refuse { status: 429, retry_after: Some(0) };
    world.twilio.control.fail_next(Method::POST, "/Calls.json", rate_limit);
    world.dial("14155551234").await;
    assert_eq!((world.calls_placed(), world.twilio.placed_per_token().len()), (2, 1));
}

#[tokio::test]
async fn a_transcript_whose_answer_is_lost_is_found_in_assemblyais_list_and_submitted_once() {
    join_all(CARRIED_OUT.map(async |fault| {
        let world = without_callbacks().await;
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let request = json!({"audio_url": "https://example.com/a.wav"});
        let answer = world.post_json("/transcribe", &request).await;
        assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
        assert_eq!(answer.json()["id"], world.assemblyai.transcripts()[0]["id"], "{fault:?}");
        assert_eq!(world.transcript_requests().len(), 1, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_transcript_that_was_not_created_is_submitted_again_once_that_is_certain() {
    join_all(not_carried_out().map(async |(fault, status)| {
        let world = without_callbacks().await;
        world.assemblyai.hold();
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let request = json!({"audio_url": "https://example.com/a.wav"});
        let detail = world.post_json("/transcribe", &request).await.problem(status, "vendor-ambiguous");
        assert!(detail.contains("AssemblyAI may have accepted the request"), "{fault:?}: {detail}");
        world.after(Duration::from_secs(30)).await;
        assert_eq!(world.transcript_requests().len(), 1, "{fault:?}: the transcript may still appear in the list");
        world.after(Duration::from_secs(60)).await;
        assert_eq!(world.transcript_requests().len(), 2, "{fault:?}");
        assert_eq!(world.assemblyai.transcripts().len(), 1, "{fault:?}");
        let again = world.post_json("/transcribe", &request).await;
        assert_eq!(again.status, 200, "{fault:?}: {}", again.text());
        assert_eq!(world.assemblyai.transcripts().len(), 1, "{fault:?}: the same request must get the same transcript");
    }))
    .await;
}

#[tokio::test]
async fn an_order_that_a_proxy_answers_for_is_found_in_assemblyais_list_whatever_the_status() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    for (before, status) in OF_PROXIES.into_iter().enumerate() {
        let fault = Fault::Proxy { status, is_carried_out: true };
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault);
        let request = json!({ "audio_url": format!("https://example.com/{status}.wav") });
        let answer = world.post_json("/transcribe", &request).await;
        assert_eq!(answer.status, 200, "{status}: {}", answer.text());
        assert_eq!(world.transcript_requests().len(), before + 1, "{status}");
        let listed = world.assemblyai.transcripts();
        assert!(listed.iter().any(|transcript| transcript["id"] == answer.json()["id"]), "{status}");
    }
}

#[tokio::test]
async fn a_status_that_may_not_be_assemblyais_is_no_proof_that_nothing_is_paid_for() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    world.assemblyai.hold();
    let by_a_proxy = OF_PROXIES.map(|status| Fault::Proxy { status, is_carried_out: false });
    for (before, fault) in by_a_proxy.into_iter().chain(PROVING_NOTHING.map(refuse)).enumerate() {
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let request = json!({ "audio_url": format!("https://example.com/{before}.wav") });
        let answer = world.post_json("/transcribe", &request).await;
        assert_eq!(answer.json()["type"], "urn:callscribe:problem:vendor-ambiguous", "{fault:?}");
        world.after(Duration::from_secs(30)).await;
        assert_eq!(world.transcript_requests().len(), 2 * before + 1, "{fault:?}: it may still appear in the list");
        world.after(Duration::from_secs(60)).await;
        assert_eq!(world.transcript_requests().len(), 2 * before + 2, "{fault:?}");
        assert_eq!(world.assemblyai.transcripts().len(), before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_accepted_order_whose_id_cannot_be_read_is_not_sent_again() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    let accepted = json!({"id": "tr/0", "status": "queued", "audio_url": "https://example.com/a.wav"});
    let listed = json!({"page_details": {"prev_url": null}, "transcripts": [accepted]}).to_string();
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::wrong_body(accepted.to_string()));
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", Fault::wrong_body(listed));
    let request = json!({ "audio_url": "https://example.com/a.wav" });
    world.post_json("/transcribe", &request).await.problem(502, "vendor-ambiguous");
    world.after(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(world.transcript_requests().len(), 1);
    assert_eq!(world.store.number("SELECT count(*) FROM transcripts WHERE state = 'failed'").await, 1);
}

#[tokio::test]
async fn an_order_that_assemblyai_never_clearly_answers_fails_after_an_hour_and_can_be_requested_again() {
    let world = World::with(&[("BASE_URL", &nowhere().await)]).await;
    world.assemblyai.hold();
    for _ in 0..100 {
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refuse(503));
    }
    let request = json!({ "audio_url": "https://example.com/a.wav" });
    world.post_json("/transcribe", &request).await.problem(502, "vendor-ambiguous");
    let failed = "SELECT count(*) FROM transcripts WHERE state = 'failed'";
    let mut minutes = 0;
    while world.store.number(failed).await == 0 {
        assert!(minutes < 70, "the job never ends");
        world.after(Duration::from_secs(6)).await;
        world.after(Duration::from_secs(60)).await;
        minutes += 1;
    }
    assert!(minutes > 40, "given up after {minutes} minutes");
    let submitted = world.transcript_requests().len();
    world.after(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(world.transcript_requests().len(), submitted);
    for _ in submitted..100 {
        // Uses up the faults that are left.
        _ = client().post(format!("{}/v2/transcript", world.assemblyai.url())).send().await;
    }
    let again = world.post_json("/transcribe", &request).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(world.assemblyai.transcripts().len(), 1);
}

#[tokio::test]
async fn a_refused_request_is_not_retried() {
    let world = World::new().await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(401));
    world.get("/dial/14155551234").await.problem(502, "vendor-credentials");
    world.settle().await;
    assert_eq!(world.calls_placed(), 1);
    let request = json!({"audio_url": "https://example.com/a.wav"});
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refuse(401));
    world.post_json("/transcribe", &request).await.problem(502, "vendor-credentials");
    world.after(Duration::from_secs(3_600)).await;
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn a_get_is_retried() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() });
    let path = format!("/get-recording-url/{call_sid}");
    for fault in [
        refuse(429),
        Fault::Refuse { status: 429, retry_after: Some(0) },
        refuse(500),
        refuse(503),
        refuse(408),
        Fault::Proxy { status: 425, is_carried_out: true },
        Fault::Proxy { status: 499, is_carried_out: false },
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
async fn a_get_is_given_up_after_three_retries() {
    let world = World::new().await;
    for _ in 0..4 {
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(503));
    }
    world.get(TRANSCRIPT).await.problem(502, "vendor-unavailable");
    assert_eq!(world.vendor_requests(), 4);
}

#[tokio::test]
async fn a_retry_after_longer_than_a_client_waits_is_passed_on_at_once() {
    let world = World::new().await;
    let busy = Fault::Refuse { status: 429, retry_after: Some(300) };
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", busy);
    let answer = world.get(TRANSCRIPT).await;
    answer.problem(429, "vendor-rate-limited");
    assert_eq!(answer.header("retry-after"), "300");
    assert_eq!(world.vendor_requests(), 1);
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_not_waited_for() {
    let deadlines = Deadlines { repeated: Duration::from_secs(1), ..Deadlines::default() };
    let world = World::with_deadlines(&[], deadlines).await;
    for (status, code, kind) in [(429, 429, "vendor-rate-limited"), (503, 502, "vendor-unavailable")] {
        let before = world.vendor_requests();
        // Without Retry-After, the program would retry at once and get an answer.
        let busy = Fault::Refuse { status, retry_after: Some(1) };
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", busy);
        let answer = world.get(TRANSCRIPT).await;
        answer.problem(code, kind);
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(world.vendor_requests() - before, 1);
    }
}

#[tokio::test]
async fn a_404_to_a_post_blames_the_settings() {
    let world = World::new().await;
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
async fn a_get_without_an_answer_is_504_and_one_answered_with_nonsense_502() {
    let world = World::with_deadlines(&[], short_deadlines()).await;
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
    // A client that followed the last one would request the same page forever.
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
async fn an_unreachable_vendor_is_502_and_nothing_was_done() {
    let nowhere = [("TWILIO_API_URL", "http://127.0.0.1:1"), ("ASSEMBLYAI_API_URL", "http://127.0.0.1:1")];
    let world = World::with(&nowhere).await;
    let detail = world.get("/dial/14155551234").await.problem(502, "vendor-unreachable");
    assert_eq!(detail, "Twilio could not be reached; nothing was done");
    world.get("/get-recording-url/CA00000000000000000000000000000000").await.problem(502, "vendor-unreachable");
    world.get(TRANSCRIPT).await.problem(502, "vendor-unreachable");
    let request = json!({"audio_url": "https://example.com/a.wav"});
    world.post_json("/transcribe", &request).await.problem(502, "vendor-unreachable");
}

#[tokio::test]
async fn wrong_credentials_are_502_and_name_the_settings_to_check() {
    let world = World::with(&[("TWILIO_AUTH_TOKEN", "wrong"), ("ASSEMBLYAI_KEY", "wrong")]).await;
    let answer = world.get("/dial/14155551234").await;
    let detail = answer.problem(502, "vendor-credentials");
    assert!(detail.contains("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"), "{detail}");
    assert_eq!(answer.json()["code"], 20003);
    assert_eq!(answer.json()["more_info"], "https://www.twilio.com/docs/errors/20003");
    let detail = world.get(TRANSCRIPT).await.problem(502, "vendor-credentials");
    assert!(detail.contains("ASSEMBLYAI_KEY"), "{detail}");
}

#[tokio::test]
async fn an_api_key_replaces_the_auth_token_at_twilio() {
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
    assert!(
        seen[0].target.contains(callscribe::sandbox::twilio::ACCOUNT_SID),
        "the path must name the account, not the API key"
    );
}

#[tokio::test]
async fn twilios_refusals_keep_code_and_message_under_a_fitting_status() {
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
    let world = World::with(&[("TWILIO_PHONE_NUMBER", "+14155550000")]).await;
    let answer = world.get("/dial/14155551234").await;
    assert!(answer.problem(502, "vendor-rejected").ends_with("check TWILIO_PHONE_NUMBER"));
    assert_eq!(answer.json()["code"], 21210);
}

#[tokio::test]
async fn a_refusal_is_stored_and_shown_with_a_thousand_characters_of_its_message() {
    let (long, page) = ("é".repeat(1_001), format!("https://www.twilio.com/{}", "a".repeat(500)));
    for (padding, shown) in [(0, format!("{}… (code 21217)", "é".repeat(1_000))), (1 << 16, "Bad Request".to_owned())]
    {
        // The padding makes it more than an error is read of.
        let error = json!({ "code": 21217, "message": &long, "more_info": &page, "padding": "x".repeat(padding) });
        let answer = move || (StatusCode::BAD_REQUEST, Json(error.clone()));
        let twilio = serve(Router::new().fallback(async move || answer())).await;
        let world = World::with(&[("TWILIO_API_URL", &twilio)]).await;
        let answer = world.get("/get-recording-url/CA00000000000000000000000000000000").await;
        let detail = answer.problem(400, "vendor-rejected");
        assert_eq!(detail, format!("Twilio rejected the request: {shown}"));
        assert_eq!(answer.json()["more_info"], json!(null));
    }
}

#[tokio::test]
async fn a_browser_gets_a_refusal_as_a_page() {
    let world = World::new().await;
    let answer = world.get_with("/dial/15005550003", &[("accept", "text/html")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (403, "text/html; charset=utf-8"));
    for part in [
        "Twilio rejected the request",
        "21215",
        "https://www.twilio.com/docs/errors/21215",
        answer.header("x-request-id"),
    ] {
        assert!(answer.text().contains(part), "{part} is not in {}", answer.text());
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
async fn while_a_vendor_refuses_the_credentials_every_page_names_the_settings_to_check() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let pages = ["/", "/calls", &format!("/calls/{sid}"), "/transcribe", "/dial/14155551234"];
    let alerts = async || {
        let mut alerts = Vec::new();
        for page in pages {
            let page = world.get_with(page, &OPENED).await;
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
    let twilio = "Twilio refuses the credentials: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY \
                  and TWILIO_API_SECRET.";
    assert_eq!(alerts().await, [twilio]);
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(401));
    world.get(TRANSCRIPT).await.problem(502, "vendor-credentials");
    let assemblyai = "AssemblyAI refuses the credentials: check ASSEMBLYAI_KEY.";
    assert_eq!(alerts().await, [twilio, assemblyai]);
    let page = world.get_with("/nowhere", &[("accept", "text/html")]).await;
    assert!(page.status == 404 && !page.text().contains("refuses"), "a stranger may see the page of a problem");
    assert_eq!(world.get(&format!("/get-recording-url/{sid}")).await.status, 200);
    assert_eq!(alerts().await, [assemblyai]);
    world.assemblyai.hold();
    let request = json!({"audio_url": "https://example.com/a.wav"});
    assert_eq!(world.post_json("/transcribe", &request).await.status, 200);
    assert_eq!(alerts().await, [""; 0]);
}

#[tokio::test]
async fn an_account_that_may_place_calls_and_read_nothing_is_named_with_twilios_sentence() {
    for (code, sentence) in [
        (20008, "Resource not accessible with Test Account Credentials"),
        (20005, "Account not active"),
        (20003, "Permission Denied"),
    ] {
        let world = World::new().await;
        world.twilio.control.set_callbacks(Callbacks::Drop);
        world.twilio.refuse_all_but_calls(Some((code, sentence)));
        let sid = world.dial("14155551234").await;
        for refused in 0..12 {
            world.after(Duration::from_secs(61)).await;
            let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await.text();
            assert!(page.contains("Twilio refuses the credentials: check TWILIO_ACCOUNT_SID"), "{refused}: {page}");
            assert!(page.contains(&format!("Twilio says: {sentence} (code {code}).")), "{refused}: {page}");
        }
        // Nothing is lost: the call is followed as soon as Twilio allows it.
        assert_eq!(world.store.number("SELECT failures FROM jobs WHERE kind = 'call'").await, 0);
        world.twilio.refuse_all_but_calls(None);
        world.after(Duration::from_secs(61)).await;
        assert_eq!(world.call(&sid).await["progress"], "done");
        assert!(!world.get_with("/", &[("accept", "text/html")]).await.text().contains("refuses"));
    }
}

#[tokio::test]
async fn refused_credentials_at_twilio_count_as_no_failure_of_a_job() {
    if steps_repeat() {
        // Each aborted poll is repeated, and the repetition is not refused.
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
