//! The speech models of the settings that AssemblyAI refused when they were last ordered, so that the next start says so.

use super::conn::{Conn, args};
use super::error::Error;

impl Conn {
    pub(crate) async fn note_refused_model(&mut self, model: &str, now: i64) -> Result<(), Error> {
        let sql = "INSERT INTO refused_models (model, refused_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.execute(sql, args![model, now]).await.map(drop)
    }

    /// Forgets a model that AssemblyAI has accepted.
    pub(crate) async fn forget_refused_model(&mut self, model: &str) -> Result<(), Error> {
        self.execute("DELETE FROM refused_models WHERE model = $1", args![model]).await.map(drop)
    }

    pub async fn refused_models(&mut self) -> Result<Vec<String>, Error> {
        let rows = self.fetch("SELECT model FROM refused_models ORDER BY model", args![]).await?;
        rows.iter().map(|row| row.text("model")).collect()
    }
}
