//! What the program does, through real HTTP against the sandbox. This list is the table of contents.

mod support;

// Who may, and the routes.
mod access;
mod dial;
mod hooks;
mod record;
mod recording_url;
mod signature;
mod transcribe;
mod transcript;

// What becomes of a call, whatever is lost or fails on the way.
mod pipeline;
mod store;
mod transcripts_kept;

// The vendors: what they are asked, what goes wrong there, and whether the sandbox is as they are.
mod faults;
mod lists;
mod media;
mod openapi;
mod problems;
mod relay;
mod vendor_clients;

// The program as it is started, described and made.
mod cli;
mod dependencies;
mod server;
mod settings;

// All of it on the other kind of store, and two programs on one.
mod postgres;
mod two_programs;
