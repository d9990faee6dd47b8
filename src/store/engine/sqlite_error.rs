//! Why SQLite failed.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::store::error::Error;

#[derive(Debug, thiserror::Error)]
pub(super) enum SqliteError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The commit of the group failed.
    #[error("the group commit failed: {0}")]
    GroupFailed(Arc<SqliteError>),
    /// SQLite rolled the transaction back, as it may when the disk is full.
    #[error("SQLite rolled the transaction back")]
    RolledBack,
    /// Another member of the group failed, and the transaction of both was rolled back.
    #[error("another writer of the same group failed, and their transaction was rolled back")]
    Again,
    /// The file of the WAL cannot be read or synced.
    #[error(transparent)]
    WalFile(std::io::Error),
    #[error("the database is closed")]
    Closed,
}

impl SqliteError {
    /// Whether another process holds the write lock.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }

    pub(super) fn is_unique_violation(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        // https://sqlite.org/rescode.html: SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE.
        error.sqlite_error().is_some_and(|error| [1555, 2067].contains(&error.extended_code))
    }
}

impl From<SqliteError> for Error {
    fn from(error: SqliteError) -> Self {
        if error.is_unique_violation() {
            return Self::Taken;
        }
        match error {
            // As an I/O error, which makes `Store::write` retry: the next transaction may well commit.
            SqliteError::GroupFailed(_) | SqliteError::RolledBack => {
                Self::Database(sqlx::Error::Io(std::io::Error::other(error)))
            }
            SqliteError::Again => Self::Again,
            SqliteError::WalFile(error) => Self::Database(sqlx::Error::Io(error)),
            SqliteError::Closed => Self::Database(sqlx::Error::PoolClosed),
            SqliteError::Sqlite(error) => Self::Sqlite(error),
        }
    }
}
