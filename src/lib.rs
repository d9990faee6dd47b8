//! callscribe dials phone calls through Twilio, records them, and turns the recordings into transcripts through
//! AssemblyAI. This page is the map: how a call goes through the program, which room does what, and what always holds.
//!
//! # The life of a call
//!
//! 1. `GET /dial/14155551234` reaches [`web`], which lets the operator alone in (`web::access`), parses a
//!    [`PhoneNumber`](model::phone::PhoneNumber) and asks [`pipeline::dial`] to ring it. That runs in a task of its own,
//!    so that a closed browser tab changes nothing, and sends `POST Calls` once, with callback addresses from [`urls`].
//! 2. Somebody picks up. Twilio asks `/record/` (`web::record`), its signature is checked against the address that
//!    [`urls`] handed out, and [`twiml`] answers: say the greeting, record, then ask `/record/done/`, which hangs up.
//!    A call that comes in from outside gets the same document.
//! 3. Twilio tells `/hooks/twilio/call` and `/hooks/twilio/recording` how things get on. That goes to the log; whoever
//!    wants to know how a call stands asks Twilio ([`pipeline::call`], for `/calls/<sid>` and `/get-recording-url/<sid>`).
//! 4. `POST /transcribe` reaches [`pipeline::transcription`]: the audio streams from Twilio into AssemblyAI's upload,
//!    never whole in memory and never on disk, then a transcript is ordered, once, with the key terms of the settings,
//!    of the call and of the request, and with a webhook whose secret only AssemblyAI is told.
//! 5. `GET /transcript/<id>?wait=60` asks AssemblyAI how the transcript stands, and again every few seconds.
//!    `/hooks/assemblyai` makes that look due at once through [`events`]; a lost webhook costs seconds, nothing else.
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
//! | [`pipeline`] | what happens to a call: dial, look, transcribe |
//! | [`model`] | phone numbers, ids, key terms: plain types, parsed at the door |
//! | [`urls`], [`twiml`], [`events`], [`clock`] | callback addresses; instructions to Twilio; "transcript X changed"; the time |
//! | [`clients`] | thin clients of the two vendors: deadlines, what may be repeated, errors to decide on |
//! | [`sandbox`] | both vendors, emulated over real HTTP: the program without accounts, and every test's upstream |
//!
//! Imports point one way: `main` → `app` → `web` → `pipeline` → `clients`. `web` takes from `clients` the bodies and
//! signatures of callbacks and the shapes of what it passes on. `clients` knows nothing of the rest, `model` and `twiml`
//! nothing of HTTP. The sandbox takes from `clients` the signer alone, so that its wire formats are its own reading of
//! the vendors' documents and not ours repeated.
//!
//! # What always holds
//!
//! - A `POST` that costs money is sent once. If nobody knows whether it was carried out, the caller is told so
//!   ([`clients::Kind::Ambiguous`]); nothing is repeated in the hope that it was not.
//! - No callback is believed that does not prove where it comes from, and even then it is a hint: the vendor's API says
//!   how things are.
//! - Credentials go to the vendor's own host and nowhere else: no redirect is followed with them, and no address that
//!   came from outside is fetched.
//! - reqwest is used only in [`clients`] (and by the sandbox, to call back), axum only in [`web`], [`sandbox`], [`app`]
//!   and [`server`], the environment only in [`config`], the time of day only in [`clock`]; what the program does never depends on whether its vendors are the sandbox.
//! - Phone numbers are masked in the log; secrets, bodies and media addresses are not in it. Addresses asked of us are
//!   logged as their route.

pub mod app;
pub mod clients;
pub mod clock;
pub mod config;
pub mod context;
pub mod events;
pub mod model;
pub mod pipeline;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod twiml;
pub mod urls;
pub mod web;
