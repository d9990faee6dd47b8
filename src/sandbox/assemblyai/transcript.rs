//! A transcript: its JSON and, once it is completed, its words.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::hearing::hear;
use super::params::TranscriptParams;
use super::upload::Upload;
use crate::clock;
use crate::sandbox::speech::{Scene, Word};

/// What AssemblyAI replaces the URLs of a deleted transcript with.
const DELETED_URL: &str = "http://deleted_by_user";

pub(super) struct Transcript {
    pub(super) id: String,
    pub(super) created: String,
    pub(super) completed: Option<String>,
    /// `None` until the transcript is completed, and again once it is deleted.
    pub(super) words: Option<Vec<Spoken>>,
    /// All fields except `words` and `utterances`.
    fields: Map<String, Value>,
    deleted: bool,
}

/// A word and who said it.
#[derive(Clone, Serialize)]
pub(super) struct Spoken {
    #[serde(flatten)]
    pub(super) word: Cow<'static, Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    speaker: Option<&'static str>,
}

impl Transcript {
    /// Returns a queued transcript.
    pub(super) fn new(params: &TranscriptParams) -> Self {
        let id = Uuid::new_v4().to_string();
        let mut fields: Map<String, Value> =
            serde_json::from_str(include_str!("transcript.json")).expect("transcript.json is a part of this program");
        fields.extend(params.echoed.iter().map(|(name, value)| (name.clone(), value.clone())));
        fields.insert("id".to_owned(), json!(id));
        let webhook_auth = params.webhook.as_ref().is_some_and(|webhook| webhook.auth.is_some());
        fields.insert("webhook_auth".to_owned(), json!(webhook_auth));
        Self { id, created: now(), completed: None, words: None, fields, deleted: false }
    }

    pub(super) fn json(&self) -> Value {
        let mut fields = self.fields.clone();
        // Kept as JSON, the words of thousands of transcripts would take most of the memory.
        if let Some(words) = &self.words {
            fields.insert("words".to_owned(), json!(words));
            if words.iter().any(|spoken| spoken.speaker.is_some()) {
                let all: Vec<Value> = utterances(words).iter().map(|words| spoken_passage(words)).collect();
                fields.insert("utterances".to_owned(), json!(all));
            }
        }
        Value::Object(fields)
    }

    pub(super) fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn status(&self) -> &str {
        self.field("status").as_str().unwrap_or_default()
    }

    /// Sets a field, unless the transcript is deleted: its processing may still go on.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        if !self.deleted {
            self.fields.insert(name.to_owned(), value.into());
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Fills in the result for this upload.
    pub(super) fn complete(&mut self, params: &TranscriptParams, upload: &Upload) {
        if self.deleted {
            return;
        }
        let Some((scene, form)) = upload.speech else { return };
        let labels = self.field("speaker_labels") == &Value::Bool(true);
        let multichannel = self.field("multichannel") == &Value::Bool(true);
        let keyterms: Vec<String> = serde_json::from_value(self.field("keyterms_prompt").clone()).unwrap_or_default();
        let mut voices = scene.voices(form);
        for (voice, seed) in voices.iter_mut().zip(upload.seed()..) {
            voice.words = hear(&voice.words, &keyterms, seed);
        }
        if let (Some(sid), Some(voice)) = (upload.recording.as_deref(), voices.first_mut()) {
            voice.words.push(spoken_sid(sid, scene, &voice.words));
        }
        voices.sort_by_key(|voice| voice.words.first().map(|word| word.start));
        let mut words = Vec::new();
        // Without `multichannel` all channels are one, and who was on which is lost.
        for channel in 1..=if multichannel { form.channels() } else { 1 } {
            let heard = voices.iter().filter(|voice| !multichannel || voice.channels.contains(&channel));
            for (place, voice) in heard.enumerate() {
                let (channel, speaker) = names(multichannel.then_some(channel), labels.then_some(place));
                let written = params.wording.write(voice.words.iter().cloned()).into_iter();
                words.extend(written.map(|word| Spoken { word, channel, speaker }));
            }
        }
        words.sort_by_key(|spoken| spoken.word.start);

        let whole = passage(&words);
        self.set("confidence", whole["confidence"].clone());
        let texts: Vec<String> = utterances(&words).iter().map(|words| text(words)).collect();
        self.set("text", texts.join(" "));
        self.set("audio_duration", scene.duration().as_secs_f64().round() as u64);
        self.set("speech_model_used", params.model.as_str());
        if self.field("language_detection") == &Value::Bool(true) {
            self.set("language_code", "en");
            self.set("language_confidence", 0.99);
        }
        if multichannel {
            self.set("audio_channels", form.channels());
        }
        self.set("status", "completed");
        self.completed = Some(now());
        self.words = Some(words);
    }

    pub(super) fn fail(&mut self, error: &str) {
        self.set("error", error);
        self.set("status", "error");
    }

    /// Deletes the content; a stub remains.
    pub(super) fn delete(&mut self) {
        for name in ["confidence", "prompt", "custom_spelling"] {
            self.set(name, Value::Null);
        }
        self.set("keyterms_prompt", json!([]));
        if !self.field("webhook_url").is_null() {
            self.set("webhook_url", DELETED_URL);
        }
        self.set("audio_url", DELETED_URL);
        self.set("text", "Deleted by user.");
        self.set("status", "completed");
        self.fields.shift_remove("error"); // it may contain the audio URL
        self.words = None;
        self.deleted = true;
    }
}

/// Returns a recording SID as the last word, in the silence at the end.
fn spoken_sid(sid: &str, scene: Scene, words: &[Cow<'static, Word>]) -> Cow<'static, Word> {
    let start = words.last().map_or(0, |last| last.end);
    let end = scene.duration().as_millis().try_into().unwrap_or(start);
    Cow::Owned(Word { text: sid.to_owned(), start, end, confidence: 1.0 })
}

/// Returns the names of a channel, which counts from 1, and of a speaker, who counts from 0 on each channel.
fn names(channel: Option<u8>, speaker: Option<usize>) -> (Option<&'static str>, Option<&'static str>) {
    let channel_name = channel.map(|channel| if channel == 1 { "1" } else { "2" });
    let speaker_name = match (channel, speaker) {
        (None, None) => None,
        (None, Some(0)) => Some("A"),
        (None, Some(_)) => Some("B"),
        (Some(_), None) => channel_name,
        (Some(1), Some(0)) => Some("1A"),
        (Some(1), Some(_)) => Some("1B"),
        (Some(_), Some(0)) => Some("2A"),
        (Some(_), Some(_)) => Some("2B"),
    };
    (channel_name, speaker_name)
}

/// After this many milliseconds without a word of its speaker, an utterance has ended.
const UTTERANCE_ENDS: u64 = 700;

/// Returns the words in utterances: what one speaker says without a longer pause, or until another speaker begins in a pause.
/// They are in the order in which they begin, and may overlap.
pub(super) fn utterances(words: &[Spoken]) -> Vec<Vec<Spoken>> {
    let mut all: Vec<Vec<Spoken>> = Vec::new();
    for spoken in words {
        let own = all.iter().rposition(|open| open.last().is_some_and(|last| last.speaker == spoken.speaker));
        let goes_on = |own: usize| {
            let (end, answers) = (end(&all[own]), &all[own + 1..]);
            let is_answered = answers.iter().flat_map(|answer| answer.first()).any(|first| first.word.start >= end);
            spoken.speaker.is_none() || (!is_answered && spoken.word.start < end + UTTERANCE_ENDS)
        };
        match own.filter(|own| goes_on(*own)) {
            Some(own) => all[own].push(spoken.clone()),
            None => all.push(vec![spoken.clone()]),
        }
    }
    all
}

/// Milliseconds.
fn end(words: &[Spoken]) -> u64 {
    words.last().map_or(0, |spoken| spoken.word.end)
}

fn text(words: &[Spoken]) -> String {
    words.iter().map(|spoken| spoken.word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Writes consecutive words as a paragraph.
pub(super) fn passage(words: &[Spoken]) -> Value {
    let sum: f64 = words.iter().map(|spoken| spoken.word.confidence).sum();
    json!({
        "text": text(words),
        "start": words.first().map(|spoken| spoken.word.start),
        "end": words.last().map(|spoken| spoken.word.end),
        "confidence": (sum / words.len().max(1) as f64 * 100_000.0).round() / 100_000.0,
        "words": words,
    })
}

/// Writes consecutive words of one speaker as an utterance or sentence.
pub(super) fn spoken_passage(words: &[Spoken]) -> Value {
    let mut passage = passage(words);
    let first = words.first();
    if let Some(channel) = first.and_then(|spoken| spoken.channel) {
        passage["channel"] = json!(channel);
    }
    passage["speaker"] = json!(first.and_then(|spoken| spoken.speaker));
    passage
}

/// Returns the time as AssemblyAI writes it: in UTC, without a time zone.
fn now() -> String {
    clock::now().strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}
