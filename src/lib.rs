//! callscribe dials phone calls through Twilio, records them, and transcribes the recordings through AssemblyAI. This
//! page is the map: the life of a call, the rooms of the program, where a change goes, the words, and what always holds.
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
//!    In a conversation, Twilio rings the operator's phone first and requests `/record/conversation/` (`web::conversation`):
//!    only after a key does it ring the callee, whose number the database must tell. With `INBOUND=forward`, inbound calls
//!    ring the operator's phones. The legs that a call dials report to `/hooks/twilio/leg` and are rows of their own; the
//!    call's own leg is the call's row.
//! 3. Twilio reports progress to `/hooks/twilio/call` and `/hooks/twilio/recording`. [`pipeline::ingest`] commits each new
//!    state before it acknowledges the callback. A finished recording commits together with the job that transcribes it.
//!    The job that follows the call (`pipeline::follow`) polls Twilio, in case a callback is lost. An inbound call has no
//!    such job before its first report is stored. So calls whose reports could not be stored are remembered until they can,
//!    and another job (`pipeline::unreported`) searches Twilio's list for calls that were never reported.
//!    Some minutes after the end of a call, the job that follows it opens another one (`pipeline::charge`), which asks Twilio
//!    what the call has cost.
//! 4. The worker ([`pipeline::worker`]) claims the transcript job (`pipeline::submit`). The audio streams from Twilio into
//!    AssemblyAI's upload, never whole in memory and never on disk (`pipeline::upload`), and is decrypted on the way if
//!    Twilio encrypted it. Then the order is submitted, once,
//!    with the key terms of the settings, of the request, of the call and of the [vocabulary](model::vocabulary), and with a
//!    webhook URL whose secret only AssemblyAI knows. If AssemblyAI refuses it because of a speech model, or ends it for that later, the order is submitted
//!    with others, as a new intent. A file that a client sends to `POST /transcribe` is uploaded while its request runs; once AssemblyAI
//!    has the whole file, its order is committed and then submitted as any other. A large file comes in pieces (`web::tus`)
//!    that the [`spool`] holds: once it is complete, a job sends it on and orders its transcript ([`pipeline::spooled`]). With the first order of a file or URL, a
//!    call is stored that has it as its recording (`pipeline::uploads`), so that lists, pages and deletion know it.
//! 5. AssemblyAI calls `/hooks/assemblyai`, which has the transcript job poll at once. The job fetches the transcript and
//!    stores JSON, text and words (`pipeline::settle`). Its words stream from the JSON into rows. One large transcript at a
//!    time is in memory, deflated ([`clients::json`]). If the webhook is lost, the job polls within a minute all the same.
//!    The same transaction indexes the words for `/calls?q=`; [`model::search`] cuts texts and queries into terms.
//!    The names of contacts and speakers are in no index: they are read with each call, and a search for one finds the calls
//!    by their number or id.
//!    `POST /transcribe` ([`pipeline::transcription`]) runs steps 4 and 5, too; `GET /transcript/<id>` answers a finished
//!    transcript from the store.
//!    Somebody may correct the words ([`pipeline::corrections`]). What AssemblyAI heard stays; each correction is a row, and
//!    the words of a transcript follow from both ([`model::correction`]). The transaction that stores it indexes the new text.
//!    Somebody may also mark a stretch of time as checked by ear ([`pipeline::checks`]). What is checked follows from all checks
//!    ([`model::checked`]); the call's row and the search index tell whether that is the whole transcript. Or somebody types a
//!    stretch of it from the audio alone ([`pipeline::blind_checks`]).
//!    Some seconds after a correction or check, a job proposes the names and rare words that it put right for the vocabulary
//!    (`pipeline::learn`), and measures how right the transcript was (`pipeline::measure`). `/accuracy` groups these measures
//!    ([`pipeline::accuracy`]), and the threshold below which words of a model are marked as unsure follows from them.
//!    A trial ([`pipeline::trials`]) orders transcripts of the same recordings once more, with the commit that confirms it. They
//!    are measured against the same words (`pipeline::trial`), and are in no list, index or figure of calls until somebody
//!    chooses them.
//!    An import ([`pipeline::imports`]) brings the recordings here that the Twilio account already has. Its job reads Twilio's list a
//!    page at a time, and commits each page with the place of the next. Then it commits the call, the recording and the order
//!    of one recording after the other, few of them open at a time, under Twilio's dates.
//!    The same commits store what the operator's own programs are notified of, a row for each receiver of webhooks
//!    (`store/deliveries.rs`), and [`pipeline::deliver`] sends it, signed, until it has arrived.
//!    If there is an archive, a job copies the audio of each finished recording there (`pipeline::archive`), and the player
//!    prefers the copy to what Twilio has.
//! 6. Each change goes through [`events`] to waiting requests and to open pages (`web::live`), which then reload their
//!    parts. Changes made by other instances arrive through the history table that all instances share.
//! 7. Deleting a call ([`pipeline::delete`]) deletes it at both vendors and in the archive first, and here last. Its ids remain, so that a
//!    late callback cannot restore it.
//!
//! # When something dies
//!
//! A job is leased for seconds; its lease is renewed while it runs. If the program is killed, the lease runs out, and any
//! instance that shares the database resumes the job from its row. Two requests cost money, and each commits an intent
//! first. If the answer to one is lost, the pipeline searches: for the call by its id in callbacks and in Twilio's list,
//! for the order by its audio URL in AssemblyAI's list. What it finds, it adopts. A call that is not found within two and a
//! half minutes is lost and never dialed again automatically. An order that AssemblyAI does not list after a minute was not
//! accepted, and is submitted again. An instance that was held up or stopped after its intent finds its right to the
//! request over (`pipeline::right`), and sends nothing: another one may be searching by then. [`failpoint`] lists the
//! points where the crash test kills the program.
//!
//! A job may be what kills the program, so claims that are lost with their program are counted in the job's row. After the
//! second loss in a row a job waits longer each time, and runs only while no other such job does: those that only ran beside
//! the one at fault come to their end. After the eighth loss the job has failed, and its call's page says why. A claim that a
//! graceful stop releases is not lost.
//!
//! If connections to PostgreSQL fall silent, each wait for an answer ends after seconds; the connection is dropped, the
//! transaction runs again on a new one, and a read fails with its request or its try of a job (`store/engine/postgres.rs`).
//!
//! # The rooms, in reading order
//!
//! | room | what it is for |
//! |---|---|
//! | [`config`] | every environment variable, read once, and the file of key terms, read again upon SIGHUP; all problems reported at once |
//! | [`app`] | composition: builds clients, context and routes from the settings; with `--sandbox`, starts both emulators; `app/check.rs` asks both vendors whether the settings are right, for `callscribe check` and at the start |
//! | [`context`] | the long-lived values that handlers and workers share |
//! | [`server`], [`telemetry`] | the listener with its slots, deadlines and graceful stop; the log |
//! | [`web`] | incoming HTTP: the list of routes in `web/mod.rs`, access, errors, a file for each group of handlers; JSON shapes in `web/view.rs`, templates in `web/pages/`, the description of the API in `web/api/` |
//! | [`auth`] | what lets an operator in: token, sessions, log-in link; the text of named tokens |
//! | [`exposure`] | whether a tunnel at `BASE_URL` makes strangers look local |
//! | [`pipeline`] | what happens to a call: dial, ingest, follow, upload, submit, settle, delete; and the worker |
//! | [`store`] | calls, recordings, transcripts, contacts, the vocabulary, jobs, history, search, in SQLite or PostgreSQL: the only SQL, with a migration for each database in `store/migrations/` (released ones never change, British spelling included) |
//! | [`spool`] | files that clients send in pieces, in a folder, until AssemblyAI has them |
//! | [`model`] | the nouns: numbers, ids, states, key terms, and what a state means ([`model::standing`]). Pure |
//! | [`export`] | transcripts as text, SRT, WebVTT, Markdown and DOCX; CSV and ZIP. Pure |
//! | [`accuracy`], [`wer`] | how right a transcript is, against a reference: words, key terms, speakers, and how sure that is. Pure; and the command `callscribe wer` for files |
//! | [`send`] | the command `callscribe upload`, a client of a program that runs |
//! | [`urls`], [`webhook_secret`], [`twiml`], [`events`], [`clock`] | callback URLs; the secret of AssemblyAI's webhooks; TwiML; the notification "X changed"; the time |
//! | [`metrics`] | what `/metrics` tells, with every name and label; the rooms count in it |
//! | [`token_bucket`], [`repeats`], [`failpoint`], [`splitmix`] | the one rate limiter; what the log says once and then counts; points where tests abort or kill; random numbers that a seed determines |
//! | [`clients`] | thin clients of both vendors, of receivers of webhooks and of the archive: deadlines, what may be repeated, errors. Vendors' words only |
//! | [`sandbox`] | both vendors, emulated over real HTTP: the program without accounts, and every test's upstream |
//! | `src/manual`, `src/docs` | the operator's manual, served at `/help`; [`development`] and [`performance`] |
//! | [`internals`] | what tests and benches call without HTTP |
//!
//! Imports point one way: `main` → `app` → `web` → `pipeline` → `store` → `model`, and `pipeline` → `clients`. `web`
//! also reads from the `store`, but writes through `pipeline`; from `clients` it takes callback bodies, signatures and
//! the shapes that it passes on, and from `server` the slot of a request's connection. `clients` imports no other room;
//! `model`, `accuracy`, `twiml` and `export` know nothing of HTTP. The sandbox takes only the signer from `clients`, so that its wire
//! formats are an independent reading of the vendors' documents. Imports never form a circle, not even inside a room.
//! `tests/it/tidy.rs` checks all of that, and lists which room may import which.
//!
//! # Where a change goes
//!
//! | a new … | goes to |
//! |---|---|
//! | fact about a call | a type in [`model`], its column or table in [`store`] with a migration for each database |
//! | rule of what a state means or allows | [`model::standing`], which the pipeline asks and pages print |
//! | leg of a call | [`model::leg`] and `store/legs.rs`; [`pipeline::ingest`] finds the call of a leg by the SID of its parent; [`twiml`] and `web/conversation.rs` and `web/forward.rs` connect it; [`model::standing`] says what its end means |
//! | stream while a call runs, such as live captions | a WebSocket handler in [`web`] for Twilio's end, a streaming client in [`clients`] for AssemblyAI's, both ends emulated in [`sandbox`]; between them a task in [`pipeline`] that lives as long as the call (not a job: nothing of it is resumed); captions go to pages through a channel of their own in [`events`], which may drop some |
//! | edit of a transcript | a kind of change in [`model::correction`], which applies it; `store/corrections.rs` keeps it beside the words that AssemblyAI heard, and `words_of` applies it wherever words are read, so that pages, exports and search agree |
//! | kind of background work | a [`JobKind`](model::job::JobKind), one file in [`pipeline`] with `run` and `give_up`, a line in `pipeline/runner.rs` |
//! | event that receivers of webhooks get | [`EventType`](model::receiver::EventType), announced by the transaction that commits it (`store/deliveries.rs`), its body in [`pipeline::deliver`], the manual |
//! | work that is due by the clock, such as a nightly deletion | a kind of job whose subject is its own name, so that all instances share one row; [`app`] opens it when the program starts, and each run reschedules it. The run opens the existing deletion job of each old call |
//! | request to a vendor | a file in [`clients`], its emulation in [`sandbox`] |
//! | figure of how right transcripts are | [`accuracy`], as counts that add up over calls and a rate of them |
//! | tool of agents | `web/tools.rs`, over a route; the manual |
//! | format of a file | a file in [`export`]; `web/transcript.rs` for one transcript, `web/export.rs` for all that match; the manual |
//! | figure that Prometheus reads | [`metrics`], where the room that knows it counts; what is in the database in `store/waiting.rs`; the manual |
//! | setting | `config/settings.rs`, its field in `config/`, the manual |
//! | route or page | a handler in [`web`], a line in `web/mod.rs`, the right that it needs in `web/rights.rs`, its operation in `web/api/`, the manual |
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
//! | a connection to one phone | leg | the call's own, whose SID is the call SID, and each [`Leg`](model::leg::Leg) that it dialed |
//! | the operator and somebody else, connected by a call | conversation; any other call is a message | [`Kind`](model::call::Kind) |
//! | the person we call | callee | an [outbound](model::call::Direction) call |
//! | the name that people gave to a number, and the key terms of the calls with it | contact | [`Contact`](model::contact::Contact) |
//! | the person, or number, at the other end of a call | party | `Call::party` |
//! | the person who calls us | caller | an inbound call |
//! | the person who uses callscribe | operator | [`auth`] |
//! | a program or browser that sends us requests | client | [`web`] |
//! | a program with a language model; what it can do here | agent; tool | `web::mcp`, `web::tools` |
//! | the commitment, stored before the request, to place a call or submit an order | intent | `CallState::Dialing`, `Transcript::asked_at` |
//! | the limited time in which an intent allows its request, and a claim its deletions | right | `pipeline::right::Right` |
//! | audio to transcribe, with its parameters | transcript request | `pipeline::request::TranscriptRequest` |
//! | the stored request, from then until its transcript is final | order; our id of it: order id | [`OrderId`](model::transcript::OrderId) |
//! | AssemblyAI's id of the same | transcript id | [`TranscriptId`](model::transcript::TranscriptId) |
//! | one upload and submission of an order; a retry makes another | attempt | `Transcript::attempt` |
//! | sending audio to AssemblyAI, from Twilio or from a client's file | to upload | `pipeline::upload`, `web::upload` |
//! | audio that a client sent as a file or as a URL, in the list beside the calls | upload; stored as a call of its own [kind](model::call::Kind::Upload) | `pipeline::uploads` |
//! | a file that a client sends in pieces; the folder that holds it until AssemblyAI has it | spooled file; spool | `pipeline::spooled`, [`spool`] |
//! | a call or an upload, in the list of both | item | `web::items` |
//! | sending `POST transcript` to AssemblyAI | submit | `pipeline::submit` |
//! | an order that nobody has asked for; what such orders may cost in 24 hours | automatic; budget | `NewTranscript::automatic`, [`pipeline::budget`] |
//! | what AssemblyAI or Twilio is paid; what Twilio says that a call costs, in any currency; for an hour of audio, in the settings, too | cost; price | [`Dollars`](model::dollars::Dollars), [`Price`](model::price::Price) |
//! | the models and key terms that an order was last submitted with | submission | [`Submission`](model::transcript::Submission) |
//! | AssemblyAI's words of a transcript, which stay as they came | heard words | `Conn::heard_words_of` |
//! | a step by which somebody corrected a transcript; neighboring words that it replaced; the transcript as it leaves it | correction; change; version | [`model::correction`] |
//! | the transcript of a recording that search and lists show | current transcript | `Conn::choose_transcript` |
//! | a text that takes the place of another wherever that is said in many transcripts | replacement; place | [`pipeline::replace`] |
//! | a name or phrase that transcripts must get right, as it is stored with its scope, source and state; all of them | term; vocabulary | [`Term`](model::vocabulary::Term) |
//! | what was heard where a term was said | mishearing | `store::Misheard` |
//! | a term that a correction put in the place of what was heard | lesson | [`Lesson`](model::learned::Lesson) |
//! | a stretch of a transcript, or all of it, that somebody says is as it was spoken; saying so, or taking it back | checked by ear; check | [`model::checked`] |
//! | an inbound call that no callback has reported to us | unreported | `pipeline::unreported` |
//! | asking a vendor again about something pending | poll | `Job::polls`, `poll_pause` |
//! | finding out at a vendor whether a request with a lost answer was carried out; storing what is found | search for; adopt | `pipeline::follow`, `pipeline::listing` |
//! | storing what a vendor reports | ingest | [`pipeline::ingest`] |
//! | a token that an operator made for a program, with a name and some rights; what it allows | named token; right | [`named_token`](model::named_token) |
//! | who asks for something, and the `Idempotency-Key` of the request | asked | [`Asked`](pipeline::asked::Asked) |
//! | a request in which Twilio reports a state | callback | `web::hooks` |
//! | a request in which Twilio asks for TwiML | voice webhook | `web::record` |
//! | the request in which AssemblyAI reports a final transcript | webhook | `web::hooks` |
//! | a program of the operator that is notified of events | receiver | [`model::receiver`] |
//! | an event, as it is sent to a receiver until it has arrived | delivery | `store::Delivery` |
//! | a unit of background work, by kind and subject | job | `Job`, [`JobKind`](model::job::JobKind) |
//! | ownership of a job for a limited time | lease | `Lease` |
//! | taking a lease on a job; claims are numbered, and only the latest may write | claim | `Job::claim` |
//! | the end of a program that had claimed a job, as the job counts it | loss | `Job::losses` |
//! | how a failed job goes on | retry, give up | `pipeline::job::Next` |
//! | a new state with its reason and code | transition | `store::Transition` |
//! | one row of the history table (not a notification of [`events`]) | event | [`Event`](model::history::Event) |
//! | what the facts about a call mean: how far it is and what is allowed | standing | [`model::standing`] |
//! | the one word for how far a call is; the stages on the way, with their times | progress; steps | [`Progress`](model::standing::Progress), [`Step`](model::standing::Step) |
//! | one-time value that makes two clicks one call | form nonce | [`FormNonce`](model::call::FormNonce) |
//! | one of the two people on a call; what a speaker has from the channel | side; role | [`Role`](model::leg::Role) |
//! | what tells a speaker apart: a channel, or AssemblyAI's letter | label | [`Speakers`](model::speakers::Speakers) |
//! | what an operator files a call under | tag | [`Call`](model::call::Call) |
//! | what one speaker or channel is in captions; what it says without interruption | voice; turn | [`export`] |
//! | names and phrases that AssemblyAI must spell right | key terms | [`Keyterms`](model::keyterms::Keyterms) |
//! | the recordings that the Twilio account already has, brought here and transcribed | import | [`import`](model::import) |
//! | recordings that are transcribed once more in other ways; one of these ways | trial; arm | [`trial`](model::trial) |
//! | what was said; what was heard, to be compared with it | reference; hypothesis | [`Comparison`](accuracy::Comparison) |
//! | the figures of one transcript, or of one channel of it, as they are stored | measure | `store::Measure` |
//! | a stretch that somebody types from the audio alone; what was typed | blind check | [`BlindCheck`](model::blind::BlindCheck) |
//! | what a transcript is measured against: words that somebody corrected, checked by ear, or typed blind | kind of reference | [`Reference`](model::measure::Reference) |
//! | the underline of an unsure word; the confidence below which words have it | mark; threshold | [`Confidences`](accuracy::marks::Confidences) |
//! | making two texts comparable; a word as it is compared | normalization; token | [`Normalization`](accuracy::Normalization), [`Token`](accuracy::Token) |
//! | substitutions, deletions and insertions, and their share of the words of the reference | edits; word error rate (WER) | [`Edits`](accuracy::Edits) |
//! | full-text index over the words of transcripts | search index | `store::search` |
//! | the call's state, the ends of its numbers and its id, and whether the transcript is checked, as words in that index | facets | `store::facets` |
//! | SQLite's write-ahead log | WAL, checkpoint | `store::engine::wal` |
//! | transactions that share one commit | group commit | `store::engine` |
//! | one of the limited number of open connections; one for requests that must always get through | slot; reserved slot | `server::slots` |
//! | limit on a rate, with bursts | token bucket | [`TokenBucket`](token_bucket::TokenBucket) |
//! | tunnel or proxy that makes strangers look local | exposure | [`exposure`] |
//! | finding that out by requests to our own `BASE_URL`; one such request | look; probe | [`exposure`] |
//! | point where a test aborts a step or kills the program | failpoint | [`failpoint`] |
//! | the two emulated vendors | sandbox | [`sandbox`] |
//!
//! Spelling is American. `tests/it/tidy.rs` lists the words that this glossary replaces, and fails where one comes back.
//!
//! # What always holds
//!
//! - No durable intent, no money. A `POST` that costs money is sent once for each intent. If its outcome is unknown, the
//!   client gets that answer ([`clients::Kind::Ambiguous`]), and the pipeline searches at the vendor. It sends the `POST`
//!   again only if the search has shown that the first one was not carried out, and a call never.
//! - Only the vendor's own refusal proves that a `POST` was not carried out, or that what is deleted is gone: a status of
//!   400 to 499 with an error in the vendor's form. A proxy in between may answer with any status after it has passed the
//!   request on. 408, 409, 425 and 499 prove nothing in any form; 429 always means that nothing was done.
//! - The right to a request that costs money ends, by a clock that runs while the process is stopped, before a search may
//!   conclude that the request was not carried out. It is checked when the request is about to be written;
//!   a deletion, which may be repeated, checks the lease before it begins each request.
//! - No clock of ours decides what a vendor's list may leave out: it is searched by the vendor's own time, which is the
//!   `Date` of its answer.
//! - A callback is acknowledged once what it reports is committed; one that only has a transcript polled sooner commits
//!   nothing. States move forward only, by rank; a state and the job
//!   that follows from it commit together; no transaction is open during a request to a vendor.
//! - Premium-rate numbers, numbers of no country, and numbers of a country that the settings do not allow are refused
//!   before anything is stored or requested.
//! - At most one call to a number is up, and at most one conversation with an operator's phone, over all instances: unique
//!   indexes of the database enforce it. A phone at which somebody has picked up a forwarded call is not dialed.
//! - A number that a call dials on comes from the committed call or from the settings, never from a request, and a
//!   conversation that has dialed a leg dials no other.
//! - A request from this computer needs no credentials if nothing in it suggests a proxy, and a look at `BASE_URL` that saw
//!   everything shows that no tunnel makes strangers look local. Every other request needs the operator token, or a session
//!   opened with it that was not logged out, or a named token with the right for its route. With a named token,
//!   being on this computer gives no other rights. Wrong tokens are limited, however long the right one is.
//! - A connection that waits for its client keeps no other connection out: it is closed for one. A request that runs is
//!   never interrupted for that, nor one of the operator. A response that ends its connection says so.
//! - A callback without proof of its origin is refused. Even with proof it only moves a state forward and makes a job due;
//!   what the vendor's API answers to that job decides.
//! - Of a recording that Twilio encrypted, nothing is submitted or played before the tag at its end is verified.
//! - Whatever a vendor sends is bounded: a response in its bytes, a list in its pages and entries, audio by its length, or
//!   without one by the duration of its recording, and by the size of an upload, a redirect in its hops. No header of a vendor's reaches a browser: the type
//!   of played audio comes from its first bytes.
//! - Settings come from the environment and from a `.env` file that no other user can change. Credentials go only to the
//!   vendor's own host, by https unless a setting names the host: no redirect is followed with them. callscribe fetches no URL that a
//!   client or a callback names.
//! - A webhook goes to no private address unless a setting allows it, by https, through no proxy, and no redirect is followed:
//!   the address is checked that is connected to. It has neither words nor phone numbers.
//! - SQL is only in [`store`], reqwest only in [`clients`] and [`sandbox`], axum only in [`web`], [`sandbox`], [`app`] and
//!   [`server`], the environment only in [`config`], the time of day only in [`clock`]. Nothing but [`app`] knows whether
//!   the vendors are the sandbox.
//! - The log masks phone numbers and contains no secrets, bodies or media URLs. It names requests by their route. What
//!   strangers can cause again and again it says once, and then at most once a minute with a count.

pub mod accuracy;
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
mod metrics;
mod model;
mod pipeline;
mod repeats;
pub mod sandbox;
pub mod send;
mod server;
pub mod splitmix;
mod spool;
mod store;
pub mod telemetry;
mod token_bucket;
pub mod twiml;
mod urls;
mod web;
mod webhook_secret;
pub mod wer;

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
    pub use crate::metrics::Connections;
    pub use crate::model::call::{CallId, CallName, CallSid};
    pub use crate::model::correction::{Correction, Edit, Sequence, correct};
    pub use crate::model::learned::{CommonWords, lessons};
    pub use crate::model::numbering::{Barred, Countries};
    pub use crate::model::phone::PhoneNumber;
    pub use crate::model::recording::RecordingSid;
    pub use crate::model::transcript::TranscriptId;
    pub use crate::model::word::SpokenWord;
    pub use crate::server::{BUSY, Limits, Server, Slot};
    pub use crate::splitmix::SplitMix64;
    pub use crate::web::is_privileged;
    pub use crate::webhook_secret::{SECRET_HEADER, WebhookSecrets};
}
