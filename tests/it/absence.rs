//! Open calls of which nothing is told any more, because the computer slept.

use std::time::Duration;

use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::twilio::Stage;
use reqwest::Method;

use crate::support::World;

/// How long the program is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until Twilio is asked how this call stands.
async fn asked_about(world: &World, sid: &str) {
    let is_asked =
        || (!world.twilio.control.seen_at(Method::GET, &format!("/Calls/{sid}.json")).is_empty()).then_some(());
    let asked = tokio::time::timeout(PATIENCE, world.twilio.control.until(is_asked)).await;
    assert!(asked.is_ok(), "Twilio is not asked about {sid}");
}

#[tokio::test]
async fn after_a_sleep_of_the_computer_everything_open_is_looked_at_at_once() {
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    let first = world.dial("14155551234").await;
    let program = world.another_app_with(&[], true).await;
    // What was open is due when it starts. Now it runs.
    asked_about(&world, &first).await;

    let second = world.dial("14155555678").await;
    world.store.execute("UPDATE jobs SET due_at = due_at + 1800000").await.expect("jobs");
    world.clock.advance(Duration::from_secs(11));
    asked_about(&world, &second).await;
    program.stop().await;
}
