//! Recordings, and transcripts of them.

use serde_json::{Value, json};

use super::operation::{Group, Operation, get, post};
use crate::web::blind_checks::{BlindCheckView, TypedBody, Wish};
use crate::web::checks::{CheckBody, CheckedView};
use crate::web::compare::{ChosenView, ComparisonView};
use crate::web::recording_url::RecordingLine;
use crate::web::transcript::{DOCX, Options};

/// Why there may be no audio.
const NO_AUDIO: &[&str] = &["audio-not-kept", "deleted", "in-own-storage", "not-decryptable", "not-recorded"];

pub(super) fn group() -> Group {
    let operations = vec![
        get("/get-recording-url/{sid}", "list_recordings", "Lists the recordings of a call")
            .says("The SID of a leg leads to its call. As text unless `Accept` is `application/json`.")
            .text("The address of each recording that is complete, one a line, the oldest first.")
            .json_list::<RecordingLine>(200, "")
            .refused(&["deleted", "no-recording", "no-such-call"])
            .asks_vendor(),
        get("/recordings/{file}", "get_audio", "Returns the audio of a recording, or a range of it")
            .header("Range", false, json!({ "type": "string" }), "Such as `bytes=0-65535`.")
            .file(200, "audio/x-wav", "The audio.")
            .file(200, "audio/mpeg", "")
            .file(206, "audio/x-wav", "The range.")
            .file(206, "audio/mpeg", "")
            .refused(NO_AUDIO)
            .asks_vendor(),
        get("/transcribe", "show_transcribe", "A page with the form for a transcript").page(),
        post("/transcribe", "transcribe", "Orders the transcript of a recording, a URL or a file")
            .says(
                "Exactly one of `recording_url`, `recording_sid`, `call_sid` and a file. Every other field is passed to \
                 AssemblyAI, such as `language_code`. The same recording asked for again with the same parameters has the \
                 transcript that there is, unless `again` is true.",
            )
            .once_by_key()
            .body_of(
                "application/json",
                json!({ "schema": wanted(), "example": {
                    "recording_sid": "RE0123456789abcdef0123456789abcdef", "keyterms": ["tacrolimus", "Siobhan Kowalczyk"],
                } }),
            )
            .body_of("multipart/form-data", json!({ "schema": with_file() }))
            .answers(200, "AssemblyAI's JSON as it came.", "application/json", of_assemblyai())
            .page()
            .refused(NO_AUDIO)
            .refused(&["bad-keyterms", "no-recording", "not-our-recording", "several-recordings", "transcript-failed"])
            .refused(&["no-such-call", "under-way", "vendor-ambiguous"])
            .asks_vendor(),
        get("/transcript/{id}", "get_transcript", "Returns a transcript")
            .says(
                "AssemblyAI's JSON as it came, finished or not. With `format` or `Accept: text/plain`, the text, captions, a \
                 document, or the words with their times, all with the corrections unless `original` is true.",
            )
            .query::<Options>()
            .answers(200, "In the format that was asked for.", "application/json", of_assemblyai())
            .text("")
            .answers(200, "", "application/x-subrip", json!({ "type": "string" }))
            .answers(200, "", "text/vtt", json!({ "type": "string" }))
            .answers(200, "", "text/markdown", json!({ "type": "string" }))
            .file(200, DOCX, "")
            .page()
            .nothing(303, "With `format=html`: the address of the page of its call, in `Location`.")
            .answers(202, "Not finished; `Retry-After` says when to ask again.", "text/plain", json!({ "type": "string" }))
            .refused(&["deleted", "no-such-transcript", "no-times", "transcript-failed"])
            .asks_vendor(),
        of_transcript(post("/transcript/{id}/checked", "check_transcript", "Marks a transcript, or a stretch of it, as checked by ear"))
            .body::<CheckBody>(json!({ "checked": true, "from_ms": 0, "to_ms": 4200 }))
            .json::<CheckedView>(200, "What is checked now.")
            .page(),
        of_transcript(get("/transcript/{id}/blind-check", "get_blind_check", "Offers a stretch to be typed from the audio alone"))
            .query::<Wish>()
            .json::<BlindCheckView>(200, "The stretch, without its text until it was typed.")
            .page(),
        of_transcript(post("/transcript/{id}/blind-check", "store_blind_check", "Takes what was typed from the audio alone"))
            .body::<TypedBody>(json!({ "start": 0, "end": 4200, "text": "The order is ready." }))
            .json::<BlindCheckView>(200, "Where the transcript differs.")
            .page()
            .refused(&["other-stretch"]),
        of_transcript(get("/transcript/{id}/compare/{other}", "compare_transcripts", "Compares two transcripts of a recording"))
            .json::<ComparisonView>(200, "Where they differ, word by word.")
            .page(),
        of_transcript(post("/transcript/{id}/current", "choose_transcript", "Makes a transcript the one that search and lists show"))
            .json::<ChosenView>(200, "What became of the corrections of the one before.")
            .page(),
    ];
    Group { name: "Recordings and transcripts", says: "Audio, and what is said in it.", operations }
}

/// What is done with a transcript that is stored.
pub(super) fn of_transcript(operation: Operation) -> Operation {
    operation.refused(&["deleted", "no-such-transcript", "not-completed"])
}

/// What a request for a transcript may have.
fn wanted() -> Value {
    json!({
        "type": "object",
        "properties": {
            "recording_url": { "type": "string", "format": "uri", "description": "Also as `audio_url`. If it is at Twilio, it \
                must be that of a recording of the account." },
            "recording_sid": { "type": "string", "pattern": "^RE[0-9a-f]{32}$" },
            "call_sid": { "type": "string", "pattern": "^CA[0-9a-f]{32}$", "description": "A call with one recording." },
            "keyterms": {
                "oneOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "string" }],
                "description": "A list, or a text with commas.",
            },
            "title": { "type": "string", "description": "What the upload is called." },
            "tag": { "type": "string", "description": "What it is filed under." },
            "again": { "type": "boolean", "description": "Whether to order another transcript if there is one." },
        },
        "additionalProperties": true,
    })
}

fn with_file() -> Value {
    let mut schema = wanted();
    schema["properties"]["file"] = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
    schema
}

fn of_assemblyai() -> Value {
    json!({
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": { "type": "string" },
            "status": { "type": "string", "description": "`queued`, `processing`, `completed` or `error`." },
            "text": { "type": ["string", "null"] },
            "error": { "type": ["string", "null"] },
        },
        "additionalProperties": true,
        "description": "As <https://www.assemblyai.com/docs/api-reference/transcripts/get> describes it, or as `format=words` \
            has it: `id`, `version`, `checked`, `checked_parts`, `words` and `paragraphs`.",
    })
}
