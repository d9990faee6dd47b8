//! `X-Twilio-Signature`: the right signature is valid with or without the default port, and no other signature is.

#![no_main]

use std::collections::BTreeSet;

use callscribe::internals::signature::{Algorithm, Param, body_matches, promised_body_hash, sign, verify};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    signed: Signed,
    /// Another request, for which the signature is checked too.
    other: Signed,
    /// A forged signature, and an arbitrary URL.
    forged: String,
    body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Arbitrary)]
struct Signed {
    key: String,
    is_https: bool,
    is_ipv6: bool,
    port: Option<u16>,
    /// Path and query, without the first slash.
    path: String,
    params: Vec<Param>,
    is_sha256: bool,
}

impl Signed {
    fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let host = if self.is_ipv6 { "[2001:db8::1]" } else { "example.com" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}{port}/{}", self.path)
    }

    fn algorithm(&self) -> Algorithm {
        if self.is_sha256 { Algorithm::HmacSha256 } else { Algorithm::HmacSha1 }
    }

    fn signature(&self) -> String {
        sign(self.algorithm(), &self.key, &self.url(), &self.params)
    }

    fn accepts(&self, signature: &str) -> bool {
        verify(self.algorithm(), &self.key, &self.url(), &self.params, signature)
    }

    /// The signed text after the host and port. It does not mark where a parameter ends.
    fn tail(&self) -> String {
        let params: BTreeSet<&Param> = self.params.iter().collect();
        params.iter().fold(self.path.clone(), |text, (name, value)| text + name + value)
    }

    /// The key without trailing zeros, because HMAC pads keys with zeros.
    fn hmac_key(&self) -> &str {
        self.key.trim_end_matches('\0')
    }

    /// Whether a signature of `other` is valid for `self`.
    fn covers(&self, other: &Self) -> bool {
        let standard = if self.is_https { 443 } else { 80 };
        let is_spelling =
            other.port == self.port || other.port.is_none() || (self.port.is_none() && other.port == Some(standard));
        is_spelling
            && self.is_https == other.is_https
            && self.is_ipv6 == other.is_ipv6
            && self.is_sha256 == other.is_sha256
            && self.hmac_key() == other.hmac_key()
            && self.tail() == other.tail()
    }
}

fuzz_target!(|input: Input| {
    let Input { signed, other, forged, body } = input;
    let signature = signed.signature();
    assert!(signed.accepts(&signature));

    let mut shuffled = signed.clone();
    shuffled.params.reverse();
    assert!(shuffled.accepts(&signature), "the order of parameters matters");

    // HMAC hashes longer keys first, so `hmac_key` does not apply to them.
    let is_plain = signed.key.len() <= 64 && other.key.len() <= 64;
    let ports = [None, Some(80), Some(443), Some(8080), other.port];
    let spelled = ports.map(|port| Signed { port, ..signed.clone() });
    let others = [
        other.clone(),
        Signed { key: other.key.clone(), ..signed.clone() },
        Signed { path: other.path.clone(), ..signed.clone() },
        Signed { params: other.params.clone(), ..signed.clone() },
        Signed { is_https: !signed.is_https, ..signed.clone() },
        Signed { is_sha256: !signed.is_sha256, ..signed.clone() },
    ];
    for request in spelled.iter().chain(&others).filter(|_| is_plain) {
        assert_eq!(request.accepts(&signature), request.covers(&signed), "{request:?}");
    }

    assert_eq!(signed.accepts(&forged), spelled_alike(&signed, &forged));
    for at in 0..signature.len() {
        let mut mutated = signature.clone().into_bytes();
        mutated[at] ^= 1;
        assert!(!signed.accepts(&String::from_utf8_lossy(&mutated)), "with byte {at} changed");
    }
    assert!(!signed.accepts(&signature[..signature.len() - 1]) && !signed.accepts(""));

    // Arbitrary URLs, and the body hashes that they promise.
    let key = &signed.key;
    let none: &[Param] = &[];
    assert!(verify(signed.algorithm(), key, &forged, none, &sign(signed.algorithm(), key, &forged, none)));
    for promised in [promised_body_hash(&forged), Some(forged)].into_iter().flatten() {
        if body_matches(&promised, &body) {
            assert!(promised.len() == 64 && promised.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
            assert!(!body_matches(&promised, &[body.as_slice(), b"\0"].concat()));
        }
    }
});

/// Whether this is the signature of the URL with or without its default port.
fn spelled_alike(signed: &Signed, signature: &str) -> bool {
    let standard = if signed.is_https { 443 } else { 80 };
    let other = if signed.port.is_some() { None } else { Some(standard) };
    [signed.port, other].into_iter().any(|port| Signed { port, ..signed.clone() }.signature() == signature)
}
