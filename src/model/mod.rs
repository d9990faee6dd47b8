//! The nouns: phone numbers, calls, recordings, transcripts, jobs, key terms, search queries, and what their states mean.
//!
//! Plain types, parsed where they enter the program. No I/O, no HTTP, no limits of a vendor.

use uuid::Uuid;

pub mod call;
pub mod history;
pub mod job;
pub mod keyterms;
pub mod numbering;
pub mod phone;
pub mod recording;
pub mod search;
pub mod standing;
pub mod transcript;

/// A new id that nobody can guess: 32 hex digits. It starts with the time, in milliseconds since 1970, so that new rows are
/// neighbors in every index and share its pages.
pub(crate) fn new_id(at: i64) -> String {
    let (at, random) = (at.try_into().unwrap_or_default(), Uuid::new_v4().into_bytes());
    let [random @ .., _, _, _, _, _, _] = random;
    uuid::Builder::from_unix_timestamp_millis(at, &random).into_uuid().simple().to_string()
}

/// A text is not the id that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {shape}")]
pub struct BadId {
    what: &'static str,
    shape: &'static str,
}

impl BadId {
    pub(crate) fn new(what: &'static str, shape: &'static str) -> Self {
        Self { what, shape }
    }
}

/// Whether `text` is a Twilio SID: this prefix and 32 hex digits.
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
