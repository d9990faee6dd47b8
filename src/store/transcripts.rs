//! Transcripts, and the words in them.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::conn::{Conn, args};
use super::costs::dollars;
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::correction::{Correction, Sequence};
use crate::model::dollars::Dollars;
use crate::model::receiver::EventType;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, Submission, Transcript, TranscriptId, TranscriptState};
use crate::model::trial::InTrial;
use crate::model::word::SpokenWord;

/// A transcript order to insert.
#[derive(Debug, Clone)]
pub struct NewTranscript {
    pub id: OrderId,
    /// The recording, unless nothing is known of the audio.
    pub recording: Option<RecordingSid>,
    /// The media format to request from Twilio, or the URL of an upload's audio.
    pub audio: String,
    /// AssemblyAI's parameters, as a JSON object.
    pub parameters: String,
    /// Whether the two channels of the audio differ, if that is known by now.
    pub channels_differ: Option<bool>,
    /// Equal for equal requests. `None` if no other request finds it.
    pub request_key: Option<String>,
    /// The trial that it is part of.
    pub trial: Option<InTrial>,
    /// Whether it counts as ordered although nobody asked for it.
    pub is_unasked: bool,
    /// What it is thought to cost, if it is ordered automatically.
    pub automatic: Option<Dollars>,
    /// In milliseconds since 1970.
    pub created_at: i64,
}

/// What a finished transcript is stored with, besides its words.
#[derive(Debug)]
pub(crate) struct Finished<'f> {
    /// As AssemblyAI sent it.
    pub(crate) json: &'f Bytes,
    pub(crate) text: &'f str,
    pub(crate) speech_model: Option<&'f str>,
    /// `None` if it is not known.
    pub(crate) cost: Option<Dollars>,
}

/// How many words are read at once.
const WORDS_AT_ONCE: i64 = 1_000;

macro_rules! select {
    ($rest:literal) => {
        select!("json, text", $rest)
    };
    ($said:literal, $rest:literal) => {
        concat!(
            "SELECT id, transcript_id, recording_sid, audio, parameters, audio_url, asked_at, state, round, reason,
             created_at, submission, speech_model_used, channels_differ, version, checked_at, checked_by, arm,
             cost_microusd,
             CASE WHEN chosen_at IS NULL THEN trial END AS trial, ",
            $said,
            ", (SELECT call_id FROM recordings WHERE recordings.sid = recording_sid) AS call_id,
             CAST(CASE WHEN request_key IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_current
             FROM transcripts ",
            $rest
        )
    };
}

impl Conn {
    /// Why the newest transcript that is missed of each of these calls failed, by call id.
    pub async fn failures(&mut self, calls: &[&CallId]) -> Result<HashMap<String, String>, Error> {
        if calls.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<&str> = calls.iter().map(|id| id.as_str()).collect();
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        let rows = self.fetch(self.dialect().failures_of_calls(), args![ids.as_str()]).await?;
        rows.iter().map(|row| Ok((row.text("call_id")?, row.text("reason")?))).collect()
    }

    /// Inserts an order. Returns `false` if an equal request has one.
    pub(crate) async fn add_transcript(&mut self, new: &NewTranscript) -> Result<bool, Error> {
        let NewTranscript {
            id,
            recording,
            audio,
            parameters,
            channels_differ,
            request_key,
            trial,
            is_unasked,
            automatic,
            created_at,
        } = new;
        let state = TranscriptState::Waiting;
        let added = self
            .execute(
                "INSERT INTO transcripts (id, recording_sid, audio, parameters, request_key, state, rank, round,
                 created_at, updated_at, unasked_at, channels_differ, trial, arm, automatic_at, estimate_microusd)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8, $9, $10, $11, $12, $13, $14)
                 ON CONFLICT DO NOTHING",
                args![
                    id.as_str(),
                    recording.as_ref().map(RecordingSid::as_str),
                    audio.as_str(),
                    parameters.as_str(),
                    request_key.as_deref(),
                    state.as_str(),
                    state.rank(),
                    *created_at,
                    is_unasked.then_some(*created_at),
                    channels_differ.map(i64::from),
                    trial.as_ref().map(|part| part.trial.as_str()),
                    trial.as_ref().map(|part| part.arm as i64),
                    automatic.map(|_| *created_at),
                    automatic.map(Dollars::millionths),
                ],
            )
            .await?;
        if added > 0 {
            self.touch_order(id);
            self.note_transcript(id, None, state, 1, None, *created_at).await?;
        }
        Ok(added > 0)
    }

    /// Keeps every other transaction from ordering a transcript that nobody asked for until this one ends, so that their
    /// count stays true.
    pub(crate) async fn lock_unasked(&mut self, now: i64) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        self.execute("UPDATE transcribing SET at = $1", args![now]).await.map(drop)
    }

    /// Counts the transcripts that were ordered after `since` although nobody asked for them, up to `most`. Those that a
    /// clock which was ahead has dated in the future count as ordered now, once; those that a clock which was behind has
    /// redated so count by their own time.
    pub(crate) async fn count_unasked_since(&mut self, since: i64, now: i64, most: i64) -> Result<i64, Error> {
        let redate = "UPDATE transcripts SET unasked_at = $1 WHERE unasked_at > $1";
        self.execute(redate, args![now]).await?;
        let sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM transcripts WHERE unasked_at > $1 LIMIT $3) AS dated) +
                   (SELECT count(*) FROM transcripts WHERE unasked_at < created_at AND unasked_at <= $1
                   AND created_at > $1 AND created_at <= $2) AS transcripts";
        self.fetch_one(sql, args![since, now, most]).await?.map_or(Ok(0), |row| row.int("transcripts"))
    }

    /// Frees the request of this order for a new one.
    pub(crate) async fn supersede_transcript(&mut self, id: &OrderId) -> Result<(), Error> {
        self.lock_call_of(id).await?;
        self.touch_order(id);
        let sql = "UPDATE transcripts SET request_key = NULL WHERE id = $1";
        self.execute(sql, args![id.as_str()]).await.map(drop)
    }

    pub(crate) async fn transcript_by_request(&mut self, request_key: &str) -> Result<Option<Transcript>, Error> {
        let row = self.fetch_one(select!("WHERE request_key = $1"), args![request_key]).await?;
        row.as_ref().map(transcript).transpose()
    }

    pub(crate) async fn transcript_by_id(&mut self, id: &OrderId) -> Result<Option<Transcript>, Error> {
        self.fetch_one(select!("WHERE id = $1"), args![id.as_str()]).await?.as_ref().map(transcript).transpose()
    }

    pub async fn transcript_by_transcript_id(&mut self, id: &TranscriptId) -> Result<Option<Transcript>, Error> {
        let row = self.fetch_one(select!("WHERE transcript_id = $1"), args![id.as_str()]).await?;
        row.as_ref().map(transcript).transpose()
    }

    /// The same without JSON and text, which are large and take long to read.
    pub async fn order_by_transcript_id(&mut self, id: &TranscriptId) -> Result<Option<Transcript>, Error> {
        let sql = select!("CAST(NULL AS BYTEA) AS json, CAST(NULL AS TEXT) AS text", "WHERE transcript_id = $1");
        self.fetch_one(sql, args![id.as_str()]).await?.as_ref().map(transcript).transpose()
    }

    /// The transcripts of a call's recordings, oldest first.
    pub async fn transcripts_of(&mut self, call: &CallId) -> Result<Vec<Transcript>, Error> {
        let sql =
            select!("WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = $1) ORDER BY created_at, id");
        self.fetch(sql, args![call.as_str()]).await?.iter().map(transcript).collect()
    }

    /// The same without JSON and text, which are large and take long to read.
    pub async fn orders_of(&mut self, call: &CallId) -> Result<Vec<Transcript>, Error> {
        let sql = select!(
            "CAST(NULL AS BYTEA) AS json, CAST(NULL AS TEXT) AS text",
            "WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = $1) ORDER BY created_at, id"
        );
        self.fetch(sql, args![call.as_str()]).await?.iter().map(transcript).collect()
    }

    /// The words of a transcript with all corrections, in order.
    pub async fn words_of(&mut self, order: &OrderId) -> Result<Vec<SpokenWord>, Error> {
        let heard = self.heard_words_of(order).await?;
        corrected(heard, &self.corrections_of(order).await?)
    }

    /// The words that AssemblyAI heard, in order.
    pub async fn heard_words_of(&mut self, order: &OrderId) -> Result<Vec<SpokenWord>, Error> {
        let sql = "SELECT word, start_ms, end_ms, confidence, speaker, channel FROM words
                   WHERE transcript = $1 AND position >= $2 ORDER BY position LIMIT $3";
        let mut words = Vec::new();
        loop {
            // All rows at once would take several times the memory.
            let rows = self.fetch(sql, args![order.as_str(), words.len() as i64, WORDS_AT_ONCE]).await?;
            if rows.is_empty() {
                return Ok(words);
            }
            for row in &rows {
                words.push(word(row)?);
            }
        }
    }

    /// Whether a transcript of this recording was requested.
    pub(crate) async fn has_transcript(&mut self, recording: &RecordingSid) -> Result<bool, Error> {
        let sql = "SELECT id FROM transcripts WHERE recording_sid = $1 LIMIT 1";
        Ok(self.fetch_one(sql, args![recording.as_str()]).await?.is_some())
    }

    /// Stores where AssemblyAI has the audio, and whether its two channels differ, as the transcript says.
    pub(crate) async fn mark_uploaded(&mut self, of: &Transcript, now: i64) -> Result<(), Error> {
        self.lock_call_of(&of.id).await?;
        let sql = "UPDATE transcripts SET audio_url = $3, channels_differ = $4
                   WHERE id = $1 AND round = $2 AND audio_url IS NULL";
        let channels_differ = of.channels_differ.map(i64::from);
        self.execute(sql, args![of.id.as_str(), of.attempt, of.audio_url.as_deref(), channels_differ]).await?;
        self.advance_transcript(of, TranscriptState::Uploaded, None, now).await.map(drop)
    }

    /// Stores the intent to submit the order: when it is submitted, before that happens. Returns `false` if there is
    /// nothing to submit any more.
    pub(crate) async fn intend_to_submit(
        &mut self,
        of: &Transcript,
        submission: &Submission,
        asked_at: i64,
    ) -> Result<bool, Error> {
        let sql = "UPDATE transcripts SET asked_at = $3, submission = $4
                   WHERE id = $1 AND round = $2 AND rank < $5 AND transcript_id IS NULL";
        let (submission, ended) = (json(submission), TranscriptState::Failed.rank());
        Ok(self.execute(sql, args![of.id.as_str(), of.attempt, asked_at, submission.as_str(), ended]).await? > 0)
    }

    /// Stores what the order is submitted with next, after AssemblyAI has refused it.
    pub(crate) async fn replace_submission(&mut self, of: &Transcript, next: &Submission) -> Result<(), Error> {
        let sql = "UPDATE transcripts SET submission = $3 WHERE id = $1 AND round = $2 AND transcript_id IS NULL";
        self.execute(sql, args![of.id.as_str(), of.attempt, json(next).as_str()]).await.map(drop)
    }

    /// Withdraws the intent of this time, once it is known not to have arrived. A later intent stays.
    pub(crate) async fn withdraw_intent(&mut self, of: &Transcript, asked_at: i64) -> Result<(), Error> {
        let sql = "UPDATE transcripts SET asked_at = NULL
                   WHERE id = $1 AND round = $2 AND transcript_id IS NULL AND asked_at = $3";
        self.execute(sql, args![of.id.as_str(), of.attempt, asked_at]).await.map(drop)
    }

    /// Stores the transcript id, and AssemblyAI's response if there was one.
    pub(crate) async fn mark_submitted(
        &mut self,
        of: &Transcript,
        transcript_id: &str,
        json: Option<&Bytes>,
        now: i64,
    ) -> Result<(), Error> {
        self.lock_call_of(&of.id).await?;
        let id = of.id.as_str();
        let sql = "UPDATE transcripts SET transcript_id = $3 WHERE id = $1 AND round = $2 AND transcript_id IS NULL";
        self.execute(sql, args![id, of.attempt, transcript_id]).await?;
        if let Some(json) = json {
            let sql = "UPDATE transcripts SET json = $3 WHERE id = $1 AND round = $2 AND json IS NULL";
            self.execute(sql, args![id, of.attempt, json]).await?;
        }
        self.advance_transcript(of, TranscriptState::Queued, None, now).await.map(drop)
    }

    /// Stores AssemblyAI's response about an unfinished transcript.
    pub(crate) async fn store_json(&mut self, of: &Transcript, json: &Bytes) -> Result<(), Error> {
        let sql = "UPDATE transcripts SET json = $4 WHERE id = $1 AND round = $2 AND rank < $3";
        self.execute(sql, args![of.id.as_str(), of.attempt, TranscriptState::Completed.rank(), json]).await.map(drop)
    }

    /// Stores a finished transcript with AssemblyAI's JSON and its words, and indexes it. Returns `false` if it was final
    /// already. The words come some at a time, and end with an empty list.
    pub(crate) async fn mark_completed(
        &mut self,
        of: &Transcript,
        finished: &Finished<'_>,
        mut words: mpsc::Receiver<Vec<SpokenWord>>,
        now: i64,
    ) -> Result<bool, Error> {
        let moved = self.advance_transcript(of, TranscriptState::Completed, None, now).await?;
        if moved {
            let Finished { json, text, speech_model, cost } = *finished;
            let sql = "UPDATE transcripts SET json = $2, text = $3, speech_model_used = $4, cost_microusd = $5
                       WHERE id = $1";
            let cost = cost.map(Dollars::millionths);
            self.execute(sql, args![of.id.as_str(), json, text, speech_model, cost]).await?;
            self.execute("DELETE FROM words WHERE transcript = $1", args![of.id.as_str()]).await?;
            let (insert, mut position) = (self.dialect().insert_words(), 0);
            loop {
                let some = words.recv().await.ok_or(Error::Unreadable("transcripts.json"))?;
                if some.is_empty() {
                    break;
                }
                let json = serde_json::to_string(&some).unwrap_or_default();
                self.execute(insert, args![of.id.as_str(), json.as_str(), position]).await?;
                position += some.len() as i64;
            }
            self.index_transcript(of.id.as_str()).await?;
            if let Some(recording) = &of.recording {
                self.count_checked(recording).await?;
            }
        }
        Ok(moved)
    }

    /// Marks a transcript as failed, and stores AssemblyAI's JSON. It has cost nothing if it `is_free`, or else nobody knows
    /// what. Returns `false` if it was final already.
    pub(crate) async fn mark_failed(
        &mut self,
        of: &Transcript,
        json: Option<&Bytes>,
        reason: &str,
        is_free: bool,
        now: i64,
    ) -> Result<bool, Error> {
        let moved = self.advance_transcript(of, TranscriptState::Failed, Some(reason), now).await?;
        if let (true, Some(json)) = (moved, json) {
            let sql = "UPDATE transcripts SET json = $2 WHERE id = $1";
            self.execute(sql, args![of.id.as_str(), json]).await?;
        }
        if moved && is_free {
            self.execute("UPDATE transcripts SET cost_microusd = 0 WHERE id = $1", args![of.id.as_str()]).await?;
        }
        Ok(moved)
    }

    /// Deletes the text, the words and the parameters of a transcript. Every place that holds spoken words is emptied here.
    pub(super) async fn wipe_transcript(&mut self, id: &OrderId, now: i64) -> Result<(), Error> {
        self.unindex_transcript(id.as_str()).await?;
        let sql = "UPDATE transcripts SET audio = '', parameters = '{}', request_key = NULL, audio_url = NULL,
                   reason = NULL, json = NULL, text = NULL, submission = NULL, speech_model_used = NULL, version = 0,
                   checked_at = NULL, checked_by = NULL, chosen_at = NULL, updated_at = $2 WHERE id = $1";
        self.execute(sql, args![id.as_str(), now]).await?;
        self.wipe_corrections(id).await?;
        self.wipe_checks(id).await?;
        self.wipe_blind_checks(id).await?;
        self.wipe_uses(id, now).await?;
        self.put_measures(id, &[]).await?;
        self.execute("DELETE FROM words WHERE transcript = $1", args![id.as_str()]).await.map(drop)
    }

    /// Advances a transcript within its attempt. Returns `false` if it was as far already.
    pub(crate) async fn advance_transcript(
        &mut self,
        of: &Transcript,
        state: TranscriptState,
        reason: Option<&str>,
        now: i64,
    ) -> Result<bool, Error> {
        self.lock_call_of(&of.id).await?;
        let sql = "UPDATE transcripts SET state = $3, rank = $4, reason = $5, updated_at = $6
                   WHERE id = $1 AND round = $2 AND rank < $4";
        let args = args![of.id.as_str(), of.attempt, state.as_str(), state.rank(), reason, now];
        let moved = self.execute(sql, args).await? > 0;
        if moved {
            self.note_transcript(&of.id, of.call.as_ref(), state, of.attempt, reason, now).await?;
            // On its way to its end, it changes nothing in the summary of its call.
            if state.is_final() {
                self.touch_order(&of.id);
                self.end_import_item(&of.id, state, reason, now).await?;
                let event = match state {
                    TranscriptState::Failed => EventType::TranscriptFailed,
                    _ => EventType::TranscriptCompleted,
                };
                self.announce_transcript(&of.id, event, reason, now).await?;
            }
        }
        Ok(moved)
    }

    /// Begins a new attempt at an order that AssemblyAI has ended because of its model: the same audio with another
    /// submission. Returns `false` if it is final, or if another attempt has begun already.
    pub(crate) async fn resubmit(
        &mut self,
        of: &Transcript,
        next: &Submission,
        reason: &str,
        now: i64,
    ) -> Result<bool, Error> {
        self.lock_call_of(&of.id).await?;
        let (state, failed) = (TranscriptState::Uploaded, TranscriptState::Failed);
        let sql = "UPDATE transcripts SET round = round + 1, state = $3, rank = $4, reason = $5, asked_at = NULL,
                   transcript_id = NULL, submission = $6, json = NULL, updated_at = $7
                   WHERE id = $1 AND round = $2 AND rank < $8";
        let next = json(next);
        let args =
            args![of.id.as_str(), of.attempt, state.as_str(), state.rank(), reason, next.as_str(), now, failed.rank()];
        let begun = self.execute(sql, args).await? > 0;
        if begun {
            self.note_transcript(&of.id, of.call.as_ref(), state, of.attempt + 1, Some(reason), now).await?;
        }
        Ok(begun)
    }

    /// Begins a new attempt. It continues with what was submitted, or may have been, unless that is void: then the audio is
    /// uploaded again. If that one has failed, somebody has asked for this one. Returns `false` if another attempt has begun already.
    pub(crate) async fn begin_attempt(
        &mut self,
        of: &Transcript,
        is_void: bool,
        reason: &str,
        now: i64,
    ) -> Result<bool, Error> {
        self.lock_call_of(&of.id).await?;
        let state = match of.transcript_id {
            Some(_) if !is_void => TranscriptState::Queued,
            _ => TranscriptState::Waiting,
        };
        let sql = "UPDATE transcripts SET round = round + 1, state = $3, rank = $4, reason = $5,
                   audio_url = CASE WHEN $7 = 0 AND asked_at IS NOT NULL THEN audio_url END,
                   asked_at = CASE WHEN $7 = 0 THEN asked_at END,
                   transcript_id = CASE WHEN $7 = 0 THEN transcript_id END,
                   submission = CASE WHEN $7 = 0 THEN submission END, json = NULL, updated_at = $6,
                   cost_microusd = NULL,
                   automatic_at = CASE WHEN $7 = 0 OR state <> 'failed' THEN automatic_at END
                   WHERE id = $1 AND round = $2 AND state <> 'completed'";
        let void = i64::from(is_void);
        let args = args![of.id.as_str(), of.attempt, state.as_str(), state.rank(), reason, now, void];
        let begun = self.execute(sql, args).await? > 0;
        if begun {
            self.touch_order(&of.id);
            self.note_transcript(&of.id, of.call.as_ref(), state, of.attempt + 1, Some(reason), now).await?;
        }
        Ok(begun)
    }

    /// Keeps other transactions on PostgreSQL from changing the call of an order until this one ends. Call it before the first
    /// change of the order: the call is locked before its transcripts everywhere, so that nobody waits in a circle.
    async fn lock_call_of(&mut self, id: &OrderId) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        let sql = "SELECT calls.id FROM calls JOIN recordings ON recordings.call_id = calls.id
                   JOIN transcripts ON transcripts.recording_sid = recordings.sid WHERE transcripts.id = $1
                   FOR NO KEY UPDATE OF calls";
        self.fetch(sql, args![id.as_str()]).await.map(drop)
    }

    /// The call is looked up if it is not known.
    async fn note_transcript(
        &mut self,
        id: &OrderId,
        call: Option<&CallId>,
        state: TranscriptState,
        attempt: i64,
        reason: Option<&str>,
        at: i64,
    ) -> Result<(), Error> {
        // What happens in a trial is none of the call's history.
        let sql = "INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at, made_by) SELECT
                   CASE WHEN trial IS NULL
                   THEN coalesce($7, (SELECT call_id FROM recordings WHERE sid = recording_sid)) END,
                   'transcript', id, $2, $3, $4, $5, $6, $8 FROM transcripts WHERE id = $1";
        let call = call.map(CallId::as_str);
        let args = args![id.as_str(), state.as_str(), state.rank(), attempt, reason, at, call, self.asked_by()];
        self.execute(sql, args).await?;
        self.count_event("transcript", state.as_str());
        Ok(())
    }
}

fn json(submission: &Submission) -> String {
    serde_json::to_string(submission).unwrap_or_default()
}

pub(super) fn word(row: &Row) -> Result<SpokenWord, Error> {
    Ok(SpokenWord {
        text: row.text("word")?,
        start: row.int("start_ms")?,
        end: row.int("end_ms")?,
        confidence: Some(row.real("confidence")?),
        speaker: row.text_if_set("speaker")?,
        channel: row.text_if_set("channel")?,
        begins: None,
    })
}

/// Returns what the words became by these corrections, which are in their order.
pub(super) fn corrected(heard: Vec<SpokenWord>, corrections: &[Correction]) -> Result<Vec<SpokenWord>, Error> {
    if corrections.is_empty() {
        return Ok(heard);
    }
    let mut sequence = Sequence::of_heard(heard.len());
    corrections.iter().try_for_each(|one| sequence.apply(one)).ok_or(Error::Unreadable("corrections.spans"))?;
    Ok(sequence.words(heard))
}

/// The position of an arm in its trial.
pub(super) fn arm(row: &Row) -> Result<usize, Error> {
    usize::try_from(row.int("arm")?).map_err(|_| Error::Unreadable("transcripts.arm"))
}

fn transcript(row: &Row) -> Result<Transcript, Error> {
    let transcript_id = row.text_if_set("transcript_id")?.map(|id| id.parse()).transpose();
    let recording = row.text_if_set("recording_sid")?.map(|sid| sid.parse()).transpose();
    let call = row.text_if_set("call_id")?.map(|id| id.parse()).transpose();
    let trial = row.text_if_set("trial")?.map(|id| id.parse()).transpose();
    let submission = row.text_if_set("submission")?.map(|json| serde_json::from_str(&json)).transpose();
    Ok(Transcript {
        id: row.text("id")?.into(),
        transcript_id: transcript_id.map_err(|_| Error::Unreadable("transcripts.transcript_id"))?,
        recording: recording.map_err(|_| Error::Unreadable("transcripts.recording_sid"))?,
        call: call.map_err(|_| Error::Unreadable("recordings.call_id"))?,
        is_current: row.int("is_current")? == 1,
        trial: match trial.map_err(|_| Error::Unreadable("transcripts.trial"))? {
            Some(trial) => Some(InTrial { trial, arm: arm(row)? }),
            None => None,
        },
        audio: row.text("audio")?,
        parameters: row.text("parameters")?,
        audio_url: row.text_if_set("audio_url")?,
        asked_at: row.int_if_set("asked_at")?,
        state: TranscriptState::named(&row.text("state")?).ok_or(Error::Unreadable("transcripts.state"))?,
        attempt: row.int("round")?,
        reason: row.text_if_set("reason")?,
        json: row.bytes_if_set("json")?,
        text: row.text_if_set("text")?,
        submission: submission.map_err(|_| Error::Unreadable("transcripts.submission"))?,
        speech_model_used: row.text_if_set("speech_model_used")?,
        channels_differ: row.int_if_set("channels_differ")?.map(|differ| differ == 1),
        version: row.int("version")?,
        checked_at: row.int_if_set("checked_at")?,
        checked_by: row.text_if_set("checked_by")?,
        cost: dollars(row, "cost_microusd")?,
        created_at: row.int("created_at")?,
    })
}
