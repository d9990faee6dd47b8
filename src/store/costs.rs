//! What transcripts cost, and what of a budget they take.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::dollars::Dollars;
use crate::model::price::Price;
use crate::model::recording::RecordingSid;

impl Conn {
    /// Counts transcripts that were ordered automatically in the future as ordered now: a clock that was ahead has dated them,
    /// and they would take from the budget until that time comes.
    pub(crate) async fn redate_automatic(&mut self, now: i64) -> Result<(), Error> {
        let sql = "UPDATE transcripts SET automatic_at = $1 WHERE automatic_at > $1";
        self.execute(sql, args![now]).await.map(drop)
    }

    /// What the transcripts cost that were ordered automatically after `since`, or are thought to cost as long as that is not
    /// known. Those that a clock which was behind has redated count by their own time.
    pub(crate) async fn automatic_cost_since(&mut self, since: i64, now: i64) -> Result<Dollars, Error> {
        let sql = "SELECT CAST(coalesce(sum(cost), 0) AS BIGINT) AS cost FROM (
                   SELECT coalesce(cost_microusd, estimate_microusd) AS cost FROM transcripts WHERE automatic_at > $1
                   UNION ALL SELECT coalesce(cost_microusd, estimate_microusd) AS cost FROM transcripts
                   WHERE automatic_at < created_at AND automatic_at <= $1 AND created_at > $1 AND created_at <= $2) AS dated";
        let row = self.fetch_one(sql, args![since, now]).await?;
        Ok(Dollars::of_millionths(row.map_or(Ok(0), |row| row.int("cost"))?))
    }

    /// Stores what Twilio charges for a call.
    pub(crate) async fn set_price(&mut self, id: &CallId, price: &Price) -> Result<(), Error> {
        let sql = "UPDATE calls SET price_millionths = $2, price_unit = $3 WHERE id = $1";
        self.touch(id.as_str());
        self.execute(sql, args![id.as_str(), price.millionths, price.unit.as_str()]).await.map(drop)
    }

    /// Stores that a recording was not transcribed because of this budget.
    pub(crate) async fn note_over_budget(
        &mut self,
        sid: &RecordingSid,
        budget: Dollars,
        now: i64,
    ) -> Result<(), Error> {
        let sql = "UPDATE recordings SET over_budget_at = $3, over_budget_microusd = $2 WHERE sid = $1";
        self.execute(sql, args![sid.as_str(), budget.millionths(), now]).await.map(drop)
    }

    /// The length of the newest recording after `since` that was not transcribed because of the budget. `None` if there is
    /// none, `Some(None)` if its length is not known.
    pub(crate) async fn newest_over_budget(&mut self, since: i64) -> Result<Option<Option<i64>>, Error> {
        let sql = "SELECT duration_seconds FROM recordings WHERE over_budget_at > $1
                   ORDER BY over_budget_at DESC LIMIT 1";
        self.fetch_one(sql, args![since]).await?.map(|row| row.int_if_set("duration_seconds")).transpose()
    }
}

/// What finished transcripts cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranscriptCosts {
    pub transcripts: i64,
    /// Those of which it is not known.
    pub unknown: i64,
    pub cost: Dollars,
}

/// What calls cost together in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCosts {
    pub calls: i64,
    pub price: Price,
}

/// What the calls with a number cost, with their transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyCosts {
    /// `None` for uploads, deleted calls and withheld numbers, all together.
    pub number: Option<String>,
    pub name: Option<String>,
    pub cost: Dollars,
}

impl Conn {
    /// When the first of all transcripts and calls was made that have costs.
    pub async fn first_cost(&mut self) -> Result<Option<i64>, Error> {
        let sql = "SELECT (SELECT min(created_at) FROM transcripts WHERE state = 'completed') AS transcript,
                   (SELECT min(created_at) FROM calls WHERE price_millionths IS NOT NULL) AS call";
        let Some(row) = self.fetch_one(sql, args![]).await? else { return Ok(None) };
        Ok([row.int_if_set("transcript")?, row.int_if_set("call")?].into_iter().flatten().min())
    }

    /// What the transcripts cost that were ordered in this time.
    pub async fn transcript_costs(&mut self, since: i64, before: i64) -> Result<TranscriptCosts, Error> {
        let sql = "SELECT count(*) AS transcripts, count(*) - count(cost_microusd) AS unknown,
                   CAST(coalesce(sum(cost_microusd), 0) AS BIGINT) AS cost FROM transcripts
                   WHERE state = 'completed' AND created_at >= $1 AND created_at < $2";
        let row = self.fetch_one(sql, args![since, before]).await?;
        row.as_ref().map_or(Ok(TranscriptCosts::default()), transcript_costs)
    }

    /// The same by the model that was used, the dearest first. That of deleted transcripts is not known.
    pub async fn costs_by_model(
        &mut self,
        since: i64,
        before: i64,
    ) -> Result<Vec<(Option<String>, TranscriptCosts)>, Error> {
        let sql = "SELECT speech_model_used AS model, count(*) AS transcripts,
                   count(*) - count(cost_microusd) AS unknown,
                   CAST(coalesce(sum(cost_microusd), 0) AS BIGINT) AS cost FROM transcripts
                   WHERE state = 'completed' AND created_at >= $1 AND created_at < $2
                   GROUP BY speech_model_used ORDER BY cost DESC, model";
        let rows = self.fetch(sql, args![since, before]).await?;
        rows.iter().map(|row| Ok((row.text_if_set("model")?, transcript_costs(row)?))).collect()
    }

    /// What Twilio charges for the calls of this time, by currency.
    pub async fn call_costs(&mut self, since: i64, before: i64) -> Result<Vec<CallCosts>, Error> {
        let sql = "SELECT price_unit AS unit, count(*) AS calls, CAST(sum(price_millionths) AS BIGINT) AS price
                   FROM calls WHERE price_millionths IS NOT NULL AND created_at >= $1 AND created_at < $2
                   GROUP BY price_unit ORDER BY price_unit";
        let read = |row: &Row| {
            let price = Price { millionths: row.int("price")?, unit: row.text("unit")? };
            Ok(CallCosts { calls: row.int("calls")?, price })
        };
        self.fetch(sql, args![since, before]).await?.iter().map(read).collect()
    }

    /// What is known to be paid in US dollars for the calls with a number and their transcripts. `None` if nothing is.
    pub async fn cost_with(&mut self, number: &str) -> Result<Option<Dollars>, Error> {
        let sql = self.dialect().cost_with_number();
        let row = self.fetch_one(sql, args![number]).await?;
        row.as_ref().map_or(Ok(None), |row| dollars(row, "cost"))
    }

    /// What calls of this time and transcripts that were ordered in it cost, by the number at the other end, the dearest
    /// first.
    pub async fn costs_by_party(&mut self, since: i64, before: i64, limit: i64) -> Result<Vec<PartyCosts>, Error> {
        let sql = "SELECT party, (SELECT name FROM contacts WHERE number = party) AS name,
                   CAST(sum(cost) AS BIGINT) AS cost FROM (
                       SELECT CASE WHEN direction = 'outbound' THEN to_number ELSE from_number END AS party,
                       transcripts.cost_microusd AS cost FROM transcripts LEFT JOIN recordings ON recordings.sid = recording_sid
                       LEFT JOIN calls ON calls.id = recordings.call_id WHERE transcripts.state = 'completed'
                       AND transcripts.created_at >= $1 AND transcripts.created_at < $2
                       UNION ALL SELECT CASE WHEN direction = 'outbound' THEN to_number ELSE from_number END AS party,
                       price_millionths AS cost FROM calls WHERE price_millionths IS NOT NULL AND price_unit = 'USD'
                       AND created_at >= $1 AND created_at < $2) AS spent
                   GROUP BY party HAVING sum(cost) > 0 ORDER BY cost DESC, party LIMIT $3";
        let read = |row: &Row| {
            let cost = Dollars::of_millionths(row.int("cost")?);
            Ok(PartyCosts { number: row.text_if_set("party")?, name: row.text_if_set("name")?, cost })
        };
        self.fetch(sql, args![since, before, limit]).await?.iter().map(read).collect()
    }
}

fn transcript_costs(row: &Row) -> Result<TranscriptCosts, Error> {
    let cost = Dollars::of_millionths(row.int("cost")?);
    Ok(TranscriptCosts { transcripts: row.int("transcripts")?, unknown: row.int("unknown")?, cost })
}

/// Reads an amount that may be unknown.
pub(super) fn dollars(row: &Row, column: &'static str) -> Result<Option<Dollars>, Error> {
    Ok(row.int_if_set(column)?.map(Dollars::of_millionths))
}
