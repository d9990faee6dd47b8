//! Since when calls are searched for that Twilio has not reported to us.

use super::conn::{Conn, args};
use super::error::Error;

/// Since when unreported calls to a number are searched for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreported {
    /// When calls to the number were first searched for, by our clock, in milliseconds since 1970. Earlier ones are none of
    /// ours.
    pub(crate) opened_at: i64,
    /// Since when, by Twilio's clock, in milliseconds since 1970. `None` before the first search.
    pub(crate) since: Option<i64>,
}

impl Conn {
    /// From now on, calls to this number are searched for.
    pub(crate) async fn open_unreported(&mut self, number: &str, now: i64) -> Result<(), Error> {
        let sql = "INSERT INTO unreported_calls (number, opened_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.execute(sql, args![number, now]).await.map(drop)
    }

    pub(crate) async fn unreported(&mut self, number: &str) -> Result<Option<Unreported>, Error> {
        let row =
            self.fetch_one("SELECT opened_at, since FROM unreported_calls WHERE number = $1", args![number]).await?;
        row.map(|row| Ok(Unreported { opened_at: row.int("opened_at")?, since: row.int_if_set("since")? })).transpose()
    }

    /// Stores since when the next search goes, by Twilio's clock.
    pub(crate) async fn advance_unreported(&mut self, number: &str, since: i64) -> Result<(), Error> {
        let sql = "UPDATE unreported_calls SET since = $2 WHERE number = $1 AND (since IS NULL OR since < $2)";
        self.execute(sql, args![number, since]).await.map(drop)
    }
}
