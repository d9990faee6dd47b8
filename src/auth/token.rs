//! The operator's token, and a limit on guesses at it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::signature::are_same;
use crate::token_bucket::TokenBucket;

/// A shorter token is warned of: it has too few characters to be random enough.
pub const SAFE_TOKEN: usize = 16;

/// Burst size of the token bucket that limits the wrong guesses from one address.
const GUESSES: i64 = 60;

/// Milliseconds after which that bucket allows one more wrong guess.
const GUESS_EVERY: i64 = 1_000;

/// The same for all addresses together, because a guesser may have many, or invent them.
const GUESSES_OF_ALL: i64 = 300;
const GUESS_OF_ALL_EVERY: i64 = 250;

/// How many addresses have a bucket of their own, and how many wrong tokens and networks of the operator are remembered.
const REMEMBERED: usize = 1_024;

/// Milliseconds for which it is remembered that the right token came from a network.
const KNOWN_FOR: i64 = 7 * 24 * 60 * 60 * 1_000;

/// Wrong tokens come too fast: none is compared for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyGuesses;

#[derive(Debug)]
pub struct Token {
    secret: Option<SecretString>,
    guesses: Mutex<Guesses>,
}

/// Recent wrong guesses.
#[derive(Debug)]
struct Guesses {
    of_all: TokenBucket,
    by_address: HashMap<IpAddr, TokenBucket>,
    /// The networks that the right token came from, and when it last did. Guesses from elsewhere do not delay it there.
    known: HashMap<IpAddr, i64>,
    /// Hashes of wrong tokens. A program that sends an outdated token again and again guesses once.
    wrong: HashSet<[u8; 32]>,
}

impl Token {
    pub fn new(secret: Option<SecretString>) -> Self {
        let of_all = TokenBucket::new(GUESSES_OF_ALL, GUESS_OF_ALL_EVERY);
        let guesses = Guesses { of_all, by_address: HashMap::new(), known: HashMap::new(), wrong: HashSet::new() };
        Self { secret, guesses: Mutex::new(guesses) }
    }

    pub fn is_set(&self) -> bool {
        self.secret.is_some()
    }

    /// Returns whether this is the token.
    ///
    /// Wrong guesses are limited for each address that they come from, so that a stranger who guesses does not delay an
    /// operator elsewhere, and for all addresses together, because behind some tunnels a stranger can invent addresses.
    /// The second limit does not hold where the right token came from within the last days: a stranger who invents that
    /// very address is under the first one. Neither sessions nor requests from this computer are delayed.
    ///
    /// # Errors
    /// If there were too many wrong guesses. The token given is not compared then, or guessing could go on.
    pub fn matches(&self, given: &[u8], from: IpAddr, now_ms: i64) -> Result<bool, TooManyGuesses> {
        let Some(secret) = &self.secret else { return Ok(false) };
        let hash: [u8; 32] = Sha256::digest(given).into();
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if guesses.wrong.contains(&hash) {
            return Ok(false);
        }
        if !guesses.may_guess(network(from), now_ms) {
            return Err(TooManyGuesses);
        }
        let is_right = are_same(given, secret.expose_secret().as_bytes());
        if is_right {
            guesses.know(network(from), now_ms);
        } else {
            guesses.count(network(from), hash, now_ms);
        }
        Ok(is_right)
    }
}

impl Guesses {
    fn may_guess(&mut self, from: IpAddr, now_ms: i64) -> bool {
        let is_known = self.known.get(&from).is_some_and(|at| now_ms.saturating_sub(*at) <= KNOWN_FOR);
        let too_many_of_all = !is_known && self.of_all.is_empty(now_ms);
        !too_many_of_all && !self.by_address.get_mut(&from).is_some_and(|bucket| bucket.is_empty(now_ms))
    }

    /// The right token came from there. Too many networks are forgotten.
    fn know(&mut self, from: IpAddr, now_ms: i64) {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&from) {
            self.known.clear();
        }
        self.known.insert(from, now_ms);
    }

    /// Counts a wrong guess. Too many addresses or wrong tokens are forgotten; the limit for all addresses together remains.
    fn count(&mut self, from: IpAddr, hash: [u8; 32], now_ms: i64) {
        if self.by_address.len() >= REMEMBERED {
            self.by_address.clear();
        }
        if self.wrong.len() >= REMEMBERED {
            self.wrong.clear();
        }
        self.of_all.take(now_ms);
        self.by_address.entry(from).or_insert_with(|| TokenBucket::new(GUESSES, GUESS_EVERY)).take(now_ms);
        self.wrong.insert(hash);
    }
}

/// The address; of an IPv6 address its network, within which everybody may choose addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(token: &str) -> Token {
        Token::new(Some(token.into()))
    }

    /// A guess that was not made before.
    fn guess(token: &Token, from: &str, now_ms: i64) -> Result<bool, TooManyGuesses> {
        let wrong = super::super::signature::random_secret();
        token.matches(wrong.as_bytes(), from.parse().expect("an address"), now_ms)
    }

    fn right(token: &Token, from: &str, now_ms: i64) -> Result<bool, TooManyGuesses> {
        token.matches(b"right", from.parse().expect("an address"), now_ms)
    }

    #[test]
    fn a_token_of_any_length_cannot_be_guessed_at_speed() {
        for secret in ["right", "right-and-longer-than-anyone-can-guess"] {
            let token = token(secret);
            for _ in 0..GUESSES {
                assert_eq!(guess(&token, "192.0.2.1", 0), Ok(false));
            }
            assert_eq!(guess(&token, "192.0.2.1", 0), Err(TooManyGuesses), "{secret}");
        }
    }

    #[test]
    fn the_right_token_is_not_compared_while_wrong_ones_come_too_fast_from_the_same_address() {
        let token = token("right");
        for _ in 0..1_000 {
            assert_eq!(right(&token, "192.0.2.1", 0), Ok(true));
        }
        for _ in 0..GUESSES {
            assert_eq!(guess(&token, "192.0.2.1", 0), Ok(false));
        }
        assert_eq!(right(&token, "192.0.2.1", 0), Err(TooManyGuesses), "or guessing could go on");
        assert_eq!(right(&token, "::ffff:192.0.2.1", 0), Err(TooManyGuesses));
        assert_eq!(right(&token, "192.0.2.2", 0), Ok(true), "nobody elsewhere is delayed");
        assert_eq!(guess(&token, "192.0.2.1", GUESS_EVERY), Ok(false));
        assert_eq!(right(&token, "192.0.2.1", GUESS_EVERY), Err(TooManyGuesses));
        assert_eq!(right(&token, "192.0.2.1", 2 * GUESS_EVERY), Ok(true));
    }

    #[test]
    fn guesses_from_many_addresses_are_limited_together() {
        let token = token("right");
        let guesses = (0..10_000).filter(|n| guess(&token, &format!("10.0.{}.{}", n / 250, n % 250), 0).is_ok());
        assert_eq!(guesses.count(), usize::try_from(GUESSES_OF_ALL).expect("a number"));
        assert_eq!(right(&token, "192.0.2.1", 0), Err(TooManyGuesses));
        assert_eq!(right(&token, "192.0.2.1", GUESS_OF_ALL_EVERY), Ok(true));
    }

    #[test]
    fn guesses_from_many_addresses_do_not_delay_the_token_where_it_came_from_within_days() {
        let token = token("right");
        assert_eq!(right(&token, "192.0.2.1", 0), Ok(true));
        for n in 0..GUESSES_OF_ALL {
            assert_eq!(guess(&token, &format!("10.0.{}.{}", n / 250, n % 250), 0), Ok(false));
        }
        assert_eq!(right(&token, "192.0.2.2", 0), Err(TooManyGuesses));
        assert_eq!(right(&token, "192.0.2.1", 0), Ok(true));
        // There, too, guesses are limited.
        for _ in 0..GUESSES {
            assert_eq!(guess(&token, "192.0.2.1", 0), Ok(false));
        }
        assert_eq!(guess(&token, "192.0.2.1", 0), Err(TooManyGuesses));
        assert_eq!(right(&token, "192.0.2.1", 0), Err(TooManyGuesses));
    }

    #[test]
    fn it_is_forgotten_after_days_where_the_token_came_from() {
        for (at, expected) in [(KNOWN_FOR, Ok(true)), (KNOWN_FOR + 1, Err(TooManyGuesses))] {
            let token = token("right");
            assert_eq!(right(&token, "192.0.2.1", 0), Ok(true));
            for n in 0..GUESSES_OF_ALL {
                assert_eq!(guess(&token, &format!("10.0.{}.{}", n / 250, n % 250), at), Ok(false));
            }
            assert_eq!(right(&token, "192.0.2.1", at), expected);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_limited_together() {
        let token = token("right");
        for n in 0..GUESSES {
            assert_eq!(guess(&token, &format!("2001:db8::{n}"), 0), Ok(false));
        }
        assert_eq!(guess(&token, "2001:db8::ffff:1", 0), Err(TooManyGuesses));
        assert_eq!(guess(&token, "2001:db8:0:1::1", 0), Ok(false));
    }

    #[test]
    fn an_outdated_token_sent_again_and_again_is_one_guess() {
        let token = token("right");
        for _ in 0..1_000 {
            assert_eq!(token.matches(b"outdated", IpAddr::from([192, 0, 2, 1]), 0), Ok(false));
        }
        assert_eq!(right(&token, "192.0.2.1", 0), Ok(true));
    }

    #[test]
    fn without_a_token_nothing_is_it() {
        assert_eq!(Token::new(None).matches(b"", IpAddr::from([192, 0, 2, 1]), 0), Ok(false));
    }
}
