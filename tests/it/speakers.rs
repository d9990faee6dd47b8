//! Who said what: whether the channels of a recording are transcribed by themselves, and the names of speakers.

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{Audio, SeededRecording};
use reqwest::Method;
use serde_json::{Value, json};

use crate::export::{check_dialog, dialog, speakers_of_srt, speakers_of_text, speakers_of_vtt};
use crate::support::{Answer, World, assert_happened};

/// Length of the header of the sandbox's WAV files.
const HEADER: usize = 44;

/// Returns the sandbox's speech with the same on both channels.
fn equal_channels() -> Vec<u8> {
    let mut file = speech::stereo().to_vec();
    for frame in file[HEADER..].chunks_exact_mut(4) {
        let (first, second) = frame.split_at_mut(2);
        second.copy_from_slice(first);
    }
    file
}

/// Makes a call that has a recording with two channels, too, the voice on the first. Returns the SIDs of both.
async fn two_channels(world: &World) -> (String, String) {
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let seeded = SeededRecording { call_sid: call.clone(), channels: 2, source: "DialVerb", ..Default::default() };
    (world.twilio.add_recording(seeded), call)
}

/// Orders a transcript of a recording. Returns its id.
async fn ordered(world: &World, request: &Value) -> String {
    let answer = world.post_json("/transcribe", request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Makes a call whose recording has two channels, and a transcript of it with these words. Returns the SID of the call and
/// the id of the transcript.
pub(crate) async fn said(world: &World, words: &[Value]) -> (String, String) {
    let (recording, call) = two_channels(world).await;
    let id = transcribed(world, &json!({"recording_sid": recording}), words).await;
    (call, id)
}

async fn transcribed(world: &World, request: &Value, words: &[Value]) -> String {
    // A step that is repeated takes so long that the transcript would be there before these words.
    world.assemblyai.hold();
    let id = ordered(world, request).await;
    let body = json!({"id": id, "status": "completed", "text": "as AssemblyAI has it", "words": words}).to_string();
    for _ in 0..10 {
        world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    }
    world.assemblyai.release();
    world.settle().await;
    id
}

/// Ahoy on the first channel, a question on the second, the answer on the first.
fn few_words() -> Vec<Value> {
    let word = |text: &str, channel: &str, start: u64| {
        let end = start + 300;
        json!({"text": text, "start": start, "end": end, "confidence": 0.9, "channel": channel, "speaker": channel})
    };
    vec![word("Ahoy!", "1", 0), word("Who?", "2", 1_000), word("Me.", "1", 2_000)]
}

pub(crate) async fn text(world: &World, id: &str) -> String {
    world.get(&format!("/transcript/{id}?format=text")).await.text()
}

/// Returns the text of a transcript as its call shows it.
async fn text_in_call(world: &World, call: &str, id: &str) -> String {
    let seen = world.call(call).await;
    let mut transcripts = seen["transcripts"].as_array().expect("transcripts").iter();
    let transcript = transcripts.find(|transcript| transcript["id"] == id).expect("the transcript");
    transcript["text"].as_str().expect("a text").to_owned()
}

pub(crate) async fn page(world: &World, call: &str) -> String {
    world.get_with(&format!("/calls/{call}"), &[("accept", "text/html")]).await.text()
}

async fn name(world: &World, call: &str, naming: &Value) -> Answer {
    world.post_json(&format!("/calls/{call}/speakers"), naming).await
}

#[tokio::test]
async fn an_order_asks_for_both_channels_if_they_differ_and_nobody_has_decided() {
    let world = World::new().await;
    let equal = SeededRecording { channels: 2, audio: Audio::Bytes(equal_channels().into()), ..Default::default() };
    let equal = world.twilio.add_recording(equal);
    let (different, call) = two_channels(&world).await;
    let mono = world.twilio.add_recording(SeededRecording::default());
    let as_mp3 = format!("{}.mp3", world.media_url(&different));
    let mixed = format!("{}.wav?RequestedChannels=1", world.media_url(&different));
    for (request, asked, differ) in [
        (json!({"recording_sid": different}), json!(true), json!(true)),
        (json!({"recording_sid": equal}), json!(null), json!(false)),
        (json!({"recording_sid": mono}), json!(null), json!(null)),
        (json!({"recording_sid": different, "multichannel": false}), json!(false), json!(true)),
        (json!({"recording_sid": equal, "multichannel": true}), json!(true), json!(false)),
        (json!({"recording_sid": different, "speaker_labels": true}), json!(true), json!(true)),
        (json!({"recording_url": as_mp3, "again": true}), json!(true), json!(true)),
        (json!({"recording_url": mixed}), json!(null), json!(null)),
    ] {
        let id = ordered(&world, &request).await;
        let sent = world.transcript_requests().pop().expect("an order");
        assert_eq!(sent["multichannel"], asked, "{request}");
        let sql = format!(
            "SELECT coalesce(CAST(channels_differ AS TEXT), 'null') FROM transcripts WHERE transcript_id = '{id}'"
        );
        let stored = world.store.texts(&sql).await.swap_remove(0);
        let expected = differ.as_bool().map_or("null", |differ| if differ { "1" } else { "0" });
        assert_eq!(stored, expected, "{request}");
    }
    world.settle().await;
    let seen = world.call(&call).await;
    let shown =
        seen["transcripts"].as_array().expect("transcripts").iter().filter(|one| one["channels_differ"] == true);
    assert!(shown.count() > 0, "{seen}");
}

#[tokio::test]
async fn a_page_says_that_equal_channels_were_made_one_only_where_they_were() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let audio = Audio::Bytes(equal_channels().into());
    let seeded = SeededRecording { call_sid: call.clone(), channels: 2, audio, ..Default::default() };
    let recording = world.twilio.add_recording(seeded);
    let notes = async || page(&world, &call).await.matches("so they were transcribed as one").count();
    for (request, expected) in [
        (json!({"recording_sid": recording, "multichannel": true}), 0),
        (json!({"recording_sid": recording}), 1),
        (json!({"recording_sid": recording, "multichannel": false}), 2),
    ] {
        ordered(&world, &request).await;
        world.settle().await;
        assert_eq!(notes().await, expected, "{request}");
    }
}

#[tokio::test]
async fn the_settings_decide_about_channels_before_the_recording_does() {
    let world = World::with(&[("TRANSCRIPT_OPTIONS", r#"{"multichannel": false}"#)]).await;
    let (different, _) = two_channels(&world).await;
    ordered(&world, &json!({"recording_sid": different})).await;
    assert_eq!(world.transcript_requests().pop().expect("an order")["multichannel"], false);
}

#[tokio::test]
async fn the_channels_of_an_uploaded_file_are_compared_too() {
    let world = World::new().await;
    for (file, asked) in [
        (speech::stereo().to_vec(), json!(true)),
        (equal_channels(), json!(null)),
        (speech::WAV.to_vec(), json!(null)),
        (speech::MP3.to_vec(), json!(null)),
    ] {
        let head = "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"call\"\r\n\r\n";
        let form = [head.as_bytes(), &file, b"\r\n--limit--\r\n"].concat();
        let request = world.http.post(format!("{}/transcribe", world.base)).body(form);
        let request = request.header("content-type", "multipart/form-data; boundary=limit");
        assert_eq!(request.send().await.expect("an answer").status(), 200);
        assert_eq!(world.transcript_requests().pop().expect("an order")["multichannel"], asked);
    }
}

#[tokio::test]
async fn a_retry_of_an_order_decides_about_channels_as_the_first_time() {
    let world = World::new().await;
    let (recording, _) = two_channels(&world).await;
    let (orders, uploads) = (world.transcript_requests().len(), world.assemblyai.uploads().len());
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", crate::support::refuse(503));
    let refused = world.post_json("/transcribe", &json!({"recording_sid": recording})).await;
    assert_ne!(refused.status, 200, "{}", refused.text());
    world.after(std::time::Duration::from_secs(120)).await;
    world.after(std::time::Duration::from_secs(120)).await;
    let sent = world.transcript_requests().split_off(orders);
    assert!(sent.len() > 1 && sent.iter().all(|sent| sent["multichannel"] == true), "{sent:?}");
    assert_happened(world.assemblyai.uploads().len(), uploads + 1);
}

#[tokio::test]
async fn speakers_are_called_by_side_then_by_name_and_every_format_follows() {
    let world = World::new().await;
    let (call, id) = said(&world, &few_words()).await;
    assert_eq!(text(&world, &id).await.trim_end(), "Callee: Ahoy!\nOperator: Who?\nCallee: Me.");
    let speakers = world.call(&call).await["speakers"].take();
    assert_eq!(
        speakers,
        json!([
            {"channel": 1, "role": "party", "name": "Callee"},
            {"channel": 2, "role": "operator", "name": "Operator"},
        ])
    );

    let named = name(&world, &call, &json!({"1": "Mr <b>Lee", "2": " Dana "})).await;
    assert_eq!(named.status, 200, "{}", named.text());
    assert_eq!(named.json()["speakers"][0], json!({"channel": 1, "role": "party", "name": "Mr <b>Lee"}));
    assert_eq!(named.json()["speakers"], world.call(&call).await["speakers"]);
    assert_eq!(text(&world, &id).await.trim_end(), "Mr <b>Lee: Ahoy!\nDana: Who?\nMr <b>Lee: Me.");
    assert_eq!(text_in_call(&world, &call, &id).await, text(&world, &id).await.trim_end());
    let in_format = async |format: &str| world.get(&format!("/transcript/{id}?format={format}")).await.text();
    let srt = in_format("srt").await;
    assert!(srt.contains("\nMr <b>Lee: Ahoy!\n") && srt.contains("\nDana: Who?\n"), "{srt}");
    let vtt = in_format("vtt").await;
    assert!(vtt.contains("\n<v Mr &lt;b&gt;Lee>Ahoy!\n") && vtt.contains("\n<v Dana>Who?\n"), "{vtt}");
    let shown = page(&world, &call).await;
    assert!(shown.contains("<b dir=\"auto\">Mr &#60;b&#62;Lee<i class=\"unseen\">:</i></b>"), "{shown}");
    let json = in_format("json").await;
    assert!(!json.contains("Dana"), "AssemblyAI's JSON stays as it was: {json}");

    // Without names, each format is as it was without them.
    assert_eq!(in_format("text&speakers=none").await.trim_end(), "as AssemblyAI has it");
    for format in ["srt&speakers=none", "vtt&speakers=none"] {
        let plain = in_format(format).await;
        assert!(!plain.contains("Dana") && plain.contains("Who?"), "{plain}");
    }
    let wrong = world.get(&format!("/transcript/{id}?format=text&speakers=all")).await.problem(400, "bad-request");
    assert_eq!(wrong, "speakers: expected none, to leave them out");
    let found = world.get("/calls?q=assemblyai").await.json();
    assert_eq!(found["hits"][0]["transcript_id"], id.as_str(), "{found}");
}

#[tokio::test]
async fn the_name_of_a_contact_is_that_of_the_speaker_at_the_other_end_unless_it_was_named() {
    let world = World::new().await;
    let (call, id) = said(&world, &few_words()).await;
    let contact = world.post_json("/contacts/+14155551234", &json!({"name": "Kim <Lee"})).await;
    assert_eq!(contact.status, 201);
    let party = json!({"channel": 1, "role": "party", "name": "Kim <Lee"});
    assert_eq!(world.call(&call).await["speakers"][0], party);
    assert_eq!(text(&world, &id).await.trim_end(), "Kim <Lee: Ahoy!\nOperator: Who?\nKim <Lee: Me.");
    let in_format = async |format: &str| world.get(&format!("/transcript/{id}?format={format}")).await.text();
    let (srt, vtt) = (in_format("srt").await, in_format("vtt").await);
    assert!(srt.contains("\nKim <Lee: Ahoy!\n") && srt.contains("\nOperator: Who?\n"), "{srt}");
    assert!(vtt.contains("\n<v Kim &lt;Lee>Ahoy!\n") && vtt.contains("\n<v Operator>Who?\n"), "{vtt}");
    let shown = page(&world, &call).await;
    assert!(shown.contains("<b dir=\"auto\">Kim &#60;Lee<i class=\"unseen\">:</i></b>"), "{shown}");
    name(&world, &call, &json!({"1": "Dr Ong"})).await;
    assert!(text(&world, &id).await.starts_with("Dr Ong: Ahoy!\n"));
    name(&world, &call, &json!({"2": "", "swap": true})).await;
    assert!(text(&world, &id).await.starts_with("Operator: Ahoy!\nKim <Lee: Who?"));
}

#[tokio::test]
async fn names_belong_to_the_call_and_a_swap_takes_them_to_the_other_side() {
    let world = World::new().await;
    let (recording, call) = two_channels(&world).await;
    let first = transcribed(&world, &json!({"recording_sid": recording}), &few_words()).await;
    assert_eq!(name(&world, &call, &json!({"1": "Mr Lee", "2": "Dana"})).await.status, 200);
    let again = transcribed(&world, &json!({"recording_sid": recording, "again": true}), &few_words()).await;
    assert_ne!(first, again);
    for id in [&first, &again] {
        assert!(text(&world, id).await.starts_with("Mr Lee: Ahoy!\nDana: Who?"));
    }

    let swapped = name(&world, &call, &json!({"swap": true})).await;
    assert_eq!(
        swapped.json()["speakers"],
        json!([
            {"channel": 1, "role": "operator", "name": "Dana"},
            {"channel": 2, "role": "party", "name": "Mr Lee"},
        ])
    );
    assert!(text(&world, &again).await.starts_with("Dana: Ahoy!\nMr Lee: Who?"));
    // Names are given after the swap of the same request, and to the channels as they are then.
    let form = world.post_form(&format!("/calls/{call}/speakers"), "swap=true&1=&2=Foster").await;
    assert_eq!(form.status, 200, "{}", form.text());
    assert!(text(&world, &again).await.starts_with("Callee: Ahoy!\nFoster: Who?"));
    let named = world.call(&call).await["timeline"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["state"] == "speakers-named")
        .count();
    assert!(named >= 3, "open pages follow the history");
}

#[tokio::test]
async fn a_second_click_does_not_swap_back_and_a_form_names_those_whom_its_reader_saw() {
    let world = World::new().await;
    let (call, id) = said(&world, &few_words()).await;
    name(&world, &call, &json!({"1": "Mr Lee", "2": "Dana"})).await;
    let path = format!("/calls/{call}/speakers");
    let shown = page(&world, &call).await;
    assert_eq!(shown.matches("<input type=\"hidden\" name=\"swapped\" value=\"false\">").count(), 2, "{shown}");
    for _ in 0..2 {
        assert_eq!(world.post_form(&path, "swapped=false&swap=true").await.status, 200);
        assert!(text(&world, &id).await.starts_with("Dana: Ahoy!\nMr Lee: Who?"));
    }
    assert!(page(&world, &call).await.contains("name=\"swapped\" value=\"true\""));
    // In a page that does not know of the swap, somebody corrects a name.
    world.post_form(&path, "swapped=false&1=Mr+Leigh&2=Dana").await;
    assert!(text(&world, &id).await.starts_with("Dana: Ahoy!\nMr Leigh: Who?"));
    assert_eq!(world.call(&call).await["speakers"][0]["role"], "operator");
    world.post_form(&path, "swapped=true&swap=true").await;
    assert!(text(&world, &id).await.starts_with("Mr Leigh: Ahoy!\nDana: Who?"));
    // Without what was seen, each request swaps.
    for first in ["Dana", "Mr Leigh"] {
        name(&world, &call, &json!({"swap": true})).await;
        assert!(text(&world, &id).await.starts_with(first));
    }
    let wrong = world.post_form(&path, "swapped=yes").await.problem(400, "bad-request");
    assert_eq!(wrong, "swapped: expected true or false");
}

#[tokio::test]
async fn names_that_are_given_at_the_moment_of_a_swap_do_not_undo_it() {
    let world = World::new().await;
    let (call, _) = said(&world, &few_words()).await;
    let (world, call) = (&world, &call);
    let roles = async || world.call(call).await["speakers"][0]["role"].clone();
    let mut expected = ["operator", "party"].iter().cycle();
    for _ in 0..10 {
        let namings = (0..8).map(|n| async move {
            let naming = if n == 4 { json!({"swap": true}) } else { json!({"2": format!("Dana {n}")}) };
            assert_eq!(name(world, call, &naming).await.status, 200);
        });
        futures_util::future::join_all(namings).await;
        assert_eq!(roles().await, **expected.next().as_ref().expect("a role"));
    }
}

#[tokio::test]
async fn a_speaker_without_a_channel_has_a_name_by_letter() {
    let world = World::new().await;
    let mut words = few_words();
    for word in &mut words {
        word["speaker"] = json!(if word["channel"] == "1" { "A" } else { "B" });
        word["channel"] = Value::Null;
    }
    let (call, id) = said(&world, &words).await;
    assert!(text(&world, &id).await.starts_with("Speaker A: Ahoy!\nSpeaker B: Who?"));
    let named = name(&world, &call, &json!({"B": "Dana"})).await.json();
    assert_eq!(
        named["speakers"],
        json!([
            {"channel": null, "speaker": "A", "role": null, "name": "Speaker A"},
            {"channel": null, "speaker": "B", "role": null, "name": "Dana"},
        ])
    );
    assert!(text(&world, &id).await.starts_with("Speaker A: Ahoy!\nDana: Who?"));
    name(&world, &call, &json!({"swap": true})).await;
    assert!(text(&world, &id).await.starts_with("Dana: Ahoy!\nSpeaker B: Who?"));
}

#[tokio::test]
async fn what_is_no_name_is_refused_with_its_field_and_changes_nothing() {
    let world = World::new().await;
    let (call, id) = said(&world, &few_words()).await;
    let before = text(&world, &id).await;
    let long = "ß".repeat(201);
    for (naming, reason) in [
        (json!({"1": long}), "1: expected at most 200 characters; this one has 201"),
        (json!({"2": "\u{200b}\u{ad}"}), "2: expected a name, which may be any text of up to 200 characters"),
        (json!({"1": 7}), "1: expected a name"),
        (json!({"1": "Dana", "2": null}), "2: expected a name"),
        (json!({"swap": "yes"}), "swap: expected true or false"),
        (
            json!({"3": "Dana"}),
            "3: there is no such speaker; expected a channel, such as 1, or AssemblyAI's speaker, such as A",
        ),
        (
            json!({"1": "Dana", "swop": "x"}),
            "swop: there is no such speaker; expected a channel, such as 1, or AssemblyAI's speaker, such as A",
        ),
    ] {
        assert_eq!(name(&world, &call, &naming).await.problem(400, "bad-request"), reason);
    }
    let path = format!("/calls/{call}/speakers");
    assert_eq!(world.post_form(&path, "1=a&1=b").await.problem(400, "bad-request"), "1: expected once");
    assert_eq!(world.post_json(&path, &json!([1])).await.status, 400);
    assert_eq!(world.send(Method::POST, &path, &[("content-type", "text/plain")], "1").await.status, 415);
    assert_eq!(world.post_json(&path, &json!({"1": "x".repeat(70_000)})).await.status, 413);
    assert_eq!(text(&world, &id).await, before);
    let unknown = format!("/calls/CA{}/speakers", "7".repeat(32));
    world.post_json(&unknown, &json!({"1": "Dana"})).await.problem(404, "no-such-call");
    assert_eq!(name(&world, &call, &json!({"1": "ß".repeat(200), "2": "\u{5d3}\u{5e0}\u{5d4}"})).await.status, 200);
}

#[tokio::test]
async fn a_speaker_is_named_by_the_same_rule_as_a_contact() {
    let world = World::new().await;
    let (call, id) = said(&world, &few_words()).await;
    // On one line, without the marks that would turn the text after the name.
    let named = name(&world, &call, &json!({"1": " Da\n na\0", "2": "\u{202e}Lee\u{2066}"})).await;
    assert_eq!(
        (&named.json()["speakers"][0]["name"], &named.json()["speakers"][1]["name"]),
        (&json!("Da na"), &json!("Lee"))
    );
    assert_eq!(text(&world, &id).await.trim_end(), "Da na: Ahoy!\nLee: Who?\nDa na: Me.");
    // A name of an earlier version with nothing to see in it names nobody.
    world.store.execute("UPDATE speakers SET name = '\u{202e}' WHERE label = '2'").await.expect("SQL");
    assert_eq!(world.call(&call).await["speakers"][1]["name"], "Operator");
}

#[tokio::test]
async fn a_call_is_found_by_the_names_of_its_speakers_as_they_are_now() {
    let world = World::new().await;
    let (call, _) = said(&world, &few_words()).await;
    let other = world.dial("14155559876").await;
    world.settle().await;
    let found = async |q: &str| {
        let hits = world.get(&format!("/calls?q={q}")).await.json()["hits"].take();
        let mut found: Vec<String> = hits
            .as_array()
            .expect("hits")
            .iter()
            .map(|hit| hit["call"]["sid"].as_str().expect("a SID").to_owned())
            .collect();
        found.dedup();
        found
    };
    assert_eq!(found("okonkwo").await, [""; 0]);
    name(&world, &call, &json!({"1": "Mr Ökonkwo", "2": "Dana"})).await;
    for q in ["okonkwo", "OKONKWO", "okon*", "%22mr+okonkwo%22", "%22mr+ok%22*", "dana+okonkwo", "okonkwo+assemblyai"] {
        assert_eq!(found(q).await, [call.as_str()], "{q}");
    }
    for q in ["okonk", "%22okonkwo+mr%22", "okonkwo+zebra", "okonkwo&state=busy", "okonkwo&number=9876"] {
        assert_eq!(found(q).await, [""; 0], "{q}");
    }
    assert_eq!(found("okonkwo&number=1234").await, [call.as_str()]);
    let snippet = world.get("/calls?q=okonkwo").await.json()["hits"][0]["snippet"][0].take();
    assert_eq!(snippet["hit"], false, "{snippet}");
    // Those that an earlier version has stored are found once the store was opened.
    world.store.execute("UPDATE speakers SET folded_name = NULL").await.expect("SQL");
    assert_eq!(found("okonkwo").await, [""; 0]);
    world.another_app().await.stop().await;
    assert_eq!(found("okonkwo").await, [call.as_str()]);
    name(&world, &other, &json!({"A": "Okonkwo"})).await;
    name(&world, &call, &json!({"1": "Mr Lee"})).await;
    assert_eq!((found("okonkwo").await, found("lee").await), (vec![other], vec![call.clone()]));
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    assert_eq!(found("lee").await, [""; 0]);
}

#[tokio::test]
async fn names_are_deleted_with_their_call() {
    let world = World::new().await;
    let (call, _) = said(&world, &few_words()).await;
    name(&world, &call, &json!({"1": "Mr Lee", "swap": true})).await;
    assert_eq!(world.store.number("SELECT count(*) FROM speakers").await, 1);
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    name(&world, &call, &json!({"1": "Dana"})).await.problem(410, "deleted");
    world.settle().await;
    assert_eq!(world.store.number("SELECT count(*) FROM speakers").await, 0);
    assert_eq!(world.store.number("SELECT count(*) FROM swapped_calls").await, 0);
}

#[tokio::test]
async fn a_browser_names_speakers_by_form_and_returns_to_the_call() {
    let world = World::new().await;
    let (call, _) = said(&world, &few_words()).await;
    let shown = page(&world, &call).await;
    assert!(shown.contains("<summary>Speakers: <bdi>Callee</bdi>, <bdi>Operator</bdi></summary>"), "{shown}");
    assert!(shown.contains("name=\"2\" value=\"\" placeholder=\"Operator\""), "{shown}");
    let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    let sent = world.send(Method::POST, &format!("/calls/{call}/speakers"), &form, "1=Mr+Lee&2=").await;
    assert_eq!(sent.status, 303);
    assert_eq!(sent.header("location"), format!("/calls/{call}#speakers"));
    let shown = page(&world, &call).await;
    assert!(shown.contains("<summary>Speakers: <bdi>Mr Lee</bdi>, <bdi>Operator</bdi></summary>"), "{shown}");
    assert!(shown.contains("class=\"voice-0\"") && shown.contains("class=\"voice-1\""), "{shown}");
    // A refused form comes back with what was typed and the reason.
    let path = format!("/calls/{call}/speakers");
    let refused = world.send(Method::POST, &path, &form, "swapped=false&1=%E2%80%8B&2=Dana").await;
    assert_eq!(refused.status, 400);
    for part in ["1: expected a name", "value=\"Dana\"", "value=\"false\"", "Channel 1 (party)", "action=\"/calls/CA"] {
        assert!(refused.text().contains(part), "{part} in {}", refused.text());
    }
}

#[tokio::test]
async fn one_speaker_is_not_named() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let seen = world.call(&call).await;
    assert_eq!(seen["speakers"], json!([]));
    let transcript = &seen["transcripts"][0];
    assert_eq!(text(&world, transcript["id"].as_str().expect("an id")).await.trim_end(), transcript["text"]);
    assert!(!page(&world, &call).await.contains("Speakers:"));
}

#[tokio::test]
async fn ten_thousand_words_on_two_channels_are_each_said_once_by_their_speaker() {
    let world = World::new().await;
    let words = dialog(10_000);
    let (call, id) = said(&world, &words).await;
    assert_eq!(name(&world, &call, &json!({"1": "Dana", "2": "Mr Lee"})).await.status, 200);
    check_dialog(&words, speakers_of_text(text(&world, &id).await.trim_end()));
    let in_format = async |format: &str| world.get(&format!("/transcript/{id}?format={format}")).await.text();
    for spoken in [speakers_of_srt(&in_format("srt").await), speakers_of_vtt(&in_format("vtt").await)] {
        check_dialog(&words, spoken.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    }
    let json: Value = serde_json::from_str(&in_format("json").await).expect("JSON");
    assert_eq!(json["words"], json!(words));
    let shown = page(&world, &call).await;
    let spoken: Vec<(String, String)> =
        shown.split("<p dir=\"auto\" class=\"voice-").skip(1).map(spoken_on_page).collect();
    check_dialog(&words, spoken.iter().map(|(name, text)| (name.as_str(), text.as_str())));
}

#[tokio::test]
async fn what_is_said_into_a_long_speech_is_read_where_it_was_said() {
    let world = World::new().await;
    let said_at = |text: &str, channel: &str, start: u64| {
        let end = start + 300;
        json!({"text": text, "start": start, "end": end, "confidence": 0.9, "channel": channel, "speaker": channel})
    };
    // Sentences of four seconds, without a pause.
    let text_of = |n: u64| {
        if n % 10 == 9 {
            "end."
        } else if n.is_multiple_of(10) {
            "And"
        } else {
            "then"
        }
    };
    let mut words: Vec<Value> = (0..240).map(|n| said_at(text_of(n), "1", 400 * n)).collect();
    words.insert(13, said_at("Right.", "2", 5_000));
    let (call, id) = said(&world, &words).await;
    let text = text(&world, &id).await;
    let lines: Vec<(&str, usize)> =
        speakers_of_text(text.trim_end()).iter().map(|(name, said)| (*name, said.split(' ').count())).collect();
    assert_eq!(lines, [("Callee", 20), ("Operator", 1), ("Callee", 220)]);
    let shown = page(&world, &call).await;
    let clocks: Vec<&str> = shown
        .split("class=\"voice-")
        .skip(1)
        .filter_map(|paragraph| paragraph.split_once("data-start=")?.1.split_once('>')?.1.split_once('<'))
        .map(|(clock, _)| clock)
        .collect();
    assert_eq!(clocks, ["0:00", "0:05", "0:08", "0:40", "1:12"]);
}

/// Returns the name in a paragraph of a page, and its words.
fn spoken_on_page(paragraph: &str) -> (String, String) {
    let (paragraph, _) = paragraph.split_once("</p>").expect("the end of a paragraph");
    let (paragraph, _) = paragraph.split_once(" <a class=\"correct\"").expect("a link to correct it");
    let (_, rest) = paragraph.split_once("<b dir=\"auto\">").expect("a name");
    let (name, rest) = rest.split_once('<').expect("the end of the name");
    let (_, rest) = rest.split_once("</b>").expect("words");
    let mut words = String::new();
    for part in rest.split('<') {
        words += part.split_once('>').map_or(part, |(_, text)| text);
    }
    (name.to_owned(), words)
}
