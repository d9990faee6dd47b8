//! Where the database is: a SQLite file or a PostgreSQL server.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgConnectOptions;
use url::form_urlencoded;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    Sqlite(SqliteFile),
    Postgres(Box<PgConnectOptions>),
}

/// A SQLite file, and how it is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct SqliteFile {
    pub(super) path: PathBuf,
    pub(super) is_read_only: bool,
    /// SQLite's name for how it calls the operating system: <https://sqlite.org/vfs.html>.
    pub(super) vfs: Option<String>,
}

/// By hand: sqlx's own `Debug` shows the password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => f.debug_tuple("Sqlite").field(&file.path).finish(),
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
            return SqliteFile::parse(file).map(Self::Sqlite).ok_or_else(expected);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse().map(|options| Self::Postgres(Box::new(options))).map_err(|_| expected())
        } else {
            Err(expected())
        }
    }

    pub fn file(path: &Path) -> Self {
        Self::Sqlite(SqliteFile { path: path.to_owned(), is_read_only: false, vfs: None })
    }

    /// The path of a folder beside a SQLite file.
    pub fn folder_beside(&self, end: &str) -> Option<PathBuf> {
        let mut path = self.path()?.into_os_string();
        path.push(end);
        Some(path.into())
    }

    /// The path of a SQLite file.
    pub(in crate::store) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(file) => Some(file.path.clone()),
            Self::Postgres(_) => None,
        }
    }
}

impl SqliteFile {
    /// Parses what is behind `sqlite:`: a path, in which `%` encodes bytes, and perhaps parameters that SQLite has, too:
    /// <https://sqlite.org/uri.html>.
    fn parse(url: &str) -> Option<Self> {
        let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
        let path = percent_decode_str(path.strip_prefix("//").unwrap_or(path)).decode_utf8().ok()?;
        let mut file = Self { path: PathBuf::from(&*path), is_read_only: false, vfs: None };
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            match (&*name, &*value) {
                ("mode", "ro") | ("immutable", "1" | "true") => file.is_read_only = true,
                // Each connection has a cache of its own, and a missing file is created anyway.
                ("mode", "rw" | "rwc") | ("immutable", "0" | "false") | ("cache", "private" | "shared") => {}
                ("vfs", _) => file.vfs = Some(value.into_owned()),
                _ => return None,
            }
        }
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SqliteFile {
        SqliteFile { path: path.into(), is_read_only: false, vfs: None }
    }

    #[test]
    fn the_path_of_a_file_is_behind_sqlite_with_two_slashes_or_none() {
        for (url, path) in [
            ("sqlite://callscribe.db", "callscribe.db"),
            ("sqlite:callscribe.db", "callscribe.db"),
            ("sqlite:///var/lib/callscribe.db", "/var/lib/callscribe.db"),
            ("sqlite:/var/lib/callscribe.db", "/var/lib/callscribe.db"),
            ("sqlite://a%20b%3F+c%C3%A9.db", "a b?+c\u{e9}.db"),
            ("sqlite://a.db?", "a.db"),
            ("sqlite://a.db?mode=rw", "a.db"),
            ("sqlite://a.db?mode=rwc&cache=shared", "a.db"),
            ("sqlite://a.db?cache=private&immutable=0", "a.db"),
        ] {
            let parsed = Location::parse(url);
            assert!(matches!(&parsed, Ok(Location::Sqlite(parsed)) if *parsed == file(path)), "{url}: {parsed:?}");
        }
        for url in ["sqlite://a.db?mode=ro", "sqlite://a.db?immutable=1", "sqlite://a.db?cache=shared&immutable=true"] {
            let parsed = Location::parse(url);
            assert!(matches!(parsed, Ok(Location::Sqlite(SqliteFile { is_read_only: true, .. }))), "{url}");
        }
        let Ok(Location::Sqlite(parsed)) = Location::parse("sqlite://a.db?vfs=unix-excl") else { panic!("refused") };
        assert_eq!(parsed.vfs.as_deref(), Some("unix-excl"));
    }

    #[test]
    fn a_url_without_a_file_or_with_an_unknown_parameter_is_refused() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite://?mode=rw",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://a.db?mode=memory",
            "sqlite://a.db?mode=x",
            "sqlite://a.db?cache=",
            "sqlite://a.db?immutable=yes",
            "sqlite://a.db?psow=0",
            "sqlite://%FF.db",
            "mysql://a.db",
        ] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }
}
