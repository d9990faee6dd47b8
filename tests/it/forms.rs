//! Forms of pages that are refused: they come back with what was typed in them, the reason, and the field to change.

use reqwest::Method;
use url::form_urlencoded;

use crate::support::navigation::PRESSED;
use crate::support::{Answer, World, refuse};

const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// Sends a form as a browser does.
async fn submit(world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    world.send(Method::POST, path, &PRESSED, &form).await
}

/// Asserts that the page of an answer has this text in each of these fields, and marks this one, next to a reason that
/// contains these words.
fn assert_comes_back(answer: &Answer, status: u16, fields: &[(&str, &str)], marked: &str, words: &str) {
    let page = answer.text();
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, "text/html; charset=utf-8"), "{page}");
    for (name, value) in fields {
        let field = page.split("<input ").find(|field| {
            field.starts_with(&format!("name=\"{name}\"")) && field.contains(&format!("value=\"{value}\""))
        });
        let field = field.unwrap_or_else(|| panic!("{name} with {value} in {page}"));
        let is_marked = field
            .split('>')
            .next()
            .is_some_and(|tag| tag.contains("aria-invalid=\"true\" aria-describedby=\"refusal\""));
        assert_eq!(is_marked, *name == marked, "{name} in {page}");
    }
    let reason = page.split_once("id=\"refusal\"").expect("a reason").1.split("</p>").next().expect("an end");
    assert!(reason.contains(words), "{words} in {reason}");
    assert_eq!(page.matches("id=\"refusal\"").count(), 1, "{page}");
    assert!(!page.contains("<dt>Status</dt>"), "{page}");
}

#[tokio::test]
async fn a_form_that_dials_comes_back_with_what_was_typed_and_the_reason() {
    let world = World::new().await;
    let long = "one two three four five six seven";
    for (number, keyterms, status, marked, words) in [
        ("+44 20 7946 0000", "Ahoy, &lt;", 403, "number", "DIAL_COUNTRIES allows only"),
        ("+1 415 555 121", "Ahoy", 403, "number", "This number cannot be called"),
        ("a friend", "Ahoy", 400, "number", "Invalid request"),
        ("415 555", "", 400, "number", "this is no number of"),
        ("+14155551234", long, 400, "keyterms", "has 7 words"),
    ] {
        let answer = submit(&world, "/calls", &[("number", number), ("keyterms", keyterms), ("press", NONCE)]).await;
        let keyterms = keyterms.replace('&', "&#38;");
        assert_comes_back(&answer, status, &[("number", number), ("keyterms", &keyterms)], marked, words);
        assert!(answer.text().contains(&format!("name=\"press\" value=\"{NONCE}\"")), "{}", answer.text());
    }
    assert_eq!(world.vendor_requests(), 0);
    // A program gets the same as JSON.
    world.post_form("/calls", "number=442079460000").await.problem(403, "not-allowed");
}

#[tokio::test]
async fn a_form_that_comes_back_dials_once_however_often_it_is_sent() {
    let world = World::new().await;
    let fields = [("number", "+14155551234"), ("keyterms", "Ahoy"), ("press", NONCE)];
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(401));
    let answer = submit(&world, "/calls", &fields).await;
    assert_comes_back(&answer, 502, &fields[..2], "", "check TWILIO_ACCOUNT_SID");
    let first = submit(&world, "/calls", &fields).await;
    assert_eq!(first.status, 303, "{}", first.text());
    world.settle().await;
    let second = submit(&world, "/calls", &fields).await;
    assert_eq!(second.header("location"), format!("{}?dialled=before", first.header("location")));
}

#[tokio::test]
async fn a_typed_address_that_cannot_be_dialed_becomes_a_form_with_its_number() {
    let world = World::new().await;
    let typed = crate::support::navigation::TYPED;
    let answer = world.get_with("/dial/442079460000?keyterms=Ahoy", &typed).await;
    assert_comes_back(&answer, 403, &[("number", "442079460000"), ("keyterms", "Ahoy")], "number", "belongs to");
    let answer = world.get_with("/dial/my-friend", &typed).await;
    assert_comes_back(&answer, 400, &[("number", "my-friend")], "number", "digits");
    world.get("/dial/my-friend").await.problem(400, "bad-request");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_form_that_transcribes_comes_back_with_what_was_typed_and_the_reason() {
    let world = World::new().await;
    let foreign = "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Recordings/RE1";
    let long = "one two three four five six seven";
    for (url, keyterms, marked, words) in [
        (foreign, "Ahoy", "recording_url", "Not a recording of this account"),
        ("ftp://example.com/a.wav", "Ahoy", "recording_url", "expected a URL"),
        ("https://example.com/a.wav", long, "keyterms", "has 7 words"),
    ] {
        let fields = [("recording_url", url), ("keyterms", keyterms)];
        let answer = submit(&world, "/transcribe", &fields).await;
        assert_comes_back(&answer, 400, &fields, marked, words);
    }
    // The form of a recording on its call's page.
    let recording = "RE00000000000000000000000000000001";
    let answer = submit(&world, "/transcribe", &[("recording_sid", recording), ("keyterms", long)]).await;
    assert_comes_back(&answer, 400, &[("keyterms", long)], "keyterms", "has 7 words");
    assert!(answer.text().contains(&format!("name=\"recording_sid\" value=\"{recording}\"")), "{}", answer.text());

    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=keyterms\r\n\r\n{long}\r\n\
         --x\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\nRIFF\r\n--x--\r\n"
    );
    let headers = [PRESSED[0], ("content-type", "multipart/form-data; boundary=x")];
    let answer = world.send(Method::POST, "/transcribe", &headers, &body).await;
    assert_comes_back(&answer, 400, &[("keyterms", long)], "keyterms", "has 7 words");
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_search_that_cannot_be_read_comes_back_with_its_field_marked() {
    let world = World::new().await;
    let page = [("accept", "text/html")];
    for (query, field) in
        [("q=order&since=12026-11-28", "since"), ("number=1234&until=yesterday", "until"), ("state=gone", "state")]
    {
        let answer = world.get_with(&format!("/calls?{query}"), &page).await;
        let text = answer.text();
        assert_eq!(answer.status, 400, "{query}");
        let marked = format!("name=\"{field}\"");
        let marked = text.split('<').find(|tag| tag.contains(&marked)).expect("the field");
        assert!(marked.contains("aria-invalid=\"true\""), "{text}");
        assert!(text.contains(&format!("{field}: expected")) && !text.contains("<dt>Status</dt>"), "{text}");
    }
    let answer = world.get_with("/calls?q=order&number=1234&since=x", &page).await;
    assert_comes_back(&answer, 400, &[("q", "order"), ("number", "1234")], "", "since: expected");
}

#[tokio::test]
async fn the_page_of_a_deleted_call_says_that_it_is_deleted() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let path = format!("/calls/{call}");
    let answer = submit(&world, &format!("{path}/delete"), &[]).await;
    assert_eq!(answer.header("location"), path);
    world.settle().await;
    let answer = world.get_with(&path, &PRESSED[..1]).await;
    let page = answer.text();
    assert!(page.contains("<h1>Deleted</h1>") && page.contains("<a href=\"/items\">Back to the list</a>"), "{page}");
    assert!(!page.contains("Status") && !page.contains("410"), "{page}");
    world.get(&path).await.problem(410, "deleted");
}
