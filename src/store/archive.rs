//! What the archive keeps.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::job::JobKind;
use crate::model::recording::{RecordingSid, RecordingState, UPLOAD};

/// A recording that an archive keeps, or will keep.
#[derive(Debug, Clone)]
pub struct Archived {
    pub recording: RecordingSid,
    /// The archive, as `ARCHIVE_URL` names it.
    pub archive: String,
    /// The key of the audio in it.
    pub key: String,
    /// Known once the audio is there as a whole.
    pub kept: Option<KeptAudio>,
}

/// Audio that is in the archive as a whole.
#[derive(Debug, Clone)]
pub struct KeptAudio {
    pub bytes: i64,
    /// In hex.
    pub sha256: String,
    /// In milliseconds since 1970.
    pub archived_at: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT recording_sid, archive, key, bytes, sha256, archived_at FROM archived ", $rest)
    };
}

impl Conn {
    /// Stores that a recording is about to be written to this archive under this key. Returns `false` if it is there.
    pub(crate) async fn intend_to_archive(
        &mut self,
        recording: &RecordingSid,
        archive: &str,
        key: &str,
    ) -> Result<bool, Error> {
        let sql = "INSERT INTO archived (recording_sid, archive, key) VALUES ($1, $2, $3)
                   ON CONFLICT (recording_sid, archive) DO UPDATE SET key = archived.key WHERE archived.archived_at IS NULL";
        Ok(self.execute(sql, args![recording.as_str(), archive, key]).await? > 0)
    }

    /// Stores that the archive has all of a recording.
    pub(crate) async fn mark_archived(&mut self, archived: &Archived) -> Result<(), Error> {
        let Archived { recording, archive, kept, .. } = archived;
        let Some(KeptAudio { bytes, sha256, archived_at }) = kept else { return Ok(()) };
        let sql =
            "UPDATE archived SET bytes = $3, sha256 = $4, archived_at = $5 WHERE recording_sid = $1 AND archive = $2";
        self.execute(sql, args![recording.as_str(), archive.as_str(), *bytes, sha256.as_str(), *archived_at])
            .await
            .map(drop)
    }

    /// What this archive keeps of a recording.
    pub async fn archived(&mut self, recording: &RecordingSid, archive: &str) -> Result<Option<Archived>, Error> {
        let sql = select!("WHERE recording_sid = $1 AND archive = $2");
        self.fetch_one(sql, args![recording.as_str(), archive]).await?.as_ref().map(archived).transpose()
    }

    /// What all archives keep of the recordings of a call.
    pub async fn archived_of(&mut self, call: &CallId) -> Result<Vec<Archived>, Error> {
        let sql = select!(
            "WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = $1) ORDER BY recording_sid, archive"
        );
        self.fetch(sql, args![call.as_str()]).await?.iter().map(archived).collect()
    }

    pub(super) async fn wipe_archived(&mut self, call: &CallId) -> Result<(), Error> {
        let sql = "DELETE FROM archived WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = $1)";
        self.execute(sql, args![call.as_str()]).await.map(drop)
    }

    /// Whether anything was ever written to this archive.
    pub(crate) async fn is_archive_used(&mut self, archive: &str) -> Result<bool, Error> {
        let sql = "SELECT archive FROM archived WHERE archive = $1 LIMIT 1";
        Ok(self.fetch_one(sql, args![archive]).await?.is_some())
    }

    /// Stores that the archive has no copy of a recording any more.
    pub(crate) async fn forget_archived(&mut self, copy: &Archived) -> Result<(), Error> {
        let sql = "DELETE FROM archived WHERE recording_sid = $1 AND archive = $2";
        self.execute(sql, args![copy.recording.as_str(), copy.archive.as_str()]).await.map(drop)
    }

    /// Finished recordings after this one that Twilio made and that this archive does not have, of calls that are not deleted.
    /// Leaves out those that a job is copying there.
    pub(crate) async fn not_archived(
        &mut self,
        archive: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<RecordingSid>, Error> {
        let sql = "SELECT recordings.sid FROM recordings JOIN calls ON calls.id = call_id
                   WHERE recordings.sid > $1 AND recordings.state = $2 AND coalesce(source, '') <> $3
                   AND calls.deletion IS NULL
                   AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = $4 AND subject = recordings.sid AND state = 'open')
                   AND NOT EXISTS (SELECT 1 FROM archived WHERE recording_sid = recordings.sid AND archive = $5
                   AND archived_at IS NOT NULL)
                   ORDER BY recordings.sid LIMIT $6";
        let (completed, kind) = (RecordingState::Completed.as_str(), JobKind::Archive.as_str());
        let sid = |row: &Row| row.text("sid")?.parse().map_err(|_| Error::Unreadable("recordings.sid"));
        self.fetch(sql, args![after, completed, UPLOAD, kind, archive, limit]).await?.iter().map(sid).collect()
    }
}

fn archived(row: &Row) -> Result<Archived, Error> {
    let kept = match (row.int_if_set("bytes")?, row.text_if_set("sha256")?, row.int_if_set("archived_at")?) {
        (Some(bytes), Some(sha256), Some(archived_at)) => Some(KeptAudio { bytes, sha256, archived_at }),
        _ => None,
    };
    Ok(Archived {
        recording: row.text("recording_sid")?.parse().map_err(|_| Error::Unreadable("archived.recording_sid"))?,
        archive: row.text("archive")?,
        key: row.text("key")?,
        kept,
    })
}
