//! Our requests to the vendors, and the sandbox's responses, checked against the vendors' published OpenAPI files.
//! `fixtures/*/openapi.json` holds the parts in use. Known differences are listed below with their reasons.

use std::collections::BTreeSet;

use callscribe::sandbox::control::LoggedRequest;
use callscribe::sandbox::twilio::{
    ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, Outcome, PHONE_NUMBER, SeededCall, SeededRecording, Stage,
};
use callscribe::sandbox::{assemblyai, speech};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::support::openapi::{Faults, Spec};
use crate::support::{Answer, World, steps_repeat};

/// A fault that a test expects, and why it is not a bug of ours.
type Known = (&'static str, &'static str);

/// Twilio's file omits the audio; the page on the Recording resource documents it.
const MEDIA: [Known; 2] = [
    (
        "GET /2010-04-01/Accounts/{AC}/Recordings/{RE}.wav: not in the file",
        "audio is documented at https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file",
    ),
    (
        "GET /2010-04-01/Accounts/{AC}/Recordings/{RE}.mp3: not in the file",
        "audio is documented at https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file",
    ),
];

/// Asserts that exactly these faults were found.
fn assert_only(found: &Faults, known: &[Known]) {
    let known: Faults = known.iter().map(|(fault, _)| (*fault).to_owned()).collect();
    assert_eq!(*found, known, "left: found, right: known");
}

/// Returns the faults of all requests that either vendor received.
fn request_faults(world: &World) -> Faults {
    let (twilio, assemblyai) = (Spec::twilio(), Spec::assemblyai());
    let to_twilio = world.twilio.control.requests().into_iter().flat_map(|seen| twilio.faults_of_request(&seen));
    let to_assemblyai =
        world.assemblyai.control.requests().into_iter().flat_map(|seen| assemblyai.faults_of_request(&seen));
    to_twilio.chain(to_assemblyai).collect()
}

/// Sends a request to a sandbox vendor, with the test account's credentials.
async fn ask(world: &World, base: &str, method: Method, target: &str, body: &str) -> Answer {
    let request = world.http.request(method, format!("{base}{target}"));
    let request = if base == world.twilio.url() {
        request.basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN)).header("content-type", "application/x-www-form-urlencoded")
    } else {
        request.header("authorization", assemblyai::API_KEY).header("content-type", "application/json")
    };
    Answer::of(request.body(body.to_owned()).send().await.expect("an answer")).await
}

/// Sends a request for a path under the account to the sandbox's Twilio. Returns the response and its faults.
async fn ask_twilio(world: &World, method: Method, path: &str, form: &str) -> (Answer, Faults) {
    let target = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/{path}");
    let answer = ask(world, world.twilio.url(), method.clone(), &target, form).await;
    let faults = Spec::twilio().faults_of_answer(&method, &target, &answer);
    (answer, faults)
}

/// Sends a request to the sandbox's AssemblyAI. Returns the response and its faults.
async fn ask_assemblyai(world: &World, method: Method, target: &str, body: &str) -> (Answer, Faults) {
    let answer = ask(world, world.assemblyai.url(), method.clone(), target, body).await;
    let faults = Spec::assemblyai().faults_of_answer(&method, target, &answer);
    (answer, faults)
}

/// Everything that an operator does with a call, whose recordings fill several pages of Twilio's list.
async fn whole_journey(world: &World) {
    let (call, recording) = world.recorded_call().await;
    for _ in 0..120 {
        world.twilio.add_recording(SeededRecording { call_sid: call.clone(), ..Default::default() });
    }
    let urls = world.get(&format!("/get-recording-url/{call}")).await;
    assert_eq!(urls.text().lines().count(), 121, "all pages are followed");
    for path in
        [format!("/calls/{call}"), format!("/recordings/{recording}.wav"), format!("/recordings/{recording}.mp3")]
    {
        assert_eq!(world.get(&path).await.status, 200, "{path}");
    }
    let elsewhere = world.twilio.add_call(SeededCall::default());
    assert_eq!(world.get(&format!("/calls/{elsewhere}")).await.status, 200);
    let asked = world.post_json("/transcribe", &json!({ "recording_sid": recording, "keyterms": ["ahoy"] })).await;
    let transcript = asked.json()["id"].as_str().expect("an id").to_owned();
    for format in ["json", "text", "srt", "vtt"] {
        let answer = world.get(&format!("/transcript/{transcript}?wait=60&format={format}")).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_whole_journey_sends_the_vendors_only_requests_that_their_files_describe() {
    for credentials in [&[][..], &[("TWILIO_API_KEY", API_KEY_SID), ("TWILIO_API_SECRET", API_KEY_SECRET)]] {
        let world = World::with(credentials).await;
        whole_journey(&world).await;
        assert_only(&request_faults(&world), &MEDIA);

        let names =
            |spec: &Spec, seen: Vec<LoggedRequest>| seen.iter().map(|seen| spec.name_of(seen)).collect::<BTreeSet<_>>();
        let account = "/2010-04-01/Accounts/{AccountSid}";
        let expected = [
            format!("GET {account}/Calls/{{CallSid}}/Recordings.json"),
            format!("GET {account}/Calls/{{Sid}}.json"),
            format!("GET {account}/Recordings/{{Sid}}.json"),
            "GET /2010-04-01/Accounts/{AC}/Recordings/{RE}.mp3".to_owned(),
            "GET /2010-04-01/Accounts/{AC}/Recordings/{RE}.wav".to_owned(),
            format!("POST {account}/Calls.json"),
        ];
        let mut asked = names(&Spec::twilio(), world.twilio.control.requests());
        if steps_repeat() {
            // A repeated step may look for the call it placed.
            asked.remove(&format!("GET {account}/Calls.json"));
        }
        assert_eq!(asked, expected.into());
        let expected = ["GET /v2/transcript/{transcript_id}", "POST /v2/transcript", "POST /v2/upload"];
        let mut asked = names(&Spec::assemblyai(), world.assemblyai.control.requests());
        if steps_repeat() {
            // A repeated step may look for the transcript it submitted.
            asked.remove("GET /v2/transcript");
        }
        assert_eq!(asked, expected.map(str::to_owned).into());
    }
}

#[tokio::test]
async fn every_documented_option_reaches_assemblyai_as_its_file_describes() {
    let options = json!({
        "audio_end_at": 5_000,
        "audio_start_from": 10,
        "auto_chapters": false,
        "auto_highlights": true,
        "content_safety": true,
        "content_safety_confidence": 60,
        "custom_spelling": [{ "from": ["ahoi"], "to": "ahoy" }],
        "disfluencies": true,
        "entity_detection": true,
        "filter_profanity": true,
        "format_text": true,
        "iab_categories": true,
        "language_code": "en_us",
        "language_confidence_threshold": 0.4,
        "language_detection_options": { "expected_languages": ["en"], "fallback_language": "en", "code_switching": false },
        "multichannel": true,
        "prompt": "a phone call",
        "punctuate": true,
        "redact_pii": true,
        "redact_pii_audio": true,
        "redact_pii_audio_options": { "return_redacted_no_speech_audio": true },
        "redact_pii_audio_quality": "wav",
        "redact_pii_policies": ["person_name", "phone_number"],
        "redact_pii_sub": "hash",
        "remove_audio_tags": "all",
        "sentiment_analysis": true,
        "speaker_labels": true,
        "speaker_options": { "min_speakers_expected": 1, "max_speakers_expected": 2 },
        "speakers_expected": null,
        "speech_threshold": 0.1,
        "speech_understanding": { "request": { "translation": { "target_languages": ["de"] } } },
        "summarization": false,
        "temperature": 0.2,
        "webhook_url": "https://example.com/hook",
    });
    let settings = [("TRANSCRIPT_OPTIONS", options.to_string()), ("KEYTERMS", "ahoy, Call Scribe".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let world = World::with(&settings).await;
    // The sandbox refuses some of them, once it has all.
    let body = json!({ "audio_url": "https://example.com/a.wav", "keyterms": ["a", "b c"], "topics": ["phones"] });
    assert_eq!(world.post_json("/transcribe", &body).await.status, 400);
    let form = "audio_url=https%3A%2F%2Fexample.com%2Fa.wav&speakers_expected=2&topics=a&topics=b&keyterms=x,y";
    assert_eq!(world.post_form("/transcribe", form).await.status, 400);

    assert_only(&request_faults(&world), &[]);
    let sent = world.transcript_requests();
    for (name, value) in options.as_object().expect("an object").iter().filter(|(name, _)| *name != "speakers_expected")
    {
        assert!(sent.iter().all(|request| request[name] == *value), "{name}");
    }
    assert_eq!(sent[0]["keyterms_prompt"], json!(["ahoy", "Call Scribe", "a", "b c"]));
    assert_eq!((&sent[1]["speakers_expected"], &sent[1]["topics"]), (&json!(2), &json!(["a", "b"])));
}

#[tokio::test]
async fn default_settings_make_a_request_that_the_file_describes() {
    let world = World::new().await;
    let body = json!({ "audio_url": "https://example.com/a.wav" });
    assert_eq!(world.post_json("/transcribe", &body).await.status, 200);
    assert_only(&request_faults(&world), &[]);
    // The file allows any string as a model, so the check above does not cover the names.
    assert_eq!(world.transcript_requests()[0]["speech_models"], json!(["assemblyai-stt-3-7", "universal-2"]));
}

/// The JSON types that a schema allows.
fn types(file: &Value, schema: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return types(file, file.pointer(name.trim_start_matches('#')).expect("a schema"));
    }
    let one_of = ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    let own = schema["type"]
        .as_str()
        .into_iter()
        .chain(schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str));
    own.map(str::to_owned).chain(one_of.flat_map(|schema| types(file, schema))).filter(|name| name != "null").collect()
}

#[tokio::test]
async fn a_form_field_is_sent_with_the_type_that_the_file_gives_to_it() {
    let world = World::new().await;
    let file: Value = serde_json::from_str(include_str!("fixtures/assemblyai/openapi.json")).expect("JSON");
    let parameters =
        file["components"]["schemas"]["TranscriptOptionalParams"]["properties"].as_object().expect("parameters");
    let mut seen = Vec::new();
    for (name, schema) in parameters {
        let sent = match types(&file, schema).first().map(String::as_str) {
            Some("array") if types(&file, &schema["items"]) == ["object"] => ("{}", json!([{}])),
            Some("array") => ("123", json!(["123"])),
            Some("string") => ("123", json!("123")),
            Some("integer" | "number") => ("123", json!(123)),
            Some("boolean") => ("true", json!(true)),
            Some("object") => ("{}", json!({})),
            other => panic!("{name}: {other:?}"),
        };
        let before = world.transcript_requests().len();
        // Beside our own URL, the secret is ours.
        let webhook = if name.starts_with("webhook_auth") { "&webhook_url=https://example.com/" } else { "" };
        let form = format!("audio_url=https://example.com/a.wav&again=true{webhook}&{name}={}", sent.0);
        // AssemblyAI may refuse the value.
        world.post_form("/transcribe", &form).await;
        assert_eq!(world.transcript_requests()[before][name], sent.1, "{name}");
        seen.push(name.as_str());
    }
    assert!(
        ["speech_models", "custom_spelling", "webhook_auth_header_value"].iter().all(|name| seen.contains(name)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn an_option_newer_than_the_file_is_passed_on_and_is_the_only_difference() {
    let world = World::new().await;
    let body = json!({
        "audio_url": "https://example.com/a.wav",
        "domain": "medical-v1",
        "keyterms_prompt_options": { "keyterms_match_strength": "high" },
    });
    let refusal = world.post_json("/transcribe", &body).await;
    assert!(refusal.text().contains("The sandbox does not support"), "{}", refusal.text());
    let newer = "AssemblyAI added it after the file of 2026-03-23; its own Python library has it";
    assert_only(
        &request_faults(&world),
        &[
            ("POST /v2/transcript body/domain: not in the file", newer),
            ("POST /v2/transcript body/keyterms_prompt_options: not in the file", newer),
        ],
    );
}

/// A test of the check itself.
#[test]
fn requests_that_a_vendor_would_reject_are_found() {
    let account = "/2010-04-01/Accounts/AC5a9db0c05a9db0c05a9db0c05a9db0c0";
    let seen = |method: Method, target: String, authorization: &'static str, kind: &'static str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static(authorization));
        if !kind.is_empty() {
            headers.insert("content-type", HeaderValue::from_static(kind));
        }
        LoggedRequest { method, target, headers, body: body.to_owned().into() }
    };
    let dial = |form: &str| {
        let kind = "application/x-www-form-urlencoded";
        Spec::twilio().faults_of_request(&seen(Method::POST, format!("{account}/Calls.json"), "Basic eDp5", kind, form))
    };
    let good = "To=%2B14155551234&From=%2B15005550006&Url=https%3A%2F%2Fexample.com%2F";
    assert!(dial(good).is_empty());
    for (wrong, fault) in [
        ("Too=1", "/Too: not in the file"),
        ("Url=again", "/Url: several times, but no list"),
        ("Method=PUT", "/Method: not among the values that the file has"),
        ("TimeLimit=soon", "/TimeLimit: expected integer, not string"),
        ("StatusCallback=hook", "/StatusCallback: no uri"),
        ("ApplicationSid=AP1", "/ApplicationSid: of the wrong length"),
    ] {
        let found = dial(&format!("{good}&{wrong}"));
        assert!(found.iter().any(|found| found.ends_with(fault)), "{wrong}: {found:?}");
    }
    assert!(dial("To=%2B14155551234").iter().any(|fault| fault.ends_with("/From: missing")));

    let get = |target: &str, authorization| {
        let seen = seen(Method::GET, format!("{account}{target}"), authorization, "", "");
        Spec::twilio().faults_of_request(&seen).into_iter().collect::<String>()
    };
    let call = "/Calls/CA5a9db0c05a9db0c05a9db0c05a9db0c0/Recordings.json";
    assert_eq!(get(call, "Basic eDp5"), "");
    assert!(get(call, "Bearer x").ends_with("credentials: not as accountSid_authToken says"));
    assert!(get(&format!("{call}?PageSize=0"), "Basic eDp5").ends_with("query PageSize: out of range"));
    assert!(get(&format!("{call}?Size=9"), "Basic eDp5").ends_with("query Size: not in the file"));
    assert!(get("/Calls/XX1/Recordings.json", "Basic eDp5").contains("path CallSid: not as the pattern says"));
    assert!(get("/Calls.xml", "Basic eDp5").ends_with("/Calls.xml: not in the file"));

    let submit = |body: Value| {
        let kind = "application/json";
        let seen = seen(Method::POST, "/v2/transcript".to_owned(), "key", kind, &body.to_string());
        Spec::assemblyai().faults_of_request(&seen).into_iter().collect::<String>()
    };
    assert_eq!(submit(json!({ "audio_url": "https://example.com/", "speech_models": [] })), "");
    assert!(submit(json!({ "speech_models": [] })).ends_with("body/audio_url: missing"));
    for (name, value, fault) in [
        ("word_boost", json!([]), "/word_boost: not in the file"),
        ("keyterms_prompt", json!("a,b"), "/keyterms_prompt: expected array, not string"),
        ("speech_models", json!([1]), "/speech_models/*: expected string, not number"),
        ("speech_threshold", json!(1.5), "/speech_threshold: out of range"),
        ("redact_pii_policies", json!(["secrets"]), "/redact_pii_policies/*: not among the values that the file has"),
        ("remove_audio_tags", json!("some"), "/remove_audio_tags: not one of the kinds that the file has"),
    ] {
        let mut body = json!({ "audio_url": "https://example.com/", "speech_models": [] });
        body[name] = value;
        assert!(submit(body.clone()).ends_with(fault), "{}", submit(body));
    }
}

#[tokio::test]
async fn the_sandbox_twilio_shows_calls_in_every_state_as_the_file_describes() {
    let world = World::new().await;
    let mut faults = Faults::new();
    for status in ["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"] {
        let took_place = matches!(status, "in-progress" | "completed");
        let duration = took_place.then_some(std::time::Duration::from_secs(8));
        let call = world.twilio.add_call(SeededCall { status, duration, ..Default::default() });
        let (answer, found) = ask_twilio(&world, Method::GET, &format!("Calls/{call}.json"), "").await;
        assert_eq!(answer.json()["status"], status);
        faults.extend(found);
    }
    for query in ["", "?PageSize=3", "?Status=busy"] {
        faults.extend(ask_twilio(&world, Method::GET, &format!("Calls.json{query}"), "").await.1);
    }
    assert_only(&faults, &[]);
}

#[tokio::test]
async fn a_call_is_created_hung_up_and_deleted_as_the_file_describes() {
    let world = World::new().await;
    world.twilio.hold(Stage::Completed);
    let url: String = form_urlencoded(&format!("{}/record/", world.base));
    let form = format!("To=%2B14155551234&From={}&Url={url}", form_urlencoded(PHONE_NUMBER));
    let (created, mut faults) = ask_twilio(&world, Method::POST, "Calls.json", &form).await;
    assert_eq!(created.status, 201);
    let call = created.json()["sid"].as_str().expect("a SID").to_owned();
    let (hung_up, found) = ask_twilio(&world, Method::POST, &format!("Calls/{call}.json"), "Status=completed").await;
    assert_eq!(hung_up.status, 200, "{}", hung_up.text());
    faults.extend(found);
    world.twilio.release(Stage::Completed);
    world.twilio.settled().await;
    let (deleted, found) = ask_twilio(&world, Method::DELETE, &format!("Calls/{call}.json"), "").await;
    assert_eq!(deleted.status, 204);
    faults.extend(found);
    assert_only(&faults, &[]);
}

#[tokio::test]
async fn a_dialed_call_and_its_recording_are_shown_as_the_file_describes() {
    let world = World::new().await;
    let twiml = format!(
        "<Response><Dial record=\"record-from-answer-dual\" callerId=\"{PHONE_NUMBER}\">+14155559876</Dial></Response>"
    );
    let [from, twiml] = [PHONE_NUMBER, &twiml].map(form_urlencoded);
    let form = format!("To=%2B14155551234&From={from}&Twiml={twiml}");
    let (created, mut faults) = ask_twilio(&world, Method::POST, "Calls.json", &form).await;
    let call = created.json()["sid"].as_str().expect("a SID").to_owned();
    world.twilio.settled().await;
    let (list, found) = ask_twilio(&world, Method::GET, &format!("Calls.json?ParentCallSid={call}"), "").await;
    faults.extend(found);
    let child = list.json()["calls"][0]["sid"].as_str().expect("a SID").to_owned();
    let recording = world.twilio.recordings_of(&call).remove(0);
    for path in [format!("Calls/{child}.json"), format!("Recordings/{recording}.json")] {
        let (answer, found) = ask_twilio(&world, Method::GET, &path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        faults.extend(found);
    }
    assert_only(&faults, &[]);
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A price is a string in the file's own examples of these responses, and in its schema of the account's recordings.
const PRICE: [Known; 2] = [
    (
        "GET /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings.json 200 body/recordings/*/price: expected \
         number, not string",
        "the example beside this schema has \"-0.0025\"",
    ),
    (
        "GET /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings/{Sid}.json 200 body/price: expected number, \
         not string",
        "the example beside this schema has \"-0.0025\"",
    ),
];

#[tokio::test]
async fn the_sandbox_twilio_shows_recordings_in_every_state_as_the_file_describes() {
    let world = World::new().await;
    world.twilio.price_calls("USD");
    let call_sid = world.twilio.add_call(SeededCall::default());
    let mut faults = Faults::new();
    for status in ["in-progress", "paused", "stopped", "processing", "completed", "absent"] {
        for channels in [1, 2] {
            let error_code = (status == "absent").then_some(16101);
            let seeded =
                SeededRecording { call_sid: call_sid.clone(), status, channels, error_code, ..Default::default() };
            let recording = world.twilio.add_recording(seeded);
            for path in
                [format!("Recordings/{recording}.json"), format!("Calls/{call_sid}/Recordings/{recording}.json")]
            {
                let (answer, found) = ask_twilio(&world, Method::GET, &path, "").await;
                assert_eq!(answer.json()["status"], status);
                faults.extend(found);
            }
        }
    }
    world.twilio.set_next_outcome(Outcome::TooShort);
    world.recorded_call().await;
    for list in [format!("Calls/{call_sid}/Recordings.json"), "Recordings.json".to_owned()] {
        let mut next = format!("{list}?PageSize=5");
        let mut pages = 0;
        loop {
            let (answer, found) = ask_twilio(&world, Method::GET, &next, "").await;
            faults.extend(found);
            pages += 1;
            let page = answer.json();
            let Some(uri) = page["next_page_uri"].as_str() else { break };
            next = uri.split_once(&format!("{ACCOUNT_SID}/")).expect("a path of the account").1.to_owned();
        }
        assert_eq!(pages, 3, "{list}");
    }
    let recording = world.twilio.add_recording(SeededRecording::default());
    faults.extend(ask_twilio(&world, Method::DELETE, &format!("Recordings/{recording}.json"), "").await.1);
    assert_only(&faults, &PRICE);
}

/// Options that were not requested are null in AssemblyAI's responses, and in most of its file.
const NOT_REQUESTED: [Known; 2] = [
    ("body/prompt: expected string, not null", "publicly quoted responses of the API have null"),
    ("body/redact_pii_sub: expected string, not null", "the file's own example of a deleted transcript has null"),
];

#[tokio::test]
async fn the_sandbox_assemblyai_shows_transcripts_in_every_state_as_the_file_describes() {
    let world = World::new().await;
    let upload = world.http.post(format!("{}/v2/upload", world.assemblyai.url()));
    let upload = upload.header("authorization", assemblyai::API_KEY).header("content-type", "application/octet-stream");
    let uploaded = Answer::of(upload.body(speech::WAV).send().await.expect("an answer")).await;
    let mut faults = Spec::assemblyai().faults_of_answer(&Method::POST, "/v2/upload", &uploaded);
    let audio_url = uploaded.json()["upload_url"].clone();

    let requests = [
        json!({ "audio_url": audio_url, "speech_models": ["universal-2"] }),
        json!({ "audio_url": audio_url, "multichannel": true, "keyterms_prompt": ["ahoy"] }),
        json!({ "audio_url": audio_url, "speaker_labels": true, "redact_pii": true, "redact_pii_sub": "hash" }),
        json!({
            "audio_url": audio_url, "multichannel": true, "speaker_labels": true,
            "webhook_url": format!("{}/hooks/assemblyai?job=1", world.base),
            "webhook_auth_header_name": "x", "webhook_auth_header_value": "y",
        }),
        json!({ "audio_url": "https://example.com/nothing.wav" }),
    ];
    for request in requests {
        world.assemblyai.hold();
        let (created, found) = ask_assemblyai(&world, Method::POST, "/v2/transcript", &request.to_string()).await;
        faults.extend(found);
        assert_eq!(created.json()["status"], "queued", "{}", created.text());
        let id = created.json()["id"].as_str().expect("an id").to_owned();
        let path = format!("/v2/transcript/{id}");
        let reached = |statuses: &'static [&'static str]| {
            let (vendor, id) = (world.assemblyai.clone(), id.clone());
            async move {
                let matches =
                    |one: &Value| one["id"] == *id && statuses.contains(&one["status"].as_str().unwrap_or(""));
                vendor.control.until(|| vendor.transcripts().into_iter().find(matches)).await;
            }
        };
        reached(&["processing"]).await;
        faults.extend(ask_assemblyai(&world, Method::GET, &path, "").await.1);
        world.assemblyai.release();
        reached(&["completed", "error"]).await;
        let (done, found) = ask_assemblyai(&world, Method::GET, &path, "").await;
        faults.extend(found);
        for export in ["srt", "vtt?chars_per_caption=32", "sentences", "paragraphs", "word-search?words=call,ahoy"] {
            let (answer, found) = ask_assemblyai(&world, Method::GET, &format!("{path}/{export}"), "").await;
            assert_eq!(answer.status == 200, done.json()["status"] == "completed", "{export}: {}", answer.text());
            faults.extend(found);
        }
        faults.extend(ask_assemblyai(&world, Method::GET, "/v2/transcript?limit=2", "").await.1);
        faults.extend(ask_assemblyai(&world, Method::DELETE, &path, "").await.1);
        faults.extend(ask_assemblyai(&world, Method::GET, &path, "").await.1);
    }
    let known = ["POST /v2/transcript", "GET /v2/transcript/{transcript_id}", "DELETE /v2/transcript/{transcript_id}"];
    let known = known.iter().flat_map(|name| NOT_REQUESTED.iter().map(move |(fault, _)| format!("{name} 200 {fault}")));
    assert_eq!(faults, known.collect(), "left: found, right: known");
}

#[tokio::test]
async fn the_sandbox_assemblyai_rejects_requests_as_the_file_describes() {
    let world = World::new().await;
    let mut faults = Faults::new();
    for (method, target, body, status) in [
        (Method::POST, "/v2/transcript", "{}", 400),
        (Method::GET, "/v2/transcript/no-such-id", "", 400),
        (Method::DELETE, "/v2/transcript/no-such-id", "", 400),
        (Method::GET, "/v2/transcript/no-such-id/srt", "", 400),
        (Method::POST, "/v2/upload", "", 400),
    ] {
        let (answer, found) = ask_assemblyai(&world, method, target, body).await;
        assert_eq!(answer.status, status, "{target}");
        faults.extend(found);
    }
    for status in [401, 404, 429, 500] {
        let fault = callscribe::sandbox::control::Fault::Refuse { status, retry_after: Some(1) };
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault);
        let (answer, found) = ask_assemblyai(&world, Method::POST, "/v2/transcript", "{}").await;
        assert_eq!(answer.status, status);
        faults.extend(found);
    }
    assert_only(&faults, &[]);
}
