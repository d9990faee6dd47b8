//! The archive: what is kept in a folder or a bucket, that it can be played from there, and that nothing of a deleted call
//! stays.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use callscribe::sandbox::twilio::{self, Audio, SeededCall, SeededRecording};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::pipeline::HOUR;
use crate::support::command::{ENOUGH, Folder, Program, with};
use crate::support::{World, client, serve};
use crate::vendor_clients::test_python;

/// The years in which these tests may run.
const YEARS: std::ops::Range<u32> = 2026..2100;

/// The file by which a folder is recognized.
const MARKER: &str = "callscribe-archive.txt";

/// The files below a folder, in order, without the one by which it is recognized.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with(MARKER) {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Keeps recordings from being written: no folder of a year can be made where there is a file.
fn obstruct(folder: &Path) {
    for year in YEARS {
        std::fs::write(folder.join(year.to_string()), "").expect("a file");
    }
}

/// Takes that back.
fn clear(folder: &Path) {
    for year in YEARS {
        std::fs::remove_file(folder.join(year.to_string())).expect("a file");
    }
}

fn url_of(folder: &Folder) -> String {
    format!("file://{}/recordings", folder.path().display())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn delete_at_twilio(world: &World, recording: &str) {
    let url = format!("{}.json", world.media_url(recording));
    let deleted = client().delete(&url).basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN)).send().await;
    assert_eq!(deleted.expect("an answer").status(), 204, "{url}");
}

/// What the page of a call says of the archive.
fn archived(call: &Value) -> &Value {
    &call["recordings"][0]["archived"]
}

#[tokio::test]
async fn a_recording_is_kept_in_a_folder_with_its_checksum_and_played_from_there() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let audio = world.get(&format!("/recordings/{recording}.wav")).await;
    let kept = files(&folder.path().join("recordings"));
    let [file, checksum] = &kept[..] else { panic!("two files, not {kept:?}") };
    assert_eq!(std::fs::read(file).expect("a file"), audio.body);
    let line = format!("{}  {recording}.wav\n", sha256(&audio.body));
    assert_eq!(std::fs::read_to_string(checksum).expect("a file"), line);

    let shown = world.call(&call).await;
    let said = archived(&shown);
    assert_eq!((&said["sha256"], &said["bytes"]), (&json!(sha256(&audio.body)), &json!(audio.body.len())), "{shown}");
    assert_eq!(said["url"], format!("file://{}", file.display()));

    // Twilio is asked no more, and need not have it any more.
    delete_at_twilio(&world, &recording).await;
    let requests = world.twilio.control.requests_to(Method::GET, &format!("/Recordings/{recording}")).len();
    let whole = world.get(&format!("/recordings/{recording}.wav")).await;
    assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, "audio/x-wav"));
    assert_eq!(whole.body, audio.body);
    let part = world.get_with(&format!("/recordings/{recording}"), &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &audio.body[10..20]));
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{}", audio.body.len()));
    let end = world.get_with(&format!("/recordings/{recording}"), &[("range", "bytes=-5")]).await;
    assert_eq!(end.body, audio.body[audio.body.len() - 5..]);
    world
        .get_with(&format!("/recordings/{recording}"), &[("range", "bytes=99999999-")])
        .await
        .problem(416, "vendor-rejected");
    let later = world.twilio.control.requests_to(Method::GET, &format!("/Recordings/{recording}")).len();
    assert_eq!(later, requests, "Twilio was asked");
}

#[tokio::test]
async fn a_deletion_takes_the_copies_out_of_the_archive_and_says_if_it_cannot() {
    let (folder, other) = (Folder::new(), Folder::new());
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let kept = folder.path().join("recordings");
    let file = files(&kept)[0].clone();
    let page = world.get_with(&format!("/calls/{call}/delete"), &[("accept", "text/html")]).await.text();
    assert!(page.contains("<strong>In the archive</strong>: the copies of its recordings."), "{page}");
    // What a program has left that was killed while it wrote.
    std::fs::write(format!("{}#1", file.display()), "RIFF").expect("a file");

    let (app, elsewhere) = world.another_app_with_url(&[("ARCHIVE_URL", &url_of(&other))]).await;
    let asked = client().post(format!("{elsewhere}/calls/{call}/delete")).send().await.expect("an answer");
    assert_eq!(asked.status(), 202);
    app.run_due_jobs().await;
    let why = world.call(&call).await["reason"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains(&url_of(&folder))), "{why}");
    assert_eq!(files(&kept).len(), 3, "{:?}", files(&kept));
    app.stop().await;

    world.after(HOUR).await;
    world.get(&format!("/calls/{call}")).await.problem(410, "deleted");
    assert_eq!(files(&kept), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn in_a_folder_that_is_not_the_one_nothing_is_written_and_nothing_counts_as_deleted() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let (kept, aside) = (folder.path().join("recordings"), folder.path().join("aside"));
    // As below a disk that is not mounted.
    std::fs::rename(&kept, &aside).expect("a folder");
    std::fs::create_dir(&kept).expect("a folder");
    assert_eq!(world.get(&format!("/recordings/{recording}.wav")).await.status, 200, "Twilio has it");
    let (other, _) = world.recorded_call().await;
    world.settle().await;
    let why = world.call(&other).await["recordings"][0]["not_archived"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains(MARKER)), "{why}");
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(world.call(&call).await["progress"], "deleting");
    assert_eq!((files(&kept).len(), files(&aside).len()), (0, 2));
    // Nor does another start take it for the one.
    world.another_app_with(&[("ARCHIVE_URL", &url_of(&folder))], false).await.stop().await;
    assert!(!kept.join(MARKER).exists());

    std::fs::remove_dir(&kept).expect("a folder");
    std::fs::rename(&aside, &kept).expect("a folder");
    world.after(HOUR).await;
    world.get(&format!("/calls/{call}")).await.problem(410, "deleted");
    assert_eq!(files(&kept).len(), 2, "the other one");
}

#[tokio::test]
async fn an_archive_that_fails_holds_up_nothing_and_gets_the_recording_when_it_works_again() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let kept = folder.path().join("recordings");
    obstruct(&kept);
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let shown = world.call(&call).await;
    assert_eq!((&shown["progress"], archived(&shown)), (&json!("done"), &Value::Null), "{shown}");
    let why = shown["recordings"][0]["not_archived"].as_str().expect("a reason");
    assert!(why.starts_with("the archive failed: "), "{why}");
    for _ in 0..20 {
        world.after(HOUR).await;
    }
    clear(&kept);
    world.after(HOUR).await;
    assert_eq!(files(&kept).len(), 2, "it has given up: {}", world.call(&call).await);
    assert_eq!(archived(&world.call(&call).await)["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(world.get(&format!("/recordings/{recording}.wav")).await.status, 200);
}

#[tokio::test]
async fn a_call_that_is_deleted_before_its_recording_was_archived_leaves_nothing_there() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let kept = folder.path().join("recordings");
    obstruct(&kept);
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    clear(&kept);
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    world.get(&format!("/calls/{call}")).await.problem(410, "deleted");
    world.after(HOUR).await;
    assert_eq!(files(&kept), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn recordings_that_were_made_while_there_was_no_archive_are_archived_after_the_next_start() {
    let folder = Folder::new();
    let world = World::new().await;
    let (first, _) = world.recorded_call().await;
    let (deleted, _) = world.recorded_call().await;
    world.settle().await;
    assert_eq!(world.post_form(&format!("/calls/{deleted}/delete"), "").await.status, 202);
    world.settle().await;
    let (app, url) = world.another_app_with_url(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    app.catch_up().await;
    while app.run_due_jobs().await > 0 {}
    let jobs =
        world.store.texts("SELECT kind || ' ' || subject || ' ' || state || coalesce(reason, '') FROM jobs").await;
    assert_eq!(files(&folder.path().join("recordings")).len(), 2, "{jobs:#?}");
    let shown = client().get(format!("{url}/calls/{first}")).send().await.expect("an answer");
    let shown: Value = shown.json().await.expect("JSON");
    assert_eq!(archived(&shown)["sha256"].as_str().map(str::len), Some(64), "{shown}");
    // The next start finds nothing to do.
    let downloads = || world.twilio.control.requests_to(Method::GET, ".wav").len();
    let before = downloads();
    app.catch_up().await;
    while app.run_due_jobs().await > 0 {}
    assert_eq!(downloads(), before);
    app.stop().await;
}

#[tokio::test]
async fn what_an_import_brings_is_archived_under_the_day_of_its_call() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let began = "2026-03-04T05:06:07Z".parse().ok();
    let call = world.twilio.add_call(SeededCall { began, ..SeededCall::default() });
    let recording =
        world.twilio.add_recording(SeededRecording { call_sid: call, made: began, ..SeededRecording::default() });
    let wanted = json!({"since": "2026-03-01", "until": "2026-03-31", "confirm": true});
    assert_eq!(world.post_json("/imports", &wanted).await.status, 201);
    world.settle().await;
    let kept = folder.path().join("recordings");
    assert_eq!(files(&kept)[0], kept.join(format!("2026/03/04/{recording}.wav")));
}

#[tokio::test]
async fn an_archive_that_cannot_be_used_keeps_the_program_from_starting_and_is_named() {
    for (url, expected) in [
        ("file:///dev/null/recordings", "the folder cannot be made"),
        ("s3://recordings", "AWS_ACCESS_KEY_ID"),
        ("https://example.com", "expected file:///folder or s3://bucket/prefix"),
    ] {
        let folder = Folder::new();
        let refused = Program::start(folder.path(), &[], &with(&ENOUGH, &[("ARCHIVE_URL", url)])).refused();
        assert_eq!(refused.code, Some(2), "{url}");
        assert!(refused.all().contains(expected), "{url}: {}", refused.all());
    }
}

/// An S3 server with a bucket, behind a proxy that can refuse requests.
struct S3 {
    server: Child,
    direct: String,
    url: String,
    /// What a refused request has in its target.
    refused: Arc<Mutex<Option<&'static str>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl S3 {
    /// Starts it, if there is a Python to run it.
    async fn start() -> Option<Self> {
        let mut command = Command::new(test_python()?);
        command.args(["-c", include_str!("bucket.py")]).env("NO_PROXY", "*");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("the server starts");
        let mut lines = BufReader::new(server.stdout.take().expect("its output"));
        let port = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            lines.read_line(&mut line).expect("a port");
            line
        });
        let direct = format!("http://127.0.0.1:{}", port.await.expect("a thread").trim());
        let refused: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (server_url, refuses, sees, http) = (direct.clone(), Arc::clone(&refused), Arc::clone(&seen), client());
        let router = Router::new().fallback(move |request: Request| {
            let (server, http) = (server_url.clone(), http.clone());
            let target = request.uri().to_string();
            sees.lock().expect("a lock").push(format!("{} {target}", request.method()));
            let is_refused = refuses.lock().expect("a lock").is_some_and(|part| target.contains(part));
            async move {
                if is_refused {
                    let full = Response::builder().status(StatusCode::INSUFFICIENT_STORAGE);
                    return full
                        .body(Body::from("<Error><Message>the bucket is full</Message></Error>"))
                        .expect("an answer");
                }
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 26).await.expect("a body");
                let passed = http.request(parts.method, format!("{server}{target}")).headers(parts.headers).body(body);
                let answer = passed.send().await.expect("an answer");
                let mut response = Response::builder().status(answer.status());
                *response.headers_mut().expect("a status") = answer.headers().clone();
                response.body(Body::from(answer.bytes().await.expect("a body"))).expect("an answer")
            }
        });
        Some(Self { server, direct, url: serve(router).await, refused, seen })
    }

    async fn world(&self) -> World {
        World::with(&[
            ("ARCHIVE_URL", "s3://recordings/clinic"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-bucket"),
            ("AWS_ENDPOINT_URL", &self.url),
        ])
        .await
    }

    fn refuse(&self, part: Option<&'static str>) {
        *self.refused.lock().expect("a lock") = part;
    }

    /// What the bucket has, as S3 lists it.
    async fn list(&self) -> String {
        let listed = client().get(format!("{}/recordings?list-type=2", self.direct)).send().await.expect("an answer");
        assert_eq!(listed.status(), 200);
        listed.text().await.expect("a list")
    }

    async fn object(&self, key: &str) -> Vec<u8> {
        // The server checks no signature, but strangers may not read.
        const OWNER: &str =
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b";
        let get = client().get(format!("{}/recordings/{key}", self.direct)).header("authorization", OWNER);
        let found = get.send().await.expect("an answer");
        assert_eq!(found.status(), 200, "{key}");
        found.bytes().await.expect("an object").to_vec()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

#[tokio::test]
async fn a_bucket_keeps_recordings_in_parts_plays_them_and_is_emptied_by_deletions() {
    let Some(bucket) = S3::start().await else { return };
    let world = bucket.world().await;
    let seconds = Duration::from_secs(600);
    let call = world.twilio.add_call(SeededCall { duration: Some(seconds), ..SeededCall::default() });
    let recording = world.twilio.add_recording(SeededRecording {
        call_sid: call.clone(),
        duration: seconds,
        audio: Audio::Marked { bytes: 9_600_044 },
        ..SeededRecording::default()
    });
    let hook = format!("{}/hooks/twilio/recording", world.base);
    assert_eq!(world.twilio.send_recording_callback(&recording, &hook).await, Some(204));
    // The second part is refused: nothing is left of the first.
    bucket.refuse(Some("partNumber=2"));
    world.settle().await;
    let shown = world.call(&call).await;
    let why = shown["recordings"][0]["not_archived"].as_str().unwrap_or_else(|| panic!("a reason in {shown}"));
    assert!(why.starts_with("the archive failed: "), "{why}");
    let seen = || bucket.seen.lock().expect("a lock").clone();
    let aborted = seen().into_iter().filter(|seen| seen.starts_with("DELETE ") && seen.contains("uploadId")).count();
    assert!(aborted > 0, "the parts stay: {:?}", seen());
    assert!(!bucket.list().await.contains(".wav"));

    bucket.refuse(None);
    world.after(HOUR).await;
    let shown = world.call(&call).await;
    let said = archived(&shown);
    let url = said["url"].as_str().unwrap_or_else(|| panic!("archived: {shown}"));
    let key = url.strip_prefix("s3://recordings/").expect("in the bucket");
    assert!(key.starts_with("clinic/20") && key.ends_with(&format!("/{recording}.wav")), "{key}");
    assert!(bucket.list().await.contains(key));
    let object = bucket.object(key).await;
    assert_eq!((object.len(), sha256(&object)), (9_600_044, said["sha256"].as_str().expect("a checksum").to_owned()));
    let checksum = bucket.object(&format!("{key}.sha256")).await;
    assert_eq!(String::from_utf8_lossy(&checksum), format!("{}  {recording}.wav\n", sha256(&object)));
    let part = world.get_with(&format!("/recordings/{recording}.wav"), &[("range", "bytes=5000000-5000099")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &object[5_000_000..5_000_100]));

    bucket.refuse(Some(".wav"));
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(world.call(&call).await["progress"], "deleting");
    bucket.refuse(None);
    world.after(HOUR).await;
    world.get(&format!("/calls/{call}")).await.problem(410, "deleted");
    assert!(!bucket.list().await.contains(&recording), "{}", bucket.list().await);
}

#[tokio::test]
async fn the_check_of_the_settings_writes_reads_and_deletes_in_the_archive() {
    let Some(bucket) = S3::start().await else { return };
    let world = bucket.world().await;
    world.app.check_settings().await;
    let seen = bucket.seen.lock().expect("a lock").clone();
    let methods: Vec<&str> = seen.iter().filter_map(|seen| seen.split(' ').next()).collect();
    assert_eq!(methods, ["PUT", "GET", "DELETE"], "{seen:?}");
    assert!(!world.get_with("/", &[("accept", "text/html")]).await.text().contains("ARCHIVE_URL"));
    bucket.refuse(Some("/"));
    world.app.check_settings().await;
    let page = world.get_with("/", &[("accept", "text/html")]).await.text();
    assert!(page.contains("ARCHIVE_URL"), "{page}");
}

#[tokio::test]
async fn the_check_of_the_settings_removes_what_one_that_was_killed_has_left() {
    let folder = Folder::new();
    let world = World::with(&[("ARCHIVE_URL", &url_of(&folder))]).await;
    let archive = folder.path().join("recordings");
    for left in ["callscribe-check.txt", "callscribe-check.txt#1"] {
        std::fs::write(archive.join(left), "callscribe").expect("a file");
    }
    world.app.check_settings().await;
    assert_eq!(files(&archive), Vec::<PathBuf>::new());
}
