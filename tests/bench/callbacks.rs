//! Twilio's callbacks for completed recordings: how many are acknowledged, how fast, and whether each acknowledged one is in
//! the store.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::{Connection, Times, numbered_recording_callback};
use crate::process::Process;

/// Number of connections that send callbacks.
pub(crate) const CONNECTIONS: usize = 32;

/// Starts the program with vendors that never answer, so that only inbound requests are measured. The listener stands for
/// the vendors and must be kept.
pub(crate) async fn isolated() -> (Process, TcpListener) {
    let silent = listen().await;
    let url = format!("http://{}", silent.local_addr().expect("a bound listener"));
    (Process::program(None, &[("TWILIO_API_URL", &url), ("ASSEMBLYAI_API_URL", &url)]), silent)
}

/// The result of a load of callbacks.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) times: Times,
    pub(crate) seconds: f64,
    /// SIDs of the recordings whose callbacks were answered with 204.
    pub(crate) acknowledged: Vec<String>,
    /// Number of other responses.
    pub(crate) others: u64,
}

impl Load {
    /// Acknowledged callbacks per second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }
}

/// Sends callbacks for new recordings over kept connections, until the time is up or the server is gone.
pub(crate) async fn send_callbacks(
    address: SocketAddr,
    until: Instant,
    numbers: &Arc<AtomicU64>,
    is_over: &Arc<AtomicBool>,
) -> Load {
    let (begun, mut clients) = (Instant::now(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let (numbers, is_over) = (Arc::clone(numbers), Arc::clone(is_over));
        clients.spawn(async move {
            let (mut times, mut acknowledged, mut others) = (Times::default(), Vec::new(), 0);
            let Ok(mut connection) = Connection::open(address).await else { return (times, acknowledged, others) };
            while Instant::now() < until && !is_over.load(Ordering::Relaxed) {
                let (sid, request) = numbered_recording_callback(numbers.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                match connection.exchange(&request).await {
                    Ok(answer) if answer.status == 204 => {
                        times.since(sent);
                        acknowledged.push(sid);
                    }
                    Ok(_) => others += 1,
                    Err(_) => break,
                }
            }
            (times, acknowledged, others)
        });
    }
    let mut load = Load::default();
    while let Some(client) = clients.join_next().await {
        let (times, acknowledged, others) = client.expect("a client that does not panic");
        load.times.extend(times);
        load.acknowledged.extend(acknowledged);
        load.others += others;
    }
    load.seconds = begun.elapsed().as_secs_f64();
    load
}

/// Opens the program's store at this URL.
pub(crate) fn open(database: &str) -> rusqlite::Connection {
    rusqlite::Connection::open(database.trim_start_matches("sqlite://")).expect("the program's store")
}

/// Returns how many of these recordings are missing from the store at this URL.
pub(crate) fn lost(database: &str, acknowledged: &[String]) -> usize {
    let store = open(database);
    let mut sids = store.prepare("SELECT sid FROM recordings").expect("a table");
    let stored = sids.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    let stored: HashSet<String> = stored.expect("recordings");
    acknowledged.iter().filter(|sid| !stored.contains(*sid)).count()
}

/// A listener on a free port.
pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
