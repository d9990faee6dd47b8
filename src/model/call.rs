//! The id of a call.

use std::fmt;
use std::str::FromStr;

use super::{BadId, is_sid};

/// `CA` and 32 hex digits. Source: <https://www.twilio.com/docs/voice/api/call-resource>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSid(String);

impl CallSid {
    /// The SID as Twilio writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallSid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if is_sid("CA", text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("a call SID", "CA and 32 hex digits"))
        }
    }
}

impl fmt::Display for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
