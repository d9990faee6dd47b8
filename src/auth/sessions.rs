//! Sessions. Nothing is stored: a session is the time at which it ends, and a signature of that.

use jiff::Timestamp;
use secrecy::SecretString;

use super::signature::{are_same, random_secret, sign};

/// A session lasts a week.
pub const SESSION_SECONDS: i64 = 7 * 24 * 60 * 60;

#[derive(Debug)]
pub struct Sessions {
    /// The token, so that sessions are valid on every instance and end when it is changed; without a token, a secret of
    /// this process.
    key: SecretString,
}

impl Sessions {
    pub fn new(token: Option<SecretString>) -> Self {
        Self { key: token.unwrap_or_else(|| random_secret().into()) }
    }

    /// Returns a new session.
    pub fn open(&self, now: Timestamp) -> String {
        let end = (now.as_second() + SESSION_SECONDS).to_string();
        let signature = sign(&self.key, "session", &end);
        format!("{end}.{signature}")
    }

    /// Returns whether this is a session that has not ended.
    pub fn is_open(&self, session: &str, now: Timestamp) -> bool {
        let Some((end, signature)) = session.split_once('.') else { return false };
        let is_signed = are_same(signature.as_bytes(), sign(&self.key, "session", end).as_bytes());
        is_signed && end.parse::<i64>().is_ok_and(|end| now.as_second() < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (end, signature) = session.split_once('.').expect("two parts");
        let later = format!("{}.{signature}", end.parse::<i64>().expect("seconds") + 1);
        let padded = format!("0{session}");
        for forged in ["", ".", end, signature, &later, &padded, &session[..session.len() - 1], "9999999999."] {
            assert!(!sessions.is_open(forged, at(1_000)), "{forged}");
        }
    }
}
