//! The emulated vendors as their clients see them, over real HTTP, without the program.

mod assemblyai;
mod assemblyai_control;
mod assemblyai_requests;
mod hearing;
mod parameters;
mod twilio;
mod twilio_control;
mod twilio_dial;
mod twilio_keys;
mod twilio_phone_book;
mod twilio_requests;
