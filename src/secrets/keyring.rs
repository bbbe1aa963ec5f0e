//! Secret keys of the installation: the first one encrypts and signs, all of them decrypt and verify.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MacKey;
use crate::random;
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::text;

/// Size of a secret key in bytes.
const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error(
        "SLIPWAY_SECRET_KEY: key {0} is not {KEY_BYTES} bytes in base64; make one with `openssl rand -base64 32`"
    )]
    Malformed(usize),
    #[error(
        "SLIPWAY_SECRET_KEY: none of the given keys opens the stored secrets (sealed with key {0}); \
         give the key that was used before, after a comma if there is a new one"
    )]
    KeyMissing(String),
    #[error("SLIPWAY_SECRET_KEY: keys {0} and {1} are the same; give each key once")]
    Repeated(usize, usize),
    #[error(
        "SLIPWAY_SECRET_KEY: key {key_id} is missing, and {needed_by} still need it. Give it again after the new one \
         (new,old), and drop it when `slipway rekey --status` says that nothing needs it; `slipway rekey` seals what \
         it can with the new key"
    )]
    StillNeeded { key_id: String, needed_by: String },
    #[error("a sealed secret is damaged, or was sealed for another purpose")]
    CannotOpen,
    #[error("the system's random source or cipher failed")]
    Cryptography,
}

/// Secret encrypted with AES-256-GCM and bound to its owner, which can be decrypted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Id of the key that encrypted the secret.
    pub key_id: String,
    /// Base64 of nonce, ciphertext and tag.
    pub sealed: String,
}

/// Returns the owner text of a gateway key's secret, so that the secret decrypts only for that key.
pub fn sealed_for_app_key(id: KeyId) -> String {
    format!("app-key:{id}")
}

pub struct Keyring {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    sealing: RandomizedNonceKey,
    signing: [u8; KEY_BYTES],
    fingerprinting: [u8; KEY_BYTES],
    snapshots: MacKey,
    device_tokens: MacKey,
    refresh_tokens: MacKey,
    downloads: MacKey,
}

impl Keyring {
    /// Parses one or more base64 keys of 32 bytes, separated by commas or line breaks.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let lines = text.trim().lines().filter(|line| !line.trim().is_empty());
        let keys: Vec<Key> = lines
            .flat_map(|line| line.split(','))
            .enumerate()
            .map(|(index, key)| {
                let bytes = STANDARD
                    .decode(key.trim())
                    .ok()
                    .filter(|bytes| bytes.len() == KEY_BYTES)
                    .ok_or(KeyringError::Malformed(index + 1))?;
                Key::derive(&bytes)
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(KeyringError::Malformed(1));
        }
        for (index, key) in keys.iter().enumerate() {
            if let Some(first) = keys[..index].iter().position(|other| other.id == key.id) {
                return Err(KeyringError::Repeated(first + 1, index + 1));
            }
        }
        Ok(Self { keys })
    }

    /// Generates a random key in the form that [`Keyring::parse`] accepts.
    pub fn generate_text() -> Result<String, KeyringError> {
        let mut bytes = [0; KEY_BYTES];
        random::fill(&mut bytes).map_err(|_| KeyringError::Cryptography)?;
        Ok(STANDARD.encode(bytes))
    }

    /// Encrypts `secret`. Decryption requires the same `belongs_to`.
    pub fn seal(&self, secret: &str, belongs_to: &str) -> Result<SealedSecret, KeyringError> {
        let key = self.first();
        let mut bytes = secret.as_bytes().to_vec();
        let nonce = key
            .sealing
            .seal_in_place_append_tag(Aad::from(belongs_to), &mut bytes)
            .map_err(|_| KeyringError::Cryptography)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(SealedSecret {
            key_id: key.id.clone(),
            sealed: STANDARD.encode(sealed),
        })
    }

    pub fn open(&self, secret: &SealedSecret, belongs_to: &str) -> Result<String, KeyringError> {
        let key = self
            .keys
            .iter()
            .find(|key| key.id == secret.key_id)
            .ok_or_else(|| KeyringError::KeyMissing(secret.key_id.clone()))?;
        let mut bytes = STANDARD
            .decode(&secret.sealed)
            .map_err(|_| KeyringError::CannotOpen)?;
        let (nonce, ciphertext) = bytes
            .split_at_mut_checked(NONCE_LEN)
            .ok_or(KeyringError::CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyringError::CannotOpen)?;
        let opened = key
            .sealing
            .open_in_place(nonce, Aad::from(belongs_to), ciphertext)
            .map_err(|_| KeyringError::CannotOpen)?;
        String::from_utf8(opened.to_vec()).map_err(|_| KeyringError::CannotOpen)
    }

    /// Returns the id of the key that encrypts and signs.
    pub fn primary_key_id(&self) -> &str {
        &self.first().id
    }

    /// Returns the ids of all keys, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Returns a keyed digest of a text. Only holders of the key can make it, so that the text cannot be guessed from
    /// it.
    pub fn fingerprint(&self, text: &str) -> String {
        self.first().fingerprint(text)
    }

    /// Returns `true` if one of the keys made this fingerprint of the text.
    pub fn has_fingerprint(&self, text: &str, fingerprint: &str) -> bool {
        self.keys.iter().any(|key| key.fingerprint(text) == fingerprint)
    }

    /// Returns the key that authenticates snapshots, with its id.
    pub fn snapshot_key(&self) -> (&str, &MacKey) {
        let key = self.first();
        (&key.id, &key.snapshots)
    }

    /// Returns the snapshot key with this id, if it is configured.
    pub fn find_snapshot_key(&self, id: &str) -> Option<&MacKey> {
        self.keys
            .iter()
            .find(|key| key.id == id)
            .map(|key| &key.snapshots)
    }

    /// Makes the key of a download link. Links are stored, so that they outlive the secret key.
    pub fn download_key(&self, tenant: TenantId, sha256: &text::Sha256, link_number: i64) -> DownloadKey {
        let parts = [
            &tenant.get().to_be_bytes()[..],
            &link_number.to_be_bytes(),
            sha256.as_str().as_bytes(),
        ];
        let tag = self.first().downloads.tag(&parts);
        let mut bits = [0; 16];
        bits.copy_from_slice(&tag[..16]);
        DownloadKey::new(bits)
    }

    /// Returns the key that makes device tokens, with its id.
    pub(super) fn device_token_key(&self) -> (&str, &MacKey) {
        let key = self.first();
        (&key.id, &key.device_tokens)
    }

    /// Returns the keys that verify device tokens, with their ids.
    pub(super) fn device_token_keys(&self) -> impl Iterator<Item = (&str, &MacKey)> {
        self.keys.iter().map(|key| (key.id.as_str(), &key.device_tokens))
    }

    /// Returns the key that makes refresh tokens.
    pub(super) fn refresh_token_key(&self) -> &MacKey {
        &self.first().refresh_tokens
    }

    /// Returns the keys that verify refresh tokens.
    pub(super) fn refresh_token_keys(&self) -> impl Iterator<Item = &MacKey> {
        self.keys.iter().map(|key| &key.refresh_tokens)
    }

    pub(super) fn signing_key(&self) -> (&str, &[u8]) {
        let key = self.first();
        (&key.id, &key.signing)
    }

    pub(super) fn signing_keys(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys
            .iter()
            .map(|key| (key.id.as_str(), key.signing.as_slice()))
    }

    fn first(&self) -> &Key {
        // `parse` returns at least one key or fails.
        &self.keys[0]
    }
}

impl Key {
    /// Derives one key per use by HKDF (RFC 5869), so that none of them can replace another.
    fn derive(secret: &[u8]) -> Result<Self, KeyringError> {
        let material = Salt::new(HKDF_SHA256, b"slipway").extract(secret);
        let derive = |purpose: &'static [u8]| {
            let mut key = [0; KEY_BYTES];
            material
                .expand(&[purpose], DerivedKey)
                .and_then(|expanded| expanded.fill(&mut key))
                .map_err(|_| KeyringError::Cryptography)?;
            Ok::<_, KeyringError>(key)
        };
        let id = hex::encode(&Sha256::digest(derive(b"key-id-v1")?)[..6]);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &derive(b"seal-v1")?)
            .map_err(|_| KeyringError::Cryptography)?;
        Ok(Self {
            id,
            sealing,
            signing: derive(b"access-token-v1")?,
            fingerprinting: derive(b"fingerprint-v1")?,
            snapshots: MacKey::new(&derive(b"snapshot-v1")?),
            device_tokens: MacKey::new(&derive(b"device-token-v1")?),
            refresh_tokens: MacKey::new(&derive(b"refresh-token-v1")?),
            downloads: MacKey::new(&derive(b"download-v1")?),
        })
    }
}

impl Key {
    fn fingerprint(&self, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.fingerprinting);
        hex::encode(hmac::sign(&key, text.as_bytes()))
    }
}

struct DerivedKey;

impl KeyType for DerivedKey {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; KEY_BYTES])
    }

    #[test]
    fn a_secret_opens_with_its_key_and_owner_alone() {
        let keyring = Keyring::parse(&key(1)).unwrap();
        let sealed = keyring.seal("s3cret", "app-key:1").unwrap();
        assert_eq!(keyring.open(&sealed, "app-key:1").unwrap(), "s3cret");
        assert!(keyring.open(&sealed, "app-key:2").is_err());
        let other = Keyring::parse(&key(2)).unwrap();
        assert!(matches!(
            other.open(&sealed, "app-key:1"),
            Err(KeyringError::KeyMissing(_))
        ));
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = Keyring::parse(&key(1)).unwrap().seal("s3cret", "x").unwrap();
        let rotated = Keyring::parse(&format!("{}, {}", key(2), key(1))).unwrap();
        assert_eq!(rotated.open(&old, "x").unwrap(), "s3cret");
        assert_ne!(rotated.seal("s3cret", "x").unwrap().key_id, old.key_id);
    }

    #[test]
    fn damaged_and_malformed_input_is_refused() {
        let keyring = Keyring::parse(&key(1)).unwrap();
        let mut sealed = keyring.seal("s3cret", "x").unwrap();
        for damaged in ["", "AAAA", "not base64", &"A".repeat(64)] {
            sealed.sealed = damaged.to_owned();
            assert!(keyring.open(&sealed, "x").is_err(), "{damaged}");
        }
        assert!(Keyring::parse("").is_err());
        assert!(Keyring::parse("c2hvcnQ=").is_err());
        assert!(Keyring::parse(&format!("{},", key(1))).is_err());
        assert!(Keyring::parse("\n").is_err());
        let repeated = Keyring::parse(&format!("{},{0}", key(1)));
        assert!(matches!(repeated, Err(KeyringError::Repeated(1, 2))));
    }

    #[test]
    fn keys_stand_on_lines_too() {
        let by_comma = Keyring::parse(&format!("{},{}", key(1), key(2))).unwrap();
        for text in [
            format!("{}\n{}\n", key(1), key(2)),
            format!("\n{}\r\n\r\n {} ", key(1), key(2)),
        ] {
            let by_line = Keyring::parse(&text).unwrap();
            assert!(by_line.ids().eq(by_comma.ids()), "{text:?}");
        }
    }

    #[test]
    fn every_key_recognizes_its_fingerprint() {
        let (old, new) = (
            Keyring::parse(&key(1)).unwrap(),
            Keyring::parse(&format!("{},{}", key(2), key(1))).unwrap(),
        );
        assert!(new.has_fingerprint("text", &old.fingerprint("text")));
        assert!(!old.has_fingerprint("text", &new.fingerprint("text")));
        assert!(!new.has_fingerprint("other", &old.fingerprint("text")));
    }
}
