//! `Idempotency-Key`: the same request sent twice costs once.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, refuse};

impl World {
    async fn with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(Method::POST, path, &headers, &body).await
    }
}

#[tokio::test]
async fn a_call_is_dialed_once_for_a_key() {
    let world = World::new().await;
    let wanted = json!({"to": "+14155551234", "keyterms": ["Ahoy Street"], "tag": "orders"});
    let first = world.with_key("/calls", "order 4711", &wanted).await;
    let call = first.json();
    assert_eq!((first.status.as_u16(), &call["to"], &call["tag"]), (201, &json!("+14155551234"), &json!("orders")));
    assert_eq!(call["keyterms"], json!(["Ahoy Street"]));
    assert_eq!(first.header("location"), format!("/calls/{}", call["sid"].as_str().expect("a SID")));
    world.settle().await;
    let second = world.with_key("/calls", "order 4711", &wanted).await;
    assert_eq!((second.status.as_u16(), &second.json()["id"]), (200, &call["id"]));
    world.with_key("/calls", "order 4711", &json!({"to": "+14155551235"})).await.problem(422, "other-request");
    assert_eq!(world.calls_placed(), 1);
    // Without a key, and with another one, the phone rings again.
    assert_eq!(world.post_json("/calls", &wanted).await.status, 201);
    world.settle().await;
    assert_eq!(world.with_key("/calls", "order 4712", &wanted).await.status, 201);
    world.settle().await;
    // By GET and by form, too.
    for _ in 0..2 {
        let dialed = world.get_with("/dial/14155551236", &[("idempotency-key", "once")]).await;
        assert_eq!(dialed.status, 200, "{}", dialed.text());
        world.settle().await;
    }
    assert_eq!(world.calls_placed(), 4);
    for key in ["", " ", &"k".repeat(256)] {
        world.with_key("/calls", key, &wanted).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_call_that_twilio_has_refused_is_dialed_for_the_same_key() {
    let world = World::new().await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(400));
    let wanted = json!({"to": "+14155551234"});
    let refused = world.with_key("/calls", "once", &wanted).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(world.with_key("/calls", "once", &wanted).await.status, 201);
    world.settle().await;
    assert_eq!(world.with_key("/calls", "once", &wanted).await.status, 200);
}

#[tokio::test]
async fn a_call_that_was_lost_is_not_dialed_again_for_the_same_key() {
    let world = World::new().await;
    let lost = Fault::Proxy { status: 502, is_carried_out: false };
    world.twilio.control.fail_next(Method::POST, "/Calls.json", lost);
    let wanted = json!({"to": "+14155551234"});
    let request_count = || world.twilio.control.request_count(Method::POST, "/Calls.json");
    let mut dial = std::pin::pin!(world.with_key("/calls", "once", &wanted));
    tokio::select! {
        answer = &mut dial => panic!("an answer before Twilio's: {}", answer.text()),
        () = world.twilio.control.until(|| (request_count() > 0).then_some(())) => {}
    }
    // The client waits until the last search has shown that there is no such call.
    let answer = loop {
        tokio::select! {
            answer = &mut dial => break answer,
            () = world.after(Duration::from_secs(40)) => {}
        }
    };
    answer.problem(502, "not-placed");
    let listed = world.get("/calls").await.json();
    assert_eq!(listed["calls"][0]["state"], "lost", "{listed}");
    let requests = request_count();
    world.with_key("/calls", "once", &wanted).await.problem(502, "not-placed");
    assert_eq!(request_count(), requests);
    let call = listed["calls"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    world.with_key("/calls", "once", &wanted).await.problem(410, "deleted");
}

#[tokio::test]
async fn two_programs_may_choose_the_same_key() {
    let world = World::new().await;
    let mut calls = Vec::new();
    for (name, number) in [("one", "+14155551234"), ("two", "+14155551235")] {
        let made = world.post_json("/tokens", &json!({"name": name, "rights": ["dial"]})).await.json();
        let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
        let headers = [("content-type", "application/json"), ("idempotency-key", "1"), ("authorization", &*bearer)];
        let dialed = world.send(Method::POST, "/calls", &headers, &json!({"to": number}).to_string()).await;
        assert_eq!(dialed.status, 201, "{}", dialed.text());
        calls.push(dialed.json()["id"].clone());
    }
    assert_ne!(calls[0], calls[1]);
}

#[tokio::test]
async fn a_transcript_is_ordered_once_for_a_key_even_again() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let again = json!({"recording_sid": recording, "again": true});
    let mut ids = Vec::new();
    for key in ["a", "a", "b", "b", "a"] {
        let ordered = world.with_key("/transcribe", key, &again).await;
        assert_eq!(ordered.status, 200, "{}", ordered.text());
        ids.push(ordered.json()["id"].clone());
        world.settle().await;
    }
    // The last answer is about the first one, although there is a newer one.
    assert_eq!(ids, [&ids[0], &ids[0], &ids[2], &ids[2], &ids[0]].map(Value::clone));
    assert_ne!(ids[0], ids[2]);
    assert_eq!(world.transcript_requests().len(), 3);
    let other = json!({"recording_sid": recording, "again": true, "punctuate": false});
    world.with_key("/transcribe", "a", &other).await.problem(422, "other-request");
    assert_eq!(world.transcript_requests().len(), 3);

    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    world.with_key("/transcribe", "a", &again).await.problem(410, "deleted");
    let url = json!({"audio_url": "https://example.com/a.wav"});
    let upload = world.with_key("/transcribe", "url", &url).await.json()["id"].clone();
    world.settle().await;
    let item = world.get("/items?kind=upload").await.json()["items"][0]["id"].clone();
    let item = item.as_str().expect("an upload");
    assert_eq!(world.send(Method::DELETE, &format!("/items/{item}"), &[], "").await.status, 202);
    world.settle().await;
    world.with_key("/transcribe", "url", &url).await.problem(410, "deleted");
    assert!(upload.is_string());
}

#[tokio::test]
async fn what_failed_is_retried_once_for_a_key() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("no audio");
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let progress = async || world.call(&call).await["progress"].clone();
    assert_eq!(progress().await, "failed");
    let path = format!("/calls/{call}/retry");
    world.assemblyai.fail_next_transcript("no audio");
    for _ in 0..2 {
        assert_eq!(world.with_key(&path, "once", &Value::Null).await.status, 200);
        world.settle().await;
        // The second time, AssemblyAI would have made it.
        assert_eq!(progress().await, "failed");
    }
    assert_eq!(world.with_key(&path, "twice", &Value::Null).await.status, 200);
    world.settle().await;
    assert_eq!(progress().await, "done");
}
