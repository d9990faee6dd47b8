//! The HTTP/1.1 listener: the maximum number of connections, their deadlines, and the graceful stop. Knows no route.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

/// Maximum size of a request's head. Each connection may use as much memory.
const LARGEST_HEAD: usize = 32 << 10;

/// Time that running requests have to end when the program stops.
const DRAIN: Duration = Duration::from_millis(8_500);

/// Pause after `accept` fails, as it does without free memory or file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Assumed maximum number of open files if the system does not report it.
const MIN_FILES: usize = 256;

/// The response to a connection beyond the limit.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// What the listener grants each client.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent connections, over all listeners.
    pub connections: usize,
    /// Deadline for a request's head, and so for an idle connection.
    pub head: Duration,
    /// Deadline for a client to read some of its response.
    pub stall: Duration,
}

impl Default for Limits {
    /// 1,024 connections, or three quarters of the files that this process may open. The rest is for the database and the
    /// vendors; without a free descriptor the listener could not even send [`BUSY`].
    fn default() -> Self {
        let connections = (max_open_files() / 4 * 3).min(1_024);
        Self { connections, head: Duration::from_secs(10), stall: Duration::from_secs(30) }
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
    pub fn start(router: &Router, listeners: Vec<TcpListener>, limits: &Limits) -> io::Result<Self> {
        let mut http = http1::Builder::new();
        // The deadline starts before the first byte of a request, so it limits idle connections, too.
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        http.max_header_size(LARGEST_HEAD).max_buf_size(LARGEST_HEAD);
        let acceptor = Acceptor {
            http,
            router: router.clone(),
            slots: Arc::new(Semaphore::new(limits.connections)),
            stall: limits.stall,
            stopping: CancellationToken::new(),
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
    /// One permit per connection.
    slots: Arc<Semaphore>,
    stall: Duration,
    stopping: CancellationToken,
}

impl Acceptor {
    /// Accepts connections until the stop, then drains them.
    async fn serve(self, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        let mut is_full = false;
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
                    tracing::warn!("could not accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                if !is_full {
                    tracing::warn!("connection limit reached; refusing more");
                }
                is_full = true;
                refuse(stream);
                continue;
            };
            is_full = false;
            connections.spawn(self.clone().serve_connection(stream, peer, slot));
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Dropping the set closes the rest.
        _ = tokio::time::timeout(DRAIN, ended).await;
    }

    async fn serve_connection(self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        // Otherwise small chunks of a long response would wait for each other.
        _ = stream.set_nodelay(true);
        let routes = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.call(request)
        });
        let stream = Stream { _slot: slot, tcp: TokioIo::new(stream), deadline: self.stall, stalled: None };
        let mut connection = pin!(self.http.serve_connection(stream, service).with_upgrades());
        // The error of a client that disconnects does not matter.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                _ = connection.await;
            }
        }
    }
}

/// Sends [`BUSY`], unless that would block, and closes the connection.
fn refuse(stream: TcpStream) {
    _ = stream.into_std().and_then(|mut stream| stream.write(BUSY));
}

/// A connection's stream. It owns the slot, also after an upgrade from HTTP.
struct Stream {
    /// The first field, so that the slot is free before the client sees the connection closed.
    _slot: OwnedSemaphorePermit,
    tcp: TokioIo<TcpStream>,
    deadline: Duration,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// Fails a write that the client has not read within the deadline.
    fn with_deadline<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.deadline)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.with_deadline(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.with_deadline(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
