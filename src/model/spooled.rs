//! A file that a client sends in pieces: its id, and how far it is.

use uuid::Uuid;

use super::{BadId, call, new_id};

/// The id of such a file, which nobody can guess: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileId(String);

impl FileId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }
}

text_of!(FileId, call::is_hex, "an upload's id", "32 hex digits");

/// The id of a folder of such files: 32 hex digits. Instances that share a database have folders of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolId(String);

impl SpoolId {
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }
}

text_of!(SpoolId, call::is_hex, "a spool's id", "32 hex digits");

/// How far such a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpooledState {
    /// Some of it is still to come.
    Receiving,
    /// All of it is here, and goes on to AssemblyAI.
    Sending,
    /// Its transcript is ordered, and the file is not here any more.
    Ordered,
    /// It could not be sent on. It is tried again if somebody wants that.
    Failed,
}
