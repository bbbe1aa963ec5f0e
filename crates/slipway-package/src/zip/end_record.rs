//! End of central directory record, with its ZIP64 form.

use std::io::{Read, Seek};

use super::END_RECORD;
use crate::cursor::Cursor;
use crate::error::{Flaw, InspectionError, Part, invalid};
use crate::source::Source;

const LENGTH: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;

const LOCATOR: u32 = 0x0706_4b50;
const LOCATOR_LENGTH: u64 = 20;
const ZIP64_END_RECORD: u32 = 0x0606_4b50;
/// Length of the ZIP64 record without extensions.
const ZIP64_LENGTH: u64 = 56;

/// Position and size of the central directory.
pub(super) struct EndRecord {
    pub(super) offset: u64,
    pub(super) entries: u64,
    pub(super) directory_offset: u64,
    pub(super) directory_size: u64,
    pub(super) is_zip64: bool,
}

/// Finds the end record, and checks that the central directory lies directly before it.
pub(super) fn find<R: Read + Seek>(source: &mut Source<R>) -> Result<EndRecord, InspectionError> {
    let tail_length = source.length().min(LENGTH + LONGEST_COMMENT);
    let tail_offset = source.length() - tail_length;
    let tail = source.read_range(tail_offset, tail_length)?;
    let position = find_signature(&tail).map_err(|flaw| flaw.of(Part::Container))?;
    let offset = tail_offset + u64::try_from(position).unwrap_or(u64::MAX);
    let mut record = parse(&tail[position..], offset).map_err(|flaw| flaw.of(Part::Container))?;
    let mut directory_end = offset;
    if let Some(zip64_offset) = find_locator(source, offset)? {
        let bytes = source.read_range(zip64_offset, ZIP64_LENGTH)?;
        record = parse_zip64(&bytes, &record).map_err(|flaw| flaw.of(Part::Container))?;
        directory_end = zip64_offset;
    }
    if record.directory_offset.checked_add(record.directory_size) != Some(directory_end) {
        return Err(invalid(
            Part::Container,
            "the central directory does not lie directly before its end record",
        ));
    }
    Ok(record)
}

/// Finds the last signature of an end record, as Android does. Its comment must end with the file.
fn find_signature(tail: &[u8]) -> Result<usize, Flaw> {
    let signature = END_RECORD.to_le_bytes();
    let position = tail
        .windows(22)
        .rposition(|window| window.starts_with(&signature))
        .ok_or("the end of central directory record is missing; the file may be incomplete")?;
    let comment_length = Cursor::at(tail, position + 20)?.u16()?;
    if tail.len() != position + 22 + usize::from(comment_length) {
        return Err("the end of central directory record is not the end of the file".into());
    }
    Ok(position)
}

fn parse(bytes: &[u8], offset: u64) -> Result<EndRecord, Flaw> {
    let mut record = Cursor::at(bytes, 4)?;
    let disks = (record.u16()?, record.u16()?);
    let (entries_of_disk, entries) = (record.u16()?, record.u16()?);
    if disks != (0, 0) || entries_of_disk != entries {
        return Err("the archive has several volumes".into());
    }
    Ok(EndRecord {
        offset,
        entries: entries.into(),
        directory_size: record.u32()?.into(),
        directory_offset: record.u32()?.into(),
        is_zip64: false,
    })
}

/// Returns the offset of the ZIP64 record, if its locator lies before the end record.
fn find_locator<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Option<u64>, InspectionError> {
    let Some(locator_offset) = end.checked_sub(LOCATOR_LENGTH) else {
        return Ok(None);
    };
    let bytes = source.read_range(locator_offset, LOCATOR_LENGTH)?;
    let mut locator = Cursor::new(&bytes);
    let mut read = || Ok::<_, Flaw>((locator.u32()?, locator.u32()?, locator.u64()?, locator.u32()?));
    let (signature, disk, offset, disks) = read().map_err(|flaw| flaw.of(Part::Container))?;
    if signature != LOCATOR {
        return Ok(None);
    }
    // Records with extensions are not written by any packager, and give bytes that readers disagree about a place.
    if disk != 0 || disks > 1 || offset.checked_add(ZIP64_LENGTH) != Some(locator_offset) {
        return Err(invalid(
            Part::Container,
            "the ZIP64 locator does not point to its record",
        ));
    }
    Ok(Some(offset))
}

/// Parses the ZIP64 record. A field of the plain record is equal or saturated.
fn parse_zip64(bytes: &[u8], plain: &EndRecord) -> Result<EndRecord, Flaw> {
    let mut record = Cursor::new(bytes);
    if record.u32()? != ZIP64_END_RECORD || record.u64()? != ZIP64_LENGTH - 12 {
        return Err("the ZIP64 end record is damaged".into());
    }
    let _versions = record.u32()?;
    let disks = (record.u32()?, record.u32()?);
    let (entries_of_disk, entries) = (record.u64()?, record.u64()?);
    let (directory_size, directory_offset) = (record.u64()?, record.u64()?);
    if disks != (0, 0) || entries_of_disk != entries {
        return Err("the archive has several volumes".into());
    }
    let agrees = |plain: u64, zip64: u64, saturated: u64| plain == zip64 || plain == saturated;
    if !agrees(plain.entries, entries, u16::MAX.into())
        || !agrees(plain.directory_size, directory_size, u32::MAX.into())
        || !agrees(plain.directory_offset, directory_offset, u32::MAX.into())
    {
        return Err("the ZIP64 end record contradicts the plain one".into());
    }
    Ok(EndRecord {
        offset: plain.offset,
        entries,
        directory_offset,
        directory_size,
        is_zip64: true,
    })
}
