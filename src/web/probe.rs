//! `/_probe/<probe>`: a probe of [`exposure`](crate::exposure) arrives.

use std::net::SocketAddr;

use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};

use super::access;
use super::error::ApiError;
use crate::context::Shared;

/// Answers how the probe looks. Anything but a valid probe gets the refusal that a stranger gets at every address; so does
/// a browser, which a page of another site may have sent here with a probe that it received.
pub(super) async fn arrive(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<String, ApiError> {
    let exposure = &context.exposure;
    let probe = path.ok().map(|Path(probe)| probe).filter(|probe| exposure.is_probe(probe, context.clock.now()));
    let probe = probe.filter(|_| !access::is_from_a_browser(request.headers()));
    let Some(probe) = probe else { return Err(access::refusal(&context)) };
    let looks_local = access::looks_local(peer, &request);
    if looks_local {
        exposure.expose();
    }
    Ok(exposure.answer(&probe, looks_local) + "\n")
}
