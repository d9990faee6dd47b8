//! Sessions. A session is the time at which it ends, its id, and a signature of both. Only those that were logged out are
//! stored.

use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use super::signature::{are_same, random_secret, sign};

/// A session lasts a week.
pub const SESSION_SECONDS: i64 = 7 * 24 * 60 * 60;

/// How far the clock of the instance that has opened a session may be ahead of this one. A session that lasts longer was
/// opened by a clock that has been set back since.
const SKEW: i64 = 60 * 60;

#[derive(Debug)]
pub struct Sessions {
    /// The token, so that sessions are valid on every instance and end when it is changed; without a token, a secret of
    /// this process.
    key: SecretString,
}

/// A session that was opened here and whose time is not over. It may have been logged out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: String,
}

impl Sessions {
    pub fn new(token: Option<SecretString>) -> Self {
        Self { key: token.unwrap_or_else(|| random_secret().into()) }
    }

    /// Returns a new session.
    pub fn open(&self, now: Timestamp) -> String {
        let session = format!("{}.{}", now.as_second() + SESSION_SECONDS, Uuid::new_v4().simple());
        let signature = sign(&self.key, "session", &session);
        format!("{session}.{signature}")
    }

    /// Returns the session if it was opened here and its time is not over.
    pub fn read(&self, session: &str, now: Timestamp) -> Option<Session> {
        let (session, signature) = session.rsplit_once('.')?;
        let is_signed = are_same(signature.as_bytes(), sign(&self.key, "session", session).as_bytes());
        let (end, id) = session.split_once('.').filter(|_| is_signed)?;
        let left = end.parse::<i64>().ok()?.checked_sub(now.as_second())?;
        (1..=SESSION_SECONDS + SKEW).contains(&left).then(|| Session { id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sessions {
        fn is_open(&self, session: &str, now: Timestamp) -> bool {
            self.read(session, now).is_some()
        }
    }

    fn with_token(token: &str) -> Sessions {
        Sessions::new(Some(token.into()))
    }

    fn without_token() -> Sessions {
        Sessions::new(None)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time within the calendar")
    }

    #[test]
    fn a_session_holds_for_a_week_wherever_the_token_is_the_same() {
        let session = with_token("one").open(at(1_000));
        assert!(with_token("one").is_open(&session, at(1_000 + SESSION_SECONDS - 1)));
        assert!(!with_token("one").is_open(&session, at(1_000 + SESSION_SECONDS)), "it has ended");
        assert!(!with_token("two").is_open(&session, at(1_000)), "the token was changed");
        assert!(!without_token().is_open(&session, at(1_000)));
    }

    #[test]
    fn without_a_token_a_session_ends_with_the_process() {
        let one = without_token();
        let session = one.open(at(1_000));
        assert!(one.is_open(&session, at(1_000)));
        assert!(!without_token().is_open(&session, at(1_000)));
    }

    #[test]
    fn a_session_that_was_not_opened_here_is_none() {
        let sessions = with_token("one");
        let session = sessions.open(at(1_000));
        let (text, signature) = session.rsplit_once('.').expect("two parts");
        let (end, id) = text.split_once('.').expect("two parts");
        let later = format!("{}.{id}.{signature}", end.parse::<i64>().expect("seconds") + 1);
        let other = format!("{end}.{id}0.{signature}");
        let padded = format!("0{session}");
        for forged in
            ["", ".", "..", end, text, signature, &later, &other, &padded, &session[..session.len() - 1], "9999999999."]
        {
            assert!(!sessions.is_open(forged, at(1_000)), "{forged}");
        }
    }

    #[test]
    fn a_session_that_a_clock_which_was_ahead_has_opened_is_none() {
        let sessions = with_token("one");
        let session = sessions.open(at(1_000 + 400 * 24 * 60 * 60));
        assert!(!sessions.is_open(&session, at(1_000)));
        assert!(sessions.is_open(&sessions.open(at(1_000 + 60)), at(1_000)), "clocks differ a little");
    }

    #[test]
    fn sessions_opened_in_the_same_second_are_two() {
        let sessions = with_token("one");
        let [one, other] = [sessions.open(at(1_000)), sessions.open(at(1_000))];
        assert_ne!(sessions.read(&one, at(1_000)), sessions.read(&other, at(1_000)));
    }
}
