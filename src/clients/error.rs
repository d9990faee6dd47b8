//! Why a request to a vendor failed: one variant for each decision a caller can take, and the one table of texts.

use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Twilio,
    AssemblyAi,
    Archive,
}

impl Service {
    /// As metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::AssemblyAi => "assemblyai",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twilio => "Twilio",
            Self::AssemblyAi => "AssemblyAI",
            Self::Archive => "the archive",
        })
    }
}

/// A request that failed. Three texts describe it: [`Error::title`], [`Error::explanation`] for people, and `Display` for
/// the log, which leaves out the vendor's own words because vendors put phone numbers and audio URLs into them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", log_text(*service, kind))]
pub struct Error {
    pub service: Service,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The vendor refused the credentials or their account. Do not retry before a person has corrected that.
    Unauthorized(Refusal),
    /// The object does not exist. Create it, or stop asking for it.
    NotFound(Refusal),
    /// The vendor did nothing because requests come too fast. Retry after `retry_after`.
    RateLimited { retry_after: Option<Duration>, refusal: Refusal },
    /// The vendor rejected the request as it is. Do not send the same request again.
    Rejected(Refusal),
    /// The audio ends before the range that was asked for. Ask for one that it has.
    BeyondEnd {
        /// Size of the audio in bytes, if it is known.
        total: Option<u64>,
    },
    /// No connection was made, so nothing was sent. Retry.
    Unreachable(String),
    /// The vendor answered 5xx, or a status that says that it, or a proxy in between, stopped waiting. Retry what is
    /// idempotent.
    Unavailable { retry_after: Option<Duration>, refusal: Refusal },
    /// The connection broke before the response was complete. Retry what is idempotent.
    Broken(String),
    /// The response did not come before the deadline. Retry later what is idempotent.
    Timeout,
    /// The response is not what the vendor documents. A retry will not help soon. `path` is the JSON path of the first
    /// mismatch, or says what was expected.
    BadBody { path: String },
    /// The response is larger than callscribe reads. A retry would not help. The text says what is too large.
    TooLarge(&'static str),
    /// It is unknown whether a request that costs money was carried out. Never repeat it: look for its effect at the
    /// vendor first.
    Ambiguous(Box<Kind>),
}

/// A vendor's error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Twilio's error code, such as 21215.
    pub code: Option<i64>,
    /// The vendor's own words, unchanged.
    pub message: String,
    /// URL of the vendor's page about the error.
    pub more_info: Option<String>,
    /// The body is an error in the vendor's own form. Any other body may come from a proxy in between.
    pub is_vendors: bool,
}

impl Error {
    /// Returns what happened in a few words, without the vendor's own.
    pub fn title(&self) -> String {
        let mut title = summary(self.service, &self.kind);
        title[..1].make_ascii_uppercase();
        title
    }

    /// Returns what happened with the vendor's own words and code. Not for the log.
    pub fn explanation(&self) -> String {
        let summary = summary(self.service, &self.kind);
        match &self.kind {
            Kind::BadBody { path } => format!("{summary}, at {path}"),
            Kind::TooLarge(what) => format!("{summary}: {what}"),
            Kind::BeyondEnd { total: Some(total) } => format!("{summary}: it has {total} bytes"),
            Kind::Ambiguous(cause) => {
                let cause = Self { service: self.service, kind: (**cause).clone() };
                format!("{}; it is unknown whether the request was carried out", cause.explanation())
            }
            kind => match kind.refusal() {
                Some(Refusal { code: Some(code), message, .. }) => {
                    format!("{summary}: {} (code {code})", message.trim_end_matches('.'))
                }
                Some(Refusal { message, .. }) => format!("{summary}: {}", message.trim_end_matches('.')),
                None => summary,
            },
        }
    }

    /// Returns the vendor's own error code.
    pub fn code(&self) -> Option<i64> {
        self.kind.refusal()?.code
    }
}

impl Kind {
    /// How metrics name the outcome of the request.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "unauthorized",
            Self::NotFound(_) => "not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::Rejected(_) => "rejected",
            Self::BeyondEnd { .. } => "beyond_end",
            Self::Unreachable(_) => "unreachable",
            Self::Unavailable { .. } => "unavailable",
            Self::Broken(_) => "broken",
            Self::Timeout => "timeout",
            Self::BadBody { .. } => "bad_body",
            Self::TooLarge(_) => "too_large",
            Self::Ambiguous(cause) => cause.label(),
        }
    }
}

/// The words for each kind, which all other texts build on.
fn summary(service: Service, kind: &Kind) -> String {
    match kind {
        Kind::Unauthorized(_) => format!("{service} refused callscribe's credentials"),
        Kind::NotFound(_) => format!("not found at {service}"),
        Kind::RateLimited { .. } => format!("{service} rate-limited callscribe"),
        Kind::Rejected(_) => format!("{service} rejected the request"),
        Kind::BeyondEnd { .. } => "the audio ends before the range".to_owned(),
        Kind::Unreachable(_) => format!("{service} could not be reached"),
        Kind::Unavailable { .. } => format!("{service} failed"),
        Kind::Broken(_) => format!("the connection to {service} broke"),
        Kind::Timeout => format!("{service} did not answer in time"),
        Kind::BadBody { .. } => format!("{service} sent a response that could not be read"),
        Kind::TooLarge(_) => format!("{service} sent a response that is too large"),
        Kind::Ambiguous(_) => "outcome unknown".to_owned(),
    }
}

fn log_text(service: Service, kind: &Kind) -> String {
    let summary = summary(service, kind);
    match kind {
        Kind::Unreachable(cause) | Kind::Broken(cause) => format!("{summary}: {cause}"),
        Kind::BadBody { path } => format!("{summary}, at {path}"),
        Kind::TooLarge(what) => format!("{summary}: {what}"),
        Kind::Ambiguous(cause) => format!("{summary}: {}", log_text(service, cause)),
        kind => match kind.refusal() {
            Some(Refusal { status, code: Some(code), .. }) => format!("{summary}: status {status}, code {code}"),
            Some(Refusal { status, code: None, .. }) => format!("{summary}: status {status}"),
            None => summary,
        },
    }
}

/// Maximum length of a vendor's message in characters, because it is stored and shown. The vendors' own are shorter.
const LONGEST_MESSAGE: usize = 1_000;

/// Maximum length of the URL of a vendor's page in bytes. The vendors' own have some 40.
const LONGEST_PAGE: usize = 500;

impl Refusal {
    /// Cuts a message that is too long, and leaves out a URL that is.
    pub(super) fn shortened(mut self) -> Self {
        if let Some((end, _)) = self.message.char_indices().nth(LONGEST_MESSAGE) {
            self.message.truncate(end);
            self.message.push('…');
        }
        self.more_info = self.more_info.filter(|page| page.len() <= LONGEST_PAGE);
        self
    }

    /// Returns `true` for the codes with which Twilio refuses whatever these credentials ask for: they may not (20003), the
    /// account is suspended or closed (20005), or they are test credentials, which may only pretend to place calls (20008).
    pub(super) fn is_of_credentials(&self) -> bool {
        matches!(self.code, Some(20003 | 20005 | 20008))
    }

    /// Returns the vendor's sentence and its code, unless it only says that the credentials are wrong.
    pub fn sentence(&self) -> Option<String> {
        const UNAUTHORIZED: u16 = 401;
        const WRONG: i64 = 20003;
        let code = self.code.filter(|code| (self.status, *code) != (UNAUTHORIZED, WRONG))?;
        Some(format!("{} (code {code})", self.message.trim_end_matches('.')))
    }

    /// Returns `true` if the vendor itself has refused the request. A conflict may be one with the same request, which a
    /// proxy has sent before.
    fn is_final(&self) -> bool {
        const CONFLICT: u16 = 409;
        self.is_vendors && (400..500).contains(&self.status) && self.status != CONFLICT
    }
}

impl Kind {
    /// Returns `true` if a retry within seconds may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unreachable(_) | Self::Unavailable { .. } | Self::Broken(_))
    }

    /// Returns `true` if the vendor may have carried out the request although it failed. Only the vendor's own refusal
    /// proves that it did not: a proxy may answer after it has passed the request on.
    pub(super) fn leaves_open(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Broken(_)
            | Self::Timeout
            | Self::BadBody { .. }
            | Self::TooLarge(_)
            | Self::Ambiguous(_) => true,
            Self::Unauthorized(refusal) | Self::NotFound(refusal) | Self::Rejected(refusal) => !refusal.is_final(),
            // A rate limit applies before anything else, without a connection nothing was sent, and only audio has ranges.
            Self::RateLimited { .. } | Self::Unreachable(_) | Self::BeyondEnd { .. } => false,
        }
    }

    /// Returns the kind for a POST. What a POST does not find is the account or the path it creates in, and the settings
    /// name those.
    pub(super) fn of_post(self) -> Self {
        match self {
            Self::NotFound(refusal) => Self::Rejected(refusal),
            kind => kind,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Unauthorized(refusal) | Self::NotFound(refusal) | Self::Rejected(refusal) => Some(refusal),
            Self::RateLimited { refusal, .. } | Self::Unavailable { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}
