//! Broadcasts that a call or transcript changed, to wake the requests that wait for it. A missed event costs them one more
//! poll, never the result.

use tokio::sync::broadcast;

/// Events a listener may leave unread before the oldest is dropped.
const CAPACITY: usize = 1_024;

/// The channel of changes. Each event is the call id or order id. Clones share the channel.
#[derive(Debug, Clone)]
pub struct Events {
    changes: broadcast::Sender<String>,
}

impl Events {
    pub fn new() -> Self {
        Self { changes: broadcast::Sender::new(CAPACITY) }
    }

    /// Reports a change.
    pub fn changed(&self, id: &str) {
        // Fails if there is no listener.
        _ = self.changes.send(id.to_owned());
    }

    /// Returns a listener for the events from now on.
    pub fn listen(&self) -> Listener {
        Listener { changes: self.changes.subscribe() }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
pub struct Listener {
    changes: broadcast::Receiver<String>,
}

impl Listener {
    /// Waits for the next event. Returns `None` if events were dropped, so that anything may have changed.
    pub async fn next(&mut self) -> Option<String> {
        match self.changes.recv().await {
            Ok(changed) => Some(changed),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Returns the unread events without waiting, in the form of [`Listener::next`].
    pub fn unread(&mut self) -> Vec<Option<String>> {
        use broadcast::error::TryRecvError;
        let each = || match self.changes.try_recv() {
            Ok(changed) => Some(Some(changed)),
            Err(TryRecvError::Lagged(_)) => Some(None),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        };
        std::iter::from_fn(each).collect()
    }

    /// Waits until this call or transcript changed, or events were dropped.
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
