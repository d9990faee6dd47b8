//! Who asks for something, and how the same request is recognized when it comes again.

/// What a client's request says of itself.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks, for people.
    pub by: String,
    /// The hash of `Idempotency-Key`, of who sends it, and of the address it is sent to. Two requests with the same cost once.
    pub key: Option<String>,
}
