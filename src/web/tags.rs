//! `/tags`: what the operator has filed calls and uploads under, for forms that suggest it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{NoParameters, Query};
use crate::context::Shared;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagList {
    tags: Vec<String>,
}

/// In the order of their names.
pub(super) async fn list(State(context): State<Shared>, _: Query<NoParameters>) -> Result<Response, ApiError> {
    let tags = context.store.read().await?.tags().await?;
    let tags = tags.iter().map(ToString::to_string).collect();
    Ok(Json(TagList { tags }).into_response())
}
