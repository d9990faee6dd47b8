//! How requests are sent to a vendor: deadlines, retries, and what an unsuccessful response means.
//!
//! A GET or DELETE is retried on 408, 425, 429, 499, 5xx and failed connections. A POST never is, because no endpoint used
//! here has an idempotency key: a second call would ring, a second transcript would cost money.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Body, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::json::{self, Growing, Json};
use super::{Deadlines, Error, Kind, Refusal, Service, is_local, tls};
use crate::metrics::Requests;

/// Maximum size of a response body, unless it is read by [`Sender::get_large`]: several times that of the longest list.
const LARGEST_BODY: usize = 4 << 20;

/// Maximum size of an error body that is parsed: the vendors' own have a few hundred bytes.
const LARGEST_ERROR: usize = 64 << 10;

/// Pause before the first retry. It doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Idle connections to a vendor that the pool keeps.
const IDLE_CONNECTIONS: usize = 16;

/// Maximum number of retries of a GET or DELETE.
const RETRIES: usize = 3;

/// Statuses below 500 that blame no request: it took too long (408), came too early (425), or its sender seemed to have
/// hung up (499, by proxies).
const STOPPED_WAITING: [u16; 3] = [408, 425, 499];

/// A successful response, read to its end.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The vendor's time.
    pub(super) date: Option<Timestamp>,
}

impl Answer {
    /// Parses the body as JSON. The error has the path of the first mismatch, never a value.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Kind> {
        json::read(&self.body)
    }
}

/// Sends the requests of one vendor's client.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) http: reqwest::Client,
    tls: rustls::ClientConfig,
    /// The vendor is on this computer, so no proxy is used.
    is_local: bool,
    service: Service,
    pub(super) deadlines: Deadlines,
    /// Parses the vendor's error body.
    refusal: fn(StatusCode, &HeaderMap, &[u8]) -> Refusal,
    /// The refusal of the credentials in answer to the last request.
    refused: Arc<Mutex<Option<Refusal>>>,
    /// Where requests are counted.
    pub(super) requests: Requests,
}

impl Sender {
    /// `base` is the API's URL.
    pub(super) fn new(
        service: Service,
        base: &url::Url,
        deadlines: Deadlines,
        refusal: fn(StatusCode, &HeaderMap, &[u8]) -> Refusal,
    ) -> Self {
        let tls = tls::config();
        let is_local = is_local(base);
        let http = client(&tls, &deadlines, is_local).build().expect("a client with TLS set up builds");
        Self {
            http,
            tls,
            is_local,
            service,
            deadlines,
            refusal,
            refused: Arc::default(),
            requests: Requests::default(),
        }
    }

    /// Returns a client that connects to these addresses for this host.
    pub(super) fn client_at(&self, host: &str, addresses: &[SocketAddr]) -> reqwest::Client {
        let client = client(&self.tls, &self.deadlines, self.is_local).resolve_to_addrs(host, addresses);
        client.build().expect("a client with TLS set up builds")
    }

    /// Sends a request to its end, and counts it under the name of its operation.
    pub(super) async fn counted<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, Kind>>,
    ) -> Result<T, Kind> {
        let begun = Instant::now();
        let result = request.await;
        self.count(operation, begun, &result);
        result
    }

    /// Counts a request that has ended.
    pub(super) fn count<T>(&self, operation: &'static str, begun: Instant, result: &Result<T, Kind>) {
        let outcome = result.as_ref().map_or_else(Kind::label, |_| "ok");
        self.requests.note(self.service.label(), operation, outcome, begun.elapsed());
    }

    /// Sends a GET, with retries, and reads the whole response.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.repeat(|| self.counted(operation, self.send(request()))).await
    }

    /// Sends a DELETE, with retries.
    pub(super) async fn delete(
        &self,
        operation: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(), Error> {
        self.repeat(|| self.counted(operation, self.send(request()))).await.map(drop)
    }

    /// As [`Sender::get`], and parses the response as JSON.
    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(Answer, T), Error> {
        let answer = self.get(operation, request).await?;
        let value = answer.json().map_err(|kind| self.error(kind))?;
        Ok((answer, value))
    }

    /// Sends a GET once and parses the response as JSON. Logs nothing, and notes no refusal of the credentials.
    pub(super) async fn get_json_once<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<T, Error> {
        let read = async { self.send(request).await?.json() };
        self.counted(operation, read).await.map_err(|kind| Error { service: self.service, kind })
    }

    /// Sends a GET, with retries, and reads a response that may be large. One that is waits for its turn, and has it as long
    /// as its text is in use.
    pub(super) async fn get_large(
        &self,
        operation: &'static str,
        turns: &Arc<Semaphore>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Json, Error> {
        let attempt = || async {
            let accepted = self.accept(self.start(request()).await?).await?;
            self.set_refused(None);
            self.read_large(accepted, turns).await
        };
        self.repeat(|| self.counted(operation, attempt())).await
    }

    /// Runs `attempt` until it succeeds, with backoff, jitter and the vendor's `Retry-After`. Only for what may be repeated.
    pub(super) async fn repeat<T, F: Future<Output = Result<T, Kind>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let end = Instant::now() + self.deadlines.repeated;
        let retried = attempt
            .retry(ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter())
            .when(Kind::is_transient)
            .adjust(|kind: &Kind, pause| {
                let pause = pause? + kind.retry_after().unwrap_or_default();
                // A retry after the deadline would only delay the failure.
                (Instant::now() + pause < end).then_some(pause)
            })
            .notify(|kind: &Kind, pause| {
                tracing::debug!(?pause, "retrying: {}", Error { service: self.service, kind: kind.clone() })
            });
        retried.await.map_err(|kind| self.error(kind))
    }

    /// Sends a request that must be carried out at most once, and parses the response as JSON. Returns
    /// [`Kind::Ambiguous`] if it is unknown whether the vendor carried it out, and [`Kind::Unreachable`] if `may_send` was
    /// `false` when the request was about to be written.
    pub(super) async fn once_json<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: RequestBuilder,
        may_send: impl Fn() -> bool + Send + 'static,
    ) -> Result<(Answer, T), Error> {
        let is_too_late = Arc::new(AtomicBool::new(false));
        let attempt = async {
            let answer = self.send(fenced(request, may_send, Arc::clone(&is_too_late))?).await?;
            let value = answer.json()?;
            Ok((answer, value))
        };
        let attempt = async {
            attempt.await.map_err(|kind: Kind| match kind.of_post() {
                _ if is_too_late.load(Ordering::Relaxed) => {
                    Kind::Unreachable("too late to send the request".to_owned())
                }
                kind if kind.leaves_open() => Kind::Ambiguous(Box::new(kind)),
                kind => kind,
            })
        };
        self.counted(operation, attempt).await.map_err(|kind| self.error(kind))
    }

    /// Sends once and reads the whole response.
    async fn send(&self, request: RequestBuilder) -> Result<Answer, Kind> {
        let accepted = self.accept(self.start(request).await?).await?;
        self.set_refused(None);
        self.read(accepted).await
    }

    /// Returns the vendor's refusal of the credentials at the last request. Audio that is sent does not count: it may need
    /// none.
    pub(super) fn refused(&self) -> Option<Refusal> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_refused(&self, refusal: Option<Refusal>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Sends once and returns the response without its body.
    pub(super) async fn start(&self, request: RequestBuilder) -> Result<Response, Kind> {
        let sent = tokio::time::timeout(self.deadlines.answer, request.send()).await;
        sent.map_err(|_| Kind::Timeout)?.map_err(transport)
    }

    /// Returns a successful response unchanged and any other as an error.
    pub(super) async fn accept(&self, response: Response) -> Result<Response, Kind> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // An error body that cannot be read must not hide the status.
        let body = tokio::time::timeout(self.deadlines.answer, self.read(response)).await;
        let body = body.ok().and_then(Result::ok).map(|answer| answer.body).unwrap_or_default();
        let body = if body.len() <= LARGEST_ERROR { &body[..] } else { &[] };
        let refusal = (self.refusal)(status, &headers, body).shortened();
        Err(match status {
            StatusCode::UNAUTHORIZED => Kind::Unauthorized(refusal),
            StatusCode::FORBIDDEN if refusal.is_of_credentials() => Kind::Unauthorized(refusal),
            StatusCode::NOT_FOUND | StatusCode::GONE => Kind::NotFound(refusal),
            StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited { retry_after: retry_after(&headers), refusal },
            status if status.is_server_error() || STOPPED_WAITING.contains(&status.as_u16()) => {
                Kind::Unavailable { retry_after: retry_after(&headers), refusal }
            }
            _ => Kind::Rejected(refusal),
        })
    }

    /// Reads the body. Each chunk must arrive within `answer`, all within `body`.
    pub(super) async fn read(&self, mut response: Response) -> Result<Answer, Kind> {
        let date = date(response.headers());
        let whole = async {
            let mut body = Vec::new();
            loop {
                let chunk = tokio::time::timeout(self.deadlines.answer, response.chunk()).await;
                let Some(chunk) = chunk.map_err(|_| Kind::Timeout)?.map_err(transport)? else {
                    return Ok(Answer { body, date });
                };
                if body.len() + chunk.len() > LARGEST_BODY {
                    return Err(Kind::TooLarge("more than 4 MiB"));
                }
                body.extend_from_slice(&chunk);
            }
        };
        tokio::time::timeout(self.deadlines.body, whole).await.unwrap_or(Err(Kind::Timeout))
    }

    /// As [`Sender::read`], for a text that may be large. The deadlines leave out the wait for its turn.
    async fn read_large(&self, mut response: Response, turns: &Arc<Semaphore>) -> Result<Json, Kind> {
        let (mut json, mut turn) = (Growing::default(), None::<OwnedSemaphorePermit>);
        let mut end = Instant::now() + self.deadlines.body;
        loop {
            let deadline = end.min(Instant::now() + self.deadlines.answer);
            let chunk = tokio::time::timeout_at(deadline, response.chunk()).await;
            let Some(chunk) = chunk.map_err(|_| Kind::Timeout)?.map_err(transport)? else {
                return json.end(turn);
            };
            json.push(&chunk)?;
            if json.is_large() && turn.is_none() {
                let asked = Instant::now();
                // Nobody closes the semaphore.
                turn = Arc::clone(turns).acquire_owned().await.ok();
                end += asked.elapsed();
            }
        }
    }

    /// Notes that the vendor refused the credentials, if this failure says so.
    pub(super) fn note(&self, kind: &Kind) {
        if let Kind::Unauthorized(refusal) = kind {
            self.set_refused(Some(refusal.clone()));
        }
    }

    /// Logs a failed request and returns its error.
    pub(super) fn error(&self, kind: Kind) -> Error {
        self.note(&kind);
        let error = Error { service: self.service, kind };
        tracing::warn!("{error}");
        error
    }
}

/// Makes the body of a request ask `may_send` for permission. hyper asks for the body when the connection stands, and
/// writes head and body together after that, so this is the last moment before the system call: a process that was
/// stopped at any earlier one still does not send what is no longer its right. Without its body the vendor cannot carry
/// the request out.
fn fenced(
    request: RequestBuilder,
    may_send: impl Fn() -> bool + Send + 'static,
    is_too_late: Arc<AtomicBool>,
) -> Result<RequestBuilder, Kind> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(transport)?;
    let bytes = request.body().and_then(Body::as_bytes).map(Bytes::copy_from_slice).unwrap_or_default();
    request.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
    let body = stream::once(async move {
        if may_send() {
            return Ok(bytes);
        }
        is_too_late.store(true, Ordering::Relaxed);
        Err(io::Error::other("too late"))
    });
    *request.body_mut() = Some(Body::wrap_stream(body));
    Ok(RequestBuilder::from_parts(client, request))
}

pub(super) fn client(tls: &rustls::ClientConfig, deadlines: &Deadlines, is_local: bool) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("callscribe/", env!("CARGO_PKG_VERSION")))
        // A redirect could leak credentials. Only `twilio::media` follows redirects, with rules of its own.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(deadlines.connect)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    // Otherwise the kernel repeats for up to 15 minutes what a network has lost, and a request may arrive after another
    // instance has searched for its effect. Other systems end that sooner.
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(deadlines.stall);
    if is_local { builder.no_proxy() } else { builder }
}

/// Maps a failure below HTTP, without its URL, which may hold a phone number or a secret.
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

/// Parses `Retry-After` in seconds, the only form that either vendor sends. At most a day, so that no sum overflows.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(24 * 60 * 60)))
}

/// Parses `Date`.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_to_the_second() {
        for (value, expected) in [
            ("Mon, 23 Nov 2026 01:50:56 GMT", Some("2026-11-23T01:50:56Z")),
            ("Mon, 23 Nov 2026 01:50:56 +0000", Some("2026-11-23T01:50:56Z")),
            ("yesterday", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(DATE, value.parse().unwrap())]);
            assert_eq!(date(&headers).map(|date| date.to_string()).as_deref(), expected, "{value}");
        }
    }

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
