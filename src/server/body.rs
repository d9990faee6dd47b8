//! The bodies of requests and responses, which tell the connection's slot how far they are.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::slots::Slot;

/// A request's body.
pub(super) struct RequestBody {
    inner: Incoming,
    slot: Slot,
    /// Set once nothing of the body is left to read.
    is_whole: Arc<AtomicBool>,
}

impl RequestBody {
    /// Returns the body, and what says whether all of it was read.
    pub(super) fn new(inner: Incoming, slot: Slot) -> (Self, Arc<AtomicBool>) {
        let is_whole = Arc::new(AtomicBool::new(inner.is_end_stream()));
        (Self { inner, slot, is_whole: Arc::clone(&is_whole) }, is_whole)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let is_whole = frame.is_none() || frame.as_ref().is_some_and(Result::is_ok) && self.inner.is_end_stream();
        if is_whole && !self.is_whole.swap(true, Ordering::Relaxed) && !self.slot.body_arrived() {
            // The connection, and this body with it, is about to be dropped.
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body. hyper drops it once it has taken all of it.
pub(super) struct ResponseBody<B> {
    pub(super) inner: B,
    /// `None` if the connection is no longer HTTP after this response.
    pub(super) slot: Option<Slot>,
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            slot.answered();
        }
    }
}
