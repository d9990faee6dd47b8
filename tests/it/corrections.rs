//! Correcting transcripts: what becomes of words, times, exports and search, and of edits that meet.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::speakers::{page, said, text};
use crate::support::callbacks::FORM;
use crate::support::{Answer, World};

const HTML: (&str, &str) = ("accept", "text/html");

const SAID: &str = "Please take metro pollen sucks in eight twice a day. Ring Clerk Ridge tomorrow.";

/// Each word takes 400 ms and begins 500 ms after the one before.
fn spoken(text: &str) -> Vec<Value> {
    let word = |(at, text): (usize, &str)| {
        let start = at * 500;
        json!({"text": text, "start": start, "end": start + 400, "confidence": 0.9})
    };
    text.split(' ').enumerate().map(word).collect()
}

/// Makes a call with a transcript of these words. Returns the SID of the call and the id of the transcript.
pub(crate) async fn transcribed(world: &World, text: &str) -> (String, String) {
    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let body = json!({"id": id, "status": "completed", "text": text, "words": spoken(text)}).to_string();
    // A step that is repeated polls again.
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
    (call, id)
}

async fn correct(world: &World, id: &str, correction: &Value) -> Answer {
    world.post_json(&format!("/transcript/{id}/corrections"), correction).await
}

/// Corrects and returns the id of the correction.
async fn corrected(world: &World, id: &str, correction: &Value) -> String {
    let answer = correct(world, id, correction).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["correction"].as_str().expect("a correction").to_owned()
}

async fn undo(world: &World, id: &str, correction: &str) -> Answer {
    world.post_json(&format!("/transcript/{id}/corrections/{correction}/undo"), &json!({})).await
}

async fn words(world: &World, id: &str, more: &str) -> Value {
    let answer = world.get(&format!("/transcript/{id}?format=words{more}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn texts(words: &Value) -> Vec<&str> {
    words["words"].as_array().expect("words").iter().map(|word| word["text"].as_str().expect("a text")).collect()
}

async fn list(world: &World, id: &str) -> Vec<Value> {
    let answer = world.get(&format!("/transcript/{id}/corrections")).await;
    answer.json()["corrections"].as_array().expect("corrections").clone()
}

/// The calls that a search finds.
async fn found(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&format!("/calls?q={query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["hits"].as_array().expect("hits").clone()
}

#[tokio::test]
async fn a_correction_is_in_every_format_in_lists_and_in_search_and_the_original_stays() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let original = world.get(&format!("/transcript/{id}")).await.text();
    let srt = world.get(&format!("/transcript/{id}?format=srt")).await.text();
    assert_eq!(words(&world, &id, "").await["version"], 0);
    let correction =
        corrected(&world, &id, &json!({"version": 0, "from": 2, "to": 7, "text": "metoprolol succinate"})).await;
    let now = words(&world, &id, "").await;
    assert_eq!((&now["version"], &now["id"]), (&json!(1), &json!(id)));
    assert_eq!(texts(&now)[..6], ["Please", "take", "metoprolol", "succinate", "twice", "a"]);
    let typed = json!({"text": "metoprolol", "start_ms": 1000, "end_ms": 2263, "confidence": null, "speaker": null,
        "channel": null, "corrected": true});
    assert_eq!(now["words"][2], typed);
    let kept = json!({"text": "twice", "start_ms": 3500, "end_ms": 3900, "confidence": 0.9, "speaker": null,
        "channel": null, "corrected": false});
    assert_eq!(now["words"][4], kept);

    let expected = "Please take metoprolol succinate twice a day. Ring Clerk Ridge tomorrow.";
    assert_eq!(text(&world, &id).await, format!("{expected}\n"));
    for format in ["srt", "vtt"] {
        let captions = world.get(&format!("/transcript/{id}?format={format}")).await.text();
        assert!(captions.contains("metoprolol\nsuccinate") && !captions.contains("pollen"), "{captions}");
    }
    let seen = world.call(&call).await;
    let mut transcripts = seen["transcripts"].as_array().expect("transcripts").iter();
    let transcript = transcripts.find(|transcript| transcript["id"] == id).expect("the transcript");
    assert_eq!((&transcript["text"], &transcript["version"]), (&json!(expected), &json!(1)));
    assert!(page(&world, &call).await.contains(">metoprolol</span>"));
    let row = world.get("/calls").await.json()["calls"][0]["words"].as_str().expect("words").to_owned();
    assert!(expected.starts_with(row.trim_end_matches('…').trim()), "{row}");
    let hits = found(&world, "metoprolol").await;
    assert_eq!((hits.len(), &hits[0]["at_ms"]), (1, &json!(1000)));
    assert_eq!(found(&world, "tomorrow").await[0]["at_ms"], 6500);
    assert_eq!(found(&world, "pollen").await, Vec::<Value>::new());

    assert_eq!(world.get(&format!("/transcript/{id}")).await.text(), original);
    assert_eq!(world.get(&format!("/transcript/{id}?format=srt&original=true")).await.text(), srt);
    let heard = words(&world, &id, "&original=true").await;
    assert_eq!((texts(&heard).join(" ").as_str(), &heard["version"]), (SAID, &json!(0)));

    let listed = list(&world, &id).await;
    assert_eq!(listed.len(), 1);
    for (name, value) in [
        ("id", json!(correction)),
        ("version", json!(1)),
        ("by", json!("this computer")),
        ("from", json!(2)),
        ("to", json!(7)),
        ("before", json!("metro pollen sucks in eight")),
        ("after", json!("metoprolol succinate")),
        ("undone_by", json!(null)),
    ] {
        assert_eq!(listed[0][name], value, "{name}");
    }
    assert_eq!(listed[0]["changes"][0]["confidence"], json!([0.9, 0.9, 0.9, 0.9, 0.9]));
}

#[tokio::test]
async fn undoing_is_a_correction_and_undoing_all_gives_what_was_heard() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    let heard = words(&world, &id, "").await;
    let first = corrected(&world, &id, &json!({"version": 0, "from": 11, "to": 13, "text": "Clara Ridge,"})).await;
    let list_of_two = json!([
        {"version": 1, "from": 0, "to": 1, "text": ""},
        {"version": 1, "from": 14, "to": 14, "text": "please, or on Monday."},
    ]);
    let both = corrected(&world, &id, &list_of_two).await;
    let third = corrected(&world, &id, &json!({"version": 2, "from": 10, "to": 11, "text": "Klara"})).await;
    assert!(text(&world, &id).await.ends_with("Ring Klara Ridge, tomorrow. please, or on Monday.\n"));
    // Its words have changed since.
    let answer = undo(&world, &id, &first).await;
    answer.problem(409, "changed");
    assert_eq!(answer.json()["words"][0]["text"], "Klara");

    let last = undo(&world, &id, &third).await.json();
    assert_eq!(last["version"], 4);
    undo(&world, &id, &third).await.problem(409, "already-undone");
    // Undoing an undo is to do it again.
    let redone = undo(&world, &id, last["correction"].as_str().expect("an id")).await.json();
    assert!(text(&world, &id).await.contains("Klara"));
    undo(&world, &id, redone["correction"].as_str().expect("an id")).await;
    for correction in [&both, &first] {
        assert_eq!(undo(&world, &id, correction).await.status, 200);
    }
    let mut now = words(&world, &id, "").await;
    assert_eq!(now["version"], 8);
    now["version"] = json!(0);
    assert_eq!(now, heard);
    let listed = list(&world, &id).await;
    // Both of its words were undone, each as a span.
    let by = listed[0]["undone_by"].as_str().expect("an id");
    assert_eq!(listed[9]["id"], format!("{by}-1"));
    assert_eq!(
        (listed[1]["id"].as_str(), listed[2]["id"].as_str()),
        (Some(&*format!("{both}-1")), Some(&*format!("{both}-2")))
    );
    undo(&world, &id, "nothing").await.problem(404, "no-such-correction");
    undo(&world, &id, &first).await.problem(409, "already-undone");
}

#[tokio::test]
async fn one_of_several_changes_can_be_undone() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "one too three for five").await;
    let correction =
        corrected(&world, &id, &json!({"version": 0, "from": 0, "to": 5, "text": "one two three four five"})).await;
    let changes = list(&world, &id).await[0]["changes"].clone();
    assert_eq!((&changes[0]["before"], &changes[1]["before"]), (&json!("too"), &json!("for")));
    let answer = undo(&world, &id, changes[0]["id"].as_str().expect("an id")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(text(&world, &id).await, "one too three four five\n");
    let listed = list(&world, &id).await;
    assert_eq!((&listed[0]["undone_by"], &listed[0]["changes"][1]["undone_by"]), (&json!(null), &json!(null)));
    assert_eq!(listed[0]["changes"][0]["undone_by"], answer.json()["correction"]);
    assert_eq!(undo(&world, &id, &correction).await.status, 200);
    assert_eq!(text(&world, &id).await, "one too three for five\n");
}

/// The entries of the page *Corrections*, without their tags.
async fn lines(world: &World, id: &str) -> Vec<String> {
    let page = world.get_with(&format!("/transcript/{id}/corrections"), &[HTML]).await.text();
    let entries = page.split("<li id=").skip(1).map(|entry| entry.split("</li>").next().unwrap_or_default());
    let text = |entry: &str| entry.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    entries.map(|entry| words(text(&format!("<{entry}")))).collect()
}

#[tokio::test]
async fn steps_to_the_right_word_are_one_line_of_the_page_and_are_undone_one_by_one() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "take metro now and then").await;
    let edit =
        |version: u32, from: usize, text: &str| json!({"version": version, "from": from, "to": from + 1, "text": text});
    corrected(&world, &id, &edit(0, 1, "metop")).await;
    corrected(&world, &id, &edit(1, 4, "when")).await;
    let last = corrected(&world, &id, &edit(2, 1, "metoprolol")).await;
    let seen = lines(&world, &id).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[0].contains(
            "0:00 metro metoprolol Correct all alike 2 steps 0:00 metop metoprolol Undo 0:00 metro metop Undo"
        ),
        "{seen:?}"
    );
    assert!(seen[1].contains("0:02 then when Correct all alike Undo"), "{seen:?}");
    let page = world.get_with(&format!("/transcript/{id}/corrections"), &[HTML]).await.text();
    assert!(page.contains(".wav#t=2.000\" aria-label=\"Play then when from 0:02\""), "{page}");

    assert_eq!(undo(&world, &id, &last).await.status, 200);
    assert_eq!(text(&world, &id).await, "take metop now and when\n");
    assert!(lines(&world, &id).await.iter().any(|line| line.contains("metop metoprolol taken back")));

    // Later, the same word is changed for another reason.
    world.after(Duration::from_secs(11 * 60)).await;
    corrected(&world, &id, &edit(4, 1, "metro")).await;
    let seen = lines(&world, &id).await;
    assert!(seen[0].contains("0:00 metop metro Undo"), "{seen:?}");
    assert!(seen.iter().all(|line| !line.contains("steps")), "{seen:?}");
}

#[tokio::test]
async fn edits_of_different_words_merge_and_those_of_the_same_are_told() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    corrected(&world, &id, &json!({"version": 0, "from": 2, "to": 7, "text": "metoprolol succinate"})).await;
    // At positions of the version before.
    let answer = correct(&world, &id, &json!({"version": 0, "from": 11, "to": 13, "text": "Clara Ridge"})).await;
    assert_eq!(answer.json()["version"], 2);
    let answer = correct(&world, &id, &json!({"version": 0, "from": 10, "to": 10, "text": "Then"})).await;
    assert_eq!(answer.json()["version"], 3);
    assert_eq!(
        text(&world, &id).await,
        "Please take metoprolol succinate twice a day. Then Ring Clara Ridge tomorrow.\n"
    );
    let answer = correct(&world, &id, &json!({"version": 0, "from": 3, "to": 4, "text": "pollen's"})).await;
    answer.problem(409, "changed");
    let now = answer.json();
    assert_eq!((&now["version"], texts(&now)), (&json!(3), vec!["metoprolol", "succinate"]));
    assert_eq!(words(&world, &id, "").await["version"], 3);
}

#[tokio::test]
async fn two_programs_on_one_store_lose_no_edit() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    let (_other, url) = world.another_app_with_url(&[]).await;
    let edit = |at: usize, url: String| {
        let path = format!("{url}/transcript/{id}/corrections");
        let body = json!({"version": 0, "from": at, "to": at + 1, "text": format!("w{at}")});
        async move { crate::support::client().post(path).json(&body).send().await.expect("an answer").status() }
    };
    let edits = (0..14).map(|at| edit(at, if at % 2 == 0 { world.base.clone() } else { url.clone() }));
    let answers = futures_util::future::join_all(edits).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let expected = (0..14).map(|at| format!("w{at}")).collect::<Vec<_>>().join(" ");
    assert_eq!(text(&world, &id).await, expected + "\n");
    assert_eq!(words(&world, &id, "").await["version"], 14);
}

#[tokio::test]
async fn the_same_request_sent_twice_is_carried_out_once() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    let (path, body) =
        (format!("/transcript/{id}/corrections"), json!({"version": 0, "from": 1, "to": 1, "text": "do"}));
    let headers = [("content-type", "application/json"), ("idempotency-key", "typed at noon")];
    let first = world.send(Method::POST, &path, &headers, &body.to_string()).await.json();
    let again = world.send(Method::POST, &path, &headers, &body.to_string()).await.json();
    assert_eq!((&first, &first["version"]), (&again, &json!(1)));
    assert!(text(&world, &id).await.starts_with("Please do take"));
}

#[tokio::test]
async fn speakers_and_paragraphs_are_corrected_without_the_words() {
    let world = World::new().await;
    let mut said_words = spoken("How are you? Fine. And you? Good.");
    for (at, word) in said_words.iter_mut().enumerate() {
        word["speaker"] = json!(if at < 3 { "A" } else { "B" });
    }
    let (_, id) = said(&world, &said_words).await;
    let paragraphs = |words: &Value| {
        let paragraphs = words["paragraphs"].as_array().expect("paragraphs").iter();
        paragraphs.map(|one| format!("{}-{} {}", one["from"], one["to"], one["speaker"])).collect::<Vec<_>>()
    };
    assert_eq!(paragraphs(&words(&world, &id, "").await), ["0-3 \"Speaker A\"", "3-7 \"Speaker B\""]);
    let from_here = json!({"version": 0, "from": 4, "to": 7, "speaker": "A", "of": "B"});
    corrected(&world, &id, &from_here).await;
    let now = words(&world, &id, "").await;
    assert_eq!(paragraphs(&now), ["0-3 \"Speaker A\"", "3-4 \"Speaker B\"", "4-7 \"Speaker A\""]);
    assert_eq!((&now["words"][5]["confidence"], &now["words"][5]["corrected"]), (&json!(0.9), &json!(false)));
    corrected(&world, &id, &json!({"version": 1, "from": 6, "to": 6, "break": true})).await;
    assert_eq!(paragraphs(&words(&world, &id, "").await)[2..], ["4-6 \"Speaker A\"", "6-7 \"Speaker A\""]);
    corrected(&world, &id, &json!({"version": 2, "from": 6, "to": 6, "break": false})).await;
    assert_eq!(paragraphs(&words(&world, &id, "").await)[2..], ["4-7 \"Speaker A\""]);
    corrected(&world, &id, &json!({"version": 3, "from": 6, "to": 7, "speaker": "C"})).await;
    assert_eq!(
        text(&world, &id).await,
        "Speaker A: How are you?\nSpeaker B: Fine.\nSpeaker A: And you?\nSpeaker C: Good.\n"
    );
    correct(&world, &id, &json!({"version": 4, "from": 6, "to": 7, "speaker": "nobody"}))
        .await
        .problem(400, "bad-request");
}

#[tokio::test]
async fn bad_corrections_are_refused_and_change_nothing() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    let long = "x".repeat(10_000);
    for bad in [
        json!({"version": 0, "from": 0, "to": 99, "text": "x"}),
        json!({"version": 0, "from": 3, "to": 2, "text": "x"}),
        json!({"version": 0, "from": -1, "to": 2, "text": "x"}),
        json!({"version": 1, "from": 0, "to": 1, "text": "x"}),
        json!({"version": -1, "from": 0, "to": 1, "text": "x"}),
        json!({"version": 0, "from": 0, "to": 1, "text": long}),
        json!({"version": 0, "from": 0, "to": 1, "text": "a\u{0}b"}),
        json!({"version": 0, "from": 0, "to": 1, "text": "a\u{202e}b"}),
        json!({"version": 0, "from": 0, "to": 1, "text": 7}),
        json!({"version": 0, "from": 0, "to": 1, "text": "x", "speed": 1}),
        json!({"version": 0, "from": 0, "to": 1}),
        json!({"from": 0, "to": 1, "text": "x"}),
        json!([]),
        json!([{"version": 0, "from": 0, "to": 2, "text": "x"}, {"version": 0, "from": 1, "to": 3, "text": "y"}]),
        json!([{"version": 0, "from": 0, "to": 2, "text": "x"}, {"version": 1, "from": 4, "to": 5, "text": "y"}]),
    ] {
        correct(&world, &id, &bad).await.problem(400, "bad-request");
    }
    let huge = json!({"version": 0, "from": 0, "to": 1, "text": "word ".repeat(500_000)});
    correct(&world, &id, &huge).await.problem(413, "too-large");
    let unchanged = correct(&world, &id, &json!({"version": 0, "from": 0, "to": 2, "text": " Please  take "})).await;
    assert_eq!(unchanged.json(), json!({"version": 0, "correction": null}));
    assert_eq!((text(&world, &id).await, list(&world, &id).await), (format!("{SAID}\n"), Vec::new()));
    // Markup is text.
    corrected(&world, &id, &json!({"version": 0, "from": 0, "to": 1, "text": "<b>Please</b>"})).await;
    assert!(text(&world, &id).await.starts_with("<b>Please</b> take"));
    let unknown = "9ea68fd3-f953-42c1-9742-976c447fb463";
    correct(&world, unknown, &json!({"version": 0, "from": 0, "to": 1, "text": "x"}))
        .await
        .problem(404, "no-such-transcript");
}

#[tokio::test]
async fn a_deleted_call_takes_its_corrections_with_it() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    corrected(&world, &id, &json!({"version": 0, "from": 2, "to": 7, "text": "metoprolol succinate"})).await;
    assert_eq!(world.store.number("SELECT count(*) FROM corrections").await, 1);
    let answer = world.post_json(&format!("/calls/{call}/delete"), &json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    correct(&world, &id, &json!({"version": 1, "from": 0, "to": 1, "text": "x"})).await.problem(410, "deleted");
    world.settle().await;
    assert_eq!(world.store.number("SELECT count(*) FROM corrections").await, 0);
    assert_eq!(found(&world, "metoprolol").await, Vec::<Value>::new());
    let answer = correct(&world, &id, &json!({"version": 1, "from": 0, "to": 1, "text": "x"})).await;
    assert!([404, 410].contains(&answer.status.as_u16()), "{}", answer.text());
}

#[tokio::test]
async fn a_form_corrects_a_stretch_and_leads_back() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, SAID).await;
    let path = format!("/transcript/{id}/corrections");
    let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = world.send(Method::POST, &path, &headers, "version=0&from=2&to=7&text=metoprolol+succinate").await;
    assert_eq!(answer.status, 303);
    // To the paragraph, which the page of the call has.
    let (address, part) = answer.header("location").split_once('#').expect("a part of the page");
    assert_eq!(address, format!("/transcript/{id}?format=html"));
    let answer = world.get_with(address, &[HTML]).await;
    assert_eq!(answer.header("location"), format!("/calls/{call}"));
    assert!(page(&world, &call).await.contains(&format!("id=\"{part}\" data-words=\"0-11\"")), "{part}");
    assert!(text(&world, &id).await.contains("metoprolol succinate"));

    // A paragraph that goes leads to the one before it.
    let split = json!({"version": 1, "from": 7, "to": 7, "break": true});
    corrected(&world, &id, &split).await;
    for (form, words) in [
        ("version=2&from=0&to=1&text=Do", "0-7"),
        ("version=3&from=7&to=11&text=Ring+Clara+tomorrow.", "7-10"),
        ("version=4&from=7&to=10&text=", "0-7"),
    ] {
        let answer = world.send(Method::POST, &path, &headers, form).await;
        let (_, part) = answer.header("location").split_once('#').expect("a part of the page");
        let seen = page(&world, &call).await;
        assert!(seen.contains(&format!("id=\"{part}\" data-words=\"{words}\"")), "{part} {seen}");
    }
}

#[tokio::test]
async fn a_second_transcript_stands_beside_a_corrected_one_and_gets_its_corrections_when_it_is_chosen() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, "Ring Clerk Ridge and take four metro today.").await;
    corrected(&world, &id, &json!({"version": 0, "from": 1, "to": 2, "text": "Clara"})).await;
    corrected(&world, &id, &json!({"version": 1, "from": 5, "to": 7, "text": "for metoprolol"})).await;
    world.after(Duration::from_secs(1)).await;
    world.assemblyai.hold();
    let recording = world.call(&call).await["recordings"][0]["sid"].clone();
    let request = json!({"recording_sid": recording, "keyterms": "metoprolol"});
    let second = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
    let said = "Ring Clerk Ridge and take for metoprolol today, please.";
    let body = json!({"id": second, "status": "completed", "text": said, "words": spoken(said)}).to_string();
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, &second, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
    // Search and lists still show the corrected one.
    assert_eq!(found(&world, "clara").await[0]["transcript_id"], json!(id));
    assert_eq!(found(&world, "please").await, Vec::<Value>::new());
    let row = world.get("/calls").await.json()["calls"][0]["words"].clone();
    assert!(row.as_str().expect("words").starts_with("Ring Clara"), "{row}");

    let compared = world.get(&format!("/transcript/{id}/compare/{second}")).await.json();
    assert_eq!((&compared["current"], &compared["same"]), (&json!(id), &json!(7)));
    let texts = |difference: &Value| (difference["text"].clone(), difference["other_text"].clone());
    let differences = compared["differences"].as_array().expect("differences").iter().map(texts).collect::<Vec<_>>();
    assert_eq!(differences, [(json!("Clara"), json!("Clerk")), (json!(""), json!("please."))]);
    let html = world.get_with(&format!("/transcript/{id}/compare/{second}"), &[("accept", "text/html")]).await.text();
    assert!(html.contains("<del>Clara</del> <ins>Clerk</ins>"), "{html}");
    let html = page(&world, &call).await;
    assert!(html.contains(&format!("/transcript/{id}/compare/{second}")), "{html}");

    let chosen = world.post_json(&format!("/transcript/{second}/current"), &json!({})).await;
    assert_eq!(chosen.json(), json!({"current": true, "carried_over": 1, "left": 1}));
    assert_eq!(text(&world, &second).await, "Ring Clara Ridge and take for metoprolol today, please.\n");
    assert_eq!(found(&world, "clara").await[0]["transcript_id"], json!(second));
    assert_eq!(found(&world, "please").await.len(), 1);
    assert_eq!(list(&world, &id).await.len(), 2);
    // And back.
    let chosen = world.post_json(&format!("/transcript/{id}/current"), &json!({})).await;
    assert_eq!(chosen.json()["current"], true);
    assert_eq!(found(&world, "please").await, Vec::<Value>::new());
    let (_, elsewhere) = transcribed(&world, "Nobody is here.").await;
    world.get(&format!("/transcript/{id}/compare/{elsewhere}")).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_form_that_meets_other_corrections_merges_or_comes_back_with_both_texts() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, SAID).await;
    let path = format!("/transcript/{id}/corrections");
    let post = async |fields: &[(&str, &str)]| {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        world.send(Method::POST, &path, &[("accept", "text/html"), FORM], &form).await
    };
    // The form has the whole paragraph; what counts are the words that differ.
    corrected(&world, &id, &json!({"version": 0, "from": 0, "to": 1, "text": "Kindly"})).await;
    let mine = SAID.replace("Clerk", "Clara");
    let old = [("version", "0"), ("from", "0"), ("to", "14")];
    let saved = post(&[&old[..], &[("text", &*mine)]].concat()).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    let both = mine.replace("Please", "Kindly");
    assert_eq!(text(&world, &id).await, format!("{both}\n"));

    let mine = SAID.replace("Clerk", "<Clark>");
    let met = post(&[&old[..], &[("text", &*mine)]].concat()).await;
    let page = met.text();
    assert_eq!(met.status, 409, "{page}");
    let shown = mine.replace('<', "&#60;").replace('>', "&#62;");
    assert!(page.contains(&format!(">{shown}</textarea>")), "what was typed: {page}");
    assert!(page.contains(&format!("<span dir=\"auto\">{both}</span>")), "what stands there: {page}");
    for field in ["name=\"version\" value=\"2\"", "name=\"from\" value=\"0\"", "name=\"to\" value=\"14\""] {
        assert!(page.contains(field), "{field} in {page}");
    }
    assert_eq!(text(&world, &id).await, format!("{both}\n"), "nothing has changed");
    let kept = post(&[("version", "2"), ("from", "0"), ("to", "14"), ("text", &mine)]).await;
    assert_eq!(kept.status, 303, "{}", kept.text());
    assert_eq!(text(&world, &id).await, format!("{mine}\n"));

    // What is refused comes back, too.
    let refused = post(&[("version", "3"), ("from", "0"), ("to", "14"), ("text", "a \u{202e} b")]).await;
    let page = refused.text();
    assert_eq!(refused.status, 400, "{page}");
    assert!(page.contains(">a \u{202e} b</textarea>") && page.contains("U+202E"), "{page}");
}
