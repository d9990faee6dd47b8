//! Twilio's REST API and callbacks.
pub mod signature;
