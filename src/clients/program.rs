//! A client of another callscribe that runs: sends it files in pieces, by the protocol tus
//! (<https://tus.io/protocols/resumable-upload>), and asks what became of them.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::sender::transport;
use super::{Kind, is_local, tls};

const CONNECT: Duration = Duration::from_secs(10);

/// How long the program may take to answer once it has the whole request.
const ANSWER: Duration = Duration::from_secs(90);

/// How long the line may take nothing of a piece.
const STALL: Duration = Duration::from_secs(60);

/// Bytes that are given to the line at once.
const CHUNK: usize = 64 << 10;

/// How long the program is asked to wait for a change, in seconds.
const WAIT: u64 = 30;

/// How far a file is, as the program says.
#[derive(Debug, Deserialize)]
pub struct Sent {
    /// How many bytes of it the program has.
    pub offset: u64,
    pub state: State,
    /// Why it has failed.
    pub reason: Option<String>,
    /// The path of its page.
    pub item: Option<String>,
    /// What it is called there.
    pub title: Option<String>,
    /// Whether the same file was there before.
    pub was_there: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Receiving,
    /// The program has all of it.
    Sending,
    /// Its transcript is ordered.
    Ordered,
    Failed,
}

/// An upload that is in the list of the program.
#[derive(Debug, Deserialize)]
pub struct Item {
    pub progress: Progress,
    #[serde(default)]
    transcripts: Vec<Transcript>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    Transcribing,
    Done,
    Failed,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Transcript {
    reason: Option<String>,
}

impl Item {
    /// Why its newest transcript failed.
    pub fn reason(&self) -> Option<&str> {
        self.transcripts.last()?.reason.as_deref()
    }
}

/// Why a file was not transcribed.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The program does not take it, in its words.
    #[error("{0}")]
    Refused(String),
    /// It may be sent again: the connection broke, or the program is busy.
    #[error("{0}")]
    Again(String),
    /// The program knows nothing of it.
    #[error("callscribe there does not have it any more")]
    Gone,
}

/// Sends files to one program.
#[derive(Debug)]
pub struct Program {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Program {
    /// `base` is the program's URL, and `token` its `OPERATOR_TOKEN`, if it wants one.
    pub fn new(base: Url, token: Option<SecretString>) -> Self {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config())
            .user_agent(concat!("callscribe/", env!("CARGO_PKG_VERSION")))
            // A redirect could leak the token.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT);
        let builder = if is_local(&base) { builder.no_proxy() } else { builder };
        Self { http: builder.build().expect("a client with TLS set up builds"), base, token }
    }

    /// Returns the address of a path of the program.
    pub fn address(&self, path: &str) -> Result<Url, NotSent> {
        self.base
            .join(path.trim_start_matches('/'))
            .map_err(|_| NotSent::Refused("--to has no path to join".to_owned()))
    }

    /// Begins a file with these fields of `/transcribe`. Returns its path.
    pub async fn begin(&self, name: &str, length: u64, fields: &[(&str, &str)]) -> Result<String, NotSent> {
        let request = self.request(Method::POST, "uploads")?.header("upload-length", length);
        let request = request.header("upload-metadata", format!("filename {}", STANDARD.encode(name)));
        let answer = self.answer(request.timeout(ANSWER).form(fields)).await?;
        let path = answer.headers().get(LOCATION).and_then(|path| path.to_str().ok());
        path.map(str::to_owned).ok_or_else(not_callscribe)
    }

    /// Appends a piece of a file. Returns how much of the file the program has.
    pub async fn append(&self, path: &str, offset: u64, piece: Bytes) -> Result<u64, NotSent> {
        let request = self.request(Method::PATCH, path)?.header("upload-offset", offset);
        let request = request.header(CONTENT_LENGTH, piece.len());
        let request = request.header(CONTENT_TYPE, "application/offset+octet-stream");
        // When something was last taken of the piece, and whether that was its end.
        let (moved, seen) = watch::channel((Instant::now(), false));
        let moved = Arc::new(moved);
        let ended = Arc::clone(&moved);
        let chunks = (0..piece.len()).step_by(CHUNK).map(move |at| piece.slice(at..piece.len().min(at + CHUNK)));
        let chunks = stream::iter(chunks).inspect(move |_| _ = moved.send_replace((Instant::now(), false)));
        let chunks = chunks.chain(stream::poll_fn(move |_| {
            ended.send_replace((Instant::now(), true));
            Poll::Ready(None)
        }));
        let silence = async {
            loop {
                let (at, is_whole) = *seen.borrow();
                let until = at + if is_whole { ANSWER } else { STALL };
                if until <= Instant::now() {
                    return is_whole;
                }
                tokio::time::sleep_until(until).await;
            }
        };
        let body = Body::wrap_stream(chunks.map(Ok::<_, std::io::Error>));
        let answer = tokio::select! {
            answer = self.answer(request.body(body)) => answer?,
            is_whole = silence => {
                let why = if is_whole { "callscribe did not answer in time" } else { "the line took nothing for a minute" };
                return Err(NotSent::Again(why.to_owned()));
            }
        };
        let offset = answer.headers().get("upload-offset").and_then(|offset| offset.to_str().ok()?.parse().ok());
        offset.ok_or_else(not_callscribe)
    }

    /// Asks how far a file is. If it `waits`, the program answers once it has sent the file on.
    pub async fn sent(&self, path: &str, waits: bool) -> Result<Sent, NotSent> {
        let wait = if waits { WAIT } else { 0 };
        self.read(&format!("{path}?wait={wait}")).await
    }

    /// Asks what became of an upload.
    pub async fn item(&self, path: &str) -> Result<Item, NotSent> {
        self.read(path).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, NotSent> {
        let answer = self.answer(self.request(Method::GET, path)?.timeout(ANSWER)).await?;
        let body = answer.bytes().await.map_err(|_| NotSent::Again("the connection broke".to_owned()))?;
        serde_json::from_slice(&body).map_err(|_| not_callscribe())
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, NotSent> {
        let request = self.http.request(method, self.address(path)?).header(ACCEPT, "application/json");
        let request = request.header("tus-resumable", "1.0.0");
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        })
    }

    /// Returns a good answer to a request.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, NotSent> {
        let answer = request.send().await.map_err(|error| match transport(error) {
            Kind::Unreachable(why) => {
                NotSent::Again(format!("callscribe cannot be reached at {}: {why}; --to says where it runs", self.base))
            }
            _ => NotSent::Again("the connection broke".to_owned()),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(|_| NotSent::Again("the connection broke".to_owned()))?;
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_known = problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:callscribe:problem:"));
        let said = match (status, problem["detail"].as_str()) {
            (StatusCode::UNAUTHORIZED, _) if self.token.is_some() => {
                "callscribe there does not accept this token".to_owned()
            }
            (StatusCode::UNAUTHORIZED, _) => "callscribe there wants its OPERATOR_TOKEN: use --token".to_owned(),
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) if is_known => return Err(NotSent::Gone),
            (_, Some(detail)) => detail.to_owned(),
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, None) => return Err(not_callscribe()),
            (_, None) => format!("status {status}"),
        };
        let is_passing = status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::CONFLICT, StatusCode::LOCKED, StatusCode::REQUEST_TIMEOUT]
                .contains(&status);
        Err(if is_passing { NotSent::Again(said) } else { NotSent::Refused(said) })
    }
}

fn not_callscribe() -> NotSent {
    NotSent::Refused("--to answers, but not as a callscribe of this version does".to_owned())
}
