//! Finding a text and replacing it, in one transcript and in all of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::speakers::{said, text};
use crate::support::{Answer, World};

async fn replace(world: &World, wanted: &Value) -> Answer {
    world.post_json("/replace", wanted).await
}

async fn places(world: &World, wanted: &Value) -> Vec<Value> {
    let answer = replace(world, wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["places"].as_array().expect("places").clone()
}

/// Replaces in many transcripts, and returns how that ended.
async fn replaced(world: &World, wanted: &Value) -> Value {
    ended(world, replace(world, wanted).await).await
}

async fn ended(world: &World, begun: Answer) -> Value {
    assert_eq!(begun.status, 202, "{}", begun.text());
    world.settle().await;
    let progress = world.get(begun.header("location")).await.json();
    assert_eq!(progress["state"], "done", "{progress}");
    progress
}

#[tokio::test]
async fn a_text_is_replaced_in_one_transcript_as_one_step_but_where_it_is_left_out() {
    let world = World::new().await;
    let (_, id) =
        transcribed(&world, "Ring Clerk Ridge. Is Clerk Ridge there? No, clerk Ridges are. Clerk Ridge!").await;
    let wanted = json!({"find": "clerk ridge", "with": "Clara Ridge", "transcript": id});
    let found = places(&world, &wanted).await;
    assert_eq!(found.len(), 3);
    let first = json!({"id": found[0]["id"], "transcript": id, "from": 1, "to": 3, "at_ms": 500, "after": "Clara Ridge.", "speaker": null,
        "context": "Ring Clerk Ridge. Is Clerk Ridge there? No, clerk", "audio": found[0]["audio"]});
    assert_eq!(found[0], first);
    assert!(found[0]["audio"].as_str().expect("audio").ends_with(".wav#t=0.500"));
    let mut apply = wanted.clone();
    apply["apply"] = json!(true);
    apply["except"] = json!([found[1]["id"]]);
    let answer = replace(&world, &apply).await.json();
    assert_eq!((&answer["version"], answer["places"].as_array().map(Vec::len)), (&json!(1), Some(2)));
    let expected = "Ring Clara Ridge. Is Clerk Ridge there? No, clerk Ridges are. Clara Ridge!\n";
    assert_eq!(text(&world, &id).await, expected);
    let undo = format!("/transcript/{id}/corrections/{}/undo", answer["correction"].as_str().expect("an id"));
    assert_eq!(world.post_json(&undo, &json!({})).await.status, 200);
    assert!(text(&world, &id).await.starts_with("Ring Clerk Ridge."));
    assert_eq!(places(&world, &json!({"find": "Ridge", "with": "", "transcript": id, "case": true})).await.len(), 3);
    let parts = json!({"find": "idge", "with": "", "transcript": id, "whole_words": false});
    assert_eq!(places(&world, &parts).await.len(), 4);
}

#[tokio::test]
async fn a_place_is_shown_with_the_words_of_its_own_speaker_and_paragraph() {
    let world = World::new().await;
    let word = |text: &str, channel: &str, start: u64, end: u64| json!({"text": text, "start": start, "end": end, "confidence": 0.9, "channel": channel, "speaker": channel});
    let words = [
        word("Earlier.", "1", 0, 400),
        word("Well.", "2", 500, 900),
        // Both speak at once.
        word("Ring", "1", 1_000, 1_400),
        word("Yes", "2", 1_200, 1_600),
        word("Clerk", "1", 1_500, 1_900),
        word("Ridge", "1", 2_000, 2_400),
        word("I", "2", 2_100, 2_500),
        word("today.", "1", 2_500, 2_900),
        word("will.", "2", 2_600, 3_000),
        word("Good.", "1", 3_500, 3_900),
    ];
    let (call, id) = said(&world, &words).await;
    let wanted = json!({"find": "clerk ridge", "with": "Clara Ridge", "transcript": id});
    let found = places(&world, &wanted).await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["speaker"], &found[0]["context"]), (&json!("Callee"), &json!("Ring Clerk Ridge today.")));
    assert_eq!(world.post_json(&format!("/calls/{call}/speakers"), &json!({"2": "<Dana>"})).await.status, 200);
    let path = format!("/replace?find=will&with=shall&transcript={id}");
    let seen = world.get_with(&path, &[("accept", "text/html")]).await.text();
    assert!(
        seen.contains("<strong dir=\"auto\">&#60;Dana&#62;:</strong> <span dir=\"auto\">Yes I will.</span>"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_text_is_replaced_in_all_transcripts_that_match_and_that_is_undone() {
    let world = World::new().await;
    let (_, first) = transcribed(&world, "Ring Clerk Ridge.").await;
    let (_, second) = transcribed(&world, "Clerk Ridge is here. Clerk Ridge, who else?").await;
    let (_, third) = transcribed(&world, "Nobody is here.").await;
    let wanted = json!({"find": "Clerk Ridge", "with": "Clara Ridge", "filter": {}});
    let found = places(&world, &wanted).await;
    assert_eq!(found.iter().map(|place| &place["transcript"]).filter(|id| **id == json!(second)).count(), 2);
    assert_eq!(found.len(), 3);
    let left_out = found.iter().find(|place| place["transcript"] == json!(second)).expect("a place");
    let mut apply = wanted.clone();
    apply["apply"] = json!(true);
    apply["except"] = json!([left_out["id"]]);
    let progress = replaced(&world, &apply).await;
    assert_eq!((&progress["transcripts"], &progress["places"]), (&json!(2), &json!(2)));
    assert_eq!((&progress["total"], &progress["looked_at"]), (&json!(2), &json!(2)));
    assert_eq!(text(&world, &first).await, "Ring Clara Ridge.\n");
    assert_eq!(text(&world, &second).await, "Clerk Ridge is here. Clara Ridge, who else?\n");
    assert_eq!(text(&world, &third).await, "Nobody is here.\n");
    let hits = world.get("/calls?q=%22clara+ridge%22").await.json()["hits"].as_array().expect("hits").len();
    assert_eq!(hits, 2);
    // What was looked for is forgotten.
    assert_eq!(world.store.number("SELECT count(*) FROM replacements WHERE asked IS NOT NULL").await, 0);

    let correction = json!({"version": 1, "from": 1, "to": 2, "text": "Klara"});
    assert_eq!(world.post_json(&format!("/transcript/{first}/corrections"), &correction).await.status, 200);
    let undo = format!("/replace/{}/undo", progress["id"].as_str().expect("an id"));
    let undone = ended(&world, world.post_json(&undo, &json!({})).await).await;
    assert_eq!((&undone["transcripts"], &undone["undoes"]), (&json!(1), &progress["id"]));
    assert_eq!(text(&world, &first).await, "Ring Klara Ridge.\n");
    assert_eq!(text(&world, &second).await, "Clerk Ridge is here. Clerk Ridge, who else?\n");
}

#[tokio::test]
async fn a_correction_tells_where_else_the_same_was_heard_and_leads_to_these_places() {
    let world = World::new().await;
    let (_, other) = transcribed(&world, "No clerk ridge here.").await;
    let (_, id) = transcribed(&world, "Ring Clerk Ridge. Is Clerk Ridge there? Clerk Ridge! A bus.").await;
    let corrections = format!("/transcript/{id}/corrections");
    let correct = async |version: u32, from: usize, to: usize, text: &str| {
        let edit = json!({"version": version, "from": from, "to": to, "text": text});
        let answer = world.post_json(&corrections, &edit).await.json();
        world.get(&format!("{corrections}/{}/alike", answer["correction"].as_str().expect("an id"))).await
    };
    // While somebody types, a word takes several corrections until it is right.
    correct(0, 1, 3, "Cla").await;
    let found = correct(1, 1, 2, "Clara Reed.").await;
    assert_eq!(found.status, 200, "{}", found.text());
    let url = "/replace?find=Clerk+Ridge&with=Clara+Reed";
    let expected = json!({"find": "Clerk Ridge", "with": "Clara Reed", "here": 2, "everywhere": 3, "more": false,
        "url": url, "transcript_url": format!("{url}&transcript={id}")});
    assert_eq!(found.json(), expected);
    let page = world.get_with(&corrections, &[("accept", "text/html")]).await.text();
    assert!(page.contains(&format!("href=\"{}\"", url.replace('&', "&#38;"))), "{page}");
    let shown = world.get_with(url, &[("accept", "text/html")]).await.text();
    assert_eq!(shown.matches("name=\"except\"").count(), 3, "{shown}");

    // A short word is heard everywhere, and what was heard once only is corrected already.
    assert_eq!(correct(2, 9, 10, "The").await.status, 204);
    assert_eq!(correct(3, 10, 11, "coach.").await.status, 204);
    world.get(&format!("{corrections}/none/alike")).await.problem(404, "no-such-correction");
    world.get(&format!("/transcript/{other}/corrections/none/alike")).await.problem(404, "no-such-correction");
}

#[tokio::test]
async fn parts_of_words_are_replaced_everywhere_though_no_index_has_them() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "Klerkridge is here.").await;
    let wanted =
        json!({"find": "lerk", "with": "lark", "whole_words": false, "filter": {"number": "1234"}, "apply": true});
    assert_eq!(replaced(&world, &wanted).await["places"], 1);
    assert_eq!(text(&world, &id).await, "Klarkridge is here.\n");
    let elsewhere =
        json!({"find": "lark", "with": "lurk", "whole_words": false, "filter": {"number": "9999"}, "apply": true});
    assert_eq!(replaced(&world, &elsewhere).await["places"], 0);
}

#[tokio::test]
async fn a_replacement_looks_where_its_filter_says_as_the_list_of_calls_does() {
    let world = World::new().await;
    let (_, checked) = transcribed(&world, "Ring Clerk Ridge today.").await;
    let (_, other) = transcribed(&world, "Ring Clerk Ridge tomorrow.").await;
    assert_eq!(world.post_json(&format!("/transcript/{checked}/checked"), &json!({"checked": true})).await.status, 200);
    let (json, contact) = ([("content-type", "application/json")], r#"{"name": "Clara Ames"}"#);
    assert_eq!(world.send(Method::PUT, "/contacts/14155551234", &json, contact).await.status, 201);
    for (filter, expected) in [
        (json!({}), vec![&checked, &other]),
        (json!({"checked": true}), vec![&checked]),
        (json!({"checked": "true"}), vec![&checked]),
        (json!({"checked": false}), vec![&other]),
        (json!({"q": "tomorrow"}), vec![&other]),
        (json!({"q": "tomorrow", "checked": true}), vec![]),
        (json!({"q": "ames today"}), vec![&checked]),
        (
            json!({"number": "1234", "state": "completed", "since": "2020-01-01", "until": "2099-01-01"}),
            vec![&checked, &other],
        ),
        (json!({"number": "9999"}), vec![]),
        (json!({"state": "busy"}), vec![]),
        (json!({"until": "2020-01-01"}), vec![]),
    ] {
        for whole_words in [true, false] {
            let mut wanted = json!({"find": "Ridge", "with": "Rich", "whole_words": whole_words, "filter": filter});
            let found = places(&world, &wanted).await;
            let mut found: Vec<_> = found.iter().map(|place| place["transcript"].as_str().expect("an id")).collect();
            let mut expected = expected.clone();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{wanted}");
            wanted["apply"] = json!(true);
            wanted["with"] = json!("Ridge");
            assert_eq!(replaced(&world, &wanted).await["total"], expected.len(), "{wanted}");
        }
    }
}

#[tokio::test]
async fn the_same_request_replaces_once_and_each_place_once_after_a_crash() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "a b a").await;
    let body = json!({"find": "a", "with": "a a", "filter": {}, "apply": true}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    let first = world.send(Method::POST, "/replace", &headers, &body).await;
    world.settle().await;
    let again = world.send(Method::POST, "/replace", &headers, &body).await;
    assert_eq!((again.status, again.json()["state"].clone()), (first.status, json!("done")));
    assert_eq!(text(&world, &id).await, "a a b a a\n");
    // As if the program had died before it stored how far it is.
    let again = "UPDATE replacements SET is_done = 0, looked_at = 0, after_place = NULL, asked = '%'";
    let asked = r#"{"replacing":{"find":"a","with":"a a","case":false,"whole_words":true},"except":[],"state":null,
        "number":null,"is_whole_number":false,"since":0,"before":9223372036854775807}"#;
    world.store.execute(&again.replace('%', asked)).await.expect("a replacement");
    world.store.execute("UPDATE jobs SET state = 'open', due_at = 0 WHERE kind = 'replacement'").await.expect("a job");
    world.settle().await;
    assert_eq!(world.store.number("SELECT is_done FROM replacements").await, 1);
    assert_eq!(text(&world, &id).await, "a a b a a\n");
}

#[tokio::test]
async fn a_call_that_is_deleted_while_a_replacement_is_undone_hides_no_other() {
    let world = World::new().await;
    for n in 0..3 {
        transcribed(&world, &format!("Ring Clerk Ridge {n}.")).await;
    }
    let wanted = json!({"find": "Clerk Ridge", "with": "Clara Ridge", "filter": {}, "apply": true});
    let progress = replaced(&world, &wanted).await;
    let first = "FROM corrections JOIN transcripts ON transcripts.id = transcript ORDER BY transcript LIMIT 1";
    let order = world.store.texts(&format!("SELECT transcript {first}")).await.remove(0);
    let recording = world.store.texts(&format!("SELECT recording_sid {first}")).await.remove(0);
    let call = format!("SELECT call_id FROM recordings WHERE sid = '{recording}'");
    let call = world.store.texts(&call).await.remove(0);
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    let undo = format!("/replace/{}/undo", progress["id"].as_str().expect("an id"));
    let begun = world.post_json(&undo, &json!({})).await;
    // As if the program had looked at the call before it was deleted, and then died.
    let looked_at = format!("looked_at = 1, after_transcript = '{order}' WHERE undoes IS NOT NULL");
    world.store.execute(&format!("UPDATE replacements SET {looked_at}")).await.expect("a replacement");
    assert_eq!(ended(&world, begun).await["transcripts"], 2);
    let left = world.get("/calls?q=%22clerk+ridge%22").await.json()["hits"].as_array().expect("hits").len();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn bad_replacements_are_refused() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "a b a").await;
    for bad in [
        json!({"find": " ", "with": "b", "transcript": id}),
        json!({"find": "a", "with": "b"}),
        json!({"find": "a", "with": "b", "transcript": "?"}),
        json!({"find": "a", "with": "b".repeat(501), "transcript": id}),
        json!({"find": "a", "with": "b", "filter": {"mood": "red"}}),
        json!({"find": "a", "with": "b", "filter": {"state": "red"}}),
        json!({"find": "a", "with": "b", "filter": {"checked": "red"}}),
        json!({"find": "a", "with": "b", "filter": {"checked": 1}}),
        json!({"find": "a", "with": "b", "filter": {"after": "1.2"}}),
        json!({"find": "a", "with": "b", "transcript": id, "whole": true}),
    ] {
        replace(&world, &bad).await.problem(400, "bad-request");
    }
    let control = json!({"find": "a", "with": "\u{7}", "transcript": id, "apply": true});
    replace(&world, &control).await.problem(400, "bad-request");
    world.get("/replace/nothing").await.problem(404, "no-such-replacement");
    assert_eq!(text(&world, &id).await, "a b a\n");
}

#[tokio::test]
async fn a_page_shows_the_places_and_replaces_without_a_script() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "Ring <i>Clerk Ridge. Clerk Ridge!").await;
    let html = [("accept", "text/html")];
    let seen = world.get_with("/replace?find=clerk+ridge&with=Clara+Ridge", &html).await.text();
    assert!(seen.contains("2 places") && seen.contains("Ring &#60;i&#62;Clerk Ridge."), "{seen}");
    let found = places(&world, &json!({"find": "clerk ridge", "with": "", "filter": {}})).await;
    let form = format!(
        "find=clerk+ridge&with=Clara+Ridge&case=false&whole_words=true&transcript=&apply=true&except={}",
        found[1]["id"].as_str().expect("an id")
    );
    let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = world.send(Method::POST, "/replace", &headers, &form).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    world.settle().await;
    let seen = world.get_with(answer.header("location"), &html).await.text();
    assert!(seen.contains("1 place in 1 transcript replaced"), "{seen}");
    assert_eq!(text(&world, &id).await, "Ring <i>Clara Ridge. Clerk Ridge!\n");
}

#[tokio::test]
async fn what_a_page_has_replaced_in_one_transcript_is_undone_there_with_one_button() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "a b a").await;
    let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let form = format!("find=a&with=c&whole_words=true&transcript={id}&apply=true");
    let replaced = world.send(Method::POST, "/replace", &headers, &form).await;
    assert_eq!((replaced.status.as_u16(), text(&world, &id).await.as_str()), (303, "c b c\n"));
    let page = async |path: &str| world.get_with(path, &[("accept", "text/html")]).await.text();
    let seen = page(replaced.header("location")).await;
    let (before, _) = seen.split_once("Undo all 2 together").expect("one button");
    let (_, action) = before.rsplit_once("action=\"").expect("a form");
    let (action, _) = action.split_once('"').expect("an address");
    assert_eq!(world.send(Method::POST, action, &headers, "").await.status, 303);
    assert_eq!(text(&world, &id).await, "a b a\n");
}
