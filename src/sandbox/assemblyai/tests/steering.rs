//! What tests of crashes, faults and load can do to uploads, transcripts and webhooks, and what they can count.

use super::*;
use crate::sandbox::control::Callbacks;

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
    let recordings: Vec<_> = sandbox.vendor.uploads().into_iter().map(|upload| upload.recording).collect();
    assert_eq!(recordings, [FIRST, SECOND, SECOND].map(|sid| Some(sid.to_owned())));
}

#[tokio::test]
async fn a_marked_recording_that_did_not_come_whole_is_not_understood() {
    let sandbox = sandbox().await;
    let file = speech::marked(FIRST, 1, 0);
    let id = sandbox.created(json!({ "audio_url": sandbox.upload(&file[..file.len() - 10]).await })).await;
    sandbox.once_status(&id, "error").await;
    let upload = sandbox.vendor.uploads().remove(0);
    assert_eq!((upload.is_speech, upload.recording), (false, None));
}

#[tokio::test]
async fn accepted_transcripts_are_counted_whatever_becomes_of_the_answer() {
    let sandbox = sandbox().await;
    let first = sandbox.upload(&speech::marked(FIRST, 1, 0)).await;
    let again = sandbox.upload(&speech::marked(FIRST, 1, 0)).await;
    let plain = sandbox.upload(speech::WAV).await;
    let control = &sandbox.vendor.control;
    control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let order = sandbox.request(Method::POST, "/v2/transcript").json(&json!({ "audio_url": first }));
    assert!(order.send().await.is_err());
    control.fail_next(Method::POST, "/v2/transcript", Fault::Refuse { status: 503, retry_after: None });
    assert_eq!(sandbox.create(json!({ "audio_url": first })).await.0, 503);
    assert_eq!(sandbox.create(json!({ "audio_url": first, "speaker_labels": 1 })).await.0, 400);
    let deleted = sandbox.created(json!({ "audio_url": again })).await;
    answer(sandbox.request(Method::DELETE, &format!("/v2/transcript/{deleted}"))).await;
    sandbox.created(json!({ "audio_url": plain })).await;
    sandbox.created(json!({ "audio_url": plain })).await;

    assert_eq!(sandbox.vendor.accepted_per_recording(), HashMap::from([(FIRST.to_owned(), 2)]));
    assert_eq!(sandbox.vendor.accepted_per_audio_url(), HashMap::from([(first, 1), (again, 1), (plain, 2)]));
    assert_eq!(control.request_count(Method::POST, "/v2/transcript"), 6);
    assert_eq!(control.request_count(Method::DELETE, "/v2/transcript/{id}"), 1);
}

#[tokio::test]
async fn transcripts_of_lost_uploads_end_in_a_download_error() {
    let sandbox = sandbox().await;
    sandbox.vendor.hold();
    let lost = sandbox.upload(speech::WAV).await;
    let before = sandbox.created(json!({ "audio_url": lost })).await;
    sandbox.once_status(&before, "processing").await;
    sandbox.vendor.forget_uploads();
    let after = sandbox.created(json!({ "audio_url": lost })).await;
    let new = sandbox.created(json!({ "audio_url": sandbox.upload(speech::WAV).await })).await;
    sandbox.vendor.release();
    for id in [before, after] {
        let error = sandbox.once_status(&id, "error").await["error"].clone();
        assert!(error.as_str().unwrap().starts_with(&format!("Download error, unable to download {lost}.")), "{error}");
    }
    sandbox.once_status(&new, "completed").await;
    assert_eq!(sandbox.vendor.uploads().len(), 2);
}

/// Orders a transcript whose webhook goes there; returns its id.
async fn ordered(sandbox: &Sandbox, receiver: &Receiver, callbacks: Callbacks) -> String {
    sandbox.vendor.control.set_callbacks(callbacks);
    let audio_url = sandbox.upload(speech::WAV).await;
    sandbox.created(json!({ "audio_url": audio_url, "webhook_url": receiver.url })).await
}

/// The transcripts that webhooks told of, in the order of their arrival.
fn told(receiver: &Receiver) -> Vec<Value> {
    receiver.calls.lock().unwrap().iter().map(|(_, body)| body["transcript_id"].clone()).collect()
}

#[tokio::test]
async fn a_dropped_webhook_never_comes() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    let dropped = ordered(&sandbox, &receiver, Callbacks::Drop).await;
    sandbox.once_status(&dropped, "completed").await;
    let sent = ordered(&sandbox, &receiver, Callbacks::Deliver).await;
    sandbox.once(&sent, |transcript| transcript["webhook_status_code"] == 204).await;
    assert_eq!(told(&receiver), [json!(sent)]);
}

#[tokio::test]
async fn a_webhook_can_come_twice() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    let twice = ordered(&sandbox, &receiver, Callbacks::Twice).await;
    sandbox.vendor.control.until(|| (told(&receiver).len() == 2).then_some(())).await;
    assert_eq!(told(&receiver), [json!(twice), json!(twice)]);
}

#[tokio::test]
async fn a_webhook_can_come_before_the_answer() {
    let (sandbox, receiver) = (sandbox().await, Receiver::start(vec![204; 5]).await);
    sandbox.vendor.hold();
    let mut order = std::pin::pin!(ordered(&sandbox, &receiver, Callbacks::Shuffled));
    let under_way = async {
        let status = || Some(sandbox.vendor.transcripts().first()?["status"].clone());
        sandbox.vendor.control.until(|| status().filter(|status| status == "processing")).await;
        // Had the order been answered, the answer would have been here before this one.
        sandbox.get("/v2/transcript").await;
    };
    tokio::select! {
        biased;
        id = &mut order => panic!("{id} was answered before it was finished"),
        () = under_way => sandbox.vendor.release(),
    }
    let id = order.await;
    assert_eq!(told(&receiver), [json!(id)]);
}
