//! SQLite's log, in which every commit is until it is folded into the file: <https://sqlite.org/wal.html>. It is folded by a
//! connection of its own, while others write.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::Connection;

use super::writer::{Error, READ_WRITE};

/// Pages after which the log is folded: 16 MB. Pages that were written many times since then are written once.
pub(super) const PAGES: u32 = 4_000;

/// Pages after which everybody waits until it is folded: who folds has not come to its end before others wrote.
pub(super) const MOST_PAGES: u32 = 4 * PAGES;

/// Pages that the connection keeps which folds: it hardly reads any.
const CACHED_PAGES: u32 = 16;

/// Bytes of a page, as SQLite has them unless it is told otherwise.
const PAGE_SIZE: u32 = 4_096;

/// Bytes of a page in the log, with its header.
const WRITTEN_PAGE: u64 = 24 + PAGE_SIZE as u64;

/// The log of a file.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// None once it is closed.
    folder: Arc<Mutex<Option<Connection>>>,
    file: Arc<PathBuf>,
}

impl Log {
    /// That of a database that is there.
    pub(super) fn of(database: &Path) -> Result<Self, rusqlite::Error> {
        let folder = Connection::open_with_flags(database, READ_WRITE)?;
        folder.busy_timeout(Duration::ZERO)?;
        folder.pragma_update(None, "cache_size", CACHED_PAGES)?;
        let mut file = database.as_os_str().to_owned();
        file.push("-wal");
        Ok(Self { folder: Arc::new(Mutex::new(Some(folder))), file: Arc::new(file.into()) })
    }

    /// Who folds, and nobody else meanwhile.
    fn folder(&self) -> MutexGuard<'_, Option<Connection>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds what it can; waits for another one who does, or leaves it to him.
    pub(super) fn fold(&self, waits: bool) {
        let folder = match waits {
            true => self.folder(),
            false => match self.folder.try_lock() {
                Ok(folder) => folder,
                Err(TryLockError::Poisoned(folder)) => folder.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            },
        };
        let Some(connection) = &*folder else { return };
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!("the database's log could not be folded into its file: {error}");
        }
    }

    /// Makes it as long as it may be before it is folded, unless it is: commits then overwrite what is there. To make a file
    /// longer takes the disk about twice as long. Nobody of this program may write meanwhile; where another process does, or
    /// reads what was there before, it is left as it is.
    pub(super) fn lengthen(&self) -> Result<(), Error> {
        let folder = self.folder();
        let connection = folder.as_ref().ok_or(Error::Closed)?;
        let bytes = |pages: u32| u64::from(pages) * WRITTEN_PAGE;
        let length = std::fs::metadata(&*self.file).map_err(Error::File)?.len();
        // All that is in it goes into the file first, while there is room for that.
        if (bytes(PAGES)..bytes(MOST_PAGES)).contains(&length) || !empty(connection)? {
            return Ok(());
        }
        match fill(connection) {
            Err(error) => {
                // A full disk gets back what was taken of it.
                empty(connection)?;
                if error.is_busy() { Ok(()) } else { Err(error) }
            }
            Ok(()) => Ok(()),
        }
    }

    /// Waits until all of it is on the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        File::open(&*self.file).and_then(|log| log.sync_data()).map_err(Error::File)
    }

    /// Closes its connection, after whoever folds.
    pub(super) fn close(&self) {
        *self.folder() = None;
    }
}

/// Folds all of it into the file and empties it. Says no while somebody writes, or reads what was there before.
pub(super) fn empty(connection: &Connection) -> Result<bool, Error> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>("busy"))?;
    Ok(is_busy == 0)
}

/// Writes to it what is no part of the database: pages of a transaction that is too large for the cache go there before its
/// end, and it is undone.
fn fill(connection: &Connection) -> Result<(), Error> {
    let filled =
        connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE filler (bytes BLOB NOT NULL)").and_then(|()| {
            let bytes = (PAGES + 2 * CACHED_PAGES) * PAGE_SIZE;
            connection.execute("INSERT INTO filler (bytes) VALUES (zeroblob($1))", [bytes])
        });
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(filled.map(drop)?)
}
