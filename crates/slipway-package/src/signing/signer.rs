//! Signers of the schemes v2, v3 and v3.1.

use super::algorithm::SignatureAlgorithm;
use super::certificate::Certificate;
use super::content_digest::ContentDigests;
use super::lineage::{self, Lineage};
use crate::cursor::Cursor;
use crate::error::Flaw;
use crate::facts::CertificateDigest;

/// Limits of Android: more are not installed.
const MAX_SIGNERS: usize = 10;
const MAX_SIGNATURES: usize = 16;
const MAX_CERTIFICATES: usize = 16;
const MAX_ATTRIBUTES: usize = 64;

/// Attributes of signed data.
const STRIPPING_PROTECTION: u32 = 0xbeef_f00d;
const PROOF_OF_ROTATION: u32 = 0x3ba0_6f8c;
const ROTATION_MIN_SDK: u32 = 0x559f_8b02;

/// Scheme of the signing block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockScheme {
    V2,
    V3,
    V31,
}

/// Signer whose signature has been verified.
pub(super) struct VerifiedSigner {
    pub(super) certificate: CertificateDigest,
    /// Certificates of earlier keys, and the own one.
    pub(super) lineage: Lineage,
    /// Signed digests of the content.
    pub(super) content: ContentDigests,
    /// `true` if the file must also have a signature of the next scheme.
    pub(super) needs_newer: bool,
}

/// Verifies all signers of a scheme.
pub(super) fn verify_all(scheme: BlockScheme, value: &[u8]) -> Result<Vec<VerifiedSigner>, Flaw> {
    let mut signers = Cursor::new(value).prefixed()?;
    let mut verified = Vec::new();
    while !signers.is_empty() {
        if verified.len() == MAX_SIGNERS {
            return Err("it has too many signers".into());
        }
        verified.push(verify(scheme, signers.prefixed()?)?);
    }
    if verified.is_empty() {
        return Err("it has no signer".into());
    }
    Ok(verified)
}

fn verify(scheme: BlockScheme, mut signer: Cursor<'_>) -> Result<VerifiedSigner, Flaw> {
    let signed_bytes = signer.prefixed()?;
    let sdk_range = read_sdk_range(scheme, &mut signer)?;
    let signatures = read_pairs(signer.prefixed()?, MAX_SIGNATURES)?;
    let public_key = signer.prefixed()?;
    let data = SignedData::parse(scheme, signed_bytes)?;
    let certificate = Certificate::parse(data.certificate)?;
    let key = certificate.public_key()?;
    if key.info != public_key.rest() {
        return Err("the public key is not that of the certificate".into());
    }
    if sdk_range != data.sdk_range {
        return Err("the range of Android versions is not the signed one".into());
    }
    // Otherwise a stronger digest could be removed and a weaker one verified.
    if !signatures
        .iter()
        .map(|(id, _)| id)
        .eq(data.digests.iter().map(|(id, _)| id))
    {
        return Err("the signatures and the digests have different algorithms".into());
    }
    let mut content = ContentDigests::default();
    for ((id, signature), (_, digest)) in signatures.iter().zip(&data.digests) {
        if let Some(algorithm) = SignatureAlgorithm::of(*id) {
            algorithm.verify(&key, signed_bytes.rest(), signature)?;
            content.add(algorithm.hash, digest)?;
        }
    }
    if content == ContentDigests::default() {
        return Err("none of its algorithms is supported".into());
    }
    Ok(VerifiedSigner {
        certificate: certificate.digest(),
        lineage: match data.proof_of_rotation {
            Some(proof) => lineage::verify(proof, &certificate)?,
            None => Lineage {
                history: vec![certificate.digest()],
                accepted: Vec::new(),
            },
        },
        content,
        needs_newer: data.needs_newer,
    })
}

/// Data that a signer has signed.
struct SignedData<'a> {
    /// Digests of the content by the id of the signature algorithm.
    digests: Vec<(u32, &'a [u8])>,
    /// Certificate of the signer. Others may follow it, which nobody uses.
    certificate: &'a [u8],
    sdk_range: Option<(u32, u32)>,
    proof_of_rotation: Option<Cursor<'a>>,
    needs_newer: bool,
}

impl<'a> SignedData<'a> {
    fn parse(scheme: BlockScheme, mut data: Cursor<'a>) -> Result<Self, Flaw> {
        let digests = read_pairs(data.prefixed()?, MAX_SIGNATURES)?;
        let certificates = read_list(data.prefixed()?, MAX_CERTIFICATES)?;
        let sdk_range = read_sdk_range(scheme, &mut data)?;
        let mut signed = Self {
            digests,
            certificate: certificates.first().ok_or("a signer has no certificate")?.rest(),
            sdk_range,
            proof_of_rotation: None,
            needs_newer: false,
        };
        for attribute in read_list(data.prefixed()?, MAX_ATTRIBUTES)? {
            signed.read_attribute(scheme, attribute)?;
        }
        Ok(signed)
    }

    fn read_attribute(&mut self, scheme: BlockScheme, mut attribute: Cursor<'a>) -> Result<(), Flaw> {
        match (scheme, attribute.u32()?) {
            (BlockScheme::V2, STRIPPING_PROTECTION) => self.needs_newer |= attribute.u32()? == 3,
            (BlockScheme::V3, ROTATION_MIN_SDK) => self.needs_newer = true,
            (BlockScheme::V3 | BlockScheme::V31, PROOF_OF_ROTATION) => {
                let earlier = self.proof_of_rotation.replace(attribute);
                if earlier.is_some() {
                    return Err("a signer has two proofs of rotation".into());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads the range of Android versions for which a signer is; v2 has none.
fn read_sdk_range(scheme: BlockScheme, rest: &mut Cursor<'_>) -> Result<Option<(u32, u32)>, Flaw> {
    if scheme == BlockScheme::V2 {
        return Ok(None);
    }
    Ok(Some((rest.u32()?, rest.u32()?)))
}

fn read_list(mut list: Cursor<'_>, most: usize) -> Result<Vec<Cursor<'_>>, Flaw> {
    let mut elements = Vec::new();
    while !list.is_empty() {
        if elements.len() == most {
            return Err("a list is too long".into());
        }
        elements.push(list.prefixed()?);
    }
    Ok(elements)
}

/// Reads a list of algorithm ids, each with a byte string.
fn read_pairs(list: Cursor<'_>, most: usize) -> Result<Vec<(u32, &[u8])>, Flaw> {
    let elements = read_list(list, most)?.into_iter();
    let pairs = elements.map(|mut element| Ok((element.u32()?, element.prefixed()?.rest())));
    pairs.collect()
}
