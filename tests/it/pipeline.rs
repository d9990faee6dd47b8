//! The way of a call from dialing to its transcript without an operator's help, even if requests and callbacks are lost,
//! repeated, late or broken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use callscribe::internals::{Clock, Deadlines, now};
use callscribe::sandbox::control::{Callbacks, Fault, RandomFaults};
use callscribe::sandbox::twilio::{ACCOUNT_SID, Outcome, PHONE_NUMBER, SeededCall, SeededRecording, Stage};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, assert_happened, steps_repeat};

/// Longer than the first pause between two polls.
pub(crate) const FIRST_POLL: Duration = Duration::from_secs(15);

/// Longer than any pause.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A different phone number for each index.
fn number(index: usize) -> String {
    format!("1415555{:04}", 1_000 + index)
}

/// Dials this many numbers concurrently. Returns the call SIDs.
async fn dial_all(world: &World, calls: usize) -> Vec<String> {
    join_all((0..calls).map(async |index| world.dial(&number(index)).await)).await
}

/// Asserts that this call is done and has exactly the transcript of its own recording. Requires
/// `world.twilio.mark_recordings()`.
pub(crate) async fn assert_transcribed(world: &World, sid: &str) {
    let call = world.call(sid).await;
    assert_eq!((&call["state"], &call["progress"]), (&json!("completed"), &json!("done")), "{call:#}");
    let recordings = world.twilio.recordings_of(sid);
    assert_eq!(recordings.len(), 1);
    assert_eq!(sids(&call["recordings"], "sid"), recordings, "{call:#}");
    assert_eq!(sids(&call["transcripts"], "recording_sid"), recordings, "{call:#}");
    let text = call["transcripts"][0]["text"].as_str().unwrap_or_default();
    assert!(text.ends_with(&recordings[0]), "{text} is not the transcript of {}", recordings[0]);
    assert_goes_forward(world, &call).await;
}

fn sids(list: &Value, name: &str) -> Vec<String> {
    let sid = |one: &Value| one[name].as_str().unwrap_or_default().to_owned();
    list.as_array().expect("a list").iter().map(sid).collect()
}

/// Asserts that no state in the history of a call goes backward.
async fn assert_goes_forward(world: &World, call: &Value) {
    let id = call["id"].as_str().expect("an id").parse().expect("32 hex digits");
    let mut conn = world.app.store().read().await.expect("a connection");
    let mut reached = HashMap::new();
    for event in conn.history(&id).await.expect("a history") {
        let now = (event.what.attempt(), event.what.rank());
        if let Some(before) = reached.insert(event.what.subject(&id).to_owned(), now) {
            assert!(before < now, "{event:?} comes after {before:?}");
        }
    }
}

/// Asserts that AssemblyAI accepted one transcript for each of this many recordings.
fn assert_submitted_once(world: &World, recordings: usize) {
    let accepted = world.assemblyai.accepted_per_recording();
    assert_eq!(accepted.len(), recordings);
    assert!(accepted.values().all(|count| *count == 1), "{accepted:?}");
}

/// Advances the clock by `pause`, at most `at_most` times, until all of these calls are done.
pub(crate) async fn until_done(world: &World, sids: &[String], pause: Duration, at_most: usize) {
    let mut open: Vec<&String> = sids.iter().collect();
    for _ in 0..at_most {
        world.after(pause).await;
        let mut left = Vec::new();
        for sid in open {
            if world.call(sid).await["progress"] != "done" {
                left.push(sid);
            }
        }
        if left.is_empty() {
            return;
        }
        open = left;
    }
    panic!("{} of {} calls are not done, such as {:#}", open.len(), sids.len(), world.call(open[0]).await);
}

fn set_callbacks(world: &World, callbacks: Callbacks) {
    world.twilio.control.set_callbacks(callbacks);
    world.assemblyai.control.set_callbacks(callbacks);
}

#[tokio::test]
async fn a_dialed_call_becomes_a_transcript_without_help() {
    let world = World::new().await;
    // Later callbacks may overtake "ringing", so the call waits until that was delivered.
    world.twilio.hold(Stage::InProgress);
    let sid = world.dial("14155551234").await;
    let rings = ("CallStatus".to_owned(), "ringing".to_owned());
    let is_delivered = || world.twilio.deliveries().iter().any(|one| one.params.contains(&rings)).then_some(());
    world.twilio.control.until(is_delivered).await;
    world.twilio.release(Stage::InProgress);
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!(call["progress"], "done", "{call:#}");
    assert_eq!(
        (&call["sid"], &call["to"], &call["direction"]),
        (&json!(sid), &json!("+14155551234"), &json!("outbound"))
    );
    assert_eq!(call["can_retry"], false);
    let text = call["transcripts"][0]["text"].as_str().expect("a text").to_owned();
    assert!(!text.is_empty());
    let steps = call["timeline"].as_array().expect("a list").iter();
    let steps: Vec<(&str, &str)> =
        steps.map(|step| (step["kind"].as_str().unwrap(), step["state"].as_str().unwrap())).collect();
    // Callbacks about the call and about the recording may overtake each other, so each kind is compared separately.
    for (kind, states) in [
        ("call", &["dialing", "queued", "ringing", "in-progress", "completed"][..]),
        ("recording", &["completed"]),
        ("transcript", &["waiting", "uploaded", "queued", "completed"]),
    ] {
        // Where steps repeat, Twilio's first response is lost, and the call is in state "unknown" for a while.
        let is_expected = |step: &&(&str, &str)| !(steps_repeat() && step.1 == "unknown");
        let of_kind = steps.iter().filter(|step| step.0 == kind).filter(is_expected).map(|step| step.1);
        // The callback for a recording's start may arrive after the one for its end, and is then ignored.
        let of_kind: Vec<&str> = of_kind.filter(|state| (kind, *state) != ("recording", "in-progress")).collect();
        assert_eq!(of_kind, states, "{kind} in {steps:?}");
    }
    assert_eq!(steps.first(), Some(&("call", "dialing")));
    assert_eq!(steps.last(), Some(&("transcript", "completed")));

    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let html = page.text();
    let paragraphs = html.split(" data-after=").skip(1).filter_map(|words| words.split("</span>").next());
    // What is in no tag.
    let texts =
        paragraphs.flat_map(|words| words.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text));
    let spoken: String = texts.collect();
    assert!(spoken.trim().ends_with(&text) && page.text().contains(&sid), "{text} in {}", page.text());
    assert_eq!(page.header("refresh"), "", "a finished call does not reload");
}

#[tokio::test]
async fn a_hundred_calls_get_their_own_transcripts_without_any_callback() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    set_callbacks(&world, Callbacks::Drop);
    let sids = dial_all(&world, 100).await;
    until_done(&world, &sids, FIRST_POLL, 10).await;
    for sid in &sids {
        assert_transcribed(&world, sid).await;
    }
    assert_submitted_once(&world, 100);
    assert_eq!(world.calls_placed(), 100);
}

#[tokio::test]
async fn duplicate_or_reordered_callbacks_change_nothing() {
    for callbacks in [Callbacks::Twice, Callbacks::Shuffled] {
        let world = World::new().await;
        world.twilio.mark_recordings();
        set_callbacks(&world, callbacks);
        let sids = dial_all(&world, 20).await;
        world.settle().await;
        for sid in &sids {
            assert_transcribed(&world, sid).await;
        }
        assert_submitted_once(&world, 20);
    }
}

/// All permutations.
fn permutations<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (index, first) in of.iter().enumerate() {
        let others: Vec<T> = [&of[..index], &of[index + 1..]].concat();
        all.extend(permutations(&others).into_iter().map(|rest| [&[*first], &rest[..]].concat()));
    }
    all
}

#[tokio::test]
async fn twilios_callbacks_have_the_same_result_in_any_order() {
    let orders = permutations(&["initiated", "ringing", "in-progress", "completed", "recording"]);
    assert_eq!(orders.len(), 120);
    let world = World::new().await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let sids = dial_all(&world, orders.len()).await;
    world.twilio.settled().await;
    for (sid, order) in sids.iter().zip(&orders) {
        let recording = &world.twilio.recordings_of(sid)[0];
        let call = world.call(sid).await;
        let call_id = call["id"].as_str().expect("an id");
        for event in order {
            let common = [("AccountSid", ACCOUNT_SID), ("CallSid", sid.as_str())];
            let (path, params) = match *event {
                "recording" => ("recording", [("RecordingSid", recording.as_str()), ("RecordingStatus", "completed")]),
                status => ("call", [("CallStatus", status), ("Direction", "outbound-api")]),
            };
            let answer = world.callback(&format!("/hooks/twilio/{path}?t={call_id}"), &[common, params].concat()).await;
            assert_eq!(answer.status, 204, "{order:?}");
        }
        let call = world.call(sid).await;
        assert_eq!(call["state"], "completed", "{order:?}");
        assert_eq!(call["progress"], "transcribing", "{order:?}");
        let mut states = call["timeline"].as_array().expect("a list").iter().filter(|step| step["kind"] == "call");
        assert_eq!(states.next_back().expect("a step")["state"], "completed", "{order:?}");
    }
    world.settle().await;
    for sid in &sids {
        assert_transcribed(&world, sid).await;
    }
    assert_submitted_once(&world, orders.len());
}

#[tokio::test]
async fn two_hundred_concurrent_callbacks_for_a_recording_make_one_recording_one_job_and_one_transcript() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let (sid, recording) = world.recorded_call().await;
    let url = format!("{}/hooks/twilio/recording", world.base);
    let statuses = join_all((0..200).map(|_| world.twilio.send_recording_callback(&recording, &url))).await;
    assert!(statuses.iter().all(|status| *status == Some(204)), "{statuses:?}");
    world.settle().await;
    if steps_repeat() {
        // The search for a call whose response was lost may have found its recording before its end. No callback reports
        // the end here, so the next poll must.
        world.after(HOUR).await;
    }
    assert_transcribed(&world, &sid).await;
    assert_submitted_once(&world, 1);
    for (count, query) in [
        (1, "SELECT count(*) FROM calls"),
        (1, "SELECT count(*) FROM recordings"),
        (1, "SELECT count(*) FROM transcripts"),
        (1, "SELECT count(*) FROM jobs WHERE kind = 'transcript'"),
        (1, "SELECT count(*) FROM history WHERE kind = 'recording'"),
    ] {
        assert_eq!(world.store.number(query).await, count, "{query}");
    }
    assert_happened(world.assemblyai.uploads().len(), 1);
}

#[tokio::test]
async fn a_number_that_fifty_clients_dial_at_once_is_called_once() {
    let world = World::new().await;
    world.twilio.hold(Stage::Ringing);
    let sids: HashSet<String> = join_all((0..50).map(|_| world.dial("14155551234"))).await.into_iter().collect();
    assert_eq!(sids.len(), 1, "{sids:?}");
    assert_eq!((world.calls_placed(), world.store.number("SELECT count(*) FROM calls").await), (1, 1));
    assert_eq!(world.dial("14155551234").await, *sids.iter().next().unwrap(), "while the call is up, it is returned");
    world.twilio.release(Stage::Ringing);
    world.settle().await;
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test]
async fn a_number_may_be_dialed_again_after_its_call_is_over() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    let first = world.dial("14155551234").await;
    world.settle().await;
    let second = world.dial("14155551234").await;
    world.settle().await;
    assert_ne!(first, second);
    for sid in [first, second] {
        assert_transcribed(&world, &sid).await;
    }
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn an_inbound_call_is_answered_recorded_and_transcribed() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    let sid = world.twilio.inbound_call(&format!("{}/record/", world.base), "+14155550199");
    world.settle().await;
    assert_transcribed(&world, &sid).await;
    let call = world.call(&sid).await;
    for (name, value) in [("direction", "inbound"), ("from", "+14155550199"), ("to", PHONE_NUMBER)] {
        assert_eq!(call[name], value, "{call:#}");
    }
}

#[tokio::test]
async fn a_recording_of_a_call_that_another_program_placed_is_ingested() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    let sid = world.twilio.add_call(SeededCall { to: "+14155550111".to_owned(), ..Default::default() });
    let recording = world.twilio.add_recording(SeededRecording { call_sid: sid.clone(), ..Default::default() });
    let url = format!("{}/hooks/twilio/recording", world.base);
    assert_eq!(world.twilio.send_recording_callback(&recording, &url).await, Some(204));
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["state"]), (&json!("done"), &json!("completed")), "{call:#}");
    assert_eq!((&call["to"], &call["direction"]), (&json!("+14155550111"), &json!("outbound")));
    assert_eq!(sids(&call["transcripts"], "recording_sid"), [recording]);
    assert_goes_forward(&world, &call).await;
}

#[tokio::test]
async fn can_retry_says_what_a_retry_would_do() {
    for (outcome, has_failed) in [
        (Outcome::Busy, false),
        (Outcome::NoAnswer, false),
        (Outcome::Failed, false),
        (Outcome::TooShort, false),
        (Outcome::HangsUp, true),
        (Outcome::Answered, true),
    ] {
        let world = World::new().await;
        world.twilio.set_next_outcome(outcome);
        world.assemblyai.fail_next_transcript("Audio duration is too short.");
        let sid = world.dial("14155551234").await;
        for _ in 0..4 {
            world.after(Duration::from_secs(60)).await;
        }
        let call = world.call(&sid).await;
        assert_eq!(call["can_retry"], has_failed, "{call:#}");
        let answer = world.post_form(&format!("/calls/{sid}/retry"), "").await;
        if has_failed {
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            answer.problem(409, "nothing-to-retry");
        }
    }
}

#[tokio::test]
async fn an_absent_recording_shows_twilios_reason() {
    for callbacks in [Callbacks::Deliver, Callbacks::Drop] {
        let world = World::new().await;
        world.twilio.control.set_callbacks(callbacks);
        world.twilio.set_next_outcome(Outcome::TooShort);
        let sid = world.dial("14155551234").await;
        let mut call = world.call(&sid).await;
        for _ in 0..10 {
            if call["progress"] != "not-recorded" {
                world.after(FIRST_POLL).await;
                call = world.call(&sid).await;
            }
        }
        assert_eq!((&call["progress"], &call["state"]), (&json!("not-recorded"), &json!("completed")), "{call:#}");
        let recording = &call["recordings"][0];
        assert_eq!((&recording["state"], &recording["error_code"]), (&json!("absent"), &json!(16101)));
        let reason = recording["reason"].as_str().expect("a reason");
        assert!(reason.contains("too short") && reason.contains("16101"), "{reason}");
        assert_eq!(call["transcripts"], json!([]));
        assert_eq!(world.transcript_requests().len(), 0);
        assert_ends(&world).await;
    }
}

/// Asserts that no more requests go to the vendors, however much time passes.
async fn assert_ends(world: &World) {
    // A recording may appear in Twilio's list within a minute.
    for _ in 0..4 {
        world.after(Duration::from_secs(60)).await;
    }
    // Twilio is asked once what the call has cost.
    world.twilio.price_calls("USD");
    world.after(HOUR).await;
    let requests = world.vendor_requests();
    for _ in 0..8 {
        world.after(HOUR).await;
    }
    assert_eq!(world.vendor_requests(), requests);
}

#[tokio::test]
async fn an_unanswered_call_ends_without_help_and_frees_its_number() {
    for (outcome, state) in [(Outcome::Busy, "busy"), (Outcome::NoAnswer, "no-answer"), (Outcome::Failed, "failed")] {
        for callbacks in [Callbacks::Deliver, Callbacks::Drop] {
            let world = World::new().await;
            world.twilio.control.set_callbacks(callbacks);
            world.twilio.set_next_outcome(outcome);
            let sid = world.dial("14155551234").await;
            world.after(FIRST_POLL).await;
            let call = world.call(&sid).await;
            assert_eq!((&call["state"], &call["progress"]), (&json!(state), &json!("failed")), "{call:#}");
            assert!(call["ended_at"].is_string(), "{call:#}");
            assert_ends(&world).await;
            assert_ne!(world.dial("14155551234").await, sid);
        }
    }
}

#[tokio::test]
async fn a_recording_that_is_not_ready_is_waited_for() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    for _ in 0..3 {
        world.twilio.control.fail_next(Method::GET, ".wav", Fault::Refuse { status: 404, retry_after: None });
    }
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["transcripts"][0]["state"]), (&json!("transcribing"), &json!("waiting")));
    until_done(&world, std::slice::from_ref(&sid), FIRST_POLL, 3).await;
    assert_transcribed(&world, &sid).await;
    let requests = world.twilio.control.request_count(Method::GET, "/Recordings/{id}.wav");
    assert_happened(usize::try_from(requests).expect("a few"), 4);
}

#[tokio::test]
async fn assemblyais_error_is_kept_and_the_transcript_can_be_retried() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    world.assemblyai.fail_next_transcript("Audio duration is too short.");
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["can_retry"]), (&json!("failed"), &json!(true)), "{call:#}");
    assert_eq!(call["transcripts"][0]["reason"], "AssemblyAI: Audio duration is too short.");
    assert_ends(&world).await;

    let retry = format!("/calls/{sid}/retry");
    assert_eq!(world.post_form(&retry, "").await.status, 200);
    assert_eq!(world.call(&sid).await["progress"], "transcribing");
    world.settle().await;
    assert_transcribed(&world, &sid).await;
    assert_eq!(world.assemblyai.accepted_per_recording().into_values().collect::<Vec<_>>(), [2]);
    assert_eq!(world.calls_placed(), 1, "no phone rings again");
    world.post_form(&retry, "").await.problem(409, "nothing-to-retry");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 2);
}

#[tokio::test]
async fn audio_that_assemblyai_lost_is_uploaded_once_more() {
    let world = World::new().await;
    world.twilio.mark_recordings();
    world.assemblyai.hold();
    let sid = world.dial("14155551234").await;
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 1);
    world.assemblyai.forget_uploads();
    world.assemblyai.release();
    world.settle().await;
    assert_transcribed(&world, &sid).await;
    assert_happened(world.assemblyai.uploads().len(), 2);
    assert_eq!(world.transcript_requests().len(), 2);

    world.assemblyai.hold();
    let sid = world.dial("14155551234").await;
    for _ in 0..2 {
        world.settle().await;
        world.assemblyai.forget_uploads();
        world.assemblyai.release();
        // The webhook was received, but its job has not run yet.
        world.assemblyai.settled().await;
        world.assemblyai.hold();
    }
    world.settle().await;
    let call = world.call(&sid).await;
    assert_eq!(call["transcripts"][0]["state"], "failed", "{call:#}");
    assert_happened(world.assemblyai.uploads().len(), 4);
    assert_eq!(world.transcript_requests().len(), 4);
    assert_ends(&world).await;
}

#[tokio::test]
async fn a_job_gives_up_after_eight_failures_and_can_be_retried() {
    if steps_repeat() {
        // Repeated steps fail more often, and this test counts failures.
        return;
    }
    let world = World::new().await;
    world.twilio.mark_recordings();
    let fail = |times: usize| {
        for _ in 0..times {
            // An upload that fails without asking for a pause is tried again at once.
            let fault = Fault::Refuse { status: 500, retry_after: Some(1) };
            world.assemblyai.control.fail_next(Method::POST, "/v2/upload", fault);
        }
    };
    fail(8);
    let sid = world.dial("14155551234").await;
    world.settle().await;
    for failures in 1..=7 {
        let call = world.call(&sid).await;
        assert_eq!(call["progress"], "transcribing", "after {failures} failures: {call:#}");
        world.after(HOUR).await;
    }
    let call = world.call(&sid).await;
    assert_eq!((&call["progress"], &call["transcripts"][0]["state"]), (&json!("failed"), &json!("failed")), "{call:#}");
    let reason = call["transcripts"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("AssemblyAI"), "{reason}");
    assert_eq!(world.assemblyai.control.request_count(Method::POST, "/v2/upload"), 8);
    assert_ends(&world).await;

    // A retry starts the count over.
    fail(7);
    assert_eq!(world.post_form(&format!("/calls/{sid}/retry"), "").await.status, 200);
    until_done(&world, std::slice::from_ref(&sid), HOUR, 8).await;
    assert_transcribed(&world, &sid).await;
}

#[tokio::test]
async fn a_job_during_which_the_program_ends_each_time_fails_after_eight_times_and_says_why() {
    if steps_repeat() {
        // The test stops a job at its first request, and repeated steps send more of them.
        return;
    }
    let world = World::new().await;
    world.assemblyai.hold();
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let polls = || world.assemblyai.control.request_count(Method::GET, "/v2/transcript/{id}");
    let first = polls();
    for start in 1..=10 {
        let program = world.another_app().await;
        world.assemblyai.control.fail_next(Method::GET, "/v2/transcript/", Fault::Hang);
        // Longer than a lease and the pause after it.
        world.clock.advance(Duration::from_secs(70));
        let before = polls();
        tokio::select! {
            // What nobody polls any more goes no further, as in a program that has ended.
            () = world.assemblyai.control.until(|| (polls() > before).then_some(())) => {}
            _ = program.run_due_jobs() => {}
        }
        assert_eq!(polls() - first, start.min(8), "start {start}");
    }
    let call = world.call(&sid).await;
    let reason = "callscribe did not give the job back any of the 8 times that it worked on this";
    let transcript = &call["transcripts"][0];
    assert_eq!((&call["progress"], &transcript["reason"]), (&json!("failed"), &json!(reason)), "{call:#}");
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains(reason), "{page}");

    // The last fault waits for the next poll.
    world.get(&format!("/calls/{sid}")).await;
    world.assemblyai.release();
    assert_eq!(world.post_form(&format!("/calls/{sid}/retry"), "").await.status, 200);
    until_done(&world, std::slice::from_ref(&sid), HOUR, 3).await;
    assert_eq!(world.store.number("SELECT count(*) FROM jobs WHERE losses > 0").await, 0);
}

#[tokio::test]
async fn two_hundred_calls_get_one_transcript_each_while_both_vendors_fail_at_random() {
    const CALLS: usize = 200;
    // With a client that hardly repeats requests, the job repeats them, and waits by the clock that this test advances.
    let deadlines = Deadlines { repeated: Duration::from_millis(100), ..Deadlines::default() };
    let behind = now() - jiff::SignedDuration::from_hours(24);
    // An answer that is lost is waited for that long, by a clock that is not moved here.
    let world = World::with_clock(&[], deadlines, Clock::manual(behind), Duration::from_secs(20)).await;
    world.twilio.mark_recordings();
    // At twice this rate, in one run in 30 a job fails eight times in a row and gives up.
    let faults = |seed| RandomFaults { seed, per_mille: 50, hangs: false };
    world.twilio.control.fail_at_random(faults(1));
    world.assemblyai.control.fail_at_random(faults(2));

    // A call that was not placed counts as lost after two and a half minutes; then its number is dialed again.
    for _ in 0..10 {
        let placed = world.store.texts("SELECT to_number FROM calls WHERE sid IS NOT NULL").await;
        let open = (0..CALLS).map(number).filter(|number| !placed.contains(&format!("+{number}")));
        join_all(open.map(async |number| world.get(&format!("/dial/{number}")).await)).await;
        for _ in 0..4 {
            world.after(Duration::from_secs(45)).await;
        }
    }
    let sids = world.store.texts("SELECT sid FROM calls WHERE sid IS NOT NULL").await;
    assert_eq!(sids.len(), CALLS, "one call to each number");
    until_done(&world, &sids, Duration::from_secs(120), 60).await;
    assert!(world.twilio.control.random_fault_count() > 50 && world.assemblyai.control.random_fault_count() > 15);
    world.twilio.control.stop_random_faults();
    world.assemblyai.control.stop_random_faults();
    for sid in &sids {
        assert_transcribed(&world, sid).await;
    }
    assert_submitted_once(&world, CALLS);
    let placed = world.twilio.placed_per_token();
    assert_eq!((placed.len(), placed.values().all(|count| *count == 1)), (CALLS, true));
}
