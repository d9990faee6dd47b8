//! SQLite's only writer of this program: transactions and their group commit. It knows nothing of what is written.
//!
//! A transaction runs on the thread of its caller: a statement takes microseconds, less than handing it to another thread
//! and back. The [`SqliteWriter`] has one connection behind a fair mutex. In order:
//!
//! 1. *Who holds the write lock.* [`SqliteWriter::begin`] waits for the mutex; a [`WriteTx`] holds it until its
//!    [`commit`](WriteTx::commit) or drop, so one transaction at a time runs statements. The first one takes SQLite's
//!    write lock with `BEGIN IMMEDIATE`: a transaction that began as a reader could not wait for the lock later.
//! 2. *Group commit.* `commit` of a durable transaction releases the mutex without `COMMIT`: SQLite's transaction stays
//!    open, and every transaction that has waited for the mutex joins it. The first member queues for the mutex behind
//!    them and then commits for the whole [`CommitGroup`]: one `COMMIT` and one sync of the disk. No member's `commit`
//!    returns before that.
//! 3. *What a joining member sees.* All statements of the members before it, uncommitted. Readers, which have connections
//!    of their own, see none of it until the `COMMIT`.
//! 4. *If a member fails.* A member that has changed no row just leaves. If it has changed one, the whole transaction is
//!    rolled back and every other member gets [`SqliteError::Again`]; `Store::write` runs those again. A savepoint for
//!    each member would avoid that, but costs a copy of every page that the member touches. If the `COMMIT` itself
//!    fails, every member gets that error.
//! 5. *If the first member's future is dropped* after it has released the mutex, the drop of its [`GroupCommit`] commits
//!    for the others.
//! 6. *Commits that are not synced.* A first member that is not durable commits with `synchronous = NORMAL` before it
//!    releases the mutex, so no durable transaction ever joins it. A power cut may undo such a commit, a crash of the
//!    program cannot. That is safe for what is found again if it is lost: claims, leases and due times of jobs, a call
//!    SID, which callbacks repeat, and a finished transcript, which is polled for again. What a receiver of webhooks hears of
//!    is synced before by the claim of its delivery, as is all that was committed before. A transaction that joins a durable one is synced with it.
//! 7. *The WAL* is not checkpointed inside a commit. From [`CHECKPOINT_AT`](super::wal::CHECKPOINT_AT) pages on, a
//!    checkpoint runs on another connection and thread while others write; from [`WAIT_AT`](super::wal::WAIT_AT) pages
//!    on, writers wait until it ends. After a failed `COMMIT` the WAL is truncated at once. [`super::wal`] has the rest.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, hooks};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::sqlite_error::SqliteError;
use super::sqlite_statement::{CACHED, KEEPS_PLANS, SqliteRow, Statements};
use super::wal::{self, READ_WRITE, Wal};

/// Values of `PRAGMA synchronous`: <https://sqlite.org/pragma.html#pragma_synchronous>.
const FULL: &str = "full";
const NORMAL: &str = "normal";

/// Pause before `BEGIN IMMEDIATE` is retried while another process holds the write lock.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

thread_local! {
    /// Pages in the WAL after the last commit on this thread, as SQLite's WAL hook reports them.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

#[derive(Debug, Clone)]
pub(in crate::store) struct SqliteWriter {
    state: Arc<Mutex<State>>,
    wal: Wal,
    /// How long a transaction waits for another process.
    busy_timeout: Duration,
}

#[derive(Debug)]
struct State {
    /// `None` once it is closed.
    connection: Option<Connection>,
    /// The members of the open transaction that have called `commit`.
    group: Option<CommitGroup>,
    /// Whether a commit waits for the disk.
    is_synced: bool,
    statements: Statements,
}

/// The transactions that wait for one commit.
#[derive(Debug, Default)]
struct CommitGroup {
    outcome: watch::Sender<Option<Result<(), NotCommitted>>>,
}

#[derive(Debug, Clone)]
enum NotCommitted {
    /// The `COMMIT` failed.
    Failed(Arc<SqliteError>),
    /// A member failed, and the transaction was rolled back.
    RolledBack,
}

/// A transaction. It is rolled back unless it is [committed](WriteTx::commit).
#[derive(Debug)]
pub(in crate::store) struct WriteTx {
    state: OwnedMutexGuard<State>,
    writer: SqliteWriter,
    /// Whether it began SQLite's transaction, and so commits for the group.
    is_first: bool,
    is_durable: bool,
    is_open: bool,
    /// SQLite's count of changed rows when it began.
    changes_before: u64,
}

/// The duty to commit for the group. Its drop commits, too.
struct GroupCommit {
    writer: SqliteWriter,
    is_done: bool,
}

impl SqliteWriter {
    /// Opens a file that exists and has its tables.
    pub(super) fn open(path: &Path, busy_timeout: Duration) -> Result<Self, rusqlite::Error> {
        let mut connection = Connection::open_with_flags(path, READ_WRITE)?;
        connection.set_prepared_statement_cache_capacity(CACHED);
        // `begin` waits for another process; SQLite would block the thread.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "synchronous", FULL)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // The same as for readers: the file may be crafted.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, KEEPS_PLANS)?;
        // Deleted bytes are overwritten, so that they are not found in the file.
        connection.pragma_update(None, "secure_delete", true)?;
        // The statement journal is a few pages; in memory it costs no file.
        connection.pragma_update(None, "temp_store", "memory")?;
        // Replaces SQLite's own hook, which would checkpoint before a commit returns.
        connection.wal_hook(Some(|_: &mut hooks::Wal, pages: i32| {
            PAGES.set(pages.try_into().unwrap_or_default());
            Ok(())
        }))?;
        let state =
            State { connection: Some(connection), group: None, is_synced: true, statements: Statements::default() };
        Ok(Self { state: Arc::new(Mutex::new(state)), wal: Wal::of(path)?, busy_timeout })
    }

    /// Begins a transaction, or joins the open one. If it is durable, its commit waits for the disk.
    pub(super) async fn begin(&self, is_durable: bool) -> Result<WriteTx, SqliteError> {
        let state = Arc::clone(&self.state).lock_owned().await;
        let is_first = state.group.is_none();
        let changes_before = state.connection()?.total_changes();
        let mut tx = WriteTx { state, writer: self.clone(), is_first, is_durable, is_open: false, changes_before };
        if is_first {
            tx.state.set_synced(is_durable)?;
            let deadline = Instant::now() + self.busy_timeout;
            while let Err(error) = tx.execute("BEGIN IMMEDIATE") {
                if !error.is_busy() || Instant::now() > deadline {
                    return Err(error);
                }
                tokio::time::sleep(BUSY_PAUSE).await;
            }
        } else if tx.connection()?.is_autocommit() {
            return Err(SqliteError::RolledBack);
        }
        tx.is_open = true;
        Ok(tx)
    }

    /// Waits until no transaction is open.
    async fn idle(&self) -> OwnedMutexGuard<State> {
        loop {
            let state = Arc::clone(&self.state).lock_owned().await;
            // The first member of the group is ahead of this loop in the queue for the mutex.
            if state.group.is_none() {
                return state;
            }
        }
    }

    /// Checkpoints the whole WAL and truncates it. Returns `false` while a reader still uses it.
    pub(super) async fn truncate_wal(&self) -> Result<bool, SqliteError> {
        let state = self.idle().await;
        let truncate = move || wal::truncate(state.connection()?);
        tokio::task::spawn_blocking(truncate).await.unwrap_or(Err(SqliteError::Closed))
    }

    /// Makes the WAL as long as it may become before it is checkpointed.
    pub(super) async fn preallocate_wal(&self) -> Result<(), SqliteError> {
        let wal = self.wal.clone();
        // A migration may have written much, and no writer needs to wait for that checkpoint.
        _ = tokio::task::spawn_blocking(move || wal.checkpoint(true)).await;
        let (state, wal) = (self.idle().await, self.wal.clone());
        let preallocate = move || {
            wal.preallocate()?;
            drop(state);
            // So that the next commit does not have to sync all of it.
            wal.sync()
        };
        tokio::task::spawn_blocking(preallocate).await.unwrap_or(Err(SqliteError::Closed))
    }

    /// Closes the connections. Transactions that begin later fail.
    pub(super) async fn close(&self) {
        let mut state = self.idle().await;
        let wal = self.wal.clone();
        let connection = state.connection.take();
        // A checkpoint may be running; and closing the last connection checkpoints the whole WAL.
        let close = move || {
            wal.close();
            drop(connection);
        };
        _ = tokio::task::spawn_blocking(close).await;
    }
}

impl State {
    fn connection(&self) -> Result<&Connection, SqliteError> {
        self.connection.as_ref().ok_or(SqliteError::Closed)
    }

    /// Sets `PRAGMA synchronous` for the next commit.
    fn set_synced(&mut self, is_synced: bool) -> Result<(), SqliteError> {
        if self.is_synced != is_synced {
            self.connection()?.pragma_update(None, "synchronous", if is_synced { FULL } else { NORMAL })?;
            self.is_synced = is_synced;
        }
        Ok(())
    }

    /// Rolls the transaction back and has every other member run again.
    fn roll_back(&mut self) -> Result<(), SqliteError> {
        let connection = self.connection()?;
        let rolled_back = if connection.is_autocommit() { Ok(()) } else { execute(connection, "ROLLBACK") };
        if let Some(group) = self.group.take() {
            group.outcome.send_replace(Some(Err(NotCommitted::RolledBack)));
        }
        Ok(rolled_back?)
    }

    /// Commits and returns the number of pages in the WAL.
    fn commit(&self) -> Result<u32, SqliteError> {
        let connection = self.connection()?;
        PAGES.set(0);
        if let Err(error) = execute(connection, "COMMIT") {
            if !connection.is_autocommit() {
                // The error of the COMMIT is the one to report.
                _ = execute(connection, "ROLLBACK");
            }
            // If the disk failed, pages of the WAL that were not synced yet may be lost without another error. So
            // nothing is built on them: the WAL is truncated. That also frees space on a full disk.
            _ = wal::truncate(connection);
            return Err(error.into());
        }
        Ok(PAGES.get())
    }

    /// Commits for the group and returns the number of pages in the WAL.
    fn commit_group(&mut self) -> u32 {
        let Some(group) = self.group.take() else { return 0 };
        let committed = self.commit();
        let pages = *committed.as_ref().unwrap_or(&0);
        let outcome = committed.map(drop).map_err(|error| NotCommitted::Failed(Arc::new(error)));
        group.outcome.send_replace(Some(outcome));
        pages
    }
}

/// Runs a statement that has no arguments and no rows.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

impl WriteTx {
    fn connection(&self) -> Result<&Connection, SqliteError> {
        self.state.connection()
    }

    fn execute(&self, sql: &str) -> Result<(), SqliteError> {
        Ok(execute(self.connection()?, sql)?)
    }

    /// Runs a statement and returns its rows, and how many rows it changed.
    pub(super) fn run<'v>(
        &mut self,
        sql: &'static str,
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> Result<(Vec<SqliteRow>, u64), SqliteError> {
        let State { connection, statements, .. } = &mut *self.state;
        let connection = connection.as_ref().ok_or(SqliteError::Closed)?;
        let changes_before = connection.total_changes();
        let rows = statements.run(connection, sql, values)?;
        Ok((rows, connection.total_changes() - changes_before))
    }

    /// Waits until the group is committed.
    pub(super) async fn commit(mut self) -> Result<(), SqliteError> {
        if !self.is_first && self.connection()?.is_autocommit() {
            return Err(SqliteError::RolledBack);
        }
        self.is_open = false;
        if self.is_first && !self.is_durable {
            // This commit does not wait for the disk, so it happens before another transaction can join.
            let pages = self.state.commit()?;
            let wal = self.writer.wal.clone();
            drop(self);
            if pages >= wal::CHECKPOINT_AT {
                tokio::task::spawn_blocking(move || wal.checkpoint(false));
            }
            return Ok(());
        }
        let mut outcome = self.state.group.get_or_insert_default().outcome.subscribe();
        let group_commit = self.is_first.then(|| GroupCommit { writer: self.writer.clone(), is_done: false });
        // Releases the mutex: transactions that wait for it join before the commit.
        drop(self);
        if let Some(group_commit) = group_commit {
            group_commit.run().await;
        }
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| SqliteError::Closed)?.clone();
        outcome.unwrap_or(Err(NotCommitted::RolledBack)).map_err(|error| match error {
            NotCommitted::Failed(error) => SqliteError::GroupFailed(error),
            NotCommitted::RolledBack => SqliteError::Again,
        })
    }

    /// Whether there may be something to roll back.
    fn has_written(&self) -> bool {
        self.is_first || self.connection().is_ok_and(|connection| connection.total_changes() > self.changes_before)
    }
}

impl GroupCommit {
    async fn run(mut self) {
        let state = Arc::clone(&self.writer.state).lock_owned().await;
        self.is_done = true;
        let writer = self.writer.clone();
        let commit = move || Self::commit(&writer, state);
        match Handle::current().runtime_flavor() {
            // On this thread: waking another one and being woken by it takes as long as the disk.
            RuntimeFlavor::MultiThread => commit(),
            // This thread is the only one, as in tests, and must not block.
            _ => _ = tokio::task::spawn_blocking(commit).await,
        }
    }

    fn commit(writer: &SqliteWriter, mut state: OwnedMutexGuard<State>) {
        let pages = state.commit_group();
        if pages >= wal::CHECKPOINT_AT {
            let writers_wait = (pages >= wal::WAIT_AT).then_some(state);
            let wal = writer.wal.clone();
            tokio::task::spawn_blocking(move || {
                wal.checkpoint(writers_wait.is_some());
                drop(writers_wait);
            });
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        if !self.is_done {
            let writer = self.writer.clone();
            tokio::task::spawn_blocking(move || {
                let state = Arc::clone(&writer.state).blocking_lock_owned();
                Self::commit(&writer, state);
            });
        }
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        if self.is_open
            && self.has_written()
            && let Err(error) = self.state.roll_back()
        {
            tracing::error!("cannot roll back a transaction: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use futures_util::{join, poll};

    use super::*;

    /// A writer to a new file with one table, and the file.
    fn new(name: &str) -> (SqliteWriter, PathBuf) {
        let path = std::env::temp_dir().join(format!("callscribe-writer-{name}-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE said (word TEXT UNIQUE)").unwrap();
        (SqliteWriter::open(&path, Duration::ZERO).unwrap(), path)
    }

    /// The same, with a transaction that has written `first`.
    async fn with_first(name: &str, is_durable: bool) -> (SqliteWriter, PathBuf, WriteTx) {
        let (writer, path) = new(name);
        let mut first = writer.begin(is_durable).await.unwrap();
        say(&mut first, "first").unwrap();
        (writer, path, first)
    }

    async fn remove(writer: &SqliteWriter, path: &Path) {
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    fn say(tx: &mut WriteTx, word: &str) -> Result<u64, SqliteError> {
        let values = [ValueRef::Text(word.as_bytes())];
        tx.run("INSERT INTO said (word) VALUES ($1)", values).map(|(_, changed)| changed)
    }

    /// What a reader sees.
    fn said(path: &Path) -> Vec<String> {
        let reader = Connection::open(path).unwrap();
        let mut words = reader.prepare("SELECT word FROM said ORDER BY word").unwrap();
        let words = words.query_map([], |row| row.get(0)).unwrap();
        words.collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn waiting_transactions_join_the_same_commit() {
        let (writer, path, first) = with_first("together", true).await;
        let (second, third) = (writer.begin(true), writer.begin(true));
        tokio::pin!(second, third);
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        let second = async {
            let mut tx = second.await.unwrap();
            assert!(!tx.is_first && said(&path).is_empty(), "nothing is committed yet");
            let again = say(&mut tx, "first").unwrap_err();
            assert!(again.is_unique_violation());
            // It has written nothing, so the others commit.
            drop(tx);
        };
        let third = async {
            let mut tx = third.await.unwrap();
            say(&mut tx, "third").unwrap();
            tx.commit().await
        };
        let (one, (), three) = join!(first.commit(), second, third);
        assert!(one.is_ok() && three.is_ok());
        assert_eq!(said(&path), ["first", "third"]);
        writer.close().await;
        assert!(matches!(writer.begin(true).await, Err(SqliteError::Closed)));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_rollback_of_one_member_makes_the_others_run_again() {
        let (writer, path, first) = with_first("undone", true).await;
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        let second = async {
            let mut tx = second.await.unwrap();
            say(&mut tx, "second").unwrap();
            // Rolls back.
            drop(tx);
        };
        let (one, ()) = join!(first.commit(), second);
        assert!(matches!(one, Err(SqliteError::Again)));
        assert!(said(&path).is_empty());
        let mut again = writer.begin(true).await.unwrap();
        say(&mut again, "first").unwrap();
        again.commit().await.unwrap();
        assert_eq!(said(&path), ["first"]);
        remove(&writer, &path).await;
    }

    #[tokio::test]
    async fn a_durable_transaction_joins_no_commit_that_does_not_wait_for_the_disk() {
        let (writer, path, first) = with_first("durable", false).await;
        let (second, third) = (writer.begin(true), writer.begin(false));
        tokio::pin!(second, third);
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        let second = async {
            let mut tx = second.await.unwrap();
            assert!(tx.is_first && tx.state.is_synced, "the first one is committed already");
            let synchronous: i64 =
                tx.connection().unwrap().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(synchronous, 2, "full");
            assert_eq!(said(&path), ["first"]);
            say(&mut tx, "second").unwrap();
            tx.commit().await
        };
        let third = async {
            let mut tx = third.await.unwrap();
            assert!(!tx.is_first, "it joins the durable one");
            say(&mut tx, "third").unwrap();
            tx.commit().await
        };
        let (one, two, three) = join!(first.commit(), second, third);
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!(said(&path), ["first", "second", "third"]);
        remove(&writer, &path).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_group_is_committed_even_if_the_future_of_its_first_member_is_dropped() {
        let (writer, path, first) = with_first("gone", true).await;
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        {
            let first = first.commit();
            tokio::pin!(first);
            // It has queued for the mutex behind the second.
            assert!(poll!(&mut first).is_pending());
        }
        let mut second = second.await.unwrap();
        assert!(!second.is_first);
        say(&mut second, "second").unwrap();
        second.commit().await.unwrap();
        assert_eq!(said(&path), ["first", "second"]);
        remove(&writer, &path).await;
    }

    #[tokio::test]
    async fn every_member_learns_that_sqlite_rolled_the_transaction_back() {
        let (writer, path, first) = with_first("nothing", true).await;
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        let second = async {
            let mut tx = second.await.unwrap();
            say(&mut tx, "second").unwrap();
            // As SQLite may do when the disk is full.
            tx.run("ROLLBACK", []).unwrap();
            tx.commit().await
        };
        let (one, two) = join!(first.commit(), second);
        assert!(matches!(one, Err(SqliteError::Again)) && matches!(two, Err(SqliteError::RolledBack)));
        assert!(said(&path).is_empty());
        // The next one begins a new transaction.
        let mut next = writer.begin(true).await.unwrap();
        say(&mut next, "next").unwrap();
        next.commit().await.unwrap();
        assert_eq!(said(&path), ["next"]);
        remove(&writer, &path).await;
    }

    #[tokio::test]
    async fn the_wal_is_preallocated_and_truncated_between_transactions() {
        let (writer, path, first) = with_first("long", true).await;
        let length = || std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        let preallocated = writer.preallocate_wal();
        tokio::pin!(preallocated);
        assert!(poll!(&mut preallocated).is_pending());
        first.commit().await.unwrap();
        preallocated.await.unwrap();
        assert!(length() > u64::from(wal::CHECKPOINT_AT) * 4_096);
        assert_eq!(said(&path), ["first"]);
        assert!(writer.truncate_wal().await.unwrap());
        assert_eq!(length(), 0);
        writer.close().await;
        assert!(matches!(writer.preallocate_wal().await, Err(SqliteError::Closed)));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn begin_waits_for_another_process_and_gives_up_in_the_end() {
        let (writer, path) = new("busy");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(writer.begin(true).await.unwrap_err().is_busy());
        other.execute_batch("COMMIT").unwrap();
        assert!(writer.begin(true).await.is_ok());
        remove(&writer, &path).await;
    }
}
