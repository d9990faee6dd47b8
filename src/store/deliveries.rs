//! What is delivered to the receivers of webhooks. The transaction that commits what happened inserts a row for each
//! receiver, so that nothing is sent that was not committed, and nothing committed is forgotten.

use super::columns::delivery_columns;
use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::{CallId, Kind};
use crate::model::history::Happened;
use crate::model::new_id;
use crate::model::receiver::{DeliveryState, EventType, ReceiverId};
use crate::model::recording::RecordingState;
use crate::model::transcript::{OrderId, TranscriptState};

/// A delivery of something that happened to a receiver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// By which deliveries of a receiver are in order.
    pub number: i64,
    /// By which the receiver recognizes it.
    pub id: String,
    pub receiver: ReceiverId,
    /// What it comes in order with.
    item: String,
    pub event: EventType,
    pub call: Option<String>,
    pub call_sid: Option<String>,
    pub call_kind: Option<Kind>,
    pub recording: Option<String>,
    /// AssemblyAI's id.
    pub transcript: Option<String>,
    /// The state that the call, the recording or the transcript came to, and why.
    pub outcome: String,
    pub reason: Option<String>,
    /// Of a transcript.
    pub version: Option<i64>,
    pub is_checked: Option<bool>,
    /// In milliseconds since 1970, as the other times.
    pub happened_at: i64,
    pub state: DeliveryState,
    /// How often an attempt has ended.
    pub attempts: i64,
    /// When it is sent. While it is being sent, the end of the lease.
    pub due_at: i64,
    /// What the receiver last answered: the status and the beginning of the body, or without a status why there is none.
    pub answered_at: Option<i64>,
    pub status: Option<i64>,
    pub answer: Option<String>,
}

/// How an attempt at a delivery has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// As it was claimed.
    pub(crate) delivery: Delivery,
    pub(crate) state: DeliveryState,
    /// If it waits, when it is sent again.
    pub(crate) due_at: i64,
    pub(crate) status: Option<i64>,
    pub(crate) answer: String,
    pub(crate) at: i64,
}

/// Which deliveries a list has.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryFilter {
    pub state: Option<DeliveryState>,
    pub receiver: Option<ReceiverId>,
}

/// A delivery that is due later than this, in milliseconds from now, was dated by a clock that has been set back since.
const FURTHEST_DUE: i64 = 30 * 60 * 60 * 1_000;

/// How many old deliveries one statement deletes.
const PURGED_AT_ONCE: i64 = 500;

/// Inserts a delivery for each receiver. It is due with the first that the receiver has not got yet of the same item: `NOT EXISTS`
/// in the claim keeps the order, and this keeps what has to wait from being looked at. On PostgreSQL it locks that one, whose end
/// makes what waits behind it due, and would miss what is committed meanwhile.
macro_rules! announce {
    ($conn:ident, $item:literal, $values:literal, $rest:literal) => {
        if $conn.has_other_writers() {
            announce!($item, $values, " FOR UPDATE", $rest)
        } else {
            announce!($item, $values, "", $rest)
        }
    };
    ($item:literal, $values:literal, $lock:literal, $rest:literal) => {
        concat!(
            "INSERT INTO deliveries (id, receiver, event, outcome, happened_at, item, call_id, call_sid, call_kind,
                 recording_sid, transcript_id, reason, version, is_checked, state, attempts, due_at)
             SELECT 'msg_' || $1 || '_' || receivers.number, receivers.number, CAST($2 AS TEXT), CAST($3 AS TEXT),
                 CAST($4 AS BIGINT), ",
            $item,
            ", ",
            $values,
            ", 'waiting', 0, coalesce((SELECT before.due_at FROM deliveries AS before
                 WHERE before.receiver = receivers.number AND before.state = 'waiting' AND before.item = ",
            $item,
            " ORDER BY before.number LIMIT 1",
            $lock,
            "), $4) ",
            $rest,
            " AND receivers.state IN ('enabled', 'paused') ORDER BY receivers.number"
        )
    };
}

macro_rules! list {
    ($condition:literal) => {
        concat!("SELECT ", delivery_columns!(), " FROM deliveries WHERE ", $condition, " ORDER BY number DESC LIMIT $2")
    };
}

impl Conn {
    /// Announces to the receivers what has happened to a call, if that is one of the events that they get.
    pub(super) async fn announce(&mut self, call: &CallId, what: &Happened, at: i64) -> Result<(), Error> {
        let (event, recording) = match what {
            Happened::Call(state) if state.is_over() => (EventType::CallCompleted, None),
            Happened::Recording(sid, RecordingState::Completed) => (EventType::RecordingCompleted, Some(sid.as_str())),
            Happened::Deleted => (EventType::CallDeleted, None),
            _ => return Ok(()),
        };
        let sql = announce!(
            self,
            "calls.id",
            "calls.id, calls.sid, calls.kind, CAST($6 AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT),
             CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)",
            "FROM receivers CROSS JOIN calls WHERE calls.id = $5"
        );
        let id = new_id(at);
        let args = args![id.as_str(), event.as_str(), what.state(), at, call.as_str(), recording];
        self.execute(sql, args).await.map(drop)
    }

    /// Announces to the receivers what has happened to a transcript. What a trial transcribes is announced to nobody.
    pub(super) async fn announce_transcript(
        &mut self,
        order: &OrderId,
        event: EventType,
        reason: Option<&str>,
        at: i64,
    ) -> Result<(), Error> {
        let outcome = match event {
            EventType::TranscriptFailed => TranscriptState::Failed,
            _ => TranscriptState::Completed,
        };
        let sql = announce!(
            self,
            "coalesce(recordings.call_id, transcripts.id)",
            "recordings.call_id, calls.sid, calls.kind, transcripts.recording_sid, transcripts.transcript_id,
             CAST($6 AS TEXT), transcripts.version,
             CAST(CASE WHEN transcripts.checked_at IS NULL THEN 0 ELSE 1 END AS BIGINT)",
            "FROM receivers CROSS JOIN transcripts LEFT JOIN recordings ON recordings.sid = transcripts.recording_sid
             LEFT JOIN calls ON calls.id = recordings.call_id
             WHERE transcripts.id = $5 AND (transcripts.trial IS NULL OR transcripts.chosen_at IS NOT NULL)"
        );
        let id = new_id(at);
        self.execute(sql, args![id.as_str(), event.as_str(), outcome.as_str(), at, order.as_str(), reason])
            .await
            .map(drop)
    }

    /// Whether anything is due for a receiver that is enabled. Takes no lock.
    pub(crate) async fn is_delivery_due(&mut self, now: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 AS due FROM receivers WHERE state = 'enabled' AND EXISTS (SELECT 1 FROM deliveries
                   WHERE receiver = receivers.number AND deliveries.state = 'waiting' AND due_at <= $1) LIMIT 1";
        Ok(self.fetch_one(sql, args![now]).await?.is_some())
    }

    /// Claims deliveries to a receiver that are due, at most one of each item. Until `leased_until`, nobody else sends them.
    pub(crate) async fn claim_deliveries(
        &mut self,
        receiver: ReceiverId,
        now: i64,
        leased_until: i64,
        limit: i64,
    ) -> Result<Vec<Delivery>, Error> {
        let args = args![receiver.number(), now, leased_until, limit];
        self.fetch(self.dialect().claim_deliveries(), args).await?.iter().map(delivery).collect()
    }

    /// Stores how an attempt has ended. What waits behind a delivery is due with it, or at once. Changes nothing if the lease has
    /// run out and somebody else has claimed it. What a receiver says of a call that is deleted is not kept.
    pub(crate) async fn end_attempt(&mut self, ended: &Ended) -> Result<(), Error> {
        let Ended { delivery, state, due_at, status, answer, at } = ended;
        let sql =
            "UPDATE deliveries SET state = $3, attempts = attempts + 1, due_at = $4, answered_at = $5, status = $6,
                   answer = CASE WHEN $6 IS NULL OR NOT EXISTS (SELECT 1 FROM calls
                       WHERE calls.id = deliveries.call_id AND calls.deletion = 'done') THEN $7 END
                   WHERE number = $1 AND due_at = $2 AND state = 'waiting'";
        let args = args![delivery.number, delivery.due_at, state.as_str(), *due_at, *at, *status, answer.as_str()];
        if self.execute(sql, args).await? > 0 {
            self.follow(delivery, *due_at).await?;
        }
        Ok(())
    }

    /// Gives a claimed delivery back, which was not sent or may not have been.
    pub(crate) async fn release_delivery(&mut self, delivery: &Delivery, now: i64) -> Result<(), Error> {
        let sql = "UPDATE deliveries SET due_at = $3 WHERE number = $1 AND due_at = $2 AND state = 'waiting'";
        self.execute(sql, args![delivery.number, delivery.due_at, now]).await.map(drop)
    }

    /// Makes what waits behind a delivery due at this time.
    async fn follow(&mut self, delivery: &Delivery, due_at: i64) -> Result<(), Error> {
        let sql = "UPDATE deliveries SET due_at = $4
                   WHERE receiver = $1 AND item = $2 AND state = 'waiting' AND number > $3 AND due_at <> $4";
        let args = args![delivery.receiver.number(), delivery.item.as_str(), delivery.number, due_at];
        self.execute(sql, args).await.map(drop)
    }

    /// Sends a delivery once more, as if for the first time.
    pub(crate) async fn resend(&mut self, delivery: &Delivery, now: i64) -> Result<(), Error> {
        let sql = "UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = $2 WHERE number = $1";
        self.execute(sql, args![delivery.number, now]).await?;
        self.follow(delivery, now).await
    }

    pub async fn delivery(&mut self, id: &str) -> Result<Option<Delivery>, Error> {
        let sql = concat!("SELECT ", delivery_columns!(), " FROM deliveries WHERE id = $1");
        self.fetch_one(sql, args![id]).await?.as_ref().map(delivery).transpose()
    }

    /// The deliveries that match, newest first, of those with a number below `before`.
    pub async fn deliveries(
        &mut self,
        filter: DeliveryFilter,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Delivery>, Error> {
        let DeliveryFilter { state, receiver } = filter;
        let rows = match (state.map(DeliveryState::as_str), receiver.map(ReceiverId::number)) {
            (None, None) => self.fetch(list!("number < $1"), args![before, limit]).await?,
            (Some(state), None) => self.fetch(list!("number < $1 AND state = $3"), args![before, limit, state]).await?,
            (None, Some(receiver)) => {
                self.fetch(list!("number < $1 AND receiver = $3"), args![before, limit, receiver]).await?
            }
            (Some(state), Some(receiver)) => {
                let sql = list!("number < $1 AND state = $3 AND receiver = $4");
                self.fetch(sql, args![before, limit, state, receiver]).await?
            }
        };
        rows.iter().map(delivery).collect()
    }

    /// Makes due what a clock that was ahead has put off.
    pub(crate) async fn bring_deliveries_forward(&mut self, now: i64) -> Result<(), Error> {
        let sql = "UPDATE deliveries SET due_at = $1
                   WHERE state = 'waiting' AND due_at > $2 AND receiver IN (SELECT number FROM receivers)";
        self.execute(sql, args![now, now + FURTHEST_DUE]).await.map(drop)
    }

    /// Deletes some deliveries that ended before a time. Returns whether there may be more.
    pub(crate) async fn purge_deliveries(&mut self, before: i64) -> Result<bool, Error> {
        let sql = "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries
                   WHERE state <> 'waiting' AND answered_at < $1 ORDER BY answered_at LIMIT $2)";
        Ok(self.execute(sql, args![before, PURGED_AT_ONCE]).await? == PURGED_AT_ONCE as u64)
    }

    /// Deletes what vendors and receivers have said of a call that is deleted. Ids and states stay.
    pub(super) async fn wipe_deliveries(&mut self, call: &CallId) -> Result<(), Error> {
        let sql = "UPDATE deliveries SET reason = NULL, answer = CASE WHEN status IS NULL THEN answer END
                   WHERE call_id = $1 AND (reason IS NOT NULL OR answer IS NOT NULL)";
        self.execute(sql, args![call.as_str()]).await.map(drop)
    }
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let kind = row.text_if_set("call_kind")?;
    let kind = kind.map(|kind| Kind::named(&kind).ok_or(Error::Unreadable("deliveries.call_kind"))).transpose()?;
    Ok(Delivery {
        number: row.int("number")?,
        id: row.text("id")?,
        receiver: row.int("receiver")?.into(),
        item: row.text("item")?,
        event: EventType::named(&row.text("event")?).ok_or(Error::Unreadable("deliveries.event"))?,
        call: row.text_if_set("call_id")?,
        call_sid: row.text_if_set("call_sid")?,
        call_kind: kind,
        recording: row.text_if_set("recording_sid")?,
        transcript: row.text_if_set("transcript_id")?,
        outcome: row.text("outcome")?,
        reason: row.text_if_set("reason")?,
        version: row.int_if_set("version")?,
        is_checked: row.int_if_set("is_checked")?.map(|checked| checked == 1),
        happened_at: row.int("happened_at")?,
        state: DeliveryState::named(&row.text("state")?).ok_or(Error::Unreadable("deliveries.state"))?,
        attempts: row.int("attempts")?,
        due_at: row.int("due_at")?,
        answered_at: row.int_if_set("answered_at")?,
        status: row.int_if_set("status")?,
        answer: row.text_if_set("answer")?,
    })
}
