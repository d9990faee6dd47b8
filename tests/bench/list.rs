//! How fast the list of calls and a search answer where much has been said: the program itself as a child process, at a
//! store that is filled here, asked by 16 clients at once. Beside it stands the same at 1,000 calls.
//!
//! `cargo bench --bench list -- --calls 100000 --database sqlite`; `--database postgres` wants `TEST_DATABASE_URL`, as
//! `.ci/postgres` sets it. It knows the program by its addresses, and its store by the tables.

// Shared with the tests, which use more of them.
#[path = "../it/support/command.rs"]
#[expect(dead_code)]
mod command;
#[path = "../it/support/store.rs"]
#[expect(dead_code)]
mod store;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use command::{ENOUGH, Folder, Program, with};
use store::Database;

/// Who asks at once.
const CLIENTS: usize = 16;

/// Words of each transcript.
const WORDS: u64 = 80;

/// Different words that are said, the n-th about 1/n as often as the first.
const VOCABULARY: u64 = 30_000;

/// Rows that are written in one statement.
const AT_ONCE: u64 = 2_000;

/// What is asked, and how: `{0}` is the most frequent word, and so on.
const ASKED: [(&str, &str); 13] = [
    ("/calls, JSON", "/calls"),
    ("/, page", "/"),
    ("number", "/calls?number=%2B14150000017"),
    ("end of a number", "/calls?number=0017"),
    ("state of few", "/calls?state=busy"),
    ("old days", "/calls?until=2001-01-01"),
    ("frequent word", "/calls?q={0}"),
    ("rare word", "/calls?q={9000}"),
    ("two words", "/calls?q={20}+{300}"),
    ("phrase", "/calls?q=%22{1}+{2}%22"),
    ("begin of a word", "/calls?q=k*"),
    ("nothing", "/calls?q={3}+notsaid"),
    ("word and state", "/calls?q={5}&state=busy"),
];

/// What to measure.
struct Options {
    calls: u64,
    requests: usize,
    kind: String,
}

#[tokio::main]
async fn main() {
    let Options { calls, requests, kind } = options();
    println!("{CLIENTS} clients, {requests} requests each, {WORDS} words a transcript, {kind}");
    let few = measure(calls.min(1_000), requests, &kind).await;
    let many = measure(calls, requests, &kind).await;
    println!("{:18} {:>21} {:>21} {:>7}", "", format!("{} calls", calls.min(1_000)), format!("{calls} calls"), "ratio");
    println!("{:18} {:>10} {:>10} {:>10} {:>10} {:>7}", "milliseconds", "p50", "p99", "p50", "p99", "of p99");
    for ((name, _), (few, many)) in ASKED.iter().zip(few.iter().zip(&many)) {
        let [a, b, c, d] = [few.0, few.1, many.0, many.1].map(|time| time.as_secs_f64() * 1e3);
        println!("{name:18} {a:10.1} {b:10.1} {c:10.1} {d:10.1} {:7.2}", d / b);
    }
}

/// Reads the arguments. `cargo bench` adds `--bench`; without it, as in `cargo test --benches`, nothing is measured, and a
/// few calls show that all this works.
fn options() -> Options {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (mut calls, requests) = if is_bench { (100_000, 100) } else { (50, 1) };
    let mut kind = "sqlite".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--calls" => calls = arguments.next().and_then(|number| number.parse().ok()).expect("--calls NUMBER"),
            "--database" => kind = arguments.next().expect("--database sqlite or postgres"),
            other => panic!("--calls NUMBER and --database sqlite|postgres, not {other}"),
        }
    }
    Options { calls, requests, kind }
}

/// The median and the 99th percentile of each question.
async fn measure(calls: u64, requests: usize, kind: &str) -> Vec<(Duration, Duration)> {
    let database = match kind {
        "sqlite" => Database::sqlite(),
        "postgres" => Database::postgres(&store::server().expect("an address of PostgreSQL")),
        other => panic!("sqlite or postgres, not {other}"),
    };
    let folder = Folder::new();
    let settings = with(&ENOUGH, &[("DATABASE_URL", &database.url)]);
    // Makes the tables.
    let mut program = Program::start(folder.path(), &[], &settings);
    program.address();
    program.signal("TERM");
    program.end();
    fill(&database, calls).await;

    let begun = Instant::now();
    let mut program = Program::start(folder.path(), &[], &settings);
    let base = format!("http://{}", program.address());
    println!("{calls} transcripts were taken into the index in {:.1} s", begun.elapsed().as_secs_f64());

    let mut measured = Vec::new();
    for (name, path) in ASKED {
        let url = format!("{base}{}", spelt(path));
        let accept = if name.ends_with("page") { "text/html" } else { "application/json" };
        ask(&url, accept, requests.div_ceil(10)).await;
        let mut times: Vec<Duration> =
            join_all((0..CLIENTS).map(|_| ask(&url, accept, requests))).await.into_iter().flatten().collect();
        times.sort_unstable();
        measured.push((times[times.len() / 2], times[(times.len() * 99).div_ceil(100) - 1]));
    }
    measured
}

/// How long each answer takes to a client of its own that asks one question after the other.
async fn ask(url: &str, accept: &str, requests: usize) -> Vec<Duration> {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls()).no_proxy().build().expect("a client");
    let mut times = Vec::new();
    for _ in 0..requests {
        let begun = Instant::now();
        let answer = client.get(url).header("accept", accept).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let body = answer.bytes().await.expect("a whole body");
        times.push(begun.elapsed());
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
            let id = format!("{:032x}", (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let at = 1_700_000_000_000 + number * 60_000;
            let state = if number % 50 == 0 { "busy" } else { "completed" };
            let spoken: Vec<String> =
                (0..WORDS).map(|_| word((VOCABULARY as f64).powf(dice.throw()) as u64 - 1)).collect();
            let spoken = spoken.join(" ");
            let to = 14_150_000_000 + number % 10_000_000;
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
    if database.is_postgres() {
        // As it does by itself within a minute.
        database.execute("ANALYZE").await.expect("statistics");
    }
}

/// Trusts nobody: it talks to this computer alone, without TLS.
fn tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let roots = rustls::RootCertStore::empty();
    versions.expect("default versions").with_root_certificates(roots).with_no_client_auth()
}
