//! Sends the probes, and keeps asking whether `BASE_URL` leads here.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::public_address::PublicAddress;
use super::{Exposure, OWN_NAMES};
use crate::clock::Clock;
use crate::urls::Urls;

/// Pause after a round in which not every probe was answered. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Maximum pause while no probe is answered at all: the tunnel may be opened after the program, and is then open to
/// strangers too.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Pause after a round in which every probe was answered: another tunnel may take this one's place.
const NEXT_ROUND: Duration = Duration::from_secs(300);

/// Sends probes through `BASE_URL`.
#[derive(Debug)]
pub struct Prober<'p> {
    pub exposure: &'p Exposure,
    pub urls: &'p Urls,
    pub clock: &'p Clock,
    /// The ports that this program listens on.
    pub ports: Vec<u16>,
}

/// The outcome of a round of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Nothing stands between: `BASE_URL` is a port of this program on this computer.
    Direct,
    /// No instance of this program answered.
    Unanswered,
    /// An instance answered, but some probes got no answer of any kind.
    Partial,
    /// Every probe got an answer.
    Complete,
}

impl Prober<'_> {
    /// Sends rounds of probes until `stopping`. Logs when the program becomes reachable, and when it no longer is.
    pub async fn watch(&self, stopping: &CancellationToken) {
        let Some(address) = PublicAddress::new(self.urls.base()) else { return };
        let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
        loop {
            let round = tokio::select! {
                round = self.round(&address) => round,
                () = stopping.cancelled() => return,
            };
            let (change, pause) = course.after(round);
            match change {
                Some(true) => tracing::info!("reachable at BASE_URL"),
                Some(false) => tracing::warn!(
                    "BASE_URL does not lead to this program, so the vendors cannot reach it either: check that the tunnel is \
                     open and that its URL has not changed"
                ),
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Sends one round of probes. Returns whether `BASE_URL` leads to this program.
    pub async fn probe(&self) -> bool {
        match PublicAddress::new(self.urls.base()) {
            Some(address) => self.round(&address).await != Round::Unanswered,
            None => false,
        }
    }

    async fn round(&self, address: &PublicAddress) -> Round {
        let round = self.outcome(address).await;
        self.exposure.is_unreachable.store(round == Round::Unanswered, Ordering::Relaxed);
        round
    }

    async fn outcome(&self, address: &PublicAddress) -> Round {
        let Ok(addresses) = address.resolve().await else { return Round::Unanswered };
        if is_direct(&addresses, &self.ports) {
            return Round::Direct;
        }
        let port = self.ports.first().copied().unwrap_or_default();
        // A proxy that routes by the request's target may pass on any `Host`.
        let lies =
            OWN_NAMES.iter().flat_map(|name| [false, true].map(|is_absolute| (format!("{name}:{port}"), is_absolute)));
        let hosts = std::iter::once((self.urls.authority().to_owned(), false)).chain(lies);
        let addresses = &addresses;
        let sent = hosts.map(async |(host, is_absolute)| self.send(address, addresses, &host, is_absolute).await);
        let answers = join_all(sent).await;
        match (answers.contains(&Some(true)), answers.contains(&None)) {
            (false, _) => Round::Unanswered,
            (true, true) => Round::Partial,
            (true, false) => Round::Complete,
        }
    }

    /// Sends one probe under this `Host`. Returns whether an instance of this program answered it, or `None` if there was no
    /// answer at all.
    async fn send(
        &self,
        address: &PublicAddress,
        addresses: &[SocketAddr],
        host: &str,
        is_absolute: bool,
    ) -> Option<bool> {
        let probe = self.exposure.new_probe(self.clock.now());
        let url = self.urls.probe(&probe);
        let target = if is_absolute { &url } else { self.urls.path_of(&url) };
        let answer = address.get(addresses, target, host).await.ok()?;
        let says = |looks_local| {
            let expected = self.exposure.answer(&probe, looks_local);
            answer.windows(expected.len()).any(|part| part == expected.as_bytes())
        };
        if says(true) {
            self.exposure.expose();
        }
        Some(says(true) || says(false))
    }
}

/// What the rounds so far say about the next pause and the next line in the log.
struct Course {
    is_reachable: Option<bool>,
    /// The pause after the next round that is not complete.
    pause: Duration,
}

impl Course {
    /// Returns whether the program is reachable, if that has changed, and the pause before the next round.
    fn after(&mut self, round: Round) -> (Option<bool>, Duration) {
        let is_reachable = match round {
            Round::Direct => self.is_reachable,
            Round::Unanswered => Some(false),
            Round::Partial | Round::Complete => Some(true),
        };
        let change = is_reachable.filter(|_| is_reachable != self.is_reachable);
        self.is_reachable = is_reachable;
        let longest = if round == Round::Unanswered { LONGEST_PAUSE } else { NEXT_ROUND };
        let pause = match round {
            Round::Unanswered | Round::Partial => self.pause.min(longest),
            Round::Direct | Round::Complete => NEXT_ROUND,
        };
        self.pause = if matches!(round, Round::Direct | Round::Complete) { FIRST_PAUSE } else { 2 * pause };
        (change, pause)
    }
}

/// Whether these addresses are this program's own ports on this computer, with nothing in between.
fn is_direct(addresses: &[SocketAddr], ports: &[u16]) -> bool {
    let is_own = |address: &SocketAddr| address.ip().to_canonical().is_loopback() && ports.contains(&address.port());
    !addresses.is_empty() && addresses.iter().all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_repeated_soon_until_it_saw_everything_and_then_for_ever() {
        let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
        let mut pauses =
            |round: Round, times: usize| -> Vec<u64> { (0..times).map(|_| course.after(round).1.as_secs()).collect() };
        assert_eq!(pauses(Round::Unanswered, 6), [2, 4, 8, 10, 10, 10]);
        assert_eq!(pauses(Round::Complete, 3), [300, 300, 300]);
        assert_eq!(pauses(Round::Partial, 10), [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pauses(Round::Unanswered, 2), [10, 10]);
        assert_eq!(pauses(Round::Direct, 2), [300, 300]);
    }

    #[test]
    fn it_is_said_once_for_each_change_whether_the_program_is_reachable() {
        let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
        let said: Vec<_> = [
            Round::Direct,
            Round::Unanswered,
            Round::Unanswered,
            Round::Direct,
            Round::Unanswered,
            Round::Partial,
            Round::Complete,
            Round::Complete,
            Round::Unanswered,
        ]
        .map(|round| course.after(round).0)
        .to_vec();
        assert_eq!(said, [None, Some(false), None, None, None, Some(true), None, None, Some(false)]);
    }

    #[test]
    fn nothing_stands_between_if_all_addresses_are_this_computers_own_ports() {
        for (addresses, expected) in [
            (&["127.0.0.1:8000"][..], true),
            (&["[::1]:8001", "127.0.0.1:8001"], true),
            (&["[::ffff:127.0.0.1]:8000"], true),
            (&["127.0.0.1:8000", "203.0.113.7:8000"], false),
            (&["127.0.0.1:9000"], false),
            (&["203.0.113.7:8000"], false),
            (&[], false),
        ] {
            let parsed: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().expect("one")).collect();
            assert_eq!(is_direct(&parsed, &[8000, 8001]), expected, "{addresses:?}");
        }
    }
}
