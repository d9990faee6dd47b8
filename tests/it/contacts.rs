//! Contacts: names for numbers, in lists, pages, file names, search and key terms; and the deletion of all their calls.

use std::time::Duration;

use callscribe::sandbox::twilio::{ACCOUNT_SID, PHONE_NUMBER, SeededCall};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::stream::Stream;
use crate::support::{Answer, World};

const NUMBER: &str = "+14155551234";
const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn put(world: &World, number: &str, contact: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    world.send(Method::PUT, &format!("/contacts/{number}"), &json, &contact.to_string()).await
}

pub(crate) async fn name(world: &World, number: &str, name: &str) {
    let answer = put(world, number, &json!({"name": name})).await;
    assert!(answer.status.is_success(), "{name}: {}", answer.text());
}

/// The page at this address, as a browser gets it.
async fn page(world: &World, path: &str) -> String {
    let answer = world.get_with(path, &[HTML]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

async fn submit(world: &World, path: &str, form: &str) -> Answer {
    world.send(Method::POST, path, &[HTML, FORM], form).await
}

/// A call to this number, with its transcript.
async fn transcribed(world: &World, number: &str) -> String {
    let sid = world.dial(number).await;
    world.settle().await;
    assert_eq!(world.call(&sid).await["progress"], "done");
    sid
}

/// An inbound call from the number that is up. Returns its SID.
async fn calling(world: &World) -> String {
    let sid = world.twilio.add_call(SeededCall::default());
    let update = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", &*sid),
        ("CallStatus", "in-progress"),
        ("Direction", "inbound"),
        ("From", NUMBER),
        ("To", PHONE_NUMBER),
    ];
    assert_eq!(world.callback("/hooks/twilio/call", &update).await.status, 204);
    sid
}

/// The SIDs of the calls that a search finds.
async fn found(world: &World, q: &str) -> Vec<String> {
    let hits = world.get(&format!("/calls?q={q}")).await.json();
    let sid = |hit: &Value| hit["call"]["sid"].as_str().expect("a SID").to_owned();
    hits["hits"].as_array().expect("hits").iter().map(sid).collect()
}

#[tokio::test]
async fn a_contact_is_stored_replaced_changed_listed_and_deleted() {
    let world = World::new().await;
    world.get(&format!("/contacts/{NUMBER}")).await.problem(404, "no-such-contact");
    let dana = json!({"number": NUMBER, "name": "Dana Lee", "keyterms": ["metoprolol", "Dr. Ong"], "notes": "a\nb"});
    let answer = put(&world, NUMBER, &dana).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, dana.clone()));
    assert_eq!(world.get(&format!("/contacts/{NUMBER}")).await.json(), dana);
    // What was read can be written; what is not given is empty then.
    assert_eq!(put(&world, NUMBER, &dana).await.status, 200);
    let answer = put(&world, "1%20(415)%20555-1234", &json!({"name": " Dana\u{a0} Lee "})).await;
    let plain = json!({"number": NUMBER, "name": "Dana Lee", "keyterms": [], "notes": ""});
    assert_eq!((answer.status.as_u16(), answer.json()), (200, plain));
    // A form changes what it has.
    let answer = world.post_form(&format!("/contacts/{NUMBER}"), "keyterms=a,b").await;
    assert_eq!(
        (answer.json()["name"].clone(), answer.json()["keyterms"].clone()),
        (json!("Dana Lee"), json!(["a", "b"]))
    );
    let answer = world.post_form("/contacts", "number=%2B442079460001&name=%C3%81kos").await;
    assert_eq!(answer.status, 201);
    name(&world, "+442079460002", "zoe").await;
    let names = |list: Value| -> Vec<String> {
        let contacts = list["contacts"].as_array().expect("contacts").clone();
        contacts.iter().map(|contact| contact["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(world.get("/contacts").await.json()), ["Ákos", "Dana Lee", "zoe"]);
    assert_eq!(names(world.get("/contacts?after=%2B14155551234").await.json()), ["zoe"]);
    world.get("/contacts?after=x").await.problem(400, "bad-request");
    let deleted = world.send(Method::DELETE, &format!("/contacts/{NUMBER}"), &[], "").await;
    assert_eq!(deleted.status, 204);
    world.send(Method::DELETE, &format!("/contacts/{NUMBER}"), &[], "").await.problem(404, "no-such-contact");
    assert_eq!(names(world.get("/contacts").await.json()), ["Ákos", "zoe"]);
}

#[tokio::test]
async fn what_is_no_contact_is_refused_with_the_reason() {
    let world = World::new().await;
    for (number, contact, expected) in [
        (NUMBER, json!({}), "name: expected a name"),
        (NUMBER, json!({"name": ""}), "name: expected a name"),
        (NUMBER, json!({"name": " \u{200b}"}), "name: expected a name"),
        (NUMBER, json!({"name": "x".repeat(201)}), "name: expected at most 200 characters; this one has 201"),
        (NUMBER, json!({"name": "x", "notes": "x".repeat(10_001)}), "notes: expected at most 10000 characters"),
        (NUMBER, json!({"name": "x", "nmae": "y"}), "unknown field `nmae`"),
        (NUMBER, json!({"name": "x", "number": "+14155559999"}), "number: expected +14155551234, as in the URL"),
        (NUMBER, json!("x"), "expected a JSON object; line 1, column 3"),
        ("911", json!({"name": "x"}), "a number with its country code has 8 to 15 digits"),
        ("dana", json!({"name": "x"}), "a number consists of the digits 0 to 9"),
        ("9175551234", json!({"name": "x"}), "this may be"),
    ] {
        let detail = put(&world, number, &contact).await.problem(400, "bad-request");
        assert!(detail.contains(expected), "{contact}: {detail}");
    }
    let detail = put(&world, NUMBER, &json!({"name": "x", "keyterms": ["one two three four five six seven"]})).await;
    assert!(detail.problem(400, "bad-keyterms").contains("has 7 words"));
    assert_eq!(world.get("/contacts").await.json(), json!({"contacts": [], "next": null}));
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn old_calls_have_the_name_from_then_on_in_both_directions() {
    let world = World::new().await;
    let dialed = transcribed(&world, "14155551234").await;
    let caller = calling(&world).await;
    let other = transcribed(&world, "14155559876").await;
    assert_eq!(world.call(&dialed).await["contact"], json!(null));
    for called in ["Dana Lee", "Mr O'Brien", "<b>\"&amp;"] {
        name(&world, NUMBER, called).await;
        for sid in [&dialed, &caller] {
            assert_eq!(world.call(sid).await["contact"], json!({"number": NUMBER, "name": called}));
        }
        assert_eq!(world.call(&other).await["contact"], json!(null));
        let calls = world.get("/calls").await.json()["calls"].clone();
        let named = calls.as_array().expect("calls").iter().filter(|call| call["contact"]["name"] == called).count();
        assert_eq!(named, 2, "{calls:#}");
        let escaped = called.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;");
        let escaped = escaped.replace('\'', "&#39;");
        for path in ["/".to_owned(), "/calls".to_owned(), format!("/calls/{dialed}"), "/contacts".to_owned()] {
            let text = page(&world, &path).await;
            assert!(text.contains(&format!("<bdi>{escaped}</bdi>")), "{escaped} on {path}: {text}");
            assert!(!text.contains("<b>"), "{path}");
        }
        assert!(page(&world, &format!("/calls/{dialed}")).await.contains(&format!("{escaped} · Done")));
    }
    world.send(Method::DELETE, &format!("/contacts/{NUMBER}"), &[], "").await;
    assert_eq!(world.call(&dialed).await["contact"], json!(null));
}

#[tokio::test]
async fn a_call_is_found_by_the_name_of_its_contact_as_it_is_now() {
    let world = World::new().await;
    let dana = transcribed(&world, "14155551234").await;
    world.clock.advance(Duration::from_secs(1));
    let other = transcribed(&world, "14155559876").await;
    assert_eq!(found(&world, "dana").await, [""; 0]);
    name(&world, NUMBER, "Ðana O'Brien Łee").await;
    for q in ["dana", "DANA+lee", "%22dana+obrien%22", "%22dana+obr%22*", "le*", "hello+dana", "dana&number=1234"] {
        assert_eq!(found(&world, q).await, [dana.as_str()], "{q}");
    }
    for q in ["dan", "%22obrien+dana%22", "dana+zebra", "dana&number=9876", "dana&state=busy"] {
        assert_eq!(found(&world, q).await, [""; 0], "{q}");
    }
    assert_eq!(found(&world, "hello").await, [other.as_str(), dana.as_str()]);
    let answer = world.get("/calls?q=dana").await.json();
    assert_eq!(answer["contacts"], json!([{"number": NUMBER, "name": "Ðana O'Brien Łee"}]));
    let said: String = answer["hits"][0]["snippet"]
        .as_array()
        .expect("pieces")
        .iter()
        .filter_map(|piece| piece["text"].as_str())
        .collect();
    assert!(said.starts_with("Hello") && answer["hits"][0]["snippet"][0]["hit"] == false, "{said}");
    let text = page(&world, "/calls?q=dana").await;
    assert!(text.contains("all calls with +14155551234") && text.contains("/calls?number=%2B14155551234"), "{text}");
    name(&world, "+14155550000", "Robin").await;
    let text = page(&world, "/calls?q=robin").await;
    assert!(text.contains("all calls with +14155550000") && text.contains("No transcript found."), "{text}");
    name(&world, NUMBER, "Kim").await;
    assert_eq!((found(&world, "dana").await, found(&world, "kim").await), (vec![], vec![dana]));
}

#[tokio::test]
async fn files_have_the_name_of_the_contact() {
    let world = World::new().await;
    let sid = transcribed(&world, "14155551234").await;
    let call = world.call(&sid).await;
    let id = call["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let recording = call["recordings"][0]["sid"].as_str().expect("a SID").to_owned();
    let text = format!("/transcript/{id}?format=text");
    let at: jiff::Timestamp = call["created_at"].as_str().expect("a time").parse().expect("a time");
    let date = at.strftime("%Y-%m-%d %H.%M");
    let audio =
        async || world.get(&format!("/recordings/{recording}.wav")).await.header("content-disposition").to_owned();
    let saved = async || world.get(&text).await.header("content-disposition").to_owned();
    assert_eq!(saved().await, format!("inline; filename=\"{date} +14155551234.txt\""));
    for (called, plain, encoded) in
        [("Dana Lee", "Dana Lee", ""), ("../a\"b/c\\", "_a_b_c_", ""), ("محمد", "____", "%D9%85%D8%AD%D9%85%D8%AF")]
    {
        name(&world, NUMBER, called).await;
        let [in_text, in_audio] = match encoded {
            "" => [String::new(), String::new()],
            _ => {
                let date = date.to_string().replace(' ', "%20").replace('-', "%2D").replace('.', "%2E");
                [
                    format!("; filename*=UTF-8''{date}%20{encoded}%2Etxt"),
                    format!("; filename*=UTF-8''{encoded}%20{recording}%2Ewav"),
                ]
            }
        };
        assert_eq!(saved().await, format!("inline; filename=\"{date} {plain}.txt\"{in_text}"));
        assert_eq!(audio().await, format!("inline; filename=\"{plain} {recording}.wav\"{in_audio}"));
    }
    name(&world, NUMBER, &"ü".repeat(200)).await;
    assert!(world.get(&text).await.header("content-disposition").len() < 600);
}

#[tokio::test]
async fn a_contacts_name_and_key_terms_are_key_terms_of_its_calls() {
    let world = World::with(&[("KEYTERMS", "Ahoy")]).await;
    put(&world, NUMBER, &json!({"name": "Dana Lee", "keyterms": ["metoprolol", "Ahoy"]})).await;
    let sid = world.get("/dial/14155551234?keyterms=invoice").await.call_sid();
    world.settle().await;
    let expected = json!(["Ahoy", "invoice", "Dana Lee", "metoprolol"]);
    assert_eq!(world.transcript_requests()[0]["keyterms_prompt"], expected);
    assert_eq!(world.call(&sid).await["transcripts"][0]["keyterms_sent"], expected);
    // A name that is no key term is left out, and the order says so.
    let long = "one two three four five six seven";
    name(&world, NUMBER, long).await;
    let again = transcribed(&world, "14155551234").await;
    let transcript = world.call(&again).await["transcripts"][0].clone();
    assert_eq!((&transcript["keyterms_sent"], &transcript["keyterms_left_out"]), (&json!(["Ahoy"]), &json!([long])));
}

#[tokio::test]
async fn open_pages_of_all_instances_follow_a_change_of_a_name() {
    let world = World::new().await;
    let sid = transcribed(&world, "14155551234").await;
    let shown = page(&world, &format!("/calls/{sid}")).await;
    let (_, about) = shown.split_once("data-about=\"").expect("what the page follows");
    assert!(about.split('"').next().expect("its end").split(' ').any(|one| one == "contacts"), "{about}");
    let (app, other) = world.another_app_with_url(&[]).await;
    for base in [&world.base, &other] {
        let mut stream = Stream::open(&world.http, base, "", &[]).await.expect("a stream");
        name(&world, NUMBER, "Dana Lee").await;
        stream.until_changed("contacts").await;
        assert_eq!(world.send(Method::DELETE, &format!("/contacts/{NUMBER}"), &[], "").await.status, 204);
        stream.until_changed("contacts").await;
    }
    app.stop().await;
}

#[tokio::test]
async fn to_name_a_number_takes_no_model_from_its_calls() {
    let world = World::with(&[("KEYTERMS", "metoprolol")]).await;
    let both = json!(["assemblyai-stt-3-7", "universal-2"]);
    let terms = |numbers: std::ops::RangeInclusive<usize>| numbers.map(|n| format!("term {n}")).collect::<Vec<_>>();
    for (name, keyterms, sent, left_out) in [
        ("Dana", vec![], vec![], vec![]),
        (&*"x".repeat(51), vec!["ECG".to_owned()], vec!["ECG".to_owned()], vec![]),
        // With the setting and the name, 200.
        ("Dana", terms(1..=300), terms(1..=198), terms(199..=300)),
    ] {
        put(&world, NUMBER, &json!({"name": name, "keyterms": keyterms})).await;
        let sid = transcribed(&world, "14155551234").await;
        let order = world.transcript_requests().pop().expect("an order");
        assert_eq!(order["speech_models"], both, "{name}");
        let sent = [vec!["metoprolol".to_owned(), name.to_owned()], sent].concat();
        assert_eq!(order["keyterms_prompt"], json!(sent), "{name}");
        let transcript = world.call(&sid).await["transcripts"][0].clone();
        assert_eq!(transcript["keyterms_left_out"], json!(left_out), "{name}");
        assert_eq!(transcript["speech_models_reason"], json!(null), "{name}");
    }
    // What is typed for a call chooses the models as ever.
    world.get("/dial/14155559876?keyterms=ECG").await;
    world.settle().await;
    let order = world.transcript_requests().pop().expect("an order");
    assert_eq!(order["speech_models"], json!(["assemblyai-stt-3-7"]));
}

#[tokio::test]
async fn a_call_can_be_transcribed_again_with_a_name_that_came_later_and_is_paid_once() {
    let world = World::new().await;
    let sid = transcribed(&world, "14155551234").await;
    let (path, recording) = (format!("/calls/{sid}"), world.call(&sid).await["recordings"][0]["sid"].clone());
    let recording = recording.as_str().expect("a SID");
    let offers = async |terms: &str| page(&world, &path).await.contains(&format!("spelled right\" value=\"{terms}\">"));
    assert!(offers("").await);
    world.clock.advance(Duration::from_secs(1));
    put(&world, NUMBER, &json!({"name": "Dana", "keyterms": ["metoprolol"]})).await;
    assert!(offers("Dana, metoprolol").await);
    // The name alone orders nothing, however often the same is asked for.
    let orders = || world.assemblyai.transcripts().len();
    let again = async |keyterms: &str| {
        let form = format!("recording_sid={recording}&keyterms={keyterms}");
        assert_eq!(submit(&world, "/transcribe", &form).await.status, 303);
        world.settle().await;
    };
    again("").await;
    assert_eq!(orders(), 1);
    for _ in 0..2 {
        again("Dana,+metoprolol").await;
        assert_eq!(orders(), 2);
    }
    let order = world.transcript_requests().pop().expect("an order");
    assert_eq!(order["keyterms_prompt"], json!(["Dana", "metoprolol"]));
    assert_eq!(order["speech_models"], json!(["assemblyai-stt-3-7", "universal-2"]));
    assert!(offers("").await);
    again("").await;
    assert_eq!(orders(), 2);
    // A call that was transcribed with them offers none.
    let later = transcribed(&world, "14155551234").await;
    assert!(page(&world, &format!("/calls/{later}")).await.contains("spelled right\" value=\"\">"));
}

#[tokio::test]
async fn a_blank_field_of_the_form_for_new_contacts_leaves_what_is_stored() {
    let world = World::new().await;
    let stored = json!({"number": NUMBER, "name": "Dana", "keyterms": ["metoprolol"], "notes": "kept"});
    put(&world, NUMBER, &stored).await;
    let answer = submit(&world, "/contacts", "number=%2B14155551234&name=Dana+Lee&keyterms=&notes=+").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/contacts"));
    let expected = json!({"number": NUMBER, "name": "Dana Lee", "keyterms": ["metoprolol"], "notes": "kept"});
    assert_eq!(world.get(&format!("/contacts/{NUMBER}")).await.json(), expected);
    // The contact's own page shows what is stored, so a field that was emptied there is meant.
    submit(&world, &format!("/contacts/{NUMBER}"), "name=Dana+Lee&keyterms=&notes=").await;
    let expected = json!({"number": NUMBER, "name": "Dana Lee", "keyterms": [], "notes": ""});
    assert_eq!(world.get(&format!("/contacts/{NUMBER}")).await.json(), expected);
}

#[tokio::test]
async fn a_page_names_a_number_in_place_without_scripts() {
    let world = World::new().await;
    let sid = transcribed(&world, "14155551234").await;
    let call = format!("/calls/{sid}");
    let text = page(&world, &call).await;
    assert!(text.contains("Name this number") && text.contains(&format!("action=\"/contacts/{NUMBER}\"")), "{text}");
    put(&world, NUMBER, &json!({"name": "x", "keyterms": ["kept"], "notes": "kept"})).await;
    let answer = submit(&world, &format!("/contacts/{NUMBER}"), &format!("name=Dana+Lee&back={call}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, &*call));
    let stored = world.get(&format!("/contacts/{NUMBER}")).await.json();
    assert_eq!(stored, json!({"number": NUMBER, "name": "Dana Lee", "keyterms": ["kept"], "notes": "kept"}));
    assert!(page(&world, &call).await.contains("Rename"));
    // A refused form comes back with what was typed and the reason.
    let long = "y".repeat(201);
    let refused = submit(&world, &format!("/contacts/{NUMBER}"), &format!("name={long}&back={call}")).await;
    let text = refused.text();
    assert_eq!(refused.status, 400);
    for part in [&*format!("value=\"{long}\""), "at most 200 characters", &call, "aria-invalid", ">kept</textarea>"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // A number without + is one of the own country; another site is no way back.
    let added = submit(&world, "/contacts", "number=(415)+555-9876&name=Kim&keyterms=a,b&back=//evil.example/").await;
    assert_eq!((added.status.as_u16(), added.header("location")), (303, "/contacts"));
    assert_eq!(world.get("/contacts/14155559876").await.json()["keyterms"], json!(["a", "b"]));
    let elsewhere = submit(&world, "/contacts/14155559876", "name=Kim&back=//evil.example/").await;
    assert_eq!(elsewhere.header("location"), "/contacts");
    let refused = submit(&world, "/contacts", "number=12&name=Kim").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("value=\"12\"") && refused.text().contains("value=\"Kim\""), "{}", refused.text());
    let gone = submit(&world, "/contacts/14155559876/delete", "").await;
    assert_eq!((gone.status.as_u16(), gone.header("location")), (303, "/contacts"));
    world.get("/contacts/14155559876").await.problem(404, "no-such-contact");
    let text = page(&world, "/contacts/14155559876").await;
    assert!(text.contains("<h1>+14155559876</h1>"), "{text}");
}

#[tokio::test]
async fn what_a_deletion_cannot_do_is_refused_and_deletes_nothing() {
    let world = World::new().await;
    let sid = transcribed(&world, "14155551234").await;
    name(&world, NUMBER, "Dana Lee").await;
    let (contact, call) = (format!("/contacts/{NUMBER}"), format!("/calls/{sid}"));
    let deletions = [format!("{contact}/delete-calls"), format!("{call}/delete"), format!("{contact}/delete")];
    for path in deletions.iter().chain([&format!("{call}/retry")]) {
        let detail = world.post_json(path, &json!({"confirm": false})).await.problem(400, "bad-request");
        assert_eq!(detail, "there is no field \"confirm\" here", "{path}");
        let detail = world.post_form(path, "until=2026-11-01").await.problem(400, "bad-request");
        assert_eq!(detail, "there is no field \"until\" here", "{path}");
        let typed = world.post_form(path, "{\"until\": 1}").await;
        assert_eq!(typed.problem(400, "bad-request"), "there is no field \"until\" here", "{path}");
        assert_eq!(world.send(Method::POST, path, &[], "{\"confirm\": false}").await.status, 415, "{path}");
    }
    let body = "{\"confirm\": false}";
    let json = [("content-type", "application/json")];
    world.send(Method::DELETE, &contact, &json, body).await.problem(400, "bad-request");
    assert_eq!(world.call(&sid).await["progress"], "done");
    assert_eq!(world.get(&contact).await.json()["name"], "Dana Lee");
    // Nothing, an empty object, and what a page sends.
    assert_eq!(submit(&world, &deletions[0], "press=1").await.status, 303);
    assert_eq!(world.post_json(&deletions[1], &json!({})).await.status, 202);
    assert_eq!(world.post_form(&deletions[2], "").await.status, 204);
}

#[tokio::test]
async fn a_body_that_curl_calls_a_form_is_read_as_the_json_that_it_is() {
    let world = World::new().await;
    let json = json!({"name": "Dana", "keyterms": ["a, b"]}).to_string();
    let answer = world.post_form(&format!("/contacts/{NUMBER}"), &json).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["keyterms"]), (201, &json!(["a, b"])));
    let put = world.send(Method::PUT, &format!("/contacts/{NUMBER}"), &[FORM], "name=Kim").await;
    assert_eq!((put.status.as_u16(), &put.json()["name"], &put.json()["keyterms"]), (200, &json!("Kim"), &json!([])));
    let detail = world.post_form(&format!("/contacts/{NUMBER}"), "name=a&name=b").await.problem(400, "bad-request");
    assert_eq!(detail, "name: expected once");
    let detail = world.post_form(&format!("/contacts/{NUMBER}"), "nmae=a").await.problem(400, "bad-request");
    assert!(detail.contains("unknown field `nmae`"), "{detail}");
}

#[tokio::test]
async fn all_calls_of_a_contact_are_deleted_except_those_that_are_up() {
    let world = World::new().await;
    let one = transcribed(&world, "14155551234").await;
    world.clock.advance(Duration::from_secs(1));
    let two = transcribed(&world, "14155551234").await;
    let other = transcribed(&world, "14155559876").await;
    name(&world, NUMBER, "Dana Lee").await;
    let up = calling(&world).await;
    let path = format!("/contacts/{NUMBER}/delete-calls");
    let asked = page(&world, &path).await;
    assert!(asked.contains("words of 2 calls, with 2 recordings and 2 transcripts") && asked.contains(&up), "{asked}");
    let told = world.get(&path).await.json();
    assert_eq!((&told["calls"], &told["left"][0]["call"]), (&json!([&two, &one]), &json!(up)), "{told}");
    assert_eq!(world.call(&one).await["progress"], "done", "asking deletes nothing");
    let answer = world.post_form(&path, "").await;
    let receipt = json!({
        "number": NUMBER,
        "progress": "deleting",
        "here": {"calls": 2, "recordings": 2, "transcripts": 2},
        "twilio": {"calls": 2, "recordings": 2},
        "assemblyai": {"transcripts": 2},
        "calls": [&two, &one],
        "left": [{"call": up, "reason": "the call is not over; delete it when it is"}],
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (202, receipt));
    world.settle().await;
    for sid in [&one, &two] {
        world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
        assert!(world.twilio.recordings_of(sid).is_empty(), "{sid} has recordings at Twilio");
    }
    assert_eq!(found(&world, "hello").await, [other.as_str()]);
    assert_eq!(world.call(&up).await["contact"]["name"], "Dana Lee");
    let again = world.post_form(&path, "").await.json();
    assert_eq!((&again["calls"], &again["left"][0]["call"]), (&json!([]), &json!(up)));
    let nobody = world.post_form("/contacts/+442079460001/delete-calls", "").await;
    assert_eq!((nobody.status.as_u16(), &nobody.json()["here"]["calls"]), (202, &json!(0)));
    let receipt = submit(&world, &path, "").await.header("location").to_owned();
    let text = world.get_with(&receipt, &[("accept", "text/html")]).await.text();
    assert!(text.contains("words of 0 calls") && text.contains("1 was left"), "{text}");
}
