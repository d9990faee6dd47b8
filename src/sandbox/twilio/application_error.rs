//! The application error that ends a call, as Twilio's debugger shows it.

/// Why a call ends with an application error: Twilio's code, and a message for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApplicationError {
    pub(super) code: u32,
    pub(super) message: String,
}

impl ApplicationError {
    pub(super) fn new(code: u32, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }
}
