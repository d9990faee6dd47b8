//! Kills the program while it imports the recordings that the account has.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use callscribe::sandbox::twilio::{SeededCall, SeededRecording};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::check::Outcome;
use crate::world::World;
use crate::{DONE_WITHIN, REACHED_WITHIN, world};

/// The points in an import.
pub(crate) const IMPORTING: [&str; 7] = ["C44", "C45", "C46", "C47", "C48", "C49", "C50"];

/// Recordings of the account: more than are on a page of its list.
const RECORDINGS: usize = 55;

/// Kills the program at a point of an import. A client that got no answer asks again. Each recording is transcribed once, and none
/// is missed.
pub(crate) async fn importing(mut world: World, point: &str, round: u32, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    for _ in 0..RECORDINGS {
        let to = format!("+{}", world.outside.number());
        let call_sid = world.twilio.add_call(SeededCall { to, ..Default::default() });
        world.twilio.add_recording(SeededRecording { call_sid, ..Default::default() });
    }
    // The first page or the second, the first orders or later ones.
    let times = match point {
        "C46" | "C47" if !round.is_multiple_of(2) => ":2",
        "C48" | "C49" if !round.is_multiple_of(2) => ":20",
        "C48" | "C49" => ":9",
        _ => "",
    };
    world.start(Some(format!("{point}:stop{times}"))).await;
    let (outside, wanted) = (world.outside.clone(), json!({"since": "2020-01-01", "confirm": true}));
    let sent = wanted.clone();
    let importing = tokio::spawn(async move { outside.post("/imports", &sent).await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    importing.abort();
    world.check_file().await;
    world.start(None).await;
    // With the same key, it is one import.
    if let Err(error) = world.outside.post("/imports", &wanted).await {
        world.violations.push(format!("the same is refused: {}", error.without_url()));
    }
    let import = over(&world.outside).await;
    let counts = ["total", "done", "failed", "skipped"].map(|name| import[name].as_u64());
    if counts != [Some(RECORDINGS as u64), Some(RECORDINGS as u64), Some(0), Some(0)] {
        world.violations.push(format!("the import ended so: {import}"));
    }
    drop(turn);
    world.check().await
}

/// How often an import is killed.
const KILLS: usize = 10;

/// Days over which other software has made the calls.
const DAYS: u32 = 60;

/// Imports the recordings of other software, as somebody does who looks at the cost first, and kills the program ten times in
/// between. Each has the date and the channels that it has at Twilio, and was ordered once.
pub(crate) async fn killed_ten_times(mut world: World, calls: usize) -> Outcome {
    let past = world.twilio.add_past(calls, DAYS);
    let wanted = past.messages.len() + past.conversations.len();
    let skipped = past.empty + past.absent + past.encrypted;
    world.start(None).await;
    let (outside, asked) = (world.outside.clone(), json!({"since": "2020-01-01"}));
    let look = outside.answer("/imports", &asked).await.unwrap_or_default();
    if [&look["recordings"], &look["skipped"]] != [&json!(wanted), &json!(skipped)] || look["cost_usd"].is_null() {
        world.violations.push(format!("before the import it was said to be {look}, expected {wanted} and {skipped}"));
    }
    let confirmed = json!({"since": look["since"], "until": look["until"], "id": look["id"], "confirm": true});
    if let Err(error) = outside.post("/imports", &confirmed).await {
        world.violations.push(format!("the import does not begin: {}", error.without_url()));
    }
    let progress = format!("/imports/{}", look["id"].as_str().unwrap_or_default());
    for kill in 0..KILLS {
        // Between two kills, as much is done as between two others.
        let started = Instant::now();
        while outside
            .json(&progress)
            .await
            .is_ok_and(|import| import["done"].as_u64() < Some((wanted * kill / KILLS) as u64))
            && started.elapsed() < REACHED_WITHIN
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.kill();
        world.start(None).await;
    }
    let import = over(&world.outside).await;
    let counts = ["total", "done", "failed", "skipped"].map(|name| import[name].as_u64());
    if counts != [wanted + skipped, wanted, 0, skipped].map(|count| Some(count as u64)) {
        world.violations.push(format!("the import ended so: {import}"));
    }
    let at_twilio = world.listed("Calls", "calls").await;
    let began: HashMap<&str, String> = at_twilio.iter().filter_map(began).collect();
    let mut here = BTreeMap::new();
    _ = world.outside.add_ended(&mut here).await;
    let accepted = world.assemblyai.accepted_per_recording();
    for (sids, channels) in [(&past.messages, 1), (&past.conversations, 2)] {
        for sid in sids {
            let is_it = |call: &&Value| call["recordings"][0]["sid"] == **sid;
            let call = here.values().find(is_it).unwrap_or(&Value::Null);
            let began = call["sid"].as_str().and_then(|sid| began.get(sid));
            let texts = call["transcripts"].as_array().map(Vec::len);
            if accepted.get(sid) != Some(&1)
                || texts != Some(1)
                || call["recordings"][0]["channels"] != channels
                || began.is_none_or(|began| call["created_at"] != **began)
            {
                let times = accepted.get(sid).copied().unwrap_or_default();
                world
                    .violations
                    .push(format!("{sid} was ordered {times} times, began at {began:?}, and is here as {call}"));
            }
        }
    }
    if here.len() != wanted || accepted.len() != wanted {
        world.violations.push(format!("{} calls are here, and {} ordered, of {wanted}", here.len(), accepted.len()));
    }
    world.check_archive(&here).await;
    let outcome = world.close(&here).await;
    Outcome { recordings: accepted.len(), ..outcome }
}

/// When a call began, as Twilio says.
fn began(call: &Value) -> Option<(&str, String)> {
    let at = jiff::fmt::rfc2822::parse(call["start_time"].as_str()?).ok()?;
    Some((call["sid"].as_str()?, at.timestamp().to_string()))
}

/// The only import, once it is over.
async fn over(outside: &world::Outside) -> Value {
    let started = Instant::now();
    loop {
        let listed = outside.json("/imports").await.unwrap_or_default();
        let is_one = listed["imports"].as_array().is_some_and(|imports| imports.len() == 1);
        let import = listed["imports"][0].clone();
        if is_one && import["state"] == "done" || started.elapsed() > DONE_WITHIN {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
