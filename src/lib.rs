//! callscribe
pub mod clients;
pub mod sandbox;
