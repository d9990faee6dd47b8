//! The exports of a completed transcript: captions, sentences, paragraphs and word search.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use super::emulator::AssemblyAi;
use super::error::{ErrorResponse, JsonResponse, bad_request};
use super::hearing::bare;
use super::transcript::{Spoken, Transcript, passage, spoken_passage, utterances};

/// Maximum length of a caption if the request does not set one.
const CHARS_PER_CAPTION: usize = 70;
/// Maximum number of words in a searched phrase.
const MAX_WORDS_IN_PHRASE: usize = 5;

type Options = Query<HashMap<String, String>>;
type TextResponse = Result<String, ErrorResponse>;

pub(super) async fn srt(assemblyai: State<AssemblyAi>, id: Path<String>, options: Options) -> TextResponse {
    let words = words_for(&assemblyai, &id, "captions")?;
    let captions = captions(&words, &options)?;
    let write = |(index, (start, end, text)): (usize, &Caption)| {
        let [start, end] = [start, end].map(|ms| timestamp(*ms, true, ','));
        format!("{}\n{start} --> {end}\n{text}\n", index + 1)
    };
    Ok(captions.iter().enumerate().map(write).collect::<Vec<_>>().join("\n"))
}

pub(super) async fn vtt(assemblyai: State<AssemblyAi>, id: Path<String>, options: Options) -> TextResponse {
    let words = words_for(&assemblyai, &id, "captions")?;
    let captions = captions(&words, &options)?;
    let write = |(start, end, text): &Caption| {
        let [start, end] = [start, end].map(|ms| timestamp(*ms, false, '.'));
        format!("\n{start} --> {end}\n{text}\n")
    };
    Ok(format!("WEBVTT\n{}", captions.iter().map(write).collect::<String>()))
}

pub(super) async fn sentences(assemblyai: State<AssemblyAi>, id: Path<String>) -> JsonResponse {
    let words = words_for(&assemblyai, &id, "sentences")?;
    let ends = |spoken: &Spoken| spoken.word.text.ends_with(['.', '?', '!']);
    let utterances = utterances(&words);
    let sentences = utterances.iter().flat_map(|words| words.split_inclusive(ends).map(spoken_passage));
    let sentences: Vec<Value> = sentences.collect();
    assemblyai.with_transcript(&id, |transcript| about(transcript, "sentences", json!(sentences)))
}

/// Returns a paragraph for each utterance.
pub(super) async fn paragraphs(assemblyai: State<AssemblyAi>, id: Path<String>) -> JsonResponse {
    let words = words_for(&assemblyai, &id, "paragraphs")?;
    let paragraphs: Vec<Value> = utterances(&words).iter().map(|words| passage(words)).collect();
    assemblyai.with_transcript(&id, |transcript| about(transcript, "paragraphs", json!(paragraphs)))
}

pub(super) async fn word_search(assemblyai: State<AssemblyAi>, id: Path<String>, options: Options) -> JsonResponse {
    let words = words_for(&assemblyai, &id, "word search")?;
    let spoken: Vec<String> = words.iter().map(|spoken| normalize(&spoken.word.text)).collect();
    let phrases = options.get("words").map_or("", String::as_str).split(',').map(str::trim);
    let phrases: Vec<&str> = phrases.filter(|phrase| !phrase.is_empty()).collect();
    if phrases.is_empty() {
        return Err(bad_request("\"words\" is required"));
    }
    let mut matches = Vec::new();
    let mut total = 0;
    for phrase in phrases {
        let wanted: Vec<String> = phrase.split_whitespace().map(normalize).collect();
        if wanted.len() > MAX_WORDS_IN_PHRASE {
            return Err(bad_request(format!("a phrase may have at most {MAX_WORDS_IN_PHRASE} words")));
        }
        let hits = spoken.windows(wanted.len()).enumerate().filter(|(_, window)| **window == wanted);
        let indexes: Vec<usize> = hits.map(|(index, _)| index).collect();
        if indexes.is_empty() {
            continue;
        }
        let times = |index: &usize| [words[*index].word.start, words[index + wanted.len() - 1].word.end];
        let timestamps: Vec<[u64; 2]> = indexes.iter().map(times).collect();
        total += indexes.len();
        let text = wanted.join(" ");
        matches.push(json!({ "text": text, "count": indexes.len(), "timestamps": timestamps, "indexes": indexes }));
    }
    Ok(Json(json!({ "id": *id, "total_count": total, "matches": matches })))
}

/// Returns the words, or AssemblyAI's error for exporting `what` of a transcript that is not completed.
fn words_for(assemblyai: &AssemblyAi, id: &str, what: &str) -> Result<Vec<Spoken>, ErrorResponse> {
    assemblyai.with_transcript(id, |transcript| match &transcript.words {
        Some(words) => Ok(words.clone()),
        None if transcript.is_deleted() => Err(bad_request("This transcript was deleted by user.")),
        None => Err(bad_request(format!(
            "This transcript has a status of '{}'. Transcripts must have a status of 'completed' before requesting \
             {what}.",
            transcript.status()
        ))),
    })?
}

fn about(transcript: &mut Transcript, name: &str, parts: Value) -> Json<Value> {
    Json(json!({
        name: parts,
        "id": transcript.id,
        "confidence": transcript.field("confidence"),
        "audio_duration": transcript.field("audio_duration"),
    }))
}

/// Start and end in milliseconds, and the text between.
type Caption = (u64, u64, String);

fn captions(words: &[Spoken], options: &HashMap<String, String>) -> Result<Vec<Caption>, ErrorResponse> {
    let limit = match options.get("chars_per_caption").map(|limit| limit.parse()) {
        None => CHARS_PER_CAPTION,
        Some(Ok(limit)) if limit > 0 => limit,
        Some(_) => return Err(bad_request("\"chars_per_caption\" should be a positive integer")),
    };
    let mut captions: Vec<Caption> = Vec::new();
    for Spoken { word, .. } in words {
        match captions.last_mut() {
            Some((_, end, text)) if text.chars().count() + 1 + word.text.chars().count() <= limit => {
                *end = word.end;
                text.push(' ');
                text.push_str(&word.text);
            }
            _ => captions.push((word.start, word.end, word.text.clone())),
        }
    }
    Ok(captions)
}

/// Formats a time as `00:00:01,250` or, without `always_hours` in the first hour, as `00:01.250`.
fn timestamp(ms: u64, always_hours: bool, point: char) -> String {
    let seconds = ms / 1_000;
    let rest = format!("{:02}:{:02}{point}{:03}", seconds / 60 % 60, seconds % 60, ms % 1_000);
    if always_hours || seconds >= 3_600 { format!("{:02}:{rest}", seconds / 3_600) } else { rest }
}

/// Returns the word in lower case without the punctuation around it.
fn normalize(word: &str) -> String {
    bare(word).to_lowercase()
}
