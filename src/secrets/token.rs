//! Keys and tokens that callers present: a recognisable prefix, an id to look up, and 32 random bytes of which only the
//! SHA-256 is stored. A random secret needs no slow hash, and checks are frequent.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::random;
use slipway_domain::catalog::ids::TenantId;

/// Purpose of a token. Its prefix makes a leaked token recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// For a pipeline on the admin API.
    Api,
    /// For the devices of a tenant. Contains the tenant's number, so that a check finds it without a database access.
    DeviceKey(TenantId),
}

impl TokenKind {
    fn prefix(self) -> String {
        match self {
            Self::Api => "slipway_token".to_owned(),
            Self::DeviceKey(tenant) => format!("slipway_device_{tenant}"),
        }
    }
}

/// New token.
pub struct NewToken {
    /// Shown once, to its recipient.
    pub text: String,
    /// Hash to be stored.
    pub secret_hash: String,
}

impl NewToken {
    pub fn generate(kind: TokenKind, id: Uuid) -> Self {
        let secret = hex::encode(random_bytes::<32>());
        Self {
            text: format!("{}_{}_{secret}", kind.prefix(), id.simple()),
            secret_hash: hash(&secret),
        }
    }
}

/// Token as presented by a caller: parsed, but not verified yet.
#[derive(Clone)]
pub struct PresentedToken {
    pub kind: TokenKind,
    pub id: Uuid,
    secret_hash: [u8; 32],
}

impl PresentedToken {
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = text.strip_prefix("slipway_")?.split('_');
        let kind = match pieces.next()? {
            "token" => TokenKind::Api,
            "device" => TokenKind::DeviceKey(TenantId::parse(pieces.next()?.parse().ok()?).ok()?),
            _ => return None,
        };
        let id = Uuid::try_parse(pieces.next()?).ok()?;
        let secret_hash = Sha256::digest(pieces.next()?).into();
        pieces.next().is_none().then_some(Self {
            kind,
            id,
            secret_hash,
        })
    }

    /// Returns the hash in its stored form, for lookups.
    pub fn secret_hash(&self) -> String {
        hex::encode(self.secret_hash)
    }
}

/// Stored SHA-256 of a secret, decoded for comparisons.
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Decodes the stored form, which is hexadecimal.
    pub fn decode(stored: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(stored, &mut hash).ok()?;
        Some(Self(hash))
    }

    /// Compares the hash with that of a presented token, in constant time.
    pub fn matches(&self, presented: &PresentedToken) -> bool {
        presented.secret_hash.ct_eq(&self.0).into()
    }
}

/// Compares a SHA-256 with the stored one, which is hexadecimal, in constant time.
pub(super) fn hash_matches(presented: &[u8; 32], stored_hash: &str) -> bool {
    let mut stored = [0; 32];
    hex::decode_to_slice(stored_hash, &mut stored).is_ok() && presented.ct_eq(&stored).into()
}

/// Generates a gateway key: 12 digits, as its clients expect.
pub fn new_app_key() -> String {
    let number = u64::from_be_bytes(random_bytes()) % 900_000_000_000;
    (number + 100_000_000_000).to_string()
}

/// Generates a gateway secret: 32 hexadecimal digits.
pub fn new_app_secret() -> String {
    hex::encode(random_bytes::<16>())
}

/// Generates a password for a first administrator who gave none.
pub fn new_password() -> String {
    hex::encode(random_bytes::<12>())
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random::fill(&mut bytes).expect("the system's random source works");
    bytes
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_apart_as_it_was_made() {
        let id = random::id::<Uuid>();
        let tenant = TenantId::parse(10_000_000).unwrap();
        for kind in [TokenKind::Api, TokenKind::DeviceKey(tenant)] {
            let token = NewToken::generate(kind, id);
            let presented = PresentedToken::parse(&token.text).unwrap();
            assert_eq!((presented.kind, presented.id), (kind, id));
            assert!(
                SecretHash::decode(&token.secret_hash)
                    .unwrap()
                    .matches(&presented)
            );
            let other = NewToken::generate(kind, id);
            assert!(
                !SecretHash::decode(&other.secret_hash)
                    .unwrap()
                    .matches(&presented)
            );
        }
    }

    #[test]
    fn other_texts_are_no_tokens() {
        for text in [
            "",
            "slipway_",
            "slipway_token",
            "slipway_token_x_y",
            "slipway_device_0_x_y",
            "Bearer x",
        ] {
            assert!(PresentedToken::parse(text).is_none(), "{text}");
        }
        let token = NewToken::generate(TokenKind::Api, random::id::<Uuid>()).text;
        assert!(PresentedToken::parse(&format!("{token}_more")).is_none());
    }
}
