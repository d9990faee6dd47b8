//! What the emulated AssemblyAI hears of two voices and of hard words.

use callscribe::sandbox::speech::{Form, Layout, Scene, Script, scene_of};
use serde_json::{Value, json};

use super::assemblyai::{Sandbox, sandbox};

const FIRST: &str = "RE0123456789abcdef0123456789abcdef";
const SECOND: &str = "REfedcba9876543210fedcba9876543210";

const CLINIC: Scene = Scene { script: Script::Clinic, layout: Layout::OperatorFirst };

/// The hard words of the clinic.
const TERMS: [&str; 8] = [
    "Siobhan Kowalczyk",
    "tacrolimus",
    "gastroparesis",
    "creatinine",
    "ondansetron",
    "rivaroxaban",
    "metoprolol",
    "echocardiogram",
];

/// Uploads a file and returns its completed transcript.
async fn transcribe(sandbox: &Sandbox, file: &[u8], mut params: Value) -> Value {
    params["audio_url"] = json!(sandbox.upload(file).await);
    let id = sandbox.created(params).await;
    sandbox.once_status(&id, "completed").await
}

fn items<'a>(transcript: &'a Value, name: &str) -> &'a Vec<Value> {
    transcript[name].as_array().unwrap_or_else(|| panic!("no {name}: {transcript}"))
}

fn texts(parts: &[Value]) -> Vec<&str> {
    parts.iter().map(|part| part["text"].as_str().unwrap()).collect()
}

/// Returns how often any of the terms stands in the text.
fn right(transcript: &Value) -> usize {
    let text = transcript["text"].as_str().unwrap();
    TERMS.iter().flat_map(|term| term.split(' ')).map(|word| text.matches(word).count()).sum()
}

#[tokio::test]
async fn each_channel_has_its_own_speaker_and_utterances_are_in_the_order_in_which_they_begin() {
    let sandbox = sandbox().await;
    let terms = json!({ "multichannel": true, "keyterms_prompt": TERMS });
    let transcript = transcribe(&sandbox, &CLINIC.wav(Form::Both), terms).await;
    assert_eq!(transcript["audio_channels"], 2);
    let utterances = items(&transcript, "utterances");
    for part in utterances.iter().chain(items(&transcript, "words")) {
        assert_eq!(part["speaker"], part["channel"], "{part}");
    }
    // The operator is on the first channel and speaks second, once while the party still speaks.
    let channels: Vec<&str> = utterances.iter().map(|one| one["channel"].as_str().unwrap()).collect();
    assert_eq!(channels[..4], ["2", "1", "2", "1"], "{channels:?}");
    assert!(texts(utterances)[0].starts_with("Hello, this is"));
    assert!(texts(utterances)[1].starts_with("Hello, I have the chart open."));
    let time = |at: usize, name: &str| utterances[at][name].as_u64().unwrap();
    assert!(time(3, "start") < time(2, "end"), "the voices overlap");
    for name in ["utterances", "words"] {
        let starts: Vec<u64> = items(&transcript, name).iter().map(|one| one["start"].as_u64().unwrap()).collect();
        assert!(starts.is_sorted(), "{name}");
    }
    let by_utterance: usize = utterances.iter().map(|one| items(one, "words").len()).sum();
    assert_eq!(by_utterance, items(&transcript, "words").len());
}

#[tokio::test]
async fn without_multichannel_the_sides_are_lost_and_speaker_labels_tell_the_voices_apart() {
    let sandbox = sandbox().await;
    let both = transcribe(&sandbox, &CLINIC.wav(Form::Both), json!({})).await;
    assert_eq!((&both["utterances"], &both["audio_channels"]), (&Value::Null, &Value::Null));
    assert!(items(&both, "words").iter().all(|word| word["speaker"].is_null() && word.get("channel").is_none()));

    let mixed = transcribe(&sandbox, &CLINIC.wav(Form::Mixed), json!({ "multichannel": true })).await;
    assert_eq!(mixed["audio_channels"], 1);
    assert!(items(&mixed, "words").iter().all(|word| word["channel"] == "1"));

    let labeled = transcribe(&sandbox, &CLINIC.wav(Form::Mixed), json!({ "speaker_labels": true })).await;
    let speakers: Vec<&str> =
        items(&labeled, "utterances").iter().map(|one| one["speaker"].as_str().unwrap()).collect();
    assert_eq!(speakers[..4], ["A", "B", "A", "B"]);

    let operator = transcribe(&sandbox, &CLINIC.wav(Form::First), json!({})).await;
    assert!(operator["text"].as_str().unwrap().starts_with("Hello, I have the chart open. Is that"));
}

#[tokio::test]
async fn equal_channels_double_the_text_and_silence_has_none() {
    let sandbox = sandbox().await;
    for (script, is_silent) in [(Script::Order, false), (Script::Law, false), (Script::Silence, true)] {
        let file = Scene { script, layout: Layout::Equal }.wav(Form::Both);
        let once = transcribe(&sandbox, &file, json!({})).await;
        let doubled = transcribe(&sandbox, &file, json!({ "multichannel": true })).await;
        assert_eq!(items(&once, "words").is_empty(), is_silent);
        assert_eq!(items(&doubled, "words").len(), 2 * items(&once, "words").len());
        let length = |transcript: &Value| transcript["text"].as_str().unwrap().split_whitespace().count();
        assert_eq!(length(&doubled), 2 * length(&once));
    }
}

#[tokio::test]
async fn hard_words_are_misheard_unless_they_are_key_terms() {
    let sandbox = sandbox().await;
    let file = scene_of(FIRST, CLINIC, Form::Both, false);
    let without = transcribe(&sandbox, &file, json!({})).await;
    let again = transcribe(&sandbox, &file, json!({})).await;
    let with = transcribe(&sandbox, &file, json!({ "keyterms_prompt": TERMS })).await;
    let another = transcribe(&sandbox, &scene_of(SECOND, CLINIC, Form::Both, false), json!({})).await;
    assert_eq!(without["text"], again["text"]);
    assert_ne!(without["text"], another["text"], "each recording is misheard in its own way");
    // Of thirteen.
    assert!(right(&without) <= 5, "{}", without["text"]);
    assert!((9..=13).contains(&right(&with)), "{}", with["text"]);

    let low = |transcript: &Value| {
        items(transcript, "words").iter().filter(|word| word["confidence"].as_f64().unwrap() < 0.65).count()
    };
    assert!(low(&without) > 2 * low(&with), "{} and {}", low(&without), low(&with));
}

#[tokio::test]
async fn what_is_heard_right_is_redacted_and_spelled_as_asked() {
    let sandbox = sandbox().await;
    let params = json!({
        "keyterms_prompt": TERMS, "redact_pii": true, "redact_pii_policies": ["drug", "person_name"],
        "custom_spelling": [{ "from": ["creatinine"], "to": "CREA" }],
    });
    let transcript = transcribe(&sandbox, &CLINIC.wav(Form::Both), params).await;
    let text = transcript["text"].as_str().unwrap();
    for hidden in ["Kowalczyk", "tacrolimus", "rivaroxaban", "metoprolol", "creatinine"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert!(text.contains("##########") && text.contains("CREA"), "{text}");
}
