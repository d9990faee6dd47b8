//! The connections that read from SQLite. A statement runs on the thread of its caller as long as it is brief; otherwise it
//! starts over on a thread that may block.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::location::SqliteFile;
use super::sqlite_error::SqliteError;
use super::sqlite_file::connect;
use super::sqlite_statement::{CACHED, KEEPS_PLANS, SqliteRow, Statements};
use crate::store::error::Error;

/// Connections that read. One more writes.
const READERS: u32 = 4;

/// After how many of its instructions SQLite asks whether its rows are still awaited: less than a millisecond.
const INSTRUCTIONS: i32 = 10_000;

/// How many instructions a brief statement has, about: to find some rows by a key takes a few dozen. That is done sooner than
/// another thread is woken.
const BRIEF: i32 = 1_000;

/// After how many instructions a statement is asked whether it is still brief. SQLite counts on from one run of a statement to
/// the next, so the first question may come at once.
const ASKED: i32 = 100;

/// The connections that read. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::store) struct SqliteReaders {
    shared: Arc<Shared>,
    /// One for each connection that may be in use.
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    file: SqliteFile,
    busy_timeout: Duration,
    acquire_timeout: Duration,
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Reader>>,
}

/// A connection, opened.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    statements: Statements,
}

/// A connection of one task. Its drop gives the connection back.
#[derive(Debug)]
pub(in crate::store) struct ReadSession {
    /// `None` while a statement runs.
    lent: Option<Lent>,
}

#[derive(Debug)]
struct Lent {
    /// `None` until the first statement, if no open one was idle.
    reader: Option<Reader>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl SqliteReaders {
    /// Of a file that exists and has its tables. Opens no connection yet.
    pub(super) fn new(file: SqliteFile, acquire_timeout: Duration, busy_timeout: Duration) -> Self {
        let shared = Shared { file, busy_timeout, acquire_timeout, idle: Mutex::default() };
        Self { shared: Arc::new(shared), permits: Arc::new(Semaphore::new(READERS as usize)) }
    }

    /// Waits for a connection that nobody uses.
    pub(super) async fn acquire(&self) -> Result<ReadSession, Error> {
        let permit = timeout(self.shared.acquire_timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| Error::Database(sqlx::Error::PoolTimedOut))?;
        let permit = permit.map_err(|_| SqliteError::Closed)?;
        let reader = self.shared.idle().pop();
        Ok(ReadSession { lent: Some(Lent { reader, shared: Arc::clone(&self.shared), _permit: permit }) })
    }

    /// Closes the connections when they are no longer in use. Who waits for one after that gets an error.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(READERS).await;
        self.permits.close();
        self.shared.idle().clear();
        drop(all);
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadSession {
    /// Runs a statement and returns its rows. If this future is dropped, SQLite stops the statement soon.
    pub(super) async fn fetch(&mut self, sql: &'static str, args: Vec<Value>) -> Result<Vec<SqliteRow>, SqliteError> {
        let mut lent = self.lent.take().ok_or(SqliteError::Closed)?;
        if let Some(rows) = lent.run_briefly(sql, &args) {
            self.lent = Some(lent);
            return Ok(rows?);
        }
        let (wanted, _awaited) = oneshot::channel();
        let run = move || {
            let rows = lent.run(sql, &args, wanted);
            // Nobody may await it any more: its drop gives the connection back.
            (lent, rows)
        };
        let (lent, rows) = spawn_blocking(run).await.map_err(|_| SqliteError::Closed)?;
        self.lent = Some(lent);
        Ok(rows?)
    }
}

impl Lent {
    /// Runs a statement on this thread. Returns `None` if it would take long, or if the connection is not open yet.
    fn run_briefly(&mut self, sql: &'static str, args: &[Value]) -> Option<rusqlite::Result<Vec<SqliteRow>>> {
        let Reader { connection, statements } = self.reader.as_mut()?;
        let mut questions = 0;
        let is_long = move || {
            questions += 1;
            questions > BRIEF / ASKED
        };
        if let Err(error) = connection.progress_handler(ASKED, Some(is_long)) {
            return Some(Err(error));
        }
        match statements.run(connection, sql, args.iter().map(ValueRef::from)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => None,
            rows => Some(rows),
        }
    }

    fn run(
        &mut self,
        sql: &'static str,
        args: &[Value],
        wanted: oneshot::Sender<Infallible>,
    ) -> rusqlite::Result<Vec<SqliteRow>> {
        let Reader { connection, statements } = match &mut self.reader {
            Some(reader) => reader,
            unopened => unopened.insert(Reader::open(&self.shared)?),
        };
        connection.progress_handler(INSTRUCTIONS, Some(move || wanted.is_closed()))?;
        statements.run(connection, sql, args.iter().map(ValueRef::from))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take()
            && reader.connection.is_autocommit()
            && !std::thread::panicking()
        {
            self.shared.idle().push(reader);
        }
    }
}

impl Reader {
    fn open(shared: &Shared) -> rusqlite::Result<Self> {
        let connection = connect(&shared.file, shared.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(CACHED);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, KEEPS_PLANS)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self { connection, statements: Statements::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    /// A table that SQLite never finishes counting.
    const ENDLESS: &str =
        "WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each) SELECT count(*) FROM each, said";

    const SAID: &str = "SELECT word FROM said";

    /// Readers of a new file, the file, and a connection that writes.
    fn new(name: &str, acquire_timeout: Duration) -> (SqliteReaders, PathBuf, Connection) {
        let path = std::env::temp_dir().join(format!("callscribe-readers-{name}-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        let tables = "PRAGMA journal_mode = wal; CREATE TABLE said (word TEXT); INSERT INTO said VALUES ('first')";
        connection.execute_batch(tables).unwrap();
        let file = SqliteFile { path: path.clone(), is_read_only: false, vfs: None };
        (SqliteReaders::new(file, acquire_timeout, Duration::ZERO), path, connection)
    }

    async fn all(readers: &SqliteReaders) -> Vec<ReadSession> {
        let mut all = Vec::new();
        for _ in 0..READERS {
            all.push(readers.acquire().await.unwrap());
        }
        all
    }

    async fn remove(readers: &SqliteReaders, path: PathBuf, connection: Connection) {
        readers.close().await;
        drop(connection);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_is_stopped_and_its_connection_is_used_again() {
        let (readers, path, connection) = new("dropped", Duration::MAX);
        for _ in 0..READERS {
            let mut session = readers.acquire().await.unwrap();
            let endless = session.fetch(ENDLESS, vec![]);
            tokio::pin!(endless);
            assert!(poll!(&mut endless).is_pending());
        }
        // Waits until each has been given back.
        for mut session in all(&readers).await {
            let rows = session.fetch(SAID, vec![]).await.unwrap();
            assert_eq!(rows[0].value("word"), Some(&Value::Text("first".to_owned())));
        }
        let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_used: bool = connection.query_row(truncate, [], |row| row.get("busy")).unwrap();
        assert!(!is_used, "a statement is still open");
        remove(&readers, path, connection).await;
    }

    #[tokio::test]
    async fn a_brief_statement_wakes_no_other_thread_however_often_it_has_run_and_a_long_one_starts_over() {
        let (readers, path, connection) = new("brief", Duration::ZERO);
        let mut session = readers.acquire().await.unwrap();
        // Opens the connection.
        session.fetch(SAID, vec![]).await.unwrap();
        for _ in 0..BRIEF {
            let rows = session.fetch(SAID, vec![]);
            tokio::pin!(rows);
            let Poll::Ready(rows) = poll!(&mut rows) else { panic!("it is not done at once") };
            assert_eq!(rows.unwrap().len(), 1);
        }
        // Longer than brief, and not endless.
        let count = "WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 1000) \
                     SELECT count(*) AS numbers FROM each";
        assert!(session.lent.as_mut().unwrap().run_briefly(count, &[]).is_none());
        let rows = session.fetch(count, vec![]).await.unwrap();
        assert_eq!(rows[0].value("numbers"), Some(&Value::Integer(1_000)));
        drop(session);
        remove(&readers, path, connection).await;
    }

    #[tokio::test]
    async fn no_more_statements_run_at_once_than_there_are_connections() {
        let (readers, path, connection) = new("busy", Duration::ZERO);
        let mut sessions = all(&readers).await;
        let none = readers.acquire().await.unwrap_err();
        assert!(matches!(none, Error::Database(sqlx::Error::PoolTimedOut)), "{none}");
        drop(sessions.pop());
        assert!(readers.acquire().await.is_ok());
        drop(sessions);
        remove(&readers, path, connection).await;
        assert!(matches!(readers.acquire().await, Err(Error::Database(sqlx::Error::PoolClosed))));
    }

    #[tokio::test]
    async fn a_transaction_ends_with_its_session_and_a_session_reads_again_after_an_error() {
        let (readers, path, connection) = new("clean", Duration::ZERO);
        for _ in 0..2 {
            let mut session = readers.acquire().await.unwrap();
            session.fetch("BEGIN", vec![]).await.unwrap();
            assert!(session.fetch("BEGIN", vec![]).await.is_err());
            assert_eq!(session.fetch(SAID, vec![]).await.unwrap().len(), 1);
        }
        let mut session = readers.acquire().await.unwrap();
        let refused = session.fetch("DELETE FROM said", vec![]).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
        drop(session);
        remove(&readers, path, connection).await;
    }

    #[tokio::test]
    async fn closing_waits_for_a_session() {
        let (readers, path, connection) = new("closed", Duration::MAX);
        let mut session = readers.acquire().await.unwrap();
        let closing = readers.close();
        tokio::pin!(closing);
        assert!(poll!(&mut closing).is_pending());
        assert_eq!(session.fetch(SAID, vec![]).await.unwrap().len(), 1);
        let late = readers.acquire();
        tokio::pin!(late);
        assert!(poll!(&mut late).is_pending());
        drop(session);
        closing.await;
        assert!(late.await.is_err());
        remove(&readers, path, connection).await;
    }
}
