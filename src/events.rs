//! "Transcript X changed": wakes the requests that wait for it. A missed event costs them a look, never the result.

use tokio::sync::broadcast;

use crate::model::transcript::TranscriptId;

/// So many events may be unread before the oldest is dropped.
const UNREAD: usize = 256;

/// Where changes are told and heard. Clones share it.
#[derive(Debug, Clone)]
pub struct Events {
    finished: broadcast::Sender<TranscriptId>,
}

impl Events {
    /// With nobody listening yet.
    pub fn new() -> Self {
        Self { finished: broadcast::Sender::new(UNREAD) }
    }

    /// AssemblyAI says that a transcript is finished.
    pub fn transcript_finished(&self, id: TranscriptId) {
        // Nobody may be waiting.
        let _ = self.finished.send(id);
    }

    /// What is told from now on.
    pub fn listen(&self) -> Listener {
        Listener { finished: self.finished.subscribe() }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// Hears what [`Events`] tells.
#[derive(Debug)]
pub struct Listener {
    finished: broadcast::Receiver<TranscriptId>,
}

impl Listener {
    /// Waits until this transcript is said to be finished, or until so much was told that it may have been.
    pub async fn finished(&mut self, id: &TranscriptId) {
        loop {
            match self.finished.recv().await {
                Ok(finished) if finished != *id => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
