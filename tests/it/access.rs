//! Access control. Every route but the vendors' callbacks is for the operator. A refused request never reaches a vendor.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callscribe::internals::{SECRET_HEADER, signature};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::callbacks::{CALL, CALL_PARAMS, FORM, encode, sign};
use crate::support::{Answer, World};

/// What requests to `/uploads` must have.
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";
const TRANSCRIPT: &str = "01234567-89ab-cdef-0123-456789abcdef";

const HOSTS: &str = include_str!("fixtures/hosts.tsv");
const FETCH_METADATA: &str = include_str!("fixtures/fetch_metadata.tsv");

/// Every operator route with each of its methods. An unknown path comes last.
pub(crate) fn operator_routes() -> Vec<(Method, String)> {
    let get = |path: &str| (Method::GET, path.to_owned());
    vec![
        get("/"),
        get("/dial/14155551234"),
        get("/dial/+14155551234/"),
        get(&format!("/get-recording-url/{CALL}")),
        get("/transcribe"),
        get("/tags"),
        get("/metrics"),
        (Method::POST, "/mcp".to_owned()),
        (Method::POST, "/transcribe".to_owned()),
        get(&format!("/transcript/{TRANSCRIPT}")),
        get(&format!("/transcript/{TRANSCRIPT}?format=text&wait=1")),
        (Method::POST, format!("/transcript/{TRANSCRIPT}/checked")),
        get(&format!("/transcript/{TRANSCRIPT}/blind-check")),
        (Method::POST, format!("/transcript/{TRANSCRIPT}/blind-check")),
        get(&format!("/transcript/{TRANSCRIPT}/corrections")),
        get(&format!("/transcript/{TRANSCRIPT}/correct?at=0:0-1")),
        (Method::POST, format!("/transcript/{TRANSCRIPT}/corrections")),
        (Method::POST, format!("/transcript/{TRANSCRIPT}/corrections/abc/undo")),
        get(&format!("/transcript/{TRANSCRIPT}/corrections/abc/alike")),
        get(&format!("/recordings/{RECORDING}")),
        get(&format!("/recordings/{RECORDING}.mp3")),
        get("/export?format=csv"),
        get("/items"),
        get(&format!("/items/{CALL}")),
        (Method::POST, format!("/items/{CALL}")),
        (Method::DELETE, format!("/items/{CALL}")),
        get(&format!("/items/{CALL}/delete")),
        (Method::POST, format!("/items/{CALL}/delete")),
        get("/items/delete"),
        get("/items/deletions"),
        (Method::POST, "/items/delete".to_owned()),
        get("/calls"),
        (Method::POST, "/calls".to_owned()),
        get(&format!("/calls/{CALL}")),
        (Method::POST, format!("/calls/{CALL}/retry")),
        (Method::POST, format!("/calls/{CALL}/speakers")),
        get(&format!("/calls/{CALL}/delete")),
        (Method::POST, format!("/calls/{CALL}/delete")),
        get("/contacts"),
        (Method::POST, "/contacts".to_owned()),
        get("/contacts/+14155551234"),
        (Method::PUT, "/contacts/+14155551234".to_owned()),
        (Method::POST, "/contacts/+14155551234".to_owned()),
        (Method::DELETE, "/contacts/+14155551234".to_owned()),
        (Method::POST, "/contacts/+14155551234/delete".to_owned()),
        get("/vocabulary"),
        get("/accuracy"),
        get("/trials"),
        (Method::POST, "/trials".to_owned()),
        get(&format!("/trials/{}", "0".repeat(32))),
        (Method::POST, format!("/trials/{}/stop", "0".repeat(32))),
        (Method::POST, format!("/trials/{}/retry", "0".repeat(32))),
        (Method::POST, format!("/trials/{}/choose", "0".repeat(32))),
        (Method::POST, format!("/trials/{}/choose/undo", "0".repeat(32))),
        (Method::POST, "/uploads".to_owned()),
        (Method::OPTIONS, "/uploads".to_owned()),
        get(&format!("/uploads/{}", "0".repeat(32))),
        (Method::PATCH, format!("/uploads/{}", "0".repeat(32))),
        (Method::DELETE, format!("/uploads/{}", "0".repeat(32))),
        get("/cost"),
        get("/imports"),
        (Method::POST, "/imports".to_owned()),
        get(&format!("/imports/{}", "0".repeat(32))),
        (Method::POST, format!("/imports/{}/pause", "0".repeat(32))),
        (Method::POST, format!("/imports/{}/resume", "0".repeat(32))),
        (Method::POST, format!("/imports/{}/cancel", "0".repeat(32))),
        (Method::POST, format!("/imports/{}/retry", "0".repeat(32))),
        (Method::POST, "/vocabulary".to_owned()),
        (Method::PATCH, "/vocabulary/x".to_owned()),
        (Method::POST, "/vocabulary/x".to_owned()),
        (Method::DELETE, "/vocabulary/x".to_owned()),
        (Method::POST, "/vocabulary/x/delete".to_owned()),
        get("/contacts/+14155551234/delete-calls"),
        (Method::POST, "/contacts/+14155551234/delete-calls".to_owned()),
        get(&format!("/transcript/{TRANSCRIPT}/compare/{TRANSCRIPT}")),
        (Method::POST, format!("/transcript/{TRANSCRIPT}/current")),
        get("/replace?find=a"),
        (Method::POST, "/replace".to_owned()),
        get("/replace/abc"),
        (Method::POST, "/replace/abc/undo".to_owned()),
        (Method::POST, "/logout".to_owned()),
        get("/events"),
        get("/webhooks"),
        (Method::POST, "/webhooks".to_owned()),
        get("/webhooks/1"),
        (Method::POST, "/webhooks/1".to_owned()),
        (Method::DELETE, "/webhooks/1".to_owned()),
        (Method::POST, "/webhooks/1/rotate".to_owned()),
        (Method::POST, "/webhooks/1/delete".to_owned()),
        get("/webhooks/deliveries"),
        (Method::POST, "/webhooks/deliveries/msg_1/resend".to_owned()),
        get("/tokens"),
        (Method::POST, "/tokens".to_owned()),
        get("/tokens/1"),
        (Method::DELETE, "/tokens/1".to_owned()),
        (Method::POST, "/tokens/1/delete".to_owned()),
        get("/openapi.json"),
        get("/help"),
        get("/help/routes"),
        get("/no/such/path"),
    ]
}

/// Returns `true` if the path matches the route.
fn matches(path: &str, route: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let (path, route): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), route.trim_end_matches('/').split('/').collect());
    path.len() == route.len() && path.iter().zip(route).all(|(part, of)| of.starts_with('{') || *part == of)
}

#[test]
fn every_operator_route_is_tried_here() {
    let source = include_str!("../../src/web/mod.rs");
    let list = source.split_once("let operator = Routes::new()").and_then(|(_, rest)| rest.split_once(".router"));
    let mut routes = 0;
    for (route, methods) in
        list.expect("the list").0.split(".at(\"").skip(1).map(|line| line.split_once('"').expect("a path"))
    {
        for (method, handler) in
            [(Method::GET, "get("), (Method::POST, "post("), (Method::PUT, ".put("), (Method::DELETE, ".delete(")]
        {
            if methods.contains(handler) {
                let is_tried = operator_routes().iter().any(|(tried, path)| *tried == method && matches(path, route));
                assert!(is_tried, "{method} {route}");
                routes += 1;
            }
        }
    }
    assert!(routes >= 12, "{routes}");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_name_where_json_or_text_is_answered() {
    let world = World::new().await;
    // Pages and audio, what goes to AssemblyAI, and what is refused anyway.
    let ignoring = ["/", "/transcribe", "/recordings", "/logout", "/no/such/path"];
    let mut refused = 0;
    for (method, path) in operator_routes() {
        let is_page = method == Method::GET && path.ends_with("/delete");
        if is_page || path == "/" || ignoring[1..].iter().any(|ignoring| path.starts_with(ignoring)) {
            continue;
        }
        let path = format!("{path}{}progres=failed&weight=5", if path.contains('?') { '&' } else { '?' });
        let (headers, body) =
            if method == Method::POST { (&[FORM, TUS][..], "number=14155551234") } else { (&[TUS][..], "") };
        let detail = world.send(method, &path, headers, body).await.problem(400, "bad-request");
        assert_eq!(detail, "there is no parameter \"progres\" or \"weight\" here", "{path}");
        refused += 1;
    }
    assert!(refused >= 12, "{refused}");
    let detail = world.post_form("/calls", "number=14155551234&keyterm=Ahoy").await.problem(400, "bad-request");
    assert_eq!(detail, "there is no parameter \"keyterm\" here");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn pages_ignore_parameters_that_they_do_not_know() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let page = [("accept", "text/html")];
    for path in ["/", "/calls", "/transcribe", "/help", &format!("/calls/{call}"), &format!("/calls/{call}/delete")] {
        assert_eq!(world.get_with(&format!("{path}?utm_source=mail"), &page).await.status, 200, "{path}");
    }
    let answer = world.get(&format!("/transcript/{id}?format=html&utm_source=mail")).await;
    assert_eq!(answer.status, 303);
    assert_eq!(world.get("/login?utm_source=mail").await.status, 303);
    // Here a browser gets text, too.
    for path in [format!("/transcript/{id}?fromat=text"), format!("/get-recording-url/{call}?format=json")] {
        assert_eq!(world.get_with(&path, &page).await.status, 400, "{path}");
    }
}

/// Every route for the vendors and for monitoring.
const PUBLIC_ROUTES: [&str; 6] =
    ["/record/", "/record/done/", "/hooks/twilio/call", "/hooks/twilio/recording", "/hooks/assemblyai", "/healthz"];

/// A raw request with these header lines.
fn request(method: &Method, target: &str, version: &str, lines: &[String]) -> String {
    let (kind, body) = match *method {
        Method::POST => ("Content-Type: application/json\r\n", r#"{"recording_url":"https://example.com/a.mp3"}"#),
        _ => ("", ""),
    };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{method} {target} {version}\r\n{lines}{kind}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The problem in an answer, without its request id.
fn problem_without_id(answer: &Answer) -> Value {
    let mut problem = answer.json();
    let id = problem.as_object_mut().expect("an object").remove("request_id").expect("a request id");
    assert_eq!(id, answer.header("x-request-id"));
    problem
}

/// A row of `fixtures/hosts.tsv` or `fixtures/fetch_metadata.tsv`: its name, its outcome, and the lines of the request.
struct Row {
    name: String,
    outcome: String,
    lines: Vec<String>,
}

/// Reads the rows of a table. `{port}` stands for the program's port.
fn rows(table: &str, world: &World) -> Vec<Row> {
    let port = world.base.rsplit_once(':').expect("a port").1;
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut cells = line.split('\t').map(|cell| cell.replace("{port}", port));
        let mut next = || cells.next().expect("a name and an outcome");
        Row { name: next(), outcome: next(), lines: cells.collect() }
    });
    rows.collect()
}

/// Sends the request of the row, checks its outcome, and checks that the program still answers. `numbers` counts the phone
/// numbers used.
async fn assert_outcome(world: &World, Row { name, outcome, lines }: &Row, numbers: &AtomicUsize) {
    let (calls, vendor_requests) = (world.calls_placed(), world.vendor_requests());
    // Each call needs a number of its own, because the previous call would block a second one to the same number.
    let number = numbers.fetch_add(1, Ordering::Relaxed);
    let lines: String = lines
        .iter()
        .map(|line| line.replace("14155551234", &format!("1415555{:04}", 2_000 + number)) + "\r\n")
        .collect();
    let request = format!("{lines}Connection: close\r\n\r\n");
    if outcome == "unread" {
        let answer = world.raw(&request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
    } else {
        let answer = world.raw_answer(&request).await;
        let expected: &[u16] = match outcome.as_str() {
            "dials" => &[200, 303],
            "asks" => &[200],
            // hyper refuses some requests with 400 before they reach our code.
            "refused" => &[403, 400],
            "later" => &[503],
            outcome => panic!("{name}: unknown outcome {outcome}"),
        };
        assert!(expected.contains(&answer.status.as_u16()), "{name}: {} {}", answer.status, answer.text());
        assert!(answer.status != 400 || answer.body.is_empty(), "{name}");
        assert_eq!(outcome == "asks", answer.text().contains("action=\"/calls\""), "{name}");
    }
    assert_eq!(world.calls_placed() - calls, usize::from(outcome == "dials"), "{name}");
    if outcome != "dials" {
        assert_eq!(world.vendor_requests(), vendor_requests, "{name}: a vendor received a request");
    }
    assert_eq!(world.get("/healthz").await.text(), "ok\n", "{name}: the program does not answer");
}

#[tokio::test]
async fn only_the_host_names_of_this_computer_dial() {
    let world = World::new().await;
    let (rows, numbers) = (rows(HOSTS, &world), AtomicUsize::new(0));
    assert!(rows.len() >= 45, "{}", rows.len());
    for row in &rows {
        assert_outcome(&world, row, &numbers).await;
    }
}

#[tokio::test]
async fn no_page_and_no_prefetch_of_a_browser_dials() {
    let world = World::new().await;
    let (rows, numbers) = (rows(FETCH_METADATA, &world), AtomicUsize::new(0));
    assert!(rows.len() >= 40, "{}", rows.len());
    for mut row in rows {
        row.lines.splice(0..0, ["GET /dial/14155551234 HTTP/1.1".to_owned(), format!("Host: {}", local(&world))]);
        assert_outcome(&world, &row, &numbers).await;
    }
}

/// The program's host and port as a browser's address bar shows them.
fn local(world: &World) -> String {
    world.base.replace("http://127.0.0.1", "localhost")
}

/// The headers of all refused rows of `fixtures/hosts.tsv` that use HTTP/1.1 and a relative target.
fn refused_headers(world: &World) -> Vec<Vec<String>> {
    let is_plain = |row: &Row| row.outcome == "refused" && row.lines[0] == "GET /dial/14155551234 HTTP/1.1";
    rows(HOSTS, world).into_iter().filter(is_plain).map(|row| row.lines[1..].to_vec()).collect()
}

/// Asserts that every operator route refuses these headers with the same problem, and that no vendor receives a request.
/// Returns the problem, or `None` if hyper refused every request itself.
async fn assert_refused(world: &World, version: &str, origin: &str, lines: &[String]) -> Option<Value> {
    let before = world.vendor_requests();
    let mut first = None;
    for (method, path) in operator_routes() {
        let answer = world.raw_answer(&request(&method, &format!("{origin}{path}"), version, lines)).await;
        // hyper refuses some requests before they reach our code.
        if answer.status == 400 {
            assert_eq!(answer.body, b"", "{lines:?} {path}");
            continue;
        }
        answer.problem(403, "forbidden");
        let problem = problem_without_id(&answer);
        assert_eq!(*first.get_or_insert_with(|| problem.clone()), problem, "{lines:?} {method} {path}");
        assert_guarded(&answer);
    }
    assert_eq!(world.vendor_requests(), before, "{lines:?}");
    first
}

#[tokio::test]
async fn a_stranger_gets_the_same_refusal_everywhere() {
    let world = World::new().await;
    let headers = refused_headers(&world);
    assert!(headers.len() >= 60, "{}", headers.len());
    let mut refusals = Vec::new();
    for lines in headers {
        refusals.extend(assert_refused(&world, "HTTP/1.1", "", &lines).await);
    }
    assert!(refusals.len() >= 55, "{} were refused by our code", refusals.len());
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]));
    assert!(!refusals[0].to_string().contains("evil"), "the problem echoes the request");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn http_1_0_which_default_proxies_speak_is_refused() {
    let world = World::new().await;
    for host in ["localhost", "127.0.0.1:8000", "[::1]"] {
        assert!(assert_refused(&world, "HTTP/1.0", "", &[format!("Host: {host}")]).await.is_some());
    }
    assert!(assert_refused(&world, "HTTP/1.0", "", &[]).await.is_some());
}

#[tokio::test]
async fn a_target_that_names_another_authority_than_the_host_is_refused() {
    let world = World::new().await;
    for (origin, host) in [
        ("http://localhost:8000", "evil.example"),
        ("http://localhost:8000", "localhost"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://localhost", "localhost:8000"),
        ("http://evil.example", "localhost"),
        ("http://evil.example", "evil.example"),
        ("https://evil.example:443", "localhost:443"),
        ("http://localhost@evil.example", "localhost"),
        ("http://evil.example@localhost", "localhost"),
        ("http://0.0.0.0:8000", "0.0.0.0:8000"),
    ] {
        assert_refused(&world, "HTTP/1.1", origin, &[format!("Host: {host}")]).await;
    }
    let absolute = |host: &str| request(&Method::GET, "http://LocalHost:8000/", "HTTP/1.1", &[format!("Host: {host}")]);
    assert_eq!(world.raw_answer(&absolute("localhost:8000")).await.status, 200);
    assert_eq!(world.raw_answer(&absolute("evil.example")).await.status, 403);
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let world = World::new().await;
    let answer = world.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    let upgrade = ["Host: localhost", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"].map(str::to_owned);
    assert_eq!(world.raw_answer(&request(&Method::GET, "/", "HTTP/1.1", &upgrade)).await.status, 200);
}

#[tokio::test]
async fn requests_that_name_this_computer_are_served() {
    let numbers = AtomicUsize::new(0);
    for name in ["localhost", "LOCALHOST", "LocalHost", "127.0.0.1", "[::1]"] {
        let world = World::new().await;
        let port = world.base.rsplit_once(':').expect("a port").1.to_owned();
        for host in [name.to_owned(), format!("{name}:{port}"), format!("{name}:8000"), format!("{name}:65535")] {
            let lines = [format!("Host: {host}")];
            let ask = async |path: &str| world.raw_answer(&request(&Method::GET, path, "HTTP/1.1", &lines)).await;
            assert_eq!(ask("/").await.status, 200, "{host}");
            let number = format!("/dial/141555502{:02}", numbers.fetch_add(1, Ordering::Relaxed));
            let answer = ask(&number).await;
            assert_eq!(answer.status, 200, "{host}: {}", answer.text());
            ask("/no/such/path").await.problem(404, "no-such-path");
            ask(&format!("/calls/{CALL}")).await.problem(404, "vendor-not-found");
        }
        assert_eq!(world.calls_placed(), 4, "{name}");
    }
}

/// Headers that Chromium sends when its user enters an address.
const CHROMIUM: [(&str, &str); 11] = [
    ("sec-ch-ua", "\"Chromium\";v=\"156\", \"Not.A/Brand\";v=\"24\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("upgrade-insecure-requests", "1"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-user", "?1"),
    ("sec-fetch-dest", "document"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
];

/// Headers that Firefox sends when its user enters an address.
const FIREFOX: [(&str, &str); 9] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-user", "?1"),
    ("priority", "u=0, i"),
];

/// Fetch metadata headers, from "site mode destination user". A dash leaves its header out.
fn fetch_metadata(row: &str) -> Vec<(&str, &str)> {
    let names = ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user"];
    names.into_iter().zip(row.split(' ')).filter(|(_, value)| *value != "-").collect()
}

#[tokio::test]
async fn a_typed_address_dials() {
    let world = World::new().await;
    let reader = [("accept", "text/html"), ("user-agent", "Lynx/2.9")];
    let own_page = [("accept", "text/html")].into_iter().chain(fetch_metadata("same-origin navigate document ?1"));
    let own_page: Vec<_> = own_page.collect();
    for (number, headers) in [&CHROMIUM[..], &FIREFOX, &reader, &own_page].into_iter().enumerate() {
        let answer = world.get_with(&format!("/dial/1415555010{number}"), headers).await;
        assert_eq!(answer.status, 303, "{headers:?}: {}", answer.text());
        assert!(answer.header("location").starts_with("/calls/CA"));
        assert_eq!(world.calls_placed(), number + 1);
    }
}

#[tokio::test]
async fn a_program_dials() {
    let world = World::new().await;
    let curl = [("user-agent", "curl/8.14.1"), ("accept", "*/*")];
    let python = [("user-agent", "python-requests/2.32"), ("accept", "*/*"), ("connection", "keep-alive")];
    for (number, headers) in [&curl[..], &python, &[]].into_iter().enumerate() {
        let answer = world.get_with(&format!("/dial/1415555010{number}"), headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        assert_eq!(world.calls_placed(), number + 1);
    }
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let world = World::new().await;
    let ways = [
        "navigate document ?1",
        "navigate document -",
        "navigate iframe ?1",
        "navigate iframe -",
        "navigate object -",
        "navigate embed -",
        "no-cors image -",
        "no-cors script -",
        "no-cors style -",
        "no-cors audio -",
        "no-cors video -",
        "no-cors empty -",
        "cors empty -",
        "cors font -",
        "same-origin empty -",
        "websocket websocket -",
        "- - -",
    ];
    let sites = ["cross-site", "same-site", "Same-Origin", "NONE", "unknown", "", "none,none", "same-origin;x"];
    for site in sites {
        for way in ways {
            let row = format!("{site} {way}");
            let headers = fetch_metadata(&row);
            for (method, path) in operator_routes() {
                let answer = world.send(method, &path, &headers, "").await;
                assert_eq!(
                    answer.problem(403, "forbidden"),
                    "requests from other websites are not allowed",
                    "{headers:?}"
                );
            }
        }
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn what_a_page_loads_without_a_click_does_not_dial() {
    let world = World::new().await;
    let rows = [
        "same-origin navigate document -",
        "same-origin navigate iframe ?1",
        "same-origin navigate object ?1",
        "same-origin navigate embed -",
        "same-origin no-cors image -",
        "same-origin no-cors script -",
        "same-origin no-cors style -",
        "same-origin no-cors audio -",
        "same-origin no-cors empty -",
        "same-origin cors empty -",
        "same-origin cors empty ?1",
        "same-origin same-origin empty -",
        "same-origin - - -",
        "none navigate document ?0",
        "none navigate document 1",
        "none navigate document ?1;x",
        "none navigate iframe ?1",
        "none no-cors image -",
        "none no-cors document ?1",
        "none cors empty -",
        "none Navigate document ?1",
        "none navigate Document ?1",
        "none - document ?1",
        "none navigate - ?1",
        "none - - -",
        "- navigate document -",
        "- no-cors image -",
        "- - - ?1",
        "- - image -",
        "- navigate - -",
    ];
    assert!(rows.len() >= 30);
    for row in rows {
        let mut headers = fetch_metadata(row);
        headers.push(("accept", "*/*"));
        let answer = world.get_with("/dial/14155551234", &headers).await;
        answer.problem(403, "forbidden");
        assert_eq!(world.vendor_requests(), 0, "{row}");
    }
}

#[tokio::test]
async fn a_request_with_repeated_fetch_metadata_is_refused() {
    let world = World::new().await;
    let typed = ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1"];
    let more = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-User: ?0",
    ];
    let send = async |lines: Vec<&str>| {
        let lines: Vec<String> = ["Host: localhost"].into_iter().chain(lines).map(str::to_owned).collect();
        world.raw_answer(&request(&Method::GET, "/dial/14155551234", "HTTP/1.1", &lines)).await
    };
    for second in more {
        send([&typed[..], &[second]].concat()).await.problem(403, "forbidden");
        send([&[second], &typed[..]].concat()).await.problem(403, "forbidden");
    }
    assert_eq!(world.vendor_requests(), 0);
    assert_eq!(send(typed.to_vec()).await.status, 200);
}

#[tokio::test]
async fn every_operator_route_refuses_prefetches() {
    let world = World::new().await;
    let hints = [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("sec-purpose", "PREFETCH"),
        ("sec-purpose", ""),
        ("purpose", "prefetch"),
        ("purpose", "preview"),
        ("x-purpose", "preview"),
        ("x-purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ];
    for hint in hints {
        for browser in [&CHROMIUM[..], &FIREFOX, &[]] {
            let headers = [browser, &[hint]].concat();
            for (method, path) in operator_routes() {
                let answer = world.send(method.clone(), &path, &headers, "").await;
                assert_eq!(answer.status, 503, "{hint:?} {method} {path}");
                assert_eq!(answer.header("cache-control"), "no-store");
                assert_guarded(&answer);
            }
        }
        // The program checks for a prefetch before it checks anything else.
        let answer =
            world.get_with("/dial/14155551234", &[hint, ("sec-fetch-site", "cross-site"), ("host", "evil")]).await;
        answer.problem(503, "speculative");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn no_page_of_another_site_can_request_a_transcript() {
    let world = World::new().await;
    let port = world.base.rsplit_once(':').expect("a port").1;
    let body = json!({ "recording_url": "https://example.com/a.mp3", "again": true }).to_string();
    let post = async |headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        world.send(Method::POST, "/transcribe", &headers, &body).await
    };
    let (same_port, other_port) = (format!("http://localhost:{port}"), "http://127.0.0.1:3000");
    let foreign = [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://localhost",
        &same_port,
        other_port,
        &format!("{}.evil.example", world.base),
        &format!("{}/", world.base),
        &world.base.to_uppercase(),
        &world.base.replace("http:", "file:"),
        &format!("{} {}", world.base, world.base),
    ];
    for origin in foreign {
        post(&[("origin", origin)]).await.problem(403, "forbidden");
    }
    for row in ["cross-site cors empty -", "same-site navigate document ?1", "none navigate document ?1", "none - - -"]
    {
        let headers = fetch_metadata(row);
        post(&headers).await.problem(403, "forbidden");
        post(&[&headers[..], &[("origin", world.base.as_str())]].concat()).await.problem(403, "forbidden");
    }
    assert_eq!(world.vendor_requests(), 0);

    let own = ("origin", world.base.as_str());
    let same_origin = [&fetch_metadata("same-origin navigate document ?1")[..], &[own]].concat();
    for headers in [&[][..], &[own], &same_origin] {
        let answer = post(headers).await;
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
    }
    assert_eq!(world.transcript_requests().len(), 3);
}

const TOKEN: &str = "operator:secret-1";

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[tokio::test]
async fn a_token_lets_an_operator_in_from_elsewhere() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let valid = [
        format!("Bearer {TOKEN}"),
        format!("bearer {TOKEN}"),
        format!("BEARER {TOKEN}"),
        basic(&format!("operator:{TOKEN}")),
        basic(&format!(":{TOKEN}")),
        basic(&format!("anybody:{TOKEN}")).replacen("Basic", "basic", 1),
    ];
    let elsewhere = [("x-forwarded-for", "203.0.113.7"), ("host", "example.ngrok.app")];
    for (number, authorization) in valid.iter().enumerate() {
        let headers = [&elsewhere[..], &[("authorization", authorization)]].concat();
        assert_eq!(world.get_with("/", &headers).await.status, 200, "{authorization}");
        let found = world.get_with(&format!("/calls/{CALL}"), &headers).await;
        found.problem(404, "vendor-not-found");
        assert!(world.vendor_requests() > number);
    }
    // A local request needs no token.
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.get_with("/", &[("authorization", "Bearer wrong")]).await.status, 200);
}

#[tokio::test]
async fn nobody_gets_in_from_elsewhere_without_the_token() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let wrong = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Bearer {TOKEN} {TOKEN}"),
        format!("Bearer={TOKEN}"),
        TOKEN.to_owned(),
        format!("Digest {TOKEN}"),
        format!("Token {TOKEN}"),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic ====".to_owned(),
        format!("Basic {TOKEN}"),
        basic(""),
        basic(":"),
        basic("operator:"),
        basic("operator:wrong"),
        basic(TOKEN),
        basic(&format!("{TOKEN}:")),
        basic(&format!("{TOKEN}:operator")),
        basic(&format!("operator:{TOKEN}\0")),
    ];
    let forwarded = [("x-forwarded-for", "127.0.0.1")];
    let stranger = [("host", "example.ngrok.app")];
    let mut first = None;
    let mut assert_token_needed = |answer: Answer, what: &str| {
        answer.problem(401, "token-needed");
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{what}");
        let problem = problem_without_id(&answer);
        assert_eq!(*first.get_or_insert_with(|| problem.clone()), problem, "{what}");
        assert_guarded(&answer);
    };
    for elsewhere in [&forwarded[..], &stranger] {
        for (method, path) in operator_routes() {
            assert_token_needed(world.send(method, &path, elsewhere, "").await, &path);
        }
        for authorization in &wrong {
            let headers = [elsewhere, &[("authorization", authorization)]].concat();
            assert_token_needed(world.get_with("/dial/14155551234", &headers).await, authorization);
        }
        assert_token_needed(world.get_with(&format!("/?token={TOKEN}"), elsewhere).await, "a query");
        let cookie = format!("token={TOKEN}");
        assert_token_needed(world.get_with("/", &[elsewhere, &[("cookie", &cookie)]].concat()).await, "a cookie");
    }
    let (good, bad) = (format!("Authorization: Bearer {TOKEN}"), "Authorization: Bearer wrong".to_owned());
    for pair in [[&good, &bad], [&bad, &good], [&good, &good]] {
        let lines = ["Host: evil.example".to_owned(), pair[0].clone(), pair[1].clone()];
        let answer = world.raw_answer(&request(&Method::GET, "/", "HTTP/1.1", &lines)).await;
        assert_token_needed(answer, "two tokens");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_token_lets_no_page_of_another_site_in() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let authorization = basic(&format!("operator:{TOKEN}"));
    let remote = [("authorization", authorization.as_str()), ("host", "example.ngrok.app")];
    for row in ["cross-site navigate document ?1", "same-site no-cors image -"] {
        let headers = [&remote[..], &fetch_metadata(row)].concat();
        world.get_with("/dial/14155551234", &headers).await.problem(403, "forbidden");
    }
    let headers = [&remote[..], &fetch_metadata("same-origin no-cors image -")].concat();
    world.get_with("/dial/14155551234", &headers).await.problem(403, "forbidden");
    let headers = [&remote[..], &[("sec-purpose", "prefetch")]].concat();
    world.get_with("/dial/14155551234", &headers).await.problem(503, "speculative");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn vendors_are_served_from_anywhere() {
    let world = World::new().await;
    let signed = |path: &str| sign(&format!("{}{path}", world.base), &CALL_PARAMS);
    for origin in [
        vec![("host", "example.ngrok.app"), ("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")],
        vec![("host", "evil.example"), ("forwarded", "for=203.0.113.7"), ("via", "1.1 x")],
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("purpose", "prefetch")],
    ] {
        assert_eq!(world.get_with("/healthz", &origin).await.text(), "ok\n");
        for (path, status) in [("/record/", 200), ("/record/done/", 200), ("/hooks/twilio/call", 204)] {
            let signature = signed(path);
            let headers = [&origin[..], &[FORM, (signature::HEADER, &signature)]].concat();
            let answer = world.send(Method::POST, path, &headers, &encode(&CALL_PARAMS)).await;
            assert_eq!(answer.status, status, "{path} {origin:?}");
            let detail = world.send(Method::POST, path, &origin, "").await.problem(403, "forbidden");
            assert!(detail.contains("X-Twilio-Signature"), "{detail}");
        }
        let headers = [&origin[..], &[(SECRET_HEADER, "x")]].concat();
        world.send(Method::POST, "/hooks/assemblyai?job=1", &headers, "{}").await.problem(401, "bad-webhook-secret");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn head_never_dials() {
    let world = World::new().await;
    for path in ["/dial/14155551234", "/dial/+14155551234/", "/dial/x", "/dial/14155551234?keyterms=a"] {
        let answer = world.send(Method::HEAD, path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET"), "{path}");
        assert_eq!(answer.body, b"");
    }
    for (_, path) in operator_routes() {
        world.send(Method::HEAD, &path, &[], "").await;
    }
    assert_eq!(world.calls_placed(), 0);
    assert_eq!(world.transcript_requests().len(), 0);
}

#[tokio::test]
async fn a_method_that_a_route_does_not_have_is_refused_everywhere() {
    let world = World::new().await;
    let mut paths: Vec<String> = operator_routes().into_iter().map(|(_, path)| path).collect();
    paths.pop().expect("the unknown path");
    paths.push("/assets/style.css".to_owned());
    paths.extend(PUBLIC_ROUTES.map(str::to_owned));
    paths.extend(PUBLIC_ROUTES.map(|path| match path.strip_suffix('/') {
        Some(path) => path.to_owned(),
        None => format!("{path}/"),
    }));
    let methods = [Method::OPTIONS, Method::PUT, Method::DELETE, Method::TRACE, Method::PATCH, "BREW".parse().unwrap()];
    for path in &paths {
        for method in &methods {
            let is_there = |(tried, route): &(Method, String)| tried == method && route == path;
            if operator_routes().iter().any(is_there) {
                continue;
            }
            let answer = world.send(method.clone(), path, &[], "").await;
            answer.problem(405, "method-not-allowed");
            let allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
            assert!(allowed.contains(&"GET") || allowed.contains(&"POST"), "{method} {path}: {allowed:?}");
            assert!(!allowed.contains(&method.as_str()));
            assert_guarded(&answer);
        }
    }
    for (path, allowed) in [("/", "GET,HEAD"), ("/dial/14155551234", "GET"), (&format!("/calls/{CALL}"), "GET,HEAD")] {
        let answer = world.send(Method::POST, path, &[], "").await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
    for path in ["/hooks/twilio/call", "/hooks/twilio/recording", "/hooks/assemblyai"] {
        let answer = world.get(path).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "POST", "{path}");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_stranger_is_refused_whatever_the_method() {
    let world = World::new().await;
    let stranger = [("host", "evil.example")];
    for (_, path) in operator_routes() {
        for method in [Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = world.send(method.clone(), &path, &stranger, "").await;
            answer.problem(403, "forbidden");
        }
        assert_eq!(world.send(Method::HEAD, &path, &stranger, "").await.status, 403, "{path}");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_a_problem() {
    let world = World::new().await;
    let paths = [
        "/no/such/path",
        "/dial",
        "/dial/",
        "/dial/1/2",
        "/Dial/14155551234",
        "//",
        "/record/done/x",
        "/recordx",
        "/hooks",
        "/hooks/twilio/",
        "/transcript/",
        "/favicon.ico",
        "/robots.txt",
        "/.env",
        "/..%2f..%2fetc/passwd",
        "/%ff",
        "/%00",
    ];
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let answer = world.send(method, path, &[], "").await;
            assert_eq!(answer.problem(404, "no-such-path"), "there is nothing at this URL", "{path}");
            assert_guarded(&answer);
        }
    }
    let page = world.get_with("/no/such/path", &[("accept", "text/html")]).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text().contains("there is nothing at this URL"));
    assert_eq!(world.vendor_requests(), 0);
}

/// Asserts the security headers of every answer, and the absence of CORS, `server` and `set-cookie` headers.
fn assert_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'; connect-src 'self';",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    // With no-referrer, the forms of a page would send `Origin: null`.
    let is_page = answer.header("content-type").starts_with("text/html");
    assert_eq!(answer.header("referrer-policy"), if is_page { "same-origin" } else { "no-referrer" });
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-request-id").len(), 32);
    for name in answer.headers.keys() {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name}");
        assert!(!name.as_str().starts_with("access-control-") && name != "server" && name != "set-cookie", "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_security_headers_and_none_is_shared() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    let request = json!({ "recording_url": world.media_url(&recording) });
    let transcript = world.post_json("/transcribe", &request).await;
    assert_guarded(&transcript);
    let id = transcript.json()["id"].as_str().expect("an id").to_owned();
    let paths = [
        "/".to_owned(),
        "/dial/14155559001".to_owned(),
        "/dial/x".to_owned(),
        format!("/calls/{call}"),
        format!("/get-recording-url/{call}"),
        format!("/get-recording-url/{CALL}"),
        format!("/recordings/{recording}.wav"),
        format!("/recordings/{RECORDING}"),
        "/transcribe".to_owned(),
        format!("/transcript/{id}?wait=60"),
        format!("/transcript/{id}?format=text"),
        format!("/transcript/{id}?format=vtt"),
        format!("/transcript/{TRANSCRIPT}"),
        "/assets/style.css".to_owned(),
        "/calls".to_owned(),
        "/login".to_owned(),
        "/logout".to_owned(),
        "/_probe/x".to_owned(),
        "/healthz".to_owned(),
        "/readyz".to_owned(),
        "/record/".to_owned(),
        "/no/such/path".to_owned(),
    ];
    for path in paths {
        for headers in [&[][..], &[("accept", "text/html")], &[("origin", "https://evil.example")]] {
            assert_guarded(&world.get_with(&path, headers).await);
        }
        assert_guarded(&world.send(Method::OPTIONS, &path, &[("access-control-request-method", "GET")], "").await);
    }
    assert_guarded(&world.callback("/record/", &CALL_PARAMS).await);
    assert_guarded(&world.callback("/hooks/twilio/call", &CALL_PARAMS).await);
}

#[tokio::test]
async fn no_page_holds_a_link_or_a_form_that_dials_without_its_button() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let (call, _) = world.recorded_call().await;
    let safari = [("accept", "text/html"), ("user-agent", "Mozilla/5.0")];
    let call = format!("/calls/{call}");
    for path in ["/", "/calls", &call, "/transcribe", "/dial/14155551234", "/dial/x", "/no/such/path"] {
        let page = world.get_with(path, &safari).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        let page = page.text().to_lowercase();
        for attribute in ["href=", "src=", "action=", "content=", "data-href=", "formaction="] {
            for quote in ["\"", "'", ""] {
                for origin in ["", "http://localhost:8000", "."] {
                    let link = format!("{attribute}{quote}{origin}/dial");
                    assert!(!page.contains(&link), "{path} has {link}");
                }
            }
        }
        for form in page.split("<form").skip(1) {
            // One that searches, or that only closes a dialog.
            let is_harmless = form.contains("method=\"get\" action=\"/calls\"") || form.contains("method=\"dialog\"");
            assert!(is_harmless || form.trim_start().starts_with("method=\"post\""), "{path}: {form}");
        }
    }
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn no_cache_mixes_up_the_answers_to_different_clients() {
    let world = World::new().await;
    let prefetch = [("sec-purpose", "prefetch")];
    for answer in [
        world.get("/dial/14155551234").await,
        world.get_with("/dial/14155551234", &[("user-agent", "Mozilla/5.0")]).await,
        world.get_with("/dial/14155551234", &prefetch).await,
        world.get_with("/calls", &[("host", "evil.example")]).await,
        world.get("/login").await,
    ] {
        for name in ["accept", "cookie", "sec-purpose", "sec-fetch-site", "sec-fetch-mode", "user-agent"] {
            assert!(answer.header("vary").split(", ").any(|other| other == name), "{name}: {}", answer.header("vary"));
        }
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_refusal_does_not_reveal_what_exists() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let call = world.dial("14155551234").await;
    let stranger = [("host", "example.ngrok.app")];
    let mut first = None;
    for path in [format!("/calls/{call}"), format!("/calls/{CALL}"), "/calls".to_owned(), "/nothing".to_owned()] {
        let answer = world.get_with(&path, &stranger).await;
        answer.problem(401, "token-needed");
        let refusal = (problem_without_id(&answer), answer.headers.len());
        assert_eq!(*first.get_or_insert_with(|| refusal.clone()), refusal, "{path}");
    }
}
