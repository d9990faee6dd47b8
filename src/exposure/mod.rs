//! Whether requests that look as if they came from this computer can be trusted. Some tunnels and proxies hide that they
//! pass on requests of strangers, so the program sends probes to itself through `BASE_URL`, once plainly and then as an
//! attacker would: under a name of this computer. If any probe arrives looking local, so can any stranger's request.
//!
//! A probe may reach another instance at the same address. That instance recognizes it by its signature, and says in a
//! signed answer how the probe looked, so that both know.

mod prober;
mod public_address;

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::signature::{are_same, sign};
pub use prober::Prober;

/// Names of this computer in `Host`, where a port may follow.
pub const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Seconds for which a probe is valid. Clocks of other instances may differ a little.
const PROBE_SECONDS: u64 = 60;

/// What the probes found.
#[derive(Debug)]
pub struct Exposure {
    /// The secret that all instances share: it signs probes and answers.
    key: SecretString,
    exposed: CancellationToken,
    found: Notify,
    is_unreachable: AtomicBool,
}

impl Exposure {
    pub fn new(key: SecretString) -> Self {
        Self { key, exposed: CancellationToken::new(), found: Notify::new(), is_unreachable: AtomicBool::new(false) }
    }

    /// Whether a stranger's request can look local, so that looking local proves nothing.
    pub fn is_exposed(&self) -> bool {
        self.exposed.is_cancelled()
    }

    /// Waits until [`is_exposed`](Self::is_exposed).
    pub async fn exposed(&self) {
        self.exposed.cancelled().await;
    }

    /// Waits until the exposure is found. Wakes one caller, once.
    pub async fn found(&self) {
        self.found.notified().await;
    }

    /// Stops trusting requests that look local, until the process exits.
    pub fn expose(&self) {
        let is_new = !self.exposed.is_cancelled();
        self.exposed.cancel();
        if is_new {
            self.found.notify_one();
            tracing::warn!(
                "requests that come in through BASE_URL look like requests from this computer, because the tunnel or proxy \
                 there hides itself; from now on everyone must log in, even on this computer"
            );
        }
    }

    /// Whether `BASE_URL` did not lead to this program when last probed.
    pub fn is_unreachable(&self) -> bool {
        self.is_unreachable.load(Ordering::Relaxed)
    }

    /// Returns a new probe, which every instance accepts for a minute: when it was made, a nonce, and a signature of both.
    fn new_probe(&self, now: Timestamp) -> String {
        let probe = format!("{}.{}", now.as_second(), Uuid::new_v4().simple());
        let signature = sign(&self.key, "probe", &probe);
        format!("{probe}.{signature}")
    }

    /// Returns whether this is a probe that an instance sent within the last minute.
    pub fn is_probe(&self, probe: &str, now: Timestamp) -> bool {
        let Some((probe, signature)) = probe.rsplit_once('.') else { return false };
        let is_signed = are_same(signature.as_bytes(), sign(&self.key, "probe", probe).as_bytes());
        let sent = probe.split_once('.').and_then(|(sent, _)| sent.parse::<i64>().ok());
        is_signed && sent.is_some_and(|sent| now.as_second().abs_diff(sent) <= PROBE_SECONDS)
    }

    /// Returns the answer to a probe that looked local or did not. Only instances can compute it.
    pub fn answer(&self, probe: &str, looked_local: bool) -> String {
        sign(&self.key, if looked_local { "local" } else { "foreign" }, probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Auth;

    fn exposure() -> Exposure {
        Exposure::new("common".into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time within the calendar")
    }

    #[test]
    fn a_probe_is_valid_for_a_minute_on_every_instance_with_the_same_secret() {
        let probe = exposure().new_probe(at(1_000));
        for (second, is_valid) in [(939, false), (940, true), (1_000, true), (1_060, true), (1_061, false)] {
            assert_eq!(exposure().is_probe(&probe, at(second)), is_valid, "{second}");
        }
        assert!(!Exposure::new("other".into()).is_probe(&probe, at(1_000)));
        assert_ne!(probe, exposure().new_probe(at(1_000)));
        let (text, signature) = probe.rsplit_once('.').expect("a signature");
        let session = Auth::new(Some("common".into())).sessions.open(at(1_000));
        for forged in ["", "..", text, signature, &format!("1{probe}"), &probe[..probe.len() - 1], "1000.x.", &session]
        {
            assert!(!exposure().is_probe(forged, at(1_000)), "{forged}");
        }
    }

    #[test]
    fn an_answer_is_to_one_probe_and_says_how_it_looked() {
        let (here, probe) = (exposure(), exposure().new_probe(at(1_000)));
        let answers = [
            here.answer(&probe, true),
            here.answer(&probe, false),
            here.answer(&here.new_probe(at(1_000)), true),
            Exposure::new("other".into()).answer(&probe, true),
        ];
        for (index, answer) in answers.iter().enumerate() {
            assert!(!answers[..index].contains(answer) && !probe.contains(answer.as_str()));
        }
        assert_eq!(answers[0], exposure().answer(&probe, true));
    }

    #[tokio::test]
    async fn exposure_is_found_once() {
        let exposure = exposure();
        exposure.expose();
        exposure.found().await;
        exposure.expose();
        assert!(exposure.is_exposed());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, exposure.found()).await.is_err());
    }
}
