//! Recordings.

use super::conn::{Conn, args};
use super::costs::dollars;
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::history::Happened;
use crate::model::recording::{Recording, RecordingSid, RecordingState};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT sid, call_id, state, duration_seconds, channels, source, error_code, audio, over_budget_microusd
             FROM recordings ",
            $rest
        )
    };
}

impl Conn {
    /// Inserts a recording, or advances it and fills in its facts. Returns `false` if it was as far already.
    pub(crate) async fn upsert_recording(&mut self, recording: &Recording, now: i64) -> Result<bool, Error> {
        let Recording { sid, call, state, duration_seconds, channels, source, error_code, audio: _, over_budget: _ } =
            recording;
        // Each transaction locks the row of the call at its end at the latest. After that of the recording, it could wait for
        // one that waits for this one.
        if self.has_other_writers() {
            self.fetch("SELECT id FROM calls WHERE id = $1 FOR NO KEY UPDATE", args![call.as_str()]).await?;
        }
        let moved = self
            .execute(
                "INSERT INTO recordings
                 (sid, call_id, state, rank, duration_seconds, channels, source, error_code, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (sid) DO UPDATE SET
                 state = excluded.state, rank = excluded.rank, updated_at = excluded.updated_at,
                 duration_seconds = coalesce(excluded.duration_seconds, recordings.duration_seconds),
                 channels = coalesce(excluded.channels, recordings.channels),
                 source = coalesce(excluded.source, recordings.source),
                 error_code = coalesce(excluded.error_code, recordings.error_code)
                 WHERE recordings.rank < excluded.rank",
                args![
                    sid.as_str(),
                    call.as_str(),
                    state.as_str(),
                    state.rank(),
                    *duration_seconds,
                    *channels,
                    source.as_deref(),
                    *error_code,
                    now,
                ],
            )
            .await?;
        if moved > 0 {
            self.note(call, Happened::Recording(sid.clone(), *state), None, now).await?;
        }
        Ok(moved > 0)
    }

    /// Inserts the recording of an upload. Fails with [`Error::Taken`] if there is one of this audio.
    pub(super) async fn add_uploaded_recording(&mut self, recording: &Recording, now: i64) -> Result<(), Error> {
        let Recording { sid, call, state, channels, source, audio, .. } = recording;
        let sql = "INSERT INTO recordings (sid, call_id, state, rank, channels, source, audio, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT DO NOTHING";
        let (source, audio) = (source.as_deref(), audio.as_deref());
        let args = args![sid.as_str(), call.as_str(), state.as_str(), state.rank(), *channels, source, audio, now];
        if self.execute(sql, args).await? > 0 { Ok(()) } else { Err(Error::Taken) }
    }

    /// The recording of an upload of this audio.
    pub(crate) async fn uploaded(&mut self, audio: &str) -> Result<Option<Recording>, Error> {
        self.fetch_one(select!("WHERE audio = $1"), args![audio]).await?.as_ref().map(recording).transpose()
    }

    /// Stores the length of an uploaded recording, which only its transcript tells.
    pub(crate) async fn set_length(&mut self, sid: &RecordingSid, seconds: i64) -> Result<(), Error> {
        let sql = "UPDATE recordings SET duration_seconds = $2
                   WHERE sid = $1 AND source = 'upload' AND duration_seconds IS NULL";
        self.execute(sql, args![sid.as_str(), seconds]).await.map(drop)
    }

    pub async fn recording(&mut self, sid: &RecordingSid) -> Result<Option<Recording>, Error> {
        self.fetch_one(select!("WHERE sid = $1"), args![sid.as_str()]).await?.as_ref().map(recording).transpose()
    }

    /// The recordings of a call, oldest first.
    pub async fn recordings_of(&mut self, call: &CallId) -> Result<Vec<Recording>, Error> {
        let rows = self.fetch(select!("WHERE call_id = $1 ORDER BY created_at, sid"), args![call.as_str()]).await?;
        rows.iter().map(recording).collect()
    }
}

fn recording(row: &Row) -> Result<Recording, Error> {
    Ok(Recording {
        sid: row.text("sid")?.parse().map_err(|_| Error::Unreadable("recordings.sid"))?,
        call: row.text("call_id")?.parse().map_err(|_| Error::Unreadable("recordings.call_id"))?,
        state: RecordingState::named(&row.text("state")?).ok_or(Error::Unreadable("recordings.state"))?,
        duration_seconds: row.int_if_set("duration_seconds")?,
        channels: row.int_if_set("channels")?,
        source: row.text_if_set("source")?,
        error_code: row.int_if_set("error_code")?,
        audio: row.text_if_set("audio")?,
        over_budget: dollars(row, "over_budget_microusd")?,
    })
}
