//! The sandbox: both vendors, emulated over real loopback HTTP, so that the program runs without accounts and every test
//! has something to call.
//!
//! Reading order: `twilio` and `assemblyai` are the vendors; `control` lets tests inject faults and look at requests;
//! `pace` sets how long each stage of a call or transcript takes; `speech` is the audio of the person on the phone. The
//! other files support these. Only `app` and the tests use this module.
#![allow(missing_docs, reason = "public for the integration tests alone; most names need no sentence")]

pub mod assemblyai;
pub mod control;
mod lock;
mod ordered_map;
mod outgoing;
pub mod pace;
pub mod speech;
pub mod twilio;
