//! Audio on its way to AssemblyAI. Source: <https://www.assemblyai.com/docs/api-reference/files/upload>.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde::Deserialize;

use super::AssemblyAi;
use crate::clients::{Error, Kind, transport};

#[derive(Deserialize)]
struct UploadedFile {
    upload_url: String,
}

impl AssemblyAi {
    /// Streams audio in, byte for byte, and gives the URL under which this project's transcripts may name it. `length`
    /// is sent along where it is known, so that a source that breaks off cannot pass for whole. It may take as long as the
    /// source does: one that must be whole by some time ends itself.
    ///
    /// # Errors
    /// The source's own error if it is the source that fails.
    pub async fn upload<S, E>(&self, audio: S, length: Option<u64>) -> Result<String, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let moved = Arc::new(AtomicU64::new(0));
        let failed: Arc<Mutex<Option<E>>> = Arc::new(Mutex::new(None));
        let (counter, failure) = (Arc::clone(&moved), Arc::clone(&failed));
        let watched = audio.map(move |piece| match piece {
            Ok(bytes) => {
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Err(error) => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(io::Error::other("the audio's source failed"))
            }
        });
        let mut request = self
            .request(Method::POST, self.url(&["upload"]))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(watched));
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }

        let sent = tokio::select! {
            sent = request.send() => sent.map_err(transport),
            () = self.stalled(&moved) => Err(Kind::Timeout),
        };
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let answer = async { self.sender.read(self.sender.accept(sent?).await?).await?.json::<UploadedFile>() };
        answer.await.map(|file| file.upload_url).map_err(|kind| self.sender.error(kind.of_post()).into())
    }

    /// How long audio that is under way may take to move on by at least a byte. Its source is to keep the same.
    pub fn stall(&self) -> Duration {
        self.sender.deadlines.stall
    }

    /// Ends when no byte has moved for the stall deadline. The source keeps the same deadline and is asked for its first
    /// byte a moment after this begins, so this looks for the first time when one has passed: who holds up the audio is
    /// named.
    async fn stalled(&self, moved: &AtomicU64) {
        let mut before = None;
        loop {
            tokio::time::sleep(self.sender.deadlines.stall).await;
            let now = moved.load(Ordering::Relaxed);
            if before == Some(now) {
                return;
            }
            before = Some(now);
        }
    }
}
