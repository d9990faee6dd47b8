//! `X-Twilio-Signature`: how Twilio proves that it sent a callback.
//!
//! Pure: knows neither HTTP nor our settings. The sandbox signs with the function that the hooks verify with; tests check it
//! against Twilio's published vectors.
//!
//! Source: <https://www.twilio.com/docs/usage/security>, and `RequestValidator` of Twilio's libraries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clients::hex;

pub const HEADER: &str = "x-twilio-signature";

/// Present if a callback is signed with a shared key of the webhook configuration API instead of the auth token.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// Query parameter with the hash of a body that is not a form.
const BODY_SHA256: &str = "bodySHA256";

/// Without [`SETTINGS_HEADER`] it is always SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    HmacSha1,
    HmacSha256,
}

/// What [`SETTINGS_HEADER`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureSettings<'h> {
    /// `webhooks_sharedkey_…`.
    pub key_id: &'h str,
    pub algorithm: Algorithm,
}

impl<'h> SignatureSettings<'h> {
    /// Parses `key=<id>,algorithm=HMAC_SHA256`. Without an algorithm it is SHA-1, as in Twilio's libraries. Returns `None`
    /// for an unknown algorithm, and unless there is exactly one key.
    pub fn parse(header: &'h str) -> Option<Self> {
        let (mut key_id, mut algorithm) = (None, None);
        for (name, value) in header.split(',').filter_map(|part| part.split_once('=')) {
            let slot = match name.trim() {
                "key" => &mut key_id,
                "algorithm" => &mut algorithm,
                _ => continue,
            };
            if slot.replace(value.trim()).is_some() {
                return None;
            }
        }
        let algorithm = match algorithm.unwrap_or("HMAC_SHA1").to_ascii_uppercase().as_str() {
            "HMAC_SHA1" => Algorithm::HmacSha1,
            "HMAC_SHA256" => Algorithm::HmacSha256,
            _ => return None,
        };
        Some(Self { key_id: key_id.filter(|id| !id.is_empty())?, algorithm })
    }
}

/// A decoded name and value of a form.
pub type Param = (String, String);

/// Returns the signature in base64. `url` is the full URL as requested; `params` are those of the form body, none for GET.
pub fn sign<T: AsRef<str> + Ord>(algorithm: Algorithm, key: &str, url: &str, params: &[(T, T)]) -> String {
    sign_joined(algorithm, key, url, &joined(params))
}

fn sign_joined(algorithm: Algorithm, key: &str, url: &str, params: &str) -> String {
    match algorithm {
        Algorithm::HmacSha1 => STANDARD.encode(hmac::<Hmac<Sha1>>(key, url, params)),
        Algorithm::HmacSha256 => STANDARD.encode(hmac::<Hmac<Sha256>>(key, url, params)),
    }
}

/// Compares in constant time. Depending on the product, Twilio signs the URL without its port or with the standard one, so
/// both spellings count.
pub fn verify<T: AsRef<str> + Ord>(
    algorithm: Algorithm,
    key: &str,
    url: &str,
    params: &[(T, T)],
    signature: &str,
) -> bool {
    let params = joined(params);
    let matches = |url: &str| {
        let expected = sign_joined(algorithm, key, url, &params);
        expected.as_bytes().ct_eq(signature.as_bytes()).into()
    };
    matches(url) || other_spelling(url).is_some_and(|url| matches(&url))
}

/// Returns the hash that the URL promises for a body that is not a form.
pub fn promised_body_hash(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == BODY_SHA256)
        .map(|(_, value)| value.into_owned())
}

/// Returns `true` if the SHA-256 of `body`, in lower-case hex, is the promised one.
pub fn body_matches(promised: &str, body: &[u8]) -> bool {
    hex(&Sha256::digest(body)).as_bytes().ct_eq(promised.as_bytes()).into()
}

fn hmac<M: Mac + KeyInit>(key: &str, url: &str, params: &str) -> impl AsRef<[u8]> {
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    mac.update(params.as_bytes());
    mac.finalize().into_bytes()
}

/// Returns the names and values that are signed after the URL, in byte order, without repeated pairs.
fn joined<T: AsRef<str> + Ord>(params: &[(T, T)]) -> String {
    let mut sorted: Vec<&(T, T)> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let parts = || sorted.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
    let mut text = String::with_capacity(parts().map(str::len).sum());
    text.extend(parts());
    text
}

/// Returns the URL without its port, or with the standard port if it has none.
fn other_spelling(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // Skip the colons of an IPv6 literal.
    match authority.rfind(':').filter(|colon| !authority[*colon..].contains(']')) {
        Some(colon) => Some(format!("{scheme}://{}{tail}", &authority[..colon])),
        None => {
            let standard = if scheme == "https" { 443 } else { 80 };
            Some(format!("{scheme}://{authority}:{standard}{tail}"))
        }
    }
}
