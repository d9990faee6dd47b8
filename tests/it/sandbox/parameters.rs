//! Every parameter in the vendors' OpenAPI files is done or refused. These tables say which; a parameter that is new in a file
//! fails the tests until it is in one of them.

use std::collections::BTreeSet;

use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use reqwest::Method;
use serde_json::Value;

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
