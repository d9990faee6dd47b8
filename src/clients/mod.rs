//! Thin clients of the two vendors' REST APIs. They speak the vendors' words and know nothing of our model.
//!
//! What both share is here and in `sender`: the error that says what a caller can decide on, deadlines, and when a
//! request may be repeated.

pub mod assemblyai;
pub mod outside;
mod sender;
mod tls;
pub mod twilio;

use std::fmt;
use std::time::Duration;

use sender::{Sender, transport};

/// Which vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// <https://www.twilio.com/docs/voice/api>
    Twilio,
    /// <https://www.assemblyai.com/docs>
    AssemblyAi,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twilio => "Twilio",
            Self::AssemblyAi => "AssemblyAI",
        })
    }
}

/// How long a vendor may take.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// For a connection to stand.
    pub connect: Duration,
    /// For an answer to begin, and then for it to move on by at least a byte.
    pub answer: Duration,
    /// For an answer to come whole, audio aside.
    pub body: Duration,
    /// For the last repetition of a GET to begin, and for a list with all its pages.
    pub repeated: Duration,
    /// For audio that is under way to move on by at least a byte.
    pub stall: Duration,
    /// For audio to arrive whole, over whatever line, as long as somebody reads it.
    pub audio: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Less than the time that a stop gives to what has begun.
            answer: Duration::from_secs(8),
            body: Duration::from_secs(180),
            repeated: Duration::from_secs(20),
            stall: Duration::from_secs(15),
            audio: Duration::from_secs(3_600),
        }
    }
}

/// A request to a vendor that did not bring what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service}: {kind}")]
pub struct Error {
    /// Who.
    pub service: Service,
    /// What a caller can decide on.
    pub kind: Kind,
}

/// One variant for each decision that a caller can take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// The credentials are wrong: nothing will work until a person mends the settings.
    #[error("refused the credentials: {0}")]
    Unauthorized(Refusal),
    /// What was asked for is not there.
    #[error("does not know it: {0}")]
    NotFound(Refusal),
    /// Too much at once; nothing was done.
    #[error("is asked too much: {refusal}")]
    RateLimited {
        /// When to ask again, if the vendor said so.
        retry_after: Option<Duration>,
        /// The vendor's words.
        refusal: Refusal,
    },
    /// The vendor understood and said no: asking again changes nothing.
    #[error("refused: {0}")]
    Rejected(Refusal),
    /// No connection stood, so nothing was sent.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// A 5xx.
    #[error("failed: {refusal}")]
    Unavailable {
        /// When to ask again, if the vendor said so.
        retry_after: Option<Duration>,
        /// The vendor's words.
        refusal: Refusal,
    },
    /// The connection broke.
    #[error("was cut off: {0}")]
    Broken(String),
    /// No answer within the deadline.
    #[error("did not answer in time")]
    Timeout,
    /// An answer that is not what the vendor documents.
    #[error("answered with a body that could not be read, at {path}")]
    BadBody {
        /// JSON path of the first thing that is wrong, or what was expected.
        path: String,
    },
    /// A request that must not be repeated, and nobody knows whether it was carried out.
    #[error("may or may not have carried it out: {0}")]
    Ambiguous(Box<Kind>),
}

/// A vendor's own words for a no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's error code, such as 21215.
    pub code: Option<i64>,
    /// The message, as it came.
    pub message: String,
    /// The vendor's page on it.
    pub more_info: Option<String>,
}

/// For the log, which must not have the words: vendors put phone numbers and addresses of audio into them.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "status {}, code {code}", self.status),
            None => write!(f, "status {}", self.status),
        }
    }
}

impl Kind {
    /// Whether asking again soon may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unreachable(_) | Self::Unavailable { .. } | Self::Broken(_))
    }

    /// Whether the vendor may have done what was asked, although it looks like a failure.
    fn leaves_open(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Broken(_) | Self::Timeout | Self::BadBody { .. })
    }

    /// The same for a POST: it creates, so what was not found is the place to create it in, which the settings name.
    fn of_post(self) -> Self {
        match self {
            Self::NotFound(refusal) => Self::Rejected(refusal),
            kind => kind,
        }
    }

    /// When to ask again, if the vendor said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whether this is an address of this computer.
pub fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
