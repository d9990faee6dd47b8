//! The nouns: phone numbers, the ids of calls, recordings and transcripts, key terms, what is searched for.
//!
//! Plain types that are parsed at the door and carry the proof of it. No I/O, no HTTP, no vendor's limits.

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

/// An id that nobody can guess: 32 hex digits. It begins with the time, in milliseconds since 1970, so that what is new
/// stands side by side in every index, and is written together.
pub(crate) fn new_id(at: i64) -> String {
    let (at, random) = (at.try_into().unwrap_or_default(), Uuid::new_v4().into_bytes());
    let [random @ .., _, _, _, _, _, _] = random;
    uuid::Builder::from_unix_timestamp_millis(at, &random).into_uuid().simple().to_string()
}

/// Why a text is not the id that it was taken for.
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

/// Whether `text` is this prefix and 32 hex digits, the shape of every Twilio SID.
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
