//! What looks at `BASE_URL` find, and what that means for a request that looks local. Pure.

use jiff::{SignedDuration, Timestamp};

/// How long a straight `BASE_URL` is trusted without a further look. The next look begins after five minutes, and may take
/// a while.
const KEPT: SignedDuration = SignedDuration::from_mins(6);

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing stands between: `BASE_URL` is a port of this program on this computer.
    Direct,
    /// Every probe was answered, at least one of them by an instance of this program, and none looked local.
    Straight,
    /// A probe looked local.
    Exposed,
    /// Nobody can come in: nothing can be connected to, or something else than this program answered every probe.
    Nobody,
    /// Something there did not answer every probe, or could not be asked.
    Unclear {
        /// Whether an instance answered a probe.
        leads_here: bool,
    },
}

impl Finding {
    pub fn is_straight(self) -> bool {
        matches!(self, Self::Direct | Self::Straight)
    }
}

/// The looks so far. They are numbered from 1.
#[derive(Debug, Default)]
pub struct Looks {
    /// The look that began last.
    pub begun: u64,
    /// The look that ended last.
    pub ended: u64,
    /// The latest look that a request waits for.
    pub wanted: u64,
    /// What the last look found.
    pub finding: Option<Finding>,
    /// Whether something could be connected to at `BASE_URL`, as far as is known: then a connection that takes long does
    /// not show that nobody is there.
    pub is_connectable: bool,
    /// When the last look began.
    began: Option<Timestamp>,
    /// The look that had begun last when a probe last looked local, until a later look finds `BASE_URL` straight.
    exposed_in: Option<u64>,
}

impl Looks {
    /// Whether a stranger's request can look local.
    pub fn is_exposed(&self) -> bool {
        self.exposed_in.is_some()
    }

    /// Notes that a probe looked local. Returns whether that was not known.
    pub fn expose(&mut self) -> bool {
        self.exposed_in.replace(self.begun).is_none()
    }

    /// Notes what a look found.
    pub fn end(&mut self, number: u64, began: Timestamp, finding: Finding) {
        (self.ended, self.began, self.finding) = (number, Some(began), Some(finding));
        if finding.is_straight() && self.exposed_in.is_some_and(|look| look < number) {
            self.exposed_in = None;
        }
    }

    /// Whether the last look found `BASE_URL` straight, not too long ago.
    pub fn is_straight(&self, now: Timestamp) -> bool {
        let is_recent = self.began.is_some_and(|began| now.duration_since(began) <= KEPT);
        is_recent && self.finding.is_some_and(Finding::is_straight)
    }

    /// Whether a request that waits for this look can be trusted, unless `BASE_URL` is exposed. That nobody can come in
    /// counts only if the look began after the request.
    pub fn settles(&self, number: u64, now: Timestamp) -> bool {
        self.is_straight(now) || self.ended >= number && self.finding == Some(Finding::Nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time within the calendar")
    }

    /// Returns the looks after the first one ended with this finding.
    fn after(finding: Finding) -> Looks {
        let mut looks = Looks { begun: 1, ..Looks::default() };
        looks.end(1, at(1_000), finding);
        looks
    }

    #[test]
    fn only_a_straight_finding_is_kept_and_only_for_minutes() {
        assert!(!Looks::default().is_straight(at(1_000)));
        for (finding, is_kept) in [
            (Finding::Direct, true),
            (Finding::Straight, true),
            (Finding::Exposed, false),
            (Finding::Nobody, false),
            (Finding::Unclear { leads_here: true }, false),
            (Finding::Unclear { leads_here: false }, false),
        ] {
            let looks = after(finding);
            assert_eq!(looks.is_straight(at(1_360)), is_kept, "{finding:?}");
            assert!(!looks.is_straight(at(1_361)), "{finding:?}");
        }
    }

    #[test]
    fn that_nobody_can_come_in_counts_only_for_what_waited_for_the_look() {
        let nobody = after(Finding::Nobody);
        assert!(nobody.settles(1, at(1_000)) && !nobody.settles(2, at(1_000)));
        let straight = after(Finding::Straight);
        assert!(straight.settles(2, at(1_000)) && !straight.settles(2, at(2_000)));
        for finding in [Finding::Exposed, Finding::Unclear { leads_here: true }, Finding::Unclear { leads_here: false }]
        {
            assert!(!after(finding).settles(1, at(1_000)), "{finding:?}");
        }
    }

    #[test]
    fn an_exposure_ends_with_a_straight_look_that_begins_after_it() {
        let mut looks = Looks { begun: 1, ..Looks::default() };
        assert!(looks.expose() && !looks.expose());
        looks.end(1, at(1_000), Finding::Straight);
        assert!(looks.is_exposed(), "the probe looked local during this look");
        for finding in [Finding::Nobody, Finding::Unclear { leads_here: true }, Finding::Exposed] {
            looks.begun += 1;
            looks.end(looks.begun, at(1_000), finding);
            assert!(looks.is_exposed(), "{finding:?}");
        }
        looks.begun += 1;
        looks.end(looks.begun, at(1_000), Finding::Straight);
        assert!(!looks.is_exposed());
    }
}
