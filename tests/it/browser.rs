//! What a real Chromium does with the program: a person who types dials, and nothing else does, neither Chromium by
//! itself nor a page that means harm.
//!
//! These facts are looked at where `chromium`, `Xvfb` and `xdotool` are installed.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::browser::{self, Browser};
use crate::support::front::{Front, Passed};
use crate::support::{World, listen};

/// The kinds of requests that the hostile page makes to dial, by what follows `by=`.
const ATTEMPTS: [&str; 24] = [
    "img",
    "script",
    "module",
    "css",
    "css-import",
    "css-url",
    "iframe",
    "object",
    "embed",
    "video",
    "link-prefetch",
    "link-preload",
    "iframe-location",
    "form-get",
    "form-post",
    "form-calls",
    "fetch",
    "fetch-no-cors",
    "fetch-calls",
    "beacon",
    "xhr",
    "event-source",
    "speculation-prefetch",
    "speculation-prerender",
];

/// A web site of somebody else's, on another port.
struct Site {
    /// Its port.
    port: u16,
    /// What its page has told it.
    said: watch::Receiver<Value>,
}

impl Site {
    /// Serves these pages by their paths.
    async fn serve(pages: Vec<(&'static str, String)>) -> Self {
        let (sender, said) = watch::channel(Value::Null);
        let sender = Arc::new(sender);
        let hear = move |body: String| async move {
            sender.send_replace(serde_json::from_str(&body).expect("JSON"));
        };
        let mut router = Router::new().route("/said", post(hear));
        for (path, html) in pages {
            router = router.route(path, get(|| async { Html(html) }));
        }
        let listener = listen().await;
        let port = listener.local_addr().expect("a bound listener").port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, said }
    }

    /// Waits for what its page tells it.
    async fn hears(&mut self) -> Value {
        self.said.wait_for(|said| !said.is_null()).await.expect("a server that runs").clone()
    }
}

/// A browser whose window shows a page of nobody's.
async fn window() -> Browser {
    let browser = Browser::open("data:text/html,<title>first page</title>").await;
    browser.shows("first page").await;
    browser
}

/// How many pages of calls were shown.
fn call_pages(passed: &[Passed]) -> usize {
    let is_shown = |passed: &&Passed| passed.request.starts_with("GET /calls/") && passed.status == 200;
    passed.iter().filter(is_shown).filter(|passed| passed.is_navigation()).count()
}

#[tokio::test]
async fn a_typed_address_dials_once_however_often_its_page_is_reloaded() {
    if !browser::is_there() {
        return;
    }
    let world = World::new().await;
    let front = Front::of(&world.base).await;
    let browser = window().await;

    browser.type_address(&format!("{}/dial/14155551234", front.host)).await;
    assert_eq!(world.calls_placed(), 0, "it is not entered yet");
    browser.press("Return").await;
    front.until(|passed| passed.iter().any(is_entered)).await;
    assert_eq!(world.calls_placed(), 1);
    assert_eq!(front.passed()[0].status, 303);
    let listens = |passed: &[Passed]| passed.iter().filter(|passed| passed.request.starts_with("GET /events")).count();
    front.until(|passed| call_pages(passed) == 1 && listens(passed) == 1).await;
    browser.shows("dialing").await;

    for reloads in 1..=3 {
        browser.press("F5").await;
        // A key that is pressed before the page is there goes to the page before it, and is lost.
        front.until(|passed| call_pages(passed) == 1 + reloads && listens(passed) > reloads).await;
    }
    assert_eq!(world.calls_placed(), 1);
    let dials = front.passed().iter().filter(|passed| passed.request.contains("/dial/")).count();
    assert_eq!(dials, 1, "what is reloaded is the call's page");
}

#[tokio::test]
async fn typing_a_part_of_an_address_that_was_dialled_before_dials_nothing() {
    if !browser::is_there() {
        return;
    }
    let world = World::new().await;
    let front = Front::of(&world.base).await;
    let browser = window().await;

    // Chromium loads ahead what it has seen its user enter a few times.
    let (part, rest) = ("/dial/1415", "5551234");
    for entered in 0.. {
        browser.type_address(&format!("{}{part}", front.host)).await;
        assert_eq!(world.calls_placed(), entered);
        if front.passed().iter().any(Passed::is_speculative) {
            break;
        }
        assert!(entered < 30, "Chromium never loads ahead");
        browser.type_on(rest).await;
        assert_eq!(world.calls_placed(), entered);
        browser.press("Return").await;
        front.until(|passed| passed.iter().filter(|passed| is_entered(passed)).count() == entered + 1).await;
        browser.shows("dialing").await;
        world.settle().await;
        // The next one is a call of its own: this one is long over.
        world.after(Duration::from_secs(3_600)).await;
    }
    let ahead: Vec<Passed> = front.passed().into_iter().filter(Passed::is_speculative).collect();
    assert!(ahead.iter().all(|it| it.request == format!("GET {part}{rest}") && it.status == 503), "{ahead:?}");
}

/// Whether it is an address to dial that somebody entered.
fn is_entered(passed: &Passed) -> bool {
    passed.request.starts_with("GET /dial/") && !passed.is_speculative()
}

#[tokio::test]
async fn a_hostile_page_dials_nothing_and_reads_nothing() {
    if !browser::is_there() {
        return;
    }
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let placed = world.calls_placed();
    let readable = ["/".to_owned(), "/calls".to_owned(), format!("/calls/{call}"), format!("/recordings/{recording}")];

    for host in ["localhost", "127.0.0.1"] {
        let front = Front::of(&world.base).await;
        let program = format!("http://{}", front.host);
        let hostile = include_str!("fixtures/hostile.html")
            .replace("PROGRAM;", &format!("{};", json!(program)))
            .replace("READ.flatMap", &format!("{}.flatMap", json!(readable)));
        let leaving = format!("<!doctype html><script>location = '{program}/dial/14155551234?by=location'</script>");
        let mut site = Site::serve(vec![("/", hostile), ("/leaving", leaving)]).await;
        let browser = Browser::open(&format!("http://{host}:{}/", site.port)).await;

        let came = |passed: &[Passed], by: &str| passed.iter().any(|it| it.request.ends_with(&format!("?by={by}")));
        // Chromium renders ahead what is of the same site, which another port is and another name is not.
        let is_made = |by: &&&str| host == "localhost" || **by != "speculation-prerender";
        front.until(|passed| ATTEMPTS.iter().filter(is_made).all(|by| came(passed, by))).await;
        assert_eq!(site.hears().await, json!({ "tried": 3 * readable.len(), "read": [] }));
        browser.shows("You have won").await;
        browser.type_address(&format!("{host}:{}/leaving", site.port)).await;
        browser.press("Return").await;
        front.until(|passed| came(passed, "location")).await;

        let answers = front.passed();
        assert!(answers.len() >= ATTEMPTS.len() + 3 * readable.len());
        for answer in answers {
            let refusal = if answer.is_speculative() { 503 } else { 403 };
            assert_eq!(answer.status, refusal, "{host}: {answer:?}");
            assert!(!answer.body.contains("5551234"), "{host}: {answer:?}");
        }
        assert_eq!(world.calls_placed(), placed, "{host}");
    }
}
