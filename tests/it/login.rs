//! The log-in page: how a browser from elsewhere gets a session, and that nobody else does.

use std::time::Duration;

use callscribe::sandbox::twilio::SeededRecording;
use reqwest::Method;
use serde_json::json;
use url::form_urlencoded;

use crate::support::callbacks::FORM;
use crate::support::stream::Stream;
use crate::support::{Answer, World, navigation};

const TOKEN: &str = "operator:secret-1";

/// A token short enough to guess.
const SHORT: &str = "short-secret";

const HOST: (&str, &str) = ("host", "example.ngrok.app");
const FAR: (&str, &str) = ("x-forwarded-for", "203.0.113.7");

/// Headers of a browser elsewhere whose user typed the address.
const TYPED: [(&str, &str); 7] = {
    let [accept, site, mode, destination, user] = navigation::TYPED;
    [HOST, FAR, accept, site, mode, destination, user]
};

/// Headers of a browser elsewhere whose user submits a form of ours.
const SUBMITTED: [(&str, &str); 7] = {
    let [accept, _, site, mode, destination] = navigation::PRESSED;
    [HOST, FAR, accept, ("origin", "https://example.ngrok.app"), site, mode, destination]
};

async fn world() -> World {
    World::with(&[("OPERATOR_TOKEN", TOKEN)]).await
}

async fn log_in(world: &World, token: &str, headers: &[(&str, &str)]) -> Answer {
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
    world.send(Method::POST, "/login", &[headers, &[FORM]].concat(), &form).await
}

/// The cookie that an answer sets, as `name=value`, and its attributes.
fn cookie(answer: &Answer) -> (String, Vec<String>) {
    let mut parts = answer.header("set-cookie").split("; ").map(str::to_owned);
    (parts.next().expect("a cookie"), parts.collect())
}

#[tokio::test]
async fn a_stream_reports_nothing_while_it_cannot_be_known_whether_its_session_was_logged_out() {
    let world = world().await;
    let (session, _) = cookie(&log_in(&world, TOKEN, &SUBMITTED).await);
    let stream_of = async |headers: &[(&str, &str)]| match Stream::open(&world.http, &world.base, "", headers).await {
        Ok(stream) => stream,
        Err(answer) => panic!("no stream: {}", answer.text()),
    };
    let mut stream = stream_of(&[HOST, ("cookie", &session)]).await;
    let mut other = stream_of(&[]).await;
    world.store.execute("ALTER TABLE ended_sessions RENAME TO hidden").await.expect("another name");
    world.dial("14155551234").await;
    // Both streams learn of the call at the same time.
    other.next().await.expect("an event");
    let id = session.split('.').nth(1).expect("an id");
    let log_out = format!(
        "BEGIN; INSERT INTO hidden (id, ended_at) VALUES ('{id}', 0); ALTER TABLE hidden RENAME TO ended_sessions; COMMIT"
    );
    world.store.execute(&log_out).await.expect("the first name");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_browser_from_elsewhere_logs_in_looks_around_and_logs_out() {
    let world = world().await;
    let page = world.get_with("/login", &TYPED).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("action=\"/login\"") && !page.text().contains("/logout"), "{}", page.text());
    let style = page.text().split('"').find(|part| part.ends_with(".css")).expect("a style sheet").to_owned();
    assert_eq!(world.get_with(&style, &TYPED).await.status, 200, "the log-in page's style sheet");

    let answer = log_in(&world, TOKEN, &SUBMITTED).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
    let (session, attributes) = cookie(&answer);
    assert_eq!(attributes, ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800", "Secure"]);
    assert!(!answer.header("set-cookie").contains(TOKEN));

    let with_session = [&TYPED[..], &[("cookie", &session)]].concat();
    for path in ["/", "/calls", "/transcribe", "/login"] {
        assert_eq!(world.get_with(path, &with_session).await.status, 200, "{path}");
    }
    let among_others = format!("a=b; {session}; callscribe-8000=x");
    assert_eq!(world.get_with("/calls", &[&TYPED[..], &[("cookie", &among_others)]].concat()).await.status, 200);
    assert!(world.get_with("/login", &with_session).await.text().contains("action=\"/logout\""));

    let answer = world.send(Method::POST, "/logout", &[&SUBMITTED[..], &[("cookie", &session)]].concat(), "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/login"));
    let (emptied, attributes) = cookie(&answer);
    assert_eq!(emptied, "callscribe=");
    assert!(attributes.contains(&"Max-Age=0".to_owned()), "{attributes:?}");
    let home = world.get_with("/", &TYPED).await;
    assert_eq!((home.status.as_u16(), home.header("location")), (303, "/login"));
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_session_dials_only_when_the_button_is_pressed() {
    let world = world().await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    let program = [("host", "example.ngrok.app"), ("user-agent", "curl/8.14.1")];
    for headers in [&TYPED[..], &TYPED[..3], &program] {
        let answer = world.get_with("/dial/14155551234", &[headers, &[("cookie", &session)]].concat()).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        assert!(answer.text().contains("action=\"/calls\""), "{headers:?}");
    }
    assert_eq!(world.vendor_requests(), 0);
    let pressed = [&SUBMITTED[..], &[FORM, ("cookie", &session)]].concat();
    assert_eq!(world.send(Method::POST, "/calls", &pressed, "number=%2B14155551234").await.status, 303);
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_token_sent_by_a_browser_does_not_dial_and_one_sent_by_a_program_does() {
    let world = world().await;
    let token = ("authorization", "Basic b3BlcmF0b3I6b3BlcmF0b3I6c2VjcmV0LTE=");
    let old_browser = [("host", "example.ngrok.app"), ("user-agent", "Mozilla/5.0"), token];
    for headers in [&[&TYPED[..], &[token]].concat()[..], &old_browser] {
        let answer = world.get_with("/dial/14155551234", headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        assert!(answer.text().contains("action=\"/calls\""), "{headers:?}");
    }
    assert_eq!(world.vendor_requests(), 0);
    for (number, token) in [token, ("authorization", "Bearer operator:secret-1")].into_iter().enumerate() {
        let curl = [("host", "example.ngrok.app"), ("user-agent", "curl/8.14.1"), token];
        let answer = world.get_with(&format!("/dial/1415555201{number}"), &curl).await;
        assert!(answer.text().starts_with("dialing +1415555201"), "{}", answer.text());
    }
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_forged_or_ended_session_opens_nothing() {
    let world = world().await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    let (name, value) = session.split_once('=').expect("a name");
    let other_name = format!("callscribe-8000={value}");
    let forged = [
        format!("{name}="),
        format!("{name}={}", &value[1..]),
        format!("{name}={}", &value[..value.len() - 1]),
        format!("{name}=9{value}"),
        format!("{name}={TOKEN}"),
        format!("{name}=\"{value}\""),
        other_name,
        value.to_owned(),
    ];
    for cookie in &forged {
        let answer = world.get_with("/calls", &[&TYPED[..1], &[("cookie", cookie)]].concat()).await;
        answer.problem(401, "token-needed");
    }
    let with_session = [&TYPED[..1], &[("cookie", session.as_str())]].concat();
    world.clock.advance(Duration::from_secs(7 * 24 * 60 * 60 - 1));
    assert_eq!(world.get_with("/calls", &with_session).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    world.get_with("/calls", &with_session).await.problem(401, "token-needed");
    let changed = World::with(&[("OPERATOR_TOKEN", "another-secret-token")]).await;
    changed.get_with("/calls", &with_session).await.problem(401, "token-needed");
}

#[tokio::test]
async fn a_token_is_enough_while_it_is_not_known_which_sessions_have_ended() {
    let world = world().await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    world.store.execute("ALTER TABLE ended_sessions RENAME TO lost_sessions").await.expect("SQL");
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [HOST, FAR, ("cookie", session.as_str()), ("authorization", bearer.as_str())];
        world.get_with("/calls", &headers).await.status.as_u16()
    };
    assert_eq!(ask(TOKEN).await, 200);
    assert_eq!(ask("wrong").await, 503, "a session that may be open is not refused as if there were none");
    world.store.execute("ALTER TABLE lost_sessions RENAME TO ended_sessions").await.expect("SQL");
    assert_eq!(ask("wrong").await, 200);
}

#[tokio::test]
async fn logging_out_ends_the_session_on_every_instance_and_across_restarts() {
    let world = world().await;
    let (app, other) = world.another_app_with_url(&[("OPERATOR_TOKEN", TOKEN)]).await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    let kept = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    assert_ne!(session, kept);
    let calls = async |base: &str, session: &str| {
        let request = world.http.get(format!("{base}/calls")).header("host", HOST.1).header("cookie", session);
        Answer::of(request.send().await.expect("an answer")).await
    };
    for base in [&world.base, &other] {
        assert_eq!(calls(base, &session).await.status, 200);
    }
    let stream_of = async |session: &str| {
        let headers = [HOST, ("cookie", session)];
        Stream::open(&world.http, &world.base, "", &headers).await.unwrap_or_else(|answer| panic!("{answer:?}"))
    };
    let mut stream = stream_of(&session).await;
    let mut kept_stream = stream_of(&kept).await;
    let out = [&SUBMITTED[..], &[("cookie", &*session)]].concat();
    assert_eq!(world.send(Method::POST, "/logout", &out, "").await.status, 303);

    assert!(stream.next().await.is_none(), "a stream ends with the session that opened it");
    for base in [&world.base, &other] {
        calls(base, &session).await.problem(401, "token-needed");
        assert_eq!(calls(base, &kept).await.status, 200, "another browser stays logged in");
    }
    let page = world.get_with("/login", &[&TYPED[..], &[("cookie", &*session)]].concat()).await;
    assert!(page.text().contains("Operator token") && !page.text().contains("/logout"), "{}", page.text());
    app.stop().await;
    let (app, restarted) = world.another_app_with_url(&[("OPERATOR_TOKEN", TOKEN)]).await;
    calls(&restarted, &session).await.problem(401, "token-needed");
    assert_eq!(calls(&restarted, &kept).await.status, 200);
    app.stop().await;
    let call = world.dial("14155551234").await;
    let call = world.call(&call).await["id"].as_str().expect("an id").to_owned();
    kept_stream.until_changed(&call).await;
}

#[tokio::test]
async fn a_session_is_ended_only_by_a_request_that_has_it() {
    let world = world().await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    let (name, value) = session.split_once('=').expect("a name");
    let id = value.split('.').nth(1).expect("an id");
    for forged in [format!("{name}={}", &value[..value.len() - 1]), format!("{name}={id}"), format!("{name}=9.{id}.x")]
    {
        let out = [&SUBMITTED[..], &[("cookie", &*forged)]].concat();
        world.send(Method::POST, "/logout", &out, "").await;
        world.send(Method::POST, "/logout", &[("cookie", &*forged)], "").await;
    }
    assert_eq!(world.store.number("SELECT count(*) FROM ended_sessions").await, 0);
    let with_session = [&TYPED[..1], &[("cookie", session.as_str())]].concat();
    assert_eq!(world.get_with("/calls", &with_session).await.status, 200);
}

#[tokio::test]
async fn a_cookie_is_named_after_its_port_and_secure_if_the_browser_uses_https() {
    let world = World::with(&[("OPERATOR_TOKEN", TOKEN), ("BASE_URL", "https://calls.example.com")]).await;
    for (host, origin, name, is_secure) in [
        ("calls.example.com", None, "callscribe", true),
        ("calls.example.com", Some("https://calls.example.com"), "callscribe", true),
        ("other.example.com", Some("https://other.example.com"), "callscribe", true),
        ("other.example.com:8443", Some("https://other.example.com:8443"), "callscribe-8443", true),
        ("other.example.com:8000", Some("http://other.example.com:8000"), "callscribe-8000", false),
        ("localhost:8000", None, "callscribe-8000", false),
        ("[2001:db8::1]:9000", None, "callscribe-9000", false),
        ("[2001:db8::1]", None, "callscribe", false),
    ] {
        let mut headers = vec![("host", host)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = log_in(&world, TOKEN, &headers).await;
        assert_eq!(answer.status, 303, "{host}: {}", answer.text());
        let (session, attributes) = cookie(&answer);
        assert_eq!(session.split_once('=').expect("a name").0, name, "{host}");
        assert_eq!(attributes.contains(&"Secure".to_owned()), is_secure, "{host} {origin:?}");
    }
}

/// Sends wrong tokens from an address until they are too many. Returns how many were compared.
async fn guess(world: &World, from: &str) -> usize {
    for n in 0..2_000 {
        let headers = [HOST, ("x-forwarded-for", from)];
        let answer = if n % 2 == 0 {
            log_in(world, &format!("{from} {n}"), &headers).await
        } else {
            let bearer = format!("Bearer {from}-{n}");
            world.get_with("/calls", &[&headers[..], &[("authorization", &bearer)]].concat()).await
        };
        assert_eq!(answer.header("set-cookie"), "");
        match answer.status.as_u16() {
            429 => {
                answer.problem(429, "too-many-guesses");
                assert_eq!(answer.header("retry-after"), "3");
                return n;
            }
            401 => _ = answer.problem(401, "token-needed"),
            _ => _ = answer.problem(403, "wrong-token"),
        }
    }
    panic!("2000 wrong tokens were compared");
}

#[tokio::test]
async fn guesses_at_a_token_of_any_length_are_slowed_down_and_affect_neither_sessions_nor_other_addresses() {
    for token in [SHORT, TOKEN, "abcdefghijklmnop"] {
        let world = World::with(&[("OPERATOR_TOKEN", token)]).await;
        let session = cookie(&log_in(&world, token, &SUBMITTED).await).0;
        assert_eq!(guess(&world, "198.51.100.1").await, 60, "{token}");
        let there = [HOST, ("x-forwarded-for", "203.0.113.7, 198.51.100.1")];
        let bearer = format!("Bearer {token}");
        let bearer = ("authorization", bearer.as_str());
        log_in(&world, token, &there).await.problem(429, "too-many-guesses");
        world.get_with("/no/such/path", &[&there[..], &[bearer]].concat()).await.problem(429, "too-many-guesses");
        let with_session = [&TYPED[..], &there[1..], &[("cookie", session.as_str())]].concat();
        assert_eq!(world.get_with("/calls", &with_session).await.status, 200);
        assert_eq!(world.get("/calls").await.status, 200, "guesses must not affect local requests");

        let elsewhere = [HOST, ("x-forwarded-for", "198.51.100.1, 203.0.113.7")];
        assert_eq!(log_in(&world, token, &elsewhere).await.status, 303);
        assert_eq!(world.get_with("/calls", &[&elsewhere[..], &[bearer]].concat()).await.status, 200);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(log_in(&world, token, &there).await.status, 303);
        assert_eq!(world.vendor_requests(), 0);
    }
}

#[tokio::test]
async fn guesses_from_invented_addresses_are_slowed_down_together() {
    let world = world().await;
    let mut compared = 0;
    for n in 0..20 {
        compared += guess(&world, &format!("198.51.100.{n}")).await;
    }
    assert_eq!(compared, 300);
    log_in(&world, TOKEN, &[HOST, FAR]).await.problem(429, "too-many-guesses");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(log_in(&world, TOKEN, &[HOST, FAR]).await.status, 303);
}

#[tokio::test]
async fn a_program_that_repeats_an_outdated_token_delays_nobody() {
    let world = world().await;
    let bearer = |token: &'static str| [HOST, FAR, ("authorization", token)];
    for _ in 0..100 {
        world.get_with("/calls", &bearer("Bearer outdated")).await.problem(401, "token-needed");
    }
    assert_eq!(world.get_with("/calls", &bearer("Bearer operator:secret-1")).await.status, 200);
}

#[tokio::test]
async fn another_site_logs_nobody_in_or_out() {
    let world = world().await;
    for headers in [
        [("host", "example.ngrok.app"), ("origin", "https://evil.example")],
        [("host", "example.ngrok.app"), ("origin", "null")],
        [("host", "example.ngrok.app"), ("sec-fetch-site", "cross-site")],
        [("host", "example.ngrok.app"), ("sec-fetch-site", "same-site")],
    ] {
        let answer = log_in(&world, TOKEN, &headers).await;
        answer.problem(403, "forbidden");
        assert_eq!(answer.header("set-cookie"), "");
        world.send(Method::POST, "/logout", &headers, "").await.problem(403, "forbidden");
    }
    let prefetch = [TYPED[0], ("sec-purpose", "prefetch")];
    world.get_with("/login", &prefetch).await.problem(503, "speculative");
}

#[tokio::test]
async fn without_an_operator_token_the_log_in_page_is_refused_like_any_other_path() {
    let world = World::new().await;
    let stranger = [("host", "example.ngrok.app")];
    let refusal = world.get_with("/no/such/path", &stranger).await.problem(403, "forbidden");
    for path in ["/login", "/login/", "/login?token=x", "/assets/style.css", "/_probe/x", "/_probe/%ff", "/logout"] {
        assert_eq!(world.get_with(path, &stranger).await.problem(403, "forbidden"), refusal, "{path}");
    }
    assert_eq!(log_in(&world, "", &stranger).await.problem(403, "forbidden"), refusal);
    let home = world.get("/login").await;
    assert_eq!((home.status.as_u16(), home.header("location")), (303, "/"), "a local browser needs no log-in");
    log_in(&world, "", &[]).await.problem(403, "wrong-token");
}

#[tokio::test]
async fn a_browser_that_is_not_logged_in_is_led_to_the_log_in_page_and_back() {
    let world = world().await;
    let wanted = "/calls?q=%22ship%20order%22&since=2026-11-28";
    let led = world.get_with(wanted, &TYPED).await;
    assert_eq!(led.status, 303);
    let login = led.header("location").to_owned();
    assert_eq!(login, "/login?next=%2Fcalls%3Fq%3D%2522ship%2520order%2522%26since%3D2026-11-28");
    let page = world.get_with(&login, &TYPED).await;
    let next = wanted.replace('&', "&#38;");
    assert!(page.text().contains(&format!("name=\"next\" value=\"{next}\"")), "{}", page.text());

    let form = |token: &str, next: &str| {
        form_urlencoded::Serializer::new(String::new()).append_pair("token", token).append_pair("next", next).finish()
    };
    let page = world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &form("wrong", wanted)).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("that is not the operator token") && page.text().contains(&next), "{}", page.text());
    assert!(!page.text().contains("wrong\""), "the page repeats the typed token");
    let back = world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &form(TOKEN, wanted)).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (303, wanted));
    let session = cookie(&back).0;
    assert_eq!(world.get_with(wanted, &[&TYPED[..], &[("cookie", &session)]].concat()).await.status, 200);

    for elsewhere in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "\\/evil.example",
        "evil",
        "",
        "/ü",
    ] {
        let answer =
            world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &form(TOKEN, elsewhere)).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_browser_never_asks_for_a_user_name_and_a_program_is_asked_for_the_token() {
    let world = world().await;
    let fetched = [HOST, FAR, ("sec-fetch-mode", "cors"), ("accept", "text/event-stream")];
    let over_http = [HOST, FAR, ("user-agent", "Mozilla/5.0"), ("accept", "*/*")];
    for headers in [&TYPED[..], &fetched, &over_http] {
        for path in ["/", "/calls", "/events", "/recordings/RE00000000000000000000000000000000.wav", "/no/such/path"] {
            let answer = world.get_with(path, headers).await;
            assert_eq!(answer.header("www-authenticate"), "", "{path} {headers:?}");
            assert_eq!(answer.status.as_u16(), if headers.len() == TYPED.len() { 303 } else { 401 }, "{path}");
        }
    }
    let answer = world.get_with("/calls", &[HOST, FAR, ("user-agent", "curl/8.14.1"), ("accept", "*/*")]).await;
    answer.problem(401, "token-needed");
    assert!(answer.header("www-authenticate").starts_with("Basic "));
}

#[tokio::test]
async fn what_was_typed_before_a_session_ended_is_there_after_the_log_in() {
    let world = world().await;
    let session = cookie(&log_in(&world, TOKEN, &SUBMITTED).await).0;
    world.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
    let pressed = [&SUBMITTED[..], &[FORM, ("cookie", &*session)]].concat();
    world.post_json("/contacts/+14155551234", &json!({"name": "Dana", "notes": "kept"})).await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let two = SeededRecording { call_sid: call.clone(), channels: 2, source: "DialVerb", ..Default::default() };
    // Until its transcript is there, both sides of a recording speak.
    world.assemblyai.hold();
    world.post_json("/transcribe", &json!({"recording_sid": world.twilio.add_recording(two)})).await;
    let speakers = format!("/calls/{call}/speakers");
    let transcripts = world.call(&call).await["transcripts"].take();
    let transcript = transcripts.as_array().expect("transcripts").iter().find(|one| one["state"] == "completed");
    let transcript = transcript.and_then(|one| one["id"].as_str()).expect("an id").to_owned();
    let corrections = format!("/transcript/{transcript}/corrections");
    let requests = world.vendor_requests();
    for (path, form, shown) in [
        (
            "/calls",
            "number=%2B1+%28415%29+555-1234&keyterms=Ahoy+%26+Sons&press=0123456789abcdef0123456789abcdef",
            vec![
                "value=\"+1 (415) 555-1234\"",
                "value=\"Ahoy &#38; Sons\"",
                "value=\"0123456789abcdef0123456789abcdef\"",
            ],
        ),
        (
            "/transcribe",
            "recording_url=https%3A%2F%2Fexample.com%2Fa.wav&keyterms=Ahoy",
            vec!["value=\"https://example.com/a.wav\"", "value=\"Ahoy\""],
        ),
        (
            "/contacts",
            "number=%2B14155559876&name=Kim&keyterms=a%2C+b",
            vec!["value=\"+14155559876\"", "value=\"Kim\"", "value=\"a, b\""],
        ),
        (
            "/contacts/+14155551234",
            "name=Dana+Lee&back=%2Fcalls%2FCA1",
            vec!["value=\"Dana Lee\"", "value=\"/calls/CA1\"", ">kept</textarea>"],
        ),
        (
            &*corrections,
            "version=0&from=0&to=3&text=Hello%2C+this+%3Cwas%3E",
            vec![">Hello, this &#60;was&#62;</textarea>", "name=\"version\" value=\"0\"", "Nothing was saved"],
        ),
        (&*speakers, "swapped=true&1=Mr+Lee&2=Dana", vec!["value=\"Mr Lee\"", "value=\"Dana\"", "value=\"true\""]),
    ] {
        let page = world.send(Method::POST, path, &pressed, form).await;
        assert_eq!((page.status.as_u16(), page.header("www-authenticate")), (401, ""), "{}", page.text());
        let value = |name: &str| {
            let text = page.text();
            let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
            rest.split('"').next().expect("its end").replace("&#38;", "&")
        };
        let fields = [("token", TOKEN.to_owned()), ("next", value("next")), ("form", value("form"))];
        let log_in = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let back = world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &log_in).await;
        assert_eq!(back.status, 200, "{}", back.text());
        assert!(!cookie(&back).0.is_empty());
        let page = back.text();
        assert!(page.contains(&format!("action=\"{path}\"")), "{page}");
        for part in shown {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
    // A button leads back to the page that it was on.
    let (call, transcript) = ("/calls/CA00000000000000000000000000000001", "/transcript/9ea68fd3");
    for (page, button, form) in [
        (call, format!("{call}/retry"), ""),
        (call, format!("{call}/speakers"), "swapped=false&swap=true"),
        ("/contacts/+14155551234", "/contacts/+14155551234/delete".to_owned(), ""),
        ("/transcript/9ea68fd3?format=html", format!("{transcript}/checked"), "checked=true"),
        ("/transcript/9ea68fd3?format=html", format!("{transcript}/current"), ""),
        ("/transcript/9ea68fd3/corrections", format!("{transcript}/corrections/abc.1/undo"), ""),
        ("/replace", "/replace".to_owned(), "find=clerk&with=clara&apply=true"),
        ("/replace/abc", "/replace/abc/undo".to_owned(), ""),
        ("/trials/abc", "/trials/abc/stop".to_owned(), ""),
        ("/trials/abc", "/trials/abc/choose".to_owned(), "arm=0"),
        ("/trials/abc", "/trials/abc/choose/undo".to_owned(), ""),
    ] {
        let asked = world.send(Method::POST, &button, &pressed, form).await;
        assert!(asked.text().contains(&format!("name=\"next\" value=\"{page}\"")), "{}", asked.text());
        let fields = [("token", TOKEN), ("next", page), ("form", form)];
        let log_in = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let back = world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &log_in).await;
        assert_eq!(back.status, 303, "{}", back.text());
        let shown = if page == "/replace" { format!("{page}?{form}") } else { page.to_owned() };
        assert!(back.header("location").starts_with(&shown), "{}", back.header("location"));
    }
    // Who has the token is logged in, also where the form cannot be shown again.
    let fields = [("token", TOKEN), ("next", "/calls"), ("form", "number=1&press=wrong")];
    let log_in = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let back = world.send(Method::POST, "/login", &[&SUBMITTED[..], &[FORM]].concat(), &log_in).await;
    assert_eq!(back.status, 400, "{}", back.text());
    assert!(!cookie(&back).0.is_empty());
    assert_eq!(world.vendor_requests(), requests);
}
