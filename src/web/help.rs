//! `/help`: the manual. Its pages are the Markdown files in `src/manual`, rendered once.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::api;
use super::error::ApiError;
use super::extract::{Id, NoParameters, Query, wants_page};
use super::pages::Notices;
use super::response::page;
use crate::context::{Context, Shared};

/// The page at `/help`. It has the name that code hosts show for a folder.
pub(super) const INDEX: &str = "README";

const MARKDOWN: [(&str, &str); 22] = [
    (INDEX, include_str!("../manual/README.md")),
    ("agents", include_str!("../manual/agents.md")),
    ("accuracy", include_str!("../manual/accuracy.md")),
    ("calls", include_str!("../manual/calls.md")),
    ("contacts", include_str!("../manual/contacts.md")),
    ("vocabulary", include_str!("../manual/vocabulary.md")),
    ("cost", include_str!("../manual/cost.md")),
    ("database", include_str!("../manual/database.md")),
    ("deletion", include_str!("../manual/deletion.md")),
    ("metrics", include_str!("../manual/metrics.md")),
    ("exports", include_str!("../manual/exports.md")),
    ("routes", include_str!("../manual/routes.md")),
    ("safety", include_str!("../manual/safety.md")),
    ("sandbox", include_str!("../manual/sandbox.md")),
    ("search", include_str!("../manual/search.md")),
    ("settings", include_str!("../manual/settings.md")),
    ("transcripts", include_str!("../manual/transcripts.md")),
    ("troubleshooting", include_str!("../manual/troubleshooting.md")),
    ("tutorial", include_str!("../manual/tutorial.md")),
    ("archive", include_str!("../manual/archive.md")),
    ("tokens", include_str!("../manual/tokens.md")),
    ("webhooks", include_str!("../manual/webhooks.md")),
];

const PICTURES: [(&str, &[u8]); 1] = [("call.png", include_bytes!("../manual/call.png"))];

static PAGES: LazyLock<Vec<ManualPage>> =
    LazyLock::new(|| MARKDOWN.iter().map(|(name, markdown)| ManualPage::new(name, markdown)).chain([api()]).collect());

/// The page about the API, which is written from its description.
fn api() -> ManualPage {
    ManualPage::new("api", api::manual())
}

struct ManualPage {
    name: &'static str,
    title: String,
    markdown: &'static str,
    html: String,
}

#[derive(Template)]
#[template(path = "help.html", config = "src/web/pages/askama.toml")]
struct HelpPage<'p> {
    notices: Notices,
    page: &'p ManualPage,
}

/// `/help`.
pub(super) async fn index(
    State(context): State<Shared>,
    headers: HeaderMap,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    show(&context, INDEX, wants_page(&headers))
}

/// `/help/<page>`, `/help/<page>.md` for the Markdown in any case, and the pictures.
pub(super) async fn file(
    State(context): State<Shared>,
    Id(file): Id<String>,
    headers: HeaderMap,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    if let Some((_, picture)) = PICTURES.iter().find(|(name, _)| *name == file) {
        return Ok(([(header::CONTENT_TYPE, "image/png")], *picture).into_response());
    }
    match file.strip_suffix(".md") {
        Some(name) => show(&context, name, false),
        None => show(&context, &file, wants_page(&headers)),
    }
}

fn show(context: &Context, name: &str, as_html: bool) -> Result<Response, ApiError> {
    let manual_page = PAGES.iter().find(|page| page.name == name).ok_or(ApiError::NoSuchPath)?;
    if as_html {
        Ok(page(HelpPage { notices: Notices::of(context), page: manual_page }.render()))
    } else {
        Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], manual_page.markdown).into_response())
    }
}

impl ManualPage {
    fn new(name: &'static str, markdown: &'static str) -> Self {
        let mut events: Vec<Event<'static>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
        let mut title = None;
        for start in 0..events.len() {
            if matches!(events[start], Event::Start(Tag::Heading { .. })) {
                let text = text_of_heading(&events[start + 1..]);
                if let Event::Start(Tag::Heading { id, .. }) = &mut events[start] {
                    *id = Some(anchor(&text).into());
                }
                title.get_or_insert(text);
            }
            if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = &mut events[start] {
                *dest_url = address(dest_url);
            }
        }
        let mut rendered = String::new();
        html::push_html(&mut rendered, events.into_iter());
        Self { name, title: title.unwrap_or_default(), markdown, html: rendered }
    }
}

fn text_of_heading(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let texts = inside.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

/// Returns the id that code hosts give a heading, so that one link works there and here.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Returns where a link of the manual leads to when the page is served: `x.md#y` is `/help/x#y`.
fn address(link: &str) -> CowStr<'static> {
    if link.contains(':') || link.starts_with(['#', '/']) {
        return link.to_owned().into();
    }
    let (file, fragment) = link.find('#').map_or((link, ""), |at| link.split_at(at));
    match file.strip_suffix(".md") {
        Some(INDEX) => format!("/help{fragment}").into(),
        Some(page) => format!("/help/{page}{fragment}").into(),
        None => format!("/help/{link}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_files_become_links_between_pages() {
        for (link, expected) in [
            ("routes.md", "/help/routes"),
            ("routes.md#text-search", "/help/routes#text-search"),
            ("README.md", "/help"),
            ("README.md#pages", "/help#pages"),
            ("call.png", "/help/call.png"),
            ("#below", "#below"),
            ("/calls", "/calls"),
            ("https://example.com/a.md", "https://example.com/a.md"),
        ] {
            assert_eq!(&*address(link), expected);
        }
    }

    #[test]
    fn a_page_has_the_title_and_the_anchors_of_its_headings() {
        let page =
            ManualPage::new("page", "# What is `this`?\n\n## A – second, one\n\n| a | b |\n|---|---|\n| 1 | <b> |\n");
        assert_eq!(page.title, "What is this?");
        for part in [r#"<h1 id="what-is-this">"#, r#"<h2 id="a--second-one">"#, "<td>1</td>"] {
            assert!(page.html.contains(part), "{part}: {}", page.html);
        }
    }
}
