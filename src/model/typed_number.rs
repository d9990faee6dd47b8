//! Phone numbers as people write and paste them: with separators and invisible characters, and often without a country code.

use std::str::FromStr;

use super::phone::{BadPhoneNumber, PhoneNumber};

/// The digits of a number as a person wrote them, possibly after a `+`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedNumber {
    text: String,
}

/// Why a typed number names no phone, or more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTypedNumber {
    #[error(transparent)]
    Bad(#[from] BadPhoneNumber),
    /// The phones that it may name.
    #[error("this may be {}; write the number with its + and country code", either(.0))]
    Unclear(Vec<PhoneNumber>),
    /// The country of our own number.
    #[error("this is no number of {0}; begin a number of another country with + and its country code")]
    NotNational(String),
}

impl FromStr for TypedNumber {
    type Err = BadPhoneNumber;

    /// Accepts digits after an optional `+`, as a URL has them.
    fn from_str(text: &str) -> Result<Self, BadPhoneNumber> {
        if text.strip_prefix('+').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self { text: text.to_owned() })
        } else {
            Err(BadPhoneNumber::NotDigits)
        }
    }
}

impl TypedNumber {
    /// Accepts what people and programs put around and between the digits, too.
    pub fn pasted(text: &str) -> Result<Self, BadPhoneNumber> {
        let text = text.chars().filter(|c| !is_separator(*c)).collect::<String>();
        let text = text.strip_prefix("tel:").unwrap_or(&text);
        // As in +44 (0)20: the national prefix in parentheses is not dialed from abroad.
        let text = if text.starts_with('+') { text.replacen("(0)", "", 1) } else { text.to_owned() };
        text.replace(['(', ')'], "").parse()
    }

    /// Returns `true` if the number begins with a `+`, so that its country code is certain.
    pub fn is_international(&self) -> bool {
        self.text.starts_with('+')
    }

    /// Reads digits without `+` as a number of the country of `own`, or if there is no such number, as one with the calling
    /// code of that country.
    pub fn in_country_of(&self, own: &PhoneNumber) -> Result<PhoneNumber, BadTypedNumber> {
        if self.is_international() {
            return Ok(self.text.parse()?);
        }
        if let Some(number) = own.national(&self.text) {
            return Ok(number);
        }
        let number = self.text.parse::<PhoneNumber>().ok();
        number.filter(|number| number.is_possible() && number.country() == own.country()).ok_or_else(|| {
            BadTypedNumber::NotNational(own.country().map_or_else(|| own.to_string(), |country| country.to_string()))
        })
    }

    /// Reads the digits with their country code first. People forget it, so digits that make a number of the country of
    /// `own` without it are [`BadTypedNumber::Unclear`].
    pub fn with_country_code(&self, own: &PhoneNumber) -> Result<PhoneNumber, BadTypedNumber> {
        let number = self.text.parse::<PhoneNumber>();
        let national = Some(own).filter(|_| !self.is_international()).and_then(|own| own.national(&self.text));
        match (number, national) {
            (Ok(number), Some(national)) if number == national => Ok(number),
            (Ok(number), Some(national)) if number.is_possible() => {
                Err(BadTypedNumber::Unclear(vec![number, national]))
            }
            (_, Some(national)) => Err(BadTypedNumber::Unclear(vec![national])),
            (number, None) => Ok(number?),
        }
    }
}

/// Whether people or programs put this between digits: spaces, dashes, dots, slashes, and characters that only format text,
/// such as those around a number copied from Apple's Contacts.
fn is_separator(c: char) -> bool {
    let is_dash = matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}');
    let is_format = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}');
    c.is_whitespace() || is_dash || is_format || matches!(c, '.' | '/' | '\u{b7}' | '\u{2022}')
}

fn either(numbers: &[PhoneNumber]) -> String {
    let with_country = |number: &PhoneNumber| match number.country() {
        Some(country) => format!("{number} ({country})"),
        None => number.to_string(),
    };
    numbers.iter().map(with_country).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        text.parse().expect("a number")
    }

    #[test]
    fn what_people_put_between_digits_does_not_matter() {
        for text in [
            "+1 415 555 1234",
            "\u{202d}+1 (415) 555-1234\u{202c}",
            "tel:+1-415-555-1234",
            "+1\u{a0}415\u{2011}555\u{2011}1234",
            "+1\u{ad}415\u{fe0d}5551234",
            "+1.415/555\u{2013}1234\u{feff}",
        ] {
            let typed = TypedNumber::pasted(text).expect("digits");
            assert_eq!(typed.in_country_of(&number("442079460001")), Ok(number("14155551234")), "{text}");
        }
        let typed = TypedNumber::pasted("+44 (0)20 7946 0001").expect("digits");
        assert_eq!(typed.in_country_of(&number("14155551234")), Ok(number("442079460001")));
        for text in ["+1415x5551234", "+1415555123\u{664}", "++14155551234", "1+4155551234"] {
            assert_eq!(TypedNumber::pasted(text), Err(BadPhoneNumber::NotDigits), "{text}");
        }
    }

    #[test]
    fn a_number_without_plus_is_one_of_the_own_country() {
        for (own, text, expected) in [
            ("12125550000", "9175551234", Some("19175551234")),
            ("12125550000", "1 917 555 1234", Some("19175551234")),
            ("12125550000", "415 555 12345", None),
            ("12125550000", "447911123456", None),
            ("12125550000", "911", None),
            ("442079460001", "07911 123456", Some("447911123456")),
            ("442079460001", "020 7946 0002", Some("442079460002")),
            ("442079460001", "44 20 7946 0002", Some("442079460002")),
            ("4930123456", "030 654321", Some("4930654321")),
            ("390612345678", "06 1234 5679", Some("390612345679")),
            ("74951234567", "8 (495) 123-45-68", Some("74951234568")),
            ("919876543210", "9175551234", Some("919175551234")),
            ("6834002", "4003", Some("6834003")),
        ] {
            let read = TypedNumber::pasted(text).expect("digits").in_country_of(&number(own)).ok();
            assert_eq!(read, expected.map(number), "{text} typed in the country of {own}");
        }
    }

    #[test]
    fn digits_that_may_lack_their_country_code_are_unclear() {
        let read = |own: &str, text: &str| text.parse::<TypedNumber>().expect("digits").with_country_code(&number(own));
        for (own, text) in [
            ("12125550000", "14155551234"),
            ("12125550000", "442079460000"),
            ("12125550000", "+9175551234"),
            ("442079460001", "14155551234"),
            ("442079460001", "447911123456"),
            ("4930123456", "14155551234"),
        ] {
            assert_eq!(read(own, text), Ok(number(text)), "{text} from {own}");
        }
        for (own, text, numbers) in [
            ("12125550000", "9175551234", &["9175551234", "19175551234"][..]),
            ("12125550000", "4155551212", &["14155551212"]),
            ("442079460001", "7911123456", &["447911123456"]),
            ("919876543210", "9175551234", &["9175551234", "919175551234"]),
        ] {
            let numbers = numbers.iter().map(|text| number(text)).collect();
            assert_eq!(read(own, text), Err(BadTypedNumber::Unclear(numbers)), "{text} from {own}");
        }
        let unclear = read("12125550000", "9175551234").expect_err("unclear").to_string();
        assert_eq!(
            unclear,
            "this may be +9175551234 (IN) or +19175551234 (US); write the number with its + and country code"
        );
    }
}
