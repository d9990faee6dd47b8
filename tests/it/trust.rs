//! Being at this computer is enough only while it is known that nobody else can look like it. Whatever keeps the program
//! from finding that out keeps everyone out who has neither token nor session; where nobody can come in, nothing is in the
//! operator's way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callscribe::app::App;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::support::command::{ENOUGH, Folder, Program, request, with};
use crate::support::stream::Stream;
use crate::support::{Answer, World, listen};

/// What is at `BASE_URL`.
#[derive(Clone, Copy)]
enum Entrance {
    /// A tunnel that copies bytes, like `ngrok tcp` and `ssh -R`.
    Raw,
    /// A tunnel that adds `X-Forwarded-For`, like `ngrok http`.
    Reveals,
    /// A raw tunnel that does not pass on probes.
    WithoutProbes(Fate),
    /// A raw tunnel under load: it refuses the first probes under a name of this computer.
    RefusesFirstLies(Fate),
    /// A proxy that refuses every request under a name that is not its own.
    OwnNameOnly(Fate),
    /// No tunnel, but something that treats every request like this.
    NoTunnel(Fate),
}

/// What happens to a request that is not passed on.
#[derive(Clone, Copy)]
enum Fate {
    Answered(&'static str),
    Closed,
    /// It gets no answer, and its connection stays open.
    Forgotten,
}

/// What the program's own listener answers without a free connection.
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
                    x-callscribe-busy: 1\r\ncontent-length: 0\r\n\r\n";

/// Number of probes of a look that are sent under a name of this computer.
const LIES: usize = 6;

/// What proxies answer when they can or may not pass on more.
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n";

/// So long that no request gives up on a look that a slow machine takes.
const PATIENT: Duration = Duration::from_secs(60);

/// So short that a request soon gives up on looks that never settle anything.
const IMPATIENT: Duration = Duration::from_secs(1);

/// Connections to an address of which the first request was read.
type Passed = watch::Sender<usize>;

/// Runs an entrance to the program, which may change.
async fn open(entrance: watch::Receiver<Entrance>, listener: TcpListener, program: String, passed: Passed) {
    let lies = Arc::new(AtomicUsize::new(0));
    while let Ok((mut near, _)) = listener.accept().await {
        let (entrance, program, passed, lies) =
            (*entrance.borrow(), program.clone(), passed.clone(), Arc::clone(&lies));
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = near.read_u8().await else { return };
                head.push(byte);
            }
            let mut head = String::from_utf8(head).expect("ASCII");
            let is_probe = head.contains("/_probe/");
            let is_lie = is_probe && !head.contains(&format!("Host: {}\r\n", near.local_addr().expect("an address")));
            let fate = match entrance {
                Entrance::NoTunnel(fate) => Some(fate),
                Entrance::WithoutProbes(fate) if is_probe => Some(fate),
                Entrance::RefusesFirstLies(fate) if is_lie && lies.fetch_add(1, Ordering::Relaxed) < LIES => Some(fate),
                Entrance::OwnNameOnly(fate) if is_lie => Some(fate),
                _ => None,
            };
            match fate {
                Some(Fate::Answered(answer)) => _ = near.write_all(answer.as_bytes()).await,
                Some(Fate::Closed) => {}
                Some(Fate::Forgotten) => _ = near.read_u8().await,
                None => {
                    match entrance {
                        Entrance::Reveals => head = head.replacen("\r\n", "\r\nX-Forwarded-For: 203.0.113.7\r\n", 1),
                        // Under its own name a tunnel is not on this computer.
                        Entrance::RefusesFirstLies(_) | Entrance::OwnNameOnly(_) if !is_lie => {
                            head = head.replacen("Host: 127.0.0.1", "Host: public", 1);
                        }
                        _ => {}
                    }
                    // A program that stops no longer listens.
                    let Ok(mut far) = TcpStream::connect(program).await else { return };
                    _ = far.write_all(head.as_bytes()).await;
                    passed.send_modify(|passed| *passed += 1);
                    _ = copy_bidirectional(&mut near, &mut far).await;
                }
            }
        });
    }
}

/// A program that looks at its `BASE_URL` automatically, which is an entrance to it.
struct Behind {
    app: App,
    /// The program's own address.
    inside: String,
    outside: String,
    entrance: watch::Sender<Entrance>,
}

impl Behind {
    async fn start(world: &World, entrance: Entrance, settings: &[(&str, &str)]) -> Self {
        Self::start_with_patience(world, entrance, settings, PATIENT).await
    }

    async fn start_with_patience(
        world: &World,
        entrance: Entrance,
        settings: &[(&str, &str)],
        patience: Duration,
    ) -> Self {
        let (listener, own) = (listen().await, own_listener());
        let outside = listener.local_addr().expect("a bound listener").to_string();
        let inside = own.local_addr().expect("a bound listener").to_string();
        let (entrance, changes) = watch::channel(entrance);
        tokio::spawn(open(changes, listener, inside.clone(), Passed::default()));
        let base = format!("http://{outside}");
        let settings = [&[("BASE_URL", base.as_str())], settings].concat();
        let app = world.another_app_with_patience(own, &settings, true, patience).await;
        Self { app, inside, outside, entrance }
    }
}

fn own_listener() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Starts a program with this `BASE_URL`, which it looks at automatically.
async fn start(world: &World, own: std::net::TcpListener, base: &str) -> App {
    world.another_app_with_patience(own, &[("BASE_URL", base)], true, PATIENT).await
}

/// An address that nothing accepts connections at until the socket listens.
fn closed_entrance() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    (socket, address)
}

/// Requests as a program at this computer does, or a stranger who lies, over a new connection.
async fn ask(world: &World, address: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.http.get(format!("http://{address}{path}"));
    for (name, value) in [&[("host", "localhost:8000"), ("connection", "close")], headers].concat() {
        request = request.header(name, value);
    }
    Answer::of(request.send().await.expect("an answer")).await
}

/// Asserts that a request is refused: for good, or because a slow machine has not found out in time.
fn assert_kept_out(answer: &Answer) {
    assert!([403, 503].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.text());
}

/// Asserts that the operator at this computer dials without further ado.
async fn assert_dials(world: &World, address: &str) {
    let before = world.calls_placed();
    let answer = ask(world, address, &format!("/dial/1415555{:04}", 1_000 + before), &[]).await;
    assert!(answer.status == 200 && answer.text().starts_with("dialing "), "{}: {}", answer.status, answer.text());
    assert_eq!(world.calls_placed(), before + 1);
}

#[tokio::test]
async fn while_probes_get_no_answer_nobody_is_let_in() {
    let world = World::new().await;
    let answers = [
        BUSY,
        UNAVAILABLE,
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 504 Gateway Timeout\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
    ];
    let fates = answers.map(Fate::Answered).into_iter().chain([Fate::Closed, Fate::Forgotten]);
    let kept_out = fates.map(async |fate| {
        let behind = Behind::start_with_patience(&world, Entrance::WithoutProbes(fate), &[], IMPATIENT).await;
        let requests = [&behind.outside, &behind.inside]
            .into_iter()
            .flat_map(|address| ["/calls", "/dial/14155551234"].map(|path| ask(&world, address, path, &[])));
        for answer in join_all(requests).await {
            let words = answer.problem(503, "unchecked");
            assert!(words.contains("open the log-in link") && !words.contains("OPERATOR_TOKEN"), "{words}");
            assert_eq!(answer.header("retry-after"), "3");
        }
        let text = behind.app.log_in_link().await;
        assert!(text.starts_with("callscribe could not find out whether strangers can come in"), "{text}");
        behind.app.stop().await;
    });
    join_all(kept_out).await;
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test]
async fn a_token_and_the_health_checks_work_while_probes_get_no_answer() {
    let world = World::new().await;
    let settings = [("OPERATOR_TOKEN", "open-sesame-open")];
    let entrance = Entrance::WithoutProbes(Fate::Forgotten);
    let behind = Behind::start_with_patience(&world, entrance, &settings, IMPATIENT).await;
    let token = [("authorization", "Bearer open-sesame-open")];
    assert_eq!(ask(&world, &behind.inside, "/calls", &token).await.status, 200);
    assert_eq!(ask(&world, &behind.inside, "/healthz", &[]).await.status, 200);
    assert_eq!(ask(&world, &behind.inside, "/login", &[]).await.status, 200);
}

#[tokio::test]
async fn no_request_checks_the_database_while_probes_get_no_answer() {
    let world = World::new().await;
    let behind = Behind::start(&world, Entrance::WithoutProbes(Fate::Forgotten), &[]).await;
    let mut unchecked = 0;
    for _ in 0..100 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(ask(&world, &behind.outside, "/readyz", &[]).await.text(), "ok\n");
        let checked_at = world.store.number("SELECT coalesce(max(checked_at), 0) FROM readiness").await;
        unchecked += usize::from(checked_at != world.clock.now_ms());
    }
    // The program checks every ten seconds of its own accord, perhaps during a few of them.
    assert!(unchecked > 0);
    behind.app.stop().await;
}

#[tokio::test]
async fn what_only_refuses_requests_for_now_is_not_said_to_lead_elsewhere() {
    let world = World::new().await;
    let settings = [("OPERATOR_TOKEN", "open-sesame-open")];
    let entrance = Entrance::NoTunnel(Fate::Answered(UNAVAILABLE));
    let behind = Behind::start_with_patience(&world, entrance, &settings, IMPATIENT).await;
    let words = ask(&world, &behind.inside, "/calls", &[]).await.problem(503, "unchecked");
    assert!(words.contains("log in with OPERATOR_TOKEN, or open the log-in link"), "{words}");
    let reader = [("authorization", "Bearer open-sesame-open"), ("accept", "text/html")];
    let page = ask(&world, &behind.inside, "/", &reader).await;
    assert!(page.status == 200 && !page.text().contains("does not lead"), "{}", page.text());
}

#[tokio::test]
async fn a_probe_that_is_refused_is_sent_again() {
    let world = World::new().await;
    for fate in [Fate::Closed, Fate::Answered(UNAVAILABLE), Fate::Answered("HTTP/1.1 403 Forbidden\r\n\r\n")] {
        let behind = Behind::start(&world, Entrance::RefusesFirstLies(fate), &[]).await;
        ask(&world, &behind.outside, "/dial/14155551234", &[]).await.problem(403, "forbidden");
        behind.app.stop().await;
    }
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_every_name_but_its_own_lets_the_operator_dial() {
    let world = World::new().await;
    for fate in [Fate::Closed, Fate::Answered(UNAVAILABLE)] {
        let behind = Behind::start(&world, Entrance::OwnNameOnly(fate), &[]).await;
        assert_dials(&world, &behind.inside).await;
        behind.app.stop().await;
    }
}

#[tokio::test]
async fn the_stream_of_an_open_page_ends_once_its_tunnel_cannot_be_checked() {
    let world = World::new().await;
    let behind = Behind::start(&world, Entrance::Reveals, &[]).await;
    let base = format!("http://{}", behind.inside);
    let Ok(mut stream) = Stream::open(&world.http, &base, "", &[]).await else { panic!("no stream") };
    behind.entrance.send_replace(Entrance::WithoutProbes(Fate::Closed));
    world.clock.advance(Duration::from_secs(7 * 60));
    assert!(stream.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_through_a_tunnel_while_the_program_starts() {
    const STRANGERS: usize = 16;
    let world = World::new().await;
    let (listener, own) = (listen().await, own_listener());
    let outside = listener.local_addr().expect("a bound listener").to_string();
    let (_entrance, changes) = watch::channel(Entrance::Raw);
    let passed = Passed::default();
    let mut waiting = passed.subscribe();
    tokio::spawn(open(changes, listener, own.local_addr().expect("bound").to_string(), passed));
    let strangers = (0..STRANGERS).map(async |number| {
        let path = format!("/dial/141555510{number:02}");
        assert_kept_out(&ask(&world, &outside, &path, &[]).await);
    });
    let (_, _app) = tokio::join!(join_all(strangers), async {
        // Their requests are read the moment the program serves.
        waiting.wait_for(|waiting| *waiting == STRANGERS).await.expect("a tunnel");
        start(&world, own, &format!("http://{outside}")).await
    });
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_through_a_tunnel_that_is_opened_after_the_start() {
    let world = World::new().await;
    let ((entrance, outside), own) = (closed_entrance(), own_listener());
    let inside = own.local_addr().expect("a bound listener").to_string();
    let app = start(&world, own, &format!("http://{outside}")).await;
    assert_dials(&world, &inside).await;

    let listener = entrance.listen(1_024).expect("a bound socket");
    let (_entrance, changes) = watch::channel(Entrance::Raw);
    tokio::spawn(open(changes, listener, inside.clone(), Passed::default()));
    let outside = outside.to_string();
    let strangers = (0..16).map(async |number| {
        let path = format!("/dial/141555520{number:02}");
        assert_kept_out(&ask(&world, &outside, &path, &[]).await);
    });
    join_all(strangers).await;
    assert!(app.log_in_link().await.contains("/login?token="));
    assert_kept_out(&ask(&world, &inside, "/calls", &[]).await);
    assert_eq!(world.calls_placed(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_who_takes_all_connections() {
    /// Of which three quarters are for connections.
    const FILES: usize = 128;
    const CONNECTIONS: usize = FILES / 4 * 3;
    let (folder, (entrance, outside)) = (Folder::new(), closed_entrance());
    let base = format!("http://{outside}");
    let mut program = Program::start_with_few_files(folder.path(), &with(&ENOUGH, &[("BASE_URL", &base)]), FILES);
    let inside = program.address();
    let listener = entrance.listen(1_024).expect("a bound socket");
    let (_entrance, changes) = watch::channel(Entrance::Raw);
    tokio::spawn(open(changes, listener, inside.clone(), Passed::default()));
    let strangers = (0..CONNECTIONS).map(async |_| {
        let mut stream = TcpStream::connect(outside).await.expect("a connection");
        let (mut answers, mut chunk) = (Vec::new(), [0; 16 << 10]);
        for _ in 0..3 {
            _ = stream.write_all(b"GET /calls HTTP/1.1\r\nHost: localhost:8000\r\n\r\n").await;
            match stream.read(&mut chunk).await {
                Ok(length) if length > 0 => answers.push(String::from_utf8_lossy(&chunk[..length]).into_owned()),
                _ => break,
            }
        }
        answers
    });
    let answers = join_all(strangers).await.concat();
    let status = |answer: &String| answer.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3)).map(str::to_owned);
    for answer in &answers {
        assert!(status(answer).is_some_and(|status| status == "403" || status == "503"), "{answer}");
    }
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_come_in_the_first_request_dials() {
    let world = World::new().await;
    let own = own_listener();
    let inside = own.local_addr().expect("a bound listener").to_string();
    let _app = start(&world, own, &format!("http://{inside}")).await;
    assert_dials(&world, &inside).await;

    // Without a tunnel, and without a network.
    let (_entrance, refusing) = closed_entrance();
    for base in [format!("http://{refusing}"), "https://callscribe.invalid".to_owned()] {
        let own = own_listener();
        let inside = own.local_addr().expect("a bound listener").to_string();
        let _app = start(&world, own, &base).await;
        assert_dials(&world, &inside).await;
        assert_dials(&world, &inside).await;
    }

    // A tunnel's server without the tunnel, and a tunnel that reveals itself.
    let no_tunnel = Entrance::NoTunnel(Fate::Answered("HTTP/1.1 404 Not Found\r\n\r\nno tunnel"));
    for entrance in [no_tunnel, Entrance::Reveals] {
        let behind = Behind::start(&world, entrance, &[]).await;
        assert_dials(&world, &behind.inside).await;
        assert_dials(&world, &behind.inside).await;
        let calls = world.calls_placed();
        assert_ne!(ask(&world, &behind.outside, "/dial/14155551234", &[]).await.status, 200);
        assert_eq!(world.calls_placed(), calls);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_nothing_can_be_connected_to_lets_the_operator_dial() {
    let world = World::new().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a bound socket");
    let address = listener.local_addr().expect("a bound listener");
    // Linux ignores further connections while these two wait to be accepted.
    let _waiting = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    let own = own_listener();
    let inside = own.local_addr().expect("a bound listener").to_string();
    let app = start(&world, own, &format!("http://{address}")).await;
    assert_dials(&world, &inside).await;
    assert_dials(&world, &inside).await;
    app.stop().await;
}

#[tokio::test]
async fn that_a_tunnel_reveals_itself_is_believed_for_minutes_only() {
    let world = World::new().await;
    let behind = Behind::start(&world, Entrance::Reveals, &[]).await;
    assert_dials(&world, &behind.inside).await;
    behind.entrance.send_replace(Entrance::Raw);
    world.clock.advance(Duration::from_secs(7 * 60));
    assert_kept_out(&ask(&world, &behind.outside, "/dial/14155551234", &[]).await);
    assert_kept_out(&ask(&world, &behind.inside, "/calls", &[]).await);
    assert_eq!(world.calls_placed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_computer_is_trusted_again_when_the_tunnel_no_longer_hides_itself() {
    let (listener, folder) = (listen().await, Folder::new());
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("BASE_URL", &base)]));
    let inside = program.address();
    let (entrance, changes) = watch::channel(Entrance::Raw);
    tokio::spawn(open(changes, listener, inside.clone(), Passed::default()));
    let status = |path: &str| request(&inside, "GET", path, "").get(..12).map(str::to_owned).expect("an answer");
    // The first look may have ended before the tunnel was opened. This request waits for another one.
    assert_ne!(status("/calls"), "HTTP/1.1 200");
    program.wait_for_log("hides itself");
    program.wait_for_output("/login?token=");
    assert_eq!(status("/calls"), "HTTP/1.1 403");

    entrance.send_replace(Entrance::Reveals);
    // Perhaps still refused; but then another look begins.
    status("/calls");
    program.wait_for_log("this computer is trusted again");
    assert_eq!(status("/calls"), "HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_link_is_printed_when_the_tunnel_cannot_be_checked() {
    let (listener, folder) = (listen().await, Folder::new());
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("BASE_URL", &base)]));
    let inside = program.address();
    let (_entrance, changes) = watch::channel(Entrance::NoTunnel(Fate::Closed));
    tokio::spawn(open(changes, listener, inside.clone(), Passed::default()));
    assert!(request(&inside, "GET", "/calls", "").starts_with("HTTP/1.1 503 "));
    program.wait_for_log("could not find out whether strangers can come in");
    let link = program.wait_for_output("/login?token=");
    let path = &link[link.find("/login").expect("the searched path")..];
    assert!(request(&inside, "GET", path, "").starts_with("HTTP/1.1 303 "));
}

#[tokio::test]
async fn a_page_of_another_site_cannot_lock_the_operator_out_with_a_probe_that_it_received() {
    let listener = listen().await;
    let world = World::with(&[("BASE_URL", &format!("http://{}", listener.local_addr().expect("bound")))]).await;
    let another_site = async {
        let (mut stream, _) = listener.accept().await.expect("a probe");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a whole head"));
        }
        String::from_utf8(head).expect("ASCII")
    };
    let head = tokio::select! {
        _ = world.app.probe() => panic!("the probe was not answered"),
        head = another_site => head,
    };
    let probe = head.split(' ').nth(1).expect("a target");
    assert!(probe.starts_with("/_probe/"), "{head}");

    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let old_browser = [("user-agent", "Mozilla/5.0 (Macintosh)"), ("accept", "image/*")];
    let (origin, referer) = ([("origin", "https://elsewhere.example")], [("referer", "https://elsewhere.example/")]);
    for headers in [&image[..], &old_browser, &origin, &referer] {
        world.get_with(probe, headers).await.problem(403, "forbidden");
        assert_eq!(world.get("/calls").await.status, 200, "{headers:?}");
    }
    assert_eq!(world.get(probe).await.status, 200, "it is a valid probe");
    world.get("/calls").await.problem(403, "forbidden");
}
