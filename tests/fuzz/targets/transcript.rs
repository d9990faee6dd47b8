//! AssemblyAI's JSON of webhooks and transcripts: parsing keeps its values, rejects truncated JSON, and any words can be
//! exported as captions.

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
        assert!(reply.is_none() || Reply::read(cut.to_vec()).is_none(), "JSON without its last byte is accepted");
        assert!(
            ready.is_err() || serde_json::from_slice::<TranscriptReady>(cut).is_err(),
            "JSON without its last byte is accepted"
        );
    }

    // serde also reads a struct from an array, and skips numbers that `Value` cannot hold; such input cannot be compared.
    let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(json) else { return };
    if let Ok(ready) = ready {
        assert_eq!(ready.transcript_id.as_deref(), value["transcript_id"].as_str());
    }
    if let Ok(listed) = listed {
        assert_eq!(Some(listed.id.as_str()), value["id"].as_str());
    }
    let Some(reply) = reply else { return };
    let mut heard = Vec::new();
    reply.each_word(|word| heard.push(word));
    let Reply { json: kept, transcript } = reply;
    assert_eq!(kept.stored(), json);
    assert_eq!(Some(transcript.id.as_str()), value["id"].as_str());
    assert_eq!(transcript.text.as_deref(), value["text"].as_str());
    // An empty one says nothing, and one that says that the audio is silent is none.
    let error = transcript.error.as_deref().unwrap_or_default();
    assert!(value["error"].as_str().unwrap_or_default().starts_with(error));
    assert_eq!(transcript.audio_url.as_deref(), value["audio_url"].as_str());
    let status = value["status"].as_str();
    let is_final = matches!(status, Some("completed" | "error")) || transcript.is_deleted();
    assert_eq!(transcript.is_final(), is_final, "{status:?}");

    let words = heard.iter().map(|word| export::Word {
        text: &word.text,
        start: word.start,
        end: word.end,
        speaker: word.speaker.as_deref(),
        channel: word.channel.as_deref(),
    });
    let words: Vec<export::Word> = words.collect();
    assert_eq!(export::srt(&words, &|word| word.voice()).matches(" --> ").count(), export::vtt(&words, &|word| word.voice()).matches(" --> ").count());

    let words: Vec<&Value> = value["words"].as_array().into_iter().flatten().filter(|word| word.is_object()).collect();
    assert_eq!(heard.len(), words.len());
    for (word, value) in heard.iter().zip(words) {
        assert!(word.confidence.is_finite());
        let numbered = value["text"].is_number().then(|| value["text"].to_string());
        assert_eq!(word.text, numbered.as_deref().or(value["text"].as_str()).unwrap_or_default());
    }
});
