//! What the person on the phone says: a few seconds of synthesized speech.
//!
//! `audio` is the speech as files, `words` its text, `mark` puts a recording's SID into a file, and `recognize` tells
//! while a file streams by whether it is the speech and of which recording.

mod audio;
mod mark;
mod recognize;
mod words;

pub(super) use audio::stereo;
pub use audio::{MP3, WAV, duration};
pub(super) use mark::marked;
pub(super) use recognize::{Recognized, Recognizer, hex};
pub use words::{Word, text, words};
