//! Whole calls and requests, with a program that checks every signature.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callscribe::internals::signature::{self, Algorithm};
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{
    ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, Audio, Outcome, PHONE_NUMBER, SeededCall, SeededRecording,
    Stage, Twilio,
};
use serde_json::Value;

use crate::support::{client, listen};

/// A request with a valid signature: its path and all its parameters.
type Received = (String, HashMap<String, String>);

fn params(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// The program that Twilio calls back, reduced to fixed TwiML documents by path.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) url: String,
    documents: &'static [(&'static str, &'static str)],
    received: Arc<Mutex<Vec<Received>>>,
}

impl Program {
    pub(super) async fn start(documents: &'static [(&'static str, &'static str)]) -> Self {
        let listener = listen().await;
        let url = format!("http://{}", listener.local_addr().unwrap());
        let program = Self { url, documents, received: Arc::default() };
        let router = Router::new().fallback(receive).with_state(program.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        program
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(super) fn received_at(&self, path: &str) -> Vec<HashMap<String, String>> {
        self.received().into_iter().filter(|(at, _)| at == path).map(|(_, params)| params).collect()
    }
}

async fn receive(State(program): State<Program>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let form = params(&body);
    let url = format!("{}{}", program.url, parts.uri);
    let signature = parts.headers[signature::HEADER].to_str().unwrap();
    assert!(parts.headers.contains_key("i-twilio-idempotency-token"));
    if !signature::verify(Algorithm::HmacSha1, AUTH_TOKEN, &url, &form, signature) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let query = params(parts.uri.query().unwrap_or_default().as_bytes());
    let path = parts.uri.path().to_owned();
    program.received.lock().unwrap().push((path.clone(), form.into_iter().chain(query).collect()));
    match program.documents.iter().find(|(at, _)| *at == path) {
        Some((_, twiml)) => ([(header::CONTENT_TYPE, "application/xml")], *twiml).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(super) async fn start() -> Twilio {
    Twilio::start(listen().await, Pace::instant())
}

/// Returns the path that all resources of the account begin with.
pub(super) fn account_path() -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT_SID}")
}

/// Returns a request to the API with the account's credentials.
pub(super) fn api(twilio: &Twilio, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}{}{path}", twilio.url(), account_path());
    client().request(method, url).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN))
}

pub(super) async fn request(twilio: &Twilio, method: Method, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
    let request = api(twilio, method.clone(), path);
    let request = if method == Method::POST { request.form(form) } else { request };
    request.send().await.unwrap()
}

pub(super) async fn fetch(twilio: &Twilio, path: &str) -> Value {
    request(twilio, Method::GET, path, &[]).await.json().await.unwrap()
}

/// Returns the path with this query.
pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    format!("{path}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish())
}

/// Places a call; returns its SID.
pub(super) async fn call(twilio: &Twilio, program: &Program, more: &[(&str, &str)]) -> String {
    let (url, hook) = (format!("{}/record/?a=1", program.url), format!("{}/hook#rc=2", program.url));
    let mut form = vec![("To", "+14155551234"), ("From", PHONE_NUMBER), ("Url", &url), ("StatusCallback", &hook)];
    form.extend(more);
    let response = request(twilio, Method::POST, "/Calls.json", &form).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let call: Value = response.json().await.unwrap();
    assert_eq!((&call["status"], &call["duration"]), (&"queued".into(), &Value::Null));
    call["sid"].as_str().unwrap().to_owned()
}

pub(super) const EVERY_EVENT: [(&str, &str); 4] = [
    ("StatusCallbackEvent", "initiated"),
    ("StatusCallbackEvent", "ringing"),
    ("StatusCallbackEvent", "answered"),
    ("StatusCallbackEvent", "completed"),
];

pub(super) const RECORDED: &[(&str, &str)] = &[
    (
        "/record/",
        "<Response><Say>Ahoy! Call recording starts now.</Say>\
         <Record action=\"done/?b=1&amp;c=2\" recordingStatusCallback=\"/recording\"/><Redirect>/never</Redirect></Response>",
    ),
    ("/record/done/", "<Response><Hangup/></Response>"),
];

#[tokio::test]
async fn a_recorded_call_is_reported_from_beginning_to_end() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let sid = call(&twilio, &program, &EVERY_EVENT).await;
    twilio.settled().await;

    let reports = program.received_at("/hook");
    let statuses: Vec<_> = reports.iter().map(|report| report["CallStatus"].as_str()).collect();
    assert_eq!(statuses, ["initiated", "ringing", "in-progress", "completed"]);
    for (number, report) in reports.iter().enumerate() {
        assert_eq!((&report["SequenceNumber"], &report["CallSid"]), (&number.to_string(), &sid));
        assert_eq!(report["CallbackSource"], "call-progress-events");
    }
    // Less than a second of greeting and five and a half of speech.
    assert_eq!((reports[3]["CallDuration"].as_str(), reports[3]["Duration"].as_str()), ("7", "1"));

    let (first, done) = (&program.received_at("/record/")[0], &program.received_at("/record/done/")[0]);
    assert_eq!((first["a"].as_str(), first["CallStatus"].as_str(), first["ToZip"].as_str()), ("1", "in-progress", ""));
    assert_eq!((done["c"].as_str(), done["Digits"].as_str(), done["RecordingDuration"].as_str()), ("2", "#", "5"));
    assert!(program.received_at("/never").is_empty());

    let report = &program.received_at("/recording")[0];
    assert_eq!((report["RecordingStatus"].as_str(), report["RecordingSource"].as_str()), ("completed", "RecordVerb"));
    assert_eq!(report["RecordingUrl"], done["RecordingUrl"]);
    let recording = fetch(&twilio, &format!("/Recordings/{}.json", report["RecordingSid"])).await;
    assert_eq!((&recording["duration"], &recording["channels"]), (&"5".into(), &1.into()));
    assert_eq!(recording["media_url"].as_str(), Some(report["RecordingUrl"].as_str()));
    let listed = fetch(&twilio, &format!("/Calls/{sid}/Recordings.json")).await;
    assert_eq!(listed["recordings"][0]["sid"], recording["sid"]);
    assert_eq!(fetch(&twilio, &format!("/Calls/{sid}.json")).await["duration"], "7");
}

#[tokio::test]
async fn a_record_without_an_action_fetches_its_own_document_again() {
    let documents = &[("/record/", "<Response><Say>Ahoy!</Say><Record/><Hangup/></Response>")];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let sid = call(&twilio, &program, &[("Method", "GET")]).await;
    twilio.settled().await;
    let fetched = program.received_at("/record/");
    assert_eq!(fetched.len(), 10);
    assert!(!fetched[0].contains_key("RecordingSid") && fetched[9].contains_key("RecordingSid"));
    assert_eq!(twilio.recordings_of(&sid).len(), 10);
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("completed"));
}

#[tokio::test]
async fn unanswered_calls_are_reported_as_completed_events() {
    for (outcome, status) in [(Outcome::Busy, "busy"), (Outcome::NoAnswer, "no-answer"), (Outcome::Failed, "failed")] {
        let (twilio, program) = (start().await, Program::start(RECORDED).await);
        twilio.set_next_outcome(outcome);
        let sid = call(&twilio, &program, &[]).await;
        twilio.settled().await;
        let received = program.received();
        assert_eq!(received.len(), 1);
        assert_eq!((received[0].1["CallStatus"].as_str(), received[0].1["CallDuration"].as_str()), (status, "0"));
        assert_eq!(fetch(&twilio, &format!("/Calls/{sid}.json")).await["duration"], Value::Null);
    }
}

#[tokio::test]
async fn a_callee_can_hang_up_or_be_silent() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.set_next_outcome(Outcome::HangsUp);
    call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let done = &program.received_at("/record/done/")[0];
    assert_eq!((done["Digits"].as_str(), done["CallStatus"].as_str()), ("hangup", "completed"));

    twilio.set_next_outcome(Outcome::Silent);
    let silent = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    assert_eq!((program.received_at("/never").len(), twilio.recordings_of(&silent).len()), (1, 0));

    twilio.set_next_outcome(Outcome::TooShort);
    let short = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let recording = fetch(&twilio, &format!("/Recordings/{}.json", twilio.recordings_of(&short)[0])).await;
    assert_eq!((&recording["status"], &recording["error_code"]), (&"absent".into(), &16101.into()));
}

#[tokio::test]
async fn hanging_up_ends_the_recording_in_progress() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.hold(Stage::RecordingProcessing);
    let sid = call(&twilio, &program, &[]).await;
    let recording = twilio.control.until(|| twilio.recordings_of(&sid).pop()).await;
    assert_eq!(fetch(&twilio, &format!("/Recordings/{recording}.json")).await["duration"], "-1");
    let path = format!("/Calls/{sid}.json");
    assert_eq!(request(&twilio, Method::DELETE, &path, &[]).await.status(), 400);
    assert_eq!(request(&twilio, Method::POST, &path, &[("Status", "canceled")]).await.status(), 400);
    let ended = request(&twilio, Method::POST, &path, &[("Status", "completed")]).await;
    assert_eq!(ended.json::<Value>().await.unwrap()["status"], "completed");
    twilio.settled().await;
    assert_eq!(twilio.recording_status(&recording).as_deref(), Some("completed"));
    assert_eq!((program.received_at("/record/done/").len(), program.received_at("/recording").len()), (0, 1));
    assert_eq!(request(&twilio, Method::POST, &path, &[("Status", "completed")]).await.status(), 400);
    assert_eq!(request(&twilio, Method::DELETE, &path, &[]).await.status(), 204);
    assert_eq!(request(&twilio, Method::GET, &path, &[]).await.status(), 404);
}

#[tokio::test]
async fn a_held_call_waits_and_can_be_canceled() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.hold(Stage::Ringing);
    let first = call(&twilio, &program, &[]).await;
    let second = call(&twilio, &program, &[]).await;
    request(&twilio, Method::POST, &format!("/Calls/{first}.json"), &[("Status", "completed")]).await;
    assert_eq!(twilio.call_status(&first).as_deref(), Some("canceled"));
    assert_eq!(twilio.call_status(&second).as_deref(), Some("queued"));
    twilio.release(Stage::Ringing);
    twilio.settled().await;
    assert_eq!(twilio.call_status(&second).as_deref(), Some("completed"));
}

#[tokio::test]
async fn a_call_can_be_recorded_as_a_whole() {
    let documents = &[("/record/", "<Response><Say>Ahoy!</Say></Response>")];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let hook = format!("{}/recording", program.url);
    let more = [("Record", "true"), ("RecordingChannels", "dual"), ("RecordingStatusCallback", &hook)];
    let sid = call(&twilio, &program, &more).await;
    twilio.settled().await;
    let report = &program.received_at("/recording")[0];
    assert_eq!((report["RecordingSource"].as_str(), report["RecordingChannels"].as_str()), ("OutboundAPI", "2"));
    assert_eq!(program.received_at("/hook")[0]["RecordingSid"], twilio.recordings_of(&sid)[0]);
    let whole = request(&twilio, Method::GET, &format!("/Recordings/{}", report["RecordingSid"]), &[]).await;
    assert_eq!(whole.bytes().await.unwrap(), speech::stereo());
}

#[tokio::test]
async fn an_application_error_ends_the_call() {
    for documents in [&[("/record/", "<Response><Sing/></Response>")][..], &[]] {
        let (twilio, program) = (start().await, Program::start(documents).await);
        let sid = call(&twilio, &program, &[]).await;
        twilio.settled().await;
        assert_eq!((twilio.call_status(&sid).as_deref(), program.received_at("/hook").len()), (Some("completed"), 1));
        assert!(twilio.recordings_of(&sid).is_empty());
    }
}

#[tokio::test]
async fn an_inbound_call_is_answered_or_rejected() {
    let documents =
        &[("/yes", "<Response><Say>Hi</Say></Response>"), ("/no", "<Response><Reject reason=\"busy\"/></Response>")];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let yes = twilio.inbound_call(&format!("{}/yes", program.url), "+14155551234");
    let no = twilio.inbound_call(&format!("{}/no", program.url), "+14155551234");
    twilio.settled().await;
    let voice = &program.received_at("/yes")[0];
    assert_eq!((voice["Direction"].as_str(), voice["CallStatus"].as_str()), ("inbound", "ringing"));
    assert_eq!((voice["To"].as_str(), voice["From"].as_str()), (PHONE_NUMBER, "+14155551234"));
    assert_eq!(twilio.call_status(&yes).as_deref(), Some("completed"));
    assert_eq!(twilio.call_status(&no).as_deref(), Some("busy"));
}

#[tokio::test]
async fn a_callback_without_a_response_is_a_delivery_without_a_status() {
    let twilio = start().await;
    // Port 9 is for discarded data; usually nothing listens on it.
    assert_eq!(twilio.send_callback("https://127.0.0.1:9/x", &[]).await, None);
    assert_eq!(twilio.send_callback("no URL", &[]).await, None);
    let program = Program::start(&[]).await;
    let params = [("CallSid".to_owned(), "CA1".to_owned())];
    assert_eq!(twilio.send_callback(&format!("{}/hook", program.url), &params).await, Some(204));
    let statuses: Vec<_> = twilio.deliveries().iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [None, Some(204)]);
}

#[tokio::test]
async fn requests_without_credentials_are_refused() {
    let twilio = start().await;
    let request_as = |account: &str, path: &str, user: &str, password: &str| {
        let url = format!("{}/2010-04-01/Accounts/{account}{path}", twilio.url());
        client().get(url).basic_auth(user, Some(password)).send()
    };
    let refused = request_as(ACCOUNT_SID, "/Calls.json", ACCOUNT_SID, "wrong").await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"Twilio API\"");
    assert!(refused.headers()["twilio-request-id"].to_str().unwrap().starts_with("RQ"));
    assert_eq!(
        refused.text().await.unwrap(),
        r#"{"code":20003,"message":"Authenticate","more_info":"https://www.twilio.com/docs/errors/20003","status":401}"#
    );
    let media = request_as(ACCOUNT_SID, "/Recordings/RE1", ACCOUNT_SID, "wrong").await.unwrap();
    assert!(media.text().await.unwrap().contains("<RestException><Code>20003</Code>"));
    let key = request_as(ACCOUNT_SID, "/Calls.json", API_KEY_SID, API_KEY_SECRET).await.unwrap();
    assert_eq!(key.status(), 200);
    let other = request_as(&ACCOUNT_SID.replace('5', "6"), "/Calls.json", ACCOUNT_SID, AUTH_TOKEN).await.unwrap();
    assert_eq!(
        (other.status(), other.json::<Value>().await.unwrap()["code"].as_u64()),
        (StatusCode::NOT_FOUND, Some(20404))
    );
}

#[tokio::test]
async fn audio_is_served_whole_or_in_ranges_once_it_is_completed() {
    let twilio = start().await;
    let sid = twilio.add_recording(SeededRecording::default());
    let whole = request(&twilio, Method::GET, &format!("/Recordings/{sid}"), &[]).await;
    assert_eq!(
        (&whole.headers()["content-type"], &whole.headers()["accept-ranges"]),
        (&"audio/x-wav".parse().unwrap(), &"bytes".parse().unwrap())
    );
    assert_eq!(whole.bytes().await.unwrap(), speech::WAV);
    let mp3 = request(&twilio, Method::GET, &format!("/Recordings/{sid}.mp3?RequestedChannels=1"), &[]).await;
    assert_eq!(mp3.headers()["content-type"], "audio/mpeg");
    assert_eq!(mp3.bytes().await.unwrap(), speech::MP3);
    let stereo = request(&twilio, Method::GET, &format!("/Recordings/{sid}.wav?RequestedChannels=2"), &[]).await;
    assert_eq!(stereo.status(), 400);

    let big = Audio::Generated { bytes: 300_000 };
    let generated = twilio.add_recording(SeededRecording { audio: big.clone(), ..SeededRecording::default() });
    let bytes = request(&twilio, Method::GET, &format!("/Recordings/{generated}"), &[]).await.bytes().await.unwrap();
    assert_eq!(Audio::Bytes(bytes.clone()).sha256(), big.sha256());
    let part = api(&twilio, Method::GET, &format!("/Recordings/{generated}")).header("range", "bytes=70000-70009");
    let part = part.send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-range"]),
        (206, &"bytes 70000-70009/300000".parse().unwrap())
    );
    assert_eq!(part.bytes().await.unwrap(), bytes[70_000..70_010]);

    let early =
        SeededRecording { status: "processing", audio: Audio::Bytes(Bytes::new()), ..SeededRecording::default() };
    let early = request(&twilio, Method::GET, &format!("/Recordings/{}", twilio.add_recording(early)), &[]).await;
    assert_eq!((early.status().as_u16(), &early.headers()["content-type"]), (404, &"application/xml".parse().unwrap()));
    assert!(early.text().await.unwrap().contains("<Code>20404</Code>"));
}

#[tokio::test]
async fn lists_are_filtered_and_recordings_can_be_deleted() {
    let twilio = start().await;
    twilio.price_calls("USD");
    let old = twilio.add_call(SeededCall::default());
    let new = twilio.add_call(SeededCall { to: "+442079460000".to_owned(), ..SeededCall::default() });
    let calls = fetch(&twilio, "/Calls.json").await;
    assert_eq!((&calls["calls"][0]["sid"], &calls["calls"][1]["sid"]), (&new.as_str().into(), &old.as_str().into()));
    assert_eq!(
        (&calls["calls"][1]["to_formatted"], &calls["calls"][1]["price"]),
        (&"(415) 555-1234".into(), &"-0.01400".into())
    );
    let filtered = fetch(&twilio, "/Calls.json?To=%2B442079460000&Status=completed").await;
    assert_eq!((filtered["calls"].as_array().unwrap().len(), &filtered["calls"][0]["sid"]), (1, &new.as_str().into()));

    let of_call = || SeededRecording { call_sid: old.clone(), ..SeededRecording::default() };
    let (first, second) = (twilio.add_recording(of_call()), twilio.add_recording(of_call()));
    twilio.add_recording(SeededRecording::default());
    let list = fetch(&twilio, &format!("/Recordings.json?CallSid={old}")).await;
    assert_eq!(
        (list["recordings"].as_array().unwrap().len(), &list["recordings"][0]["sid"]),
        (2, &second.as_str().into())
    );
    assert_eq!(fetch(&twilio, &format!("/Calls/{new}/Recordings.json")).await["recordings"], Value::Array(vec![]));
    assert_eq!(fetch(&twilio, "/Calls/CA0/Recordings.json").await["code"], 20404);
    let path = format!("/Calls/{old}/Recordings/{first}.json");
    assert_eq!(request(&twilio, Method::DELETE, &path, &[]).await.status(), 204);
    assert_eq!(request(&twilio, Method::DELETE, &path, &[]).await.status(), 404);
    assert_eq!(request(&twilio, Method::POST, &path, &[]).await.status(), 405);
}
