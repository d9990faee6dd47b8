//! What decides who is an operator, apart from being at this computer: the token, sessions opened with it, and the log-in
//! link. Knows no HTTP.

mod link;
mod named;
mod sessions;
pub mod signature;
mod token;

use secrecy::SecretString;

use link::LogInLink;
pub use named::{NewToken, hash_of_named};
use sessions::Sessions;
pub use sessions::{SESSION_SECONDS, Session};
use token::Token;
pub use token::{SAFE_TOKEN, TooManyGuesses};

#[derive(Debug)]
pub struct Auth {
    pub token: Token,
    pub sessions: Sessions,
    pub link: LogInLink,
}

impl Auth {
    /// `token` is `OPERATOR_TOKEN`, if it is set.
    pub fn new(token: Option<SecretString>) -> Self {
        Self { sessions: Sessions::new(token.clone()), token: Token::new(token), link: LogInLink::default() }
    }
}
