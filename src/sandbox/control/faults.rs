//! What can go wrong with a request, and with which one it does: planned for one, or at random.

use axum::http::Method;

use crate::sandbox::chance::Chance;

/// Something that goes wrong, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer has this status and the vendor's own kind of error body.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// Nothing is done and nothing is answered, ever.
    Hang,
    /// It is done, but nothing is answered, ever.
    HangAfter,
    /// It is done, and answered once [`Control::answer_late`](super::Control::answer_late) is called.
    Late,
    /// It is done, but the connection is closed before an answer.
    DropAfter,
    /// It is done; the answer breaks off in the middle of its body.
    CutBody,
    /// It is done; the answer has the right status and this text as its body.
    WrongBody(&'static str),
}

/// Faults at random, see [`Control::disturb`](super::Control::disturb).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    /// The same seed brings the same faults in the same order.
    pub seed: u64,
    /// How many of a thousand requests fail.
    pub per_mille: u16,
    /// Whether some are never answered, so that they take as long as the client is patient.
    pub hangs: bool,
}

/// What may happen at random; from the last two on nothing is answered.
const AT_RANDOM: [Fault; 10] = [
    Fault::Refuse { status: 429, retry_after: Some(0) },
    Fault::Refuse { status: 500, retry_after: None },
    Fault::Refuse { status: 503, retry_after: None },
    Fault::DropAfter,
    Fault::CutBody,
    Fault::WrongBody(""),
    Fault::WrongBody("{}"),
    Fault::WrongBody("<html></html>"),
    Fault::Hang,
    Fault::HangAfter,
];
const WITHOUT_HANGS: usize = AT_RANDOM.len() - 2;

/// The faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
    at_random: Option<(Disturbance, Chance)>,
    disturbed: u64,
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

    pub(super) fn disturb(&mut self, disturbance: Option<Disturbance>) {
        self.at_random = disturbance.map(|disturbance| (disturbance, Chance::new(disturbance.seed)));
    }

    pub(super) fn disturbed(&self) -> u64 {
        self.disturbed
    }

    /// What goes wrong with this request, if anything does.
    pub(super) fn take(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let due = self.planned.iter().position(|plan| plan.method == *method && path.contains(&plan.path_contains));
        if let Some(due) = due {
            return Some(self.planned.remove(due).fault);
        }
        let (Disturbance { per_mille, hangs, .. }, chance) = self.at_random.as_mut()?;
        if chance.below(1_000) >= usize::from(*per_mille) {
            return None;
        }
        self.disturbed += 1;
        let kinds = if *hangs { AT_RANDOM.len() } else { WITHOUT_HANGS };
        Some(AT_RANDOM[chance.below(kinds)].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to this many requests in a row.
    fn happening(disturbance: Disturbance, requests: usize) -> Vec<Option<Fault>> {
        let mut faults = Faults::default();
        faults.disturb(Some(disturbance));
        let happening: Vec<_> = (0..requests).map(|_| faults.take(&Method::POST, "/Calls.json")).collect();
        assert_eq!(faults.disturbed(), happening.iter().flatten().count() as u64);
        happening
    }

    #[test]
    fn a_seed_brings_the_same_faults_each_time() {
        let disturbance = Disturbance { seed: 3, per_mille: 300, hangs: true };
        assert_eq!(happening(disturbance, 500), happening(disturbance, 500));
        assert_ne!(happening(disturbance, 500), happening(Disturbance { seed: 4, ..disturbance }, 500));
    }

    #[test]
    fn as_many_requests_fail_as_was_asked_for_and_in_every_way() {
        let faults = |per_mille, hangs| -> Vec<Fault> {
            happening(Disturbance { seed: 1, per_mille, hangs }, 10_000).into_iter().flatten().collect()
        };
        assert!((1_800..2_200).contains(&faults(200, true).len()));
        assert_eq!((faults(0, true).len(), faults(1_000, true).len()), (0, 10_000));
        let (all, some) = (faults(1_000, true), faults(1_000, false));
        assert!(AT_RANDOM.iter().all(|fault| all.contains(fault)));
        let answered = |fault: &Fault| !matches!(fault, Fault::Hang | Fault::HangAfter);
        assert!(
            some.iter().all(answered) && AT_RANDOM.iter().filter(|one| answered(one)).all(|one| some.contains(one))
        );
    }

    #[test]
    fn what_was_planned_comes_before_what_happens_at_random() {
        let mut faults = Faults::default();
        faults.disturb(Some(Disturbance { seed: 1, per_mille: 1_000, hangs: false }));
        faults.plan(Method::GET, "/x", Fault::Late);
        assert!(faults.take(&Method::POST, "/x").is_some_and(|fault| fault != Fault::Late));
        assert_eq!(faults.take(&Method::GET, "/x"), Some(Fault::Late));
        faults.disturb(None);
        assert_eq!((faults.take(&Method::GET, "/x"), faults.disturbed()), (None, 1));
    }
}
