//! What the program does, through real HTTP against the sandbox. This list is the table of contents.

mod support;

// Who may, and the routes.
mod access;
mod api;
mod archive;
mod bad_input;
mod cues;
mod dial;
mod dial_limits;
mod documents;
mod export;
mod exports;
mod hooks;
mod login;
mod numbering;
mod numbers;
mod record;
mod recording_url;
mod resumable;
mod schemathesis;
mod signature;
mod speakers;
mod transcribe;
mod transcribe_limits;
mod transcript;
mod trust;
mod tunnel;
mod upload;

// Who may, seen from a real browser and through real proxies.
mod browser;
mod proxies;

// The operator's pages.
mod events;
mod forms;
mod pages;
mod pages_in_browser;

// What becomes of a call, whatever is lost or fails on the way.
mod absence;
mod blind_checks;
mod callbacks;
mod checked;
mod contacts;
mod conversations;
mod corrections;
mod costs;
mod deletion;
mod encrypted;
mod hearing;
mod idempotency;
mod imports;
mod items;
mod large_transcripts;
mod paid_once;
mod pipeline;
mod prices;
mod replace;
mod search;
mod store;
mod sums_of_costs;
mod tokens;
mod transcripts_kept;
mod unreported_calls;
mod vocabulary;
mod webhooks;

// Agents.
mod mcp;

// The vendors: what they are asked, what goes wrong there, and whether the sandbox is as they are.
mod faults;
mod figures;
mod lists;
mod long_lists;
mod media;
mod models;
mod openapi;
mod other_apis;
mod problems;
mod relay;
mod sandbox;
mod vendor_clients;

// The program as it is started, described and made.
mod check;
mod cli;
mod dependencies;
mod manual;
mod metrics;
mod secrets;
mod send;
mod server;
mod settings;
mod tidy;

// How right a transcript is.
mod accuracy;
mod trials;
mod wer;

// All of it on the other kind of store, and two programs on one.
mod failover;
mod postgres;
mod two_programs;
mod typed_call;
