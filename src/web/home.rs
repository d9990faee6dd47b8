//! `/`: a form that dials, and the newest calls.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::error::ApiError;
use super::filter::Search;
use super::forms::{DialForm, Refused};
use super::items::{self, List};
use super::pages::Notices;
use super::response;
use super::view::CallList;
use crate::context::Shared;

#[derive(Template)]
#[template(path = "home.html", config = "src/web/pages/askama.toml")]
struct HomePage {
    notices: Notices,
    form: DialForm,
    refused: Option<Refused>,
    page: CallList,
}

pub(super) async fn show(State(context): State<Shared>) -> Result<Response, ApiError> {
    let page = items::rows(&context, &Search::default(), List::Items).await?;
    let (notices, form) = (Notices::of_list(&context).await?, DialForm::new(&context));
    Ok(response::page(HomePage { notices, form, refused: None, page }.render()))
}
