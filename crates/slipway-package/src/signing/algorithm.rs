//! Signature algorithms of the schemes v2 and v3.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::certificate::{Curve, PublicKey};
use crate::error::Flaw;

/// Digest of the content that an algorithm signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentHash {
    Sha256,
    Sha512,
}

#[derive(Clone, Copy)]
enum Family {
    RsaPss,
    RsaPkcs1,
    Ecdsa,
}

/// Signature algorithm that can be verified.
#[derive(Clone, Copy)]
pub(super) struct SignatureAlgorithm {
    family: Family,
    pub(super) hash: ContentHash,
}

impl SignatureAlgorithm {
    /// Returns the algorithm of an id; `None` for DSA, for the Merkle trees of `fs-verity`, and for unknown ids. Signers
    /// add those beside the algorithms here.
    pub(super) fn of(id: u32) -> Option<Self> {
        let (family, hash) = match id {
            0x0101 => (Family::RsaPss, ContentHash::Sha256),
            0x0102 => (Family::RsaPss, ContentHash::Sha512),
            0x0103 => (Family::RsaPkcs1, ContentHash::Sha256),
            0x0104 => (Family::RsaPkcs1, ContentHash::Sha512),
            0x0201 => (Family::Ecdsa, ContentHash::Sha256),
            0x0202 => (Family::Ecdsa, ContentHash::Sha512),
            _ => return None,
        };
        Some(Self { family, hash })
    }

    /// Verifies that the owner of a key signed a message.
    pub(super) fn verify(self, key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), Flaw> {
        let verification = self.verification(key.curve)?;
        UnparsedPublicKey::new(verification, key.info)
            .verify(message, signature)
            .map_err(|_| "a signature is not made by the key of its certificate".into())
    }

    fn verification(self, curve: Option<Curve>) -> Result<&'static dyn VerificationAlgorithm, Flaw> {
        Ok(match (self.family, self.hash, curve) {
            (Family::RsaPss, ContentHash::Sha256, None) => &signature::RSA_PSS_2048_8192_SHA256,
            (Family::RsaPss, ContentHash::Sha512, None) => &signature::RSA_PSS_2048_8192_SHA512,
            // Apps keep their first key for ever, and some have one of 1024 bits.
            (Family::RsaPkcs1, ContentHash::Sha256, None) => {
                &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
            }
            (Family::RsaPkcs1, ContentHash::Sha512, None) => {
                &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
            }
            (Family::Ecdsa, ContentHash::Sha256, Some(Curve::P256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (Family::Ecdsa, ContentHash::Sha256, Some(Curve::P384)) => &signature::ECDSA_P384_SHA256_ASN1,
            (Family::Ecdsa, ContentHash::Sha256, Some(Curve::P521)) => &signature::ECDSA_P521_SHA256_ASN1,
            (Family::Ecdsa, ContentHash::Sha512, Some(Curve::P256)) => &signature::ECDSA_P256_SHA512_ASN1,
            (Family::Ecdsa, ContentHash::Sha512, Some(Curve::P384)) => &signature::ECDSA_P384_SHA512_ASN1,
            (Family::Ecdsa, ContentHash::Sha512, Some(Curve::P521)) => &signature::ECDSA_P521_SHA512_ASN1,
            _ => return Err("a signature algorithm does not fit its key".into()),
        })
    }
}
