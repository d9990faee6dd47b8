//! Tunnels that make strangers look like this computer are found out, and then looking so lets nobody in.

use callscribe::app::App;
use callscribe::config::Config;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::callbacks::CALL;
use crate::support::command::{ENOUGH, Folder, Program, request, with};
use crate::support::store::Database;
use crate::support::stream::Stream;
use crate::support::{Answer, World, listen, log, variables};

/// What a tunnel does with each connection.
#[derive(Clone, Copy)]
enum Tunnel {
    /// Passes the bytes on: `ngrok tcp`, `ssh -R`, `socat`, HAProxy. Who does not lie asks for its public name, which
    /// here has to be put in: a name that leads to this computer is one of this computer's own.
    Raw,
    /// Says for whom it asks, as ngrok and Caddy do.
    Forwards,
    /// Calls everything by the name of this computer, over HTTP/1.1, and hides for whom it asks.
    Rewrites,
    /// The same over HTTP/1.0, as nginx does by default.
    RewritesOld,
    /// Passes on what names it, and knows no other `Host`.
    ByName,
    /// Knows this `Host`, too, whatever the port.
    AlsoAs(&'static str),
    /// Passes on whose target names it, whatever the `Host`, and nothing else.
    ByTarget,
}

/// A tunnel at an address of its own, which leads to where `to` says, and with a `Host` that is not its own to `lies_to`.
async fn tunnel(kind: Tunnel, listener: TcpListener, to: String, lies_to: String) {
    let own = listener.local_addr().expect("a bound listener");
    while let Ok((mut near, _)) = listener.accept().await {
        let (to, lies_to) = (to.clone(), lies_to.clone());
        tokio::spawn(async move {
            let head = read_head(&mut near).await;
            let host =
                head.lines().find(|line| line.to_lowercase().starts_with("host: ")).expect("a host")[6..].to_owned();
            let (is_lie, absolute) = (host != own.to_string(), format!("GET http://{own}/"));
            let mut far = TcpStream::connect(if is_lie { &lies_to } else { &to }).await.expect("the program listens");
            let head = match kind {
                Tunnel::ByName if is_lie => return,
                Tunnel::AlsoAs(name) if is_lie && !host.starts_with(name) => return,
                Tunnel::ByTarget if !head.starts_with(&absolute) => return,
                Tunnel::ByTarget => head.replacen(&absolute, "GET /", 1),
                Tunnel::Raw | Tunnel::AlsoAs(_) if is_lie => head,
                Tunnel::Raw | Tunnel::ByName | Tunnel::AlsoAs(_) => rewritten(&head, "example.ngrok.app"),
                Tunnel::Forwards => head.replacen("\r\n", "\r\nX-Forwarded-For: 203.0.113.7\r\n", 1),
                Tunnel::Rewrites => rewritten(&head, &to),
                Tunnel::RewritesOld => rewritten(&head, &to).replacen("HTTP/1.1", "HTTP/1.0", 1),
            };
            far.write_all(head.as_bytes()).await.expect("bytes are taken");
            _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// A request's head, and the empty line after it.
async fn read_head(near: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("ASCII")
}

/// The head with another `Host`.
fn rewritten(head: &str, host: &str) -> String {
    let lines = head.split("\r\n").map(|line| match line.to_lowercase().starts_with("host:") {
        true => format!("Host: {host}"),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// A world whose `BASE_URL` is a tunnel of this kind, and the tunnel's address.
async fn behind(kind: Tunnel, settings: &[(&str, &str)]) -> (World, String) {
    let listener = listen().await;
    let address = listener.local_addr().expect("a bound listener").to_string();
    let base = format!("http://{address}");
    let world = World::with(&[&[("BASE_URL", base.as_str())], settings].concat()).await;
    tokio::spawn(tunnel(kind, listener, place(&world), place(&world)));
    (world, address)
}

/// Where this world's program listens.
fn place(world: &World) -> String {
    world.base.trim_start_matches("http://").to_owned()
}

/// Path and query of the link that the program prints.
fn path_of_link(said: &str) -> String {
    let link = said.lines().last().expect("a link");
    format!("/{}", link.split_once("localhost:").and_then(|(_, rest)| rest.split_once('/')).expect("an address").1)
}

/// What somebody at the tunnel's other end sends who wants in.
async fn ask_as_stranger(world: &World, address: &str, path: &str) -> u16 {
    let request = world.http.get(format!("http://{address}{path}")).header("host", "localhost:8000");
    request.send().await.map_or(0, |response| response.status().as_u16())
}

#[tokio::test]
async fn behind_a_tunnel_that_hides_what_it_is_nobody_is_taken_for_this_computer() {
    for kind in [Tunnel::Raw, Tunnel::Rewrites] {
        let (world, address) = behind(kind, &[]).await;
        assert_eq!(ask_as_stranger(&world, &address, "/calls").await, 200, "the hole is there");
        assert!(world.app.probe().await);
        assert_eq!(ask_as_stranger(&world, &address, "/dial/14155551234").await, 403);
        let said = world.app.log_in_link().await;
        for path in ["/", "/calls", "/dial/14155551234", &format!("/calls/{CALL}"), "/no/such/path"] {
            let words = world.get(path).await.problem(403, "forbidden");
            assert!(words.contains("open the link"), "{words}");
        }
        assert_eq!(world.vendor_requests(), 0);

        let path = path_of_link(&said);
        world.get_with(&path, &[("sec-purpose", "prefetch")]).await.problem(503, "speculative");
        assert_eq!(world.send(Method::HEAD, &path, &[], "").await.status, 405, "to look uses nothing up");
        let opened = world.get_with(&path, &[("accept", "text/html")]).await;
        assert_eq!((opened.status.as_u16(), opened.header("location")), (303, "/"));
        let session = opened.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        assert_eq!(world.get_with("/calls", &[("cookie", &session)]).await.status, 200);
        world.get(&path).await.problem(403, "used-link");
        let next = path_of_link(&world.app.log_in_link().await);
        assert_eq!(world.get(&next).await.status, 303, "there is another for who lost the cookie");
        world.get(&next).await.problem(403, "used-link");
        let asked = world.get_with("/dial/14155551234", &[("cookie", &session)]).await;
        assert!(asked.text().contains("action=\"/calls\""), "a session is asked before it dials");
        assert_eq!(world.vendor_requests(), 0);
    }
}

#[tokio::test]
async fn no_name_of_this_computer_gets_a_stranger_in_nor_does_any_target() {
    for kind in ["localhost:", "127.0.0.1:", "[::1]:"].map(Tunnel::AlsoAs).into_iter().chain([Tunnel::ByTarget]) {
        let (world, _) = behind(kind, &[]).await;
        assert_eq!(world.get("/calls").await.status, 200);
        assert!(world.app.probe().await);
        world.get("/calls").await.problem(403, "forbidden");
    }
}

/// A tunnel to the program of this world, and with lies to another one with these settings, and where that one listens.
async fn with_another_program(settings: &[(&str, &str)]) -> (World, App, String) {
    let (entrance, listener) = (listen().await, std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let base = format!("http://{}", entrance.local_addr().expect("a bound listener"));
    let other = listener.local_addr().expect("a bound listener").to_string();
    let world = World::with(&[("BASE_URL", &base)]).await;
    let app = world.another_app_at(listener, &[&[("BASE_URL", base.as_str())], settings].concat(), false).await;
    tokio::spawn(tunnel(Tunnel::Raw, entrance, place(&world), other.clone()));
    (world, app, other)
}

#[tokio::test]
async fn a_hole_is_found_that_leads_to_another_instance() {
    let (world, other, place) = with_another_program(&[]).await;
    let of_other = async || {
        let request = world.http.get(format!("http://{place}/calls"));
        Answer::of(request.send().await.expect("an answer")).await
    };
    assert_eq!(of_other().await.status, 200);
    assert!(world.app.probe().await);
    of_other().await.problem(403, "forbidden");
    world.get("/calls").await.problem(403, "forbidden");
    assert!(other.log_in_link().await.contains("/login?token="), "each has a link of its own");
}

#[tokio::test]
async fn another_program_at_the_same_address_answers_for_nobody() {
    let (world, _other, place) = with_another_program(&[("TWILIO_AUTH_TOKEN", "another-auth-token")]).await;
    assert!(world.app.probe().await, "the plain way leads here");
    assert_eq!(world.get("/calls").await.status, 200);
    assert_eq!(world.http.get(format!("http://{place}/calls")).send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_base_url_that_is_the_program_itself_takes_no_trust_away() {
    let world = World::new().await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let base = format!("http://{host}:{}/in/here", address.port());
        let app = world.another_app_at(listener, &[("BASE_URL", &base)], false).await;
        assert!(app.probe().await, "{host}");
        let calls = world.http.get(format!("http://{address}/calls"));
        assert_eq!(calls.send().await.expect("an answer").status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_page_that_is_open_here_is_told_nothing_more_once_strangers_look_like_this_computer() {
    let (world, _) = behind(Tunnel::Raw, &[]).await;
    let Ok(mut stream) = Stream::open(&world.http, &world.base, "", &[]).await else { panic!("no stream") };
    assert!(world.app.probe().await);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn with_a_token_set_a_tunnel_that_hides_what_it_is_leaves_the_token() {
    let (world, address) = behind(Tunnel::Raw, &[("OPERATOR_TOKEN", "open-sesame-open")]).await;
    assert!(world.app.probe().await);
    assert_eq!(ask_as_stranger(&world, &address, "/calls").await, 401);
    world.get("/calls").await.problem(401, "token-needed");
    assert_eq!(world.get_with("/calls", &[("authorization", "Bearer open-sesame-open")]).await.status, 200);
}

#[tokio::test]
async fn a_tunnel_that_says_what_it_is_leaves_this_computer_its_trust() {
    for kind in [Tunnel::Forwards, Tunnel::RewritesOld, Tunnel::ByName] {
        let (world, address) = behind(kind, &[]).await;
        assert!(world.app.probe().await, "it leads here");
        assert_eq!(world.get("/calls").await.status, 200);
        assert_ne!(ask_as_stranger(&world, &address, "/calls").await, 200);
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_changes_nothing() {
    let nowhere = listen().await.local_addr().expect("a bound listener");
    let world = World::with(&[("BASE_URL", &format!("http://{nowhere}"))]).await;
    assert!(!world.app.probe().await);
    assert_eq!(world.get("/calls").await.status, 200);
}

#[tokio::test]
async fn a_stranger_cannot_answer_for_the_program_nor_shut_its_operator_out() {
    let world = World::new().await;
    let strangers = ["/_probe/x", "/_probe/00000000000000000000000000000000", "/_probe/%ff", "/_probe/x/"];
    for path in strangers {
        world.get(path).await.problem(403, "forbidden");
        assert_eq!(world.get("/calls").await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_looks_by_itself_when_it_starts() {
    let (listener, own) = (listen().await, std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let (outside, inside) = (listener.local_addr().expect("bound"), own.local_addr().expect("bound"));
    tokio::spawn(tunnel(Tunnel::Raw, listener, inside.to_string(), inside.to_string()));
    let store = Database::new();
    let mut variables = variables(&format!("http://{outside}"), "http://127.0.0.1:1", "http://127.0.0.1:1");
    variables.push(("DATABASE_URL".to_owned(), store.url.clone()));
    let config = Config::read(variables, false).expect("settings that fit");
    let app = App::start(config, vec![own]).await.expect("a program that starts");
    assert!(app.log_in_link().await.contains(&format!("http://localhost:{}/login?token=", inside.port())));
    assert!(!log::lines_with("hides what it is").is_empty());
    assert_eq!(log::lines_with("login?token="), Vec::<String>::new(), "the log does not let in");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_printed_where_the_program_runs_and_the_reason_is_logged() {
    let (listener, folder) = (listen().await, Folder::new());
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("BASE_URL", &base)]));
    let address = program.address();
    tokio::spawn(tunnel(Tunnel::Raw, listener, address.clone(), address.clone()));
    let link = program.wait_for_output("/login?token=");
    let port = address.rsplit_once(':').expect("a port").1;
    let path = link.strip_prefix(&format!("http://localhost:{port}")).expect("an address of this computer").to_owned();
    assert!(request(&address, "GET", "/calls", "").starts_with("HTTP/1.1 403 "));
    assert!(request(&address, "GET", &path, "").starts_with("HTTP/1.1 303 "));
    let next = program.wait_for_output("/login?token=");
    assert!(!next.ends_with(&path), "whoever opened it in the wrong browser has another");
    program.signal("TERM");
    let ended = program.end();
    let log = ended.stderr.join("\n");
    assert_eq!(log.matches("hides what it is").count(), 1, "{log}");
    assert!(!log.contains("login?token"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_goes_on_when_nobody_reads_what_it_prints() {
    let (listener, folder) = (listen().await, Folder::new());
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let (mut program, address) = Program::start_unheard(folder.path(), &with(&ENOUGH, &[("BASE_URL", &base)]));
    tokio::spawn(tunnel(Tunnel::Raw, listener, address.clone(), address.clone()));
    program.wait_for_log("hides what it is");
    // Said at the end of the first look, and so after the link was to be printed.
    program.wait_for_log("reachable at BASE_URL");
    assert!(request(&address, "GET", "/calls", "").starts_with("HTTP/1.1 403 "));
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn that_base_url_leads_nowhere_is_told_while_the_program_serves() {
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("BASE_URL", "http://127.0.0.1:1")]));
    let address = program.address();
    program.wait_for_log("BASE_URL does not lead to this program");
    assert!(request(&address, "GET", "/calls", "").starts_with("HTTP/1.1 200 "));
}
