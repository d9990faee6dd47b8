//! The listener: how many may come at once, how long each may take, and how the last ones are seen off. It speaks
//! HTTP/1.1 and nothing else, whatever else the packages below can, and knows no route.

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

/// The most that a request's head may hold. Every connection may make us keep as much.
const LARGEST_HEAD: usize = 32 << 10;

/// When the program stops, requests under way have this long to end.
const DRAIN: Duration = Duration::from_millis(8_500);

/// Where no connection can be taken, for want of memory or files, nobody is taken for so long.
const BREATH: Duration = Duration::from_millis(50);

/// So many files a process may open where the system does not say: the least that is usual.
const FEWEST_FILES: usize = 256;

/// What one too many is told before its connection is closed.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// How much clients may ask of the listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// A request's head comes within this; a connection without a request is kept as long.
    pub head: Duration,
    /// A client that takes nothing of its answer is cut off after this.
    pub stall: Duration,
}

impl Default for Limits {
    /// 1,024 connections, or three quarters of the files that this process may open: the rest is for the database and
    /// the vendors. A listener out of files could not even refuse.
    fn default() -> Self {
        let connections = (files() / 4 * 3).min(1_024);
        Self { connections, head: Duration::from_secs(10), stall: Duration::from_secs(30) }
    }
}

/// How many files this process may open.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        soft => soft.and_then(|soft| soft.parse().ok()).unwrap_or(FEWEST_FILES),
    }
}

/// Listeners that are being served.
#[derive(Debug)]
pub struct Server {
    stopping: CancellationToken,
    running: JoinSet<()>,
}

impl Server {
    /// Serves the same routes at every listener.
    ///
    /// # Errors
    /// If a listener cannot be used.
    pub fn start(router: &Router, listeners: Vec<TcpListener>, limits: &Limits) -> io::Result<Self> {
        let mut http = http1::Builder::new();
        // The head's deadline counts from where a request may begin, so it bounds silent and idle connections, too.
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        http.max_header_size(LARGEST_HEAD).max_buf_size(LARGEST_HEAD);
        let door = Door {
            http,
            router: router.clone(),
            slots: Arc::new(Semaphore::new(limits.connections)),
            stall: limits.stall,
            stopping: CancellationToken::new(),
        };
        let mut server = Self { stopping: door.stopping.clone(), running: JoinSet::new() };
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            server.running.spawn(door.clone().serve(listener));
        }
        Ok(server)
    }

    /// Takes no new connection, lets the requests under way end, and cuts off what has not ended in time.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

/// What every connection is served with.
#[derive(Clone)]
struct Door {
    http: http1::Builder,
    router: Router,
    /// One for each connection that there may be.
    slots: Arc<Semaphore>,
    stall: Duration,
    stopping: CancellationToken,
}

impl Door {
    /// Takes connections until the stop, and sees them off.
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
                // Gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                if !is_full {
                    tracing::warn!("there are as many connections as may be; others are refused");
                }
                is_full = true;
                refuse(stream);
                continue;
            };
            is_full = false;
            connections.spawn(self.clone().talk(stream, peer, slot));
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        // What is left is cut off when the set is dropped.
        _ = tokio::time::timeout(DRAIN, ended).await;
    }

    /// Serves one connection to its end.
    async fn talk(self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        // Without it small pieces of a long answer would wait for each other.
        _ = stream.set_nodelay(true);
        let routes = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.call(request)
        });
        let stream = Stream { _slot: slot, tcp: TokioIo::new(stream), patience: self.stall, stalled: None };
        let mut connection = pin!(self.http.serve_connection(stream, service).with_upgrades());
        // How a client broke off is of no interest.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                _ = connection.await;
            }
        }
    }
}

/// Says that there are too many, if that can be said at once, and closes.
fn refuse(stream: TcpStream) {
    _ = stream.into_std().and_then(|mut stream| stream.write(BUSY));
}

/// A connection's stream. It has its slot with it, also where it becomes something else than HTTP.
struct Stream {
    /// The first field, so that whoever sees the connection closed finds the slot free.
    _slot: OwnedSemaphorePermit,
    tcp: TokioIo<TcpStream>,
    patience: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// Fails what has been waiting for the client too long.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
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
        self.in_time(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.in_time(written, cx)
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
