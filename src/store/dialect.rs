//! All that differs between SQLite and PostgreSQL: how each is opened, how a transaction begins, and the few words of
//! SQL that they do not share. Every other statement of the program is one text for both.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, Postgres, Row as _, SqlSafeStr as _, Sqlite, Transaction,
};

use super::writer::{Columns, Loan, Writer};
use super::{BadDatabase, Error, Filter, facts};
use crate::model::search::Query;

/// How long a statement waits for another process that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(5);

/// How long a statement waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(10);

/// What PostgreSQL calls it when a lock was not had in time.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const LOCK_TIMEOUT: &str = "55P03";

/// Connections that read from SQLite. One more writes.
const READERS: u32 = 4;

/// Connections to PostgreSQL, for reading and writing.
const CONNECTIONS: u32 = 12;

/// Bytes of a SQLite file that is looked through before anything is begun: a few hundredths of a second. A larger one is
/// looked through while the program runs already.
const SMALL: u64 = 8 << 20;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// A file.
    Sqlite(Box<SqliteConnectOptions>),
    /// A server.
    Postgres(Box<PgConnectOptions>),
}

/// Open connections.
#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite { writer: Writer, readers: SqlitePool },
    Postgres(PgPool),
}

/// A connection to read from, or a transaction to write in.
#[derive(Debug)]
pub(super) enum Session {
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Loan),
    PostgresRead(PoolConnection<Postgres>),
    PostgresWrite(Transaction<'static, Postgres>),
}

/// A value for `$1`, `$2` and so on.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A row, read by column name.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Written(Columns),
    Postgres(PgRow),
}

/// By hand: sqlx's own shows the password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(options) => f.debug_tuple("Sqlite").field(&options.get_filename()).finish(),
            Self::Postgres(options) => f.debug_tuple("Postgres").field(&options.get_host()).finish(),
        }
    }
}

impl Location {
    /// Reads `DATABASE_URL`.
    ///
    /// # Errors
    /// Says what is expected. The URL is not repeated: it may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let expected = || "expected sqlite://<file> or postgres://<user>:<password>@<host>/<database>".to_owned();
        if let Some(file) = url.strip_prefix("sqlite:") {
            if matches!(file.trim_start_matches("//").split('?').next(), None | Some("" | ":memory:")) {
                return Err("expected a file behind sqlite://".to_owned());
            }
            return url.parse().map(|options| Self::Sqlite(Box::new(options))).map_err(|_| expected());
        }
        match url.starts_with("postgres://") || url.starts_with("postgresql://") {
            true => url.parse().map(|options| Self::Postgres(Box::new(options))).map_err(|_| expected()),
            false => Err(expected()),
        }
    }

    /// A SQLite file.
    pub fn file(path: &Path) -> Self {
        Self::Sqlite(Box::new(SqliteConnectOptions::new().filename(path)))
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(options) => Some(options.get_filename().to_owned()),
            Self::Postgres(_) => None,
        }
    }
}

impl Pools {
    /// Opens the database, and brings its tables to what this program knows. A file that is not there is made, readable by its owner alone; one that is there is looked
    /// at before anything in it is changed.
    pub(super) async fn open(location: &Location) -> Result<Self, BadDatabase> {
        match location {
            Location::Sqlite(options) => open_file(options.as_ref().clone()).await,
            Location::Postgres(options) => {
                let pool = PgPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(ACQUIRE)
                    // sqlx 0.9.0 gives back connections on which a dropped `begin()` left a transaction open: what the
                    // next borrower writes would never be seen. Inside one, now() stands still. As a raw statement,
                    // because a prepared one is bound at another time than it runs, and would always differ.
                    .after_release(|connection, _| {
                        Box::pin(async move {
                            let row =
                                connection.fetch_one(sqlx::raw_sql("SELECT now() <> statement_timestamp()")).await?;
                            Ok(!row.try_get::<bool, _>(0)?)
                        })
                    })
                    .connect_with(tuned(options).disable_statement_logging())
                    .await;
                let pool = pool.map_err(BadDatabase::Unreachable)?;
                migrate_server(options).await.map_err(BadDatabase::of_migration)?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// A connection that only reads.
    pub(super) async fn read(&self) -> Result<Session, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => readers.acquire().await.map(Session::SqliteRead),
            Self::Postgres(pool) => pool.acquire().await.map(Session::PostgresRead),
        }
    }

    /// A transaction. PostgreSQL's are all durable.
    pub(super) async fn begin(&self, is_durable: bool) -> Result<Session, Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Session::SqliteWrite(writer.begin(is_durable).await?)),
            Self::Postgres(pool) => Ok(Session::PostgresWrite(pool.begin().await?)),
        }
    }

    /// Folds SQLite's log into the file and empties it: what was overwritten in the file is still in the log. Says no while
    /// somebody reads what was there before. PostgreSQL sees to its files itself.
    pub(super) async fn empty_log(&self) -> Result<bool, Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.empty_log().await?),
            Self::Postgres(_) => Ok(true),
        }
    }

    /// Makes SQLite's log as long as it may become.
    pub(super) async fn lengthen_log(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.lengthen_log().await?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Gives all connections back, so that SQLite folds its log into the file.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// The migrations, oldest first. What has been released is never edited: sqlx compares checksums and refuses to start.
const SQLITE_MIGRATIONS: &[(&str, &str)] = &[
    ("calls", include_str!("migrations/sqlite/0001_calls.sql")),
    ("base url", include_str!("migrations/sqlite/0002_base_url.sql")),
    ("dialling", include_str!("migrations/sqlite/0003_dialling.sql")),
    ("search", include_str!("migrations/sqlite/0004_search.sql")),
    ("deletion", include_str!("migrations/sqlite/0005_deletion.sql")),
    ("facts", include_str!("migrations/sqlite/0006_facts.sql")),
    ("fewer pages", include_str!("migrations/sqlite/0007_fewer_pages.sql")),
    ("newest first", include_str!("migrations/sqlite/0008_newest_first.sql")),
];
const POSTGRES_MIGRATIONS: &[(&str, &str)] = &[
    ("calls", include_str!("migrations/postgres/0001_calls.sql")),
    ("base url", include_str!("migrations/postgres/0002_base_url.sql")),
    ("dialling", include_str!("migrations/postgres/0003_dialling.sql")),
    ("search", include_str!("migrations/postgres/0004_search.sql")),
    ("deletion", include_str!("migrations/postgres/0005_deletion.sql")),
    ("facts", include_str!("migrations/postgres/0006_facts.sql")),
    ("fewer pages", include_str!("migrations/postgres/0007_fewer_pages.sql")),
    ("newest first", include_str!("migrations/postgres/0008_newest_first.sql")),
];

fn migrations(texts: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = (1..).zip(texts).map(|(version, (name, text))| {
        Migration::new(version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(numbered.collect())
}

/// As this program works.
fn tuned(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().options([
        // As SQLite does: nobody waits for long for a row that another instance holds, which may hang or sleep.
        ("lock_timeout", format!("{}ms", BUSY.as_millis())),
        // By default a page that is read out of order counts as on a disk that turns, and the index of words as slow.
        ("random_page_cost", "1.1".to_owned()),
    ])
}

/// Brings a server's tables up to date, after whoever is doing so already. That may take minutes where much is stored, so
/// no end is set to the wait for it; to the wait for a table that others work with, there is.
async fn migrate_server(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = tuned(options).disable_statement_logging().connect().await?;
    while let Err(error) = connection.lock().await {
        match &error {
            MigrateError::Execute(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(LOCK_TIMEOUT) => {
                tracing::info!("another program is bringing the tables of this database up to date; waiting for it");
            }
            _ => return Err(error),
        }
    }
    migrations(POSTGRES_MIGRATIONS).run(&mut connection).await?;
    // Gives the lock back, too.
    Ok(connection.close().await?)
}

async fn open_file(options: SqliteConnectOptions) -> Result<Pools, BadDatabase> {
    let path = options.get_filename().to_owned();
    let options = options.busy_timeout(BUSY).foreign_keys(true).disable_statement_logging();
    if path.try_exists().map_err(BadDatabase::Inaccessible)? {
        look_at(&options).await?;
        keep_private(&path);
    } else {
        make(&path).map_err(BadDatabase::Inaccessible)?;
    }
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    // A table that is made anew leaves nothing of what was in it: later, nobody would find it there to delete it.
    let migrating = options.clone().pragma("secure_delete", "on");
    let mut connection = migrating.connect().await.map_err(BadDatabase::of_file)?;
    let migrated = migrations(SQLITE_MIGRATIONS).run(&mut connection).await;
    // Before the last connection closes, so that the log stays.
    let writer =
        Writer::open(&path, BUSY).map_err(|error| BadDatabase::Unusable(sqlx::Error::AnyDriverError(Box::new(error))));
    connection.close().await.map_err(BadDatabase::of_file)?;
    migrated.map_err(BadDatabase::of_migration)?;
    let writer = writer?;
    // A file's connections do not break while nobody looks, and asking each would cost as much as a statement.
    let readers = SqlitePoolOptions::new().acquire_timeout(ACQUIRE).test_before_acquire(false);
    let readers = readers.max_connections(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Pools::Sqlite { writer, readers })
}

/// An empty file that nobody else may read: it will hold phone numbers and what people said.
fn make(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Another instance was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// A file that was made by others than this program may be open to everybody.
#[cfg(unix)]
fn keep_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|about| about.permissions().mode()).unwrap_or_default();
    if mode & 0o077 == 0 {
        return;
    }
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700)) {
        Ok(()) => tracing::warn!("the database file was open to others; from now on its owner alone may read it"),
        Err(error) => tracing::warn!("the database file is open to others, and cannot be closed to them: {error}"),
    }
}

#[cfg(not(unix))]
fn keep_private(_: &Path) {}

/// Looks through the whole of a file that was too large for it when it was opened. On a server, that is the server's matter.
pub(super) async fn look_through(location: &Location) -> Result<(), BadDatabase> {
    let Location::Sqlite(options) = location else { return Ok(()) };
    if is_small(options.get_filename()) {
        return Ok(());
    }
    let options = options.as_ref().clone().busy_timeout(BUSY).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(BadDatabase::of_file)?;
    match is_sound(&mut connection).await.map_err(BadDatabase::of_file)? {
        true => connection.close().await.map_err(BadDatabase::of_file),
        false => Err(BadDatabase::Corrupt),
    }
}

fn is_small(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|about| about.len() <= SMALL)
}

/// Reads every page of a file.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    // Memory or a disk that failed in the middle of it say nothing of the file.
    match found.starts_with("unable to validate") {
        true => Err(sqlx::Error::Protocol(found)),
        false => Ok(found == "ok"),
    }
}

/// Whether a file that is there can be used, before anything in it is changed.
async fn look_at(options: &SqliteConnectOptions) -> Result<(), BadDatabase> {
    let mut connection = options.connect().await.map_err(BadDatabase::of_file)?;
    let looked = async {
        if is_small(options.get_filename()) && !is_sound(&mut connection).await? {
            return Ok(Err(BadDatabase::Corrupt));
        }
        let tables = "SELECT count(*) AS tables, coalesce(sum(name = '_sqlx_migrations'), 0) AS ours \
                      FROM sqlite_schema WHERE type = 'table'";
        let row = sqlx::query(tables).fetch_one(&mut connection).await?;
        let (tables, ours): (i64, i64) = (row.try_get("tables")?, row.try_get("ours")?);
        if tables > 0 && ours == 0 {
            return Ok(Err(BadDatabase::Foreign));
        }
        if ours > 0 {
            let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
                .fetch_one(&mut connection)
                .await?;
            if usize::try_from(newest).is_ok_and(|newest| newest > SQLITE_MIGRATIONS.len()) {
                return Ok(Err(BadDatabase::Newer));
            }
        }
        // Leaves nothing behind, and fails where nothing can be written: there, BEGIN IMMEDIATE alone would only read.
        let attempt = "BEGIN IMMEDIATE; CREATE TABLE may_write (something INTEGER); ROLLBACK";
        connection.execute(sqlx::raw_sql(attempt)).await?;
        Ok(Ok(()))
    };
    let looked: Result<Result<(), BadDatabase>, sqlx::Error> = looked.await;
    let closed = connection.close().await;
    looked.map_err(BadDatabase::of_file)??;
    closed.map_err(BadDatabase::of_file)
}

/// A query of either database with its arguments.
macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.into_iter().fold(sqlx::query($sql), |query, arg| match arg {
            Arg::Text(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        })
    };
}

impl Session {
    /// Runs a statement; gives the number of rows that it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        macro_rules! run {
            ($connection:expr) => {
                Ok(bound!(sql, args).execute($connection).await?.rows_affected())
            };
        }
        match self {
            Self::SqliteRead(connection) => run!(&mut **connection),
            Self::SqliteWrite(loan) => Ok(loan.run(sql, args.iter().map(Arg::value))?.1),
            Self::PostgresRead(connection) => run!(&mut **connection),
            Self::PostgresWrite(transaction) => run!(&mut **transaction),
        }
    }

    /// Runs a statement; gives its rows.
    pub(super) async fn fetch(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        macro_rules! run {
            ($connection:expr, $row:path) => {
                Ok(bound!(sql, args).fetch_all($connection).await?.into_iter().map($row).collect())
            };
        }
        match self {
            Self::SqliteRead(connection) => run!(&mut **connection, Row::Sqlite),
            Self::SqliteWrite(loan) => {
                let (rows, _) = loan.run(sql, args.iter().map(Arg::value))?;
                Ok(rows.into_iter().map(Row::Written).collect())
            }
            Self::PostgresRead(connection) => run!(&mut **connection, Row::Postgres),
            Self::PostgresWrite(transaction) => run!(&mut **transaction, Row::Postgres),
        }
    }

    /// Runs a statement that PostgreSQL is to plan for these very arguments: how often a word is said decides how it is best
    /// looked for.
    pub(super) async fn fetch_planned_anew(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        macro_rules! run {
            ($connection:expr) => {{
                let rows = bound!(sql, args).persistent(false).fetch_all($connection).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }};
        }
        debug_assert!(binds_all(sql, args.len()), "it lacks arguments: {sql}");
        match self {
            Self::PostgresRead(connection) => run!(&mut **connection),
            Self::PostgresWrite(transaction) => run!(&mut **transaction),
            Self::SqliteRead(_) | Self::SqliteWrite(_) => self.fetch(sql, args).await,
        }
    }

    /// Makes what was written last.
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::SqliteWrite(loan) => Ok(loan.commit().await?),
            Self::PostgresWrite(transaction) => Ok(transaction.commit().await?),
            Self::SqliteRead(_) | Self::PostgresRead(_) => Ok(()),
        }
    }

    /// Undoes what was written.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        match self {
            // Giving it back is enough.
            Self::SqliteWrite(_) => Ok(()),
            Self::PostgresWrite(transaction) => Ok(transaction.rollback().await?),
            Self::SqliteRead(_) | Self::PostgresRead(_) => Ok(()),
        }
    }

    fn is_postgres(&self) -> bool {
        matches!(self, Self::PostgresRead(_) | Self::PostgresWrite(_))
    }

    /// The jobs that are due, each for one instance. PostgreSQL passes over those that another is claiming just now; on
    /// SQLite nobody else writes meanwhile.
    pub(super) fn claim_jobs(&self) -> &'static str {
        macro_rules! some {
            ($due:literal, $lock:literal) => {
                concat!(
                    "SELECT kind, subject FROM (SELECT kind, subject FROM jobs WHERE state = 'open' AND ",
                    $due,
                    " AND (lease_until IS NULL OR lease_until <= $3 OR lease_until > $2 + 60000) \
                     ORDER BY due_at LIMIT $5",
                    $lock,
                    ") AS each"
                )
            };
        }
        // Each for itself, so that both are looked for in the index: jobs whose time is to come are many.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "WITH due AS MATERIALIZED (",
                    some!("due_at <= $3", $lock),
                    " UNION ALL ",
                    some!("due_at > $4", $lock),
                    " LIMIT $5) UPDATE jobs SET owner = $1, lease_until = $2, attempt = attempt + 1, nudged = 0 \
                     WHERE (kind, subject) IN (SELECT kind, subject FROM due) \
                     RETURNING kind, subject, attempt, failures, looks, created_at"
                )
            };
        }
        if self.is_postgres() { claim!(" FOR UPDATE SKIP LOCKED") } else { claim!("") }
    }

    /// Whether others may write beside this transaction. PostgreSQL's writers wait for each other where they write the same
    /// row alone; numbers that a column gives out may then be seen in another order than they were given.
    pub(super) fn has_other_writers(&self) -> bool {
        self.is_postgres()
    }

    /// The newest call that was dialled to a number since then and that rang, or may have.
    pub(super) fn dialled_since(&self) -> &'static str {
        macro_rules! dialled {
            ($end:literal) => {
                concat!(
                    "SELECT id, sid, direction, to_number, from_number, keyterms, state, reason, code, deletion, created_at, \
                     ended_at FROM calls WHERE ",
                    $end,
                    " AND created_at > $2 AND to_number = $1 AND dialled_at > $2 \
                     AND (sid IS NOT NULL OR holds_number = 1) ORDER BY created_at DESC LIMIT 1"
                )
            };
        }
        match self.is_postgres() {
            true => dialled!("right(to_number, 4) = right($1, 4)"),
            false => dialled!("substr(to_number, -4) = substr($1, -4)"),
        }
    }

    /// The call of a recording. It stays as it is until this transaction ends: PostgreSQL's writers do not wait for each
    /// other, and one that moves the call on would not see what this one has indexed of it.
    pub(super) fn hold_call(&self) -> &'static str {
        macro_rules! call {
            ($lock:literal) => {
                concat!(
                    "SELECT state, to_number, from_number, deletion, created_at FROM calls \
                     WHERE id = (SELECT call_id FROM recordings WHERE sid = $1)",
                    $lock
                )
            };
        }
        if self.is_postgres() { call!(" FOR NO KEY UPDATE") } else { call!("") }
    }

    /// How far the calls have come whose ids are in a JSON array: what a list says of each beside its row.
    pub(super) fn select_digests(&self) -> &'static str {
        macro_rules! digests {
            ($ids:literal) => {
                concat!(
                    "SELECT calls.id, job.state AS job, \
                     (SELECT CAST(sum(duration_seconds) AS BIGINT) FROM recordings WHERE call_id = calls.id) AS seconds, \
                     (SELECT count(*) FROM recordings WHERE call_id = calls.id AND rank < $2) AS coming, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id) AS transcripts, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.rank < $3) AS unfinished, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.state = 'failed') AS failed, \
                     (SELECT substr(text, 1, 200) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND text <> '' \
                     ORDER BY transcripts.created_at DESC, transcripts.id LIMIT 1) AS words \
                     FROM calls LEFT JOIN jobs AS job ON job.kind = 'call' AND job.subject = calls.id \
                     WHERE calls.id IN (SELECT ",
                    $ids,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            digests!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            digests!("value FROM json_each($1)")
        }
    }

    /// The words of a transcript, from a JSON array of objects.
    pub(super) fn insert_words(&self) -> &'static str {
        if self.is_postgres() {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel) \
             SELECT $1, position - 1, word->>'text', (word->>'start')::bigint, (word->>'end')::bigint, \
             (word->>'confidence')::double precision, word->>'speaker', word->>'channel' \
             FROM jsonb_array_elements($2::text::jsonb) WITH ORDINALITY AS each (word, position)"
        } else {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel) \
             SELECT $1, key, value->>'text', value->>'start', value->>'end', \
             CAST(value->>'confidence' AS REAL), value->>'speaker', value->>'channel' FROM json_each($2)"
        }
    }
}

impl Session {
    /// The newest calls that a filter lets through. Those of a number are found by how it ends: those to it and those from
    /// it, each in their order, so that one's own number, which is in every call, is found as fast as any other.
    pub(super) fn find_calls(&self, has_state: bool, has_number_end: bool) -> &'static str {
        macro_rules! wanted {
            ($also:expr) => {
                concat!(
                    " (deletion IS NULL OR deletion <> 'done') AND (CAST($1 AS TEXT) IS NULL OR state = $1) \
                     AND created_at >= $3 AND (created_at, id) < ($4, $5) ",
                    $also,
                    " ORDER BY created_at DESC, id DESC LIMIT $6"
                )
            };
        }
        macro_rules! columns {
            ($rest:expr) => {
                concat!(
                    "SELECT id, sid, direction, to_number, from_number, keyterms, state, reason, code, deletion, created_at, \
                     ended_at FROM calls WHERE ",
                    $rest
                )
            };
        }
        macro_rules! by_end {
            ($to:literal, $from:literal) => {
                columns!(concat!(
                    "id IN (SELECT id FROM (SELECT id FROM calls WHERE ",
                    $to,
                    " = $7 AND",
                    wanted!("AND to_number LIKE $2 ESCAPE '\\'"),
                    ") AS called UNION ALL SELECT id FROM (SELECT id FROM calls WHERE ",
                    $from,
                    " = $7 AND",
                    wanted!("AND from_number LIKE $2 ESCAPE '\\'"),
                    ") AS calling) ORDER BY created_at DESC, id DESC LIMIT $6"
                ))
            };
        }
        macro_rules! by_time {
            ($state:literal) => {
                columns!(concat!(
                    $state,
                    wanted!(
                        "AND (CAST($2 AS TEXT) IS NULL OR to_number LIKE $2 ESCAPE '\\' \
                         OR from_number LIKE $2 ESCAPE '\\') AND CAST($7 AS TEXT) IS NULL"
                    )
                ))
            };
        }
        match (has_number_end, has_state) {
            (true, _) if self.is_postgres() => by_end!("right(to_number, 4)", "right(from_number, 4)"),
            (true, _) => by_end!("substr(to_number, -4)", "substr(from_number, -4)"),
            (false, true) => by_time!("state = $1 AND"),
            (false, false) => by_time!(""),
        }
    }

    /// What is looked for, in the words of each: an FTS5 expression; a tsquery, and on a line each the patterns of phrases.
    /// Terms are letters, digits and the mark of facts alone, so that nothing in them needs to be escaped.
    ///
    /// The state of a call is a fact like any other to FTS5, which finds what has both from the newest on. PostgreSQL's index
    /// of terms would give all there ever was, and it has one by state, in the order of time.
    pub(super) fn sought(&self, query: &Query, filter: &Filter) -> String {
        let number = facts::of_number(filter);
        let star = |is_prefix, star| if is_prefix { star } else { "" };
        if !self.is_postgres() {
            let each = query.sought().iter();
            let each = each.map(|sought| format!("\"{}\"{}", sought.terms.join(" "), star(sought.is_prefix, "*")));
            let facts = facts::of_state(filter).into_iter().chain(number).map(|fact| format!("\"{fact}\""));
            return each.chain(facts).collect::<Vec<_>>().join(" AND ");
        }
        let mut terms: Vec<String> = number.iter().map(|fact| format!("'{fact}'")).collect();
        let mut patterns = String::new();
        for sought in query.sought() {
            let last = sought.terms.len() - 1;
            let quoted = |(n, term)| format!("'{term}'{}", star(sought.is_prefix && n == last, ":*"));
            terms.extend(sought.terms.iter().enumerate().map(quoted));
            if last > 0 {
                patterns += &format!("\n% {}{}%", sought.terms.join(" "), if sought.is_prefix { "" } else { " " });
            }
        }
        terms.join(" & ") + &patterns
    }

    /// The newest transcripts with what is looked for. The index is gone through first, from its end; texts, which are
    /// long, are read of those alone that are wanted. It knows the facts of each call, too; what a call is asked for here
    /// again is where an address goes on beyond its facts. Within `coalesce`, so that PostgreSQL does not count a fact
    /// twice when it guesses how much is found.
    pub(super) fn find_spoken(&self) -> &'static str {
        macro_rules! find {
            ($is_found:literal) => {
                concat!(
                    "SELECT found.*, transcript_id, recording_sid, text FROM (\
                     SELECT place, transcript, calls.id, calls.sid, direction, to_number, from_number, keyterms, \
                     calls.state, reason, code, deletion, calls.created_at, ended_at FROM spoken_text \
                     JOIN spoken ON spoken.place = spoken_text.rowid \
                     LEFT JOIN recordings ON recordings.sid = spoken.source \
                     LEFT JOIN calls ON calls.id = recordings.call_id WHERE ",
                    $is_found,
                    " AND spoken_text.rowid > $2 AND spoken_text.rowid <= $3 \
                     AND coalesce(calls.state = $4, CAST($4 AS TEXT) IS NULL) \
                     AND coalesce(to_number LIKE $5 ESCAPE '\\' OR from_number LIKE $5 ESCAPE '\\', CAST($5 AS TEXT) IS NULL) \
                     ORDER BY spoken_text.rowid LIMIT $6\
                     ) AS found JOIN transcripts ON transcripts.id = found.transcript ORDER BY found.place"
                )
            };
        }
        if self.is_postgres() {
            find!(
                "terms @@ CAST(split_part($1, chr(10), 1) AS tsquery) \
                 AND words LIKE ALL ((string_to_array($1, chr(10)))[2:]) \
                 AND (CAST($4 AS TEXT) IS NULL OR spoken_text.state = $4)"
            )
        } else {
            find!("spoken_text MATCH $1")
        }
    }

    /// Takes a text out of the index. FTS5 keeps no texts: it is told which one goes.
    pub(super) fn delete_spoken_text(&self) -> &'static str {
        if self.is_postgres() {
            "DELETE FROM spoken_text WHERE rowid = $1 AND CAST($2 AS TEXT) IS NOT NULL"
        } else {
            "INSERT INTO spoken_text (spoken_text, rowid, words) VALUES ('delete', $1, $2)"
        }
    }

    /// Has PostgreSQL know at once, and not in a minute, how often which word is said in a table that was just filled.
    pub(super) fn look_over_spoken(&self) -> &'static str {
        if self.is_postgres() { "ANALYZE spoken_text" } else { "SELECT 1" }
    }

    /// Words, by a JSON array of pairs of transcript and position.
    pub(super) fn words_at(&self) -> &'static str {
        macro_rules! words {
            ($each:literal) => {
                concat!(
                    "SELECT transcript, word, start_ms FROM words WHERE (transcript, position) IN \
                     (SELECT value->>0, CAST(value->>1 AS BIGINT) FROM ",
                    $each,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            words!("jsonb_array_elements(CAST($1 AS jsonb)) AS each (value)")
        } else {
            words!("json_each($1)")
        }
    }
}

impl Row {
    pub(super) fn text(&self, column: &str) -> Result<String, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Text(text)) => Ok(text.clone()),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn text_if_set(&self, column: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Text(text)) => Ok(Some(text.clone())),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Integer(number)) => Ok(*number),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn int_if_set(&self, column: &str) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Integer(number)) => Ok(Some(*number)),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn real(&self, column: &str) -> Result<f64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Real(number)) => Ok(*number),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn bytes_if_set(&self, column: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Blob(bytes)) => Ok(Some(bytes.clone())),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// What sqlx would say of a column that is not there or holds something else.
fn unreadable(column: &str, found: Option<&Value>) -> Error {
    Error::Database(match found {
        None => sqlx::Error::ColumnNotFound(column.to_owned()),
        Some(found) => {
            sqlx::Error::ColumnDecode { index: column.to_owned(), source: found.data_type().to_string().into() }
        }
    })
}

impl Arg {
    /// As SQLite takes it.
    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Int(Some(number)) => ValueRef::Integer(*number),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Text(None) | Self::Int(None) | Self::Bytes(None) => ValueRef::Null,
        }
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        // PostgreSQL has no NUL in its texts.
        Self::Text(Some(text.replace('\0', "")))
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(|text| text.replace('\0', "")))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&[u8]> for Arg {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

/// Whether `$1` to `$n` are in the text and none beyond.
fn binds_all(sql: &str, args: usize) -> bool {
    let numbers = sql.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<usize>().unwrap_or(0)
    });
    numbers.max().unwrap_or(0) == args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_committed_to_a_file_is_on_the_disk_and_readers_do_not_write() {
        let path = std::env::temp_dir().join(format!("callscribe-pragmas-{}.db", std::process::id()));
        let pools = Pools::open(&Location::file(&path)).await.unwrap();
        let mut written = pools.begin(true).await.unwrap();
        let mut read = pools.read().await.unwrap();
        const FULL: i64 = 2;
        for (pragma, column, value, of_reader) in [
            ("PRAGMA synchronous", "synchronous", FULL, FULL),
            ("PRAGMA foreign_keys", "foreign_keys", 1, 1),
            ("PRAGMA secure_delete", "secure_delete", 1, 0),
            ("PRAGMA query_only", "query_only", 0, 1),
        ] {
            for (session, value) in [(&mut written, value), (&mut read, of_reader)] {
                let rows = session.fetch(pragma, vec![]).await.unwrap();
                assert_eq!(rows[0].int(column).unwrap(), value, "{pragma}");
            }
        }
        drop((written, read));
        pools.close().await;
        std::fs::remove_file(path).unwrap();
    }
}
