//! What the program does, through real HTTP against the sandbox. This list is the table of contents.

mod support;

mod dial;
mod faults;
mod openapi;
mod recording_url;
mod relay;
mod transcribe;
mod transcript;
mod vendor_clients;

// The program as it is started, described and made.
mod cli;
mod dependencies;
mod settings;
