//! The listener: clients that are slow, silent, too many, or send odd HTTP.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use callscribe::internals::{BUSY, Connections, Limits, Server, Slot, is_privileged};
use callscribe::sandbox::twilio::ACCOUNT_SID;
use futures_util::stream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::World;
use crate::support::callbacks::{encode, sign};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// For deadlines that a test waits out.
const SOON: Duration = Duration::from_millis(50);

/// For deadlines that must not pass during a test.
const NEVER: Duration = Duration::from_secs(600);

const GENEROUS: Limits = Limits { connections: 100, reserved: 0, head: NEVER, stall: NEVER, linger: NEVER };

/// Serves these routes on a free port.
fn serve(routes: Router, limits: &Limits) -> (Server, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    (Server::start(&routes, vec![listener], limits, is_privileged, &Connections::default()).expect("a server"), address)
}

/// A server that answers `here`.
fn server(limits: &Limits) -> (Server, SocketAddr) {
    serve(Router::new().route("/", get(|| async { "here" })), limits)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends these bytes and returns everything received until the connection closes, even by a reset.
async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> String {
    let (mut reading, mut writing) = stream.split();
    let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
    let read = async {
        while let Ok(length @ 1..) = reading.read(&mut piece).await {
            answer.extend_from_slice(&piece[..length]);
        }
    };
    // A server that rejects a request early need not read the rest.
    let write = async { _ = writing.write_all(bytes).await };
    tokio::join!(write, read);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request and reads the response up to `here`. The connection stays open.
async fn answered(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    stream.write_all(REQUEST).await.expect("a write");
    let mut answer = Vec::new();
    while !answer.ends_with(b"here") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "{}", String::from_utf8_lossy(&answer));
    }
    stream
}

#[tokio::test]
async fn a_client_that_sends_no_whole_request_is_disconnected_and_frees_its_slot() {
    let (_server, address) = server(&Limits { connections: 1, head: SOON, ..GENEROUS });
    for bytes in [&b""[..], b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "] {
        let answer = exchange(connect(address).await, bytes).await;
        assert!(answer.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (_server, address) = server(&Limits { head: SOON, ..GENEROUS });
    assert_eq!(exchange(answered(address).await, b"").await, "");
}

/// Routes of which `/` answers `here`, and `/hold` never answers, but sends a message when its handler runs.
fn holding() -> (Router, mpsc::UnboundedReceiver<()>) {
    let (sender, held) = mpsc::unbounded_channel();
    let hold = move || {
        _ = sender.send(());
        std::future::pending::<()>()
    };
    let here = get(|| async { "here" });
    (Router::new().route("/", here.clone()).route("/record/", here).route("/hold", get(hold)), held)
}

/// Opens connections whose requests run until they are dropped.
async fn hold(address: SocketAddr, held: &mut mpsc::UnboundedReceiver<()>, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = connect(address).await;
        stream.write_all(b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("a write");
        held.recv().await.expect("a running request");
        streams.push(stream);
    }
    streams
}

/// Asserts that this is the response of a server without a free slot.
fn assert_busy(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    for header in ["connection: close", "retry-after: 1", &format!("{BUSY}: 1")] {
        assert!(answer.contains(&format!("\r\n{header}\r\n")), "{header}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_above_the_limit_gets_503_if_all_others_run_requests() {
    let (routes, mut held) = holding();
    let (_server, address) = serve(routes, &Limits { connections: 2, ..GENEROUS });
    let _held = hold(address, &mut held, 2).await;
    for _ in 0..50 {
        assert_busy(&exchange(connect(address).await, b"").await);
        // The server cannot run before the request is there, since this blocks the only thread.
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.write_all(REQUEST).expect("a write");
        stream.set_nonblocking(true).expect("an option");
        let mut answer = String::new();
        let mut stream = TcpStream::from_std(stream).expect("a stream");
        stream.read_to_string(&mut answer).await.expect("an end that is no reset");
        assert_busy(&answer);
    }
}

#[tokio::test]
async fn a_connection_above_the_limit_may_send_its_request_after_the_503() {
    let (routes, mut held) = holding();
    let (_server, address) = serve(routes, &Limits { connections: 1, ..GENEROUS });
    let _held = hold(address, &mut held, 1).await;
    let mut stream = connect(address).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a response and its end");
    assert_busy(&answer);
    // After a reset, the second write would fail.
    for _ in 0..2 {
        stream.write_all(REQUEST).await.expect("a write");
    }
}

#[tokio::test]
async fn the_connection_that_has_waited_longest_for_its_client_is_closed_for_a_new_one() {
    let (routes, mut held) = holding();
    let routes = routes.route("/read", post(|body: Bytes| async move { body }));
    let (_server, address) = serve(routes, &Limits { connections: 5, ..GENEROUS });
    let running = hold(address, &mut held, 1).await;
    let mut waiting = Vec::new();
    for begun in
        ["", "GET / HTTP/1.1\r\nhost: ", "POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\na"]
    {
        let mut stream = connect(address).await;
        stream.write_all(begun.as_bytes()).await.expect("a write");
        waiting.push(stream);
    }
    // Idle after a response.
    waiting.push(answered(address).await);
    let mut newer = Vec::new();
    for mut longest in waiting {
        newer.push(answered(address).await);
        assert_eq!(longest.read(&mut [0]).await.expect("an end"), 0);
    }
    drop((running, newer));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_for_a_new_one() {
    let (routes, mut dropped) = endless();
    let (_server, address) =
        serve(routes.route("/here", get(|| async { "here" })), &Limits { connections: 1, ..GENEROUS });
    let mut client = connect(address).await;
    client.write_all(REQUEST).await.expect("a write");
    client.read_u8().await.expect("a response has begun");
    // It takes a while until the sockets are full.
    while dropped.try_recv().is_err() {
        exchange(connect(address).await, b"GET /here HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_kept_connection_is_not_closed_while_its_body_arrives() {
    let read = async |Extension(slot): Extension<Slot>, body: Body| {
        slot.keep();
        axum::body::to_bytes(body, 100).await.expect("a body")
    };
    let (_server, address) = serve(Router::new().route("/", post(read)), &Limits { connections: 1, ..GENEROUS });
    let mut uploading = BufStream::new(connect(address).await);
    let head =
        b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    uploading.write_all(head).await.expect("a write");
    uploading.flush().await.expect("a write");
    let mut line = String::new();
    uploading.read_line(&mut line).await.expect("a line");
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n", "the body is being read");
    assert_busy(&exchange(connect(address).await, b"").await);
    let answer = exchange(uploading.into_inner(), b"here").await;
    assert_eq!(statuses(&answer), "200", "{answer}");
}

#[tokio::test]
async fn a_reserved_slot_serves_one_privileged_request() {
    let (routes, mut held) = holding();
    let (_server, address) = serve(routes, &Limits { connections: 4, reserved: 2, ..GENEROUS });
    let running = hold(address, &mut held, 2).await;
    let request = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
    // Neither strangers that send nothing nor those that guess keep vendors and probes out.
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(connect(address).await);
        // Only the vendors' own routes: others wait until it is known whether a tunnel is safe.
        let others =
            ["/", "/recordings/x", "/recordfoo", "/record/x", "/record//", "/hooks/x", "/_probe/x/y", "/_probe//"];
        let signed = others.map(|path| (path, "x-twilio-signature: x\r\n"));
        for (path, header) in [("/", ""), ("/record/", "")].into_iter().chain(signed) {
            assert_busy(&exchange(connect(address).await, request(path, header).as_bytes()).await);
        }
        for (path, header, status) in [
            ("/record/", "x-twilio-signature: x\r\n", "200"),
            ("/hooks/assemblyai", "x-webhook-secret: x\r\n", "404"),
            ("/_probe/x", "", "404"),
        ] {
            let two = request(path, header).repeat(2);
            let answer = exchange(connect(address).await, two.as_bytes()).await;
            assert_eq!(statuses(&answer), status, "{path}: {answer}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{path}: {answer}");
        }
    }
    drop(running);
}

/// Lets strangers take all slots of the program, with half a head, half a body, or nothing.
#[tokio::test]
async fn vendors_and_the_operator_are_served_while_strangers_take_all_slots() {
    let world = World::new().await;
    let (_server, address) = serve(world.app.router(), &Limits { connections: 16, reserved: 4, ..GENEROUS });
    let mut uploading = BufStream::new(connect(address).await);
    let head = "POST /transcribe HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\n\
                content-type: multipart/form-data; boundary=b\r\ncontent-length: 7\r\n\r\n";
    uploading.write_all(head.as_bytes()).await.expect("a write");
    uploading.flush().await.expect("a write");
    let mut line = String::new();
    uploading.read_line(&mut line).await.expect("a line");
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    let genuine = |number: usize| {
        let sid = format!("CA{number:032x}");
        let params = [("AccountSid", ACCOUNT_SID), ("CallSid", &sid), ("CallStatus", "in-progress")];
        let (form, signature) = (encode(&params), sign(&format!("{}/record/", world.base), &params));
        let length = form.len();
        format!(
            "POST /record/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-twilio-signature: {signature}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
        )
    };
    let forged = "POST /record/ HTTP/1.1\r\nhost: localhost\r\nx-twilio-signature: x\r\ncontent-length: 9\r\n\r\na";
    let mut strangers = Vec::new();
    for number in 0..100 {
        let mut stranger = connect(address).await;
        let begun = ["", &forged[..20], forged][number % 3];
        stranger.write_all(begun.as_bytes()).await.expect("a write");
        strangers.push(stranger);
        if number % 10 == 9 {
            let answer = exchange(connect(address).await, genuine(number).as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("<Record"), "{number}: {answer}");
        }
    }
    let answer = exchange(uploading.into_inner(), b"--b--\r\n").await;
    assert!(answer.contains("expected exactly one of"), "the operator's upload has ended: {answer}");
}

#[tokio::test]
async fn the_connection_limit_is_below_the_limit_of_open_files() {
    let limits = Limits::default();
    let files = std::process::Command::new("sh").args(["-c", "ulimit -n"]).output().expect("a shell").stdout;
    let files = String::from_utf8(files).expect("UTF-8").trim().parse().unwrap_or(usize::MAX);
    assert!(limits.connections <= 1_024 && limits.connections < files, "{limits:?} of {files}");
}

/// Sends a message when dropped.
struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        _ = self.0.send(());
    }
}

/// Routes of which `/` answers without end, and sends a message when the answer is dropped.
fn endless() -> (Router, mpsc::UnboundedReceiver<()>) {
    let (sender, dropped) = mpsc::unbounded_channel();
    let endless = move || {
        let answer = stream::unfold(OnDrop(sender.clone()), |on_drop| async {
            Some((Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536])), on_drop))
        });
        async { Body::from_stream(answer) }
    };
    (Router::new().route("/", get(endless)), dropped)
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_disconnected() {
    let (routes, mut dropped) = endless();
    let (_server, address) = serve(routes, &Limits { stall: SOON, ..GENEROUS });
    let mut client = connect(address).await;
    client.write_all(REQUEST).await.expect("a write");
    assert_eq!(dropped.recv().await, Some(()));
}

/// Upgrades the connection to `echo`, which sends back each line, and sends a message when it ends.
async fn upgrade(mut request: Request, ended: mpsc::UnboundedSender<()>) -> Response {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = BufStream::new(TokioIo::new(upgraded.await.expect("an upgrade")));
        let mut line = String::new();
        while stream.read_line(&mut line).await.expect("a line") > 0 {
            stream.write_all(line.as_bytes()).await.expect("a write");
            stream.flush().await.expect("a write");
            line.clear();
        }
        drop(stream);
        _ = ended.send(());
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")]).into_response()
}

#[tokio::test]
async fn an_upgraded_connection_counts_until_its_end() {
    let (sender, mut ended) = mpsc::unbounded_channel();
    let routes = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/echo", get(move |request| upgrade(request, sender.clone())));
    let (_server, address) = serve(routes, &Limits { connections: 1, ..GENEROUS });
    let mut stream = BufStream::new(connect(address).await);
    let request = b"GET /echo HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(request).await.expect("a write");
    stream.flush().await.expect("a write");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.expect("a line") > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");

    assert!(exchange(connect(address).await, b"").await.starts_with("HTTP/1.1 503 "), "its slot is taken");
    for sent in ["one\n", "two\n"] {
        stream.write_all(sent.as_bytes()).await.expect("a write");
        stream.flush().await.expect("a write");
        let mut echo = String::new();
        stream.read_line(&mut echo).await.expect("a line");
        assert_eq!(echo, sent);
    }
    drop(stream);
    assert_eq!(ended.recv().await, Some(()));
    answered(address).await;
}

/// Decodes the notation of the fixture: `\r`, `\n`, `\\`, `\xff`, and `{text*count}` for a repetition.
fn bytes(written: &str) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), written);
    while let Some(next) = rest.chars().next() {
        let (taken, length) = match next {
            '\\' => match rest.as_bytes()[1] {
                b'r' => (b"\r".to_vec(), 2),
                b'n' => (b"\n".to_vec(), 2),
                b'\\' => (b"\\".to_vec(), 2),
                b'x' => (vec![u8::from_str_radix(&rest[2..4], 16).expect("two hex digits")], 4),
                _ => panic!("unknown escape: {rest}"),
            },
            '{' => {
                let end = rest.find('}').expect("a closing brace");
                let (text, count) = rest[1..end].rsplit_once('*').expect("text*count");
                (bytes(text).repeat(count.parse().expect("a count")), end + 1)
            }
            other => (other.to_string().into_bytes(), other.len_utf8()),
        };
        all.extend(taken);
        rest = &rest[length..];
    }
    all
}

/// The statuses of all responses, in order, such as `100 403`; `closed` if there is none.
fn statuses(answers: &str) -> String {
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    match statuses[..] {
        [] => "closed".to_owned(),
        [first, ..] if statuses.len() > 2 && statuses.iter().all(|status| *status == first) => {
            format!("{first}x{}", statuses.len())
        }
        _ => statuses.join(" "),
    }
}

#[tokio::test]
async fn odd_framing_gets_the_expected_status_and_changes_nothing() {
    let world = World::new().await;
    let address = world.base.trim_start_matches("http://").parse().expect("an address");
    let (mut cases, mut wrong) = (0, Vec::new());
    for line in include_str!("fixtures/framing.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expected, rest) = line.split_once(" | ").expect("an expectation");
        let (name, written) = rest.split_once(" | ").expect("a name and bytes");
        let answers = exchange(connect(address).await, &bytes(written)).await;
        if statuses(&answers) != expected {
            wrong.push(format!("{name}: expected {expected}, not {}: {answers:.300}", statuses(&answers)));
        }
        let last = answers.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        if expected != "closed" && !last.contains("\r\nconnection: close\r\n") {
            wrong.push(format!("{name}: does not say that the connection ends: {answers:.300}"));
        }
        assert_eq!(world.get("/healthz").await.status, 200, "{name}");
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 30, "{cases}");
    assert_eq!(world.vendor_requests(), 0);
    assert_eq!(world.store.number("SELECT count(*) FROM calls").await, 0);
}

/// A signature covers the body, so the program must read the body to check even an invalid one.
#[tokio::test]
async fn a_callback_whose_body_does_not_arrive_times_out() {
    let world = World::new().await;
    let address = world.base.trim_start_matches("http://").parse().expect("an address");
    let half = "POST /hooks/twilio/call HTTP/1.1\r\nhost: localhost\r\nx-twilio-signature: x\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 10\r\n\r\nAccou";
    assert_eq!(statuses(&exchange(connect(address).await, half.as_bytes()).await), "408");
}

#[tokio::test]
async fn a_client_that_is_refused_may_send_the_rest_of_its_body() {
    let world = World::new().await;
    let (_server, address) = serve(world.app.router(), &GENEROUS);
    let mut stream = connect(address).await;
    let head = b"POST /record/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n";
    stream.write_all(head).await.expect("a write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a response and its end");
    assert_eq!(statuses(&answer), "403", "{answer}");
    // After a reset, the second write would fail.
    for _ in 0..2 {
        stream.write_all(&[b'a'; 30_000]).await.expect("a write");
    }
}

#[tokio::test]
async fn a_callback_without_a_signature_is_rejected_before_its_body_arrives() {
    let world = World::new().await;
    let address = world.base.trim_start_matches("http://").parse().expect("an address");
    for hook in ["/hooks/twilio/call", "/hooks/twilio/recording", "/hooks/assemblyai", "/record/", "/record/done/"] {
        let head = format!("POST {hook} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n");
        let answer = exchange(connect(address).await, head.as_bytes()).await;
        let expected = if hook == "/hooks/assemblyai" { "401" } else { "403" };
        assert_eq!(statuses(&answer), expected, "{hook}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{hook}: {answer}");
    }
}
