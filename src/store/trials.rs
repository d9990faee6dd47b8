//! Trials, and what each is about.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use super::transcripts::arm;
use crate::model::call::{CallId, CallSid};
use crate::model::recording::{RecordingSid, RecordingState};
use crate::model::transcript::{OrderId, TranscriptId, TranscriptState};
use crate::model::trial::{Arm, LeftOut, TrialId, TrialKind};

/// A trial as somebody confirmed it.
#[derive(Debug, Clone)]
pub struct Trial {
    pub id: TrialId,
    pub kind: TrialKind,
    /// A checksum of what was asked for.
    pub asked: String,
    pub arms: Vec<Arm>,
    pub left_out: LeftOut,
    /// In milliseconds since 1970.
    pub made_at: i64,
    pub made_by: String,
    /// From then on nothing more is ordered.
    pub stopped_at: Option<i64>,
    pub choosing: Option<Choosing>,
}

/// The last request to make transcripts of a trial the current ones of their recordings.
#[derive(Debug, Clone)]
pub struct Choosing {
    /// Counts from 1.
    pub number: i64,
    /// The position of the arm. `None` for the transcripts that there were before.
    pub arm: Option<usize>,
    pub by: String,
}

/// A recording that a trial may take, or cannot.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub recording: RecordingSid,
    pub is_recorded: bool,
    /// Its current transcript.
    pub baseline: Option<OrderId>,
    /// Whether somebody has corrected that, or checked some of it.
    pub has_reference: bool,
    /// Its length.
    pub seconds: i64,
}

/// A recording of a trial.
#[derive(Debug, Clone)]
pub struct TrialRecording {
    pub recording: RecordingSid,
    pub call: CallId,
    /// The call's SID, if it has one.
    pub call_sid: Option<CallSid>,
    /// Whether the call is deleted, or being deleted.
    pub is_deleted: bool,
    /// The transcript that it had.
    pub baseline: OrderId,
    pub baseline_id: Option<TranscriptId>,
}

/// How far an arm is.
#[derive(Debug, Clone, Default)]
pub struct ArmProgress {
    pub orders: i64,
    pub completed: i64,
    pub failed: i64,
    /// The audio of the orders that AssemblyAI has accepted, without those that failed, which cost nothing.
    pub paid_seconds: i64,
}

/// An order of a trial.
#[derive(Debug, Clone)]
pub struct TrialOrder {
    pub order: OrderId,
    pub arm: usize,
    pub transcript: Option<TranscriptId>,
    pub state: TranscriptState,
    pub reason: Option<String>,
    pub model: Option<String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, asked, arms, left_out, made_at, made_by, stopped_at, choosing, choices, chosen_by
             FROM trials ",
            $rest
        )
    };
}

impl Conn {
    /// Inserts a trial. Returns `false` if there is one with its id.
    pub(crate) async fn add_trial(&mut self, new: &Trial) -> Result<bool, Error> {
        let sql = "INSERT INTO trials (id, kind, asked, arms, left_out, made_at, made_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let (arms, left_out) = (json(&new.arms), json(&new.left_out));
        let args = args![
            new.id.as_str(),
            new.kind.as_str(),
            new.asked.as_str(),
            arms.as_str(),
            left_out.as_str(),
            new.made_at,
            new.made_by.as_str()
        ];
        Ok(self.execute(sql, args).await? > 0)
    }

    pub(crate) async fn add_trial_recording(
        &mut self,
        trial: &TrialId,
        recording: &RecordingSid,
        baseline: &OrderId,
        seconds: i64,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO trial_recordings (trial, recording_sid, baseline, seconds) VALUES ($1, $2, $3, $4)";
        let args = args![trial.as_str(), recording.as_str(), baseline.as_str(), seconds];
        self.execute(sql, args).await.map(drop)
    }

    pub async fn trial(&mut self, id: &TrialId) -> Result<Option<Trial>, Error> {
        self.fetch_one(select!("WHERE id = $1"), args![id.as_str()]).await?.as_ref().map(trial).transpose()
    }

    /// The newest trials of those that were made before this one.
    pub async fn trials(&mut self, before: Option<&Trial>, limit: i64) -> Result<Vec<Trial>, Error> {
        let (at, id) = before.map_or((i64::MAX, ""), |before| (before.made_at, before.id.as_str()));
        let sql = select!("WHERE (made_at, id) < ($2, $3) ORDER BY made_at DESC, id DESC LIMIT $1");
        let rows = self.fetch(sql, args![limit, at, id]).await?;
        rows.iter().map(trial).collect()
    }

    /// The recordings of a call that Twilio has, with what a trial needs to know of them.
    pub(crate) async fn trial_candidates(&mut self, call: &CallId) -> Result<Vec<Candidate>, Error> {
        let sql = "SELECT recordings.sid, recordings.state, made.id,
                   CAST(CASE WHEN made.version > 0 OR EXISTS (SELECT 1 FROM checks WHERE transcript = made.id)
                       OR EXISTS (SELECT 1 FROM blind_checks WHERE transcript = made.id)
                       THEN 1 ELSE 0 END AS BIGINT) AS has_reference,
                   coalesce(recordings.duration_seconds, (SELECT max(end_ms) FROM words WHERE transcript = made.id) / 1000, 0)
                       AS seconds
                   FROM recordings LEFT JOIN transcripts AS made ON made.id = (
                       SELECT transcripts.id FROM transcripts WHERE recording_sid = recordings.sid AND state = 'completed'
                       AND (trial IS NULL OR chosen_at IS NOT NULL)
                       ORDER BY CASE WHEN text <> '' THEN 0 ELSE 1 END, coalesce(chosen_at, 0) DESC, created_at DESC,
                       transcripts.id DESC LIMIT 1)
                   WHERE call_id = $1 AND recordings.source IS DISTINCT FROM 'upload'
                   ORDER BY recordings.created_at, recordings.sid";
        let candidate = |row: &Row| {
            Ok(Candidate {
                recording: sid(row)?,
                is_recorded: row.text("state")? == RecordingState::Completed.as_str(),
                baseline: row.text_if_set("id")?.map(OrderId::from),
                has_reference: row.int("has_reference")? == 1,
                seconds: row.int("seconds")?,
            })
        };
        self.fetch(sql, args![call.as_str()]).await?.iter().map(candidate).collect()
    }

    /// How many recordings and calls a trial has, the audio in seconds, and how many of its calls are deleted by now.
    pub async fn trial_size(&mut self, trial: &TrialId) -> Result<[i64; 4], Error> {
        let sql = "SELECT count(*) AS recordings, count(DISTINCT call_id) AS calls,
                   CAST(coalesce(sum(seconds), 0) AS BIGINT) AS seconds,
                   count(DISTINCT CASE WHEN calls.deletion IS NOT NULL THEN call_id END) AS deleted
                   FROM trial_recordings JOIN recordings ON recordings.sid = trial_recordings.recording_sid
                   JOIN calls ON calls.id = recordings.call_id WHERE trial = $1";
        let Some(row) = self.fetch_one(sql, args![trial.as_str()]).await? else { return Ok([0; 4]) };
        Ok([row.int("recordings")?, row.int("calls")?, row.int("seconds")?, row.int("deleted")?])
    }

    /// How far each arm is.
    pub async fn trial_progress(&mut self, trial: &TrialId) -> Result<Vec<(usize, ArmProgress)>, Error> {
        let sql = "SELECT arm, count(*) AS orders, count(CASE WHEN state = 'completed' THEN 1 END) AS completed,
                   count(CASE WHEN state = 'failed' THEN 1 END) AS failed,
                   CAST(sum(CASE WHEN transcript_id IS NOT NULL AND state <> 'failed' THEN seconds ELSE 0 END) AS BIGINT)
                       AS seconds
                   FROM transcripts JOIN trial_recordings ON trial_recordings.trial = transcripts.trial
                   AND trial_recordings.recording_sid = transcripts.recording_sid
                   WHERE transcripts.trial = $1 GROUP BY arm ORDER BY arm";
        let progress = |row: &Row| {
            let progress = ArmProgress {
                orders: row.int("orders")?,
                completed: row.int("completed")?,
                failed: row.int("failed")?,
                paid_seconds: row.int("seconds")?,
            };
            Ok((arm(row)?, progress))
        };
        self.fetch(sql, args![trial.as_str()]).await?.iter().map(progress).collect()
    }

    /// The recordings of a trial by their SIDs; with `after`, those that follow this one.
    pub async fn trial_recordings(
        &mut self,
        trial: &TrialId,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<TrialRecording>, Error> {
        let sql = "SELECT trial_recordings.recording_sid AS sid, calls.id AS call_id, calls.sid AS call_sid, baseline,
                   transcripts.transcript_id,
                   CAST(CASE WHEN calls.deletion IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_deleted FROM trial_recordings
                   JOIN recordings ON recordings.sid = trial_recordings.recording_sid
                   JOIN calls ON calls.id = recordings.call_id JOIN transcripts ON transcripts.id = baseline
                   WHERE trial_recordings.trial = $1 AND trial_recordings.recording_sid > $2
                   ORDER BY trial_recordings.recording_sid LIMIT $3";
        let args = args![trial.as_str(), after.unwrap_or_default(), limit];
        self.fetch(sql, args).await?.iter().map(recording).collect()
    }

    /// The orders of a trial for a recording, by arm.
    pub async fn trial_orders(&mut self, trial: &TrialId, recording: &RecordingSid) -> Result<Vec<TrialOrder>, Error> {
        let sql = "SELECT id, arm, transcript_id, state, reason, speech_model_used FROM transcripts
                   WHERE trial = $1 AND recording_sid = $2 ORDER BY arm";
        let order = |row: &Row| {
            let transcript = row.text_if_set("transcript_id")?.map(|id| id.parse()).transpose();
            Ok(TrialOrder {
                order: row.text("id")?.into(),
                arm: arm(row)?,
                transcript: transcript.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
                state: TranscriptState::named(&row.text("state")?).ok_or(Error::Unreadable("transcripts.state"))?,
                reason: row.text_if_set("reason")?,
                model: row.text_if_set("speech_model_used")?,
            })
        };
        self.fetch(sql, args![trial.as_str(), recording.as_str()]).await?.iter().map(order).collect()
    }

    /// The failed orders of a trial, without those of calls that are deleted or being deleted.
    pub async fn failed_orders(&mut self, trial: &TrialId, limit: i64) -> Result<Vec<OrderId>, Error> {
        let sql = "SELECT transcripts.id FROM transcripts JOIN recordings ON recordings.sid = transcripts.recording_sid
                   JOIN calls ON calls.id = recordings.call_id
                   WHERE trial = $1 AND transcripts.state = $2 AND calls.deletion IS NULL ORDER BY transcripts.id LIMIT $3";
        let args = args![trial.as_str(), TranscriptState::Failed.as_str(), limit];
        self.fetch(sql, args).await?.iter().map(|row| Ok(row.text("id")?.into())).collect()
    }

    pub(crate) async fn is_trial_stopped(&mut self, trial: &TrialId) -> Result<bool, Error> {
        let sql = "SELECT id FROM trials WHERE id = $1 AND stopped_at IS NOT NULL";
        Ok(self.fetch_one(sql, args![trial.as_str()]).await?.is_some())
    }

    /// Stores that nothing more of a trial is ordered. Returns what is not ordered by now.
    pub(crate) async fn stop_trial(&mut self, trial: &TrialId, now: i64) -> Result<Vec<OrderId>, Error> {
        let sql = "UPDATE trials SET stopped_at = $2 WHERE id = $1 AND stopped_at IS NULL";
        self.execute(sql, args![trial.as_str(), now]).await?;
        self.note_trial(trial, now).await?;
        let sql = "SELECT id FROM transcripts WHERE trial = $1 AND asked_at IS NULL AND rank < $2 ORDER BY id";
        let rows = self.fetch(sql, args![trial.as_str(), TranscriptState::Failed.rank()]).await?;
        rows.iter().map(|row| Ok(row.text("id")?.into())).collect()
    }

    /// Marks an order of a stopped trial as failed, unless it was submitted meanwhile. Returns whether it is.
    pub(crate) async fn leave_unordered(&mut self, order: &OrderId, reason: &str, now: i64) -> Result<bool, Error> {
        // Waits for a transaction that is submitting it, and sees what that has stored.
        let sql = "UPDATE transcripts SET updated_at = $2 WHERE id = $1 AND asked_at IS NULL";
        if self.execute(sql, args![order.as_str(), now]).await? == 0 {
            return Ok(false);
        }
        match self.transcript_by_id(order).await? {
            Some(transcript) => self.mark_failed(&transcript, None, reason, true, now).await,
            None => Ok(false),
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn sid(row: &Row) -> Result<RecordingSid, Error> {
    row.text("sid")?.parse().map_err(|_| Error::Unreadable("recordings.sid"))
}

pub(super) fn recording(row: &Row) -> Result<TrialRecording, Error> {
    let call_sid = row.text_if_set("call_sid")?.map(|sid| sid.parse()).transpose();
    let baseline_id = row.text_if_set("transcript_id")?.map(|id| id.parse()).transpose();
    Ok(TrialRecording {
        recording: sid(row)?,
        call: row.text("call_id")?.parse().map_err(|_| Error::Unreadable("recordings.call_id"))?,
        call_sid: call_sid.map_err(|_| Error::Unreadable("calls.sid"))?,
        is_deleted: row.int("is_deleted")? == 1,
        baseline: row.text("baseline")?.into(),
        baseline_id: baseline_id.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
    })
}

fn trial(row: &Row) -> Result<Trial, Error> {
    let choosing = match row.int_if_set("choosing")? {
        Some(arm) => Some(Choosing {
            number: row.int("choices")?,
            arm: usize::try_from(arm).ok(),
            by: row.text_if_set("chosen_by")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Trial {
        id: row.text("id")?.parse().map_err(|_| Error::Unreadable("trials.id"))?,
        kind: TrialKind::named(&row.text("kind")?).ok_or(Error::Unreadable("trials.kind"))?,
        asked: row.text("asked")?,
        arms: serde_json::from_str(&row.text("arms")?).map_err(|_| Error::Unreadable("trials.arms"))?,
        left_out: serde_json::from_str(&row.text("left_out")?).map_err(|_| Error::Unreadable("trials.left_out"))?,
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
        stopped_at: row.int_if_set("stopped_at")?,
        choosing,
    })
}
