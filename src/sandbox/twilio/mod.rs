//! Twilio's Voice API, emulated: a REST API that Twilio's own client libraries accept, calls with status callbacks, TwiML
//! and recordings, and callbacks signed as Twilio signs them.
//!
//! Reading order: `credentials` and `account` are what the account is and holds, `emulator` is the handle that shares
//! it. `api` responds to requests; `create` parses the one that places a call, `page`, `media`, `wire` and
//! `rest_exception` write responses. `life` runs a call, `conversation` performs its TwiML (parsed by `twiml`),
//! `recording` records, `encryption` encrypts what was recorded, `callback` sends signed requests. `other_api` makes it speak as another compatible API. `seed` adds calls and recordings for tests.
//!
//! Emulated is what a program needs that places calls, has them recorded and fetches the recordings. Missing are, among
//! others: `Twiml`, `ApplicationSid` and `FallbackUrl` of a call, redirecting a live call, answering machine detection,
//! and the verbs that `twiml` does not know. Lists are filtered by `To`, `From` and `Status`, or by `CallSid`; any other
//! filter, such as `StartTime>=` or `DateCreated`, is ignored.

mod account;
mod api;
mod audio;
mod callback;
mod conversation;
mod create;
mod credentials;
mod emulator;
mod encryption;
mod form;
mod life;
mod media;
mod other_api;
mod page;
mod recording;
mod rest_exception;
mod seed;
mod twiml;
mod wire;

pub use account::{Delivery, Outcome, SharedKey};
pub use audio::Audio;
pub use credentials::{ACCOUNT_SID, ACCOUNT_UUID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, PHONE_NUMBER};
pub use emulator::{Stage, Twilio};
pub use seed::{SeededCall, SeededRecording};
