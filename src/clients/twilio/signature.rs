//! `X-Twilio-Signature`: how Twilio proves that a callback is its own.
//!
//! Pure: it gets the URL, the parameters and the key, and knows neither HTTP nor our settings. The sandbox signs with
//! the same function that the hooks check with; the published vectors keep both honest.
//!
//! Source: <https://www.twilio.com/docs/usage/security>, and `RequestValidator` of Twilio's libraries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clients::hex;

/// The header that carries the signature.
pub const HEADER: &str = "x-twilio-signature";

/// Set by Twilio's webhook configuration API when a callback is signed with a shared key instead of the auth token.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The query parameter that holds the hash of a body that is not a form.
const BODY_SHA256: &str = "bodySHA256";

/// The hash inside the HMAC. Without [`SETTINGS_HEADER`] it is always SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// What every account has.
    HmacSha1,
    /// Only for shared keys of the webhook configuration API.
    HmacSha256,
}

/// A name and a value of a form, decoded.
pub type Param = (String, String);

/// Signs a request: `url` is what is requested, scheme to query, as sent; `params` are those of a form body, none for
/// GET. Returns base64.
pub fn sign<T: AsRef<str> + Ord>(algorithm: Algorithm, key: &str, url: &str, params: &[(T, T)]) -> String {
    sign_joined(algorithm, key, url, &joined(params))
}

fn sign_joined(algorithm: Algorithm, key: &str, url: &str, params: &str) -> String {
    match algorithm {
        Algorithm::HmacSha1 => STANDARD.encode(hmac::<Hmac<Sha1>>(key, url, params)),
        Algorithm::HmacSha256 => STANDARD.encode(hmac::<Hmac<Sha256>>(key, url, params)),
    }
}

/// Whether `signature` is that of this request under `key`; how long it takes tells nothing of one that is not. Twilio leaves
/// the port out of the URL it signs, or adds the standard one, depending on the product, so each of these spellings counts.
pub fn verify<T: AsRef<str> + Ord>(
    algorithm: Algorithm,
    key: &str,
    url: &str,
    params: &[(T, T)],
    signature: &str,
) -> bool {
    let params = joined(params);
    let is_of = |url: &str| {
        let expected = sign_joined(algorithm, key, url, &params);
        expected.as_bytes().ct_eq(signature.as_bytes()).into()
    };
    is_of(url) || other_spelling(url).is_some_and(|url| is_of(&url))
}

/// The hash that the URL promises for a body that is not a form, if it promises one.
pub fn promised_body_hash(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == BODY_SHA256)
        .map(|(_, value)| value.into_owned())
}

/// Whether `body` has the hash that the signed URL promised: lower-case hex of SHA-256.
pub fn body_matches(promised: &str, body: &[u8]) -> bool {
    hex(&Sha256::digest(body)).as_bytes().ct_eq(promised.as_bytes()).into()
}

fn hmac<M: Mac + KeyInit>(key: &str, url: &str, params: &str) -> impl AsRef<[u8]> {
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    mac.update(params.as_bytes());
    mac.finalize().into_bytes()
}

/// What stands behind the URL: each name and value in byte order. A name that is repeated counts once for each different
/// value.
fn joined<T: AsRef<str> + Ord>(params: &[(T, T)]) -> String {
    let mut sorted: Vec<&(T, T)> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let parts = || sorted.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
    let mut text = String::with_capacity(parts().map(str::len).sum());
    text.extend(parts());
    text
}

/// The URL without its port, or with the standard port where it has none.
fn other_spelling(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // The colons inside an IPv6 literal are not the port's.
    match authority.rfind(':').filter(|colon| !authority[*colon..].contains(']')) {
        Some(colon) => Some(format!("{scheme}://{}{tail}", &authority[..colon])),
        None => {
            let standard = if scheme == "https" { 443 } else { 80 };
            Some(format!("{scheme}://{authority}:{standard}{tail}"))
        }
    }
}
