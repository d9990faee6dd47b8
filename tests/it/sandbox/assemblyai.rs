//! The emulated API as its clients see it, over real HTTP.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use callscribe::sandbox::assemblyai::{API_KEY, AssemblyAi};
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::Audio;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{client, listen};

pub(super) struct Sandbox {
    pub(super) assemblyai: AssemblyAi,
    http: reqwest::Client,
}

pub(super) async fn sandbox() -> Sandbox {
    Sandbox { assemblyai: AssemblyAi::start(listen().await, Pace::instant()), http: client() }
}

impl Sandbox {
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.assemblyai.url())).header("Authorization", API_KEY)
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn create(&self, params: Value) -> (u16, Value) {
        send(self.request(Method::POST, "/v2/transcript").json(&params)).await
    }

    pub(super) async fn upload(&self, audio: &[u8]) -> String {
        let (status, body) = send(self.request(Method::POST, "/v2/upload").body(audio.to_vec())).await;
        assert_eq!(status, 200, "{body}");
        body["upload_url"].as_str().unwrap().to_owned()
    }

    pub(super) async fn created(&self, params: Value) -> String {
        let (status, body) = self.create(params).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the transcript matches; returns it.
    pub(super) async fn once(&self, id: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let find = || {
            self.assemblyai.transcripts().into_iter().find(|transcript| transcript["id"] == id && matches(transcript))
        };
        self.assemblyai.control.until(find).await
    }

    pub(super) async fn once_status(&self, id: &str, status: &str) -> Value {
        self.once(id, |transcript| transcript["status"] == status).await
    }

    pub(super) async fn completed(&self) -> String {
        let id = self.created(json!({ "audio_url": self.upload(speech::WAV).await })).await;
        self.once_status(&id, "completed").await;
        id
    }
}

pub(super) async fn send(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Sends these bytes and shuts down the sending side; returns the response.
async fn raw(sandbox: &Sandbox, request: String) -> String {
    let address = sandbox.assemblyai.url().trim_start_matches("http://").to_owned();
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut response = String::new();
        let _ = stream.read_to_string(&mut response);
        response
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test]
async fn only_the_documented_key_is_accepted() {
    let sandbox = sandbox().await;
    let url = format!("{}/v2/upload", sandbox.assemblyai.url());
    let keyless = sandbox.http.post(&url).body("audio");
    let bearer = sandbox.http.post(&url).body("audio").header("Authorization", format!("Bearer {API_KEY}"));
    for request in [keyless, bearer] {
        let refusal = json!({ "error": "Authentication error, API token missing/invalid" });
        assert_eq!(send(request).await, (401, refusal));
    }
    assert_eq!(sandbox.assemblyai.uploads(), []);
}

#[tokio::test]
async fn unknown_paths_ids_and_methods_are_refused_in_json() {
    let sandbox = sandbox().await;
    let unknown_id = "Transcript lookup error, transcript id not found";
    assert_eq!(sandbox.get("/v2/nothing").await, (404, json!({ "error": "Not found" })));
    assert_eq!(sandbox.get("/v2/transcript/x").await, (400, json!({ "error": unknown_id })));
    assert_eq!(send(sandbox.request(Method::PUT, "/v2/upload")).await, (405, json!({ "error": "Method not allowed" })));
}

#[tokio::test]
async fn an_upload_is_hashed_and_known_by_its_url() {
    let sandbox = sandbox().await;
    let noise = vec![7; 3 << 20];
    let urls = [sandbox.upload(&noise).await, sandbox.upload(speech::MP3).await];
    let uploads = sandbox.assemblyai.uploads();
    assert_eq!(uploads[0].sha256, Audio::Bytes(noise.into()).sha256());
    assert_eq!(uploads[0].bytes, 3 << 20);
    assert_eq!([&uploads[0].upload_url, &uploads[1].upload_url], [&urls[0], &urls[1]]);
    assert_eq!(uploads.iter().map(|upload| upload.is_speech).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn empty_cut_and_oversized_uploads_are_not_stored() {
    let sandbox = sandbox().await;
    let (status, _) = send(sandbox.request(Method::POST, "/v2/upload")).await;
    assert_eq!(status, 400);
    let head = format!("POST /v2/upload HTTP/1.1\r\nHost: x\r\nAuthorization: {API_KEY}\r\n");
    let cut = raw(&sandbox, format!("{head}Content-Length: 100\r\n\r\nten bytes.")).await;
    assert!(!cut.contains("200 OK"), "{cut}");
    let oversized = raw(&sandbox, format!("{head}Content-Length: 2200000001\r\n\r\n")).await;
    assert!(oversized.starts_with("HTTP/1.1 413"), "{oversized}");
    assert_eq!(sandbox.assemblyai.uploads(), []);
}

#[tokio::test]
async fn wrong_parameters_are_refused_with_a_reason() {
    let sandbox = sandbox().await;
    let audio = "https://example.com/a.wav";
    let terms = |count: usize| vec!["term"; count];
    let cases = [
        (json!([]), "Invalid endpoint schema, please refer to documentation for examples."),
        (json!({}), "audio_url is required"),
        (json!({ "audio_url": 5 }), "audio_url should be a string"),
        (json!({ "audio_url": "ftp://a" }), "Transcript creation error, audio_url should start with http"),
        (json!({ "audio_url": audio, "word_boost": [] }), "\"word_boost\" is no longer supported"),
        (json!({ "audio_url": audio, "boost_param": "high" }), "\"boost_param\" is no longer supported"),
        (json!({ "audio_url": audio, "speaker_labels": "yes" }), "\"speaker_labels\" should be a boolean"),
        (json!({ "audio_url": audio, "keyterms_prompt": "a,b" }), "\"keyterms_prompt\" should be a list of strings"),
        (json!({ "audio_url": audio, "keyterms_prompt": null }), "\"keyterms_prompt\" should be a list of strings"),
        (json!({ "audio_url": audio, "speech_models": [] }), "must be a non-empty list"),
        (json!({ "audio_url": audio, "speech_models": ["universal-9"] }), "must be a non-empty list"),
        (json!({ "audio_url": audio, "speech_models": ["universal-3-pro"] }), "no longer available"),
        (json!({ "audio_url": audio, "keyterms_prompt": terms(1_001) }), "at most 1000 words"),
        (
            json!({ "audio_url": audio, "keyterms_prompt": terms(201), "speech_models": ["universal-2"] }),
            "at most 200 terms",
        ),
        (json!({ "audio_url": audio, "keyterms_prompt": ["one two three four five six seven"] }), "at most 6 words"),
        (json!({ "audio_url": audio, "speech_model": "universal-9" }), "must be a non-empty list"),
        (json!({ "audio_url": audio, "audio_end_at": -1 }), "\"audio_end_at\" should be a number of milliseconds"),
        (json!({ "audio_url": audio, "audio_start_from": 9, "audio_end_at": 9 }), "should be greater than"),
        (json!({ "audio_url": audio, "custom_spelling": [{ "from": "a", "to": "b" }] }), "a list \"from\""),
        (json!({ "audio_url": audio, "custom_spelling": [{ "from": ["a"] }] }), "a string \"to\""),
        (json!({ "audio_url": audio, "redact_pii_policies": ["secrets"] }), "no policy \"secrets\""),
        (json!({ "audio_url": audio, "redact_pii_sub": "stars" }), "one of: entity_name, hash"),
        (json!({ "audio_url": audio, "webhook_url": "/hook" }), "webhook_url should start with http"),
        (json!({ "audio_url": audio, "webhook_auth_header_name": "X-Secret" }), "must be given together"),
    ];
    for (params, reason) in cases {
        let (status, body) = sandbox.create(params).await;
        assert_eq!(status, 400, "{body}");
        assert!(body["error"].as_str().unwrap().contains(reason), "{body} lacks: {reason}");
    }
    assert_eq!(sandbox.assemblyai.transcripts(), [] as [Value; 0]);
}

#[tokio::test]
async fn a_response_repeats_the_parameters_but_not_the_secret_or_made_up_results() {
    let sandbox = sandbox().await;
    sandbox.assemblyai.hold();
    let params = json!({
        "audio_url": "https://example.com/a.wav",
        "speech_models": ["assemblyai-stt-3-7", "universal-2"],
        "keyterms_prompt": ["Ahoy Street"],
        "speakers_expected": null,
        "status": null,
        "error": false,
        "webhook_url": "http://127.0.0.1:9/hook?job=1",
        "webhook_auth_header_name": "X-Secret",
        "webhook_auth_header_value": "s3cret",
    });
    let (status, body) = sandbox.create(params.clone()).await;
    assert_eq!((status, &body["status"], &body["text"]), (200, &json!("queued"), &Value::Null));
    for name in ["audio_url", "speech_models", "keyterms_prompt", "webhook_url"] {
        assert_eq!(body[name], params[name]);
    }
    assert_eq!((&body["webhook_auth"], body.get("error")), (&json!(true), None));
    assert!(!body.to_string().contains("s3cret"));
}

#[tokio::test]
async fn a_completed_transcript_has_words_and_its_webhook_was_called() {
    let sandbox = sandbox().await;
    let receiver = Receiver::start(vec![500, 204]).await;
    let params = json!({
        "audio_url": sandbox.upload(speech::WAV).await,
        "speech_models": ["universal-2"],
        "webhook_url": receiver.url,
        "webhook_auth_header_name": "X-Secret",
        "webhook_auth_header_value": "s3cret",
    });
    let id = sandbox.created(params).await;
    let transcript = sandbox.once(&id, |transcript| transcript["webhook_status_code"] == 204).await;
    assert_eq!(sandbox.get(&format!("/v2/transcript/{id}")).await, (200, transcript.clone()));
    assert_eq!(transcript["status"], "completed");
    assert_eq!(transcript["text"], speech::text());
    assert_eq!(transcript["words"].as_array().unwrap().len(), speech::words().len());
    assert_eq!(
        transcript["words"][0],
        json!({
            "text": "Hello,", "start": 200, "end": 525, "confidence": 0.97, "speaker": null
        })
    );
    assert_eq!((&transcript["audio_duration"], &transcript["confidence"]), (&json!(5), &json!(0.925)));
    assert_eq!(transcript["speech_model_used"], "universal-2");
    assert_eq!(transcript["utterances"], Value::Null);

    let calls = receiver.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 2, "one retry after the 500");
    for (headers, body) in calls {
        assert_eq!(headers["x-secret"], "s3cret");
        assert_eq!(body, json!({ "transcript_id": id, "status": "completed" }));
    }
}

#[tokio::test]
async fn a_webhook_is_not_retried_after_4xx_and_ends_after_ten_attempts_with_5xx() {
    for (status, attempts) in [(404, 1), (503, 10)] {
        let sandbox = sandbox().await;
        let receiver = Receiver::start(vec![status; 20]).await;
        let params = json!({ "audio_url": "https://example.com/a.wav", "webhook_url": receiver.url });
        let id = sandbox.created(params).await;
        let calls = || receiver.calls.lock().unwrap().len();
        sandbox.assemblyai.control.until(|| (calls() == attempts).then_some(())).await;
        sandbox.once(&id, |transcript| transcript["webhook_status_code"] == status).await;
        assert_eq!(calls(), attempts);
    }
}

#[tokio::test]
async fn speakers_and_channels_make_utterances() {
    let sandbox = sandbox().await;
    let cases = [
        (json!({ "speaker_labels": true }), json!("A"), Value::Null),
        (json!({ "multichannel": true }), json!("1"), json!("1")),
        (json!({ "speaker_labels": true, "multichannel": true }), json!("1A"), json!("1")),
    ];
    for (mut params, speaker, channel) in cases {
        params["audio_url"] = json!(sandbox.upload(&speech::stereo()).await);
        let id = sandbox.created(params).await;
        let transcript = sandbox.once_status(&id, "completed").await;
        let channels = if channel.is_null() { Value::Null } else { json!(2) };
        assert_eq!(transcript["audio_channels"], channels);
        for part in [&transcript["utterances"][0], &transcript["words"][0]] {
            assert_eq!((&part["speaker"], &part["channel"]), (&speaker, &channel));
        }
    }
}

#[tokio::test]
async fn other_audio_and_planned_errors_end_in_status_error() {
    let sandbox = sandbox().await;
    let noise = sandbox.upload(b"noise").await;
    let speech = sandbox.upload(speech::WAV).await;
    let elsewhere = "https://example.com/a.wav";
    let download_error = "Download error, unable to download https://example.com/a.wav. Please make sure the file exists \
                          and is accessible from the internet.";
    let other_audio =
        "the sandbox transcribes only speech of its own Twilio: this is other audio, or the line was too bad";
    for (audio_url, error) in [(&*noise, other_audio), (elsewhere, download_error), (&*speech, "planned")] {
        if error == "planned" {
            sandbox.assemblyai.fail_next_transcript(error);
        }
        let id = sandbox.created(json!({ "audio_url": audio_url })).await;
        assert_eq!(sandbox.once_status(&id, "error").await["error"], error);
        let (status, body) = sandbox.get(&format!("/v2/transcript/{id}/srt")).await;
        assert_eq!(status, 400);
        assert!(body["error"].as_str().unwrap().starts_with("This transcript has a status of 'error'."), "{body}");
    }
}

#[tokio::test]
async fn a_held_transcript_is_processed_until_it_is_released() {
    let sandbox = sandbox().await;
    sandbox.assemblyai.hold();
    let id = sandbox.created(json!({ "audio_url": sandbox.upload(speech::WAV).await })).await;
    assert_eq!(sandbox.once_status(&id, "processing").await["text"], Value::Null);
    sandbox.assemblyai.release();
    sandbox.once_status(&id, "completed").await;
}

#[tokio::test]
async fn captions_keep_to_the_requested_length() {
    let sandbox = sandbox().await;
    let id = sandbox.completed().await;
    let text = async |path: &str| {
        let response = sandbox.request(Method::GET, &format!("/v2/transcript/{id}/{path}")).send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        response.text().await.unwrap()
    };
    let srt = text("srt?chars_per_caption=30").await;
    assert!(
        srt.starts_with("1\n00:00:00,200 --> 00:00:01,730\nHello, this is a test call.\n\n2\n00:00:02,055 --> "),
        "{srt}"
    );
    assert!(srt.lines().all(|line| line.chars().count() <= 30), "{srt}");
    let vtt = text("vtt").await;
    assert!(vtt.starts_with("WEBVTT\n\n00:00.200 --> 00:04.290\nHello, this"), "{vtt}");
    let (status, _) = sandbox.get(&format!("/v2/transcript/{id}/srt?chars_per_caption=0")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn sentences_paragraphs_and_found_words_have_their_times() {
    let sandbox = sandbox().await;
    let id = sandbox.completed().await;
    let (_, sentences) = sandbox.get(&format!("/v2/transcript/{id}/sentences")).await;
    assert_eq!(sentences["sentences"][0]["text"], "Hello, this is a test call.");
    assert_eq!(sentences["sentences"][1]["start"], 2055);
    let (_, paragraphs) = sandbox.get(&format!("/v2/transcript/{id}/paragraphs")).await;
    assert_eq!(paragraphs["paragraphs"][0]["text"], speech::text());
    let (_, found) = sandbox.get(&format!("/v2/transcript/{id}/word-search?words=hello,Ahoy%20street,nowhere")).await;
    assert_eq!(
        found,
        json!({
            "id": id,
            "total_count": 2,
            "matches": [
                { "text": "hello", "count": 1, "timestamps": [[200, 525]], "indexes": [0] },
                { "text": "ahoy street", "count": 1, "timestamps": [[3690, 4290]], "indexes": [12] },
            ],
        })
    );
}

#[tokio::test]
async fn the_list_leads_page_by_page_to_the_oldest_transcript_and_back() {
    let sandbox = sandbox().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(sandbox.created(json!({ "audio_url": format!("https://example.com/{number}") })).await);
    }
    ids.reverse();
    let mut listed = Vec::new();
    let mut target = json!(format!("{}/v2/transcript?limit=2", sandbox.assemblyai.url()));
    let mut last = Value::Null;
    while let Some(url) = target.as_str() {
        let (_, page) = sandbox.get(url.strip_prefix(sandbox.assemblyai.url()).unwrap()).await;
        listed
            .extend(page["transcripts"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        target = page["page_details"]["prev_url"].clone();
        last = page;
    }
    assert_eq!(listed, ids);
    let current = format!("{}/v2/transcript?limit=2&before_id={}", sandbox.assemblyai.url(), ids[3]);
    assert_eq!(last["page_details"]["current_url"], current);
    let next = last["page_details"]["next_url"].as_str().unwrap().strip_prefix(sandbox.assemblyai.url()).unwrap();
    let (_, page) = sandbox.get(next).await;
    assert_eq!((&page["transcripts"][0]["id"], &page["transcripts"][1]["id"]), (&json!(ids[2]), &json!(ids[3])));
    for wrong in ["limit=0", "limit=201", "limit=x", "status=done", "before_id=x"] {
        assert_eq!(sandbox.get(&format!("/v2/transcript?{wrong}")).await.0, 400, "{wrong}");
    }
    for id in &ids {
        sandbox.once_status(id, "error").await;
    }
    let (_, none) = sandbox.get("/v2/transcript?status=completed").await;
    assert_eq!((&none["page_details"]["result_count"], &none["page_details"]["prev_url"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_deleted_transcript_stays_a_stub_when_its_processing_ends() {
    let sandbox = sandbox().await;
    sandbox.assemblyai.hold();
    let id = sandbox.created(json!({ "audio_url": sandbox.upload(speech::WAV).await })).await;
    sandbox.once_status(&id, "processing").await;
    let path = format!("/v2/transcript/{id}");
    let (status, stub) = send(sandbox.request(Method::DELETE, &path)).await;
    assert_eq!((status, &stub["status"]), (200, &json!("completed")));
    assert_eq!((&stub["audio_url"], &stub["text"]), (&json!("http://deleted_by_user"), &json!("Deleted by user.")));
    sandbox.assemblyai.release();
    sandbox.completed().await;
    assert_eq!(sandbox.get(&path).await, (200, stub));
    assert_eq!(sandbox.get(&format!("{path}/srt")).await.0, 400);
}

#[tokio::test]
async fn uploaded_audio_is_deleted_with_its_transcript() {
    let sandbox = sandbox().await;
    let audio = sandbox.upload(speech::WAV).await;
    let id = sandbox.created(json!({ "audio_url": audio })).await;
    sandbox.once_status(&id, "completed").await;
    send(sandbox.request(Method::DELETE, &format!("/v2/transcript/{id}"))).await;
    let again = sandbox.created(json!({ "audio_url": audio })).await;
    sandbox.once_status(&again, "error").await;
}

#[tokio::test]
async fn injected_faults_have_assemblyais_form_of_error() {
    let sandbox = sandbox().await;
    let fault = Fault::Refuse { status: 429, retry_after: Some(3) };
    sandbox.assemblyai.control.fail_next(Method::GET, "/v2/transcript", fault);
    assert_eq!(sandbox.get("/v2/transcript").await, (429, json!({ "error": "Too Many Requests" })));
    assert_eq!(sandbox.get("/v2/transcript").await.0, 200);
}

/// Receives webhooks and responds with one status after the other.
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) calls: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Receiver {
    pub(super) async fn start(statuses: Vec<u16>) -> Self {
        let listener = listen().await;
        let url = format!("http://{}/hook?job=1", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
        let log = calls.clone();
        let receive = async move |headers: HeaderMap, Json(body): Json<Value>| {
            let mut log = log.lock().unwrap();
            log.push((headers, body));
            StatusCode::from_u16(statuses[log.len() - 1]).unwrap()
        };
        tokio::spawn(axum::serve(listener, Router::new().route("/hook", post(receive))).into_future());
        Self { url, calls }
    }
}
