//! `/webhooks`: the receivers of webhooks. A page, and the same as JSON.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, of_object, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::response::{page, see_other};
use super::webhook_view::ReceiverView;
use super::who::{Who, by};
use crate::context::Shared;
use crate::model::receiver::{ReceiverId, ReceiverState};
use crate::model::signing_secret::SigningSecret;
use crate::pipeline::receivers;
use crate::store::Receiver;

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiverList {
    receivers: Vec<ReceiverView>,
}

/// A receiver with its secret, which no other answer has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecretView {
    #[serde(flatten)]
    receiver: ReceiverView,
    /// `whsec_` and what webhooks are signed with, in Base64.
    secret: String,
}

/// What a client sends to add a receiver.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReceiverBody)]
pub(super) struct Sent {
    url: String,
}

/// What a client sends to change one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReceiverChange)]
pub(super) struct Change {
    state: String,
}

#[derive(Template)]
#[template(path = "webhooks.html", config = "src/web/pages/askama.toml")]
struct WebhooksPage {
    notices: Notices,
    receivers: Vec<ReceiverView>,
    url: String,
    refused: Option<Refused>,
}

/// A secret, which no other page shows.
#[derive(Template)]
#[template(path = "webhook_secret.html", config = "src/web/pages/askama.toml")]
struct SecretPage {
    notices: Notices,
    receiver: ReceiverView,
    secret: SigningSecret,
}

/// Lists the receivers. The page has the form for another one.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let receivers = views(&context).await?;
    if !wants_page(&headers) {
        return Ok(Json(ReceiverList { receivers }).into_response());
    }
    let notices = Notices::of(&context);
    Ok(page(WebhooksPage { notices, receivers, url: String::new(), refused: None }.render()))
}

async fn views(context: &Shared) -> Result<Vec<ReceiverView>, ApiError> {
    let now = context.clock.now_ms();
    let (mut conn, mut receivers) = (context.store.read().await?, Vec::new());
    for receiver in conn.receivers().await? {
        receivers.push(ReceiverView::read(&mut conn, receiver, now).await?);
    }
    Ok(receivers)
}

/// Adds a receiver. Only this answer tells its secret.
pub(super) async fn add(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?;
    let url = fields.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    let added = async {
        let Sent { url } = of_object(fields)?;
        Ok::<_, ApiError>(receivers::add(&context, &url, by(&context, &who, &headers)).await?)
    };
    match added.await {
        Ok((receiver, secret)) => {
            let view = view(&context, receiver).await?;
            Ok(secret_of(&context, &headers, StatusCode::CREATED, view, secret))
        }
        Err(error) if wants_page(&headers) => {
            let receivers = views(&context).await?;
            Ok(forms::again(error, move |problem| {
                let refused = Some(Refused { field: "url", problem });
                let (notices, receivers) = (Notices::of(&context), receivers.clone());
                page(WebhooksPage { notices, receivers, url: url.clone(), refused }.render())
            }))
        }
        Err(error) => Err(error),
    }
}

/// One receiver as JSON. It has no page of its own.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ReceiverId>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let receiver = receivers::get(&mut context.store.read().await?, id).await?;
    if wants_page(&headers) {
        return Ok(see_other(&format!("/webhooks#receiver-{id}")));
    }
    Ok(Json(view(&context, receiver).await?).into_response())
}

/// Enables a receiver, or pauses it.
pub(super) async fn change(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ReceiverId>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let Change { state } = of_object(Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?)?;
    let can_be_set = |state: &ReceiverState| matches!(state, ReceiverState::Enabled | ReceiverState::Paused);
    let Some(state) = ReceiverState::named(&state).filter(can_be_set) else {
        return Err(ApiError::BadRequest("state: expected enabled or paused".to_owned()));
    };
    let receiver = receivers::change(&context, id, state).await?;
    if wants_page(&headers) {
        return Ok(see_other(&format!("/webhooks#receiver-{id}")));
    }
    Ok(Json(view(&context, receiver).await?).into_response())
}

/// Gives a receiver a new secret. Only this answer tells it.
pub(super) async fn rotate(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ReceiverId>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let secret = receivers::rotate(&context, id).await?;
    let receiver = receivers::get(&mut context.store.read().await?, id).await?;
    let view = view(&context, receiver).await?;
    Ok(secret_of(&context, &headers, StatusCode::OK, view, secret))
}

/// Removes a receiver.
pub(super) async fn remove(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ReceiverId>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    receivers::remove(&context, id).await?;
    Ok(if wants_page(&headers) { see_other("/webhooks") } else { StatusCode::NO_CONTENT.into_response() })
}

async fn view(context: &Shared, receiver: Receiver) -> Result<ReceiverView, ApiError> {
    ReceiverView::read(&mut context.store.read().await?, receiver, context.clock.now_ms()).await
}

fn secret_of(
    context: &Shared,
    headers: &HeaderMap,
    status: StatusCode,
    receiver: ReceiverView,
    secret: SigningSecret,
) -> Response {
    if wants_page(headers) {
        return page(SecretPage { notices: Notices::of(context), receiver, secret }.render());
    }
    let view = SecretView { receiver, secret: secret.text().to_owned() };
    (status, Json(view)).into_response()
}
