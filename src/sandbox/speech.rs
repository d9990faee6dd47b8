//! What people say on the phone: synthesized speech.
//!
//! `script` is what is said, by whom and when; `scene` what a recording has of it, on which channels. `audio` and `words` are
//! the oldest script, a few seconds of one voice, as files and text; `adpcm` decodes the others. `mark` puts a recording's
//! SID into a file; `recognize` finds the speech and that SID in a file that streams by.

mod adpcm;
mod audio;
mod mark;
mod recognize;
mod scene;
mod script;
mod words;

pub use audio::{MP3, WAV, duration};
pub use mark::{marked, scene_of};
pub(super) use recognize::hex;
pub use recognize::{Recognized, Recognizer};
pub use scene::{Form, Layout, Scene, Voice, stereo};
pub use script::{Script, Side};
pub use words::{Word, text, words};
