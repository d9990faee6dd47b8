//! Inbound calls of which nothing has arrived here: they came while the program was down.

use std::time::Duration;

use callscribe::app::App;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

/// Where nobody listens while the program is down.
const DOWN: &str = "http://127.0.0.1:1";

/// Starts the program at an address that Twilio does not reach, as it starts automatically, and lets it run.
async fn start(world: &World) -> App {
    let app = world.another_app_with(&[("BASE_URL", DOWN)], false).await;
    app.catch_up().await;
    run(world, &app).await;
    app
}

/// Runs the jobs of some minutes.
async fn run(world: &World, app: &App) {
    for _ in 0..4 {
        loop {
            world.twilio.settled().await;
            world.assemblyai.settled().await;
            if app.run_due_jobs().await == 0 {
                break;
            }
        }
        world.clock.advance(Duration::from_secs(60));
    }
}

/// A call to our number that was recorded, although nothing of it has arrived here.
async fn missed(world: &World, voice_webhook: &str) -> (String, String) {
    let call_sid = world.twilio.inbound_call(voice_webhook, "+14155550199");
    world.twilio.settled().await;
    let recording = world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() });
    (call_sid, recording)
}

async fn stored(world: &World) -> i64 {
    world.store.number("SELECT count(*) FROM calls").await
}

#[tokio::test]
async fn calls_that_came_while_the_program_was_down_are_found_and_transcribed_once() {
    let world = World::new().await;
    start(&world).await.stop().await;
    let webhook = format!("{DOWN}/record/");
    let (one, other) = (missed(&world, &webhook).await, missed(&world, &webhook).await);
    // A caller who was not recorded, because nobody answered the voice webhook.
    let unrecorded = world.twilio.inbound_call(&webhook, "+14155550199");
    // Dialed by another program of the account.
    world.twilio.add_call(SeededCall::default());

    // Longer than any call is followed.
    world.clock.advance(Duration::from_secs(8 * 60 * 60));
    let app = start(&world).await;
    assert_eq!(stored(&world).await, 3);
    let found = world.call(&unrecorded).await;
    assert_eq!((&found["progress"], &found["reason"]), (&json!("not-recorded"), &Value::Null), "{found}");
    for (call, recording) in [&one, &other] {
        let found = world.call(call).await;
        assert_eq!((&found["direction"], &found["from"]), (&json!("inbound"), &json!("+14155550199")));
        assert_eq!(found["transcripts"][0]["recording_sid"], **recording, "{found}");
        assert_eq!(found["transcripts"][0]["state"], "completed", "{found}");
    }

    // What is deleted here stays so, whatever Twilio still lists.
    let refused = Fault::Refuse { status: 404, retry_after: None };
    world.twilio.control.fail_next(Method::DELETE, &one.0, refused);
    assert_eq!(world.post_form(&format!("/calls/{}/delete", one.0), "").await.status, 202);
    run(&world, &app).await;
    app.stop().await;
    start(&world).await.stop().await;
    assert_eq!(stored(&world).await, 3);
    assert_eq!(world.get("/calls").await.json()["calls"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.get(&format!("/calls/{}", one.0)).await.status, 410);
}

#[tokio::test]
async fn a_call_that_comes_while_the_program_runs_and_whose_callbacks_are_lost_is_found_within_minutes() {
    let world = World::new().await;
    let app = start(&world).await;
    let (call, _) = missed(&world, &format!("{DOWN}/record?a=b")).await;
    for _ in 0..2 {
        run(&world, &app).await;
    }
    assert_eq!(world.call(&call).await["transcripts"][0]["state"], "completed");
    app.stop().await;
}

#[tokio::test]
async fn a_call_that_another_program_answers_at_the_same_number_is_none_of_ours() {
    let world = World::new().await;
    start(&world).await.stop().await;
    for webhook in ["http://127.0.0.1:2/record/", "http://127.0.0.1:1/records/", "http://127.0.0.1:1/other/record/"] {
        missed(&world, webhook).await;
        start(&world).await.stop().await;
        assert_eq!(stored(&world).await, 0, "{webhook}");
    }
}

#[tokio::test]
async fn calls_from_before_the_first_start_are_not_searched_for() {
    let world = World::new().await;
    missed(&world, &format!("{DOWN}/record/")).await;
    let app = world.another_app_with(&[("BASE_URL", DOWN)], false).await;
    app.catch_up().await;
    // By then, the call is an hour old.
    world.store.execute("UPDATE unreported_calls SET opened_at = opened_at + 3600000").await.expect("a row");
    run(&world, &app).await;
    app.stop().await;
    start(&world).await.stop().await;
    assert_eq!(stored(&world).await, 0);
}
