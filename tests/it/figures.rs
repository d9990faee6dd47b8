//! `/accuracy`: how right transcripts are, from what people corrected and checked.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::speakers::{page, said};
use crate::support::World;

const HTML: (&str, &str) = ("accept", "text/html");
const HEARD: &str = "Please take sparing the lactone twice a day.";

async fn accuracy(world: &World, query: &str) -> Value {
    let answer = world.get(&format!("/accuracy{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Each group as its values, its reference, its calls and its words, substitutions, deletions and insertions.
async fn groups(world: &World, query: &str) -> Vec<(Value, String, u64, [u64; 4])> {
    let group = |group: &Value| {
        let number = |name: &str| group[name].as_u64().expect("a number");
        let counts = ["words", "substitutions", "deletions", "insertions"].map(number);
        (group["by"].clone(), group["reference"].as_str().expect("a word").to_owned(), number("calls"), counts)
    };
    accuracy(world, query).await["groups"].as_array().expect("groups").iter().map(group).collect()
}

fn group(by: Value, reference: &str, calls: u64, counts: [u64; 4]) -> (Value, String, u64, [u64; 4]) {
    (by, reference.to_owned(), calls, counts)
}

async fn correct(world: &World, id: &str, words: std::ops::Range<u64>, text: &str) {
    let version = world.get(&format!("/transcript/{id}?format=words")).await.json()["version"].clone();
    let correction = json!({"version": version, "from": words.start, "to": words.end, "text": text});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &correction).await.status, 200);
}

async fn check(world: &World, id: &str, what: &Value) {
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), what).await.status, 200);
}

/// The job that measures waits for further corrections.
async fn measure(world: &World) {
    world.after(Duration::from_secs(10)).await;
}

/// Completes the transcript of a new call by this model, with words and the confidence of each. Returns the SID of the call and
/// its id.
async fn heard_by(world: &World, model: &str, words: &[(&str, f64)]) -> (String, String) {
    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let word = |(at, (text, confidence)): (usize, &(&str, f64))| json!({"text": text, "start": at * 500, "end": at * 500 + 400, "confidence": confidence});
    let spoken: Vec<Value> = words.iter().enumerate().map(word).collect();
    let text = words.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(" ");
    let body =
        json!({"id": id, "status": "completed", "text": text, "words": spoken, "speech_model_used": model}).to_string();
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
    (call, id)
}

#[tokio::test]
async fn what_is_corrected_counts_apart_from_what_is_checked_and_what_is_neither_not_at_all() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, HEARD).await;
    transcribed(&world, "Nobody has read this.").await;
    measure(&world).await;
    let report = accuracy(&world, "").await;
    let empty = ["normalize", "groups", "terms"].map(|name| &report[name]);
    assert_eq!(empty, [&json!("whisper-basic"), &json!([]), &json!([])]);

    correct(&world, &id, 2..5, "spironolactone").await;
    measure(&world).await;
    assert_eq!(groups(&world, "").await, [group(json!({}), "corrected", 1, [6, 1, 0, 2])]);
    let one = accuracy(&world, "").await["groups"][0].clone();
    assert_eq!((&one["wer"], &one["wer_low"], &one["wer_high"]), (&json!(0.5), &Value::Null, &Value::Null));
    let keyterms = json!({"said": 1, "heard": 0, "false": 0, "recall": 0.0, "precision": null});
    assert_eq!(one["keyterms"], keyterms, "what was corrected is a term at once");

    // Of what is partly checked, only that part counts: "Please take spironolactone".
    check(&world, &id, &json!({"checked": true, "from_ms": 0, "to_ms": 2_450})).await;
    measure(&world).await;
    assert_eq!(groups(&world, "").await, [group(json!({}), "checked", 1, [3, 1, 0, 2])]);
    let (_, other) = transcribed(&world, "All of this is right.").await;
    check(&world, &other, &json!({"checked": true})).await;
    let (_, third) = transcribed(&world, "Somebody wrote this.").await;
    correct(&world, &third, 1..2, "read").await;
    measure(&world).await;
    let both = [group(json!({}), "corrected", 1, [3, 1, 0, 0]), group(json!({}), "checked", 2, [8, 1, 0, 2])];
    assert_eq!(groups(&world, "").await, both);
    let checked = accuracy(&world, "").await["groups"][1].clone();
    let ends = ["wer_low", "wer", "wer_high"].map(|name| checked[name].as_f64().expect("a rate"));
    assert_eq!(ends, [0.0, 0.375, 1.0], "all draws of two calls");

    // What is taken back, undone or deleted is in no figure.
    check(&world, &other, &json!({"checked": false})).await;
    let corrections = format!("/transcript/{third}/corrections");
    let made = world.get(&corrections).await.json()["corrections"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.post_json(&format!("{corrections}/{made}/undo"), &json!({})).await.status, 200);
    measure(&world).await;
    assert_eq!(groups(&world, "").await, [group(json!({}), "checked", 1, [3, 1, 0, 2])]);
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(accuracy(&world, "").await["groups"], json!([]));
    assert_eq!(world.store.number("SELECT count(*) FROM measures").await, 0);
}

#[tokio::test]
async fn figures_are_grouped_by_what_is_asked_for() {
    let world = World::with(&[("KEYTERMS", "Friday")]).await;
    let (_, first) = heard_by(&world, "model-a", &[("Ahoy", 0.9), ("day", 0.9)]).await;
    let (_, second) = heard_by(&world, "model-b", &[("Ahoy", 0.9), ("day", 0.9), ("two", 0.9)]).await;
    correct(&world, &first, 0..1, "Hello").await;
    for id in [&first, &second] {
        check(&world, id, &json!({"checked": true})).await;
    }
    measure(&world).await;
    let by_model = [
        group(json!({"model": "model-a"}), "checked", 1, [2, 1, 0, 0]),
        group(json!({"model": "model-b"}), "checked", 1, [3, 0, 0, 0]),
    ];
    assert_eq!(groups(&world, "?by=model").await, by_model);
    let found = groups(&world, "?by=list,side,month,contact,language,list").await;
    let by = found[0].0.clone();
    assert_eq!((found.len(), found[0].2, by.as_object().expect("values").len()), (1, 2, 5));
    assert!(by["list"].as_str().expect("a list").starts_with("1 term "), "{by}");
    assert_eq!((&by["side"], &by["language"]), (&Value::Null, &json!("en")));
    assert_eq!(by["contact"].as_str().map(|number| number.starts_with('+')), Some(true), "{by}");
    assert_eq!(by["month"].as_str().map(str::len), Some("2026-11".len()), "{by}");

    assert_eq!(groups(&world, "?since=2020-01-01&until=2199-12-31").await.len(), 1);
    assert_eq!(groups(&world, "?until=2020-01-01").await, []);
    assert_eq!(groups(&world, "?since=2199-01-01").await, []);
    for (query, expected) in
        [("by=color", "by: expected some of model, list"), ("since=x", "since: expected a date"), ("bye=model", "bye")]
    {
        let detail = world.get(&format!("/accuracy?{query}")).await.problem(400, "bad-request");
        assert!(detail.contains(expected), "{query}: {detail}");
    }
}

#[tokio::test]
async fn the_sides_of_a_call_count_apart_and_change_places_with_it() {
    let world = World::new().await;
    let word = |text: &str, channel: &str, start: u64| json!({"text": text, "start": start, "end": start + 300, "confidence": 0.9, "channel": channel, "speaker": channel});
    let words = [word("Ahoy!", "1", 0), word("Who?", "2", 1_000), word("Me.", "1", 2_000)];
    let (call, id) = said(&world, &words).await;
    correct(&world, &id, 1..2, "Where?").await;
    measure(&world).await;
    let sides = |party: [u64; 4], operator: [u64; 4]| {
        [
            group(json!({"side": "operator"}), "corrected", 1, operator),
            group(json!({"side": "party"}), "corrected", 1, party),
        ]
    };
    assert_eq!(groups(&world, "?by=side").await, sides([2, 0, 0, 0], [1, 1, 0, 0]));
    assert_eq!(groups(&world, "").await, [group(json!({}), "corrected", 1, [3, 1, 0, 0])]);
    world.post_json(&format!("/calls/{call}/speakers"), &json!({"swap": true})).await;
    assert_eq!(groups(&world, "?by=side").await, sides([1, 1, 0, 0], [2, 0, 0, 0]));
}

#[tokio::test]
async fn of_chinese_each_character_counts() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "今天天气 很好。").await;
    correct(&world, &id, 1..2, "不好。").await;
    measure(&world).await;
    assert_eq!(groups(&world, "").await, [group(json!({}), "corrected", 1, [6, 1, 0, 0])]);
}

#[tokio::test]
async fn words_are_marked_below_the_threshold_that_checked_transcripts_of_the_model_show() {
    let world = World::new().await;
    // Words are right from a confidence of 0.4 on.
    let heard: Vec<(&str, f64)> = (0..80).map(|at| ("word", if at < 40 { 0.3 } else { 0.5 })).collect();
    let (first, id) = heard_by(&world, "model-a", &heard).await;
    let marked = async |call: &str| page(&world, call).await.matches("<mark data-lasts").count();
    assert_eq!(marked(&first).await, 80, "below 0.7, as long as nothing is known");
    correct(&world, &id, 0..40, &["said"; 40].join(" ")).await;
    measure(&world).await;
    let (next, _) = heard_by(&world, "model-a", &heard).await;
    assert_eq!(marked(&next).await, 80, "who only corrects has not heard all");
    check(&world, &id, &json!({"checked": true})).await;
    measure(&world).await;
    assert_eq!(marked(&next).await, 40);
    let shown = page(&world, &next).await;
    assert!(shown.contains("less than 35% sure"), "{shown}");
    let (other, _) = heard_by(&world, "model-b", &heard).await;
    assert_eq!(marked(&other).await, 80, "another model");
    let marks = accuracy(&world, "?by=model").await["groups"][0]["marks"].clone();
    let expected = json!({
        "threshold": 0.35, "caught": 40, "marked": 40, "wrong": 40, "catch_rate": 1.0, "precision": 1.0,
    });
    assert_eq!(marks, expected);
    check(&world, &id, &json!({"checked": false})).await;
    measure(&world).await;
    assert_eq!(marked(&next).await, 80, "nothing is known again");
}

#[tokio::test]
async fn terms_are_listed_with_what_was_heard_instead_on_the_page_too() {
    let world = World::new().await;
    assert_eq!(world.post_json("/vocabulary", &json!({"term": "spironolactone"})).await.status, 201);
    let empty = world.get_with("/accuracy?ignored=1", &[HTML]).await;
    assert!(empty.status == 200 && empty.text().contains("Nothing to measure yet"), "{}", empty.text());
    let (_, id) = transcribed(&world, &format!("{HEARD} Take spironolactone.")).await;
    correct(&world, &id, 2..5, "spironolactone").await;
    check(&world, &id, &json!({"checked": true})).await;
    measure(&world).await;
    for query in ["", "?since=2020-01-01"] {
        let terms = accuracy(&world, query).await["terms"].clone();
        let expected = json!([{
            "id": terms[0]["id"], "term": "spironolactone", "said": 2, "heard": 1, "missed": 1, "false": 0,
            "corrections": 1, "misheard_as": ["sparing the lactone"],
        }]);
        assert_eq!(terms, expected);
    }
    assert_eq!(accuracy(&world, "?until=2020-01-01").await["terms"], json!([]));
    let page = world.get_with("/accuracy?by=model,side", &[HTML]).await.text();
    for part in ["checked by ear", "sparing the lactone", "whisper-basic", "no difference is shown", "37.5\u{a0}%"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
