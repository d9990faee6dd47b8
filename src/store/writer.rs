//! SQLite's one writer. A transaction runs on the thread of whoever writes: its statements take microseconds each, less
//! than to hand them to another thread and back. Those who wait while it runs go on in the same transaction, and one
//! commit, with its one sync of the disk, is for all of them; nobody is told that it is written before it is.
//!
//! It knows nothing of what is written.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 256;

/// Pages of the log after which it is folded into the file: 16 MB. Pages that were written many times since then are
/// written once.
const LOG_PAGES: u32 = 4_000;

/// How often it is tried whether another process still writes.
const AGAIN: Duration = Duration::from_millis(5);

/// Where a transaction is had.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    /// How long another process is waited for.
    busy: Duration,
}

#[derive(Debug)]
struct State {
    /// None once it is closed.
    connection: Option<Connection>,
    /// Those who have written in the transaction that is open.
    group: Option<Group>,
}

/// Those who are told of one commit.
#[derive(Debug, Default)]
struct Group {
    committed: watch::Sender<Option<Committed>>,
}

type Committed = Result<(), Arc<rusqlite::Error>>;

/// A transaction. What was written in it is undone unless it is [committed](Loan::commit).
#[derive(Debug)]
pub(super) struct Loan {
    state: OwnedMutexGuard<State>,
    writer: Writer,
    /// Whether it began the transaction that is open, and so is the one that sees to the commit.
    is_first: bool,
    is_open: bool,
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
    Together(Arc<rusqlite::Error>),
    /// SQLite has undone what was written, as it may when the disk is full.
    #[error("what was written was undone")]
    Undone,
    /// The program ends.
    #[error("the database is closed")]
    Closed,
}

impl Writer {
    /// Opens a file that is there and has its tables.
    pub(super) fn open(path: &Path, busy: Duration) -> Result<Self, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Another process is waited for here, and not in SQLite, which would keep the thread.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is overwritten, so that its bytes are not found in the file.
        connection.pragma_update(None, "secure_delete", true)?;
        // What a savepoint could undo is a few pages, and need not be written to a file of its own.
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let state = State { connection: Some(connection), group: None };
        Ok(Self { state: Arc::new(Mutex::new(state)), busy })
    }

    /// A transaction. It takes the write lock at once: one that began by reading could not wait for it later.
    pub(super) async fn begin(&self) -> Result<Loan, Error> {
        let state = Arc::clone(&self.state).lock_owned().await;
        let is_first = state.group.is_none();
        let mut loan = Loan { state, writer: self.clone(), is_first, is_open: false };
        if is_first {
            let given_up = Instant::now() + self.busy;
            while let Err(error) = loan.execute("BEGIN IMMEDIATE") {
                if !error.is_busy() || Instant::now() > given_up {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
        } else {
            loan.execute("SAVEPOINT mine")?;
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
    pub(super) async fn empty_log(&self) -> Result<bool, Error> {
        let state = self.idle().await;
        let fold = move || {
            let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
            let is_busy = state.connection()?.query_row(fold, [], |row| row.get::<_, i64>("busy"))?;
            Ok(is_busy == 0)
        };
        tokio::task::spawn_blocking(fold).await.unwrap_or(Err(Error::Closed))
    }

    /// Closes the connection. Whoever comes after writes nothing.
    pub(super) async fn close(&self) {
        self.idle().await.connection = None;
    }
}

impl Error {
    /// Whether another process writes.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

impl State {
    fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or(Error::Closed)
    }

    /// Commits for all who have written, and tells them.
    fn commit(&mut self) {
        let (Some(group), Some(connection)) = (self.group.take(), &self.connection) else { return };
        let committed = connection.execute_batch("COMMIT");
        if committed.is_err() && !connection.is_autocommit() {
            // What is to be done about an error here is told by the one before.
            _ = connection.execute_batch("ROLLBACK");
        }
        group.committed.send_replace(Some(committed.map_err(Arc::new)));
    }
}

impl Loan {
    fn connection(&self) -> Result<&Connection, Error> {
        self.state.connection()
    }

    /// Runs what begins or ends a part of a transaction.
    fn execute(&self, sql: &str) -> Result<(), Error> {
        let connection = self.connection()?;
        if !self.is_first && connection.is_autocommit() {
            return Err(Error::Undone);
        }
        Ok(connection.execute_batch(sql)?)
    }

    /// Runs a statement; gives its rows, and how many rows it has changed.
    pub(super) fn run<'v>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> Result<(Vec<Columns>, u64), Error> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(sql)?;
        let values: Vec<ValueRef<'v>> = values.into_iter().collect();
        for index in 1..=statement.parameter_count() {
            // To SQLite, `$2` is a name; it counts names as they come.
            let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse::<usize>().ok());
            let value = number.and_then(|number| values.get(number.checked_sub(1)?));
            let value = value.ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
            statement.raw_bind_parameter(index, rusqlite::types::ToSqlOutput::Borrowed(*value))?;
        }
        let names: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        let before = connection.total_changes();
        let mut found = statement.raw_query();
        while let Some(row) = found.next()? {
            let values = (0..names.len()).map(|column| row.get::<_, Value>(column)).collect::<Result<_, _>>()?;
            rows.push(Columns { names: Arc::clone(&names), values });
        }
        drop(found);
        Ok((rows, connection.total_changes() - before))
    }

    /// Waits until what was written is on the disk.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        if !self.is_first {
            self.execute("RELEASE mine")?;
        }
        self.is_open = false;
        let mut told = self.state.group.get_or_insert_default().committed.subscribe();
        if self.is_first {
            let all = Arc::clone(&self.writer.state);
            // In a task of its own, because others rely on it; behind those who wait already, so that they write before.
            tokio::spawn(async move {
                let mut state = all.lock_owned().await;
                _ = tokio::task::spawn_blocking(move || state.commit()).await;
            });
        }
        drop(self);
        let committed = told.wait_for(Option::is_some).await.map_err(|_| Error::Closed)?.clone();
        committed.unwrap_or(Ok(())).map_err(Error::Together)
    }

    fn undo(&self) -> Result<(), Error> {
        match self.is_first {
            true if self.connection()?.is_autocommit() => Ok(()),
            true => self.execute("ROLLBACK"),
            false => self.execute("ROLLBACK TO mine; RELEASE mine"),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.is_open
            && let Err(error) = self.undo()
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

    fn say(loan: &Loan, word: &str) -> Result<u64, Error> {
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
    async fn who_waits_writes_in_the_same_commit_and_what_one_undoes_leaves_what_the_others_wrote() {
        let (writer, path) = new("together");
        let first = writer.begin().await.unwrap();
        say(&first, "first").unwrap();
        let (second, third) = (writer.begin(), writer.begin());
        tokio::pin!(second, third);
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        let second = async {
            let loan = second.await.unwrap();
            assert!(!loan.is_first && said(&path).is_empty(), "nothing is committed yet");
            say(&loan, "second").unwrap();
            // It is not wanted after all.
            drop(loan);
        };
        let third = async {
            let loan = third.await.unwrap();
            let again = say(&loan, "first").unwrap_err();
            assert!(matches!(again, Error::Sqlite(error) if is_unique_violation(&error)));
            say(&loan, "third").unwrap();
            loan.commit().await
        };
        let (one, (), three) = join!(first.commit(), second, third);
        assert!(one.is_ok() && three.is_ok());
        assert_eq!(said(&path), ["first", "third"]);
        writer.close().await;
        assert!(matches!(writer.begin().await, Err(Error::Closed)));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn of_a_transaction_that_came_to_nothing_all_who_wrote_in_it_are_told() {
        let (writer, path) = new("nothing");
        let first = writer.begin().await.unwrap();
        say(&first, "first").unwrap();
        let second = writer.begin();
        tokio::pin!(second);
        assert!(poll!(&mut second).is_pending());
        let second = async {
            let loan = second.await.unwrap();
            say(&loan, "second").unwrap();
            // As SQLite may do by itself when the disk is full.
            loan.run("ROLLBACK", []).unwrap();
            loan.commit().await
        };
        let (one, two) = join!(first.commit(), second);
        assert!(matches!(one, Err(Error::Together(_))) && matches!(two, Err(Error::Undone)));
        assert!(said(&path).is_empty());
        // The next one begins anew.
        let next = writer.begin().await.unwrap();
        say(&next, "next").unwrap();
        next.commit().await.unwrap();
        assert_eq!(said(&path), ["next"]);
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn another_process_is_waited_for_and_given_up_in_the_end() {
        let (writer, path) = new("busy");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(writer.begin().await.unwrap_err().is_busy());
        other.execute_batch("COMMIT").unwrap();
        assert!(writer.begin().await.is_ok());
        writer.close().await;
        std::fs::remove_file(path).unwrap();
    }
}
