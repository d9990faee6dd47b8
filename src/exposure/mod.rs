//! Whether requests that look as if they came from this computer can be trusted. Some tunnels and proxies hide that they
//! pass on requests of strangers, so the program looks at itself from outside: it sends probes through `BASE_URL`, one of
//! them plainly and the others as an attacker would: under a name of this computer. If any probe arrives looking local, so
//! can any stranger's request.
//!
//! Looking local is trusted only while a look says that it proves something. A look that found `BASE_URL` straight counts
//! for minutes. A look that found nobody there counts for the requests that waited for it, because a tunnel may be opened
//! the moment after. A look that connected and did not learn enough counts for nothing.
//!
//! A probe may reach another instance at the same address. That instance recognizes it by its signature, and says in a
//! signed answer how the probe looked, so that both know.

mod finding;
mod prober;
mod public_address;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;
use uuid::Uuid;

use crate::auth::signature::{are_same, sign};
use finding::{Finding, Looks};
pub use prober::Prober;
pub use public_address::{Answer, ask};

/// Names of this computer in `Host`, where a port may follow.
pub const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Seconds for which a probe is valid. Clocks of other instances may differ a little.
const PROBE_SECONDS: u64 = 60;

/// How many requests may wait for a look at once: each keeps a connection that cannot be closed for another client.
const WAITING: usize = 64;

/// What the looks found.
#[derive(Debug)]
pub struct Exposure {
    /// The secret that all instances share: it signs probes and answers.
    key: SecretString,
    /// Whether looks are taken automatically. Otherwise looking local is trusted until a probe arrives looking local.
    is_automatic: bool,
    /// Maximum time that a request waits for a look.
    patience: Duration,
    looks: watch::Sender<Looks>,
    /// One permit for each request that may wait for a look.
    waiting: Semaphore,
    locked_out: Notify,
    /// Whether `locked_out` was notified since `BASE_URL` was last found straight.
    is_locked_out: AtomicBool,
}

impl Exposure {
    pub fn new(key: SecretString, is_automatic: bool, patience: Duration) -> Self {
        let (looks, waiting, locked_out) = (watch::Sender::default(), Semaphore::new(WAITING), Notify::new());
        Self { key, is_automatic, patience, looks, waiting, locked_out, is_locked_out: AtomicBool::new(false) }
    }

    /// Whether a stranger's request can look local, so that looking local proves nothing.
    pub fn is_exposed(&self) -> bool {
        self.looks.borrow().is_exposed()
    }

    /// Returns whether a request that looks local can be trusted, or `None` if that takes a look.
    pub fn trust(&self, now: Timestamp) -> Option<bool> {
        let looks = self.looks.borrow();
        if looks.is_exposed() {
            return Some(false);
        }
        (!self.is_automatic || looks.is_straight(now)).then_some(true)
    }

    /// Whether a client that was let in because it looked local may stay, as far as the last look says.
    pub fn may_stay(&self, now: Timestamp) -> bool {
        let is_nobody_there = self.looks.borrow().finding == Some(Finding::Nobody);
        self.trust(now).unwrap_or(is_nobody_there)
    }

    /// Waits for a look, for a request that looks local. Returns whether it can be trusted; `false` if no look says so in
    /// time, or if too many others wait.
    pub async fn is_trusted(&self, now: Timestamp) -> bool {
        let Ok(_waiting) = self.waiting.try_acquire() else { return false };
        let mut looks = self.looks.subscribe();
        let number = self.want();
        let settled = looks.wait_for(|looks| looks.is_exposed() || looks.settles(number, now));
        let is_trusted =
            timeout(self.patience, settled).await.is_ok_and(|looks| looks.is_ok_and(|looks| !looks.is_exposed()));
        if !is_trusted && !self.is_exposed() && self.lock_out() {
            tracing::warn!(
                "could not find out whether strangers can come in through BASE_URL, because something there did not answer \
                 this program's requests, or refused them; until that changes, being on this computer is not enough"
            );
        }
        is_trusted
    }

    /// Asks for a look that has not begun yet, without waiting for it. Returns its number.
    pub fn want(&self) -> u64 {
        let mut number = 0;
        self.looks.send_if_modified(|looks| {
            number = looks.begun + 1;
            let is_new = looks.wanted < number;
            looks.wanted = looks.wanted.max(number);
            is_new
        });
        number
    }

    /// Waits until an operator at this computer must log in. Wakes one caller, once for each time.
    pub async fn locked_out(&self) {
        self.locked_out.notified().await;
    }

    /// Notes that an operator at this computer must log in. Returns whether that is new.
    fn lock_out(&self) -> bool {
        let is_new = !self.is_locked_out.swap(true, Ordering::Relaxed);
        if is_new {
            self.locked_out.notify_one();
        }
        is_new
    }

    /// Stops trusting requests that look local, until a look that begins after this finds `BASE_URL` straight.
    pub fn expose(&self) {
        let mut is_new = false;
        self.looks.send_modify(|looks| is_new = looks.expose());
        if is_new {
            self.lock_out();
            tracing::warn!(
                "requests that come in through BASE_URL look like requests from this computer, because the tunnel or proxy \
                 there hides itself; from now on everyone must log in, even on this computer"
            );
        }
    }

    /// Begins a look. Returns its number.
    fn begin(&self) -> u64 {
        let mut number = 0;
        self.looks.send_modify(|looks| {
            looks.begun += 1;
            number = looks.begun;
        });
        number
    }

    /// Ends a look with what it found at the time it began.
    fn end(&self, number: u64, began: Timestamp, finding: Finding) {
        let (mut was_exposed, mut is_exposed) = (false, false);
        self.looks.send_modify(|looks| {
            was_exposed = looks.is_exposed();
            looks.end(number, began, finding);
            is_exposed = looks.is_exposed();
        });
        if was_exposed && !is_exposed {
            tracing::info!(
                "requests that come in through BASE_URL no longer look local; this computer is trusted again"
            );
        }
        if finding.is_straight() && !is_exposed {
            self.is_locked_out.store(false, Ordering::Relaxed);
        }
    }

    /// Whether `BASE_URL` did not lead to this program when last looked at. Unknown counts as reachable.
    pub fn is_unreachable(&self) -> bool {
        self.looks.borrow().finding == Some(Finding::Nobody)
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
    use futures_util::FutureExt as _;

    use super::*;
    use crate::auth::Auth;

    fn exposure() -> Exposure {
        Exposure::new("common".into(), true, Duration::from_secs(60))
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
        assert!(!Exposure::new("other".into(), true, Duration::ZERO).is_probe(&probe, at(1_000)));
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
            Exposure::new("other".into(), true, Duration::ZERO).answer(&probe, true),
        ];
        for (index, answer) in answers.iter().enumerate() {
            assert!(!answers[..index].contains(answer) && !probe.contains(answer.as_str()));
        }
        assert_eq!(answers[0], exposure().answer(&probe, true));
    }

    #[test]
    fn a_client_stays_only_while_the_last_look_lets_it() {
        let exposure = exposure();
        let unclear = [false, true].map(|leads_here| (Finding::Unclear { leads_here }, false));
        let findings = [(Finding::Nobody, true), (Finding::Direct, true), (Finding::Straight, true)];
        for (finding, expected) in findings.into_iter().chain(unclear) {
            let look = exposure.begin();
            exposure.end(look, at(1_000), finding);
            assert_eq!(exposure.may_stay(at(1_000)), expected, "{finding:?}");
        }
        let look = exposure.begin();
        exposure.end(look, at(1_000), Finding::Straight);
        assert!(!exposure.may_stay(at(2_000)));
        exposure.expose();
        assert!(!exposure.may_stay(at(1_000)));
    }

    #[tokio::test]
    async fn no_more_requests_than_a_limit_wait_for_a_look() {
        let exposure = exposure();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(exposure.is_trusted(at(1_000)))).collect();
        for one in &mut waiting {
            assert_eq!(one.as_mut().now_or_never(), None);
        }
        assert_eq!(exposure.is_trusted(at(1_000)).now_or_never(), Some(false));
        drop(waiting.pop());
        waiting.push(Box::pin(exposure.is_trusted(at(1_000))));
        let look = exposure.begin();
        exposure.end(look, at(1_000), Finding::Straight);
        for one in waiting {
            assert!(one.await);
        }
    }

    #[tokio::test]
    async fn an_operator_is_locked_out_once_for_each_exposure() {
        let (exposure, nothing) = (exposure(), std::time::Duration::ZERO);
        exposure.expose();
        exposure.locked_out().await;
        exposure.expose();
        assert!(exposure.is_exposed());
        assert!(timeout(nothing, exposure.locked_out()).await.is_err());
        let look = exposure.begin();
        exposure.end(look, at(1_000), Finding::Straight);
        assert!(!exposure.is_exposed());
        exposure.expose();
        exposure.locked_out().await;
    }
}
