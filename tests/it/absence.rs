//! Open calls of which nothing is told any more: the computer slept, or the program was started at another address.

use std::time::Duration;

use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::twilio::Stage;
use reqwest::Method;

use crate::support::{World, log};

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
    // It is not to ask itself there: it would find the first program, and that strangers look local to it.
    let program = world.another_app_with(&[("BASE_URL", "http://127.0.0.1:1")], true).await;
    // What was open is due when it starts. Now it runs.
    asked_about(&world, &first).await;

    let second = world.dial("14155555678").await;
    world.store.execute("UPDATE jobs SET due_at = due_at + 1800000").await.expect("jobs");
    world.clock.advance(Duration::from_secs(11));
    asked_about(&world, &second).await;
    program.stop().await;
}

#[tokio::test]
async fn a_start_with_another_base_url_says_how_many_open_calls_cannot_call_back() {
    let world = World::new().await;
    let warnings = |base: &str| {
        let said = log::lines_with(&format!("open calls that were dialled with another BASE_URL than {base}: "));
        said.iter().map(|line| line.rsplit_once(&format!("{base}: ")).expect("it").1.to_owned()).collect::<Vec<_>>()
    };
    let start = async |base: &str| world.another_app_with(&[("BASE_URL", base)], false).await.stop().await;
    // One that is over, and one that others placed.
    world.dial("14155550000").await;
    world.settle().await;
    world.clock.advance(Duration::from_secs(1));
    world.twilio.hold(Stage::Ringing);
    world.twilio.inbound_call(&format!("{}/record/", world.base), "+14155550199");
    start("https://none.example").await;
    assert_eq!(warnings("https://none.example"), [""; 0]);

    world.dial("14155551234").await;
    world.dial("14155555678").await;
    start("https://other.example/").await;
    let said = warnings("https://other.example");
    assert!(said.len() == 1 && said[0].starts_with("2. "), "{said:?}");
    start(&world.base).await;
    assert_eq!(warnings(&world.base), [""; 0]);
}
