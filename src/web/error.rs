//! The one error at the edge. It says what went wrong in words for the caller; internals go to the log alone.
//!
//! RFC 9457 problems for programs, a page with the same for browsers: `web::finish` writes whichever is asked for.

use std::time::Duration;

use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::auth::TooManyGuesses;
use crate::clients::{self, Kind, Refusal, Service};
use crate::model::BadId;
use crate::model::phone::BadPhoneNumber;
use crate::pipeline;
use crate::store;

/// How long to wait before a look at something that is on its way.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A request that does not bring what it asks for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// Something in the request itself: a number, an id, a field. 400.
    #[error("{0}")]
    BadRequest(String),
    /// A body in a form that is not read here. 415.
    #[error("the body is {0}")]
    UnsupportedMediaType(&'static str),
    /// A body that is too long. 413.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// A body that does not come. 408.
    #[error("the body did not come in time")]
    TooSlow,
    /// No such path. 404.
    #[error("there is nothing at this address")]
    NoSuchPath,
    /// A method that this path does not have. 405.
    #[error("this address does not answer to this method")]
    MethodNotAllowed(Option<&'static str>),
    /// Not proved to be from a vendor, or not from this computer. 403.
    #[error("{0}")]
    Forbidden(&'static str),
    /// From elsewhere, without the operator's token. 401.
    #[error(
        "from elsewhere than this computer, the operator's token is needed: send it as Authorization: Bearer, or as Basic password, or log in at /login"
    )]
    TokenNeeded,
    /// A log-in with something else than the token. 403.
    #[error("that is not the operator's token")]
    WrongToken,
    /// A log-in link that opens nothing. 403.
    #[error("this log-in link was used before, or is not the last one that was printed")]
    UsedLink,
    /// A token that was not looked at, because too many were wrong. 429.
    #[error("too many wrong tokens came of late; wait a little")]
    TooManyGuesses,
    /// AssemblyAI's webhook without its secret. 401.
    #[error("the webhook's secret is missing or wrong")]
    BadWebhookSecret,
    /// A browser that loads ahead of its user: it must come again when it is meant. 503.
    #[error("this address is not loaded ahead of time")]
    Speculative,
    /// More open pages than are told what changes. 503.
    #[error("so many pages are open that this one is not told what changes")]
    TooManyPages,
    /// A step of the pipeline that could not be taken.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A transcript that failed has neither text nor captions. 422.
    #[error("{0}")]
    TranscriptFailed(String),
    /// A bug. 500.
    #[error("something went wrong here; the log says what, under this request id")]
    Internal,
}

impl From<TooManyGuesses> for ApiError {
    fn from(_: TooManyGuesses) -> Self {
        Self::TooManyGuesses
    }
}

impl From<BadId> for ApiError {
    fn from(error: BadId) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<BadPhoneNumber> for ApiError {
    fn from(error: BadPhoneNumber) -> Self {
        Self::BadRequest(error.to_string())
    }
}

/// An error in the terms of RFC 9457.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    /// Tells one kind of problem from another.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) status: u16,
    pub(super) detail: String,
    /// Also in the log, and in `x-request-id`.
    pub(super) request_id: String,
    /// The vendor's own error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
    /// The vendor's own page on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) more_info: Option<String>,
}

impl Problem {
    /// Whether to log in, perhaps once more, would mend it.
    pub(super) fn wants_log_in(&self) -> bool {
        ["token-needed", "wrong-token", "too-many-guesses"].iter().any(|slug| self.kind.ends_with(slug))
    }

    /// The vendor's page, if it is an address that may stand in a link.
    pub(super) fn page(&self) -> Option<&str> {
        self.more_info.as_deref().filter(|page| page.starts_with("https://") || page.starts_with("http://"))
    }
}

/// What an error is at the edge.
struct ProblemParts {
    status: StatusCode,
    slug: &'static str,
    title: String,
    detail: String,
    refusal: Option<Refusal>,
    retry_after: Option<Duration>,
}

impl ProblemParts {
    fn new(status: StatusCode, slug: &'static str, title: impl Into<String>, detail: String) -> Self {
        Self { status, slug, title: title.into(), detail, refusal: None, retry_after: None }
    }

    fn later(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let allow = match &self {
            Self::MethodNotAllowed(allow) => *allow,
            _ => None,
        };
        let asks_for_token = matches!(self, Self::TokenNeeded);
        let ProblemParts { status, slug, title, detail, refusal, retry_after } = self.parts();
        let problem = Problem {
            kind: format!("urn:callscribe:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail,
            request_id: String::new(),
            code: refusal.as_ref().and_then(|refusal| refusal.code),
            more_info: refusal.and_then(|refusal| refusal.more_info),
        };
        let mut response = status.into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(seconds)));
        }
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if asks_for_token {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"callscribe\""));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// Rounded up: whoever comes then is not too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
}

impl ApiError {
    fn parts(self) -> ProblemParts {
        let detail = self.to_string();
        match self {
            Self::BadRequest(_) => {
                ProblemParts::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", detail)
            }
            Self::UnsupportedMediaType(_) => ProblemParts::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body's form is not read here",
                detail,
            ),
            Self::TooLarge(_) => {
                ProblemParts::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too long", detail)
            }
            Self::TooSlow => {
                ProblemParts::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The body did not come", detail)
            }
            Self::NoSuchPath => ProblemParts::new(StatusCode::NOT_FOUND, "no-such-path", "Nothing is here", detail),
            Self::MethodNotAllowed(_) => ProblemParts::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not allowed",
                detail,
            ),
            Self::Forbidden(_) => ProblemParts::new(StatusCode::FORBIDDEN, "forbidden", "Refused", detail),
            Self::TokenNeeded => {
                ProblemParts::new(StatusCode::UNAUTHORIZED, "token-needed", "The operator's token is needed", detail)
            }
            Self::WrongToken => {
                ProblemParts::new(StatusCode::FORBIDDEN, "wrong-token", "That is not the token", detail)
            }
            Self::UsedLink => ProblemParts::new(StatusCode::FORBIDDEN, "used-link", "The link opens nothing", detail),
            Self::TooManyGuesses => {
                ProblemParts::new(StatusCode::TOO_MANY_REQUESTS, "too-many-guesses", "Too many wrong tokens", detail)
                    .later(Some(LOOK_AGAIN))
            }
            Self::BadWebhookSecret => {
                ProblemParts::new(StatusCode::UNAUTHORIZED, "bad-webhook-secret", "The webhook is not proved", detail)
            }
            Self::Speculative => {
                ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "speculative", "Not loaded ahead of time", detail)
            }
            Self::TooManyPages => {
                ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-pages", "Too many pages are open", detail)
                    .later(Some(LOOK_AGAIN))
            }
            Self::TranscriptFailed(_) => ProblemParts::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "transcript-failed",
                "The transcript failed",
                detail,
            ),
            Self::Internal => {
                ProblemParts::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong", detail)
            }
            Self::Pipeline(error) => pipeline_parts(error, detail),
        }
    }
}

fn pipeline_parts(error: pipeline::Error, detail: String) -> ProblemParts {
    use pipeline::Error as E;
    let soon = |later: bool| later.then_some(LOOK_AGAIN);
    match error {
        E::Keyterms(_) => {
            ProblemParts::new(StatusCode::BAD_REQUEST, "bad-keyterms", "The key terms cannot be sent", detail)
        }
        E::NotAllowed(_) => {
            ProblemParts::new(StatusCode::FORBIDDEN, "not-allowed", "The number is not dialled", detail)
        }
        E::NotOurRecording(_) => {
            ProblemParts::new(StatusCode::BAD_REQUEST, "not-our-recording", "Not a recording of this account", detail)
        }
        E::NoRecording { later, .. } => {
            ProblemParts::new(StatusCode::NOT_FOUND, "no-recording", "The call has no recording", detail)
                .later(soon(later))
        }
        E::SeveralRecordings { .. } => {
            ProblemParts::new(StatusCode::CONFLICT, "several-recordings", "The call has several recordings", detail)
        }
        E::NotRecorded { later, .. } => {
            ProblemParts::new(StatusCode::CONFLICT, "not-recorded", "The recording has no audio", detail)
                .later(soon(later))
        }
        E::NoSuchCall(_) => {
            ProblemParts::new(StatusCode::NOT_FOUND, "no-such-call", "The call is not known here", detail)
        }
        E::Unsettled { .. } => {
            ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "unsettled", "Twilio has not taken the call yet", detail)
                .later(Some(LOOK_AGAIN))
        }
        E::TooManyCalls { retry_after, .. } => {
            ProblemParts::new(StatusCode::TOO_MANY_REQUESTS, "too-many-calls", "Too many calls were dialled", detail)
                .later(Some(retry_after))
        }
        E::NotPlaced(_) => ProblemParts::new(StatusCode::BAD_GATEWAY, "not-placed", "The call was not placed", detail),
        E::TranscriptFailed(_) => {
            ProblemParts::new(StatusCode::UNPROCESSABLE_ENTITY, "transcript-failed", "The transcript failed", detail)
        }
        E::Pending(_) => ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "under-way", "It is not finished", detail)
            .later(Some(LOOK_AGAIN)),
        E::NotDeletable(_) => {
            ProblemParts::new(StatusCode::CONFLICT, "not-deletable", "It cannot be deleted now", detail)
        }
        E::Deleted => ProblemParts::new(StatusCode::GONE, "deleted", "It was deleted", detail),
        E::NothingToRetry(_) => {
            ProblemParts::new(StatusCode::CONFLICT, "nothing-to-retry", "There is nothing to try again", detail)
        }
        E::Stopping => {
            ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The program is being stopped", detail)
        }
        E::Store(error) => {
            tracing::error!("{error}");
            let detail = "the database does not answer; the log says why".to_owned();
            ProblemParts::new(StatusCode::SERVICE_UNAVAILABLE, "database", "The database does not answer", detail)
                .later(Some(LOOK_AGAIN))
        }
        E::Panicked => ApiError::Internal.parts(),
        E::Vendor(error) => vendor_parts(error),
    }
}

/// A vendor's error under the status that says whose fault it is, with the setting to look at where one is to blame.
fn vendor_parts(error: clients::Error) -> ProblemParts {
    let (title, explanation, service) = (error.title(), error.explanation(), error.service);
    let (status, slug, advice) = match &error.kind {
        Kind::Unauthorized(_) => {
            (StatusCode::BAD_GATEWAY, "vendor-credentials", format!("; look at {}", credentials_of(service)))
        }
        Kind::NotFound(_) => (StatusCode::NOT_FOUND, "vendor-not-found", String::new()),
        Kind::RateLimited { .. } => {
            let advice = "; nothing was done, try again later".to_owned();
            (StatusCode::TOO_MANY_REQUESTS, "vendor-rate-limited", advice)
        }
        Kind::Rejected(refusal) => {
            let (status, look_at) = rejected(service, refusal);
            (status, "vendor-rejected", look_at.to_owned())
        }
        Kind::Unreachable(_) => (StatusCode::BAD_GATEWAY, "vendor-unreachable", "; nothing was done".to_owned()),
        Kind::Unavailable { .. } | Kind::Broken(_) => (StatusCode::BAD_GATEWAY, "vendor-unavailable", String::new()),
        Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "vendor-timeout", String::new()),
        Kind::BadBody { .. } => (StatusCode::BAD_GATEWAY, "vendor-bad-answer", String::new()),
        Kind::Ambiguous(cause) => {
            let cause = vendor_parts(clients::Error { service, kind: (**cause).clone() });
            let may_have = match service {
                Service::Twilio => {
                    "the call may have been placed all the same; callscribe looks for it and shows it at /calls"
                }
                Service::AssemblyAi => {
                    "the transcript may have been ordered all the same; callscribe looks for it, and to ask again is safe"
                }
            };
            let detail = format!("{}; {may_have}", cause.detail);
            return ProblemParts { slug: "vendor-ambiguous", title, detail, ..cause };
        }
    };
    let retry_after = match &error.kind {
        Kind::RateLimited { retry_after, .. } => retry_after.or(Some(LOOK_AGAIN)),
        kind => kind.retry_after(),
    };
    let detail = format!("{explanation}{advice}");
    ProblemParts {
        refusal: error.kind.refusal().cloned(),
        ..ProblemParts::new(status, slug, title, detail).later(retry_after)
    }
}

/// The settings that a vendor knows us by.
pub(super) fn credentials_of(service: Service) -> &'static str {
    match service {
        Service::Twilio => "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET",
        Service::AssemblyAi => "ASSEMBLYAI_KEY",
    }
}

/// The status for a refusal, and the setting to look at where one is to blame.
fn rejected(service: Service, refusal: &Refusal) -> (StatusCode, &'static str) {
    let own = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    match (service, refusal.code) {
        // Countries that the account does not call: https://www.twilio.com/docs/api/errors/21215.
        (Service::Twilio, Some(21215 | 32205 | 13227)) => {
            (StatusCode::FORBIDDEN, "; the account's geographic permissions, in Twilio's console, rule this")
        }
        (Service::Twilio, Some(21210 | 21212 | 21213)) => (StatusCode::BAD_GATEWAY, "; look at TWILIO_PHONE_NUMBER"),
        (Service::Twilio, Some(21205)) => (StatusCode::BAD_GATEWAY, "; look at BASE_URL"),
        (Service::Twilio, _) if own == StatusCode::NOT_FOUND => {
            (StatusCode::BAD_GATEWAY, "; look at TWILIO_ACCOUNT_SID, TWILIO_REGION and TWILIO_API_URL")
        }
        (Service::AssemblyAi, _) if own == StatusCode::NOT_FOUND => {
            (StatusCode::BAD_GATEWAY, "; look at ASSEMBLYAI_API_URL")
        }
        // 403 to our caller would mean that the caller is not let in; here it is this program that is not.
        _ if own == StatusCode::FORBIDDEN || !own.is_client_error() => (StatusCode::BAD_GATEWAY, ""),
        _ => (own, ""),
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        Self::Pipeline(error.into())
    }
}

impl From<clients::Error> for ApiError {
    fn from(error: clients::Error) -> Self {
        Self::Pipeline(error.into())
    }
}
