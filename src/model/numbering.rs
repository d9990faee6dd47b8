//! What a phone number tells by its digits alone: the country it is of, and whether it is one that is never dialled.
//! Knows no settings: which countries are allowed is told to it.
//!
//! The numbering plans stand in `plans.txt`, a table made of the metadata of Google's libphonenumber, which has them
//! from the ITU (<https://www.itu.int/oth/T0202.aspx?parent=T0202>) and from each country's regulator. Its ports to
//! Rust were weighed: `phonenumber` 0.3 takes 23 MB of memory, and it and `rlibphonenumber` 2.2 build for longer than
//! 20 seconds. The table is held against the original over 100,000 numbers of all regions by the tests, so what differs
//! is known: where only its length tells a costly number from a plain one, the table takes it for costly.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::phone::PhoneNumber;

/// What is known of the numbers behind a calling code.
#[derive(Default)]
struct Plan {
    /// Digits that they have at least.
    shortest: usize,
    /// Whether they may begin with 0.
    may_have_zero: bool,
    /// How those begin that are premium-rate or shared-cost.
    costly: HashSet<&'static str>,
    /// How those of each country begin: no two alike. Nothing stands for all others.
    countries: HashMap<&'static str, Country>,
}

/// Plans by their calling code, from the file, whose head says what its words mean.
static PLANS: LazyLock<HashMap<&str, Plan>> = LazyLock::new(|| {
    let mut plans: HashMap<_, Plan> = HashMap::new();
    for line in include_str!("plans.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (code, word) = words.next().zip(words.next()).expect("a calling code and a word");
        let plan = plans.entry(code).or_default();
        match word {
            "shortest" => plan.shortest = words.next().and_then(|digits| digits.parse().ok()).expect("digits"),
            "zero" => plan.may_have_zero = true,
            "costly" => plan.costly.extend(words),
            country => {
                for prefix in words {
                    let other = plan.countries.insert(prefix.trim_matches('*'), Country(country));
                    debug_assert!(other.is_none(), "{code} {prefix} is of two countries");
                }
            }
        }
    }
    plans
});

/// Calling codes that are no country's. Source: ITU, list of assigned country codes (complement to Recommendation
/// E.164), <https://www.itu.int/pub/T-SP-E.164D>.
const NO_COUNTRYS: [(&str, Barred); 10] = [
    ("800", Barred::Service("international freephone")),
    ("808", Barred::Service("international shared-cost")),
    ("870", Barred::Satellite),
    ("878", Barred::Service("universal personal")),
    ("881", Barred::Satellite),
    ("882", Barred::Service("international network")),
    ("883", Barred::Service("international network")),
    ("888", Barred::Service("disaster relief")),
    ("979", Barred::Service("international premium-rate")),
    ("991", Barred::Service("international trial")),
];

/// A country or territory that has numbers of its own, by its ISO 3166-1 code; Kosovo, Ascension and Tristan da Cunha by
/// the codes that are used in their want of one: XK, AC, TA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country(&'static str);

/// Why a number is never dialled, whoever allows its country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// Part of what the caller pays goes to who is called.
    #[error("a premium-rate or shared-cost number")]
    Costly,
    /// A phone that is reached over a satellite, at many times the price of any other.
    #[error("a satellite number")]
    Satellite,
    /// Neither of a country nor of a person.
    #[error("one of the {0} numbers, which are of no country")]
    Service(&'static str),
    /// A national prefix hides what the number is: exchanges may skip it and ring whom it would have been refused for.
    #[error("a number with a national prefix, such as the 0 of +44 0…, behind its country code")]
    Prefixed,
    /// Too short for a subscriber's, so that it is an emergency number, or a service of the country.
    #[error("an emergency number, or another service's short number")]
    Short,
}

/// The countries that may be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Countries {
    /// The one that the caller's own number is of.
    Own,
    /// All.
    Any,
    /// These.
    These(Vec<Country>),
}

/// Why a text is no list of countries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCountries {
    /// Not of two letters. What it is instead may be a secret.
    #[error("expected ISO codes of countries, comma separated, such as US,CA, or * for all")]
    Shape,
    /// Two letters, but no country.
    #[error("{0} is the ISO code of no country with phone numbers; expected such as US,CA, or * for all")]
    Unknown(String),
}

impl PhoneNumber {
    /// The country it is of. None if its calling code is no country's, or if nobody has its area code as far as is known
    /// here: in +1, where the United States share their calling code with a good twenty countries, not all of them cheap.
    pub fn country(&self) -> Option<Country> {
        let (_, plan, rest) = self.split()?;
        beginnings(rest).find_map(|beginning| plan.countries.get(beginning)).copied()
    }

    /// Why it is never dialled, if it is not.
    pub fn barred(&self) -> Option<Barred> {
        if let Some((_, barred)) = NO_COUNTRYS.iter().find(|(code, _)| self.digits().starts_with(code)) {
            return Some(*barred);
        }
        let (code, plan, rest) = self.split()?;
        if (rest.starts_with('0') && !plan.may_have_zero) || (rest.starts_with('1') && code == "1") {
            return Some(Barred::Prefixed);
        }
        // In +1, no area code ends in 11: 911 and its like are services everywhere.
        if rest.len() < plan.shortest || (code == "1" && rest.get(1..3) == Some("11")) {
            return Some(Barred::Short);
        }
        beginnings(rest).any(|beginning| plan.costly.contains(beginning)).then_some(Barred::Costly)
    }

    /// The calling code, if it is a country's, its plan, and what stands behind it. No code begins another one.
    fn split(&self) -> Option<(&str, &'static Plan, &str)> {
        (1..=3).map(|length| self.digits().split_at(length)).find_map(|(code, rest)| {
            let plan = PLANS.get(code)?;
            Some((code, plan, rest))
        })
    }
}

/// All beginnings of some digits, the longest first; the last one is nothing.
fn beginnings(digits: &str) -> impl Iterator<Item = &str> {
    (0..=digits.len()).rev().map(|length| &digits[..length])
}

impl Countries {
    /// Whether a number of this country may be dialled from the number `own`. One of no known country may be where all
    /// may.
    pub fn allow(&self, country: Option<Country>, own: &PhoneNumber) -> bool {
        match (self, country) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Own, country) => country == own.country(),
            (Self::These(countries), Some(country)) => countries.contains(&country),
        }
    }
}

impl FromStr for Countries {
    type Err = BadCountries;

    fn from_str(text: &str) -> Result<Self, BadCountries> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|code| code.trim().parse()).collect::<Result<_, _>>().map(Self::These)
    }
}

impl FromStr for Country {
    type Err = BadCountries;

    fn from_str(text: &str) -> Result<Self, BadCountries> {
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(BadCountries::Shape);
        }
        let mut known = PLANS.values().flat_map(|plan| plan.countries.values());
        let known = known.find(|country| country.0.eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| BadCountries::Unknown(text.to_ascii_uppercase()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Comma separated, as they are set.
impl fmt::Display for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the country of the own number"),
            Self::Any => f.write_str("*"),
            Self::These(countries) => {
                f.write_str(&countries.iter().map(|country| country.0).collect::<Vec<_>>().join(","))
            }
        }
    }
}
