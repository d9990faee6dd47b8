//! The program in a real Chromium: an address that a person types dials. Chromium's own prefetches and a hostile page do
//! not.
//!
//! These tests are skipped unless `chromium`, `Xvfb` and `xdotool` are installed.

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

/// The ways in which the hostile page tries to dial. Each request names its way in the query parameter `by`.
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

/// A foreign web site, on another port.
struct Site {
    port: u16,
    /// What the site's page has posted to `/said`.
    reported: watch::Receiver<Value>,
}

impl Site {
    /// Serves these pages, given as path and HTML.
    async fn serve(pages: Vec<(&'static str, String)>) -> Self {
        let (sender, reported) = watch::channel(Value::Null);
        let sender = Arc::new(sender);
        let receive = move |body: String| async move {
            sender.send_replace(serde_json::from_str(&body).expect("JSON"));
        };
        let mut router = Router::new().route("/said", post(receive));
        for (path, html) in pages {
            router = router.route(path, get(|| async { Html(html) }));
        }
        let listener = listen().await;
        let port = listener.local_addr().expect("a bound listener").port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, reported }
    }

    /// Waits for the page's report.
    async fn report(&mut self) -> Value {
        self.reported.wait_for(|report| !report.is_null()).await.expect("a running server").clone()
    }
}

/// A browser that shows a page without an origin.
async fn window() -> Browser {
    let browser = Browser::open("data:text/html,<title>first page</title>").await;
    browser.shows("first page").await;
    browser
}

/// The number of navigations that showed the page of a call.
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
    assert_eq!(world.calls_placed(), 0, "dialed before Return was pressed");
    browser.press("Return").await;
    front.until(|passed| passed.iter().any(is_entered)).await;
    assert_eq!(world.calls_placed(), 1);
    assert_eq!(front.passed()[0].status, 303);
    let listens = |passed: &[Passed]| passed.iter().filter(|passed| passed.request.starts_with("GET /events")).count();
    front.until(|passed| call_pages(passed) == 1 && listens(passed) >= 1).await;
    browser.shows(".14155551234").await;

    for reloads in 1..=3 {
        browser.press("F5").await;
        // A key pressed before the page has loaded goes to the previous page and is lost.
        front.until(|passed| call_pages(passed) == 1 + reloads && listens(passed) > reloads).await;
    }
    assert_eq!(world.calls_placed(), 1);
    let dials = front.passed().iter().filter(|passed| passed.request.contains("/dial/")).count();
    assert_eq!(dials, 1, "a reload must load the page of the call, not dial");
}

#[tokio::test]
async fn typing_part_of_a_previously_dialed_address_dials_nothing() {
    if !browser::is_there() {
        return;
    }
    let world = World::new().await;
    let front = Front::of(&world.base).await;
    let browser = window().await;

    // Chromium prefetches an address once its user has entered it a few times, mostly. It need not; `access` tests what a
    // prefetch is answered.
    let (part, rest) = ("/dial/1415", "5551234");
    for entered in 0..15 {
        browser.type_address(&format!("{}{part}", front.host)).await;
        assert_eq!(world.calls_placed(), entered);
        if front.passed().iter().any(Passed::is_speculative) {
            break;
        }
        browser.type_on(rest).await;
        assert_eq!(world.calls_placed(), entered);
        browser.press("Return").await;
        front.until(|passed| passed.iter().filter(|passed| is_entered(passed)).count() == entered + 1).await;
        browser.shows(".14155551234").await;
        world.settle().await;
        // Far beyond REDIAL_AFTER, so that the next entry places a new call.
        world.after(Duration::from_secs(3_600)).await;
    }
    let prefetched: Vec<Passed> = front.passed().into_iter().filter(Passed::is_speculative).collect();
    let is_refused = |it: &Passed| it.request == format!("GET {part}{rest}") && it.status == 503;
    assert!(prefetched.iter().all(is_refused), "{prefetched:?}");
}

/// Returns `true` for a request to dial that is not a prefetch.
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
        // Chromium prerenders only pages of the same site. Another port is the same site, another host name is not.
        let is_made = |by: &&&str| host == "localhost" || **by != "speculation-prerender";
        front.until(|passed| ATTEMPTS.iter().filter(is_made).all(|by| came(passed, by))).await;
        assert_eq!(site.report().await, json!({ "tried": 3 * readable.len(), "read": [] }));
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
