//! Filters of the lists of calls and recordings.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::account::{Call, Recording};
use super::form::{self, Param};
use super::rest_exception::{RestException, bad_request};

const SECONDS_PER_DAY: i64 = 86_400;

const STATUSES: [&str; 8] =
    ["queued", "ringing", "in-progress", "canceled", "completed", "failed", "busy", "no-answer"];

pub(super) struct Filters<'a> {
    query: &'a [Param],
    started: Span,
    ended: Span,
    created: Span,
}

/// The seconds that a filter by time lets through, first and last included; `None` without such a filter.
type Span = Option<(i64, i64)>;

impl<'a> Filters<'a> {
    pub(super) fn parse(query: &'a [Param]) -> Result<Self, RestException> {
        if form::value(query, "Status").is_some_and(|status| !status.is_empty() && !STATUSES.contains(&status)) {
            return Err(bad_request(20001, format!("Status must be one of: {}", STATUSES.join(", "))));
        }
        check_soft_deleted(query)?;
        let [started, ended, created] = ["StartTime", "EndTime", "DateCreated"].map(|name| span(query, name));
        Ok(Self { query, started: started?, ended: ended?, created: created? })
    }

    pub(super) fn let_call(&self, call: &Call) -> bool {
        self.is("To", Some(&call.to))
            && self.is("From", Some(&call.from))
            && self.is("Status", Some(call.status))
            && self.is("ParentCallSid", call.parent.as_deref())
            && is_within(self.started, call.started)
            && is_within(self.ended, call.ended)
    }

    /// Does not look at the call: the recordings of a call are found by an index.
    pub(super) fn let_recording(&self, recording: &Recording) -> bool {
        // No recording here is one of a conference.
        self.is("ConferenceSid", None) && is_within(self.created, Some(recording.created))
    }

    /// Returns whether the filter of this name lets this value through. An empty filter lets everything through.
    fn is(&self, name: &str, value: Option<&str>) -> bool {
        form::value(self.query, name).filter(|wanted| !wanted.is_empty()).is_none_or(|wanted| Some(wanted) == value)
    }
}

/// Refuses to show deleted recordings: the sandbox keeps none.
pub(super) fn check_soft_deleted(query: &[Param]) -> Result<(), RestException> {
    match form::value(query, "IncludeSoftDeleted") {
        None | Some("" | "false") => Ok(()),
        Some("true") => Err(bad_request(20001, "The sandbox does not keep deleted recordings")),
        Some(_) => Err(bad_request(20001, "IncludeSoftDeleted must be true or false")),
    }
}

/// Parses the filters `name` (on that day, in UTC), `name<` (until then) and `name>` (from then on), each with a date or
/// a time.
fn span(query: &[Param], name: &str) -> Result<Span, RestException> {
    let mut span = None;
    for (key, text) in query.iter().filter(|(_, text)| !text.is_empty()) {
        let Some(relation @ ("" | "<" | ">")) = key.strip_prefix(name) else { continue };
        let Some(second) = second(text) else {
            return Err(bad_request(20001, format!("{key} is neither a date nor a time: {text}")));
        };
        let (first, last) = span.get_or_insert((i64::MIN, i64::MAX));
        match relation {
            "<" => *last = second.min(*last),
            ">" => *first = second.max(*first),
            _ => {
                let midnight = second - second.rem_euclid(SECONDS_PER_DAY);
                *first = midnight.max(*first);
                *last = (midnight + SECONDS_PER_DAY - 1).min(*last);
            }
        }
    }
    Ok(span)
}

/// Reads a date, which is its midnight, or a time, which is in UTC unless it says otherwise.
fn second(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Twilio shows times in whole seconds.
fn is_within(span: Span, time: Option<Timestamp>) -> bool {
    let Some((first, last)) = span else { return true };
    time.is_some_and(|time| (first..=last).contains(&time.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(query: &str, time: &str) -> bool {
        is_within(span(&form::parse(query.as_bytes()), "StartTime").unwrap(), Some(time.parse().unwrap()))
    }

    #[test]
    fn a_date_is_a_day_or_its_midnight_and_a_time_is_a_second() {
        for (query, time, expected) in [
            ("StartTime=2026-11-29", "2026-11-29T23:59:59.9Z", true),
            ("StartTime=2026-11-29", "2026-11-30T00:00:00Z", false),
            // Twilio's Python library writes a date as its midnight.
            ("StartTime=2026-11-29T00:00:00Z", "2026-11-29T12:00:00Z", true),
            ("StartTime<=2026-11-29", "2026-11-28T23:59:59Z", true),
            ("StartTime<=2026-11-29", "2026-11-29T00:00:01Z", false),
            ("StartTime%3E=2026-11-29", "2026-11-29T00:00:00.5Z", true),
            ("StartTime%3E=2026-11-29", "2026-11-28T23:59:59Z", false),
            ("StartTime>=2026-11-29T10:00:00Z&StartTime<=2026-11-29T11:00:00Z", "2026-11-29T10:30:00Z", true),
            ("StartTime>=2026-11-29T10:00:00Z&StartTime<=2026-11-29T11:00:00Z", "2026-11-29T11:00:01Z", false),
            ("StartTime<=2026-11-29T11:00:00%2B02:00", "2026-11-29T10:00:00Z", false),
        ] {
            assert_eq!(lets(query, time), expected, "{query} {time}");
        }
        assert!(!is_within(span(&form::parse(b"StartTime<=2026-11-29"), "StartTime").unwrap(), None));
        for wrong in ["yesterday", "2026-13-01", "Sun, 29 Nov 2026"] {
            let query = [("StartTime<".to_owned(), wrong.to_owned())];
            assert_eq!(span(&query, "StartTime").unwrap_err().code, 20001, "{wrong}");
        }
    }
}
