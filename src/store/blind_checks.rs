//! What people typed of stretches of transcripts from the audio alone. Rows are added and never changed.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::blind::{BlindCheck, Window};
use crate::model::transcript::{OrderId, Transcript, TranscriptId};

/// How many transcripts are looked at for one that can be checked.
const LOOKED_AT: i64 = 200;

impl Conn {
    /// The stretches of a transcript that were typed, each as it was typed last.
    pub async fn blind_checks_of(&mut self, order: &OrderId) -> Result<Vec<BlindCheck>, Error> {
        let sql = "SELECT stretch, version, from_ms, to_ms, texts, made_at, made_by FROM blind_checks AS last
                   WHERE transcript = $1 AND NOT EXISTS (SELECT 1 FROM blind_checks AS later
                   WHERE later.transcript = $1 AND later.stretch = last.stretch AND later.version > last.version)
                   ORDER BY stretch";
        self.fetch(sql, args![order.as_str()]).await?.iter().map(blind_check).collect()
    }

    /// Keeps every other transaction from checking a completed transcript until this one ends. Returns `false` if it is
    /// deleted.
    pub(crate) async fn lock_transcript(&mut self, of: &Transcript, now: i64) -> Result<bool, Error> {
        if let Some(call) = &of.call
            && !self.lock_call(call, now).await?
        {
            return Ok(false);
        }
        let sql = "UPDATE transcripts SET updated_at = $2 WHERE id = $1 AND text IS NOT NULL";
        Ok(self.execute(sql, args![of.id.as_str(), now]).await? > 0)
    }

    /// Stores what somebody typed.
    pub(crate) async fn add_blind_check(&mut self, of: &Transcript, check: &BlindCheck) -> Result<(), Error> {
        let BlindCheck { stretch, version, window: Window { from, to }, texts, at, by } = check;
        let sql = "INSERT INTO blind_checks (transcript, stretch, version, from_ms, to_ms, texts, made_at, made_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let texts = serde_json::to_string(texts).unwrap_or_default();
        let args = args![of.id.as_str(), *stretch, *version, *from, *to, texts.as_str(), *at, by.as_str()];
        self.execute(sql, args).await.map(drop)
    }

    /// Finds a transcript of a recording that nobody has corrected or checked: the next one, by AssemblyAI's id, from this
    /// text on. These ids are random, so a random text finds a random one, however many there are.
    pub async fn unchecked_transcript(&mut self, from: &str) -> Result<Option<TranscriptId>, Error> {
        for from in [from, ""] {
            // Only this many are looked at: this must not take longer where nearly all are checked.
            let sql = "SELECT transcript_id FROM (
                           SELECT transcript_id, id, recording_sid, version, checked_at, text, trial, chosen_at
                           FROM transcripts WHERE transcript_id >= $1 ORDER BY transcript_id LIMIT $2
                       ) AS next JOIN recordings ON recordings.sid = recording_sid AND recordings.state = 'completed'
                       AND recordings.source IS DISTINCT FROM 'upload'
                       JOIN calls ON calls.id = recordings.call_id AND calls.deletion IS NULL
                       WHERE version = 0 AND next.checked_at IS NULL AND text <> ''
                       AND (trial IS NULL OR chosen_at IS NOT NULL)
                       AND NOT EXISTS (SELECT 1 FROM blind_checks WHERE transcript = next.id)
                       AND NOT EXISTS (SELECT 1 FROM checks WHERE transcript = next.id)
                       ORDER BY transcript_id LIMIT 1";
            if let Some(row) = self.fetch_one(sql, args![from, LOOKED_AT]).await? {
                let id = row.text("transcript_id")?.parse();
                return id.map(Some).map_err(|_| Error::Unreadable("transcripts.transcript_id"));
            }
        }
        Ok(None)
    }

    pub(super) async fn wipe_blind_checks(&mut self, order: &OrderId) -> Result<(), Error> {
        self.execute("DELETE FROM blind_checks WHERE transcript = $1", args![order.as_str()]).await.map(drop)
    }
}

fn blind_check(row: &Row) -> Result<BlindCheck, Error> {
    Ok(BlindCheck {
        stretch: row.int("stretch")?,
        version: row.int("version")?,
        window: Window { from: row.int("from_ms")?, to: row.int("to_ms")? },
        texts: serde_json::from_str(&row.text("texts")?).map_err(|_| Error::Unreadable("blind_checks.texts"))?,
        at: row.int("made_at")?,
        by: row.text("made_by")?,
    })
}
