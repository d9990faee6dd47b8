//! Thin clients of the two vendors' REST APIs. They speak the vendors' words and know nothing of our model.
//!
//! What both share is here and in `sender`: the error that says what a caller can decide on, deadlines, and when a
//! request may be repeated.

pub mod assemblyai;
mod error;
pub mod outside;
mod sender;
mod tls;
pub mod twilio;

use std::time::Duration;

pub use error::{Error, Kind, Refusal, Service};
use sender::{Sender, transport};

/// How long a vendor may take.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// For a connection to stand.
    pub connect: Duration,
    /// For an answer to begin, and then for it to move on by at least a byte.
    pub answer: Duration,
    /// For an answer to come whole, audio aside.
    pub body: Duration,
    /// For the last repetition of a GET to begin, and for a list with all its pages.
    pub repeated: Duration,
    /// For audio that is under way to move on by at least a byte.
    pub stall: Duration,
    /// For audio to arrive whole, over whatever line, as long as somebody reads it.
    pub audio: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Less than the time that a stop gives to what has begun.
            answer: Duration::from_secs(8),
            body: Duration::from_secs(180),
            repeated: Duration::from_secs(20),
            stall: Duration::from_secs(15),
            audio: Duration::from_secs(3_600),
        }
    }
}

/// Whether this is an address of this computer.
pub fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
