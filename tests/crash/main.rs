//! The program dies, at every place where that hurts and at any time, and is started again: nothing is done twice, and
//! nothing that was taken in is lost. Both vendors live in this process, the program is a process of its own that is
//! killed without a word.
//!
//! `cargo test --features failpoints --test crash -- --rounds 20 --kills 500`: so many deaths at each point of
//! [`callscribe::failpoint`], and so many at random. `--points C3,C4` names some points alone, `--jobs` is how many calls
//! are kept going at random, `--seed` repeats when they die, `--database` is `sqlite`, `postgres` (at
//! `TEST_DATABASE_URL`) or `both`.

mod check;
mod database;
mod program;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "what the facts need beyond this")]
mod support;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use callscribe::failpoint::CRASH_POINTS;
use callscribe::sandbox::splitmix::SplitMix64;
use callscribe::sandbox::twilio::Stage;
use check::Outcome;
use reqwest::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use world::World;

/// A point that is not reached by then is never reached.
const REACHED_WITHIN: Duration = Duration::from_secs(30);

/// Worlds in which something is going on.
const BUSY: usize = 4;

/// Worlds in which the end is waited for as well.
const ALIVE: usize = 40;

/// A call that has been going on for this long waits for something; another one may take its place.
const STUCK: Duration = Duration::from_secs(3);

/// What was asked for.
#[derive(Debug, Clone)]
struct Plan {
    rounds: u32,
    kills: u32,
    jobs: usize,
    seed: u64,
    points: Vec<String>,
    /// None for SQLite.
    databases: Vec<Option<String>>,
}

impl Plan {
    fn read() -> Result<Option<Self>, String> {
        let (mut rounds, mut kills, mut jobs, mut seed) = (1, 5, None, 1);
        let mut points: Vec<String> = CRASH_POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut database = "sqlite".to_owned();
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            // Names of tests, of which there is none here.
            if !name.starts_with('-') {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{name}: expected a value"))?;
            match name.as_str() {
                "--rounds" => rounds = number(&name, &value)?,
                "--kills" => kills = number(&name, &value)?,
                "--jobs" => jobs = Some(number(&name, &value)?),
                "--seed" => seed = number(&name, &value)?,
                "--points" => points = value.split(',').filter(|point| !point.is_empty()).map(str::to_owned).collect(),
                "--database" => database = value,
                _ => return Err(format!("{name}: no such option")),
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
        Ok(Some(Self { rounds, kills, jobs, seed, points, databases }))
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}: expected a number"))
}

/// What was found under one name.
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
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (alive, busy) = (Arc::new(Semaphore::new(ALIVE)), Arc::new(Semaphore::new(BUSY)));
    let mut worlds = JoinSet::new();
    for server in &plan.databases {
        let kind = if server.is_some() { "postgres" } else { "sqlite" };
        // Many deaths are shared out to two worlds, which die at the same time.
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
        for round in 0..plan.rounds {
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
        "{} points, {} rounds of each, {} kills at random, {violations} violations, {:.1} minutes",
        plan.points.len(),
        plan.rounds,
        plan.kills as usize * plan.databases.len(),
        took.as_secs_f64() / 60.0
    );
    println!("{} passed, {failed} failed", rounds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Dies once at this point. Every other round is one in which time matters: the vendors wait while the program is not
/// there, or the outage lasts long.
async fn at_point(mut world: World, point: &str, round: u32, busy: &Semaphore) -> Outcome {
    if point == "C19" {
        return deleting(world, busy).await;
    }
    let turn = busy.acquire().await;
    let is_even = round.is_multiple_of(2);
    // Nobody answers while the program is down: there is a recording then, whatever happened.
    let waits = is_even && matches!(point, "C1" | "C2" | "C3" | "C4" | "C5");
    // As if it had been down for minutes: nothing is waited for any more.
    let is_late = is_even && matches!(point, "C2" | "C14");
    // Two jobs are claimed: the call's and the transcript's.
    let is_second = !is_even && point == "C8";
    if waits {
        world.twilio.hold(Stage::Ringing);
    }
    world.start(Some(format!("{point}:stop{}", if is_second { ":2" } else { "" }))).await;
    let outside = world.outside.clone();
    let dialling = tokio::spawn(async move { outside.dial().await });
    if !world.program.as_ref().expect("it runs").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    _ = dialling.await;
    world.check_file().await;
    if is_late && let Err(error) = world.database.age().await {
        world.violations.push(format!("I6: the database cannot be written to: {error}"));
    }
    world.start(None).await;
    world.twilio.release(Stage::Ringing);
    drop(turn);
    let (name, twilio, assemblyai) = (world.name.clone(), world.twilio.clone(), world.assemblyai.clone());
    let mut outcome = world.check().await;
    for (asked, most) in [
        (twilio.control.request_count(Method::POST, "/Calls.json"), 1),
        (assemblyai.control.request_count(Method::POST, "/v2/upload"), 2),
    ] {
        if asked > most {
            outcome.violations.push(format!("{name}: F4: asked {asked} times, {most} at most"));
        }
    }
    outcome
}

/// Dies when a call is to be deleted and no vendor knows.
async fn deleting(mut world: World, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some("C19:stop".to_owned())).await;
    world.outside.dial().await;
    let calls = world.end().await;
    let id = calls.keys().next().cloned().unwrap_or_default();
    let outside = world.outside.clone();
    let asking = tokio::spawn(async move { outside.delete(&id).await });
    if !world.program.as_ref().expect("it runs").stops_at("C19", REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    _ = asking.await;
    let asked = world.twilio.control.request_count(Method::DELETE, "")
        + world.assemblyai.control.request_count(Method::DELETE, "");
    if asked > 0 {
        world.violations.push(format!("the vendors were asked to delete {asked} times"));
    }
    world.check_file().await;
    world.start(None).await;
    drop(turn);
    world.check_deleted(&calls).await
}

/// Dies again and again while calls are kept going.
async fn random(mut world: World, kills: u32, jobs: usize, seed: u64, is_late: bool) -> Outcome {
    let mut random = SplitMix64::new(seed);
    let dialling = tokio::spawn(keep_going(world.outside.clone(), jobs, SplitMix64::new(seed ^ 1)));
    for _ in 0..kills {
        world.spawn(None);
        // One in four may die before it has come up.
        if random.below(4) > 0 {
            world.listens().await;
        }
        tokio::time::sleep(Duration::from_millis(20 + random.below(381))).await;
        world.kill();
    }
    dialling.abort();
    _ = dialling.await;
    world.check_file().await;
    if is_late && let Err(error) = world.database.age().await {
        world.violations.push(format!("I6: the database cannot be written to: {error}"));
    }
    world.start(None).await;
    world.check().await
}

/// Keeps so many calls going, as far as the program is there.
async fn keep_going(outside: world::Outside, jobs: usize, mut random: SplitMix64) {
    let mut ended = HashSet::new();
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    let mut dialling = JoinSet::new();
    loop {
        while dialling.try_join_next().is_some() {}
        let Ok(ids) = outside.newest(&mut ended).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        for id in ids {
            since.entry(id).or_insert_with(Instant::now);
        }
        let going = since.iter().filter(|(id, since)| !ended.contains(*id) && since.elapsed() < STUCK).count();
        for _ in (going + dialling.len()).min(jobs)..jobs {
            let outside = outside.clone();
            // Not all at once: some are placed just before the program dies.
            let later = Duration::from_millis(random.below(300));
            dialling.spawn(async move {
                tokio::time::sleep(later).await;
                outside.dial().await;
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
