//! callscribe
pub mod app;
pub mod clients;
pub mod config;
pub mod context;
pub mod events;
pub mod model;
pub mod pipeline;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod twiml;
pub mod urls;
pub mod web;
