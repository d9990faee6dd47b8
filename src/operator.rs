//! What lets an operator in: the token, sessions that were opened with it, the one log-in link, and whether a request
//! that looks as if it came from this computer can be taken for one. Knows no HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A session lasts a week, in seconds.
pub const SESSION: i64 = 7 * 24 * 60 * 60;

/// So many wrong tokens are looked at one after the other.
const GUESSES: i64 = 60;

/// And then one more whenever so many milliseconds have passed.
const GUESS_EVERY: i64 = 1_000;

/// Wrong tokens come too fast: none is looked at for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyGuesses;

/// What lets an operator in.
#[derive(Debug)]
pub struct Operator {
    /// `OPERATOR_TOKEN`.
    token: Option<SecretString>,
    /// What sessions are signed with: the token, so that they hold on every instance and end with it, or where there
    /// is none, a secret of this process.
    key: SecretString,
    /// What opens a session once.
    link: Mutex<Option<SecretString>>,
    /// Cancelled once strangers were seen to look like this computer.
    exposed: CancellationToken,
    /// Probes that are under way.
    probes: Mutex<Vec<String>>,
    guesses: Mutex<Guesses>,
}

/// How many wrong tokens may still come, as of when.
#[derive(Debug)]
struct Guesses {
    left: i64,
    as_of_ms: i64,
}

impl Operator {
    /// With `OPERATOR_TOKEN`, if it is set.
    pub fn new(token: Option<SecretString>) -> Self {
        Self {
            key: token.clone().unwrap_or_else(|| secret().into()),
            token,
            link: Mutex::new(None),
            exposed: CancellationToken::new(),
            probes: Mutex::new(Vec::new()),
            guesses: Mutex::new(Guesses { left: GUESSES, as_of_ms: i64::MIN }),
        }
    }

    /// Whether there is a token that somebody may know.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether there is any way in but to be at this computer.
    pub fn can_log_in(&self) -> bool {
        self.has_token() || self.is_exposed()
    }

    /// Whether this is the token. Guessing is slowed, for everybody at once, because behind a tunnel nobody can be told
    /// from anybody else: whoever keeps guessing holds up those who bring the token. It holds up no session, and nobody
    /// at this computer.
    ///
    /// # Errors
    /// If too many were wrong of late; then it was not looked at.
    pub fn is_token(&self, given: &[u8], now_ms: i64) -> Result<bool, TooManyGuesses> {
        let Some(token) = &self.token else { return Ok(false) };
        let mut guesses = lock(&self.guesses);
        let more = now_ms.saturating_sub(guesses.as_of_ms) / GUESS_EVERY;
        if more > 0 {
            *guesses = Guesses { left: guesses.left.saturating_add(more).min(GUESSES), as_of_ms: now_ms };
        }
        if guesses.left == 0 {
            return Err(TooManyGuesses);
        }
        let is_right = are_same(given, token.expose_secret().as_bytes());
        guesses.left -= i64::from(!is_right);
        Ok(is_right)
    }

    /// A new session: when it ends, and a signature of that.
    pub fn session(&self, now: Timestamp) -> String {
        let end = (now.as_second() + SESSION).to_string();
        let signature = self.sign(&end);
        format!("{end}.{signature}")
    }

    /// Whether this is a session that has not ended.
    pub fn is_session(&self, session: &str, now: Timestamp) -> bool {
        let Some((end, signature)) = session.split_once('.') else { return false };
        let is_signed = are_same(signature.as_bytes(), self.sign(end).as_bytes());
        is_signed && end.parse::<i64>().is_ok_and(|end| now.as_second() < end)
    }

    fn sign(&self, end: &str) -> String {
        let key = self.key.expose_secret().as_bytes();
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"callscribe session ");
        mac.update(end.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// What opens a session once. A link that was made before opens none any more.
    pub fn new_link(&self) -> String {
        let link = secret();
        *lock(&self.link) = Some(link.clone().into());
        link
    }

    /// Whether this is the link, which has then been used.
    pub fn use_link(&self, given: &str) -> bool {
        let mut link = lock(&self.link);
        let is_link = link.as_ref().is_some_and(|link| are_same(given.as_bytes(), link.expose_secret().as_bytes()));
        if is_link {
            *link = None;
        }
        is_link
    }

    /// Whether strangers were seen to look like this computer, so that to look like it proves nothing.
    pub fn is_exposed(&self) -> bool {
        self.exposed.is_cancelled()
    }

    /// Waits until they were.
    pub async fn exposed(&self) {
        self.exposed.cancelled().await;
    }

    /// They were. For as long as the process lives.
    pub fn expose(&self) {
        self.exposed.cancel();
    }

    /// A new probe, which is known until it is forgotten.
    pub fn new_probe(&self) -> String {
        let nonce = Uuid::new_v4().simple().to_string();
        lock(&self.probes).push(nonce.clone());
        nonce
    }

    /// Whether this is a probe that is under way.
    pub fn is_probe(&self, nonce: &str) -> bool {
        lock(&self.probes).iter().any(|probe| are_same(nonce.as_bytes(), probe.as_bytes()))
    }

    /// No probe is under way any more.
    pub fn forget_probes(&self) {
        lock(&self.probes).clear();
    }
}

/// 244 random bits.
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Compares hashes, so that the time taken tells neither where the texts differ nor how long they are.
fn are_same(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token(token: &str) -> Operator {
        Operator::new(Some(token.into()))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time within the calendar")
    }

    #[test]
    fn a_session_holds_for_a_week_wherever_the_token_is_the_same() {
        let session = with_token("one").session(at(1_000));
        assert!(with_token("one").is_session(&session, at(1_000 + SESSION - 1)));
        assert!(!with_token("one").is_session(&session, at(1_000 + SESSION)), "it has ended");
        assert!(!with_token("two").is_session(&session, at(1_000)), "the token was changed");
        assert!(!Operator::new(None).is_session(&session, at(1_000)));
    }

    #[test]
    fn without_a_token_a_session_ends_with_the_process() {
        let one = Operator::new(None);
        let session = one.session(at(1_000));
        assert!(one.is_session(&session, at(1_000)));
        assert!(!Operator::new(None).is_session(&session, at(1_000)));
    }

    #[test]
    fn a_session_that_was_not_opened_here_is_none() {
        let operator = with_token("one");
        let session = operator.session(at(1_000));
        let (end, signature) = session.split_once('.').expect("two parts");
        let later = format!("{}.{signature}", end.parse::<i64>().expect("seconds") + 1);
        let padded = format!("0{session}");
        for forged in ["", ".", end, signature, &later, &padded, &session[..session.len() - 1], "9999999999."] {
            assert!(!operator.is_session(forged, at(1_000)), "{forged}");
        }
    }

    #[test]
    fn a_log_in_link_opens_one_session() {
        let operator = Operator::new(None);
        assert!(!operator.use_link(""));
        let (first, second) = (operator.new_link(), operator.new_link());
        assert!(first.len() == 64 && first != second);
        assert!(!operator.use_link(&first), "there is another one now");
        assert!(!operator.use_link(&second[1..]));
        assert!(operator.use_link(&second));
        assert!(!operator.use_link(&second));
    }

    #[test]
    fn a_token_cannot_be_guessed_at_speed() {
        let operator = with_token("right");
        for _ in 0..1_000 {
            assert_eq!(operator.is_token(b"right", 0), Ok(true));
        }
        for _ in 0..GUESSES {
            assert_eq!(operator.is_token(b"wrong", 0), Ok(false));
        }
        assert_eq!(operator.is_token(b"right", 0), Err(TooManyGuesses), "or it would still be told which is right");
        assert_eq!(operator.is_token(b"wrong", GUESS_EVERY), Ok(false));
        assert_eq!(operator.is_token(b"right", GUESS_EVERY), Err(TooManyGuesses));
        assert_eq!(operator.is_token(b"right", 2 * GUESS_EVERY), Ok(true));
    }

    #[test]
    fn without_a_token_nothing_is_it() {
        assert_eq!(Operator::new(None).is_token(b"", 0), Ok(false));
    }
}
