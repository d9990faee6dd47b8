//! The invariants of a world after any number of crashes, reported as `I1` to `I10`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use callscribe::sandbox::{assemblyai, twilio};
use serde_json::Value;

use crate::world::{TOKEN, World};
use crate::{archive, database};

/// Maximum time from SIGTERM until the program ends.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// The result of a world.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Calls that the program has stored.
    pub(crate) calls: usize,
    /// Stored calls that Twilio never placed.
    pub(crate) unplaced: usize,
    /// Recordings at Twilio. A recording without a transcript is a violation.
    pub(crate) recordings: usize,
    pub(crate) violations: Vec<String>,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.unplaced += other.unplaced;
        self.recordings += other.recordings;
        self.violations.extend(other.violations);
    }
}

/// A call in Twilio's list.
struct Placed {
    sid: String,
    /// The call that dialed it.
    parent: Option<String>,
}

/// A recording in Twilio's list.
struct Recording {
    sid: String,
    call: String,
    status: String,
}

/// Whether this is the folder for files that are sent in pieces, without the audio of such a file. What became of it stays noted.
fn is_empty_spool(folder: &Path) -> bool {
    let is_known = |name: &Path| name == Path::new("spool") || name.extension().is_some_and(|end| end == "note");
    let mut entries = std::fs::read_dir(folder).into_iter().flatten();
    folder.is_dir() && entries.all(|entry| entry.is_ok_and(|entry| is_known(Path::new(&entry.file_name()))))
}

impl World {
    /// Waits until all calls have ended, stops the program, and looks for violations.
    pub(crate) async fn check(mut self) -> Outcome {
        let calls = self.end().await;
        let (placed, recordings) = (self.calls_at_twilio().await, self.recordings_at_twilio().await);
        self.check_legs(&calls, &placed);
        let placed: Vec<String> =
            placed.into_iter().filter(|call| call.parent.is_none()).map(|call| call.sid).collect();
        self.check_calls(&calls, &placed);
        self.check_transcripts(&calls, &recordings);
        self.check_archive(&calls).await;
        let outcome = self.close(&calls).await;
        Outcome { recordings: recordings.len(), ..outcome }
    }

    /// Waits until the world's only call is deleted, stops the program, and looks for remains of the call.
    pub(crate) async fn check_deleted(mut self, calls: &BTreeMap<String, Value>) -> Outcome {
        let stored = self.end().await.len();
        let (placed, recordings) = (self.calls_at_twilio().await.len(), self.recordings_at_twilio().await.len());
        if stored + placed + recordings > 0 {
            let left = format!("{stored} calls in the store, {placed} calls and {recordings} recordings at Twilio");
            self.violations.push(format!("not deleted: {left}"));
        }
        if self.assemblyai.transcripts().iter().any(|transcript| transcript["text"] != "Deleted by user.") {
            self.violations.push("not deleted: a transcript at AssemblyAI".to_owned());
        }
        self.check_empty_archive().await;
        let (name, file) = (self.name.clone(), self.database.url());
        let mut outcome = self.close(calls).await;
        // The program checkpointed its WAL into the file when it ended.
        let bytes = file.strip_prefix("sqlite://").and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        let is_in_file = |number: &&str| bytes.windows(number.len()).any(|window| window == number.as_bytes());
        let numbers = calls.values().filter_map(|call| call["to"].as_str());
        outcome.violations.extend(numbers.filter(is_in_file).map(|number| format!("{name}: {number} is in the file")));
        outcome
    }

    /// Stops the program and checks its database, folder and log.
    pub(crate) async fn close(&mut self, calls: &BTreeMap<String, Value>) -> Outcome {
        let (status, log) = self.program.take().expect("a running program").terminate(STOPS_WITHIN).await;
        self.log.extend(log);
        if status.and_then(|status| status.code()) != Some(0) {
            self.violations.push(format!("the program did not exit with code 0: {status:?}"));
        }
        self.check_database().await;
        for file in self.folder.files() {
            let is_archive = file.file_name().is_some_and(|name| name == archive::FOLDER);
            if !database::is_of_database(&file) && !is_empty_spool(&file) && !is_archive {
                self.violations.push(format!("I7: {} was left behind", file.display()));
            }
        }
        self.check_log(calls);
        if !self.violations.is_empty() {
            let file = std::env::temp_dir().join(format!("callscribe-crash-{}.log", self.name.replace(' ', "-")));
            _ = std::fs::write(&file, self.log.join("\n"));
            self.violations.push(format!("the program's log is in {}", file.display()));
        }
        Outcome {
            calls: calls.len(),
            unplaced: calls.values().filter(|call| call["sid"].is_null()).count(),
            recordings: 0,
            violations: self.violations.iter().map(|violation| format!("{}: {violation}", self.name)).collect(),
        }
    }

    /// I1 and I4: every leg is stored with its call, which has dialed at most one, and none is a call of its own.
    fn check_legs(&mut self, calls: &BTreeMap<String, Value>, placed: &[Placed]) {
        let mut dialed: HashMap<&str, u32> = HashMap::new();
        for Placed { sid, parent } in placed {
            let Some(parent) = parent else { continue };
            *dialed.entry(parent).or_default() += 1;
            let is_it = |call: &&Value| {
                call["sid"] == **parent && call["legs"].as_array().into_iter().flatten().any(|leg| leg["sid"] == **sid)
            };
            if calls.values().find(is_it).is_none() || calls.values().any(|call| call["sid"] == **sid) {
                self.violations.push(format!("I4: leg {sid} is not stored with call {parent} alone"));
            }
        }
        for (parent, times) in dialed.into_iter().filter(|(_, times)| *times > 1) {
            self.violations.push(format!("I1: call {parent} has dialed {times} legs"));
        }
    }

    /// I1, I2 and I4: every dial request placed at most one call, and every placed or acknowledged call is stored.
    fn check_calls(&mut self, calls: &BTreeMap<String, Value>, placed: &[String]) {
        let mut violations = Vec::new();
        for (id, times) in self.twilio.placed_per_token() {
            if times > 1 || !calls.contains_key(&id) {
                violations.push(format!("I1: call {id:?} was placed {times} times"));
            }
        }
        let numbers = self.outside.numbers.lock().unwrap_or_else(PoisonError::into_inner).len();
        if placed.len() > numbers {
            violations.push(format!("I1: {} calls for {numbers} requests", placed.len()));
        }
        // A callback of a leg belongs to its call.
        let legs = |call: &'_ Value| call["legs"].as_array().cloned().unwrap_or_default();
        let by_sid: HashMap<String, &Value> = calls
            .values()
            .flat_map(|call| {
                legs(call).into_iter().filter_map(move |leg| Some((leg["sid"].as_str()?.to_owned(), call)))
            })
            .collect();
        for sid in self.outside.shown.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !placed.contains(sid) {
                violations.push(format!("I1: Twilio has no call {sid}, which a response named"));
            }
        }
        for sid in placed.iter().filter(|sid| !by_sid.contains_key(sid.as_str())) {
            violations.push(format!("I4: call {sid} is not in the store"));
        }
        for (call, recording) in &self.acknowledged {
            let Some(shown) = by_sid.get(call) else {
                violations.push(format!("I2: call {call} was acknowledged and is not in the store"));
                continue;
            };
            let Some((sid, _)) = recording else { continue };
            let found = shown["recordings"].as_array().into_iter().flatten().find(|one| one["sid"] == **sid);
            // In this sandbox every recording ends as `completed`, so that state must be shown.
            if found.is_none_or(|found| found["state"] != "completed") {
                violations.push(format!("I2: recording {sid} was acknowledged and is shown as {found:?}"));
            }
        }
        self.violations.extend(violations);
    }

    /// I2, I3 and I5: every recording was submitted exactly once and has its own transcript, and every transcript with an
    /// acknowledged webhook is stored.
    fn check_transcripts(&mut self, calls: &BTreeMap<String, Value>, recordings: &[Recording]) {
        let accepted = self.assemblyai.accepted_per_recording();
        for Recording { sid, call, status } in recordings {
            let times = accepted.get(sid).copied().unwrap_or_default();
            if status != "completed" || times != 1 + self.tried.get(sid).copied().unwrap_or_default() {
                self.violations.push(format!("I3: {status} recording {sid} was submitted {times} times"));
            }
            let shown = calls.values().find(|shown| shown["sid"] == **call);
            let transcripts = shown.and_then(|shown| shown["transcripts"].as_array());
            let mut texts = transcripts.into_iter().flatten().filter(|one| one["recording_sid"] == **sid);
            let text = texts.next().and_then(|one| one["text"].as_str()).unwrap_or_default();
            if !text.trim_end_matches('.').ends_with(sid) || self.tried.is_empty() && texts.next().is_some() {
                self.violations.push(format!("I5: {sid} of call {call} has the transcript {text:?}"));
            }
        }
        for (sid, _) in accepted.iter().filter(|(sid, _)| !recordings.iter().any(|one| one.sid == **sid)) {
            self.violations.push(format!("I3: {sid} was submitted, but Twilio has no such recording"));
        }
        for transcript in self.assemblyai.transcripts() {
            let is_acknowledged =
                transcript["webhook_status_code"].as_u64().is_some_and(|code| (200..300).contains(&code));
            let is_shown = |call: &Value| {
                call["transcripts"].as_array().into_iter().flatten().any(|shown| shown["id"] == transcript["id"])
            };
            // What a trial has made is on its own page.
            if is_acknowledged && self.tried.is_empty() && !calls.values().any(is_shown) {
                self.violations
                    .push(format!("I2: transcript {} was acknowledged and is not in the store", transcript["id"]));
            }
        }
    }

    /// I6 and I9: the database is intact, and no state in the history went backward.
    async fn check_database(&mut self) {
        self.check_file().await;
        let history = match self.database.history().await {
            Ok(history) => history,
            Err(error) => {
                self.violations.push(format!("I9: the history cannot be read: {error}"));
                return;
            }
        };
        let mut reached = HashMap::new();
        for (kind, subject, round, rank) in history {
            let before = reached.insert((kind.clone(), subject.clone()), (round, rank));
            if before.is_some_and(|before| before > (round, rank)) {
                self.violations.push(format!("I9: {kind} {subject} went from {before:?} to {:?}", (round, rank)));
            }
        }
    }

    /// I6: the database is intact.
    pub(crate) async fn check_file(&mut self) {
        match self.database.faults() {
            Ok(faults) => self.violations.extend(faults.into_iter().map(|fault| format!("I6: {fault}"))),
            Err(error) => self.violations.push(format!("I6: the database cannot be read: {error}")),
        }
    }

    /// I8: the log holds no secret, number or transcript. Also, nothing panicked.
    fn check_log(&mut self, calls: &BTreeMap<String, Value>) {
        let mut canaries = [twilio::AUTH_TOKEN, assemblyai::API_KEY, TOKEN].map(str::to_owned).to_vec();
        canaries.extend(self.outside.numbers.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        let texts = calls.values().flat_map(|call| call["transcripts"].as_array().into_iter().flatten());
        let words = texts.filter_map(|one| Some(one["text"].as_str()?.chars().take(24).collect::<String>()));
        canaries.extend(words.take(1));
        let log = self.log.join("\n");
        for canary in canaries.iter().filter(|canary| log.contains(canary.as_str())) {
            self.violations.push(format!("I8: {canary:?} was logged"));
        }
        for line in self.log.iter().filter(|line| line.contains("panicked")) {
            self.violations.push(format!("the program logged {line:?}"));
        }
    }

    /// The calls at Twilio that are not among these, without legs.
    pub(crate) async fn unstored(&self, calls: &BTreeMap<String, Value>) -> Vec<String> {
        let placed = self.calls_at_twilio().await.into_iter().filter(|call| call.parent.is_none()).map(|call| call.sid);
        placed.filter(|sid| !calls.values().any(|call| call["sid"] == **sid)).collect()
    }

    async fn calls_at_twilio(&self) -> Vec<Placed> {
        let text = |call: &Value, name: &str| call[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let calls = self.listed("Calls", "calls").await;
        calls
            .iter()
            .filter_map(|call| Some(Placed { sid: text(call, "sid")?, parent: text(call, "parent_call_sid") }))
            .collect()
    }

    async fn recordings_at_twilio(&self) -> Vec<Recording> {
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let all = self.listed("Recordings", "recordings").await;
        all.iter()
            .map(|one| Recording { sid: text(one, "sid"), call: text(one, "call_sid"), status: text(one, "status") })
            .collect()
    }

    /// Reads all pages of a list at Twilio.
    pub(crate) async fn listed(&self, list: &str, field: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut page = Some(format!("/2010-04-01/Accounts/{}/{list}.json?PageSize=1000", twilio::ACCOUNT_SID));
        while let Some(path) = page {
            let request = self.outside.http.get(format!("{}{path}", self.twilio.url()));
            let request = request.basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN));
            let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            all.extend(answer[field].as_array().expect("a list").iter().cloned());
            page = answer["next_page_uri"].as_str().map(str::to_owned);
        }
        all
    }
}
