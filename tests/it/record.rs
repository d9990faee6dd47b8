//! `/record/`: the TwiML for a call, with any greeting, and that a call which follows it ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use callscribe::internals::signature;
use callscribe::sandbox::twilio::{Outcome, Twilio};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use reqwest::Method;

use crate::support::callbacks::{CALL_PARAMS, encode, sign};
use crate::support::rows::{Names, Row, rows};
use crate::support::{Answer, World};

/// Requests TwiML as Twilio does, with POST and GET, with and without the trailing slash. All responses must be equal.
async fn ask(world: &World, path: &str, base: &str) -> Answer {
    let mut answers = Vec::new();
    // A new call SID for each path, because the third response for one call differs.
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    for path in [path, path.trim_end_matches('/')] {
        let call = format!("CA{:032x}", CALLS.fetch_add(1, Ordering::Relaxed));
        let params = CALL_PARAMS.map(|(name, value)| (name, if name == "CallSid" { call.as_str() } else { value }));
        let signature = sign(&format!("{base}{path}"), &params);
        answers.push(world.signed(Method::POST, path, &signature, &encode(&params)).await);
        let path = format!("{path}?{}", encode(&params));
        let signature = sign(&format!("{base}{path}"), &[]);
        answers.push(world.get_with(&path, &[(signature::HEADER, &signature)]).await);
    }
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
        assert_eq!(answer.text(), answers[0].text());
    }
    answers.remove(0)
}

#[tokio::test]
async fn a_call_is_greeted_recorded_and_hung_up() {
    let world = World::with(&[("BASE_URL", "https://example.com")]).await;
    insta::assert_snapshot!("greeting", ask(&world, "/record/", "https://example.com").await.text());
}

#[tokio::test]
async fn after_the_recording_a_call_is_hung_up() {
    let world = World::with(&[("BASE_URL", "https://example.com")]).await;
    insta::assert_snapshot!("done", ask(&world, "/record/done/", "https://example.com").await.text());
}

#[tokio::test]
async fn the_document_follows_the_settings() {
    let settings = [
        ("BASE_URL", "https://example.com:8443/in/here/"),
        ("GREETING", "This call is recorded & transcribed."),
        ("MAX_CALL_SECONDS", "90"),
        ("GREETING_LANGUAGE", "en-GB"),
        ("GREETING_VOICE", "Polly.Amy-Neural"),
        ("SILENCE_SECONDS", "0"),
        ("FINISH_ON_KEY", "none"),
    ];
    let world = World::with(&settings).await;
    insta::assert_snapshot!("settings", ask(&world, "/record/", "https://example.com:8443/in/here").await.text());
}

/// An element under `<Response>`: its name, its attributes, its text.
type Element = (String, Vec<(String, String)>, String);

/// Parses a document strictly by XML 1.0: well-formed, allowed characters only, one `<Response>`.
fn read_strictly(xml: &str) -> Vec<Element> {
    let is_allowed = |char: char| matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    assert!(xml.chars().all(is_allowed), "characters that XML cannot hold: {xml:?}");
    assert!(!xml.contains("]]>"), "the end of a CDATA section outside of one: {xml:?}");
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_comments = true;
    let mut elements: Vec<Element> = Vec::new();
    let (mut depth, mut roots) = (0, 0);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error}: {xml:?}"));
        match event {
            Event::Decl(_) if depth == 0 && roots == 0 => {}
            Event::Start(ref start) | Event::Empty(ref start) => {
                match depth {
                    0 => {
                        assert_eq!(start.name().as_ref(), "Response");
                        roots += 1;
                    }
                    1 => elements.push((start.name().as_ref().to_owned(), attributes(start), String::new())),
                    _ => panic!("markup inside a verb: {xml:?}"),
                }
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) if depth == 2 => {
                assert!(!text.contains('<'), "{xml:?}");
                elements.last_mut().expect("an element").2 += &text.xml10_content();
            }
            Event::GeneralRef(reference) if depth == 2 => {
                let text = &mut elements.last_mut().expect("an element").2;
                match reference.resolve_char_ref().expect("a character") {
                    Some(character) => {
                        assert!(is_allowed(character), "a reference to what XML cannot hold: {xml:?}");
                        text.push(character);
                    }
                    None => *text += quick_xml::escape::resolve_predefined_entity(&reference).expect("a known entity"),
                }
            }
            Event::Eof => break,
            other => panic!("{other:?} at depth {depth}: {xml:?}"),
        }
    }
    assert_eq!((depth, roots), (0, 1), "{xml:?}");
    elements
}

fn attributes(start: &BytesStart<'_>) -> Vec<(String, String)> {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.expect("a well-formed attribute, once");
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).expect("a well-formed value");
        (attribute.key.as_ref().to_owned(), value.into_owned())
    });
    attributes.collect()
}

#[tokio::test]
async fn any_greeting_makes_a_valid_document_that_says_it() {
    let names = Names::new();
    let greetings: Vec<Row<'_>> = rows(include_str!("fixtures/bad_input/greetings.tsv"), 2, &names).collect();
    assert!(greetings.len() >= 15);
    for row in greetings {
        let greeting = &*row.text(0);
        let said = if row.cells[1] == "=" { greeting.to_owned() } else { row.text(1) };
        let world = World::with(&[("GREETING", greeting)]).await;
        let answer = ask(&world, "/record/", &world.base).await;
        let elements = read_strictly(&answer.text());
        let names: Vec<&str> = elements.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["Say", "Record", "Hangup"], "{greeting:?}");
        let (_, attributes, text) = &elements[0];
        assert_eq!(text, said.trim(), "{greeting:?}");
        assert!(text.chars().count() <= 4_000);
        assert_eq!(attributes, &[]);
    }
}

#[tokio::test]
async fn addresses_in_the_document_start_with_base_url() {
    let base = "https://example.com/a&b'c/%22d%22";
    let world = World::with(&[("BASE_URL", base)]).await;
    let answer = ask(&world, "/record/", base).await;
    let elements = read_strictly(&answer.text());
    let record = &elements[1].1;
    let value = |name: &str| &record.iter().find(|(other, _)| other == name).expect("an attribute").1;
    assert_eq!(*value("action"), format!("{base}/record/done/"));
    assert_eq!(*value("recordingStatusCallback"), format!("{base}/hooks/twilio/recording"));
}

/// Paths of Twilio's requests about this call, in the order of their responses. Asserts that all succeeded.
fn asked(twilio: &Twilio, call: &str) -> Vec<String> {
    let of_call = |(name, value): &(String, String)| name == "CallSid" && value == call;
    let deliveries = twilio.deliveries().into_iter().filter(|delivery| delivery.params.iter().any(of_call));
    let paths = deliveries.map(|delivery| {
        assert!(matches!(delivery.status, Some(200 | 204)), "{delivery:?}");
        url::Url::parse(&delivery.url).expect("a URL").path().to_owned()
    });
    paths.collect()
}

fn count(paths: &[String], path: &str) -> usize {
    paths.iter().filter(|other| *other == path).count()
}

#[tokio::test]
async fn a_dialed_call_is_recorded_once_and_never_loops() {
    let world = World::new().await;
    for outcome in [Outcome::Answered, Outcome::HangsUp] {
        world.twilio.set_next_outcome(outcome);
        let (call, recording) = world.recorded_call().await;
        assert_eq!(world.twilio.call_status(&call).as_deref(), Some("completed"));
        assert_eq!(world.twilio.recording_status(&recording).as_deref(), Some("completed"));
        let asked = asked(&world.twilio, &call);
        assert_eq!(count(&asked, "/record/"), 1, "{outcome:?}: {asked:?}");
        assert_eq!(count(&asked, "/record/done/"), 1, "{outcome:?}: {asked:?}");
        assert_eq!(count(&asked, "/hooks/twilio/recording"), 2, "start and end, {outcome:?}: {asked:?}");
        assert_eq!(count(&asked, "/hooks/twilio/call"), 4, "{outcome:?}: {asked:?}");
    }
}

#[tokio::test]
async fn a_silent_call_ends_too() {
    let world = World::new().await;
    for outcome in [Outcome::Silent, Outcome::TooShort] {
        world.twilio.set_next_outcome(outcome);
        let call = world.dial("14155551234").await;
        world.twilio.settled().await;
        assert_eq!(world.twilio.call_status(&call).as_deref(), Some("completed"), "{outcome:?}");
        let asked = asked(&world.twilio, &call);
        assert_eq!(count(&asked, "/record/"), 1, "{outcome:?}: {asked:?}");
        assert!(count(&asked, "/record/done/") <= 1, "{outcome:?}: {asked:?}");
    }
}

#[tokio::test]
async fn an_unanswered_call_gets_no_greeting() {
    let world = World::new().await;
    for outcome in [Outcome::Busy, Outcome::NoAnswer, Outcome::Failed] {
        world.twilio.set_next_outcome(outcome);
        let call = world.dial("14155551234").await;
        world.twilio.settled().await;
        let asked = asked(&world.twilio, &call);
        assert!(asked.iter().all(|path| path == "/hooks/twilio/call"), "{outcome:?}: {asked:?}");
        assert_eq!(world.twilio.recordings_of(&call), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_inbound_call_gets_the_same_document_and_is_recorded() {
    let world = World::new().await;
    let call = world.twilio.inbound_call(&format!("{}/record/", world.base), "+14155550100");
    world.twilio.settled().await;
    assert_eq!(world.twilio.call_status(&call).as_deref(), Some("completed"));
    assert_eq!(world.twilio.recordings_of(&call).len(), 1);
    let asked = asked(&world.twilio, &call);
    assert_eq!(count(&asked, "/record/"), 1, "{asked:?}");
    assert_eq!(count(&asked, "/record/done/"), 1, "{asked:?}");

    let outbound = ask(&world, "/record/", &world.base).await;
    let mut params = CALL_PARAMS.to_vec();
    params.retain(|(name, _)| *name != "Direction");
    params.push(("Direction", "inbound"));
    assert_eq!(world.callback("/record/", &params).await.text(), outbound.text());
}

#[tokio::test]
async fn the_document_needs_no_vendor_request() {
    let world = World::new().await;
    for path in ["/record/", "/record/done/"] {
        ask(&world, path, &world.base).await;
        let detail = world.callback(path, &CALL_PARAMS[..2]).await.problem(400, "bad-request");
        assert!(detail.contains("CallSid"), "{detail}");
        let twice = [&CALL_PARAMS[..], &CALL_PARAMS[2..3]].concat();
        world.callback(path, &twice).await.problem(400, "bad-request");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_call_that_keeps_requesting_the_greeting_is_hung_up() {
    let world = World::new().await;
    let mut said = Vec::new();
    for _ in 0..5 {
        let answer = world.callback("/record/", &CALL_PARAMS).await;
        assert_eq!(answer.status, 200);
        said.push(read_strictly(&answer.text()).into_iter().map(|(name, ..)| name).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(said, ["Say Record Hangup", "Say Record Hangup", "Hangup", "Hangup", "Hangup"]);
    let params = CALL_PARAMS
        .map(|(name, value)| (name, if name == "CallSid" { "CA00000000000000000000000000000013" } else { value }));
    let other = world.callback("/record/", &params).await;
    assert_eq!(read_strictly(&other.text()).len(), 3, "another call is greeted");
}
