//! The budget of the day: what transcripts that nobody has asked for may cost within 24 hours.

use serde_json::Map;

use super::job::ms;
use super::request::{self, DAY};
use crate::context::Context;
use crate::model::dollars::Dollars;
use crate::model::keyterms::Keyterms;
use crate::store;

/// How much of the budget is taken.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub per_day: Dollars,
    /// What was ordered automatically in the last 24 hours.
    pub ordered: Dollars,
    /// Whether it is taken, or what is left was too little for the newest recording that was left out.
    pub is_reached: bool,
}

/// Returns how much of the budget is taken, or `None` if there is none.
pub async fn state(context: &Context) -> Result<Option<Budget>, store::Error> {
    let Some(per_day) = context.transcript.budget else { return Ok(None) };
    let now = context.clock.now_ms();
    let since = now - ms(DAY);
    let mut conn = context.store.read().await?;
    let ordered = conn.automatic_cost_since(since, now).await?;
    let needed = match conn.newest_over_budget(since).await? {
        Some(seconds) => {
            let parameters = request::parameters(context, Map::new(), &Keyterms::default());
            request::estimate(context, &parameters, seconds).unwrap_or(per_day)
        }
        None => Dollars::of_millionths(1),
    };
    Ok(Some(Budget { per_day, ordered, is_reached: ordered + needed > per_day }))
}
