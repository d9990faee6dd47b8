//! `/calls/<sid>/delete` and `/items/<id>/delete`: a page that says what is deleted where, and its button.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Id, NoFields, NoParameters, Query, wants_page};
use super::pages::Notices;
use super::response::{page, see_other};
use super::view::CallView;
use super::who::Asker;
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::standing::Progress;
use crate::pipeline::delete::{self, Extent};

/// A deletion that was begun.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletingView {
    /// What the call or upload is called in addresses.
    call: Option<String>,
    /// `deleting`.
    progress: Progress,
}

#[derive(Template)]
#[template(path = "delete.html", config = "src/web/pages/askama.toml")]
struct DeletePage {
    notices: Notices,
    /// The call's name in addresses.
    name: String,
    /// The number at the other end, or the title of an upload.
    party: String,
    /// The address of its page.
    path: String,
    is_upload: bool,
    is_at_twilio: bool,
    /// Whether there is an archive, which may have copies of the recordings.
    has_archive: bool,
    recordings: usize,
    transcripts: usize,
}

/// Asks for confirmation. Deletes nothing.
pub(super) async fn ask(State(context): State<Shared>, Id(name): Id<CallName>) -> Result<Response, ApiError> {
    let Extent { call, recordings, transcripts } = delete::extent(&context, &name).await?;
    let shown = CallView::of(&call);
    let notices = Notices::of(&context);
    let (name, path, is_upload) = (shown.name().to_owned(), shown.path(), shown.is_upload());
    let party = if is_upload { shown.title() } else { shown.party() }.to_owned();
    let is_at_twilio = call.sid.is_some();
    let has_archive = is_at_twilio && context.archive.is_some();
    let asked =
        DeletePage { notices, name, party, path, is_upload, is_at_twilio, has_archive, recordings, transcripts };
    Ok(page(asked.render()))
}

/// Requests the deletion. It goes on in the background.
pub(super) async fn delete(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(name): Id<CallName>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    delete::delete(&context, name.clone(), asked).await?;
    if wants_page(&headers) {
        let call = context.store.read().await?.call(&name).await?;
        let path = call.map_or_else(|| format!("/calls/{}", name.as_str()), |call| CallView::of(&call).path());
        return Ok(see_other(&path));
    }
    let call = context.store.read().await?.call(&name).await?;
    let call = call.map(|call| CallView::of(&call).name().to_owned());
    Ok((StatusCode::ACCEPTED, Json(DeletingView { call, progress: Progress::Deleting })).into_response())
}
