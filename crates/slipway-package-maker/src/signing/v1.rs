//! The v1 scheme: JAR signing.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::der::{self, CONTEXT_0, INTEGER, OCTET_STRING, SET};
use crate::key::TestKey;
use crate::zip::{DEFLATED, Entry};

/// Algorithm identifiers and object identifiers in DER.
const SHA256_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00";
const RSA_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// Signs entries with an RSA key. Returns the entries of the signature.
pub(crate) fn sign(entries: &[Entry], key: TestKey, newer_schemes: &str) -> Vec<Entry> {
    let manifest = manifest(entries);
    let signature_file = signature_file(&manifest, newer_schemes);
    let container = container(signature_file.as_bytes(), key);
    vec![
        Entry::deflated("META-INF/MANIFEST.MF", manifest.as_bytes()),
        Entry::deflated("META-INF/CERT.SF", signature_file.as_bytes()),
        Entry::deflated("META-INF/CERT.RSA", &container),
    ]
}

fn hash(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, bytes))
}

fn manifest(entries: &[Entry]) -> String {
    let mut text = "Manifest-Version: 1.0\r\nCreated-By: Slipway\r\n\r\n".to_owned();
    for entry in entries {
        let name = String::from_utf8(entry.local.name.clone()).unwrap();
        let hash = hash(&unpacked(entry));
        write!(text, "Name: {name}\r\nSHA-256-Digest: {hash}\r\n\r\n").unwrap();
    }
    text
}

fn unpacked(entry: &Entry) -> Vec<u8> {
    if entry.local.method != DEFLATED {
        return entry.data.clone();
    }
    let mut bytes = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(&entry.data[..]);
    std::io::Read::read_to_end(&mut decoder, &mut bytes).unwrap();
    bytes
}

fn signature_file(manifest: &str, newer_schemes: &str) -> String {
    let mut text = "Signature-Version: 1.0\r\n".to_owned();
    write!(text, "SHA-256-Digest-Manifest: {}\r\n", hash(manifest.as_bytes())).unwrap();
    if !newer_schemes.is_empty() {
        write!(text, "X-Android-APK-Signed: {newer_schemes}\r\n").unwrap();
    }
    text.push_str("\r\n");
    let (_, sections) = manifest.split_once("\r\n\r\n").unwrap();
    for section in sections.split_inclusive("\r\n\r\n") {
        let (name, _) = section.split_once("\r\n").unwrap();
        write!(
            text,
            "{name}\r\nSHA-256-Digest: {}\r\n\r\n",
            hash(section.as_bytes())
        )
        .unwrap();
    }
    text
}

/// Builds PKCS #7 signed data with a detached content.
fn container(content: &[u8], key: TestKey) -> Vec<u8> {
    let version = der::element(INTEGER, &[1]);
    let signer = der::sequence(&[
        &version,
        &der::sequence(&[&key.issuer(), &key.serial()]),
        SHA256_ALGORITHM,
        RSA_ALGORITHM,
        &der::element(OCTET_STRING, &key.sign(content)),
    ]);
    let data = der::sequence(&[
        &version,
        &der::element(SET, SHA256_ALGORITHM),
        &der::sequence(&[DATA]),
        &der::element(CONTEXT_0, key.certificate()),
        &der::element(SET, &signer),
    ]);
    der::sequence(&[SIGNED_DATA, &der::element(CONTEXT_0, &data)])
}
