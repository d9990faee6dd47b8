//! Opening a PostgreSQL database and bringing its tables up to date.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, Row as _};

use super::migrations::{POSTGRES_MIGRATIONS, migrator};
use crate::store::error::BadDatabase;

/// Connections to PostgreSQL, for reading and writing.
const CONNECTIONS: u32 = 12;

/// PostgreSQL's error code for a lock that was not free within `lock_timeout`.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const LOCK_TIMEOUT: &str = "55P03";

/// Opens a server's database and migrates it. Returns the connection that holds the migration lock, too: it keeps other
/// instances from migrating until it is dropped.
pub(super) async fn open(
    options: &PgConnectOptions,
    acquire_timeout: Duration,
    lock_timeout: Duration,
) -> Result<(PgPool, PgConnection), BadDatabase> {
    let options = tuned(options, lock_timeout);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(acquire_timeout)
        // sqlx 0.9.0 returns connections to the pool on which a dropped `begin()` left a transaction open: what the
        // next user writes would never be committed. Inside a transaction, now() stands still. A raw statement, because
        // a prepared one is bound at another time than it runs, so the times would always differ.
        .after_release(|connection, _| {
            Box::pin(async move {
                let row = connection.fetch_one(sqlx::raw_sql("SELECT now() <> statement_timestamp()")).await?;
                Ok(!row.try_get::<bool, _>(0)?)
            })
        })
        .connect_with(options.clone())
        .await
        .map_err(BadDatabase::Unreachable)?;
    Ok((pool, migrate(&options).await?))
}

fn tuned(options: &PgConnectOptions, lock_timeout: Duration) -> PgConnectOptions {
    let options = options.clone().options([
        // As on SQLite, no statement waits long for a row that another instance has locked: that one may hang or sleep.
        ("lock_timeout", format!("{}ms", lock_timeout.as_millis())),
        // The default assumes a spinning disk and makes the planner avoid the search index.
        ("random_page_cost", "1.1".to_owned()),
        // Otherwise each start logs a notice for each table that exists already.
        ("client_min_messages", "warning".to_owned()),
    ]);
    options.disable_statement_logging()
}

/// Migrates the tables and returns the connection that holds the lock. A migration of another instance is waited for
/// without limit: with much data it takes minutes. The wait for a table that other programs use ends at `lock_timeout`.
async fn migrate(options: &PgConnectOptions) -> Result<PgConnection, BadDatabase> {
    let mut connection = options.connect().await.map_err(BadDatabase::Unreachable)?;
    let mut is_logged = false;
    while let Err(error) = connection.lock().await {
        match &error {
            MigrateError::Execute(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(LOCK_TIMEOUT) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::info!("another program is updating the tables on this server; waiting for it");
                }
            }
            _ => return Err(BadDatabase::of_migration(error)),
        }
    }
    migrator(POSTGRES_MIGRATIONS).run(&mut connection).await.map_err(BadDatabase::of_migration)?;
    Ok(connection)
}
