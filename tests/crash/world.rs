//! A program between its vendors, which live on while it dies: started, called, killed and started again at the same
//! address with the same store.

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::{assemblyai, twilio};
use serde_json::Value;
use tokio::time::Instant;

use crate::database::Database;
use crate::program::Program;
use crate::support::command::Folder;
use crate::support::{client, listen, variables};

/// A program that does not listen by then is broken.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Everything must have come to its end so long after the last crash.
const ENDS_WITHIN: Duration = Duration::from_secs(150);

/// A recording that is not listed a minute after the call's end never comes. A start looks at everything: one more at
/// these times after the last crash need not wait for the next look.
const STARTED_AGAIN: [Duration; 2] = [Duration::from_secs(62), Duration::from_secs(125)];

/// A crash world.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) twilio: twilio::Twilio,
    pub(crate) assemblyai: assemblyai::AssemblyAi,
    pub(crate) folder: Folder,
    pub(crate) database: Database,
    pub(crate) outside: Outside,
    /// Never two at once.
    pub(crate) program: Option<Program>,
    /// What all its processes wrote to standard error.
    pub(crate) log: Vec<String>,
    /// What Twilio was told had been taken in: the call, and the recording with its state if it was about one.
    pub(crate) taken_in: HashSet<(String, Option<(String, String)>)>,
    pub(crate) violations: Vec<String>,
    port: u16,
}

/// Who calls the program, from outside.
#[derive(Clone)]
pub(crate) struct Outside {
    base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) numbers: Arc<Mutex<Vec<String>>>,
    /// The SIDs that answers to `/dial` showed.
    pub(crate) shown: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// With a SQLite file, or a schema of this PostgreSQL. Nothing is started yet.
    pub(crate) async fn new(name: String, server: Option<&str>) -> Self {
        let twilio = twilio::Twilio::start(listen().await, Pace::instant());
        twilio.mark_recordings();
        let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
        let folder = Folder::new();
        let database = Database::new(folder.path(), server);
        let port = port();
        let base = format!("http://127.0.0.1:{port}");
        let outside = Outside { base, http: client(), numbers: Arc::default(), shown: Arc::default() };
        let (log, taken_in, violations) = Default::default();
        Self { name, twilio, assemblyai, folder, database, outside, program: None, log, taken_in, violations, port }
    }

    /// Starts the program, to stop at `fail` if that is named.
    pub(crate) fn spawn(&mut self, fail: Option<String>) {
        assert!(self.program.is_none(), "the one before was killed");
        let mut environment = variables(&self.outside.base, self.twilio.url(), self.assemblyai.url());
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("BIND_ADDR", format!("127.0.0.1:{}", self.port));
        set("DATABASE_URL", self.database.url());
        set("RUST_LOG", "info,callscribe=trace".to_owned());
        if let Some(fail) = fail {
            set("FAIL", fail);
        }
        self.program = Some(Program::start(self.folder.path(), &environment));
    }

    /// Starts the program and waits until it listens.
    pub(crate) async fn start(&mut self, fail: Option<String>) {
        self.spawn(fail);
        self.listens().await;
    }

    /// Waits until the program listens.
    pub(crate) async fn listens(&mut self) {
        if !self.program.as_ref().expect("it was started").listens(STARTS_WITHIN).await {
            self.violations.push("the program does not start".to_owned());
        }
    }

    /// Kills the program.
    pub(crate) fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            self.log.extend(program.kill());
        }
        self.note_deliveries();
    }

    /// Remembers what was taken in: Twilio forgets.
    pub(crate) fn note_deliveries(&mut self) {
        for delivery in self.twilio.deliveries() {
            let param = |wanted: &str| {
                let found = delivery.params.iter().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.clone())
            };
            let is_taken_in = delivery.status.is_some_and(|status| (200..300).contains(&status));
            if let Some(call) = param("CallSid").filter(|_| is_taken_in) {
                self.taken_in.insert((call, param("RecordingSid").zip(param("RecordingStatus"))));
            }
        }
    }

    /// Waits until both vendors have nothing more to say and every call that anybody knows of has come to its end.
    /// Gives all calls as they are shown.
    pub(crate) async fn end(&mut self) -> BTreeMap<String, Value> {
        let crashed = Instant::now();
        let vendors = async {
            self.twilio.settled().await;
            self.assemblyai.settled().await;
        };
        if tokio::time::timeout(ENDS_WITHIN, vendors).await.is_err() {
            self.violations.push("I4: the vendors still have something to say".to_owned());
        }
        let mut starts = STARTED_AGAIN.iter().peekable();
        let mut ended = BTreeMap::new();
        loop {
            let left = match self.outside.look(&mut ended).await {
                Ok(left) => left,
                Err(error) => vec![format!("the calls cannot be seen: {}", error.without_url())],
            };
            if left.is_empty() {
                break;
            }
            if crashed.elapsed() > ENDS_WITHIN {
                self.violations.extend(left.into_iter().map(|left| format!("I4: {left}")));
                break;
            }
            if starts.next_if(|time| crashed.elapsed() > **time).is_some() {
                self.kill();
                self.start(None).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.note_deliveries();
        // As they are now: what has come to its end stays there.
        let mut all = BTreeMap::new();
        match self.outside.look(&mut all).await {
            Ok(left) => self.violations.extend(left.into_iter().map(|left| format!("I4: after its end: {left}"))),
            Err(error) => self.violations.push(format!("the calls cannot be seen: {}", error.without_url())),
        }
        all
    }
}

impl Outside {
    /// Dials a number that nobody has dialled, and remembers the SID that the answer shows, if one comes.
    pub(crate) async fn dial(&self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = format!("1415{:07}", 2_000_000 + COUNT.fetch_add(1, Ordering::Relaxed));
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number.clone());
        let request = self.http.get(format!("{}/dial/{number}", self.base)).timeout(Duration::from_secs(30));
        let Ok(answer) = request.send().await else { return };
        if answer.status() == 200
            && let Ok(text) = answer.text().await
        {
            let sid = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(sid);
        }
    }

    /// Has a call deleted, if there is anybody to answer.
    pub(crate) async fn delete(&self, id: &str) {
        let request = self.http.post(format!("{}/calls/{id}/delete", self.base)).timeout(Duration::from_secs(30));
        _ = request.send().await;
    }

    /// Adds the calls that have come to their end, by our id, and says which have not.
    pub(crate) async fn look(&self, ended: &mut BTreeMap<String, Value>) -> Result<Vec<String>, reqwest::Error> {
        let (mut page, mut left) = ("/calls".to_owned(), Vec::new());
        loop {
            let list = self.json(&page).await?;
            for listed in list["calls"].as_array().into_iter().flatten() {
                let id = listed["id"].as_str().unwrap_or_default();
                if ended.contains_key(id) {
                    continue;
                }
                let call = self.json(&format!("/calls/{id}")).await?;
                if is_over(&call) {
                    ended.insert(id.to_owned(), call);
                } else {
                    let transcripts: Vec<_> = call["transcripts"].as_array().into_iter().flatten().collect();
                    left.push(format!("call {id} ({}) is {}, {transcripts:?}", call["state"], call["progress"]));
                }
            }
            match list["next"].as_str() {
                Some(next) => page = next.to_owned(),
                None => return Ok(left),
            }
        }
    }

    /// Our ids of the newest calls, and which of them are over.
    pub(crate) async fn newest(&self, ended: &mut HashSet<String>) -> Result<Vec<String>, reqwest::Error> {
        let list = self.json("/calls").await?;
        let mut ids = Vec::new();
        for listed in list["calls"].as_array().into_iter().flatten() {
            let id = listed["id"].as_str().unwrap_or_default().to_owned();
            if !ended.contains(&id) && is_over(&self.json(&format!("/calls/{id}")).await?) {
                ended.insert(id.clone());
            }
            ids.push(id);
        }
        Ok(ids)
    }

    async fn json(&self, path: &str) -> Result<Value, reqwest::Error> {
        let request = self.http.get(format!("{}{path}", self.base)).timeout(Duration::from_secs(10));
        request.send().await?.error_for_status()?.json().await
    }
}

fn is_over(call: &Value) -> bool {
    call["state"] == "lost" || ["done", "failed", "not-recorded"].iter().any(|word| call["progress"] == *word)
}

/// A port below those that outgoing connections take, so that it is still free when the program is started again.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    let port = || Some(first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::from_fn(port).find(is_free).expect("a free port")
}
