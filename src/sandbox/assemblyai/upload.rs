//! Uploads: the audio is recognized while it streams by, and dropped.

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use futures_util::StreamExt;
use uuid::Uuid;

use super::error::{ErrorResponse, bad_request};
use crate::sandbox::speech::{Form, Recognized, Recognizer, Scene};

pub(super) const PATH: &str = "/v2/upload";

/// AssemblyAI's limit for one upload: 2.2 GB.
const LIMIT: u64 = 2_200_000_000;

/// What is known of uploaded audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// In hex.
    pub sha256: String,
    pub bytes: u64,
    pub upload_url: String,
    /// Whether what people say in it is known here. No other audio is transcribed.
    pub is_speech: bool,
    /// The recording SID that the audio is marked with; the transcript ends with it.
    pub recording: Option<String>,
    /// What people say in it, and which channels it has of it.
    pub(super) speech: Option<(Scene, Form)>,
    /// Whether AssemblyAI no longer has the audio.
    pub(super) is_lost: bool,
}

impl Upload {
    /// Returns a number that depends on every byte.
    pub(super) fn seed(&self) -> u64 {
        u64::from_str_radix(&self.sha256[..16], 16).expect("a checksum in hex")
    }
}

/// Reads uploaded audio to its end.
pub(super) async fn receive(base_url: &str, body: Body) -> Result<Upload, ErrorResponse> {
    // The lower bound is the Content-Length, if there is one.
    if body.size_hint().lower() > LIMIT {
        return Err(too_large());
    }
    let mut parts = body.into_data_stream();
    let mut recognizer = Recognizer::default();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| bad_request("Upload failed, the request body was cut short"))?;
        recognizer.update(&part);
        if recognizer.bytes() > LIMIT {
            return Err(too_large());
        }
    }
    if recognizer.bytes() == 0 {
        return Err(bad_request("Upload failed, the request body is empty"));
    }
    let Recognized { sha256, bytes, speech, recording } = recognizer.finish();
    let upload_url = format!("{base_url}/upload/{}", Uuid::new_v4());
    Ok(Upload { sha256, bytes, upload_url, is_speech: speech.is_some(), recording, speech, is_lost: false })
}

fn too_large() -> ErrorResponse {
    ErrorResponse::new(StatusCode::PAYLOAD_TOO_LARGE, "Upload failed, the file is larger than 2.2 GB")
}
