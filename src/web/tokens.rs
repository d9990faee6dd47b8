//! `/tokens`: tokens by name. A page, and the same as JSON.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::{Notices, timestamp};
use super::response::{page, see_other};
use super::who::{Who, by};
use crate::auth::NewToken;
use crate::context::Shared;
use crate::model::name::{BadName, Name};
use crate::model::named_token::{NamedToken, Right, Rights, TokenId};
use crate::pipeline::{self, tokens};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

/// What a client sends to make a token.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenBody)]
pub(super) struct Sent {
    name: String,
    /// At least one.
    #[serde(default)]
    #[schema(value_type = Vec<Right>)]
    rights: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct TokenView {
    id: String,
    name: String,
    /// `read`, `edit`, `dial` and `admin`.
    #[schema(value_type = Vec<Right>)]
    rights: Vec<&'static str>,
    at: Option<Timestamp>,
    by: String,
    /// To within a minute.
    used_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    tokens: Vec<TokenView>,
}

/// A token that was made, with its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewToken)]
pub(super) struct NewTokenView {
    #[serde(flatten)]
    view: TokenView,
    /// What the program sends.
    token: String,
}

#[derive(Template)]
#[template(path = "tokens.html", config = "src/web/pages/askama.toml")]
struct TokensPage {
    notices: Notices,
    tokens: Vec<TokenView>,
    typed: Sent,
    refused: Option<Refused>,
}

/// A token, which no other page shows.
#[derive(Template)]
#[template(path = "token.html", config = "src/web/pages/askama.toml")]
struct TokenPage {
    notices: Notices,
    token: TokenView,
    text: String,
}

impl TokenView {
    fn of(token: NamedToken) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            rights: token.rights.named().map(Right::as_str).collect(),
            at: timestamp(Some(token.made_at)),
            by: token.made_by,
            used_at: timestamp(token.used_at),
        }
    }
}

impl TokensPage {
    /// Whether the form has this right checked.
    fn has(&self, right: &str) -> bool {
        self.typed.rights.iter().any(|typed| typed == right)
    }
}

/// Lists the tokens. The page has the form for another one.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let tokens = views(&context).await?;
    if !wants_page(&headers) {
        return Ok(Json(TokenList { tokens }).into_response());
    }
    let typed = Sent { name: String::new(), rights: vec![Right::Read.as_str().to_owned()] };
    Ok(page(TokensPage { notices: Notices::of(&context), tokens, typed, refused: None }.render()))
}

async fn views(context: &Shared) -> Result<Vec<TokenView>, ApiError> {
    Ok(context.store.read().await?.tokens().await?.into_iter().map(TokenView::of).collect())
}

/// Makes a token. Only this answer tells it.
pub(super) async fn make(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let sent: Sent = Fields::read(&headers, &read_body(body, LARGEST).await?)?.parsed(of_form)?;
    let made = async {
        let name: Name = sent.name.parse().map_err(|wrong: BadName| ApiError::BadRequest(format!("name: {wrong}")))?;
        let rights: Option<Vec<Right>> = sent.rights.iter().map(|right| Right::named(right)).collect();
        let rights = rights.map(Rights::of).filter(|rights| !rights.is_empty());
        let wrong = || ApiError::BadRequest("rights: expected at least one of read, edit, dial and admin".to_owned());
        let (rights, token) = (rights.ok_or_else(wrong)?, NewToken::random());
        let made = tokens::make(&context, name, rights, token.hash(), by(&context, &who, &headers)).await?;
        Ok((made, token))
    };
    let is_page = wants_page(&headers);
    match made.await {
        Ok((token, text)) => {
            let (token, text) = (TokenView::of(token), text.text().to_owned());
            if is_page {
                return Ok(page(TokenPage { notices: Notices::of(&context), token, text }.render()));
            }
            let location = format!("/tokens/{}", token.id);
            let view = NewTokenView { view: token, token: text };
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
        }
        Err(error) if is_page => {
            let (tokens, field) = (views(&context).await?, field_of(&error));
            Ok(forms::again(error, move |problem| {
                let (notices, refused) = (Notices::of(&context), Some(Refused { field, problem }));
                page(TokensPage { notices, tokens: tokens.clone(), typed: sent.clone(), refused }.render())
            }))
        }
        Err(error) => Err(error),
    }
}

/// Returns the field that must be changed.
fn field_of(error: &ApiError) -> &'static str {
    match error {
        ApiError::BadRequest(why) if why.starts_with("rights: ") => "rights",
        ApiError::BadRequest(_) | ApiError::Pipeline(pipeline::Error::SameToken(_)) => "name",
        _ => "",
    }
}

/// A form has each right as a field of its own, or all of them in one, with commas between them.
fn of_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let (mut fields, mut rights) = (Map::new(), Vec::new());
    for (name, text) in pairs {
        if name == "rights" {
            rights.extend(text.split([',', ' ']).filter(|right| !right.is_empty()).map(Value::from));
        } else {
            fields.insert(name, Value::String(text));
        }
    }
    fields.insert("rights".to_owned(), Value::Array(rights));
    fields
}

/// One token as JSON. It has no page of its own.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TokenId>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    if wants_page(&headers) {
        return Ok(see_other(&format!("/tokens#token-{id}")));
    }
    Ok(Json(TokenView::of(tokens::get(&context, id).await?)).into_response())
}

/// Revokes a token.
pub(super) async fn revoke(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TokenId>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    tokens::revoke(&context, id).await?;
    Ok(if wants_page(&headers) { see_other("/tokens") } else { StatusCode::NO_CONTENT.into_response() })
}
