//! The engine below the tables: opens SQLite or PostgreSQL, migrates it, and runs statements and transactions.
//!
//! [`sqlite_file`] and [`postgres`] open, [`migrations`] lists the migrations, [`session`] runs one statement on either
//! database, [`dialect`] has every statement that differs between them. [`sqlite_writer`] and [`wal`] are SQLite's write
//! path: the doc of [`sqlite_writer`] tells who holds the write lock when, and when a commit is on the disk.
//! [`sqlite_readers`] reads. SQLite is called through rusqlite, PostgreSQL through sqlx.

mod dialect;
mod location;
mod migrations;
mod postgres;
mod session;
mod sqlite_error;
mod sqlite_file;
mod sqlite_readers;
mod sqlite_statement;
mod sqlite_writer;
mod wal;

use std::time::Duration;

use sqlx::postgres::PgConnection;

pub(super) use dialect::{Dialect, pause_after_losses};
pub use location::Location;
pub(super) use session::{Arg, Row, Session};

use super::error::{BadDatabase, Error};
use postgres::Server;
use sqlite_readers::SqliteReaders;
use sqlite_writer::SqliteWriter;

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may take to answer a statement: longer than the statement may wait for a lock. SQLite answers in this
/// process, and waits for nothing but its file and its lock.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// How much longer each statement may take that builds the search index, before the program listens.
const BUILDING: Duration = Duration::from_secs(600);

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    Sqlite { writer: SqliteWriter, readers: SqliteReaders },
    Postgres(Server),
}

impl Engine {
    /// Opens the database and migrates it. For a server, also returns what keeps other instances from migrating it until
    /// it is dropped.
    pub(super) async fn open(location: &Location) -> Result<(Self, Option<PgConnection>), BadDatabase> {
        match location {
            Location::Sqlite(file) => {
                let writer = sqlite_file::open(file.clone(), BUSY_TIMEOUT).await?;
                let readers = SqliteReaders::new(file.clone(), ACQUIRE_TIMEOUT, BUSY_TIMEOUT);
                Ok((Self::Sqlite { writer, readers }, None))
            }
            Location::Postgres(options) => {
                let (server, migrating) =
                    postgres::open(options, ACQUIRE_TIMEOUT, BUSY_TIMEOUT, ANSWER_TIMEOUT).await?;
                Ok((Self::Postgres(server), Some(migrating)))
            }
        }
    }

    /// Checks a file for corruption that was too large for that when it was opened. A server checks its own files.
    pub(super) async fn check_for_corruption(location: &Location) -> Result<(), BadDatabase> {
        match location {
            Location::Sqlite(file) => sqlite_file::check_for_corruption(file.clone(), BUSY_TIMEOUT).await,
            Location::Postgres(_) => Ok(()),
        }
    }

    /// A connection that only reads. On PostgreSQL the future is boxed, because sqlx's takes 15 kB, which every future
    /// around this one would contain and copy when it is moved.
    pub(super) async fn read(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite { readers, .. } => Ok(Session::SqliteRead(readers.acquire().await?)),
            Self::Postgres(server) => Ok(Session::Postgres(Box::pin(server.read()).await?)),
        }
    }

    /// Begins a transaction. On PostgreSQL every one is durable. If it builds the search index, its statements may take
    /// minutes.
    pub(super) async fn begin(&self, is_durable: bool, is_building: bool) -> Result<Session, Error> {
        let longer = if is_building { BUILDING } else { Duration::ZERO };
        match self {
            Self::Sqlite { writer, .. } => Ok(Session::SqliteWrite(writer.begin(is_durable).await?)),
            Self::Postgres(server) => Ok(Session::Postgres(Box::pin(server.begin(longer)).await?)),
        }
    }

    /// Checkpoints SQLite's WAL and truncates it: it still holds what was overwritten in the file. Returns `false` while a
    /// reader still uses it. PostgreSQL manages its own files.
    pub(super) async fn truncate_wal(&self) -> Result<bool, Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.truncate_wal().await?),
            Self::Postgres(_) => Ok(true),
        }
    }

    /// Makes SQLite's WAL as long as it may become.
    pub(super) async fn preallocate_wal(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(writer.preallocate_wal().await?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Closes all connections, upon which SQLite checkpoints its WAL.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(server) => server.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commits_to_a_file_are_synced_and_readers_cannot_write() {
        let path = std::env::temp_dir().join(format!("callscribe-pragmas-{}.db", std::process::id()));
        let (engine, _) = Engine::open(&Location::file(&path)).await.unwrap();
        let mut written = engine.begin(true, false).await.unwrap();
        let mut read = engine.read().await.unwrap();
        const FULL: i64 = 2;
        for (pragma, column, value, of_reader) in [
            ("PRAGMA synchronous", "synchronous", FULL, FULL),
            ("PRAGMA foreign_keys", "foreign_keys", 1, 1),
            ("PRAGMA secure_delete", "secure_delete", 1, 0),
            ("PRAGMA query_only", "query_only", 0, 1),
            ("PRAGMA trusted_schema", "trusted_schema", 0, 0),
            ("PRAGMA cell_size_check", "cell_size_check", 1, 1),
        ] {
            for (session, value) in [(&mut written, value), (&mut read, of_reader)] {
                let rows = session.fetch(pragma, vec![]).await.unwrap();
                assert_eq!(rows[0].int(column).unwrap(), value, "{pragma}");
            }
        }
        let crafted = written.execute("DELETE FROM spoken_text_data", vec![]).await;
        assert!(crafted.is_err_and(|error| error.to_string().contains("may not be modified")), "FTS5's own table");
        drop((written, read));
        engine.close().await;
        std::fs::remove_file(path).unwrap();
    }
}
