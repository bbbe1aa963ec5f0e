//! Test keys. `keys/README.md` describes them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};

use crate::der;

/// Key with its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKey {
    /// The usual signer.
    App,
    /// The successor of `App`.
    Rotated,
    /// An unrelated signer.
    Other,
    /// An elliptic key. Its signatures differ every time.
    Elliptic,
}

impl TestKey {
    /// Returns the certificate in DER.
    pub fn certificate(self) -> &'static [u8] {
        match self {
            Self::App => include_bytes!("../keys/app.x509.der"),
            Self::Rotated => include_bytes!("../keys/rotated.x509.der"),
            Self::Other => include_bytes!("../keys/other.x509.der"),
            Self::Elliptic => include_bytes!("../keys/elliptic.x509.der"),
        }
    }

    /// Returns the SHA-256 of the certificate.
    pub fn certificate_digest(self) -> [u8; 32] {
        digest(&SHA256, self.certificate()).as_ref().try_into().unwrap()
    }

    fn private_key(self) -> &'static [u8] {
        match self {
            Self::App => include_bytes!("../keys/app.pk8"),
            Self::Rotated => include_bytes!("../keys/rotated.pk8"),
            Self::Other => include_bytes!("../keys/other.pk8"),
            Self::Elliptic => include_bytes!("../keys/elliptic.pk8"),
        }
    }

    /// Returns the `SubjectPublicKeyInfo` of the certificate.
    pub(crate) fn public_key(self) -> Vec<u8> {
        self.certificate_field(6).to_vec()
    }

    pub(crate) fn serial(self) -> Vec<u8> {
        self.certificate_field(1).to_vec()
    }

    pub(crate) fn issuer(self) -> Vec<u8> {
        self.certificate_field(3).to_vec()
    }

    fn certificate_field(self, index: usize) -> &'static [u8] {
        der::children(der::children(self.certificate())[0])[index]
    }

    /// Returns the id that the schemes v2 and v3 give to the algorithm of the signatures.
    pub(crate) fn algorithm(self) -> u32 {
        match self {
            Self::Elliptic => 0x0201,
            _ => 0x0103,
        }
    }

    /// Signs with SHA-256.
    pub(crate) fn sign(self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        if self == Self::Elliptic {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, self.private_key()).unwrap();
            return pair.sign(&random, message).unwrap().as_ref().to_vec();
        }
        let pair = KeyPair::from_pkcs8(self.private_key()).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            .unwrap();
        signature
    }
}
