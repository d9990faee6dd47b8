//! Blind checks: stretches of a call that somebody types from the audio alone, and what they say of transcripts.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::speakers::said;
use crate::support::{Answer, World};

const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HEARD: &str = "Please take sparing the lactone twice a day.";

fn path(id: &str) -> String {
    format!("/transcript/{id}/blind-check")
}

async fn offered(world: &World, id: &str) -> Value {
    let answer = world.get(&path(id)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn post(world: &World, id: &str, typed: &Value) -> Answer {
    world.post_json(&path(id), typed).await
}

/// Types a stretch, and returns the answer.
async fn typed(world: &World, id: &str, stretch: &Value, text: &str) -> Value {
    let answer = post(world, id, &json!({"start": stretch["start"], "end": stretch["end"], "text": text})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Each group of `/accuracy` as its reference, its calls, and its words, substitutions, deletions and insertions.
async fn groups(world: &World) -> Vec<(String, u64, [u64; 4])> {
    world.after(Duration::from_secs(10)).await;
    let group = |group: &Value| {
        let number = |name: &str| group[name].as_u64().expect("a number");
        let counts = ["words", "substitutions", "deletions", "insertions"].map(number);
        (group["reference"].as_str().expect("a word").to_owned(), number("calls"), counts)
    };
    let found = world.get("/accuracy").await.json();
    found["groups"].as_array().expect("groups").iter().map(group).collect()
}

fn group(reference: &str, calls: u64, counts: [u64; 4]) -> (String, u64, [u64; 4]) {
    (reference.to_owned(), calls, counts)
}

async fn rows(world: &World) -> i64 {
    world.store.number("SELECT count(*) FROM blind_checks").await
}

#[tokio::test]
async fn a_stretch_is_offered_without_its_text_and_stays_the_same_until_it_is_typed() {
    let world = World::new().await;
    // 400 words in 200 seconds, with a pause after each.
    let text = (0..400).map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
    let (_, id) = transcribed(&world, &text).await;
    let first = offered(&world, &id).await;
    assert_eq!((&first["transcript"], &first["stretch"], &first["result"]), (&json!(id), &json!(1), &Value::Null));
    let ends = |view: &Value| (view["start"].as_i64().expect("ms"), view["end"].as_i64().expect("ms"));
    let (start, end) = ends(&first);
    assert!(start >= 0 && end <= 199_900 && (1..=120_000).contains(&(end - start)), "{first}");
    assert!(start % 500 >= 400 && end % 500 >= 400, "in a pause: {first}");
    assert_eq!(first["sides"], json!([{"channel": null, "name": null, "text": null, "heard": null}]));
    let audio = first["audio"].as_str().expect("an address");
    assert!(
        audio.starts_with("/recordings/RE") && audio.contains(&format!("#t={}.{:03},", start / 1_000, start % 1_000))
    );
    let page = world.get_with(&path(&id), &[HTML]).await.text();
    for shown in [&first.to_string(), &page] {
        assert!(!shown.contains("word1") && !shown.contains("<mark"), "{shown}");
    }
    assert_eq!(offered(&world, &id).await, first);

    typed(&world, &id, &first, "word0").await;
    let second = offered(&world, &id).await;
    assert_eq!((&second["stretch"], &second["typed"][0]["stretch"]), (&json!(2), &json!(1)));
    let (next_start, next_end) = ends(&second);
    assert!(next_end <= start || next_start >= end, "{first} {second}");
    let mut last = second;
    while !last["start"].is_null() {
        typed(&world, &id, &last, "word0").await;
        last = offered(&world, &id).await;
    }
    assert_eq!((&last["stretch"], &last["end"], &last["audio"]), (&Value::Null, &Value::Null, &Value::Null));
    let page = world.get_with(&path(&id), &[HTML]).await.text();
    assert!(page.contains("All of this recording is typed"), "{page}");
}

#[tokio::test]
async fn what_is_typed_is_compared_with_what_was_heard_and_counts_apart() {
    let world = World::new().await;
    world.post_json("/vocabulary", &json!({"term": "spironolactone"})).await;
    let (_, id) = transcribed(&world, HEARD).await;
    // The engine's own words count, whatever somebody has corrected since.
    let correction = json!({"version": 0, "from": 2, "to": 5, "text": "spironolactone"});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &correction).await.status, 200);
    let stretch = offered(&world, &id).await;
    assert_eq!((&stretch["start"], stretch["end"].as_i64() >= Some(3_900)), (&json!(0), true), "all of it: {stretch}");
    let answer = typed(&world, &id, &stretch, "please take spironolactone  twice\na day").await;
    let result = &answer["result"];
    let counts = ["words", "substitutions", "deletions", "insertions", "wer"].map(|name| result[name].clone());
    assert_eq!(json!(counts), json!([6, 1, 0, 2, 0.5]));
    let audio =
        format!("{}#t=1.000", answer["audio"].as_str().and_then(|audio| audio.split('#').next()).expect("audio"));
    let difference = json!({"channel": null, "typed": "spironolactone", "heard": "sparing the lactone", "at_ms": 1_000, "audio": audio});
    assert_eq!(result["differences"], json!([difference]));
    assert_eq!(
        (&result["reference"], &result["versions"], &result["by"]),
        (&json!("blind"), &json!(1), &json!("this computer"))
    );
    assert_eq!((&answer["sides"][0]["heard"], &answer["stretch"]), (&json!(HEARD), &json!(1)));
    assert_eq!(groups(&world).await, [group("corrected", 1, [6, 1, 0, 2]), group("blind", 1, [6, 1, 0, 2])]);
    let keyterms = world.get("/accuracy").await.json()["groups"][1]["keyterms"].clone();
    assert_eq!(keyterms, json!({"said": 1, "heard": 0, "false": 0, "recall": 0.0, "precision": null}));
    // It is no check of the transcript.
    assert_eq!(world.get(&format!("/transcript/{id}?format=words")).await.json()["checked"], false);

    // The same again, as after a lost answer, is stored once.
    typed(&world, &id, &stretch, "please take spironolactone  twice\na day").await;
    assert_eq!(rows(&world).await, 1);

    // Typed again with the text known, it is no longer blind.
    let again = typed(&world, &id, &stretch, "please take spironolactone twice daily").await;
    assert_eq!((&again["result"]["reference"], &again["result"]["versions"]), (&json!("checked"), &json!(2)));
    assert_eq!(rows(&world).await, 2);
    assert_eq!(groups(&world).await, [group("corrected", 1, [6, 1, 0, 2]), group("checked", 1, [5, 2, 0, 3])]);
    // What is checked in the transcript counts once.
    world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await;
    assert_eq!(groups(&world).await, [group("checked", 1, [6, 1, 0, 2])]);
    let page = world.get_with(&format!("{}?stretch=1", path(&id)), &[HTML]).await.text();
    for part in ["<del>sparing the lactone</del>", "<ins>spironolactone</ins>", "typed again", "Another stretch"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn each_side_of_a_call_is_typed_apart() {
    let world = World::new().await;
    let word = |text: &str, channel: &str, start: u64| json!({"text": text, "start": start, "end": start + 300, "confidence": 0.9, "channel": channel, "speaker": channel});
    let (call, id) = said(&world, &[word("Ahoy!", "1", 0), word("Who?", "2", 1_000), word("Me.", "1", 2_000)]).await;
    world.post_json(&format!("/calls/{call}/speakers"), &json!({"1": "Mr Lee"})).await;
    let stretch = offered(&world, &id).await;
    let sides: Vec<&Value> = stretch["sides"].as_array().expect("sides").iter().collect();
    assert_eq!(
        (&sides[0]["channel"], &sides[0]["name"], &sides[1]["channel"]),
        (&json!("1"), &json!("Mr Lee"), &json!("2"))
    );
    let page = world.get_with(&path(&id), &[HTML]).await.text();
    assert!(page.contains("name=\"text.1\"") && page.contains("What Mr Lee says"), "{page}");
    let body = |texts: Value| json!({"start": stretch["start"], "end": stretch["end"], "texts": texts});
    let detail = post(&world, &id, &body(json!({"3": "x"}))).await.problem(400, "bad-request");
    assert!(detail.contains("no channel"), "{detail}");
    let one = json!({"start": stretch["start"], "end": stretch["end"], "text": "Ahoy"});
    let detail = post(&world, &id, &one).await.problem(400, "bad-request");
    assert!(detail.contains("the channels 1, 2"), "{detail}");
    let detail = post(&world, &id, &body(json!({"1": "Ahoy me"}))).await.problem(400, "bad-request");
    assert!(detail.contains("nobody_speaks"), "{detail}");
    let answer = post(&world, &id, &body(json!({"1": "Ahoy me", "2": "Where"}))).await.json();
    let difference = &answer["result"]["differences"][0];
    assert_eq!(
        (&difference["channel"], &difference["typed"], &difference["heard"]),
        (&json!("2"), &json!("Where"), &json!("Who?"))
    );
    assert_eq!(groups(&world).await, [group("blind", 1, [3, 1, 0, 0])]);
    let sides = world.get("/accuracy?by=side").await.json()["groups"].clone();
    let words: Vec<_> =
        sides.as_array().expect("groups").iter().map(|side| (&side["by"]["side"], &side["words"])).collect();
    assert_eq!(words, [(&json!("operator"), &json!(1)), (&json!("party"), &json!(2))]);
    // Nobody may speak on one of them.
    let silent =
        json!({"start": stretch["start"], "end": stretch["end"], "texts": {"1": "Ahoy me"}, "nobody_speaks": true});
    assert_eq!(post(&world, &id, &silent).await.json()["result"]["insertions"], 1);
}

#[tokio::test]
async fn what_cannot_be_a_blind_check_is_refused_and_stores_nothing() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    let stretch = offered(&world, &id).await;
    let (start, end) = (&stretch["start"], &stretch["end"]);
    for (body, expected) in [
        (json!({}), "missing field `start`"),
        (json!({"start": start, "end": end}), "nobody_speaks"),
        (json!({"start": start, "end": end, "text": " … "}), "nobody_speaks"),
        (json!({"start": start, "end": end, "text": "a", "by": "Dana"}), "unknown field `by`"),
        (json!({"start": start, "end": end, "text": 5}), "invalid type"),
        (json!({"start": start, "end": end, "text": "a\u{7}"}), "no control characters"),
        (json!({"start": start, "end": end, "text": "x".repeat(1_001)}), "at most 1000 characters"),
        (json!({"start": "0", "end": end, "text": "a"}), "invalid type"),
    ] {
        let detail = post(&world, &id, &body).await.problem(400, "bad-request");
        assert!(detail.contains(expected), "{body}: {detail}");
    }
    for (start, end) in [(json!(0), json!(1)), (json!(-5), end.clone()), (json!(1), end.clone())] {
        let other = json!({"start": start, "end": end, "text": "a"});
        post(&world, &id, &other).await.problem(409, "other-stretch");
    }
    let long = json!({"start": start, "end": end, "text": "word ".repeat(20_000)});
    post(&world, &id, &long).await.problem(413, "too-large");
    world.get(&format!("{}?stretch=1", path(&id))).await.problem(400, "bad-request");
    world.get(&format!("{}?strech=1", path(&id))).await.problem(400, "bad-request");
    let unknown = "9ea68fd3-f953-42c1-9742-976c447fb463";
    world.get(&path(unknown)).await.problem(404, "no-such-transcript");
    post(&world, unknown, &json!({"start": 0, "end": 1, "text": "a"})).await.problem(404, "no-such-transcript");
    assert_eq!(rows(&world).await, 0);
    // That nobody speaks is a choice.
    let silent = json!({"start": start, "end": end, "text": "", "nobody_speaks": true});
    let answer = post(&world, &id, &silent).await.json();
    assert_eq!((&answer["result"]["wer"], &answer["result"]["insertions"]), (&Value::Null, &json!(8)));
}

#[tokio::test]
async fn a_form_types_a_stretch_and_comes_back_with_what_was_typed() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    let stretch = offered(&world, &id).await;
    let form = |text: &str| format!("start={}&end={}&text={text}", stretch["start"], stretch["end"]);
    let submit = async |form: String| world.send(Method::POST, &path(&id), &[HTML, FORM], &form).await;
    let page = world.get_with(&path(&id), &[HTML]).await.text();
    for part in ["<textarea name=\"text\"", "name=\"nobody_speaks\"", "data-from=\"0\"", "name=\"start\" value=\"0\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let empty = submit(form("")).await;
    assert!(empty.status == 400 && empty.text().contains("where nobody speaks"), "{}", empty.text());
    let other = submit("start=7&end=9&text=kept+words".to_owned()).await;
    assert!(other.status == 409 && other.text().contains(">kept words</textarea>"), "{}", other.text());
    let saved = submit(form("%3Cb%3EPlease")).await;
    assert_eq!((saved.status.as_u16(), saved.header("location")), (303, &*format!("{}?stretch=1", path(&id))));
    let page = world.get_with(saved.header("location"), &[HTML]).await.text();
    assert!(page.contains("&#60;b&#62;Please") && !page.contains("<b>Please"), "{page}");
    let silent = submit(format!("{}&nobody_speaks=true", form(""))).await;
    assert_eq!(silent.status, 303);
    let page = world.get_with(silent.header("location"), &[HTML]).await.text();
    assert!(page.contains("Nobody speaks here") && page.contains("no longer as blind"), "{page}");
}

#[tokio::test]
async fn accuracy_says_how_much_is_missing_and_offers_a_random_call() {
    let world = World::new().await;
    let blind = async || world.get("/accuracy").await.json()["blind"].clone();
    // Ten calls of two minutes are the fewest.
    assert_eq!(blind().await, json!({"calls": 0, "minutes": 0.0, "more_minutes": 20, "next": null}));
    let (_, first) = transcribed(&world, HEARD).await;
    let (_, checked) = transcribed(&world, HEARD).await;
    let (_, corrected) = transcribed(&world, HEARD).await;
    world.post_json(&format!("/transcript/{checked}/checked"), &json!({"checked": true, "to_ms": 500})).await;
    let correction = json!({"version": 0, "from": 0, "to": 1, "text": "Do"});
    world.post_json(&format!("/transcript/{corrected}/corrections"), &correction).await;
    assert_eq!(blind().await["next"], json!(path(&first)));
    let page = world.get_with("/accuracy", &[HTML]).await.text();
    assert!(page.contains(&format!("href=\"{}\"", path(&first))) && page.contains("20 more minutes"), "{page}");
    let stretch = offered(&world, &first).await;
    typed(&world, &first, &stretch, "please take sparing the lactone twice a day").await;
    groups(&world).await;
    let now = blind().await;
    assert_eq!((&now["calls"], &now["next"]), (&json!(1), &Value::Null));
    let minutes = stretch["end"].as_f64().expect("ms") / 60_000.0;
    assert!((now["minutes"].as_f64().expect("minutes") - minutes).abs() < 1e-9, "{now}");
    assert_eq!(now["more_minutes"], (minutes * 9.0).ceil());
}

#[tokio::test]
async fn a_deleted_call_takes_its_blind_checks_with_it() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, HEARD).await;
    let stretch = offered(&world, &id).await;
    typed(&world, &id, &stretch, "Please take it.").await;
    assert_eq!(groups(&world).await.len(), 1);
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    let late = json!({"start": stretch["start"], "end": stretch["end"], "text": "Please"});
    post(&world, &id, &late).await.problem(410, "deleted");
    world.get(&path(&id)).await.problem(410, "deleted");
    world.settle().await;
    assert_eq!((rows(&world).await, groups(&world).await), (0, vec![]));
    assert_eq!(world.get("/accuracy").await.json()["blind"]["next"], Value::Null);
}

#[tokio::test]
async fn two_people_who_type_the_same_stretch_at_the_same_time_are_both_kept() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    let stretch = offered(&world, &id).await;
    let (_other, url) = world.another_app_with_url(&[]).await;
    let post = |base: &str, text: &str| {
        let url = format!("{base}{}", path(&id));
        let body = json!({"start": stretch["start"], "end": stretch["end"], "text": text});
        async move { crate::support::client().post(url).json(&body).send().await.expect("an answer").status() }
    };
    let answers = tokio::join!(post(&world.base, "Please take"), post(&url, "Please take this"));
    assert_eq!((answers.0.as_u16(), answers.1.as_u16()), (200, 200));
    // Each has its version. A request that is carried out again, because its answer was lost, may come after the other one,
    // and is then a third.
    assert_eq!(world.store.number("SELECT count(DISTINCT texts) FROM blind_checks").await, 2);
    assert_eq!(world.store.number("SELECT max(version) - count(*) FROM blind_checks").await, 0);
    assert_eq!(groups(&world).await.len(), 1);
}
