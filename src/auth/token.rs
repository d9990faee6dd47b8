//! The operator's token, and a limit on guesses at it.

use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use super::signature::are_same;
use crate::token_bucket::TokenBucket;

/// A token of this many characters cannot be guessed at any rate.
pub const SAFE_TOKEN: usize = 16;

/// Burst size of the token bucket that limits wrong guesses of a shorter token.
const GUESSES: i64 = 60;

/// Milliseconds after which the bucket allows one more wrong guess.
const GUESS_EVERY: i64 = 1_000;

/// Wrong tokens come too fast: none is compared for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyGuesses;

#[derive(Debug)]
pub struct Token {
    secret: Option<SecretString>,
    guesses: Mutex<TokenBucket>,
}

impl Token {
    pub fn new(secret: Option<SecretString>) -> Self {
        Self { secret, guesses: Mutex::new(TokenBucket::new(GUESSES, GUESS_EVERY)) }
    }

    pub fn is_set(&self) -> bool {
        self.secret.is_some()
    }

    /// Returns whether this is the token.
    ///
    /// Guesses at a short token are limited for all clients together, because behind a tunnel no client can be told from
    /// another. An attacker can therefore delay those who send the token, but neither sessions nor requests from this
    /// computer. A long token cannot be guessed, so it has no limit and nobody can be delayed.
    ///
    /// # Errors
    /// If there were too many wrong guesses. The token given is not compared then.
    pub fn matches(&self, given: &[u8], now_ms: i64) -> Result<bool, TooManyGuesses> {
        let Some(secret) = &self.secret else { return Ok(false) };
        let is_right = are_same(given, secret.expose_secret().as_bytes());
        if secret.expose_secret().len() >= SAFE_TOKEN {
            return Ok(is_right);
        }
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if guesses.is_empty(now_ms) {
            return Err(TooManyGuesses);
        }
        if !is_right {
            guesses.take(now_ms);
        }
        Ok(is_right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(token: &str) -> Token {
        Token::new(Some(token.into()))
    }

    #[test]
    fn a_token_cannot_be_guessed_at_speed() {
        let token = token("right");
        for _ in 0..1_000 {
            assert_eq!(token.matches(b"right", 0), Ok(true));
        }
        for _ in 0..GUESSES {
            assert_eq!(token.matches(b"wrong", 0), Ok(false));
        }
        assert_eq!(token.matches(b"right", 0), Err(TooManyGuesses), "or guessing could go on");
        assert_eq!(token.matches(b"wrong", GUESS_EVERY), Ok(false));
        assert_eq!(token.matches(b"right", GUESS_EVERY), Err(TooManyGuesses));
        assert_eq!(token.matches(b"right", 2 * GUESS_EVERY), Ok(true));
    }

    #[test]
    fn nobody_is_held_up_by_guesses_at_a_token_that_cannot_be_guessed() {
        let long = "x".repeat(SAFE_TOKEN);
        for (secret, is_held_up) in [(&long[..], false), (&long[1..], true)] {
            let token = token(secret);
            for _ in 0..2 * GUESSES {
                _ = token.matches(b"wrong", 0);
            }
            let answer = token.matches(secret.as_bytes(), 0);
            assert_eq!(answer, if is_held_up { Err(TooManyGuesses) } else { Ok(true) });
            assert_eq!(token.matches(b"wrong", 2 * GUESS_EVERY), Ok(false));
        }
    }

    #[test]
    fn without_a_token_nothing_is_it() {
        assert_eq!(Token::new(None).matches(b"", 0), Ok(false));
    }
}
