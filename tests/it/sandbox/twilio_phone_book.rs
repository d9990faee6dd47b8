//! The phone book, and the page that shows it and starts calls to the account's number.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use callscribe::sandbox::speech::Recognizer;
use callscribe::sandbox::twilio::{OPERATOR_PHONES, Outcome, PHONE_BOOK, PHONE_NUMBER, Twilio};
use serde_json::Value;

use super::twilio::{Program, RECORDED, request, start};
use crate::support::client;

type Documents = &'static [(&'static str, &'static str)];

/// Connects each call with a number of the phone book.
const CONNECTS: Documents = &[
    ("/clinic", "<Response><Dial record=\"record-from-answer-dual\">+14155550131</Dial></Response>"),
    ("/equal", "<Response><Dial record=\"record-from-answer-dual\">+14155550124</Dial></Response>"),
];

/// Calls this number with this document, and waits until the call has ended; returns its SID.
async fn call_to(twilio: &Twilio, number: &str, document: &str) -> String {
    let form = [("To", number), ("From", PHONE_NUMBER), ("Url", document)];
    let created: Value = request(twilio, Method::POST, "/Calls.json", &form).await.json().await.unwrap();
    twilio.settled().await;
    created["sid"].as_str().expect("a SID").to_owned()
}

/// Returns the audio of the only recording of a call.
async fn audio(twilio: &Twilio, call: &str, query: &str) -> Bytes {
    let recording = twilio.recordings_of(call).remove(0);
    request(twilio, Method::GET, &format!("/Recordings/{recording}.wav{query}"), &[]).await.bytes().await.unwrap()
}

/// Calls this number and connects it as the document says; returns the first half minute of both channels.
async fn channels(twilio: &Twilio, number: &str, document: &str) -> [Vec<u8>; 2] {
    let call = call_to(twilio, number, document).await;
    let audio = audio(twilio, &call, "?RequestedChannels=2").await;
    [0, 2].map(|at| audio[44..800_044].chunks_exact(4).flat_map(|frame| [frame[at], frame[at + 1]]).collect())
}

#[tokio::test]
async fn at_a_number_of_the_phone_book_always_the_same_happens() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let document = format!("{}/record/", program.url);
    for entry in &PHONE_BOOK {
        let expected = match entry.number {
            "+14155550102" | "+14155550120" => "busy",
            "+14155550103" | "+14155550121" => "no-answer",
            _ => "completed",
        };
        for _ in 0..2 {
            let call = call_to(&twilio, entry.number, &document).await;
            assert_eq!(twilio.call_status(&call).as_deref(), Some(expected), "{}", entry.who);
        }
    }
    twilio.set_next_outcome(Outcome::Answered);
    let call = call_to(&twilio, "+14155550120", &document).await;
    assert_eq!(twilio.call_status(&call).as_deref(), Some("completed"));
}

#[tokio::test]
async fn each_side_of_a_conversation_is_on_its_own_channel_unless_the_number_is_for_both_on_both() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    let [clinic, equal] = ["clinic", "equal"].map(|path| format!("{}/{path}", program.url));
    let [operator, nurse] = channels(&twilio, OPERATOR_PHONES[0], &clinic).await;
    assert_ne!(operator, nurse);
    assert!([&operator, &nurse].iter().all(|channel| channel.iter().any(|byte| *byte != 0)));
    // The call that dials is on the first channel.
    let [first, second] = channels(&twilio, "+14155550131", &clinic).await;
    assert_eq!([second, first], [operator, nurse]);
    let [first, second] = channels(&twilio, OPERATOR_PHONES[0], &equal).await;
    assert_eq!(first, second);
    assert!(first.iter().any(|byte| *byte != 0));
}

#[tokio::test]
async fn a_bad_line_records_what_nobody_recognizes() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let call = call_to(&twilio, "+14155550125", &format!("{}/record/", program.url)).await;
    let mut recognizer = Recognizer::default();
    recognizer.update(&audio(&twilio, &call, "").await);
    assert_eq!(recognizer.finish().speech, None);
}

/// Sends the form of the page.
async fn call_in(twilio: &Twilio, from: &str, site: &str) -> StatusCode {
    let url = format!("{}/console/inbound", twilio.url());
    let request = client().post(url).form(&[("From", from)]).header("sec-fetch-site", site);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_call_to_the_accounts_number_can_be_started_from_the_page() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    assert_eq!(call_in(&twilio, "+14155551234", "same-origin").await, StatusCode::CONFLICT);
    twilio.set_voice_url(&format!("{}/record/", program.url));
    for (from, site, status) in [
        ("+14155551234", "cross-site", StatusCode::FORBIDDEN),
        ("somebody", "same-origin", StatusCode::BAD_REQUEST),
        (PHONE_NUMBER, "same-origin", StatusCode::BAD_REQUEST),
        ("+14155551234", "same-origin", StatusCode::SEE_OTHER),
    ] {
        assert_eq!(call_in(&twilio, from, site).await, status, "{from} {site}");
    }
    twilio.settled().await;
    let asked = program.received_at("/record/");
    assert_eq!((asked.len(), asked[0]["From"].as_str(), asked[0]["To"].as_str()), (1, "+14155551234", PHONE_NUMBER));
    assert_eq!(asked[0]["Direction"], "inbound");
    let page = client().get(twilio.url()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&asked[0]["CallSid"]), "{page}");
}

#[tokio::test]
async fn recordings_of_other_software_can_be_made_from_the_page_or_with_curl() {
    let twilio = start().await;
    let make = async |form: &[(&str, &str)], site: &str| {
        let url = format!("{}/console/recordings", twilio.url());
        let answer = client().post(url).form(form).header("sec-fetch-site", site).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for (form, site, status) in [
        (&[("Calls", "10001")], "same-origin", StatusCode::BAD_REQUEST),
        (&[("Days", "0")], "same-origin", StatusCode::BAD_REQUEST),
        (&[("Calls", "5")], "cross-site", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(make(form, site).await.0, status, "{form:?}");
    }
    let (status, text) = make(&[("Calls", "100"), ("Days", "50")], "same-origin").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    for part in [
        "Made 100 calls over the last 50 days. 92 recordings can be",
        "2 are 0 seconds",
        "2 were too short",
        "2 are encrypted",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let listed = request(&twilio, Method::GET, "/Recordings.json?PageSize=1000", &[]).await;
    let listed: Value = listed.json().await.unwrap();
    let listed = listed["recordings"].as_array().expect("recordings");
    assert_eq!(listed.len(), 98, "2 are deleted");
    let date = |one: &Value| {
        let date = one["date_created"].as_str().expect("a date");
        jiff::fmt::rfc2822::parse(date).expect("a date").timestamp()
    };
    let dates: Vec<_> = listed.iter().map(date).collect();
    assert!(dates.is_sorted_by(|newer, older| newer > older), "the newest first");
    assert!(dates[0].duration_since(dates[97]) > jiff::SignedDuration::from_hours(24 * 48), "{dates:?}");
    let with = |channels: u64| listed.iter().filter(|one| one["channels"] == channels).count();
    assert!(with(1) > 30 && with(2) > 30, "{} with one channel, {} with two", with(1), with(2));
    let manual = include_str!("../../../src/manual/sandbox.md");
    assert!(manual.contains("curl -d Calls=500 -d Days=60 http://127.0.0.1:8001/console/recordings"));
}

#[tokio::test]
async fn the_page_and_the_manual_have_every_number_of_the_phone_book() {
    let page = client().get(start().await.url()).send().await.unwrap().text().await.unwrap();
    let manual = include_str!("../../../src/manual/sandbox.md");
    for entry in &PHONE_BOOK {
        assert!(page.contains(&format!("<td>{}<td>{}", entry.number, entry.who)), "{page}");
        assert!(manual.contains(&format!("| `{}` | {} |", entry.number, entry.who)), "{}", entry.number);
    }
}
