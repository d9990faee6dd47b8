//! Runs a statement on either database, with its arguments, and reads its rows.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use rusqlite::types::{FromSql, Value, ValueRef};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::postgres::Link;
use super::sqlite_readers::ReadSession;
use super::sqlite_statement::SqliteRow;
use super::sqlite_writer::WriteTx;
use crate::store::error::Error;

/// A connection to read from, or a transaction to write in.
#[derive(Debug)]
pub(in crate::store) enum Session {
    SqliteRead(ReadSession),
    SqliteWrite(WriteTx),
    Postgres(Link),
}

/// A value for `$1`, `$2` and so on.
#[derive(Debug, Clone)]
pub(in crate::store) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Bytes>),
}

/// A row, read by column name.
#[derive(Debug)]
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A query of PostgreSQL, with its arguments bound.
macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.into_iter().fold(sqlx::query($sql), |query, arg| match arg {
            Arg::Text(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value.map(Vec::from)),
        })
    };
}

impl Session {
    /// Runs a statement and returns the number of rows that it changed.
    pub(in crate::store) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        match self {
            // `query_only` keeps it from changing any.
            Self::SqliteRead(session) => Ok(session.fetch(sql, owned(args)).await.map(|_| 0)?),
            Self::SqliteWrite(tx) => Ok(tx.run(sql, args.iter().map(Arg::value))?.1),
            Self::Postgres(link) => {
                let (connection, patience) = link.ask(args.iter().map(Arg::len).sum());
                let answer = timeout(patience, bound!(sql, args).execute(connection)).await;
                Ok(link.answer(answer)?.rows_affected())
            }
        }
    }

    /// Runs a statement and returns its rows.
    pub(in crate::store) async fn fetch(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        self.fetch_planned(sql, args, true).await
    }

    /// Like [`fetch`](Self::fetch), but PostgreSQL plans the statement for these arguments: how common a word is decides
    /// which plan is best.
    pub(in crate::store) async fn fetch_with_fresh_plan(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, Error> {
        self.fetch_planned(sql, args, false).await
    }

    /// Unless `keeps_plan`, PostgreSQL plans the statement for these arguments alone.
    async fn fetch_planned(&mut self, sql: &'static str, args: Vec<Arg>, keeps_plan: bool) -> Result<Vec<Row>, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        match self {
            Self::SqliteRead(session) => {
                let rows = session.fetch(sql, owned(args)).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::SqliteWrite(tx) => {
                let (rows, _) = tx.run(sql, args.iter().map(Arg::value))?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(link) => {
                let (connection, patience) = link.ask(args.iter().map(Arg::len).sum());
                let query = bound!(sql, args).persistent(keeps_plan);
                let answer = all_rows(query.fetch(connection), patience).await;
                Ok(link.answer(answer)?)
            }
        }
    }

    pub(in crate::store) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::SqliteWrite(tx) => Ok(tx.commit().await?),
            Self::Postgres(link) => Ok(link.commit().await?),
            Self::SqliteRead(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn rollback(self) -> Result<(), Error> {
        match self {
            // Its drop rolls back.
            Self::SqliteWrite(_) => Ok(()),
            Self::Postgres(link) => Ok(link.rollback().await?),
            Self::SqliteRead(_) => Ok(()),
        }
    }

    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::SqliteRead(_) | Self::SqliteWrite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// All rows of an answer. Each may take as long as this: many take longer on a slow line.
async fn all_rows(
    mut rows: impl Stream<Item = Result<PgRow, sqlx::Error>> + Unpin,
    patience: Duration,
) -> Result<Result<Vec<Row>, sqlx::Error>, Elapsed> {
    let mut all = Vec::new();
    loop {
        match timeout(patience, rows.try_next()).await? {
            Ok(Some(row)) => all.push(Row::Postgres(row)),
            Ok(None) => return Ok(Ok(all)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

impl Row {
    fn get<T>(&self, column: &str) -> Result<T, Error>
    where
        T: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres>,
    {
        match self {
            Self::Sqlite(row) => {
                let value = row.value(column);
                let read = value.and_then(|value| T::column_result(value.into()).ok());
                read.ok_or_else(|| unreadable(column, value))
            }
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(in crate::store) fn text(&self, column: &str) -> Result<String, Error> {
        self.get(column)
    }

    pub(in crate::store) fn text_if_set(&self, column: &str) -> Result<Option<String>, Error> {
        self.get(column)
    }

    pub(in crate::store) fn int(&self, column: &str) -> Result<i64, Error> {
        self.get(column)
    }

    pub(in crate::store) fn int_if_set(&self, column: &str) -> Result<Option<i64>, Error> {
        self.get(column)
    }

    pub(in crate::store) fn real(&self, column: &str) -> Result<f64, Error> {
        self.get(column)
    }

    pub(in crate::store) fn bytes_if_set(&self, column: &str) -> Result<Option<Vec<u8>>, Error> {
        self.get(column)
    }
}

/// The error that sqlx returns for a column that is missing or of another type.
fn unreadable(column: &str, found: Option<&Value>) -> Error {
    Error::Database(match found {
        None => sqlx::Error::ColumnNotFound(column.to_owned()),
        Some(found) => {
            sqlx::Error::ColumnDecode { index: column.to_owned(), source: found.data_type().to_string().into() }
        }
    })
}

impl Arg {
    /// In bytes, about.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, Bytes::len),
            Self::Int(_) => 8,
        }
    }

    /// In rusqlite's form.
    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Int(Some(number)) => ValueRef::Integer(*number),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Text(None) | Self::Int(None) | Self::Bytes(None) => ValueRef::Null,
        }
    }
}

/// In rusqlite's form, for another thread.
fn owned(args: Vec<Arg>) -> Vec<Value> {
    let owned = args.into_iter().map(|arg| match arg {
        Arg::Text(text) => text.into(),
        Arg::Int(number) => number.into(),
        Arg::Bytes(bytes) => bytes.map(Vec::from).into(),
    });
    owned.collect()
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        // PostgreSQL allows no NUL in a text.
        Self::Text(Some(text.replace('\0', "")))
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(|text| text.replace('\0', "")))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&Bytes> for Arg {
    fn from(bytes: &Bytes) -> Self {
        Self::Bytes(Some(bytes.clone()))
    }
}

/// Whether the highest parameter in the text is `$n`.
fn binds_all(sql: &str, args: usize) -> bool {
    let numbers = sql.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<usize>().unwrap_or(0)
    });
    numbers.max().unwrap_or(0) == args
}
