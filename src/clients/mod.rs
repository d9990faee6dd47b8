//! Thin clients of the two vendors' REST APIs. They speak the vendors' words and know nothing of our model.
//!
//! What both share is here: the error that says what a caller can decide on, deadlines, and when a request may be
//! repeated. A GET is repeated on 429, 5xx and failed connections; a POST never is, because no endpoint used here has
//! an idempotency key: a second call would ring, a second transcript would cost.

pub mod assemblyai;
mod tls;
pub mod twilio;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// A body longer than this is not read to its end: the longest transcripts are some 30 MB.
const LARGEST_BODY: usize = 64 << 20;

/// First pause before a GET is repeated; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Connections to a vendor that are kept for the next request.
const IDLE_CONNECTIONS: usize = 16;

/// How often a GET is repeated.
const REPEATS: usize = 3;

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
    /// For audio to arrive whole, over whatever line.
    pub audio: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Less than the time that a stop gives to requests under way.
            answer: Duration::from_secs(8),
            body: Duration::from_secs(180),
            repeated: Duration::from_secs(20),
            stall: Duration::from_secs(30),
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
    fn is_passing(&self) -> bool {
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
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A whole answer that is a success.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body read as JSON. The error names the path of the first thing that is wrong, never a value.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Kind> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            Kind::BadBody { path: if path == "." { "the top level".to_owned() } else { path } }
        })
    }
}

/// What a client of either vendor sends its requests through.
#[derive(Debug, Clone)]
struct Sender {
    http: reqwest::Client,
    service: Service,
    deadlines: Deadlines,
    /// Reads the vendor's own error body.
    refusal: fn(StatusCode, &HeaderMap, &[u8]) -> Refusal,
}

impl Sender {
    /// `base` tells whether the vendor is on this computer, where no proxy leads.
    fn new(
        service: Service,
        base: &url::Url,
        deadlines: Deadlines,
        refusal: fn(StatusCode, &HeaderMap, &[u8]) -> Refusal,
    ) -> Self {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config())
            .user_agent(concat!("callscribe/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry our credentials along; the one place that has them follows them itself.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(deadlines.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let builder = if is_local(base) { builder.no_proxy() } else { builder };
        let http = builder.build().expect("a client with TLS set up builds");
        Self { http, service, deadlines, refusal }
    }

    /// Sends a GET and reads the whole answer, asking again as long as that may help.
    async fn get(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Error> {
        self.repeat(|| self.ask(request())).await
    }

    /// As [`Sender::get`], and reads the answer as JSON.
    async fn get_json<T: DeserializeOwned>(&self, request: impl Fn() -> RequestBuilder) -> Result<(Answer, T), Error> {
        let answer = self.get(request).await?;
        let value = answer.json().map_err(|kind| self.error(kind))?;
        Ok((answer, value))
    }

    /// Runs attempts of something that may be repeated, with back-off, jitter and the vendor's `Retry-After`.
    async fn repeat<T, F: Future<Output = Result<T, Kind>>>(&self, attempt: impl FnMut() -> F) -> Result<T, Error> {
        let end = Instant::now() + self.deadlines.repeated;
        let repeated = attempt
            .retry(ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(REPEATS).with_jitter())
            .when(Kind::is_passing)
            .adjust(|kind: &Kind, pause| {
                let pause = pause? + kind.retry_after().unwrap_or_default();
                // To wait longer than the caller would is to fail later.
                (Instant::now() + pause < end).then_some(pause)
            })
            .notify(|kind: &Kind, pause| tracing::debug!(service = %self.service, ?pause, "asking again: {kind}"));
        repeated.await.map_err(|kind| self.error(kind))
    }

    /// Sends something that must happen once at most and reads the answer as JSON. Whatever leaves open whether it
    /// happened is [`Kind::Ambiguous`].
    async fn once_json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(Answer, T), Error> {
        let attempt = async {
            let answer = self.ask(request).await?;
            let value = answer.json()?;
            Ok((answer, value))
        };
        attempt.await.map_err(|kind: Kind| match kind {
            kind if kind.leaves_open() => self.error(Kind::Ambiguous(Box::new(kind))),
            kind => self.error(kind.of_post()),
        })
    }

    /// Sends once and reads the whole answer.
    async fn ask(&self, request: RequestBuilder) -> Result<Answer, Kind> {
        self.read(self.accept(self.start(request).await?).await?).await
    }

    /// Sends once; gives the head of the answer.
    async fn start(&self, request: RequestBuilder) -> Result<Response, Kind> {
        let sent = tokio::time::timeout(self.deadlines.answer, request.send()).await;
        sent.map_err(|_| Kind::Timeout)?.map_err(transport)
    }

    /// A success as it is, anything else as what it means.
    async fn accept(&self, response: Response) -> Result<Response, Kind> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // What an error says matters less than that it is one.
        let body = self.read(response).await.map(|answer| answer.body).unwrap_or_default();
        let refusal = (self.refusal)(status, &headers, &body);
        Err(match status {
            StatusCode::UNAUTHORIZED => Kind::Unauthorized(refusal),
            StatusCode::NOT_FOUND | StatusCode::GONE => Kind::NotFound(refusal),
            StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited { retry_after: retry_after(&headers), refusal },
            status if status.is_server_error() => Kind::Unavailable { retry_after: retry_after(&headers), refusal },
            _ => Kind::Rejected(refusal),
        })
    }

    /// The body as it comes, however slowly, as long as it moves on: the longest transcripts take minutes on a slow line.
    async fn read(&self, mut response: Response) -> Result<Answer, Kind> {
        let whole = async {
            let mut body = Vec::new();
            loop {
                let chunk = tokio::time::timeout(self.deadlines.answer, response.chunk()).await;
                let Some(chunk) = chunk.map_err(|_| Kind::Timeout)?.map_err(transport)? else {
                    return Ok(Answer { body });
                };
                if body.len() + chunk.len() > LARGEST_BODY {
                    return Err(Kind::BadBody { path: "a body of more than 64 MiB".to_owned() });
                }
                body.extend_from_slice(&chunk);
            }
        };
        tokio::time::timeout(self.deadlines.body, whole).await.unwrap_or(Err(Kind::Timeout))
    }

    /// The end of a request that failed, and its line in the log.
    fn error(&self, kind: Kind) -> Error {
        let error = Error { service: self.service, kind };
        tracing::warn!("{error}");
        error
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

/// What went wrong below HTTP, without the URL, which may hold a number or a secret.
fn transport(error: reqwest::Error) -> Kind {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error {
        ref error if error.is_connect() => Kind::Unreachable(cause.to_string()),
        ref error if error.is_timeout() => Kind::Timeout,
        _ => Kind::Broken(cause.to_string()),
    }
}

/// `Retry-After` in seconds, the only form that both vendors send.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
