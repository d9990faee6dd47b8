//! Search in transcripts: by words, phrases and prefixes, filtered by the call's state, number and time; each hit has the
//! moment at which it was said.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio::{ACCOUNT_SID, PHONE_NUMBER, SeededRecording, Stage};
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::{Answer, World, callbacks, steps_repeat};

/// Duration of each word, in milliseconds.
pub(crate) const WORD_MS: usize = 400;

/// AssemblyAI's JSON for the words of a text, with times.
fn words(text: &str) -> Vec<Value> {
    let word = |(number, word): (usize, &str)| {
        let start = number * WORD_MS;
        json!({"text": word, "start": start, "end": start + WORD_MS, "confidence": 0.9, "speaker": null})
    };
    text.split_whitespace().enumerate().map(word).collect()
}

/// Makes AssemblyAI complete this transcript with this text and these words.
async fn finish(world: &World, id: &str, text: &str, words: &[Value]) {
    let body = json!({"id": id, "status": "completed", "text": text, "words": words}).to_string();
    world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body));
    assert_eq!(world.get(&format!("/transcript/{id}")).await.status, 200);
}

/// Makes a call to this number, a second after the previous one, with this transcript. Returns its call SID and recording
/// SID.
pub(crate) async fn said_to(world: &World, number: &str, text: &str) -> (String, String) {
    world.clock.advance(Duration::from_secs(1));
    world.assemblyai.hold();
    let sid = world.dial(number).await;
    world.settle().await;
    // Where steps repeat, the response is lost; the job looks for the transcript for a minute, then submits again.
    for _ in 0..if steps_repeat() { 4 } else { 0 } {
        world.after(Duration::from_secs(60)).await;
    }
    let call = world.call(&sid).await;
    let id = call["transcripts"][0]["id"].as_str().expect("an id");
    finish(world, id, text, &words(text)).await;
    (sid, call["recordings"][0]["sid"].as_str().expect("a recording").to_owned())
}

async fn said(world: &World, text: &str) -> String {
    said_to(world, "14155551234", text).await.0
}

/// `/calls` with these parameters.
async fn ask(world: &World, parameters: &[(&str, &str)]) -> Answer {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    world.get(&format!("/calls?{query}")).await
}

/// The hits, newest first.
async fn hits(world: &World, q: &str) -> Vec<Value> {
    let answer = ask(world, &[("q", q)]).await;
    assert_eq!(answer.status, 200, "{q}: {}", answer.text());
    answer.json()["hits"].as_array().expect("hits").clone()
}

fn sids(calls: &[Value]) -> Vec<&str> {
    calls.iter().map(|call| call["sid"].as_str().expect("a SID")).collect()
}

/// The SIDs of the calls with hits, newest first.
async fn found(world: &World, q: &str) -> Vec<String> {
    hits(world, q).await.iter().map(|hit| hit["call"]["sid"].as_str().expect("a SID").to_owned()).collect()
}

/// The snippet, with each hit in brackets.
fn snippet(hit: &Value) -> String {
    let piece = |piece: &Value| {
        let text = piece["text"].as_str().expect("a text");
        if piece["hit"] == true { format!("[{text}]") } else { text.to_owned() }
    };
    hit["snippet"].as_array().expect("pieces").iter().map(piece).collect()
}

#[tokio::test]
async fn all_words_must_have_been_said_and_the_newest_call_is_first() {
    let world = World::new().await;
    let contract = said(&world, "We sign the contract on Monday. The contract is ready.").await;
    let monday = said(&world, "See you on MONDAY, then.").await;
    assert_eq!(found(&world, "monday").await, [monday.clone(), contract.clone()]);
    assert_eq!(found(&world, "Contract monday").await, [contract.as_str()]);
    assert_eq!(found(&world, "contract tuesday").await, [""; 0]);
    assert_eq!(found(&world, "cont").await, [""; 0], "part of a word does not match");
    let hits = hits(&world, "contract").await;
    assert_eq!(snippet(&hits[0]), "We sign the [contract] on Monday. The [contract] is ready.");
    assert_eq!(hits.len(), 1, "each call is found once, even if the word was said twice");
    // An empty search lists all calls.
    assert_eq!(sids(world.get("/calls?q=").await.json()["calls"].as_array().expect("calls")), [monday, contract]);
}

#[tokio::test]
async fn a_phrase_matches_its_words_in_order_and_a_star_matches_the_rest_of_a_word() {
    let world = World::new().await;
    let one = said(&world, "I don't think that the new contract is ready.").await;
    let other = said(&world, "The contract is new; contractors think so.").await;
    for (q, expected) in [
        ("\"new contract\"", vec![&one]),
        ("\"contract new\"", vec![]),
        ("\"contract is\"", vec![&other, &one]),
        ("contr*", vec![&other, &one]),
        ("contracto*", vec![&other]),
        ("c*", vec![&other, &one]),
        ("\"new contr\"*", vec![&other, &one]),
        ("\"the new contr\"*", vec![&one]),
        ("don't", vec![&one]),
        ("\"is ready\" think", vec![&one]),
        ("\"is ready\" \"think so\"", vec![]),
        ("“the contract” contractors", vec![&other]),
    ] {
        assert_eq!(found(&world, q).await.iter().collect::<Vec<_>>(), expected, "{q}");
    }
    assert_eq!(
        snippet(&hits(&world, "\"new contract\" rea*").await[0]),
        "I don't think that the [new contract] is [ready]."
    );
}

#[tokio::test]
async fn a_phrase_is_found_even_if_its_words_were_said_many_times_before() {
    let world = World::new().await;
    let sid = said(&world, &format!("{}on the phone at last", "on and the, ".repeat(6_000))).await;
    let found = hits(&world, "\"on the phone\"").await;
    assert_eq!(found[0]["call"]["sid"], *sid);
    assert_eq!(found[0]["at_ms"], 18_000 * WORD_MS);
}

#[tokio::test]
async fn words_match_with_and_without_accents_and_in_other_scripts() {
    let world = World::new().await;
    let sid = said(&world, "La reunión en el CAFÉ: niño, Ångström, cafe\u{301}, Привет Ёлка, 契約を更新 नमस्ते").await;
    for q in [
        "reunion",
        "REUNIÓN",
        "café",
        "cafe",
        "nino",
        "ANGSTROM",
        "привет",
        "елка",
        "ёл*",
        "契約",
        "更新",
        "नमस्ते",
        "नम*",
    ] {
        assert_eq!(found(&world, q).await, [sid.as_str()], "{q}");
    }
    for q in ["約契", "नमस्", "reuni"] {
        assert_eq!(found(&world, q).await, [""; 0], "{q}");
    }
    assert!(snippet(&hits(&world, "cafe").await[0]).contains("[CAFÉ]: niño, Ångström, [cafe\u{301}],"));
}

/// Pairs of texts, each of which finds the other. In quotes, because a search for two words is one for each.
const SAME: [(&str, &str); 34] = [
    ("Straße", "STRASSE"),
    ("STRAẞE", "strasse"),
    ("ΟΔΟΣ", "οδός"),
    ("Łódź", "LODZ"),
    ("Sørensen", "sorensen"),
    ("Đorđević", "dordevic"),
    ("ışık", "ISIK"),
    ("İzmir", "izmir"),
    ("Għawdex", "ghawdex"),
    ("Ægir Þór Guðnason", "aegir thor gudnason"),
    ("un œuf", "UN OEUF"),
    ("Nguyễn Đình", "nguyen dinh"),
    ("Nguye\u{302}\u{303}n", "Nguyễn"),
    ("Aliyev Ələkbər", "aliyev elekber"),
    ("ﬁnal oﬃce", "FINAL OFFICE"),
    ("Ｒｏｏｍ ２４", "room 24"),
    ("Пётр", "ПЕТР"),
    ("don't worry", "dont worry"),
    ("don’t", "donʼt"),
    ("I don't know what you mean", "i dont know what you mean"),
    ("O'Brien", "OBrien"),
    ("Hawaiʻi", "Hawai'i"),
    ("Ka\u{2bb}ahumanu", "kaahumanu"),
    ("rock'n'roll", "rocknroll"),
    ("Qurʾān", "quran"),
    ("col·lega", "collega"),
    ("con\u{ad}tract", "contract"),
    ("con\u{200b}tract", "contract"),
    ("con\u{2060}tract", "contract"),
    ("con\u{feff}tract", "con\u{200d}tract"),
    ("مُحَمَّد", "محـمد"),
    ("أحمد", "احمد"),
    ("שָׁלוֹם", "שלום"),
    ("می\u{200c}خواهم", "میخواهم"),
];

#[tokio::test]
async fn texts_that_a_reader_takes_for_the_same_find_each_other() {
    let world = World::new().await;
    let (ones, others): (Vec<&str>, Vec<&str>) = SAME.into_iter().unzip();
    let one = said(&world, &ones.join(". ")).await;
    let other = said(&world, &others.join(". ")).await;
    for (text, same) in SAME {
        for q in [text, same] {
            let q = format!("\"{q}\"");
            let hits = hits(&world, &q).await;
            let found: Vec<_> = hits.iter().map(|hit| hit["call"]["sid"].as_str().expect("a SID")).collect();
            assert_eq!(found, [other.as_str(), one.as_str()], "{q}");
            for (hit, said) in hits.iter().zip([same, text]) {
                assert!(snippet(hit).contains(&format!("[{said}]")), "{said} in {}", snippet(hit));
            }
        }
    }
}

#[tokio::test]
async fn texts_with_other_letters_do_not_find_each_other() {
    let world = World::new().await;
    for (text, other) in [
        ("की", "कि"),
        ("किताब", "कताब"),
        ("क़लम", "कलम"),
        ("かき", "がき"),
        ("ねこ", "ネコ"),
        ("はは", "ぱぱ"),
        ("한국", "하국"),
        ("ก่อน", "กอน"),
        ("سئل", "سيل"),
        ("Müller", "Mueller"),
        ("dogs' end", "dogsend"),
        ("two-part", "twopart"),
    ] {
        let sid = said(&world, text).await;
        assert_eq!(found(&world, &format!("\"{text}\"")).await, [sid], "{text}");
        assert_eq!(found(&world, &format!("\"{other}\"")).await, [""; 0], "{text} and {other}");
    }
}

#[tokio::test]
async fn a_part_of_a_word_with_an_apostrophe_is_found_by_itself() {
    let world = World::new().await;
    let sid = said(&world, "On va à l'école maternelle, dit Anna O'Brien. Talk to Anna's friend.").await;
    for (q, expected) in [
        ("ecole", "l'[école]"),
        ("l'école", "à [l'école] maternelle"),
        ("\"école maternelle\"", "l'[école maternelle],"),
        ("\"école maternelle dit anna\"", "l'[école maternelle, dit Anna] O"),
        ("ecol*", "l'[école]"),
        ("brien", "O'[Brien]."),
        ("\"anna obrien\"", "[Anna O'Brien]."),
        ("\"talk to anna\"", "[Talk to Anna]'s friend"),
        ("annas", "to [Anna's] friend"),
    ] {
        let hits = hits(&world, q).await;
        assert_eq!(hits.len(), 1, "{q}");
        assert!(snippet(&hits[0]).contains(expected), "{q}: {}", snippet(&hits[0]));
    }
    for q in ["\"anna friend\"", "\"l maternelle\"", "\"brien talk to annas friend\""] {
        assert_eq!(found(&world, q).await, [""; 0], "{q}");
    }
    // The words that the call's page marks are the same.
    let page = world.get_with(&format!("/calls/{sid}?q=ECOLE"), &[("accept", "text/html")]).await.text();
    assert_eq!(page.matches("class=\"found first\"").count(), 1, "{page}");
}

#[tokio::test]
async fn a_hit_has_the_moment_at_which_it_was_said() {
    let world = World::new().await;
    let text = format!("{}and now the price: twelve dollars. {}", "well ".repeat(40), "bye ".repeat(40));
    let (sid, recording) = said_to(&world, "14155551234", &text).await;
    let hit = &hits(&world, "price \"twelve dollars\"").await[0];
    assert_eq!(hit["at_ms"], 43 * WORD_MS);
    assert_eq!(hit["recording_sid"], *recording);
    assert_eq!(hit["transcript_id"], world.call(&sid).await["transcripts"][0]["id"]);
    assert_eq!(hit["audio"], format!("{}/recordings/{recording}.wav#t=17.200", world.base));
    let around = snippet(hit);
    assert!(around.starts_with("… well well") && around.ends_with("bye bye …"), "{around}");
    assert!(around.contains("and now the [price]: [twelve dollars]."), "{around}");
}

#[tokio::test]
async fn where_words_and_text_differ_the_moment_is_that_of_the_word() {
    let world = World::new().await;
    let sid = said(&world, "one").await;
    let recording = world.call(&sid).await["recordings"][0]["sid"].clone();
    for (text, spoken, moment) in [
        ("A: yes. B: it is ready.", "yes. it is ready.", json!(3 * WORD_MS)),
        ("it is ready.", "", json!(null)),
        ("it is ready.", "something else entirely", json!(null)),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let request = json!({"recording_sid": recording, "again": true});
        let id = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
        finish(&world, &id, text, &words(spoken)).await;
        let hits = hits(&world, "ready").await;
        assert_eq!((hits.len(), &hits[0]["at_ms"]), (1, &moment), "{text}");
    }
}

#[tokio::test]
async fn only_the_newest_completed_transcript_of_a_recording_is_searched() {
    let world = World::new().await;
    let (sid, recording) = said_to(&world, "14155551234", "the first version").await;
    world.clock.advance(Duration::from_secs(1));
    let again = json!({"recording_sid": recording, "again": true});
    let second = world.post_json("/transcribe", &again).await.json()["id"].as_str().expect("an id").to_owned();
    world.clock.advance(Duration::from_secs(1));
    let third = world.post_json("/transcribe", &again).await.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(found(&world, "version").await, [sid.as_str()], "the first one, until another is completed");
    finish(&world, &third, "the third version", &[]).await;
    assert_eq!(snippet(&hits(&world, "version").await[0]), "the third [version]");
    finish(&world, &second, "the second version", &[]).await;
    let all = hits(&world, "version").await;
    assert_eq!(
        all.iter().map(snippet).collect::<Vec<_>>(),
        ["the third [version]"],
        "the second was completed last, but requested earlier"
    );
    assert_eq!(found(&world, "first").await, [""; 0]);
}

#[tokio::test]
async fn a_deleted_call_is_not_found() {
    let world = World::new().await;
    let kept = said(&world, "delete nothing").await;
    let sid = said(&world, "delete everything").await;
    world.settle().await;
    // The request to delete is enough; deletion at the vendors may take longer.
    world.twilio.control.fail_next(Method::DELETE, "/Recordings/", Fault::Refuse { status: 503, retry_after: None });
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    assert_eq!(world.call(&sid).await["progress"], "deleting");
    for _ in 0..2 {
        assert_eq!(found(&world, "delete").await, [kept.as_str()]);
        assert_eq!(found(&world, "everything").await, [""; 0]);
        assert_eq!(world.store.number("SELECT count(*) FROM spoken_text").await, 1, "the index has only the kept call");
        world.after(Duration::from_secs(3600)).await;
    }
    world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
}

#[tokio::test]
async fn a_transcript_without_a_call_is_found_only_by_its_words() {
    let world = World::new().await;
    world.assemblyai.hold();
    let request = json!({"audio_url": "https://example.com/a.wav"});
    let id = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
    finish(&world, &id, "a podcast", &words("a podcast")).await;
    let hits = hits(&world, "podcast").await;
    assert_eq!((&hits[0]["call"], &hits[0]["audio"]), (&json!(null), &json!(null)));
    assert_eq!((&hits[0]["transcript_id"], &hits[0]["at_ms"]), (&json!(id), &json!(WORD_MS)));
    let page = world.get_with("/calls?q=podcast", &[("accept", "text/html")]).await.text();
    assert!(page.contains("<a class=\"parties\" href=\"/items/") && page.contains("<bdi>a.wav</bdi>"), "{page}");
    let of_a_call = ask(&world, &[("q", "podcast"), ("state", "completed")]).await;
    assert_eq!(of_a_call.json()["hits"], json!([]));
}

#[tokio::test]
async fn calls_are_found_by_state_number_and_time() {
    let world = World::new().await;
    let (one, _) = said_to(&world, "14155551234", "hello there").await;
    world.clock.advance(Duration::from_secs(3 * 24 * 3600));
    let (two, _) = said_to(&world, "14155559876", "hello you").await;
    world.clock.advance(Duration::from_secs(1));
    world.twilio.hold(Stage::Ringing);
    let up = world.dial("14155551234").await;
    let at = |call: Value| call["created_at"].as_str().expect("a time").to_owned();
    let (of_one, of_two) = (at(world.call(&one).await), at(world.call(&two).await));
    let (day_one, day_two) = (&of_one[..10], &of_two[..10]);
    for (parameters, expected) in [
        (vec![("state", "completed")], vec![&two, &one]),
        (vec![("state", "no-answer")], vec![]),
        (vec![("number", "+14155551234")], vec![&up, &one]),
        (vec![("number", "555-9876")], vec![&two]),
        (vec![("number", "+5559876")], vec![]),
        (vec![("number", "0006")], vec![&up, &two, &one]),
        (vec![("number", "6")], vec![&up, &two, &one]),
        (vec![("number", "76")], vec![&two]),
        (vec![("number", "86")], vec![]),
        (vec![("number", "59876")], vec![&two]),
        (vec![("number", "1 415 555 9876")], vec![&two]),
        (vec![("number", "01 415 555 9876")], vec![]),
        (vec![("number", "555 0006")], vec![&up, &two, &one]),
        (vec![("number", "415 555 0006")], vec![]),
        (vec![("number", "+14155550006")], vec![]),
        (vec![("number", PHONE_NUMBER)], vec![&up, &two, &one]),
        (vec![("number", "00014155559876")], vec![]),
        (vec![("number", "9876"), ("state", "completed")], vec![&two]),
        (vec![("number", "9876"), ("state", "busy")], vec![]),
        (vec![("state", "in-progress")], vec![]),
        (vec![("number", "sip:%")], vec![]),
        (vec![("since", day_two)], vec![&up, &two]),
        (vec![("until", day_one)], vec![&one]),
        (vec![("until", &of_one)], vec![&one]),
        (vec![("since", &of_one), ("until", &of_two)], vec![&two, &one]),
        (vec![("state", "completed"), ("number", "1234"), ("until", day_two)], vec![&one]),
        (vec![("sort", ""), ("limit", " "), ("after", "")], vec![&up, &two, &one]),
    ] {
        let answer = ask(&world, &parameters).await.json();
        let calls = answer["calls"].as_array().expect("calls");
        assert_eq!(sids(calls), expected, "{parameters:?}");
        // A search with the same filters returns the same calls, except the one without a transcript.
        let found = ask(&world, &[&[("q", "hello")], &*parameters].concat()).await.json();
        let found =
            found["hits"].as_array().expect("hits").iter().map(|hit| hit["call"]["sid"].as_str().expect("a SID"));
        let spoken: Vec<_> = expected.into_iter().filter(|sid| **sid != up).collect();
        assert_eq!(found.collect::<Vec<_>>(), spoken, "{parameters:?}");
    }
    for (name, value) in
        [("state", "gone"), ("since", "yesterday"), ("until", "2026-13-01"), ("cursor", "x"), ("since", "2026-11-23T")]
    {
        for q in ["", "hello"] {
            let detail = ask(&world, &[("q", q), (name, value)]).await.problem(400, "bad-request");
            assert!(detail.starts_with(&format!("{name}: expected")), "{detail}");
        }
    }
}

/// Inserts calls that began at these times, from numbers that are these times.
async fn calls_at(world: &World, times: &[&str]) {
    for (n, time) in times.iter().enumerate() {
        let at = time.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        let insert = format!(
            "INSERT INTO calls (id, direction, from_number, keyterms, state, rank, holds_number, created_at, updated_at)
             VALUES ('{n:032x}', 'inbound', '{time}', '[]', 'busy', 6, 0, {at}, {at})"
        );
        world.store.execute(&insert).await.expect("a row");
    }
}

#[tokio::test]
async fn a_day_is_in_utc_unless_its_moments_have_an_offset() {
    let world = World::new().await;
    // In Los Angeles, clocks are set back on November 1, 2026 at 9:00 UTC: that day begins at 7:00 UTC and has 25 hours.
    let times =
        ["2026-11-01T06:59:59.999Z", "2026-11-01T07:00:00Z", "2026-11-02T07:59:59.999Z", "2026-11-02T08:00:00Z"];
    calls_at(&world, &times).await;
    let [before, first, last, after] = times;
    for (since, until, expected) in [
        ("2026-11-01", "2026-11-01", vec![first, before]),
        ("2026-11-01T00:00:00-07:00", "2026-11-01T23:59:59.999-08:00", vec![last, first]),
        ("2026-11-01T00:00-07:00", "2026-11-30", vec![after, last, first]),
        // The `+` of an offset that was not written as %2B.
        ("2026-11-01T16:00:00 09:00", "2026-11-02T16:59:59.999 09:00", vec![last, first]),
        ("2026-11-01 07:00:00Z", "2026-11-02 07:59:59.999Z", vec![last, first]),
    ] {
        let answer = ask(&world, &[("since", since), ("until", until)]).await.json();
        let found: Vec<&str> =
            answer["calls"].as_array().expect("calls").iter().filter_map(|call| call["from"].as_str()).collect();
        assert_eq!(found, expected, "{since} {until}");
    }
}

#[tokio::test]
async fn a_page_shows_the_moments_that_its_address_names_and_keeps_them_in_its_form() {
    let world = World::new().await;
    let page = async |query: &str| world.get_with(&format!("/calls?{query}"), &[("accept", "text/html")]).await.text();
    let shown = page("since=2026-11-28T00:00:00.000-08:00&until=2026-11-28T23:59:59.999-08:00").await;
    for part in [
        "name=\"since\" type=\"date\" value=\"2026-11-28\" data-moment=\"2026-11-28T00:00:00.000-08:00\"",
        "name=\"until\" type=\"date\" value=\"2026-11-28\" data-moment=\"2026-11-28T23:59:59.999-08:00\"",
        "from <time datetime=\"2026-11-28T08:00:00Z\">2026-11-28 08:00:00 UTC</time>",
        "until <time datetime=\"2026-11-29T07:59:59Z\">2026-11-29 07:59:59 UTC</time>",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let shown = page("until=2026-11-28&q=order").await;
    let until = "Calls until <time datetime=\"2026-11-28T23:59:59Z\">2026-11-28 23:59:59 UTC</time>.";
    assert!(shown.contains(until), "{shown}");
    assert!(!page("since=&until=").await.contains("class=\"hint\">Calls"));
}

/// Adds a recording with this transcript to a call that may still be up. Returns the recording SID.
async fn add_transcribed_recording(world: &World, call: &str, text: &str) -> String {
    let recording = SeededRecording { call_sid: call.to_owned(), ..SeededRecording::default() };
    let recording = world.twilio.add_recording(recording);
    let request = json!({"recording_sid": recording});
    let id = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
    finish(world, &id, text, &words(text)).await;
    recording
}

/// Whether a search with this filter has hits. Asserts that the list of calls with this filter has as many rows.
async fn is_among(world: &World, q: &str, name: &str, value: &str) -> bool {
    let hits = ask(world, &[("q", q), (name, value)]).await.json()["hits"].as_array().expect("hits").len();
    let calls = ask(world, &[(name, value)]).await.json()["calls"].as_array().expect("calls").len();
    assert_eq!(hits, calls, "{name}={value}");
    hits > 0
}

#[tokio::test]
async fn a_call_that_continues_after_its_transcript_is_found_by_its_current_state() {
    let world = World::new().await;
    world.assemblyai.hold();
    world.twilio.hold(Stage::InProgress);
    let sid = world.dial("14155551234").await;
    let rings = [("AccountSid", ACCOUNT_SID), ("CallSid", &*sid), ("CallStatus", "ringing")];
    assert_eq!(world.callback("/hooks/twilio/call", &rings).await.status, 204);
    add_transcribed_recording(&world, &sid, "before the end").await;
    for (before, after) in [("ringing", "in-progress"), ("in-progress", "completed")] {
        assert!(is_among(&world, "\"the end\"", "state", before).await, "{before}");
        let update = [("AccountSid", ACCOUNT_SID), ("CallSid", &sid), ("CallStatus", after)];
        assert_eq!(world.callback("/hooks/twilio/call", &update).await.status, 204);
        assert!(!is_among(&world, "end", "state", before).await, "no longer {before}");
        assert!(is_among(&world, "\"the end\"", "state", after).await, "{after}");
    }
    assert!(is_among(&world, "before", "number", "1234").await);
    assert_eq!(hits(&world, "before end").await.len(), 1);
    assert_eq!(world.store.number("SELECT count(*) FROM spoken_text").await, 1);
}

#[tokio::test]
async fn a_calls_numbers_may_arrive_after_its_transcript() {
    let world = World::new().await;
    world.assemblyai.hold();
    // Twilio does not tell about this call.
    let call = format!("CA{}", "7".repeat(32));
    add_transcribed_recording(&world, &call, "who is there").await;
    let address = "sip:alice.of.the.garden@example.com";
    assert!(!is_among(&world, "who", "number", address).await && !is_among(&world, "who", "number", "98").await);
    let update = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", &call),
        ("CallStatus", "queued"),
        ("Direction", "inbound"),
        ("From", address),
        ("To", "+14155559876"),
    ];
    assert_eq!(world.callback("/hooks/twilio/call", &update).await.status, 204);
    for (number, is_found) in [
        (address, true),
        ("sip:bob.of.the.garden@example.com", false),
        ("garden@example.com", false),
        ("+14155559876", true),
        ("14155559876", true),
        ("9876", true),
        ("6", true),
        ("1234", false),
    ] {
        assert_eq!(is_among(&world, "who", "number", number).await, is_found, "{number}");
    }
}

#[tokio::test]
async fn a_recordings_call_may_become_known_after_its_transcript() {
    let world = World::new().await;
    world.assemblyai.hold();
    let recording = add_transcribed_recording(&world, "", "whose call").await;
    assert_eq!(hits(&world, "whose").await[0]["call"], json!(null));
    assert!(!is_among(&world, "whose", "state", "queued").await);
    let update = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", callbacks::CALL),
        ("RecordingSid", &recording),
        ("RecordingStatus", "completed"),
    ];
    assert_eq!(world.callback("/hooks/twilio/recording", &update).await.status, 204);
    assert!(is_among(&world, "whose", "state", "queued").await);
    assert_eq!(found(&world, "whose").await, [callbacks::CALL]);
}

#[tokio::test]
async fn facets_of_a_call_do_not_match_as_words() {
    let world = World::new().await;
    let sid = said(&world, "one word").await;
    for q in [
        "completed",
        "§completed",
        "compl*",
        "1234",
        "\"word completed\"",
        "\"word §completed\"",
        "\"word compl\"*",
        "§*",
    ] {
        assert_eq!(found(&world, q).await, [""; 0], "{q}");
    }
    assert_eq!(found(&world, "\"one word\"").await, [sid]);
}

#[tokio::test]
async fn pages_of_hits_and_of_filtered_calls_have_no_gap_or_overlap() {
    let world = World::new().await;
    let (call, _) = said_to(&world, "14155551234", "the very first").await;
    // Seven calls share each millisecond, so the order among them matters as well.
    let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60) ";
    let id = "substr('00000000000000000000000000000000' || n, -32)";
    let id = if world.store.is_postgres() { "lpad(n::text, 32, '0')" } else { id };
    let fill = format!(
        "INSERT INTO calls (id, sid, direction, to_number, from_number, keyterms, state, rank, holds_number, created_at, \
         ended_at, updated_at) {many} SELECT {id}, 'CA' || {id}, 'outbound', '+14155550000', '+15005550006', '[]', 'completed', 6, 0, \
         1700000000001 + n / 7, 1700000000000, 0 FROM n; \
         INSERT INTO recordings (sid, call_id, state, rank, created_at, updated_at) \
         SELECT 'RE' || id, id, 'completed', 2, 0, 0 FROM calls WHERE to_number = '+14155550000'; \
         INSERT INTO transcripts (id, transcript_id, recording_sid, audio, parameters, state, rank, round, text, created_at, \
         updated_at) SELECT id, id, 'RE' || id, '', '', 'completed', 4, 1, 'one of the many', 0, 0 FROM calls \
         WHERE to_number = '+14155550000'; \
         INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE text = 'one of the many'"
    );
    world.store.execute(&fill).await.expect("rows");
    world.another_app().await.stop().await;
    let expected: Vec<String> = world.store.texts("SELECT id FROM calls WHERE to_number = '+14155550000'").await;

    let (mut seen, mut times, mut pages) = (Vec::new(), Vec::new(), 0);
    let mut next = Some("/calls?q=%22of+the%22+MANY&number=0000&state=completed".to_owned());
    while let Some(path) = next {
        let page = world.get(&path).await.json();
        for hit in page["hits"].as_array().expect("hits") {
            seen.push(hit["call"]["id"].as_str().expect("an id").to_owned());
            times.push(hit["call"]["created_at"].as_str().expect("a time").to_owned());
        }
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, seen.len()), (3, 60));
    assert!(times.is_sorted_by(|one, other| one >= other), "newest first: {times:?}");
    seen.sort();
    let mut all = expected.clone();
    all.sort();
    assert_eq!(seen, all);
    assert_eq!(found(&world, "the first").await, [call]);

    // More than a page of calls.
    let more = fill.split_once("; INSERT INTO recordings").expect("an insert of calls").0.replace("n < 60", "n < 80");
    world.store.execute(&more.replace("SELECT 1 UNION", "SELECT 61 UNION")).await.expect("rows");
    let first = world.get("/calls?number=%2B14155550000").await.json();
    let second = world.get(first["next"].as_str().expect("a next page")).await.json();
    assert_eq!(second["next"], json!(null));
    let mut both: Vec<_> =
        [&first, &second].iter().flat_map(|page| sids(page["calls"].as_array().expect("calls"))).collect();
    both.sort_unstable();
    both.dedup();
    assert_eq!((both.len(), second["calls"].as_array().expect("calls").len()), (80, 30));
}

#[tokio::test]
async fn any_input_is_a_valid_search() {
    let world = World::new().await;
    let sid = said(&world, "AND they said: NEAR or NOT, 100% of column words a_b it's C:\\x").await;
    let long = "word ".repeat(2000);
    let one_word = "x".repeat(10_000);
    for (q, is_found) in [
        ("AND", true),
        ("NEAR(", true),
        ("NOT or", true),
        ("said:", true),
        ("words:column", false),
        ("\"words", true),
        ("\"\"\"words\"\"", true),
        ("'words'", true),
        ("words'; DROP TABLE calls; --", false),
        ("^and", true),
        ("-and", true),
        ("{words} : [and]", true),
        ("(words", true),
        ("words)", true),
        ("& | ! <-> and", true),
        ("and:*", true),
        ("100%", true),
        ("10%", false),
        ("a_b", true),
        ("a_c", false),
        ("\\x", true),
        ("and\0they", true),
        ("\0", false),
        ("*", false),
        ("***", false),
        ("\"", false),
        ("\" * \"", false),
        ("+", false),
        ("😀", false),
        ("\u{301}", false),
        ("and \u{301} 😀 *", true),
        (&long, false),
        (&one_word, false),
        (&"\"".repeat(10_000), false),
        (&"(".repeat(10_000), false),
        (&"\"a\" ".repeat(2_000), true),
    ] {
        let start: String = q.chars().take(40).collect();
        assert_eq!(found(&world, q).await.first() == Some(&sid), is_found, "{start:?}");
    }
    // Invalid UTF-8.
    assert_eq!(world.get("/calls?q=%ff%fe").await.status, 200);
}

#[tokio::test]
async fn markup_in_a_transcript_stays_text() {
    let world = World::new().await;
    said(&world, "now </blockquote><script>alert(1)</script> <img src=x onerror=alert(2)> & \"done\"").await;
    let page = world.get_with("/calls?q=script+%22%3E%3Cb%3E", &[("accept", "text/html")]).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    let scripts = |page: &str| page.replace("<script src=\"/assets/page.", "").matches("<script").count();
    assert!(scripts(&text) == 0 && !text.contains("<img") && !text.contains("<b>"), "{text}");
    let found = world.get_with("/calls?q=alert", &[("accept", "text/html")]).await.text();
    assert!(scripts(&found) == 0 && !found.contains("<img"), "{found}");
    assert!(found.contains("<mark>alert</mark>(1)"), "{found}");
    assert_eq!(snippet(&hits(&world, "done").await[0]).matches("<script>").count(), 1, "JSON has the text unchanged");
}

#[tokio::test]
async fn the_page_of_calls_keeps_the_search_in_its_form_and_its_hits_play() {
    let world = World::new().await;
    let (sid, recording) = said_to(&world, "14155551234", "the price is twelve dollars").await;
    let path = "/calls?q=%22twelve+dollars%22&state=completed&number=1234&since=2020-01-01&until=";
    let page = world.get_with(path, &[("accept", "text/html")]).await.text();
    for expected in [
        "<form class=\"search\" method=\"get\" action=\"/calls\" role=\"search\">",
        "value=\"&#34;twelve dollars&#34;\"",
        "<option value=\"completed\" selected>",
        "value=\"1234\"",
        "value=\"2020-01-01\"",
        "the price is <mark>twelve dollars</mark>",
        &format!("/calls/{sid}?q=%22twelve+dollars%22#{recording}@{}", 3 * WORD_MS),
        &format!("/recordings/{recording}.wav#t=1.200\">Play from 0:01</a>"),
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let nothing = world.get_with("/calls?q=thirteen", &[("accept", "text/html")]).await.text();
    assert!(nothing.contains("Nothing found."), "{nothing}");
}

#[tokio::test]
async fn transcripts_older_than_the_search_index_are_found() {
    let world = World::new().await;
    let sid = said(&world, "an old story").await;
    let older = "DROP TABLE spoken_text; DROP TABLE spoken; DROP TABLE unsearched; DROP INDEX calls_to_end; DROP INDEX calls_from_end; DROP INDEX calls_of_state; \
                 DELETE FROM _sqlx_migrations WHERE version IN (4, 6, 8, 19)";
    world.store.execute(older).await.expect("the tables of the previous version");
    world.another_app().await.stop().await;
    assert_eq!(found(&world, "\"old story\"").await, [sid]);
    assert_eq!(world.store.number("SELECT count(*) FROM unsearched").await, 0);
}

#[tokio::test]
async fn transcripts_indexed_by_an_older_program_are_found_in_order_of_time() {
    let world = World::new().await;
    let mut sids = Vec::new();
    for text in ["story one", "story two", "story three"] {
        sids.insert(0, said(&world, text).await);
    }
    // In the previous version, `place` rose with time.
    let (tables, text) = if world.store.is_postgres() {
        (
            "ALTER TABLE spoken DROP CONSTRAINT spoken_place_check; TRUNCATE spoken_text; \
             ALTER TABLE spoken_text RENAME COLUMN said TO words;"
                .to_owned(),
            "",
        )
    } else {
        let facts = include_str!("../../src/store/migrations/sqlite/0006_facts.sql");
        (
            format!(
                "ALTER TABLE spoken RENAME TO newer; DROP TABLE spoken_text; {}; \
                 INSERT INTO spoken SELECT * FROM newer; DROP TABLE newer;",
                &facts[facts.find("CREATE TABLE spoken (").expect("a table")..]
            ),
            "INSERT INTO spoken_text (rowid, words) SELECT place, ' story ' || facts FROM spoken;",
        )
    };
    let older = format!(
        "{tables} UPDATE spoken SET place = (SELECT created_at FROM transcripts WHERE id = transcript) * 65536; {text} \
         DELETE FROM _sqlx_migrations WHERE version IN (8, 19)"
    );
    world.store.execute(&older).await.expect("the tables of the previous version");
    world.another_app().await.stop().await;
    assert_eq!(found(&world, "story").await, sids);
    assert_eq!(found(&world, "\"story two\"").await, [sids[1].clone()]);
    assert_eq!(world.store.number("SELECT count(*) FROM unsearched").await, 0);
    let at = world.call(&sids[1]).await["created_at"].as_str().expect("a time").to_owned();
    for (bound, expected) in [("since", &sids[..2]), ("until", &sids[1..])] {
        let answer = ask(&world, &[("q", "story"), (bound, &at)]).await.json();
        let found = answer["hits"].as_array().expect("hits").iter().map(|hit| hit["call"]["sid"].as_str());
        assert!(found.eq(expected.iter().map(|sid| Some(sid.as_str()))), "{bound}: {answer}");
    }
    // A still running older program would write rows that newer programs never find, so they are rejected.
    let older = "INSERT INTO spoken (place, transcript, source, facts) \
                 SELECT 1700000000000 * 65536, transcript, 'RE0', '' FROM spoken LIMIT 1";
    let refused = world.store.execute(older).await.expect_err("a row of an older program").to_string();
    assert!(refused.to_ascii_lowercase().contains("check constraint"), "{refused}");
}

#[tokio::test]
async fn transcripts_that_an_older_program_folded_are_indexed_again() {
    let world = World::new().await;
    let sid = said(&world, "Łódź, don't").await;
    // As the previous version had indexed it.
    let (table, text) = if world.store.is_postgres() {
        (
            "ALTER TABLE spoken_text RENAME COLUMN said TO words;".to_owned(),
            "UPDATE spoken_text SET words = ' łodz don t ' || facts",
        )
    } else {
        let facts = include_str!("../../src/store/migrations/sqlite/0006_facts.sql");
        let table = &facts[facts.find("CREATE VIRTUAL TABLE").expect("a table")..];
        (
            format!("DROP TABLE spoken_text; {table};"),
            "INSERT INTO spoken_text (rowid, words) SELECT place, ' łodz don t ' || facts",
        )
    };
    let older = format!("{table} {text} FROM spoken; DELETE FROM _sqlx_migrations WHERE version = 19");
    world.store.execute(&older).await.expect("the tables of the previous version");
    world.another_app().await.stop().await;
    for q in ["lodz", "dont"] {
        assert_eq!(found(&world, q).await, [sid.as_str()], "{q}");
    }
    assert_eq!(world.store.number("SELECT count(*) FROM unsearched").await, 0);
    let older = "INSERT INTO spoken_text (rowid, words) VALUES (1, ' x ')";
    world.store.execute(older).await.expect_err("an older program's terms would not be found");
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    assert_eq!(found(&world, "lodz").await, [""; 0]);
}
