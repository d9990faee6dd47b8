//! Recordings that Twilio encrypted with a public key of the account. A key of each recording is encrypted by RSA-OAEP with
//! SHA-256; the audio by that key with AES-256-GCM, whose tag is its end.
//!
//! Source: <https://www.twilio.com/docs/voice/tutorials/voice-recording-encryption>.

use std::collections::HashMap;
use std::fmt;

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctr::Ctr32BE;
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Length of the tag at the end of the audio.
pub(super) const TAG: usize = 16;

/// Length of a block of AES.
const BLOCK: usize = 16;

/// Private keys by the SIDs (`CR…`) of the public keys that belong to them.
#[derive(Clone, Default)]
pub struct RecordingKeys(HashMap<String, PrivateKey>);

impl RecordingKeys {
    /// Adds a private key in PEM, by PKCS#8 or PKCS#1. Returns `false` if it is none.
    pub fn add(&mut self, public_key_sid: &str, pem: &str) -> bool {
        let key = PrivateKey::from_pkcs8_pem(pem).ok().or_else(|| PrivateKey::from_pkcs1_pem(pem).ok());
        key.map(|key| self.0.insert(public_key_sid.to_owned(), key)).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, public_key_sid: &str) -> bool {
        self.0.contains_key(public_key_sid)
    }

    /// Decrypts the key of a recording.
    pub(super) fn open(&self, encryption: &Encryption) -> Result<Decryption, NotDecryptable> {
        let Encryption { public_key_sid, encrypted_cek, iv } = encryption;
        let key = self.0.get(public_key_sid).ok_or_else(|| NotDecryptable::NoKey(public_key_sid.clone()))?;
        let wrong = || NotDecryptable::WrongKey(public_key_sid.clone());
        let encrypted = STANDARD.decode(encrypted_cek).map_err(|_| wrong())?;
        let cek = key.oaep_decrypt::<Sha256>(&encrypted).map_err(|_| wrong())?;
        let iv = STANDARD.decode(iv).map_err(|_| wrong())?;
        Ok(Decryption { cek: cek.try_into().map_err(|_| wrong())?, iv: iv.try_into().map_err(|_| wrong())? })
    }
}

impl fmt::Debug for RecordingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a recording cannot be decrypted. The text continues "recording RE… is".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDecryptable {
    #[error("encrypted with key {0}, which TWILIO_RECORDING_KEYS does not have")]
    NoKey(String),
    #[error("encrypted with key {0}, and the private key that TWILIO_RECORDING_KEYS has for it is another")]
    WrongKey(String),
    #[error("encrypted, and Twilio does not say how")]
    Unreadable,
    #[error("encrypted, and in the Twilio account's own storage, where callscribe cannot read it")]
    External,
}

/// How a recording is encrypted, by its resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Encryption {
    /// `CR…`.
    #[serde(alias = "encryption_public_key_sid")]
    pub public_key_sid: String,
    /// The recording's key, encrypted; in base64, as is `iv`.
    #[serde(alias = "encryption_cek")]
    pub encrypted_cek: String,
    #[serde(alias = "encryption_iv")]
    pub iv: String,
}

/// Reads `encryption_details`: `None` for a recording that is not encrypted, an error for details that cannot be read.
pub(super) fn details<'de, D: Deserializer<'de>>(
    source: D,
) -> Result<Option<Result<Encryption, NotDecryptable>>, D::Error> {
    let value = match Value::deserialize(source)? {
        Value::String(text) if !text.is_empty() => serde_json::from_str(&text).unwrap_or(Value::Bool(true)),
        value => value,
    };
    let is_none = match &value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.values().all(|field| field.is_null() || field == ""),
        _ => false,
    };
    Ok((!is_none).then(|| serde_json::from_value(value).map_err(|_| NotDecryptable::Unreadable)))
}

/// What decrypts the audio of one recording.
#[derive(Clone)]
pub struct Decryption {
    cek: [u8; 32],
    iv: [u8; 12],
}

impl fmt::Debug for Decryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryption").finish_non_exhaustive()
    }
}

/// Decrypts audio as it streams in. Its last byte comes out only once the tag is verified, so that nothing which was changed
/// on the way is ever whole.
pub(super) struct Decryptor {
    keystream: Ctr32BE<Aes256>,
    hash: GHash,
    /// What the tag is encrypted with.
    mask: [u8; BLOCK],
    /// Bytes that are not hashed yet because they are not a whole block.
    unhashed: Vec<u8>,
    /// The end of what has come in: it may be the tag, and the last byte before it.
    held: Vec<u8>,
    /// Number of bytes decrypted.
    length: u64,
}

impl Decryptor {
    pub(super) fn new(Decryption { cek, iv }: &Decryption) -> Self {
        let key = (*cek).into();
        let mut hash_key = [0; BLOCK];
        Ctr32BE::<Aes256>::new(&key, &[0; BLOCK].into()).apply_keystream(&mut hash_key);
        let mut counter = [0; BLOCK];
        counter[..iv.len()].copy_from_slice(iv);
        counter[BLOCK - 1] = 1;
        let mut keystream = Ctr32BE::<Aes256>::new(&key, &counter.into());
        let mut mask = [0; BLOCK];
        keystream.apply_keystream(&mut mask);
        let hash = GHash::new(&hash_key.into());
        Self { keystream, hash, mask, unhashed: Vec::new(), held: Vec::new(), length: 0 }
    }

    /// Takes the next bytes. Returns what is decrypted so far.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let ready = self.held.len().saturating_sub(TAG + 1);
        let rest = self.held.split_off(ready);
        let ready = std::mem::replace(&mut self.held, rest);
        self.decrypt(ready)
    }

    /// Verifies the tag at the end. Returns the last bytes. The error continues a sentence that ends in "which".
    pub(super) fn end(&mut self) -> Result<Vec<u8>, &'static str> {
        let held = std::mem::take(&mut self.held);
        let Some(at) = held.len().checked_sub(TAG) else { return Err("is encrypted and cut off") };
        let (last, tag) = held.split_at(at);
        let last = self.decrypt(last.to_vec());
        self.hash.update_padded(&self.unhashed);
        let mut lengths = Block::default();
        lengths[BLOCK / 2..].copy_from_slice(&(self.length * 8).to_be_bytes());
        self.hash.update(&[lengths]);
        let mut expected = self.hash.clone().finalize();
        expected.iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
        if bool::from(expected.as_slice().ct_eq(tag)) {
            Ok(last)
        } else {
            Err("was changed or cut off after it was encrypted")
        }
    }

    fn decrypt(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.length += bytes.len() as u64;
        self.unhashed.extend_from_slice(&bytes);
        let (blocks, _) = Block::slice_as_chunks(&self.unhashed);
        self.hash.update(blocks);
        let hashed = blocks.len() * BLOCK;
        self.unhashed.drain(..hashed);
        self.keystream.apply_keystream(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::*;

    const DECRYPTION: Decryption = Decryption { cek: [7; 32], iv: [9; 12] };

    fn encrypted(plain: &[u8]) -> Vec<u8> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &DECRYPTION.cek).unwrap());
        let mut bytes = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(DECRYPTION.iv);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
        bytes
    }

    fn decrypted(bytes: &[u8], piece: usize) -> (Vec<u8>, Result<(), &'static str>) {
        let mut decryptor = Decryptor::new(&DECRYPTION);
        let mut plain: Vec<u8> = bytes.chunks(piece).flat_map(|piece| decryptor.take(piece)).collect();
        let ended = decryptor.end().map(|last| plain.extend(last));
        (plain, ended)
    }

    #[test]
    fn audio_is_decrypted_the_same_however_it_is_cut() {
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 1_000] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let encrypted = encrypted(&plain);
            for piece in [1, 7, 16, 17, 64, 4_096] {
                assert_eq!(decrypted(&encrypted, piece), (plain.clone(), Ok(())), "{length} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_was_changed_or_cut_off_never_comes_out_whole() {
        let plain = [5; 100];
        let good = encrypted(&plain);
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            let (read, ended) = decrypted(&changed, 13);
            assert!(ended.is_err() && read.len() < plain.len(), "byte {at}");
            let (read, ended) = decrypted(&good[..at], 13);
            assert!(ended.is_err() && read.len() < plain.len(), "{at} bytes");
        }
        let longer = [&good[..], b"x"].concat();
        assert!(decrypted(&longer, 13).1.is_err());
    }

    #[test]
    fn details_are_read_by_either_of_twilios_names() {
        #[derive(Deserialize)]
        struct Recording {
            #[serde(default, deserialize_with = "details")]
            encryption_details: Option<Result<Encryption, NotDecryptable>>,
        }
        let read = |json: &str| serde_json::from_str::<Recording>(json).unwrap().encryption_details;
        let text = |text: &str| text.to_owned();
        let expected = Encryption { public_key_sid: text("CR1"), encrypted_cek: text("a"), iv: text("b") };
        for details in [
            r#"{"public_key_sid": "CR1", "encrypted_cek": "a", "iv": "b", "type": "rsa-aes"}"#,
            r#"{"encryption_public_key_sid": "CR1", "encryption_cek": "a", "encryption_iv": "b"}"#,
            r#""{\"public_key_sid\": \"CR1\", \"encrypted_cek\": \"a\", \"iv\": \"b\"}""#,
        ] {
            let json = format!(r#"{{"encryption_details": {details}}}"#);
            assert_eq!(read(&json), Some(Ok(expected.clone())), "{details}");
        }
        for details in ["null", "\"\"", "{}", "false", r#"{"public_key_sid": null}"#] {
            assert_eq!(read(&format!(r#"{{"encryption_details": {details}}}"#)), None, "{details}");
        }
        for details in ["true", "[1]", "\"yes\"", r#"{"public_key_sid": "CR1"}"#] {
            let json = format!(r#"{{"encryption_details": {details}}}"#);
            assert_eq!(read(&json), Some(Err(NotDecryptable::Unreadable)), "{details}");
        }
        assert_eq!(read("{}"), None);
    }
}
