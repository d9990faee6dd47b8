//! What transcripts cost, and the budget of the day for those that nobody has asked for.

use std::time::Duration;

use callscribe::config::Config;
use callscribe::internals::signature;
use callscribe::sandbox::twilio::{ACCOUNT_SID, Outcome, SeededCall, SeededRecording};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::callbacks::{FORM, encode, sign};
use crate::support::command::{ENOUGH, with};
use crate::support::{Answer, World, navigation};

const DAY: Duration = Duration::from_hours(24);

/// A tenth of a cent for a second, or two: the sandbox's recordings last five, as both of its vendors say.
const PRICES: (&str, &str) =
    ("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=3.6,universal-2=7.2,speaker_labels=0.36,entity_detection=0.36");

/// Orders another transcript of a recording.
async fn again(world: &World, recording: &str, parameters: &Value) {
    let mut wanted = json!({"recording_sid": recording, "again": true});
    for (name, value) in parameters.as_object().expect("an object") {
        wanted[name] = value.clone();
    }
    // The newest comes last.
    world.clock.advance(Duration::from_secs(1));
    let answer = world.post_json("/transcribe", &wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.settle().await;
}

/// What the transcripts of a call cost, oldest first, and the call.
async fn costs(world: &World, call: &str) -> (Vec<Value>, Value) {
    let shown = world.call(call).await;
    let each = shown["transcripts"].as_array().expect("transcripts").iter().map(|one| one["cost_usd"].clone());
    (each.collect(), shown["cost_usd"].clone())
}

async fn page(world: &World, path: &str) -> String {
    world.get_with(path, &navigation::TYPED).await.text()
}

async fn progress(world: &World, call: &str) -> String {
    world.call(call).await["progress"].as_str().expect("a progress").to_owned()
}

/// Dials, and lets the call and what follows from it come to their end.
async fn dialed(world: &World) -> String {
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    call
}

#[tokio::test]
async fn a_transcript_costs_its_seconds_by_the_model_that_was_used_and_by_what_costs_more() {
    let world = World::with(&[PRICES]).await;
    world.assemblyai.hold();
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    assert_eq!(costs(&world, &call).await, (vec![Value::Null], Value::Null), "it is on its way");
    assert!(!page(&world, &format!("/calls/{call}")).await.contains("Cost:"));
    world.assemblyai.release();
    world.settle().await;
    assert_eq!(costs(&world, &call).await, (vec![json!(0.005)], json!(0.005)));
    let shown = page(&world, &format!("/calls/{call}")).await;
    assert!(shown.contains("Cost: $0.0050 (transcript)"), "{shown}");
    assert!(shown.contains("Speech model: assemblyai-stt-3-7. Cost: $0.0050"), "{shown}");

    again(&world, &recording, &json!({"speech_models": ["universal-2"]})).await;
    let labels = json!({"speaker_labels": true, "entity_detection": false});
    again(&world, &recording, &labels).await;
    let expected = vec![json!(0.005), json!(0.01), json!(0.0055)];
    assert_eq!(costs(&world, &call).await, (expected.clone(), json!(0.0205)));
    assert!(page(&world, &format!("/calls/{call}")).await.contains("Cost: $0.0205 (transcripts)"));
    for list in ["/items", "/calls"] {
        let listed = world.get(list).await.json();
        let list = listed.get("items").or(listed.get("calls")).expect("a list");
        assert_eq!(list[0]["cost_usd"], 0.0205, "{listed}");
    }

    // Other prices change nothing of it, and of a model without a price no cost is known.
    let other = ("ASSEMBLYAI_PRICES", "universal-2=1");
    let (app, url) = world.another_app_with_url(&[other]).await;
    let shown = world.http.get(format!("{url}/calls/{call}")).send().await.expect("an answer");
    assert_eq!(Answer::of(shown).await.json()["cost_usd"], 0.0205);
    app.stop().await;
    let world = World::with(&[other]).await;
    let call = dialed(&world).await;
    assert_eq!(costs(&world, &call).await, (vec![Value::Null], Value::Null));
}

#[tokio::test]
async fn a_failed_transcript_costs_nothing_and_its_retry_does() {
    let world = World::with(&[PRICES]).await;
    world.assemblyai.fail_next_transcript("Audio file is corrupt.");
    let call = dialed(&world).await;
    assert_eq!(costs(&world, &call).await, (vec![json!(0.0)], json!(0.0)));
    assert_eq!(world.post_form(&format!("/calls/{call}/retry"), "").await.status, 200);
    world.settle().await;
    assert_eq!(costs(&world, &call).await, (vec![json!(0.005)], json!(0.005)));
}

#[tokio::test]
async fn what_a_transcript_has_cost_is_known_after_its_call_is_deleted() {
    let world = World::with(&[PRICES]).await;
    let call = dialed(&world).await;
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    world.settle().await;
    assert_eq!(world.store.number("SELECT cost_microusd FROM transcripts WHERE text IS NULL").await, 5_000);
}

#[tokio::test]
async fn calls_are_found_and_sorted_by_what_they_cost() {
    let world = World::with(&[PRICES]).await;
    let second = Duration::from_secs(1);
    world.twilio.price_calls("USD");
    let (dear, recording) = world.recorded_call().await;
    world.after(second).await;
    let cheap = dialed(&world).await;
    world.clock.advance(second);
    world.assemblyai.fail_next_transcript("Audio file is corrupt.");
    let failed = dialed(&world).await;
    again(&world, &recording, &json!({"speech_models": ["universal-2"]})).await;
    world.twilio.set_next_outcome(Outcome::Busy);
    let busy = world.dial("14155551234").await;
    world.settle().await;
    let found = async |query: &str| {
        let listed = world.get(&format!("/items?{query}")).await.json();
        let sids = listed["items"].as_array().unwrap_or_else(|| panic!("{listed}")).iter();
        sids.map(|item| item["sid"].as_str().expect("a SID").to_owned()).collect::<Vec<_>>()
    };
    // 0.0165 each, and 0.015, 0.005 and nothing for transcripts; of the busy one nothing is known.
    assert_eq!(found("sort=costliest").await, [&dear, &cheap, &failed, &busy].map(String::clone));
    assert_eq!(found("min_cost=0.02").await, [&cheap, &dear].map(String::clone));
    assert_eq!(found("max_cost=0.0215&sort=costliest").await, [&cheap, &failed].map(String::clone));
    assert_eq!(found("min_cost=0.0215&max_cost=%240.0215").await, [&cheap].map(String::clone));
    assert_eq!(found("q=friday&min_cost=0.03").await, found("min_cost=0.03").await);
    let first = world.get("/items?sort=costliest&limit=1").await.json();
    let cursor = first["next"].as_str().expect("another page");
    assert!(cursor.starts_with("costliest.31500."), "{cursor}");
    assert_eq!(found(&format!("sort=costliest&limit=1&cursor={cursor}")).await, std::slice::from_ref(&cheap));
}

#[tokio::test]
async fn beyond_the_budget_nothing_is_ordered_automatically() {
    // An order on its way counts as 6 seconds of the dearer model, and later as what it costs.
    let world = World::with(&[PRICES, ("BUDGET_PER_DAY", "0.025")]).await;
    let quiet = "what is left is too little";
    assert!(!page(&world, "/").await.contains(quiet));
    world.assemblyai.hold();
    for _ in 0..2 {
        let call = dialed(&world).await;
        assert_eq!(progress(&world, &call).await, "transcribing");
    }
    let left_out = dialed(&world).await;
    let shown = world.call(&left_out).await;
    assert_eq!((&shown["progress"], &shown["can_retry"]), (&json!("not-transcribed"), &json!(true)), "{shown:#}");
    assert_eq!(shown["recordings"][0]["state"], "completed", "the recording is kept");
    let why = "BUDGET_PER_DAY of $0.0250 was reached.";
    let of_call = page(&world, &format!("/calls/{left_out}")).await;
    assert!(of_call.contains(why) && of_call.contains(">Transcribe</button>\n</form>"), "{of_call}");
    let notice = "BUDGET_PER_DAY: transcripts for $0.0240 of $0.0250 were ordered automatically";
    for list in ["/", "/items", "/calls"] {
        let shown = page(&world, list).await;
        assert!(shown.contains(why) && shown.contains(notice), "{shown}");
    }
    let listed = world.get("/items?progress=not-transcribed").await.json();
    assert_eq!(listed["items"][0]["sid"], json!(left_out), "{listed}");

    // They have cost less, so there is room for one more.
    world.assemblyai.release();
    world.settle().await;
    assert!(!page(&world, "/items").await.contains(quiet));
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "done");
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
    assert!(page(&world, "/items").await.contains(quiet));

    // The operator asks, which takes nothing from the budget.
    assert_eq!(world.post_form(&format!("/calls/{left_out}/retry"), "").await.status, 200);
    world.settle().await;
    let shown = page(&world, &format!("/calls/{left_out}")).await;
    assert!(shown.contains("Cost: $0.0050") && !shown.contains(why), "{shown}");
    world.clock.advance(DAY);
    assert!(!page(&world, "/items").await.contains(quiet));
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "done");
}

#[tokio::test]
async fn what_somebody_has_asked_for_or_confirmed_takes_nothing_from_the_budget() {
    let world = World::with(&[PRICES, ("BUDGET_PER_DAY", "0")]).await;
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
    let answer = world.post_json("/transcribe", &json!({"call_sid": call})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.settle().await;
    assert_eq!(progress(&world, &call).await, "done");
    let made = Some("2026-03-02T10:00:00Z".parse().expect("a time"));
    let earlier = world.twilio.add_call(SeededCall { began: made, ..Default::default() });
    world.twilio.add_recording(SeededRecording { call_sid: earlier.clone(), made, ..Default::default() });
    let import = json!({"since": "2026-03-01", "until": "2026-03-31", "confirm": true});
    assert_eq!(world.post_json("/imports", &import).await.status, 201);
    world.settle().await;
    assert_eq!(progress(&world, &earlier).await, "done");
    assert_eq!(world.store.number("SELECT count(*) FROM transcripts WHERE automatic_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_failed_order_frees_what_it_took_and_its_retry_was_asked_for() {
    let world = World::with(&[PRICES, ("BUDGET_PER_DAY", "0.0125")]).await;
    world.assemblyai.fail_next_transcript("Audio file is corrupt.");
    let failed = dialed(&world).await;
    assert_eq!(progress(&world, &failed).await, "failed");
    assert_eq!(world.post_form(&format!("/calls/{failed}/retry"), "").await.status, 200);
    world.settle().await;
    assert_eq!(progress(&world, &failed).await, "done");
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "done");
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
}

#[tokio::test]
async fn the_budget_holds_across_instances_and_restarts() {
    // Room for four orders of 5 seconds each, and not for five.
    let settings = [PRICES, ("BUDGET_PER_DAY", "0.0499")];
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
    assert_eq!(world.store.number(orders).await, 4);
    assert_eq!(world.store.number("SELECT count(*) FROM recordings WHERE over_budget_microusd = 49900").await, 16);
    app.stop().await;
    let (app, restarted) = world.another_app_with_url(&settings).await;
    report(&restarted, 20).await;
    assert_eq!(world.store.number(orders).await, 4);
    app.stop().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_or_is_behind_for_a_while_does_not_free_the_budget() {
    let world = World::with(&[PRICES, ("BUDGET_PER_DAY", "0.0125")]).await;
    dialed(&world).await;
    let ahead = "UPDATE transcripts SET automatic_at = automatic_at + 1728000000, created_at = created_at + 1728000000";
    world.store.execute(ahead).await.expect("an order dated 20 days from now");
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
    world.clock.advance(DAY);
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "done", "it counts for a day, not for 20");
    // Or else the clock was behind until now.
    world.clock.advance(19 * DAY);
    let call = dialed(&world).await;
    assert_eq!(progress(&world, &call).await, "not-transcribed");
}

#[test]
fn a_budget_needs_the_price_of_each_model() {
    let read = |prices: &str| {
        let settings = [("BUDGET_PER_DAY", "5"), ("ASSEMBLYAI_PRICES", prices)];
        let variables = with(&ENOUGH[..6], &settings).into_iter();
        Config::read(variables.map(|(name, value)| (name.to_owned(), value.to_owned())), false)
    };
    let problems = read("assemblyai-stt-3-7=0.21").expect_err("universal-2 has no price");
    let problem = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(problem.contains("BUDGET_PER_DAY") && problem.contains("a price of universal-2"), "{problem}");
    assert!(read("assemblyai-stt-3-7=0.21,universal-2=0.15").is_ok());
}
