//! Streams that end once the named token of their request is revoked, on whichever instance that happens.

use std::io;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures_util::{StreamExt as _, stream};

use crate::context::Shared;
use crate::events::Listener;
use crate::model::named_token::TokenId;
use crate::store::TOKENS;

/// The interval at which the store is asked, in case no event comes.
const LOOK: Duration = Duration::from_secs(10);

/// A request body of up to this many bytes arrives before anything is done with it.
const SMALL: u64 = 1 << 20;

/// Returns the body of a request or response, which fails once the token is revoked. What is in memory already stays as it is.
pub(super) fn while_valid(context: &Shared, token: TokenId, body: Body) -> Body {
    let size = body.size_hint();
    if size.upper().is_some_and(|most| most <= SMALL) || body.is_end_stream() {
        return body;
    }
    let revoked = Box::pin(revoked(Shared::clone(context), context.events.listen(), token));
    let stream = stream::unfold(Some((body.into_data_stream(), revoked)), |state| async {
        let (mut pieces, mut revoked) = state?;
        tokio::select! {
            biased;
            () = &mut revoked => Some((Err(axum::Error::new(io::Error::other("the token was revoked"))), None)),
            piece = pieces.next() => piece.map(|piece| (piece, Some((pieces, revoked)))),
        }
    });
    Body::from_stream(stream)
}

async fn revoked(context: Shared, mut listener: Listener, token: TokenId) {
    loop {
        tokio::select! {
            () = listener.changed(TOKENS) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        let is_valid = async { context.store.read().await?.is_token(token).await };
        match is_valid.await {
            Ok(true) => {}
            Ok(false) => return,
            // The next look tells.
            Err(error) => tracing::debug!("looking whether a token was revoked: {error}"),
        }
    }
}
