//! How far a rate may be off by chance. Calls are drawn again and again from those at hand, as many as there are, each
//! as often as it comes; the rates of all draws tell how much the rate depends on which calls there happened to be. Whole
//! calls are drawn, because the words of one are not independent of each other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::edits::{Edits, ratio};
use crate::splitmix::SplitMix64;

/// How many times calls are drawn.
pub const DRAWS: usize = 10_000;

/// The share of draws whose rates are within an interval, in percent. Half of the others are on each side.
pub const CONFIDENCE: f64 = 95.0;

/// Makes the result the same each time.
const SEED: u64 = 2_611;

/// The most calls that are drawn for [`interval`]. The rates of draws of more are distributed normally, so that the interval
/// follows from how the calls spread.
const MOST_DRAWN: usize = 500;

/// Half the width of an interval of [`CONFIDENCE`], in standard deviations.
const DEVIATIONS: f64 = 1.96;

/// How many calls a [`Memo`] remembers, over all intervals: some megabytes.
const REMEMBERED: usize = 200_000;

/// Half the width of the interval of a figure that is firm, at most: two points.
pub const FIRM: f64 = 0.02;

/// The fewest calls that a firm figure rests on. An interval of fewer says little of how calls spread.
pub const FEWEST_FIRM: usize = 10;

/// What a call adds to a pooled rate: such as its errors, and the words of its reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Share {
    /// Added to the numerator.
    pub part: u64,
    /// Added to the denominator.
    pub whole: u64,
}

/// Where the rate is likely to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The end that is less.
    pub low: f64,
    /// The end that is greater.
    pub high: f64,
}

/// Remembers intervals by the calls that they are of, because drawing takes long: what has not changed is not drawn again.
#[derive(Debug, Default)]
pub struct Memo {
    known: Mutex<HashMap<Vec<Share>, Option<Interval>>>,
}

impl Memo {
    /// Returns the same as [`interval`].
    pub fn interval(&self, calls: Vec<Share>) -> Option<Interval> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interval) = known().get(&calls) {
            return *interval;
        }
        let interval = interval(&calls);
        let mut known = known();
        if known.keys().map(Vec::len).sum::<usize>() > REMEMBERED {
            known.clear();
        }
        known.insert(calls, interval);
        interval
    }
}

impl Share {
    /// Adds what a call has.
    pub fn add(&mut self, edits: &Edits) {
        self.part += edits.errors();
        self.whole += edits.words();
    }

    fn plus(self, other: &Self) -> Self {
        Self { part: self.part + other.part, whole: self.whole + other.whole }
    }

    /// `None`, because undefined, of nothing.
    pub fn rate(self) -> Option<f64> {
        ratio(self.part, self.whole)
    }
}

impl Interval {
    /// Whether a difference with this interval is more than chance. If not, no difference is shown, which does not mean that
    /// there is none.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Returns the interval of the pooled rate of calls. `None` if there are less than two calls, because one call says nothing
/// of others, or if all denominators are 0. It takes at most some 20 ms, for the most calls that are drawn.
pub fn interval(calls: &[Share]) -> Option<Interval> {
    if calls.len() > MOST_DRAWN {
        return spread(calls);
    }
    resampled(calls, |sum: &mut Share, call| *sum = sum.plus(call), |sum| sum.rate())
}

/// Returns how many calls more make the rate of these firm, if they spread as these do: the width of an interval falls with
/// the root of the number of calls.
pub fn missing(calls: usize, interval: Option<Interval>) -> usize {
    let half = interval.map_or(0.0, |Interval { low, high }| (high - low) / 2.0);
    // Not negative.
    let needed = (calls as f64 * (half / FIRM).powi(2)).ceil() as usize;
    needed.max(FEWEST_FIRM).saturating_sub(calls)
}

/// Returns the interval of the difference between two pooled rates of the same calls, given as pairs: by how much the second
/// is greater. Each draw has the same calls for both. `None` as for [`interval`].
pub fn difference(calls: &[(Share, Share)]) -> Option<Interval> {
    let add = |sum: &mut (Share, Share), call: &(Share, Share)| *sum = (sum.0.plus(&call.0), sum.1.plus(&call.1));
    resampled(calls, add, |(one, other)| Some(other.rate()? - one.rate()?))
}

/// Returns the interval of the pooled rate of many calls from how far each is from that rate.
fn spread(calls: &[Share]) -> Option<Interval> {
    let sum = calls.iter().fold(Share::default(), Share::plus);
    let rate = sum.rate()?;
    let squares = calls.iter().map(|call| (call.part as f64 - rate * call.whole as f64).powi(2)).sum::<f64>();
    let half = DEVIATIONS * squares.sqrt() / sum.whole as f64;
    Some(Interval { low: (rate - half).max(0.0), high: rate + half })
}

/// Draws calls, adds them up, and returns the interval of what follows from the sums.
fn resampled<C, S: Default>(
    calls: &[C],
    mut add: impl FnMut(&mut S, &C),
    figure: impl Fn(S) -> Option<f64>,
) -> Option<Interval> {
    if calls.len() < 2 {
        return None;
    }
    let mut random = SplitMix64::new(SEED);
    let mut draw = || {
        let mut sum = S::default();
        for _ in 0..calls.len() {
            // Less than the number of calls, so it fits.
            add(&mut sum, &calls[random.below(calls.len() as u64) as usize]);
        }
        figure(sum)
    };
    let mut figures: Vec<f64> = (0..DRAWS).filter_map(|_| draw()).collect();
    figures.sort_by(f64::total_cmp);
    let outside = (100.0 - CONFIDENCE) / 200.0;
    Some(Interval { low: quantile(&figures, outside)?, high: quantile(&figures, 1.0 - outside)? })
}

/// The value below which this share of sorted figures is, with values in between by their distance. `None` of no figures.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    // Not negative and less than the length.
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}
