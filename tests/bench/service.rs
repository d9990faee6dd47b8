//! The program's speed and costs: each figure beside its yardstick, measured in the same run on the same machine. The
//! release binary runs as a child process; both vendors run in the benchmark, on loopback.
//!
//! `cargo bench --bench service` prints the whole table in about seven minutes. Options, after `--`:
//! - `record callback`: only these rows;
//! - `--calls 100000`: another size of the large history;
//! - `--database postgres`: histories and the pipeline's store in PostgreSQL, at `TEST_DATABASE_URL`, which `.ci/postgres`
//!   sets;
//! - `--latency 50`: both vendors answer after 50 ms in the pipeline's rows;
//! - `--short`: smaller measurements.
//!
//! It fails if a ratio misses its goal by more than a factor of two, or if an acknowledged callback is lost. Without
//! `--bench`, as in `cargo test --benches`, it measures next to nothing, to show that it works.

mod accuracy;
mod audio;
mod bare;
mod callbacks;
mod client;
// The tests and the other benchmarks use more of these.
#[path = "../it/support/command.rs"]
#[expect(dead_code)]
mod command;
mod corrections;
mod exports;
mod history;
mod http;
#[expect(dead_code)]
mod process;
#[path = "../it/support/store.rs"]
#[expect(dead_code)]
mod store;
mod table;
mod transcripts;
mod webhooks;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio;
use futures_util::future::join_all;
use rusqlite::Connection as Sqlite;

use accuracy::Checked;
use audio::Servers;
use callbacks::{CONNECTIONS, Load, isolated, listen, lost, send_callbacks};
use client::{Connection, Times, VOICE, form, get, post};
use corrections::{Corrected, FEW_WORDS, MANY_WORDS, Yardstick};
use history::History;
use process::Process;
use store::Database;
use table::{Goal, Table};

/// The size of each measurement.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Program and yardstick take turns, so that both see the same state of the machine.
    rounds: u32,
    /// Rounds of greetings.
    greetings: u64,
    /// Duration of a round of load.
    load: Duration,
    dials: u64,
    /// In bytes.
    audio: u64,
    recordings: usize,
    /// Calls that are deleted by a filter.
    deleted_calls: usize,
    few_calls: u64,
    many_calls: u64,
    /// Per client and kind of request.
    requests: usize,
    starts: u32,
    /// Corrections of each transcript, and five times as many where there is one client.
    saves: usize,
    /// Times that a long transcript is read.
    reads: usize,
    /// Keys that are typed in a browser, which a short run does without.
    keys: usize,
    /// Calls in which a text is replaced, and calls that are exported.
    replaced_calls: u64,
    /// Calls that are checked, and terms of the vocabulary.
    checked_calls: u64,
    terms: u64,
    /// Webhooks of a round.
    deliveries: usize,
}

const WHOLE: Size = Size {
    rounds: 5,
    greetings: 51,
    load: Duration::from_secs(2),
    dials: 1_000,
    audio: 1 << 30,
    recordings: 1_000,
    deleted_calls: 10_000,
    few_calls: 1_000,
    many_calls: 1_000_000,
    requests: 100,
    starts: 15,
    saves: 20,
    reads: 25,
    keys: 200,
    replaced_calls: 100_000,
    checked_calls: 10_000,
    terms: 50_000,
    deliveries: 10_000,
};

/// Enough to tell a ratio at half of its goal from noise.
const SHORT: Size = Size {
    rounds: 5,
    greetings: 15,
    load: Duration::from_millis(400),
    dials: 300,
    audio: 1 << 28,
    recordings: 200,
    deleted_calls: 200,
    few_calls: 1_000,
    many_calls: 20_000,
    requests: 30,
    starts: 5,
    saves: 2,
    reads: 5,
    keys: 0,
    replaced_calls: 5_000,
    checked_calls: 1_000,
    terms: 5_000,
    deliveries: 1_000,
};

const TINY: Size = Size {
    rounds: 1,
    greetings: 1,
    load: Duration::from_millis(50),
    dials: 3,
    audio: 1 << 20,
    recordings: 10,
    deleted_calls: 10,
    few_calls: 20,
    many_calls: 50,
    requests: 1,
    starts: 1,
    saves: 1,
    reads: 1,
    keys: 0,
    replaced_calls: 100,
    checked_calls: 20,
    terms: 100,
    deliveries: 20,
};

struct Options {
    rows: Vec<String>,
    size: Size,
    /// Whether the benchmark fails if a row is far from its goal.
    is_judged: bool,
    latency: Duration,
    is_postgres: bool,
}

impl Options {
    fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|selected| selected == row)
    }

    fn database(&self) -> Database {
        if self.is_postgres {
            Database::postgres(&store::server().expect("an address of PostgreSQL"))
        } else {
            Database::sqlite()
        }
    }
}

const ROWS: [&str; 19] = [
    "record", "callback", "dial", "audio", "pipeline", "import", "delete", "history", "start", "metrics", "correct",
    "read", "type", "replace", "export", "accuracy", "order", "webhooks", "idle",
];

#[tokio::main]
async fn main() -> ExitCode {
    if let Ok(address) = std::env::var(process::BARE) {
        let folder = std::env::current_dir().expect("a folder");
        bare::serve(address.parse().expect("an address"), &folder).await;
    }
    let options = options();
    let mut table = Table::head();
    if options.wants("record") {
        greetings(&mut table, options.size).await;
    }
    if options.wants("callback") {
        callbacks(&mut table, options.size).await;
    }
    if options.wants("dial") {
        dials(&mut table, options.size).await;
    }
    if options.wants("audio") {
        audio(&mut table, options.size).await;
    }
    if options.wants("pipeline") {
        pipeline(&mut table, &options).await;
    }
    if options.wants("import") {
        import(&mut table, &options).await;
    }
    if options.wants("delete") {
        deletion(&mut table, &options).await;
    }
    if ["history", "start", "metrics"].iter().any(|row| options.wants(row)) {
        history(&mut table, &options).await;
    }
    if options.wants("correct") {
        corrections(&mut table, options.size).await;
    }
    if options.wants("read") || options.wants("type") {
        long_transcript(&mut table, &options).await;
    }
    if options.wants("replace") {
        replacement(&mut table, &options).await;
    }
    if options.wants("export") {
        exporting(&mut table, options.size).await;
    }
    if options.wants("accuracy") {
        measured(&mut table, options.size).await;
    }
    if options.wants("order") {
        orders(&mut table, options.size).await;
    }
    if options.wants("webhooks") {
        deliveries(&mut table, options.size).await;
    }
    if options.wants("idle") {
        idle(&mut table).await;
    }

    let missed: Vec<String> = table.missed().collect();
    match missed.len() {
        0 => println!("\nall goals met"),
        1 => println!("\n1 goal missed"),
        missed => println!("\n{missed} goals missed"),
    }
    let broken: Vec<String> = table.broken().collect();
    if options.is_judged && !broken.is_empty() {
        println!("\nmissed by more than a factor of two:\n{}", broken.join("\n"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn options() -> Options {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let mut options = Options {
        rows: Vec::new(),
        size: if is_bench { WHOLE } else { TINY },
        is_judged: is_bench,
        latency: Duration::ZERO,
        is_postgres: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| {
            let number = arguments.next().and_then(|number| number.parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("{name} NUMBER"))
        };
        match argument.as_str() {
            "--bench" => {}
            "--short" => options.size = SHORT,
            "--calls" => options.size.many_calls = number("--calls"),
            "--latency" => options.latency = Duration::from_millis(number("--latency")),
            "--database" => {
                options.is_postgres = match arguments.next().as_deref() {
                    Some("sqlite") => false,
                    Some("postgres") => true,
                    _ => panic!("--database sqlite or postgres"),
                };
            }
            row if ROWS.contains(&row) => options.rows.push(row.to_owned()),
            other => panic!(
                "unknown argument {other}; expected --short, --calls, --latency, --database, or rows of {ROWS:?}"
            ),
        }
    }
    options
}

/// The median of an odd number of figures.
fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Number of calls per round of greetings.
const CALLS: u64 = 4_000;

/// Twilio's voice webhooks for this many dialed calls, numbered downwards from `first`.
fn voice_webhooks(path: &str, first: u64, calls: u64) -> Vec<Vec<u8>> {
    let webhook = |number| {
        let sid = format!("CA{number:032x}");
        let mut params = VOICE;
        params[2].1 = &sid;
        post(&format!("{path}?t={number:032x}"), &params)
    };
    (0..calls).map(|number| webhook(first - number)).collect()
}

/// Sends all requests over kept connections. Asserts that each response is 200 with a body of this length. Returns requests
/// per second and the response times.
async fn send_all(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, length: usize) -> (f64, Times) {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            let mut times = Times::default();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let answer = connection.exchange(request).await.expect("an answer");
                times.since(sent);
                assert_eq!((answer.status, answer.body.len()), (200, length));
            }
            times
        })
    });
    let mut times = Times::default();
    join_all(clients).await.into_iter().for_each(|client| times.extend(client.expect("a client")));
    (times.len() as f64 / begun.elapsed().as_secs_f64(), times)
}

/// TwiML for Twilio's voice webhooks.
async fn greetings(table: &mut Table, size: Size) {
    table.about(&format!(
        "signed POST /record/ -> TwiML, each for a different call; {CONNECTIONS} connections; bare axum that sends the \
         same bytes"
    ));
    let (program, _vendors) = isolated().await;
    let mut first = Connection::open(program.address).await.expect("a connection");
    let twiml = first.exchange(&voice_webhooks("/record/", u64::MAX, 1)[0]).await.expect("an answer").body;
    let bare = Process::bare_with(first.last()).await;
    let (mut rates, mut times) = ([vec![], vec![]], [Times::default(), Times::default()]);
    for round in 0..size.greetings {
        for (server, (address, path)) in
            [(program.address, "/record/"), (bare.address, "/answer")].into_iter().enumerate()
        {
            let (rate, took) =
                send_all(address, &Arc::new(voice_webhooks(path, (round + 1) * CALLS, CALLS)), twiml.len()).await;
            rates[server].push(rate);
            times[server].extend(took);
        }
    }
    let [rate, bare_rate] = rates.map(median);
    let [p99, bare_p99] = times.map(|times| times.percentile(0.99));
    table.row("record     answers/s", rate, bare_rate, Goal::RatioAtLeast(0.6));
    table.row("record     p99 ms", p99, bare_p99, Goal::RatioAtMost(3.0));
}

/// Creates a SQLite file in this folder, as durable as the program's.
fn yardstick_file(folder: &std::path::Path) -> Sqlite {
    let file = Sqlite::open(folder.join("yardstick.db")).expect("a file");
    file.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on; PRAGMA secure_delete = on; \
         PRAGMA temp_store = memory; PRAGMA wal_autocheckpoint = 4000; \
         CREATE TABLE callbacks (sid TEXT NOT NULL PRIMARY KEY, form TEXT NOT NULL)",
    )
    .expect("a table");
    file
}

fn commit(file: &Sqlite, number: u64) {
    let mut insert = file.prepare_cached("INSERT INTO callbacks (sid, form) VALUES ($1, $2)").expect("a statement");
    insert.execute((format!("RE{number:032x}"), form(&VOICE))).expect("a commit");
}

/// Returns commits per second of one thread that does nothing else.
fn commits(file: &Sqlite, numbers: &mut u64, load: Duration) -> f64 {
    let (begun, first) = (Instant::now(), *numbers);
    while begun.elapsed() < load {
        commit(file, *numbers);
        *numbers += 1;
    }
    (*numbers - first) as f64 / begun.elapsed().as_secs_f64()
}

/// Twilio's callbacks for completed recordings.
async fn callbacks(table: &mut Table, size: Size) {
    table.about(&format!(
        "signed recording callbacks, each for an unknown call; {CONNECTIONS} connections; SQLite's own commits of one row, \
         from one thread"
    ));
    let (program, _vendors) = isolated().await;
    let (file, mut number) = (yardstick_file(program.folder.path()), 0);
    let (numbers, mut all, mut rates, mut yardsticks) = (Arc::new(AtomicU64::new(1)), Load::default(), vec![], vec![]);
    for _ in 0..size.rounds {
        yardsticks.push(commits(&file, &mut number, size.load));
        let load = send_callbacks(program.address, Instant::now() + size.load, &numbers, &Arc::default()).await;
        rates.push(load.rate());
        all.times.extend(load.times);
        all.acknowledged.extend(load.acknowledged);
        all.others += load.others;
    }
    table.row("callback   stored/s", median(rates), median(yardsticks), Goal::RatioAtLeast(1.0));
    table.row("callback   p99 ms", all.times.percentile(0.99), None, Goal::AtMost(40.0));
    table.row("callback   not answered with 204", all.others as f64, None, Goal::Never);
    table.row("callback   memory MB", program.memory(), None, Goal::None);
    // Kills the program in the middle of a load, when it has had no time to write anything after its acknowledgments.
    let (address, numbers) = (program.address, Arc::clone(&numbers));
    let until = Instant::now() + Duration::from_secs(60);
    let last = tokio::spawn(async move { send_callbacks(address, until, &numbers, &Arc::default()).await });
    tokio::time::sleep(size.load / 4).await;
    let folder = program.kill();
    all.acknowledged.extend(last.await.expect("clients").acknowledged);
    let database = format!("sqlite://{}", folder.path().join("callscribe.db").display());
    let lost = lost(&database, &all.acknowledged);
    table.row("callback   acknowledged, but lost by a kill", lost as f64, None, Goal::Never);
}

/// Dialing.
async fn dials(table: &mut Table, size: Size) {
    table.about("GET /dial/ with a Twilio that answers at once; one bare POST to it by reqwest, and one commit");
    let sandbox = twilio::Twilio::start(listen().await, Pace::instant());
    // Calls stay queued and send no callbacks: only dialing is measured here.
    sandbox.control.set_callbacks(Callbacks::Drop);
    sandbox.hold(twilio::Stage::Ringing);
    let many = "1000000";
    let own = [("DIAL_PER_MINUTE", many), ("DIAL_PER_HOUR", many), ("DIAL_PER_DAY", many), ("TRANSCRIBE_PER_DAY", "*")];
    let own = [&own[..], &[("TWILIO_API_URL", sandbox.url())]].concat();
    let program = Process::local(&own);
    let file = yardstick_file(program.folder.path());
    let http = http::client();
    let calls = format!("{}/2010-04-01/Accounts/{}/Calls.json", sandbox.url(), twilio::ACCOUNT_SID);
    let mut connection = Connection::open(program.address).await.expect("a connection");
    let (mut times, mut bare_times) = (Times::default(), Times::default());
    for number in 0..size.dials {
        let to = 14_152_000_000 + number;
        let begun = Instant::now();
        let answer = connection.exchange(&get(&format!("/dial/{to}"))).await.expect("an answer");
        times.since(begun);
        assert!(answer.status == 200 && answer.body.contains("call SID is: CA"), "{}", answer.body);

        let to = format!("+{}", to + 5_000_000);
        let url = "https://callscribe.invalid/record/";
        let form = [
            ("To", to.as_str()),
            ("From", twilio::PHONE_NUMBER),
            ("Url", url),
            ("TimeLimit", "3600"),
            ("Method", "POST"),
        ];
        let begun = Instant::now();
        let request = http.post(&calls).basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN)).form(&form);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        answer.bytes().await.expect("a whole body");
        commit(&file, number);
        bare_times.since(begun);
    }
    table.row("dial       p50 ms", times.percentile(0.5), bare_times.percentile(0.5), Goal::RatioAtMost(1.5));
    table.row("dial       p99 ms", times.percentile(0.99), bare_times.percentile(0.99), Goal::None);
}

/// Transfer of a long recording from Twilio to AssemblyAI.
async fn audio(table: &mut Table, size: Size) {
    let mb = size.audio as f64 / 1e6;
    table.about(&format!(
        "a recording of {mb:.0} MB from Twilio to AssemblyAI; curl | curl between the same two servers"
    ));
    let servers = Servers::start(size.audio).await;
    let program = Process::local(&[("TWILIO_API_URL", &servers.url), ("ASSEMBLYAI_API_URL", &servers.url)]);
    let (http, address) = (http::client(), program.address.to_string());
    let before = program.peak_memory();
    let (mut rates, mut yardsticks) = (vec![], vec![]);
    for _ in 0..size.rounds.min(3) {
        rates.push(servers.by_program(&http, &address).await / 1e6);
        let by_curl = servers.clone();
        yardsticks.extend(tokio::task::spawn_blocking(move || by_curl.by_curl()).await.expect("a thread"));
    }
    let yardstick = (!yardsticks.is_empty()).then(|| median(yardsticks.into_iter().map(|rate| rate / 1e6)));
    let goal = if yardstick.is_some() { Goal::RatioAtLeast(0.9) } else { Goal::None };
    table.row("audio      MB/s", median(rates), yardstick, goal);
    table.row("audio      peak memory grown by MB", program.peak_memory() - before, None, Goal::AtMost(16.0));
}

/// From recordings to transcripts.
async fn pipeline(table: &mut Table, options: &Options) {
    let Options { size, latency, .. } = options;
    let recordings = size.recordings;
    table.about(&format!(
        "{recordings} recordings of {} bytes to transcripts, vendors that answer after {latency:?}; the same four requests \
         without the program",
        transcripts::AUDIO_BYTES
    ));
    let usage = transcripts::program(recordings, *latency, &options.database()).await;
    let yardstick = transcripts::yardstick(recordings, *latency).await;
    let rate = |time: Duration| recordings as f64 / time.as_secs_f64();
    table.row("pipeline   transcripts/s", rate(usage.time), rate(yardstick), Goal::AtLeast(200.0));
    let peak = usage.peak_memory.map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    table.row("pipeline   peak memory MB", peak, None, Goal::None);
}

/// The deletion of all calls that match a filter.
async fn deletion(table: &mut Table, options: &Options) {
    let Options { size, latency, .. } = options;
    let calls = size.deleted_calls;
    table.about(&format!(
        "{calls} calls, each with a recording and a transcript, deleted by a filter, vendors that answer after {latency:?}; \
         the four requests of each without the program"
    ));
    let time = transcripts::deletion(calls, *latency, &options.database()).await;
    let yardstick = transcripts::yardstick_of_deletion(calls, *latency).await;
    let rate = |time: Duration| calls as f64 / time.as_secs_f64();
    table.row("delete     calls/s", rate(time), rate(yardstick), Goal::None);
}

/// From recordings that the account has to transcripts.
async fn import(table: &mut Table, options: &Options) {
    let Options { size, latency, .. } = options;
    let recordings = size.recordings;
    table.about(&format!(
        "an import of {recordings} recordings of {} bytes, vendors that answer after {latency:?}; the same list and six requests \
         of each without the program",
        transcripts::AUDIO_BYTES
    ));
    let (mut rates, mut yardsticks, mut peak) = (vec![], vec![], 0.0_f64);
    for _ in 0..size.rounds.min(3) {
        let rate = |time: Duration| recordings as f64 / time.as_secs_f64();
        let usage = transcripts::import(recordings, *latency, &options.database()).await;
        rates.push(rate(usage.time));
        peak = peak.max(usage.peak_memory.map_or(f64::NAN, |bytes| bytes as f64 / 1e6));
        yardsticks.push(rate(transcripts::yardstick_of_import(recordings, *latency).await));
    }
    table.row("import     transcripts/s", median(rates), median(yardsticks), Goal::RatioAtLeast(0.35));
    table.row("import     peak memory MB", peak, None, Goal::None);
}

/// Lists and searches in a small and a large history, and the time to start with the large one.
async fn history(table: &mut Table, options: &Options) {
    let Options { size, .. } = options;
    let (few, many) = (size.few_calls, size.many_calls);
    let (small, large) = (History::of(few, options.database()).await, History::of(many, options.database()).await);
    if options.wants("history") {
        table.about(&format!(
            "{} clients at once, p99 in ms: {many} calls of {} words each; the same with {few} calls",
            history::CLIENTS,
            history::WORDS
        ));
        let (small, large) = (small.start(), large.start());
        // Of few requests, the 99th percentile is that of the slowest ones, which may be slow for any reason.
        let goal_of_items = if size.requests < 100 { 2.0 } else { 1.5 };
        for (paths, goal) in [(&history::REQUESTS[..], 2.0), (&history::ITEMS, goal_of_items)] {
            let of_small = small.measure(paths, size.requests).await;
            let of_large = large.measure(paths, size.requests).await;
            for (small, large) in of_small.iter().zip(&of_large) {
                table.row(format!("history    {}", large.name), large.p99_ms, small.p99_ms, Goal::RatioAtMost(goal));
            }
        }
        small.stop();
        large.stop();
    }
    if options.wants("metrics") {
        table.about(&format!("one client after requests of all kinds: {many} calls; the same with {few} calls"));
        let (of_small, of_large) = (small.start(), large.start());
        let small = of_small.scrape(size.requests).await;
        let large = of_large.scrape(size.requests).await;
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (large, small) = (large.percentile(share), small.percentile(share));
            table.row(format!("metrics    a scrape, {name} ms"), large, small, Goal::AtMost(5.0));
        }
        of_small.stop();
        of_large.stop();
    }
    if options.wants("start") {
        table.about("from the start of the process to its first answer; bare axum");
        let bare = median_of_starts(size.starts, || async { Process::bare().await }).await;
        let fresh = median_of_starts(size.starts, || async { Process::program(None, &[]) }).await;
        table.row("start      ms, with a new store", fresh, bare, Goal::AtMost(50.0));
        let url = large.url().to_owned();
        let full = median_of_starts(size.starts, || async { Process::program(None, &[("DATABASE_URL", &url)]) }).await;
        table.row(format!("start      ms, with {many} calls"), full, bare, Goal::AtMost(100.0));
    }
}

/// Median time from starting a server to its first response, in milliseconds.
async fn median_of_starts(times: u32, start: impl AsyncFn() -> Process) -> f64 {
    let mut starts = vec![];
    for _ in 0..times {
        let begun = Instant::now();
        let server = start().await;
        let mut connection = Connection::open(server.address).await.expect("a connection");
        let answer = connection.exchange(&get("/healthz")).await.expect("an answer");
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.status, 200);
    }
    median(starts)
}

/// Corrections of one word.
async fn corrections(table: &mut Table, size: Size) {
    table.about(&format!(
        "one word of a transcript of {FEW_WORDS} words corrected, each client in a transcript of its own; SQLite's own \
         commits of the same change, from as many threads"
    ));
    let rounds = size.rounds as usize;
    let clients = [1, 16];
    let transcripts = rounds as u64 * clients.iter().sum::<u64>();
    let corrected = Corrected::of(transcripts, FEW_WORDS).await;
    let yardstick = Yardstick::of(yardstick_file(corrected.program.folder.path()));
    let (mut times, mut yardsticks) = ([Times::default(), Times::default()], [Times::default(), Times::default()]);
    let mut first = 0;
    for _ in 0..rounds {
        for (which, clients) in clients.into_iter().enumerate() {
            let transcripts = first..first + clients;
            let saves = if clients == 1 { 5 * size.saves } else { size.saves };
            let texts = corrected.texts(transcripts.clone());
            yardsticks[which].extend(tokio::task::block_in_place(|| yardstick.save(&texts, saves)));
            times[which].extend(corrected.save(transcripts, saves).await);
            first += clients;
        }
    }
    for ((times, yardstick), clients) in times.iter().zip(&yardsticks).zip(clients) {
        let name = |what| format!("correct    {clients} at once, {what} ms");
        table.row(name("p50"), times.percentile(0.5), yardstick.percentile(0.5), Goal::RatioAtMost(2.0));
        // Of few, it is that of the slowest, which may be slow for any reason.
        let goal = if times.len() < 100 { Goal::None } else { Goal::RatioAtMost(2.0) };
        table.row(name("p99"), times.percentile(0.99), yardstick.percentile(0.99), goal);
    }
}

/// A transcript of three hours.
async fn long_transcript(table: &mut Table, options: &Options) {
    let Size { reads, keys, .. } = options.size;
    table.about(&format!("a conversation of {MANY_WORDS} words, p50 unless it says p99; one of {FEW_WORDS} words"));
    let (long, short) = (Corrected::of(1, MANY_WORDS).await, Corrected::of(1, FEW_WORDS).await);
    if options.wants("read") {
        let rows = [
            ("page ms", long.open(reads).await, short.open(reads).await, 0.5, Goal::None),
            ("?format=words ms", long.read(reads).await, short.read(reads).await, 0.5, Goal::None),
            (
                "one word corrected, p99 ms",
                long.save(0..1, reads).await,
                short.save(0..1, reads).await,
                0.99,
                Goal::AtMost(50.0),
            ),
            ("sides swapped, p99 ms", long.swap(reads).await, short.swap(reads).await, 0.99, Goal::AtMost(100.0)),
            ("speaker named, p99 ms", long.name(reads).await, short.name(reads).await, 0.99, Goal::AtMost(100.0)),
        ];
        for (what, long, short, share, goal) in rows {
            table.row(format!("read       {what}"), long.percentile(share), short.percentile(share), goal);
        }
    }
    if options.wants("type") && keys > 0 {
        let show = |of: &Corrected| corrections::show(of.program.address, keys);
        match tokio::task::block_in_place(|| show(&short).zip(show(&long))) {
            Some((short, long)) => {
                table.row("type       first paint ms", long.first_paint, short.first_paint, Goal::RatioAtMost(2.0));
                table.row("type       first letter ms", long.typed, short.typed, Goal::RatioAtMost(2.0));
                table.row(
                    "type       from a key to its paint, p99 ms",
                    long.key_p99,
                    short.key_p99,
                    Goal::AtMost(100.0),
                );
            }
            None => println!(
                "(type is left out: CALLSCRIBE_TEST_PYTHON names no Python with playwright, or there is no chromium)"
            ),
        }
    }
}

/// A text replaced in many transcripts.
async fn replacement(table: &mut Table, options: &Options) {
    let calls = options.size.replaced_calls;
    table.about(&format!(
        "a word replaced that is said in every {}th of {calls} calls of {} words each",
        history::SELDOM,
        history::WORDS
    ));
    let history = History::of(calls, options.database()).await;
    let replaced = corrections::replace(&history, options.size.reads).await;
    let rate = replaced.places as f64 / replaced.time.as_secs_f64();
    table.row("replace    search for the places, p50 ms", replaced.search.percentile(0.5), None, Goal::None);
    table.row("replace    words/s", rate, None, Goal::None);
}

/// All calls of a history as one file.
async fn exporting(table: &mut Table, size: Size) {
    let calls = size.replaced_calls;
    table.about(&format!(
        "an export of {calls} calls of {} words each; the same texts and words read by a bare connection and written as JSON",
        history::WORDS
    ));
    let history = History::of(calls, Database::sqlite()).await;
    for (format, least, most) in [("jsonl", 0.25, 40.0), ("zip", 0.08, 40.0)] {
        let (mut rates, mut yardsticks, mut grown) = (vec![], vec![], 0.0_f64);
        for _ in 0..size.rounds.min(3) {
            let bare = tokio::task::block_in_place(|| exports::bare(&history));
            let exported = exports::export(&history, format).await;
            rates.push(exported.megabytes / exported.time.as_secs_f64());
            yardsticks.push(exported.megabytes / bare.as_secs_f64());
            grown = grown.max(exported.grown);
        }
        let rate = format!("export     {format}, MB/s");
        table.row(rate, median(rates), median(yardsticks), Goal::RatioAtLeast(least));
        table.row(format!("export     {format}, peak memory grown by MB"), grown, None, Goal::AtMost(most));
    }
}

/// The figures of checked calls, which are not to take longer because there are others.
async fn measured(table: &mut Table, size: Size) {
    let Size { checked_calls: checked, replaced_calls: calls, reads, .. } = size;
    table.about(&format!("figures of {checked} checked calls of {calls}, p99, once they were asked for; of {checked}"));
    let (of_many, of_few) = (Checked::of(checked, calls).await, Checked::of(checked, checked).await);
    for path in accuracy::GROUPED {
        let (of_many, of_few) = (of_many.read(path, reads).await, of_few.read(path, reads).await);
        let name = format!("accuracy   {path} ms");
        table.row(name, of_many.percentile(0.99), of_few.percentile(0.99), Goal::AtMost(100.0));
    }
}

/// What a long vocabulary adds to an order.
async fn orders(table: &mut Table, size: Size) {
    table.about(&format!("an order of a transcript with {} terms in the vocabulary, p50; without a term", size.terms));
    let (without, with) = accuracy::orders(size.terms, size.requests).await;
    let (without, with) = (without.percentile(0.5), with.percentile(0.5));
    table.row("order      ms", with, without, Goal::None);
    table.row("order      ms more, to rank and send the terms", with - without, None, Goal::AtMost(5.0));
}

/// Webhooks to a receiver that answers at once.
async fn deliveries(table: &mut Table, size: Size) {
    table.about(&format!(
        "{} webhooks that wait when the program starts, to a receiver that answers at once; bare POSTs by reqwest, 16 at a \
         time, each followed by one commit",
        size.deliveries
    ));
    let (mut rates, mut yardsticks, mut posts) = (vec![], vec![], vec![]);
    for _ in 0..size.rounds {
        let folder = command::Folder::new();
        yardsticks.push(webhooks::posted(size.deliveries, folder.path(), true).await);
        posts.push(webhooks::posted(size.deliveries, command::Folder::new().path(), false).await);
        rates.push(webhooks::delivered(size.deliveries).await);
    }
    let rate = median(rates);
    table.row("webhooks   delivered/s", rate, median(yardsticks), Goal::RatioAtLeast(0.5));
    table.row("webhooks   delivered/s, beside POSTs without commits", rate, median(posts), Goal::None);
}

/// Memory and size of the idle program.
async fn idle(table: &mut Table) {
    table.about("idle, after one answer; bare axum");
    let (program, bare) = (Process::program(None, &[]), Process::bare().await);
    for server in [&program, &bare] {
        let mut connection = Connection::open(server.address).await.expect("a connection");
        assert_eq!(connection.exchange(&get("/healthz")).await.expect("an answer").status, 200);
    }
    table.row("idle       memory MB", program.memory(), bare.memory(), Goal::AtMost(20.0));
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_callscribe")).map_or(f64::NAN, |about| about.len() as f64 / 1e6);
    table.row("idle       binary MB", size, None, Goal::AtMost(15.0));
}
