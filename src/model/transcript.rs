//! The id of a transcript.

use std::fmt;
use std::str::FromStr;

use super::BadId;

/// What AssemblyAI calls `id`: today a UUID, in older accounts nearly one, so only its alphabet is held to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TranscriptId(String);

impl TranscriptId {
    /// The id as AssemblyAI writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TranscriptId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits =
            (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new(
                "a transcript id",
                "8 to 64 letters, digits and hyphens, such as 9ea68fd3-f953-42c1-9742-976c447fb463",
            ))
        }
    }
}

impl fmt::Display for TranscriptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
