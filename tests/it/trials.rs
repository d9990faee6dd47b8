//! Trials: the same recordings transcribed in other ways, what that costs, and what it shows.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::speakers::text;
use crate::support::stream::Stream;
use crate::support::{Answer, World};

const HTML: (&str, &str) = ("accept", "text/html");
/// Maximum time until a stream reports what was stored before it was opened.
const AT_ONCE: Duration = Duration::from_secs(20);

const HEARD: &str = "Please take sparing the lactone twice a day.";

async fn correct(world: &World, id: &str, words: std::ops::Range<u64>, text: &str) {
    let version = world.get(&format!("/transcript/{id}?format=words")).await.json()["version"].clone();
    let correction = json!({"version": version, "from": words.start, "to": words.end, "text": text});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &correction).await.status, 200);
}

/// A call with a corrected transcript. Returns the SID of the call and the id of the transcript.
async fn corrected(world: &World) -> (String, String) {
    let (call, id) = transcribed(world, HEARD).await;
    correct(world, &id, 2..5, "spironolactone").await;
    world.after(Duration::from_secs(10)).await;
    (call, id)
}

async fn post(world: &World, wanted: &Value) -> Answer {
    world.post_json("/trials", wanted).await
}

async fn trial(world: &World, location: &str) -> Value {
    let answer = world.get(location).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn confirmed(wanted: &Value) -> Value {
    let mut confirmed = wanted.clone();
    confirmed["confirm"] = json!(true);
    confirmed
}

/// Begins a trial, in which each order of each arm hears this text, and waits for its end. Returns its address.
async fn tried(world: &World, wanted: &Value, heard: &[&str]) -> String {
    world.assemblyai.hold();
    let begun = post(world, &confirmed(wanted)).await;
    assert_eq!(begun.status, 201, "{}", begun.text());
    let location = begun.header("location").to_owned();
    world.settle().await;
    for recording in trial(world, &location).await["results"].as_array().expect("results") {
        for transcript in recording["transcripts"].as_array().expect("transcripts") {
            let id = transcript["id"].as_str().unwrap_or_else(|| panic!("an id: {transcript}"));
            let text = heard[usize::try_from(transcript["arm"].as_u64().expect("an arm")).expect("few arms")];
            let word = |(at, text): (usize, &str)| json!({"text": text, "start": at * 500, "end": at * 500 + 400, "confidence": 0.9});
            let words: Vec<Value> = text.split(' ').enumerate().map(word).collect();
            let body =
                json!({"id": id, "status": "completed", "text": text, "words": words, "speech_model_used": "model-t"})
                    .to_string();
            for _ in 0..10 {
                world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body.clone()));
            }
        }
    }
    world.assemblyai.release();
    world.settle().await;
    location
}

#[tokio::test]
async fn what_a_trial_would_cost_is_said_before_anything_is_ordered() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "universal-2=0.36")]).await;
    let (call, _) = corrected(&world).await;
    let (unread, _) = transcribed(&world, "Nobody has read this.").await;
    let (deleted, _) = transcribed(&world, "This is deleted.").await;
    assert_eq!(world.post_form(&format!("/calls/{deleted}/delete"), "").await.status, 202);
    world.settle().await;
    let orders = world.transcript_requests().len();
    let wanted =
        json!({"calls": [call, unread, deleted, call], "speech_models": ["universal-2", "assemblyai-stt-3-7"]});
    let plan = post(&world, &wanted).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let plan = plan.json();
    assert_eq!((&plan["calls"], &plan["recordings"], &plan["transcripts"]), (&json!(1), &json!(1), &json!(2)));
    let left_out = json!({"deleted": 1, "no_recording": 0, "no_transcript": 0, "no_reference": 1});
    assert_eq!(plan["left_out"], left_out);
    let seconds = plan["audio_seconds"].as_f64().expect("seconds");
    assert!(seconds > 0.0, "{plan}");
    let arm = |at: usize| plan["arms"][at].clone();
    assert_eq!(arm(0)["price_per_hour_usd"], json!(0.36));
    assert_eq!(arm(0)["cost_usd"].as_f64().expect("a cost"), (seconds * 0.36 / 3600.0 * 10_000.0).round() / 10_000.0);
    assert_eq!((&arm(1)["cost_usd"], &plan["cost_usd"]), (&Value::Null, &Value::Null), "one price is not known");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders, "nothing is ordered");
    assert_eq!(world.store.number("SELECT count(*) FROM trials").await, 0);

    // The same by a filter.
    let filtered = post(&world, &json!({"filter": {}, "speech_models": ["universal-2"]})).await.json();
    assert_eq!((&filtered["calls"], &filtered["left_out"]["no_reference"]), (&json!(1), &json!(1)));
    let said = json!({"filter": {"q": "spironolactone"}, "keyterms": []});
    assert_eq!(post(&world, &said).await.json()["calls"], json!(1));
    let checked = json!({"filter": {"checked": true}, "keyterms": []});
    assert_eq!(post(&world, &checked).await.json()["calls"], json!(0));
}

#[tokio::test]
async fn a_trial_that_makes_no_sense_is_refused_and_orders_nothing() {
    let world = World::new().await;
    let (call, _) = corrected(&world).await;
    let orders = world.transcript_requests().len();
    let unknown = format!("CA{}", "f".repeat(32));
    let many: Vec<String> = (0..1_001).map(|at| format!("term{at}")).collect();
    for (wanted, status, expected) in [
        (json!({"calls": [call], "speech_models": []}), 400, "speech_models: expected names"),
        (json!({"calls": [call], "speech_models": [""]}), 400, "speech_models: expected names"),
        (json!({"calls": [call], "speech_models": ["a", "a"]}), 400, "different ones"),
        (json!({"calls": [call]}), 400, "expected what is different"),
        (json!({"calls": [call], "filter": {}, "keyterms": []}), 400, "expected calls, filter or term"),
        (json!({"keyterms": []}), 400, "expected calls, filter or term"),
        (json!({"calls": [], "keyterms": []}), 400, "calls: expected at least one"),
        (json!({"calls": ["x"], "keyterms": []}), 400, "CA"),
        (json!({"calls": [unknown], "keyterms": []}), 404, "knows no call"),
        (json!({"term": "x", "again": true}), 404, "no term x"),
        (json!({"calls": [call], "keyterms": many}), 400, "accepts at most"),
        (json!({"calls": [call], "keyterms": ["one two three four five six seven"]}), 400, "7 words"),
        (json!({"calls": [call], "prompt": "  "}), 400, "prompt: expected"),
        (json!({"calls": [call], "model": "a"}), 400, "unknown field `model`"),
        (json!({"calls": [call], "keyterms": "Kowalczyk"}), 400, "invalid type"),
        (json!({"filter": {"since": "x"}, "keyterms": []}), 400, "since: expected a date"),
        (json!({"filter": {"color": "red"}, "keyterms": []}), 400, "unknown field `color`"),
        (json!({"calls": [call], "keyterms": [], "id": "x"}), 400, "the id of a trial"),
        (
            json!({"filter": {"number": "000"}, "keyterms": [], "confirm": true}),
            409,
            "no call matches; nothing was ordered",
        ),
    ] {
        for wanted in [wanted.clone(), confirmed(&wanted)] {
            if status == 409 && wanted["confirm"].is_null() {
                continue;
            }
            let answer = post(&world, &wanted).await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(answer.status == status && detail.contains(expected), "{wanted}: {}", answer.text());
        }
    }
    assert!(world.get("/trials/x").await.problem(400, "bad-request").contains("the id of a trial"));
    world.get(&format!("/trials/{}", "0".repeat(32))).await.problem(404, "no-such-trial");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders);
    assert_eq!(world.store.number("SELECT count(*) FROM trials").await, 0);
}

#[tokio::test]
async fn each_recording_is_ordered_once_for_each_arm_however_often_it_is_confirmed() {
    let world = World::with(&[("KEYTERMS", "Ahoy")]).await;
    let (call, id) = corrected(&world).await;
    let before = world.transcript_requests().len();
    let wanted = json!({"calls": [call], "speech_models": ["universal-2", "assemblyai-stt-3-7"],
        "keyterms": ["spironolactone"], "prompt": "A clinic."});
    let plan = post(&world, &wanted).await.json();
    let mut sent = confirmed(&wanted);
    sent["id"] = plan["id"].clone();
    let (first, second) = tokio::join!(post(&world, &sent), post(&world, &sent));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201), "{}", second.text());
    let location = format!("/trials/{}", plan["id"].as_str().expect("an id"));
    assert!([&first, &second].iter().all(|answer| answer.header("location") == location));
    world.settle().await;
    assert_eq!(post(&world, &sent).await.status, 201);
    world.settle().await;
    let orders = world.transcript_requests()[before..].to_vec();
    assert_eq!(orders.len(), 2, "{orders:?}");
    for (order, model) in orders.iter().zip(["universal-2", "assemblyai-stt-3-7"]) {
        let got = (&order["keyterms_prompt"], &order["prompt"]);
        assert_eq!(got, (&json!(["spironolactone"]), &json!("A clinic.")), "only the terms of the trial");
        assert!(orders.iter().any(|order| order["speech_models"] == json!([model])), "{order}");
    }
    sent["prompt"] = json!("A court.");
    post(&world, &sent).await.problem(409, "other-trial");

    let done = trial(&world, &location).await;
    assert_eq!(
        (&done["state"], &done["transcripts"]),
        (&json!("done"), &json!({"total": 2, "completed": 2, "failed": 0}))
    );
    // Nothing of it is the call's.
    let shown = world.call(&call).await;
    assert_eq!(shown["transcripts"].as_array().map(Vec::len), Some(1));
    assert_eq!((&shown["transcripts"][0]["id"], &shown["progress"]), (&json!(id), &json!("done")));
    assert_eq!(world.get("/calls?q=spironolactone").await.json()["hits"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/accuracy").await.json()["groups"][0]["calls"], 1);

    // By a key, too; and another key is another trial.
    let keyed = async |key: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let wanted = confirmed(&json!({"calls": [call], "keyterms": []}));
        world.send(Method::POST, "/trials", &headers, &wanted.to_string()).await.header("location").to_owned()
    };
    let (one, same, other) = (keyed("a").await, keyed("a").await, keyed("b").await);
    assert!(one == same && one != other, "{one} {same} {other}");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), before + 4);
    assert_eq!(world.get("/trials").await.json()["trials"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_trial_that_is_stopped_orders_nothing_more() {
    let world = World::new().await;
    let (call, _) = corrected(&world).await;
    let before = world.transcript_requests().len();
    let begun =
        post(&world, &confirmed(&json!({"calls": [call], "speech_models": ["universal-2", "assemblyai-stt-3-7"]})))
            .await;
    let location = begun.header("location").to_owned();
    let stopped = world.post_json(&format!("{location}/stop"), &json!({})).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    world.settle().await;
    let ended = trial(&world, &location).await;
    assert_eq!((&ended["state"], &ended["transcripts"]["failed"]), (&json!("stopped"), &json!(2)));
    let reason = ended["results"][0]["transcripts"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("stopped before this was ordered"), "{reason}");
    assert_eq!(world.transcript_requests().len(), before);
    assert_eq!(ended["cost_so_far_usd"], json!(0.0));
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202, "nothing is being made");

    // What is ordered comes to its end.
    let (call, _) = corrected(&world).await;
    world.assemblyai.hold();
    let begun = post(&world, &confirmed(&json!({"calls": [call], "speech_models": ["universal-2"]}))).await;
    let location = begun.header("location").to_owned();
    world.settle().await;
    assert_eq!(world.post_json(&format!("{location}/stop"), &json!({})).await.status, 200);
    assert_eq!(trial(&world, &location).await["state"], "running");
    world.assemblyai.release();
    world.settle().await;
    let ended = trial(&world, &location).await;
    assert_eq!((&ended["state"], &ended["transcripts"]["completed"]), (&json!("stopped"), &json!(1)));
}

#[tokio::test]
async fn a_model_that_is_refused_fails_and_no_other_takes_its_place() {
    let world = World::new().await;
    let (call, _) = corrected(&world).await;
    let location = {
        let begun = post(&world, &confirmed(&json!({"calls": [call], "speech_models": ["no-such-model-9"]}))).await;
        begun.header("location").to_owned()
    };
    world.settle().await;
    let ended = trial(&world, &location).await;
    let transcript = &ended["results"][0]["transcripts"][0];
    assert_eq!((&transcript["state"], &ended["cost_so_far_usd"]), (&json!("failed"), &Value::Null), "{ended}");
    assert_eq!(world.call(&call).await["progress"], "done");
}

#[tokio::test]
async fn arms_are_compared_with_what_there_was_on_the_same_calls() {
    let world = World::new().await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(corrected(&world).await.0);
    }
    let wanted = json!({"calls": calls, "speech_models": ["universal-2", "assemblyai-stt-3-7"]});
    let right = "Please take spironolactone twice a day.";
    let location = tried(&world, &wanted, &[right, "Please take sparing the lactone twice the day."]).await;
    let shown = trial(&world, &location).await;
    let figures = shown["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), 2, "{shown}");
    for one in figures {
        assert_eq!((&one["reference"], &one["calls"]), (&json!("corrected"), &json!(3)));
        assert!(one["bias"].as_str().is_some_and(|bias| bias.contains("looks better than it is")));
        assert_eq!((&one["before"]["words"], &one["before"]["wer"]), (&json!(18), &json!(0.5)));
        assert_eq!(
            one["before"]["keyterms"],
            json!({"said": 3, "heard": 0, "false": 0, "recall": 0.0, "precision": null})
        );
    }
    assert_eq!((&figures[0]["after"]["wer"], &figures[0]["after"]["cer"]), (&json!(0.0), &json!(0.0)));
    assert_eq!(figures[0]["difference"]["wer"], json!({"value": -0.5, "low": -0.5, "high": -0.5, "shown": true}));
    assert_eq!(figures[0]["difference"]["recall"]["value"], json!(1.0));
    assert_eq!(figures[1]["difference"]["recall"], json!({"value": 0.0, "low": 0.0, "high": 0.0, "shown": false}));
    assert!(figures[1]["after"]["wer"].as_f64().expect("a rate") > 0.5);
    // Every word that differs, with the moment to hear.
    let recording = &shown["results"][0];
    let places = recording["places"].as_array().expect("places");
    assert_eq!(places.len(), 2, "{recording}");
    let audio = format!("/recordings/{}.wav#t=1.000", recording["recording"].as_str().expect("a SID"));
    let heard = json!([
        {"arm": null, "text": "sparing the lactone"}, {"arm": 0, "text": "spironolactone"}, {"arm": 1, "text": "sparing the lactone"},
    ]);
    assert_eq!(places[0], json!({"at_ms": 1_000, "said": "spironolactone", "heard": heard, "audio": audio}));
    assert_eq!(places[1]["heard"][2]["text"], "the");

    // A reference that changes counts as it is now.
    let id = recording["before"].as_str().expect("an id");
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await.status, 200);
    world.after(Duration::from_secs(10)).await;
    let figures = trial(&world, &location).await["figures"].clone();
    let of = |arm: u64, reference: &str| {
        let is_it = |one: &&Value| one["arm"] == arm && one["reference"] == reference;
        figures.as_array().and_then(|all| all.iter().find(is_it)).map(|one| one["calls"].clone())
    };
    assert_eq!((of(0, "corrected"), of(0, "checked")), (Some(json!(2)), Some(json!(1))), "{figures}");

    let page = world.get_with(&location, &[HTML]).await.text();
    for part in
        ["no difference shown", "as it was", "checked by ear", "at most this good", "word by word", "universal-2"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn what_was_typed_from_the_audio_alone_is_a_reference_that_favors_no_model() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, HEARD).await;
    let wanted = json!({"calls": [call], "keyterms": ["spironolactone"]});
    assert_eq!(post(&world, &wanted).await.json()["left_out"]["no_reference"], 1);
    let path = format!("/transcript/{id}/blind-check");
    let stretch = world.get(&path).await.json();
    let right = "Please take spironolactone twice a day.";
    let typed = json!({"start": stretch["start"], "end": stretch["end"], "text": right});
    assert_eq!(world.post_json(&path, &typed).await.status, 200);
    let location = tried(&world, &wanted, &[right]).await;
    let shown = trial(&world, &location).await;
    let one = &shown["figures"][0];
    assert_eq!(
        (&one["reference"], &one["before"]["wer"], &one["after"]["wer"]),
        (&json!("blind"), &json!(0.5), &json!(0.0))
    );
    assert_eq!(one["bias"], "these stretches were typed from the audio alone, which favors no model");
    let wer = json!({"value": -0.5, "low": null, "high": null, "shown": false});
    assert_eq!(one["difference"]["wer"], wer, "one call says nothing of others");
    // What nobody has checked is offered for a check, but nothing of a trial.
    let (fresh, _) = transcribed(&world, "Nobody has read this.").await;
    let begun = tried(&world, &json!({"calls": [fresh], "again": true}), &["Nobody has heard this."]).await;
    assert_eq!(trial(&world, &begun).await["figures"], json!([]), "without a reference");
    assert_eq!(trial(&world, &begun).await["results"][0]["places"][0]["heard"][1]["text"], "heard");
}

/// Begins this trial and waits until AssemblyAI has ended its orders: that of the first recording with an error. With `stop`, the
/// trial is stopped when all are submitted. Returns its address.
async fn tried_with_one_failure(world: &World, wanted: &Value, stop: bool) -> String {
    world.assemblyai.hold();
    let location = post(world, &confirmed(wanted)).await.header("location").to_owned();
    world.settle().await;
    if stop {
        assert_eq!(world.post_json(&format!("{location}/stop"), &json!({})).await.status, 200);
    }
    fail(world, &location).await;
    location
}

/// Lets AssemblyAI end the orders that it has: that of the first recording of a trial with an error.
async fn fail(world: &World, location: &str) {
    let shown = trial(world, location).await;
    let id = shown["results"][0]["transcripts"][0]["id"].as_str().unwrap_or_else(|| panic!("an id: {shown}"));
    let body = json!({"id": id, "status": "error", "error": "Something broke"}).to_string();
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
}

#[tokio::test]
async fn what_failed_in_a_trial_is_retried_measured_and_may_become_current() {
    let world = World::new().await;
    let calls = [corrected(&world).await.0, corrected(&world).await.0];
    let wanted = json!({"calls": calls, "keyterms": []});
    let location = tried_with_one_failure(&world, &wanted, false).await;
    let retry = async || world.post_json(&format!("{location}/retry"), &json!({})).await;
    let failed = trial(&world, &location).await;
    assert_eq!(failed["transcripts"], json!({"total": 2, "completed": 1, "failed": 1}));
    assert_eq!((&failed["can_retry"], &failed["figures"][0]["calls"]), (&json!(true), &json!(1)));
    let page = world.get_with(&location, &[HTML]).await.text();
    assert!(page.contains("Retry what failed"), "{page}");
    let choose = async || {
        assert_eq!(world.post_json(&format!("{location}/choose"), &json!({"arm": 0})).await.status, 202);
        world.settle().await;
        trial(&world, &location).await["choosing"].clone()
    };
    assert_eq!(choose().await["later"], json!(0));

    let orders = world.transcript_requests().len();
    let retried = retry().await;
    assert_eq!((retried.status.as_u16(), &retried.json()["state"]), (202, &json!("running")));
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders + 1, "only what failed");
    let ended = trial(&world, &location).await;
    assert_eq!(ended["transcripts"], json!({"total": 2, "completed": 2, "failed": 0}));
    assert_eq!((&ended["can_retry"], &ended["figures"][0]["calls"]), (&json!(false), &json!(2)), "measured");
    retry().await.problem(409, "nothing-to-retry");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders + 1);

    // What was finished later is current when somebody chooses it, too.
    assert_eq!(ended["choosing"]["later"], json!(1));
    let page = world.get_with(&location, &[HTML]).await.text();
    assert!(page.contains("1 transcript was finished later") && page.contains("Make the transcripts of"), "{page}");
    let new = ended["results"][0]["transcripts"][0]["id"].as_str().expect("an id");
    let listed = async || world.call(ended["results"][0]["call"].as_str().expect("a call")).await.to_string();
    assert!(!listed().await.contains(new));
    assert_eq!(choose().await["later"], json!(0));
    assert!(listed().await.contains(new));
}

#[tokio::test]
async fn a_retry_orders_nothing_in_a_stopped_trial_or_for_a_deleted_call() {
    let world = World::new().await;
    let (call, _) = corrected(&world).await;
    let wanted = json!({"calls": [call], "keyterms": []});
    for stop in [true, false] {
        let location = tried_with_one_failure(&world, &wanted, stop).await;
        if !stop {
            assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
            world.settle().await;
        }
        let orders = world.transcript_requests().len();
        let shown = trial(&world, &location).await;
        assert_eq!((&shown["transcripts"]["failed"], &shown["can_retry"]), (&json!(1), &json!(false)), "{shown}");
        let detail = world.post_json(&format!("{location}/retry"), &json!({})).await.problem(409, "nothing-to-retry");
        assert_eq!(detail.contains("was stopped"), stop, "{detail}");
        world.settle().await;
        assert_eq!(world.transcript_requests().len(), orders);
        assert_eq!(trial(&world, &location).await["transcripts"]["failed"], json!(1));
    }
}

#[tokio::test]
async fn open_pages_of_every_instance_learn_that_a_trial_has_changed() {
    let world = World::new().await;
    let (other, base) = world.another_app_with_url(&[]).await;
    let newest = async || world.store.number("SELECT coalesce(max(number), 0) FROM history").await;
    let is_notified = async |since: i64, id: &str| {
        let opened = Stream::open(&world.http, &base, &format!("?since={since}"), &[]).await;
        let mut stream = opened.unwrap_or_else(|answer| panic!("no stream: {}", answer.text()));
        let event = tokio::time::timeout(AT_ONCE, stream.next()).await.expect("what is stored is reported at once");
        let event = event.expect("an event");
        event.data["all"] == false && event.data["changed"].as_array().expect("ids").iter().any(|one| one == id)
    };
    let (call, before) = corrected(&world).await;
    world.assemblyai.hold();
    let begun = post(&world, &confirmed(&json!({"calls": [call], "keyterms": []}))).await.json();
    let id = begun["id"].as_str().expect("an id");
    world.settle().await;
    let since = newest().await;
    // Of what fails, there is nothing to measure.
    fail(&world, &format!("/trials/{id}")).await;
    assert!(is_notified(since, id).await, "failed");
    assert_eq!(world.post_json(&format!("/trials/{id}/retry"), &json!({})).await.status, 202);
    world.settle().await;

    let since = newest().await;
    correct(&world, &before, 0..1, "Kindly").await;
    world.after(Duration::from_secs(10)).await;
    assert!(is_notified(since, id).await, "measured");
    for (path, body) in [("choose", json!({"arm": 0})), ("choose/undo", json!({})), ("stop", json!({}))] {
        let since = newest().await;
        let answer = world.post_json(&format!("/trials/{id}/{path}"), &body).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        assert!(is_notified(since, id).await, "{path}");
        if path != "stop" {
            let since = newest().await;
            world.settle().await;
            assert!(is_notified(since, id).await, "{path} is carried out");
        }
    }
    other.stop().await;
}

#[tokio::test]
async fn a_large_trial_orders_some_at_once_so_that_other_calls_need_not_wait() {
    let world = World::new().await;
    let (first, _) = corrected(&world).await;
    let (second, _) = corrected(&world).await;
    let models: Vec<String> = (0..8).map(|at| format!("no-such-model-{at}")).collect();
    let begun = post(&world, &confirmed(&json!({"calls": [first, second], "speech_models": models}))).await;
    let location = begun.header("location").to_owned();
    world.settle().await;
    assert_eq!(trial(&world, &location).await["transcripts"], json!({"total": 16, "completed": 0, "failed": 12}));
    world.after(Duration::from_secs(1)).await;
    let ended = trial(&world, &location).await;
    assert_eq!((&ended["state"], &ended["transcripts"]["failed"]), (&json!("done"), &json!(16)));
}

#[tokio::test]
async fn a_deleted_call_is_in_no_figure_of_a_trial_which_says_so() {
    let world = World::new().await;
    let (first, _) = corrected(&world).await;
    let (second, _) = corrected(&world).await;
    let location =
        tried(&world, &json!({"calls": [first, second], "keyterms": []}), &["Please take Pirelli twice a day."]).await;
    assert_eq!(trial(&world, &location).await["figures"][0]["calls"], 2);
    let text = world.get(&location).await.text();
    assert_eq!(text.matches("\"recordings\":").count(), 1, "no name twice: {text}");
    assert_eq!(world.post_form(&format!("/calls/{first}/delete"), "").await.status, 202);
    world.settle().await;
    let shown = trial(&world, &location).await;
    assert_eq!(
        (&shown["calls"], &shown["deleted_calls"], &shown["figures"][0]["calls"]),
        (&json!(2), &json!(1), &json!(1))
    );
    for recording in shown["results"].as_array().expect("results") {
        let is_deleted = recording["deleted"] == true;
        assert_eq!(recording["places"].as_array().is_some_and(Vec::is_empty), is_deleted, "{recording}");
    }
    assert_eq!(world.store.number("SELECT count(*) FROM trial_figures").await, 2);
    let page = world.get_with(&location, &[HTML]).await.text();
    assert!(page.contains("1 of 2 calls is deleted since") && page.matches("Pirelli").count() == 1, "{page}");
    let words = "SELECT count(*) FROM words WHERE word = 'Pirelli'";
    assert_eq!(world.store.number(words).await, 1);
}

#[tokio::test]
async fn a_term_finds_the_calls_of_all_its_mishearings_however_many_places_there_are() {
    let world = World::new().await;
    // The oldest mishearing is unlike the many that follow.
    let (_, oldest) = transcribed(&world, "Take spyro lactone twice a day.").await;
    correct(&world, &oldest, 1..3, "spironolactone").await;
    world.after(Duration::from_secs(10)).await;
    const PLACES: usize = 120;
    let (_, many) = transcribed(&world, &"Take sparing the lactone twice. ".repeat(PLACES)).await;
    let correction = |at: usize| json!({"version": 0, "from": 5 * at + 1, "to": 5 * at + 4, "text": "spironolactone"});
    let corrections: Vec<Value> = (0..PLACES).map(correction).collect();
    let answer = world.post_json(&format!("/transcript/{many}/corrections"), &json!(corrections)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.after(Duration::from_secs(10)).await;
    transcribed(&world, "She has Spyro lactone at home.").await;
    transcribed(&world, "He has sparing the lactone at home.").await;
    transcribed(&world, "They have nothing at home.").await;
    let terms = world.get("/vocabulary").await.json()["terms"].clone();
    let term = terms.as_array().and_then(|terms| terms.iter().find(|term| term["term"] == "spironolactone"));
    let term = term.unwrap_or_else(|| panic!("a term: {terms}"));
    assert_eq!(term["corrections"], json!(PLACES + 1));
    let plan = post(&world, &json!({"term": term["id"], "again": true})).await.json();
    assert_eq!(plan["calls"], json!(2), "{plan}");
}

#[tokio::test]
async fn old_calls_are_transcribed_again_and_become_current_until_that_is_undone() {
    let world = World::new().await;
    let (_, teacher) = transcribed(&world, HEARD).await;
    correct(&world, &teacher, 2..5, "spironolactone").await;
    world.after(Duration::from_secs(10)).await;
    let (old, before) = transcribed(&world, "Mister Lee takes sparing the lactone, too.").await;
    correct(&world, &before, 0..1, "Doctor").await;
    world.after(Duration::from_secs(10)).await;
    let terms = world.get("/vocabulary").await.json()["terms"].clone();
    let term =
        terms.as_array().and_then(|terms| terms.iter().find(|term| term["term"] == "spironolactone")).expect("a term");
    let wanted = json!({"term": term["id"], "again": true});
    let plan = post(&world, &wanted).await.json();
    assert_eq!((&plan["kind"], &plan["calls"]), (&json!("again"), &json!(1)), "only where it still stands: {plan}");
    let (path, active) = (format!("/vocabulary/{}", term["id"].as_str().expect("an id")), r#"{"state": "active"}"#);
    let accepted = world.send(Method::PATCH, &path, &[("content-type", "application/json")], active).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    let vocabulary = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(vocabulary.contains("Transcribe the calls again"), "{vocabulary}");
    let location = tried(&world, &wanted, &["Mister Lee takes spironolactone, too."]).await;
    assert_eq!(world.transcript_requests().last().expect("an order")["keyterms_prompt"], json!(["spironolactone"]));
    assert_eq!(world.call(&old).await["transcripts"][0]["text"], "Doctor Lee takes sparing the lactone, too.");

    let choose = async |path: &str, body: &Value| {
        let answer = world.post_json(&format!("{location}/{path}"), body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        world.settle().await;
        trial(&world, &location).await
    };
    let chosen = choose("choose", &json!({"arm": 0})).await;
    let choosing = &chosen["choosing"];
    assert_eq!(
        (&choosing["arm"], &choosing["state"], &choosing["recordings"], &choosing["of"]),
        (&json!(0), &json!("done"), &json!(1), &json!(1))
    );
    let new = chosen["results"][0]["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(text(&world, &new).await, "Doctor Lee takes spironolactone, too.\n", "with its corrections");
    let hits =
        async |query: &str| world.get(&format!("/calls?q={query}")).await.json()["hits"].as_array().map_or(0, Vec::len);
    assert_eq!((hits("%22sparing+the+lactone%22").await, hits("spironolactone").await), (0, 2));
    assert_eq!(world.call(&old).await["transcripts"].as_array().map(Vec::len), Some(2));

    let undone = choose("choose/undo", &json!({})).await;
    assert_eq!((&undone["choosing"]["arm"], &undone["choosing"]["state"]), (&Value::Null, &json!("done")));
    assert_eq!((hits("%22sparing+the+lactone%22").await, hits("spironolactone").await), (1, 1));
    assert_eq!(text(&world, &before).await, "Doctor Lee takes sparing the lactone, too.\n");
    assert_eq!(text(&world, &new).await, "Doctor Lee takes spironolactone, too.\n");

    let detail = world.post_json(&format!("{location}/choose"), &json!({"arm": 1})).await.problem(400, "bad-request");
    assert_eq!(detail, "arm: expected a number from 0 to 0");
    world.assemblyai.hold();
    let begun = post(&world, &confirmed(&json!({"calls": [old], "again": true}))).await;
    let running = world.post_json(&format!("{}/choose", begun.header("location")), &json!({"arm": 0})).await;
    running.problem(409, "trial-runs");
    world.assemblyai.release();
    world.settle().await;
}

/// The hidden fields of a page, as its form sends them.
fn hidden_fields(page: &str) -> String {
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").expect("a value");
        format!("{name}={}", rest.split_once('"').expect("an end").0.replace('\n', "%0A"))
    });
    fields.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn a_confirmed_plan_orders_what_was_shown_or_nothing() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "universal-2=0.36")]).await;
    let (first, _) = corrected(&world).await;
    let wanted = json!({"filter": {}, "speech_models": ["universal-2"]});
    let told = post(&world, &wanted).await.json();
    assert_eq!(told["transcripts"], json!(1));
    let (second, _) = corrected(&world).await;
    let orders = world.transcript_requests().len();
    let mut sent = confirmed(&wanted);
    (sent["id"], sent["plan"]) = (told["id"].clone(), told["plan"].clone());
    let refused = post(&world, &sent).await;
    let detail = refused.problem(409, "other-plan");
    assert!(detail.ends_with("nothing was ordered"), "{detail}");
    let now = refused.json()["now"].clone();
    assert_eq!((&now["transcripts"], &now["calls"], &now["id"]), (&json!(2), &json!(2), &told["id"]));
    assert!(now["cost_usd"].as_f64() > told["cost_usd"].as_f64(), "{now}");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders);
    assert_eq!(world.store.number("SELECT count(*) FROM trials").await, 0);

    // The plan is the same however its calls are named, and another one with another arm, list or prompt, or to replace.
    let plan = async |wanted: Value| post(&world, &wanted).await.json()["plan"].clone();
    let models = json!(["universal-2"]);
    for calls in [[&first, &second], [&second, &first]] {
        assert_eq!(plan(json!({"calls": calls, "speech_models": models})).await, now["plan"]);
    }
    for other in [
        json!({"filter": {}, "speech_models": ["universal-2", "assemblyai-stt-3-7"]}),
        json!({"filter": {}, "speech_models": models, "keyterms": []}),
        json!({"filter": {}, "speech_models": models, "prompt": "A clinic."}),
        json!({"filter": {}, "speech_models": models, "again": true}),
        json!({"calls": [second], "speech_models": models}),
    ] {
        assert_ne!(plan(other.clone()).await, now["plan"], "{other}");
    }

    sent["plan"] = now["plan"].clone();
    assert_eq!(post(&world, &sent).await.status, 201);
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders + 2);
    // Sent once more, it is the trial that there is, whatever matches by now.
    corrected(&world).await;
    assert_eq!(post(&world, &sent).await.status, 201);
    world.settle().await;
    let orders = world.transcript_requests().len();
    // Without a plan, what matches is ordered.
    assert_eq!(post(&world, &confirmed(&wanted)).await.status, 201);
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders + 3);
}

#[tokio::test]
async fn a_browser_that_confirms_an_older_plan_sees_the_new_one_and_may_confirm_that() {
    let world = World::new().await;
    corrected(&world).await;
    let (other, _) = corrected(&world).await;
    let orders = world.transcript_requests().len();
    let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
    let plan = world.send(Method::POST, "/trials", &form, "speech_models=universal-2").await.text();
    assert!(plan.contains("2 transcripts of 2 recordings"), "{plan}");
    assert_eq!(world.post_form(&format!("/calls/{other}/delete"), "").await.status, 202);
    world.settle().await;
    let refused = world.send(Method::POST, "/trials", &form, &hidden_fields(&plan)).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let now = refused.text();
    assert!(now.contains("nothing was ordered") && now.contains("1 transcript of 1 recording"), "{now}");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders);
    let begun = world.send(Method::POST, "/trials", &form, &hidden_fields(&now)).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), orders + 1);
}

#[tokio::test]
async fn a_browser_sees_the_cost_before_it_confirms_and_a_second_click_orders_nothing() {
    let world = World::new().await;
    corrected(&world).await;
    let orders = world.transcript_requests().len();
    let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
    let accuracy = world.get_with("/accuracy?since=2020-01-01", &[HTML]).await.text();
    assert!(accuracy.contains("Try another model on these calls"), "{accuracy}");
    let page = world.get_with("/trials?since=2020-01-01", &[HTML]).await.text();
    assert!(page.contains("value=\"2020-01-01\""), "{page}");
    let asked =
        "speech_models=universal-2&list=own&keyterms=spironolactone%0ALeeward&since=2020-01-01&q=&number=&prompt=";
    let plan = world.send(Method::POST, "/trials", &form, asked).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let plan = plan.text();
    assert!(plan.contains("Cost: <b>less than $0.01</b>"), "{plan}");
    assert_eq!(world.store.number("SELECT count(*) FROM trials").await, 0);
    let confirmed = hidden_fields(&plan);
    assert!(
        confirmed.contains("confirm=true") && confirmed.contains("keyterms=spironolactone%0ALeeward"),
        "{confirmed}"
    );
    let mut locations = Vec::new();
    for _ in 0..2 {
        let begun = world.send(Method::POST, "/trials", &form, &confirmed).await;
        assert_eq!(begun.status, 303, "{}", begun.text());
        locations.push(begun.header("location").to_owned());
    }
    assert_eq!(locations[0], locations[1]);
    world.settle().await;
    let requests = world.transcript_requests();
    assert_eq!(requests.len(), orders + 1);
    assert_eq!(requests[orders]["keyterms_prompt"], json!(["spironolactone", "Leeward"]));
    let refused = world.send(Method::POST, "/trials", &form, "speech_models=&prompt=&list=").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("expected what is different"), "{}", refused.text());
    let listed = world.get_with("/trials", &[HTML]).await.text();
    assert!(listed.contains(&locations[0]) && listed.contains("1 of 1"), "{listed}");
}
