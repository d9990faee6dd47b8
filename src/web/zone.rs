//! The time zone that a client names, in which days, months and the dates of files are.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::error::ApiError;

/// A time zone.
pub(super) struct Zone {
    pub(super) zone: TimeZone,
    /// As the client may name it.
    pub(super) name: String,
}

const UTC: &str = "UTC";

impl Zone {
    fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: UTC.to_owned() }
    }

    /// Returns the zone of this name, or with this offset. Without a name, it is UTC. A browser may know a zone that this computer
    /// does not: that is UTC, too.
    pub(super) fn named(name: &str, is_browser: bool) -> Result<Self, ApiError> {
        let expected = "zone: expected the name of a time zone, such as Europe/Berlin, or an offset, such as +02:00";
        match Self::find(name) {
            Some(zone) => Ok(zone),
            None if is_browser => Ok(Self::utc()),
            None => Err(ApiError::BadRequest(expected.to_owned())),
        }
    }

    fn find(name: &str) -> Option<Self> {
        let name = name.trim();
        if name.is_empty() {
            return Some(Self::utc());
        }
        // A query turns the `+` of an offset into a space unless it is written as %2B.
        let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("+{name}") } else { name.to_owned() };
        if name.starts_with(['+', '-', '\u{2212}']) {
            let seconds = -format!("1970-01-01T00:00:00{name}").parse::<Timestamp>().ok()?.as_second();
            let offset = Offset::from_seconds(seconds.try_into().ok()?).ok()?;
            return Some(Self { zone: TimeZone::fixed(offset), name });
        }
        let zone = TimeZone::get(&name).ok()?;
        let name = zone.iana_name().unwrap_or(UTC).to_owned();
        Some(Self { zone, name })
    }

    /// Writes a moment for people, to the second, with its offset.
    pub(super) fn written(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        let form = if self.zone == TimeZone::UTC { "%Y-%m-%d %H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S %:z" };
        at.strftime(form).to_string()
    }

    /// Writes a moment for programs, as ISO 8601 has it, to the second.
    pub(super) fn iso(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        at.strftime(if self.zone == TimeZone::UTC { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" }).to_string()
    }

    pub(super) fn day(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string()
    }

    pub(super) fn month(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m").to_string()
    }

    /// Writes date and time to the minute, with this mark between hour and minute.
    pub(super) fn minute(&self, at: Timestamp, mark: char) -> String {
        at.to_zoned(self.zone.clone()).strftime(&format!("%Y-%m-%d %H{mark}%M")).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_a_name_or_an_offset() {
        let at: Timestamp = "2026-07-01T00:00:00Z".parse().unwrap();
        for (name, expected) in [
            ("", Some(("UTC", 0))),
            ("UTC", Some(("UTC", 0))),
            ("+05:30", Some(("+05:30", 19_800))),
            (" 02:00", Some(("+02:00", 7_200))),
            ("-0800", Some(("-0800", -28_800))),
            ("America/New_York", Some(("America/New_York", -14_400))),
            ("Nowhere/Atall", None),
            ("+99:00", None),
        ] {
            let found = Zone::find(name).map(|Zone { zone, name }| (name, zone.to_offset(at).seconds()));
            assert_eq!(found, expected.map(|(name, seconds)| (name.to_owned(), seconds)), "{name}");
        }
    }
}
