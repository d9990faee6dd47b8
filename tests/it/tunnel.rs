//! The exposure probe detects tunnels that make strangers look like local clients; then local requests lose their trust.

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
    /// Copies bytes, like `ngrok tcp`, `ssh -R`, `socat` and HAProxy. An honest client requests a public name. The tests'
    /// tunnels have loopback addresses, so the tunnel replaces its own address with such a name.
    Raw,
    /// Adds `X-Forwarded-For`, as ngrok and Caddy do.
    Forwards,
    /// Replaces `Host` with the program's local address, speaks HTTP/1.1, and adds no forwarding header.
    Rewrites,
    /// The same over HTTP/1.0, as nginx does by default.
    RewritesOld,
    /// Accepts only its own name as `Host`.
    ByName,
    /// Also accepts this `Host`, with any port.
    AlsoAs(&'static str),
    /// Accepts any `Host`, but only requests whose target is an absolute URL with the tunnel's address.
    ByTarget,
}

/// Runs a tunnel to `to`. Requests whose `Host` is not the tunnel's address are a stranger's lie and go to `lies_to`.
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
            far.write_all(head.as_bytes()).await.expect("a write");
            _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// Reads a request's head, including the empty line after it.
async fn read_head(near: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("ASCII")
}

/// The head with another `Host`.
fn rewritten(head: &str, host: &str) -> String {
    let lines = head
        .split("\r\n")
        .map(|line| if line.to_lowercase().starts_with("host:") { format!("Host: {host}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// A world whose `BASE_URL` is a tunnel of this kind, and the tunnel's address.
async fn behind(kind: Tunnel, settings: &[(&str, &str)]) -> (World, String) {
    let listener = listen().await;
    let address = listener.local_addr().expect("a bound listener").to_string();
    let base = format!("http://{address}");
    let world = World::with(&[&[("BASE_URL", base.as_str())], settings].concat()).await;
    tokio::spawn(tunnel(kind, listener, program_address(&world), program_address(&world)));
    (world, address)
}

/// The address at which this world's program listens.
fn program_address(world: &World) -> String {
    world.base.trim_start_matches("http://").to_owned()
}

/// Path and query of the link in a text that the program prints.
fn path_of_link(text: &str) -> String {
    let link = text.lines().last().expect("a link");
    format!("/{}", link.split_once("localhost:").and_then(|(_, rest)| rest.split_once('/')).expect("an address").1)
}

/// Sends a stranger's request through the tunnel, with `Host: localhost:8000`. Returns the status, or 0 without a response.
async fn get_as_stranger(world: &World, address: &str, path: &str) -> u16 {
    let request = world.http.get(format!("http://{address}{path}")).header("host", "localhost:8000");
    request.send().await.map_or(0, |response| response.status().as_u16())
}

#[tokio::test]
async fn behind_a_tunnel_that_hides_itself_no_request_counts_as_local() {
    for kind in [Tunnel::Raw, Tunnel::Rewrites] {
        let (world, address) = behind(kind, &[]).await;
        assert_eq!(get_as_stranger(&world, &address, "/calls").await, 200, "the tunnel lets strangers in");
        assert!(world.app.probe().await);
        assert_eq!(get_as_stranger(&world, &address, "/dial/14155551234").await, 403);
        let text = world.app.log_in_link().await;
        assert!(text.starts_with("requests through BASE_URL look as if they came from this computer"), "{text}");
        for path in ["/", "/calls", "/dial/14155551234", &format!("/calls/{CALL}"), "/no/such/path"] {
            let words = world.get(path).await.problem(403, "forbidden");
            assert!(words.contains("open the log-in link"), "{words}");
        }
        assert_eq!(world.vendor_requests(), 0);

        let path = path_of_link(&text);
        world.get_with(&path, &[("sec-purpose", "prefetch")]).await.problem(503, "speculative");
        assert_eq!(world.send(Method::HEAD, &path, &[], "").await.status, 405, "HEAD does not use up the link");
        let opened = world.get_with(&path, &[("accept", "text/html")]).await;
        assert_eq!((opened.status.as_u16(), opened.header("location")), (303, "/"));
        let session = opened.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        assert_eq!(world.get_with("/calls", &[("cookie", &session)]).await.status, 200);
        world.get(&path).await.problem(403, "used-link");
        let next = path_of_link(&world.app.log_in_link().await);
        assert_eq!(world.get(&next).await.status, 303, "a new link is printed for an operator who lost the cookie");
        world.get(&next).await.problem(403, "used-link");
        let asked = world.get_with("/dial/14155551234", &[("cookie", &session)]).await;
        assert!(asked.text().contains("action=\"/calls\""), "a session must confirm before dialing");
        assert_eq!(world.vendor_requests(), 0);
    }
}

#[tokio::test]
async fn no_local_name_and_no_target_lets_a_stranger_in() {
    for kind in ["localhost:", "127.0.0.1:", "[::1]:"].map(Tunnel::AlsoAs).into_iter().chain([Tunnel::ByTarget]) {
        let (world, _) = behind(kind, &[]).await;
        assert_eq!(world.get("/calls").await.status, 200);
        assert!(world.app.probe().await);
        world.get("/calls").await.problem(403, "forbidden");
    }
}

/// Starts a world, a second program with these settings, and a tunnel that leads honest requests to the first and lies to
/// the second. Returns both and the second one's address.
async fn with_another_program(settings: &[(&str, &str)]) -> (World, App, String) {
    let (entrance, listener) = (listen().await, std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let base = format!("http://{}", entrance.local_addr().expect("a bound listener"));
    let other = listener.local_addr().expect("a bound listener").to_string();
    let world = World::with(&[("BASE_URL", &base)]).await;
    let app = world.another_app_at(listener, &[&[("BASE_URL", base.as_str())], settings].concat(), false).await;
    tokio::spawn(tunnel(Tunnel::Raw, entrance, program_address(&world), other.clone()));
    (world, app, other)
}

#[tokio::test]
async fn an_exposure_of_another_instance_is_detected() {
    let (world, other, address) = with_another_program(&[]).await;
    let of_other = async || {
        let request = world.http.get(format!("http://{address}/calls"));
        Answer::of(request.send().await.expect("an answer")).await
    };
    assert_eq!(of_other().await.status, 200);
    assert!(world.app.probe().await);
    of_other().await.problem(403, "forbidden");
    world.get("/calls").await.problem(403, "forbidden");
    assert!(other.log_in_link().await.contains("/login?token="), "each instance has its own link");
}

#[tokio::test]
async fn a_program_with_other_credentials_cannot_confirm_an_exposure() {
    let (world, _other, address) = with_another_program(&[("TWILIO_AUTH_TOKEN", "another-auth-token")]).await;
    assert!(world.app.probe().await, "BASE_URL leads to this program");
    assert_eq!(world.get("/calls").await.status, 200);
    assert_eq!(world.http.get(format!("http://{address}/calls")).send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_base_url_of_the_program_itself_keeps_local_trust() {
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
async fn an_open_local_page_gets_no_more_events_once_an_exposure_is_detected() {
    let (world, _) = behind(Tunnel::Raw, &[]).await;
    let Ok(mut stream) = Stream::open(&world.http, &world.base, "", &[]).await else { panic!("no stream") };
    assert!(world.app.probe().await);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn behind_a_tunnel_that_hides_itself_the_operator_token_still_works() {
    let (world, address) = behind(Tunnel::Raw, &[("OPERATOR_TOKEN", "open-sesame-open")]).await;
    assert!(world.app.probe().await);
    assert_eq!(get_as_stranger(&world, &address, "/calls").await, 401);
    world.get("/calls").await.problem(401, "token-needed");
    assert_eq!(world.get_with("/calls", &[("authorization", "Bearer open-sesame-open")]).await.status, 200);
}

#[tokio::test]
async fn a_tunnel_that_reveals_itself_keeps_local_trust() {
    for kind in [Tunnel::Forwards, Tunnel::RewritesOld, Tunnel::ByName] {
        let (world, address) = behind(kind, &[]).await;
        assert!(world.app.probe().await, "BASE_URL leads to this program");
        assert_eq!(world.get("/calls").await.status, 200);
        assert_ne!(get_as_stranger(&world, &address, "/calls").await, 200);
    }
}

#[tokio::test]
async fn a_base_url_that_leads_nowhere_changes_nothing() {
    let nowhere = listen().await.local_addr().expect("a bound listener");
    let world = World::with(&[("BASE_URL", &format!("http://{nowhere}"))]).await;
    assert!(!world.app.probe().await);
    assert_eq!(world.get("/calls").await.status, 200);
}

#[tokio::test]
async fn a_stranger_can_neither_answer_the_probe_nor_lock_the_operator_out() {
    let world = World::new().await;
    let strangers = ["/_probe/x", "/_probe/00000000000000000000000000000000", "/_probe/%ff", "/_probe/x/"];
    for path in strangers {
        world.get(path).await.problem(403, "forbidden");
        assert_eq!(world.get("/calls").await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_probes_its_base_url_when_it_starts() {
    let (listener, own) = (listen().await, std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let (outside, inside) = (listener.local_addr().expect("bound"), own.local_addr().expect("bound"));
    tokio::spawn(tunnel(Tunnel::Raw, listener, inside.to_string(), inside.to_string()));
    let store = Database::new();
    let mut variables = variables(&format!("http://{outside}"), "http://127.0.0.1:1", "http://127.0.0.1:1");
    variables.push(("DATABASE_URL".to_owned(), store.url.clone()));
    let config = Config::read(variables, false).expect("valid settings");
    let app = App::start(config, vec![own]).await.expect("the program starts");
    assert!(app.log_in_link().await.contains(&format!("http://localhost:{}/login?token=", inside.port())));
    assert!(!log::lines_with("hides itself").is_empty());
    assert_eq!(log::lines_with("login?token="), Vec::<String>::new(), "the log holds no link");
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
    assert!(!next.ends_with(&path), "an operator who used the wrong browser gets a new link");
    program.signal("TERM");
    let ended = program.end();
    let log = ended.stderr.join("\n");
    assert_eq!(log.matches("hides itself").count(), 1, "{log}");
    assert!(!log.contains("login?token"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_continues_if_its_standard_output_is_closed() {
    let (listener, folder) = (listen().await, Folder::new());
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let (mut program, address) = Program::start_unheard(folder.path(), &with(&ENOUGH, &[("BASE_URL", &base)]));
    tokio::spawn(tunnel(Tunnel::Raw, listener, address.clone(), address.clone()));
    program.wait_for_log("hides itself");
    // Logged at the end of the first probe, and so after the program tried to print the link.
    program.wait_for_log("reachable at BASE_URL");
    assert!(request(&address, "GET", "/calls", "").starts_with("HTTP/1.1 403 "));
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn a_base_url_that_leads_nowhere_is_logged_while_the_program_serves() {
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("BASE_URL", "http://127.0.0.1:1")]));
    let address = program.address();
    program.wait_for_log("BASE_URL does not lead to this program");
    assert!(request(&address, "GET", "/calls", "").starts_with("HTTP/1.1 200 "));
}
