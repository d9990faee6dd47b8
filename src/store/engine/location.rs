//! Where the database is: a SQLite file or a PostgreSQL server.

use std::fmt;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// By hand: sqlx's own `Debug` shows the password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(options) => f.debug_tuple("Sqlite").field(&options.get_filename()).finish(),
            Self::Postgres(options) => f.debug_tuple("Postgres").field(&options.get_host()).finish(),
        }
    }
}

impl Location {
    /// Parses `DATABASE_URL`. The error does not repeat the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let expected = || "expected sqlite://<file> or postgres://<user>:<password>@<host>/<database>".to_owned();
        if let Some(file) = url.strip_prefix("sqlite:") {
            if matches!(file.trim_start_matches("//").split('?').next(), None | Some("" | ":memory:")) {
                return Err("expected a file behind sqlite://".to_owned());
            }
            return url.parse().map(|options| Self::Sqlite(Box::new(options))).map_err(|_| expected());
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse().map(|options| Self::Postgres(Box::new(options))).map_err(|_| expected())
        } else {
            Err(expected())
        }
    }

    pub fn file(path: &Path) -> Self {
        Self::Sqlite(Box::new(SqliteConnectOptions::new().filename(path)))
    }

    /// The path of a SQLite file.
    pub(in crate::store) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(options) => Some(options.get_filename().to_owned()),
            Self::Postgres(_) => None,
        }
    }
}
