//! A program between its vendors, which keep running while it is killed and restarted at the same address with the same
//! store.

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::{assemblyai, twilio};
use serde_json::Value;
use tokio::time::Instant;

use crate::archive;
use crate::database::Database;
use crate::program::Program;
use crate::support::command::Folder;
use crate::support::{client, listen, variables};

/// The operator token. Behind a balancer, the program cannot tell local requests from others.
pub(crate) const TOKEN: &str = "a-token-for-the-crash-test";

/// The operator's phone, at which somebody presses the key.
pub(crate) const PHONE: &str = "+14155550100";

/// The only speech model of the settings. AssemblyAI refuses it, so that each order is submitted twice.
const RETIRED_MODEL: &str = "universal-3-5-pro";

/// Maximum time from the start of the program until it listens.
pub(crate) const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Maximum time from the last crash until all calls have ended. A call that was never placed is lost after 150 seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(200);

/// Restarts after the last crash. A restarted program polls at once, so the test need not wait for the next scheduled
/// poll. The first is later than the minute within which a recording must appear in Twilio's list.
const RESTARTED_AFTER: [Duration; 2] = [Duration::from_secs(62), Duration::from_secs(155)];

pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) twilio: twilio::Twilio,
    pub(crate) assemblyai: assemblyai::AssemblyAi,
    pub(crate) folder: Folder,
    pub(crate) database: Database,
    pub(crate) outside: Outside,
    pub(crate) program: Option<Program>,
    /// Lines that all its processes wrote to standard error.
    pub(crate) log: Vec<String>,
    /// Acknowledged callbacks: the call SID, and for a recording its SID and state.
    pub(crate) acknowledged: HashSet<(String, Option<(String, String)>)>,
    pub(crate) violations: Vec<String>,
    /// How many transcripts of each recording trials have made.
    pub(crate) tried: BTreeMap<String, u64>,
    pub(crate) port: u16,
}

/// The program's clients.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) numbers: Arc<Mutex<Vec<String>>>,
    /// Call SIDs in responses to `/dial`.
    pub(crate) shown: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// Creates a world with a SQLite file, or a schema of this PostgreSQL server. Does not start the program.
    pub(crate) async fn new(name: String, server: Option<&str>) -> Self {
        let twilio = twilio::Twilio::start(listen().await, Pace::instant());
        twilio.mark_recordings();
        let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
        assemblyai.retire_model(RETIRED_MODEL);
        let folder = Folder::new();
        let database = Database::new(folder.path(), server);
        let port = port();
        let base = format!("http://127.0.0.1:{port}");
        let outside = Outside { base, http: client(), numbers: Arc::default(), shown: Arc::default() };
        let (log, acknowledged, violations) = Default::default();
        Self {
            name,
            twilio,
            assemblyai,
            folder,
            database,
            outside,
            program: None,
            log,
            acknowledged,
            violations,
            tried: BTreeMap::new(),
            port,
        }
    }

    /// Starts the program, with `fail` as its failpoint setting.
    pub(crate) fn spawn(&mut self, fail: Option<String>) {
        assert!(self.program.is_none(), "the previous program still runs");
        self.program = Some(self.instance(self.port, fail));
    }

    /// Starts an instance at this port.
    pub(crate) fn instance(&self, port: u16, fail: Option<String>) -> Program {
        let mut environment = variables(&self.outside.base, self.twilio.url(), self.assemblyai.url());
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("BIND_ADDR", format!("127.0.0.1:{port}"));
        set("DATABASE_URL", self.database.url());
        set("OPERATOR_TOKEN", TOKEN.to_owned());
        set("OPERATOR_PHONES", PHONE.to_owned());
        set("INBOUND", "forward".to_owned());
        set("ASSEMBLYAI_SPEECH_MODELS", RETIRED_MODEL.to_owned());
        set("ARCHIVE_URL", format!("file://{}", self.folder.path().join(archive::FOLDER).display()));
        set("WEBHOOKS_TO_PRIVATE_ADDRESSES", "true".to_owned());
        set("RUST_LOG", "info,callscribe=trace".to_owned());
        if let Some(fail) = fail {
            set("FAIL", fail);
        }
        Program::start(self.folder.path(), &environment)
    }

    /// Starts the program and waits until it listens.
    pub(crate) async fn start(&mut self, fail: Option<String>) {
        self.spawn(fail);
        self.listens().await;
    }

    /// Waits until the program listens.
    pub(crate) async fn listens(&mut self) {
        if !self.program.as_ref().expect("a started program").listens(STARTS_WITHIN).await {
            self.violations.push("the program does not start".to_owned());
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            self.log.extend(program.kill());
        }
        self.note_deliveries();
    }

    /// Records acknowledged callbacks. The sandbox keeps only its latest deliveries.
    pub(crate) fn note_deliveries(&mut self) {
        for delivery in self.twilio.deliveries() {
            let param = |name: &str| {
                let found = delivery.params.iter().find(|(other, _)| other == name);
                found.map(|(_, value)| value.clone())
            };
            let is_acknowledged = delivery.status.is_some_and(|status| (200..300).contains(&status));
            if let Some(call) = param("CallSid").filter(|_| is_acknowledged) {
                self.acknowledged.insert((call, param("RecordingSid").zip(param("RecordingStatus"))));
            }
        }
    }

    /// Waits until both vendors have delivered all their callbacks and all known calls have ended. Returns the program's
    /// JSON of all calls, by call id.
    pub(crate) async fn end(&mut self) -> BTreeMap<String, Value> {
        let crashed = Instant::now();
        let vendors = async {
            self.twilio.settled().await;
            self.assemblyai.settled().await;
        };
        if tokio::time::timeout(ENDS_WITHIN, vendors).await.is_err() {
            self.violations.push("I4: the vendors still have callbacks to deliver".to_owned());
        }
        let mut restarts = RESTARTED_AFTER.iter().peekable();
        let mut ended = BTreeMap::new();
        loop {
            let open = match self.outside.add_ended(&mut ended).await {
                Ok(open) => open,
                Err(error) => vec![format!("the calls cannot be listed: {}", error.without_url())],
            };
            // A call that came in while its report could not be stored is found by the search that the restart begins.
            if open.is_empty() && self.unstored(&ended).await.is_empty() {
                break;
            }
            if crashed.elapsed() > ENDS_WITHIN {
                self.violations.extend(open.into_iter().map(|open| format!("I4: {open}")));
                break;
            }
            if restarts.next_if(|time| crashed.elapsed() > **time).is_some() {
                self.kill();
                self.start(None).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.note_deliveries();
        // Reads all calls again: one that had ended must still be ended.
        let mut all = BTreeMap::new();
        match self.outside.add_ended(&mut all).await {
            Ok(open) => self.violations.extend(open.into_iter().map(|open| format!("I4: after its end: {open}"))),
            Err(error) => self.violations.push(format!("the calls cannot be listed: {}", error.without_url())),
        }
        all
    }
}

impl Outside {
    /// Dials a new number and records the call SID of the response, if one arrives.
    pub(crate) async fn dial(&self) {
        self.place(&self.number(), "").await;
    }

    /// Dials this number, which is its own key: sent twice, it rings once.
    pub(crate) async fn dial_once(&self, number: &str) {
        self.place(number, "").await;
    }

    /// The same for a conversation.
    pub(crate) async fn talk(&self) {
        self.place(&self.number(), "?with=me").await;
    }

    /// Calls our number from this phone, or else from a new number.
    pub(crate) fn call_in(&self, twilio: &twilio::Twilio, from: Option<&str>) {
        // Each request for a call is counted by its number.
        let number = format!("+{}", self.number());
        twilio.inbound_call(&format!("{}/record/", self.base), from.unwrap_or(&number));
    }

    /// A new number, as digits.
    pub(crate) fn number(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = format!("1415{:07}", 2_000_000 + COUNT.fetch_add(1, Ordering::Relaxed));
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number.clone());
        number
    }

    async fn place(&self, number: &str, query: &str) {
        let url = format!("{}/dial/{number}{query}", self.base);
        let request = self.http.get(url).bearer_auth(TOKEN).header("idempotency-key", number);
        let request = request.timeout(Duration::from_secs(30));
        let Ok(answer) = request.send().await else { return };
        if answer.status() == 200
            && let Ok(text) = answer.text().await
        {
            let sid = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(sid);
        }
    }

    /// Requests the deletion of a call. Ignores errors.
    pub(crate) async fn delete(&self, id: &str) {
        let request = self
            .http
            .post(format!("{}/calls/{id}/delete", self.base))
            .bearer_auth(TOKEN)
            .timeout(Duration::from_secs(30));
        _ = request.send().await;
    }

    /// Sends this JSON, with a key, so that the same request sent twice is carried out once.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<(), reqwest::Error> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(TOKEN).json(body);
        let request = request.header("idempotency-key", path).timeout(Duration::from_secs(30));
        request.send().await?.error_for_status().map(drop)
    }

    /// Sends this JSON. Returns the answer.
    pub(crate) async fn answer(&self, path: &str, body: &Value) -> Result<Value, reqwest::Error> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(TOKEN).json(body);
        request.timeout(Duration::from_secs(30)).send().await?.error_for_status()?.json().await
    }

    /// Adds ended calls to `ended`, by call id. Returns a description of each call that has not ended.
    pub(crate) async fn add_ended(&self, ended: &mut BTreeMap<String, Value>) -> Result<Vec<String>, reqwest::Error> {
        let (mut page, mut open) = ("/calls".to_owned(), Vec::new());
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
                    open.push(format!("call {id} ({}) is {}, {transcripts:?}", call["state"], call["progress"]));
                }
            }
            match list["next"].as_str() {
                Some(next) => page = next.to_owned(),
                None => return Ok(open),
            }
        }
    }

    /// Returns the call ids of the newest calls, and adds those that are over to `ended`.
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

    pub(crate) async fn json(&self, path: &str) -> Result<Value, reqwest::Error> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(TOKEN).timeout(Duration::from_secs(10));
        request.send().await?.error_for_status()?.json().await
    }
}

fn is_over(call: &Value) -> bool {
    call["state"] == "lost" || ["done", "failed", "not-recorded"].iter().any(|word| call["progress"] == *word)
}

/// A free port below the ephemeral range, so that no outgoing connection takes it while the program is down.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    let port = || Some(first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::from_fn(port).find(is_free).expect("a free port")
}
