//! Thin clients of the two vendors' REST APIs, of another callscribe that runs, and of the receivers of webhooks. They speak the
//! vendors' words and know nothing of our model.
//!
//! `error` says what a caller can do about a failure; `sender` has deadlines, retries and what must never be repeated.

#![allow(missing_docs, reason = "public for the tests alone; what a vendor's own name says needs no sentence")]

pub mod archive;
pub mod assemblyai;
mod bounded;
mod error;
pub mod json;
mod lenient;
mod network;
pub mod program;
mod range;
mod sender;
pub mod tls;
pub mod twilio;
pub mod webhook;

use std::time::Duration;

pub use error::{Error, Kind, Refusal, Service};
use sender::{Sender, transport};

/// How long a vendor may take.
#[derive(Debug, Clone)]
pub struct Deadlines {
    pub connect: Duration,
    /// Until the first byte of a response, and then between two chunks of it. Audio has `stall` for that.
    pub answer: Duration,
    /// For a whole response except audio.
    pub body: Duration,
    /// Until the last retry of a GET begins, and for a list with all its pages.
    pub repeated: Duration,
    /// Between two chunks of audio.
    pub stall: Duration,
    /// For the whole audio.
    pub audio: Duration,
    /// Until the end of a receiver's answer to a webhook.
    pub webhook: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Less than the time the program waits at its stop for requests that have begun.
            answer: Duration::from_secs(8),
            body: Duration::from_secs(180),
            repeated: Duration::from_secs(20),
            stall: Duration::from_secs(15),
            audio: Duration::from_secs(3_600),
            webhook: Duration::from_secs(15),
        }
    }
}

/// Returns `true` for a URL whose host is this computer.
pub fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Returns lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
