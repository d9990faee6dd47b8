//! Each call and each transcript is paid for once, even if the vendor's response was lost or the job gave up meanwhile:
//! it is found again or waited for.

use std::borrow::Cow;
use std::time::Duration;

use callscribe::internals::{AssemblyAi, Clock, Deadlines, now};
use callscribe::sandbox::control::{Callbacks, Fault, RandomFaults};
use callscribe::sandbox::twilio::{ACCOUNT_SID, Stage};
use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::pipeline::{FIRST_POLL, HOUR, assert_transcribed, until_done};
use crate::support::{World, assert_happened, listen, steps_repeat};

/// A list of calls from Twilio that lacks the call.
const NO_CALLS: Fault = Fault::WrongBody(Cow::Borrowed(r#"{"calls": [], "next_page_uri": null}"#));

/// Deadlines under which a client does not repeat an unanswered request.
fn once() -> Deadlines {
    Deadlines { repeated: Duration::ZERO, ..Deadlines::default() }
}

/// The same, and a dial request waits two seconds at most.
fn impatient() -> Deadlines {
    Deadlines { answer: Duration::from_secs(1), ..once() }
}

/// Makes every request to AssemblyAI fail until the job gives up on this call's transcript.
async fn until_given_up(world: &World, sid: &str) {
    world.assemblyai.control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
    for _ in 0..9 {
        world.after(HOUR).await;
    }
    world.assemblyai.control.stop_random_faults();
    let call = world.call(sid).await;
    assert_eq!((&call["progress"], &call["transcripts"][0]["state"]), (&json!("failed"), &json!("failed")), "{call:#}");
}

/// Advances the clock and runs all due jobs, while the sandbox holds its calls.
async fn work_after(world: &World, time: Duration) {
    world.clock.advance(time);
    while world.app.run_due_jobs().await > 0 {}
}

/// Retries in one of the operator's two ways: a transcript request, or the call's retry button.
async fn try_again(world: &World, sid: &str, by_request: bool) {
    let answer = if by_request {
        world.post_json("/transcribe", &json!({ "call_sid": sid })).await
    } else {
        world.post_form(&format!("/calls/{sid}/retry"), "").await
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The only call in the list.
async fn only_call(world: &World) -> Value {
    let calls = world.get("/calls").await.json();
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(1), "{calls:#}");
    calls["calls"][0].clone()
}

/// Sends Twilio's "ringing" callback for this call, with the call id that it was placed with.
async fn report_ringing(world: &World, call_id: &str, sid: &str) {
    let params = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", sid),
        ("CallStatus", "ringing"),
        ("Direction", "outbound-api"),
        ("To", "+14155551234"),
    ];
    let answer = world.callback(&format!("/hooks/twilio/call?t={call_id}"), &params).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The calls that Twilio lists.
async fn calls_at_twilio(world: &World) -> Vec<Value> {
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json", world.twilio.url());
    let request = world.http.get(url).basic_auth(ACCOUNT_SID, Some(callscribe::sandbox::twilio::AUTH_TOKEN));
    let listed: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    listed["calls"].as_array().expect("a list").clone()
}

/// The SID of the only call at Twilio, even if callscribe has not received it.
async fn sid_at_twilio(world: &World) -> String {
    let calls = calls_at_twilio(world).await;
    assert_eq!(calls.len(), 1, "{calls:#?}");
    calls[0]["sid"].as_str().expect("a SID").to_owned()
}

#[tokio::test]
async fn a_retry_continues_a_submitted_transcript_that_could_not_be_polled() {
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
        until_done(&world, std::slice::from_ref(&sid), FIRST_POLL, 10).await;
        assert_transcribed(&world, &sid).await;
        assert_eq!(world.transcript_requests().len(), 1, "by request: {by_request}");
        assert_happened(world.assemblyai.uploads().len(), 1);
    }
}

#[tokio::test]
async fn a_retry_looks_for_a_transcript_that_may_have_been_submitted() {
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
        until_done(&world, std::slice::from_ref(&sid), FIRST_POLL, 20).await;
        assert_transcribed(&world, &sid).await;
        let accepted: Vec<u64> = world.assemblyai.accepted_per_recording().into_values().collect();
        assert_eq!(accepted, [1], "by request: {by_request}");
        assert_eq!(world.transcript_requests().len(), 1, "by request: {by_request}");
    }
}

#[tokio::test]
async fn a_webhook_for_an_order_replaces_the_lost_response() {
    if steps_repeat() {
        // A repeated step looks for the transcript before it submits again, and here the clock stands still.
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
    assert_eq!(world.call(&sid).await["transcripts"][0]["id"], Value::Null, "the response was lost");
    world.assemblyai.release();
    world.settle().await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.control.request_count(Method::GET, "/v2/transcript"), 1, "the search has ended");
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn a_truncated_list_of_transcripts_is_no_reason_to_submit_again() {
    let world = World::with_deadlines(&[], once()).await;
    world.twilio.mark_recordings();
    world.assemblyai.control.set_callbacks(Callbacks::Drop);
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
    let no_end = Fault::wrong_body(r#"{"page_details": {"prev_url": "/v2/transcript"}, "transcripts": []}"#);
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
async fn a_truncated_list_of_calls_does_not_mean_that_there_was_no_call() {
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
async fn dialing_a_number_whose_call_is_in_doubt_returns_that_call() {
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
    assert!(detail.ends_with(&format!("/calls/{id} shows the result")), "{detail}");
    let sid = sid_at_twilio(&world).await;
    let (second, ()) = join(world.dial("14155551234"), report_ringing(&world, id, &sid)).await;
    assert_eq!(second, sid);
    assert_eq!(only_call(&world).await["sid"], *sid);
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_lost_call_is_followed_again_after_a_callback() {
    let world = World::with_deadlines(&[], impatient()).await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    world.get("/dial/14155551234").await.problem(502, "vendor-ambiguous");
    let sid = sid_at_twilio(&world).await;
    // Twilio's list is still out of date.
    for _ in 0..4 {
        world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    }
    for _ in 0..4 {
        work_after(&world, Duration::from_secs(45)).await;
    }
    let lost = only_call(&world).await;
    assert_eq!(lost["state"], "lost", "{lost:#}");
    report_ringing(&world, lost["id"].as_str().expect("an id"), &sid).await;
    // No other callback arrives.
    world.twilio.release(Stage::Ringing);
    until_done(&world, std::slice::from_ref(&sid), FIRST_POLL, 10).await;
    assert_transcribed(&world, &sid).await;
    assert_eq!((world.calls_placed(), only_call(&world).await["id"] == lost["id"]), (1, true));
}

#[tokio::test]
async fn a_call_that_twilio_lists_half_a_minute_after_the_right_to_place_it_has_ended_is_found() {
    let world = World::with_deadlines(&[], impatient()).await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
    // More than it searches.
    for _ in 0..20 {
        world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
    }
    _ = world.get("/dial/14155551234").await;
    // The right lasts for 100 seconds.
    for pause in [5, 10, 30, 85] {
        work_after(&world, Duration::from_secs(pause)).await;
    }
    assert_eq!(only_call(&world).await["state"], "unknown");
    while calls_at_twilio(&world).await.is_empty() {}
    work_after(&world, Duration::from_secs(60)).await;
    assert_eq!(only_call(&world).await["sid"], sid_at_twilio(&world).await);
}

#[tokio::test]
async fn a_number_stays_in_use_while_a_call_that_could_not_be_polled_may_be_up() {
    let world = World::with_deadlines(&[("MAX_CALL_SECONDS", "14400")], once()).await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    let sid = world.dial("14155551234").await;
    world.twilio.control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
    let failures = async || world.store.number("SELECT failures FROM jobs WHERE kind = 'call'").await;
    for (failed, pause) in [15, 3, 10, 36, 72, 360, 1_080, 2_160].into_iter().enumerate() {
        assert_eq!(failures().await, failed as i64);
        work_after(&world, Duration::from_secs(pause)).await;
    }
    assert_eq!(failures().await, 0, "the job gave up and started over");
    world.twilio.control.stop_random_faults();
    assert_eq!(world.dial("14155551234").await, sid);
    assert_eq!(world.calls_placed(), 1);

    world.twilio.release(Stage::Ringing);
    until_done(&world, std::slice::from_ref(&sid), Duration::from_secs(75), 5).await;
    assert_transcribed(&world, &sid).await;
    assert_ne!(world.dial("14155551234").await, sid, "the first call is over");
}

/// Runs the due jobs of another instance on threads of its own, and holds it up at this point as if it was stopped.
/// Meanwhile `world` goes on as `meanwhile` says.
#[cfg(feature = "failpoints")]
fn while_held_up(
    main: &tokio::runtime::Runtime,
    world: &World,
    point: callscribe::failpoint::Point,
    subject: &str,
    meanwhile: impl AsyncFnOnce(),
) {
    let other = tokio::runtime::Runtime::new().expect("a runtime");
    let app = other.block_on(world.another_app());
    std::thread::scope(|threads| {
        let hold = callscribe::failpoint::hold(point, subject);
        let held_up = threads.spawn(|| other.block_on(app.run_due_jobs()));
        hold.reached();
        main.block_on(meanwhile());
        drop(hold);
        held_up.join().expect("the jobs run");
    });
}

#[cfg(feature = "failpoints")]
#[test]
fn an_instance_that_was_held_up_after_its_intent_does_not_order_what_another_one_has_ordered() {
    use callscribe::failpoint::{Commit, Point};

    let main = tokio::runtime::Runtime::new().expect("a runtime");
    let (world, sid) = main.block_on(async {
        let world = World::new().await;
        world.twilio.mark_recordings();
        let (sid, _) = world.recorded_call().await;
        (world, sid)
    });
    let order = main.block_on(world.store.texts("SELECT id FROM transcripts")).remove(0);
    while_held_up(&main, &world, Point::After(Commit::IntendToSubmit), &order, async || {
        until_done(&world, std::slice::from_ref(&sid), Duration::from_secs(63), 10).await;
    });
    main.block_on(async {
        world.settle().await;
        assert_transcribed(&world, &sid).await;
        assert_eq!(world.transcript_requests().len(), 1);
    });
}

#[cfg(feature = "failpoints")]
#[test]
fn an_instance_that_was_held_up_deletes_nothing_once_another_one_may_have_taken_over() {
    use callscribe::failpoint::{Moment, Point};

    let main = tokio::runtime::Runtime::new().expect("a runtime");
    let (world, sid, id) = main.block_on(async {
        let world = World::new().await;
        let sid = world.dial("14155551234").await;
        world.settle().await;
        let id = world.call(&sid).await["id"].as_str().expect("an id").to_owned();
        let answer = world.post_form(&format!("/calls/{sid}/delete"), "").await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        (world, sid, id)
    });
    let deletions = || {
        let of = |control: &callscribe::sandbox::control::Control| control.requests_to(Method::DELETE, "").len();
        of(&world.twilio.control) + of(&world.assemblyai.control)
    };
    let mut by_then = 0;
    while_held_up(&main, &world, Point::At(Moment::RecordingsDeleted), &id, async || {
        world.after(Duration::from_secs(63)).await;
        world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
        by_then = deletions();
    });
    assert_eq!(deletions(), by_then);
}

#[tokio::test]
async fn a_call_is_deleted_with_a_transcript_that_was_ordered_twice_all_the_same() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let order = world.transcript_requests().remove(0);
    let url = format!("{}/v2/transcript", world.assemblyai.url());
    let request = world.http.post(url).header("authorization", callscribe::sandbox::assemblyai::API_KEY);
    let body = json!({ "audio_url": order["audio_url"] }).to_string();
    let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
    assert!(answer.status().is_success());
    world.settle().await;
    let texts = || {
        let all = world.assemblyai.transcripts().into_iter();
        all.map(|one| one["text"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let before = texts();
    assert!(before.len() == 2 && before.iter().all(|text| text.contains("Hello")), "{before:?}");
    assert_eq!(world.post_form(&format!("/calls/{sid}/delete"), "").await.status, 202);
    world.settle().await;
    world.get(&format!("/calls/{sid}")).await.problem(410, "deleted");
    assert_eq!(texts(), ["Deleted by user."; 2]);
}

#[tokio::test]
async fn a_request_is_not_written_once_the_right_to_it_is_over() {
    let listener = listen().await;
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let received = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut received = Vec::new();
        _ = connection.read_to_end(&mut received).await;
        received
    });
    let key = callscribe::sandbox::assemblyai::API_KEY.to_owned().into();
    let client = AssemblyAi::new(base.parse().expect("a URL"), key, once());
    let error = client.create_transcript(&json!({ "audio_url": "https://example.com" }), || false).await;
    let error = error.expect_err("nothing is sent");
    assert_eq!(error.to_string(), "AssemblyAI could not be reached: too late to send the request");
    drop(client);
    assert_eq!(String::from_utf8_lossy(&received.await.expect("the connection ends")), "");
}

#[tokio::test]
async fn a_call_in_doubt_that_a_clock_which_was_ahead_has_dated_is_adopted_or_lost_within_minutes() {
    for is_placed in [true, false] {
        let world = World::with_deadlines(&[], impatient()).await;
        world.twilio.control.set_callbacks(Callbacks::Drop);
        let fault = if is_placed { Fault::DropAfter } else { Fault::Refuse { status: 500, retry_after: None } };
        world.twilio.control.fail_next(Method::POST, "/Calls.json", fault);
        world.twilio.control.fail_next(Method::GET, "/Calls.json", NO_CALLS);
        _ = world.get("/dial/14155551234").await;
        let ahead = "UPDATE calls SET dialled_at = dialled_at + 34560000000, created_at = created_at + 34560000000; \
                     UPDATE jobs SET due_at = due_at + 34560000000, created_at = created_at + 34560000000";
        world.store.execute(ahead).await.expect("a call dated 400 days from now");
        for _ in 0..6 {
            work_after(&world, Duration::from_secs(130)).await;
        }
        let state = only_call(&world).await["state"].clone();
        assert_eq!(state, if is_placed { "completed" } else { "lost" });
        world.dial("14155551234").await;
    }
}

#[tokio::test]
async fn an_order_in_doubt_that_a_clock_which_was_ahead_has_dated_is_adopted_or_submitted_again_within_minutes() {
    for is_accepted in [true, false] {
        let world = World::with_deadlines(&[], once()).await;
        world.twilio.mark_recordings();
        world.assemblyai.control.set_callbacks(Callbacks::Drop);
        let fault = if is_accepted { Fault::DropAfter } else { Fault::Refuse { status: 500, retry_after: None } };
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", fault);
        let refuse = Fault::Refuse { status: 503, retry_after: None };
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse);
        let sid = world.dial("14155551234").await;
        world.settle().await;
        let ahead = "UPDATE transcripts SET asked_at = asked_at + 34560000000; \
                     UPDATE jobs SET due_at = due_at + 34560000000, created_at = created_at + 34560000000";
        world.store.execute(ahead).await.expect("an order dated 400 days from now");
        until_done(&world, std::slice::from_ref(&sid), Duration::from_secs(60), 10).await;
        assert_transcribed(&world, &sid).await;
        let accepted: Vec<u64> = world.assemblyai.accepted_per_recording().into_values().collect();
        assert_eq!(accepted, [1], "accepted before: {is_accepted}");
    }
}

/// How far our clock may be ahead of the vendors'.
const AHEAD: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(60 * 60), Duration::from_secs(400 * 24 * 60 * 60)];

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_paid_once_however_far_our_clock_is_ahead() {
    for ahead in AHEAD {
        let clock = Clock::manual(now() + ahead);
        let world = World::with_clock(&[], once(), clock, Duration::from_secs(20)).await;
        world.assemblyai.hold();
        world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", Fault::DropAfter);
        let request = json!({ "audio_url": "https://example.com/a.wav" });
        _ = world.post_json("/transcribe", &request).await;
        for pause in [6, 61, 61, 61] {
            work_after(&world, Duration::from_secs(pause)).await;
        }
        assert_eq!(world.transcript_requests().len(), 1, "{ahead:?}");
        let answer = world.post_json("/transcribe", &request).await;
        assert_eq!(answer.status, 200, "{ahead:?}: {}", answer.text());
        assert_eq!(world.assemblyai.transcripts().len(), 1, "{ahead:?}");
    }
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_found_however_far_our_clock_is_ahead() {
    for ahead in AHEAD {
        let clock = Clock::manual(now() + ahead);
        let world =
            World::with_clock(&[("BASE_URL", "http://127.0.0.1:1")], impatient(), clock, Duration::from_secs(20)).await;
        world.twilio.control.set_callbacks(Callbacks::Drop);
        world.twilio.control.fail_next(Method::POST, "/Calls.json", Fault::DropAfter);
        _ = world.get("/dial/14155551234").await;
        for pause in [6, 16, 46, 121, 121] {
            work_after(&world, Duration::from_secs(pause)).await;
        }
        let call = only_call(&world).await;
        assert!(call["sid"].is_string(), "{ahead:?}: {call:#}");
        assert_eq!(world.twilio.placed_per_token().values().sum::<u64>(), 1, "{ahead:?}");
    }
}
