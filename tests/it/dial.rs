//! `/dial/<number>`.

use callscribe::sandbox::control::{Fault, LateEnd};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::World;
use crate::support::navigation::{OPENED, PRESSED, TYPED};

#[tokio::test]
async fn dialing_answers_with_the_tutorials_sentence() {
    let world = World::new().await;
    for path in ["/dial/14155551234", "/dial/+14155551234", "/dial/%2B14155551234", "/dial/14155551234/"] {
        world.settle().await;
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        let text = answer.text();
        let sid = text.strip_prefix("dialing +14155551234. call SID is: ").expect("the sentence").trim_end();
        assert!(world.twilio.call_status(sid).is_some(), "Twilio has no call {sid}");
    }
    assert_eq!(world.calls_placed(), 4);
}

#[tokio::test]
async fn a_call_is_placed_with_every_callback_absolute_and_a_time_limit() {
    let world = World::with(&[("MAX_CALL_SECONDS", "90")]).await;
    world.dial("14155551234").await;
    let seen = world.twilio.control.requests_to(Method::POST, "/Calls.json");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen[0].body).into_owned().collect();
    let base = &world.base;
    let token = form[2].1.rsplit_once("?t=").expect("a token").1;
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let expected = [
        ("To", "+14155551234"),
        ("From", "+15005550006"),
        ("Url", &format!("{base}/record/?t={token}")),
        ("Method", "POST"),
        ("StatusCallback", &format!("{base}/hooks/twilio/call?t={token}")),
        ("StatusCallbackMethod", "POST"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("TimeLimit", "90"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_browser_is_redirected_to_the_calls_page_which_begins_with_the_sentence() {
    let world = World::new().await;
    let answer = world.get_with("/dial/14155551234", &TYPED).await;
    assert_eq!(answer.status, 303);
    let sentence = answer.text();
    let location = answer.header("location").to_owned();
    assert!(sentence.starts_with("dialing +14155551234. call SID is: CA"));
    assert_eq!(location, format!("/calls/{}", answer.call_sid()));

    for _ in 0..3 {
        let page = world.get_with(&location, &TYPED).await;
        assert_eq!(page.status, 200);
        let main = page.text().split_once("<main>").expect("a main part").1.to_owned();
        let first = main.split_once("</p>").expect("a paragraph").0.trim().to_owned();
        assert_eq!(first.rsplit('>').next().unwrap(), sentence.trim());
    }
    assert_eq!(world.calls_placed(), 1, "a reload of the page dialed");
}

/// Dials and waits until Twilio has received the request. Returns the open connection.
async fn dial_until_twilio_is_asked(world: &World) -> TcpStream {
    let twilio = &world.twilio.control;
    let mut browser = TcpStream::connect(world.base.trim_start_matches("http://")).await.unwrap();
    browser.write_all(b"GET /dial/14155551234 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    twilio.until(|| (!twilio.requests_to(Method::POST, "/Calls.json").is_empty()).then_some(())).await;
    browser
}

#[tokio::test]
async fn a_dial_waits_for_twilios_answer_although_the_browser_is_closed() {
    let world = World::new().await;
    let twilio = &world.twilio.control;
    twilio.fail_next(Method::POST, "/Calls.json", Fault::Late);
    let mut browser = dial_until_twilio_is_asked(&world).await;
    browser.shutdown().await.unwrap();
    assert_eq!(browser.read_to_end(&mut Vec::new()).await.unwrap(), 0, "the program answered a closed connection");

    twilio.answer_late_requests();
    let end = twilio.until(|| twilio.late_ends().first().copied()).await;
    assert_eq!(end, LateEnd::Answered);
}

#[tokio::test]
async fn a_stop_waits_for_the_answer_to_a_call_although_the_browser_is_closed() {
    let world = World::new().await;
    let twilio = world.twilio.control.clone();
    twilio.fail_next(Method::POST, "/Calls.json", Fault::Late);
    drop(dial_until_twilio_is_asked(&world).await);
    let mut stop = Box::pin(world.app.stop());
    while TcpStream::connect(world.base.trim_start_matches("http://")).await.is_ok() {
        assert!(futures_util::poll!(&mut stop).is_pending());
    }
    // The listener is closed, so the stop waits for Twilio's answer alone.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(futures_util::poll!(&mut stop).is_pending(), "the program stopped without the answer");
    }
    twilio.answer_late_requests();
    stop.await;
    assert_eq!(twilio.late_ends(), [LateEnd::Answered]);
}

#[tokio::test]
async fn a_browser_without_sec_fetch_user_is_asked_before_it_dials() {
    let world = World::new().await;
    let form = world.get_with("/dial/14155551234?keyterms=a%20%22b%22", &OPENED).await;
    assert_eq!((form.status.as_u16(), form.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in ["action=\"/calls\"", "value=\"+14155551234\"", "value=\"a &#34;b&#34;\""] {
        assert!(form.text().contains(part), "{part} is not in {}", form.text());
    }
    assert_eq!(world.calls_placed(), 0);

    let pressed = world.send(Method::POST, "/calls", &PRESSED, "number=%2B14155551234&keyterms=a").await;
    assert_eq!(pressed.status, 303);
    assert!(pressed.header("location").starts_with("/calls/CA"));
    assert_eq!(world.calls_placed(), 1);
    world.post_form("/calls", "number=911").await.problem(400, "bad-request");
    world.post_form("/calls", "").await.problem(400, "bad-request");
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_tag_stays_with_its_call_until_the_call_is_deleted() {
    let world = World::new().await;
    let said = world.get("/dial/14155551234?tag=%20spring%20%3Cb%3E").await.text();
    let sid = said.trim_end().rsplit(' ').next().expect("a SID");
    assert_eq!(world.call(sid).await["tag"], "spring <b>");
    assert_eq!(world.get("/calls").await.json()["calls"][0]["tag"], "spring <b>");
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains("Tag: <bdi>spring &#60;b&#62;</bdi>"), "{page}");
    world.settle().await;
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE tag IS NOT NULL").await, 0);

    // A browser that is asked first does not lose it.
    let asked = world.get_with("/dial/14155551234?tag=summer", &OPENED).await.text();
    assert!(asked.contains("name=\"tag\" value=\"summer\""), "{asked}");
    let pressed = world.send(Method::POST, "/calls", &PRESSED, "number=%2B14155551234&tag=summer").await;
    let call = pressed.header("location").rsplit('/').next().expect("a SID").to_owned();
    assert_eq!(world.call(&call).await["tag"], "summer");
    let refused = world.get_with("/dial/1415?tag=summer", &OPENED).await.text();
    let field = refused.split('<').find(|tag| tag.contains("name=\"tag\"")).expect("the field");
    assert!(field.contains("value=\"summer\""), "{field}");

    let without = world.get("/dial/14155551235?tag=%20").await.text();
    assert_eq!(world.call(without.trim_end().rsplit(' ').next().expect("a SID")).await["tag"], serde_json::Value::Null);
    let placed = world.calls_placed();
    let long = world.get(&format!("/dial/14155551236?tag={}", "a".repeat(201))).await;
    assert_eq!(long.problem(400, "bad-request"), "tag: expected at most 200 characters; this one has 201");
    assert_eq!(world.calls_placed(), placed);
}
