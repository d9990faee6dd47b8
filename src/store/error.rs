//! Why a statement failed, and why a database cannot be opened.

use std::io::ErrorKind;

use sqlx_core::migrate::MigrateError;

use crate::failpoint::Aborted;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique key has a row already.
    #[error("a row with the same key already exists")]
    Taken,
    /// Another worker has claimed the job since.
    #[error("another worker has claimed the job")]
    LeaseLost,
    /// Another member of the same group commit failed, so this transaction runs again. Never leaves the store.
    #[error("another writer of the same group failed")]
    Again,
    #[error(transparent)]
    Aborted(#[from] Aborted),
    /// A row holds what this program never writes. Names the column.
    #[error("a row cannot be read: {0}")]
    Unreadable(&'static str),
    /// The file was removed or replaced while the program runs.
    #[error("the database file was removed or replaced")]
    Gone,
    /// The disk is full, or fails.
    #[error("no room beside the database file: {0}")]
    NoRoom(std::io::Error),
    #[error("the database failed: {}", why(.0))]
    Database(sqlx::Error),
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(database) if database.is_unique_violation() => Self::Taken,
            _ => Self::Database(error),
        }
    }
}

impl Error {
    /// Whether the same transaction may succeed if it is retried at once.
    pub(super) fn is_passing(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => {
                // Serialization failures, deadlocks, a transaction that this process was stopped in, and a server that shuts
                // down or is cut off.
                error.code().is_some_and(|code| {
                    ["40001", "40P01", "25P03", "57P01", "57P02", "57P03"].contains(&code.as_ref())
                        || code.starts_with("08")
                })
            }
            _ => false,
        }
    }
}

/// Why a database cannot be used, as one line for the operator. Nothing in the database was changed, unless
/// `Store::check_for_corruption` found it.
#[derive(Debug, thiserror::Error)]
pub enum BadDatabase {
    #[error("cannot be opened: {}", .0.kind())]
    Inaccessible(std::io::Error),
    #[error("cannot be opened: its folder does not exist, or it is a link to a file that does not exist")]
    Nowhere,
    #[error("is a folder; name a file in it")]
    Folder,
    #[error("cannot be reached: {}", why(.0))]
    Unreachable(sqlx::Error),
    #[error(
        "has the encoding {0}, which lacks characters that numbers, names and transcripts may have; create a database with \
         ENCODING 'UTF8' and TEMPLATE template0, and name that"
    )]
    Encoding(String),
    #[error("is not a SQLite database, or is damaged; restore it from a backup, or name another file")]
    Corrupt,
    #[error("cannot be written to")]
    ReadOnly,
    #[error("belongs to another user; make the user who runs callscribe its owner, or name another file")]
    OfAnotherUser,
    #[error("belongs to another program")]
    Foreign,
    #[error("was written by a newer version of callscribe; run that version, or name another database")]
    Newer,
    #[error("has tables that differ from those that callscribe created: {0}")]
    Differs(MigrateError),
    #[error("cannot be used: {0}")]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
}

/// Says in the operator's terms why sqlx failed.
fn why(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => "connection refused: no server listens at this host and port".to_owned(),
            ErrorKind::NotFound => "no such file or socket".to_owned(),
            ErrorKind::TimedOut => "the server did not answer in time".to_owned(),
            _ => error.to_string(),
        },
        sqlx::Error::PoolTimedOut => "no connection was free, and no other could be opened, in time".to_owned(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

impl BadDatabase {
    pub(super) fn of_file(error: rusqlite::Error) -> Self {
        // Primary codes of https://sqlite.org/rescode.html.
        match error.sqlite_error().map(|error| error.extended_code & 0xff) {
            Some(11 | 26) => Self::Corrupt,
            Some(8) => Self::ReadOnly,
            _ => Self::Unusable(Box::new(error)),
        }
    }

    pub(super) fn of_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => Self::Newer,
            // As a server does that follows another one.
            MigrateError::Execute(sqlx::Error::Database(error)) if error.code().as_deref() == Some("25006") => {
                Self::ReadOnly
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::Unusable(Box::new(error)),
            error => Self::Differs(error),
        }
    }
}
