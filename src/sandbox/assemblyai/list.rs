//! The list of transcripts, newest first, in pages.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::transcript::Transcript;
use super::{AssemblyAi, Refusal};

pub(super) async fn page(
    State(vendor): State<AssemblyAi>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refusal> {
    let limit = match query.get("limit").map(|limit| limit.parse()) {
        None => 10,
        Some(Ok(limit @ 1..=200)) => limit,
        Some(_) => return Err(Refusal::bad("\"limit\" should be an integer from 1 to 200")),
    };
    let status = query.get("status");
    if status.is_some_and(|status| !["queued", "processing", "completed", "error"].contains(&status.as_str())) {
        return Err(Refusal::bad("\"status\" should be one of: queued, processing, completed, error"));
    }

    let account = vendor.account();
    let place = |cursor: &str| match query.get(cursor) {
        None => Ok(None),
        Some(id) => match account.transcripts.place(id) {
            Some(place) => Ok(Some(place)),
            None => Err(Refusal::bad(format!("\"{cursor}\" is not the id of a transcript"))),
        },
    };
    let (after, before) = (place("after_id")?, place("before_id")?);
    let wanted: Vec<(u64, &Transcript)> = account
        .transcripts
        .iter()
        .filter(|(_, transcript)| status.is_none_or(|status| transcript.status() == status))
        .filter(|(_, transcript)| query.get("created_on").is_none_or(|day| transcript.created.starts_with(day)))
        .collect();
    let oldest = after.map_or(0, |after| wanted.partition_point(|(place, _)| *place <= after));
    let newest = before.map_or(wanted.len(), |before| wanted.partition_point(|(place, _)| *place < before));
    let oldest = oldest.min(newest);
    // A page that goes forward from `after_id` holds the ones next to it; any other page holds the newest.
    let (oldest, newest) = match (after, before) {
        (Some(_), None) => (oldest, newest.min(oldest + limit)),
        _ => (oldest.max(newest.saturating_sub(limit)), newest),
    };

    let url = |cursor: Option<(&str, &str)>| {
        let mut query_of_page = form_urlencoded::Serializer::new(String::new());
        query_of_page.append_pair("limit", &limit.to_string());
        for name in ["status", "created_on"] {
            query.get(name).map(|value| query_of_page.append_pair(name, value));
        }
        cursor.map(|(name, id)| query_of_page.append_pair(name, id));
        format!("{}/v2/transcript?{}", vendor.url(), query_of_page.finish())
    };
    let page = &wanted[oldest..newest];
    let older = page.first().filter(|_| oldest > 0);
    let newer = page.last().filter(|_| newest < wanted.len());
    let current = ["before_id", "after_id"].into_iter().find_map(|name| Some((name, query.get(name)?.as_str())));
    Ok(Json(json!({
        "page_details": {
            "limit": limit,
            "result_count": page.len(),
            "current_url": url(current),
            "prev_url": older.map(|(_, transcript)| url(Some(("before_id", &transcript.id)))),
            "next_url": newer.map(|(_, transcript)| url(Some(("after_id", &transcript.id)))),
        },
        "transcripts": page.iter().rev().map(|(_, transcript)| item(&vendor, transcript)).collect::<Vec<_>>(),
    })))
}

fn item(vendor: &AssemblyAi, transcript: &Transcript) -> Value {
    json!({
        "id": transcript.id,
        "resource_url": format!("{}/v2/transcript/{}", vendor.url(), transcript.id),
        "status": transcript.status(),
        "created": transcript.created,
        "completed": transcript.completed,
        "audio_url": transcript.field("audio_url"),
        "error": transcript.field("error"),
    })
}
