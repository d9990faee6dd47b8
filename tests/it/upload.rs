//! `POST /transcribe` of a file: it streams through the program into AssemblyAI's upload. An incomplete file, or a form
//! without exactly one file, is not transcribed.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use callscribe::internals::Deadlines;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, World, assert_happened, listen, log};

const MULTIPART: &str = "multipart/form-data; boundary=limit";

/// The end of a form.
const END: &[u8] = b"--limit--\r\n";

/// A timeout that loopback meets and tests can wait out.
const SHORT: Duration = Duration::from_millis(500);

/// A text field of a form.
fn field(name: &str, text: &str) -> Vec<u8> {
    part(&format!("Content-Disposition: form-data; name=\"{name}\""), text.as_bytes())
}

/// A file field of a form.
fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    let headers =
        format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: audio/x-wav");
    part(&headers, bytes)
}

fn part(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"--limit\r\n", headers.as_bytes(), b"\r\n\r\n", body, b"\r\n"].concat()
}

/// A whole form.
fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat(), END].concat()
}

async fn send(world: &World, body: impl Into<Body>) -> Answer {
    send_with(world, body, &[("content-type", MULTIPART)]).await
}

async fn send_with(world: &World, body: impl Into<Body>, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.http.post(format!("{}/transcribe", world.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body).send().await.expect("an answer")).await
}

/// Sends a request head with `Content-Length: length`, and these bytes.
async fn begin(world: &World, length: u64, body: &[u8]) -> TcpStream {
    let address = world.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /transcribe HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {MULTIPART}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.expect("a write");
    stream
}

/// Reads until the connection closes.
async fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn assert_nothing_submitted(world: &World, case: &str) {
    assert_eq!(world.transcript_requests().len(), 0, "{case}");
    assert_eq!(world.store.number("SELECT COUNT(*) FROM transcripts").await, 0, "{case}");
}

#[tokio::test]
async fn a_file_reaches_assemblyai_byte_for_byte_and_is_transcribed_with_the_fields_around_it() {
    let world = World::new().await;
    let body = form(&[
        field("keyterms", "Ahoy Street, Friday"),
        field("speaker_labels", "true"),
        file("call.wav", speech::WAV),
        field("keyterms", "Monday"),
        field("language_code", ""),
    ]);
    let answer = send(&world, body).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"), "{}", answer.text());
    let uploads = world.assemblyai.uploads();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].sha256, hex(&Sha256::digest(speech::WAV)));
    let sent = &world.transcript_requests()[0];
    assert_eq!(sent["audio_url"], uploads[0].upload_url);
    assert_eq!(sent["keyterms_prompt"], json!(["Ahoy Street", "Friday", "Monday"]));
    assert_eq!(sent["speaker_labels"], true);
    assert_eq!((sent.get("file"), sent.get("language_code")), (None, None));
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let text = world.get(&format!("/transcript/{id}?wait=60&format=text")).await;
    assert_eq!(text.text().trim_end(), speech::text());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn bytes_that_resemble_the_boundary_are_passed_on_unchanged() {
    let world = World::new().await;
    let tricky = [b"\r\n--limi\r\n--limi\r".as_slice(), &[0xff, 0, b'\r'], b"\n-\r\n--limit", b"\r\n--LIMIT--\r\n"];
    for (nth, bytes) in [tricky[0], tricky[1], &tricky[3].repeat(40_000), b"\r\n", b"\n"].into_iter().enumerate() {
        let answer = send(&world, form(&[file("a", bytes)])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.assemblyai.uploads()[nth].sha256, hex(&Sha256::digest(bytes)));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_200_mb_streams_through_in_little_memory_without_touching_the_disk() {
    use crate::support::client;
    use crate::support::measured::Measured;

    const PIECE: usize = 1 << 20;
    const PIECES: usize = 200;

    let measured = Measured::start().await;
    let piece = |nth: usize| Bytes::from((0..PIECE).map(|at| (at * 31 + at / 256 + nth) as u8).collect::<Vec<_>>());
    let transcribe = async |pieces: usize| {
        let empty = form(&[file("long.wav", b"")]);
        let (head, end) = empty.split_at(empty.len() - END.len() - 2);
        let (head, end) = (Bytes::copy_from_slice(head), Bytes::copy_from_slice(end));
        let body = (0..pieces + 2).map(move |nth| match nth {
            0 => Ok::<_, axum::Error>(head.clone()),
            nth if nth <= pieces => Ok(piece(nth)),
            _ => Ok(end.clone()),
        });
        let request = client().post(&measured.url).header("content-type", MULTIPART);
        let answer = request.body(Body::wrap_stream(stream::iter(body))).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    };

    transcribe(1).await;
    let before = measured.usage();
    transcribe(PIECES).await;

    let mut original = Sha256::new();
    (1..=PIECES).for_each(|nth| original.update(piece(nth)));
    let upload = measured.assemblyai.uploads().pop().expect("an upload");
    assert_eq!((upload.bytes, upload.sha256), ((PIECE * PIECES) as u64, hex(&original.finalize())));
    measured.assert_little_more_than(&before);
}

#[tokio::test]
async fn the_same_file_with_the_same_fields_has_one_transcript_under_any_name() {
    let world = World::new().await;
    let id = async |body: Vec<u8>| {
        let answer = send(&world, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    };
    let speech = || file("call.wav", speech::WAV);
    let first = id(form(&[speech(), field("keyterms", "a")])).await;
    assert_eq!(id(form(&[field("keyterms", "a"), file("other.wav", speech::WAV)])).await, first);
    assert_eq!(world.transcript_requests().len(), 1);
    let other = id(form(&[speech(), field("keyterms", "b")])).await;
    let again = id(form(&[speech(), field("keyterms", "a"), field("again", "true")])).await;
    let different = id(form(&[file("call.wav", &speech::WAV[..10_000]), field("keyterms", "a")])).await;
    assert_eq!(world.transcript_requests().len(), 4);
    let ids = std::collections::HashSet::from([first, other, again, different]);
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn a_file_that_assemblyai_lost_is_uploaded_again_when_it_is_sent_again() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("Download error, unable to download the file");
    let body = || form(&[file("call.wav", speech::WAV)]);
    let first = send(&world, body()).await.json();
    world.after(Duration::from_secs(60)).await;
    let lost = world.get(&format!("/transcript/{}?format=text", first["id"].as_str().expect("an id"))).await;
    lost.problem(422, "transcript-failed");
    let second = send(&world, body()).await.json();
    assert_ne!(second["id"], first["id"]);
    let uploads = world.assemblyai.uploads();
    assert_eq!(world.transcript_requests()[1]["audio_url"], uploads[1].upload_url);
}

#[tokio::test]
async fn the_transcript_of_an_uploaded_file_is_finished_without_a_second_upload() {
    for fault in [Fault::DropAfter, Fault::Refuse { status: 503, retry_after: None }, Fault::Hang] {
        let deadlines = Deadlines { answer: Duration::from_secs(1), ..Deadlines::default() };
        let world = World::with_deadlines(&[], deadlines).await;
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault.clone());
        let answer = send(&world, form(&[file("call.wav", speech::WAV)])).await;
        // A transcript whose response was lost is found at once if AssemblyAI's list has it in time.
        assert!(answer.status.is_server_error() || fault == Fault::DropAfter, "{fault:?}: {}", answer.text());
        let audio = world.assemblyai.uploads()[0].upload_url.clone();
        assert_eq!(
            world.store.texts("SELECT audio_url FROM transcripts").await,
            *std::slice::from_ref(&audio),
            "{fault:?}"
        );
        for _ in 0..4 {
            world.after(Duration::from_secs(60)).await;
        }
        assert_eq!(world.store.texts("SELECT state FROM transcripts").await, ["completed"], "{fault:?}");
        assert_eq!(world.assemblyai.accepted_per_audio_url().get(&audio), Some(&1), "{fault:?}");
        assert_eq!(world.assemblyai.uploads().len(), 1);
    }
}

#[tokio::test]
async fn a_truncated_file_is_not_transcribed() {
    let world = World::new().await;
    let whole = form(&[field("keyterms", "a"), file("call.wav", speech::WAV)]);
    let assemblyai = &world.assemblyai.control;
    for (nth, cut) in
        [20, 100, 300, whole.len() / 2, whole.len() - END.len() - 1, whole.len() - 5].into_iter().enumerate()
    {
        let mut stream = begin(&world, whole.len() as u64, &whole[..cut]).await;
        if cut == whole.len() / 2 {
            // The upload has begun.
            assemblyai.until(|| (!assemblyai.requests_to(Method::POST, "/v2/upload").is_empty()).then_some(())).await;
        }
        stream.shutdown().await.expect("an open connection");
        let answer = read(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{nth}: {answer}");
        assert_nothing_submitted(&world, &cut.to_string()).await;
    }
    // Complete as HTTP, but not as a form. A file is complete only with the boundary after it.
    for cut in [20, 100, 300, whole.len() / 2, whole.len() - END.len() - 1, whole.len() - 4, whole.len() - 3] {
        send(&world, whole[..cut].to_vec()).await.problem(400, "bad-request");
        assert_nothing_submitted(&world, &cut.to_string()).await;
    }
    assert!(world.assemblyai.uploads().iter().all(|upload| upload.bytes == speech::WAV.len() as u64));
    world.settle().await;
    world.app.stop().await;
    assert_eq!(assemblyai.requests_to(Method::POST, "/v2/transcript").len(), 0);
}

#[tokio::test]
async fn a_client_that_stops_sending_gets_408() {
    let deadlines = Deadlines { stall: SHORT, ..Default::default() };
    let world = World::with_deadlines(&[], deadlines).await;
    let whole = form(&[field("keyterms", "a"), file("call.wav", speech::WAV)]);
    for sent in [0, 50, 300, whole.len() / 2, whole.len() - 5] {
        let answer = read(begin(&world, whole.len() as u64, &whole[..sent]).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{sent}: {answer}");
        assert!(answer.contains("urn:callscribe:problem:too-slow"), "{sent}: {answer}");
        assert_nothing_submitted(&world, &sent.to_string()).await;
    }
}

#[tokio::test]
async fn a_form_without_exactly_one_file_is_not_transcribed() {
    let world = World::new().await;
    let speech = || file("call.wav", speech::WAV);
    let address = || field("recording_url", "https://example.com/a.wav");
    // Faults before the file: nothing is passed on.
    for (parts, words) in [
        (vec![], "expected exactly one of"),
        (vec![field("keyterms", "a")], "expected exactly one of"),
        (vec![file("", b"")], "expected exactly one of"),
        (vec![file("call.wav", b"")], "the file is empty"),
        (vec![address(), speech()], "expected exactly one of"),
        (vec![field("recording_sid", "RE1"), speech()], "RE"),
        (vec![field("again", "7"), speech()], "again"),
        (vec![field("file", "not a file")], "expected a file, with a file name"),
        (vec![part("Content-Disposition: form-data; name=audio; filename=a.wav", b"abc")], "named file"),
        (vec![part("Content-Disposition: form-data", b"abc")], "a name for every field"),
        (vec![part("Content-Type: text/plain", b"abc")], "a name for every field"),
        (vec![part("Content-Disposition: form-data; name=prompt", b"\xff\xfe"), speech()], "not UTF-8"),
        (vec![part("no header", b"abc"), speech()], "headers of a field"),
    ] {
        let detail = send(&world, form(&parts)).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{words}: {detail}");
    }
    let seven = "one two three four five six seven";
    send(&world, form(&[field("keyterms", seven), speech()])).await.problem(400, "bad-keyterms");
    assert_eq!(world.vendor_requests(), 0);

    // Faults after a complete file.
    for (parts, words) in [
        (vec![speech(), speech()], "expected one file"),
        (vec![speech(), address()], "expected exactly one of"),
        (vec![speech(), file("call.wav", b"")], "the file is empty"),
        (vec![speech(), field("file", "not a file")], "expected a file, with a file name"),
    ] {
        let detail = send(&world, form(&parts)).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{words}: {detail}");
    }
    send(&world, form(&[speech(), field("keyterms", seven)])).await.problem(400, "bad-keyterms");
    assert_nothing_submitted(&world, "after a file").await;

    // A file input without a chosen file counts as absent.
    assert_eq!(send(&world, form(&[address(), file("", b"")])).await.status, 200);
    assert_eq!(world.transcript_requests()[0]["audio_url"], "https://example.com/a.wav");
}

#[tokio::test]
async fn a_client_refused_in_the_middle_of_a_file_may_send_the_rest_and_reads_the_reason() {
    let world = World::new().await;
    let seven = "one two three four five six seven";
    let whole = form(&[field("keyterms", seven), file("long.wav", &vec![7; 5_000_000])]);
    // Not closed for writing: that would also mean that the client may be gone.
    let answer = read(begin(&world, whole.len() as u64, &whole).await).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("problem:bad-keyterms"), "{answer}");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_response_before_the_end_of_the_file_is_not_trusted() {
    let early = || async { axum::Json(json!({ "upload_url": "https://example.com/early" })) };
    let routes = Router::new().route("/v2/upload", post(early));
    let listener = listen().await;
    let assemblyai = format!("http://{}", listener.local_addr().expect("a bound listener"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let world = World::with(&[("ASSEMBLYAI_API_URL", &assemblyai)]).await;
    let answer = send(&world, form(&[file("long.wav", &vec![7; 20_000_000])])).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_nothing_submitted(&world, &answer.text()).await;
}

#[tokio::test]
async fn a_form_without_a_boundary_is_refused() {
    let world = World::new().await;
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; charset=utf-8",
        "Multipart/Form-Data; boundary=\"",
    ] {
        let body = form(&[file("call.wav", speech::WAV)]);
        let detail = send_with(&world, body, &[("content-type", content_type)]).await.problem(400, "bad-request");
        assert!(detail.contains("expected a boundary"), "{content_type}: {detail}");
    }
    let body = form(&[file("call.wav", speech::WAV)]);
    let other = [("content-type", "multipart/form-data; boundary=other")];
    let detail = send_with(&world, body, &other).await.problem(400, "bad-request");
    assert!(detail.contains("the form is incomplete"), "{detail}");
    let body = form(&[file("call.wav", speech::WAV)]);
    send_with(&world, body, &[("content-type", "multipart/mixed; boundary=limit")])
        .await
        .problem(415, "unsupported-media-type");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_and_not_transcribed() {
    let world = World::new().await;
    // A Content-Length above the limit is refused before the body.
    let answer = read(begin(&world, 2_300_000_000, b"").await).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("2200000000 bytes"), "{answer}");

    let long = "a".repeat((1 << 20) + 1);
    let speech = || file("call.wav", speech::WAV);
    for (case, body) in [
        ("a field", form(&[field("prompt", &long), speech()])),
        ("a field after the file", form(&[speech(), field("prompt", &long)])),
        ("many fields", form(&[field("prompt", &long[..20_000]).repeat(60), speech()])),
        ("a field's name", form(&[field(&long, "a"), speech()])),
        ("a file's name", form(&[file(&long, speech::WAV)])),
        ("headers without an end", [b"--limit\r\n".as_slice(), long.as_bytes()].concat()),
        ("what comes before the form", [long.as_bytes(), b"\r\n", &form(&[speech()])].concat()),
    ] {
        let detail = send(&world, body).await.problem(413, "too-large");
        assert_eq!(detail, "the body is larger than 1048576 bytes", "{case}");
        assert_nothing_submitted(&world, case).await;
    }
    let many = format!("{}{}", "X-A: b\r\n".repeat(200), "Content-Disposition: form-data; name=file; filename=a");
    send(&world, form(&[part(&many, b"abc")])).await.problem(400, "bad-request");
    assert_nothing_submitted(&world, "many headers").await;
}

#[tokio::test]
async fn a_file_may_have_its_name_in_the_extended_form_alone() {
    let world = World::new().await;
    for (nth, header) in [
        "Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''caf%C3%A9.wav",
        "Content-Disposition: form-data; FILENAME* = utf-8'en'call.wav; name=file",
        "Content-Disposition: form-data; name=\"file\"; other=\"a;\\\"b\"; filename*=UTF-8''call.wav",
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = format!("audio {nth}");
        let answer = send(&world, form(&[part(header, bytes.as_bytes())])).await;
        assert_eq!(answer.status, 200, "{header}: {}", answer.text());
        assert_eq!(world.assemblyai.uploads()[nth].sha256, hex(&Sha256::digest(bytes)));
    }
    // A part without a name is no file, whatever its other parameters have in them; an empty one was not chosen.
    for (header, body, words) in [
        ("Content-Disposition: form-data; name=file; other=\"; filename*=UTF-8''a\"", "a", "with a file name"),
        ("Content-Disposition: form-data; name=file; filename*=UTF-8''", "", "expected exactly one of"),
    ] {
        let detail = send(&world, form(&[part(header, body.as_bytes())])).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{detail}");
    }
}

#[tokio::test]
async fn a_files_name_has_no_effect_on_the_order_and_is_not_logged() {
    let world = World::new().await;
    let names = [
        "../../../../etc/passwd-hostile",
        "C:\\hostile\\..\\call.wav",
        "hostile\\\"; name=\\\"keyterms",
        "hostile\u{202e}vaw.exe ☎ <script>",
        "hostile%00%0d%0aX-Injected: yes",
        "hostile`$(touch hostile)`",
        "; filename*=utf-8''hostile",
        &"hostile".repeat(2_000),
    ];
    for (nth, name) in names.into_iter().enumerate() {
        let bytes = format!("audio {nth}");
        let answer = send(&world, form(&[file(name, bytes.as_bytes())])).await;
        assert_eq!(answer.status, 200, "{name:.50}: {}", answer.text());
        let sent = world.transcript_requests().pop().expect("a transcript request");
        assert_eq!(sent.get("keyterms"), None);
        assert!(!sent.to_string().contains("hostile") && !answer.text().contains("hostile"), "{sent}");
        assert_eq!(world.assemblyai.uploads()[nth].sha256, hex(&Sha256::digest(bytes)));
    }
    assert_eq!(log::lines_with("hostile"), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_that_assemblyai_rejects_is_an_error_and_nothing_is_submitted() {
    for (upstream, status, kind) in
        [(413, 413, "vendor-rejected"), (429, 429, "vendor-rate-limited"), (500, 502, "vendor-unavailable")]
    {
        let world = World::new().await;
        let fault = Fault::Refuse { status: upstream, retry_after: None };
        world.assemblyai.control.fail_next(Method::POST, "/v2/upload", fault);
        send(&world, form(&[file("call.wav", speech::WAV)])).await.problem(status, kind);
        assert_nothing_submitted(&world, kind).await;
    }
    let world = World::new().await;
    world.assemblyai.control.fail_next(Method::POST, "/v2/upload", Fault::wrong_body("{}"));
    send(&world, form(&[file("call.wav", speech::WAV)])).await.problem(502, "vendor-bad-answer");
    assert_nothing_submitted(&world, "{}").await;
}

#[tokio::test]
async fn a_stop_ends_a_running_upload_and_nothing_is_submitted() {
    let world = World::new().await;
    let whole = form(&[file("call.wav", speech::WAV)]);
    let stream = begin(&world, whole.len() as u64, &whole[..whole.len() / 2]).await;
    let assemblyai = &world.assemblyai.control;
    assemblyai.until(|| (!assemblyai.requests_to(Method::POST, "/v2/upload").is_empty()).then_some(())).await;
    let (_, answer) = futures_util::future::join(world.app.stop(), read(stream)).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("problem:stopping"), "{answer}");
    assert!(assemblyai.requests_to(Method::POST, "/v2/transcript").is_empty());
}

#[tokio::test]
async fn a_page_of_another_site_cannot_send_a_file() {
    let world = World::new().await;
    let own = world.base.as_str();
    for (headers, status) in [
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site"), ("origin", own)], 403),
        (vec![("sec-fetch-site", "none")], 403),
        (vec![("x-forwarded-for", "192.0.2.1")], 403),
        (vec![("origin", own)], 200),
        (vec![("sec-fetch-site", "same-origin"), ("origin", own)], 200),
    ] {
        let headers = [vec![("content-type", MULTIPART)], headers].concat();
        let before = world.vendor_requests();
        let answer = send_with(&world, form(&[file("call.wav", speech::WAV)]), &headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert_eq!(world.vendor_requests() > before, status == 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_browser_sends_a_file_from_the_page_and_is_sent_to_the_transcripts_page() {
    let world = World::new().await;
    let browser = [("accept", "text/html"), ("content-type", MULTIPART), ("origin", world.base.as_str())];
    let page = world.get_with("/transcribe", &browser[..1]).await.text();
    let (_, of_file) = page.split_once("enctype=\"multipart/form-data\"").expect("a form for files");
    assert!(
        of_file.contains("<input name=\"file\" type=\"file\" accept=\"audio/*,video/*\" multiple required"),
        "{of_file}"
    );
    assert!(of_file.contains("name=\"keyterms\""), "{of_file}");
    let sent = send_with(&world, form(&[field("keyterms", "Friday"), file("call.wav", speech::WAV)]), &browser).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    world.settle().await;
    let there = world.get_with(sent.header("location"), &browser[..1]).await;
    let page = world.get_with(there.header("location"), &browser[..1]).await.text();
    assert!(page.contains(" before Friday.</span>") && !page.contains("<audio"), "{page}");
    assert_happened(world.transcript_requests().len(), 1);

    let wrong = send_with(&world, form(&[file("call.wav", b"")]), &browser).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("content-type")), (400, "text/html; charset=utf-8"));
    assert!(wrong.text().contains("the file is empty"));
}
