//! The list of transcripts, newest first, in pages.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::emulator::AssemblyAi;
use super::error::{JsonResponse, bad_request};
use super::transcript::Transcript;

pub(super) async fn page(
    State(assemblyai): State<AssemblyAi>,
    Query(query): Query<HashMap<String, String>>,
) -> JsonResponse {
    let limit = match query.get("limit").map(|limit| limit.parse()) {
        None => 10,
        Some(Ok(limit @ 1..=200)) => limit,
        Some(_) => return Err(bad_request("\"limit\" should be an integer from 1 to 200")),
    };
    let status = query.get("status");
    if status.is_some_and(|status| !["queued", "processing", "completed", "error"].contains(&status.as_str())) {
        return Err(bad_request("\"status\" should be one of: queued, processing, completed, error"));
    }

    if query.get("created_on").is_some_and(|day| day.parse::<jiff::civil::Date>().is_err()) {
        return Err(bad_request("\"created_on\" should be a date"));
    }
    let only_throttled = match query.get("throttled_only").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad_request("\"throttled_only\" should be a boolean")),
    };

    let account = assemblyai.account();
    let serial = |cursor: &str| match query.get(cursor) {
        None => Ok(None),
        Some(id) => match account.transcripts.serial(id) {
            Some(serial) => Ok(Some(serial)),
            None => Err(bad_request(format!("\"{cursor}\" is not the id of a transcript"))),
        },
    };
    let (after, before) = (serial("after_id")?, serial("before_id")?);
    let matching: Vec<(u64, &Transcript)> = account
        .transcripts
        .iter()
        .filter(|(_, transcript)| status.is_none_or(|status| transcript.status() == status))
        // No transcript here waits for others to end.
        .filter(|_| !only_throttled)
        .filter(|(_, transcript)| query.get("created_on").is_none_or(|day| transcript.created.starts_with(day)))
        .collect();
    let oldest = after.map_or(0, |after| matching.partition_point(|(serial, _)| *serial <= after));
    let newest = before.map_or(matching.len(), |before| matching.partition_point(|(serial, _)| *serial < before));
    let oldest = oldest.min(newest);
    // With `after_id` alone, the page holds the transcripts next to it; otherwise the newest ones.
    let (oldest, newest) = match (after, before) {
        (Some(_), None) => (oldest, newest.min(oldest + limit)),
        _ => (oldest.max(newest.saturating_sub(limit)), newest),
    };

    let url = |cursor: Option<(&str, &str)>| {
        let mut query_of_page = form_urlencoded::Serializer::new(String::new());
        query_of_page.append_pair("limit", &limit.to_string());
        for name in ["status", "created_on", "throttled_only"] {
            query.get(name).map(|value| query_of_page.append_pair(name, value));
        }
        cursor.map(|(name, id)| query_of_page.append_pair(name, id));
        format!("{}/v2/transcript?{}", assemblyai.url(), query_of_page.finish())
    };
    let page = &matching[oldest..newest];
    let older = page.first().filter(|_| oldest > 0);
    let newer = page.last().filter(|_| newest < matching.len());
    let current = ["before_id", "after_id"].into_iter().find_map(|name| Some((name, query.get(name)?.as_str())));
    Ok(Json(json!({
        "page_details": {
            "limit": limit,
            "result_count": page.len(),
            "current_url": url(current),
            "prev_url": older.map(|(_, transcript)| url(Some(("before_id", &transcript.id)))),
            "next_url": newer.map(|(_, transcript)| url(Some(("after_id", &transcript.id)))),
        },
        "transcripts": page.iter().rev().map(|(_, transcript)| item(&assemblyai, transcript)).collect::<Vec<_>>(),
    })))
}

fn item(assemblyai: &AssemblyAi, transcript: &Transcript) -> Value {
    json!({
        "id": transcript.id,
        "resource_url": format!("{}/v2/transcript/{}", assemblyai.url(), transcript.id),
        "status": transcript.status(),
        "created": transcript.created,
        "completed": transcript.completed,
        "audio_url": transcript.field("audio_url"),
        "error": transcript.field("error"),
    })
}
