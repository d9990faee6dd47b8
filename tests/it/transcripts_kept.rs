//! Stored transcripts: equal requests share one transcript, and a completed one is served from the store.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, fail_step};

/// Requests a transcript. Returns its id.
async fn requested(world: &World, request: &Value) -> String {
    let answer = world.post_json("/transcribe", request).await;
    assert_eq!(answer.status, 200, "{request}: {}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_completed_transcript_is_served_from_the_store() {
    let world = World::new().await;
    let (sid, recording) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let at_assemblyai = world.assemblyai.transcripts().remove(0);
    let before = world.vendor_requests();
    let kept = world.get(&format!("/transcript/{id}")).await;
    // AssemblyAI records the webhook's status after the program fetched the transcript.
    let without_webhook = |mut transcript: Value| {
        transcript.as_object_mut().expect("an object").remove("webhook_status_code");
        transcript
    };
    assert_eq!(without_webhook(kept.json()), without_webhook(at_assemblyai.clone()));
    let text = world.get(&format!("/transcript/{id}?wait=60&format=text")).await;
    assert_eq!(text.text().trim_end(), at_assemblyai["text"]);
    // The call's automatic transcript answers this request too.
    assert_eq!(requested(&world, &json!({"recording_sid": recording})).await, id);
    world.call(&sid).await;
    assert_eq!(world.vendor_requests(), before);
}

#[tokio::test]
async fn equal_requests_share_a_transcript_unless_a_new_one_is_requested() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    let request = json!({"recording_sid": recording, "punctuate": false, "speaker_labels": true, "keyterms": "a, b"});
    let same = json!({"keyterms": ["a", "b"], "speaker_labels": true, "recording_sid": recording, "punctuate": false});
    let first = requested(&world, &request).await;
    assert_eq!(requested(&world, &same).await, first);
    world.settle().await;
    assert_eq!(requested(&world, &same).await, first, "also once it is completed");
    // The second one is the call's automatic transcript.
    assert_eq!(world.transcript_requests().len(), 2);

    let mut again = request.clone();
    again["again"] = json!(true);
    let second = requested(&world, &again).await;
    assert_ne!(second, first);
    assert_eq!(world.transcript_requests().len(), 3);
    assert_eq!(requested(&world, &same).await, second, "from now on, the newer one is returned");
    assert_eq!(world.get(&format!("/transcript/{first}")).await.json()["id"], *first, "the older one is kept");
    assert_eq!(world.transcript_requests().len(), 3);
}

#[tokio::test]
async fn twenty_equal_concurrent_requests_are_submitted_once() {
    let world = World::new().await;
    // The sandbox has its audio. A transcript that fails is requested again by a request that sees the failure.
    let (_, recording) = world.recorded_call().await;
    let request = json!({"recording_sid": recording});
    let ids = join_all((0..20).map(|_| requested(&world, &request))).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn different_parameters_make_different_transcripts() {
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
        ids.push(requested(&world, &request).await);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn after_a_failure_an_equal_request_makes_a_new_transcript() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    world.settle().await;
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    let request = json!({"recording_sid": recording, "punctuate": false});
    let failed = requested(&world, &request).await;
    world.settle().await;
    assert_eq!(world.get(&format!("/transcript/{failed}")).await.json()["status"], "error");
    let id = requested(&world, &request).await;
    assert_ne!(id, failed);
    world.settle().await;
    assert_eq!(world.get(&format!("/transcript/{id}")).await.json()["status"], "completed");
    let kept = world.get(&format!("/transcript/{failed}")).await.json();
    assert_eq!(kept["error"], "Audio duration is too short.", "the first one's error is kept");
}

#[tokio::test]
async fn the_words_are_kept_with_their_times_and_speakers() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    let id = requested(&world, &json!({"recording_sid": recording, "speaker_labels": true})).await;
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
    let with_confidence = format!("SELECT count(*) {of_this} AND confidence > 0 AND confidence <= 1");
    assert_eq!(world.store.number(&with_confidence).await, spoken.len() as i64);
    assert_eq!(world.store.number(&format!("SELECT max(position) {of_this}")).await, spoken.len() as i64 - 1);
}

#[tokio::test]
async fn a_transcript_replaced_by_a_newer_one_is_not_retried() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    let (sid, recording) = world.recorded_call().await;
    world.settle().await;
    let again = json!({"recording_sid": recording, "again": true});
    let retry = format!("/calls/{sid}/retry");

    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    world.clock.advance(Duration::from_secs(1));
    requested(&world, &again).await;
    world.settle().await;
    assert_eq!(world.post_form(&retry, "").await.status, 200);
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 3, "only the newer one is retried");
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
async fn a_transcript_deleted_at_assemblyai_has_failed_and_takes_no_other_ones_place() {
    let world = World::new().await;
    let (sid, recording) = world.recorded_call().await;
    world.settle().await;
    let good = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let rows = world.get("/calls").await.json();

    world.assemblyai.hold();
    world.clock.advance(Duration::from_secs(1));
    let deleted = requested(&world, &json!({"recording_sid": recording, "again": true})).await;
    let stub = world.http.delete(format!("{}/v2/transcript/{deleted}", world.assemblyai.url()));
    let stub = stub.header("authorization", "sandbox-assemblyai-key").send().await.expect("an answer");
    assert_eq!(stub.status(), 200);
    let answer = world.get(&format!("/transcript/{deleted}?wait=1")).await;
    assert_eq!(answer.problem(410, "deleted"), "the transcript was deleted at AssemblyAI");
    world.assemblyai.release();
    world.settle().await;

    let of_call = world.call(&sid).await;
    assert_eq!(
        (&of_call["transcripts"][0]["state"], &of_call["transcripts"][0]["id"]),
        (&json!("completed"), &json!(good))
    );
    let second = &of_call["transcripts"][1];
    assert_eq!((&second["state"], &second["text"]), (&json!("failed"), &Value::Null));
    assert_eq!(second["reason"], "the transcript was deleted at AssemblyAI");
    assert_eq!(world.get("/calls").await.json()["calls"][0]["words"], rows["calls"][0]["words"]);
    assert_eq!(world.get("/calls?q=deleted").await.json()["hits"], json!([]));
    let hits = world.get("/calls?q=ahoy").await.json();
    assert_eq!(hits["hits"][0]["transcript_id"], *good);
    let before = world.vendor_requests();
    for format in ["json", "text", "srt", "vtt", "html"] {
        world.get(&format!("/transcript/{deleted}?format={format}")).await.problem(410, "deleted");
    }
    assert_eq!(world.vendor_requests(), before, "what was deleted is not asked for again");
    assert_eq!(world.get(&format!("/transcript/{good}")).await.status, 200);
}

#[tokio::test]
async fn a_transcript_that_is_no_strict_json_is_stored_and_passed_on_as_it_came() {
    let world = World::new().await;
    world.assemblyai.hold();
    let with = |id: &str, rest: &str| format!(r#"{{"id": "{id}", "status": "completed", {rest}}}"#);
    for (number, (rest, text, words)) in [
        (r#""text": "hi \ud83d", "words": [{"text": "hi"}, {"text": "\ude00"}]"#, "hi \u{fffd}", "hi \u{fffd}"),
        (r#""text": "hi", "confidence": NaN, "words": [{"text": "hi", "confidence": NaN, "end": 1e999}]"#, "hi", "hi"),
        (
            r#""text": "no", "words": [{"text": "no"}], "text": "hi", "words": [{"text": "no", "text": "hi"}]"#,
            "hi",
            "hi",
        ),
        ("\"text\": \"a\tb\", \"words\": [{\"text\": \"a\"}, 7, {\"text\": \"\\x\"}]", "a b", "a \u{fffd}x"),
    ]
    .into_iter()
    .enumerate()
    {
        for mark in ["", "\u{feff}"] {
            let audio = format!("https://example.com/{number}{}.wav", mark.len());
            let id = requested(&world, &json!({"audio_url": audio})).await;
            let body = mark.to_owned() + &with(&id, rest);
            fail_step(&world.assemblyai.control, &Method::GET, &id, &Fault::wrong_body(body.clone()));
            assert_eq!(world.get(&format!("/transcript/{id}?format=text")).await.text(), format!("{text}\n"), "{body}");
            let kept = world.get(&format!("/transcript/{id}")).await;
            assert_eq!((kept.status.as_u16(), kept.text()), (200, body), "the JSON is passed on as it came");
            assert_eq!(world.get(&format!("/transcript/{id}?format=srt")).await.status, 200);
            let of_this = format!("FROM transcripts WHERE transcript_id = '{id}'");
            assert_eq!(
                world.store.texts(&format!("SELECT state || ' ' || text {of_this}")).await,
                [format!("completed {text}")]
            );
            let stored = format!("SELECT word FROM words WHERE transcript = (SELECT id {of_this}) ORDER BY position");
            assert_eq!(world.store.texts(&stored).await.join(" "), words);
        }
    }
}

/// Requests a transcript, and lets AssemblyAI answer with this text. Returns its id.
async fn transcribed_as(world: &World, request: &Value, text: &str) -> String {
    world.assemblyai.hold();
    world.clock.advance(Duration::from_secs(1));
    let id = requested(world, request).await;
    let body = json!({"id": id, "status": "completed", "text": text, "words": []}).to_string();
    fail_step(&world.assemblyai.control, &Method::GET, &id, &Fault::wrong_body(body));
    assert_eq!(world.get(&format!("/transcript/{id}")).await.json()["text"], text);
    world.assemblyai.release();
    world.settle().await;
    id
}

/// Asserts that the call of this transcript is finished, and that list and search show this transcript.
async fn assert_counts(world: &World, call: &str, transcript: &str, after: &str) {
    let shown = world.call(call).await;
    assert_eq!((&shown["progress"], &shown["can_retry"]), (&json!("done"), &json!(false)), "{after}");
    let row = &world.get("/calls").await.json()["calls"][0];
    let words = row["words"].as_str().expect("words");
    assert!(row["progress"] == "done" && words.contains("Ahoy Street"), "{after}: {row}");
    let hits = world.get("/calls?q=ahoy").await.json();
    assert_eq!(hits["hits"][0]["transcript_id"], *transcript, "{after}");
    let page = world.get_with(&format!("/calls/{call}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains(r#"<strong class="state past">Done</strong>"#), "{after}: {page}");
    assert!(!page.contains("id=\"retry\""), "{after}");
}

#[tokio::test]
async fn another_transcript_that_is_empty_or_fails_takes_nothing_from_the_good_one() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let good = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    assert_counts(&world, &call, &good, "the first").await;

    for (number, text) in ["", " \n"].iter().enumerate() {
        let request = json!({"recording_sid": recording, "again": number == 0, "disfluencies": number == 1});
        transcribed_as(&world, &request, text).await;
        assert_counts(&world, &call, &good, "an empty one").await;
    }
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    world.clock.advance(Duration::from_secs(1));
    requested(&world, &json!({"recording_sid": recording, "punctuate": false})).await;
    world.settle().await;
    assert_counts(&world, &call, &good, "a failed one").await;

    let refused = json!({"recording_sid": recording, "speech_models": "nope"});
    assert_eq!(world.post_json("/transcribe", &refused).await.status, 400);
    world.settle().await;
    assert_counts(&world, &call, &good, "a refused one").await;
    world.post_form(&format!("/calls/{call}/retry"), "").await.problem(409, "nothing-to-retry");
    let states = world.call(&call).await["transcripts"]
        .as_array()
        .map(|all| all.iter().map(|one| one["state"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>());
    assert_eq!(states.expect("a list"), ["completed", "completed", "completed", "failed", "failed"]);

    let better = requested(&world, &json!({"recording_sid": recording, "again": true})).await;
    world.settle().await;
    assert_counts(&world, &call, &better, "a better one").await;
}

#[tokio::test]
async fn an_older_programs_index_of_an_empty_transcript_gives_way_to_the_good_one() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let good = world.call(&call).await["transcripts"][0]["id"].clone();
    // It has a text, but one without a word that could be indexed.
    transcribed_as(&world, &json!({"recording_sid": recording, "again": true}), "…").await;
    let found = async || world.get("/calls?q=ahoy").await.json()["hits"].clone();
    assert_eq!(found().await, json!([]));
    world.store.execute("UPDATE transcripts SET text = '' WHERE text = '…'").await.expect("an older program's text");
    world.store.execute("DELETE FROM _sqlx_migrations WHERE version = 14").await.expect("an older program's store");
    world.another_app().await.stop().await;
    assert_eq!(found().await[0]["transcript_id"], good);
}

#[tokio::test]
async fn a_deleted_transcript_that_an_older_program_stored_as_speech_gives_way_to_the_good_one() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let good = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let again = json!({"recording_sid": recording, "again": true});
    let stub = transcribed_as(&world, &again, "Deleted by user.").await;
    let json = r#"{"id": "1", "status": "completed", "text": "Deleted by user.", "words": null, "audio_url": "http://deleted_by_user"}"#;
    let bytes = if world.store.is_postgres() { format!("'{json}'::bytea") } else { format!("CAST('{json}' AS BLOB)") };
    let older = format!("UPDATE transcripts SET json = {bytes} WHERE text = 'Deleted by user.'");
    world.store.execute(&older).await.expect("an older program's answer");
    let hits = async |query: &str| world.get(&format!("/calls?q={query}")).await.json()["hits"].clone();
    assert_eq!((hits("deleted").await[0]["transcript_id"].clone(), hits("ahoy").await), (json!(stub), json!([])));
    let index = if world.store.is_postgres() {
        "ALTER TABLE spoken_text RENAME COLUMN said TO words".to_owned()
    } else {
        let facts = include_str!("../../src/store/migrations/sqlite/0006_facts.sql");
        let table = &facts[facts.find("CREATE VIRTUAL TABLE").expect("a table")..];
        let terms = "SELECT place, ' deleted by user ' || facts FROM spoken";
        format!("DROP TABLE spoken_text; {table} INSERT INTO spoken_text (rowid, words) {terms}")
    };
    let older = format!("{index}; DELETE FROM _sqlx_migrations WHERE description IN ('deleted stubs', 'folding')");
    world.store.execute(&older).await.expect("an older program's store");
    world.another_app().await.stop().await;

    assert_eq!(hits("deleted").await, json!([]));
    assert_counts(&world, &call, &good, "a deleted one").await;
    world.get(&format!("/transcript/{stub}")).await.problem(410, "deleted");
    let failed = world.call(&call).await["transcripts"][1].clone();
    assert_eq!((&failed["state"], &failed["text"]), (&json!("failed"), &Value::Null), "{failed}");
    assert_eq!(failed["reason"], "the transcript was deleted at AssemblyAI");
}

#[tokio::test]
async fn a_silent_call_has_an_empty_transcript_even_if_its_language_was_to_be_found_out() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("language_detection cannot be performed on files with no spoken audio.");
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["can_retry"]), (&json!("done"), &json!(false)));
    let transcript = &call["transcripts"][0];
    assert_eq!((&transcript["state"], &transcript["text"]), (&json!("completed"), &json!("")));
    assert_eq!(transcript["reason"], Value::Null);
    let id = transcript["id"].as_str().expect("an id");
    let text = world.get(&format!("/transcript/{id}?format=text")).await;
    assert_eq!((text.status.as_u16(), text.text().trim()), (200, ""));
    assert_eq!(world.get(&format!("/transcript/{id}?format=srt")).await.status, 200);
    let json = world.get(&format!("/transcript/{id}")).await.json();
    assert_eq!(json["status"], "error", "the JSON is passed on as it came");
    for page in ["/calls".to_owned(), format!("/calls/{sid}")] {
        let page = world.get_with(&page, &[("accept", "text/html")]).await.text();
        assert!(page.contains("Nothing was said."), "{page}");
    }
    world.post_form(&format!("/calls/{sid}/retry"), "").await.problem(409, "nothing-to-retry");
    assert_eq!(world.transcript_requests().len(), 1);

    world.assemblyai.fail_next_transcript("Language_detection cannot be performed on files with no spoken audio");
    let id = requested(&world, &json!({"audio_url": "https://example.com/a.wav"})).await;
    world.settle().await;
    let page = world.page_of_upload(&id).await;
    assert!(page.contains("Nothing was said.") && page.contains(">Done<"), "{page}");
}

#[tokio::test]
async fn an_error_without_words_is_said_in_ours() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript(" ");
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let transcript = &world.call(&sid).await["transcripts"][0];
    assert_eq!(
        (&transcript["state"], &transcript["reason"]),
        (&json!("failed"), &json!("AssemblyAI: no reason given"))
    );
    let id = transcript["id"].as_str().expect("an id");
    let detail = world.get(&format!("/transcript/{id}?format=text")).await.problem(422, "transcript-failed");
    assert_eq!(detail, format!("transcript {id} failed: AssemblyAI does not say why"));
}

#[tokio::test]
async fn words_are_stored_without_nul_characters() {
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
    assert_eq!(world.get(&format!("/transcript/{id}")).await.text(), body, "the JSON is kept unchanged");
}
