//! "This call or transcript changed": wakes the requests that wait for it. A missed event costs them a look, never the
//! result.

use tokio::sync::broadcast;

/// So many events may be unread before the oldest is dropped.
const UNREAD: usize = 1_024;

/// Where changes are told and heard, each by our id of the call or transcript. Clones share it.
#[derive(Debug, Clone)]
pub struct Events {
    changes: broadcast::Sender<String>,
}

impl Events {
    /// With nobody listening yet.
    pub fn new() -> Self {
        Self { changes: broadcast::Sender::new(UNREAD) }
    }

    /// This call or transcript changed.
    pub fn changed(&self, id: &str) {
        // Nobody may be waiting.
        let _ = self.changes.send(id.to_owned());
    }

    /// What is told from now on.
    pub fn listen(&self) -> Listener {
        Listener { changes: self.changes.subscribe() }
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
    changes: broadcast::Receiver<String>,
}

impl Listener {
    /// Waits for what is told next: the id of what changed; none if so much was told that anything may have.
    pub async fn next(&mut self) -> Option<String> {
        match self.changes.recv().await {
            Ok(changed) => Some(changed),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What was told since and not yet heard; none in it as in [`Listener::next`].
    pub fn told(&mut self) -> Vec<Option<String>> {
        use broadcast::error::TryRecvError;
        let each = || match self.changes.try_recv() {
            Ok(changed) => Some(Some(changed)),
            Err(TryRecvError::Lagged(_)) => Some(None),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        };
        std::iter::from_fn(each).collect()
    }

    /// Waits until this call or transcript is said to have changed, or until so much was told that it may have.
    pub async fn changed(&mut self, id: &str) {
        loop {
            match self.changes.recv().await {
                Ok(changed) if changed != id => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
