//! The limit on transcripts that nobody asked for: strangers can call, and each transcript costs money.

use std::time::Duration;

use callscribe::internals::signature;
use callscribe::sandbox::twilio::ACCOUNT_SID;
use futures_util::future::join_all;
use reqwest::Method;

use crate::support::callbacks::{FORM, encode, sign};
use crate::support::{Answer, World, navigation};

const DAY: Duration = Duration::from_hours(24);

/// A stranger calls, leaves a message, and hangs up. Returns the call SID.
async fn stranger_calls(world: &World) -> String {
    let sid = world.twilio.inbound_call(&format!("{}/record/", world.base), "+14155550199");
    world.settle().await;
    sid
}

async fn progress(world: &World, call: &str) -> String {
    world.call(call).await["progress"].as_str().expect("a progress").to_owned()
}

#[tokio::test]
async fn strangers_calls_are_transcribed_up_to_the_limit_and_the_others_when_the_operator_asks() {
    let world = World::with(&[("TRANSCRIBE_PER_DAY", "2")]).await;
    world.dial("14155551234").await;
    world.settle().await;
    for _ in 0..2 {
        let call = stranger_calls(&world).await;
        assert_eq!(progress(&world, &call).await, "done");
    }
    let call = stranger_calls(&world).await;
    assert_eq!(world.transcript_requests().len(), 3, "a call that was dialed here does not count");
    let shown = world.call(&call).await;
    assert_eq!((&shown["progress"], &shown["can_retry"]), (&"not-transcribed".into(), &true.into()), "{shown:#}");
    assert_eq!(shown["recordings"][0]["state"], "completed", "the recording is kept");
    let notice = "TRANSCRIBE_PER_DAY limits the transcripts of calls that you did not dial";
    let page = world.get_with(&format!("/calls/{call}"), &navigation::TYPED).await.text();
    assert!(page.contains(notice) && page.contains(">Transcribe</button>\n</form>"), "{page}");
    for list in ["/", "/calls"] {
        let page = world.get_with(list, &navigation::TYPED).await.text();
        assert!(page.contains(notice) && page.contains("Not transcribed"), "{page}");
    }
    let listed = world.get("/calls").await.json();
    let listed = listed["calls"].as_array().expect("a list").iter().find(|listed| listed["sid"] == call.as_str());
    assert_eq!(listed.expect("the call")["progress"], "not-transcribed");

    // A call that is dialed here is always transcribed.
    let dialed = world.dial("14155551234").await;
    world.settle().await;
    assert_eq!(progress(&world, &dialed).await, "done");
    // The operator asks, which does not count either.
    assert_eq!(world.post_form(&format!("/calls/{call}/retry"), "").await.status, 200);
    world.settle().await;
    assert_eq!(progress(&world, &call).await, "done");
    assert_eq!(world.transcript_requests().len(), 5);

    let other = stranger_calls(&world).await;
    assert_eq!(progress(&world, &other).await, "not-transcribed");
    let answer = world.post_json("/transcribe", &serde_json::json!({ "call_sid": other })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.settle().await;
    assert_eq!(progress(&world, &other).await, "done");

    world.clock.advance(DAY);
    let next = stranger_calls(&world).await;
    assert_eq!(progress(&world, &next).await, "done");
    assert_eq!(world.transcript_requests().len(), 7);
}

#[tokio::test]
async fn a_limit_of_zero_transcribes_no_strangers_call() {
    let world = World::with(&[("TRANSCRIBE_PER_DAY", "0")]).await;
    let call = stranger_calls(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
    assert!(world.transcript_requests().is_empty() && world.assemblyai.uploads().is_empty());
}

#[tokio::test]
async fn the_limit_holds_across_instances_and_restarts() {
    let settings = [("TRANSCRIBE_PER_DAY", "5")];
    let world = World::with(&settings).await;
    let (app, other) = world.another_app_with_url(&settings).await;
    let report = async |base: &str, n: usize| {
        let (call, recording) = (format!("CA{n:032x}"), format!("RE{n:032x}"));
        let params = [
            ("AccountSid", ACCOUNT_SID),
            ("CallSid", &call),
            ("RecordingSid", &recording),
            ("RecordingStatus", "completed"),
            ("RecordingDuration", "4"),
        ];
        let path = "/hooks/twilio/recording";
        let signature = sign(&format!("{}{path}", world.base), &params);
        let request = world.http.request(Method::POST, format!("{base}{path}")).header(FORM.0, FORM.1);
        let request = request.header(signature::HEADER, signature).body(encode(&params));
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    };
    join_all((0..20).map(|n| report(if n % 2 == 0 { &world.base } else { &other }, n))).await;
    let orders = "SELECT count(*) FROM transcripts";
    assert_eq!(world.store.number(orders).await, 5);
    assert_eq!(world.store.number("SELECT count(*) FROM recordings").await, 20);
    app.stop().await;
    let (app, restarted) = world.another_app_with_url(&settings).await;
    report(&restarted, 20).await;
    assert_eq!(world.store.number(orders).await, 5);
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_call_still_counts_toward_the_limit() {
    let world = World::with(&[("TRANSCRIBE_PER_DAY", "1")]).await;
    let call = stranger_calls(&world).await;
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    let call = stranger_calls(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
}

#[tokio::test]
async fn a_clock_that_was_ahead_or_is_behind_for_a_while_does_not_free_the_limit() {
    let world = World::with(&[("TRANSCRIBE_PER_DAY", "1")]).await;
    stranger_calls(&world).await;
    let ahead = "UPDATE transcripts SET unasked_at = unasked_at + 1728000000, created_at = created_at + 1728000000";
    world.store.execute(ahead).await.expect("an order dated 20 days from now");
    let call = stranger_calls(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
    world.clock.advance(DAY);
    let call = stranger_calls(&world).await;
    assert_eq!(progress(&world, &call).await, "done", "the limit holds for a day, not for 20");
    // Or else the clock was behind until now.
    world.clock.advance(19 * DAY);
    let call = stranger_calls(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
}
