//! The pages that belong to no single route, and what all pages look like.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::{Problem, credentials_of};
use super::page;
use crate::context::{Context, Shared};

/// What every page says beside its own matter.
pub(super) struct Notices {
    pub(super) standing: Option<&'static str>,
    /// What keeps the program from its work until somebody mends the settings.
    pub(super) alerts: Vec<String>,
}

impl Notices {
    /// As things stand.
    pub(super) fn of(context: &Context) -> Self {
        let alert = |service| format!("{service} refuses the credentials: look at {}.", credentials_of(service));
        Self { standing: context.notice, alerts: context.refusing().map(alert).collect() }
    }

    /// For a page that a stranger may see: how this program stands is nothing to them.
    pub(super) fn for_strangers(context: &Context) -> Self {
        Self { standing: context.notice, alerts: Vec::new() }
    }
}

#[derive(Template)]
#[template(path = "start.html", config = "src/web/pages/askama.toml")]
struct StartPage {
    notices: Notices,
}

#[derive(Template)]
#[template(path = "transcribe.html", config = "src/web/pages/askama.toml")]
struct TranscribePage {
    notices: Notices,
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/web/pages/askama.toml")]
struct ProblemPage<'p> {
    notices: Notices,
    problem: &'p Problem,
}

/// What there is, and how to use it.
pub(super) async fn start(State(context): State<Shared>) -> Response {
    page(StartPage { notices: Notices::of(&context) }.render())
}

/// The forms of `/transcribe`.
pub(super) fn transcribe(context: &Shared) -> Response {
    page(TranscribePage { notices: Notices::of(context) }.render())
}

/// A problem, for a browser.
pub(super) fn problem(context: &Shared, problem: &Problem) -> Response {
    page(ProblemPage { notices: Notices::for_strangers(context), problem }.render())
}

/// The one style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}
