//! Amounts of US dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::{Serialize, Serializer};

/// Millionths in a dollar. A second of audio costs some fifty.
const MILLIONTHS: f64 = 1e6;

/// The largest amount of one thing, so that no sum overflows.
const MOST: f64 = 1e9;

/// Millionths in a cent, and in a hundredth of one, which is the smallest amount that is written out.
const CENT: i64 = 10_000;
const LEAST: i64 = 100;

/// An amount of US dollars, in whole millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = f64)]
pub struct Dollars(i64);

impl Dollars {
    /// One millionth is a microdollar.
    pub const fn of_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// Rounds to the nearest millionth. More than [`MOST`] is that much.
    pub fn of(dollars: f64) -> Self {
        Self((dollars.min(MOST) * MILLIONTHS).round() as i64)
    }

    /// Rounds up, for what must not be too low.
    pub fn at_most(dollars: f64) -> Self {
        Self((dollars.min(MOST) * MILLIONTHS).ceil() as i64)
    }

    pub fn millionths(self) -> i64 {
        self.0
    }
}

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Dollars {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// A number of dollars.
impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / MILLIONTHS)
    }
}

/// For people: cents, and hundredths of them in an amount that is small.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.0 as f64 / MILLIONTHS;
        if (1..LEAST).contains(&self.0) {
            f.write_str("less than $0.0001")
        } else if self.0 % CENT == 0 || dollars >= 1.0 {
            write!(f, "${dollars:.2}")
        } else {
            write!(f, "${dollars:.4}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_amounts_are_written_with_hundredths_of_cents() {
        for (millionths, expected) in [
            (0, "$0.00"),
            (58, "less than $0.0001"),
            (9_800, "$0.0098"),
            (12_345, "$0.0123"),
            (50_000, "$0.05"),
            (5_000_000, "$5.00"),
            (12_345_678, "$12.35"),
        ] {
            assert_eq!(Dollars::of_millionths(millionths).to_string(), expected);
        }
        assert_eq!(serde_json::json!(Dollars::of(0.0123)), serde_json::json!(0.0123));
    }

    #[test]
    fn an_estimate_is_never_below_the_cost() {
        let dollars = 0.21 * 7.0 / 3_600.0;
        assert_eq!((Dollars::of(dollars), Dollars::at_most(dollars)), (Dollars(408), Dollars(409)));
    }
}
