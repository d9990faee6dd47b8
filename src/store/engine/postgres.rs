//! Opening a PostgreSQL database, bringing its tables up to date, and its connections.
//!
//! A connection may fall silent: after a fail-over, or when a firewall has forgotten it, nothing answers and nothing is
//! refused. So every wait for the server ends: for an answer to a statement, for the test of an idle connection, and for
//! the return to the pool. A connection that was waited for in vain is dropped, and no idle one from before that is used
//! any more. A migration may take as long as the server works on it: with much data that is minutes, and other connections
//! tell whether it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Postgres};
use sqlx_core::migrate::{Migrate as _, MigrateError};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::migrations::{POSTGRES_MIGRATIONS, migrator};
use crate::store::error::BadDatabase;

/// Connections to PostgreSQL, for reading and writing.
const CONNECTIONS: u32 = 12;

/// How long an idle connection may take to show that it stands. It has nothing else to do.
const TEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes of arguments make a statement, and those after it, wait a second longer: a long transcript is sent,
/// inserted, indexed and committed.
const BYTES_PER_SECOND: usize = 256 << 10;

/// How long PostgreSQL keeps a transaction, with its locks, whose next statement does not come: less than the answers are
/// waited for, so that a transaction that is retried meets no lock of its own lost connection. Nor does one of another
/// instance, if this one was stopped.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// Counts the connections with this number at the server, unless it has waited for this one's next statement for longer
/// than this many seconds. The server may hide what a connection does.
const IS_AT_WORK: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE pid = $1 AND coalesce(state NOT LIKE 'idle%' OR state_change > now() - make_interval(secs => $2), true)";

/// PostgreSQL's error code for a lock that was not free within `lock_timeout`.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const LOCK_TIMEOUT: &str = "55P03";

/// An open server.
#[derive(Debug, Clone)]
pub(in crate::store) struct Server {
    pool: PgPool,
    answer_timeout: Duration,
    silence: Silence,
}

/// When a connection was last waited for in vain. Clones share it.
#[derive(Debug, Clone, Default)]
struct Silence(Arc<Mutex<Option<Instant>>>);

/// A connection of the pool, perhaps in a transaction. Its drop rolls the transaction back.
#[derive(Debug)]
pub(in crate::store) struct Link {
    /// `None` once it is being dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// How long the next statement may take.
    patience: Duration,
    is_in_transaction: bool,
    /// Whether it was waited for in vain.
    is_silent: bool,
    /// Whether a statement was sent whose answer has not come.
    is_asked: bool,
    silence: Silence,
}

/// Opens a server's database and migrates it. Returns the connection that holds the migration lock, too: it keeps other
/// instances from migrating until it is dropped.
pub(super) async fn open(
    options: &PgConnectOptions,
    acquire_timeout: Duration,
    lock_timeout: Duration,
    answer_timeout: Duration,
) -> Result<(Server, PgConnection), BadDatabase> {
    let options = tuned(options, lock_timeout);
    let silence = Silence::default();
    let known = silence.clone();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(acquire_timeout)
        // sqlx's own test waits without limit.
        .test_before_acquire(false)
        .before_acquire(move |connection, idle| {
            let silence = known.clone();
            Box::pin(async move {
                if silence.is_since(idle.idle_for) {
                    return Ok(false);
                }
                let tested = timeout(TEST_TIMEOUT, connection.ping()).await;
                if tested.is_err() {
                    silence.note("the test of an idle connection");
                }
                Ok(matches!(tested, Ok(Ok(()))))
            })
        })
        .connect_with(options.clone())
        .await;
    let pool = match pool {
        Ok(pool) => pool,
        // The pool has tried again and again, and does not tell why in vain.
        Err(sqlx::Error::PoolTimedOut) => {
            let connected = timeout(TEST_TIMEOUT, options.connect()).await;
            let error = connected.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into()))).err();
            return Err(BadDatabase::Unreachable(error.unwrap_or(sqlx::Error::PoolTimedOut)));
        }
        Err(error) => return Err(BadDatabase::Unreachable(error)),
    };
    let migrating = migrate(&options, &pool, lock_timeout + answer_timeout).await?;
    Ok((Server { pool, answer_timeout, silence }, migrating))
}

impl Server {
    /// A connection to read from.
    pub(super) async fn read(&self) -> Result<Link, sqlx::Error> {
        let connection = Some(self.pool.acquire().await?);
        let (patience, silence) = (self.answer_timeout, self.silence.clone());
        Ok(Link { connection, patience, is_in_transaction: false, is_silent: false, is_asked: false, silence })
    }

    /// Begins a transaction. A statement in it may take this much longer than usual.
    pub(super) async fn begin(&self, longer: Duration) -> Result<Link, sqlx::Error> {
        let mut link = self.read().await?;
        link.patience += longer;
        // Before it is sent: if this future is dropped meanwhile, the transaction may be open.
        link.is_in_transaction = true;
        link.run("BEGIN").await?;
        Ok(link)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Link {
    /// The connection, to send a statement with this many bytes of arguments, and how long it may take.
    pub(super) fn ask(&mut self, bytes: usize) -> (&mut PgConnection, Duration) {
        self.is_asked = true;
        self.patience += Duration::from_secs((bytes / BYTES_PER_SECOND) as u64);
        (self.connection.as_mut().expect("a link that is not being dropped"), self.patience)
    }

    /// The answer to what was asked. If it did not come, this is the error of a broken connection.
    pub(super) fn answer<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, sqlx::Error> {
        self.is_asked = false;
        answer.unwrap_or_else(|late| {
            self.is_silent = true;
            self.silence.note("a statement");
            Err(sqlx::Error::Io(late.into()))
        })
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.run("ROLLBACK").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let (connection, patience) = self.ask(0);
        let answer = timeout(patience, connection.execute(sqlx::raw_sql(sql))).await;
        self.answer(answer).map(drop)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.is_silent {
            // Closes it.
            drop(connection.detach());
        } else {
            tokio::spawn(give_back(connection, self.is_in_transaction, self.is_asked, self.silence.clone()));
        }
    }
}

/// Gives a connection back to the pool, in the time that a test may take; closes it otherwise. If
/// `is_asked`, it may be busy with the statement of a client that has gone, which says nothing about other connections.
async fn give_back(
    mut connection: PoolConnection<Postgres>,
    is_in_transaction: bool,
    is_asked: bool,
    silence: Silence,
) {
    let back = async {
        if is_in_transaction && connection.execute(sqlx::raw_sql("ROLLBACK")).await.is_err() {
            return None;
        }
        Some(())
    };
    match timeout(TEST_TIMEOUT, back).await {
        Ok(Some(())) => {
            // The same as its drop, which waits for the connection without limit.
            let returned = connection.return_to_pool();
            if timeout(TEST_TIMEOUT, returned).await.is_err() && !is_asked {
                silence.note("the test of a connection after its use");
            }
        }
        _ => drop(connection.detach()),
    }
}

impl Silence {
    fn note(&self, what: &str) {
        tracing::warn!("PostgreSQL did not answer {what} in time; dropping the connection");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection was waited for in vain after this time ago.
    fn is_since(&self, ago: Duration) -> bool {
        let silent = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.is_some_and(|silent| silent.elapsed() <= ago)
    }
}

fn tuned(options: &PgConnectOptions, lock_timeout: Duration) -> PgConnectOptions {
    let options = options.clone().options([
        // As on SQLite, no statement waits long for a row that another instance has locked: that one may hang or sleep.
        ("lock_timeout", format!("{}ms", lock_timeout.as_millis())),
        ("idle_in_transaction_session_timeout", format!("{}ms", IDLE_IN_TRANSACTION.as_millis())),
        // A server that hears nothing from this computer ends the connection, and the locks, in half a minute and not in
        // two hours. Ignored on a Unix socket.
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "4".to_owned()),
        // The default assumes a spinning disk and makes the planner avoid the search index.
        ("random_page_cost", "1.1".to_owned()),
        // Otherwise each start logs a notice for each table that exists already.
        ("client_min_messages", "warning".to_owned()),
    ]);
    options.disable_statement_logging()
}

/// Migrates the tables and returns the connection that holds the lock. A migration of another instance is waited for
/// without limit: with much data it takes minutes. The wait for a table that other programs use ends at `lock_timeout`, as
/// does each of the waits for another instance, so that their answers come within `patience`.
async fn migrate(options: &PgConnectOptions, pool: &PgPool, patience: Duration) -> Result<PgConnection, BadDatabase> {
    let late = |late: Elapsed| BadDatabase::Unreachable(sqlx::Error::Io(late.into()));
    let connecting = async {
        let mut connection = options.connect().await?;
        let sql = "SELECT pg_backend_pid(), current_setting('server_encoding')";
        let (number, encoding): (i32, String) = sqlx::query_as(sql).fetch_one(&mut connection).await?;
        Ok((connection, number, encoding))
    };
    let connected = timeout(patience, connecting).await.map_err(late)?;
    let (mut connection, number, encoding) = connected.map_err(BadDatabase::Unreachable)?;
    if encoding != "UTF8" {
        return Err(BadDatabase::Encoding(encoding));
    }
    let mut is_logged = false;
    while let Err(error) = timeout(patience, connection.lock()).await.map_err(late)? {
        match &error {
            MigrateError::Execute(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(LOCK_TIMEOUT) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::info!("another program is updating the tables on this server; waiting for it");
                }
            }
            _ => return Err(BadDatabase::of_migration(error)),
        }
    }
    let migrator = migrator(POSTGRES_MIGRATIONS);
    tokio::select! {
        migrated = migrator.run(&mut connection) => migrated.map_err(BadDatabase::of_migration)?,
        lost = until_lost(pool, number, patience) => return Err(BadDatabase::Unreachable(lost)),
    }
    Ok(connection)
}

/// Returns once the server does not work for the connection with this number, or cannot be asked whether it does.
async fn until_lost(pool: &PgPool, number: i32, patience: Duration) -> sqlx::Error {
    loop {
        tokio::time::sleep(patience).await;
        let at_work = sqlx::query_scalar::<_, i64>(IS_AT_WORK).bind(number).bind(IDLE_IN_TRANSACTION.as_secs_f64());
        match timeout(patience, at_work.fetch_one(pool)).await {
            Ok(Ok(1)) => {}
            Ok(Ok(_)) => return sqlx::Error::Io(std::io::Error::other("the connection that migrates was lost")),
            Ok(Err(error)) => return error,
            Err(late) => return sqlx::Error::Io(late.into()),
        }
    }
}
