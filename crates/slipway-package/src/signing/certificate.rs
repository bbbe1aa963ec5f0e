//! X.509 certificates: the public key, and the names by which a PKCS #7 structure refers to one.

use aws_lc_rs::digest::{SHA256, digest};

use super::der::{CONTEXT_0, Elements, INTEGER, OBJECT_IDENTIFIER, SEQUENCE};
use crate::error::Flaw;
use crate::facts::CertificateDigest;

const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
const P521: &[u8] = b"\x2b\x81\x04\x00\x23";

/// Curve of an elliptic key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// Public key of a certificate.
#[derive(Clone, Copy)]
pub(super) struct PublicKey<'a> {
    /// `SubjectPublicKeyInfo`.
    pub(super) info: &'a [u8],
    /// Curve of an elliptic key; `None` for RSA.
    pub(super) curve: Option<Curve>,
}

/// Certificate in DER.
#[derive(Clone, Copy)]
pub(super) struct Certificate<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    key_info: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut outer = Elements(bytes);
        let certificate = outer.expect(SEQUENCE)?;
        if !outer.is_empty() {
            return Err("bytes follow a certificate".into());
        }
        let mut fields = certificate.elements().expect(SEQUENCE)?.elements();
        let _version = fields.optional(CONTEXT_0)?;
        let serial = fields.expect(INTEGER)?;
        let _algorithm = fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let _validity = fields.expect(SEQUENCE)?;
        let _subject = fields.expect(SEQUENCE)?;
        Ok(Self {
            bytes,
            serial: serial.content,
            issuer: issuer.bytes,
            key_info: fields.expect(SEQUENCE)?.bytes,
        })
    }

    pub(super) fn digest(&self) -> CertificateDigest {
        let mut value = [0; 32];
        value.copy_from_slice(digest(&SHA256, self.bytes).as_ref());
        CertificateDigest(value)
    }

    pub(super) fn public_key(&self) -> Result<PublicKey<'a>, Flaw> {
        let info = Elements(self.key_info).expect(SEQUENCE)?;
        let mut algorithm = info.elements().expect(SEQUENCE)?.elements();
        let curve = match algorithm.expect(OBJECT_IDENTIFIER)?.content {
            RSA => None,
            EC => Some(match algorithm.expect(OBJECT_IDENTIFIER)?.content {
                P256 => Curve::P256,
                P384 => Curve::P384,
                P521 => Curve::P521,
                _ => return Err("a key has an unsupported curve".into()),
            }),
            _ => return Err("a key is neither RSA nor elliptic".into()),
        };
        Ok(PublicKey {
            info: self.key_info,
            curve,
        })
    }
}
