//! The nouns: phone numbers, calls, recordings, transcripts, words, their corrections and checks, speakers, jobs, key terms,
//! search queries, and what their states mean.
//!
//! Plain types, parsed where they enter the program. No I/O, no HTTP, no limits of a vendor.

use uuid::Uuid;

/// Implements for an enum the words by which its values are stored, logged, and shown in JSON and in its description.
macro_rules! words {
    ($type:ident: $($value:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// In the order of declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$value),+];

            /// Returns the word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// Returns `None` for an unknown word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == word)
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let words = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
                words.enum_values(Some([$($word),+])).into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

/// Implements access to the text of an id and, for one that comes from outside, the check of that text.
macro_rules! text_of {
    ($id:ident, $is_valid:expr, $what:literal, $shape:literal) => {
        text_of!($id);

        impl std::str::FromStr for $id {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                if $is_valid(text) { Ok(Self(text.to_owned())) } else { Err(BadId::new($what, $shape)) }
            }
        }
    };
    ($id:ident) => {
        impl $id {
            /// Returns the id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub mod blind;
pub mod call;
pub mod checked;
pub mod contact;
pub mod correction;
pub mod dollars;
mod folding;
pub mod history;
pub mod import;
pub mod job;
pub mod keyterms;
pub mod learned;
pub mod leg;
pub mod measure;
pub mod name;
pub mod named_token;
pub mod numbering;
pub mod phone;
pub mod price;
pub mod receiver;
pub mod recording;
pub mod replace;
pub mod search;
pub mod signing_secret;
pub mod speakers;
pub mod spooled;
pub mod standing;
pub mod transcript;
pub mod trial;
pub mod typed_number;
pub mod vocabulary;
pub mod word;

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

/// Whether `text` is an id of Twilio or of another Twilio-compatible API, which has UUIDs in their place. It is kept as it
/// comes.
pub(crate) fn is_vendors_id(prefix: &str, text: &str) -> bool {
    const HYPHENATED: usize = 36;
    is_sid(prefix, text) || (text.len() == HYPHENATED && Uuid::try_parse(text).is_ok())
}

/// Whether `text` is a Twilio SID: this prefix and 32 hex digits.
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
