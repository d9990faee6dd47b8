//! How fast webhooks are delivered, beside bare POSTs to the same receiver, each followed by a commit.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::process::Process;
use crate::{commit, http, yardstick_file};

/// POSTs at the same time, as the program sends them.
const AT_ONCE: usize = 16;

/// A receiver that answers at once.
struct Receiver {
    url: String,
    /// How many webhooks have arrived, and when the first of them did.
    arrived: watch::Receiver<(usize, Option<Instant>)>,
}

type Arrived = Arc<watch::Sender<(usize, Option<Instant>)>>;

impl Receiver {
    async fn start() -> Self {
        let (sender, arrived) = watch::channel((0, None));
        let router = Router::new().fallback(receive).with_state(Arc::new(sender));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("a bound listener"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, arrived }
    }

    /// Waits until this many webhooks have arrived. Returns how many came in a second.
    async fn rate(mut self, count: usize) -> f64 {
        let arrived = self.arrived.wait_for(|(arrived, _)| *arrived >= count).await.expect("a receiver");
        count as f64 / arrived.1.expect("the first").elapsed().as_secs_f64()
    }
}

async fn receive(State(arrived): State<Arrived>, _body: String) -> StatusCode {
    arrived.send_modify(|(count, first)| {
        *count += 1;
        first.get_or_insert_with(Instant::now);
    });
    StatusCode::NO_CONTENT
}

/// Returns deliveries in a second by the program, which finds this many in its store when it starts.
pub(crate) async fn delivered(count: usize) -> f64 {
    let receiver = Receiver::start().await;
    let listed = format!("{}=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", receiver.url);
    let settings = [("WEBHOOKS", &*listed), ("WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")];
    let folder = Process::program(None, &settings).kill();
    let file = folder.path().join("callscribe.db");
    let waiting = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
                   INSERT INTO deliveries (id, receiver, item, event, call_id, call_sid, call_kind, recording_sid,
                   transcript_id, outcome, version, is_checked, happened_at, state, attempts, due_at)
                   SELECT printf('msg_%032x_1', n), 1, printf('%032x', n), 'transcript.completed', printf('%032x', n),
                   printf('CA%032x', n), 'message', printf('RE%032x', n), printf('%032x', n), 'completed', 0, 0, 1, 'waiting', 0, 1
                   FROM numbers";
    let opened = rusqlite::Connection::open(&file).expect("the program's file");
    assert_eq!(opened.execute(waiting, [count as i64]).expect("deliveries"), count);
    drop(opened);
    let database = format!("sqlite://{}", file.display());
    let _program = Process::program(None, &[&settings[..], &[("DATABASE_URL", &database)]].concat());
    receiver.rate(count).await
}

/// Returns bare POSTs in a second, each followed by a commit of one row if it `commits`.
pub(crate) async fn posted(count: usize, folder: &Path, commits: bool) -> f64 {
    let receiver = Receiver::start().await;
    let file = Arc::new(Mutex::new(yardstick_file(folder)));
    let client = http::client();
    let tasks = (0..AT_ONCE).map(|task| {
        let (file, client, url) = (Arc::clone(&file), client.clone(), receiver.url.clone());
        tokio::spawn(async move {
            for number in (task..count).step_by(AT_ONCE) {
                let sent = client.post(&url).body("x".repeat(400)).send().await.expect("an answer");
                assert_eq!(sent.status(), 204);
                if commits {
                    commit(&file.lock().unwrap_or_else(PoisonError::into_inner), number as u64);
                }
            }
        })
    });
    let begun = Instant::now();
    join_all(tasks).await.into_iter().for_each(|task| task.expect("a task"));
    count as f64 / begun.elapsed().as_secs_f64()
}
