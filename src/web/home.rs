//! `/`: a form that dials, and the newest calls.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::calls;
use super::error::ApiError;
use super::filter::Search;
use super::pages::Notices;
use super::response;
use super::view::CallList;
use crate::context::Shared;
use crate::model::call::FormNonce;

#[derive(Template)]
#[template(path = "home.html", config = "src/web/pages/askama.toml")]
struct HomePage {
    notices: Notices,
    /// That of the form.
    nonce: FormNonce,
    page: CallList,
}

pub(super) async fn show(State(context): State<Shared>) -> Result<Response, ApiError> {
    let page = calls::calls(&context, &Search::default()).await?;
    Ok(response::page(HomePage { notices: Notices::of(&context), nonce: FormNonce::random(), page }.render()))
}
