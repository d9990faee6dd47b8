//! What Twilio charges for a call, in the currency of the account.

use std::fmt;

use super::dollars::Dollars;

/// The currency of most accounts.
const DOLLARS: &str = "USD";

/// Longer names of currencies are none.
const LONGEST_UNIT: usize = 3;

/// Larger prices are mistaken.
const MOST: f64 = 1e9;

/// An amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// In whole millionths.
    pub millionths: i64,
    /// ISO 4217, such as `USD`.
    pub unit: String,
}

impl Price {
    /// Reads a decimal number. Twilio writes what it charges as a negative number, other APIs as a positive one. Without a
    /// currency, it is US dollars. Returns `None` for anything else.
    pub fn read(amount: &str, unit: Option<&str>) -> Option<Self> {
        let amount = amount.trim().parse::<f64>().ok().filter(|amount| amount.abs() < MOST)?.abs();
        let unit = unit.unwrap_or(DOLLARS).trim().to_ascii_uppercase();
        let is_unit = unit.len() == LONGEST_UNIT && unit.chars().all(|c| c.is_ascii_uppercase());
        is_unit.then(|| Self { millionths: Dollars::of(amount).millionths(), unit })
    }

    /// The sum of prices. One in another currency than the first is left out.
    pub fn sum(prices: impl IntoIterator<Item = Self>) -> Option<Self> {
        prices.into_iter().reduce(|sum, price| match sum.unit == price.unit {
            true => Self { millionths: sum.millionths.saturating_add(price.millionths), ..sum },
            false => sum,
        })
    }

    /// `None` in another currency.
    pub fn in_dollars(&self) -> Option<Dollars> {
        (self.unit == DOLLARS).then(|| Dollars::of_millionths(self.millionths))
    }

    /// What a call costs with its transcripts, as far as that is known and in US dollars.
    pub fn with(transcripts: Option<Dollars>, of_call: Option<&Self>) -> Option<Dollars> {
        let of_call = of_call.and_then(Self::in_dollars);
        (transcripts.is_some() || of_call.is_some()).then(|| [transcripts, of_call].into_iter().flatten().sum())
    }

    /// The amount in whole units.
    pub fn amount(&self) -> f64 {
        self.millionths as f64 / 1e6
    }
}

/// For people.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_dollars() {
            Some(dollars) => write!(f, "{dollars}"),
            None => write!(f, "{} {:.4}", self.unit, self.amount()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(millionths: i64, unit: &str) -> Price {
        Price { millionths, unit: unit.to_owned() }
    }

    #[test]
    fn a_price_is_read_as_twilio_and_others_write_it() {
        for (amount, unit, expected) in [
            ("-0.00750", Some("USD"), Some(price(7_500, "USD"))),
            ("0.0075", Some("usd"), Some(price(7_500, "USD"))),
            ("-0.01", None, Some(price(10_000, "USD"))),
            ("0", Some("EUR"), Some(price(0, "EUR"))),
            ("", Some("USD"), None),
            ("NaN", Some("USD"), None),
            ("1e300", Some("USD"), None),
            ("-0.01", Some("dollars"), None),
            ("-0.01", Some("€€€"), None),
        ] {
            assert_eq!(Price::read(amount, unit), expected, "{amount}");
        }
        assert_eq!(price(8_500, "EUR").to_string(), "EUR 0.0085");
    }

    #[test]
    fn a_sum_is_of_one_currency() {
        assert_eq!(Price::sum([price(1, "EUR"), price(2, "EUR"), price(4, "USD")]), Some(price(3, "EUR")));
        assert_eq!(Price::sum([]), None);
    }
}
