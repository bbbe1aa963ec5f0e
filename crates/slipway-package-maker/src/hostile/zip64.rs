//! Containers with false ZIP64 records.

use super::{HostileFile, refused};
use crate::key::TestKey;
use crate::little_endian::{Bytes, length};
use crate::samples;
use crate::signing::block::{V2, content_digest, encode};
use crate::signing::signer::{Signer, encode_all};
use crate::zip::{DirectoryExtent, Entry, Parts, end_record, write, zip64_end};

const POINTS_ELSEWHERE: &str = "does not point to its record";
const CONTRADICTION: &str = "contradicts the plain one";

pub(super) fn files() -> Vec<HostileFile> {
    let parts = Parts::new(&[Entry::stored("a", b"abc")]);
    let offset = u64::from(length(&parts.content));
    let size = u64::from(length(&parts.directory));
    let record = offset + size;
    let file =
        |count: u64, directory: DirectoryExtent<u64>, record: u64, plain: (u16, DirectoryExtent<u32>)| {
            let (plain_count, plain_directory) = plain;
            let end = end_record(plain_count, plain_directory, &[]);
            let zip64 = zip64_end(count, directory, record);
            [&parts.content[..], &parts.directory, &zip64, &end].concat()
        };
    let saturated = (u16::MAX, DirectoryExtent::new(u32::MAX, u32::MAX));
    vec![
        refused(
            "zip64-locator-points-beyond.zip",
            POINTS_ELSEWHERE,
            file(1, DirectoryExtent::new(offset, size), 1 << 40, saturated),
        ),
        refused(
            "zip64-locator-overflows.zip",
            POINTS_ELSEWHERE,
            file(1, DirectoryExtent::new(offset, size), u64::MAX, saturated),
        ),
        refused(
            "zip64-locator-points-to-itself.zip",
            POINTS_ELSEWHERE,
            file(1, DirectoryExtent::new(offset, size), record + 56, saturated),
        ),
        refused(
            "zip64-claims-2-to-the-63-entries.zip",
            "exceed the limit",
            file(1 << 63, DirectoryExtent::new(offset, size), record, saturated),
        ),
        refused(
            "zip64-claims-65536-entries.zip",
            "exceed the limit",
            file(65_536, DirectoryExtent::new(offset, size), record, saturated),
        ),
        refused(
            "zip64-claims-two-entries.zip",
            "cut off",
            file(2, DirectoryExtent::new(offset, size), record, saturated),
        ),
        refused(
            "zip64-directory-is-huge.zip",
            "does not lie directly before",
            file(1, DirectoryExtent::new(offset, 1 << 60), record, saturated),
        ),
        refused(
            "zip64-directory-overflows.zip",
            "does not lie directly before",
            file(1, DirectoryExtent::new(u64::MAX, size), record, saturated),
        ),
        refused(
            "zip64-contradicts-the-count.zip",
            CONTRADICTION,
            file(
                1,
                DirectoryExtent::new(offset, size),
                record,
                (7, DirectoryExtent::new(u32::MAX, u32::MAX)),
            ),
        ),
        refused(
            "zip64-contradicts-the-offset.zip",
            CONTRADICTION,
            file(
                1,
                DirectoryExtent::new(offset, size),
                record,
                (1, DirectoryExtent::new(5, u32::MAX)),
            ),
        ),
        refused(
            "zip64-size-is-huge.zip",
            "impossible",
            extra_field(&[u64::MAX, 3]),
        ),
        refused(
            "zip64-both-sizes-are-huge.zip",
            "exceed the limit",
            extra_field(&[u64::MAX; 2]),
        ),
        refused("zip64-extra-field-is-short.zip", "cut off", extra_field(&[3])),
        refused("zip64-signed.apk", "ZIP64", signed()),
    ]
}

/// Makes an entry whose sizes are in a ZIP64 field.
fn extra_field(sizes: &[u64]) -> Vec<u8> {
    let start = Bytes::default()
        .u16(1)
        .u16(u16::try_from(8 * sizes.len()).unwrap());
    let extra = sizes.iter().fold(start, |bytes, size| bytes.u64(*size)).0;
    let entry = Entry::stored("a", b"abc").change(|header| {
        header.size = u32::MAX;
        header.compressed_size = u32::MAX;
        header.extra.clone_from(&extra);
    });
    write(&[entry])
}

/// Signs an APK that has a ZIP64 record, which Android refuses.
fn signed() -> Vec<u8> {
    let mut parts = Parts::new(&samples::plain().entries());
    let digest = content_digest(&parts);
    let block = encode(&[(V2, encode_all(&[Signer::v2(TestKey::App, &digest, false)]))]);
    let offset = u64::from(length(&parts.content) + length(&block));
    let size = u64::from(length(&parts.directory));
    let zip64 = zip64_end(
        parts.count.into(),
        DirectoryExtent::new(offset, size),
        offset + size,
    );
    let end = parts.end_record(u32::try_from(offset).unwrap());
    parts.content.extend(block);
    [parts.content, parts.directory, zip64, end].concat()
}
