//! What a request for a transcript asks for beside the plain words.

use callscribe::sandbox::speech;
use serde_json::{Value, json};

use super::assemblyai::{Sandbox, sandbox};

async fn transcribed(sandbox: &Sandbox, mut params: Value) -> Value {
    params["audio_url"] = json!(sandbox.upload(speech::WAV).await);
    let id = sandbox.created(params).await;
    sandbox.once_status(&id, "completed").await
}

#[tokio::test]
async fn what_is_redacted_is_in_no_part_of_the_transcript_and_in_no_export() {
    let sandbox = sandbox().await;
    let params = json!({
        "redact_pii": true, "redact_pii_policies": ["location", "number_sequence"], "redact_pii_sub": "entity_name",
        "speaker_labels": true,
    });
    let transcript = transcribed(&sandbox, params).await;
    let text = "Hello, this is a test call. Please ship order [NUMBER_SEQUENCE] [NUMBER_SEQUENCE] to [LOCATION] [LOCATION] \
                before Friday.";
    assert_eq!(transcript["text"], text);
    assert_eq!(transcript["words"].as_array().unwrap().len(), speech::words().len(), "the times remain");
    let id = transcript["id"].as_str().unwrap();
    for private in ["forty", "Ahoy", "Street"] {
        assert!(!transcript.to_string().contains(private), "{transcript}");
        for export in ["sentences", "paragraphs", &format!("word-search?words={private}")] {
            let (status, body) = sandbox.get(&format!("/v2/transcript/{id}/{export}")).await;
            let found = export.starts_with("word") && body["total_count"] != 0;
            assert!(status == 200 && !found && !body.to_string().contains(private), "{export}: {body}");
        }
    }
    let (status, body) = sandbox.get(&format!("/v2/transcript/{id}/redacted-audio")).await;
    assert_eq!((status, body), (400, json!({ "error": "The sandbox does not redact audio" })));
}

#[tokio::test]
async fn a_transcript_ends_where_it_should_and_is_spelled_as_it_should_be() {
    let sandbox = sandbox().await;
    let params = json!({
        "audio_start_from": 2_000, "audio_end_at": 4_610, "punctuate": false,
        "custom_spelling": [{ "from": ["ahoy street"], "to": "Ahoi-Straße" }],
    });
    let transcript = transcribed(&sandbox, params).await;
    assert_eq!(transcript["text"], "Please ship order forty two to Ahoi-Straße before");
    let words = transcript["words"].as_array().unwrap();
    assert_eq!((&words[0]["start"], &words[7]["text"]), (&json!(2_055), &json!("before")));
    let (start, end) = (words[6]["start"].as_u64().unwrap(), words[6]["end"].as_u64().unwrap());
    assert!(start < end && end <= words[7]["start"].as_u64().unwrap(), "both words are in {start} to {end}");

    let empty = transcribed(&sandbox, json!({ "audio_start_from": 60_000, "speaker_labels": true })).await;
    assert_eq!((&empty["text"], &empty["words"], &empty["confidence"]), (&json!(""), &json!([]), &json!(0.0)));
}

#[tokio::test]
async fn the_language_is_english_and_no_other() {
    let sandbox = sandbox().await;
    for code in ["zz", "de", "english"] {
        let params = json!({ "audio_url": "https://example.com/a.wav", "language_code": code });
        let words = format!("The sandbox does not support the language \"{code}\"");
        assert_eq!(sandbox.create(params).await, (400, json!({ "error": words })));
    }
    assert_eq!(transcribed(&sandbox, json!({ "language_code": "en_uk" })).await["language_code"], "en_uk");
    let detected = transcribed(&sandbox, json!({ "language_detection": true })).await;
    assert_eq!((&detected["language_code"], &detected["language_confidence"]), (&json!("en"), &json!(0.99)));
}

#[tokio::test]
async fn no_transcript_is_throttled_and_a_day_is_a_date() {
    let sandbox = sandbox().await;
    let id = transcribed(&sandbox, json!({ "speech_model": "universal-2" })).await;
    assert_eq!(id["speech_model_used"], "universal-2");
    for (query, count) in [("throttled_only=true", 0), ("throttled_only=false", 1), ("created_on=2000-01-01", 0)] {
        let (_, list) = sandbox.get(&format!("/v2/transcript?{query}")).await;
        assert_eq!(list["page_details"]["result_count"], count, "{query}");
    }
    for query in ["throttled_only=maybe", "created_on=20", "created_on="] {
        assert_eq!(sandbox.get(&format!("/v2/transcript?{query}")).await.0, 400, "{query}");
    }
}
