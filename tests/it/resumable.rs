//! `/uploads`: files that are sent in pieces. What was received outlives broken connections and the program; nothing is ordered
//! or paid twice; and nothing of a file stays that is sent on, canceled or left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callscribe::sandbox::speech;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, World, assert_happened, log, refuse};

const PIECE: (&str, &str) = ("content-type", "application/offset+octet-stream");
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn send(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = world.http.request(method, format!("{}{path}", world.base)).header(TUS.0, TUS.1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_vec()).send().await.expect("an answer")).await
}

/// Begins a file of this name and length. Returns its address.
async fn begin(world: &World, name: &str, length: usize, form: &str) -> String {
    let (length, name) = (length.to_string(), format!("filename {}", STANDARD.encode(name)));
    let headers = [("upload-length", &*length), ("upload-metadata", &*name), FORM];
    let begun = send(world, Method::POST, "/uploads", &headers, form.as_bytes()).await;
    assert_eq!((begun.status.as_u16(), begun.header("upload-offset")), (201, "0"), "{}", begun.text());
    assert_eq!(begun.header("tus-resumable"), "1.0.0");
    begun.header("location").to_owned()
}

/// Sends a piece of a file.
async fn append(world: &World, path: &str, offset: usize, piece: &[u8]) -> Answer {
    send(world, Method::PATCH, path, &[PIECE, ("upload-offset", &offset.to_string())], piece).await
}

/// Sends all of a file that has begun.
async fn send_all(world: &World, path: &str, bytes: &[u8]) {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let sent = append(world, path, 0, first).await;
    assert_eq!((sent.status.as_u16(), sent.header("upload-offset")), (204, &*first.len().to_string()));
    assert_eq!(append(world, path, first.len(), rest).await.status, 204);
}

async fn state(world: &World, path: &str) -> Value {
    let answer = world.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn items(world: &World) -> Vec<Value> {
    world.get("/items").await.json()["items"].as_array().expect("a list").clone()
}

/// The files with what was received.
fn held(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.store.uploads()).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "audio")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_file_in_pieces_reaches_assemblyai_as_one_and_nothing_of_it_stays() {
    let world = World::new().await;
    let path = begin(&world, "Visit “3”.wav", speech::WAV.len(), "title=Rounds&tag=Spring&keyterms=Ahoy,Friday").await;
    let mode = |path: &str| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let file = held(&world)[0].to_str().expect("UTF-8").to_owned();
    assert_eq!((mode(&world.store.uploads()), mode(&file)), (0o700, 0o600));
    assert!(!file.contains("Visit"));
    send_all(&world, &path, speech::WAV).await;
    assert_eq!(state(&world, &path).await["state"], "sending");
    assert_eq!(world.vendor_requests(), 0);
    world.settle().await;

    let ordered = state(&world, &path).await;
    assert_eq!((&ordered["state"], &ordered["was_there"]), (&json!("ordered"), &json!(false)), "{ordered}");
    let upload = world.assemblyai.uploads().pop().expect("an upload");
    assert_eq!(upload.sha256, hex(&Sha256::digest(speech::WAV)));
    assert_eq!(world.transcript_requests()[0]["keyterms_prompt"], json!(["Ahoy", "Friday"]));
    assert_eq!(state(&world, &format!("{path}?wait=30")).await, ordered);
    world.get(&format!("{path}?wait=x")).await.problem(400, "bad-request");
    let item = world.get(ordered["item"].as_str().expect("an address")).await.json();
    assert_eq!(
        [&item["title"], &item["file_name"], &item["tag"], &item["progress"]],
        [&json!("Rounds"), &json!("Visit “3”.wav"), &json!("Spring"), &json!("done")]
    );
    assert_eq!(held(&world), Vec::<PathBuf>::new());
    for entry in fs::read_dir(world.store.uploads()).expect("a folder") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a note");
        assert!(!text.contains("Visit") && !text.contains("Rounds") && !text.contains("Friday"), "{text}");
    }
    assert_eq!(log::lines_with("Visit “3”"), Vec::<String>::new());
    // It is over: nothing more can be sent, and nothing is ordered again.
    append(&world, &path, speech::WAV.len(), b"").await.problem(404, "no-such-upload");
    world.settle().await;
    assert_happened(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn a_broken_connection_and_a_restart_lose_nothing_that_was_received() {
    let world = World::new().await;
    let path = begin(&world, "talk.wav", speech::WAV.len(), "").await;
    let half = speech::WAV.len() / 2;
    let address = world.base.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {address}\r\nTus-Resumable: 1.0.0\r\nContent-Type: {}\r\nUpload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
        PIECE.1,
        speech::WAV.len()
    );
    stream.write_all(&[head.as_bytes(), &speech::WAV[..half]].concat()).await.expect("a write");
    stream.shutdown().await.expect("an open connection");
    // Once the server has noticed, it answers or closes.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the end");

    let url = format!("{}{path}", world.base);
    let head = Answer::of(world.http.head(&url).header(TUS.0, TUS.1).send().await.expect("an answer")).await;
    assert_eq!((head.header("upload-offset"), head.header("cache-control")), (&*half.to_string(), "no-store"));
    assert_eq!(head.header("upload-length"), speech::WAV.len().to_string());
    let other = append(&world, &path, 0, speech::WAV).await;
    assert!(other.problem(409, "other-offset").contains(&format!("byte {half}")));

    // Another start of the program has it, too.
    let (again, url) = world.another_app_with_url(&[]).await;
    let rest = world
        .http
        .patch(format!("{url}{path}"))
        .header(PIECE.0, PIECE.1)
        .header(TUS.0, TUS.1)
        .header("upload-offset", half);
    let rest = Answer::of(rest.body(speech::WAV[half..].to_vec()).send().await.expect("an answer")).await;
    assert_eq!(rest.status, 204, "{}", rest.text());
    again.stop().await;
    world.settle().await;
    assert_eq!(world.assemblyai.uploads().pop().expect("an upload").sha256, hex(&Sha256::digest(speech::WAV)));
    assert_eq!(items(&world).await[0]["title"], "talk");
}

#[tokio::test]
async fn a_file_that_is_here_already_is_neither_paid_nor_listed_again() {
    let world = World::new().await;
    let first = begin(&world, "talk.wav", speech::WAV.len(), "").await;
    send_all(&world, &first, speech::WAV).await;
    world.settle().await;
    let item = state(&world, &first).await["item"].clone();
    for (name, form, title) in [
        // Its title is that of its file, so that somebody may give it one; then it has one of its own.
        ("copy.wav", "title=Rounds&tag=Spring", "Rounds"),
        ("copy.wav", "title=Other&tag=Fall", "Rounds"),
        ("talk.wav", "", "Rounds"),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let again = begin(&world, name, speech::WAV.len(), form).await;
        send_all(&world, &again, speech::WAV).await;
        world.settle().await;
        let again = state(&world, &again).await;
        assert_eq!([&again["was_there"], &again["item"], &again["title"]], [&json!(true), &item, &json!(title)]);
    }
    assert_happened(world.transcript_requests().len(), 1);
    let listed = items(&world).await;
    assert_eq!((listed.len(), &listed[0]["tag"]), (1, &json!("Spring")));
}

#[tokio::test]
async fn another_transcript_of_the_same_file_is_ordered_once_for_each_time_that_it_is_asked_for() {
    let world = World::new().await;
    for orders in 1..=2 {
        let path = begin(&world, "talk.wav", speech::WAV.len(), "again=true").await;
        send_all(&world, &path, speech::WAV).await;
        world.settle().await;
        assert_eq!(state(&world, &path).await["state"], "ordered");
        // However often a step on the way was begun again.
        assert_eq!(world.store.number("SELECT count(*) FROM transcripts").await, orders);
    }
}

#[tokio::test]
async fn a_vendor_that_fails_is_tried_again_and_one_that_refuses_may_be_when_somebody_asks() {
    let world = World::new().await;
    let path = begin(&world, "talk.wav", speech::WAV.len(), "").await;
    world.assemblyai.control.fail_next(Method::POST, "/v2/upload", refuse(500));
    send_all(&world, &path, speech::WAV).await;
    world.settle().await;
    let waiting = state(&world, &path).await;
    assert_eq!((&waiting["state"], waiting["reason"].is_string()), (&json!("sending"), true), "{waiting}");
    world.after(Duration::from_secs(60)).await;
    assert_eq!(state(&world, &path).await["state"], "ordered");

    let path = begin(&world, "other.wav", speech::WAV.len() - 2, "").await;
    world.assemblyai.control.fail_next(Method::POST, "/v2/upload", refuse(422));
    send_all(&world, &path, &speech::WAV[2..]).await;
    world.settle().await;
    let failed = state(&world, &path).await;
    assert_eq!((&failed["state"], failed["reason"].is_string()), (&json!("failed"), true), "{failed}");
    assert_eq!(held(&world).len(), 1, "it need not be sent again");
    // An empty piece at the end.
    assert_eq!(append(&world, &path, speech::WAV.len() - 2, b"").await.status, 204);
    world.settle().await;
    assert_eq!(state(&world, &path).await["state"], "ordered");
    assert_eq!(items(&world).await.len(), 2);
}

#[tokio::test]
async fn a_canceled_file_goes_at_once_and_one_that_nobody_finishes_after_two_days() {
    let world = World::new().await;
    let canceled = begin(&world, "a.wav", 10, "").await;
    assert_eq!(append(&world, &canceled, 0, b"12345").await.status, 204);
    assert_eq!(send(&world, Method::DELETE, &canceled, &[], b"").await.status, 204);
    assert_eq!(held(&world), Vec::<PathBuf>::new());
    world.get(&canceled).await.problem(404, "no-such-upload");
    append(&world, &canceled, 5, b"67890").await.problem(404, "no-such-upload");
    send(&world, Method::DELETE, &canceled, &[], b"").await.problem(404, "no-such-upload");

    let complete = begin(&world, "b.wav", 5, "").await;
    assert_eq!(append(&world, &complete, 0, b"12345").await.status, 204);
    assert_eq!(send(&world, Method::DELETE, &complete, &[], b"").await.status, 204);
    world.settle().await;
    assert_eq!(world.vendor_requests(), 0);

    // While others begin, nothing of a file is taken for old.
    let begun = (0..8).map(|_| begin(&world, "b.wav", 10, ""));
    for path in futures_util::future::join_all(begun).await {
        assert_eq!(send(&world, Method::DELETE, &path, &[], b"").await.status, 204);
    }
    let left = begin(&world, "c.wav", 10, "").await;
    assert_eq!(append(&world, &left, 0, b"12345").await.status, 204);
    world.clock.advance(Duration::from_hours(47));
    begin(&world, "d.wav", 10, "").await;
    assert_eq!(state(&world, &left).await["offset"], 5);
    world.clock.advance(Duration::from_hours(2));
    begin(&world, "e.wav", 10, "").await;
    world.get(&left).await.problem(404, "no-such-upload");
    assert_eq!(held(&world).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_any_of_it_is_sent() {
    let world = World::new().await;
    for (length, metadata, form, status, kind) in [
        ("0", "", "", 400, "bad-request"),
        ("x", "", "", 400, "bad-request"),
        ("-1", "", "", 400, "bad-request"),
        ("2200000001", "", "", 413, "too-large"),
        ("10", "filename", "", 201, ""),
        ("10", "filename !", "", 400, "bad-request"),
        ("10", "", "title=%00", 400, "bad-request"),
        ("10", "", "recording_sid=RE1", 400, "bad-request"),
        ("10", "", "recording_url=https://example.com/a.wav", 400, "bad-request"),
        ("10", "", "keyterms=one two three four five six seven", 400, "bad-keyterms"),
        ("10", "keyterms b25lIHR3byB0aHJlZSBmb3VyIGZpdmUgc2l4IHNldmVu", "", 400, "bad-keyterms"),
    ] {
        let headers = [("upload-length", length), ("upload-metadata", metadata), FORM];
        let answer = send(&world, Method::POST, "/uploads", &headers, form.as_bytes()).await;
        match status {
            201 => assert_eq!(answer.status, 201, "{length} {metadata} {form}: {}", answer.text()),
            status => drop(answer.problem(status, kind)),
        }
    }
    let path = begin(&world, "a.wav", 5, "").await;
    send(&world, Method::PATCH, &path, &[("upload-offset", "0")], b"12345")
        .await
        .problem(415, "unsupported-media-type");
    send(&world, Method::PATCH, &path, &[PIECE], b"12345").await.problem(400, "bad-request");
    append(&world, &path, 0, b"1234567").await.problem(413, "too-large");
    world.get("/uploads/x").await.problem(400, "bad-request");
    world.get(&format!("/uploads/{}", "0".repeat(32))).await.problem(404, "no-such-upload");
    assert_eq!(world.vendor_requests(), 0);
    let described = send(&world, Method::OPTIONS, "/uploads", &[], b"").await;
    assert_eq!(
        (described.status.as_u16(), described.header("tus-extension")),
        (204, "creation,termination,expiration")
    );
}

#[tokio::test]
async fn a_file_of_another_instance_waits_for_that_one() {
    let world = World::new().await;
    let path = begin(&world, "talk.wav", speech::WAV.len(), "").await;
    send_all(&world, &path, speech::WAV).await;
    let elsewhere = format!("{}-elsewhere", world.store.uploads());
    let (other, url) = world.another_app_with_url(&[("UPLOADS_FOLDER", &elsewhere)]).await;
    let known = Answer::of(world.http.get(format!("{url}{path}")).send().await.expect("an answer")).await;
    known.problem(404, "no-such-upload");
    other.run_due_jobs().await;
    assert_eq!(world.vendor_requests(), 0);
    other.stop().await;
    fs::remove_dir_all(elsewhere).expect("its folder");
    world.after(Duration::from_secs(10)).await;
    assert_eq!(state(&world, &path).await["state"], "ordered");
}

#[tokio::test]
async fn a_form_of_a_browser_without_scripts_may_have_several_files() {
    let world = World::new().await;
    let part = |name: &str, bytes: &[u8]| {
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    let title = b"--limit\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nBoth\r\n".to_vec();
    let body = [title, part("a.wav", speech::WAV), part("b.wav", b"no sound"), b"--limit--\r\n".to_vec()].concat();
    let multipart = ("content-type", "multipart/form-data; boundary=limit");
    let sent = send(&world, Method::POST, "/transcribe", &[("accept", "text/html"), multipart], &body).await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, "/items?kind=upload"), "{}", sent.text());
    let mut titles: Vec<String> = items(&world).await.iter().map(|item| item["title"].to_string()).collect();
    titles.sort();
    assert_eq!(titles, ["\"a\"", "\"b\""], "one title cannot be that of both");
    send(&world, Method::POST, "/transcribe", &[multipart], &body).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_request_of_another_version_of_the_protocol_does_nothing() {
    let world = World::new().await;
    let path = begin(&world, "talk.wav", speech::WAV.len(), "").await;
    for version in [None, Some("0.2.2"), Some("1.0.0, 0.2.2"), Some("")] {
        for (method, path) in [
            (Method::POST, "/uploads"),
            (Method::HEAD, &*path),
            (Method::PATCH, &path),
            (Method::DELETE, &format!("{path}/")),
        ] {
            let mut request = world.http.request(method.clone(), format!("{}{path}", world.base));
            for (name, value) in [PIECE, ("upload-offset", "0"), ("upload-length", "5")] {
                request = request.header(name, value);
            }
            request = version.iter().fold(request, |request, version| request.header(TUS.0, *version));
            let answer = Answer::of(request.body("12345").send().await.expect("an answer")).await;
            assert_eq!((answer.status.as_u16(), answer.header("tus-version")), (412, "1.0.0"), "{method} {version:?}");
            assert_eq!(answer.header("tus-resumable"), "1.0.0");
        }
    }
    let described = world.send(Method::OPTIONS, "/uploads", &[], "").await;
    assert_eq!((described.status.as_u16(), described.header("tus-version")), (204, "1.0.0"));
    // GET is none of the protocol's, and nothing was done.
    assert_eq!(state(&world, &path).await["offset"], 0);
    assert_eq!(held(&world).len(), 1);
    let lost = send(&world, Method::HEAD, &format!("/uploads/{}", "0".repeat(32)), &[], b"").await;
    assert_eq!((lost.status.as_u16(), lost.header("tus-resumable")), (404, "1.0.0"));
}
