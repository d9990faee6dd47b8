//! How much load the server carries: requests per second, and its state under hostile clients. The program runs as a child
//! process, on loopback, with sandbox vendors; the yardstick, in the same run, is a minimal axum server.
//!
//! `cargo bench --bench load` runs all rows; `-- --seconds 30 L1 L3` selects rows and the duration of each load. Rows L2 and
//! L3 need `wrk` (`apt-get install wrk`) and are skipped without it. The benchmark opens up to 5,000 connections; run
//! `ulimit -n 12000` first if fewer files are allowed. Without `--bench`, as in `cargo test --benches`, each row runs only
//! for a moment, to show that it works.

mod bare;
mod callbacks;
// The other benchmarks use more of it.
#[expect(dead_code)]
mod client;
// The tests and the other benchmarks use more of these.
#[path = "../it/support/command.rs"]
#[expect(dead_code)]
mod command;
#[expect(dead_code)]
mod process;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording};
use callscribe::sandbox::{assemblyai, twilio};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use callbacks::{CONNECTIONS, isolated, listen, lost, open, send_callbacks};
use client::{Connection, Times, VOICE, form, get, numbered_recording_callback, post, recording_callback, sign};
use process::Process;

/// The program's timeout for a request's head, and for a callback's body.
const HEAD: Duration = Duration::from_secs(10);

/// Time after which the program must have closed all slow connections.
const LIMIT: Duration = Duration::from_secs(HEAD.as_secs() + 2);

/// The program's connection limit.
const CAP: usize = 1_024;

/// The command line options.
struct Options {
    rows: Vec<String>,
    load: Duration,
    /// Divides the number of clients and requests in rows with many.
    share: usize,
}

impl Options {
    fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|selected| selected == row)
    }

    fn many(&self, clients: usize) -> usize {
        clients / self.share
    }
}

#[tokio::main]
async fn main() {
    if let Ok(address) = std::env::var(process::BARE) {
        let folder = std::env::current_dir().expect("a folder");
        return bare::serve(address.parse().expect("an address"), &folder).await;
    }
    let options = options();
    println!("{:<46} {:>12} {:>14} {:>12} {:>6}", "", "program", "goal", "bare", "ratio");
    if options.wants("L1") {
        callbacks(&options).await;
    }
    if options.wants("L2") {
        greetings(&options).await;
    }
    if options.wants("L3") {
        forgeries(&options).await;
    }
    if options.wants("L4") {
        slow_clients(&options).await;
    }
    if options.wants("L5") {
        crowd(&options, None).await;
        crowd(&options, Some(1_024)).await;
    }
    if options.wants("L6") {
        one_callback_many_times(&options).await;
    }
    if options.wants("L7") {
        one_number_many_times(&options).await;
    }
    if options.wants("L8") {
        callbacks_among_slow_clients(&options).await;
    }
    if options.wants("L13") {
        stop_under_load(&options).await;
    }
}

fn options() -> Options {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (seconds, share) = if is_bench { (10.0, 1) } else { (0.5, 20) };
    let mut options = Options { rows: Vec::new(), load: Duration::from_secs_f64(seconds), share };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--seconds" => {
                let seconds = arguments.next().and_then(|seconds| seconds.parse().ok()).expect("--seconds NUMBER");
                options.load = Duration::from_secs_f64(seconds);
            }
            row if row.starts_with('L') => options.rows.push(row.to_owned()),
            other => panic!("unknown argument {other}; expected --seconds NUMBER and rows such as L1"),
        }
    }
    options
}

/// Prints a line of the table. `bare` is `None` where the bare server cannot do the same.
fn line(what: &str, program: f64, goal: &str, bare: Option<f64>) {
    let (bare, ratio) = match bare {
        Some(bare) => (format!("{bare:.1}"), format!("{:.2}", program / bare)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    println!("{what:<46} {program:>12.1} {goal:>14} {bare:>12} {ratio:>6}");
}

/// L1: signed callbacks for completed recordings, each with a different body.
async fn callbacks(options: &Options) {
    let (numbers, is_over) = (Arc::default(), Arc::default());
    let (program, _vendors) = isolated().await;
    let load = send_callbacks(program.address, Instant::now() + options.load, &numbers, &is_over).await;
    let bare = Process::bare().await;
    let bare_load = send_callbacks(bare.address, Instant::now() + options.load, &numbers, &is_over).await;
    line("L1  callbacks/s", load.rate(), ">= 2000", Some(bare_load.rate()));
    for (name, share, goal) in [("L1  p50 ms", 0.5, ""), ("L1  p99 ms", 0.99, "<= 40")] {
        line(name, load.times.percentile(share), goal, Some(bare_load.times.percentile(share)));
    }
    line("L1  not answered with 204", load.others as f64, "0", Some(bare_load.others as f64));
    line("L1  acknowledged and not stored", lost(&program.database(), &load.acknowledged) as f64, "0", None);
    line("L1  memory MB", program.memory(), "", Some(bare.memory()));
}

/// The results of `wrk`.
struct Wrk {
    rate: f64,
    p99_ms: f64,
    failed: u64,
}

/// Posts the same form again and again, and counts responses with another status. Returns `None` without `wrk`.
async fn wrk(process: &Process, path: &str, signature: &str, body: &str, status: u16, load: Duration) -> Option<Wrk> {
    let script = format!(
        "wrk.method = 'POST'\nwrk.body = '{body}'\n\
         wrk.headers['Content-Type'] = 'application/x-www-form-urlencoded'\n\
         wrk.headers['X-Twilio-Signature'] = '{signature}'\n\
         local threads = {{}}\nfunction setup(thread) table.insert(threads, thread) end\n\
         function init() failed = 0 end\nfunction response(status) if status ~= {status} then failed = failed + 1 end end\n\
         function done(summary, latency)\n local failed = summary.errors.connect + summary.errors.read\n\
         for _, thread in ipairs(threads) do failed = failed + thread:get('failed') end\n\
         print('figures ' .. summary.requests / summary.duration * 1e6 .. ' ' .. latency:percentile(99) / 1000 .. ' ' .. failed)\n\
         end\n"
    );
    let script = process.folder.write("load.lua", &script);
    let mut wrk = Command::new("wrk");
    let duration = format!("{}s", load.as_secs().max(1));
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), "-d", &duration, "-s", &script]);
    wrk.arg(format!("http://{}{path}", process.address));
    let output = match tokio::task::spawn_blocking(move || wrk.output()).await.expect("a thread") {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: wrk is not installed; apt-get install wrk");
            return None;
        }
        Err(error) => panic!("wrk: {error}"),
    };
    let figures = output.lines().find_map(|line| line.strip_prefix("figures ")).unwrap_or_else(|| panic!("{output}"));
    let figures: Vec<f64> = figures.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    Some(Wrk { rate: figures[0], p99_ms: figures[1], failed: figures[2] as u64 })
}

/// L2: TwiML for a call, also while another program holds the database lock.
async fn greetings(options: &Options) {
    let (program, _vendors) = isolated().await;
    let bare = Process::bare().await;
    let run = async |process: &Process| {
        wrk(process, "/record/", &sign("/record/", &VOICE), &form(&VOICE), 200, options.load).await
    };
    let (Some(result), Some(bare_result)) = (run(&program).await, run(&bare).await) else { return };
    line("L2  TwiML/s", result.rate, ">= 5000", Some(bare_result.rate));
    line("L2  p99 ms", result.p99_ms, "<= 20", Some(bare_result.p99_ms));
    line("L2  not answered with 200", result.failed as f64, "0", Some(bare_result.failed as f64));

    line("L2  memory MB", program.memory(), "", Some(bare.memory()));
    let holder = open(&program.database());
    holder.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    let (mut times, mut others) = (Times::default(), 0);
    let mut connection = Connection::open(program.address).await.expect("a connection");
    for _ in 0..options.many(1_000) {
        let sent = Instant::now();
        let answer = connection.exchange(&post("/record/", &VOICE)).await.expect("an answer");
        times.since(sent);
        others += u64::from(answer.status != 200 || !answer.body.contains("<Record"));
    }
    line("L2  p99 ms while the database is locked", times.percentile(0.99), "<= 20", None);
    line("L2  without TwiML while it is locked", others as f64, "0", None);
}

/// L3: a flood of forged signatures, with valid callbacks among them.
async fn forgeries(options: &Options) {
    let (program, _vendors) = isolated().await;
    let bare = Process::bare().await;
    // One request first, so that one-time allocations are not measured.
    let mut connection = Connection::open(program.address).await.expect("a connection");
    connection.exchange(&numbered_recording_callback(u64::MAX).1).await.expect("an answer");
    let before = program.memory();
    let flood = async |process: &Process| {
        let path = "/hooks/twilio/recording";
        let over = Arc::new(AtomicBool::new(false));
        let steady = tokio::spawn(steadily(process.address, Arc::clone(&over)));
        let flood = wrk(process, path, "bm9ib2R5IHNpZ25lZCB0aGlzIQ==", &form(&VOICE), 403, options.load).await;
        over.store(true, Ordering::Relaxed);
        (flood, steady.await.expect("a client"))
    };
    let (Some(refused), (times, others)) = flood(&program).await else { return };
    let (Some(bare_refused), (bare_times, _)) = flood(&bare).await else { return };
    line("L3  refused/s", refused.rate, ">= 20000", Some(bare_refused.rate));
    line("L3  not refused", refused.failed as f64, "0", Some(bare_refused.failed as f64));
    let p99 = |times: &Times| times.percentile(0.99);
    line("L3  p99 ms of 50 valid ones/s", p99(&times), "<= 100", Some(p99(&bare_times)));
    line("L3  valid ones not acknowledged", others as f64, "0", None);
    line("L3  memory grown by MB", program.memory() - before, "<= 20", None);
}

/// Sends 50 callbacks per second, each timed from the moment it was due.
async fn steadily(address: SocketAddr, over: Arc<AtomicBool>) -> (Times, u64) {
    let mut connection = Connection::open(address).await.expect("a connection");
    let (mut times, mut others) = (Times::default(), 0);
    let mut due = tokio::time::interval(Duration::from_millis(20));
    for number in 1.. {
        let due = due.tick().await.into_std();
        if over.load(Ordering::Relaxed) {
            break;
        }
        let answer = connection.exchange(&numbered_recording_callback(number).1).await.expect("an answer");
        times.since(due);
        others += u64::from(answer.status != 204);
    }
    (times, others)
}

/// Requests `/healthz` ten times per second over one connection while `load` runs.
async fn while_healthy<T>(address: SocketAddr, load: impl Future<Output = T>) -> (T, Times) {
    let mut connection = Connection::open(address).await.expect("a connection");
    let mut times = Times::default();
    let watch = async {
        let mut due = tokio::time::interval(Duration::from_millis(100));
        loop {
            due.tick().await;
            let sent = Instant::now();
            let answer = connection.exchange(&get("/healthz")).await.expect("an answer");
            assert_eq!(answer.status, 200);
            times.since(sent);
        }
    };
    let ended = tokio::select! { ended = load => ended, () = watch => unreachable!("an endless loop") };
    (ended, times)
}

/// How the connection of a slow client ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With 503, because of the connection limit.
    Refused,
    /// Closed after this time.
    Closed(Duration),
    /// Not closed in time. Or the kernel dropped the connection from the backlog, which a client that sends nothing does not
    /// notice.
    Unknown,
}

/// Sends `begin`, and then a byte every second if `drip`, until the connection closes or `LIMIT` is over.
async fn dripping(address: SocketAddr, begin: Vec<u8>, drip: bool) -> End {
    let begun = Instant::now();
    let Ok(mut stream) = TcpStream::connect(address).await else { return End::Refused };
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let read = async { while let Ok(1..) = reading.read_buf(&mut answer).await {} };
    let write = async {
        _ = writing.write_all(&begin).await;
        let mut pause = tokio::time::interval(Duration::from_secs(1));
        loop {
            pause.tick().await;
            if drip {
                _ = writing.write_all(b"a").await;
            }
        }
    };
    tokio::select! { () = read => {}, () = write => {}, () = tokio::time::sleep(LIMIT) => return End::Unknown }
    if answer.starts_with(b"HTTP/1.1 503") { End::Refused } else { End::Closed(begun.elapsed()) }
}

/// L4: heads and bodies that arrive a byte per second, and connections on which nothing arrives.
async fn slow_clients(options: &Options) {
    let (program, _vendors) = isolated().await;
    let address = program.address;
    let (before, sockets) = (program.memory(), program.sockets());
    let mut most = before;
    let clients = async {
        let mut clients = JoinSet::new();
        for number in 0..options.many(3_000) {
            let head = "POST /hooks/twilio/call HTTP/1.1\r\nhost: localhost\r\nx-twilio-signature: x\r\n";
            let (begin, drip) = match number % 6 {
                0 => (String::new(), false),
                1 => (format!("{head}content-length: 1000\r\n\r\n"), true),
                _ => (format!("{head}x: "), true),
            };
            clients.spawn(dripping(address, begin.into_bytes(), drip));
        }
        let (mut refused, mut longest) = (0, Duration::ZERO);
        let mut sample = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                end = clients.join_next() => match end {
                    // Without the connection for /healthz.
                    None => return (refused, longest, program.sockets() - 1),
                    Some(end) => match end.expect("a client") {
                        End::Closed(after) => longest = longest.max(after),
                        End::Refused => refused += 1,
                        End::Unknown => {}
                    },
                },
                _ = sample.tick() => most = most.max(program.memory()),
            }
        }
    };
    let ((refused, longest, open), times) = while_healthy(address, clients).await;
    let limit = format!("<= {}", LIMIT.as_secs());
    line("L4  the last slow client closed after s", longest.as_secs_f64(), &limit, None);
    line("L4  still open at the program after that", open as f64 - sockets as f64, "0", None);
    line("L4  refused at once", f64::from(refused), "", None);
    line("L4  p99 ms of /healthz meanwhile", times.percentile(0.99), "<= 50", None);
    line("L4  memory grown by MB", most - before, "<= 64", None);
}

/// L5: 5,000 concurrent connections that stay open.
async fn crowd(options: &Options, files: Option<u32>) {
    let vendors = format!("http://{}", listen().await.local_addr().expect("a bound listener"));
    let program = Process::program(files, &[("TWILIO_API_URL", &vendors), ("ASSEMBLYAI_API_URL", &vendors)]);
    let (address, before) = (program.address, program.sockets());
    let mut attempts = JoinSet::new();
    for _ in 0..options.many(5_000) {
        attempts.spawn(async move {
            let mut stream = TcpStream::connect(address).await.ok()?;
            // An accepted connection receives nothing. A refused one gets 503 at once, or the kernel drops it.
            let mut first = [0];
            let received = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut first)).await;
            let mut connection = Connection::of(stream);
            let is_held = received.is_err() && connection.exchange(&get("/healthz")).await.ok()?.status == 200;
            is_held.then_some(connection)
        });
    }
    let (mut held, mut most) = (Vec::new(), 0);
    let mut sample = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                None => break,
                Some(attempt) => held.extend(attempt.expect("a client")),
            },
            _ = sample.tick() => most = most.max(program.sockets()),
        }
    }
    let of = files.map_or(String::new(), |files| format!(" (of {files} files)"));
    line(&format!("L5  connections held{of}"), held.len() as f64, &format!("<= {CAP}"), None);
    line("L5  most connections at the program", (most - before) as f64, &format!("<= {CAP}"), None);
    line(
        "L5  not accepted for lack of files",
        program.log().matches("could not accept a connection").count() as f64,
        "0",
        None,
    );
    drop(held);
    let dropped = Instant::now();
    while !is_healthy(address).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    line("L5  healthy again after ms", dropped.elapsed().as_secs_f64() * 1e3, "<= 2000", None);
}

async fn is_healthy(address: SocketAddr) -> bool {
    let request = async { Connection::open(address).await?.exchange(&get("/healthz")).await };
    request.await.is_ok_and(|answer| answer.status == 200)
}

/// Starts the program with these vendors.
async fn between(twilio: &twilio::Twilio, assemblyai: &assemblyai::AssemblyAi) -> Process {
    let vendors = [("TWILIO_API_URL", twilio.url()), ("ASSEMBLYAI_API_URL", assemblyai.url())];
    Process::program(None, &[&vendors[..], &[("TRANSCRIBE_PER_DAY", "*")]].concat())
}

/// L6: the same callback on many connections at once.
async fn one_callback_many_times(options: &Options) {
    let twilio = twilio::Twilio::start(listen().await, Pace::instant());
    let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
    let call = twilio.add_call(SeededCall::default());
    let audio = Audio::Marked { bytes: 100_000 };
    let seeded = SeededRecording { call_sid: call.clone(), audio, ..Default::default() };
    let recording = twilio.add_recording(seeded);
    let program = between(&twilio, &assemblyai).await;
    let request = Arc::new(recording_callback(&call, &recording));
    let mut clients = JoinSet::new();
    for _ in 0..options.many(1_000) {
        let (request, address) = (Arc::clone(&request), program.address);
        clients.spawn(async move { Connection::open(address).await?.exchange(&request).await });
    }
    let ends = clients.join_all().await;
    let others = ends.iter().filter(|end| !end.as_ref().is_ok_and(|answer| answer.status == 204)).count();
    let show = get(&format!("/calls/{call}"));
    loop {
        let mut connection = Connection::open(program.address).await.expect("a connection");
        let shown = connection.exchange(&show).await.expect("an answer");
        if shown.body.contains("\"progress\":\"done\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let store = open(&program.database());
    let rows = store.query_row("SELECT count(*) FROM recordings", [], |row| row.get::<_, i64>(0)).expect("a count");
    let requests = |at: &callscribe::sandbox::control::Control, method, route| at.request_count(method, route) as f64;
    line("L6  not answered with 204", others as f64, "0", None);
    line("L6  recordings stored", rows as f64, "1", None);
    line("L6  downloads", requests(&twilio.control, Method::GET, "/Recordings/{id}.wav"), "1", None);
    line("L6  uploads", requests(&assemblyai.control, Method::POST, "/v2/upload"), "1", None);
    line("L6  transcripts submitted", requests(&assemblyai.control, Method::POST, "/v2/transcript"), "1", None);
}

/// L7: the same number dialed on many connections at once.
async fn one_number_many_times(options: &Options) {
    const LATENCY: Duration = Duration::from_millis(200);
    let twilio = twilio::Twilio::start(listen().await, Pace::live());
    let assemblyai = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
    twilio.control.set_latency(LATENCY);
    let program = between(&twilio, &assemblyai).await;
    let mut clients = JoinSet::new();
    for _ in 0..options.many(200) {
        let address = program.address;
        clients.spawn(async move {
            let begun = Instant::now();
            let answer = Connection::open(address).await?.exchange(&get("/dial/14155551234")).await?;
            std::io::Result::Ok((begun.elapsed(), answer))
        });
    }
    let (mut times, mut bodies, mut others) = (Times::default(), HashSet::new(), 0);
    while let Some(end) = clients.join_next().await {
        match end.expect("a client") {
            Ok((time, answer)) if answer.status == 200 => {
                times.push(time);
                bodies.insert(answer.body);
            }
            _ => others += 1,
        }
    }
    let calls = twilio.control.request_count(Method::POST, "/Calls.json") as f64;
    line("L7  calls placed", calls, "1", None);
    line("L7  different answers", bodies.len() as f64, "1", None);
    line("L7  not answered with 200", f64::from(others), "0", None);
    let goal = format!("<= {}", LATENCY.as_millis() + 200);
    line(&format!("L7  p99 ms, Twilio takes {} ms", LATENCY.as_millis()), times.percentile(0.99), &goal, None);
}

/// L8: callers are greeted while a stranger opens more connections than there are slots, and sends a byte per second.
async fn callbacks_among_slow_clients(options: &Options) {
    const RATE: u32 = 131;
    let (program, _vendors) = isolated().await;
    let address = program.address;
    let mut strangers = JoinSet::new();
    let head = b"POST /record/ HTTP/1.1\r\nhost: localhost\r\nx: ";
    for _ in 0..CAP + 200 {
        strangers.spawn(dripping(address, head.to_vec(), true));
    }
    let attack = async {
        let mut due = tokio::time::interval(Duration::from_secs(1) / RATE);
        loop {
            due.tick().await;
            strangers.spawn(dripping(address, head.to_vec(), true));
        }
    };
    let (mut times, mut asked, mut others) = (Times::default(), 0, 0);
    let callers = async {
        let end = Instant::now() + options.load * 2;
        let mut due = tokio::time::interval(Duration::from_millis(50));
        while Instant::now() < end {
            due.tick().await;
            let sent = Instant::now();
            let greet = async { Connection::open(address).await?.exchange(&post("/record/", &VOICE)).await };
            asked += 1;
            match tokio::time::timeout(HEAD, greet).await {
                Ok(Ok(answer)) if answer.status == 200 => times.since(sent),
                _ => others += 1,
            }
        }
    };
    tokio::select! { () = attack => {}, () = callers => {} }
    let answered = 100.0 * f64::from(asked - others) / f64::from(asked);
    line(&format!("L8  % of {asked} callers greeted"), answered, ">= 99", None);
    line("L8  p99 ms", times.percentile(0.99), "<= 50", None);
}

/// L13: a stop in the middle of L1, with an incomplete request open.
async fn stop_under_load(options: &Options) {
    let (mut program, _vendors) = isolated().await;
    let mut half = TcpStream::connect(program.address).await.expect("a connection");
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost: loc").await.expect("a write");
    let is_over = Arc::new(AtomicBool::new(false));
    let address = program.address;
    let load = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move { send_callbacks(address, Instant::now() + HEAD * 6, &Arc::default(), &is_over).await }
    });
    tokio::time::sleep(options.load / 2).await;
    program.terminate();
    let terminated = Instant::now();
    let status = loop {
        match program.ended() {
            Some(status) => break status,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let took = terminated.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let load = load.await.expect("clients");
    line("L13 ended after s", took.as_secs_f64(), "<= 10", None);
    line("L13 exit code", status.code().map_or(f64::NAN, f64::from), "0", None);
    line("L13 callbacks acknowledged before", load.acknowledged.len() as f64, "", None);
    line("L13 acknowledged and not stored", lost(&program.database(), &load.acknowledged) as f64, "0", None);
}
