//! Both vendors, emulated over real loopback HTTP: the program runs without accounts, and every test has its upstream.
//!
//! Reading order: `twilio` and `assemblyai` are the vendors, `control` is how tests steer them, `pace` is how fast they
//! live, `speech` is what the person on the phone says. `register` and `splitmix` are what they count and draw lots with.
//! Only `app` and the tests know that this room exists.

pub mod assemblyai;
pub mod control;
mod outgoing;
pub mod pace;
mod register;
pub mod speech;
pub mod splitmix;
pub mod twilio;
