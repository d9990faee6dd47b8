//! Conversations: the operator's phone rings first, then the callee's, and each leg is known.

use std::time::Duration;

use callscribe::sandbox::control::{Callbacks, Fault};
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, Outcome, PHONE_NUMBER, SeededCall, Stage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::pipeline::{HOUR, assert_transcribed};
use crate::support::callbacks::{encode, sign};
use crate::support::navigation::{PRESSED, TYPED};
use crate::support::{Answer, World, refuse};

pub(crate) const PHONE: &str = "+14155550100";
const OTHER_PHONE: &str = "+14155550101";
const PHONES: (&str, &str) = ("OPERATOR_PHONES", "+14155550100,+14155550101");
pub(crate) const CALLEE: &str = "+14155551234";
const LEG: &str = "CAccccccccccccccccccccccccccccccc1";

/// A conversation whose first leg rings at the emulated Twilio, which the test answers for.
struct Ringing {
    world: World,
    sid: String,
    token: String,
}

impl Ringing {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let world = World::with(&[&[PHONES], settings].concat()).await;
        world.twilio.hold(Stage::Ringing);
        let sid = world.dial("14155551234?with=me").await;
        let token = world.call(&sid).await["id"].as_str().expect("a call id").to_owned();
        Self { world, sid, token }
    }

    /// Asks for TwiML as Twilio does for the first leg.
    async fn ask(&self, path: &str, more: &[(&str, &str)]) -> String {
        self.ask_as(&self.sid, path, more).await
    }

    async fn ask_as(&self, sid: &str, path: &str, more: &[(&str, &str)]) -> String {
        let own = [("AccountSid", ACCOUNT_SID), ("CallSid", sid), ("CallStatus", "in-progress")];
        let of_leg = [("Direction", "outbound-api"), ("To", PHONE), ("From", PHONE_NUMBER)];
        let path = format!("{path}?t={}", self.token);
        let answer = self.world.callback(&path, &[&own[..], &of_leg, more].concat()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Reports the state of the second leg.
    async fn report(&self, leg: &str, status: &str) -> Answer {
        let path = format!("/hooks/twilio/leg?t={}", self.token);
        self.world.callback(&path, &leg_params(&self.sid, leg, status)).await
    }

    async fn call(&self) -> Value {
        self.world.call(&self.sid).await
    }
}

fn leg_params<'a>(parent: &'a str, leg: &'a str, status: &'a str) -> [(&'a str, &'a str); 7] {
    [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", leg),
        ("ParentCallSid", parent),
        ("CallStatus", status),
        ("Direction", "outbound-dial"),
        ("To", CALLEE),
        ("From", PHONE_NUMBER),
    ]
}

#[tokio::test]
async fn a_conversation_rings_the_operators_phone_first() {
    let one = Ringing::new().await;
    let seen = one.world.twilio.control.requests_to(Method::POST, "/Calls.json");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen[0].body).into_owned().collect();
    assert_eq!((form[0].0.as_str(), form[0].1.as_str()), ("To", PHONE));
    assert_eq!(
        (form[2].0.as_str(), &form[2].1),
        ("Url", &format!("{}/record/conversation/?t={}", one.world.base, one.token))
    );

    let call = one.call().await;
    assert_eq!((&call["kind"], &call["to"]), (&json!("conversation"), &json!(CALLEE)));
    assert_eq!(call["legs"].as_array().map(Vec::len), Some(1));
    let leg = &call["legs"][0];
    assert_eq!((&leg["role"], &leg["number"], &leg["sid"]), (&json!("operator"), &json!(PHONE), &json!(one.sid)));
    let listed = one.world.get("/calls?number=4155551234").await.json();
    assert_eq!(listed["calls"][0]["kind"], "conversation", "{listed}");
}

#[tokio::test]
async fn a_message_has_one_leg() {
    let world = World::with(&[PHONES]).await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!(call["kind"], "message");
    let [leg] = call["legs"].as_array().expect("legs").as_slice() else { panic!("{call:#}") };
    assert_eq!((&leg["role"], &leg["number"], &leg["state"]), (&json!("party"), &json!(CALLEE), &json!("completed")));
    assert!(leg["answered_at"].is_string() && leg["ended_at"].is_string(), "{leg}");
}

#[tokio::test]
async fn the_documents_of_a_conversation() {
    let one = Ringing::with(&[("BASE_URL", "https://example.com")]).await;
    let mut documents = String::new();
    for (path, digits) in [
        ("/record/conversation/", None),
        ("/record/conversation/key/", None),
        ("/record/conversation/key/", Some("5")),
        ("/record/greeting/", None),
        ("/record/conversation/done/", None),
    ] {
        let path = format!("{path}?t={}", one.token);
        let mut params = vec![("AccountSid", ACCOUNT_SID), ("CallSid", one.sid.as_str()), ("DialCallStatus", "busy")];
        params.extend(digits.map(|digits| ("Digits", digits)));
        let signature = sign(&format!("https://example.com{path}"), &params);
        let form = encode(&params);
        let answer = one.world.signed(Method::POST, &path, &signature, &form).await;
        documents += &format!("{}\n\n", answer.text().replace(&one.token, "<token>").replace("><", ">\n<"));
    }
    insta::assert_snapshot!("documents", documents);
}

#[tokio::test]
async fn only_a_key_rings_the_other_phone_and_only_that_of_the_committed_call() {
    let one = Ringing::new().await;
    let key = "/record/conversation/key/";
    for digits in [&[][..], &[("Digits", "")], &[("Digits", "hangup")]] {
        let document = one.ask(key, digits).await;
        assert!(!document.contains("<Dial") && document.ends_with("<Hangup/></Response>"), "{document}");
    }
    // Another call that names this one in its URL rings nobody.
    let other = format!("CA{}", "d".repeat(32));
    assert!(!one.ask_as(&other, key, &[("Digits", "1")]).await.contains("<Dial"));
    let dials = one.ask(key, &[("Digits", "#"), ("Called", "+19005551234")]).await;
    assert!(dials.contains(&format!(">{CALLEE}</Number>")) && dials.matches("<Number").count() == 1, "{dials}");
    // Twilio asks a second time if it lost the answer.
    assert_eq!(one.ask(key, &[("Digits", "#")]).await, dials);
    // Once the other phone rings, nothing rings it again.
    assert_eq!(one.report(LEG, "initiated").await.status, 204);
    for path in [key, "/record/conversation/connect/"] {
        assert!(!one.ask(path, &[("Digits", "1")]).await.contains("<Dial"), "{path}");
    }
}

#[tokio::test]
async fn an_operator_who_has_pressed_the_key_waits_while_the_database_does_not_answer() {
    let one = Ringing::new().await;
    one.world.store.execute("ALTER TABLE legs RENAME TO out_of_reach").await.expect("a table");
    let connect = "/record/conversation/connect/";
    let again = format!("{}{connect}?t={}", one.world.base, one.token);
    let moment = one.ask("/record/conversation/key/", &[("Digits", "1")]).await;
    let verbs =
        format!("<Say>One moment, please.</Say><Pause length=\"2\"/><Redirect method=\"POST\">{again}</Redirect>");
    assert!(moment.contains(&verbs), "{moment}");
    for _ in 1..10 {
        assert_eq!(one.ask(connect, &[]).await, moment);
    }
    let said = "<Say>This call cannot be connected now. Please try again later.</Say><Hangup/>";
    assert!(one.ask(connect, &[]).await.contains(said));
    one.world.store.execute("ALTER TABLE out_of_reach RENAME TO legs").await.expect("a table");
    assert!(one.ask(connect, &[]).await.contains(&format!(">{CALLEE}</Number>")));
}

#[tokio::test]
async fn a_message_never_dials_on() {
    let world = World::with(&[PHONES]).await;
    world.twilio.hold(Stage::Ringing);
    let sid = world.dial("14155551234").await;
    let token = world.call(&sid).await["id"].as_str().expect("a call id").to_owned();
    let one = Ringing { world, sid, token };
    assert!(!one.ask("/record/conversation/key/", &[("Digits", "1")]).await.contains("<Dial"));
    assert!(!one.ask("/record/conversation/connect/", &[]).await.contains("<Dial"));
}

#[tokio::test]
async fn who_is_still_on_the_line_hears_why_nobody_talks() {
    let one = Ringing::new().await;
    for (status, bridged, said) in [
        ("busy", "false", "<Say>The line is busy. Goodbye.</Say>"),
        ("no-answer", "false", "<Say>Nobody answered. Goodbye.</Say>"),
        ("failed", "false", "<Say>This call could not be connected. Goodbye.</Say>"),
        ("completed", "false", "<Say>The other side has hung up. Goodbye.</Say>"),
        ("completed", "true", ""),
    ] {
        let done = [("DialCallStatus", status), ("DialBridged", bridged)];
        let document = one.ask("/record/conversation/done/", &done).await;
        assert!(document.ends_with(&format!("<Response>{said}<Hangup/></Response>")), "{document}");
    }
}

#[tokio::test]
async fn who_hangs_up_during_the_greeting_was_not_connected() {
    let one = Ringing::new().await;
    one.report(LEG, "in-progress").await;
    let done = [("DialCallStatus", "completed"), ("DialCallSid", LEG), ("DialBridged", "false")];
    one.ask("/record/conversation/done/", &done).await;
    let ended = [("AccountSid", ACCOUNT_SID), ("CallSid", &one.sid), ("CallStatus", "completed")];
    assert_eq!(one.world.callback(&format!("/hooks/twilio/call?t={}", one.token), &ended).await.status, 204);
    // Stores what the request for TwiML has told.
    one.world.app.run_due_jobs().await;
    let reason = "The call ended before the other side was connected.";
    for call in [&one.call().await, &one.world.get("/calls").await.json()["calls"][0]] {
        assert_eq!((&call["progress"], &call["reason"]), (&json!("failed"), &json!(reason)), "{call:#}");
    }
    let page = one.world.get_with(&format!("/calls/{}", one.sid), &PRESSED).await.text();
    assert!(page.contains(reason) && page.contains("Not connected"), "{page}");
}

#[tokio::test]
async fn a_leg_moves_forward_in_any_order_and_is_no_call_of_its_own() {
    let one = Ringing::new().await;
    for status in ["in-progress", "initiated", "in-progress", "ringing", "completed", "completed", "in-progress", "new"]
    {
        assert_eq!(one.report(LEG, status).await.status, 204);
    }
    let call = one.call().await;
    let leg = &call["legs"][1];
    assert_eq!((&leg["sid"], &leg["role"], &leg["number"]), (&json!(LEG), &json!("party"), &json!(CALLEE)), "{call:#}");
    assert_eq!(leg["state"], "completed");
    assert!(leg["answered_at"].is_string() && leg["ended_at"].is_string(), "{leg}");
    let events = call["timeline"].as_array().expect("a timeline").iter().filter(|event| event["kind"] == "leg");
    assert_eq!(events.map(|event| event["state"].as_str().unwrap()).collect::<Vec<_>>(), ["in-progress", "completed"]);
    assert_eq!(one.world.get("/calls").await.json()["calls"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_leg_of_an_unknown_call_makes_that_call_known_and_not_itself() {
    let world = World::with(&[PHONES]).await;
    let parent = format!("CA{}", "e".repeat(32));
    let answer = world.callback("/hooks/twilio/leg", &leg_params(&parent, LEG, "ringing")).await;
    assert_eq!(answer.status, 204);
    let calls = world.get("/calls").await.json();
    let [call] = calls["calls"].as_array().expect("calls").as_slice() else { panic!("{calls:#}") };
    assert_eq!(call["sid"], parent);
    // A report that names no other call is none of a leg.
    for parent in ["", LEG] {
        world.callback("/hooks/twilio/leg", &leg_params(parent, LEG, "ringing")).await.problem(400, "bad-request");
    }
    // What steers a call is signed, and said once.
    let params = leg_params(&parent, LEG, "ringing");
    world.post_form("/hooks/twilio/leg", &encode(&params)).await.problem(403, "forbidden");
    for (name, value) in [("ParentCallSid", LEG), ("Digits", "1"), ("DialCallSid", LEG), ("DialCallStatus", "busy")] {
        let twice = [&params[..], &[(name, value), (name, value)]].concat();
        world.callback("/hooks/twilio/leg", &twice).await.problem(400, "bad-request");
        world.callback(&format!("/hooks/twilio/leg?{name}={value}"), &params).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_leg_can_tell_the_sid_of_a_call_whose_answer_is_late() {
    let world = World::with(&[PHONES]).await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::Late);
    let dialing = tokio::spawn({
        let (http, url) = (world.http.clone(), format!("{}/dial/14155551234?with=me", world.base));
        async move { http.get(url).send().await }
    });
    let twilio = &world.twilio.control;
    let form = twilio.until(|| twilio.requests_to(Method::POST, "/Calls.json").first().cloned()).await.body;
    let url = url::form_urlencoded::parse(&form).find(|(name, _)| name == "Url").expect("a URL").1.into_owned();
    let token = url.rsplit_once("?t=").expect("a token").1.to_owned();
    let parent = format!("CA{}", "f".repeat(32));
    let path = format!("/hooks/twilio/leg?t={token}");
    assert_eq!(world.callback(&path, &leg_params(&parent, LEG, "ringing")).await.status, 204);
    let call = world.call(&token).await;
    assert_eq!((&call["sid"], &call["legs"][1]["sid"]), (&json!(parent), &json!(LEG)));
    drop(dialing);
    twilio.answer_late_requests();
}

#[tokio::test]
async fn a_phone_that_is_not_the_operators_or_both_ends_is_refused() {
    let world = World::with(&[PHONES]).await;
    for with in ["4155550123", "%2B14155550199", "you", "me,me"] {
        let detail = world.get(&format!("/dial/14155551234?with={with}")).await.problem(400, "bad-request");
        assert!(detail.contains("OPERATOR_PHONES"), "{detail}");
    }
    for path in ["/dial/14155550100?with=me", "/dial/14155550101?with=%2B14155550101"] {
        assert!(world.get(path).await.problem(400, "bad-request").contains("two phones"), "{path}");
    }
    let without = World::new().await;
    let detail = without.get("/dial/14155551234?with=me").await.problem(400, "bad-request");
    assert!(detail.contains("OPERATOR_PHONES is not set"), "{detail}");
    world.get("/dial/19005551234?with=me").await.problem(403, "not-allowed");
    assert_eq!(world.calls_placed() + without.calls_placed(), 0);

    // A `+` in a query is a space.
    for with in ["+14155550101", "%2B14155550101", "14155550101"] {
        world.dial(&format!("14155551234?with={with}")).await;
        world.settle().await;
    }
    let seen = world.twilio.control.requests_to(Method::POST, "/Calls.json");
    assert!(seen.iter().all(|seen| String::from_utf8_lossy(&seen.body).starts_with("To=%2B14155550101&")));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn no_phone_of_a_conversation_rings_a_second_time() {
    let one = Ringing::new().await;
    let sid = &one.sid;
    // Another number at the same phone, the same number at another phone or alone, and the phone itself.
    for path in ["14155551235?with=me", "14155551234?with=%2B14155550101", "14155551234", "14155550100"] {
        let answer = one.world.get(&format!("/dial/{path}")).await;
        assert_eq!(answer.text(), format!("dialing {CALLEE}. call SID is: {sid}\n"), "{path}");
    }
    let found = one.world.get("/dial/14155550100?with=%2B14155550101").await;
    assert_eq!(found.call_sid(), *sid);
    assert_eq!(one.world.calls_placed(), 1);
    one.world.twilio.release(Stage::Ringing);
    one.world.settle().await;
    one.world.dial(&format!("14155551235?with={OTHER_PHONE}")).await;
    assert_eq!(one.world.calls_placed(), 2);
}

#[tokio::test]
async fn its_page_says_whose_phone_rings_and_who_must_press_a_key() {
    let one = Ringing::new().await;
    let path = format!("/hooks/twilio/call?t={}", one.token);
    let reported = async |status: &str| {
        let own = [("AccountSid", ACCOUNT_SID), ("CallSid", &*one.sid), ("CallStatus", status)];
        let of_leg = [("Direction", "outbound-api"), ("To", PHONE), ("From", PHONE_NUMBER)];
        assert_eq!(one.world.callback(&path, &[&own[..], &of_leg].concat()).await.status, 204);
    };
    let state = async || {
        let page = one.world.get_with(&format!("/calls/{}", one.sid), &[("accept", "text/html")]).await.text();
        let state =
            page.split_once(r#"id="state""#).and_then(|(_, rest)| rest.split_once("</strong>")).expect("a state");
        state.0.rsplit('>').next().expect("a headline").to_owned()
    };
    reported("ringing").await;
    assert_eq!(state().await, "Ringing you");
    reported("in-progress").await;
    assert_eq!(state().await, "Press a key");
    one.report(LEG, "ringing").await;
    assert_eq!(state().await, "Ringing");
    one.report(LEG, "in-progress").await;
    assert_eq!(state().await, "On the phone");
}

#[tokio::test]
async fn two_conversations_at_one_phone_at_the_same_moment_are_one() {
    let world = World::with(&[PHONES]).await;
    world.twilio.hold(Stage::Ringing);
    let asked = (0..8).map(|n| async move { n });
    let mut sids = Vec::new();
    let world = &world;
    let dialing = asked.map(async |n| world.dial(&format!("1415555{:04}?with=me", 2_000 + n.await)).await);
    sids.extend(futures_util::future::join_all(dialing).await);
    sids.dedup();
    assert_eq!((sids.len(), world.calls_placed()), (1, 1));
}

#[tokio::test]
async fn both_phones_of_a_conversation_count() {
    let world = World::with(&[PHONES, ("DIAL_PER_MINUTE", "3")]).await;
    world.dial("14155551234?with=me").await;
    world.settle().await;
    let detail = world.get("/dial/14155551235?with=me").await.problem(429, "too-many-calls");
    assert!(detail.contains("DIAL_PER_MINUTE"), "{detail}");
    world.dial("14155551235").await;
    world.get("/dial/14155551236").await.problem(429, "too-many-calls");
    assert_eq!(world.calls_placed(), 2);
    world.clock.advance(Duration::from_secs(60));
    world.settle().await;
    world.dial("14155551236?with=me").await;
}

#[tokio::test]
async fn a_limit_below_two_says_that_a_conversation_counts_as_two() {
    for (setting, calls) in [("DIAL_PER_MINUTE", "1"), ("DIAL_PER_HOUR", "1"), ("DIAL_PER_DAY", "0")] {
        let world = World::with(&[PHONES, (setting, calls)]).await;
        let refused = world.get("/dial/14155551234?with=me").await;
        let detail = refused.problem(403, "not-allowed");
        let why = format!("a conversation counts as two calls, and {setting} allows {calls}; nothing was dialed");
        assert_eq!((detail, refused.header("retry-after")), (why, ""));
        assert_eq!(world.calls_placed(), 0);
    }
}

#[tokio::test]
async fn a_form_offers_the_operators_phones_and_dials_a_conversation_once() {
    let world = World::with(&[PHONES]).await;
    let home = world.get_with("/", &PRESSED).await.text();
    assert!(
        home.contains(&format!("<option value=\"{OTHER_PHONE}\">Talk: ring {OTHER_PHONE} first</option>")),
        "{home}"
    );
    let press = "0123456789abcdef0123456789abcdef";
    let form = format!("number=%2B14155551234&with=%2B14155550101&press={press}");
    let first = world.send(Method::POST, "/calls", &PRESSED, &form).await;
    assert_eq!(first.status, 303, "{}", first.text());
    world.settle().await;
    let second = world.send(Method::POST, "/calls", &PRESSED, &form).await;
    assert_eq!(first.call_sid(), second.call_sid());
    assert_eq!(world.calls_placed(), 1);
    let page = world.get_with(&format!("/calls/{}", first.call_sid()), &PRESSED).await.text();
    assert!(page.contains(&format!("<input type=\"hidden\" name=\"with\" value=\"{OTHER_PHONE}\">")), "{page}");
    // The same form with another choice asks for another call.
    for (with, placed) in [("", 2), ("%2B14155550100", 3), ("", 3), ("me", 3)] {
        let form = format!("number=%2B14155551234&with={with}&press={press}");
        assert_eq!(world.send(Method::POST, "/calls", &PRESSED, &form).await.status, 303);
        world.settle().await;
        assert_eq!(world.calls_placed(), placed, "{with}");
    }

    let refused = world.send(Method::POST, "/calls", &PRESSED, "number=%2B14155550101&with=%2B14155550101").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("name=\"with\" aria-invalid=\"true\""), "{}", refused.text());
    let without = World::new().await;
    assert!(!without.get_with("/", &PRESSED).await.text().contains("name=\"with\""));
}

#[tokio::test]
async fn a_refused_address_comes_back_as_a_form_that_still_dials_a_conversation() {
    let world = World::with(&[PHONES, ("DIAL_PER_HOUR", "2")]).await;
    let selected = |phone: &str| format!("<option value=\"{phone}\" selected>");
    let refused = async |path: &str, status: u16, phone: &str| {
        let answer = world.get_with(path, &TYPED).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(&selected(phone)), "{}", answer.text());
        assert_eq!(answer.text().matches(" selected>").count(), 1, "{}", answer.text());
    };
    refused("/dial/19005551234?with=me", 403, PHONE).await;
    refused("/dial/19005551234?with=14155550101", 403, OTHER_PHONE).await;
    refused("/dial/14155551234?with=you", 400, PHONE).await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(401));
    refused("/dial/14155551234?with=me", 502, PHONE).await;
    refused("/dial/14155551234?with=+14155550101", 429, OTHER_PHONE).await;
    let message = world.get_with("/dial/19005551234", &TYPED).await.text();
    assert!(!message.contains(" selected>"), "{message}");
}

pub(crate) const CALLER: &str = "+14155559876";
const INBOUND_CALL: &str = "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb1";

async fn forwarding() -> World {
    World::with(&[PHONES, ("INBOUND", "forward"), ("FORWARD_SECONDS", "40")]).await
}

/// Asks for TwiML as Twilio does for a call to our number.
async fn ask_inbound(world: &World, path: &str, from: &str, more: &[(&str, &str)]) -> String {
    let own = [("AccountSid", ACCOUNT_SID), ("CallSid", INBOUND_CALL), ("CallStatus", "in-progress")];
    let of_call = [("Direction", "inbound"), ("To", PHONE_NUMBER), ("From", from)];
    let answer = world.callback(path, &[&own[..], &of_call, more].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// Asks for TwiML as Twilio does for a leg to an operator's phone.
async fn ask_leg(world: &World, path: &str, more: &[(&str, &str)]) -> String {
    let own = [("AccountSid", ACCOUNT_SID), ("CallSid", LEG), ("ParentCallSid", INBOUND_CALL)];
    let of_leg = [("Direction", "outbound-dial"), ("To", PHONE), ("From", CALLER)];
    world.callback(path, &[&own[..], &of_leg, more].concat()).await.text()
}

/// Returns the call once everything is stored that requests for TwiML have told: they are answered before that.
async fn noted(world: &World) -> Value {
    world.app.run_due_jobs().await;
    world.call(INBOUND_CALL).await
}

#[tokio::test]
async fn a_forwarded_call_rings_all_phones_of_the_operator_at_once() {
    let world = forwarding().await;
    let document = ask_inbound(&world, "/record/", CALLER, &[]).await;
    assert!(document.contains("<Say>Ahoy! Call recording starts now.</Say><Dial "), "{document}");
    assert!(document.contains("timeout=\"40\"") && !document.contains("callerId"), "{document}");
    for phone in [PHONE, OTHER_PHONE] {
        assert!(document.contains(&format!(">{phone}</Number>")), "{document}");
    }
    // A phone of the operator does not ring itself, and a program that has no other takes a message.
    let document = ask_inbound(&world, "/record/", PHONE, &[]).await;
    assert!(document.contains(OTHER_PHONE) && !document.contains(&format!(">{PHONE}<")), "{document}");
    let single = World::with(&[("OPERATOR_PHONES", PHONE), ("INBOUND", "forward")]).await;
    assert!(ask_inbound(&single, "/record/", PHONE, &[]).await.contains("<Record "));
    // By default, callers leave a message.
    let world = World::with(&[PHONES]).await;
    assert!(ask_inbound(&world, "/record/", CALLER, &[]).await.contains("<Record "));
}

/// Who has an operator's phone talks with the caller, who has none leaves a message.
#[tokio::test]
async fn a_caller_can_be_called_back() {
    for (settings, phone) in [(&[PHONES][..], Some(PHONE)), (&[], None)] {
        let world = World::with(settings).await;
        let inbound = world.twilio.inbound_call(&format!("{}/record/", world.base), CALLER);
        world.settle().await;
        let page = world.page(&format!("/calls/{inbound}")).await;
        assert!(page.contains("<button>Call back</button>") && !page.contains("Call again"), "{page}");
        let field = |name: &str| {
            let (_, field) = page.split_once(&format!("<input type=\"hidden\" name=\"{name}\" value=\""))?;
            Some(field.split_once('"')?.0.replace("&#43;", "+"))
        };
        assert_eq!((field("number").as_deref(), field("with").as_deref()), (Some(CALLER), phone));
        let form = |name: &str| field(name).map(|value| format!("{name}={}", value.replace('+', "%2B")));
        let form = ["number", "press", "with"].into_iter().filter_map(form).collect::<Vec<_>>().join("&");
        let pressed = world.send(Method::POST, "/calls", &PRESSED, &form).await;
        let call = world.get(pressed.header("location")).await.json();
        let called = if phone.is_some() { "conversation" } else { "message" };
        assert_eq!((&call["to"], &call["kind"]), (&json!(CALLER), &json!(called)), "{call:#}");
        let page = world.page(pressed.header("location")).await;
        assert!(!page.contains("Call back"), "{page}");
    }
}

#[tokio::test]
async fn an_empty_with_is_refused_and_sends_no_message() {
    let world = World::with(&[PHONES]).await;
    for path in ["14155551234?with=", "14155551234?with=%20&keyterms=a"] {
        let refused = world.get(&format!("/dial/{path}")).await.problem(400, "bad-request");
        assert_eq!(refused, "with: expected me, or one of OPERATOR_PHONES; leave it out for a message");
    }
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test]
async fn no_more_calls_are_forwarded_than_may_be_dialed() {
    for (setting, seconds) in [("DIAL_PER_MINUTE", 60), ("DIAL_PER_HOUR", 3_600), ("DIAL_PER_DAY", 86_400)] {
        let world = World::with(&[PHONES, ("INBOUND", "forward"), (setting, "2")]).await;
        let phones = async |call: u32| {
            let sid = format!("CAd{call:031}");
            let call = [("AccountSid", ACCOUNT_SID), ("CallSid", &*sid), ("Direction", "inbound"), ("From", CALLER)];
            let document = world.callback("/record/", &call).await.text();
            assert_ne!(document.contains("<Record "), document.contains("<Number "), "{document}");
            document.matches("<Number ").count()
        };
        // Twilio asks twice if the first answer was lost.
        assert_eq!([phones(1).await, phones(2).await, phones(1).await, phones(3).await], [2, 2, 2, 0], "{setting}");
        // They take nothing from what may be dialed.
        world.dial("14155551234").await;
        world.clock.advance(Duration::from_secs(seconds - 1));
        assert_eq!(phones(4).await, 0, "{setting}");
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(phones(5).await, 2, "{setting}");
    }
}

#[tokio::test]
async fn a_key_takes_a_forwarded_call() {
    let world = forwarding().await;
    ask_inbound(&world, "/record/", CALLER, &[]).await;
    let asked = ask_leg(&world, "/record/take/", &[]).await;
    assert!(asked.contains("<Say>Call from 1 4 1 5 5 5 5 9 8 7 6. Press any key to take it.</Say>"), "{asked}");
    assert!(ask_leg(&world, "/record/take/key/", &[("Digits", "")]).await.contains("<Hangup/>"));
    let taken = ask_leg(&world, "/record/take/key/", &[("Digits", "0")]).await;
    assert!(taken.ends_with("<Response></Response>"), "{taken}");
    let call = noted(&world).await;
    assert_eq!((&call["kind"], &call["direction"]), (&json!("conversation"), &json!("inbound")), "{call:#}");
    let legs = &call["legs"];
    assert_eq!((&legs[0]["role"], &legs[0]["number"]), (&json!("party"), &json!(CALLER)), "{legs}");
    assert_eq!((&legs[1]["role"], &legs[1]["number"]), (&json!("operator"), &json!(PHONE)), "{legs}");
}

#[tokio::test]
async fn a_phone_that_talks_in_a_forwarded_call_does_not_ring_a_second_time() {
    let world = forwarding().await;
    ask_inbound(&world, "/record/", CALLER, &[]).await;
    ask_leg(&world, "/record/take/key/", &[("Digits", "0")]).await;
    assert_eq!(noted(&world).await["kind"], "conversation");
    for path in ["14155551234?with=me", "14155550100", "14155550100?with=%2B14155550101"] {
        let answer = world.get(&format!("/dial/{path}")).await;
        assert_eq!(answer.text(), format!("call from {CALLER}. call SID is: {INBOUND_CALL}\n"), "{path}");
    }
    let page = world.get_with("/dial/14155551234?with=me", &TYPED).await;
    assert_eq!(page.header("location"), format!("/calls/{INBOUND_CALL}?dialled=before"));
    assert_eq!(world.calls_placed(), 0);
    // The other phone is free, and so is this one once it has hung up.
    world.dial(&format!("14155551234?with={OTHER_PHONE}")).await;
    let ended = leg_params(INBOUND_CALL, LEG, "completed");
    assert_eq!(world.callback("/hooks/twilio/leg", &ended).await.status, 204);
    world.dial("14155551235?with=me").await;
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_phone_whose_forwarded_call_nobody_follows_any_more_rings() {
    let world = forwarding().await;
    ask_inbound(&world, "/record/", CALLER, &[]).await;
    ask_leg(&world, "/record/take/key/", &[("Digits", "0")]).await;
    assert_eq!(noted(&world).await["kind"], "conversation");
    // Twilio does not know the call, and its end was never reported.
    for _ in 0..24 {
        world.after(HOUR).await;
    }
    world.dial("14155551234?with=me").await;
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_phone_in_a_conversation_does_not_ring_if_it_has_left_the_settings() {
    let one = Ringing::new().await;
    let (app, other) = one.world.another_app_with_url(&[]).await;
    let answer = one.world.http.get(format!("{other}/dial/14155550100")).send().await.expect("an answer");
    assert_eq!(Answer::of(answer).await.call_sid(), one.sid);
    assert_eq!(one.world.calls_placed(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_forwarded_call_that_its_leg_has_reported_first_has_both_roles() {
    let world = forwarding().await;
    let ringing = leg_params(INBOUND_CALL, LEG, "ringing");
    assert_eq!(world.callback("/hooks/twilio/leg", &ringing).await.status, 204);
    ask_inbound(&world, "/record/", CALLER, &[]).await;
    let call = noted(&world).await;
    let legs = call["legs"].as_array().expect("legs");
    assert_eq!(legs.iter().map(|leg| &leg["role"]).collect::<Vec<_>>(), ["party", "operator"], "{call:#}");
}

#[tokio::test]
async fn a_forwarded_call_that_nobody_takes_is_a_message() {
    let world = forwarding().await;
    ask_inbound(&world, "/record/", CALLER, &[]).await;
    let done = [("DialCallStatus", "completed"), ("DialCallSid", LEG), ("DialBridged", "false")];
    let document = ask_inbound(&world, "/record/take/done/", CALLER, &done).await;
    assert!(
        document.contains("<Say>Nobody can take your call now. Please leave a message.</Say><Record "),
        "{document}"
    );
    assert!(!document.contains("Ahoy"), "{document}");
    let call = noted(&world).await;
    let expected = (&json!("message"), &json!("answered, but not connected"));
    assert_eq!((&call["kind"], &call["legs"][1]["reason"]), expected, "{call:#}");

    let done = [("DialCallStatus", "completed"), ("DialCallSid", LEG), ("DialBridged", "true")];
    assert!(ask_inbound(&world, "/record/take/done/", CALLER, &done).await.ends_with("<Response><Hangup/></Response>"));
}

/// How callbacks may come.
const ALL_CALLBACKS: [Callbacks; 4] = [Callbacks::Deliver, Callbacks::Twice, Callbacks::Shuffled, Callbacks::Drop];

pub(crate) async fn with_callbacks(callbacks: Callbacks, settings: &[(&str, &str)]) -> World {
    let world = World::with(&[&[PHONES], settings].concat()).await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(callbacks);
    world.assemblyai.control.set_callbacks(callbacks);
    world
}

/// Lets the call come to its end, and polls that find it.
pub(crate) async fn let_end(world: &World) {
    world.settle().await;
    for _ in 0..4 {
        world.after(HOUR / 60).await;
    }
}

/// How many calls each phone got, the operator's first.
fn rung(world: &World, call: &Value) -> Vec<(String, String)> {
    let text = |leg: &Value, name: &str| leg[name].as_str().unwrap_or_default().to_owned();
    let legs = call["legs"].as_array().expect("legs").iter();
    let legs: Vec<_> = legs.map(|leg| (text(leg, "number"), text(leg, "sid"))).collect();
    for (_, sid) in &legs {
        assert!(world.twilio.call_status(sid).is_some(), "Twilio has no call {sid}");
    }
    legs
}

#[tokio::test]
async fn the_page_of_a_conversation_shows_both_phones() {
    let world = with_callbacks(Callbacks::Deliver, &[]).await;
    let sid = world.dial("14155551234?with=me").await;
    let_end(&world).await;
    let page = world.get_with(&format!("/calls/{sid}"), &PRESSED).await.text();
    assert!(page.contains("Your phone +14155550100") && page.contains("Other side +14155551234"), "{page}");
}

#[tokio::test]
async fn a_forwarded_call_has_a_leg_to_each_phone_however_callbacks_come() {
    for callbacks in ALL_CALLBACKS {
        let world = with_callbacks(callbacks, &[("INBOUND", "forward")]).await;
        let sid = world.twilio.inbound_call(&format!("{}/record/", world.base), CALLER);
        let_end(&world).await;
        assert_transcribed(&world, &sid).await;
        let call = world.call(&sid).await;
        assert_eq!((&call["kind"], &call["direction"]), (&json!("conversation"), &json!("inbound")), "{call:#}");
        assert_eq!(call["legs"][0]["number"], CALLER);
        let mut phones: Vec<String> = rung(&world, &call)[1..].iter().map(|(number, _)| number.clone()).collect();
        phones.sort();
        assert_eq!(phones, [PHONE, OTHER_PHONE], "{callbacks:?}: {call:#}");
        assert_eq!(world.get("/calls").await.json()["calls"].as_array().map(Vec::len), Some(1));
    }
}

/// The SIDs of the legs that a call has dialed at Twilio.
async fn dialed_at_twilio(world: &World, sid: &str) -> Vec<String> {
    let list = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?ParentCallSid={sid}", world.twilio.url());
    let listed = world.http.get(list).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN)).send().await.expect("an answer");
    let calls = Answer::of(listed).await.json()["calls"].as_array().expect("calls").clone();
    calls.iter().map(|call| call["sid"].as_str().expect("a SID").to_owned()).collect()
}

/// Twilio lists nothing in its next answers to this path.
fn list_nothing(world: &World, path: &str, answers: usize) {
    for _ in 0..answers {
        let nothing = Fault::wrong_body(r#"{"calls": [], "recordings": []}"#);
        world.twilio.control.fail_next(Method::GET, path, nothing);
    }
}

#[tokio::test]
async fn the_end_of_a_leg_that_twilio_does_not_list_is_found() {
    let world = with_callbacks(Callbacks::Drop, &[("INBOUND", "forward")]).await;
    let sid = world.twilio.inbound_call(&format!("{}/record/", world.base), CALLER);
    world.twilio.settled().await;
    for leg in dialed_at_twilio(&world, &sid).await {
        assert_eq!(world.callback("/hooks/twilio/leg", &leg_params(&sid, &leg, "ringing")).await.status, 204);
    }
    list_nothing(&world, "/Calls.json", 20);
    let_end(&world).await;
    assert_transcribed(&world, &sid).await;
    let call = world.call(&sid).await;
    let legs = &call["legs"].as_array().expect("legs")[1..];
    assert_eq!(legs.len(), 2, "{call:#}");
    for leg in legs {
        let status = world.twilio.call_status(leg["sid"].as_str().expect("a SID")).expect("a call");
        assert_eq!(leg["state"], status, "{call:#}");
    }
}

#[tokio::test]
async fn a_leg_that_was_answered_and_that_twilio_does_not_list_was_recorded() {
    let world = with_callbacks(Callbacks::Drop, &[]).await;
    let sid = world.dial("14155551234?with=me").await;
    world.twilio.settled().await;
    let leg = dialed_at_twilio(&world, &sid).await.remove(0);
    assert_eq!(world.callback("/hooks/twilio/leg", &leg_params(&sid, &leg, "completed")).await.status, 204);
    list_nothing(&world, "/Calls.json", 20);
    list_nothing(&world, "/Recordings.json", 1);
    let_end(&world).await;
    assert_transcribed(&world, &sid).await;
}

#[tokio::test]
async fn the_sid_of_a_leg_leads_to_its_call() {
    let world = with_callbacks(Callbacks::Deliver, &[]).await;
    let sid = world.dial("14155551234?with=me").await;
    let_end(&world).await;
    let call = world.call(&sid).await;
    let leg = rung(&world, &call)[1].1.clone();
    let audio = world.get(&format!("/get-recording-url/{sid}")).await.text();
    // Also if only Twilio knows the leg, or the call as well.
    for forget in ["", "DELETE FROM legs", "UPDATE calls SET sid = NULL"] {
        world.store.execute(forget).await.expect("no leg");
        assert_eq!(world.call(&leg).await["sid"], json!(sid), "{forget}");
        let page = world.get_with(&format!("/calls/{leg}?q=order"), &PRESSED).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (303, &*format!("/calls/{sid}?q=order")));
        assert_eq!(world.get(&format!("/get-recording-url/{leg}")).await.text(), audio, "{forget}");
    }
    let transcript = world.post_form("/transcribe", &format!("call_sid={leg}")).await;
    assert_eq!(transcript.status, 200, "{}", transcript.text());
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 1);
}

#[tokio::test]
async fn a_call_is_read_whatever_stands_in_the_place_of_its_parent() {
    let world = World::new().await;
    let sid = world.twilio.add_call(SeededCall::default());
    for parent in [json!(null), json!(""), json!(false), json!(0), json!([])] {
        let call = json!({ "sid": sid, "status": "completed", "parent_call_sid": parent });
        world.twilio.control.fail_next(Method::GET, &sid, Fault::wrong_body(call.to_string()));
        assert_eq!(world.call(&sid).await["sid"], json!(sid), "{parent}");
    }
}

#[tokio::test]
async fn the_times_of_a_leg_are_those_of_twilio_if_it_was_not_reported() {
    for callbacks in [Callbacks::Drop, Callbacks::Shuffled] {
        let world = with_callbacks(callbacks, &[("INBOUND", "forward")]).await;
        let sid = world.twilio.inbound_call(&format!("{}/record/", world.base), CALLER);
        world.twilio.settled().await;
        // Stores what requests for TwiML have told.
        world.app.run_due_jobs().await;
        let ended = world.clock.now_ms();
        world.after(HOUR).await;
        for leg in &world.call(&sid).await["legs"].as_array().expect("legs")[1..] {
            let at = |name: &str| leg[name].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
            let over = at("ended_at").expect("an end");
            assert!((over.as_millisecond() - ended).abs() < 60_000, "{callbacks:?}: {leg}");
            let was_answered = leg["state"] == "completed";
            assert_eq!(
                at("answered_at").is_some_and(|answered| answered <= over),
                was_answered,
                "{callbacks:?}: {leg}"
            );
        }
    }
}

#[tokio::test]
async fn a_conversation_that_does_not_come_about_says_why() {
    for callbacks in ALL_CALLBACKS {
        for (outcome, state, reason) in [
            (Outcome::Busy, "busy", "The line of the other number was busy."),
            (Outcome::NoAnswer, "no-answer", "Nobody answered at the other number."),
            (Outcome::Failed, "failed", "The other number could not be reached."),
        ] {
            let world = with_callbacks(callbacks, &[]).await;
            world.twilio.hold(Stage::Ringing);
            let sid = world.dial("14155551234?with=me").await;
            world.twilio.set_next_outcome(outcome);
            world.twilio.release(Stage::Ringing);
            let_end(&world).await;
            let call = world.call(&sid).await;
            assert_eq!((&call["state"], &call["progress"]), (&json!("completed"), &json!("failed")), "{call:#}");
            assert_eq!((&call["legs"][1]["state"], &call["reason"]), (&json!(state), &json!(reason)), "{call:#}");
            assert_eq!((&call["can_retry"], &call["can_delete"]), (&json!(false), &json!(true)), "{call:#}");
            let listed = &world.get("/calls").await.json()["calls"][0];
            assert_eq!((&listed["progress"], &listed["reason"]), (&json!("failed"), &json!(reason)), "{listed}");
            let page = world.get_with(&format!("/calls/{sid}"), &PRESSED).await.text();
            assert_eq!(page.matches(reason).count(), 1, "{page}");
        }
        for (outcome, state, legs, reason) in [
            (Outcome::Busy, "busy", 1, "Your phone was busy, so the other number was not called."),
            (Outcome::NoAnswer, "no-answer", 1, "Your phone was not answered, so the other number was not called."),
            (Outcome::Voicemail, "completed", 1, "Nobody pressed a key at your phone"),
        ] {
            let world = with_callbacks(callbacks, &[]).await;
            world.twilio.set_next_outcome(outcome);
            let sid = world.dial("14155551234?with=me").await;
            let_end(&world).await;
            let call = world.call(&sid).await;
            assert_eq!((&call["state"], &call["progress"]), (&json!(state), &json!("failed")), "{call:#}");
            assert!(call["reason"].as_str().is_some_and(|said| said.starts_with(reason)), "{call:#}");
            assert_eq!(call["legs"].as_array().map(Vec::len), Some(legs), "{call:#}");
            assert!(world.twilio.recordings_of(&sid).is_empty(), "nobody talked");
        }
    }
}

#[tokio::test]
async fn a_conversation_is_deleted_with_its_legs() {
    let world = with_callbacks(Callbacks::Deliver, &[]).await;
    let sid = world.dial("14155551234?with=me").await;
    let_end(&world).await;
    let legs = rung(&world, &world.call(&sid).await);
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    world.settle().await;
    world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
    for (_, leg) in &legs {
        assert_eq!(world.twilio.call_status(leg), None, "{leg} is still at Twilio");
    }
    // Late callbacks of the leg restore nothing.
    let leg = &legs[1].1;
    assert_eq!(world.callback("/hooks/twilio/leg", &leg_params(&sid, leg, "completed")).await.status, 204);
    let numbers = "SELECT count(*) FROM legs WHERE number IS NOT NULL";
    assert_eq!(world.store.number(numbers).await, 0);
    assert_eq!(world.store.number("SELECT count(*) FROM calls WHERE operator_number IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_conversation_whose_answer_was_lost_is_found_by_the_operators_phone() {
    let world = with_callbacks(Callbacks::Drop, &[]).await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    let sid = world.dial("14155551234?with=me").await;
    let_end(&world).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.calls_placed(), 1);
}
