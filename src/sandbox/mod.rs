//! Both vendors, emulated over real loopback HTTP.
pub mod control;
