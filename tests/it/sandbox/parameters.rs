//! Every parameter in the vendors' OpenAPI files is done or refused. These tables say which; a parameter that is new in a
//! file fails the tests until it is in one of them.

use std::collections::BTreeSet;

use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use reqwest::Method;
use serde_json::{Value, json};

use super::assemblyai;
use super::twilio::{api, start, with_query};

/// An operation, what the sandbox does, and what it refuses.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const PAGES: [&str; 3] = ["PageSize", "Page", "PageToken"];

#[rustfmt::skip]
const TWILIO: &[Row] = &[
    ("get /Calls.json", &[
        "To", "From", "ParentCallSid", "Status", "StartTime", "StartTime<", "StartTime>", "EndTime", "EndTime<", "EndTime>",
        PAGES[0], PAGES[1], PAGES[2],
    ], &[]),
    ("post /Calls.json", &[
        "To", "From", "Url", "Method", "Twiml", "Timeout", "TimeLimit", "StatusCallback", "StatusCallbackMethod",
        "StatusCallbackEvent", "Record", "RecordingChannels", "RecordingTrack", "Trim", "RecordingStatusCallback",
        "RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent",
    ], &[
        "ApplicationSid", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "Byoc", "CallReason",
        "CallToken", "CallerId", "ClientNotificationUrl", "FallbackMethod", "FallbackUrl", "MachineDetection",
        "MachineDetectionSilenceTimeout", "MachineDetectionSpeechEndThreshold", "MachineDetectionSpeechThreshold",
        "MachineDetectionTimeout", "SendDigits", "SipAuthPassword", "SipAuthUsername",
    ]),
    ("get /Calls/{Sid}.json", &[], &[]),
    ("post /Calls/{Sid}.json", &["Status", "Url", "Method", "Twiml", "StatusCallback", "StatusCallbackMethod"], &[
        "FallbackMethod", "FallbackUrl", "TimeLimit",
    ]),
    ("delete /Calls/{Sid}.json", &[], &[]),
    ("get /Calls/{CallSid}/Recordings.json", &[
        "DateCreated", "DateCreated<", "DateCreated>", PAGES[0], PAGES[1], PAGES[2],
    ], &[]),
    ("get /Calls/{CallSid}/Recordings/{Sid}.json", &[], &[]),
    ("delete /Calls/{CallSid}/Recordings/{Sid}.json", &[], &[]),
    ("get /Recordings.json", &[
        "DateCreated", "DateCreated<", "DateCreated>", "CallSid", "ConferenceSid", "IncludeSoftDeleted", PAGES[0], PAGES[1],
        PAGES[2],
    ], &[]),
    ("get /Recordings/{Sid}.json", &["IncludeSoftDeleted"], &[]),
    ("delete /Recordings/{Sid}.json", &[], &[]),
];

/// Returns the names that an operation of Twilio's file has in its query or form.
fn names(operation: &Value) -> BTreeSet<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|one| one["in"] == "query").filter_map(|one| one["name"].as_str());
    let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"];
    let form = form.as_object().into_iter().flat_map(serde_json::Map::keys);
    query.chain(form.map(String::as_str)).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_parameter_in_twilios_file_is_done_or_refused() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/twilio/openapi.json")).expect("JSON");
    let twilio = start().await;
    let call = twilio.add_call(SeededCall::default());
    let recording = twilio.add_recording(SeededRecording { call_sid: call.clone(), ..SeededRecording::default() });
    let mut operations = BTreeSet::new();
    for (path, methods) in file["paths"].as_object().expect("paths") {
        let path = path.strip_prefix("/2010-04-01/Accounts/{AccountSid}").expect("a path of the account");
        for (method, operation) in methods.as_object().expect("methods") {
            let title = format!("{method} {path}");
            let (_, done, refused) =
                TWILIO.iter().find(|(name, ..)| *name == title).unwrap_or_else(|| panic!("{title}"));
            let listed: BTreeSet<String> = done.iter().chain(*refused).map(|name| (*name).to_owned()).collect();
            assert_eq!(names(operation), listed, "{title}: left: the file, right: the table");
            operations.insert(title);

            let method: Method = method.to_uppercase().parse().expect("a method");
            let path = if path.starts_with("/Calls/{Sid}") {
                path.replace("{Sid}", &call)
            } else {
                path.replace("{CallSid}", &call).replace("{Sid}", &recording)
            };
            for name in done.iter().chain(*refused).chain(&["Unheard"]) {
                let request = api(&twilio, method.clone(), &path);
                let pair = [(*name, "1")];
                let request = if method == Method::POST {
                    request.form(&pair)
                } else {
                    api(&twilio, method.clone(), &with_query(&path, &pair))
                };
                let answer = request.send().await.unwrap();
                let status = answer.status();
                let words = answer.text().await.unwrap();
                let is_refused = words.contains(&format!("The sandbox does not support the parameter {name} here"));
                assert_eq!(is_refused, !done.contains(name), "{method} {path} {name}: {words}");
                assert!(!is_refused || status == 400, "{method} {path} {name}: {status}");
            }
        }
    }
    assert_eq!(operations.len(), TWILIO.len(), "each row is about an operation of the file");
    assert_eq!((twilio.call_status(&call).as_deref(), twilio.recording_status(&recording).as_deref()), {
        (Some("completed"), Some("completed"))
    });
}

#[rustfmt::skip]
const ASSEMBLYAI: Row = ("post /v2/transcript", &[
    "audio_url", "audio_start_from", "audio_end_at", "custom_spelling", "disfluencies", "filter_profanity", "format_text",
    "keyterms_prompt", "language_code", "language_detection", "multichannel", "prompt", "punctuate", "redact_pii",
    "redact_pii_policies", "redact_pii_sub", "remove_audio_tags", "speaker_labels", "speaker_options", "speakers_expected",
    "speech_model", "speech_models", "temperature", "webhook_auth_header_name", "webhook_auth_header_value", "webhook_url",
], &[
    "auto_chapters", "auto_highlights", "content_safety", "content_safety_confidence", "custom_topics", "entity_detection",
    "iab_categories", "language_codes", "language_confidence_threshold", "language_detection_options", "redact_pii_audio",
    "redact_pii_audio_options", "redact_pii_audio_quality", "sentiment_analysis", "speech_threshold",
    "speech_understanding", "summarization", "summary_model", "summary_type", "topics",
]);

/// The parameters in the queries of AssemblyAI's file, all of them done.
const ASSEMBLYAI_QUERIES: &[(&str, &[&str])] = &[
    ("/v2/transcript", &["limit", "status", "created_on", "before_id", "after_id", "throttled_only"]),
    ("/v2/transcript/{transcript_id}/{subtitle_format}", &["chars_per_caption"]),
    ("/v2/transcript/{transcript_id}/word-search", &["words"]),
];

#[tokio::test]
async fn every_parameter_in_assemblyais_file_is_done_or_refused() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/assemblyai/openapi.json")).expect("JSON");
    let schemas = &file["components"]["schemas"];
    let optional = schemas["TranscriptOptionalParams"]["properties"].as_object().expect("parameters").keys();
    let in_file: BTreeSet<&str> = optional.map(String::as_str).chain(["audio_url"]).collect();
    let (_, done, refused) = ASSEMBLYAI;
    assert_eq!(in_file, done.iter().chain(refused).copied().collect(), "left: the file, right: the table");

    let sandbox = assemblyai::sandbox().await;
    // AssemblyAI's newest parameters, which are not in its file, and one that it does not have.
    let newer = ["domain", "redact_pii_return_unredacted", "redact_static_entities", "speaker_lables"];
    for name in done.iter().chain(refused).copied().chain(newer) {
        let words = format!("The sandbox does not support the parameter \"{name}\"");
        let mut was_refused = false;
        // One of them has the right type.
        for value in [json!(true), json!(50), json!("text"), json!(["text"]), json!({}), json!([{}])] {
            let mut params = json!({ "audio_url": "https://example.com/a.wav" });
            params[name] = value;
            let (status, body) = sandbox.create(params).await;
            was_refused |= status == 400 && body["error"] == words;
        }
        assert_eq!(was_refused, !done.contains(&name), "{name}");
        if was_refused {
            // Unless it asks for nothing.
            let mut params = json!({ "audio_url": "https://example.com/a.wav" });
            params[name] = json!(false);
            let (_, body) = sandbox.create(params).await;
            assert_ne!(body["error"], words, "{name}");
        }
    }

    let id = sandbox.completed().await;
    for (path, methods) in file["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_file: BTreeSet<&str> =
                parameters.filter(|one| one["in"] == "query").filter_map(|one| one["name"].as_str()).collect();
            let done =
                ASSEMBLYAI_QUERIES.iter().find(|(at, _)| at == path && method == "get").map_or(&[][..], |row| row.1);
            assert_eq!(in_file, done.iter().copied().collect(), "{method} {path}");
            let path = path.replace("{transcript_id}", &id).replace("{subtitle_format}", "srt");
            if method == "get" {
                let (status, body) = sandbox.get(&format!("{path}?unheard=1")).await;
                let words = "The sandbox does not support the parameter \"unheard\" here";
                assert_eq!((status, &body["error"]), (400, &json!(words)), "{path}");
            }
        }
    }
}
