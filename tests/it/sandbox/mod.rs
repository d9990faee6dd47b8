//! The emulated vendors as their clients see them, over real HTTP, without the program.

mod assemblyai;
mod assemblyai_control;
mod twilio;
mod twilio_control;
