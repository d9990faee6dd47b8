//! Both vendors, emulated over real loopback HTTP.
pub mod assemblyai;
pub mod control;
mod outgoing;
pub mod pace;
pub mod speech;
