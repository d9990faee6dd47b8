//! Callbacks of finished recordings, as Twilio sends them: how many are taken in, how fast, and whether each that was
//! acknowledged is in the store.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use sqlx::{Connection as _, SqliteConnection};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::{Connection, Times, recording_finished};
use crate::process::Process;

/// Connections of the loads that measure speed.
pub(crate) const CONNECTIONS: usize = 32;

/// The program with vendors that answer nobody, so that nothing but what comes in is measured.
pub(crate) async fn lonely() -> (Process, TcpListener) {
    let nobody = listen().await;
    let url = format!("http://{}", nobody.local_addr().expect("a bound listener"));
    (Process::program(None, &[("TWILIO_API_URL", &url), ("ASSEMBLYAI_API_URL", &url)]), nobody)
}

/// What a load of callbacks came to.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) times: Times,
    pub(crate) seconds: f64,
    /// The recordings whose callbacks were answered with 2xx.
    pub(crate) taken: Vec<String>,
    pub(crate) others: u64,
}

impl Told {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }
}

/// Tells of ever new recordings over kept connections, until it is over or the server is gone.
pub(crate) async fn tell(
    address: SocketAddr,
    until: Instant,
    numbers: &Arc<AtomicU64>,
    is_over: &Arc<AtomicBool>,
) -> Told {
    let (begun, mut clients) = (Instant::now(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let (numbers, is_over) = (Arc::clone(numbers), Arc::clone(is_over));
        clients.spawn(async move {
            let (mut times, mut taken, mut others) = (Times::default(), Vec::new(), 0);
            let Ok(mut connection) = Connection::open(address).await else { return (times, taken, others) };
            while Instant::now() < until && !is_over.load(Ordering::Relaxed) {
                let (sid, request) = recording_finished(numbers.fetch_add(1, Ordering::Relaxed));
                let asked = Instant::now();
                match connection.ask(&request).await {
                    Ok(answer) if answer.status == 204 => {
                        times.since(asked);
                        taken.push(sid);
                    }
                    Ok(_) => others += 1,
                    Err(_) => break,
                }
            }
            (times, taken, others)
        });
    }
    let mut told = Told::default();
    while let Some(client) = clients.join_next().await {
        let (times, taken, others) = client.expect("a client that does not panic");
        told.times.extend(times);
        told.taken.extend(taken);
        told.others += others;
    }
    told.seconds = begun.elapsed().as_secs_f64();
    told
}

/// How many of these the store at this URL does not have.
pub(crate) async fn lost(database: &str, taken: &[String]) -> usize {
    let mut store = SqliteConnection::connect(database).await.expect("the program's store");
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT sid FROM recordings").fetch_all(&mut store).await.expect("recordings");
    let stored: HashSet<String> = stored.into_iter().collect();
    taken.iter().filter(|sid| !stored.contains(*sid)).count()
}

/// A free port of this computer.
pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
