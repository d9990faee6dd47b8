//! The text of named tokens: recognizable for people and for programs that search for secrets.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::signature::random_secret;

/// What every named token begins with.
const PREFIX: &str = "callscribe_";

/// A token that was just made.
#[derive(Debug)]
pub struct NewToken(SecretString);

impl NewToken {
    pub fn random() -> Self {
        Self(format!("{PREFIX}{}", random_secret()).into())
    }

    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// Its SHA-256, in hex. It has 244 random bits, so that nobody finds it by its hash.
    pub fn hash(&self) -> String {
        hash(self.text().as_bytes())
    }
}

/// The hash of a text that begins as a named token does. One that is damaged must not pass for no token.
pub fn hash_of_named(given: &[u8]) -> Option<String> {
    given.starts_with(PREFIX.as_bytes()).then(|| hash(given))
}

fn hash(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognized_by_its_form() {
        let token = NewToken::random();
        assert_eq!(hash_of_named(token.text().as_bytes()), Some(token.hash()));
        assert_ne!(NewToken::random().hash(), token.hash());
        for other in ["", "callscribe", "a-token-for-the-crash-test", &token.text()[1..]] {
            assert_eq!(hash_of_named(other.as_bytes()), None, "{other}");
        }
    }
}
