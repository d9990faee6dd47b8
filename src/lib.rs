//! callscribe dials phone calls through Twilio, records them, and transcribes the recordings through AssemblyAI. This
//! page is the map: the life of a call, the rooms of the program, the words it uses, and what always holds.
//!
//! # The life of a call
//!
//! 1. `GET /dial/14155551234` reaches [`web`], which lets only the operator in (`web::access`, [`auth`]), parses a
//!    [`PhoneNumber`](model::phone::PhoneNumber) and hands it to [`pipeline::dial`]. If the number may be dialed
//!    ([`pipeline::allowed`]) and no cap is reached, `dial` commits an intent to the [`store`] and then sends `POST Calls`
//!    once. It does so in a task of its own, so that a closed browser tab changes nothing. The callback URLs that [`urls`]
//!    makes for Twilio contain the call id, so every callback finds its call even before the call SID is stored.
//! 2. The callee answers. Twilio requests `/record/` (`web::record`); the signature is checked against the URL that
//!    [`urls`] handed out; [`twiml`] answers: say the greeting, record, then request `/record/done/`, which hangs up. No
//!    database is needed for that. Callers who ring our number get the same TwiML.
//! 3. Twilio reports progress to `/hooks/twilio/call` and `/hooks/twilio/recording`. [`pipeline::intake`] commits each new
//!    state before it acknowledges the callback. A finished recording commits together with the job that transcribes it.
//!    If a callback is lost, the call's own job finds out by polling Twilio (`pipeline::follow`).
//! 4. The worker ([`pipeline::worker`]) claims the transcript job (`pipeline::submit`). The audio streams from Twilio into
//!    AssemblyAI's upload, never whole in memory and never on disk (`pipeline::upload`). Then the order is submitted, once,
//!    with the key terms of the settings, of the call and of the request, and with a webhook URL whose secret only
//!    AssemblyAI knows. A file sent to `POST /transcribe` streams into the upload within its own request; its order is
//!    committed once AssemblyAI has the whole file.
//! 5. AssemblyAI calls `/hooks/assemblyai`, which makes the job due at once. The job fetches the transcript and stores
//!    JSON, text and words (`pipeline::settle`). A lost webhook delays that by a minute at most. The same transaction
//!    indexes the words for `/calls?q=`; [`model::search`] cuts texts and queries into terms. `POST /transcribe` and
//!    `GET /transcript/<id>` ([`pipeline::transcription`]) share these steps, and answer from the store what is stored.
//! 6. Each change goes through [`events`] to waiting requests and to open pages (`web::live`), which then reload their
//!    parts. Changes made by other instances arrive through the history table that all instances share.
//! 7. Deleting a call ([`pipeline::delete`]) deletes it at both vendors first and here last. Its ids remain, so that a
//!    late callback cannot restore it.
//!
//! # When something dies
//!
//! A job is leased for seconds, and its lease renewed while it runs. If the program is killed, the lease runs out and any
//! instance that shares the database resumes the job from its row. Two steps cost money, and each commits an intent
//! first. A call that Twilio may have placed is searched for by its id in callbacks and in Twilio's list of calls; an
//! order that AssemblyAI may have accepted, by its audio URL in AssemblyAI's list. What is found is adopted. A call that
//! is not found within two minutes is lost and never dialed again automatically; an order that is not found after a
//! minute was not accepted and is submitted again. [`failpoint`] lists the points where the crash test kills the program.
//!
//! # The rooms, in reading order
//!
//! | room | what it is for |
//! |---|---|
//! | [`config`] | every environment variable, read once; all problems reported at once |
//! | [`app`] | composition: settings to clients, context and routes, with the sandbox in the vendors' place if asked |
//! | [`context`] | the long-lived values that handlers and workers share |
//! | [`server`], [`telemetry`] | the listener with its deadlines and graceful stop; the log |
//! | [`web`] | incoming HTTP: the list of routes, access, errors; a file for each handler, for JSON shapes, for pages |
//! | [`auth`] | what lets an operator in: token, sessions, log-in link |
//! | [`exposure`] | whether a tunnel at `BASE_URL` makes strangers look local |
//! | [`pipeline`] | what happens to a call: dial, ingest, follow, upload, submit, settle, delete; and the worker |
//! | [`store`] | calls, recordings, transcripts, jobs, history, search; in SQLite or PostgreSQL: the only SQL |
//! | [`model`] | the nouns: numbers, ids, states, key terms, and what a state means ([`model::standing`]). Pure |
//! | [`export`] | transcripts as text, SRT and WebVTT. Pure |
//! | [`urls`], [`twiml`], [`events`], [`clock`] | callback URLs; TwiML; "X changed"; the time |
//! | [`token_bucket`] | the one rate limiter |
//! | [`clients`] | thin clients of both vendors: deadlines, what may be repeated, errors. Vendors' words only |
//! | [`sandbox`] | both vendors, emulated over real HTTP: the program without accounts, and every test's upstream |
//! | `src/manual` | the operator's manual, served at `/help` |
//!
//! Imports point one way: `main` → `app` → `web` → `pipeline` → `store`, `clients` → `model`. `web` reads from the `store`;
//! from `clients` it takes callback bodies, signatures and the shapes that it passes on. `clients` knows nothing of the
//! other rooms; `model`, `twiml` and `export` know nothing of HTTP. The sandbox takes only the signer from `clients`, so
//! that its wire formats are an independent reading of the vendors' documents. No file imports another that imports it,
//! directly or through others. `tests/it/tidy.rs` checks all of that.
//!
//! # What a change touches
//!
//! | a new … | goes to |
//! |---|---|
//! | fact about a call, or rule of what may be done with it | a type in [`model`], its rows in a file of [`store`], its meaning in [`model::standing`] |
//! | leg, person or speaker of a call | `model/`, `store/` and [`pipeline::intake`], which resolves callbacks to calls |
//! | kind of background work | one file in [`pipeline`] with `run` and `give_up`, and a line in `pipeline::runner` |
//! | edit of a stored transcript | a table of its own in [`store`] (the vendor's JSON stays as it came), applied where [`export`], pages and search read words |
//! | request to a vendor, or a stream to one | a file in [`clients`], its emulation in [`sandbox`] |
//! | message to the user's own server | a client in [`clients`], a job in [`pipeline`] fed from the history table |
//! | work that is due by the clock | a job whose row is due at that time; the worker claims whatever is due |
//! | route | a handler in [`web`] and a line in its list of routes |
//!
//! [`development`] has recipes for each.
//!
//! # Glossary
//!
//! One word for each idea, in code, comments, logs, pages and documents.
//!
//! | idea | word | in the code |
//! |---|---|---|
//! | our id of a call, also the token in callback URLs | call id | [`CallId`](model::call::CallId) |
//! | Twilio's id of a call | call SID | [`CallSid`](model::call::CallSid) |
//! | either of them, as a person types it | call name | [`CallName`](model::call::CallName) |
//! | one of the two connections that make a conversation | leg | – |
//! | the person we call; the person who calls us | callee; caller | [`Direction`](model::call::Direction) |
//! | the person who uses callscribe | operator | [`auth`] |
//! | decision, committed before the request, to place a call or submit an order | intent | `CallState::Dialing`, `asked_at` |
//! | a recording to be transcribed in one particular way | transcript request | `pipeline::request::TranscriptRequest` |
//! | our row and id of a transcript request | order, order id | [`OrderId`](model::transcript::OrderId) |
//! | AssemblyAI's id of a transcript | transcript id | [`TranscriptId`](model::transcript::TranscriptId) |
//! | one round of upload and submission for an order | attempt | `Transcript::attempt` |
//! | sending audio to AssemblyAI | upload | `pipeline::upload` |
//! | sending `POST transcript` to AssemblyAI | submit | `pipeline::submit` |
//! | asking a vendor again about something pending | poll | `Job::polls`, `poll_pause` |
//! | finding out whether a request with a lost answer was carried out | search, adopt | `pipeline::follow`, `pipeline::listing` |
//! | storing what a vendor reports | ingest | [`pipeline::intake`] |
//! | a request that Twilio sends us | callback (for TwiML: voice webhook) | `web::hooks`, `web::record` |
//! | the request that AssemblyAI sends us | webhook | `web::hooks` |
//! | a unit of background work, by kind and subject | job | `Job`, [`JobKind`](model::job::JobKind) |
//! | ownership of a job for a limited time | lease | `Lease` |
//! | the number of times a job was claimed | claim | `Job::claim` |
//! | how a failed job goes on | retry, give up | `pipeline::job::Next` |
//! | a new state with its reason and code | transition | `store::Transition` |
//! | one row of a call's history | event | [`Event`](model::history::Event) |
//! | what the facts about a call mean | standing, progress, step | [`model::standing`] |
//! | one-time value that makes two clicks one call | form nonce | [`FormNonce`](model::call::FormNonce) |
//! | words to which AssemblyAI pays attention | key terms | [`Keyterms`](model::keyterms::Keyterms) |
//! | full-text index over the words of transcripts | search index | `store::search` |
//! | states and number suffixes in that index | facets | `store::facets` |
//! | SQLite's write-ahead log | WAL, checkpoint | `store::engine::wal` |
//! | transactions that share one commit | group commit | `store::engine` |
//! | limit on a rate, with bursts | token bucket | [`TokenBucket`](token_bucket::TokenBucket) |
//! | tunnel or proxy that makes strangers look local | exposure | [`exposure`] |
//! | point where a test aborts a step or kills the program | failpoint | [`failpoint`] |
//! | the two emulated vendors | sandbox | [`sandbox`] |
//!
//! Spelling is American. `tests/it/tidy.rs` lists the words that this glossary replaces, and fails where one comes back.
//!
//! # What always holds
//!
//! - No durable intent, no money. A `POST` that costs money is sent once. If its outcome is unknown, the caller is told
//!   so ([`clients::Kind::Ambiguous`]), and the pipeline searches at the vendor; it repeats nothing on a guess.
//! - Callbacks are acknowledged once they are committed. States move forward only, by rank; a state and the job that
//!   follows from it commit together; no transaction is open during a request to a vendor.
//! - A number that costs extra, that belongs to no country, or to one that the settings do not allow, is refused before
//!   anything is stored or requested.
//! - At most one call to a number is up, over all instances: a unique index of the database enforces it.
//! - A request from this computer needs no credentials as long as nothing in it suggests a proxy, and no tunnel makes
//!   strangers look local. Every other request needs the operator token, or a session opened with it.
//! - A callback without proof of its origin is refused; even with proof it is only a hint, and the vendor's API decides.
//! - Credentials go only to the vendor's own host: no redirect is followed with them, and no URL from outside is fetched.
//! - SQL is only in [`store`], reqwest only in [`clients`] and [`sandbox`], axum only in [`web`], [`sandbox`], [`app`] and
//!   [`server`], the environment only in [`config`], the time of day only in [`clock`]. Nothing but [`app`] knows whether
//!   the vendors are the sandbox.
//! - The log masks phone numbers and contains no secrets, bodies or media URLs. It names requests by their route.

pub mod app;
mod auth;
mod clients;
mod clock;
pub mod config;
mod context;
mod events;
pub mod export;
mod exposure;
pub mod failpoint;
mod model;
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
