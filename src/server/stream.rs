//! A connection's bytes: the deadline for a client that does not read, and the end that lets it read the last response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::slots::{Held, Slot};

/// How much is read of the rest of a body after its response, before the connection is closed. Closing it at once would
/// reset it while the client still writes, and the client might never read the response.
pub(super) const LINGER_BYTES: usize = 64 << 10;

/// A connection's stream. It owns the slot, also after an upgrade from HTTP.
pub(super) struct Stream {
    /// The first field, so that the slot is free before the client sees the connection closed.
    held: Held,
    tcp: TokioIo<TcpStream>,
    deadline: Duration,
    linger: Duration,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs after the last response, and the number of bytes read since.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    /// The last field, dropped once the connection is closed.
    _open: OwnedSemaphorePermit,
}

impl Stream {
    pub(super) fn new(
        held: Held,
        tcp: TcpStream,
        deadline: Duration,
        linger: Duration,
        open: OwnedSemaphorePermit,
    ) -> Self {
        // Otherwise small chunks of a long response would wait for each other.
        _ = tcp.set_nodelay(true);
        Self { held, tcp: TokioIo::new(tcp), deadline, linger, stalled: None, lingering: None, _open: open }
    }

    pub(super) fn slot(&self) -> &Slot {
        self.held.slot()
    }

    /// Fails a write that the client has not read within the deadline.
    fn with_deadline<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.held.slot().resumed();
            }
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| {
            self.held.slot().stalled();
            Box::pin(tokio::time::sleep(self.deadline))
        });
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads what the client still sends, until it closes the connection.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger;
        let (end, bytes) = self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(linger)), 0));
        let mut buffer = [0; 4_096];
        while *bytes < LINGER_BYTES && end.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut buffer);
            if ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer.unfilled())).is_err() || buffer.filled().is_empty() {
                break;
            }
            *bytes += buffer.filled().len();
        }
        Poll::Ready(())
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

    /// hyper calls it once it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        self.held.slot().sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        if self.held.slot().lingers() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
