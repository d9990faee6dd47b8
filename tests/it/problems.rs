//! Error responses: problem documents for programs, pages for people.

use crate::support::{Answer, World};

/// The body without what differs between runs.
fn stable(world: &World, answer: &Answer) -> String {
    let text = answer.text().replace(answer.header("x-request-id"), "<request id>");
    // The addresses of assets hold hashes; each form can be sent once.
    let differs = |line: &str| line.starts_with("<link ") || line.contains(r#"name="press""#);
    let lines = text.split_inclusive('\n').filter(|line| !differs(line));
    lines.collect::<String>().replace(world.twilio.url(), "<twilio>")
}

#[tokio::test]
async fn problems_say_what_went_wrong_and_keep_the_vendors_code_and_page() {
    let world = World::new().await;
    let mut all = String::new();
    for path in [
        "/dial/911",
        "/dial/14155551234?keyterms=one%20two%20three%20four%20five%20six%20seven",
        "/dial/15005550001",
        "/dial/15005550003",
        "/get-recording-url/CA1",
        "/get-recording-url/CA00000000000000000000000000000000",
        "/transcript/9ea68fd3-f953-42c1-9742-976c447fb463",
        "/transcript/9ea68fd3-f953-42c1-9742-976c447fb463?format=pdf",
        "/no/such/path",
    ] {
        all += &format!("GET {path}\n{}\n", stable(&world, &world.get(path).await));
    }
    for body in ["", "{}", "recording_sid=RE1", "audio_url=ftp://example.com/"] {
        all += &format!("POST /transcribe {body}\n{}\n", stable(&world, &world.post_form("/transcribe", body).await));
    }
    let stranger = world.get_with("/", &[("x-forwarded-for", "203.0.113.7")]).await;
    all += &format!("GET / through a proxy\n{}\n", stable(&world, &stranger));
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_problem_is_a_page_for_a_browser() {
    let world = World::new().await;
    let answer = world.get_with("/dial/15005550003", &[("accept", "text/html")]).await;
    insta::assert_snapshot!(stable(&world, &answer));
}
