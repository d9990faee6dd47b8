//! SQLite's one writer. A transaction and its commit run on the thread of whoever writes: its statements take microseconds
//! each, less than to hand them to another thread and back. There is one such thread at a time, and the program has one
//! more than it needs. Those who wait while it runs go on in the same transaction, and one commit, with its one sync of the
//! disk, is for all of them; nobody is told that it is written before it is. Where one of them fails after it has written,
//! what all of them wrote is undone, and the others are told to write once more: savepoints would cost each a copy of every
//! page that it touches.
//!
//! It knows nothing of what is written.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::log::{self, Log};

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 256;

/// How the file is opened.
pub(super) const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Values of `PRAGMA synchronous`: <https://sqlite.org/pragma.html#pragma_synchronous>.
const FULL: &str = "full";
const NORMAL: &str = "normal";

/// How often it is tried whether another process still writes.
const AGAIN: Duration = Duration::from_millis(5);

thread_local! {
    /// Pages of the log after the last commit of this thread, as SQLite tells there.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

/// Where a transaction is had.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    log: Log,
    /// How long another process is waited for.
    busy: Duration,
}

#[derive(Debug)]
struct State {
    /// None once it is closed.
    connection: Option<Connection>,
    /// Those who have written in the transaction that is open.
    group: Option<Group>,
    /// Whether a commit waits until it is on the disk.
    is_synced: bool,
    /// By the address and length of a statement's text.
    shapes: HashMap<(usize, usize), Shape>,
}

/// What is the same each time a statement is run.
#[derive(Debug)]
struct Shape {
    /// Which of the values each of its parameters is, as SQLite counts parameters: a `$2` is a name to it, and names are
    /// counted as they come.
    parameters: Arc<[usize]>,
    /// Its columns.
    names: Arc<[String]>,
}

/// Those who are told of one commit.
#[derive(Debug, Default)]
struct Group {
    committed: watch::Sender<Option<Committed>>,
}

type Committed = Result<(), NotCommitted>;

/// Why a commit did not take place.
#[derive(Debug, Clone)]
enum NotCommitted {
    Failed(Arc<Error>),
    /// One of those who wrote together has failed.
    Undone,
}

/// A transaction. What was written in it is undone unless it is [committed](Loan::commit).
#[derive(Debug)]
pub(super) struct Loan {
    state: OwnedMutexGuard<State>,
    writer: Writer,
    /// Whether it began the transaction that is open, and so is the one that sees to the commit.
    is_first: bool,
    is_durable: bool,
    is_open: bool,
    /// How many rows had been changed when it began.
    changes: u64,
}

/// The commit for all who have written. It takes place whatever becomes of the one that sees to it.
struct Committing {
    writer: Writer,
    is_done: bool,
}

/// A row, as it came.
#[derive(Debug)]
pub(super) struct Columns {
    names: Arc<[String]>,
    values: Vec<Value>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// SQLite says why.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction that this was a part of came to nothing.
    #[error("what was written together was not committed: {0}")]
    Together(Arc<Error>),
    /// SQLite has undone what was written, as it may when the disk is full.
    #[error("what was written was undone")]
    Undone,
    /// Another one who wrote in the same transaction has failed, and what both wrote was undone.
    #[error("another one failed, and what was written together was undone")]
    Again,
    /// The log's file cannot be reached.
    #[error(transparent)]
    File(std::io::Error),
    /// The program ends.
    #[error("the database is closed")]
    Closed,
}

impl Writer {
    /// Opens a file that is there and has its tables.
    pub(super) fn open(path: &Path, busy: Duration) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, READ_WRITE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Another process is waited for here, and not in SQLite, which would keep the thread.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "synchronous", FULL)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is overwritten, so that its bytes are not found in the file.
        connection.pragma_update(None, "secure_delete", true)?;
        // What a statement could undo is a few pages, and need not be written to a file of its own.
        connection.pragma_update(None, "temp_store", "memory")?;
        // In the place of SQLite's own, which would fold the log before a commit ends.
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(pages.try_into().unwrap_or_default());
            Ok(())
        }));
        let state = State { connection: Some(connection), group: None, is_synced: true, shapes: HashMap::new() };
        Ok(Self { state: Arc::new(Mutex::new(state)), log: Log::of(path)?, busy })
    }

    /// A transaction. It takes the write lock at once: one that began by reading could not wait for it later. If it is to be
    /// durable, its commit takes place when it is on the disk; else a power cut may undo it, but no crash of this program.
    pub(super) async fn begin(&self, is_durable: bool) -> Result<Loan, Error> {
        let state = Arc::clone(&self.state).lock_owned().await;
        let is_first = state.group.is_none();
        let changes = state.connection()?.total_changes();
        let mut loan = Loan { state, writer: self.clone(), is_first, is_durable, is_open: false, changes };
        if is_first {
            loan.state.sync(is_durable)?;
            let given_up = Instant::now() + self.busy;
            while let Err(error) = loan.execute("BEGIN IMMEDIATE") {
                if !error.is_busy() || Instant::now() > given_up {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
        } else if loan.connection()?.is_autocommit() {
            return Err(Error::Undone);
        }
        loan.is_open = true;
        Ok(loan)
    }

    /// The connection between two transactions.
    async fn idle(&self) -> OwnedMutexGuard<State> {
        loop {
            let state = Arc::clone(&self.state).lock_owned().await;
            // Who is to commit was there before, and is let in first.
            if state.group.is_none() {
                return state;
            }
        }
    }

    /// Folds the log into the file and empties it. Says no while somebody reads what was there before.
    pub(super) async fn truncate_wal(&self) -> Result<bool, Error> {
        let state = self.idle().await;
        let empty = move || log::empty(state.connection()?);
        tokio::task::spawn_blocking(empty).await.unwrap_or(Err(Error::Closed))
    }

    /// Makes the log as long as it may be before it is folded.
    pub(super) async fn preallocate_wal(&self) -> Result<(), Error> {
        let log = self.log.clone();
        // What a migration has written may be much, and nobody else need wait for that.
        _ = tokio::task::spawn_blocking(move || log.fold(true)).await;
        let (state, log) = (self.idle().await, self.log.clone());
        let lengthen = move || {
            log.lengthen()?;
            drop(state);
            // So that the next commit does not have to wait for all of it.
            log.sync()
        };
        tokio::task::spawn_blocking(lengthen).await.unwrap_or(Err(Error::Closed))
    }

    /// Closes the connections. Whoever comes after writes nothing.
    pub(super) async fn close(&self) {
        let mut state = self.idle().await;
        let log = self.log.clone();
        let connection = state.connection.take();
        // The log may be folded just now; and the last one to be closed folds all there is.
        let closed = move || {
            log.close();
            drop(connection);
        };
        _ = tokio::task::spawn_blocking(closed).await;
    }
}

impl Error {
    /// Whether another process writes.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

impl State {
    fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or(Error::Closed)
    }

    /// Has the next commit wait for the disk, or not.
    fn sync(&mut self, is_synced: bool) -> Result<(), Error> {
        if self.is_synced != is_synced {
            self.connection()?.pragma_update(None, "synchronous", if is_synced { FULL } else { NORMAL })?;
            self.is_synced = is_synced;
        }
        Ok(())
    }

    /// Undoes what all have written, and tells them.
    fn undo(&mut self) -> Result<(), Error> {
        let connection = self.connection()?;
        let undone = if connection.is_autocommit() { Ok(()) } else { execute(connection, "ROLLBACK") };
        if let Some(group) = self.group.take() {
            group.committed.send_replace(Some(Err(NotCommitted::Undone)));
        }
        Ok(undone?)
    }

    /// Commits; gives the pages of the log.
    fn commit(&self) -> Result<u32, Error> {
        let connection = self.connection()?;
        PAGES.set(0);
        if let Err(error) = execute(connection, "COMMIT") {
            if !connection.is_autocommit() {
                // What is to be done about an error here is told by the one before.
                _ = execute(connection, "ROLLBACK");
            }
            // What was in the log and not on the disk when the disk failed may be lost there without a further word. So
            // nothing is built on it: all goes into the file. That also makes room where a disk is full.
            _ = log::empty(connection);
            return Err(error.into());
        }
        Ok(PAGES.get())
    }

    /// Commits for all who have written, and tells them; gives the pages of the log.
    fn commit_for_all(&mut self) -> u32 {
        let Some(group) = self.group.take() else { return 0 };
        let committed = self.commit();
        let pages = *committed.as_ref().unwrap_or(&0);
        let told = committed.map(drop).map_err(|error| NotCommitted::Failed(Arc::new(error)));
        group.committed.send_replace(Some(told));
        pages
    }
}

/// Where a text that lasts as long as the program stands.
fn place(text: &'static str) -> (usize, usize) {
    (text.as_ptr() as usize, text.len())
}

/// Runs a statement that has no arguments and no rows.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

impl Shape {
    fn of(statement: &Statement<'_>) -> Self {
        let number = |index| statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
        Self {
            // There is no value 0: what cannot be bound is told when it is run.
            parameters: (1..=statement.parameter_count()).map(|index| number(index).unwrap_or_default()).collect(),
            names: statement.column_names().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl Loan {
    fn connection(&self) -> Result<&Connection, Error> {
        self.state.connection()
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        Ok(execute(self.connection()?, sql)?)
    }

    /// Runs a statement; gives its rows, and how many rows it has changed.
    pub(super) fn run<'v>(
        &mut self,
        sql: &'static str,
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> Result<(Vec<Columns>, u64), Error> {
        let State { connection, shapes, .. } = &mut *self.state;
        let connection = connection.as_ref().ok_or(Error::Closed)?;
        let mut statement = connection.prepare_cached(sql)?;
        let Shape { parameters, names } = shapes.entry(place(sql)).or_insert_with(|| Shape::of(&statement));
        let values: Vec<ValueRef<'v>> = values.into_iter().collect();
        for (index, number) in (1..).zip(parameters.iter()) {
            let value = number.checked_sub(1).and_then(|number| values.get(number));
            let value = value.ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
            statement.raw_bind_parameter(index, rusqlite::types::ToSqlOutput::Borrowed(*value))?;
        }
        let mut rows: Vec<Columns> = Vec::new();
        let before = connection.total_changes();
        let mut found = statement.raw_query();
        while let Some(row) = found.next()? {
            let values = (0..names.len()).map(|column| row.get::<_, Value>(column)).collect::<Result<_, _>>()?;
            rows.push(Columns { names: Arc::clone(names), values });
        }
        drop(found);
        Ok((rows, connection.total_changes() - before))
    }

    /// Waits until what was written is committed.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        if !self.is_first && self.connection()?.is_autocommit() {
            return Err(Error::Undone);
        }
        self.is_open = false;
        if self.is_first && !self.is_durable {
            // Nothing waits for the disk, so that is done before others could join.
            let pages = self.state.commit()?;
            let log = self.writer.log.clone();
            drop(self);
            if pages >= log::FOLDED_AT {
                tokio::task::spawn_blocking(move || log.fold(false));
            }
            return Ok(());
        }
        let mut told = self.state.group.get_or_insert_default().committed.subscribe();
        let committing = self.is_first.then(|| Committing { writer: self.writer.clone(), is_done: false });
        // Those who wait already write before the commit.
        drop(self);
        if let Some(committing) = committing {
            committing.run().await;
        }
        let committed = told.wait_for(Option::is_some).await.map_err(|_| Error::Closed)?.clone();
        committed.unwrap_or(Err(NotCommitted::Undone)).map_err(|error| match error {
            NotCommitted::Failed(error) => Error::Together(error),
            NotCommitted::Undone => Error::Again,
        })
    }

    /// Whether there is anything to undo.
    fn has_written(&self) -> bool {
        self.is_first || self.connection().is_ok_and(|connection| connection.total_changes() > self.changes)
    }
}

impl Committing {
    async fn run(mut self) {
        let state = Arc::clone(&self.writer.state).lock_owned().await;
        self.is_done = true;
        let writer = self.writer.clone();
        let commit = move || Self::commit(&writer, state);
        match Handle::current().runtime_flavor() {
            // On this very thread: to wake another one and to be woken by it takes as long as the disk.
            RuntimeFlavor::MultiThread => commit(),
            // Which is the only one here, as in tests, and has more to do.
            _ => _ = tokio::task::spawn_blocking(commit).await,
        }
    }

    fn commit(writer: &Writer, mut state: OwnedMutexGuard<State>) {
        let pages = state.commit_for_all();
        if pages >= log::FOLDED_AT {
            let others_wait = (pages >= log::WAITED_FOR_AT).then_some(state);
            let log = writer.log.clone();
            tokio::task::spawn_blocking(move || {
                log.fold(others_wait.is_some());
                drop(others_wait);
            });
        }
    }
}

impl Drop for Committing {
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

impl Drop for Loan {
    fn drop(&mut self) {
        if self.is_open
            && self.has_written()
            && let Err(error) = self.state.undo()
        {
            tracing::error!("what was written and is not wanted could not be undone: {error}");
        }
    }
}

impl Columns {
    /// The value of a column.
    pub(super) fn value(&self, column: &str) -> Option<&Value> {
        self.names.iter().position(|name| name == column).and_then(|index| self.values.get(index))
    }
}

/// Whether something is there already that may be there once.
pub(super) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    // https://sqlite.org/rescode.html: SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE.
    error.sqlite_error().is_some_and(|error| [1555, 2067].contains(&error.extended_code))
}

#[cfg(test)]
mod tests {
    use futures_util::{join, poll};

    use super::*;

    /// A writer to a new file with one table, and the file.
    fn new(name: &str) -> (Writer, std::path::PathBuf) {
        let path = std::env::temp_dir().join(format!("callscribe-writer-{name}-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE said (word TEXT UNIQUE)").unwrap();
        (Writer::open(&path, Duration::ZERO).unwrap(), path)
    }

    fn say(loan: &mut Loan, word: &str) -> Result<u64, Error> {
        let values = [ValueRef::Text(word.as_bytes())];
        loan.run("INSERT INTO said (word) VALUES ($1)", values).map(|(_, changed)| changed)
    }

    /// What a reader sees.
    fn said(path: &Path) -> Vec<String> {
        let reader = Connection::open(path).unwrap();
        let mut words = reader.prepare("SELECT word FROM said ORDER BY word").unwrap();
        let words = words.query_map([], |row| row.get(0)).unwrap();
        words.collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn who_waits_writes_in_the_same_commit() {
        let (writer, path) = new("together");
        let mut first = writer.begin(true).await.unwrap();
        say(&mut first, "first").unwrap();
        let (second, third) = (writer.begin(true), writer.begin(true));
        tokio::pin!(second, third);
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        let second = async {
            let mut loan = second.await.unwrap();
            assert!(!loan.is_first && said(&path).is_empty(), "nothing is committed yet");
            let again = say(&mut loan, "first").unwrap_err();
            assert!(matches!(again, Error::Sqlite(error) if is_unique_violation(&error)));
            // It has written nothing, so nobody else needs to know.
            drop(loan);
        };
        let third = async {
            let mut loan = third.await.unwrap();
            say(&mut loan, "third").unwrap();
            loan.commit().await
        };
        let (one, (), three) = join!(first.commit(), second, third);
        assert!(one.is_ok() && three.is_ok());
        assert_eq!(said(&path), ["first", "third"]);
        writer.close().await;
        assert!(matches!(writer.begin(true).await, Err(Error::Closed)));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn what_one_undoes_is_to_be_written_once_more_by_the_others() {
        let (writer, path) = new("undone");
        let mut first = writer.begin(true).await.unwrap();
        say(&mut first, "first").unwrap();
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        let second = async {
            let mut loan = second.await.unwrap();
            say(&mut loan, "second").unwrap();
            // It is not wanted after all.
            drop(loan);
        };
        let (one, ()) = join!(first.commit(), second);
        assert!(matches!(one, Err(Error::Again)));
        assert!(said(&path).is_empty());
        let mut once_more = writer.begin(true).await.unwrap();
        say(&mut once_more, "first").unwrap();
        once_more.commit().await.unwrap();
        assert_eq!(said(&path), ["first"]);
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn what_is_to_be_durable_is_in_no_commit_that_does_not_wait_for_the_disk() {
        let (writer, path) = new("durable");
        let mut first = writer.begin(false).await.unwrap();
        say(&mut first, "first").unwrap();
        let (second, third) = (writer.begin(true), writer.begin(false));
        tokio::pin!(second, third);
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        let second = async {
            let mut loan = second.await.unwrap();
            assert!(loan.is_first && loan.state.is_synced, "the first one is committed already");
            let synchronous: i64 =
                loan.connection().unwrap().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(synchronous, 2, "full");
            assert_eq!(said(&path), ["first"]);
            say(&mut loan, "second").unwrap();
            loan.commit().await
        };
        let third = async {
            let mut loan = third.await.unwrap();
            assert!(!loan.is_first, "it may as well be durable");
            say(&mut loan, "third").unwrap();
            loan.commit().await
        };
        let (one, two, three) = join!(first.commit(), second, third);
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!(said(&path), ["first", "second", "third"]);
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_takes_place_although_the_one_that_sees_to_it_is_gone() {
        let (writer, path) = new("gone");
        let mut first = writer.begin(true).await.unwrap();
        say(&mut first, "first").unwrap();
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        {
            let first = first.commit();
            tokio::pin!(first);
            // It waits behind the second.
            assert!(poll!(&mut first).is_pending());
        }
        let mut second = second.await.unwrap();
        assert!(!second.is_first);
        say(&mut second, "second").unwrap();
        second.commit().await.unwrap();
        assert_eq!(said(&path), ["first", "second"]);
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn of_a_transaction_that_came_to_nothing_all_who_wrote_in_it_are_told() {
        let (writer, path) = new("nothing");
        let mut first = writer.begin(true).await.unwrap();
        say(&mut first, "first").unwrap();
        let second = writer.begin(true);
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        let second = async {
            let mut loan = second.await.unwrap();
            say(&mut loan, "second").unwrap();
            // As SQLite may do by itself when the disk is full.
            loan.run("ROLLBACK", []).unwrap();
            loan.commit().await
        };
        let (one, two) = join!(first.commit(), second);
        assert!(matches!(one, Err(Error::Again)) && matches!(two, Err(Error::Undone)));
        assert!(said(&path).is_empty());
        // The next one begins anew.
        let mut next = writer.begin(true).await.unwrap();
        say(&mut next, "next").unwrap();
        next.commit().await.unwrap();
        assert_eq!(said(&path), ["next"]);
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn the_log_is_made_longer_and_emptied_between_transactions() {
        let (writer, path) = new("long");
        let length = || std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        let mut first = writer.begin(true).await.unwrap();
        say(&mut first, "first").unwrap();
        let lengthened = writer.preallocate_wal();
        tokio::pin!(lengthened);
        assert!(poll!(&mut lengthened).is_pending());
        first.commit().await.unwrap();
        lengthened.await.unwrap();
        assert!(length() > u64::from(log::FOLDED_AT) * 4_096);
        assert_eq!(said(&path), ["first"]);
        assert!(writer.truncate_wal().await.unwrap());
        assert_eq!(length(), 0);
        writer.close().await;
        assert!(matches!(writer.preallocate_wal().await, Err(Error::Closed)));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn another_process_is_waited_for_and_given_up_in_the_end() {
        let (writer, path) = new("busy");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(writer.begin(true).await.unwrap_err().is_busy());
        other.execute_batch("COMMIT").unwrap();
        assert!(writer.begin(true).await.is_ok());
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }
}
