//! Corrections of transcripts. Rows are added and never changed.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::correction::Correction;
use crate::model::receiver::EventType;
use crate::model::transcript::{OrderId, Transcript, TranscriptId};

impl Conn {
    /// The corrections of a transcript, oldest first.
    pub async fn corrections_of(&mut self, order: &OrderId) -> Result<Vec<Correction>, Error> {
        let sql = "SELECT id, version, made_at, made_by, replacement, spans FROM corrections WHERE transcript = $1 ORDER BY version";
        self.fetch(sql, args![order.as_str()]).await?.iter().map(correction).collect()
    }

    /// The version that a correction of a transcript made, if it has one with this id.
    pub(crate) async fn version_of_correction(&mut self, order: &OrderId, id: &str) -> Result<Option<i64>, Error> {
        let sql = "SELECT version FROM corrections WHERE transcript = $1 AND id = $2";
        self.fetch_one(sql, args![order.as_str(), id]).await?.map(|row| row.int("version")).transpose()
    }

    /// Stores a correction of a completed transcript with the text that follows from it, and indexes that. Returns `false`
    /// if the transcript has another version than the one before by now, or is deleted.
    pub(crate) async fn add_correction(
        &mut self,
        of: &Transcript,
        correction: &Correction,
        text: &str,
    ) -> Result<bool, Error> {
        let Correction { id, version, at, by, replacement, spans } = correction;
        let places = spans.len() as i64;
        if let Some(call) = &of.call
            && !self.lock_call(call, *at).await?
        {
            return Ok(false);
        }
        let (order, before) = (of.id.as_str(), version - 1);
        // Also keeps others from it until this transaction ends.
        let sql = "UPDATE transcripts SET version = $3 WHERE id = $1 AND version = $2 AND text IS NOT NULL";
        if self.execute(sql, args![order, before, *version]).await? == 0 {
            return Ok(false);
        }
        // What somebody corrects stays the current transcript of its recording, until somebody chooses another one.
        let sql = "UPDATE transcripts SET chosen_at = $2 WHERE id = $1 AND chosen_at IS NULL
                   AND EXISTS (SELECT 1 FROM spoken WHERE transcript = $1)";
        self.execute(sql, args![order, *at]).await?;
        self.unindex_transcript(order).await?;
        let sql = "UPDATE transcripts SET text = $2, updated_at = $3 WHERE id = $1";
        self.execute(sql, args![order, text, *at]).await?;
        self.index_transcript(order).await?;
        let sql = "INSERT INTO corrections (transcript, version, id, made_at, made_by, replacement, spans)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let spans = serde_json::to_string(spans).unwrap_or_default();
        let replacement = replacement.as_deref();
        self.execute(sql, args![order, *version, id.as_str(), *at, by.as_str(), replacement, spans.as_str()]).await?;
        if let Some(replacement) = replacement {
            self.count_replaced(replacement, places).await?;
        }
        self.note_correction(of, *at).await?;
        self.announce_transcript(&of.id, EventType::TranscriptCorrected, None, *at).await?;
        Ok(true)
    }

    /// The current transcript of the same recording or audio: the one that search and lists show.
    pub(crate) async fn current_beside(&mut self, of: &Transcript) -> Result<Option<TranscriptId>, Error> {
        let sql = "SELECT transcript_id FROM spoken JOIN transcripts ON transcripts.id = spoken.transcript
                   WHERE source = (SELECT coalesce(recording_sid, audio) FROM transcripts WHERE id = $1)";
        let Some(row) = self.fetch_one(sql, args![of.id.as_str()]).await? else { return Ok(None) };
        let id = row.text("transcript_id")?.parse();
        Ok(Some(id.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?))
    }

    /// Makes a completed transcript the current one of its recording. Returns `false` if it is deleted.
    pub(crate) async fn choose_transcript(&mut self, of: &Transcript, now: i64) -> Result<bool, Error> {
        if let Some(call) = &of.call
            && !self.lock_call(call, now).await?
        {
            return Ok(false);
        }
        let sql = "SELECT coalesce(chosen_at, 0) AS chosen_at FROM spoken JOIN transcripts ON transcripts.id = spoken.transcript
                   WHERE source = (SELECT coalesce(recording_sid, audio) FROM transcripts WHERE id = $1)";
        let before = self.fetch_one(sql, args![of.id.as_str()]).await?.map_or(Ok(0), |row| row.int("chosen_at"))?;
        // After the one before it, whatever the clock says.
        let sql = "UPDATE transcripts SET chosen_at = $2 WHERE id = $1 AND text IS NOT NULL";
        if self.execute(sql, args![of.id.as_str(), now.max(before + 1)]).await? == 0 {
            return Ok(false);
        }
        self.unindex_transcript(of.id.as_str()).await?;
        self.index_transcript(of.id.as_str()).await?;
        if let Some(recording) = &of.recording {
            self.count_checked(recording).await?;
        }
        self.note_correction(of, now).await?;
        Ok(true)
    }

    pub(super) async fn wipe_corrections(&mut self, order: &OrderId) -> Result<(), Error> {
        self.execute("DELETE FROM corrections WHERE transcript = $1", args![order.as_str()]).await.map(drop)
    }
}

fn correction(row: &Row) -> Result<Correction, Error> {
    Ok(Correction {
        id: row.text("id")?,
        version: row.int("version")?,
        at: row.int("made_at")?,
        by: row.text("made_by")?,
        replacement: row.text_if_set("replacement")?,
        spans: serde_json::from_str(&row.text("spans")?).map_err(|_| Error::Unreadable("corrections.spans"))?,
    })
}
