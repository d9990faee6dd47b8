//! Deleting a call: what is gone afterwards here and at both vendors, which requests the vendors receive, and that nothing
//! restores the call.

use std::path::Path;
use std::time::Duration;

use callscribe::internals::{Clock, Deadlines, SECRET_HEADER, now};
use callscribe::sandbox::control::{Callbacks, Fault, RandomFaults};
use callscribe::sandbox::twilio::{ACCOUNT_SID, SeededCall, SeededRecording, Stage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::pipeline::HOUR;
use crate::support::{Answer, World, assert_happened, fail_step, refuse, steps_repeat};

const NUMBER: &str = "14155551234";
const KEYTERM: &str = "Canaryvale";
/// AssemblyAI's error message for the first transcript.
const VENDOR_ERROR: &str = "Canary words on +14155551234";

/// Texts that a deletion must remove: numbers, key terms, words of the transcript, a vendor's error, and addresses of
/// audio.
const PRIVATE: [&str; 9] =
    ["4155551234", "5005550006", KEYTERM, "Canary words", "Hello", "forty two", "Friday", "/upload/", "\"audio_url\":"];

/// Deadlines without a quick retry of failed vendor requests.
fn no_retries() -> Deadlines {
    Deadlines { repeated: Duration::ZERO, ..Deadlines::default() }
}

/// Places a call and completes it. Its first transcript fails, its second one succeeds. Returns the call SID.
async fn transcribed(world: &World) -> String {
    world.assemblyai.fail_next_transcript(VENDOR_ERROR);
    let sid = world.get(&format!("/dial/{NUMBER}?keyterms={KEYTERM}")).await.call_sid();
    world.settle().await;
    assert_eq!(world.post_form(&format!("/calls/{sid}/retry"), "").await.status, 200);
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["can_delete"]), (&json!("done"), &json!(true)), "{call:#}");
    sid
}

async fn delete(world: &World, sid: &str) -> Answer {
    world.post_form(&format!("/calls/{sid}/delete"), "").await
}

/// Deletes the call and waits until the deletion is complete.
async fn delete_completely(world: &World, sid: &str) {
    let answer = delete(world, sid).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["progress"]), (202, &json!("deleting")));
    world.settle().await;
    assert_deleted(world, sid).await;
}

/// Makes a browser without scripts reload the page.
const REFRESH: &str = "http-equiv=\"refresh\"";

async fn assert_deleted(world: &World, sid: &str) {
    world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
    assert_eq!(world.get("/calls").await.json()["calls"], json!([]));
    assert_eq!(found(world).await, Vec::<String>::new());
}

/// Lists which texts of [`PRIVATE`] are in which table.
async fn found(world: &World) -> Vec<String> {
    let store = &world.store;
    let tables = if store.is_postgres() {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    } else {
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
    };
    let mut found = Vec::new();
    for table in store.texts(tables).await {
        // As hex, because some columns hold bytes.
        let columns = if store.is_postgres() {
            "SELECT 'encode(' || CASE udt_name WHEN 'bytea' THEN quote_ident(column_name) \
             ELSE 'convert_to(' || quote_ident(column_name) || '::text, ''UTF8'')' END || ', ''hex'')' \
             FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = "
        } else {
            "SELECT 'lower(hex(\"' || name || '\"))' FROM pragma_table_info WHERE arg = "
        };
        let columns = store.texts(&format!("{columns}'{table}'")).await.join(", ");
        for row in store.texts(&format!("SELECT concat_ws(' ', {columns}) FROM {table}")).await {
            let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let private = PRIVATE.iter().filter(|private| row.contains(&hex(private)));
            found.extend(private.map(|private| format!("{private} in {table}")));
        }
    }
    found
}

/// Lists which of these texts are in which file of the SQLite database.
fn found_in_files(world: &World, texts: &[&str]) -> Vec<String> {
    let file = world.store.url.trim_start_matches("sqlite://");
    let mut found = Vec::new();
    for file in [file.to_owned(), format!("{file}-wal")].iter().map(Path::new).filter(|file| file.exists()) {
        let bytes = std::fs::read(file).expect("a readable file");
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        found.extend(texts.iter().filter(|text| holds(text)).map(|text| format!("{text} in {}", file.display())));
    }
    found
}

/// The deletions that Twilio was asked for, in order: "audio" or "call".
fn twilio_deletions(world: &World) -> Vec<&'static str> {
    let seen = world.twilio.control.requests_to(Method::DELETE, "");
    let kind = |target: &str| if target.contains("/Recordings/") { "audio" } else { "call" };
    seen.iter().map(|seen| kind(&seen.target)).collect()
}

fn transcript_deletions(world: &World) -> usize {
    world.assemblyai.control.requests_to(Method::DELETE, "/v2/transcript/").len()
}

/// Twilio's status callback of a call that we dialed.
fn call_callback<'c>(sid: &'c str, status: &'c str) -> [(&'c str, &'c str); 6] {
    [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", sid),
        ("CallStatus", status),
        ("Direction", "outbound-api"),
        ("To", "+14155551234"),
        ("From", "+15005550006"),
    ]
}

/// Twilio's status callback of a completed recording.
fn recording_callback<'c>(call_sid: &'c str, sid: &'c str) -> [(&'c str, &'c str); 4] {
    [("AccountSid", ACCOUNT_SID), ("CallSid", call_sid), ("RecordingSid", sid), ("RecordingStatus", "completed")]
}

#[tokio::test]
async fn nothing_of_a_deleted_call_is_left_in_the_database_or_in_its_file() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let before = found(&world).await;
    for private in PRIVATE {
        assert!(before.iter().any(|found| found.starts_with(private)), "{private} was not stored: {before:?}");
    }
    world.store.execute(&format!("UPDATE jobs SET reason = '{VENDOR_ERROR}'")).await.expect("an updated row");
    let jobs = "SELECT count(*) FROM jobs WHERE state = 'open'";
    // In lower case, as the search index stores them.
    let terms = ["hello", "forty", "friday"];
    if !world.store.is_postgres() {
        assert!(!found_in_files(&world, &terms).is_empty());
    }
    delete_completely(&world, &sid).await;
    assert_eq!(world.store.number(jobs).await, 0);
    if !world.store.is_postgres() {
        assert_eq!(found_in_files(&world, &[&PRIVATE[..], &terms].concat()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn deleting_one_of_many_calls_leaves_nothing_of_it_and_keeps_the_others() {
    let world = World::new().await;
    let (number, keyterm) = (|index| format!("1415555{index:04}"), |index| format!("Canary{index:04}"));
    let mut sids = Vec::new();
    for index in 0..30 {
        world.assemblyai.fail_next_transcript(&format!("heard of {}", number(index)));
        let answer = world.get(&format!("/dial/{}?keyterms={}", number(index), keyterm(index))).await;
        sids.push(answer.call_sid());
        world.settle().await;
    }
    for index in [7, 8, 20] {
        assert_eq!(delete(&world, &sids[index]).await.status, 202);
        world.settle().await;
        if !world.store.is_postgres() {
            let texts = [number(index), keyterm(index)];
            assert_eq!(found_in_files(&world, &texts.each_ref().map(String::as_str)), Vec::<String>::new());
        }
    }
    let left = world.get("/calls").await.json();
    assert_eq!(left["calls"].as_array().map(Vec::len), Some(27));
    let kept = world.call(&sids[9]).await;
    assert_eq!((&kept["to"], &kept["keyterms"]), (&json!(format!("+{}", number(9))), &json!([keyterm(9)])));
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_call_that_an_older_version_indexed() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let search = if world.store.is_postgres() {
        include_str!("../../src/store/migrations/postgres/0004_search.sql")
    } else {
        include_str!("../../src/store/migrations/sqlite/0004_search.sql")
    };
    // Many more rows, so that SQLite does not reuse all pages of the older table at once.
    let others = "WITH RECURSIVE n (n) AS (SELECT 8 UNION ALL SELECT n + 1 FROM n WHERE n < 500) \
                  INSERT INTO spoken_text (rowid, words) SELECT n, hex(randomblob(100)) FROM n";
    let (wiped, others) = if world.store.is_postgres() { ("", "") } else { ("PRAGMA secure_delete = on;", others) };
    let older = format!(
        "{wiped} DROP TABLE spoken_text; DROP TABLE spoken; DROP TABLE unsearched; DROP INDEX calls_to_end; \
         DROP INDEX calls_from_end; DROP INDEX calls_of_state; {search}; DELETE FROM unsearched; \
         INSERT INTO spoken (place, transcript, source) \
         SELECT 7, id, recording_sid FROM transcripts WHERE state = 'completed'; \
         INSERT INTO spoken_text (rowid, words) VALUES (7, ' hello forty two friday '); {others}; \
         DELETE FROM _sqlx_migrations WHERE version IN (6, 8, 19)"
    );
    world.store.execute(&older).await.expect("the older version's tables");
    world.another_app().await.stop().await;
    let found = world.get("/calls?q=forty&state=completed&number=1234").await.json();
    assert_eq!(found["hits"][0]["call"]["sid"], *sid);
    delete_completely(&world, &sid).await;
    if !world.store.is_postgres() {
        assert_eq!(found_in_files(&world, &["hello", "forty", "friday", "4155551234"]), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_deleted_call_is_gone_at_both_vendors_and_each_is_asked_once() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let recording = world.twilio.recordings_of(&sid).remove(0);
    delete_completely(&world, &sid).await;
    assert_eq!((world.twilio.call_status(&sid), world.twilio.recording_status(&recording)), (None, None));
    assert_eq!(world.get(&format!("/recordings/{recording}.wav")).await.status, 404);
    let texts: Vec<Value> = world.assemblyai.transcripts().iter().map(|one| one["text"].clone()).collect();
    assert_eq!(texts.last(), Some(&json!("Deleted by user.")));
    let asked = twilio_deletions(&world);
    for kind in ["audio", "call"] {
        assert_happened(asked.iter().filter(|asked| **asked == kind).count(), 1);
    }
    assert_eq!((asked.first(), asked.last()), (Some(&"audio"), Some(&"call")));
    assert_happened(transcript_deletions(&world), 1);
}

#[tokio::test]
async fn audio_is_deleted_first_then_transcripts_then_the_call_and_our_own_data_last() {
    let world = World::with_deadlines(&[], no_retries()).await;
    let sid = transcribed(&world).await;
    world.twilio.control.fail_next(Method::DELETE, "/Recordings/", refuse(500));
    assert_eq!(delete(&world, &sid).await.status, 202);
    world.settle().await;
    assert_eq!((transcript_deletions(&world), twilio_deletions(&world)), (0, vec!["audio"]));

    world.assemblyai.control.fail_next(Method::DELETE, "/v2/transcript/", refuse(500));
    world.after(HOUR).await;
    assert_eq!((transcript_deletions(&world), twilio_deletions(&world).contains(&"call")), (1, false));
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["is_deleting"]), (&json!("deleting"), &json!(true)));
    assert_eq!((&call["transcripts"], &call["recordings"], &call["keyterms"]), (&json!([]), &json!([]), &json!([])));
    assert!(call["reason"].as_str().is_some_and(|reason| reason.starts_with("AssemblyAI failed")), "{call:#}");

    world.twilio.control.fail_next(Method::DELETE, "/Calls/", refuse(500));
    world.after(HOUR).await;
    assert!(
        found(&world).await.iter().any(|found| found.starts_with("Hello")),
        "the store lost the call before Twilio did"
    );
    world.after(HOUR).await;
    assert_deleted(&world, &sid).await;
}

#[tokio::test]
async fn what_a_vendor_no_longer_has_counts_as_deleted() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    world.twilio.control.fail_next(Method::GET, "/Recordings.json", refuse(404));
    for path in ["/Recordings/", "/Calls/"] {
        fail_step(&world.twilio.control, &Method::DELETE, path, &refuse(404));
    }
    fail_step(&world.assemblyai.control, &Method::DELETE, "/v2/transcript/", &refuse(404));
    delete_completely(&world, &sid).await;
}

#[tokio::test]
async fn a_transcript_that_assemblyai_refuses_to_delete_twice_counts_as_deleted() {
    let world = World::with_deadlines(&[], no_retries()).await;
    let sid = transcribed(&world).await;
    world.twilio.control.fail_next(Method::DELETE, "/Calls/", refuse(500));
    assert_eq!(delete(&world, &sid).await.status, 202);
    world.settle().await;
    assert_eq!(world.call(&sid).await["progress"], "deleting");
    world.assemblyai.control.fail_next(Method::DELETE, "/v2/transcript/", refuse(400));
    world.after(HOUR).await;
    assert_deleted(&world, &sid).await;
}

#[tokio::test]
async fn a_list_of_transcripts_that_cannot_be_read_keeps_no_known_transcript_from_being_deleted() {
    let world = World::with_deadlines(&[], no_retries()).await;
    let sid = transcribed(&world).await;
    let no_end = Fault::wrong_body(r#"{"page_details": {"prev_url": "/v2/transcript"}, "transcripts": []}"#);
    for _ in 0..100 {
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", no_end.clone());
    }
    assert_eq!(delete(&world, &sid).await.status, 202);
    world.settle().await;
    assert_eq!(transcript_deletions(&world), 0, "the list may name a second transcript");
    for _ in 0..4 {
        world.after(HOUR).await;
    }
    assert_deleted(&world, &sid).await;
    assert_happened(transcript_deletions(&world), 1);
}

#[tokio::test]
async fn a_lasting_refusal_by_a_vendor_is_shown_and_retried_on_request() {
    let world = World::with_deadlines(&[], no_retries()).await;
    let sid = transcribed(&world).await;
    for _ in 0..8 {
        world.twilio.control.fail_next(Method::DELETE, "/Recordings/", refuse(401));
    }
    assert_eq!(delete(&world, &sid).await.status, 202);
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await;
    assert!(
        page.text().contains("Deleting the call here, at Twilio and at AssemblyAI.") && page.text().contains(REFRESH),
        "{}",
        page.text()
    );
    for _ in 0..10 {
        world.after(HOUR).await;
    }
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["can_retry"]), (&json!("deleting"), &json!(true)), "{call:#}");
    let reason = call["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Twilio refused callscribe's credentials"), "{reason}");
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await;
    assert!(page.text().contains("Retry deletion") && !page.text().contains(REFRESH), "{}", page.text());
    assert_eq!(world.get("/calls").await.json()["calls"][0]["is_deleting"], true);

    assert_eq!(twilio_deletions(&world).len(), 8, "retries must end after eight requests");
    assert_eq!(world.post_form(&format!("/calls/{sid}/retry"), "").await.status, 200);
    world.settle().await;
    assert_deleted(&world, &sid).await;
}

#[tokio::test]
async fn a_call_that_is_up_or_is_being_transcribed_is_not_deleted() {
    let world = World::new().await;
    let refused = async |sid: &str, why: &str| {
        assert!(delete(&world, sid).await.problem(409, "not-deletable").contains(why));
        let path = format!("/calls/{sid}/delete");
        assert!(world.get(&path).await.problem(409, "not-deletable").contains(why));
        assert_eq!(world.call(sid).await["can_delete"], false);
    };
    world.twilio.hold(Stage::Completed);
    let sid = world.dial(NUMBER).await;
    refused(&sid, "the call is not over").await;
    world.assemblyai.hold();
    world.twilio.release(Stage::Completed);
    world.settle().await;
    refused(&sid, "a transcript of the call is being made").await;
    world.assemblyai.release();
    world.settle().await;
    assert!(twilio_deletions(&world).is_empty() && transcript_deletions(&world) == 0);
    assert_eq!(world.call(&sid).await["progress"], "done");
    delete_completely(&world, &sid).await;
}

#[tokio::test]
async fn an_unknown_call_cannot_be_deleted() {
    let world = World::new().await;
    for method in [Method::GET, Method::POST] {
        let path = "/calls/CA0123456789abcdef0123456789abcdef/delete";
        world.send(method, path, &[], "").await.problem(404, "no-such-call");
    }
    delete(&world, "911").await.problem(400, "bad-request");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn the_confirmation_page_lists_what_is_deleted_where_and_deletes_nothing() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let path = format!("/calls/{sid}/delete");
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
    let vendor_requests = world.vendor_requests();
    let page = world.get_with(&path, &[("accept", "text/html")]).await;
    assert_eq!(page.status, 200);
    let page = page.text();
    for text in [
        "+14155551234",
        "<strong>Here</strong>: its numbers, its key terms, its transcript with all words, the details of its recording",
        "<strong>At Twilio</strong>: all recordings of the call, with their audio, and the call's entry in Twilio's log",
        "<strong>At AssemblyAI</strong>: its transcripts",
        &format!("<form method=\"post\" action=\"{path}\">"),
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    // Beside those of the layout's messages, which a script shows.
    let (main, _) = page.split_once("</main>").expect("a main part");
    assert_eq!(main.matches("<button").count(), 1);
    assert_eq!(world.send(Method::HEAD, &path, &[], "").await.status, 200);
    world.settle().await;
    assert_eq!((world.vendor_requests(), &world.call(&sid).await["progress"]), (vendor_requests, &json!("done")));

    let browser = [("accept", "text/html"), ("origin", world.base.as_str()), ("sec-fetch-site", "same-origin")];
    let answer = world.send(Method::POST, &path, &browser, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, format!("/calls/{sid}").as_str()));
    world.settle().await;
    assert_deleted(&world, &sid).await;
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await;
    assert!(page.status == 410 && page.text().contains("The call was deleted"), "{}", page.text());
}

#[tokio::test]
async fn neither_strangers_nor_other_sites_can_delete() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let path = format!("/calls/{sid}/delete");
    for headers in [
        [("host", "example.ngrok.app"), ("accept", "*/*")],
        [("x-forwarded-for", "203.0.113.7"), ("accept", "*/*")],
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
        [("origin", "null"), ("accept", "*/*")],
    ] {
        world.send(Method::POST, &path, &headers, "").await.problem(403, "forbidden");
    }
    world.settle().await;
    assert!(twilio_deletions(&world).is_empty() && transcript_deletions(&world) == 0);
    assert_eq!(world.call(&sid).await["progress"], "done");
}

#[tokio::test]
async fn no_late_callback_restores_a_deleted_call() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let token = world.call(&sid).await["id"].as_str().expect("an id").to_owned();
    let recording = world.twilio.recordings_of(&sid).remove(0);
    let submitted = world.transcript_requests().pop().expect("a submitted transcript");
    let webhook = submitted["webhook_url"].as_str().expect("a webhook").trim_start_matches(&world.base).to_owned();
    let secret = submitted["webhook_auth_header_value"].as_str().expect("a secret").to_owned();
    let transcript = world.assemblyai.transcripts().pop().expect("a transcript")["id"].clone();
    delete_completely(&world, &sid).await;
    let (vendor_requests, count) = (world.vendor_requests(), "SELECT count(*) FROM transcripts");
    let transcripts = world.store.number(count).await;

    for query in ["", &format!("?t={token}")] {
        for status in ["ringing", "in-progress", "completed"] {
            let callback = call_callback(&sid, status);
            assert_eq!(world.callback(&format!("/hooks/twilio/call{query}"), &callback).await.status, 204);
            let callback = recording_callback(&sid, &recording);
            assert_eq!(world.callback(&format!("/hooks/twilio/recording{query}"), &callback).await.status, 204);
        }
    }
    let body = json!({"transcript_id": transcript, "status": "completed"}).to_string();
    assert_eq!(world.send(Method::POST, &webhook, &[(SECRET_HEADER, &secret)], &body).await.status, 204);
    world.after(HOUR).await;
    assert_deleted(&world, &sid).await;
    assert_eq!((world.store.number(count).await, world.vendor_requests()), (transcripts, vendor_requests));
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 1);

    let id = transcript.as_str().expect("an id");
    world.get(&format!("/transcript/{id}?format=text")).await.problem(410, "deleted");
    world.post_json("/transcribe", &json!({"recording_sid": recording})).await.problem(410, "deleted");
    world.post_form(&format!("/calls/{sid}/retry"), "").await.problem(410, "deleted");
    delete(&world, &sid).await.problem(410, "deleted");
    world.settle().await;
    assert_eq!(world.vendor_requests(), vendor_requests);
}

#[tokio::test]
async fn a_recording_reported_after_its_call_was_deleted_is_deleted_and_not_transcribed() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let submitted = world.transcript_requests().len();
    delete_completely(&world, &sid).await;
    let late = world.twilio.add_recording(SeededRecording { call_sid: sid.clone(), ..Default::default() });
    assert_eq!(world.callback("/hooks/twilio/recording", &recording_callback(&sid, &late)).await.status, 204);
    world.settle().await;
    assert_eq!((world.twilio.recording_status(&late), world.transcript_requests().len()), (None, submitted));
    assert_deleted(&world, &sid).await;
}

#[tokio::test]
async fn a_recording_without_a_callback_is_deleted_with_its_call() {
    let world = World::new().await;
    let sid = transcribed(&world).await;
    let other = world.twilio.add_recording(SeededRecording { call_sid: sid.clone(), ..Default::default() });
    delete_completely(&world, &sid).await;
    assert_eq!(world.twilio.recording_status(&other), None);
}

#[tokio::test]
async fn a_deleted_lost_call_that_turns_up_at_twilio_is_deleted_there() {
    // The short deadline shortens the wait of the ambiguous dial.
    let world = World::with_deadlines(&[], Deadlines { answer: Duration::from_secs(1), ..no_retries() }).await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(500));
    world.get(&format!("/dial/{NUMBER}")).await.problem(502, "vendor-ambiguous");
    for _ in 0..4 {
        world.after(Duration::from_secs(40)).await;
    }
    let call = world.get("/calls").await.json()["calls"][0].clone();
    let id = call["id"].as_str().expect("an id");
    assert_eq!(call["state"], "lost");
    delete_completely(&world, id).await;

    let sid = world.twilio.add_call(SeededCall::default());
    let callback = call_callback(&sid, "completed");
    assert_eq!(world.callback(&format!("/hooks/twilio/call?t={id}"), &callback).await.status, 204);
    world.after(HOUR).await;
    assert_eq!(world.twilio.call_status(&sid), None);
    assert_deleted(&world, &sid).await;
}

/// Dials a call whose transcript AssemblyAI makes without answering, and whose search for it has failed for hours. Returns
/// its SID.
async fn call_with_an_unanswered_order(world: &World) -> String {
    world.assemblyai.control.set_callbacks(Callbacks::Drop);
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(503));
    let sid = world.dial(NUMBER).await;
    world.settle().await;
    world.assemblyai.control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
    for _ in 0..9 {
        world.after(HOUR).await;
    }
    world.assemblyai.control.stop_random_faults();
    sid
}

#[tokio::test]
async fn a_transcript_whose_submission_got_no_answer_is_found_at_assemblyai_and_deleted() {
    let world = World::with_deadlines(&[], no_retries()).await;
    let sid = call_with_an_unanswered_order(&world).await;
    assert_eq!(world.call(&sid).await["progress"], "failed");
    assert_ne!(world.assemblyai.transcripts()[0]["text"], "Deleted by user.");
    delete_completely(&world, &sid).await;
    assert_eq!(world.assemblyai.transcripts()[0]["text"], "Deleted by user.");
}

#[tokio::test]
async fn a_transcript_whose_submission_got_no_answer_is_deleted_however_wrong_our_clock_is_or_was() {
    const DAYS_400: Duration = Duration::from_secs(400 * 24 * 60 * 60);
    for (ahead, was_ahead) in [(DAYS_400, Duration::ZERO), (Duration::ZERO, DAYS_400)] {
        let clock = Clock::manual(now() + ahead);
        let world = World::with_clock(&[], no_retries(), clock, Duration::from_secs(20)).await;
        let sid = call_with_an_unanswered_order(&world).await;
        let dated = format!("UPDATE transcripts SET asked_at = asked_at + {}", was_ahead.as_millis());
        world.store.execute(&dated).await.expect("an order with that date");
        delete_completely(&world, &sid).await;
        assert_eq!(world.assemblyai.transcripts()[0]["text"], "Deleted by user.", "{ahead:?} {was_ahead:?}");
    }
}

#[tokio::test]
async fn a_deleted_call_still_counts_as_dialed() {
    let world = World::with(&[("DIAL_PER_DAY", "1")]).await;
    let sid = world.dial(NUMBER).await;
    world.settle().await;
    delete_completely(&world, &sid).await;
    world.get("/dial/14155559999").await.problem(429, "too-many-calls");
}

#[tokio::test]
async fn a_deleted_conversation_still_counts_as_two_calls() {
    let world = World::with(&[("OPERATOR_PHONES", "+14155550100"), ("DIAL_PER_DAY", "3")]).await;
    let sid = world.dial(&format!("{NUMBER}?with=me")).await;
    world.settle().await;
    delete_completely(&world, &sid).await;
    world.get("/dial/14155559999?with=me").await.problem(429, "too-many-calls");
    world.dial("14155559999").await;
    world.get("/dial/14155559998").await.problem(429, "too-many-calls");
}

#[tokio::test]
async fn what_a_proxy_answers_to_a_deletion_deletes_nothing_here() {
    for status in [301, 304, 404, 408, 409, 410, 425, 499, 502] {
        for (kind, path) in [("audio", "/Recordings/"), ("transcript", "/v2/transcript/"), ("call", "/Calls/")] {
            let world = World::with_deadlines(&[], no_retries()).await;
            let sid = transcribed(&world).await;
            let vendor = if kind == "transcript" { &world.assemblyai.control } else { &world.twilio.control };
            fail_step(vendor, &Method::DELETE, path, &Fault::Proxy { status, is_carried_out: false });
            assert_eq!(delete(&world, &sid).await.status, 202);
            world.settle().await;
            let call = world.call(&sid).await;
            assert_eq!(call["progress"], "deleting", "{status} for the {kind}: {call:#}");
            if steps_repeat() {
                continue;
            }
            world.after(Duration::from_secs(60)).await;
            assert_deleted(&world, &sid).await;
            assert_eq!(world.twilio.call_status(&sid), None, "{status} for the {kind}");
        }
    }
}
