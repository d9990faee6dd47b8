//! Pages that belong to no single route, assets, and what all pages share.

use std::sync::LazyLock;

use askama::Template;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::error::{ApiError, Problem, credentials_of};
use super::extract::Id;
use super::response::page;
use crate::clients::{Refusal, Service};
use crate::context::{Context, Shared};
use crate::model::call::CallName;
use crate::pipeline::budget::{self, Budget};

/// Messages at the top of every page.
pub(super) struct Notices {
    pub(super) standing: Option<&'static str>,
    /// Problems that last until someone fixes the settings.
    pub(super) alerts: Vec<String>,
    /// Whether this reader may open the manual, so that pages link to it.
    pub(super) has_help: bool,
}

impl Notices {
    pub(super) fn of(context: &Context) -> Self {
        let alert = |(service, refusal): (Service, Refusal)| {
            let alert = format!("{service} refuses the credentials: check {}.", credentials_of(service));
            match refusal.sentence() {
                Some(sentence) => format!("{alert} {service} says: {sentence}."),
                None => alert,
            }
        };
        let mut alerts: Vec<String> = context.refusing().map(alert).collect();
        if context.exposure.is_unreachable() {
            alerts.push(format!(
                "BASE_URL ({}) does not lead to this program, so neither vendor can reach it: check that the tunnel is open \
                 and that its URL has not changed.",
                context.urls.base()
            ));
        }
        if context.refused_shared_key() {
            alerts.push(
                "A callback was refused because of its webhook shared key: TWILIO_SHARED_KEYS does not have that key, or \
                 has another secret for it. If Twilio sent it, calls are not recorded until you set the key."
                    .to_owned(),
            );
        }
        alerts.extend(context.wrong_settings());
        alerts.extend(context.models.warnings());
        Self { standing: context.notice, alerts, has_help: true }
    }

    /// The same for the lists of calls, which say if the budget of the day is reached.
    pub(super) async fn of_list(context: &Context) -> Result<Self, ApiError> {
        let mut notices = Self::of(context);
        if let Some(Budget { per_day, ordered, .. }) = budget::state(context).await?.filter(|budget| budget.is_reached)
        {
            notices.alerts.push(format!(
                "BUDGET_PER_DAY: transcripts for {ordered} of {per_day} were ordered automatically in the last 24 hours, and \
                 what is left is too little for a recording that came since. Recordings are kept; those for which too \
                 little is left are not transcribed before you ask for it."
            ));
        }
        Ok(notices)
    }

    /// For a page that a stranger may see: alerts are for operators only.
    pub(super) fn for_strangers(context: &Context) -> Self {
        Self { standing: context.notice, alerts: Vec::new(), has_help: false }
    }
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/web/pages/askama.toml")]
struct ProblemPage<'p> {
    notices: Notices,
    problem: &'p Problem,
    /// The call on whose page the button was that led here.
    call: Option<CallName>,
}

/// Renders a problem for a browser that requested this path.
pub(super) fn problem(context: &Shared, problem: &Problem, path: &str, is_operator: bool) -> Response {
    let deed = path.strip_prefix("/calls/").and_then(|path| path.trim_end_matches('/').split_once('/'));
    let call = deed.filter(|_| problem.status == 409).and_then(|(call, _)| call.parse().ok());
    let notices = Notices { has_help: is_operator, ..Notices::for_strangers(context) };
    page(ProblemPage { notices, problem, call }.render())
}

/// A style sheet, script or icon, compiled into the program.
struct Asset {
    /// Contains a hash of the content, so that other content has another name.
    name: String,
    media_type: &'static str,
    content: Bytes,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("style.css")));

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("page", include_str!("page.js")));

static PLAY: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("play", include_str!("play.js")));

static SAVE: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("save", include_str!("save.js")));

static EDIT: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("edit", include_str!("edit.js")));

static ALIKE: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("alike", include_str!("alike.js")));

static UPLOAD: LazyLock<Asset> = LazyLock::new(|| Asset::of_script("upload", include_str!("upload.js")));

static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let hash = Sha256::digest(&content);
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{name}.{hash}.{extension}"), media_type, content }
    }

    /// Comments have a line of their own, and are not sent.
    fn of_script(name: &str, source: &str) -> Self {
        let code = source.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("//"));
        Self::new(name, "js", "text/javascript; charset=utf-8", code.collect::<String>())
    }
}

pub(super) fn style() -> String {
    format!("/assets/{}", STYLE.name)
}

pub(super) fn script() -> String {
    format!("/assets/{}", SCRIPT.name)
}

/// The scripts for pages with a recording, in their order. They follow that of [`script`].
pub(super) fn transcript_scripts() -> [String; 4] {
    [&PLAY, &SAVE, &EDIT, &ALIKE].map(|script| format!("/assets/{}", script.name))
}

/// The script of the page that sends files. It follows that of [`script`].
pub(super) fn upload_script() -> String {
    format!("/assets/{}", UPLOAD.name)
}

pub(super) fn icon() -> String {
    format!("/assets/{}", ICON.name)
}

/// Browsers may cache an asset for good: its address never has other content.
pub(super) async fn asset(Id(file): Id<String>) -> Result<Response, ApiError> {
    let assets = [&*STYLE, &*SCRIPT, &*PLAY, &*SAVE, &*EDIT, &*ALIKE, &*UPLOAD, &*ICON];
    let asset = assets.into_iter().find(|asset| asset.name == file).ok_or(ApiError::NoSuchPath)?;
    let kept = "private, max-age=31536000, immutable";
    Ok(([(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, kept)], asset.content.clone())
        .into_response())
}

/// Formats a time for people, for browsers without scripts.
pub(super) fn utc(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats a time of day for people.
pub(super) fn utc_clock(at: &Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// The time of a step, in milliseconds since 1970.
pub(super) fn timestamp(ms: Option<i64>) -> Option<Timestamp> {
    ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

/// Formats a time for scripts, to the second.
pub(super) fn rfc3339(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
