//! The database: calls, recordings, transcripts, jobs, and the history of what became of them. The only SQL of the
//! program is in this folder, and it knows the model alone.
//!
//! Reads go through [`Store::read`]; everything that is written goes through [`Store::write`], in one transaction that
//! holds a state and the job that follows from it. No transaction is held while a vendor is asked.
//!
//! How the two databases are opened is in `pools`, and what they are asked in different words in `dialect`; `writer` and
//! `log` are SQLite's alone.

mod calls;
mod deletion;
mod dialect;
mod facts;
mod history;
mod jobs;
mod log;
mod pools;
mod recordings;
mod search;
mod transcripts;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::model::job::JobKind;
pub(crate) use calls::Transition;
pub use calls::{CallSummary, Cursor};
pub use jobs::Job;
pub(crate) use jobs::Lease;
pub use pools::Location;
pub use search::{Filter, Hit, Number};
pub use transcripts::{NewTranscript, SpokenWord};

use crate::failpoint::{Aborted, Step};
use dialect::{Arg, Row, Session};
use pools::Pools;

/// How often a transaction is tried that failed for a passing reason.
const TRIES: u32 = 3;

/// The database, open. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    pools: Pools,
    file: Option<File>,
    /// Whether the file was removed or replaced since.
    is_gone: AtomicBool,
}

/// The file that was opened, to be told from another of the same name.
#[derive(Debug)]
struct File {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

/// A connection to read from, or a transaction to write in.
#[derive(Debug)]
pub struct Conn {
    session: Session,
}

/// Why a statement brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What should be unique is there already.
    #[error("it is there already")]
    Taken,
    /// Somebody else has the job by now.
    #[error("the job was given to another")]
    LeaseLost,
    /// Another transaction that was to be committed together with this one has failed. Never leaves this room.
    #[error("what was written together was undone")]
    Again,
    /// A test ends the step here.
    #[error(transparent)]
    Aborted(#[from] Aborted),
    /// A row that holds what this program does not write.
    #[error("a row cannot be read: {0}")]
    Unreadable(&'static str),
    /// The file was removed or replaced while the program runs.
    #[error("the database file was removed or replaced")]
    Gone,
    /// The database itself.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(database) if database.is_unique_violation() => Self::Taken,
            _ => Self::Database(error),
        }
    }
}

impl From<writer::Error> for Error {
    fn from(error: writer::Error) -> Self {
        match error {
            writer::Error::Sqlite(error) if writer::is_unique_violation(&error) => Self::Taken,
            // Passes: what one of them did to all the others is not done again.
            writer::Error::Together(_) | writer::Error::Undone => {
                Self::Database(sqlx::Error::Io(std::io::Error::other(error)))
            }
            writer::Error::Again => Self::Again,
            writer::Error::File(error) => Self::Database(sqlx::Error::Io(error)),
            writer::Error::Closed => Self::Database(sqlx::Error::PoolClosed),
            writer::Error::Sqlite(_) => Self::Database(sqlx::Error::AnyDriverError(Box::new(error))),
        }
    }
}

impl Error {
    /// Whether the same transaction may work when it is tried again at once.
    fn is_passing(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => {
                // Serialization failures, deadlocks, and a server that is shut down or cut off.
                error.code().is_some_and(|code| {
                    ["40001", "40P01", "57P01", "57P02", "57P03"].contains(&code.as_ref()) || code.starts_with("08")
                })
            }
            _ => false,
        }
    }
}

/// Why a database cannot be used. Each is one line for the operator; nothing in it was changed, unless it was found out by
/// [`Store::check_for_corruption`].
#[derive(Debug, thiserror::Error)]
pub enum BadDatabase {
    /// Folder missing, no permission.
    #[error("cannot be opened: {}", .0.kind())]
    Inaccessible(std::io::Error),
    /// The server does not answer, or refuses.
    #[error("cannot be reached: {0}")]
    Unreachable(sqlx::Error),
    /// Not a database, or a broken one.
    #[error("is no database, or is damaged; restore it from a copy, or name another file")]
    Corrupt,
    /// Can be read and not written.
    #[error("cannot be written to")]
    ReadOnly,
    /// Tables of another program.
    #[error("belongs to another program")]
    Foreign,
    /// Tables that this program does not know yet.
    #[error("was written by a newer callscribe; run that one, or name another database")]
    Newer,
    /// Tables that differ from those this program made.
    #[error("has tables that differ from what callscribe made: {0}")]
    Differs(sqlx::migrate::MigrateError),
    /// Anything else.
    #[error("cannot be used: {0}")]
    Unusable(sqlx::Error),
}

impl BadDatabase {
    fn of_file(error: sqlx::Error) -> Self {
        // Primary codes of https://sqlite.org/rescode.html.
        let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(11 | 26) => Self::Corrupt,
            Some(8) => Self::ReadOnly,
            _ => Self::Unusable(error),
        }
    }

    fn of_migration(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => Self::Newer,
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::of_file(error),
            error => Self::Differs(error),
        }
    }
}

impl Store {
    /// Opens the database and brings its tables to what this program knows.
    ///
    /// # Errors
    /// One line for the operator.
    pub async fn open(location: &Location) -> Result<Self, BadDatabase> {
        let (pools, migrating) = Pools::open(location).await?;
        let file = location.path().map(|path| File { identity: identity(&path), path });
        let location = location.clone();
        let store = Self { inner: Arc::new(Inner { location, pools, file, is_gone: AtomicBool::new(false) }) };
        store.index_unindexed().await?;
        drop(migrating);
        Ok(store)
    }

    /// Looks through a large file for damage, which takes seconds for each gigabyte. A small one was looked through when it
    /// was opened.
    ///
    /// # Errors
    /// One line for the operator.
    pub async fn check_for_corruption(&self) -> Result<(), BadDatabase> {
        pools::check_for_corruption(&self.inner.location).await
    }

    /// A connection to read from.
    ///
    /// # Errors
    /// If there is none within seconds.
    pub async fn read(&self) -> Result<Conn, Error> {
        Ok(Conn { session: self.inner.pools.read().await? })
    }

    /// Runs a transaction to its commit, again if that may help: it must be one that may happen twice, because nobody
    /// knows of a connection that broke during a commit whether that took place. Never called from a future that may
    /// be dropped on the way, nor from one that may be left alone: others wait for it.
    ///
    /// `step` names the [failpoints](crate::failpoint) before and after the commit; `subject` tells one call or job from
    /// another there.
    ///
    /// # Errors
    /// Of the work, or of the database.
    pub async fn write<T, F>(&self, step: Step, subject: &str, work: impl Fn(Conn) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        self.transact(true, step, subject, work).await
    }

    /// The same for what is found again if it is lost: on SQLite its commit does not wait for the disk, so that a power cut
    /// may undo it, but no crash of this program.
    ///
    /// # Errors
    /// Of the work, or of the database.
    pub async fn write_unsynced<T, F>(&self, step: Step, subject: &str, work: impl Fn(Conn) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        self.transact(false, step, subject, work).await
    }

    async fn transact<T, F>(
        &self,
        is_durable: bool,
        step: Step,
        subject: &str,
        work: impl Fn(Conn) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        let mut tries = 0;
        loop {
            let attempt = async {
                if self.is_gone() {
                    return Err(Error::Gone);
                }
                let conn = Conn { session: self.inner.pools.begin(is_durable).await? };
                let (conn, value) = work(conn).await?;
                if let Err(aborted) = step.before(subject) {
                    conn.session.rollback().await?;
                    return Err(aborted.into());
                }
                conn.session.commit().await?;
                step.after(subject)?;
                Ok(value)
            };
            match attempt.await {
                Err(Error::Aborted(_)) => {}
                // Whoever has failed after he had written is gone, so this ends.
                Err(Error::Again) => continue,
                Err(error) if error.is_passing() && tries + 1 < TRIES => {
                    tries += 1;
                    tracing::debug!("trying a transaction again: {error}");
                }
                result => return result,
            }
        }
    }

    /// Makes sure that what was overwritten is not left in the database's log. Says no while somebody still reads it.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn truncate_wal(&self) -> Result<bool, Error> {
        self.inner.pools.truncate_wal().await
    }

    /// Makes SQLite's log as long as it may become, so that commits do not have to, until a deletion empties it. Nobody
    /// needs to wait for it. Where it fails, or somebody reads what was there before, commits make it longer as they need it.
    pub(crate) async fn preallocate_wal(&self) {
        match self.inner.pools.preallocate_wal().await {
            Ok(()) | Err(Error::Database(sqlx::Error::PoolClosed)) => {}
            Err(error) => tracing::warn!("the database's log could not be made longer ahead: {error}"),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn check(&self) -> Result<(), Error> {
        if self.is_gone() {
            return Err(Error::Gone);
        }
        self.read().await?.fetch("SELECT 1 AS one", vec![]).await.map(drop)
    }

    /// Looks whether the file is still the one that was opened. What would be written to a file that was removed, or
    /// has another in its place, would be lost.
    pub fn watch_file(&self) {
        let Some(File { path, identity: Some(opened) }) = &self.inner.file else { return };
        let is_gone = identity(path) != Some(*opened);
        if is_gone != self.inner.is_gone.swap(is_gone, Ordering::Relaxed) {
            match is_gone {
                true => tracing::error!("the database file was removed or replaced; nothing is dialled or taken in"),
                false => tracing::info!("the database file is back"),
            }
        }
    }

    fn is_gone(&self) -> bool {
        self.inner.is_gone.load(Ordering::Relaxed)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.inner.pools.close().await;
    }
}

/// Device and inode.
#[cfg(unix)]
fn identity(path: &std::path::Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((std::os::unix::fs::MetadataExt::dev(&about), std::os::unix::fs::MetadataExt::ino(&about)))
}

#[cfg(not(unix))]
fn identity(_: &std::path::Path) -> Option<(u64, u64)> {
    None
}

impl Conn {
    async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        self.session.execute(sql, args).await
    }

    async fn fetch(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        self.session.fetch(sql, args).await
    }

    async fn fetch_one(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, Error> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }
}

/// The arguments of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(crate::store::dialect::Arg::from($value)),*] };
}
use args;
