//! `/items` and `/calls`: calls and uploads, as a page or as JSON by `Accept`. `/calls` has no uploads, unless a
//! search finds them.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Query, wants_page};
use super::filter::{Search, bad_after, cursor, written};
use super::forms::Refused;
use super::list_page::CallsPage;
use super::pages::Notices;
use super::view::{CallDetails, CallList, CallRow, HitView, NamedNumber};
use super::{forms, recordings, response};
use crate::context::Shared;
use crate::model::call::{Call, Kind};
use crate::model::phone::PhoneNumber;
use crate::model::search::{self, Piece};
use crate::store::{Conn, Cursor, Filter, Hit, KindFilter, Listed, Named, Number, Sort};

/// Calls on one page of the list.
const PAGE: i64 = 50;

/// Hits on one page. The text of each is searched for its best passage.
const HITS: i64 = 25;

/// Calls that an export reads at once.
const AT_ONCE: i64 = 200;

/// Hits that are read at once, where not each of them is listed.
const BATCH: i64 = 500;

/// Hits that one request reads at most, so that it takes no longer however many there are. The page may then have fewer than
/// its limit, and the next one goes on there.
const MOST_READ: usize = 5_000;

/// Which of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Calls,
    Items,
}

impl List {
    /// Its address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Calls => "/calls",
            Self::Items => "/items",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Calls => "Calls",
            Self::Items => "Calls and uploads",
        }
    }
}

pub(super) async fn calls(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, ApiError> {
    answer(&context, &headers, search, List::Calls).await
}

pub(super) async fn items(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, ApiError> {
    answer(&context, &headers, search, List::Items).await
}

/// Lists calls, or hits if `q` searches transcripts.
async fn answer(context: &Shared, headers: &HeaderMap, search: Search, list: List) -> Result<Response, ApiError> {
    let is_page = wants_page(headers);
    let found = if search.q.trim().is_empty() {
        rows(context, &search, list).await
    } else {
        hits(context, headers, &search, list).await
    };
    let (is_older, heading, path) = (!search.cursor.is_empty(), list.heading(), list.path());
    match found {
        Ok(page) if is_page => Ok(response::page(
            CallsPage {
                notices: Notices::of_list(context).await?,
                heading,
                path,
                search,
                page,
                refused: None,
                is_older,
            }
            .render(),
        )),
        Ok(page) if list == List::Items => Ok(Json(as_items(&page)).into_response()),
        Ok(page) => Ok(Json(page).into_response()),
        Err(error @ ApiError::BadRequest(_)) if is_page => {
            let (field, context) = (search.field_of(&error), Shared::clone(context));
            Ok(forms::again(error, move |problem| {
                let (notices, search, page) = (Notices::of(&context), search.clone(), CallList::default());
                let refused = Some(Refused { field, problem });
                response::page(CallsPage { notices, heading, path, search, page, refused, is_older }.render())
            }))
        }
        Err(error) => Err(error),
    }
}

/// Returns the calls that match, in the order that is asked for.
pub(super) async fn rows(context: &Shared, search: &Search, list: List) -> Result<CallList, ApiError> {
    let (limit, sort) = (search.limit(PAGE)?, search.sort()?);
    let after = Some(search.cursor.as_str()).filter(|after| !after.is_empty());
    let after = after.map(|after| cursor(after, sort)).transpose()?;
    let mut conn = context.store.read().await?;
    // First, so that the page is notified of every change from here on.
    let since = conn.newest_change().await?;
    let filter = filter_in(&mut conn, search, list).await?;
    let Listed { calls, next } = conn.list(&filter, sort, after.as_ref(), limit).await?;
    let rows = rows_of(&mut conn, &calls).await?;
    let cursor = next.map(|next| written(&next, sort));
    let next = cursor.as_ref().map(|cursor| search.next(list.path(), cursor));
    Ok(CallList { calls: Some(rows), hits: None, contacts: None, next, cursor, since })
}

/// Reads what the list shows of these calls.
async fn rows_of(conn: &mut Conn, calls: &[Call]) -> Result<Vec<CallRow>, ApiError> {
    let summaries = conn.call_summaries(calls).await?;
    let has_failed = |call: &&Call| summaries.get(call.id.as_str()).is_some_and(|one| one.summary.has_failed);
    let failed: Vec<_> = calls.iter().filter(has_failed).map(|call| &call.id).collect();
    let failures = conn.failures(&failed).await?;
    let row = |call: &Call| {
        let id = call.id.as_str();
        CallRow::of(call, summaries.get(id).cloned().unwrap_or_default(), failures.get(id).cloned())
    };
    Ok(calls.iter().map(row).collect())
}

/// Returns which calls a list has.
pub(super) async fn filter(context: &Shared, search: &Search, list: List) -> Result<Filter, ApiError> {
    filter_in(&mut context.store.read().await?, search, list).await
}

async fn filter_in(conn: &mut Conn, search: &Search, list: List) -> Result<Filter, ApiError> {
    let mut filter = search.filter()?;
    if let Some(tag) = &filter.tag {
        filter.tag = Some(conn.known_tag(tag).await?);
    }
    // An upload has no state of Twilio's. What was said in one is found by either list.
    if filter.state.is_some() && filter.kind == Some(KindFilter::Only(Kind::Upload)) {
        return Err(ApiError::BadRequest("state: uploads have none; filter them by progress".to_owned()));
    }
    if filter.state.is_some() || list == List::Calls && search.q.trim().is_empty() {
        filter.kind = filter.kind.or(Some(KindFilter::NoUploads));
    }
    let contact = search.contact.trim();
    if contact.is_empty() {
        return Ok(filter);
    }
    // A query turns the `+` of a number into a space unless it is written as %2B.
    let number = format!("+{}", contact.trim_start_matches('+')).parse::<PhoneNumber>();
    let parties: Vec<String> = match number {
        Ok(number) => vec![number.to_string()],
        Err(_) => {
            let named = conn.named(&search::Query::phrase(contact)).await?;
            if named.iter().any(Named::may_miss_contacts) {
                return Err(ApiError::BadRequest("contact: too many contacts have this name".to_owned()));
            }
            NamedNumber::of_all(named).into_iter().map(|named| named.number).collect()
        }
    };
    if parties.is_empty() {
        // Nobody has this name, so no call needs to be read.
        filter.before = filter.since;
    }
    if let ([only], None) = (&parties[..], &filter.number) {
        // The index finds it. The number may also be at the near end of a call.
        filter.number = Some(Number::Whole(only.clone()));
    }
    filter.parties = Some(parties);
    Ok(filter)
}

/// Searches the transcripts.
async fn hits(context: &Shared, headers: &HeaderMap, search: &Search, list: List) -> Result<CallList, ApiError> {
    let after = match search.cursor.as_str() {
        "" => None,
        after => Some(after.parse().map_err(|_| bad_after())?),
    };
    let query = query(search)?;
    let limit = search.limit(HITS)?;
    let mut conn = context.store.read().await?;
    let since = conn.newest_change().await?;
    let filter = filter_in(&mut conn, search, list).await?;
    let named = conn.named(&query).await?;
    let (found, end) = found(&mut conn, (&query, &named), &filter, after, limit, BATCH).await?;
    drop(conn);
    let cursor = end.map(|rank| rank.to_string());
    let next = cursor.as_ref().map(|cursor| search.next(list.path(), cursor));
    let address = |sid: &str| recordings::address(context, headers, sid);
    let hits = found.into_iter().map(|(hit, row)| HitView::of(hit, row, address)).collect();
    let contacts = NamedNumber::of_all(named);
    Ok(CallList { calls: None, hits: Some(hits), contacts: Some(contacts), next, cursor, since })
}

/// Returns what was said, which is found in one order only.
fn query(search: &Search) -> Result<search::Query, ApiError> {
    if search.sort()? != Sort::Newest {
        return Err(ApiError::BadRequest("sort: what was said is found newest first; choose that order".to_owned()));
    }
    Ok(search::Query::parse(&search.q))
}

/// Returns hits with their calls as the list shows them, and where they end if there are more. Reads no more than `most_at_once` at
/// once, unless the limit is higher.
async fn found(
    conn: &mut Conn,
    (query, named): (&search::Query, &[Named]),
    filter: &Filter,
    mut after: Option<i64>,
    limit: i64,
    most_at_once: i64,
) -> Result<(Vec<(Hit, Option<CallRow>)>, Option<i64>), ApiError> {
    let is_all_taken = filter.is_indexed();
    // Most hits are taken, as a rule. Where they are not, ever more are read at once.
    let mut at_once = limit + 1;
    let (mut found, mut read) = (Vec::new(), 0);
    loop {
        let some = conn.hits(query, named, filter, after, at_once).await?;
        let is_last = (some.len() as i64) < at_once;
        read += some.len();
        let calls: Vec<Call> = some.iter().filter_map(|hit| hit.call.clone()).collect();
        let mut rows_of_calls = rows_of(conn, &calls).await?.into_iter();
        for hit in some {
            if found.len() as i64 == limit {
                return Ok((found, after));
            }
            after = Some(hit.rank);
            let row = hit.call.as_ref().and_then(|_| rows_of_calls.next());
            let is_taken = match (&hit.call, &row) {
                (Some(call), Some(row)) => filter.takes(call, row.progress, row.duration_seconds, row.cost_usd),
                _ => is_all_taken,
            };
            if is_taken {
                found.push((hit, row));
            }
        }
        if is_last || read >= MOST_READ {
            return Ok((found, after.filter(|_| !is_last)));
        }
        at_once = (at_once * 4).min(most_at_once);
    }
}

/// All calls and uploads that match, in their order, a page at a time.
pub(super) struct Pages {
    filter: Filter,
    sort: Sort,
    /// What was said in them, if that is restricted.
    query: Option<search::Query>,
    /// Where the next page begins, or `None` after the last one.
    next: Option<Start>,
}

/// Where a page begins.
enum Start {
    First,
    AfterCall(Cursor),
    AfterHit(i64),
}

impl Pages {
    /// Fails where the list does.
    pub(super) async fn of(context: &Shared, search: &Search) -> Result<Self, ApiError> {
        let query = if search.q.trim().is_empty() { None } else { Some(query(search)?) };
        let filter = filter(context, search, List::Items).await?;
        Ok(Self { filter, sort: search.sort()?, query, next: Some(Start::First) })
    }

    /// Reads the next page, which may be empty. `None` after the last one.
    pub(super) async fn next(&mut self, context: &Shared) -> Result<Option<Vec<(Call, CallRow)>>, ApiError> {
        let Some(start) = self.next.take() else { return Ok(None) };
        let mut conn = context.store.read().await?;
        let Some(query) = &self.query else {
            let after = if let Start::AfterCall(after) = &start { Some(after) } else { None };
            let Listed { calls, next } = conn.list(&self.filter, self.sort, after, AT_ONCE).await?;
            self.next = next.map(Start::AfterCall);
            let rows = rows_of(&mut conn, &calls).await?;
            return Ok(Some(calls.into_iter().zip(rows).collect()));
        };
        let after = if let Start::AfterHit(after) = start { Some(after) } else { None };
        let named = conn.named(query).await?;
        // Each hit has its whole text.
        let (found, end) = found(&mut conn, (query, &named), &self.filter, after, HITS, HITS + 1).await?;
        self.next = end.map(Start::AfterHit);
        Ok(Some(found.into_iter().filter_map(|(hit, row)| Some((hit.call?, row?))).collect()))
    }
}

/// A row of `/items`: the call, made an item by [`as_item`].
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
pub(super) struct ItemRow {
    /// `message` or `conversation`, if `kind` is `call`.
    #[schema(value_type = Option<Kind>, inline)]
    call_kind: Option<&'static str>,
    #[serde(flatten)]
    row: CallRow,
    /// The passage that `q` has found.
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Vec<Piece>>,
    /// When the first match is said, in milliseconds from the start of the audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<i64>,
    /// The transcript that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript_id: Option<String>,
}

/// What `/items/<id>` answers, which [`as_item`] makes, too.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemDetails {
    /// `message` or `conversation`, if `kind` is `call`.
    #[schema(value_type = Option<Kind>, inline)]
    call_kind: Option<&'static str>,
    #[serde(flatten)]
    details: CallDetails,
}

/// A page of `/items`.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemList {
    #[schema(value_type = Vec<ItemRow>)]
    items: Vec<Value>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

fn as_items(page: &CallList) -> ItemList {
    let found = |hit: &HitView| {
        let mut item = item(hit.row.as_ref()?);
        item["snippet"] = json!(hit.snippet);
        item["at_ms"] = json!(hit.at_ms);
        item["transcript_id"] = json!(hit.transcript_id);
        Some(item)
    };
    let items: Vec<Value> = match &page.hits {
        Some(hits) => hits.iter().filter_map(found).collect(),
        None => page.rows().iter().map(item).collect(),
    };
    ItemList { items, next: page.cursor.clone() }
}

/// A call as an item: its `kind` is `call` or `upload`, and what it is for is its `call_kind`.
pub(super) fn item(row: &CallRow) -> Value {
    as_item(json!(row))
}

/// The JSON of a call as that of an item.
pub(super) fn as_item(mut call: Value) -> Value {
    if call["kind"] != Kind::Upload.as_str() {
        call["call_kind"] = call["kind"].take();
        call["kind"] = json!("call");
    }
    call
}
