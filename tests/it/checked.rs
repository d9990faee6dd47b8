//! Transcripts that people have checked by ear: what the pages, lists and search say of them.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::speakers::{page, said};
use crate::support::stream::Stream;
use crate::support::{Answer, World};

const SAID: &str = "Please take metro pollen sucks in eight twice a day. Ring Clerk Ridge tomorrow.";

/// When the last of these words ends.
const END: i64 = 6_900;

async fn check(world: &World, id: &str, what: &Value) -> Answer {
    world.post_json(&format!("/transcript/{id}/checked"), what).await
}

/// Checks a stretch and returns the answer.
async fn checked(world: &World, id: &str, what: &Value) -> Value {
    let answer = check(world, id, what).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn words(world: &World, id: &str) -> Value {
    world.get(&format!("/transcript/{id}?format=words")).await.json()
}

/// The stretches in an answer.
fn parts(answer: &Value, name: &str) -> Vec<(i64, i64)> {
    let parts = answer[name].as_array().expect("parts").iter();
    parts.map(|part| (part["from_ms"].as_i64().expect("ms"), part["to_ms"].as_i64().expect("ms"))).collect()
}

/// The transcript with this id in a call's JSON.
async fn transcript(world: &World, call: &str, id: &str) -> Value {
    let seen = world.call(call).await;
    let mut transcripts = seen["transcripts"].as_array().expect("transcripts").iter();
    transcripts.find(|transcript| transcript["id"] == id).expect("the transcript").clone()
}

/// The SIDs of the calls that `/calls` lists or finds with this query. A transcript without a call has the SID `none`.
async fn listed(world: &World, query: &str) -> Vec<String> {
    let answer = world.get(&format!("/calls?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let sid = |call: &Value| call["sid"].as_str().unwrap_or("none").to_owned();
    match list["hits"].as_array() {
        Some(hits) => hits.iter().map(|hit| sid(&hit["call"])).collect(),
        None => list["calls"].as_array().expect("calls").iter().map(sid).collect(),
    }
}

/// Completes the next transcript that is ordered by this request with these words. Returns its id.
async fn transcribed_as(world: &World, request: &Value, text: &str) -> String {
    world.assemblyai.hold();
    let answer = world.post_json("/transcribe", request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let words: Vec<Value> =
        text.split(' ').map(|word| json!({"text": word, "start": 0, "end": 100, "confidence": 0.9})).collect();
    let body = json!({"id": id, "status": "completed", "text": text, "words": words}).to_string();
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
    assert_eq!(world.get(&format!("/transcript/{id}")).await.json()["status"], "completed");
    id
}

#[tokio::test]
async fn a_checked_transcript_is_checked_wherever_it_is_shown() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let before = transcript(&world, &call, &id).await;
    assert_eq!(
        (&before["checked"], &before["checked_at"], &before["checked_by"]),
        (&json!(false), &json!(null), &json!(null))
    );
    let unchecked = words(&world, &id).await;
    assert_eq!((&unchecked["checked"], &unchecked["checked_parts"]), (&json!(false), &json!([])));
    assert!(!page(&world, &call).await.contains("Checked by this computer"));

    let answer = checked(&world, &id, &json!({"checked": true})).await;
    assert_eq!((&answer["checked"], parts(&answer, "parts")), (&json!(true), vec![(0, END)]));
    assert_eq!(answer["parts"][0]["by"], "this computer");
    let at = answer["parts"][0]["at"].clone();
    assert!(at.is_string(), "{answer}");
    let now = words(&world, &id).await;
    assert_eq!((&now["checked"], &now["checked_parts"]), (&json!(true), &answer["parts"]));
    let now = transcript(&world, &call, &id).await;
    assert_eq!((&now["checked"], &now["checked_at"], &now["checked_by"]), (&json!(true), &at, &json!("this computer")));
    assert_eq!(world.call(&call).await["checked"], true);
    assert_eq!(world.get("/calls").await.json()["calls"][0]["checked"], true);
    let hit = world.get("/calls?q=tomorrow").await.json()["hits"][0].clone();
    assert_eq!((&hit["checked"], &hit["call"]["checked"]), (&json!(true), &json!(true)));
    assert!(page(&world, &call).await.contains("Checked by this computer, <time"));
    for list in ["/calls", "/", "/calls?q=tomorrow"] {
        let list = world.get_with(list, &[("accept", "text/html")]).await.text();
        assert!(list.contains("aria-label=\"checked\""), "{list}");
    }
    // It is none of the call's events.
    let timeline = world.call(&call).await["timeline"].clone();
    assert!(timeline.as_array().expect("events").iter().all(|event| event["kind"] != "check"), "{timeline}");

    let answer = checked(&world, &id, &json!({"checked": false})).await;
    assert_eq!(answer, json!({"checked": false, "parts": []}));
    assert_eq!(transcript(&world, &call, &id).await, before);
    assert_eq!(world.call(&call).await["checked"], false);
    assert_eq!(words(&world, &id).await, unchecked);
    let list = world.get_with("/calls", &[("accept", "text/html")]).await.text();
    assert!(!list.contains("aria-label=\"checked\""));
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 2);
}

#[tokio::test]
async fn a_transcript_is_checked_once_stretches_cover_all_its_words() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let answer = checked(&world, &id, &json!({"checked": true, "to_ms": 3_450})).await;
    assert_eq!((&answer["checked"], parts(&answer, "parts")), (&json!(false), vec![(0, 3_450)]));
    let answer = checked(&world, &id, &json!({"checked": true, "from_ms": 4_000, "to_ms": 60_000})).await;
    assert_eq!((&answer["checked"], parts(&answer, "parts")), (&json!(false), vec![(0, 3_450), (4_000, 60_000)]));
    assert_eq!((&world.call(&call).await["checked"], listed(&world, "checked=true").await), (&json!(false), vec![]));
    assert!(page(&world, &call).await.contains("Checked in part"));
    // One word is missing.
    world.clock.advance(Duration::from_secs(60));
    let answer = checked(&world, &id, &json!({"checked": true, "from_ms": 3_500, "to_ms": 3_900})).await;
    assert_eq!(answer["checked"], true);
    assert_eq!(parts(&words(&world, &id).await, "checked_parts"), [(0, 3_450), (3_500, 3_900), (4_000, 60_000)]);
    // Who made it complete.
    assert_eq!(transcript(&world, &call, &id).await["checked_at"], answer["parts"][1]["at"]);
    assert_ne!(answer["parts"][0]["at"], answer["parts"][1]["at"]);
    assert_eq!(listed(&world, "checked=true").await, [call.as_str()]);
    // Nothing is said there.
    let answer = checked(&world, &id, &json!({"checked": false, "from_ms": 7_000})).await;
    assert_eq!((&answer["checked"], parts(&answer, "parts")[2]), (&json!(true), (4_000, 7_000)));
    let answer = checked(&world, &id, &json!({"checked": false, "from_ms": 600, "to_ms": 700})).await;
    assert_eq!((&answer["checked"], parts(&answer, "parts").len()), (&json!(false), 4));
    assert_eq!((&world.call(&call).await["checked"], listed(&world, "checked=true").await), (&json!(false), vec![]));
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 5);
    // What changes nothing is not kept.
    world.clock.advance(Duration::from_secs(60));
    checked(&world, &id, &json!({"checked": false, "from_ms": 600, "to_ms": 700})).await;
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 5);
}

#[tokio::test]
async fn lists_and_search_are_filtered_by_what_is_checked() {
    let world = World::new().await;
    let (_, first) = transcribed(&world, "Ring me tomorrow.").await;
    let mut calls = vec![listed(&world, "").await[0].clone()];
    for text in ["Ring Mr Lee tomorrow.", "Write to me."] {
        world.clock.advance(Duration::from_secs(1));
        calls.push(transcribed(&world, text).await.0);
    }
    let [one, two, three] = calls.iter().map(String::as_str).collect::<Vec<_>>()[..] else { panic!("{calls:?}") };
    world.clock.advance(Duration::from_secs(1));
    let nothing = world.dial("14155550100").await;
    world.clock.advance(Duration::from_secs(1));
    let elsewhere =
        transcribed_as(&world, &json!({"recording_url": "https://example.com/a.mp3"}), "Ring tomorrow?").await;
    checked(&world, &first, &json!({"checked": true})).await;
    checked(&world, &elsewhere, &json!({"checked": true})).await;
    for (query, expected) in [
        ("checked=true", vec![one]),
        ("checked=false", vec![&nothing, three, two]),
        ("checked=", vec![&nothing, three, two, one]),
        ("checked=true&state=completed", vec![one]),
        ("checked=true&state=busy", vec![]),
        ("checked=false&state=completed", vec![&nothing, three, two]),
        ("checked=true&number=5551234", vec![one]),
        ("checked=true&number=4", vec![one]),
        ("checked=true&number=5559999", vec![]),
        ("checked=false&number=5551234", vec![three, two]),
        ("checked=false&number=4", vec![three, two]),
        ("checked=true&until=2001-01-01", vec![]),
        ("q=tomorrow&checked=true", vec!["none", one]),
        ("q=tomorrow&checked=false", vec![two]),
        ("q=tomorrow", vec!["none", two, one]),
        ("q=ring+tomorrow&checked=false", vec![two]),
        ("q=%22me+tomorrow%22&checked=true", vec![one]),
        ("q=%22me+tomorrow%22&checked=false", vec![]),
        ("q=tomorrow&checked=true&state=completed", vec![one]),
        ("q=tomorrow&checked=true&state=busy", vec![]),
        ("q=tomorrow&checked=false&state=completed&number=5551234", vec![two]),
        ("q=tomorrow&checked=true&number=1234", vec![one]),
        ("q=tomorrow&checked=true&since=2001-01-01", vec!["none", one]),
        ("q=tomorrow&checked=true&until=2001-01-01", vec![]),
        // It is none of the words.
        ("q=checked", vec![]),
    ] {
        assert_eq!(listed(&world, query).await, expected, "{query}");
    }
    for query in ["checked=yes", "checked=1&q=tomorrow"] {
        world.get(&format!("/calls?{query}")).await.problem(400, "bad-request");
    }
    let page = [("accept", "text/html")];
    let list = world.get_with("/calls?checked=true", &page).await.text();
    assert!(list.contains("<option value=\"true\" selected>Yes</option>") && list.contains(one), "{list}");
    assert!(!list.contains(two), "{list}");
    let refused = world.get_with("/calls?checked=yes", &page).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("checked: expected true or false"), "{}", refused.text());
    checked(&world, &first, &json!({"checked": false})).await;
    assert_eq!(listed(&world, "q=tomorrow&checked=true").await, ["none"]);
    assert_eq!(listed(&world, "q=tomorrow&checked=false").await, [two, one]);
}

#[tokio::test]
async fn the_next_page_of_a_list_has_the_same_filter() {
    let world = World::new().await;
    for number in 0..51 {
        world.clock.advance(Duration::from_secs(1));
        world.dial(&format!("141555501{number:02}")).await;
    }
    let first = world.get("/calls?checked=false").await.json();
    let next = first["next"].as_str().expect("another page");
    assert!(next.contains("checked=false"), "{next}");
    assert_eq!(world.get(next).await.json()["calls"].as_array().expect("calls").len(), 1);
}

#[tokio::test]
async fn unsure_words_in_a_checked_stretch_are_not_marked() {
    let world = World::new().await;
    let word = |text: &str, start: i64| json!({"text": text, "start": start, "end": start + 400, "confidence": 0.4});
    let (call, id) = said(&world, &[word("Siobhan", 0), word("Kowalczyk", 500), word("here", 1_000)]).await;
    let is_marked = |page: &str, word: &str| page.contains(&format!("title=\"40% sure\">{word}</mark>"));
    let before = page(&world, &call).await;
    assert!(["Siobhan", "Kowalczyk", "here"].iter().all(|word| is_marked(&before, word)), "{before}");
    checked(&world, &id, &json!({"checked": true, "to_ms": 900})).await;
    let now = page(&world, &call).await;
    assert!(!is_marked(&now, "Siobhan") && !is_marked(&now, "Kowalczyk") && is_marked(&now, "here"), "{now}");
    // What AssemblyAI thinks of them can still be read.
    assert_eq!(words(&world, &id).await["words"][0]["confidence"], 0.4);
}

#[tokio::test]
async fn a_call_is_checked_if_the_transcript_of_each_recording_is() {
    let world = World::new().await;
    let (call, id) = said(&world, &[json!({"text": "Ahoy!", "start": 0, "end": 400, "confidence": 0.9})]).await;
    let seen = world.call(&call).await;
    let ids = seen["transcripts"].as_array().expect("transcripts").iter().map(|one| one["id"].as_str().expect("an id"));
    let others: Vec<&str> = ids.filter(|other| *other != id).collect();
    assert!(!others.is_empty(), "{seen}");
    checked(&world, &id, &json!({"checked": true})).await;
    assert_eq!((&world.call(&call).await["checked"], listed(&world, "checked=true").await), (&json!(false), vec![]));
    for other in others {
        checked(&world, other, &json!({"checked": true})).await;
    }
    assert_eq!(listed(&world, "checked=true").await, [call.as_str()]);
}

#[tokio::test]
async fn another_transcript_of_the_recording_is_unchecked() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    checked(&world, &id, &json!({"checked": true})).await;
    world.clock.advance(Duration::from_secs(1));
    let recording = world.call(&call).await["recordings"][0]["sid"].clone();
    let request = json!({"recording_sid": recording, "keyterms": ["metoprolol succinate"]});
    let other = transcribed_as(&world, &request, "Please take metoprolol tomorrow.").await;
    assert_eq!(transcript(&world, &call, &id).await["checked"], true);
    assert_eq!(transcript(&world, &call, &other).await["checked"], false);
    assert_eq!(world.call(&call).await["checked"], false);
    assert_eq!(listed(&world, "checked=true").await, [""; 0]);
    assert_eq!(listed(&world, "checked=false&q=tomorrow").await, [call.as_str()]);
    // The one that somebody chooses counts.
    let choose = async |id: &str| {
        let chosen = world.post_json(&format!("/transcript/{id}/current"), &json!({})).await;
        assert_eq!(chosen.status, 200, "{}", chosen.text());
    };
    choose(&id).await;
    assert_eq!(listed(&world, "checked=true").await, [call.as_str()]);
    assert_eq!(listed(&world, "checked=true&q=tomorrow").await, [call.as_str()]);
    choose(&other).await;
    assert_eq!(listed(&world, "checked=true").await, [""; 0]);
    assert_eq!(listed(&world, "checked=true&q=tomorrow").await, [""; 0]);
    checked(&world, &other, &json!({"checked": true})).await;
    checked(&world, &id, &json!({"checked": false})).await;
    assert_eq!(listed(&world, "checked=true&q=tomorrow").await, [call.as_str()]);
    assert_eq!(listed(&world, "checked=true").await, [call.as_str()]);
}

#[tokio::test]
async fn a_correction_leaves_a_checked_transcript_checked() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    checked(&world, &id, &json!({"checked": true})).await;
    let correction = json!({"version": 0, "from": 14, "to": 14, "text": "or on metoprolol Monday."});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &correction).await.status, 200);
    let now = words(&world, &id).await;
    assert_eq!((&now["checked"], &now["version"]), (&json!(true), &json!(1)));
    assert_eq!(listed(&world, "checked=true&q=metoprolol").await, [call.as_str()]);
    assert_eq!(listed(&world, "checked=true").await, [call.as_str()]);
    checked(&world, &id, &json!({"checked": false})).await;
    assert_eq!(listed(&world, "checked=false&q=metoprolol").await, [call.as_str()]);
    assert_eq!(listed(&world, "checked=true&q=metoprolol").await, [""; 0]);
}

#[tokio::test]
async fn bad_checks_are_refused_and_change_nothing() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    for bad in [
        json!({}),
        json!({"checked": "true"}),
        json!({"checked": null}),
        json!({"checked": 1}),
        json!({"checked": true, "from_ms": -1}),
        json!({"checked": true, "to_ms": -1}),
        json!({"checked": true, "to_ms": 0}),
        json!({"checked": true, "from_ms": 2_000, "to_ms": 1_000}),
        json!({"checked": true, "from_ms": 1.5}),
        json!({"checked": true, "from_ms": "100"}),
        json!({"checked": true, "from_ms": 1e30}),
        json!({"checked": true, "by": "Dana"}),
    ] {
        check(&world, &id, &bad).await.problem(400, "bad-request");
    }
    let path = format!("/transcript/{id}/checked");
    for bad in ["", "checked=yes", "checked=true&from_ms=x", "checked=true&from=5", "checked=true&checked=false"] {
        world.post_form(&path, bad).await.problem(400, "bad-request");
    }
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 0);
    assert_eq!(words(&world, &id).await["checked_parts"], json!([]));
    check(&world, "9ea68fd3-f953-42c1-9742-976c447fb463", &json!({"checked": true}))
        .await
        .problem(404, "no-such-transcript");
    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    if let Some(id) = world.call(&call).await["transcripts"][0]["id"].as_str() {
        check(&world, id, &json!({"checked": true})).await.problem(409, "not-completed");
    }
}

#[tokio::test]
async fn a_deleted_call_takes_its_checks_with_it() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    checked(&world, &id, &json!({"checked": true})).await;
    let answer = world.post_json(&format!("/calls/{call}/delete"), &json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    check(&world, &id, &json!({"checked": false})).await.problem(410, "deleted");
    world.settle().await;
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 0);
    assert_eq!(world.store.number("SELECT count(*) FROM transcripts WHERE checked_by IS NOT NULL").await, 0);
    assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE checked_at IS NOT NULL").await, 0);
    assert_eq!(listed(&world, "checked=true").await, [""; 0]);
    assert_eq!(listed(&world, "checked=true&q=tomorrow").await, [""; 0]);
}

#[tokio::test]
async fn a_form_checks_a_transcript_and_leads_back() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let path = format!("/transcript/{id}/checked");
    let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = world.send(Method::POST, &path, &headers, "checked=true&from_ms=&to_ms=1000").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, &*format!("/transcript/{id}?format=html")));
    assert_eq!(parts(&words(&world, &id).await, "checked_parts"), [(0, 1_000)]);
    let shown = page(&world, &call).await;
    assert!(shown.contains(&format!("<form method=\"post\" action=\"{path}\">")), "{shown}");
    assert!(shown.contains("<button name=\"checked\" value=\"true\""), "{shown}");
    world.send(Method::POST, &path, &headers, "checked=true").await;
    let shown = page(&world, &call).await;
    assert!(shown.contains("<button name=\"checked\" value=\"false\""), "{shown}");
    world.send(Method::POST, &path, &headers, "checked=false").await;
    assert_eq!(words(&world, &id).await["checked_parts"], json!([]));
}

#[tokio::test]
async fn a_transcript_without_a_call_is_checked_too() {
    let world = World::new().await;
    let id = transcribed_as(&world, &json!({"recording_url": "https://example.com/a.mp3"}), "We sign tomorrow.").await;
    let answer = checked(&world, &id, &json!({"checked": true})).await;
    assert_eq!(answer["checked"], true);
    let page = world.page_of_upload(&id).await;
    assert!(page.contains("Checked by this computer, <time"), "{page}");
    assert_eq!(listed(&world, "q=sign&checked=true").await, ["none"]);
    assert_eq!(listed(&world, "q=sign&checked=false").await, [""; 0]);
}

#[tokio::test]
async fn open_pages_of_every_instance_learn_of_a_check() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let about = world.call(&call).await["id"].as_str().expect("an id").to_owned();
    let (_other, url) = world.another_app_with_url(&[]).await;
    for (base, to) in [(&world.base, 1_000), (&url, 2_000)] {
        let Ok(mut stream) = Stream::open(&world.http, base, "", &[]).await else { panic!("no stream") };
        let key = |page: &str| {
            let part = page.split_once("-check\" data-live data-key=\"").expect("what is checked").1;
            part.split('"').next().expect("a key").to_owned()
        };
        let before = key(&page(&world, &call).await);
        checked(&world, &id, &json!({"checked": true, "to_ms": to})).await;
        stream.until_changed(&about).await;
        assert_ne!(key(&page(&world, &call).await), before, "the page shows the change");
    }
}

#[tokio::test]
async fn checks_at_the_same_time_are_all_kept() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let (_other, url) = world.another_app_with_url(&[]).await;
    let check = |word: i64| {
        let base = if word % 2 == 0 { &world.base } else { &url };
        let path = format!("{base}/transcript/{id}/checked");
        let body = json!({"checked": true, "from_ms": word * 500, "to_ms": word * 500 + 400});
        async move { crate::support::client().post(path).json(&body).send().await.expect("an answer").status() }
    };
    let answers = futures_util::future::join_all((0..14).map(check)).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(words(&world, &id).await["checked_parts"].as_array().expect("parts").len(), 14);
    assert_eq!(world.store.number("SELECT count(*) FROM checks").await, 14);
    assert_eq!(listed(&world, "checked=true&q=tomorrow").await, [call.as_str()]);
}
