//! Faults: what can go wrong with a request, planned for a particular request or injected at random.

use std::borrow::Cow;

use axum::http::Method;

use crate::splitmix::SplitMix64;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is not carried out; the response has this status and the vendor's own form of error body.
    Refuse {
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// A proxy between client and vendor answers with this status and a page of its own.
    Proxy {
        status: u16,
        /// The proxy has passed the request on, and the vendor has carried it out.
        is_carried_out: bool,
    },
    /// The request is not carried out, and no response ever comes.
    Hang,
    /// The request is carried out, but no response ever comes.
    HangAfter,
    /// The request is carried out; the response waits for
    /// [`Control::answer_late_requests`](super::Control::answer_late_requests).
    Late,
    /// The request is carried out; the connection closes before a response.
    DropAfter,
    /// The request is carried out; the connection breaks in the middle of the response body.
    CutBody,
    /// The request is carried out; the response has the right status and this body. See [`Fault::wrong_body`].
    WrongBody(Cow<'static, str>),
}

impl Fault {
    pub fn wrong_body(body: impl Into<Cow<'static, str>>) -> Self {
        Self::WrongBody(body.into())
    }
}

/// Settings of [`Control::fail_at_random`](super::Control::fail_at_random).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomFaults {
    /// The same seed injects the same faults in the same order.
    pub seed: u64,
    /// Requests in a thousand that fail.
    pub per_mille: u16,
    /// Whether some requests never get a response, so that they last until the client's timeout.
    pub hangs: bool,
}

/// Random faults after which the client sees a response or a broken connection.
static PROMPT: [Fault; 8] = [
    Fault::Refuse { status: 429, retry_after: Some(0) },
    Fault::Refuse { status: 500, retry_after: None },
    Fault::Refuse { status: 503, retry_after: None },
    Fault::DropAfter,
    Fault::CutBody,
    Fault::WrongBody(Cow::Borrowed("")),
    Fault::WrongBody(Cow::Borrowed("{}")),
    Fault::WrongBody(Cow::Borrowed("<html></html>")),
];
static HANGS: [Fault; 2] = [Fault::Hang, Fault::HangAfter];

/// The faults still to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
    at_random: Option<(RandomFaults, SplitMix64)>,
    random_count: u64,
}

#[derive(Debug)]
struct Planned {
    method: Method,
    path_contains: String,
    fault: Fault,
}

impl Faults {
    pub(super) fn plan(&mut self, method: Method, path_contains: &str, fault: Fault) {
        self.planned.push(Planned { method, path_contains: path_contains.to_owned(), fault });
    }

    pub(super) fn fail_at_random(&mut self, faults: Option<RandomFaults>) {
        self.at_random = faults.map(|faults| (faults, SplitMix64::new(faults.seed)));
    }

    pub(super) fn random_count(&self) -> u64 {
        self.random_count
    }

    /// Returns the fault for this request, if it gets one. Planned faults come before random ones.
    pub(super) fn take(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let next = self.planned.iter().position(|plan| plan.method == *method && path.contains(&plan.path_contains));
        if let Some(next) = next {
            return Some(self.planned.remove(next).fault);
        }
        let (RandomFaults { per_mille, hangs, .. }, random) = self.at_random.as_mut()?;
        if random.below(1_000) >= u64::from(*per_mille) {
            return None;
        }
        self.random_count += 1;
        let hangs = if *hangs { &HANGS[..] } else { &[] };
        let index = random.below((PROMPT.len() + hangs.len()) as u64) as usize;
        PROMPT.iter().chain(hangs).nth(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what happens to this many requests in a row.
    fn faults_of(settings: RandomFaults, requests: usize) -> Vec<Option<Fault>> {
        let mut faults = Faults::default();
        faults.fail_at_random(Some(settings));
        let drawn: Vec<_> = (0..requests).map(|_| faults.take(&Method::POST, "/Calls.json")).collect();
        assert_eq!(faults.random_count(), drawn.iter().flatten().count() as u64);
        drawn
    }

    #[test]
    fn a_seed_brings_the_same_faults_each_time() {
        let settings = RandomFaults { seed: 3, per_mille: 300, hangs: true };
        assert_eq!(faults_of(settings, 500), faults_of(settings, 500));
        assert_ne!(faults_of(settings, 500), faults_of(RandomFaults { seed: 4, ..settings }, 500));
    }

    #[test]
    fn random_faults_come_at_the_set_rate_and_in_every_kind() {
        let faults = |per_mille, hangs| -> Vec<Fault> {
            faults_of(RandomFaults { seed: 1, per_mille, hangs }, 10_000).into_iter().flatten().collect()
        };
        assert!((1_800..2_200).contains(&faults(200, true).len()));
        assert_eq!((faults(0, true).len(), faults(1_000, true).len()), (0, 10_000));
        let (all, some) = (faults(1_000, true), faults(1_000, false));
        assert!(PROMPT.iter().chain(&HANGS).all(|fault| all.contains(fault)));
        assert!(PROMPT.iter().all(|fault| some.contains(fault)));
        assert!(!some.iter().any(|fault| HANGS.contains(fault)));
    }

    #[test]
    fn planned_faults_come_before_random_ones() {
        let mut faults = Faults::default();
        faults.fail_at_random(Some(RandomFaults { seed: 1, per_mille: 1_000, hangs: false }));
        faults.plan(Method::GET, "/x", Fault::Late);
        assert!(faults.take(&Method::POST, "/x").is_some_and(|fault| fault != Fault::Late));
        assert_eq!(faults.take(&Method::GET, "/x"), Some(Fault::Late));
        faults.fail_at_random(None);
        assert_eq!((faults.take(&Method::GET, "/x"), faults.random_count()), (None, 1));
    }
}
