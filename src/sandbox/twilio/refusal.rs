//! Twilio's errors: a code, a sentence and a link; as JSON where `.json` was asked for, as XML elsewhere.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// A request that Twilio does not fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) message: String,
}

impl Refusal {
    /// 400, with the code that says why.
    pub(super) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// Nothing is at this path, or not yet, or no longer.
    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self { status: StatusCode::NOT_FOUND, code: 20404, message }
    }

    /// What Twilio says of a status when there is nothing particular to say.
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

    /// The JSON form.
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

    /// The answer to a request for this path.
    pub(super) fn answer(&self, path: &str) -> Response {
        let (kind, body) = match path.ends_with(".json") {
            true => ("application/json", self.json().to_string()),
            false => ("application/xml", self.xml()),
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
