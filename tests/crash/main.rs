//! The crash test: the program is killed at each crash point and at random times, then restarted. Nothing may be done
//! twice, and nothing acknowledged may be lost. Both vendors run in this process; the program is a child process that gets
//! SIGKILL.
//!
//! `cargo test --features failpoints --test crash -- --rounds 20 --kills 500` kills it 20 times at each point of
//! [`callscribe::failpoint`], in each kind of call in turn, and 500 times at random. `--points C3,C4` selects points,
//! `--jobs` is the number of calls in progress during random kills, `--seed` fixes the times of those, and `--database` is
//! `sqlite`, `postgres` (at `TEST_DATABASE_URL`) or `both`. With `--stops 20` and PostgreSQL, one of two instances is
//! stopped and continued 20 times at random, and once at each point before a paid request. An import is killed ten times, too;
//! `--imported 500` is how many calls it has, and `--points '' --kills 0` leaves out the rest.

mod archive;
mod check;
mod database;
mod import;
mod pair;
mod program;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the integration tests use more of it")]
mod support;
mod trial;
mod upload;
mod webhook;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use callscribe::failpoint::CRASH_POINTS;
use callscribe::sandbox::twilio::Stage;
use callscribe::splitmix::SplitMix64;
use check::Outcome;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use world::{PHONE, World};

/// A point not reached within this time counts as unreachable.
const REACHED_WITHIN: Duration = Duration::from_secs(30);

/// Maximum time until something is done that orders transcripts. A kill may hit an order whose answer is then lost: the program
/// searches for it for a minute before it sends it again.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// Maximum number of worlds that start, kill or restart their program at the same time.
const BUSY: usize = 4;

/// Maximum number of worlds at the same time, including those that wait for the end of their calls.
const ALIVE: usize = 40;

/// The points at which an intent is committed and its request is not sent.
const INTENDED: [&str; 2] = ["C2", "C14"];

/// The points in corrections and checks of a transcript, in replacements, and in the vocabulary.
const CORRECTING: [&str; 11] = ["C26", "C27", "C28", "C29", "C30", "C31", "C32", "C33", "C34", "C38", "C39"];

/// A call in progress for this long no longer counts towards `--jobs`.
const STUCK: Duration = Duration::from_secs(3);

/// The command line options.
#[derive(Debug, Clone)]
struct Plan {
    rounds: u32,
    kills: u32,
    stops: u32,
    jobs: usize,
    seed: u64,
    imported: usize,
    points: Vec<String>,
    /// The address of a PostgreSQL server, or `None` for SQLite.
    databases: Vec<Option<String>>,
}

impl Plan {
    fn read() -> Result<Option<Self>, String> {
        let (mut rounds, mut kills, mut stops, mut jobs, mut seed, mut imported) = (1, 5, 0, None, 1, 100);
        let mut points: Vec<String> = CRASH_POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut database = "sqlite".to_owned();
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            // A test name filter of `cargo test`, which matches nothing here.
            if !name.starts_with('-') {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{name}: expected a value"))?;
            match name.as_str() {
                "--rounds" => rounds = number(&name, &value)?,
                "--kills" => kills = number(&name, &value)?,
                "--stops" => stops = number(&name, &value)?,
                "--jobs" => jobs = Some(number(&name, &value)?),
                "--seed" => seed = number(&name, &value)?,
                "--imported" => imported = number(&name, &value)?,
                "--points" => points = value.split(',').filter(|point| !point.is_empty()).map(str::to_owned).collect(),
                "--database" => database = value,
                _ => return Err(format!("{name}: unknown option")),
            }
        }
        let server = || {
            let url = std::env::var("TEST_DATABASE_URL");
            url.map_err(|_| "--database postgres needs TEST_DATABASE_URL".to_owned())
        };
        let databases = match database.as_str() {
            "sqlite" => vec![None],
            "postgres" => vec![Some(server()?)],
            "both" => vec![None, Some(server()?)],
            _ => return Err("--database: expected sqlite, postgres or both".to_owned()),
        };
        let jobs = jobs.unwrap_or(if kills > 100 { 50 } else { 10 });
        Ok(Some(Self { rounds, kills, stops, jobs, seed, imported, points, databases }))
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}: expected a number"))
}

/// The results under one name.
#[derive(Default)]
struct Found {
    rounds: u32,
    failed: u32,
    outcome: Outcome,
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match Plan::read() {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            println!("0 passed, 0 failed");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (alive, busy) = (Arc::new(Semaphore::new(ALIVE)), Arc::new(Semaphore::new(BUSY)));
    let mut worlds = JoinSet::new();
    for server in &plan.databases {
        let kind = if server.is_some() { "postgres" } else { "sqlite" };
        // Many kills are split between two worlds, which run concurrently.
        let shares = if plan.kills > 100 { 2 } else { u32::from(plan.kills > 0) };
        for share in 0..shares {
            let (plan, server) = (plan.clone(), server.clone());
            let kills = plan.kills / shares + u32::from(share < plan.kills % shares);
            let name = format!("{kind} random {}", share + 1);
            worlds.spawn(async move {
                let world = World::new(name.clone(), server.as_deref()).await;
                let seed = plan.seed + u64::from(share);
                (name, random(world, kills, plan.jobs / shares as usize, seed, plan.kills <= 100).await)
            });
        }
        if let Some(server) = server.clone().filter(|_| plan.stops > 0) {
            let (name, plan) = ("postgres two random".to_owned(), plan.clone());
            worlds.spawn(async move {
                let world = World::new(name.clone(), Some(&server)).await;
                (name, pair::random(world, plan.stops, plan.jobs, plan.seed).await)
            });
        }
        let (name, server_of_it, calls) = (format!("{kind} import"), server.clone(), plan.imported);
        worlds.spawn(async move {
            let world = World::new(name.clone(), server_of_it.as_deref()).await;
            (name, import::killed_ten_times(world, calls).await)
        });
        let (name, server_of_it, busy_of_it) = (format!("{kind} end each time"), server.clone(), Arc::clone(&busy));
        worlds.spawn(async move {
            let world = World::new(name.clone(), server_of_it.as_deref()).await;
            (name, ending_each_time(world, &busy_of_it).await)
        });
        for round in 0..plan.rounds {
            if let Some(server) = server.clone().filter(|_| plan.stops > 0) {
                for point in INTENDED {
                    let (server, alive) = (server.clone(), Arc::clone(&alive));
                    worlds.spawn(async move {
                        let _alive = alive.acquire().await;
                        let name = format!("postgres frozen {point} round {}", round + 1);
                        let world = World::new(name, Some(&server)).await;
                        (format!("postgres frozen {point}"), pair::frozen_at(world, point).await)
                    });
                }
            }
            for point in &plan.points {
                let (point, server) = (point.clone(), server.clone());
                let (alive, busy) = (Arc::clone(&alive), Arc::clone(&busy));
                worlds.spawn(async move {
                    let _alive = alive.acquire().await;
                    let world = World::new(format!("{kind} {point} round {}", round + 1), server.as_deref()).await;
                    let outcome = at_point(world, &point, round, &busy).await;
                    (format!("{kind} {point}"), outcome)
                });
            }
        }
    }
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    while let Some(ended) = worlds.join_next().await {
        let (name, outcome) = ended.unwrap_or_else(|broken| {
            let violations = vec![broken.to_string()];
            ("worlds".to_owned(), Outcome { violations, ..Outcome::default() })
        });
        for violation in &outcome.violations {
            println!("violation: {violation}");
        }
        let found = found.entry(name).or_default();
        found.rounds += 1;
        found.failed += u32::from(!outcome.violations.is_empty());
        found.outcome.add(outcome);
    }
    summarize(&plan, &found, began.elapsed())
}

fn summarize(plan: &Plan, found: &BTreeMap<String, Found>, took: Duration) -> ExitCode {
    let mut in_order: Vec<_> = found.iter().collect();
    in_order.sort_by_key(|(name, _)| {
        let (kind, rest) = name.split_once(' ').unwrap_or((name.as_str(), ""));
        (kind, rest.trim_start_matches('C').parse::<u32>().unwrap_or(u32::MAX), rest)
    });
    for (name, Found { rounds, failed, outcome: Outcome { calls, unplaced, recordings, .. } }) in in_order {
        println!(
            "{name}: {rounds} rounds, {failed} failed; {calls} calls, {unplaced} of them never placed; \
             {recordings} recordings transcribed"
        );
    }
    let (rounds, failed) = found.values().fold((0, 0), |(all, bad), one| (all + one.rounds, bad + one.failed));
    let violations: usize = found.values().map(|found| found.outcome.violations.len()).sum();
    println!(
        "{} points, {} rounds of each, {} kills and {} stops at random, {violations} violations, {:.1} minutes",
        plan.points.len(),
        plan.rounds,
        plan.kills as usize * plan.databases.len(),
        plan.stops as usize * plan.databases.iter().flatten().count(),
        took.as_secs_f64() / 60.0
    );
    println!("{} passed, {failed} failed", rounds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The kinds of calls.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Message,
    Conversation,
    /// The operator's only phone calls, so there is none to forward the call to, and it leaves a message.
    Inbound,
    /// The operator's phone takes it.
    Forwarded,
}

impl Kind {
    /// Two rounds of each kind in turn. Only dialed calls reach the first points, and only those with two legs the last ones.
    fn of_round(point: &str, round: u32) -> Self {
        let kinds: &[Self] = match point {
            "C1" | "C2" | "C3" | "C4" | "C5" => &[Self::Message, Self::Conversation],
            "C24" | "C25" => &[Self::Conversation, Self::Forwarded],
            _ => &[Self::Message, Self::Conversation, Self::Inbound, Self::Forwarded],
        };
        kinds[round as usize / 2 % kinds.len()]
    }
}

/// Kills the program once at this point. In every other round the vendors wait while the program is down, or the outage
/// seems long.
async fn at_point(mut world: World, point: &str, round: u32, busy: &Semaphore) -> Outcome {
    if matches!(point, "C19" | "C61") {
        return deleting(world, point, busy).await;
    }
    if trial::TRYING.contains(&point) {
        return trial::trying(world, point, busy).await;
    }
    if trial::STOPPING.contains(&point) {
        return trial::stopping(world, point, busy).await;
    }
    if import::IMPORTING.contains(&point) {
        return import::importing(world, point, round, busy).await;
    }
    if upload::SENDING.contains(&point) {
        return upload::sending(world, point, round, busy).await;
    }
    if webhook::DELIVERING.contains(&point) {
        return webhook::delivering(world, point, round, busy).await;
    }
    if CORRECTING.contains(&point) {
        return correcting(world, point, busy).await;
    }
    let turn = busy.acquire().await;
    let is_even = round.is_multiple_of(2);
    // No callee answers while the program is down, so that the call is recorded after the restart.
    let waits = is_even && matches!(point, "C1" | "C2" | "C3" | "C4" | "C5");
    // The database is aged as if the program had been down for minutes, past every deadline.
    let is_late = is_even && matches!(point, "C2" | "C14");
    // C14 is reached twice, because the first order is refused. The first two at C8 are the jobs that search for unreported
    // calls and for recordings that are not archived; then comes the call's, and then that of the transcript or the archive. The reports of a leg are: initiated, ringing, answered, and its
    // end.
    let times = match point {
        "C24" | "C25" => [":1", ":2", ":3", ":4"][round as usize / 4 % 4],
        "C8" if is_even => ":3",
        "C8" => ":4",
        "C14" if !is_even => ":2",
        _ => "",
    };
    if waits {
        world.twilio.hold(Stage::Ringing);
    }
    world.start(Some(format!("{point}:stop{times}"))).await;
    let (outside, twilio, kind) = (world.outside.clone(), world.twilio.clone(), Kind::of_round(point, round));
    let number = matches!(kind, Kind::Message).then(|| outside.number());
    let again = number.clone();
    let dialing = tokio::spawn(async move {
        match kind {
            Kind::Message => outside.dial_once(&number.unwrap_or_default()).await,
            Kind::Conversation => outside.talk().await,
            Kind::Inbound => outside.call_in(&twilio, Some(PHONE)),
            Kind::Forwarded => outside.call_in(&twilio, None),
        }
    });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    _ = dialing.await;
    world.check_file().await;
    if is_late && let Err(error) = world.database.age().await {
        world.violations.push(format!("I6: the database cannot be written to: {error}"));
    }
    world.start(None).await;
    world.twilio.release(Stage::Ringing);
    drop(turn);
    // The client got no answer, and sends the same again.
    if let Some(number) = again {
        world.outside.dial_once(&number).await;
    }
    let (name, twilio, assemblyai) = (world.name.clone(), world.twilio.clone(), world.assemblyai.clone());
    let mut outcome = world.check().await;
    for (requests, most) in [
        (twilio.control.request_count(Method::POST, "/Calls.json"), 1),
        (assemblyai.control.request_count(Method::POST, "/v2/upload"), 2),
    ] {
        if requests > most {
            outcome.violations.push(format!("{name}: F4: {requests} requests, expected at most {most}"));
        }
    }
    outcome
}

/// Kills the program when a deletion is committed and no vendor has been asked yet, or when the copies of the recordings are deleted.
async fn deleting(mut world: World, point: &str, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some(format!("{point}:stop"))).await;
    world.outside.dial().await;
    let calls = world.end().await;
    let id = calls.keys().next().cloned().unwrap_or_default();
    let outside = world.outside.clone();
    let deletion = tokio::spawn(async move { outside.delete(&id).await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    _ = deletion.await;
    let requests = world.twilio.control.request_count(Method::DELETE, "")
        + world.assemblyai.control.request_count(Method::DELETE, "");
    if requests > 0 && point == "C19" {
        world.violations.push(format!("the vendors received {requests} DELETE requests before the crash"));
    }
    world.check_file().await;
    world.start(None).await;
    drop(turn);
    world.check_deleted(&calls).await
}

/// Kills the program while it corrects or checks a transcript, also blindly, replaces a word in all of them, stores a term, or learns one.
/// Each is done once, and what was acknowledged is there after the next kill.
async fn correcting(mut world: World, point: &str, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some(format!("{point}:stop"))).await;
    world.outside.dial().await;
    let calls = world.end().await;
    let transcript = |calls: &BTreeMap<String, Value>| {
        calls.values().next().map(|call| call["transcripts"][0].clone()).unwrap_or_default()
    };
    let (before, outside) = (transcript(&calls), world.outside.clone());
    let (id, heard) = (before["id"].as_str().unwrap_or_default(), before["text"].as_str().unwrap_or_default());
    let (path, body, text, version) = match point {
        "C26" | "C27" => {
            let body = json!({"version": 0, "from": 0, "to": 0, "text": "Corrected"});
            (format!("/transcript/{id}/corrections"), body, format!("Corrected {heard}"), 1)
        }
        "C28" | "C29" => {
            let body = json!({"find": "call", "with": "call call", "filter": {}, "apply": true});
            ("/replace".to_owned(), body, heard.replace("call", "call call"), 1)
        }
        "C30" | "C31" => (format!("/transcript/{id}/checked"), json!({"checked": true}), heard.to_owned(), 0),
        "C32" | "C33" => ("/vocabulary".to_owned(), json!({"term": "Kowalczyk"}), heard.to_owned(), 0),
        "C38" | "C39" => {
            let path = format!("/transcript/{id}/blind-check");
            let offered = outside.json(&path).await.unwrap_or_default();
            let body = json!({"start": offered["start"], "end": offered["end"], "text": heard});
            (path, body, String::new(), 0)
        }
        _ => {
            let body = json!({"version": 0, "from": 0, "to": 1, "text": "Kowalczyk"});
            (format!("/transcript/{id}/corrections"), body, String::new(), 1)
        }
    };
    let expected = match point {
        "C32" | "C33" => json!({"term": "Kowalczyk", "state": "active", "corrections": 0}),
        "C34" => json!({"term": "Kowalczyk", "state": "proposed", "corrections": 1}),
        "C38" | "C39" => json!({"stretches": 1, "versions": 1}),
        _ => json!({"text": text, "version": version, "checked": version == 0}),
    };
    let (sent, again) = ((path.clone(), body.clone()), (path, body));
    let correcting = tokio::spawn(async move { outside.post(&sent.0, &sent.1).await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    _ = correcting.await;
    world.check_file().await;
    world.start(None).await;
    // The client got no answer, and sends the same again. The job that learns runs long after the answer.
    if point != "C34"
        && let Err(error) = world.outside.post(&again.0, &again.1).await
    {
        world.violations.push(format!("the same is refused: {}", error.without_url()));
    }
    let started = Instant::now();
    let is_corrected = async |world: &World| {
        let seen = if !expected["stretches"].is_null() {
            let typed = world.outside.json(&format!("/transcript/{id}/blind-check")).await.unwrap_or_default();
            let typed = typed["typed"].as_array().cloned().unwrap_or_default();
            json!({"stretches": typed.len(), "versions": typed.first().map_or(Value::Null, |one| one["versions"].clone())})
        } else if expected["term"].is_null() {
            let mut calls = BTreeMap::new();
            _ = world.outside.add_ended(&mut calls).await;
            transcript(&calls)
        } else {
            let listed = world.outside.json("/vocabulary").await.unwrap_or_default();
            let terms = listed["terms"].as_array().cloned().unwrap_or_default();
            if terms.len() == 1 { terms[0].clone() } else { listed }
        };
        let mut expected = expected.as_object().into_iter().flatten();
        (expected.all(|(name, value)| seen[name] == *value), seen)
    };
    // A job whose lease has to run out first does it.
    while !is_corrected(&world).await.0 && started.elapsed() < REACHED_WITHIN {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    world.kill();
    world.start(None).await;
    let (is_there, seen) = is_corrected(&world).await;
    if !is_there {
        world.violations.push(format!("expected {expected} once; there is {seen}"));
    }
    drop(turn);
    world.check().await
}

/// Kills the program each time it stores the same transcript, as if storing it were what ends the program.
async fn ending_each_time(mut world: World, busy: &Semaphore) -> Outcome {
    const ENDS: u32 = 8;
    let _turn = busy.acquire().await;
    let (mut kills, mut ended) = (0, BTreeMap::new());
    'starts: while kills <= ENDS {
        world.start(Some("C18:stop".to_owned())).await;
        if kills == 0 {
            world.outside.dial().await;
        }
        let started = Instant::now();
        while started.elapsed() < REACHED_WITHIN {
            let program = world.program.as_ref().expect("a running program");
            if program.stops_at("C18", Duration::from_millis(100)).await {
                kills += 1;
                world.kill();
                // The lease has run out, and the pause after it.
                if let Err(error) = world.database.age().await {
                    world.violations.push(format!("I6: the database cannot be written to: {error}"));
                }
                continue 'starts;
            }
            if kills > 0 && world.outside.add_ended(&mut ended).await.is_ok() && !ended.is_empty() {
                break 'starts;
            }
        }
        break;
    }
    let reason = ended.values().next().map(|call| call["transcripts"][0]["reason"].to_string()).unwrap_or_default();
    if kills != ENDS || !reason.contains("did not give the job back") {
        world.violations.push(format!("after {kills} ends of the program the transcript has the reason {reason:?}"));
    }
    world.kill();
    Outcome { violations: world.violations, ..Outcome::default() }
}

/// Kills the program again and again while calls are in progress.
async fn random(mut world: World, kills: u32, jobs: usize, seed: u64, is_late: bool) -> Outcome {
    let mut random = SplitMix64::new(seed);
    let dialing = tokio::spawn(keep_going(world.outside.clone(), jobs, SplitMix64::new(seed ^ 1)));
    for _ in 0..kills {
        world.spawn(None);
        // One in four may be killed before it listens.
        if random.below(4) > 0 {
            world.listens().await;
        }
        tokio::time::sleep(Duration::from_millis(20 + random.below(381))).await;
        world.kill();
    }
    dialing.abort();
    _ = dialing.await;
    world.check_file().await;
    if is_late && let Err(error) = world.database.age().await {
        world.violations.push(format!("I6: the database cannot be written to: {error}"));
    }
    world.start(None).await;
    world.check().await
}

/// Keeps this many calls in progress while the program is up.
async fn keep_going(outside: world::Outside, jobs: usize, mut random: SplitMix64) {
    let mut ended = HashSet::new();
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    let mut dialing = JoinSet::new();
    loop {
        while dialing.try_join_next().is_some() {}
        let Ok(ids) = outside.newest(&mut ended).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        for id in ids {
            since.entry(id).or_insert_with(Instant::now);
        }
        let in_progress = since.iter().filter(|(id, since)| !ended.contains(*id) && since.elapsed() < STUCK).count();
        for _ in (in_progress + dialing.len()).min(jobs)..jobs {
            let outside = outside.clone();
            // Dials are spread out, so that some happen just before the kill.
            let pause = Duration::from_millis(random.below(300));
            dialing.spawn(async move {
                tokio::time::sleep(pause).await;
                outside.dial().await;
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
