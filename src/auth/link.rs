//! The log-in link, which opens one session. There is one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;

use super::signature::{are_same, random_secret};

#[derive(Debug, Default)]
pub struct LogInLink {
    nonce: Mutex<Option<SecretString>>,
    used: Notify,
}

impl LogInLink {
    /// Returns the nonce of a new link. The link before it is invalid from then on.
    pub fn renew(&self) -> String {
        let nonce = random_secret();
        *self.nonce() = Some(nonce.clone().into());
        nonce
    }

    /// Returns whether this is the link's nonce. If so, the link is invalid from then on.
    pub fn redeem(&self, given: &str) -> bool {
        let mut nonce = self.nonce();
        let is_link = nonce.as_ref().is_some_and(|nonce| are_same(given.as_bytes(), nonce.expose_secret().as_bytes()));
        if is_link {
            *nonce = None;
            self.used.notify_one();
        }
        is_link
    }

    /// Waits until the link is used, so that another one is needed.
    pub async fn used(&self) {
        self.used.notified().await;
    }

    fn nonce(&self) -> MutexGuard<'_, Option<SecretString>> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_link_opens_one_session() {
        let link = LogInLink::default();
        assert!(!link.redeem(""));
        let (first, second) = (link.renew(), link.renew());
        assert!(first.len() == 64 && first != second);
        assert!(!link.redeem(&first), "there is another one now");
        assert!(!link.redeem(&second[1..]));
        assert!(link.redeem(&second));
        assert!(!link.redeem(&second));
    }

    #[tokio::test]
    async fn another_link_is_needed_when_one_was_used() {
        let link = LogInLink::default();
        let nonce = link.renew();
        assert!(!link.redeem("x") && link.redeem(&nonce));
        link.used().await;
    }
}
