//! `/cost`: what was paid, by month, model and contact, and what is left of the budget.

use serde_json::{Value, json};

use crate::support::{World, navigation};

const PRICES: (&str, &str) = ("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=3.6,universal-2=7.2");

async fn costs(world: &World, query: &str) -> Value {
    let answer = world.get(&format!("/cost{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The months with what each has cost, newest first.
fn months(costs: &Value) -> Vec<(&str, f64)> {
    let months = costs["months"].as_array().expect("months").iter();
    months
        .map(|month| (month["month"].as_str().expect("a month"), month["cost_usd"].as_f64().expect("a cost")))
        .collect()
}

/// Puts a call and its transcripts at this time.
async fn date(world: &World, call: &str, time: &str) {
    let at = time.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let id = format!("(SELECT id FROM calls WHERE sid = '{call}')");
    let statements = format!(
        "UPDATE transcripts SET created_at = {at} WHERE recording_sid IN (SELECT sid FROM recordings WHERE call_id = {id}); \
         UPDATE calls SET created_at = {at} WHERE sid = '{call}'"
    );
    world.store.execute(&statements).await.expect("another time");
}

/// A world with a call at the end of March and one in April, both priced, the second with another transcript.
async fn spring() -> World {
    let world = World::with(&[PRICES]).await;
    world.twilio.price_calls("USD");
    let march = world.dial("14155551234").await;
    world.settle().await;
    let april = world.dial("14155551235").await;
    world.settle().await;
    let other = json!({"call_sid": april, "speech_models": ["universal-2"]});
    assert_eq!(world.post_json("/transcribe", &other).await.status, 200);
    world.settle().await;
    date(&world, &march, "2026-03-31T23:30:00Z").await;
    date(&world, &april, "2026-04-15T12:00:00Z").await;
    world
}

#[tokio::test]
async fn costs_are_summed_by_month_of_a_zone() {
    let world = spring().await;
    let utc = costs(&world, "").await;
    assert_eq!((months(&utc), &utc["zone"]), (vec![("2026-04", 0.0315), ("2026-03", 0.0215)], &json!("UTC")), "{utc}");
    let april = &utc["months"][0];
    let of_transcripts = (&april["transcripts"], &april["transcripts_usd"], &april["unknown"]);
    assert_eq!(of_transcripts, (&json!(2), &json!(0.015), &json!(0)));
    assert_eq!((&april["calls"], &april["calls_usd"]), (&json!(1), &json!(0.0165)));
    for zone in ["%2B02:00", " 02:00", "Europe/Berlin"] {
        assert_eq!(months(&costs(&world, &format!("?zone={zone}")).await), [("2026-04", 0.053)], "{zone}");
    }
    assert_eq!(months(&costs(&world, "?zone=America/New_York").await), months(&utc));
    for (query, why) in [("zone=Nowhere", "zone"), ("month=April", "month"), ("moth=2026-04", "moth")] {
        let detail = world.get(&format!("/cost?{query}")).await.problem(400, "bad-request");
        assert!(detail.contains(why), "{detail}");
    }
}

#[tokio::test]
async fn the_costs_of_a_month_or_of_all_are_told_by_model_and_contact() {
    let world = spring().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    world.send(reqwest::Method::POST, "/contacts/+14155551235", &form, "name=Nurse+Okafor").await;
    let march = costs(&world, "?month=2026-03").await;
    let model = |model: &str, transcripts: i64, cost: f64| json!({"model": model, "transcripts": transcripts, "unknown": 0, "cost_usd": cost});
    assert_eq!(
        (&march["month"], &march["models"]),
        (&json!("2026-03"), &json!([model("assemblyai-stt-3-7", 1, 0.005)]))
    );
    assert_eq!(march["contacts"], json!([{"number": "+14155551234", "name": null, "cost_usd": 0.0215}]));
    let all = costs(&world, "?month=all").await;
    let models = json!([model("assemblyai-stt-3-7", 2, 0.01), model("universal-2", 1, 0.01)]);
    assert_eq!((&all["month"], &all["models"]), (&Value::Null, &models), "{all}");
    let named = json!({"number": "+14155551235", "name": "Nurse Okafor", "cost_usd": 0.0315});
    assert_eq!(all["contacts"], json!([named, march["contacts"][0]]));
    // Of this month there is nothing.
    let now = costs(&world, "").await;
    assert_eq!((&now["models"], &now["contacts"], &now["budget"]), (&json!([]), &json!([]), &Value::Null), "{now}");

    let page = world.get_with("/cost?month=2026-04&zone=UTC", &navigation::TYPED).await.text();
    for shown in ["$0.0315", "universal-2", "Nurse Okafor", "href=\"/cost?month=2026-03&#38;zone=UTC\""] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("data-zone"), "the zone is known");
    // A page that does not know the reader's zone asks the browser for it.
    assert!(world.get_with("/cost", &navigation::TYPED).await.text().contains("<body data-zone>"));
    assert_eq!(world.get_with("/cost?zone=Nowhere", &navigation::TYPED).await.status, 200);
    assert!(world.get_with("/items", &navigation::TYPED).await.text().contains("href=\"/cost\""));
}

#[tokio::test]
async fn what_is_not_known_deleted_or_in_another_currency_is_told_apart() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "universal-2=7.2")]).await;
    world.twilio.price_calls("EUR");
    let call = world.dial("14155551234").await;
    world.settle().await;
    let other = json!({"call_sid": call, "speech_models": ["universal-2"]});
    assert_eq!(world.post_json("/transcribe", &other).await.status, 200);
    world.settle().await;
    let found = costs(&world, "").await;
    let month = &found["months"][0];
    assert_eq!((&month["transcripts"], &month["unknown"], &month["cost_usd"]), (&json!(2), &json!(1), &json!(0.01)));
    let euros = json!([{"price": 0.0165, "price_unit": "EUR", "calls": 1}]);
    assert_eq!((&month["calls"], &month["other_currencies"]), (&json!(0), &euros));
    let page = world.get_with("/cost?zone=UTC", &navigation::TYPED).await.text();
    assert!(page.contains("$0.01 and EUR 0.0165") && page.contains("not known of 1"), "{page}");

    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    let found = costs(&world, "").await;
    assert_eq!(found["months"][0]["cost_usd"], 0.01, "what was paid was paid");
    assert_eq!(found["contacts"], json!([{"number": null, "name": null, "cost_usd": 0.01}]));
    assert_eq!(found["models"][0]["model"], Value::Null);
}

#[tokio::test]
async fn the_budget_of_the_day_is_told_with_what_is_left() {
    let world = World::with(&[PRICES, ("BUDGET_PER_DAY", "0.0125")]).await;
    world.dial("14155551234").await;
    world.settle().await;
    let budget = costs(&world, "").await["budget"].clone();
    let expected = json!({"per_day_usd": 0.0125, "ordered_usd": 0.005, "left_usd": 0.0075, "is_reached": false});
    assert_eq!(budget, expected);
    world.dial("14155551234").await;
    world.settle().await;
    assert_eq!(costs(&world, "").await["budget"]["is_reached"], true);
    let page = world.get_with("/cost?zone=UTC", &navigation::TYPED).await.text();
    assert!(page.contains("Budget for the day: $0.0050 of $0.0125"), "{page}");
    assert!(page.contains("what is left is too little"), "{page}");
}

#[tokio::test]
async fn the_page_of_a_contact_shows_what_its_calls_cost() {
    let world = spring().await;
    world.twilio.price_calls("EUR");
    world.dial("14155551236").await;
    world.settle().await;
    let page = async |number: &str| {
        let accept = ("accept", "text/html");
        world.get_with(&format!("/contacts/{number}"), &[accept]).await.text()
    };
    for contact in costs(&world, "?month=all").await["contacts"].as_array().expect("contacts") {
        let (number, cost) =
            (contact["number"].as_str().expect("a number"), contact["cost_usd"].as_f64().expect("a sum"));
        assert!(page(number).await.contains(&format!("transcripts cost ${cost:.4}, as far as")), "{contact}");
    }
    assert!(page("+14155551235").await.contains("$0.0315"));
    for other in ["+14155551299", "+15005550006"] {
        assert!(!page(other).await.contains("as far as that is known"), "nothing was paid for {other}");
    }
}
