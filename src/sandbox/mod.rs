//! Both vendors, emulated over real loopback HTTP.
pub mod assemblyai;
pub mod control;
mod http;
pub mod pace;
pub mod speech;
