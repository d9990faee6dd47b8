//! The query of `/items` and `/calls`: which calls, which words, which page; and the same in the bodies of other requests.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Query, wants_page};
use super::{labels, paging};
use crate::model::call::{CallState, Direction, Kind};
use crate::model::dollars::Dollars;
use crate::model::standing::Progress;
use crate::store::{Cursor, Filter, KindFilter, Number, Sort};

/// Characters of a date.
const DATE: usize = "2026-11-23".len();

/// The query of the list. Empty texts restrict nothing, because a form sends all its fields.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// Words, "phrases" and begi* that were said.
    pub(super) q: String,
    #[param(inline, value_type = Option<CallState>)]
    pub(super) state: String,
    /// A number that the call is to or from, or its last digits.
    #[param(example = "+14155551234")]
    pub(super) number: String,
    /// `true` if the transcript is checked by ear, or `false`.
    #[param(value_type = Option<bool>)]
    pub(super) checked: String,
    /// The earliest date or time. A page's form sends the first moment of a day of its reader.
    #[param(example = "2026-11-01")]
    pub(super) since: String,
    /// The latest date or time. A page's form sends the last moment of a day of its reader.
    #[param(example = "2026-11-30")]
    pub(super) until: String,
    /// The name of who is at the other end, or the number.
    pub(super) contact: String,
    /// What the operator has filed them under.
    pub(super) tag: String,
    /// The id of the import that has brought them here.
    #[param(pattern = "^([0-9a-f]{32})?$")]
    pub(super) import: String,
    /// A kind of call, or `call` for all that are no uploads.
    #[param(pattern = "^(|call|message|conversation|upload)$")]
    pub(super) kind: String,
    #[param(inline, value_type = Option<Direction>)]
    pub(super) direction: String,
    #[param(inline, value_type = Option<Progress>)]
    pub(super) progress: String,
    /// The length of its recordings.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) min_seconds: String,
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) max_seconds: String,
    /// US dollars.
    #[param(value_type = Option<f64>, minimum = 0)]
    pub(super) min_cost: String,
    #[param(value_type = Option<f64>, minimum = 0)]
    pub(super) max_cost: String,
    /// `newest`, `oldest`, `longest`, `shortest` or `costliest`, which comes first.
    #[param(pattern = "^(|newest|oldest|longest|shortest|costliest)$")]
    pub(super) sort: String,
    /// How many are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    pub(super) limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    pub(super) cursor: String,
}

/// Which calls somebody wants to delete. JSON refuses empty filters: one that a program has left empty by mistake would delete
/// all calls.
pub(super) struct ToDelete(pub(super) Search);

impl<S: Send + Sync> FromRequestParts<S> for ToDelete {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(search) = Query::from_request_parts(parts, state).await?;
        let query = parts.uri.query().filter(|_| !wants_page(&parts.headers)).unwrap_or_default();
        let mut empty = form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| value.trim().is_empty());
        match empty.next() {
            Some((name, _)) => Err(ApiError::BadRequest(format!("{name}: expected a value, or no such parameter"))),
            None => Ok(Self(search)),
        }
    }
}

/// Which calls are meant, as the parameters of `/calls` say, in the body of another request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Filter)]
pub(super) struct FilterBody {
    /// Words that were said.
    pub(super) q: String,
    state: String,
    number: String,
    #[serde(deserialize_with = "text_or_bool")]
    #[schema(value_type = bool)]
    checked: String,
    since: String,
    until: String,
}

/// Reads `true` as JSON has it, or as a text, which is how a query or a form has it.
fn text_or_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Bool(is_it) => Ok(is_it.to_string()),
        _ => Err(D::Error::custom("expected true or false")),
    }
}

impl FilterBody {
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let Self { state, number, checked, since, until, .. } = self.clone();
        Search { state, number, checked, since, until, ..Search::default() }.filter()
    }
}

/// What a page of a form may leave empty, with its name.
type Field<'s> = (&'static str, &'s String);

impl Search {
    /// The fields that restrict the list, and that order it.
    fn fields(&self) -> [Field<'_>; 18] {
        [
            ("q", &self.q),
            ("state", &self.state),
            ("number", &self.number),
            ("checked", &self.checked),
            ("since", &self.since),
            ("until", &self.until),
            ("contact", &self.contact),
            ("tag", &self.tag),
            ("import", &self.import),
            ("kind", &self.kind),
            ("direction", &self.direction),
            ("progress", &self.progress),
            ("min_seconds", &self.min_seconds),
            ("max_seconds", &self.max_seconds),
            ("min_cost", &self.min_cost),
            ("max_cost", &self.max_cost),
            ("sort", &self.sort),
            ("limit", &self.limit),
        ]
    }

    /// Whether nothing restricts the list.
    pub(super) fn is_any(&self) -> bool {
        self.fields().iter().all(|(name, text)| text.trim().is_empty() || ["sort", "limit"].contains(name))
    }

    /// Returns what the calls must have, but for a contact that is named.
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let any = Filter::default();
        let state = state_named(&self.state)?;
        let since = time("since", &self.since)?.map(|(first, _)| first);
        let last = time("until", &self.until)?.map(|(_, last)| last);
        in_order(since, last, "until: expected a time after since")?;
        let since = since.unwrap_or(any.since);
        let before = last.map_or(any.before, |last| last.saturating_add(1));
        let is_checked = is_checked(&self.checked)?;
        let (kind, direction) = (kind_named(&self.kind)?, direction_named(&self.direction)?);
        let tag = match self.tag.trim() {
            "" => None,
            tag => Some(tag.parse().map_err(|wrong| ApiError::BadRequest(format!("tag: {wrong}")))?),
        };
        let import = match self.import.trim() {
            "" => None,
            import => Some(import.parse().map_err(|wrong| ApiError::BadRequest(format!("import: {wrong}")))?),
        };
        let number = number_named(&self.number)?;
        let progress = progress_named(&self.progress)?;
        let min_seconds = seconds("min_seconds", &self.min_seconds)?;
        let max_seconds = seconds("max_seconds", &self.max_seconds)?;
        let (min_cost, max_cost) = (dollars("min_cost", &self.min_cost)?, dollars("max_cost", &self.max_cost)?);
        in_order(min_seconds, max_seconds, "max_seconds: expected at least min_seconds")?;
        in_order(min_cost, max_cost, "max_cost: expected at least min_cost")?;
        let parties = None;
        Ok(Filter {
            state,
            number,
            is_checked,
            kind,
            direction,
            tag,
            import,
            parties,
            progress,
            min_seconds,
            max_seconds,
            min_cost,
            max_cost,
            since,
            before,
        })
    }

    /// Returns the order of the list, which a cursor names, too.
    pub(super) fn sort(&self) -> Result<Sort, ApiError> {
        let asked = word("sort", &self.sort, sort_named, &SORTS.map(|(word, _)| word))?;
        let of_cursor = self.cursor.split_once('.').and_then(|(sort, _)| sort_named(sort));
        match (asked, of_cursor) {
            (Some(asked), Some(of_cursor)) if asked != of_cursor => {
                Err(ApiError::BadRequest("cursor: it is that of a list in another order".to_owned()))
            }
            (asked, of_cursor) => Ok(asked.or(of_cursor).unwrap_or(Sort::Newest)),
        }
    }

    /// Whether the order is one in which calls keep their places while they go on.
    pub(super) fn is_by_time(&self) -> bool {
        matches!(self.sort(), Ok(Sort::Newest | Sort::Oldest))
    }

    /// Returns how many are on a page.
    pub(super) fn limit(&self, default: i64) -> Result<i64, ApiError> {
        paging::limit(&self.limit, default)
    }

    /// Returns the first moment of the calls that match, if there is one.
    pub(super) fn first(&self) -> Option<Timestamp> {
        time("since", &self.since).ok().flatten().and_then(|(first, _)| Timestamp::from_millisecond(first).ok())
    }

    /// Returns the last moment of the calls that match, if there is one.
    pub(super) fn last(&self) -> Option<Timestamp> {
        time("until", &self.until).ok().flatten().and_then(|(_, last)| Timestamp::from_millisecond(last).ok())
    }

    /// Returns the name of the field that a refusal begins with, or an empty name if it is none of the form's.
    pub(super) fn field_of(&self, refusal: &ApiError) -> &'static str {
        let said = refusal.to_string();
        let begins = |(name, _): &Field<'_>| said.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
        self.fields().into_iter().find(begins).map_or("", |(name, _)| name)
    }

    /// Whether a field is set that the form shows only if somebody asks for it.
    pub(super) fn is_narrow(&self) -> bool {
        let Self { state, kind, direction, contact, tag, min_seconds, max_seconds, min_cost, max_cost, sort, .. } =
            self;
        [state, kind, direction, contact, tag, min_seconds, max_seconds, min_cost, max_cost, sort]
            .iter()
            .any(|field| !field.trim().is_empty())
    }

    /// Whether the list is restricted or ordered by what calls cost, so that it shows that.
    pub(super) fn has_costs(&self) -> bool {
        !self.min_cost.trim().is_empty() || !self.max_cost.trim().is_empty() || self.sort.trim() == "costliest"
    }

    /// What the link to the next page says.
    pub(super) fn onward(&self) -> &'static str {
        match self.sort.trim() {
            "oldest" => "Newer",
            "longest" => "Shorter",
            "shortest" => "Longer",
            "costliest" => "Less costly",
            _ => "Older",
        }
    }

    /// Returns what a call may have come to.
    pub(super) fn progresses(&self) -> [&'static str; 8] {
        Progress::ALL.map(Progress::as_str)
    }

    /// Returns all states of a call, each with its label.
    pub(super) fn states(&self) -> [(&'static str, &'static str); 11] {
        CallState::ALL.map(|state| (state.as_str(), labels::state(state)))
    }

    /// Returns the address of a list with these filters.
    pub(super) fn address(&self, list: &str) -> String {
        let start = format!("{list}?");
        let length = start.len();
        let fields = self.fields().into_iter().filter(|(_, value)| !value.trim().is_empty());
        form_urlencoded::Serializer::for_suffix(start, length).extend_pairs(fields).finish()
    }

    /// Returns the address at which all that match are deleted, whatever their order and number.
    pub(super) fn deletion(&self) -> String {
        let (sort, limit) = (String::new(), String::new());
        Self { sort, limit, ..self.clone() }.address("/items/delete")
    }

    /// Returns the address at which all that match are exported in this format. A list of calls has no uploads, unless a search
    /// finds them. An order that no export has is left out.
    pub(super) fn export(&self, list: &str, format: &str) -> String {
        let kind = if list == "/calls" && self.q.trim().is_empty() && self.kind.trim().is_empty() {
            "call"
        } else {
            &self.kind
        };
        let sort = if self.is_by_time() { self.sort.clone() } else { String::new() };
        let of_all = Self { kind: kind.to_owned(), sort, limit: String::new(), ..self.clone() };
        let address = of_all.address("/export");
        format!("{address}{}format={format}", if address.ends_with('?') { "" } else { "&" })
    }

    /// Returns the address of the page after the one that ends at this cursor.
    pub(super) fn next(&self, list: &str, cursor: &str) -> String {
        let address = self.address(list);
        let is_first = address.ends_with('?');
        format!("{address}{}after={cursor}", if is_first { "" } else { "&" })
    }
}

/// The orders of the list.
const SORTS: [(&str, Sort); 5] = [
    ("newest", Sort::Newest),
    ("oldest", Sort::Oldest),
    ("longest", Sort::Longest),
    ("shortest", Sort::Shortest),
    ("costliest", Sort::Costliest),
];

fn sort_named(text: &str) -> Option<Sort> {
    SORTS.into_iter().find(|(word, _)| *word == text).map(|(_, sort)| sort)
}

/// Parses one of these words.
fn word<T>(name: &str, text: &str, named: fn(&str) -> Option<T>, all: &[&str]) -> Result<Option<T>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => match named(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ApiError::BadRequest(format!("{name}: expected one of {}", all.join(", ")))),
        },
    }
}

fn state_named(text: &str) -> Result<Option<CallState>, ApiError> {
    word("state", text, CallState::named, &CallState::ALL.map(CallState::as_str))
}

fn progress_named(text: &str) -> Result<Option<Progress>, ApiError> {
    word("progress", text, Progress::named, &Progress::ALL.map(Progress::as_str))
}

/// Fails if the end of a range is before its beginning.
pub(super) fn in_order<T: PartialOrd>(first: Option<T>, last: Option<T>, why: &str) -> Result<(), ApiError> {
    match (first, last) {
        (Some(first), Some(last)) if last < first => Err(ApiError::BadRequest(why.to_owned())),
        _ => Ok(()),
    }
}

/// A number or its last digits, or an address such as `sip:alice@example.com`.
pub(super) fn number_named(text: &str) -> Result<Option<Number>, ApiError> {
    let expected = "number: expected a number, such as +14155551234, or its last digits";
    match Number::parse(text) {
        // Twilio has words in place of some numbers, such as `anonymous`.
        Some(_) if !text.contains(char::is_alphanumeric) => Err(ApiError::BadRequest(expected.to_owned())),
        number => Ok(number),
    }
}

fn direction_named(text: &str) -> Result<Option<Direction>, ApiError> {
    word("direction", text, Direction::named, &Direction::ALL.map(Direction::as_str))
}

/// A kind, or `call` for those that are no uploads.
fn kind_named(text: &str) -> Result<Option<KindFilter>, ApiError> {
    let named = |word: &str| match word {
        "call" => Some(KindFilter::NoUploads),
        word => Kind::named(word).map(KindFilter::Only),
    };
    let [message, conversation, upload] = Kind::ALL.map(Kind::as_str);
    word("kind", text, named, &["call", message, conversation, upload])
}

fn seconds(name: &str, text: &str) -> Result<Option<i64>, ApiError> {
    whole(name, text, 0..=i64::MAX, "whole seconds")
}

/// Parses an amount of US dollars.
fn dollars(name: &str, text: &str) -> Result<Option<Dollars>, ApiError> {
    let text = text.trim().trim_start_matches('$');
    let read = || Some(text.parse::<f64>().ok()?).filter(|amount| amount.is_finite() && *amount >= 0.0);
    match text {
        "" => Ok(None),
        _ => match read() {
            Some(amount) => Ok(Some(Dollars::of(amount))),
            None => Err(ApiError::BadRequest(format!("{name}: expected US dollars, such as 0.25"))),
        },
    }
}

/// Parses a whole number within a range.
fn whole(name: &str, text: &str, range: RangeInclusive<i64>, expected: &str) -> Result<Option<i64>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::BadRequest(format!("{name}: expected {expected}"))),
        },
    }
}

fn is_checked(text: &str) -> Result<Option<bool>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| ApiError::BadRequest("checked: expected true or false".to_owned())),
    }
}

/// Returns the first and the last millisecond of a date in UTC, or twice that of a time.
pub(super) fn time(name: &str, text: &str) -> Result<Option<(i64, i64)>, ApiError> {
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

/// Writes where a page of a list in this order ends: `longest.<key>.<id>`, without the order for the newest first.
pub(super) fn written(Cursor { key, id }: &Cursor, sort: Sort) -> String {
    match SORTS.into_iter().find(|(_, one)| *one == sort && sort != Sort::Newest) {
        Some((word, _)) => format!("{word}.{key}.{id}"),
        None => format!("{key}.{id}"),
    }
}

/// Parses what [`written`] has written.
pub(super) fn cursor(text: &str, sort: Sort) -> Result<Cursor, ApiError> {
    let read = || {
        let text = match text.split_once('.') {
            Some((word, rest)) if sort_named(word) == Some(sort) => rest,
            _ if sort == Sort::Newest => text,
            _ => return None,
        };
        let (at, id) = text.split_once('.')?;
        Some(Cursor { key: at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(bad_after)
}

pub(super) fn bad_after() -> ApiError {
    ApiError::BadRequest("cursor: expected the `next` of the page before".to_owned())
}
