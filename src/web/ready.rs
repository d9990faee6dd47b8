//! `/readyz`: whether the program can do its work.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::access;
use super::error::ApiError;
use super::extract::Query;
use crate::context::Shared;

/// Whether the program can do its work: the database can be written. A stranger learns what the last check found, and so
/// does everybody while a stranger may look local.
///
/// With `verbose=1`, also what an operator should know although the program can do its work.
pub(super) async fn ready(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(Detail { verbose }): Query<Detail>,
    request: Request,
) -> Result<String, ApiError> {
    let is_trusted = context.exposure.trust(context.clock.now()) == Some(true);
    let is_ready = if is_trusted && access::looks_local(peer, &request) {
        context.store.check(context.clock.now_ms()).await
    } else {
        context.store.is_ready()
    };
    if !is_ready {
        return Err(ApiError::NotReady);
    }
    let mut text = "ok\n".to_owned();
    if verbose.as_deref().is_some_and(|verbose| !matches!(verbose, "0" | "false")) {
        for warning in context.models.warnings() {
            text += &format!("warning: {warning}\n");
        }
    }
    Ok(text)
}

/// The query of `/readyz`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Detail {
    /// Adds warnings, unless it is `0` or `false`.
    verbose: Option<String>,
}
