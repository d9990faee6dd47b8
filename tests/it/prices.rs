//! What calls cost: Twilio says so some minutes after their end.

use std::time::Duration;

use callscribe::sandbox::twilio::{Outcome, SeededCall, SeededRecording};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, assert_happened, navigation};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// 14 thousandths of a dollar for a call of less than a minute, and 2.5 for its recording.
const OF_CALL: f64 = 0.0165;

/// Dials, and lets the call and what follows from it come to their end.
async fn dialed(world: &World, number: &str) -> String {
    let call = world.dial(number).await;
    world.settle().await;
    call
}

/// What Twilio charges for a call, and what it costs with its transcripts.
async fn price(world: &World, call: &str) -> (Value, Value, Value) {
    let shown = world.call(call).await;
    (shown["price"].clone(), shown["price_unit"].clone(), shown["cost_usd"].clone())
}

/// How often Twilio was asked for a call.
fn asked(world: &World) -> usize {
    usize::try_from(world.twilio.control.request_count(Method::GET, "/Calls/{id}.json")).expect("a number of requests")
}

#[tokio::test]
async fn the_price_of_a_call_is_asked_for_until_twilio_knows_it() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=3.6")]).await;
    let call = dialed(&world, "14155551234").await;
    let before = asked(&world);
    assert_eq!(price(&world, &call).await, (Value::Null, Value::Null, json!(0.005)));
    world.after(9 * MINUTE).await;
    assert_happened(asked(&world), before);
    world.after(MINUTE).await;
    assert_happened(asked(&world), before + 1);
    assert_eq!(price(&world, &call).await.0, Value::Null);

    world.twilio.price_calls("USD");
    world.after(49 * MINUTE).await;
    assert_happened(asked(&world), before + 1);
    world.after(MINUTE).await;
    assert_happened(asked(&world), before + 2);
    assert_eq!(price(&world, &call).await, (json!(OF_CALL), json!("USD"), json!(0.0215)));
    let page = world.get_with(&format!("/calls/{call}"), &navigation::TYPED).await.text();
    assert!(page.contains("Cost: $0.0215 (transcript $0.0050, call $0.0165)"), "{page}");
    let listed = world.get("/items").await.json();
    assert_eq!((&listed["items"][0]["cost_usd"], &listed["items"][0]["price"]), (&json!(0.0215), &json!(OF_CALL)));
    // Nothing more is asked.
    let asked = world.vendor_requests();
    for _ in 0..24 {
        world.after(HOUR).await;
    }
    assert_eq!(world.vendor_requests(), asked);
}

#[tokio::test]
async fn twilio_is_asked_four_times_within_a_day_and_then_no_more() {
    let world = World::new().await;
    let call = dialed(&world, "14155551234").await;
    let before = asked(&world);
    for _ in 0..30 {
        world.after(HOUR).await;
    }
    assert_happened(asked(&world), before + 4);
    assert_eq!(price(&world, &call).await.0, Value::Null);
    assert_eq!(world.store.number("SELECT count(*) FROM jobs WHERE state = 'open' AND kind = 'price'").await, 0);
}

#[tokio::test]
async fn nothing_is_asked_of_what_costs_nothing_is_deleted_or_was_no_call() {
    let world = World::new().await;
    world.twilio.set_next_outcome(Outcome::Busy);
    dialed(&world, "14155551235").await;
    let deleted = dialed(&world, "14155551234").await;
    assert_eq!(world.post_form(&format!("/calls/{deleted}/delete"), "").await.status, 202);
    let upload = json!({"audio_url": "https://example.com/a.mp3"});
    assert_eq!(world.post_json("/transcribe", &upload).await.status, 200);
    world.settle().await;
    world.twilio.price_calls("USD");
    let before = world.twilio.control.requests().len();
    world.after(10 * MINUTE).await;
    world.after(HOUR).await;
    assert_eq!(world.twilio.control.requests().len(), before);
}

#[tokio::test]
async fn each_leg_of_a_conversation_has_its_price() {
    let world = World::with(&[("OPERATOR_PHONES", "+14155550100")]).await;
    let call = dialed(&world, "14155551234?with=me").await;
    assert_eq!(world.call(&call).await["legs"].as_array().map(Vec::len), Some(2));
    world.twilio.price_calls("USD");
    world.after(10 * MINUTE).await;
    assert_eq!(price(&world, &call).await.0, json!(0.0305));
}

#[tokio::test]
async fn a_price_in_another_currency_is_shown_and_left_out_of_the_sum() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=3.6")]).await;
    let call = dialed(&world, "14155551234").await;
    world.twilio.price_calls("EUR");
    world.after(10 * MINUTE).await;
    assert_eq!(price(&world, &call).await, (json!(OF_CALL), json!("EUR"), json!(0.005)));
    let page = world.get_with(&format!("/calls/{call}"), &navigation::TYPED).await.text();
    assert!(page.contains("Cost: $0.0050 (transcript) and EUR 0.0165 (call)"), "{page}");
}

#[tokio::test]
async fn an_import_reads_the_prices_with_the_recordings() {
    let world = World::new().await;
    let made = Some("2026-03-02T10:00:00Z".parse().expect("a time"));
    let call = world.twilio.add_call(SeededCall { began: made, ..Default::default() });
    for _ in 0..2 {
        world.twilio.add_recording(SeededRecording { call_sid: call.clone(), made, ..Default::default() });
    }
    let import = json!({"since": "2026-03-01", "until": "2026-03-31", "confirm": true});
    assert_eq!(world.post_json("/imports", &import).await.status, 201);
    world.settle().await;
    assert_eq!(price(&world, &call).await.0, json!(0.019), "of the call and of both recordings");
    let before = world.twilio.control.requests().len();
    world.after(10 * MINUTE).await;
    world.after(HOUR).await;
    assert_eq!(world.twilio.control.requests().len(), before);
}
