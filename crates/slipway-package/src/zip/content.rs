//! Content of entries.

use std::io::{Read, Seek};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::directory::{DEFLATED, Entry, STORED};
use crate::error::{InspectionError, Part, invalid};
use crate::source::Source;

/// Unpacks an entry of at most `limit` bytes, and checks its size and checksum.
pub(crate) fn read_entry<R: Read + Seek>(
    source: &mut Source<R>,
    entry: &Entry,
    part: Part,
    limit: u64,
) -> Result<Vec<u8>, InspectionError> {
    if entry.size > limit {
        return Err(invalid(
            part,
            format!("{} bytes exceed the limit of {limit}", entry.size),
        ));
    }
    // One byte more than stated shows that the size is false.
    let bytes = read_beginning(source, entry, part, entry.size.saturating_add(1))?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut crc = Crc::new();
    crc.update(&bytes);
    if length != entry.size || crc.sum() != entry.crc32 {
        return Err(invalid(
            part,
            "the content does not have its stated size or checksum",
        ));
    }
    Ok(bytes)
}

/// Unpacks at most `most` bytes of an entry, without a check.
pub(crate) fn read_beginning<R: Read + Seek>(
    source: &mut Source<R>,
    entry: &Entry,
    part: Part,
    most: u64,
) -> Result<Vec<u8>, InspectionError> {
    if entry.is_encrypted() {
        return Err(invalid(part, "the entry is encrypted"));
    }
    let packed = source.section(entry.data_offset, entry.compressed_size)?;
    // The size is at most the caller's limit, and the packed bytes can have it.
    let expected = usize::try_from(most.min(entry.size.saturating_add(1))).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected);
    match entry.method {
        STORED => packed.take(most).read_to_end(&mut bytes)?,
        DEFLATED => DeflateDecoder::new(packed)
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidInput
                | std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::UnexpectedEof => invalid(part, "the content cannot be unpacked"),
                _ => error.into(),
            })?,
        method => {
            return Err(invalid(
                part,
                format!("the compression method {method} is not supported"),
            ));
        }
    };
    Ok(bytes)
}
