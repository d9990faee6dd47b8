//! Uploads: the audio streams past an ear and is gone.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::speech::{Ear, Heard};
use super::{AssemblyAi, Refusal};

/// Where audio is sent to.
pub(super) const PATH: &str = "/v2/upload";

/// The most that AssemblyAI takes in one upload: 2.2 GB.
const LIMIT: u64 = 2_200_000_000;

/// What remains of uploaded audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The checksum, in hex.
    pub sha256: String,
    /// The length.
    pub bytes: u64,
    /// The address that a transcript can be made from.
    pub upload_url: String,
    /// Whether it was the sandbox's own speech, the only one that is understood here.
    pub is_speech: bool,
    /// The recording that it says it is; its SID ends the transcript.
    pub recording: Option<String>,
    /// How many channels the speech has.
    pub(super) channels: Option<u8>,
    /// Whether the audio is gone.
    pub(super) is_lost: bool,
}

pub(super) async fn receive(State(vendor): State<AssemblyAi>, request: Request) -> Result<Json<Value>, Refusal> {
    let body = request.into_body();
    // The lower bound is the Content-Length if there is one.
    if body.size_hint().lower() > LIMIT {
        return Err(too_large());
    }
    let mut parts = body.into_data_stream();
    let mut ear = Ear::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::bad("Upload failed, the request body was cut short"))?;
        ear.hear(&part);
        if ear.bytes() > LIMIT {
            return Err(too_large());
        }
    }
    if ear.bytes() == 0 {
        return Err(Refusal::bad("Upload failed, the request body is empty"));
    }

    let Heard { sha256, bytes, channels, recording } = ear.end();
    let upload_url = format!("{}/upload/{}", vendor.url(), Uuid::new_v4());
    let answer = Json(json!({ "upload_url": upload_url }));
    let is_speech = channels.is_some();
    let upload = Upload { sha256, bytes, upload_url, is_speech, recording, channels, is_lost: false };
    vendor.change(|account| account.uploads.push(&upload.upload_url.clone(), upload));
    Ok(answer)
}

fn too_large() -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, "Upload failed, the file is larger than 2.2 GB".into())
}
