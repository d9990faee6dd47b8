//! AssemblyAI's API for recorded audio, emulated: uploads, transcripts, their exports and the webhook.
//!
//! It recognizes one speech, the sandbox's own, by the checksum of its sound, and reads off a file which recording of it
//! that is. It fetches no audio, keeps none, and knows nothing of the program that calls it.

mod export;
mod life;
mod list;
mod params;
mod transcript;
mod upload;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::control::{self, Control};
use super::pace::Pace;
use super::register::Register;
use transcript::Transcript;
pub use upload::Upload;

/// The one API key, good for the sandbox only.
pub const API_KEY: &str = "sandbox-assemblyai-key";

/// A running emulator. Clones share its state.
#[derive(Clone)]
pub struct AssemblyAi {
    /// What goes wrong next, and what was asked.
    pub control: Control,
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    pace: Pace,
    state: Mutex<Account>,
    held: watch::Sender<bool>,
    http: reqwest::Client,
}

/// All that this AssemblyAI remembers.
#[derive(Default)]
struct Account {
    /// By the address that was answered.
    uploads: Register<Upload>,
    transcripts: Register<Transcript>,
    planned_errors: VecDeque<String>,
    /// Transcripts that are neither finished, with their webhook sent, nor held.
    busy: usize,
    accepted_per_audio_url: HashMap<String, u64>,
    accepted_per_recording: HashMap<String, u64>,
}

impl AssemblyAi {
    /// Serves the API on this listener for as long as the runtime lives.
    pub fn start(listener: TcpListener, pace: Pace) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Inner {
            url: format!("http://{address}"),
            pace,
            state: Mutex::default(),
            held: watch::Sender::new(false),
            http: super::outgoing::client(),
        };
        let vendor = Self { control: Control::new(error_body, upload::PATH), inner: Arc::new(inner) };
        let serving = axum::serve(listener, router(vendor.clone()));
        tokio::spawn(serving.into_future());
        vendor
    }

    /// The base URL, such as `http://127.0.0.1:8002`.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// What was uploaded, oldest first.
    pub fn uploads(&self) -> Vec<Upload> {
        self.account().uploads.values().cloned().collect()
    }

    /// Loses the audio of every upload so far, as happens a day or two after it: transcripts of it that are not finished
    /// yet, or ordered from now on, end in a download error.
    pub fn forget_uploads(&self) {
        self.change(|account| account.uploads.values_mut().for_each(|upload| upload.is_lost = true));
    }

    /// The transcripts that were accepted, whatever became of the answer, by the recording they are of. Only recordings
    /// that say which one they are count, see [`Upload::recording`]. None is forgotten.
    pub fn accepted_per_recording(&self) -> HashMap<String, u64> {
        self.account().accepted_per_recording.clone()
    }

    /// The transcripts that were accepted, by their `audio_url`. None is forgotten.
    pub fn accepted_per_audio_url(&self) -> HashMap<String, u64> {
        self.account().accepted_per_audio_url.clone()
    }

    /// All transcripts as `GET /v2/transcript/{id}` would answer, oldest first.
    pub fn transcripts(&self) -> Vec<Value> {
        self.account().transcripts.values().map(Transcript::answer).collect()
    }

    /// From now on no transcript gets further than `processing`.
    pub fn hold(&self) {
        self.inner.held.send_replace(true);
        self.control.changed();
    }

    /// Ends [`hold`](Self::hold).
    pub fn release(&self) {
        self.inner.held.send_replace(false);
    }

    /// Waits until every transcript has come to its end and its webhook was answered, or is held.
    pub async fn settled(&self) {
        let is_held = || *self.inner.held.borrow();
        self.control.until(|| (is_held() || self.account().busy == 0).then_some(())).await;
    }

    /// The next transcript that is created ends in status `error` with these words. Several calls are for several
    /// transcripts.
    pub fn fail_next_transcript(&self, error: &str) {
        self.account().planned_errors.push_back(error.to_owned());
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the account, then wakes whoever waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let result = change(&mut self.account());
        self.control.changed();
        result
    }

    /// Reads or changes a transcript by its id.
    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Transcript) -> T) -> Result<T, Refusal> {
        let unknown = || Refusal::bad("Transcript lookup error, transcript id not found");
        self.account().transcripts.get_mut(id).map(act).ok_or_else(unknown)
    }
}

fn router(vendor: AssemblyAi) -> Router {
    Router::new()
        .route(upload::PATH, post(upload::receive))
        .route("/v2/transcript", post(life::create).get(list::page))
        .route("/v2/transcript/{id}", get(show).delete(delete))
        .route("/v2/transcript/{id}/srt", get(export::srt))
        .route("/v2/transcript/{id}/vtt", get(export::vtt))
        .route("/v2/transcript/{id}/sentences", get(export::sentences))
        .route("/v2/transcript/{id}/paragraphs", get(export::paragraphs))
        .route("/v2/transcript/{id}/word-search", get(export::word_search))
        .method_not_allowed_fallback(|| async { Refusal(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed".into()) })
        .route_layer(middleware::from_fn(check_key))
        .fallback(|| async { Refusal(StatusCode::NOT_FOUND, "Not found".into()) })
        .layer(middleware::from_fn_with_state(vendor.control.clone(), control::steer))
        .with_state(vendor)
}

async fn show(State(vendor): State<AssemblyAi>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    vendor.with(&id, |transcript| Json(transcript.answer()))
}

async fn delete(State(vendor): State<AssemblyAi>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let (audio_url, answer) = vendor.with(&id, |transcript| {
        let audio_url = transcript.field("audio_url").as_str().map(str::to_owned);
        transcript.delete();
        (audio_url, Json(transcript.answer()))
    })?;
    vendor.change(|account| {
        if let Some(upload) = audio_url.and_then(|url| account.uploads.get_mut(&url)) {
            upload.is_lost = true;
        }
    });
    Ok(answer)
}

async fn check_key(request: Request, next: Next) -> Response {
    if request.headers().get(header::AUTHORIZATION).is_some_and(|key| key == API_KEY) {
        return next.run(request).await;
    }
    // Closing a connection with unread audio in it could keep the client from ever seeing the refusal.
    request.into_body().into_data_stream().for_each(|_| std::future::ready(())).await;
    Refusal(StatusCode::UNAUTHORIZED, "Authentication error, API token missing/invalid".into()).into_response()
}

/// AssemblyAI's way to say no.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, words.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn error_body(status: StatusCode) -> Value {
    json!({ "error": status.canonical_reason().unwrap_or("Error") })
}

#[cfg(test)]
mod tests;
