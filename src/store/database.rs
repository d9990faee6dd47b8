//! The open database: connections to read from, transactions with their retries, and a watch on SQLite's file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::conn::{Conn, args};
use super::engine::{Engine, Location};
use super::error::{BadDatabase, Error};
use super::readiness::{Readiness, has_room, remove_left};
use crate::failpoint::Commit;
use crate::metrics::Transactions;

/// How many times a transaction runs at most if it fails for a passing reason.
const TRIES: u32 = 3;

/// The open database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    engine: Engine,
    file: Option<File>,
    /// Whether the file was removed or replaced since it was opened.
    is_gone: AtomicBool,
    readiness: Readiness,
    transactions: Transactions,
}

/// The file that was opened. The identity tells it from another file at the same path.
#[derive(Debug)]
struct File {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Store {
    /// Opens the database, migrates it, and indexes transcripts and sums up calls that an older version has stored.
    pub async fn open(location: &Location) -> Result<Self, BadDatabase> {
        let (engine, migrating) = Engine::open(location).await?;
        let file = location.path().map(|path| File { identity: identity(&path), path });
        if let Some(file) = &file {
            // They only take space.
            _ = remove_left(&file.path);
        }
        let location = location.clone();
        let store = Self {
            inner: Arc::new(Inner {
                location,
                engine,
                file,
                is_gone: AtomicBool::new(false),
                readiness: Readiness::default(),
                transactions: Transactions::default(),
            }),
        };
        store.build_index().await.map_err(|error| match error {
            Error::Database(error) => BadDatabase::Unusable(Box::new(error)),
            Error::Sqlite(error) => BadDatabase::of_file(error),
            other => BadDatabase::Unusable(Box::new(other)),
        })?;
        drop(migrating);
        Ok(store)
    }

    /// Stores the summaries of calls that an older version has stored without.
    async fn build_summaries(&self) -> Result<(), Error> {
        if self.read().await?.has_unsummarized().await? {
            tracing::info!(
                "summing up the stored calls for the lists; this happens once and takes a minute for each million"
            );
        }
        while self.read().await?.has_unsummarized().await? {
            let some = |mut tx: Conn| async move { tx.touch_some_unsummarized().await.map(|()| (tx, ())) };
            self.write(Commit::BuildIndex, "", some).await?;
        }
        Ok(())
    }

    async fn build_index(&self) -> Result<(), Error> {
        self.build_summaries().await?;
        if !self.read().await?.has_unindexed().await? {
            return Ok(());
        }
        tracing::info!("building the search index of the stored transcripts; this happens once and takes a while");
        while self.read().await?.has_unindexed().await? {
            let index = |mut tx: Conn| async move { tx.index_some_unindexed().await.map(|()| (tx, ())) };
            self.write(Commit::BuildIndex, "", index).await?;
        }
        let analyze = |mut tx: Conn| async move {
            let sql = tx.dialect().analyze_search_index();
            tx.execute(sql, args![]).await.map(|_| (tx, ()))
        };
        self.write(Commit::BuildIndex, "", analyze).await
    }

    /// Checks a large file for corruption, which takes seconds for each gigabyte. [`open`](Self::open) has checked a small
    /// one.
    pub async fn check_for_corruption(&self) -> Result<(), BadDatabase> {
        Engine::check_for_corruption(&self.inner.location).await
    }

    /// A connection to read from.
    pub async fn read(&self) -> Result<Conn, Error> {
        Ok(Conn::new(self.inner.engine.read().await?))
    }

    /// Runs a transaction and commits it. If that fails for a passing reason, runs it again: after a connection broke
    /// during a commit, it is unknown whether the commit took place, so `work` must be safe to commit twice.
    ///
    /// Call it only from a future that is polled to its end, never from one that may be dropped or left unpolled: other
    /// writers wait for it.
    ///
    /// `work` takes the transaction and returns it, because an `async |tx|` closure that borrows it does not compile
    /// inside spawned tasks ("implementation of `Send` is not general enough").
    ///
    /// `commit` names the [failpoints](crate::failpoint) before and after the commit; `subject` tells one call or job from
    /// another there.
    pub async fn write<T, F>(&self, commit: Commit, subject: &str, work: impl Fn(Conn) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        self.transact(true, commit, subject, work).await
    }

    /// Like [`write`](Self::write), for what is found again if it is lost: on SQLite the commit does not wait for the
    /// disk. A power cut may undo it; a crash of this program cannot.
    pub async fn write_unsynced<T, F>(
        &self,
        commit: Commit,
        subject: &str,
        work: impl Fn(Conn) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        self.transact(false, commit, subject, work).await
    }

    async fn transact<T, F>(
        &self,
        is_durable: bool,
        commit: Commit,
        subject: &str,
        work: impl Fn(Conn) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Conn, T), Error>>,
    {
        let mut tries = 0;
        loop {
            let (begun, mut waited) = (Instant::now(), None);
            let attempt = async {
                if self.is_gone() {
                    return Err(Error::Gone);
                }
                let tx = Conn::new(self.inner.engine.begin(is_durable, commit == Commit::BuildIndex).await?);
                let (mut tx, value) = work(tx).await?;
                tx.store_summaries().await?;
                if let Err(aborted) = commit.before(subject) {
                    tx.rollback().await?;
                    return Err(aborted.into());
                }
                let (noted, complete) = (tx.take_noted(), Instant::now());
                tx.commit().await?;
                waited = Some(complete.elapsed());
                for (what, state) in noted {
                    self.inner.transactions.note_event(what, state);
                }
                commit.after(subject)?;
                Ok(value)
            };
            let result = attempt.await;
            let outcome = if waited.is_some() { "committed" } else { "failed" };
            self.inner.transactions.note(outcome, begun.elapsed(), waited);
            match result {
                Err(Error::Aborted(_)) => {}
                // Ends: the member that failed is no longer in the group.
                Err(Error::Again) => continue,
                Err(error) if error.is_passing() && tries + 1 < TRIES => {
                    tries += 1;
                    tracing::debug!("retrying a transaction: {error}");
                }
                result => return result,
            }
        }
    }

    /// Removes overwritten data from SQLite's WAL. Returns `false` while a reader still uses the WAL.
    pub(crate) async fn truncate_wal(&self) -> Result<bool, Error> {
        self.inner.engine.truncate_wal().await
    }

    /// Makes SQLite's WAL as long as it may become, so that commits need not extend it until a deletion truncates it.
    /// Optional: if it fails, or a reader still uses the WAL, commits extend it as needed.
    pub async fn preallocate_wal(&self) {
        match self.inner.engine.preallocate_wal().await {
            Ok(()) | Err(Error::Database(sqlx::Error::PoolClosed)) => {}
            Err(error) => tracing::warn!("cannot preallocate the database's WAL: {error}"),
        }
    }

    /// Where transactions are counted.
    pub fn transactions(&self) -> &Transactions {
        &self.inner.transactions
    }

    /// Whether the last check could write to the database. Does not access the database.
    pub fn is_ready(&self) -> bool {
        self.inner.readiness.is_ready()
    }

    /// Checks whether the database can be written. Returns what the last check found if it began less than a second ago;
    /// calls at the same time share one check. Logs when the result changes.
    pub async fn check(&self, now_ms: i64) -> bool {
        if self.inner.readiness.begin(now_ms) {
            let (store, inner) = (self.clone(), Arc::clone(&self.inner));
            // A writer must not be dropped in the middle, as the future of a client that has gone is.
            let proof = tokio::spawn(async move { store.prove_writable(now_ms).await });
            tokio::spawn(async move {
                let proven = proof.await.unwrap_or_else(|panic| Err(Error::NoRoom(io::Error::other(panic))));
                inner.readiness.end(proven, now_ms);
            });
        }
        self.inner.readiness.ended().await
    }

    async fn prove_writable(&self, now_ms: i64) -> Result<(), Error> {
        if let Some(path) = self.inner.location.path() {
            let checked = tokio::task::spawn_blocking(move || has_room(&path)).await;
            checked.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(Error::NoRoom)?;
        }
        self.write(Commit::CheckReadiness, "", |mut tx| async move {
            // A backup that reads the table must not keep this waiting, as it would a TRUNCATE on PostgreSQL.
            tx.execute("DELETE FROM readiness", args![]).await?;
            tx.execute("INSERT INTO readiness (checked_at) VALUES ($1)", args![now_ms]).await?;
            Ok((tx, ()))
        })
        .await
    }

    /// Checks whether the file is still the one that was opened. Writes fail while it is not: they would be lost with the
    /// removed file.
    pub fn watch_file(&self) {
        let Some(File { path, identity: Some(opened) }) = &self.inner.file else { return };
        let is_gone = identity(path) != Some(*opened);
        if is_gone == self.inner.is_gone.swap(is_gone, Ordering::Relaxed) {
            return;
        }
        if is_gone {
            tracing::error!("the database file was removed or replaced; nothing is dialed or stored");
        } else {
            tracing::info!("the database file is back");
        }
    }

    fn is_gone(&self) -> bool {
        self.inner.is_gone.load(Ordering::Relaxed)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.inner.engine.close().await;
    }
}

/// Device and inode.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((std::os::unix::fs::MetadataExt::dev(&about), std::os::unix::fs::MetadataExt::ino(&about)))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}
