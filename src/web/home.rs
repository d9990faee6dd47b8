//! `/`: a form that dials, and the newest calls.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::calls;
use super::error::ApiError;
use super::filter::Search;
use super::forms::{DialForm, Refused};
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
    let page = calls::calls(&context, &Search::default()).await?;
    let (notices, form) = (Notices::of(&context), DialForm::new(&context));
    Ok(response::page(HomePage { notices, form, refused: None, page }.render()))
}
