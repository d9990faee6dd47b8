//! How tests control an emulated vendor: inject faults, look at the requests it received, and wait for a condition.
//!
//! Reading order: `handle` is what a test holds, `faults` what can go wrong, `request_log` the requests received, and
//! `intercept` the middleware in front of the vendor that logs requests and injects faults. Knows nothing of either
//! vendor. With `--sandbox` nothing is injected; the log is bounded.

mod faults;
mod handle;
mod intercept;
mod request_log;

pub use faults::{Fault, RandomFaults};
pub use handle::{Callbacks, Control, LateEnd};
pub(super) use intercept::intercept;
pub use request_log::LoggedRequest;
