//! How tests control calls, callbacks and recordings, and what they can count.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::http::Method;
use callscribe::sandbox::control::{Callbacks, Fault, RandomFaults};
use callscribe::sandbox::speech::{self, Recognized, Recognizer};
use callscribe::sandbox::twilio::{Audio, PHONE_NUMBER, SeededCall, SeededRecording, Stage, Twilio};
use serde_json::Value;

use super::twilio::{EVERY_EVENT, Program, RECORDED, account_path, api, call, fetch, request, start};
use crate::support::refuse;

/// Recognizes a recording as Twilio serves it.
async fn recognize(twilio: &Twilio, sid: &str) -> Recognized {
    let mut recognizer = Recognizer::default();
    recognizer.update(&request(twilio, Method::GET, &format!("/Recordings/{sid}"), &[]).await.bytes().await.unwrap());
    recognizer.finish()
}

/// Returns the statuses in these reports in the order of their arrival.
fn statuses(reports: &[HashMap<String, String>]) -> Vec<&str> {
    reports.iter().map(|report| report["CallStatus"].as_str()).collect()
}

#[tokio::test]
async fn every_recording_carries_its_sid_once_recordings_are_marked() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let plain = twilio.add_recording(SeededRecording::default());
    twilio.mark_recordings();
    let dual = call(&twilio, &program, &[("Record", "true"), ("RecordingChannels", "dual")]).await;
    let inbound = twilio.inbound_call(&format!("{}/record/", program.url), "+14155550000");
    twilio.settled().await;
    let seeded = twilio.add_recording(SeededRecording::default());
    let padded = SeededRecording { audio: Audio::Marked { bytes: 100_000 }, ..SeededRecording::default() };
    let padded = twilio.add_recording(padded);
    assert_eq!((twilio.recordings_of(&dual).len(), twilio.recordings_of(&inbound).len()), (2, 1));

    assert_eq!(recognize(&twilio, &plain).await.recording, None);
    let of_calls = [twilio.recordings_of(&dual), twilio.recordings_of(&inbound)].concat();
    for sid in of_calls.iter().chain([&seeded, &padded]) {
        let recognized = recognize(&twilio, sid).await;
        let resource = fetch(&twilio, &format!("/Recordings/{sid}.json")).await;
        assert_eq!(
            (recognized.recording.as_ref(), &resource["channels"]),
            (Some(sid), &recognized.channels().unwrap().into())
        );
        assert_eq!(resource["duration"], speech::duration().as_secs_f64().round().to_string());
    }
    assert_eq!(recognize(&twilio, &padded).await.bytes, 100_000);
}

#[tokio::test]
async fn calls_are_counted_by_token_also_if_the_response_is_lost() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let place = async |token: &str, to: &str| {
        let url = format!("{}/record/?x=1&t={token}", program.url);
        let form = [("To", to), ("From", PHONE_NUMBER), ("Url", &url)];
        let request = api(&twilio, Method::POST, "/Calls.json").form(&form);
        request.send().await.map(|response| response.status().as_u16())
    };
    twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    assert!(place("a", "+14155551234").await.is_err());
    twilio.control.fail_next(Method::POST, "/Calls.json", refuse(500));
    assert_eq!(place("b", "+14155551234").await.unwrap(), 500);
    assert_eq!(place("c", "+15005550001").await.unwrap(), 400);
    assert_eq!(place("a", "+14155551234").await.unwrap(), 201);
    call(&twilio, &program, &[]).await;
    twilio.settled().await;
    for call in fetch(&twilio, "/Calls.json").await["calls"].as_array().unwrap() {
        let path = format!("/Calls/{}.json", call["sid"].as_str().unwrap());
        assert_eq!(request(&twilio, Method::DELETE, &path, &[]).await.status(), 204);
    }
    assert_eq!(twilio.placed_per_token(), HashMap::from([("a".to_owned(), 2), (String::new(), 1)]));
    assert_eq!(twilio.control.request_count(Method::POST, "/Calls.json"), 5);
    assert_eq!(twilio.control.request_count(Method::DELETE, "/Calls/{id}.json"), 3);
}

#[tokio::test]
async fn dropped_callbacks_do_not_change_the_call() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.control.set_callbacks(Callbacks::Drop);
    let sid = call(&twilio, &program, &EVERY_EVENT).await;
    twilio.settled().await;
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("completed"));
    let paths: Vec<String> = program.received().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/record/", "/record/done/"]);

    twilio.control.set_callbacks(Callbacks::Deliver);
    call(&twilio, &program, &EVERY_EVENT).await;
    twilio.settled().await;
    assert_eq!((program.received_at("/hook").len(), program.received_at("/recording").len()), (4, 1));
}

#[tokio::test]
async fn callbacks_can_be_sent_twice() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.control.set_callbacks(Callbacks::Twice);
    call(&twilio, &program, &EVERY_EVENT).await;
    twilio.settled().await;
    let twice = ["initiated", "ringing", "in-progress", "completed"].map(|status| [status; 2]).concat();
    assert_eq!(statuses(&program.received_at("/hook")), twice);
    assert_eq!((program.received_at("/recording").len(), program.received_at("/record/").len()), (2, 1));
}

#[tokio::test]
async fn shuffled_callbacks_come_after_the_call_and_in_many_orders() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.control.set_callbacks(Callbacks::Shuffled);
    let mut orders = BTreeSet::new();
    for number in 1..=10 {
        twilio.hold(Stage::Completed);
        let sid = call(&twilio, &program, &EVERY_EVENT).await;
        twilio.control.until(|| (twilio.recordings_of(&sid).len() == 1).then_some(())).await;
        assert_eq!(
            program.received_at("/hook").len(),
            (number - 1) * 4,
            "no status callback comes before the call ends"
        );
        twilio.release(Stage::Completed);
        twilio.settled().await;
        let reports = program.received_at("/hook").split_off((number - 1) * 4);
        let order: Vec<String> = statuses(&reports).into_iter().map(str::to_owned).collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 4);
        orders.insert(order);
    }
    assert!(orders.len() > 3, "{orders:?}");
}

#[tokio::test]
async fn a_request_is_carried_out_before_its_late_response() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.control.set_latency(Duration::from_secs(3_600));
    let url = format!("{}/record/?t=a", program.url);
    let form = [("To", "+14155551234"), ("From", PHONE_NUMBER), ("Url", &url)];
    let request = api(&twilio, Method::POST, "/Calls.json").form(&form);
    let placed = twilio.control.until(|| twilio.placed_per_token().get("a").copied());
    tokio::select! {
        response = request.send() => panic!("the response came an hour too early: {response:?}"),
        count = placed => assert_eq!(count, 1),
    }
}

#[tokio::test]
async fn random_faults_hide_calls_that_were_placed() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let recording = twilio.add_recording(SeededRecording::default());
    twilio.control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
    let url = format!("{}/record/?t=a", program.url);
    let form = [("To", "+14155551234"), ("From", PHONE_NUMBER), ("Url", &url)];
    let mut refused = 0;
    for _ in 0..40 {
        match api(&twilio, Method::POST, "/Calls.json").form(&form).send().await {
            Ok(response) if response.status() != 201 => refused += 1,
            Ok(response) => assert!(response.json::<Value>().await.ok().is_none_or(|call| call["sid"].is_null())),
            Err(_) => {}
        }
    }
    assert!((1..40).contains(&refused), "{refused}");
    assert_eq!(twilio.placed_per_token()["a"], 40 - refused);

    for _ in 0..20 {
        let response = api(&twilio, Method::GET, &format!("/Recordings/{recording}.wav")).send().await;
        let Ok(response) = response else { continue };
        assert!(response.status() != 200 || response.bytes().await.ok().is_none_or(|audio| audio != speech::WAV));
    }
    twilio.control.stop_random_faults();
    assert!(recognize(&twilio, &recording).await.speech.is_some());
}

#[tokio::test]
async fn filters_hold_on_every_page() {
    let twilio = start().await;
    let of_number = |to: &str, status| SeededCall { to: to.to_owned(), status, ..SeededCall::default() };
    let mut matching = Vec::new();
    for _ in 0..5 {
        matching.push(twilio.add_call(of_number("+14155551234", "completed")));
        twilio.add_call(of_number("+14155551234", "busy"));
        twilio.add_call(of_number("+442079460000", "completed"));
    }
    matching.reverse();
    let mut listed = Vec::new();
    let mut path = "/Calls.json?To=%2B14155551234&From=%2B15005550006&Status=completed&PageSize=2".to_owned();
    loop {
        let page = fetch(&twilio, &path).await;
        listed.extend(page["calls"].as_array().unwrap().iter().map(|call| call["sid"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_page_uri"].as_str() else { break };
        path = next.strip_prefix(&account_path()).unwrap().to_owned();
    }
    assert_eq!(listed, matching);
    let none = fetch(&twilio, "/Calls.json?From=%2B14155551234").await;
    assert_eq!(none["calls"], Value::Array(vec![]));
}

#[tokio::test]
async fn a_seeded_recording_is_reported_like_any_other() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let own = program.received_at("/recording").remove(0);
    let recording = twilio.recordings_of(&sid).remove(0);
    twilio.control.set_callbacks(Callbacks::Drop);
    let url = format!("{}/recording", program.url);
    assert_eq!(twilio.send_recording_callback(&recording, &url).await, Some(204));
    assert_eq!(program.received_at("/recording")[1], own);

    let seeded = twilio.add_recording(SeededRecording { call_sid: sid, ..SeededRecording::default() });
    assert_eq!(twilio.send_recording_callback(&seeded, &url).await, Some(204));
    let mut report = program.received_at("/recording").remove(2);
    assert_eq!((report["RecordingSid"].as_str(), report["RecordingStatus"].as_str()), (seeded.as_str(), "completed"));
    for name in ["RecordingSid", "RecordingUrl", "RecordingStartTime"] {
        report.insert(name.to_owned(), own[name].clone());
    }
    assert_eq!(report, own);
}
