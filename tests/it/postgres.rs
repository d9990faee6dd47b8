//! Runs the suite a second time with PostgreSQL stores, if `TEST_DATABASE_URL` names a server; and checks that each
//! program under test has its own store.
//!
//! `.ci/postgres cargo test` sets that variable while the tests run. `TEST_STORE=postgres` marks the second run; set it
//! by hand to run single tests with PostgreSQL.

use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::World;
use crate::support::store::{Database, remove_schemas_of, server};

/// Modules that the second run skips because they do not depend on the kind of store, or start PostgreSQL themselves.
const SKIPPED: [&str; 21] = [
    "browser::",
    "proxies::",
    "cli::",
    "settings::",
    "dependencies::",
    "vendor_clients::",
    "postgres::",
    "two_programs::",
    "failover::",
    "numbering::",
    "export::",
    "lists::",
    "tidy::",
    "pages_in_browser::",
    "schemathesis::",
    "sandbox::",
    "signature::",
    "openapi::",
    "wer::",
    "figures::",
    "manual::",
];

#[test]
fn the_suite_passes_on_postgresql() {
    if std::env::var_os("TEST_STORE").is_some() {
        return;
    }
    let Some(server) = server() else { return };
    let mut suite = Command::new(std::env::current_exe().expect("the tests' own file"));
    suite.args(SKIPPED.iter().flat_map(|module| ["--skip", module])).env("TEST_STORE", "postgres");
    suite.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let suite = suite.spawn().expect("the tests start");
    let process = suite.id();
    let output = suite.wait_with_output().expect("the tests end");
    remove_schemas_of(process, &server);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "with TEST_STORE=postgres:\n{stdout}\n{stderr}");
    println!("with TEST_STORE=postgres:{stdout}");
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.expect("SQL that PostgreSQL accepts");
}

/// The schemas that have a table of this name.
async fn schemas_with(table: &str, server: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(server).await.expect("a connection");
    let sql = "SELECT schemaname::text FROM pg_tables WHERE tablename = $1";
    sqlx::query_scalar(sql).bind(table).fetch_all(&mut connection).await.expect("names")
}

#[tokio::test]
async fn a_store_in_postgresql_is_a_schema_that_no_other_store_sees_and_that_goes_with_it() {
    let Some(server) = server() else { return };
    let (one, other) = (Database::postgres(&server), Database::postgres(&server));
    let mut of_one = PgConnection::connect(&one.url).await.expect("a connection");
    let mut of_other = PgConnection::connect(&other.url).await.expect("a connection");
    execute(&mut of_one, "CREATE TABLE seen_by_one (id integer)").await;
    // In the same schema, a second table of this name would be rejected.
    execute(&mut of_other, "CREATE TABLE seen_by_one (id integer)").await;
    let schemas = schemas_with("seen_by_one", &server).await;
    assert_eq!(schemas.len(), 2);
    for store in [&one, &other] {
        assert!(schemas.iter().any(|schema| store.url.ends_with(schema)), "{schemas:?}");
    }

    // This transaction stays open: the thread that would end it is busy dropping the store.
    execute(&mut of_one, "BEGIN; INSERT INTO seen_by_one VALUES (1)").await;
    drop(one);
    let left = schemas_with("seen_by_one", &server).await;
    assert!(left.len() == 1 && other.url.ends_with(&left[0]), "{left:?}");
}

#[test]
fn a_store_in_sqlite_is_a_new_file_that_goes_with_it() {
    let (one, other) = (Database::sqlite(), Database::sqlite());
    assert_ne!(one.url, other.url);
    let file = Path::new(one.url.trim_start_matches("sqlite://")).to_owned();
    assert!(!file.exists());
    rusqlite::Connection::open(&file).and_then(|sqlite| sqlite.execute_batch("VACUUM")).expect("a database");
    assert!(file.exists());
    drop(one);
    assert!(!file.parent().expect("a folder").exists());
}

#[tokio::test]
async fn each_world_has_a_store_of_its_own() {
    let (one, other) = (World::new().await, World::new().await);
    assert_ne!(one.store.url, other.store.url);
}
