//! Open calls whose callbacks stop arriving: the computer slept, or the program was restarted with another `BASE_URL`.

use std::time::Duration;

use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::twilio::Stage;
use reqwest::Method;

use crate::support::{World, log};

/// Maximum wait for the program to poll Twilio.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the program has polled Twilio for this call.
async fn wait_for_poll(world: &World, sid: &str) {
    let polled =
        || (!world.twilio.control.requests_to(Method::GET, &format!("/Calls/{sid}.json")).is_empty()).then_some(());
    let waited = tokio::time::timeout(POLL_TIMEOUT, world.twilio.control.until(polled)).await;
    assert!(waited.is_ok(), "the program did not poll Twilio for {sid}");
}

#[tokio::test]
async fn open_calls_are_polled_at_once_after_the_computer_slept() {
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    world.twilio.hold(Stage::Ringing);
    let first = world.dial("14155551234").await;
    // The second program must not reach the first one when it probes its BASE_URL: it would conclude that strangers
    // look local.
    let program = world.another_app_with(&[("BASE_URL", "http://127.0.0.1:1")], true).await;
    // The start makes all open jobs due. This poll shows that the program is running.
    wait_for_poll(&world, &first).await;

    let second = world.dial("14155555678").await;
    world.store.execute("UPDATE jobs SET due_at = due_at + 1800000").await.expect("updated rows");
    world.clock.advance(Duration::from_secs(11));
    wait_for_poll(&world, &second).await;
    program.stop().await;
}

#[tokio::test]
async fn a_start_with_another_base_url_says_how_many_open_calls_cannot_call_back() {
    let world = World::new().await;
    let warnings = |base: &str| {
        let lines = log::lines_with(&format!("open calls dialed with another BASE_URL (now {base}): "));
        let count = |line: &String| line.rsplit_once(&format!("{base}): ")).expect("the searched text").1.to_owned();
        lines.iter().map(count).collect::<Vec<_>>()
    };
    let start = async |base: &str| world.another_app_with(&[("BASE_URL", base)], false).await.stop().await;
    // A call that has ended and an inbound call do not count.
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
    let warned = warnings("https://other.example");
    assert!(warned.len() == 1 && warned[0].starts_with("2. "), "{warned:?}");
    start(&world.base).await;
    assert_eq!(warnings(&world.base), [""; 0]);
}
