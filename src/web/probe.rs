//! Whether this computer's name still proves anything. What comes through some tunnels and proxies cannot be told from
//! what is asked here, so the program asks itself from outside, once plainly and once as whoever wants in would: naming
//! `localhost`. If either looks as if it came from this computer, then so can any stranger.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Request, State};

use super::access;
use super::error::ApiError;
use crate::clients::outside::Outside;
use crate::context::{Context, Shared};

/// What a probe is answered with.
const ANSWER: &str = "callscribe\n";

/// The pause before a probe that did not come back is sent again: the tunnel may be begun after the program. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// But is no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A probe arrives. Whatever is none of ours is answered like any address that a stranger asks for.
pub(super) async fn arrive(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(nonce): Path<String>,
    request: Request,
) -> Result<&'static str, ApiError> {
    if !context.operator.is_probe(&nonce) {
        return Err(access::refusal(&context));
    }
    if access::looks_local(peer, &request) && !context.operator.is_exposed() {
        tracing::warn!(
            "what comes in through BASE_URL cannot be told from what is asked on this computer, because the tunnel or \
             proxy there hides what it is; from now on nobody is let in without logging in, on this computer either"
        );
        context.operator.expose();
    }
    Ok(ANSWER)
}

/// Sends probes until one came back. Says once that none does.
pub(crate) async fn watch(context: Shared, port: u16) {
    let mut pause = FIRST_PAUSE;
    loop {
        let came_back = tokio::select! {
            came_back = probe(&context, port) => came_back,
            () = context.stopping.cancelled() => return,
        };
        if came_back {
            tracing::info!("reachable at BASE_URL");
            return;
        }
        if pause == FIRST_PAUSE {
            tracing::warn!(
                "BASE_URL does not lead to this program, so neither vendor can reach it either: is the tunnel open, \
                 and its address still the same?"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.stopping.cancelled() => return,
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Sends both probes. Whether the plain one came back; the other need not.
pub(crate) async fn probe(context: &Context, port: u16) -> bool {
    let outside = Outside::new(context.urls.is_local());
    let address = || context.urls.probe(&context.operator.new_probe());
    let forged = format!("localhost:{port}");
    let (plain, to_forged) = (address(), address());
    let (plain, _) = tokio::join!(outside.ask(&plain, None), outside.ask(&to_forged, Some(&forged)));
    context.operator.forget_probes();
    // Another instance at the same address answers as well as this one.
    let came_back = plain.is_ok_and(|answer| answer == ANSWER);
    context.is_unreachable.store(!came_back, Ordering::Relaxed);
    came_back
}
