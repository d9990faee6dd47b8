//! What AssemblyAI posts to us. Source: <https://www.assemblyai.com/docs/deployment/webhooks>.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::AssemblyAi;
use crate::clients::hex;

/// The header that carries the secret of a webhook. AssemblyAI signs nothing, it only sends back what it was given.
pub const SECRET_HEADER: &str = "X-Webhook-Secret";

/// A transcript is finished. It is a hint: the transcript itself says how it ended.
#[derive(Debug, Clone, Deserialize)]
pub struct TranscriptReady {
    /// The transcript's id. The webhook for redacted audio has none.
    #[serde(default)]
    pub transcript_id: Option<String>,
}

impl AssemblyAi {
    /// What the webhook of this job must carry: another for each, so that one that leaks forges one. Lower-case hex.
    pub fn webhook_secret(&self, job: &str) -> String {
        let key = self.key.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"callscribe webhook ");
        mac.update(job.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Whether this is the secret of that job, in constant time.
    pub fn is_webhook_secret(&self, job: &str, secret: &[u8]) -> bool {
        self.webhook_secret(job).as_bytes().ct_eq(secret).into()
    }
}
