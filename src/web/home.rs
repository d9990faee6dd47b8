//! `/`: the operator's page. A form that dials, and the newest calls.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::calls::{self, Page};
use super::error::ApiError;
use super::page;
use super::pages::Notices;
use super::search::Search;
use crate::context::Shared;
use crate::model::call::Press;

#[derive(Template)]
#[template(path = "home.html", config = "src/web/pages/askama.toml")]
struct HomePage {
    notices: Notices,
    /// That of the form.
    press: Press,
    page: Page,
}

/// The operator's page.
pub(super) async fn show(State(context): State<Shared>) -> Result<Response, ApiError> {
    let page = calls::calls(&context, &Search::default()).await?;
    Ok(self::page(HomePage { notices: Notices::of(&context), press: Press::random(), page }.render()))
}
