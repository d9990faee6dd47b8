//! Whether this computer's name still proves anything. What comes through some tunnels and proxies cannot be told from
//! what is asked here, so the program asks itself from outside, once plainly and then as whoever wants in would: naming
//! this computer. If any of it looks as if it came from this computer, then so can any stranger.
//!
//! Another instance at the same address may be the one that is asked. It knows the probe by its signature, and tells in a
//! signed answer how it looked, so that both know.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use futures_util::future::join_all;

use super::access::{self, OWN_NAMES};
use super::error::ApiError;
use crate::clients::outside::Outside;
use crate::context::{Context, Shared};

/// The pause after a look that did not see everything. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// But is no longer than this as long as nobody answers: the tunnel may be opened after the program, and is then open to
/// strangers, too.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A look once all was seen: the tunnel may become another.
const NEXT_LOOK: Duration = Duration::from_secs(300);

/// A probe arrives. Whatever is none of ours is answered like any address that a stranger asks for.
pub(super) async fn arrive(
    State(context): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<String, ApiError> {
    let probe =
        path.ok().map(|Path(probe)| probe).filter(|probe| context.operator.is_probe(probe, context.clock.now()));
    let Some(probe) = probe else { return Err(access::refusal(&context)) };
    let looks_local = access::looks_local(peer, &request);
    if looks_local {
        expose(&context);
    }
    Ok(context.operator.answer(&probe, looks_local) + "\n")
}

fn expose(context: &Context) {
    if context.operator.expose() {
        tracing::warn!(
            "what comes in through BASE_URL cannot be told from what is asked on this computer, because the tunnel or \
             proxy there hides what it is; from now on nobody is let in without logging in, on this computer either"
        );
    }
}

/// What was seen of the way through `BASE_URL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing stands between: it is this program's own port of this computer.
    Straight,
    /// No instance of this program answered.
    Nobody,
    /// One did, but not every probe had an answer, whosoever.
    Partial,
    /// Every probe had one.
    Whole,
}

/// Looks again and again, for as long as the program runs. Says when the program becomes reachable, and when it is not.
pub(crate) async fn watch(context: Shared, ports: Vec<u16>) {
    let Some(outside) = Outside::new(context.urls.base()) else { return };
    let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
    loop {
        let look = tokio::select! {
            look = look(&context, &outside, &ports) => look,
            () = context.stopping.cancelled() => return,
        };
        let (change, pause) = course.after(look);
        match change {
            Some(true) => tracing::info!("reachable at BASE_URL"),
            Some(false) => tracing::warn!(
                "BASE_URL does not lead to this program, so neither vendor can reach it either: is the tunnel open, \
                 and its address still the same?"
            ),
            None => {}
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.stopping.cancelled() => return,
        }
    }
}

/// How the looks went so far.
struct Course {
    is_reachable: Option<bool>,
    /// The pause after the next look that does not see everything.
    pause: Duration,
}

impl Course {
    /// Whether the program is reachable, if that is news, and the pause before the next look.
    fn after(&mut self, look: Look) -> (Option<bool>, Duration) {
        let is_reachable = match look {
            Look::Straight => self.is_reachable,
            Look::Nobody => Some(false),
            Look::Partial | Look::Whole => Some(true),
        };
        let change = is_reachable.filter(|_| is_reachable != self.is_reachable);
        self.is_reachable = is_reachable;
        let longest = if look == Look::Nobody { LONGEST_PAUSE } else { NEXT_LOOK };
        let pause = match look {
            Look::Nobody | Look::Partial => self.pause.min(longest),
            Look::Straight | Look::Whole => NEXT_LOOK,
        };
        self.pause = if matches!(look, Look::Straight | Look::Whole) { FIRST_PAUSE } else { 2 * pause };
        (change, pause)
    }
}

/// Looks once. Whether `BASE_URL` leads to this program.
pub(crate) async fn probe(context: &Context, ports: &[u16]) -> bool {
    match Outside::new(context.urls.base()) {
        Some(outside) => look(context, &outside, ports).await != Look::Nobody,
        None => false,
    }
}

async fn look(context: &Context, outside: &Outside, ports: &[u16]) -> Look {
    let look = seen(context, outside, ports).await;
    context.is_unreachable.store(look == Look::Nobody, Ordering::Relaxed);
    look
}

async fn seen(context: &Context, outside: &Outside, ports: &[u16]) -> Look {
    let Ok(addresses) = outside.addresses().await else { return Look::Nobody };
    if is_straight(&addresses, ports) {
        return Look::Straight;
    }
    let port = ports.first().copied().unwrap_or_default();
    // A proxy that goes by the target's host may pass on any `Host`.
    let lies =
        OWN_NAMES.iter().flat_map(|name| [false, true].map(|is_absolute| (format!("{name}:{port}"), is_absolute)));
    let asked = std::iter::once((context.urls.authority().to_owned(), false)).chain(lies);
    let addresses = &addresses;
    let asked = asked.map(async |(host, is_absolute)| ask(context, outside, addresses, &host, is_absolute).await);
    let found = join_all(asked).await;
    match (found.contains(&Some(true)), found.contains(&None)) {
        (false, _) => Look::Nobody,
        (true, true) => Look::Partial,
        (true, false) => Look::Whole,
    }
}

/// Whether these addresses are this program itself, with nothing in between.
fn is_straight(addresses: &[SocketAddr], ports: &[u16]) -> bool {
    let is_own = |address: &SocketAddr| address.ip().to_canonical().is_loopback() && ports.contains(&address.port());
    !addresses.is_empty() && addresses.iter().all(is_own)
}

/// Sends one probe under this name. Whether an instance of this program answered it, if anybody did.
async fn ask(
    context: &Context,
    outside: &Outside,
    addresses: &[SocketAddr],
    host: &str,
    is_absolute: bool,
) -> Option<bool> {
    let probe = context.operator.new_probe(context.clock.now());
    let url = context.urls.probe(&probe);
    let target = if is_absolute { &url } else { context.urls.path_of(&url) };
    let answer = outside.ask(addresses, target, host).await.ok()?;
    let says = |looks_local| {
        let words = context.operator.answer(&probe, looks_local);
        answer.windows(words.len()).any(|part| part == words.as_bytes())
    };
    if says(true) {
        expose(context);
    }
    Some(says(true) || says(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_repeated_soon_until_it_saw_everything_and_then_for_ever() {
        let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
        let mut pauses =
            |look: Look, times: usize| -> Vec<u64> { (0..times).map(|_| course.after(look).1.as_secs()).collect() };
        assert_eq!(pauses(Look::Nobody, 6), [2, 4, 8, 10, 10, 10]);
        assert_eq!(pauses(Look::Whole, 3), [300, 300, 300]);
        assert_eq!(pauses(Look::Partial, 10), [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pauses(Look::Nobody, 2), [10, 10]);
        assert_eq!(pauses(Look::Straight, 2), [300, 300]);
    }

    #[test]
    fn it_is_said_once_for_each_change_whether_the_program_is_reachable() {
        let mut course = Course { is_reachable: None, pause: FIRST_PAUSE };
        let said: Vec<_> = [
            Look::Straight,
            Look::Nobody,
            Look::Nobody,
            Look::Straight,
            Look::Nobody,
            Look::Partial,
            Look::Whole,
            Look::Whole,
            Look::Nobody,
        ]
        .map(|look| course.after(look).0)
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
            assert_eq!(is_straight(&parsed, &[8000, 8001]), expected, "{addresses:?}");
        }
    }
}
