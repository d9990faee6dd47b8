//! The secret by which AssemblyAI's webhooks are recognized. AssemblyAI signs nothing: it only sends back a header that the
//! order named.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::transcript::OrderId;

/// The header that carries the secret.
pub const SECRET_HEADER: &str = "X-Webhook-Secret";

/// Derives the secrets from the AssemblyAI key, which all instances share.
#[derive(Debug, Clone)]
pub struct WebhookSecrets {
    key: SecretString,
}

impl WebhookSecrets {
    /// Returns the secrets derived from this key, which itself is in no webhook.
    pub fn new(assemblyai_key: SecretString) -> Self {
        Self { key: assemblyai_key }
    }

    /// Returns the secret of an order in lower-case hex. Each order has its own, so that a leaked one forges one webhook.
    pub fn secret(&self, order: &OrderId) -> String {
        let key = self.key.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"callscribe webhook ");
        mac.update(order.as_str().as_bytes());
        crate::clients::hex(&mac.finalize().into_bytes())
    }

    /// Compares in constant time.
    pub fn verify(&self, order: &OrderId, secret: &[u8]) -> bool {
        self.secret(order).as_bytes().ct_eq(secret).into()
    }
}
