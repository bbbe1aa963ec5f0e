//! Signatures of APKs.
//!
//! The schemes v2, v3 and v3.1 are verified as Android does: the public key of the signer's certificate has signed the
//! digests of the content, and the content has these digests. A file with an invalid signature is an error, because no
//! device installs it. The v1 scheme is not verified: it would need every entry unpacked.

mod algorithm;
mod block;
mod certificate;
mod content_digest;
mod der;
mod lineage;
mod signer;
mod v1;

use std::io::{Read, Seek};

use crate::error::{Flaw, InspectionError, Part, invalid};
use crate::facts::{CertificateDigest, SigningFacts, SigningScheme};
use crate::limits::Limits;
use crate::source::Source;
use crate::zip::Archive;

use block::SigningBlock;
use content_digest::ContentDigests;
use signer::{BlockScheme, VerifiedSigner};

/// Inspects the signatures of an APK.
pub(crate) fn inspect<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    limits: &Limits,
) -> Result<SigningFacts, InspectionError> {
    let block = SigningBlock::find(source, archive, limits.signature_bytes)?;
    let signatures = BlockSignatures::verify(&block).map_err(|flaw| flaw.of(Part::Signature))?;
    let v1 = v1::inspect(source, archive, &block, limits.signature_bytes)?;
    if signatures.all().next().is_some() {
        if archive.is_zip64 {
            return Err(invalid(Part::Signature, "Android refuses a signed ZIP64 archive"));
        }
        require_content(source, archive, &block, &signatures)?;
    }
    Ok(signatures.facts(v1))
}

/// Compares the content with the signed digests.
fn require_content<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    block: &SigningBlock,
    signatures: &BlockSignatures,
) -> Result<(), InspectionError> {
    let mut signed = ContentDigests::default();
    for signer in signatures.all() {
        signed
            .merge(&signer.content)
            .map_err(|flaw| flaw.of(Part::Signature))?;
    }
    if content_digest::compute(source, archive, block.start, &signed)? != signed {
        return Err(invalid(
            Part::Signature,
            "the content has changed since it was signed",
        ));
    }
    Ok(())
}

/// Verified signers of the schemes in the signing block.
#[derive(Default)]
struct BlockSignatures {
    v2: Vec<VerifiedSigner>,
    v3: Vec<VerifiedSigner>,
    v31: Vec<VerifiedSigner>,
}

impl BlockSignatures {
    fn verify(block: &SigningBlock) -> Result<Self, Flaw> {
        let read = |scheme, value: &Option<Vec<u8>>| match value {
            Some(value) => signer::verify_all(scheme, value),
            None => Ok(Vec::new()),
        };
        let signatures = Self {
            v2: read(BlockScheme::V2, &block.v2)?,
            v3: read(BlockScheme::V3, &block.v3)?,
            v31: read(BlockScheme::V31, &block.v31)?,
        };
        signatures.require_nothing_stripped()?;
        signatures.require_one_history()?;
        Ok(signatures)
    }

    /// Refuses a file from which a newer signature was removed. The older one states that there is a newer one.
    fn require_nothing_stripped(&self) -> Result<(), Flaw> {
        let needs_v3 = self.v2.iter().any(|signer| signer.needs_newer);
        let needs_v31 = self.v3.iter().any(|signer| signer.needs_newer);
        if (needs_v3 && self.v3.is_empty()) || (needs_v31 && self.v31.is_empty()) {
            return Err("a newer signature has been removed".into());
        }
        if self.v3.is_empty() && !self.v31.is_empty() {
            return Err("a v3.1 signature needs a v3 signature".into());
        }
        Ok(())
    }

    /// Refuses a file to which a signer was added. The list of signers is not signed, and Android ignores a signer for
    /// versions that no device has; its certificate would pass for one of the publisher's.
    fn require_one_history(&self) -> Result<(), Flaw> {
        let newest = self
            .v3
            .iter()
            .chain(&self.v31)
            .max_by_key(|signer| signer.lineage.history.len());
        match newest {
            Some(newest)
                if self
                    .all()
                    .any(|signer| !newest.lineage.history.contains(&signer.certificate)) =>
            {
                Err("a signer is not in the lineage of the newest one".into())
            }
            _ => Ok(()),
        }
    }

    fn all(&self) -> impl Iterator<Item = &VerifiedSigner> {
        self.v2.iter().chain(&self.v3).chain(&self.v31)
    }

    /// Combines the facts. The signers of v3.1, which newer devices see, count beside those of v3.
    fn facts(&self, v1: v1::V1Signature) -> SigningFacts {
        let present = [
            (SigningScheme::V1, v1.is_present),
            (SigningScheme::V2, !self.v2.is_empty()),
            (SigningScheme::V3, !self.v3.is_empty()),
        ];
        let schemes = present.into_iter().filter(|(_, is_present)| *is_present);
        let current = if self.v3.is_empty() { &self.v2 } else { &self.v3 };
        let is_verified = !current.is_empty();
        let current = || current.iter().chain(&self.v31);
        let mut signers = unique(current().map(|signer| signer.certificate));
        let lineage = unique(current().flat_map(|signer| signer.lineage.accepted.iter().copied()));
        if !is_verified {
            signers = unique(v1.signers.into_iter());
        }
        SigningFacts {
            schemes: schemes.map(|(scheme, _)| scheme).collect(),
            lineage: lineage
                .into_iter()
                .filter(|earlier| !signers.contains(earlier))
                .collect(),
            signers,
            is_verified,
        }
    }
}

fn unique(digests: impl Iterator<Item = CertificateDigest>) -> Vec<CertificateDigest> {
    let mut kept = Vec::new();
    for digest in digests {
        if !kept.contains(&digest) {
            kept.push(digest);
        }
    }
    kept
}
