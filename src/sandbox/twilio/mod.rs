//! Twilio's Voice API, emulated: a REST API that Twilio's own client libraries accept, calls with status callbacks, TwiML
//! and recordings, and callbacks signed as Twilio signs them.
//!
//! Reading order: `credentials` and `account` are what the account is and holds, `emulator` is the handle that shares
//! it. `api` responds to requests: `resource` is what they are about, `parameters` what they may ask for; `create` parses
//! the one that places a call, `update` the one that changes it; `list` filters; `page`, `media`, `numbers`,
//! `wire` and `rest_exception` write responses. `life` runs a call, `conversation` performs its TwiML (`elements` parses the
//! XML, `twiml` the verbs), `gather` asks for keys, `dial` calls others, `recording` records, `encryption` encrypts what was
//! recorded, `callback` sends signed requests. `phone_book` is who answers at which number, `console` a page for people.
//! `other_api` makes it speak as another compatible API. `seed` adds calls and recordings for tests, `past` those that other
//! software is said to have made.
//!
//! Emulated is what a program needs that places calls, has them recorded and fetches the recordings. What is missing, such as
//! answering machine detection, is refused with the words "the sandbox does not", and a verb that `twiml` does not know ends
//! the call.

mod account;
mod api;
mod application_error;
mod audio;
mod callback;
mod console;
mod conversation;
mod create;
mod credentials;
mod dial;
mod elements;
mod emulator;
mod encryption;
mod form;
mod gather;
mod life;
mod list;
mod media;
mod numbers;
mod other_api;
mod page;
mod parameters;
mod past;
mod phone_book;
mod recording;
mod resource;
mod rest_exception;
mod seed;
mod twiml;
mod update;
mod wire;

pub use account::{Delivery, Outcome, SharedKey};
pub use audio::Audio;
pub use credentials::{ACCOUNT_SID, ACCOUNT_UUID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, PHONE_NUMBER};
pub use emulator::{Stage, Twilio};
pub use past::Past;
pub use phone_book::{OPERATOR_PHONES, PHONE_BOOK};
pub use seed::{SeededCall, SeededRecording};
