//! The store: which databases it refuses, what it guarantees, and what happens while it is unavailable.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use callscribe::failpoint::Commit;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio::{self, SeededCall, SeededRecording};
use futures_util::future::{join, join_all};
use reqwest::Method;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::support::callbacks::CALL_PARAMS;
use crate::support::command::{ENOUGH, Folder, Program, with};
use crate::support::store::{Database, server};
use crate::support::{Answer, World, assert_happened, client};

/// The pause between two checks of the database.
const SECOND: Duration = Duration::from_secs(1);

/// The path of a SQLite store.
fn file(store: &Database) -> PathBuf {
    PathBuf::from(store.url.trim_start_matches("sqlite://"))
}

/// A connection with this transaction, so that nothing else can write to the store.
async fn held(store: &Database, begin: &'static str) -> rusqlite::Connection {
    let file = file(store);
    let hold = move || {
        let other = rusqlite::Connection::open(file)?;
        other.execute_batch(begin).map(|()| other)
    };
    tokio::task::spawn_blocking(hold).await.expect("no panic").expect("the lock")
}

/// Starts the program on this store and stops it, so that its tables exist.
fn create_tables(store: &Database) {
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)]));
    program.address();
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

/// Asserts that the program refuses to start on this database, with one line about it.
fn assert_refused(url: &str, reason: &str) {
    let folder = Folder::new();
    let ended = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", url)])).refused();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let lines: Vec<&String> = ended.stderr.iter().filter(|line| line.starts_with("DATABASE_URL: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains(reason), "{reason} in {ended:?}");
}

/// Asserts that the program refuses to start on this file, and does not change it.
fn assert_left_alone(store: &Database, url: &str, reason: &str) {
    let before = fs::read(file(store)).expect("a file");
    assert_refused(url, reason);
    assert!(fs::read(file(store)).expect("a file") == before, "the file is unchanged");
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let store = Database::new();
    create_tables(&store);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 999, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    store.execute(newer).await.expect("a row");
    if store.is_postgres() {
        assert_refused(&store.url, "newer version of callscribe");
    } else {
        assert_left_alone(&store, &store.url, "newer version of callscribe");
    }
    assert_eq!(store.number("SELECT max(version) FROM _sqlx_migrations").await, 999);
}

#[tokio::test]
async fn a_store_of_an_older_program_is_migrated_without_loss() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    // An order of the first version does not say what it was submitted with, nor what it cost.
    let call = async || {
        let mut call = world.call(&sid).await;
        for column in ["speech_models_sent", "keyterms_sent", "keyterms_left_out", "cost_usd"] {
            call["transcripts"][0][column].take();
        }
        call["cost_usd"].take();
        // Nor does a row of the history say who has asked for it.
        for event in call["timeline"].as_array_mut().expect("events") {
            event["by"].take();
        }
        call
    };
    let before = call().await;
    let newest = world.store.number("SELECT max(version) FROM _sqlx_migrations").await;
    // The history as the first migration creates it.
    let first = include_str!("../../src/store/migrations/sqlite/0001_calls.sql");
    let history = if world.store.is_postgres() {
        String::new()
    } else {
        format!(
            "ALTER TABLE history RENAME TO newer; DROP TRIGGER history_is_append_only_update; \
             DROP TRIGGER history_is_append_only_delete; DROP INDEX history_of_call; DROP INDEX history_of_subject; \
             {} INSERT INTO history SELECT * FROM newer; DROP TABLE newer;",
            &first[first.find("CREATE TABLE history").expect("a table")..]
        )
    };
    let older = format!(
        "ALTER TABLE history DROP COLUMN made_by; {history} CREATE INDEX calls_newest ON calls (created_at, id); DROP INDEX calls_unsummarized; DROP INDEX calls_listed; \
         DROP INDEX calls_of_progress; DROP INDEX calls_of_kind; DROP INDEX calls_no_uploads; DROP INDEX calls_of_direction; \
         DROP INDEX calls_unchecked; DROP INDEX calls_by_length; ALTER TABLE calls DROP COLUMN progress; \
         ALTER TABLE calls DROP COLUMN recorded_seconds; DROP TABLE spoken_text; DROP TABLE spoken; DROP TABLE unsearched; DROP INDEX calls_to_end; \
         DROP INDEX calls_from_end; DROP INDEX calls_of_state; \
         DROP INDEX recordings_uploaded; ALTER TABLE recordings DROP COLUMN audio; DROP INDEX calls_uploaded; \
         DROP INDEX calls_tagged; ALTER TABLE calls DROP COLUMN title; ALTER TABLE calls DROP COLUMN file_name; \
         ALTER TABLE calls DROP COLUMN folded_title; \
         ALTER TABLE calls DROP COLUMN base_url; DROP TABLE IF EXISTS dialling; \
         DROP INDEX calls_press; DROP INDEX calls_dialled; DROP INDEX calls_redated; DROP TABLE ended_sessions; \
         DROP TABLE readiness; \
         DROP INDEX calls_by_cost; ALTER TABLE calls DROP COLUMN cost_microusd; \
         DROP INDEX transcripts_costs; DROP INDEX calls_prices; \
         ALTER TABLE calls DROP COLUMN price_millionths; ALTER TABLE calls DROP COLUMN price_unit; \
         DROP INDEX transcripts_automatic; DROP INDEX transcripts_automatic_redated; DROP INDEX recordings_over_budget; \
         ALTER TABLE transcripts DROP COLUMN automatic_at; ALTER TABLE transcripts DROP COLUMN estimate_microusd; \
         ALTER TABLE transcripts DROP COLUMN cost_microusd; ALTER TABLE recordings DROP COLUMN over_budget_at; \
         ALTER TABLE recordings DROP COLUMN over_budget_microusd; \
         DROP INDEX transcripts_unasked; DROP INDEX transcripts_redated; \
         ALTER TABLE transcripts DROP COLUMN unasked_at; DROP TABLE IF EXISTS transcribing; \
         ALTER TABLE transcripts DROP COLUMN submission; ALTER TABLE transcripts DROP COLUMN speech_model_used; \
         DROP TABLE corrections; DROP TABLE replacements; ALTER TABLE transcripts DROP COLUMN version; \
         DROP TABLE checks; DROP INDEX calls_checked; ALTER TABLE calls DROP COLUMN checked_at; \
         ALTER TABLE transcripts DROP COLUMN checked_at; ALTER TABLE transcripts DROP COLUMN checked_by; \
         ALTER TABLE transcripts DROP COLUMN chosen_at; \
         DROP TABLE idempotency_keys; DROP TABLE tokens; DROP TABLE archived; DROP TABLE deliveries; DROP TABLE receivers; \
         DROP TABLE import_recordings; DROP TABLE imports; DROP INDEX calls_imported; ALTER TABLE calls DROP COLUMN import; \
         DROP TABLE trial_figures; DROP TABLE trial_recordings; DROP TABLE trials; DROP INDEX transcripts_of_trial; \
         ALTER TABLE transcripts DROP COLUMN trial; ALTER TABLE transcripts DROP COLUMN arm; \
         DROP TABLE blind_checks; DROP TABLE measures; DROP TABLE confidences; DROP TABLE term_uses; DROP TABLE terms; DROP TABLE active_terms; DROP TABLE refused_models; DROP TABLE unreported_calls; DROP TABLE contacts; \
         DROP INDEX calls_active_operator; DROP INDEX calls_dialed_conversations; DROP TABLE legs; \
         ALTER TABLE calls DROP COLUMN operator_number; ALTER TABLE calls DROP COLUMN kind; ALTER TABLE calls DROP COLUMN tag; \
         DROP TABLE speakers; DROP TABLE swapped_calls; ALTER TABLE transcripts DROP COLUMN channels_differ; \
         ALTER TABLE calls DROP COLUMN press; ALTER TABLE calls DROP COLUMN dialled_at; \
         ALTER TABLE calls DROP COLUMN deletion; \
         DROP INDEX jobs_lost; DROP INDEX jobs_failed; ALTER TABLE jobs DROP COLUMN losses; \
         DELETE FROM _sqlx_migrations WHERE version > 1"
    );
    let checksum = "SELECT CAST(sum(number * (number + rank + at % 1000)) AS BIGINT) FROM history";
    let checksum_before = world.store.number(checksum).await;
    world.store.execute(&older).await.expect("the tables of the first version");
    let newer = world.another_app().await;
    assert!(newest > 1 && world.store.number("SELECT max(version) FROM _sqlx_migrations").await == newest);
    assert_eq!(call().await, before);
    assert_eq!(world.store.number(checksum).await, checksum_before);
    for change in ["UPDATE history SET at = 0", "DELETE FROM history"] {
        assert!(world.store.execute(change).await.is_err(), "{change}");
    }
    world.dial("14155551234").await;
    assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE base_url IS NOT NULL").await, 1);
    newer.stop().await;
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let store = Database::sqlite();
    fs::write(file(&store), "this is no database, and never was one\n".repeat(100)).expect("a file");
    assert_left_alone(&store, &store.url, "is not a SQLite database, or is damaged");

    let store = Database::sqlite();
    create_tables(&store);
    let mut bytes = fs::read(file(&store)).expect("a file");
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    fs::write(file(&store), bytes).expect("a file");
    assert_left_alone(&store, &store.url, "is not a SQLite database, or is damaged");
}

#[test]
fn a_file_of_another_user_is_used_with_a_warning_if_root_names_it() {
    let store = Database::sqlite();
    create_tables(&store);
    if std::os::unix::fs::chown(file(&store), Some(65_534), Some(65_534)).is_err() {
        println!("skipped: only root can give files to another user");
        return;
    }
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)]));
    program.address();
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.iter().any(|line| line.contains("the database file belongs to another user")), "{ended:?}");
}

#[tokio::test]
async fn a_large_damaged_file_is_detected_soon_after_start() {
    let store = Database::sqlite();
    create_tables(&store);
    create_tables(&store);
    let sql = "WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 60000) \
               INSERT INTO history (kind, subject, state, rank, round, reason, at) \
               SELECT 'call', hex(randomblob(16)), 'queued', 1, 1, hex(randomblob(64)), n FROM each";
    store.execute(sql).await.expect("rows");
    let mut bytes = fs::read(file(&store)).expect("a file");
    assert!(bytes.len() > 10 << 20);
    let end = bytes.len() - (64 << 10);
    bytes[end..].fill(0xa5);
    fs::write(file(&store), bytes).expect("a file");
    let folder = Folder::new();
    let ended = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)])).end();
    assert_eq!(ended.code, Some(2), "{}", ended.all());
    let line = "DATABASE_URL: is not a SQLite database, or is damaged; restore it from a backup, or name another file";
    assert!(ended.stderr.iter().any(|other| other == line), "{}", ended.all());
}

#[tokio::test]
async fn the_file_of_another_program_is_refused_and_left_alone() {
    let store = Database::sqlite();
    fs::write(file(&store), "").expect("a file");
    store.execute("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')").await.expect("a table");
    assert_left_alone(&store, &store.url, "belongs to another program");
}

#[test]
fn a_read_only_file_is_refused_and_left_alone() {
    let store = Database::sqlite();
    create_tables(&store);
    assert_left_alone(&store, &format!("{}?mode=ro", store.url), "cannot be written to");
}

#[test]
fn a_missing_folder_is_not_created() {
    let store = Database::sqlite();
    let folder = file(&store).with_file_name("none");
    assert_refused(
        &format!("sqlite://{}/callscribe.db", folder.display()),
        "cannot be opened: its folder does not exist",
    );
    assert!(!folder.exists());
}

#[test]
fn a_folder_or_a_link_to_nothing_is_no_database() {
    let folder = Folder::new();
    let path = folder.path().display();
    assert_refused(&format!("sqlite://{path}"), "is a folder; name a file in it");
    std::os::unix::fs::symlink(folder.path().join("none"), folder.path().join("link.db")).expect("a link");
    assert_refused(&format!("sqlite://{path}/link.db"), "it is a link to a file that does not exist");
}

#[test]
fn a_server_that_cannot_be_reached_is_reported_with_the_reason() {
    assert_refused("postgres://me@127.0.0.1:1/calls", "cannot be reached: connection refused");
    assert_refused("postgres://me@localhost/calls?host=/nowhere", "cannot be reached: no such file or socket");
    assert_refused("postgres://me@nowhere.invalid/calls", "cannot be reached: failed to lookup address");
}

#[tokio::test]
async fn a_database_that_lacks_characters_is_refused_and_left_alone() {
    let Some(server) = server() else { return };
    let mut connection = PgConnection::connect(&server).await.expect("a connection");
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("callscribe_test_{}_{}", std::process::id(), encoding.to_lowercase());
        let (drop, create) = (
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"),
        );
        for statement in [&drop, &create] {
            connection.execute(AssertSqlSafe(statement.as_str())).await.expect("a database");
        }
        let mut url = url::Url::parse(&server).expect("a URL");
        url.set_path(&name);
        assert_refused(url.as_str(), &format!("has the encoding {encoding}"));
        let mut refused = PgConnection::connect(url.as_str()).await.expect("a connection");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut refused).await.expect("a number");
        assert_eq!(tables, 0);
        refused.close().await.expect("the connection ends");
        connection.execute(AssertSqlSafe(drop.as_str())).await.expect("it is gone");
    }
}

#[test]
fn only_the_owner_may_read_the_file() {
    let store = Database::sqlite();
    let folder = Folder::new();
    for creator in ["created by callscribe", "made readable by others"] {
        let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)]));
        program.address();
        let files = fs::read_dir(file(&store).parent().expect("a folder")).expect("a folder");
        let files: Vec<_> = files.map(|entry| entry.expect("a file").path()).collect();
        assert!(files.contains(&file(&store)), "{files:?}");
        for path in files {
            // The file that shows that there is room is there for a moment only.
            let Ok(of_file) = fs::metadata(&path) else {
                assert!(path.to_string_lossy().contains("-room-"), "{path:?}");
                continue;
            };
            let (mode, expected) = (of_file.permissions().mode(), if of_file.is_dir() { 0o700 } else { 0o600 });
            assert_eq!(mode & 0o777, expected, "{path:?}, {creator}");
        }
        program.signal("TERM");
        program.end();
        fs::set_permissions(file(&store), fs::Permissions::from_mode(0o644)).expect("a file of ours");
    }
}

#[tokio::test]
async fn the_file_has_a_write_ahead_log() {
    let store = Database::sqlite();
    create_tables(&store);
    assert_eq!(store.texts("PRAGMA journal_mode").await, ["wal"]);
}

#[tokio::test]
async fn history_is_never_changed() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let before = world.call(&sid).await;
    for statement in [
        "UPDATE history SET state = 'lost'",
        "UPDATE history SET state = 'lost', reason = NULL",
        "UPDATE history SET reason = 'another'",
        "UPDATE history SET call_id = NULL, reason = NULL",
        "DELETE FROM history",
    ] {
        let refused = world.store.execute(statement).await.expect_err(statement);
        assert!(refused.to_string().contains("history is append-only"), "{refused}");
    }
    assert_eq!(world.call(&sid).await["timeline"], before["timeline"]);
}

/// The parameters of Twilio's status callback.
fn progress(status: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut params = CALL_PARAMS.to_vec();
    params.retain(|(name, _)| *name != "CallStatus");
    params.push(("CallStatus", status));
    params
}

#[tokio::test]
async fn nothing_is_dialed_or_ingested_while_the_file_is_gone() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    assert_eq!(world.get("/readyz").await.status, 200);
    let (path, elsewhere) = (file(&store), file(&store).with_file_name("elsewhere.db"));
    for put_another_there in [false, true] {
        fs::rename(&path, &elsewhere).expect("a file");
        if put_another_there {
            fs::copy(&elsewhere, &path).expect("a file");
        }
        // The worker does this every second.
        world.app.store().watch_file();
        world.clock.advance(SECOND);
        assert_eq!(world.get("/readyz").await.status, 503);
        assert_eq!(world.get("/dial/14155551234").await.status, 503);
        assert_eq!(world.callback("/hooks/twilio/call", &progress("ringing")).await.status, 503);
        let voice = world.callback("/record/", &CALL_PARAMS).await;
        assert!(voice.status == 200 && voice.text().contains("<Record"), "{}", voice.text());
        assert_eq!(world.calls_placed(), 0);

        fs::rename(&elsewhere, &path).expect("a file");
        world.app.store().watch_file();
        world.clock.advance(SECOND);
        assert_eq!(world.get("/readyz").await.status, 200);
    }
    world.dial("14155551234").await;
}

#[tokio::test]
async fn a_caller_is_greeted_while_another_program_holds_the_file() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let other = held(&store, "BEGIN EXCLUSIVE").await;
    let params = progress("ringing");
    // The callback waits for the lock, and is not acknowledged without it.
    let greeted = async {
        let voice = world.callback("/record/", &CALL_PARAMS).await;
        assert!(voice.status == 200 && voice.text().contains("<Record"), "{}", voice.text());
        world.signed(Method::POST, "/hooks/twilio/call", "x", "").await.problem(403, "forbidden");
        assert_eq!(world.get("/calls").await.status, 200);
    };
    let (refused, ()) = join(world.callback("/hooks/twilio/call", &params), greeted).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    other.execute_batch("ROLLBACK").expect("no lock");
    assert_eq!(world.callback("/hooks/twilio/call", &params).await.status, 204);
    assert_eq!(store.number("SELECT count(*) FROM calls").await, 1);
}

#[tokio::test]
async fn a_caller_whose_callbacks_could_not_be_stored_is_found_and_transcribed_once_the_lock_ends() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    // Twilio has old calls, too.
    world.twilio.add_call(SeededCall::default());
    let (call, other) = (world.twilio.add_call(SeededCall::default()), world.twilio.add_call(SeededCall::default()));
    let record =
        |call: &String| world.twilio.add_recording(SeededRecording { call_sid: call.clone(), ..Default::default() });
    let (recording, unreported) = (record(&call), record(&other));
    let params = |call| {
        let mut params = progress("completed");
        params.retain(|(name, _)| !["CallSid", "Direction"].contains(name));
        params.extend([("CallSid", call), ("Direction", "inbound")]);
        params
    };
    let mut of_leg = params("CA00000000000000000000000000000077");
    of_leg.push(("ParentCallSid", &call));
    let finished = [
        ("AccountSid", twilio::ACCOUNT_SID),
        ("CallSid", &*other),
        ("RecordingSid", &*unreported),
        ("RecordingStatus", "completed"),
    ];

    let lock = held(&store, "BEGIN EXCLUSIVE").await;
    // One after the other: two that wait together for the lock would outlast it.
    assert_eq!(world.callback("/hooks/twilio/call", &params(&call)).await.status, 503);
    assert_eq!(world.callback("/hooks/twilio/recording", &finished).await.status, 503);
    assert_eq!(world.callback("/hooks/twilio/call", &of_leg).await.status, 204);
    lock.execute_batch("ROLLBACK").expect("no lock");

    world.settle().await;
    world.after(Duration::from_secs(61)).await;
    assert_eq!(store.number("SELECT count(*) FROM calls").await, 2, "neither the old call nor the leg");
    for (call, recording) in [(&call, &recording), (&other, &unreported)] {
        let found = world.call(call).await;
        assert_eq!(found["transcripts"][0]["recording_sid"], **recording, "{found}");
        assert_eq!(found["transcripts"][0]["state"], "completed", "{found}");
    }
    assert_happened(world.transcript_requests().len(), 2);
}

#[tokio::test]
async fn a_forwarded_call_that_was_taken_while_another_program_holds_the_file_is_a_conversation() {
    let store = Database::sqlite();
    let world =
        World::with(&[("DATABASE_URL", &store.url), ("OPERATOR_PHONES", "+14155550100"), ("INBOUND", "forward")]).await;
    let call = format!("CA{}", "b".repeat(32));
    let leg = |number: usize| format!("CAd{number:031}");
    let ask = async |path: &str, params: &[(&str, &str)]| {
        let of_account = [("AccountSid", twilio::ACCOUNT_SID), ("CallStatus", "in-progress")];
        world.callback(path, &[&of_account, params].concat()).await
    };
    let inbound = [("CallSid", &*call), ("Direction", "inbound"), ("To", "+15005550006"), ("From", "+14155559876")];
    let of_leg = [("ParentCallSid", &*call), ("Direction", "outbound-dial"), ("To", "+14155550100")];
    assert!(ask("/record/", &inbound).await.text().contains("<Dial"));
    world.settle().await;

    let lock = held(&store, "BEGIN EXCLUSIVE").await;
    // More than may wait for the lock at once.
    for number in 0..70 {
        let key = [("CallSid", &*leg(number)), ("Digits", "1")];
        let taken = ask("/record/take/key/", &[&of_leg[..], &key].concat()).await;
        assert!(taken.text().ends_with("<Response></Response>"), "{}", taken.text());
    }
    // It waits for the lock behind what the keys have told.
    assert_eq!(ask("/hooks/twilio/leg", &[&of_leg[..], &[("CallSid", &*leg(0))]].concat()).await.status, 503);
    lock.execute_batch("ROLLBACK").expect("no lock");

    world.settle().await;
    assert_eq!(world.call(&call).await["kind"], "conversation");
    assert_eq!(store.number("SELECT count(*) FROM legs WHERE bridged = 1").await, 70);
}

/// The answer to a stranger.
async fn readiness_for_stranger(world: &World) -> Answer {
    world.get_with("/readyz", &[("x-forwarded-for", "203.0.113.7")]).await
}

#[tokio::test]
async fn the_database_is_checked_at_most_once_a_second_and_never_for_strangers() {
    let world = World::new().await;
    let checked_at = async || world.store.number("SELECT coalesce(max(checked_at), 0) FROM readiness").await;
    assert_eq!(readiness_for_stranger(&world).await.text(), "ok\n");
    assert_eq!(checked_at().await, 0, "no check yet");
    let first = world.clock.now_ms();
    for _ in 0..2 {
        join_all((0..20).map(|_| async { assert_eq!(world.get("/readyz").await.text(), "ok\n") })).await;
        assert_eq!((checked_at().await, world.store.number("SELECT count(*) FROM readiness").await), (first, 1));
        world.clock.advance(SECOND - Duration::from_millis(1));
    }
    // What nobody has checked is not known.
    world.store.execute("ALTER TABLE readiness RENAME TO unready").await.expect("SQL");
    assert_eq!(readiness_for_stranger(&world).await.text(), "ok\n");
    world.get("/readyz").await.problem(503, "database");
    world.store.execute("ALTER TABLE unready RENAME TO readiness").await.expect("SQL");
    let told = readiness_for_stranger(&world).await;
    assert_eq!(told.problem(503, "database"), "the database cannot be written; the log says why");
    assert_eq!(told.header("retry-after"), "3");
    world.get("/readyz").await.problem(503, "database");
    world.clock.advance(SECOND);
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(readiness_for_stranger(&world).await.status, 200);
    assert_eq!(checked_at().await, world.clock.now_ms());
}

#[tokio::test]
async fn a_database_that_another_program_locks_is_not_ready() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let other = held(&store, "BEGIN IMMEDIATE").await;
    for _ in 0..3 {
        world.get("/readyz").await.problem(503, "database");
        readiness_for_stranger(&world).await.problem(503, "database");
    }
    other.execute_batch("ROLLBACK").expect("no lock");
    // A check still runs, or the last one failed.
    while world.get("/readyz").await.status != 200 {
        world.clock.advance(SECOND);
    }
    assert_eq!(readiness_for_stranger(&world).await.status, 200);
}

#[tokio::test]
async fn a_database_is_ready_while_a_backup_reads_it_and_another_instance_checks_it_too() {
    let Some(server) = server() else { return };
    let store = Database::postgres(&server);
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let (other, url) = world.another_app_with_url(&[("DATABASE_URL", &store.url)]).await;
    let mut backup = PgConnection::connect(&store.url).await.expect("a connection");
    // As pg_dump does with each table.
    backup.execute("BEGIN; LOCK TABLE readiness IN ACCESS SHARE MODE").await.expect("the lock");
    let other_is_ready = async || {
        let answer = client().get(format!("{url}/readyz")).send().await.expect("an answer");
        answer.status().as_u16()
    };
    for _ in 0..20 {
        let (answer, status) = join(world.get("/readyz"), other_is_ready()).await;
        assert!(answer.status == 200 && status == 200, "{} and {status}", answer.text());
        world.clock.advance(SECOND);
    }
    drop(backup);
    other.stop().await;
}

#[tokio::test]
async fn a_database_without_room_for_a_file_beside_it_is_not_ready() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let beside = PathBuf::from(format!("{}-room-{}", file(&store).display(), std::process::id()));
    // A file that an earlier program left, and a link to a file of somebody else.
    let another = beside.with_extension("another");
    for is_link in [false, true] {
        fs::write(&another, "words").expect("a file");
        if is_link { std::os::unix::fs::symlink(&another, &beside) } else { fs::write(&beside, "left") }.expect("one");
        assert_eq!(world.get("/readyz").await.status, 200);
        assert!(!beside.exists() && fs::read_to_string(&another).expect("a file") == "words");
        world.clock.advance(SECOND);
    }
    fs::remove_file(&another).expect("a file");
    fs::create_dir(&beside).expect("a folder");
    world.get("/readyz").await.problem(503, "database");
    fs::remove_dir(&beside).expect("a folder");
    world.clock.advance(SECOND);
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn two_processes_check_one_file_and_what_a_killed_one_left_is_removed() {
    let store = Database::sqlite();
    create_tables(&store);
    let beside = |name: &str| PathBuf::from(format!("{}-room{name}", file(&store).display()));
    for name in ["-1", "-4194304", "", "-", "-1x", "-mates"] {
        fs::write(beside(name), "left").expect("a file");
    }
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let left = ["-1", "-4194304", "", "-", "-1x", "-mates"].map(|name| beside(name).exists());
    assert_eq!(left, [false, false, true, true, true, true]);
    // In the middle of another process's check.
    fs::write(beside("-1"), "room").expect("a file");
    assert_eq!(world.get("/readyz").await.status, 200);
    assert!(beside("-1").exists(), "the file of another process stays");
}

/// A disk of 64 MB, as only root can have it.
#[cfg(target_os = "linux")]
struct SmallDisk(Folder);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = Folder::new();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The program may still have files open.
        _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_database_on_a_full_disk_is_not_ready() {
    let Some(disk) = SmallDisk::new() else {
        println!("skipped: only root can mount a disk");
        return;
    };
    let url = format!("sqlite://{}", disk.0.path().join("callscribe.db").display());
    let world = World::with(&[("DATABASE_URL", &url)]).await;
    // As the program does after its start: a commit then has room on a full disk.
    world.app.store().preallocate_wal().await;
    assert_eq!(world.get("/readyz").await.status, 200);
    let filler = disk.0.path().join("filler");
    let full = fs::write(&filler, vec![0; 64 << 20]).expect_err("a full disk");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    world.clock.advance(SECOND);
    world.get("/readyz").await.problem(503, "database");
    fs::remove_file(&filler).expect("a file");
    world.clock.advance(SECOND);
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn many_callers_are_greeted_and_do_not_queue_up_at_the_database() {
    let store = Database::sqlite();
    let world = World::with(&[("DATABASE_URL", &store.url)]).await;
    let other = held(&store, "BEGIN EXCLUSIVE").await;
    for number in 0..200 {
        let sid = format!("CA{number:032x}");
        let mut voice = CALL_PARAMS.to_vec();
        voice.retain(|(name, _)| *name != "CallSid");
        voice.push(("CallSid", &sid));
        let voice = world.callback("/record/", &voice).await;
        assert!(voice.status == 200 && voice.text().contains("<Record"), "{}", voice.text());
    }
    other.execute_batch("ROLLBACK").expect("no lock");
    world.app.stop().await;
    let stored = store.number("SELECT count(*) FROM calls").await;
    assert!(stored <= 64, "{stored}");
}

/// Polls a future at most this many times, then drops it.
async fn dropped_after<F: Future>(polls: usize, future: F) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if left > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_transaction_dropped_while_it_begins_leaves_nothing_open_and_loses_no_later_write() {
    /// The number of connections.
    const AT_ONCE: usize = 12;
    let store = Database::new();
    let name = format!("callscribe-dropped-{}", std::process::id());
    let url = if store.is_postgres() { format!("{}&application_name={name}", store.url) } else { store.url.clone() };
    let open = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND state LIKE 'idle in transaction%'"
    );
    let world = World::with(&[("DATABASE_URL", &url)]).await;
    let write = || world.app.store().write(Commit::BuildIndex, "", |conn| async { Ok((conn, ())) });
    for polls in 0..10 {
        join_all((0..AT_ONCE).map(|_| write())).await;
        join_all((0..AT_ONCE).map(|_| dropped_after(polls, write()))).await;
        let mut checks = 0;
        // A dropped connection needs a moment to roll back.
        while store.is_postgres() && store.number(&open).await > 0 {
            checks += 1;
            assert!(checks < 200, "dropped after {polls} polls, a connection stays in its transaction");
        }
        let sid = format!("CA{polls:032x}");
        let mut params = progress("ringing");
        params.retain(|(name, _)| *name != "CallSid");
        params.push(("CallSid", &sid));
        assert_eq!(world.callback("/hooks/twilio/call", &params).await.status, 204);
    }
    assert_eq!(store.number("SELECT count(*) FROM calls").await, 10);
}

#[tokio::test]
async fn a_dead_programs_job_is_taken_over_after_its_lease_expires() {
    if crate::support::steps_repeat() {
        // The test stops a job at its first request to a path, and repeated steps send more of them.
        return;
    }
    for path in ["/v2/upload", "/v2/transcript"] {
        let world = World::new().await;
        world.twilio.mark_recordings();
        let sid = world.dial("14155551234").await;
        world.twilio.settled().await;
        let other = world.another_app().await;
        // The first program gets no response. It does not renew its lease, because its future is not polled meanwhile.
        world.assemblyai.control.fail_next(Method::POST, path, Fault::Late);
        let mut dying = pin!(world.app.run_due_jobs());
        let is_requested = || (!world.assemblyai.control.requests_to(Method::POST, path).is_empty()).then_some(());
        tokio::select! {
            _ = &mut dying => panic!("the job must wait for its response"),
            () = world.assemblyai.control.until(is_requested) => {}
        }
        let progress = async || world.call(&sid).await["progress"].clone();
        for pause in [0, 3_999] {
            world.clock.advance(Duration::from_millis(pause));
            other.run_due_jobs().await;
            assert_eq!(progress().await, "transcribing", "{path}: the first program may still be alive");
        }
        world.clock.advance(Duration::from_millis(1));
        assert!(other.run_due_jobs().await > 0, "{path}");
        for _ in 0..4 {
            other.run_due_jobs().await;
            world.assemblyai.settled().await;
            world.clock.advance(Duration::from_secs(6));
        }
        assert_eq!(progress().await, "done", "{path}");
        let ended = world.call(&sid).await;

        // The first program was alive after all. It must change nothing any more.
        world.assemblyai.control.answer_late_requests();
        dying.await;
        world.settle().await;
        assert_eq!(world.call(&sid).await, ended, "{path}");
        let accepted = world.assemblyai.accepted_per_recording();
        assert_eq!(accepted.into_values().collect::<Vec<_>>(), [1], "{path}");
    }
}
