//! AssemblyAI's API for pre-recorded audio, `v2`: JSON in and out, the key as it is in `Authorization`.
//!
//! Source: <https://www.assemblyai.com/docs/api-reference>.

pub mod callbacks;
pub mod limits;
mod list;
pub mod models;
pub mod parameters;
mod transcripts;
mod upload;
mod words;

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;

pub use list::Listed;
pub use transcripts::{Reply, Transcript, TranscriptStatus};
pub use words::Word;

use super::{Deadlines, Refusal, Sender, Service, json};
use crate::metrics::Requests;

/// Default of `ASSEMBLYAI_API_URL`. The EU has another.
pub const API_URL: &str = "https://api.assemblyai.com";

/// How many large transcripts are fetched and stored at the same time. The others wait.
const LARGE_AT_ONCE: usize = 1;

/// A client for one project.
#[derive(Debug, Clone)]
pub struct AssemblyAi {
    sender: Sender,
    base: Url,
    key: SecretString,
    /// How many large transcripts may be in memory at the same time.
    large: Arc<Semaphore>,
}

impl AssemblyAi {
    /// `base` is a URL such as [`API_URL`].
    pub fn new(base: Url, key: SecretString, deadlines: Deadlines) -> Self {
        let sender = Sender::new(Service::AssemblyAi, &base, deadlines, refusal);
        Self { sender, base, key, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) }
    }

    /// Counts its requests here.
    pub fn counted_in(mut self, requests: &Requests) -> Self {
        self.sender.requests = requests.clone();
        self
    }

    /// Returns AssemblyAI's refusal of the credentials at the last request.
    pub fn refused(&self) -> Option<Refusal> {
        self.sender.refused()
    }

    /// Returns `true` for the URL of an upload, which AssemblyAI itself has.
    pub fn is_upload(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let is_assemblyais = |host: &str| host == "assemblyai.com" || host.ends_with(".assemblyai.com");
        url.origin() == self.base.origin() || url.host_str().is_some_and(is_assemblyais)
    }

    /// Escapes each segment.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2").extend(segments);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let mut key = HeaderValue::from_str(self.key.expose_secret()).expect("the settings allow printable keys only");
        // Keeps the key out of Debug output.
        key.set_sensitive(true);
        self.sender.http.request(method, url).header(AUTHORIZATION, key)
    }
}

fn refusal(status: StatusCode, _: &HeaderMap, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct ErrorBody {
        error: String,
    }
    let message = json::read::<ErrorBody>(body).ok().map(|body| body.error);
    Refusal {
        status: status.as_u16(),
        code: None,
        // A gateway on the way speaks JSON, too, but of another shape.
        is_vendors: message.is_some(),
        message: message.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned()),
        more_info: None,
    }
}
