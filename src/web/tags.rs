//! `/tags`: what the operator has filed calls and uploads under, for forms that suggest it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::extract::{NoParameters, Query};
use crate::context::Shared;

pub(super) async fn list(State(context): State<Shared>, _: Query<NoParameters>) -> Result<Response, ApiError> {
    let tags = context.store.read().await?.tags().await?;
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    Ok(Json(serde_json::json!({ "tags": tags })).into_response())
}
