//! Transfer of one long recording from Twilio to AssemblyAI, between two servers that only send and receive bytes, so that
//! the program in between is measured. The yardstick is two `curl`s and a pipe.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use callscribe::sandbox::{assemblyai, twilio};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::callbacks::listen;

const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";

/// Size of a chunk, in bytes.
const PIECE: u64 = 1 << 16;

/// Size of a WAV header, in bytes.
const HEAD: u64 = 44;

/// Bytes per second of a recording with one channel, as Twilio makes them.
const SECOND: u64 = 16_000;

/// Servers for both vendors, at one address.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) url: String,
    size: u64,
    received: Arc<AtomicU64>,
}

impl Servers {
    /// Starts servers with a recording of this many bytes.
    pub(crate) async fn start(size: u64) -> Self {
        let listener = listen().await;
        let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
        let servers = Self { url, size, received: Arc::default() };
        let account = format!("/2010-04-01/Accounts/{}/Recordings", twilio::ACCOUNT_SID);
        let router = Router::new()
            .route(&format!("{account}/{RECORDING}.json"), get(details))
            .route(&format!("{account}/{RECORDING}.wav"), get(media))
            .route("/v2/upload", post(upload))
            .route("/v2/transcript", post(submit))
            .with_state(servers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        servers
    }

    /// Transfers the recording with two `curl`s. Returns bytes per second, or `None` without `curl`.
    pub(crate) fn by_curl(&self) -> Option<f64> {
        let script = format!(
            "curl -sSf -u {}:{} {url}/2010-04-01/Accounts/{}/Recordings/{RECORDING}.wav | \
             curl -sSf -o /dev/null -X POST -H 'authorization: {}' -H 'content-type: application/octet-stream' \
             -T - {url}/v2/upload",
            twilio::ACCOUNT_SID,
            twilio::AUTH_TOKEN,
            twilio::ACCOUNT_SID,
            assemblyai::API_KEY,
            url = self.url,
        );
        Command::new("curl").arg("--version").output().ok()?;
        let begun = Instant::now();
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "curl failed");
        Some(self.rate(begun))
    }

    /// Transfers the recording through the program at this address. Includes submitting the transcript.
    pub(crate) async fn by_program(&self, http: &reqwest::Client, address: &str) -> f64 {
        let form = [("recording_sid", RECORDING), ("again", "true")];
        let begun = Instant::now();
        let answer = http.post(format!("http://{address}/transcribe")).form(&form).send().await.expect("an answer");
        let status = answer.status();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap_or_default());
        self.rate(begun)
    }

    fn rate(&self, begun: Instant) -> f64 {
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(self.received.swap(0, Ordering::Relaxed), self.size, "bytes are missing");
        self.size as f64 / seconds
    }
}

async fn details(State(servers): State<Servers>) -> Json<Value> {
    Json(json!({
        "sid": RECORDING, "call_sid": "CA0123456789abcdef0123456789abcdef", "account_sid": twilio::ACCOUNT_SID,
        "status": "completed", "channels": 1, "duration": ((servers.size - HEAD) / SECOND).to_string(),
        "source": "RecordVerb",
    }))
}

async fn media(State(servers): State<Servers>) -> Response {
    let zeros = Bytes::from(vec![0; PIECE as usize]);
    let silence = servers.size - HEAD;
    let pieces = (0..silence).step_by(PIECE as usize).map(move |at| zeros.slice(..PIECE.min(silence - at) as usize));
    let pieces = std::iter::once(head(silence)).chain(pieces);
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, axum::Error>)));
    let headers =
        [(header::CONTENT_TYPE, "audio/x-wav".to_owned()), (header::CONTENT_LENGTH, servers.size.to_string())];
    (headers, body).into_response()
}

/// The header of a WAV file with this many bytes of sound.
fn head(sound: u64) -> Bytes {
    let sound = u32::try_from(sound).expect("a recording is shorter than 4 GB");
    let mut head = Vec::from(*b"RIFF");
    head.extend((sound + 36).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    head.extend(8_000_u32.to_le_bytes());
    head.extend((SECOND as u32).to_le_bytes());
    head.extend(b"\x02\0\x10\0data");
    head.extend(sound.to_le_bytes());
    head.into()
}

async fn upload(State(servers): State<Servers>, request: Request) -> Json<Value> {
    let mut pieces = request.into_body().into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { break };
        servers.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Json(json!({ "upload_url": format!("{}/upload/{}", servers.url, uuid::Uuid::new_v4()) }))
}

async fn submit() -> Json<Value> {
    Json(json!({ "id": uuid::Uuid::new_v4().to_string(), "status": "queued" }))
}
