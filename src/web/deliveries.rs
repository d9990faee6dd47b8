//! `/webhooks/deliveries`: what was sent to the receivers of webhooks, and what they have answered. A page, and the same as
//! JSON.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Id, NoFields, NoParameters, Query, wants_page};
use super::pages::Notices;
use super::paging;
use super::response::{page, see_other};
use super::webhook_view::DeliveryView;
use crate::context::Shared;
use crate::model::receiver::{DeliveryState, ReceiverId};
use crate::pipeline::receivers;
use crate::store::{DeliveryFilter, Receiver};

/// Deliveries on one page.
const PAGE: i64 = 50;

/// The query.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    #[param(inline, value_type = Option<DeliveryState>)]
    state: String,
    /// The id of a receiver.
    #[param(value_type = Option<i64>)]
    receiver: String,
    /// How many are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    cursor: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "deliveries.html", config = "src/web/pages/askama.toml")]
struct DeliveriesPage {
    notices: Notices,
    search: Search,
    receivers: Vec<Receiver>,
    list: DeliveryList,
}

/// Lists deliveries, newest first.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, ApiError> {
    let (filter, before, limit) = (search.filter()?, search.before()?, paging::limit(&search.limit, PAGE)?);
    let mut conn = context.store.read().await?;
    let receivers = conn.receivers().await?;
    let mut found = conn.deliveries(filter, before, limit + 1).await?;
    drop(conn);
    let is_more = paging::cut(&mut found, limit);
    let next = found.last().filter(|_| is_more).map(|last| last.number.to_string());
    let deliveries = found.into_iter().map(|one| DeliveryView::of(one, &receivers)).collect();
    let list = DeliveryList { deliveries, next };
    if !wants_page(&headers) {
        return Ok(Json(list).into_response());
    }
    Ok(page(DeliveriesPage { notices: Notices::of(&context), search, receivers, list }.render()))
}

/// Sends a delivery again.
pub(super) async fn resend(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<String>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let delivery = receivers::resend(&context, &id).await?;
    if wants_page(&headers) {
        return Ok(see_other(&format!("/webhooks/deliveries#{}", delivery.id)));
    }
    let receivers = context.store.read().await?.receivers().await?;
    Ok(Json(DeliveryView::of(delivery, &receivers)).into_response())
}

impl Search {
    fn filter(&self) -> Result<DeliveryFilter, ApiError> {
        let expected = || ApiError::BadRequest("state: expected waiting, delivered or failed".to_owned());
        let state = match self.state.as_str() {
            "" => None,
            word => Some(DeliveryState::named(word).ok_or_else(expected)?),
        };
        let receiver = match self.receiver.trim() {
            "" => None,
            id => Some(id.parse::<ReceiverId>()?),
        };
        Ok(DeliveryFilter { state, receiver })
    }

    fn before(&self) -> Result<i64, ApiError> {
        if self.cursor.is_empty() {
            return Ok(i64::MAX);
        }
        self.cursor.parse().map_err(|_| ApiError::BadRequest("cursor: expected the next of a list".to_owned()))
    }

    /// The address of the next page.
    fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("state", &self.state), ("receiver", &self.receiver), ("limit", &self.limit)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        format!("/webhooks/deliveries?{}", query.append_pair("cursor", cursor).finish())
    }
}
