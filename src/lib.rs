//! callscribe dials phone calls through Twilio, records them, and turns the recordings into transcripts through
//! AssemblyAI. This page is the map: how a call goes through the program, which room does what, and what always holds.
//!
//! # The life of a call
//!
//! 1. `GET /dial/14155551234` reaches [`web`], which lets the operator alone in (`web::access`, [`operator`]), parses a
//!    [`PhoneNumber`](model::phone::PhoneNumber) and asks [`pipeline::dial`] to ring it. If [`pipeline::allowed`] has
//!    nothing against the number, and no cap is reached, that commits an intent to the [`store`], then sends `POST Calls`
//!    once, in a task of its own, so that a closed browser tab changes nothing. The addresses from [`urls`] that Twilio is
//!    given carry the call's own id, by which it is found whatever is told first.
//! 2. Somebody picks up. Twilio asks `/record/` (`web::record`), its signature is checked against the address that
//!    [`urls`] handed out, and [`twiml`] answers: say the greeting, record, then ask `/record/done/`, which hangs up. No
//!    database is asked for that. A call that comes in from outside gets the same document.
//! 3. Twilio tells `/hooks/twilio/call` and `/hooks/twilio/recording` how things get on. [`pipeline::progress`] commits
//!    each step forward before it is acknowledged; a finished recording is committed together with the job that
//!    transcribes it. What no callback tells, the call's job finds out by asking Twilio (`pipeline::follow`).
//! 4. The worker ([`pipeline::worker`]) claims that job (`pipeline::order`): the audio streams from Twilio into AssemblyAI's
//!    upload, never whole in memory and never on disk; then a transcript is ordered, once, with the key terms of the
//!    settings, of the call and of the request, and with a webhook whose secret only AssemblyAI is told.
//!    A file that is sent to `POST /transcribe` streams into the upload, too, as part of the request that brings it; the
//!    order is committed once AssemblyAI has all of it.
//! 5. `/hooks/assemblyai` makes the job due at once: it fetches the transcript and stores JSON, text and words. A lost
//!    webhook costs a minute at most. What was said is found at `/calls?q=` from then on: [`model::search`] cuts texts and
//!    queries into terms, [`store`] has them indexed in the same transaction, beside what is known of the call, and anew when
//!    more becomes known. `POST /transcribe` and `GET /transcript/<id>` ([`pipeline::transcription`]) go the same way, and
//!    answer from the store what is there.
//! 6. Each change is told through [`events`] to the requests that wait for it, and to open pages (`web::live`), which
//!    then ask for themselves again. What other instances did, those find in the history that all share.
//! 7. A call that is deleted ([`pipeline::delete`]) goes at the vendors first and here last; its ids stay, so that nothing
//!    late brings it back.
//!
//! # When something dies
//!
//! A job is leased for seconds and its lease renewed; when the program is killed, the lease runs out and the job is taken
//! up where its row stands, by any instance that shares the database. Two steps cost money, and both are written down
//! before they are taken: a call that Twilio may have taken is looked for by its id in callbacks and in Twilio's list of
//! calls, an order that AssemblyAI may have taken by the address of its audio in AssemblyAI's list. What is found is
//! adopted. A call that is not found in two minutes is lost, and never dialled by itself; an order that is not found
//! after a minute was not carried out, and is sent again. [`failpoint`] names the places where the crash test kills.
//!
//! # The rooms, in reading order
//!
//! | room | what it is for |
//! |---|---|
//! | [`config`] | every environment variable, read once; all problems reported at once |
//! | [`app`] | settings to clients, context and routes; with the sandbox in the vendors' place if asked for |
//! | [`context`] | the long-lived things that handlers share |
//! | [`server`], [`telemetry`] | the listener with its deadlines and its end; the log |
//! | [`web`] | HTTP in: every route in one list, who may, errors, one file a route, the vendors' hooks, pages |
//! | [`operator`] | what lets an operator in: the token, sessions, the log-in link, whether localhost proves anything |
//! | [`pipeline`] | what happens to a call: dial, progress, follow, order, and the worker that runs the jobs |
//! | [`store`] | calls, recordings, transcripts, jobs, history, in SQLite or PostgreSQL: the only SQL |
//! | [`model`] | numbers, ids, key terms, states and their order, what is searched for: plain types, parsed at the door |
//! | [`export`] | words with times to text, SRT and WebVTT, and to who says what |
//! | [`urls`], [`twiml`], [`events`], [`clock`] | callback addresses; instructions to Twilio; "X changed"; the time |
//! | [`clients`] | thin clients of both vendors, and of our own address: deadlines, what may be repeated, errors |
//! | [`sandbox`] | both vendors, emulated over real HTTP: the program without accounts, and every test's upstream |
//!
//! Imports point one way: `main` → `app` → `web` → `pipeline` → `store`, `clients`. `web` reads from `store`, and takes
//! from `clients` the bodies and signatures of callbacks and the shapes of what it passes on. `clients` knows nothing
//! of the rest, `model`, `twiml` and `export` nothing of HTTP. The sandbox takes from `clients` the signer alone, so that its
//! wire formats are its own reading of the vendors' documents and not ours repeated.
//!
//! # What always holds
//!
//! - No durable intent, no money. A `POST` that costs money is sent once. If nobody knows whether it was carried out, the
//!   caller is told so ([`clients::Kind::Ambiguous`]), and it is looked for; nothing is repeated in the hope that it was
//!   not.
//! - Callbacks are acknowledged once they are committed. States move forward only, by rank; a state and the job that
//!   follows from it commit together; no transaction is held while a vendor is asked.
//! - A number is not dialled that costs extra, is of no country or of one that the settings do not name: it is refused before
//!   anything is stored or asked.
//! - At most one call to a number is up, over all instances: an index of the database says so.
//! - Who is at this computer needs nothing, as long as nothing about a request speaks against that and no tunnel makes
//!   strangers look so; everybody else needs the operator's token, or a session that was opened with it.
//! - No callback is believed that does not prove where it comes from, and even then it is a hint: the vendor's API says
//!   how things are.
//! - Credentials go to the vendor's own host and nowhere else: no redirect is followed with them, and no address that
//!   came from outside is fetched.
//! - SQL is only in [`store`], reqwest only in [`clients`] (and in the sandbox, to call back), axum only in [`web`],
//!   [`sandbox`], [`app`] and [`server`], the environment only in [`config`], the time of day only in [`clock`]; what the
//!   program does never depends on whether its vendors are the sandbox.
//! - Phone numbers are masked in the log; secrets, bodies and media addresses are not in it. Addresses asked of us are
//!   logged as their route.

pub mod app;
mod clients;
mod clock;
pub mod config;
mod context;
mod events;
pub mod export;
pub mod failpoint;
mod model;
mod operator;
mod pipeline;
pub mod sandbox;
mod server;
mod store;
pub mod telemetry;
mod token_bucket;
pub mod twiml;
mod urls;
mod web;
mod webhook_secret;

#[doc = include_str!("docs/development.md")]
pub mod development {}
#[doc = include_str!("docs/performance.md")]
pub mod performance {}

/// What tests, fuzz targets and benches call without HTTP. `main` needs none of it.
pub mod internals {
    pub use crate::clients::assemblyai::callbacks::TranscriptReady;
    pub use crate::clients::assemblyai::{AssemblyAi, Listed, Reply, TranscriptStatus};
    pub use crate::clients::twilio::callbacks::{self, RecordingProgress};
    pub use crate::clients::twilio::{Credentials, MediaFormat, MediaRequest, Twilio, signature};
    pub use crate::clients::{Deadlines, Kind};
    pub use crate::clock::{Clock, now};
    pub use crate::model::call::{CallId, CallName, CallSid};
    pub use crate::model::numbering::{Barred, Countries};
    pub use crate::model::phone::PhoneNumber;
    pub use crate::model::recording::RecordingSid;
    pub use crate::model::transcript::TranscriptId;
    pub use crate::server::{Limits, Server};
    pub use crate::webhook_secret::{SECRET_HEADER, WebhookSecrets};
}
