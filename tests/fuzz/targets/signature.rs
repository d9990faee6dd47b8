//! `X-Twilio-Signature`: the right one is believed however the port is spelled, and of anything else none.

#![no_main]

use std::collections::BTreeSet;

use callscribe::internals::signature::{Algorithm, Param, body_matches, promised_body_hash, sign, verify};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    signed: Signed,
    /// What the signature is held against instead.
    other: Signed,
    /// A text that somebody made up.
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

    fn believes(&self, signature: &str) -> bool {
        verify(self.algorithm(), &self.key, &self.url(), &self.params, signature)
    }

    /// All that is signed after the host and its port: where one parameter ends and the next begins is not.
    fn tail(&self) -> String {
        let params: BTreeSet<&Param> = self.params.iter().collect();
        params.iter().fold(self.path.clone(), |text, (name, value)| text + name + value)
    }

    /// HMAC fills keys up with zeros.
    fn hmac_key(&self) -> &str {
        self.key.trim_end_matches('\0')
    }

    /// Whether a signature of `other` is one of this.
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
    assert!(signed.believes(&signature));

    let mut shuffled = signed.clone();
    shuffled.params.reverse();
    assert!(shuffled.believes(&signature), "the order of parameters counts");

    // Longer keys are hashed first.
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
    for asked in spelled.iter().chain(&others).filter(|_| is_plain) {
        assert_eq!(asked.believes(&signature), asked.covers(&signed), "{asked:?}");
    }

    assert_eq!(signed.believes(&forged), spelled_alike(&signed, &forged));
    for at in 0..signature.len() {
        let mut mutated = signature.clone().into_bytes();
        mutated[at] ^= 1;
        assert!(!signed.believes(&String::from_utf8_lossy(&mutated)), "with byte {at} changed");
    }
    assert!(!signed.believes(&signature[..signature.len() - 1]) && !signed.believes(""));

    // Addresses of all kinds, and what they promise.
    let key = &signed.key;
    assert!(verify(signed.algorithm(), key, &forged, &[], &sign(signed.algorithm(), key, &forged, &[])));
    for promised in [promised_body_hash(&forged), Some(forged)].into_iter().flatten() {
        if body_matches(&promised, &body) {
            assert!(promised.len() == 64 && promised.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
            assert!(!body_matches(&promised, &[body.as_slice(), b"\0"].concat()));
        }
    }
});

/// Whether this is a signature of one of the spellings.
fn spelled_alike(signed: &Signed, signature: &str) -> bool {
    let standard = if signed.is_https { 443 } else { 80 };
    let other = if signed.port.is_some() { None } else { Some(standard) };
    [signed.port, other].into_iter().any(|port| Signed { port, ..signed.clone() }.signature() == signature)
}
