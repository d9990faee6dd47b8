//! SQLite's log, in which every commit is until it is folded into the file: <https://sqlite.org/wal.html>. It is folded by a
//! connection of its own, while others write. Who writes, and when that is, is told to it.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::Connection;

use super::writer::{Error, READ_WRITE};

/// Pages after which the log is folded: 16 MB. Pages that were written many times since then are written once.
pub(super) const FOLDED_AT: u32 = 4_000;

/// Pages after which everybody waits until it is folded: who folds has not come to its end before others wrote.
pub(super) const WAITED_FOR_AT: u32 = 4 * FOLDED_AT;

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
        // SQLite follows links to the file before it names the log.
        let mut file = folder.path().map_or_else(|| database.as_os_str().to_owned(), OsString::from);
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
        if (bytes(FOLDED_AT)..bytes(WAITED_FOR_AT)).contains(&length) || !empty(connection)? {
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
            let bytes = (FOLDED_AT + 2 * CACHED_PAGES) * PAGE_SIZE;
            connection.execute("INSERT INTO filler (bytes) VALUES (zeroblob($1))", [bytes])
        });
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(filled.map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new file with a table, the log of it, and somebody who writes there.
    fn new(name: &str) -> (PathBuf, Log, Connection) {
        let path = std::env::temp_dir().join(format!("callscribe-log-{name}-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE said (word TEXT)").unwrap();
        (path.clone(), Log::of(&path).unwrap(), connection)
    }

    fn say(connection: &Connection, word: &str) {
        connection.execute("INSERT INTO said (word) VALUES ($1)", [word]).unwrap();
    }

    /// What a reader sees of the tables and of what is in them.
    fn seen(path: &Path) -> Vec<String> {
        let reader = Connection::open(path).unwrap();
        let mut rows = reader.prepare("SELECT name FROM sqlite_schema UNION ALL SELECT word FROM said").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The log's length, and the salts of its head, which change when it is begun anew.
    fn length_and_salts(path: &Path) -> (u64, Vec<u8>) {
        let log = std::fs::read(format!("{}-wal", path.display())).unwrap();
        (log.len() as u64, log.get(16..24).unwrap_or_default().to_vec())
    }

    fn remove(path: &Path, log: &Log, connection: Connection) {
        drop(connection);
        log.close();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn it_is_made_as_long_as_it_may_become_once_and_holds_nothing_of_that() {
        let (path, log, connection) = new("long");
        say(&connection, "before");
        log.lengthen().unwrap();
        let (length, salts) = length_and_salts(&path);
        assert!(length >= u64::from(FOLDED_AT) * WRITTEN_PAGE && length < u64::from(WAITED_FOR_AT) * WRITTEN_PAGE);
        say(&connection, "after");
        let written = length_and_salts(&path);
        assert_eq!(written.0, length, "what is there is overwritten");
        log.lengthen().unwrap();
        log.sync().unwrap();
        assert_eq!(length_and_salts(&path), written, "it is long enough");
        assert_eq!(seen(&path), ["said", "before", "after"]);
        assert!(empty(&connection).unwrap() && length_and_salts(&path).0 == 0 && !salts.is_empty());
        remove(&path, &log, connection);
        assert!(matches!(log.lengthen(), Err(Error::Closed)));
    }

    #[test]
    fn it_is_left_as_it_is_while_somebody_reads_what_was_there_before_or_writes() {
        let (path, log, connection) = new("used");
        say(&connection, "word");
        let other = Connection::open(&path).unwrap();
        for (begin, end) in [("BEGIN; SELECT * FROM said", "COMMIT"), ("BEGIN IMMEDIATE", "ROLLBACK")] {
            other.execute_batch(begin).unwrap();
            let before = length_and_salts(&path);
            log.lengthen().unwrap();
            assert_eq!(length_and_salts(&path), before, "{begin}");
            other.execute_batch(end).unwrap();
        }
        log.lengthen().unwrap();
        assert!(length_and_salts(&path).0 > u64::from(FOLDED_AT) * WRITTEN_PAGE);
        assert_eq!(seen(&path), ["said", "word"]);
        drop(other);
        remove(&path, &log, connection);
    }

    #[cfg(unix)]
    #[test]
    fn that_of_a_file_behind_a_link_is_found() {
        let (path, log, connection) = new("linked");
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let linked = Log::of(&link).unwrap();
        linked.lengthen().unwrap();
        assert!(length_and_salts(&path).0 > u64::from(FOLDED_AT) * WRITTEN_PAGE);
        std::fs::remove_file(link).unwrap();
        linked.close();
        remove(&path, &log, connection);
    }
}
