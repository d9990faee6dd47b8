//! `/export`: what CSV, JSON Lines and ZIP have of calls and uploads, also while these are deleted, while a client does not read,
//! and if the database fails in the middle. Python reads the files where `vendor_clients` finds one.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use callscribe::export::Zip;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::SeededRecording;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::contacts::name;
use crate::items::upload;
use crate::speakers::said;
use crate::support::{World, log};
use crate::vendor_clients::test_python;

/// Calls with a long text each. Together they are more than the buffers of a connection hold.
const LONG: usize = 80;

/// Characters of each of these texts.
const LENGTH: usize = 200_000;

/// Reads a CSV or ZIP with Python. `None` if there is none.
fn read(file: &[u8]) -> Option<Value> {
    let mut command = Command::new(test_python()?);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exports.py"));
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a Python that starts");
    child.stdin.take().expect("a pipe").write_all(file).expect("exports.py reads all of its input");
    let output = child.wait_with_output().expect("an exit");
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The lines of a JSON Lines export.
async fn lines(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&format!("/export?format=jsonl{query}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/jsonl"),
        "{}",
        answer.text()
    );
    answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Adds calls that are newer than all others. Their texts, which hardly deflate, have no words.
async fn fill(world: &World) {
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:08x}", seed >> 32)
    };
    for n in 0..LONG {
        let id = format!("{:032x}", 1_000 + n);
        let text: String = (0..LENGTH / 8).map(|_| noise()).collect();
        let at = 4_000_000_000_000_i64 + i64::try_from(n).expect("a small number");
        let rows = format!(
            "INSERT INTO calls (id, direction, to_number, from_number, keyterms, state, rank, holds_number, created_at, updated_at,
             kind, progress, recorded_seconds, cost_microusd) VALUES ('{id}', 'outbound', '+14155550000', '+15005550006', '[]',
             'completed', 6, 0, {at}, {at}, 'message', 'done', 9, -1);
             INSERT INTO recordings (sid, call_id, state, rank, duration_seconds, created_at, updated_at)
             VALUES ('RE{id}', '{id}', 'completed', 2, 9, {at}, {at});
             INSERT INTO transcripts (id, transcript_id, recording_sid, audio, parameters, request_key, state, rank, round, text,
             created_at, updated_at) VALUES ('{id}', '{id}', 'RE{id}', '', '{{}}', '{id}', 'completed', 4, 1, '{text}', {at}, {at});
             INSERT INTO spoken (place, transcript, source, facts) VALUES (4611686018427387904 + {n}, '{id}', 'RE{id}', '')"
        );
        world.store.execute(&rows).await.expect("a call");
    }
}

/// Opens an export and reads its first bytes. The rest waits, and with it the program.
async fn begun(world: &World, query: &str) -> (Response, Vec<u8>) {
    let request = world.http.get(format!("{}/export?{query}", world.base));
    let mut response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let first = response.chunk().await.expect("bytes").expect("bytes");
    (response, first.to_vec())
}

#[tokio::test]
async fn every_format_has_each_call_and_upload_with_its_current_transcripts() {
    let world = World::new().await;
    let word = |text: &str, channel: &str, start: u64| json!({"text": text, "start": start, "end": start + 300, "confidence": 0.9, "channel": channel, "speaker": channel});
    let words = [word("=Ahoy!", "1", 0), word("Who?", "2", 1_000), word("\"Me\",", "1", 2_000)];
    let (sid, id) = said(&world, &words).await;
    name(&world, "+14155551234", "=HYPERLINK(\"http://example.com\")").await;
    let fields = [("title", "-1+1"), ("tag", "@SUM(A1)")];
    assert_eq!(upload(&world, "visit.wav", speech::WAV, &fields).await.status, 200);
    world.settle().await;
    let corrected = json!({"version": 0, "from": 0, "to": 1, "text": "=Hoy!"});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &corrected).await.status, 200);
    let items = world.get("/items").await.json()["items"].as_array().expect("items").clone();
    assert_eq!((items.len(), &items[1]["sid"]), (2, &json!(sid)));

    let found = lines(&world, "").await;
    for (line, item) in found.iter().zip(&items) {
        let mut line = line.clone();
        let transcripts = line.as_object_mut().and_then(|line| line.remove("transcripts")).expect("transcripts");
        assert_eq!((&line, transcripts.as_array().map(Vec::len)), (item, Some(if *item == items[1] { 2 } else { 1 })));
    }
    let call = world.call(&sid).await;
    let transcripts = &found[1]["transcripts"];
    for (nth, shown) in call["transcripts"].as_array().expect("transcripts").iter().enumerate() {
        for field in ["id", "text", "speech_model_used", "version", "checked"] {
            assert_eq!(transcripts[nth][field], shown[field], "{field}");
        }
    }
    let own = usize::from(transcripts[1]["id"] == json!(id));
    assert_eq!(transcripts[own]["id"], json!(id));
    let ours = "=HYPERLINK(\"http://example.com\")";
    let turn = |speaker: &str, start: u64, text: &str| json!({"speaker": speaker, "start_ms": start, "end_ms": start + 300, "text": text});
    let expected = json!([turn(ours, 0, "=Hoy!"), turn("Operator", 1_000, "Who?"), turn(ours, 2_000, "\"Me\",")]);
    assert_eq!(transcripts[own]["paragraphs"], expected);

    let csv = world.get("/export?format=csv&zone=Asia/Kolkata").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    let zip = world.get("/export?format=zip&zone=Asia/Kolkata").await;
    assert_eq!(zip.header("content-type"), "application/zip");
    let today = |zone| world.clock.now().in_tz(zone).expect("a zone").strftime("%Y-%m-%d").to_string();
    let named = format!("attachment; filename=\"calls, exported {}.zip\"", today("Asia/Kolkata"));
    assert_eq!(zip.header("content-disposition"), named);
    let since = world
        .get("/export?format=jsonl&zone=America/Los_Angeles&since=2026-01-31&until=2026-02-01T23:30:00-05:00")
        .await;
    let named = format!(
        "attachment; filename=\"calls since 2026-01-31 until 2026-02-01, exported {}.jsonl\"",
        today("America/Los_Angeles")
    );
    assert_eq!((since.header("content-disposition"), since.text()), (named.as_str(), String::new()));

    let (Some(csv), Some(zip)) = (read(&csv.body), read(&zip.body)) else { return };
    let rows: Vec<Vec<&str>> = csv["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row.as_array().expect("cells").iter().map(|cell| cell.as_str().expect("a text")).collect())
        .collect();
    let cell = |row: usize, column: &str| rows[row][rows[0].iter().position(|name| *name == column).expect("a column")];
    let at: jiff::Timestamp = items[1]["created_at"].as_str().expect("a time").parse().expect("a time");
    let zoned = at.in_tz("Asia/Kolkata").expect("a zone");
    let text = |nth: usize| found[1]["transcripts"][nth]["text"].as_str().expect("a text");
    // Where a line begins, a spreadsheet may begin a cell.
    let whole = format!("{}\n\n{}", text(0), text(1)).replace("\n=", "\n'=");
    // The order of the transcripts varies, and one begins as a formula does.
    let sign = if own == 0 { "'" } else { "" };
    for (row, column, expected) in [
        (1, "kind", "upload"),
        (1, "call_kind", ""),
        (1, "title", "'-1+1"),
        (1, "tag", "'@SUM(A1)"),
        (1, "number", ""),
        (2, "id", items[1]["id"].as_str().expect("an id")),
        (2, "sid", &sid),
        (2, "kind", "call"),
        (2, "call_kind", "message"),
        (2, "direction", "outbound"),
        (2, "created_at", &zoned.strftime("%Y-%m-%dT%H:%M:%S+05:30").to_string()),
        (2, "contact", &format!("'{ours}")),
        (2, "number", "+14155551234"),
        (2, "progress", "done"),
        (2, "checked", "false"),
        (2, "duration_seconds", &items[1]["duration_seconds"].to_string()),
        (2, "cost_usd", &items[1]["cost_usd"].to_string()),
        (2, "text", &format!("{sign}{whole}")),
    ] {
        assert_eq!(cell(row, column), expected, "{column}");
    }
    assert!(text(own).starts_with(&format!("{ours}: =Hoy!\n")), "{}", text(own));
    let last = rows[0].len() - 1;
    assert_eq!((rows[0][last], rows.len()), ("text", 3));

    let month = zoned.strftime("%Y-%m/%Y-%m-%d %H.%M");
    let stem = format!("{month} =HYPERLINK(_http___example.com_) {}", &id[id.len() - 8..]);
    let names: BTreeSet<&str> =
        zip["names"].as_array().expect("names").iter().map(|name| name.as_str().expect("a name")).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(names.contains(format!("{stem}.docx").as_str()) && names.contains("calls.csv"), "{names:?}");
    let markdown = zip["texts"][format!("{stem}.md")].as_str().expect("a document");
    assert!(markdown.ends_with("] \"Me\",\n") && markdown.contains(" +05:30 · "), "{markdown}");
    let files: Vec<&str> = zip["rows"][2][last].as_str().expect("files").lines().collect();
    assert!(files.len() == 2 && files.iter().all(|file| names.contains(file)), "{files:?}");
}

#[test]
fn python_reads_a_zip_of_more_files_than_16_bits_count() {
    let mut zip = Zip::new(Vec::new());
    zip.add("calls.csv", None, |to| to.write_all(b"a,b\r\n")).expect("a Vec takes every byte");
    for n in 0..70_000 {
        zip.store(&format!("{n}.txt"), None, b"").expect("a Vec takes every byte");
    }
    let Some(read) = read(&zip.finish().expect("a Vec takes every byte")) else { return };
    let names = read["names"].as_array().expect("names");
    assert_eq!((names.len(), &names[70_000], &read["rows"]), (70_001, &json!("69999.txt"), &json!([["a", "b"]])));
}

#[tokio::test]
async fn a_search_exports_a_call_once_however_many_of_its_recordings_match() {
    let world = World::new().await;
    let (sid, _) = world.recorded_call().await;
    let another = SeededRecording { call_sid: sid.clone(), ..Default::default() };
    let another = world.twilio.add_recording(another);
    assert_eq!(world.post_form("/transcribe", &format!("recording_sid={another}")).await.status, 200);
    world.dial("14155550000").await;
    world.settle().await;
    assert_eq!(world.get("/items?q=forty").await.json()["items"].as_array().map(Vec::len), Some(3));
    let found = lines(&world, "&q=forty&number=1234").await;
    assert_eq!(found.iter().map(|line| line["sid"].as_str()).collect::<Vec<_>>(), [Some(sid.as_str())]);
    assert_eq!(found[0]["transcripts"].as_array().map(Vec::len), Some(2));
    assert_eq!(lines(&world, "&q=forty").await.len(), 2);
    assert_eq!(lines(&world, "&q=fifty").await.len(), 0);
}

#[tokio::test]
async fn an_export_refuses_what_would_export_something_else() {
    let world = World::new().await;
    for (query, expected) in [
        ("", "format: expected zip, jsonl or csv"),
        ("format=xml", "format: expected zip, jsonl or csv"),
        ("format=zip&limit=5", "limit: an export has all that match; leave it out"),
        ("format=zip&after=5.x", "cursor: an export has all that match; leave it out"),
        ("format=zip&sine=2026-01-01", "there is no parameter \"sine\" here"),
        ("format=zip&since=soon", "since: expected a date"),
        ("format=zip&sort=longest", "sort: an export is newest or oldest first"),
        ("format=zip&sort=costliest", "sort: an export is newest or oldest first"),
        ("format=zip&sort=loudest", "sort: expected one of newest"),
        ("format=zip&q=a&sort=oldest", "sort: what was said is found newest first"),
        ("format=zip&zone=Nowhere", "zone: expected the name of a time zone"),
        ("format=zip&format=csv", "duplicate field `format`"),
        ("format=zip&tag=a&tag=b", "duplicate field `tag`"),
    ] {
        let detail = world.get(&format!("/export?{query}")).await.problem(400, "bad-request");
        assert!(detail.contains(expected), "{query}: {detail}");
    }
    // A page ignores what it does not know. What a browser saves must not.
    let browser = world.get_with("/export?format=zip&sine=2026-01-01", &[("accept", "text/html")]).await;
    assert_eq!(browser.status, 400);
    assert_eq!(world.send(Method::POST, "/export?format=zip", &[], "").await.status, 405);
    assert_eq!(lines(&world, "").await, Vec::<Value>::new());
    assert_eq!(world.get("/export?format=csv").await.text().lines().count(), 1);
}

#[tokio::test]
async fn a_call_that_is_deleted_while_a_zip_is_read_is_not_in_it_and_the_zip_is_whole() {
    let world = World::new().await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        calls.push(world.dial("14155551234").await);
        world.settle().await;
    }
    fill(&world).await;
    let (mut response, mut zip) = begun(&world, "format=zip").await;
    assert_eq!(world.send(Method::DELETE, &format!("/items/{}", calls[0]), &[], "").await.status, 202);
    world.settle().await;
    while let Some(chunk) = response.chunk().await.expect("the rest") {
        zip.extend(chunk);
    }
    let Some(read) = read(&zip) else { return };
    let names = read["names"].as_array().expect("names");
    assert_eq!(names.len(), 1 + 2 * (LONG + 1), "{names:?}");
    let of_calls: Vec<_> =
        read["texts"].as_object().expect("texts").iter().filter(|(name, _)| name.contains("51234")).collect();
    assert_eq!(of_calls.len(), 1, "{names:?}");
    assert_eq!(lines(&world, "&number=1234").await.len(), 1);
}

#[tokio::test]
async fn a_call_that_somebody_deletes_says_nothing_more_and_a_correction_counts_with_its_words() {
    let world = World::new().await;
    let words = [json!({"text": "Ahoy!", "start": 0, "end": 300, "confidence": 0.9})];
    let (deleted, _) = said(&world, &words).await;
    let (kept, id) = said(&world, &words).await;
    fill(&world).await;
    let (mut response, mut found) = begun(&world, "format=jsonl").await;
    // The deletion is not done before the export ends.
    world.twilio.control.fail_next(Method::DELETE, "/Recordings/", Fault::Hang);
    assert_eq!(world.send(Method::DELETE, &format!("/items/{deleted}"), &[], "").await.status, 202);
    let corrected = json!({"version": 0, "from": 0, "to": 0, "text": "Hoy!"});
    assert_eq!(world.post_json(&format!("/transcript/{id}/corrections"), &corrected).await.status, 200);
    while let Some(chunk) = response.chunk().await.expect("the rest") {
        found.extend(chunk);
    }
    let found = String::from_utf8(found).expect("UTF-8");
    let lines: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let transcripts = |sid: &str| {
        let line = lines.iter().find(|line| line["sid"] == sid).expect("a line");
        line["transcripts"].as_array().expect("transcripts").clone()
    };
    let state = format!("SELECT count(*) FROM calls WHERE sid = '{deleted}' AND deletion = 'wanted'");
    assert_eq!(world.store.number(&state).await, 1);
    assert_eq!(transcripts(&deleted), Vec::<Value>::new());
    let own = transcripts(&kept).into_iter().find(|one| one["id"] == json!(id)).expect("the transcript");
    assert_eq!((&own["version"], own["text"].as_str().map(|text| text.contains("Hoy!"))), (&json!(1), Some(true)));
}

#[tokio::test]
async fn an_export_over_http_1_0_is_refused_because_its_end_would_not_show_that_it_is_whole() {
    let world = World::with(&[("OPERATOR_TOKEN", "secret-1")]).await;
    let host = world.base.trim_start_matches("http://");
    let headers = format!("Host: {host}\r\nAuthorization: Bearer secret-1\r\n\r\n");
    let answer = world.raw(&format!("GET /export?format=csv HTTP/1.0\r\n{headers}")).await;
    assert!(answer.starts_with("HTTP/1.0 505 ") && answer.contains("an export needs HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn an_export_that_fails_in_the_middle_breaks_the_connection_and_the_log_says_why() {
    let world = World::new().await;
    fill(&world).await;
    for format in ["zip", "jsonl"] {
        let (mut response, _) = begun(&world, &format!("format={format}")).await;
        world
            .store
            .execute("ALTER TABLE corrections RENAME TO gone; ALTER TABLE words RENAME TO lost")
            .await
            .expect("a change");
        let end = loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(end.is_err(), "{format} seems to be whole");
        world
            .store
            .execute("ALTER TABLE gone RENAME TO corrections; ALTER TABLE lost RENAME TO words")
            .await
            .expect("a change");
    }
    let said = log::lines_with("an export was cut off");
    assert!(
        said.len() >= 2 && said.iter().all(|line| line.contains("words") || line.contains("corrections")),
        "{said:?}"
    );
}

#[tokio::test]
async fn exports_that_nobody_reads_leave_no_room_for_more_until_one_ends() {
    let world = World::new().await;
    fill(&world).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(begun(&world, "format=jsonl").await.0);
    }
    let refused = world.get("/export?format=csv").await;
    refused.problem(503, "too-many-exports");
    assert_eq!(refused.header("retry-after"), "3");
    // What it would be called needs no room.
    let head = world.send(Method::HEAD, "/export?format=csv", &[], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    let mut one = open.pop().expect("an export");
    while one.chunk().await.expect("the rest").is_some() {}
    assert_eq!(world.get("/export?format=csv&kind=upload").await.status, 200);
}
