//! How tests control uploads, transcripts and webhooks, and what they can count.

use std::collections::HashMap;

use axum::http::Method;
use callscribe::sandbox::control::{Callbacks, Fault};
use callscribe::sandbox::speech;
use serde_json::{Value, json};

use super::assemblyai::{Receiver, Sandbox, sandbox, send};
use crate::support::refuse;

const FIRST: &str = "RE0123456789abcdef0123456789abcdef";
const SECOND: &str = "REfedcba9876543210fedcba9876543210";

#[tokio::test]
async fn the_transcript_of_a_marked_recording_ends_with_its_sid() {
    let sandbox = sandbox().await;
    for (sid, channels, bytes) in [(FIRST, 1, 0), (SECOND, 2, 0), (SECOND, 1, 100_000)] {
        let audio_url = sandbox.upload(&speech::marked(sid, channels, bytes)).await;
        let id = sandbox.created(json!({ "audio_url": audio_url, "multichannel": true })).await;
        let transcript = sandbox.once_status(&id, "completed").await;
        assert_eq!(transcript["text"], format!("{} {sid}", speech::text()));
        assert_eq!(transcript["audio_channels"], channels);
        let words = transcript["words"].as_array().unwrap();
        assert_eq!(words.len(), speech::words().len() + 1);
        assert_eq!(
            words.last().unwrap(),
            &json!({
                "text": sid, "start": 5125, "end": 5425, "confidence": 1.0, "channel": "1", "speaker": "1"
            })
        );
        let (_, paragraphs) = sandbox.get(&format!("/v2/transcript/{id}/paragraphs")).await;
        assert_eq!(paragraphs["paragraphs"][0]["text"], transcript["text"]);
    }
    let recordings: Vec<_> = sandbox.assemblyai.uploads().into_iter().map(|upload| upload.recording).collect();
    assert_eq!(recordings, [FIRST, SECOND, SECOND].map(|sid| Some(sid.to_owned())));
}

#[tokio::test]
async fn an_incomplete_marked_recording_is_not_recognized() {
    let sandbox = sandbox().await;
    let file = speech::marked(FIRST, 1, 0);
    let id = sandbox.created(json!({ "audio_url": sandbox.upload(&file[..file.len() - 10]).await })).await;
    sandbox.once_status(&id, "error").await;
    let upload = sandbox.assemblyai.uploads().remove(0);
    assert_eq!((upload.is_speech, upload.recording), (false, None));
}

#[tokio::test]
async fn accepted_transcripts_are_counted_also_if_the_response_is_lost() {
    let sandbox = sandbox().await;
    let first = sandbox.upload(&speech::marked(FIRST, 1, 0)).await;
    let again = sandbox.upload(&speech::marked(FIRST, 1, 0)).await;
    let plain = sandbox.upload(speech::WAV).await;
    let control = &sandbox.assemblyai.control;
    control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let request = sandbox.request(Method::POST, "/v2/transcript").json(&json!({ "audio_url": first }));
    assert!(request.send().await.is_err());
    control.fail_next(Method::POST, "/v2/transcript", refuse(503));
    assert_eq!(sandbox.create(json!({ "audio_url": first })).await.0, 503);
    assert_eq!(sandbox.create(json!({ "audio_url": first, "speaker_labels": 1 })).await.0, 400);
    let deleted = sandbox.created(json!({ "audio_url": again })).await;
    send(sandbox.request(Method::DELETE, &format!("/v2/transcript/{deleted}"))).await;
    sandbox.created(json!({ "audio_url": plain })).await;
    sandbox.created(json!({ "audio_url": plain })).await;

    assert_eq!(sandbox.assemblyai.accepted_per_recording(), HashMap::from([(FIRST.to_owned(), 2)]));
    assert_eq!(sandbox.assemblyai.accepted_per_audio_url(), HashMap::from([(first, 1), (again, 1), (plain, 2)]));
    assert_eq!(control.request_count(Method::POST, "/v2/transcript"), 6);
    assert_eq!(control.request_count(Method::DELETE, "/v2/transcript/{id}"), 1);
}

#[tokio::test]
async fn transcripts_of_lost_uploads_end_in_a_download_error() {
    let sandbox = sandbox().await;
    sandbox.assemblyai.hold();
    let lost = sandbox.upload(speech::WAV).await;
    let before = sandbox.created(json!({ "audio_url": lost })).await;
    sandbox.once_status(&before, "processing").await;
    sandbox.assemblyai.forget_uploads();
    let after = sandbox.created(json!({ "audio_url": lost })).await;
    let new = sandbox.created(json!({ "audio_url": sandbox.upload(speech::WAV).await })).await;
    sandbox.assemblyai.release();
    for id in [before, after] {
        let error = sandbox.once_status(&id, "error").await["error"].clone();
        assert!(error.as_str().unwrap().starts_with(&format!("Download error, unable to download {lost}.")), "{error}");
    }
    sandbox.once_status(&new, "completed").await;
    assert_eq!(sandbox.assemblyai.uploads().len(), 2);
}

/// Creates a transcript whose webhook goes to this receiver; returns its id.
async fn created(sandbox: &Sandbox, receiver: &Receiver, callbacks: Callbacks) -> String {
    sandbox.assemblyai.control.set_callbacks(callbacks);
    let audio_url = sandbox.upload(speech::WAV).await;
    sandbox.created(json!({ "audio_url": audio_url, "webhook_url": receiver.url })).await
}

/// Returns the transcript ids in the webhooks, in the order of their arrival.
fn notified(receiver: &Receiver) -> Vec<Value> {
    receiver.calls.lock().unwrap().iter().map(|(_, body)| body["transcript_id"].clone()).collect()
}

#[tokio::test]
async fn a_dropped_webhook_is_never_sent() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    let dropped = created(&sandbox, &receiver, Callbacks::Drop).await;
    sandbox.once_status(&dropped, "completed").await;
    let sent = created(&sandbox, &receiver, Callbacks::Deliver).await;
    sandbox.once(&sent, |transcript| transcript["webhook_status_code"] == 204).await;
    assert_eq!(notified(&receiver), [json!(sent)]);
}

#[tokio::test]
async fn a_webhook_can_be_sent_twice() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    let twice = created(&sandbox, &receiver, Callbacks::Twice).await;
    sandbox.assemblyai.control.until(|| (notified(&receiver).len() == 2).then_some(())).await;
    assert_eq!(notified(&receiver), [json!(twice), json!(twice)]);
}

#[tokio::test]
async fn a_webhook_can_be_sent_before_the_response() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    sandbox.assemblyai.hold();
    let mut creation = std::pin::pin!(created(&sandbox, &receiver, Callbacks::Shuffled));
    let processing = async {
        let status = || Some(sandbox.assemblyai.transcripts().first()?["status"].clone());
        sandbox.assemblyai.control.until(|| status().filter(|status| status == "processing")).await;
        // A response to the creation would have arrived before the response to this request.
        sandbox.get("/v2/transcript").await;
    };
    tokio::select! {
        biased;
        id = &mut creation => panic!("the response for {id} came before its end"),
        () = processing => sandbox.assemblyai.release(),
    }
    let id = creation.await;
    assert_eq!(notified(&receiver), [json!(id)]);
}
