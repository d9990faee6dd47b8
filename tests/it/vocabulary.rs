//! The vocabulary: terms with scopes, sources and states, and which of them orders send.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::corrections::transcribed;
use crate::support::command::Folder;
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
        "corrections": 0, "accepted": 0, "examples": [], "retire": null, "custom_spelling": null,
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
    // One is deleted, one retired and one retired and brought back.
    let listed = terms(&world, second.trim_start_matches("/vocabulary")).await;
    let path = format!("/vocabulary/{}", listed[0]["id"].as_str().expect("an id"));
    assert_eq!(world.send(Method::DELETE, &path, &[], "").await.status, 204);
    for (term, state) in [(1, "retired"), (2, "retired"), (2, "active")] {
        assert_eq!(patch(&world, &listed[term]["id"], &json!({"state": state})).await.status, 200);
    }
    let sid = world.dial("14155550000").await;
    world.settle().await;
    assert_eq!(world.call(&sid).await["transcripts"][0]["keyterms_left_out_more"], 298);
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

#[tokio::test]
async fn the_page_proposes_first_what_was_corrected_most_and_goes_on_at_the_next_one() {
    let world = World::new().await;
    for (heard, term, times) in
        [("zero limbs", "Zyrolim", 1), ("oak on quo", "Okonkwo", 2), ("metro pole", "Metoprol", 1)]
    {
        for _ in 0..times {
            let (_, id) = transcribed(&world, &format!("They asked for {heard} today.")).await;
            correct(&world, &id, 0, 3..3 + heard.split(' ').count() as u64, term).await;
            learn(&world).await;
        }
    }
    let proposed = terms(&world, "?state=proposed").await;
    assert_eq!(words(&proposed), ["Okonkwo", "Metoprol", "Zyrolim"]);
    let part = |at: usize| format!("term-{}", proposed[at]["id"].as_str().expect("an id"));
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    let places: Vec<_> = (0..3).map(|at| page.find(&format!("<li id=\"{}\">", part(at)))).collect();
    assert!(places[0].is_some() && places.is_sorted(), "{places:?} {page}");
    let submit = async |at: usize, form: &str| {
        let path = format!("/vocabulary/{}", proposed[at]["id"].as_str().expect("an id"));
        world.send(Method::POST, &path, &[HTML, FORM], form).await.header("location").to_owned()
    };
    assert_eq!(submit(0, "state=active&term=Okonkwo").await, format!("/vocabulary#{}", part(1)));
    assert_eq!(submit(1, "state=rejected").await, format!("/vocabulary#{}", part(2)));
    assert_eq!(submit(2, "state=rejected").await, "/vocabulary");
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
async fn a_proposal_goes_with_its_last_reason_also_where_a_checked_call_has_it() {
    let world = World::new().await;
    for is_deleted in [true, false] {
        let (call, id) = transcribed(&world, HEARD).await;
        let correction = correct(&world, &id, 0, 9..11, "Kowalczyk").await;
        learn(&world).await;
        let (_, other) = transcribed(&world, "Kowalczyk called.").await;
        world.post_json(&format!("/transcript/{other}/checked"), &json!({"checked": true})).await;
        learn(&world).await;
        let proposal = terms(&world, "").await[0].clone();
        assert_eq!((&proposal["state"], &proposal["said"]), (&json!("proposed"), &json!(1)), "{proposal}");
        if is_deleted {
            assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
        } else {
            let undo = format!("/transcript/{id}/corrections/{correction}/undo");
            assert_eq!(world.post_json(&undo, &json!({})).await.status, 200);
        }
        learn(&world).await;
        assert_eq!(learned(&world).await, []);
        assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE deletion = 'wanted'").await, 0);
    }
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

#[tokio::test]
async fn a_term_that_moves_from_one_setting_to_the_other_stays_as_it_is() {
    let folder = Folder::new();
    let file = folder.path().join("terms.txt");
    std::fs::write(&file, "Friday\nzeta\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let world = World::with(&[("KEYTERMS", "Friday,Ahoy")]).await;
    let friday = terms(&world, "").await[1].clone();
    patch(&world, &friday["id"], &json!({"state": "retired"})).await;
    add(&world, &json!({"term": "typed"})).await;
    let sources = async || {
        let of = |term: &Value| {
            let (word, state) = word_and_state(term);
            format!("{word} {} {state}", term["source"].as_str().expect("a source"))
        };
        terms(&world, "").await.iter().map(of).collect::<Vec<_>>()
    };
    let restart = async |settings: &[(&str, &str)]| world.another_app_with(settings, false).await.stop().await;
    restart(&[("KEYTERMS", "Ahoy,typed"), ("KEYTERMS_FILE", file)]).await;
    let moved = ["Ahoy setting active", "typed typed active", "zeta file active", "Friday file retired"];
    assert_eq!(sources().await, moved);
    assert_eq!(terms(&world, "?state=retired").await[0]["id"], friday["id"]);
    // What is as the settings say is not written again.
    let changes = "SELECT count(*) FROM history WHERE kind = 'vocabulary'";
    let before = world.store.number(changes).await;
    restart(&[("KEYTERMS", "typed,Ahoy"), ("KEYTERMS_FILE", file)]).await;
    assert_eq!(world.store.number(changes).await, before);
    restart(&[("KEYTERMS", "zeta,Friday")]).await;
    assert_eq!(sources().await, ["typed typed active", "zeta setting active", "Friday setting retired"]);
}

/// Accepts a word as right where it is marked as unsure, as the page does.
async fn accept(world: &World, id: &str, word: u64) {
    let check = json!({"checked": true, "from_ms": word * 500, "to_ms": word * 500 + 400});
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), &check).await.status, 200);
}

#[tokio::test]
async fn a_rare_word_that_somebody_accepts_as_right_is_proposed_and_is_no_reference() {
    let world = World::new().await;
    add(&world, &json!({"term": "metoprolol"})).await;
    let (_, id) = transcribed(&world, "Give Siobhan Kowalczyk the metoprolol and spironolactone tomorrow.").await;
    for word in [1, 2, 4] {
        accept(&world, &id, word).await;
    }
    learn(&world).await;
    let found = terms(&world, "").await;
    let counts = |term: &Value| {
        let number = |name: &str| term[name].as_u64().expect("a number");
        (word_and_state(term), ["accepted", "corrections", "said", "heard"].map(number))
    };
    let counted = |term: &str, state: &str, counts: [u64; 4]| ((term.to_owned(), state.to_owned()), counts);
    let expected =
        [counted("metoprolol", "active", [1, 0, 0, 0]), counted("Siobhan Kowalczyk", "proposed", [1, 0, 0, 0])];
    assert_eq!(found.iter().map(counts).collect::<Vec<_>>(), expected);
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(page.contains("accepted as right once"), "{page}");
    // Who accepts single words has not listened to the rest: nothing is measured.
    assert_eq!(world.get("/accuracy").await.json()["groups"], json!([]));
    assert_eq!(world.get(&format!("/transcript/{id}?format=words")).await.json()["checked"], false);

    // What is taken back, or corrected after all, is no evidence.
    let back = json!({"checked": false, "from_ms": 500, "to_ms": 900});
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), &back).await.status, 200);
    correct(&world, &id, 0, 2..3, "Kovalchik").await;
    learn(&world).await;
    let terms: Vec<(String, String)> = terms(&world, "").await.iter().map(word_and_state).collect();
    let expected = [("metoprolol", "active"), ("Siobhan Kovalchik", "proposed")];
    assert_eq!(terms, expected.map(|(term, state)| (term.to_owned(), state.to_owned())));
}

#[tokio::test]
async fn words_that_are_accepted_one_by_one_make_no_checked_reference_and_a_stretch_does() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "All of it.").await;
    for word in 0..3 {
        accept(&world, &id, word).await;
    }
    learn(&world).await;
    assert_eq!(world.get(&format!("/transcript/{id}?format=words")).await.json()["checked"], true);
    assert_eq!(world.get("/accuracy").await.json()["groups"], json!([]));
    assert_eq!(world.store.number("SELECT count(*) FROM confidences").await, 0);
    let check = json!({"checked": true, "from_ms": 0, "to_ms": 950});
    world.post_json(&format!("/transcript/{id}/checked"), &check).await;
    learn(&world).await;
    let group = world.get("/accuracy").await.json()["groups"][0].clone();
    assert_eq!((&group["reference"], &group["words"]), (&json!("checked"), &json!(2)));
}

#[tokio::test]
async fn a_rejected_term_is_in_no_figure_of_how_well_terms_are_heard() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, HEARD).await;
    correct(&world, &id, 0, 2..5, "spironolactone").await;
    learn(&world).await;
    let keyterms = async || world.get("/accuracy").await.json()["groups"][0]["keyterms"]["said"].clone();
    assert_eq!(keyterms().await, 1);
    let term = terms(&world, "").await[0].clone();
    patch(&world, &term["id"], &json!({"state": "rejected"})).await;
    correct(&world, &id, 1, 0..1, "Do").await;
    learn(&world).await;
    assert_eq!(keyterms().await, 0);
}

#[tokio::test]
async fn what_is_always_heard_in_place_of_a_term_is_spelled_as_the_term_if_somebody_wants_that() {
    let world = World::new().await;
    let spelling = async |term: usize| terms(&world, "").await[term]["custom_spelling"].clone();
    let mut ids = Vec::new();
    for text in ["Ring Clerkridge tomorrow.", "Then clerkridge called back."] {
        let (_, id) = transcribed(&world, text).await;
        assert!(world.store.number("SELECT count(*) FROM terms WHERE corrected >= 2").await == 0);
        correct(&world, &id, 0, 1..2, "Kowalczyk").await;
        learn(&world).await;
        ids.push(id);
    }
    let proposed = json!({"from": ["clerkridge"], "to": "Kowalczyk", "state": "proposed"});
    assert_eq!(spelling(0).await, proposed);
    let term = terms(&world, "").await[0]["id"].clone();
    patch(&world, &term, &json!({"state": "active"})).await;
    let order = async |number: &str| {
        sent(&world, &format!("/dial/{number}")).await;
        world.transcript_requests().last().expect("an order")["custom_spelling"].clone()
    };
    assert_eq!(order("14155550001").await, Value::Null, "nobody has accepted it");
    let page = world.get_with("/vocabulary", &[HTML]).await.text();
    assert!(page.contains("Always heard instead") && page.contains("Always spell it so"), "{page}");
    let accepted = patch(&world, &term, &json!({"custom_spelling": "active"})).await.json();
    assert_eq!(accepted["custom_spelling"]["state"], "active");
    let entry = json!([{"from": ["clerkridge"], "to": "Kowalczyk"}]);
    let sid = world.dial("14155550002").await;
    world.settle().await;
    assert_eq!(world.transcript_requests().last().expect("an order")["custom_spelling"], entry);
    assert_eq!(world.call(&sid).await["transcripts"][0]["custom_spelling_sent"], entry);
    let page = world.get_with(&format!("/calls/{sid}"), &[HTML]).await.text();
    assert!(page.contains("Spelled by the vocabulary"), "{page}");
    // Entries of a request come first, and are not contradicted.
    let own = json!({"from": ["Clerkridge", "x"], "to": "Other"});
    let request = json!({"audio_url": "https://example.com/a.wav", "custom_spelling": [own]});
    assert_eq!(world.post_json("/transcribe", &request).await.status, 200);
    assert_eq!(world.transcript_requests().last().expect("an order")["custom_spelling"], json!([own]));
    // A retired term spells nothing; what somebody does not want is not proposed again; both can be undone.
    patch(&world, &term, &json!({"state": "retired"})).await;
    assert_eq!(order("14155550003").await, Value::Null);
    patch(&world, &term, &json!({"state": "active"})).await;
    let form = [HTML, FORM];
    let path = format!("/vocabulary/{}", term.as_str().expect("an id"));
    world.send(Method::POST, &path, &form, "custom_spelling=rejected").await;
    assert_eq!((spelling(0).await["state"].clone(), order("14155550004").await), (json!("rejected"), Value::Null));
    world.send(Method::POST, &path, &form, "custom_spelling=proposed").await;
    assert_eq!(spelling(0).await, proposed);
    patch(&world, &term, &json!({"custom_spelling": "always"})).await.problem(400, "bad-request");
    // Heard otherwise once, it is not always the same.
    let (_, other) = transcribed(&world, "See Clerk Ridge now.").await;
    correct(&world, &other, 0, 1..3, "Kowalczyk").await;
    learn(&world).await;
    assert_eq!(spelling(0).await, Value::Null);
    patch(&world, &term, &json!({"custom_spelling": "active"})).await.problem(409, "no-spelling");
}

#[tokio::test]
async fn what_somebody_says_is_never_spelled_otherwise() {
    let world = World::new().await;
    for (heard, at, typed) in
        [("ask with now", 1..2, "Wyth"), ("ask Ridley now", 1..2, "Ridlee"), ("ask bean now", 1..2, "Siobhan Lee")]
    {
        for _ in 0..2 {
            let (_, id) = transcribed(&world, heard).await;
            correct(&world, &id, 0, at.clone(), typed).await;
            learn(&world).await;
        }
    }
    let spellings = async || {
        let found = terms(&world, "").await;
        found.iter().map(|term| (term["term"].clone(), term["custom_spelling"]["state"].clone())).collect::<Vec<_>>()
    };
    let none = Value::Null;
    let expected = [("Ridlee", json!("proposed")), ("Siobhan Lee", none.clone()), ("Wyth", none.clone())];
    assert_eq!(spellings().await, expected.map(|(term, state)| (json!(term), state)));
    // In a checked call, it is right.
    let (_, id) = transcribed(&world, "Mr Ridley is here").await;
    world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await;
    assert_eq!(spellings().await[0], (json!("Ridlee"), none));
}

/// The states and counts of the terms, and how often terms were said in all calls.
async fn counted(world: &World) -> (Vec<(String, [u64; 3])>, Value) {
    learn(world).await;
    let count = |term: &Value| {
        let (word, state) = word_and_state(term);
        let number = |name: &str| term[name].as_u64().expect("a number");
        (format!("{word} {state}"), ["said", "heard", "corrections"].map(number))
    };
    let groups = world.get("/accuracy").await.json()["groups"].clone();
    (terms(world, "").await.iter().map(count).collect(), groups[0]["keyterms"]["said"].clone())
}

#[tokio::test]
async fn what_was_counted_follows_a_change_of_the_vocabulary() {
    let world = World::new().await;
    let (_, id) = transcribed(&world, "Take metoprolol and sparing the lactone with rivaroxaban today.").await;
    correct(&world, &id, 0, 3..6, "spironolactone").await;
    world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await;
    let of = |terms: &[(&str, [u64; 3])], said: u64| {
        (terms.iter().map(|(term, counts)| ((*term).to_owned(), *counts)).collect::<Vec<_>>(), json!(said))
    };
    // What is proposed at this moment is a term from the next count on.
    assert_eq!(counted(&world).await, of(&[("spironolactone proposed", [0, 0, 1])], 1));
    let added = add(&world, &json!({"term": "metoprolo"})).await.json();
    let seen = [("metoprolo active", [0, 0, 0]), ("spironolactone proposed", [1, 0, 1])];
    assert_eq!(counted(&world).await, of(&seen, 1));
    patch(&world, &added["id"], &json!({"term": "metoprolol"})).await;
    let seen = [("metoprolol active", [1, 1, 0]), ("spironolactone proposed", [1, 0, 1])];
    assert_eq!(counted(&world).await, of(&seen, 2));
    // A term that is for other calls is counted there.
    patch(&world, &added["id"], &json!({"scope": {"tag": "spring"}})).await;
    let seen = [("metoprolol active", [0, 0, 0]), ("spironolactone proposed", [1, 0, 1])];
    assert_eq!(counted(&world).await, of(&seen, 1));
    // What is deleted is not proposed again because of another term, and what is rejected is in no rate.
    let proposal = terms(&world, "?state=proposed").await[0]["id"].clone();
    let path = format!("/vocabulary/{}", proposal.as_str().expect("an id"));
    assert_eq!(world.send(Method::DELETE, &path, &[], "").await.status, 204);
    let added = add(&world, &json!({"term": "rivaroxaban"})).await.json();
    let seen = [("metoprolol active", [0, 0, 0]), ("rivaroxaban active", [1, 1, 0])];
    // The correction teaches it at the next one; until then it counts as something that had to be right.
    assert_eq!(counted(&world).await, of(&seen, 2));
    patch(&world, &added["id"], &json!({"state": "rejected"})).await;
    let seen = [("metoprolol active", [0, 0, 0]), ("rivaroxaban rejected", [1, 1, 0])];
    assert_eq!(counted(&world).await, of(&seen, 1));
}

#[tokio::test]
async fn instances_that_learn_at_the_same_time_count_everything_once() {
    let world = World::new().await;
    let (other, url) = world.another_app_with_url(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(transcribed(&world, HEARD).await.1);
    }
    for (at, id) in ids.iter().enumerate() {
        let base = if at % 2 == 0 { &world.base } else { &url };
        let correction = json!({"version": 0, "from": 2, "to": 5, "text": "spironolactone"});
        let path = format!("{base}/transcript/{id}/corrections");
        let answer = crate::support::client().post(path).json(&correction).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    let both = async || {
        world.clock.advance(Duration::from_secs(10));
        while {
            let (one, two) = tokio::join!(world.app.run_due_jobs(), other.run_due_jobs());
            one + two > 0
        } {}
        world.settle().await;
    };
    both().await;
    let misheard = ["sparing the lactone"];
    assert_eq!(learned(&world).await, [proposed("spironolactone", 6, &misheard)]);
    // Each transcript is learned from and counted at the same time.
    add(&world, &json!({"term": "Kowalczyk"})).await;
    for id in &ids {
        world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await;
    }
    both().await;
    let seen = learned(&world).await;
    assert_eq!(seen[1], proposed("spironolactone", 6, &misheard));
    assert_eq!(terms(&world, "?state=proposed").await[0]["said"], 6);
    assert_eq!(world.store.number("SELECT count(*) FROM term_uses").await, 6);
    other.stop().await;
}

#[tokio::test]
async fn a_long_list_is_stored_in_parts_and_sent_again_is_stored_once() {
    let world = World::new().await;
    let mut list: Vec<String> = (0..1_100).map(|number| format!("term {number:04}")).collect();
    // In another case, in another part.
    list.push("TERM 0000".to_owned());
    for status in [201, 200] {
        let added = add(&world, &json!({"terms": list})).await;
        assert_eq!(added.status, status);
        assert_eq!(added.json()["terms"].as_array().map(Vec::len), Some(1_101));
        assert_eq!(world.store.number("SELECT count(*) FROM terms WHERE state = 'active'").await, 1_100);
    }
    assert_eq!(words(&terms(&world, "").await)[0], "TERM 0000");
}
