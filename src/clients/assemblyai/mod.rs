//! AssemblyAI's pre-recorded API, `v2`: JSON in and out, the key raw in `Authorization`.
//!
//! Source: <https://www.assemblyai.com/docs/api-reference>.

pub mod callbacks;
pub mod limits;
mod list;
mod transcripts;
mod upload;
mod words;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

pub use list::Listed;
pub use transcripts::{Reply, Transcript, TranscriptStatus};
pub use words::Word;

use super::{Deadlines, Refusal, Sender, Service};

/// Where the API is served unless the settings say otherwise, such as in the EU.
pub const API_URL: &str = "https://api.assemblyai.com";

/// The models that are asked for unless the settings say otherwise. Named, because the vendor's default moves.
pub const SPEECH_MODELS: &str = "universal-3-5-pro,universal-2";

/// A client of one project.
#[derive(Debug, Clone)]
pub struct AssemblyAi {
    sender: Sender,
    base: Url,
    key: SecretString,
}

impl AssemblyAi {
    /// `base` is scheme and host of the API, such as [`API_URL`].
    pub fn new(base: Url, key: SecretString, deadlines: Deadlines) -> Self {
        let sender = Sender::new(Service::AssemblyAi, &base, deadlines, refusal);
        Self { sender, base, key }
    }

    /// Whether our credentials were refused when they were last needed.
    pub fn is_refused(&self) -> bool {
        self.sender.is_refused()
    }

    /// Each segment is escaped.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2").extend(segments);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let mut key = HeaderValue::from_str(self.key.expose_secret()).expect("settings hold printable keys alone");
        // Nobody prints it with the request.
        key.set_sensitive(true);
        self.sender.http.request(method, url).header(AUTHORIZATION, key)
    }
}

fn refusal(status: StatusCode, _: &HeaderMap, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct ErrorBody {
        error: String,
    }
    let message = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.error,
        Err(_) => status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    Refusal { status: status.as_u16(), code: None, message, more_info: None }
}
