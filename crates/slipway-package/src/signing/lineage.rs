//! Proof of rotation: the earlier keys of a signer, each of which has signed its successor.

use super::algorithm::SignatureAlgorithm;
use super::certificate::Certificate;
use crate::cursor::Cursor;
use crate::error::Flaw;
use crate::facts::CertificateDigest;

const VERSION: u32 = 1;
/// Number of keys in a lineage. Each costs a verification.
const MAX_KEYS: usize = 16;

/// Flag of an earlier key: Android accepts the file as an update of an app that this key signed.
const INSTALLED_DATA: u32 = 1;

/// Key in a lineage.
struct Node<'a> {
    signed: Cursor<'a>,
    certificate: Certificate<'a>,
    /// Algorithm with which the previous key has signed this one.
    signed_algorithm: u32,
    flags: u32,
    /// Algorithm with which this key has signed the next one.
    next_algorithm: u32,
    signature: &'a [u8],
}

/// Verified lineage.
pub(super) struct Lineage {
    /// All certificates, the oldest first.
    pub(super) history: Vec<CertificateDigest>,
    /// Earlier certificates that Android accepts for an update.
    pub(super) accepted: Vec<CertificateDigest>,
}

/// Verifies a lineage that ends with the signer's certificate.
pub(super) fn verify(mut proof: Cursor<'_>, signer: &Certificate<'_>) -> Result<Lineage, Flaw> {
    if proof.u32()? != VERSION {
        return Err("the proof of rotation has an unknown version".into());
    }
    let mut accepted = Vec::new();
    let mut history = Vec::new();
    let mut previous: Option<Node<'_>> = None;
    while !proof.is_empty() {
        let node = read_node(proof.prefixed()?)?;
        let digest = node.certificate.digest();
        if history.len() == MAX_KEYS || history.contains(&digest) {
            return Err("the proof of rotation has too many keys, or one twice".into());
        }
        history.push(digest);
        if let Some(previous) = &previous {
            require_signed(&node, previous)?;
            if previous.flags & INSTALLED_DATA != 0 {
                accepted.push(previous.certificate.digest());
            }
        }
        previous = Some(node);
    }
    if previous.is_none_or(|last| last.certificate.bytes != signer.bytes) {
        return Err("the proof of rotation does not end with the signer's certificate".into());
    }
    Ok(Lineage { history, accepted })
}

fn read_node(mut bytes: Cursor<'_>) -> Result<Node<'_>, Flaw> {
    let signed = bytes.prefixed()?;
    let mut inner = signed;
    let certificate = Certificate::parse(inner.prefixed()?.rest())?;
    Ok(Node {
        signed,
        certificate,
        signed_algorithm: inner.u32()?,
        flags: bytes.u32()?,
        next_algorithm: bytes.u32()?,
        signature: bytes.prefixed()?.rest(),
    })
}

fn require_signed(node: &Node<'_>, previous: &Node<'_>) -> Result<(), Flaw> {
    if node.signed_algorithm != previous.next_algorithm {
        return Err("the proof of rotation contradicts itself about an algorithm".into());
    }
    let algorithm = SignatureAlgorithm::of(previous.next_algorithm)
        .ok_or("the proof of rotation has an unsupported algorithm")?;
    let key = previous.certificate.public_key()?;
    algorithm.verify(&key, node.signed.rest(), node.signature)
}
