//! Tokens of single devices: `slipway_devicetoken_<tenant>_<generation>_<random>_<tag>`.
//!
//! The tag is an HMAC-SHA256 over the tenant, the generation, the random bytes and the device's id, under a key that
//! HKDF derives from the installation's. A check therefore verifies a token from memory alone. A token is valid for one
//! device only, although it does not contain the device's id. Callers must check that the generation is current.

use sha2::{Digest, Sha256};

use super::token::{hash_matches, random_bytes};
use super::{Keyring, TAG_BYTES};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

const PREFIX: &str = "slipway_devicetoken_";
const RANDOM_BYTES: usize = 16;

/// New token.
pub struct NewDeviceToken {
    /// Shown once, to the device.
    pub text: String,
    /// Hash to be stored.
    pub hash: String,
    /// Id of the secret key that makes and verifies the token.
    pub key_id: String,
}

impl NewDeviceToken {
    /// Makes a token with the installation's first key.
    pub fn make(keyring: &Keyring, tenant: TenantId, device: &DeviceId, generation: i64) -> Self {
        let mut token = PresentedDeviceToken {
            tenant,
            generation,
            random: random_bytes(),
            tag: [0; TAG_BYTES],
        };
        let (key_id, key) = keyring.device_token_key();
        token.tag = key.tag(&token.tagged(device.as_str()).parts());
        Self {
            text: token.text(),
            hash: hex::encode(token.hash()),
            key_id: key_id.to_owned(),
        }
    }
}

/// Token as presented by a caller: parsed, but not verified yet.
#[derive(Clone)]
pub struct PresentedDeviceToken {
    pub tenant: TenantId,
    /// Number of the token among those of the device, from 1.
    pub generation: i64,
    random: [u8; RANDOM_BYTES],
    tag: [u8; TAG_BYTES],
}

/// Input of the tag. The device's id comes last, because only its length varies.
struct Tagged<'a> {
    tenant: [u8; 8],
    generation: [u8; 8],
    random: &'a [u8],
    device: &'a str,
}

impl PresentedDeviceToken {
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = text.strip_prefix(PREFIX)?.split('_');
        let mut token = Self {
            tenant: TenantId::parse(pieces.next()?.parse().ok()?).ok()?,
            generation: pieces.next()?.parse().ok()?,
            random: [0; RANDOM_BYTES],
            tag: [0; TAG_BYTES],
        };
        hex::decode_to_slice(pieces.next()?, &mut token.random).ok()?;
        hex::decode_to_slice(pieces.next()?, &mut token.tag).ok()?;
        // Another spelling of the same numbers was never issued, so it is invalid.
        (token.text() == text).then_some(token)
    }

    /// Returns `true` if one of the installation's keys made this token for the device. The caller must check that the
    /// token was not replaced or revoked since.
    pub fn is_valid_for(&self, keyring: &Keyring, device: &str) -> bool {
        self.key_id(keyring, device).is_some()
    }

    /// Returns the id of the key that made this token for the device; `None` if no configured key did.
    pub fn key_id<'k>(&self, keyring: &'k Keyring, device: &str) -> Option<&'k str> {
        let tagged = self.tagged(device);
        let mut keys = keyring.device_token_keys();
        let found = keys.find(|(_, key)| key.verify(&tagged.parts(), &self.tag));
        found.map(|(id, _)| id)
    }

    /// Compares the token with the stored hash, in constant time.
    pub fn matches(&self, stored_hash: &str) -> bool {
        hash_matches(&self.hash(), stored_hash)
    }

    fn text(&self) -> String {
        format!(
            "{PREFIX}{}_{}_{}_{}",
            self.tenant,
            self.generation,
            hex::encode(self.random),
            hex::encode(self.tag)
        )
    }

    /// Hashes only the tag, which covers everything else.
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.tag).into()
    }

    fn tagged<'a>(&'a self, device: &'a str) -> Tagged<'a> {
        Tagged {
            tenant: self.tenant.get().to_be_bytes(),
            generation: self.generation.to_be_bytes(),
            random: &self.random,
            device,
        }
    }
}

impl Tagged<'_> {
    fn parts(&self) -> [&[u8]; 4] {
        [
            &self.tenant,
            &self.generation,
            self.random,
            self.device.as_bytes(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn keyring(bytes: &[u8]) -> Keyring {
        let keys: Vec<_> = bytes.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        Keyring::parse(&keys.join(",")).unwrap()
    }

    fn tenant(number: i64) -> TenantId {
        TenantId::parse(number).unwrap()
    }

    fn device(id: &str) -> DeviceId {
        DeviceId::parse(id).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_device_alone() {
        let keyring = keyring(&[1]);
        let token = NewDeviceToken::make(&keyring, tenant(7), &device("A"), 3);
        let presented = PresentedDeviceToken::parse(&token.text).unwrap();
        assert_eq!((presented.tenant, presented.generation), (tenant(7), 3));
        assert!(presented.is_valid_for(&keyring, "A"));
        assert!(!presented.is_valid_for(&keyring, "B") && !presented.is_valid_for(&keyring, "A\0"));
        assert!(presented.matches(&token.hash));
        let other = NewDeviceToken::make(&keyring, tenant(7), &device("A"), 3);
        assert!(!presented.matches(&other.hash) && !presented.matches(""));
    }

    #[test]
    fn a_changed_token_is_no_devices() {
        let keyring = keyring(&[1]);
        let token = NewDeviceToken::make(&keyring, tenant(7), &device("A"), 1).text;
        for (from, to) in [("_7_1_", "_8_1_"), ("_7_1_", "_7_2_")] {
            let forged = PresentedDeviceToken::parse(&token.replacen(from, to, 1)).unwrap();
            assert!(!forged.is_valid_for(&keyring, "A"), "{to}");
        }
        let last = if token.ends_with('0') { "1" } else { "0" };
        let forged = format!("{}{last}", &token[..token.len() - 1]);
        assert!(
            !PresentedDeviceToken::parse(&forged)
                .unwrap()
                .is_valid_for(&keyring, "A")
        );
        for text in [
            String::new(),
            token.to_uppercase(),
            format!("{token}_"),
            format!("{token}00"),
            token.replacen("_7_", "_07_", 1),
            token.replacen("_7_", "_0_", 1),
            token.replacen("_1_", "_+1_", 1),
            token[..token.len() - 2].to_owned(),
        ] {
            assert!(PresentedDeviceToken::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_first_key_makes_and_all_verify() {
        let old = NewDeviceToken::make(&keyring(&[1]), tenant(7), &device("A"), 1);
        let old = PresentedDeviceToken::parse(&old.text).unwrap();
        assert!(old.is_valid_for(&keyring(&[2, 1]), "A"));
        assert!(!old.is_valid_for(&keyring(&[2]), "A"));
        let new = NewDeviceToken::make(&keyring(&[2, 1]), tenant(7), &device("A"), 2);
        assert!(
            PresentedDeviceToken::parse(&new.text)
                .unwrap()
                .is_valid_for(&keyring(&[2]), "A")
        );
    }
}
