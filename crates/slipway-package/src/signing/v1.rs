//! The v1 scheme (JAR signing): whether it is there, and its certificates.

use std::io::{Read, Seek};

use super::block::SigningBlock;
use super::certificate::Certificate;
use super::der::{CONTEXT_0, Element, Elements, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET};
use crate::error::{Flaw, InspectionError, Part, invalid};
use crate::facts::CertificateDigest;
use crate::source::Source;
use crate::zip::{Archive, Entry, read_beginning, read_entry};

const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// Number of signature files that are read.
const MAX_SIGNERS: usize = 10;
/// Number of certificates that a signature file may have.
const MAX_CERTIFICATES: usize = 32;

/// Header of a signature file that names the newer schemes with which the file was signed too.
const NEWER_SCHEMES: &[u8] = b"X-Android-APK-Signed:";
/// Length of the beginning of a signature file that has this header.
const MAIN_SECTION: u64 = 4096;

/// Signature of the v1 scheme.
#[derive(Default)]
pub(super) struct V1Signature {
    pub(super) is_present: bool,
    /// Certificates, if no newer scheme states them.
    pub(super) signers: Vec<CertificateDigest>,
}

/// Finds the v1 signature. Reads its certificates only if the file has neither a v2 nor a v3 signature.
pub(super) fn inspect<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    block: &SigningBlock,
    limit: u64,
) -> Result<V1Signature, InspectionError> {
    let pairs = signature_files(archive).map_err(|flaw| flaw.of(Part::Signature))?;
    let mut signature = V1Signature {
        is_present: !pairs.is_empty(),
        signers: Vec::new(),
    };
    if block.v2.is_some() || block.v3.is_some() {
        return Ok(signature);
    }
    for (text, container) in pairs {
        require_nothing_stripped(source, text)?;
        let bytes = read_entry(source, container, Part::Signature, limit)?;
        let certificate = signer_certificate(&bytes).map_err(|flaw| flaw.of(Part::Signature))?;
        signature.signers.push(certificate);
    }
    Ok(signature)
}

/// Finds the signature files (`.SF`) and the PKCS #7 structures that sign them.
fn signature_files(archive: &Archive) -> Result<Vec<(&Entry, &Entry)>, Flaw> {
    let named = archive
        .entries()
        .filter_map(|(name, entry)| Some((signature_base(name)?, entry)));
    // Each is searched for among all entries.
    let containers: Vec<_> = named.take(MAX_SIGNERS + 1).collect();
    if containers.len() > MAX_SIGNERS {
        return Err("it has too many v1 signers".into());
    }
    let pairs = containers.into_iter().filter_map(|(base, container)| {
        let mut entries = archive.entries();
        let text = entries.find(|(name, _)| {
            let extension = name.strip_prefix(base);
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(b".SF"))
        });
        text.map(|(_, text)| (text, container))
    });
    Ok(pairs.collect())
}

/// Returns the name without its extension, if it is that of a PKCS #7 structure.
fn signature_base(name: &[u8]) -> Option<&[u8]> {
    let position = name.iter().rposition(|byte| *byte == b'.')?;
    let (base, extension) = name.split_at(position);
    let is_signature = [".RSA", ".DSA", ".EC"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known.as_bytes()));
    let file = base.strip_prefix(b"META-INF/")?;
    (is_signature && !file.contains(&b'/')).then_some(base)
}

/// Refuses a file whose newer signature was removed.
fn require_nothing_stripped<R: Read + Seek>(
    source: &mut Source<R>,
    text: &Entry,
) -> Result<(), InspectionError> {
    let beginning = read_beginning(source, text, Part::Signature, MAIN_SECTION)?;
    let mut lines = beginning.split(|byte| *byte == b'\n');
    let newer = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(NEWER_SCHEMES.len())?;
        name.eq_ignore_ascii_case(NEWER_SCHEMES).then_some(value)
    });
    if newer.is_some_and(|schemes| schemes.contains(&b'2') || schemes.contains(&b'3')) {
        return Err(invalid(Part::Signature, "a newer signature has been removed"));
    }
    Ok(())
}

/// Returns the certificate to which the first signer of a PKCS #7 structure refers.
fn signer_certificate(bytes: &[u8]) -> Result<CertificateDigest, Flaw> {
    let mut content = Elements(bytes).expect(SEQUENCE)?.elements();
    if content.expect(OBJECT_IDENTIFIER)?.content != SIGNED_DATA {
        return Err("a v1 signature does not contain PKCS #7 signed data".into());
    }
    let mut data = content.expect(CONTEXT_0)?.elements().expect(SEQUENCE)?.elements();
    let _version = data.expect(INTEGER)?;
    let _digest_algorithms = data.expect(SET)?;
    let _content = data.expect(SEQUENCE)?;
    let certificates = data.expect(CONTEXT_0)?;
    let signers = loop {
        let element = data.next()?;
        if element.tag == SET {
            break element;
        }
    };
    let mut signer = signers.elements().expect(SEQUENCE)?.elements();
    let _version = signer.expect(INTEGER)?;
    find_certificate(certificates, signer.expect(SEQUENCE)?)
}

fn find_certificate(certificates: Element<'_>, reference: Element<'_>) -> Result<CertificateDigest, Flaw> {
    let mut reference = reference.elements();
    let issuer = reference.expect(SEQUENCE)?;
    let serial = reference.expect(INTEGER)?;
    let mut rest = certificates.elements();
    for _ in 0..MAX_CERTIFICATES {
        if rest.is_empty() {
            break;
        }
        let certificate = Certificate::parse(rest.next()?.bytes)?;
        if certificate.issuer == issuer.bytes && certificate.serial == serial.content {
            return Ok(certificate.digest());
        }
    }
    Err("a v1 signature does not contain its certificate".into())
}
