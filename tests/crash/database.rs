//! Direct access to the store while the program is down: checks it, and ages it as if the outage had lasted longer.

use std::error::Error;
use std::path::{Path, PathBuf};

use rusqlite::{Connection as Sqlite, OpenFlags};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::command::Folder;
use crate::support::store::Database as Schema;

const NAME: &str = "callscribe.db";

/// Moves all stored times 150 seconds into the past, except those of the append-only history.
const AGE: [&str; 3] = [
    "UPDATE calls SET created_at = created_at - 150000",
    "UPDATE transcripts SET created_at = created_at - 150000, asked_at = asked_at - 150000",
    "UPDATE jobs SET created_at = created_at - 150000, due_at = due_at - 150000, lease_until = lease_until - 150000",
];

const HISTORY: &str = "SELECT kind, subject, CAST(round AS BIGINT), CAST(rank AS BIGINT) FROM history ORDER BY number";

/// A world's database.
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Schema),
}

/// `kind`, `subject`, `round` and `rank`.
pub(crate) type Step = (String, String, i64, i64);

impl Database {
    /// A SQLite file in this folder, or a new schema on this PostgreSQL server.
    pub(crate) fn new(folder: &Path, server: Option<&str>) -> Self {
        match server {
            None => Self::Sqlite(folder.join(NAME)),
            Some(server) => Self::Postgres(Schema::postgres(server)),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}", file.to_str().expect("a path in UTF-8")),
            Self::Postgres(schema) => schema.url.clone(),
        }
    }

    /// Makes all rows older than every polling deadline.
    pub(crate) async fn age(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Sqlite(file) => {
                let connection = open(file)?;
                for sql in AGE {
                    connection.execute_batch(sql)?;
                }
                Ok(())
            }
            Self::Postgres(schema) => {
                let mut connection = PgConnection::connect(&schema.url).await?;
                for sql in AGE {
                    sqlx::raw_sql(sql).execute(&mut connection).await?;
                }
                Ok(connection.close().await?)
            }
        }
    }

    /// The whole history, in order.
    pub(crate) async fn history(&self) -> Result<Vec<Step>, Box<dyn Error>> {
        match self {
            Self::Sqlite(file) => {
                let connection = open(file)?;
                let mut steps = connection.prepare(HISTORY)?;
                let steps = steps.query_map([], |row| Step::try_from(row))?;
                Ok(steps.collect::<Result<_, _>>()?)
            }
            Self::Postgres(schema) => {
                let mut connection = PgConnection::connect(&schema.url).await?;
                Ok(sqlx::query_as(HISTORY).fetch_all(&mut connection).await?)
            }
        }
    }

    /// Returns faults of the SQLite file. Checks a copy, so that the program itself has to recover the original.
    pub(crate) fn faults(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let Self::Sqlite(file) = self else { return Ok(Vec::new()) };
        let folder = Folder::new();
        for suffix in ["", "-wal"] {
            let name = format!("{NAME}{suffix}");
            if let Some(parent) = file.parent().filter(|parent| parent.join(&name).exists()) {
                std::fs::copy(parent.join(&name), folder.path().join(&name))?;
            }
        }
        let copy = open(&folder.path().join(NAME))?;
        let mut check = copy.prepare("PRAGMA integrity_check")?;
        let found = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let mut faults: Vec<String> = found.into_iter().filter(|fault| fault != "ok").collect();
        let orphans = copy.prepare("PRAGMA foreign_key_check")?.query_map([], |_| Ok(()))?.count();
        if orphans > 0 {
            faults.push(format!("{orphans} rows have dangling foreign keys"));
        }
        Ok(faults)
    }
}

fn open(file: &Path) -> rusqlite::Result<Sqlite> {
    Sqlite::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Whether a file in the folder belongs to the database.
pub(crate) fn is_of_database(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    [NAME.to_owned(), format!("{NAME}-wal"), format!("{NAME}-shm")].iter().any(|known| known == name)
}
