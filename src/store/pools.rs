//! How each of the two databases is opened, looked at before anything in it is changed, and brought to the tables that this
//! program knows. What is in the tables is no matter here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _};

use super::dialect::Session;
use super::writer::Writer;
use super::{BadDatabase, Error};

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
    /// Opens the database, and brings its tables to what this program knows. A file that is not there is made, readable by
    /// its owner alone; one that is there is looked at before anything in it is changed. Of a server, gives what keeps other
    /// programs from doing so, too, until it is dropped.
    pub(super) async fn open(location: &Location) -> Result<(Self, Option<PgConnection>), BadDatabase> {
        match location {
            Location::Sqlite(options) => Ok((open_file(options.as_ref().clone()).await?, None)),
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
                Ok((Self::Postgres(pool), Some(migrate_server(options).await?)))
            }
        }
    }

    /// A connection that only reads. To ask sqlx for one takes 15 kB, which every future around this one would have room for,
    /// and which would be copied wherever one is moved: hence the box.
    pub(super) async fn read(&self) -> Result<Session, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => Box::pin(readers.acquire()).await.map(Session::SqliteRead),
            Self::Postgres(pool) => Box::pin(pool.acquire()).await.map(Session::PostgresRead),
        }
    }

    /// A transaction. PostgreSQL's are all durable.
    pub(super) async fn begin(&self, is_durable: bool) -> Result<Session, Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Session::SqliteWrite(writer.begin(is_durable).await?)),
            Self::Postgres(pool) => Ok(Session::PostgresWrite(Box::pin(pool.begin()).await?)),
        }
    }

    /// Folds SQLite's log into the file and empties it: what was overwritten in the file is still in the log. Says no while
    /// somebody reads what was there before. PostgreSQL sees to its files itself.
    pub(super) async fn truncate_wal(&self) -> Result<bool, Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.truncate_wal().await?),
            Self::Postgres(_) => Ok(true),
        }
    }

    /// Makes SQLite's log as long as it may become.
    pub(super) async fn preallocate_wal(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.preallocate_wal().await?),
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
macro_rules! migrations_of {
    ($database:literal) => {
        &[
            ("calls", include_str!(concat!("migrations/", $database, "/0001_calls.sql"))),
            ("base url", include_str!(concat!("migrations/", $database, "/0002_base_url.sql"))),
            ("dialling", include_str!(concat!("migrations/", $database, "/0003_dialling.sql"))),
            ("search", include_str!(concat!("migrations/", $database, "/0004_search.sql"))),
            ("deletion", include_str!(concat!("migrations/", $database, "/0005_deletion.sql"))),
            ("facts", include_str!(concat!("migrations/", $database, "/0006_facts.sql"))),
            ("fewer pages", include_str!(concat!("migrations/", $database, "/0007_fewer_pages.sql"))),
            ("newest first", include_str!(concat!("migrations/", $database, "/0008_newest_first.sql"))),
        ]
    };
}
const SQLITE_MIGRATIONS: &[(&str, &str)] = migrations_of!("sqlite");
const POSTGRES_MIGRATIONS: &[(&str, &str)] = migrations_of!("postgres");

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
        // That a table is there already is told at each start.
        ("client_min_messages", "warning".to_owned()),
    ])
}

/// Brings a server's tables up to date, after whoever is doing so already: that may take minutes where much is stored, so no
/// end is set to the wait for him, as there is to the wait for a table that others work with. Gives the connection that has
/// the lock, which goes back when it is dropped.
async fn migrate_server(options: &PgConnectOptions) -> Result<PgConnection, BadDatabase> {
    let connection = tuned(options).disable_statement_logging().connect().await;
    let mut connection = connection.map_err(BadDatabase::Unreachable)?;
    let mut is_told = false;
    while let Err(error) = connection.lock().await {
        match &error {
            MigrateError::Execute(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(LOCK_TIMEOUT) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::info!("another program brings the tables of this server up to date; waiting for it");
                }
            }
            _ => return Err(BadDatabase::of_migration(error)),
        }
    }
    migrations(POSTGRES_MIGRATIONS).run(&mut connection).await.map_err(BadDatabase::of_migration)?;
    Ok(connection)
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
pub(super) async fn check_for_corruption(location: &Location) -> Result<(), BadDatabase> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_committed_to_a_file_is_on_the_disk_and_readers_do_not_write() {
        let path = std::env::temp_dir().join(format!("callscribe-pragmas-{}.db", std::process::id()));
        let (pools, _) = Pools::open(&Location::file(&path)).await.unwrap();
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
