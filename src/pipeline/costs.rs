//! What calls and transcripts cost: by month, and of one month or all of them by model and contact.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::Error;
use crate::context::Context;
use crate::store::{CallCosts, PartyCosts, TranscriptCosts};

/// Maximum number of contacts.
const MOST_CONTACTS: i64 = 100;

/// Maximum number of months: fifty years.
const MOST_MONTHS: usize = 600;

/// What the costs of a month, or of all time, are grouped by.
#[derive(Debug)]
pub struct Report {
    /// The newest first. A month without a finished transcript and without a call that has a price is left out.
    pub months: Vec<Month>,
    pub models: Vec<(Option<String>, TranscriptCosts)>,
    pub contacts: Vec<PartyCosts>,
}

/// What a month has cost.
#[derive(Debug)]
pub struct Month {
    /// Its first day.
    pub first: Date,
    pub transcripts: TranscriptCosts,
    /// One for each currency.
    pub calls: Vec<CallCosts>,
}

/// The first day of the month that it is now.
pub fn this_month(context: &Context, zone: &TimeZone) -> Date {
    context.clock.now().to_zoned(zone.clone()).date().first_of_month()
}

/// Returns the costs by month in a time zone, and those of the month with this first day by model and contact, or with `None` of
/// all time.
pub async fn report(context: &Context, zone: &TimeZone, of: Option<Date>) -> Result<Report, Error> {
    let mut conn = context.store.read().await?;
    let mut months = Vec::new();
    if let Some(oldest) = conn.first_cost().await? {
        let oldest = Timestamp::from_millisecond(oldest).unwrap_or(Timestamp::MIN);
        let oldest = oldest.to_zoned(zone.clone()).date().first_of_month();
        let mut first = this_month(context, zone);
        for _ in 0..MOST_MONTHS {
            if first < oldest {
                break;
            }
            let (since, before) = span(first, zone);
            let transcripts = conn.transcript_costs(since, before).await?;
            let calls = conn.call_costs(since, before).await?;
            if transcripts.transcripts > 0 || !calls.is_empty() {
                months.push(Month { first, transcripts, calls });
            }
            first = first.saturating_sub(1.month());
        }
    }
    let (since, before) = of.map_or((i64::MIN, i64::MAX), |first| span(first, zone));
    let models = conn.costs_by_model(since, before).await?;
    let contacts = conn.costs_by_party(since, before, MOST_CONTACTS).await?;
    Ok(Report { months, models, contacts })
}

/// The first moment of a month and that of the next, in milliseconds since 1970.
fn span(first: Date, zone: &TimeZone) -> (i64, i64) {
    let midnight = |date: Date| date.to_zoned(zone.clone()).map_or(i64::MAX, |at| at.timestamp().as_millisecond());
    (midnight(first), midnight(first.saturating_add(1.month())))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_month_begins_at_midnight_of_its_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(-8));
        let at = |time: &str| time.parse::<Timestamp>().unwrap().as_millisecond();
        let expected = (at("2026-12-01T08:00:00Z"), at("2027-01-01T08:00:00Z"));
        assert_eq!(span(date(2026, 12, 1), &zone), expected);
    }
}
