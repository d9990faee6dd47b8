//! `/transcribe`.

use std::time::Duration;

use callscribe::internals::Deadlines;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{ACCOUNT_SID, PHONE_NUMBER, SeededCall, SeededRecording, Stage};
use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, assert_happened, steps_repeat};

/// Longer than a request takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_recording_is_uploaded_byte_for_byte_and_its_transcript_submitted() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    let url = world.media_url(&recording);
    let answer = world.post_form("/transcribe", &format!("recording_url={url}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let transcript = answer.json();
    assert!(transcript["status"] == "queued" || steps_repeat(), "{transcript}");

    let uploads = world.assemblyai.uploads();
    assert_happened(uploads.len(), 1);
    let upload = uploads.last().expect("an upload");
    assert_eq!(upload.bytes, speech::WAV.len() as u64);
    assert!(upload.is_speech, "the SHA-256 differs from the original's");
    let sent = &world.transcript_requests()[0];
    assert_eq!(sent["audio_url"], upload.upload_url);
    assert_eq!(sent["speech_models"], json!(["assemblyai-stt-3-7", "universal-2"]));
    assert_eq!(sent.get("keyterms_prompt"), None);
    let webhook = sent["webhook_url"].as_str().unwrap();
    assert!(webhook.starts_with(&format!("{}/hooks/assemblyai?job=", world.base)), "{webhook}");
    assert_eq!(sent["webhook_auth_header_name"], "X-Webhook-Secret");

    let text = world.get(&format!("/transcript/{}?wait=60&format=text", transcript["id"].as_str().unwrap())).await;
    assert_eq!(text.text().trim_end(), speech::text());
}

#[tokio::test]
async fn the_same_recording_has_many_names() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    let url = world.media_url(&recording);
    let query_free = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{recording}");
    for mut named in [
        json!({"recording_url": url}),
        json!({"audio_url": url}),
        json!({"recording_url": format!("{url}.wav")}),
        json!({"recording_url": format!("{url}.json")}),
        json!({"recording_url": format!("{url}.mp3")}),
        json!({"recording_url": query_free}),
        json!({"recording_url": query_free.replace("api.", "api.dublin.ie1.")}),
        json!({"recording_url": query_free.replace("2010-04-01", "2008-08-01")}),
        json!({"recording_url": url.replace("2010-04-01", "2008-08-01")}),
        json!({"recording_sid": recording}),
        json!({"call_sid": call}),
    ] {
        named["again"] = json!(true);
        let answer = world.post_json("/transcribe", &named).await;
        assert_eq!(answer.status, 200, "{named}: {}", answer.text());
    }
    let uploads = world.assemblyai.uploads();
    assert_happened(uploads.len(), 11);
    assert!(uploads.iter().all(|upload| upload.is_speech));
    let as_mp3 = uploads.iter().filter(|upload| upload.bytes == speech::MP3.len() as u64);
    assert_happened(as_mp3.count(), 1);
}

#[tokio::test]
async fn a_stereo_recording_is_requested_with_both_channels() {
    let world = World::new().await;
    let stereo = world.twilio.add_recording(SeededRecording { channels: 2, ..Default::default() });
    world.post_json("/transcribe", &json!({"recording_sid": stereo})).await;
    let media = world.twilio.control.requests_to(Method::GET, &format!("{stereo}.wav"));
    assert!(media[0].target.ends_with("?RequestedChannels=2"), "{}", media[0].target);
}

#[tokio::test]
async fn any_other_url_is_passed_to_assemblyai_unchanged_and_never_fetched() {
    let world = World::new().await;
    let url = "https://example.com/a%20b/Talk.mp3?x=1&y=%2F'#part";
    let answer = world.post_json("/transcribe", &json!({"recording_url": url})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.transcript_requests()[0]["audio_url"], url);
    assert!(world.assemblyai.uploads().is_empty());
    assert!(world.twilio.control.requests().is_empty());
}

#[tokio::test]
async fn key_terms_of_settings_call_and_request_are_merged_without_duplicates() {
    let world = World::with(&[
        ("KEYTERMS", "Ahoy Street, order  forty two"),
        ("TRANSCRIPT_OPTIONS", r#"{"keyterms_prompt": ["atrial fibrillation", "Ahoy Street"], "disfluencies": true}"#),
    ])
    .await;
    let dialed = world.get("/dial/14155551234?keyterms=Metoprolol,%20Ahoy%20Street").await;
    world.twilio.settled().await;
    let call = dialed.text().trim().rsplit(' ').next().unwrap().to_owned();
    world.post_form("/transcribe", &format!("call_sid={call}&keyterms=Friday,Metoprolol&keyterms=Monday")).await;
    let sent = &world.transcript_requests()[0];
    let expected = ["Ahoy Street", "order forty two", "atrial fibrillation", "Friday", "Metoprolol", "Monday"];
    assert_eq!(sent["keyterms_prompt"], json!(expected));
    assert_eq!(sent["disfluencies"], true);

    world
        .post_json("/transcribe", &json!({"call_sid": call, "keyterms": ["Smith, John"], "keyterms_prompt": ["Jones"]}))
        .await;
    let terms = &world.transcript_requests()[1]["keyterms_prompt"];
    assert_eq!(terms[3], "Smith, John", "terms of a JSON list are not split at commas");
    assert_eq!(terms[4], "Jones");
}

#[tokio::test]
async fn every_other_field_reaches_assemblyai_and_wins_over_the_settings() {
    let world = World::with(&[("TRANSCRIPT_OPTIONS", r#"{"speaker_labels": true, "punctuate": false}"#)]).await;
    let recording = world.twilio.add_recording(SeededRecording::default());
    let fields = json!({
        "recording_sid": recording, "again": true, "punctuate": true, "speakers_expected": 2,
        "custom_spelling": [{"from": ["ahoi"], "to": "Ahoy"}],
        "speech_models": ["universal-2"],
    });
    assert_eq!(world.post_json("/transcribe", &fields).await.status, 200);
    let form = format!(
        "recording_sid={recording}&speakers_expected=2&multichannel=true&prompt=2024&language_code=&again=true"
    );
    assert_eq!(world.post_form("/transcribe", &form).await.status, 200);
    // What the sandbox refuses is for AssemblyAI to judge, too.
    let tomorrow = json!({"recording_sid": recording, "again": true, "a_parameter_of_tomorrow": {"deep": [1, null]}});
    let refusal = world.post_json("/transcribe", &tomorrow).await;
    assert!(refusal.status == 400 && refusal.text().contains("The sandbox does not support"), "{}", refusal.text());
    let form = format!("recording_sid={recording}&again=true&domain=%22a%22");
    assert_eq!(world.post_form("/transcribe", &form).await.status, 400);

    let sent = world.transcript_requests();
    assert_eq!(sent[0]["speaker_labels"], true);
    assert_eq!(sent[0]["punctuate"], true);
    assert_eq!(sent[0]["speech_models"], json!(["universal-2"]));
    assert_eq!(sent[0]["custom_spelling"], fields["custom_spelling"]);
    assert_eq!(sent[2]["a_parameter_of_tomorrow"], tomorrow["a_parameter_of_tomorrow"]);
    for absent in ["again", "recording_sid", "call_sid", "recording_url"] {
        assert_eq!(sent[0].get(absent), None);
    }
    assert_eq!((&sent[1]["speakers_expected"], &sent[1]["multichannel"]), (&json!(2), &json!(true)));
    assert_eq!((&sent[1]["prompt"], &sent[3]["domain"]), (&json!("2024"), &json!("\"a\"")));
    assert_eq!(sent[1].get("language_code"), None, "a blank form field counts as absent");
}

#[tokio::test]
async fn the_parameters_of_the_query_are_fields_like_those_of_the_body() {
    let world = World::new().await;
    let recording = world.twilio.add_recording(SeededRecording::default());
    let by_form = "/transcribe?keyterms=Ahoy&speaker_labels=true";
    let first = world.post_form(by_form, &format!("recording_sid={recording}&keyterms=Friday")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let json = json!({"recording_sid": recording, "again": true});
    assert_eq!(world.post_json("/transcribe?keyterms=Ahoy&speakers_expected=2", &json).await.status, 200);
    let twice = world.post_json("/transcribe?again=false", &json).await.problem(400, "bad-request");
    assert_eq!(twice, "again: expected in the body or in the query, not in both");
    let sent = world.transcript_requests();
    assert_eq!((&sent[0]["keyterms_prompt"], &sent[0]["speaker_labels"]), (&json!(["Ahoy", "Friday"]), &json!(true)));
    assert_eq!((&sent[1]["keyterms_prompt"], &sent[1]["speakers_expected"]), (&json!(["Ahoy"]), &json!(2)));
}

#[tokio::test]
async fn a_form_is_read_by_the_types_of_assemblyais_parameters() {
    let world = World::new().await;
    for (form, name, expected) in [
        ("speech_models=universal-2", "speech_models", json!(["universal-2"])),
        (
            "speech_models=assemblyai-stt-3-7&speech_models=universal-2",
            "speech_models",
            json!(["assemblyai-stt-3-7", "universal-2"]),
        ),
        ("speech_models=%5B%22universal-2%22%5D", "speech_models", json!(["universal-2"])),
        ("redact_pii=true&redact_pii_policies=person_name", "redact_pii_policies", json!(["person_name"])),
        ("language_codes=en", "language_codes", json!(["en"])),
        ("topics=911", "topics", json!(["911"])),
        ("topics=true&topics=12", "topics", json!(["true", "12"])),
        (
            "custom_spelling=%7B%22from%22:%5B%22ahoi%22%5D,%22to%22:%22Ahoy%22%7D",
            "custom_spelling",
            json!([{"from": ["ahoi"], "to": "Ahoy"}]),
        ),
        (
            "webhook_url=https://example.com/&webhook_auth_header_name=X-A&webhook_auth_header_value=123456",
            "webhook_auth_header_value",
            json!("123456"),
        ),
        ("speakers_expected=2", "speakers_expected", json!(2)),
        ("keyterms_prompt=911", "keyterms_prompt", json!(["911"])),
        ("keyterms_prompt=911,ahoy&keyterms_prompt=true", "keyterms_prompt", json!(["911", "ahoy", "true"])),
        ("keyterms_prompt=%5B%22a,b%22,911%5D", "keyterms_prompt", json!(["a,b", "911"])),
        ("keyterms=911", "keyterms_prompt", json!(["911"])),
    ] {
        let body = format!("audio_url=https://example.com/a.wav&again=true&{form}");
        let answer = world.post_form("/transcribe", &body).await;
        // The sandbox has one language and no topics.
        let status = if ["language_codes", "topics"].contains(&name) { 400 } else { 200 };
        assert_eq!(answer.status, status, "{form}: {}", answer.text());
        assert_eq!(world.transcript_requests().pop().expect("an order")[name], expected, "{form}");
    }
    for keyterms in [json!(911), json!([911]), json!("911")] {
        let fields = json!({"audio_url": "https://example.com/a.wav", "again": true, "keyterms_prompt": keyterms});
        assert_eq!(world.post_json("/transcribe", &fields).await.status, 200);
        assert_eq!(world.transcript_requests().pop().expect("an order")["keyterms_prompt"], json!(["911"]));
    }
    let world = World::with(&[("TRANSCRIPT_OPTIONS", r#"{"keyterms_prompt": [911]}"#)]).await;
    world.post_json("/transcribe", &json!({"audio_url": "https://example.com/a.wav"})).await;
    assert_eq!(world.transcript_requests()[0]["keyterms_prompt"], json!(["911"]));
}

#[tokio::test]
async fn a_foreign_webhook_is_requested_without_our_secret() {
    let world = World::new().await;
    let fields = json!({"audio_url": "https://example.com/a.wav", "webhook_url": "https://example.com/done"});
    world.post_json("/transcribe", &fields).await;
    let sent = &world.transcript_requests()[0];
    assert_eq!(sent["webhook_url"], "https://example.com/done");
    assert_eq!(sent.get("webhook_auth_header_value"), None);
}

#[tokio::test]
async fn bad_requests_are_400_without_a_vendor_request() {
    let world = World::new().await;
    let sid = "RE00000000000000000000000000000000";
    let other_account = "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Recordings";
    for fields in [
        json!({}),
        json!({"recording_sid": sid, "call_sid": "CA00000000000000000000000000000000"}),
        json!({"recording_url": "https://example.com/a.wav", "audio_url": "https://example.com/a.wav"}),
        json!({"recording_url": ""}),
        json!({"recording_url": "example.com/a.wav"}),
        json!({"recording_url": "ftp://example.com/a.wav"}),
        json!({"recording_url": "file:///etc/passwd"}),
        json!({"recording_url": ["https://example.com/a.wav"]}),
        json!({"recording_sid": "RE1"}),
        json!({"recording_sid": format!("{sid}/../../Calls")}),
        json!({"call_sid": 1}),
        json!({"audio_url": "https://example.com/a.wav", "keyterms": true}),
        json!({"audio_url": "https://example.com/a.wav", "keyterms": [null]}),
    ] {
        world.post_json("/transcribe", &fields).await.problem(400, "bad-request");
    }
    for url in [
        format!("{other_account}/{sid}"),
        format!("{other_account}/{sid}").replace("2010-04-01", "2008-08-01"),
        format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"),
        format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{sid}.flac"),
        format!("{}/anything", world.twilio.url()),
    ] {
        world.post_json("/transcribe", &json!({"recording_url": url})).await.problem(400, "not-our-recording");
    }
    let json = [("content-type", "application/json")];
    for body in ["", "[]", "null", "{\"recording_url\":", "{\"a\":1}}", "\u{feff}{}", "nonsense"] {
        world.send(Method::POST, "/transcribe", &json, body).await.problem(400, "bad-request");
    }
    world.post_form("/transcribe", "").await.problem(400, "bad-request");
    world
        .post_form("/transcribe", &format!("recording_sid={sid}&recording_sid={sid}"))
        .await
        .problem(400, "bad-request");
    world.send(Method::POST, "/transcribe", &[], "a=1").await.problem(415, "unsupported-media-type");
    world
        .send(Method::POST, "/transcribe", &[("content-type", "multipart/form-data")], "a")
        .await
        .problem(400, "bad-request");
    world.post_form("/transcribe", &"a".repeat((1 << 20) + 1)).await.problem(413, "too-large");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn json_sent_by_a_plain_curl_is_read_as_json() {
    let world = World::new().await;
    let answer = world.post_form("/transcribe", r#" {"audio_url": "https://example.com/a.wav"}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.transcript_requests()[0]["audio_url"], "https://example.com/a.wav");
}

#[tokio::test]
async fn a_call_with_several_recordings_must_be_transcribed_by_recording() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let seed = || world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() });
    let (first, second) = (seed(), seed());
    let answer = world.post_json("/transcribe", &json!({"call_sid": call_sid})).await;
    let detail = answer.problem(409, "several-recordings");
    assert!(detail.ends_with(&format!("recording_sid: {first}, {second}")), "{detail}");
    assert!(world.assemblyai.control.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_is_first_known_by_its_recording_has_the_date_of_the_call() {
    let world = World::new().await;
    let (began, made) = ("2026-03-02T10:00:00Z", "2026-03-02T10:00:07Z");
    let of_call = |began: &str| SeededCall {
        to: PHONE_NUMBER.to_owned(),
        from: "+14155550123".to_owned(),
        inbound: true,
        began: Some(began.parse().expect("a time")),
        ..Default::default()
    };
    let of_recording = |call_sid: &str| SeededRecording {
        call_sid: call_sid.to_owned(),
        made: Some(made.parse().expect("a time")),
        ..Default::default()
    };
    let call = world.twilio.add_call(of_call(began));
    let recording = world.twilio.add_recording(of_recording(&call));
    // Twilio has deleted the call of this one.
    let lost = format!("CA{}", "7".repeat(32));
    let other = world.twilio.add_recording(of_recording(&lost));
    for recording in [recording, other] {
        assert_eq!(world.post_json("/transcribe", &json!({"recording_sid": recording})).await.status, 200);
    }
    let shown = world.call(&call).await;
    assert_eq!((&shown["created_at"], &shown["from"]), (&json!(began), &json!("+14155550123")), "{shown}");
    assert_eq!(shown["direction"], "inbound");
    assert_eq!(world.call(&lost).await["created_at"], json!(made));
    let listed = world.get("/calls?since=2026-03-02&until=2026-03-02").await.json();
    assert_eq!(listed["calls"].as_array().map(Vec::len), Some(2), "{listed}");
}

#[tokio::test]
async fn a_recording_without_audio_is_refused_with_the_reason() {
    let world = World::new().await;
    world.twilio.hold(Stage::RecordingCompleted);
    let call = world.dial("14155551234").await;
    let recording = world.twilio.control.until(|| world.twilio.recordings_of(&call).first().cloned()).await;
    world.twilio.control.until(|| (world.twilio.recording_status(&recording)? == "processing").then_some(())).await;
    let answer = world.post_json("/transcribe", &json!({"recording_sid": recording})).await;
    assert_eq!(answer.problem(409, "not-recorded"), format!("recording {recording} is processing"));
    assert_eq!(answer.header("retry-after"), "3");

    let absent =
        world.twilio.add_recording(SeededRecording { status: "absent", error_code: Some(16102), ..Default::default() });
    let answer = world.post_json("/transcribe", &json!({"recording_sid": absent})).await;
    assert!(answer.problem(409, "not-recorded").ends_with("is absent: it was silent (Twilio code 16102)"));
    assert_eq!(answer.header("retry-after"), "");

    let answer = world.post_json("/transcribe", &json!({"recording_sid": "RE00000000000000000000000000000000"})).await;
    answer.problem(404, "vendor-not-found");
    assert!(world.assemblyai.control.requests().is_empty());
}

#[tokio::test]
async fn a_browsers_form_leads_to_the_transcripts_page() {
    let world = World::new().await;
    let browser = [
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", world.base.as_str()),
    ];
    let form = world.get_with("/transcribe", &[("accept", "text/html")]).await;
    assert_eq!((form.status.as_u16(), form.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in ["method=\"post\"", "action=\"/transcribe\"", "name=\"recording_url\"", "name=\"keyterms\""] {
        assert!(form.text().contains(part), "{part}");
    }
    let (_, recording) = world.recorded_call().await;
    let body = format!("recording_url={}&keyterms=", world.media_url(&recording));
    let sent = world.send(Method::POST, "/transcribe", &browser, &body).await;
    assert_eq!(sent.status, 303);
    world.settle().await;
    // The transcript belongs to a known call, so its page redirects to the call's.
    let redirect = world.get_with(sent.header("location"), &browser[..1]).await;
    assert_eq!(redirect.status, 303);
    let page = world.get_with(redirect.header("location"), &browser[..1]).await.text();
    for part in
        [format!("src=\"/recordings/{recording}.wav\""), " before Friday.</span>".to_owned(), ">Done<".to_owned()]
    {
        assert!(page.contains(&part), "{part} in {page}");
    }
}

#[tokio::test]
async fn a_stopping_program_submits_nothing_more() {
    let world = World::new().await;
    let recording = world.twilio.add_recording(SeededRecording::default());
    let assemblyai = &world.assemblyai.control;
    assemblyai.fail_next(Method::POST, "/v2/upload", Fault::Late);
    let request = world.http.post(format!("{}/transcribe", world.base)).json(&json!({"recording_sid": recording}));
    let pending = tokio::spawn(request.send());
    assemblyai.until(|| (!assemblyai.requests_to(Method::POST, "/v2/upload").is_empty()).then_some(())).await;
    let mut stop = Box::pin(world.app.stop());
    assert!(futures_util::poll!(&mut stop).is_pending());
    assemblyai.answer_late_requests();
    stop.await;
    let answer = pending.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), 503);
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!(problem["type"], "urn:callscribe:problem:stopping");
    assert!(assemblyai.requests_to(Method::POST, "/v2/transcript").is_empty());
}

#[tokio::test]
async fn requests_do_not_wait_for_a_submit_in_doubt_and_its_job_continues() {
    // A request that waits for another request's submit waits twice this timeout.
    let deadlines = Deadlines { answer: Duration::from_secs(1), ..Deadlines::default() };
    let world = World::with_deadlines(&[], deadlines).await;
    world.assemblyai.hold();
    let request = json!({"audio_url": "https://example.com/a.wav"});
    let assemblyai = &world.assemblyai.control;
    assemblyai.fail_next(Method::POST, "/v2/transcript", Fault::Hang);
    let second = async {
        assemblyai.until(|| (!assemblyai.requests_to(Method::POST, "/v2/transcript").is_empty()).then_some(())).await;
        world.post_json("/transcribe", &request).await
    };
    let answers = join(world.post_json("/transcribe", &request), second);
    let (first, second) = tokio::time::timeout(TIMEOUT, answers).await.expect("answers");
    first.problem(504, "vendor-ambiguous");
    assert_eq!(second.problem(503, "under-way"), "the transcript is being made; try again later");
    let third = world.post_json("/transcribe", &request).await;
    assert_eq!(third.problem(503, "under-way"), "checking whether AssemblyAI has accepted the request");
    assert!(third.headers.contains_key("retry-after"));
    assert_eq!(world.transcript_requests().len(), 1);

    // After a minute it is certain that AssemblyAI did not accept the request, and it is sent again.
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(60));
        while world.app.run_due_jobs().await > 0 {}
    }
    assert_eq!(world.transcript_requests().len(), 2);
    assert_eq!(world.post_json("/transcribe", &request).await.status, 200);
    assert_eq!(world.transcript_requests().len(), 2);
}
