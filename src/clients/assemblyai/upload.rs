//! Uploads audio. Source: <https://www.assemblyai.com/docs/api-reference/files/upload>.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde::Deserialize;
use tokio::time::Instant;

use super::AssemblyAi;
use crate::clients::{Error, Kind, transport};

#[derive(Deserialize)]
struct UploadedFile {
    upload_url: String,
}

impl AssemblyAi {
    /// Streams audio to AssemblyAI and returns the URL that this project's transcripts may use. A known `length` is sent
    /// along, so that a source that ends early cannot pass for complete. There is no deadline for the whole: the source
    /// must have one if it needs one. If the source fails, returns the source's error.
    pub async fn upload<S, E>(&self, audio: S, length: Option<u64>) -> Result<String, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let sent_bytes = Arc::new(AtomicU64::new(0));
        let failed: Arc<Mutex<Option<E>>> = Arc::new(Mutex::new(None));
        let (counter, failure) = (Arc::clone(&sent_bytes), Arc::clone(&failed));
        let watched = audio.map(move |piece| match piece {
            Ok(bytes) => {
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Err(error) => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(io::Error::other("the source of the audio failed"))
            }
        });
        let mut request = self
            .request(Method::POST, self.url(&["upload"]))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(watched));
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }

        let begun = Instant::now();
        let response = tokio::select! {
            response = request.send() => response.map_err(transport),
            () = self.stalled(&sent_bytes) => Err(Kind::Timeout),
        };
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let answer = async { self.sender.read(self.sender.accept(response?).await?).await?.json::<UploadedFile>() };
        let answer = answer.await;
        self.sender.count("upload", begun, &answer);
        answer.map(|file| file.upload_url).map_err(|kind| self.sender.error(kind.of_post()).into())
    }

    /// Maximum time between two chunks of audio. The source must keep the same deadline.
    pub fn stall(&self) -> Duration {
        self.sender.deadlines.stall
    }

    /// Returns once no byte has been sent for the stall deadline. The source starts the same deadline a moment later, so this
    /// checks only after a whole one has passed: then a stalled source fails first and is the one that gets named.
    async fn stalled(&self, sent_bytes: &AtomicU64) {
        let mut before = None;
        loop {
            tokio::time::sleep(self.sender.deadlines.stall).await;
            let now = sent_bytes.load(Ordering::Relaxed);
            if before == Some(now) {
                return;
            }
            before = Some(now);
        }
    }
}
