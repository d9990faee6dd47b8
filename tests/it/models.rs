//! Speech models and key terms: which are ordered, what the models do not take, and what becomes of an order whose model
//! AssemblyAI no longer has.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio::SeededRecording;
use reqwest::Method;
use serde_json::{Value, json};

use crate::pipeline::{FIRST_POLL, assert_transcribed, until_done};
use crate::support::{Answer, World, assert_happened, log, navigation, steps_repeat};

const MODELS: &str = "ASSEMBLYAI_SPEECH_MODELS";

/// Dials, and waits until the call has its transcript. Returns the call SID.
async fn transcribed_call(world: &World) -> String {
    let sid = world.dial("14155551234").await;
    until_done(world, std::slice::from_ref(&sid), FIRST_POLL, 20).await;
    sid
}

/// The only transcript of a call.
async fn transcript_of(world: &World, sid: &str) -> Value {
    let call = world.call(sid).await;
    assert_eq!(call["transcripts"].as_array().map(Vec::len), Some(1), "{call:#}");
    call["transcripts"][0].clone()
}

/// The speech models of each order that was sent.
fn models_sent(world: &World) -> Vec<Value> {
    world.transcript_requests().iter().map(|sent| sent["speech_models"].clone()).collect()
}

/// The same without repetitions of a step that was aborted.
fn distinct_models_sent(world: &World) -> Vec<Value> {
    let mut sent = models_sent(world);
    sent.dedup();
    sent
}

/// Requests a transcript until AssemblyAI has accepted it. Where steps are aborted, that takes several requests.
async fn transcribe(world: &World, request: &Value) -> Answer {
    for _ in 0..20 {
        let answer = world.post_json("/transcribe", request).await;
        if answer.status != 503 {
            return answer;
        }
        world.after(Duration::from_secs(60)).await;
    }
    panic!("the transcript is not accepted");
}

fn many(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("number {n}")).collect()
}

#[tokio::test]
async fn universal_2_is_ordered_beside_the_default_model_unless_it_would_not_take_the_key_terms() {
    let world = World::new().await;
    let both = json!(["assemblyai-stt-3-7", "universal-2"]);
    let alone = json!(["assemblyai-stt-3-7"]);
    let long = "a".repeat(51);
    for (terms, models) in [
        (json!([]), &both),
        (json!(many(200)), &both),
        (json!(["ahoys", "a".repeat(50)]), &both),
        (json!(many(201)), &alone),
        (json!(["Ahoy Street", "ahoy"]), &alone),
        (json!([long]), &alone),
        // As many characters, in more bytes.
        (json!(["äöüßé"]), &both),
        (json!(["äöüß"]), &alone),
        (json!(many(500)), &alone),
    ] {
        let recording = world.twilio.add_recording(SeededRecording::default());
        let request = json!({"recording_sid": recording, "keyterms": terms});
        assert_eq!(transcribe(&world, &request).await.status, 200);
        let sent = world.transcript_requests().pop().expect("an order");
        assert_eq!(&sent["speech_models"], models, "{terms}");
        assert_eq!(sent.get("keyterms_prompt").unwrap_or(&json!([])), &terms);
    }
}

#[tokio::test]
async fn an_order_without_universal_2_says_so_and_shows_its_key_terms_and_its_model() {
    let world = World::with(&[("KEYTERMS", "ECG, atrial fibrillation")]).await;
    let sid = transcribed_call(&world).await;
    let transcript = transcript_of(&world, &sid).await;
    assert_eq!(transcript["speech_models_sent"], json!(["assemblyai-stt-3-7"]));
    assert_eq!(transcript["speech_model_used"], "assemblyai-stt-3-7");
    assert_eq!(transcript["keyterms_sent"], json!(["ECG", "atrial fibrillation"]));
    assert_eq!(transcript["keyterms_left_out"], json!([]));
    let reason = "universal-2 was left out, because it would not take these key terms";
    assert_eq!(transcript["speech_models_reason"], reason);
    let page = world.get_with(&format!("/calls/{sid}"), &navigation::TYPED).await.text();
    for part in [reason, "Speech model: assemblyai-stt-3-7", "Key terms: ECG, atrial fibrillation"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[tokio::test]
async fn key_terms_that_the_only_model_ignores_are_left_out_and_named() {
    let world = World::with(&[(MODELS, "universal-2"), ("KEYTERMS", "ECG, atrial fibrillation")]).await;
    let sid = transcribed_call(&world).await;
    assert_eq!(world.transcript_requests()[0]["keyterms_prompt"], json!(["atrial fibrillation"]));
    let transcript = transcript_of(&world, &sid).await;
    assert_eq!(transcript["keyterms_sent"], json!(["atrial fibrillation"]));
    assert_eq!(transcript["keyterms_left_out"], json!(["ECG"]));
    assert_eq!(
        (&transcript["speech_models_reason"], &transcript["speech_model_used"]),
        (&Value::Null, &json!("universal-2"))
    );
    let page = world.get_with(&format!("/calls/{sid}"), &navigation::TYPED).await.text();
    assert!(page.contains("the speech model does not take them: ECG</p>"), "{page}");
}

#[tokio::test]
async fn key_terms_beyond_the_models_limits_are_refused_by_name_before_any_vendor_request() {
    let world = World::new().await;
    let request = |keyterms: Value, models: Value| json!({"audio_url": "https://example.com/a.wav", "keyterms": keyterms, "speech_models": models});
    let (both, second) = (json!(["assemblyai-stt-3-7", "universal-2"]), json!(["universal-2"]));
    for (fields, words) in [
        (
            request(json!("fine, one two three four five six seven"), both.clone()),
            "\"one two three four five six seven\"",
        ),
        (
            request(json!(many(201)), second.clone()),
            "universal-2 accepts at most 200; the first one over the limit is \"number 201\"",
        ),
        (
            request(json!(many(501)), both.clone()),
            "assemblyai-stt-3-7 accepts at most 1000; the first one over the limit is \"number 501\"",
        ),
    ] {
        let detail = world.post_json("/transcribe", &fields).await.problem(400, "bad-keyterms");
        assert!(detail.contains(words), "{detail}");
    }
    world
        .get("/dial/14155551234?keyterms=one%20two%20three%20four%20five%20six%20seven")
        .await
        .problem(400, "bad-keyterms");
    assert_eq!(world.vendor_requests(), 0);
    for fields in [request(json!(many(200)), second), request(json!(many(500)), both)] {
        assert_eq!(transcribe(&world, &fields).await.status, 200);
    }
    // Every one of them is a word.
    let terms = (1..=1_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let world = World::with(&[("KEYTERMS", &terms)]).await;
    world.dial("14155551234").await;
}

#[tokio::test]
async fn an_order_whose_model_is_retired_continues_with_the_model_that_the_refusal_names() {
    let world = World::with(&[(MODELS, "universal-3-5-pro,universal-2")]).await;
    world.twilio.mark_recordings();
    world.assemblyai.retire_model("universal-3-5-pro");
    let sid = transcribed_call(&world).await;
    assert_transcribed(&world, &sid).await;
    let sent = distinct_models_sent(&world);
    let (asked, instead) = (json!(["universal-3-5-pro", "universal-2"]), json!(["assemblyai-stt-3-7", "universal-2"]));
    assert_eq!(sent, [asked, instead.clone()]);
    assert_eq!(world.assemblyai.transcripts().len(), 1, "a refusal is no order");
    assert_happened(world.assemblyai.uploads().len(), 1);

    let transcript = transcript_of(&world, &sid).await;
    let reason = "AssemblyAI refused universal-3-5-pro, so the order continued with assemblyai-stt-3-7, universal-2";
    assert_eq!(transcript["speech_models_reason"], reason);
    assert_eq!(transcript["speech_models_sent"], instead);
    assert_eq!(transcript["speech_model_used"], "assemblyai-stt-3-7");
    let page = world.get_with(&format!("/calls/{sid}"), &navigation::TYPED).await.text();
    assert!(page.contains(reason), "{page}");
    assert!(page.contains("AssemblyAI refuses the speech model universal-3-5-pro"), "{page}");

    // The same request is still the same order.
    let again = world.post_json("/transcribe", &json!({"call_sid": sid})).await;
    assert_eq!((again.status.as_u16(), &again.json()["id"]), (200, &transcript["id"]));
    assert_eq!(world.assemblyai.transcripts().len(), 1);
}

#[tokio::test]
async fn a_refusal_in_other_words_keeps_nothing_from_its_transcript() {
    if steps_repeat() {
        // Which of the requests is refused in these words depends on where steps are aborted.
        return;
    }
    for (words, models, expected) in [
        ("Unknown speech model", "universal-3-5-pro,universal-2", json!(["universal-2"])),
        ("Unknown speech model", "universal-3-5-pro", json!(["assemblyai-stt-3-7", "universal-2"])),
        (
            "The model universal-3-5-pro is deprecated, please use universal-2.",
            "universal-3-5-pro",
            json!(["universal-2"]),
        ),
        (
            "\\\"speech_models\\\" must be a non-empty list containing one or more of: \\\"universal-2\\\"",
            "universal-3-5-pro,assemblyai-stt-3-7",
            json!(["universal-2"]),
        ),
    ] {
        let world = World::with(&[(MODELS, models)]).await;
        world.assemblyai.retire_model("universal-3-5-pro");
        let refusal = Fault::wrong_body(format!("{{\"error\": \"{words}\"}}"));
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refusal);
        let recording = world.twilio.add_recording(SeededRecording::default());
        assert_eq!(transcribe(&world, &json!({"recording_sid": recording})).await.status, 200, "{words}");
        assert_eq!(models_sent(&world).pop(), Some(expected), "{words}");
        assert_eq!(world.assemblyai.transcripts().len(), 1);
    }
}

#[tokio::test]
async fn models_are_refused_one_after_the_other_and_an_order_that_has_none_left_fails_with_the_vendors_words() {
    let world = World::new().await;
    for model in ["assemblyai-stt-3-7", "universal-2", "universal-3-5-pro"] {
        world.assemblyai.retire_model(model);
    }
    let sid = world.dial("14155551234").await;
    for _ in 0..20 {
        world.after(Duration::from_secs(60)).await;
    }
    let call = world.call(&sid).await;
    assert_eq!(call["progress"], "failed", "{call:#}");
    let reason = call["transcripts"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("is deprecated"), "{reason}");
    assert_eq!(world.assemblyai.transcripts().len(), 0);
}

#[tokio::test]
async fn an_accepted_order_that_ends_because_its_model_is_retired_continues_with_the_next_model() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    let words = "The speech model assemblyai-stt-3-7 has been retired.";
    world.assemblyai.fail_next_transcript(words);
    let sid = transcribed_call(&world).await;
    assert_transcribed(&world, &sid).await;
    let transcript = transcript_of(&world, &sid).await;
    assert_eq!(transcript["speech_models_sent"], json!(["universal-2"]));
    let reason = "AssemblyAI refused assemblyai-stt-3-7, so the order continued with universal-2";
    assert_eq!(transcript["speech_models_reason"], reason);
    assert!(world.get("/readyz?verbose=1").await.text().contains("refuses the speech model assemblyai-stt-3-7"));
    assert_eq!(world.assemblyai.transcripts().len(), 2, "one that failed, and one");
    assert_happened(world.assemblyai.uploads().len(), 1);

    // The late webhook of the one that failed changes nothing, and a deletion finds both.
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    world.settle().await;
    let left = world.assemblyai.transcripts();
    assert!(left.iter().all(|one| one["audio_url"] == "http://deleted_by_user"), "{left:#?}");
}

#[tokio::test]
async fn an_order_whose_second_submission_is_lost_is_not_taken_for_the_one_that_ended() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    world.assemblyai.fail_next_transcript("The speech model assemblyai-stt-3-7 has been retired.");
    world.assemblyai.hold();
    let sid = world.dial("14155551234").await;
    world.after(Duration::from_secs(1)).await;
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    world.assemblyai.release();
    until_done(&world, std::slice::from_ref(&sid), FIRST_POLL, 20).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.transcripts().len(), 2);
}

#[tokio::test]
async fn a_model_that_is_refused_again_and_again_is_asked_for_once_in_some_hours() {
    if steps_repeat() {
        return;
    }
    let world = World::with(&[(MODELS, "universal-3-5-pro,universal-2")]).await;
    world.assemblyai.retire_model("universal-3-5-pro");
    let (old, new) = (json!(["universal-3-5-pro", "universal-2"]), json!(["assemblyai-stt-3-7", "universal-2"]));
    let order = async || {
        let before = models_sent(&world).len();
        let recording = world.twilio.add_recording(SeededRecording::default());
        assert_eq!(transcribe(&world, &json!({"recording_sid": recording})).await.status, 200);
        models_sent(&world).split_off(before)
    };
    for _ in 0..2 {
        assert_eq!(order().await, [old.clone(), new.clone()]);
    }
    for _ in 0..2 {
        assert_eq!(order().await, std::slice::from_ref(&new));
    }
    world.after(Duration::from_secs(6 * 60 * 60)).await;
    assert_eq!(order().await, [old.clone(), new.clone()]);
    assert_eq!(order().await, std::slice::from_ref(&new));
}

#[tokio::test]
async fn a_refusal_of_anything_but_a_model_is_the_answer() {
    let world = World::new().await;
    let request = json!({"audio_url": "https://example.com/a.wav", "word_boost": ["ahoy"]});
    let detail = transcribe(&world, &request).await.problem(400, "vendor-rejected");
    assert!(detail.contains("word_boost"), "{detail}");
    assert_eq!(distinct_models_sent(&world).len(), 1);
}

#[tokio::test]
async fn a_refusal_whose_answer_is_lost_and_a_second_try_whose_answer_is_lost_make_one_order() {
    let world = World::with(&[(MODELS, "universal-3-5-pro")]).await;
    world.twilio.mark_recordings();
    world.assemblyai.retire_model("universal-3-5-pro");
    let control = &world.assemblyai.control;
    // The first try, which is refused; then the same again, whose refusal arrives; then the second model.
    control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let arrives =
        Fault::wrong_body(r#"{"error": "\"universal-3-5-pro\" is deprecated. Use \"universal-2\" instead."}"#);
    control.fail_next(Method::POST, "/v2/transcript", arrives);
    control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let sid = transcribed_call(&world).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.transcripts().len(), 1);
    assert!(world.assemblyai.accepted_per_audio_url().values().all(|times| *times == 1));
    if !steps_repeat() {
        let old = json!(["universal-3-5-pro"]);
        assert_eq!(models_sent(&world), [old.clone(), old, json!(["universal-2"])]);
    }
}

#[tokio::test]
async fn an_order_that_is_shortened_to_universal_2_leaves_out_what_that_does_not_take() {
    let world = World::with(&[(MODELS, "universal-3-5-pro"), ("KEYTERMS", &many(300).join(","))]).await;
    for model in ["universal-3-5-pro", "assemblyai-stt-3-7"] {
        world.assemblyai.retire_model(model);
    }
    let sid = transcribed_call(&world).await;
    let transcript = transcript_of(&world, &sid).await;
    assert_eq!(transcript["speech_model_used"], "universal-2");
    assert_eq!(transcript["keyterms_sent"].as_array().map(Vec::len), Some(200));
    assert_eq!(transcript["keyterms_left_out"].as_array().map(Vec::len), Some(100));
}

#[tokio::test]
async fn a_retired_model_of_the_settings_is_told_once_and_again_at_the_next_start() {
    let settings = [(MODELS, "universal-41-once,universal-2")];
    let world = World::with(&settings).await;
    assert_eq!(world.get("/readyz?verbose=1").await.text(), "ok\n", "nothing is known of a model before it is ordered");
    for _ in 0..2 {
        let recording = world.twilio.add_recording(SeededRecording::default());
        assert_eq!(transcribe(&world, &json!({"recording_sid": recording})).await.status, 200);
    }
    let lines = log::lines_with("AssemblyAI refused the speech model universal-41-once");
    assert!(lines.len() == 1 || steps_repeat(), "{lines:#?}");
    assert!(
        lines[0].contains("WARN") && lines[0].contains("continues with assemblyai-stt-3-7, universal-2"),
        "{lines:#?}"
    );

    let warning = "AssemblyAI refuses the speech model universal-41-once, and orders continue with others";
    let (app, url) = world.another_app_with_url(&settings).await;
    assert!(!log::lines_with(warning).is_empty(), "the other program says so at its start");
    for base in [&world.base, &url] {
        let ready = |query: &str| world.http.get(format!("{base}/readyz{query}")).send();
        let verbose = Answer::of(ready("?verbose=1").await.expect("an answer")).await;
        assert_eq!(verbose.status, 200);
        assert!(verbose.text().starts_with("ok\n") && verbose.text().contains(warning), "{}", verbose.text());
        assert_eq!(Answer::of(ready("").await.expect("an answer")).await.text(), "ok\n");
    }
    app.stop().await;

    let (other, url) = world.another_app_with_url(&[]).await;
    let ready = world.http.get(format!("{url}/readyz?verbose=1")).send().await.expect("an answer");
    assert_eq!(Answer::of(ready).await.text(), "ok\n", "it is no model of these settings");
    other.stop().await;
}

#[tokio::test]
async fn a_deprecated_model_of_the_settings_is_told_before_it_is_refused() {
    let world = World::with(&[(MODELS, "universal-3-5-pro")]).await;
    let warning = "AssemblyAI has deprecated the speech model universal-3-5-pro";
    assert!(!log::lines_with(warning).is_empty());
    assert!(world.get("/readyz?verbose=1").await.text().contains(warning));
    assert!(world.get_with("/", &navigation::TYPED).await.text().contains(warning));
}

#[tokio::test]
async fn a_model_that_is_accepted_again_is_no_longer_told() {
    if steps_repeat() {
        // Which of the requests is refused depends on where steps are aborted.
        return;
    }
    let settings = [(MODELS, "assemblyai-stt-3-7,universal-2")];
    let world = World::with(&settings).await;
    let words = r#"{"error": "\"assemblyai-stt-3-7\" is not available for this account."}"#;
    let one = |world: &World| json!({"recording_sid": world.twilio.add_recording(SeededRecording::default())});
    // Refused for another reason, in words about the model.
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::wrong_body(words));
    let request = json!({"audio_url": "https://example.com/a.wav", "speaker_labels": "no"});
    transcribe(&world, &request).await;
    assert!(world.get("/readyz?verbose=1").await.text().contains("refuses the speech model assemblyai-stt-3-7"));
    assert_eq!(transcribe(&world, &one(&world)).await.status, 200);
    assert_eq!(world.get("/readyz?verbose=1").await.text(), "ok\n");
    let (other, url) = world.another_app_with_url(&settings).await;
    let ready = world.http.get(format!("{url}/readyz?verbose=1")).send().await.expect("an answer");
    assert_eq!(Answer::of(ready).await.text(), "ok\n");
    other.stop().await;
}

#[tokio::test]
async fn a_model_that_assemblyai_used_instead_is_told() {
    let world = World::with(&[(MODELS, "universal")]).await;
    let sid = transcribed_call(&world).await;
    let transcript = transcript_of(&world, &sid).await;
    assert_eq!(transcript["speech_model_used"], "assemblyai-stt-3-7");
    assert_eq!(transcript["speech_models_reason"], "AssemblyAI used assemblyai-stt-3-7 instead of universal");
    let page = world.get_with(&format!("/calls/{sid}"), &navigation::TYPED).await.text();
    assert!(page.contains("AssemblyAI used assemblyai-stt-3-7 instead of universal"), "{page}");
    assert!(!log::lines_with("AssemblyAI used a speech model that was not asked for").is_empty());
}

#[tokio::test]
async fn a_request_that_an_earlier_version_has_answered_with_its_default_models_is_the_same_request() {
    let earlier = World::with(&[(MODELS, "universal-3-5-pro,universal-2")]).await;
    let call = transcribed_call(&earlier).await;
    let id = transcript_of(&earlier, &call).await["id"].clone();
    let other = json!({"recording_url": earlier.media_url(&earlier.recorded_call().await.1), "punctuate": false});
    let of_other = transcribe(&earlier, &other).await.json()["id"].clone();
    earlier.settle().await;
    let orders = earlier.assemblyai.transcripts().len();

    let (updated, url) = earlier.another_app_with_url(&[]).await;
    let post = async |request: Value| {
        let sent = earlier.http.post(format!("{url}/transcribe")).json(&request).send().await.expect("an answer");
        let answer = Answer::of(sent).await;
        assert!(answer.status == 200 || steps_repeat(), "{}", answer.text());
        answer.json()["id"].clone()
    };
    assert_eq!(post(json!({"call_sid": call})).await, id);
    assert_eq!(post(other).await, of_other);
    assert_eq!(earlier.assemblyai.transcripts().len(), orders);
    // Models that somebody has chosen are another request.
    post(json!({"call_sid": call, "speech_models": ["assemblyai-stt-3-7", "universal-2"]})).await;
    if !steps_repeat() {
        assert_eq!(earlier.assemblyai.transcripts().len(), orders + 1);
    }
    updated.stop().await;
}

#[tokio::test]
async fn an_order_in_doubt_while_the_program_is_updated_is_made_once_although_its_models_are_retired() {
    let world = World::with(&[(MODELS, "universal-3-5-pro,universal-2")]).await;
    world.twilio.mark_recordings();
    world.assemblyai.control.fail_next(
        Method::POST,
        "/v2/transcript",
        Fault::Refuse { status: 503, retry_after: None },
    );
    let sid = world.dial("14155551234").await;
    world.settle().await;
    world.assemblyai.retire_model("universal-3-5-pro");
    let updated = world.another_app_with(&[], false).await;
    for _ in 0..20 {
        world.clock.advance(Duration::from_secs(60));
        while updated.run_due_jobs().await > 0 {
            world.twilio.settled().await;
            world.assemblyai.settled().await;
        }
    }
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.transcripts().len(), 1);
    assert_eq!(models_sent(&world).pop(), Some(json!(["assemblyai-stt-3-7", "universal-2"])));
    updated.stop().await;
}

#[tokio::test]
async fn the_mp3_of_a_recording_that_has_its_transcript_is_the_same_recording() {
    let world = World::new().await;
    let call = transcribed_call(&world).await;
    let transcript = transcript_of(&world, &call).await;
    let url = world.media_url(transcript["recording_sid"].as_str().expect("a recording"));
    for extension in ["", ".wav", ".mp3", ".json", ".mp3?Download=true"] {
        let answer = world.post_form("/transcribe", &format!("recording_url={url}{extension}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (200, &transcript["id"]), "{extension}");
    }
    assert_eq!(world.assemblyai.transcripts().len(), 1);

    // Whatever was transcribed first.
    let recording = world.twilio.add_recording(SeededRecording::default());
    let url = world.media_url(&recording);
    let first = transcribe(&world, &json!({"recording_url": format!("{url}.mp3")})).await.json()["id"].clone();
    let second = transcribe(&world, &json!({"recording_url": format!("{url}.wav")})).await.json()["id"].clone();
    assert_eq!(first, second);
    assert_eq!(world.assemblyai.transcripts().len(), 2);
}
