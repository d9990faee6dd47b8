//! What the person on the phone says: a few seconds of synthesized speech.
//!
//! `audio` is the speech as files, `words` its text. `mark` puts a recording's SID into a file; `recognize` finds the
//! speech and that SID in a file that streams by.

mod audio;
mod mark;
mod recognize;
mod words;

pub use audio::{MP3, WAV, duration, stereo};
pub use mark::marked;
pub(super) use recognize::hex;
pub use recognize::{Recognized, Recognizer};
pub use words::{Word, text, words};
