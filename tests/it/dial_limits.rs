//! Limits on dialing: caps that hold across restarts and instances, and no second call to a number that was just dialed.

use std::time::Duration;

use callscribe::sandbox::twilio::Stage;
use futures_util::future::join_all;
use reqwest::Method;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::navigation::{PRESSED, TYPED};
use crate::support::{Answer, World, refuse};

const MINUTE: Duration = Duration::from_secs(60);

fn number(n: usize) -> String {
    format!("1415555{:04}", 1000 + n)
}

/// Asserts that this cap refused the call. Returns the seconds of `Retry-After`.
fn assert_capped(answer: &Answer, calls: u32, window: &str, setting: &str) -> u64 {
    let detail = answer.problem(429, "too-many-calls");
    assert!(detail.starts_with(&format!("the limit of {calls} calls per {window} is reached")), "{detail}");
    assert!(detail.contains(setting), "{detail}");
    answer.header("retry-after").parse().expect("seconds")
}

#[tokio::test]
async fn calls_per_minute_hour_and_day_are_capped_by_the_settings() {
    for (setting, window, seconds) in
        [("DIAL_PER_MINUTE", "minute", 60), ("DIAL_PER_HOUR", "hour", 3_600), ("DIAL_PER_DAY", "day", 86_400)]
    {
        let world = World::with(&[(setting, "2")]).await;
        world.dial(&number(1)).await;
        world.clock.advance(Duration::from_secs(10));
        world.dial(&number(2)).await;
        let retry_after = assert_capped(&world.get(&format!("/dial/{}", number(3))).await, 2, window, setting);
        assert_eq!(retry_after, seconds - 10, "the first of the two calls must be a {window} ago by then");
        assert_eq!(world.calls_placed(), 2);

        world.clock.advance(Duration::from_secs(retry_after));
        world.dial(&number(3)).await;
        assert_capped(&world.get(&format!("/dial/{}", number(4))).await, 2, window, setting);
        assert_eq!(world.calls_placed(), 3);
    }
}

#[tokio::test]
async fn a_cap_of_zero_dials_nothing() {
    let world = World::with(&[("DIAL_PER_DAY", "0")]).await;
    assert_capped(&world.get("/dial/14155551234").await, 0, "day", "DIAL_PER_DAY");
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test]
async fn inbound_calls_do_not_count_against_the_caps() {
    let world = World::with(&[("DIAL_PER_DAY", "1")]).await;
    for _ in 0..3 {
        world.twilio.inbound_call(&format!("{}/record/", world.base), "+14155550111");
    }
    world.settle().await;
    world.dial("14155551234").await;
}

#[tokio::test]
async fn a_cap_holds_across_restarts_and_instances() {
    let settings = [("DIAL_PER_MINUTE", "5")];
    let world = World::with(&settings).await;
    let (app, other) = world.another_app_with_url(&settings).await;
    let requests = (0..20).map(|n| {
        let base = if n % 2 == 0 { &world.base } else { &other };
        let request = world.http.get(format!("{base}/dial/{}", number(n)));
        async { Answer::of(request.send().await.expect("an answer")).await }
    });
    let answers = join_all(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_capped(refused, 5, "minute", "DIAL_PER_MINUTE");
    }
    assert_eq!(world.calls_placed(), 5);
    app.stop().await;

    let (app, restarted) = world.another_app_with_url(&settings).await;
    let answer = world.http.get(format!("{restarted}/dial/{}", number(21))).send().await.expect("an answer");
    assert_capped(&Answer::of(answer).await, 5, "minute", "DIAL_PER_MINUTE");
    assert_eq!(world.calls_placed(), 5);
    app.stop().await;
}

/// Dates everything so far as if the clock had been ahead by this many days.
async fn date_ahead(world: &World, days: i64) {
    let by = days * 86_400_000;
    let later = format!(
        "UPDATE calls SET dialled_at = dialled_at + {by}, created_at = created_at + {by}; \
         UPDATE jobs SET created_at = created_at + {by}, due_at = due_at + {by}"
    );
    world.store.execute(&later).await.expect("calls dialed in the future");
}

#[tokio::test]
async fn a_clock_that_was_ahead_frees_no_cap_and_blocks_dialing_for_one_window_only() {
    for (setting, window, seconds) in [("DIAL_PER_MINUTE", "minute", 60), ("DIAL_PER_DAY", "day", 86_400)] {
        let world = World::with(&[(setting, "1")]).await;
        world.dial(&number(1)).await;
        world.settle().await;
        date_ahead(&world, 400).await;
        for _ in 0..2 {
            let answer = world.get(&format!("/dial/{}", number(2))).await;
            assert_eq!(assert_capped(&answer, 1, window, setting), seconds);
        }
        world.clock.advance(Duration::from_secs(seconds));
        world.dial(&number(2)).await;
        assert_eq!(world.calls_placed(), 2);
    }
}

#[tokio::test]
async fn a_clock_that_is_behind_for_a_while_frees_no_cap() {
    let world = World::with(&[("DIAL_PER_HOUR", "1"), ("REDIAL_AFTER", "1h")]).await;
    world.dial(&number(1)).await;
    world.settle().await;
    date_ahead(&world, 20).await;
    assert_capped(&world.get(&format!("/dial/{}", number(2))).await, 1, "hour", "DIAL_PER_HOUR");
    // The clock is right again, and it is the time of the call.
    world.clock.advance(Duration::from_hours(20 * 24));
    assert_capped(&world.get(&format!("/dial/{}", number(2))).await, 1, "hour", "DIAL_PER_HOUR");
    let again = world.get_with(&format!("/dial/{}", number(1)), &TYPED).await;
    assert!(again.header("location").ends_with("before"), "{}", again.header("location"));
    world.clock.advance(Duration::from_hours(1));
    world.dial(&number(2)).await;
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_browser_may_redial_a_number_that_a_clock_which_was_ahead_has_dated() {
    let world = World::new().await;
    world.dial("14155551234").await;
    world.settle().await;
    date_ahead(&world, 400).await;
    assert!(world.get_with("/dial/14155551234", &TYPED).await.header("location").ends_with("before"));
    world.clock.advance(10 * MINUTE);
    assert!(!world.get_with("/dial/14155551234", &TYPED).await.header("location").ends_with("before"));
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_browser_that_dials_again_soon_is_shown_the_existing_call_and_a_button() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let shown = format!("/calls/{sid}?dialled=before");
    for path in ["/dial/14155551234", "/dial/+14155551234/"] {
        let answer = world.get_with(path, &TYPED).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, shown.as_str()));
    }
    assert_eq!(world.calls_placed(), 1);
    let page = world.get_with(&shown, &TYPED).await.text();
    assert!(page.contains("No new call was placed") && page.contains("<button>Call again</button>"), "{page}");

    world.clock.advance(10 * MINUTE);
    let answer = world.get_with("/dial/14155551234", &TYPED).await;
    assert!(answer.status == 303 && !answer.header("location").contains("before"), "{}", answer.header("location"));
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_program_may_dial_again_as_soon_as_the_call_has_ended() {
    let world = World::new().await;
    world.twilio.hold(Stage::Ringing);
    let first = world.dial("14155551234").await;
    assert_eq!(world.dial("14155551234").await, first, "the first call is still up");
    world.twilio.release(Stage::Ringing);
    world.settle().await;
    assert_ne!(world.dial("14155551234").await, first);
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn redial_after_sets_how_soon_a_browser_may_dial_again() {
    let world = World::with(&[("REDIAL_AFTER", "90s")]).await;
    for (passed, placed) in [(0, 1), (89, 1), (1, 2), (89, 2)] {
        world.after(Duration::from_secs(passed)).await;
        assert_eq!(world.get_with("/dial/14155551234", &TYPED).await.status, 303);
        world.settle().await;
        assert_eq!(world.calls_placed(), placed);
    }
}

#[tokio::test]
async fn a_call_that_twilio_refused_may_be_dialed_again_at_once() {
    let world = World::new().await;
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(400));
    assert_eq!(world.get_with("/dial/14155551234", &TYPED).await.status, 400);
    assert_eq!(world.get_with("/dial/14155551234", &TYPED).await.status, 303);
    assert_eq!(world.calls_placed(), 2);
}

#[tokio::test]
async fn a_button_pressed_twice_places_one_call() {
    let world = World::new().await;
    let sid = world.dial("14155551234").await;
    world.settle().await;
    let page = world.get_with(&format!("/calls/{sid}"), &TYPED).await.text();
    let (_, nonce) = page.split_once(r#"name="press" value=""#).expect("a form that dials");
    let form = format!("number=%2B14155551234&press={}", &nonce[..32]);
    let clicks = (0..20).map(|_| world.send(Method::POST, "/calls", &PRESSED, &form));
    let mut locations: Vec<String> = join_all(clicks)
        .await
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 303, "{}", answer.text());
            answer.header("location").trim_end_matches("?dialled=before").to_owned()
        })
        .collect();
    // The same form again after the call has ended, as a browser resends it from its history.
    world.settle().await;
    let resent = world.send(Method::POST, "/calls", &PRESSED, &form).await;
    locations.push(resent.header("location").trim_end_matches("?dialled=before").to_owned());
    locations.dedup();
    assert!(locations.len() == 1 && locations[0] != format!("/calls/{sid}"), "{locations:?}");
    assert_eq!(world.calls_placed(), 2);
    assert_eq!(world.send(Method::POST, "/calls", &PRESSED, "number=14155551234&press=1").await.status, 400);
}

#[tokio::test]
async fn a_form_nonce_is_used_up_only_for_its_number_and_only_if_the_phone_may_have_rung() {
    let world = World::new().await;
    let form = |number: &str| format!("number=%2B{number}&press={}", "0123456789abcdef".repeat(2));
    world.twilio.control.fail_next(Method::POST, "/Calls.json", refuse(400));
    assert_eq!(world.send(Method::POST, "/calls", &PRESSED, &form("14155551234")).await.status, 400);
    for number in ["14155551234", "14155551235"] {
        let answer = world.send(Method::POST, "/calls", &PRESSED, &form(number)).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert!(answer.text().starts_with(&format!("dialing +{number}")), "{}", answer.text());
    }
    assert_eq!(world.calls_placed(), 3);
}

#[tokio::test]
async fn a_dial_that_waited_too_long_for_the_database_places_no_call() {
    let world = World::new().await;
    if !world.store.is_postgres() {
        println!("skipped: another connection cannot hold one row of a SQLite file");
        return;
    }
    let connect = async || PgConnection::connect(&world.store.url).await.expect("a connection");
    let (mut holder, mut watcher) = (connect().await, connect().await);
    let hold = sqlx::raw_sql("BEGIN; UPDATE dialling SET at = at");
    hold.execute(&mut holder).await.expect("the row is free");
    let request = world.http.get(format!("{}/dial/14155551234", world.base)).send();
    let dialing = tokio::spawn(request);
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                 WHERE NOT granted AND query LIKE 'UPDATE dialling%' AND pg_backend_pid() <> pid \
                 AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'dialling'::regclass)";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.expect("a count") == 0 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(2 * MINUTE);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("the row is free again");
    let answer = Answer::of(dialing.await.expect("no panic").expect("an answer")).await;
    assert_eq!(answer.problem(503, "under-way"), "the database is busy; nothing was dialed");
    assert_eq!((world.calls_placed(), world.store.number("SELECT count(*) FROM calls").await), (0, 0));
}
