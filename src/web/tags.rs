//! `/tags`: what the operator has filed calls and uploads under, for forms that suggest it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::Query;
use super::paging;
use crate::context::Shared;

/// Tags on one page.
const PAGE: i64 = 1_000;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagList {
    tags: Vec<String>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// The query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// How many are on a page. Without it, there are a thousand.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before: a tag, which may look like an address.
    cursor: String,
}

/// In the order of their names.
pub(super) async fn list(
    State(context): State<Shared>,
    Query(Place { limit, cursor }): Query<Place>,
) -> Result<Response, ApiError> {
    let limit = paging::limit(&limit, PAGE)?;
    let mut tags = context.store.read().await?.tags_after(&cursor, limit + 1).await?;
    let is_more = paging::cut(&mut tags, limit);
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    let next = tags.last().filter(|_| is_more).cloned();
    Ok(Json(TagList { tags, next }).into_response())
}
