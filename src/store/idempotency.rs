//! Keys by which a request that costs something is recognized when it comes again.

use super::conn::{Conn, args};
use super::error::Error;

/// Milliseconds for which a key is remembered.
const KEPT_FOR: i64 = 7 * 24 * 60 * 60 * 1_000;

/// What was done for a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// The id of the call, order, trial or import.
    pub(crate) subject: String,
    /// What was asked for, where the same key may come with something else; as the one who stores it compares it.
    pub(crate) request: String,
}

impl Conn {
    /// What was done for a key within the last week.
    pub(crate) async fn done_for_key(&mut self, key: Option<&str>, now: i64) -> Result<Option<Done>, Error> {
        let Some(key) = key else { return Ok(None) };
        let sql = "SELECT subject, request FROM idempotency_keys WHERE key = $1 AND made_at >= $2";
        let row = self.fetch_one(sql, args![key, now - KEPT_FOR]).await?;
        row.map(|row| Ok(Done { subject: row.text("subject")?, request: row.text("request")? })).transpose()
    }

    /// Stores what is done for a key with the transaction that does it. Returns `false` if another one has done it.
    pub(crate) async fn keep_key(&mut self, key: &str, done: &Done, now: i64) -> Result<bool, Error> {
        let old = "DELETE FROM idempotency_keys WHERE key = $1 AND made_at < $2";
        self.execute(old, args![key, now - KEPT_FOR]).await?;
        let sql = "INSERT INTO idempotency_keys (key, subject, request, made_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT DO NOTHING";
        Ok(self.execute(sql, args![key, done.subject.as_str(), done.request.as_str(), now]).await? > 0)
    }

    /// Deletes the keys that are no longer remembered.
    pub(crate) async fn purge_keys(&mut self, now: i64) -> Result<(), Error> {
        let sql = "DELETE FROM idempotency_keys WHERE made_at < $1";
        self.execute(sql, args![now - KEPT_FOR]).await.map(drop)
    }

    /// Forgets a key, because what was done for it has cost nothing.
    pub(crate) async fn forget_key(&mut self, key: &str) -> Result<(), Error> {
        self.execute("DELETE FROM idempotency_keys WHERE key = $1", args![key]).await.map(drop)
    }
}
