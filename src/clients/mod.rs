//! Thin clients of the two vendors' REST APIs.
pub mod twilio;
