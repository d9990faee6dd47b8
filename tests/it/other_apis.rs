//! Other APIs that are compatible with Twilio's, and recordings in the account's own storage.

use std::time::Duration;

use callscribe::config::Config;
use callscribe::sandbox::control::{Callbacks, Fault};
use callscribe::sandbox::twilio::ACCOUNT_UUID;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, assert_happened, fail_step, variables};

async fn world() -> World {
    let world = World::with(&[("TWILIO_ACCOUNT_SID", ACCOUNT_UUID)]).await;
    world.twilio.speak_as_another_api();
    world
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// The SID that the sandbox has for this id.
fn sid(prefix: &str, id: &str) -> String {
    format!("{prefix}{}", id.replace('-', ""))
}

/// Asserts that the call's recording was transcribed. Returns the recording's id.
async fn assert_transcribed(world: &World, call: &str) -> String {
    let seen = world.call(call).await;
    assert_eq!(seen["progress"], "done", "{seen}");
    assert!(seen["transcripts"][0]["text"].as_str().is_some_and(|text| text.contains("Friday")), "{seen}");
    let recording = &seen["recordings"][0];
    assert!(recording["duration_seconds"].is_i64() && recording["channels"] == 1, "{recording}");
    recording["sid"].as_str().expect("an id").to_owned()
}

#[test]
fn an_account_with_a_uuid_is_one_of_another_api() {
    let read = |more: &[(&str, &str)]| {
        let mut settings =
            variables("https://example.com", "https://space.example.com/api/laml", "https://example.com");
        settings.retain(|(name, _)| !more.contains(&(name.as_str(), "")));
        settings.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        Config::read(settings, false).map(|_| ()).map_err(|problems| problems[0].to_string())
    };
    assert_eq!(read(&[("TWILIO_ACCOUNT_SID", ACCOUNT_UUID)]), Ok(()));
    let expected = Err("TWILIO_ACCOUNT_SID: expected AC and 32 hex digits".to_owned());
    assert_eq!(read(&[("TWILIO_ACCOUNT_SID", ACCOUNT_UUID), ("TWILIO_API_URL", "")]), expected);
    for wrong in [&ACCOUNT_UUID[1..], &ACCOUNT_UUID.replace('-', ""), &format!("{{{ACCOUNT_UUID}}}"), "a/../b"] {
        assert_eq!(read(&[("TWILIO_ACCOUNT_SID", wrong)]), expected, "{wrong}");
    }
}

#[tokio::test]
async fn a_call_with_a_uuid_is_dialed_recorded_heard_and_deleted() {
    let world = world().await;
    let call = world.dial("14155551234").await;
    assert!(is_uuid(&call), "{call}");
    world.settle().await;
    let recording = assert_transcribed(&world, &call).await;
    assert!(is_uuid(&recording), "{recording}");
    assert_happened(world.calls_placed(), 1);

    let file = world.get(&format!("/recordings/{recording}.wav")).await;
    assert_eq!((file.status.as_u16(), &file.body[..4]), (200, &b"RIFF"[..]));
    assert_eq!(world.assemblyai.uploads()[0].bytes, file.body.len() as u64);
    let address = world.get(&format!("/get-recording-url/{call}")).await.text();
    assert_eq!(address, format!("{}/api/v1/recordings/{recording}.wav\n", world.twilio.url()));

    let again = world.post_json("/transcribe", &json!({"recording_url": address.trim()})).await;
    assert_eq!((again.status.as_u16(), again.json()["status"].as_str()), (200, Some("completed")), "{}", again.text());
    assert_eq!(world.transcript_requests().len(), 1, "the recording has its transcript");

    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(world.get(&format!("/calls/{call}")).await.status, 410);
    assert_eq!(world.twilio.call_status(&sid("CA", &call)), None);
    assert_eq!(world.twilio.recording_status(&sid("RE", &recording)), None);
}

#[tokio::test]
async fn a_call_with_a_uuid_is_followed_without_callbacks_and_found_without_an_answer() {
    for fault in [None, Some(Fault::DropAfter)] {
        let world = world().await;
        world.twilio.control.set_callbacks(Callbacks::Drop);
        if let Some(fault) = fault.clone() {
            world.twilio.control.fail_next(Method::POST, "/Calls.json", fault);
        }
        let answer = world.get("/dial/14155551234").await;
        for _ in 0..3 {
            world.after(Duration::from_secs(61)).await;
        }
        let list = world.get("/calls").await.json();
        let call = list["calls"][0]["sid"].as_str().expect("an id").to_owned();
        assert!(is_uuid(&call), "{fault:?}: {} {list}", answer.text());
        assert_transcribed(&world, &call).await;
        assert_happened(world.calls_placed(), 1);
    }
}

/// A recording in the account's own storage.
fn in_own_storage(recording: &str, media_url: &str) -> Fault {
    let json = json!({"sid": recording, "status": "completed", "duration": "8", "channels": 1, "media_url": media_url});
    Fault::wrong_body(json.to_string())
}

#[tokio::test]
async fn a_recording_in_storage_that_assemblyai_cannot_read_fails_with_what_it_needs() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    let url = "https://bucket.s3.amazonaws.com/audio.wav";
    for _ in 0..2 {
        fail_step(&world.twilio.control, &Method::GET, &format!("/{recording}.json"), &in_own_storage(&recording, url));
        world.assemblyai.fail_next_transcript("Download error, unable to download https://bucket.s3.amazonaws.com/.");
    }
    world.settle().await;
    assert_eq!(world.twilio.control.request_count(Method::GET, "/Recordings/{id}.wav"), 0);
    assert_eq!(world.assemblyai.uploads().len(), 0);
    assert!(world.transcript_requests().iter().all(|order: &Value| order["audio_url"] == url));
    let seen = world.call(&call).await;
    let reason = seen["transcripts"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("Download error") && reason.contains("without credentials"), "{reason}");
    let page = world.get_with(&format!("/calls/{call}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains("must be able to read without credentials"), "{page}");
}
