//! The log-in page, and the way through it: where its browser wanted to go, and what it wanted to send there.

use askama::Template;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use serde::Deserialize;
use url::form_urlencoded;

use super::error::{ApiError, Problem};
use super::extract::{is_form, read_body};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::response::{page, see_other};
use crate::context::{Context, Shared};

/// Largest form that goes through the log-in page, in bytes.
const LARGEST_KEPT: usize = 128 << 10;

/// Where a browser goes once it is logged in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Way {
    /// The path and query of a page.
    next: String,
    /// The form that was sent there, encoded as it came. It is shown again, not sent.
    pub(super) form: String,
}

#[derive(Template)]
#[template(path = "login.html", config = "src/web/pages/askama.toml")]
struct LoginPage {
    notices: Notices,
    has_token: bool,
    is_logged_in: bool,
    way: Way,
    refused: Option<Refused>,
}

impl Way {
    pub(super) fn to(next: String) -> Self {
        Self { next, form: String::new() }
    }

    /// Returns where to go. Only a path of this program counts: anyone can make a link to the log-in page.
    pub(super) fn next(&self) -> &str {
        let is_path = self.next.starts_with('/') && !self.next.starts_with("//");
        let is_plain = self.next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_path && is_plain { &self.next } else { "/" }
    }

    /// Where a request leads that was turned away. A button that changes something leads to the page that it was on.
    async fn of(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        if parts.method != Method::POST {
            return Self::to(target.to_owned());
        }
        let deeds: &[&str] = if target.starts_with("/contacts/") { &["/delete"] } else { &["/retry", "/speakers"] };
        let of_transcript = ["/checked", "/current"].iter().find_map(|deed| target.strip_suffix(deed));
        let of_transcript = of_transcript.filter(|target| target.starts_with("/transcript/"));
        let of_trial = target.strip_prefix("/trials/").and_then(|rest| rest.split_once('/'));
        let next = match (target, of_transcript, target.strip_suffix("/undo")) {
            ("/logout", ..) => "/".to_owned(),
            (..) if let Some((trial, _)) = of_trial => format!("/trials/{trial}"),
            (_, Some(transcript), _) => format!("{transcript}?format=html"),
            // Of a correction, or of a replacement, which has a page.
            (_, _, Some(undone)) => undone.find("/corrections/").map_or(undone, |end| &undone[..end + 12]).to_owned(),
            (target, ..) => deeds.iter().find_map(|deed| target.strip_suffix(deed)).unwrap_or(target).to_owned(),
        };
        let form = if is_form(&parts.headers) { read_body(body, LARGEST_KEPT).await.ok() } else { None };
        let form = form.and_then(|form| String::from_utf8(form.into()).ok()).unwrap_or_default();
        Self { next, form }
    }

    fn url(&self) -> String {
        let mut url = "/login".to_owned();
        if self.next() != "/" {
            url += "?";
            url += &form_urlencoded::Serializer::new(String::new()).append_pair("next", self.next()).finish();
        }
        url
    }
}

/// Leads a browser without a session to the log-in page, and from there to where it wanted to go. What was typed in a form
/// goes with it.
pub(super) async fn lead(context: &Shared, request: Request) -> Response {
    let is_post = request.method() == Method::POST;
    let way = Way::of(request).await;
    if is_post {
        return ask(context, way, "", ApiError::TokenNeeded);
    }
    see_other(&way.url())
}

/// Shows the form again, with the reason.
pub(super) fn ask(context: &Shared, way: Way, field: &'static str, error: ApiError) -> Response {
    let context = Shared::clone(context);
    forms::again(error, move |problem: Problem| show(&context, way.clone(), false, Some(Refused { field, problem })))
}

pub(super) fn show(context: &Context, way: Way, is_logged_in: bool, refused: Option<Refused>) -> Response {
    let (notices, has_token) = (Notices::for_strangers(context), context.auth.token.is_set());
    page(LoginPage { notices, has_token, is_logged_in, way, refused }.render())
}
