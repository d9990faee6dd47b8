//! The tools of agents, as the protocol describes them: what they take, what they answer, and which route they ask.

use serde_json::{Map, Value, json};

use super::toolbox::{Ask, Asked, FEW, MANY, Tool, beginning_of_report, brief_list, called, details, pairs, text};
use super::who::Who;
use crate::model::named_token::Right;

const TOOLS: [Tool; 8] = [
    Tool {
        name: "search_calls",
        title: "Search what was said",
        description: "Finds the calls and uploads in which something was said, newest first, with the moment in the audio. \
            `q` has words that must all be said; \"quotes\" make a phrase, and a star stands for the rest of a word (contr*). \
            The names of contacts and speakers are found, too.",
        right: Right::Read,
        input: || filters(&["q"], json!({"q": {"type": "string", "description": "words, \"phrases\" and begi*"}})),
        output: || {
            list(json!({
                "transcript_id": {"type": ["string", "null"]},
                "at_ms": {"type": ["integer", "null"], "description": "when the first match is said, from the start of the audio"},
                "at": {"type": ["string", "null"], "description": "the same as minutes and seconds"},
                "snippet": {"type": "string", "description": "what was said around it; matches are between **"},
            }))
        },
        ask: Ask::Route(Asked::list, |found| brief_list(&found)),
    },
    Tool {
        name: "list_calls",
        title: "List calls",
        description: "Lists calls and uploads that match the filters, newest first unless `sort` says otherwise.",
        right: Right::Read,
        input: || {
            let sorts = ["newest", "oldest", "longest", "shortest", "costliest"];
            filters(&[], json!({"sort": {"type": "string", "enum": sorts}}))
        },
        output: || list(json!({})),
        ask: Ask::Route(Asked::list, |found| brief_list(&found)),
    },
    Tool {
        name: "get_call",
        title: "Look at a call",
        description: "Tells what is known of a call or an upload: its state, who speaks, its recordings, and its transcripts with \
            their ids and beginnings. get_transcript has their texts.",
        right: Right::Read,
        input: || object(&["id"], json!({"id": {"type": "string", "description": "an id, or a call SID (CA…)"}})),
        output: || {
            object(
                &["transcripts"],
                json!({
                    "id": {"type": "string", "description": "missing if only Twilio knows the call"},
                    "transcripts": {"type": "array", "items": {"type": "object"}},
                }),
            )
        },
        ask: Ask::Route(|arguments| Asked::get(&["items", text(arguments, "id")]), |call| details(&call)),
    },
    Tool {
        name: "get_transcript",
        title: "Read a transcript",
        description: "Who says what when, with all corrections. Long transcripts come in parts: ask for a stretch with `from` and \
            `to` in seconds of the audio, or send `next` back as `cursor`. `positions` count words, as corrections do.",
        right: Right::Read,
        input: || {
            object(
                &["id"],
                json!({
                    "id": {"type": "string", "description": "a transcript id, as search_calls and get_call tell it"},
                    "from": {"type": "number", "minimum": 0, "description": "seconds from the start of the audio"},
                    "to": {"type": "number", "minimum": 0},
                    "cursor": {"type": "string"},
                }),
            )
        },
        output: || {
            object(
                &["id", "state", "passages", "next"],
                json!({
                    "id": {"type": "string"},
                    "state": {"type": "string"},
                    "version": {"type": "integer"},
                    "passages": {"type": "array", "items": {"type": "object", "properties": {
                        "at": {"type": ["string", "null"]},
                        "start_ms": {"type": ["integer", "null"]},
                        "end_ms": {"type": ["integer", "null"]},
                        "speaker": {"type": ["string", "null"]},
                        "text": {"type": "string"},
                        "positions": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}},
                            "description": "the words of the text: each pair has the first, and the one after the last"},
                    }}},
                    "next": {"type": ["string", "null"]},
                }),
            )
        },
        ask: Ask::Transcript,
    },
    Tool {
        name: "get_accuracy",
        title: "How right transcripts are",
        description: "Word error rates and how well key terms are heard, measured by the words that people corrected or checked.",
        right: Right::Read,
        input: || {
            object(
                &[],
                json!({
                    "by": {"type": "string", "description": "what figures are grouped by, with commas between: model, list, side, month, contact, language"},
                    "since": {"type": "string", "description": "a date or a time with an offset"},
                    "until": {"type": "string"},
                }),
            )
        },
        output: || {
            object(
                &["groups"],
                json!({
                    "groups": {"type": "array", "items": {"type": "object"}},
                    "groups_left_out": {"type": "integer", "description": "how many more there are"},
                    "terms": {"type": "array", "items": {"type": "object"}},
                    "terms_left_out": {"type": "integer"},
                }),
            )
        },
        ask: Ask::Route(
            |arguments| Asked { query: pairs(arguments), ..Asked::get(&["accuracy"]) },
            beginning_of_report,
        ),
    },
    Tool {
        name: "correct_transcript",
        title: "Correct a transcript",
        description: "Puts a text in the place of words that were misheard. `version`, and the positions `from` and `to` (the word after \
            the last), are those of get_transcript. An empty text deletes the words; `from` equal to `to` inserts. It can be undone.",
        right: Right::Edit,
        input: || {
            let position = json!({"type": "integer", "minimum": 0});
            object(
                &["id", "version", "from", "to", "text"],
                json!({
                    "id": {"type": "string", "description": "a transcript id"},
                    "version": position, "from": position, "to": position, "text": {"type": "string"},
                }),
            )
        },
        output: || {
            object(&["version"], json!({"version": {"type": "integer"}, "correction": {"type": ["string", "null"]}}))
        },
        ask: Ask::Route(
            |arguments| {
                let mut edit = arguments.clone();
                edit.remove("id");
                Asked::post(&["transcript", text(arguments, "id"), "corrections"], edit.into())
            },
            |corrected| corrected,
        ),
    },
    Tool {
        name: "add_term",
        title: "Add a term",
        description: "Adds a name or a phrase to the vocabulary, which later transcripts must get right: for all calls, or for those with \
            one contact or one tag.",
        right: Right::Edit,
        input: || {
            object(
                &["term"],
                json!({
                    "term": {"type": "string"},
                    "contact": {"type": "string", "description": "the number of a contact, with +"},
                    "tag": {"type": "string"},
                }),
            )
        },
        output: || {
            object(
                &["id", "term", "state"],
                json!({
                    "id": {"type": "string"},
                    "term": {"type": "string"},
                    "scope": {"type": "object"},
                    "state": {"type": "string"},
                }),
            )
        },
        ask: Ask::Route(
            |arguments| {
                let given = ["contact", "tag"].map(|name| (name.to_owned(), text(arguments, name)));
                let scope: Map<String, Value> = given
                    .into_iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(name, value)| (name, value.into()))
                    .collect();
                // The route refuses both at once.
                let scope = if scope.is_empty() { json!({"all": true}) } else { scope.into() };
                Asked::post(&["vocabulary"], json!({"term": arguments.get("term"), "scope": scope}))
            },
            |term| json!({"id": term["id"], "term": term["term"], "scope": term["scope"], "state": term["state"]}),
        ),
    },
    Tool {
        name: "dial",
        title: "Call a number",
        description: "Rings a phone, which costs money. Somebody hears that the call is recorded, and leaves a message; with `with`, \
            your operator's phone rings first, and both talk. Send a `key` of your own to be able to repeat a request without a second call.",
        right: Right::Dial,
        input: || {
            object(
                &["to"],
                json!({
                    "to": {"type": "string", "description": "a number with its country code, such as +14155551234"},
                    "with": {"type": "string", "description": "me, or a number of OPERATOR_PHONES, for a conversation"},
                    "keyterms": {"type": "array", "items": {"type": "string"}},
                    "tag": {"type": "string"},
                    "key": {"type": "string", "description": "a text that is new for each call"},
                }),
            )
        },
        output: || object(&["id", "state"], json!({"id": {"type": "string"}, "state": {"type": "string"}})),
        ask: Ask::Route(
            |arguments| {
                let (mut call, key) = (arguments.clone(), text(arguments, "key").to_owned());
                call.remove("key");
                Asked { key, ..Asked::post(&["calls"], call.into()) }
            },
            |call| called(&call),
        ),
    },
];

/// The tools that somebody may use.
pub(super) fn of(who: &Who) -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(move |tool| tool.refusal(who).is_none())
}

pub(super) fn named(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The schema of an object with these properties.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

/// The schema of the filters of `/items`, and of these arguments.
fn filters(required: &[&str], mut more: Value) -> Value {
    let day = "a date, such as 2026-11-23, in UTC, or a time with an offset";
    let filters = json!({
        "number": {"type": "string", "description": "a number that the call is to or from, or its last digits"},
        "contact": {"type": "string", "description": "the name of a contact, or a number"},
        "tag": {"type": "string"},
        "kind": {"type": "string", "enum": ["call", "message", "conversation", "upload"]},
        "direction": {"type": "string", "enum": ["inbound", "outbound"]},
        "progress": {"type": "string", "enum": ["calling", "recording", "transcribing", "done", "not-recorded", "not-transcribed", "failed", "deleting"]},
        "checked": {"type": "boolean", "description": "whether the transcript is checked by ear"},
        "since": {"type": "string", "description": day},
        "until": {"type": "string", "description": day},
        "min_seconds": {"type": "integer", "minimum": 0},
        "max_seconds": {"type": "integer", "minimum": 0},
        "limit": {"type": "integer", "minimum": 1, "maximum": MANY, "default": FEW},
        "cursor": {"type": "string", "description": "the `next` of the answer before"},
    });
    if let (Some(all), Some(filters)) = (more.as_object_mut(), filters.as_object()) {
        all.extend(filters.clone());
    }
    object(required, more)
}

/// The schema of a list of calls that have these fields, too.
fn list(more: Value) -> Value {
    let mut fields = json!({
        "id": {"type": "string"},
        "kind": {"type": "string"},
        "created_at": {"type": ["string", "null"]},
    });
    if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    object(
        &["calls", "next"],
        json!({
            "calls": {"type": "array", "items": {"type": "object", "properties": fields}},
            "next": {"type": ["string", "null"], "description": "send it back as cursor for more"},
        }),
    )
}
