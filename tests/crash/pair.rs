//! Two instances on one database, behind a balancer. One of them is stopped (SIGSTOP) and continued, at a failpoint or at
//! random, as a computer that sleeps, or swaps, or is moved by its hypervisor. What the other has taken over meanwhile must
//! not happen twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use callscribe::splitmix::SplitMix64;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::check::Outcome;
use crate::program::Program;
use crate::world::{STARTS_WITHIN, World, port};
use crate::{REACHED_WITHIN, keep_going};

/// A stopped instance is continued at the latest after this time. The other one has given its call up by then, or
/// submitted its order again.
const FROZEN_FOR: Duration = Duration::from_secs(200);

/// Maximum time from SIGTERM until the second instance ends.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Forwards connections to the instances that are up, in turns. Connections to one that is stopped stay open.
struct Balancer {
    ports: [u16; 2],
    up: [AtomicBool; 2],
    turn: AtomicUsize,
}

impl Balancer {
    /// Puts a balancer in front of the world's program, and of a second instance to come.
    async fn before(world: &mut World) -> Arc<Self> {
        let entrance = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        world.outside.base = format!("http://{}", entrance.local_addr().expect("a bound listener"));
        let up = [AtomicBool::new(true), AtomicBool::new(false)];
        let balancer = Arc::new(Self { ports: [world.port, port()], up, turn: AtomicUsize::new(0) });
        tokio::spawn(Arc::clone(&balancer).forward(entrance));
        balancer
    }

    async fn forward(self: Arc<Self>, entrance: TcpListener) {
        while let Ok((mut from, _)) = entrance.accept().await {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let up = [turn % 2, (turn + 1) % 2].into_iter().find(|one| self.up[*one].load(Ordering::Relaxed));
            let Some(port) = up.map(|one| self.ports[one]) else { continue };
            tokio::spawn(async move {
                if let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await {
                    _ = copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    }

    fn set(&self, one: usize, is_up: bool) {
        self.up[one].store(is_up, Ordering::Relaxed);
    }
}

/// Starts the second instance.
async fn second(world: &mut World, balancer: &Balancer) -> Program {
    let second = world.instance(balancer.ports[1], None);
    if !second.listens(STARTS_WITHIN).await {
        world.violations.push("the second instance does not start".to_owned());
    }
    balancer.set(1, true);
    second
}

/// Ends the second instance, and checks the world with the first.
async fn check(mut world: World, balancer: &Balancer, second: Program) -> Outcome {
    balancer.set(1, false);
    let (status, log) = second.terminate(STOPS_WITHIN).await;
    world.log.extend(log);
    if status.and_then(|status| status.code()) != Some(0) {
        world.violations.push(format!("the second instance did not exit with code 0: {status:?}"));
    }
    world.check().await
}

/// Stops the first instance when an intent is committed and nothing has been sent. It goes on once the second has dealt
/// with the intent.
pub(crate) async fn frozen_at(mut world: World, point: &str) -> Outcome {
    let balancer = Balancer::before(&mut world).await;
    world.start(Some(format!("{point}:freeze"))).await;
    let outside = world.outside.clone();
    let dialing = tokio::spawn(async move { outside.dial().await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    balancer.set(0, false);
    let second = second(&mut world, &balancer).await;
    let dealt_with = async {
        loop {
            let calls = world.outside.json("/calls").await.unwrap_or_default();
            if calls["calls"][0]["state"] == "lost" || calls["calls"][0]["progress"] == "done" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    if tokio::time::timeout(FROZEN_FOR, dealt_with).await.is_err() {
        world.violations.push("I4: the second instance does not go on with the work of the first".to_owned());
    }
    world.program.as_ref().expect("a running program").signal("CONT");
    balancer.set(0, true);
    _ = dialing.await;
    check(world, &balancer, second).await
}

/// Stops one of the instances again and again while calls are in progress: mostly for moments, sometimes for longer than
/// a lease, sometimes for longer than an order is searched for.
pub(crate) async fn random(mut world: World, stops: u32, jobs: usize, seed: u64) -> Outcome {
    let mut random = SplitMix64::new(seed);
    let balancer = Balancer::before(&mut world).await;
    world.start(None).await;
    let second = second(&mut world, &balancer).await;
    let dialing = tokio::spawn(keep_going(world.outside.clone(), jobs, SplitMix64::new(seed ^ 1)));
    for _ in 0..stops {
        tokio::time::sleep(Duration::from_millis(20 + random.below(381))).await;
        let one = random.below(2) as usize;
        let stopped = if one == 0 { world.program.as_ref().expect("a running program") } else { &second };
        stopped.signal("STOP");
        balancer.set(one, false);
        let millis = match random.below(8) {
            0 => 63_000 + random.below(5_000),
            1 | 2 => 4_000 + random.below(8_000),
            _ => 50 + random.below(2_000),
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        stopped.signal("CONT");
        balancer.set(one, true);
        world.note_deliveries();
    }
    dialing.abort();
    _ = dialing.await;
    check(world, &balancer, second).await
}
