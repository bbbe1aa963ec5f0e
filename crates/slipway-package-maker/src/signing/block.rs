//! APK Signing Block and the digest of the content.

use aws_lc_rs::digest::{SHA256, digest};

use crate::little_endian::{Bytes, length};
use crate::zip::Parts;

pub(crate) const V2: u32 = 0x7109_871a;
pub(crate) const V3: u32 = 0xf053_68c0;

const MAGIC: &[u8; 16] = b"APK Sig Block 42";

/// Encodes a block of pairs.
pub(crate) fn encode(pairs: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let pairs = pairs.iter().fold(Bytes::default(), |bytes, (id, value)| {
        bytes.u64(u64::from(length(value)) + 4).u32(*id).bytes(value)
    });
    with_size(&pairs.0, u64::from(length(&pairs.0)) + 24)
}

/// Encodes a block that states a size.
pub(crate) fn with_size(pairs: &[u8], size: u64) -> Vec<u8> {
    Bytes::default().u64(size).bytes(pairs).u64(size).bytes(MAGIC).0
}

/// Computes the digest over chunks of 1 MiB (SHA-256).
pub(crate) fn content_digest(parts: &Parts) -> Vec<u8> {
    let end = parts.end_record(length(&parts.content));
    let sections = [&parts.content, &parts.directory, &end];
    let chunks: Vec<_> = sections
        .iter()
        .flat_map(|section| section.chunks(1 << 20))
        .collect();
    let start = Bytes::default()
        .u8(0x5a)
        .u32(u32::try_from(chunks.len()).unwrap());
    let digests = chunks.iter().fold(start, |bytes, chunk| {
        let prefixed = Bytes::default().u8(0xa5).prefixed(chunk);
        bytes.bytes(digest(&SHA256, &prefixed.0).as_ref())
    });
    digest(&SHA256, &digests.0).as_ref().to_vec()
}
