//! What the digits of a phone number tell: its country, and whether it must never be dialed. Knows no settings.
//!
//! The numbering plans are in `plans.txt`, made from the metadata of Google's libphonenumber, which has them from the ITU
//! (<https://www.itu.int/oth/T0202.aspx?parent=T0202>) and the national regulators. Its Rust ports cost too much:
//! `phonenumber` 0.3 uses 23 MB of memory, and it and `rlibphonenumber` 2.2 take more than 20 seconds to build. Tests compare
//! the table with the original over 100,000 numbers of all regions.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::phone::PhoneNumber;

/// The numbering plan of a calling code. All prefixes exclude the calling code.
#[derive(Default)]
struct Plan {
    /// Possible numbers of digits after the calling code.
    lengths: Lengths,
    /// Numbers may start with 0.
    may_have_zero: bool,
    /// The national prefix, which is dialed before the number within the country only. Empty if there is none.
    trunk: &'static str,
    /// Prefixes of premium-rate and shared-cost numbers.
    costly: HashSet<&'static str>,
    /// Costly prefixes whose numbers of these lengths are plain.
    plain: HashMap<&'static str, Lengths>,
    /// The lengths of valid numbers by their first two digits.
    begin: HashMap<&'static str, Lengths>,
    /// Countries by unique prefix. The empty prefix matches all other numbers.
    countries: HashMap<&'static str, Country>,
}

/// A set of numbers of digits, up to 15.
#[derive(Clone, Copy, Default)]
struct Lengths(u16);

impl Lengths {
    fn parse<'a>(lengths: impl Iterator<Item = &'a str>) -> Self {
        Self(lengths.map(|length| 1 << length.parse::<u16>().expect("a number of digits")).sum())
    }

    fn contain(self, length: usize) -> bool {
        length < 16 && self.0 >> length & 1 == 1
    }

    fn longest(self) -> usize {
        self.0.checked_ilog2().unwrap_or_default() as usize
    }
}

/// Plans by calling code. The head of `plans.txt` explains its format.
static PLANS: LazyLock<HashMap<&str, Plan>> = LazyLock::new(|| {
    let mut plans: HashMap<_, Plan> = HashMap::new();
    for line in include_str!("plans.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (code, word) = words.next().zip(words.next()).expect("a calling code and a word");
        let plan = plans.entry(code).or_default();
        match (word, word.split_once(':')) {
            ("lengths", _) => plan.lengths = Lengths::parse(words),
            ("zero", _) => plan.may_have_zero = true,
            ("trunk", _) => plan.trunk = words.next().expect("digits"),
            ("costly", _) => plan.costly.extend(words),
            (_, Some((kind, lengths))) => {
                let lengths = Lengths::parse(lengths.split(','));
                let prefixes = if kind == "plain" { &mut plan.plain } else { &mut plan.begin };
                prefixes.extend(words.map(|prefix| (prefix, lengths)));
            }
            (country, None) => {
                for prefix in words {
                    let other = plan.countries.insert(prefix.trim_matches('*'), Country(country));
                    debug_assert!(other.is_none(), "{code} {prefix} belongs to two countries");
                }
            }
        }
    }
    plans
});

/// Calling codes without a country. Source: ITU, list of assigned country codes (complement to Recommendation E.164),
/// <https://www.itu.int/pub/T-SP-E.164D>.
const NON_GEOGRAPHIC: [(&str, Barred); 10] = [
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

/// A country or territory with its own numbers, by ISO 3166-1 code, or by the common codes XK, AC and TA for Kosovo,
/// Ascension and Tristan da Cunha, which have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country(&'static str);

/// The country of a number, or the calling code if the country is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(Option<Country>, &'static str);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(country), code) => write!(f, "{country} (+{code})"),
            Self(None, code) => write!(f, "+{code}"),
        }
    }
}

/// Why a number is never dialed, even if its country is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// The callee gets a share of the price.
    #[error("a premium-rate or shared-cost number")]
    Costly,
    /// Costs many times the price of any other number.
    #[error("a satellite number")]
    Satellite,
    /// A satellite or international service.
    #[error("one of the {0} numbers, which belong to no country")]
    Service(&'static str),
    /// The prefix hides the real number: an exchange may skip it and dial a number that is barred.
    #[error("a number with a national prefix after its country code, such as the 0 of +44 0…")]
    Prefixed,
    /// Such as 911 or 411 after the calling code 1.
    #[error("an emergency number or another service number")]
    ServiceNumber,
    /// Fewer digits than any number there, or between two possible lengths.
    #[error("too short for a number of {0}")]
    TooShort(Place),
    /// So short that it is no slip of the finger.
    #[error("too short for a number of {0}: an emergency number or another short service number")]
    Short(Place),
    /// More digits than any number there.
    #[error("too long for a number of {0}")]
    TooLong(Place),
}

/// The countries that may be dialed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Countries {
    /// The country of `TWILIO_PHONE_NUMBER`.
    Own,
    /// `*`.
    Any,
    /// By their ISO codes.
    These(Vec<Country>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCountries {
    /// Not two letters. The message leaves out the text, which may be a secret.
    #[error("expected ISO codes of countries, separated by commas, such as US,CA, or * for all")]
    Shape,
    #[error("{0} is not the ISO code of a country with phone numbers; expected codes such as US,CA, or * for all")]
    Unknown(String),
}

impl PhoneNumber {
    /// Returns the country of the number, or `None` if its calling code has none or its area code is unknown. Area codes
    /// matter in +1, which the United States share with more than twenty countries, not all of them cheap.
    pub fn country(&self) -> Option<Country> {
        let (_, plan, rest) = self.split()?;
        prefixes(rest).find_map(|prefix| plan.countries.get(prefix)).copied()
    }

    /// Returns why the number must never be dialed, or `None` if it may be.
    pub fn barred(&self) -> Option<Barred> {
        if let Some((_, barred)) = NON_GEOGRAPHIC.iter().find(|(code, _)| self.digits().starts_with(code)) {
            return Some(*barred);
        }
        let (code, plan, rest) = self.split()?;
        if (rest.starts_with('0') && !plan.may_have_zero) || (rest.starts_with('1') && code == "1") {
            return Some(Barred::Prefixed);
        }
        // No area code of +1 ends in 11: 911 and others are service numbers.
        if code == "1" && rest.get(1..3) == Some("11") {
            return Some(Barred::ServiceNumber);
        }
        if !plan.lengths.contain(rest.len()) {
            let place = Place(self.country(), code);
            return Some(match rest.len() {
                length if length > plan.lengths.longest() => Barred::TooLong(place),
                length if length > LONGEST_SERVICE_NUMBER => Barred::TooShort(place),
                _ => Barred::Short(place),
            });
        }
        let is_plain = prefixes(rest).any(|prefix| plan.plain.get(prefix).is_some_and(|of| of.contain(rest.len())));
        (!is_plain && prefixes(rest).any(|prefix| plan.costly.contains(prefix))).then_some(Barred::Costly)
    }

    /// Returns `false` if no number after this calling code has as many digits.
    pub fn is_possible(&self) -> bool {
        self.split().is_none_or(|(_, plan, rest)| plan.lengths.contain(rest.len()))
    }

    /// Reads digits as they are dialed within the country of this number: without its calling code, and with or without the
    /// national prefix. Returns `None` if no valid number there is like them.
    pub fn national(&self, digits: &str) -> Option<Self> {
        let (code, plan, _) = self.split()?;
        let without = Some(plan.trunk).filter(|trunk| !trunk.is_empty()).and_then(|trunk| digits.strip_prefix(trunk));
        let begins = |rest: &&str| {
            // Behind an area code of +1, no number starts with 0 or 1.
            if code == "1" && matches!(rest.as_bytes().get(3), Some(b'0' | b'1')) {
                return false;
            }
            let start = rest.get(..2).unwrap_or_default();
            prefixes(start).any(|prefix| plan.begin.get(prefix).is_some_and(|of| of.contain(rest.len())))
        };
        let rest = without.into_iter().chain([digits]).find(begins)?;
        let number = format!("{code}{rest}").parse::<Self>().ok().filter(Self::is_possible)?;
        // Elsewhere, a country shares its calling code only with its islands and enclaves.
        (code != "1" || number.country() == self.country()).then_some(number)
    }

    /// Returns a country's calling code, its plan and the digits after it. No calling code is a prefix of another.
    fn split(&self) -> Option<(&'static str, &'static Plan, &str)> {
        (1..=3).map(|length| self.digits().split_at(length)).find_map(|(code, rest)| {
            let (code, plan) = PLANS.get_key_value(code)?;
            Some((*code, plan, rest))
        })
    }
}

/// Maximum number of digits of a service number.
const LONGEST_SERVICE_NUMBER: usize = 6;

/// Returns all prefixes, from the longest to the empty one.
fn prefixes(digits: &str) -> impl Iterator<Item = &str> {
    (0..=digits.len()).rev().map(|length| &digits[..length])
}

impl Countries {
    /// Returns `true` if the number `own` may call this country. An unknown country requires [`Countries::Any`].
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

/// Comma-separated, as in the setting.
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
