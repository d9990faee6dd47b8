//! Uploads: the audio streams through a checksum and is gone.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::speech;
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
    /// Whether it was the sandbox's own recording, the only one that is understood here.
    pub is_speech: bool,
}

pub(super) async fn receive(State(vendor): State<AssemblyAi>, request: Request) -> Result<Json<Value>, Refusal> {
    let body = request.into_body();
    // The lower bound is the Content-Length if there is one.
    if body.size_hint().lower() > LIMIT {
        return Err(too_large());
    }
    let mut parts = body.into_data_stream();
    let mut checksum = Sha256::new();
    let mut bytes = 0;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::bad("Upload failed, the request body was cut short"))?;
        bytes += part.len() as u64;
        if bytes > LIMIT {
            return Err(too_large());
        }
        checksum.update(&part);
    }
    if bytes == 0 {
        return Err(Refusal::bad("Upload failed, the request body is empty"));
    }

    let sha256 = speech::hex(&checksum.finalize());
    let upload_url = format!("{}/upload/{}", vendor.url(), Uuid::new_v4());
    let is_speech = speech::channels(&sha256).is_some();
    let answer = Json(json!({ "upload_url": upload_url }));
    vendor.change(|account| account.uploads.push(Upload { sha256, bytes, upload_url, is_speech }));
    Ok(answer)
}

fn too_large() -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, "Upload failed, the file is larger than 2.2 GB".into())
}
