//! How fast lists and searches are, and how fast the program starts, with a large history. The program runs as a child
//! process on a store that is filled directly through its tables.

use std::fmt::Write as _;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::Value;

use crate::client::Times;
use crate::command::{ENOUGH, Folder, Program, with};
use crate::http;
use crate::process::free_address;
use crate::store::Database;

/// Number of concurrent clients.
pub(crate) const CLIENTS: usize = 16;

/// Number of words in each transcript of a history.
pub(crate) const WORDS: u64 = 20;

/// Said in every [`SELDOM`]th call.
pub(crate) const SAID_SELDOM: &str = "saidseldom";
pub(crate) const SELDOM: u64 = 100;

/// Number of different words. The n-th is about 1/n as frequent as the first.
const VOCABULARY: u64 = 30_000;

/// Calls of each kind that is rare.
const RARE: u64 = 60;

/// Number of rows per INSERT.
const AT_ONCE: u64 = 2_000;

/// Requests, each with a name. `{0}` stands for the most frequent word, `{1}` for the next, and so on. Requests that find
/// anything fill a page even in the small history, so that both histories give equally large responses.
pub(crate) const REQUESTS: [(&str, &str); 20] = [
    ("/calls, JSON", "/calls"),
    ("/, page", "/"),
    ("number", "/calls?number=%2B14150000017"),
    ("number suffix", "/calls?number=0017"),
    ("rare state", "/calls?state=busy"),
    ("old days", "/calls?until=2001-01-01"),
    ("frequent word", "/calls?q={0}"),
    ("less frequent word", "/calls?q={50}"),
    ("word said once", "/calls?q=saidonce"),
    ("two words", "/calls?q={3}+{10}"),
    ("phrase", "/calls?q=%22{0}+{1}%22"),
    ("prefix of a word", "/calls?q=k*"),
    ("no match", "/calls?q={3}+notsaid"),
    ("word and state", "/calls?q={5}&state=busy"),
    ("word and unused state", "/calls?q={5}&state=canceled"),
    ("word and number", "/calls?q={0}&number=%2B14150000017"),
    ("word and number suffix", "/calls?q={0}&number=0017"),
    ("word and unused number", "/calls?q={0}&number=%2B19990000006"),
    ("word and own number", "/calls?q={200}&number=%2B15005550006"),
    ("word in old days", "/calls?q={0}&until=2023-11-14"),
];

/// Filters and orders of `/items`, one by one and together. Those called rare match as many calls of the small history as of
/// the large one.
pub(crate) const ITEMS: [(&str, &str); 29] = [
    ("items", "/items"),
    ("items, page", "/items"),
    ("items, oldest", "/items?sort=oldest"),
    ("items, longest", "/items?sort=longest"),
    ("items, shortest", "/items?sort=shortest"),
    ("items, done", "/items?progress=done"),
    ("items, rare progress", "/items?progress=failed"),
    ("items, rare progress, oldest", "/items?progress=failed&sort=oldest"),
    ("items, rare progress, longest", "/items?progress=failed&sort=longest"),
    ("items, calls", "/items?kind=call"),
    ("items, rare kind", "/items?kind=conversation"),
    ("items, uploads", "/items?kind=upload"),
    ("items, outbound", "/items?direction=outbound"),
    ("items, rare direction", "/items?direction=inbound"),
    ("items, tag", "/items?tag=spring"),
    ("items, rare tag", "/items?tag=early"),
    ("items, state", "/items?state=busy"),
    ("items, checked", "/items?checked=true"),
    ("items, unchecked", "/items?checked=false"),
    ("items, short", "/items?max_seconds=60"),
    ("items, rare length", "/items?min_seconds=3600"),
    ("items, no length", "/items?min_seconds=90000"),
    ("items, contact", "/items?contact=%2B14150000017"),
    ("items, contact with three numbers", "/items?contact=harbor"),
    ("items, contact, longest", "/items?contact=%2B14150000017&sort=longest"),
    ("items, days, longest", "/items?since=2023-11-15&sort=longest"),
    ("items, old days", "/items?until=2023-11-15"),
    ("items, tag and state", "/items?tag=spring&state=busy"),
    ("items, tag and state, longest", "/items?tag=spring&state=busy&sort=longest"),
];

/// A store with a history of calls.
pub(crate) struct History {
    database: Database,
    folder: Folder,
}

/// A request and the 99th percentile of its response times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) p99_ms: f64,
}

impl History {
    /// Fills a store with this many calls, each with a recording and a transcript in the search index.
    pub(crate) async fn of(calls: u64, database: Database) -> Self {
        Self::with_words(calls, WORDS, database).await
    }

    /// The same, with this many words in each transcript. The two sides of a conversation say twelve at a time.
    pub(crate) async fn with_words(calls: u64, words: u64, database: Database) -> Self {
        let history = Self { folder: Folder::new(), database };
        // Creates the tables.
        history.start().stop();
        fill(&history.database, calls, words).await;
        let begun = Instant::now();
        // The program indexes existing transcripts before it listens.
        history.start().stop();
        if calls > 10_000 {
            println!("(the program indexed {calls} transcripts in {:.0} s)", begun.elapsed().as_secs_f64());
        }
        history
    }

    pub(crate) fn url(&self) -> &str {
        &self.database.url
    }

    /// Starts the program on this store.
    pub(crate) fn start(&self) -> Running {
        let address = free_address();
        let url = format!("http://{address}");
        let own = [("DATABASE_URL", self.database.url.as_str()), ("BIND_ADDR", &address), ("BASE_URL", &url)];
        let settings = with(&ENOUGH, &own);
        let mut program = Program::start(self.folder.path(), &[], &settings);
        let address = program.address();
        Running { program, address }
    }
}

/// The program, running on a store.
pub(crate) struct Running {
    program: Program,
    address: String,
}

impl Running {
    pub(crate) fn stop(self) {
        self.program.signal("TERM");
        self.program.end();
    }

    /// Measures scrapes of `/metrics`, one after the other, once each request of a history has been counted.
    pub(crate) async fn scrape(&self, requests: usize) -> Times {
        for (name, path) in REQUESTS.iter().chain(&ITEMS) {
            time_requests(&format!("http://{}{}", self.address, with_words(path)), accept(name), 1).await;
        }
        let url = format!("http://{}/metrics", self.address);
        time_requests(&url, "application/openmetrics-text", requests.div_ceil(10)).await;
        time_requests(&url, "application/openmetrics-text", requests).await
    }

    /// Measures each request in turn: all clients send it this many times.
    pub(crate) async fn measure(&self, paths: &[(&'static str, &str)], requests: usize) -> Vec<Measured> {
        let mut measured = Vec::new();
        for &(name, path) in paths {
            let url = format!("http://{}{}", self.address, with_words(path));
            let accept = accept(name);
            time_requests(&url, accept, requests.div_ceil(10)).await;
            let mut times = Times::default();
            join_all((0..CLIENTS).map(|_| time_requests(&url, accept, requests)))
                .await
                .into_iter()
                .for_each(|each| times.extend(each));
            measured.push(Measured { name, p99_ms: times.percentile(0.99) });
        }
        measured
    }
}

/// What a request of this name accepts.
fn accept(name: &str) -> &'static str {
    if name.ends_with("page") { "text/html" } else { "application/json" }
}

/// Sends this many requests in a row from one client. Returns the response times.
async fn time_requests(url: &str, accept: &str, requests: usize) -> Times {
    let client = http::client();
    let mut times = Times::default();
    for _ in 0..requests {
        let begun = Instant::now();
        let answer = client.get(url).header("accept", accept).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let body = answer.bytes().await.expect("a whole body");
        times.since(begun);
        if accept == "application/json" {
            serde_json::from_slice::<Value>(&body).expect("JSON");
        }
    }
    times
}

/// Replaces `{7}` with the word of this rank.
fn with_words(path: &str) -> String {
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (rank, rest) = part.split_once('}').expect("a closing brace");
        filled += &(word(rank.parse().expect("a rank")) + rest);
    }
    filled
}

/// The word of this rank, made of syllables.
fn word(rank: u64) -> String {
    let mut left = rank + 1;
    let mut word = String::new();
    while left > 0 {
        let syllable = left % 75;
        word.push(char::from(b"bdfghklmnprstvz"[(syllable / 5) as usize]));
        word.push(char::from(b"aeiou"[(syllable % 5) as usize]));
        left /= 75;
    }
    word
}

/// A pseudo-random generator with a fixed seed.
struct Dice(u64);

impl Dice {
    /// Returns a number from 0 to 1.
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The id of a call, and that of its transcript at AssemblyAI.
pub(crate) fn id(number: u64) -> String {
    // The first half orders ids by time, the second is random.
    format!("{number:016x}{:016x}", (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// When a call was made, in milliseconds since 1970.
fn made_at(number: u64) -> u64 {
    1_700_000_000_000 + number * 60_000
}

/// Inserts calls with a recording and a transcript each, for the program to index when it starts.
async fn fill(database: &Database, calls: u64, words: u64) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (channels, channel) = if words > WORDS { (2, "1 + key / 12 % 2") } else { (1, "NULL") };
    for first in (0..calls).step_by(AT_ONCE as usize) {
        let (mut some_calls, mut recordings, mut transcripts) = (String::new(), String::new(), String::new());
        for number in first..(first + AT_ONCE).min(calls) {
            let comma = if number == first { ' ' } else { ',' };
            let id = id(number);
            let at = made_at(number);
            let state = if number % 10 == 0 { "busy" } else { "completed" };
            let mut spoken: Vec<String> =
                (0..words).map(|_| word((VOCABULARY as f64).powf(dice.throw()) as u64 - 1)).collect();
            if number == 17 {
                spoken[3] = "saidonce".to_owned();
            }
            if number % SELDOM == SELDOM / 2 {
                spoken[7] = SAID_SELDOM.to_owned();
            }
            let spoken = spoken.join(" ");
            // Only 20 different numbers, so that each fills a page.
            let to = 14_150_000_000 + number % 20;
            // Of these, there are as many in every history.
            let (direction, kind, tag) = match number / RARE {
                0 => ("outbound", "conversation", "'early'"),
                1 => ("inbound", "message", "NULL"),
                2 => ("outbound", "upload", "NULL"),
                _ => ("outbound", "message", if number % 2 == 0 { "'spring'" } else { "NULL" }),
            };
            let seconds = if number / RARE == 3 { 3_600 + number } else { 32 };
            let checked_at = if number % 3 == 0 { at.to_string() } else { "NULL".to_owned() };
            _ = write!(
                some_calls,
                "{comma}('{id}', 'CA{id}', '{direction}', '+{to}', '+15005550006', '[]', '{state}', 6, 0, {at}, {at}, {at}, \
                 {at}, '{kind}', {tag}, {checked_at})"
            );
            _ = write!(recordings, "{comma}('RE{id}', '{id}', 'completed', 2, {seconds}, {channels}, {at}, {at})");
            _ = write!(
                transcripts,
                "{comma}('{id}', '{id}', 'RE{id}', '', '{{}}', '{id}', 'completed', 4, 1, '{spoken}', {at}, {at})"
            );
        }
        let rows = format!(
            "BEGIN; INSERT INTO calls (id, sid, direction, to_number, from_number, keyterms, state, rank, holds_number, \
             created_at, ended_at, updated_at, dialled_at, kind, tag, checked_at) VALUES {some_calls}; \
             INSERT INTO recordings (sid, call_id, state, rank, duration_seconds, channels, created_at, updated_at) \
             VALUES {recordings}; \
             INSERT INTO transcripts (id, transcript_id, recording_sid, audio, parameters, request_key, state, rank, \
             round, text, created_at, updated_at) VALUES {transcripts}; COMMIT"
        );
        database.execute(&rows).await.expect("rows");
    }
    let each = if database.is_postgres() {
        "string_to_table(text, ' ') WITH ORDINALITY AS each (value, key)"
    } else {
        "json_each('[\"' || replace(text, ' ', '\",\"') || '\"]')"
    };
    let first = i64::from(database.is_postgres());
    let words = format!(
        "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, channel) \
         SELECT transcripts.id, key - {first}, value, (key - {first}) * 400, (key - {first}) * 400 + 300, 0.9, \
         CAST({channel} AS TEXT) FROM transcripts, {each}; \
         INSERT INTO unsearched (transcript) SELECT id FROM transcripts"
    );
    database.execute(&words).await.expect("words");
    // These have failed: callscribe does not know how they ended.
    let failed = format!("created_at >= {} AND created_at < {}", made_at(4 * RARE), made_at(5 * RARE));
    let jobs_and_history = format!(
        "INSERT INTO jobs (kind, subject, state, due_at, nudged, attempt, failures, looks, created_at) \
                  SELECT 'call', id, CASE WHEN {failed} THEN 'failed' ELSE 'done' END, created_at, 0, 1, 0, 0, created_at FROM calls UNION ALL \
                  SELECT 'transcript', id, 'done', created_at, 0, 1, 0, 0, created_at FROM transcripts; \
                  INSERT INTO history (call_id, kind, subject, state, rank, round, at) \
                  SELECT id, 'call', id, state, rank, 1, created_at FROM calls UNION ALL \
                  SELECT call_id, 'recording', sid, state, rank, 1, created_at FROM recordings UNION ALL \
                  SELECT id, 'transcript', id, state, rank, 1, created_at FROM transcripts"
    );
    database.execute(&jobs_and_history).await.expect("jobs and history");
    // Three numbers of one name.
    let contacts = "INSERT INTO contacts VALUES \
                    ('+14150000003', 'Harbor North', ' harbor north ', '[]', '', 0, 0), \
                    ('+14150000004', 'Harbor East', ' harbor east ', '[]', '', 0, 0), \
                    ('+14150000005', 'Harbor West', ' harbor west ', '[]', '', 0, 0)";
    database.execute(contacts).await.expect("contacts");
    if database.is_postgres() {
        // PostgreSQL does this automatically within a minute.
        database.execute("ANALYZE").await.expect("statistics");
    }
}
