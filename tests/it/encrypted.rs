//! Recordings that Twilio encrypted: what is transcribed and played of them, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::response::Response;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, Audio, SeededRecording};
use reqwest::Method;
use serde_json::{Value, json};

use crate::relay::twilio_of;
use crate::support::{Answer, World, client};

/// The SIDs of two public keys of the account.
const ONE: &str = "CR00000000000000000000000000000001";
const TWO: &str = "CR00000000000000000000000000000002";

pub(crate) const ONE_PUBLIC: &str = include_str!("fixtures/recording_keys/one.pub.pem");
const TWO_PUBLIC: &str = include_str!("fixtures/recording_keys/two.pub.pem");

/// The setting with these private keys: one is PKCS#8, two is PKCS#1.
fn keys(keys: &[(&str, &str)]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/recording_keys");
    keys.iter().map(|(sid, name)| format!("{sid}={folder}/{name}.pem")).collect::<Vec<_>>().join(", ")
}

async fn world_with(settings: &[(&str, &str)]) -> World {
    World::with(&[&[("TWILIO_RECORDING_KEYS", &*keys(&[(ONE, "one"), (TWO, "two")]))], settings].concat()).await
}

fn assert_nothing_sent(world: &World) {
    assert_eq!(world.assemblyai.uploads().len(), 0);
    assert_eq!(world.transcript_requests().len(), 0);
}

#[tokio::test]
async fn an_encrypted_recording_is_transcribed_and_played_as_it_was_recorded() {
    let world = world_with(&[]).await;
    for (sid, public) in [(ONE, ONE_PUBLIC), (TWO, TWO_PUBLIC)] {
        world.twilio.encrypt_recordings(sid, public);
        let (call, recording) = world.recorded_call().await;
        world.settle().await;
        assert_eq!(world.call(&call).await["progress"], "done");
        let uploads = world.assemblyai.uploads();
        let upload = uploads.last().expect("an upload");
        assert_eq!((&*upload.sha256, upload.bytes), (&*Audio::Speech.sha256(), speech::WAV.len() as u64));

        for extension in ["", ".wav", ".mp3"] {
            let path = format!("/recordings/{recording}{extension}");
            let whole = world.get(&path).await;
            assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, "audio/x-wav"), "{path}");
            assert!(whole.body == speech::WAV, "{path}");
            assert_eq!(whole.header("content-length"), speech::WAV.len().to_string());
            let length = speech::WAV.len();
            for (range, first, end) in [
                ("bytes=0-", 0, length),
                ("bytes=70000-", 70_000, length),
                ("bytes=5-70000", 5, 70_001),
                ("bytes=-10", length - 10, length),
            ] {
                let part = world.get_with(&path, &[("range", range)]).await;
                assert_eq!(part.status, 206, "{range}");
                assert_eq!(part.header("content-range"), format!("bytes {first}-{}/{length}", end - 1));
                assert!(part.body == speech::WAV[first..end], "{range}");
            }
            let beyond = world.get_with(&path, &[("range", &format!("bytes={length}-"))]).await;
            beyond.problem(416, "vendor-rejected");
            assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
            let nonsense = world.get_with(&path, &[("range", "bytes=5-2")]).await;
            assert!(nonsense.status == 200 && nonsense.body == speech::WAV);
        }
    }
    // Twilio has no MP3 of what it cannot read.
    assert_eq!(world.twilio.control.request_count(Method::GET, "/Recordings/{id}.mp3"), 0);
}

#[tokio::test]
async fn an_order_of_an_encrypted_mp3_or_channel_is_one_of_the_wav() {
    let world = world_with(&[]).await;
    world.twilio.encrypt_recordings(ONE, ONE_PUBLIC);
    let recording = world.twilio.add_recording(SeededRecording { channels: 2, ..Default::default() });
    let url = format!("{}.mp3?RequestedChannels=1", world.media_url(&recording));
    let answer = world.post_json("/transcribe", &json!({ "recording_url": url })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(world.assemblyai.uploads()[0].is_speech);
    let asked = world.twilio.control.requests_to(Method::GET, &format!("{recording}.wav"));
    assert!(!asked.is_empty() && asked.iter().all(|asked| !asked.target.contains('?')));
}

#[tokio::test]
async fn without_its_key_an_encrypted_recording_fails_with_the_reason_and_costs_nothing() {
    let one = keys(&[(ONE, "one")]);
    let wrong = keys(&[(ONE, "two")]);
    for (settings, reason) in [
        (vec![], "which TWILIO_RECORDING_KEYS does not have"),
        (vec![("TWILIO_RECORDING_KEYS", &*one)], "which TWILIO_RECORDING_KEYS does not have"),
        (vec![("TWILIO_RECORDING_KEYS", &*wrong)], "the private key that TWILIO_RECORDING_KEYS has for it is another"),
    ] {
        let world = World::with(&settings).await;
        let is_wrong = reason.contains("another");
        let (sid, public) = if is_wrong { (ONE, ONE_PUBLIC) } else { (TWO, TWO_PUBLIC) };
        world.twilio.encrypt_recordings(sid, public);
        let (call, recording) = world.recorded_call().await;
        world.settle().await;
        let seen = world.call(&call).await;
        assert_eq!(seen["progress"], "failed");
        let told = seen["transcripts"][0]["reason"].as_str().expect("a reason");
        assert!(
            told.contains(&format!("{recording} is encrypted with key {sid}, ")) && told.contains(reason),
            "{told}"
        );
        assert_nothing_sent(&world);
        let heard = world.get(&format!("/recordings/{recording}.wav")).await.problem(409, "not-decryptable");
        assert!(heard.contains(reason), "{heard}");
        // In the middle, nothing tells encrypted audio from any other.
        for range in ["bytes=1000-1999", "bytes=1000-", "bytes=-10", "bytes=0-99"] {
            let path = format!("/recordings/{recording}.wav");
            world.get_with(&path, &[("range", range)]).await.problem(409, "not-decryptable");
        }
        let asked = world.post_json("/transcribe", &json!({ "recording_sid": recording, "again": true })).await;
        assert!(asked.problem(409, "not-decryptable").contains(reason));
        assert_nothing_sent(&world);

        // Once it is set, a retry goes on.
        let all = keys(&[(ONE, "one"), (TWO, "two")]);
        let (app, url) = world.another_app_with_url(&[("TWILIO_RECORDING_KEYS", &all)]).await;
        let again = world.http.post(format!("{url}/calls/{call}/retry")).send().await.expect("an answer");
        assert!(again.status().is_success(), "{again:?}");
        app.run_due_jobs().await;
        // AssemblyAI's webhook reaches the first instance, which polls.
        world.settle().await;
        assert!(world.assemblyai.uploads().iter().all(|upload| upload.is_speech));
        assert_eq!(world.call(&call).await["progress"], "done");
        app.stop().await;
    }
}

/// An encrypted recording as the sandbox has it: its resource and its bytes.
async fn encrypted_speech() -> (Value, Vec<u8>) {
    let world = World::new().await;
    world.twilio.encrypt_recordings(ONE, ONE_PUBLIC);
    let recording = world.twilio.add_recording(SeededRecording::default());
    let get = async |extension: &str| {
        let request = client().get(format!("{}{extension}", world.media_url(&recording)));
        Answer::of(request.basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN)).send().await.expect("an answer")).await
    };
    let details = get(".json").await.json()["encryption_details"].take();
    (
        json!({ "encryption_details": details, "duration": speech::duration().as_secs().to_string() }),
        get(".wav").await.body,
    )
}

#[tokio::test]
async fn encrypted_audio_that_was_changed_or_cut_off_is_neither_transcribed_nor_played() {
    let (facts, good) = encrypted_speech().await;
    assert_eq!(good.len(), speech::WAV.len() + 16);
    let changed = |at: usize| {
        let mut changed = good.clone();
        changed[at] ^= 1;
        changed
    };
    let recording = "RE00000000000000000000000000000001";
    for (what, bytes) in [
        ("a sample", changed(good.len() / 2)),
        ("the tag", changed(good.len() - 1)),
        ("the last sample", changed(good.len() - 17)),
        ("without its tag", good[..good.len() - 16].to_vec()),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("only a part of a tag", good[..10].to_vec()),
        ("not encrypted", speech::WAV.to_vec()),
    ] {
        let twilio = twilio_of(facts.clone(), move |_, _| Response::new(Body::from(bytes.clone()))).await;
        let world = world_with(&[("TWILIO_API_URL", &twilio)]).await;
        let answer = world.post_json("/transcribe", &json!({ "recording_sid": recording })).await;
        let detail = answer.problem(502, "vendor-bad-answer");
        assert!(detail.contains("at the audio, which "), "{what}: {detail}");
        assert_eq!(world.transcript_requests().len(), 0, "{what}");
        assert_eq!(world.assemblyai.uploads().len(), 0, "{what}");
        // A player gets no sound at all, because the end comes last.
        for range in ["bytes=0-", "bytes=1000-", "none"] {
            let played = world.get_with(&format!("/recordings/{recording}.wav"), &[("range", range)]).await;
            played.problem(502, "vendor-bad-answer");
        }
    }
}

#[tokio::test]
async fn a_player_gets_no_block_that_was_changed_after_it_was_verified() {
    let (facts, good) = encrypted_speech().await;
    let mut changed = good.clone();
    changed[70_000] ^= 1;
    let read = Arc::new(AtomicUsize::new(0));
    let twilio = twilio_of(facts, move |_, _| {
        let bytes = if read.fetch_add(1, Ordering::Relaxed) == 0 { good.clone() } else { changed.clone() };
        Response::new(Body::from(bytes))
    })
    .await;
    let world = world_with(&[("TWILIO_API_URL", &twilio)]).await;
    let url = format!("{}/recordings/RE00000000000000000000000000000001.wav", world.base);
    let mut answer = world.http.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut heard = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        heard.extend_from_slice(&piece);
    }
    assert!(heard.len() <= 64 << 10 && speech::WAV.starts_with(&heard), "{} bytes", heard.len());
}

#[tokio::test]
async fn an_encrypted_recording_in_the_accounts_own_storage_is_not_given_to_assemblyai() {
    let (mut facts, _) = encrypted_speech().await;
    facts["media_url"] = "https://bucket.s3.amazonaws.com/audio".into();
    let twilio = twilio_of(facts, |_, _| Response::new(Body::empty())).await;
    let world = world_with(&[("TWILIO_API_URL", &twilio)]).await;
    let request = json!({ "recording_sid": "RE00000000000000000000000000000001" });
    let detail = world.post_json("/transcribe", &request).await.problem(409, "not-decryptable");
    assert!(detail.contains("own storage"), "{detail}");
    assert_nothing_sent(&world);
}
