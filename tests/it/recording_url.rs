//! `/get-recording-url/<call SID>` and `/recordings/<SID>`.

use std::time::Duration;

use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{Outcome, SeededCall, SeededRecording, Stage};
use reqwest::Method;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn the_media_url_of_a_recorded_call_is_one_line_of_text() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    for path in [format!("/get-recording-url/{call}"), format!("/get-recording-url/{call}/")] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.text(), format!("{}\n", world.media_url(&recording)));
    }
}

#[tokio::test]
async fn all_pages_of_twilios_list_are_read_and_the_oldest_recording_comes_first() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let added: Vec<String> = (0..120)
        .map(|_| world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() }))
        .map(|recording| world.media_url(&recording))
        .collect();
    let answer = world.get(&format!("/get-recording-url/{call_sid}")).await;
    assert_eq!(answer.text().lines().collect::<Vec<_>>(), added);
    let pages = world.twilio.control.requests_to(Method::GET, "/Recordings.json");
    assert_eq!(pages.len(), 3, "50 recordings a page");
}

#[tokio::test]
async fn a_call_without_a_recording_is_404_with_its_state_and_when_to_ask_again() {
    let world = World::new().await;
    world.twilio.hold(Stage::InProgress);
    let call = world.dial("14155551234").await;
    world.twilio.control.until(|| (world.twilio.call_status(&call)? == "ringing").then_some(())).await;
    let answer = world.get(&format!("/get-recording-url/{call}")).await;
    let detail = answer.problem(404, "no-recording");
    assert_eq!(detail, format!("call {call} is ringing; it has no recording yet"));
    assert_eq!(answer.header("retry-after"), "3");

    world.twilio.hold(Stage::RecordingCompleted);
    world.twilio.release(Stage::InProgress);
    world.twilio.control.until(|| (world.twilio.call_status(&call)? == "completed").then_some(())).await;
    let answer = world.get(&format!("/get-recording-url/{call}")).await;
    let recording = &world.twilio.recordings_of(&call)[0];
    let detail = answer.problem(404, "no-recording");
    assert_eq!(detail, format!("call {call} is completed; recording {recording} is processing"));
    assert_eq!(answer.header("retry-after"), "3");
}

#[tokio::test]
async fn a_call_that_will_never_have_a_recording_is_404_without_retry_after() {
    let world = World::new().await;
    for (outcome, expected) in [
        (Outcome::Busy, "is busy; it has no recording"),
        (Outcome::NoAnswer, "is no-answer; it has no recording"),
        (Outcome::TooShort, "is absent: it was too short (Twilio code 16101)"),
    ] {
        world.twilio.set_next_outcome(outcome);
        let call = world.dial("14155551234").await;
        world.twilio.settled().await;
        let answer = world.get(&format!("/get-recording-url/{call}")).await;
        let detail = answer.problem(404, "no-recording");
        assert!(detail.ends_with(expected), "{detail}");
        assert_eq!(answer.header("retry-after"), "");
    }
}

#[tokio::test]
async fn as_json_every_recording_has_its_details() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let stereo = world.twilio.add_recording(SeededRecording {
        call_sid: call_sid.clone(),
        channels: 2,
        source: "OutboundAPI",
        duration: Duration::from_secs(61),
        ..Default::default()
    });
    let absent = world.twilio.add_recording(SeededRecording {
        call_sid: call_sid.clone(),
        status: "absent",
        duration: Duration::ZERO,
        error_code: Some(16102),
        ..Default::default()
    });
    let answer = world.get_with(&format!("/get-recording-url/{call_sid}"), &[("accept", "application/json")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let expected = json!([
        {
            "sid": stereo, "status": "completed", "duration_seconds": 61, "channels": 2, "source": "OutboundAPI",
            "url": world.media_url(&stereo), "audio": format!("{}/recordings/{stereo}.wav", world.base), "error_code": null,
        },
        {
            "sid": absent, "status": "absent", "duration_seconds": null, "channels": 1, "source": "RecordVerb",
            "url": world.media_url(&absent), "audio": format!("{}/recordings/{absent}.wav", world.base), "error_code": 16102,
        },
    ]);
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_malformed_call_sid_is_400_without_a_vendor_request() {
    let world = World::new().await;
    let hex = "0123456789abcdef0123456789abcde";
    for sid in [
        "CA",
        "CA123",
        &format!("CA{hex}"),
        &format!("CA{hex}00"),
        &format!("CA{hex}g"),
        &format!("RE{hex}0"),
        "%ff",
        "..%2f",
    ] {
        let answer = world.get(&format!("/get-recording-url/{sid}")).await;
        answer.problem(400, "bad-request");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn an_unknown_call_is_404_with_twilios_code_and_words() {
    let world = World::new().await;
    let answer = world.get("/get-recording-url/CA00000000000000000000000000000000").await;
    let detail = answer.problem(404, "vendor-not-found");
    assert!(detail.contains("was not found"), "{detail}");
    assert_eq!(answer.json()["code"], 20404);
    assert_eq!(answer.json()["more_info"], "https://www.twilio.com/docs/errors/20404");
}

#[tokio::test]
async fn a_recording_plays_without_twilios_credentials_whole_and_in_ranges() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    for (path, kind, audio) in [
        (format!("/recordings/{recording}"), "audio/x-wav", speech::WAV),
        (format!("/recordings/{recording}.wav"), "audio/x-wav", speech::WAV),
        (format!("/recordings/{recording}.mp3"), "audio/mpeg", speech::MP3),
    ] {
        let whole = world.get(&path).await;
        assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, kind));
        assert_eq!(whole.header("content-length"), audio.len().to_string());
        assert!(whole.body == audio, "the audio is unchanged");

        let part = world.get_with(&path, &[("range", "bytes=100-199")]).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", audio.len()));
        assert!(part.body == audio[100..200]);
    }
    let beyond = world.get_with(&format!("/recordings/{recording}"), &[("range", "bytes=9999999-")]).await;
    beyond.problem(416, "vendor-rejected");
}

#[tokio::test]
async fn a_missing_recording_is_404_with_the_code_from_twilios_xml() {
    let world = World::new().await;
    let answer = world.get("/recordings/RE00000000000000000000000000000000").await;
    answer.problem(404, "vendor-not-found");
    assert_eq!(answer.json()["code"], 20404);
    world.get("/recordings/RE1.wav").await.problem(400, "bad-request");
    world.get("/recordings/RE00000000000000000000000000000000.flac").await.problem(400, "bad-request");
}
