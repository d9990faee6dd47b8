//! A connection to read from, or a transaction to write in. The files of the tables add their statements to it.

use std::collections::BTreeSet;

use super::engine::{Arg, Dialect, Row, Session};
use super::error::Error;
use crate::model::transcript::OrderId;

/// What a transaction has changed, by id.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) calls: BTreeSet<String>,
    /// Orders of transcripts, whose calls are looked up at the end.
    pub(super) orders: BTreeSet<String>,
}

/// The kind of an event in the history, such as `call`, and the state that it reports.
pub(super) type Noted = (&'static str, &'static str);

#[derive(Debug)]
pub struct Conn {
    session: Session,
    changed: Changed,
    /// Who asks for what the transaction does, if somebody does.
    asked_by: Option<String>,
    /// What it has added to the history.
    noted: Vec<Noted>,
}

impl Conn {
    pub(super) fn new(session: Session) -> Self {
        Self { session, changed: Changed::default(), asked_by: None, noted: Vec::new() }
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

    /// Has the history say who asks for what this transaction does from now on.
    pub(crate) fn act_for(&mut self, asked_by: &str) {
        self.asked_by = Some(asked_by.to_owned()).filter(|asked_by| !asked_by.is_empty());
    }

    pub(super) fn asked_by(&self) -> Option<&str> {
        self.asked_by.as_deref()
    }

    /// Has the summary of the call with this id stored at the end of the transaction.
    pub(super) fn touch(&mut self, call: &str) {
        self.changed.calls.insert(call.to_owned());
    }

    /// The same, of the call that the transcript is of.
    pub(super) fn touch_order(&mut self, order: &OrderId) {
        self.changed.orders.insert(order.to_string());
    }

    /// Returns what was touched since the last time.
    pub(super) fn take_changed(&mut self) -> Changed {
        std::mem::take(&mut self.changed)
    }

    /// Has this counted once it is committed.
    pub(super) fn count_event(&mut self, what: &'static str, state: &'static str) {
        self.noted.push((what, state));
    }

    /// Returns what is counted once it is committed.
    pub(super) fn take_noted(&mut self) -> Vec<Noted> {
        std::mem::take(&mut self.noted)
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
