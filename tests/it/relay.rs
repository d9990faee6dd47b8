//! `POST /transcribe` of a recording: its audio streams from Twilio through the program into AssemblyAI's upload, and
//! incomplete audio is not transcribed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use callscribe::internals::Deadlines;
use callscribe::sandbox::control::{Control, Fault};
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{ACCOUNT_SID, Audio, SeededRecording};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, World, assert_happened, fail_step, listen, serve};

/// A recording that exists only on the Twilio server that the test itself runs.
pub(crate) const RECORDING: &str = "RE5a9db0c05a9db0c05a9db0c05a9db0c0";

/// A timeout that loopback meets and tests can wait out.
const SHORT: Duration = Duration::from_millis(500);

/// How many times an upload is tried in a row.
const TRIES: usize = 6;

async fn transcribe(world: &World, recording: &str) -> Answer {
    world.post_json("/transcribe", &json!({ "recording_sid": recording })).await
}

/// Plans a fault for every try of the next upload.
fn fail_transfer(control: &Control, method: &Method, path: &str, fault: &Fault) {
    for _ in 0..TRIES {
        fail_step(control, method, path, fault);
    }
}

/// Asserts that no upload was completed and no transcript was submitted.
fn assert_nothing_submitted(world: &World) {
    assert_eq!(world.assemblyai.uploads(), []);
    assert_eq!(world.assemblyai.control.requests_to(Method::POST, "/v2/transcript").len(), 0);
}

/// A Twilio server whose recordings are all completed, with `media` as the handler of their audio.
pub(crate) async fn twilio_with<F, A>(media: F) -> String
where
    F: Fn(HeaderMap, String) -> A + Clone + Send + Sync + 'static,
    A: IntoResponse + 'static,
{
    twilio_of(json!({}), media).await
}

/// The same, where the recordings have these facts, too.
pub(crate) async fn twilio_of<F, A>(facts: Value, media: F) -> String
where
    F: Fn(HeaderMap, String) -> A + Clone + Send + Sync + 'static,
    A: IntoResponse + 'static,
{
    let answer = move |Path((_, file)): Path<(String, String)>, headers: HeaderMap| {
        let (media, mut facts) = (media.clone(), facts.clone());
        async move {
            match file.strip_suffix(".json") {
                Some(sid) => {
                    facts["sid"] = json!(sid);
                    facts["status"] = json!("completed");
                    axum::Json(facts).into_response()
                }
                None => media(headers, file).into_response(),
            }
        }
    };
    serve(Router::new().route("/2010-04-01/Accounts/{account}/Recordings/{file}", get(answer))).await
}

/// A response with the headers of the speech, and this body.
fn speech_of(length: Option<usize>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, "audio/x-wav".parse().expect("a media type"));
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

fn redirect(status: u16, location: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert(header::LOCATION, location.parse().expect("an address"));
    response
}

fn whole_speech() -> Response<Body> {
    speech_of(Some(speech::WAV.len()), Body::from(speech::WAV))
}

fn half_of_the_speech() -> Result<Bytes, axum::Error> {
    Ok(Bytes::from_static(&speech::WAV[..speech::WAV.len() / 2]))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_200_mb_streams_through_in_little_memory_without_touching_the_disk() {
    use crate::support::client;
    use crate::support::measured::Measured;

    const SIZE: u64 = 200_000_000;

    let measured = Measured::start().await;
    let transcribe = async |audio: Audio| {
        let recording = measured.twilio.add_recording(SeededRecording { audio, ..Default::default() });
        let request = client().post(&measured.url);
        let sent = request.header("content-type", "application/json");
        let answer = sent.body(json!({ "recording_sid": recording }).to_string()).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    };

    transcribe(Audio::Speech).await;
    let before = measured.usage();

    let audio = Audio::Generated { bytes: SIZE };
    let original = tokio::task::spawn_blocking({
        let audio = audio.clone();
        move || audio.sha256()
    });
    transcribe(audio).await;

    let upload = measured.assemblyai.uploads().pop().expect("an upload");
    assert_eq!((upload.bytes, upload.sha256), (SIZE, original.await.expect("a checksum")));
    measured.assert_little_more_than(&before);
}

#[tokio::test]
async fn twilios_content_length_is_passed_on_and_audio_without_one_still_arrives() {
    for length in [Some(speech::WAV.len()), None] {
        let twilio = twilio_with(move |_, _| {
            let halves = [half_of_the_speech(), Ok(Bytes::from_static(&speech::WAV[speech::WAV.len() / 2..]))];
            speech_of(length, Body::from_stream(stream::iter(halves)))
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        assert_eq!(transcribe(&world, RECORDING).await.status, 200);
        let seen = world.assemblyai.control.requests_to(Method::POST, "/v2/upload");
        let sent = seen[0].headers.get("content-length").map(|length| length.to_str().expect("digits").to_owned());
        assert_eq!(sent, length.map(|length| length.to_string()));
        assert!(world.assemblyai.uploads()[0].is_speech);
    }
}

#[tokio::test]
async fn a_request_body_in_chunks_is_read_as_one() {
    let world = World::new().await;
    let recording = world.twilio.add_recording(SeededRecording::default());
    let host = world.base.trim_start_matches("http://");
    let (one, other) = (r#"{"recording_"#, format!(r#"sid":"{recording}"}}"#));
    let request = format!(
        "POST /transcribe HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
        one.len(),
        other.len()
    );
    let answer = world.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(world.assemblyai.uploads()[0].is_speech);
}

#[tokio::test]
async fn audio_that_twilio_truncates_is_never_transcribed() {
    let world = World::new().await;
    for audio in [Audio::Speech, Audio::Generated { bytes: 3_000_000 }] {
        let recording = world.twilio.add_recording(SeededRecording { audio, ..Default::default() });
        fail_transfer(&world.twilio.control, &Method::GET, ".wav", &Fault::CutBody);
        let detail = transcribe(&world, &recording).await.problem(502, "vendor-unavailable");
        assert_eq!(detail, "the connection to Twilio broke");
        assert_nothing_submitted(&world);
    }
}

#[tokio::test]
async fn truncated_audio_without_a_length_is_never_transcribed() {
    let twilio = twilio_with(|_, _| {
        let broken = stream::once(async {
            // Lets the server write the first half before the connection breaks.
            tokio::task::yield_now().await;
            Err(axum::Error::new("broken by the test"))
        });
        speech_of(None, Body::from_stream(stream::iter([half_of_the_speech()]).chain(broken)))
    });
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    let detail = transcribe(&world, RECORDING).await.problem(502, "vendor-unavailable");
    assert_eq!(detail, "the connection to Twilio broke");
    assert_nothing_submitted(&world);
}

/// A Twilio server that sends `audio` and marks its end by closing the connection, as HTTP/1.0 allows.
async fn closing_twilio(audio: Vec<u8>) -> String {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.expect("a request's head"));
            }
            let json = format!(r#"{{"sid": "{RECORDING}", "status": "completed"}}"#).into_bytes();
            let is_json = head.windows(6).any(|part| part == b".json ");
            let (kind, body) = if is_json { ("application/json", &json) } else { ("audio/x-wav", &audio) };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.expect("a write");
            connection.write_all(body).await.expect("a write");
        }
    });
    url
}

#[tokio::test]
async fn audio_that_ends_with_the_connection_must_have_the_length_in_its_header() {
    let world = World::with(&[("TWILIO_API_URL", &closing_twilio(speech::WAV.to_vec()).await)]).await;
    assert_eq!(transcribe(&world, RECORDING).await.status, 200);
    assert!(world.assemblyai.uploads()[0].is_speech);
    let world = World::with(&[("TWILIO_API_URL", &closing_twilio(vec![7; 5_000]).await)]).await;
    assert_eq!(transcribe(&world, RECORDING).await.status, 200, "a file that states no length is accepted");

    for short in [&speech::WAV[..speech::WAV.len() / 2], &speech::WAV[..20], b"RIFF"] {
        let world = World::with(&[("TWILIO_API_URL", &closing_twilio(short.to_vec()).await)]).await;
        let detail = transcribe(&world, RECORDING).await.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with("at the audio, which is shorter than its header says"), "{detail}");
        assert_nothing_submitted(&world);
    }
}

#[tokio::test]
async fn a_response_without_audio_is_neither_transcribed_nor_played() {
    let nothing = || Body::empty();
    for (status, media_type, body) in [
        (200, "text/html", Body::from("<html>sign in</html>")),
        (200, "application/json", Body::from("null")),
        (200, "application/xml; charset=utf-8", Body::from("<TwilioResponse/>")),
        (200, "audio/x-wav", nothing()),
        (200, "audio/x-wav", Body::from_stream(stream::empty::<Result<Bytes, axum::Error>>())),
        (204, "audio/x-wav", nothing()),
    ] {
        let case = format!("{status} {media_type}");
        let body = Arc::new(Mutex::new(Some(body)));
        let twilio = twilio_with(move |_, _| {
            let body = body.lock().expect("an unpoisoned lock").take().unwrap_or_default();
            (StatusCode::from_u16(status).expect("a status"), [(header::CONTENT_TYPE, media_type)], body)
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        let detail = transcribe(&world, RECORDING).await.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with("at the audio, which is not an audio file"), "{case}: {detail}");
        assert_nothing_submitted(&world);
    }
    let page = || (StatusCode::OK, [(header::CONTENT_TYPE, "text/html")], "<script>");
    let twilio = twilio_with(move |_, _| page());
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    world.get(&format!("/recordings/{RECORDING}.wav")).await.problem(502, "vendor-bad-answer");
}

#[tokio::test]
async fn audio_that_stalls_at_twilio_times_out_and_the_error_names_twilio() {
    for first in [Some(half_of_the_speech()), None] {
        let first = Arc::new(first.map(|piece| piece.expect("half of the speech")));
        let twilio = twilio_with(move |_, _| {
            let first = stream::iter(Option::clone(&first).map(Ok::<Bytes, axum::Error>));
            speech_of(Some(speech::WAV.len()), Body::from_stream(first.chain(stream::pending())))
        });
        let deadlines = Deadlines { stall: SHORT, ..Default::default() };
        let world = World::with_deadlines(&[("TWILIO_API_URL", &twilio.await)], deadlines).await;
        let detail = transcribe(&world, RECORDING).await.problem(504, "vendor-timeout");
        assert_eq!(detail, "Twilio did not answer in time");
        assert_nothing_submitted(&world);
    }
}

#[tokio::test]
async fn an_upload_that_assemblyai_does_not_answer_times_out_and_the_error_names_assemblyai() {
    let deadlines = Deadlines { stall: SHORT, ..Default::default() };
    for (fault, audio) in [
        (Fault::Hang, Audio::Speech),
        (Fault::Hang, Audio::Generated { bytes: 20_000_000 }),
        (Fault::HangAfter, Audio::Speech),
    ] {
        let world = World::with_deadlines(&[], deadlines.clone()).await;
        let recording = world.twilio.add_recording(SeededRecording { audio, ..Default::default() });
        fail_step(&world.assemblyai.control, &Method::POST, "/v2/upload", &fault);
        let detail = transcribe(&world, &recording).await.problem(504, "vendor-timeout");
        assert_eq!(detail, "AssemblyAI did not answer in time");
        assert_eq!(world.assemblyai.control.requests_to(Method::POST, "/v2/transcript").len(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_assemblyai_rejects_is_reported_in_its_words_and_nothing_is_submitted() {
    let refuse = |status| Fault::Refuse { status, retry_after: (status == 429).then_some(7) };
    for (upstream, status, kind, detail) in [
        (
            429,
            429,
            "vendor-rate-limited",
            "AssemblyAI rate-limited callscribe: Too Many Requests; nothing was done, so try again later",
        ),
        (500, 502, "vendor-unavailable", "AssemblyAI failed: Internal Server Error"),
        (403, 502, "vendor-rejected", "AssemblyAI rejected the request: Forbidden"),
        (413, 413, "vendor-rejected", "AssemblyAI rejected the request: Payload Too Large"),
    ] {
        let world = World::new().await;
        let recording = world.twilio.add_recording(SeededRecording::default());
        fail_transfer(&world.assemblyai.control, &Method::POST, "/v2/upload", &refuse(upstream));
        let answer = transcribe(&world, &recording).await;
        assert_eq!(answer.problem(status, kind), detail);
        assert_eq!(answer.header("retry-after"), if upstream == 429 { "7" } else { "" });
        assert_nothing_submitted(&world);
        // Recording, its call, audio, upload. What the vendor has decided is not asked again.
        assert_happened(world.vendor_requests(), 2 + 2 * if upstream == 500 { TRIES } else { 1 });
    }
}

#[tokio::test]
async fn a_key_that_assemblyai_rejects_is_reported_with_the_setting_to_check() {
    let world = World::with(&[("ASSEMBLYAI_KEY", "not-the-key")]).await;
    let recording = world.twilio.add_recording(SeededRecording::default());
    let detail = transcribe(&world, &recording).await.problem(502, "vendor-credentials");
    assert_eq!(
        detail,
        "AssemblyAI refused callscribe's credentials: Authentication error, API token missing/invalid; check \
         ASSEMBLYAI_KEY"
    );
    assert_nothing_submitted(&world);
}

#[tokio::test]
async fn after_an_upload_with_a_lost_response_nothing_is_submitted() {
    let broke = "the connection to AssemblyAI broke";
    for (fault, tries, kind, detail) in [
        (Fault::DropAfter, TRIES, "vendor-unavailable", broke),
        (Fault::CutBody, TRIES, "vendor-unavailable", broke),
        (
            Fault::wrong_body("<html>"),
            TRIES,
            "vendor-bad-answer",
            "AssemblyAI sent a response that could not be read, at the top level",
        ),
    ] {
        let world = World::new().await;
        let recording = world.twilio.add_recording(SeededRecording::default());
        fail_transfer(&world.assemblyai.control, &Method::POST, "/v2/upload", &fault);
        assert_eq!(transcribe(&world, &recording).await.problem(502, kind), detail);
        assert_happened(world.assemblyai.uploads().len(), tries);
        assert_eq!(world.assemblyai.control.requests_to(Method::POST, "/v2/transcript").len(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_breaks_on_either_side_is_tried_again_at_once_and_submitted_once() {
    let refused = |status| Fault::Refuse { status, retry_after: None };
    let at_twilio = |world: &World, fault| world.twilio.control.fail_next(Method::GET, ".wav", fault);
    let at_assemblyai = |world: &World, fault| world.assemblyai.control.fail_next(Method::POST, "/v2/upload", fault);
    let world = World::new().await;
    for times in [1, TRIES - 1] {
        for fault in [refused(500), refused(503), Fault::DropAfter, Fault::CutBody, Fault::wrong_body("")] {
            let recording = world.twilio.add_recording(SeededRecording::default());
            (0..times).for_each(|_| at_assemblyai(&world, fault.clone()));
            let answer = transcribe(&world, &recording).await;
            assert_eq!(answer.status, 200, "{fault:?}, {times} times: {}", answer.text());
        }
        let recording = world.twilio.add_recording(SeededRecording::default());
        (0..times).for_each(|_| at_twilio(&world, Fault::CutBody));
        assert_eq!(transcribe(&world, &recording).await.status, 200, "{times} times");
    }
    let accepted = world.assemblyai.accepted_per_audio_url();
    assert_eq!((accepted.len(), accepted.values().all(|times| *times == 1)), (12, true));
    // The clock has not moved: no job has paused.
    assert_eq!(world.store.number("SELECT count(*) FROM transcripts WHERE transcript_id IS NOT NULL").await, 12);
}

#[tokio::test]
async fn credentials_are_not_sent_after_a_redirect_to_another_host() {
    for status in [301, 302, 303, 307, 308] {
        let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let keep = Arc::clone(&seen);
        let storage = Router::new().route(
            "/bucket/audio.wav",
            get(move |headers: HeaderMap| {
                keep.lock().expect("an unpoisoned lock").push(headers);
                async { whole_speech() }
            }),
        );
        let location = format!("{}/bucket/audio.wav?signed=yes", serve(storage).await);
        let at_twilio: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let keep = Arc::clone(&at_twilio);
        let twilio = twilio_with(move |headers, _| {
            keep.lock().expect("an unpoisoned lock").push(headers);
            redirect(status, &location)
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        let answer = transcribe(&world, RECORDING).await;
        assert_eq!(answer.status, 200, "{status}: {}", answer.text());
        assert!(world.assemblyai.uploads()[0].is_speech);

        let seen = seen.lock().expect("an unpoisoned lock");
        assert_happened(seen.len(), 1);
        for name in ["authorization", "cookie", "proxy-authorization", "referer"] {
            assert!(!seen[0].contains_key(name), "{name} was sent: {:?}", seen[0]);
        }
        assert!(at_twilio.lock().expect("an unpoisoned lock")[0].contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_redirect_within_twilio_is_followed_with_credentials() {
    let twilio = twilio_with(|headers, file| match headers.get("authorization") {
        None => redirect(403, "/"),
        Some(_) if file == "moved" => whole_speech(),
        Some(_) => redirect(302, "moved"),
    });
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    assert_eq!(transcribe(&world, RECORDING).await.status, 200);
    assert!(world.assemblyai.uploads()[0].is_speech);
}

#[tokio::test]
async fn a_completed_recording_whose_audio_is_not_there_yet_is_waited_for() {
    let is_ready = Arc::new(AtomicBool::new(false));
    let ready = Arc::clone(&is_ready);
    let twilio = twilio_with(move |_, _| match ready.load(Ordering::Relaxed) {
        true => whole_speech(),
        false => StatusCode::NOT_FOUND.into_response(),
    });
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    let answer = transcribe(&world, RECORDING).await;
    let expected = format!("recording {RECORDING} is completed, but Twilio does not have its audio ready");
    assert_eq!((answer.problem(409, "not-recorded"), answer.header("retry-after")), (expected, "3"));
    world.after(Duration::from_secs(60)).await;
    assert_nothing_submitted(&world);
    is_ready.store(true, Ordering::Relaxed);
    assert_eq!(transcribe(&world, RECORDING).await.status, 200);
    assert_eq!(world.transcript_requests().len(), 1);
    assert_eq!(world.store.number("SELECT count(*) FROM transcripts").await, 1);
}

#[tokio::test]
async fn a_redirect_loop_or_bad_location_ends_the_request() {
    for location in [
        "/2010-04-01/Accounts/AC/Recordings/again",
        "ftp://example.com/audio.wav",
        "http://",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:a9fe:a9fe]/",
    ] {
        let requests = Arc::new(Mutex::new(0));
        let count = Arc::clone(&requests);
        let twilio = twilio_with(move |_, _| {
            *count.lock().expect("an unpoisoned lock") += 1;
            redirect(302, location)
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        let detail = transcribe(&world, RECORDING).await.problem(502, "vendor-bad-answer");
        assert!(detail.starts_with("Twilio sent a response that could not be read"), "{detail}");
        assert_nothing_submitted(&world);
        let requests = *requests.lock().expect("an unpoisoned lock");
        assert_eq!(requests, if location.starts_with('/') { 4 } else { 1 }, "{location}");
    }
}

#[tokio::test]
async fn audio_without_an_end_is_given_up_and_neither_transcribed_nor_played_on() {
    let endless = |file: String| {
        let mut head = if file.ends_with(".mp3") { speech::MP3.to_vec() } else { speech::WAV[..44].to_vec() };
        if head.starts_with(b"RIFF") {
            head[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
            head[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        }
        let silence = stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(&[0; 1 << 16])));
        speech_of(None, Body::from_stream(stream::iter([Ok(head.into())]).chain(silence)))
    };
    let facts = json!({ "call_sid": format!("CA{}", &RECORDING[2..]), "duration": "1", "channels": 1 });
    let twilio = twilio_of(facts, move |_, file| endless(file)).await;
    let world = World::with(&[("TWILIO_API_URL", &twilio)]).await;
    for recording in [RECORDING.to_owned(), format!("{RECORDING}.mp3")] {
        let audio = format!("{twilio}/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{recording}");
        let answer = world.post_json("/transcribe", &json!({ "audio_url": audio })).await;
        let detail = answer.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with("at the audio, which is longer than its recording"), "{recording}: {detail}");
        assert_nothing_submitted(&world);

        let answer = world.http.get(format!("{}/recordings/{recording}", world.base)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let mut played = answer.bytes_stream();
        let mut bytes = 0;
        let end = loop {
            match played.next().await.expect("a broken connection, not an end") {
                Ok(piece) => bytes += piece.len(),
                Err(error) => break error,
            }
        };
        assert!(bytes < 2 << 20, "{recording}: {bytes} bytes, {end}");
    }
    // Its job ends, too. Both requests are for the same sound, so they share a transcript.
    for _ in 0..8 {
        world.after(Duration::from_secs(1_900)).await;
    }
    assert_eq!(world.store.texts("SELECT state FROM transcripts").await, ["failed"]);
    assert_nothing_submitted(&world);
}

#[tokio::test]
async fn audio_announced_as_larger_than_an_upload_is_refused_before_it_arrives() {
    let twilio = twilio_with(|headers: HeaderMap, _| {
        let mut answer =
            speech_of(Some(2_200_000_001), Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>()));
        if headers.contains_key("range") {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let whole = "bytes 0-2200000000/2200000001".parse().expect("a header");
            answer.headers_mut().insert(header::CONTENT_RANGE, whole);
        }
        answer
    });
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    let path = format!("/recordings/{RECORDING}.wav");
    for answer in [
        transcribe(&world, RECORDING).await,
        world.get(&path).await,
        world.get_with(&path, &[("range", "bytes=0-")]).await,
    ] {
        let detail = answer.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with("at the audio, which is longer than its recording"), "{detail}");
    }
    assert_nothing_submitted(&world);
}

#[tokio::test]
async fn a_redirect_to_a_name_is_followed_and_its_body_is_not_read() {
    let storage = Router::new().route("/audio.wav", get(async || whole_speech()));
    let port = serve(storage).await.rsplit_once(':').expect("a port").1.to_owned();
    let twilio = twilio_with(move |_, _| {
        let mut moved = redirect(302, &format!("http://localhost:{port}/audio.wav"));
        // Without an end.
        *moved.body_mut() =
            Body::from_stream(stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(&[0; 9]))));
        moved
    });
    let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
    assert_eq!(transcribe(&world, RECORDING).await.status, 200);
    assert!(world.assemblyai.uploads()[0].is_speech);
}
