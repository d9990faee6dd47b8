//! How right the transcripts of trials are, and which of them become current.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use super::trials::{Choosing, TrialRecording, recording};
use crate::accuracy::resample::Share;
use crate::accuracy::{Edits, TermCounts};
use crate::model::call::CallId;
use crate::model::measure::Reference;
use crate::model::transcript::{OrderId, TranscriptId};
use crate::model::trial::TrialId;

/// The arm that stands for what there was before, as it is stored.
const BEFORE: i64 = -1;

/// How right a transcript of a trial is.
#[derive(Debug, Clone)]
pub struct TrialFigure {
    /// The recording, by its SID.
    pub recording: String,
    /// The call's id.
    pub call: String,
    /// The position of the arm; `None` is the transcript that there was before.
    pub arm: Option<usize>,
    pub reference: Reference,
    pub edits: Edits,
    /// The wrong characters of all, however the script of the language writes words.
    pub characters: Share,
    pub terms: TermCounts,
}

/// A recording of a trial whose figures are not those of today.
#[derive(Debug)]
pub struct Unmeasured {
    pub recording: TrialRecording,
    /// What today's figures are made from.
    pub basis: String,
}

macro_rules! basis {
    () => {
        "CAST(made.version AS TEXT) || '.' || CAST((SELECT count(*) FROM checks WHERE transcript = made.id) AS TEXT)
         || '.' || CAST((SELECT count(*) FROM blind_checks WHERE transcript = made.id) AS TEXT)
         || '.' || CAST((SELECT count(*) FROM transcripts AS tried WHERE tried.trial = $1
         AND tried.recording_sid = trial_recordings.recording_sid AND tried.state = 'completed') AS TEXT)"
    };
}

macro_rules! select {
    ($columns:expr, $rest:expr) => {
        concat!(
            "SELECT trial_recordings.recording_sid AS sid, calls.id AS call_id, calls.sid AS call_sid, baseline,
             made.transcript_id, CAST(0 AS BIGINT) AS is_deleted, ",
            $columns,
            " FROM trial_recordings JOIN recordings ON recordings.sid = trial_recordings.recording_sid
             JOIN calls ON calls.id = recordings.call_id JOIN transcripts AS made ON made.id = baseline
             WHERE trial_recordings.trial = $1 AND calls.deletion IS NULL AND ",
            $rest
        )
    };
}

impl Conn {
    /// Recordings of a trial whose figures have to be made.
    pub(crate) async fn unmeasured(&mut self, trial: &TrialId, limit: i64) -> Result<Vec<Unmeasured>, Error> {
        let sql = select!(
            concat!(basis!(), " AS basis"),
            concat!("measured <> ", basis!(), " ORDER BY trial_recordings.recording_sid LIMIT $2")
        );
        let unmeasured = |row: &Row| Ok(Unmeasured { recording: recording(row)?, basis: row.text("basis")? });
        self.fetch(sql, args![trial.as_str(), limit]).await?.iter().map(unmeasured).collect()
    }

    /// Stores the figures of a recording in a trial, in place of those that it had, unless its call is deleted.
    pub(crate) async fn put_trial_figures(
        &mut self,
        trial: &TrialId,
        of: &Unmeasured,
        figures: &[TrialFigure],
        now: i64,
    ) -> Result<(), Error> {
        if !self.lock_call(&of.recording.call, now).await? {
            return Ok(());
        }
        self.note_trial(trial, now).await?;
        let (trial, recording) = (trial.as_str(), of.recording.recording.as_str());
        let sql = "DELETE FROM trial_figures WHERE trial = $1 AND recording_sid = $2";
        self.execute(sql, args![trial, recording]).await?;
        // What a transcript may have fits.
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for figure in figures {
            let TrialFigure { arm, reference, edits, characters, terms, .. } = figure;
            let sql = "INSERT INTO trial_figures (trial, recording_sid, arm, reference, hits, substitutions, deletions,
                       insertions, characters, character_errors, said, heard, heard_wrongly)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
            let args = args![
                trial,
                recording,
                arm.map_or(BEFORE, |arm| arm as i64),
                reference.as_str(),
                number(edits.hits),
                number(edits.substitutions),
                number(edits.deletions),
                number(edits.insertions),
                number(characters.whole),
                number(characters.part),
                number(terms.said),
                number(terms.heard),
                number(terms.wrongly_heard),
            ];
            self.execute(sql, args).await?;
        }
        let sql = "UPDATE trial_recordings SET measured = $3 WHERE trial = $1 AND recording_sid = $2";
        self.execute(sql, args![trial, recording, of.basis.as_str()]).await.map(drop)
    }

    /// The figures of a trial, without those of calls that are being deleted.
    pub async fn trial_figures(&mut self, trial: &TrialId) -> Result<Vec<TrialFigure>, Error> {
        let sql =
            "SELECT recording_sid, call_id, arm, reference, hits, substitutions, deletions, insertions, characters,
                   character_errors, said, heard, heard_wrongly FROM trial_figures
                   JOIN recordings ON recordings.sid = recording_sid JOIN calls ON calls.id = recordings.call_id
                   WHERE trial = $1 AND calls.deletion IS NULL ORDER BY recording_sid, arm";
        self.fetch(sql, args![trial.as_str()]).await?.iter().map(figure).collect()
    }

    /// Stores that the transcripts of an arm become the current ones of their recordings, or those that there were before.
    pub(crate) async fn choose_arm(
        &mut self,
        trial: &TrialId,
        arm: Option<usize>,
        by: &str,
        now: i64,
    ) -> Result<(), Error> {
        self.note_trial(trial, now).await?;
        let sql = "UPDATE trials SET choosing = $2, choices = choices + 1, chosen_by = $3 WHERE id = $1";
        self.execute(sql, args![trial.as_str(), arm.map_or(BEFORE, |arm| arm as i64), by]).await.map(drop)
    }

    /// Recordings of a trial for which this request is not carried out, each with the transcript that becomes current; `None`
    /// if none does.
    pub(crate) async fn unchosen(
        &mut self,
        trial: &TrialId,
        choosing: &Choosing,
        limit: i64,
    ) -> Result<Vec<(TrialRecording, Option<TranscriptId>)>, Error> {
        let sql = select!(
            "CASE WHEN $2 >= 0 THEN (SELECT tried.transcript_id FROM transcripts AS tried WHERE tried.trial = $1
             AND tried.recording_sid = trial_recordings.recording_sid AND tried.arm = $2 AND tried.state = 'completed')
             WHEN chosen_arm IS NOT NULL THEN made.transcript_id END AS target",
            "chosen < $3 ORDER BY trial_recordings.recording_sid LIMIT $4"
        );
        let arm = choosing.arm.map_or(BEFORE, |arm| arm as i64);
        let unchosen = |row: &Row| {
            let target = row.text_if_set("target")?.map(|id| id.parse()).transpose();
            Ok((recording(row)?, target.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?))
        };
        self.fetch(sql, args![trial.as_str(), arm, choosing.number, limit]).await?.iter().map(unchosen).collect()
    }

    /// Stores that a request is carried out for a recording.
    pub(crate) async fn mark_chosen(
        &mut self,
        trial: &TrialId,
        of: &TrialRecording,
        choosing: &Choosing,
        is_current: bool,
        now: i64,
    ) -> Result<(), Error> {
        self.note_trial(trial, now).await?;
        let sql = "UPDATE trial_recordings SET chosen = $3, chosen_arm = CASE WHEN $5 = 1 THEN CAST($4 AS BIGINT)
                   ELSE chosen_arm END WHERE trial = $1 AND recording_sid = $2 AND chosen < $3";
        let arm = choosing.arm.map(|arm| arm as i64);
        let args = args![trial.as_str(), of.recording.as_str(), choosing.number, arm, i64::from(is_current)];
        self.execute(sql, args).await.map(drop)
    }

    /// For how many recordings the last request to choose is carried out, without those of deleted calls, for how many it
    /// is not, and how many have a transcript of the chosen arm that is not current, because it was finished later.
    pub async fn count_chosen(&mut self, trial: &TrialId) -> Result<[i64; 3], Error> {
        let sql =
            "SELECT count(CASE WHEN chosen = choices THEN 1 END) AS done, count(CASE WHEN chosen < choices THEN 1 END)
                   AS open, count(CASE WHEN coalesce(chosen_arm, -1) <> choosing AND EXISTS (
                       SELECT 1 FROM transcripts AS tried WHERE tried.trial = $1
                       AND tried.recording_sid = trial_recordings.recording_sid AND tried.arm = choosing
                       AND tried.state = 'completed') THEN 1 END) AS later
                   FROM trial_recordings JOIN trials ON trials.id = trial
                   JOIN recordings ON recordings.sid = recording_sid JOIN calls ON calls.id = recordings.call_id
                   WHERE trial = $1 AND calls.deletion IS NULL";
        let row = self.fetch_one(sql, args![trial.as_str()]).await?;
        row.map_or(Ok([0; 3]), |row| Ok([row.int("done")?, row.int("open")?, row.int("later")?]))
    }

    /// The trials in which this transcript is what there was before.
    pub(crate) async fn trials_of_baseline(&mut self, order: &OrderId) -> Result<Vec<TrialId>, Error> {
        let rows = self.fetch("SELECT trial FROM trial_recordings WHERE baseline = $1", args![order.as_str()]).await?;
        rows.iter().map(|row| row.text("trial")?.parse().map_err(|_| Error::Unreadable("trials.id"))).collect()
    }

    /// Deletes the figures of a call's recordings in all trials.
    pub(super) async fn wipe_trial_figures(&mut self, call: &CallId) -> Result<(), Error> {
        let sql = "DELETE FROM trial_figures WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = $1)";
        self.execute(sql, args![call.as_str()]).await.map(drop)
    }
}

fn figure(row: &Row) -> Result<TrialFigure, Error> {
    let number = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
    Ok(TrialFigure {
        recording: row.text("recording_sid")?,
        call: row.text("call_id")?,
        arm: usize::try_from(row.int("arm")?).ok(),
        reference: Reference::named(&row.text("reference")?).ok_or(Error::Unreadable("trial_figures.reference"))?,
        edits: Edits {
            hits: number("hits")?,
            substitutions: number("substitutions")?,
            deletions: number("deletions")?,
            insertions: number("insertions")?,
        },
        characters: Share { part: number("character_errors")?, whole: number("characters")? },
        terms: TermCounts { said: number("said")?, heard: number("heard")?, wrongly_heard: number("heard_wrongly")? },
    })
}
