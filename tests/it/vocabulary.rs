//! The vocabulary: terms with scopes, sources and states, and which of them orders send.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::support::{Answer, World};

const NUMBER: &str = "+14155551234";
const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn add(world: &World, term: &Value) -> Answer {
    world.post_json("/vocabulary", term).await
}

async fn patch(world: &World, id: &Value, change: &Value) -> Answer {
    let path = format!("/vocabulary/{}", id.as_str().expect("an id"));
    world.send(Method::PATCH, &path, &[JSON], &change.to_string()).await
}

/// The terms as JSON, or those of a query.
async fn terms(world: &World, query: &str) -> Vec<Value> {
    world.get(&format!("/vocabulary{query}")).await.json()["terms"].as_array().expect("terms").clone()
}

fn words(terms: &[Value]) -> Vec<&str> {
    terms.iter().map(|term| term["term"].as_str().expect("a term")).collect()
}

fn sorted(texts: &Value) -> Vec<&str> {
    let mut texts: Vec<&str> = texts.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    texts.sort_unstable();
    texts
}

/// The key terms of the order of a new call.
async fn sent(world: &World, path: &str) -> Value {
    world.get(path).await.call_sid();
    world.settle().await;
    world.transcript_requests().last().expect("an order")["keyterms_prompt"].clone()
}

#[tokio::test]
async fn a_term_is_added_changed_listed_and_deleted() {
    let world = World::new().await;
    let added = add(&world, &json!({"term": "  met\u{a0}oprolol "})).await;
    assert_eq!(added.status, 201);
    let term = added.json();
    let expected = json!({
        "id": term["id"], "term": "met oprolol", "scope": {"all": true}, "source": "typed", "state": "active",
        "at": term["at"], "by": "this computer", "misheard_as": [], "said": 0, "heard": 0, "false": 0,
        "corrections": 0, "examples": [], "retire": null,
    });
    assert_eq!(term, expected);
    let changed = patch(&world, &term["id"], &json!({"term": "metoprolol", "scope": {"tag": "spring"}})).await;
    assert_eq!((&changed.json()["term"], &changed.json()["scope"]), (&json!("metoprolol"), &json!({"tag": "spring"})));
    assert_eq!(patch(&world, &term["id"], &json!({"state": "retired"})).await.json()["state"], "retired");
    // Added again, it is active again, with the new spelling.
    let again = add(&world, &json!({"term": "Metoprolol", "scope": {"tag": "spring"}})).await;
    let seen = (again.status.as_u16(), again.json()["id"].clone(), again.json()["term"].clone());
    assert_eq!(seen, (200, term["id"].clone(), json!("Metoprolol")));

    let list = json!({"terms": ["Ahoy", "zeta", "ahoy"], "scope": {"contact": "1 (415) 555-1234"}});
    let listed = add(&world, &list).await;
    assert_eq!((listed.status.as_u16(), listed.json()["terms"][0]["scope"].clone()), (201, json!({"contact": NUMBER})));
    let all = world.get("/vocabulary").await.json();
    assert_eq!(words(all["terms"].as_array().expect("terms")), ["ahoy", "Metoprolol", "zeta"]);
    assert_eq!(all["limit"], json!({"model": "assemblyai-stt-3-7", "terms": 200, "words": 1000}));
    assert_eq!(terms(&world, "?state=retired").await, Vec::<Value>::new());

    let path = format!("/vocabulary/{}", term["id"].as_str().expect("an id"));
    assert_eq!(world.send(Method::DELETE, &path, &[], "").await.status, 204);
    world.send(Method::DELETE, &path, &[], "").await.problem(404, "no-such-term");
    patch(&world, &term["id"], &json!({"state": "active"})).await.problem(404, "no-such-term");
    assert_eq!(words(&terms(&world, "").await), ["ahoy", "zeta"]);
}

#[tokio::test]
async fn what_is_no_term_is_refused_with_the_reason() {
    let world = World::new().await;
    for (term, expected) in [
        (json!({}), "expected term, or a list of terms"),
        (json!({"term": " "}), "expected a word or a phrase"),
        (json!({"term": "a"}), "would be heard everywhere"),
        (json!({"term": "x".repeat(201)}), "at most 200 characters; this one has 201"),
        (json!({"terms": []}), "expected a word or a phrase"),
        (json!({"terms": ["good", "…"]}), "expected a word or a phrase"),
        (json!({"term": "Ahoy", "scope": {}}), "scope: expected"),
        (json!({"term": "Ahoy", "scope": {"all": true, "tag": "a"}}), "scope: expected"),
        (json!({"term": "Ahoy", "scope": {"contact": "911"}}), "a number with its country code"),
        (json!({"term": "Ahoy", "scope": {"tag": ""}}), "tag: expected a name"),
        (json!({"term": "Ahoy", "trem": "x"}), "unknown field `trem`"),
    ] {
        let detail = add(&world, &term).await.problem(400, "bad-request");
        assert!(detail.contains(expected), "{term}: {detail}");
    }
    let seven = add(&world, &json!({"term": "one two three four five six seven"})).await.problem(400, "bad-keyterms");
    assert!(seven.contains("has 7 words; the maximum is 6"), "{seven}");
    assert_eq!(terms(&world, "").await, Vec::<Value>::new());
    world.get("/vocabulary?state=new").await.problem(400, "bad-request");
    world.get("/vocabulary?after=x").await.problem(400, "bad-request");

    let ahoy = add(&world, &json!({"term": "<b>Ahoy</b>"})).await.json();
    let zeta = add(&world, &json!({"term": "zeta"})).await.json();
    patch(&world, &zeta["id"], &json!({"term": "<B>AHOY</B>"})).await.problem(409, "same-term");
    assert_eq!(patch(&world, &ahoy["id"], &json!({"term": "<b>AHOY</b>"})).await.status, 200);
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(page.contains("&#60;b&#62;AHOY&#60;/b&#62;") && !page.contains("<b>AHOY"), "{page}");
}

#[tokio::test]
async fn an_order_sends_the_terms_of_its_call_the_narrowest_scope_first() {
    let world = World::new().await;
    for (term, scope) in [
        ("for all", json!({"all": true})),
        ("of spring", json!({"tag": "spring"})),
        ("of autumn", json!({"tag": "autumn"})),
        ("of Dana", json!({"contact": NUMBER})),
        ("of Kim", json!({"contact": "+14155559876"})),
    ] {
        assert_eq!(add(&world, &json!({"term": term, "scope": scope})).await.status, 201);
    }
    let retired = add(&world, &json!({"term": "of yesterday"})).await.json();
    patch(&world, &retired["id"], &json!({"state": "retired"})).await;
    let order = sent(&world, "/dial/14155551234?tag=spring&keyterms=invoice").await;
    assert_eq!(order, json!(["invoice", "of Dana", "of spring", "for all"]));
    assert_eq!(sent(&world, "/dial/14155550000").await, json!(["for all"]));
    // Audio of no call, too; and what is added counts at once.
    world.after(Duration::from_secs(1)).await;
    add(&world, &json!({"term": "newest"})).await;
    world.post_json("/transcribe", &json!({"audio_url": "https://example.com/a.wav"})).await;
    let order = world.transcript_requests().last().expect("an order")["keyterms_prompt"].clone();
    assert_eq!(order, json!(["newest", "for all"]));
}

#[tokio::test]
async fn the_key_terms_of_a_contact_are_terms_of_its_scope() {
    let world = World::new().await;
    let put = async |keyterms: Value| {
        let contact = json!({"name": "Dana Lee", "keyterms": keyterms}).to_string();
        world.send(Method::PUT, &format!("/contacts/{NUMBER}"), &[JSON], &contact).await.json()
    };
    put(json!(["zeta", "metoprolol"])).await;
    let listed = terms(&world, "").await;
    assert_eq!(words(&listed), ["metoprolol", "zeta"]);
    assert_eq!(listed[0]["scope"], json!({"contact": NUMBER}));
    add(&world, &json!({"term": "Ahoy", "scope": {"contact": NUMBER}})).await;
    let contact = world.get(&format!("/contacts/{NUMBER}")).await.json();
    let sent = sent(&world, "/dial/14155551234").await;
    assert_eq!(
        (sorted(&contact["keyterms"]), sorted(&sent)),
        (vec!["Ahoy", "metoprolol", "zeta"], vec!["Ahoy", "Dana Lee", "metoprolol", "zeta"])
    );
    assert_eq!(sent[0], "Dana Lee");
    assert_eq!(put(json!(["Ahoy", "zeta"])).await["keyterms"], json!(["Ahoy", "zeta"]));
    assert_eq!(words(&terms(&world, "").await), ["Ahoy", "zeta"]);
    world.send(Method::DELETE, &format!("/contacts/{NUMBER}"), &[], "").await;
    assert_eq!(terms(&world, "").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_terms_of_settings_are_listed_and_can_be_retired() {
    let world = World::with(&[("KEYTERMS", "Friday,Ahoy Street")]).await;
    let listed = terms(&world, "").await;
    assert_eq!(words(&listed), ["Ahoy Street", "Friday"]);
    assert_eq!((&listed[0]["source"], &listed[0]["state"]), (&json!("setting"), &json!("active")));
    assert_eq!(sent(&world, "/dial/14155551234").await, json!(["Friday", "Ahoy Street"]));
    let path = format!("/vocabulary/{}", listed[1]["id"].as_str().expect("an id"));
    let refused = world.send(Method::DELETE, &path, &[], "").await.problem(409, "term-of-setting");
    assert!(refused.contains("KEYTERMS"), "{refused}");
    patch(&world, &listed[1]["id"], &json!({"term": "Monday"})).await.problem(409, "term-of-setting");
    assert_eq!(patch(&world, &listed[1]["id"], &json!({"state": "retired"})).await.status, 200);
    assert_eq!(sent(&world, "/dial/14155550000").await, json!(["Ahoy Street"]));
    // The next start brings in what is new, and leaves out what is gone.
    let next = world.another_app_with(&[("KEYTERMS", "Friday,Monday")], false).await;
    let seen: Vec<(String, String)> = terms(&world, "").await.iter().map(word_and_state).collect();
    let expected = [("Monday", "active"), ("Friday", "retired")];
    assert_eq!(seen, expected.map(|(term, state)| (term.to_owned(), state.to_owned())));
    next.stop().await;
}

fn word_and_state(term: &Value) -> (String, String) {
    let text = |name: &str| term[name].as_str().expect("a text").to_owned();
    (text("term"), text("state"))
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_and_shown() {
    let world = World::new().await;
    let many: Vec<String> = (0..1_500).map(|number| format!("term {number:04}")).collect();
    assert_eq!(add(&world, &json!({"terms": many})).await.status, 201);
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let transcript = world.call(&sid).await["transcripts"][0].clone();
    assert_eq!(transcript["keyterms_sent"], json!(many[..200]));
    assert_eq!(transcript["keyterms_left_out"], json!(many[200..1_200]));
    assert_eq!(transcript["keyterms_left_out_more"], 300);
    let page = world.get_with(&format!("/calls/{sid}"), &[HTML]).await.text();
    assert!(page.contains("and 1250 more"), "{page}");
    let second = world.get("/vocabulary").await.json()["next"].as_str().expect("a next page").to_owned();
    assert_eq!(words(&terms(&world, second.trim_start_matches("/vocabulary")).await)[0], "term 0200");
}

#[tokio::test]
async fn the_page_adds_accepts_and_says_why_not() {
    let world = World::new().await;
    let submit = async |path: &str, form: &str| world.send(Method::POST, path, &[HTML, FORM], form).await;
    let added = submit("/vocabulary", "terms=Ahoy%0D%0A%0D%0Ametoprolol+succinate&contact=&tag=").await;
    assert_eq!((added.status.as_u16(), added.header("location")), (303, "/vocabulary"));
    let listed = terms(&world, "").await;
    assert_eq!(words(&listed), ["Ahoy", "metoprolol succinate"]);
    let id = listed[0]["id"].as_str().expect("an id");
    submit(&format!("/vocabulary/{id}"), "state=retired").await;
    submit(&format!("/vocabulary/{id}"), "state=active&term=ahoy").await;
    assert_eq!(words(&terms(&world, "?state=active").await), ["ahoy", "metoprolol succinate"]);
    submit(&format!("/vocabulary/{id}/delete"), "").await;
    assert_eq!(words(&terms(&world, "").await), ["metoprolol succinate"]);
    let refused = submit("/vocabulary", "terms=Ahoy%0D%0Aa&contact=%2B14155551234&tag=").await;
    assert_eq!(refused.status, 400);
    let page = refused.text();
    assert!(
        page.contains("would be heard everywhere") && page.contains("Ahoy\r\na") && page.contains(NUMBER),
        "{page}"
    );
}

const HEARD: &str = "Please take sparing the lactone twice a day. Ring Clerk Ridge tomorrow.";

/// Corrects words of a transcript that nobody has corrected since this version.
async fn correct(world: &World, id: &str, version: u64, words: std::ops::Range<u64>, text: &str) -> String {
    let correction = json!({"version": version, "from": words.start, "to": words.end, "text": text});
    let answer = world.post_json(&format!("/transcript/{id}/corrections"), &correction).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["correction"].as_str().expect("a correction").to_owned()
}

/// The job that learns waits for further corrections.
async fn learn(world: &World) {
    world.after(Duration::from_secs(10)).await;
}

/// The states, corrections and mishearings of the terms.
async fn learned(world: &World) -> Vec<(String, String, u64, Value)> {
    let view = |term: &Value| {
        let (word, state) = word_and_state(term);
        (word, state, term["corrections"].as_u64().expect("a count"), term["misheard_as"].clone())
    };
    terms(world, "").await.iter().map(view).collect()
}

fn proposed(term: &str, corrections: u64, misheard: &[&str]) -> (String, String, u64, Value) {
    (term.to_owned(), "proposed".to_owned(), corrections, json!(misheard))
}

#[tokio::test]
async fn what_somebody_corrects_is_proposed_with_each_place_and_accepted_for_the_next_order() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    correct(&world, &id, 0, 2..5, "spironolactone").await;
    correct(&world, &id, 1, 7..9, "Kowalczyk").await;
    correct(&world, &id, 2, 0..1, "Because").await;
    learn(&world).await;
    let expected =
        [proposed("Kowalczyk", 1, &["Clerk Ridge"]), proposed("spironolactone", 1, &["sparing the lactone"])];
    assert_eq!(learned(&world).await, expected);
    let term = terms(&world, "?state=proposed").await[1].clone();
    assert_eq!((&term["source"], &term["by"]), (&json!("learned"), &json!("corrections")));
    let example = &term["examples"][0];
    assert_eq!((&example["heard"], &example["at_ms"]), (&json!("sparing the lactone"), &json!(1_000)));
    assert_eq!(example["transcript"], json!(id));
    assert!(example["audio"].as_str().expect("an address").ends_with(".wav#t=1.000"), "{example}");

    // A slip of the hand in another call makes no other term; another mishearing stands beside the first.
    let (_, other) = transcribed(&world, "Stop spear on a lactone now.").await;
    correct(&world, &other, 0, 1..5, "spironolactome,").await;
    learn(&world).await;
    let expected = [
        proposed("Kowalczyk", 1, &["Clerk Ridge"]),
        proposed("spironolactone", 2, &["spear on a lactone", "sparing the lactone"]),
    ];
    assert_eq!(learned(&world).await, expected);
    assert_eq!(sent(&world, "/dial/14155550001").await, Value::Null, "nobody has accepted anything");
    patch(&world, &term["id"], &json!({"state": "active"})).await;
    assert_eq!(sent(&world, "/dial/14155550002").await, json!(["spironolactone"]));
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(page.contains("Accept") && page.contains("/replace?find=Clerk+Ridge&#38;with=Kowalczyk"), "{page}");

    // What is undone is no lesson, and what nobody corrected to any more is no proposal.
    let changes = world.get(&format!("/transcript/{id}/corrections")).await.json()["corrections"].clone();
    for correction in changes.as_array().expect("corrections") {
        let undo = format!("/transcript/{id}/corrections/{}/undo", correction["id"].as_str().expect("an id"));
        assert_eq!(world.post_json(&undo, &json!({})).await.status, 200);
    }
    learn(&world).await;
    let active = ("spironolactone".to_owned(), "active".to_owned(), 1, json!(["spear on a lactone"]));
    assert_eq!(learned(&world).await, [active]);
}

#[tokio::test]
async fn a_deleted_call_takes_its_proposals_and_examples_along_and_an_accepted_term_stays() {
    let world = World::new().await;
    let (call, id) = transcribed(&world, HEARD).await;
    correct(&world, &id, 0, 2..5, "spironolactone").await;
    correct(&world, &id, 1, 7..9, "Kowalczyk").await;
    learn(&world).await;
    let accepted = terms(&world, "").await[1].clone();
    patch(&world, &accepted["id"], &json!({"state": "active"})).await;
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    let stays = ("spironolactone".to_owned(), "active".to_owned(), 0, json!([]));
    assert_eq!(learned(&world).await, [stays]);
    assert_eq!(world.store.number("SELECT count(*) FROM term_uses").await, 0);
}

#[tokio::test]
async fn a_rejected_term_is_not_proposed_again() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    correct(&world, &id, 0, 9..11, "Kowalczyk").await;
    correct(&world, &id, 1, 2..5, "spironolactone").await;
    learn(&world).await;
    for term in terms(&world, "").await {
        patch(&world, &term["id"], &json!({"state": "rejected"})).await;
    }
    let (_, other) = transcribed(&world, HEARD).await;
    correct(&world, &other, 0, 9..11, "Kowalczyk").await;
    learn(&world).await;
    let states: Vec<(String, String)> = terms(&world, "").await.iter().map(word_and_state).collect();
    let rejected = |term: &str| (term.to_owned(), "rejected".to_owned());
    assert_eq!(states, [rejected("Kowalczyk"), rejected("spironolactone")]);
}

#[tokio::test]
async fn settings_decide_whether_what_is_learned_is_used_or_nothing_is_learned() {
    let world = World::with(&[("VOCABULARY_LEARNS", "auto"), ("VOCABULARY_LEARNS_AFTER", "2")]).await;
    for expected in ["proposed", "active"] {
        let (_, id) = transcribed(&world, HEARD).await;
        correct(&world, &id, 0, 2..5, "spironolactone").await;
        learn(&world).await;
        let states: Vec<(String, String)> = terms(&world, "").await.iter().map(word_and_state).collect();
        assert_eq!(states, [("spironolactone".to_owned(), expected.to_owned())]);
    }
    assert_eq!(sent(&world, "/dial/14155550002").await, json!(["spironolactone"]));

    let world = World::with(&[("VOCABULARY_LEARNS", "off")]).await;
    let (_, id) = transcribed(&world, HEARD).await;
    add(&world, &json!({"term": "kowalczyk"})).await;
    correct(&world, &id, 0, 2..5, "spironolactone").await;
    correct(&world, &id, 1, 7..9, "Kowalczyk").await;
    learn(&world).await;
    // What is there is still counted.
    let counted = ("kowalczyk".to_owned(), "active".to_owned(), 1, json!(["Clerk Ridge"]));
    assert_eq!(learned(&world).await, [counted]);
}

#[tokio::test]
async fn in_what_is_checked_by_ear_it_counts_how_often_a_term_was_said_and_heard() {
    let world = World::new().await;
    for term in ["spironolactone", "Ahoy", "lactone", "never said"] {
        add(&world, &json!({"term": term})).await;
    }
    let (_, id) = transcribed(&world, "Ahoy, take sparing the lactone now. Ahoy. Take spironolactone.").await;
    correct(&world, &id, 0, 2..5, "spironolactone").await;
    learn(&world).await;
    let counts = async || {
        let count = |term: &Value| {
            let number = |name: &str| term[name].as_u64().expect("a number");
            (term["term"].as_str().expect("a term").to_owned(), [number("said"), number("heard"), number("false")])
        };
        terms(&world, "").await.iter().map(count).collect::<Vec<_>>()
    };
    let of = |counts: [[u64; 3]; 4]| {
        let terms = ["Ahoy", "lactone", "never said", "spironolactone"];
        terms.iter().zip(counts).map(|(term, counts)| ((*term).to_owned(), counts)).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, of([[0; 3]; 4]), "nobody has checked anything");
    let check = json!({"checked": true, "from_ms": 0, "to_ms": 3_000});
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), &check).await.status, 200);
    learn(&world).await;
    assert_eq!(counts().await, of([[1, 1, 0], [0, 0, 1], [0; 3], [1, 0, 0]]));
    world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await;
    learn(&world).await;
    assert_eq!(counts().await, of([[2, 2, 0], [0, 0, 1], [0; 3], [2, 1, 0]]));
    let doubts: Vec<Value> = terms(&world, "").await.iter().map(|term| term["retire"].clone()).collect();
    let doubt = json!("heard once where it was not said, never where it was");
    assert_eq!(doubts, [Value::Null, doubt, Value::Null, Value::Null]);
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(page.contains("Better retired") && page.contains("heard once where it was not said"), "{page}");
    world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": false})).await;
    learn(&world).await;
    assert_eq!(counts().await, of([[0; 3]; 4]));
}

#[tokio::test]
async fn what_was_said_in_none_of_fifty_checked_calls_is_better_retired() {
    let world = World::new().await;
    add(&world, &json!({"term": "Ahoy"})).await;
    add(&world, &json!({"term": "of Dana", "scope": {"contact": NUMBER}})).await;
    for (calls, expected) in [(49, Value::Null), (50, json!("not said in the last 50 calls that were checked"))] {
        // In the year 2100.
        let checked = format!(
            "INSERT INTO calls (id, direction, keyterms, state, rank, holds_number, created_at, updated_at, checked_at)
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {calls})
             SELECT 'checked-' || n, 'outbound', '[]', 'completed', 4, 0, 4102444800000, 4102444800000, 4102444800000
             FROM number WHERE true ON CONFLICT DO NOTHING"
        );
        world.store.execute(&checked).await.expect("calls");
        let doubts: Vec<Value> = terms(&world, "").await.iter().map(|term| term["retire"].clone()).collect();
        assert_eq!(doubts, [expected, Value::Null], "{calls}");
    }
}
