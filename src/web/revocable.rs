//! Bodies that end once the named token of their request is revoked, on whichever instance that happens.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::context::Shared;
use crate::events::Listener;
use crate::model::named_token::TokenId;
use crate::store::TOKENS;

/// The interval at which the store is asked, in case no event comes.
const LOOK: Duration = Duration::from_secs(10);

/// A body that fails once its token is revoked.
struct Revocable {
    body: Body,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Returns the body of a request or response, which fails once the token is revoked.
pub(super) fn while_valid(context: &Shared, token: TokenId, body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let revoked = Box::pin(revoked(Shared::clone(context), context.events.listen(), token));
    Body::new(Revocable { body, revoked })
}

async fn revoked(context: Shared, mut listener: Listener, token: TokenId) {
    loop {
        tokio::select! {
            () = listener.changed(TOKENS) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if !is_valid(&context, token).await {
            return;
        }
    }
}

/// Whether a token was not revoked. If the store cannot tell, the next look does.
pub(super) async fn is_valid(context: &Shared, token: TokenId) -> bool {
    let is_valid = async { context.store.read().await?.is_token(token).await };
    is_valid.await.unwrap_or_else(|error| {
        tracing::debug!("looking whether a token was revoked: {error}");
        true
    })
}

impl HttpBody for Revocable {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.revoked.as_mut().poll(context).is_ready() {
            // A future that has ended is not polled again.
            self.revoked = Box::pin(std::future::pending());
            self.body = Body::empty();
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::other("the token was revoked")))));
        }
        Poll::Ready(ready!(Pin::new(&mut self.body).poll_frame(context)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
