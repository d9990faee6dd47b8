//! What is kept of a transcript: it is ordered once for the same request, and answered from the store once it is there.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

/// Orders a transcript; gives its id.
async fn ordered(world: &World, request: &Value) -> String {
    let answer = world.post_json("/transcribe", request).await;
    assert_eq!(answer.status, 200, "{request}: {}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_finished_transcript_is_answered_from_the_store() {
    let world = World::new().await;
    let (sid, recording) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let at_assemblyai = world.assemblyai.transcripts().remove(0);
    let asked = world.vendor_requests();
    let kept = world.get(&format!("/transcript/{id}")).await;
    // The webhook's own answer is noted at AssemblyAI after it was asked.
    let but_webhook = |mut transcript: Value| {
        transcript.as_object_mut().expect("an object").remove("webhook_status_code");
        transcript
    };
    assert_eq!(but_webhook(kept.json()), but_webhook(at_assemblyai.clone()));
    let text = world.get(&format!("/transcript/{id}?wait=60&format=text")).await;
    assert_eq!(text.text().trim_end(), at_assemblyai["text"]);
    // The same as was made of the call by itself.
    assert_eq!(ordered(&world, &json!({"recording_sid": recording})).await, id);
    world.call(&sid).await;
    assert_eq!(world.vendor_requests(), asked);
}

#[tokio::test]
async fn the_same_request_has_the_same_transcript_unless_another_is_wanted() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    let wanted = json!({"recording_sid": recording, "punctuate": false, "speaker_labels": true, "keyterms": "a, b"});
    let same = json!({"keyterms": ["a", "b"], "speaker_labels": true, "recording_sid": recording, "punctuate": false});
    let first = ordered(&world, &wanted).await;
    assert_eq!(ordered(&world, &same).await, first);
    world.settle().await;
    assert_eq!(ordered(&world, &same).await, first, "also when it is there");
    // The other is the one that is made of every call.
    assert_eq!(world.transcript_requests().len(), 2);

    let mut again = wanted.clone();
    again["again"] = json!(true);
    let second = ordered(&world, &again).await;
    assert_ne!(second, first);
    assert_eq!(world.transcript_requests().len(), 3);
    assert_eq!(ordered(&world, &same).await, second, "from now on, it is the newer one");
    assert_eq!(world.get(&format!("/transcript/{first}")).await.json()["id"], *first, "the older one is there as well");
    assert_eq!(world.transcript_requests().len(), 3);
}

#[tokio::test]
async fn the_same_request_from_twenty_at_once_is_one_order() {
    let world = World::new().await;
    let request = json!({"audio_url": "https://example.com/a.wav"});
    let ids = join_all((0..20).map(|_| ordered(&world, &request))).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn other_parameters_are_another_transcript() {
    let world = World::new().await;
    let url = "https://example.com/a.wav";
    let mut ids = Vec::new();
    for request in [
        json!({"audio_url": url}),
        json!({"audio_url": url, "speaker_labels": true}),
        json!({"audio_url": url, "speaker_labels": false}),
        json!({"audio_url": url, "keyterms": "Ahoy"}),
        json!({"audio_url": "https://example.com/b.wav"}),
    ] {
        ids.push(ordered(&world, &request).await);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn after_a_failure_the_same_request_has_a_new_transcript() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    world.settle().await;
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    let request = json!({"recording_sid": recording, "punctuate": false});
    let failed = ordered(&world, &request).await;
    world.settle().await;
    assert_eq!(world.get(&format!("/transcript/{failed}")).await.json()["status"], "error");
    let id = ordered(&world, &request).await;
    assert_ne!(id, failed);
    world.settle().await;
    assert_eq!(world.get(&format!("/transcript/{id}")).await.json()["status"], "completed");
    let kept = world.get(&format!("/transcript/{failed}")).await.json();
    assert_eq!(kept["error"], "Audio duration is too short.", "what became of the first is kept");
}

#[tokio::test]
async fn the_words_are_kept_with_their_times_and_speakers() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    let id = ordered(&world, &json!({"recording_sid": recording, "speaker_labels": true})).await;
    world.settle().await;
    let transcript = world.get(&format!("/transcript/{id}")).await.json();
    let spoken = transcript["words"].as_array().expect("words");
    assert!(spoken.len() > 5);
    let as_kept = |word: &Value| {
        let text = |name: &str| word[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", text("text"), word["start"], word["end"], text("speaker"))
    };
    let of_this = format!("FROM words WHERE transcript = (SELECT id FROM transcripts WHERE transcript_id = '{id}')");
    let each = "word || ' ' || start_ms || ' ' || end_ms || ' ' || coalesce(speaker, '')";
    let kept = world.store.texts(&format!("SELECT {each} {of_this} ORDER BY position")).await;
    assert_eq!(kept, spoken.iter().map(as_kept).collect::<Vec<_>>());
    let sure = format!("SELECT count(*) {of_this} AND confidence > 0 AND confidence <= 1");
    assert_eq!(world.store.number(&sure).await, spoken.len() as i64);
    assert_eq!(world.store.number(&format!("SELECT max(position) {of_this}")).await, spoken.len() as i64 - 1);
}

#[tokio::test]
async fn a_transcript_whose_place_another_has_taken_is_not_tried_again() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    let (sid, recording) = world.recorded_call().await;
    world.settle().await;
    let again = json!({"recording_sid": recording, "again": true});
    let retry = format!("/calls/{sid}/retry");

    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    world.clock.advance(Duration::from_secs(1));
    ordered(&world, &again).await;
    world.settle().await;
    assert_eq!(world.post_form(&retry, "").await.status, 200);
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 3, "the newer one is tried again, and no other");
    let states = |call: &Value| -> Vec<Value> {
        call["transcripts"].as_array().expect("a list").iter().map(|one| one["state"].clone()).collect()
    };
    let call = world.call(&sid).await;
    assert_eq!((states(&call), &call["can_retry"]), (vec![json!("failed"), json!("completed")], &json!(false)));
    world.post_form(&retry, "").await.problem(409, "nothing-to-retry");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 3);
}

#[tokio::test]
async fn no_word_is_kept_with_a_nul_in_it() {
    let world = World::new().await;
    world.assemblyai.hold();
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let word = json!({"text": "A\0hoy!", "start": 0, "end": 9, "confidence": 1, "speaker": "A\0", "channel": "\u{0}1"});
    let body = json!({"id": id, "status": "completed", "text": "A\0hoy!\0", "words": [word]}).to_string();
    world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    let answer = world.get(&format!("/transcript/{id}")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, body.clone()));
    assert_eq!(world.store.texts("SELECT text FROM transcripts").await, ["Ahoy!"]);
    assert_eq!(world.store.texts("SELECT word || ' ' || speaker || ' ' || channel FROM words").await, ["Ahoy! A 1"]);
    assert_eq!(world.get(&format!("/transcript/{id}")).await.text(), body, "the JSON is kept as it came");
}
