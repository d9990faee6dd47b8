//! Recordings encrypted with a public key, as Twilio does it for accounts that want it.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rsa::pkcs8::DecodePublicKey;
use sha2::Sha256;
use uuid::Uuid;

use super::audio::{Content, noise};

/// A public key of the account.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    sid: String,
    key: rsa::PublicKey,
}

/// How a recording is encrypted.
#[derive(Debug, Clone)]
pub(super) struct Encryption {
    pub(super) public_key_sid: String,
    pub(super) encrypted_cek: String,
    pub(super) iv: String,
    cek: [u8; 32],
    nonce: [u8; 12],
}

impl PublicKey {
    /// # Panics
    /// If it is no RSA key in PEM.
    pub(super) fn new(sid: &str, pem: &str) -> Self {
        let key = rsa::PublicKey::from_public_key_pem(pem).expect("a public key in PEM");
        Self { sid: sid.to_owned(), key }
    }

    /// Returns the encryption of a new recording.
    pub(super) fn encrypt_new(&self) -> Encryption {
        let random = || Uuid::new_v4().into_bytes();
        let mut cek = [0; 32];
        cek[..16].copy_from_slice(&random());
        cek[16..].copy_from_slice(&random());
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&random()[..12]);
        let encrypted = self.key.oaep_encrypt::<Sha256>(&cek).expect("a key of an AES key's length fits");
        Encryption {
            public_key_sid: self.sid.clone(),
            encrypted_cek: STANDARD.encode(encrypted),
            iv: STANDARD.encode(nonce),
            cek,
            nonce,
        }
    }
}

impl Encryption {
    /// Returns the audio as it is stored: encrypted, with the tag at its end.
    pub(super) fn encrypted(&self, content: Content) -> Content {
        let mut bytes = match content {
            Content::Whole(bytes) => bytes.to_vec(),
            Content::Generated(length) => noise(0, length).flat_map(|chunk| chunk.to_vec()).collect(),
        };
        let key = UnboundKey::new(&AES_256_GCM, &self.cek).expect("32 bytes are a key");
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let sealed = LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes);
        sealed.expect("a recording is not too long for AES-GCM");
        Content::Whole(Bytes::from(bytes))
    }
}
