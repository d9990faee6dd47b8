//! How fast the list of calls and searches answer, and how soon the program does after its start, where much has been said:
//! the program itself as a child process, at a store that is filled here by its tables.

use std::fmt::Write as _;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::Value;

use crate::client::Times;
use crate::command::{ENOUGH, Folder, Program, with};
use crate::http;
use crate::store::Database;

/// Who asks at once.
pub(crate) const CLIENTS: usize = 16;

/// Words of each transcript.
pub(crate) const WORDS: u64 = 20;

/// Different words that are said, the n-th about 1/n as often as the first.
const VOCABULARY: u64 = 30_000;

/// Rows that are written in one statement.
const AT_ONCE: u64 = 2_000;

/// What is asked, and how: `{0}` is the most frequent word, and so on. What is found at all fills a page already where little
/// has been said, so that it is the history that differs, and not the answer.
const ASKED: [(&str, &str); 20] = [
    ("/calls, JSON", "/calls"),
    ("/, page", "/"),
    ("number", "/calls?number=%2B14150000017"),
    ("end of a number", "/calls?number=0017"),
    ("state of few", "/calls?state=busy"),
    ("old days", "/calls?until=2001-01-01"),
    ("frequent word", "/calls?q={0}"),
    ("less frequent word", "/calls?q={50}"),
    ("word said once", "/calls?q=saidonce"),
    ("two words", "/calls?q={3}+{10}"),
    ("phrase", "/calls?q=%22{0}+{1}%22"),
    ("begin of a word", "/calls?q=k*"),
    ("nothing", "/calls?q={3}+notsaid"),
    ("word and state", "/calls?q={5}&state=busy"),
    ("word and state of none", "/calls?q={5}&state=canceled"),
    ("word and number", "/calls?q={0}&number=%2B14150000017"),
    ("word and end of a number", "/calls?q={0}&number=0017"),
    ("word and number of none", "/calls?q={0}&number=%2B19990000006"),
    ("word and own number", "/calls?q={200}&number=%2B15005550006"),
    ("word in old days", "/calls?q={0}&until=2023-11-14"),
];

/// A store with much in it.
pub(crate) struct History {
    database: Database,
    folder: Folder,
}

/// A question, and the 99th percentile of how long its answers took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) what: &'static str,
    pub(crate) p99_ms: f64,
}

impl History {
    /// With so many calls, each with a recording and a transcript, in the index of words.
    pub(crate) async fn of(calls: u64, database: Database) -> Self {
        let history = Self { folder: Folder::new(), database };
        // Makes the tables.
        history.start().stop();
        fill(&history.database, calls).await;
        let begun = Instant::now();
        // What is there already is taken into the index before the program listens.
        history.start().stop();
        if calls > 10_000 {
            println!("({calls} transcripts were taken into the index in {:.0} s)", begun.elapsed().as_secs_f64());
        }
        history
    }

    pub(crate) fn url(&self) -> &str {
        &self.database.url
    }

    /// The program at this store.
    pub(crate) fn start(&self) -> Running {
        let settings = with(&ENOUGH, &[("DATABASE_URL", &self.database.url)]);
        let mut program = Program::start(self.folder.path(), &[], &settings);
        let address = program.address();
        Running { program, address }
    }
}

/// The program as it runs at a store.
pub(crate) struct Running {
    program: Program,
    address: String,
}

impl Running {
    pub(crate) fn stop(self) {
        self.program.signal("TERM");
        self.program.end();
    }

    /// Has 16 clients ask each question so many times, one question after the other.
    pub(crate) async fn ask(&self, requests: usize) -> Vec<Asked> {
        let mut asked = Vec::new();
        for (what, path) in ASKED {
            let url = format!("http://{}{}", self.address, spelt(path));
            let accept = if what.ends_with("page") { "text/html" } else { "application/json" };
            ask(&url, accept, requests.div_ceil(10)).await;
            let mut times = Times::default();
            join_all((0..CLIENTS).map(|_| ask(&url, accept, requests)))
                .await
                .into_iter()
                .for_each(|each| times.extend(each));
            asked.push(Asked { what, p99_ms: times.percentile(0.99) });
        }
        asked
    }
}

/// How long each answer takes to a client of its own that asks one question after the other.
async fn ask(url: &str, accept: &str, requests: usize) -> Times {
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

/// `{7}` as the word of this rank.
fn spelt(path: &str) -> String {
    let mut parts = path.split('{');
    let mut spelt = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (rank, rest) = part.split_once('}').expect("a brace for each");
        spelt += &(word(rank.parse().expect("a rank")) + rest);
    }
    spelt
}

/// The word of this rank, of syllables.
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

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Writes calls with a recording and a transcript each, for the program to take into its index when it starts.
async fn fill(database: &Database, calls: u64) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for first in (0..calls).step_by(AT_ONCE as usize) {
        let (mut some_calls, mut recordings, mut transcripts) = (String::new(), String::new(), String::new());
        for number in first..(first + AT_ONCE).min(calls) {
            let comma = if number == first { ' ' } else { ',' };
            // In the order of time, and random behind that.
            let id = format!("{number:016x}{:016x}", (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let at = 1_700_000_000_000 + number * 60_000;
            let state = if number % 10 == 0 { "busy" } else { "completed" };
            let mut spoken: Vec<String> =
                (0..WORDS).map(|_| word((VOCABULARY as f64).powf(dice.throw()) as u64 - 1)).collect();
            if number == 17 {
                spoken[3] = "saidonce".to_owned();
            }
            let spoken = spoken.join(" ");
            // As of somebody with few partners: a page is full of each.
            let to = 14_150_000_000 + number % 20;
            _ = write!(
                some_calls,
                "{comma}('{id}', 'CA{id}', 'outbound', '+{to}', '+15005550006', '[]', '{state}', 6, 0, {at}, {at}, {at}, {at})"
            );
            _ = write!(recordings, "{comma}('RE{id}', '{id}', 'completed', 2, 32, {at}, {at})");
            _ = write!(
                transcripts,
                "{comma}('{id}', '{id}', 'RE{id}', '', '{{}}', '{id}', 'completed', 4, 1, '{spoken}', {at}, {at})"
            );
        }
        let rows = format!(
            "BEGIN; INSERT INTO calls (id, sid, direction, to_number, from_number, keyterms, state, rank, holds_number, \
             created_at, ended_at, updated_at, dialled_at) VALUES {some_calls}; \
             INSERT INTO recordings (sid, call_id, state, rank, duration_seconds, created_at, updated_at) \
             VALUES {recordings}; \
             INSERT INTO transcripts (id, transcript_id, recording_sid, audio, parameters, request_key, state, rank, \
             round, text, created_at, updated_at) VALUES {transcripts}; COMMIT"
        );
        database.execute(&rows).await.expect("rows");
    }
    let each = match database.is_postgres() {
        true => "string_to_table(text, ' ') WITH ORDINALITY AS each (value, key)",
        false => "json_each('[\"' || replace(text, ' ', '\",\"') || '\"]')",
    };
    let first = i64::from(database.is_postgres());
    let words = format!(
        "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence) \
         SELECT transcripts.id, key - {first}, value, (key - {first}) * 400, (key - {first}) * 400 + 300, 0.9 FROM transcripts, {each}; \
         INSERT INTO unsearched (transcript) SELECT id FROM transcripts"
    );
    database.execute(&words).await.expect("words");
    let behind = "INSERT INTO jobs (kind, subject, state, due_at, nudged, attempt, failures, looks, created_at) \
                  SELECT 'call', id, 'done', created_at, 0, 1, 0, 0, created_at FROM calls UNION ALL \
                  SELECT 'transcript', id, 'done', created_at, 0, 1, 0, 0, created_at FROM transcripts; \
                  INSERT INTO history (call_id, kind, subject, state, rank, round, at) \
                  SELECT id, 'call', id, state, rank, 1, created_at FROM calls UNION ALL \
                  SELECT call_id, 'recording', sid, state, rank, 1, created_at FROM recordings UNION ALL \
                  SELECT id, 'transcript', id, state, rank, 1, created_at FROM transcripts";
    database.execute(behind).await.expect("jobs and history");
    if database.is_postgres() {
        // As it does by itself within a minute.
        database.execute("ANALYZE").await.expect("statistics");
    }
}
