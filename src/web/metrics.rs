//! `/metrics`: what this process has counted, and what waits in the database, for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::extract::{NoParameters, Query};
use crate::clients::Service;
use crate::context::{Context, Shared};
use crate::metrics::{self, Moment, Waiting};
use crate::pipeline::budget;
use crate::store;

/// How long a scrape waits for the database. Then it tells the rest: Prometheus gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn scrape(
    State(context): State<Shared>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, ApiError> {
    let read = tokio::time::timeout(PATIENCE, read(&context)).await;
    let (waiting, budget) = match read {
        Ok(Ok((waiting, budget))) => (Some(waiting), budget),
        Ok(Err(error)) => {
            tracing::warn!("could not read for metrics what waits: {error}");
            (None, None)
        }
        Err(_) => (None, None),
    };
    let refusing = |service| context.refusing().any(|(refusing, _)| refusing == service);
    let moment = Moment {
        refusals: [Service::Twilio, Service::AssemblyAi].map(|service| (service.label(), refusing(service))).to_vec(),
        is_writable: context.store.is_ready(),
        waiting,
        budget,
    };
    let text = context.metrics.write(&moment).map_err(|_| ApiError::Internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn read(context: &Context) -> Result<(Waiting, Option<[f64; 2]>), store::Error> {
    let waiting = context.store.read().await?.waiting(context.clock.now_ms()).await?;
    let budget = budget::state(context).await?;
    Ok((waiting, budget.map(|budget| [budget.ordered, budget.per_day].map(|sum| sum.millionths() as f64 / 1e6))))
}
