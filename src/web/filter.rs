//! The query of `/calls`: which calls, which words, which page.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use url::form_urlencoded;

use super::error::ApiError;
use super::labels;
use crate::model::call::CallState;
use crate::store::{Cursor, Filter, Number};

/// Characters of a date.
const DATE: usize = "2026-11-23".len();

/// The query of the list. Empty parameters are ignored, because a form sends all its fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    /// Words, "phrases" and begi* that were said.
    pub(super) q: String,
    pub(super) state: String,
    /// A number that the call is to or from, or its last digits.
    pub(super) number: String,
    /// `true` if the transcript is checked by ear, or `false`.
    pub(super) checked: String,
    /// The earliest date or time. A page's form sends the first moment of a day of its reader.
    pub(super) since: String,
    /// The latest date or time. A page's form sends the last moment of a day of its reader.
    pub(super) until: String,
    /// The cursor at which the previous page ended.
    pub(super) after: String,
}

impl Search {
    /// Whether nothing restricts the list.
    pub(super) fn is_any(&self) -> bool {
        let Self { q, state, number, checked, since, until, .. } = self;
        [q, state, number, checked, since, until].iter().all(|field| field.trim().is_empty())
    }

    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let any = Filter::default();
        let state = state_named(&self.state)?;
        let since = time("since", &self.since)?.map_or(any.since, |(first, _)| first);
        let before = time("until", &self.until)?.map_or(any.before, |(_, last)| last.saturating_add(1));
        let is_checked = is_checked(&self.checked)?;
        Ok(Filter { state, number: Number::parse(&self.number), is_checked, since, before })
    }

    /// Returns the first moment of the calls that match, if there is one.
    pub(super) fn first(&self) -> Option<Timestamp> {
        time("since", &self.since).ok().flatten().and_then(|(first, _)| Timestamp::from_millisecond(first).ok())
    }

    /// Returns the last moment of the calls that match, if there is one.
    pub(super) fn last(&self) -> Option<Timestamp> {
        time("until", &self.until).ok().flatten().and_then(|(_, last)| Timestamp::from_millisecond(last).ok())
    }

    /// Returns the name of the first field that cannot be read, or an empty name if it is none of the form's.
    pub(super) fn wrong_field(&self) -> &'static str {
        match self {
            Self { state, .. } if state_named(state).is_err() => "state",
            Self { checked, .. } if is_checked(checked).is_err() => "checked",
            Self { since, .. } if time("since", since).is_err() => "since",
            Self { until, .. } if time("until", until).is_err() => "until",
            _ => "",
        }
    }

    /// Returns all states of a call, each with its label.
    pub(super) fn states(&self) -> [(&'static str, &'static str); 11] {
        CallState::ALL.map(|state| (state.as_str(), labels::state(state)))
    }

    /// Returns the address of the page after the one that ends at this cursor.
    pub(super) fn next(&self, after: &str) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix("/calls?".to_owned(), "/calls?".len());
        let Self { q, state, number, checked, since, until, .. } = self;
        let (words, state, number) = (("q", q), ("state", state), ("number", number));
        for (name, value) in [words, state, number, ("checked", checked), ("since", since), ("until", until)] {
            if !value.trim().is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("after", after).finish()
    }
}

fn state_named(name: &str) -> Result<Option<CallState>, ApiError> {
    match name.trim() {
        "" => Ok(None),
        name => CallState::named(name).map(Some).ok_or_else(|| {
            let names = CallState::ALL.map(CallState::as_str).join(", ");
            ApiError::BadRequest(format!("state: expected one of {names}"))
        }),
    }
}

fn is_checked(text: &str) -> Result<Option<bool>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| ApiError::BadRequest("checked: expected true or false".to_owned())),
    }
}

/// Returns the first and the last millisecond of a date in UTC, or twice that of a time.
fn time(name: &str, text: &str) -> Result<Option<(i64, i64)>, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight = |date: Date| date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp().as_millisecond());
    let of_date = || {
        let date: Date = text.parse().ok().filter(|_| text.len() == DATE)?;
        Some((midnight(date)?, midnight(date.checked_add(1.day()).ok()?)? - 1))
    };
    // A query turns the `+` of an offset into a space unless it is written as %2B.
    let of_time = || {
        let with_plus = || text.rsplit_once(' ').and_then(|(time, offset)| format!("{time}+{offset}").parse().ok());
        let at: Timestamp = text.parse().ok().or_else(with_plus)?;
        Some((at.as_millisecond(), at.as_millisecond()))
    };
    let expected = "expected a date such as 2026-11-23, or a time with an offset such as 2026-11-23T00:00:00-08:00";
    of_date().or_else(of_time).map(Some).ok_or_else(|| ApiError::BadRequest(format!("{name}: {expected}")))
}

/// Returns the day in a date or time as it was written, for a date field.
pub(super) fn day(text: &str) -> &str {
    let day = text.trim().get(..DATE).unwrap_or_default();
    if day.parse::<Date>().is_ok() { day } else { "" }
}

/// Parses `<milliseconds>.<id>`.
pub(super) fn cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some(Cursor { created_at: at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(bad_after)
}

pub(super) fn bad_after() -> ApiError {
    ApiError::BadRequest("after: expected the value from next".to_owned())
}
