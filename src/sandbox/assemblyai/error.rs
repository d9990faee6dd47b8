//! Error responses: a status and one sentence as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub(super) type JsonResponse = Result<Json<Value>, ErrorResponse>;

#[derive(Debug)]
pub(super) struct ErrorResponse {
    status: StatusCode,
    error: String,
}

impl ErrorResponse {
    pub(super) fn new(status: StatusCode, error: &str) -> Self {
        Self { status, error: error.to_owned() }
    }
}

pub(super) fn bad_request(error: impl Into<String>) -> ErrorResponse {
    ErrorResponse { status: StatusCode::BAD_REQUEST, error: error.into() }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

/// Returns the body of an injected error.
pub(super) fn error_body(status: StatusCode) -> Value {
    json!({ "error": status.canonical_reason().unwrap_or("Error") })
}
