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
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::token_bucket::TokenBucket;

/// A session lasts a week, in seconds.
pub const SESSION: i64 = 7 * 24 * 60 * 60;

/// A token of so many characters is not guessed at any speed.
pub const SAFE_TOKEN: usize = 16;

/// A probe that was sent longer ago, in seconds, is none any more. Clocks of other instances may differ a little.
const PROBE: u64 = 60;

/// Burst size of the token bucket that limits wrong guesses of a shorter token.
const GUESSES: i64 = 60;

/// Milliseconds after which the bucket allows one more wrong guess.
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
    /// What probes and their answers are signed with: what all instances know to whom callbacks may come.
    probe_key: SecretString,
    /// Whether strangers were seen to look like this computer.
    exposed: CancellationToken,
    /// Told when there is no link to log in by, although one is needed.
    link_wanted: Notify,
    guesses: Mutex<TokenBucket>,
}

impl Operator {
    /// With `OPERATOR_TOKEN`, if it is set, and the secret that this program's instances have in common.
    pub fn new(token: Option<SecretString>, common: SecretString) -> Self {
        Self {
            key: token.clone().unwrap_or_else(|| secret().into()),
            token,
            link: Mutex::new(None),
            probe_key: common,
            exposed: CancellationToken::new(),
            link_wanted: Notify::new(),
            guesses: Mutex::new(TokenBucket::new(GUESSES, GUESS_EVERY)),
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

    /// Whether this is the token. To guess a short one is slowed, for everybody at once, because behind a tunnel nobody
    /// can be told from anybody else: whoever keeps guessing holds up those who bring the token. It holds up no session,
    /// and nobody at this computer. A long one cannot be guessed, so there nobody can hold up anybody.
    ///
    /// # Errors
    /// If too many were wrong of late; then nothing is said of this one.
    pub fn is_token(&self, given: &[u8], now_ms: i64) -> Result<bool, TooManyGuesses> {
        let Some(token) = &self.token else { return Ok(false) };
        let is_right = are_same(given, token.expose_secret().as_bytes());
        if token.expose_secret().len() >= SAFE_TOKEN {
            return Ok(is_right);
        }
        let mut guesses = lock(&self.guesses);
        if guesses.is_empty(now_ms) {
            return Err(TooManyGuesses);
        }
        if !is_right {
            guesses.take(now_ms);
        }
        Ok(is_right)
    }

    /// A new session: when it ends, and a signature of that.
    pub fn session(&self, now: Timestamp) -> String {
        let end = (now.as_second() + SESSION).to_string();
        let signature = sign(&self.key, "session", &end);
        format!("{end}.{signature}")
    }

    /// Whether this is a session that has not ended.
    pub fn is_session(&self, session: &str, now: Timestamp) -> bool {
        let Some((end, signature)) = session.split_once('.') else { return false };
        let is_signed = are_same(signature.as_bytes(), sign(&self.key, "session", end).as_bytes());
        is_signed && end.parse::<i64>().is_ok_and(|end| now.as_second() < end)
    }

    /// Waits until a link to log in by is needed: strangers were seen to look like this computer, or the last link was
    /// used.
    pub async fn link_wanted(&self) {
        self.link_wanted.notified().await;
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
            self.link_wanted.notify_one();
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

    /// They were. For as long as the process lives. Whether that is new.
    pub fn expose(&self) -> bool {
        let is_new = !self.exposed.is_cancelled();
        self.exposed.cancel();
        if is_new {
            self.link_wanted.notify_one();
        }
        is_new
    }

    /// A new probe, which every instance knows for one for a minute: when it was made, what tells it from others, and a
    /// signature of that.
    pub fn new_probe(&self, now: Timestamp) -> String {
        let probe = format!("{}.{}", now.as_second(), Uuid::new_v4().simple());
        let signature = sign(&self.probe_key, "probe", &probe);
        format!("{probe}.{signature}")
    }

    /// Whether this is a probe that an instance sent within the last minute.
    pub fn is_probe(&self, probe: &str, now: Timestamp) -> bool {
        let Some((probe, signature)) = probe.rsplit_once('.') else { return false };
        let is_signed = are_same(signature.as_bytes(), sign(&self.probe_key, "probe", probe).as_bytes());
        let sent = probe.split_once('.').and_then(|(sent, _)| sent.parse::<i64>().ok());
        is_signed && sent.is_some_and(|sent| now.as_second().abs_diff(sent) <= PROBE)
    }

    /// What this probe is answered with by an instance to which it looked local, or did not. Nobody else knows it.
    pub fn answer(&self, probe: &str, looked_local: bool) -> String {
        sign(&self.probe_key, if looked_local { "local" } else { "foreign" }, probe)
    }
}

/// A signature of this text as this kind of thing, for URLs.
fn sign(key: &SecretString, kind: &str, text: &str) -> String {
    let key = key.expose_secret().as_bytes();
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("callscribe {kind} {text}").as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
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
        Operator::new(Some(token.into()), "common".into())
    }

    fn without_token() -> Operator {
        Operator::new(None, "common".into())
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
        assert!(!without_token().is_session(&session, at(1_000)));
    }

    #[test]
    fn without_a_token_a_session_ends_with_the_process() {
        let one = without_token();
        let session = one.session(at(1_000));
        assert!(one.is_session(&session, at(1_000)));
        assert!(!without_token().is_session(&session, at(1_000)));
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
        let operator = without_token();
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
    fn nobody_is_held_up_by_guesses_at_a_token_that_cannot_be_guessed() {
        let token = "x".repeat(SAFE_TOKEN);
        for (token, is_held_up) in [(&token[..], false), (&token[1..], true)] {
            let operator = with_token(token);
            for _ in 0..2 * GUESSES {
                _ = operator.is_token(b"wrong", 0);
            }
            let answer = operator.is_token(token.as_bytes(), 0);
            assert_eq!(answer, if is_held_up { Err(TooManyGuesses) } else { Ok(true) });
            assert_eq!(operator.is_token(b"wrong", 2 * GUESS_EVERY), Ok(false));
        }
    }

    #[test]
    fn a_probe_is_known_for_a_minute_by_whoever_has_the_same_secret() {
        let probe = without_token().new_probe(at(1_000));
        assert!(with_token("one").is_probe(&probe, at(1_000)));
        for (second, is_known) in [(939, false), (940, true), (1_060, true), (1_061, false)] {
            assert_eq!(without_token().is_probe(&probe, at(second)), is_known, "{second}");
        }
        assert!(!Operator::new(None, "other".into()).is_probe(&probe, at(1_000)));
        assert_ne!(probe, without_token().new_probe(at(1_000)));
        let (text, signature) = probe.rsplit_once('.').expect("a signature");
        let session = Operator::new(Some("common".into()), "common".into()).session(at(1_000));
        for forged in ["", "..", text, signature, &format!("1{probe}"), &probe[..probe.len() - 1], "1000.x.", &session]
        {
            assert!(!without_token().is_probe(forged, at(1_000)), "{forged}");
        }
    }

    #[test]
    fn an_answer_is_to_one_probe_and_says_how_it_looked() {
        let (here, probe) = (without_token(), without_token().new_probe(at(1_000)));
        let answers = [
            here.answer(&probe, true),
            here.answer(&probe, false),
            here.answer(&here.new_probe(at(1_000)), true),
            Operator::new(None, "other".into()).answer(&probe, true),
        ];
        for (index, answer) in answers.iter().enumerate() {
            assert!(!answers[..index].contains(answer) && !probe.contains(answer.as_str()));
        }
        assert_eq!(answers[0], with_token("one").answer(&probe, true));
    }

    #[tokio::test]
    async fn a_link_is_wanted_once_strangers_look_local_and_again_when_it_was_used() {
        let operator = without_token();
        assert!(operator.expose() && !operator.expose());
        operator.link_wanted().await;
        let link = operator.new_link();
        assert!(!operator.use_link("x") && operator.use_link(&link));
        operator.link_wanted().await;
    }

    #[test]
    fn without_a_token_nothing_is_it() {
        assert_eq!(without_token().is_token(b"", 0), Ok(false));
    }
}
