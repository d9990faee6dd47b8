//! Looks at `BASE_URL` from outside: sends the probes, and says what their answers show.

use std::io::Result;
use std::iter::repeat_n;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::finding::Finding;
use super::public_address::{Connection, PublicAddress, Unconnected, first_connectable};
use super::{Exposure, OWN_NAMES};
use crate::clock::Clock;
use crate::repeats::Repeats;
use crate::server::BUSY;
use crate::urls::Urls;

/// Pause after a look that did not see everything. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Maximum pause while no instance of this program answers a probe.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Pause after a look that saw everything: another tunnel may take this one's place.
const NEXT_LOOK: Duration = Duration::from_secs(300);

/// Minimum pause after a look that trusts nobody, however many requests ask for the next one.
const REST: Duration = Duration::from_millis(250);

/// Time after which nothing that a request could come through is likely to be there, if nothing could ever be connected
/// to. While no request waits, a look goes on, and so also finds what is slower.
const SILENCE: Duration = Duration::from_millis(700);

/// Number of lies that are sent again after some were refused, and of plain probes among them.
const AGAIN: usize = 10;

/// Pause before each of these, so that a usual limit of ten requests per second lets all of them through.
const PACE: Duration = Duration::from_millis(120);

/// Looks at `BASE_URL`.
#[derive(Debug)]
pub struct Prober<'p> {
    pub exposure: &'p Exposure,
    pub urls: &'p Urls,
    pub clock: &'p Clock,
    /// The ports that this program listens on.
    pub ports: Vec<u16>,
}

/// The reply to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// An instance answered that the probe looked local.
    Local,
    /// An instance answered that it did not.
    Foreign,
    /// Something else answered, so that such a request does not reach this program.
    Elsewhere,
    /// The connection was closed without an answer, or the answer is one that a proxy gives under load, too.
    Refused,
    /// Anything that leaves open whether such a request reaches this program.
    Unknown,
}

/// A `Host` that names this computer, and whether the probe's target is an absolute URL.
type Lie = (String, bool);

impl Prober<'_> {
    /// Looks again and again until `stopping`: when requests wait for it, and otherwise from time to time. Logs when the
    /// program becomes reachable, and when it no longer is.
    pub async fn watch(&self, stopping: &CancellationToken) {
        let mut looks = self.exposure.looks.subscribe();
        let mut course = Course::default();
        loop {
            let finding = tokio::select! {
                finding = self.look() => finding,
                () = stopping.cancelled() => return,
            };
            let (change, pause) = course.after(finding, self.clock.now_ms());
            match change {
                Some(true) => tracing::info!("reachable at BASE_URL"),
                Some(false) => tracing::warn!(
                    "BASE_URL does not lead to this program, so the vendors cannot reach it either: check that the tunnel is \
                     open and that its URL has not changed"
                ),
                None => {}
            }
            let wanted = async {
                if matches!(finding, Finding::Exposed | Finding::Unclear { .. }) {
                    tokio::time::sleep(REST).await;
                }
                _ = looks.wait_for(|looks| looks.wanted > looks.ended).await;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = wanted => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Looks once. Returns whether `BASE_URL` leads to this program.
    pub async fn probe(&self) -> bool {
        let finding = self.look().await;
        !matches!(finding, Finding::Nobody | Finding::Unclear { leads_here: false })
    }

    async fn look(&self) -> Finding {
        loop {
            let (number, began) = (self.exposure.begin(), self.clock.now());
            let found = match PublicAddress::new(self.urls.base()) {
                Some(address) => {
                    tokio::select! {
                        // First, so that a connection made in time counts even if this task was not run in time.
                        biased;
                        finding = self.finding(&address) => Some(finding),
                        silence = self.silence(number) => silence,
                    }
                }
                // A name that cannot exist.
                None => Some(Finding::Nobody),
            };
            if let Some(finding) = found {
                self.exposure.end(number, began, finding);
                return finding;
            }
        }
    }

    /// Ends a look that has not connected to anything yet, nor any look before: after a while if a request waits for it. If
    /// none does, as soon as one waits for the next look, which then begins: `None`.
    async fn silence(&self, number: u64) -> Option<Finding> {
        let mut looks = self.exposure.looks.subscribe();
        let is_wanted = looks.borrow().wanted >= number;
        if is_wanted {
            tokio::time::sleep(SILENCE).await;
        }
        _ = looks.wait_for(|looks| !looks.is_connectable && (is_wanted || looks.wanted > number)).await;
        is_wanted.then_some(Finding::Nobody)
    }

    async fn finding(&self, address: &PublicAddress) -> Finding {
        let connected = match address.resolve().await {
            Ok(addresses) if is_direct(&addresses, &self.ports) => return Finding::Direct,
            Ok(addresses) => first_connectable(&addresses).await,
            Err(unconnected) => Err(unconnected),
        };
        let was_connectable = self.exposure.looks.borrow().is_connectable;
        let set_connectable = |is_connectable| self.exposure.looks.send_modify(|l| l.is_connectable = is_connectable);
        match connected {
            Ok((peer, stream)) => {
                set_connectable(true);
                self.answers(address, peer, stream).await
            }
            Err(Unconnected::Nobody) => {
                set_connectable(false);
                Finding::Nobody
            }
            Err(Unconnected::TooSlow) if !was_connectable => Finding::Nobody,
            Err(Unconnected::TooSlow | Unconnected::Failed) => Finding::Unclear { leads_here: false },
        }
    }

    /// Sends the probes, the plain one over this stream. Returns what the answers show.
    async fn answers(&self, address: &PublicAddress, peer: SocketAddr, stream: TcpStream) -> Finding {
        let port = self.ports.first().copied().unwrap_or_default();
        // A proxy that routes by the request's target may pass on any `Host`.
        let lies =
            OWN_NAMES.iter().flat_map(|name| [false, true].map(|is_absolute| (format!("{name}:{port}"), is_absolute)));
        let lies = lies.map(async |lie: Lie| (self.send_lie(address, peer, &lie).await, lie));
        let plain = self.send(address.over(stream), self.urls.authority(), false);
        let (plain, lies) = tokio::join!(plain, join_all(lies));
        let (refused, answered): (Vec<_>, Vec<_>) = lies.into_iter().partition(|(reply, _)| *reply == Reply::Refused);
        let mut replies: Vec<Reply> = answered.into_iter().map(|(reply, _)| reply).chain([plain]).collect();
        if !refused.is_empty() {
            let refused = refused.into_iter().map(|(_, lie)| lie).collect();
            replies.push(match plain {
                Reply::Foreign => self.send_again(address, peer, refused).await,
                _ => Reply::Unknown,
            });
        }
        let leads_here = replies.contains(&Reply::Foreign);
        if replies.contains(&Reply::Local) {
            Finding::Exposed
        } else if replies.iter().any(|reply| matches!(reply, Reply::Refused | Reply::Unknown)) {
            Finding::Unclear { leads_here }
        } else if leads_here {
            Finding::Straight
        } else {
            Finding::Nobody
        }
    }

    /// Sends refused lies again, one after another. Returns [`Reply::Elsewhere`] if each is answered, or refused although
    /// all plain probes among them are answered: then that is because of the `Host`, and not for want of something. The
    /// order is random, so that what refuses without regard to the `Host`, such as every second request, refuses exactly the
    /// lies less than once in 180,000 times.
    async fn send_again(&self, address: &PublicAddress, peer: SocketAddr, mut refused: Vec<Lie>) -> Reply {
        while !refused.is_empty() {
            let before = refused.len();
            let lies = refused.iter().cycle().take(AGAIN).cloned().map(Some);
            let mut probes: Vec<Option<Lie>> = lies.chain(repeat_n(None, AGAIN)).collect();
            probes.sort_by_cached_key(|_| Uuid::new_v4());
            for probe in probes {
                let is_answered = probe.as_ref().is_some_and(|lie| !refused.contains(lie));
                if is_answered || refused.is_empty() {
                    continue;
                }
                tokio::time::sleep(PACE).await;
                let reply = match &probe {
                    Some(lie) => self.send_lie(address, peer, lie).await,
                    None => self.send(address.open(peer), self.urls.authority(), false).await,
                };
                match (probe, reply) {
                    (_, Reply::Local) => return Reply::Local,
                    (Some(_), Reply::Refused) | (None, Reply::Foreign) => {}
                    (Some(lie), Reply::Foreign | Reply::Elsewhere) => refused.retain(|other| *other != lie),
                    _ => return Reply::Unknown,
                }
            }
            if refused.len() == before {
                break;
            }
        }
        Reply::Elsewhere
    }

    async fn send_lie(&self, address: &PublicAddress, peer: SocketAddr, (host, is_absolute): &Lie) -> Reply {
        self.send(address.open(peer), host, *is_absolute).await
    }

    /// Sends one probe under this `Host`, over a connection of its own.
    async fn send(&self, opening: impl Future<Output = Result<Connection>>, host: &str, is_absolute: bool) -> Reply {
        let Ok(mut connection) = opening.await else { return Reply::Unknown };
        let probe = self.exposure.new_probe(self.clock.now());
        let url = self.urls.probe(&probe);
        let target = if is_absolute { &url } else { self.urls.path_of(&url) };
        let [local, foreign] = [true, false].map(|looks_local| self.exposure.answer(&probe, looks_local));
        let says = |bytes: &[u8], answer: &str| bytes.windows(answer.len()).any(|part| part == answer.as_bytes());
        let is_enough = |bytes: &[u8]| {
            says(bytes, &local) || says(bytes, &foreign) || head(bytes).is_some_and(|(status, _)| status != 200)
        };
        let Ok(answer) = connection.ask(target, host, is_enough).await else { return Reply::Unknown };
        if says(&answer, &local) {
            self.exposure.expose();
            return Reply::Local;
        }
        let is_busy = |head: &[u8]| has(head, format!("\r\n{BUSY}:").as_bytes());
        match head(&answer) {
            _ if answer.is_empty() => Reply::Refused,
            _ if says(&answer, &foreign) => Reply::Foreign,
            Some((_, head)) if is_busy(head) => Reply::Unknown,
            Some((status, _)) if may_be_for_load(status) => Reply::Refused,
            Some(_) => Reply::Elsewhere,
            // A part of an answer, unless something else than HTTP is spoken there.
            None if answer.starts_with(b"HTTP/1.") => Reply::Unknown,
            None => Reply::Elsewhere,
        }
    }
}

/// Returns the status of an HTTP response, and its whole head. Those of interim responses are skipped.
fn head(mut answer: &[u8]) -> Option<(u16, &[u8])> {
    loop {
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
        let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        if !(100..200).contains(&status) {
            return Some((status, &answer[..end]));
        }
        answer = &answer[end + 4..];
    }
}

/// Whether a head contains this, whatever its case.
fn has(head: &[u8], text: &[u8]) -> bool {
    head.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}

/// Whether proxies answer this under load or to too many requests, so that the next request may be answered otherwise.
fn may_be_for_load(status: u16) -> bool {
    matches!(status, 403 | 408 | 429 | 500..)
}

/// What the looks so far say about the next pause and the next line in the log.
struct Course {
    /// Whether the program is reachable, as the log said last.
    said: Option<bool>,
    repeats: Repeats,
    /// The pause after the next look that does not see everything.
    pause: Duration,
}

impl Default for Course {
    fn default() -> Self {
        Self { said: None, repeats: Repeats::default(), pause: FIRST_PAUSE }
    }
}

impl Course {
    /// Returns whether the program is reachable, if the log is to say it, and the pause before the next look. The log says
    /// each at most once a minute, because a stranger can cause looks and what they find.
    fn after(&mut self, finding: Finding, now_ms: i64) -> (Option<bool>, Duration) {
        let is_reachable = match finding {
            Finding::Direct | Finding::Unclear { leads_here: false } => None,
            Finding::Nobody => Some(false),
            Finding::Straight | Finding::Exposed | Finding::Unclear { leads_here: true } => Some(true),
        };
        let is_due = |is_reachable: &bool| self.repeats.count(is_reachable.to_string(), now_ms).is_some();
        let change = is_reachable.filter(|_| is_reachable != self.said).filter(is_due);
        self.said = change.or(self.said);
        let pause = match finding {
            Finding::Nobody | Finding::Unclear { leads_here: false } => self.pause.min(LONGEST_PAUSE),
            Finding::Unclear { leads_here: true } => self.pause.min(NEXT_LOOK),
            Finding::Direct | Finding::Straight | Finding::Exposed => NEXT_LOOK,
        };
        let saw_everything = matches!(finding, Finding::Direct | Finding::Straight | Finding::Exposed);
        self.pause = if saw_everything { FIRST_PAUSE } else { 2 * pause };
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

    const NOWHERE: Finding = Finding::Unclear { leads_here: false };
    const PARTIAL: Finding = Finding::Unclear { leads_here: true };

    #[test]
    fn a_look_is_repeated_soon_until_it_saw_everything_and_then_for_ever() {
        let mut course = Course::default();
        let mut pauses = |finding: Finding, times: usize| -> Vec<u64> {
            (0..times).map(|_| course.after(finding, 0).1.as_secs()).collect()
        };
        assert_eq!(pauses(Finding::Nobody, 6), [2, 4, 8, 10, 10, 10]);
        assert_eq!(pauses(Finding::Straight, 3), [300, 300, 300]);
        assert_eq!(pauses(PARTIAL, 10), [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pauses(NOWHERE, 2), [10, 10]);
        assert_eq!(pauses(Finding::Direct, 2), [300, 300]);
        assert_eq!(pauses(Finding::Exposed, 1), [300]);
    }

    #[test]
    fn it_is_said_once_for_each_change_whether_the_program_is_reachable() {
        let mut course = Course::default();
        let said = [
            (NOWHERE, None),
            (Finding::Direct, None),
            (Finding::Nobody, Some(false)),
            (NOWHERE, None),
            (Finding::Direct, None),
            (Finding::Nobody, None),
            (PARTIAL, Some(true)),
            (NOWHERE, None),
            (Finding::Straight, None),
            (Finding::Exposed, None),
            (Finding::Nobody, Some(false)),
        ];
        for (minute, (finding, expected)) in (0..).zip(said) {
            assert_eq!(course.after(finding, minute * 60_000).0, expected, "{finding:?} at minute {minute}");
        }
    }

    #[test]
    fn what_a_stranger_makes_looks_find_is_said_at_most_once_a_minute() {
        let mut course = Course::default();
        let alternating = (0..1_000).map(|look| if look % 2 == 0 { Finding::Nobody } else { Finding::Straight });
        let lines = alternating.filter(|finding| course.after(*finding, 1).0.is_some()).count();
        assert_eq!(lines, 2);
        assert_eq!(course.after(Finding::Nobody, 60_001).0, Some(false), "what holds in the end is said");
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        for (answer, expected) in [
            ("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nbody", Some(404)),
            ("HTTP/1.0 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 404 Not Found\r\nA: b\r\n", None),
            ("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 4\r\n\r\n", None),
            ("SSH-2.0-OpenSSH_9.9\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(head(answer.as_bytes()).map(|(status, _)| status), expected, "{answer:?}");
        }
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
