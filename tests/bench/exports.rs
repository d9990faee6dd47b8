//! What it takes to export all calls of a history: the time, and the memory.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use rusqlite::Connection as Sqlite;
use serde_json::json;

use crate::callbacks::open;
use crate::history::History;
use crate::http;
use crate::process::Process;

/// An export.
pub(crate) struct Exported {
    pub(crate) megabytes: f64,
    pub(crate) time: Duration,
    /// By how many megabytes the peak of the program's memory grew.
    pub(crate) grown: f64,
}

/// Exports all calls in this format, from a program that has just started.
pub(crate) async fn export(history: &History, format: &str) -> Exported {
    let program = Process::local(&[("DATABASE_URL", history.url())]);
    let client = http::client();
    let url = |query: &str| format!("http://{}/export?format={format}{query}", program.address);
    // What the first export of all needs, and no other.
    let first = client.get(url("&until=2001-01-01")).send().await.expect("an answer");
    assert_eq!(first.bytes().await.map(|_| ()).ok(), Some(()));
    let before = program.peak_memory();
    let begun = Instant::now();
    let mut answer = client.get(url("")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.expect("a whole export") {
        bytes += chunk.len();
    }
    Exported { megabytes: bytes as f64 / 1e6, time: begun.elapsed(), grown: program.peak_memory() - before }
}

/// How long a bare connection takes to read the same texts and words, and to write them as JSON.
pub(crate) fn bare(history: &History) -> Duration {
    let begun = Instant::now();
    let store: Sqlite = open(history.url());
    let sql =
        "SELECT transcripts.id, text, to_number, calls.created_at FROM calls JOIN recordings ON call_id = calls.id
               JOIN transcripts ON recording_sid = recordings.sid ORDER BY calls.created_at DESC";
    let mut calls = store.prepare(sql).expect("a statement");
    let sql = "SELECT word, start_ms, end_ms FROM words WHERE transcript = ?1 ORDER BY position";
    let mut words = store.prepare(sql).expect("a statement");
    let mut rows = calls.query([]).expect("rows");
    while let Some(row) = rows.next().expect("a row") {
        let (id, text) = (row.get::<_, String>(0).expect("an id"), row.get::<_, String>(1).expect("a text"));
        let (number, at) = (row.get::<_, String>(2).expect("a number"), row.get::<_, i64>(3).expect("a time"));
        let word = |row: &rusqlite::Row| {
            Ok(
                json!({ "text": row.get::<_, String>(0)?, "start": row.get::<_, i64>(1)?, "end": row.get::<_, i64>(2)? }),
            )
        };
        let words = words.query_map([&id], word).expect("rows").collect::<Result<Vec<_>, _>>().expect("words");
        let line = json!({ "id": id, "number": number, "at": at, "text": text, "words": words });
        writeln!(io::sink(), "{line}").expect("a sink");
    }
    begun.elapsed()
}
