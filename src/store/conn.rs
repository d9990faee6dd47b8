//! A connection to read from, or a transaction to write in. The files of the tables add their statements to it.

use super::engine::{Arg, Dialect, Row, Session};
use super::error::Error;

#[derive(Debug)]
pub struct Conn {
    session: Session,
}

impl Conn {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        self.session.execute(sql, args).await
    }

    pub(super) async fn fetch(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        self.session.fetch(sql, args).await
    }

    pub(super) async fn fetch_one(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, Error> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }

    /// See [`Session::fetch_with_fresh_plan`].
    pub(super) async fn fetch_with_fresh_plan(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        self.session.fetch_with_fresh_plan(sql, args).await
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.session.commit().await
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.session.rollback().await
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.session.dialect()
    }

    /// Whether other transactions may write at the same time as this one. They wait for each other only where they write
    /// the same row.
    pub(crate) fn has_other_writers(&self) -> bool {
        self.dialect().has_other_writers()
    }
}

/// The arguments of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(crate::store::engine::Arg::from($value)),*] };
}
pub(super) use args;
