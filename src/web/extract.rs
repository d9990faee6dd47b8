//! What handlers read from requests: ids in the path, queries, headers, and bodies up to a limit.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error::ApiError;
use super::qvalue::weighted;

/// Timeout of reading a small body. One that takes longer holds the connection open on purpose.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// Maximum size, in bytes, of a body that has no fields.
const LARGEST_WITHOUT_FIELDS: usize = 64 << 10;

/// The only parameter of the path, parsed.
pub(super) struct Id<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| ApiError::BadRequest("the URL is not valid UTF-8".to_owned()))?;
        text.parse().map(Self).map_err(|error: T::Err| ApiError::BadRequest(error.to_string()))
    }
}

/// The query, read as the struct that names its parameters. A page ignores other parameters. JSON and text refuse them, so
/// that a misspelled filter does not find everything.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let named = Named::of_query(&parts.uri)?;
        if wants_page(&parts.headers) { Ok(Self(named.named)) } else { named.alone().map(Self) }
    }
}

/// The query of a URL that has no parameters.
#[derive(Deserialize)]
pub(super) struct NoParameters {}

/// The fields of a struct, and the names of all others in the same form or query.
#[derive(Deserialize)]
pub(super) struct Named<T> {
    #[serde(flatten)]
    pub(super) named: T,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

impl<T: DeserializeOwned> Named<T> {
    pub(super) fn of_query(uri: &Uri) -> Result<Self, ApiError> {
        read_form(uri.query().unwrap_or_default().as_bytes())
    }
}

impl<T> Named<T> {
    /// Returns the fields of the struct. Fails if there are others.
    pub(super) fn alone(self) -> Result<T, ApiError> {
        if self.others.is_empty() {
            return Ok(self.named);
        }
        let names: Vec<String> = self.others.keys().map(|name| format!("{name:?}")).collect();
        Err(ApiError::BadRequest(format!("there is no parameter {} here", names.join(" or "))))
    }
}

/// Returns the value of a header that is present exactly once.
pub(super) fn only_header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Reads the whole body, if it is not larger than `limit` and arrives in time.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(ApiError::TooLarge(limit));
    }
    let read = tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, limit)).await;
    read.map_err(|_| ApiError::TooSlow)?.map_err(|error| {
        let is_long =
            std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        if is_long { ApiError::TooLarge(limit) } else { ApiError::BadRequest("the body was cut off".to_owned()) }
    })
}

/// The fields of a body.
pub(super) enum Fields {
    Json(Map<String, Value>),
    /// Names and texts, in their order. A name may be repeated.
    Form(Vec<(String, String)>),
}

impl Fields {
    /// Reads a body that is a JSON object or a form.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        let looks_like_json = body.trim_ascii_start().starts_with(b"{");
        match media_type(headers).as_deref() {
            // `curl -d '{…}'` says that it is a form, which cannot begin so.
            Some("application/json") => Self::read_json(body),
            Some(_) if is_form(headers) && looks_like_json => Self::read_json(body),
            Some(_) if is_form(headers) => Ok(Self::of_form(body)),
            Some(_) => Err(ApiError::UnsupportedMediaType("the body is neither JSON nor a form")),
            None => Err(ApiError::UnsupportedMediaType("the body has no Content-Type")),
        }
    }

    /// Reads a form.
    pub(super) fn of_form(encoded: &[u8]) -> Self {
        Self::Form(form_urlencoded::parse(encoded).into_owned().collect())
    }

    fn read_json(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map(Self::Json).map_err(|error| {
            ApiError::BadRequest(format!("expected a JSON object; line {}, column {}", error.line(), error.column()))
        })
    }

    /// Reads what a JSON object says, or a form, whose fields `of_form` turns into one.
    pub(super) fn parsed<T: DeserializeOwned>(
        self,
        of_form: impl FnOnce(Vec<(String, String)>) -> Map<String, Value>,
    ) -> Result<T, ApiError> {
        of_object(match self {
            Self::Json(fields) => fields,
            Self::Form(pairs) => of_form(pairs),
        })
    }

    /// Returns the JSON object, or the form as one of texts. Fails if the form repeats a name.
    pub(super) fn into_object(self) -> Result<Map<String, Value>, ApiError> {
        let pairs = match self {
            Self::Json(fields) => return Ok(fields),
            Self::Form(pairs) => pairs,
        };
        let mut fields = Map::new();
        for (name, text) in pairs {
            if fields.insert(name.clone(), Value::String(text)).is_some() {
                return Err(ApiError::BadRequest(format!("{name}: expected once")));
            }
        }
        Ok(fields)
    }
}

/// Reads the fields of a JSON object. Fails with the first that is not expected.
pub(super) fn of_object<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| ApiError::BadRequest(error.to_string()))
}

/// Returns the fields of a body as JSON, but for those of these names.
pub(super) fn without<T: Serialize>(body: &T, names: &[&str]) -> String {
    let mut fields = serde_json::to_value(body).unwrap_or_default();
    if let Value::Object(fields) = &mut fields {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
    fields.to_string()
}

/// The body of a request that has no fields: nothing, an empty JSON object or an empty form. Fields are refused, because what
/// they ask for would not be done. A page's form may send some.
pub(super) struct NoFields;

impl<S: Send + Sync> FromRequest<S> for NoFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = read_body(body, LARGEST_WITHOUT_FIELDS).await?;
        if body.trim_ascii().is_empty() || wants_page(&parts.headers) {
            return Ok(Self);
        }
        match Fields::read(&parts.headers, &body)?.into_object()?.keys().next() {
            None => Ok(Self),
            Some(name) => Err(ApiError::BadRequest(format!("there is no field {name:?} here"))),
        }
    }
}

/// Whether `Content-Type` is that of an URL-encoded form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    written_type(headers).is_some_and(|written| written.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Returns `Content-Type` without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    written_type(headers).map(str::to_ascii_lowercase)
}

fn written_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// Parses a form or query. A field of the struct may not be repeated in it.
pub(super) fn read_form<T: DeserializeOwned>(encoded: &[u8]) -> Result<T, ApiError> {
    serde_urlencoded::from_bytes(encoded).map_err(|error| ApiError::BadRequest(error.to_string()))
}

/// Whether the client is a browser that expects a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    preferred(headers, &["text/html", "application/json", "application/problem+json"]) == Some("text/html")
}

/// Returns the one of these media types that `Accept` names with the highest weight, and of equal ones the first. Wildcards
/// are ignored.
pub(super) fn preferred<'t>(headers: &HeaderMap, media_types: &[&'t str]) -> Option<&'t str> {
    let mut best = (0.0, None);
    for (name, weight) in weighted(headers, &header::ACCEPT) {
        let named = media_types.iter().copied().find(|media_type| media_type.eq_ignore_ascii_case(name));
        if named.is_some() && weight > best.0 {
            best = (weight, named);
        }
    }
    best.1
}
