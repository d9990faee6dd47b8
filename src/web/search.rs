//! `/calls?q=`: full-text search in the transcripts.

use axum::http::HeaderMap;

use super::error::ApiError;
use super::filter::{Search, bad_after};
use super::recordings;
use super::view::{CallList, HitView, NamedNumber};
use crate::context::Shared;
use crate::model::search;

/// Hits on one page. The text of each is searched for its best passage.
const HITS: i64 = 25;

pub(super) async fn hits(context: &Shared, headers: &HeaderMap, search: &Search) -> Result<CallList, ApiError> {
    let after = match search.after.as_str() {
        "" => None,
        after => Some(after.parse().map_err(|_| bad_after())?),
    };
    let (query, filter) = (search::Query::parse(&search.q), search.filter()?);
    let mut conn = context.store.read().await?;
    let since = conn.newest_change().await?;
    let named = conn.named(&query).await?;
    let mut hits = conn.hits(&query, &named, &filter, after, HITS + 1).await?;
    drop(conn);
    let is_more = hits.len() > HITS as usize;
    hits.truncate(HITS as usize);
    let next = hits.last().filter(|_| is_more).map(|last| search.next(&last.rank.to_string()));
    let address = |sid: &str| recordings::address(context, headers, sid);
    let hits = hits.into_iter().map(|hit| HitView::of(hit, address)).collect();
    let contacts = NamedNumber::of_all(named);
    Ok(CallList { calls: None, hits: Some(hits), contacts: Some(contacts), next, since })
}
