//! AssemblyAI's JSON, of webhooks and of transcripts: what is read is what it says, half of it is not read, and whatever
//! words it has can be taken away as captions.

#![no_main]

use callscribe::export;
use callscribe::internals::{Listed, Reply, TranscriptReady};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|json: &[u8]| {
    let ready = serde_json::from_slice::<TranscriptReady>(json);
    let listed = serde_json::from_slice::<Listed>(json);
    if let Ok(listed) = &listed {
        listed.created_at();
    }
    let reply = Reply::read(json.to_vec());

    if let Some((_, cut)) = json.trim_ascii_end().split_last() {
        assert!(reply.is_none() || Reply::read(cut.to_vec()).is_none(), "its last byte is lost");
        assert!(ready.is_err() || serde_json::from_slice::<TranscriptReady>(cut).is_err(), "its last byte is lost");
    }

    // A struct is read from a list as well, and numbers are skipped that no value holds: such have no second opinion.
    let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(json) else { return };
    if let Ok(ready) = ready {
        assert_eq!(ready.transcript_id.as_deref(), value["transcript_id"].as_str());
    }
    if let Ok(listed) = listed {
        assert_eq!(Some(listed.id.as_str()), value["id"].as_str());
    }
    let Some(Reply { json: kept, transcript }) = reply else { return };
    assert_eq!(kept, json);
    assert_eq!(Some(transcript.id.as_str()), value["id"].as_str());
    assert_eq!(transcript.text.as_deref(), value["text"].as_str());
    assert_eq!(transcript.error.as_deref(), value["error"].as_str());
    assert_eq!(transcript.audio_url.as_deref(), value["audio_url"].as_str());
    let status = value["status"].as_str();
    assert_eq!(transcript.is_final(), matches!(status, Some("completed" | "error")), "{status:?}");

    let heard = transcript.words.iter().map(|word| export::Word {
        text: &word.text,
        start: word.start,
        end: word.end,
        speaker: word.speaker.as_deref(),
        channel: word.channel.as_deref(),
    });
    let heard: Vec<export::Word> = heard.collect();
    assert_eq!(export::srt(&heard).matches(" --> ").count(), export::vtt(&heard).matches(" --> ").count());

    let words: Vec<&Value> = value["words"].as_array().into_iter().flatten().filter(|word| !word.is_null()).collect();
    assert_eq!(transcript.words.len(), words.len());
    for (word, value) in transcript.words.iter().zip(words) {
        assert!(word.confidence.is_finite());
        if value.is_object() {
            let numbered = value["text"].is_number().then(|| value["text"].to_string());
            assert_eq!(word.text, numbered.as_deref().or(value["text"].as_str()).unwrap_or_default());
        }
    }
});
