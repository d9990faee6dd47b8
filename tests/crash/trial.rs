//! Kills the program while a trial begins, is measured, is stopped, or becomes what its calls have.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::check::Outcome;
use crate::world::World;
use crate::{DONE_WITHIN, REACHED_WITHIN, world};

/// The points in a trial.
pub(crate) const TRYING: [&str; 5] = ["C35", "C36", "C37", "C40", "C41"];

/// The points at which a trial is stopped.
pub(crate) const STOPPING: [&str; 2] = ["C42", "C43"];

/// Calls of a trial that is stopped. With its arms these are more orders than are due at once.
const CALLS: usize = 8;

/// What somebody has added to the transcript at its beginning.
const ADDED: &str = "Kowalczyk";

/// Kills the program at a point of a trial. A client that got no answer asks again. Each recording is transcribed once more, measured,
/// and what is chosen is current, with the corrections of the other transcript once.
pub(crate) async fn trying(mut world: World, point: &str, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some(format!("{point}:stop"))).await;
    world.outside.dial().await;
    let calls = world.end().await;
    let call = calls.values().next().cloned().unwrap_or_default();
    let transcript = call["transcripts"][0]["id"].as_str().unwrap_or_default().to_owned();
    let correction = json!({"version": 0, "from": 0, "to": 0, "text": ADDED});
    if let Err(error) = world.outside.post(&format!("/transcript/{transcript}/corrections"), &correction).await {
        world.violations.push(format!("the correction is refused: {}", error.without_url()));
    }
    let wanted = json!({"calls": [call["id"]], "speech_models": ["universal-2"], "confirm": true});
    let outside = world.outside.clone();
    let trying = tokio::spawn(async move {
        outside.post("/trials", &wanted).await?;
        let trial = over(&outside).await;
        outside.post(&format!("/trials/{}/choose", id(&trial)), &json!({"arm": 0})).await
    });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    trying.abort();
    world.check_file().await;
    world.start(None).await;
    // The client got no answer, and sends the same again. With the same key, it is one trial.
    let wanted = json!({"calls": [call["id"]], "speech_models": ["universal-2"], "confirm": true});
    if let Err(error) = world.outside.post("/trials", &wanted).await {
        world.violations.push(format!("the same is refused: {}", error.without_url()));
    }
    let trial = over(&world.outside).await;
    if let Err(error) = world.outside.post(&format!("/trials/{}/choose", id(&trial)), &json!({"arm": 0})).await {
        world.violations.push(format!("choosing is refused: {}", error.without_url()));
    }
    let is_chosen = |trial: &Value| trial["choosing"]["state"] == "done" && !trial["figures"][0].is_null();
    let trial = waited(&world.outside, is_chosen).await;
    world.kill();
    world.start(None).await;
    let kept = waited(&world.outside, is_chosen).await;
    let figures = (&kept["figures"][0]["after"], &kept["transcripts"], &kept["choosing"]["recordings"]);
    if figures != (&trial["figures"][0]["after"], &json!({"total": 1, "completed": 1, "failed": 0}), &json!(1)) {
        world.violations.push(format!("there was {trial}; there is {kept}"));
    }
    world.tried = made(&kept);
    let new = kept["results"][0]["transcripts"][0]["id"].as_str().unwrap_or_default().to_owned();
    let words = world.outside.json(&format!("/transcript/{new}?format=words")).await.unwrap_or_default();
    let times = words["words"].as_array().into_iter().flatten().filter(|word| word["text"] == ADDED).count();
    if times != 1 {
        world.violations.push(format!("the correction was carried over {times} times"));
    }
    drop(turn);
    world.check().await
}

/// Kills the program while somebody stops a trial, who asks again if there is no answer. What is ordered comes to its end, and
/// nothing else is ordered: not before the client asks again, if the stop was committed, and not after another start.
pub(crate) async fn stopping(mut world: World, point: &str, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some(format!("{point}:stop"))).await;
    for _ in 0..CALLS {
        world.outside.dial().await;
    }
    let calls: Vec<String> = world.end().await.into_keys().collect();
    let models = ["universal-2", "assemblyai-stt-3-7", "universal"];
    let wanted = json!({"calls": calls, "speech_models": models, "again": true, "confirm": true});
    if let Err(error) = world.outside.post("/trials", &wanted).await {
        world.violations.push(format!("the trial is refused: {}", error.without_url()));
    }
    let begun = waited(&world.outside, |trial| !trial["id"].is_null()).await;
    let (outside, stop) = (world.outside.clone(), format!("/trials/{}/stop", id(&begun)));
    let path = stop.clone();
    let asking = tokio::spawn(async move { outside.post(&path, &json!({})).await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    asking.abort();
    world.check_file().await;
    world.start(None).await;
    let is_over = |trial: &Value| trial["state"] == "stopped";
    if point == "C42"
        && let Err(error) = world.outside.post(&stop, &json!({})).await
    {
        world.violations.push(format!("stopping is refused: {}", error.without_url()));
    }
    let trial = waited(&world.outside, is_over).await;
    if let Err(error) = world.outside.post(&stop, &json!({})).await {
        world.violations.push(format!("stopping again is refused: {}", error.without_url()));
    }
    world.kill();
    world.start(None).await;
    let kept = waited(&world.outside, is_over).await;
    if kept["transcripts"] != trial["transcripts"] || !is_over(&kept) {
        world.violations.push(format!("there was {trial}; there is {kept}"));
    }
    let mut left = 0;
    for transcript in transcripts(&kept).map(|(_, transcript)| transcript).filter(|one| one["state"] != "completed") {
        left += 1;
        let reason = transcript["reason"].as_str().unwrap_or_default();
        if !transcript["id"].is_null() || !reason.contains("stopped before this was ordered") {
            world.violations.push(format!("neither ordered nor left: {transcript}"));
        }
    }
    // Before the commit, the stop may come after all are ordered.
    if left == 0 && point == "C43" {
        world.violations.push(format!("the stop came too late to be seen: {kept}"));
    }
    // Each recording has exactly these transcripts at AssemblyAI.
    world.tried = made(&kept);
    drop(turn);
    world.check().await
}

/// The transcripts of a trial, each with its recording.
fn transcripts(trial: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let recordings = trial["results"].as_array().into_iter().flatten();
    recordings.flat_map(|recording| {
        let transcripts = recording["transcripts"].as_array().into_iter().flatten();
        transcripts.map(|transcript| (recording["recording"].as_str().unwrap_or_default(), transcript))
    })
}

/// How many transcripts of each recording a trial has made.
fn made(trial: &Value) -> BTreeMap<String, u64> {
    let mut made = BTreeMap::new();
    for (recording, transcript) in transcripts(trial) {
        *made.entry(recording.to_owned()).or_default() += u64::from(transcript["state"] == "completed");
    }
    made
}

/// The only trial, once its orders are over.
async fn over(outside: &world::Outside) -> Value {
    waited(outside, |trial| trial["state"] == "done").await
}

/// The only trial, once this is true of it.
async fn waited(outside: &world::Outside, is_so: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let listed = outside.json("/trials").await.unwrap_or_default();
        let trial = outside.json(&format!("/trials/{}", id(&listed["trials"][0]))).await.unwrap_or_default();
        let is_one = listed["trials"].as_array().is_some_and(|trials| trials.len() == 1);
        if is_one && is_so(&trial) || started.elapsed() > DONE_WITHIN {
            return trial;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn id(trial: &Value) -> &str {
    trial["id"].as_str().unwrap_or_default()
}
