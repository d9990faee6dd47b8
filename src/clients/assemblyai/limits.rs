//! Limits of the speech models and of the upload. Sources:
//! <https://www.assemblyai.com/docs/pre-recorded-audio/keyterms-prompting>,
//! <https://www.assemblyai.com/docs/api-reference/files/upload>.

/// Maximum size of an upload in bytes.
pub const LARGEST_UPLOAD: u64 = 2_200_000_000;

/// Maximum number of words in a term of `keyterms_prompt`, for every model.
pub const WORDS_IN_KEYTERM: usize = 6;

/// Maximum number of words in all terms of `keyterms_prompt` together, for every model but [`UNIVERSAL_2`].
pub const KEYTERM_WORDS: usize = 1_000;

/// The one model with limits of its own.
pub const UNIVERSAL_2: &str = "universal-2";

/// Maximum number of terms that [`UNIVERSAL_2`] accepts.
pub const UNIVERSAL_2_KEYTERMS: usize = 200;

/// The lengths of terms, in characters, that [`UNIVERSAL_2`] does not ignore.
pub const UNIVERSAL_2_CHARACTERS: std::ops::RangeInclusive<usize> = 5..=50;
