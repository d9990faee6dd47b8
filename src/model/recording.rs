//! The id of a recording.

use std::fmt;
use std::str::FromStr;

use super::{BadId, is_sid};

/// `RE` and 32 hex digits. Source: <https://www.twilio.com/docs/voice/api/recording>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordingSid(String);

impl RecordingSid {
    /// The SID as Twilio writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordingSid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if is_sid("RE", text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("a recording SID", "RE and 32 hex digits"))
        }
    }
}

impl fmt::Display for RecordingSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
