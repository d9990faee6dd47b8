//! An import: the recordings that a Twilio account already has, transcribed here.

use super::BadId;

/// Our id of an import.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImportId(String);

text_of!(
    ImportId,
    |text: &str| text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
    "the id of an import",
    "32 hex digits in lower case"
);

impl ImportId {
    /// The id that is made of a number.
    pub fn of(number: u128) -> Self {
        Self(format!("{number:032x}"))
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// It reads Twilio's list.
    Listing,
    /// It knows its recordings, and orders their transcripts.
    Running,
    Paused,
    Done,
    Canceled,
}

words! {
    ImportState:
    Listing = "listing",
    Running = "running",
    Paused = "paused",
    Done = "done",
    Canceled = "canceled",
}

impl ImportState {
    /// Whether its job works on it.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Listing | Self::Running)
    }

    /// Whether nothing more happens to it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Canceled)
    }
}

/// The orders of an import that are not finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOrders {
    pub all: i64,
    /// Those that AssemblyAI does not have yet.
    pub unsent: i64,
}

impl OpenOrders {
    /// The most that are open. AssemblyAI works on more at once for an account that pays.
    const MOST: i64 = 32;

    /// The most that are unsent, so that calls which are recorded meanwhile do not wait behind more.
    const MOST_UNSENT: i64 = 16;

    /// How many more may be ordered.
    pub fn room(self) -> i64 {
        (Self::MOST - self.all).min(Self::MOST_UNSENT - self.unsent).max(0)
    }

    /// Whether there is room for several, so that ordering them is worth the claim of a job.
    pub fn has_room_for_several(self) -> bool {
        self.room() >= Self::MOST_UNSENT / 4
    }
}

/// Which recordings are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFilter {
    /// The first and the last millisecond in which they were made, since 1970.
    pub since: i64,
    pub until: i64,
    /// A number that their call is to or from, or the last digits of one, as the list of calls takes it.
    pub number: Option<String>,
    pub min_seconds: Option<i64>,
    pub max_seconds: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
}

impl ImportFilter {
    /// Whether a recording that was made at this time has the length and the channels that are meant. Twilio's dates are whole
    /// seconds. Of one whose channels Twilio does not tell, one is assumed.
    pub fn is_met(&self, made_at: i64, seconds: i64, channels: Option<i64>) -> bool {
        made_at + 999 >= self.since
            && made_at <= self.until
            && self.min_seconds.is_none_or(|least| seconds >= least)
            && self.max_seconds.is_none_or(|most| seconds <= most)
            && self.channels.is_none_or(|wanted| channels.unwrap_or(1) == wanted)
    }
}

/// How a recording of an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// Its transcript is not ordered yet.
    Waiting,
    Ordered,
    Done,
    Failed,
    /// No transcript of it is ordered.
    Skipped,
}

words! {
    ItemState:
    Waiting = "waiting",
    Ordered = "ordered",
    Done = "done",
    Failed = "failed",
    Skipped = "skipped",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_meant_by_its_second_its_length_and_its_channels() {
        let filter = ImportFilter {
            since: 10_500,
            until: 20_500,
            number: None,
            min_seconds: Some(5),
            max_seconds: Some(9),
            channels: Some(1),
        };
        for (made_at, seconds, channels, expected) in [
            (9_000, 5, Some(1), false),
            (10_000, 5, Some(1), true),
            (20_000, 9, None, true),
            (21_000, 9, Some(1), false),
            (15_000, 4, Some(1), false),
            (15_000, 10, Some(1), false),
            (15_000, 7, Some(2), false),
        ] {
            assert_eq!(filter.is_met(made_at, seconds, channels), expected, "{made_at} {seconds} {channels:?}");
        }
    }
}
