//! The pages that belong to no single route, and what all pages look like.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::Problem;
use super::page;
use crate::context::Shared;

#[derive(Template)]
#[template(path = "start.html", config = "src/web/pages/askama.toml")]
struct StartPage {
    notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "transcribe.html", config = "src/web/pages/askama.toml")]
struct TranscribePage {
    notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/web/pages/askama.toml")]
struct ProblemPage<'p> {
    notice: Option<&'static str>,
    problem: &'p Problem,
}

/// What there is, and how to use it.
pub(super) async fn start(State(context): State<Shared>) -> Response {
    page(StartPage { notice: context.notice }.render())
}

/// The form of `/transcribe`.
pub(super) fn transcribe(context: &Shared) -> Response {
    page(TranscribePage { notice: context.notice }.render())
}

/// A problem, for a browser.
pub(super) fn problem(context: &Shared, problem: &Problem) -> Response {
    page(ProblemPage { notice: context.notice, problem }.render())
}

/// The one style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}
