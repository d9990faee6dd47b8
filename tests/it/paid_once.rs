//! What costs money is paid for once, however its answer was lost and whatever was given up on meanwhile: it is found
//! again, or waited for.

use std::time::Duration;

use callscribe::internals::Deadlines;
use callscribe::sandbox::control::{Callbacks, Disturbance, Fault};
use callscribe::sandbox::twilio::{ACCOUNT_SID, Stage};
use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};

use crate::pipeline::{HOUR, LOOK, assert_transcribed, until_done};
use crate::support::{World, assert_happened, steps_repeat};

/// A Twilio list that lacks the call.
const NO_CALLS: Fault = Fault::WrongBody(r#"{"calls": [], "next_page_uri": null}"#);

/// Vendors that are not asked twice for what they do not answer.
fn once() -> Deadlines {
    Deadlines { repeated: Duration::ZERO, ..Deadlines::default() }
}

/// The same, and whoever dials waits two seconds.
fn impatient() -> Deadlines {
    Deadlines { answer: Duration::from_secs(1), ..once() }
}

/// Lets every request to AssemblyAI fail until the transcript of this call is given up.
async fn until_given_up(world: &World, sid: &str) {
    world.assemblyai.control.disturb(Disturbance { seed: 1, per_mille: 1_000, hangs: false });
    for _ in 0..9 {
        world.after(HOUR).await;
    }
    world.assemblyai.control.stop_disturbing();
    let call = world.call(sid).await;
    assert_eq!((&call["progress"], &call["transcripts"][0]["state"]), (&json!("failed"), &json!("failed")), "{call:#}");
}

/// Lets time pass, and the program do what becomes due, while calls are held at Twilio.
async fn work_after(world: &World, time: Duration) {
    world.clock.advance(time);
    while world.app.run_due_jobs().await > 0 {}
}

/// Both ways in which a person has it tried again.
async fn try_again(world: &World, sid: &str, by_request: bool) {
    let answer = match by_request {
        false => world.post_form(&format!("/calls/{sid}/retry"), "").await,
        true => world.post_json("/transcribe", &json!({ "call_sid": sid })).await,
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The only call, as the list has it.
async fn only_call(world: &World) -> Value {
    let calls = world.get("/calls").await.json();
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(1), "{calls:#}");
    calls["calls"][0].clone()
}

/// Twilio says that this call rings, by the token that it was placed with.
async fn told_that_it_rings(world: &World, token: &str, sid: &str) {
    let params = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", sid),
        ("CallStatus", "ringing"),
        ("Direction", "outbound-api"),
        ("To", "+14155551234"),
    ];
    let answer = world.callback(&format!("/hooks/twilio/call?t={token}"), &params).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The SID of the only call that Twilio has, whether anybody was told or not.
async fn sid_at_twilio(world: &World) -> String {
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json", world.twilio.url());
    let request = world.http.get(url).basic_auth(ACCOUNT_SID, Some(callscribe::sandbox::twilio::AUTH_TOKEN));
    let calls: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(1), "{calls:#}");
    calls["calls"][0]["sid"].as_str().expect("a SID").to_owned()
}

#[tokio::test]
async fn an_order_that_was_taken_and_could_not_be_followed_is_gone_on_with_when_it_is_tried_again() {
    for by_request in [false, true] {
        let world = World::with_deadlines(&[], once()).await;
        world.twilio.mark_recordings();
        world.assemblyai.control.set_callbacks(Callbacks::Drop);
        world.assemblyai.hold();
        let sid = world.dial("14155551234").await;
        world.settle().await;
        assert_eq!(world.transcript_requests().len(), 1);
        until_given_up(&world, &sid).await;

        world.assemblyai.release();
        try_again(&world, &sid, by_request).await;
        until_done(&world, std::slice::from_ref(&sid), LOOK, 10).await;
        assert_transcribed(&world, &sid).await;
        assert_eq!(world.transcript_requests().len(), 1, "by request: {by_request}");
        assert_happened(world.assemblyai.uploads().len(), 1);
    }
}

#[tokio::test]
async fn an_order_that_may_have_been_taken_is_looked_for_when_it_is_tried_again() {
    for by_request in [false, true] {
        let world = World::with_deadlines(&[], once()).await;
        world.twilio.mark_recordings();
        world.assemblyai.control.set_callbacks(Callbacks::Drop);
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
        let refuse = Fault::Refuse { status: 503, retry_after: None };
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse);
        let sid = world.dial("14155551234").await;
        world.settle().await;
        until_given_up(&world, &sid).await;

        try_again(&world, &sid, by_request).await;
        until_done(&world, std::slice::from_ref(&sid), LOOK, 20).await;
        assert_transcribed(&world, &sid).await;
        let accepted: Vec<u64> = world.assemblyai.accepted_per_recording().into_values().collect();
        assert_eq!(accepted, [1], "by request: {by_request}");
        assert_eq!(world.transcript_requests().len(), 1, "by request: {by_request}");
    }
}

#[tokio::test]
async fn the_webhook_that_names_an_order_is_the_answer_that_was_not_seen() {
    if steps_repeat() {
        // The order is looked for before it is sent then, and the clock stands still.
        return;
    }
    let world = World::with_deadlines(&[], once()).await;
    world.twilio.mark_recordings();
    world.assemblyai.hold();
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let refuse = Fault::Refuse { status: 503, retry_after: None };
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse);
    let sid = world.dial("14155551234").await;
    world.twilio.settled().await;
    while world.app.run_due_jobs().await > 0 {}
    assert_eq!(world.call(&sid).await["transcripts"][0]["id"], Value::Null, "its answer was not seen");
    world.assemblyai.release();
    world.settle().await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.control.requests(Method::GET, "/v2/transcript"), 1, "nobody looks for it any more");
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn a_list_of_transcripts_that_breaks_off_is_no_reason_to_order_again() {
    let world = World::with_deadlines(&[], once()).await;
    world.twilio.mark_recordings();
    world.assemblyai.control.set_callbacks(Callbacks::Drop);
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let no_end = Fault::WrongBody(r#"{"page_details": {"prev_url": "/v2/transcript"}, "transcripts": []}"#);
    for _ in 0..2 {
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", Fault::CutBody);
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", no_end.clone());
    }
    let sid = world.dial("14155551234").await;
    for _ in 0..5 {
        world.after(Duration::from_secs(75)).await;
        assert_eq!(world.transcript_requests().len(), 1);
    }
    until_done(&world, std::slice::from_ref(&sid), HOUR, 3).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn a_list_of_calls_that_breaks_off_does_not_mean_that_there_was_no_call() {
    let world = World::with_deadlines(&[], impatient()).await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    for _ in 0..4 {
        world.twilio.control.fail_next(Method::GET, "/Calls.json", Fault::CutBody);
    }
    world.get("/dial/14155551234").await.problem(502, "vendor-ambiguous");
    for pause in [3, 11, 40, 80] {
        assert_eq!(only_call(&world).await["state"], "unknown");
        work_after(&world, Duration::from_secs(pause)).await;
    }
    work_after(&world, HOUR).await;
    let sid = world.dial("14155551234").await;
    assert_eq!(sid, sid_at_twilio(&world).await);
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn who_dials_a_number_whose_call_is_in_doubt_gets_that_call() {
    let world = World::with_deadlines(&[], impatient()).await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    world.get("/dial/14155551234").await.problem(502, "vendor-ambiguous");
    let first = only_call(&world).await;
    assert_eq!(first["state"], "unknown", "{first:#}");
    let id = first["id"].as_str().expect("an id");

    let detail = world.get("/dial/14155551234").await.problem(503, "unsettled");
    assert!(detail.ends_with(&format!("/calls/{id}")), "{detail}");
    let sid = sid_at_twilio(&world).await;
    let (second, ()) = join(world.dial("14155551234"), told_that_it_rings(&world, id, &sid)).await;
    assert_eq!(second, sid);
    assert_eq!(only_call(&world).await["sid"], *sid);
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_call_that_was_given_up_as_lost_is_followed_again_once_it_is_heard_of() {
    let world = World::with_deadlines(&[], impatient()).await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    world.get("/dial/14155551234").await.problem(502, "vendor-ambiguous");
    let sid = sid_at_twilio(&world).await;
    // Twilio's list stays behind.
    for _ in 0..4 {
        world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    }
    for _ in 0..4 {
        work_after(&world, Duration::from_secs(45)).await;
    }
    let lost = only_call(&world).await;
    assert_eq!(lost["state"], "lost", "{lost:#}");
    told_that_it_rings(&world, lost["id"].as_str().expect("an id"), &sid).await;
    // Nothing else is told.
    world.twilio.release(Stage::Ringing);
    until_done(&world, std::slice::from_ref(&sid), LOOK, 10).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!((world.calls_placed(), only_call(&world).await["id"] == lost["id"]), (1, true));
}

#[tokio::test]
async fn a_number_stays_taken_while_a_call_may_be_up_that_could_not_be_followed() {
    let world = World::with_deadlines(&[("MAX_CALL_SECONDS", "14400")], once()).await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    let sid = world.dial("14155551234").await;
    world.twilio.control.disturb(Disturbance { seed: 1, per_mille: 1_000, hangs: false });
    let failures = async || world.store.number("SELECT failures FROM jobs WHERE kind = 'call'").await;
    for (failed, pause) in [15, 3, 10, 36, 72, 360, 1_080, 2_160].into_iter().enumerate() {
        assert_eq!(failures().await, failed as i64);
        work_after(&world, Duration::from_secs(pause)).await;
    }
    assert_eq!(failures().await, 0, "it was given up, and begun anew");
    world.twilio.control.stop_disturbing();
    assert_eq!(world.dial("14155551234").await, sid);
    assert_eq!(world.calls_placed(), 1);

    world.twilio.release(Stage::Ringing);
    until_done(&world, std::slice::from_ref(&sid), Duration::from_secs(75), 5).await;
    assert_transcribed(&world, &sid).await;
    assert_ne!(world.dial("14155551234").await, sid, "it is over");
}
