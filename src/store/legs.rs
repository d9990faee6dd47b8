//! Legs that calls have dialed.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::{CallId, CallSid, CallState};
use crate::model::history::Happened;
use crate::model::leg::Leg;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT sid, call_id, number, state, bridged, answered_at, ended_at FROM legs ", $rest)
    };
}

impl Conn {
    /// Inserts a leg, or advances it and fills in its facts. A leg stays with its first call. Returns `false` if it was as
    /// far already.
    pub(crate) async fn put_leg(&mut self, leg: &Leg, now: i64) -> Result<bool, Error> {
        // The kind of the call follows from all its legs.
        self.lock_touched([leg.call.as_str()].into_iter()).await?;
        let Leg { sid, call, number, state, is_bridged, .. } = leg;
        let answered_at = leg.answered_at.or((*state == CallState::InProgress).then_some(now));
        let ended_at = leg.ended_at.or(state.is_over().then_some(now));
        let args = args![
            sid.as_str(),
            call.as_str(),
            number.as_deref(),
            state.as_str(),
            state.rank(),
            answered_at,
            ended_at,
            now,
        ];
        let added = "INSERT INTO legs
                     (sid, call_id, number, state, rank, answered_at, ended_at, created_at, updated_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT DO NOTHING";
        let mut moved = self.execute(added, args).await?;
        if moved == 0 {
            let args = args![sid.as_str(), call.as_str(), state.as_str(), state.rank(), ended_at, now];
            let advanced = "UPDATE legs SET state = $3, rank = $4, ended_at = $5, updated_at = $6
                            WHERE sid = $1 AND call_id = $2 AND rank < $4";
            moved = self.execute(advanced, args).await?;
            // The end of the leg may have been reported first, without its number or its answer. Both times are then
            // Twilio's.
            let answered_at = if moved > 0 { answered_at } else { leg.answered_at };
            let args = args![sid.as_str(), call.as_str(), number.as_deref(), answered_at, leg.ended_at];
            let filled_in = "UPDATE legs SET number = coalesce(number, $3), answered_at = coalesce(answered_at, $4),
                             ended_at = CASE WHEN answered_at IS NULL AND $4 IS NOT NULL THEN coalesce($5, ended_at)
                                        ELSE ended_at END
                             WHERE sid = $1 AND call_id = $2
                             AND (number IS NULL AND $3 IS NOT NULL OR answered_at IS NULL AND $4 IS NOT NULL)";
            self.execute(filled_in, args).await?;
        }
        if moved > 0 {
            self.note(call, Happened::Leg(sid.clone(), *state), None, now).await?;
        }
        if let Some(is_bridged) = is_bridged {
            self.put_bridged(leg, *is_bridged, now).await?;
        }
        Ok(moved > 0)
    }

    /// Stores whether a leg was connected with its call. What is known at its end replaces what was known before. An inbound
    /// call is a conversation if one of its legs was.
    async fn put_bridged(&mut self, leg: &Leg, is_bridged: bool, now: i64) -> Result<(), Error> {
        let (is_bridged, is_final) = (i64::from(is_bridged), i64::from(leg.state.is_over()));
        let bridged = "UPDATE legs SET bridged = $3, updated_at = $5 WHERE sid = $1 AND call_id = $2
                       AND (bridged IS NULL OR $4 = 1 AND bridged <> $3)";
        let args = args![leg.sid.as_str(), leg.call.as_str(), is_bridged, is_final, now];
        if self.execute(bridged, args).await? == 0 {
            return Ok(());
        }
        self.touch(leg.call.as_str());
        let kind = "UPDATE calls SET kind = CASE WHEN EXISTS (SELECT 1 FROM legs WHERE call_id = $1 AND bridged = 1)
                    THEN 'conversation' ELSE 'message' END WHERE id = $1 AND direction <> 'outbound'";
        self.execute(kind, args![leg.call.as_str()]).await.map(drop)
    }

    /// The legs that a call has dialed, oldest first.
    pub async fn legs_of(&mut self, call: &CallId) -> Result<Vec<Leg>, Error> {
        let rows = self.fetch(select!("WHERE call_id = $1 ORDER BY created_at, sid"), args![call.as_str()]).await?;
        rows.iter().map(leg).collect()
    }
}

pub(super) fn state(word: &str) -> Result<CallState, Error> {
    CallState::named(word).ok_or(Error::Unreadable("legs.state"))
}

fn leg(row: &Row) -> Result<Leg, Error> {
    let sid: CallSid = row.text("sid")?.parse().map_err(|_| Error::Unreadable("legs.sid"))?;
    Ok(Leg {
        sid,
        call: row.text("call_id")?.parse().map_err(|_| Error::Unreadable("legs.call_id"))?,
        number: row.text_if_set("number")?,
        state: state(&row.text("state")?)?,
        is_bridged: row.int_if_set("bridged")?.map(|bridged| bridged != 0),
        answered_at: row.int_if_set("answered_at")?,
        ended_at: row.int_if_set("ended_at")?,
    })
}
