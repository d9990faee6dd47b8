//! `/transcript/<id>`.

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

/// Requests the transcript of a recorded call. Returns its id.
async fn requested(world: &World) -> String {
    let (_, recording) = world.recorded_call().await;
    let answer = world.post_form("/transcribe", &format!("recording_sid={recording}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Requests a transcript and waits until it is completed. Returns its id.
async fn completed(world: &World) -> String {
    let id = requested(world).await;
    let answer = world.get(&format!("/transcript/{id}?wait=60")).await;
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    id
}

#[tokio::test]
async fn the_json_equals_assemblyais_byte_for_byte() {
    let world = World::new().await;
    let id = completed(&world).await;
    let theirs = world.http.get(format!("{}/v2/transcript/{id}", world.assemblyai.url()));
    let theirs = theirs.header("authorization", "sandbox-assemblyai-key").send().await.unwrap().text().await.unwrap();
    // AssemblyAI may have recorded the webhook's status only after the program fetched and stored the transcript.
    let before = |json: &str| json.replace("\"webhook_status_code\":204", "\"webhook_status_code\":null");
    for path in [format!("/transcript/{id}"), format!("/transcript/{id}/"), format!("/transcript/{id}?format=json")] {
        let ours = world.get(&path).await;
        assert_eq!((ours.status.as_u16(), ours.header("content-type")), (200, "application/json"));
        assert!(before(&ours.text()) == before(&theirs), "{}", ours.text());
    }
}

#[tokio::test]
async fn the_text_format_is_just_what_was_said() {
    let world = World::new().await;
    let id = completed(&world).await;
    let said = format!("{}\n", speech::text());
    let by_format = world.get(&format!("/transcript/{id}?format=text")).await;
    assert_eq!((by_format.status.as_u16(), by_format.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(by_format.text(), said);
    for accept in [
        "text/plain",
        "TEXT/plain; charset=utf-8",
        "text/html;q=0.9, text/plain",
        "application/json;q=0.1,text/plain;q=0.2",
    ] {
        let by_accept = world.get_with(&format!("/transcript/{id}"), &[("accept", accept)]).await;
        assert_eq!(by_accept.text(), said, "{accept}");
    }
    for accept in ["*/*", "application/json, text/plain, */*", "text/plain;q=0", "text/plain;q=0.5,application/json"] {
        let by_accept = world.get_with(&format!("/transcript/{id}"), &[("accept", accept)]).await;
        assert_eq!(by_accept.header("content-type"), "application/json", "{accept}");
    }
}

/// All exports of this transcript, each under a line with its format. `stem` is what their files are called.
async fn exports(world: &World, id: &str, stem: &str) -> String {
    let mut all = String::new();
    for (format, media_type, name) in [
        ("text", "text/plain; charset=utf-8", "txt"),
        ("srt", "application/x-subrip; charset=utf-8", "srt"),
        ("vtt", "text/vtt; charset=utf-8", "vtt"),
    ] {
        let answer = world.get(&format!("/transcript/{id}?format={format}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type));
        let disposition = format!("inline; filename=\"{stem}.{name}\"");
        assert_eq!(answer.header("content-disposition"), disposition);
        all += &format!("== {format}\n{}", answer.text());
    }
    all
}

#[tokio::test]
async fn exports_of_a_stored_transcript_need_no_vendor_request() {
    let world = World::new().await;
    let id = completed(&world).await;
    let before = world.vendor_requests();
    let call = world.get("/items").await.json()["items"][0].clone();
    let at: jiff::Timestamp = call["created_at"].as_str().expect("a time").parse().expect("a time");
    let stem = format!("{} +14155551234", at.strftime("%Y-%m-%d %H.%M"));
    insta::assert_snapshot!(exports(&world, &id, &stem).await);
    assert_eq!(world.vendor_requests(), before);
}

#[tokio::test]
async fn exports_of_a_transcript_not_in_the_store_are_made_from_assemblyais_json() {
    let world = World::new().await;
    let request = world.http.post(format!("{}/v2/transcript", world.assemblyai.url()));
    let request = request.header("authorization", "sandbox-assemblyai-key");
    let request = request.json(&json!({"audio_url": "https://example.com/a.wav", "speech_models": ["universal-2"]}));
    let created: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    let id = created["id"].as_str().expect("an id");
    let before = world.vendor_requests();
    let mut words = Vec::new();
    for (speaker, channel, from, text) in [
        (
            "1",
            "1",
            200,
            "Good morning, this is the dispatch office. I am calling about the parcel that you have ordered.",
        ),
        ("2", "2", 2_600, "Okay."),
        (
            "2",
            "2",
            7_400,
            "<b>Which</b> parcel --> the one of Q&A Ltd. or the other one, which I have never heard of again since?",
        ),
        ("1", "1", 15_000, "That\0 one.\n\nAhoy!"),
    ] {
        for (nth, text) in text.split(' ').enumerate() {
            let start = from + 350 * nth;
            words.push(json!({"text": text, "start": start, "end": start + 300, "confidence": 0.9, "speaker": speaker, "channel": channel}));
        }
    }
    let body = json!({"id": id, "status": "completed", "text": "the text field", "words": words}).to_string();
    for _ in 0..3 {
        world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body.clone()));
    }
    insta::assert_snapshot!(exports(&world, id, &format!("transcript-{id}")).await);
    assert_eq!(world.vendor_requests(), before + 3);
}

#[tokio::test]
async fn a_text_without_words_has_no_captions_and_says_so_but_silence_has_empty_ones() {
    let world = World::new().await;
    let order = world.http.post(format!("{}/v2/transcript", world.assemblyai.url()));
    let order = order.header("authorization", "sandbox-assemblyai-key");
    let created = order.json(&json!({"audio_url": "https://example.com/a.wav"})).send().await.expect("an answer");
    let created: Value = created.json().await.expect("JSON");
    let id = created["id"].as_str().expect("an id");
    for words in [json!(null), json!([]), json!([{"text": " ", "start": 0, "end": 1}])] {
        for (format, empty) in [("srt", ""), ("vtt", "WEBVTT\n")] {
            let path = format!("/transcript/{id}?format={format}");
            for text in ["Something was said.", " "] {
                let body = json!({"id": id, "status": "completed", "text": text, "words": words}).to_string();
                world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body));
                let answer = world.get(&path).await;
                if text.trim().is_empty() {
                    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, empty));
                } else {
                    let detail = answer.problem(422, "no-times");
                    assert!(detail.contains("without the times of its words"), "{detail}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_unfinished_transcript_returns_its_json_or_202() {
    let world = World::new().await;
    world.assemblyai.hold();
    let id = requested(&world).await;
    let json = world.get(&format!("/transcript/{id}")).await;
    assert_eq!(json.status, 200);
    assert!(["queued", "processing"].contains(&json.json()["status"].as_str().unwrap()));
    for format in ["text", "srt", "vtt"] {
        let answer = world.get(&format!("/transcript/{id}?format={format}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (202, "3"));
        assert_eq!(answer.header("refresh"), "");
    }
    let browser = world.get_with(&format!("/transcript/{id}?format=text"), &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((browser.status.as_u16(), browser.header("refresh")), (202, "3"), "a browser reloads automatically");
}

#[tokio::test]
async fn a_wait_ends_after_its_seconds_without_a_completed_transcript() {
    let world = World::new().await;
    world.assemblyai.hold();
    let id = requested(&world).await;
    let text = world.get(&format!("/transcript/{id}?wait=1&format=text")).await;
    assert_eq!(text.status, 202);
}

#[tokio::test]
async fn a_wait_ends_when_the_program_stops() {
    let world = World::new().await;
    world.assemblyai.hold();
    let id = requested(&world).await;
    let url = format!("{}/transcript/{id}?wait=120&format=text", world.base);
    let polls = || world.assemblyai.control.request_count(Method::GET, "/v2/transcript/{id}");
    let before = polls();
    let pending = tokio::spawn(world.http.get(url).send());
    world.assemblyai.control.until(|| (polls() > before).then_some(())).await;
    world.app.stop().await;
    assert_eq!(pending.await.unwrap().unwrap().status(), 202);
}

#[tokio::test]
async fn a_wait_ends_with_the_transcript_even_if_the_webhook_is_lost() {
    // Nothing listens there.
    let world = World::with(&[("BASE_URL", "http://127.0.0.1:1")]).await;
    world.assemblyai.hold();
    let recording = world.twilio.add_recording(Default::default());
    let created = world.post_form("/transcribe", &format!("recording_sid={recording}")).await;
    let path = format!("/transcript/{}?wait=60&format=text", created.json()["id"].as_str().unwrap());
    let (answer, ()) = tokio::join!(world.get(&path), async {
        let poll = || (!world.assemblyai.control.requests_to(Method::GET, "/v2/transcript/").is_empty()).then_some(());
        world.assemblyai.control.until(poll).await;
        world.assemblyai.release();
    });
    assert_eq!(answer.text().trim_end(), speech::text());
}

#[tokio::test]
async fn a_failed_transcript_returns_its_json_or_422_with_assemblyais_words() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("Audio file has no speech.");
    let id = requested(&world).await;
    let json = world.get(&format!("/transcript/{id}?wait=60")).await;
    assert_eq!((json.status.as_u16(), json.json()["status"].as_str()), (200, Some("error")));
    for format in ["text", "srt", "vtt"] {
        let detail = world.get(&format!("/transcript/{id}?format={format}")).await.problem(422, "transcript-failed");
        assert_eq!(detail, format!("transcript {id} failed: Audio file has no speech."));
    }
}

#[tokio::test]
async fn an_unknown_transcript_is_404_although_assemblyai_says_400() {
    let world = World::new().await;
    let answer = world.get("/transcript/9ea68fd3-f953-42c1-9742-976c447fb463").await;
    let detail = answer.problem(404, "vendor-not-found");
    assert_eq!(detail, "not found at AssemblyAI: Transcript lookup error, transcript id not found");
}

#[tokio::test]
async fn malformed_ids_formats_and_waits_are_400_without_a_vendor_request() {
    let world = World::new().await;
    let id = "9ea68fd3-f953-42c1-9742-976c447fb463";
    for path in [
        "/transcript/1".to_owned(),
        format!("/transcript/{id}%2F..%2F"),
        format!("/transcript/{id}%00"),
        "/transcript/%ff".to_owned(),
        format!("/transcript/{id}?format=pdf"),
        format!("/transcript/{id}?wait=soon"),
        format!("/transcript/{id}?wait=-1"),
        format!("/transcript/{id}?wait=1&wait=2"),
    ] {
        world.get(&path).await.problem(400, "bad-request");
    }
    assert_eq!(world.vendor_requests(), 0);
}
