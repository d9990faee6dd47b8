//! Real proxies in front of the program, configured as in the first example of their manuals. Clients behind a proxy are
//! strangers, whatever host name they request. Public routes stay reachable.
//!
//! These tests run where nginx, HAProxy and Caddy are installed.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use callscribe::internals::signature;
use callscribe::sandbox::twilio::ACCOUNT_SID;
use futures_util::future::{join, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::callbacks::{CALL, FORM, encode, sign};
use crate::support::command::Folder;
use crate::support::{Answer, World, client};

/// Host names that strangers request, most of them names of this computer.
const HOSTS: [&str; 6] =
    ["example.ngrok.app", "localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"];

/// Routes for the operator only.
const ROUTES: [&str; 4] = ["/dial/14155551234", "/calls", "/", "/no/such/path"];

/// A proxy that runs until it is dropped.
struct Proxy {
    /// Its executable.
    name: &'static str,
    port: u16,
    /// Holds its configuration and its PID file.
    folder: Folder,
}

impl Proxy {
    /// nginx with these directives beside `proxy_pass`.
    fn nginx(port: u16, program: &str, more: &str) -> Self {
        let server = format!("listen 127.0.0.1:{port}; location / {{ proxy_pass http://{program}; {more} }}");
        Self::nginx_of(port, &format!("server {{ {server} }}"))
    }

    /// nginx with these `server` blocks.
    fn nginx_of(port: u16, servers: &str) -> Self {
        let folder = Folder::new();
        let path = folder.path().display();
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .concat();
        let settings = format!(
            "pid {path}/pid;\nerror_log {path}/log;\nevents {{}}\nhttp {{\naccess_log off;\n{scratch}{servers}\n}}\n"
        );
        let file = folder.write("nginx.conf", &settings);
        let log = format!("{path}/log");
        Self { name: "nginx", port, folder }.started(&["-e", &log, "-c", &file])
    }

    /// HAProxy with these lines in its `frontend`.
    fn haproxy(port: u16, program: &str, more: &str) -> Self {
        let folder = Folder::new();
        let settings = format!(
            "defaults\n  mode http\n  timeout connect 60s\n  timeout client 60s\n  timeout server 60s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  {more}\n  default_backend back\n\
             backend back\n  server program {program}\n"
        );
        let (file, pid) = (folder.write("haproxy.cfg", &settings), folder.path().join("pid"));
        let pid = pid.to_str().expect("a path in UTF-8").to_owned();
        Self { name: "haproxy", port, folder }.started(&["-D", "-f", &file, "-p", &pid])
    }

    fn caddy(port: u16, program: &str) -> Self {
        Self::caddy_of(port, &format!("http://:{port} {{\n  bind 127.0.0.1\n  reverse_proxy {program}\n}}\n"))
    }

    /// Caddy with this site.
    fn caddy_of(port: u16, site: &str) -> Self {
        let folder = Folder::new();
        let settings = format!("{{\n  admin off\n  skip_install_trust\n  auto_https disable_redirects\n}}\n{site}");
        let (file, pid) = (folder.write("Caddyfile", &settings), folder.path().join("pid"));
        let pid = pid.to_str().expect("a path in UTF-8").to_owned();
        Self { name: "caddy", port, folder }.started(&[
            "start",
            "--config",
            &file,
            "--adapter",
            "caddyfile",
            "--pidfile",
            &pid,
        ])
    }

    /// Starts the proxy. Each of the three goes into the background once it listens.
    fn started(self, arguments: &[&str]) -> Self {
        let mut command = Command::new(self.name);
        command.args(arguments).env("HOME", self.folder.path()).env("PATH", path());
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        // Output goes to a file, because the process in the background would keep a pipe open.
        let output = File::create(self.folder.path().join("output")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let status = command.status().expect("the proxy can be run");
        let output = std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
        assert!(status.success(), "{}: {output}", self.name);
        self
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
        // The shell's built-in `kill`, because small systems have no other.
        _ = Command::new("sh").args(["-c", &format!("kill {}", pid.trim())]).status();
    }
}

/// A raw TCP tunnel, like those of `ssh -R` and `socat`.
async fn tunnel(port: u16, program: &str) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    let program = program.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stranger, _)) = listener.accept().await {
            let mut inside = TcpStream::connect(&program).await.expect("the program listens");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stranger, &mut inside).await });
        }
    });
}

/// A free port below the ephemeral range, so that no other process receives it when it binds port 0.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `PATH` plus the folders where Debian installs daemons.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Whether all proxies are installed. Panics if one is missing and `REQUIRE_PROXIES=1`.
fn are_installed() -> bool {
    let path = path();
    let is_missing = |name: &&str| !std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<&str> = ["nginx", "haproxy", "caddy"].into_iter().filter(is_missing).collect();
    let reason = format!("not installed: {}", missing.join(", "));
    let is_required = std::env::var_os("REQUIRE_PROXIES").is_some_and(|value| value == "1");
    assert!(missing.is_empty() || !is_required, "{reason}");
    if !missing.is_empty() {
        println!("skipped: {reason}");
    }
    missing.is_empty()
}

/// Starts a program with these settings. Returns it with its address, or `None` where proxies are missing.
async fn program(settings: &[(&str, &str)]) -> Option<(World, String)> {
    if !are_installed() {
        return None;
    }
    let world = World::with(settings).await;
    let address = world.base.trim_start_matches("http://").to_owned();
    Some((world, address))
}

/// Sends a GET through the proxy at this port, with this `Host`.
async fn ask(port: u16, path: &str, host: &str) -> Answer {
    let request = client().get(format!("http://127.0.0.1:{port}{path}")).header("host", host);
    Answer::of(request.send().await.expect("an answer")).await
}

/// Asserts that through this port, under each of these names, all operator routes are refused and no vendor request is
/// made, while `/healthz` answers.
async fn assert_strange(world: &World, port: u16, hosts: &[&str]) {
    let before = world.calls_placed();
    for host in hosts {
        for route in ROUTES {
            ask(port, route, host).await.problem(403, "forbidden");
        }
        assert_eq!(ask(port, "/healthz", host).await.status, 200);
    }
    assert_eq!(world.calls_placed(), before, "{hosts:?}");
}

#[tokio::test]
async fn a_client_behind_nginx_is_a_stranger() {
    let Some((world, program)) = program(&[]).await else { return };
    let nginx = Proxy::nginx(free_port(), &program, "");
    assert_strange(&world, nginx.port, &HOSTS).await;
}

#[tokio::test]
async fn a_client_behind_caddy_is_a_stranger() {
    let Some((world, program)) = program(&[]).await else { return };
    let caddy = Proxy::caddy(free_port(), &program);
    assert_strange(&world, caddy.port, &HOSTS).await;
}

#[tokio::test]
async fn a_client_behind_haproxy_that_requests_its_public_name_is_a_stranger() {
    let Some((world, program)) = program(&[]).await else { return };
    let haproxy = Proxy::haproxy(free_port(), &program, "");
    assert_strange(&world, haproxy.port, &HOSTS[..1]).await;
}

#[tokio::test]
async fn a_client_behind_haproxy_is_a_stranger_if_haproxy_adds_x_forwarded_for() {
    let Some((world, program)) = program(&[]).await else { return };
    let haproxy = Proxy::haproxy(free_port(), &program, "option forwardfor");
    assert_strange(&world, haproxy.port, &HOSTS).await;
}

#[tokio::test]
async fn a_client_behind_a_raw_tunnel_that_requests_its_public_name_is_a_stranger() {
    let Some((world, program)) = program(&[]).await else { return };
    let port = free_port();
    tunnel(port, &program).await;
    assert_strange(&world, port, &HOSTS[..1]).await;
}

/// Starts a program whose `BASE_URL` names this port. Returns it with its address, or `None` where proxies are missing.
async fn program_behind(port: u16) -> Option<(World, String)> {
    program(&[("BASE_URL", &format!("http://127.0.0.1:{port}"))]).await
}

/// Asserts that the proxy lets strangers in, and that the exposure probe detects and stops it.
async fn assert_detected(world: &World, port: u16) {
    assert_eq!(ask(port, "/calls", "localhost").await.status, 200, "the proxy lets strangers in");
    assert!(world.app.probe().await, "BASE_URL leads to the program");
    assert_strange(world, port, &HOSTS).await;
}

#[tokio::test]
async fn haproxy_passes_on_any_host_and_is_detected() {
    let port = free_port();
    let Some((world, program)) = program_behind(port).await else { return };
    let _haproxy = Proxy::haproxy(port, &program, "");
    assert_detected(&world, port).await;
}

#[tokio::test]
async fn nginx_with_http_1_1_hides_itself_and_is_detected() {
    let port = free_port();
    let Some((world, program)) = program_behind(port).await else { return };
    let _nginx = Proxy::nginx(port, &program, "proxy_http_version 1.1;");
    assert_detected(&world, port).await;
}

#[tokio::test]
async fn nginx_that_limits_requests_and_hides_itself_is_detected() {
    // Also a loopback address, but not one of the names that the program trusts.
    const NAME: &str = "127.0.0.2";
    let port = free_port();
    let Some((world, program)) = program(&[("BASE_URL", &format!("http://{NAME}:{port}"))]).await else { return };
    let directives = "limit_req zone=all; proxy_http_version 1.1; proxy_set_header Host $http_host;";
    let _nginx = Proxy::nginx_of(
        port,
        &format!(
            "limit_req_zone $binary_remote_addr zone=all:1m rate=10r/s;\n\
             server {{ listen {NAME}:{port}; location / {{ proxy_pass http://{program}; {directives} }} }}"
        ),
    );
    assert!(world.app.probe().await, "BASE_URL leads to the program");
    world.get("/calls").await.problem(403, "forbidden");
}

#[tokio::test]
async fn nginx_that_accepts_only_its_own_name_trusts_an_absolute_target_and_is_detected() {
    // Also a loopback address, but not one of the names that the program trusts.
    const NAME: &str = "127.0.0.2";
    let port = free_port();
    let Some((world, program)) = program(&[("BASE_URL", &format!("http://{NAME}:{port}"))]).await else { return };
    let directives = "proxy_http_version 1.1; proxy_set_header Host $http_host;";
    let _nginx = Proxy::nginx_of(
        port,
        &format!(
            "server {{ listen {NAME}:{port} default_server; return 444; }}\n\
             server {{ listen {NAME}:{port}; server_name {NAME}; \
             location / {{ proxy_pass http://{program}; {directives} }} }}"
        ),
    );
    let ask = async |target: &str, host: &str| {
        let mut stream = TcpStream::connect((NAME, port)).await.expect("a connection");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    let absolute = format!("http://{NAME}:{port}/calls");
    assert_eq!(ask("/calls", "localhost:8000").await, "", "the Host header alone does not reach the program");
    assert!(ask(&absolute, "localhost:8000").await.starts_with("HTTP/1.1 200 "), "the proxy lets strangers in");
    assert!(world.app.probe().await, "BASE_URL leads to the program");
    for host in HOSTS {
        for route in ROUTES {
            let answer = ask(&format!("http://{NAME}:{port}{route}"), host).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{host} {route}: {answer}");
        }
    }
    assert_eq!(world.calls_placed(), 0);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_does_not_hide_a_program() {
    let port = free_port();
    let base = format!("https://127.0.0.1:{port}");
    let Some((world, program)) = program(&[("BASE_URL", &base)]).await else { return };
    assert!(!world.app.probe().await, "no proxy yet");
    let site = format!("{base} {{\n  bind 127.0.0.1\n  tls internal\n  reverse_proxy {program}\n}}\n");
    let _caddy = Proxy::caddy_of(port, &site);
    // Caddy listens before it has made its certificate.
    let refused = async || format!("{:?}", client().get(&base).send().await.expect_err("no trust"));
    while !refused().await.contains("UnknownIssuer") {}
    assert!(world.app.probe().await, "BASE_URL leads to the program");
    assert_eq!(world.get("/calls").await.status, 200, "Caddy reveals itself");
}

#[tokio::test]
async fn a_raw_tunnel_passes_on_any_host_and_is_detected() {
    let port = free_port();
    let Some((world, program)) = program_behind(port).await else { return };
    tunnel(port, &program).await;
    assert_detected(&world, port).await;
}

/// Asserts that through the proxy at this port all callbacks are answered while strangers post bodies that are refused
/// unread. Proxies use a connection to the program for one client after the other.
async fn assert_callbacks_arrive_among_refusals(world: &World, port: u16) {
    const ROUNDS: usize = 100;
    let params = [("AccountSid", ACCOUNT_SID), ("CallSid", CALL)];
    let (path, form) = ("/record/done/", encode(&params));
    let (url, signature) = (format!("http://127.0.0.1:{port}{path}"), sign(&format!("{}{path}", world.base), &params));
    let strangers = async || {
        let http = client();
        for round in 0..ROUNDS {
            // Some fit into one packet, some do not.
            let body = vec![b'a'; 1 << (round % 16)];
            let refused = http.post(&url).header(FORM.0, FORM.1).body(body).send().await.expect("an answer");
            assert_eq!(refused.status(), 403);
        }
    };
    let vendor = async || {
        let http = client();
        for _ in 0..ROUNDS {
            let callback = http.post(&url).header(FORM.0, FORM.1).header(signature::HEADER, &signature);
            let answer = Answer::of(callback.body(form.clone()).send().await.expect("an answer")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    join(join_all((0..8).map(|_| strangers())), join_all((0..8).map(|_| vendor()))).await;
}

#[tokio::test]
async fn callbacks_arrive_behind_an_nginx_that_keeps_connections() {
    let Some((world, program)) = program(&[]).await else { return };
    let port = free_port();
    let _nginx = Proxy::nginx_of(
        port,
        &format!(
            "upstream program {{ server {program}; keepalive 16; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://program; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }} }}"
        ),
    );
    assert_callbacks_arrive_among_refusals(&world, port).await;
}

#[tokio::test]
async fn callbacks_arrive_behind_haproxy_which_keeps_connections() {
    let Some((world, program)) = program(&[]).await else { return };
    let haproxy = Proxy::haproxy(free_port(), &program, "option forwardfor");
    assert_callbacks_arrive_among_refusals(&world, haproxy.port).await;
}

#[tokio::test]
async fn callbacks_arrive_behind_caddy_which_keeps_connections() {
    let Some((world, program)) = program(&[]).await else { return };
    let caddy = Proxy::caddy(free_port(), &program);
    assert_callbacks_arrive_among_refusals(&world, caddy.port).await;
}
