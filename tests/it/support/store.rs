//! A new store for each program under test: a SQLite file, or a schema in PostgreSQL if `TEST_STORE=postgres`. It knows
//! none of its tables.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::command::Folder;

/// An empty store. Removed when it is dropped, whatever it contains and even if it is still in use.
pub(crate) struct Database {
    /// Its `DATABASE_URL`.
    pub(crate) url: String,
    folder: Folder,
    schema: Option<Schema>,
}

/// A schema in PostgreSQL. Dropped there when it is dropped here.
struct Schema {
    server: String,
    name: String,
}

/// The URL of a PostgreSQL in which tests may create schemas. `None` without `TEST_DATABASE_URL`, which is a failure with
/// `REQUIRE_DATABASE=1`.
pub(crate) fn server() -> Option<String> {
    let how = "TEST_DATABASE_URL names no PostgreSQL";
    let url = std::env::var("TEST_DATABASE_URL").ok();
    if url.is_none() {
        assert!(std::env::var_os("REQUIRE_DATABASE").is_none_or(|value| value != "1"), "{how}");
        println!("skipped: {how}");
    }
    url
}

impl Database {
    /// A store of the kind that this run of the tests is for.
    pub(crate) fn new() -> Self {
        match std::env::var("TEST_STORE").as_deref() {
            Ok("postgres") => Self::postgres(&server().expect("TEST_STORE=postgres needs TEST_DATABASE_URL")),
            Ok(other) => panic!("TEST_STORE is postgres or not set, not {other}"),
            Err(_) => Self::sqlite(),
        }
    }

    /// A file that does not exist yet, in a new folder.
    pub(crate) fn sqlite() -> Self {
        let folder = Folder::new();
        let file = folder.path().join("callscribe.db");
        let url = format!("sqlite://{}", file.to_str().expect("a path in UTF-8"));
        Self { url, folder, schema: None }
    }

    /// A new schema in this server's database. Connections with its URL see no other.
    pub(crate) fn postgres(server: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{count}", schemas_of(std::process::id()));
        // A killed process with the same id may have left one.
        let new = [format!("DROP SCHEMA IF EXISTS {name} CASCADE"), format!("CREATE SCHEMA {name}")];
        execute(server, &new).expect("a schema in the database that TEST_DATABASE_URL names");
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-c%20search_path%3D{name}");
        Self { url, folder: Folder::new(), schema: Some(Schema { server: server.to_owned(), name }) }
    }
}

impl Database {
    /// The folder for files that clients are sending.
    pub(crate) fn uploads(&self) -> String {
        self.folder.path().join("uploads").to_str().expect("a path in UTF-8").to_owned()
    }
}

/// The first column of a query, over a new connection.
macro_rules! answers {
    ($store:expr, $query:expr) => {{
        let query = $query.to_owned();
        if $store.is_postgres() {
            let mut connection = PgConnection::connect(&$store.url).await.expect("a connection");
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut connection).await.expect("an answer")
        } else {
            let answers = move |sqlite: &rusqlite::Connection| {
                sqlite.prepare(&query)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()
            };
            in_sqlite(&$store.url, answers).await.expect("an answer")
        }
    }};
}

/// Opens the SQLite file at this URL and returns what `work` does with it, on a thread where that may wait for a lock: the
/// program that holds it may run on this one.
pub(crate) async fn in_sqlite<T: Send + 'static>(
    url: &str,
    work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
) -> rusqlite::Result<T> {
    let file = url.trim_start_matches("sqlite://").to_owned();
    let run = move || {
        let sqlite = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        work(&sqlite)
    };
    tokio::task::spawn_blocking(run).await.expect("work that does not panic")
}

impl Database {
    /// Whether it is a schema in PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        self.schema.is_some()
    }

    /// The number that the query returns.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        answers!(self, query)[0]
    }

    /// The texts that the query returns.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        answers!(self, query)
    }

    /// Runs statements over a new connection.
    pub(crate) async fn execute(&self, statements: &str) -> Result<(), Box<dyn Error>> {
        let statements = statements.to_owned();
        if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
            connection.close().await?;
        } else {
            // The last connection to close checkpoints the WAL.
            in_sqlite(&self.url, move |sqlite| sqlite.execute_batch(&statements)).await?;
        }
        Ok(())
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let name = &self.name;
        let holders = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_class ON pg_class.oid = relation \
             WHERE relnamespace = '{name}'::regnamespace"
        );
        // Dropping waits for open transactions, in vain if this thread is the one that runs them.
        let gone = ["SET lock_timeout = '2s'".to_owned(), holders, format!("DROP SCHEMA {name} CASCADE")];
        // If it cannot be dropped now, `remove_schemas_of` will do it.
        _ = execute(&self.server, &gone);
    }
}

/// Removes the schemas that a process may have left when it ended.
pub(crate) fn remove_schemas_of(process: u32, server: &str) {
    let each = format!(
        "DO $$ DECLARE name text; BEGIN \
         FOR name IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '{}') \
         LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$",
        schemas_of(process)
    );
    execute(server, &[each]).expect("schemas can be dropped");
}

/// The prefix of the names of a process's schemas.
fn schemas_of(process: u32) -> String {
    format!("callscribe_test_{process}_")
}

/// Executes statements over a new connection, in a new thread, so that it works both inside and outside a runtime.
fn execute(server: &str, statements: &[String]) -> Result<(), sqlx::Error> {
    let work = async {
        let mut connection = PgConnection::connect(server).await?;
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut connection).await?;
        }
        connection.close().await
    };
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
    thread::scope(|threads| threads.spawn(run).join().expect("a thread that does not panic"))
}
