//! What it takes to measure the calls that people have checked, and to choose the terms of an order from a long vocabulary.

use std::time::Instant;

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::pace::Pace;
use serde_json::json;

use crate::callbacks::{listen, open};
use crate::client::{Connection, Times, get, post_json};
use crate::history::History;
use crate::process::Process;
use crate::store::Database;

/// What the figures are grouped by. Each number has 500 of 10,000 calls.
pub(crate) const GROUPED: [&str; 3] = ["/accuracy", "/accuracy?by=model,month", "/accuracy?by=contact"];

/// The program on a store with this many calls, of which some are checked.
pub(crate) struct Checked {
    program: Process,
    _history: History,
}

impl Checked {
    pub(crate) async fn of(checked: u64, calls: u64) -> Self {
        let history = History::of(calls, Database::sqlite()).await;
        let measures = "INSERT INTO measures SELECT transcripts.id, '', 'checked', 1, calls.id, calls.created_at, 0,
                        'assemblyai-stt-3-7', 'none', '', to_number, 'en', 18 - calls.rowid % 3, 1, calls.rowid % 3, 0, 2, 1,
                        0, '9 2 1 18 18 0' FROM transcripts JOIN recordings ON recordings.sid = recording_sid
                        JOIN calls ON calls.id = call_id ORDER BY transcripts.id DESC LIMIT ?1";
        assert_eq!(open(history.url()).execute(measures, [checked as i64]).expect("measures"), checked as usize);
        let program = Process::local(&[("DATABASE_URL", history.url())]);
        Self { program, _history: history }
    }

    /// Asks for the figures this many times, after a first time.
    pub(crate) async fn read(&self, path: &str, times: usize) -> Times {
        let mut connection = Connection::open(self.program.address).await.expect("a connection");
        let mut taken = Times::default();
        for n in 0..=times {
            let begun = Instant::now();
            let answer = connection.exchange(&get(path)).await.expect("an answer");
            assert!(answer.status == 200 && answer.body.contains("\"checked\""), "{path}: {}", answer.body);
            if n > 0 {
                taken.since(begun);
            }
        }
        taken
    }
}

/// Orders transcripts without a vocabulary, and with one of this many terms. Returns the times of both.
pub(crate) async fn orders(terms: u64, times: usize) -> (Times, Times) {
    let vendor = AssemblyAi::start(listen().await, Pace::live());
    let program = Process::local(&[("ASSEMBLYAI_API_URL", vendor.url()), ("TRANSCRIBE_PER_DAY", "*")]);
    let without = order(&program, "without", times).await;
    let insert = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
                  INSERT INTO terms (id, term, lower_case, scope, source, state, made_at, made_by, rank)
                  SELECT printf('%032x', n), 'Term ' || n, 'term ' || n, 'all', 'typed', 'active', 1, '', n * 7919 % ?1
                  FROM numbers";
    let store = program.folder.path().join("callscribe.db");
    open(&store.display().to_string()).execute(insert, [terms as i64]).expect("terms");
    (without, order(&program, "with", times).await)
}

async fn order(program: &Process, name: &str, times: usize) -> Times {
    let mut connection = Connection::open(program.address).await.expect("a connection");
    let mut taken = Times::default();
    for n in 0..times {
        let wanted = json!({"audio_url": format!("https://callscribe.invalid/{name}/{n}.wav")});
        let begun = Instant::now();
        let answer = connection.exchange(&post_json("/transcribe", &wanted)).await.expect("an answer");
        taken.since(begun);
        assert!(answer.status < 300, "{}", answer.body);
    }
    taken
}
