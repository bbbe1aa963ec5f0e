//! Local headers and the places of the entries.

use std::io::{Read, Seek};

use super::LOCAL_HEADER;
use super::directory::{DATA_DESCRIPTOR, ENCRYPTED, Entry};
use super::zip64::ExtraField;
use crate::cursor::Cursor;
use crate::error::{Flaw, InspectionError, Part, invalid, quote};
use crate::source::Source;

const HEADER_LENGTH: u64 = 30;

/// Compares each local header with its entry, sets where the content begins, and checks that the entries do not
/// overlap. Returns the end of the last content.
pub(super) fn check<R: Read + Seek>(
    source: &mut Source<R>,
    entries: &mut [Entry],
    directory: &[u8],
    directory_offset: u64,
) -> Result<u64, InspectionError> {
    // In the order of the file, so that neighbours show every overlap. The order of the entries has no meaning.
    entries.sort_unstable_by_key(|entry| entry.header_offset);
    let mut previous_end = 0;
    for entry in entries {
        let name = entry.name(directory);
        if entry.header_offset < previous_end {
            return Err(invalid(
                Part::Container,
                format!("the entry {} overlaps another", quote(name)),
            ));
        }
        entry.data_offset = read_local_header(source, entry, name)?;
        let end = entry.data_offset.checked_add(entry.compressed_size);
        let Some(end) = end.filter(|end| *end <= directory_offset) else {
            return Err(invalid(
                Part::Container,
                format!("the entry {} overlaps the central directory", quote(name)),
            ));
        };
        previous_end = end;
    }
    Ok(previous_end)
}

/// Reads a local header and returns where the content begins.
fn read_local_header<R: Read + Seek>(
    source: &mut Source<R>,
    entry: &Entry,
    name: &[u8],
) -> Result<u64, InspectionError> {
    let length = HEADER_LENGTH + u64::try_from(name.len()).unwrap_or(u64::MAX);
    let bytes = source.read_range(entry.header_offset, length)?;
    let header = LocalHeader::parse(&bytes).map_err(|flaw| flaw.of(Part::Container))?;
    let extra_offset = entry.header_offset + length;
    let extra = if header.is_saturated() {
        source.read_range(extra_offset, header.extra_length.into())?
    } else {
        Vec::new()
    };
    header
        .require_equal(entry, name, ExtraField::find(&extra))
        .map_err(|flaw| flaw.of(Part::Container))?;
    Ok(extra_offset + u64::from(header.extra_length))
}

struct LocalHeader<'a> {
    flags: u16,
    method: u16,
    crc32: u32,
    compressed_size: u32,
    size: u32,
    name_length: u16,
    extra_length: u16,
    /// The bytes after the header: as many as the name of the central directory has.
    name: &'a [u8],
}

impl<'a> LocalHeader<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut rest = Cursor::new(bytes);
        if rest.u32()? != LOCAL_HEADER {
            return Err("an entry has no local header".into());
        }
        let _version = rest.u16()?;
        let (flags, method) = (rest.u16()?, rest.u16()?);
        let _modified = rest.u32()?;
        Ok(Self {
            flags,
            method,
            crc32: rest.u32()?,
            compressed_size: rest.u32()?,
            size: rest.u32()?,
            name_length: rest.u16()?,
            extra_length: rest.u16()?,
            name: rest.rest(),
        })
    }

    fn is_saturated(&self) -> bool {
        self.compressed_size == u32::MAX || self.size == u32::MAX
    }

    fn require_equal(&self, entry: &Entry, name: &[u8], mut zip64: ExtraField<'_>) -> Result<(), Flaw> {
        let size = zip64.resolve(self.size)?;
        let compressed_size = zip64.resolve(self.compressed_size)?;
        let are_numbers_equal =
            (self.crc32, compressed_size, size) == (entry.crc32, entry.compressed_size, entry.size);
        // With a data descriptor the numbers follow the content, and the local header has zeros.
        let are_deferred = entry.flags & DATA_DESCRIPTOR != 0
            && (self.crc32 == 0 || self.crc32 == entry.crc32)
            && (compressed_size == 0 || compressed_size == entry.compressed_size)
            && (size == 0 || size == entry.size);
        let contradiction = if usize::from(self.name_length) != name.len() || self.name != name {
            "name"
        } else if (self.flags ^ entry.flags) & (ENCRYPTED | DATA_DESCRIPTOR) != 0 {
            "flags"
        } else if self.method != entry.method {
            "compression method"
        } else if !are_numbers_equal && !are_deferred {
            "size or checksum"
        } else {
            return Ok(());
        };
        let name = quote(name);
        Err(format!("the local and the central header of {name} disagree about its {contradiction}").into())
    }
}
