//! Deleting a call: the request, and the removal of its private data. Ids, states and times stay, so that late callbacks
//! are recognized.

use super::conn::{Conn, args};
use super::error::Error;
use crate::model::call::{CallId, Deletion};
use crate::model::history::Happened;

impl Conn {
    /// Marks the call for deletion and removes it from the search index.
    pub(crate) async fn request_deletion(&mut self, id: &CallId, now: i64) -> Result<(), Error> {
        let sql = "UPDATE calls SET deletion = $2, updated_at = $3 WHERE id = $1 AND deletion IS NULL";
        let changed = self.execute(sql, args![id.as_str(), Deletion::Wanted.as_str(), now]).await?;
        if changed == 0 {
            return Ok(());
        }
        for transcript in self.indexed_of(id).await? {
            self.unindex_transcript(&transcript).await?;
        }
        self.note(id, Happened::DeletionWanted, None, now).await
    }

    /// Keeps every other transaction from changing the call until this one ends. Returns `false` if the call is marked for
    /// deletion or deleted.
    pub(crate) async fn lock_call(&mut self, id: &CallId, now: i64) -> Result<bool, Error> {
        let sql = "UPDATE calls SET updated_at = $2 WHERE id = $1 AND deletion IS NULL";
        Ok(self.execute(sql, args![id.as_str(), now]).await? > 0)
    }

    /// Whether the call is marked for deletion or deleted.
    pub(crate) async fn is_deletion_wanted(&mut self, id: &CallId) -> Result<bool, Error> {
        let sql = "SELECT id FROM calls WHERE id = $1 AND deletion IS NOT NULL";
        Ok(self.fetch_one(sql, args![id.as_str()]).await?.is_some())
    }

    /// Removes numbers, names, titles, key terms, words, and all that the vendors said about the call, its recordings and
    /// transcripts. When it was dialed stays, and its kind, because they count, and so does the nonce of its form, which
    /// must not dial a second time.
    pub(crate) async fn wipe_call(&mut self, id: &CallId, now: i64) -> Result<(), Error> {
        let transcripts = self.orders_of(id).await?;
        self.lock_terms_used_in(transcripts.iter().map(|transcript| &transcript.id)).await?;
        for transcript in transcripts {
            self.wipe_transcript(&transcript.id, now).await?;
        }
        macro_rules! of_call {
            ($begin:literal) => {
                concat!(
                    $begin,
                    " IN (SELECT transcripts.id FROM transcripts JOIN recordings
                     ON recordings.sid = transcripts.recording_sid WHERE recordings.call_id = $1))"
                )
            };
        }
        // If a transcript was requested before its call was known, its first events name no call.
        let steps = of_call!(
            "UPDATE history SET reason = NULL WHERE reason IS NOT NULL AND (call_id = $1 OR call_id IS NULL AND subject"
        );
        self.execute(steps, args![id.as_str()]).await?;
        let jobs = of_call!(
            "UPDATE jobs SET reason = NULL WHERE reason IS NOT NULL AND (subject = $1
             OR subject IN (SELECT sid FROM recordings WHERE call_id = $1) OR subject"
        );
        self.execute(jobs, args![id.as_str()]).await?;
        let recordings = "UPDATE recordings SET duration_seconds = NULL, channels = NULL, source = NULL,
                          error_code = NULL, audio = NULL, updated_at = $2 WHERE call_id = $1";
        self.execute(recordings, args![id.as_str(), now]).await?;
        let legs = "UPDATE legs SET number = NULL, updated_at = $2 WHERE call_id = $1";
        self.execute(legs, args![id.as_str(), now]).await?;
        self.wipe_import_items(id).await?;
        self.wipe_archived(id).await?;
        let call = "UPDATE calls SET to_number = NULL, from_number = NULL, operator_number = NULL, keyterms = '[]',
                    tag = NULL, title = NULL, file_name = NULL, folded_title = NULL, reason = NULL, code = NULL, base_url = NULL, checked_at = NULL, updated_at = $2 WHERE id = $1";
        self.execute(call, args![id.as_str(), now]).await?;
        self.wipe_trial_figures(id).await?;
        self.wipe_speakers(id).await?;
        self.wipe_deliveries(id).await?;
        let done = "UPDATE calls SET deletion = $2 WHERE id = $1 AND deletion <> $2";
        let changed = self.execute(done, args![id.as_str(), Deletion::Done.as_str()]).await?;
        if changed > 0 { self.note(id, Happened::Deleted, None, now).await } else { Ok(()) }
    }
}
