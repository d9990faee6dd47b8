//! `/items/deletions?…`: the receipt of a deletion of many, as its address has it, and how much of it is still to come. The page
//! updates until all is gone.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Query, wants_page};
use super::pages::Notices;
use super::response::page;
use crate::context::Shared;
use crate::model::job::JobKind;

/// How much a deletion was to delete where, as the address of its page has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Counts {
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) calls: usize,
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) uploads: usize,
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) recordings: usize,
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) transcripts: usize,
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) twilio_calls: usize,
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) twilio_recordings: usize,
    /// Those that could not be deleted then.
    #[serde(deserialize_with = "number")]
    #[param(value_type = Option<usize>)]
    pub(super) left: usize,
}

/// Reads a number as a query has it.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("expected a number"))
}

/// Seconds until a browser without scripts reloads.
const REFRESH: u64 = 5;

/// Deletions of all requests.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletionsView {
    /// How many are not finished.
    deleting: i64,
    /// How many have failed.
    failed: i64,
}

#[derive(Template)]
#[template(path = "deletions.html", config = "src/web/pages/askama.toml")]
struct DeletionsPage {
    notices: Notices,
    counts: Counts,
    /// Whether there is an archive, which may have copies of the recordings.
    has_archive: bool,
    /// Deletions of this and of other requests that are not finished, and that have failed.
    open: i64,
    failed: i64,
    since: i64,
    refresh: u64,
}

impl Counts {
    /// The address of the page that follows the deletion.
    pub(super) fn address(&self) -> String {
        format!("/items/deletions?{}", serde_urlencoded::to_string(self).unwrap_or_default())
    }
}

/// Tells how many deletions are not finished, and how many have failed.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(counts): Query<Counts>,
) -> Result<Response, ApiError> {
    let mut conn = context.store.read().await?;
    let since = conn.newest_change().await?;
    let (open, failed) =
        (conn.count_open_jobs(JobKind::Deletion).await?, conn.count_failed_jobs(JobKind::Deletion).await?);
    drop(conn);
    if !wants_page(&headers) {
        return Ok(Json(DeletionsView { deleting: open, failed }).into_response());
    }
    let notices = Notices::of(&context);
    let has_archive = context.archive.is_some();
    Ok(page(DeletionsPage { notices, counts, has_archive, open, failed, since, refresh: REFRESH }.render()))
}
