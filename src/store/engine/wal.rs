//! SQLite's write-ahead log (WAL), which holds each commit until a checkpoint copies it into the database file:
//! <https://sqlite.org/wal.html>. Checkpoints run on a connection of their own while others write. The caller knows when
//! nobody writes.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::sqlite_error::SqliteError;

/// How the writer and the checkpointer open the file.
pub(super) const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Pages in the WAL at which a checkpoint starts: 16 MB. A page that was written many times since the last checkpoint is
/// copied once.
pub(super) const CHECKPOINT_AT: u32 = 4_000;

/// Pages in the WAL at which writers wait for the checkpoint: it has not kept up with them.
pub(super) const WAIT_AT: u32 = 4 * CHECKPOINT_AT;

/// Pages that the checkpoint connection caches: it reads hardly any.
const CACHED_PAGES: u32 = 16;

/// Bytes of a page: SQLite's default.
const PAGE_SIZE: u32 = 4_096;

/// Bytes of a page in the WAL, with its header.
const FRAME_SIZE: u64 = 24 + PAGE_SIZE as u64;

#[derive(Debug, Clone)]
pub(super) struct Wal {
    /// The checkpoint connection; `None` once it is closed.
    checkpointer: Arc<Mutex<Option<Connection>>>,
    file: Arc<PathBuf>,
}

impl Wal {
    /// The WAL of a database that exists.
    pub(super) fn of(database: &Path) -> Result<Self, rusqlite::Error> {
        let checkpointer = Connection::open_with_flags(database, READ_WRITE)?;
        checkpointer.busy_timeout(Duration::ZERO)?;
        checkpointer.pragma_update(None, "cache_size", CACHED_PAGES)?;
        // SQLite resolves symbolic links before it names the WAL.
        let mut file = checkpointer.path().map_or_else(|| database.as_os_str().to_owned(), OsString::from);
        file.push("-wal");
        Ok(Self { checkpointer: Arc::new(Mutex::new(Some(checkpointer))), file: Arc::new(file.into()) })
    }

    /// Locks the checkpoint connection.
    fn checkpointer(&self) -> MutexGuard<'_, Option<Connection>> {
        self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies into the file what no reader holds back. While another checkpoint runs, waits for it or does nothing.
    pub(super) fn checkpoint(&self, waits: bool) {
        let checkpointer = if waits {
            self.checkpointer()
        } else {
            match self.checkpointer.try_lock() {
                Ok(checkpointer) => checkpointer,
                Err(TryLockError::Poisoned(checkpointer)) => checkpointer.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            }
        };
        let Some(connection) = &*checkpointer else { return };
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!("cannot checkpoint the database's WAL: {error}");
        }
    }

    /// Makes the WAL as long as it may become before a checkpoint, unless it is: commits then overwrite it, and extending
    /// a file takes the disk about twice as long. The caller keeps this program from writing meanwhile. If another process
    /// writes, or a reader still uses the WAL, it stays as it is.
    pub(super) fn preallocate(&self) -> Result<(), SqliteError> {
        let checkpointer = self.checkpointer();
        let connection = checkpointer.as_ref().ok_or(SqliteError::Closed)?;
        let bytes = |pages: u32| u64::from(pages) * FRAME_SIZE;
        let length = std::fs::metadata(&*self.file).map_err(SqliteError::WalFile)?.len();
        // What it holds goes into the file first, while there is space for that.
        if (bytes(CHECKPOINT_AT)..bytes(WAIT_AT)).contains(&length) || !truncate(connection)? {
            return Ok(());
        }
        match fill(connection) {
            Err(error) => {
                // Frees the space on a full disk.
                truncate(connection)?;
                if error.is_busy() { Ok(()) } else { Err(error) }
            }
            Ok(()) => Ok(()),
        }
    }

    /// Waits until all of it is on the disk.
    pub(super) fn sync(&self) -> Result<(), SqliteError> {
        File::open(&*self.file).and_then(|wal| wal.sync_data()).map_err(SqliteError::WalFile)
    }

    /// Closes the checkpoint connection, after a running checkpoint.
    pub(super) fn close(&self) {
        *self.checkpointer() = None;
    }
}

/// Checkpoints all of it and truncates it. Returns `false` while another connection writes, or a reader still uses it.
pub(super) fn truncate(connection: &Connection) -> Result<bool, SqliteError> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>("busy"))?;
    Ok(is_busy == 0)
}

/// Fills it with a transaction that is rolled back: one too large for the page cache is written before its end.
fn fill(connection: &Connection) -> Result<(), SqliteError> {
    let filled =
        connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE filler (bytes BLOB NOT NULL)").and_then(|()| {
            let bytes = (CHECKPOINT_AT + 2 * CACHED_PAGES) * PAGE_SIZE;
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

    /// A new file with a table, its WAL, and a connection that writes.
    fn new(name: &str) -> (PathBuf, Wal, Connection) {
        let path = std::env::temp_dir().join(format!("callscribe-wal-{name}-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE said (word TEXT)").unwrap();
        (path.clone(), Wal::of(&path).unwrap(), connection)
    }

    fn say(connection: &Connection, word: &str) {
        connection.execute("INSERT INTO said (word) VALUES ($1)", [word]).unwrap();
    }

    /// The names of the tables and the rows, as a reader sees them.
    fn seen(path: &Path) -> Vec<String> {
        let reader = Connection::open(path).unwrap();
        let mut rows = reader.prepare("SELECT name FROM sqlite_schema UNION ALL SELECT word FROM said").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The WAL's length, and the salts in its header, which change when SQLite restarts it.
    fn length_and_salts(path: &Path) -> (u64, Vec<u8>) {
        let wal = std::fs::read(format!("{}-wal", path.display())).unwrap();
        (wal.len() as u64, wal.get(16..24).unwrap_or_default().to_vec())
    }

    fn remove(path: &Path, wal: &Wal, connection: Connection) {
        drop(connection);
        wal.close();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn preallocation_makes_it_long_once_and_leaves_no_rows() {
        let (path, wal, connection) = new("long");
        say(&connection, "before");
        wal.preallocate().unwrap();
        let (length, salts) = length_and_salts(&path);
        assert!(length >= u64::from(CHECKPOINT_AT) * FRAME_SIZE && length < u64::from(WAIT_AT) * FRAME_SIZE);
        say(&connection, "after");
        let written = length_and_salts(&path);
        assert_eq!(written.0, length, "what is there is overwritten");
        wal.preallocate().unwrap();
        wal.sync().unwrap();
        assert_eq!(length_and_salts(&path), written, "it is long enough");
        assert_eq!(seen(&path), ["said", "before", "after"]);
        assert!(truncate(&connection).unwrap() && length_and_salts(&path).0 == 0 && !salts.is_empty());
        remove(&path, &wal, connection);
        assert!(matches!(wal.preallocate(), Err(SqliteError::Closed)));
    }

    #[test]
    fn it_stays_as_it_is_while_a_reader_uses_it_or_another_process_writes() {
        let (path, wal, connection) = new("used");
        say(&connection, "word");
        let other = Connection::open(&path).unwrap();
        for (begin, end) in [("BEGIN; SELECT * FROM said", "COMMIT"), ("BEGIN IMMEDIATE", "ROLLBACK")] {
            other.execute_batch(begin).unwrap();
            let before = length_and_salts(&path);
            wal.preallocate().unwrap();
            assert_eq!(length_and_salts(&path), before, "{begin}");
            other.execute_batch(end).unwrap();
        }
        wal.preallocate().unwrap();
        assert!(length_and_salts(&path).0 > u64::from(CHECKPOINT_AT) * FRAME_SIZE);
        assert_eq!(seen(&path), ["said", "word"]);
        drop(other);
        remove(&path, &wal, connection);
    }

    #[cfg(unix)]
    #[test]
    fn the_wal_of_a_file_behind_a_link_is_found() {
        let (path, wal, connection) = new("linked");
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let linked = Wal::of(&link).unwrap();
        linked.preallocate().unwrap();
        assert!(length_and_salts(&path).0 > u64::from(CHECKPOINT_AT) * FRAME_SIZE);
        std::fs::remove_file(link).unwrap();
        linked.close();
        remove(&path, &wal, connection);
    }
}
