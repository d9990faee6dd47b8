//! The HTTP/1.1 listener: how many connections there may be, their deadlines, and the graceful stop. Knows no route.

mod body;
mod slots;
mod stream;

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::Connections;
use crate::repeats::Repeats;
use body::{RequestBody, ResponseBody};
pub use slots::Slot;
use slots::Slots;
use stream::{LINGER_BYTES, Stream};

/// Maximum size of a request's head. Each connection may use as much memory.
const LARGEST_HEAD: usize = 32 << 10;

/// Time that running requests have to end when the program stops.
const DRAIN: Duration = Duration::from_millis(8_500);

/// Pause after `accept` fails, as it does without free memory or file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Assumed maximum number of open files if the system does not report it.
const MIN_FILES: usize = 256;

/// Marks the response of a listener whose slots are all taken, so that it is not mistaken for that of a proxy without a
/// server behind it.
pub const BUSY: HeaderName = HeaderName::from_static("x-callscribe-busy");

/// Whether a request may use a reserved slot, by its target and headers.
pub type IsPrivileged = fn(&Uri, &HeaderMap) -> bool;

/// What the listener grants each client.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent connections, over all listeners.
    pub connections: usize,
    /// How many of them are only for privileged requests.
    pub reserved: usize,
    /// Deadline for a request's head, and so for an idle connection.
    pub head: Duration,
    /// Deadline for a client to read some of its response.
    pub stall: Duration,
    /// How long a client may go on sending what is not wanted, after its last response.
    pub linger: Duration,
}

impl Default for Limits {
    /// 1,024 connections, or three quarters of the files that this process may open. The rest is for the database and the
    /// vendors; without a free descriptor the listener could not even refuse a connection.
    fn default() -> Self {
        let connections = (max_open_files() / 4 * 3).min(1_024);
        Self {
            connections,
            reserved: connections / 16,
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}

fn max_open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        soft => soft.and_then(|soft| soft.parse().ok()).unwrap_or(MIN_FILES),
    }
}

/// The running listeners.
#[derive(Debug)]
pub struct Server {
    stopping: CancellationToken,
    running: JoinSet<()>,
}

impl Server {
    /// Serves the routes at every listener.
    pub fn start(
        router: &Router,
        listeners: Vec<TcpListener>,
        limits: &Limits,
        is_privileged: IsPrivileged,
        connections: &Connections,
    ) -> io::Result<Self> {
        let mut http = http1::Builder::new();
        // The deadline starts before the first byte of a request, so it limits idle connections, too.
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        http.max_header_size(LARGEST_HEAD).max_buf_size(LARGEST_HEAD);
        let acceptor = Acceptor {
            http,
            router: router.clone(),
            slots: Slots::new(limits.connections - limits.reserved, limits.reserved, connections.clone()),
            open: Arc::new(Semaphore::new(limits.connections)),
            refused: Arc::new(Semaphore::new(limits.connections.div_ceil(32))),
            is_privileged,
            stall: limits.stall,
            linger: limits.linger,
            stopping: CancellationToken::new(),
            repeats: Arc::default(),
            started: Instant::now(),
        };
        let mut server = Self { stopping: acceptor.stopping.clone(), running: JoinSet::new() };
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            server.running.spawn(acceptor.clone().serve(listener));
        }
        Ok(server)
    }

    /// Accepts no more connections, waits [`DRAIN`] for running requests, and closes what is left.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

#[derive(Clone)]
struct Acceptor {
    http: http1::Builder,
    router: Router,
    slots: Arc<Slots>,
    /// One permit for each connection that is not closed yet.
    open: Arc<Semaphore>,
    /// One permit for each refused connection that is not closed at once, which the other limits do not count.
    refused: Arc<Semaphore>,
    is_privileged: IsPrivileged,
    stall: Duration,
    linger: Duration,
    stopping: CancellationToken,
    repeats: Arc<Repeats>,
    started: Instant,
}

impl Acceptor {
    /// Accepts connections until the stop, then drains them.
    async fn serve(self, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stopping.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // The client has gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    if let Some(times) = self.repeats("accept") {
                        tracing::warn!(times, "could not accept a connection: {error}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(held) = self.slots.take() else {
                if let Some(times) = self.repeats("refuse") {
                    tracing::warn!(times, "connection limit reached; refusing more");
                }
                if let (Ok(stream), Ok(permit)) = (refuse(stream), Arc::clone(&self.refused).try_acquire_owned()) {
                    connections.spawn(self.clone().linger(stream, permit));
                }
                continue;
            };
            if held.has_evicted()
                && let Some(times) = self.repeats("evict")
            {
                tracing::warn!(
                    times,
                    "connection limit reached; closing those that have waited longest for their client"
                );
            }
            // The evicted connection may still be about to close.
            let open = tokio::select! {
                open = Arc::clone(&self.open).acquire_owned() => open,
                () = self.stopping.cancelled() => break,
            };
            let Ok(open) = open else { break };
            let stream = Stream::new(held, stream, self.stall, self.linger, open);
            connections.spawn(self.clone().serve_connection(stream, peer));
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Dropping the set closes the rest.
        _ = tokio::time::timeout(DRAIN, ended).await;
    }

    /// Returns how often this has happened if the log is to say it.
    fn repeats(&self, what: &str) -> Option<u64> {
        self.repeats.count(what.to_owned(), self.started.elapsed().as_millis().try_into().unwrap_or(i64::MAX))
    }

    /// Reads what the client of a refused connection still sends.
    async fn linger(self, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        let read = async { tokio::io::copy(&mut stream.take(LINGER_BYTES as u64), &mut tokio::io::sink()).await };
        tokio::select! {
            _ = tokio::time::timeout(self.linger, read) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    async fn serve_connection(self, stream: Stream, peer: SocketAddr) {
        let slot = stream.slot().clone();
        let service = service_fn({
            let (routes, slot) = (TowerToHyperService::new(self.router), slot.clone());
            move |request| respond(routes.clone(), slot.clone(), self.is_privileged, peer, request)
        });
        let mut http = self.http;
        // A reserved slot is free again after one request.
        http.keep_alive(!slot.is_reserved());
        let mut connection = pin!(http.serve_connection(stream, service).with_upgrades());
        let serve = async {
            // The error of a client that disconnects does not matter.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = self.stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    _ = connection.await;
                }
            }
        };
        tokio::select! {
            biased;
            () = slot.evicted() => {}
            () = serve => {}
        }
    }
}

/// Responds to a request, and says so in the response if the connection ends with it.
async fn respond(
    routes: TowerToHyperService<Router>,
    slot: Slot,
    is_privileged: IsPrivileged,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody<Body>>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let (body, is_whole) = RequestBody::new(body, slot.clone());
    if !slot.head_arrived(is_whole.load(Ordering::Relaxed)) {
        // The connection is about to be dropped.
        return std::future::pending().await;
    }
    let mut response = if slot.is_reserved() && !is_privileged(&parts.uri, &parts.headers) {
        busy()
    } else {
        parts.extensions.insert(ConnectInfo(peer));
        parts.extensions.insert(slot.clone());
        routes.call(Request::from_parts(parts, body)).await?
    };
    if !is_whole.load(Ordering::Relaxed) {
        // The next request would begin in the rest of the body, so the connection ends. A proxy that does not know would
        // send it another client's request.
        slot.linger();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let is_http = response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if !is_http {
        slot.keep();
    }
    Ok(response.map(|inner| ResponseBody { inner, slot: is_http.then_some(slot) }))
}

/// The response of a listener whose slots are all taken.
fn busy() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response.headers_mut().insert(BUSY, HeaderValue::from_static("1"));
    response
}

/// Sends the response of [`busy`], unless that would block, ends the connection in that direction, and reads what has
/// arrived. Closing a connection with something unread would reset it, and the client might never read the response.
fn refuse(stream: TcpStream) -> io::Result<TcpStream> {
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n{BUSY}: 1\r\n\
         content-length: 0\r\n\r\n"
    );
    let mut stream = stream.into_std()?;
    stream.write_all(response.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut buffer = [0; 4_096];
    for _ in 0..LINGER_BYTES / buffer.len() {
        match stream.read(&mut buffer) {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    TcpStream::from_std(stream)
}
