//! What it takes to correct transcripts: to store a word, to open a long transcript, to replace a text in many.

use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use futures_util::future::join_all;
use rusqlite::{Connection as Sqlite, TransactionBehavior};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::callbacks::open;
use crate::client::{Answer, Connection, Times, get, get_page, post_json};
use crate::history::{History, SAID_SELDOM, id};
use crate::process::Process;
use crate::store::Database;

/// Words of a transcript of some minutes, and of three hours.
pub(crate) const FEW_WORDS: u64 = 1_000;
pub(crate) const MANY_WORDS: u64 = 30_000;

/// The program stores a JSON text of more bytes deflated.
const LARGE: usize = 256 << 10;

/// The spans of a correction of one word, as the program stores them.
const SPANS: &str = r#"[{"from":13,"to":14,"before":"zuto","after":"corrected13","changes":[{"from":13,"to":14,"before":[{"text":"zuto","start":5200,"end":5500,"confidence":0.9,"speaker":null,"channel":"2"}],"after":[{"text":"corrected13","start":5200,"end":5500,"confidence":null,"speaker":null,"channel":"2"}],"hidden":[13],"place":{"typed":{"next":14}}}]}]"#;

/// The program on a store of its own, whose transcripts have this many words.
pub(crate) struct Corrected {
    pub(crate) program: Process,
    words: u64,
    history: History,
}

impl Corrected {
    pub(crate) async fn of(transcripts: u64, words: u64) -> Self {
        let history = History::with_words(transcripts, words, Database::sqlite()).await;
        store_json(&open(history.url()));
        let program = Process::local(&[("DATABASE_URL", history.url())]);
        Self { program, words, history }
    }

    /// What was heard in these transcripts.
    pub(crate) fn texts(&self, transcripts: Range<u64>) -> Vec<(u64, String)> {
        let store = open(self.history.url());
        let text = |transcript| {
            let sql = "SELECT text FROM transcripts WHERE id = ?1";
            (transcript, store.query_row(sql, [id(transcript)], |row| row.get(0)).expect("a transcript"))
        };
        transcripts.map(text).collect()
    }

    async fn connection(&self) -> Connection {
        Connection::open(self.program.address).await.expect("a connection")
    }

    /// Corrects a word of each of these transcripts this many times. There is a client for each.
    pub(crate) async fn save(&self, transcripts: Range<u64>, times: usize) -> Times {
        let (address, words) = (self.program.address, self.words);
        let clients = transcripts.map(|transcript| tokio::spawn(save(address, transcript, words, times)));
        let mut all = Times::default();
        join_all(clients).await.into_iter().for_each(|client| all.extend(client.expect("a client")));
        all
    }

    /// Opens the page of a call this many times.
    pub(crate) async fn open(&self, times: usize) -> Times {
        self.time(&get_page(&page(0)), times).await
    }

    /// Reads the words of a transcript this many times.
    pub(crate) async fn read(&self, times: usize) -> Times {
        self.time(&get(&format!("/transcript/{}?format=words", id(0))), times).await
    }

    /// Swaps the sides of a conversation this many times.
    pub(crate) async fn swap(&self, times: usize) -> Times {
        self.time(&post_json(&format!("/calls/{}/speakers", id(0)), &json!({"swap": true})), times).await
    }

    /// Names a speaker this many times.
    pub(crate) async fn name(&self, times: usize) -> Times {
        self.time(&post_json(&format!("/calls/{}/speakers", id(0)), &json!({"1": "Dana"})), times).await
    }

    async fn time(&self, request: &[u8], times: usize) -> Times {
        let (mut connection, mut taken) = (self.connection().await, Times::default());
        for _ in 0..times {
            let begun = Instant::now();
            let answer = connection.exchange(request).await.expect("an answer");
            taken.since(begun);
            let asked = String::from_utf8_lossy(&request[..request.len().min(99)]);
            assert_eq!(answer.status, 200, "{asked}: {}", answer.body);
        }
        taken
    }
}

/// Stores AssemblyAI's JSON of each transcript as the program does, which is deflated if it is large.
fn store_json(store: &Sqlite) {
    let json = "SELECT id, json_object('id', id, 'status', 'completed', 'text', text, 'words', json((SELECT json_group_array(
                    json_object('text', word, 'start', start_ms, 'end', end_ms, 'confidence', confidence, 'channel', channel))
                    FROM words WHERE transcript = transcripts.id))) FROM transcripts";
    let mut json = store.prepare(json).expect("tables");
    let texts = json.query_map([], |row| row.try_into()).and_then(Iterator::collect);
    let texts: Vec<(String, String)> = texts.expect("transcripts");
    for (id, text) in texts {
        let mut stored = text.into_bytes();
        if stored.len() > LARGE {
            let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
            deflated.write_all(&stored).expect("a Vec takes every byte");
            stored = deflated.finish().expect("a Vec takes every byte");
        }
        store.execute("UPDATE transcripts SET json = $1 WHERE id = $2", (stored, id)).expect("a transcript");
    }
}

/// The address of a call's page.
fn page(call: u64) -> String {
    format!("/calls/{}", id(call))
}

async fn save(address: SocketAddr, transcript: u64, words: u64, times: usize) -> Times {
    let (path, mut taken) = (format!("/transcript/{}/corrections", id(transcript)), Times::default());
    let mut connection = Connection::open(address).await.expect("a connection");
    for n in 0..times as u64 {
        let from = n * 13 % words;
        let correction = json!({"version": n, "from": from, "to": from + 1, "text": format!("corrected{n}")});
        let request = post_json(&path, &correction);
        let begun = Instant::now();
        let answer = connection.exchange(&request).await.expect("an answer");
        taken.since(begun);
        assert_eq!((answer.status, &body(&answer)["version"]), (200, &json!(n + 1)), "{}", answer.body);
    }
    taken
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

/// SQLite alone with what a correction changes: a row for the correction, the text, and what is indexed of it.
pub(crate) struct Yardstick(Mutex<Sqlite>);

impl Yardstick {
    /// Creates the tables.
    pub(crate) fn of(file: Sqlite) -> Self {
        let tables = "CREATE TABLE corrections (transcript INTEGER NOT NULL, version INTEGER NOT NULL,
                          spans TEXT NOT NULL, PRIMARY KEY (transcript, version)) STRICT, WITHOUT ROWID;
                      CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
                      CREATE VIRTUAL TABLE spoken USING fts5 (said, content = '', tokenize = 'ascii', prefix = '1 2 3');
                      INSERT INTO spoken (spoken, rank) VALUES ('secure-delete', 1)";
        file.execute_batch(tables).expect("tables");
        Self(Mutex::new(file))
    }

    /// Corrects a word of each of these texts this many times. There is a thread for each, and they take turns.
    pub(crate) fn save(&self, texts: &[(u64, String)], times: usize) -> Times {
        for (id, text) in texts {
            let file = self.0.blocking_lock();
            file.execute("INSERT INTO texts VALUES (?1, ?2)", (*id as i64, text)).expect("a text");
            file.execute("INSERT INTO spoken (rowid, said) VALUES (?1, ?2)", (*id as i64, text)).expect("a text");
        }
        let mut all = Times::default();
        std::thread::scope(|scope| {
            let save = |(id, text): &(u64, String)| self.correct(*id as i64, text, times);
            let threads: Vec<_> = texts.iter().map(|text| scope.spawn(move || save(text))).collect();
            threads.into_iter().for_each(|thread| all.extend(thread.join().expect("a thread")));
        });
        all
    }

    fn correct(&self, id: i64, text: &str, times: usize) -> Times {
        let (mut before, mut taken) = (text.to_owned(), Times::default());
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        for n in 0..times {
            let at = n * 13 % words.len();
            words[at] = format!("corrected{n}");
            let after = words.join(" ");
            let begun = Instant::now();
            let mut file = self.0.blocking_lock();
            let store = |tx: &Sqlite| -> rusqlite::Result<usize> {
                let sql = "INSERT INTO spoken (spoken, rowid, said) VALUES ('delete', ?1, ?2)";
                tx.prepare_cached(sql)?.execute((id, &before))?;
                tx.prepare_cached("INSERT INTO spoken (rowid, said) VALUES (?1, ?2)")?.execute((id, &after))?;
                tx.prepare_cached("UPDATE texts SET text = ?2 WHERE id = ?1")?.execute((id, &after))?;
                tx.prepare_cached("INSERT INTO corrections VALUES (?1, ?2, ?3)")?.execute((id, n as i64, SPANS))
            };
            let tx = file.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
            store(&tx).and_then(|_| tx.commit()).expect("a commit");
            drop(file);
            taken.since(begun);
            before = after;
        }
        taken
    }
}

/// How fast a text is found and replaced in a history.
pub(crate) struct Replaced {
    /// Until the places are listed.
    pub(crate) search: Times,
    pub(crate) places: u64,
    /// Until all of them are replaced.
    pub(crate) time: Duration,
}

/// Replaces what is said in every hundredth call of a history.
pub(crate) async fn replace(history: &History, searches: usize) -> Replaced {
    let program = Process::local(&[("DATABASE_URL", history.url())]);
    let mut connection = Connection::open(program.address).await.expect("a connection");
    let mut wanted = json!({"find": SAID_SELDOM, "with": "said often", "filter": {}});
    let (mut search, request) = (Times::default(), post_json("/replace", &wanted));
    for _ in 0..searches {
        let begun = Instant::now();
        let answer = connection.exchange(&request).await.expect("an answer");
        search.since(begun);
        assert!(body(&answer)["places"][0]["id"].is_string(), "{}", answer.body);
    }
    wanted["apply"] = json!(true);
    let begun = Instant::now();
    let answer = connection.exchange(&post_json("/replace", &wanted)).await.expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.body);
    let progress = get(&format!("/replace/{}", body(&answer)["id"].as_str().expect("an id")));
    loop {
        let now = body(&connection.exchange(&progress).await.expect("an answer"));
        if now["state"] != "running" {
            assert_eq!(now["state"], "done", "{now}");
            return Replaced { search, places: now["places"].as_u64().expect("a count"), time: begun.elapsed() };
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What Chromium needs for the page of a transcript, in milliseconds.
#[derive(serde::Deserialize)]
pub(crate) struct Shown {
    pub(crate) first_paint: f64,
    /// Until the first letter that somebody types is painted.
    pub(crate) typed: f64,
    /// From a key to the paint, at the 99th percentile.
    pub(crate) key_p99: f64,
}

/// Opens the page of a transcript in Chromium, and types. `None` where there is no Chromium, or no Python with playwright.
pub(crate) fn show(address: SocketAddr, keys: usize) -> Option<Shown> {
    let python = std::env::var_os("CALLSCRIBE_TEST_PYTHON")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/browser.py");
    let mut command = std::process::Command::new(python);
    command.arg(script).arg(format!("http://{address}{}", page(0))).arg(keys.to_string());
    let output = command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").output().ok()?;
    if output.status.code() == Some(77) {
        return None;
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("the browser fails: {error}")))
}
