//! `GET /transcript/<id>/corrections/<correction>/alike`: where else the same was heard as where somebody has corrected it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{NoParameters, Query};
use crate::context::Shared;
use crate::model::replace::Replacing;
use crate::model::transcript::TranscriptId;
use crate::pipeline::replace::{self, Alike};

/// What was heard and what stands there now, how often the same was heard elsewhere, and where that is corrected.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlikeView {
    find: String,
    with: String,
    /// The number of places in the transcript, and in all of them; `more` if there are more than these.
    here: usize,
    everywhere: usize,
    more: bool,
    /// The addresses of both.
    transcript_url: String,
    url: String,
}

/// Tells where what a correction has changed was heard elsewhere. 204 if there is nothing to correct alike.
pub(super) async fn alike(
    State(context): State<Shared>,
    Path((id, correction)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let id: TranscriptId = id.parse()?;
    let found = replace::alike(&context, &id, &correction).await?.filter(|found| found.everywhere > 0);
    let Some(Alike { replacing, here, everywhere, is_more: more }) = found else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let (transcript_url, url) = (address(&replacing, Some(&id)), address(&replacing, None));
    let Replacing { find, with, .. } = replacing;
    Ok(Json(AlikeView { find, with, here, everywhere, more, transcript_url, url }).into_response())
}

/// Returns the address of the page with the places in a transcript, or in all.
pub(super) fn address(Replacing { find, with, .. }: &Replacing, transcript: Option<&TranscriptId>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("find", find).append_pair("with", with);
    if let Some(id) = transcript {
        query.append_pair("transcript", &id.to_string());
    }
    format!("/replace?{}", query.finish())
}
