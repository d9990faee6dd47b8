//! The secrets that webhooks are signed with, as Standard Webhooks writes them: `whsec_` and base64. Source:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const PREFIX: &str = "whsec_";

/// The lengths of a key that the specification allows, in bytes.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// A secret that was checked. `Debug` does not print it.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// A new one of 32 random bytes.
    pub fn random() -> Self {
        let random = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
        Self(format!("{PREFIX}{}", STANDARD.encode(Sha256::digest(random))).into())
    }

    /// Returns it as it is written, with its prefix.
    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the bytes that sign.
    pub fn key(&self) -> Zeroizing<Vec<u8>> {
        let encoded = self.text().strip_prefix(PREFIX).unwrap_or_default();
        Zeroizing::new(STANDARD.decode(encoded).unwrap_or_default())
    }
}

impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl FromStr for SigningSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let key = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok()).map(Zeroizing::new);
        let fits = key.is_some_and(|key| (SHORTEST..=LONGEST).contains(&key.len()));
        if fits { Ok(Self(text.into())) } else { Err(BadSecret) }
    }
}

/// A text is no secret. It is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a secret: whsec_ and the base64 of {SHORTEST} to {LONGEST} bytes")]
pub struct BadSecret;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_length_that_the_specification_allows() {
        for (bytes, fits) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(text.parse::<SigningSecret>().is_ok(), fits, "{bytes}");
        }
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_"] {
            assert!(text.parse::<SigningSecret>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_secret_is_like_no_other_and_debug_does_not_print_it() {
        let (one, other) = (SigningSecret::random(), SigningSecret::random());
        assert_eq!(one.text().parse::<SigningSecret>().as_ref(), Ok(&one));
        assert!(one != other && one.key().len() == 32);
        assert!(!format!("{one:?}").contains(&one.text()[6..]), "{one:?}");
    }
}
