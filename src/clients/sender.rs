//! How requests are sent to a vendor: deadlines, which are repeated, and what an answer that is no success means.
//!
//! A GET or a DELETE is repeated on 429, 5xx and failed connections; a POST never is, because no endpoint used here has an
//! idempotency key: a second call would ring, a second transcript would cost.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Deadlines, Error, Kind, Refusal, Service, is_local, tls};

/// A body longer than this is not read to its end: the longest transcripts are some 30 MB.
const LARGEST_BODY: usize = 64 << 20;

/// First pause before a GET is repeated; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Connections to a vendor that are kept for the next request.
const IDLE_CONNECTIONS: usize = 16;

/// How often a GET is repeated.
const REPEATS: usize = 3;

/// A whole answer that is a success.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The body, as it came.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body read as JSON. The error names the path of the first thing that is wrong, never a value.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Kind> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let top = || "the top level".to_owned();
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            Kind::BadBody { path: if path == "." { top() } else { path } }
        })?;
        // What has something behind it is not what was sent.
        reader.end().map_err(|_| Kind::BadBody { path: top() })?;
        Ok(value)
    }
}

/// What a client of either vendor sends its requests through.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) http: reqwest::Client,
    service: Service,
    pub(super) deadlines: Deadlines,
    /// Reads the vendor's own error body.
    refusal: fn(StatusCode, &HeaderMap, &[u8]) -> Refusal,
    /// Whether the vendor refused our credentials when it was last asked.
    is_refused: Arc<AtomicBool>,
}

impl Sender {
    /// `base` tells whether the vendor is on this computer, where no proxy leads.
    pub(super) fn new(
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
        Self { http, service, deadlines, refusal, is_refused: Arc::default() }
    }

    /// Sends a GET and reads the whole answer, asking again as long as that may help.
    pub(super) async fn get(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Error> {
        self.repeat(|| self.ask(request())).await
    }

    /// Sends a DELETE, again as long as that may help: what is gone already is gone.
    pub(super) async fn delete(&self, request: impl Fn() -> RequestBuilder) -> Result<(), Error> {
        self.repeat(|| self.ask(request())).await.map(drop)
    }

    /// As [`Sender::get`], and reads the answer as JSON.
    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(Answer, T), Error> {
        let answer = self.get(request).await?;
        let value = answer.json().map_err(|kind| self.error(kind))?;
        Ok((answer, value))
    }

    /// Runs attempts of something that may be repeated, with back-off, jitter and the vendor's `Retry-After`.
    pub(super) async fn repeat<T, F: Future<Output = Result<T, Kind>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let end = Instant::now() + self.deadlines.repeated;
        let repeated = attempt
            .retry(ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(REPEATS).with_jitter())
            .when(Kind::is_transient)
            .adjust(|kind: &Kind, pause| {
                let pause = pause? + kind.retry_after().unwrap_or_default();
                // To wait longer than the caller would is to fail later.
                (Instant::now() + pause < end).then_some(pause)
            })
            .notify(|kind: &Kind, pause| {
                tracing::debug!(?pause, "retrying: {}", Error { service: self.service, kind: kind.clone() })
            });
        repeated.await.map_err(|kind| self.error(kind))
    }

    /// Sends something that must happen once at most and reads the answer as JSON. Whatever leaves open whether it
    /// happened is [`Kind::Ambiguous`].
    pub(super) async fn once_json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(Answer, T), Error> {
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
        let accepted = self.accept(self.start(request).await?).await?;
        self.is_refused.store(false, Ordering::Relaxed);
        self.read(accepted).await
    }

    /// Whether the vendor refused our credentials when it was last asked, audio aside, which may need none.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Sends once; gives the head of the answer.
    pub(super) async fn start(&self, request: RequestBuilder) -> Result<Response, Kind> {
        let sent = tokio::time::timeout(self.deadlines.answer, request.send()).await;
        sent.map_err(|_| Kind::Timeout)?.map_err(transport)
    }

    /// A success as it is, anything else as what it means.
    pub(super) async fn accept(&self, response: Response) -> Result<Response, Kind> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // What an error says matters less than that it is one.
        let body = tokio::time::timeout(self.deadlines.answer, self.read(response)).await;
        let body = body.ok().and_then(Result::ok).map(|answer| answer.body).unwrap_or_default();
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
    pub(super) async fn read(&self, mut response: Response) -> Result<Answer, Kind> {
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
    pub(super) fn error(&self, kind: Kind) -> Error {
        if matches!(kind, Kind::Unauthorized(_)) {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        let error = Error { service: self.service, kind };
        tracing::warn!("{error}");
        error
    }
}

/// What went wrong below HTTP, without the URL, which may hold a number or a secret.
pub(super) fn transport(error: reqwest::Error) -> Kind {
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

/// `Retry-After` in seconds, the only form that both vendors send; a day at most, so that nothing overflows.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(24 * 60 * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_and_a_day_at_most() {
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("18446744073709551615", Some(86_400)),
            ("-1", None),
            ("1.5", None),
            ("Mon, 23 Nov 2026 01:50:56 GMT", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
