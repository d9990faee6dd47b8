//! Ranges of bytes, as a player asks for them and as storage answers. Source: RFC 9110, section 14.

use std::fmt;
use std::str::FromStr;

/// One range of bytes, as a player asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::clients) enum Range {
    From(u64),
    Between(u64, u64),
    /// The last bytes, this many.
    Last(u64),
}

impl Range {
    /// Returns `None` for anything but one range of bytes: RFC 9110 lets a server ignore that.
    pub(in crate::clients) fn parse(text: &str) -> Option<Self> {
        let (unit, ranges) = text.split_once('=')?;
        let (first, last) = ranges.trim().split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// Returns `true` if this part answers the range.
    pub(in crate::clients) fn has(self, part: Part) -> bool {
        match self {
            Self::From(first) => part.first == first,
            Self::Between(first, last) => part.first == first && part.last <= last,
            Self::Last(bytes) => part.length() <= bytes && part.total.is_none_or(|total| part.last + 1 == total),
        }
    }

    /// Returns the part of this many bytes. Returns `None` for one that they do not have.
    pub(in crate::clients) fn of(self, total: u64) -> Option<Part> {
        let end = total.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Between(first, last) => (first, last.min(end)),
            Self::Last(bytes) => (total.saturating_sub(bytes), end),
        };
        (first <= last).then_some(Part { first, last, total: Some(total) })
    }

    /// Returns the number of bytes that a refusal says there are, by its `Content-Range`: `bytes */1000`. Returns `None` if
    /// it does not say so, or if they have the range.
    pub(in crate::clients) fn total_beyond(self, content_range: &str) -> Option<u64> {
        let total = content_range.strip_prefix("bytes */").and_then(number)?;
        self.of(total).is_none().then_some(total)
    }
}

/// Whether this `Range` header asks for a part that does not begin with the first byte.
pub fn lacks_head(range: &str) -> bool {
    Range::parse(range).is_some_and(|range| !matches!(range, Range::From(0) | Range::Between(0, _)))
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Between(first, last) => write!(f, "bytes={first}-{last}"),
            Self::Last(bytes) => write!(f, "bytes=-{bytes}"),
        }
    }
}

/// Some bytes of the audio, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    /// Included.
    pub last: u64,
    /// Size of the whole, if it is known.
    pub total: Option<u64>,
}

impl Part {
    pub(in crate::clients) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// As `Content-Range` has it: `bytes 0-99/1000`.
impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bytes, total) = text.strip_prefix("bytes ").and_then(|text| text.split_once('/')).ok_or(())?;
        let (first, last) = bytes.split_once('-').ok_or(())?;
        let (first, last) = (number(first).ok_or(())?, number(last).ok_or(())?);
        let total = if total == "*" { None } else { Some(number(total).ok_or(())?) };
        let fits = first <= last && last < total.unwrap_or(HIGHEST);
        fits.then_some(Self { first, last, total }).ok_or(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// Every higher number means this one. No audio is that long, and any storage can read it.
const HIGHEST: u64 = i64::MAX as u64;

/// Parses digits and nothing else, however many.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(HIGHEST).min(HIGHEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_must_fit_the_range_that_was_asked_for() {
        for (range, part, fits) in [
            ("bytes=0-", "bytes 0-99/100", true),
            ("bytes=0-", "bytes 0-49/100", true),
            ("bytes=0-", "bytes 1-99/100", false),
            ("bytes=10-19", "bytes 10-19/100", true),
            ("bytes=10-19", "bytes 10-14/*", true),
            ("bytes=10-19", "bytes 10-20/100", false),
            ("bytes=-10", "bytes 90-99/100", true),
            ("bytes=-10", "bytes 0-4/5", true),
            ("bytes=-10", "bytes 89-99/100", false),
            ("bytes=-10", "bytes 80-89/100", false),
        ] {
            let part: Part = part.parse().unwrap();
            let range = Range::parse(range).unwrap();
            assert_eq!(range.has(part), fits, "{range} {part}");
            assert_eq!((part.to_string().parse(), Range::parse(&range.to_string())), (Ok(part), Some(range)));
        }
    }

    #[test]
    fn a_range_is_cut_to_the_bytes_there_are_or_lies_beyond_them() {
        let huge = "9".repeat(40);
        for (range, part) in [
            ("bytes=0-", Some("bytes 0-99/100")),
            ("Bytes=10-19", Some("bytes 10-19/100")),
            ("bytes= 99-99 ", Some("bytes 99-99/100")),
            ("bytes=-1", Some("bytes 99-99/100")),
            ("bytes=-1000", Some("bytes 0-99/100")),
            (&format!("bytes=90-{huge}"), Some("bytes 90-99/100")),
            (&format!("bytes=-{huge}"), Some("bytes 0-99/100")),
            ("bytes=100-", None),
            ("bytes=100-200", None),
            ("bytes=-0", None),
            (&format!("bytes={huge}-"), None),
        ] {
            let range = Range::parse(range).unwrap();
            assert_eq!(range.of(100).map(|part| part.to_string()).as_deref(), part, "{range}");
            assert_eq!(range.of(0), None);
            assert_eq!(range.total_beyond("bytes */100"), part.is_none().then_some(100), "{range}");
            for wrong in ["", "bytes */", "bytes */*", "bytes */+100", "bytes 0-9/100", "lines */100"] {
                assert_eq!(range.total_beyond(wrong), None, "{wrong}");
            }
        }
    }

    #[test]
    fn anything_but_one_range_of_bytes_is_no_range() {
        for range in [
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=9-1",
            "bytes=-",
            "bytes=a-b",
            "bytes",
            "",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=--1",
            "bytes 0-1",
            "bytes=0 - 1",
            "bytes=٣-",
        ] {
            assert_eq!(Range::parse(range), None, "{range}");
        }
        let most = u64::MAX;
        for part in [
            "bytes 1-0/9",
            "bytes 0-9/9",
            "bytes */9",
            "bytes 0-1",
            "0-1/9",
            "bytes +0-1/9",
            &format!("bytes 0-{most}/*"),
        ] {
            assert!(part.parse::<Part>().is_err(), "{part}");
        }
    }
}
