//! The sessions that were logged out, by their ids. A session that is not here is open until its time is over.
//!
//! No row is deleted: by a clock that is ahead, a session would seem to be over, and would be open again once the clock is
//! right. Only the holder of a session can add a row.

use super::conn::{Conn, args};
use super::error::Error;

impl Conn {
    pub(crate) async fn end_session(&mut self, id: &str, now: i64) -> Result<(), Error> {
        let sql = "INSERT INTO ended_sessions (id, ended_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.execute(sql, args![id, now]).await.map(drop)
    }

    pub async fn is_session_ended(&mut self, id: &str) -> Result<bool, Error> {
        let sql = "SELECT id FROM ended_sessions WHERE id = $1";
        Ok(self.fetch_one(sql, args![id]).await?.is_some())
    }
}
