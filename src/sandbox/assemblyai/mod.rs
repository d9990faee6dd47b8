//! AssemblyAI's API for recorded audio, emulated: uploads, transcripts, their exports and the webhook.
//!
//! Reading order: `account` is what the account holds, `emulator` the handle that shares it. `api` routes requests;
//! `params` checks the request for a transcript, `life` runs the transcript, `hearing` is what the
//! engine hears of the words that were said, `wording` changes them as the request asks; `list` and `export` respond about
//! it.
//!
//! A parameter that asks for what is missing, such as an analysis of the transcript, is refused with the words "the sandbox
//! does not".
//!
//! It recognizes only the sandbox's own recordings, by the checksum of their samples, and the recording SID that a file is
//! marked with. It fetches no audio and keeps none.

mod account;
mod api;
mod emulator;
mod error;
mod export;
mod hearing;
mod life;
mod list;
mod params;
mod transcript;
mod upload;
mod wording;

pub use api::API_KEY;
pub use emulator::AssemblyAi;
pub use upload::Upload;
