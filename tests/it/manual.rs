//! The README and the manual: short, served at `/help`, and without a link that leads nowhere.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use crate::support::World;

const BROWSER: [(&str, &str); 1] = [("accept", "text/html")];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manual() -> PathBuf {
    root().join("src/manual")
}

/// Returns the names of the manual's pages, without `.md`.
pub(crate) fn pages() -> Vec<String> {
    let entries = fs::read_dir(manual()).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let names = entries.map(|name| name.into_string().expect("a name in UTF-8"));
    names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect()
}

/// Returns the path below `/help` at which a page is served.
fn served_at(name: &str) -> String {
    if name == "README" { "/help".to_owned() } else { format!("/help/{name}") }
}

/// Returns the lines of a Markdown text outside of its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchors that code hosts give the headings of a Markdown text.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let lower = heading.to_lowercase();
        let kept = lower.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    };
    headings.map(anchor).collect()
}

/// Returns the targets of the links and pictures of a Markdown text.
fn links(text: &str) -> Vec<String> {
    let parts = prose(text).flat_map(|line| line.split("](").skip(1));
    parts.map(|part| part.split(')').next().unwrap_or_default().to_owned()).collect()
}

/// Asserts that the relative links in this file lead to files and headings that are there.
fn assert_links_lead_somewhere(file: &Path) {
    let text = fs::read_to_string(file).expect("a Markdown file");
    for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() { file.to_owned() } else { file.with_file_name(path) };
        assert!(target.exists(), "{}: {link} leads to no file", file.display());
        if !anchor.is_empty() {
            let anchors = anchors(&fs::read_to_string(&target).expect("a Markdown file"));
            assert!(anchors.iter().any(|there| there == anchor), "{}: {link} leads to no heading", file.display());
        }
    }
}

#[test]
fn the_readme_is_short_and_its_contents_are_its_sections() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.lines().count() <= 200, "{} lines", readme.lines().count());
    let sections: Vec<&str> = prose(&readme).filter_map(|line| line.strip_prefix("## ")).collect();
    let (contents, after) = sections.split_first().expect("a section");
    assert_eq!(*contents, "Contents");
    let list = readme.split_once("## Contents\n").and_then(|(_, rest)| rest.split_once("\n## ")).expect("a list").0;
    let linked: Vec<String> = list.lines().filter_map(|line| line.strip_prefix("- [")).map(str::to_owned).collect();
    let expected: Vec<String> = iter::zip(after, after.iter().flat_map(|name| anchors(&format!("## {name}"))))
        .map(|(name, anchor)| format!("{name}](#{anchor})"))
        .collect();
    assert_eq!(linked, expected);
}

#[test]
fn every_link_of_the_readme_and_the_manual_leads_somewhere() {
    assert_links_lead_somewhere(&root().join("README.md"));
    for name in pages() {
        assert_links_lead_somewhere(&manual().join(format!("{name}.md")));
    }
}

#[test]
fn no_page_has_two_headings_with_the_same_anchor() {
    for file in pages().iter().map(|name| manual().join(format!("{name}.md"))).chain([root().join("README.md")]) {
        let anchors = anchors(&fs::read_to_string(&file).expect("a Markdown file"));
        let unique: HashSet<&String> = anchors.iter().collect();
        assert_eq!(anchors.len(), unique.len(), "{}: {anchors:?}", file.display());
    }
}

#[test]
fn links_and_anchors_are_found_in_markdown() {
    let text = "# One `two`\n[a](b.md#c) and ![d](e.png)\n```\n# no heading [no](link)\n```\n## It's – this\n";
    assert_eq!(links(text), ["b.md#c", "e.png"]);
    assert_eq!(anchors(text), ["one-two", "its--this"]);
}

#[test]
fn the_recipes_for_developers_name_files_that_are_there() {
    for page in ["development", "performance"] {
        let text = fs::read_to_string(root().join(format!("src/docs/{page}.md"))).expect("a page");
        let names = text.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', '=']));
        for name in
            names.filter(|name| ["src/", "tests/", ".ci/", ".cargo/"].iter().any(|begin| name.starts_with(begin)))
        {
            assert!(root().join(name).exists(), "{page}.md names {name}, which is not there");
        }
    }
}

/// Returns the texts of all files of these types in a folder and below it.
fn texts(folder: &Path, extensions: &[&str]) -> String {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let texts = paths.map(|path| match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.is_dir() => texts(&path, extensions),
        Some(extension) if extensions.contains(&extension) => fs::read_to_string(&path).expect("a text"),
        _ => String::new(),
    });
    texts.collect()
}

#[test]
fn troubleshooting_quotes_what_the_program_says() {
    let source = texts(&root().join("src"), &["rs", "html"]);
    // A comment says nothing to an operator.
    let source: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| line.to_owned() + "\n").collect();
    // String literals may go on in the next line.
    let pieces = source.split("\\\n").enumerate();
    let source: String = pieces.map(|(at, piece)| if at == 0 { piece } else { piece.trim_start() }).collect();
    let page = fs::read_to_string(manual().join("troubleshooting.md")).expect("the page");
    let symptoms = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let ours: Vec<&str> = symptoms.filter(|symptom| !symptom.starts_with("the phone says")).collect();
    let quotes: Vec<&str> = ours.iter().flat_map(|symptom| symptom.split('"').skip(1).step_by(2)).collect();
    assert!(quotes.len() >= 8, "{quotes:?}");
    for quote in quotes {
        assert!(source.contains(quote), "callscribe nowhere says {quote:?}");
    }
}

/// The page about the API has more than its file: the description.
fn assert_served(name: &str, served: &str, markdown: &str) {
    if name == "api" {
        assert!(served.starts_with(markdown), "{served}");
        assert!(served.contains("### `GET /items`"), "{served}");
    } else {
        assert_eq!(served, markdown);
    }
}

#[tokio::test]
async fn every_page_is_served_and_no_link_on_it_is_dead() {
    let world = World::new().await;
    let mut links = HashSet::new();
    for name in pages() {
        let path = served_at(&name);
        let markdown = fs::read_to_string(manual().join(format!("{name}.md"))).expect("a page");
        for address in [path.clone(), format!("{path}/")] {
            let answer = world.get_with(&address, &BROWSER).await;
            assert_eq!(answer.status, 200, "{address}");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            let html = answer.text();
            let (_, title) = markdown.lines().next().and_then(|line| line.split_once("# ")).expect("a title");
            assert!(html.contains(&format!("<title>{title} · callscribe</title>")), "{address}");
            for anchor in anchors(&markdown) {
                assert!(html.contains(&format!(" id=\"{anchor}\"")), "{address} has no {anchor}");
            }
            let targets = ["href=\"", "src=\""].map(|begin| html.split(begin).skip(1).map(str::to_owned).collect());
            let targets: Vec<String> = targets.into_iter().flat_map(|parts: Vec<String>| parts).collect();
            for target in targets.iter().map(|part| part.split('"').next().expect("a target")) {
                let target = if target.starts_with('#') { format!("{path}{target}") } else { target.to_owned() };
                links.insert(target);
            }

            let answer = world.get(&address).await;
            assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
            assert_served(&name, &answer.text(), &markdown);
        }
        assert_served(&name, &world.get_with(&format!("/help/{name}.md"), &BROWSER).await.text(), &markdown);
    }
    for link in links.iter().filter(|link| !link.contains("://")) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let answer = world.get_with(path, &BROWSER).await;
        assert_eq!(answer.status, 200, "{link}");
        assert!(anchor.is_empty() || answer.text().contains(&format!(" id=\"{anchor}\"")), "{link}");
    }
    world.get("/help/no-such-page").await.problem(404, "no-such-path");
    world.get("/help/%FF").await.problem(400, "bad-request");
    world.get("/assets/%FF").await.problem(400, "bad-request");
}

#[tokio::test]
async fn pictures_are_served_and_small() {
    let world = World::new().await;
    let answer = world.get("/help/call.png").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "image/png"));
    assert_eq!(answer.body, fs::read(manual().join("call.png")).expect("the picture"));
    assert!(answer.body.len() < 150_000, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn problems_link_to_the_manual_for_operators_only() {
    let world = World::with(&[("OPERATOR_TOKEN", "a-token-of-the-operator")]).await;
    let problem = world.get_with("/no/such/path", &BROWSER).await.text();
    assert!(problem.contains("/help/troubleshooting"), "{problem}");
    for path in ["/no/such/path", "/help", "/login"] {
        let answer = world.get_with(path, &[BROWSER[0], ("x-forwarded-for", "203.0.113.7")]).await.text();
        assert!(!answer.contains("\"/help"), "{path}: {answer}");
    }
}
