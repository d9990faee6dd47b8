//! `/contacts/<number>/delete-calls`: a page that says what is deleted where, its button, and a receipt.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::contacts::number;
use super::error::ApiError;
use super::extract::{Id, NoFields, NoParameters, Query, wants_page};
use super::pages::Notices;
use super::response::page;
use super::view::CallView;
use crate::context::Shared;
use crate::model::phone::PhoneNumber;
use crate::pipeline::contacts::{self, Receipt};

/// What goes where, and what is left.
#[derive(Debug, Serialize)]
struct ReceiptView {
    number: String,
    /// `deleting`. Each call's own address tells when it is gone.
    progress: &'static str,
    /// Here, with numbers, key terms and words. Ids and times stay.
    here: Here,
    /// At Twilio: the calls, and all recordings of them.
    twilio: AtTwilio,
    /// At AssemblyAI: the transcripts, with their audio.
    assemblyai: AtAssemblyAi,
    calls: Vec<String>,
    left: Vec<LeftView>,
}

#[derive(Debug, Serialize)]
struct Here {
    calls: usize,
    recordings: usize,
    transcripts: usize,
}

#[derive(Debug, Serialize)]
struct AtTwilio {
    calls: usize,
    recordings: usize,
}

#[derive(Debug, Serialize)]
struct AtAssemblyAi {
    transcripts: usize,
}

/// A call that cannot be deleted now.
#[derive(Debug, Serialize)]
struct LeftView {
    call: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "contact_calls.html", config = "src/web/pages/askama.toml")]
struct ContactCallsPage {
    notices: Notices,
    number: PhoneNumber,
    name: Option<String>,
    receipt: ReceiptView,
    /// Whether the deletion has begun. Otherwise the page asks for confirmation.
    is_requested: bool,
}

/// Asks for confirmation. Deletes nothing.
pub(super) async fn ask(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let number = number(&context, &headers, &typed)?;
    let receipt = ReceiptView::of(&number, contacts::extent(&context, &number).await?);
    shown(&context, number, receipt, false).await
}

/// Requests the deletion of all calls of the contact. It goes on in the background.
pub(super) async fn delete(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let number = number(&context, &headers, &typed)?;
    let receipt = ReceiptView::of(&number, contacts::delete_calls(&context, number.clone()).await?);
    if wants_page(&headers) {
        return shown(&context, number, receipt, true).await;
    }
    Ok((StatusCode::ACCEPTED, Json(receipt)).into_response())
}

async fn shown(
    context: &Shared,
    number: PhoneNumber,
    receipt: ReceiptView,
    is_requested: bool,
) -> Result<Response, ApiError> {
    let contact = context.store.read().await?.contact(&number).await?;
    let (notices, name) = (Notices::of(context), contact.map(|contact| contact.name.to_string()));
    Ok(page(ContactCallsPage { notices, number, name, receipt, is_requested }.render()))
}

impl ReceiptView {
    fn of(number: &PhoneNumber, Receipt { deleting, left }: Receipt) -> Self {
        let recordings = deleting.iter().map(|extent| extent.recordings).sum();
        let transcripts = deleting.iter().map(|extent| extent.transcripts).sum();
        let at_twilio = deleting.iter().filter(|extent| extent.call.sid.is_some()).count();
        let left = left
            .iter()
            .map(|(call, why)| LeftView { call: CallView::of(call).name().to_owned(), reason: why.to_string() });
        Self {
            number: number.to_string(),
            progress: "deleting",
            here: Here { calls: deleting.len(), recordings, transcripts },
            twilio: AtTwilio { calls: at_twilio, recordings },
            assemblyai: AtAssemblyAi { transcripts },
            left: left.collect(),
            calls: deleting.iter().map(|extent| CallView::of(&extent.call).name().to_owned()).collect(),
        }
    }
}
