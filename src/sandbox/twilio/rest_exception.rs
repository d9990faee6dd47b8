//! Error responses, which Twilio calls REST exceptions: JSON for a path that ends in `.json`, XML for any other.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestException {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) message: String,
}

impl RestException {
    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self { status: StatusCode::NOT_FOUND, code: 20404, message }
    }

    /// Returns the error that Twilio sends with this status if it has nothing more specific to say.
    pub(super) fn of(status: StatusCode) -> Self {
        let (code, message) = match status.as_u16() {
            401 => (20003, "Authenticate"),
            405 => (20004, "Method not allowed"),
            429 => (20429, "Too Many Requests"),
            500 => (20500, "An internal server error has occurred"),
            503 => (20503, "Service is unavailable. Please try again."),
            other => (20_000 + u32::from(other), status.canonical_reason().unwrap_or("Error")),
        };
        Self { status, code, message: message.to_owned() }
    }

    fn more_info(&self) -> String {
        format!("https://www.twilio.com/docs/errors/{}", self.code)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "more_info": self.more_info(), "status": self.status.as_u16() })
    }

    fn xml(&self) -> String {
        let Self { status, code, message } = self;
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>{code}</Code><Message>{}</Message>\
             <MoreInfo>{}</MoreInfo><Status>{}</Status></RestException></TwilioResponse>",
            quick_xml::escape::escape(message.as_str()),
            self.more_info(),
            status.as_u16(),
        )
    }

    pub(super) fn response(&self, path: &str) -> Response {
        let (content_type, body) = if path.ends_with(".json") {
            ("application/json", self.json().to_string())
        } else {
            ("application/xml", self.xml())
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

pub(super) fn bad_request(code: u32, message: impl Into<String>) -> RestException {
    RestException { status: StatusCode::BAD_REQUEST, code, message: message.into() }
}
