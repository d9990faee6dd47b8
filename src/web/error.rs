//! The error of all handlers. Its text is for the client; internals go to the log only.
//!
//! Programs get an RFC 9457 problem, browsers a page with the same content: `web::finish` writes either.

use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::trial_view::PlanView;
use super::words::WordView;
use crate::auth::TooManyGuesses;
use crate::clients::{self, Kind, Refusal, Service};
use crate::model::BadId;
use crate::model::named_token::Right;
use crate::model::phone::BadPhoneNumber;
use crate::model::typed_number::BadTypedNumber;
use crate::pipeline::{self, Changed};
use crate::{spool, store};

/// Pause before a client asks again for something that is not finished.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// A number, an id or a field of the request is invalid. 400.
    #[error("{0}")]
    BadRequest(String),
    /// 415.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// 413. The limit in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// 412. A client of another version of tus.
    #[error("Tus-Resumable: expected 1.0.0")]
    OtherVersion,
    /// 408.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// 404.
    #[error("there is nothing at this URL")]
    NoSuchPath,
    /// 405. The methods for `Allow`, if axum does not add them.
    #[error("this URL does not support this method")]
    MethodNotAllowed(Option<&'static str>),
    /// Not authenticated as a vendor, or not allowed from where it comes from. 403.
    #[error("{0}")]
    Forbidden(&'static str),
    /// From another computer, without the operator token. 401.
    #[error(
        "requests from another computer need the operator token: send it as a Bearer token or as the Basic password, or log in at /login"
    )]
    TokenNeeded,
    /// 401.
    #[error("this token is unknown, or was revoked")]
    UnknownToken,
    /// With a named token that lacks the right. 403.
    #[error("the token {name:?} lacks the right {}, which this needs", .right.as_str())]
    NotPermitted { name: String, right: Right },
    /// 403.
    #[error("that is not the operator token")]
    WrongToken,
    /// 403.
    #[error("this log-in link was used before, or is not the latest one printed")]
    UsedLink,
    /// The token was not compared, because too many were wrong. 429.
    #[error("too many failed attempts; try again shortly")]
    TooManyGuesses,
    /// From something that is not AssemblyAI. 401.
    #[error("the webhook's secret is missing or wrong")]
    BadWebhookSecret,
    /// A browser prefetches: it must ask again when its user means to. 503.
    #[error("prefetching this URL is not allowed")]
    Speculative,
    /// It looks local, but strangers may look local, too. 503.
    #[error(
        "callscribe could not find out whether strangers can come in through BASE_URL, so for now being on this computer is not enough: try again, {}open the log-in link in callscribe's output",
        if *.has_token { "log in with OPERATOR_TOKEN, or " } else { "or " }
    )]
    Unchecked { has_token: bool },
    /// 503.
    #[error("too many live pages are open")]
    TooManyPages,
    /// 503.
    #[error("too many exports are running; try again when one of them has ended")]
    TooManyExports,
    /// 505.
    #[error(
        "an export needs HTTP/1.1, which shows whether all of it has arrived; a proxy may have to be told (nginx: proxy_http_version 1.1)"
    )]
    OldHttp,
    /// 503.
    #[error("the database cannot be written; the log says why")]
    NotReady,
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A trial was confirmed that would order something else by now. 409.
    #[error("what this trial would order is no longer what was confirmed; nothing was ordered")]
    OtherPlan(Box<PlanView>),
    /// A failed transcript has neither text nor captions. 422.
    #[error("{0}")]
    TranscriptFailed(String),
    /// The words of this transcript have no times, so it has no captions. 422.
    #[error(
        "AssemblyAI sent transcript {0} without the times of its words, so there are no captions; format=text has the text"
    )]
    NoTimes(String),
    /// A bug. 500.
    #[error("something went wrong; the log has the details under this request id")]
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

impl From<BadTypedNumber> for ApiError {
    fn from(error: BadTypedNumber) -> Self {
        Self::BadRequest(error.to_string())
    }
}

/// A problem as RFC 9457 defines it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// A URN for each kind of problem.
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
    /// What stands now where a correction was meant to go.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) changed: Option<ChangedView>,
    /// What a trial would do now.
    #[serde(rename = "now", skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<Box<PlanView>>,
}

/// Words that have changed since the version that a client saw.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ChangedView {
    version: i64,
    /// Their positions in this version.
    from: usize,
    to: usize,
    words: Vec<WordView>,
}

impl Problem {
    /// Whether logging in would help.
    pub(super) fn wants_log_in(&self) -> bool {
        ["too-many-guesses", "unchecked"].iter().any(|slug| self.kind.ends_with(slug))
    }

    /// Whether what was asked for is deleted, so that the page is no failure to the operator who deleted it.
    pub(super) fn is_deletion(&self) -> bool {
        self.kind.ends_with(":deleted")
    }

    /// Returns the vendor's page on the error, if its address is safe in a link.
    pub(super) fn page(&self) -> Option<&str> {
        self.more_info.as_deref().filter(|page| page.starts_with("https://") || page.starts_with("http://"))
    }
}

impl ChangedView {
    fn of(Changed { version, from, to, words }: &Changed) -> Self {
        Self { version: *version, from: *from, to: *to, words: words.iter().cloned().map(WordView::of).collect() }
    }
}

/// What an error becomes in a response.
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
        let total = match &self {
            Self::Pipeline(pipeline::Error::Vendor(clients::Error { kind: Kind::BeyondEnd { total }, .. })) => *total,
            _ => None,
        };
        let changed = match &self {
            Self::Pipeline(pipeline::Error::Changed(changed)) => Some(ChangedView::of(changed)),
            _ => None,
        };
        let plan = match &self {
            Self::OtherPlan(plan) => Some(plan.clone()),
            _ => None,
        };
        let asks_for_token = matches!(self, Self::TokenNeeded | Self::UnknownToken);
        let ProblemParts { status, slug, title, detail, refusal, retry_after } = self.parts();
        let problem = Problem {
            kind: format!("urn:callscribe:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail,
            request_id: String::new(),
            code: refusal.as_ref().and_then(|refusal| refusal.code),
            more_info: refusal.and_then(|refusal| refusal.more_info),
            changed,
            plan,
        };
        let mut response = status.into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(seconds)));
        }
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(total) = total {
            let range = HeaderValue::try_from(format!("bytes */{total}")).expect("digits are a header value");
            response.headers_mut().insert(CONTENT_RANGE, range);
        }
        if asks_for_token {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"callscribe\""));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// Rounds up, so that a client that waits this long is not too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
}

impl ApiError {
    fn parts(self) -> ProblemParts {
        let detail = self.to_string();
        let (status, slug, title) = match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request", "Invalid request"),
            Self::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported content type")
            }
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::OtherVersion => (StatusCode::PRECONDITION_FAILED, "other-version", "Another version of tus"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "The body took too long"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no-such-path", "Page not found"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::TokenNeeded => (StatusCode::UNAUTHORIZED, "token-needed", "The operator token is needed"),
            Self::UnknownToken => (StatusCode::UNAUTHORIZED, "unknown-token", "Unknown token"),
            Self::NotPermitted { .. } => (StatusCode::FORBIDDEN, "not-permitted", "The token may not do this"),
            Self::WrongToken => (StatusCode::FORBIDDEN, "wrong-token", "Wrong token"),
            Self::UsedLink => (StatusCode::FORBIDDEN, "used-link", "This log-in link has expired"),
            Self::TooManyGuesses => (StatusCode::TOO_MANY_REQUESTS, "too-many-guesses", "Too many failed attempts"),
            Self::BadWebhookSecret => (StatusCode::UNAUTHORIZED, "bad-webhook-secret", "Webhook not authenticated"),
            Self::Speculative => (StatusCode::SERVICE_UNAVAILABLE, "speculative", "Prefetching is not allowed"),
            Self::Unchecked { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unchecked", "The tunnel could not be checked"),
            Self::TooManyPages => (StatusCode::SERVICE_UNAVAILABLE, "too-many-pages", "Too many pages are open"),
            Self::TooManyExports => (StatusCode::SERVICE_UNAVAILABLE, "too-many-exports", "Too many exports"),
            Self::OldHttp => (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "old-http", "HTTP/1.0 is not enough"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "database", "The database cannot be written"),
            Self::OtherPlan(_) => (StatusCode::CONFLICT, "other-plan", "The plan has changed"),
            Self::TranscriptFailed(_) => TRANSCRIPT_FAILED,
            Self::NoTimes(_) => (StatusCode::UNPROCESSABLE_ENTITY, "no-times", "The transcript has no times"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong"),
            Self::Pipeline(error) => return pipeline_parts(error, detail),
        };
        let is_temporary =
            matches!(slug, "too-many-guesses" | "too-many-pages" | "too-many-exports" | "unchecked" | "database");
        ProblemParts::new(status, slug, title, detail).later(is_temporary.then_some(LOOK_AGAIN))
    }
}

const TRANSCRIPT_FAILED: (StatusCode, &str, &str) =
    (StatusCode::UNPROCESSABLE_ENTITY, "transcript-failed", "The transcript failed");

fn pipeline_parts(error: pipeline::Error, detail: String) -> ProblemParts {
    use pipeline::Error as E;
    let soon = Some(LOOK_AGAIN);
    let ((status, slug, title), retry_after) = match error {
        E::Keyterms(_) => ((StatusCode::BAD_REQUEST, "bad-keyterms", "Invalid key terms"), None),
        E::NotAllowed(_) => ((StatusCode::FORBIDDEN, "not-allowed", "This number cannot be called"), None),
        E::SameNumber => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::NotOurRecording(_) => {
            ((StatusCode::BAD_REQUEST, "not-our-recording", "Not a recording of this account"), None)
        }
        E::NoRecording { later, .. } => {
            ((StatusCode::NOT_FOUND, "no-recording", "The call has no recording"), soon.filter(|_| later))
        }
        E::SeveralRecordings { .. } => {
            ((StatusCode::CONFLICT, "several-recordings", "The call has several recordings"), None)
        }
        E::NotRecorded { later, .. } => {
            ((StatusCode::CONFLICT, "not-recorded", "The recording has no audio"), soon.filter(|_| later))
        }
        E::NotDecryptable { .. } => {
            ((StatusCode::CONFLICT, "not-decryptable", "The recording cannot be decrypted"), None)
        }
        E::OtherMatches => ((StatusCode::CONFLICT, "other-matches", "Others match by now"), None),
        E::InOwnStorage => ((StatusCode::CONFLICT, "in-own-storage", "There is no copy"), None),
        E::OtherArchive(_) => ((StatusCode::CONFLICT, "other-archive", "A copy is in another archive"), None),
        E::NotKept => ((StatusCode::NOT_FOUND, "audio-not-kept", "There is no audio"), None),
        E::NoSuchSpeaker(_) | E::NotAnUpload => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::Edit(_) | E::NoSuchVersion { .. } => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::NoSuchTranscript(_) => ((StatusCode::NOT_FOUND, "no-such-transcript", "No such transcript"), None),
        E::NotCompleted { .. } => ((StatusCode::CONFLICT, "not-completed", "The transcript is not completed"), None),
        E::Changed(_) => ((StatusCode::CONFLICT, "changed", "These words have changed"), None),
        E::OtherStretch(_) => ((StatusCode::CONFLICT, "other-stretch", "That is another stretch"), None),
        E::NoSuchCorrection(_) => ((StatusCode::NOT_FOUND, "no-such-correction", "No such correction"), None),
        E::OtherRecording => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::NoSuchReplacement(_) => ((StatusCode::NOT_FOUND, "no-such-replacement", "No such replacement"), None),
        E::AlreadyUndone(_) => ((StatusCode::CONFLICT, "already-undone", "The correction is undone already"), None),
        E::NoSuchCall(_) => ((StatusCode::NOT_FOUND, "no-such-call", "No such call"), None),
        E::NoSuchTrial(_) => ((StatusCode::NOT_FOUND, "no-such-trial", "No such trial"), None),
        E::OtherTrial(_) => ((StatusCode::CONFLICT, "other-trial", "Another trial has this id"), None),
        E::NothingToTry(_) => ((StatusCode::CONFLICT, "nothing-to-transcribe", "Nothing to transcribe"), None),
        E::TrialRuns => ((StatusCode::CONFLICT, "trial-runs", "The trial still runs"), None),
        E::NoSuchImport(_) => ((StatusCode::NOT_FOUND, "no-such-import", "No such import"), None),
        E::OtherImport(_) => ((StatusCode::CONFLICT, "other-import", "Another import has this id"), None),
        E::ImportIs { .. } => ((StatusCode::CONFLICT, "import-state", "The import is in another state"), None),
        E::NoSuchArm { .. }
        | E::TooManyOrders { .. }
        | E::TooManyMatches(_)
        | E::TooManyListed(_)
        | E::TooLongToCount { .. } => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::Receiver(_) => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::NoSuchReceiver(_) => ((StatusCode::NOT_FOUND, "no-such-receiver", "No such receiver"), None),
        E::SameReceiver => ((StatusCode::CONFLICT, "same-receiver", "The receiver is there already"), None),
        E::TooManyReceivers(_) => ((StatusCode::CONFLICT, "too-many-receivers", "Too many receivers"), None),
        E::ReceiverOfSetting(_) => {
            ((StatusCode::CONFLICT, "receiver-of-setting", "The receiver is in a setting"), None)
        }
        E::NoSuchDelivery(_) => ((StatusCode::NOT_FOUND, "no-such-delivery", "No such delivery"), None),
        E::ReceiverIsOff => ((StatusCode::CONFLICT, "receiver-is-off", "The receiver gets nothing"), None),
        E::OtherRequest => {
            ((StatusCode::UNPROCESSABLE_ENTITY, "other-request", "Another request has this Idempotency-Key"), None)
        }
        E::NoSuchToken(_) => ((StatusCode::NOT_FOUND, "no-such-token", "No such token"), None),
        E::SameToken(_) => ((StatusCode::CONFLICT, "same-token", "There is a token of this name"), None),
        E::TooManyTokens(_) => ((StatusCode::CONFLICT, "too-many-tokens", "Too many tokens"), None),
        E::NoSuchContact(_) => ((StatusCode::NOT_FOUND, "no-such-contact", "No such contact"), None),
        E::Contact(_) | E::Term(_) => ((StatusCode::BAD_REQUEST, "bad-request", "Invalid request"), None),
        E::NoSuchTerm(_) => ((StatusCode::NOT_FOUND, "no-such-term", "No such term"), None),
        E::SameTerm(_) => ((StatusCode::CONFLICT, "same-term", "The term is there already"), None),
        E::NoSpelling(_) => ((StatusCode::CONFLICT, "no-spelling", "The term has no spelling"), None),
        E::TermOfSetting(_) => ((StatusCode::CONFLICT, "term-of-setting", "The term is in a setting"), None),
        E::Unsettled { .. } => {
            ((StatusCode::SERVICE_UNAVAILABLE, "unsettled", "Twilio has not accepted the call yet"), soon)
        }
        E::TooManyCalls { retry_after, .. } => {
            ((StatusCode::TOO_MANY_REQUESTS, "too-many-calls", "Too many calls"), Some(retry_after))
        }
        E::NoConversations { .. } => ((StatusCode::FORBIDDEN, "not-allowed", "No conversation can be dialed"), None),
        E::NotPlaced(_) => ((StatusCode::BAD_GATEWAY, "not-placed", "The call was not placed"), None),
        E::TranscriptFailed(_) => (TRANSCRIPT_FAILED, None),
        E::Pending(_) => ((StatusCode::SERVICE_UNAVAILABLE, "under-way", "Not finished yet"), soon),
        E::NotDeletable(_) => ((StatusCode::CONFLICT, "not-deletable", "The call cannot be deleted now"), None),
        E::Deleted => ((StatusCode::GONE, "deleted", "The call was deleted"), None),
        E::TranscriptDeleted => ((StatusCode::GONE, "deleted", "The transcript was deleted"), None),
        E::NothingToRetry(_) => ((StatusCode::CONFLICT, "nothing-to-retry", "Nothing to retry"), None),
        E::Stopping => ((StatusCode::SERVICE_UNAVAILABLE, "stopping", "callscribe is stopping"), None),
        E::Store(error) => {
            tracing::error!("{error}");
            let detail = "the database does not respond; the log says why".to_owned();
            return ProblemParts::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database",
                "The database does not respond",
                detail,
            )
            .later(soon);
        }
        E::Spool(error) => return spool_parts(error, detail),
        E::LostEachTime(_) | E::Panicked => return ApiError::Internal.parts(),
        E::Vendor(error) => return vendor_parts(error),
    };
    ProblemParts::new(status, slug, title, detail).later(retry_after)
}

fn spool_parts(error: spool::Error, detail: String) -> ProblemParts {
    use spool::Error as E;
    let (status, slug, title) = match error {
        E::NoSuchFile => (StatusCode::NOT_FOUND, "no-such-upload", "No such upload"),
        E::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "no-room", "The disk is full"),
        E::TooManyFiles => (StatusCode::SERVICE_UNAVAILABLE, "too-many-uploads", "Too many uploads"),
        E::OtherOffset { .. } => (StatusCode::CONFLICT, "other-offset", "The upload goes on elsewhere"),
        E::Locked => (StatusCode::LOCKED, "locked", "The upload is in use"),
        E::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
        E::Io(error) => {
            tracing::error!("the folder of unfinished uploads: {error}");
            let detail = "the folder of unfinished uploads cannot be read or written; the log says why".to_owned();
            return ProblemParts::new(StatusCode::INSUFFICIENT_STORAGE, "spool", "Uploads cannot be stored", detail);
        }
    };
    let is_temporary = matches!(error, E::TooManyFiles | E::Locked);
    ProblemParts::new(status, slug, title, detail).later(is_temporary.then_some(LOOK_AGAIN))
}

/// A vendor's error under the status that says whose fault it is, with the setting to look at where one is to blame.
fn vendor_parts(error: clients::Error) -> ProblemParts {
    let (title, explanation, service) = (error.title(), error.explanation(), error.service);
    let (status, slug, advice) = match &error.kind {
        Kind::Unauthorized(_) => {
            (StatusCode::BAD_GATEWAY, "vendor-credentials", format!("; check {}", credentials_of(service)))
        }
        Kind::NotFound(_) => (StatusCode::NOT_FOUND, "vendor-not-found", String::new()),
        Kind::RateLimited { .. } => {
            let advice = "; nothing was done, so try again later".to_owned();
            (StatusCode::TOO_MANY_REQUESTS, "vendor-rate-limited", advice)
        }
        Kind::Rejected(refusal) => {
            let (status, look_at) = rejected(service, refusal);
            (status, "vendor-rejected", look_at.to_owned())
        }
        // Released programs answered so, and clients tell problems apart by this word.
        Kind::BeyondEnd { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "vendor-rejected", String::new()),
        Kind::Unreachable(_) => (StatusCode::BAD_GATEWAY, "vendor-unreachable", "; nothing was done".to_owned()),
        Kind::Unavailable { .. } | Kind::Broken(_) => (StatusCode::BAD_GATEWAY, "vendor-unavailable", String::new()),
        Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "vendor-timeout", String::new()),
        Kind::BadBody { .. } | Kind::TooLarge(_) => (StatusCode::BAD_GATEWAY, "vendor-bad-answer", String::new()),
        Kind::Ambiguous(cause) => {
            let cause = vendor_parts(clients::Error { service, kind: (**cause).clone() });
            let may_have = match service {
                Service::Twilio => {
                    "Twilio may have placed the call; callscribe is checking, and shows the result at /calls"
                }
                Service::Archive => "whether the archive has changed is not known",
                Service::AssemblyAi => {
                    "AssemblyAI may have accepted the request; callscribe is checking, and it is safe to send it again"
                }
            };
            let detail = format!("{}; {may_have}", cause.detail);
            // The client's request was right, whatever the answer to ours blames.
            let status = if cause.status.is_server_error() { cause.status } else { StatusCode::BAD_GATEWAY };
            return ProblemParts { slug: "vendor-ambiguous", status, title, detail, ..cause };
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

/// Returns the names of the settings with a vendor's credentials.
pub(super) fn credentials_of(service: Service) -> &'static str {
    match service {
        Service::Twilio => "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET",
        Service::AssemblyAi => "ASSEMBLYAI_KEY",
        Service::Archive => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the rights in the folder of ARCHIVE_URL",
    }
}

/// Returns the status for a refusal, and the setting to check if one is the likely cause.
fn rejected(service: Service, refusal: &Refusal) -> (StatusCode, &'static str) {
    let own = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    match (service, refusal.code) {
        // Countries that the account does not call: https://www.twilio.com/docs/api/errors/21215.
        (Service::Twilio, Some(21215 | 32205 | 13227)) => {
            (StatusCode::FORBIDDEN, "; check the account's geographic permissions in Twilio's console")
        }
        (Service::Twilio, Some(21210 | 21212 | 21213 | 573002)) => {
            (StatusCode::BAD_GATEWAY, "; check TWILIO_PHONE_NUMBER")
        }
        (Service::Twilio, Some(21205)) => (StatusCode::BAD_GATEWAY, "; check BASE_URL"),
        (Service::Twilio, _) if own == StatusCode::NOT_FOUND => {
            (StatusCode::BAD_GATEWAY, "; check TWILIO_ACCOUNT_SID, TWILIO_REGION and TWILIO_API_URL")
        }
        (Service::AssemblyAi, _) if own == StatusCode::NOT_FOUND => {
            (StatusCode::BAD_GATEWAY, "; check ASSEMBLYAI_API_URL")
        }
        // 403 would tell the client that it may not do this; here it is this program that may not.
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
